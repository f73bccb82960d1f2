/* native_sub.c: SUBSCRIBE, CREDIT, UNSUBSCRIBE: which partitions a subscription reads, and from
 * where.
 *
 * A pattern is matched against the topics when the subscription is made, and against each topic
 * that comes later, once. The answer to SUBSCRIBE is sent when the place of each partition is
 * known: what is published after it is received. */
#include "native_lua.h"
#include "native_share.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM  8u
#define START_END   0u
#define START_FIRST 1u
#define START_AT    2u
#define START_TIME  3u
#define START_LAST  4u
#define PLACE_BYTES 28u
#define SENT_BYTES  (32u << 10) /* of SOURCE frames in one write */

/* ---- the table of a connection ---- */

static struct native_sub **bucket_of(const struct native_conn *conn, uint32_t id)
{
    return &conn->subs[id & (conn->sub_room - 1)];
}

struct native_sub *native_sub_find(const struct native_conn *conn, uint32_t id)
{
    struct native_sub *sub = conn->sub_room == 0 ? NULL : *bucket_of(conn, id);
    while (sub != NULL && sub->id != id) {
        sub = sub->next_of_conn;
    }
    return sub;
}

static bool grow(struct native_conn *conn)
{
    uint32_t room = conn->sub_room == 0 ? FIRST_ROOM : conn->sub_room * 2;
    struct native_sub **was = conn->subs;
    uint32_t was_room = conn->sub_room;
    if (conn->sub_count < conn->sub_room) {
        return true;
    }
    struct native_sub **subs = calloc(room, sizeof(struct native_sub *));
    if (subs == NULL) {
        return false;
    }
    conn->subs = subs;
    conn->sub_room = room;
    for (uint32_t i = 0; i < was_room; i++) {
        while (was[i] != NULL) {
            struct native_sub *sub = was[i];
            was[i] = sub->next_of_conn;
            sub->next_of_conn = *bucket_of(conn, sub->id);
            *bucket_of(conn, sub->id) = sub;
        }
    }
    free(was);
    return true;
}

static void enter(struct native_sub *sub)
{
    struct native_conn *conn = sub->conn;
    struct native_frontend *frontend = conn->frontend;
    sub->next_of_conn = *bucket_of(conn, sub->id);
    *bucket_of(conn, sub->id) = sub;
    conn->sub_count++;
    conn->share_count += sub->share != NULL;
    sub->next = frontend->subs;
    if (sub->next != NULL) {
        sub->next->previous = sub;
    } else {
        native_tick_at(frontend, frontend->io->now_ms(frontend->io) + NATIVE_TICK_MS);
    }
    frontend->subs = sub;
    native_sub_ref(sub);
}

static void leave(struct native_sub *sub)
{
    struct native_conn *conn = sub->conn;
    struct native_sub **at = bucket_of(conn, sub->id);
    while (*at != sub) {
        at = &(*at)->next_of_conn;
    }
    *at = sub->next_of_conn;
    conn->sub_count--;
    conn->frontend->cursor = conn->frontend->cursor == sub ? sub->next : conn->frontend->cursor;
    *(sub->previous != NULL ? &sub->previous->next : &conn->frontend->subs) = sub->next;
    if (sub->next != NULL) {
        sub->next->previous = sub->previous;
    }
}

/* ---- life ---- */

void native_sub_ref(struct native_sub *sub)
{
    sub->refs++;
}

void native_sub_unref(struct native_sub *sub)
{
    if (--sub->refs == 0) {
        native_pattern_fini(&sub->pattern);
        native_filter_fini(&sub->filter);
        native_share_free(sub->share);
        native_conn_unref(sub->conn);
        free(sub);
    }
}

static void unpark(struct native_sub *sub)
{
    while (sub->waiting != NULL) {
        struct native_source *source = sub->waiting;
        sub->waiting = source->next_parked;
        source->is_parked = false;
        native_source_unref(source);
    }
    sub->waiting_end = &sub->waiting;
}

