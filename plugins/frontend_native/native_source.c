/* native_source.c: one partition of an ephemeral subscription.
 *
 *   credit and room ─► a fetch that waits by itself ─► records that pass the filter ─► MESSAGES ─►
 * again
 *
 * A source without credit, or whose connection does not take its output, has no fetch under way: it
 * costs no time. What a fetch gave and the credit does not cover is held, up to a bound, and
 * fetched again beyond it: so that a batch which is taken record by record is read once. */
#include "native_lua.h"
#include "native_share.h"

#include <stdlib.h>
#include <string.h>

#define FETCH_BYTES     (64u << 10)
#define FETCH_BYTES_FEW (4u << 10) /* for a credit of a few records */
#define FEW_RECORDS     16u
#define FETCH_WAIT_MS   60000
#define TURN_FETCHES    16u /* then others have their turn */
#define RETRY_MS        200
#define HELD_BYTES      (64u << 10) /* of a source */
#define HELD_MS         500         /* then it is read again: it may have been trimmed meanwhile */
#define HELD_BYTES_ALL  (16u << 20) /* of all of a loop */
#define ALL_READ        1u          /* flag of MESSAGES */

/* ---- life ---- */

void native_source_ref(struct native_source *source)
{
    source->refs++;
}

void native_source_unref(struct native_source *source)
{
    if (--source->refs == 0) {
        native_topic_unref(source->topic);
        native_runs_fini(&source->sent);
        (void)native_last_free(source->last);
        native_sub_unref(source->sub);
        free(source);
    }
}

struct native_source *native_source_new(struct native_sub *sub, struct native_topic *topic,
                                        int32_t partition, int64_t offset)
{
    struct native_source *source = calloc(1, sizeof(*source));
    if (source == NULL) {
        return NULL;
    }
    source->sub = sub;
    source->topic = topic;
    source->refs = 1;
    source->number = sub->next_number++;
    source->partition = partition;
    source->tag = ++sub->conn->frontend->next_tag;
    source->next_offset = offset;
    source->next = sub->sources;
    source->previous_next = &sub->sources;
    if (source->next != NULL) {
        source->next->previous_next = &source->next;
    }
    sub->sources = source;
    sub->source_count++;
    native_sub_ref(sub);
    native_topic_ref(topic);
    return source;
}

static bool is_live(const struct native_source *source)
{
    const struct native_sub *sub = source->sub;
    return source->previous_next != NULL && sub->live && !sub->ended &&
           native_conn_is_open(sub->conn);
}

/* False: it is not parked there. */
static bool unlink_parked(struct native_source *source)
{
    if (source->parked_at == NULL) {
        return false;
    }
    *source->parked_at = source->next_parked;
    if (source->next_parked != NULL) {
        source->next_parked->parked_at = source->parked_at;
    }
    source->parked_at = NULL;
    source->is_parked = false;
    return true;
}

void native_source_unpark(struct native_source *source)
{
    if (unlink_parked(source)) {
        native_source_unref(source);
    }
}

void native_source_hold(struct native_source *source, struct native_held *held)
{
    const struct sluice_frontend_host *io = source->sub->conn->frontend->io;
    source->held = held;
    source->held_since_ms = io->now_ms(io);
}

static void drop_held(struct native_source *source)
{
    struct native_held *held = source->held;
    source->held = NULL;
    if (held != NULL) {
        source->sub->conn->frontend->held_bytes -= held->size;
        native_held_free(held);
    }
}

void native_source_end(struct native_source *source)
{
    struct native_conn *conn = source->sub->conn;
    const struct sluice_broker *broker = conn->frontend->broker;
    if (source->previous_next == NULL) {
        return;
    }
    *source->previous_next = source->next;
    if (source->next != NULL) {
        source->next->previous_next = source->previous_next;
    }
    source->previous_next = NULL;
    source->sub->source_count--;
    drop_held(source);
    native_lua_drop(source);
    native_source_set_behind(source, false);
    if (source->sub->share != NULL) {
        native_share_forget(source->sub->share, source);
    }
    if (source->fetching && !conn->closed) {
        broker->fetch_cancel(broker, &conn->context, source->tag);
    }
    source->refs -= unlink_parked(source); /* the list's goes with it */
    native_source_unref(source);
}

