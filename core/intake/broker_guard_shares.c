/* broker_guard_shares.c: who may be in a group that shares streams, take its records, and see and
 * change where it stands (broker_guard.h): by the rules of the group, and of each topic. */
#include "intake/broker_guard_judge.h"

#include <string.h>

/* ---- members ---- */

static void on_share_heartbeat(const struct sluice_broker *broker,
                               const struct sluice_context *context,
                               const struct sluice_share_heartbeat *request,
                               sluice_share_joined_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    sl_err err = broker_guard_may_group(guard, context, SLUICE_OP_READ, request->group)
                     ? SLUICE_OK
                     : SLUICE_E_GROUP_AUTHORIZATION;
    for (uint32_t i = 0; request->topics != NULL && i < request->topic_count; i++) {
        bool may = broker_guard_allows(guard, context, SLUICE_OP_DESCRIBE, SLUICE_ACL_TOPIC,
                                       request->topics[i]);
        err = err != SLUICE_OK || may ? err : SLUICE_E_TOPIC_AUTHORIZATION;
    }
    if (err != SLUICE_OK) {
        done(arg, &(struct sluice_share_joined){.status = err});
    } else {
        guard->inner->share_heartbeat(guard->inner, context, request, done, arg);
    }
}

static void on_share_describe(const struct sluice_broker *broker,
                              const struct sluice_context *context, struct sluice_text group,
                              sluice_share_group_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    if (!broker_guard_may_group(guard, context, SLUICE_OP_DESCRIBE, group)) {
        done(arg, &(struct sluice_share_group){.size = sizeof(struct sluice_share_group),
                                               .status = SLUICE_E_GROUP_AUTHORIZATION,
                                               .group = group,
                                               .state = {"", 0}});
    } else {
        guard->inner->share_describe(guard->inner, context, group, done, arg);
    }
}

/* ---- records ---- */

static void refuse_records(void *to, const void *entry)
{
    const struct sluice_share_entry *asked = entry;
    *(struct sluice_share_result *)to = (struct sluice_share_result){
        .status = asked->reads ? SLUICE_E_TOPIC_AUTHORIZATION : SLUICE_OK,
        .ack_status = asked->ack_count > 0 ? SLUICE_E_TOPIC_AUTHORIZATION : SLUICE_OK,
        .leader_epoch = -1};
}

static const struct guard_kind records_kind = {
    sizeof(struct sluice_share_entry),
    sizeof(struct sluice_share_result),
    offsetof(struct sluice_share_entry, topic),
    broker_guard_may_topic,
    SLUICE_OP_READ,
    refuse_records,
};

static void records_came(void *arg, sluice_status status, int32_t lock_ms,
                         const struct sluice_share_result *results, uint32_t count)
{
    struct guarded *guarded = arg;
    guarded_merge(guarded, results, count);
    guarded->done.share_fetched(guarded->arg, status, lock_ms, guarded->results, guarded->count);
    guarded_free(guarded);
}

static void on_share_fetch(const struct sluice_broker *broker, const struct sluice_context *context,
                           const struct sluice_share_fetch *request,
                           sluice_share_fetched_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    struct guarded *guarded = NULL;
    if (!broker_guard_may_group(guard, context, SLUICE_OP_READ, request->group)) {
        done(arg, SLUICE_E_GROUP_AUTHORIZATION, 0, NULL, 0);
        return;
    }
    enum guard_verdict verdict = guarded_judge(guard, context, &records_kind, request->entries,
                                               request->entry_count, arg, &guarded);
    if (verdict == GUARD_ALL) {
        guard->inner->share_fetch(guard->inner, context, request, done, arg);
    } else if (verdict == GUARD_NO_MEMORY) {
        done(arg, SLUICE_E_NO_MEMORY, 0, NULL, 0);
    } else {
        guarded->done.share_fetched = done;
        memcpy(&guarded->copy.share, request,
               SL_MIN((size_t)request->size, sizeof(guarded->copy.share)));
        guarded->copy.share.entries = guarded->entries;
        guarded->copy.share.entry_count = guarded->allowed_count;
        guarded->copy.share.wait_ms = 0; /* an error answers at once */
        guard->inner->share_fetch(guard->inner, context, &guarded->copy.share, records_came,
                                  guarded);
    }
}

/* ---- offsets ---- */

