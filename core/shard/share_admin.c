/* share_admin.c: what administrators ask of groups that share streams: offsets, configuration, ends
 * (shares.h).
 *
 *   the group's shard: may it be? ─► a part on each shard: changes, the log ─► done
 *                                                    (the end of a group: its own shard last)
 */
#include "base/bytes.h"
#include "shard/partition.h"
#include "shard/share_bury.h"
#include "shard/shares.h"

#include <string.h>

struct share_admin;

struct admin_part {
    struct shard_call call;
    struct share_admin *owner;
    struct share_change change;
    struct sluice_share_offset *offsets; /* owned */
    uint32_t offset_count;
    uint32_t offset_capacity;
    sl_err err;
};

typedef void part_fn(struct share_admin *self, struct admin_part *part);

struct share_admin {
    struct shard_call check; /* on the group's shard */
    struct shard *home;
    struct sluice_text group;
    const struct sluice_offset_fetch *asked;
    const struct sluice_offset_commit_entry *moves;
    const struct sluice_topic_ref *topics;
    const struct share_settings *settings;
    uint32_t count;
    bool must_be_empty;
    bool ends; /* the group, at last */
    part_fn *run;
    sl_err status;
    sluice_status *statuses; /* owned; each written by the shard that has it */
    struct wal_unit unit;
    struct wal_item item;
    uint8_t payload[SHARE_GROUP_ITEM_SIZE + SHARE_GROUP_BYTES_MAX];
    union {
        sluice_share_offsets_done *offsets;
        sluice_statuses_done *statuses;
        sluice_status_done *status;
    } on;
    void *arg;
    uint32_t pending;
    struct admin_part parts[];
};

static struct share_admin *admin_new(struct shard *home, struct sluice_text group, uint32_t count,
                                     part_fn *run, void *arg)
{
    uint32_t shard_count = home->set->count;
    struct share_admin *self =
        sl_alloc_zero(1, sizeof(*self) + shard_count * sizeof(struct admin_part));
    sluice_status *statuses = sl_alloc_zero(count + 1u, sizeof(*statuses));
    if (self == NULL || statuses == NULL) {
        sl_free(self);
        sl_free(statuses);
        return NULL;
    }
    shard_request_begin(home);
    self->home = home;
    self->group = group;
    self->count = count;
    self->run = run;
    self->statuses = statuses;
    self->arg = arg;
    return self;
}

static void admin_free(struct share_admin *self)
{
    struct shard *home = self->home;
    for (uint32_t i = 0; i < home->set->count; i++) {
        share_change_fini(&self->parts[i].change);
        sl_free(self->parts[i].offsets);
    }
    sl_free(self->statuses);
    sl_free(self);
    shard_request_end(home);
}

/* ---- the way through the shards ---- */

static void finish(struct share_admin *self);

static void ended(struct shard_call *call)
{
    finish(SL_CONTAINER_OF(call, struct share_admin, check));
}

static void end_durable(struct wal_unit *unit, sl_err err)
{
    struct share_admin *self = SL_CONTAINER_OF(unit, struct share_admin, unit);
    struct shard *shard = self->check.target;
    if (err == SLUICE_OK) {
        err = share_members_apply(&shard->share_members, SHARE_ITEM_VERSION, self->item.payload);
    }
    self->status = err;
    shard_call_reply(&self->check);
}

static void end_run(struct shard_call *call)
{
    struct share_admin *self = SL_CONTAINER_OF(call, struct share_admin, check);
    size_t size = share_group_item_encode(sl_of_text(self->group), -1, false, self->payload);
    self->item = (struct wal_item){.kind = WAL_ITEM_SHARE_GROUP,
                                   .version = SHARE_ITEM_VERSION,
                                   .payload = {self->payload, size}};
    self->unit = (struct wal_unit){
        .items = &self->item, .item_count = 1, .reserve = true, .durable = end_durable};
    sl_err err = call->target->status != SLUICE_OK
                     ? call->target->status
                     : commit_log_submit(call->target->log, &self->unit);
    if (err != SLUICE_OK) {
        end_durable(&self->unit, err);
    }
}

static void part_ended(struct share_admin *self)
{
    if (--self->pending > 0) {
        return;
    }
    if (self->ends && self->status == SLUICE_OK) {
        self->check.run = end_run;
        self->check.reply = ended;
        shard_call_start(&self->check, shard_of_group(self->home->set, self->group),
                         self->home->loop, SL_PRIORITY_CONTROL);
        return;
    }
    finish(self);
}

