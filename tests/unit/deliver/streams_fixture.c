/* streams_fixture.c: see streams_fixture.h. */
#include "streams_fixture.h"

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 32

/* ---- topics ---- */

static uint64_t version(void *arg)
{
    return ((const struct streams_fixture *)arg)->version;
}

static void show(const struct streams_fixture *fixture, uint32_t at, struct group_topic *ret_topic)
{
    *ret_topic = (struct group_topic){.id = {{(uint8_t)(at + 1), fixture->topics[at].generation}},
                                      .name = sl_bytes_of_text(fixture->topics[at].name),
                                      .partition_count = fixture->topics[at].partition_count};
}

static bool by_name(void *arg, struct sl_bytes name, struct group_topic *ret_topic)
{
    const struct streams_fixture *fixture = arg;
    for (uint32_t i = 0; i < fixture->topic_count; i++) {
        if (fixture->topics[i].partition_count != 0 &&
            sl_bytes_equal(sl_bytes_of_text(fixture->topics[i].name), name)) {
            show(fixture, i, ret_topic);
            return true;
        }
    }
    return false;
}

static bool by_id(void *arg, const struct sl_uuid *id, struct group_topic *ret_topic)
{
    const struct streams_fixture *fixture = arg;
    uint32_t at = id->b[0] - 1u;
    bool is_there = at < fixture->topic_count && fixture->topics[at].partition_count != 0;
    if (is_there)
        show(fixture, at, ret_topic);
    return is_there;
}

static void each(void *arg, void (*visit)(void *visit_arg, const struct group_topic *topic),
                 void *visit_arg)
{
    const struct streams_fixture *fixture = arg;
    for (uint32_t i = 0; i < fixture->topic_count; i++) {
        struct group_topic topic;
        show(fixture, i, &topic);
        if (topic.partition_count != 0)
            visit(visit_arg, &topic);
    }
}

void streams_fixture_init(struct streams_fixture *fixture)
{
    *fixture = (struct streams_fixture){.version = 1};
    fixture->source = (struct group_topics){version, by_name, by_id, each, fixture};
}

void streams_fixture_fini(struct streams_fixture *fixture)
{
    answer_arena_fini(&fixture->arena);
}

void streams_fixture_topic(struct streams_fixture *fixture, const char *name, uint32_t partitions)
{
    uint32_t at = 0;
    while (at < fixture->topic_count && strcmp(fixture->topics[at].name, name) != 0)
        at++;
    cr_assert_lt(at, STREAMS_FIXTURE_TOPICS);
    fixture->topic_count = SL_MAX(fixture->topic_count, at + 1);
    snprintf(fixture->topics[at].name, sizeof fixture->topics[at].name, "%s", name);
    if (partitions == 0)
        fixture->topics[at].generation++;
    fixture->topics[at].partition_count = partitions;
    fixture->version++;
}

/* ---- applications ---- */

static struct sluice_text keep(struct streams_fixture *fixture, const char *name)
{
    struct sluice_text text;
    cr_assert_eq(answer_arena_text(&fixture->arena, sl_bytes_of_text(name), &text), SLUICE_OK);
    return text;
}

static void *take(struct streams_fixture *fixture, uint32_t count, size_t size)
{
    void *memory = answer_arena_take(&fixture->arena, count, size);
    cr_assert_not_null(memory);
    return memory;
}

/* "a,b=6": names and what follows the equals sign, 0 else. */
static uint32_t split(struct streams_fixture *fixture, char *word,
                      struct sluice_streams_topic topics[NAMES_MAX])
{
    uint32_t count = 0;
    char *rest = NULL;
    for (char *name = strtok_r(word, ",", &rest); name != NULL; name = strtok_r(NULL, ",", &rest)) {
        char *number = strchr(name, '=');
        cr_assert_lt(count, NAMES_MAX);
        if (number != NULL)
            *number++ = '\0';
        topics[count++] = (struct sluice_streams_topic){
            .name = keep(fixture, name), .partition_count = number == NULL ? 0 : atoi(number)};
    }
    return count;
}

static void set_topics(struct streams_fixture *fixture, char *word,
                       const struct sluice_streams_topic **ret_topics, uint32_t *ret_count)
{
    struct sluice_streams_topic topics[NAMES_MAX];
    *ret_count = split(fixture, word, topics);
    struct sluice_streams_topic *kept = take(fixture, *ret_count, sizeof *kept);
    memcpy(kept, topics, *ret_count * sizeof *kept);
    *ret_topics = kept;
}

