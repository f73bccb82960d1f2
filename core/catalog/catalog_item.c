/* catalog_item.c: encoding and decoding of TOPIC_* payloads. A payload is input: every length is
 * checked. */
#include "catalog/catalog_item.h"

#include "base/hash.h"
#include "catalog/item_codec.h"

#define FLAG_INTERNAL          1u
#define FLAGS_KNOWN            FLAG_INTERNAL
#define ITEM_PARTITIONS_MAX    1000000u
#define ITEM_CREATE_FIXED_SIZE 28u
#define ITEM_CONFIG_FIXED_SIZE 18u
#define ITEM_GROW_FIXED_SIZE   24u

/* What a TOPIC_CREATE is written from; topic NULL: placed by the rule over shard_count. */
struct create_source {
    const struct sl_uuid *id;
    struct sl_bytes name;
    const struct topic *topic;
    const struct sluice_key_value *configs;
    uint32_t config_count;
    uint32_t partition_count;
    uint32_t shard_count;
    bool internal;
};

static uint32_t configs_count(const struct sluice_key_value *configs, uint32_t count)
{
    uint32_t given = 0;
    for (uint32_t i = 0; i < count; i++)
        given += configs[i].value.data != NULL;
    return given;
}

static size_t configs_size(const struct sluice_key_value *configs, uint32_t count)
{
    size_t size = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (configs[i].value.data != NULL)
            size += 4u + (size_t)configs[i].key.size + (size_t)configs[i].value.size;
    }
    return size;
}

static uint8_t *configs_write(uint8_t *at, const struct sluice_key_value *configs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (configs[i].value.data == NULL)
            continue;
        at = item_write_u16(at, (uint16_t)configs[i].key.size);
        at = item_write_u16(at, (uint16_t)configs[i].value.size);
        at = item_write_bytes(at, sl_of_text(configs[i].key));
        at = item_write_bytes(at, sl_of_text(configs[i].value));
    }
    return at;
}

uint16_t catalog_partition_shard(const struct sl_uuid *id, uint32_t partition, uint32_t shard_count)
{
    uint64_t hash = sl_hash64(id->b, sizeof id->b);
    return (uint16_t)((hash + partition) % shard_count);
}

static uint16_t shard_of(const struct create_source *source, uint32_t partition)
{
    if (source->topic != NULL)
        return topic_shard(source->topic, partition);
    return catalog_partition_shard(source->id, partition, source->shard_count);
}

static sl_err create_encode(const struct create_source *source, struct sl_bytes *ret_payload)
{
    size_t size = ITEM_CREATE_FIXED_SIZE + source->name.size +
                  2u * (size_t)source->partition_count +
                  configs_size(source->configs, source->config_count);
    uint8_t *payload = sl_alloc(size);
    if (payload == NULL)
        return SLUICE_E_NO_MEMORY;
    uint8_t *at = item_write_uuid(payload, source->id);
    at = item_write_u32(at, source->internal ? FLAG_INTERNAL : 0);
    at = item_write_u32(at, source->partition_count);
    at = item_write_u16(at, (uint16_t)source->name.size);
    at = item_write_u16(at, (uint16_t)configs_count(source->configs, source->config_count));
    at = item_write_bytes(at, source->name);
    for (uint32_t i = 0; i < source->partition_count; i++)
        at = item_write_u16(at, shard_of(source, i));
    at = configs_write(at, source->configs, source->config_count);
    SL_ASSERT(at == payload + size);
    *ret_payload = sl_bytes_of(payload, size);
    return SLUICE_OK;
}

sl_err catalog_create_encode(const struct sluice_topic_spec *spec, const struct sl_uuid *id,
                             uint32_t partition_count, uint32_t shard_count, bool internal,
                             struct sl_bytes *ret_payload)
{
    SL_ASSERT(shard_count > 0 && shard_count <= UINT16_MAX && !sl_uuid_is_zero(id));
    struct create_source source = {
        .id = id,
        .name = sl_of_text(spec->name),
        .configs = spec->configs,
        .config_count = spec->config_count,
        .partition_count = partition_count,
        .shard_count = shard_count,
        .internal = internal,
    };
    return create_encode(&source, ret_payload);
}

