/* <sluice/broker.h>: what a frontend may ask of the broker (extension "sluice.broker/1").
 *
 * No protocol shows here: requests are arrays of entries in the field's own words, outcomes are
 * sluice_status. Every call carries a context. Every call ends with exactly one call of `done` on
 * the loop thread of the caller, perhaps before the call itself returns; `done` gets views that
 * are valid until it returns. Request structs and what they point at are borrowed until `done`
 * unless said otherwise. When the context's connection closes, what waits ends with
 * SLUICE_E_CANCELLED. [loop] */
#ifndef SLUICE_BROKER_H
#define SLUICE_BROKER_H

#include <sluice/consumer_group.h>
#include <sluice/streams_group.h>
#include <sluice/types.h>

/* Id of struct sluice_broker, for sluice_host.get_extension. */
#define SLUICE_EXT_BROKER "sluice.broker/1"

/* A topic is named by name or, when the name is empty, by id. */
struct sluice_topic_ref {
    struct sluice_text name;
    struct sluice_uuid id;
};

/* ---- cluster and topics ---- */

/* A broker of the cluster. */
struct sluice_node {
    uint32_t size;
    int32_t id;
    struct sluice_text host; /* as advertised on the listener of the context */
    int32_t port;
    int32_t reserved;
};
/* What a client needs to know before it can ask anything else. */
struct sluice_cluster {
    uint32_t size;
    uint32_t node_count;           /* 1 */
    struct sluice_text cluster_id; /* 22 characters of URL-safe base64 */
    int32_t controller_id;
    int32_t reserved;
    const struct sluice_node *nodes;
};

/* One partition of a topic, and who leads it. */
struct sluice_partition_info {
    int32_t partition;
    int32_t leader_epoch;
    int32_t leader_id;    /* -1: none */
    sluice_status status; /* SLUICE_OK, or why the partition cannot serve */
};
/* A topic as it is now, or, with a status, the one that was asked for and why it is not there. */
struct sluice_topic_info {
    uint32_t size;
    sluice_status status; /* SLUICE_OK, E_UNKNOWN_TOPIC, E_UNKNOWN_TOPIC_ID, E_INVALID_TOPIC, … */
    struct sluice_text name;
    struct sluice_uuid id;
    bool internal;
    uint8_t reserved[3];
    uint32_t partition_count;
    const struct sluice_partition_info *partitions;
};
/* Ends `topics`: `count` topics, in the order asked for. */
typedef void sluice_topics_done(void *arg, const struct sluice_topic_info *topics, uint32_t count);

/* One setting by its Kafka name. */
struct sluice_key_value {
    struct sluice_text key;
    struct sluice_text value;
};
/* A topic to be made. */
struct sluice_topic_spec {
    uint32_t size;
    int32_t partition_count; /* -1: the broker's default */
    struct sluice_text name;
    int32_t replication_factor; /* -1: default; 1 on a single node */
    uint32_t config_count;
    const struct sluice_key_value *configs; /* value data NULL: default */
};
/* A topic that is to have more partitions. */
struct sluice_topic_growth {
    struct sluice_text name;
    int32_t partition_count; /* of the topic afterwards */
    int32_t assigned; /* replicas are given: 1 + for how many partitions; 0: none; -1: not here */
};
/* What became of one topic that was to be made, changed or deleted. */
struct sluice_topic_result {
    sluice_status status;
    int32_t partition_count;
    struct sluice_text name;
    struct sluice_uuid id;
    struct sluice_text reason; /* sentence for people, may be empty */
    int32_t replication_factor;
    int32_t reserved;
};
/* Ends `topics_create`, `topics_delete`, `configs_alter` and `partitions_create`: one result for
 * each, in the order asked for. */
typedef void sluice_topic_results_done(void *arg, const struct sluice_topic_result *results,
                                       uint32_t count);

/* ---- configuration ---- */

/* Whose configuration is described (SLUICE_RESOURCE_*), where a value comes from
 * (SLUICE_CONFIG_SOURCE_*), and of what kind it is (SLUICE_CONFIG_TYPE_*). */
#define SLUICE_RESOURCE_TOPIC               1
#define SLUICE_RESOURCE_BROKER              2
#define SLUICE_RESOURCE_GROUP               3
#define SLUICE_RESOURCE_CLIENT_METRICS      4 /* a subscription to metrics of clients (KIP-714) */
#define SLUICE_RESOURCE_BROKER_LOGGER       5 /* levels of the broker's log */
#define SLUICE_CONFIG_SOURCE_TOPIC          1 /* set on the topic */
#define SLUICE_CONFIG_SOURCE_BROKER         2 /* from the broker's configuration */
#define SLUICE_CONFIG_SOURCE_DEFAULT        3
#define SLUICE_CONFIG_SOURCE_GROUP          4 /* set on the group */
#define SLUICE_CONFIG_SOURCE_CLIENT_METRICS 5 /* set on the subscription */
#define SLUICE_CONFIG_SOURCE_LOGGER         6 /* a level of the log */
#define SLUICE_CONFIG_TYPE_BOOLEAN          1
#define SLUICE_CONFIG_TYPE_STRING           2
#define SLUICE_CONFIG_TYPE_INT              3
#define SLUICE_CONFIG_TYPE_LONG             4
#define SLUICE_CONFIG_TYPE_DOUBLE           5
#define SLUICE_CONFIG_TYPE_LIST             6
#define SLUICE_CONFIG_TYPE_SHORT            7
#define SLUICE_CONFIG_TYPE_CLASS            8
#define SLUICE_CONFIG_TYPE_PASSWORD         9
/* One key of a configuration with the value in force. */
struct sluice_config_entry {
    struct sluice_text name;
    struct sluice_text value; /* data NULL: null */
    struct sluice_text documentation;
    int32_t source;
    int32_t type;
    bool read_only;
    bool sensitive;
    uint8_t reserved[6];
    struct sluice_text synonym; /* the broker's key for the default; may be empty */
    struct sluice_text synonym_value;
};
/* The configuration of a topic or of the broker. */
struct sluice_config_result {
    sluice_status status;
    int32_t resource; /* SLUICE_RESOURCE_* */
    struct sluice_text name;
    struct sluice_text reason;
    uint32_t entry_count;
    uint32_t reserved;
    const struct sluice_config_entry *entries;
};
/* Ends `configs_describe` and `configs_preview`. */
typedef void sluice_config_done(void *arg, const struct sluice_config_result *result);

