/* broker_config.c: the table of broker keys, and their rendering. */
#include "catalog/broker_config.h"

#include "catalog/broker_keys.h"

#include <stdio.h>
#include <string.h>

/* How a key's value is found: a field of struct broker_settings, or the default itself. */
enum { FIXED, I32, I64, F64, BOOL, TEXT, MINUTES, HOURS, TIME_TYPE, CLEANUP };

struct row {
    const char *name;
    int32_t type;
    int32_t kind;
    size_t offset;
    const char *default_value; /* NULL: null */
    const char *documentation;
};

#define T(name)     SLUICE_CONFIG_TYPE_##name
#define INERT       " (Stored and shown; without effect in this version.)"
#define FIELD(name) offsetof(struct broker_settings, name)

static const struct row rows[] = {
    {"node.id", T(INT), I32, FIELD(node_id), "-1", "The id of this node."},
    {"broker.id", T(INT), I32, FIELD(node_id), "-1", "The id of this node; the same as node.id."},
    {"process.roles", T(LIST), FIXED, 0, "broker,controller",
     "One process is broker and controller."},
    {"listeners", T(LIST), TEXT, FIELD(listeners), "PLAINTEXT://:9092",
     "Addresses that clients connect to."},
    {"log.dir", T(LIST), TEXT, FIELD(log_dir), "/tmp/kafka-logs", "The data directory."},
    {"log.dirs", T(LIST), TEXT, FIELD(log_dir), NULL, "The data directory; the same as log.dir."},
    {"broker.rack", T(STRING), FIXED, 0, NULL, "No rack is known."},
    {"authorizer.class.name", T(STRING), FIXED, 0, "", "Java classes cannot be loaded here."},
    {"auto.create.topics.enable", T(BOOLEAN), BOOL, FIELD(auto_create_topics), "true",
     "Topics are created when a client first asks for them."},
    {"delete.topic.enable", T(BOOLEAN), BOOL, FIELD(delete_topics), "true",
     "Topics can be deleted."},
    {"num.partitions", T(INT), I32, FIELD(partition_count), "1",
     "Partitions of a topic created without a number."},
    {"default.replication.factor", T(INT), I32, FIELD(replication_factor), "1",
     "Replicas of a topic created without a number; 1 on a single node."},
    {"min.insync.replicas", T(INT), FIXED, 0, "1",
     "Replicas that acknowledge a record; 1 on a single node."},
    {"unclean.leader.election.enable", T(BOOLEAN), FIXED, 0, "false",
     "No replica takes over with records missing."},
    {"compression.type", T(STRING), FIXED, 0, "producer",
     "Batches are kept as the producer compressed them."},
    {"message.max.bytes", T(INT), I32, FIELD(message_bytes_max), "1048588",
     "The largest record batch accepted."},
    {"socket.request.max.bytes", T(INT), I32, FIELD(request_bytes_max), "104857600",
     "The largest request accepted."},
    {"fetch.max.bytes", T(INT), I32, FIELD(fetch_bytes_max), "57671680",
     "The most a fetch answers with."},
    {"max.incremental.fetch.session.cache.slots", T(INT), I32, FIELD(fetch_session_slots), "1000",
     "Fetch sessions kept on each loop."},
    {"connections.max.idle.ms", T(LONG), I64, FIELD(idle_connection_ms), "600000",
     "A silent connection is closed after this time; -1: never."},
    {"quota.window.num", T(INT), I32, FIELD(quota_window_count), "11",
     "Windows over which the use of clients with quotas is measured."},
    {"quota.window.size.seconds", T(INT), I32, FIELD(quota_window_s), "1",
     "Length of such a window."},
    {"max.connections", T(INT), I32, FIELD(connections_max), "2147483647",
     "Connections at the same time."},
    {"log.retention.ms", T(LONG), I64, FIELD(retention_ms), NULL,
     "How long records are kept; -1: for ever."},
    {"log.retention.minutes", T(INT), MINUTES, FIELD(retention_ms), NULL,
     "log.retention.ms in minutes."},
    {"log.retention.hours", T(INT), HOURS, FIELD(retention_ms), "168",
     "log.retention.ms in hours."},
    {"log.retention.bytes", T(LONG), I64, FIELD(retention_bytes), "-1",
     "How much of a partition is kept; -1: all."},
    {"log.retention.check.interval.ms", T(LONG), I64, FIELD(retention_check_interval_ms), "60000",
     "How often records beyond their retention are looked for."},
    {"log.cleanup.policy", T(LIST), CLEANUP, 0, "delete",
     "What becomes of old records: delete, compact, or both."},
    {"log.cleaner.enable", T(BOOLEAN), FIXED, 0, "true",
     "Topics with cleanup.policy=compact are compacted."},
    {"log.cleaner.backoff.ms", T(LONG), I64, FIELD(compaction_check_interval_ms), "15000",
     "How often partitions worth compacting are looked for."},
    {"log.cleaner.dedupe.buffer.size", T(LONG), I64, FIELD(compaction_buffer_bytes), "134217728",
     "Memory for the keys of partitions being compacted, shared by the shards."},
    {"log.cleaner.delete.retention.ms", T(LONG), I64, FIELD(delete_retention_ms), "86400000",
     "How long compaction keeps tombstones."},
    {"log.cleaner.min.compaction.lag.ms", T(LONG), I64, FIELD(min_compaction_lag_ms), "0",
     "Records younger than this are not compacted."},
    {"log.cleaner.max.compaction.lag.ms", T(LONG), I64, FIELD(max_compaction_lag_ms),
     "9223372036854775807", "Records older than this are compacted whatever the ratio."},
    {"log.cleaner.min.cleanable.ratio", T(DOUBLE), F64, FIELD(min_dirty_ratio), "0.5",
     "The share of bytes not compacted yet from which compaction begins."},
    {"log.segment.bytes", T(INT), I32, FIELD(segment_bytes), "1073741824",
     "A batch must fit into a segment."},
    {"log.message.timestamp.type", T(STRING), TIME_TYPE, 0, "CreateTime",
     "Whether records carry the producer's time or the broker's."},
    {"log.message.timestamp.before.max.ms", T(LONG), I64, FIELD(timestamp_before_max_ms),
     "9223372036854775807", "How far a producer's time may lie behind the broker's."},
    {"log.message.timestamp.after.max.ms", T(LONG), I64, FIELD(timestamp_after_max_ms), "3600000",
     "How far a producer's time may lie ahead of the broker's."},
    {"group.min.session.timeout.ms", T(INT), I32, FIELD(group_session_min_ms), "6000",
     "The shortest session timeout."},
    {"group.max.session.timeout.ms", T(INT), I32, FIELD(group_session_max_ms), "1800000",
     "The longest session timeout."},
    {"group.initial.rebalance.delay.ms", T(INT), I32, FIELD(group_initial_delay_ms), "3000",
     "How long a new group waits for more members."},
    {"group.max.size", T(INT), I32, FIELD(group_members_max), "10000",
     "Members of a group; a further one is refused."},
    {"group.coordinator.rebalance.protocols", T(LIST), FIXED, 0, "classic,consumer,streams",
     "The group protocols spoken here."},
    {"group.consumer.max.size", T(INT), I32, FIELD(group_members_max), "10000",
     "Members of a group of the consumer protocol; the same as group.max.size."},
    {"group.consumer.migration.policy", T(STRING), FIXED, 0, "bidirectional",
     "Groups change between the classic and the consumer protocol while they work."},
    {"group.consumer.session.timeout.ms", T(INT), I32, FIELD(consumer_session_ms), "45000",
     "A member of the consumer protocol that is silent for so long is out."},
    {"group.consumer.heartbeat.interval.ms", T(INT), I32, FIELD(consumer_heartbeat_ms), "5000",
     "How often a member of the consumer protocol sends a heartbeat."},
    {"group.consumer.assignment.interval.ms", T(INT), I32, FIELD(consumer_assignment_ms), "1000",
     "The least time between two assignments of a group of the consumer protocol."},
    {"errors.deadletterqueue.auto.create.topics.enable", T(BOOLEAN), BOOL,
     FIELD(letters_topics_auto_create), "false",
     "Dead-letter topics of share groups are created when they are first written to."},
    {"errors.deadletterqueue.topic.name.prefix", T(STRING), TEXT, FIELD(letters_prefix), "dlq.",
     "What the names of dead-letter topics of share groups begin with."},
    {"group.streams.assignment.interval.ms", T(INT), I32, FIELD(streams_interval_ms), "1000",
     "The least time between two assignments of a streams group."},
    {"group.streams.heartbeat.interval.ms", T(INT), I32, FIELD(streams_heartbeat_ms), "5000",
     "How often a member of a streams group sends a heartbeat."},
    {"group.streams.initial.rebalance.delay.ms", T(INT), I32, FIELD(streams_initial_delay_ms),
     "3000", "How long a new streams group waits for more members."},
    {"group.streams.max.size", T(INT), I32, FIELD(group_members_max), "10000",
     "Members of a streams group; the same as group.max.size."},
    {"group.streams.num.standby.replicas", T(INT), I32, FIELD(streams_standby_count), "0",
     "Standby tasks of each task of a streams group that has state."},
    {"group.streams.session.timeout.ms", T(INT), I32, FIELD(streams_session_ms), "45000",
     "A member of a streams group that is silent for so long is out."},
    {"group.consumer.min.session.timeout.ms", T(INT), I32, FIELD(consumer_bounds.session_min_ms),
     "45000", "The shortest session timeout that a consumer group may configure for itself."},
    {"group.consumer.max.session.timeout.ms", T(INT), I32, FIELD(consumer_bounds.session_max_ms),
     "60000", "The longest session timeout that a consumer group may configure for itself."},
    {"group.consumer.min.heartbeat.interval.ms", T(INT), I32,
     FIELD(consumer_bounds.heartbeat_min_ms), "5000",
     "The shortest heartbeat interval that a consumer group may configure for itself."},
    {"group.consumer.max.heartbeat.interval.ms", T(INT), I32,
     FIELD(consumer_bounds.heartbeat_max_ms), "15000",
     "The longest heartbeat interval that a consumer group may configure for itself."},
    {"group.share.min.session.timeout.ms", T(INT), I32, FIELD(share_bounds.session_min_ms), "45000",
     "The shortest session timeout that a share group may configure for itself."},
    {"group.share.max.session.timeout.ms", T(INT), I32, FIELD(share_bounds.session_max_ms), "60000",
     "The longest session timeout that a share group may configure for itself."},
    {"group.share.min.heartbeat.interval.ms", T(INT), I32, FIELD(share_bounds.heartbeat_min_ms),
     "5000", "The shortest heartbeat interval that a share group may configure for itself."},
    {"group.share.max.heartbeat.interval.ms", T(INT), I32, FIELD(share_bounds.heartbeat_max_ms),
     "15000", "The longest heartbeat interval that a share group may configure for itself."},
    {"group.streams.min.session.timeout.ms", T(INT), I32, FIELD(streams_bounds.session_min_ms),
     "45000", "The shortest session timeout that a streams group may configure for itself."},
    {"group.streams.max.session.timeout.ms", T(INT), I32, FIELD(streams_bounds.session_max_ms),
     "60000", "The longest session timeout that a streams group may configure for itself."},
    {"group.streams.min.heartbeat.interval.ms", T(INT), I32, FIELD(streams_bounds.heartbeat_min_ms),
     "5000", "The shortest heartbeat interval that a streams group may configure for itself."},
    {"group.streams.max.heartbeat.interval.ms", T(INT), I32, FIELD(streams_bounds.heartbeat_max_ms),
     "15000", "The longest heartbeat interval that a streams group may configure for itself."},
    {"offset.metadata.max.bytes", T(INT), I32, FIELD(offset_metadata_bytes_max), "4096",
     "The largest metadata of a committed offset."},
    {"offsets.retention.minutes", T(INT), MINUTES, FIELD(offset_retention_ms), "10080",
     "Offsets of a group without members are forgotten after this time."},
    {"producer.id.expiration.ms", T(INT), I64, FIELD(producer_expiration_ms), "86400000",
     "A silent idempotent producer is forgotten after this time."},
};

