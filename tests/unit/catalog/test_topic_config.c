/* test_topic_config.c: values, settings in force, and DescribeConfigs. */
#include "base/bytes.h"
#include "catalog/topic_config.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static char reason[CONFIG_REASON_BYTES];

static sl_err check(const char *name, const char *value)
{
    return topic_config_check(sl_bytes_of_text(name), sl_bytes_of_text(value), reason);
}

Test(topic_config, every_default_passes_its_own_rule)
{
    for (uint32_t i = 0; i < topic_config_count(); i++) {
        const struct topic_config_key *key = topic_config_at(i);
        cr_assert_eq(check(key->name, key->default_value), SLUICE_OK, "%s: %s", key->name, reason);
    }
    cr_assert_eq(topic_config_count(), 33 + 1 + 3, "Kafka 4.3's topic keys, KIP-1191's, and ours");
}

Test(topic_config, bad_values_are_refused_with_a_sentence)
{
    static const char *const pairs[][2] = {
        {"retention.ms", "-2"},        {"retention.ms", "1 day"},
        {"retention.ms", ""},          {"max.message.bytes", "2147483648"},
        {"cleanup.policy", "shred"},   {"cleanup.policy", "delete,delete"},
        {"cleanup.policy", "delete,"}, {"message.timestamp.type", "createtime"},
        {"preallocate", "yes"},        {"min.cleanable.dirty.ratio", "1.5"},
        {"segment.bytes", "1048575"},  {"retention.ms", "99999999999999999999"},
        {"sluice.validate", "bodies"}, {"no.such.key", "1"},
        {"sluice.durability", "disk"}, {"remote.storage.enable", "TRUE"},
    };
    for (size_t i = 0; i < SL_COUNT_OF(pairs); i++) {
        reason[0] = '\0';
        cr_assert_eq(check(pairs[i][0], pairs[i][1]), SLUICE_E_INVALID_CONFIG, "%s=%s", pairs[i][0],
                     pairs[i][1]);
        cr_assert_not_null(strstr(reason, pairs[i][0]), "the sentence names the key: %s", reason);
    }
}

Test(topic_config, good_values_pass)
{
    static const char *const pairs[][2] = {
        {"retention.ms", "-1"},
        {"cleanup.policy", "compact, delete"},
        {"preallocate", "True"},
        {"min.cleanable.dirty.ratio", "0.25"},
        {"retention.bytes", " 9223372036854775807 "},
        {"cleanup.policy", ""},
        {"sluice.durability", "fsync"},
        {"sluice.durability", "os"},
        {"sluice.durability", "memory"},
    };
    for (size_t i = 0; i < SL_COUNT_OF(pairs); i++)
        cr_assert_eq(check(pairs[i][0], pairs[i][1]), SLUICE_OK, "%s", reason);
}

Test(topic_config, settings_come_from_the_broker_and_then_from_the_topic)
{
    struct broker_settings broker;
    struct topic_settings settings;
    char compact[] = "compact";
    char records[] = "records";
    char bytes[] = "5000";
    struct topic_override overrides[] = {
        {topic_config_find(sl_bytes_of_text("cleanup.policy")), compact},
        {topic_config_find(sl_bytes_of_text("sluice.validate")), records},
        {topic_config_find(sl_bytes_of_text("max.message.bytes")), bytes},
    };
    broker_settings_init(&broker);
    broker.retention_ms = 777;
    topic_settings_resolve(overrides, 3, &broker, &settings);
    cr_assert(settings.compact);
    cr_assert_not(settings.remove);
    cr_assert(settings.validate_records);
    cr_assert_eq(settings.message_bytes_max, 5000);
    cr_assert_eq(settings.retention_ms, 777);
    cr_assert_eq(settings.timestamp_after_max_ms, 3600000);
    cr_assert_not(settings.timestamp_log_append);
}

static const struct sluice_config_entry *entry_of(const struct config_entries *entries,
                                                  const char *name)
{
    for (uint32_t i = 0; i < entries->count; i++) {
        if (entries->entries[i].name.size == strlen(name) &&
            memcmp(entries->entries[i].name.data, name, strlen(name)) == 0)
            return &entries->entries[i];
    }
    cr_assert_fail("no entry %s", name);
    return NULL;
}

static bool is(struct sluice_text text, const char *expected)
{
    return text.size == strlen(expected) && memcmp(text.data, expected, text.size) == 0;
}

