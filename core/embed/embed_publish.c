/* embed_publish.c: records of the host's into the broker, without a socket.
 *
 *   publish (any thread): a publication is queued ─► loop 0: batch ─► release ─► produce ─► done
 *
 * The payload is copied once, on loop 0, to where the log writes it from; until then it is
 * referred to. The queue is a stack that loop 0 takes whole and turns round. */
#include "embed/embed.h"

#include "base/status.h"

#include <string.h>

#define PUBLICATIONS_MAX  65536u
#define PENDING_BYTES_MAX (64u << 20)

struct publication {
    struct publication *next;
    struct sluice_embed *embed;
    struct sluice_payload payload;
    sluice_published *done;
    void *arg;
    int32_t partition;
    bool key_is_null;
    size_t topic_size, key_size;
    uint8_t texts[]; /* the topic's name, the key */
};

static void publication_end(struct publication *publication, sl_err status, int64_t offset)
{
    struct sluice_embed *embed = publication->embed;
    if (publication->done != NULL) {
        publication->done(publication->arg, status, offset);
    }
    atomic_fetch_sub(&embed->pending_bytes, publication->payload.size + publication->key_size);
    atomic_fetch_sub(&embed->pending_count, 1);
    sl_free(publication);
}

static void payload_release(const struct sluice_payload *payload)
{
    if (payload->release != NULL) {
        payload->release(payload->release_arg);
    }
}

/* ---- loop 0 ---- */

static void produced(void *arg, const struct sluice_produce_result *results, uint32_t count,
                     int32_t throttle_ms SL_UNUSED)
{
    SL_ASSERT(count == 1);
    publication_end(arg, results->status, results->base_offset);
}

static void copied(void *arg)
{
    payload_release(&((struct publication *)arg)->payload);
}

static void publication_send(struct publication *publication)
{
    const struct sluice_local_record record = {
        .topic = {(const char *)publication->texts, publication->topic_size},
        .partition = publication->partition,
        .fields = {.key = {publication->texts + publication->topic_size, publication->key_size},
                   .key_is_null = publication->key_is_null,
                   .value = {publication->payload.data, (size_t)publication->payload.size},
                   .value_is_null = publication->payload.data == NULL,
                   .timestamp_ms = sl_os_wall_ms(publication->embed->os)},
        .copied = copied};
    sl_err err = sluice_produce_local(publication->embed->sluice, &record, produced, publication);
    if (err != SLUICE_OK) {
        payload_release(&publication->payload);
        publication_end(publication, err, -1);
    }
}

/* What is queued, the oldest first. */
static struct publication *queue_take(struct sluice_embed *embed)
{
    struct publication *newest = atomic_exchange(&embed->queue, NULL);
    struct publication *oldest = NULL;
    while (newest != NULL) {
        struct publication *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

static void drain(struct sl_task *task)
{
    struct sluice_embed *embed = SL_CONTAINER_OF(task, struct sluice_embed, drain_task);
    atomic_store(&embed->drain_posted,
                 false); /* before it looks: what comes later posts it again */
    if (atomic_load(&embed->state) != EMBED_RUNNING) {
        embed_publish_fail(embed, SLUICE_E_STOPPING);
        return;
    }
    struct publication *publication = queue_take(embed);
    while (publication != NULL) {
        struct publication *next = publication->next;
        publication_send(publication);
        publication = next;
    }
}

void embed_publish_fail(struct sluice_embed *embed, sl_err status)
{
    struct publication *publication = queue_take(embed);
    while (publication != NULL) {
        struct publication *next = publication->next;
        payload_release(&publication->payload);
        publication_end(publication, status, -1);
        publication = next;
    }
}

void embed_publish_init(struct sluice_embed *embed)
{
    embed->drain_task = (struct sl_task){.run = drain, .priority = SL_PRIORITY_IO};
}

/* ---- any thread ---- */

static sl_err publication_new(struct sluice_embed *embed, const struct sluice_publication *from,
                              struct publication **ret_publication)
{
    size_t topic_size = strlen(from->topic);
    struct publication *publication =
        sl_alloc(sizeof(*publication) + topic_size + (size_t)from->key.size + 1);
    if (publication == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    *publication = (struct publication){.embed = embed,
                                        .payload = from->payload,
                                        .done = from->done,
                                        .arg = from->arg,
                                        .partition = from->partition,
                                        .key_is_null = from->key.data == NULL,
                                        .topic_size = topic_size,
                                        .key_size = (size_t)from->key.size};
    memcpy(publication->texts, from->topic, topic_size);
    if (from->key.size > 0) {
        memcpy(publication->texts + topic_size, from->key.data, (size_t)from->key.size);
    }
    *ret_publication = publication;
    return SLUICE_OK;
}

/* Counts it as under way. */
static bool take_room(struct sluice_embed *embed, uint64_t bytes)
{
    uint32_t count = atomic_fetch_add(&embed->pending_count, 1);
    uint64_t before = atomic_fetch_add(&embed->pending_bytes, bytes);
    if (count < PUBLICATIONS_MAX && before + bytes <= PENDING_BYTES_MAX) {
        return true;
    }
    atomic_fetch_sub(&embed->pending_count, 1);
    atomic_fetch_sub(&embed->pending_bytes, bytes);
    return false;
}

/* Loop 0 may have it before this returns. */
static void queue_put(struct sluice_embed *embed, struct publication *publication)
{
    struct publication *newest = atomic_load(&embed->queue);
    do {
        publication->next = newest;
    } while (!atomic_compare_exchange_weak(&embed->queue, &newest, publication));
    if (!atomic_exchange(&embed->drain_posted, true)) {
        sl_loop_post(sluice_loop(embed->sluice), &embed->drain_task);
    }
}

static sl_err publish(struct sluice_embed *embed, const struct sluice_publication *from)
{
    struct publication *publication = NULL;
    bool bad = from->topic == NULL || from->partition < 0 ||
               from->payload.size > PENDING_BYTES_MAX || from->key.size > PENDING_BYTES_MAX;
    if (bad) {
        return SLUICE_E_INVALID;
    }
    sl_err err = publication_new(embed, from, &publication);
    if (err != SLUICE_OK) {
        return err;
    }
    if (!take_room(embed, from->payload.size + from->key.size)) {
        sl_free(publication);
        return SLUICE_E_WOULD_BLOCK;
    }
    queue_put(embed, publication);
    return SLUICE_OK;
}

sluice_status sluice_embed_publish(struct sluice_embed *embed,
                                   const struct sluice_publication *publication)
{
    sl_err err = SLUICE_E_NOT_RUNNING;
    atomic_fetch_add(&embed->publishers, 1); /* run does not return meanwhile */
    if (publication->size < sizeof(*publication)) {
        err = SLUICE_E_INVALID;
    } else if (atomic_load(&embed->state) == EMBED_RUNNING) {
        err = publish(embed, publication);
    }
    atomic_fetch_sub(&embed->publishers, 1);
    if (err != SLUICE_OK) {
        payload_release(&publication->payload);
    }
    return err;
}
