/* topics.c: see topics.h.
 *
 *   shard 0: check, reserve, encode ─► one unit, all or nothing ─► durable ─► apply ─► spread ─►
 * answer others:                                                                             apply
 */
#include "shard/topics.h"

#include "catalog/topic_alter.h"
#include "shard/partition.h"

#include <stdio.h>
#include <string.h>

struct topics_call;

/* One change on its way to another shard. */
struct spread {
    struct shard_call call;
    struct topics_call *owner;
};

struct topics_call {
    struct shard_call call;
    struct shard *home;
    const struct sluice_topic_spec *specs;     /* create */
    const struct sluice_config_alter *alters;  /* change */
    const struct sluice_topic_growth *growths; /* grow */
    const struct sluice_topic_ref *refs;       /* delete */
    uint32_t count;
    bool validate_only;
    bool internal;
    bool has_near;
    uint32_t near_shard; /* of partition 0 of `near` */
    struct wal_unit unit;
    struct wal_item *items; /* of those that go through; payloads on the heap */
    uint32_t *item_results; /* which result an item belongs to */
    uint32_t item_count;
    uint32_t pending_spreads;
    struct spread *spreads;
    struct sluice_topic_result *results;
    char (*reasons)[CATALOG_REASON_BYTES];
    struct sl_uuid *ids;
    sluice_topic_results_done *done;
    void *arg;
};

static void call_free(struct topics_call *self)
{
    for (uint32_t i = 0; i < self->item_count; i++) {
        sl_free((void *)(uintptr_t)self->items[i].payload.data);
    }
    sl_free(self->items);
    sl_free(self->item_results);
    sl_free(self->spreads);
    sl_free(self->results);
    sl_free(self->reasons);
    sl_free(self->ids);
    struct shard *home = self->home;
    sl_free(self);
    shard_request_end(home);
}

static void replied(struct shard_call *call)
{
    struct topics_call *self = SL_CONTAINER_OF(call, struct topics_call, call);
    for (uint32_t i = 0; i < self->count; i++) {
        self->results[i].reason = sluice_text_of(self->reasons[i]);
    }
    self->done(self->arg, self->results, self->count);
    call_free(self);
}

/* ---- spreading a change ---- */

static void apply_items(struct shard *shard, const struct topics_call *self)
{
    for (uint32_t i = 0; i < self->item_count; i++) {
        const struct wal_item *item = &self->items[i];
        /* It was checked on shard 0 and is durable: a copy that cannot follow must not serve. */
        sl_err err = catalog_apply(shard->catalog, item->kind, item->version, item->payload);
        if (err != SLUICE_OK) {
            shard_refuse(shard, err);
        }
    }
}

static void spread_run(struct shard_call *call)
{
    struct spread *spread = SL_CONTAINER_OF(call, struct spread, call);
    apply_items(call->target, spread->owner);
    shard_call_reply(call);
}

static void spread_replied(struct shard_call *call)
{
    struct topics_call *self = SL_CONTAINER_OF(call, struct spread, call)->owner;
    if (--self->pending_spreads == 0) {
        shard_call_reply(&self->call);
    }
}

static void spread_start(struct topics_call *self)
{
    struct shard *shard = self->call.target;
    self->pending_spreads = 1;
    for (uint32_t i = 1; i < shard->set->count; i++) {
        struct spread *spread = &self->spreads[i];
        spread->owner = self;
        spread->call.run = spread_run;
        spread->call.reply = spread_replied;
        self->pending_spreads++;
        shard_call_start(&spread->call, shard->set->shards[i], shard->loop, SL_PRIORITY_CONTROL);
    }
    if (--self->pending_spreads == 0) {
        shard_call_reply(&self->call);
    }
}

static void fail_items(struct topics_call *self, sl_err err)
{
    for (uint32_t i = 0; i < self->item_count; i++) {
        struct sluice_topic_result *result = &self->results[self->item_results[i]];
        result->status = err;
        if (self->specs != NULL) {
            catalog_release(self->call.target->catalog, sl_of_text(result->name));
        }
    }
    shard_call_reply(&self->call);
}

static void durable(struct wal_unit *unit, sl_err err)
{
    struct topics_call *self = SL_CONTAINER_OF(unit, struct topics_call, unit);
    if (err != SLUICE_OK) {
        fail_items(self, err);
        return;
    }
    apply_items(self->call.target, self);
    spread_start(self);
}

