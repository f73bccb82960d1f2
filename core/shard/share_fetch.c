/* share_fetch.c: a share fetch (shares.h): on the loop that it came on, and its parts on the shards
 * of its streams, which acknowledge first and acquire then (share_steps.h). */
#include "base/siphash.h"
#include "shard/share_steps.h"

#include <string.h>

#define LOCK_MS_MAX 3600000 /* as share.record.lock.duration.ms */

uint64_t share_owner_of(const struct shard *shard, struct sluice_text group,
                        struct sluice_text member)
{
    struct sl_hash128 one = sl_siphash128(shard->share_key, group.data, (size_t)group.size);
    struct sl_hash128 two = sl_siphash128(shard->share_key, member.data, (size_t)member.size);
    uint64_t owner = one.low ^ (two.high + (two.low << 1));
    return owner != 0 ? owner : 1;
}

static void next_round(struct share_request *request);

/* ---- the answer, on the origin's loop ---- */

static void request_free(struct share_request *request)
{
    struct shard *home = request->home;
    for (uint32_t i = 0; i < request->entry_count; i++) {
        chunk_unref(request->entries[i].chunk);
        sl_free(request->entries[i].acquired);
    }
    for (uint32_t i = 0; i < request->part_count; i++) {
        share_change_fini(&request->parts[i].change);
        sl_free(request->parts[i].reads);
    }
    sl_free(request);
    shard_request_end(home);
}

/* Those who have records had no share of what is asked for, those who had one have none. */
static bool wants_round(const struct share_request *request)
{
    bool wants = false;
    bool is_over = request->is_last || request->status != SLUICE_OK;
    for (uint32_t i = 0; i < request->part_count && !is_over; i++) {
        const struct share_part *part = &request->parts[i];
        wants = wants || part->could;
        is_over = part->gave || part->failed || part->cancelled;
    }
    return wants && !is_over;
}

static void maybe_answer(struct share_request *request)
{
    if (request->pending_parts > 0 || request->pending_finishes > 0) {
        return;
    }
    if (wants_round(request)) {
        next_round(request);
        return;
    }
    sl_list_remove(&request->in_tagged); /* done may begin another one of that name */
    for (uint32_t i = 0; i < request->entry_count; i++) {
        request->chunks[i] = request->entries[i].chunk;
        request->results[i].records_token = request->chunks[i] != NULL ? i + 1 : 0;
        request->results[i].acquired = request->entries[i].acquired;
    }
    if (request->set_tokens != NULL) {
        request->set_tokens(request->set_tokens_arg, request->chunks, request->entry_count);
    }
    request->done(request->arg, request->status, request->lock_ms, request->results,
                  request->entry_count);
    if (request->set_tokens != NULL) {
        request->set_tokens(request->set_tokens_arg, NULL, 0);
    }
    request_free(request);
}

static void finish_run(struct shard_call *call)
{
    struct share_part *part = SL_CONTAINER_OF(call, struct share_part, finish);
    part->finishing = true;
    if (sl_link_is_listed(&part->in_waiting)) {
        share_part_try(part);
    }
    shard_call_reply(call);
}

static void finish_replied(struct shard_call *call)
{
    struct share_part *part = SL_CONTAINER_OF(call, struct share_part, finish);
    part->request->pending_finishes--;
    maybe_answer(part->request);
}

static void finish_others(struct share_request *request)
{
    request->pending_finishes++;
    for (uint32_t i = 0; i < request->part_count; i++) {
        struct share_part *part = &request->parts[i];
        if (!part->used || part->answered || part->finish_sent) {
            continue;
        }
        part->finish_sent = true;
        request->pending_finishes++;
        part->finish.run = finish_run;
        part->finish.reply = finish_replied;
        shard_call_start(&part->finish, part->call.target, request->home->loop, SL_PRIORITY_IO);
    }
    request->pending_finishes--;
}

void share_fetch_cancel_tag(struct shard *home, uint64_t connection, uint64_t tag)
{
    struct sl_link *link = home->share_tagged.head.next;
    for (; link != &home->share_tagged.head; link = link->next) {
        struct share_request *request = SL_CONTAINER_OF(link, struct share_request, in_tagged);
        if (request->tag == tag && request->connection == connection) {
            sl_list_remove(&request->in_tagged);
            request->is_last = true;
            finish_others(request);
            maybe_answer(request);
            return; /* the tags of a connection differ, and its done may have changed the list */
        }
    }
}

static void part_replied(struct shard_call *call)
{
    struct share_part *part = SL_CONTAINER_OF(call, struct share_part, call);
    struct share_request *request = part->request;
    part->answered = true;
    request->pending_parts--;
    if (request->pending_parts > 0 &&
        (part->gave || part->failed || part->finishing || part->could)) {
        finish_others(request); /* one that only acknowledged keeps nobody from waiting */
    }
    maybe_answer(request);
}