static void part_told(struct shard_call *call)
{
    struct admin_part *part = SL_CONTAINER_OF(call, struct admin_part, call);
    struct share_admin *self = part->owner;
    self->status = self->status != SLUICE_OK ? self->status : part->err;
    part_ended(self);
}
static void part_durable(struct share_change *change, sl_err err)
{
    struct admin_part *part = SL_CONTAINER_OF(change, struct admin_part, change);
    part->err = part->err != SLUICE_OK ? part->err : err;
    shard_call_reply(&part->call);
}

static void part_run(struct shard_call *call)
{
    struct admin_part *part = SL_CONTAINER_OF(call, struct admin_part, call);
    struct shard *shard = call->target;
    share_change_init(&part->change, shard);
    part->err = shard->status != SLUICE_OK ? SLUICE_E_COORDINATOR_NOT_AVAILABLE : SLUICE_OK;
    if (part->err == SLUICE_OK) {
        part->owner->run(part->owner, part);
    }
    share_change_submit(&part->change, part_durable);
}

static void parts_start(struct share_admin *self)
{
    struct shard *home = self->home;
    self->pending = home->set->count + 1;
    for (uint32_t i = 0; i < home->set->count; i++) {
        struct admin_part *part = &self->parts[i];
        part->owner = self;
        part->call.run = part_run;
        part->call.reply = part_told;
        shard_call_start(&part->call, home->set->shards[i], home->loop, SL_PRIORITY_CONTROL);
    }
    part_ended(self);
}

static void check_run(struct shard_call *call)
{
    struct share_admin *self = SL_CONTAINER_OF(call, struct share_admin, check);
    struct shard *shard = call->target;
    const struct share_member_group *group =
        share_members_group(&shard->share_members, sl_of_text(self->group));
    if (shard->status != SLUICE_OK) {
        self->status = SLUICE_E_COORDINATOR_NOT_AVAILABLE;
    } else if (group == NULL) {
        self->status = SLUICE_E_GROUP_NOT_FOUND;
    } else if (self->must_be_empty && group->member_count > 0) {
        self->status = SLUICE_E_GROUP_NOT_EMPTY;
    }
    shard_call_reply(call);
}

static void checked(struct shard_call *call)
{
    struct share_admin *self = SL_CONTAINER_OF(call, struct share_admin, check);
    if (self->status != SLUICE_OK) {
        finish(self);
    } else {
        parts_start(self);
    }
}

static void admin_start(struct share_admin *self)
{
    self->check.run = check_run;
    self->check.reply = checked;
    shard_call_start(&self->check, shard_of_group(self->home->set, self->group), self->home->loop,
                     SL_PRIORITY_CONTROL);
}

static void finish(struct share_admin *self)
{
    if (self->asked != NULL) {
        uint32_t total = 0;
        for (uint32_t i = 0; i < self->home->set->count; i++) {
            total += self->parts[i].offset_count;
        }
        struct sluice_share_offset *all = sl_alloc_zero(total + 1u, sizeof(*all));
        uint32_t count = 0;
        for (uint32_t i = 0; all != NULL && i < self->home->set->count; i++) {
            const struct admin_part *part = &self->parts[i];
            if (part->offset_count > 0) {
                memcpy(all + count, part->offsets, part->offset_count * sizeof(*all));
                count += part->offset_count;
            }
        }
        self->on.offsets(self->arg, all == NULL ? SLUICE_E_NO_MEMORY : self->status, all, count);
        sl_free(all);
    } else if (self->count > 0) {
        self->on.statuses(self->arg, self->status, self->statuses, self->count);
    } else {
        self->on.status(self->arg, self->status);
    }
    admin_free(self);
}

/* ---- where a group stands ---- */

static void add_offset(struct admin_part *part, const struct sluice_share_offset *offset)
{
    if (part->offset_count == part->offset_capacity) {
        uint32_t capacity = part->offset_capacity == 0 ? 16 : part->offset_capacity * 2;
        void *grown = sl_realloc(part->offsets, capacity * sizeof(*part->offsets));
        if (grown == NULL) {
            part->err = SLUICE_E_NO_MEMORY;
            return;
        }
        part->offsets = grown;
        part->offset_capacity = capacity;
    }
    part->offsets[part->offset_count++] = *offset;
}