/* Nothing of it follows. */
static void close_sub(struct native_sub *sub)
{
    if (sub->ended) {
        return;
    }
    sub->ended = true;
    while (sub->sources != NULL) {
        native_source_end(sub->sources);
    }
    unpark(sub);
    native_lua_leave(sub);
    if (sub->share != NULL) {
        native_share_leave(sub->share);
    }
    leave(sub);
    native_sub_unref(sub); /* the table's */
}

void native_sub_end(struct native_sub *sub, sluice_status status, const char *reason)
{
    struct native_conn *conn = sub->conn;
    uint32_t id = sub->id;
    if (sub->ended) {
        return;
    }
    native_conn_ref(conn);
    close_sub(sub);
    if (native_conn_is_open(conn)) {
        struct native_writer *writer = native_conn_frame(conn, NATIVE_ENDED, 0, id);
        native_write_u32(writer, (uint32_t)status);
        native_write_text(writer,
                          sluice_text_of(reason[0] != '\0' ? reason : native_status_text(status)));
        native_conn_send(conn);
    }
    native_conn_unref(conn);
}

/* Of a bucket, one that has not ended: an end that is under way, and inside of which the connection
 * ended, goes on by itself. */
static struct native_sub *find_open(const struct native_conn *conn, uint32_t bucket)
{
    struct native_sub *sub = conn->subs[bucket];
    while (sub != NULL && sub->ended) {
        sub = sub->next_of_conn;
    }
    return sub;
}

void native_subs_drop(struct native_conn *conn)
{
    struct native_sub *sub = NULL;
    while (conn->parked != NULL) {
        native_source_unpark(conn->parked);
    }
    for (uint32_t i = 0; i < conn->sub_room; i++) {
        while ((sub = find_open(conn, i)) != NULL) {
            close_sub(sub);
        }
    }
}

/* ---- topics ---- */

bool native_may_read(const struct native_conn *conn, struct sluice_text topic)
{
    const struct sluice_security *security = conn->frontend->security;
    return security == NULL ||
           security->authorize(security, &conn->context, SLUICE_OP_READ, SLUICE_ACL_TOPIC, topic);
}

static bool fits(const struct native_sub *sub, const struct native_topic *topic)
{
    return native_pattern_matches(&sub->pattern, topic->name) &&
           native_may_read(sub->conn, topic->name);
}

/* Sources for the partitions of a topic from `first` on; false: that is too many, or no memory. */
static bool add_topic(struct native_sub *sub, struct native_topic *topic, uint32_t first,
                      bool *ret_too_many)
{
    uint32_t sources_max = sub->conn->frontend->limits.sources_max;
    for (uint32_t i = first; i < topic->partition_count; i++) {
        if (sub->partition >= 0 && (uint32_t)sub->partition != i) {
            continue;
        }
        *ret_too_many = sub->source_count >= sources_max;
        struct native_source *source =
            *ret_too_many ? NULL : native_source_new(sub, topic, (int32_t)i, 0);
        if (source == NULL) {
            return false;
        }
        source->share_start = SLUICE_SHARE_START_FIRST; /* of a topic that came later */
    }
    return true;
}

static void end_too_many(struct native_sub *sub, bool too_many)
{
    native_sub_end(sub, too_many ? SLUICE_E_LIMIT : SLUICE_E_NO_MEMORY,
                   too_many ? "it reads more partitions than native.sources_max" : "");
}

void native_subs_topic_came(struct native_frontend *frontend, struct native_topic *topic,
                            uint32_t first_partition)
{
    for (struct native_sub *sub = frontend->subs; sub != NULL; sub = frontend->cursor) {
        bool too_many = false;
        frontend->cursor = sub->next;
        if (!fits(sub, topic)) {
            continue;
        }
        if (!add_topic(sub, topic, first_partition, &too_many)) {
            end_too_many(sub, too_many);
            continue;
        }
        for (struct native_source *source = sub->sources; source != NULL; source = source->next) {
            if (source->topic == topic && !source->fetching && !source->is_ready) {
                native_source_delay(source, 0);
            }
        }
    }
}

