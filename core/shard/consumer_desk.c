/* consumer_desk.c: the groups' place in a shard: topics, time, and what goes into the log
 * (consumer_desk.h). */
#include "shard/consumer_desk.h"

#include "catalog/feature.h"
#include "shard/consumer_own.h"
#include "shard/features.h"
#include "shard/shard.h"
#include "shard/streams_desk.h"

#define UNIT_BYTES_MAX (15u << 20) /* of the items of one unit */
#define RETRY_MS       1000
#define EMPTY_KEEP_MS  600000 /* an empty group without offsets */

struct consumer_flush {
    struct wal_unit unit;
    struct shard *shard;
    struct consumer_flush *next;
    struct consumer_wait *waits, **waits_end;
    struct wal_item *items; /* owned */
    size_t *ends;           /* of payloads; owned */
    uint32_t count, capacity;
    struct sl_buffer payloads;
};

/* ---- topics as the groups see them ---- */

static uint64_t topics_version(void *arg)
{
    struct shard *shard = arg;
    return catalog_version(shard->catalog) + (consumer_own_rules(shard) << 40);
}

static bool take_topic(const struct topic *topic, struct group_topic *ret_topic)
{
    if (topic == NULL) {
        return false;
    }
    *ret_topic = (struct group_topic){topic->id, topic->name, topic->partition_count};
    return true;
}

static bool topic_by_name(void *arg, struct sl_bytes name, struct group_topic *ret_topic)
{
    return take_topic(catalog_by_name(((const struct shard *)arg)->catalog, name), ret_topic);
}

static bool topic_by_id(void *arg, const struct sl_uuid *id, struct group_topic *ret_topic)
{
    return take_topic(catalog_by_id(((const struct shard *)arg)->catalog, id), ret_topic);
}

struct each_topic {
    void (*visit)(void *arg, const struct group_topic *topic);
    void *arg;
};

static void visit_topic(void *arg, struct topic *topic)
{
    const struct each_topic *each = arg;
    struct group_topic seen;
    if (!topic->internal && take_topic(topic, &seen)) {
        each->visit(each->arg, &seen);
    }
}

static void topics_each(void *arg, void (*visit)(void *visit_arg, const struct group_topic *topic),
                        void *visit_arg)
{
    struct each_topic each = {visit, visit_arg};
    catalog_each(((const struct shard *)arg)->catalog, visit_topic, &each);
}

/* ---- settings, which a reload may change ---- */

static struct consumer_group_config config_of(const struct shard *shard)
{
    const struct broker_settings *settings = shard->config.settings;
    return (struct consumer_group_config){
        .session_timeout_ms = broker_setting_i32(&settings->consumer_session_ms),
        .heartbeat_interval_ms = broker_setting_i32(&settings->consumer_heartbeat_ms),
        .assignment_interval_ms = broker_setting_i32(&settings->consumer_assignment_ms),
        .members_max = (uint32_t)broker_setting_i32(&settings->group_members_max),
        .assignor = (uint32_t)broker_setting_i32(&settings->group_assignor),
    };
}

