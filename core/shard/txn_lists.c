/* txn_lists.c: see txn_lists.h. One call to each shard that has something to say; each fills its
 * own part, and the origin puts them together. */
#include "shard/txn_lists.h"

#include "deliver/topic_pattern.h"

#include "base/buffer.h"
#include "shard/partition.h"

#include <string.h>

#define LIST_BYTES_MAX (64u << 20) /* of one shard's part */

struct list_request;

/* What one shard says. Views are offsets into `bytes` until all parts have arrived. */
struct list_part {
    struct shard_call call;
    struct list_request *request;
    struct sl_buffer bytes;  /* texts */
    struct sl_buffer infos;  /* struct sluice_txn_info */
    struct sl_buffer places; /* struct sluice_txn_partition */
    sl_err err;
};

struct list_request {
    struct shard *home;
    const struct sluice_text *ids; /* NULL: all */
    struct topic_pattern *pattern; /* owned; of those wanted; NULL: all */
    uint32_t id_count;
    uint32_t pending;
    uint32_t part_count;
    sluice_txns_done *done;
    void *arg;
    struct list_part parts[];
};

/* ---- on a shard ---- */

static sl_err keep_text(struct list_part *part, struct sl_bytes text, struct sluice_text *ret_text)
{
    size_t at = part->bytes.size;
    sl_err err = sl_buffer_append(&part->bytes, text.data, text.size);
    *ret_text = (struct sluice_text){(const char *)(uintptr_t)at, text.size};
    return err;
}

static sl_err add_places(struct list_part *part, const struct txn *txn,
                         struct sluice_txn_info *info)
{
    sl_err err = SLUICE_OK;
    info->partitions = (const void *)(uintptr_t)part->places.size;
    for (uint32_t i = 0; err == SLUICE_OK && i < txn->values.partition_count; i++) {
        const struct txn_partition *from = &txn->values.partitions[i];
        const struct topic *topic = catalog_by_id(part->call.target->catalog, &from->topic);
        struct sluice_txn_partition place = {.partition = (int32_t)from->number};
        if (topic == NULL) {
            continue;
        }
        memcpy(place.topic.id.bytes, from->topic.b, sizeof(place.topic.id.bytes));
        err = keep_text(part, topic->name, &place.topic.name);
        err = err != SLUICE_OK ? err : sl_buffer_append(&part->places, &place, sizeof(place));
        info->partition_count += err == SLUICE_OK;
    }
    return err;
}

static sl_err add_txn(struct list_part *part, const struct txn *txn, bool with_partitions)
{
    const struct txn_values *values = &txn->values;
    struct sluice_txn_info info = {.state = values->state,
                                   .producer_id = values->producer_id,
                                   .start_ms = values->start_ms,
                                   .timeout_ms = values->timeout_ms,
                                   .epoch = values->epoch};
    sl_err err = keep_text(part, values->id, &info.id);
    if (err == SLUICE_OK && with_partitions) {
        err = add_places(part, txn, &info);
    }
    return err != SLUICE_OK ? err : sl_buffer_append(&part->infos, &info, sizeof(info));
}

static void list_one(void *arg, struct txn *txn)
{
    struct list_part *part = arg;
    if (part->err == SLUICE_OK) {
        part->err = add_txn(part, txn, false);
    }
}

static void describe_run(struct list_part *part)
{
    struct shard *shard = part->call.target;
    const struct list_request *request = part->request;
    for (uint32_t i = 0; part->err == SLUICE_OK && i < request->id_count; i++) {
        const struct sluice_text id = request->ids[i];
        if (shard_of_group(shard->set, id) != shard) {
            continue;
        }
        const struct txn *txn = txn_store_get(&shard->txns.store, sl_of_text(id));
        if (txn != NULL && txn->is_durable) {
            part->err = add_txn(part, txn, true);
            continue;
        }
        struct sluice_txn_info unknown = {
            .status = SLUICE_E_TXN_ID_NOT_FOUND, .producer_id = -1, .start_ms = -1, .epoch = -1};
        part->err = keep_text(part, sl_of_text(id), &unknown.id);
        if (part->err == SLUICE_OK) {
            part->err = sl_buffer_append(&part->infos, &unknown, sizeof(unknown));
        }
    }
}

static void list_run(struct shard_call *call)
{
    struct list_part *part = SL_CONTAINER_OF(call, struct list_part, call);
    struct shard *shard = call->target;
    if (shard->status != SLUICE_OK) {
        part->err = SLUICE_E_COORDINATOR_NOT_AVAILABLE;
    } else if (part->request->ids == NULL) {
        txn_store_each(&shard->txns.store, list_one, part);
    } else {
        describe_run(part);
    }
    shard_call_reply(call);
}

/* ---- the origin ---- */

static void land(const struct list_part *part, struct sluice_text *text)
{
    const char *bytes = part->bytes.size > 0 ? (const char *)part->bytes.data : "";
    text->data = bytes + (uintptr_t)text->data;
}

