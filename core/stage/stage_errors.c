/* stage_errors.c: see stage_errors.h. */
#include "stage/stage_errors.h"

#include <string.h>

const char *stage_pause_text(enum stage_pause cause)
{
    static const char *const texts[] = {
        [STAGE_PAUSE_NONE] = "",
        [STAGE_PAUSE_ROW] = "paused: every record fails",
        [STAGE_PAUSE_SHARE] = "paused: more than 1 % of the records of a minute fail",
        [STAGE_PAUSE_STOP] = "paused: a record failed (on_error: stop)",
    };
    return texts[cause];
}

void stage_watch_reset(struct stage_watch *watch)
{
    memset(watch->records, 0, sizeof(watch->records));
    memset(watch->failures, 0, sizeof(watch->failures));
}

/* Buckets between the newest and now are of seconds without records. */
static void advance(struct stage_watch *watch, int64_t second)
{
    int64_t from = SL_MAX(watch->second + 1, second - (int64_t)STAGE_WATCH_SECONDS + 1);
    for (int64_t s = from; s <= second; s++) {
        watch->records[s % STAGE_WATCH_SECONDS] = 0;
        watch->failures[s % STAGE_WATCH_SECONDS] = 0;
    }
    watch->second = SL_MAX(watch->second, second);
}

bool stage_watch_count(struct stage_watch *watch, int64_t now_ms, uint64_t records,
                       uint64_t failures)
{
    uint64_t all = 0;
    uint64_t failed = 0;
    advance(watch, now_ms / 1000);
    watch->records[watch->second % STAGE_WATCH_SECONDS] += (uint32_t)records;
    watch->failures[watch->second % STAGE_WATCH_SECONDS] += (uint32_t)failures;
    if (failures == 0) {
        return false;
    }
    for (uint32_t i = 0; i < STAGE_WATCH_SECONDS; i++) {
        all += watch->records[i];
        failed += watch->failures[i];
    }
    return failed >= STAGE_FAILURES_MIN && failed * STAGE_FAILURES_ONE_IN > all;
}

void stage_watch_pull(struct stage_watch *watch, enum stage_pause cause)
{
    uint32_t none = STAGE_PAUSE_NONE;
    if (atomic_compare_exchange_strong(&watch->brake->cause, &none, (uint32_t)cause) &&
        watch->pulled != NULL) {
        watch->pulled(watch->pulled_arg, cause);
    }
}
