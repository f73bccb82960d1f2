/* telemetry_link.c: see telemetry_link.h. */
#include "intake/telemetry_link.h"

#include "base/bytes.h"
#include "base/hash.h"
#include "catalog/topic_name.h"
#include "deliver/telemetry_match.h"
#include "intake/listener.h"
#include "record/batch_builder.h"

#include <stdio.h>
#include <string.h>

#define HEADER_COUNT    8u
#define ID_BYTES        23u
#define PUSH_TIMEOUT_MS 30000

static struct telemetry_link *of(const struct sluice_telemetry *telemetry)
{
    return telemetry->data;
}

/* Who calls: views into the context and the client, and the parts of its address. */
struct caller {
    char host[LISTENER_HOST_BYTES];
    struct telemetry_client client;
};

static void caller_init(struct caller *caller, const struct sluice_context *context,
                        const struct sluice_telemetry_client *client)
{
    char address[LISTENER_ADDRESS_BYTES];
    uint16_t port = 0;
    snprintf(address, sizeof(address), "%.*s",
             (int)SL_MIN(context->client_host.size, (uint64_t)sizeof(address) - 1),
             context->client_host.data);
    if (!listener_address_split(address, caller->host, &port)) {
        snprintf(caller->host, sizeof(caller->host), "%.*s", (int)sizeof(caller->host) - 1,
                 address);
    }
    caller->client = (struct telemetry_client){
        .client_id = sl_of_text(context->client_id),
        .software_name = sl_of_text(client->software_name),
        .software_version = sl_of_text(client->software_version),
        .address = sl_bytes_of_text(caller->host),
        .port = port,
    };
    memcpy(caller->client.instance.b, client->instance.bytes, sizeof(client->instance.bytes));
}

/* ---- ask ---- */

struct asking {
    struct shard_call call;
    struct telemetry_link *link;
    struct caller caller;
    struct telemetry_wanted wanted;
    sl_err err;
    sluice_telemetry_wanted_done *done;
    void *arg;
};

static void ask_run(struct shard_call *call)
{
    struct asking *asking = SL_CONTAINER_OF(call, struct asking, call);
    struct shard *shard = call->target;
    asking->err =
        shard->status != SLUICE_OK
            ? shard->status
            : telemetry_book_ask(asking->link->room->book, &shard->settings, &asking->caller.client,
                                 shard_now_ms(shard), &asking->wanted);
    shard_call_reply(call);
}

/* Views of the names, which are parted by commas. */
static sl_err metrics_of(const struct sl_buffer *names, struct sl_buffer *out)
{
    struct sl_bytes rest = sl_buffer_bytes(names);
    struct sl_bytes name;
    sl_err err = SLUICE_OK;
    while (err == SLUICE_OK && telemetry_list_next(&rest, &name)) {
        struct sluice_text view = text_of_sl(name);
        err = sl_buffer_append(out, &view, sizeof(view));
    }
    return err;
}

static void ask_replied(struct shard_call *call)
{
    struct asking *asking = SL_CONTAINER_OF(call, struct asking, call);
    struct shard *home = asking->link->home;
    struct sl_buffer metrics;
    sl_buffer_init(&metrics, TELEMETRY_METRICS_BYTES * sizeof(struct sluice_text));
    sl_err err =
        asking->err != SLUICE_OK ? asking->err : metrics_of(&asking->wanted.metrics, &metrics);
    struct sluice_telemetry_wanted wanted = {
        .subscription_id = asking->wanted.subscription_id,
        .interval_ms = asking->wanted.interval_ms,
        .bytes_max = (int32_t)asking->link->room->bytes_max,
        .metric_count = (uint32_t)(metrics.size / sizeof(struct sluice_text)),
        .metrics = (const struct sluice_text *)(const void *)metrics.data,
    };
    memcpy(wanted.instance.bytes, asking->caller.client.instance.b, sizeof(wanted.instance.bytes));
    asking->done(asking->arg, err, err == SLUICE_OK ? &wanted : NULL);
    sl_buffer_fini(&metrics);
    sl_buffer_fini(&asking->wanted.metrics);
    sl_free(asking);
    shard_request_end(home);
}

/* One of version 4 that does not begin with '-' in Kafka's form: tools take that for an option. */
static void draw_instance(struct sl_os *os, struct sl_uuid *ret_id)
{
    do {
        sl_os_random(os, ret_id->b, sizeof(ret_id->b));
        ret_id->b[6] = (uint8_t)((ret_id->b[6] & 0x0f) | 0x40);
        ret_id->b[8] = (uint8_t)((ret_id->b[8] & 0x3f) | 0x80);
    } while (ret_id->b[0] >> 2 == 62);
}

