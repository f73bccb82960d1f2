/* roll.c: see roll.h. */
#include "shard/roll.h"

#include "shard/partition.h"
#include "shard/seal.h"

#define INTERVAL_MS 1000
#define NEVER       INT64_MAX

void roll_init(struct shard *shard)
{
    shard->roll = (struct roll){.oldest_ms = NEVER, .least_ms = NEVER, .noted_ms = NEVER};
}

void roll_fini(struct shard *shard)
{
    space_walk_end(&shard->space, &shard->roll.walk);
}

int64_t roll_age_ms(const struct shard *shard)
{
    int64_t age_ms = shard->config.seal.age_max_ms;
    return SL_MIN(age_ms > 0 ? age_ms : ROLL_AGE_MAX_MS, shard->roll.least_ms);
}

uint64_t roll_due_below(const struct shard *shard)
{
    return shard->roll.due_below;
}

int64_t roll_due_ms(const struct shard *shard)
{
    const struct roll *roll = &shard->roll;
    if (roll->oldest_ms == NEVER || shard->status != SLUICE_OK) {
        return NEVER;
    }
    int64_t due_ms = roll->oldest_ms + roll_age_ms(shard);
    due_ms = roll->sizes_matter ? SL_MIN(due_ms, roll->oldest_ms + INTERVAL_MS) : due_ms;
    return SL_MAX(due_ms, roll->not_before_ms);
}

/* ---- what is written ---- */

static bool note_settings(struct shard *shard, const struct topic_settings *settings)
{
    struct roll *roll = &shard->roll;
    bool is_less = settings->segment_ms < roll->least_ms;
    roll->noted_ms = SL_MIN(roll->noted_ms, settings->segment_ms);
    roll->least_ms = SL_MIN(roll->least_ms, settings->segment_ms);
    roll->sizes_matter =
        roll->sizes_matter || (uint64_t)settings->segment_bytes < seal_bytes_enough(shard);
    return is_less;
}

void roll_note(struct shard *shard, const struct partition *partition)
{
    struct roll *roll = &shard->roll;
    bool is_first = roll->oldest_ms == NEVER;
    bool is_less = note_settings(shard, partition->topic->settings);
    if (is_first) {
        roll->oldest_ms = shard_now_ms(shard);
    }
    if (is_first || is_less) {
        shard_schedule(shard);
    }
}

void roll_topic_changed(struct shard *shard, const struct topic_settings *settings)
{
    note_settings(shard, settings);
    shard_schedule(shard);
}

void roll_sealed(struct shard *shard)
{
    shard->roll.oldest_ms = NEVER;
}

void roll_pass_begin(struct shard *shard)
{
    shard->roll.noted_ms = NEVER;
}

void roll_pass_end(struct shard *shard, int64_t least_ms)
{
    shard->roll.least_ms = SL_MIN(least_ms, shard->roll.noted_ms);
    shard_schedule(shard);
}

/* ---- rolling ---- */

static void roll_now(struct shard *shard, int64_t now_ms)
{
    struct roll *roll = &shard->roll;
    struct wal_status log;
    roll->not_before_ms = now_ms + INTERVAL_MS;
    commit_log_status(shard->log, &log);
    if (commit_log_rotate(shard->log)) {
        roll->due_below = log.last_segment + 1;
        roll->oldest_ms = NEVER;
    }
}

static bool is_large(const struct shard *shard, const struct partition *partition)
{
    uint32_t count = 0;
    uint64_t bytes = 0;
    const struct stream_run *runs = stream_index_unsealed(&partition->index, &count);
    if (runs == NULL || partition->topic == NULL || partition->unsealable) {
        return false;
    }
    for (uint32_t i = count; i > 0 && runs[i - 1].place.segment >= shard->roll.due_below; i--) {
        bytes += runs[i - 1].place.size;
    }
    return bytes >= (uint64_t)partition->topic->settings->segment_bytes;
}

/* A slice of those that have records in the log. */
static void look_for_sizes(struct shard *shard, int64_t now_ms)
{
    struct roll *roll = &shard->roll;
    if (!roll->walk.active) {
        space_walk_begin(&shard->space, &roll->walk);
        roll->sizes_matter = false;
    }
    for (uint32_t i = 0; i < SPACE_SLICE; i++) {
        const struct partition *partition = space_walk_next(&roll->walk);
        if (partition == NULL) {
            space_walk_end(&shard->space, &roll->walk);
            roll->not_before_ms = SL_MAX(roll->not_before_ms, now_ms + INTERVAL_MS);
            return;
        }
        roll->sizes_matter =
            roll->sizes_matter ||
            (uint64_t)partition->topic->settings->segment_bytes < seal_bytes_enough(shard);
        if (is_large(shard, partition)) {
            space_walk_end(&shard->space, &roll->walk);
            roll->sizes_matter = true;
            roll_now(shard, now_ms);
            return;
        }
    }
}

int64_t roll_tick(struct shard *shard, int64_t now_ms)
{
    struct roll *roll = &shard->roll;
    if (!shard->started || now_ms < roll_due_ms(shard)) {
        return shard->started ? roll_due_ms(shard) : NEVER;
    }
    if (now_ms >= roll->oldest_ms + roll_age_ms(shard)) {
        roll_now(shard, now_ms);
    } else {
        look_for_sizes(shard, now_ms);
    }
    return SL_MAX(roll_due_ms(shard), now_ms + 1);
}
