/* named_config.c: see named_config.h. */
#include "catalog/named_config.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

#define G     SETTING_GROUP
#define M     SETTING_CLIENT_METRICS
#define INERT " (Stored and shown; without effect in this version.)"
#define INT(least, most)                                              \
    {                                                                 \
        .type = SLUICE_CONFIG_TYPE_INT, .min = (least), .max = (most) \
    }
#define WORDS(any)                                        \
    {                                                     \
        .type = SLUICE_CONFIG_TYPE_STRING, .words = (any) \
    }
#define LIST                            \
    {                                   \
        .type = SLUICE_CONFIG_TYPE_LIST \
    }
#define BOOLEAN                            \
    {                                      \
        .type = SLUICE_CONFIG_TYPE_BOOLEAN \
    }

/* Ranges are those that Kafka's brokers allow by default, but for those of `bounds`. */
static const struct named_config_key keys[] = {
    {G, "consumer.assignment.interval.ms", INT(0, 15000), "1000",
     "group.consumer.assignment.interval.ms", "The least time between two assignments."},
    {G, "consumer.heartbeat.interval.ms", INT(1, 3600000), "5000",
     "group.consumer.heartbeat.interval.ms", "How often a member of a consumer group calls."},
    {G, "consumer.session.timeout.ms", INT(1, 3600000), "45000",
     "group.consumer.session.timeout.ms",
     "A member of a consumer group that is silent so long is out."},
    {G, "errors.deadletterqueue.copy.record.enable", BOOLEAN, "false", NULL,
     "Whether a dead letter holds the record, or only says where it is."},
    {G,
     "errors.deadletterqueue.topic.name",
     {.type = SLUICE_CONFIG_TYPE_STRING},
     "",
     NULL,
     "The topic that records of a share group go to when they were rejected or delivered too "
     "often; blank: nowhere."},
    {G, "share.assignment.interval.ms", INT(0, 15000), "1000", "group.share.assignment.interval.ms",
     "The least time between two assignments." INERT},
    {G,
     "share.auto.offset.reset",
     {.type = SLUICE_CONFIG_TYPE_STRING},
     "latest",
     NULL,
     "Where a share group begins: latest, earliest or by_duration:PnDTnHnMnS."},
    {G, "share.delivery.count.limit", INT(2, 10), "5", "group.share.delivery.count.limit",
     "Deliveries of a record."},
    {G, "share.heartbeat.interval.ms", INT(1, 3600000), "5000", "group.share.heartbeat.interval.ms",
     "How often a member of a share group calls."},
    {G, "share.isolation.level", WORDS("read_committed,read_uncommitted"), "read_uncommitted", NULL,
     "Whether records of open and aborted transactions are delivered."},
    {G, "share.partition.max.record.locks", INT(100, 4000), "2000",
     "group.share.partition.max.record.locks", "Records of a partition under way."},
    {G, "share.record.lock.duration.ms", INT(15000, 60000), "30000",
     "group.share.record.lock.duration.ms", "How long a record is a member's own."},
    {G, "share.renew.acknowledge.enable", BOOLEAN, "true", NULL,
     "Whether members may keep a record for longer."},
    {G, "share.session.timeout.ms", INT(1, 3600000), "45000", "group.share.session.timeout.ms",
     "A member of a share group that is silent so long is out."},
    {G, "streams.assignment.interval.ms", INT(0, 15000), "1000",
     "group.streams.assignment.interval.ms", "The least time between two assignments."},
    {G, "streams.heartbeat.interval.ms", INT(1, 3600000), "5000",
     "group.streams.heartbeat.interval.ms", "How often a member of a streams group calls."},
    {G, "streams.initial.rebalance.delay.ms", INT(0, INT32_MAX), "3000",
     "group.streams.initial.rebalance.delay.ms", "How long a new group waits for members."},
    {G, "streams.num.standby.replicas", INT(0, 2), "0", "group.streams.num.standby.replicas",
     "Standby tasks of each task."},
    {G, "streams.session.timeout.ms", INT(1, 3600000), "45000", "group.streams.session.timeout.ms",
     "A member of a streams group that is silent so long is out."},
    {M, "interval.ms", INT(100, 3600000), "300000", NULL,
     "How often clients push their metrics; more than five minutes is five minutes."},
    {M, "match", LIST, "", NULL, "Which clients push, by patterns of what they are; none: all."},
    {M, "metrics", LIST, "", NULL, "Which metrics clients push, by prefixes of names; *: all."},
};

