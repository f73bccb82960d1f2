/* handle_cluster.c: DescribeCluster (KIP-700, KIP-919, KIP-1073), DescribeQuorum (KIP-595, KIP-836,
 * KIP-853), and what would change who belongs to the cluster: UnregisterBroker (KIP-631),
 * AddRaftVoter, RemoveRaftVoter (KIP-853).
 *
 * The cluster is this node. Its catalog is in the log of its first shard, which stands for Kafka's
 * __cluster_metadata: the node is the leader and only voter, and its offsets are those of the log's
 * frames. Voters are fixed, as in a Kafka cluster with kraft.version 0, and are refused as there.
 */
#include "kafka_api.h"
#include "kafka_messages.h"
#include "kafka_status.h"
#include "kafka_text.h"

#define ENDPOINT_BROKER     1
#define ENDPOINT_CONTROLLER 2

#define BROKER_ID_NOT_REGISTERED  102
#define INCONSISTENT_CLUSTER_ID   104
#define MISMATCHED_ENDPOINT_TYPE  114
#define UNSUPPORTED_ENDPOINT_TYPE 115

static bool may_cluster(const struct kafka_call *call, int32_t operation)
{
    return kafka_may(call, operation, SLUICE_ACL_CLUSTER, sluice_text_of(SLUICE_CLUSTER_NAME));
}

/* ---- DescribeCluster ---- */

static bool refuse_endpoint(struct kafka_call *call,
                            struct kafka_describe_cluster_response *response)
{
    const struct kafka_describe_cluster_request *request = call->request;
    int16_t invalid = kafka_status_code(SLUICE_E_INVALID_REQUEST);

    if (request->endpoint_type == ENDPOINT_BROKER) {
        return false;
    }
    if (request->endpoint_type == ENDPOINT_CONTROLLER) {
        response->error_code = call->version == 0 ? invalid : MISMATCHED_ENDPOINT_TYPE;
        response->error_message = kafka_string("The request was sent to an endpoint of type "
                                               "BROKER, but we wanted an endpoint of type "
                                               "CONTROLLER");
        return true;
    }
    response->error_code = call->version == 0 ? invalid : UNSUPPORTED_ENDPOINT_TYPE;
    response->error_message =
        kafka_call_format(call, "Unsupported endpoint type %d", request->endpoint_type);
    return true;
}

void kafka_handle_describe_cluster(struct kafka_call *call)
{
    const struct kafka_describe_cluster_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    const struct sluice_cluster *cluster = broker->cluster(broker, kafka_call_context(call));
    struct kafka_describe_cluster_response response;

    kafka_describe_cluster_response_init(&response);
    if (refuse_endpoint(call, &response)) {
        kafka_call_answer(call, &response);
        return;
    }
    response.brokers = kafka_call_take(call, cluster->node_count, sizeof(*response.brokers));
    if (response.brokers == NULL) {
        return;
    }
    response.brokers_count = (int32_t)cluster->node_count;
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        kafka_describe_cluster_response_broker_init(&response.brokers[i]);
        response.brokers[i].broker_id = cluster->nodes[i].id;
        response.brokers[i].host = kafka_of_text_or_empty(cluster->nodes[i].host);
        response.brokers[i].port = cluster->nodes[i].port;
    }
    response.cluster_id = kafka_of_text_or_empty(cluster->cluster_id);
    response.controller_id = cluster->controller_id;
    if (request->include_cluster_authorized_operations) {
        response.cluster_authorized_operations =
            !may_cluster(call, SLUICE_OP_DESCRIBE)
                ? 0
                : kafka_operations(call, SLUICE_ACL_CLUSTER, sluice_text_of(SLUICE_CLUSTER_NAME),
                                   KAFKA_CLUSTER_OPERATIONS);
    }
    kafka_call_answer(call, &response);
}

/* ---- DescribeQuorum ---- */

typedef struct kafka_describe_quorum_response_partition quorum_partition;

#define NODES_SINCE 2 /* version, also of directory ids */

static const char metadata_topic[] = "__cluster_metadata";

static bool is_metadata(const struct kafka_describe_quorum_request *request)
{
    return request->topics_count == 1 && request->topics[0].partitions_count == 1 &&
           request->topics[0].partitions[0].partition_index == 0 &&
           kafka_bytes_equal(request->topics[0].topic_name, kafka_string(metadata_topic));
}