static void on_ask(const struct sluice_telemetry *telemetry, const struct sluice_context *context,
                   const struct sluice_telemetry_client *client, sluice_telemetry_wanted_done *done,
                   void *arg)
{
    struct telemetry_link *link = of(telemetry);
    struct asking *asking = sl_alloc_zero(1, sizeof(*asking));
    if (asking == NULL) {
        done(arg, SLUICE_E_NO_MEMORY, NULL);
        return;
    }
    shard_request_begin(link->home);
    asking->link = link;
    asking->done = done;
    asking->arg = arg;
    caller_init(&asking->caller, context, client);
    if (sl_uuid_is_zero(&asking->caller.client.instance)) {
        draw_instance(link->home->config.os, &asking->caller.client.instance);
    }
    sl_buffer_init(&asking->wanted.metrics, TELEMETRY_METRICS_BYTES);
    asking->call.run = ask_run;
    asking->call.reply = ask_replied;
    shard_call_start(&asking->call, link->home->set->shards[0], link->home->loop,
                     SL_PRIORITY_PROCESSING);
}

/* ---- push ---- */

struct pushing {
    struct shard_call call;
    struct sl_job job;
    struct telemetry_link *link;
    const struct sluice_context *context; /* borrowed until done, as the rest of the call */
    const struct sluice_telemetry_push *push;
    struct caller caller;
    sl_err err;
    struct sl_bytes payload;
    struct sl_buffer opened; /* the payload, where it came compressed */
    struct sl_buffer batch;
    bool created; /* the topic; once */
    struct sluice_topic_ref topic;
    char bytes_max[24];
    struct sluice_key_value config;
    struct sluice_topic_spec spec;
    struct sluice_produce_entry entry;
    struct sluice_produce produce;
    sluice_telemetry_push_done *done;
    void *arg;
};

static void push_end(struct pushing *pushing, sl_err err)
{
    struct telemetry_link *link = pushing->link;
    struct shard *home = link->home;
    link->pushed_total += err == SLUICE_OK;
    link->refused_total += err != SLUICE_OK;
    pushing->done(pushing->arg, err);
    sl_buffer_fini(&pushing->opened);
    sl_buffer_fini(&pushing->batch);
    sl_free(pushing);
    shard_request_end(home);
}

/* Of the topic: a client that is told E_INVALID_RECORD never pushes again, so that what may be well
 * later makes it wait only. */
static sl_err write_error(sl_err err)
{
    return err == SLUICE_OK || err == SLUICE_E_NO_MEMORY ? err
           : err == SLUICE_E_BATCH_TOO_LARGE             ? SLUICE_E_TELEMETRY_TOO_LARGE
           : err == SLUICE_E_INVALID_RECORD || err == SLUICE_E_PLUGIN_REJECTED
               ? SLUICE_E_INVALID_RECORD
               : SLUICE_E_QUOTA_EXCEEDED;
}

static void push_written(void *arg, const struct sluice_produce_result *results, uint32_t count,
                         int32_t throttle_ms)
{
    (void)throttle_ms;
    push_end(arg, write_error(count == 1 ? results->status : SLUICE_E_NO_MEMORY));
}

static struct header_view header_of(const char *key, struct sl_bytes value)
{
    value.size = SL_MIN(value.size, (size_t)TELEMETRY_TEXT_BYTES);
    return (struct header_view){.key = sl_bytes_of_text(key), .value = value};
}

static sl_err build(struct pushing *pushing, const char *id)
{
    const struct telemetry_client *client = &pushing->caller.client;
    struct batch_builder builder;
    struct batch_view view;
    char port[8];
    snprintf(port, sizeof(port), "%u", client->port);
    const struct header_view headers[HEADER_COUNT] = {
        header_of("client_id", client->client_id),
        header_of("client_software_name", client->software_name),
        header_of("client_software_version", client->software_version),
        header_of("client_source_address", client->address),
        header_of("client_source_port", sl_bytes_of_text(port)),
        header_of("principal", sl_of_text(pushing->context->principal)),
        header_of("content_type", sl_bytes_of_text("application/x-protobuf")),
        header_of("terminating", sl_bytes_of_text(pushing->push->terminating ? "true" : "false")),
    };
    const struct record_fields fields = {
        .key = sl_bytes_of_text(id),
        .value = pushing->payload,
        .headers = headers,
        .header_count = HEADER_COUNT,
        .timestamp_ms = shard_wall_ms(pushing->link->home),
    };
    sl_err err = batch_builder_start(&builder, &pushing->batch, NULL);
    err = err != SLUICE_OK ? err : batch_builder_append(&builder, &fields);
    err = err != SLUICE_OK ? err
                           : batch_builder_finish(&builder, BATCH_CODEC_NONE, NULL, NULL, &view);
    if (err == SLUICE_OK) {
        pushing->entry.batch = (struct sluice_bytes){view.data, view.size};
    }
    return err;
}