_Static_assert(SL_COUNT_OF(rows) + BROKER_KEYS_MAX <= CONFIG_ENTRIES_MAX,
               "the answer to DescribeConfigs is too small");

void broker_settings_init(struct broker_settings *settings)
{
    *settings = (struct broker_settings){
        .node_id = 1,
        .partition_count = 1,
        .replication_factor = 1,
        .auto_create_topics = true,
        .delete_topics = true,
        .message_bytes_max = 1048588,
        .request_bytes_max = 104857600,
        .fetch_bytes_max = 57671680,
        .fetch_session_slots = 1000,
        .idle_connection_ms = 600000,
        .connections_max = INT32_MAX,
        .retention_ms = 604800000,
        .retention_bytes = -1,
        .retention_check_interval_ms = 60000,
        .delete_retention_ms = 86400000,
        .min_compaction_lag_ms = 0,
        .max_compaction_lag_ms = INT64_MAX,
        .min_dirty_ratio = 0.5,
        .compaction_check_interval_ms = 15000,
        .scrub_bytes_per_s = 16 << 20,
        .scrub_interval_ms = INT64_C(7) * 24 * 3600 * 1000,
        .compaction_buffer_bytes = 134217728,
        .timestamp_before_max_ms = INT64_MAX,
        .timestamp_after_max_ms = 3600000,
        .cleanup_delete = true,
        .segment_bytes = 1073741824,
        .consumer_session_ms = 45000,
        .consumer_heartbeat_ms = 5000,
        .consumer_assignment_ms = 1000,
        .streams_session_ms = 45000,
        .streams_heartbeat_ms = 5000,
        .streams_initial_delay_ms = 3000,
        .streams_interval_ms = 1000,
        .group_session_min_ms = 6000,
        .group_session_max_ms = 1800000,
        .group_session_default_ms = 30000,
        .group_initial_delay_ms = 3000,
        .group_members_max = 10000,
        .consumer_bounds = {45000, 60000, 5000, 15000},
        .share_bounds = {45000, 60000, 5000, 15000},
        .streams_bounds = {45000, 60000, 5000, 15000},
        .letters_prefix = "dlq.",
        .offset_metadata_bytes_max = 4096,
        .offset_retention_ms = INT64_C(7) * 24 * 3600 * 1000,
        .producer_expiration_ms = 86400000,
        .quota_window_count = 11,
        .quota_window_s = 1,
    };
}