static void tell_offset(struct admin_part *part, const struct topic *topic, uint32_t number)
{
    struct shard *shard = part->call.target;
    struct share_stream *stream =
        share_store_find(&shard->shares, sl_of_text(part->owner->group), &topic->id, number);
    struct partition *partition = partition_find(topic, number);
    struct sluice_share_offset told = {.partition = (int32_t)number,
                                       .topic = {.name = text_of_sl(topic->name)},
                                       .start = -1,
                                       .lag = -1,
                                       .leader_epoch = 0};
    memcpy(told.topic.id.bytes, topic->id.b, 16);
    if (stream != NULL) {
        told.start = stream->window.start;
    }
    if (stream != NULL && partition != NULL) {
        told.start = SL_MAX(told.start, partition_start(partition));
        told.lag = share_stream_lag(stream, partition_end(partition));
    }
    add_offset(part, &told);
}

static void offsets_part(struct share_admin *self, struct admin_part *part)
{
    struct shard *shard = part->call.target;
    for (uint32_t i = 0; self->asked->entries != NULL && i < self->asked->entry_count; i++) {
        const struct sluice_offset_fetch_entry *entry = &self->asked->entries[i];
        sluice_status status = SLUICE_OK;
        const struct topic *topic = shard_find_topic(shard, &entry->topic, &status);
        bool is_there = topic != NULL && entry->partition >= 0 &&
                        (uint32_t)entry->partition < topic->partition_count;
        if (!is_there && shard->index == 0) {
            const struct sluice_share_offset unknown = {.status = SLUICE_E_UNKNOWN_TOPIC,
                                                        .partition = entry->partition,
                                                        .topic = entry->topic,
                                                        .start = -1,
                                                        .lag = -1};
            add_offset(part, &unknown);
        } else if (is_there &&
                   shard_of_partition(shard->set, topic, (uint32_t)entry->partition) == shard) {
            tell_offset(part, topic, (uint32_t)entry->partition);
        }
    }
    struct share_owner_group *group =
        self->asked->entries != NULL ? NULL
                                     : share_store_group(&shard->shares, sl_of_text(self->group));
    for (struct sl_link *link = group == NULL ? NULL : group->streams.head.next;
         link != NULL && link != &group->streams.head; link = link->next) {
        const struct share_stream *stream = SL_CONTAINER_OF(link, struct share_stream, in_group);
        const struct topic *topic = catalog_by_id(shard->catalog, &stream->topic);
        if (topic != NULL) {
            tell_offset(part, topic, stream->partition);
        }
    }
}

void share_offsets_start(struct shard *home, const struct sluice_offset_fetch *request,
                         sluice_share_offsets_done *done, void *arg)
{
    struct share_admin *self = admin_new(home, request->group, 0, offsets_part, arg);
    if (self == NULL) {
        done(arg, SLUICE_E_NO_MEMORY, NULL, 0);
        return;
    }
    self->asked = request;
    self->on.offsets = done;
    admin_start(self);
}

/* ---- beginning anew ---- */

static void move(struct share_admin *self, struct admin_part *part, uint32_t index)
{
    struct shard *shard = part->call.target;
    const struct sluice_offset_commit_entry *to = &self->moves[index];
    sluice_status status = SLUICE_OK;
    struct topic *topic = shard_find_topic(shard, &to->topic, &status);
    bool is_there =
        topic != NULL && to->partition >= 0 && (uint32_t)to->partition < topic->partition_count;
    if (!is_there || to->offset < 0) {
        if (shard->index == 0) {
            self->statuses[index] =
                is_there ? SLUICE_E_OFFSET_OUT_OF_RANGE : SLUICE_E_UNKNOWN_TOPIC;
        }
        return;
    }
    uint32_t number = (uint32_t)to->partition;
    if (shard_of_partition(shard->set, topic, number) != shard) {
        return;
    }
    struct partition *partition = NULL;
    struct sl_bytes group = sl_of_text(self->group);
    struct share_stream *stream = share_store_find(&shard->shares, group, &topic->id, number);
    sl_err err = partition_open(shard, topic, number, &partition);
    int64_t start = err != SLUICE_OK ? 0
                                     : SL_MIN(SL_MAX(to->offset, partition_start(partition)),
                                              partition_end(partition));
    if (err == SLUICE_OK && stream == NULL) {
        err = share_store_add(&shard->shares, group, &topic->id, number, start, &stream);
    }
    if (err == SLUICE_OK) {
        share_window_reset(&stream->window, start);
        share_store_arm(&shard->shares, stream);
        share_change_add_whole(&part->change, stream);
        share_stream_wake(stream);
    }
    self->statuses[index] = err;
}

static void alter_part(struct share_admin *self, struct admin_part *part)
{
    for (uint32_t i = 0; i < self->count; i++) {
        move(self, part, i);
    }
}