/* What a change does to a key (KIP-339): the value is set; goes back to the default; elements are
 * added to a list, or taken from it. */
#define SLUICE_CONFIG_SET      0
#define SLUICE_CONFIG_DELETE   1
#define SLUICE_CONFIG_APPEND   2
#define SLUICE_CONFIG_SUBTRACT 3
/* One change of one key. */
struct sluice_config_change {
    struct sluice_text key;
    struct sluice_text value; /* of DELETE: ignored */
    int32_t operation;        /* SLUICE_CONFIG_* */
    int32_t reserved;
};
/* Changes of the configuration of one topic: all of them happen, or none. */
struct sluice_config_alter {
    uint32_t size;
    int32_t resource; /* SLUICE_RESOURCE_*; the broker's own configuration is in its files */
    struct sluice_text name;
    bool replace; /* what the changes do not name goes back to the default */
    uint8_t reserved[3];
    uint32_t change_count;
    const struct sluice_config_change *changes;
};

/* Ends `config_names`. */
typedef void sluice_names_done(void *arg, sluice_status status, const struct sluice_text *names,
                               uint32_t count);

/* ---- produce and fetch ---- */

#define SLUICE_PRODUCE_NO_ZSTD (1u << 0) /* the protocol version does not know zstd */
#define SLUICE_PRODUCE_TXN_V2 \
    (1u << 1) /* a batch adds its partition to the transaction (KIP-890) */

/* One batch for one partition. */
struct sluice_produce_entry {
    struct sluice_topic_ref topic;
    int32_t partition;
    uint32_t reserved;
    /* One record batch of format 2. When it lies inside the input that the host gave to the
     * running conn_input call, the host keeps that memory; else it copies. Never borrowed beyond
     * the call. */
    struct sluice_bytes batch;
};
/* Bytes of a message id. */
#define SLUICE_MESSAGE_ID_BYTES_MAX 64
/* What must hold for one batch beyond what it says itself. */
struct sluice_produce_terms {
    /* That its first record would get, or it is refused; -1: any. E_UNEXPECTED_OFFSET, with a
     * reason that names the one that it would have got. */
    int64_t expected_offset;
    /* Another batch of the partition with the same id, within the topic's sluice.dedup.window.ms,
     * is not appended and has the same result, is_duplicate; size 0: none. With a batch of a
     * producer (KIP-98), which has sequences, E_INVALID_REQUEST; longer than
     * SLUICE_MESSAGE_ID_BYTES_MAX, E_INVALID; as many as a shard remembers, E_LIMIT. */
    struct sluice_text message_id;
    /* Milliseconds since 1970: appended then, and not before; 0, or not later than now: at once. It
     * is durable when done comes, with is_later and without an offset. Not with an expected offset,
     * nor with a batch of a producer: E_INVALID_REQUEST; not for a topic in memory: E_POLICY; as
     * many as a shard keeps wait: E_LIMIT. */
    int64_t deliver_at_ms;
};
/* Batches for any number of partitions; each succeeds or fails by itself. */
struct sluice_produce {
    uint32_t size;
    int16_t acks;   /* 0, 1, -1: all durable before done, as the topic's durability says */
    uint16_t flags; /* SLUICE_PRODUCE_* */
    int32_t timeout_ms;
    uint32_t entry_count;
    const struct sluice_produce_entry *entries; /* borrowed for the call only */
    /* From here on when `size` reaches beyond it. Transactional batches belong to the transaction
     * that this id has open; data NULL: none. Borrowed for the call only. */
    struct sluice_text transactional_id;
    /* entry_count of them, or NULL. Likewise. */
    const struct sluice_produce_terms *terms;
};
/* Why one record made its batch be refused. */
struct sluice_record_error {
    int32_t index; /* of the record in its batch */
    int32_t reserved;
    struct sluice_text reason;
};
/* What became of one batch: its place, or why it was refused. base_offset is -1 then. */
struct sluice_produce_result {
    sluice_status status;
    uint32_t record_error_count;
    int64_t base_offset;
    int64_t log_append_time_ms; /* -1: the topic keeps the producer's times */
    int64_t log_start_offset;
    struct sluice_text reason;
    const struct sluice_record_error *record_errors;
    bool is_duplicate; /* it was there already, and nothing was appended */
    bool is_later;     /* it is appended when its time has come */
    uint8_t reserved[6];
};
/* Ends `produce`: one result for each entry, in order. throttle_ms: how long the client is asked to
 * wait before its next request; 0: not at all. */
typedef void sluice_produce_done(void *arg, const struct sluice_produce_result *results,
                                 uint32_t count, int32_t throttle_ms);

/* Up to where records are visible: the high watermark, or the last stable offset. */
#define SLUICE_ISOLATION_UNCOMMITTED 0
#define SLUICE_ISOLATION_COMMITTED   1
/* From where to read one partition. */
struct sluice_fetch_entry {
    struct sluice_topic_ref topic;
    int32_t partition;
    int32_t leader_epoch; /* that the client knows; -1: no check */
    int64_t offset;
    int32_t bytes_max;  /* soft: the first batch of the answer comes whole */
    int32_t last_epoch; /* of the record that the client read last; 0 or less: no check */
};
/* Reads any number of partitions, or waits for records there. */
struct sluice_fetch {
    uint32_t size;
    int32_t bytes_max; /* of the whole answer, soft likewise */
    int32_t bytes_min; /* wait until so much is there … */
    int32_t wait_ms;   /* … but no longer; an error answers at once */
    int32_t isolation; /* SLUICE_ISOLATION_* */
    uint32_t entry_count;
    const struct sluice_fetch_entry *entries; /* borrowed for the call only */
    /* From here on when `size` reaches beyond it. What fetch_cancel names it by; 0: nothing does.
     */
    uint64_t tag;
};
/* A producer whose records from an offset on, up to its marker, are to be skipped. */
struct sluice_aborted {
    int64_t producer_id;
    int64_t first_offset;
};
/* What one partition gave. */
struct sluice_fetch_result {
    sluice_status status;
    int32_t leader_epoch;
    int64_t high_watermark;
    int64_t last_stable_offset;
    int64_t log_start_offset;
    /* whole batches; the first may begin before the offset asked for */
    struct sluice_bytes records;
    uint64_t records_token; /* for conn_write: sends `records` without a copy */
    uint32_t aborted_count;
    /* above 0: what the client read last is not of this log, since a power cut took it: this epoch
     * ends at diverging_end_offset here, and no records are given */
    int32_t diverging_epoch;
    int64_t diverging_end_offset;
    const struct sluice_aborted *aborted;
};
/* Ends `fetch`: one result for each entry, in order; the views and tokens are valid inside only. */
typedef void sluice_fetch_done(void *arg, const struct sluice_fetch_result *results, uint32_t count,
                               int32_t throttle_ms);

