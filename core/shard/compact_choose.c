/* compact_choose.c: which partition is worth compacting (compact_job.h). */
#include "shard/compact_job.h"

void compact_choice_begin(struct compact_choice *choice, struct shard *shard)
{
    *choice = (struct compact_choice){.at = shard->partitions, .wall_ms = shard_wall_ms(shard)};
}

void compact_choice_skip(struct compact_choice *choice, const struct partition *partition)
{
    if (choice->at == partition) {
        choice->at = partition->next;
    }
    if (choice->looking == partition) {
        choice->looking = NULL;
    }
    if (choice->best == partition) {
        choice->best = NULL;
        choice->best_ratio = 0;
    }
}

static bool is_in_extent(const struct stream_run *run)
{
    return (run->place.segment & WAL_PLACE_EXTENT) != 0;
}

static bool may_be_dirty(const struct partition *partition)
{
    struct stream_run run;
    return partition->topic->settings->compact && !partition->uncompactable &&
           stream_index_find(&partition->index, partition->clean_offset, &run) &&
           is_in_extent(&run);
}

static struct compact_look look_begin(const struct partition *partition)
{
    int64_t start = partition_start(partition);
    int64_t clean = SL_MAX(partition->clean_offset, start);
    return (struct compact_look){
        .clean_offset = clean, .end_offset = clean, .offset = start, .oldest_ms = INT64_MAX};
}

/* When its newest record was written, as far as is known. */
static int64_t newest_ms(const struct stream_run *run)
{
    return run->max_timestamp >= 0 ? run->max_timestamp : run->max_timestamp - INT64_MIN;
}

/* Looks at runs of one partition; returns how many; *ret_done: at all that may be compacted. */
static uint32_t look_on(struct compact_choice *choice, uint32_t runs_max, bool *ret_done)
{
    struct compact_look *look = &choice->look;
    const struct partition *partition = choice->looking;
    int64_t lag_ms = partition->topic->settings->min_compaction_lag_ms;
    int64_t young_ms = lag_ms > choice->wall_ms ? 0 : choice->wall_ms - lag_ms;
    struct stream_run run;
    uint32_t count = 0;
    *ret_done = false;
    for (; count < runs_max; count++) {
        bool more = stream_index_find(&partition->index, look->offset, &run) && is_in_extent(&run);
        /* Nothing of an open transaction, nor what lies behind its first record. */
        more = more && run.last_offset < partition_stable_end(partition);
        bool is_dirty = more && run.last_offset >= look->clean_offset;
        if (!more || (is_dirty && lag_ms > 0 && newest_ms(&run) > young_ms)) {
            *ret_done = true;
            break;
        }
        if (is_dirty) {
            look->dirty_bytes += run.place.size;
            look->oldest_ms = SL_MIN(look->oldest_ms, newest_ms(&run));
            look->end_offset = run.last_offset + 1;
        } else {
            look->clean_bytes += run.place.size;
        }
        look->offset = run.last_offset + 1;
    }
    return count;
}

static void judge(struct compact_choice *choice)
{
    const struct compact_look *look = &choice->look;
    struct partition *partition = choice->looking;
    const struct topic_settings *settings = partition->topic->settings;
    choice->looking = NULL;
    if (look->dirty_bytes == 0) {
        return;
    }
    double ratio = (double)look->dirty_bytes / (double)(look->dirty_bytes + look->clean_bytes);
    int64_t age_ms = SL_MAX(choice->wall_ms - look->oldest_ms, (int64_t)0);
    bool is_due = ratio > settings->min_dirty_ratio || age_ms > settings->max_compaction_lag_ms;
    if (is_due && ratio > choice->best_ratio) {
        choice->best = partition;
        choice->best_look = *look;
        choice->best_ratio = ratio;
    }
}

bool compact_choice_step(struct compact_choice *choice)
{
    uint32_t runs = 0;
    for (uint32_t i = 0; i < COMPACT_SLICE_STREAMS && runs < COMPACT_SLICE_RUNS; i++) {
        if (choice->looking == NULL) {
            if (choice->at == NULL) {
                return true;
            }
            struct partition *partition = choice->at;
            choice->at = partition->next;
            if (!may_be_dirty(partition)) {
                continue;
            }
            choice->looking = partition;
            choice->look = look_begin(partition);
        }
        bool done = false;
        runs += look_on(choice, COMPACT_SLICE_RUNS - runs, &done);
        if (done) {
            judge(choice);
        }
    }
    return choice->looking == NULL && choice->at == NULL;
}
