/* consumer_group_target.c: what a group reads, and who of it shall read what.
 *
 * Topics that a member names and that do not exist are left out; when they come, the topics have
 * another version, the group reads something else than before, and its epoch rises. A pattern is
 * resolved once for all members that use it on behalf of the same principal from the same host, to
 * the topics that he may describe (as in Kafka), and again when topics or rules changed. */
#include "base/hash.h"
#include "deliver/consumer_group.h"

#include <stdlib.h>

/* ---- patterns ---- */

static int compare_topics(const void *a, const void *b)
{
    const struct assignor_topic *x = a, *y = b;
    return memcmp(x->id.b, y->id.b, sizeof x->id.b);
}

static void pattern_free(struct consumer_pattern *pattern)
{
    topic_pattern_free(pattern->pattern);
    sl_free((void *)(uintptr_t)pattern->text.data);
    sl_free((void *)(uintptr_t)pattern->principal.data);
    sl_free((void *)(uintptr_t)pattern->host.data);
    sl_free(pattern->topics);
    sl_free(pattern);
}

/* "10.0.0.1:4711" and "[::1]:4711" without the port. */
static struct sl_bytes host_of(struct sl_bytes host)
{
    size_t colon = host.size;
    while (colon > 0 && host.data[colon - 1] != ':')
        colon--;
    host.size = colon > 0 ? colon - 1 : host.size;
    bool is_v6 = host.size >= 2 && host.data[0] == '[' && host.data[host.size - 1] == ']';
    return is_v6 ? sl_bytes_of(host.data + 1, host.size - 2) : host;
}

void consumer_pattern_drop(struct consumer_groups *groups, struct consumer_pattern *pattern)
{
    if (--pattern->users != 0)
        return;
    struct consumer_pattern **at = &groups->patterns;
    while (*at != pattern)
        at = &(*at)->next;
    *at = pattern->next;
    pattern_free(pattern);
}

static bool is_of(const struct consumer_pattern *pattern, struct sl_bytes text,
                  struct sl_bytes principal, struct sl_bytes host)
{
    return sl_bytes_equal(pattern->text, text) && sl_bytes_equal(pattern->principal, principal) &&
           sl_bytes_equal(pattern->host, host);
}

static sl_err pattern_take(struct consumer_groups *groups, struct sl_bytes text,
                           struct sl_bytes principal, struct sl_bytes host,
                           struct consumer_pattern **ret_pattern, const char **ret_reason)
{
    struct consumer_pattern *pattern = groups->patterns;
    while (pattern != NULL && !is_of(pattern, text, principal, host))
        pattern = pattern->next;
    if (pattern == NULL) {
        struct topic_pattern *program = NULL;
        sl_err err = topic_pattern_new(text, &program, ret_reason);
        if (err != SLUICE_OK)
            return err;
        pattern = sl_alloc_zero(1, sizeof *pattern);
        if (pattern == NULL) {
            topic_pattern_free(program);
            return SLUICE_E_NO_MEMORY;
        }
        pattern->pattern = program;
        if (group_bytes_set(&pattern->text, text) != SLUICE_OK ||
            group_bytes_set(&pattern->principal, principal) != SLUICE_OK ||
            group_bytes_set(&pattern->host, host) != SLUICE_OK) {
            pattern_free(pattern);
            return SLUICE_E_NO_MEMORY;
        }
        pattern->next = groups->patterns;
        groups->patterns = pattern;
    }
    pattern->users++;
    *ret_pattern = pattern;
    return SLUICE_OK;
}

sl_err consumer_pattern_set(struct consumer_groups *groups, struct consumer_member *member,
                            struct sl_bytes text, struct sl_bytes principal, bool *ret_changed,
                            const char **ret_reason)
{
    struct consumer_pattern *pattern = NULL;
    sl_err err = text.size == 0
                     ? SLUICE_OK
                     : pattern_take(groups, text, principal, host_of(member->base.client_host),
                                    &pattern, ret_reason);
    if (err != SLUICE_OK)
        return err;
    *ret_changed = *ret_changed || pattern != member->pattern;
    if (member->pattern != NULL)
        consumer_pattern_drop(groups, member->pattern);
    member->pattern = pattern;
    return SLUICE_OK;
}

