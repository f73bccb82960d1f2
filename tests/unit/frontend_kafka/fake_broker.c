/* fake_broker.c: see fake_broker.h. */
#include "fake_broker.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct sluice_plugin_descriptor sluice_plugin;

static struct sluice_text text(const char *words)
{
    return sluice_text_of(words);
}

static bool is_text(struct sluice_text a, const char *b)
{
    return a.size == strlen(b) && memcmp(a.data, b, a.size) == 0;
}

struct sluice_uuid fake_topic_id(void)
{
    return (struct sluice_uuid){{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
}

static bool is_known(const struct sluice_topic_ref *ref)
{
    struct sluice_uuid id = fake_topic_id();
    return ref->name.size > 0 ? is_text(ref->name, FAKE_TOPIC)
                              : memcmp(ref->id.bytes, id.bytes, sizeof(id.bytes)) == 0;
}

static sluice_status status_of(const struct sluice_topic_ref *ref)
{
    return is_known(ref)        ? SLUICE_OK
           : ref->name.size > 0 ? SLUICE_E_UNKNOWN_TOPIC
                                : SLUICE_E_UNKNOWN_TOPIC_ID;
}

/* ---- the host ---- */

static struct fake *of_io(const struct sluice_frontend_host *io)
{
    return io->data;
}

static const void *get_extension(const struct sluice_host *host, const char *id)
{
    struct fake *fake = host->data;
    if (strcmp(id, SLUICE_EXT_FRONTEND) == 0) {
        return &fake->io;
    }
    return strcmp(id, SLUICE_EXT_BROKER) == 0 ? &fake->broker : NULL;
}

static void log_line(const struct sluice_host *host, int32_t level, struct sluice_text line)
{
    struct fake *fake = host->data;
    (void)level;
    fake->line_count++;
    snprintf(fake->line, sizeof(fake->line), "%.*s", (int)line.size, line.data);
}

static struct sluice_text get_config(const struct sluice_host *host, const char *key,
                                     struct sluice_text fallback)
{
    struct fake *fake = host->data;
    return fake->config_key != NULL && strcmp(key, fake->config_key) == 0 ? text(fake->config_value)
                                                                          : fallback;
}

static void set_error(const struct sluice_host *host, struct sluice_text reason)
{
    log_line(host, 0, reason);
}

static sluice_status conn_write(const struct sluice_frontend_host *io, uint64_t connection,
                                const struct sluice_piece *pieces, uint32_t count)
{
    struct fake *fake = of_io(io);
    cr_assert_eq(connection, FAKE_CONNECTION);
    cr_assert_eq(fake->closes, 0, "nothing is written after a close");
    for (uint32_t i = 0; i < count; i++) {
        fake->output = realloc(fake->output, fake->output_size + pieces[i].bytes.size + 1);
        memcpy(fake->output + fake->output_size, pieces[i].bytes.data, pieces[i].bytes.size);
        fake->output_size += pieces[i].bytes.size;
        if (pieces[i].token != 0) {
            cr_assert_eq(pieces[i].token, FAKE_TOKEN);
            fake->token_pieces++;
        }
    }
    return SLUICE_OK;
}

static void conn_close(const struct sluice_frontend_host *io, uint64_t connection)
{
    cr_assert_eq(connection, FAKE_CONNECTION);
    of_io(io)->closes++;
    fake_hang_up(of_io(io));
}

static void feed(struct fake *fake)
{
    if (fake->feeding) {
        return;
    }
    fake->feeding = true;
    while (!fake->gone && fake->pauses == 0 && fake->input_size > 0 &&
           fake->input_size >= fake->wanted) {
        uint64_t consumed = 0;
        uint64_t wanted = 0;
        size_t size = fake->input_size;
        uint8_t *copy = malloc(size);
        memcpy(copy, fake->input, size);
        fake->fed = copy;
        fake->fed_size = size;
        fake->input_calls++;
        sluice_status status = fake->ops->conn_input(
            fake->self, fake->conn, (struct sluice_bytes){copy, size}, &consumed, &wanted);
        memset(copy, 0xdd, size);
        free(copy);
        fake->fed = NULL;
        fake->fed_size = 0;
        if (fake->gone) {
            break;
        }
        cr_assert_eq(status, SLUICE_OK);
        cr_assert_leq(consumed, size);
        memmove(fake->input, fake->input + consumed, size - consumed);
        fake->input_size -= consumed;
        fake->wanted = wanted;
        if (consumed == 0 && wanted <= fake->input_size) {
            cr_assert_gt(fake->pauses, 0, "input is not taken, and nothing says why");
        }
    }
    fake->feeding = false;
}

static void conn_pause(const struct sluice_frontend_host *io, uint64_t connection)
{
    cr_assert_eq(connection, FAKE_CONNECTION);
    of_io(io)->pauses++;
}

static void conn_resume(const struct sluice_frontend_host *io, uint64_t connection)
{
    struct fake *fake = of_io(io);
    cr_assert_eq(connection, FAKE_CONNECTION);
    cr_assert_gt(fake->pauses, 0, "each resume has its pause");
    if (--fake->pauses == 0) {
        feed(fake);
    }
}

static void set_tick(const struct sluice_frontend_host *io, uint32_t delay_ms)
{
    of_io(io)->tick_ms = delay_ms;
}

static int64_t now_ms(const struct sluice_frontend_host *io)
{
    return of_io(io)->now_ms;
}

/* ---- the broker's answers ---- */

static void answer_topics(struct fake *fake, const struct fake_held *held)
{
    static struct sluice_partition_info partitions[FAKE_PARTITIONS];
    struct sluice_topic_info infos[FAKE_ENTRIES_MAX] = {0};
    uint32_t count = held->all ? 1 : held->count;

    for (int32_t i = 0; i < FAKE_PARTITIONS; i++) {
        partitions[i] = (struct sluice_partition_info){i, 5, FAKE_NODE, SLUICE_OK};
    }
    for (uint32_t i = 0; i < count; i++) {
        bool known = held->all || is_known(&held->refs[i]);
        infos[i].size = sizeof(infos[i]);
        infos[i].status = held->all ? SLUICE_OK : status_of(&held->refs[i]);
        infos[i].name = known ? text(FAKE_TOPIC) : held->refs[i].name;
        infos[i].id = known ? fake_topic_id() : held->refs[i].id;
        infos[i].partition_count = known ? FAKE_PARTITIONS : 0;
        infos[i].partitions = partitions;
    }
    (void)fake;
    ((sluice_topics_done *)held->done)(held->arg, infos, count);
}

static void answer_produce(struct fake *fake, const struct fake_held *held)
{
    struct sluice_produce_result results[FAKE_ENTRIES_MAX] = {0};
    struct sluice_record_error errors[2] = {{0, 0, text("no key")}, {4, 0, text("no key either")}};

    for (uint32_t i = 0; i < held->count; i++) {
        results[i].status =
            fake->status != SLUICE_OK || fake->any_topic ? fake->status : status_of(&held->refs[i]);
        results[i].base_offset = results[i].status == SLUICE_OK ? fake->next_offset++ : -1;
        results[i].log_append_time_ms = -1;
        results[i].log_start_offset = 0;
        if (results[i].status != SLUICE_OK && fake->record_errors > 0) {
            results[i].record_error_count = fake->record_errors;
            results[i].record_errors = errors;
            results[i].reason = text("some records have no key");
        }
    }
    ((sluice_produce_done *)held->done)(held->arg, fake->answers_nothing ? NULL : results,
                                        fake->answers_nothing ? 0 : held->count, fake->throttle_ms);
}

static void answer_fetch(struct fake *fake, const struct fake_held *held)
{
    struct sluice_fetch_result results[FAKE_ENTRIES_MAX] = {0};
    for (uint32_t i = 0; i < held->count; i++) {
        results[i].status = fake->status != SLUICE_OK ? fake->status : status_of(&held->refs[i]);
        results[i].high_watermark = fake->high_watermark;
        results[i].last_stable_offset = fake->high_watermark;
        results[i].diverging_epoch = fake->diverging_epoch;
        results[i].diverging_end_offset = 3;
        if (results[i].status == SLUICE_OK && fake->records != NULL) {
            results[i].records =
                (struct sluice_bytes){(const uint8_t *)fake->records, strlen(fake->records)};
            results[i].records_token = FAKE_TOKEN;
        }
    }
    ((sluice_fetch_done *)held->done)(held->arg, results, held->count, fake->throttle_ms);
}

static void answer_offsets(struct fake *fake, const struct fake_held *held)
{
    struct sluice_offset_answer answers[FAKE_ENTRIES_MAX] = {0};
    for (uint32_t i = 0; i < held->count; i++) {
        answers[i] = (struct sluice_offset_answer){status_of(&held->refs[i]), 5, 42, 1234};
    }
    (void)fake;
    ((sluice_offsets_done *)held->done)(held->arg, answers, held->count);
}

static void answer_records_delete(struct fake *fake, const struct fake_held *held)
{
    struct sluice_records_deleted results[FAKE_ENTRIES_MAX] = {0};
    for (uint32_t i = 0; i < held->count; i++) {
        results[i].status = fake->status != SLUICE_OK ? fake->status : status_of(&held->refs[i]);
        results[i].log_start_offset = results[i].status == SLUICE_OK ? 42 : -1;
    }
    ((sluice_records_deleted_done *)held->done)(held->arg, results, held->count);
}

static void answer_group(struct fake *fake, const struct fake_held *held)
{
    static const struct sluice_group_member members[] = {
        {{"m-1", 3}, {NULL, 0}, {(const uint8_t *)"meta", 4}},
        {{"m-2", 3}, {"static", 6}, {(const uint8_t *)"data", 4}}};
    struct sluice_group_joined joined = {
        .status = fake->status,
        .generation = 3,
        .protocol_type = text("consumer"),
        .protocol = text("range"),
        .leader = text("m-1"),
        .member = text("m-1"),
        .skip_assignment = true,
        .member_count = 2,
        .members = members,
    };
    struct sluice_group_synced synced = {
        fake->status, 0, text("consumer"), text("range"), {(const uint8_t *)"assigned", 8}};
    sluice_status statuses[FAKE_ENTRIES_MAX] = {0};

    if (held->kind == FAKE_JOIN) {
        ((sluice_group_joined_done *)held->done)(held->arg, &joined);
    } else if (held->kind == FAKE_SYNC) {
        ((sluice_group_synced_done *)held->done)(held->arg, &synced);
    } else if (held->kind == FAKE_HEARTBEAT) {
        ((sluice_status_done *)held->done)(held->arg, fake->status);
    } else {
        statuses[0] = held->kind == FAKE_LEAVE ? SLUICE_E_UNKNOWN_MEMBER : SLUICE_OK;
        ((sluice_statuses_done *)held->done)(held->arg, fake->status, statuses, held->count);
    }
}

static void answer_offset_fetch(struct fake *fake, const struct fake_held *held)
{
    struct sluice_offset_fetched offsets[FAKE_ENTRIES_MAX] = {0};
    uint32_t count = held->all ? 2 : held->count;
    char metadata[] = "note";

    for (uint32_t i = 0; i < count; i++) {
        offsets[i].partition = (int32_t)i;
        offsets[i].topic = text(FAKE_TOPIC);
        offsets[i].topic_id = fake_topic_id();
        offsets[i].offset = i == 0 ? 42 : -1;
        offsets[i].leader_epoch = i == 0 ? 5 : -1;
        offsets[i].metadata = text(i == 0 ? metadata : "");
    }
    ((sluice_offset_fetched_done *)held->done)(held->arg, fake->status, offsets, count);
    memset(metadata, 'x', sizeof(metadata));
}

static void answer_results(struct fake *fake, const struct fake_held *held)
{
    struct sluice_topic_result results[FAKE_ENTRIES_MAX] = {0};
    for (uint32_t i = 0; i < held->count; i++) {
        bool known = is_known(&held->refs[i]);
        results[i].status = held->kind == FAKE_DELETE ? status_of(&held->refs[i])
                            : known                   ? SLUICE_E_TOPIC_EXISTS
                                                      : SLUICE_OK;
        results[i].name = known ? text(FAKE_TOPIC) : held->refs[i].name;
        results[i].id = fake_topic_id();
        results[i].partition_count = 4;
        results[i].replication_factor = 1;
    }
    (void)fake;
    ((sluice_topic_results_done *)held->done)(held->arg, results, held->count);
}

static void answer_configs(struct fake *fake, const struct fake_held *held)
{
    char value[] = "604800000";
    const struct sluice_config_entry entries[] = {
        {.name = text("cleanup.policy"),
         .value = text("delete"),
         .documentation = text("What to do."),
         .source = SLUICE_CONFIG_SOURCE_DEFAULT,
         .type = SLUICE_CONFIG_TYPE_LIST,
         .synonym = text("log.cleanup.policy"),
         .synonym_value = text("delete")},
        {.name = text("retention.ms"),
         .value = text(value),
         .source = SLUICE_CONFIG_SOURCE_TOPIC,
         .type = SLUICE_CONFIG_TYPE_LONG,
         .synonym = text("log.retention.ms"),
         .synonym_value = text("1")},
        {.name = text("secret"),
         .value = text("hidden"),
         .source = SLUICE_CONFIG_SOURCE_BROKER,
         .type = SLUICE_CONFIG_TYPE_STRING,
         .sensitive = true,
         .read_only = true},
    };
    const struct sluice_config_result result = {
        .status = fake->status, .entry_count = 3, .entries = entries};
    ((sluice_config_done *)held->done)(held->arg, &result);
    memset(value, 'x', sizeof(value));
}

static void answer_producer_id(struct fake *fake, const struct fake_held *held)
{
    const struct sluice_producer_id id = {fake->status, 0, 0, 1000};
    ((sluice_producer_id_done *)held->done)(held->arg, &id);
}

static void answer_status(struct fake *fake, const struct fake_held *held)
{
    ((sluice_status_done *)held->done)(held->arg, fake->status);
}

static void answer_whole(struct fake *fake, const struct fake_held *held)
{
    ((sluice_statuses_done *)held->done)(held->arg, fake->status, NULL, 0);
}

typedef void answer_fn(struct fake *fake, const struct fake_held *held);
static answer_fn *const answers[FAKE_KINDS] = {
    [FAKE_TOPICS] = answer_topics,
    [FAKE_CREATE] = answer_results,
    [FAKE_DELETE] = answer_results,
    [FAKE_CONFIGS] = answer_configs,
    [FAKE_PRODUCE] = answer_produce,
    [FAKE_FETCH] = answer_fetch,
    [FAKE_OFFSETS] = answer_offsets,
    [FAKE_PRODUCER_ID] = answer_producer_id,
    [FAKE_JOIN] = answer_group,
    [FAKE_SYNC] = answer_group,
    [FAKE_HEARTBEAT] = answer_group,
    [FAKE_LEAVE] = answer_group,
    [FAKE_COMMIT] = answer_group,
    [FAKE_OFFSET_FETCH] = answer_offset_fetch,
    [FAKE_RECORDS_DELETE] = answer_records_delete,
    [FAKE_TXN_PRODUCER] = answer_producer_id,
    [FAKE_TXN_END] = answer_producer_id,
    [FAKE_TXN_GROUP] = answer_status,
    [FAKE_TXN_PARTITIONS] = answer_whole,
    [FAKE_TXN_OFFSETS] = answer_whole,
};

/* Texts of refs are borrowed for the call only: keep where they were known to be, which is the
 * literal's; unknown ones keep an empty name of the same kind. */
static void hold_ref(struct fake_held *held, uint32_t index, const struct sluice_topic_ref *ref)
{
    held->refs[index] = *ref;
    if (ref->name.size > 0) {
        held->refs[index].name = is_known(ref) ? text(FAKE_TOPIC) : text("missing");
    }
}

static struct fake *begin(const struct sluice_broker *broker, const struct sluice_context *context,
                          enum fake_kind kind, void *done, void *arg, uint32_t count)
{
    struct fake *fake = broker->data;
    struct fake_held *held = &fake->held[fake->held_count];

    cr_assert_lt(fake->held_count, FAKE_HELD_MAX);
    cr_assert_leq(count, FAKE_ENTRIES_MAX);
    cr_assert_eq(context->connection, FAKE_CONNECTION);
    cr_assert(is_text(context->principal, "User:ANONYMOUS"));
    snprintf(fake->client_id, sizeof(fake->client_id), "%.*s", (int)context->client_id.size,
             context->client_id.data);
    memset(held, 0, sizeof(*held));
    held->kind = kind;
    held->done = done;
    held->arg = arg;
    held->count = count;
    fake->calls[kind]++;
    return fake;
}

static void end(struct fake *fake)
{
    struct fake_held held = fake->held[fake->held_count];
    if (fake->hold[held.kind]) {
        fake->held_count++;
    } else {
        answers[held.kind](fake, &held);
    }
}

static struct fake_held *newest(struct fake *fake)
{
    return &fake->held[fake->held_count];
}

void fake_release(struct fake *fake, uint32_t index)
{
    struct fake_held held = fake->held[index];
    cr_assert_lt(index, fake->held_count);
    fake->held_count--;
    memmove(&fake->held[index], &fake->held[index + 1],
            (fake->held_count - index) * sizeof(fake->held[0]));
    answers[held.kind](fake, &held);
}

/* ---- the broker's calls ---- */

static const struct sluice_cluster *cluster(const struct sluice_broker *broker,
                                            const struct sluice_context *context)
{
    static const struct sluice_node node = {
        .size = sizeof(node), .id = FAKE_NODE, .host = {"localhost", 9}, .port = 9092};
    static const struct sluice_cluster it = {.size = sizeof(it),
                                             .node_count = 1,
                                             .cluster_id = {"AAAAAAAAAAAAAAAAAAAAAA", 22},
                                             .controller_id = FAKE_NODE,
                                             .nodes = &node};
    (void)broker;
    (void)context;
    return &it;
}

#define CALL(name, ...)                                                                        \
    static void name(const struct sluice_broker *broker, const struct sluice_context *context, \
                     __VA_ARGS__)

CALL(topics, const struct sluice_topic_ref *refs, uint32_t count, bool auto_create,
     sluice_topics_done *done, void *arg)
{
    struct fake *fake = begin(broker, context, FAKE_TOPICS, (void *)done, arg, count);
    fake->auto_create = auto_create;
    fake->all_topics = newest(fake)->all = refs == NULL;
    for (uint32_t i = 0; i < count; i++) {
        newest(fake)->refs[i] = refs[i]; /* borrowed until done */
    }
    end(fake);
}

CALL(topics_create, const struct sluice_topic_spec *specs, uint32_t count, bool validate_only,
     sluice_topic_results_done *done, void *arg)
{
    struct fake *fake = begin(broker, context, FAKE_CREATE, (void *)done, arg, count);
    fake->validate_only = validate_only;
    for (uint32_t i = 0; i < count; i++) {
        newest(fake)->refs[i].name = specs[i].name;
    }
    end(fake);
}

CALL(topics_delete, const struct sluice_topic_ref *refs, uint32_t count, bool validate_only,
     sluice_topic_results_done *done, void *arg)
{
    cr_assert_not(validate_only);
    struct fake *fake = begin(broker, context, FAKE_DELETE, (void *)done, arg, count);
    for (uint32_t i = 0; i < count; i++) {
        newest(fake)->refs[i] = refs[i];
    }
    end(fake);
}

CALL(configs_describe, int32_t resource, struct sluice_text name, sluice_config_done *done,
     void *arg)
{
    struct fake *fake = begin(broker, context, FAKE_CONFIGS, (void *)done, arg, 1);
    (void)resource;
    (void)name;
    end(fake);
}

CALL(configs_preview, const struct sluice_topic_spec *spec, sluice_config_done *done, void *arg)
{
    configs_describe(broker, context, SLUICE_RESOURCE_TOPIC, spec->name, done, arg);
}

CALL(produce, const struct sluice_produce *request, sluice_produce_done *done, void *arg)
{
    struct fake *fake =
        begin(broker, context, FAKE_PRODUCE, (void *)done, arg, request->entry_count);
    const struct sluice_produce_entry *first = request->entries;
    fake->produce = *request;
    fake->produced = *first;
    snprintf(fake->produced_topic, sizeof(fake->produced_topic), "%.*s",
             (int)first->topic.name.size, first->topic.name.data);
    fake->in_input = first->batch.data >= fake->fed &&
                     first->batch.data + first->batch.size <= fake->fed + fake->fed_size;
    for (uint32_t i = 0; i < request->entry_count; i++) {
        hold_ref(newest(fake), i, &request->entries[i].topic);
    }
    end(fake);
}

CALL(fetch, const struct sluice_fetch *request, sluice_fetch_done *done, void *arg)
{
    struct fake *fake = begin(broker, context, FAKE_FETCH, (void *)done, arg, request->entry_count);
    fake->fetch = *request;
    for (uint32_t i = 0; i < request->entry_count; i++) {
        const struct sluice_fetch_entry *entry = &request->entries[i];
        fake->fetched[i] = *entry;
        snprintf(fake->fetched_topics[i], sizeof(fake->fetched_topics[i]), "%.*s",
                 (int)entry->topic.name.size, entry->topic.name.data);
        hold_ref(newest(fake), i, &entry->topic);
    }
    end(fake);
}

CALL(offsets, int32_t isolation, const struct sluice_offset_query *queries, uint32_t count,
     sluice_offsets_done *done, void *arg)
{
    struct fake *fake = begin(broker, context, FAKE_OFFSETS, (void *)done, arg, count);
    (void)isolation;
    fake->timestamps_count = (int32_t)count;
    for (uint32_t i = 0; i < count; i++) {
        newest(fake)->refs[i] = queries[i].topic;
        fake->timestamps[i] = queries[i].timestamp;
    }
    end(fake);
}

CALL(records_delete, const struct sluice_records_delete *entries, uint32_t count,
     sluice_records_deleted_done *done, void *arg)
{
    struct fake *fake = begin(broker, context, FAKE_RECORDS_DELETE, (void *)done, arg, count);
    for (uint32_t i = 0; i < count; i++) {
        hold_ref(newest(fake), i, &entries[i].topic);
        fake->deletion = entries[i];
    }
    end(fake);
}

CALL(producer_id, int64_t id, int16_t epoch, sluice_producer_id_done *done, void *arg)
{
    struct fake *fake = begin(broker, context, FAKE_PRODUCER_ID, (void *)done, arg, 1);
    cr_assert_eq(id, -1);
    cr_assert_eq(epoch, -1);
    end(fake);
}

CALL(txn_producer, const struct sluice_txn *txn, int32_t timeout_ms, sluice_producer_id_done *done,
     void *arg)
{
    struct fake *fake = begin(broker, context, FAKE_TXN_PRODUCER, (void *)done, arg, 1);
    cr_assert_gt(txn->id.size, 0);
    cr_assert_gt(timeout_ms, 0);
    end(fake);
}

CALL(txn_end, const struct sluice_txn *txn, bool commit, sluice_producer_id_done *done, void *arg)
{
    struct fake *fake = begin(broker, context, FAKE_TXN_END, (void *)done, arg, 1);
    cr_assert_geq(txn->producer_id, 0);
    (void)commit;
    end(fake);
}

CALL(txn_group_add, const struct sluice_txn *txn, struct sluice_text group,
     sluice_status_done *done, void *arg)
{
    struct fake *fake = begin(broker, context, FAKE_TXN_GROUP, (void *)done, arg, 1);
    cr_assert_geq(txn->epoch, 0);
    cr_assert_gt(group.size, 0);
    end(fake);
}

CALL(txn_partitions_add, const struct sluice_txn *txn,
     const struct sluice_txn_partition *partitions, uint32_t count, bool verify_only,
     sluice_statuses_done *done, void *arg)
{
    struct fake *fake = begin(broker, context, FAKE_TXN_PARTITIONS, (void *)done, arg, 1);
    cr_assert_geq(txn->epoch, 0);
    cr_assert_gt(count, 0);
    cr_assert_geq(partitions[count - 1].partition, 0);
    cr_assert_not(verify_only);
    end(fake);
}

CALL(txn_offsets_commit, const struct sluice_txn *txn, const struct sluice_offset_commit *request,
     sluice_statuses_done *done, void *arg)
{
    struct fake *fake = begin(broker, context, FAKE_TXN_OFFSETS, (void *)done, arg, 1);
    cr_assert_geq(txn->epoch, 0);
    cr_assert_gt(request->identity.group.size, 0);
    end(fake);
}

CALL(group_join, const struct sluice_group_join *request, sluice_group_joined_done *done, void *arg)
{
    struct fake *fake = begin(broker, context, FAKE_JOIN, (void *)done, arg, 1);
    fake->join = *request;
    end(fake);
}

CALL(group_sync, const struct sluice_group_sync *request, sluice_group_synced_done *done, void *arg)
{
    struct fake *fake = begin(broker, context, FAKE_SYNC, (void *)done, arg, 1);
    (void)request;
    end(fake);
}

CALL(group_heartbeat, const struct sluice_group_identity *request, sluice_status_done *done,
     void *arg)
{
    struct fake *fake = begin(broker, context, FAKE_HEARTBEAT, (void *)done, arg, 1);
    (void)request;
    end(fake);
}

/* Calls of groups that share streams: answered at once, with nothing to tell. */
CALL(share_heartbeat, const struct sluice_share_heartbeat *request, sluice_share_joined_done *done,
     void *arg)
{
    (void)broker;
    (void)context;
    done(arg, &(struct sluice_share_joined){.epoch = request->epoch + 1, .heartbeat_ms = 5000});
}

CALL(share_fetch, const struct sluice_share_fetch *request, sluice_share_fetched_done *done,
     void *arg)
{
    struct sluice_share_result results[FAKE_ENTRIES_MAX] = {0};
    (void)broker;
    (void)context;
    cr_assert_leq(request->entry_count, FAKE_ENTRIES_MAX);
    done(arg, SLUICE_OK, 30000, results, request->entry_count);
}

CALL(group_leave, const struct sluice_group_leave *request, sluice_statuses_done *done, void *arg)
{
    struct fake *fake = begin(broker, context, FAKE_LEAVE, (void *)done, arg, request->entry_count);
    fake->leavers = request->entry_count;
    end(fake);
}

CALL(offset_commit, const struct sluice_offset_commit *request, sluice_statuses_done *done,
     void *arg)
{
    struct fake *fake =
        begin(broker, context, FAKE_COMMIT, (void *)done, arg, request->entry_count);
    end(fake);
}

CALL(offset_fetch, const struct sluice_offset_fetch *request, sluice_offset_fetched_done *done,
     void *arg)
{
    struct fake *fake =
        begin(broker, context, FAKE_OFFSET_FETCH, (void *)done, arg, request->entry_count);
    fake->offsets_of_all = newest(fake)->all = request->entries == NULL;
    end(fake);
}

/* Nothing is known of any epoch. */
CALL(epoch_ends, const struct sluice_epoch_query *queries, uint32_t count,
     sluice_epoch_ends_done *done, void *arg)
{
    struct sluice_epoch_end ends[FAKE_ENTRIES_MAX];
    (void)broker;
    (void)context;
    (void)queries;
    cr_assert_leq(count, FAKE_ENTRIES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        ends[i] = (struct sluice_epoch_end){SLUICE_OK, -1, -1};
    }
    done(arg, ends, count);
}

static const struct sluice_features *features(const struct sluice_broker *broker,
                                              const struct sluice_context *context)
{
    static const struct sluice_feature feature = {
        .name = {"transaction.version", 19}, .max = 2, .level = 2};
    static const struct sluice_features it = {.size = sizeof(it), .count = 1, .features = &feature};
    (void)broker;
    (void)context;
    return &it;
}

/* ---- life ---- */

void fake_init_config(struct fake *fake, const char *key, const char *value)
{
    struct sluice_connection connection = {
        .size = sizeof(connection),
        .token = FAKE_CONNECTION,
        .context = {.size = sizeof(struct sluice_context),
                    .principal = text("User:ANONYMOUS"),
                    .listener = text("kafka"),
                    .client_host = text("10.0.0.1"),
                    .connection = FAKE_CONNECTION},
    };

    memset(fake, 0, sizeof(*fake));
    fake->config_key = key;
    fake->config_value = value;
    fake->now_ms = 1000000;
    fake->host = (struct sluice_host){.size = sizeof(fake->host),
                                      .data = fake,
                                      .get_extension = get_extension,
                                      .log = log_line,
                                      .get_config = get_config,
                                      .set_error = set_error};
    fake->io = (struct sluice_frontend_host){.size = sizeof(fake->io),
                                             .data = fake,
                                             .conn_write = conn_write,
                                             .conn_close = conn_close,
                                             .conn_pause = conn_pause,
                                             .conn_resume = conn_resume,
                                             .set_tick = set_tick,
                                             .now_ms = now_ms,
                                             .wall_ms = now_ms};
    fake->broker = (struct sluice_broker){.size = sizeof(fake->broker),
                                          .data = fake,
                                          .cluster = cluster,
                                          .topics = topics,
                                          .topics_create = topics_create,
                                          .topics_delete = topics_delete,
                                          .configs_describe = configs_describe,
                                          .produce = produce,
                                          .fetch = fetch,
                                          .offsets = offsets,
                                          .producer_id = producer_id,
                                          .group_join = group_join,
                                          .group_sync = group_sync,
                                          .group_heartbeat = group_heartbeat,
                                          .group_leave = group_leave,
                                          .offset_commit = offset_commit,
                                          .offset_fetch = offset_fetch,
                                          .records_delete = records_delete,
                                          .txn_producer = txn_producer,
                                          .txn_end = txn_end,
                                          .txn_group_add = txn_group_add,
                                          .txn_partitions_add = txn_partitions_add,
                                          .txn_offsets_commit = txn_offsets_commit,
                                          .configs_preview = configs_preview,
                                          .epoch_ends = epoch_ends,
                                          .features = features,
                                          .share_heartbeat = share_heartbeat,
                                          .share_fetch = share_fetch};
    fake->ops = sluice_plugin.entry;
    cr_assert_eq(fake->ops->create(&fake->host, &fake->self), SLUICE_OK, "%s", fake->line);
    cr_assert_eq(fake->ops->conn_open(fake->self, &connection, &fake->conn), SLUICE_OK);
}

void fake_init(struct fake *fake)
{
    fake_init_config(fake, NULL, NULL);
}

void fake_hang_up(struct fake *fake)
{
    if (!fake->gone) {
        fake->gone = true;
        fake->ops->conn_closed(fake->self, fake->conn);
    }
}

void fake_fini(struct fake *fake)
{
    fake_hang_up(fake);
    fake->ops->destroy(fake->self);
    while (fake->held_count > 0) { /* as a host may: the calls end after the instance */
        fake_release(fake, 0);
    }
    free(fake->input);
    free(fake->output);
}

/* ---- the client ---- */

void fake_send(struct fake *fake, const void *data, size_t size)
{
    fake->input = realloc(fake->input, fake->input_size + size + 1);
    memcpy(fake->input + fake->input_size, data, size);
    fake->input_size += size;
    feed(fake);
}

uint8_t *fake_encode(int16_t key, int16_t version, int32_t correlation_id, const void *message,
                     size_t *ret_size)
{
    struct kafka_writer writer;
    kafka_writer_init(&writer, 1u << 24);
    cr_assert_eq(kafka_request_encode(&writer, kafka_api_get(key), version, correlation_id,
                                      kafka_string("tester"), message),
                 SLUICE_OK);
    *ret_size = writer.size;
    return writer.data;
}

void fake_request(struct fake *fake, int16_t key, int16_t version, int32_t correlation_id,
                  const void *message)
{
    size_t size;
    uint8_t *data = fake_encode(key, version, correlation_id, message, &size);
    fake_send(fake, data, size);
    free(data);
}

bool fake_is_quiet(const struct fake *fake)
{
    return fake->output_read == fake->output_size;
}

const void *fake_response(struct fake *fake, int16_t key, int16_t version, int32_t correlation_id)
{
    static _Alignas(max_align_t) uint8_t memory[1 << 20];
    static _Alignas(max_align_t) uint8_t message[4096];
    struct kafka_arena arena = kafka_arena(memory, sizeof(memory));
    const struct kafka_api *api = kafka_api_get(key);
    const uint8_t *frame = fake->output + fake->output_read + 4;
    uint32_t raw;
    int32_t id = 0;
    size_t body_at = 0;
    size_t consumed = 0;

    cr_assert_geq(fake->output_size - fake->output_read, 8, "there is no response (%s)",
                  fake->line);
    memcpy(&raw, frame - 4, sizeof(raw));
    size_t size = __builtin_bswap32(raw);
    cr_assert_leq(size + 4, fake->output_size - fake->output_read);
    cr_assert_eq(kafka_response_head_decode(frame, size, api, version, &id, &body_at), SLUICE_OK);
    cr_assert_eq(id, correlation_id);
    cr_assert_eq(
        api->response->decode(frame + body_at, size - body_at, version, &arena, message, &consumed),
        SLUICE_OK);
    cr_assert_eq(body_at + consumed, size, "the response is of version %d", version);
    fake->output_read += size + 4;
    return message;
}
