/* share_wait.c: parts of share fetches that wait for records, and what comes with time: locks that
 * end, requests that waited long enough (share_steps.h). */
#include "shard/share_bury.h"
#include "shard/share_steps.h"

#include <string.h>

static void retry_run(struct sl_task *task)
{
    struct share_part *part = SL_CONTAINER_OF(task, struct share_part, retry);
    if (part->ended) {
        shard_call_reply(&part->call);
    } else if (!part->reading && !part->changing) {
        share_part_try(part);
    }
}

void share_part_wake(struct share_part *part)
{
    if (!part->retry.queued) {
        part->retry.run = retry_run;
        part->retry.priority = SL_PRIORITY_IO;
        sl_loop_post(part->call.target->loop, &part->retry);
    }
}

static void records_came(struct partition_observer *observer)
{
    share_part_wake(SL_CONTAINER_OF(observer, struct share_wait, observer)->part);
}

void share_stream_wake(struct share_stream *stream)
{
    for (struct sl_link *link = stream->waiters.head.next; link != &stream->waiters.head;
         link = link->next) {
        share_part_wake(SL_CONTAINER_OF(link, struct share_wait, link)->part);
    }
}

void share_part_unwait(struct share_part *part)
{
    sl_list_remove(&part->in_waiting);
    for (uint32_t i = 0; i < part->entry_count; i++) {
        struct share_entry *entry = &part->request->entries[part->entries[i]];
        sl_list_remove(&entry->wait.link);
        if (entry->wait.observes) {
            partition_unobserve(entry->partition, &entry->wait.observer);
            entry->wait.observes = false;
        }
    }
}

void share_part_wait(struct share_part *part)
{
    struct shard *shard = part->call.target;
    for (uint32_t i = 0; i < part->entry_count; i++) {
        struct share_entry *entry = &part->request->entries[part->entries[i]];
        if (!entry->from->reads || entry->stream == NULL) {
            continue;
        }
        sl_list_push_back(&entry->stream->waiters, &entry->wait.link);
        entry->wait.part = part;
        entry->wait.observer.notify = records_came;
        entry->wait.observes = true;
        partition_observe(entry->partition, &entry->wait.observer);
    }
    sl_list_push_back(&shard->share_waiting, &part->in_waiting);
    shard_schedule(shard);
}

void share_part_end(struct share_part *part)
{
    share_part_unwait(part);
    for (uint32_t i = 0; i < part->entry_count; i++) {
        struct share_entry *entry = &part->request->entries[part->entries[i]];
        if (entry->stream != NULL) {
            share_stream_unref(entry->stream);
            entry->stream = NULL;
        }
        if (entry->partition != NULL) {
            partition_unref(entry->partition);
            entry->partition = NULL;
        }
    }
    part->ended = true;
    if (!part->retry.queued) {
        shard_call_reply(&part->call);
    } /* else when the retry that is queued has run: it points here */
}

/* ---- time, ends ---- */

struct expiry {
    struct share_change change;
};

static void expiry_done(struct share_change *change, sl_err err)
{
    (void)err; /* what ended is so in memory; after a crash it ends again */
    share_change_fini(change);
    sl_free(SL_CONTAINER_OF(change, struct expiry, change));
}

static void expire(struct shard *shard, int64_t now_ms)
{
    struct share_stream *stream = share_store_due(&shard->shares, now_ms);
    struct expiry *expiry = stream == NULL ? NULL : sl_alloc_zero(1, sizeof(*expiry));
    if (expiry != NULL) {
        share_change_init(&expiry->change, shard);
    }
    while (expiry != NULL && stream != NULL) {
        const struct share_rules rules = share_rules_of(&stream->group->settings);
        share_stream_count(stream, SHARE_COUNT_TIMED_OUT,
                           share_window_expire(&stream->window, &rules, now_ms, share_change_note,
                                               &expiry->change));
        share_change_add(&expiry->change, stream);
        share_store_arm(&shard->shares, stream);
        share_stream_wake(stream);
        stream = share_store_due(&shard->shares, now_ms);
    }
    if (expiry != NULL) {
        share_change_submit(&expiry->change, expiry_done);
    } else if (stream != NULL) {
        share_store_arm(&shard->shares, stream); /* no memory: at the next look */
    }
}

int64_t shares_due_ms(const struct shard *shard)
{
    int64_t due_ms =
        SL_MIN(share_store_due_ms(&shard->shares), share_members_due_ms(&shard->share_members));
    for (const struct sl_link *link = shard->share_waiting.head.next;
         link != &shard->share_waiting.head; link = link->next) {
        const struct share_part *part = SL_CONTAINER_OF(link, struct share_part, in_waiting);
        due_ms = SL_MIN(due_ms, part->deadline_ms);
    }
    return SL_MIN(due_ms, share_bury_due_ms(shard));
}

int64_t shares_tick(struct shard *shard, int64_t now_ms)
{
    if (shard->status == SLUICE_OK) {
        expire(shard, now_ms);
        share_bury_tick(shard, now_ms);
    }
    share_members_tick(&shard->share_members, now_ms);
    for (struct sl_link *link = shard->share_waiting.head.next, *next;
         link != &shard->share_waiting.head; link = next) {
        struct share_part *part = SL_CONTAINER_OF(link, struct share_part, in_waiting);
        next = link->next;
        if (part->deadline_ms <= now_ms) { /* not due any more: its retry is on its way */
            sl_list_remove(link);
            part->finishing = true;
            share_part_wake(part);
        }
    }
    return shard->status == SLUICE_OK ? shares_due_ms(shard) : INT64_MAX;
}

void share_fetch_cancel(struct shard *shard, const struct shard *home, uint64_t connection)
{
    for (struct sl_link *link = shard->share_waiting.head.next; link != &shard->share_waiting.head;
         link = link->next) {
        struct share_part *part = SL_CONTAINER_OF(link, struct share_part, in_waiting);
        if (part->request->connection == connection && part->request->home == home) {
            part->finishing = part->cancelled = true;
            share_part_wake(part);
        }
    }
}

void share_fetch_finish_all(struct shard *shard)
{
    for (struct sl_link *link = shard->share_waiting.head.next; link != &shard->share_waiting.head;
         link = link->next) {
        struct share_part *part = SL_CONTAINER_OF(link, struct share_part, in_waiting);
        part->finishing = part->cancelled = true;
        share_part_wake(part);
    }
}

struct topic_wake {
    const struct sl_uuid *topic;
};

static void wake_of_topic(void *arg, struct chain_link *link)
{
    const struct topic_wake *wake = arg;
    struct share_stream *stream = SL_CONTAINER_OF(link, struct share_stream, by_key);
    if (memcmp(stream->topic.b, wake->topic->b, sizeof(stream->topic.b)) == 0) {
        share_stream_wake(stream);
    }
}

void shares_topic_deleted(struct shard *shard, const struct sl_uuid *topic)
{
    if (shard->shares.stream_count > 0) {
        chain_map_each(&shard->shares.streams, wake_of_topic, &(struct topic_wake){topic});
        share_store_forget_topic(&shard->shares, topic);
    }
}