struct resolving {
    struct consumer_pattern *pattern;
    const struct consumer_group_asks *asks;
};

static bool is_for(const struct resolving *resolving, struct sl_bytes topic)
{
    const struct consumer_pattern *pattern = resolving->pattern;
    const struct consumer_group_asks *asks = resolving->asks;
    return topic_pattern_matches(pattern->pattern, topic) &&
           (asks->may_describe == NULL ||
            asks->may_describe(asks->arg, pattern->principal, pattern->host, topic));
}

static void pattern_try(void *arg, const struct group_topic *topic)
{
    const struct resolving *resolving = arg;
    struct consumer_pattern *pattern = resolving->pattern;
    if (pattern->failed || !is_for(resolving, topic->name))
        return;
    if (pattern->topic_count == pattern->topic_capacity) {
        uint32_t capacity = SL_MAX(16u, pattern->topic_capacity * 2);
        void *grown = sl_realloc(pattern->topics, capacity * sizeof *pattern->topics);
        if (grown == NULL) {
            pattern->failed = true;
            return;
        }
        pattern->topics = grown;
        pattern->topic_capacity = capacity;
    }
    pattern->topics[pattern->topic_count++] =
        (struct assignor_topic){topic->id, topic->partition_count};
}

static sl_err pattern_resolve(struct consumer_groups *groups, struct consumer_pattern *pattern)
{
    uint64_t version = groups->base.topics.version(groups->base.topics.arg);
    if (pattern->resolved && pattern->version == version)
        return SLUICE_OK;
    pattern->topic_count = 0;
    pattern->failed = false;
    struct resolving resolving = {pattern, &groups->asks};
    groups->base.topics.each(groups->base.topics.arg, pattern_try, &resolving);
    pattern->resolved = !pattern->failed;
    pattern->version = version;
    if (pattern->topic_count > 1)
        qsort(pattern->topics, pattern->topic_count, sizeof *pattern->topics, compare_topics);
    return pattern->failed ? SLUICE_E_NO_MEMORY : SLUICE_OK;
}

bool consumer_member_reads(struct consumer_groups *groups, const struct consumer_member *member,
                           const struct sl_uuid *topic)
{
    const struct assignor_topic key = {.id = *topic};
    struct group_topic found;
    if (groups->base.topics.by_id(groups->base.topics.arg, topic, &found) &&
        name_list_has(&member->topics, found.name))
        return true;
    return member->pattern != NULL && pattern_resolve(groups, member->pattern) == SLUICE_OK &&
           member->pattern->topic_count != 0 &&
           bsearch(&key, member->pattern->topics, member->pattern->topic_count, sizeof key,
                   compare_topics) != NULL;
}

/* ---- what the group reads ---- */

struct reading {
    struct assignor_topic *topics; /* of all members, sorted by id; owned */
    uint32_t topic_count, topic_capacity;
    bool failed;
};

static void reading_add(struct reading *reading, const struct assignor_topic *topic)
{
    if (reading->topic_count == reading->topic_capacity) {
        uint32_t capacity = SL_MAX(16u, reading->topic_capacity * 2);
        void *grown = sl_realloc(reading->topics, capacity * sizeof *reading->topics);
        reading->failed = reading->failed || grown == NULL;
        if (grown == NULL)
            return;
        reading->topics = grown;
        reading->topic_capacity = capacity;
    }
    reading->topics[reading->topic_count++] = *topic;
}

static void reading_sort(struct reading *reading)
{
    uint32_t kept = 0;
    if (reading->topic_count < 2)
        return;
    qsort(reading->topics, reading->topic_count, sizeof *reading->topics, compare_topics);
    for (uint32_t i = 1; i < reading->topic_count; i++) {
        if (compare_topics(&reading->topics[kept], &reading->topics[i]) != 0)
            reading->topics[++kept] = reading->topics[i];
    }
    reading->topic_count = kept + 1;
}

