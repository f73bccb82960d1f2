/* subscription_messages.c: what a subscription reads: credit, sources, records.
 *
 * A source is a partition, with a number of the server's for one connection.
 * Records that an ephemeral subscription has had already, over an earlier
 * connection, are passed over. */
#include "subscription_state.h"

#include "record_io.h"

#include <stdlib.h>
#include <string.h>

#define SOURCES_MAX 65536u
#define CREDIT_MAX  (UINT64_C(1) << 62)

/* Whether the subscription still wants messages. */
static bool is_listening(const struct sluice_subscription *subscription)
{
    return subscription->phase == PHASE_OPEN || subscription->phase == PHASE_WAITING;
}

/* -- credit -- */

static uint64_t add_credit(uint64_t left, uint64_t more)
{
    return more > CREDIT_MAX - left ? CREDIT_MAX : left + more;
}

void subscription_give(struct sluice_subscription *subscription, uint64_t records, uint64_t bytes)
{
    struct sluice_client *client = subscription->client;
    subscription->left_records = add_credit(subscription->left_records, records);
    subscription->left_bytes = add_credit(subscription->left_bytes, bytes);
    if (subscription->was_sent && client_is_up(client) &&
        (subscription->phase == PHASE_OPEN || subscription->phase == PHASE_WAITING)) {
        client_begin(client, FRAME_CREDIT, 0, subscription->id);
        frame_put_u64(&client->out, records);
        frame_put_u64(&client->out, bytes);
        client_end(client);
    }
}

/* The application has taken a record: at half, what was taken is given again.
 */
static void give_again(struct sluice_subscription *subscription, uint64_t bytes)
{
    subscription->used_records++;
    subscription->used_bytes += bytes;
    if (subscription->options.manual_credit ||
        (subscription->used_records < (subscription->options.credit_records + 1) / 2 &&
         subscription->used_bytes < (subscription->options.credit_bytes + 1) / 2)) {
        return;
    }
    uint64_t records = subscription->used_records;
    uint64_t size = subscription->used_bytes;
    subscription->used_records = subscription->used_bytes = 0;
    subscription_give(subscription, records, size);
}

sluice_status sluice_subscription_credit(struct sluice_subscription *subscription, uint64_t records,
                                         uint64_t bytes)
{
    const struct sluice_client *client = subscription->client;
    if (records > CREDIT_MAX || bytes > CREDIT_MAX) {
        return SLUICE_E_INVALID;
    }
    if (frame_out_size(&client->out) > client->options.pending_bytes_max) {
        return SLUICE_E_WOULD_BLOCK;
    }
    subscription_give(subscription, records, bytes);
    return SLUICE_OK;
}

/* What was taken is given again before its half is reached; a window that is
 * smaller than the record grows to it. What is queued comes back when it is
 * taken. */
static void make_room(struct sluice_subscription *subscription, uint64_t bytes)
{
    const uint64_t used_records = subscription->used_records;
    const uint64_t used_bytes = subscription->used_bytes;
    const uint64_t window = subscription->left_bytes + used_bytes + subscription->queued_bytes;
    uint64_t more = used_bytes;
    if (bytes > window && bytes <= subscription->client->options.frame_bytes_max) {
        more += bytes - window;
    }
    if (used_records > 0 || more > 0) {
        subscription->used_records = subscription->used_bytes = 0;
        subscription_give(subscription, used_records, more);
    }
}

sluice_status subscription_take_stalled(struct sluice_subscription *subscription,
                                        const struct frame_view *frame)
{
    struct frame_in body = frame->body;
    frame_skip(&body, 4 + 8);
    const uint64_t bytes = frame_get_u64(&body);
    if (body.failed) {
        return SLUICE_E_MALFORMED;
    }
    subscription_tell(subscription, SLUICE_SUBSCRIPTION_STALLED, SLUICE_OK, client_text(NULL),
                      bytes);
    if (!subscription->options.manual_credit && is_listening(subscription)) {
        make_room(subscription, bytes);
    }
    return SLUICE_OK;
}

/* -- sources -- */

static struct source *source_by_wire(struct sluice_subscription *subscription, uint32_t wire)
{
    struct source *source = subscription->last_source;
    if (source != NULL && source->is_current && source->wire == wire) {
        return source;
    }
    for (uint32_t i = 0; i < subscription->source_count; i++) {
        source = subscription->sources[i];
        if (source->is_current && source->wire == wire) {
            subscription->last_source = source;
            return source;
        }
    }
    return NULL;
}

