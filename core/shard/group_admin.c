/* group_admin.c: see group_admin.h.
 *
 * An answer is counted, then copied into one block of exactly its size: structs first, their bytes
 * behind them. The block goes to the loop that asked as it is. */
#include "shard/group_admin.h"

#include "shard/shares.h"

#include <string.h>

/* ---- a block of structs and the bytes that they point at ---- */

struct copy {
    uint8_t *block; /* owned; NULL: only counted so far */
    uint32_t count;
    size_t struct_size;
    size_t bytes; /* of texts, counted; then: where the next one goes */
};

/* Room for what was counted. false: no memory. */
static bool copy_make(struct copy *copy)
{
    size_t structs = copy->count * copy->struct_size;
    copy->block = sl_alloc(structs + copy->bytes + 1);
    copy->bytes = structs;
    copy->count = 0;
    return copy->block != NULL;
}

static struct sluice_text copy_text(struct copy *copy, struct sluice_text text)
{
    size_t at = copy->bytes;
    copy->bytes += (size_t)text.size;
    if (copy->block == NULL || text.data == NULL) {
        return text;
    }
    sl_bytes_copy(copy->block + at, sl_of_text(text));
    return (struct sluice_text){(const char *)copy->block + at, text.size};
}

static struct sluice_bytes copy_bytes(struct copy *copy, struct sluice_bytes bytes)
{
    struct sluice_text text =
        copy_text(copy, (struct sluice_text){(const char *)bytes.data, bytes.size});
    return (struct sluice_bytes){(const uint8_t *)text.data, text.size};
}

/* ---- the list ---- */

struct list_part {
    struct shard_call call;
    struct list_call *owner;
    struct copy copy;
    sl_err err;
};

struct list_call {
    struct shard *home;
    sluice_groups_done *done;
    void *arg;
    uint32_t pending;
    struct list_part parts[];
};

static void add_summary(struct copy *copy, const struct sluice_group_summary *summary)
{
    struct sluice_group_summary *all = (void *)copy->block;
    struct sluice_group_summary added = {.group = copy_text(copy, summary->group),
                                         .protocol_type = copy_text(copy, summary->protocol_type),
                                         .state = summary->state, /* static */
                                         .type = summary->type};  /* static */
    if (all != NULL) {
        all[copy->count] = added;
    }
    copy->count++;
}

static void visit_group(void *arg, const struct group_view *view)
{
    struct list_part *part = arg;
    bool has_offsets =
        offset_store_group_count(part->call.target->offsets, sl_of_text(view->group)) > 0;
    if (view->state == GROUP_EMPTY && view->protocol_type.size == 0 && !has_offsets) {
        return; /* somebody was told a member id: nothing is there yet */
    }
    const struct sluice_group_summary summary = {.group = view->group,
                                                 .protocol_type = view->protocol_type,
                                                 .state =
                                                     sluice_text_of(group_state_text(view->state)),
                                                 .type = sluice_text_of("classic")};
    add_summary(&part->copy, &summary);
}

static void visit_consumers(void *arg, const struct consumer_group_view *view)
{
    struct list_part *part = arg;
    const struct sluice_group_summary summary = {.group = view->group,
                                                 .protocol_type = sluice_text_of("consumer"),
                                                 .state = sluice_text_of(view->state),
                                                 .type = sluice_text_of("consumer")};
    add_summary(&part->copy, &summary);
}

static void visit_streams(void *arg, const struct streams_group_view *view)
{
    struct list_part *part = arg;
    const struct sluice_group_summary summary = {.group = view->group,
                                                 .protocol_type = sluice_text_of("streams"),
                                                 .state = sluice_text_of(view->state),
                                                 .type = sluice_text_of("streams")};
    add_summary(&part->copy, &summary);
}

static void visit_offsets(void *arg, struct sl_bytes group)
{
    struct list_part *part = arg;
    const struct shard *shard = part->call.target;
    if (group_coordinator_view(shard->groups, text_of_sl(group)).state != GROUP_DEAD ||
        consumer_group_exists(shard->consumers.groups, text_of_sl(group)) ||
        streams_group_exists(shard->consumers.streams, text_of_sl(group))) {
        return; /* listed already */
    }
    const struct sluice_group_summary summary = {.group = text_of_sl(group),
                                                 .protocol_type = sluice_text_of(""),
                                                 .state =
                                                     sluice_text_of(group_state_text(GROUP_EMPTY)),
                                                 .type = sluice_text_of("classic")};
    add_summary(&part->copy, &summary);
}