const struct named_config_key *named_config_find(uint8_t kind, struct sl_bytes name)
{
    for (uint32_t i = 0; i < SL_COUNT_OF(keys); i++) {
        if (keys[i].kind == kind && sl_bytes_equal(name, sl_bytes_of_text(keys[i].name))) {
            return &keys[i];
        }
    }
    return NULL;
}

/* Which of the broker's own settings bound a key of a group. */
#define BOUNDS(kind, key, field)                                            \
    {                                                                       \
        kind "." key, "group." kind ".min." key, "group." kind ".max." key, \
            offsetof(struct broker_settings, field##_min_ms),               \
            offsetof(struct broker_settings, field##_max_ms)                \
    }
static const struct bounds {
    const char *key, *least, *most;
    size_t least_at, most_at; /* int32_t in struct broker_settings */
} bounds[] = {
    BOUNDS("consumer", "session.timeout.ms", consumer_bounds.session),
    BOUNDS("consumer", "heartbeat.interval.ms", consumer_bounds.heartbeat),
    BOUNDS("share", "session.timeout.ms", share_bounds.session),
    BOUNDS("share", "heartbeat.interval.ms", share_bounds.heartbeat),
    BOUNDS("streams", "session.timeout.ms", streams_bounds.session),
    BOUNDS("streams", "heartbeat.interval.ms", streams_bounds.heartbeat),
};

static int32_t bound_at(const struct broker_settings *broker, size_t offset)
{
    return broker_setting_i32((const int32_t *)((const char *)broker + offset));
}

/* In Kafka's words, with the bound behind them. */
static sl_err check_bounds(const struct broker_settings *broker, const char *name, int64_t value,
                           char ret_reason[CONFIG_REASON_BYTES])
{
    for (uint32_t i = 0; i < SL_COUNT_OF(bounds); i++) {
        int32_t least = bound_at(broker, bounds[i].least_at);
        int32_t most = bound_at(broker, bounds[i].most_at);
        if (strcmp(bounds[i].key, name) == 0 && (value < least || value > most)) {
            bool is_low = value < least;
            snprintf(ret_reason, CONFIG_REASON_BYTES, "%s must be %s than or equal to %s (%d)",
                     name, is_low ? "greater" : "less", is_low ? bounds[i].least : bounds[i].most,
                     is_low ? least : most);
            return SLUICE_E_INVALID_CONFIG;
        }
    }
    return SLUICE_OK;
}

sl_err named_config_check(uint8_t kind, struct sl_bytes name, struct sl_bytes value,
                          const struct broker_settings *broker,
                          char ret_reason[CONFIG_REASON_BYTES])
{
    const struct named_config_key *key = named_config_find(kind, name);
    struct config_value parsed;
    if (key == NULL) {
        snprintf(ret_reason, CONFIG_REASON_BYTES, "unknown key: %.*s",
                 (int)SL_MIN(name.size, (size_t)128), (const char *)name.data);
        return SLUICE_E_INVALID_CONFIG;
    }
    sl_err err = config_value_parse(key->name, &key->rule, value, &parsed, ret_reason);
    bool is_number = err == SLUICE_OK && key->rule.type == SLUICE_CONFIG_TYPE_INT;
    return is_number ? check_bounds(broker, key->name, parsed.number, ret_reason) : err;
}

/* What is in force where nothing is set: the broker's own value of the key, where it has one. */
static const char *default_of(const struct named_config_key *key,
                              const struct broker_settings *broker,
                              char buffer[BROKER_CONFIG_VALUE_BYTES], bool *ret_is_brokers)
{
    struct broker_config_view view;
    *ret_is_brokers = key->synonym != NULL &&
                      broker_config_find(broker, key->synonym, buffer, &view) && !view.is_default;
    return *ret_is_brokers ? view.value : key->default_value;
}

static int64_t number_of(const struct broker_settings *broker, struct sl_bytes name,
                         struct sl_bytes value)
{
    const struct named_config_key *key = named_config_find(SETTING_GROUP, name);
    char buffer[BROKER_CONFIG_VALUE_BYTES];
    bool is_brokers;
    int64_t number = 0;
    SL_ASSERT(key != NULL && key->rule.type == SLUICE_CONFIG_TYPE_INT);
    if (value.data == NULL || sl_text_parse_i64(value, &number) != SLUICE_OK) {
        const char *text = default_of(key, broker, buffer, &is_brokers);
        sl_err err = sl_text_parse_i64(sl_bytes_of_text(text), &number);
        SL_ASSERT(err == SLUICE_OK);
    }
    return number;
}

sl_err named_config_check_pairs(const struct broker_settings *broker,
                                named_config_value_fn *value_of, const void *arg,
                                char ret_reason[CONFIG_REASON_BYTES])
{
    static const struct {
        const char *session, *heartbeat;
    } pairs[] = {{"consumer.session.timeout.ms", "consumer.heartbeat.interval.ms"},
                 {"share.session.timeout.ms", "share.heartbeat.interval.ms"},
                 {"streams.session.timeout.ms", "streams.heartbeat.interval.ms"}};
    for (uint32_t i = 0; i < SL_COUNT_OF(pairs); i++) {
        struct sl_bytes names[2] = {sl_bytes_of_text(pairs[i].session),
                                    sl_bytes_of_text(pairs[i].heartbeat)};
        struct named_config_value session = value_of(arg, names[0]);
        struct named_config_value heartbeat = value_of(arg, names[1]);
        int64_t session_ms = number_of(broker, names[0], session.value);
        int64_t heartbeat_ms = number_of(broker, names[1], heartbeat.value);
        if ((session.is_new || heartbeat.is_new) && session_ms <= heartbeat_ms) {
            snprintf(ret_reason, CONFIG_REASON_BYTES, "%s must be greater than %s (%d and %d)",
                     pairs[i].session, pairs[i].heartbeat, (int)session_ms, (int)heartbeat_ms);
            return SLUICE_E_INVALID_CONFIG;
        }
    }
    return SLUICE_OK;
}

static const struct setting *setting_of(const struct setting *settings, uint32_t count,
                                        const char *key)
{
    for (uint32_t i = 0; i < count; i++) {
        if (sl_bytes_equal(settings[i].key, sl_bytes_of_text(key))) {
            return &settings[i];
        }
    }
    return NULL;
}

static void describe_default(struct sluice_config_entry *entry, const struct named_config_key *key,
                             const struct broker_settings *broker, struct config_entries *entries)
{
    char buffer[BROKER_CONFIG_VALUE_BYTES];
    bool is_brokers;
    const char *value = default_of(key, broker, buffer, &is_brokers);
    entry->source = is_brokers ? SLUICE_CONFIG_SOURCE_BROKER : SLUICE_CONFIG_SOURCE_DEFAULT;
    entry->value = is_brokers ? config_entries_text(entries, value) : sluice_text_of(value);
    if (key->synonym != NULL) {
        entry->synonym = sluice_text_of(key->synonym);
        entry->synonym_value = entry->value;
    }
}

void named_config_describe(uint8_t kind, const struct setting *settings, uint32_t count,
                           const struct broker_settings *broker, struct config_entries *ret_entries)
{
    ret_entries->count = 0;
    ret_entries->text_size = 0;
    for (uint32_t i = 0; i < SL_COUNT_OF(keys); i++) {
        const struct setting *setting = setting_of(settings, count, keys[i].name);
        if (keys[i].kind != kind) {
            continue;
        }
        struct sluice_config_entry *entry = config_entries_add(ret_entries);
        entry->name = sluice_text_of(keys[i].name);
        entry->documentation = sluice_text_of(keys[i].documentation);
        entry->type = keys[i].rule.type;
        describe_default(entry, &keys[i], broker, ret_entries);
        if (setting != NULL) {
            entry->source = kind == SETTING_GROUP ? SLUICE_CONFIG_SOURCE_GROUP
                                                  : SLUICE_CONFIG_SOURCE_CLIENT_METRICS;
            entry->value =
                (struct sluice_text){(const char *)setting->value.data, setting->value.size};
        }
    }
}