/* A topic as a frontend that watches them sees it (topics_seen). */
struct sluice_topic_seen {
    uint32_t size;
    uint32_t partition_count;
    struct sluice_text name; /* until the call returns */
    struct sluice_uuid id;
    bool internal;
    uint8_t reserved[7];
};
typedef void sluice_topic_seen_fn(void *arg, const struct sluice_topic_seen *topic);

/* Special times of an offset query, numbered as in Kafka's ListOffsets. */
#define SLUICE_TIME_LATEST         (-1)
#define SLUICE_TIME_EARLIEST       (-2)
#define SLUICE_TIME_MAX_TIMESTAMP  (-3)
#define SLUICE_TIME_EARLIEST_LOCAL (-4)
#define SLUICE_TIME_LATEST_TIERED  (-5)
/* Asks for the offset that belongs to a time. */
struct sluice_offset_query {
    struct sluice_topic_ref topic;
    int32_t partition;
    int32_t leader_epoch;
    int64_t timestamp; /* >= 0: first record at or after; or SLUICE_TIME_* */
};
/* The first record at or after the time that was asked for. */
struct sluice_offset_answer {
    sluice_status status;
    int32_t leader_epoch;
    int64_t offset;    /* -1: none */
    int64_t timestamp; /* -1: none */
};
/* Ends `offsets`: one answer for each query, in order. */
typedef void sluice_offsets_done(void *arg, const struct sluice_offset_answer *answers,
                                 uint32_t count);

/* As before_offset of a deletion: everything that is there. */
#define SLUICE_OFFSET_HIGH_WATERMARK (-1)
/* Up to where the records of one partition are to go (Kafka's DeleteRecords). */
struct sluice_records_delete {
    struct sluice_topic_ref topic;
    int32_t partition;
    uint32_t validate_only; /* 1: the same checks, nothing goes */
    int64_t before_offset;  /* records below it go; or SLUICE_OFFSET_HIGH_WATERMARK: all */
};
/* What became of one such deletion. */
struct sluice_records_deleted {
    sluice_status status;
    uint32_t reserved;
    int64_t log_start_offset; /* the first offset that is left; -1 with an error */
};
/* Ends `records_delete`: one result for each entry, in order, when all are durable. */
typedef void sluice_records_deleted_done(void *arg, const struct sluice_records_deleted *results,
                                         uint32_t count);

/* The identity of an idempotent producer (KIP-98). */
struct sluice_producer_id {
    sluice_status status;
    int16_t epoch;
    int16_t reserved;
    int64_t id;
};
/* Ends `producer_id`. */
typedef void sluice_producer_id_done(void *arg, const struct sluice_producer_id *producer);

/* ---- transactions (KIP-98, KIP-890) ---- */

#define SLUICE_TXN_V2 \
    (1u << 0) /* partitions and groups are added by use; each end bumps the epoch */
/* A producer that speaks for a transactional id. */
struct sluice_txn {
    uint32_t size;
    uint16_t flags; /* SLUICE_TXN_* */
    int16_t epoch;
    int64_t producer_id; /* -1 in txn_producer: not known yet */
    struct sluice_text id;
};
/* A partition that a transaction writes to. */
struct sluice_txn_partition {
    struct sluice_topic_ref topic;
    int32_t partition;
    uint32_t reserved;
};

/* States of a transactional id (SLUICE_TXN_*), numbered as in Kafka. */
#define SLUICE_TXN_EMPTY           0
#define SLUICE_TXN_ONGOING         1
#define SLUICE_TXN_PREPARE_COMMIT  2
#define SLUICE_TXN_PREPARE_ABORT   3
#define SLUICE_TXN_COMPLETE_COMMIT 4
#define SLUICE_TXN_COMPLETE_ABORT  5
/* What a transactional id is doing. */
struct sluice_txn_info {
    sluice_status status; /* SLUICE_OK, E_TXN_ID_NOT_FOUND, … */
    int32_t state;        /* SLUICE_TXN_* */
    struct sluice_text id;
    int64_t producer_id;
    int64_t start_ms; /* wall; -1: no transaction is open */
    int32_t timeout_ms;
    int16_t epoch;
    int16_t reserved;
    uint32_t partition_count; /* of the open transaction; 0 in a list */
    uint32_t reserved_too;
    const struct sluice_txn_partition *partitions; /* names and ids as in the catalog */
};
/* Ends `txns_describe` and `txns_list`: `count` ids. */
typedef void sluice_txns_done(void *arg, sluice_status status, const struct sluice_txn_info *txns,
                              uint32_t count);

/* What a partition remembers of a producer. */
struct sluice_producer_info {
    int64_t producer_id;
    int64_t last_ms;          /* wall, of its newest batch or marker */
    int64_t txn_first_offset; /* of its open transaction; -1: none */
    int32_t last_sequence;    /* -1: none with its epoch */
    int32_t epoch;
};
/* The producers of one partition. */
struct sluice_producers_result {
    sluice_status status;
    uint32_t count;
    const struct sluice_producer_info *producers;
};
/* Ends `producers_describe`: one result for each partition, in order. */
typedef void sluice_producers_done(void *arg, const struct sluice_producers_result *results,
                                   uint32_t count);

/* ---- consumer groups (classic protocol) ---- */

