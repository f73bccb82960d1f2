/* memory_log.c: see memory_log.h. Everything on the loop, but for reads under a pin. */
#include "wal/memory_log.h"

#include "base/bytes.h"

#include <string.h>

#define SEGMENTS_OF_BOUND   32u
#define SEGMENT_DEFAULT_MIN (64u << 10)
#define SEGMENT_DEFAULT_MAX (4u << 20)
#define SEGMENTS_SLACK      8u /* what is pinned, and the one that a move may add */
#define UNIT_DIVISOR        4u /* a unit takes at most such a part of the bound */
#define RESERVE_DIVISOR     16u
#define LAST_DIVISOR        32u

struct memory_segment {
    uint64_t seq;  /* without WAL_PLACE_MEMORY */
    uint64_t size; /* allocated */
    uint64_t used;
    int64_t created_ms;
    uint32_t pins;
    uint8_t bytes[];
};

struct memory_log {
    struct commit_log log;
    struct sl_os *os;
    struct sl_loop *loop;
    uint64_t bytes_max;
    uint64_t segment_bytes;

    /* Live segments without a gap, the last is written to: number n is in segments[n &
     * segment_mask]. The table never moves, so that a helper finds a pinned one in it. */
    struct memory_segment **segments;
    uint64_t segment_mask;
    uint64_t first_segment;
    uint64_t segment_count;
    uint64_t bytes; /* of all segments */
    uint64_t released_below;

    struct wal_unit *head, *tail; /* whose callbacks have not run */
    uint64_t unsettled_segment;   /* of the first of them */
    uint32_t pending_units;
    uint64_t pending_bytes;
    uint64_t last_lsn;
    uint64_t settled_lsn;
    int64_t time_ms;
    uint64_t frames;
    struct sl_task settle;
    bool settling;

    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
    struct sl_task closed_task;
};

static struct memory_log *memory_of(struct commit_log *log)
{
    return SL_CONTAINER_OF(log, struct memory_log, log);
}

static const struct memory_log *memory_of_const(const struct commit_log *log)
{
    return SL_CONTAINER_OF(log, const struct memory_log, log);
}

/* ---- segments ---- */

static struct memory_segment *segment_find(const struct memory_log *log, uint64_t segment)
{
    uint64_t seq = segment & ~WAL_PLACE_MEMORY;
    if (seq < log->first_segment || seq - log->first_segment >= log->segment_count) {
        return NULL;
    }
    return log->segments[seq & log->segment_mask];
}

static uint64_t last_seq(const struct memory_log *log)
{
    return log->first_segment + log->segment_count - 1; /* none: the number before the first */
}

static struct memory_segment *segment_last(const struct memory_log *log)
{
    return log->segment_count == 0 ? NULL : log->segments[last_seq(log) & log->segment_mask];
}

static uint64_t segment_size_for(const struct memory_log *log, uint64_t body_size)
{
    return SL_MAX(log->segment_bytes, body_size);
}

static bool fits_last(const struct memory_log *log, uint64_t body_size)
{
    const struct memory_segment *last = segment_last(log);
    return last != NULL && last->size - last->used >= body_size;
}