static sl_err reading_add_member(struct consumer_groups *groups, struct reading *reading,
                                 const struct consumer_member *member)
{
    struct group_topic found;
    for (uint32_t i = 0; i < member->topics.count; i++) {
        if (groups->base.topics.by_name(groups->base.topics.arg, member->topics.names[i], &found))
            reading_add(reading, &(struct assignor_topic){found.id, found.partition_count});
    }
    sl_err err = member->pattern == NULL ? SLUICE_OK : pattern_resolve(groups, member->pattern);
    for (uint32_t i = 0;
         err == SLUICE_OK && member->pattern != NULL && i < member->pattern->topic_count; i++)
        reading_add(reading, &member->pattern->topics[i]);
    return reading->failed ? SLUICE_E_NO_MEMORY : err;
}

static bool same_subscription(const struct consumer_member *a, const struct consumer_member *b)
{
    if (a->pattern != b->pattern || a->topics.count != b->topics.count)
        return false;
    for (uint32_t i = 0; i < a->topics.count; i++) {
        if (!sl_bytes_equal(a->topics.names[i], b->topics.names[i]))
            return false;
    }
    return true;
}

/* Members that subscribe to the same as the one before add nothing. */
static sl_err reading_of_group(struct consumer_groups *groups, const struct consumer_group *group,
                               struct reading *reading)
{
    sl_err err = SLUICE_OK;
    for (const struct consumer_member *m = consumer_member_first(group);
         m != NULL && err == SLUICE_OK; m = consumer_member_next(m)) {
        if (m->base.previous == NULL || !same_subscription(consumer_member_of(m->base.previous), m))
            err = reading_add_member(groups, reading, m);
    }
    reading_sort(reading);
    return err;
}

static uint64_t reading_hash(const struct reading *reading)
{
    uint64_t hash = reading->topic_count;
    for (uint32_t i = 0; i < reading->topic_count; i++) {
        const struct assignor_topic *topic = &reading->topics[i];
        hash = sl_hash64_mix(hash ^ sl_hash64(topic->id.b, sizeof topic->id.b));
        hash = sl_hash64_mix(hash ^ topic->partition_count);
    }
    return hash;
}

sl_err consumer_group_look(struct consumer_groups *groups, struct consumer_group *group, bool force)
{
    uint64_t version = groups->base.topics.version(groups->base.topics.arg);
    struct reading reading = {0};
    if (group->was_looked_at && group->base.topics_version == version && !force)
        return SLUICE_OK;
    sl_err err = reading_of_group(groups, group, &reading);
    uint64_t hash = reading_hash(&reading);
    sl_free(reading.topics);
    if (err != SLUICE_OK)
        return err;
    if (force || hash != group->base.topics_hash) {
        group->base.topics_hash = hash;
        epoch_group_raise(&groups->base, &group->base);
    }
    group->base.topics_version = version;
    group->was_looked_at = true;
    return SLUICE_OK;
}

/* ---- the target ---- */

struct subscription {
    uint32_t *topics; /* indexes; owned */
    uint32_t count;
};

struct plan {
    struct reading reading;
    struct consumer_member **members; /* in the order of their ids; owned */
    struct assignor_member *inputs;   /* owned */
    struct subscription *subscriptions;
    uint32_t count;
};

static void plan_fini(struct plan *plan)
{
    for (uint32_t i = 0; i < plan->count; i++) {
        if (plan->inputs != NULL)
            partition_set_fini(&plan->inputs[i].target);
        if (plan->subscriptions != NULL)
            sl_free(plan->subscriptions[i].topics);
    }
    sl_free(plan->members);
    sl_free(plan->inputs);
    sl_free(plan->subscriptions);
    sl_free(plan->reading.topics);
}

static int compare_members(const void *a, const void *b)
{
    const struct consumer_member *x = *(struct consumer_member *const *)a;
    const struct consumer_member *y = *(struct consumer_member *const *)b;
    size_t common = SL_MIN(x->base.id.size, y->base.id.size);
    int order = common == 0 ? 0 : memcmp(x->base.id.data, y->base.id.data, common);
    return order != 0 ? order
                      : (x->base.id.size > y->base.id.size) - (x->base.id.size < y->base.id.size);
}