/* An assignor that a member knows, with what it says of itself to the leader. */
struct sluice_group_protocol {
    struct sluice_text name;
    struct sluice_bytes metadata; /* opaque */
};
/* A member joins, or joins again. */
struct sluice_group_join {
    uint32_t size;
    int32_t session_timeout_ms;
    int32_t rebalance_timeout_ms; /* -1: as the session timeout */
    uint32_t protocol_count;
    struct sluice_text group;
    struct sluice_text member;   /* empty: unknown yet */
    struct sluice_text instance; /* data NULL: dynamic member */
    struct sluice_text protocol_type;
    const struct sluice_group_protocol *protocols; /* in order of preference */
    bool require_member_id; /* KIP-394: a new dynamic member is told its id first */
    bool supports_skip_assignment;
    uint8_t reserved[6];
    struct sluice_text reason;
};
/* A member as the leader of its group sees it. */
struct sluice_group_member {
    struct sluice_text id;
    struct sluice_text instance; /* data NULL: dynamic */
    struct sluice_bytes metadata;
};
/* The new generation, or why there is none for this member. */
struct sluice_group_joined {
    sluice_status status;
    int32_t generation;
    struct sluice_text protocol_type; /* data NULL: none */
    struct sluice_text protocol;      /* data NULL: none */
    struct sluice_text leader;
    struct sluice_text member;
    bool skip_assignment;
    uint8_t reserved[3];
    uint32_t member_count; /* 0 unless this member leads */
    const struct sluice_group_member *members;
};
/* Ends `group_join`. */
typedef void sluice_group_joined_done(void *arg, const struct sluice_group_joined *joined);

/* What the leader gives one member; opaque to the broker. */
struct sluice_group_assignment {
    struct sluice_text member;
    struct sluice_bytes assignment;
};
/* A member asks for its assignment; the leader brings those of all. */
struct sluice_group_sync {
    uint32_t size;
    int32_t generation;
    struct sluice_text group;
    struct sluice_text member;
    struct sluice_text instance;
    struct sluice_text protocol_type; /* data NULL: not checked */
    struct sluice_text protocol;      /* data NULL: not checked */
    uint32_t assignment_count;
    uint32_t reserved;
    const struct sluice_group_assignment *assignments; /* of the leader */
};
/* The assignment of the member that asked. */
struct sluice_group_synced {
    sluice_status status;
    uint32_t reserved;
    struct sluice_text protocol_type;
    struct sluice_text protocol;
    struct sluice_bytes assignment;
};
/* Ends `group_sync`. */
typedef void sluice_group_synced_done(void *arg, const struct sluice_group_synced *synced);

/* Which member of which generation speaks. */
struct sluice_group_identity {
    uint32_t size;
    int32_t generation; /* -1 with an empty member: from outside the group (commit only) */
    struct sluice_text group;
    struct sluice_text member;
    struct sluice_text instance;
};
/* Ends a call that has nothing to tell but its outcome. */
typedef void sluice_status_done(void *arg, sluice_status status);

/* One member that leaves, by its id or by its instance. */
struct sluice_group_leave_entry {
    struct sluice_text member;
    struct sluice_text instance;
    struct sluice_text reason;
};
/* Members that leave a group (KIP-345). */
struct sluice_group_leave {
    uint32_t size;
    uint32_t entry_count;
    struct sluice_text group;
    const struct sluice_group_leave_entry *entries;
};
/* Ends a call on several things: an outcome for all, then one for each, in order. */
typedef void sluice_statuses_done(void *arg, sluice_status status, const sluice_status *statuses,
                                  uint32_t count);

/* Where a group stands in one partition: the offset that it reads next. */
struct sluice_offset_commit_entry {
    struct sluice_topic_ref topic;
    int32_t partition;
    int32_t leader_epoch; /* -1: unknown */
    int64_t offset;
    struct sluice_text metadata; /* up to 4096 bytes */
};
/* Offsets that a member of a group, or somebody outside of it, commits. */
struct sluice_offset_commit {
    uint32_t size;
    uint32_t entry_count;
    struct sluice_group_identity identity;
    const struct sluice_offset_commit_entry *entries;
};
/* A partition whose committed offset is asked for. */
struct sluice_offset_fetch_entry {
    struct sluice_topic_ref topic;
    int32_t partition;
    int32_t reserved;
};
#define SLUICE_OFFSET_FETCH_STABLE                                 \
    (1u << 0) /* E_UNSTABLE_OFFSET where a transaction commits one \
               */
/* Asks for committed offsets of a group. */
struct sluice_offset_fetch {
    uint32_t size;
    uint32_t entry_count; /* with entries NULL: all of the group */
    struct sluice_text group;
    const struct sluice_offset_fetch_entry *entries;
    /* From here on when `size` reaches beyond it. */
    uint32_t flags; /* SLUICE_OFFSET_FETCH_* */
    uint32_t reserved;
    struct sluice_text member; /* who asks; data NULL, with epoch -1: somebody outside the group */
    int32_t member_epoch;
    int32_t reserved2;
};
/* A committed offset. */
struct sluice_offset_fetched {
    sluice_status status;
    int32_t partition;
    struct sluice_text topic; /* name and id as in the catalog */
    struct sluice_uuid topic_id;
    int64_t offset; /* -1: none committed */
    int32_t leader_epoch;
    int32_t reserved;
    struct sluice_text metadata;
};
/* Ends `offset_fetch`. */
typedef void sluice_offset_fetched_done(void *arg, sluice_status status,
                                        const struct sluice_offset_fetched *offsets,
                                        uint32_t count);

/* A group as a list shows it. */
struct sluice_group_summary {
    struct sluice_text group;
    struct sluice_text protocol_type; /* empty: nobody joined it since the start */
    struct sluice_text state;         /* "Stable", "Empty" … as Kafka names them */
    struct sluice_text type;          /* "classic", "consumer" */
};
/* Ends `groups`. */
typedef void sluice_groups_done(void *arg, sluice_status status,
                                const struct sluice_group_summary *groups, uint32_t count);
/* A member as an administrator sees it. */
struct sluice_group_member_info {
    struct sluice_text id;
    struct sluice_text instance; /* data NULL: dynamic */
    struct sluice_text client_id;
    struct sluice_text client_host;
    struct sluice_bytes metadata;   /* for the protocol that was chosen; opaque */
    struct sluice_bytes assignment; /* opaque */
};
/* A group with its members. */
struct sluice_group_info {
    uint32_t size;
    sluice_status status; /* E_GROUP_NOT_FOUND: neither members nor offsets */
    struct sluice_text group;
    struct sluice_text state;
    struct sluice_text protocol_type;
    struct sluice_text protocol;
    uint32_t member_count;
    uint32_t reserved;
    const struct sluice_group_member_info *members;
};
/* Ends `group_describe`. */
typedef void sluice_group_info_done(void *arg, const struct sluice_group_info *info);

