/* handle_metadata.c: Metadata (KIP-516 topic ids, KIP-430 authorized operations).
 *
 * topics null asks for all, an empty list for none; in version 0 an empty list asks for all.
 * Missing topics are made only when they are named and the request allows it (before version 4
 * every request does); the answer waits until they are there and describes them, where Kafka's
 * carries UNKNOWN_TOPIC_OR_PARTITION and clients ask again. Naming topics by id is for version 12
 * and later. */
#include "kafka_api.h"
#include "kafka_messages.h"
#include "kafka_names.h"
#include "kafka_status.h"

#define NULL_IS_ALL_SINCE 1  /* version */
#define BY_ID_SINCE       12 /* version */

static bool asks_for_all(const struct kafka_call *call)
{
    const struct kafka_metadata_request *request = call->request;
    return call->version < NULL_IS_ALL_SINCE ? request->topics_count == 0
                                             : request->topics_count < 0;
}

static bool fill_nodes(struct kafka_call *call, struct kafka_metadata_response *response)
{
    const struct sluice_broker *broker = kafka_call_broker(call);
    const struct sluice_cluster *cluster = broker->cluster(broker, kafka_call_context(call));

    response->brokers = kafka_call_try_take(call, cluster->node_count, sizeof(*response->brokers));
    if (response->brokers == NULL) {
        return false;
    }
    response->brokers_count = (int32_t)cluster->node_count;
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        struct kafka_metadata_response_broker *node = &response->brokers[i];
        kafka_metadata_response_broker_init(node);
        node->node_id = cluster->nodes[i].id;
        node->host = kafka_of_text_or_empty(cluster->nodes[i].host);
        node->port = cluster->nodes[i].port;
    }
    response->cluster_id = kafka_of_text(cluster->cluster_id);
    response->controller_id = cluster->controller_id;
    return true;
}

static void fill_partition(const struct sluice_partition_info *info,
                           struct kafka_metadata_response_partition *partition, int32_t *node)
{
    kafka_metadata_response_partition_init(partition);
    partition->error_code = kafka_status_code(info->status);
    if (info->status == SLUICE_OK && info->leader_id < 0) {
        partition->error_code = KAFKA_LEADER_NOT_AVAILABLE;
    }
    partition->partition_index = info->partition;
    partition->leader_id = info->leader_id;
    partition->leader_epoch = info->leader_epoch;
    *node = info->leader_id;
    if (info->leader_id >= 0) {
        partition->replica_nodes = partition->isr_nodes = node;
        partition->replica_nodes_count = partition->isr_nodes_count = 1;
    }
}

static bool fill_topic(struct kafka_call *call, const struct sluice_topic_info *info,
                       struct kafka_metadata_response_topic *topic)
{
    const struct kafka_metadata_request *request = call->request;
    int32_t *nodes = kafka_call_try_take(call, info->partition_count, sizeof(*nodes));
    struct kafka_uuid id = kafka_of_uuid(info->id);
    bool is_empty = info->name.size == 0 && kafka_uuid_is_zero(&id); /* that is its name */

    kafka_metadata_response_topic_init(topic);
    topic->error_code = kafka_status_code(
        is_empty && info->status == SLUICE_E_UNKNOWN_TOPIC ? SLUICE_E_INVALID_TOPIC : info->status);
    topic->name = call->version >= BY_ID_SINCE && info->name.size == 0 && !is_empty
                      ? kafka_null()
                      : kafka_of_text_or_empty(info->name);
    topic->topic_id = id;
    topic->is_internal = info->internal;
    if (request->include_topic_authorized_operations && info->status == SLUICE_OK) {
        topic->topic_authorized_operations =
            kafka_operations(call, SLUICE_ACL_TOPIC, info->name, KAFKA_TOPIC_OPERATIONS);
    }
    topic->partitions =
        kafka_call_try_take(call, info->partition_count, sizeof(*topic->partitions));
    if (nodes == NULL || topic->partitions == NULL) {
        return false;
    }
    topic->partitions_count = (int32_t)info->partition_count;
    for (uint32_t i = 0; i < info->partition_count; i++) {
        fill_partition(&info->partitions[i], &topic->partitions[i], &nodes[i]);
    }
    return true;
}

