/* handle_txn.c: AddPartitionsToTxn, AddOffsetsToTxn, TxnOffsetCommit and EndTxn (KIP-98, KIP-360,
 * KIP-447, KIP-890).
 *
 * A fenced producer is PRODUCER_FENCED where the version knows that, else INVALID_PRODUCER_EPOCH.
 * TxnOffsetCommit and EndTxn from version 5 on are of transactions of version 2: the first adds its
 * group by itself, the second bumps the epoch and answers with it. AddPartitionsToTxn from version
 * 4 on is for several transactions at once, as brokers ask each other: it wants their right. */
#include "kafka_api.h"
#include "kafka_messages.h"
#include "kafka_status.h"
#include "txn_common.h"

#define TXN_V2_SINCE  5 /* version of TxnOffsetCommit, EndTxn */
#define FENCED_SINCE  2 /* version of AddPartitionsToTxn, AddOffsetsToTxn, EndTxn */
#define BATCHED_SINCE 4 /* version of AddPartitionsToTxn */

static int16_t code_of(const struct kafka_call *call, sluice_status status)
{
    return kafka_txn_status_code(status, call->version >= FENCED_SINCE);
}

/* ---- AddPartitionsToTxn ---- */

typedef struct kafka_add_partitions_to_txn_request_topic request_topic;
typedef struct kafka_add_partitions_to_txn_response_topic response_topic;
typedef struct kafka_add_partitions_to_txn_response_partition response_partition;

/* One transaction of a request. */
struct adding {
    struct kafka_call *call;
    struct sluice_txn txn;
    struct sluice_txn_partition *partitions;
    response_partition **slots;
    uint32_t count;
};

static void added(void *arg, sluice_status status, const sluice_status *statuses, uint32_t count)
{
    const struct adding *adding = arg;
    struct kafka_call *call = adding->call;

    for (uint32_t i = 0; i < adding->count; i++) {
        adding->slots[i]->partition_error_code =
            code_of(call, status == SLUICE_OK && i < count ? statuses[i] : status);
    }
    kafka_call_part(call, true);
}

static int64_t count_partitions(const request_topic *topics, int32_t topics_count)
{
    int64_t count = 0;
    for (int32_t i = 0; i < topics_count; i++) {
        count += topics[i].partitions_count;
    }
    return count;
}

static response_topic *lay_out_topics(struct adding *adding, const request_topic *topics,
                                      int32_t topics_count)
{
    struct kafka_call *call = adding->call;
    int64_t count = count_partitions(topics, topics_count);
    response_topic *answers = kafka_call_try_take(call, topics_count, sizeof(*answers));
    response_partition *slots = kafka_call_try_take(call, count, sizeof(*slots));

    adding->partitions = kafka_call_try_take(call, count, sizeof(*adding->partitions));
    adding->slots = kafka_call_try_take(call, count, sizeof(*adding->slots));
    if (answers == NULL || slots == NULL || adding->partitions == NULL || adding->slots == NULL) {
        return NULL;
    }
    for (int32_t i = 0; i < topics_count; i++) {
        kafka_add_partitions_to_txn_response_topic_init(&answers[i]);
        answers[i].name = topics[i].name;
        answers[i].results_by_partition = &slots[adding->count];
        answers[i].results_by_partition_count = topics[i].partitions_count;
        for (int32_t j = 0; j < topics[i].partitions_count; j++) {
            uint32_t at = adding->count++;
            kafka_add_partitions_to_txn_response_partition_init(&slots[at]);
            slots[at].partition_index = topics[i].partitions[j];
            slots[at].partition_error_code = KAFKA_NO_ANSWER;
            adding->slots[at] = &slots[at];
            adding->partitions[at] = (struct sluice_txn_partition){
                .topic = {.name = kafka_to_text(topics[i].name)},
                .partition = topics[i].partitions[j],
            };
        }
    }
    return answers;
}

static void add_single(struct kafka_call *call,
                       struct kafka_add_partitions_to_txn_response *response)
{
    const struct kafka_add_partitions_to_txn_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    struct adding *adding = kafka_call_try_take(call, 1, sizeof(*adding));
    int32_t topics_count = request->v3_and_below_topics_count;

    if (adding != NULL) {
        adding->call = call;
        adding->txn =
            kafka_txn_of(request->v3_and_below_transactional_id, request->v3_and_below_producer_id,
                         request->v3_and_below_producer_epoch, false);
        response->results_by_topic_v3_and_below =
            lay_out_topics(adding, request->v3_and_below_topics, topics_count);
    }
    if (response->results_by_topic_v3_and_below == NULL) {
        kafka_call_fail(call, "a request names too many partitions", SLUICE_E_LIMIT);
        return;
    }
    response->results_by_topic_v3_and_below_count = topics_count;
    call->pending = 1;
    broker->txn_partitions_add(broker, kafka_call_context(call), &adding->txn, adding->partitions,
                               adding->count, false, added, adding);
}

