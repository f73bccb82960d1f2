/* groups.c: see groups.h. */
#include "shard/groups.h"

#include "base/buffer.h"
#include "base/bytes.h"

#include <string.h>

#define ANSWER_BYTES_MAX (64u << 20) /* of an answer that crosses loops */

struct group_call {
    struct shard_call call;
    uint64_t connection;
    struct group_caller client;
    const void *request;
    struct shard *home;
    sl_err status;
    sluice_status *statuses; /* leave, commit */
    uint32_t status_count;
    union {
        sluice_group_joined_done *joined;
        sluice_group_synced_done *synced;
        sluice_status_done *status;
        sluice_statuses_done *statuses;
        sluice_offset_fetched_done *fetched;
    } on;
    void *arg;
    /* An answer on its way to another loop: structs, and the bytes they point at as offsets in
     * `bytes`. */
    struct sluice_group_joined joined;
    struct sluice_group_synced synced;
    struct sluice_group_member *members;
    struct sl_buffer bytes;
    /* Offsets. */
    int64_t producer_id; /* of a transaction; -1: of none */
    struct cut_waiter waiter;
    struct consumer_wait wait; /* for members in a group of KIP-848 */
    struct wal_unit unit;
    struct wal_item *items;
    uint8_t *payloads;
    struct sluice_offset_fetched *fetched;
    uint32_t fetched_count;
    uint32_t fetched_capacity;
};

static void call_free(struct group_call *self)
{
    sl_buffer_fini(&self->bytes);
    sl_free(self->statuses);
    sl_free(self->members);
    sl_free(self->items);
    sl_free(self->payloads);
    sl_free(self->fetched);
    struct shard *home = self->home;
    sl_free(self);
    shard_request_end(home);
}

static struct group_call *call_new(struct shard *home, const void *request, void *arg)
{
    struct group_call *self = sl_alloc_zero(1, sizeof(*self));
    if (self == NULL) {
        return NULL;
    }
    shard_request_begin(home);
    self->home = home;
    self->request = request;
    self->arg = arg;
    self->producer_id = -1;
    sl_buffer_init(&self->bytes, ANSWER_BYTES_MAX);
    return self;
}

static void start(struct group_call *self, struct sluice_text group,
                  void (*run)(struct shard_call *call), void (*reply)(struct shard_call *call))
{
    self->call.run = run;
    self->call.reply = reply;
    shard_call_start(&self->call, shard_of_group(self->home->set, group), self->home->loop,
                     SL_PRIORITY_CONTROL);
}

/* ---- copies for the way to another loop: a view's data is an offset until it has arrived ---- */

static sl_err keep(struct group_call *self, const void *data, uint64_t size, size_t *ret_at)
{
    *ret_at = self->bytes.size;
    return sl_buffer_append(&self->bytes, data, size);
}

static sl_err keep_text(struct group_call *self, struct sluice_text *text)
{
    size_t at = 0;
    if (text->data == NULL) {
        return SLUICE_OK;
    }
    sl_err err = keep(self, text->data, text->size, &at);
    text->data = (const char *)(uintptr_t)(at + 1); /* 0 stays null */
    return err;
}

static void land_text(const struct group_call *self, struct sluice_text *text)
{
    if (text->data != NULL) {
        const char *bytes = self->bytes.size > 0 ? (const char *)self->bytes.data : "";
        text->data = bytes + ((uintptr_t)text->data - 1);
    }
}

static sl_err keep_bytes(struct group_call *self, struct sluice_bytes *bytes)
{
    struct sluice_text text = {(const char *)bytes->data, bytes->size};
    sl_err err = keep_text(self, &text);
    bytes->data = (const uint8_t *)text.data;
    return err;
}

static void land_bytes(const struct group_call *self, struct sluice_bytes *bytes)
{
    struct sluice_text text = {(const char *)bytes->data, bytes->size};
    land_text(self, &text);
    bytes->data = (const uint8_t *)text.data;
}

/* ---- join ---- */

static sl_err keep_members(struct group_call *self)
{
    const struct sluice_group_member *from = self->joined.members;
    uint32_t count = self->joined.member_count;
    if (count == 0) {
        return SLUICE_OK;
    }
    self->members = sl_alloc_zero(count, sizeof(*self->members));
    sl_err err = self->members == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    for (uint32_t i = 0; i < count && err == SLUICE_OK; i++) {
        self->members[i] = from[i];
        err = keep_text(self, &self->members[i].id);
        err = err != SLUICE_OK ? err : keep_text(self, &self->members[i].instance);
        err = err != SLUICE_OK ? err : keep_bytes(self, &self->members[i].metadata);
    }
    return err;
}

