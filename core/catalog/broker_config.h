/* broker_config.h: the broker's settings that Kafka clients know by name, and their table.
 *
 * One table row per key: name → type, default, place in struct broker_settings, documentation. Only
 * keys with a truthful value here are listed; nothing is invented for what Sluice does not have.
 * The table answers DescribeConfigs on the broker resource and gives topics the defaults behind
 * their broker synonyms. */
#ifndef SL_CATALOG_BROKER_CONFIG_H
#define SL_CATALOG_BROKER_CONFIG_H

#include "catalog/config_value.h"

/* What gives partitions to members where the broker does (KIP-848) and they do not say how. */
#define GROUP_ASSIGNOR_UNIFORM 0
#define GROUP_ASSIGNOR_RANGE   1

/* In force; filled by the wiring from sluice.yaml over the defaults of broker_settings_init. Those
 * of groups (and where it is said) may change while loops read them: see broker_setting_i32. */
/* group.consumer.min.session.timeout.ms and the like; a reload may change them. */
struct group_bounds {
    int32_t session_min_ms;   /* 45000 */
    int32_t session_max_ms;   /* 60000 */
    int32_t heartbeat_min_ms; /* 5000 */
    int32_t heartbeat_max_ms; /* 15000 */
};

struct broker_settings {
    int32_t node_id;
    bool in_memory;                       /* no disk: every topic is in memory */
    int32_t partition_count;              /* of a topic created without a number; num.partitions */
    int32_t replication_factor;           /* 1 */
    bool auto_create_topics;              /* true */
    bool delete_topics;                   /* true */
    int32_t message_bytes_max;            /* 1048588 */
    int32_t request_bytes_max;            /* 104857600; socket.request.max.bytes */
    int32_t fetch_bytes_max;              /* 57671680 */
    int32_t fetch_session_slots;          /* 1000 */
    int64_t idle_connection_ms;           /* 600000; connections.max.idle.ms; -1: never closed */
    int32_t connections_max;              /* 2147483647 */
    int64_t retention_ms;                 /* 604800000; -1: for ever */
    int64_t retention_bytes;              /* -1: no bound */
    int64_t retention_check_interval_ms;  /* 60000; log.retention.check.interval.ms */
    int64_t delete_retention_ms;          /* 86400000; of tombstones */
    int64_t min_compaction_lag_ms;        /* 0 */
    int64_t max_compaction_lag_ms;        /* INT64_MAX */
    double min_dirty_ratio;               /* 0.5; log.cleaner.min.cleanable.ratio */
    int64_t compaction_check_interval_ms; /* 15000; log.cleaner.backoff.ms */
    int64_t compaction_buffer_bytes;      /* 134217728, shared by the shards */
    int64_t scrub_bytes_per_s;            /* 16 MiB, shared by the shards; 0: off; may change */
    int64_t scrub_interval_ms;            /* 7 days; 0: only when asked; may change */
    int64_t timestamp_before_max_ms;
    int64_t timestamp_after_max_ms; /* 3600000 */
    bool timestamp_log_append;
    bool cleanup_compact; /* log.cleanup.policy */
    bool cleanup_delete;
    int32_t segment_bytes;               /* 1073741824; a larger batch is refused */
    int32_t group_session_min_ms;        /* 6000 */
    int32_t group_session_max_ms;        /* 1800000 */
    int32_t group_session_default_ms;    /* 30000; of a member that asks for none */
    int32_t group_initial_delay_ms;      /* 3000; dev mode: 0 */
    int32_t group_members_max;           /* 10000; group.max.size */
    int32_t group_assignor;              /* GROUP_ASSIGNOR_*; 0: uniform */
    int32_t consumer_session_ms;         /* 45000; group.consumer.session.timeout.ms */
    int32_t consumer_heartbeat_ms;       /* 5000; group.consumer.heartbeat.interval.ms */
    int32_t consumer_assignment_ms;      /* 1000; group.consumer.assignment.interval.ms */
    int32_t streams_session_ms;          /* 45000; group.streams.session.timeout.ms */
    int32_t streams_heartbeat_ms;        /* 5000; group.streams.heartbeat.interval.ms */
    int32_t streams_initial_delay_ms;    /* 3000; group.streams.initial.rebalance.delay.ms */
    int32_t streams_interval_ms;         /* 1000; group.streams.assignment.interval.ms */
    int32_t streams_standby_count;       /* 0; group.streams.num.standby.replicas */
    struct group_bounds consumer_bounds; /* of what a single group configures; so the next two */
    struct group_bounds share_bounds;
    struct group_bounds streams_bounds;
    bool letters_topics_auto_create;   /* errors.deadletterqueue.auto.create.topics.enable */
    char letters_prefix[64];           /* "dlq."; errors.deadletterqueue.topic.name.prefix */
    int32_t offset_metadata_bytes_max; /* 4096 */
    int64_t offset_retention_ms;       /* 7 days; offsets.retention.minutes */
    int64_t producer_expiration_ms;    /* 86400000; producer.id.expiration.ms */
    int32_t quota_window_count;        /* 11; quota.window.num; may change, so the next */
    int32_t quota_window_s;            /* 1; quota.window.size.seconds */
    char listeners[256];               /* "PLAINTEXT://127.0.0.1:9092", may be empty */
    char log_dir[256];
};

void broker_settings_init(struct broker_settings *settings); /* Kafka's defaults [any] */

/* A setting that a reload may change. [any] */
static inline int32_t broker_setting_i32(const int32_t *setting)
{
    return __atomic_load_n(setting, __ATOMIC_RELAXED);
}
static inline int64_t broker_setting_i64(const int64_t *setting)
{
    return __atomic_load_n(setting, __ATOMIC_RELAXED);
}

/* One key in force. Texts are static or in the caller's buffer. */
struct broker_config_view {
    const char *name;
    const char *documentation;
    const char *default_value;
    const char *value;
    int32_t type; /* SLUICE_CONFIG_TYPE_* */
    bool is_default;
};
#define BROKER_CONFIG_VALUE_BYTES 256u
uint32_t broker_config_count(void); /* [any] */
/* Key number `index`; its value is rendered into `buffer`. [any] */
struct broker_config_view broker_config_at(const struct broker_settings *settings, uint32_t index,
                                           char buffer[BROKER_CONFIG_VALUE_BYTES]);
/* False when there is no such key. [any] */
bool broker_config_find(const struct broker_settings *settings, const char *name,
                        char buffer[BROKER_CONFIG_VALUE_BYTES],
                        struct broker_config_view *ret_view);
/* All keys, for DescribeConfigs. [any] */
void broker_config_describe(const struct broker_settings *settings,
                            struct config_entries *ret_entries);

#endif