uint32_t broker_config_count(void)
{
    return (uint32_t)SL_COUNT_OF(rows);
}

static const char *cleanup_text(const struct broker_settings *settings)
{
    if (settings->cleanup_compact)
        return settings->cleanup_delete ? "compact,delete" : "compact";
    return settings->cleanup_delete ? "delete" : "";
}

/* In a coarser unit, as an int. */
static int64_t units_of(int64_t time_ms, int64_t unit_ms)
{
    return time_ms < 0 ? -1 : SL_MIN(time_ms / unit_ms, (int64_t)INT32_MAX);
}

static const char *number_render(int64_t number, char buffer[BROKER_CONFIG_VALUE_BYTES])
{
    snprintf(buffer, BROKER_CONFIG_VALUE_BYTES, "%lld", (long long)number);
    return buffer;
}

static const char *row_render(const struct broker_settings *settings, const struct row *row,
                              char buffer[BROKER_CONFIG_VALUE_BYTES])
{
    const char *field = (const char *)settings + row->offset;
    switch (row->kind) {
    case I32:
        return number_render(broker_setting_i32((const void *)field), buffer);
    case I64:
        return number_render(broker_setting_i64((const void *)field), buffer);
    case F64:
        snprintf(buffer, BROKER_CONFIG_VALUE_BYTES, "%g", *(const double *)(const void *)field);
        return buffer;
    case MINUTES:
        return number_render(units_of(broker_setting_i64((const void *)field), 60000), buffer);
    case HOURS:
        return number_render(units_of(*(const int64_t *)(const void *)field, 3600000), buffer);
    case BOOL:
        return *(const bool *)field ? "true" : "false";
    case TEXT:
        snprintf(buffer, BROKER_CONFIG_VALUE_BYTES, "%s", field);
        return buffer;
    case TIME_TYPE:
        return settings->timestamp_log_append ? "LogAppendTime" : "CreateTime";
    case CLEANUP:
        return cleanup_text(settings);
    default:
        return row->default_value;
    }
}

