/* topic_config.c: the table of topic keys (Kafka 4.3's LogConfig, and ours), and what follows from
 * it. */
#include "catalog/topic_config.h"

#include "base/bytes.h"
#include "base/text.h"

#include <stdio.h>

#define SEGMENT_MS      604800000 /* a week */
#define DEDUP_WINDOW_MS 120000
#define INERT           " (Stored and shown; without effect in this version.)"
#define T(name)         SLUICE_CONFIG_TYPE_##name
#define ANY             INT64_MIN, INT64_MAX

static const struct topic_config_key keys[] = {
    {"cleanup.policy",
     {T(LIST), ANY, "compact,delete"},
     "delete",
     "log.cleanup.policy",
     "What becomes of old records: delete, compact, or both. A compacted topic keeps the newest "
     "record of each key, and refuses records without one. Records are compacted after they have "
     "moved from the write-ahead log into extents (wal.seal_bytes, wal.age_max).",
     false},
    {"compression.gzip.level",
     {T(INT), -1, 9, NULL},
     "-1",
     "compression.gzip.level",
     "Level of gzip where compression.type is gzip: 1 to 9, or -1 for a fast one.",
     false},
    {"compression.lz4.level",
     {T(INT), 1, 17, NULL},
     "9",
     "compression.lz4.level",
     "Level of lz4 where compression.type is lz4; 9, the default, is the fast compressor.",
     false},
    {"compression.type",
     {T(STRING), ANY, "producer,uncompressed,gzip,snappy,lz4,zstd"},
     "producer",
     "compression.type",
     "producer: batches are kept as they were compressed by the producer. Else they are compressed "
     "anew where they are not as set here, before they are written; records that a stage or a gate "
     "makes are not.",
     false},
    {"compression.zstd.level",
     {T(INT), -131072, 22, NULL},
     "3",
     "compression.zstd.level",
     "Level of zstd where compression.type is zstd.",
     false},
    {"delete.retention.ms",
     {T(LONG), 0, INT64_MAX, NULL},
     "86400000",
     "log.cleaner.delete.retention.ms",
     "How long tombstones are kept after the first compaction that meets them; then the next one "
     "removes them.",
     false},
    {"errors.deadletterqueue.group.enable",
     {T(BOOLEAN), ANY, NULL},
     "false",
     NULL,
     "Whether share groups may write their dead letters to the topic (KIP-1191).",
     false},
    {"file.delete.delay.ms",
     {T(LONG), 0, INT64_MAX, NULL},
     "60000",
     "log.segment.delete.delay.ms",
     "Files are not kept after deletion." INERT,
     true},
    {"flush.messages",
     {T(LONG), 1, INT64_MAX, NULL},
     "9223372036854775807",
     "log.flush.interval.messages",
     "Every acknowledged record is synced to disk, whatever is set here." INERT,
     true},
    {"flush.ms",
     {T(LONG), 0, INT64_MAX, NULL},
     "9223372036854775807",
     "log.flush.interval.ms",
     "Every acknowledged record is synced to disk, whatever is set here." INERT,
     true},
    {"follower.replication.throttled.replicas",
     {T(LIST), ANY, NULL},
     "",
     NULL,
     "There are no followers on a single node." INERT,
     true},
    {"index.interval.bytes",
     {T(INT), 0, INT32_MAX, NULL},
     "4096",
     "log.index.interval.bytes",
     "The index is not made of files of this density." INERT,
     true},
    {"leader.replication.throttled.replicas",
     {T(LIST), ANY, NULL},
     "",
     NULL,
     "There are no followers on a single node." INERT,
     true},
    {"local.retention.bytes",
     {T(LONG), -2, INT64_MAX, NULL},
     "-2",
     "log.local.retention.bytes",
     "There is no tiered storage." INERT,
     true},
    {"local.retention.ms",
     {T(LONG), -2, INT64_MAX, NULL},
     "-2",
     "log.local.retention.ms",
     "There is no tiered storage." INERT,
     true},
    {"max.compaction.lag.ms",
     {T(LONG), 1, INT64_MAX, NULL},
     "9223372036854775807",
     "log.cleaner.max.compaction.lag.ms",
     "Records older than this are compacted whatever min.cleanable.dirty.ratio says, once they "
     "have moved into extents (wal.age_max).",
     false},
    {"max.message.bytes",
     {T(INT), 0, INT32_MAX, NULL},
     "1048588",
     "message.max.bytes",
     "The largest record batch accepted: as the producer sent it, and as compression.type makes "
     "it.",
     false},
    {"message.timestamp.after.max.ms",
     {T(LONG), 0, INT64_MAX, NULL},
     "3600000",
     "log.message.timestamp.after.max.ms",
     "How far a producer's time may lie ahead of the broker's.",
     false},
    {"message.timestamp.before.max.ms",
     {T(LONG), 0, INT64_MAX, NULL},
     "9223372036854775807",
     "log.message.timestamp.before.max.ms",
     "How far a producer's time may lie behind the broker's.",
     false},
    {"message.timestamp.type",
     {T(STRING), ANY, "CreateTime,LogAppendTime"},
     "CreateTime",
     "log.message.timestamp.type",
     "Whether records carry the producer's time or the broker's.",
     false},
    {"min.cleanable.dirty.ratio",
     {T(DOUBLE), 0, 1, NULL},
     "0.5",
     "log.cleaner.min.cleanable.ratio",
     "Compaction begins when bytes not compacted yet are more than this share of the bytes that "
     "may be compacted.",
     false},
    {"min.compaction.lag.ms",
     {T(LONG), 0, INT64_MAX, NULL},
     "0",
     "log.cleaner.min.compaction.lag.ms",
     "Records younger than this, and all behind them, are not compacted.",
     false},
    {"min.insync.replicas",
     {T(INT), 1, INT32_MAX, NULL},
     "1",
     "min.insync.replicas",
     "There is one replica on a single node: above 1, produce with acks=all is refused "
     "(NOT_ENOUGH_REPLICAS), as Kafka does it.",
     false},
    {"preallocate",
     {T(BOOLEAN), ANY, NULL},
     "false",
     "log.preallocate",
     "The log is always preallocated." INERT,
     true},
    {"remote.log.copy.disable",
     {T(BOOLEAN), ANY, NULL},
     "false",
     NULL,
     "There is no tiered storage." INERT,
     true},
    {"remote.log.delete.on.disable",
     {T(BOOLEAN), ANY, NULL},
     "false",
     NULL,
     "There is no tiered storage." INERT,
     true},
    {"remote.storage.enable",
     {T(BOOLEAN), ANY, NULL},
     "false",
     NULL,
     "There is no tiered storage: true is refused.",
     false},
    {"retention.bytes",
     {T(LONG), ANY, NULL},
     "-1",
     "log.retention.bytes",
     "At least so much of a partition is kept, and what is older goes; -1: all.",
     false},
    {"retention.ms",
     {T(LONG), -1, INT64_MAX, NULL},
     "604800000",
     "log.retention.ms",
     "How long records are kept: they go when they, and all before them, are older; -1: for ever.",
     false},
    {"segment.bytes",
     {T(INT), 1048576, INT32_MAX, NULL},
     "1073741824",
     "log.segment.bytes",
     "When a partition has so much in the write-ahead log it is rolled: moved into extents, where "
     "compaction finds it; at most once a second. Retention does not wait for it. A larger record "
     "batch is refused.",
     false},
    {"segment.index.bytes",
     {T(INT), 4, INT32_MAX, NULL},
     "10485760",
     "log.index.size.max.bytes",
     "The index is not made of files of this size." INERT,
     true},
    {"segment.jitter.ms",
     {T(LONG), 0, INT64_MAX, NULL},
     "0",
     "log.roll.jitter.ms",
     "Segments are shared by the topics of a shard." INERT,
     true},
    {"segment.ms",
     {T(LONG), 1, INT64_MAX, NULL},
     "604800000",
     "log.roll.ms",
     "Records of the topic are rolled, moved from the write-ahead log into extents where "
     "compaction "
     "finds them, at this age at the latest (sooner by wal.age_max); at most once a second. "
     "Retention does not wait for it.",
     false},
    {"sluice.dedup.window.ms",
     {T(LONG), 1, 604800000, NULL},
     "120000",
     NULL,
     "How long the id of a message that was published with one (the native protocol) is "
     "remembered: "
     "a second one with it is not appended, also over restarts.",
     false},
    {"sluice.durability",
     {T(STRING), ANY, "fsync,os,memory"},
     "fsync",
     NULL,
     "When a record is acknowledged and readable: fsync, when it is synced to disk; os, when it is "
     "written (a killed broker loses nothing, a power cut the last second); memory, when it is in "
     "memory: after a restart the topic is there and empty, and its offsets go on. Fixed when the "
     "topic is created. Stages, which are exactly-once, read and write fsync topics only. With "
     "data.dir: none every topic is memory.",
     false},
    {"sluice.validate",
     {T(STRING), ANY, "header,records"},
     "header",
     NULL,
     "header: records inside compressed batches are not looked at; records: every batch is opened "
     "and walked.",
     false},
    {"unclean.leader.election.enable",
     {T(BOOLEAN), ANY, NULL},
     "false",
     "unclean.leader.election.enable",
     "There is one replica on a single node." INERT,
     true},
};