/* The partitions as they were asked for, each with the same code. */
static bool lay_out_quorum(struct kafka_call *call, int16_t code,
                           struct kafka_describe_quorum_response *response)
{
    const struct kafka_describe_quorum_request *request = call->request;

    response->error_message = kafka_null();
    response->topics = kafka_call_try_take(call, request->topics_count, sizeof(*response->topics));
    response->topics_count = request->topics_count;
    for (int32_t i = 0; response->topics != NULL && i < request->topics_count; i++) {
        struct kafka_describe_quorum_response_topic *topic = &response->topics[i];
        kafka_describe_quorum_response_topic_init(topic);
        topic->topic_name = request->topics[i].topic_name;
        topic->partitions_count = request->topics[i].partitions_count;
        topic->partitions =
            kafka_call_try_take(call, topic->partitions_count, sizeof(quorum_partition));
        if (topic->partitions == NULL) {
            return false;
        }
        for (int32_t j = 0; j < topic->partitions_count; j++) {
            quorum_partition *partition = &topic->partitions[j];
            kafka_describe_quorum_response_partition_init(partition);
            partition->partition_index = request->topics[i].partitions[j].partition_index;
            partition->error_code = code;
            partition->error_message =
                code == 0 ? kafka_null() : kafka_status_reason(SLUICE_E_UNKNOWN_TOPIC);
        }
    }
    return response->topics != NULL;
}

/* Java's client takes names of listeners in capitals only. False: no memory. */
static bool in_capitals(struct kafka_call *call, struct sluice_text name,
                        struct kafka_bytes *ret_name)
{
    char *text = kafka_call_try_take(call, (int64_t)name.size + 1, 1);
    for (size_t i = 0; text != NULL && i < (size_t)name.size; i++) {
        char letter = name.data[i];
        text[i] = letter >= 'a' && letter <= 'z' ? (char)(letter - 'a' + 'A') : letter;
    }
    *ret_name = kafka_bytes(text, (size_t)name.size);
    return text != NULL;
}

static bool fill_quorum_node(struct kafka_call *call,
                             struct kafka_describe_quorum_response *response)
{
    const struct sluice_broker *broker = kafka_call_broker(call);
    const struct sluice_context *context = kafka_call_context(call);
    const struct sluice_cluster *cluster = broker->cluster(broker, context);
    struct kafka_describe_quorum_response_listener *listener =
        kafka_call_try_take(call, 1, sizeof(*listener));

    response->nodes = kafka_call_try_take(call, 1, sizeof(*response->nodes));
    if (listener == NULL || response->nodes == NULL || cluster->node_count == 0) {
        return false;
    }
    response->nodes_count = 1;
    kafka_describe_quorum_response_node_init(&response->nodes[0]);
    response->nodes[0].node_id = cluster->nodes[0].id;
    response->nodes[0].listeners = listener;
    response->nodes[0].listeners_count = 1;
    kafka_describe_quorum_response_listener_init(listener);
    listener->host = kafka_of_text_or_empty(cluster->nodes[0].host);
    listener->port = (int16_t)(uint16_t)cluster->nodes[0].port;
    return in_capitals(call, context->listener, &listener->name);
}

static bool fill_quorum(struct kafka_call *call, const struct sluice_quorum *quorum,
                        struct kafka_describe_quorum_response *response)
{
    struct kafka_describe_quorum_response_replica_state *voter =
        kafka_call_try_take(call, 1, sizeof(*voter));
    quorum_partition *partition;

    if (voter == NULL || !lay_out_quorum(call, 0, response) ||
        (call->version >= NODES_SINCE && !fill_quorum_node(call, response))) {
        return false;
    }
    kafka_describe_quorum_response_replica_state_init(voter);
    voter->replica_id = quorum->leader_id;
    if (call->version >= NODES_SINCE) {
        voter->replica_directory_id = kafka_of_uuid(quorum->directory_id);
    }
    voter->log_end_offset = quorum->log_end_offset;
    voter->last_fetch_timestamp = voter->last_caught_up_timestamp = quorum->wall_ms;
    partition = &response->topics[0].partitions[0];
    partition->leader_id = quorum->leader_id;
    partition->leader_epoch = quorum->leader_epoch;
    partition->high_watermark = quorum->high_watermark;
    partition->current_voters = voter;
    partition->current_voters_count = 1;
    return true;
}

