/* native_share.c: the records of a durable subscription, which is a member of a group that shares
 * them (KIP-932, the broker's share_fetch).
 *
 *   credit ─► one share fetch over all sources, for at most so many records ─► MESSAGES ─► ACK
 *
 * One request at a time, so that no more records are taken than there is credit in records. Records
 * that were acquired and do not fit into the credit in bytes, or whose connection does not take its
 * output, are held here, encoded, until they do, or until their lock has ended and others have
 * them. What the filter does not let through, and offsets that hold no record, are acknowledged at
 * once. */
#include "native_share.h"

#include "native_lua.h"

#include <stdlib.h>
#include <string.h>

#define FETCH_BYTES    (64u << 10)
#define WAIT_MS        30000
#define BATCH_RECORDS  1000
#define RECORDS_MAX    1000u /* of one request */
#define SOURCES_MAX    1000u
#define TURN_FETCHES   16u
#define RETRY_MS       200
#define HELD_BYTES_MAX (64u << 20) /* of one answer */
#define TAG_OF_SHARE   ((uint64_t)1 << 63)

/* ---- life ---- */

struct native_share *native_share_new(struct native_sub *sub, struct sluice_text group,
                                      uint32_t lock_ms)
{
    struct native_frontend *frontend = sub->conn->frontend;
    static const char digits[] = "0123456789abcdef";
    char member[2 + 16 + 16];
    struct native_share *share = calloc(1, sizeof(*share) + (size_t)group.size + sizeof(member));
    if (share == NULL) {
        return NULL;
    }
    uint64_t tag = ++frontend->next_tag | TAG_OF_SHARE;
    const uint64_t words[] = {sub->conn->context.connection ^ frontend->seed,
                              tag * 0x9E3779B97F4A7C15u + frontend->seed};
    memcpy(member, "n-", 2);
    for (uint32_t i = 0; i < 32; i++) {
        member[2 + i] = digits[words[i / 16] >> (4 * (i % 16)) & 15];
    }
    char *texts = (char *)(share + 1);
    memcpy(texts, group.data, (size_t)group.size);
    memcpy(texts + group.size, member, sizeof(member));
    share->group = (struct sluice_text){texts, group.size};
    share->member = (struct sluice_text){texts + group.size, sizeof(member)};
    share->sub = sub;
    share->tag = tag;
    share->lock_ms = lock_ms > INT32_MAX ? INT32_MAX : (int32_t)lock_ms;
    share->held_end = &share->held;
    share->acks_end = &share->acks;
    share->membership.due_ms = INT64_MAX;
    return share;
}

static void held_pop(struct native_share *share)
{
    struct native_held *held = share->held;
    share->held = held->next;
    if (share->held == NULL) {
        share->held_end = &share->held;
    }
    native_held_free(held);
}

void native_share_free(struct native_share *share)
{
    if (share != NULL) {
        free(share->entries);
        free(share->sources);
        free(share);
    }
}

bool native_share_is_live(const struct native_share *share)
{
    const struct native_sub *sub = share->sub;
    return sub->live && !sub->ended && native_conn_is_open(sub->conn);
}

void native_share_forget(struct native_share *share, const struct native_source *source)
{
    for (struct native_held *held = share->held; held != NULL; held = held->next) {
        if (held->source == source) {
            held->until_ms = 0;
        }
    }
    native_member_changed(share);
}

/* ---- leaving ---- */

void native_share_leave(struct native_share *share)
{
    struct native_conn *conn = share->sub->conn;
    const struct sluice_broker *broker = conn->frontend->broker;
    conn->share_count--;
    while (share->held != NULL) {
        held_pop(share);
    }
    if (share->fetching && !conn->frontend->destroyed) {
        broker->fetch_cancel(broker, &conn->context, share->tag); /* it leaves behind it */
    }
    native_member_maybe_leave(share);
}

/* ---- giving ---- */

struct walk {
    struct native_share *share;
    struct native_source *source;
    const struct sluice_share_result *result;
    uint32_t range; /* of those acquired */
    int64_t at;     /* the next offset that is acquired */
    int64_t wall_ms;
    uint32_t count; /* records in the frame that is being made */
    struct native_runs done, gaps;
    struct native_writer hold;
    bool too_large;
    sluice_status lua_status; /* why a record could not be added to those that are judged */
};

/* The acquired offsets below `offset` have no record; false: nothing more is acquired. */
static bool advance(struct walk *walk, int64_t offset)
{
    const struct sluice_share_result *result = walk->result;
    while (walk->range < result->acquired_count) {
        const struct sluice_share_acquired *range = &result->acquired[walk->range];
        walk->at = walk->at < range->first ? range->first : walk->at;
        if (offset <= range->last) {
            if (walk->at < offset) {
                (void)native_runs_add(&walk->gaps, walk->at, offset - 1);
            }
            walk->at = offset < range->first ? range->first : offset;
            return true;
        }
        if (walk->at <= range->last) {
            (void)native_runs_add(&walk->gaps, walk->at, range->last);
        }
        walk->range++;
    }
    return false;
}