static void submit(struct topics_call *self)
{
    struct shard *shard = self->call.target;
    if (self->item_count == 0) {
        shard_call_reply(&self->call);
        return;
    }
    self->unit = (struct wal_unit){.items = self->items,
                                   .item_count = self->item_count,
                                   .reserve = self->refs != NULL,
                                   .durable = durable};
    sl_err err = commit_log_submit(shard->log, &self->unit);
    if (err != SLUICE_OK) {
        fail_items(self, err);
    }
}

static void add_item(struct topics_call *self, uint16_t kind, struct sl_bytes payload,
                     uint32_t index)
{
    self->items[self->item_count] =
        (struct wal_item){.kind = kind, .version = CATALOG_ITEM_VERSION, .payload = payload};
    self->item_results[self->item_count++] = index;
}

/* ---- creation on shard 0 ---- */

/* Random, version-4 bits, and where asked such that partition 0 falls on the wanted shard. */
static void draw_id(const struct topics_call *self, struct sl_uuid *ret_id)
{
    struct shard *shard = self->call.target;
    do {
        sl_os_random(shard->config.os, ret_id->b, sizeof(ret_id->b));
        ret_id->b[6] = (uint8_t)((ret_id->b[6] & 0x0f) | 0x40);
        ret_id->b[8] = (uint8_t)((ret_id->b[8] & 0x3f) | 0x80);
    } while (catalog_by_id(shard->catalog, ret_id) != NULL ||
             (self->has_near &&
              (uint32_t)catalog_partition_shard(ret_id, 0, shard->set->count) != self->near_shard));
}

static sl_err create_one(struct topics_call *self, uint32_t index)
{
    struct shard *shard = self->call.target;
    const struct sluice_topic_spec *spec = &self->specs[index];
    struct sluice_topic_result *result = &self->results[index];
    uint32_t partition_count = 0;
    sl_err err = catalog_spec_check(shard->catalog, spec, self->internal, &partition_count,
                                    self->reasons[index]);
    if (err != SLUICE_OK) {
        return err;
    }
    result->partition_count = (int32_t)partition_count;
    result->replication_factor = 1;
    draw_id(self, &self->ids[index]);
    memcpy(result->id.bytes, self->ids[index].b, sizeof(result->id.bytes));
    if (self->validate_only) {
        memset(&result->id, 0, sizeof(result->id));
        return SLUICE_OK;
    }
    struct sl_bytes payload;
    err = catalog_create_encode(spec, &self->ids[index], partition_count, shard->set->count,
                                self->internal, &payload);
    if (err == SLUICE_OK) {
        err = catalog_reserve(shard->catalog, sl_of_text(spec->name), partition_count);
        if (err != SLUICE_OK) {
            sl_free((void *)(uintptr_t)payload.data);
        }
    }
    if (err == SLUICE_OK) {
        add_item(self, WAL_ITEM_TOPIC_CREATE, payload, index);
    }
    return err;
}

static void create_run(struct shard_call *call)
{
    struct topics_call *self = SL_CONTAINER_OF(call, struct topics_call, call);
    for (uint32_t i = 0; i < self->count; i++) {
        self->results[i].name = self->specs[i].name;
        self->results[i].status =
            call->target->status != SLUICE_OK ? call->target->status : create_one(self, i);
    }
    submit(self);
}

/* ---- deletion on shard 0 ---- */

static sl_err delete_one(struct topics_call *self, uint32_t index)
{
    struct shard *shard = self->call.target;
    struct sluice_topic_result *result = &self->results[index];
    sluice_status status = SLUICE_OK;
    struct topic *topic = shard_find_topic(shard, &self->refs[index], &status);
    if (topic == NULL) {
        return status;
    }
    if (!shard->config.settings->delete_topics) {
        return SLUICE_E_TOPIC_DELETION_DISABLED;
    }
    memcpy(result->id.bytes, topic->id.b, sizeof(result->id.bytes));
    if (self->validate_only) {
        return SLUICE_OK;
    }
    struct sl_bytes payload;
    sl_err err = catalog_delete_encode(&topic->id, &payload);
    if (err == SLUICE_OK) {
        add_item(self, WAL_ITEM_TOPIC_DELETE, payload, index);
    }
    return err;
}

