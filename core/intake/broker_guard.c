/* broker_guard.c: see broker_guard.h. Which call asks for what is Kafka's KafkaApis.
 *
 *   entries ─► judged ─► all may: the call goes on as it is
 *                    └─► some may not: those that may go on; their results and the refusals come
 *                        back in the order asked for
 */
#include "intake/broker_guard.h"
#include "intake/broker_guard_txn.h"

#include "base/bytes.h"
#include "shard/topics.h"

#include <string.h>

static struct broker_guard *of(const struct sluice_broker *broker)
{
    return SL_CONTAINER_OF(broker, struct broker_guard, table);
}

/* ---- judging ---- */

/* "10.0.0.1:4711" and "[::1]:4711" without the port. */
static struct sl_bytes host_of(struct sluice_text peer)
{
    struct sl_bytes host = {(const uint8_t *)peer.data, (size_t)peer.size};
    size_t colon = host.size;
    while (colon > 0 && host.data[colon - 1] != ':') {
        colon--;
    }
    host.size = colon > 0 ? colon - 1 : host.size;
    if (host.size >= 2 && host.data[0] == '[' && host.data[host.size - 1] == ']') {
        host = (struct sl_bytes){host.data + 1, host.size - 2};
    }
    return host;
}

struct policy_action broker_guard_action(const struct sluice_context *context, int32_t operation,
                                         int32_t resource, struct sluice_text name)
{
    return (struct policy_action){.principal = sl_of_text(context->principal),
                                  .host = host_of(context->client_host),
                                  .operation = operation,
                                  .resource = resource,
                                  .name = sl_of_text(name)};
}

bool broker_guard_allows(struct broker_guard *guard, const struct sluice_context *context,
                         int32_t operation, int32_t resource, struct sluice_text name)
{
    struct policy_action action = broker_guard_action(context, operation, resource, name);
    bool allowed = policy_allows(guard->policy, &action);
    guard->allowed_total += allowed;
    guard->denied_total += !allowed;
    return allowed;
}

static bool may_cluster(struct broker_guard *guard, const struct sluice_context *context,
                        int32_t operation)
{
    return broker_guard_allows(guard, context, operation, SLUICE_ACL_CLUSTER,
                               sluice_text_of(SLUICE_CLUSTER_NAME));
}

static bool may_group(struct broker_guard *guard, const struct sluice_context *context,
                      int32_t operation, struct sluice_text group)
{
    return broker_guard_allows(guard, context, operation, SLUICE_ACL_GROUP, group);
}

/* A topic that is named by an id nobody knows is the broker's to answer. */
static bool may_topic(struct broker_guard *guard, const struct sluice_context *context,
                      int32_t operation, const struct sluice_topic_ref *ref)
{
    struct sluice_text name = ref->name;
    if (name.size == 0) {
        sluice_status status = SLUICE_OK;
        const struct topic *topic = shard_find_topic(guard->home, ref, &status);
        if (topic == NULL) {
            return true;
        }
        name = text_of_sl(topic->name);
    }
    return broker_guard_allows(guard, context, operation, SLUICE_ACL_TOPIC, name);
}

/* ---- calls on several things ---- */

/* A call of which a part is refused. */
struct guarded {
    struct broker_guard *guard;
    uint32_t count;
    uint32_t allowed_count;
    uint32_t *places;    /* of the allowed ones in the request */
    bool *denied;        /* by place in the request */
    uint8_t *entries;    /* the allowed ones */
    uint8_t *results;    /* all, in the order asked for */
    const void *request; /* the caller's entries */
    union {
        sluice_produce_done *produce;
        sluice_fetch_done *fetch;
        sluice_offsets_done *offsets;
        sluice_topics_done *topics;
        sluice_topic_results_done *topic_results;
        sluice_records_deleted_done *records_deleted;
        sluice_statuses_done *statuses;
        sluice_offset_fetched_done *offset_fetched;
        sluice_groups_done *groups;
    } done;
    void *arg;
    union {
        struct sluice_offset_commit commit;
        struct sluice_offset_fetch fetch;
    } copy; /* of a request that lives until done */
    struct sluice_context context;
};

typedef bool judge_fn(struct broker_guard *guard, const struct sluice_context *context,
                      const void *entry, int32_t operation);

static struct guarded *guarded_free(struct guarded *guarded)
{
    if (guarded != NULL) {
        sl_free(guarded->places);
        sl_free(guarded->denied);
        sl_free(guarded->entries);
        sl_free(guarded->results);
        sl_free(guarded);
    }
    return NULL;
}

static struct guarded *guarded_new(struct broker_guard *guard, const void *entries, uint32_t count,
                                   size_t entry_size, size_t result_size, void *arg)
{
    struct guarded *guarded = sl_alloc_zero(1, sizeof(*guarded));
    if (guarded == NULL) {
        return NULL;
    }
    guarded->guard = guard;
    guarded->count = count;
    guarded->request = entries;
    guarded->arg = arg;
    guarded->places = sl_alloc_zero(count + 1u, sizeof(*guarded->places));
    guarded->denied = sl_alloc_zero(count + 1u, sizeof(*guarded->denied));
    guarded->entries = sl_alloc_zero(count + 1u, entry_size);
    guarded->results = sl_alloc_zero(count + 1u, result_size);
    bool made = guarded->places != NULL && guarded->denied != NULL && guarded->entries != NULL &&
                guarded->results != NULL;
    return made ? guarded : guarded_free(guarded);
}

enum verdict { VERDICT_ALL, VERDICT_SOME, VERDICT_NO_MEMORY };

