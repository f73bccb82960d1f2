/* subscription.c: a subscription over as many connections as it takes.
 *
 * Credit: `left` is what the server may still send, `used` what the application has taken and has
 * not been given again. Messages of a subscription without a callback wait in chunks, each a
 * MESSAGES frame as it came, so that their memory is bounded by the credit.
 *
 * A source is a partition. An ephemeral subscription remembers where it stands in each, and tells
 * the server when it subscribes again; records that it has had already are passed over. What a
 * durable one holds when the connection ends is the broker's to give again: it is dropped here. */
#include "client_state.h"

#include "record_io.h"

#include <stdlib.h>
#include <string.h>

#define SOURCES_MAX 65536u
#define RANGES_MAX  65536u
#define CREDIT_MAX  (UINT64_C(1) << 62)

enum subscription_phase {
    PHASE_WAITING, /* for a connection, or for the answer to SUBSCRIBE */
    PHASE_OPEN,
    PHASE_ENDED,   /* by the server; the application is to close it */
    PHASE_CLOSING, /* closed by the application; UNSUBSCRIBED is to come */
    PHASE_CLOSED,  /* memory that is to be freed */
};

struct source {
    uint32_t number; /* the client's: another for each connection */
    uint32_t wire;   /* the server's */
    bool is_current; /* of the present connection */
    int32_t partition;
    struct sluice_uuid topic_id;
    int64_t next; /* the first offset that was not had; -1: not known */
    char *topic;
    size_t topic_size;
};

/* A MESSAGES frame that waits to be taken. */
struct chunk {
    struct chunk *next;
    struct source *source;
    uint32_t count; /* records that are not taken */
    size_t at;      /* the next of them */
    size_t size;
    uint8_t records[];
};

struct sluice_subscription {
    struct sluice_client *client;
    struct sluice_subscription *next;
    uint32_t id;
    enum subscription_phase phase;
    bool was_sent; /* SUBSCRIBE, over the present connection */
    sluice_status why;
    char why_text[CLIENT_TEXT_MAX + 1];
    struct sluice_subscribe options; /* texts are own copies */

    uint64_t left_records, left_bytes;
    uint64_t used_records, used_bytes;
    uint64_t queued_records, queued_bytes;

    struct source **sources;
    uint32_t source_count, source_capacity;
    struct source *last_source; /* a guess for the next lookup */
    struct chunk *first_chunk, *last_chunk;
    struct chunk *held_chunk; /* has the message that was taken last */
    struct request *first_ack, *last_ack;
};

/* -- telling -- */

static void tell(struct sluice_subscription *subscription, uint32_t event, sluice_status status,
                 struct sluice_text text, uint64_t value)
{
    struct sluice_client *client = subscription->client;
    if (subscription->options.on_event != NULL && subscription->phase != PHASE_CLOSING &&
        subscription->phase != PHASE_CLOSED) {
        client->depth++;
        subscription->options.on_event(subscription->options.arg, subscription, event, status, text,
                                       value);
        client->depth--;
    }
}

static uint64_t add_credit(uint64_t left, uint64_t more)
{
    return more > CREDIT_MAX - left ? CREDIT_MAX : left + more;
}

/* -- credit -- */

static void send_credit(struct sluice_subscription *subscription, uint64_t records, uint64_t bytes)
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

/* The application has taken a record: at half, what was taken is given again. */
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
    send_credit(subscription, records, size);
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
    send_credit(subscription, records, bytes);
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

static sluice_status take_source(struct sluice_subscription *subscription,
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
        tell(subscription, SLUICE_SUBSCRIPTION_GAP, SLUICE_OK, client_text(NULL),
             (uint64_t)(offset - before));
    }
    return SLUICE_OK;
}

/* -- messages -- */

static void name_message(const struct source *source, struct sluice_message *message)
{
    message->topic = (struct sluice_text){source->topic, source->topic_size};
    message->partition = source->partition;
    message->source = source->number;
}

/* Whether the subscription still wants messages. */
static bool is_listening(const struct sluice_subscription *subscription)
{
    return subscription->phase == PHASE_OPEN || subscription->phase == PHASE_WAITING;
}

/* An ephemeral subscription passes over records that it had before: those in front, as offsets
 * rise. They leave `body` and `count`. */
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

/* All records are sound and within the credit: nothing is delivered of a frame that is not. */
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

static sluice_status take_records(struct sluice_subscription *subscription,
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
        tell(subscription, SLUICE_SUBSCRIPTION_CAUGHT_UP, SLUICE_OK, client_text(NULL), 0);
    }
    return status;
}

