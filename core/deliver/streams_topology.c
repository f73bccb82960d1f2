/* streams_topology.c: see streams_topology.h. The bytes are input when they come from the log. */
#include "deliver/streams_topology.h"

#include "catalog/item_codec.h"

#include <stdlib.h>
#include <string.h>

int streams_text_compare(struct sluice_text a, struct sluice_text b)
{
    size_t common = (size_t)SL_MIN(a.size, b.size);
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

bool streams_text_equal(struct sluice_text a, struct sluice_text b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, (size_t)a.size) == 0);
}

/* ---- writing: the first failure stays ---- */

static void put_text(struct item_out *out, struct sluice_text text)
{
    if (text.size > STREAMS_TEXT_BYTES_MAX && out->err == SLUICE_OK)
        out->err = SLUICE_E_LIMIT;
    item_put(out, text.size, 2);
    item_put_bytes(out, sl_of_text(text));
}

static void put_texts(struct item_out *out, const struct sluice_text *texts, uint32_t count)
{
    item_put(out, count, 4);
    for (uint32_t i = 0; i < count && out->err == SLUICE_OK; i++)
        put_text(out, texts[i]);
}

static void put_topics(struct item_out *out, const struct sluice_streams_topic *topics,
                       uint32_t count)
{
    item_put(out, count, 4);
    for (uint32_t i = 0; i < count && out->err == SLUICE_OK; i++) {
        put_text(out, topics[i].name);
        item_put(out, (uint32_t)topics[i].partition_count, 4);
        item_put(out, (uint16_t)topics[i].replication_factor, 2);
        item_put(out, topics[i].config_count, 4);
        for (uint32_t c = 0; c < topics[i].config_count && out->err == SLUICE_OK; c++) {
            put_text(out, topics[i].configs[c].key);
            put_text(out, topics[i].configs[c].value);
        }
    }
}

static void put_places(struct item_out *out, const int16_t *places, uint32_t count, uint32_t end)
{
    item_put(out, count, 4);
    for (uint32_t i = 0; i < count && out->err == SLUICE_OK; i++) {
        if (places[i] < 0 || (uint32_t)places[i] >= end)
            out->err = SLUICE_E_STREAMS_TOPOLOGY;
        item_put(out, (uint16_t)places[i], 2);
    }
}

static void put_subtopology(struct item_out *out, const struct sluice_streams_subtopology *from)
{
    put_text(out, from->id);
    put_texts(out, from->sources, from->source_count);
    put_topics(out, from->changelogs, from->changelog_count);
    put_texts(out, from->sinks, from->sink_count);
    put_topics(out, from->repartitions, from->repartition_count);
    item_put(out, from->copartition_count, 4);
    for (uint32_t i = 0; i < from->copartition_count && out->err == SLUICE_OK; i++) {
        const struct sluice_streams_copartition *group = &from->copartitions[i];
        put_places(out, group->sources, group->source_count, from->source_count);
        put_places(out, group->repartitions, group->repartition_count, from->repartition_count);
    }
}

static int by_id(const void *a, const void *b)
{
    const struct sluice_streams_subtopology *const *x = a, *const *y = b;
    return streams_text_compare((*x)->id, (*y)->id);
}

sl_err streams_topology_encode(const struct sluice_streams_topology *from,
                               struct sl_buffer *ret_bytes)
{
    uint32_t count = from->subtopology_count;
    const struct sluice_streams_subtopology **sorted = sl_alloc_zero(count + 1u, sizeof *sorted);
    struct item_out out = {ret_bytes, sorted == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK};
    sl_buffer_reset(ret_bytes);
    for (uint32_t i = 0; i < count && sorted != NULL; i++)
        sorted[i] = &from->subtopologies[i];
    if (sorted != NULL)
        qsort(sorted, count, sizeof *sorted, by_id);
    item_put(&out, (uint32_t)from->epoch, 4);
    item_put(&out, count, 4);
    for (uint32_t i = 0; i < count && out.err == SLUICE_OK; i++) {
        if (i > 0 && by_id(&sorted[i - 1], &sorted[i]) == 0)
            out.err = SLUICE_E_STREAMS_TOPOLOGY;
        put_subtopology(&out, sorted[i]);
    }
    sl_free(sorted);
    if (out.err == SLUICE_OK && ret_bytes->size > STREAMS_TOPOLOGY_BYTES_MAX)
        out.err = SLUICE_E_LIMIT;
    return out.err;
}

