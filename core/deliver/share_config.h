/* share_config.h: the configuration of a group (Kafka's GroupConfig: of one that shares streams,
 * with the dead letters of KIP-1191, or of one of KIP-848), by name, with what it comes to. Pure
 * data. [any] */
#ifndef SL_DELIVER_SHARE_CONFIG_H
#define SL_DELIVER_SHARE_CONFIG_H

#include "base/base.h"

#define SHARE_CONFIG_VALUE_BYTES_MAX 256u

/* clang-format off */
/* field, name, type, default, least and greatest value, what it is */
#define SHARE_CONFIG_TABLE(X)                                                                      \
    X(letters_copy, "errors.deadletterqueue.copy.record.enable", BOOLEAN, 0, 0, 1,                 \
      "whether a dead letter holds the record, or only says where it is")                          \
    X(letters_topic, "errors.deadletterqueue.topic.name", TOPIC, 0, 0, 0,                          \
      "where records go that were rejected or delivered too often; blank: nowhere")                \
    X(consumer_assignment_ms, "consumer.assignment.interval.ms", INT, -1, 0, 15000,               \
      "of a consumer group (KIP-848): the least time between two assignments; -1: as all")          \
    X(consumer_heartbeat_ms, "consumer.heartbeat.interval.ms", INT, -1, 1, 3600000,               \
      "likewise: how often its members are asked to be heard of")                                  \
    X(consumer_session_ms, "consumer.session.timeout.ms", INT, -1, 1, 3600000,                    \
      "likewise: after how long without a heartbeat a member is removed")                          \
    X(assignment_interval_ms, "share.assignment.interval.ms", INT, 1000, 0, 15000,                 \
      "how often partitions are assigned anew at most (here: whenever a member's request shows "   \
      "a change, so that it has no effect)")                                                       \
    X(reset, "share.auto.offset.reset", RESET, -1, 0, 0,                                           \
      "where a group begins: earliest, latest, or by_duration:<ISO 8601 duration>")                \
    X(deliveries_max, "share.delivery.count.limit", INT, 5, 2, 1000,                                 \
      "how often a record is delivered before it is archived")                           \
    X(heartbeat_ms, "share.heartbeat.interval.ms", INT, 5000, 1, 3600000,                         \
      "how often a member is asked to be heard of")                                                \
    X(committed, "share.isolation.level", ISOLATION, 0, 0, 1,                                      \
      "read_committed: records of open and aborted transactions are not delivered")                \
    X(in_flight_max, "share.partition.max.record.locks", INT, 2000, 100, 10000,                     \
      "how many records of a partition are under way at most")                                     \
    X(lock_ms, "share.record.lock.duration.ms", INT, 30000, 1000, 3600000,                           \
      "how long a delivered record belongs to its member")                                         \
    X(renews, "share.renew.acknowledge.enable", BOOLEAN, 1, 0, 1,                                  \
      "whether a member may keep records for longer")                                              \
    X(session_ms, "share.session.timeout.ms", INT, 45000, 1, 3600000,                            \
      "after how long without a heartbeat a member is removed")                                    \
    X(streams_assignment_ms, "streams.assignment.interval.ms", INT, -1, 0, 15000,                  \
      "of a streams group (KIP-1071): the least time between two assignments; -1: as all")         \
    X(streams_heartbeat_ms, "streams.heartbeat.interval.ms", INT, -1, 1, 3600000,                  \
      "likewise: how often its members are asked to be heard of")                                  \
    X(streams_initial_delay_ms, "streams.initial.rebalance.delay.ms", INT, -1, 0, INT32_MAX,       \
      "likewise: how long the first tasks wait for more members")                                  \
    X(streams_standby_count, "streams.num.standby.replicas", INT, -1, 0, 2,                        \
      "likewise: standby tasks of each task with state")                                           \
    X(streams_session_ms, "streams.session.timeout.ms", INT, -1, 1, 3600000,                       \
      "likewise: after how long without a heartbeat a member is removed")
/* clang-format on */

enum share_config_key {
#define SHARE_CONFIG_ENUM(field, name, type, preset, least, most, text) SHARE_CONFIG_##field,
    SHARE_CONFIG_TABLE(SHARE_CONFIG_ENUM)
#undef SHARE_CONFIG_ENUM
        SHARE_CONFIG_COUNT
};

#define SHARE_RESET_LATEST    (-1)
#define SHARE_RESET_EARLIEST  (-2)
#define SHARE_TOPIC_BYTES_MAX 249u
struct share_settings {
    int64_t values[SHARE_CONFIG_COUNT]; /* reset: SHARE_RESET_*, or that many ms ago; letters_topic:
                                           the size of its name, 0: there is none */
    bool set[SHARE_CONFIG_COUNT];       /* else the default */
    char letters_topic[SHARE_TOPIC_BYTES_MAX];
};

enum share_config_type {
    SHARE_CONFIG_INT,
    SHARE_CONFIG_BOOLEAN,
    SHARE_CONFIG_ISOLATION,
    SHARE_CONFIG_RESET,
    SHARE_CONFIG_TOPIC
};
struct share_config_row {
    const char *name;
    enum share_config_type type;
    int64_t preset, least, most;
    const char *text;
};
extern const struct share_config_row share_config_rows[SHARE_CONFIG_COUNT];

void share_settings_init(struct share_settings *settings);
static inline int64_t share_setting(const struct share_settings *settings,
                                    enum share_config_key key)
{
    return settings->values[key];
}
/* Size 0: the group has no dead letters. */
static inline struct sl_bytes share_letters_topic(const struct share_settings *settings)
{
    return (struct sl_bytes){(const uint8_t *)settings->letters_topic,
                             (size_t)settings->values[SHARE_CONFIG_letters_topic]};
}
/* SHARE_CONFIG_COUNT: no such key. */
enum share_config_key share_config_find(struct sl_bytes name);
/* Value data NULL: back to the default. E_INVALID_CONFIG. */
sl_err share_settings_set(struct share_settings *settings, enum share_config_key key,
                          struct sl_bytes value) SL_MUST_CHECK;
/* The value in force as text; its size. */
size_t share_settings_text(const struct share_settings *settings, enum share_config_key key,
                           char ret_text[SHARE_CONFIG_VALUE_BYTES_MAX]);

#endif