static void visit_sharing(void *arg, struct share_member_group *group)
{
    struct list_part *part = arg;
    const struct sluice_group_summary summary = {
        .group = text_of_sl(group->name),
        .protocol_type = sluice_text_of(SHARE_PROTOCOL_TYPE),
        .state =
            sluice_text_of(group_state_text(group->member_count > 0 ? GROUP_STABLE : GROUP_EMPTY)),
        .type = sluice_text_of(SHARE_PROTOCOL_TYPE)};
    add_summary(&part->copy, &summary);
}

static void visit_all(struct list_part *part)
{
    const struct shard *shard = part->call.target;
    group_coordinator_each(shard->groups, visit_group, part);
    consumer_groups_each(shard->consumers.groups, visit_consumers, part);
    streams_groups_each(shard->consumers.streams, visit_streams, part);
    offset_store_groups(shard->offsets, visit_offsets, part);
    share_members_each(&shard->share_members, visit_sharing, part);
}

static void list_run(struct shard_call *call)
{
    struct list_part *part = SL_CONTAINER_OF(call, struct list_part, call);
    if (call->target->status != SLUICE_OK) {
        part->err = SLUICE_E_COORDINATOR_NOT_AVAILABLE;
        shard_call_reply(call);
        return;
    }
    part->copy.struct_size = sizeof(struct sluice_group_summary);
    visit_all(part);
    if (copy_make(&part->copy)) {
        visit_all(part);
    } else {
        part->err = SLUICE_E_NO_MEMORY;
    }
    shard_call_reply(call);
}

static void list_finish(struct list_call *self)
{
    struct shard *home = self->home;
    uint32_t shard_count = home->set->count;
    uint32_t total = 0;
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < shard_count; i++) {
        total += self->parts[i].copy.count;
        err = err != SLUICE_OK ? err : self->parts[i].err;
    }
    struct sluice_group_summary *all = sl_alloc_zero(total + 1u, sizeof(*all));
    err = all == NULL ? SLUICE_E_NO_MEMORY : err;
    uint32_t count = 0;
    for (uint32_t i = 0; err == SLUICE_OK && i < shard_count; i++) {
        const struct copy *copy = &self->parts[i].copy;
        memcpy(all + count, copy->block, copy->count * sizeof(*all));
        count += copy->count;
    }
    self->done(self->arg, err, all, count);
    sl_free(all);
    for (uint32_t i = 0; i < shard_count; i++) {
        sl_free(self->parts[i].copy.block);
    }
    sl_free(self);
    shard_request_end(home);
}

static void list_replied(struct shard_call *call)
{
    struct list_call *self = SL_CONTAINER_OF(call, struct list_part, call)->owner;
    if (--self->pending == 0) {
        list_finish(self);
    }
}

void group_list_start(struct shard *home, sluice_groups_done *done, void *arg)
{
    uint32_t count = home->set->count;
    struct list_call *self = sl_alloc_zero(1, sizeof(*self) + count * sizeof(struct list_part));
    if (self == NULL) {
        done(arg, SLUICE_E_NO_MEMORY, NULL, 0);
        return;
    }
    shard_request_begin(home);
    self->home = home;
    self->done = done;
    self->arg = arg;
    self->pending = count + 1; /* one for this loop */
    for (uint32_t i = 0; i < count; i++) {
        struct list_part *part = &self->parts[i];
        part->owner = self;
        part->call.run = list_run;
        part->call.reply = list_replied;
        shard_call_start(&part->call, home->set->shards[i], home->loop, SL_PRIORITY_CONTROL);
    }
    if (--self->pending == 0) {
        list_finish(self);
    }
}

/* ---- one group ---- */

struct one_call {
    struct shard_call call;
    struct shard *home;
    struct sluice_text group;
    const struct sluice_offset_fetch *request; /* of offsets to be deleted */
    struct sluice_group_info info;
    struct copy copy;          /* members, and all texts */
    struct consumer_wait wait; /* of a deletion */
    struct wal_unit unit;
    struct wal_item *items;
    uint8_t *payloads;
    sl_err status;
    bool shares; /* it is a group that shares streams */
    sluice_status *statuses;
    union {
        sluice_group_info_done *info;
        sluice_status_done *status;
        sluice_statuses_done *statuses;
    } on;
    void *arg;
};

