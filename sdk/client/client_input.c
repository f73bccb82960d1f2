/* client_input.c: frames from the server: who they are for, and what they do. One row a kind. What
 * a server may not send, and a body that is too short, ends the connection with SLUICE_E_MALFORMED.
 */
#include "client_state.h"

#include "record_io.h"

#include <stdlib.h>
#include <string.h>

typedef sluice_status take_fn(struct sluice_client *client, const struct frame_view *frame);

static take_fn take_welcome, take_auth_next, take_ping, take_pong, take_error, take_goaway,
    take_throttled, take_published, take_answer, take_topic_list, take_offset_list, take_messages,
    take_for_subscription;

static const struct {
    take_fn *take;
    bool is_greeting; /* may come before the client is ready */
} rows[FRAME_KINDS] = {
    [FRAME_WELCOME] = {take_welcome, true},
    [FRAME_AUTH_NEXT] = {take_auth_next, true},
    [FRAME_PING] = {take_ping, true},
    [FRAME_PONG] = {take_pong, true},
    [FRAME_ERROR] = {take_error, true},
    [FRAME_GOAWAY] = {take_goaway, true},
    [FRAME_THROTTLED] = {take_throttled, true},
    [FRAME_PUBLISHED] = {take_published, false},
    [FRAME_SUBSCRIBED] = {take_for_subscription, false},
    [FRAME_SOURCE] = {take_for_subscription, false},
    [FRAME_MESSAGES] = {take_messages, false},
    [FRAME_ACKED] = {take_for_subscription, false},
    [FRAME_UNSUBSCRIBED] = {take_for_subscription, false},
    [FRAME_STALLED] = {take_for_subscription, false},
    [FRAME_ENDED] = {take_for_subscription, false},
    [FRAME_TOPIC_LIST] = {take_topic_list, false},
    [FRAME_OFFSET_LIST] = {take_offset_list, false},
    [FRAME_DONE] = {take_answer, false},
};

sluice_status client_take_frame(struct sluice_client *client, const struct frame_view *frame)
{
    if (frame->kind >= FRAME_KINDS || rows[frame->kind].take == NULL) {
        return SLUICE_E_MALFORMED;
    }
    if (client->state == SLUICE_CLIENT_GREETING && !rows[frame->kind].is_greeting) {
        return SLUICE_E_MALFORMED;
    }
    return rows[frame->kind].take(client, frame);
}

/* A code of the protocol as a status. */
static sluice_status status_of(uint32_t code)
{
    return code == 0 || code > INT32_MAX ? SLUICE_E_INTERNAL : (sluice_status)code;
}

/* -- greeting -- */

static sluice_status send_auth(struct sluice_client *client, struct sluice_bytes challenge)
{
    char message[LOGIN_MESSAGE_MAX];
    size_t size;
    const bool is_first = client->login.step == 0;
    sluice_status status = login_step(&client->login, &client->options, challenge, message, &size);
    if (status != SLUICE_OK) {
        const char *problem = client->login.problem;
        return client_break(client, status,
                            client_text(problem != NULL ? problem : "the login cannot go on"),
                            true);
    }
    client_begin(client, FRAME_AUTH, 0, client->greeting_id);
    frame_put_text(&client->out, client_text(is_first ? client->login.mechanism : ""));
    frame_put_blob(&client->out, (struct sluice_bytes){(const uint8_t *)message, size});
    client_end(client);
    explicit_bzero(message, sizeof(message));
    return SLUICE_OK;
}

/* The best of those that both have. */
static const char *choose(const struct sluice_client *client, struct frame_in *body, uint32_t count)
{
    const char *best = NULL;
    for (uint32_t i = 0; i < count && !body->failed; i++) {
        const char *name = login_mechanism(frame_get_text(body), &client->options);
        best = name != NULL && login_rank(name) > login_rank(best) ? name : best;
    }
    return best;
}

static sluice_status take_welcome(struct sluice_client *client, const struct frame_view *frame)
{
    struct frame_in body = frame->body;
    if (client->state != SLUICE_CLIENT_GREETING || frame->id != client->greeting_id ||
        client->frame_max > 0) {
        return SLUICE_E_MALFORMED;
    }
    const uint16_t version = frame_get_u16(&body);
    frame_skip(&body, 2 + 16);
    const uint32_t frame_max = frame_get_u32(&body);
    frame_skip(&body, 4);
    const uint32_t heartbeat_ms = frame_get_u32(&body);
    (void)frame_get_text(&body);
    const uint32_t count = frame_get_u16(&body);
    const char *mechanism = choose(client, &body, count);
    if (body.failed || frame_max < FRAME_HEAD_BYTES) {
        return SLUICE_E_MALFORMED;
    }
    if (version != 1) {
        return client_break(client, SLUICE_E_UNSUPPORTED_VERSION,
                            client_text("the server speaks another version"), true);
    }
    client->frame_max = frame_max;
    client->heartbeat_ms = heartbeat_ms;
    const bool has_login = client->options.user != NULL || client->options.token != NULL;
    if (count == 0 || !has_login) { /* else the server says what it wants */
        client_ready(client);
        return SLUICE_OK;
    }
    if (mechanism == NULL) {
        return client_break(client, SLUICE_E_UNSUPPORTED_MECHANISM,
                            client_text("no mechanism that both have and the client may use"),
                            true);
    }
    client->login.mechanism = mechanism;
    return send_auth(client, (struct sluice_bytes){NULL, 0});
}

