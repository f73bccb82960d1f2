/* toy_host.h: the smallest host that the sandbox library needs, for its tests and its benchmark.
 *
 * It does what an event loop does (watch one descriptor, poll, expire), on the calling thread. Any
 * surprise ends the program with a sentence. */
#ifndef TESTS_SANDBOX_TOY_HOST_H
#define TESTS_SANDBOX_TOY_HOST_H

#include <sandbox/sandbox.h>

#define TOY_LOG_COUNT 8

struct toy_host {
    struct sandbox *sandbox;
    struct staged_module module;
    struct sandbox_worker *worker;
    char logs[TOY_LOG_COUNT][128];
    uint32_t log_count;
};

struct toy_file {
    uint8_t *data;
    uint64_t size;
};
struct toy_file toy_file_read(const char *path); /* free data */

int64_t toy_now_ms(void);
/* Opens the sandbox and stages build/tests/hostile/<module>.so. */
void toy_host_init(struct toy_host *host, const char *module);
void toy_host_fini(struct toy_host *host);
struct sandbox_spawn toy_host_spawn_defaults(const struct toy_host *host, const char *config);
void toy_host_spawn(struct toy_host *host, const struct sandbox_spawn *spawn);
/* Waits for an event of this kind, or EXIT if that comes first. Returns what came. */
uint32_t toy_host_wait(struct toy_host *host, uint32_t kind, struct sandbox_event *ret_event);
/* Spawn with defaults and wait for READY. */
void toy_host_start(struct toy_host *host, const char *module, const char *config);

/* Record bytes under construction. */
struct toy_records {
    uint8_t bytes[65536];
    uint32_t size;
    uint32_t count;
};
/* header may be NULL: "name" with value "h". */
void toy_records_add(struct toy_records *records, const char *key, const char *value,
                     const char *header);
struct sandbox_task toy_task(const struct toy_records *records, uint64_t id);
/* Submits and waits for the result or EXIT. */
uint32_t toy_host_run(struct toy_host *host, const struct sandbox_task *task,
                      struct sandbox_event *ret_event);

#endif