static void delete_run(struct shard_call *call)
{
    struct topics_call *self = SL_CONTAINER_OF(call, struct topics_call, call);
    for (uint32_t i = 0; i < self->count; i++) {
        self->results[i].name = self->refs[i].name;
        memcpy(&self->results[i].id, &self->refs[i].id, sizeof(self->results[i].id));
        self->results[i].status =
            call->target->status != SLUICE_OK ? call->target->status : delete_one(self, i);
    }
    submit(self);
}

/* ---- changes of topics on shard 0 ---- */

/* The topic at `index`, which no entry before it named. NULL: *ret_status, with a reason. */
static struct topic *find_changed(struct topics_call *self, uint32_t index,
                                  sluice_status *ret_status)
{
    struct sl_bytes name = sl_of_text(self->results[index].name);
    const char *reason = NULL;
    for (uint32_t i = 0; i < index && reason == NULL; i++) {
        bool is_same = sl_bytes_equal(sl_of_text(self->results[i].name), name);
        reason = is_same ? "the request names this topic more than once" : NULL;
    }
    struct topic *topic = catalog_by_name(self->call.target->catalog, name);
    *ret_status = topic == NULL ? SLUICE_E_UNKNOWN_TOPIC : SLUICE_OK;
    if (reason == NULL && topic != NULL && topic->internal) {
        reason = "this topic is the broker's own";
    }
    if (reason != NULL) {
        snprintf(self->reasons[index], CATALOG_REASON_BYTES, "%s", reason);
        *ret_status = SLUICE_E_INVALID_REQUEST;
    }
    return *ret_status == SLUICE_OK ? topic : NULL;
}

/* [takes payload] */
static void change(struct topics_call *self, uint16_t kind, struct sl_bytes payload, uint32_t index)
{
    if (self->validate_only) {
        sl_free((void *)(uintptr_t)payload.data);
    } else {
        add_item(self, kind, payload, index);
    }
}

static sl_err alter_one(struct topics_call *self, uint32_t index)
{
    const struct sluice_config_alter *alter = &self->alters[index];
    if (alter->resource != SLUICE_RESOURCE_TOPIC) {
        snprintf(self->reasons[index], CATALOG_REASON_BYTES,
                 "the broker's configuration is in its files: change them, then sluice reload");
        return SLUICE_E_INVALID_REQUEST;
    }
    if (alter->name.size == 0) {
        snprintf(self->reasons[index], CATALOG_REASON_BYTES, "a topic has a name");
        return SLUICE_E_INVALID_REQUEST;
    }
    sluice_status err = SLUICE_OK;
    const struct topic *topic = find_changed(self, index, &err);
    struct sl_bytes payload;
    if (topic != NULL) {
        err = topic_alter_encode(self->call.target->catalog, topic, alter, &payload,
                                 self->reasons[index]);
    }
    if (err == SLUICE_OK) {
        change(self, WAL_ITEM_TOPIC_CONFIG, payload, index);
    }
    return err;
}

static sl_err check_assigned(const struct topic *topic, const struct sluice_topic_growth *growth,
                             char reason[CATALOG_REASON_BYTES])
{
    int64_t more = (int64_t)growth->partition_count - topic->partition_count;
    if (growth->assigned == 0 || growth->assigned - 1 == more) {
        return SLUICE_OK;
    }
    if (growth->assigned < 0) {
        snprintf(reason, CATALOG_REASON_BYTES, "replicas can only be assigned to this node");
        return SLUICE_E_INVALID_REPLICA_ASSIGNMENT;
    }
    snprintf(reason, CATALOG_REASON_BYTES,
             "replicas are assigned for %d partitions, and %lld are to be added",
             growth->assigned - 1, (long long)more);
    return SLUICE_E_INVALID_REPLICA_ASSIGNMENT;
}

static sl_err grow_one(struct topics_call *self, uint32_t index)
{
    int32_t wanted = self->growths[index].partition_count;
    struct shard *shard = self->call.target;
    sluice_status err = SLUICE_OK;
    const struct topic *topic = find_changed(self, index, &err);
    struct sl_bytes payload;
    if (topic != NULL) {
        err = catalog_grow_check(shard->catalog, topic, wanted, self->reasons[index]);
    }
    if (err == SLUICE_OK) {
        err = check_assigned(topic, &self->growths[index], self->reasons[index]);
    }
    if (err == SLUICE_OK) {
        err = catalog_grow_encode(topic, (uint32_t)wanted, shard->set->count, &payload);
    }
    if (err == SLUICE_OK) {
        self->results[index].partition_count = wanted;
        change(self, WAL_ITEM_TOPIC_GROW, payload, index);
    }
    return err;
}