/* Judges the entries; *ret_guarded only where some are refused. */
static enum verdict judge(struct broker_guard *guard, const struct sluice_context *context,
                          const void *entries, uint32_t count, size_t entry_size,
                          size_t result_size, judge_fn *may, int32_t operation, void *arg,
                          struct guarded **ret_guarded)
{
    const uint8_t *at = entries;
    struct guarded *guarded = NULL;
    for (uint32_t i = 0; i < count; i++) {
        bool allowed = may(guard, context, at + i * entry_size, operation);
        if (!allowed && guarded == NULL) {
            guarded = guarded_new(guard, entries, count, entry_size, result_size, arg);
            if (guarded == NULL) {
                return VERDICT_NO_MEMORY;
            }
            for (uint32_t k = 0; k < i; k++) {
                guarded->places[k] = k;
            }
            if (i > 0) {
                memcpy(guarded->entries, at, i * entry_size);
            }
            guarded->allowed_count = i;
        }
        if (guarded != NULL && allowed) {
            memcpy(guarded->entries + guarded->allowed_count * entry_size, at + i * entry_size,
                   entry_size);
            guarded->places[guarded->allowed_count++] = i;
        } else if (guarded != NULL) {
            guarded->denied[i] = true;
        }
    }
    *ret_guarded = guarded;
    return guarded == NULL ? VERDICT_ALL : VERDICT_SOME;
}

/* The results that came, to their places. */
static void take_results(struct guarded *guarded, const void *results, uint32_t count, size_t size)
{
    const uint8_t *from = results;
    for (uint32_t i = 0; i < SL_MIN(count, guarded->allowed_count); i++) {
        memcpy(guarded->results + guarded->places[i] * size, from + i * size, size);
    }
}

/* ---- produce ---- */

static bool judge_produce(struct broker_guard *guard, const struct sluice_context *context,
                          const void *entry, int32_t operation)
{
    return may_topic(guard, context, operation,
                     &((const struct sluice_produce_entry *)entry)->topic);
}

static void produced(void *arg, const struct sluice_produce_result *results, uint32_t count,
                     int32_t throttle_ms)
{
    struct guarded *guarded = arg;
    struct sluice_produce_result *all = (void *)guarded->results;
    take_results(guarded, results, count, sizeof(*all));
    for (uint32_t i = 0; i < guarded->count; i++) {
        if (guarded->denied[i]) {
            all[i].status = SLUICE_E_TOPIC_AUTHORIZATION;
            all[i].base_offset = all[i].log_append_time_ms = all[i].log_start_offset = -1;
        }
    }
    guarded->done.produce(guarded->arg, all, guarded->count, throttle_ms);
    guarded_free(guarded);
}

static void on_produce(const struct sluice_broker *broker, const struct sluice_context *context,
                       const struct sluice_produce *request, sluice_produce_done *done, void *arg)
{
    struct broker_guard *guard = of(broker);
    struct guarded *guarded = NULL;
    struct sluice_produce plain = *request;
    if (request->transactional_id.data != NULL &&
        !broker_guard_may_write_as(guard, context, request->transactional_id)) {
        /* Batches of a transaction are refused where none is named. */
        plain.transactional_id = (struct sluice_text){NULL, 0};
        request = &plain;
    }
    switch (judge(guard, context, request->entries, request->entry_count, sizeof(*request->entries),
                  sizeof(struct sluice_produce_result), judge_produce, SLUICE_OP_WRITE, arg,
                  &guarded)) {
    case VERDICT_ALL:
        guard->inner->produce(guard->inner, context, request, done, arg);
        return;
    case VERDICT_NO_MEMORY:
        done(arg, NULL, 0, 0);
        return;
    case VERDICT_SOME:
        break;
    }
    struct sluice_produce rest = *request;
    rest.entries = (const void *)guarded->entries;
    rest.entry_count = guarded->allowed_count;
    guarded->done.produce = done;
    if (guarded->allowed_count == 0) {
        produced(guarded, NULL, 0, 0);
    } else {
        guard->inner->produce(guard->inner, context, &rest, produced, guarded);
    }
}

/* ---- fetch ---- */

static bool judge_fetch(struct broker_guard *guard, const struct sluice_context *context,
                        const void *entry, int32_t operation)
{
    return may_topic(guard, context, operation, &((const struct sluice_fetch_entry *)entry)->topic);
}

static void fetched(void *arg, const struct sluice_fetch_result *results, uint32_t count,
                    int32_t throttle_ms)
{
    struct guarded *guarded = arg;
    struct sluice_fetch_result *all = (void *)guarded->results;
    take_results(guarded, results, count, sizeof(*all));
    for (uint32_t i = 0; i < guarded->count; i++) {
        if (guarded->denied[i]) {
            all[i].status = SLUICE_E_TOPIC_AUTHORIZATION;
            all[i].leader_epoch = all[i].diverging_epoch = -1;
            all[i].high_watermark = all[i].last_stable_offset = all[i].log_start_offset = -1;
            all[i].diverging_end_offset = -1;
        }
    }
    guarded->done.fetch(guarded->arg, all, guarded->count, throttle_ms);
    guarded_free(guarded);
}

static void on_fetch(const struct sluice_broker *broker, const struct sluice_context *context,
                     const struct sluice_fetch *request, sluice_fetch_done *done, void *arg)
{
    struct broker_guard *guard = of(broker);
    struct guarded *guarded = NULL;
    switch (judge(guard, context, request->entries, request->entry_count, sizeof(*request->entries),
                  sizeof(struct sluice_fetch_result), judge_fetch, SLUICE_OP_READ, arg, &guarded)) {
    case VERDICT_ALL:
        guard->inner->fetch(guard->inner, context, request, done, arg);
        return;
    case VERDICT_NO_MEMORY:
        done(arg, NULL, 0, 0);
        return;
    case VERDICT_SOME:
        break;
    }
    struct sluice_fetch rest = *request;
    rest.entries = (const void *)guarded->entries;
    rest.entry_count = guarded->allowed_count;
    rest.wait_ms = 0; /* an error answers at once */
    guarded->done.fetch = done;
    if (guarded->allowed_count == 0) {
        fetched(guarded, NULL, 0, 0);
    } else {
        guard->inner->fetch(guard->inner, context, &rest, fetched, guarded);
    }
}

