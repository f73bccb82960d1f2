/* records_delete.c: see records_delete.h.
 *
 *   home: resolve ─► the partition's shard: check ─► log_start ─► durable ─► home: answer
 */
#include "shard/records_delete.h"

#include "catalog/topic_name.h"
#include "shard/log_start.h"

struct delete_call {
    struct shard_call call;
    struct delete_request *request;
    struct sl_uuid topic;
    uint32_t partition;
    int64_t before_offset;
    bool validate_only;
    struct log_start start;
    struct log_start_move move;
    struct wal_item item;
};

struct delete_request {
    struct shard *home;
    uint32_t pending_count;
    uint32_t count;
    sluice_records_deleted_done *done;
    void *arg;
    struct sluice_records_deleted *answers;
    struct delete_call calls[];
};

static struct sluice_records_deleted *answer_of(struct delete_call *self)
{
    return &self->request->answers[self - self->request->calls];
}

/* ---- the partition's shard ---- */

static void answer(struct delete_call *self, sl_err err, const struct partition *partition)
{
    struct sluice_records_deleted *answer = answer_of(self);
    answer->status = err;
    answer->log_start_offset = err == SLUICE_OK ? partition_start(partition) : -1;
    shard_call_reply(&self->call);
}

static void moved(struct log_start *start, sl_err err)
{
    struct delete_call *self = SL_CONTAINER_OF(start, struct delete_call, start);
    struct topic *topic = catalog_by_id(start->shard->catalog, &self->topic);
    struct partition *partition = topic == NULL ? NULL : partition_find(topic, self->partition);
    if (err == SLUICE_OK && partition == NULL) {
        err = SLUICE_E_UNKNOWN_TOPIC;
    }
    answer(self, err, partition);
}

static sl_err look(struct shard *shard, const struct delete_call *self,
                   struct partition **ret_partition, int64_t *ret_offset)
{
    if (shard->status != SLUICE_OK) {
        return shard->status;
    }
    struct topic *topic = catalog_by_id(shard->catalog, &self->topic);
    if (topic == NULL) {
        return SLUICE_E_UNKNOWN_TOPIC;
    }
    if (!topic->settings->remove) {
        return SLUICE_E_POLICY;
    }
    sl_err err = partition_open(shard, topic, self->partition, ret_partition);
    if (err != SLUICE_OK) {
        return err;
    }
    int64_t end = partition_end(*ret_partition);
    bool all = self->before_offset == SLUICE_OFFSET_HIGH_WATERMARK;
    *ret_offset = all ? end : self->before_offset;
    return *ret_offset < 0 || *ret_offset > end ? SLUICE_E_OFFSET_OUT_OF_RANGE : SLUICE_OK;
}

static void run(struct shard_call *call)
{
    struct delete_call *self = SL_CONTAINER_OF(call, struct delete_call, call);
    struct partition *partition = NULL;
    int64_t offset = -1;
    sl_err err = look(call->target, self, &partition, &offset);
    if (err != SLUICE_OK || offset <= partition_start(partition)) {
        answer(self, err, partition);
        return;
    }
    if (self->validate_only) {
        answer_of(self)->log_start_offset = offset;
        shard_call_reply(&self->call);
        return;
    }
    if (partition_is_in_memory(partition)) {
        log_start_move_now(partition, offset);
        answer(self, SLUICE_OK, partition);
        return;
    }
    self->start = (struct log_start){
        .shard = call->target, .moves = &self->move, .items = &self->item, .done = moved};
    log_start_add(&self->start, partition, offset);
    err = log_start_submit(&self->start);
    if (err != SLUICE_OK) {
        answer(self, err, NULL);
    }
}

/* ---- the origin ---- */

static void request_answer(struct delete_request *request)
{
    struct shard *home = request->home;
    request->done(request->arg, request->answers, request->count);
    sl_free(request);
    shard_request_end(home);
}

static void replied(struct shard_call *call)
{
    struct delete_request *request = SL_CONTAINER_OF(call, struct delete_call, call)->request;
    if (--request->pending_count == 0) {
        request_answer(request);
    }
}

static sl_err entry_start(struct shard *home, struct delete_call *self,
                          const struct sluice_records_delete *entry)
{
    sluice_status status = SLUICE_OK;
    struct topic *topic = shard_find_topic(home, &entry->topic, &status);
    if (topic == NULL) {
        return status;
    }
    if (topic_name_is_reserved(topic->name)) {
        return SLUICE_E_INVALID_TOPIC;
    }
    if (entry->partition < 0 || (uint32_t)entry->partition >= topic->partition_count) {
        return SLUICE_E_UNKNOWN_TOPIC;
    }
    self->topic = topic->id;
    self->partition = (uint32_t)entry->partition;
    self->before_offset = entry->before_offset;
    self->validate_only = entry->validate_only != 0;
    self->request->pending_count++;
    self->call.run = run;
    self->call.reply = replied;
    shard_call_start(&self->call, shard_of_partition(home->set, topic, self->partition), home->loop,
                     SL_PRIORITY_IO);
    return SLUICE_OK;
}

static struct delete_request *request_new(struct shard *home, uint32_t count)
{
    size_t size = sizeof(struct delete_request) +
                  count * (sizeof(struct delete_call) + sizeof(struct sluice_records_deleted));
    struct delete_request *request = count > RECORDS_DELETE_MAX ? NULL : sl_alloc_zero(1, size);
    if (request != NULL) {
        request->home = home;
        request->count = count;
        request->answers = (struct sluice_records_deleted *)(request->calls + count);
        shard_request_begin(home);
    }
    return request;
}

void records_delete_start(struct shard *home, const struct sluice_records_delete *entries,
                          uint32_t count, sluice_records_deleted_done *done, void *arg)
{
    struct delete_request *request = request_new(home, count);
    if (request == NULL) {
        done(arg, NULL, 0);
        return;
    }
    request->done = done;
    request->arg = arg;
    request->pending_count = 1;
    for (uint32_t i = 0; i < count; i++) {
        struct delete_call *self = &request->calls[i];
        self->request = request;
        request->answers[i].log_start_offset = -1;
        sl_err err = entry_start(home, self, &entries[i]);
        if (err != SLUICE_OK) {
            request->answers[i].status = err;
        }
    }
    if (--request->pending_count == 0) {
        request_answer(request);
    }
}