/* ---- the cluster as administrators see it ---- */

/* A partition that is asked about. */
struct sluice_partition_ref {
    struct sluice_topic_ref topic;
    int32_t partition;
    int32_t reserved;
};
/* Asks where a leader epoch ends in a partition (KIP-320). */
struct sluice_epoch_query {
    struct sluice_topic_ref topic;
    int32_t partition;
    int32_t leader_epoch; /* that the client knows as the current one; -1: no check */
    int32_t epoch;        /* whose end is asked for */
    int32_t reserved;
};
/* The end of an epoch. */
struct sluice_epoch_end {
    sluice_status status;
    int32_t epoch;      /* the highest that is known and not above the one asked for; -1: none */
    int64_t end_offset; /* where the next one begins, or the high watermark; -1: not known */
};
/* Ends `epoch_ends`: one for each query, in order. */
typedef void sluice_epoch_ends_done(void *arg, const struct sluice_epoch_end *ends, uint32_t count);

/* What a partition takes up. */
struct sluice_partition_usage {
    struct sluice_text topic;
    int32_t partition;
    int32_t reserved;
    int64_t bytes; /* of its record batches */
};
/* The data directory, with the partitions that were asked for and are there, by topic. */
struct sluice_log_dir {
    uint32_t size;
    sluice_status status;    /* SLUICE_OK, or why the directory does not serve */
    struct sluice_text path; /* empty: there is no disk */
    int64_t total_bytes;     /* of its file system; -1: not known */
    int64_t usable_bytes;
    uint32_t partition_count;
    uint32_t reserved;
    const struct sluice_partition_usage *partitions;
};
/* Ends `log_dirs`; with a status other than SLUICE_OK there are none. */
typedef void sluice_log_dirs_done(void *arg, sluice_status status,
                                  const struct sluice_log_dir *dirs, uint32_t count);

/* Who keeps the catalog, and how far. On a single node that is the node itself. */
struct sluice_quorum {
    uint32_t size;
    sluice_status status;
    int32_t leader_id;
    int32_t leader_epoch;
    int64_t log_end_offset; /* of the log that the catalog is in */
    int64_t high_watermark; /* durable up to here */
    int64_t wall_ms;        /* when that was so */
    struct sluice_uuid directory_id;
};
/* Ends `quorum`. */
typedef void sluice_quorum_done(void *arg, const struct sluice_quorum *quorum);

/* A feature of the cluster (KIP-584): which levels there are, and the one in force. */
struct sluice_feature {
    struct sluice_text name;
    int16_t min, max;
    int16_t level; /* 0: it is off */
    int16_t reserved;
};
/* What the cluster can do. */
struct sluice_features {
    uint32_t size;
    uint32_t count;
    int64_t epoch; /* rises with each change */
    const struct sluice_feature *features;
};
/* Which way a level is meant to go: a lower one wants to be asked for. */
#define SLUICE_FEATURE_UPGRADE          1
#define SLUICE_FEATURE_SAFE_DOWNGRADE   2
#define SLUICE_FEATURE_UNSAFE_DOWNGRADE 3
/* A level that is to be in force. */
struct sluice_feature_update {
    struct sluice_text name;
    int16_t level;
    int16_t reserved;
    int32_t kind; /* SLUICE_FEATURE_* */
};
/* ---- groups that share streams (KIP-932) ---- */

/* What a member says of records that it was given (SLUICE_SHARE_*), numbered as in Kafka: there was
 * no record; it is done with; somebody shall have it again; nobody can use it; it needs longer. */
#define SLUICE_SHARE_GAP     0
#define SLUICE_SHARE_ACCEPT  1
#define SLUICE_SHARE_RELEASE 2
#define SLUICE_SHARE_REJECT  3
#define SLUICE_SHARE_RENEW   4
/* What becomes of a run of offsets that the member holds. */
struct sluice_share_ack {
    int64_t first;
    int64_t last;        /* inclusive */
    const int8_t *types; /* SLUICE_SHARE_*: one for all, or one an offset */
    uint32_t type_count;
    uint32_t delay_ms; /* of a RELEASE: nobody has it again before; 0: at once; a day at most */
};
/* Where a group begins with a partition that it has not read: as its share.auto.offset.reset says,
 * or at the end, or the beginning. */
#define SLUICE_SHARE_START_CONFIGURED 0
#define SLUICE_SHARE_START_END        1
#define SLUICE_SHARE_START_FIRST      2
/* One partition: what becomes of records of it, and whether more are wanted. */
struct sluice_share_entry {
    struct sluice_topic_ref topic;
    int32_t partition;
    bool reads;
    uint8_t start; /* SLUICE_SHARE_START_* */
    uint8_t reserved[2];
    uint32_t ack_count;
    uint32_t reserved_too;
    const struct sluice_share_ack *acks; /* all of them hold, or none */
};
#define SLUICE_SHARE_EXACT  (1u << 0) /* no more than records_max, though a batch has more */
#define SLUICE_SHARE_LEAVES (1u << 1) /* what the member still holds after this is given back */
/* A member acknowledges, and asks for records. */
struct sluice_share_fetch {
    uint32_t size;
    uint32_t flags; /* SLUICE_SHARE_* */
    struct sluice_text group;
    struct sluice_text member;
    int32_t bytes_max; /* of the answer, soft */
    int32_t bytes_min; /* wait until so much is there … */
    int32_t wait_ms;   /* … but no longer; an error answers at once */
    int32_t records_max;
    int32_t batch_records; /* how many records a run that is told has at best */
    uint32_t entry_count;
    const struct sluice_share_entry *entries;
    /* Members from here on are there when `size` reaches beyond them. */
    uint64_t tag;    /* what fetch_cancel names it by; 0: nothing does */
    int32_t lock_ms; /* how long what is acquired, or renewed, is the member's; 0: as configured */
    int32_t reserved;
};
/* Records that belong to the member until their lock ends. */
struct sluice_share_acquired {
    int64_t first;
    int64_t last; /* inclusive */
    int32_t deliveries;
    int32_t reserved;
};
/* What one partition gave. */
struct sluice_share_result {
    sluice_status status;     /* of the reading */
    sluice_status ack_status; /* of the acknowledgements */
    int32_t leader_epoch;
    uint32_t acquired_count;
    struct sluice_bytes records; /* whole batches; what was not acquired of them is to be skipped */
    uint64_t records_token;      /* as in sluice_fetch_result */
    const struct sluice_share_acquired *acquired; /* by rising offset */
};
/* Ends `share_fetch`: one result for each entry, in order, when what was acknowledged is durable.
 * lock_ms: how long records are the member's. Views and tokens are valid inside only. */