static bool same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* log.retention.ms and .minutes are null in Kafka until set, its hours hold; here they always show
 * what is in force. */
static bool row_is_default(const struct row *row, const char *value)
{
    if (row->kind == I64 && row->default_value == NULL)
        return same(value, "604800000");
    if (row->kind == MINUTES)
        return same(value, "10080");
    return same(value, row->default_value);
}

struct broker_config_view broker_config_at(const struct broker_settings *settings, uint32_t index,
                                           char buffer[BROKER_CONFIG_VALUE_BYTES])
{
    SL_ASSERT(index < SL_COUNT_OF(rows));
    const struct row *row = &rows[index];
    const char *value = row_render(settings, row, buffer);
    return (struct broker_config_view){
        .name = row->name,
        .documentation = row->documentation,
        .default_value = row->default_value,
        .value = value,
        .type = row->type,
        .is_default = row_is_default(row, value),
    };
}

bool broker_config_find(const struct broker_settings *settings, const char *name,
                        char buffer[BROKER_CONFIG_VALUE_BYTES], struct broker_config_view *ret_view)
{
    for (uint32_t i = 0; i < SL_COUNT_OF(rows); i++) {
        if (strcmp(rows[i].name, name) == 0) {
            *ret_view = broker_config_at(settings, i, buffer);
            return true;
        }
    }
    return false;
}