static void push_write(struct pushing *pushing, uint32_t partition_count)
{
    const struct sluice_broker *broker = pushing->link->broker;
    char id[ID_BYTES];
    sl_uuid_text(&pushing->caller.client.instance, id);
    sl_err err = build(pushing, id);
    if (err != SLUICE_OK) {
        push_end(pushing, err == SLUICE_E_LIMIT ? SLUICE_E_TELEMETRY_TOO_LARGE : err);
        return;
    }
    int32_t hash = sl_hash_to_positive(sl_murmur2(id, sizeof(id) - 1));
    pushing->entry.topic = pushing->topic;
    pushing->entry.partition = hash % (int32_t)SL_MAX(partition_count, 1u);
    pushing->produce = (struct sluice_produce){.size = sizeof(pushing->produce),
                                               .acks = -1,
                                               .timeout_ms = PUSH_TIMEOUT_MS,
                                               .entry_count = 1,
                                               .entries = &pushing->entry};
    broker->produce(broker, pushing->context, &pushing->produce, push_written, pushing);
}

static void topic_ask(struct pushing *pushing);

static void topic_made(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    struct pushing *pushing = arg;
    sl_err err = count == 1 ? results->status : SLUICE_E_NO_MEMORY;
    if (err == SLUICE_OK || err == SLUICE_E_TOPIC_EXISTS) {
        topic_ask(pushing);
    } else {
        push_end(pushing, write_error(err));
    }
}

/* Room for the largest push, and what a record has beside it. */
static void topic_make(struct pushing *pushing)
{
    const struct sluice_broker *broker = pushing->link->broker;
    snprintf(pushing->bytes_max, sizeof(pushing->bytes_max), "%zu",
             pushing->link->room->bytes_max + TELEMETRY_RECORD_BYTES);
    pushing->created = true;
    pushing->config = (struct sluice_key_value){sluice_text_of("max.message.bytes"),
                                                sluice_text_of(pushing->bytes_max)};
    pushing->spec = (struct sluice_topic_spec){.size = sizeof(pushing->spec),
                                               .partition_count = -1,
                                               .name = pushing->topic.name,
                                               .replication_factor = -1,
                                               .config_count = 1,
                                               .configs = &pushing->config};
    broker->topics_create(broker, pushing->context, &pushing->spec, 1, false, topic_made, pushing);
}

static void topic_found(void *arg, const struct sluice_topic_info *topics, uint32_t count)
{
    struct pushing *pushing = arg;
    sl_err err = count == 1 ? topics->status : SLUICE_E_NO_MEMORY;
    if (err == SLUICE_OK) {
        push_write(pushing, topics->partition_count);
    } else if (err == SLUICE_E_UNKNOWN_TOPIC && !pushing->created) {
        topic_make(pushing);
    } else {
        push_end(pushing, write_error(err));
    }
}

static void topic_ask(struct pushing *pushing)
{
    const struct sluice_broker *broker = pushing->link->broker;
    broker->topics(broker, pushing->context, &pushing->topic, 1, false, topic_found, pushing);
}

/* [helper] What it expands to is bounded before it is there. */
static void open_work(struct sl_job *job)
{
    struct pushing *pushing = SL_CONTAINER_OF(job, struct pushing, job);
    struct codec_context *codecs = codec_context_new();
    pushing->err = codecs == NULL
                       ? SLUICE_E_NO_MEMORY
                       : codec_decompress(codecs, pushing->push->compression, pushing->payload,
                                          pushing->link->room->bytes_max, &pushing->opened);
    codec_context_free(codecs);
}

static void open_done(struct sl_job *job)
{
    struct pushing *pushing = SL_CONTAINER_OF(job, struct pushing, job);
    shard_job_end(pushing->link->home);
    if (pushing->err == SLUICE_OK) {
        pushing->payload = sl_buffer_bytes(&pushing->opened);
        topic_ask(pushing);
    } else {
        push_end(pushing, pushing->err == SLUICE_E_EXPANDS_TOO_FAR ? SLUICE_E_INVALID_RECORD
                                                                   : pushing->err); /* as Kafka */
    }
}