static void one_free(struct one_call *self)
{
    struct shard *home = self->home;
    sl_free(self->copy.block);
    sl_free(self->items);
    sl_free(self->payloads);
    sl_free(self->statuses);
    sl_free(self);
    shard_request_end(home);
}

static struct one_call *one_new(struct shard *home, struct sluice_text group, void *arg)
{
    struct one_call *self = sl_alloc_zero(1, sizeof(*self));
    if (self != NULL) {
        shard_request_begin(home);
        self->home = home;
        self->group = group;
        self->arg = arg;
    }
    return self;
}

static void one_start(struct one_call *self, void (*run)(struct shard_call *call),
                      void (*reply)(struct shard_call *call))
{
    self->call.run = run;
    self->call.reply = reply;
    shard_call_start(&self->call, shard_of_group(self->home->set, self->group), self->home->loop,
                     SL_PRIORITY_CONTROL);
}

static void visit_member(void *arg, const struct sluice_group_member_info *from)
{
    struct copy *copy = arg;
    struct sluice_group_member_info *all = (void *)copy->block;
    struct sluice_group_member_info added = {.id = copy_text(copy, from->id),
                                             .instance = copy_text(copy, from->instance),
                                             .client_id = copy_text(copy, from->client_id),
                                             .client_host = copy_text(copy, from->client_host),
                                             .metadata = copy_bytes(copy, from->metadata),
                                             .assignment = copy_bytes(copy, from->assignment)};
    if (all != NULL) {
        all[copy->count] = added;
    }
    copy->count++;
}

static void fill_info(struct one_call *self, const struct group_view *view)
{
    const struct shard *shard = self->call.target;
    self->info.protocol_type = copy_text(&self->copy, view->protocol_type);
    self->info.protocol = copy_text(&self->copy, view->protocol);
    group_coordinator_members(shard->groups, self->group, visit_member, &self->copy);
}

static void describe_run(struct shard_call *call)
{
    struct one_call *self = SL_CONTAINER_OF(call, struct one_call, call);
    const struct shard *shard = call->target;
    self->info.group = self->group;
    if (shard->status != SLUICE_OK) {
        self->info.status = SLUICE_E_COORDINATOR_NOT_AVAILABLE;
        shard_call_reply(call);
        return;
    }
    struct group_view view = group_coordinator_view(shard->groups, self->group);
    bool has_offsets = offset_store_group_count(shard->offsets, sl_of_text(self->group)) > 0;
    bool is_consumer = consumer_group_exists(shard->consumers.groups, self->group) ||
                       streams_group_exists(shard->consumers.streams, self->group);
    if (view.state == GROUP_DEAD && has_offsets && !is_consumer) {
        view.state = GROUP_EMPTY;
    }
    self->info.status = view.state == GROUP_DEAD ? SLUICE_E_GROUP_NOT_FOUND : SLUICE_OK;
    self->info.state = sluice_text_of(group_state_text(view.state));
    self->copy.struct_size = sizeof(struct sluice_group_member_info);
    fill_info(self, &view);
    if (copy_make(&self->copy)) {
        fill_info(self, &view);
    } else {
        self->info.status = SLUICE_E_NO_MEMORY;
    }
    shard_call_reply(call);
}

static void described(struct shard_call *call)
{
    struct one_call *self = SL_CONTAINER_OF(call, struct one_call, call);
    self->info.size = sizeof(self->info);
    self->info.member_count = self->copy.block == NULL ? 0 : self->copy.count;
    self->info.members = (const void *)self->copy.block;
    self->on.info(self->arg, &self->info);
    one_free(self);
}

void group_describe_start(struct shard *home, struct sluice_text group,
                          sluice_group_info_done *done, void *arg)
{
    struct one_call *self = one_new(home, group, arg);
    if (self == NULL) {
        done(arg, &(struct sluice_group_info){.status = SLUICE_E_NO_MEMORY, .group = group});
        return;
    }
    self->on.info = done;
    one_start(self, describe_run, described);
}

