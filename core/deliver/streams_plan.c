/* streams_plan.c: numbers of partitions for an application's own topics, as Kafka 4.3 decides them
 * (InternalTopicManager, RepartitionTopics, CopartitionedTopicsEnforcer, ChangelogTopics):
 *
 *   sources there? ─► repartition topics: as asked, else the most that their writers read
 *                  ─► copartitioned ones get one number ─► changelogs: the most that is read
 *                  ─► a task for each number up to the most that is read ─► what is missing
 *
 * A topic that is there keeps the number it has. Details are Kafka's sentences. */
#include "deliver/streams_plan.h"

#include "base/hash.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_SHOWN 3u /* of a list in a sentence, as Kafka shows */

/* A topic of the application's own. */
struct inner {
    struct sluice_text name;
    const struct sluice_streams_topic *asked;
    uint32_t count;    /* decided; 0: not yet */
    uint32_t existing; /* 0: it is not there */
    bool is_repartition;
    bool is_fixed; /* the application asked for a number */
};

struct work {
    const struct streams_topology *topology;
    const struct group_topics *topics;
    struct streams_plan *plan;
    struct inner *inners; /* sorted by name; in the arena */
    uint32_t inner_count;
    char *message;
};

static sl_err invalid(struct work *work, const char *sentence)
{
    snprintf(work->message, STREAMS_MESSAGE_BYTES, "%s", sentence);
    return SLUICE_E_STREAMS_TOPOLOGY;
}