static sl_err keep_joined(struct group_call *self, const struct sluice_group_joined *joined)
{
    self->joined = *joined;
    struct sluice_text *texts[] = {&self->joined.protocol_type, &self->joined.protocol,
                                   &self->joined.leader, &self->joined.member};
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < SL_COUNT_OF(texts) && err == SLUICE_OK; i++) {
        err = keep_text(self, texts[i]);
    }
    return err != SLUICE_OK ? err : keep_members(self);
}

static void join_landed(struct shard_call *call)
{
    struct group_call *self = SL_CONTAINER_OF(call, struct group_call, call);
    struct sluice_text *texts[] = {&self->joined.protocol_type, &self->joined.protocol,
                                   &self->joined.leader, &self->joined.member};
    for (uint32_t i = 0; i < SL_COUNT_OF(texts); i++) {
        land_text(self, texts[i]);
    }
    for (uint32_t i = 0; i < self->joined.member_count; i++) {
        land_text(self, &self->members[i].id);
        land_text(self, &self->members[i].instance);
        land_bytes(self, &self->members[i].metadata);
    }
    self->joined.members = self->members;
    self->on.joined(self->arg, &self->joined);
    call_free(self);
}

static void join_answered(void *arg, const struct sluice_group_joined *joined)
{
    struct group_call *self = arg;
    shard_schedule(self->call.target);
    if (sl_loop_is_current(self->home->loop)) {
        self->on.joined(self->arg, joined);
        call_free(self);
        return;
    }
    if (keep_joined(self, joined) != SLUICE_OK) {
        self->joined = (struct sluice_group_joined){.status = SLUICE_E_NO_MEMORY};
    }
    shard_call_reply(&self->call);
}

void groups_limits(const struct broker_settings *settings, struct group_limits *ret_limits)
{
    *ret_limits = (struct group_limits){
        .members_max = (uint32_t)broker_setting_i32(&settings->group_members_max),
        .session_min_ms = broker_setting_i32(&settings->group_session_min_ms),
        .session_max_ms = broker_setting_i32(&settings->group_session_max_ms),
        .session_default_ms = broker_setting_i32(&settings->group_session_default_ms),
        .initial_delay_ms = broker_setting_i32(&settings->group_initial_delay_ms),
    };
}

/* A group of a Streams application that has no members is no more. False: it has some. */
static bool leaves_streams(struct shard *shard, struct sluice_text group)
{
    struct streams_groups *streams = shard->consumers.streams;
    if (!streams_group_exists(streams, group)) {
        return true;
    }
    if (streams_group_delete(streams, group) != SLUICE_OK) {
        return false;
    }
    consumer_desk_flush(shard);
    return true;
}

/* An empty group becomes what its first member speaks. False: it has members of the other kind. */
static bool becomes_classic(struct shard *shard, struct sluice_text group)
{
    struct consumer_groups *consumers = shard->consumers.groups;
    if (!consumer_group_exists(consumers, group)) {
        return true;
    }
    if (consumer_group_delete(consumers, group) != SLUICE_OK) {
        return false;
    }
    consumer_desk_flush(shard);
    return true;
}

static void join_settled(struct consumer_wait *wait, sl_err err)
{
    struct group_call *self = SL_CONTAINER_OF(wait, struct group_call, wait);
    if (err != SLUICE_OK) {
        self->joined = (struct sluice_group_joined){.status = err, .generation = -1};
    }
    shard_call_reply(&self->call);
}

/* A classic member among those of the consumer protocol. */
static void join_consumers(struct group_call *self, struct shard *shard)
{
    struct consumer_classic_joined result;
    consumer_group_classic_join(shard->consumers.groups, self->request, &self->client,
                                shard_now_ms(shard), &result);
    if (keep_joined(self, &result.joined) != SLUICE_OK) {
        self->joined = (struct sluice_group_joined){.status = SLUICE_E_NO_MEMORY, .generation = -1};
    }
    self->wait.settled = join_settled;
    consumer_desk_settle(shard, &self->wait);
}