void share_offsets_alter_start(struct shard *home, struct sluice_text group,
                               const struct sluice_offset_commit_entry *entries, uint32_t count,
                               sluice_statuses_done *done, void *arg)
{
    if (group.size == 0) {
        done(arg, SLUICE_E_INVALID_GROUP_ID, NULL, 0);
        return;
    }
    struct share_admin *self = admin_new(home, group, count, alter_part, arg);
    if (self == NULL || count == 0) {
        if (self != NULL) {
            admin_free(self);
        }
        done(arg, count == 0 ? SLUICE_OK : SLUICE_E_NO_MEMORY, NULL, 0);
        return;
    }
    self->moves = entries;
    self->must_be_empty = true;
    self->on.statuses = done;
    admin_start(self);
}

/* ---- forgetting ---- */

static void forget(struct share_admin *self, struct admin_part *part, const struct sl_uuid *topic)
{
    struct shard *shard = part->call.target;
    uint8_t payload[SHARE_FORGET_HEAD_SIZE + SHARE_GROUP_BYTES_MAX];
    struct share_forget what = {.what = topic == NULL ? SHARE_FORGET_GROUP : SHARE_FORGET_TOPIC,
                                .group = sl_of_text(self->group)};
    struct share_owner_group *group = share_store_group(&shard->shares, what.group);
    if (group == NULL) {
        return;
    }
    if (topic != NULL) {
        what.topic = *topic;
    }
    for (struct sl_link *link = group->streams.head.next; link != &group->streams.head;
         link = link->next) {
        share_stream_wake(SL_CONTAINER_OF(link, struct share_stream, in_group));
    }
    share_forget_encode(&what, payload);
    share_change_add_payload(&part->change, WAL_ITEM_SHARE_FORGET,
                             (struct sl_bytes){payload, share_forget_size(&what)});
    share_store_forget(&shard->shares, what.group, topic);
}

static void forget_part(struct share_admin *self, struct admin_part *part)
{
    struct shard *shard = part->call.target;
    for (uint32_t i = 0; i < self->count; i++) {
        sluice_status status = SLUICE_OK;
        const struct topic *topic = shard_find_topic(shard, &self->topics[i], &status);
        if (topic != NULL) {
            forget(self, part, &topic->id);
        } else if (shard->index == 0) {
            self->statuses[i] = status;
        }
    }
}

void share_offsets_delete_start(struct shard *home, struct sluice_text group,
                                const struct sluice_topic_ref *topics, uint32_t count,
                                sluice_statuses_done *done, void *arg)
{
    if (group.size == 0) {
        done(arg, SLUICE_E_INVALID_GROUP_ID, NULL, 0);
        return;
    }
    struct share_admin *self = admin_new(home, group, count, forget_part, arg);
    if (self == NULL || count == 0) {
        if (self != NULL) {
            admin_free(self);
        }
        done(arg, count == 0 ? SLUICE_OK : SLUICE_E_NO_MEMORY, NULL, 0);
        return;
    }
    self->topics = topics;
    self->must_be_empty = true;
    self->on.statuses = done;
    admin_start(self);
}

static void end_part(struct share_admin *self, struct admin_part *part)
{
    forget(self, part, NULL);
}

void share_group_delete_start(struct shard *home, struct sluice_text group,
                              sluice_status_done *done, void *arg)
{
    struct share_admin *self = admin_new(home, group, 0, end_part, arg);
    if (self == NULL) {
        done(arg, SLUICE_E_NO_MEMORY);
        return;
    }
    self->must_be_empty = true;
    self->ends = true;
    self->on.status = done;
    admin_start(self);
}

/* ---- configuration ---- */

static void config_part(struct share_admin *self, struct admin_part *part)
{
    struct shard *shard = part->call.target;
    struct sl_buffer payload;
    struct sl_bytes group = sl_of_text(self->group);
    sl_buffer_init(&payload, SHARE_STATE_BYTES_MAX);
    part->err = share_config_encode(group, self->settings, &payload);
    if (part->err == SLUICE_OK) {
        part->err = share_store_configure(&shard->shares, group, self->settings);
    }
    if (part->err == SLUICE_OK) {
        share_change_add_payload(&part->change, WAL_ITEM_SHARE_CONFIG, sl_buffer_bytes(&payload));
        share_bury_again(shard);
    }
    sl_buffer_fini(&payload);
}

void share_configure_start(struct shard *home, struct sluice_text group,
                           const struct share_settings *settings, sluice_status_done *done,
                           void *arg)
{
    struct share_admin *self = admin_new(home, group, 0, config_part, arg);
    if (self == NULL) {
        done(arg, SLUICE_E_NO_MEMORY);
        return;
    }
    self->settings = settings;
    self->on.status = done;
    parts_start(self); /* a group may be configured before anybody joins it */
}