static struct source *source_by_place(struct sluice_subscription *subscription,
                                      const struct sluice_uuid *topic_id, int32_t partition)
{
    for (uint32_t i = 0; i < subscription->source_count; i++) {
        struct source *source = subscription->sources[i];
        if (source->partition == partition &&
            memcmp(&source->topic_id, topic_id, sizeof(*topic_id)) == 0) {
            return source;
        }
    }
    return NULL;
}

static struct source *source_new(struct sluice_subscription *subscription, struct sluice_text topic)
{
    if (subscription->source_count == subscription->source_capacity) {
        uint32_t capacity =
            subscription->source_capacity > 0 ? 2 * subscription->source_capacity : 4;
        struct source **sources =
            realloc(subscription->sources, capacity * sizeof(struct source *));
        if (sources == NULL) {
            return NULL;
        }
        subscription->sources = sources;
        subscription->source_capacity = capacity;
    }
    struct source *source = calloc(1, sizeof(*source));
    char *name = malloc((size_t)topic.size + 1);
    if (source == NULL || name == NULL) {
        free(source);
        free(name);
        return NULL;
    }
    if (topic.size > 0) {
        memcpy(name, topic.data, (size_t)topic.size);
    }
    source->topic = name;
    source->topic_size = (size_t)topic.size;
    source->next = -1;
    subscription->sources[subscription->source_count++] = source;
    return source;
}

sluice_status subscription_take_source(struct sluice_subscription *subscription,
                                       const struct frame_view *frame)
{
    struct frame_in body = frame->body;
    const uint32_t wire = frame_get_u32(&body);
    const int32_t partition = frame_get_i32(&body);
    const struct sluice_uuid topic_id = frame_get_uuid(&body);
    const struct sluice_text topic = frame_get_text(&body);
    const int64_t offset = frame_get_i64(&body);
    if (body.failed || source_by_wire(subscription, wire) != NULL) {
        return SLUICE_E_MALFORMED;
    }
    struct source *source = source_by_place(subscription, &topic_id, partition);
    if (source == NULL && subscription->source_count == SOURCES_MAX) {
        return SLUICE_E_LIMIT;
    }
    source = source != NULL ? source : source_new(subscription, topic);
    if (source == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    if (source->is_current) {
        return SLUICE_E_MALFORMED;
    }
    source->partition = partition;
    source->topic_id = topic_id;
    source->wire = wire;
    source->is_current = true;
    source->number = ++subscription->client->source_serial;
    const int64_t before = source->next;
    source->next = offset > before ? offset : before;
    if (before >= 0 && offset > before) {
        subscription_tell(subscription, SLUICE_SUBSCRIPTION_GAP, SLUICE_OK, client_text(NULL),
                          (uint64_t)(offset - before));
    }
    return SLUICE_OK;
}

struct source *subscription_source(struct sluice_subscription *subscription, uint32_t number)
{
    for (uint32_t i = 0; i < subscription->source_count; i++) {
        if (subscription->sources[i]->number == number && subscription->sources[i]->is_current) {
            return subscription->sources[i];
        }
    }
    return NULL;
}

/* -- messages -- */

static void name_message(const struct source *source, struct sluice_message *message)
{
    message->topic = (struct sluice_text){source->topic, source->topic_size};
    message->partition = source->partition;
    message->source = source->number;
}

/* An ephemeral subscription passes over records that it had before: those in
 * front, as offsets rise. They leave `body` and `count`. */
static void pass_over(struct sluice_subscription *subscription, const struct source *source,
                      struct frame_in *body, uint32_t *count)
{
    struct sluice_message message;
    while (*count > 0 && subscription->options.group.size == 0) {
        struct frame_in after = *body;
        if (!record_get(&after, &message) || message.offset >= source->next) {
            return;
        }
        give_again(subscription, (uint64_t)(after.at - body->at));
        *body = after;
        (*count)--;
    }
}

/* All records are sound and within the credit: nothing is delivered of a frame
 * that is not. */
static bool check_records(struct sluice_subscription *subscription, struct frame_in body,
                          uint32_t count)
{
    struct sluice_message message;
    const uint8_t *begin = body.at;
    if (body.failed || count > frame_left(&body) / RECORD_BYTES_MIN ||
        count > subscription->left_records) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!record_get(&body, &message) || message.offset < 0) {
            return false;
        }
    }
    uint64_t size = (uint64_t)(body.at - begin);
    if (size > subscription->left_bytes) {
        return false;
    }
    subscription->left_records -= count;
    subscription->left_bytes -= size;
    return true;
}

