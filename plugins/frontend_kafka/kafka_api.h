/* kafka_api.h: what this frontend serves: one row an API, from which ApiVersions answers.
 *
 * A handler gets a decoded request (call->request) and ends the call with exactly one of
 * kafka_call_answer, _answer_spliced, _fail, now or in a done of the broker. Views in the request
 * live as long as the call, in Produce only during the handler. [loop] */
#ifndef KAFKA_API_H
#define KAFKA_API_H

#include "kafka_call.h"

typedef void kafka_handler_fn(struct kafka_call *call);

/* Where an API is offered. */
enum kafka_offer {
    KAFKA_ALWAYS,
    KAFKA_WITH_GROUPS,    /* those of groups of all kinds: not with kafka.groups: false */
    KAFKA_WITH_TELEMETRY, /* where the host takes it */
};

/* The version range is the codec's. */
struct kafka_api_row {
    kafka_handler_fn *handler; /* NULL: not served */
    enum kafka_offer offer;
};

extern const struct kafka_api_row kafka_api_rows[KAFKA_API_KEYS]; /* by key */

/* NULL: not served. */
kafka_handler_fn *kafka_api_handler(const struct kafka_frontend *frontend, int16_t key);

#define KAFKA_PRODUCE_KEY 0

kafka_handler_fn kafka_handle_describe_client_quotas, kafka_handle_alter_client_quotas;
kafka_handler_fn kafka_handle_sasl_handshake, kafka_handle_sasl_authenticate,
    kafka_handle_describe_user_scram_credentials, kafka_handle_alter_user_scram_credentials;
kafka_handler_fn kafka_handle_api_versions, kafka_handle_metadata, kafka_handle_produce,
    kafka_handle_fetch, kafka_handle_list_offsets, kafka_handle_init_producer_id,
    kafka_handle_find_coordinator, kafka_handle_join_group, kafka_refuse_join_group,
    kafka_handle_sync_group, kafka_handle_heartbeat, kafka_handle_leave_group,
    kafka_handle_offset_commit, kafka_handle_offset_fetch, kafka_handle_create_topics,
    kafka_handle_delete_topics, kafka_handle_delete_records, kafka_handle_describe_configs,
    kafka_handle_alter_configs, kafka_handle_incremental_alter_configs,
    kafka_handle_create_partitions, kafka_handle_list_groups, kafka_handle_describe_groups,
    kafka_handle_delete_groups, kafka_handle_offset_delete, kafka_handle_describe_acls,
    kafka_handle_create_acls, kafka_handle_delete_acls, kafka_handle_add_partitions_to_txn,
    kafka_handle_add_offsets_to_txn, kafka_handle_end_txn, kafka_handle_txn_offset_commit,
    kafka_handle_describe_producers, kafka_handle_describe_transactions,
    kafka_handle_list_transactions, kafka_handle_consumer_group_heartbeat,
    kafka_handle_consumer_group_describe;
/* The cluster as administrators see it (handle_cluster.c, _topic_pages, _epochs, _replicas,
 * _log_dirs, _tokens). */
kafka_handler_fn kafka_handle_describe_cluster, kafka_handle_describe_quorum,
    kafka_handle_unregister_broker, kafka_handle_add_raft_voter, kafka_handle_remove_raft_voter,
    kafka_handle_describe_topic_partitions, kafka_handle_offset_for_leader_epoch,
    kafka_handle_alter_partition_reassignments, kafka_handle_list_partition_reassignments,
    kafka_handle_elect_leaders, kafka_handle_describe_log_dirs, kafka_handle_alter_replica_log_dirs,
    kafka_handle_create_delegation_token, kafka_handle_renew_delegation_token,
    kafka_handle_expire_delegation_token, kafka_handle_describe_delegation_token;

/* handle_telemetry.c */
kafka_handler_fn kafka_handle_get_telemetry_subscriptions, kafka_handle_push_telemetry;
/* What the peer says of its software (ApiVersions, KIP-511); neither is null. */
void kafka_keep_software(struct kafka_conn *conn, struct kafka_bytes name,
                         struct kafka_bytes version);
#define KAFKA_SOFTWARE_BYTES 255u

/* handle_features.c */
kafka_handler_fn kafka_handle_update_features, kafka_handle_list_config_resources;
kafka_handler_fn kafka_handle_share_group_heartbeat, kafka_handle_share_group_describe,
    kafka_handle_share_fetch, kafka_handle_share_acknowledge,
    kafka_handle_describe_share_group_offsets, kafka_handle_alter_share_group_offsets,
    kafka_handle_delete_share_group_offsets;
kafka_handler_fn kafka_handle_streams_group_heartbeat, kafka_handle_streams_group_describe;
struct kafka_api_versions_response;
/* What ApiVersions tells of features; false: no room. */
bool kafka_features_fill(struct kafka_call *call, struct kafka_api_versions_response *response);

/* What can be done with a topic, with a group and with the cluster (KIP-430). */
#define KAFKA_GROUP_OPERATIONS                                                  \
    (1u << SLUICE_OP_READ | 1u << SLUICE_OP_DELETE | 1u << SLUICE_OP_DESCRIBE | \
     1u << SLUICE_OP_DESCRIBE_CONFIGS | 1u << SLUICE_OP_ALTER_CONFIGS)
#define KAFKA_TOPIC_OPERATIONS                                                 \
    (KAFKA_GROUP_OPERATIONS | 1u << SLUICE_OP_WRITE | 1u << SLUICE_OP_CREATE | \
     1u << SLUICE_OP_ALTER)
#define KAFKA_CLUSTER_OPERATIONS                                                 \
    (1u << SLUICE_OP_CREATE | 1u << SLUICE_OP_ALTER | 1u << SLUICE_OP_DESCRIBE | \
     1u << SLUICE_OP_CLUSTER_ACTION | 1u << SLUICE_OP_DESCRIBE_CONFIGS |         \
     1u << SLUICE_OP_ALTER_CONFIGS | 1u << SLUICE_OP_IDEMPOTENT_WRITE)
/* What the principal of the call may do with a resource, of the operations in `all` (KIP-430). */
int32_t kafka_operations(const struct kafka_call *call, int32_t resource, struct sluice_text name,
                         uint32_t all);
/* Whether it may do this: for what is answered without the broker. */
bool kafka_may(const struct kafka_call *call, int32_t operation, int32_t resource,
               struct sluice_text name);

/* handle_sasl.c: whether a request with this key may be answered as far as the login is. */
bool kafka_login_allows(struct kafka_conn *conn, int16_t api_key);
void kafka_login_begin(struct kafka_conn *conn); /* a new connection */
/* A frame of the mechanism alone (SaslHandshake version 0). */
void kafka_login_raw(struct kafka_conn *conn, const uint8_t *message, size_t size);
/* A frame before the login is not larger (sasl.server.max.receive.size). */
#define KAFKA_LOGIN_BYTES_MAX (512u << 10)

/* An ApiVersions request of a version that is not known: answered in version 0 (its body is not
 * looked at). */
void kafka_answer_api_versions_too_new(struct kafka_call *call);

#endif