static void grow_run(struct shard_call *call)
{
    struct topics_call *self = SL_CONTAINER_OF(call, struct topics_call, call);
    for (uint32_t i = 0; i < self->count; i++) {
        self->results[i].name = self->growths[i].name;
        self->results[i].status =
            call->target->status != SLUICE_OK ? call->target->status : grow_one(self, i);
    }
    submit(self);
}

static void alter_run(struct shard_call *call)
{
    struct topics_call *self = SL_CONTAINER_OF(call, struct topics_call, call);
    for (uint32_t i = 0; i < self->count; i++) {
        self->results[i].name = self->alters[i].name;
        self->results[i].status =
            call->target->status != SLUICE_OK ? call->target->status : alter_one(self, i);
    }
    submit(self);
}

/* ---- the origin ---- */

static struct topics_call *call_alloc(struct shard *home, uint32_t count)
{
    struct topics_call *self = count > TOPICS_AT_ONCE_MAX ? NULL : sl_alloc_zero(1, sizeof(*self));
    if (self == NULL) {
        return NULL;
    }
    size_t room = count + 1u;
    shard_request_begin(home);
    self->home = home;
    self->count = count;
    self->items = sl_alloc_zero(room, sizeof(*self->items));
    self->item_results = sl_alloc_zero(room, sizeof(*self->item_results));
    self->spreads = sl_alloc_zero(home->set->count, sizeof(*self->spreads));
    self->results = sl_alloc_zero(room, sizeof(*self->results));
    self->reasons = sl_alloc_zero(room, sizeof(*self->reasons));
    self->ids = sl_alloc_zero(room, sizeof(*self->ids));
    if (self->items == NULL || self->item_results == NULL || self->spreads == NULL ||
        self->results == NULL || self->reasons == NULL || self->ids == NULL) {
        call_free(self);
        return NULL;
    }
    return self;
}

/* NULL: there is no room for it, and `done` was told so. */
static struct topics_call *call_new(struct shard *home, uint32_t count, bool validate_only,
                                    sluice_topic_results_done *done, void *arg)
{
    struct topics_call *self = call_alloc(home, count);
    if (self == NULL) {
        done(arg, NULL, 0);
        return NULL;
    }
    self->validate_only = validate_only;
    self->done = done;
    self->arg = arg;
    return self;
}

static void start(struct shard *home, struct topics_call *self,
                  void (*run)(struct shard_call *call))
{
    self->call.run = run;
    self->call.reply = replied;
    shard_call_start(&self->call, home->set->shards[0], home->loop, SL_PRIORITY_CONTROL);
}

void topics_create_start(struct shard *home, const struct sluice_topic_spec *specs, uint32_t count,
                         bool validate_only, bool internal, const struct topic *near,
                         sluice_topic_results_done *done, void *arg)
{
    struct topics_call *self = call_new(home, count, validate_only, done, arg);
    if (self == NULL) {
        return;
    }
    self->specs = specs;
    self->internal = internal;
    self->has_near = near != NULL;
    self->near_shard = near != NULL ? topic_shard(near, 0) : 0;
    start(home, self, create_run);
}

void topics_delete_start(struct shard *home, const struct sluice_topic_ref *refs, uint32_t count,
                         bool validate_only, sluice_topic_results_done *done, void *arg)
{
    struct topics_call *self = call_new(home, count, validate_only, done, arg);
    if (self == NULL) {
        return;
    }
    self->refs = refs;
    start(home, self, delete_run);
}

void topics_alter_start(struct shard *home, const struct sluice_config_alter *alters,
                        uint32_t count, bool validate_only, sluice_topic_results_done *done,
                        void *arg)
{
    struct topics_call *self = call_new(home, count, validate_only, done, arg);
    if (self == NULL) {
        return;
    }
    self->alters = alters;
    start(home, self, alter_run);
}

void topics_grow_start(struct shard *home, const struct sluice_topic_growth *growths,
                       uint32_t count, bool validate_only, sluice_topic_results_done *done,
                       void *arg)
{
    struct topics_call *self = call_new(home, count, validate_only, done, arg);
    if (self == NULL) {
        return;
    }
    self->growths = growths;
    start(home, self, grow_run);
}