static void land_part(struct list_part *part)
{
    struct sluice_txn_info *infos = (struct sluice_txn_info *)(void *)part->infos.data;
    struct sluice_txn_partition *places = (struct sluice_txn_partition *)(void *)part->places.data;
    for (size_t i = 0; i < part->places.size / sizeof(*places); i++) {
        land(part, &places[i].topic.name);
    }
    for (size_t i = 0; i < part->infos.size / sizeof(*infos); i++) {
        land(part, &infos[i].id);
        uintptr_t first = (uintptr_t)infos[i].partitions / sizeof(*places);
        infos[i].partitions = infos[i].partition_count > 0 ? places + first : NULL;
    }
}

/* Where the info of the id is among those of its shard: they come in the order asked for. */
static void take_in_order(struct list_request *request, struct sluice_txn_info *ret_infos)
{
    size_t at[SHARD_COUNT_MAX] = {0};
    for (uint32_t i = 0; i < request->id_count; i++) {
        uint32_t index = shard_of_group(request->home->set, request->ids[i])->index;
        const struct sluice_txn_info *infos =
            (const struct sluice_txn_info *)(const void *)request->parts[index].infos.data;
        ret_infos[i] = infos[at[index]++];
    }
}

static bool is_wanted(const struct list_request *request, const struct sluice_txn_info *info)
{
    return request->pattern == NULL ||
           topic_pattern_matches(request->pattern, sl_of_text(info->id));
}

/* Returns how many are wanted. */
static size_t take_all(const struct list_request *request, struct sluice_txn_info *ret_infos)
{
    size_t at = 0;
    for (uint32_t i = 0; i < request->part_count; i++) {
        const struct sl_buffer *from = &request->parts[i].infos;
        const struct sluice_txn_info *infos =
            (const struct sluice_txn_info *)(const void *)from->data;
        for (size_t j = 0; j < from->size / sizeof(*infos); j++) {
            if (is_wanted(request, &infos[j])) {
                ret_infos[at++] = infos[j];
            }
        }
    }
    return at;
}

static void list_answer(struct list_request *request)
{
    size_t count = 0;
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < request->part_count; i++) {
        err = err != SLUICE_OK ? err : request->parts[i].err;
        land_part(&request->parts[i]);
        count += request->parts[i].infos.size / sizeof(struct sluice_txn_info);
    }
    struct sluice_txn_info *infos = sl_alloc((count + 1) * sizeof(*infos));
    err = err != SLUICE_OK ? err : infos == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    if (err == SLUICE_OK && request->ids != NULL) {
        take_in_order(request, infos);
    } else if (err == SLUICE_OK) {
        count = take_all(request, infos);
    }
    request->done(request->arg, err, infos, err == SLUICE_OK ? (uint32_t)count : 0);
    sl_free(infos);
    for (uint32_t i = 0; i < request->part_count; i++) {
        sl_buffer_fini(&request->parts[i].bytes);
        sl_buffer_fini(&request->parts[i].infos);
        sl_buffer_fini(&request->parts[i].places);
    }
    struct shard *home = request->home;
    topic_pattern_free(request->pattern);
    sl_free(request);
    shard_request_end(home);
}

static void list_replied(struct shard_call *call)
{
    struct list_request *request = SL_CONTAINER_OF(call, struct list_part, call)->request;
    if (--request->pending == 0) {
        list_answer(request);
    }
}

static void list_start(struct shard *home, const struct sluice_text *ids, uint32_t count,
                       struct topic_pattern *pattern, sluice_txns_done *done, void *arg)
{
    uint32_t shard_count = home->set->count;
    struct list_request *request =
        sl_alloc_zero(1, sizeof(*request) + shard_count * sizeof(struct list_part));
    if (request == NULL) {
        topic_pattern_free(pattern);
        done(arg, SLUICE_E_NO_MEMORY, NULL, 0);
        return;
    }
    shard_request_begin(home);
    request->home = home;
    request->pattern = pattern;
    request->ids = ids;
    request->id_count = count;
    request->done = done;
    request->arg = arg;
    request->part_count = shard_count;
    request->pending = shard_count + 1;
    for (uint32_t i = 0; i < shard_count; i++) {
        struct list_part *part = &request->parts[i];
        part->request = request;
        sl_buffer_init(&part->bytes, LIST_BYTES_MAX);
        sl_buffer_init(&part->infos, LIST_BYTES_MAX);
        sl_buffer_init(&part->places, LIST_BYTES_MAX);
        part->call.run = list_run;
        part->call.reply = list_replied;
        shard_call_start(&part->call, home->set->shards[i], home->loop, SL_PRIORITY_CONTROL);
    }
    if (--request->pending == 0) {
        list_answer(request);
    }
}

void txn_lists_describe(struct shard *home, const struct sluice_text *ids, uint32_t count,
                        sluice_txns_done *done, void *arg)
{
    static const struct sluice_text none = {"", 0};
    list_start(home, ids != NULL ? ids : &none, count, NULL, done, arg);
}