/* ---- a part, on its shard ---- */

static void change_done(struct share_change *change, sl_err err)
{
    struct share_part *part = SL_CONTAINER_OF(change, struct share_part, change);
    struct share_request *request = part->request;
    part->changing = false;
    for (uint32_t i = 0; err != SLUICE_OK && i < part->entry_count; i++) {
        struct sluice_share_result *result = &request->results[part->entries[i]];
        result->ack_status = result->ack_status == SLUICE_OK ? err : result->ack_status;
        result->status = result->status == SLUICE_OK ? err : result->status;
        part->failed = true;
    }
    share_part_try(part);
}

static void part_run(struct shard_call *call)
{
    struct share_part *part = SL_CONTAINER_OF(call, struct share_part, call);
    struct share_request *request = part->request;
    struct shard *shard = call->target;
    bool is_first = request->round == 0;
    share_change_fini(&part->change);
    share_change_init(&part->change, shard);
    part->settings = share_store_settings(&shard->shares, sl_of_text(request->from->group));
    part->owner = share_owner_of(shard, request->from->group, request->from->member);
    part->deadline_ms = is_first ? shard_now_ms(shard) + request->from->wait_ms : part->deadline_ms;
    for (uint32_t i = 0; i < part->entry_count; i++) {
        struct share_entry *entry = &request->entries[part->entries[i]];
        struct sluice_share_result *result = &request->results[part->entries[i]];
        sl_err err = shard->status != SLUICE_OK ? shard->status : share_entry_open(part, entry);
        result->leader_epoch = shard_epoch(shard);
        bool acknowledges = is_first && entry->from->ack_count > 0;
        result->ack_status = acknowledges ? err : result->ack_status;
        result->status = entry->from->reads ? err : SLUICE_OK;
        part->failed = part->failed || err != SLUICE_OK;
        if (err == SLUICE_OK && acknowledges) {
            result->ack_status = share_entry_acknowledge(part, entry);
        }
    }
    if ((request->from->flags & SLUICE_SHARE_LEAVES) != 0 && shard->status == SLUICE_OK) {
        share_part_abandon(part);
    }
    shard_schedule(shard);
    part->changing = true;
    share_change_submit(&part->change, change_done);
}

/* ---- the origin ---- */

static struct share_request *request_new(uint32_t entry_count, uint32_t shard_count)
{
    size_t per_entry = sizeof(struct share_entry) + sizeof(struct sluice_share_result) +
                       sizeof(struct chunk *) + sizeof(uint32_t) * shard_count;
    size_t size = sizeof(struct share_request) + shard_count * sizeof(struct share_part) +
                  entry_count * per_entry;
    struct share_request *request = sl_alloc_zero(1, size);
    if (request == NULL) {
        return NULL;
    }
    request->parts = (struct share_part *)(request + 1);
    request->entries = (struct share_entry *)(request->parts + shard_count);
    request->results = (struct sluice_share_result *)(request->entries + entry_count);
    request->chunks = (struct chunk **)(request->results + entry_count);
    uint32_t *indices = (uint32_t *)(request->chunks + entry_count);
    for (uint32_t i = 0; i < shard_count; i++) {
        request->parts[i].entries = indices + (size_t)i * entry_count;
        request->parts[i].request = request;
        sl_link_init(&request->parts[i].in_waiting);
    }
    request->entry_count = entry_count;
    request->part_count = shard_count;
    return request;
}

static sl_err entry_prepare(struct share_request *request, uint32_t index)
{
    struct share_entry *entry = &request->entries[index];
    const struct sluice_share_entry *from = &request->from->entries[index];
    sluice_status status = SLUICE_OK;
    entry->from = from;
    sl_link_init(&entry->wait.link);
    const struct topic *topic = shard_find_topic(request->home, &from->topic, &status);
    if (topic == NULL) {
        return status;
    }
    if (from->partition < 0 || (uint32_t)from->partition >= topic->partition_count) {
        return SLUICE_E_UNKNOWN_TOPIC;
    }
    entry->topic = topic->id;
    entry->number = (uint32_t)from->partition;
    struct shard *owner = shard_of_partition(request->home->set, topic, entry->number);
    struct share_part *part = &request->parts[owner->index];
    part->entries[part->entry_count++] = index;
    return SLUICE_OK;
}

static bool has_share(const struct share_request *request, const struct share_part *part)
{
    return part->entry_count > 0 && (request->round == 0 || part->could);
}

/* Each shard may give its share; what is left over goes to one after the other. In a further round
 * all goes to those who said that they have something. */