static bool lay_out_transactions(struct kafka_call *call, struct adding *addings,
                                 struct kafka_add_partitions_to_txn_response *response)
{
    const struct kafka_add_partitions_to_txn_request *request = call->request;
    int32_t count = request->transactions_count;

    response->results_by_transaction =
        kafka_call_try_take(call, count, sizeof(*response->results_by_transaction));
    response->results_by_transaction_count = count;
    for (int32_t i = 0; response->results_by_transaction != NULL && i < count; i++) {
        const struct kafka_add_partitions_to_txn_request_transaction *from =
            &request->transactions[i];
        struct kafka_add_partitions_to_txn_response_transaction_result *to =
            &response->results_by_transaction[i];
        kafka_add_partitions_to_txn_response_transaction_result_init(to);
        addings[i].call = call;
        addings[i].txn =
            kafka_txn_of(from->transactional_id, from->producer_id, from->producer_epoch, false);
        to->transactional_id = from->transactional_id;
        to->topic_results_count = from->topics_count;
        to->topic_results = lay_out_topics(&addings[i], from->topics, from->topics_count);
        if (to->topic_results == NULL) {
            return false;
        }
    }
    return response->results_by_transaction != NULL;
}

static void add_several(struct kafka_call *call,
                        struct kafka_add_partitions_to_txn_response *response)
{
    const struct kafka_add_partitions_to_txn_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    int32_t count = request->transactions_count;
    struct adding *addings = kafka_call_try_take(call, count, sizeof(*addings));

    if (addings == NULL || !lay_out_transactions(call, addings, response)) {
        kafka_call_fail(call, "a request names too many partitions", SLUICE_E_LIMIT);
        return;
    }
    call->pending = (uint32_t)count + 1;
    for (int32_t i = 0; i < count; i++) {
        broker->txn_partitions_add(broker, kafka_call_context(call), &addings[i].txn,
                                   addings[i].partitions, addings[i].count,
                                   request->transactions[i].verify_only, added, &addings[i]);
    }
    kafka_call_part(call, true);
}

void kafka_handle_add_partitions_to_txn(struct kafka_call *call)
{
    struct kafka_add_partitions_to_txn_response *response =
        kafka_call_take(call, 1, sizeof(*response));

    if (response == NULL) {
        return;
    }
    kafka_add_partitions_to_txn_response_init(response);
    call->response = response;
    if (call->version >= BATCHED_SINCE &&
        !kafka_may(call, SLUICE_OP_CLUSTER_ACTION, SLUICE_ACL_CLUSTER,
                   sluice_text_of(SLUICE_CLUSTER_NAME))) {
        response->error_code = kafka_status_code(SLUICE_E_CLUSTER_AUTHORIZATION);
        kafka_call_answer(call, response);
    } else if (call->version >= BATCHED_SINCE) {
        add_several(call, response);
    } else {
        add_single(call, response);
    }
}

/* ---- AddOffsetsToTxn ---- */

static void group_added(void *arg, sluice_status status)
{
    struct kafka_call *call = arg;
    struct kafka_add_offsets_to_txn_response response;

    kafka_add_offsets_to_txn_response_init(&response);
    response.error_code = code_of(call, status);
    kafka_call_answer(call, &response);
}

void kafka_handle_add_offsets_to_txn(struct kafka_call *call)
{
    const struct kafka_add_offsets_to_txn_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    struct sluice_txn *txn = kafka_call_take(call, 1, sizeof(*txn));

    if (txn != NULL) {
        *txn = kafka_txn_of(request->transactional_id, request->producer_id,
                            request->producer_epoch, false);
        broker->txn_group_add(broker, kafka_call_context(call), txn,
                              kafka_to_text(request->group_id), group_added, call);
    }
}

/* ---- EndTxn ---- */

static void ended(void *arg, const struct sluice_producer_id *producer)
{
    struct kafka_call *call = arg;
    struct kafka_end_txn_response response;

    kafka_end_txn_response_init(&response);
    response.error_code = code_of(call, producer->status);
    if (producer->status == SLUICE_OK && call->version >= TXN_V2_SINCE) {
        response.producer_id = producer->id;
        response.producer_epoch = producer->epoch;
    }
    kafka_call_answer(call, &response);
}

void kafka_handle_end_txn(struct kafka_call *call)
{
    const struct kafka_end_txn_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    struct sluice_txn *txn = kafka_call_take(call, 1, sizeof(*txn));

    if (txn != NULL) {
        *txn = kafka_txn_of(request->transactional_id, request->producer_id,
                            request->producer_epoch, call->version >= TXN_V2_SINCE);
        broker->txn_end(broker, kafka_call_context(call), txn, request->committed, ended, call);
    }
}

