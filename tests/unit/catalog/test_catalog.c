/* test_catalog.c: specs, items, apply, reservations, snapshots. */
#include "base/bytes.h"
#include "catalog/catalog.h"
#include "catalog/catalog_item.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct broker_settings broker;
static struct catalog *catalog;
static char reason[CATALOG_REASON_BYTES];
static int created, changed, deleted;
static uint64_t version_at_delete;

static void on_created(void *arg, struct topic *topic)
{
    (void)arg;
    topic->user = &created;
    created++;
}

static void on_changed(void *arg, struct topic *topic)
{
    (void)arg;
    (void)topic;
    changed++;
}

static void on_deleted(void *arg, struct topic *topic)
{
    (void)arg;
    cr_assert_eq(topic->user, &created);
    version_at_delete = catalog_version(catalog);
    deleted++;
}

static uint32_t grown_from;

static void on_grown(void *arg, struct topic *topic, uint32_t was_count, uint16_t was_stride)
{
    (void)arg;
    cr_assert(was_count < topic->partition_count && was_stride > 0);
    grown_from = was_count;
}

static const struct catalog_events events = {on_created, on_changed, on_grown, on_deleted};

static void setup(void)
{
    struct catalog_limits limits = {.partitions_max = 100, .topic_partitions_max = 50};
    broker_settings_init(&broker);
    catalog = catalog_new(&limits, &broker, &events, NULL);
    created = changed = deleted = 0;
}

static void teardown(void)
{
    catalog = catalog_free(catalog);
}

TestSuite(catalog, .init = setup, .fini = teardown);

static struct sluice_topic_spec spec_make(const char *name, int32_t partitions)
{
    return (struct sluice_topic_spec){.size = sizeof(struct sluice_topic_spec),
                                      .partition_count = partitions,
                                      .name = sluice_text_of(name),
                                      .replication_factor = -1};
}

static sl_err spec_check(struct sluice_topic_spec spec)
{
    uint32_t partition_count;
    reason[0] = '\0';
    return catalog_spec_check(catalog, &spec, false, &partition_count, reason);
}

static void apply_free(struct catalog *to, uint16_t kind, struct sl_bytes payload, sl_err expected)
{
    cr_assert_eq(catalog_apply(to, kind, 1, payload), expected);
    sl_free((void *)(uintptr_t)payload.data);
}

static struct topic *create(const char *name, uint8_t id, uint32_t partitions)
{
    struct sluice_topic_spec spec = spec_make(name, (int32_t)partitions);
    struct sluice_key_value configs[] = {
        {sluice_text_of("retention.ms"), sluice_text_of("5000")},
        {sluice_text_of("segment.ms"), {NULL, 0}},
    };
    struct sl_uuid uuid = {{id, 1}};
    struct sl_bytes payload;
    spec.configs = configs;
    spec.config_count = 2;
    cr_assert_eq(spec_check(spec), SLUICE_OK, "%s", reason);
    cr_assert_eq(catalog_create_encode(&spec, &uuid, partitions, 3, false, &payload), SLUICE_OK);
    apply_free(catalog, WAL_ITEM_TOPIC_CREATE, payload, SLUICE_OK);
    return catalog_by_id(catalog, &uuid);
}

Test(catalog, finds_a_created_topic_by_name_and_id)
{
    const struct topic *topic = create("orders", 1, 4);
    cr_assert_not_null(topic);
    cr_assert_eq(catalog_by_name(catalog, sl_bytes_of_text("orders")), topic);
    cr_assert_eq(topic->partition_count, 4);
    cr_assert_eq(topic->settings->retention_ms, 5000);
    cr_assert_eq(topic->override_count, 1, "a null value asks for the default");
    cr_assert_eq(catalog_partition_count(catalog), 4);
    cr_assert_eq(created, 1);
    cr_assert_null(catalog_by_name(catalog, sl_bytes_of_text("order")));
}

Test(catalog, places_consecutive_partitions_on_consecutive_shards)
{
    const struct topic *topic = create("orders", 1, 7);
    for (uint32_t i = 1; i < 7; i++)
        cr_assert_eq(topic_shard(topic, i), (topic_shard(topic, i - 1) + 1) % 3);
}

