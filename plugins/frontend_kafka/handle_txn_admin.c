/* handle_txn_admin.c: DescribeTransactions, ListTransactions (KIP-664, KIP-994, KIP-1152) and
 * DescribeProducers (KIP-664): what tools show of transactions, and how a hanging one is found. */
#include "kafka_api.h"
#include "kafka_messages.h"
#include "kafka_status.h"

#include <stdio.h>

/* By SLUICE_TXN_*. */
static const char *const state_names[] = {"Empty",        "Ongoing",        "PrepareCommit",
                                          "PrepareAbort", "CompleteCommit", "CompleteAbort"};
#define STATE_COUNT ((int32_t)(sizeof(state_names) / sizeof(state_names[0])))

static struct kafka_bytes state_name(int32_t state)
{
    return kafka_string(state >= 0 && state < STATE_COUNT ? state_names[state] : "Unknown");
}

/* ---- DescribeTransactions ---- */

typedef struct kafka_describe_transactions_response_transaction_state described_state;
typedef struct kafka_describe_transactions_response_topic_data described_topic;

static described_topic *topic_of(described_state *state, struct sluice_text name)
{
    for (int32_t i = 0; i < state->topics_count; i++) {
        struct kafka_bytes known = state->topics[i].topic;
        if ((uint64_t)known.size == name.size && memcmp(known.data, name.data, name.size) == 0) {
            return &state->topics[i];
        }
    }
    return NULL;
}

/* Partitions by topic, in the order in which topics first come: counted, laid out, filled in. */
static bool fill_topics(struct kafka_call *call, const struct sluice_txn_info *info,
                        described_state *state)
{
    int32_t *places = kafka_call_try_take(call, info->partition_count, sizeof(*places));

    state->topics = kafka_call_try_take(call, info->partition_count, sizeof(*state->topics));
    if (state->topics == NULL || places == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < info->partition_count; i++) {
        struct sluice_text name = info->partitions[i].topic.name;
        described_topic *topic = topic_of(state, name);
        if (topic == NULL) {
            topic = &state->topics[state->topics_count++];
            kafka_describe_transactions_response_topic_data_init(topic);
            topic->topic = kafka_of_text_or_empty(name);
        }
        topic->partitions_count++;
    }
    for (int32_t i = 0; i < state->topics_count; i++) {
        state->topics[i].partitions = places;
        places += state->topics[i].partitions_count;
        state->topics[i].partitions_count = 0;
    }
    for (uint32_t i = 0; i < info->partition_count; i++) {
        described_topic *topic = topic_of(state, info->partitions[i].topic.name);
        if (topic != NULL) {
            topic->partitions[topic->partitions_count++] = info->partitions[i].partition;
        }
    }
    return true;
}

static bool fill_state(struct kafka_call *call, const struct sluice_txn_info *info,
                       described_state *state)
{
    kafka_describe_transactions_response_transaction_state_init(state);
    state->error_code = kafka_status_code(info->status);
    state->transactional_id = kafka_of_text_or_empty(info->id);
    if (info->status != SLUICE_OK) {
        return true;
    }
    state->transaction_state = state_name(info->state);
    state->transaction_timeout_ms = info->timeout_ms;
    state->transaction_start_time_ms = info->start_ms;
    state->producer_id = info->producer_id;
    state->producer_epoch = info->epoch;
    return fill_topics(call, info, state);
}

static void described(void *arg, sluice_status status, const struct sluice_txn_info *txns,
                      uint32_t count)
{
    struct kafka_call *call = arg;
    const struct kafka_describe_transactions_request *request = call->request;
    int32_t asked = request->transactional_ids_count;
    struct kafka_describe_transactions_response response;
    bool ok;

    kafka_describe_transactions_response_init(&response);
    response.transaction_states =
        kafka_call_try_take(call, asked, sizeof(*response.transaction_states));
    response.transaction_states_count = asked;
    ok = response.transaction_states != NULL;
    for (int32_t i = 0; ok && i < asked; i++) {
        bool is_named = request->transactional_ids[i].size > 0;
        struct sluice_txn_info failed = {.status = is_named ? status : SLUICE_E_INVALID_REQUEST,
                                         .id = kafka_to_text(request->transactional_ids[i])};
        bool is_there = is_named && status == SLUICE_OK && (uint32_t)i < count;
        ok = fill_state(call, is_there ? &txns[i] : &failed, &response.transaction_states[i]);
    }
    if (!ok) {
        kafka_call_fail(call, "transactions do not fit into an answer", SLUICE_E_LIMIT);
        return;
    }
    kafka_call_answer(call, &response);
}

