/* gate.h: a plugin before the log (DESIGN 5.2): batches of a producer to a worker, verdicts back.
 *
 *   produce (admitted) ─► open ─► worker, within the deadline ─► keep, rewrite, drop, reject;
 * records for other topics as batches of their own in the same commit unit ─► produce goes on
 *
 * In place the batch keeps offsets deltas, sequences and producer fields; a drop leaves a hole. One
 * rejected record refuses the batch, with each reason; with on_error: drop it is left out. Past the
 * deadline, and without a worker, the producer gets a retriable error: a gate fails closed. One
 * object per instance and shard, hung on the input's partitions. On the shard's loop. */
#ifndef SL_STAGE_GATE_H
#define SL_STAGE_GATE_H

#include "shard/produce.h"
#include "stage/stage_output.h"
#include "stage/worker_port.h"

#define GATE_DEADLINE_MS 50u

struct gate {
    struct partition_gate base; /* what a partition points at */
    struct worker_port *port;
    struct output_rules rules;
    uint32_t timeout_ms;
    struct stage_counts *counts;
    uint32_t pending; /* calls under way */
    bool closing;
    void (*closed)(void *arg); /* after gate_close, when no call is left */
    void *closed_arg;
};

/* The caller fills port, rules, timeout, counts, closed. [borrows all of it until closed] */
void gate_init(struct gate *gate);
/* No partition points at it any more; what is under way ends. closed follows, perhaps at once. */
void gate_close(struct gate *gate);

#endif
