/* broker_guard_judge.c: see broker_guard_judge.h. */
#include "intake/broker_guard_judge.h"

#include "base/bytes.h"
#include "shard/topics.h"

#include <string.h>

/* ---- what is asked often ---- */

struct broker_guard *broker_guard_of(const struct sluice_broker *broker)
{
    return SL_CONTAINER_OF(broker, struct broker_guard, table);
}

bool broker_guard_may_cluster(struct broker_guard *guard, const struct sluice_context *context,
                              int32_t operation)
{
    return broker_guard_allows(guard, context, operation, SLUICE_ACL_CLUSTER,
                               sluice_text_of(SLUICE_CLUSTER_NAME));
}

bool broker_guard_may_group(struct broker_guard *guard, const struct sluice_context *context,
                            int32_t operation, struct sluice_text group)
{
    return broker_guard_allows(guard, context, operation, SLUICE_ACL_GROUP, group);
}

bool broker_guard_may_topic(struct broker_guard *guard, const struct sluice_context *context,
                            const void *named, int32_t operation)
{
    const struct sluice_topic_ref *ref = named;
    struct sluice_text name = ref->name;
    if (name.size == 0) {
        sluice_status status = SLUICE_OK;
        const struct topic *topic = shard_find_topic(guard->home, ref, &status);
        if (topic == NULL && status != SLUICE_E_UNKNOWN_TOPIC) {
            return true; /* of an id that nobody knows */
        }
        name = topic != NULL ? text_of_sl(topic->name) : name;
    }
    return broker_guard_allows(guard, context, operation, SLUICE_ACL_TOPIC, name);
}

bool broker_guard_may_topic_name(struct broker_guard *guard, const struct sluice_context *context,
                                 const void *named, int32_t operation)
{
    const struct sluice_text *name = named;
    return broker_guard_allows(guard, context, operation, SLUICE_ACL_TOPIC, *name);
}

bool broker_guard_knows(struct broker_guard *guard, const struct sluice_context *context,
                        int32_t operation, int32_t resource, struct sluice_text name)
{
    struct policy_action action = broker_guard_action(context, operation, resource, name);
    return policy_allows(guard->policy, &action);
}

/* ---- calls on several things ---- */

void guarded_free(struct guarded *guarded)
{
    if (guarded != NULL) {
        sl_free(guarded->places);
        sl_free(guarded->denied);
        sl_free(guarded->entries);
        sl_free(guarded->results);
        sl_free(guarded);
    }
}

static struct guarded *guarded_new(struct broker_guard *guard, uint32_t count, size_t entry_size,
                                   size_t result_size, void *arg)
{
    struct guarded *guarded = sl_alloc_zero(1, sizeof(*guarded));
    if (guarded == NULL) {
        return NULL;
    }
    guarded->guard = guard;
    guarded->count = count;
    guarded->arg = arg;
    guarded->places = sl_alloc_zero(count + 1u, sizeof(*guarded->places));
    guarded->denied = sl_alloc_zero(count + 1u, sizeof(*guarded->denied));
    guarded->entries = sl_alloc_zero(count + 1u, entry_size);
    guarded->results = sl_alloc_zero(count + 1u, result_size);
    if (guarded->places == NULL || guarded->denied == NULL || guarded->entries == NULL ||
        guarded->results == NULL) {
        guarded_free(guarded);
        return NULL;
    }
    return guarded;
}

static void take_allowed(struct guarded *guarded, uint32_t place, const uint8_t *entry)
{
    size_t size = guarded->kind->entry_size;
    memcpy((uint8_t *)guarded->entries + guarded->allowed_count * size, entry, size);
    guarded->places[guarded->allowed_count++] = place;
}