Test(catalog, keeps_a_placement_that_no_rule_gives)
{
    const struct topic *topic = create("orders", 1, 4);
    struct sl_bytes payload;
    cr_assert_eq(catalog_item_encode_topic(topic, &payload), SLUICE_OK);
    uint8_t *shards = (uint8_t *)(uintptr_t)payload.data + 28 + strlen("orders");
    const uint8_t placed[] = {2, 2, 0, 7};
    for (uint32_t i = 0; i < 4; i++)
        shards[2 * i] = placed[i];
    struct topic *read;
    cr_assert_eq(catalog_item_topic(payload, &read), SLUICE_OK);
    for (uint32_t i = 0; i < 4; i++)
        cr_assert_eq(topic_shard(read, i), placed[i]);
    topic_free(read);
    sl_free((void *)(uintptr_t)payload.data);
}

Test(catalog, refuses_specs_with_the_error_of_the_protocol)
{
    struct sluice_topic_spec replicated = spec_make("a", 1);
    struct sluice_key_value bad = {sluice_text_of("retention.ms"), sluice_text_of("x")};
    struct sluice_key_value twice[] = {
        {sluice_text_of("retention.ms"), sluice_text_of("1")},
        {sluice_text_of("retention.ms"), sluice_text_of("2")},
    };
    struct sluice_topic_spec badly = spec_make("a", 1);
    struct sluice_topic_spec doubly = spec_make("a", 1);
    replicated.replication_factor = 2;
    badly.configs = &bad;
    badly.config_count = 1;
    doubly.configs = twice;
    doubly.config_count = 2;
    create("my.topic", 1, 60 - 10);
    cr_assert_eq(spec_check(spec_make("a/b", 1)), SLUICE_E_INVALID_TOPIC);
    cr_assert_eq(spec_check(spec_make("__sluice_x", 1)), SLUICE_E_INVALID_TOPIC);
    cr_assert_eq(spec_check(spec_make("my_topic", 1)), SLUICE_E_INVALID_TOPIC);
    cr_assert_eq(spec_check(spec_make("my.topic", 1)), SLUICE_E_TOPIC_EXISTS);
    cr_assert_eq(spec_check(spec_make("a", 0)), SLUICE_E_INVALID_PARTITIONS);
    cr_assert_eq(spec_check(spec_make("a", -2)), SLUICE_E_INVALID_PARTITIONS);
    cr_assert_eq(spec_check(spec_make("a", 51)), SLUICE_E_INVALID_PARTITIONS);
    cr_assert_eq(spec_check(replicated), SLUICE_E_INVALID_REPLICATION_FACTOR);
    cr_assert_eq(spec_check(badly), SLUICE_E_INVALID_CONFIG);
    cr_assert_eq(spec_check(doubly), SLUICE_E_INVALID_CONFIG);
    cr_assert_neq(reason[0], '\0');
    cr_assert_eq(spec_check(spec_make("a", 50)), SLUICE_OK);
    create("b", 2, 10);
    cr_assert_eq(spec_check(spec_make("a", 50)), SLUICE_E_LIMIT);
}

Test(catalog, a_reserved_name_and_its_room_are_taken_until_released)
{
    cr_assert_eq(catalog_reserve(catalog, sl_bytes_of_text("a.b"), 60), SLUICE_OK);
    cr_assert_eq(spec_check(spec_make("a.b", 1)), SLUICE_E_TOPIC_EXISTS);
    cr_assert_eq(spec_check(spec_make("a_b", 1)), SLUICE_E_INVALID_TOPIC);
    cr_assert_eq(spec_check(spec_make("c", 41)), SLUICE_E_LIMIT);
    catalog_release(catalog, sl_bytes_of_text("a.b"));
    create("a.b", 1, 1);
}

Test(catalog, applying_a_create_ends_its_reservation)
{
    struct sluice_topic_spec spec = spec_make("a", 1);
    struct sl_uuid uuid = {{9}};
    struct sl_bytes payload;
    cr_assert_eq(catalog_reserve(catalog, sl_bytes_of_text("a"), 1), SLUICE_OK);
    cr_assert_eq(catalog_create_encode(&spec, &uuid, 1, 1, false, &payload), SLUICE_OK);
    apply_free(catalog, WAL_ITEM_TOPIC_CREATE, payload, SLUICE_OK);
    cr_assert_eq(catalog_reserve(catalog, sl_bytes_of_text("a"), 1), SLUICE_OK,
                 "free to be reserved again");
}