/* Not what it should be, but that can change: the plan ends here. */
static void note(struct work *work, int32_t status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void note(struct work *work, int32_t status, const char *format, ...)
{
    va_list list;
    if (work->plan->status >= 0)
        return;
    work->plan->status = status;
    va_start(list, format);
    vsnprintf(work->plan->detail, STREAMS_MESSAGE_BYTES, format, list);
    va_end(list);
}

#define TEXT(text) (int)SL_MIN((text).size, (uint64_t)249), (text).data == NULL ? "" : (text).data

/* ---- topics ---- */

static uint32_t existing(const struct work *work, struct sluice_text name)
{
    struct group_topic topic;
    return work->topics->by_name(work->topics->arg, sl_of_text(name), &topic)
               ? topic.partition_count
               : 0;
}

static int compare_inners(const void *a, const void *b)
{
    return streams_text_compare(((const struct inner *)a)->name, ((const struct inner *)b)->name);
}

static struct inner *inner_find(const struct work *work, struct sluice_text name)
{
    struct inner wanted = {.name = name};
    return work->inner_count == 0
               ? NULL
               : bsearch(&wanted, work->inners, work->inner_count, sizeof wanted, compare_inners);
}

/* Of a topic that a subtopology names as its own. */
static struct inner *inner_get(const struct work *work, struct sluice_text name)
{
    struct inner *inner = inner_find(work, name);
    SL_ASSERT(inner != NULL);
    return inner;
}

/* 0: not known (yet). */
static uint32_t partitions_of(const struct work *work, struct sluice_text name)
{
    const struct inner *inner = inner_find(work, name);
    if (inner == NULL)
        return existing(work, name);
    return inner->existing != 0 ? inner->existing : inner->count;
}

static bool reads(const struct sluice_streams_subtopology *sub, struct sluice_text name)
{
    for (uint32_t i = 0; i < sub->source_count; i++) {
        if (streams_text_equal(sub->sources[i], name))
            return true;
    }
    return false;
}

static void inner_add(struct work *work, const struct sluice_streams_topic *topic,
                      bool is_repartition)
{
    bool is_fixed = is_repartition && topic->partition_count > 0;
    work->inners[work->inner_count++] =
        (struct inner){.name = topic->name,
                       .asked = topic,
                       .existing = existing(work, topic->name),
                       .count = is_fixed ? (uint32_t)topic->partition_count : 0,
                       .is_repartition = is_repartition,
                       .is_fixed = is_fixed};
}

static sl_err inners_collect(struct work *work)
{
    const struct sluice_streams_topology *view = &work->topology->view;
    uint32_t count = 0, kept = 0;
    for (uint32_t i = 0; i < view->subtopology_count; i++)
        count += view->subtopologies[i].changelog_count + view->subtopologies[i].repartition_count;
    work->inners = answer_arena_take(&work->plan->arena, count, sizeof *work->inners);
    if (work->inners == NULL)
        return SLUICE_E_NO_MEMORY;
    for (uint32_t i = 0; i < view->subtopology_count; i++) {
        const struct sluice_streams_subtopology *sub = &view->subtopologies[i];
        for (uint32_t t = 0; t < sub->repartition_count; t++)
            inner_add(work, &sub->repartitions[t], true);
        for (uint32_t t = 0; t < sub->changelog_count; t++) {
            if (!reads(sub, sub->changelogs[t].name)) /* else the source is its own log */
                inner_add(work, &sub->changelogs[t], false);
        }
    }
    qsort(work->inners, work->inner_count, sizeof *work->inners, compare_inners);
    for (uint32_t i = 1; i < work->inner_count; i++) {
        if (compare_inners(&work->inners[kept], &work->inners[i]) != 0)
            work->inners[++kept] = work->inners[i];
    }
    work->inner_count = work->inner_count == 0 ? 0 : kept + 1;
    return SLUICE_OK;
}

/* ---- lists in sentences ---- */

struct names {
    char text[STREAMS_MESSAGE_BYTES];
    size_t size;
    uint32_t count;
};

static void names_add(struct names *names, struct sluice_text name)
{
    if (names->count++ >= NAMES_SHOWN)
        return;
    int made = snprintf(names->text + names->size, sizeof names->text - names->size, "%s%.*s",
                        names->count > 1 ? ", " : "", TEXT(name));
    names->size = SL_MIN(names->size + (size_t)SL_MAX(made, 0), sizeof names->text - 1);
}

static void names_end(struct names *names)
{
    if (names->count > NAMES_SHOWN)
        snprintf(names->text + names->size, sizeof names->text - names->size,
                 " and %u additional topics", names->count - NAMES_SHOWN);
}

static int compare_texts(const void *a, const void *b)
{
    return streams_text_compare(*(const struct sluice_text *)a, *(const struct sluice_text *)b);
}

static sl_err check_sources(struct work *work)
{
    const struct sluice_streams_topology *view = &work->topology->view;
    uint32_t count = 0, missing_count = 0;
    for (uint32_t i = 0; i < view->subtopology_count; i++)
        count += view->subtopologies[i].source_count;
    struct sluice_text *missing = sl_alloc_zero(count + 1u, sizeof *missing);
    if (missing == NULL)
        return SLUICE_E_NO_MEMORY;
    for (uint32_t i = 0; i < view->subtopology_count; i++) {
        const struct sluice_streams_subtopology *sub = &view->subtopologies[i];
        for (uint32_t s = 0; s < sub->source_count; s++) {
            if (existing(work, sub->sources[s]) == 0)
                missing[missing_count++] = sub->sources[s];
        }
    }
    struct names names = {0};
    qsort(missing, missing_count, sizeof *missing, compare_texts);
    for (uint32_t i = 0; i < missing_count; i++) {
        if (i == 0 || !streams_text_equal(missing[i - 1], missing[i]))
            names_add(&names, missing[i]);
    }
    names_end(&names);
    if (missing_count != 0)
        note(work, SLUICE_STREAMS_MISSING_SOURCE, "Source topics %s are missing.", names.text);
    sl_free(missing);
    return SLUICE_OK;
}

/* ---- numbers ---- */

/* The most that the subtopology reads, as far as it is known. */
static uint32_t most_read(const struct work *work, const struct sluice_streams_subtopology *sub)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < sub->source_count; i++)
        most = SL_MAX(most, partitions_of(work, sub->sources[i]));
    for (uint32_t i = 0; i < sub->repartition_count; i++)
        most = SL_MAX(most, partitions_of(work, sub->repartitions[i].name));
    return most;
}