/* ---- waiting ---- */

void native_source_delay(struct native_source *source, int64_t retry_ms)
{
    struct native_frontend *frontend = source->sub->conn->frontend;
    source->retry_ms = retry_ms;
    if (!source->is_ready) {
        source->is_ready = true;
        source->next_ready = frontend->ready;
        frontend->ready = source;
        native_source_ref(source);
    }
    native_tick_at(frontend, retry_ms);
}

static void park(struct native_source *source, bool for_credit)
{
    struct native_sub *sub = source->sub;
    if (source->is_parked) {
        return;
    }
    source->is_parked = true;
    native_source_ref(source);
    if (for_credit) {
        source->next_parked = NULL;
        *sub->waiting_end = source;
        sub->waiting_end = &source->next_parked;
    } else {
        source->next_parked = sub->conn->parked;
        source->parked_at = &sub->conn->parked;
        if (source->next_parked != NULL) {
            source->next_parked->parked_at = &source->next_parked;
        }
        sub->conn->parked = source;
    }
}

/* ---- giving ---- */

/* What a walk over fetched records does. Those that cannot be sent are held, as many as may be. */
struct walk {
    struct native_source *source;
    int64_t wall_ms;
    int64_t unsent_at; /* the first record that was not sent for want of credit or room; -1: none */
    int64_t stopped_at; /* the first one that is not held either; -1: none */
    uint64_t wanted;    /* bytes of credit that the first wants; 0: others than that are missing */
    uint32_t count;     /* records in the frame that is being made */
    bool too_large;     /* it fits no frame */
    struct native_writer hold;
};

void native_source_announce(struct native_source *source, bool first)
{
    struct native_sub *sub = source->sub;
    struct native_writer *writer = first ? native_conn_frame(sub->conn, NATIVE_SOURCE, 0, sub->id)
                                         : native_conn_more(sub->conn, NATIVE_SOURCE, 0, sub->id);
    native_write_u32(writer, source->number);
    native_write_i32(writer, source->partition);
    native_write_bytes(writer, source->topic->id.bytes, sizeof(source->topic->id.bytes));
    native_write_text(writer, source->topic->name);
    native_write_i64(writer, sub->share != NULL ? -1 : source->next_offset);
    source->announced = true;
}

void native_source_set_behind(struct native_source *source, bool behind)
{
    source->sub->behind_count += (uint32_t)behind - (uint32_t)source->behind;
    source->behind = behind;
}

void native_messages_begin(struct native_source *source)
{
    struct native_sub *sub = source->sub;
    struct native_writer *writer = native_conn_frame(sub->conn, NATIVE_MESSAGES, 0, sub->id);
    native_write_u32(writer, source->number);
    native_write_u32(writer, 0);
}

void native_messages_send(struct native_sub *sub, uint32_t *count, uint16_t flags)
{
    struct native_frontend *frontend = sub->conn->frontend;
    size_t at = frontend->frame_at;
    size_t bytes = frontend->writer.size - at - NATIVE_HEAD_BYTES - NATIVE_MESSAGES_FIXED;
    native_patch_u16(&frontend->writer, at + 6, flags);
    native_patch_u32(&frontend->writer, at + NATIVE_HEAD_BYTES + 4, *count);
    *count = 0;
    native_conn_send(sub->conn);
    native_quota_sent(sub->conn, bytes);
}

void native_sub_caught_up(struct native_sub *sub)
{
    struct native_writer *writer = native_conn_frame(sub->conn, NATIVE_MESSAGES, ALL_READ, sub->id);
    native_write_u32(writer, 0);
    native_write_u32(writer, 0);
    native_conn_send(sub->conn);
}

/* What the subscription does not want costs it nothing. */
static bool is_wanted(const struct walk *walk, const struct sluice_record *record)
{
    const struct native_last *last = walk->source->last;
    return (last == NULL || native_last_has(last, record->offset)) &&
           native_record_expires(record) > walk->wall_ms &&
           native_filter_passes(&walk->source->sub->filter, record);
}

