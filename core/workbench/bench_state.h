/* bench_state.h: the state of a stage on the workbench: what it is before the first record and what
 * the deltas of results make of it. All memory is the arena's. One thread. */
#ifndef SL_WORKBENCH_BENCH_STATE_H
#define SL_WORKBENCH_BENCH_STATE_H

#include "workbench/bench_run.h"

#include <sandbox/state_delta.h>

/* The input's state as deltas. E_NO_MEMORY, E_LIMIT. */
sl_err bench_state_write(const struct bench_input *input, struct sl_buffer *out) SL_MUST_CHECK;
/* The outcome's is the input's. False: no memory. */
bool bench_state_begin(struct bench_outcome *outcome, struct config_arena *arena,
                       const struct bench_input *input) SL_MUST_CHECK;
/* The deltas of a result count. E_NO_MEMORY. */
sl_err bench_state_take(struct bench_outcome *outcome, struct config_arena *arena,
                        const struct sandbox_result *result) SL_MUST_CHECK;

#endif