Test(catalog, deletes_once_and_frees_the_name)
{
    struct sl_uuid uuid = {{1, 1}};
    struct sl_bytes payload;
    create("orders", 1, 4);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(catalog_delete_encode(&uuid, &payload), SLUICE_OK);
        apply_free(catalog, WAL_ITEM_TOPIC_DELETE, payload, SLUICE_OK);
    }
    cr_assert_eq(deleted, 1);
    cr_assert_eq(catalog_partition_count(catalog), 0);
    cr_assert_null(catalog_by_id(catalog, &uuid));
    create("orders", 2, 1);
}

Test(catalog, has_another_version_once_what_was_looked_up_during_a_delete_is_gone)
{
    struct sl_uuid uuid = {{1, 1}};
    struct sl_bytes payload;
    create("orders", 1, 4);
    cr_assert_eq(catalog_delete_encode(&uuid, &payload), SLUICE_OK);
    apply_free(catalog, WAL_ITEM_TOPIC_DELETE, payload, SLUICE_OK);
    cr_expect_neq(catalog_version(catalog), version_at_delete);
}

Test(catalog, a_repeated_create_changes_nothing_and_a_contradicting_one_is_corrupt)
{
    struct sluice_topic_spec spec = spec_make("orders", 1);
    struct sl_uuid same = {{1, 1}};
    struct sl_uuid other = {{2}};
    struct sl_bytes payload;
    create("orders", 1, 4);
    cr_assert_eq(catalog_create_encode(&spec, &same, 4, 3, false, &payload), SLUICE_OK);
    apply_free(catalog, WAL_ITEM_TOPIC_CREATE, payload, SLUICE_OK);
    cr_assert_eq(catalog_create_encode(&spec, &other, 1, 3, false, &payload), SLUICE_OK);
    apply_free(catalog, WAL_ITEM_TOPIC_CREATE, payload, SLUICE_E_CORRUPT);
    cr_assert_eq(catalog_topic_count(catalog), 1);
}

Test(catalog, configs_are_replaced_as_a_whole)
{
    const struct topic *topic = create("orders", 1, 1);
    struct sluice_key_value config = {sluice_text_of("max.message.bytes"), sluice_text_of("99")};
    struct sl_bytes payload;
    cr_assert_eq(catalog_config_encode(&topic->id, &config, 1, &payload), SLUICE_OK);
    apply_free(catalog, WAL_ITEM_TOPIC_CONFIG, payload, SLUICE_OK);
    cr_assert_eq(topic->settings->message_bytes_max, 99);
    cr_assert_eq(topic->settings->retention_ms, 604800000);
    cr_assert_eq(changed, 1);
}

Test(catalog, a_topic_grows_and_its_first_partitions_stay_where_they_are)
{
    struct topic *topic = create("orders", 1, 2);
    uint16_t first = topic_shard(topic, 0);
    uint16_t second = topic_shard(topic, 1);
    struct sl_bytes payload;
    struct sl_bytes again;
    cr_assert_eq(catalog_grow_check(catalog, topic, 2, reason), SLUICE_E_INVALID_PARTITIONS);
    cr_assert_eq(catalog_grow_check(catalog, topic, 51, reason), SLUICE_E_INVALID_PARTITIONS);
    cr_assert_eq(catalog_grow_check(catalog, topic, 7, reason), SLUICE_OK, "%s", reason);
    cr_assert_eq(catalog_grow_encode(topic, 7, 3, &payload), SLUICE_OK);
    cr_assert_eq(catalog_grow_encode(topic, 4, 3, &again), SLUICE_OK);
    apply_free(catalog, WAL_ITEM_TOPIC_GROW, payload, SLUICE_OK);
    apply_free(catalog, WAL_ITEM_TOPIC_GROW, again, SLUICE_OK);
    cr_assert_eq(topic->partition_count, 7, "what it has already changes nothing");
    cr_assert_eq(catalog_partition_count(catalog), 7);
    cr_assert_eq(grown_from, 2);
    cr_assert(topic_shard(topic, 0) == first && topic_shard(topic, 1) == second);
    for (uint32_t i = 1; i < 7; i++)
        cr_assert_eq(topic_shard(topic, i), (topic_shard(topic, i - 1) + 1) % 3);
}

Test(catalog, a_growth_with_a_gap_is_corrupt)
{
    struct topic *topic = create("orders", 1, 2);
    struct sl_bytes payload;
    topic->partition_count = 3;
    cr_assert_eq(catalog_grow_encode(topic, 5, 3, &payload), SLUICE_OK);
    topic->partition_count = 2;
    apply_free(catalog, WAL_ITEM_TOPIC_GROW, payload, SLUICE_E_CORRUPT);
    cr_assert_eq(topic->partition_count, 2);
}