Test(topic_config, describes_all_keys_with_value_source_and_synonym)
{
    static struct config_entries entries;
    struct broker_settings broker;
    char text[] = "86400000";
    struct topic_override override = {topic_config_find(sl_bytes_of_text("retention.ms")), text};
    broker_settings_init(&broker);
    broker.retention_ms = 3600000;
    broker.message_bytes_max = 2000000;
    topic_config_describe(&override, 1, &broker, &entries);
    cr_assert_eq(entries.count, topic_config_count());
    const struct sluice_config_entry *entry = entry_of(&entries, "retention.ms");
    cr_assert(is(entry->value, "86400000"));
    cr_assert_eq(entry->source, SLUICE_CONFIG_SOURCE_TOPIC);
    cr_assert(is(entry->synonym, "log.retention.ms"));
    cr_assert(is(entry->synonym_value, "3600000"));
    entry = entry_of(&entries, "max.message.bytes");
    cr_assert(is(entry->value, "2000000"));
    cr_assert_eq(entry->source, SLUICE_CONFIG_SOURCE_BROKER);
    entry = entry_of(&entries, "cleanup.policy");
    cr_assert(is(entry->value, "delete"));
    cr_assert_eq(entry->source, SLUICE_CONFIG_SOURCE_DEFAULT);
    cr_assert_eq(entry->type, SLUICE_CONFIG_TYPE_LIST);
}

Test(broker_config, describes_what_is_in_force)
{
    static struct config_entries entries;
    struct broker_settings broker;
    broker_settings_init(&broker);
    broker.group_initial_delay_ms = 0;
    broker_config_describe(&broker, &entries);
    cr_assert_gt(entries.count, broker_config_count());
    const struct sluice_config_entry *entry =
        entry_of(&entries, "group.initial.rebalance.delay.ms");
    cr_assert(is(entry->value, "0"));
    cr_assert_eq(entry->source, SLUICE_CONFIG_SOURCE_BROKER);
    entry = entry_of(&entries, "log.retention.hours");
    cr_assert(is(entry->value, "168"));
    cr_assert_eq(entry->source, SLUICE_CONFIG_SOURCE_DEFAULT);
    entry = entry_of(&entries, "broker.rack");
    cr_assert_null(entry->value.data);
    entry = entry_of(&entries, "ssl.keystore.password");
    cr_assert(entry->sensitive && entry->read_only && entry->value.data == NULL);
    cr_assert_eq(entry->type, SLUICE_CONFIG_TYPE_PASSWORD);
}

Test(broker_config, names_each_key_once)
{
    static struct config_entries entries;
    struct broker_settings broker;
    broker_settings_init(&broker);
    broker_config_describe(&broker, &entries);
    for (uint32_t i = 0; i < entries.count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            cr_assert(!sl_bytes_equal(
                sl_bytes_of(entries.entries[i].name.data, entries.entries[i].name.size),
                sl_bytes_of(entries.entries[k].name.data, entries.entries[k].name.size)));
        }
    }
}

Test(broker_config, has_longer_texts_than_the_answer_can_hold_nowhere)
{
    static struct config_entries entries;
    struct broker_settings broker;
    broker_settings_init(&broker);
    memset(broker.listeners, 'x', sizeof broker.listeners - 1);
    memset(broker.log_dir, 'y', sizeof broker.log_dir - 1);
    broker_config_describe(&broker, &entries);
    cr_assert_eq(entry_of(&entries, "log.dirs")->value.size, sizeof broker.log_dir - 1);
}

Test(topic_config, the_committed_page_is_what_the_table_says)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    topic_config_page_write(out);
    fclose(out);
    FILE *file = fopen(SLUICE_SOURCE_DIR "/docs/reference/topics.md", "r");
    cr_assert_not_null(file);
    char *page = calloc(1, size + 2);
    size_t page_size = fread(page, 1, size + 1, file);
    fclose(file);
    cr_expect(page_size == size && memcmp(page, text, size) == 0,
              "run: sluice config topics > docs/reference/topics.md");
    free(page);
    free(text);
}

/* A key says that it has no effect exactly where it has none. */
Test(topic_config, keys_without_effect_say_so)
{
    for (uint32_t i = 0; i < topic_config_count(); i++) {
        const struct topic_config_key *key = topic_config_at(i);
        cr_assert_eq(strstr(key->documentation, "without effect") != NULL, key->inert, "%s",
                     key->name);
    }
}
