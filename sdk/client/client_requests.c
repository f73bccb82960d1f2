/* client_requests.c: what is asked of the server, from the call to the answer.
 *
 * A request is written into the client's scratch frame. While the client is ready it goes from
 * there to what is sent; else, and when it is to be repeated after a lost connection, the request
 * keeps a copy (`held`). Requests under way and acknowledgements are in lists in the order in which
 * they were made; ids come from a table, so that an answer finds its request at once. */
#include "client_state.h"

#include "message_batch.h"
#include "record_io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLY_TO    "sluice-reply-to"
#define CORRELATION "sluice-correlation"
#define DELIVER_AT  "sluice-deliver-at"
#define ID_MAX      64u

/* -- ids -- */

struct id_slot *client_slot(struct sluice_client *client, uint32_t id)
{
    struct id_slot *slot = &client->slots[id & client->slot_mask];
    return id != 0 && slot->id == id ? slot : NULL;
}

struct id_slot *client_slot_take(struct sluice_client *client)
{
    for (;;) { /* there are more slots than requests and subscriptions may be */
        uint32_t id = ++client->last_id;
        struct id_slot *slot = &client->slots[id & client->slot_mask];
        if (id != 0 && slot->id == 0) {
            *slot = (struct id_slot){id, NULL, NULL};
            return slot;
        }
    }
}

/* -- results -- */

struct sluice_result result_of(sluice_status status)
{
    return (struct sluice_result){
        .size = sizeof(struct sluice_result),
        .status = status,
        .partition = -1,
        .offset = -1,
        .timestamp_ms = -1,
        .text = status != SLUICE_OK ? client_text(sluice_status_text(status)) : client_text(NULL),
    };
}

void request_tell(struct sluice_client *client, struct request *request,
                  const struct sluice_result *result)
{
    sluice_done_fn *done = request->done;
    request->done = NULL;
    request->deadline_ms = CLIENT_NEVER;
    if (done != NULL) {
        client->depth++;
        done(request->arg, result);
        client->depth--;
    }
}

static void drop_held(struct sluice_client *client, struct request *request)
{
    client->held_bytes -= request->held_size;
    free(request->held);
    request->held = NULL;
    request->held_size = 0;
}

static void unlink_request(struct sluice_client *client, struct request *request)
{
    struct id_slot *slot = client_slot(client, request->id);
    if (slot != NULL) {
        *slot = (struct id_slot){0, NULL, NULL};
    }
    *(request->previous != NULL ? &request->previous->next : &client->first_request) =
        request->next;
    *(request->next != NULL ? &request->next->previous : &client->last_request) = request->previous;
    request->next = request->previous = NULL;
    client->request_count--;
}

void request_finish(struct sluice_client *client, struct request *request,
                    const struct sluice_result *result)
{
    unlink_request(client, request);
    drop_held(client, request);
    request_tell(client, request, result);
    free(request);
}

/* -- making one -- */

/* Begins the frame of a request in the scratch. Its id is known when it is submitted. */
static struct frame_out *begin(struct sluice_client *client, uint16_t kind, uint16_t flags)
{
    frame_out_drop(&client->scratch, frame_out_size(&client->scratch));
    frame_begin(&client->scratch, kind, flags, 0, UINT32_MAX);
    return &client->scratch;
}