static sl_err subscribe(struct consumer_groups *groups, const struct plan *plan,
                        const struct consumer_member *member, struct subscription *ret_subscription)
{
    struct reading own = {0};
    sl_err err = reading_add_member(groups, &own, member);
    reading_sort(&own);
    uint32_t *topics = sl_alloc_zero(own.topic_count + 1u, sizeof *topics);
    if (err != SLUICE_OK || topics == NULL) {
        sl_free(topics);
        sl_free(own.topics);
        return SLUICE_E_NO_MEMORY;
    }
    uint32_t at = 0;
    for (uint32_t i = 0; i < own.topic_count; i++) {
        while (compare_topics(&plan->reading.topics[at], &own.topics[i]) < 0)
            at++;
        topics[i] = at;
    }
    *ret_subscription = (struct subscription){topics, own.topic_count};
    sl_free(own.topics);
    return SLUICE_OK;
}

static sl_err plan_init(struct consumer_groups *groups, const struct consumer_group *group,
                        struct plan *plan)
{
    sl_err err = reading_of_group(groups, group, &plan->reading);
    plan->members = sl_alloc_zero(group->base.member_count + 1u, sizeof(struct consumer_member *));
    plan->inputs = sl_alloc_zero(group->base.member_count + 1u, sizeof *plan->inputs);
    plan->subscriptions = sl_alloc_zero(group->base.member_count + 1u, sizeof *plan->subscriptions);
    if (err != SLUICE_OK || plan->members == NULL || plan->inputs == NULL ||
        plan->subscriptions == NULL)
        return SLUICE_E_NO_MEMORY;
    for (struct consumer_member *m = consumer_member_first(group); m != NULL;
         m = consumer_member_next(m))
        plan->members[plan->count++] = m;
    qsort(plan->members, plan->count, sizeof(struct consumer_member *), compare_members);
    for (uint32_t i = 0; i < plan->count && err == SLUICE_OK; i++) {
        err = subscribe(groups, plan, plan->members[i], &plan->subscriptions[i]);
        plan->inputs[i].topics = plan->subscriptions[i].topics;
        plan->inputs[i].topic_count = plan->subscriptions[i].count;
        plan->inputs[i].current = &plan->members[i]->target;
    }
    return err;
}

static void plan_keep(struct consumer_groups *groups, struct plan *plan)
{
    for (uint32_t i = 0; i < plan->count; i++) {
        struct consumer_member *member = plan->members[i];
        if (partition_set_equal(&member->target, &plan->inputs[i].target, false))
            continue;
        partition_set_take(&member->target, &plan->inputs[i].target);
        epoch_member_moved(&groups->base, &member->base);
    }
}

/* As most members want it; of two the one that comes first in the table. */
static const struct assignor *assignor_of(const struct consumer_groups *groups,
                                          const struct consumer_group *group)
{
    uint32_t best = groups->config.assignor, best_votes = 0;
    for (uint32_t a = 0; a < assignor_count; a++) {
        uint32_t votes = 0;
        for (const struct consumer_member *m = consumer_member_first(group); m != NULL;
             m = consumer_member_next(m))
            votes += assignor_get(m->assignor) == &assignors[a];
        if (votes > best_votes) {
            best = a;
            best_votes = votes;
        }
    }
    return &assignors[best];
}

const char *consumer_group_assignor(const struct consumer_groups *groups,
                                    const struct consumer_group *group)
{
    return assignor_of(groups, group)->name;
}

/* consumer.assignment.interval.ms: what comes meanwhile is assigned together, with a later
 * heartbeat. */
static bool is_too_soon(const struct consumer_groups *groups, const struct consumer_group *group)
{
    return group->was_assigned && groups->base.now_ms - group->assigned_ms <
                                      consumer_group_own_of(groups, group).assignment_interval_ms;
}

sl_err consumer_group_assign(struct consumer_groups *groups, struct consumer_group *group)
{
    struct plan plan = {0};
    if (group->base.epoch == group->base.assignment_epoch || is_too_soon(groups, group))
        return SLUICE_OK;
    sl_err err = plan_init(groups, group, &plan);
    if (err == SLUICE_OK) {
        const struct assignor_input input = {plan.reading.topics, plan.reading.topic_count,
                                             plan.inputs, plan.count};
        err = assignor_of(groups, group)->assign(&input);
    }
    if (err == SLUICE_OK) {
        plan_keep(groups, &plan);
        group->base.assignment_epoch = group->base.epoch;
        group->assigned_ms = groups->base.now_ms;
        group->was_assigned = true;
        epoch_group_mark(&groups->base, &group->base);
    }
    plan_fini(&plan);
    return err;
}