/* ---- TxnOffsetCommit ---- */

typedef struct kafka_txn_offset_commit_response_partition commit_partition;

static void committed(void *arg, sluice_status status, const sluice_status *statuses,
                      uint32_t count)
{
    struct kafka_call *call = arg;
    const struct sluice_offset_commit *commit = call->request;
    commit_partition **slots = call->slots;

    for (uint32_t i = 0; i < commit->entry_count; i++) {
        sluice_status own = i < count ? statuses[i] : status;
        own = own == SLUICE_E_GROUP_NOT_FOUND ? SLUICE_E_ILLEGAL_GENERATION : own;
        /* The group's coordinator has no word for a fenced producer but the older one. */
        slots[i]->error_code = kafka_txn_status_code(own == SLUICE_OK ? status : own, false);
    }
    kafka_call_answer(call, call->response);
}

static bool lay_out_commits(struct kafka_call *call,
                            const struct kafka_txn_offset_commit_request *request,
                            struct sluice_offset_commit_entry *entries,
                            struct kafka_txn_offset_commit_response *response)
{
    commit_partition **slots = call->slots;
    uint32_t at = 0;

    response->topics_count = request->topics_count;
    response->topics = kafka_call_try_take(call, request->topics_count, sizeof(*response->topics));
    for (int32_t i = 0; response->topics != NULL && i < request->topics_count; i++) {
        const struct kafka_txn_offset_commit_request_topic *from = &request->topics[i];
        struct kafka_txn_offset_commit_response_topic *to = &response->topics[i];
        kafka_txn_offset_commit_response_topic_init(to);
        to->name = from->name;
        to->partitions_count = from->partitions_count;
        to->partitions = kafka_call_try_take(call, from->partitions_count, sizeof(*to->partitions));
        if (to->partitions == NULL) {
            return false;
        }
        for (int32_t j = 0; j < from->partitions_count; j++, at++) {
            const struct kafka_txn_offset_commit_request_partition *partition =
                &from->partitions[j];
            kafka_txn_offset_commit_response_partition_init(&to->partitions[j]);
            to->partitions[j].partition_index = partition->partition_index;
            slots[at] = &to->partitions[j];
            entries[at] = (struct sluice_offset_commit_entry){
                .topic = {.name = kafka_to_text_or_empty(from->name)},
                .partition = partition->partition_index,
                .leader_epoch = partition->committed_leader_epoch,
                .offset = partition->committed_offset,
                .metadata = kafka_to_text_or_empty(partition->committed_metadata),
            };
        }
    }
    return response->topics != NULL;
}

static int64_t count_commits(const struct kafka_txn_offset_commit_request *request)
{
    int64_t count = 0;
    for (int32_t i = 0; i < request->topics_count; i++) {
        count += request->topics[i].partitions_count;
    }
    return count;
}

void kafka_handle_txn_offset_commit(struct kafka_call *call)
{
    const struct kafka_txn_offset_commit_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    int64_t count = count_commits(request);
    struct kafka_txn_offset_commit_response *response =
        kafka_call_try_take(call, 1, sizeof(*response));
    struct sluice_offset_commit *commit = kafka_call_try_take(call, 1, sizeof(*commit));
    struct sluice_offset_commit_entry *entries = kafka_call_try_take(call, count, sizeof(*entries));
    struct sluice_txn *txn = kafka_call_try_take(call, 1, sizeof(*txn));

    call->response = response;
    call->slots = kafka_call_try_take(call, count, sizeof(commit_partition *));
    if (response == NULL || commit == NULL || entries == NULL || txn == NULL ||
        call->slots == NULL) {
        kafka_call_fail(call, "an offset commit does not fit", SLUICE_E_LIMIT);
        return;
    }
    kafka_txn_offset_commit_response_init(response);
    if (!lay_out_commits(call, request, entries, response)) {
        kafka_call_fail(call, "an offset commit does not fit", SLUICE_E_LIMIT);
        return;
    }
    *txn = kafka_txn_of(request->transactional_id, request->producer_id, request->producer_epoch,
                        call->version >= TXN_V2_SINCE);
    *commit = (struct sluice_offset_commit){
        .size = sizeof(*commit),
        .entry_count = (uint32_t)count,
        .identity = {.size = sizeof(commit->identity),
                     .generation = request->generation_id,
                     .group = kafka_to_text(request->group_id),
                     .member = kafka_to_text_or_empty(request->member_id),
                     .instance = kafka_to_text(request->group_instance_id)},
        .entries = entries,
    };
    call->request = commit;
    broker->txn_offsets_commit(broker, kafka_call_context(call), txn, commit, committed, call);
}
