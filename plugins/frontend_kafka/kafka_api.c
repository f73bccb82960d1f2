/* kafka_api.c: the table of served APIs, and ApiVersions (KIP-35, KIP-511), which answers from it.
 *
 * An ApiVersions request that is too new is answered in version 0 with error 35 and only its own
 * range, because the client cannot read anything else yet; the client then asks again. */
#include "kafka_api.h"

#include "kafka_messages.h"
#include "kafka_status.h"

const struct kafka_api_row kafka_api_rows[KAFKA_API_KEYS] = {
    [0] = {kafka_handle_produce, KAFKA_ALWAYS},
    [1] = {kafka_handle_fetch, KAFKA_ALWAYS},
    [2] = {kafka_handle_list_offsets, KAFKA_ALWAYS},
    [3] = {kafka_handle_metadata, KAFKA_ALWAYS},
    [8] = {kafka_handle_offset_commit, KAFKA_WITH_GROUPS},
    [9] = {kafka_handle_offset_fetch, KAFKA_WITH_GROUPS},
    [10] = {kafka_handle_find_coordinator, KAFKA_ALWAYS},
    [11] = {kafka_handle_join_group, KAFKA_WITH_GROUPS},
    [12] = {kafka_handle_heartbeat, KAFKA_WITH_GROUPS},
    [13] = {kafka_handle_leave_group, KAFKA_WITH_GROUPS},
    [14] = {kafka_handle_sync_group, KAFKA_WITH_GROUPS},
    [15] = {kafka_handle_describe_groups, KAFKA_WITH_GROUPS},
    [16] = {kafka_handle_list_groups, KAFKA_WITH_GROUPS},
    [17] = {kafka_handle_sasl_handshake, KAFKA_ALWAYS},
    [18] = {kafka_handle_api_versions, KAFKA_ALWAYS},
    [19] = {kafka_handle_create_topics, KAFKA_ALWAYS},
    [20] = {kafka_handle_delete_topics, KAFKA_ALWAYS},
    [21] = {kafka_handle_delete_records, KAFKA_ALWAYS},
    [22] = {kafka_handle_init_producer_id, KAFKA_ALWAYS},
    [23] = {kafka_handle_offset_for_leader_epoch, KAFKA_ALWAYS},
    [24] = {kafka_handle_add_partitions_to_txn, KAFKA_ALWAYS},
    [25] = {kafka_handle_add_offsets_to_txn, KAFKA_WITH_GROUPS},
    [26] = {kafka_handle_end_txn, KAFKA_ALWAYS},
    [28] = {kafka_handle_txn_offset_commit, KAFKA_WITH_GROUPS},
    [29] = {kafka_handle_describe_acls, KAFKA_ALWAYS},
    [30] = {kafka_handle_create_acls, KAFKA_ALWAYS},
    [31] = {kafka_handle_delete_acls, KAFKA_ALWAYS},
    [32] = {kafka_handle_describe_configs, KAFKA_ALWAYS},
    [33] = {kafka_handle_alter_configs, KAFKA_ALWAYS},
    [34] = {kafka_handle_alter_replica_log_dirs, KAFKA_ALWAYS},
    [35] = {kafka_handle_describe_log_dirs, KAFKA_ALWAYS},
    [36] = {kafka_handle_sasl_authenticate, KAFKA_ALWAYS},
    [37] = {kafka_handle_create_partitions, KAFKA_ALWAYS},
    [38] = {kafka_handle_create_delegation_token, KAFKA_ALWAYS},
    [39] = {kafka_handle_renew_delegation_token, KAFKA_ALWAYS},
    [40] = {kafka_handle_expire_delegation_token, KAFKA_ALWAYS},
    [41] = {kafka_handle_describe_delegation_token, KAFKA_ALWAYS},
    [42] = {kafka_handle_delete_groups, KAFKA_WITH_GROUPS},
    [43] = {kafka_handle_elect_leaders, KAFKA_ALWAYS},
    [44] = {kafka_handle_incremental_alter_configs, KAFKA_ALWAYS},
    [45] = {kafka_handle_alter_partition_reassignments, KAFKA_ALWAYS},
    [46] = {kafka_handle_list_partition_reassignments, KAFKA_ALWAYS},
    [47] = {kafka_handle_offset_delete, KAFKA_WITH_GROUPS},
    [48] = {kafka_handle_describe_client_quotas, KAFKA_ALWAYS},
    [49] = {kafka_handle_alter_client_quotas, KAFKA_ALWAYS},
    [50] = {kafka_handle_describe_user_scram_credentials, KAFKA_ALWAYS},
    [51] = {kafka_handle_alter_user_scram_credentials, KAFKA_ALWAYS},
    [55] = {kafka_handle_describe_quorum, KAFKA_ALWAYS},
    [57] = {kafka_handle_update_features, KAFKA_ALWAYS},
    [60] = {kafka_handle_describe_cluster, KAFKA_ALWAYS},
    [61] = {kafka_handle_describe_producers, KAFKA_ALWAYS},
    [64] = {kafka_handle_unregister_broker, KAFKA_ALWAYS},
    [65] = {kafka_handle_describe_transactions, KAFKA_ALWAYS},
    [66] = {kafka_handle_list_transactions, KAFKA_ALWAYS},
    [68] = {kafka_handle_consumer_group_heartbeat, KAFKA_WITH_GROUPS},
    [69] = {kafka_handle_consumer_group_describe, KAFKA_WITH_GROUPS},
    [71] = {kafka_handle_get_telemetry_subscriptions, KAFKA_WITH_TELEMETRY},
    [72] = {kafka_handle_push_telemetry, KAFKA_WITH_TELEMETRY},
    [74] = {kafka_handle_list_config_resources, KAFKA_ALWAYS},
    [75] = {kafka_handle_describe_topic_partitions, KAFKA_ALWAYS},
    [76] = {kafka_handle_share_group_heartbeat, KAFKA_WITH_GROUPS},
    [77] = {kafka_handle_share_group_describe, KAFKA_WITH_GROUPS},
    [78] = {kafka_handle_share_fetch, KAFKA_WITH_GROUPS},
    [79] = {kafka_handle_share_acknowledge, KAFKA_WITH_GROUPS},
    [80] = {kafka_handle_add_raft_voter, KAFKA_ALWAYS},
    [81] = {kafka_handle_remove_raft_voter, KAFKA_ALWAYS},
    [88] = {kafka_handle_streams_group_heartbeat, KAFKA_WITH_GROUPS},
    [89] = {kafka_handle_streams_group_describe, KAFKA_WITH_GROUPS},
    [90] = {kafka_handle_describe_share_group_offsets, KAFKA_WITH_GROUPS},
    [91] = {kafka_handle_alter_share_group_offsets, KAFKA_WITH_GROUPS},
    [92] = {kafka_handle_delete_share_group_offsets, KAFKA_WITH_GROUPS},
};

