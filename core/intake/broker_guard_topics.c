/* broker_guard_topics.c: who may see, make, delete and grow topics (broker_guard.h). */
#include "intake/broker_guard_judge.h"

#include "shard/topics.h"

/* ---- lists ---- */

/* operation CREATE: the ref names a topic that is missing and would be made, or it may be described
 * as all others. */
static bool may_list(struct broker_guard *guard, const struct sluice_context *context,
                     const void *named, int32_t operation)
{
    const struct sluice_topic_ref *ref = named;
    sluice_status status = SLUICE_OK;
    if (!broker_guard_may_topic(guard, context, ref, SLUICE_OP_DESCRIBE)) {
        return false;
    }
    if (operation != SLUICE_OP_CREATE || ref->name.size == 0 ||
        shard_find_topic(guard->home, ref, &status) != NULL) {
        return true;
    }
    return broker_guard_knows(guard, context, SLUICE_OP_CREATE, SLUICE_ACL_CLUSTER,
                              sluice_text_of(SLUICE_CLUSTER_NAME)) ||
           broker_guard_may_topic(guard, context, ref, SLUICE_OP_CREATE);
}

static void refuse_listing(void *to, const void *entry)
{
    const struct sluice_topic_ref *ref = entry;
    *(struct sluice_topic_info *)to =
        (struct sluice_topic_info){.size = sizeof(struct sluice_topic_info),
                                   .status = SLUICE_E_TOPIC_AUTHORIZATION,
                                   .name = ref->name,
                                   .id = ref->id};
}

static const struct guard_kind listing_kind = {
    .entry_size = sizeof(struct sluice_topic_ref),
    .result_size = sizeof(struct sluice_topic_info),
    .may = may_list,
    .operation = SLUICE_OP_DESCRIBE,
    .refuse = refuse_listing,
};

static const struct guard_kind creating_listing_kind = {
    .entry_size = sizeof(struct sluice_topic_ref),
    .result_size = sizeof(struct sluice_topic_info),
    .may = may_list,
    .operation = SLUICE_OP_CREATE,
    .refuse = refuse_listing,
};

static void topics_listed(void *arg, const struct sluice_topic_info *topics, uint32_t count)
{
    struct guarded *guarded = arg;
    uint32_t all = guarded_merge_all(guarded, topics, count);
    guarded->done.topics(guarded->arg, guarded->results, all);
    guarded_free(guarded);
}

/* All topics that it may describe; the others are not there. */
static void all_listed(void *arg, const struct sluice_topic_info *topics, uint32_t count)
{
    struct guarded *guarded = arg;
    struct sluice_topic_info *seen = sl_alloc_zero(count + 1u, sizeof(*seen));
    uint32_t seen_count = 0;
    for (uint32_t i = 0; seen != NULL && i < count; i++) {
        if (broker_guard_knows(guarded->guard, &guarded->context, SLUICE_OP_DESCRIBE,
                               SLUICE_ACL_TOPIC, topics[i].name)) {
            seen[seen_count++] = topics[i];
        }
    }
    guarded->done.topics(guarded->arg, seen, seen_count);
    sl_free(seen);
    guarded_free(guarded);
}

static void list_all(struct broker_guard *guard, const struct sluice_context *context,
                     sluice_topics_done *done, void *arg)
{
    struct guarded *guarded = guarded_later(guard, context, arg);
    if (guarded == NULL) {
        done(arg, NULL, 0);
        return;
    }
    guarded->done.topics = done;
    guard->inner->topics(guard->inner, context, NULL, 0, false, all_listed, guarded);
}

