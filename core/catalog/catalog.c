/* catalog.c: the maps of topics by name and id, reservations, and the apply of items. */
#include "catalog/catalog.h"

#include "base/hash.h"
#include "catalog/catalog_item.h"
#include "catalog/item_codec.h"

#include <stdio.h>

/* Room and name kept for a creation that is on its way to the disk. */
struct reservation {
    struct chain_link by_name;
    uint32_t partition_count;
    struct sl_bytes name; /* the bytes follow the struct */
};

struct catalog {
    struct chain_map by_name; /* struct topic, hashed so that colliding names meet */
    struct chain_map by_id;
    struct chain_map reserved; /* struct reservation */
    uint32_t partition_count;
    uint32_t reserved_partition_count;
    uint32_t serial; /* topics ever created */
    uint64_t version;
    struct catalog_limits limits;
    const struct broker_settings *broker; /* borrowed */
    struct topic_settings defaults;       /* of all topics that override nothing */
    struct catalog_events events;
    void *events_arg;
};

static struct topic *topic_of_name_link(const struct chain_link *link)
{
    return SL_CONTAINER_OF(link, struct topic, by_name);
}

static struct topic *topic_of_id_link(const struct chain_link *link)
{
    return SL_CONTAINER_OF(link, struct topic, by_id);
}

static struct reservation *reservation_of(const struct chain_link *link)
{
    return SL_CONTAINER_OF(link, struct reservation, by_name);
}

static bool name_matches(const struct chain_link *link, const void *key)
{
    return sl_bytes_equal(topic_of_name_link(link)->name, *(const struct sl_bytes *)key);
}

static bool name_collides(const struct chain_link *link, const void *key)
{
    return topic_name_collides(topic_of_name_link(link)->name, *(const struct sl_bytes *)key);
}

static bool id_matches(const struct chain_link *link, const void *key)
{
    return sl_uuid_equal(&topic_of_id_link(link)->id, key);
}

static bool reservation_matches(const struct chain_link *link, const void *key)
{
    return sl_bytes_equal(reservation_of(link)->name, *(const struct sl_bytes *)key);
}

static bool reservation_collides(const struct chain_link *link, const void *key)
{
    return topic_name_collides(reservation_of(link)->name, *(const struct sl_bytes *)key);
}

static uint64_t id_hash(const struct sl_uuid *id)
{
    return sl_hash64(id->b, sizeof id->b);
}

static uint32_t limit_or(uint32_t given, uint32_t otherwise)
{
    return given != 0 ? given : otherwise;
}

struct catalog *catalog_new(const struct catalog_limits *limits,
                            const struct broker_settings *broker,
                            const struct catalog_events *events, void *events_arg)
{
    struct catalog *catalog = sl_alloc_zero(1, sizeof *catalog);
    if (catalog == NULL)
        return NULL;
    if (chain_map_init(&catalog->by_name) != SLUICE_OK ||
        chain_map_init(&catalog->by_id) != SLUICE_OK ||
        chain_map_init(&catalog->reserved) != SLUICE_OK) {
        chain_map_fini(&catalog->by_name);
        chain_map_fini(&catalog->by_id);
        sl_free(catalog);
        return NULL;
    }
    catalog->limits.topics_max = limit_or(limits->topics_max, 100000);
    catalog->limits.partitions_max = limit_or(limits->partitions_max, 1000000);
    catalog->limits.topic_partitions_max = limit_or(limits->topic_partitions_max, 10000);
    catalog->broker = broker;
    if (events != NULL)
        catalog->events = *events;
    catalog->events_arg = events_arg;
    return catalog;
}

static void topic_visit_free(void *arg, struct chain_link *link)
{
    (void)arg;
    topic_free(topic_of_name_link(link));
}

static void reservation_visit_free(void *arg, struct chain_link *link)
{
    (void)arg;
    sl_free(reservation_of(link));
}