static void divide(struct share_request *request)
{
    struct shard *home = request->home;
    uint32_t readers = 0;
    for (uint32_t i = 0; i < request->part_count; i++) {
        readers += has_share(request, &request->parts[i]);
        request->parts[i].records_left = 0;
    }
    int64_t all = SL_MAX(request->from->records_max, 0);
    uint32_t turn = readers == 0 ? 0 : home->share_turn++ % readers;
    for (uint32_t i = 0, at = 0; i < request->part_count; i++) {
        struct share_part *part = &request->parts[i];
        if (has_share(request, part)) {
            bool has_more = (at + readers - turn) % readers < (uint32_t)(all % readers);
            part->records_left = all / readers + has_more;
            if (all > 0 && (request->from->flags & SLUICE_SHARE_EXACT) == 0) {
                part->records_left = SL_MAX(part->records_left, (int64_t)1);
            }
            at++;
        }
    }
}

static void hand_over(struct share_request *request)
{
    struct shard *home = request->home;
    bool leaves = (request->from->flags & SLUICE_SHARE_LEAVES) != 0;
    request->pending_parts = 1;
    for (uint32_t i = 0; i < request->part_count; i++) {
        request->parts[i].used = leaves || request->parts[i].entry_count > 0;
        request->pending_parts += request->parts[i].used;
        request->parts[i].call.target = home->set->shards[i];
    }
    for (uint32_t i = 0; i < request->part_count; i++) {
        struct share_part *part = &request->parts[i];
        if (part->used) {
            part->call.run = part_run;
            part->call.reply = part_replied;
            shard_call_start(&part->call, home->set->shards[i], home->loop, SL_PRIORITY_IO);
        }
    }
    request->pending_parts--;
    maybe_answer(request);
}

static void next_round(struct share_request *request)
{
    request->round++;
    divide(request);
    for (uint32_t i = 0; i < request->part_count; i++) {
        struct share_part *part = &request->parts[i];
        part->could = part->finishing = part->ended = part->alone = false;
        part->answered = part->finish_sent = false;
    }
    hand_over(request);
}

void share_fetch_start(struct shard *home, const struct sluice_context *context,
                       const struct sluice_share_fetch *from,
                       void (*set_tokens)(void *arg, struct chunk *const *chunks, uint32_t count),
                       void *set_tokens_arg, sluice_share_fetched_done *done, void *arg)
{
    struct share_request *request = NULL;
    bool is_named = from->group.size > 0 && from->group.size <= SHARE_GROUP_BYTES_MAX;
    if (is_named && from->entry_count <= SHARE_ENTRIES_MAX) {
        request = request_new(from->entry_count, home->set->count);
    }
    if (!shares_are_in_force(home->set)) {
        sl_free(request);
        done(arg, SLUICE_E_UNSUPPORTED_VERSION, 0, NULL, 0);
        return;
    }
    if (request == NULL) {
        done(arg, is_named ? SLUICE_E_LIMIT : SLUICE_E_INVALID_GROUP_ID, 0, NULL, 0);
        return;
    }
    shard_request_begin(home);
    request->home = home;
    request->connection = context->connection;
    request->context = (struct sluice_context){.size = sizeof(request->context)};
    request->from = from;
    request->set_tokens = set_tokens;
    request->set_tokens_arg = set_tokens_arg;
    request->done = done;
    request->arg = arg;
    const struct share_settings settings =
        share_store_settings(&home->shares, sl_of_text(from->group));
    sl_link_init(&request->in_tagged);
    if (from->size >= offsetof(struct sluice_share_fetch, lock_ms) + sizeof(from->lock_ms)) {
        request->tag = from->tag;
        request->own_lock_ms = from->lock_ms > 0 ? SL_MIN(from->lock_ms, LOCK_MS_MAX) : 0;
    }
    request->lock_ms = request->own_lock_ms > 0
                           ? request->own_lock_ms
                           : (int32_t)share_setting(&settings, SHARE_CONFIG_lock_ms);
    for (uint32_t i = 0; i < from->entry_count; i++) {
        struct sluice_share_result *result = &request->results[i];
        *result = (struct sluice_share_result){.leader_epoch = -1};
        sl_err err = entry_prepare(request, i);
        result->status = from->entries[i].reads ? err : SLUICE_OK;
        result->ack_status = from->entries[i].ack_count > 0 ? err : SLUICE_OK;
        if (err != SLUICE_OK) { /* an error answers at once */
            request->is_last = true;
            for (uint32_t k = 0; k < request->part_count; k++) {
                request->parts[k].finishing = true;
            }
        }
    }
    if (request->tag != 0) {
        sl_list_push_back(&home->share_tagged, &request->in_tagged);
    }
    divide(request);
    hand_over(request);
}