/* Whether it was sent; or else why not. */
static bool send_now(struct walk *walk, const struct sluice_record *record, uint64_t size)
{
    struct native_sub *sub = walk->source->sub;
    struct native_writer *writer = &sub->conn->frontend->writer;
    if (walk->unsent_at >= 0) {
        return false; /* behind one that was not */
    }
    if (walk->count > 0 && writer->size + size > NATIVE_MESSAGES_BYTES) {
        native_messages_send(sub, &walk->count, 0);
    }
    bool waits = walk->count == 0 && native_quota_holds(sub->conn); /* which may send a frame */
    bool takes = !waits && !sub->conn->blocked && native_conn_is_open(sub->conn);
    if (!takes || !native_credit_take(&sub->credit, size)) {
        walk->unsent_at = record->offset;
        walk->wanted = takes && sub->credit.records > 0 ? size : 0;
        return false;
    }
    if (walk->count == 0) {
        native_messages_begin(walk->source);
    }
    native_record_write(writer, record, 0);
    walk->count++;
    walk->source->stalled_bytes = 0;
    return true;
}

/* One that expires is judged when it is sent. */
static bool may_hold(const struct walk *walk, const struct sluice_record *record, uint64_t size)
{
    const struct native_frontend *frontend = walk->source->sub->conn->frontend;
    uint64_t all = walk->hold.size + size;
    return walk->source->last == NULL && native_conn_is_open(walk->source->sub->conn) &&
           all <= HELD_BYTES && frontend->held_bytes + all <= HELD_BYTES_ALL &&
           native_record_expires(record) == INT64_MAX;
}

static bool on_record(void *arg, const struct sluice_record *record)
{
    struct walk *walk = arg;
    const struct native_writer *writer = &walk->source->sub->conn->frontend->writer;
    if (!is_wanted(walk, record)) {
        return true;
    }
    uint64_t size = native_record_size(record);
    bool fits = size + NATIVE_HEAD_BYTES + NATIVE_MESSAGES_FIXED <= writer->size_max;
    if (fits && send_now(walk, record, size)) {
        return true;
    }
    if (fits && may_hold(walk, record, size)) {
        native_record_write(&walk->hold, record, 0);
        return true;
    }
    walk->too_large = !fits && walk->unsent_at < 0;
    walk->stopped_at = record->offset;
    return false;
}

/* Without memory they are read again. */
static void hold(struct walk *walk)
{
    struct native_source *source = walk->source;
    native_source_hold(source, native_held_new(source, &walk->hold));
    if (source->held != NULL) {
        source->sub->conn->frontend->held_bytes += source->held->size;
    } else if (walk->unsent_at >= 0) {
        walk->stopped_at = walk->unsent_at;
    }
}

/* The next record wants more bytes than are left. */
void native_source_stall(struct native_source *source, int64_t offset, uint64_t bytes)
{
    struct native_sub *sub = source->sub;
    if (source->stalled_bytes == bytes) {
        return; /* it was told */
    }
    source->stalled_bytes = bytes;
    struct native_writer *writer = native_conn_frame(sub->conn, NATIVE_STALLED, 0, sub->id);
    native_write_u32(writer, source->number);
    native_write_i64(writer, offset);
    native_write_u64(writer, bytes);
    native_conn_send(sub->conn);
}

static void give(struct native_source *source, const struct sluice_fetch_result *result)
{
    struct native_sub *sub = source->sub;
    struct native_frontend *frontend = sub->conn->frontend;
    struct walk walk = {.source = source,
                        .wall_ms = frontend->io->wall_ms(frontend->io),
                        .unsent_at = -1,
                        .stopped_at = -1};
    int64_t next_offset = source->next_offset;
    native_writer_init(&walk.hold, HELD_BYTES);
    sluice_status status =
        native_each(frontend, result, source->next_offset, on_record, &walk, &next_offset);
    hold(&walk);
    int64_t end =
        sub->flags & NATIVE_COMMITTED ? result->last_stable_offset : result->high_watermark;
    source->next_offset = walk.stopped_at >= 0 ? walk.stopped_at : next_offset;
    bool was_behind = source->behind;
    bool at_end = walk.stopped_at < 0 && source->held == NULL && source->next_offset >= end;
    native_source_set_behind(source, !at_end);
    bool all_read = status == SLUICE_OK && sub->behind_count == 0;
    if (walk.count > 0) {
        native_messages_send(sub, &walk.count, all_read ? ALL_READ : 0);
    } else if (all_read && was_behind && is_live(source)) {
        native_sub_caught_up(sub); /* the end was reached by what is not sent */
    }
    if (walk.wanted > 0) {
        native_source_stall(source, walk.unsent_at, walk.wanted);
    } else {
        source->stalled_bytes = 0;
    }
    if (!is_live(source)) {
        drop_held(source); /* it ended meanwhile */
    }
    if (walk.too_large) {
        native_sub_end(sub, SLUICE_E_FRAME_TOO_LARGE,
                       "a record is larger than native.frame_bytes_max");
    } else if (status != SLUICE_OK) {
        native_sub_end(sub, status, "");
    }
}

