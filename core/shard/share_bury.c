/* share_bury.c: see share_bury.h. */
#include "shard/share_burial.h"

#include "base/status.h"
#include "shard/fetch.h"
#include "shard/shares.h"
#include "shard/topics.h"

#include <stdio.h>
#include <string.h>

#define READ_BYTES      (1u << 20) /* of stored records, for a batch of letters; one at least */
#define BATCH_BYTES_MAX (1u << 20)
#define BATCH_ROOM      (64u << 10) /* beyond: a letter alone is written whatever its headers take */
#define BACKOFF_MS      250
#define BACKOFF_MS_MAX  8000

sl_err share_letters_topic_check(const struct broker_settings *broker, struct sl_bytes name,
                                 char ret_reason[CONFIG_REASON_BYTES])
{
    const char *why = NULL;
    size_t prefix = strlen(broker->letters_prefix);
    if (name.size > 0 && topic_name_check(name, false, &why) != SLUICE_OK) {
        snprintf(ret_reason, CONFIG_REASON_BYTES, "the dead-letter topic: %s", why);
        return SLUICE_E_INVALID_CONFIG;
    }
    bool has_prefix = name.size >= prefix &&
                      (prefix == 0 || memcmp(name.data, broker->letters_prefix, prefix) == 0);
    if (name.size > 0 && !has_prefix) {
        snprintf(ret_reason, CONFIG_REASON_BYTES, "a dead-letter topic's name begins with \"%s\"",
                 broker->letters_prefix);
        return SLUICE_E_INVALID_CONFIG;
    }
    if (name.size > 1 && name.data[0] == '_' && name.data[1] == '_') {
        snprintf(ret_reason, CONFIG_REASON_BYTES, "a dead-letter topic's name begins without __");
        return SLUICE_E_INVALID_CONFIG;
    }
    return SLUICE_OK;
}

/* ---- the end ---- */

/* Once for each cause, and once when it is over. */
static void tell(struct share_owner_group *group, struct sl_logger *logger, sl_err err)
{
    struct sl_bytes topic = share_letters_topic(&group->settings);
    if (err == group->letters_err || err == SLUICE_E_WOULD_BLOCK) {
        return;
    }
    group->letters_err = err;
    if (err != SLUICE_OK) {
        sl_log(logger, SL_LOG_WARN, "share", "dead letters cannot be written, records wait",
               sl_log_bytes("group", group->name), sl_log_bytes("topic", topic),
               sl_log_text("cause", sl_status_text(err)));
    } else {
        sl_log(logger, SL_LOG_INFO, "share", "dead letters are written again",
               sl_log_bytes("group", group->name), sl_log_bytes("topic", topic));
    }
}

static void back_off(struct shard *shard, struct share_stream *stream)
{
    struct share_store *store = &shard->shares;
    sl_list_push_back(&store->undelivered, &stream->in_doomed);
    if (store->retry_ms <= shard_now_ms(shard)) { /* the first of this round */
        store->backoff_ms =
            SL_MIN(SL_MAX(store->backoff_ms * 2, (int64_t)BACKOFF_MS), (int64_t)BACKOFF_MS_MAX);
        store->retry_ms = shard_now_ms(shard) + store->backoff_ms;
    }
}

static void burial_free(struct burial *self)
{
    share_stream_unref(self->stream);
    if (self->partition != NULL) {
        partition_unref(self->partition);
    }
    chunk_unref(self->chunk);
    sl_buffer_fini(&self->batch);
    sl_buffer_fini(&self->state);
    share_change_fini(&self->change);
    sl_free(self);
}