static void set_texts(struct streams_fixture *fixture, char *word,
                      const struct sluice_text **ret_texts, uint32_t *ret_count)
{
    struct sluice_streams_topic topics[NAMES_MAX];
    *ret_count = split(fixture, word, topics);
    struct sluice_text *kept = take(fixture, *ret_count, sizeof *kept);
    for (uint32_t i = 0; i < *ret_count; i++)
        kept[i] = topics[i].name;
    *ret_texts = kept;
}

static void add_copartition(struct streams_fixture *fixture, char *word,
                            struct sluice_streams_subtopology *sub)
{
    struct sluice_streams_topic topics[NAMES_MAX];
    uint32_t count = split(fixture, word, topics);
    int16_t *sources = take(fixture, count, sizeof *sources);
    int16_t *repartitions = take(fixture, count, sizeof *repartitions);
    struct sluice_streams_copartition *groups =
        (struct sluice_streams_copartition *)(uintptr_t)sub->copartitions;
    if (groups == NULL)
        groups = take(fixture, NAMES_MAX, sizeof *groups);
    cr_assert_lt(sub->copartition_count, NAMES_MAX);
    struct sluice_streams_copartition *group = &groups[sub->copartition_count++];
    *group = (struct sluice_streams_copartition){.sources = sources, .repartitions = repartitions};
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t s = 0; s < sub->source_count; s++) {
            if (streams_text_equal(sub->sources[s], topics[i].name))
                sources[group->source_count++] = (int16_t)s;
        }
        for (uint32_t r = 0; r < sub->repartition_count; r++) {
            if (streams_text_equal(sub->repartitions[r].name, topics[i].name))
                repartitions[group->repartition_count++] = (int16_t)r;
        }
    }
    cr_assert_eq(group->source_count + group->repartition_count, count);
    sub->copartitions = groups;
}

static void parse_line(struct streams_fixture *fixture, const char *line,
                       struct sluice_streams_subtopology *sub)
{
    char text[1024];
    char *rest = NULL;
    snprintf(text, sizeof text, "%s", line);
    *sub = (struct sluice_streams_subtopology){.id = keep(fixture, strtok_r(text, " ", &rest))};
    for (char *what = strtok_r(NULL, " ", &rest); what != NULL; what = strtok_r(NULL, " ", &rest)) {
        char *names = strtok_r(NULL, " ", &rest);
        cr_assert_not_null(names, "\"%s\" of what?", what);
        if (strcmp(what, "reads") == 0)
            set_texts(fixture, names, &sub->sources, &sub->source_count);
        else if (strcmp(what, "writes") == 0)
            set_texts(fixture, names, &sub->sinks, &sub->sink_count);
        else if (strcmp(what, "keeps") == 0)
            set_topics(fixture, names, &sub->repartitions, &sub->repartition_count);
        else if (strcmp(what, "logs") == 0)
            set_topics(fixture, names, &sub->changelogs, &sub->changelog_count);
        else if (strcmp(what, "with") == 0)
            add_copartition(fixture, names, sub);
        else
            cr_assert_fail("\"%s\" is no word of applications in short", what);
    }
}

const struct sluice_streams_topology *streams_fixture_parse(struct streams_fixture *fixture,
                                                            const char *const *lines)
{
    uint32_t count = 0;
    while (lines[count] != NULL)
        count++;
    struct sluice_streams_topology *topology = take(fixture, 1, sizeof *topology);
    struct sluice_streams_subtopology *subs = take(fixture, count, sizeof *subs);
    for (uint32_t i = 0; i < count; i++)
        parse_line(fixture, lines[i], &subs[i]);
    *topology = (struct sluice_streams_topology){
        .epoch = 1, .subtopology_count = count, .subtopologies = subs};
    return topology;
}

struct streams_topology *streams_fixture_topology(struct streams_fixture *fixture,
                                                  const char *const *lines)
{
    struct sl_buffer bytes;
    struct streams_topology *topology = NULL;
    sl_buffer_init(&bytes, STREAMS_TOPOLOGY_BYTES_MAX);
    cr_assert_eq(streams_topology_encode(streams_fixture_parse(fixture, lines), &bytes), SLUICE_OK);
    cr_assert_eq(streams_topology_new(sl_bytes_of(bytes.data, bytes.size), &topology), SLUICE_OK);
    sl_buffer_fini(&bytes);
    return topology;
}