void native_subs_topic_went(struct native_frontend *frontend, struct native_topic *topic)
{
    for (struct native_sub *sub = frontend->subs; sub != NULL; sub = frontend->cursor) {
        struct native_source *next_source = NULL;
        bool had = false;
        frontend->cursor = sub->next;
        if (!native_pattern_matches(&sub->pattern, topic->name)) {
            continue;
        }
        for (struct native_source *source = sub->sources; source != NULL; source = next_source) {
            next_source = source->next;
            if (source->topic == topic) {
                native_source_end(source);
                had = true;
            }
        }
        if (had && sub->pattern.is_literal) {
            native_sub_end(sub, SLUICE_E_UNKNOWN_TOPIC, "the topic was deleted");
        }
    }
}

/* ---- SUBSCRIBE ---- */

/* Where its sources begin, and end, is asked for. */
struct opening {
    struct native_call *call;
    struct native_sub *sub; /* a reference */
    uint32_t source_count;
    uint32_t per_source;
    struct native_source **sources; /* a reference each */
    struct sluice_offset_query *queries;
};

static struct opening *opening_new(struct native_sub *sub, struct native_call *call)
{
    uint32_t per_source = sub->start == START_END ? 1 : 2; /* the end is asked for, too */
    size_t size = sizeof(struct opening) +
                  sub->source_count * (sizeof(struct native_source *) +
                                       per_source * sizeof(struct sluice_offset_query));
    struct opening *opening = calloc(1, size);
    if (opening == NULL) {
        return NULL;
    }
    opening->call = call;
    opening->sub = sub;
    opening->per_source = per_source;
    opening->queries = (struct sluice_offset_query *)(opening + 1);
    opening->sources =
        (struct native_source **)(opening->queries + (size_t)sub->source_count * per_source);
    native_sub_ref(sub);
    return opening;
}

static void opening_free(struct opening *opening)
{
    for (uint32_t i = 0; i < opening->source_count; i++) {
        native_source_unref(opening->sources[i]);
    }
    native_call_end(opening->call);
    native_sub_unref(opening->sub);
    free(opening);
}

static int64_t question_of(const struct native_sub *sub)
{
    return sub->start == START_END    ? SLUICE_TIME_LATEST
           : sub->start == START_TIME ? sub->start_value
                                      : SLUICE_TIME_EARLIEST;
}

static void ask(struct opening *opening)
{
    struct native_sub *sub = opening->sub;
    for (struct native_source *source = sub->sources; source != NULL; source = source->next) {
        uint32_t at = opening->source_count++;
        native_source_ref(source);
        opening->sources[at] = source;
        for (uint32_t i = 0; i < opening->per_source; i++) {
            opening->queries[at * opening->per_source + i] = (struct sluice_offset_query){
                .topic = {.id = source->topic->id},
                .partition = source->partition,
                .leader_epoch = -1,
                .timestamp = i == 0 ? question_of(sub) : SLUICE_TIME_LATEST,
            };
        }
    }
}

/* SUBSCRIBED, and where each source begins, in as few writes as may be. */
static void tell_subscribed(struct opening *opening)
{
    struct native_sub *sub = opening->sub;
    struct native_conn *conn = sub->conn;
    struct native_writer *writer = native_conn_frame(conn, NATIVE_SUBSCRIBED, 0, sub->id);
    bool first = false;
    for (uint32_t i = 0; i < opening->source_count && native_conn_is_open(conn); i++) {
        if (opening->sources[i]->previous_next == NULL) {
            continue; /* its topic went */
        }
        native_source_announce(opening->sources[i], first);
        first = writer->size > SENT_BYTES;
        if (first) {
            native_conn_send(conn);
        }
    }
    if (!first) {
        native_conn_send(conn);
    }
    if (sub->share == NULL && sub->behind_count == 0 && native_conn_is_open(conn)) {
        native_sub_caught_up(sub);
    }
}