static void push_run(struct shard_call *call)
{
    struct pushing *pushing = SL_CONTAINER_OF(call, struct pushing, call);
    struct shard *shard = call->target;
    const struct telemetry_push push = {
        .subscription_id = pushing->push->subscription_id,
        .codec = pushing->push->compression,
        .terminating = pushing->push->terminating,
        .size = pushing->payload.size,
        .size_max = pushing->link->room->bytes_max,
    };
    pushing->err = shard->status != SLUICE_OK
                       ? SLUICE_E_QUOTA_EXCEEDED
                       : telemetry_book_push(pushing->link->room->book, &shard->settings,
                                             &pushing->caller.client, &push, shard_now_ms(shard));
    shard_call_reply(call);
}

static void push_judged(struct shard_call *call)
{
    struct pushing *pushing = SL_CONTAINER_OF(call, struct pushing, call);
    struct shard *home = pushing->link->home;
    if (pushing->err != SLUICE_OK || pushing->payload.size == 0) {
        push_end(pushing, pushing->err);
    } else if (pushing->push->compression == BATCH_CODEC_NONE) {
        topic_ask(pushing);
    } else {
        pushing->job = (struct sl_job){.work = open_work, .done = open_done};
        pushing->job.task.priority = SL_PRIORITY_PROCESSING;
        shard_job_begin(home);
        sl_helpers_submit(home->config.os, home->loop, &pushing->job);
    }
}

/* No client has them: nothing, and what Kafka's own log of metadata has (Uuid.RESERVED). */
static bool is_reserved(const struct sl_uuid *id)
{
    static const struct sl_uuid one = {.b[15] = 1};
    return sl_uuid_is_zero(id) || sl_uuid_equal(id, &one);
}

static void on_push(const struct sluice_telemetry *telemetry, const struct sluice_context *context,
                    const struct sluice_telemetry_client *client,
                    const struct sluice_telemetry_push *push, sluice_telemetry_push_done *done,
                    void *arg)
{
    struct telemetry_link *link = of(telemetry);
    struct pushing *pushing = sl_alloc_zero(1, sizeof(*pushing));
    if (pushing == NULL) {
        done(arg, SLUICE_E_QUOTA_EXCEEDED);
        return;
    }
    shard_request_begin(link->home);
    pushing->link = link;
    pushing->context = context;
    pushing->push = push;
    pushing->payload = (struct sl_bytes){push->metrics.data, (size_t)push->metrics.size};
    pushing->topic.name = sluice_text_of(link->room->topic);
    pushing->done = done;
    pushing->arg = arg;
    caller_init(&pushing->caller, context, client);
    sl_buffer_init(&pushing->opened, link->room->bytes_max);
    sl_buffer_init(&pushing->batch, link->room->bytes_max + TELEMETRY_RECORD_BYTES);
    if (is_reserved(&pushing->caller.client.instance)) {
        push_end(pushing, SLUICE_E_INVALID_REQUEST);
        return;
    }
    pushing->call.run = push_run;
    pushing->call.reply = push_judged;
    shard_call_start(&pushing->call, link->home->set->shards[0], link->home->loop,
                     SL_PRIORITY_PROCESSING);
}

/* ---- life ---- */

sl_err telemetry_room_init(struct telemetry_room *room, struct sl_os *os, const char *topic,
                           size_t bytes_max, const char **ret_reason)
{
    uint64_t seed;
    if (topic[0] == '\0') {
        return SLUICE_OK;
    }
    sl_err err = topic_name_check(sl_bytes_of_text(topic), false, ret_reason);
    if (err == SLUICE_OK) {
        sl_os_random(os, &seed, sizeof(seed));
        err = telemetry_book_new(seed, &room->book);
    }
    if (err == SLUICE_OK) {
        room->bytes_max = bytes_max;
        snprintf(room->topic, sizeof(room->topic), "%s", topic);
    }
    return err;
}

void telemetry_room_fini(struct telemetry_room *room)
{
    room->book = telemetry_book_free(room->book);
}

void telemetry_link_init(struct telemetry_link *link, struct telemetry_room *room,
                         struct shard *home, const struct sluice_broker *broker)
{
    *link = (struct telemetry_link){.room = room, .home = home, .broker = broker};
    link->table = (struct sluice_telemetry){
        .size = sizeof(link->table), .data = link, .ask = on_ask, .push = on_push};
}

const struct sluice_telemetry *telemetry_link_table(const struct telemetry_link *link)
{
    return link->room->book == NULL ? NULL : &link->table;
}