/* ---- deletion ---- */

/* [takes the items' payloads, which lie in self->payloads] */
static void submit(struct one_call *self, void (*durable)(struct wal_unit *unit, sl_err err))
{
    self->unit.items = self->items;
    self->unit.reserve = true;
    self->unit.durable = durable;
    sl_err err = commit_log_submit(self->call.target->log, &self->unit);
    if (err != SLUICE_OK) {
        durable(&self->unit, err);
    }
}

static sl_err apply_forgets(struct one_call *self)
{
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; err == SLUICE_OK && i < self->unit.item_count; i++) {
        const struct wal_item *item = &self->items[i];
        err = offset_store_apply(self->call.target->offsets, item->kind, item->version,
                                 item->payload);
    }
    return err;
}

/* Items that forget, their payloads in one block. E_NO_MEMORY. */
static sl_err encode_forgets(struct one_call *self, const struct offset_forget *forgets,
                             uint32_t count)
{
    size_t size = 0;
    for (uint32_t i = 0; i < count; i++) {
        size += offset_forget_item_size(&forgets[i]);
    }
    self->items = sl_alloc_zero(count + 1u, sizeof(*self->items));
    self->payloads = sl_alloc(size + 1);
    if (self->items == NULL || self->payloads == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    uint8_t *at = self->payloads;
    for (uint32_t i = 0; i < count; i++) {
        size_t one = offset_forget_item_size(&forgets[i]);
        offset_forget_item_encode(&forgets[i], at);
        self->items[i] = (struct wal_item){.kind = WAL_ITEM_OFFSET_FORGET,
                                           .version = OFFSET_STORE_ITEM_VERSION,
                                           .payload = {at, one}};
        at += one;
    }
    self->unit.item_count = count;
    return SLUICE_OK;
}

static void group_gone(struct wal_unit *unit, sl_err err)
{
    struct one_call *self = SL_CONTAINER_OF(unit, struct one_call, unit);
    self->status = err == SLUICE_OK ? apply_forgets(self) : err;
    shard_call_reply(&self->call);
}

static sluice_status delete_group(struct shard *shard, struct sluice_text group)
{
    if (streams_group_exists(shard->consumers.streams, group)) {
        return streams_group_delete(shard->consumers.streams, group);
    }
    if (!consumer_group_exists(shard->consumers.groups, group)) {
        return group_coordinator_delete(shard->groups, group);
    }
    return consumer_group_delete(shard->consumers.groups, group);
}

static void group_settled(struct consumer_wait *wait, sl_err err)
{
    struct one_call *self = SL_CONTAINER_OF(wait, struct one_call, wait);
    self->status = err;
    shard_call_reply(&self->call);
}

static void delete_run(struct shard_call *call)
{
    struct one_call *self = SL_CONTAINER_OF(call, struct one_call, call);
    struct shard *shard = call->target;
    self->shares = share_members_group(&shard->share_members, sl_of_text(self->group)) != NULL;
    if (self->shares) { /* its end is told to all shards */
        shard_call_reply(call);
        return;
    }
    struct offset_forget forget = {.what = OFFSET_FORGET_GROUP, .group = sl_of_text(self->group)};
    bool has_offsets = offset_store_group_count(shard->offsets, forget.group) > 0;
    self->status = shard->status != SLUICE_OK ? SLUICE_E_COORDINATOR_NOT_AVAILABLE
                                              : delete_group(shard, self->group);
    if (self->status == SLUICE_E_GROUP_NOT_FOUND && has_offsets) {
        self->status = SLUICE_OK;
    }
    if (self->status == SLUICE_OK && has_offsets) {
        self->status = encode_forgets(self, &forget, 1);
    }
    if (self->status != SLUICE_OK) {
        shard_call_reply(call);
    } else if (has_offsets) {
        consumer_desk_flush(shard); /* before the offsets, and so durable with them */
        submit(self, group_gone);
    } else {
        self->wait.settled = group_settled;
        consumer_desk_settle(shard, &self->wait);
    }
}

static void status_told(struct shard_call *call)
{
    struct one_call *self = SL_CONTAINER_OF(call, struct one_call, call);
    if (self->shares) {
        share_group_delete_start(self->home, self->group, self->on.status, self->arg);
    } else {
        self->on.status(self->arg, self->status);
    }
    one_free(self);
}

void group_delete_start(struct shard *home, struct sluice_text group, sluice_status_done *done,
                        void *arg)
{
    struct one_call *self = one_new(home, group, arg);
    if (self == NULL) {
        done(arg, SLUICE_E_NO_MEMORY);
        return;
    }
    self->on.status = done;
    one_start(self, delete_run, status_told);
}

/* ---- deletion of single offsets ---- */

static sluice_status forget_of(struct one_call *self, uint32_t index,
                               struct offset_forget *ret_forget)
{
    const struct sluice_offset_fetch_entry *entry = &self->request->entries[index];
    sluice_status status = SLUICE_OK;
    const struct topic *topic = shard_find_topic(self->call.target, &entry->topic, &status);
    if (topic == NULL) {
        return status;
    }
    if (entry->partition < 0 || (uint32_t)entry->partition >= topic->partition_count) {
        return SLUICE_E_UNKNOWN_TOPIC;
    }
    if (consumer_group_subscribes(self->call.target->consumers.groups, self->group, &topic->id) ||
        streams_group_subscribes(self->call.target->consumers.streams, self->group, topic->name)) {
        return SLUICE_E_GROUP_SUBSCRIBED;
    }
    *ret_forget = (struct offset_forget){.what = OFFSET_FORGET_PARTITION,
                                         .group = sl_of_text(self->group),
                                         .topic = topic->id,
                                         .partition = (uint32_t)entry->partition};
    return SLUICE_OK;
}

static void offsets_gone(struct wal_unit *unit, sl_err err)
{
    struct one_call *self = SL_CONTAINER_OF(unit, struct one_call, unit);
    self->status = err == SLUICE_OK ? apply_forgets(self) : err;
    shard_call_reply(&self->call);
}

/* The entries that can be, as items. */
static sl_err encode_entries(struct one_call *self)
{
    uint32_t count = 0;
    struct offset_forget *forgets =
        sl_alloc_zero(self->request->entry_count + 1u, sizeof(*forgets));
    if (forgets == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    for (uint32_t i = 0; i < self->request->entry_count; i++) {
        self->statuses[i] = forget_of(self, i, &forgets[count]);
        count += self->statuses[i] == SLUICE_OK;
    }
    sl_err err = encode_forgets(self, forgets, count);
    sl_free(forgets);
    return err;
}

static void offsets_run(struct shard_call *call)
{
    struct one_call *self = SL_CONTAINER_OF(call, struct one_call, call);
    const struct shard *shard = call->target;
    self->status = shard->status != SLUICE_OK ? SLUICE_E_COORDINATOR_NOT_AVAILABLE : SLUICE_OK;
    if (self->status == SLUICE_OK &&
        group_coordinator_view(shard->groups, self->group).state == GROUP_DEAD &&
        !consumer_group_exists(shard->consumers.groups, self->group) &&
        !streams_group_exists(shard->consumers.streams, self->group) &&
        offset_store_group_count(shard->offsets, sl_of_text(self->group)) == 0) {
        self->status = SLUICE_E_GROUP_NOT_FOUND;
    }
    if (self->status == SLUICE_OK) {
        self->status = encode_entries(self);
    }
    if (self->status != SLUICE_OK || self->unit.item_count == 0) {
        shard_call_reply(call);
        return;
    }
    submit(self, offsets_gone);
}

static void statuses_told(struct shard_call *call)
{
    struct one_call *self = SL_CONTAINER_OF(call, struct one_call, call);
    self->on.statuses(self->arg, self->status, self->statuses, self->request->entry_count);
    one_free(self);
}

void offset_delete_start(struct shard *home, const struct sluice_offset_fetch *request,
                         sluice_statuses_done *done, void *arg)
{
    struct one_call *self = one_new(home, request->group, arg);
    sluice_status *statuses = sl_alloc_zero(request->entry_count + 1u, sizeof(*statuses));
    if (self == NULL || statuses == NULL) {
        sl_free(statuses);
        done(arg, SLUICE_E_NO_MEMORY, NULL, 0);
        if (self != NULL) {
            one_free(self);
        }
        return;
    }
    self->statuses = statuses;
    self->request = request;
    self->on.statuses = done;
    one_start(self, offsets_run, statuses_told);
}