sl_err catalog_item_encode_topic(const struct topic *topic, struct sl_bytes *ret_payload)
{
    struct sluice_key_value configs[TOPIC_OVERRIDES_MAX];
    SL_ASSERT(topic->override_count <= TOPIC_OVERRIDES_MAX);
    for (uint32_t i = 0; i < topic->override_count; i++) {
        configs[i].key = sluice_text_of(topic->overrides[i].key->name);
        configs[i].value = sluice_text_of(topic->overrides[i].value);
    }
    struct create_source source = {
        .id = &topic->id,
        .name = topic->name,
        .topic = topic,
        .configs = configs,
        .config_count = topic->override_count,
        .partition_count = topic->partition_count,
        .internal = topic->internal,
    };
    return create_encode(&source, ret_payload);
}

sl_err catalog_delete_encode(const struct sl_uuid *id, struct sl_bytes *ret_payload)
{
    uint8_t *payload = sl_alloc(sizeof id->b);
    if (payload == NULL)
        return SLUICE_E_NO_MEMORY;
    item_write_uuid(payload, id);
    *ret_payload = sl_bytes_of(payload, sizeof id->b);
    return SLUICE_OK;
}

sl_err catalog_config_encode(const struct sl_uuid *id, const struct sluice_key_value *configs,
                             uint32_t config_count, struct sl_bytes *ret_payload)
{
    size_t size = ITEM_CONFIG_FIXED_SIZE + configs_size(configs, config_count);
    uint8_t *payload = sl_alloc(size);
    if (payload == NULL)
        return SLUICE_E_NO_MEMORY;
    uint8_t *at = item_write_uuid(payload, id);
    at = item_write_u16(at, (uint16_t)configs_count(configs, config_count));
    at = configs_write(at, configs, config_count);
    SL_ASSERT(at == payload + size);
    *ret_payload = sl_bytes_of(payload, size);
    return SLUICE_OK;
}

sl_err catalog_grow_encode(const struct topic *topic, uint32_t partition_count,
                           uint32_t shard_count, struct sl_bytes *ret_payload)
{
    SL_ASSERT(partition_count > topic->partition_count);
    uint32_t added = partition_count - topic->partition_count;
    size_t size = ITEM_GROW_FIXED_SIZE + 2u * (size_t)added;
    uint8_t *payload = sl_alloc(size);
    if (payload == NULL)
        return SLUICE_E_NO_MEMORY;
    uint8_t *at = item_write_uuid(payload, &topic->id);
    at = item_write_u32(at, topic->partition_count);
    at = item_write_u32(at, partition_count);
    for (uint32_t i = topic->partition_count; i < partition_count; i++)
        at = item_write_u16(at, catalog_partition_shard(&topic->id, i, shard_count));
    SL_ASSERT(at == payload + size);
    *ret_payload = sl_bytes_of(payload, size);
    return SLUICE_OK;
}

/* ---- decoding ---- */

void topic_overrides_free(struct topic_override *overrides, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        sl_free(overrides[i].value);
    sl_free(overrides);
}

struct topic *topic_free(struct topic *topic)
{
    if (topic != NULL) {
        topic_overrides_free(topic->overrides, topic->override_count);
        sl_free((void *)(uintptr_t)topic->name.data);
        sl_free(topic->shards);
        sl_free(topic->own_settings);
        sl_free(topic);
    }
    return NULL;
}