static void free_chunks(struct sluice_subscription *subscription)
{
    while (subscription->first_chunk != NULL) {
        struct chunk *chunk = subscription->first_chunk;
        subscription->first_chunk = chunk->next;
        free(chunk);
    }
    subscription->last_chunk = NULL;
    subscription->queued_records = subscription->queued_bytes = 0;
}

/* The first chunk leaves the queue, and its memory stays until the next message is asked for. */
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

/* -- acknowledgements -- */

static struct source *source_by_number(struct sluice_subscription *subscription, uint32_t number)
{
    for (uint32_t i = 0; i < subscription->source_count; i++) {
        if (subscription->sources[i]->number == number && subscription->sources[i]->is_current) {
            return subscription->sources[i];
        }
    }
    return NULL;
}

static sluice_status queue_ack(struct sluice_subscription *subscription, sluice_done_fn *done,
                               void *arg)
{
    struct sluice_client *client = subscription->client;
    struct request *ack = calloc(1, sizeof(*ack));
    if (ack == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    const uint32_t timeout_ms = client->options.request_ms;
    ack->answer = FRAME_ACKED;
    ack->done = done;
    ack->arg = arg;
    ack->deadline_ms = timeout_ms > 0 ? client->now_ms + timeout_ms : CLIENT_NEVER;
    if (ack->deadline_ms < client->request_deadline_ms) {
        client->request_deadline_ms = ack->deadline_ms;
    }
    *(subscription->last_ack != NULL ? &subscription->last_ack->next : &subscription->first_ack) =
        ack;
    subscription->last_ack = ack;
    client->request_count++;
    return SLUICE_OK;
}

static struct request *pop_ack(struct sluice_subscription *subscription)
{
    struct request *ack = subscription->first_ack;
    if (ack != NULL) {
        subscription->first_ack = ack->next;
        if (ack->next == NULL) {
            subscription->last_ack = NULL;
        }
        subscription->client->request_count--;
    }
    return ack;
}

static void fail_acks(struct sluice_subscription *subscription, sluice_status status)
{
    const struct sluice_result result = result_of(status);
    struct request *ack;
    while ((ack = pop_ack(subscription)) != NULL) {
        request_tell(subscription->client, ack, &result);
        free(ack);
    }
}

sluice_status sluice_subscription_ack_ranges(struct sluice_subscription *subscription,
                                             uint32_t number,
                                             const struct sluice_offset_range *ranges,
                                             uint32_t count, uint32_t what, uint32_t delay_ms,
                                             sluice_done_fn *done, void *arg)
{
    struct sluice_client *client = subscription->client;
    const struct source *source = source_by_number(subscription, number);
    if (subscription->options.group.size == 0 || what > SLUICE_ACK_UP_TO || count == 0 ||
        count > RANGES_MAX) {
        return SLUICE_E_INVALID;
    }
    if (source == NULL || subscription->phase != PHASE_OPEN || !client_is_up(client)) {
        return SLUICE_E_INVALID_RECORD_STATE;
    }
    if (frame_out_size(&client->out) > client->options.pending_bytes_max ||
        (done != NULL && client->request_count >= client->options.requests_max)) {
        return SLUICE_E_WOULD_BLOCK;
    }
    client_begin(client, FRAME_ACK, done != NULL ? 1 : 0, subscription->id);
    frame_put_u8(&client->out, (uint8_t)what);
    frame_put_zeros(&client->out, 3);
    frame_put_u32(&client->out, delay_ms);
    frame_put_u32(&client->out, source->wire);
    frame_put_u32(&client->out, count);
    for (uint32_t i = 0; i < count; i++) {
        frame_put_i64(&client->out, ranges[i].first);
        frame_put_i64(&client->out, ranges[i].last);
    }
    sluice_status status = frame_end(&client->out, client->frame_max);
    client->said_ms = client->now_ms;
    return status == SLUICE_OK && done != NULL ? queue_ack(subscription, done, arg) : status;
}

sluice_status sluice_subscription_ack(struct sluice_subscription *subscription,
                                      const struct sluice_message *message, uint32_t what,
                                      uint32_t delay_ms, sluice_done_fn *done, void *arg)
{
    const struct sluice_offset_range range = {message->offset, message->offset};
    return sluice_subscription_ack_ranges(subscription, message->source, &range, 1, what, delay_ms,
                                          done, arg);
}

static sluice_status take_acked(struct sluice_subscription *subscription,
                                const struct frame_view *frame)
{
    struct frame_in body = frame->body;
    frame_skip(&body, 4);
    const uint32_t code = frame_get_u32(&body);
    if (body.failed) {
        return SLUICE_E_MALFORMED;
    }
    struct request *ack = pop_ack(subscription);
    if (ack == NULL) {
        return SLUICE_E_MALFORMED;
    }
    const struct sluice_result result =
        result_of(code <= INT32_MAX ? (sluice_status)code : SLUICE_E_INTERNAL);
    request_tell(subscription->client, ack, &result);
    free(ack);
    return SLUICE_OK;
}

/* -- what comes -- */

static void keep_why(struct sluice_subscription *subscription, sluice_status status,
                     struct sluice_text text)
{
    size_t size = text.size < CLIENT_TEXT_MAX ? (size_t)text.size : CLIENT_TEXT_MAX;
    subscription->why = status;
    if (size > 0) {
        memcpy(subscription->why_text, text.data, size);
    }
    subscription->why_text[size] = '\0';
}

static void release_id(struct sluice_subscription *subscription)
{
    struct id_slot *slot = client_slot(subscription->client, subscription->id);
    if (slot != NULL && slot->subscription == subscription) {
        *slot = (struct id_slot){0, NULL, NULL};
    }
    subscription->id = 0;
}

static void closed(struct sluice_subscription *subscription)
{
    release_id(subscription);
    subscription->phase = PHASE_CLOSED;
    subscription->client->has_closed = true;
}

static void end(struct sluice_subscription *subscription, sluice_status status,
                struct sluice_text text)
{
    if (subscription->phase == PHASE_CLOSING) {
        closed(subscription);
    } else if (subscription->phase != PHASE_ENDED && subscription->phase != PHASE_CLOSED) {
        release_id(subscription);
        keep_why(subscription, status, text);
        subscription->phase = PHASE_ENDED;
        fail_acks(subscription, status);
        tell(subscription, SLUICE_SUBSCRIPTION_ENDED, status, client_text(subscription->why_text),
             0);
    }
}

/* What was taken is given again before its half is reached; a window that is smaller than the
 * record grows to it. What is queued comes back when it is taken. */
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
        send_credit(subscription, used_records, more);
    }
}