static void join_run(struct shard_call *call)
{
    struct group_call *self = SL_CONTAINER_OF(call, struct group_call, call);
    struct shard *shard = call->target;
    if (shard->status != SLUICE_OK) {
        struct sluice_group_joined refused = {.status = SLUICE_E_COORDINATOR_NOT_AVAILABLE,
                                              .generation = -1};
        join_answered(self, &refused);
        return;
    }
    struct group_limits limits;
    groups_limits(shard->config.settings, &limits);
    group_coordinator_set_limits(shard->groups, &limits);
    const struct sluice_group_join *request = self->request;
    if (share_members_group(&shard->share_members, sl_of_text(request->group)) != NULL ||
        !leaves_streams(shard, request->group)) {
        struct sluice_group_joined refused = {.status = SLUICE_E_INCONSISTENT_GROUP_PROTOCOL,
                                              .generation = -1};
        join_answered(self, &refused); /* the group is of another kind */
        return;
    }
    if (!becomes_classic(shard, request->group)) {
        join_consumers(self, shard);
        return;
    }
    group_join(shard->groups, self->request, &self->client, shard_now_ms(shard), join_answered,
               self);
    shard_schedule(shard);
}

void groups_join(struct shard *home, const struct sluice_context *context,
                 const struct sluice_group_join *request, sluice_group_joined_done *done, void *arg)
{
    struct group_call *self = call_new(home, request, arg);
    if (self == NULL) {
        done(arg, &(struct sluice_group_joined){.status = SLUICE_E_NO_MEMORY, .generation = -1});
        return;
    }
    self->connection = context->connection;
    self->client =
        (struct group_caller){context->client_id, context->client_host, context->principal};
    self->on.joined = done;
    start(self, request->group, join_run, join_landed);
}

/* ---- sync ---- */

static void sync_landed(struct shard_call *call)
{
    struct group_call *self = SL_CONTAINER_OF(call, struct group_call, call);
    land_text(self, &self->synced.protocol_type);
    land_text(self, &self->synced.protocol);
    land_bytes(self, &self->synced.assignment);
    self->on.synced(self->arg, &self->synced);
    call_free(self);
}

static void sync_answered(void *arg, const struct sluice_group_synced *synced)
{
    struct group_call *self = arg;
    shard_schedule(self->call.target);
    if (sl_loop_is_current(self->home->loop)) {
        self->on.synced(self->arg, synced);
        call_free(self);
        return;
    }
    self->synced = *synced;
    sl_err err = keep_text(self, &self->synced.protocol_type);
    err = err != SLUICE_OK ? err : keep_text(self, &self->synced.protocol);
    err = err != SLUICE_OK ? err : keep_bytes(self, &self->synced.assignment);
    if (err != SLUICE_OK) {
        self->synced = (struct sluice_group_synced){.status = err};
    }
    shard_call_reply(&self->call);
}

static void sync_run(struct shard_call *call)
{
    struct group_call *self = SL_CONTAINER_OF(call, struct group_call, call);
    struct shard *shard = call->target;
    if (shard->status != SLUICE_OK) {
        sync_answered(self,
                      &(struct sluice_group_synced){.status = SLUICE_E_COORDINATOR_NOT_AVAILABLE});
        return;
    }
    if (consumer_group_has_members(shard->consumers.groups,
                                   ((const struct sluice_group_sync *)self->request)->group)) {
        struct sluice_group_synced synced;
        consumer_group_classic_sync(shard->consumers.groups, self->request, shard_now_ms(shard),
                                    &synced);
        sync_answered(self, &synced);
        return;
    }
    group_sync(shard->groups, self->request, shard_now_ms(shard), sync_answered, self);
    shard_schedule(shard);
}

void groups_sync(struct shard *home, const struct sluice_context *context,
                 const struct sluice_group_sync *request, sluice_group_synced_done *done, void *arg)
{
    struct group_call *self = call_new(home, request, arg);
    if (self == NULL) {
        done(arg, &(struct sluice_group_synced){.status = SLUICE_E_NO_MEMORY});
        return;
    }
    self->connection = context->connection;
    self->on.synced = done;
    start(self, request->group, sync_run, sync_landed);
}

/* ---- heartbeat and leave ---- */

static void status_landed(struct shard_call *call)
{
    struct group_call *self = SL_CONTAINER_OF(call, struct group_call, call);
    self->on.status(self->arg, self->status);
    call_free(self);
}

