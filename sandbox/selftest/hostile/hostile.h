/* hostile.h: the parts of hostile.so, one module that tries what its instance's name says. */
#ifndef SANDBOX_SELFTEST_HOSTILE_H
#define SANDBOX_SELFTEST_HOSTILE_H

#include "../../channel_layout.h"
#include "../../control_wire.h"

#include <sluice/sluice.h>

/* What an attack in a batch has at hand. */
struct hostile_scene {
    const struct sluice_host *host;
    const struct sluice_batch *batch;
    const struct sluice_writer *writer;
    uint8_t *output; /* the output region's begin */
    uint8_t *input;  /* the input region's, mapped for reading */
    const char *secret;
    long host_pid;
    long witness_pid;
};
typedef void hostile_fn(struct hostile_scene *scene);
struct hostile_attack {
    const char *name;
    hostile_fn *run;
};
extern const struct hostile_attack hostile_life[], hostile_rings[], hostile_control[],
    hostile_task[];

/* Says in the result what came of it; "BREACH …" is what must never be read by anyone. */
void hostile_say(const struct hostile_scene *scene, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* True: the name is a call of attack_calls.h, and it was made. */
bool hostile_call(struct hostile_scene *scene, const char *name);
/* In the constructor and the other moments of loading; returns if the name is of another moment. */
void hostile_load(const char *moment, const char *name, const struct sluice_host *host);
void hostile_send(uint16_t kind, const void *body, uint32_t size, int descriptor);
_Noreturn void hostile_wait(void);

#endif