static void patch_u32(uint8_t *at, uint32_t value)
{
    for (size_t i = 0; i < 4; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

/* Whether one more of so many bytes may be asked. */
static sluice_status may_ask(const struct sluice_client *client, size_t size)
{
    const uint64_t most = client->options.pending_bytes_max;
    const uint64_t has = client->held_bytes + frame_out_size(&client->out);
    if (client->is_stopping || client->is_final) {
        return SLUICE_E_CANCELLED;
    }
    if (size > most || (client->frame_max > 0 && size > client->frame_max)) {
        return SLUICE_E_LIMIT;
    }
    return client->request_count >= client->options.requests_max || has + size > most
               ? SLUICE_E_WOULD_BLOCK
               : SLUICE_OK;
}

static bool hold(struct sluice_client *client, struct request *request, const uint8_t *frame,
                 size_t size)
{
    request->held = malloc(size);
    if (request->held == NULL) {
        return false;
    }
    memcpy(request->held, frame, size);
    request->held_size = size;
    client->held_bytes += size;
    return true;
}

static sluice_status put_out(struct sluice_client *client, const uint8_t *frame, size_t size)
{
    client->out.max = (size_t)client->options.pending_bytes_max + CLIENT_RESERVE_BYTES;
    client->out.status = SLUICE_OK;
    frame_put_bytes(&client->out, frame, size);
    sluice_status status = client->out.status;
    client->out.status = SLUICE_OK;
    client->said_ms = client->now_ms;
    return status;
}

static void append_request(struct sluice_client *client, struct request *request)
{
    request->previous = client->last_request;
    *(client->last_request != NULL ? &client->last_request->next : &client->first_request) =
        request;
    client->last_request = request;
    client->request_count++;
}

static void set_deadline(struct sluice_client *client, struct request *request, uint32_t timeout_ms)
{
    request->deadline_ms = timeout_ms > 0 ? client->now_ms + timeout_ms : CLIENT_NEVER;
    if (request->deadline_ms < client->request_deadline_ms) {
        client->request_deadline_ms = request->deadline_ms;
    }
}

/* Sends what the scratch has, or keeps it for later. */
static sluice_status submit(struct sluice_client *client, const struct request *like,
                            uint32_t timeout_ms)
{
    sluice_status status = frame_end(&client->scratch, UINT32_MAX);
    const size_t size = frame_out_size(&client->scratch);
    status = status == SLUICE_OK ? may_ask(client, size) : status;
    if (status != SLUICE_OK) {
        return status == SLUICE_E_WOULD_BLOCK && size > client->options.pending_bytes_max
                   ? SLUICE_E_LIMIT
                   : status;
    }
    struct request *request = malloc(sizeof(*request));
    if (request == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    *request = *like;
    struct id_slot *slot = client_slot_take(client);
    request->id = slot->id;
    uint8_t *frame = client->scratch.data + client->scratch.begin;
    patch_u32(frame + 8, request->id);
    const bool is_up = client_is_up(client);
    if (((request->is_repeated || !is_up) && !hold(client, request, frame, size)) ||
        (is_up && put_out(client, frame, size) != SLUICE_OK)) {
        slot->id = 0;
        drop_held(client, request);
        free(request);
        return SLUICE_E_NO_MEMORY;
    }
    slot->request = request;
    request->was_sent = is_up;
    append_request(client, request);
    set_deadline(client, request, timeout_ms);
    return SLUICE_OK;
}

static sluice_status submit_plain(struct sluice_client *client, uint16_t answer,
                                  sluice_done_fn *done, void *arg)
{
    const struct request like = {.answer = answer, .done = done, .arg = arg};
    return submit(client, &like, client->options.request_ms);
}

/* Questions change nothing: they are asked again. */
static sluice_status submit_question(struct sluice_client *client, uint16_t answer,
                                     sluice_done_fn *done, void *arg)
{
    const struct request like = {.answer = answer, .done = done, .arg = arg, .is_repeated = true};
    return submit(client, &like, client->options.request_ms);
}

/* -- the life of a list -- */

void requests_send(struct sluice_client *client)
{
    struct request *next;
    for (struct request *request = client->first_request; request != NULL; request = next) {
        next = request->next;
        if (request->was_sent || request->held == NULL) {
            continue;
        }
        if (request->held_size > client->frame_max) {
            const struct sluice_result result = result_of(SLUICE_E_LIMIT);
            request_finish(client, request, &result);
            next = client->first_request; /* the list may be another now */
            continue;
        }
        if (put_out(client, request->held, request->held_size) != SLUICE_OK) {
            (void)client_break(client, SLUICE_E_NO_MEMORY, client_text("out of memory"), false);
            return;
        }
        request->was_sent = true;
        if (!request->is_repeated) {
            drop_held(client, request);
        }
    }
}

void requests_fail(struct sluice_client *client, sluice_status status, struct sluice_text text,
                   bool all)
{
    struct sluice_result result = result_of(status);
    struct request *failed = NULL;
    struct request *next;
    result.retriable = status == SLUICE_E_NETWORK;
    result.text = text;
    /* First they leave the list, as who is told may ask again. */
    struct request **end = &failed;
    for (struct request *request = client->first_request; request != NULL; request = next) {
        next = request->next;
        if (!all && (!request->was_sent || (request->is_repeated && request->done != NULL))) {
            request->was_sent = false;
            continue;
        }
        unlink_request(client, request);
        *end = request;
        end = &request->next;
    }
    while (failed != NULL) {
        struct request *request = failed;
        failed = request->next;
        drop_held(client, request);
        request_tell(client, request, &result);
        free(request);
    }
}

/* What has timed out keeps its id until it is answered or the connection ends; what was never sent
 * goes. */
void requests_tick(struct sluice_client *client)
{
    const struct sluice_result result = result_of(SLUICE_E_TIMEOUT);
    struct request *next;
    for (struct request *request = client->first_request; request != NULL; request = next) {
        next = request->next;
        if (request->deadline_ms > client->now_ms) {
            if (request->deadline_ms < client->request_deadline_ms) {
                client->request_deadline_ms = request->deadline_ms;
            }
        } else if (request->was_sent && !request->was_published) {
            request_tell(client, request, &result);
            next = request->next;
        } else {
            request_finish(client, request, &result);
            next = client->first_request;
        }
    }
}

void requests_shift(struct sluice_client *client, int64_t by_ms)
{
    if (client->request_deadline_ms == CLIENT_NEVER) {
        return;
    }
    client->request_deadline_ms += by_ms;
    for (struct request *request = client->first_request; request != NULL;
         request = request->next) {
        request->deadline_ms += request->deadline_ms != CLIENT_NEVER ? by_ms : 0;
    }
}

/* -- publishing -- */

static sluice_status submit_publish(struct sluice_client *client, const struct request *like,
                                    uint32_t timeout_ms, sluice_status status)
{
    return status == SLUICE_OK ? submit(client, like, timeout_ms) : status;
}

static void put_publish(struct frame_out *out, const struct sluice_publish *publish, uint32_t count)
{
    frame_put_text(out, publish->topic);
    frame_put_i32(out, publish->partition);
    frame_put_u8(out, (uint8_t)publish->level);
    frame_put_zeros(out, 3);
    frame_put_i64(out, publish->expected_offset);
    frame_put_text(out, publish->id);
    frame_put_u32(out, count);
}

static bool publish_is_valid(const struct sluice_publish *publish)
{
    return publish->size >= sizeof(*publish) && publish->topic.size > 0 &&
           publish->id.size <= ID_MAX && publish->level <= SLUICE_LEVEL_STORED &&
           (publish->expected_offset < 0 || publish->partition >= 0) &&
           publish->deliver_at_ms >= 0 &&
           (publish->deliver_at_ms == 0 || publish->expected_offset < 0);
}

/* The first record says when all of them are to be appended. */
static void put_records(struct frame_out *out, struct sluice_bytes records, int64_t deliver_at_ms)
{
    struct frame_in in = frame_in_of(records.data, (size_t)records.size);
    struct sluice_message first;
    char digits[24];
    if (deliver_at_ms > 0 && record_get(&in, &first)) {
        int size = snprintf(digits, sizeof(digits), "%lld", (long long)deliver_at_ms);
        const struct sluice_header header = {sluice_text_of(DELIVER_AT),
                                             {(const uint8_t *)digits, (uint64_t)size}};
        record_put(out, &first, (struct record_extra){&header, 1});
    }
    frame_put_bytes(out, in.at, frame_left(&in));
}

sluice_status sluice_client_publish(struct sluice_client *client,
                                    const struct sluice_publish *publish,
                                    const struct sluice_message_batch *batch, sluice_done_fn *done,
                                    void *arg)
{
    const struct sluice_bytes records = message_batch_records(batch);
    const struct request like = {
        .answer = FRAME_PUBLISHED, .done = done, .arg = arg, .is_repeated = publish->id.size > 0};
    if (!publish_is_valid(publish) || records.size == 0) {
        return SLUICE_E_INVALID;
    }
    struct frame_out *out = begin(client, FRAME_PUBLISH, 0);
    put_publish(out, publish, sluice_message_batch_count(batch));
    put_records(out, records, publish->deliver_at_ms);
    return submit(client, &like, client->options.request_ms);
}

/* One message, with more headers than it has. */
static sluice_status publish_one(struct sluice_client *client, const struct sluice_message *message,
                                 struct record_extra extra)
{
    struct sluice_publish publish = sluice_publish_to(NULL);
    publish.topic = message->topic;
    publish.partition = message->partition;
    if (message->size < sizeof(*message) || message->topic.size == 0) {
        return SLUICE_E_INVALID;
    }
    struct frame_out *out = begin(client, FRAME_PUBLISH, 0);
    put_publish(out, &publish, 1);
    record_put(out, message, extra);
    return SLUICE_OK;
}

sluice_status sluice_client_send(struct sluice_client *client, const struct sluice_message *message,
                                 sluice_done_fn *done, void *arg)
{
    const struct request like = {.answer = FRAME_PUBLISHED, .done = done, .arg = arg};
    sluice_status status = publish_one(client, message, (struct record_extra){NULL, 0});
    return submit_publish(client, &like, client->options.request_ms, status);
}

/* -- request and reply -- */

sluice_status sluice_client_request(struct sluice_client *client,
                                    const struct sluice_message *message, uint32_t timeout_ms,
                                    sluice_done_fn *done, void *arg)
{
    /* The correlation is the id that the request gets: one behind those that are taken. */
    char correlation[16];
    const struct request like = {
        .answer = FRAME_PUBLISHED, .done = done, .arg = arg, .wants_reply = true};
    memset(correlation, '0', sizeof(correlation));
    const struct sluice_header extra[2] = {
        {sluice_text_of(REPLY_TO), {(const uint8_t *)"_inbox", 6}},
        {sluice_text_of(CORRELATION), {(const uint8_t *)correlation, sizeof(correlation)}},
    };
    if (done == NULL) {
        return SLUICE_E_INVALID;
    }
    const uint32_t before = client->last_id;
    struct id_slot *slot = client_slot_take(client);
    const uint32_t id = slot->id;
    slot->id = 0;
    client->last_id = before; /* so that submit takes the same */
    for (size_t i = 0; i < 8; i++) {
        correlation[i] = "0123456789abcdef"[id >> (28 - 4 * i) & 15];
    }
    sluice_status status = publish_one(client, message, (struct record_extra){extra, 2});
    return submit_publish(client, &like, timeout_ms, status);
}

/* The id in a correlation, 0: it is none of ours. */
static uint32_t parse_correlation(struct sluice_bytes value)
{
    uint32_t id = 0;
    if (value.size != 16) {
        return 0;
    }
    for (size_t i = 0; i < 8; i++) {
        const char *digit = memchr("0123456789abcdef", value.data[i], 16);
        if (digit == NULL) {
            return 0;
        }
        const uint8_t c = value.data[i];
        id = id << 4 | (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return id;
}

void requests_take_reply(struct sluice_client *client, const struct sluice_message *message)
{
    struct sluice_bytes correlation = {NULL, 0};
    if (sluice_message_find(message, CORRELATION, &correlation) != SLUICE_OK) {
        return; /* a responder that gives it not back answers nobody */
    }
    struct id_slot *slot = client_slot(client, parse_correlation(correlation));
    struct request *request = slot != NULL ? slot->request : NULL;
    if (request == NULL || !request->wants_reply || !request->was_sent) {
        return; /* too late, or the second answer */
    }
    struct sluice_result result = result_of(SLUICE_OK);
    result.message = message;
    if (request->was_published) {
        request_finish(client, request, &result);
    } else { /* the answer was faster than PUBLISHED, which is still to come */
        request_tell(client, request, &result);
    }
}

sluice_status sluice_client_reply(struct sluice_client *client,
                                  const struct sluice_message *request,
                                  const struct sluice_message *answer, sluice_done_fn *done,
                                  void *arg)
{
    struct sluice_bytes address;
    struct sluice_header extra = {sluice_text_of(CORRELATION), {NULL, 0}};
    if (sluice_message_find(request, REPLY_TO, &address) != SLUICE_OK || address.data == NULL ||
        answer->size < sizeof(*answer)) {
        return SLUICE_E_INVALID;
    }
    bool has_correlation = sluice_message_find(request, CORRELATION, &extra.value) == SLUICE_OK;
    struct frame_out *out = begin(client, FRAME_REPLY, 1);
    frame_put_text(out, (struct sluice_text){(const char *)address.data, address.size});
    record_put(out, answer, (struct record_extra){&extra, has_correlation ? 1 : 0});
    return submit_plain(client, FRAME_PUBLISHED, done, arg);
}

/* -- topics and groups -- */

sluice_status sluice_client_ping(struct sluice_client *client, sluice_done_fn *done, void *arg)
{
    (void)begin(client, FRAME_PING, 0);
    return submit_question(client, FRAME_PONG, done, arg);
}

sluice_status sluice_client_topics(struct sluice_client *client, const char *pattern,
                                   sluice_done_fn *done, void *arg)
{
    frame_put_text(begin(client, FRAME_TOPICS, 0), client_text(pattern));
    return submit_question(client, FRAME_TOPIC_LIST, done, arg);
}

sluice_status sluice_client_topic_create(struct sluice_client *client, const char *topic,
                                         int32_t partitions,
                                         const struct sluice_topic_setting *settings,
                                         uint32_t count, sluice_done_fn *done, void *arg)
{
    if (count > UINT16_MAX) {
        return SLUICE_E_INVALID;
    }
    struct frame_out *out = begin(client, FRAME_TOPIC_CREATE, 0);
    frame_put_text(out, client_text(topic));
    frame_put_i32(out, partitions);
    frame_put_u16(out, (uint16_t)count);
    for (uint32_t i = 0; i < count; i++) {
        frame_put_text(out, client_text(settings[i].key));
        frame_put_text(out, client_text(settings[i].value));
    }
    return submit_plain(client, FRAME_DONE, done, arg);
}

sluice_status sluice_client_topic_delete(struct sluice_client *client, const char *topic,
                                         sluice_done_fn *done, void *arg)
{
    frame_put_text(begin(client, FRAME_TOPIC_DELETE, 0), client_text(topic));
    return submit_plain(client, FRAME_DONE, done, arg);
}

sluice_status sluice_client_topic_configure(struct sluice_client *client, const char *topic,
                                            const struct sluice_topic_setting *settings,
                                            uint32_t count, sluice_done_fn *done, void *arg)
{
    if (count > UINT16_MAX) {
        return SLUICE_E_INVALID;
    }
    struct frame_out *out = begin(client, FRAME_TOPIC_CONFIG, 0);
    frame_put_text(out, client_text(topic));
    frame_put_u16(out, (uint16_t)count);
    for (uint32_t i = 0; i < count; i++) {
        const struct sluice_text value = client_text(settings[i].value);
        frame_put_text(out, client_text(settings[i].key));
        frame_put_blob(out, (struct sluice_bytes){(const uint8_t *)value.data, value.size});
    }
    return submit_plain(client, FRAME_DONE, done, arg);
}

sluice_status sluice_client_offsets(struct sluice_client *client, const char *topic,
                                    int32_t partition, int64_t time_ms, sluice_done_fn *done,
                                    void *arg)
{
    struct frame_out *out = begin(client, FRAME_OFFSETS, 0);
    frame_put_text(out, client_text(topic));
    frame_put_i32(out, partition);
    frame_put_i64(out, time_ms);
    return submit_question(client, FRAME_OFFSET_LIST, done, arg);
}

sluice_status sluice_client_trim(struct sluice_client *client, const char *topic, int32_t partition,
                                 int64_t offset, sluice_done_fn *done, void *arg)
{
    struct frame_out *out = begin(client, FRAME_TRIM, 0);
    frame_put_text(out, client_text(topic));
    frame_put_i32(out, partition);
    frame_put_i64(out, offset);
    return submit_plain(client, FRAME_DONE, done, arg);
}

sluice_status sluice_client_group_delete(struct sluice_client *client, const char *group,
                                         sluice_done_fn *done, void *arg)
{
    frame_put_text(begin(client, FRAME_GROUP_DELETE, 0), client_text(group));
    return submit_plain(client, FRAME_DONE, done, arg);
}