typedef void sluice_share_fetched_done(void *arg, sluice_status status, int32_t lock_ms,
                                       const struct sluice_share_result *results, uint32_t count);

/* The member reads all partitions of its topics by itself, whoever else does: nothing is assigned
 * to it, it may have no topics, and says when they, or their partitions, are others. */
#define SLUICE_SHARE_READS_ALL (1u << 0)
/* Nobody else may be in the group while the member is. */
#define SLUICE_SHARE_ALONE (1u << 1)
/* What the group begins with has been begun; durable when answered. */
#define SLUICE_SHARE_BEGAN (1u << 2)
/* A member is there, joins, or leaves. */
struct sluice_share_heartbeat {
    uint32_t size;
    int32_t epoch; /* 0: it joins; -1: it leaves */
    struct sluice_text group;
    struct sluice_text member;
    struct sluice_text rack;          /* data NULL: as before */
    const struct sluice_text *topics; /* NULL: as before */
    uint32_t topic_count;
    uint32_t flags; /* SLUICE_SHARE_*; the first two count when it joins */
    /* Members from here on are there when `size` reaches beyond them. */
    int32_t partition; /* READS_ALL: the only one that it reads of each topic; -1: all */
    int32_t reserved;
};
/* Partitions of one topic that a member is to read. */
struct sluice_share_assignment {
    struct sluice_text name;
    struct sluice_uuid topic;
    uint32_t count;
    uint32_t reserved;
    const int32_t *partitions;
};
/* What the member is told. */
struct sluice_share_joined {
    sluice_status status;
    int32_t epoch;
    int32_t heartbeat_ms;
    uint32_t assignment_count;
    const struct sluice_share_assignment *assignments; /* NULL: as told before */
    bool has_begun;                                    /* somebody said so of the group, once */
    uint8_t reserved[7];
};
/* Ends `share_heartbeat`. */
typedef void sluice_share_joined_done(void *arg, const struct sluice_share_joined *joined);

/* A member as an administrator sees it. */
struct sluice_share_member {
    struct sluice_text id;
    struct sluice_text rack; /* data NULL: none */
    struct sluice_text client_id;
    struct sluice_text client_host;
    int32_t epoch;
    uint32_t topic_count;
    uint32_t assignment_count;
    uint32_t reserved;
    const struct sluice_text *topics;
    const struct sluice_share_assignment *assignments;
};
/* A group with its members. */
struct sluice_share_group {
    uint32_t size;
    sluice_status status;
    struct sluice_text group;
    struct sluice_text state; /* "Stable", "Empty" */
    int32_t epoch;
    uint32_t member_count;
    const struct sluice_share_member *members;
};
/* Ends `share_describe`. */
typedef void sluice_share_group_done(void *arg, const struct sluice_share_group *group);

/* Where a group stands in one partition. */
struct sluice_share_offset {
    sluice_status status;
    int32_t partition;
    struct sluice_topic_ref topic; /* name and id as in the catalog */
    int64_t start;                 /* the first record that is not done with; -1: never read */
    int64_t lag;                   /* records that are not done with; -1: never read */
    int32_t leader_epoch;
    int32_t reserved;
};
/* Ends `share_offsets`. */
typedef void sluice_share_offsets_done(void *arg, sluice_status status,
                                       const struct sluice_share_offset *offsets, uint32_t count);

/* ---- the node itself ---- */

#define SLUICE_HEALTH_LIVE  1 /* the loops turn */
#define SLUICE_HEALTH_READY 2 /* recovery is done and storage accepts writes */
/* Whether the node is alive or ready, with its findings. */
struct sluice_health {
    uint32_t size;
    bool ok;
    uint8_t reserved[3];
    struct sluice_text text; /* one line a finding: "degraded: shard 1: …" */
};
/* Ends `health`. */
typedef void sluice_health_done(void *arg, const struct sluice_health *health);
/* Ends a call that answers with text. */
typedef void sluice_text_done(void *arg, sluice_status status, struct sluice_text text);

/* The calls, for frontends of the same process. Borrowed from the host; lives as long as the
 * instance. */
struct sluice_broker {
    uint32_t size;
    uint32_t reserved;
    void *data;
#define SLUICE_CALL(name, ...)                                                             \
    void (*name)(const struct sluice_broker *broker, const struct sluice_context *context, \
                 __VA_ARGS__)