/* Whether it may go out now; then it is paid for. */
static bool may_send(struct walk *walk, uint64_t size)
{
    struct native_sub *sub = walk->share->sub;
    return walk->hold.size == 0 && !sub->conn->blocked && native_conn_is_open(sub->conn) &&
           native_credit_take(&sub->credit, size);
}

static void give(struct walk *walk, const struct sluice_record *record, uint16_t deliveries)
{
    struct native_sub *sub = walk->share->sub;
    struct native_writer *writer = &sub->conn->frontend->writer;
    uint64_t size = native_record_size(record);
    if (walk->count > 0 && writer->size + size > NATIVE_MESSAGES_BYTES) {
        native_messages_send(sub, &walk->count, 0);
    }
    if (!may_send(walk, size)) {
        native_record_write(&walk->hold, record, deliveries);
        return;
    }
    if (walk->count == 0) {
        native_messages_begin(walk->source);
    }
    native_record_write(writer, record, deliveries);
    walk->count++;
    (void)native_runs_add(&walk->source->sent, record->offset, record->offset);
}

static bool on_record(void *arg, const struct sluice_record *record)
{
    struct walk *walk = arg;
    const struct native_sub *sub = walk->share->sub;
    if (!advance(walk, record->offset)) {
        return false;
    }
    if (record->offset < walk->at) {
        return true; /* somebody else has it */
    }
    walk->at = record->offset + 1;
    if (native_record_expires(record) <= walk->wall_ms ||
        !native_filter_passes(&sub->filter, record)) {
        (void)native_runs_add(&walk->done, record->offset, record->offset);
        return true;
    }
    if (native_record_size(record) + NATIVE_HEAD_BYTES + NATIVE_MESSAGES_FIXED >
        sub->conn->frontend->writer.size_max) {
        walk->too_large = true;
        return true;
    }
    uint16_t deliveries = (uint16_t)walk->result->acquired[walk->range].deliveries;
    if (sub->lua_text.data != NULL) {
        walk->lua_status = native_lua_add(walk->source, record, deliveries, &walk->hold);
        return walk->lua_status == SLUICE_OK;
    }
    give(walk, record, deliveries);
    return true;
}

static void push_held(struct native_share *share, struct native_held *held)
{
    *share->held_end = held;
    share->held_end = &held->next;
}

void native_share_hold(struct native_share *share, struct native_held *held)
{
    if (held->size > 0) {
        push_held(share, held);
    } else {
        native_held_free(held);
    }
    native_share_pump(share);
}

/* [takes what is in the writer] */
static void hold(struct walk *walk, int32_t lock_ms)
{
    const struct sluice_frontend_host *io = walk->share->sub->conn->frontend->io;
    int64_t until_ms = io->now_ms(io) + lock_ms;
    if (walk->share->sub->lua_text.data != NULL && walk->hold.size > 0) {
        native_lua_judge(walk->source, &walk->hold, until_ms);
        return;
    }
    struct native_held *held = native_held_new(walk->source, &walk->hold);
    if (held == NULL) {
        return; /* their locks end by themselves */
    }
    held->until_ms = until_ms;
    push_held(walk->share, held);
}

static void take(struct native_share *share, struct native_source *source,
                 const struct sluice_share_result *result, int32_t lock_ms)
{
    struct native_frontend *frontend = share->sub->conn->frontend;
    struct walk walk = {.share = share,
                        .source = source,
                        .result = result,
                        .wall_ms = frontend->io->wall_ms(frontend->io)};
    int64_t next = 0;
    if (result->acquired_count == 0) {
        return;
    }
    native_writer_init(&walk.hold, HELD_BYTES_MAX);
    sluice_status status = frontend->records->each(
        frontend->records, result->records, result->acquired[0].first, on_record, &walk, &next);
    status = status == SLUICE_OK ? walk.lua_status : status;
    if (walk.count > 0) {
        native_messages_send(share->sub, &walk.count, 0);
    }
    hold(&walk, lock_ms);
    while (share->held != NULL && !native_share_is_live(share)) {
        held_pop(share); /* it ended meanwhile */
    }
    if (status == SLUICE_OK) {
        (void)advance(&walk, INT64_MAX);
        native_ack_runs(source, &walk.done, SLUICE_SHARE_ACCEPT);
        native_ack_runs(source, &walk.gaps, SLUICE_SHARE_GAP);
    }
    native_runs_fini(&walk.done);
    native_runs_fini(&walk.gaps);
    if (walk.too_large || status != SLUICE_OK) {
        native_sub_end(share->sub, status != SLUICE_OK ? status : SLUICE_E_FRAME_TOO_LARGE,
                       status != SLUICE_OK ? "" : "a record is larger than native.frame_bytes_max");
    }
}

