/* channel_layout.h: the bytes of the two shared regions, as host library and worker program see
 * them.
 *
 *   region  = head page (4096 bytes: head, then `depth` descriptors, at its end in the output
 * region channel_progress) + depth slots input slot  = channel_task_wire | records | texts in the
 * order of the sizes output slot = channel_result_wire | items | deltas (state_delta.h) | error
 * text item        = channel_item [channel_emit value key topic headers | reason] padded to 8
 *   header      = u32 key size | u32 value size (~0: null) | key | value
 * Native little-endian; both sides are the same build. */
#ifndef SANDBOX_CHANNEL_LAYOUT_H
#define SANDBOX_CHANNEL_LAYOUT_H

#include <sandbox/sandbox.h>
#include <sandbox/state_delta.h>
#include <stdatomic.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the channel is little-endian");

#define CHANNEL_HEAD_BYTES     4096u
#define CHANNEL_DESCRIPTORS_AT 64u
/* Where a rehearsal is, a NUL-terminated text at the start of the first output slot. */
#define CHANNEL_REHEARSAL_TEXT_MAX 200u
#define CHANNEL_RESULT_MAGIC       0x53525631u
#define CHANNEL_NULL               0xffffffffu

/* Written by the host. */
struct channel_input_head {
    _Atomic uint32_t doorbell;  /* futex word of the worker; bumped with every submit and message */
    _Atomic uint32_t submitted; /* tasks given, wraps */
    _Atomic uint32_t control;   /* messages sent over the control socket, wraps */
    _Atomic uint32_t wait_turn; /* the worker rings the eventfd once for each value */
};
/* Written by the worker; hints and counts, never trusted. */
struct channel_output_head {
    _Atomic uint32_t answered;     /* results written, wraps */
    _Atomic uint32_t sleeping;     /* 1: waits on the doorbell */
    _Atomic uint32_t in_task;      /* begins and ends of tasks: odd while one runs, no batch */
    _Atomic uint32_t alloc_failed; /* allocations refused since the running task (or load) began */
};
struct channel_descriptor {
    uint64_t task_id;
    uint32_t bytes; /* of the slot that are used */
    uint32_t reserved;
};
/* Which record of which task the worker is at: what it died of, if it does. Written by the worker
 * and by the plugin itself, a hint and never more. A line of its own: the host reads it only when a
 * worker ends. Indices count from the task's `first`. */
#define CHANNEL_PROGRESS_AT (CHANNEL_HEAD_BYTES - 64u)
struct channel_progress {
    _Atomic uint32_t task;         /* tasks answered before the one that this is of, wraps */
    _Atomic uint32_t done;         /* records with a verdict, one by one from the first on */
    struct sluice_progress plugin; /* as the plugin says; CHANNEL_NULL: it does not */
};
_Static_assert(CHANNEL_DESCRIPTORS_AT + CHANNEL_DEPTH_MAX * sizeof(struct channel_descriptor) <=
                   CHANNEL_PROGRESS_AT,
               "descriptors fit the head page");

/* The worker's own metrics, behind the last slot of the output region. */
struct channel_metric {
    uint32_t kind;      /* SLUICE_METRIC_* */
    uint32_t histogram; /* which of them it is */
    char name[SLUICE_METRIC_NAME_MAX + 1];
};
struct channel_metrics {
    _Atomic uint32_t count;
    uint32_t reserved;
    struct channel_metric items[SLUICE_METRICS_MAX];
    _Atomic uint64_t values[SLUICE_METRICS_MAX];
    _Atomic uint64_t histograms[SLUICE_HISTOGRAMS_MAX][SANDBOX_METRIC_CELLS];
};
#define CHANNEL_METRICS_BYTES 12288u /* whole pages */
_Static_assert(sizeof(struct channel_metrics) <= CHANNEL_METRICS_BYTES, "the metrics fit");
static inline uint64_t channel_metrics_at(const struct channel_geometry *geometry)
{
    return CHANNEL_HEAD_BYTES + (uint64_t)geometry->depth * geometry->output_slot_bytes;
}

struct channel_task_wire {
    uint64_t task_id;
    int64_t base_offset;
    int64_t base_timestamp;
    uint64_t connection;
    int32_t partition;
    uint32_t timeout_ms;
    uint32_t record_count;
    uint32_t first;
    uint32_t limit;
    uint32_t records_size;
    uint32_t topic_size;
    uint32_t principal_size;
    uint32_t listener_size;
    uint32_t client_id_size;
    uint32_t client_host_size;
    uint32_t has_trace_id;
    uint8_t trace_id[16];
    uint64_t state_token;
    uint64_t state_next;
    uint32_t is_state;
    uint32_t reserved;
};
#define CHANNEL_RECORDS_AT 128u
_Static_assert(sizeof(struct channel_task_wire) <= CHANNEL_RECORDS_AT, "task head fits");

struct channel_result_wire {
    uint32_t magic;
    int32_t status;
    uint32_t items_size;
    uint32_t error_size;
    uint32_t deltas_size;
    uint32_t delta_count;
    uint32_t state_missing;
    uint32_t progress; /* of a task that failed, as channel_progress; CHANNEL_NULL: not known */
};
struct channel_item {
    uint32_t kind; /* SANDBOX_VERDICT_*, never PASS */
    uint32_t index;
    uint32_t size; /* of the whole item, multiple of 8 */
    uint32_t reason_size;
};
struct channel_emit {
    int64_t timestamp;
    int32_t partition;
    uint32_t topic_size;
    uint32_t key_size;
    uint32_t value_size;
    uint32_t header_count;
    uint32_t headers_size;
};
#define CHANNEL_EMIT_VALUE_AT \
    ((uint32_t)(sizeof(struct channel_item) + sizeof(struct channel_emit)))

/* Where the task with the number `task` was: the record that it had begun, as far as is said. Each
 * word is read once. CHANNEL_NULL: not known, or not a record of it. */
static inline uint32_t channel_progress_index(const struct channel_progress *progress,
                                              uint32_t task, uint32_t limit)
{
    const uint32_t said = progress->plugin.index;
    const uint32_t done = atomic_load_explicit(&progress->done, memory_order_relaxed);
    const uint32_t index = said != CHANNEL_NULL ? said : done;

    return atomic_load_explicit(&progress->task, memory_order_relaxed) == task && index < limit
               ? index
               : CHANNEL_NULL;
}

/* Checks all items in private memory and counts the emits (verdicts.c). */
bool channel_item_check_all(const uint8_t *items, struct sandbox_result *result);

static inline uint32_t channel_pad8(uint32_t size)
{
    return (size + 7u) & ~7u;
}

#endif
