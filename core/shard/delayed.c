/* delayed.c: see delayed.h. */
#include "shard/delayed.h"

#include "base/status.h"
#include "shard/commit.h"
#include "shard/fetch.h"
#include "shard/log_start.h"

#include <string.h>

#define ROUND_BATCHES_MAX 128u
#define ROUND_BYTES       (1u << 20) /* of one read; a larger batch comes alone */
#define BACKOFF_MS        250
#define BACKOFF_MS_MAX    8000
#define LOOK_MS           60000 /* the wall clock may have been set */
/* The oldest is written anew when more lies behind it than waits, by so many records. */
#define SPARSE_RECORDS 100000

struct delay_step {
    struct delay_round *round;
    struct delay_entry *entry;
    struct commit commit;
    struct commit_batch batch;
    struct wal_item items[3];
    uint8_t ends[DELAY_ITEM_SIZE], begins[DELAY_ITEM_SIZE];
    bool moves; /* to the end of the stream, not to its partition */
};

/* What is read at once and appended. */
struct delay_round {
    struct shard *shard;
    struct sluice_context context; /* of the read: empty */
    struct sluice_fetch_entry read;
    struct delay_entry *first; /* that the read begins with */
    bool moves;
    uint8_t *copy; /* owned: batches are stamped where they lie */
    uint32_t step_count;
    uint32_t pending_count; /* steps under way, and one until all were begun */
    sl_err err;             /* the first */
    struct delay_step steps[ROUND_BATCHES_MAX];
    struct log_start start;
    struct log_start_move start_move;
    struct wal_item start_item;
};

struct partition *delayed_stream(struct shard *shard)
{
    struct topic *topic = catalog_by_name(shard->catalog, sl_bytes_of_text(DELAYED_TOPIC));
    struct partition *partition = NULL;
    for (uint32_t i = 0; topic != NULL && i < topic->partition_count; i++) {
        if (shard_of_partition(shard->set, topic, i) == shard) {
            return partition_open(shard, topic, i, &partition) == SLUICE_OK ? partition : NULL;
        }
    }
    return NULL;
}

/* ---- the end of a round ---- */

static void start_raised(struct log_start *start, sl_err err)
{
    struct delay_round *self = SL_CONTAINER_OF(start, struct delay_round, start);
    struct shard *shard = self->shard;
    (void)err; /* the next round tries again */
    sl_free(self);
    shard->delayed.raising = false;
    shard_request_end(shard);
}

/* The log start follows what waits. False: it is where it shall be. */
static bool start_raise(struct delay_round *self)
{
    struct shard *shard = self->shard;
    const struct delay_entry *oldest = delay_book_oldest(&shard->delayed.book);
    struct partition *stream = delayed_stream(shard);
    if (stream == NULL || shard->delayed.raising) {
        return false;
    }
    int64_t wanted = partition_end(stream);
    wanted = oldest != NULL ? SL_MIN(wanted, oldest->offset) : wanted;
    if (wanted <= partition_start(stream) || stream->pending_batches > 0) {
        return false;
    }
    if (partition_is_in_memory(stream)) {
        log_start_move_now(stream, wanted);
        return false;
    }
    self->start = (struct log_start){.shard = shard,
                                     .moves = &self->start_move,
                                     .items = &self->start_item,
                                     .done = start_raised};
    log_start_add(&self->start, stream, wanted);
    shard->delayed.raising = log_start_submit(&self->start) == SLUICE_OK;
    return shard->delayed.raising;
}

static void round_end(struct delay_round *self)
{
    struct shard *shard = self->shard;
    struct delayed *delayed = &shard->delayed;
    delayed->round = NULL;
    sl_free(self->copy);
    self->copy = NULL;
    if (self->err == SLUICE_OK) {
        delayed->backoff_ms = 0;
    } else {
        delayed->backoff_ms =
            SL_MIN(SL_MAX(delayed->backoff_ms * 2, (int64_t)BACKOFF_MS), (int64_t)BACKOFF_MS_MAX);
        delayed->retry_ms = shard_now_ms(shard) + delayed->backoff_ms;
        if (shard->status == SLUICE_OK && delayed->backoff_ms == BACKOFF_MS) {
            sl_log(shard->logger, SL_LOG_WARN, "delayed", "records whose time has come wait",
                   sl_log_text("cause", sl_status_text(self->err)));
        }
    }
    shard_schedule(shard);
    if (!start_raise(self)) {
        sl_free(self);
        shard_request_end(shard);
    }
}

static void round_done_one(struct delay_round *self, sl_err err)
{
    self->err = self->err != SLUICE_OK ? self->err : err;
    if (--self->pending_count == 0) {
        round_end(self);
    }
}