static sluice_status take_stalled(struct sluice_subscription *subscription,
                                  const struct frame_view *frame)
{
    struct frame_in body = frame->body;
    frame_skip(&body, 4 + 8);
    const uint64_t bytes = frame_get_u64(&body);
    if (body.failed) {
        return SLUICE_E_MALFORMED;
    }
    tell(subscription, SLUICE_SUBSCRIPTION_STALLED, SLUICE_OK, client_text(NULL), bytes);
    if (!subscription->options.manual_credit && is_listening(subscription)) {
        make_room(subscription, bytes);
    }
    return SLUICE_OK;
}

static sluice_status take_end(struct sluice_subscription *subscription,
                              const struct frame_view *frame)
{
    struct frame_in body = frame->body;
    const uint32_t code = frame_get_u32(&body);
    const struct sluice_text text = frame_get_text(&body);
    if (body.failed) {
        return SLUICE_E_MALFORMED;
    }
    end(subscription, code > 0 && code <= INT32_MAX ? (sluice_status)code : SLUICE_E_INTERNAL,
        text);
    return SLUICE_OK;
}

sluice_status subscription_take(struct sluice_subscription *subscription,
                                const struct frame_view *frame)
{
    const bool is_answered = subscription->phase != PHASE_WAITING;
    if (frame->kind == FRAME_SUBSCRIBED) {
        if (subscription->phase == PHASE_WAITING && subscription->was_sent) {
            subscription->phase = PHASE_OPEN;
            tell(subscription, SLUICE_SUBSCRIPTION_OPEN, SLUICE_OK, client_text(NULL), 0);
            return SLUICE_OK;
        }
        return subscription->phase == PHASE_CLOSING ? SLUICE_OK : SLUICE_E_MALFORMED;
    }
    if (!is_answered) {
        return SLUICE_E_MALFORMED;
    }
    switch (frame->kind) {
    case FRAME_SOURCE:
        return take_source(subscription, frame);
    case FRAME_MESSAGES:
        return take_records(subscription, frame);
    case FRAME_ACKED:
        return take_acked(subscription, frame);
    case FRAME_STALLED:
        return take_stalled(subscription, frame);
    case FRAME_ENDED:
        return take_end(subscription, frame);
    case FRAME_UNSUBSCRIBED:
        if (subscription->phase != PHASE_CLOSING) {
            return SLUICE_E_MALFORMED;
        }
        closed(subscription);
        return SLUICE_OK;
    default:
        return SLUICE_E_MALFORMED;
    }
}