static sl_err override_read(struct item_reader *reader, struct topic_override *ret_override)
{
    char reason[CONFIG_REASON_BYTES];
    uint16_t key_size = item_read_u16(reader);
    uint16_t value_size = item_read_u16(reader);
    struct sl_bytes key = item_read_bytes(reader, key_size);
    struct sl_bytes value = item_read_bytes(reader, value_size);
    if (reader->failed)
        return SLUICE_E_CORRUPT;
    const struct topic_config_key *known = topic_config_find(key);
    if (known == NULL)
        return SLUICE_E_NEWER_FORMAT;
    if (topic_config_check(key, value, reason) != SLUICE_OK)
        return SLUICE_E_CORRUPT;
    ret_override->key = known;
    ret_override->value = sl_strdup_bytes(value.data, value.size);
    return ret_override->value == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
}

static sl_err overrides_read(struct item_reader *reader, uint32_t count,
                             struct topic_override **ret_overrides)
{
    if (count > TOPIC_OVERRIDES_MAX)
        return SLUICE_E_CORRUPT;
    if (count == 0) {
        *ret_overrides = NULL;
        return SLUICE_OK;
    }
    struct topic_override *overrides = sl_alloc_zero(count, sizeof *overrides);
    sl_err err = overrides == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    for (uint32_t i = 0; i < count && err == SLUICE_OK; i++)
        err = override_read(reader, &overrides[i]);
    if (err != SLUICE_OK) {
        if (overrides != NULL)
            topic_overrides_free(overrides, count);
        return err;
    }
    *ret_overrides = overrides;
    return SLUICE_OK;
}

/* One after the other in a circle, as they are placed when created: nothing is kept for each. */
static bool shards_are_in_turn(const uint8_t *raw, uint32_t count, struct topic *topic)
{
    uint32_t highest = 0;
    for (uint32_t i = 0; i < count; i++)
        highest = SL_MAX(highest, (uint32_t)sl_le16_load(raw + 2u * (size_t)i));
    topic->first_shard = sl_le16_load(raw);
    topic->stride = (uint16_t)SL_MIN(highest + 1, (uint32_t)UINT16_MAX);
    for (uint32_t i = 0; i < count; i++) {
        if (sl_le16_load(raw + 2u * (size_t)i) != topic_shard(topic, i))
            return false;
    }
    return true;
}

/* raw: u16 of each partition. E_NO_MEMORY. */
static sl_err shards_set(struct topic *topic, const uint8_t *raw)
{
    if (shards_are_in_turn(raw, topic->partition_count, topic))
        return SLUICE_OK;
    topic->stride = 1;
    topic->shards = sl_alloc_zero(topic->partition_count, sizeof *topic->shards);
    if (topic->shards == NULL)
        return SLUICE_E_NO_MEMORY;
    for (uint32_t i = 0; i < topic->partition_count; i++)
        topic->shards[i] = sl_le16_load(raw + 2u * (size_t)i);
    return SLUICE_OK;
}

static sl_err shards_read(struct item_reader *reader, struct topic *topic)
{
    struct sl_bytes raw = item_read_bytes(reader, 2u * (size_t)topic->partition_count);
    return reader->failed ? SLUICE_E_CORRUPT : shards_set(topic, raw.data);
}

sl_err catalog_item_growth(struct sl_bytes payload, struct topic_growth *ret_growth)
{
    struct item_reader reader = item_reader_of(payload);
    struct topic_growth growth = {.id = item_read_uuid(&reader)};
    growth.first = item_read_u32(&reader);
    growth.count = item_read_u32(&reader);
    if (reader.failed || growth.first == 0 || growth.first >= growth.count ||
        growth.count > ITEM_PARTITIONS_MAX)
        return SLUICE_E_CORRUPT;
    growth.shards = item_read_bytes(&reader, 2u * (size_t)(growth.count - growth.first));
    if (!item_read_end(&reader))
        return SLUICE_E_CORRUPT;
    *ret_growth = growth;
    return SLUICE_OK;
}