/* ---- with a filter in Lua: what is read is judged before any of it is sent ---- */

struct gathering {
    struct walk walk;
    int64_t expires_ms;   /* wall clock: when the first of them does */
    sluice_status status; /* why a record could not be added */
};

/* Whether the batch may grow by so much: it has a record at least, if the loop's bound allows. */
static bool has_room(const struct gathering *gathering, uint64_t size)
{
    const struct walk *walk = &gathering->walk;
    uint64_t held = walk->source->sub->conn->frontend->held_bytes;
    uint64_t all = walk->hold.size + size;
    return walk->hold.size == 0 ? held == 0 || held + all <= HELD_BYTES_ALL
                                : all <= HELD_BYTES && held + all <= HELD_BYTES_ALL;
}

static bool on_gathered(void *arg, const struct sluice_record *record)
{
    struct gathering *gathering = arg;
    struct walk *walk = &gathering->walk;
    const struct native_writer *writer = &walk->source->sub->conn->frontend->writer;
    if (!is_wanted(walk, record)) {
        return true;
    }
    uint64_t size = native_record_size(record);
    bool fits = size + NATIVE_HEAD_BYTES + NATIVE_MESSAGES_FIXED <= writer->size_max;
    bool is_added = fits && has_room(gathering, size);
    if (is_added) {
        gathering->status = native_lua_add(walk->source, record, 0, &walk->hold);
        is_added = gathering->status == SLUICE_OK;
    }
    if (!is_added) {
        walk->too_large = !fits && walk->hold.size == 0;
        walk->stopped_at = record->offset;
        return false;
    }
    int64_t expires_ms = native_record_expires(record);
    gathering->expires_ms = expires_ms < gathering->expires_ms ? expires_ms : gathering->expires_ms;
    return true;
}

static void gather(struct native_source *source, const struct sluice_fetch_result *result)
{
    struct native_sub *sub = source->sub;
    struct native_frontend *frontend = sub->conn->frontend;
    struct gathering gathering = {.walk = {.source = source,
                                           .wall_ms = frontend->io->wall_ms(frontend->io),
                                           .unsent_at = -1,
                                           .stopped_at = -1},
                                  .expires_ms = INT64_MAX};
    struct walk *walk = &gathering.walk;
    int64_t next_offset = source->next_offset;
    native_writer_init(&walk->hold, HELD_BYTES + frontend->writer.size_max);
    sluice_status status =
        native_each(frontend, result, source->next_offset, on_gathered, &gathering, &next_offset);
    int64_t end =
        sub->flags & NATIVE_COMMITTED ? result->last_stable_offset : result->high_watermark;
    source->next_offset = walk->stopped_at >= 0 ? walk->stopped_at : next_offset;
    source->held_expires_ms = gathering.expires_ms;
    bool was_behind = source->behind;
    bool has_some = walk->hold.size > 0;
    bool is_full = gathering.status == SLUICE_E_LIMIT && has_some;
    native_source_set_behind(source,
                             has_some || walk->stopped_at >= 0 || source->next_offset < end);
    status = status == SLUICE_OK && !is_full ? gathering.status : status;
    if (status != SLUICE_OK || walk->too_large) {
        native_writer_fini(&walk->hold);
        native_sub_end(sub, status != SLUICE_OK ? status : SLUICE_E_FRAME_TOO_LARGE,
                       status != SLUICE_OK ? "" : "a record is larger than native.frame_bytes_max");
    } else if (has_some) {
        native_lua_judge(source, &walk->hold, INT64_MAX);
    } else if (walk->stopped_at >= 0) { /* others hold all that may be held */
        native_source_delay(source, frontend->io->now_ms(frontend->io) + RETRY_MS);
    } else if (was_behind && sub->behind_count == 0) {
        native_sub_caught_up(sub); /* the end was reached by what is not sent */
    }
}

