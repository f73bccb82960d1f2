/* rehearsal_broker.h: between rehearsal_broker.c and the areas of its calls,
 * rehearsal_broker_<area>.c: each reads what it is given, notes the call, and makes up its end. */
#ifndef SANDBOX_WORKER_REHEARSAL_BROKER_H
#define SANDBOX_WORKER_REHEARSAL_BROKER_H

#include "rehearsal_frontend.h"

#define REHEARSAL_BATCH_BYTES 256u

/* One for each type of `done`: calls it with results. `results` is room for call->count of them,
 * zeroed; NULL: the kind has none. */
typedef void rehearsal_end_fn(struct stage *stage, const struct stage_call *call, void *results,
                              sluice_status status);

struct rehearsal_kind {
    const char *name, *done_name; /* as faults name them */
    rehearsal_end_fn *end;
    size_t result_size; /* of each of `count`; 0: it has none */
};

#define KIND(name, end, result_size)                \
    {                                               \
        name, "the done of " name, end, result_size \
    }
#define DONE(type) ((type *)call->done)
#define CALL(name, ...)                                       \
    static void on_##name(const struct sluice_broker *broker, \
                          const struct sluice_context *context, __VA_ARGS__)
#define ASK(kind, count) stage_ask(broker, context, &(kind), count, (void (*)(void))done, arg)

extern const struct sluice_text rehearsal_topic; /* the name of the topic that is there */
extern const struct rehearsal_kind rehearsal_status_kind;
extern const struct rehearsal_kind rehearsal_statuses_kind;
extern const struct rehearsal_kind rehearsal_producer_id_kind;
extern const struct rehearsal_kind rehearsal_topic_results_kind;

/* Takes a call, which ends before it returns or later. */
void stage_ask(const struct sluice_broker *broker, const struct sluice_context *context,
               const struct rehearsal_kind *kind, uint32_t count, void (*done)(void), void *arg);
sluice_status stage_draw_status(struct stage *stage, bool cancelled);
/* What is borrowed is read: a pointer that is none dies here. */
void stage_read(const void *data, uint64_t size);
void stage_read_topic(const struct sluice_topic_ref *topic);

/* ---- the areas: each fills in its calls ---- */

void rehearsal_topics_init(struct sluice_broker *table);
void rehearsal_configs_init(struct sluice_broker *table);
void rehearsal_records_init(struct sluice_broker *table);
void rehearsal_groups_init(struct sluice_broker *table);
void rehearsal_offsets_init(struct sluice_broker *table);
void rehearsal_consumers_init(struct sluice_broker *table);
void rehearsal_streams_init(struct sluice_broker *table);
void rehearsal_shares_init(struct sluice_broker *table);
void rehearsal_txn_init(struct sluice_broker *table);
void rehearsal_cluster_init(struct sluice_broker *table);

#endif