void share_burial_end(struct burial *self, sl_err err)
{
    struct shard *shard = self->shard;
    struct share_stream *stream = self->stream;
    stream->burying = false;
    shard->shares.burials--;
    if (!stream->removed) {
        if (shard->status == SLUICE_OK) {
            tell(stream->group, shard->logger, err);
        }
        if (err != SLUICE_OK) {
            share_stream_count(stream, SHARE_COUNT_FAILURES, err != SLUICE_E_WOULD_BLOCK);
            back_off(shard, stream);
        } else {
            share_stream_count(stream, SHARE_COUNT_LETTERS,
                               self->is_written ? self->letter_count : 0);
            shard->shares.backoff_ms = 0;
        }
        share_store_arm(&shard->shares, stream);
        share_stream_wake(stream);
    }
    burial_free(self);
    shard_schedule(shard);
    shard_request_end(shard);
}

/* ---- the batch ---- */

/* [helper] */
static void write_work(struct sl_job *job)
{
    struct burial *self = SL_CONTAINER_OF(job, struct burial, job);
    self->err = share_letters_write(&self->page, &self->batch, &self->letter_count);
}

static void write_done(struct sl_job *job)
{
    struct burial *self = SL_CONTAINER_OF(job, struct burial, job);
    struct shard *shard = self->shard;
    if (self->err != SLUICE_OK) {
        share_burial_end(self, self->err);
    } else {
        share_burial_commit(self);
    }
    shard_job_end(shard);
}

static void write_letters(struct burial *self, struct sl_bytes records, int64_t read_end)
{
    struct shard *shard = self->shard;
    const struct topic *topic = catalog_by_id(shard->catalog, &self->target);
    uint32_t bytes_max = BATCH_BYTES_MAX;
    if (topic != NULL) {
        bytes_max = SL_MIN(bytes_max, (uint32_t)topic->settings->message_bytes_max);
        bytes_max = SL_MIN(bytes_max, (uint32_t)topic->settings->segment_bytes);
    }
    self->page.letters = self->letters;
    self->page.letter_count = self->letter_count;
    self->page.records = records;
    self->page.read_end = read_end;
    self->page.now_ms = shard_wall_ms(shard);
    self->page.bytes_max = bytes_max;
    self->page.expanded_bytes_max = shard->config.expanded_bytes_max;
    self->job = (struct sl_job){.work = write_work, .done = write_done};
    self->job.task.priority = SL_PRIORITY_BACKGROUND;
    shard_job_begin(shard);
    sl_helpers_submit(shard->config.os, shard->loop, &self->job);
}

/* ---- reading what is to be copied ---- */

static int64_t end_of(struct sl_bytes records)
{
    int64_t end = 0;
    struct batch_view batch;
    while (records.size > 0 && batch_view_init(&batch, records) == SLUICE_OK) {
        end = batch_view_last_offset(&batch) + 1;
        records = (struct sl_bytes){records.data + batch.size, records.size - batch.size};
    }
    return end;
}

static void take_chunks(void *arg, struct chunk *const *chunks, uint32_t count)
{
    struct burial *self = arg;
    (void)count;
    self->chunks = chunks;
}

static void read_done(void *arg, const struct sluice_fetch_result *results, uint32_t count,
                      int32_t throttle_ms)
{
    struct burial *self = arg;
    const struct sluice_fetch_result *result = results;
    (void)throttle_ms;
    sl_err err = count == 1 ? result->status : SLUICE_E_NO_MEMORY;
    struct sl_bytes records = {NULL, 0};
    if (err == SLUICE_OK) {
        records = (struct sl_bytes){result->records.data, (size_t)result->records.size};
        bool has_chunk = self->chunks != NULL && self->chunks[0] != NULL;
        SL_ASSERT(has_chunk || records.size == 0); /* the helper reads them */
        self->chunk = has_chunk ? chunk_ref(self->chunks[0]) : NULL;
    }
    bool is_gone = err == SLUICE_E_OFFSET_OUT_OF_RANGE || err == SLUICE_E_CORRUPT ||
                   err == SLUICE_E_DAMAGED_RECORDS;
    if (is_gone && !self->stream->removed) {
        self->letter_count = 1; /* the letter says where it was */
        write_letters(self, records, SHARE_NEVER);
    } else if (err != SLUICE_OK || self->stream->removed) {
        share_burial_end(self, self->stream->removed ? SLUICE_OK : err);
    } else {
        write_letters(self, records, records.size == 0 ? SHARE_NEVER : end_of(records));
    }
}