static void quorum_told(void *arg, const struct sluice_quorum *quorum)
{
    struct kafka_call *call = arg;
    struct kafka_describe_quorum_response response;

    kafka_describe_quorum_response_init(&response);
    response.error_message = kafka_status_reason(quorum->status);
    response.error_code = kafka_status_code(quorum->status);
    if (kafka_conn_is_open(call->conn) && quorum->status == SLUICE_OK &&
        !fill_quorum(call, quorum, &response)) {
        kafka_call_fail(call, "the quorum does not fit into an answer", SLUICE_E_LIMIT);
        return;
    }
    kafka_call_answer(call, &response);
}

void kafka_handle_describe_quorum(struct kafka_call *call)
{
    const struct sluice_broker *broker = kafka_call_broker(call);
    struct kafka_describe_quorum_response response;

    if (is_metadata(call->request) || !may_cluster(call, SLUICE_OP_DESCRIBE)) {
        broker->quorum(broker, kafka_call_context(call), quorum_told, call);
        return;
    }
    kafka_describe_quorum_response_init(&response);
    if (!lay_out_quorum(call, kafka_status_code(SLUICE_E_UNKNOWN_TOPIC), &response)) {
        kafka_call_fail(call, "a request names too many partitions", SLUICE_E_LIMIT);
        return;
    }
    kafka_call_answer(call, &response);
}

/* ---- who belongs to it ---- */

void kafka_handle_unregister_broker(struct kafka_call *call)
{
    const struct kafka_unregister_broker_request *request = call->request;
    struct kafka_unregister_broker_response response;

    kafka_unregister_broker_response_init(&response);
    if (!may_cluster(call, SLUICE_OP_ALTER)) {
        response.error_code = kafka_status_code(SLUICE_E_CLUSTER_AUTHORIZATION);
        response.error_message = kafka_status_reason(SLUICE_E_CLUSTER_AUTHORIZATION);
    } else if (request->broker_id != kafka_own_node(call)) {
        response.error_code = BROKER_ID_NOT_REGISTERED;
        response.error_message = kafka_call_format(call, "Broker ID %d is not currently registered",
                                                   (int)request->broker_id);
    } else {
        response.error_code = kafka_status_code(SLUICE_E_INVALID_REQUEST);
        response.error_message =
            kafka_string("This node is the cluster's only one and serves this request");
    }
    kafka_call_answer(call, &response);
}

/* The same answer to both, which differ only in their tables. */
static int16_t judge_voter(struct kafka_call *call, struct kafka_bytes cluster_id,
                           const char *change, struct kafka_bytes *ret_message)
{
    const struct sluice_broker *broker = kafka_call_broker(call);
    const struct sluice_cluster *cluster = broker->cluster(broker, kafka_call_context(call));

    if (!may_cluster(call, SLUICE_OP_ALTER)) {
        *ret_message = kafka_status_reason(SLUICE_E_CLUSTER_AUTHORIZATION);
        return kafka_status_code(SLUICE_E_CLUSTER_AUTHORIZATION);
    }
    if (cluster_id.size >= 0 &&
        !kafka_bytes_equal(cluster_id, kafka_of_text(cluster->cluster_id))) {
        *ret_message = kafka_null();
        return INCONSISTENT_CLUSTER_ID;
    }
    *ret_message = kafka_call_format(
        call, "Cluster doesn't support %s voter because the kraft.version feature is 0", change);
    return kafka_status_code(SLUICE_E_UNSUPPORTED_VERSION);
}

void kafka_handle_add_raft_voter(struct kafka_call *call)
{
    const struct kafka_add_raft_voter_request *request = call->request;
    struct kafka_add_raft_voter_response response;

    kafka_add_raft_voter_response_init(&response);
    response.error_code = judge_voter(call, request->cluster_id, "adding", &response.error_message);
    kafka_call_answer(call, &response);
}

void kafka_handle_remove_raft_voter(struct kafka_call *call)
{
    const struct kafka_remove_raft_voter_request *request = call->request;
    struct kafka_remove_raft_voter_response response;

    kafka_remove_raft_voter_response_init(&response);
    response.error_code =
        judge_voter(call, request->cluster_id, "removing", &response.error_message);
    kafka_call_answer(call, &response);
}