static void subscribed(struct opening *opening)
{
    struct native_sub *sub = opening->sub;
    tell_subscribed(opening);
    sub->live = true;
    for (uint32_t i = 0; sub->share == NULL && i < opening->source_count; i++) {
        native_source_pump(opening->sources[i]);
    }
    for (struct native_source *source = sub->sources; source != NULL; source = source->next) {
        bool is_under_way =
            sub->share != NULL ? source->announced : source->fetching || source->is_parked;
        if (!is_under_way && !source->is_ready) {
            native_source_delay(source, 0); /* its topic came meanwhile */
        }
    }
    if (sub->share != NULL) {
        native_share_pump(sub->share);
    }
}

/* The place of one source, unless the client knows it. */
static sluice_status place(struct native_source *source, const struct sluice_offset_answer *answers,
                           uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (answers[i].status != SLUICE_OK) {
            return answers[i].status;
        }
    }
    int64_t end = answers[count - 1].offset;
    if (source->sub->start == START_AT) {
        source->next_offset = source->sub->start_value;
    } else if (!source->is_placed) {
        source->next_offset = answers[0].offset >= 0 ? answers[0].offset : end;
    }
    native_source_set_behind(source, source->next_offset < end);
    if (source->sub->start == START_LAST && !source->is_placed && source->next_offset < end) {
        source->last = native_last_new(end, source->sub->conn->frontend->limits.keys_max);
        return source->last == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    }
    return SLUICE_OK;
}

/* The group knows where it stands; where it is new, the start counts. */
static void place_shares(struct native_sub *sub)
{
    for (struct native_source *source = sub->sources; source != NULL; source = source->next) {
        source->share_start =
            sub->start == START_END ? SLUICE_SHARE_START_END : SLUICE_SHARE_START_FIRST;
    }
}

static void opened(void *arg, sluice_status status, const char *reason)
{
    struct opening *opening = arg;
    struct native_sub *sub = opening->sub;
    if (sub->ended) {
        /* it was ended, or its connection is gone */
    } else if (status != SLUICE_OK) {
        struct native_conn *conn = sub->conn;
        close_sub(sub);
        native_conn_error(conn, opening->call->id, status, sluice_text_of(reason));
    } else {
        subscribed(opening);
    }
    opening_free(opening);
}

static void answered(void *arg, const struct sluice_offset_answer *answers, uint32_t count)
{
    struct opening *opening = arg;
    sluice_status status = count == 0 && opening->source_count > 0 ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    for (uint32_t i = 0; i < opening->source_count && status == SLUICE_OK; i++) {
        status = place(opening->sources[i], answers + (size_t)i * opening->per_source,
                       opening->per_source);
        bool is_gone = status == SLUICE_E_UNKNOWN_TOPIC || status == SLUICE_E_UNKNOWN_TOPIC_ID;
        if (is_gone || status == SLUICE_E_TOPIC_AUTHORIZATION) {
            native_source_end(opening->sources[i]);
            status = SLUICE_OK;
        }
    }
    opened(opening, status, "");
}

/* The sources have their places, or they are asked for. */
static sluice_status open_sources(struct native_sub *sub, const struct native_frame *frame)
{
    struct native_conn *conn = sub->conn;
    const struct sluice_broker *broker = conn->frontend->broker;
    struct native_call *call = native_call_new(conn, frame);
    struct opening *opening = call == NULL ? NULL : opening_new(sub, call);
    if (opening == NULL) {
        if (call != NULL) {
            native_call_end(call);
        }
        return SLUICE_E_NO_MEMORY;
    }
    ask(opening);
    if (sub->share != NULL) {
        place_shares(sub);
        native_member_join(sub->share, opened, opening);
    } else if (opening->source_count == 0) {
        answered(opening, NULL, 0);
    } else {
        broker->offsets(broker, &conn->context,
                        sub->flags & NATIVE_COMMITTED ? SLUICE_ISOLATION_COMMITTED
                                                      : SLUICE_ISOLATION_UNCOMMITTED,
                        opening->queries, opening->source_count * opening->per_source, answered,
                        opening);
    }
    return SLUICE_OK;
}

