/* broker_guard_offsets.c: who may commit, see and delete the offsets of a group (broker_guard.h):
 * by the rules of the group, and of each topic. */
#include "intake/broker_guard_judge.h"

static void refuse_status(void *to, const void *entry)
{
    (void)entry;
    *(sluice_status *)to = SLUICE_E_TOPIC_AUTHORIZATION;
}

static const struct guard_kind commit_kind = {
    sizeof(struct sluice_offset_commit_entry),
    sizeof(sluice_status),
    offsetof(struct sluice_offset_commit_entry, topic),
    broker_guard_may_topic,
    SLUICE_OP_READ,
    refuse_status,
};

static const struct guard_kind delete_kind = {
    sizeof(struct sluice_offset_fetch_entry),
    sizeof(sluice_status),
    offsetof(struct sluice_offset_fetch_entry, topic),
    broker_guard_may_topic,
    SLUICE_OP_READ,
    refuse_status,
};

static void statuses_came(void *arg, sluice_status status, const sluice_status *statuses,
                          uint32_t count)
{
    struct guarded *guarded = arg;
    sluice_status *all = guarded->results;
    if (status != SLUICE_OK) { /* of the group as a whole */
        for (uint32_t i = 0; i < guarded->count; i++) {
            all[i] = status;
        }
    }
    guarded_merge(guarded, statuses, count);
    guarded->done.statuses(guarded->arg, SLUICE_OK, all, guarded->count);
    guarded_free(guarded);
}

static void on_offset_commit(const struct sluice_broker *broker,
                             const struct sluice_context *context,
                             const struct sluice_offset_commit *request, sluice_statuses_done *done,
                             void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    struct guarded *guarded = NULL;
    if (!broker_guard_may_group(guard, context, SLUICE_OP_READ, request->identity.group)) {
        done(arg, SLUICE_E_GROUP_AUTHORIZATION, NULL, 0);
        return;
    }
    enum guard_verdict verdict = guarded_judge(guard, context, &commit_kind, request->entries,
                                               request->entry_count, arg, &guarded);
    if (verdict == GUARD_ALL) {
        guard->inner->offset_commit(guard->inner, context, request, done, arg);
    } else if (verdict == GUARD_NO_MEMORY) {
        done(arg, SLUICE_E_NO_MEMORY, NULL, 0);
    } else {
        guarded->done.statuses = done;
        guarded->copy.commit = *request;
        guarded->copy.commit.entries = guarded->entries;
        guarded->copy.commit.entry_count = guarded->allowed_count;
        if (verdict == GUARD_NONE) {
            statuses_came(guarded, SLUICE_OK, NULL, 0);
            return;
        }
        guard->inner->offset_commit(guard->inner, context, &guarded->copy.commit, statuses_came,
                                    guarded);
    }
}

/* The request with the allowed entries, which lives until done. */
static const struct sluice_offset_fetch *keep_fetch(struct guarded *guarded,
                                                    const struct sluice_offset_fetch *request)
{
    guarded->copy.fetch = *request;
    guarded->copy.fetch.entries = guarded->entries;
    guarded->copy.fetch.entry_count = guarded->allowed_count;
    return &guarded->copy.fetch;
}

static void on_offset_delete(const struct sluice_broker *broker,
                             const struct sluice_context *context,
                             const struct sluice_offset_fetch *request, sluice_statuses_done *done,
                             void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    struct guarded *guarded = NULL;
    if (!broker_guard_may_group(guard, context, SLUICE_OP_DELETE, request->group)) {
        done(arg, SLUICE_E_GROUP_AUTHORIZATION, NULL, 0);
        return;
    }
    enum guard_verdict verdict = guarded_judge(guard, context, &delete_kind, request->entries,
                                               request->entry_count, arg, &guarded);
    if (verdict == GUARD_ALL) {
        guard->inner->offset_delete(guard->inner, context, request, done, arg);
    } else if (verdict == GUARD_NO_MEMORY) {
        done(arg, SLUICE_E_NO_MEMORY, NULL, 0);
    } else {
        guarded->done.statuses = done;
        if (verdict == GUARD_NONE) {
            statuses_came(guarded, SLUICE_OK, NULL, 0);
            return;
        }
        guard->inner->offset_delete(guard->inner, context, keep_fetch(guarded, request),
                                    statuses_came, guarded);
    }
}

