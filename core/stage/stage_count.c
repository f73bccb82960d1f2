/* stage_count.c: the last error, which other threads read (stage_count.h). */
#include "stage/stage_count.h"

#include <stdio.h>
#include <string.h>

static void lock(struct stage_error *error)
{
    while (atomic_flag_test_and_set_explicit(&error->locked, memory_order_acquire)) {
        __builtin_ia32_pause();
    }
}

void stage_error_set(struct stage_counts *counts, int64_t wall_ms, const char *text)
{
    struct stage_error *error = &counts->error;
    lock(error);
    error->time_ms = wall_ms;
    snprintf(error->text, sizeof(error->text), "%s", text);
    atomic_flag_clear_explicit(&error->locked, memory_order_release);
}

void stage_error_newest(struct stage_counts *counts, struct stage_error *ret_error)
{
    struct stage_error *error = &counts->error;
    lock(error);
    if (error->time_ms > ret_error->time_ms) {
        ret_error->time_ms = error->time_ms;
        memcpy(ret_error->text, error->text, sizeof(error->text));
    }
    atomic_flag_clear_explicit(&error->locked, memory_order_release);
}
