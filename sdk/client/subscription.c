/* subscription.c: the life of a subscription over as many connections as it
 * takes.
 *
 * An ephemeral one remembers where it stands in each partition and tells the
 * server when it subscribes again. What a durable one holds when the connection
 * ends is the broker's to give again: it is dropped here. */
#include "subscription_state.h"

#include <stdlib.h>
#include <string.h>

#define CREDIT_MAX (UINT64_C(1) << 62)

/* -- telling -- */

void subscription_tell(struct sluice_subscription *subscription, uint32_t event,
                       sluice_status status, struct sluice_text text, uint64_t value)
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
        subscription_fail_acks(subscription, status);
        subscription_tell(subscription, SLUICE_SUBSCRIPTION_ENDED, status,
                          client_text(subscription->why_text), 0);
    }
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
            subscription_tell(subscription, SLUICE_SUBSCRIPTION_OPEN, SLUICE_OK, client_text(NULL),
                              0);
            return SLUICE_OK;
        }
        return subscription->phase == PHASE_CLOSING ? SLUICE_OK : SLUICE_E_MALFORMED;
    }
    if (!is_answered) {
        return SLUICE_E_MALFORMED;
    }
    switch (frame->kind) {
    case FRAME_SOURCE:
        return subscription_take_source(subscription, frame);
    case FRAME_MESSAGES:
        return subscription_take_records(subscription, frame);
    case FRAME_ACKED:
        return subscription_take_acked(subscription, frame);
    case FRAME_STALLED:
        return subscription_take_stalled(subscription, frame);
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
        subscription_tell(subscription, SLUICE_SUBSCRIPTION_ACK_FAILED, status, text, 0);
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
        subscription_drop_queue(subscription);
    }
    if (was_open) {
        subscription->phase = PHASE_WAITING;
        subscription_fail_acks(subscription, SLUICE_E_NETWORK);
        subscription_tell(subscription, SLUICE_SUBSCRIPTION_LOST, SLUICE_E_NETWORK,
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
    while ((ack = subscription_pop_ack(subscription)) != NULL) {
        free(ack);
    }
    release_id(subscription);
    subscription_drop_queue(subscription);
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