/* ---- offsets by time, deletion of records ---- */

static bool judge_query(struct broker_guard *guard, const struct sluice_context *context,
                        const void *entry, int32_t operation)
{
    return may_topic(guard, context, operation,
                     &((const struct sluice_offset_query *)entry)->topic);
}

static void offsets_answered(void *arg, const struct sluice_offset_answer *answers, uint32_t count)
{
    struct guarded *guarded = arg;
    struct sluice_offset_answer *all = (void *)guarded->results;
    take_results(guarded, answers, count, sizeof(*all));
    for (uint32_t i = 0; i < guarded->count; i++) {
        if (guarded->denied[i]) {
            all[i] = (struct sluice_offset_answer){SLUICE_E_TOPIC_AUTHORIZATION, -1, -1, -1};
        }
    }
    guarded->done.offsets(guarded->arg, all, guarded->count);
    guarded_free(guarded);
}

static void on_offsets(const struct sluice_broker *broker, const struct sluice_context *context,
                       int32_t isolation, const struct sluice_offset_query *queries, uint32_t count,
                       sluice_offsets_done *done, void *arg)
{
    struct broker_guard *guard = of(broker);
    struct guarded *guarded = NULL;
    enum verdict verdict =
        judge(guard, context, queries, count, sizeof(*queries), sizeof(struct sluice_offset_answer),
              judge_query, SLUICE_OP_DESCRIBE, arg, &guarded);
    if (verdict == VERDICT_ALL) {
        guard->inner->offsets(guard->inner, context, isolation, queries, count, done, arg);
    } else if (verdict == VERDICT_NO_MEMORY) {
        done(arg, NULL, 0);
    } else {
        guarded->done.offsets = done;
        if (guarded->allowed_count == 0) {
            offsets_answered(guarded, NULL, 0);
            return;
        }
        guard->inner->offsets(guard->inner, context, isolation, (const void *)guarded->entries,
                              guarded->allowed_count, offsets_answered, guarded);
    }
}

static bool judge_delete(struct broker_guard *guard, const struct sluice_context *context,
                         const void *entry, int32_t operation)
{
    return may_topic(guard, context, operation,
                     &((const struct sluice_records_delete *)entry)->topic);
}

static void records_deleted(void *arg, const struct sluice_records_deleted *results, uint32_t count)
{
    struct guarded *guarded = arg;
    struct sluice_records_deleted *all = (void *)guarded->results;
    take_results(guarded, results, count, sizeof(*all));
    for (uint32_t i = 0; i < guarded->count; i++) {
        if (guarded->denied[i]) {
            all[i] = (struct sluice_records_deleted){SLUICE_E_TOPIC_AUTHORIZATION, 0, -1};
        }
    }
    guarded->done.records_deleted(guarded->arg, all, guarded->count);
    guarded_free(guarded);
}

static void on_records_delete(const struct sluice_broker *broker,
                              const struct sluice_context *context,
                              const struct sluice_records_delete *entries, uint32_t count,
                              sluice_records_deleted_done *done, void *arg)
{
    struct broker_guard *guard = of(broker);
    struct guarded *guarded = NULL;
    enum verdict verdict =
        judge(guard, context, entries, count, sizeof(*entries),
              sizeof(struct sluice_records_deleted), judge_delete, SLUICE_OP_DELETE, arg, &guarded);
    if (verdict == VERDICT_ALL) {
        guard->inner->records_delete(guard->inner, context, entries, count, done, arg);
    } else if (verdict == VERDICT_NO_MEMORY) {
        done(arg, NULL, 0);
    } else {
        guarded->done.records_deleted = done;
        if (guarded->allowed_count == 0) {
            records_deleted(guarded, NULL, 0);
            return;
        }
        guard->inner->records_delete(guard->inner, context, (const void *)guarded->entries,
                                     guarded->allowed_count, records_deleted, guarded);
    }
}

/* ---- topics ---- */

/* operation CREATE: the ref names a topic that is missing and would be made, or it may be described
 * as all others. */
static bool judge_listing(struct broker_guard *guard, const struct sluice_context *context,
                          const void *entry, int32_t operation)
{
    const struct sluice_topic_ref *ref = entry;
    sluice_status status = SLUICE_OK;
    if (!may_topic(guard, context, SLUICE_OP_DESCRIBE, ref)) {
        return false;
    }
    if (operation != SLUICE_OP_CREATE || ref->name.size == 0 ||
        shard_find_topic(guard->home, ref, &status) != NULL) {
        return true;
    }
    struct policy_action action = broker_guard_action(context, SLUICE_OP_CREATE, SLUICE_ACL_CLUSTER,
                                                      sluice_text_of(SLUICE_CLUSTER_NAME));
    return policy_allows(guard->policy, &action) ||
           may_topic(guard, context, SLUICE_OP_CREATE, ref);
}

static void topics_listed(void *arg, const struct sluice_topic_info *topics, uint32_t count)
{
    struct guarded *guarded = arg;
    struct sluice_topic_info *all = (void *)guarded->results;
    const struct sluice_topic_ref *refs = guarded->request;
    take_results(guarded, topics, count, sizeof(*all));
    for (uint32_t i = 0; i < guarded->count; i++) {
        if (guarded->denied[i]) {
            all[i] = (struct sluice_topic_info){.size = sizeof(*all),
                                                .status = SLUICE_E_TOPIC_AUTHORIZATION,
                                                .name = refs[i].name,
                                                .id = refs[i].id};
        }
    }
    guarded->done.topics(guarded->arg, all, guarded->count);
    guarded_free(guarded);
}