static sluice_status heartbeat(struct shard *shard, const struct sluice_group_identity *identity)
{
    if (consumer_group_has_members(shard->consumers.groups, identity->group)) {
        return consumer_group_classic_heartbeat(shard->consumers.groups, identity,
                                                shard_now_ms(shard));
    }
    return group_heartbeat(shard->groups, identity, shard_now_ms(shard));
}

static void heartbeat_run(struct shard_call *call)
{
    struct group_call *self = SL_CONTAINER_OF(call, struct group_call, call);
    struct shard *shard = call->target;
    self->status = shard->status != SLUICE_OK ? SLUICE_E_COORDINATOR_NOT_AVAILABLE
                                              : heartbeat(shard, self->request);
    shard_schedule(shard);
    shard_call_reply(call);
}

void groups_heartbeat(struct shard *home, const struct sluice_group_identity *request,
                      sluice_status_done *done, void *arg)
{
    struct group_call *self = call_new(home, request, arg);
    if (self == NULL) {
        done(arg, SLUICE_E_NO_MEMORY);
        return;
    }
    self->on.status = done;
    start(self, request->group, heartbeat_run, status_landed);
}

static void statuses_landed(struct shard_call *call)
{
    struct group_call *self = SL_CONTAINER_OF(call, struct group_call, call);
    self->on.statuses(self->arg, self->status, self->statuses, self->status_count);
    call_free(self);
}

static void leave_settled(struct consumer_wait *wait, sl_err err)
{
    struct group_call *self = SL_CONTAINER_OF(wait, struct group_call, wait);
    self->status = err;
    shard_call_reply(&self->call);
}

static void leave_run(struct shard_call *call)
{
    struct group_call *self = SL_CONTAINER_OF(call, struct group_call, call);
    struct shard *shard = call->target;
    const struct sluice_group_leave *request = self->request;
    if (shard->status == SLUICE_OK &&
        consumer_group_has_members(shard->consumers.groups, request->group)) {
        self->wait.settled = leave_settled;
        (void)consumer_group_classic_leave(shard->consumers.groups, request, shard_now_ms(shard),
                                           self->statuses);
        consumer_desk_settle(shard, &self->wait);
        return;
    }
    self->status = shard->status != SLUICE_OK ? SLUICE_E_COORDINATOR_NOT_AVAILABLE
                                              : group_leave(shard->groups, self->request,
                                                            shard_now_ms(shard), self->statuses);
    shard_schedule(shard);
    shard_call_reply(call);
}

static struct group_call *statuses_call(struct shard *home, const void *request, uint32_t count,
                                        sluice_statuses_done *done, void *arg)
{
    struct group_call *self = call_new(home, request, arg);
    sluice_status *statuses = sl_alloc_zero(count + 1u, sizeof(*statuses));
    if (self == NULL || statuses == NULL) {
        sl_free(statuses);
        done(arg, SLUICE_E_NO_MEMORY, NULL, 0);
        if (self != NULL) {
            call_free(self);
        }
        return NULL;
    }
    self->statuses = statuses;
    self->status_count = count;
    self->on.statuses = done;
    return self;
}

void groups_leave(struct shard *home, const struct sluice_group_leave *request,
                  sluice_statuses_done *done, void *arg)
{
    struct group_call *self = statuses_call(home, request, request->entry_count, done, arg);
    if (self != NULL) {
        start(self, request->group, leave_run, statuses_landed);
    }
}

/* ---- committing offsets ---- */

static void offsets_durable(struct wal_unit *unit, sl_err err)
{
    struct group_call *self = SL_CONTAINER_OF(unit, struct group_call, unit);
    struct shard *shard = self->call.target;
    for (uint32_t i = 0; err == SLUICE_OK && i < unit->item_count; i++) {
        const struct wal_item *item = &self->items[i];
        err = item->kind == WAL_ITEM_TXN_OFFSET
                  ? txn_offsets_apply(&shard->txn_offsets, item->kind, item->version, item->payload)
                  : offset_store_apply(shard->offsets, item->kind, item->version, item->payload);
    }
    for (uint32_t i = 0; err != SLUICE_OK && i < self->status_count; i++) {
        if (self->statuses[i] == SLUICE_OK) {
            self->statuses[i] = err;
        }
    }
    shard_call_reply(&self->call);
}

