/* sluice.h: the broker: owns one of each room and wires them. No globals, no signals, no exit: a
 * program or a test hosts it. */
#ifndef SL_BROKER_SLUICE_H
#define SL_BROKER_SLUICE_H

#include "base/log.h"
#include "control/config.h"
#include "os/os.h"

struct sluice;

#define SLUICE_PROBLEM_BYTES 1024u

struct sluice_events {
    void (*ready)(void *arg);   /* listeners are open [loop 0] */
    void (*stopped)(void *arg); /* everything is closed; sluice_run returns next [loop 0] */
    void *arg;
};

/* Locks the data directory, recovers every shard. config is taken. On failure ret_problem is one
 * sentence. [blocks] */
sl_err sluice_new(struct sl_os *os, struct sl_logger *logger, struct sl_config *config,
                  const struct sluice_events *events, struct sluice **ret_sluice,
                  char ret_problem[SLUICE_PROBLEM_BYTES]) SL_MUST_CHECK;
/* Runs loop 0 on this thread, the others on their own, until sluice_stop. [blocks] */
void sluice_run(struct sluice *sluice);
void sluice_stop(struct sluice *sluice); /* [loop 0] */
/* Puts in force what may change live; the report says what became of each key. [takes loaded] [loop
 * 0] */
sl_err sluice_reload(struct sluice *sluice, struct sl_config *loaded) SL_MUST_CHECK;
struct sluice *sluice_free(struct sluice *sluice); /* after run returned; NULL is fine */
/* Storage of some shard failed: nothing it held back was acknowledged; a restart recovers. [any] */
bool sluice_is_fenced(const struct sluice *sluice);
struct sl_loop *sluice_loop(struct sluice *sluice); /* loop 0, for signals */

#endif