void txn_lists_all(struct shard *home, struct sluice_text pattern, sluice_txns_done *done,
                   void *arg)
{
    struct topic_pattern *program = NULL;
    const char *reason = NULL;
    sl_err err = SLUICE_OK;
    if (pattern.size > 0) {
        err = topic_pattern_new(sl_of_text(pattern), &program, &reason);
    }
    if (err != SLUICE_OK) {
        done(arg, err, NULL, 0);
        return;
    }
    list_start(home, NULL, 0, program, done, arg);
}

/* ---- producers of partitions ---- */

struct producers_request;

struct producers_call {
    struct shard_call call;
    struct producers_request *request;
    struct sl_uuid topic;
    uint32_t partition;
    sl_err err;
    struct sluice_producer_info *infos; /* owned */
    uint32_t count;
};

struct producers_request {
    struct shard *home;
    uint32_t pending;
    uint32_t count;
    sluice_producers_done *done;
    void *arg;
    struct producers_call calls[];
};

static sl_err producers_fill(struct producers_call *self, const struct producers *producers)
{
    uint32_t count = SL_MIN(producers->count, TXN_LIST_PRODUCERS_MAX);
    struct producer_info *found = sl_alloc((count + 1u) * sizeof(*found));
    self->infos = sl_alloc((count + 1u) * sizeof(*self->infos));
    if (found == NULL || self->infos == NULL) {
        sl_free(found);
        return SLUICE_E_NO_MEMORY;
    }
    self->count = producers_list(producers, found, count);
    for (uint32_t i = 0; i < self->count; i++) {
        self->infos[i] =
            (struct sluice_producer_info){.producer_id = found[i].producer_id,
                                          .last_ms = found[i].last_ms,
                                          .txn_first_offset = found[i].txn_first_offset,
                                          .last_sequence = found[i].last_sequence,
                                          .epoch = found[i].epoch};
    }
    sl_free(found);
    return SLUICE_OK;
}

static void producers_run(struct shard_call *call)
{
    struct producers_call *self = SL_CONTAINER_OF(call, struct producers_call, call);
    const struct shard *shard = call->target;
    const struct topic *topic = catalog_by_id(shard->catalog, &self->topic);
    const struct partition *partition =
        topic == NULL ? NULL : partition_find(topic, self->partition);
    self->err = shard->status == SLUICE_E_CORRUPT ? shard->status
                : topic == NULL                   ? SLUICE_E_UNKNOWN_TOPIC
                                                  : SLUICE_OK;
    if (self->err == SLUICE_OK && partition != NULL) {
        self->err = producers_fill(self, &partition->producers);
    }
    shard_call_reply(call);
}

static void producers_answer(struct producers_request *request)
{
    struct sluice_producers_result *results = sl_alloc_zero(request->count + 1u, sizeof(*results));
    for (uint32_t i = 0; results != NULL && i < request->count; i++) {
        const struct producers_call *call = &request->calls[i];
        results[i] = (struct sluice_producers_result){
            .status = call->err, .count = call->count, .producers = call->infos};
    }
    request->done(request->arg, results, results != NULL ? request->count : 0);
    sl_free(results);
    for (uint32_t i = 0; i < request->count; i++) {
        sl_free(request->calls[i].infos);
    }
    struct shard *home = request->home;
    sl_free(request);
    shard_request_end(home);
}

static void producers_replied(struct shard_call *call)
{
    struct producers_request *request = SL_CONTAINER_OF(call, struct producers_call, call)->request;
    if (--request->pending == 0) {
        producers_answer(request);
    }
}

static void producers_ask(struct producers_request *request, struct producers_call *self,
                          const struct sluice_txn_partition *from)
{
    struct shard *home = request->home;
    sluice_status status = SLUICE_OK;
    const struct topic *topic = shard_find_topic(home, &from->topic, &status);
    self->request = request;
    if (topic != NULL &&
        (from->partition < 0 || (uint32_t)from->partition >= topic->partition_count)) {
        status = SLUICE_E_UNKNOWN_TOPIC;
    }
    self->err = status;
    if (status != SLUICE_OK) {
        return;
    }
    self->topic = topic->id;
    self->partition = (uint32_t)from->partition;
    self->call.run = producers_run;
    self->call.reply = producers_replied;
    request->pending++;
    shard_call_start(&self->call, shard_of_partition(home->set, topic, self->partition), home->loop,
                     SL_PRIORITY_CONTROL);
}

void txn_lists_producers(struct shard *home, const struct sluice_txn_partition *partitions,
                         uint32_t count, sluice_producers_done *done, void *arg)
{
    struct producers_request *request =
        sl_alloc_zero(1, sizeof(*request) + count * sizeof(struct producers_call));
    if (request == NULL) {
        done(arg, NULL, 0);
        return;
    }
    shard_request_begin(home);
    request->home = home;
    request->count = count;
    request->done = done;
    request->arg = arg;
    request->pending = 1;
    for (uint32_t i = 0; i < count; i++) {
        producers_ask(request, &request->calls[i], &partitions[i]);
    }
    if (--request->pending == 0) {
        producers_answer(request);
    }
}