/* The first refusal: those before it are allowed. */
static struct guarded *begin(struct broker_guard *guard, const struct guard_kind *kind,
                             const uint8_t *entries, uint32_t count, uint32_t before, void *arg)
{
    struct guarded *guarded = guarded_new(guard, count, kind->entry_size, kind->result_size, arg);
    if (guarded == NULL) {
        return NULL;
    }
    guarded->kind = kind;
    guarded->request = entries;
    for (uint32_t i = 0; i < before; i++) {
        take_allowed(guarded, i, entries + i * kind->entry_size);
    }
    return guarded;
}

enum guard_verdict guarded_judge(struct broker_guard *guard, const struct sluice_context *context,
                                 const struct guard_kind *kind, const void *entries, uint32_t count,
                                 void *arg, struct guarded **ret_guarded)
{
    struct guarded *guarded = NULL;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *entry = (const uint8_t *)entries + i * kind->entry_size;
        bool allowed = kind->may(guard, context, entry + kind->named, kind->operation);
        if (!allowed && guarded == NULL) {
            guarded = begin(guard, kind, entries, count, i, arg);
            if (guarded == NULL) {
                return GUARD_NO_MEMORY;
            }
        }
        if (guarded != NULL) {
            guarded->denied[i] = !allowed;
            if (allowed) {
                take_allowed(guarded, i, entry);
            }
        }
    }
    *ret_guarded = guarded;
    if (guarded == NULL) {
        return GUARD_ALL;
    }
    return guarded->allowed_count == 0 ? GUARD_NONE : GUARD_SOME;
}

struct guarded *guarded_later(struct broker_guard *guard, const struct sluice_context *context,
                              void *arg)
{
    size_t principal = (size_t)context->principal.size;
    size_t host = (size_t)context->client_host.size;
    struct guarded *guarded = guarded_new(guard, 0, principal + 1, host + 1, arg);
    if (guarded != NULL) {
        sl_bytes_copy(guarded->entries, sl_of_text(context->principal));
        sl_bytes_copy(guarded->results, sl_of_text(context->client_host));
        guarded->context = (struct sluice_context){
            .size = sizeof(guarded->context),
            .principal = {guarded->entries, principal},
            .client_host = {guarded->results, host},
        };
    }
    return guarded;
}

void guarded_merge(struct guarded *guarded, const void *results, uint32_t count)
{
    const struct guard_kind *kind = guarded->kind;
    uint8_t *to = guarded->results;
    for (uint32_t i = 0; i < SL_MIN(count, guarded->allowed_count); i++) {
        memcpy(to + guarded->places[i] * kind->result_size,
               (const uint8_t *)results + i * kind->result_size, kind->result_size);
    }
    for (uint32_t i = 0; i < guarded->count; i++) {
        if (guarded->denied[i]) {
            kind->refuse(to + i * kind->result_size,
                         (const uint8_t *)guarded->request + i * kind->entry_size);
        }
    }
}

uint32_t guarded_merge_all(struct guarded *guarded, const void *results, uint32_t count)
{
    if (count < guarded->allowed_count) {
        return 0;
    }
    guarded_merge(guarded, results, count);
    return guarded->count;
}

static void changed(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    struct guarded *guarded = arg;
    uint32_t all = guarded_merge_all(guarded, results, count);
    guarded->done.topic_results(guarded->arg, guarded->results, all);
    guarded_free(guarded);
}

bool guard_change_judge(struct broker_guard *guard, const struct sluice_context *context,
                        const struct guard_kind *kind, struct guard_change *change)
{
    struct guarded *guarded = NULL;
    enum guard_verdict verdict =
        guarded_judge(guard, context, kind, change->entries, change->count, change->arg, &guarded);
    if (verdict == GUARD_ALL) {
        return true;
    }
    if (verdict == GUARD_NO_MEMORY) {
        change->done(change->arg, NULL, 0);
        return false;
    }
    guarded->done.topic_results = change->done;
    if (verdict == GUARD_NONE) {
        changed(guarded, NULL, 0);
        return false;
    }
    *change = (struct guard_change){guarded->entries, guarded->allowed_count, changed, guarded};
    return true;
}
