/* offsets.c: see offsets.h.
 *
 * A time is looked up in the index, which names a run, and then in the run's records, on a helper.
 * The run that the log start lies in may have lost the record that it was chosen for: then the ones
 * behind it are asked too. */
#include "shard/offsets.h"

#include "record/record_iterator.h"
#include "shard/store.h"

struct offset_call {
    struct shard_call call;
    struct offset_request *request;
    struct sluice_offset_query query;
    struct sl_uuid topic;
    struct sluice_offset_answer answer;
    struct partition *partition; /* while its run is read */
    int64_t start;               /* log start when the run was chosen */
    struct stream_run run;
    struct sl_job job;
};

struct offset_request {
    struct shard *home;
    uint32_t pending_count;
    uint32_t count;
    bool committed; /* nothing at or behind the last stable offset */
    sluice_offsets_done *done;
    void *arg;
    struct sluice_offset_answer *answers;
    struct offset_call calls[];
};

static void request_answer(struct offset_request *request)
{
    for (uint32_t i = 0; i < request->count; i++) {
        request->answers[i] = request->calls[i].answer;
    }
    struct shard *home = request->home;
    request->done(request->arg, request->answers, request->count);
    sl_free(request);
    shard_request_end(home);
}

static void replied(struct shard_call *call)
{
    struct offset_call *self = SL_CONTAINER_OF(call, struct offset_call, call);
    struct offset_request *request = self->request;
    if (--request->pending_count == 0) {
        request_answer(request);
    }
}

/* ---- inside a run ---- */

struct search {
    int64_t timestamp; /* first record at or after; SLUICE_TIME_MAX_TIMESTAMP: the first of the
                          newest */
    int64_t start;     /* records below are gone */
    struct codec_context *codecs;
    struct sl_buffer scratch;
    struct sluice_offset_answer *answer;
};

/* Whether a record of this time, behind those seen, is a better answer. */
static bool fits(const struct search *search, int64_t timestamp)
{
    if (search->timestamp == SLUICE_TIME_MAX_TIMESTAMP) {
        return timestamp > search->answer->timestamp;
    }
    return search->answer->offset < 0 && timestamp >= search->timestamp;
}

static sl_err search_batch(struct search *search, const struct batch_view *batch)
{
    struct sl_bytes records;
    sl_err err = batch_decompress(batch, search->codecs, search->scratch.size_max, &search->scratch,
                                  &records);
    if (err != SLUICE_OK) {
        return err;
    }
    struct record_iterator iterator;
    struct record_view record;
    record_iterator_init(&iterator, records, batch_view_record_count(batch));
    while (record_iterator_next(&iterator, &record)) {
        int64_t timestamp = record_timestamp(batch, &record);
        int64_t offset = record_offset(batch, &record);
        if (offset >= search->start && fits(search, timestamp)) {
            search->answer->offset = offset;
            search->answer->timestamp = timestamp;
        }
    }
    return record_iterator_finish(&iterator);
}

static sl_err search_run(struct search *search, struct sl_bytes bytes)
{
    sl_err err = SLUICE_OK;
    while (err == SLUICE_OK && bytes.size > 0) {
        struct batch_view batch;
        err = batch_view_init(&batch, bytes);
        if (err != SLUICE_OK) {
            return SLUICE_E_CORRUPT;
        }
        if (batch_view_last_offset(&batch) >= search->start &&
            fits(search, batch_view_max_timestamp(&batch))) {
            err = search_batch(search, &batch);
        }
        bytes = (struct sl_bytes){bytes.data + batch.size, bytes.size - batch.size};
    }
    return err;
}

/* [helper] */
static void search_work(struct sl_job *job)
{
    struct offset_call *self = SL_CONTAINER_OF(job, struct offset_call, job);
    struct shard *shard = self->call.target;
    uint8_t *bytes = sl_alloc(self->run.place.size);
    struct search search = {.timestamp = self->query.timestamp,
                            .start = self->start,
                            .codecs = codec_context_new(),
                            .answer = &self->answer};
    sl_buffer_init(&search.scratch, shard->config.expanded_bytes_max);
    sl_err err = bytes == NULL || search.codecs == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    if (err == SLUICE_OK) {
        err = store_read(shard, &self->run.place, bytes);
    }
    if (err == SLUICE_OK && !self->run.verified) {
        const struct read_claim claim = read_claim_of(&self->run);
        err = read_claim_check(&claim, &self->run.place, bytes);
    }
    if (err == SLUICE_OK) {
        err = search_run(&search, (struct sl_bytes){bytes, self->run.place.size});
    }
    self->answer.status = err;
    sl_buffer_fini(&search.scratch);
    codec_context_free(search.codecs);
    sl_free(bytes);
}

static void search_start(struct offset_call *self, struct partition *partition);

/* Whether a run behind the one that was searched may hold a better answer. */
static bool find_rest(const struct offset_call *self, struct stream_run *ret_run)
{
    const struct partition *partition = self->partition;
    const struct sluice_offset_answer *answer = &self->answer;
    int64_t at = self->run.last_offset + 1;
    bool found = false;
    if (answer->status != SLUICE_OK || partition->topic == NULL || partition->shard->stopping ||
        self->run.base_offset >= self->start) {
        return false;
    }
    if (self->query.timestamp != SLUICE_TIME_MAX_TIMESTAMP) {
        return answer->offset < 0 &&
               stream_index_find_time_from(&partition->index, at, self->query.timestamp, ret_run);
    }
    int64_t newer = answer->timestamp + 1;
    while (stream_index_find_time_from(&partition->index, at, newer, ret_run)) {
        found = true;
        at = ret_run->last_offset + 1;
        newer = ret_run->max_timestamp + 1;
    }
    return found;
}