/* ---- reading ---- */

struct parser {
    struct item_reader reader;
    struct answer_arena *arena;
    bool no_memory;
};

/* An array of what the count says, each of at least size_min bytes in the payload. */
static void *take(struct parser *parser, uint32_t size_min, size_t size, uint32_t *ret_count)
{
    uint32_t count = item_read_u32(&parser->reader);
    if ((uint64_t)count * size_min > parser->reader.size) {
        parser->reader.failed = true;
        count = 0;
    }
    void *array = answer_arena_take(parser->arena, count, size);
    parser->no_memory = parser->no_memory || array == NULL;
    *ret_count = array == NULL ? 0 : count;
    return array;
}

/* Texts are views of the copied bytes. */
static struct sluice_text get_text(struct parser *parser)
{
    struct sl_bytes text = item_read_bytes(&parser->reader, item_read_u16(&parser->reader));
    return (struct sluice_text){text.data == NULL ? "" : (const char *)text.data, text.size};
}

static const struct sluice_text *get_texts(struct parser *parser, uint32_t *ret_count)
{
    struct sluice_text *texts = take(parser, 2, sizeof *texts, ret_count);
    for (uint32_t i = 0; i < *ret_count; i++)
        texts[i] = get_text(parser);
    return texts;
}

static const struct sluice_streams_topic *get_topics(struct parser *parser, uint32_t *ret_count)
{
    struct sluice_streams_topic *topics = take(parser, 12, sizeof *topics, ret_count);
    for (uint32_t i = 0; i < *ret_count; i++) {
        struct sluice_streams_topic *topic = &topics[i];
        topic->name = get_text(parser);
        topic->partition_count = (int32_t)item_read_u32(&parser->reader);
        topic->replication_factor = (int16_t)item_read_u16(&parser->reader);
        struct sluice_streams_pair *configs =
            take(parser, 4, sizeof *configs, &topic->config_count);
        for (uint32_t c = 0; c < topic->config_count; c++) {
            configs[c].key = get_text(parser);
            configs[c].value = get_text(parser);
        }
        topic->configs = configs;
    }
    return topics;
}

static const int16_t *get_places(struct parser *parser, uint32_t end, uint32_t *ret_count)
{
    int16_t *places = take(parser, 2, sizeof *places, ret_count);
    for (uint32_t i = 0; i < *ret_count; i++) {
        places[i] = (int16_t)item_read_u16(&parser->reader);
        if (places[i] < 0 || (uint32_t)places[i] >= end)
            parser->reader.failed = true;
    }
    return places;
}

static void get_subtopology(struct parser *parser, struct sluice_streams_subtopology *to)
{
    to->id = get_text(parser);
    to->sources = get_texts(parser, &to->source_count);
    to->changelogs = get_topics(parser, &to->changelog_count);
    to->sinks = get_texts(parser, &to->sink_count);
    to->repartitions = get_topics(parser, &to->repartition_count);
    struct sluice_streams_copartition *groups =
        take(parser, 8, sizeof *groups, &to->copartition_count);
    for (uint32_t i = 0; i < to->copartition_count; i++) {
        groups[i].sources = get_places(parser, to->source_count, &groups[i].source_count);
        groups[i].repartitions =
            get_places(parser, to->repartition_count, &groups[i].repartition_count);
    }
    to->copartitions = groups;
}

static sl_err parse(struct streams_topology *topology)
{
    struct parser parser = {item_reader_of(topology->bytes), &topology->arena, false};
    topology->view.epoch = (int32_t)item_read_u32(&parser.reader);
    struct sluice_streams_subtopology *all =
        take(&parser, 22, sizeof *all, &topology->view.subtopology_count);
    for (uint32_t i = 0; i < topology->view.subtopology_count; i++) {
        get_subtopology(&parser, &all[i]);
        if (i > 0 && streams_text_compare(all[i - 1].id, all[i].id) >= 0)
            parser.reader.failed = true;
    }
    topology->view.subtopologies = all;
    return parser.no_memory                 ? SLUICE_E_NO_MEMORY
           : !item_read_end(&parser.reader) ? SLUICE_E_CORRUPT
                                            : SLUICE_OK;
}