/* All topics that it may describe; the others are not there. */
static void all_listed(void *arg, const struct sluice_topic_info *topics, uint32_t count)
{
    struct guarded *guarded = arg;
    struct broker_guard *guard = guarded->guard;
    struct sluice_topic_info *seen = sl_alloc_zero(count + 1u, sizeof(*seen));
    uint32_t seen_count = 0;
    for (uint32_t i = 0; seen != NULL && i < count; i++) {
        struct policy_action action = broker_guard_action(&guarded->context, SLUICE_OP_DESCRIBE,
                                                          SLUICE_ACL_TOPIC, topics[i].name);
        if (policy_allows(guard->policy, &action)) {
            seen[seen_count++] = topics[i];
        }
    }
    guarded->done.topics(guarded->arg, seen, seen_count);
    sl_free(seen);
    guarded_free(guarded);
}

/* The texts of a context are of a connection that may be gone by then: the answer of a list of all
 * topics comes inside the call, and so it is asserted by the shape of topic_listing.c. */
static void list_all(struct broker_guard *guard, const struct sluice_context *context,
                     sluice_topics_done *done, void *arg)
{
    struct guarded *guarded = guarded_new(guard, NULL, 0, 1, 1, arg);
    if (guarded == NULL) {
        done(arg, NULL, 0);
        return;
    }
    guarded->done.topics = done;
    guarded->context = *context;
    guard->inner->topics(guard->inner, context, NULL, 0, false, all_listed, guarded);
}

static void on_topics(const struct sluice_broker *broker, const struct sluice_context *context,
                      const struct sluice_topic_ref *topics, uint32_t count, bool auto_create,
                      sluice_topics_done *done, void *arg)
{
    struct broker_guard *guard = of(broker);
    struct guarded *guarded = NULL;
    if (topics == NULL) {
        list_all(guard, context, done, arg);
        return;
    }
    bool creates = auto_create && guard->facts->settings->auto_create_topics;
    enum verdict verdict =
        judge(guard, context, topics, count, sizeof(*topics), sizeof(struct sluice_topic_info),
              judge_listing, creates ? SLUICE_OP_CREATE : SLUICE_OP_DESCRIBE, arg, &guarded);
    if (verdict == VERDICT_ALL) {
        guard->inner->topics(guard->inner, context, topics, count, auto_create, done, arg);
    } else if (verdict == VERDICT_NO_MEMORY) {
        done(arg, NULL, 0);
    } else {
        guarded->done.topics = done;
        if (guarded->allowed_count == 0) {
            topics_listed(guarded, NULL, 0);
            return;
        }
        guard->inner->topics(guard->inner, context, (const void *)guarded->entries,
                             guarded->allowed_count, auto_create, topics_listed, guarded);
    }
}

static bool judge_spec(struct broker_guard *guard, const struct sluice_context *context,
                       const void *entry, int32_t operation)
{
    return broker_guard_allows(guard, context, operation, SLUICE_ACL_TOPIC,
                               ((const struct sluice_topic_spec *)entry)->name);
}

static void fill_topic_result(struct sluice_topic_result *result, struct sluice_text name,
                              const struct sluice_uuid *id)
{
    *result = (struct sluice_topic_result){.status = SLUICE_E_TOPIC_AUTHORIZATION,
                                           .partition_count = -1,
                                           .name = name,
                                           .replication_factor = -1};
    if (id != NULL) {
        result->id = *id;
    }
}

static void topics_made(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    struct guarded *guarded = arg;
    struct sluice_topic_result *all = (void *)guarded->results;
    const struct sluice_topic_spec *specs = guarded->request;
    take_results(guarded, results, count, sizeof(*all));
    for (uint32_t i = 0; i < guarded->count; i++) {
        if (guarded->denied[i]) {
            fill_topic_result(&all[i], specs[i].name, NULL);
        }
    }
    guarded->done.topic_results(guarded->arg, all, guarded->count);
    guarded_free(guarded);
}

static void on_topics_create(const struct sluice_broker *broker,
                             const struct sluice_context *context,
                             const struct sluice_topic_spec *specs, uint32_t count,
                             bool validate_only, sluice_topic_results_done *done, void *arg)
{
    struct broker_guard *guard = of(broker);
    struct guarded *guarded = NULL;
    struct policy_action everywhere = broker_guard_action(
        context, SLUICE_OP_CREATE, SLUICE_ACL_CLUSTER, sluice_text_of(SLUICE_CLUSTER_NAME));
    enum verdict verdict = policy_allows(guard->policy, &everywhere)
                               ? VERDICT_ALL
                               : judge(guard, context, specs, count, sizeof(*specs),
                                       sizeof(struct sluice_topic_result), judge_spec,
                                       SLUICE_OP_CREATE, arg, &guarded);
    if (verdict == VERDICT_ALL) {
        guard->inner->topics_create(guard->inner, context, specs, count, validate_only, done, arg);
    } else if (verdict == VERDICT_NO_MEMORY) {
        done(arg, NULL, 0);
    } else {
        guarded->done.topic_results = done;
        if (guarded->allowed_count == 0) {
            topics_made(guarded, NULL, 0);
            return;
        }
        guard->inner->topics_create(guard->inner, context, (const void *)guarded->entries,
                                    guarded->allowed_count, validate_only, topics_made, guarded);
    }
}

static bool judge_ref(struct broker_guard *guard, const struct sluice_context *context,
                      const void *entry, int32_t operation)
{
    return may_topic(guard, context, operation, entry);
}