static sl_err commit_entry(struct shard *shard, const struct sluice_offset_commit *request,
                           uint32_t index, struct offset_commit *ret_commit)
{
    const struct sluice_offset_commit_entry *entry = &request->entries[index];
    sluice_status status = SLUICE_OK;
    struct topic *topic = shard_find_topic(shard, &entry->topic, &status);
    if (topic == NULL) {
        return status;
    }
    if (entry->partition < 0 || (uint32_t)entry->partition >= topic->partition_count) {
        return SLUICE_E_UNKNOWN_TOPIC;
    }
    *ret_commit = (struct offset_commit){.group = sl_of_text(request->identity.group),
                                         .topic = topic->id,
                                         .partition = (uint32_t)entry->partition,
                                         .leader_epoch = entry->leader_epoch,
                                         .offset = entry->offset,
                                         .time_ms = shard_wall_ms(shard),
                                         .metadata = sl_of_text(entry->metadata)};
    return offset_store_check(shard->offsets, ret_commit);
}

/* Of one entry: what a transaction holds has its producer before the rest. Returns the bytes. */
static size_t encode_commit(const struct group_call *self, const struct offset_commit *commit,
                            uint8_t *payload, struct wal_item *ret_item)
{
    bool is_pending = self->producer_id >= 0;
    size_t head = is_pending ? TXN_OFFSET_HEAD_SIZE : 0;
    size_t size = head + offset_commit_item_size(commit);
    if (is_pending) {
        sl_le64_store(payload, (uint64_t)self->producer_id);
    }
    offset_commit_item_encode(commit, payload + head);
    *ret_item = (struct wal_item){.kind = is_pending ? WAL_ITEM_TXN_OFFSET : WAL_ITEM_OFFSET_COMMIT,
                                  .version = is_pending ? TXN_OFFSET_ITEM_VERSION
                                                        : OFFSET_STORE_ITEM_VERSION,
                                  .payload = {payload, size}};
    return size;
}