Test(catalog, follows_the_broker_when_its_settings_change)
{
    const struct topic *topic = create("orders", 1, 1);
    broker.message_bytes_max = 4242;
    catalog_refresh(catalog);
    cr_assert_eq(topic->settings->message_bytes_max, 4242);
    cr_assert_eq(topic->settings->retention_ms, 5000);
}

static sl_err add_to_other(void *arg, uint16_t kind, uint8_t version, struct sl_bytes payload)
{
    return catalog_apply(arg, kind, version, payload);
}

Test(catalog, a_snapshot_makes_an_equal_catalog)
{
    struct catalog_limits limits = {0};
    struct catalog *other = catalog_new(&limits, &broker, NULL, NULL);
    create("orders", 1, 5);
    create("payments", 2, 2);
    cr_assert_eq(catalog_snapshot(catalog, add_to_other, other), SLUICE_OK);
    const struct topic *a = catalog_by_name(catalog, sl_bytes_of_text("orders"));
    const struct topic *b = catalog_by_name(other, sl_bytes_of_text("orders"));
    cr_assert_eq(catalog_topic_count(other), 2);
    cr_assert(sl_uuid_equal(&a->id, &b->id));
    for (uint32_t i = 0; i < 5; i++)
        cr_assert_eq(topic_shard(a, i), topic_shard(b, i));
    cr_assert_str_eq(b->overrides[0].value, "5000");
    catalog_free(other);
}

Test(catalog, refuses_damaged_and_newer_items_without_a_change)
{
    struct sluice_topic_spec spec = spec_make("orders", 2);
    struct sluice_key_value config = {sluice_text_of("retention.ms"), sluice_text_of("7")};
    struct sl_uuid uuid = {{5}};
    struct sl_bytes payload;
    uint8_t copy[256];
    spec.configs = &config;
    spec.config_count = 1;
    cr_assert_eq(catalog_create_encode(&spec, &uuid, 2, 1, false, &payload), SLUICE_OK);
    cr_assert_eq(catalog_apply(catalog, WAL_ITEM_TOPIC_CREATE, 2, payload), SLUICE_E_NEWER_FORMAT);
    for (size_t cut = 0; cut < payload.size; cut++)
        cr_assert_eq(
            catalog_apply(catalog, WAL_ITEM_TOPIC_CREATE, 1, sl_bytes_of(payload.data, cut)),
            SLUICE_E_CORRUPT);
    for (size_t i = 0; i < payload.size * 8; i++) {
        memcpy(copy, payload.data, payload.size);
        copy[i / 8] ^= (uint8_t)(1u << (i % 8));
        struct catalog_limits limits = {0};
        struct catalog *victim = catalog_new(&limits, &broker, NULL, NULL);
        sl_err err =
            catalog_apply(victim, WAL_ITEM_TOPIC_CREATE, 1, sl_bytes_of(copy, payload.size));
        cr_assert_eq(catalog_topic_count(victim), err == SLUICE_OK ? 1 : 0);
        catalog_free(victim);
    }
    sl_free((void *)(uintptr_t)payload.data);
    cr_assert_eq(catalog_topic_count(catalog), 0);
}

Test(catalog, holds_a_hundred_thousand_topics)
{
    struct catalog_limits limits = {0};
    struct catalog *big = catalog_new(&limits, &broker, NULL, NULL);
    char name[32];
    for (uint32_t i = 0; i < 100000; i++) {
        struct sl_bytes payload;
        struct sl_uuid uuid = {{1}};
        snprintf(name, sizeof name, "t%u", i);
        sl_le32_store(uuid.b + 4, i);
        struct sluice_topic_spec spec = spec_make(name, 1);
        cr_assert_eq(catalog_create_encode(&spec, &uuid, 1, 1, false, &payload), SLUICE_OK);
        apply_free(big, WAL_ITEM_TOPIC_CREATE, payload, SLUICE_OK);
    }
    cr_assert_not_null(catalog_by_name(big, sl_bytes_of_text("t77777")));
    struct sluice_topic_spec spec = spec_make("more", 1);
    uint32_t partition_count;
    cr_assert_eq(catalog_spec_check(big, &spec, false, &partition_count, reason), SLUICE_E_LIMIT);
    catalog_free(big);
}