/* Sources for what is there. */
static sluice_status find_sources(struct native_sub *sub)
{
    struct native_topics *topics = &sub->conn->frontend->topics;
    bool too_many = false;
    bool ok = true;
    if (sub->pattern.is_literal) {
        struct sluice_text name = {sub->pattern.text, sub->pattern.size};
        struct native_topic *topic = native_topics_find(topics, name);
        ok = topic == NULL || add_topic(sub, topic, 0, &too_many);
    }
    for (uint32_t i = 0; !sub->pattern.is_literal && i < topics->bucket_count; i++) {
        struct native_topic *topic = topics->buckets[i];
        for (; topic != NULL && ok; topic = topic->next) {
            ok = !fits(sub, topic) || add_topic(sub, topic, 0, &too_many);
        }
    }
    return ok ? SLUICE_OK : too_many ? SLUICE_E_LIMIT : SLUICE_E_NO_MEMORY;
}

struct subscribe {
    struct sluice_text pattern, group, filter;
    uint8_t start;
    int32_t partition;
    int64_t start_value;
    uint64_t credit_records, credit_bytes;
    uint32_t lock_ms;
    uint32_t place_count;
    struct native_reader places; /* 16 B topic id, i32 partition, i64 offset each */
};

static void read_subscribe(struct native_reader *reader, struct subscribe *subscribe)
{
    subscribe->pattern = native_read_text(reader);
    subscribe->group = native_read_text(reader);
    subscribe->start = native_read_u8(reader);
    native_skip(reader, 3);
    subscribe->partition = native_read_i32(reader);
    subscribe->start_value = native_read_i64(reader);
    subscribe->credit_records = native_read_u64(reader);
    subscribe->credit_bytes = native_read_u64(reader);
    subscribe->lock_ms = native_read_u32(reader);
    subscribe->filter = native_read_text(reader);
    subscribe->place_count = native_read_u32(reader);
    if (subscribe->place_count > (uint64_t)(reader->end - reader->at) / PLACE_BYTES) {
        reader->failed = true;
    }
    subscribe->places = *reader;
}

/* What of it cannot be; NULL: nothing. */
static const char *find_fault(const struct native_conn *conn, const struct native_frame *frame,
                              const struct subscribe *subscribe, sluice_status *ret_status)
{
    const struct native_limits *limits = &conn->frontend->limits;
    const struct {
        bool is_so;
        sluice_status status;
        const char *reason;
    } faults[] = {
        {frame->id == 0, SLUICE_E_INVALID_REQUEST, "a subscription's id is not 0"},
        {native_sub_find(conn, frame->id) != NULL, SLUICE_E_EXISTS,
         "a subscription of this connection has that id"},
        {conn->sub_count >= limits->subscriptions_max, SLUICE_E_LIMIT,
         "the connection has as many subscriptions as native.subscriptions_max"},
        {subscribe->start > START_LAST, SLUICE_E_INVALID_REQUEST, "a start is 0 to 4"},
        {subscribe->partition < -1, SLUICE_E_INVALID_REQUEST, "a partition is -1 or more"},
        {subscribe->start_value < 0 &&
             (subscribe->start == START_AT || subscribe->start == START_TIME),
         SLUICE_E_INVALID_REQUEST, "the start value is below 0"},
        {subscribe->place_count > limits->sources_max, SLUICE_E_LIMIT,
         "it names more places than native.sources_max"},
        {subscribe->start == START_AT && subscribe->partition < 0, SLUICE_E_INVALID_REQUEST,
         "a start at an offset wants one topic and a partition"},
        {subscribe->group.size > NATIVE_GROUP_BYTES_MAX, SLUICE_E_INVALID_GROUP_ID,
         "a group's name has at most 255 bytes"},
        {subscribe->group.size > 0 &&
             (subscribe->start > START_FIRST || subscribe->place_count > 0),
         SLUICE_E_INVALID_REQUEST, "a durable subscription starts at the end or the beginning"},
        {subscribe->group.size == 0 && (frame->flags & NATIVE_EXCLUSIVE) != 0,
         SLUICE_E_INVALID_REQUEST, "only a subscription with a group can be exclusive"},
    };
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        if (faults[i].is_so) {
            *ret_status = faults[i].status;
            return faults[i].reason;
        }
    }
    return NULL;
}