void kafka_handle_describe_transactions(struct kafka_call *call)
{
    const struct kafka_describe_transactions_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    int32_t count = request->transactional_ids_count;
    struct sluice_text *ids = kafka_call_take(call, count, sizeof(*ids));

    if (ids == NULL) {
        return;
    }
    for (int32_t i = 0; i < count; i++) {
        ids[i] = kafka_to_text_or_empty(request->transactional_ids[i]);
    }
    broker->txns_describe(broker, kafka_call_context(call), ids, (uint32_t)count, described, call);
}

/* ---- ListTransactions ---- */

static int32_t state_of(struct kafka_bytes name)
{
    for (int32_t i = 0; i < STATE_COUNT; i++) {
        if ((size_t)name.size == strlen(state_names[i]) &&
            memcmp(name.data, state_names[i], (size_t)name.size) == 0) {
            return i;
        }
    }
    return -1;
}

static bool state_is_wanted(const struct kafka_list_transactions_request *request, int32_t state)
{
    for (int32_t i = 0; i < request->state_filters_count; i++) {
        if (state_of(request->state_filters[i]) == state) {
            return true;
        }
    }
    return request->state_filters_count == 0;
}

static bool producer_is_wanted(const struct kafka_list_transactions_request *request, int64_t id)
{
    for (int32_t i = 0; i < request->producer_id_filters_count; i++) {
        if (request->producer_id_filters[i] == id) {
            return true;
        }
    }
    return request->producer_id_filters_count == 0;
}

static bool is_wanted(const struct kafka_call *call, const struct sluice_txn_info *info,
                      int64_t wall_ms)
{
    const struct kafka_list_transactions_request *request = call->request;
    bool is_long = request->duration_filter < 0 ||
                   (info->start_ms >= 0 && wall_ms - info->start_ms > request->duration_filter);
    return is_long && state_is_wanted(request, info->state) &&
           producer_is_wanted(request, info->producer_id);
}

static bool fill_unknown(struct kafka_call *call, struct kafka_list_transactions_response *response)
{
    const struct kafka_list_transactions_request *request = call->request;

    response->unknown_state_filters = kafka_call_try_take(call, request->state_filters_count,
                                                          sizeof(*response->unknown_state_filters));
    for (int32_t i = 0; response->unknown_state_filters != NULL && i < request->state_filters_count;
         i++) {
        if (state_of(request->state_filters[i]) < 0) {
            response->unknown_state_filters[response->unknown_state_filters_count++] =
                request->state_filters[i];
        }
    }
    return response->unknown_state_filters != NULL;
}

static void listed(void *arg, sluice_status status, const struct sluice_txn_info *txns,
                   uint32_t count)
{
    struct kafka_call *call = arg;
    struct kafka_list_transactions_response response;
    const struct sluice_frontend_host *io = call->conn->frontend->io;
    int64_t wall_ms = io->wall_ms(io);

    kafka_list_transactions_response_init(&response);
    response.error_code = kafka_status_code(status);
    response.transaction_states =
        kafka_call_try_take(call, count, sizeof(*response.transaction_states));
    if (response.transaction_states == NULL || !fill_unknown(call, &response)) {
        kafka_call_fail(call, "transactions do not fit into an answer", SLUICE_E_LIMIT);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (is_wanted(call, &txns[i], wall_ms)) {
            struct kafka_list_transactions_response_transaction_state *state =
                &response.transaction_states[response.transaction_states_count++];
            kafka_list_transactions_response_transaction_state_init(state);
            state->transactional_id = kafka_of_text_or_empty(txns[i].id);
            state->producer_id = txns[i].producer_id;
            state->transaction_state = state_name(txns[i].state);
        }
    }
    kafka_call_answer(call, &response);
}

