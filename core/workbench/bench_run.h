/* bench_run.h: records through a plugin in its worker, and what became of each of them.
 *
 * Records go in batches of at most BENCH_BATCH_RECORDS and BENCH_BATCH_BYTES, as a stage (offsets
 * from 0 on) or a gate (no offsets) would give them. Where an output may go is decided here, as in
 * a broker: one to a topic that the plugin did not name is a rejected record, whose changes of the
 * state do not count. One thread [blocks]. */
#ifndef SL_WORKBENCH_BENCH_RUN_H
#define SL_WORKBENCH_BENCH_RUN_H

#include "control/config_tree.h"
#include "record/record_iterator.h"
#include "workbench/bench_plugin.h"

#define BENCH_RECORDS_MAX   10000u
#define BENCH_BATCH_RECORDS 1000u
#define BENCH_BATCH_BYTES   (1u << 20) /* one record may be larger */

struct bench_record {
    struct sl_bytes key, value;
    bool key_is_null, value_is_null;
    int64_t timestamp;
    const struct header_view *headers;
    uint32_t header_count;
};

enum bench_fate {
    BENCH_DROPPED, /* also: replaced by outputs */
    BENCH_PASSED,
    BENCH_EMITTED,
    BENCH_REJECTED,
    BENCH_RETRIED, /* it and all after it come again, for ever */
};
/* What became of an input record. */
struct bench_verdict {
    enum bench_fate fate;
    struct sl_bytes reason; /* of rejected and retried */
};

struct bench_output {
    struct bench_record record;
    struct sl_bytes topic; /* empty: passed by a plugin without an output */
    int32_t partition;     /* SLUICE_PARTITION_AUTO or what the plugin said */
    uint32_t from;         /* index of the input record */
};

/* A key of a stage's state and its value, as the plugin gives them to sluice.state/1. */
struct bench_entry {
    struct sl_bytes key, value;
};

struct bench_input {
    const struct bench_record *records;
    uint32_t count; /* at most BENCH_RECORDS_MAX */
    const char *topic;
    int32_t partition;
    int64_t base_offset;             /* of the first; a gate's have none */
    bool whole;                      /* one batch, however large or empty */
    const struct bench_entry *state; /* before the first record; a gate has none */
    uint32_t state_count;
    bool keeps_state; /* the outcome says what it was in the end */
};

/* All of it in the arena that was given. */
struct bench_outcome {
    struct bench_verdict *verdicts; /* one for each input record */
    struct bench_output *outputs;
    uint32_t output_count, output_capacity;
    uint32_t counts[BENCH_RETRIED + 1]; /* input records by fate */
    struct bench_entry *state;          /* in the end, in no order */
    uint32_t state_count, state_capacity;
    /* SLUICE_OK; else the batch failed as a whole, or the worker died of it (died). */
    sl_err err;
    bool died;
    char text[BENCH_TEXT_BYTES]; /* with err */
};
/* Errors of its own: E_NO_MEMORY, E_LIMIT (a record that no worker takes). */
sl_err bench_run(struct bench_plugin *plugin, const struct bench_input *input,
                 struct config_arena *arena, struct bench_outcome *ret_outcome) SL_MUST_CHECK;

#endif