static sluice_status take_auth_next(struct sluice_client *client, const struct frame_view *frame)
{
    struct frame_in body = frame->body;
    const uint8_t complete = frame_get_u8(&body);
    frame_skip(&body, 3);
    const struct sluice_bytes challenge = frame_get_blob(&body);
    if (body.failed || client->state != SLUICE_CLIENT_GREETING || client->login.step == 0 ||
        frame->id != client->greeting_id) {
        return SLUICE_E_MALFORMED;
    }
    if (complete == 0) {
        return send_auth(client, challenge);
    }
    if (!client->login.is_complete) { /* the server's last word is in this frame */
        char message[LOGIN_MESSAGE_MAX];
        size_t size;
        sluice_status status =
            login_step(&client->login, &client->options, challenge, message, &size);
        if (status != SLUICE_OK || !client->login.is_complete) {
            return client_break(client, SLUICE_E_AUTHENTICATION,
                                client_text("the server does not prove that it knows the password"),
                                true);
        }
    }
    client_ready(client);
    return SLUICE_OK;
}

/* -- of the connection -- */

static sluice_status take_ping(struct sluice_client *client, const struct frame_view *frame)
{
    if (frame_left(&frame->body) > 64) {
        return SLUICE_E_MALFORMED;
    }
    client_begin(client, FRAME_PONG, 0, frame->id);
    frame_put_bytes(&client->out, frame->body.at, frame_left(&frame->body));
    client_end(client);
    return SLUICE_OK;
}

static sluice_status take_goaway(struct sluice_client *client, const struct frame_view *frame)
{
    struct frame_in body = frame->body;
    const sluice_status code = status_of(frame_get_u32(&body));
    const uint32_t again_ms = frame_get_u32(&body);
    const struct sluice_text text = frame_get_text(&body);
    if (body.failed) {
        return SLUICE_E_MALFORMED;
    }
    client->again_ms = again_ms != UINT32_MAX ? again_ms : 0;
    /* Answers to what was asked before may still come: the server closes. */
    if (again_ms != UINT32_MAX && client->state == SLUICE_CLIENT_READY) {
        (void)client_break(client, code, text, false);
        client->want = SLUICE_WANT_NOTHING;
        client->state = SLUICE_CLIENT_LEAVING;
        client->state_deadline_ms = client->now_ms + CLIENT_LEAVE_MS;
        return SLUICE_OK;
    }
    return client_break(client, code, text, again_ms == UINT32_MAX);
}

static sluice_status take_throttled(struct sluice_client *client, const struct frame_view *frame)
{
    struct frame_in body = frame->body;
    const uint8_t what = frame_get_u8(&body);
    frame_skip(&body, 3);
    const int64_t until_ms = client->now_ms + frame_get_u32(&body);
    if (body.failed) {
        return SLUICE_E_MALFORMED;
    }
    if (what == SLUICE_THROTTLED_PUSHES) {
        client->held_until_ms = until_ms;
    } else {
        client->muted_until_ms = until_ms;
    }
    return SLUICE_OK;
}

static sluice_status take_error(struct sluice_client *client, const struct frame_view *frame)
{
    struct frame_in body = frame->body;
    const sluice_status code = status_of(frame_get_u32(&body));
    const bool retriable = frame_get_u8(&body) != 0;
    frame_skip(&body, 3);
    const struct sluice_text text = frame_get_text(&body);
    if (body.failed) {
        return SLUICE_E_MALFORMED;
    }
    if (client->state == SLUICE_CLIENT_GREETING) {
        return client_break(client, code, text, !retriable);
    }
    struct id_slot *slot = client_slot(client, frame->id);
    if (slot != NULL && slot->subscription != NULL) {
        subscription_take_error(slot->subscription, code, text);
    } else if (slot != NULL) {
        struct sluice_result result = result_of(code);
        result.retriable = retriable;
        result.text = text;
        request_finish(client, slot->request, &result);
    } /* else of an UNSUBSCRIBE that crossed ENDED */
    return SLUICE_OK;
}

/* -- answers -- */

/* The request that a frame answers, or NULL. */
static struct request *request_of(struct sluice_client *client, const struct frame_view *frame)
{
    struct id_slot *slot = client_slot(client, frame->id);
    return slot != NULL && slot->request != NULL && slot->request->answer == frame->kind &&
                   slot->request->was_sent
               ? slot->request
               : NULL;
}

