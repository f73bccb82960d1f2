/* load_native.c: the native protocol through libsluice's client without a connection. */
#include "load/load_peer.h"

#include <sluice/client.h>
#include <stdio.h>

#define CREDIT_RECORDS 200000u
#define CREDIT_BYTES   (32u << 20)

struct call {
    struct load_native *native;
    uint32_t token;
};

struct load_native {
    struct load_peer base;
    struct sluice_client *client;
    sluice_status ended;                  /* why the client or its subscription did */
    struct call calls[LOAD_REQUESTS_MAX]; /* by token */
};

static struct load_native *native_of(struct load_peer *peer)
{
    return SL_CONTAINER_OF(peer, struct load_native, base);
}

static int64_t now_ms(struct load_peer *peer)
{
    return sl_os_mono_ns(peer->os) / 1000000;
}

static void say(struct load_native *native, struct sluice_text text, sluice_status status)
{
    native->ended = native->ended == SLUICE_OK ? status : native->ended;
    if (native->base.text[0] == '\0' && text.size > 0) {
        snprintf(native->base.text, LOAD_TEXT_BYTES, "%.*s", (int)SL_MIN(text.size, 400u),
                 text.data);
    } else if (native->base.text[0] == '\0') {
        snprintf(native->base.text, LOAD_TEXT_BYTES, "%s", sluice_status_text(status));
    }
}

/* The client is told to end for good when its connection goes. */
static void state_changed(void *arg, struct sluice_client *client, uint32_t state,
                          sluice_status why, struct sluice_text text)
{
    (void)client;
    if (state == SLUICE_CLIENT_IDLE && why != SLUICE_OK) {
        say(arg, text, why);
    }
}

static void native_free(struct load_peer *peer)
{
    struct load_native *native = native_of(peer);
    native->base.events.answered = NULL; /* what is under way ends, and nobody wants to know */
    sluice_client_free(native->client);
    sl_free(native);
}

static void login_take(const struct load_security *security, struct sluice_client_options *options)
{
    if (security != NULL) {
        options->user = security->user;
        options->password = security->password;
        options->mechanism = security->mechanism;
        options->token = security->token;
        options->hash = security->hash;
    }
}

static sl_err native_make(struct sl_os *os, const struct load_target *target,
                          const struct load_events *events, struct load_peer **ret_peer)
{
    struct load_native *native = sl_alloc_zero(1, sizeof(*native));
    struct sluice_client_options options = sluice_client_defaults();
    if (native == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    native->base = (struct load_peer){
        .ops = &load_native_peer, .os = os, .target = *target, .events = *events};
    login_take(target->security, &options);
    options.client_id = target->client_id;
    options.requests_max = LOAD_REQUESTS_MAX;
    options.pending_bytes_max = LOAD_PENDING_BYTES;
    options.frame_bytes_max = LOAD_ANSWER_BYTES;
    options.backoff_min_ms = 0;
    options.request_ms = 0; /* how long an answer takes is what is measured */
    options.on_state = state_changed;
    options.arg = native;
    sl_err err = sluice_client_new(&options, &native->client);
    if (err != SLUICE_OK) {
        sl_free(native);
        return err;
    }
    sluice_client_connected(native->client, now_ms(&native->base));
    *ret_peer = &native->base;
    return SLUICE_OK;
}

static void published(void *arg, const struct sluice_result *result)
{
    const struct call *call = arg;
    const struct load_events *events = &call->native->base.events;
    char text[LOAD_TEXT_BYTES];
    if (events->answered != NULL) {
        snprintf(text, sizeof(text), "%.*s", (int)SL_MIN(result->text.size, 400u),
                 result->text.size > 0 ? result->text.data : "");
        events->answered(events->arg, call->token, result->status, text);
    }
}

static sl_err native_publish(struct load_peer *peer, const struct load_request *request)
{
    struct load_native *native = native_of(peer);
    struct call *call = &native->calls[request->token];
    struct sluice_publish publish = sluice_publish_to(peer->target.topic);
    struct sluice_message_batch *batch = NULL;
    publish.partition = request->partition;
    sl_err err = sluice_message_batch_new(&batch);
    for (uint32_t i = 0; i < request->count && err == SLUICE_OK; i++) {
        struct sl_bytes value =
            load_maker_next(request->maker, request->first_sequence + i, request->due_ns);
        struct sluice_message message =
            sluice_message_of(peer->target.topic, value.data, value.size);
        err = sluice_message_batch_add(batch, &message);
    }
    *call = (struct call){native, request->token};
    err = err == SLUICE_OK ? sluice_client_publish(native->client, &publish, batch, published, call)
                           : err;
    sluice_message_batch_free(batch);
    return err;
}

static void message_came(void *arg, struct sluice_subscription *subscription,
                         const struct sluice_message *message)
{
    const struct load_native *native = arg;
    (void)subscription;
    native->base.events.record(native->base.events.arg,
                               (struct sl_bytes){message->value.data, (size_t)message->value.size});
}

static void subscription_told(void *arg, struct sluice_subscription *subscription, uint32_t event,
                              sluice_status status, struct sluice_text text, uint64_t value)
{
    (void)subscription;
    (void)value;
    if (event == SLUICE_SUBSCRIPTION_ENDED) {
        say(arg, text, status);
    }
}

static sl_err native_subscribe(struct load_peer *peer, int32_t partition, int64_t offset)
{
    struct load_native *native = native_of(peer);
    struct sluice_subscribe subscribe = sluice_subscribe_to(peer->target.topic);
    struct sluice_subscription *subscription;
    subscribe.partition = partition;
    subscribe.start = SLUICE_START_OFFSET;
    subscribe.start_value = offset;
    subscribe.credit_records = CREDIT_RECORDS;
    subscribe.credit_bytes = CREDIT_BYTES;
    subscribe.on_message = message_came;
    subscribe.on_event = subscription_told;
    subscribe.arg = native;
    return sluice_client_subscribe(native->client, &subscribe, &subscription);
}

static struct sl_bytes native_pending(struct load_peer *peer)
{
    struct sluice_client *client = native_of(peer)->client;
    sluice_client_tick(client, now_ms(peer));
    struct sluice_bytes pending = sluice_client_pending(client);
    return (struct sl_bytes){pending.data, (size_t)pending.size};
}

static void native_sent(struct load_peer *peer, size_t size)
{
    sluice_client_sent(native_of(peer)->client, size);
}

static sl_err native_feed(struct load_peer *peer, struct sl_bytes bytes)
{
    struct load_native *native = native_of(peer);
    sl_err err = sluice_client_feed(native->client, bytes.data, bytes.size, now_ms(peer));
    if (err == SLUICE_OK && (peer->text[0] != '\0' || sluice_client_wants(native->client) != 0)) {
        err = native->ended != SLUICE_OK ? native->ended : SLUICE_E_NETWORK;
    }
    if (err != SLUICE_OK) {
        say(native, sluice_text_of(NULL), err);
    }
    return err;
}

static bool native_is_ready(struct load_peer *peer)
{
    return sluice_client_state(native_of(peer)->client) == SLUICE_CLIENT_READY;
}

const struct load_peer_ops load_native_peer = {.name = "native",
                                               .make = native_make,
                                               .is_ready = native_is_ready,
                                               .publish = native_publish,
                                               .subscribe = native_subscribe,
                                               .pending = native_pending,
                                               .sent = native_sent,
                                               .feed = native_feed,
                                               .free = native_free};