static void topics_deleted(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    struct guarded *guarded = arg;
    struct sluice_topic_result *all = (void *)guarded->results;
    const struct sluice_topic_ref *refs = guarded->request;
    take_results(guarded, results, count, sizeof(*all));
    for (uint32_t i = 0; i < guarded->count; i++) {
        if (guarded->denied[i]) {
            fill_topic_result(&all[i], refs[i].name, &refs[i].id);
        }
    }
    guarded->done.topic_results(guarded->arg, all, guarded->count);
    guarded_free(guarded);
}

static void on_topics_delete(const struct sluice_broker *broker,
                             const struct sluice_context *context,
                             const struct sluice_topic_ref *topics, uint32_t count,
                             sluice_topic_results_done *done, void *arg)
{
    struct broker_guard *guard = of(broker);
    struct guarded *guarded = NULL;
    enum verdict verdict =
        judge(guard, context, topics, count, sizeof(*topics), sizeof(struct sluice_topic_result),
              judge_ref, SLUICE_OP_DELETE, arg, &guarded);
    if (verdict == VERDICT_ALL) {
        guard->inner->topics_delete(guard->inner, context, topics, count, done, arg);
    } else if (verdict == VERDICT_NO_MEMORY) {
        done(arg, NULL, 0);
    } else {
        guarded->done.topic_results = done;
        if (guarded->allowed_count == 0) {
            topics_deleted(guarded, NULL, 0);
            return;
        }
        guard->inner->topics_delete(guard->inner, context, (const void *)guarded->entries,
                                    guarded->allowed_count, topics_deleted, guarded);
    }
}

static bool judge_alter(struct broker_guard *guard, const struct sluice_context *context,
                        const void *entry, int32_t operation)
{
    const struct sluice_config_alter *alter = entry;
    return alter->resource == SLUICE_RESOURCE_TOPIC
               ? broker_guard_allows(guard, context, operation, SLUICE_ACL_TOPIC, alter->name)
               : may_cluster(guard, context, operation);
}

static void configs_altered(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    struct guarded *guarded = arg;
    struct sluice_topic_result *all = (void *)guarded->results;
    const struct sluice_config_alter *alters = guarded->request;
    take_results(guarded, results, count, sizeof(*all));
    for (uint32_t i = 0; i < guarded->count; i++) {
        if (guarded->denied[i]) {
            fill_topic_result(&all[i], alters[i].name, NULL);
            all[i].status = alters[i].resource == SLUICE_RESOURCE_TOPIC
                                ? SLUICE_E_TOPIC_AUTHORIZATION
                                : SLUICE_E_CLUSTER_AUTHORIZATION;
        }
    }
    guarded->done.topic_results(guarded->arg, all, guarded->count);
    guarded_free(guarded);
}

static void on_configs_alter(const struct sluice_broker *broker,
                             const struct sluice_context *context,
                             const struct sluice_config_alter *alters, uint32_t count,
                             bool validate_only, sluice_topic_results_done *done, void *arg)
{
    struct broker_guard *guard = of(broker);
    struct guarded *guarded = NULL;
    enum verdict verdict =
        judge(guard, context, alters, count, sizeof(*alters), sizeof(struct sluice_topic_result),
              judge_alter, SLUICE_OP_ALTER_CONFIGS, arg, &guarded);
    if (verdict == VERDICT_ALL) {
        guard->inner->configs_alter(guard->inner, context, alters, count, validate_only, done, arg);
    } else if (verdict == VERDICT_NO_MEMORY) {
        done(arg, NULL, 0);
    } else {
        guarded->done.topic_results = done;
        if (guarded->allowed_count == 0) {
            configs_altered(guarded, NULL, 0);
            return;
        }
        guard->inner->configs_alter(guard->inner, context, (const void *)guarded->entries,
                                    guarded->allowed_count, validate_only, configs_altered,
                                    guarded);
    }
}

static bool judge_growth(struct broker_guard *guard, const struct sluice_context *context,
                         const void *entry, int32_t operation)
{
    const struct sluice_topic_growth *growth = entry;
    return broker_guard_allows(guard, context, operation, SLUICE_ACL_TOPIC, growth->name);
}

static void topics_grown(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    struct guarded *guarded = arg;
    struct sluice_topic_result *all = (void *)guarded->results;
    const struct sluice_topic_growth *growths = guarded->request;
    take_results(guarded, results, count, sizeof(*all));
    for (uint32_t i = 0; i < guarded->count; i++) {
        if (guarded->denied[i]) {
            fill_topic_result(&all[i], growths[i].name, NULL);
        }
    }
    guarded->done.topic_results(guarded->arg, all, guarded->count);
    guarded_free(guarded);
}

static void on_partitions_create(const struct sluice_broker *broker,
                                 const struct sluice_context *context,
                                 const struct sluice_topic_growth *growths, uint32_t count,
                                 bool validate_only, sluice_topic_results_done *done, void *arg)
{
    struct broker_guard *guard = of(broker);
    struct guarded *guarded = NULL;
    enum verdict verdict =
        judge(guard, context, growths, count, sizeof(*growths), sizeof(struct sluice_topic_result),
              judge_growth, SLUICE_OP_ALTER, arg, &guarded);
    if (verdict == VERDICT_ALL) {
        guard->inner->partitions_create(guard->inner, context, growths, count, validate_only, done,
                                        arg);
    } else if (verdict == VERDICT_NO_MEMORY) {
        done(arg, NULL, 0);
    } else {
        guarded->done.topic_results = done;
        if (guarded->allowed_count == 0) {
            topics_grown(guarded, NULL, 0);
            return;
        }
        guard->inner->partitions_create(guard->inner, context, (const void *)guarded->entries,
                                        guarded->allowed_count, validate_only, topics_grown,
                                        guarded);
    }
}

/* ---- configurations, producer ids ---- */