_Static_assert(SL_COUNT_OF(keys) <= TOPIC_OVERRIDES_MAX, "a topic may set every key");
_Static_assert(SL_COUNT_OF(keys) <= CONFIG_ENTRIES_MAX,
               "the answer to DescribeConfigs is too small");

/* Values that are known but refused, and why. */
static const struct {
    const char *name;
    const char *value;
    const char *reason;
} refusals[] = {
    {"compression.gzip.level", "0", "compression.gzip.level: it must be from 1 to 9, or -1"},
    {"remote.storage.enable", "true",
     "remote.storage.enable: there is no tiered storage here, it must be false"},
};

uint32_t topic_config_count(void)
{
    return (uint32_t)SL_COUNT_OF(keys);
}

const struct topic_config_key *topic_config_at(uint32_t index)
{
    SL_ASSERT(index < SL_COUNT_OF(keys));
    return &keys[index];
}

const struct topic_config_key *topic_config_find(struct sl_bytes name)
{
    for (uint32_t i = 0; i < SL_COUNT_OF(keys); i++) {
        if (sl_bytes_equal(sl_bytes_of_text(keys[i].name), name))
            return &keys[i];
    }
    return NULL;
}

static sl_err refusal_check(const struct topic_config_key *key, const struct config_value *value,
                            char ret_reason[CONFIG_REASON_BYTES])
{
    struct sl_bytes text = value->text;
    char number[24];
    if (key->rule.type == SLUICE_CONFIG_TYPE_INT) {
        snprintf(number, sizeof(number), "%lld", (long long)value->number);
        text = sl_bytes_of_text(number);
    }
    if (key->rule.type == SLUICE_CONFIG_TYPE_BOOLEAN)
        text = sl_bytes_of_text(value->boolean ? "true" : "false");
    for (uint32_t i = 0; i < SL_COUNT_OF(refusals); i++) {
        if (strcmp(refusals[i].name, key->name) == 0 &&
            sl_bytes_equal(sl_bytes_of_text(refusals[i].value), text)) {
            snprintf(ret_reason, CONFIG_REASON_BYTES, "%s", refusals[i].reason);
            return SLUICE_E_INVALID_CONFIG;
        }
    }
    return SLUICE_OK;
}

