/* log_dirs.c: see log_dirs.h.
 *
 *   home: which partitions ─► each shard: the bytes of its own ─► home: their names, the answer
 */
#include "shard/log_dirs.h"

#include "shard/partition.h"

#include <string.h>

struct place {
    struct sl_uuid topic;
    uint32_t number;
    uint32_t shard;
    uint64_t bytes;
};

struct usage_call {
    struct shard_call call;
    struct usage_request *request;
    struct wal_status disk;
    sl_err err;
};

struct usage_request {
    struct shard *home;
    struct place *places;
    uint32_t place_count;
    uint32_t capacity;
    uint32_t pending_count;
    sluice_log_dirs_done *done;
    void *arg;
    struct usage_call calls[]; /* one a shard */
};

/* ---- on a shard ---- */

static void run(struct shard_call *call)
{
    struct usage_call *self = SL_CONTAINER_OF(call, struct usage_call, call);
    struct usage_request *request = self->request;
    struct shard *shard = call->target;
    self->err = shard->status;
    for (uint32_t i = 0; i < request->place_count; i++) {
        struct place *place = &request->places[i];
        const struct topic *topic =
            place->shard == shard->index ? catalog_by_id(shard->catalog, &place->topic) : NULL;
        const struct partition *partition =
            topic == NULL ? NULL : partition_find(topic, place->number);
        if (partition != NULL) {
            place->bytes = stream_index_bytes(&partition->index);
        }
    }
    if (shard->log != NULL) {
        shard->log->ops->status(shard->log, &self->disk);
    }
    shard_call_reply(call);
}

/* ---- the origin ---- */

static void request_free(struct usage_request *request)
{
    struct shard *home = request->home;
    sl_free(request->places);
    sl_free(request);
    shard_request_end(home);
}

/* What is there, with its names. */
static uint32_t fill(const struct usage_request *request, struct sluice_partition_usage *usages)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < request->place_count; i++) {
        const struct place *place = &request->places[i];
        const struct topic *topic = catalog_by_id(request->home->catalog, &place->topic);
        if (topic != NULL) { /* else it was deleted meanwhile */
            usages[count++] = (struct sluice_partition_usage){.topic = text_of_sl(topic->name),
                                                              .partition = (int32_t)place->number,
                                                              .bytes = (int64_t)place->bytes};
        }
    }
    return count;
}

static void request_answer(struct usage_request *request)
{
    const struct shard *home = request->home;
    const struct broker_settings *settings = home->config.settings;
    const struct wal_status *disk = &request->calls[0].disk;
    struct sluice_partition_usage *usages =
        sl_alloc_zero(request->place_count + 1u, sizeof(*usages));
    struct sluice_log_dir dir = {.size = sizeof(dir), .total_bytes = -1, .usable_bytes = -1};
    dir.path =
        settings->in_memory ? (struct sluice_text){"", 0} : sluice_text_of(settings->log_dir);
    if (disk->disk_total > 0) {
        dir.total_bytes = (int64_t)disk->disk_total;
        dir.usable_bytes = (int64_t)disk->disk_available;
    }
    for (uint32_t i = 0; i < home->set->count; i++) {
        dir.status = dir.status != SLUICE_OK ? dir.status : request->calls[i].err;
    }
    if (usages != NULL) {
        dir.partitions = usages;
        dir.partition_count = fill(request, usages);
    }
    request->done(request->arg, usages == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK, &dir,
                  usages == NULL ? 0 : 1);
    sl_free(usages);
    request_free(request);
}

static void replied(struct shard_call *call)
{
    struct usage_request *request = SL_CONTAINER_OF(call, struct usage_call, call)->request;
    if (--request->pending_count == 0) {
        request_answer(request);
    }
}

static void add_place(struct usage_request *request, const struct topic *topic, uint32_t number)
{
    if (request->place_count < request->capacity) {
        request->places[request->place_count++] =
            (struct place){.topic = topic->id,
                           .number = number,
                           .shard = shard_of_partition(request->home->set, topic, number)->index};
    }
}

static void count_topic(void *arg, struct topic *topic)
{
    *(uint32_t *)arg += topic->partition_count;
}

static void add_topic(void *arg, struct topic *topic)
{
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        add_place(arg, topic, i);
    }
}