/* Encodes the entries that are allowed into items; their payloads lie in one block. */
static sl_err encode_commits(struct group_call *self)
{
    const struct sluice_offset_commit *request = self->request;
    struct shard *shard = self->call.target;
    size_t total = 0;
    struct offset_commit commit;
    for (uint32_t i = 0; i < request->entry_count; i++) {
        if (self->statuses[i] == SLUICE_OK) {
            self->statuses[i] = commit_entry(shard, request, i, &commit);
        }
        if (self->statuses[i] == SLUICE_OK) {
            total += TXN_OFFSET_HEAD_SIZE + offset_commit_item_size(&commit);
        }
    }
    self->items = sl_alloc_zero(request->entry_count + 1u, sizeof(*self->items));
    self->payloads = sl_alloc(total + 1);
    if (self->items == NULL || self->payloads == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    uint8_t *at = self->payloads;
    for (uint32_t i = 0; i < request->entry_count; i++) {
        if (self->statuses[i] == SLUICE_OK &&
            commit_entry(shard, request, i, &commit) == SLUICE_OK) {
            at += encode_commit(self, &commit, at, &self->items[self->unit.item_count++]);
        }
    }
    return SLUICE_OK;
}

/* A group that has offsets, or will have when a transaction ends, is there: without members. */
static sl_err member_of_nothing(struct group_call *self)
{
    const struct sluice_offset_commit *request = self->request;
    struct sl_bytes group = sl_of_text(request->identity.group);
    struct shard *shard = self->call.target;
    bool is_there = offset_store_group_count(shard->offsets, group) > 0 ||
                    txn_offsets_has_group(&shard->txn_offsets, group);
    sl_err err = is_there ? SLUICE_E_UNKNOWN_MEMBER : SLUICE_E_GROUP_NOT_FOUND;
    for (uint32_t i = 0; i < request->entry_count; i++) {
        self->statuses[i] = err;
    }
    return err;
}

/* A transactional producer before KIP-447 says nothing of the group's generation. */
static sl_err may_commit(struct group_call *self)
{
    const struct sluice_offset_commit *request = self->request;
    const struct sluice_group_identity *identity = &request->identity;
    struct shard *shard = self->call.target;
    bool is_unnamed =
        identity->generation < 0 && identity->member.size == 0 && identity->instance.data == NULL;
    if (self->producer_id >= 0 && shard->txn_offsets.count >= TXN_OFFSETS_MAX) {
        return SLUICE_E_LIMIT;
    }
    if (share_members_group(&shard->share_members, sl_of_text(identity->group)) != NULL) {
        return member_of_nothing(self); /* it shares streams: no group that commits */
    }
    if (self->producer_id >= 0 && is_unnamed) {
        return SLUICE_OK;
    }
    if (consumer_group_exists(shard->consumers.groups, identity->group)) {
        return consumer_group_commit_check(shard->consumers.groups, request, self->producer_id >= 0,
                                           self->statuses);
    }
    if (streams_group_exists(shard->consumers.streams, identity->group)) {
        return streams_group_commit_check(
            shard->consumers.streams, request, self->producer_id >= 0,
            (uint64_t)shard->config.settings->offset_metadata_bytes_max, self->statuses);
    }
    sl_err err = group_commit_check(shard->groups, request, shard_now_ms(shard), self->statuses);
    return err == SLUICE_E_GROUP_NOT_FOUND ? member_of_nothing(self) : err;
}

static void commit_run(struct shard_call *call);

static void commit_goes_on(struct cut_waiter *waiter)
{
    commit_run(&SL_CONTAINER_OF(waiter, struct group_call, waiter)->call);
}

static void commit_run(struct shard_call *call)
{
    struct group_call *self = SL_CONTAINER_OF(call, struct group_call, call);
    struct shard *shard = call->target;
    self->waiter.go_on = commit_goes_on;
    if (cut_wait(shard, &self->waiter)) {
        return;
    }
    if (shard->status != SLUICE_OK) {
        self->status = SLUICE_E_COORDINATOR_NOT_AVAILABLE;
        shard_call_reply(call);
        return;
    }
    self->status = may_commit(self);
    shard_schedule(shard);
    if (self->status == SLUICE_OK) {
        self->status = encode_commits(self);
    }
    if (self->status != SLUICE_OK || self->unit.item_count == 0) {
        shard_call_reply(call);
        return;
    }
    self->unit.items = self->items;
    self->unit.reserve = true;
    self->unit.durable = offsets_durable;
    sl_err err = commit_log_submit(shard->log, &self->unit);
    if (err != SLUICE_OK) {
        offsets_durable(&self->unit, err);
    }
}

void groups_commit(struct shard *home, const struct sluice_offset_commit *request,
                   sluice_statuses_done *done, void *arg)
{
    struct group_call *self = statuses_call(home, request, request->entry_count, done, arg);
    if (self != NULL) {
        start(self, request->identity.group, commit_run, statuses_landed);
    }
}

void groups_commit_txn(struct shard *home, const struct sluice_offset_commit *request,
                       int64_t producer_id, sluice_statuses_done *done, void *arg)
{
    struct group_call *self = statuses_call(home, request, request->entry_count, done, arg);
    if (self != NULL) {
        self->producer_id = producer_id;
        start(self, request->identity.group, commit_run, statuses_landed);
    }
}

/* ---- reading committed offsets ---- */

/* An offset that a transaction is about to commit, for who asks for what is stable. */
static bool is_unstable(const struct group_call *self, const struct sl_uuid *topic,
                        int32_t partition)
{
    const struct sluice_offset_fetch *request = self->request;
    bool wants_stable = request->size > offsetof(struct sluice_offset_fetch, flags) &&
                        (request->flags & SLUICE_OFFSET_FETCH_STABLE) != 0;
    return wants_stable &&
           txn_offsets_is_pending(&self->call.target->txn_offsets, sl_of_text(request->group),
                                  topic, (uint32_t)partition);
}

static sl_err add_fetched(struct group_call *self, const struct sluice_offset_fetched *fetched)
{
    if (self->fetched_count == self->fetched_capacity) {
        uint32_t capacity = self->fetched_capacity == 0 ? 16 : self->fetched_capacity * 2;
        void *grown = sl_realloc(self->fetched, capacity * sizeof(*self->fetched));
        if (grown == NULL) {
            return SLUICE_E_NO_MEMORY;
        }
        self->fetched = grown;
        self->fetched_capacity = capacity;
    }
    struct sluice_offset_fetched *added = &self->fetched[self->fetched_count++];
    *added = *fetched;
    sl_err err = keep_text(self, &added->topic);
    err = err != SLUICE_OK ? err : keep_text(self, &added->metadata);
    self->fetched_count -= err != SLUICE_OK; /* its texts are not all offsets */
    return err;
}

static void fill_fetched(const struct topic *topic, const struct offset_commit *commit,
                         struct sluice_offset_fetched *ret_fetched)
{
    *ret_fetched = (struct sluice_offset_fetched){.partition = (int32_t)commit->partition,
                                                  .topic = text_of_sl(topic->name),
                                                  .offset = commit->offset,
                                                  .leader_epoch = commit->leader_epoch,
                                                  .metadata = text_of_sl(commit->metadata)};
    memcpy(ret_fetched->topic_id.bytes, topic->id.b, sizeof(ret_fetched->topic_id.bytes));
}

static void visit_commit(void *arg, const struct offset_commit *commit)
{
    struct group_call *self = arg;
    const struct topic *topic = catalog_by_id(self->call.target->catalog, &commit->topic);
    if (topic == NULL || self->status != SLUICE_OK) {
        return;
    }
    struct sluice_offset_fetched fetched;
    fill_fetched(topic, commit, &fetched);
    if (is_unstable(self, &commit->topic, fetched.partition)) {
        fetched.status = SLUICE_E_UNSTABLE_OFFSET;
    }
    self->status = add_fetched(self, &fetched);
}

static sl_err fetch_one(struct group_call *self, struct sl_bytes group,
                        const struct sluice_offset_fetch_entry *entry)
{
    struct shard *shard = self->call.target;
    struct sluice_offset_fetched fetched = {.partition = entry->partition,
                                            .topic = entry->topic.name,
                                            .topic_id = entry->topic.id,
                                            .offset = -1,
                                            .leader_epoch = -1,
                                            .metadata = sluice_text_of("")};
    struct topic *topic = shard_find_topic(shard, &entry->topic, &fetched.status);
    struct offset_commit commit;
    if (topic != NULL && entry->partition >= 0 &&
        offset_store_get(shard->offsets, group, &topic->id, (uint32_t)entry->partition, &commit)) {
        fill_fetched(topic, &commit, &fetched);
    } else if (topic != NULL) {
        fetched.topic = text_of_sl(topic->name);
        memcpy(fetched.topic_id.bytes, topic->id.b, sizeof(fetched.topic_id.bytes));
    } else if (fetched.status == SLUICE_E_UNKNOWN_TOPIC) {
        fetched.status = SLUICE_OK; /* nothing is committed for it: Kafka answers so too */
    }
    if (topic != NULL && is_unstable(self, &topic->id, entry->partition)) {
        fetched.status = SLUICE_E_UNSTABLE_OFFSET;
    }
    return add_fetched(self, &fetched);
}

static void offsets_landed(struct shard_call *call)
{
    struct group_call *self = SL_CONTAINER_OF(call, struct group_call, call);
    for (uint32_t i = 0; i < self->fetched_count; i++) {
        land_text(self, &self->fetched[i].topic);
        land_text(self, &self->fetched[i].metadata);
    }
    self->on.fetched(self->arg, self->status, self->fetched, self->fetched_count);
    call_free(self);
}

static void offsets_run(struct shard_call *call)
{
    struct group_call *self = SL_CONTAINER_OF(call, struct group_call, call);
    const struct sluice_offset_fetch *request = self->request;
    struct shard *shard = call->target;
    self->status =
        shard->status == SLUICE_E_CORRUPT ? SLUICE_E_COORDINATOR_NOT_AVAILABLE : SLUICE_OK;
    if (self->status == SLUICE_OK && request->size > offsetof(struct sluice_offset_fetch, member) &&
        shard->consumers.groups != NULL) {
        self->status = consumer_group_fetch_check(shard->consumers.groups, request->group,
                                                  request->member, request->member_epoch);
        if (self->status == SLUICE_OK) {
            self->status = streams_group_fetch_check(shard->consumers.streams, request->group,
                                                     request->member, request->member_epoch);
        }
    }
    if (self->status == SLUICE_OK && request->entries == NULL) {
        offset_store_each(shard->offsets, sl_of_text(request->group), visit_commit, self);
    }
    for (uint32_t i = 0;
         request->entries != NULL && self->status == SLUICE_OK && i < request->entry_count; i++) {
        self->status = fetch_one(self, sl_of_text(request->group), &request->entries[i]);
    }
    shard_call_reply(call);
}

void groups_offsets(struct shard *home, const struct sluice_offset_fetch *request,
                    sluice_offset_fetched_done *done, void *arg)
{
    struct group_call *self = call_new(home, request, arg);
    if (self == NULL) {
        done(arg, SLUICE_E_NO_MEMORY, NULL, 0);
        return;
    }
    self->on.fetched = done;
    start(self, request->group, offsets_run, offsets_landed);
}

/* ---- cancelling, expiry ---- */

struct closed {
    const struct shard *home;
    uint64_t connection;
};

static bool is_of_connection(void *match_arg, void *arg)
{
    const struct group_call *self = arg;
    const struct closed *closed = match_arg;
    return self->connection == closed->connection && self->home == closed->home;
}

void groups_cancel(struct shard *shard, const struct shard *home, uint64_t connection)
{
    struct closed closed = {home, connection};
    if (shard->groups != NULL) {
        group_coordinator_cancel(shard->groups, is_of_connection, &closed);
    }
}

#define EXPIRED_AT_ONCE 64u

struct expiry {
    struct wal_unit unit;
    struct shard *shard;
    uint32_t count;
    struct wal_item items[EXPIRED_AT_ONCE];
    struct sl_buffer payloads;
    size_t ends[EXPIRED_AT_ONCE];
};

static int64_t idle_of(void *arg, struct sl_bytes group)
{
    const struct shard *shard = arg;
    if (consumer_group_exists(shard->consumers.groups, text_of_sl(group))) {
        return consumer_group_idle_ms(shard->consumers.groups, text_of_sl(group),
                                      shard_now_ms(shard));
    }
    if (streams_group_exists(shard->consumers.streams, text_of_sl(group))) {
        return streams_group_idle_ms(shard->consumers.streams, text_of_sl(group),
                                     shard_now_ms(shard));
    }
    return group_coordinator_idle_ms(shard->groups, text_of_sl(group), shard_now_ms(shard));
}

struct expiry_visit {
    struct shard *shard;
    struct expiry *expiry;
};

static void visit_expired(void *arg, const struct offset_forget *forget)
{
    struct expiry *expiry = ((struct expiry_visit *)arg)->expiry;
    size_t size = offset_forget_item_size(forget);
    if (expiry->count < EXPIRED_AT_ONCE &&
        sl_buffer_reserve(&expiry->payloads, size) == SLUICE_OK) {
        offset_forget_item_encode(forget, expiry->payloads.data + expiry->payloads.size);
        expiry->payloads.size += size;
        expiry->ends[expiry->count++] = expiry->payloads.size;
    }
}

static int64_t visit_idle(void *arg, struct sl_bytes group)
{
    return idle_of(((struct expiry_visit *)arg)->shard, group);
}

static void expiry_durable(struct wal_unit *unit, sl_err err)
{
    struct expiry *expiry = SL_CONTAINER_OF(unit, struct expiry, unit);
    for (uint32_t i = 0; err == SLUICE_OK && i < expiry->count; i++) {
        err = offset_store_apply(expiry->shard->offsets, WAL_ITEM_OFFSET_FORGET,
                                 OFFSET_STORE_ITEM_VERSION, expiry->items[i].payload);
    }
    sl_buffer_fini(&expiry->payloads);
    sl_free(expiry);
}

void groups_expire(struct shard *shard)
{
    struct expiry *expiry = sl_alloc_zero(1, sizeof(*expiry));
    if (expiry == NULL) {
        return;
    }
    expiry->shard = shard;
    sl_buffer_init(&expiry->payloads, 1u << 20);
    struct expiry_visit visit = {shard, expiry};
    struct offset_expiry looked_for = {
        .wall_ms = shard_wall_ms(shard),
        .retention_ms = broker_setting_i64(&shard->config.settings->offset_retention_ms),
        .idle_ms = visit_idle,
        .forget = visit_expired,
        .arg = &visit,
        .count_max = EXPIRED_AT_ONCE};
    offset_store_expired(shard->offsets, &looked_for);
    size_t at = 0;
    for (uint32_t i = 0; i < expiry->count; i++) {
        expiry->items[i] =
            (struct wal_item){.kind = WAL_ITEM_OFFSET_FORGET,
                              .version = OFFSET_STORE_ITEM_VERSION,
                              .payload = {expiry->payloads.data + at, expiry->ends[i] - at}};
        at = expiry->ends[i];
    }
    expiry->unit = (struct wal_unit){.items = expiry->items,
                                     .item_count = expiry->count,
                                     .reserve = true,
                                     .durable = expiry_durable};
    if (expiry->count == 0 || commit_log_submit(shard->log, &expiry->unit) != SLUICE_OK) {
        sl_buffer_fini(&expiry->payloads);
        sl_free(expiry);
    }
}