static sluice_status take_pong(struct sluice_client *client, const struct frame_view *frame)
{
    struct request *request = request_of(client, frame);
    if (request != NULL) { /* else of keepalive */
        const struct sluice_result result = result_of(SLUICE_OK);
        request_finish(client, request, &result);
    }
    return SLUICE_OK;
}

static sluice_status take_answer(struct sluice_client *client, const struct frame_view *frame)
{
    struct request *request = request_of(client, frame);
    if (request == NULL) {
        return SLUICE_E_MALFORMED;
    }
    const struct sluice_result result = result_of(SLUICE_OK);
    request_finish(client, request, &result);
    return SLUICE_OK;
}

static sluice_status take_published(struct sluice_client *client, const struct frame_view *frame)
{
    struct frame_in body = frame->body;
    struct request *request = request_of(client, frame);
    struct sluice_result result = result_of(SLUICE_OK);
    result.duplicate = (frame->flags & 1) != 0;
    result.delayed = (frame->flags & 2) != 0;
    result.partition = frame_get_i32(&body);
    result.offset = frame_get_i64(&body);
    result.timestamp_ms = frame_get_i64(&body);
    if (body.failed || request == NULL || request->was_published) {
        return SLUICE_E_MALFORMED;
    }
    if (request->wants_reply && request->done != NULL) {
        request->was_published = true;
    } else {
        request_finish(client, request, &result);
    }
    return SLUICE_OK;
}

/* Room for what a list has, which is never more than its bytes allow. NULL: too many, or no memory.
 */
static void *list_of(const struct frame_in *body, uint32_t count, size_t item_min, size_t item_size,
                     sluice_status *ret_status)
{
    if (body->failed || count > frame_left(body) / item_min) {
        *ret_status = SLUICE_E_MALFORMED;
        return NULL;
    }
    void *list = calloc((size_t)count + 1, item_size);
    *ret_status = list != NULL ? SLUICE_OK : SLUICE_E_NO_MEMORY;
    return list;
}

static sluice_status take_topic_list(struct sluice_client *client, const struct frame_view *frame)
{
    struct frame_in body = frame->body;
    struct request *request = request_of(client, frame);
    struct sluice_result result = result_of(SLUICE_OK);
    sluice_status status;
    result.count = frame_get_u32(&body);
    struct sluice_topic_info *topics = list_of(&body, result.count, 22, sizeof(*topics), &status);
    for (uint32_t i = 0; topics != NULL && i < result.count; i++) {
        topics[i].name = frame_get_text(&body);
        topics[i].id = frame_get_uuid(&body);
        topics[i].partitions = frame_get_i32(&body);
    }
    result.topics = topics;
    if (topics != NULL && !body.failed && request != NULL) {
        request_finish(client, request, &result);
    } else if (status == SLUICE_OK) {
        status = SLUICE_E_MALFORMED;
    }
    free(topics);
    return status;
}

static sluice_status take_offset_list(struct sluice_client *client, const struct frame_view *frame)
{
    struct frame_in body = frame->body;
    struct request *request = request_of(client, frame);
    struct sluice_result result = result_of(SLUICE_OK);
    sluice_status status;
    result.count = frame_get_u32(&body);
    struct sluice_offset_info *offsets =
        list_of(&body, result.count, 20, sizeof(*offsets), &status);
    for (uint32_t i = 0; offsets != NULL && i < result.count; i++) {
        offsets[i].partition = frame_get_i32(&body);
        offsets[i].offset = frame_get_i64(&body);
        offsets[i].timestamp_ms = frame_get_i64(&body);
    }
    result.offsets = offsets;
    if (offsets != NULL && !body.failed && request != NULL) {
        request_finish(client, request, &result);
    } else if (status == SLUICE_OK) {
        status = SLUICE_E_MALFORMED;
    }
    free(offsets);
    return status;
}

/* -- records -- */

/* Answers to the client's own requests: they belong to no subscription. */
static sluice_status take_replies(struct sluice_client *client, const struct frame_view *frame)
{
    struct frame_in body = frame->body;
    struct sluice_message message;
    frame_skip(&body, 4);
    uint32_t count = frame_get_u32(&body);
    if (body.failed || count > frame_left(&body) / RECORD_BYTES_MIN) {
        return SLUICE_E_MALFORMED;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!record_get(&body, &message)) {
            return SLUICE_E_MALFORMED;
        }
        requests_take_reply(client, &message);
    }
    return SLUICE_OK;
}

static sluice_status take_messages(struct sluice_client *client, const struct frame_view *frame)
{
    return frame->id == 0 ? take_replies(client, frame) : take_for_subscription(client, frame);
}

static sluice_status take_for_subscription(struct sluice_client *client,
                                           const struct frame_view *frame)
{
    struct id_slot *slot = client_slot(client, frame->id);
    if (slot == NULL || slot->subscription == NULL) {
        return SLUICE_E_MALFORMED;
    }
    return subscription_take(slot->subscription, frame);
}