/* Counts of what the subtopology writes to; *ret_waits: something it reads is not known. */
static bool decide_sinks(struct work *work, const struct sluice_streams_subtopology *sub,
                         bool *ret_waits)
{
    bool progress = false;
    for (uint32_t i = 0; i < sub->sink_count; i++) {
        struct inner *sink = inner_find(work, sub->sinks[i]);
        if (sink == NULL || sink->count != 0)
            continue;
        sink->count = most_read(work, sub);
        progress = progress || sink->count != 0;
        *ret_waits = *ret_waits || sink->count == 0;
    }
    return progress;
}

static sl_err decide_repartitions(struct work *work)
{
    const struct sluice_streams_topology *view = &work->topology->view;
    bool progress = true, waits = true;
    while (waits && progress) {
        progress = waits = false;
        for (uint32_t i = 0; i < view->subtopology_count; i++)
            progress |= decide_sinks(work, &view->subtopologies[i], &waits);
    }
    if (waits)
        return invalid(work, "Failed to compute number of partitions for all repartition topics. "
                             "There may be loops in the topology that cannot be resolved.");
    for (uint32_t i = 0; i < work->inner_count; i++) {
        if (work->inners[i].is_repartition && work->inners[i].count == 0)
            return invalid(work, "Failed to compute number of partitions for all repartition "
                                 "topics, because a repartition source topic is never used as a "
                                 "sink topic.");
    }
    return SLUICE_OK;
}

/* Name and number of each, as a Java map shows itself. */
static void note_uneven(struct work *work, const struct sluice_streams_subtopology *sub,
                        const struct sluice_streams_copartition *group, bool fixed_only)
{
    char text[STREAMS_MESSAGE_BYTES] = "";
    size_t size = 0;
    uint32_t count = fixed_only ? group->repartition_count : group->source_count;
    struct sluice_text *names = sl_alloc_zero(count + 1u, sizeof *names);
    for (uint32_t i = 0; i < count && names != NULL; i++)
        names[i] = fixed_only ? sub->repartitions[group->repartitions[i]].name
                              : sub->sources[group->sources[i]];
    if (names != NULL)
        qsort(names, count, sizeof *names, compare_texts);
    for (uint32_t i = 0; i < count && names != NULL; i++) {
        int made = snprintf(text + size, sizeof text - size, "%s%.*s=%u", i == 0 ? "" : ", ",
                            TEXT(names[i]), partitions_of(work, names[i]));
        size = SL_MIN(size + (size_t)SL_MAX(made, 0), sizeof text - 1);
    }
    sl_free(names);
    note(work, SLUICE_STREAMS_WRONG_PARTITIONS,
         "Following topics do not have the same number of partitions: [{%.500s}]", text);
}

/* The number that the group's topics must have; 0: they differ. */
static uint32_t number_of(struct work *work, const struct sluice_streams_subtopology *sub,
                          const struct sluice_streams_copartition *group)
{
    uint32_t fixed = 0, most = 0, same = 0;
    for (uint32_t i = 0; i < group->source_count; i++) {
        uint32_t count = partitions_of(work, sub->sources[group->sources[i]]);
        if (same != 0 && same != count) {
            note_uneven(work, sub, group, false);
            return 0;
        }
        same = count;
    }
    for (uint32_t i = 0; i < group->repartition_count && group->source_count == 0; i++) {
        const struct inner *inner = inner_get(work, sub->repartitions[group->repartitions[i]].name);
        uint32_t count = partitions_of(work, inner->name);
        if (inner->is_fixed && fixed != 0 && fixed != count) {
            note_uneven(work, sub, group, true);
            return 0;
        }
        fixed = inner->is_fixed ? count : fixed;
        most = SL_MAX(most, count);
    }
    return group->source_count != 0 ? same : fixed != 0 ? fixed : most;
}