/* ---- committed offsets ---- */

static void refuse_offset(void *to, const void *entry)
{
    const struct sluice_offset_fetch_entry *asked = entry;
    *(struct sluice_offset_fetched *)to =
        (struct sluice_offset_fetched){.status = SLUICE_E_TOPIC_AUTHORIZATION,
                                       .partition = asked->partition,
                                       .topic = asked->topic.name,
                                       .topic_id = asked->topic.id,
                                       .offset = -1,
                                       .leader_epoch = -1,
                                       .metadata = {"", 0}};
}

static const struct guard_kind fetch_kind = {
    sizeof(struct sluice_offset_fetch_entry),
    sizeof(struct sluice_offset_fetched),
    offsetof(struct sluice_offset_fetch_entry, topic),
    broker_guard_may_topic,
    SLUICE_OP_DESCRIBE,
    refuse_offset,
};

static void offsets_fetched(void *arg, sluice_status status,
                            const struct sluice_offset_fetched *offsets, uint32_t count)
{
    struct guarded *guarded = arg;
    if (status == SLUICE_OK) {
        guarded_merge(guarded, offsets, count);
        guarded->done.offset_fetched(guarded->arg, SLUICE_OK, guarded->results, guarded->count);
    } else {
        guarded->done.offset_fetched(guarded->arg, status, NULL, 0);
    }
    guarded_free(guarded);
}

/* All offsets of a group, of topics that it may describe. */
static void all_fetched(void *arg, sluice_status status,
                        const struct sluice_offset_fetched *offsets, uint32_t count)
{
    struct guarded *guarded = arg;
    struct sluice_offset_fetched *seen = sl_alloc_zero(count + 1u, sizeof(*seen));
    uint32_t seen_count = 0;
    status = seen == NULL ? SLUICE_E_NO_MEMORY : status;
    for (uint32_t i = 0; status == SLUICE_OK && i < count; i++) {
        if (broker_guard_knows(guarded->guard, &guarded->context, SLUICE_OP_DESCRIBE,
                               SLUICE_ACL_TOPIC, offsets[i].topic)) {
            seen[seen_count++] = offsets[i];
        }
    }
    guarded->done.offset_fetched(guarded->arg, status, seen, seen_count);
    sl_free(seen);
    guarded_free(guarded);
}

static void fetch_all(struct broker_guard *guard, const struct sluice_context *context,
                      const struct sluice_offset_fetch *request, sluice_offset_fetched_done *done,
                      void *arg)
{
    struct guarded *guarded = guarded_later(guard, context, arg);
    if (guarded == NULL) {
        done(arg, SLUICE_E_NO_MEMORY, NULL, 0);
        return;
    }
    guarded->done.offset_fetched = done;
    guard->inner->offset_fetch(guard->inner, context, request, all_fetched, guarded);
}

static void on_offset_fetch(const struct sluice_broker *broker,
                            const struct sluice_context *context,
                            const struct sluice_offset_fetch *request,
                            sluice_offset_fetched_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    struct guarded *guarded = NULL;
    if (!broker_guard_may_group(guard, context, SLUICE_OP_DESCRIBE, request->group)) {
        done(arg, SLUICE_E_GROUP_AUTHORIZATION, NULL, 0);
        return;
    }
    if (request->entries == NULL) {
        fetch_all(guard, context, request, done, arg);
        return;
    }
    enum guard_verdict verdict = guarded_judge(guard, context, &fetch_kind, request->entries,
                                               request->entry_count, arg, &guarded);
    if (verdict == GUARD_ALL) {
        guard->inner->offset_fetch(guard->inner, context, request, done, arg);
    } else if (verdict == GUARD_NO_MEMORY) {
        done(arg, SLUICE_E_NO_MEMORY, NULL, 0);
    } else {
        guarded->done.offset_fetched = done;
        if (verdict == GUARD_NONE) {
            offsets_fetched(guarded, SLUICE_OK, NULL, 0);
            return;
        }
        guard->inner->offset_fetch(guard->inner, context, keep_fetch(guarded, request),
                                   offsets_fetched, guarded);
    }
}

void broker_guard_offsets_init(struct sluice_broker *table)
{
    table->offset_commit = on_offset_commit;
    table->offset_fetch = on_offset_fetch;
    table->offset_delete = on_offset_delete;
}