void subscription_take_error(struct sluice_subscription *subscription, sluice_status status,
                             struct sluice_text text)
{
    if (subscription->phase == PHASE_OPEN) { /* an acknowledgement that nobody waits for */
        tell(subscription, SLUICE_SUBSCRIPTION_ACK_FAILED, status, text, 0);
    } else if (subscription->phase != PHASE_CLOSING || status == SLUICE_E_NOT_FOUND) {
        end(subscription, status, text);
    }
}

/* -- life -- */

static void put_places(struct sluice_subscription *subscription, struct frame_out *out)
{
    const bool is_durable = subscription->options.group.size > 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < subscription->source_count && !is_durable; i++) {
        count += subscription->sources[i]->next >= 0 ? 1 : 0;
    }
    frame_put_u32(out, count);
    for (uint32_t i = 0; i < subscription->source_count && count > 0; i++) {
        const struct source *source = subscription->sources[i];
        if (source->next >= 0) {
            frame_put_bytes(out, source->topic_id.bytes, sizeof(source->topic_id.bytes));
            frame_put_i32(out, source->partition);
            frame_put_i64(out, source->next);
        }
    }
}

static uint64_t less(uint64_t whole, uint64_t part)
{
    return whole > part ? whole - part : 0;
}

static void send_subscribe(struct sluice_subscription *subscription)
{
    struct sluice_client *client = subscription->client;
    const struct sluice_subscribe *options = &subscription->options;
    struct frame_out *out = &client->out;
    if (!options->manual_credit) {
        subscription->left_records = less(options->credit_records, subscription->queued_records);
        subscription->left_bytes = less(options->credit_bytes, subscription->queued_bytes);
        subscription->used_records = subscription->used_bytes = 0;
    }
    client_begin(client, FRAME_SUBSCRIBE,
                 (uint16_t)((options->exclusive ? 1 : 0) | (options->committed ? 2 : 0)),
                 subscription->id);
    frame_put_text(out, options->pattern);
    frame_put_text(out, options->group);
    frame_put_u8(out, (uint8_t)options->start);
    frame_put_zeros(out, 3);
    frame_put_i32(out, options->partition);
    frame_put_i64(out, options->start_value);
    frame_put_u64(out, subscription->left_records);
    frame_put_u64(out, subscription->left_bytes);
    frame_put_u32(out, options->ack_ms);
    frame_put_text(out, options->filter);
    put_places(subscription, out);
    client_end(client);
    subscription->was_sent = true;
}

void subscriptions_open(struct sluice_client *client)
{
    struct sluice_subscription *next;
    for (struct sluice_subscription *one = client->subscriptions; one != NULL; one = next) {
        next = one->next;
        if (one->phase == PHASE_WAITING) {
            send_subscribe(one);
        }
    }
}

static void lose(struct sluice_subscription *subscription)
{
    const bool was_open = subscription->phase == PHASE_OPEN;
    const bool is_durable = subscription->options.group.size > 0;
    if (subscription->phase == PHASE_CLOSING) {
        closed(subscription);
    }
    subscription->was_sent = false;
    subscription->last_source = NULL;
    for (uint32_t i = 0; i < subscription->source_count; i++) {
        subscription->sources[i]->is_current = false;
    }
    if (is_durable && was_open) {
        if (subscription->options.manual_credit) {
            subscription->left_records += subscription->queued_records;
            subscription->left_bytes += subscription->queued_bytes;
        }
        free_chunks(subscription);
    }
    if (was_open) {
        subscription->phase = PHASE_WAITING;
        fail_acks(subscription, SLUICE_E_NETWORK);
        tell(subscription, SLUICE_SUBSCRIPTION_LOST, SLUICE_E_NETWORK,
             client_text(sluice_status_text(SLUICE_E_NETWORK)), 0);
    }
}

void subscriptions_lose(struct sluice_client *client)
{
    for (struct sluice_subscription *one = client->subscriptions; one != NULL; one = one->next) {
        lose(one);
    }
}

void subscriptions_end(struct sluice_client *client, sluice_status status, struct sluice_text text)
{
    for (struct sluice_subscription *one = client->subscriptions; one != NULL; one = one->next) {
        end(one, status, text);
    }
}