static void read_records(struct burial *self)
{
    const struct sluice_fetch fetch = {.size = sizeof(fetch),
                                       .bytes_max = (int32_t)READ_BYTES,
                                       .isolation = SLUICE_ISOLATION_UNCOMMITTED,
                                       .entry_count = 1,
                                       .entries = &self->read};
    self->read = (struct sluice_fetch_entry){.topic = {.name = {"", 0}},
                                             .partition = (int32_t)self->stream->partition,
                                             .leader_epoch = -1,
                                             .offset = self->letters[0].offset,
                                             .bytes_max = (int32_t)READ_BYTES,
                                             .last_epoch = -1};
    memcpy(self->read.topic.id.bytes, self->stream->topic.b, sizeof(self->read.topic.id.bytes));
    self->context = (struct sluice_context){.size = sizeof(self->context)};
    fetch_start(self->shard, &self->context, &fetch, take_chunks, self, read_done, self);
}

/* ---- where to ---- */

/* The partition of the stream's number, or the next one that lies here; else that of its number. */
static void choose_partition(struct burial *self, const struct topic *topic)
{
    struct shard *shard = self->shard;
    uint32_t first = self->stream->partition % topic->partition_count;
    self->target = topic->id;
    self->target_number = first;
    uint32_t tries = SL_MIN(topic->partition_count, shard->set->count);
    for (uint32_t i = 0; i < tries; i++) {
        uint32_t number = (first + i) % topic->partition_count;
        if (shard_of_partition(shard->set, topic, number) == shard) {
            self->target_number = number;
            return;
        }
    }
}

static sl_err find_target(struct burial *self)
{
    struct shard *shard = self->shard;
    struct sl_bytes name = share_letters_topic(&self->stream->group->settings);
    char ignored[CONFIG_REASON_BYTES];
    const struct topic *topic = catalog_by_name(shard->catalog, name);
    if (topic == NULL) {
        return SLUICE_E_UNKNOWN_TOPIC;
    }
    bool is_own = memcmp(topic->id.b, self->stream->topic.b, 16) == 0;
    if (!topic->settings->takes_letters || topic->settings->compact || is_own) {
        return SLUICE_E_POLICY; /* letters may be without a key */
    }
    choose_partition(self, topic);
    return share_letters_topic_check(shard->config.settings, name, ignored);
}

static void topic_made(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    struct burial *self = arg;
    sl_err err = count == 1 ? results[0].status : SLUICE_E_NO_MEMORY;
    struct sl_bytes name = {(const uint8_t *)self->letters_topic, (size_t)self->spec.name.size};
    if (err == SLUICE_OK || err == SLUICE_E_TOPIC_EXISTS) { /* known here now, or in a moment */
        bool is_here = catalog_by_name(self->shard->catalog, name) != NULL;
        err = is_here ? SLUICE_OK : SLUICE_E_WOULD_BLOCK;
    }
    share_burial_end(self, err);
}

static void make_topic(struct burial *self)
{
    static const struct sluice_key_value configs[] = {
        {{"errors.deadletterqueue.group.enable", 35}, {"true", 4}}};
    struct sl_bytes name = share_letters_topic(&self->stream->group->settings);
    memcpy(self->letters_topic, name.data, name.size);
    self->spec = (struct sluice_topic_spec){.size = sizeof(self->spec),
                                            .partition_count = -1,
                                            .name = {self->letters_topic, name.size},
                                            .replication_factor = -1,
                                            .configs = configs,
                                            .config_count = 1};
    topics_create_start(self->shard, &self->spec, 1, false, false, NULL, topic_made, self);
}

/* ---- the begin ---- */

