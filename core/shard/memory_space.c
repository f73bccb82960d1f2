/* memory_space.c: see memory_space.h. */
#include "shard/memory_space.h"

#include "shard/partition.h"
#include "wal/memory_log.h"

#define BUCKETS_MIN   64u
#define TELL_EVERY_MS 60000
#define LIVE_DIVISOR  2u /* moving more than that of a segment frees too little */

/* ---- buckets ---- */

static uint64_t number_of(uint64_t segment)
{
    return segment & ~WAL_PLACE_MEMORY;
}

static struct partition **bucket_of(const struct memory_space *space, uint64_t number)
{
    return &space->heads[number & space->mask];
}

static void link_in(struct memory_space *space, struct partition *partition, uint64_t number)
{
    struct partition **head = bucket_of(space, number);
    SL_ASSERT(number >= space->first && number - space->first <= space->mask);
    partition->unsealed_next = *head;
    partition->unsealed_previous_next = head;
    if (*head != NULL) {
        (*head)->unsealed_previous_next = &partition->unsealed_next;
    }
    *head = partition;
}

void memory_space_leave(struct partition *partition)
{
    if (partition->unsealed_previous_next == NULL) {
        return;
    }
    *partition->unsealed_previous_next = partition->unsealed_next;
    if (partition->unsealed_next != NULL) {
        partition->unsealed_next->unsealed_previous_next = partition->unsealed_previous_next;
    }
    partition->unsealed_next = NULL;
    partition->unsealed_previous_next = NULL;
}