static const char *key_nearest(struct sl_bytes name)
{
    const char *known[SL_COUNT_OF(keys)];
    for (uint32_t i = 0; i < SL_COUNT_OF(keys); i++) {
        known[i] = keys[i].name;
    }
    return sl_text_nearest(name, known, SL_COUNT_OF(keys));
}

sl_err topic_config_check(struct sl_bytes name, struct sl_bytes value,
                          char ret_reason[CONFIG_REASON_BYTES])
{
    const struct topic_config_key *key = topic_config_find(name);
    if (key == NULL) {
        const char *best = key_nearest(name);
        snprintf(ret_reason, CONFIG_REASON_BYTES, "unknown topic config '%.*s'%s%s%s",
                 (int)SL_MIN(name.size, 80u), name.size == 0 ? "" : (const char *)name.data,
                 best != NULL ? "; did you mean '" : "", best != NULL ? best : "",
                 best != NULL ? "'?" : "");
        return SLUICE_E_INVALID_CONFIG;
    }
    bool has_nul = value.size != 0 && memchr(value.data, '\0', value.size) != NULL;
    if (value.size >= TOPIC_VALUE_BYTES_MAX || has_nul) {
        snprintf(ret_reason, CONFIG_REASON_BYTES, "%s: the value is %s", key->name,
                 has_nul ? "not text" : "too long");
        return SLUICE_E_INVALID_CONFIG;
    }
    struct config_value parsed;
    sl_err err = config_value_parse(key->name, &key->rule, value, &parsed, ret_reason);
    return err == SLUICE_OK ? refusal_check(key, &parsed, ret_reason) : err;
}

/* ---- settings in force ---- */

typedef void set_fn(struct topic_settings *settings, const struct config_value *value);

static void cleanup_set(struct topic_settings *settings, const struct config_value *value)
{
    settings->compact = config_list_has(value->text, "compact");
    settings->remove = config_list_has(value->text, "delete");
}

static void message_bytes_set(struct topic_settings *settings, const struct config_value *value)
{
    settings->message_bytes_max = (int32_t)value->number;
}

static void letters_set(struct topic_settings *settings, const struct config_value *value)
{
    settings->takes_letters = value->boolean;
}

