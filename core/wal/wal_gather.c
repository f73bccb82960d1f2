/* wal_gather.c: whether a commit that could begin waits for more units.
 *
 * Those that a commit acknowledged come again one after the other. A commit that began with the
 * first of them would keep all others waiting for two syncs, and there were two where one would do.
 * So after a commit of many units the next one begins when most of as many are there again, or as
 * soon as sockets bring nothing more: between two looks at them the loop does whatever else it has
 * to. Few units, and those that want no sync, never wait. */
#include "wal/wal_state.h"

#define UNITS_MIN  16u     /* of the commit before */
#define UNITS_MAX  200u    /* so many are a group in any case: what they used is in the cache yet */
#define IDLE_LOOKS 48u     /* in a row, that brought nothing: some 50 µs */
#define WAIT_NS    1000000 /* at most, whatever comes */

/* Of the units that wait for a commit: most of as many as the last one had. */
static bool has_many(const struct wal *wal)
{
    const struct wal_gather *gather = &wal->gather;
    uint32_t wanted = SL_MIN(gather->last_units - gather->last_units / 4, UNITS_MAX);
    return gather->queued_units >= wanted || wal->pending_bytes >= wal->limits.group_bytes_max / 2;
}

void wal_gather_end(struct wal *wal)
{
    if (wal->gather.waits)
        sl_timer_stop(wal->gather.timer);
    wal->gather.waits = false;
}

bool wal_gather_waits(struct wal *wal)
{
    struct wal_gather *gather = &wal->gather;
    if (gather->last_units < UNITS_MIN || wal->closing || wal->rotates || has_many(wal)) {
        wal_gather_end(wal);
        return false;
    }
    if (!gather->waits) {
        gather->waits = true;
        gather->looked = false;
        gather->seen_units = gather->idle_looks = 0;
        gather->begin_ns = 0;
        sl_timer_start(gather->timer, 0);
    }
    return true;
}

/* Timers that are due run without a look at sockets between them; tasks come before one. */
static void timer_fire(void *arg)
{
    struct wal *wal = arg;
    wal->gather.looked = true;
    if (!wal->kick.queued)
        sl_loop_post(wal->loop, &wal->kick);
}

void wal_gather_look(struct wal *wal)
{
    struct wal_gather *gather = &wal->gather;
    if (!gather->waits || !gather->looked)
        return;
    int64_t now_ns = sl_os_mono_ns(wal->os);
    if (gather->begin_ns == 0)
        gather->begin_ns = now_ns; /* the callbacks of the commit before have run */
    gather->looked = false;
    gather->idle_looks = gather->queued_units > gather->seen_units ? 0 : gather->idle_looks + 1;
    gather->seen_units = gather->queued_units;
    if (gather->idle_looks < IDLE_LOOKS && now_ns - gather->begin_ns < WAIT_NS)
        sl_timer_start(gather->timer, 0);
    else
        gather->last_units = 0; /* nothing to wait for any more */
}

void wal_gather_committed(struct wal *wal)
{
    const struct wal_commit *commit = &wal->commit;
    struct wal_gather *gather = &wal->gather;
    gather->last_units = 0;
    for (uint32_t i = 0; i < commit->frame_count; i++) {
        const struct wal_frame *frame = &commit->frames[i];
        gather->queued_units -= frame->unit_count;
        gather->last_units += frame->unit_count - frame->written_count;
    }
}

sl_err wal_gather_init(struct wal *wal)
{
    return sl_timer_new(wal->loop, timer_fire, wal, &wal->gather.timer);
}

void wal_gather_fini(struct wal *wal)
{
    wal->gather.timer = sl_timer_free(wal->gather.timer);
}
