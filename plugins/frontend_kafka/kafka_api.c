/* kafka_api.c: the table of served APIs, and ApiVersions (KIP-35, KIP-511), which answers from it.
 *
 * An ApiVersions request that is too new is answered in version 0 with error 35 and only its own
 * range, because the client cannot read anything else yet; the client then asks again. */
#include "kafka_api.h"

#include "kafka_messages.h"
#include "kafka_status.h"

/* By rising key. */
const struct kafka_api_row kafka_api_rows[] = {
    {0, kafka_handle_produce},
    {1, kafka_handle_fetch},
    {2, kafka_handle_list_offsets},
    {3, kafka_handle_metadata},
    {8, kafka_handle_offset_commit},
    {9, kafka_handle_offset_fetch},
    {10, kafka_handle_find_coordinator},
    {11, kafka_handle_join_group},
    {12, kafka_handle_heartbeat},
    {13, kafka_handle_leave_group},
    {14, kafka_handle_sync_group},
    {15, kafka_handle_describe_groups},
    {16, kafka_handle_list_groups},
    {17, kafka_handle_sasl_handshake},
    {18, kafka_handle_api_versions},
    {19, kafka_handle_create_topics},
    {20, kafka_handle_delete_topics},
    {21, kafka_handle_delete_records},
    {22, kafka_handle_init_producer_id},
    {23, kafka_handle_offset_for_leader_epoch},
    {24, kafka_handle_add_partitions_to_txn},
    {25, kafka_handle_add_offsets_to_txn},
    {26, kafka_handle_end_txn},
    {28, kafka_handle_txn_offset_commit},
    {29, kafka_handle_describe_acls},
    {30, kafka_handle_create_acls},
    {31, kafka_handle_delete_acls},
    {32, kafka_handle_describe_configs},
    {33, kafka_handle_alter_configs},
    {34, kafka_handle_alter_replica_log_dirs},
    {35, kafka_handle_describe_log_dirs},
    {36, kafka_handle_sasl_authenticate},
    {37, kafka_handle_create_partitions},
    {38, kafka_handle_create_delegation_token},
    {39, kafka_handle_renew_delegation_token},
    {40, kafka_handle_expire_delegation_token},
    {41, kafka_handle_describe_delegation_token},
    {42, kafka_handle_delete_groups},
    {43, kafka_handle_elect_leaders},
    {44, kafka_handle_incremental_alter_configs},
    {45, kafka_handle_alter_partition_reassignments},
    {46, kafka_handle_list_partition_reassignments},
    {47, kafka_handle_offset_delete},
    {48, kafka_handle_describe_client_quotas},
    {49, kafka_handle_alter_client_quotas},
    {50, kafka_handle_describe_user_scram_credentials},
    {51, kafka_handle_alter_user_scram_credentials},
    {55, kafka_handle_describe_quorum},
    {57, kafka_handle_update_features},
    {60, kafka_handle_describe_cluster},
    {61, kafka_handle_describe_producers},
    {64, kafka_handle_unregister_broker},
    {65, kafka_handle_describe_transactions},
    {66, kafka_handle_list_transactions},
    {68, kafka_handle_consumer_group_heartbeat},
    {69, kafka_handle_consumer_group_describe},
    {71, kafka_handle_get_telemetry_subscriptions},
    {72, kafka_handle_push_telemetry},
    {74, kafka_handle_list_config_resources},
    {75, kafka_handle_describe_topic_partitions},
    {76, kafka_handle_share_group_heartbeat},
    {77, kafka_handle_share_group_describe},
    {78, kafka_handle_share_fetch},
    {79, kafka_handle_share_acknowledge},
    {80, kafka_handle_add_raft_voter},
    {81, kafka_handle_remove_raft_voter},
    {88, kafka_handle_streams_group_heartbeat},
    {89, kafka_handle_streams_group_describe},
    {90, kafka_handle_describe_share_group_offsets},
    {91, kafka_handle_alter_share_group_offsets},
    {92, kafka_handle_delete_share_group_offsets},
};
const uint32_t kafka_api_row_count = sizeof(kafka_api_rows) / sizeof(kafka_api_rows[0]);

/* Of groups of all kinds: not offered with kafka.groups: false. */
static const int16_t group_keys[] = {8,  9,  11, 12, 13, 14, 15, 16, 25, 28, 42, 47,
                                     68, 69, 76, 77, 78, 79, 88, 89, 90, 91, 92};
#define JOIN_GROUP_KEY 11
/* Not offered where the host takes no telemetry. */
#define TELEMETRY_FIRST 71
#define TELEMETRY_LAST  72

static bool is_of_groups(int16_t key)
{
    uint32_t i = 0;
    while (i < sizeof(group_keys) / sizeof(group_keys[0]) && group_keys[i] != key) {
        i++;
    }
    return i < sizeof(group_keys) / sizeof(group_keys[0]);
}

static bool is_offered(const struct kafka_frontend *frontend, int16_t key)
{
    if (key >= TELEMETRY_FIRST && key <= TELEMETRY_LAST) {
        return frontend->telemetry != NULL;
    }
    return frontend->groups || !is_of_groups(key);
}

kafka_handler_fn *kafka_api_handler(const struct kafka_frontend *frontend, int16_t key)
{
    if (!is_offered(frontend, key)) {
        return key == JOIN_GROUP_KEY ? kafka_refuse_join_group : NULL;
    }
    for (uint32_t i = 0; i < kafka_api_row_count; i++) {
        if (kafka_api_rows[i].key == key) {
            return kafka_api_rows[i].handler;
        }
    }
    return NULL;
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
    response.api_keys = kafka_call_take(call, kafka_api_row_count, sizeof(*response.api_keys));
    if (response.api_keys == NULL) {
        return;
    }
    for (uint32_t i = 0; i < kafka_api_row_count; i++) {
        if (is_offered(call->conn->frontend, kafka_api_rows[i].key)) {
            response.api_keys[response.api_keys_count++] = range_of(call, kafka_api_rows[i].key);
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