static void segment_bytes_set(struct topic_settings *settings, const struct config_value *value)
{
    settings->segment_bytes = (int32_t)value->number;
}

static void segment_ms_set(struct topic_settings *settings, const struct config_value *value)
{
    settings->segment_ms = value->number;
}

static void after_max_set(struct topic_settings *settings, const struct config_value *value)
{
    settings->timestamp_after_max_ms = value->number;
}

static void before_max_set(struct topic_settings *settings, const struct config_value *value)
{
    settings->timestamp_before_max_ms = value->number;
}

static void timestamp_type_set(struct topic_settings *settings, const struct config_value *value)
{
    settings->timestamp_log_append = config_list_has(value->text, "LogAppendTime");
}

static void delete_retention_set(struct topic_settings *settings, const struct config_value *value)
{
    settings->delete_retention_ms = value->number;
}

static void min_lag_set(struct topic_settings *settings, const struct config_value *value)
{
    settings->min_compaction_lag_ms = value->number;
}

static void max_lag_set(struct topic_settings *settings, const struct config_value *value)
{
    settings->max_compaction_lag_ms = value->number;
}

static void dirty_ratio_set(struct topic_settings *settings, const struct config_value *value)
{
    settings->min_dirty_ratio = value->real;
}

static void retention_bytes_set(struct topic_settings *settings, const struct config_value *value)
{
    settings->retention_bytes = value->number;
}

static void retention_ms_set(struct topic_settings *settings, const struct config_value *value)
{
    settings->retention_ms = value->number;
}

const char *topic_durability_text(enum topic_durability durability)
{
    static const char *const texts[] = {"fsync", "os", "memory"};
    SL_ASSERT(durability < SL_COUNT_OF(texts));
    return texts[durability];
}

static void dedup_window_set(struct topic_settings *settings, const struct config_value *value)
{
    settings->dedup_window_ms = value->number;
}

static void durability_set(struct topic_settings *settings, const struct config_value *value)
{
    settings->durability = config_list_has(value->text, "memory") ? TOPIC_MEMORY
                           : config_list_has(value->text, "os")   ? TOPIC_OS
                                                                  : TOPIC_FSYNC;
}

static void validate_set(struct topic_settings *settings, const struct config_value *value)
{
    settings->validate_records = config_list_has(value->text, "records");
}

enum { CODEC_GZIP = 1, CODEC_SNAPPY, CODEC_LZ4, CODEC_ZSTD };

static void codec_set(struct topic_settings *settings, const struct config_value *value)
{
    static const char *const names[TOPIC_CODEC_COUNT] = {
        "uncompressed", [CODEC_GZIP] = "gzip", [CODEC_SNAPPY] = "snappy", [CODEC_LZ4] = "lz4",
        [CODEC_ZSTD] = "zstd"};
    settings->codec = TOPIC_CODEC_PRODUCER;
    for (int32_t i = 0; i < TOPIC_CODEC_COUNT; i++) {
        if (config_list_has(value->text, names[i]))
            settings->codec = i;
    }
}

static void gzip_level_set(struct topic_settings *settings, const struct config_value *value)
{
    settings->codec_levels[CODEC_GZIP] = (int32_t)value->number;
}

static void lz4_level_set(struct topic_settings *settings, const struct config_value *value)
{
    settings->codec_levels[CODEC_LZ4] = (int32_t)value->number;
}

static void zstd_level_set(struct topic_settings *settings, const struct config_value *value)
{
    settings->codec_levels[CODEC_ZSTD] = (int32_t)value->number;
}

static void min_insync_set(struct topic_settings *settings, const struct config_value *value)
{
    settings->min_insync_replicas = (int32_t)value->number;
}

static const struct {
    const char *name;
    set_fn *set;
} setters[] = {
    {"cleanup.policy", cleanup_set},
    {"compression.gzip.level", gzip_level_set},
    {"compression.lz4.level", lz4_level_set},
    {"compression.type", codec_set},
    {"compression.zstd.level", zstd_level_set},
    {"delete.retention.ms", delete_retention_set},
    {"errors.deadletterqueue.group.enable", letters_set},
    {"max.compaction.lag.ms", max_lag_set},
    {"max.message.bytes", message_bytes_set},
    {"message.timestamp.after.max.ms", after_max_set},
    {"message.timestamp.before.max.ms", before_max_set},
    {"message.timestamp.type", timestamp_type_set},
    {"min.cleanable.dirty.ratio", dirty_ratio_set},
    {"min.compaction.lag.ms", min_lag_set},
    {"min.insync.replicas", min_insync_set},
    {"retention.bytes", retention_bytes_set},
    {"retention.ms", retention_ms_set},
    {"segment.bytes", segment_bytes_set},
    {"segment.ms", segment_ms_set},
    {"sluice.dedup.window.ms", dedup_window_set},
    {"sluice.durability", durability_set},
    {"sluice.validate", validate_set},
};

