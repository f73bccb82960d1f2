/* sluice.h: the broker: owns one of each room and wires them. No globals, no signals, no exit: a
 * program or a test hosts it. */
#ifndef SL_BROKER_SLUICE_H
#define SL_BROKER_SLUICE_H

#include "base/buffer.h"
#include "base/log.h"
#include "control/config.h"
#include "os/os.h"
#include "record/batch_builder.h"

#include <sluice/broker.h>

struct sluice;

#define SLUICE_PROBLEM_BYTES 1024u

struct sluice_events {
    void (*ready)(void *arg);    /* listeners are open [loop 0] */
    void (*stopping)(void *arg); /* the end has begun [loop 0]; NULL: nobody asks */
    void (*stopped)(void *arg);  /* everything is closed; sluice_run returns next [loop 0] */
    /* Reads the configuration again, as at the start; NULL: there is none to read. [helper] */
    sl_err (*load)(void *arg, struct config_report *report, struct sl_config **ret_config);
    /* A reload, not a dry run, has begun or ended [loop 0]; NULL: nobody asks. */
    void (*reloading)(void *arg, bool has_begun);
    void *arg;
};

struct cJSON;

/* Locks the data directory, recovers every shard. config is taken. On failure ret_problem is one
 * sentence. [blocks] */
sl_err sluice_new(struct sl_os *os, struct sl_logger *logger, struct sl_config *config,
                  const struct sluice_events *events, struct sluice **ret_sluice,
                  char ret_problem[SLUICE_PROBLEM_BYTES]) SL_MUST_CHECK;
/* Runs loop 0 on this thread, the others on their own, until sluice_stop. [blocks] */
void sluice_run(struct sluice *sluice);
void sluice_stop(struct sluice *sluice); /* [loop 0] */
/* Reads the configuration and puts in force what may change while it runs; the report says what
 * became of each key (docs/plugins/reload.md). dry_run: what would become of it. done (NULL: nobody
 * asks) gets the report to keep, after the return. E_BUSY: one is under way. [loop 0] */
typedef void sluice_reloaded_fn(void *arg, struct cJSON *report);
sl_err sluice_reload(struct sluice *sluice, bool dry_run, sluice_reloaded_fn *done,
                     void *arg) SL_MUST_CHECK;
/* After run returned, or before it was called: then the logs are closed in order. NULL is fine.
 * Returns NULL. [blocks] */
struct sluice *sluice_free(struct sluice *sluice);
/* Storage of some shard failed: nothing it held back was acknowledged; a restart recovers. [any] */
bool sluice_is_fenced(const struct sluice *sluice);
/* Shard 0, which holds the catalog, is well: a broker that runs will be ready. [any] */
bool sluice_can_serve(const struct sluice *sluice);
/* Every loop turns: what /livez answers, for a watchdog. [any] */
bool sluice_is_live(const struct sluice *sluice);
/* All metrics as Prometheus text. E_UNSUPPORTED: in a build without telemetry. [any, while it runs]
 */
sl_err sluice_metrics(struct sluice *sluice, struct sl_buffer *buffer) SL_MUST_CHECK;
struct sluice_local_record {
    struct sluice_text topic;
    int32_t partition;
    struct record_fields fields;
    void (*copied)(void *arg); /* its bytes may go: before `done`; NULL: nobody asks */
};
/* Writes a record as the program's own, which no rule is asked about. Its bytes are copied once,
 * before the return, to where the log takes them from. E_NO_MEMORY, E_LIMIT, else `done` is called,
 * perhaps inside. [loop 0, while it runs] */
sl_err sluice_produce_local(struct sluice *sluice, const struct sluice_local_record *record,
                            sluice_produce_done *done, void *arg) SL_MUST_CHECK;
struct sl_loop *sluice_loop(struct sluice *sluice); /* loop 0, for signals */

#endif
