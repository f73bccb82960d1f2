/* flow_book.c: see flow_book.h. */
#include "intake/flow_book.h"

#include "record/batch_view.h"

#include <string.h>

void flow_book_init(struct flow_book *book, uint64_t seed)
{
    memset(book, 0, sizeof(*book));
    sl_map_init(&book->map, FLOW_TOPICS_MAX, seed);
}

void flow_book_fini(struct flow_book *book)
{
    sl_map_fini(&book->map);
    for (uint32_t i = 0; i < book->topic_count; i++) {
        sl_free(book->topics[i]);
    }
    book->topic_count = 0;
}

static void row_add(struct flow_row *to, const struct flow_row *from)
{
    to->records += from->records;
    to->bytes += from->bytes;
    to->batches += from->batches;
    to->last_ms = SL_MAX(to->last_ms, from->last_ms);
}

/* ---- topics ---- */

/* What a topic is known by here: its kind and these bytes. */
struct flow_key {
    uint8_t kind; /* 'n', 'i' */
    struct sl_bytes bytes;
};

static struct flow_key key_of(const struct sluice_topic_ref *topic)
{
    if (topic->name.size == 0) {
        return (struct flow_key){'i', {topic->id.bytes, sizeof(topic->id.bytes)}};
    }
    size_t size = SL_MIN((size_t)topic->name.size, (size_t)FLOW_TOPIC_BYTES_MAX);
    return (struct flow_key){'n', {(const uint8_t *)topic->name.data, size}};
}

static bool topic_has_key(const struct flow_topic *topic, const struct flow_key *key)
{
    return topic->key_size == key->bytes.size + 1 && topic->key[0] == key->kind &&
           memcmp(topic->key + 1, key->bytes.data, key->bytes.size) == 0;
}

/* The next topic in turn, when it was silent for long enough; what it had goes to the others. NULL:
 * it was not. */
static struct flow_topic *topic_evict(struct flow_book *book, int64_t now_ms)
{
    struct flow_topic *topic = book->topics[book->hand];
    book->hand = (book->hand + 1) % FLOW_TOPICS_MAX;
    if (now_ms - topic->last_ms < FLOW_IDLE_MS) {
        return NULL;
    }
    for (uint32_t i = 0; i < topic->row_count; i++) {
        row_add(&book->others, &topic->rows[i]);
    }
    row_add(&book->others, &topic->others);
    sl_map_remove(&book->map, &topic->node);
    memset(topic, 0, sizeof(*topic));
    return topic;
}

static struct flow_topic *topic_room(struct flow_book *book, int64_t now_ms)
{
    if (book->topic_count == FLOW_TOPICS_MAX) {
        return topic_evict(book, now_ms);
    }
    struct flow_topic *topic = sl_alloc_zero(1, sizeof(*topic));
    if (topic != NULL) {
        book->topics[book->topic_count++] = topic;
    }
    return topic;
}

static struct flow_topic *topic_look(struct flow_book *book, const struct flow_key *wanted,
                                     int64_t now_ms)
{
    uint8_t key[FLOW_TOPIC_BYTES_MAX + 1u];
    uint32_t size = (uint32_t)wanted->bytes.size + 1;
    key[0] = wanted->kind;
    memcpy(key + 1, wanted->bytes.data, wanted->bytes.size);
    struct sl_map_node *node = sl_map_find(&book->map, (struct sl_bytes){key, size});
    if (node != NULL) {
        return book->last = SL_CONTAINER_OF(node, struct flow_topic, node);
    }
    struct flow_topic *topic = topic_room(book, now_ms);
    if (topic == NULL) {
        return NULL;
    }
    memcpy(topic->key, key, size);
    topic->key_size = size;
    if (sl_map_insert(&book->map, &topic->node, (struct sl_bytes){topic->key, size}) != SLUICE_OK) {
        /* The first insert of all found no memory: it is the only topic. */
        sl_free(topic);
        book->topic_count--;
        return NULL;
    }
    return topic;
}

