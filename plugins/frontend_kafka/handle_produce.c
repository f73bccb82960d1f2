/* handle_produce.c: Produce (KIP-32, KIP-467, KIP-516).
 *
 * Batches go to the broker as views into the input, untouched. The response is laid out before the
 * broker is called, because the request's names are gone when its done comes: entry number i of the
 * call is slot number i of the response. acks=0 has no response; if anything failed, the connection
 * is closed, which is all that such a client can notice.
 *
 * Batches of a transaction name it by the request's transactional id; from version 12 on they add
 * their partition to it (KIP-890), before that AddPartitionsToTxn did. */
#include "kafka_api.h"
#include "kafka_legacy.h"
#include "kafka_messages.h"
#include "kafka_status.h"
#include "kafka_throttle.h"

#define ZSTD_SINCE      7  /* version */
#define TOPIC_IDS_SINCE 13 /* version */
#define ABORTABLE_SINCE 11 /* version that knows TRANSACTION_ABORTABLE */
#define TXN_V2_SINCE    12 /* version: a batch adds its partition to its transaction (KIP-890) */
#define INVALID_OFFSET  (-1)

typedef struct kafka_produce_response_partition response_partition;

static uint32_t count_entries(const struct kafka_produce_request *request)
{
    uint32_t count = 0;
    for (int32_t i = 0; i < request->topic_data_count; i++) {
        count += (uint32_t)request->topic_data[i].partition_data_count;
    }
    return count;
}

/* One topic of the response, and its entries for the broker. */
static bool lay_out_topic(struct kafka_call *call, const struct kafka_produce_request_topic *topic,
                          struct kafka_produce_response_topic *answer,
                          struct sluice_produce_entry *entries, response_partition **slots)
{
    kafka_produce_response_topic_init(answer);
    answer->topic_id = topic->topic_id;
    answer->partition_responses_count = topic->partition_data_count;
    answer->partition_responses =
        kafka_call_room(call, topic->partition_data_count, sizeof(response_partition));
    if (answer->partition_responses == NULL || !kafka_call_copy(call, topic->name, &answer->name)) {
        return false;
    }
    for (int32_t i = 0; i < topic->partition_data_count; i++) {
        const struct kafka_produce_request_partition *partition = &topic->partition_data[i];
        response_partition *slot = &answer->partition_responses[i];
        bool has_records = partition->records.size > 0;

        kafka_produce_response_partition_init(slot);
        slot->index = partition->index;
        slot->error_code = KAFKA_NO_ANSWER;
        slots[i] = slot;
        entries[i] = (struct sluice_produce_entry){
            .topic = {.name = kafka_to_text(answer->name), .id = kafka_to_uuid(topic->topic_id)},
            .partition = partition->index,
            .batch = {has_records ? partition->records.data : (const uint8_t *)"",
                      has_records ? (uint64_t)partition->records.size : 0},
        };
    }
    return true;
}

static bool lay_out(struct kafka_call *call, struct sluice_produce_entry *entries)
{
    const struct kafka_produce_request *request = call->request;
    struct kafka_produce_response *response = call->response;
    response_partition **slots = call->slots;
    uint32_t at = 0;

    response->responses = kafka_call_room(call, request->topic_data_count,
                                          sizeof(struct kafka_produce_response_topic));
    for (int32_t i = 0; response->responses != NULL && i < request->topic_data_count; i++) {
        if (request->topic_data[i].partition_data_count == 0) {
            continue; /* nothing to say */
        }
        if (!lay_out_topic(call, &request->topic_data[i],
                           &response->responses[response->responses_count++], entries + at,
                           slots + at)) {
            return false;
        }
        at += (uint32_t)request->topic_data[i].partition_data_count;
    }
    return response->responses != NULL;
}

/* The reasons live until done returns, and the answer is encoded before that. */
static void fill_record_errors(struct kafka_call *call, const struct sluice_produce_result *result,
                               response_partition *slot)
{
    slot->record_errors =
        kafka_call_try_take(call, result->record_error_count, sizeof(*slot->record_errors));
    if (slot->record_errors == NULL) {
        return;
    }
    slot->record_errors_count = (int32_t)result->record_error_count;
    for (uint32_t i = 0; i < result->record_error_count; i++) {
        slot->record_errors[i].batch_index = result->record_errors[i].index;
        slot->record_errors[i].batch_index_error_message =
            kafka_of_reason(result->record_errors[i].reason);
    }
}