struct catalog *catalog_free(struct catalog *catalog)
{
    if (catalog != NULL) {
        chain_map_each(&catalog->by_name, topic_visit_free, NULL);
        chain_map_each(&catalog->reserved, reservation_visit_free, NULL);
        chain_map_fini(&catalog->by_name);
        chain_map_fini(&catalog->by_id);
        chain_map_fini(&catalog->reserved);
        sl_free(catalog);
    }
    return NULL;
}

struct topic *catalog_by_name(const struct catalog *catalog, struct sl_bytes name)
{
    struct chain_link *link =
        chain_map_get(&catalog->by_name, topic_name_hash(name), name_matches, &name);
    return link == NULL ? NULL : topic_of_name_link(link);
}

struct topic *catalog_by_id(const struct catalog *catalog, const struct sl_uuid *id)
{
    struct chain_link *link = chain_map_get(&catalog->by_id, id_hash(id), id_matches, id);
    return link == NULL ? NULL : topic_of_id_link(link);
}

uint64_t catalog_version(const struct catalog *catalog)
{
    return catalog->version;
}

uint32_t catalog_topic_count(const struct catalog *catalog)
{
    return catalog->by_name.count;
}

uint32_t catalog_partition_count(const struct catalog *catalog)
{
    return catalog->partition_count;
}

struct each {
    void (*visit)(void *arg, struct topic *topic);
    void *arg;
};

static void each_visit(void *arg, struct chain_link *link)
{
    const struct each *each = arg;
    each->visit(each->arg, topic_of_name_link(link));
}

void catalog_each(const struct catalog *catalog, void (*visit)(void *arg, struct topic *topic),
                  void *arg)
{
    struct each each = {visit, arg};
    chain_map_each(&catalog->by_name, each_visit, &each);
}

/* Room for settings of its own, where there are overrides. Most topics have none. */
static sl_err settings_reserve(struct topic *topic, uint32_t override_count)
{
    if (override_count > 0 && topic->own_settings == NULL)
        topic->own_settings = sl_alloc_zero(1, sizeof *topic->own_settings);
    return override_count > 0 && topic->own_settings == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
}

static void settings_resolve(struct catalog *catalog, struct topic *topic)
{
    bool is_own = topic->override_count > 0;
    struct topic_settings *settings = is_own ? topic->own_settings : &catalog->defaults;
    topic_settings_resolve(topic->overrides, topic->override_count, catalog->broker, settings);
    topic->settings = settings;
}

static void notify(const struct catalog *catalog, void (*event)(void *arg, struct topic *topic),
                   struct topic *topic)
{
    if (event != NULL)
        event(catalog->events_arg, topic);
}

static void refresh_visit(void *arg, struct topic *topic)
{
    struct catalog *catalog = arg;
    settings_resolve(catalog, topic);
    notify(catalog, catalog->events.changed, topic);
}

void catalog_refresh(struct catalog *catalog)
{
    catalog_each(catalog, refresh_visit, catalog);
}

/* ---- specs and reservations ---- */

static struct reservation *reservation_get(const struct catalog *catalog, struct sl_bytes name)
{
    struct chain_link *link =
        chain_map_get(&catalog->reserved, topic_name_hash(name), reservation_matches, &name);
    return link == NULL ? NULL : reservation_of(link);
}

static sl_err name_free_check(const struct catalog *catalog, struct sl_bytes name,
                              char ret_reason[CATALOG_REASON_BYTES])
{
    uint64_t hash = topic_name_hash(name);
    if (catalog_by_name(catalog, name) != NULL || reservation_get(catalog, name) != NULL) {
        snprintf(ret_reason, CATALOG_REASON_BYTES, "topic '%.*s' exists already", (int)name.size,
                 (const char *)name.data);
        return SLUICE_E_TOPIC_EXISTS;
    }
    if (chain_map_get(&catalog->by_name, hash, name_collides, &name) != NULL ||
        chain_map_get(&catalog->reserved, hash, reservation_collides, &name) != NULL) {
        snprintf(ret_reason, CATALOG_REASON_BYTES,
                 "a topic exists whose name differs only by '.' and '_'");
        return SLUICE_E_INVALID_TOPIC;
    }
    return SLUICE_OK;
}