/* ---- of each key the last record ---- */

struct scan {
    struct native_last *last;
    sluice_status status;
};

static bool on_scanned(void *arg, const struct sluice_record *record)
{
    struct scan *scan = arg;
    if (record->offset >= native_last_end(scan->last)) {
        return false;
    }
    if (record->key.data != NULL) {
        scan->status = native_last_note(scan->last, record->key, record->offset);
    }
    return scan->status == SLUICE_OK;
}

static void found(struct native_source *source)
{
    native_last_found(source->last);
    source->next_offset = native_last_next(source->last, 0);
}

/* The first walk: nothing is sent. */
static void scan(struct native_source *source, const struct sluice_fetch_result *result)
{
    struct scan scan = {.last = source->last};
    int64_t next_offset = source->next_offset;
    sluice_status status = native_each(source->sub->conn->frontend, result, source->next_offset,
                                       on_scanned, &scan, &next_offset);
    status = status == SLUICE_OK ? scan.status : status;
    source->next_offset = next_offset;
    if (status != SLUICE_OK) {
        native_sub_end(source->sub, status,
                       status == SLUICE_E_LIMIT ? "there are more keys than native.keys_max" : "");
    } else if (next_offset >= native_last_end(source->last)) {
        found(source);
    }
}

static bool is_scanning(const struct native_source *source)
{
    return source->last != NULL && !native_last_is_found(source->last);
}

/* The second walk goes from one to the next, and is over at the end. */
static void jump(struct native_source *source)
{
    if (source->last != NULL && !is_scanning(source)) {
        source->next_offset = native_last_next(source->last, source->next_offset);
        if (source->next_offset >= native_last_end(source->last)) {
            source->last = native_last_free(source->last);
        }
    }
}

/* ---- the fetch ---- */

/* Records went, or a power cut took some: on from what is there. */
static void move(struct native_source *source, const struct sluice_fetch_result *result)
{
    const struct sluice_frontend_host *io = source->sub->conn->frontend->io;
    int64_t was = source->next_offset;
    if (was < result->log_start_offset) {
        source->next_offset = result->log_start_offset;
    } else if (was > result->high_watermark && result->high_watermark >= 0) {
        source->next_offset = result->high_watermark;
    }
    if (source->next_offset == was) {
        native_source_delay(source, io->now_ms(io) + RETRY_MS);
    }
}

static bool is_gone(sluice_status status)
{
    return status == SLUICE_E_UNKNOWN_TOPIC || status == SLUICE_E_UNKNOWN_TOPIC_ID ||
           status == SLUICE_E_TOPIC_AUTHORIZATION;
}

static void take(struct native_source *source, const struct sluice_fetch_result *result,
                 sluice_status status)
{
    struct native_sub *sub = source->sub;
    const struct sluice_frontend_host *io = sub->conn->frontend->io;
    if (status == SLUICE_OK && is_scanning(source)) {
        scan(source, result);
    } else if (status == SLUICE_OK && sub->lua_text.data != NULL) {
        gather(source, result);
    } else if (status == SLUICE_OK) {
        give(source, result);
    } else if (status == SLUICE_E_OFFSET_OUT_OF_RANGE) {
        move(source, result);
    } else if (is_gone(status) && !sub->pattern.is_literal) {
        native_source_end(source);
    } else if (is_gone(status) || !native_status_may_pass(status)) {
        native_sub_end(sub, status, "");
    } else {
        native_source_delay(source, io->now_ms(io) + RETRY_MS);
    }
}

static void fetched(void *arg, const struct sluice_fetch_result *results, uint32_t count,
                    int32_t throttle_ms)
{
    struct native_source *source = arg;
    (void)throttle_ms;
    source->fetching = false;
    if (is_live(source)) {
        int64_t begun_ns = native_quota_begin(source->sub->conn);
        take(source, results, count == 0 ? SLUICE_E_NO_MEMORY : results[0].status);
        native_source_pump(source);
        native_quota_end(source->sub->conn, begun_ns);
    }
    native_source_unref(source);
}

