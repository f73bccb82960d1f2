/* channel.h: batches to a worker and verdicts back, over shared memory. Host side; no system calls.
 *
 * Two regions, each written by one side only:
 *   input   host RW, worker read-only: head (doorbell, request count), request descriptors, one
 * slot per task in flight with the task's texts and its records (Kafka v2 record bytes,
 * uncompressed); output  worker RW, host read-only: head (response count, worker's state), response
 * descriptors, one slot per task with the verdicts (flat, little-endian; layout in
 * channel_layout.h). Task number n lives in slot n mod depth on both sides and answers come in the
 * order of the tasks, so the host knows where every answer must be; from the worker come only
 * numbers of bytes and their contents.
 *
 * Everything in the output region is hostile: a descriptor is read once into private memory,
 * checked and then only the copy is used; the payload is copied to private memory and checked whole
 * before channel_take returns it. A lie of any kind is SLUICE_E_PLUGIN_PROTOCOL, and the worker
 * must die.
 *
 * One thread per channel [loop]. */
#ifndef SANDBOX_CHANNEL_H
#define SANDBOX_CHANNEL_H

#include <sluice/processor.h>

#define SANDBOX_MUST_CHECK __attribute__((warn_unused_result))

#define CHANNEL_DEPTH_MAX          64u
#define CHANNEL_SLOT_BYTES_MAX     (64u << 20)
#define CHANNEL_TASK_TEXT_SIZE_MAX 1024u /* of each text of a task */
#define CHANNEL_REASON_SIZE_MAX    1024u /* of a reason or error sentence; longer ones are cut */
#define CHANNEL_HEADERS_MAX        4096u /* of one emitted record */
#define CHANNEL_TOPIC_SIZE_MAX     249u

struct channel_geometry {
    uint32_t depth;             /* tasks in flight, 1..CHANNEL_DEPTH_MAX */
    uint32_t input_slot_bytes;  /* texts and records of one task; multiple of 4096 */
    uint32_t output_slot_bytes; /* verdicts of one task; multiple of 4096 */
};

/* One call of process_batch. All is borrowed for the call of submit. */
struct sandbox_task {
    uint64_t id; /* the caller's; comes back with the result */
    int32_t partition;
    /* Both from the moment the worker can start the task; 0: none. timeout_ms is the deadline that
     * the plugin is told (context.deadline_ms) and may stop itself at; after kill_ms the worker is
     * killed. */
    uint32_t timeout_ms;
    uint32_t kill_ms;
    struct sluice_text topic;
    /* Of the context that the plugin sees; each at most CHANNEL_TASK_TEXT_SIZE_MAX. */
    struct sluice_text principal;
    struct sluice_text listener;
    struct sluice_text client_id;
    struct sluice_text client_host;
    uint64_t connection;
    struct sluice_bytes trace_id; /* 16 bytes or null */

    /* Records as in an uncompressed v2 batch after its 61-byte header: length varint, attributes,
     * deltas … */
    struct sluice_bytes records;
    uint32_t record_count; /* in `records`; fewer or more than are there fails the task, not the
                              worker */
    uint32_t first;      /* only records first .. first + limit - 1 go to the plugin (bisection) */
    uint32_t limit;      /* at most record_count - first */
    int64_t base_offset; /* -1: the records have no offset yet (gate) */
    int64_t base_timestamp; /* to which the records' deltas are added */

    /* State (state_delta.h). state_token: what the worker's copy of the state of this topic and
     * partition must be: STATE_TOKEN_*, or what an earlier task named as state_next; if it is
     * another, and the plugin uses state, the result says state_missing. state_next: what the copy
     * is after the task, if it changes; 0: these records have no state. */
    uint64_t state_token;
    uint64_t state_next;
    /* No records but deltas: the copy begins anew (record_count 0), or goes on behind record_count
     * deltas; with state_next it is complete. */
    bool is_state;
};

#define SANDBOX_VERDICT_PASS 0u /* `count` records from `index` on go on unchanged */
#define SANDBOX_VERDICT_DROP 1u
#define SANDBOX_VERDICT_EMIT \
    2u /* replaced by this record; several for one index follow each other */
#define SANDBOX_VERDICT_REJECT 3u
#define SANDBOX_VERDICT_RETRY \
    4u /* this record and all after it come again; always the last verdict */
#define SANDBOX_VERDICT_FAIL 5u /* as REJECT, by the plugin's own fault */

/* What became of a record. Views point into the private copy of the result. */
struct sandbox_verdict {
    uint32_t kind;  /* SANDBOX_VERDICT_* */
    uint32_t index; /* of the record in the task's `records`, first <= index < first + limit */
    uint32_t count; /* 1, more for a run of passed records */
    struct sluice_text reason; /* of reject, fail and retry; may be empty */
    /* Of an emit: */
    struct sluice_text
        topic;         /* empty: the default output; NOT yet checked against what is granted */
    int32_t partition; /* SLUICE_PARTITION_AUTO or >= 0 (not checked against the topic) */
    uint32_t header_count;
    int64_t timestamp; /* -1: the input record's */
    struct sluice_bytes key;
    struct sluice_bytes value;
    const uint8_t *headers; /* for sandbox_header_next */
};