static sl_err partitions_check(const struct catalog *catalog, int32_t wanted,
                               uint32_t *ret_partition_count, char ret_reason[CATALOG_REASON_BYTES])
{
    int32_t count = wanted == -1 ? catalog->broker->partition_count : wanted;
    if (count < 1 || (uint32_t)count > catalog->limits.topic_partitions_max) {
        snprintf(ret_reason, CATALOG_REASON_BYTES,
                 "%d partitions: it must be 1 to %u, or -1 for the default", count,
                 catalog->limits.topic_partitions_max);
        return SLUICE_E_INVALID_PARTITIONS;
    }
    *ret_partition_count = (uint32_t)count;
    return SLUICE_OK;
}

static sl_err replication_check(int32_t factor, char ret_reason[CATALOG_REASON_BYTES])
{
    if (factor == -1 || factor == 1)
        return SLUICE_OK;
    snprintf(ret_reason, CATALOG_REASON_BYTES,
             "replication factor %d: on a single node it must be 1, or -1 for the default", factor);
    return SLUICE_E_INVALID_REPLICATION_FACTOR;
}

static bool config_repeats(const struct sluice_key_value *configs, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++) {
        if (sl_bytes_equal(sl_of_text(configs[i].key), sl_of_text(configs[index].key)))
            return true;
    }
    return false;
}

static sl_err configs_check(const struct sluice_key_value *configs, uint32_t count,
                            char ret_reason[CATALOG_REASON_BYTES])
{
    if (count > TOPIC_OVERRIDES_MAX) {
        snprintf(ret_reason, CATALOG_REASON_BYTES, "more than %u configs", TOPIC_OVERRIDES_MAX);
        return SLUICE_E_INVALID_CONFIG;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct sl_bytes key = sl_of_text(configs[i].key);
        const struct topic_config_key *known = topic_config_find(key);
        /* A null value asks for the default; the key must be known all the same. */
        struct sl_bytes value = sl_of_text(configs[i].value);
        if (configs[i].value.data == NULL && known != NULL)
            value = sl_bytes_of_text(known->default_value);
        sl_err err = topic_config_check(key, value, ret_reason);
        if (err != SLUICE_OK)
            return err;
        if (config_repeats(configs, i)) {
            snprintf(ret_reason, CATALOG_REASON_BYTES, "%s is given twice", known->name);
            return SLUICE_E_INVALID_CONFIG;
        }
    }
    return SLUICE_OK;
}

static struct sl_bytes config_of(const struct sluice_key_value *configs, uint32_t count,
                                 const char *key)
{
    for (uint32_t i = 0; i < count; i++) {
        if (sl_bytes_equal(sl_of_text(configs[i].key), sl_bytes_of_text(key)))
            return sl_of_text(configs[i].value);
    }
    return (struct sl_bytes){0};
}

/* What a class cannot be combined with. */
static sl_err durability_check(const struct catalog *catalog,
                               const struct sluice_key_value *configs, uint32_t count,
                               char ret_reason[CATALOG_REASON_BYTES])
{
    struct sl_bytes durability = config_of(configs, count, "sluice.durability");
    struct sl_bytes cleanup = config_of(configs, count, "cleanup.policy");
    bool wants_memory = config_list_has(durability, "memory");
    bool compacts = cleanup.data != NULL ? config_list_has(cleanup, "compact")
                                         : catalog->broker->cleanup_compact;
    if (catalog->broker->in_memory && durability.data != NULL && !wants_memory) {
        snprintf(
            ret_reason, CATALOG_REASON_BYTES,
            "sluice.durability: this broker has no disk (data.dir: none), so that '%.*s' cannot "
            "be kept: only 'memory' can",
            (int)SL_MIN(durability.size, 20u), (const char *)durability.data);
        return SLUICE_E_INVALID_CONFIG;
    }
    if (compacts && (wants_memory || catalog->broker->in_memory)) {
        snprintf(
            ret_reason, CATALOG_REASON_BYTES,
            "cleanup.policy: a topic in memory cannot be compacted, only 'delete' is possible");
        return SLUICE_E_INVALID_CONFIG;
    }
    return SLUICE_OK;
}

