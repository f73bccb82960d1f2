/* handle_replicas.c: where replicas are and who leads: AlterPartitionReassignments,
 * ListPartitionReassignments (KIP-455), ElectLeaders (KIP-183, KIP-460).
 *
 * Each partition has one replica, on this node, which leads it. A reassignment to this node is done
 * before it begins, none is ever under way, and nobody needs to be elected. */
#include "kafka_api.h"
#include "kafka_messages.h"
#include "kafka_status.h"
#include "kafka_text.h"

#define ELECTION_NOT_NEEDED         84
#define NO_REASSIGNMENT_IN_PROGRESS 85
#define ELECTION_PREFERRED          0
#define ELECTION_UNCLEAN            1
#define NO_REASSIGNMENT_MESSAGE     "No partition reassignment is in progress."
#define ELECTION_NOT_NEEDED_MESSAGE "Leader election not needed for topic partition."

/* ---- ListPartitionReassignments ---- */

void kafka_handle_list_partition_reassignments(struct kafka_call *call)
{
    struct kafka_list_partition_reassignments_response response;
    sluice_status status =
        kafka_may(call, SLUICE_OP_DESCRIBE, SLUICE_ACL_CLUSTER, sluice_text_of(SLUICE_CLUSTER_NAME))
            ? SLUICE_OK
            : SLUICE_E_CLUSTER_AUTHORIZATION;

    kafka_list_partition_reassignments_response_init(&response);
    response.error_code = kafka_status_code(status);
    response.error_message = kafka_status_reason(status);
    kafka_call_answer(call, &response);
}

/* ---- AlterPartitionReassignments ---- */

typedef struct kafka_alter_partition_reassignments_request_partition wanted_replicas;
typedef struct kafka_alter_partition_reassignments_response_partition reassigned;

/* A partition of the request and its place in the answer. */
struct reassignment {
    const wanted_replicas *wanted;
    struct kafka_bytes topic;
    reassigned *answer;
};

/* What is wrong with the replicas that were asked for; 0: nothing. */
static int16_t judge_replicas(struct kafka_call *call, const wanted_replicas *wanted,
                              struct kafka_bytes *ret_message)
{
    int16_t invalid = kafka_status_code(SLUICE_E_INVALID_REPLICA_ASSIGNMENT);
    int32_t own = kafka_own_node(call);

    if (wanted->replicas_count < 0) {
        *ret_message = kafka_string(NO_REASSIGNMENT_MESSAGE);
        return NO_REASSIGNMENT_IN_PROGRESS;
    }
    if (wanted->replicas_count == 0) {
        *ret_message =
            kafka_string("The manual partition assignment includes an empty replica list.");
        return invalid;
    }
    for (int32_t i = 0; i < wanted->replicas_count; i++) {
        if (wanted->replicas[i] != own) {
            *ret_message = kafka_call_format(call,
                                             "The manual partition assignment includes broker "
                                             "%d, but no such broker is registered.",
                                             (int)wanted->replicas[i]);
            return invalid;
        }
    }
    if (wanted->replicas_count > 1) {
        *ret_message = kafka_call_format(
            call, "The manual partition assignment includes the broker %d more than once.",
            (int)own);
        return invalid;
    }
    *ret_message = kafka_null();
    return 0;
}

static void answer_reassignment(struct kafka_call *call, const struct reassignment *one,
                                sluice_status status)
{
    reassigned *answer = one->answer;

    if (status == SLUICE_OK) {
        answer->error_code = judge_replicas(call, one->wanted, &answer->error_message);
        return;
    }
    answer->error_code = kafka_status_code(status);
    answer->error_message =
        kafka_call_format(call, "Unable to find partition %.*s:%d.", kafka_text_length(one->topic),
                          (const char *)one->topic.data, (int)one->wanted->partition_index);
}

static void refuse_reassignments(struct kafka_alter_partition_reassignments_response_topic *topic,
                                 sluice_status status)
{
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        topic->partitions[i].error_code = kafka_status_code(status);
        topic->partitions[i].error_message = kafka_status_reason(status);
    }
}

static void reassigned_found(void *arg, sluice_status status, const sluice_status *statuses,
                             uint32_t count)
{
    struct kafka_call *call = arg;
    struct kafka_alter_partition_reassignments_response *response = call->response;
    const struct reassignment *all = call->slots;

    response->error_code = kafka_status_code(status);
    response->error_message = kafka_status_reason(status);
    for (int32_t i = 0; status != SLUICE_OK && i < response->responses_count; i++) {
        refuse_reassignments(&response->responses[i], status);
    }
    for (uint32_t i = 0; kafka_conn_is_open(call->conn) && i < count; i++) {
        answer_reassignment(call, &all[i], statuses[i]);
    }
    kafka_call_answer(call, response);
}

