/* client.c: life and time of a client: connections that come and go, what is to be sent, deadlines.
 *
 *   IDLE → (wants a connection) → connected → GREETING → READY → disconnected → WAITING → …
 *
 * No input or output is done here, and no clock is read: the transport says what happened and when.
 */
#include "client_state.h"

#include <sluice/status_row.h>
#include <stdlib.h>
#include <string.h>

#define REQUESTS_LIMIT (1u << 20)
#define LOOK_US_LIMIT  1000000u
#define SOFTWARE       "libsluice 1"
#define SMALL_MAX      (16u << 20) /* of a frame before the server has told its bound */

struct sluice_client_options sluice_client_defaults(void)
{
    return (struct sluice_client_options){
        .size = sizeof(struct sluice_client_options),
        .requests_max = 1024,
        .client_id = "libsluice",
        .pending_bytes_max = 8u << 20,
        .frame_bytes_max = 16u << 20,
        .subscriptions_max = 1024,
        .greeting_ms = 10000,
        .request_ms = 30000,
        .keepalive_ms = 15000,
        .backoff_min_ms = 100,
        .backoff_max_ms = 10000,
        .look_us = 50,
    };
}

struct sluice_text client_text(const char *text)
{
    return sluice_text_of(text);
}

static bool text_fits(const char *text)
{
    return text == NULL || strlen(text) <= CLIENT_TEXT_MAX;
}

static bool token_fits(const char *token)
{
    return token == NULL || strlen(token) <= LOGIN_TOKEN_MAX;
}

static bool options_are_valid(const struct sluice_client_options *options)
{
    return options->size >= sizeof(*options) && options->requests_max > 0 &&
           options->requests_max <= REQUESTS_LIMIT && options->subscriptions_max > 0 &&
           options->subscriptions_max <= REQUESTS_LIMIT && options->frame_bytes_max >= 1024 &&
           options->pending_bytes_max >= 1024 && text_fits(options->client_id) &&
           text_fits(options->user) && text_fits(options->password) &&
           text_fits(options->mechanism) && token_fits(options->token) &&
           (options->user == NULL || options->password != NULL) &&
           options->backoff_max_ms >= options->backoff_min_ms && options->look_us <= LOOK_US_LIMIT;
}

/* A copy of a text; *failed when there is no memory. */
static const char *copy_text(const char *text, bool *failed)
{
    char *copy = text != NULL ? strdup(text) : NULL;
    *failed = *failed || (text != NULL && copy == NULL);
    return copy;
}

static void free_secret(const char *secret)
{
    if (secret != NULL) {
        explicit_bzero((char *)secret, strlen(secret));
        free((char *)secret);
    }
}

static void free_options(struct sluice_client_options *options)
{
    free_secret(options->password);
    free_secret(options->token);
    free((char *)options->client_id);
    free((char *)options->user);
    free((char *)options->mechanism);
}

