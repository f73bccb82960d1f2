/* share_burial.c: dead letters are written, and their records done with (share_burial.h): in one
 * unit where both lie on one shard, else one after the other. */
#include "shard/share_burial.h"

#include "shard/shares.h"

/* ---- in the log ---- */

static int64_t run_end(const struct burial *self, uint32_t from)
{
    uint32_t at = from;
    while (at + 1 < self->letter_count &&
           self->letters[at + 1].offset == self->letters[at].offset + 1) {
        at++;
    }
    return self->letters[at].offset;
}

/* Calls for each run of letters without a hole. */
static sl_err each_run(struct burial *self,
                       sl_err (*run)(struct burial *self, int64_t first, int64_t last))
{
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; err == SLUICE_OK && i < self->letter_count;) {
        int64_t first = self->letters[i].offset;
        int64_t last = run_end(self, i);
        err = run(self, first, last);
        i += (uint32_t)(last - first + 1);
    }
    return err;
}

static sl_err bury_run(struct burial *self, int64_t first, int64_t last)
{
    return share_window_bury(&self->stream->window, first, last);
}

static sl_err bury_and_note(struct burial *self, int64_t first, int64_t last)
{
    share_change_note(&self->change, first, last);
    return share_window_bury(&self->stream->window, first, last);
}

static void archived(struct share_change *change, sl_err err)
{
    share_burial_end(SL_CONTAINER_OF(change, struct burial, change), err);
}

/* The letters are where they shall be: that their records are done with is said by itself. */
void share_burial_archive(struct burial *self)
{
    struct share_stream *stream = self->stream;
    if (stream->removed) {
        share_burial_end(self, SLUICE_OK);
        return;
    }
    sl_err err = each_run(self, bury_and_note);
    share_change_add(&self->change, stream);
    self->change.err = self->change.err != SLUICE_OK ? self->change.err : err;
    share_change_submit(&self->change, archived);
}

static void committed_together(struct commit *commit, sl_err err)
{
    struct burial *self = SL_CONTAINER_OF(commit, struct burial, commit);
    self->is_written = err == SLUICE_OK;
    if (err == SLUICE_OK && !self->stream->removed) {
        err = each_run(self, bury_run);
        if (err != SLUICE_OK) { /* it is durable: what is in memory is behind it */
            shard_refuse(self->shard, err);
        }
    }
    share_burial_end(self, err);
}

static sl_err add_archived(struct burial *self, int64_t first, int64_t last)
{
    const struct share_range range = {.first = first, .last = last, .state = SHARE_ARCHIVED};
    return share_item_add(&self->state, 0, &range);
}

static sl_err encode_state(struct burial *self)
{
    const struct share_stream *stream = self->stream;
    const struct share_item item = {.group = stream->group->name,
                                    .topic = stream->topic,
                                    .partition = stream->partition,
                                    .start = stream->window.start};
    sl_err err = share_item_begin(&item, &self->state);
    return err != SLUICE_OK ? err : each_run(self, add_archived);
}

static sl_err commit_batch(struct burial *self, struct shard *shard, bool with_state,
                           void (*done)(struct commit *commit, sl_err err))
{
    struct topic *topic = catalog_by_id(shard->catalog, &self->target);
    struct partition *partition = NULL;
    if (topic == NULL || self->target_number >= topic->partition_count) {
        return SLUICE_E_UNKNOWN_TOPIC;
    }
    sl_err err = partition_open(shard, topic, self->target_number, &partition);
    if (err != SLUICE_OK) {
        return err;
    }
    self->commit_batch = (struct commit_batch){
        .partition = partition, .data = self->batch.data, .size = (uint32_t)self->batch.size};
    self->items[1] = (struct wal_item){.kind = WAL_ITEM_SHARE_STATE,
                                       .version = SHARE_ITEM_VERSION,
                                       .payload = sl_buffer_bytes(&self->state)};
    self->commit = (struct commit){.shard = shard,
                                   .batches = &self->commit_batch,
                                   .batch_count = 1,
                                   .items = self->items,
                                   .extra_count = with_state ? 1 : 0,
                                   .reserve = true,
                                   .done = done};
    return commit_submit(&self->commit);
}

/* ---- letters on another shard, or in memory ---- */

static void committed_apart(struct commit *commit, sl_err err)
{
    struct burial *self = SL_CONTAINER_OF(commit, struct burial, commit);
    self->err = err;
    shard_call_reply(&self->call);
}

static void call_run(struct shard_call *call)
{
    struct burial *self = SL_CONTAINER_OF(call, struct burial, call);
    struct shard *shard = call->target;
    sl_err err = shard->status != SLUICE_OK ? shard->status
                                            : commit_batch(self, shard, false, committed_apart);
    if (err != SLUICE_OK) {
        committed_apart(&self->commit, err);
    }
}

static void call_replied(struct shard_call *call)
{
    struct burial *self = SL_CONTAINER_OF(call, struct burial, call);
    self->is_written = self->err == SLUICE_OK;
    if (self->is_written) {
        share_burial_archive(self);
    } else {
        share_burial_end(self, self->err);
    }
}

/* ---- which way ---- */

/* Somebody may have moved the window meanwhile. */
static bool are_doomed(const struct burial *self)
{
    const struct share_window *window = &self->stream->window;
    for (uint32_t i = 0; i < self->letter_count; i++) {
        int64_t offset = self->letters[i].offset;
        if (offset < window->start ||
            share_window_run(window, offset, offset).state != SHARE_DOOMED) {
            return false;
        }
    }
    return true;
}

void share_burial_commit(struct burial *self)
{
    struct shard *shard = self->shard;
    const struct topic *topic = catalog_by_id(shard->catalog, &self->target);
    if (self->stream->removed || !are_doomed(self)) {
        share_burial_end(self, SLUICE_OK);
        return;
    }
    if (topic == NULL || self->target_number >= topic->partition_count) {
        share_burial_end(self, SLUICE_E_UNKNOWN_TOPIC);
        return;
    }
    struct shard *owner = shard_of_partition(shard->set, topic, self->target_number);
    if (owner == shard && topic->settings->durability != TOPIC_MEMORY) {
        sl_err err = encode_state(self);
        err = err != SLUICE_OK ? err : commit_batch(self, shard, true, committed_together);
        if (err != SLUICE_OK) {
            share_burial_end(self, err);
        }
        return;
    }
    self->call.run = call_run;
    self->call.reply = call_replied;
    shard_call_start(&self->call, owner, shard->loop, SL_PRIORITY_BACKGROUND);
}