static void copartition(struct work *work, const struct sluice_streams_subtopology *sub,
                        const struct sluice_streams_copartition *group)
{
    uint32_t number = number_of(work, sub, group);
    for (uint32_t i = 0; i < group->repartition_count && number != 0; i++) {
        struct inner *inner = inner_get(work, sub->repartitions[group->repartitions[i]].name);
        uint32_t count = partitions_of(work, inner->name);
        if (!inner->is_fixed)
            inner->count = number;
        else if (count != number)
            note(work, SLUICE_STREAMS_WRONG_PARTITIONS,
                 "Number of partitions [%u] of repartition topic [%.*s] doesn't match number of "
                 "partitions [%u] of the source topic.",
                 count, TEXT(inner->name), number);
    }
}

static void decide_changelogs(struct work *work)
{
    const struct sluice_streams_topology *view = &work->topology->view;
    for (uint32_t i = 0; i < view->subtopology_count; i++) {
        const struct sluice_streams_subtopology *sub = &view->subtopologies[i];
        uint32_t most = most_read(work, sub);
        for (uint32_t t = 0; t < sub->changelog_count; t++) {
            struct inner *inner = inner_find(work, sub->changelogs[t].name);
            if (inner != NULL && !inner->is_repartition)
                inner->count = most;
        }
    }
}

/* ---- results ---- */

static sl_err count_tasks(struct work *work)
{
    const struct sluice_streams_topology *view = &work->topology->view;
    struct streams_plan *plan = work->plan;
    uint32_t *counts = answer_arena_take(&plan->arena, view->subtopology_count, sizeof *counts);
    if (counts == NULL)
        return SLUICE_E_NO_MEMORY;
    for (uint32_t i = 0; i < view->subtopology_count; i++) {
        counts[i] = most_read(work, &view->subtopologies[i]);
        if (counts[i] == 0)
            return invalid(work, "Subtopology does not contain any source topics");
        if (counts[i] > STREAMS_TASKS_MAX - plan->task_count)
            return SLUICE_E_LIMIT;
        plan->task_count += counts[i];
    }
    plan->task_counts = counts;
    return SLUICE_OK;
}

static sl_err find_missing(struct work *work)
{
    struct streams_plan *plan = work->plan;
    struct names names = {0};
    struct sluice_streams_topic *missing =
        answer_arena_take(&plan->arena, work->inner_count, sizeof *missing);
    sl_err err = missing == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    for (uint32_t i = 0; i < work->inner_count && err == SLUICE_OK; i++) {
        const struct inner *inner = &work->inners[i];
        if (inner->existing != 0 && inner->existing != inner->count)
            note(work, SLUICE_STREAMS_WRONG_PARTITIONS,
                 "Existing topic %.*s has different number of partitions: expected %u, found %u",
                 TEXT(inner->name), inner->count, inner->existing);
        if (inner->existing != 0)
            continue;
        err = streams_topic_copy(&plan->arena, inner->asked, &missing[plan->missing_count]);
        missing[plan->missing_count++].partition_count = (int32_t)inner->count;
        names_add(&names, inner->name);
    }
    names_end(&names);
    plan->missing = missing;
    if (plan->status >= 0)
        plan->missing_count = 0;
    else if (plan->missing_count != 0)
        note(work, SLUICE_STREAMS_MISSING_INTERNAL, "Internal topics are missing: %s", names.text);
    return err;
}