sl_err catalog_configs_check(const struct catalog *catalog, const struct sluice_key_value *configs,
                             uint32_t count, char ret_reason[CATALOG_REASON_BYTES])
{
    sl_err err = configs_check(configs, count, ret_reason);
    return err == SLUICE_OK ? durability_check(catalog, configs, count, ret_reason) : err;
}

const struct broker_settings *catalog_broker(const struct catalog *catalog)
{
    return catalog->broker;
}

static sl_err room_check(const struct catalog *catalog, uint32_t partition_count,
                         char ret_reason[CATALOG_REASON_BYTES])
{
    uint64_t topics = (uint64_t)catalog->by_name.count + catalog->reserved.count;
    uint64_t partitions = (uint64_t)catalog->partition_count + catalog->reserved_partition_count;
    if (topics >= catalog->limits.topics_max) {
        snprintf(ret_reason, CATALOG_REASON_BYTES, "there are %u topics already, the most allowed",
                 catalog->limits.topics_max);
        return SLUICE_E_LIMIT;
    }
    if (partitions + partition_count > catalog->limits.partitions_max) {
        snprintf(ret_reason, CATALOG_REASON_BYTES,
                 "%u more partitions would exceed the %u allowed on this node", partition_count,
                 catalog->limits.partitions_max);
        return SLUICE_E_LIMIT;
    }
    return SLUICE_OK;
}

sl_err catalog_grow_check(const struct catalog *catalog, const struct topic *topic, int32_t wanted,
                          char ret_reason[CATALOG_REASON_BYTES])
{
    uint32_t partition_count = 0;
    if (wanted <= (int64_t)topic->partition_count) {
        snprintf(ret_reason, CATALOG_REASON_BYTES,
                 "the topic has %u partitions already, and their number can only grow",
                 topic->partition_count);
        return SLUICE_E_INVALID_PARTITIONS;
    }
    sl_err err = partitions_check(catalog, wanted, &partition_count, ret_reason);
    uint64_t all = (uint64_t)catalog->partition_count + catalog->reserved_partition_count;
    if (err == SLUICE_OK &&
        all + (partition_count - topic->partition_count) > catalog->limits.partitions_max) {
        snprintf(ret_reason, CATALOG_REASON_BYTES,
                 "%u more partitions would exceed the %u allowed on this node",
                 partition_count - topic->partition_count, catalog->limits.partitions_max);
        err = SLUICE_E_LIMIT;
    }
    return err;
}

sl_err catalog_spec_check(const struct catalog *catalog, const struct sluice_topic_spec *spec,
                          bool internal, uint32_t *ret_partition_count,
                          char ret_reason[CATALOG_REASON_BYTES])
{
    struct sl_bytes name = sl_of_text(spec->name);
    const char *reason = "";
    uint32_t partition_count = 0;
    sl_err err = topic_name_check(name, internal, &reason);
    if (err != SLUICE_OK) {
        snprintf(ret_reason, CATALOG_REASON_BYTES, "%s", reason);
        return err;
    }
    err = name_free_check(catalog, name, ret_reason);
    if (err == SLUICE_OK)
        err = partitions_check(catalog, spec->partition_count, &partition_count, ret_reason);
    if (err == SLUICE_OK)
        err = replication_check(spec->replication_factor, ret_reason);
    if (err == SLUICE_OK)
        err = catalog_configs_check(catalog, spec->configs, spec->config_count, ret_reason);
    if (err == SLUICE_OK)
        err = room_check(catalog, partition_count, ret_reason);
    if (err == SLUICE_OK)
        *ret_partition_count = partition_count;
    return err;
}