static void deliver(struct sluice_subscription *subscription, struct source *source,
                    struct frame_in *body, uint32_t count)
{
    struct sluice_client *client = subscription->client;
    struct sluice_message message;
    for (uint32_t i = 0; i < count && is_listening(subscription); i++) {
        const uint8_t *begin = body->at;
        if (!record_get(body, &message)) {
            return; /* cannot be: it was checked */
        }
        source->next = message.offset + 1;
        name_message(source, &message);
        client->depth++;
        subscription->options.on_message(subscription->options.arg, subscription, &message);
        client->depth--;
        give_again(subscription, (uint64_t)(body->at - begin));
    }
}

static sluice_status keep(struct sluice_subscription *subscription, struct source *source,
                          struct frame_in *body, uint32_t count)
{
    const uint8_t *begin = body->at;
    struct sluice_message message;
    for (uint32_t i = 0; i < count && record_get(body, &message); i++) {
        source->next = message.offset + 1;
    }
    const size_t size = (size_t)(body->at - begin);
    struct chunk *chunk = malloc(sizeof(*chunk) + size);
    if (chunk == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    *chunk = (struct chunk){NULL, source, count, 0, size};
    memcpy(chunk->records, begin, size);
    *(subscription->last_chunk != NULL ? &subscription->last_chunk->next
                                       : &subscription->first_chunk) = chunk;
    subscription->last_chunk = chunk;
    subscription->queued_records += count;
    subscription->queued_bytes += size;
    return SLUICE_OK;
}

sluice_status subscription_take_records(struct sluice_subscription *subscription,
                                        const struct frame_view *frame)
{
    struct frame_in body = frame->body;
    const uint32_t wire = frame_get_u32(&body);
    uint32_t count = frame_get_u32(&body);
    sluice_status status = SLUICE_OK;
    if (!check_records(subscription, body, count)) {
        return SLUICE_E_MALFORMED;
    }
    struct source *source = count > 0 ? source_by_wire(subscription, wire) : NULL;
    if (count > 0 && source == NULL) {
        return SLUICE_E_MALFORMED;
    }
    if (source != NULL) {
        pass_over(subscription, source, &body, &count);
    }
    if (count > 0 && subscription->options.on_message != NULL) {
        deliver(subscription, source, &body, count);
    } else if (count > 0 && is_listening(subscription)) {
        status = keep(subscription, source, &body, count);
    }
    if ((frame->flags & 1) != 0) {
        subscription_tell(subscription, SLUICE_SUBSCRIPTION_CAUGHT_UP, SLUICE_OK, client_text(NULL),
                          0);
    }
    return status;
}

void subscription_drop_queue(struct sluice_subscription *subscription)
{
    while (subscription->first_chunk != NULL) {
        struct chunk *chunk = subscription->first_chunk;
        subscription->first_chunk = chunk->next;
        free(chunk);
    }
    subscription->last_chunk = NULL;
    subscription->queued_records = subscription->queued_bytes = 0;
}

/* The first chunk leaves the queue, and its memory stays until the next message
 * is asked for. */
static void hold_first(struct sluice_subscription *subscription)
{
    struct chunk *chunk = subscription->first_chunk;
    subscription->first_chunk = chunk->next;
    if (chunk->next == NULL) {
        subscription->last_chunk = NULL;
    }
    subscription->held_chunk = chunk;
}

/* The next record of the queue. False: it is empty. */
static bool pop(struct sluice_subscription *subscription, struct sluice_message *message)
{
    struct chunk *chunk = subscription->first_chunk;
    if (chunk == NULL) {
        return false;
    }
    struct frame_in in = frame_in_of(chunk->records + chunk->at, chunk->size - chunk->at);
    (void)record_get(&in, message);
    const size_t size = (size_t)(in.at - (chunk->records + chunk->at));
    name_message(chunk->source, message);
    chunk->at += size;
    subscription->queued_records--;
    subscription->queued_bytes -= size;
    if (--chunk->count == 0) {
        hold_first(subscription);
    }
    give_again(subscription, size);
    return true;
}

sluice_status sluice_subscription_next(struct sluice_subscription *subscription,
                                       struct sluice_message *ret_message)
{
    struct sluice_message message;
    free(subscription->held_chunk);
    subscription->held_chunk = NULL;
    if (!pop(subscription, &message)) {
        return subscription->phase == PHASE_ENDED ? subscription->why : SLUICE_E_WOULD_BLOCK;
    }
    *ret_message = message;
    return SLUICE_OK;
}