sl_err consumer_desk_init(struct shard *shard)
{
    const struct group_topics topics = {topics_version, topic_by_name, topic_by_id, topics_each,
                                        shard};
    const struct consumer_group_config config = config_of(shard);
    uint64_t seed[2];
    sl_os_random(shard->config.os, seed, sizeof(seed));
    shard->consumers.retry_ms = INT64_MAX;
    shard->consumers.groups = consumer_groups_new(&config, &topics, shard->groups, seed);
    const struct streams_config_source configs = {streams_desk_config, shard};
    shard->consumers.streams = streams_groups_new(&topics, &configs);
    if (shard->consumers.groups == NULL || shard->consumers.streams == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    consumer_own_init(shard, shard->consumers.groups);
    return SLUICE_OK;
}

void consumer_desk_start(struct shard *shard)
{
    consumer_groups_start(shard->consumers.groups, shard_now_ms(shard));
    streams_groups_start(shard->consumers.streams, shard_now_ms(shard));
}

/* ---- units ---- */

static void flush_free(struct consumer_flush *flush)
{
    sl_free(flush->items);
    sl_free(flush->ends);
    sl_buffer_fini(&flush->payloads);
    sl_free(flush);
}

static void flush_durable(struct wal_unit *unit, sl_err err)
{
    struct consumer_flush *flush = SL_CONTAINER_OF(unit, struct consumer_flush, unit);
    struct consumer_desk *desk = &flush->shard->consumers;
    struct consumer_wait *wait = flush->waits;
    SL_ASSERT(desk->first == flush);
    desk->first = flush->next;
    desk->last = desk->first == NULL ? NULL : desk->last;
    flush_free(flush);
    while (wait != NULL) {
        struct consumer_wait *next = wait->next;
        wait->settled(wait, err == SLUICE_OK ? err : SLUICE_E_COORDINATOR_NOT_AVAILABLE);
        wait = next;
    }
}

static sl_err flush_grow(struct consumer_flush *flush)
{
    uint32_t capacity = flush->capacity == 0 ? 16 : flush->capacity * 2;
    void *items = sl_realloc(flush->items, capacity * sizeof(*flush->items));
    flush->items = items != NULL ? items : flush->items;
    void *ends = items == NULL ? NULL : sl_realloc(flush->ends, capacity * sizeof(*flush->ends));
    flush->ends = ends != NULL ? ends : flush->ends;
    flush->capacity = ends != NULL ? capacity : flush->capacity;
    return ends == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
}

static sl_err flush_add(void *arg, uint16_t kind, uint8_t version, struct sl_bytes payload)
{
    struct consumer_flush *flush = arg;
    sl_err err = flush->count == flush->capacity ? flush_grow(flush) : SLUICE_OK;
    if (err == SLUICE_OK) {
        err = sl_buffer_append(&flush->payloads, payload.data, payload.size);
    }
    if (err == SLUICE_OK) {
        flush->items[flush->count] = (struct wal_item){.kind = kind, .version = version};
        flush->ends[flush->count++] = flush->payloads.size;
    }
    return err;
}

static sl_err flush_submit(struct shard *shard, struct consumer_flush *flush)
{
    size_t at = 0;
    for (uint32_t i = 0; i < flush->count; i++) {
        flush->items[i].payload = (struct sl_bytes){flush->payloads.data + at, flush->ends[i] - at};
        at = flush->ends[i];
    }
    flush->unit = (struct wal_unit){.items = flush->items,
                                    .item_count = flush->count,
                                    .reserve = true,
                                    .durable = flush_durable};
    return commit_log_submit(shard->log, &flush->unit);
}

static sl_err flush_make(struct shard *shard)
{
    struct consumer_desk *desk = &shard->consumers;
    struct consumer_flush *flush = sl_alloc_zero(1, sizeof(*flush));
    if (flush == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    flush->shard = shard;
    flush->waits_end = &flush->waits;
    sl_buffer_init(&flush->payloads, UNIT_BYTES_MAX);
    sl_err err = consumer_groups_dirty(desk->groups, flush_add, flush);
    err = err != SLUICE_OK ? err : streams_groups_dirty(desk->streams, flush_add, flush);
    err = err != SLUICE_OK ? err : flush_submit(shard, flush);
    if (err != SLUICE_OK) {
        flush_free(flush);
        return err;
    }
    consumer_groups_clean(desk->groups);
    streams_groups_clean(desk->streams);
    *(desk->last != NULL ? &desk->last->next : &desk->first) = flush;
    desk->last = flush;
    return SLUICE_OK;
}

static sl_err flush_try(struct shard *shard)
{
    struct consumer_desk *desk = &shard->consumers;
    if (desk->groups == NULL || shard->status != SLUICE_OK) {
        return SLUICE_E_COORDINATOR_NOT_AVAILABLE;
    }
    bool is_dirty =
        consumer_groups_is_dirty(desk->groups) || streams_groups_is_dirty(desk->streams);
    sl_err err = is_dirty ? flush_make(shard) : SLUICE_OK;
    desk->retry_ms = err == SLUICE_OK ? INT64_MAX : shard_now_ms(shard) + RETRY_MS;
    return err;
}

void consumer_desk_flush(struct shard *shard)
{
    if (flush_try(shard) != SLUICE_OK) {
        shard_schedule(shard); /* again later */
    }
}

void consumer_desk_settle(struct shard *shard, struct consumer_wait *wait)
{
    struct consumer_desk *desk = &shard->consumers;
    sl_err err = flush_try(shard);
    wait->next = NULL;
    shard_schedule(shard);
    if (err != SLUICE_OK || desk->last == NULL) {
        wait->settled(wait, err == SLUICE_OK ? err : SLUICE_E_COORDINATOR_NOT_AVAILABLE);
        return;
    }
    *desk->last->waits_end = wait;
    desk->last->waits_end = &wait->next;
}

void consumer_desk_fini(struct shard *shard)
{
    struct consumer_desk *desk = &shard->consumers;
    while (desk->first != NULL) { /* after a simulated power cut */
        struct consumer_flush *next = desk->first->next;
        flush_free(desk->first);
        desk->first = next;
    }
    desk->groups = consumer_groups_free(desk->groups);
    consumer_own_fini(shard);
    desk->streams = streams_groups_free(desk->streams);
}

/* ---- time ---- */

int64_t consumer_desk_due_ms(const struct shard *shard)
{
    const struct consumer_desk *desk = &shard->consumers;
    return desk->groups == NULL
               ? INT64_MAX
               : SL_MIN(desk->retry_ms, SL_MIN(consumer_groups_next_deadline_ms(desk->groups),
                                               streams_groups_next_deadline_ms(desk->streams)));
}

int64_t consumer_desk_tick(struct shard *shard, int64_t now_ms)
{
    struct consumer_desk *desk = &shard->consumers;
    if (desk->groups == NULL || shard->status != SLUICE_OK) {
        return INT64_MAX;
    }
    const struct consumer_group_config config = config_of(shard);
    consumer_groups_configure(desk->groups, &config);
    consumer_groups_tick(desk->groups, now_ms);
    streams_groups_tick(desk->streams, now_ms);
    (void)flush_try(shard);
    consumer_groups_deliver(desk->groups);
    return consumer_desk_due_ms(shard);
}

struct expiry {
    struct shard *shard;
    struct sluice_text found; /* one that goes; data NULL: none */
};

static void visit_view(void *arg, const struct consumer_group_view *view)
{
    struct expiry *expiry = arg;
    struct shard *shard = expiry->shard;
    int64_t idle_ms =
        consumer_group_idle_ms(shard->consumers.groups, view->group, shard_now_ms(shard));
    if (expiry->found.data == NULL && idle_ms >= EMPTY_KEEP_MS &&
        offset_store_group_count(shard->offsets, sl_of_text(view->group)) == 0) {
        expiry->found = view->group;
    }
}

static void visit_streams(void *arg, const struct streams_group_view *view)
{
    struct expiry *expiry = arg;
    struct shard *shard = expiry->shard;
    int64_t idle_ms =
        streams_group_idle_ms(shard->consumers.streams, view->group, shard_now_ms(shard));
    if (expiry->found.data == NULL && idle_ms >= EMPTY_KEEP_MS &&
        offset_store_group_count(shard->offsets, sl_of_text(view->group)) == 0) {
        expiry->found = view->group;
    }
}

/* One each time: this runs often, and the walk must not change what it walks over. */
void consumer_desk_expire(struct shard *shard)
{
    struct expiry expiry = {.shard = shard};
    if (shard->consumers.groups == NULL) {
        return;
    }
    consumer_groups_each(shard->consumers.groups, visit_view, &expiry);
    if (expiry.found.data != NULL &&
        consumer_group_delete(shard->consumers.groups, expiry.found) == SLUICE_OK) {
        consumer_desk_flush(shard);
    }
    expiry.found.data = NULL;
    streams_groups_each(shard->consumers.streams, visit_streams, &expiry);
    if (expiry.found.data != NULL &&
        streams_group_delete(shard->consumers.streams, expiry.found) == SLUICE_OK) {
        consumer_desk_flush(shard);
    }
}

/* ---- heartbeats ---- */

struct consumer_call {
    struct shard_call call;
    struct consumer_wait wait;
    struct shard *home;
    struct group_caller client;
    const struct sluice_consumer_heartbeat *request;
    struct consumer_group_answer result;
    struct sluice_assigned_partition *partitions; /* owned */
    struct sluice_text member;                    /* owned */
    sluice_consumer_heartbeat_done *done;
    void *arg;
};

static void heartbeat_landed(struct shard_call *call)
{
    struct consumer_call *self = SL_CONTAINER_OF(call, struct consumer_call, call);
    struct shard *home = self->home;
    struct sluice_consumer_heartbeat_answer *answer = &self->result.answer;
    answer->member = self->member;
    answer->partitions = self->partitions;
    if (answer->message.data != NULL) {
        answer->message.data = self->result.message;
    }
    self->done(self->arg, answer);
    sl_free(self->partitions);
    sl_free((void *)(uintptr_t)self->member.data);
    sl_free(self);
    shard_request_end(home);
}

static void fail(struct consumer_call *self, sl_err err)
{
    self->result.answer = (struct sluice_consumer_heartbeat_answer){
        .size = sizeof(self->result.answer), .status = err};
}

static void heartbeat_settled(struct consumer_wait *wait, sl_err err)
{
    struct consumer_call *self = SL_CONTAINER_OF(wait, struct consumer_call, wait);
    if (err != SLUICE_OK) {
        fail(self, err);
    }
    shard_call_reply(&self->call);
}

/* The answer as it is now: what it points at may change before it is durable. */
static sl_err keep_answer(struct consumer_call *self)
{
    struct sluice_consumer_heartbeat_answer *answer = &self->result.answer;
    char *member = sl_strdup_bytes(answer->member.data, (size_t)answer->member.size);
    if (member == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    self->member = (struct sluice_text){member, answer->member.size};
    self->partitions = sl_alloc_zero(answer->partition_count + 1u, sizeof(*self->partitions));
    if (self->partitions == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    for (uint32_t i = 0; i < answer->partition_count; i++) {
        const struct partition_entry *entry = &self->result.assigned->entries[i];
        memcpy(self->partitions[i].topic.bytes, entry->topic.b, sizeof(entry->topic.b));
        self->partitions[i].partition = (int32_t)entry->partition;
    }
    return SLUICE_OK;
}

/* The feature may have been taken back (UpdateFeatures). */
static bool is_in_force(const struct shard *shard)
{
    const struct feature *feature = feature_find(sl_bytes_of_text(FEATURE_GROUP));
    return feature_word_level(features_word(shard->set), (uint32_t)(feature - feature_table)) > 0;
}

static void heartbeat_run(struct shard_call *call)
{
    struct consumer_call *self = SL_CONTAINER_OF(call, struct consumer_call, call);
    struct shard *shard = call->target;
    if (shard->status != SLUICE_OK || !is_in_force(shard)) {
        fail(self, shard->status != SLUICE_OK ? SLUICE_E_COORDINATOR_NOT_AVAILABLE
                                              : SLUICE_E_UNSUPPORTED_VERSION);
        shard_call_reply(call);
        return;
    }
    const struct sluice_consumer_heartbeat *request = self->request;
    if (share_members_group(&shard->share_members, sl_of_text(request->group)) != NULL ||
        streams_group_exists(shard->consumers.streams, request->group)) {
        fail(self, SLUICE_E_GROUP_NOT_FOUND); /* it is of another kind */
        shard_call_reply(call);
        return;
    }
    const struct consumer_group_config config = config_of(shard);
    consumer_groups_configure(shard->consumers.groups, &config);
    consumer_group_heartbeat(shard->consumers.groups, self->request, &self->client,
                             shard_now_ms(shard), &self->result);
    sl_err err = keep_answer(self);
    if (err != SLUICE_OK) {
        fail(self, err);
    }
    self->wait.settled = heartbeat_settled;
    consumer_desk_settle(shard, &self->wait);
    consumer_groups_deliver(shard->consumers.groups);
}

void consumer_heartbeat_start(struct shard *home, const struct sluice_context *context,
                              const struct sluice_consumer_heartbeat *request,
                              sluice_consumer_heartbeat_done *done, void *arg)
{
    struct consumer_call *self = sl_alloc_zero(1, sizeof(*self));
    if (self == NULL) {
        done(arg, &(struct sluice_consumer_heartbeat_answer){
                      .size = sizeof(struct sluice_consumer_heartbeat_answer),
                      .status = SLUICE_E_NO_MEMORY});
        return;
    }
    shard_request_begin(home);
    self->home = home;
    self->client =
        (struct group_caller){context->client_id, context->client_host, context->principal};
    self->request = request;
    self->done = done;
    self->arg = arg;
    self->call.run = heartbeat_run;
    self->call.reply = heartbeat_landed;
    shard_call_start(&self->call, shard_of_group(home->set, request->group), home->loop,
                     SL_PRIORITY_CONTROL);
}