sl_err catalog_reserve(struct catalog *catalog, struct sl_bytes name, uint32_t partition_count)
{
    SL_ASSERT(reservation_get(catalog, name) == NULL);
    struct reservation *reservation = sl_alloc(sizeof *reservation + name.size);
    if (reservation == NULL)
        return SLUICE_E_NO_MEMORY;
    uint8_t *bytes = (uint8_t *)(reservation + 1);
    sl_bytes_copy(bytes, name);
    reservation->name = sl_bytes_of(bytes, name.size);
    reservation->partition_count = partition_count;
    catalog->reserved_partition_count += partition_count;
    chain_map_put(&catalog->reserved, &reservation->by_name, topic_name_hash(name));
    return SLUICE_OK;
}

void catalog_release(struct catalog *catalog, struct sl_bytes name)
{
    struct reservation *reservation = reservation_get(catalog, name);
    if (reservation != NULL) {
        catalog->reserved_partition_count -= reservation->partition_count;
        chain_map_remove(&catalog->reserved, &reservation->by_name);
        sl_free(reservation);
    }
}

/* ---- apply ---- */

static sl_err create_apply(struct catalog *catalog, struct sl_bytes payload)
{
    struct topic *topic = NULL;
    sl_err err = catalog_item_topic(payload, &topic);
    if (err != SLUICE_OK)
        return err;
    const struct topic *same_name = catalog_by_name(catalog, topic->name);
    const struct topic *same_id = catalog_by_id(catalog, &topic->id);
    if (same_name != NULL || same_id != NULL) {
        topic_free(topic);
        return same_name == same_id ? SLUICE_OK : SLUICE_E_CORRUPT;
    }
    err = settings_reserve(topic, topic->override_count);
    if (err != SLUICE_OK) {
        topic_free(topic);
        return err;
    }
    catalog_release(catalog, topic->name);
    topic->serial = ++catalog->serial;
    settings_resolve(catalog, topic);
    chain_map_put(&catalog->by_name, &topic->by_name, topic_name_hash(topic->name));
    chain_map_put(&catalog->by_id, &topic->by_id, id_hash(&topic->id));
    catalog->partition_count += topic->partition_count;
    catalog->version++;
    notify(catalog, catalog->events.created, topic);
    return SLUICE_OK;
}

static sl_err delete_apply(struct catalog *catalog, struct sl_bytes payload)
{
    struct sl_uuid id;
    sl_err err = catalog_item_delete(payload, &id);
    struct topic *topic = err == SLUICE_OK ? catalog_by_id(catalog, &id) : NULL;
    if (topic == NULL)
        return err;
    catalog->version++;
    notify(catalog, catalog->events.deleted, topic);
    chain_map_remove(&catalog->by_name, &topic->by_name);
    chain_map_remove(&catalog->by_id, &topic->by_id);
    catalog->partition_count -= topic->partition_count;
    catalog->version++; /* again: who was told may have looked it up under the first */
    topic_free(topic);
    return SLUICE_OK;
}

static sl_err config_apply(struct catalog *catalog, struct sl_bytes payload)
{
    struct sl_uuid id;
    struct topic_override *overrides = NULL;
    uint32_t count = 0;
    sl_err err = catalog_item_config(payload, &id, &overrides, &count);
    if (err != SLUICE_OK)
        return err;
    struct topic *topic = catalog_by_id(catalog, &id);
    if (topic == NULL) {
        topic_overrides_free(overrides, count);
        return SLUICE_OK;
    }
    err = settings_reserve(topic, count);
    if (err != SLUICE_OK) {
        topic_overrides_free(overrides, count);
        return err;
    }
    topic_overrides_free(topic->overrides, topic->override_count);
    topic->overrides = overrides;
    topic->override_count = count;
    settings_resolve(catalog, topic);
    notify(catalog, catalog->events.changed, topic);
    return SLUICE_OK;
}