static sl_err segment_add(struct memory_log *log, uint64_t size,
                          struct memory_segment **ret_segment)
{
    if (log->segment_count > log->segment_mask) {
        return SLUICE_E_LOG_FULL;
    }
    struct memory_segment *segment = sl_alloc(sizeof(*segment) + (size_t)size);
    if (segment == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    *segment = (struct memory_segment){
        .seq = last_seq(log) + 1, .size = size, .created_ms = sl_os_wall_ms(log->os)};
    log->segments[segment->seq & log->segment_mask] = segment;
    log->segment_count++;
    log->bytes += size;
    *ret_segment = segment;
    return SLUICE_OK;
}

/* The last one, or a new one where it has no room. */
static sl_err segment_for(struct memory_log *log, uint64_t body_size,
                          struct memory_segment **ret_segment)
{
    struct memory_segment *last = segment_last(log);
    if (last != NULL && last->size - last->used >= body_size) {
        *ret_segment = last;
        return SLUICE_OK;
    }
    return segment_add(log, segment_size_for(log, body_size), ret_segment);
}

static void segments_drop(struct memory_log *log)
{
    while (log->segment_count > 1 && log->first_segment < log->released_below) {
        struct memory_segment *segment = log->segments[log->first_segment & log->segment_mask];
        if (segment->pins > 0) {
            return;
        }
        log->bytes -= segment->size;
        log->segments[log->first_segment & log->segment_mask] = NULL;
        sl_free(segment);
        log->first_segment++;
        log->segment_count--;
    }
}

static uint64_t unsettled_seq(const struct memory_log *log)
{
    bool settled = log->head == NULL && !log->settling;
    return settled ? last_seq(log) : SL_MIN(log->unsettled_segment, last_seq(log));
}

/* ---- submit ---- */

static uint64_t body_size_of(const struct wal_unit *unit)
{
    uint64_t size = 0;
    for (uint32_t i = 0; i < unit->item_count; i++) {
        size += unit->items[i].body_size;
    }
    return size;
}

static sl_err room_check(const struct memory_log *log, const struct wal_unit *unit, uint64_t size)
{
    if (log->closing) {
        return SLUICE_E_STOPPING;
    }
    if (size > log->bytes_max / UNIT_DIVISOR) {
        return SLUICE_E_BATCH_TOO_LARGE;
    }
    uint64_t reserve = unit->frees_space ? 0
                       : unit->reserve   ? log->bytes_max / LAST_DIVISOR
                                         : log->bytes_max / RESERVE_DIVISOR;
    if (size > 0 && !fits_last(log, size) &&
        log->bytes + segment_size_for(log, size) > log->bytes_max - reserve) {
        return SLUICE_E_LOG_FULL;
    }
    return SLUICE_OK;
}

static void body_copy(struct memory_segment *segment, struct wal_item *item)
{
    item->place = (struct wal_place){.segment = WAL_PLACE_MEMORY | segment->seq,
                                     .position = segment->used,
                                     .size = item->body_size};
    uint64_t end = segment->used + item->body_size;
    for (uint32_t i = 0; i < item->body_count; i++) {
        SL_ASSERT(segment->used + item->body[i].size <= end);
        memcpy(segment->bytes + segment->used, item->body[i].base, item->body[i].size);
        segment->used += item->body[i].size;
    }
    SL_ASSERT(segment->used == end);
}

static sl_err bodies_take(struct memory_log *log, struct wal_unit *unit, uint64_t size)
{
    struct memory_segment *segment = NULL;
    sl_err err = size == 0 ? SLUICE_OK : segment_for(log, size, &segment);
    if (err != SLUICE_OK) {
        return err;
    }
    for (uint32_t i = 0; i < unit->item_count; i++) {
        struct wal_item *item = &unit->items[i];
        item->place = (struct wal_place){0};
        if (item->body_size > 0 && segment != NULL) {
            body_copy(segment, item);
        }
    }
    return SLUICE_OK;
}

static sl_err log_submit(struct commit_log *base, struct wal_unit *unit)
{
    struct memory_log *log = memory_of(base);
    SL_ASSERT(sl_loop_is_current(log->loop));
    SL_ASSERT(unit->item_count > 0);
    uint64_t size = body_size_of(unit);
    uint64_t segment_before = last_seq(log);
    sl_err err = room_check(log, unit, size);
    err = err != SLUICE_OK ? err : bodies_take(log, unit, size);
    if (err != SLUICE_OK) {
        return err;
    }
    if (log->head == NULL && !log->settling) {
        log->unsettled_segment = SL_MAX(segment_before, log->first_segment);
    }
    unit->next = NULL;
    if (log->tail != NULL) {
        log->tail->next = unit;
    } else {
        log->head = unit;
    }
    log->tail = unit;
    log->pending_units++;
    log->pending_bytes += size;
    if (!log->settle.queued) {
        sl_loop_post(log->loop, &log->settle);
    }
    return SLUICE_OK;
}

/* ---- callbacks ---- */

static void maybe_closed(struct memory_log *log)
{
    if (log->closing && log->head == NULL && !log->settling && !log->closed_task.queued) {
        sl_loop_post(log->loop, &log->closed_task);
    }
}

/* What one turn submitted is one frame: a number, a time. What callbacks submit is the next. */
static void settle_run(struct sl_task *task)
{
    struct memory_log *log = SL_CONTAINER_OF(task, struct memory_log, settle);
    struct wal_unit *unit = log->head;
    log->head = log->tail = NULL;
    log->settling = true;
    log->time_ms = SL_MAX(log->time_ms, sl_os_wall_ms(log->os));
    log->frames++;
    uint64_t lsn = ++log->last_lsn;
    uint64_t next_segment = last_seq(log); /* of what callbacks submit */
    while (unit != NULL) {
        struct wal_unit *next = unit->next;
        unit->next = NULL;
        unit->lsn = lsn;
        unit->time_ms = log->time_ms;
        log->pending_units--;
        log->pending_bytes -= body_size_of(unit);
        unit->durable(unit, SLUICE_OK);
        unit = next;
    }
    log->settled_lsn = lsn;
    log->settling = false;
    log->unsettled_segment = SL_MAX(next_segment, log->first_segment);
    maybe_closed(log);
}

/* ---- reading and releasing ---- */

static sl_err log_read(struct commit_log *base, const struct wal_place *place, void *ret_bytes)
{
    const struct memory_log *log = memory_of(base);
    uint64_t seq = place->segment & ~WAL_PLACE_MEMORY;
    const struct memory_segment *segment = log->segments[seq & log->segment_mask];
    SL_ASSERT(segment != NULL && segment->seq == seq);
    SL_ASSERT(place->position + place->size <= segment->used);
    memcpy(ret_bytes, segment->bytes + place->position, place->size);
    return SLUICE_OK;
}

static sl_err log_read_cached(struct commit_log *base, const struct wal_place *place,
                              void *ret_bytes)
{
    const struct memory_segment *segment = segment_find(memory_of(base), place->segment);
    return segment == NULL ? SLUICE_E_NOT_FOUND : log_read(base, place, ret_bytes);
}

static bool log_pin(struct commit_log *base, uint64_t seq)
{
    struct memory_segment *segment = segment_find(memory_of(base), seq);
    if (segment != NULL) {
        segment->pins++;
    }
    return segment != NULL;
}

static void log_unpin(struct commit_log *base, uint64_t seq)
{
    struct memory_log *log = memory_of(base);
    struct memory_segment *segment = segment_find(log, seq);
    SL_ASSERT(segment != NULL && segment->pins > 0);
    segment->pins--;
    segments_drop(log);
}

static struct sl_file *log_file(struct commit_log *base SL_UNUSED, uint64_t segment SL_UNUSED)
{
    return NULL;
}

static void log_release(struct commit_log *base, uint64_t segment)
{
    struct memory_log *log = memory_of(base);
    uint64_t seq = segment == UINT64_MAX ? UINT64_MAX : segment & ~WAL_PLACE_MEMORY;
    log->released_below = SL_MAX(log->released_below, SL_MIN(seq, unsettled_seq(log)));
    segments_drop(log);
}

static bool log_segment_status(const struct commit_log *base, uint64_t seq,
                               struct wal_segment_status *ret_status)
{
    const struct memory_segment *segment = segment_find(memory_of_const(base), seq);
    if (segment != NULL) {
        *ret_status = (struct wal_segment_status){
            .end = segment->used, .bytes = segment->size, .created_ms = segment->created_ms};
    }
    return segment != NULL;
}

static void log_status(const struct commit_log *base, struct wal_status *ret_status)
{
    const struct memory_log *log = memory_of_const(base);
    *ret_status = (struct wal_status){
        .last_lsn = log->last_lsn,
        .durable_lsn = log->settled_lsn,
        .bytes_used = log->bytes,
        .pending_bytes = log->pending_bytes,
        .pending_units = log->pending_units,
        .epoch = 1,
        .segment_count = (uint32_t)log->segment_count,
        .first_segment = WAL_PLACE_MEMORY | log->first_segment,
        .last_segment = WAL_PLACE_MEMORY | SL_MAX(unsettled_seq(log), log->first_segment),
        .bytes_max = log->bytes_max,
        .frames = log->frames,
    };
}

static void log_pressure(const struct commit_log *base, struct wal_pressure *ret_pressure)
{
    const struct memory_log *log = memory_of_const(base);
    *ret_pressure = (struct wal_pressure){
        .bytes_used = log->bytes, .pending_bytes = log->pending_bytes, .bytes_max = log->bytes_max};
}

sl_err memory_log_move(struct commit_log *base, const struct wal_place *place,
                       struct wal_place *ret_place)
{
    struct memory_log *log = memory_of(base);
    const struct memory_segment *from = segment_find(log, place->segment);
    struct memory_segment *to = NULL;
    sl_err err = from == NULL ? SLUICE_E_NOT_FOUND : segment_for(log, place->size, &to);
    if (err != SLUICE_OK) {
        return err;
    }
    SL_ASSERT(to != from);
    memcpy(to->bytes + to->used, from->bytes + place->position, place->size);
    *ret_place = (struct wal_place){
        .segment = WAL_PLACE_MEMORY | to->seq, .position = to->used, .size = place->size};
    to->used += place->size;
    return SLUICE_OK;
}

/* ---- life ---- */

static void closed_run(struct sl_task *task)
{
    struct memory_log *log = SL_CONTAINER_OF(task, struct memory_log, closed_task);
    log->closed(log->closed_arg);
}

static void log_close(struct commit_log *base, void (*closed)(void *arg), void *arg)
{
    struct memory_log *log = memory_of(base);
    SL_ASSERT(!log->closing);
    log->closing = true;
    log->closed = closed;
    log->closed_arg = arg;
    maybe_closed(log);
}

static void log_free(struct commit_log *base)
{
    struct memory_log *log = memory_of(base);
    for (uint64_t i = 0; i < log->segment_count; i++) {
        sl_free(log->segments[(log->first_segment + i) & log->segment_mask]);
    }
    sl_free(log->segments);
    sl_free(log);
}

static const struct commit_log_ops memory_ops = {
    .name = "memory",
    .submit = log_submit,
    .read_cached = log_read_cached,
    .read = log_read,
    .pin = log_pin,
    .unpin = log_unpin,
    .file = log_file,
    .release = log_release,
    .segment_status = log_segment_status,
    .status = log_status,
    .pressure = log_pressure,
    .close = log_close,
    .free = log_free,
};

static uint64_t segment_bytes_of(const struct memory_log_config *config)
{
    if (config->segment_bytes > 0) {
        return config->segment_bytes;
    }
    uint64_t bytes = SL_MAX(config->bytes_max / SEGMENTS_OF_BOUND, (uint64_t)SEGMENT_DEFAULT_MIN);
    bytes = SL_MIN(bytes, (uint64_t)SEGMENT_DEFAULT_MAX);
    return SL_MIN(bytes, config->bytes_max / 8);
}

sl_err memory_log_open(const struct memory_log_config *config, struct commit_log **ret_log)
{
    uint64_t segment_bytes = segment_bytes_of(config);
    if (config->bytes_max < MEMORY_LOG_BYTES_MIN || segment_bytes < MEMORY_LOG_SEGMENT_MIN ||
        segment_bytes > config->bytes_max / 4) {
        return SLUICE_E_INVALID;
    }
    struct memory_log *log = sl_alloc_zero(1, sizeof(*log));
    if (log == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    uint64_t capacity = 16;
    while (capacity < config->bytes_max / segment_bytes + SEGMENTS_SLACK) {
        capacity *= 2;
    }
    log->log.ops = &memory_ops;
    log->os = config->os;
    log->loop = config->loop;
    log->bytes_max = config->bytes_max;
    log->segment_bytes = segment_bytes;
    log->segment_mask = capacity - 1;
    log->first_segment = 1;
    log->settle = (struct sl_task){.run = settle_run, .priority = SL_PRIORITY_IO};
    log->closed_task = (struct sl_task){.run = closed_run, .priority = SL_PRIORITY_IO};
    log->segments = sl_alloc_zero((size_t)capacity, sizeof(struct memory_segment *));
    if (log->segments == NULL) {
        log_free(&log->log);
        return SLUICE_E_NO_MEMORY;
    }
    *ret_log = &log->log;
    return SLUICE_OK;
}