static void add_places(struct usage_request *request, const struct sluice_partition_ref *partitions,
                       uint32_t count)
{
    if (partitions == NULL) {
        catalog_each(request->home->catalog, add_topic, request);
    }
    for (uint32_t i = 0; partitions != NULL && i < count; i++) {
        sluice_status status = SLUICE_OK;
        const struct topic *topic = shard_find_topic(request->home, &partitions[i].topic, &status);
        int32_t number = partitions[i].partition;
        if (topic != NULL && number >= 0 && (uint32_t)number < topic->partition_count) {
            add_place(request, topic, (uint32_t)number);
        }
    }
}

void log_dirs_start(struct shard *home, const struct sluice_partition_ref *partitions,
                    uint32_t count, sluice_log_dirs_done *done, void *arg)
{
    uint32_t shards = home->set->count;
    struct usage_request *request =
        sl_alloc_zero(1, sizeof(*request) + shards * sizeof(struct usage_call));
    if (request == NULL) {
        done(arg, SLUICE_E_NO_MEMORY, NULL, 0);
        return;
    }
    shard_request_begin(home);
    request->home = home;
    request->done = done;
    request->arg = arg;
    request->capacity = count;
    if (partitions == NULL) {
        request->capacity = 0;
        catalog_each(home->catalog, count_topic, &request->capacity);
    }
    request->places = sl_alloc_zero(request->capacity + 1u, sizeof(*request->places));
    if (request->places == NULL) {
        request_free(request);
        done(arg, SLUICE_E_NO_MEMORY, NULL, 0);
        return;
    }
    add_places(request, partitions, count);
    request->pending_count = shards;
    for (uint32_t i = 0; i < shards; i++) {
        struct usage_call *self = &request->calls[i];
        self->request = request;
        self->call.run = run;
        self->call.reply = replied;
        shard_call_start(&self->call, home->set->shards[i], home->loop, SL_PRIORITY_IO);
    }
}

void partitions_find(struct shard *home, const struct sluice_partition_ref *partitions,
                     uint32_t count, sluice_statuses_done *done, void *arg)
{
    sluice_status *statuses = sl_alloc_zero(count + 1u, sizeof(*statuses));
    if (statuses == NULL) {
        done(arg, SLUICE_E_NO_MEMORY, NULL, 0);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct topic *topic = shard_find_topic(home, &partitions[i].topic, &statuses[i]);
        int32_t number = partitions[i].partition;
        if (topic != NULL && (number < 0 || (uint32_t)number >= topic->partition_count)) {
            statuses[i] = SLUICE_E_UNKNOWN_TOPIC;
        }
    }
    done(arg, SLUICE_OK, statuses, count);
    sl_free(statuses);
}

/* ---- the log of the catalog ---- */

struct quorum_call {
    struct shard_call call;
    struct shard *home;
    struct sluice_quorum quorum;
    sluice_quorum_done *done;
    void *arg;
};

static void quorum_run(struct shard_call *call)
{
    struct quorum_call *self = SL_CONTAINER_OF(call, struct quorum_call, call);
    const struct shard *shard = call->target;
    struct wal_status status = {0};
    if (shard->log != NULL) {
        shard->log->ops->status(shard->log, &status);
    }
    self->quorum.status = shard->status;
    self->quorum.leader_epoch = shard_epoch(shard);
    self->quorum.log_end_offset = (int64_t)status.last_lsn + 1;
    self->quorum.high_watermark = (int64_t)status.durable_lsn + 1;
    self->quorum.wall_ms = shard_wall_ms(shard);
    shard_call_reply(call);
}

static void quorum_replied(struct shard_call *call)
{
    struct quorum_call *self = SL_CONTAINER_OF(call, struct quorum_call, call);
    struct shard *home = self->home;
    self->done(self->arg, &self->quorum);
    sl_free(self);
    shard_request_end(home);
}

void quorum_start(struct shard *home, sluice_quorum_done *done, void *arg)
{
    struct quorum_call *self = sl_alloc_zero(1, sizeof(*self));
    if (self == NULL) {
        done(arg,
             &(struct sluice_quorum){.size = sizeof(self->quorum), .status = SLUICE_E_NO_MEMORY});
        return;
    }
    shard_request_begin(home);
    self->home = home;
    self->done = done;
    self->arg = arg;
    self->quorum = (struct sluice_quorum){.size = sizeof(self->quorum),
                                          .leader_id = home->config.settings->node_id};
    memcpy(self->quorum.directory_id.bytes, home->config.cluster.b,
           sizeof(self->quorum.directory_id.bytes));
    self->call.run = quorum_run;
    self->call.reply = quorum_replied;
    shard_call_start(&self->call, home->set->shards[0], home->loop, SL_PRIORITY_CONTROL);
}