/* As in Kafka: what is not stable yet is no answer to a reader of committed records. */
static void hide_unstable(struct offset_call *self)
{
    const struct partition *partition = self->partition;
    if (self->request->committed && self->answer.offset >= partition_stable_end(partition)) {
        self->answer.offset = self->answer.timestamp = -1;
    }
}

static void search_done(struct sl_job *job)
{
    struct offset_call *self = SL_CONTAINER_OF(job, struct offset_call, job);
    struct shard *shard = self->call.target;
    struct partition *partition = self->partition;
    struct stream_run rest;
    store_unpin(shard, &self->run.place);
    if (find_rest(self, &rest)) {
        self->run = rest;
        search_start(self, partition);
    } else {
        hide_unstable(self);
        shard_call_reply(&self->call);
    }
    partition_unref(partition);
    shard_job_end(shard);
}

static void search_start(struct offset_call *self, struct partition *partition)
{
    struct shard *shard = self->call.target;
    self->partition = partition;
    self->start = partition_start(partition);
    if (!store_pin(shard, &self->run.place)) {
        self->answer.status = SLUICE_E_UNKNOWN_TOPIC; /* only a deletion takes its file away */
        shard_call_reply(&self->call);
        return;
    }
    partition_ref(partition);
    shard_job_begin(shard);
    self->job = (struct sl_job){.work = search_work, .done = search_done};
    self->job.task.priority = SL_PRIORITY_IO;
    sl_helpers_submit(shard->config.os, shard->loop, &self->job);
}

/* ---- the owner shard ---- */

static bool find_run(const struct partition *partition, int64_t timestamp,
                     struct stream_run *ret_run)
{
    if (timestamp == SLUICE_TIME_MAX_TIMESTAMP) {
        return stream_index_find_max_time(&partition->index, ret_run);
    }
    return stream_index_find_time(&partition->index, timestamp, ret_run);
}

static sl_err check(struct shard *shard, const struct offset_call *self,
                    struct partition **ret_partition)
{
    struct topic *topic = catalog_by_id(shard->catalog, &self->topic);
    if (shard->log == NULL || shard->stopping) {
        return shard->status;
    }
    if (topic == NULL) {
        return SLUICE_E_UNKNOWN_TOPIC;
    }
    int32_t epoch = self->query.leader_epoch;
    if (epoch >= 0 && epoch != shard_epoch(shard)) {
        return epoch > shard_epoch(shard) ? SLUICE_E_UNKNOWN_LEADER_EPOCH
                                          : SLUICE_E_FENCED_LEADER_EPOCH;
    }
    return partition_open(shard, topic, (uint32_t)self->query.partition, ret_partition);
}

static void answer_run(struct shard_call *call)
{
    struct offset_call *self = SL_CONTAINER_OF(call, struct offset_call, call);
    struct shard *shard = call->target;
    struct partition *partition = NULL;
    self->answer = (struct sluice_offset_answer){.leader_epoch = -1, .offset = -1, .timestamp = -1};
    self->answer.status = check(shard, self, &partition);
    if (self->answer.status != SLUICE_OK) {
        shard_call_reply(call);
        return;
    }
    int64_t timestamp = self->query.timestamp;
    self->answer.leader_epoch = shard_epoch(shard);
    if (timestamp == SLUICE_TIME_LATEST) {
        self->answer.offset =
            self->request->committed ? partition_stable_end(partition) : partition_end(partition);
    } else if (timestamp == SLUICE_TIME_EARLIEST || timestamp == SLUICE_TIME_EARLIEST_LOCAL) {
        self->answer.offset = partition_start(partition);
    } else if (timestamp < SLUICE_TIME_MAX_TIMESTAMP) {
        self->answer.leader_epoch = -1; /* nothing is tiered */
    } else if (find_run(partition, timestamp, &self->run)) {
        search_start(self, partition);
        return;
    }
    shard_call_reply(call);
}

/* ---- the origin ---- */

static void query_start(struct shard *home, struct offset_call *self)
{
    sluice_status status = SLUICE_OK;
    struct topic *topic = shard_find_topic(home, &self->query.topic, &status);
    self->answer = (struct sluice_offset_answer){.leader_epoch = -1, .offset = -1, .timestamp = -1};
    if (topic != NULL &&
        (self->query.partition < 0 || (uint32_t)self->query.partition >= topic->partition_count)) {
        status = SLUICE_E_UNKNOWN_TOPIC;
    }
    if (status != SLUICE_OK) {
        self->answer.status = status;
        return;
    }
    self->topic = topic->id;
    self->request->pending_count++;
    self->call.run = answer_run;
    self->call.reply = replied;
    shard_call_start(&self->call,
                     shard_of_partition(home->set, topic, (uint32_t)self->query.partition),
                     home->loop, SL_PRIORITY_IO);
}

void offsets_start(struct shard *home, int32_t isolation, const struct sluice_offset_query *queries,
                   uint32_t count, sluice_offsets_done *done, void *arg)
{
    struct offset_request *request =
        sl_alloc_zero(1, sizeof(*request) + count * (sizeof(struct offset_call) +
                                                     sizeof(struct sluice_offset_answer)));
    if (request == NULL) {
        done(arg, NULL, 0);
        return;
    }
    shard_request_begin(home);
    request->home = home;
    request->done = done;
    request->arg = arg;
    request->count = count;
    request->committed = isolation == SLUICE_ISOLATION_COMMITTED;
    request->answers = (struct sluice_offset_answer *)(request->calls + count);
    request->pending_count = 1;
    for (uint32_t i = 0; i < count; i++) {
        request->calls[i].request = request;
        request->calls[i].query = queries[i];
        query_start(home, &request->calls[i]);
    }
    if (--request->pending_count == 0) {
        request_answer(request);
    }
}