static void fetch(struct native_source *source)
{
    struct native_sub *sub = source->sub;
    jump(source);
    const struct sluice_broker *broker = sub->conn->frontend->broker;
    uint64_t most = sub->credit.records < FEW_RECORDS ? FETCH_BYTES_FEW : FETCH_BYTES;
    uint64_t allowed = native_quota_allows(sub->conn);
    most = allowed < most ? allowed : most;
    int32_t bytes = (int32_t)(sub->credit.bytes < most ? sub->credit.bytes : most);
    bytes = is_scanning(source) || sub->lua_text.data != NULL ? (int32_t)FETCH_BYTES : bytes;
    source->entry = (struct sluice_fetch_entry){.topic = {.id = source->topic->id},
                                                .partition = source->partition,
                                                .leader_epoch = -1,
                                                .offset = source->next_offset,
                                                .bytes_max = bytes};
    source->request = (struct sluice_fetch){
        .size = sizeof(source->request),
        .bytes_max = bytes,
        .bytes_min = 1,
        .wait_ms = source->looks ? 0 : FETCH_WAIT_MS,
        .isolation = sub->flags & NATIVE_COMMITTED ? SLUICE_ISOLATION_COMMITTED
                                                   : SLUICE_ISOLATION_UNCOMMITTED,
        .entry_count = 1,
        .entries = &source->entry,
        .tag = source->tag,
    };
    source->looks = false;
    source->fetching = true;
    native_source_ref(source);
    broker->fetch(broker, &sub->conn->context, &source->request, fetched, source);
}

/* Its right to read them may be gone: then the next fetch is refused. One of them may have expired
 * meanwhile, or records were trimmed, of which nobody tells: then they are read, and judged, again.
 */
static void give_held(struct native_source *source)
{
    const struct sluice_frontend_host *io = source->sub->conn->frontend->io;
    bool has_lua = source->sub->lua_text.data != NULL;
    bool is_over = (has_lua && io->wall_ms(io) >= source->held_expires_ms) ||
                   io->now_ms(io) - source->held_since_ms >= HELD_MS;
    if (is_over || !native_may_read(source->sub->conn, source->topic->name)) {
        source->next_offset = native_held_offset(source->held);
        drop_held(source);
    } else if (native_held_send(source->held)) {
        drop_held(source);
        source->looks = true;
    }
}

static bool is_out_of_credit(const struct native_source *source)
{
    const struct native_credit *credit = &source->sub->credit;
    return native_credit_is_out(credit) || credit->bytes < source->stalled_bytes;
}

/* false: not now. */
static bool begin(struct native_source *source)
{
    struct native_sub *sub = source->sub;
    if (!is_live(source) || source->fetching || source->is_ready || source->judged != NULL) {
        return false;
    }
    if (!source->announced) { /* its topic came later than the subscription */
        native_source_announce(source, true);
        native_conn_send(sub->conn);
        if (!is_live(source)) {
            return false;
        }
    }
    if (sub->share != NULL) {
        native_share_changed(sub->share);
        return false;
    }
    if (is_scanning(source)) { /* it sends nothing yet */
        fetch(source);
        return true;
    }
    if (source->held != NULL && !is_out_of_credit(source) && !sub->conn->blocked &&
        !native_quota_holds(sub->conn)) {
        give_held(source);
    }
    if (!is_live(source)) {
        return false;
    }
    if (sub->conn->blocked || native_quota_holds(sub->conn)) {
        park(source, false);
        return false;
    }
    if (is_out_of_credit(source) || source->held != NULL) {
        park(source, true);
        return false;
    }
    fetch(source);
    return true;
}

void native_source_pump(struct native_source *source)
{
    if (source->pumping) {
        source->again = true; /* the one below goes on: no deeper for each record */
        return;
    }
    native_source_ref(source);
    source->pumping = true;
    uint32_t turns = 0;
    do {
        source->again = false;
        if (turns++ == TURN_FETCHES) {
            native_source_delay(source, 0);
            break;
        }
        (void)begin(source);
    } while (source->again);
    source->pumping = false;
    native_source_unref(source);
}