static void answer(void *arg, const struct sluice_topic_info *topics, uint32_t count)
{
    struct kafka_call *call = arg;
    const struct kafka_metadata_request *request = call->request;
    struct kafka_metadata_response response;
    bool ok;

    kafka_metadata_response_init(&response);
    if (!kafka_conn_is_open(call->conn)) { /* perhaps the broker's table is gone as well */
        kafka_call_answer(call, &response);
        return;
    }
    if (request->include_cluster_authorized_operations) {
        response.cluster_authorized_operations =
            kafka_operations(call, SLUICE_ACL_CLUSTER, sluice_text_of(SLUICE_CLUSTER_NAME),
                             KAFKA_CLUSTER_OPERATIONS);
    }
    response.topics = kafka_call_try_take(call, count, sizeof(*response.topics));
    ok = response.topics != NULL && fill_nodes(call, &response);
    for (uint32_t i = 0; ok && i < count; i++) {
        ok = fill_topic(call, &topics[i], &response.topics[i]);
    }
    response.topics_count = (int32_t)count;
    if (!ok) {
        kafka_call_fail(call, "a metadata response does not fit", SLUICE_E_LIMIT);
        return;
    }
    kafka_call_answer(call, &response);
}

/* Every topic as named, with one error. */
static void refuse(struct kafka_call *call, sluice_status status)
{
    const struct kafka_metadata_request *request = call->request;
    struct sluice_topic_info *infos = kafka_call_take(call, request->topics_count, sizeof(*infos));

    if (infos == NULL) {
        return;
    }
    for (int32_t i = 0; i < request->topics_count; i++) {
        infos[i].size = sizeof(infos[i]);
        infos[i].status = status;
        infos[i].name = kafka_to_text_or_empty(request->topics[i].name);
        infos[i].id = kafka_to_uuid(request->topics[i].topic_id);
    }
    answer(call, infos, (uint32_t)request->topics_count);
}

/* Before version 12 a topic has a name and no id; later one of the two. */
static bool check_topic(const struct kafka_call *call,
                        const struct kafka_metadata_request_topic *topic)
{
    bool has_id = !kafka_uuid_is_zero(&topic->topic_id);
    bool has_name = !kafka_is_null(topic->name);
    return call->version < BY_ID_SINCE ? has_name && !has_id : has_name || has_id;
}

static const enum kafka_name_use *uses_of_names(struct kafka_call *call)
{
    const struct kafka_metadata_request *request = call->request;
    struct kafka_bytes *names = kafka_call_try_take(call, request->topics_count, sizeof(*names));

    for (int32_t i = 0; names != NULL && i < request->topics_count; i++) {
        names[i] = request->topics[i].name;
    }
    return names != NULL ? kafka_names_use(call, names, request->topics_count) : NULL;
}

void kafka_handle_metadata(struct kafka_call *call)
{
    const struct kafka_metadata_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    const enum kafka_name_use *uses;
    struct sluice_topic_ref *refs;
    uint32_t count = 0;

    if (asks_for_all(call)) {
        broker->topics(broker, kafka_call_context(call), NULL, 0, false, answer, call);
        return;
    }
    if (request->topics_count == 0) {
        answer(call, NULL, 0);
        return;
    }
    refs = kafka_call_try_take(call, request->topics_count, sizeof(*refs));
    uses = uses_of_names(call);
    if (refs == NULL || uses == NULL) {
        kafka_call_fail(call, "a request names too many topics", SLUICE_E_LIMIT);
        return;
    }
    for (int32_t i = 0; i < request->topics_count; i++) {
        if (!check_topic(call, &request->topics[i])) {
            refuse(call, SLUICE_E_INVALID_REQUEST);
            return;
        }
        if (uses[i] != KAFKA_NAME_AGAIN) {
            refs[count++] =
                (struct sluice_topic_ref){kafka_to_text_or_empty(request->topics[i].name),
                                          kafka_to_uuid(request->topics[i].topic_id)};
        }
    }
    broker->topics(broker, kafka_call_context(call), refs, count,
                   request->allow_auto_topic_creation, answer, call);
}