void kafka_handle_list_transactions(struct kafka_call *call)
{
    const struct kafka_list_transactions_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    broker->txns_list(broker, kafka_call_context(call),
                      kafka_to_text_or_empty(request->transactional_id_pattern), listed, call);
}

/* ---- DescribeProducers ---- */

typedef struct kafka_describe_producers_response_partition producers_partition;

static bool fill_producers(struct kafka_call *call, const struct sluice_producers_result *result,
                           producers_partition *slot)
{
    slot->error_code = kafka_status_code(result->status);
    slot->active_producers =
        kafka_call_try_take(call, result->count, sizeof(*slot->active_producers));
    if (slot->active_producers == NULL) {
        return false;
    }
    slot->active_producers_count = (int32_t)result->count;
    for (uint32_t i = 0; i < result->count; i++) {
        const struct sluice_producer_info *from = &result->producers[i];
        slot->active_producers[i] = (struct kafka_describe_producers_response_producer_state){
            .producer_id = from->producer_id,
            .producer_epoch = from->epoch,
            .last_sequence = from->last_sequence,
            .last_timestamp = from->last_ms,
            .coordinator_epoch = from->txn_first_offset >= 0 ? 0 : -1,
            .current_txn_start_offset = from->txn_first_offset,
        };
    }
    return true;
}

static void producers_described(void *arg, const struct sluice_producers_result *results,
                                uint32_t count)
{
    struct kafka_call *call = arg;
    producers_partition **slots = call->slots;
    bool ok = true;

    for (uint32_t i = 0; ok && i < count; i++) {
        ok = fill_producers(call, &results[i], slots[i]);
    }
    if (!ok) {
        kafka_call_fail(call, "producers do not fit into an answer", SLUICE_E_LIMIT);
        return;
    }
    kafka_call_answer(call, call->response);
}

static bool lay_out_producers(struct kafka_call *call,
                              struct kafka_describe_producers_response *response,
                              struct sluice_txn_partition *partitions)
{
    const struct kafka_describe_producers_request *request = call->request;
    producers_partition **slots = call->slots;
    uint32_t at = 0;

    response->topics = kafka_call_try_take(call, request->topics_count, sizeof(*response->topics));
    response->topics_count = request->topics_count;
    for (int32_t i = 0; response->topics != NULL && i < request->topics_count; i++) {
        const struct kafka_describe_producers_request_topic *from = &request->topics[i];
        struct kafka_describe_producers_response_topic *to = &response->topics[i];
        kafka_describe_producers_response_topic_init(to);
        to->name = from->name;
        to->partitions_count = from->partition_indexes_count;
        to->partitions =
            kafka_call_try_take(call, from->partition_indexes_count, sizeof(*to->partitions));
        if (to->partitions == NULL) {
            return false;
        }
        for (int32_t j = 0; j < from->partition_indexes_count; j++, at++) {
            kafka_describe_producers_response_partition_init(&to->partitions[j]);
            to->partitions[j].partition_index = from->partition_indexes[j];
            to->partitions[j].error_code = KAFKA_NO_ANSWER;
            slots[at] = &to->partitions[j];
            partitions[at] =
                (struct sluice_txn_partition){.topic = {.name = kafka_to_text(from->name)},
                                              .partition = from->partition_indexes[j]};
        }
    }
    return response->topics != NULL;
}

void kafka_handle_describe_producers(struct kafka_call *call)
{
    const struct kafka_describe_producers_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    struct kafka_describe_producers_response *response =
        kafka_call_try_take(call, 1, sizeof(*response));
    struct sluice_txn_partition *partitions;
    int64_t count = 0;

    for (int32_t i = 0; i < request->topics_count; i++) {
        count += request->topics[i].partition_indexes_count;
    }
    partitions = kafka_call_try_take(call, count, sizeof(*partitions));
    call->slots = kafka_call_try_take(call, count, sizeof(producers_partition *));
    call->response = response;
    if (response != NULL) {
        kafka_describe_producers_response_init(response);
    }
    if (response == NULL || partitions == NULL || call->slots == NULL ||
        !lay_out_producers(call, response, partitions)) {
        kafka_call_fail(call, "a request names too many partitions", SLUICE_E_LIMIT);
        return;
    }
    broker->producers_describe(broker, kafka_call_context(call), partitions, (uint32_t)count,
                               producers_described, call);
}