/* false: no room. */
static bool lay_out_topic(struct kafka_call *call,
                          const struct kafka_alter_partition_reassignments_request_topic *from,
                          struct kafka_alter_partition_reassignments_response_topic *to,
                          struct reassignment *all, struct sluice_partition_ref *refs)
{
    kafka_alter_partition_reassignments_response_topic_init(to);
    to->name = from->name;
    to->partitions_count = from->partitions_count;
    to->partitions = kafka_call_try_take(call, from->partitions_count, sizeof(reassigned));
    for (int32_t i = 0; to->partitions != NULL && i < from->partitions_count; i++) {
        kafka_alter_partition_reassignments_response_partition_init(&to->partitions[i]);
        to->partitions[i].partition_index = from->partitions[i].partition_index;
        to->partitions[i].error_code = KAFKA_NO_ANSWER;
        all[i] = (struct reassignment){&from->partitions[i], from->name, &to->partitions[i]};
        refs[i] = (struct sluice_partition_ref){.topic = {.name = kafka_to_text(from->name)},
                                                .partition = from->partitions[i].partition_index};
    }
    return to->partitions != NULL;
}

void kafka_handle_alter_partition_reassignments(struct kafka_call *call)
{
    const struct kafka_alter_partition_reassignments_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    struct kafka_alter_partition_reassignments_response *response =
        kafka_call_try_take(call, 1, sizeof(*response));
    struct kafka_alter_partition_reassignments_response_topic *topics =
        kafka_call_try_take(call, request->topics_count, sizeof(*topics));
    struct reassignment *all;
    struct sluice_partition_ref *refs;
    int64_t count = 0;
    uint32_t at = 0;
    bool ok;

    for (int32_t i = 0; i < request->topics_count; i++) {
        count += request->topics[i].partitions_count;
    }
    all = kafka_call_try_take(call, count, sizeof(*all));
    refs = kafka_call_try_take(call, count, sizeof(*refs));
    ok = response != NULL && topics != NULL && all != NULL && refs != NULL;
    for (int32_t i = 0; ok && i < request->topics_count; i++) {
        ok = lay_out_topic(call, &request->topics[i], &topics[i], all + at, refs + at);
        at += (uint32_t)request->topics[i].partitions_count;
    }
    if (!ok) {
        kafka_call_fail(call, "a request names too many partitions", SLUICE_E_LIMIT);
        return;
    }
    kafka_alter_partition_reassignments_response_init(response);
    response->allow_replication_factor_change = request->allow_replication_factor_change;
    response->responses = topics;
    response->responses_count = request->topics_count;
    call->response = response;
    call->slots = all;
    broker->partitions_find(broker, kafka_call_context(call), SLUICE_OP_ALTER, refs,
                            (uint32_t)count, reassigned_found, call);
}

/* ---- ElectLeaders ---- */

typedef struct kafka_elect_leaders_response_partition elected;

/* A partition and its place in the answer. */
struct election {
    struct kafka_bytes topic;
    elected *answer;
};

static void answer_election(struct kafka_call *call, const struct election *one,
                            sluice_status status)
{
    elected *answer = one->answer;

    if (status == SLUICE_OK) {
        answer->error_code = ELECTION_NOT_NEEDED;
        answer->error_message = kafka_string(ELECTION_NOT_NEEDED_MESSAGE);
        return;
    }
    answer->error_code = kafka_status_code(status);
    answer->error_message =
        kafka_call_format(call, "No such partition as %.*s-%d", kafka_text_length(one->topic),
                          (const char *)one->topic.data, (int)answer->partition_id);
}

static void elected_found(void *arg, sluice_status status, const sluice_status *statuses,
                          uint32_t count)
{
    struct kafka_call *call = arg;
    struct kafka_elect_leaders_response *response = call->response;
    const struct election *all = call->slots;

    response->error_code = kafka_status_code(status);
    for (uint32_t i = 0; i < call->pending; i++) {
        if (status == SLUICE_OK && i < count) {
            answer_election(call, &all[i], statuses[i]);
        } else {
            all[i].answer->error_code = kafka_status_code(status);
            all[i].answer->error_message = kafka_status_reason(status);
        }
    }
    kafka_call_answer(call, response);
}

/* All partitions: those that have the leader that they are to have are not told of, which is all.
 */