static void collect(struct burial *self)
{
    const struct share_window *window = &self->stream->window;
    struct share_range run;
    int64_t from = window->start;
    while (self->letter_count < SHARE_LETTERS_MAX && share_window_doomed(window, from, &run)) {
        for (int64_t offset = run.first;
             offset <= run.last && self->letter_count < SHARE_LETTERS_MAX; offset++) {
            self->letters[self->letter_count++] = (struct share_letter){
                .offset = offset, .deliveries = run.deliveries, .reason = run.reason};
        }
        from = run.last + 1;
    }
}

static sl_err open_stream(struct burial *self)
{
    struct shard *shard = self->shard;
    struct share_stream *stream = self->stream;
    struct topic *topic = catalog_by_id(shard->catalog, &stream->topic);
    if (topic == NULL || stream->partition >= topic->partition_count) {
        return SLUICE_E_UNKNOWN_TOPIC_ID;
    }
    sl_err err = partition_open(shard, topic, stream->partition, &self->partition);
    if (err != SLUICE_OK) {
        return err;
    }
    partition_ref(self->partition);
    share_window_raise(&stream->window, partition_start(self->partition));
    memcpy(self->group, stream->group->name.data, stream->group->name.size);
    memcpy(self->topic, topic->name.data, topic->name.size);
    self->page.origin = (struct share_letter_origin){
        .group = {(const uint8_t *)self->group, stream->group->name.size},
        .topic = {(const uint8_t *)self->topic, topic->name.size},
        .partition = stream->partition};
    return SLUICE_OK;
}

static void burial_start(struct shard *shard, struct share_stream *stream)
{
    struct burial *self = sl_alloc_zero(1, sizeof(*self));
    if (self == NULL) {
        back_off(shard, stream);
        return;
    }
    const struct share_settings *settings = &stream->group->settings;
    shard_request_begin(shard);
    shard->shares.burials++;
    stream->burying = true;
    share_stream_ref(stream);
    self->shard = shard;
    self->stream = stream;
    sl_buffer_init(&self->batch, BATCH_BYTES_MAX + BATCH_ROOM);
    sl_buffer_init(&self->state, SHARE_STATE_BYTES_MAX);
    share_change_init(&self->change, shard);
    sl_err err = open_stream(self);
    collect(self);
    if (err != SLUICE_OK || self->letter_count == 0) {
        share_burial_end(self, err);
        return;
    }
    if (share_letters_topic(settings).size == 0) { /* not wanted any more */
        share_burial_archive(self);
        return;
    }
    err = find_target(self);
    if (err == SLUICE_E_UNKNOWN_TOPIC && shard->config.settings->letters_topics_auto_create) {
        make_topic(self);
    } else if (err != SLUICE_OK) {
        share_burial_end(self, err);
    } else if (share_setting(settings, SHARE_CONFIG_letters_copy) != 0) {
        read_records(self);
    } else {
        write_letters(self, (struct sl_bytes){NULL, 0}, SHARE_NEVER);
    }
}

void share_bury_tick(struct shard *shard, int64_t now_ms)
{
    struct share_store *store = &shard->shares;
    if (now_ms >= store->retry_ms) {
        sl_list_append_all(&store->doomed, &store->undelivered);
    }
    while (store->burials < SHARE_BURIALS_MAX && !sl_list_is_empty(&store->doomed)) {
        struct sl_link *link = sl_list_pop_front(&store->doomed);
        burial_start(shard, SL_CONTAINER_OF(link, struct share_stream, in_doomed));
    }
}

int64_t share_bury_due_ms(const struct shard *shard)
{
    const struct share_store *store = &shard->shares;
    if (!sl_list_is_empty(&store->doomed) && store->burials < SHARE_BURIALS_MAX) {
        return 0;
    }
    return sl_list_is_empty(&store->undelivered) ? INT64_MAX : store->retry_ms;
}

void share_bury_again(struct shard *shard)
{
    sl_list_append_all(&shard->shares.doomed, &shard->shares.undelivered);
    shard->shares.backoff_ms = 0;
    shard_schedule(shard);
}