sl_err topic_grow(struct topic *topic, const struct topic_growth *growth)
{
    uint32_t has = topic->partition_count;
    if (growth->first > has)
        return SLUICE_E_CORRUPT;
    uint8_t *raw = sl_alloc(2u * (size_t)growth->count);
    if (raw == NULL)
        return SLUICE_E_NO_MEMORY;
    for (uint32_t i = 0; i < has; i++)
        item_write_u16(raw + 2u * (size_t)i, topic_shard(topic, i));
    memcpy(raw + 2u * (size_t)has, growth->shards.data + 2u * (size_t)(has - growth->first),
           2u * (size_t)(growth->count - has));
    struct topic grown = {.partition_count = growth->count};
    sl_err err = shards_set(&grown, raw);
    sl_free(raw);
    if (err != SLUICE_OK)
        return err;
    sl_free(topic->shards);
    topic->shards = grown.shards;
    topic->first_shard = grown.first_shard;
    topic->stride = grown.stride;
    topic->partition_count = grown.partition_count;
    return SLUICE_OK;
}

static sl_err topic_read(struct item_reader *reader, struct topic *topic)
{
    const char *reason;
    topic->id = item_read_uuid(reader);
    uint32_t flags = item_read_u32(reader);
    topic->internal = (flags & FLAG_INTERNAL) != 0;
    topic->partition_count = item_read_u32(reader);
    uint16_t name_size = item_read_u16(reader);
    uint16_t config_count = item_read_u16(reader);
    struct sl_bytes name = item_read_bytes(reader, name_size);
    if (reader->failed || sl_uuid_is_zero(&topic->id) || topic->partition_count == 0 ||
        topic->partition_count > ITEM_PARTITIONS_MAX ||
        topic_name_check(name, true, &reason) != SLUICE_OK)
        return SLUICE_E_CORRUPT;
    if ((flags & ~FLAGS_KNOWN) != 0)
        return SLUICE_E_NEWER_FORMAT;
    char *copy = sl_strdup_bytes(name.data, name.size);
    if (copy == NULL)
        return SLUICE_E_NO_MEMORY;
    topic->name = sl_bytes_of(copy, name.size);
    sl_err err = shards_read(reader, topic);
    if (err == SLUICE_OK)
        err = overrides_read(reader, config_count, &topic->overrides);
    if (err == SLUICE_OK)
        topic->override_count = config_count;
    return err == SLUICE_OK && !item_read_end(reader) ? SLUICE_E_CORRUPT : err;
}

sl_err catalog_item_topic(struct sl_bytes payload, struct topic **ret_topic)
{
    struct topic *topic = sl_alloc_zero(1, sizeof *topic);
    if (topic == NULL)
        return SLUICE_E_NO_MEMORY;
    struct item_reader reader = item_reader_of(payload);
    sl_err err = topic_read(&reader, topic);
    if (err != SLUICE_OK) {
        topic_free(topic);
        return err;
    }
    *ret_topic = topic;
    return SLUICE_OK;
}

sl_err catalog_item_config(struct sl_bytes payload, struct sl_uuid *ret_id,
                           struct topic_override **ret_overrides, uint32_t *ret_count)
{
    struct item_reader reader = item_reader_of(payload);
    struct topic_override *overrides = NULL;
    struct sl_uuid id = item_read_uuid(&reader);
    uint16_t count = item_read_u16(&reader);
    if (reader.failed)
        return SLUICE_E_CORRUPT;
    sl_err err = overrides_read(&reader, count, &overrides);
    if (err != SLUICE_OK)
        return err;
    if (!item_read_end(&reader)) {
        topic_overrides_free(overrides, count);
        return SLUICE_E_CORRUPT;
    }
    *ret_id = id;
    *ret_overrides = overrides;
    *ret_count = count;
    return SLUICE_OK;
}

sl_err catalog_item_delete(struct sl_bytes payload, struct sl_uuid *ret_id)
{
    struct item_reader reader = item_reader_of(payload);
    struct sl_uuid id = item_read_uuid(&reader);
    if (!item_read_end(&reader))
        return SLUICE_E_CORRUPT;
    *ret_id = id;
    return SLUICE_OK;
}