sl_err streams_topology_new(struct sl_bytes bytes, struct streams_topology **ret_topology)
{
    struct streams_topology *topology = sl_alloc_zero(1, sizeof *topology);
    struct sluice_text copy = {0};
    if (topology == NULL)
        return SLUICE_E_NO_MEMORY;
    sl_err err = answer_arena_text(&topology->arena, bytes, &copy);
    topology->bytes = sl_of_text(copy);
    err = err != SLUICE_OK ? err : parse(topology);
    if (err != SLUICE_OK) {
        streams_topology_free(topology);
        return err;
    }
    *ret_topology = topology;
    return SLUICE_OK;
}

struct streams_topology *streams_topology_free(struct streams_topology *topology)
{
    if (topology != NULL)
        answer_arena_fini(&topology->arena);
    sl_free(topology);
    return NULL;
}

int32_t streams_topology_find(const struct streams_topology *topology, struct sl_bytes id)
{
    struct sluice_text wanted = {(const char *)id.data, id.size};
    uint32_t low = 0, high = topology->view.subtopology_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = streams_text_compare(topology->view.subtopologies[middle].id, wanted);
        if (order == 0)
            return (int32_t)middle;
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return -1;
}

/* ---- copies ---- */

static sl_err copy_text(struct answer_arena *arena, struct sluice_text *text)
{
    return answer_arena_text(arena, sl_bytes_of(text->data, (size_t)text->size), text);
}

static sl_err copy_texts(struct answer_arena *arena, const struct sluice_text **texts,
                         uint32_t count)
{
    struct sluice_text *copy = answer_arena_take(arena, count, sizeof *copy);
    sl_err err = copy == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    for (uint32_t i = 0; i < count && err == SLUICE_OK; i++)
        err = answer_arena_text(arena, sl_of_text((*texts)[i]), &copy[i]);
    *texts = copy;
    return err;
}

sl_err streams_topic_copy(struct answer_arena *arena, const struct sluice_streams_topic *from,
                          struct sluice_streams_topic *ret_topic)
{
    struct sluice_streams_topic topic = *from;
    struct sluice_streams_pair *pairs = answer_arena_take(arena, from->config_count, sizeof *pairs);
    sl_err err = pairs == NULL ? SLUICE_E_NO_MEMORY : copy_text(arena, &topic.name);
    for (uint32_t i = 0; i < from->config_count && err == SLUICE_OK; i++) {
        pairs[i] = from->configs[i];
        err = copy_text(arena, &pairs[i].key);
        err = err != SLUICE_OK ? err : copy_text(arena, &pairs[i].value);
    }
    topic.configs = pairs;
    *ret_topic = topic;
    return err;
}

static sl_err copy_topics(struct answer_arena *arena, const struct sluice_streams_topic **topics,
                          uint32_t count)
{
    struct sluice_streams_topic *copy = answer_arena_take(arena, count, sizeof *copy);
    sl_err err = copy == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    for (uint32_t i = 0; i < count && err == SLUICE_OK; i++)
        err = streams_topic_copy(arena, &(*topics)[i], &copy[i]);
    *topics = copy;
    return err;
}

sl_err streams_topology_copy(struct answer_arena *arena, const struct sluice_streams_topology *from,
                             struct sluice_streams_topology *ret_topology)
{
    struct sluice_streams_subtopology *all =
        answer_arena_take(arena, from->subtopology_count, sizeof *all);
    sl_err err = all == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    for (uint32_t i = 0; i < from->subtopology_count && err == SLUICE_OK; i++) {
        all[i] = from->subtopologies[i];
        all[i].copartition_count = 0; /* nobody is shown them */
        all[i].copartitions = NULL;
        err = copy_text(arena, &all[i].id);
        err = err != SLUICE_OK ? err : copy_texts(arena, &all[i].sources, all[i].source_count);
        err = err != SLUICE_OK ? err : copy_texts(arena, &all[i].sinks, all[i].sink_count);
        err =
            err != SLUICE_OK ? err : copy_topics(arena, &all[i].changelogs, all[i].changelog_count);
        err = err != SLUICE_OK ? err
                               : copy_topics(arena, &all[i].repartitions, all[i].repartition_count);
    }
    *ret_topology = (struct sluice_streams_topology){from->epoch, from->subtopology_count, all};
    return err;
}