static void on_topics(const struct sluice_broker *broker, const struct sluice_context *context,
                      const struct sluice_topic_ref *topics, uint32_t count, bool auto_create,
                      sluice_topics_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    struct guarded *guarded = NULL;
    if (topics == NULL) {
        list_all(guard, context, done, arg);
        return;
    }
    bool creates = auto_create && guard->facts->settings->auto_create_topics;
    enum guard_verdict verdict =
        guarded_judge(guard, context, creates ? &creating_listing_kind : &listing_kind, topics,
                      count, arg, &guarded);
    if (verdict == GUARD_ALL) {
        guard->inner->topics(guard->inner, context, topics, count, auto_create, done, arg);
    } else if (verdict == GUARD_NO_MEMORY) {
        done(arg, NULL, 0);
    } else {
        guarded->done.topics = done;
        if (verdict == GUARD_NONE) {
            topics_listed(guarded, NULL, 0);
            return;
        }
        guard->inner->topics(guard->inner, context, guarded->entries, guarded->allowed_count,
                             auto_create, topics_listed, guarded);
    }
}

/* ---- changes: one result a topic ---- */

static void refuse(struct sluice_topic_result *result, struct sluice_text name)
{
    *result = (struct sluice_topic_result){.status = SLUICE_E_TOPIC_AUTHORIZATION,
                                           .partition_count = -1,
                                           .name = name,
                                           .replication_factor = -1};
}

static void refuse_creation(void *to, const void *entry)
{
    refuse(to, ((const struct sluice_topic_spec *)entry)->name);
}

static void refuse_deletion(void *to, const void *entry)
{
    const struct sluice_topic_ref *ref = entry;
    refuse(to, ref->name);
    ((struct sluice_topic_result *)to)->id = ref->id;
}

static void refuse_growth(void *to, const void *entry)
{
    refuse(to, ((const struct sluice_topic_growth *)entry)->name);
}

static const struct guard_kind creation_kind = {
    sizeof(struct sluice_topic_spec),
    sizeof(struct sluice_topic_result),
    offsetof(struct sluice_topic_spec, name),
    broker_guard_may_topic_name,
    SLUICE_OP_CREATE,
    refuse_creation,
};

static const struct guard_kind deletion_kind = {
    sizeof(struct sluice_topic_ref),
    sizeof(struct sluice_topic_result),
    0,
    broker_guard_may_topic,
    SLUICE_OP_DELETE,
    refuse_deletion,
};

static const struct guard_kind growth_kind = {
    sizeof(struct sluice_topic_growth),
    sizeof(struct sluice_topic_result),
    offsetof(struct sluice_topic_growth, name),
    broker_guard_may_topic_name,
    SLUICE_OP_ALTER,
    refuse_growth,
};

static void on_topics_create(const struct sluice_broker *broker,
                             const struct sluice_context *context,
                             const struct sluice_topic_spec *specs, uint32_t count,
                             bool validate_only, sluice_topic_results_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    struct guard_change change = {specs, count, done, arg};
    bool everywhere = broker_guard_knows(guard, context, SLUICE_OP_CREATE, SLUICE_ACL_CLUSTER,
                                         sluice_text_of(SLUICE_CLUSTER_NAME));
    if (everywhere || guard_change_judge(guard, context, &creation_kind, &change)) {
        guard->inner->topics_create(guard->inner, context, change.entries, change.count,
                                    validate_only, change.done, change.arg);
    }
}

static void on_topics_delete(const struct sluice_broker *broker,
                             const struct sluice_context *context,
                             const struct sluice_topic_ref *topics, uint32_t count,
                             bool validate_only, sluice_topic_results_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    struct guard_change change = {topics, count, done, arg};
    if (guard_change_judge(guard, context, &deletion_kind, &change)) {
        guard->inner->topics_delete(guard->inner, context, change.entries, change.count,
                                    validate_only, change.done, change.arg);
    }
}

static void on_partitions_create(const struct sluice_broker *broker,
                                 const struct sluice_context *context,
                                 const struct sluice_topic_growth *growths, uint32_t count,
                                 bool validate_only, sluice_topic_results_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    struct guard_change change = {growths, count, done, arg};
    if (guard_change_judge(guard, context, &growth_kind, &change)) {
        guard->inner->partitions_create(guard->inner, context, change.entries, change.count,
                                        validate_only, change.done, change.arg);
    }
}

void broker_guard_topics_init(struct sluice_broker *table)
{
    table->topics = on_topics;
    table->topics_create = on_topics_create;
    table->topics_delete = on_topics_delete;
    table->partitions_create = on_partitions_create;
}