/* ---- a step ---- */

static void step_done(struct commit *commit, sl_err err)
{
    struct delay_step *step = SL_CONTAINER_OF(commit, struct delay_step, commit);
    struct delayed *delayed = &step->round->shard->delayed;
    if (err != SLUICE_OK) {
        delay_book_put_back(&delayed->book, step->entry);
    } else if (step->moves) {
        delay_book_move(&delayed->book, step->entry, step->batch.base_offset);
        delay_book_put_back(&delayed->book, step->entry);
    } else {
        delayed->appended += step->entry->record_count;
        delay_book_remove(&delayed->book, step->entry);
    }
    round_done_one(step->round, err);
}

static struct wal_item item_of(uint8_t payload[DELAY_ITEM_SIZE])
{
    return (struct wal_item){.kind = WAL_ITEM_DELAY,
                             .version = DELAY_ITEM_VERSION,
                             .payload = {payload, DELAY_ITEM_SIZE}};
}

/* NULL: its topic is gone. */
static struct partition *target_of(struct shard *shard, const struct delay_step *step, sl_err *err)
{
    struct topic *topic = catalog_by_id(shard->catalog, &step->entry->topic);
    struct partition *partition = NULL;
    if (step->moves) {
        return delayed_stream(shard);
    }
    if (topic == NULL || step->entry->partition >= topic->partition_count) {
        return NULL;
    }
    *err = partition_open(shard, topic, step->entry->partition, &partition);
    return partition;
}

/* The batch goes where it shall, and waits no more: one unit. Without a batch it only waits no
 * more. */
static sl_err step_submit(struct delay_step *step, uint8_t *data, uint32_t size)
{
    struct shard *shard = step->round->shard;
    sl_err err = SLUICE_OK;
    struct partition *target = data == NULL ? NULL : target_of(shard, step, &err);
    if (err != SLUICE_OK) {
        return err;
    }
    bool has_batch = target != NULL;
    shard->delayed.dropped += has_batch ? 0 : step->entry->record_count;
    step->batch = (struct commit_batch){.partition = target, .data = data, .size = size};
    delay_item_encode(step->entry, step->entry->offset, true, step->ends);
    step->items[has_batch] = item_of(step->ends);
    if (step->moves && has_batch) {
        delay_item_encode(step->entry, target->next_offset, false, step->begins);
        step->items[2] = item_of(step->begins);
    }
    step->commit = (struct commit){.shard = shard,
                                   .batches = &step->batch,
                                   .batch_count = has_batch,
                                   .items = step->items,
                                   .extra_count = step->moves && has_batch ? 2 : 1,
                                   .done = step_done};
    return commit_submit(&step->commit);
}

/* Takes the entry. False: nothing more can be begun now. */
static bool step_begin(struct delay_round *self, struct delay_entry *entry, uint8_t *data,
                       uint32_t size)
{
    struct delay_step *step = &self->steps[self->step_count++];
    *step = (struct delay_step){.round = self, .entry = entry, .moves = self->moves};
    delay_book_take(&self->shard->delayed.book, entry);
    self->pending_count++;
    sl_err err = step_submit(step, data, size);
    if (err != SLUICE_OK) {
        delay_book_put_back(&self->shard->delayed.book, entry);
        round_done_one(self, err);
    }
    return err == SLUICE_OK;
}

/* ---- what was read ---- */

/* The batch that begins at the offset: where in what was read, and its size; 0: it is not there. */
static uint32_t batch_at(struct sl_bytes records, int64_t offset, size_t *ret_at)
{
    struct batch_view view;
    for (size_t at = 0; at < records.size; at += view.size) {
        struct sl_bytes rest = {records.data + at, records.size - at};
        if (batch_view_init(&view, rest) != SLUICE_OK) {
            break;
        }
        if (batch_view_base_offset(&view) == offset) {
            *ret_at = at;
            return (uint32_t)view.size;
        }
    }
    return 0;
}

/* In the order of their times, as far as they were read. They are looked up as they were stored:
 * those of the copy get other offsets meanwhile. */
static void round_append(struct delay_round *self, struct sl_bytes records)
{
    struct delayed *delayed = &self->shard->delayed;
    int64_t wall_ms = shard_wall_ms(self->shard);
    struct delay_entry *entry = self->moves ? self->first : delay_book_next(&delayed->book);
    while (entry != NULL && self->step_count < ROUND_BATCHES_MAX) {
        size_t at = 0;
        bool is_due = self->moves || entry->due_ms <= wall_ms;
        uint32_t size = is_due ? batch_at(records, entry->offset, &at) : 0;
        if (size == 0 || !step_begin(self, entry, self->copy + at, size) || self->moves) {
            break;
        }
        entry = delay_book_next(&delayed->book);
    }
}