static sluice_status join(struct native_sub *sub, const struct subscribe *subscribe)
{
    const struct native_conn *conn = sub->conn;
    const struct sluice_security *security = conn->frontend->security;
    if (security != NULL && !security->authorize(security, &conn->context, SLUICE_OP_READ,
                                                 SLUICE_ACL_GROUP, subscribe->group)) {
        return SLUICE_E_GROUP_AUTHORIZATION;
    }
    sub->share = native_share_new(sub, subscribe->group, subscribe->lock_ms);
    return sub->share == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
}

static sluice_status sub_new(struct native_conn *conn, const struct native_frame *frame,
                             const struct subscribe *subscribe, struct native_sub **ret_sub,
                             const char **ret_reason)
{
    struct native_sub *sub = calloc(1, sizeof(*sub));
    if (sub == NULL || !grow(conn)) {
        free(sub);
        return SLUICE_E_NO_MEMORY;
    }
    sub->conn = conn;
    native_conn_ref(conn);
    sub->refs = 1;
    sub->id = frame->id;
    sub->flags = frame->flags;
    sub->start = subscribe->start;
    sub->partition = subscribe->partition;
    sub->start_value = subscribe->start_value;
    sub->waiting_end = &sub->waiting;
    native_credit_add(&sub->credit, subscribe->credit_records, subscribe->credit_bytes);
    sluice_status status = native_pattern_init(&sub->pattern, subscribe->pattern);
    *ret_reason = status == SLUICE_OK ? "" : "the pattern is not one";
    if (status == SLUICE_OK) {
        const struct sluice_text none = {"", 0};
        status = native_filter_init(&sub->filter,
                                    native_lua_is(subscribe->filter) ? none : subscribe->filter);
        *ret_reason = status == SLUICE_OK ? "" : "the filter is not one";
    }
    if (status == SLUICE_OK && sub->pattern.is_literal &&
        !native_may_read(conn, subscribe->pattern)) {
        status = SLUICE_E_TOPIC_AUTHORIZATION;
    }
    if (status == SLUICE_OK && subscribe->group.size > 0) {
        status = join(sub, subscribe);
        *ret_reason = "";
    }
    if (status == SLUICE_OK && sub->start == START_AT && !sub->pattern.is_literal) {
        status = SLUICE_E_INVALID_REQUEST;
        *ret_reason = "a start at an offset wants one topic and a partition";
    }
    if (status != SLUICE_OK) {
        native_sub_unref(sub);
        return status;
    }
    *ret_sub = sub;
    return SLUICE_OK;
}

/* A client that was here before knows where single partitions begin. */
static void take_places(struct native_sub *sub, const struct subscribe *subscribe)
{
    struct native_reader reader = subscribe->places;
    for (uint32_t i = 0; i < subscribe->place_count; i++) {
        const uint8_t *id = reader.at;
        native_skip(&reader, 16);
        int32_t partition = native_read_i32(&reader);
        int64_t offset = native_read_i64(&reader);
        for (struct native_source *source = sub->sources; source != NULL; source = source->next) {
            if (source->partition == partition && memcmp(source->topic->id.bytes, id, 16) == 0) {
                source->next_offset = offset < 0 ? 0 : offset;
                source->is_placed = true;
            }
        }
    }
}

static void begin(struct native_sub *sub, const struct native_frame *frame,
                  const struct subscribe *subscribe)
{
    struct native_conn *conn = sub->conn;
    native_topics_refresh(conn->frontend); /* before it is among those who are told */
    if (conn->closed) {                    /* as another one of it was told */
        native_lua_leave(sub);
        return;
    }
    enter(sub);
    sluice_status status = find_sources(sub);
    take_places(sub, subscribe);
    status = status != SLUICE_OK ? status : open_sources(sub, frame);
    if (status != SLUICE_OK) {
        close_sub(sub);
        native_conn_error(conn, frame->id, status,
                          sluice_text_of(status == SLUICE_E_LIMIT
                                             ? "it reads more partitions than native.sources_max"
                                             : ""));
    }
}