sluice_status sluice_client_new(const struct sluice_client_options *options,
                                struct sluice_client **ret_client)
{
    if (!options_are_valid(options)) {
        return SLUICE_E_INVALID;
    }
    struct sluice_client *client = calloc(1, sizeof(*client));
    if (client == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    uint32_t slots = 8;
    while (slots < options->requests_max + options->subscriptions_max + 8) {
        slots *= 2;
    }
    bool failed = false;
    client->options = *options;
    client->options.client_id = copy_text(options->client_id, &failed);
    client->options.user = copy_text(options->user, &failed);
    client->options.password = copy_text(options->password, &failed);
    client->options.mechanism = copy_text(options->mechanism, &failed);
    client->options.token = copy_text(options->token, &failed);
    client->slots = calloc(slots, sizeof(*client->slots));
    if (client->slots == NULL || failed) {
        free_options(&client->options);
        free(client->slots);
        free(client);
        return SLUICE_E_NO_MEMORY;
    }
    client->slot_mask = slots - 1;
    client->want = SLUICE_WANT_CONNECT;
    client->backoff_ms = options->backoff_min_ms;
    client->state_deadline_ms = client->request_deadline_ms = CLIENT_NEVER;
    client->jitter = (uint32_t)((uintptr_t)client >> 4) | 1u;
    *ret_client = client;
    return SLUICE_OK;
}

sluice_status sluice_client_set_token(struct sluice_client *client, const char *token)
{
    bool failed = false;
    if (token == NULL || !token_fits(token)) {
        return SLUICE_E_INVALID;
    }
    const char *copy = copy_text(token, &failed);
    if (failed) {
        return SLUICE_E_NO_MEMORY;
    }
    free_secret(client->options.token);
    client->options.token = copy;
    return SLUICE_OK;
}

/* Everybody who waits is told, for good. */
static void end_all(struct sluice_client *client, sluice_status status, struct sluice_text text)
{
    requests_fail(client, status, text, true);
    subscriptions_end(client, status, text);
    client->request_deadline_ms = CLIENT_NEVER;
}

void sluice_client_free(struct sluice_client *client)
{
    if (client == NULL) {
        return;
    }
    client->is_stopping = client->is_final = true;
    client->state = SLUICE_CLIENT_IDLE;
    client->depth++;
    end_all(client, SLUICE_E_CANCELLED, client_text("the client was closed"));
    client->depth--;
    subscriptions_free(client, true);
    frame_out_fini(&client->out);
    frame_out_fini(&client->scratch);
    explicit_bzero(&client->login, sizeof(client->login));
    free(client->input);
    free(client->slots);
    free_options(&client->options);
    free(client);
}

int64_t sluice_client_throttled_ms(const struct sluice_client *client, uint32_t what)
{
    const int64_t until_ms =
        what == SLUICE_THROTTLED_PUSHES ? client->held_until_ms : client->muted_until_ms;
    return until_ms > client->now_ms ? until_ms - client->now_ms : 0;
}

uint32_t sluice_client_state(const struct sluice_client *client)
{
    return client->state;
}

uint32_t sluice_client_wants(const struct sluice_client *client)
{
    return client->want;
}

bool client_is_up(const struct sluice_client *client)
{
    return client->state == SLUICE_CLIENT_READY && client->want == SLUICE_WANT_NOTHING;
}

static void set_state(struct sluice_client *client, uint32_t state, int64_t deadline_ms,
                      sluice_status why, struct sluice_text text)
{
    client->state = state;
    client->state_deadline_ms = deadline_ms;
    if (client->options.on_state != NULL) {
        client->depth++;
        client->options.on_state(client->options.arg, client, state, why, text);
        client->depth--;
    }
}

sluice_status client_break(struct sluice_client *client, sluice_status status,
                           struct sluice_text text, bool is_final)
{
    if (client->want != SLUICE_WANT_CLOSE) {
        size_t size = text.size < CLIENT_TEXT_MAX ? (size_t)text.size : CLIENT_TEXT_MAX;
        client->why = status;
        if (size > 0) {
            memcpy(client->why_text, text.data, size);
        }
        client->why_text[size] = '\0';
        client->is_final = client->is_final || is_final;
        client->want = SLUICE_WANT_CLOSE;
    }
    return client->why;
}

void client_sweep(struct sluice_client *client)
{
    if (client->depth == 0 && client->has_closed) {
        subscriptions_free(client, false);
    }
}

/* -- frames that the client sends by itself -- */

void client_begin(struct sluice_client *client, uint16_t kind, uint16_t flags, uint32_t id)
{
    frame_begin(&client->out, kind, flags, id,
                (size_t)client->options.pending_bytes_max + CLIENT_RESERVE_BYTES);
}

void client_end(struct sluice_client *client)
{
    sluice_status status =
        frame_end(&client->out, client->frame_max > 0 ? client->frame_max : SMALL_MAX);
    client->said_ms = client->now_ms;
    if (status != SLUICE_OK) {
        (void)client_break(client, status == SLUICE_E_WOULD_BLOCK ? SLUICE_E_LIMIT : status,
                           client_text("no room for what has to be sent"), false);
    }
}

static void say_hello(struct sluice_client *client)
{
    struct id_slot *slot = client_slot_take(client);
    client->greeting_id = slot->id; /* no slot is held: nothing else can have it before WELCOME */
    client_begin(client, FRAME_HELLO, 0, client->greeting_id);
    frame_put_u32(&client->out, FRAME_MAGIC);
    frame_put_u16(&client->out, 1);
    frame_put_u16(&client->out, 1);
    frame_put_text(&client->out, client_text(client->options.client_id));
    frame_put_text(&client->out, client_text(SOFTWARE));
    client_end(client);
    slot->id = 0;
}

static void ask_for_life(struct sluice_client *client)
{
    struct id_slot *slot = client_slot_take(client); /* nobody waits for its PONG */
    client_begin(client, FRAME_PING, 0, slot->id);
    client_end(client);
    slot->id = 0;
}

/* -- connections -- */

/* What was asked before the clock was known has its time from then on. */
static void set_now(struct sluice_client *client, int64_t now_ms)
{
    if (!client->has_time) {
        client->has_time = true;
        requests_shift(client, now_ms);
    }
    client->now_ms = now_ms;
}

void sluice_client_connected(struct sluice_client *client, int64_t now_ms)
{
    set_now(client, now_ms);
    client->heard_ms = client->said_ms = now_ms;
    client->muted_until_ms = client->held_until_ms = 0;
    client->want = client->is_stopping ? SLUICE_WANT_CLOSE : SLUICE_WANT_NOTHING;
    client->is_asked = false;
    client->why = SLUICE_OK;
    client->again_ms = 0;
    client->frame_max = client->heartbeat_ms = 0;
    memset(&client->login, 0, sizeof(client->login));
    frame_out_drop(&client->out, frame_out_size(&client->out));
    client->input_size = 0;
    say_hello(client);
    set_state(client, SLUICE_CLIENT_GREETING, now_ms + client->options.greeting_ms, SLUICE_OK,
              client_text(NULL));
}

void client_ready(struct sluice_client *client)
{
    client->backoff_ms = client->options.backoff_min_ms;
    client->greeting_id = 0;
    explicit_bzero(&client->login, sizeof(client->login));
    client->state = SLUICE_CLIENT_READY;
    subscriptions_open(client);
    requests_send(client);
    set_state(client, SLUICE_CLIENT_READY, CLIENT_NEVER, SLUICE_OK, client_text(NULL));
}

/* xorshift: attempts of many clients do not fall together. */
static uint32_t next_jitter(struct sluice_client *client, uint32_t below)
{
    client->jitter ^= client->jitter << 13;
    client->jitter ^= client->jitter >> 17;
    client->jitter ^= client->jitter << 5;
    return below > 0 ? client->jitter % below : 0;
}

static void wait_for_next(struct sluice_client *client, sluice_status why, struct sluice_text text)
{
    uint32_t pause = client->backoff_ms - client->backoff_ms / 4;
    pause += next_jitter(client, client->backoff_ms / 4 + 1);
    pause = pause > client->again_ms ? pause : client->again_ms;
    uint32_t most = client->options.backoff_max_ms;
    client->backoff_ms = client->backoff_ms > most / 2 ? most : client->backoff_ms * 2;
    set_state(client, SLUICE_CLIENT_WAITING, client->now_ms + pause, why, text);
}

static void end_now(struct sluice_client *client, sluice_status why)
{
    char text[CLIENT_TEXT_MAX + 1];
    bool has_why = client->why != SLUICE_OK;
    if (client->is_stopping) {
        why = SLUICE_E_CANCELLED;
    } else if (has_why) {
        why = client->why;
    }
    memcpy(text, has_why ? client->why_text : "", has_why ? sizeof(text) : 1);
    const struct sluice_text words = client_text(text[0] != '\0' ? text : sluice_status_text(why));
    client->is_final =
        client->is_final || client->is_stopping || client->options.backoff_min_ms == 0;
    client->want = SLUICE_WANT_NOTHING;
    client->why = SLUICE_OK;
    frame_out_drop(&client->out, frame_out_size(&client->out));
    client->input_size = 0;
    client->state = client->is_final ? SLUICE_CLIENT_IDLE : SLUICE_CLIENT_WAITING;
    client->depth++;
    requests_fail(client, client->is_stopping ? why : SLUICE_E_NETWORK, words, false);
    subscriptions_lose(client);
    if (client->is_final) {
        end_all(client, why, words);
        set_state(client, SLUICE_CLIENT_IDLE, CLIENT_NEVER, why, words);
    } else {
        wait_for_next(client, why, words);
    }
    client->depth--;
    client_sweep(client);
}

void sluice_client_disconnected(struct sluice_client *client, sluice_status why, int64_t now_ms)
{
    set_now(client, now_ms);
    end_now(client, why);
}

void sluice_client_stop(struct sluice_client *client)
{
    client->is_stopping = true;
    if (client->state == SLUICE_CLIENT_WAITING || client->state == SLUICE_CLIENT_IDLE) {
        client->want = SLUICE_WANT_NOTHING;
        end_now(client, SLUICE_E_CANCELLED);
    } else {
        client->want = SLUICE_WANT_CLOSE;
    }
}

/* -- bytes -- */

static bool keep_input(struct sluice_client *client, const uint8_t *data, size_t size)
{
    size_t capacity = client->input_capacity;
    if (client->input_size + size > capacity) {
        capacity = capacity < CLIENT_PART_BYTES ? CLIENT_PART_BYTES : capacity;
        while (capacity < client->input_size + size) {
            capacity *= 2;
        }
        uint8_t *input = realloc(client->input, capacity);
        if (input == NULL) {
            return false;
        }
        client->input = input;
        client->input_capacity = capacity;
    }
    memcpy(client->input + client->input_size, data, size);
    client->input_size += size;
    return true;
}

/* The size of the frame whose first bytes these are, 0: more are needed; or an error. */
static sluice_status frame_size_of(const struct sluice_client *client, const uint8_t *data,
                                   size_t size, size_t *ret_size)
{
    *ret_size = 0;
    if (size < 4) {
        return SLUICE_OK;
    }
    struct frame_in in = frame_in_of(data, 4);
    uint64_t whole = 4 + (uint64_t)frame_get_u32(&in);
    if (whole < FRAME_HEAD_BYTES) {
        return SLUICE_E_MALFORMED;
    }
    if (whole > client->options.frame_bytes_max) {
        return SLUICE_E_FRAME_TOO_LARGE;
    }
    *ret_size = (size_t)whole;
    return SLUICE_OK;
}

static sluice_status take_one(struct sluice_client *client, const uint8_t *data, size_t size)
{
    struct frame_view frame = {.body = frame_in_of(data, size)};
    frame_skip(&frame.body, 4);
    frame.kind = frame_get_u16(&frame.body);
    frame.flags = frame_get_u16(&frame.body);
    frame.id = frame_get_u32(&frame.body);
    sluice_status status = client_take_frame(client, &frame);
    if (status != SLUICE_OK) {
        return client_break(client, status, client_text(sluice_status_text(status)), false);
    }
    return client->want == SLUICE_WANT_CLOSE ? client->why : SLUICE_OK;
}

/* Whole frames in what was given; *ret_used bytes of it. */
static sluice_status take_whole(struct sluice_client *client, const uint8_t *data, size_t size,
                                size_t *ret_used)
{
    size_t at = 0;
    sluice_status status = SLUICE_OK;
    while (status == SLUICE_OK && client->want != SLUICE_WANT_CLOSE) {
        size_t frame;
        status = frame_size_of(client, data + at, size - at, &frame);
        if (status != SLUICE_OK) {
            status = client_break(client, status, client_text(sluice_status_text(status)), false);
        } else if (frame == 0 || frame > size - at) {
            break;
        } else {
            status = take_one(client, data + at, frame);
            at += frame;
        }
    }
    *ret_used = at;
    return status;
}

/* Completes the frame of which a part was kept. Gives how many of the bytes it took. */
static sluice_status take_kept(struct sluice_client *client, const uint8_t *data, size_t size,
                               size_t *ret_used)
{
    size_t used = 0;
    while (client->input_size > 0 && used < size) {
        size_t frame;
        sluice_status status = frame_size_of(client, client->input, client->input_size, &frame);
        size_t wanted = frame == 0 ? 4 : frame;
        if (status == SLUICE_OK) {
            size_t part = wanted - client->input_size;
            part = part < size - used ? part : size - used;
            if (!keep_input(client, data + used, part)) {
                return client_break(client, SLUICE_E_NO_MEMORY, client_text("out of memory"),
                                    false);
            }
            used += part;
            status = frame_size_of(client, client->input, client->input_size, &frame);
        }
        if (status != SLUICE_OK) {
            return client_break(client, status, client_text(sluice_status_text(status)), false);
        }
        if (frame > 0 && client->input_size == frame) {
            client->input_size = 0;
            status = take_one(client, client->input, frame);
            if (status != SLUICE_OK) {
                return status;
            }
        }
    }
    *ret_used = used;
    return SLUICE_OK;
}

sluice_status sluice_client_feed(struct sluice_client *client, const void *data, uint64_t size,
                                 int64_t now_ms)
{
    const uint8_t *bytes = data;
    size_t used = 0;
    set_now(client, now_ms);
    client->heard_ms = now_ms;
    client->is_asked = false;
    if (client->want == SLUICE_WANT_CLOSE) {
        return client->why != SLUICE_OK ? client->why : SLUICE_E_CANCELLED;
    }
    if (client->state == SLUICE_CLIENT_IDLE || client->state == SLUICE_CLIENT_WAITING) {
        return SLUICE_E_INVALID;
    }
    client->depth++;
    sluice_status status = take_kept(client, bytes, (size_t)size, &used);
    if (status == SLUICE_OK) {
        bytes += used;
        size -= used;
        status = take_whole(client, bytes, (size_t)size, &used);
    }
    if (status == SLUICE_OK && used < size && client->want != SLUICE_WANT_CLOSE &&
        !keep_input(client, bytes + used, (size_t)size - used)) {
        status = client_break(client, SLUICE_E_NO_MEMORY, client_text("out of memory"), false);
    }
    client->depth--;
    client_sweep(client);
    return status;
}

struct sluice_bytes sluice_client_pending(struct sluice_client *client)
{
    const size_t size = frame_out_size(&client->out);
    return (struct sluice_bytes){size > 0 ? client->out.data + client->out.begin : NULL, size};
}

void sluice_client_sent(struct sluice_client *client, uint64_t size)
{
    frame_out_drop(&client->out, (size_t)size);
}

/* -- time -- */

/* Since when it could have said something: who does not read answers no PING. */
static int64_t silent_since_ms(const struct sluice_client *client)
{
    return client->muted_until_ms > client->heard_ms ? client->muted_until_ms : client->heard_ms;
}

/* When the server is to hear something, or is to be asked whether it is there. */
static int64_t next_ping_ms(const struct sluice_client *client)
{
    int64_t at = CLIENT_NEVER;
    if (client->state != SLUICE_CLIENT_READY) {
        return at;
    }
    if (client->heartbeat_ms > 0) {
        at = client->said_ms + client->heartbeat_ms / 3;
    }
    if (client->options.keepalive_ms > 0) {
        int64_t ask = silent_since_ms(client) +
                      (client->is_asked ? 2 : 1) * (int64_t)client->options.keepalive_ms;
        at = ask < at ? ask : at;
    }
    return at;
}

int64_t sluice_client_deadline(const struct sluice_client *client)
{
    int64_t at = next_ping_ms(client);
    at = client->state_deadline_ms < at ? client->state_deadline_ms : at;
    return client->request_deadline_ms < at ? client->request_deadline_ms : at;
}

static void tick_state(struct sluice_client *client)
{
    if (client->now_ms < client->state_deadline_ms) {
        return;
    }
    client->state_deadline_ms = CLIENT_NEVER;
    if (client->state == SLUICE_CLIENT_WAITING) {
        client->want = SLUICE_WANT_CONNECT;
    } else if (client->state == SLUICE_CLIENT_GREETING) {
        (void)client_break(client, SLUICE_E_TIMEOUT, client_text("the server does not greet"),
                           false);
    } else if (client->state == SLUICE_CLIENT_LEAVING) {
        client->want = SLUICE_WANT_CLOSE;
    }
}

static void tick_keepalive(struct sluice_client *client)
{
    const int64_t keepalive = client->options.keepalive_ms;
    if (client->now_ms < next_ping_ms(client)) {
        return;
    }
    if (keepalive > 0 && client->is_asked &&
        client->now_ms >= silent_since_ms(client) + 2 * keepalive) {
        (void)client_break(client, SLUICE_E_TIMEOUT, client_text("the server has fallen silent"),
                           false);
        return;
    }
    client->is_asked = client->is_asked ||
                       (keepalive > 0 && client->now_ms >= silent_since_ms(client) + keepalive);
    ask_for_life(client);
}

void sluice_client_tick(struct sluice_client *client, int64_t now_ms)
{
    set_now(client, now_ms);
    tick_state(client);
    client->depth++;
    if (now_ms >= client->request_deadline_ms) {
        client->request_deadline_ms = CLIENT_NEVER;
        requests_tick(client);
        subscriptions_tick(client);
    }
    client->depth--;
    if (client->want == SLUICE_WANT_NOTHING) {
        tick_keepalive(client);
    }
    client_sweep(client);
}

/* -- errors -- */

const char *sluice_status_text(sluice_status status)
{
    const struct sluice_status_row *row = sluice_status_row_of(status);
    return row == NULL ? "unknown error" : row->text;
}