static void on_configs_describe(const struct sluice_broker *broker,
                                const struct sluice_context *context, int32_t resource,
                                struct sluice_text name, sluice_config_done *done, void *arg)
{
    struct broker_guard *guard = of(broker);
    bool is_topic = resource == SLUICE_RESOURCE_TOPIC;
    bool allowed = is_topic ? broker_guard_allows(guard, context, SLUICE_OP_DESCRIBE_CONFIGS,
                                                  SLUICE_ACL_TOPIC, name)
                            : may_cluster(guard, context, SLUICE_OP_DESCRIBE_CONFIGS);
    if (allowed) {
        guard->inner->configs_describe(guard->inner, context, resource, name, done, arg);
        return;
    }
    const struct sluice_config_result result = {.status = is_topic ? SLUICE_E_TOPIC_AUTHORIZATION
                                                                   : SLUICE_E_CLUSTER_AUTHORIZATION,
                                                .resource = resource,
                                                .name = name};
    done(arg, &result);
}

static void on_configs_preview(const struct sluice_broker *broker,
                               const struct sluice_context *context,
                               const struct sluice_topic_spec *spec, sluice_config_done *done,
                               void *arg)
{
    struct broker_guard *guard = of(broker);
    if (broker_guard_allows(guard, context, SLUICE_OP_DESCRIBE_CONFIGS, SLUICE_ACL_TOPIC,
                            spec->name)) {
        guard->inner->configs_preview(guard->inner, context, spec, done, arg);
        return;
    }
    const struct sluice_config_result result = {.status = SLUICE_E_TOPIC_AUTHORIZATION,
                                                .resource = SLUICE_RESOURCE_TOPIC,
                                                .name = spec->name};
    done(arg, &result);
}

/* Who may write to any topic may do so idempotently (KIP-679). */
static void on_producer_id(const struct sluice_broker *broker, const struct sluice_context *context,
                           int64_t id, int16_t epoch, sluice_producer_id_done *done, void *arg)
{
    struct broker_guard *guard = of(broker);
    struct policy_action write = broker_guard_action(context, SLUICE_OP_WRITE, SLUICE_ACL_TOPIC,
                                                     (struct sluice_text){"", 0});
    if (policy_allows_any(guard->policy, &write) ||
        may_cluster(guard, context, SLUICE_OP_IDEMPOTENT_WRITE)) {
        guard->inner->producer_id(guard->inner, context, id, epoch, done, arg);
        return;
    }
    const struct sluice_producer_id refused = {
        .status = SLUICE_E_CLUSTER_AUTHORIZATION, .epoch = -1, .id = -1};
    done(arg, &refused);
}

/* ---- groups ---- */

static void on_group_join(const struct sluice_broker *broker, const struct sluice_context *context,
                          const struct sluice_group_join *request, sluice_group_joined_done *done,
                          void *arg)
{
    struct broker_guard *guard = of(broker);
    if (may_group(guard, context, SLUICE_OP_READ, request->group)) {
        guard->inner->group_join(guard->inner, context, request, done, arg);
        return;
    }
    const struct sluice_group_joined refused = {.status = SLUICE_E_GROUP_AUTHORIZATION,
                                                .generation = -1,
                                                .leader = {"", 0},
                                                .member = request->member};
    done(arg, &refused);
}

static void on_group_sync(const struct sluice_broker *broker, const struct sluice_context *context,
                          const struct sluice_group_sync *request, sluice_group_synced_done *done,
                          void *arg)
{
    struct broker_guard *guard = of(broker);
    if (may_group(guard, context, SLUICE_OP_READ, request->group)) {
        guard->inner->group_sync(guard->inner, context, request, done, arg);
        return;
    }
    const struct sluice_group_synced refused = {.status = SLUICE_E_GROUP_AUTHORIZATION,
                                                .assignment = {(const uint8_t *)"", 0}};
    done(arg, &refused);
}

static void on_group_heartbeat(const struct sluice_broker *broker,
                               const struct sluice_context *context,
                               const struct sluice_group_identity *request,
                               sluice_status_done *done, void *arg)
{
    struct broker_guard *guard = of(broker);
    if (may_group(guard, context, SLUICE_OP_READ, request->group)) {
        guard->inner->group_heartbeat(guard->inner, context, request, done, arg);
    } else {
        done(arg, SLUICE_E_GROUP_AUTHORIZATION);
    }
}

static void on_group_leave(const struct sluice_broker *broker, const struct sluice_context *context,
                           const struct sluice_group_leave *request, sluice_statuses_done *done,
                           void *arg)
{
    struct broker_guard *guard = of(broker);
    if (may_group(guard, context, SLUICE_OP_READ, request->group)) {
        guard->inner->group_leave(guard->inner, context, request, done, arg);
    } else {
        done(arg, SLUICE_E_GROUP_AUTHORIZATION, NULL, 0);
    }
}

static bool judge_commit(struct broker_guard *guard, const struct sluice_context *context,
                         const void *entry, int32_t operation)
{
    return may_topic(guard, context, operation,
                     &((const struct sluice_offset_commit_entry *)entry)->topic);
}

static void committed(void *arg, sluice_status status, const sluice_status *statuses,
                      uint32_t count)
{
    struct guarded *guarded = arg;
    sluice_status *all = (void *)guarded->results;
    if (status != SLUICE_OK) { /* of the group as a whole */
        for (uint32_t i = 0; i < guarded->count; i++) {
            all[i] = status;
        }
    }
    take_results(guarded, statuses, count, sizeof(*all));
    for (uint32_t i = 0; i < guarded->count; i++) {
        all[i] = guarded->denied[i] ? SLUICE_E_TOPIC_AUTHORIZATION : all[i];
    }
    guarded->done.statuses(guarded->arg, SLUICE_OK, all, guarded->count);
    guarded_free(guarded);
}