static bool is_read(const char *name)
{
    for (uint32_t i = 0; i < SL_COUNT_OF(rows); i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* The keys that nobody reads here. */
static void describe_rest(struct config_entries *ret_entries)
{
    for (uint32_t i = 0; i < broker_key_count; i++) {
        const struct broker_key *key = &broker_keys[i];
        if (is_read(key->name)) {
            continue;
        }
        struct sluice_config_entry *entry = config_entries_add(ret_entries);
        entry->name = sluice_text_of(key->name);
        if (key->default_value != NULL) {
            entry->value = sluice_text_of(key->default_value);
        }
        entry->documentation = sluice_text_of(BROKER_KEY_DOCUMENTATION);
        entry->source = SLUICE_CONFIG_SOURCE_DEFAULT;
        entry->type = key->type;
        entry->read_only = true;
        entry->sensitive = key->type == SLUICE_CONFIG_TYPE_PASSWORD;
    }
}

void broker_config_describe(const struct broker_settings *settings,
                            struct config_entries *ret_entries)
{
    ret_entries->count = 0;
    ret_entries->text_size = 0;
    for (uint32_t i = 0; i < SL_COUNT_OF(rows); i++) {
        char buffer[BROKER_CONFIG_VALUE_BYTES];
        struct broker_config_view view = broker_config_at(settings, i, buffer);
        struct sluice_config_entry *entry = config_entries_add(ret_entries);
        entry->name = sluice_text_of(view.name);
        entry->value = config_entries_text(ret_entries, view.value);
        entry->documentation = sluice_text_of(view.documentation);
        entry->source =
            view.is_default ? SLUICE_CONFIG_SOURCE_DEFAULT : SLUICE_CONFIG_SOURCE_BROKER;
        entry->type = view.type;
        entry->read_only = true;
    }
    describe_rest(ret_entries);
}