static struct flow_topic *topic_of(struct flow_book *book, const struct sluice_topic_ref *ref,
                                   int64_t now_ms)
{
    const struct flow_key wanted = key_of(ref);
    struct flow_topic *last = book->last;
    return last != NULL && topic_has_key(last, &wanted) ? last : topic_look(book, &wanted, now_ms);
}

/* ---- clients ---- */

static struct flow_row *row_of(struct flow_topic *topic, struct sluice_text client, int64_t now_ms)
{
    size_t size = SL_MIN((size_t)client.size, (size_t)FLOW_CLIENT_BYTES_MAX);
    struct flow_row *free_row = NULL;
    for (uint32_t i = 0; i < topic->row_count; i++) {
        struct flow_row *row = &topic->rows[i];
        if (memcmp(row->client, client.data, size) == 0 && row->client[size] == '\0') {
            return row;
        }
        if (now_ms - row->last_ms >= FLOW_IDLE_MS) {
            free_row = row;
        }
    }
    if (topic->row_count < FLOW_CLIENTS_MAX) {
        free_row = &topic->rows[topic->row_count++];
    } else if (free_row != NULL) {
        row_add(&topic->others, free_row);
        memset(free_row, 0, sizeof(*free_row));
    } else {
        return &topic->others;
    }
    memcpy(free_row->client, client.data, size);
    return free_row;
}

static uint64_t record_count(struct sluice_bytes batch)
{
    struct batch_view view;
    struct sl_bytes bytes = {batch.data, batch.size};
    if (batch.data == NULL || batch_view_init(&view, bytes) != SLUICE_OK) {
        return 0;
    }
    return (uint64_t)batch_view_record_count(&view);
}

static struct sluice_text client_of(const struct sluice_context *context)
{
    static const char no_client[] = "-";
    return context->client_id.size > 0 ? context->client_id : sluice_text_of(no_client);
}

void flow_book_produce(struct flow_book *book, const struct sluice_context *context,
                       const struct sluice_produce *request, int64_t now_ms)
{
    struct sluice_text client = client_of(context);
    for (uint32_t i = 0; i < request->entry_count; i++) {
        const struct sluice_produce_entry *entry = &request->entries[i];
        struct flow_topic *topic = topic_of(book, &entry->topic, now_ms);
        struct flow_row *row = topic != NULL ? row_of(topic, client, now_ms) : &book->others;
        row->records += record_count(entry->batch);
        row->bytes += entry->batch.size;
        row->batches++;
        row->last_ms = SL_MAX(row->last_ms, now_ms);
        if (topic != NULL) {
            topic->last_ms = now_ms;
        }
    }
}

void flow_book_fetch(struct flow_book *book, const struct sluice_context *context,
                     const struct sluice_fetch *request, int64_t now_ms)
{
    struct sluice_text client = client_of(context);
    const struct flow_topic *before = NULL;
    for (uint32_t i = 0; i < request->entry_count; i++) {
        struct flow_topic *topic = topic_of(book, &request->entries[i].topic, now_ms);
        if (topic != NULL && topic == before) {
            continue; /* partitions of a topic mostly stand together */
        }
        struct flow_row *row = topic != NULL ? row_of(topic, client, now_ms) : &book->others;
        row->batches++;
        row->last_ms = SL_MAX(row->last_ms, now_ms);
        if (topic != NULL) {
            topic->last_ms = now_ms;
        }
        before = topic;
    }
}

void flow_book_each(const struct flow_book *book, flow_row_fn *visit, void *arg)
{
    for (uint32_t i = 0; i < book->topic_count; i++) {
        const struct flow_topic *topic = book->topics[i];
        struct sl_bytes key = {topic->key, topic->key_size};
        for (uint32_t k = 0; k < topic->row_count; k++) {
            visit(arg, key, &topic->rows[k]);
        }
        if (topic->others.batches > 0) {
            visit(arg, key, &topic->others);
        }
    }
    if (book->others.batches > 0) {
        visit(arg, (struct sl_bytes){(const uint8_t *)"", 0}, &book->others);
    }
}