static void on_offset_commit(const struct sluice_broker *broker,
                             const struct sluice_context *context,
                             const struct sluice_offset_commit *request, sluice_statuses_done *done,
                             void *arg)
{
    struct broker_guard *guard = of(broker);
    struct guarded *guarded = NULL;
    if (!may_group(guard, context, SLUICE_OP_READ, request->identity.group)) {
        done(arg, SLUICE_E_GROUP_AUTHORIZATION, NULL, 0);
        return;
    }
    enum verdict verdict =
        judge(guard, context, request->entries, request->entry_count, sizeof(*request->entries),
              sizeof(sluice_status), judge_commit, SLUICE_OP_READ, arg, &guarded);
    if (verdict == VERDICT_ALL) {
        guard->inner->offset_commit(guard->inner, context, request, done, arg);
    } else if (verdict == VERDICT_NO_MEMORY) {
        done(arg, SLUICE_E_NO_MEMORY, NULL, 0);
    } else {
        guarded->done.statuses = done;
        guarded->copy.commit = *request;
        guarded->copy.commit.entries = (const void *)guarded->entries;
        guarded->copy.commit.entry_count = guarded->allowed_count;
        if (guarded->allowed_count == 0) {
            committed(guarded, SLUICE_OK, NULL, 0);
            return;
        }
        guard->inner->offset_commit(guard->inner, context, &guarded->copy.commit, committed,
                                    guarded);
    }
}

static bool judge_committed(struct broker_guard *guard, const struct sluice_context *context,
                            const void *entry, int32_t operation)
{
    return may_topic(guard, context, operation,
                     &((const struct sluice_offset_fetch_entry *)entry)->topic);
}

static void offsets_fetched(void *arg, sluice_status status,
                            const struct sluice_offset_fetched *offsets, uint32_t count)
{
    struct guarded *guarded = arg;
    struct sluice_offset_fetched *all = (void *)guarded->results;
    const struct sluice_offset_fetch_entry *entries = guarded->request;
    if (status != SLUICE_OK) {
        guarded->done.offset_fetched(guarded->arg, status, NULL, 0);
        guarded_free(guarded);
        return;
    }
    take_results(guarded, offsets, count, sizeof(*all));
    for (uint32_t i = 0; i < guarded->count; i++) {
        if (guarded->denied[i]) {
            all[i] = (struct sluice_offset_fetched){.status = SLUICE_E_TOPIC_AUTHORIZATION,
                                                    .partition = entries[i].partition,
                                                    .topic = entries[i].topic.name,
                                                    .topic_id = entries[i].topic.id,
                                                    .offset = -1,
                                                    .leader_epoch = -1,
                                                    .metadata = {"", 0}};
        }
    }
    guarded->done.offset_fetched(guarded->arg, SLUICE_OK, all, guarded->count);
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
        struct policy_action action = broker_guard_action(&guarded->context, SLUICE_OP_DESCRIBE,
                                                          SLUICE_ACL_TOPIC, offsets[i].topic);
        if (policy_allows(guarded->guard->policy, &action)) {
            seen[seen_count++] = offsets[i];
        }
    }
    guarded->done.offset_fetched(guarded->arg, status, seen, seen_count);
    sl_free(seen);
    /* The texts of the context were copied into the places for entries and results. */
    guarded_free(guarded);
}

/* For what is judged when it is there: who asks is kept. NULL: no memory. */
static struct guarded *guarded_later(struct broker_guard *guard,
                                     const struct sluice_context *context, void *arg)
{
    size_t principal = (size_t)context->principal.size;
    size_t host = (size_t)context->client_host.size;
    struct guarded *guarded = guarded_new(guard, NULL, 0, principal + 1, host + 1, arg);
    if (guarded != NULL) {
        sl_bytes_copy(guarded->entries, sl_of_text(context->principal));
        sl_bytes_copy(guarded->results, sl_of_text(context->client_host));
        guarded->context = (struct sluice_context){
            .size = sizeof(guarded->context),
            .principal = {(const char *)guarded->entries, principal},
            .client_host = {(const char *)guarded->results, host},
        };
    }
    return guarded;
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
    struct broker_guard *guard = of(broker);
    struct guarded *guarded = NULL;
    if (!may_group(guard, context, SLUICE_OP_DESCRIBE, request->group)) {
        done(arg, SLUICE_E_GROUP_AUTHORIZATION, NULL, 0);
        return;
    }
    if (request->entries == NULL) {
        fetch_all(guard, context, request, done, arg);
        return;
    }
    enum verdict verdict = judge(guard, context, request->entries, request->entry_count,
                                 sizeof(*request->entries), sizeof(struct sluice_offset_fetched),
                                 judge_committed, SLUICE_OP_DESCRIBE, arg, &guarded);
    if (verdict == VERDICT_ALL) {
        guard->inner->offset_fetch(guard->inner, context, request, done, arg);
    } else if (verdict == VERDICT_NO_MEMORY) {
        done(arg, SLUICE_E_NO_MEMORY, NULL, 0);
    } else {
        guarded->done.offset_fetched = done;
        guarded->copy.fetch = *request;
        guarded->copy.fetch.entries = (const void *)guarded->entries;
        guarded->copy.fetch.entry_count = guarded->allowed_count;
        if (guarded->allowed_count == 0) {
            offsets_fetched(guarded, SLUICE_OK, NULL, 0);
            return;
        }
        guard->inner->offset_fetch(guard->inner, context, &guarded->copy.fetch, offsets_fetched,
                                   guarded);
    }
}

/* ---- groups as an administrator sees them ---- */

