/* native_runs.h: runs of offsets, by rising offset; pure. [any] */
#ifndef FRONTEND_NATIVE_NATIVE_RUNS_H
#define FRONTEND_NATIVE_NATIVE_RUNS_H

#include <stdbool.h>
#include <stdint.h>

struct native_run {
    int64_t first;
    int64_t last; /* inclusive */
};
struct native_runs {
    struct native_run *items; /* owned; they neither overlap nor touch */
    uint32_t count;
    uint32_t room;
};

/* False: no memory; nothing changed. */
bool native_runs_add(struct native_runs *runs, int64_t first, int64_t last);
/* What is in [first, last] goes; without memory for a half that is left, the other half goes too.
 */
void native_runs_remove(struct native_runs *runs, int64_t first, int64_t last);
void native_runs_fini(struct native_runs *runs);

#endif