/* With its filter in Lua, which is open. [takes lua->filter] */
static sluice_status sub_new_with(struct native_conn *conn, const struct native_frame *frame,
                                  const struct subscribe *subscribe,
                                  const struct native_lua_opened *lua, struct native_sub **ret_sub,
                                  const char **ret_reason)
{
    *ret_reason = lua->reason;
    if (lua->status != SLUICE_OK) {
        return lua->status;
    }
    sluice_status status = sub_new(conn, frame, subscribe, ret_sub, ret_reason);
    if (status != SLUICE_OK && lua->filter != NULL) {
        const struct sluice_filter_host *filters = conn->frontend->filters;
        filters->close(filters, lua->filter);
    } else if (lua->filter != NULL) {
        status = native_lua_take(*ret_sub, subscribe->filter, lua);
    }
    if (status != SLUICE_OK && *ret_sub != NULL) {
        native_lua_leave(*ret_sub);
        native_sub_unref(*ret_sub);
        *ret_sub = NULL;
    }
    return status;
}

bool native_handle_subscribe(struct native_conn *conn, const struct native_frame *frame)
{
    struct native_reader reader;
    struct subscribe subscribe;
    struct native_lua_opened lua = {0};
    struct native_sub *sub = NULL;
    sluice_status status = SLUICE_OK;
    native_reader_init(&reader, frame->body, frame->body_size);
    read_subscribe(&reader, &subscribe);
    if (reader.failed) {
        native_conn_goaway(conn, SLUICE_E_MALFORMED, "the SUBSCRIBE cannot be read");
        return true;
    }
    const char *reason = find_fault(conn, frame, &subscribe, &status);
    if (reason == NULL && native_lua_is(subscribe.filter) &&
        !native_lua_open(conn, subscribe.filter, &lua)) {
        return false; /* it comes again when its filter is compiled */
    }
    if (reason == NULL) {
        status = sub_new_with(conn, frame, &subscribe, &lua, &sub, &reason);
    } else {
        native_lua_forget(conn);
    }
    if (sub == NULL) {
        native_conn_error(conn, frame->id, status, sluice_text_of(reason));
        return true;
    }
    begin(sub, frame, &subscribe);
    native_sub_unref(sub);
    return true;
}

/* ---- CREDIT, UNSUBSCRIBE ---- */

bool native_handle_credit(struct native_conn *conn, const struct native_frame *frame)
{
    struct native_reader reader;
    native_reader_init(&reader, frame->body, frame->body_size);
    uint64_t records = native_read_u64(&reader);
    uint64_t bytes = native_read_u64(&reader);
    struct native_sub *sub = native_sub_find(conn, frame->id);
    if (reader.failed) {
        native_conn_goaway(conn, SLUICE_E_MALFORMED, "the CREDIT cannot be read");
        return true;
    }
    if (sub == NULL) {
        return true; /* it has ended by itself meanwhile */
    }
    native_sub_ref(sub);
    native_credit_add(&sub->credit, records, bytes);
    if (sub->share != NULL) {
        native_share_pump(sub->share);
    }
    struct native_source *source = sub->waiting;
    sub->waiting = NULL;
    sub->waiting_end = &sub->waiting;
    while (source != NULL) {
        struct native_source *next = source->next_parked;
        source->is_parked = false;
        native_source_pump(source);
        native_source_unref(source);
        source = next;
    }
    native_sub_unref(sub);
    return true;
}

bool native_handle_unsubscribe(struct native_conn *conn, const struct native_frame *frame)
{
    struct native_sub *sub = native_sub_find(conn, frame->id);
    if (sub == NULL) {
        native_conn_error(conn, frame->id, SLUICE_E_NOT_FOUND,
                          sluice_text_of("no subscription of this connection has that id"));
        return true;
    }
    if (sub->share != NULL) { /* answered when it has left its group */
        struct native_call *call = native_call_new(conn, frame);
        if (call != NULL) {
            sub->share->unsubscribe = call;
            close_sub(sub);
        }
        return true;
    }
    close_sub(sub);
    (void)native_conn_frame(conn, NATIVE_UNSUBSCRIBED, 0, frame->id);
    native_conn_send(conn);
    return true;
}