static void groups_listed(void *arg, sluice_status status,
                          const struct sluice_group_summary *groups, uint32_t count)
{
    struct guarded *guarded = arg;
    struct sluice_group_summary *seen = sl_alloc_zero(count + 1u, sizeof(*seen));
    uint32_t seen_count = 0;
    status = seen == NULL ? SLUICE_E_NO_MEMORY : status;
    for (uint32_t i = 0; status == SLUICE_OK && i < count; i++) {
        if (may_group(guarded->guard, &guarded->context, SLUICE_OP_DESCRIBE, groups[i].group)) {
            seen[seen_count++] = groups[i];
        }
    }
    guarded->done.groups(guarded->arg, status, seen, seen_count);
    sl_free(seen);
    guarded_free(guarded);
}

/* All, or those that the asker may describe. */
static void on_groups(const struct sluice_broker *broker, const struct sluice_context *context,
                      sluice_groups_done *done, void *arg)
{
    struct broker_guard *guard = of(broker);
    if (may_cluster(guard, context, SLUICE_OP_DESCRIBE)) {
        guard->inner->groups(guard->inner, context, done, arg);
        return;
    }
    struct guarded *guarded = guarded_later(guard, context, arg);
    if (guarded == NULL) {
        done(arg, SLUICE_E_NO_MEMORY, NULL, 0);
        return;
    }
    guarded->done.groups = done;
    guard->inner->groups(guard->inner, context, groups_listed, guarded);
}

static void on_group_describe(const struct sluice_broker *broker,
                              const struct sluice_context *context, struct sluice_text group,
                              sluice_group_info_done *done, void *arg)
{
    struct broker_guard *guard = of(broker);
    if (may_group(guard, context, SLUICE_OP_DESCRIBE, group)) {
        guard->inner->group_describe(guard->inner, context, group, done, arg);
        return;
    }
    const struct sluice_group_info refused = {
        .size = sizeof(refused), .status = SLUICE_E_GROUP_AUTHORIZATION, .group = group};
    done(arg, &refused);
}

static void on_group_delete(const struct sluice_broker *broker,
                            const struct sluice_context *context, struct sluice_text group,
                            sluice_status_done *done, void *arg)
{
    struct broker_guard *guard = of(broker);
    if (may_group(guard, context, SLUICE_OP_DELETE, group)) {
        guard->inner->group_delete(guard->inner, context, group, done, arg);
    } else {
        done(arg, SLUICE_E_GROUP_AUTHORIZATION);
    }
}

static void on_offset_delete(const struct sluice_broker *broker,
                             const struct sluice_context *context,
                             const struct sluice_offset_fetch *request, sluice_statuses_done *done,
                             void *arg)
{
    struct broker_guard *guard = of(broker);
    struct guarded *guarded = NULL;
    if (!may_group(guard, context, SLUICE_OP_DELETE, request->group)) {
        done(arg, SLUICE_E_GROUP_AUTHORIZATION, NULL, 0);
        return;
    }
    enum verdict verdict =
        judge(guard, context, request->entries, request->entry_count, sizeof(*request->entries),
              sizeof(sluice_status), judge_committed, SLUICE_OP_READ, arg, &guarded);
    if (verdict == VERDICT_ALL) {
        guard->inner->offset_delete(guard->inner, context, request, done, arg);
    } else if (verdict == VERDICT_NO_MEMORY) {
        done(arg, SLUICE_E_NO_MEMORY, NULL, 0);
    } else {
        guarded->done.statuses = done;
        guarded->copy.fetch = *request;
        guarded->copy.fetch.entries = (const void *)guarded->entries;
        guarded->copy.fetch.entry_count = guarded->allowed_count;
        if (guarded->allowed_count == 0) {
            committed(guarded, SLUICE_OK, NULL, 0);
            return;
        }
        guard->inner->offset_delete(guard->inner, context, &guarded->copy.fetch, committed,
                                    guarded);
    }
}

/* ---- the table ---- */

/* A call that is new in <sluice/broker.h> is decided about here: who may make it (a function beside
 * those above, by the one that resembles it most; cluster, metrics and health ask for nothing), a
 * row in the table below, and the call's name here. */
#define GUARDED_LAST offset_delete
_Static_assert(offsetof(struct sluice_broker, GUARDED_LAST) +
                       sizeof(((struct sluice_broker *)0)->GUARDED_LAST) ==
                   sizeof(struct sluice_broker),
               "broker_guard.c: a new call of the broker; decide who may make it");

void broker_guard_init(struct broker_guard *guard, struct broker_link *link, struct policy *policy)
{
    *guard = (struct broker_guard){
        .inner = &link->table, .home = link->home, .facts = link->facts, .policy = policy};
    guard->table = (struct sluice_broker){
        .size = sizeof(struct sluice_broker),
        .data = link, /* cluster, metrics and health are the link's: they ask for nothing */
        .cluster = link->table.cluster,
        .topics = on_topics,
        .topics_create = on_topics_create,
        .topics_delete = on_topics_delete,
        .configs_describe = on_configs_describe,
        .produce = on_produce,
        .fetch = on_fetch,
        .offsets = on_offsets,
        .producer_id = on_producer_id,
        .group_join = on_group_join,
        .group_sync = on_group_sync,
        .group_heartbeat = on_group_heartbeat,
        .group_leave = on_group_leave,
        .offset_commit = on_offset_commit,
        .offset_fetch = on_offset_fetch,
        .metrics = link->table.metrics,
        .health = link->table.health,
        .records_delete = on_records_delete,
        .configs_preview = on_configs_preview,
        .configs_alter = on_configs_alter,
        .partitions_create = on_partitions_create,
        .groups = on_groups,
        .group_describe = on_group_describe,
        .group_delete = on_group_delete,
        .offset_delete = on_offset_delete,
    };
    broker_guard_txn_init(&guard->table);
}

void broker_guard_fini(struct broker_guard *guard)
{
    guard->policy = policy_unref(guard->policy);
}

void broker_guard_set_policy(struct broker_guard *guard, struct policy *policy)
{
    policy_unref(guard->policy);
    guard->policy = policy;
}