/* Twice the buckets, until there is one for the number. */
static sl_err grow(struct memory_space *space, uint64_t number)
{
    uint64_t capacity = space->heads == NULL ? BUCKETS_MIN : space->mask + 1;
    while (number - space->first >= capacity) {
        capacity *= 2;
    }
    if (space->heads != NULL && capacity == space->mask + 1) {
        return SLUICE_OK;
    }
    struct partition **heads = sl_alloc_zero((size_t)capacity, sizeof(*heads));
    if (heads == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    for (uint64_t i = 0; space->heads != NULL && i <= space->mask; i++) {
        struct partition *head = *bucket_of(space, space->first + i);
        heads[(space->first + i) & (capacity - 1)] = head;
        if (head != NULL) {
            head->unsealed_previous_next = &heads[(space->first + i) & (capacity - 1)];
        }
    }
    sl_free(space->heads);
    space->heads = heads;
    space->mask = capacity - 1;
    return SLUICE_OK;
}

sl_err memory_space_reserve(struct memory_space *space)
{
    struct wal_status status;
    commit_log_status(space->log, &status);
    return grow(space, number_of(status.first_segment) + status.segment_count + 1);
}

void memory_space_enter(struct memory_space *space, struct partition *partition, uint64_t segment)
{
    if (partition->unsealed_previous_next == NULL) {
        link_in(space, partition, number_of(segment));
    }
}

/* UINT64_MAX: it holds nothing. Where records were moved, later ones lie in older segments. */
static uint64_t oldest_of(const struct partition *partition)
{
    return partition->moved ? stream_index_lowest_segment(&partition->index)
                            : stream_index_oldest_segment(&partition->index);
}

/* To the bucket of what it holds now. */
static void relink(struct memory_space *space, struct partition *partition)
{
    uint64_t oldest = oldest_of(partition);
    memory_space_leave(partition);
    if (oldest != UINT64_MAX) {
        link_in(space, partition, number_of(oldest));
    } else {
        partition->moved = false;
    }
}

static uint64_t last_number(const struct memory_space *space)
{
    struct wal_status status;
    commit_log_status(space->log, &status);
    return number_of(status.last_segment);
}

/* False: something in the bucket is live. */
static bool empty_bucket(struct memory_space *space)
{
    struct partition **head = bucket_of(space, space->first);
    while (*head != NULL) {
        if (number_of(oldest_of(*head)) == space->first) {
            return false;
        }
        relink(space, *head);
    }
    return true;
}

void memory_space_freed(struct memory_space *space)
{
    if (space->log == NULL || space->heads == NULL) {
        return;
    }
    uint64_t last = last_number(space);
    while (space->first < last && empty_bucket(space)) {
        space->first++;
    }
    commit_log_release(space->log, WAL_PLACE_MEMORY | space->first);
}

/* ---- the bound ---- */

static bool may_drop(const struct partition *partition)
{
    const struct topic_settings *settings = partition->topic->settings;
    return settings->remove && (settings->retention_ms >= 0 || settings->retention_bytes >= 0);
}

static void tell(struct memory_space *space)
{
    int64_t now_ms = shard_now_ms(space->shard);
    if (space->told_ms != 0 && now_ms - space->told_ms < TELL_EVERY_MS) {
        return;
    }
    space->told_ms = SL_MAX(now_ms, (int64_t)1);
    sl_log(space->shard->logger, SL_LOG_WARN, "memory",
           "topics in memory fill memory.bytes_max: their oldest records go before their time",
           sl_log_u64("shard", space->shard->index),
           sl_log_u64("bytes_dropped", space->dropped_bytes));
}

/* Where the runs end that lie in the oldest segment; they are the first. */
static int64_t end_in_first(const struct memory_space *space, const struct partition *partition)
{
    struct stream_run run;
    int64_t at = partition_start(partition);
    while (stream_index_find(&partition->index, at, &run) &&
           run.place.segment == (WAL_PLACE_MEMORY | space->first)) {
        at = run.last_offset + 1;
    }
    return at;
}

static void drop_oldest(struct memory_space *space, struct partition *partition)
{
    int64_t start = partition_start(partition);
    uint64_t bytes = stream_index_bytes(&partition->index);
    stream_index_drop_below(&partition->index, end_in_first(space, partition));
    stream_index_shrink(&partition->index, partition->pending_batches);
    space->dropped_bytes += bytes - stream_index_bytes(&partition->index);
    space->dropped_records += (uint64_t)(partition_start(partition) - start);
    relink(space, partition);
    partition_notify(partition);
}

static uint64_t bytes_in_first(const struct memory_space *space, const struct partition *partition)
{
    struct stream_run run;
    uint64_t bytes = 0;
    int64_t at = partition_start(partition);
    while (stream_index_find(&partition->index, at, &run)) {
        bytes += run.place.segment == (WAL_PLACE_MEMORY | space->first) ? run.place.size : 0;
        at = run.last_offset + 1;
    }
    return bytes;
}

static sl_err move_oldest(struct memory_space *space, struct partition *partition)
{
    struct stream_run run;
    sl_err err = SLUICE_OK;
    int64_t at = partition_start(partition);
    partition->moved = true;
    while (err == SLUICE_OK && stream_index_find(&partition->index, at, &run)) {
        if (run.place.segment == (WAL_PLACE_MEMORY | space->first)) {
            struct wal_place place;
            err = memory_log_move(space->log, &run.place, &place);
            if (err == SLUICE_OK) {
                stream_index_move(&partition->index, run.base_offset, &place);
            }
        }
        at = run.last_offset + 1;
    }
    return err;
}

/* Takes from the oldest bucket whom it may, and says what the others hold there. */
static uint64_t drop_bucket(struct memory_space *space)
{
    uint64_t kept = 0;
    struct partition *partition = *bucket_of(space, space->first);
    while (partition != NULL) {
        struct partition *next = partition->unsealed_next;
        if (may_drop(partition)) {
            drop_oldest(space, partition);
        } else {
            kept += bytes_in_first(space, partition);
        }
        partition = next;
    }
    return kept;
}

static bool move_bucket(struct memory_space *space)
{
    if (memory_space_reserve(space) != SLUICE_OK) { /* for the segment that the move may add */
        return false;
    }
    struct partition **head = bucket_of(space, space->first);
    while (*head != NULL) {
        struct partition *partition = *head;
        if (move_oldest(space, partition) != SLUICE_OK) {
            return false;
        }
        relink(space, partition);
    }
    return true;
}

bool memory_space_make_room(struct memory_space *space)
{
    struct wal_status before;
    struct wal_status after;
    struct wal_segment_status segment;
    commit_log_status(space->log, &before);
    memory_space_freed(space);
    commit_log_status(space->log, &after);
    if (after.first_segment != before.first_segment || space->heads == NULL) {
        return after.first_segment != before.first_segment;
    }
    uint64_t oldest = WAL_PLACE_MEMORY | space->first;
    if (space->first >= last_number(space) || oldest != before.first_segment ||
        !commit_log_segment_status(space->log, oldest, &segment)) {
        return false; /* it is the one that is written to, or a reader has it */
    }
    uint64_t dropped = space->dropped_bytes;
    uint64_t kept = drop_bucket(space);
    if (space->dropped_bytes > dropped) {
        tell(space);
    }
    if (kept > segment.bytes / LIVE_DIVISOR || (kept > 0 && !move_bucket(space))) {
        return false;
    }
    memory_space_freed(space);
    commit_log_status(space->log, &after);
    return after.first_segment != before.first_segment;
}

/* ---- life ---- */

void memory_space_init(struct memory_space *space, struct shard *shard)
{
    *space = (struct memory_space){.shard = shard, .first = 1};
}

void memory_space_fini(struct memory_space *space)
{
    sl_free(space->heads);
    space->heads = NULL;
}