/* No record, where the index of one may be said. */
#define SANDBOX_PROGRESS_NONE UINT32_MAX

/* The checked result of one task, valid until the next channel_take or sandbox_worker_poll. */
struct sandbox_result {
    uint64_t task_id;
    sluice_status
        status;     /* of process_batch; not SLUICE_OK: the batch failed, there are no verdicts */
    uint32_t first; /* as in the task */
    uint32_t limit;
    uint32_t emit_count;
    uint64_t emit_bytes;      /* keys, values and headers of all emits: for output budgets */
    struct sluice_text error; /* sentence set by the plugin, may be empty */
    uint32_t progress;        /* of a task that failed: as sandbox_cause has it */
    const uint8_t *items;     /* private copy */
    uint32_t items_size;
    bool state_missing;    /* nothing was done: the state must be handed down first */
    uint32_t delta_count;  /* changes of the state; 0: it is what it was */
    const uint8_t *deltas; /* private copy, checked: for state_delta_next */
    uint32_t deltas_size;
};

struct sandbox_result_reader {
    const struct sandbox_result *result;
    uint32_t at;
    uint32_t next_index; /* first record without a verdict so far */
    bool stopped;
};

void sandbox_result_reader_init(struct sandbox_result_reader *reader,
                                const struct sandbox_result *result);
/* Next verdict in rising order of index; records without a verdict come as PASS runs, so that every
 * record of first .. first + limit - 1 is covered once (those after a RETRY by the RETRY). False at
 * the end. */
bool sandbox_result_next(struct sandbox_result_reader *reader, struct sandbox_verdict *ret_verdict);
/* Takes one header off *cursor (begins as verdict.headers); call verdict.header_count times. */
void sandbox_header_next(const uint8_t **cursor, struct sluice_header *ret_header);

struct channel_slot {
    uint64_t task_id;
    uint32_t first;
    uint32_t limit;
    uint32_t kill_ms;
};

/* Host side of one channel, in the caller's memory; all counters are private to the host. */
struct channel {
    struct channel_geometry geometry;
    uint8_t *input;        /* [borrowed] channel_input_bytes() bytes, RW */
    const uint8_t *output; /* [borrowed] channel_output_bytes() bytes */
    uint8_t *copy;         /* [owned] private copy of the last result */
    uint32_t copy_capacity;
    uint32_t submitted; /* tasks ever given to the worker, wraps */
    uint32_t taken;     /* results ever taken, wraps */
    uint32_t wait_turn; /* bumped each time the host goes to sleep */
    struct channel_slot slots[CHANNEL_DEPTH_MAX];
};

bool channel_geometry_valid(const struct channel_geometry *geometry);
uint64_t channel_input_bytes(const struct channel_geometry *geometry);
uint64_t channel_output_bytes(const struct channel_geometry *geometry);

/* Memory must be zeroed; input is written here, output never. */
void channel_init(struct channel *channel, const struct channel_geometry *geometry, uint8_t *input,
                  const uint8_t *output);
void channel_fini(struct channel *channel);

uint32_t channel_in_flight(const struct channel *channel);
/* Room for `records` of the next task inside the slab, so that they can be decompressed or copied
 * there once; valid until the next submit. E_BUSY: `depth` tasks are in flight. E_LIMIT: larger
 * than a slot. */
sluice_status channel_reserve(struct channel *channel, uint64_t size,
                              uint8_t **ret_memory) SANDBOX_MUST_CHECK;
/* Hands a task over. task->records may be what channel_reserve returned; else they are copied.
 * *ret_wake: the worker sleeps, ring it. E_BUSY, E_LIMIT as above; E_INVALID: a bound is broken. */
sluice_status channel_submit(struct channel *channel, const struct sandbox_task *task,
                             bool *ret_wake) SANDBOX_MUST_CHECK;
/* Rings without a task (a control message waits). True: the worker sleeps, wake it. */
bool channel_ring(struct channel *channel);
/* The next result, checked and copied. E_WOULD_BLOCK: none yet. E_PLUGIN_PROTOCOL: the worker lied.
 * E_NO_MEMORY: nothing changed, try again. */
sluice_status channel_take(struct channel *channel,
                           struct sandbox_result *ret_result) SANDBOX_MUST_CHECK;
/* Tells the worker that the host goes to sleep and wants its eventfd written at the next result.
 * False: a result came meanwhile, take it first. */
bool channel_sleep(struct channel *channel);
/* The index in `records` at which the oldest task in flight is, by what the worker says: a hint.
 * SANDBOX_PROGRESS_NONE: not known. */
uint32_t channel_progress_of_oldest(const struct channel *channel);

#endif