void subscriptions_tick(struct sluice_client *client)
{
    const struct sluice_result result = result_of(SLUICE_E_TIMEOUT);
    for (struct sluice_subscription *one = client->subscriptions; one != NULL; one = one->next) {
        for (struct request *ack = one->first_ack; ack != NULL; ack = ack->next) {
            if (ack->deadline_ms <= client->now_ms) {
                request_tell(client, ack, &result); /* it stays, for ACKED is still to come */
            } else if (ack->deadline_ms < client->request_deadline_ms) {
                client->request_deadline_ms = ack->deadline_ms;
            }
        }
    }
}

static void free_one(struct sluice_subscription *subscription)
{
    struct request *ack;
    while ((ack = pop_ack(subscription)) != NULL) {
        free(ack);
    }
    release_id(subscription);
    free_chunks(subscription);
    free(subscription->held_chunk);
    for (uint32_t i = 0; i < subscription->source_count; i++) {
        free(subscription->sources[i]->topic);
        free(subscription->sources[i]);
    }
    free(subscription->sources);
    free((char *)subscription->options.pattern.data);
    subscription->client->subscription_count--;
    free(subscription);
}

void subscriptions_free(struct sluice_client *client, bool all)
{
    struct sluice_subscription **at = &client->subscriptions;
    client->has_closed = false;
    while (*at != NULL) {
        struct sluice_subscription *one = *at;
        if (all || one->phase == PHASE_CLOSED) {
            *at = one->next;
            free_one(one);
        } else {
            at = &one->next;
        }
    }
}

/* Pattern, group and filter into one piece of memory. */
static bool copy_texts(struct sluice_subscribe *options)
{
    struct sluice_text *texts[3] = {&options->pattern, &options->group, &options->filter};
    char *memory =
        malloc((size_t)(options->pattern.size + options->group.size + options->filter.size + 1));
    if (memory == NULL) {
        return false;
    }
    for (size_t i = 0; i < 3; i++) {
        if (texts[i]->size > 0) {
            memcpy(memory, texts[i]->data, (size_t)texts[i]->size);
        }
        texts[i]->data = memory;
        memory += texts[i]->size;
    }
    return true;
}

static bool subscribe_is_valid(const struct sluice_subscribe *options)
{
    return options->size >= sizeof(*options) && options->pattern.size > 0 &&
           options->pattern.size <= UINT16_MAX && options->group.size <= UINT16_MAX &&
           options->filter.size <= UINT16_MAX && options->start <= SLUICE_START_LAST_PER_KEY &&
           options->credit_records <= CREDIT_MAX && options->credit_bytes <= CREDIT_MAX &&
           (options->manual_credit || (options->credit_records > 0 && options->credit_bytes > 0));
}

sluice_status sluice_client_subscribe(struct sluice_client *client,
                                      const struct sluice_subscribe *options,
                                      struct sluice_subscription **ret_subscription)
{
    if (!subscribe_is_valid(options)) {
        return SLUICE_E_INVALID;
    }
    if (client->is_stopping || client->is_final) {
        return SLUICE_E_CANCELLED;
    }
    if (client->subscription_count >= client->options.subscriptions_max) {
        return SLUICE_E_LIMIT;
    }
    struct sluice_subscription *subscription = calloc(1, sizeof(*subscription));
    if (subscription == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    subscription->options = *options;
    if (!copy_texts(&subscription->options)) {
        free(subscription);
        return SLUICE_E_NO_MEMORY;
    }
    subscription->client = client;
    subscription->phase = PHASE_WAITING;
    subscription->left_records = options->credit_records;
    subscription->left_bytes = options->credit_bytes;
    struct id_slot *slot = client_slot_take(client);
    slot->subscription = subscription;
    subscription->id = slot->id;
    struct sluice_subscription **at = &client->subscriptions;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = subscription;
    client->subscription_count++;
    if (client_is_up(client)) {
        send_subscribe(subscription);
    }
    *ret_subscription = subscription;
    return SLUICE_OK;
}

bool sluice_subscription_is_open(const struct sluice_subscription *subscription)
{
    return subscription->phase == PHASE_OPEN;
}

void sluice_subscription_close(struct sluice_subscription *subscription)
{
    if (subscription == NULL) {
        return;
    }
    struct sluice_client *client = subscription->client;
    for (struct request *ack = subscription->first_ack; ack != NULL; ack = ack->next) {
        ack->done = NULL; /* no callback follows */
    }
    if (subscription->was_sent && subscription->phase != PHASE_ENDED &&
        subscription->phase != PHASE_CLOSED) {
        subscription->phase = PHASE_CLOSING;
        if (client_is_up(client)) {
            client_begin(client, FRAME_UNSUBSCRIBE, 0, subscription->id);
            client_end(client);
        }
    } else {
        closed(subscription);
    }
    client_sweep(client);
}
