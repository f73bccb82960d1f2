/* cases_state.h: what a test case says of a stage's state, and what it was. Values are written as a
 * script or a C plugin would store them: a script's have a type (docs/formats/state.md). */
#ifndef SL_WORKBENCH_CASES_STATE_H
#define SL_WORKBENCH_CASES_STATE_H

#include "workbench/cases.h"

/* The entries as the plugin stores them. NULL: no memory. */
struct bench_entry *case_entries_encode(struct config_arena *arena,
                                        const struct case_entry *entries, uint32_t count,
                                        bool is_script);
/* A stored value as people read it. */
void case_value_text(struct sl_bytes value, bool is_script, char ret_text[BENCH_TEXT_BYTES]);

/* One difference: key, what was expected, what is there; either may be NULL: nothing. */
typedef void case_entry_differs_fn(void *arg, const struct bench_entry *expected,
                                   const struct bench_entry *actual);
void case_entries_compare(const struct bench_entry *expected, uint32_t expected_count,
                          const struct bench_entry *actual, uint32_t actual_count,
                          case_entry_differs_fn *differs, void *arg);

#endif
