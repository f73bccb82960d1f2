/* subscription_acks.c: acknowledgements. Those with a callback wait in the
 * order in which they were sent, as the server answers them in it. */
#include "subscription_state.h"

#include <stdlib.h>
#include <string.h>

#define RANGES_MAX 65536u

/* -- acknowledgements -- */

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

struct request *subscription_pop_ack(struct sluice_subscription *subscription)
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

void subscription_fail_acks(struct sluice_subscription *subscription, sluice_status status)
{
    const struct sluice_result result = result_of(status);
    struct request *ack;
    while ((ack = subscription_pop_ack(subscription)) != NULL) {
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
    const struct source *source = subscription_source(subscription, number);
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

sluice_status subscription_take_acked(struct sluice_subscription *subscription,
                                      const struct frame_view *frame)
{
    struct frame_in body = frame->body;
    frame_skip(&body, 4);
    const uint32_t code = frame_get_u32(&body);
    if (body.failed) {
        return SLUICE_E_MALFORMED;
    }
    struct request *ack = subscription_pop_ack(subscription);
    if (ack == NULL) {
        return SLUICE_E_MALFORMED;
    }
    const struct sluice_result result =
        result_of(code <= INT32_MAX ? (sluice_status)code : SLUICE_E_INTERNAL);
    request_tell(subscription->client, ack, &result);
    free(ack);
    return SLUICE_OK;
}