static void all_listed(void *arg, const struct sluice_topic_info *topics, uint32_t count)
{
    struct kafka_call *call = arg;
    struct kafka_elect_leaders_response response;
    bool ok;

    kafka_elect_leaders_response_init(&response);
    response.replica_election_results =
        kafka_call_try_take(call, count, sizeof(*response.replica_election_results));
    ok = response.replica_election_results != NULL;
    for (uint32_t i = 0; ok && i < count; i++) {
        struct kafka_elect_leaders_response_result *result = &response.replica_election_results[i];
        kafka_elect_leaders_response_result_init(result);
        ok = kafka_call_copy(call, kafka_of_text_or_empty(topics[i].name), &result->topic);
    }
    response.replica_election_results_count = (int32_t)count;
    if (!ok) {
        kafka_call_fail(call, "the topics do not fit into an answer", SLUICE_E_LIMIT);
        return;
    }
    kafka_call_answer(call, &response);
}

static void elect_all(struct kafka_call *call)
{
    const struct sluice_broker *broker = kafka_call_broker(call);
    struct kafka_elect_leaders_response response;

    if (kafka_may(call, SLUICE_OP_ALTER, SLUICE_ACL_CLUSTER, sluice_text_of(SLUICE_CLUSTER_NAME))) {
        broker->topics(broker, kafka_call_context(call), NULL, 0, false, all_listed, call);
        return;
    }
    kafka_elect_leaders_response_init(&response);
    response.error_code = kafka_status_code(SLUICE_E_CLUSTER_AUTHORIZATION);
    kafka_call_answer(call, &response);
}

/* false: no room. */
static bool lay_out_election(struct kafka_call *call,
                             const struct kafka_elect_leaders_request_topic *from,
                             struct kafka_elect_leaders_response_result *to, struct election *all,
                             struct sluice_partition_ref *refs)
{
    kafka_elect_leaders_response_result_init(to);
    to->topic = from->topic;
    to->partition_result_count = from->partitions_count;
    to->partition_result = kafka_call_try_take(call, from->partitions_count, sizeof(elected));
    for (int32_t i = 0; to->partition_result != NULL && i < from->partitions_count; i++) {
        kafka_elect_leaders_response_partition_init(&to->partition_result[i]);
        to->partition_result[i].partition_id = from->partitions[i];
        all[i] = (struct election){from->topic, &to->partition_result[i]};
        refs[i] = (struct sluice_partition_ref){.topic = {.name = kafka_to_text(from->topic)},
                                                .partition = from->partitions[i]};
    }
    return to->partition_result != NULL;
}

static bool is_known_election(const struct kafka_elect_leaders_request *request)
{
    return request->election_type == ELECTION_PREFERRED ||
           request->election_type == ELECTION_UNCLEAN;
}

void kafka_handle_elect_leaders(struct kafka_call *call)
{
    const struct kafka_elect_leaders_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    int32_t topic_count = request->topic_partitions_count < 0 ? 0 : request->topic_partitions_count;
    struct kafka_elect_leaders_response *response = kafka_call_try_take(call, 1, sizeof(*response));
    struct kafka_elect_leaders_response_result *results =
        kafka_call_try_take(call, topic_count, sizeof(*results));
    struct election *all;
    struct sluice_partition_ref *refs;
    int64_t count = 0;
    uint32_t at = 0;
    bool ok;

    if (request->topic_partitions_count < 0 && is_known_election(request)) {
        elect_all(call);
        return;
    }
    for (int32_t i = 0; i < topic_count; i++) {
        count += request->topic_partitions[i].partitions_count;
    }
    all = kafka_call_try_take(call, count, sizeof(*all));
    refs = kafka_call_try_take(call, count, sizeof(*refs));
    ok = response != NULL && results != NULL && all != NULL && refs != NULL;
    for (int32_t i = 0; ok && i < topic_count; i++) {
        ok =
            lay_out_election(call, &request->topic_partitions[i], &results[i], all + at, refs + at);
        at += (uint32_t)request->topic_partitions[i].partitions_count;
    }
    if (!ok) {
        kafka_call_fail(call, "a request names too many partitions", SLUICE_E_LIMIT);
        return;
    }
    kafka_elect_leaders_response_init(response);
    response->replica_election_results = results;
    response->replica_election_results_count = topic_count;
    call->response = response;
    call->slots = all;
    call->pending = at;
    if (!is_known_election(request)) {
        elected_found(call, SLUICE_E_INVALID_REQUEST, NULL, 0);
        return;
    }
    broker->partitions_find(broker, kafka_call_context(call), SLUICE_OP_ALTER, refs, at,
                            elected_found, call);
}