#define JOIN_GROUP_KEY 11

static bool is_offered(const struct kafka_frontend *frontend, const struct kafka_api_row *row)
{
    bool wanted =
        row->offer == KAFKA_ALWAYS ||
        (row->offer == KAFKA_WITH_GROUPS ? frontend->groups : frontend->telemetry != NULL);
    return wanted && row->handler != NULL;
}

kafka_handler_fn *kafka_api_handler(const struct kafka_frontend *frontend, int16_t key)
{
    if (key < 0 || key >= KAFKA_API_KEYS) {
        return NULL;
    }
    if (!is_offered(frontend, &kafka_api_rows[key])) {
        return key == JOIN_GROUP_KEY ? kafka_refuse_join_group : NULL;
    }
    return kafka_api_rows[key].handler;
}

static struct kafka_api_versions_response_api_key range_of(const struct kafka_call *call,
                                                           int16_t key)
{
    const struct kafka_api *api = kafka_api_get(key);
    int16_t min = call->conn->frontend->legacy ? api->legacy_min : api->advertised_min;
    return (struct kafka_api_versions_response_api_key){key, min, api->version_max};
}

/* [a-zA-Z0-9]([a-zA-Z0-9-.]*[a-zA-Z0-9])? as KIP-511 wants names and versions. */
static bool is_software_name(struct kafka_bytes text)
{
    for (int32_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        bool alphanumeric =
            (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool inner = i > 0 && i + 1 < text.size && (c == '-' || c == '.');
        if (!alphanumeric && !inner) {
            return false;
        }
    }
    return text.size > 0;
}

void kafka_handle_api_versions(struct kafka_call *call)
{
    const struct kafka_api_versions_request *request = call->request;
    struct kafka_api_versions_response response;

    kafka_api_versions_response_init(&response);
    if (call->version >= 3 && (!is_software_name(request->client_software_name) ||
                               !is_software_name(request->client_software_version))) {
        response.error_code = kafka_status_code(SLUICE_E_INVALID_REQUEST);
        kafka_call_answer(call, &response);
        return;
    }
    if (call->version >= 3) {
        kafka_keep_software(call->conn, request->client_software_name,
                            request->client_software_version);
    }
    response.api_keys = kafka_call_take(call, KAFKA_API_KEYS, sizeof(*response.api_keys));
    if (response.api_keys == NULL) {
        return;
    }
    for (int16_t key = 0; key < KAFKA_API_KEYS; key++) {
        if (is_offered(call->conn->frontend, &kafka_api_rows[key])) {
            response.api_keys[response.api_keys_count++] = range_of(call, key);
        }
    }
    if (!kafka_features_fill(call, &response)) {
        kafka_call_fail(call, "the features do not fit into an answer", SLUICE_E_LIMIT);
        return;
    }
    kafka_call_answer(call, &response);
}

void kafka_answer_api_versions_too_new(struct kafka_call *call)
{
    struct kafka_api_versions_response_api_key own = range_of(call, KAFKA_API_VERSIONS_KEY);
    struct kafka_api_versions_response response;

    kafka_api_versions_response_init(&response);
    response.error_code = kafka_status_code(SLUICE_E_UNSUPPORTED_VERSION);
    response.api_keys = &own;
    response.api_keys_count = 1;
    call->version = 0;
    kafka_call_answer(call, &response);
}
