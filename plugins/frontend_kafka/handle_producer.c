/* handle_producer.c: InitProducerId (KIP-98, KIP-360) and FindCoordinator (KIP-699).
 *
 * An idempotent producer gets a fresh id each time it asks, whatever id it had, as in Kafka; an id
 * without an epoch, and the reverse, are INVALID_REQUEST. With a
 * transactional id it becomes the producer of that id. This node coordinates all groups and
 * transactions. */
#include "kafka_api.h"
#include "kafka_messages.h"
#include "kafka_status.h"
#include "txn_common.h"

#define KEY_TYPE_GROUP       0
#define KEY_TYPE_TRANSACTION 1
#define KEYS_SINCE           4 /* version of FindCoordinator with a list of keys */
#define FENCED_SINCE         4 /* version of InitProducerId that knows PRODUCER_FENCED */

static void got_producer_id(void *arg, const struct sluice_producer_id *producer)
{
    struct kafka_call *call = arg;
    struct kafka_init_producer_id_response response;

    kafka_init_producer_id_response_init(&response);
    response.error_code = kafka_txn_status_code(producer->status, call->version >= FENCED_SINCE);
    response.producer_epoch = -1;
    if (producer->status == SLUICE_OK) {
        response.producer_id = producer->id;
        response.producer_epoch = producer->epoch;
    }
    kafka_call_answer(call, &response);
}

void kafka_handle_init_producer_id(struct kafka_call *call)
{
    const struct kafka_init_producer_id_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    struct sluice_txn *txn = kafka_call_take(call, 1, sizeof(*txn));

    if (txn == NULL) {
        return;
    }
    if (kafka_is_null(request->transactional_id)) {
        bool is_half = (request->producer_id == -1) != (request->producer_epoch == -1);
        broker->producer_id(broker, kafka_call_context(call), is_half ? request->producer_id : -1,
                            is_half ? request->producer_epoch : -1, got_producer_id, call);
        return;
    }
    *txn = kafka_txn_of(request->transactional_id, request->producer_id, request->producer_epoch,
                        false);
    broker->txn_producer(broker, kafka_call_context(call), txn, request->transaction_timeout_ms,
                         got_producer_id, call);
}

/* ---- FindCoordinator ---- */

/* Whether the principal may know of the group or transaction at all. */
static bool may_find(const struct kafka_call *call, struct kafka_bytes key)
{
    const struct kafka_find_coordinator_request *request = call->request;
    bool is_group = request->key_type == KEY_TYPE_GROUP;
    return (!is_group && request->key_type != KEY_TYPE_TRANSACTION) ||
           kafka_may(call, SLUICE_OP_DESCRIBE,
                     is_group ? SLUICE_ACL_GROUP : SLUICE_ACL_TRANSACTIONAL_ID,
                     kafka_to_text_or_empty(key));
}

static struct kafka_find_coordinator_response_coordinator
find(const struct kafka_call *call, const struct sluice_cluster *cluster, struct kafka_bytes key)
{
    const struct kafka_find_coordinator_request *request = call->request;
    struct kafka_find_coordinator_response_coordinator found;

    kafka_find_coordinator_response_coordinator_init(&found);
    found.key = key;
    found.node_id = found.port = -1;
    found.error_message = kafka_null();
    if (!may_find(call, key)) {
        found.error_code = kafka_status_code(request->key_type == KEY_TYPE_GROUP
                                                 ? SLUICE_E_GROUP_AUTHORIZATION
                                                 : SLUICE_E_TRANSACTION_AUTHORIZATION);
    } else if (request->key_type != KEY_TYPE_GROUP && request->key_type != KEY_TYPE_TRANSACTION) {
        found.error_code = kafka_status_code(SLUICE_E_INVALID_REQUEST);
        found.error_message = kafka_string("this kind of coordinator does not exist here");
    } else if (cluster->node_count == 0 ||
               (request->key_type == KEY_TYPE_GROUP && !call->conn->frontend->groups)) {
        found.error_code = kafka_status_code(SLUICE_E_COORDINATOR_NOT_AVAILABLE);
    } else {
        found.node_id = cluster->nodes[0].id;
        found.host = kafka_of_text_or_empty(cluster->nodes[0].host);
        found.port = cluster->nodes[0].port;
    }
    return found;
}

static void find_one(const struct kafka_call *call, const struct sluice_cluster *cluster,
                     struct kafka_find_coordinator_response *response)
{
    const struct kafka_find_coordinator_request *request = call->request;
    struct kafka_find_coordinator_response_coordinator found = find(call, cluster, request->key);

    response->error_code = found.error_code;
    response->error_message = found.error_message;
    response->node_id = found.node_id;
    response->host = found.host;
    response->port = found.port;
}

void kafka_handle_find_coordinator(struct kafka_call *call)
{
    const struct kafka_find_coordinator_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    const struct sluice_cluster *cluster = broker->cluster(broker, kafka_call_context(call));
    struct kafka_find_coordinator_response response;

    kafka_find_coordinator_response_init(&response);
    response.error_message = kafka_null();
    if (call->version < KEYS_SINCE) {
        find_one(call, cluster, &response);
        kafka_call_answer(call, &response);
        return;
    }
    response.coordinators =
        kafka_call_take(call, request->coordinator_keys_count, sizeof(*response.coordinators));
    if (response.coordinators == NULL) {
        return;
    }
    response.coordinators_count = request->coordinator_keys_count;
    for (int32_t i = 0; i < request->coordinator_keys_count; i++) {
        response.coordinators[i] = find(call, cluster, request->coordinator_keys[i]);
    }
    kafka_call_answer(call, &response);
}