static sl_err grow_apply(struct catalog *catalog, struct sl_bytes payload)
{
    struct topic_growth growth;
    sl_err err = catalog_item_growth(payload, &growth);
    struct topic *topic = err == SLUICE_OK ? catalog_by_id(catalog, &growth.id) : NULL;
    if (topic == NULL || topic->partition_count >= growth.count)
        return err;
    uint32_t was_count = topic->partition_count;
    uint16_t was_stride = topic->stride;
    err = topic_grow(topic, &growth);
    if (err != SLUICE_OK)
        return err;
    catalog->partition_count += topic->partition_count - was_count;
    catalog->version++;
    if (catalog->events.grown != NULL)
        catalog->events.grown(catalog->events_arg, topic, was_count, was_stride);
    return SLUICE_OK;
}

sl_err catalog_apply(struct catalog *catalog, uint16_t kind, uint8_t version,
                     struct sl_bytes payload)
{
    static sl_err (*const appliers[])(struct catalog *, struct sl_bytes) = {
        [WAL_ITEM_TOPIC_CREATE] = create_apply,
        [WAL_ITEM_TOPIC_DELETE] = delete_apply,
        [WAL_ITEM_TOPIC_CONFIG] = config_apply,
        [WAL_ITEM_TOPIC_GROW] = grow_apply,
    };
    SL_ASSERT(kind < SL_COUNT_OF(appliers) && appliers[kind] != NULL);
    if (version > CATALOG_ITEM_VERSION)
        return SLUICE_E_NEWER_FORMAT;
    return version == 0 ? SLUICE_E_CORRUPT : appliers[kind](catalog, payload);
}

struct snapshot {
    catalog_add_fn *add;
    void *arg;
    uint32_t serial; /* the last that is wanted */
    sl_err err;
};

static void snapshot_visit(void *arg, struct topic *topic)
{
    struct snapshot *snapshot = arg;
    struct sl_bytes payload = {0};
    /* Wraps after four thousand million topics; the distance counts. */
    if (snapshot->err == SLUICE_OK && (int32_t)(topic->serial - snapshot->serial) <= 0)
        snapshot->err = catalog_item_encode_topic(topic, &payload);
    if (snapshot->err == SLUICE_OK && payload.data != NULL)
        snapshot->err =
            snapshot->add(snapshot->arg, WAL_ITEM_TOPIC_CREATE, CATALOG_ITEM_VERSION, payload);
    sl_free((void *)(uintptr_t)payload.data);
}

sl_err catalog_snapshot(const struct catalog *catalog, catalog_add_fn *add, void *add_arg)
{
    struct snapshot snapshot = {add, add_arg, catalog->serial, SLUICE_OK};
    catalog_each(catalog, snapshot_visit, &snapshot);
    return snapshot.err;
}

void catalog_walk_begin(const struct catalog *catalog, struct catalog_walk *ret_walk)
{
    *ret_walk = (struct catalog_walk){.serial = catalog->serial};
}

static void walk_visit(void *arg, struct chain_link *link)
{
    snapshot_visit(arg, topic_of_name_link(link));
}

sl_err catalog_walk_next(const struct catalog *catalog, struct catalog_walk *walk, uint32_t count,
                         catalog_add_fn *add, void *add_arg, bool *ret_done)
{
    struct snapshot snapshot = {add, add_arg, walk->serial, SLUICE_OK};
    walk->bucket = chain_map_visit(&catalog->by_name, walk->bucket, count, walk_visit, &snapshot);
    *ret_done = walk->bucket == UINT32_MAX;
    return snapshot.err;
}