/* ---- what is held ---- */

/* False: something is still held. */
static bool held_give(struct native_share *share)
{
    const struct sluice_frontend_host *io = share->sub->conn->frontend->io;
    while (share->held != NULL) {
        bool is_over = io->now_ms(io) >= share->held->until_ms;
        if (!is_over && !native_held_send(share->held)) {
            return false;
        }
        if (share->held != NULL) { /* the connection may have ended meanwhile */
            held_pop(share);
        }
    }
    return true;
}

/* ---- the request ---- */

static void drop_sources(struct native_share *share)
{
    for (uint32_t i = 0; i < share->entry_count; i++) {
        native_source_unref(share->sources[i]);
    }
    share->entry_count = 0;
}

static bool is_gone(sluice_status status)
{
    return status == SLUICE_E_UNKNOWN_TOPIC || status == SLUICE_E_UNKNOWN_TOPIC_ID ||
           status == SLUICE_E_TOPIC_AUTHORIZATION;
}

void native_share_wake_at(struct native_share *share, int64_t *at_ms, int64_t in_ms)
{
    struct native_frontend *frontend = share->sub->conn->frontend;
    if (frontend->destroyed) {
        return;
    }
    *at_ms = frontend->io->now_ms(frontend->io) + in_ms;
    if (*at_ms < frontend->shares_due_ms) {
        frontend->shares_due_ms = *at_ms;
    }
    native_tick_at(frontend, *at_ms);
}

static void retry(struct native_share *share)
{
    native_share_wake_at(share, &share->retry_ms, RETRY_MS);
}

static void settle(struct native_share *share, struct native_source *source, sluice_status status)
{
    struct native_sub *sub = share->sub;
    if (is_gone(status) && !sub->pattern.is_literal) {
        native_source_end(source);
    } else if (is_gone(status) || !native_status_may_pass(status)) {
        native_sub_end(sub, status, "");
    } else {
        retry(share);
    }
}

static void fetched(void *arg, sluice_status status, int32_t lock_ms,
                    const struct sluice_share_result *results, uint32_t count)
{
    struct native_share *share = arg;
    struct native_sub *sub = share->sub;
    share->fetching = false;
    if (native_share_is_live(share) && status != SLUICE_OK) {
        if (native_status_may_pass(status)) {
            retry(share);
        } else {
            native_sub_end(sub, status, "");
        }
    }
    for (uint32_t i = 0;
         i < count && i < share->entry_count && native_share_is_live(share) && status == SLUICE_OK;
         i++) {
        bool is_unjudged = sub->lua_text.data != NULL && share->sources[i]->previous_next == NULL;
        if (is_unjudged) {
            continue; /* nobody judges them any more: their locks end by themselves */
        }
        if (results[i].status == SLUICE_OK) {
            take(share, share->sources[i], &results[i], lock_ms);
        } else {
            settle(share, share->sources[i], results[i].status);
        }
    }
    drop_sources(share);
    native_share_pump(share);
    native_member_maybe_leave(share);
    native_sub_unref(sub);
}

/* No records: where each partition begins is durable now. */
static void begun(void *arg, sluice_status status, int32_t lock_ms,
                  const struct sluice_share_result *results, uint32_t count)
{
    struct native_share *share = arg;
    struct native_sub *sub = share->sub;
    (void)lock_ms;
    share->fetching = false;
    for (uint32_t i = 0; i < count && i < share->entry_count && status == SLUICE_OK; i++) {
        if (is_gone(results[i].status)) {
            native_source_end(share->sources[i]);
        } else {
            status = results[i].status;
        }
    }
    drop_sources(share);
    native_member_begun(share, status);
    native_member_maybe_leave(share);
    native_sub_unref(sub);
}

static bool make_room(struct native_share *share, uint32_t count)
{
    if (count <= share->entry_room) {
        return true;
    }
    struct sluice_share_entry *entries = calloc(count, sizeof(*entries));
    struct native_source **sources = calloc(count, sizeof(struct native_source *));
    if (entries == NULL || sources == NULL) {
        free(entries);
        free(sources);
        return false;
    }
    free(share->entries);
    free(share->sources);
    share->entries = entries;
    share->sources = sources;
    share->entry_room = count;
    return true;
}

/* What the client knows of; before SUBSCRIBED, of nothing yet. */
static bool is_read(const struct native_source *source)
{
    return source->announced || !source->sub->live;
}