    /* The cluster as seen through the listener of the context. Views live until the next call.
     * [loop] */
    const struct sluice_cluster *(*cluster)(const struct sluice_broker *broker,
                                            const struct sluice_context *context);
    /* Topics by name or id, in the order asked for; topics == NULL: all of them. auto_create makes
     * missing ones where the broker's configuration allows it: the answer then comes after the
     * creation is durable and describes the new topic, or says why it could not be made
     * (E_UNKNOWN_TOPIC where it is not allowed, E_INVALID_TOPIC …). */
    SLUICE_CALL(topics, const struct sluice_topic_ref *topics, uint32_t count, bool auto_create,
                sluice_topics_done *done, void *arg);
    /* One result for each spec, in order, after what was made is durable. validate_only: the same
     * checks and counts, nothing is made, the id is zero. */
    SLUICE_CALL(topics_create, const struct sluice_topic_spec *specs, uint32_t count,
                bool validate_only, sluice_topic_results_done *done, void *arg);
    /* One result for each, in order, after the deletion is durable. validate_only: the same checks,
     * nothing goes. */
    SLUICE_CALL(topics_delete, const struct sluice_topic_ref *topics, uint32_t count,
                bool validate_only, sluice_topic_results_done *done, void *arg);
    /* All keys with value, source, type, whether the caller asked for some or all. */
    SLUICE_CALL(configs_describe, int32_t resource, struct sluice_text name,
                sluice_config_done *done, void *arg);
    /* One result for each entry, in order. acks 0: done comes all the same. */
    SLUICE_CALL(produce, const struct sluice_produce *request, sluice_produce_done *done,
                void *arg);
    /* One result for each entry, in order, when bytes_min are there or wait_ms have passed. */
    SLUICE_CALL(fetch, const struct sluice_fetch *request, sluice_fetch_done *done, void *arg);
    /* One answer for each query, in order. */
    SLUICE_CALL(offsets, int32_t isolation, const struct sluice_offset_query *queries,
                uint32_t count, sluice_offsets_done *done, void *arg);
    /* A producer id with epoch 0 of its own; or, with id >= 0, the next epoch of that one. */
    SLUICE_CALL(producer_id, int64_t id, int16_t epoch, sluice_producer_id_done *done, void *arg);
    /* Answers when the rebalance that it begins or joins has all members, or its time is over. */
    SLUICE_CALL(group_join, const struct sluice_group_join *request, sluice_group_joined_done *done,
                void *arg);
    /* Answers when the leader has given the assignments. */
    SLUICE_CALL(group_sync, const struct sluice_group_sync *request, sluice_group_synced_done *done,
                void *arg);
    SLUICE_CALL(group_heartbeat, const struct sluice_group_identity *request,
                sluice_status_done *done, void *arg);
    SLUICE_CALL(group_leave, const struct sluice_group_leave *request, sluice_statuses_done *done,
                void *arg);
    /* One status for each entry, in order, after the offsets are durable. */
    SLUICE_CALL(offset_commit, const struct sluice_offset_commit *request,
                sluice_statuses_done *done, void *arg);
    SLUICE_CALL(offset_fetch, const struct sluice_offset_fetch *request,
                sluice_offset_fetched_done *done, void *arg);
    /* All metrics in Prometheus text format. */
    SLUICE_CALL(metrics, sluice_text_done *done, void *arg);
    /* what: SLUICE_HEALTH_*. */
    SLUICE_CALL(health, int32_t what, sluice_health_done *done, void *arg);
    /* Members from here on are there when `size` reaches beyond them. */
    /* Records before an offset go for good; done when that is durable. E_POLICY: the topic's
     * cleanup.policy has no delete; E_OFFSET_OUT_OF_RANGE: above the high watermark;
     * E_INVALID_TOPIC: an internal topic. An offset below the log start changes nothing. */
    SLUICE_CALL(records_delete, const struct sluice_records_delete *entries, uint32_t count,
                sluice_records_deleted_done *done, void *arg);
    /* As configs_describe of a topic that topics_create would make of the spec; nothing is made.
     * E_INVALID_CONFIG: it would not. */
    SLUICE_CALL(configs_preview, const struct sluice_topic_spec *spec, sluice_config_done *done,
                void *arg);
    /* One result for each entry, in order, after what was changed is durable and in force.
     * validate_only: the same checks, nothing changes. E_INVALID_CONFIG: a key or value cannot be;
     * E_INVALID_REQUEST: a key is named twice, or cannot be changed while the topic is there. */
    SLUICE_CALL(configs_alter, const struct sluice_config_alter *alters, uint32_t count,
                bool validate_only, sluice_topic_results_done *done, void *arg);
    /* One result for each entry, in order, after the new partitions are durable and can be written
     * to. Records with a key go to other partitions than before. E_INVALID_PARTITIONS: that would
     * not be more; E_INVALID_REPLICA_ASSIGNMENT: replicas are given for more or fewer;
     * E_INVALID_REQUEST: a topic is named twice, or is the broker's own; E_LIMIT. */
    SLUICE_CALL(partitions_create, const struct sluice_topic_growth *growths, uint32_t count,
                bool validate_only, sluice_topic_results_done *done, void *arg);
    /* Makes the caller the producer of a transactional id and fences those before it; what they
     * left open is aborted first. With a producer id: the next epoch for the same producer.
     * Durable. E_PRODUCER_FENCED, E_INVALID_TXN_TIMEOUT, E_CONCURRENT_TRANSACTIONS. */
    SLUICE_CALL(txn_producer, const struct sluice_txn *txn, int32_t timeout_ms,
                sluice_producer_id_done *done, void *arg);
    /* Partitions of the open transaction, which begins with the first; one status for each, in
     * order, when that is durable. All or none are added: E_NOT_ATTEMPTED beside one that is
     * refused. verify_only: none is added, E_TRANSACTION_ABORTABLE for those that are not in it. */
    SLUICE_CALL(txn_partitions_add, const struct sluice_txn *txn,
                const struct sluice_txn_partition *partitions, uint32_t count, bool verify_only,
                sluice_statuses_done *done, void *arg);
    /* A consumer group whose offsets the transaction commits. */
    SLUICE_CALL(txn_group_add, const struct sluice_txn *txn, struct sluice_text group,
                sluice_status_done *done, void *arg);
    /* Offsets that become the group's when the transaction commits; one status for each. */
    SLUICE_CALL(txn_offsets_commit, const struct sluice_txn *txn,
                const struct sluice_offset_commit *request, sluice_statuses_done *done, void *arg);
    /* Commits or aborts. The decision is durable and, unless a partition cannot be written to,
     * visible everywhere when done runs. Answers with the producer's id and epoch from then on. */
    SLUICE_CALL(txn_end, const struct sluice_txn *txn, bool commit, sluice_producer_id_done *done,
                void *arg);
    /* One for each id, in order. */
    SLUICE_CALL(txns_describe, const struct sluice_text *ids, uint32_t count,
                sluice_txns_done *done, void *arg);
    /* Transactional ids, all or those that fit the regular expression as a whole (RE2's syntax;
     * borrowed until this returns). E_INVALID_REGEX. */
    SLUICE_CALL(txns_list, struct sluice_text pattern, sluice_txns_done *done, void *arg);
    /* At most 10,000 producers of each partition, those heard last first. */
    SLUICE_CALL(producers_describe, const struct sluice_txn_partition *partitions, uint32_t count,
                sluice_producers_done *done, void *arg);
    /* All groups that have members or offsets, in no order. */
    SLUICE_CALL(groups, sluice_groups_done *done, void *arg);
    SLUICE_CALL(group_describe, struct sluice_text group, sluice_group_info_done *done, void *arg);
    /* The group and its offsets go; done when that is durable. E_GROUP_NOT_EMPTY,
     * E_GROUP_NOT_FOUND. */
    SLUICE_CALL(group_delete, struct sluice_text group, sluice_status_done *done, void *arg);
    /* Committed offsets go; one status for each entry, in order, when that is durable. Whether a
     * member still reads the topic is the caller's to look at: assignments are opaque here.
     * E_GROUP_NOT_FOUND for all, E_UNKNOWN_TOPIC for one. */
    SLUICE_CALL(offset_delete, const struct sluice_offset_fetch *request,
                sluice_statuses_done *done, void *arg);
    /* Whether partitions are there, for who may do `operation` (SLUICE_OP_* of
     * <sluice/security.h>) with the cluster: one status for each, in order. */
    SLUICE_CALL(partitions_find, int32_t operation, const struct sluice_partition_ref *partitions,
                uint32_t count, sluice_statuses_done *done, void *arg);
    /* One for each query, in order. E_FENCED_LEADER_EPOCH, E_UNKNOWN_LEADER_EPOCH. */
    SLUICE_CALL(epoch_ends, const struct sluice_epoch_query *queries, uint32_t count,
                sluice_epoch_ends_done *done, void *arg);
    /* Partitions that are not there are left out; partitions == NULL: all of them. */
    SLUICE_CALL(log_dirs, const struct sluice_partition_ref *partitions, uint32_t count,
                sluice_log_dirs_done *done, void *arg);
    SLUICE_CALL(quorum, sluice_quorum_done *done, void *arg);
    /* What is in force. Views live until the next call. [loop] */
    const struct sluice_features *(*features)(const struct sluice_broker *broker,
                                              const struct sluice_context *context);
    /* All of them happen, or none; done with a sentence that says why, or when they are durable and
     * in force on all loops. validate_only: the same checks. E_INVALID_FEATURE_LEVEL,
     * E_INVALID_REQUEST. */
    SLUICE_CALL(features_update, const struct sluice_feature_update *updates, uint32_t count,
                bool validate_only, sluice_text_done *done, void *arg);
    /* A member of a group whose partitions the broker assigns joins, stays or leaves; done when
     * what it changed is durable. */
    SLUICE_CALL(consumer_group_heartbeat, const struct sluice_consumer_heartbeat *request,
                sluice_consumer_heartbeat_done *done, void *arg);
    SLUICE_CALL(consumer_group_describe, struct sluice_text group,
                sluice_consumer_group_info_done *done, void *arg);
    /* Names of what can be configured: all topics, the groups and the subscriptions to client
     * metrics of which something is set; of other resources E_INVALID_REQUEST. */
    SLUICE_CALL(config_names, int32_t resource, sluice_names_done *done, void *arg);
    /* A member of a group that shares streams is there; answers with what it is to read when that
     * has changed. E_UNKNOWN_MEMBER, E_FENCED_MEMBER_EPOCH, E_GROUP_MAX_SIZE, E_GROUP_EXCLUSIVE (a
     * member is alone in the group, or would be and is not); E_GROUP_NOT_FOUND: the group is of
     * another kind. */
    SLUICE_CALL(share_heartbeat, const struct sluice_share_heartbeat *request,
                sluice_share_joined_done *done, void *arg);
    SLUICE_CALL(share_describe, struct sluice_text group, sluice_share_group_done *done, void *arg);
    /* Acknowledges, then waits for records that nobody else holds, and acquires them. For one
     * partition: E_INVALID_RECORD_STATE (the member does not hold one of the records any more),
     * E_INVALID_REQUEST, E_UNKNOWN_TOPIC, E_UNKNOWN_TOPIC_ID. */
    SLUICE_CALL(share_fetch, const struct sluice_share_fetch *request,
                sluice_share_fetched_done *done, void *arg);
    /* entries NULL: all that the group has read. E_GROUP_NOT_FOUND. */
    SLUICE_CALL(share_offsets, const struct sluice_offset_fetch *request,
                sluice_share_offsets_done *done, void *arg);
    /* Where the group begins anew; what it did so far is forgotten. One status for each, when that
     * is durable. `offset` of each entry counts. E_GROUP_NOT_EMPTY, E_GROUP_NOT_FOUND. */
    SLUICE_CALL(share_offsets_alter, struct sluice_text group,
                const struct sluice_offset_commit_entry *entries, uint32_t count,
                sluice_statuses_done *done, void *arg);
    /* What the group did with these topics is forgotten. Likewise. */
    SLUICE_CALL(share_offsets_delete, struct sluice_text group,
                const struct sluice_topic_ref *topics, uint32_t count, sluice_statuses_done *done,
                void *arg);
    /* A member of a Streams application's group joins, stays or leaves; done when what it changed
     * is durable. Topics in `missing` are the caller's to make. E_STREAMS_TOPOLOGY. */
    SLUICE_CALL(streams_group_heartbeat, const struct sluice_streams_heartbeat *request,
                sluice_streams_heartbeat_done *done, void *arg);
    SLUICE_CALL(streams_group_describe, struct sluice_text group,
                sluice_streams_group_info_done *done, void *arg);
    /* The fetch, or share fetch, of the context's connection that has the tag and waits ends now
     * with what is there. */
    void (*fetch_cancel)(const struct sluice_broker *broker, const struct sluice_context *context,
                         uint64_t tag);
    /* The version of the set of topics, never 0; another one after each that came, went or grew.
     * Unless it is `known`, `seen` was called for every topic before this returns. For the
     * frontend's own use: nobody is asked whether he may see them, so who shows one to a peer asks
     * sluice_security.authorize first. */
    uint64_t (*topics_seen)(const struct sluice_broker *broker, uint64_t known,
                            sluice_topic_seen_fn *seen, void *arg);
    /* Gives a note to the frontend of a connection of this broker, wherever it is (conn_told), and
     * tells what that said. E_NOT_FOUND: no such connection (any more), or it takes no notes.
     * [borrows note for the call] */
    SLUICE_CALL(conn_tell, uint32_t loop, uint64_t connection, struct sluice_bytes note,
                sluice_status_done *done, void *arg);
#undef SLUICE_CALL
};

#endif