static void fill(struct kafka_call *call, const struct sluice_produce_result *result,
                 response_partition *slot)
{
    bool is_abortable = result->status == SLUICE_E_TRANSACTION_ABORTABLE;

    slot->error_code = kafka_status_code(is_abortable && call->version < ABORTABLE_SINCE
                                             ? SLUICE_E_INVALID_TXN_STATE
                                             : result->status);
    slot->error_message = kafka_of_reason(result->reason);
    slot->log_start_offset = result->log_start_offset;
    if (result->status == SLUICE_OK) {
        slot->base_offset = result->base_offset;
        slot->log_append_time_ms = result->log_append_time_ms;
        return;
    }
    slot->base_offset = INVALID_OFFSET;
    fill_record_errors(call, result, slot);
}

/* Who sends too much waits, also where nothing is answered. */
static void answer(struct kafka_call *call, sluice_status failure)
{
    struct kafka_produce_response *response = call->response;
    int32_t wait_ms = kafka_throttle_charge(call, SLUICE_QUOTA_PRODUCE, call->frame_bytes);

    if (wait_ms > call->throttle_ms) {
        response->throttle_time_ms = call->throttle_ms = wait_ms;
    }
    if (call->silent && failure != SLUICE_OK) {
        kafka_call_fail(call, "a produce request with acks=0 failed", failure);
        return;
    }
    kafka_call_answer(call, call->response);
}

static void produced(void *arg, const struct sluice_produce_result *results, uint32_t count,
                     int32_t throttle_ms)
{
    struct kafka_call *call = arg;
    struct kafka_produce_response *response = call->response;
    response_partition **slots = call->slots;
    /* A broker without memory answers nothing. */
    sluice_status failure = count == 0 ? SLUICE_E_NO_MEMORY : call->failure;

    for (uint32_t i = 0; i < count; i++) {
        fill(call, &results[i], slots[i]);
        failure = results[i].status != SLUICE_OK ? results[i].status : failure;
    }
    response->throttle_time_ms = throttle_ms;
    call->throttle_ms = call->silent ? 0 : throttle_ms;
    answer(call, failure);
}

/* All partitions with one outcome. */
static void refuse(struct kafka_call *call, uint32_t count, sluice_status status,
                   struct sluice_text reason)
{
    response_partition **slots = call->slots;
    const struct sluice_produce_result result = {
        .status = status, .log_start_offset = INVALID_OFFSET, .reason = reason};
    for (uint32_t i = 0; i < count; i++) {
        fill(call, &result, slots[i]);
    }
    answer(call, status);
}

void kafka_produce_refuse(struct kafka_call *call, uint32_t index, sluice_status status)
{
    response_partition **slots = call->slots;
    fill(call,
         &(struct sluice_produce_result){.status = status, .log_start_offset = INVALID_OFFSET},
         slots[index]);
    call->failure = status;
}

void kafka_produce_start(struct kafka_call *call, const struct sluice_produce_entry *entries,
                         uint32_t count)
{
    const struct kafka_produce_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    const struct sluice_produce produce = {
        .size = sizeof(produce),
        .acks = request->acks,
        .flags = (uint16_t)((call->version < ZSTD_SINCE ? SLUICE_PRODUCE_NO_ZSTD : 0) |
                            (call->version >= TXN_V2_SINCE ? SLUICE_PRODUCE_TXN_V2 : 0)),
        .timeout_ms = request->timeout_ms,
        .entry_count = count,
        .entries = entries,
        .transactional_id = kafka_to_text(request->transactional_id),
    };

    if (request->acks < -1 || request->acks > 1) {
        refuse(call, count, SLUICE_E_INVALID_REQUIRED_ACKS, (struct sluice_text){NULL, 0});
    } else if (count == 0) {
        answer(call, call->failure);
    } else {
        broker->produce(broker, kafka_call_context(call), &produce, produced, call);
    }
}

void kafka_handle_produce(struct kafka_call *call)
{
    const struct kafka_produce_request *request = call->request;
    uint32_t count = count_entries(request);
    struct sluice_produce_entry *entries;

    call->silent = request->acks == 0;
    call->response = kafka_call_room(call, 1, sizeof(struct kafka_produce_response));
    call->slots = kafka_call_room(call, count, sizeof(response_partition *));
    entries = kafka_call_room(call, count, sizeof(*entries));
    if (call->response == NULL || call->slots == NULL || entries == NULL) {
        kafka_call_fail(call, "a produce request names too many partitions", SLUICE_E_LIMIT);
        return;
    }
    kafka_produce_response_init(call->response);
    if (!lay_out(call, entries)) {
        kafka_call_fail(call, "a produce request names too many partitions", SLUICE_E_LIMIT);
        return;
    }
    if (call->version < KAFKA_LEGACY_PRODUCE_BELOW) {
        kafka_legacy_produce(call, entries, count);
        return;
    }
    kafka_produce_start(call, entries, count);
}
