/* epoch_ends.c: see epoch_ends.h. As Kafka's LeaderEpochFileCache answers: an epoch without records
 * ends where the next one begins; one from the future has no end. */
#include "shard/epoch_ends.h"

#include "shard/partition.h"

struct end_call {
    struct shard_call call;
    struct end_request *request;
    const struct sluice_epoch_query *query;
    struct sl_uuid topic;
};

struct end_request {
    struct shard *home;
    uint32_t pending_count;
    uint32_t count;
    sluice_epoch_ends_done *done;
    void *arg;
    struct sluice_epoch_end *answers;
    struct end_call calls[];
};

static struct sluice_epoch_end *answer_of(const struct end_call *self)
{
    return &self->request->answers[self - self->request->calls];
}

/* ---- the partition's shard ---- */

static sl_err look(struct shard *shard, const struct end_call *self,
                   struct partition **ret_partition)
{
    struct topic *topic = catalog_by_id(shard->catalog, &self->topic);
    int32_t current = self->query->leader_epoch;
    if (shard->log == NULL || shard->stopping) {
        return shard->status != SLUICE_OK ? shard->status : SLUICE_E_STOPPING;
    }
    if (topic == NULL) {
        return SLUICE_E_UNKNOWN_TOPIC;
    }
    if (current >= 0 && current != shard_epoch(shard)) {
        return current > shard_epoch(shard) ? SLUICE_E_UNKNOWN_LEADER_EPOCH
                                            : SLUICE_E_FENCED_LEADER_EPOCH;
    }
    return partition_open(shard, topic, (uint32_t)self->query->partition, ret_partition);
}

static void find_end(const struct partition *partition, int32_t current, int32_t epoch,
                     struct sluice_epoch_end *answer)
{
    if (epoch < 0 || epoch > current) {
        return;
    }
    if (epoch == current) {
        answer->epoch = epoch;
        answer->end_offset = partition_end(partition);
        return;
    }
    int32_t known = -1;
    int64_t end = stream_index_epoch_end(&partition->index, epoch, &known);
    answer->epoch = known < 0 ? epoch : known;
    answer->end_offset = SL_MAX(end, partition_start(partition));
}

static void run(struct shard_call *call)
{
    struct end_call *self = SL_CONTAINER_OF(call, struct end_call, call);
    struct sluice_epoch_end *answer = answer_of(self);
    struct partition *partition = NULL;
    answer->status = look(call->target, self, &partition);
    if (answer->status == SLUICE_OK) {
        find_end(partition, shard_epoch(call->target), self->query->epoch, answer);
    }
    shard_call_reply(call);
}

/* ---- the origin ---- */

static void request_answer(struct end_request *request)
{
    struct shard *home = request->home;
    request->done(request->arg, request->answers, request->count);
    sl_free(request);
    shard_request_end(home);
}

static void replied(struct shard_call *call)
{
    struct end_request *request = SL_CONTAINER_OF(call, struct end_call, call)->request;
    if (--request->pending_count == 0) {
        request_answer(request);
    }
}

static void query_start(struct shard *home, struct end_call *self)
{
    sluice_status status = SLUICE_OK;
    const struct sluice_epoch_query *query = self->query;
    struct topic *topic = shard_find_topic(home, &query->topic, &status);
    if (topic != NULL &&
        (query->partition < 0 || (uint32_t)query->partition >= topic->partition_count)) {
        status = SLUICE_E_UNKNOWN_TOPIC;
    }
    *answer_of(self) = (struct sluice_epoch_end){.status = status, .epoch = -1, .end_offset = -1};
    if (status != SLUICE_OK) {
        return;
    }
    self->topic = topic->id;
    self->request->pending_count++;
    self->call.run = run;
    self->call.reply = replied;
    shard_call_start(&self->call, shard_of_partition(home->set, topic, (uint32_t)query->partition),
                     home->loop, SL_PRIORITY_IO);
}

void epoch_ends_start(struct shard *home, const struct sluice_epoch_query *queries, uint32_t count,
                      sluice_epoch_ends_done *done, void *arg)
{
    size_t size = sizeof(struct end_request) +
                  count * (sizeof(struct end_call) + sizeof(struct sluice_epoch_end));
    struct end_request *request = count > EPOCH_QUERIES_MAX ? NULL : sl_alloc_zero(1, size);
    if (request == NULL) {
        done(arg, NULL, 0);
        return;
    }
    shard_request_begin(home);
    request->home = home;
    request->done = done;
    request->arg = arg;
    request->count = count;
    request->answers = (struct sluice_epoch_end *)(request->calls + count);
    request->pending_count = 1;
    for (uint32_t i = 0; i < count; i++) {
        request->calls[i].request = request;
        request->calls[i].query = &queries[i];
        query_start(home, &request->calls[i]);
    }
    if (--request->pending_count == 0) {
        request_answer(request);
    }
}