static void round_read(void *arg, const struct sluice_fetch_result *results, uint32_t count,
                       int32_t throttle_ms)
{
    struct delay_round *self = arg;
    const struct sluice_fetch_result *result = results;
    (void)throttle_ms;
    sl_err err = count == 1 ? result->status : SLUICE_E_NO_MEMORY;
    size_t size = err == SLUICE_OK ? (size_t)result->records.size : 0;
    self->pending_count = 1;
    if (size > 0 && (self->copy = sl_alloc(size)) == NULL) {
        err = SLUICE_E_NO_MEMORY;
    } else if (size > 0) {
        memcpy(self->copy, result->records.data, size);
        round_append(self, (struct sl_bytes){result->records.data, size});
    }
    bool is_lost = err == SLUICE_E_CORRUPT || err == SLUICE_E_DAMAGED_RECORDS ||
                   err == SLUICE_E_OFFSET_OUT_OF_RANGE ||
                   (err == SLUICE_OK && self->step_count == 0);
    if (is_lost) {
        sl_log(self->shard->logger, SL_LOG_ERROR, "delayed",
               "records that waited are damaged, and are not appended",
               sl_log_i64("offset", self->first->offset));
        (void)step_begin(self, self->first, NULL, 0);
        err = SLUICE_OK;
    }
    round_done_one(self, err);
}

/* ---- the begin of a round ---- */

static void round_start(struct shard *shard, struct partition *stream, struct delay_entry *entry,
                        bool moves)
{
    struct delay_round *self = sl_alloc_zero(1, sizeof(*self));
    if (self == NULL) {
        shard->delayed.retry_ms = shard_now_ms(shard) + BACKOFF_MS;
        return;
    }
    shard_request_begin(shard);
    shard->delayed.round = self;
    self->shard = shard;
    self->first = entry;
    self->moves = moves;
    self->context = (struct sluice_context){.size = sizeof(self->context)};
    self->read = (struct sluice_fetch_entry){.topic = {.name = {"", 0}},
                                             .partition = (int32_t)stream->number,
                                             .leader_epoch = -1,
                                             .offset = entry->offset,
                                             .bytes_max = (int32_t)ROUND_BYTES,
                                             .last_epoch = -1};
    memcpy(self->read.topic.id.bytes, partition_topic_id(stream)->b, 16);
    const struct sluice_fetch fetch = {.size = sizeof(fetch),
                                       .bytes_max = (int32_t)ROUND_BYTES,
                                       .isolation = SLUICE_ISOLATION_UNCOMMITTED,
                                       .entry_count = 1,
                                       .entries = &self->read};
    fetch_start(shard, &self->context, &fetch, NULL, NULL, round_read, self);
}

/* Much lies behind the oldest, and little of it waits. */
static bool is_sparse(const struct delay_book *book, const struct partition *stream)
{
    const struct delay_entry *oldest = delay_book_oldest(book);
    return oldest != NULL && partition_end(stream) - oldest->offset >
                                 2 * (int64_t)book->record_count + SPARSE_RECORDS;
}

int64_t delayed_due_ms(const struct shard *shard)
{
    const struct delayed *delayed = &shard->delayed;
    const struct delay_entry *next = delay_book_next(&delayed->book);
    if (next == NULL || delayed->round != NULL || shard->status != SLUICE_OK || shard->stopping) {
        return INT64_MAX;
    }
    int64_t left_ms = SL_MAX(next->due_ms - shard_wall_ms(shard), 0);
    return SL_MAX(shard_now_ms(shard) + SL_MIN(left_ms, (int64_t)LOOK_MS), delayed->retry_ms);
}

int64_t delayed_tick(struct shard *shard, int64_t now_ms)
{
    struct delayed *delayed = &shard->delayed;
    bool may_start = delayed_due_ms(shard) != INT64_MAX && now_ms >= delayed->retry_ms;
    struct partition *stream = may_start ? delayed_stream(shard) : NULL;
    struct delay_entry *next = delay_book_next(&delayed->book);
    if (may_start && stream == NULL) {
        delayed->retry_ms = now_ms + BACKOFF_MS;
    } else if (may_start && next->due_ms <= shard_wall_ms(shard)) {
        round_start(shard, stream, next, false);
    } else if (may_start && is_sparse(&delayed->book, stream)) {
        round_start(shard, stream, delay_book_oldest(&delayed->book), true);
    }
    return delayed_due_ms(shard);
}
