/* retention.c: see retention.h. */
#include "shard/retention.h"

#include "shard/log_start.h"

#define FIRST_CHECK_MS   30000 /* as Kafka's; a shorter interval holds */
#define MOVES_MAX        256u  /* in one unit, about 16 KiB: below the least wal.frame_bytes_max */
#define SLICE_PARTITIONS 512u  /* a turn looks at so many partitions … */
#define SLICE_RUNS       4096u /* … and takes so many runs */
#define NEXT_TURN_MS     1

struct retention {
    struct shard *shard;
    bool walking;
    bool moving;          /* `start` is under way */
    struct partition *at; /* next of the walk; NULL: its end */
    int64_t due_ms;       /* next slice of a walk, else next walk */
    int64_t check_ms;     /* next walk */
    int64_t wall_ms;      /* when the walk began: one age for all */
    struct log_start start;
    struct log_start_move moves[MOVES_MAX];
    struct wal_item items[MOVES_MAX];
};

static void moved(struct log_start *start, sl_err err SL_UNUSED)
{
    struct retention *self = SL_CONTAINER_OF(start, struct retention, start);
    self->start.count = 0;
    self->moving = false;
    shard_schedule(self->shard);
}

struct retention *retention_new(struct shard *shard)
{
    struct retention *self = sl_alloc_zero(1, sizeof(*self));
    if (self != NULL) {
        self->shard = shard;
        self->check_ms = self->due_ms = INT64_MAX;
        self->start = (struct log_start){
            .shard = shard, .moves = self->moves, .items = self->items, .done = moved};
    }
    return self;
}

struct retention *retention_free(struct retention *self)
{
    sl_free(self);
    return NULL;
}

static int64_t interval_ms(const struct retention *self)
{
    return self->shard->config.settings->retention_check_interval_ms;
}

void retention_start(struct retention *self, int64_t now_ms)
{
    self->check_ms = self->due_ms = now_ms + SL_MIN(interval_ms(self), (int64_t)FIRST_CHECK_MS);
}

void retention_skip(struct retention *self, const struct partition *partition)
{
    if (self != NULL && self->at == partition) {
        self->at = partition->next;
    }
}

static struct stream_limits limits_of(const struct retention *self, const struct topic *topic)
{
    int64_t keep_ms = topic->settings->retention_ms;
    int64_t keep_bytes = topic->settings->retention_bytes;
    return (struct stream_limits){
        .oldest_ms = keep_ms < 0 ? INT64_MIN : self->wall_ms - keep_ms,
        .bytes_max = keep_bytes < 0 ? UINT64_MAX : (uint64_t)keep_bytes,
        .runs_max = SLICE_RUNS,
    };
}

/* Looks at one partition; returns how many of its runs go. */
static uint32_t look(struct retention *self, struct partition *partition)
{
    const struct topic *topic = partition->topic;
    if (!topic->settings->remove) {
        return 0;
    }
    struct stream_limits limits = limits_of(self, topic);
    uint32_t runs = 0;
    int64_t offset = stream_index_excess(&partition->index, &limits, &runs);
    if (offset > partition_start(partition) && partition_is_in_memory(partition)) {
        log_start_move_now(partition, offset);
    } else if (offset > partition_start(partition)) {
        log_start_add(&self->start, partition, offset);
    }
    return runs;
}

static void submit(struct retention *self)
{
    sl_err err = self->start.count == 0 ? SLUICE_OK : log_start_submit(&self->start);
    self->moving = err == SLUICE_OK && self->start.count > 0;
    if (err != SLUICE_OK) {
        self->start.count = 0;
        self->at = NULL; /* the next walk finds them again */
    }
}

static void slice(struct retention *self)
{
    uint32_t runs = 0;
    for (uint32_t i = 0; i < SLICE_PARTITIONS && self->at != NULL && runs < SLICE_RUNS &&
                         self->start.count < MOVES_MAX;
         i++) {
        uint32_t taken = look(self, self->at);
        if (taken < SLICE_RUNS) { /* else there may be more: looked at again when these are gone */
            self->at = self->at->next;
        }
        runs += taken;
    }
    if (self->at == NULL || runs >= SLICE_RUNS || self->start.count == MOVES_MAX) {
        submit(self);
    }
    self->walking = self->at != NULL;
}

int64_t retention_tick(struct retention *self, int64_t now_ms)
{
    if (self->shard->status != SLUICE_OK || self->moving || now_ms < self->due_ms) {
        return retention_due_ms(self);
    }
    if (!self->walking) {
        self->walking = true;
        self->check_ms = now_ms + interval_ms(self);
        self->wall_ms = shard_wall_ms(self->shard);
        self->at = self->shard->partitions;
    }
    slice(self);
    self->due_ms = self->walking ? now_ms + NEXT_TURN_MS : self->check_ms;
    return retention_due_ms(self);
}

int64_t retention_due_ms(const struct retention *self)
{
    /* A shard that failed keeps what it has; the end of a move schedules the rest. */
    return self->shard->status != SLUICE_OK || self->moving ? INT64_MAX : self->due_ms;
}