static uint32_t count_read(const struct native_share *share)
{
    uint32_t count = 0;
    for (struct native_source *at = share->sub->sources; at != NULL; at = at->next) {
        count += is_read(at);
    }
    return count;
}

static void add_entries(struct native_share *share, uint32_t count)
{
    struct native_sub *sub = share->sub;
    uint32_t first = share->turn++ % count;
    uint32_t at = 0;
    share->entry_count = count;
    for (struct native_source *source = sub->sources; source != NULL; source = source->next) {
        if (!is_read(source)) {
            continue;
        }
        uint32_t place = (at++ + first) % count;
        native_source_ref(source);
        share->sources[place] = source;
        share->entries[place] =
            (struct sluice_share_entry){.topic = {.name = {"", 0}, .id = source->topic->id},
                                        .partition = source->partition,
                                        .reads = true,
                                        .start = source->share_start};
    }
}

/* False: no memory. */
static bool fetch(struct native_share *share, uint64_t records, sluice_share_fetched_done *done)
{
    struct native_sub *sub = share->sub;
    const struct sluice_broker *broker = sub->conn->frontend->broker;
    uint64_t allowed = native_quota_allows(sub->conn);
    uint64_t bytes = sub->credit.bytes < FETCH_BYTES ? sub->credit.bytes : FETCH_BYTES;
    bytes = allowed < bytes ? allowed : bytes;
    if (!make_room(share, sub->source_count)) {
        return false;
    }
    add_entries(share, count_read(share));
    share->request = (struct sluice_share_fetch){
        .size = sizeof(share->request),
        .flags = SLUICE_SHARE_EXACT,
        .group = share->group,
        .member = share->member,
        .bytes_max = (int32_t)bytes,
        .bytes_min = 1,
        .wait_ms = WAIT_MS,
        .records_max = (int32_t)records,
        .batch_records = BATCH_RECORDS,
        .entry_count = share->entry_count,
        .entries = share->entries,
        .tag = share->tag,
        .lock_ms = share->lock_ms,
    };
    share->fetching = true;
    native_sub_ref(sub);
    broker->share_fetch(broker, &sub->conn->context, &share->request, done, share);
    return true;
}

void native_share_begin(struct native_share *share)
{
    if (!fetch(share, 0, begun)) {
        native_member_begun(share, SLUICE_E_NO_MEMORY);
    }
}

/* ---- going on ---- */

static void begin(struct native_share *share)
{
    struct native_sub *sub = share->sub;
    const struct sluice_frontend_host *io = sub->conn->frontend->io;
    struct native_conn *conn = sub->conn;
    if (!native_share_is_live(share) || share->fetching || share->judged_count > 0 ||
        count_read(share) == 0 || io->now_ms(io) < share->retry_ms) {
        return;
    }
    /* What one answer brought goes out whole: records that wait here would be given to others. */
    if (!native_quota_holds(conn) && held_give(share) && native_share_is_live(share) &&
        !native_quota_holds(conn) && !conn->blocked && !native_credit_is_out(&sub->credit)) {
        uint64_t records = sub->credit.records < RECORDS_MAX ? sub->credit.records : RECORDS_MAX;
        if (!fetch(share, records, fetched)) {
            retry(share);
        }
    } /* else CREDIT, conn_drained or its quota wakes it */
}

int64_t native_share_try(struct native_share *share, int64_t now_ms)
{
    if (share->retry_ms <= now_ms) {
        native_share_pump(share);
    }
    int64_t beat_ms = native_member_try(share, now_ms);
    return share->retry_ms > now_ms && share->retry_ms < beat_ms ? share->retry_ms : beat_ms;
}

void native_share_pump(struct native_share *share)
{
    struct native_sub *sub = share->sub;
    if (share->pumping) {
        share->again = true; /* the one below goes on */
        return;
    }
    native_sub_ref(sub);
    share->pumping = true;
    uint32_t turns = 0;
    do {
        share->again = false;
        if (turns++ == TURN_FETCHES && native_share_is_live(share)) {
            retry(share);
            break;
        }
        begin(share);
    } while (share->again);
    share->pumping = false;
    native_sub_unref(sub);
}

void native_share_changed(struct native_share *share)
{
    struct native_conn *conn = share->sub->conn;
    const struct sluice_broker *broker = conn->frontend->broker;
    native_member_changed(share);
    if (share->sub->source_count > SOURCES_MAX) {
        native_sub_end(share->sub, SLUICE_E_LIMIT,
                       "a durable subscription reads at most 1000 partitions");
    } else if (share->fetching && native_share_is_live(share)) {
        broker->fetch_cancel(broker, &conn->context, share->tag);
    } else {
        native_share_pump(share);
    }
}