static void override_set(const struct topic_override *override, struct topic_settings *settings)
{
    char reason[CONFIG_REASON_BYTES];
    struct config_value value;
    for (uint32_t i = 0; i < SL_COUNT_OF(setters); i++) {
        if (strcmp(setters[i].name, override->key->name) == 0 &&
            config_value_parse(override->key->name, &override->key->rule,
                               sl_bytes_of_text(override->value), &value, reason) == SLUICE_OK)
            setters[i].set(settings, &value);
    }
}

void topic_settings_resolve(const struct topic_override *overrides, uint32_t override_count,
                            const struct broker_settings *broker,
                            struct topic_settings *ret_settings)
{
    *ret_settings = (struct topic_settings){
        .message_bytes_max = broker->message_bytes_max,
        .segment_bytes = broker->segment_bytes,
        .segment_ms = SEGMENT_MS,
        .dedup_window_ms = DEDUP_WINDOW_MS,
        .timestamp_log_append = broker->timestamp_log_append,
        .compact = broker->cleanup_compact,
        .remove = broker->cleanup_delete,
        .timestamp_before_max_ms = broker->timestamp_before_max_ms,
        .timestamp_after_max_ms = broker->timestamp_after_max_ms,
        .retention_ms = broker->retention_ms,
        .retention_bytes = broker->retention_bytes,
        .delete_retention_ms = broker->delete_retention_ms,
        .min_compaction_lag_ms = broker->min_compaction_lag_ms,
        .max_compaction_lag_ms = broker->max_compaction_lag_ms,
        .min_dirty_ratio = broker->min_dirty_ratio,
        .codec = TOPIC_CODEC_PRODUCER,
        .codec_levels = {[CODEC_GZIP] = -1, [CODEC_LZ4] = 9, [CODEC_ZSTD] = 3},
        .min_insync_replicas = 1,
    };
    for (uint32_t i = 0; i < override_count; i++)
        override_set(&overrides[i], ret_settings);
    if (broker->in_memory)
        ret_settings->durability = TOPIC_MEMORY;
}

/* ---- DescribeConfigs ---- */

static const char *override_of(const struct topic_override *overrides, uint32_t override_count,
                               const struct topic_config_key *key)
{
    for (uint32_t i = 0; i < override_count; i++) {
        if (overrides[i].key == key)
            return overrides[i].value;
    }
    return NULL;
}

/* The value without an override: the broker's where it has this key, else the table's. */
static void default_describe(const struct topic_config_key *key,
                             const struct broker_settings *broker, struct config_entries *entries,
                             struct sluice_config_entry *entry)
{
    char buffer[BROKER_CONFIG_VALUE_BYTES];
    struct broker_config_view view;
    entry->value = sluice_text_of(key->default_value);
    entry->source = SLUICE_CONFIG_SOURCE_DEFAULT;
    if (broker->in_memory && strcmp(key->name, "sluice.durability") == 0) {
        entry->value = sluice_text_of(topic_durability_text(TOPIC_MEMORY));
        entry->source = SLUICE_CONFIG_SOURCE_BROKER;
    }
    if (key->synonym == NULL)
        return;
    if (broker_config_find(broker, key->synonym, buffer, &view) && !view.is_default) {
        entry->value = config_entries_text(entries, view.value);
        entry->source = SLUICE_CONFIG_SOURCE_BROKER;
    }
    entry->synonym = sluice_text_of(key->synonym);
    entry->synonym_value = entry->value;
}

void topic_config_describe(const struct topic_override *overrides, uint32_t override_count,
                           const struct broker_settings *broker, struct config_entries *ret_entries)
{
    ret_entries->count = 0;
    ret_entries->text_size = 0;
    for (uint32_t i = 0; i < SL_COUNT_OF(keys); i++) {
        struct sluice_config_entry *entry = config_entries_add(ret_entries);
        entry->name = sluice_text_of(keys[i].name);
        entry->documentation = sluice_text_of(keys[i].documentation);
        entry->type = keys[i].rule.type;
        default_describe(&keys[i], broker, ret_entries, entry);
        const char *value = override_of(overrides, override_count, &keys[i]);
        if (value != NULL) {
            entry->value = sluice_text_of(value);
            entry->source = SLUICE_CONFIG_SOURCE_TOPIC;
        }
    }
}