/* The topology as it is shown: with numbers that were decided. */
static sl_err show(struct work *work)
{
    struct streams_plan *plan = work->plan;
    sl_err err = streams_topology_copy(&plan->arena, &work->topology->view, &plan->view);
    for (uint32_t i = 0; i < plan->view.subtopology_count && err == SLUICE_OK; i++) {
        const struct sluice_streams_subtopology *sub = &plan->view.subtopologies[i];
        struct {
            struct sluice_streams_topic *topics;
            uint32_t count;
        } lists[] = {
            {(struct sluice_streams_topic *)(uintptr_t)sub->changelogs, sub->changelog_count},
            {(struct sluice_streams_topic *)(uintptr_t)sub->repartitions, sub->repartition_count}};
        for (uint32_t l = 0; l < SL_COUNT_OF(lists); l++) {
            for (uint32_t t = 0; t < lists[l].count; t++)
                lists[l].topics[t].partition_count =
                    (int32_t)partitions_of(work, lists[l].topics[t].name);
        }
    }
    return err;
}

static sl_err decide(struct work *work)
{
    const struct sluice_streams_topology *view = &work->topology->view;
    sl_err err = decide_repartitions(work);
    for (uint32_t i = 0; i < view->subtopology_count && err == SLUICE_OK; i++) {
        const struct sluice_streams_subtopology *sub = &view->subtopologies[i];
        for (uint32_t g = 0; g < sub->copartition_count; g++)
            copartition(work, sub, &sub->copartitions[g]);
    }
    if (err != SLUICE_OK || work->plan->status >= 0)
        return err;
    decide_changelogs(work);
    err = find_missing(work);
    if (err != SLUICE_OK || work->plan->status == SLUICE_STREAMS_WRONG_PARTITIONS)
        return err;
    err = count_tasks(work);
    return err != SLUICE_OK ? err : show(work);
}

sl_err streams_plan_new(const struct streams_topology *topology, const struct group_topics *topics,
                        char ret_message[STREAMS_MESSAGE_BYTES], struct streams_plan **ret_plan)
{
    struct work work = {.topology = topology, .topics = topics, .message = ret_message};
    work.plan = sl_alloc_zero(1, sizeof *work.plan);
    if (work.plan == NULL)
        return SLUICE_E_NO_MEMORY;
    work.plan->status = -1;
    sl_err err = inners_collect(&work);
    err = err != SLUICE_OK ? err : check_sources(&work);
    if (err == SLUICE_OK && work.plan->status < 0)
        err = decide(&work);
    if (err != SLUICE_OK) {
        streams_plan_free(work.plan);
        return err;
    }
    *ret_plan = work.plan;
    return SLUICE_OK;
}

struct streams_plan *streams_plan_free(struct streams_plan *plan)
{
    if (plan != NULL)
        answer_arena_fini(&plan->arena);
    sl_free(plan);
    return NULL;
}

/* ---- whether the topics changed ---- */

static uint64_t hash_topic(const struct group_topics *topics, struct sluice_text name,
                           uint64_t hash)
{
    struct group_topic topic;
    if (!topics->by_name(topics->arg, sl_of_text(name), &topic))
        return hash;
    uint64_t own = sl_hash64(topic.id.b, sizeof topic.id.b) ^ sl_hash64_mix(topic.partition_count);
    return sl_hash64_mix(hash ^ own);
}

uint64_t streams_topics_hash(const struct streams_topology *topology,
                             const struct group_topics *topics)
{
    uint64_t hash = 1; /* 0 is what a group has that never looked */
    for (uint32_t i = 0; i < topology->view.subtopology_count; i++) {
        const struct sluice_streams_subtopology *sub = &topology->view.subtopologies[i];
        for (uint32_t t = 0; t < sub->source_count; t++)
            hash = hash_topic(topics, sub->sources[t], hash);
        for (uint32_t t = 0; t < sub->repartition_count; t++)
            hash = hash_topic(topics, sub->repartitions[t].name, hash);
        for (uint32_t t = 0; t < sub->changelog_count; t++)
            hash = hash_topic(topics, sub->changelogs[t].name, hash);
    }
    return hash;
}