/* What it may not describe is not there; named, it is refused. */
static void offsets_came(void *arg, sluice_status status, const struct sluice_share_offset *offsets,
                         uint32_t count)
{
    struct guarded *guarded = arg;
    struct sluice_share_offset *seen = sl_alloc_zero(count + 1u, sizeof(*seen));
    uint32_t seen_count = 0;
    status = seen == NULL ? SLUICE_E_NO_MEMORY : status;
    for (uint32_t i = 0; status == SLUICE_OK && i < count; i++) {
        bool knows = broker_guard_knows(guarded->guard, &guarded->context, SLUICE_OP_DESCRIBE,
                                        SLUICE_ACL_TOPIC, offsets[i].topic.name);
        if (!knows && guarded->copy.fetch.entries == NULL) {
            continue;
        }
        seen[seen_count] = offsets[i];
        if (!knows) {
            seen[seen_count].status = SLUICE_E_TOPIC_AUTHORIZATION;
            seen[seen_count].start = seen[seen_count].lag = -1;
        }
        seen_count++;
    }
    guarded->done.share_offsets(guarded->arg, status, seen, seen_count);
    sl_free(seen);
    guarded_free(guarded);
}

static void on_share_offsets(const struct sluice_broker *broker,
                             const struct sluice_context *context,
                             const struct sluice_offset_fetch *request,
                             sluice_share_offsets_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    if (!broker_guard_may_group(guard, context, SLUICE_OP_DESCRIBE, request->group)) {
        done(arg, SLUICE_E_GROUP_AUTHORIZATION, NULL, 0);
        return;
    }
    struct guarded *guarded = guarded_later(guard, context, arg);
    if (guarded == NULL) {
        done(arg, SLUICE_E_NO_MEMORY, NULL, 0);
        return;
    }
    guarded->done.share_offsets = done;
    guarded->copy.fetch = *request;
    guard->inner->share_offsets(guard->inner, context, request, offsets_came, guarded);
}

static void refuse_status(void *to, const void *entry)
{
    (void)entry;
    *(sluice_status *)to = SLUICE_E_TOPIC_AUTHORIZATION;
}

static const struct guard_kind move_kind = {
    sizeof(struct sluice_offset_commit_entry),
    sizeof(sluice_status),
    offsetof(struct sluice_offset_commit_entry, topic),
    broker_guard_may_topic,
    SLUICE_OP_READ,
    refuse_status,
};

static const struct guard_kind forget_kind = {
    sizeof(struct sluice_topic_ref), sizeof(sluice_status), 0,
    broker_guard_may_topic,          SLUICE_OP_READ,        refuse_status,
};

static void statuses_came(void *arg, sluice_status status, const sluice_status *statuses,
                          uint32_t count)
{
    struct guarded *guarded = arg;
    guarded_merge(guarded, statuses, count);
    guarded->done.statuses(guarded->arg, status, guarded->results, guarded->count);
    guarded_free(guarded);
}

static void on_share_offsets_alter(const struct sluice_broker *broker,
                                   const struct sluice_context *context, struct sluice_text group,
                                   const struct sluice_offset_commit_entry *entries, uint32_t count,
                                   sluice_statuses_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    struct guarded *guarded = NULL;
    if (!broker_guard_may_group(guard, context, SLUICE_OP_READ, group)) {
        done(arg, SLUICE_E_GROUP_AUTHORIZATION, NULL, 0);
        return;
    }
    enum guard_verdict verdict =
        guarded_judge(guard, context, &move_kind, entries, count, arg, &guarded);
    if (verdict == GUARD_ALL) {
        guard->inner->share_offsets_alter(guard->inner, context, group, entries, count, done, arg);
    } else if (verdict == GUARD_NO_MEMORY) {
        done(arg, SLUICE_E_NO_MEMORY, NULL, 0);
    } else {
        guarded->done.statuses = done;
        guard->inner->share_offsets_alter(guard->inner, context, group, guarded->entries,
                                          guarded->allowed_count, statuses_came, guarded);
    }
}

static void on_share_offsets_delete(const struct sluice_broker *broker,
                                    const struct sluice_context *context, struct sluice_text group,
                                    const struct sluice_topic_ref *topics, uint32_t count,
                                    sluice_statuses_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    struct guarded *guarded = NULL;
    if (!broker_guard_may_group(guard, context, SLUICE_OP_DELETE, group)) {
        done(arg, SLUICE_E_GROUP_AUTHORIZATION, NULL, 0);
        return;
    }
    enum guard_verdict verdict =
        guarded_judge(guard, context, &forget_kind, topics, count, arg, &guarded);
    if (verdict == GUARD_ALL) {
        guard->inner->share_offsets_delete(guard->inner, context, group, topics, count, done, arg);
    } else if (verdict == GUARD_NO_MEMORY) {
        done(arg, SLUICE_E_NO_MEMORY, NULL, 0);
    } else {
        guarded->done.statuses = done;
        guard->inner->share_offsets_delete(guard->inner, context, group, guarded->entries,
                                           guarded->allowed_count, statuses_came, guarded);
    }
}

void broker_guard_shares_init(struct sluice_broker *table)
{
    table->share_heartbeat = on_share_heartbeat;
    table->share_describe = on_share_describe;
    table->share_fetch = on_share_fetch;
    table->share_offsets = on_share_offsets;
    table->share_offsets_alter = on_share_offsets_alter;
    table->share_offsets_delete = on_share_offsets_delete;
}
