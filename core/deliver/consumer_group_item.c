/* consumer_group_item.c: groups and members as items of the log; a payload is input.
 *
 * Payloads (little-endian, version 1), sizes of texts 0xffff: there is none:
 *   GROUP             kind u8 (1: consumer), flags u8 (bit 0: gone), group size u16, epoch i32,
 *                     assignment epoch i32, hash of what it reads u64, group
 *   GROUP_MEMBER      flags u8 (bit 0: gone, bit 1: classic protocol), zero u8, sizes u16 of group,
 *                     member, instance, rack, client id, client host, pattern, assignor, principal
 *                     (on whose behalf the pattern is),
 *                     topic count u32, protocol count u32, rebalance timeout i32, session timeout
 *                     i32, the nine texts, per topic size u16 and name, per protocol name size
 *                     u16, metadata size u32, name, metadata
 *   GROUP_ASSIGNMENT  group size u16, member size u16, epoch i32, previous epoch i32, state u8,
 *                     zero u8 * 3, group, member, then three sets (assigned, being given back,
 *                     target): topic count u32, per topic its id 16, partition count u32, each
 *                     partition u32 and epoch i32
 * What is gone has only the fields up to the texts it is known by; the rest is zero or missing. */
#include "catalog/item_codec.h"
#include "deliver/consumer_group.h"

#define KIND_CONSUMER 1
#define FLAG_GONE     1u
#define FLAG_CLASSIC  2u
#define NO_TEXT       0xffffu
#define MEMBER_TEXTS  9u
#define PROTOCOLS_MAX 64u

/* ---- writing ---- */

static sl_err put(struct sl_buffer *out, uint64_t value, size_t size)
{
    uint8_t raw[8];
    sl_le64_store(raw, value);
    return sl_buffer_append(out, raw, size);
}

static sl_err put_bytes(struct sl_buffer *out, struct sl_bytes bytes)
{
    return sl_buffer_append(out, bytes.data, bytes.size);
}

static uint16_t size_of(struct sl_bytes text)
{
    SL_ASSERT(text.size < NO_TEXT);
    return (uint16_t)(text.data == NULL ? NO_TEXT : text.size);
}

/* Each row: value, bytes. */
struct field {
    uint64_t value;
    size_t size;
};

static sl_err put_fields(struct sl_buffer *out, const struct field *fields, uint32_t count)
{
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < count && err == SLUICE_OK; i++)
        err = put(out, fields[i].value, fields[i].size);
    return err;
}

sl_err consumer_group_encode(const struct consumer_group *group, bool gone,
                             struct sl_buffer *ret_payload)
{
    const struct field fields[] = {
        {KIND_CONSUMER, 1},
        {gone ? FLAG_GONE : 0, 1},
        {size_of(group->base.name), 2},
        {(uint32_t)(gone ? 0 : group->base.epoch), 4},
        {(uint32_t)(gone ? 0 : group->base.assignment_epoch), 4},
        {gone ? 0 : group->base.topics_hash, 8},
    };
    sl_buffer_reset(ret_payload);
    sl_err err = put_fields(ret_payload, fields, SL_COUNT_OF(fields));
    return err != SLUICE_OK ? err : put_bytes(ret_payload, group->base.name);
}

static sl_err put_lists(const struct consumer_member *member, struct sl_buffer *out)
{
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < member->topics.count && err == SLUICE_OK; i++) {
        err = put(out, member->topics.names[i].size, 2);
        err = err != SLUICE_OK ? err : put_bytes(out, member->topics.names[i]);
    }
    for (uint32_t i = 0; i < member->protocol_count && err == SLUICE_OK; i++) {
        const struct group_protocol *protocol = &member->protocols[i];
        err = put(out, protocol->name.size, 2);
        err = err != SLUICE_OK ? err : put(out, protocol->metadata.size, 4);
        err = err != SLUICE_OK ? err : put_bytes(out, protocol->name);
        err = err != SLUICE_OK ? err : put_bytes(out, protocol->metadata);
    }
    return err;
}

sl_err consumer_member_encode(const struct consumer_member *member, bool gone,
                              struct sl_buffer *ret_payload)
{
    struct sl_bytes none = {0};
    struct sl_bytes texts[MEMBER_TEXTS] = {
        member->base.group->name,
        member->base.id,
        gone ? none : member->instance,
        gone ? none : member->base.rack,
        gone ? none : member->base.client_id,
        gone ? none : member->base.client_host,
        gone || member->pattern == NULL ? none : member->pattern->text,
        gone ? none : member->assignor,
        gone || member->pattern == NULL ? none : member->pattern->principal,
    };
    const struct field counts[] = {
        {gone ? 0 : member->topics.count, 4},
        {gone ? 0 : member->protocol_count, 4},
        {(uint32_t)(gone ? 0 : member->base.rebalance_timeout_ms), 4},
        {(uint32_t)(gone ? 0 : member->session_timeout_ms), 4},
    };
    sl_buffer_reset(ret_payload);
    sl_err err = put(ret_payload, gone ? FLAG_GONE : member->is_classic ? FLAG_CLASSIC : 0, 2);
    for (uint32_t i = 0; i < MEMBER_TEXTS && err == SLUICE_OK; i++)
        err = put(ret_payload, size_of(texts[i]), 2);
    err = err != SLUICE_OK ? err : put_fields(ret_payload, counts, SL_COUNT_OF(counts));
    for (uint32_t i = 0; i < MEMBER_TEXTS && err == SLUICE_OK; i++)
        err = put_bytes(ret_payload, texts[i]);
    return err != SLUICE_OK || gone ? err : put_lists(member, ret_payload);
}

static bool same_topic(const struct partition_set *set, uint32_t a, uint32_t b)
{
    return sl_uuid_equal(&set->entries[a].topic, &set->entries[b].topic);
}

static sl_err put_set(const struct partition_set *set, struct sl_buffer *out)
{
    uint32_t topics = set->count != 0;
    for (uint32_t i = 1; i < set->count; i++)
        topics += !same_topic(set, i - 1, i);
    sl_err err = put(out, topics, 4);
    for (uint32_t i = 0; i < set->count && err == SLUICE_OK;) {
        uint32_t end = i + 1;
        while (end < set->count && same_topic(set, i, end))
            end++;
        err = sl_buffer_append(out, set->entries[i].topic.b, 16);
        err = err != SLUICE_OK ? err : put(out, end - i, 4);
        for (; i < end && err == SLUICE_OK; i++)
            err =
                put(out,
                    set->entries[i].partition | (uint64_t)(uint32_t)set->entries[i].epoch << 32, 8);
    }
    return err;
}

sl_err consumer_assignment_encode(const struct consumer_member *member,
                                  struct sl_buffer *ret_payload)
{
    const struct field fields[] = {
        {size_of(member->base.group->name), 2},
        {size_of(member->base.id), 2},
        {(uint32_t)member->base.epoch, 4},
        {(uint32_t)member->base.previous_epoch, 4},
        {member->base.state, 4},
    };
    sl_buffer_reset(ret_payload);
    sl_err err = put_fields(ret_payload, fields, SL_COUNT_OF(fields));
    err = err != SLUICE_OK ? err : put_bytes(ret_payload, member->base.group->name);
    err = err != SLUICE_OK ? err : put_bytes(ret_payload, member->base.id);
    err = err != SLUICE_OK ? err : put_set(&member->assigned, ret_payload);
    err = err != SLUICE_OK ? err : put_set(&member->revoking, ret_payload);
    return err != SLUICE_OK ? err : put_set(&member->target, ret_payload);
}

/* ---- applying ---- */

static sl_err apply_group(struct consumer_groups *groups, struct sl_bytes payload)
{
    struct item_reader reader = item_reader_of(payload);
    uint8_t kind = item_read_u8(&reader);
    uint8_t flags = item_read_u8(&reader);
    uint16_t size = item_read_u16(&reader);
    int32_t epoch = (int32_t)item_read_u32(&reader);
    int32_t assignment_epoch = (int32_t)item_read_u32(&reader);
    uint64_t hash = item_read_u64(&reader);
    struct sl_bytes name = item_read_bytes(&reader, size);
    if (!item_read_end(&reader) || kind == 0 || size == 0 || size > GROUP_ID_BYTES_MAX)
        return SLUICE_E_CORRUPT;
    if (kind != KIND_CONSUMER)
        return SLUICE_E_NEWER_FORMAT;
    struct consumer_group *group = consumer_group_get(groups, name);
    if ((flags & FLAG_GONE) != 0)
        return group == NULL ? SLUICE_OK : epoch_group_remove(&groups->base, &group->base);
    sl_err err = group == NULL ? consumer_group_add(groups, name, &group) : SLUICE_OK;
    if (err == SLUICE_OK) {
        group->base.epoch = epoch;
        group->base.assignment_epoch = assignment_epoch;
        group->base.topics_hash = hash;
    }
    return err;
}

struct member_item {
    uint16_t flags;
    struct sl_bytes texts[MEMBER_TEXTS];
    uint32_t topic_count, protocol_count;
    int32_t rebalance_timeout_ms, session_timeout_ms;
};

static void read_member(struct item_reader *reader, struct member_item *ret_item)
{
    uint16_t sizes[MEMBER_TEXTS];
    ret_item->flags = item_read_u16(reader);
    for (uint32_t i = 0; i < MEMBER_TEXTS; i++)
        sizes[i] = item_read_u16(reader);
    ret_item->topic_count = item_read_u32(reader);
    ret_item->protocol_count = item_read_u32(reader);
    ret_item->rebalance_timeout_ms = (int32_t)item_read_u32(reader);
    ret_item->session_timeout_ms = (int32_t)item_read_u32(reader);
    for (uint32_t i = 0; i < MEMBER_TEXTS; i++)
        ret_item->texts[i] =
            sizes[i] == NO_TEXT ? (struct sl_bytes){0} : item_read_bytes(reader, sizes[i]);
    for (uint32_t i = 0; i < MEMBER_TEXTS; i++) {
        if (sizes[i] == 0) /* a text without bytes is not none */
            ret_item->texts[i].data = (const uint8_t *)"";
    }
}

static sl_err read_topics(struct item_reader *reader, uint32_t count, struct name_list *list)
{
    bool changed = false;
    if (count > CONSUMER_GROUP_TOPICS_MAX || count > reader->size)
        return SLUICE_E_CORRUPT;
    struct sluice_text *names = sl_alloc_zero(count + 1u, sizeof *names);
    if (names == NULL)
        return SLUICE_E_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        struct sl_bytes name = item_read_bytes(reader, item_read_u16(reader));
        names[i] = (struct sluice_text){(const char *)name.data, name.size};
    }
    sl_err err = reader->failed ? SLUICE_E_CORRUPT : name_list_set(list, names, count, &changed);
    sl_free(names);
    return err;
}

static sl_err read_protocols(struct item_reader *reader, uint32_t count,
                             struct consumer_member *member)
{
    struct sluice_group_protocol protocols[PROTOCOLS_MAX];
    if (count > PROTOCOLS_MAX)
        return SLUICE_E_CORRUPT;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t name_size = item_read_u16(reader);
        uint32_t metadata_size = item_read_u32(reader);
        struct sl_bytes name = item_read_bytes(reader, name_size);
        struct sl_bytes metadata = item_read_bytes(reader, metadata_size);
        protocols[i] = (struct sluice_group_protocol){{(const char *)name.data, name.size},
                                                      {metadata.data, metadata.size}};
    }
    return reader->failed ? SLUICE_E_CORRUPT : consumer_protocols_set(member, protocols, count);
}

static sl_err fill_member(struct consumer_groups *groups, struct consumer_member *member,
                          const struct member_item *item, struct item_reader *reader)
{
    bool changed = false;
    const char *reason = NULL;
    struct sl_bytes *texts[] = {&member->instance, &member->base.rack, &member->base.client_id,
                                &member->base.client_host};
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < SL_COUNT_OF(texts) && err == SLUICE_OK; i++) {
        if (item->texts[i + 2].data != NULL)
            err = epoch_text_set(texts[i], item->texts[i + 2], &changed);
    }
    if (err == SLUICE_OK)
        err =
            consumer_pattern_set(groups, member, item->texts[6], item->texts[8], &changed, &reason);
    if (err == SLUICE_OK && item->texts[7].data != NULL)
        err = epoch_text_set(&member->assignor, item->texts[7], &changed);
    if (err == SLUICE_E_INVALID_REGEX)
        err = SLUICE_E_CORRUPT;
    member->is_classic = (item->flags & FLAG_CLASSIC) != 0;
    member->base.rebalance_timeout_ms = item->rebalance_timeout_ms;
    member->session_timeout_ms = item->session_timeout_ms;
    err = err != SLUICE_OK ? err : read_topics(reader, item->topic_count, &member->topics);
    err = err != SLUICE_OK ? err : read_protocols(reader, item->protocol_count, member);
    return err == SLUICE_OK && !item_read_end(reader) ? SLUICE_E_CORRUPT : err;
}

static sl_err apply_member(struct consumer_groups *groups, struct sl_bytes payload)
{
    struct item_reader reader = item_reader_of(payload);
    struct member_item item;
    read_member(&reader, &item);
    if (reader.failed || item.texts[0].size == 0 || item.texts[1].data == NULL)
        return SLUICE_E_CORRUPT;
    struct consumer_group *group = consumer_group_get(groups, item.texts[0]);
    struct consumer_member *member =
        group == NULL ? NULL : consumer_member_get(groups, group, item.texts[1]);
    if ((item.flags & FLAG_GONE) != 0)
        return member == NULL ? SLUICE_OK : epoch_member_remove(&groups->base, &member->base);
    if (group == NULL)
        return SLUICE_OK; /* deleted later */
    sl_err err = SLUICE_OK;
    if (member == NULL)
        err = consumer_member_add(groups, group, item.texts[1], &member);
    return err != SLUICE_OK ? err : fill_member(groups, member, &item, &reader);
}

static sl_err read_set(struct item_reader *reader, struct partition_set *set)
{
    uint32_t topics = item_read_u32(reader);
    sl_err err = SLUICE_OK;
    set->count = 0;
    for (uint32_t t = 0; t < topics && err == SLUICE_OK; t++) {
        struct sl_uuid topic = item_read_uuid(reader);
        uint32_t count = item_read_u32(reader);
        err = reader->failed || (uint64_t)count * 8 > reader->size ? SLUICE_E_CORRUPT : SLUICE_OK;
        for (uint32_t i = 0; i < count && err == SLUICE_OK; i++) {
            uint32_t partition = item_read_u32(reader);
            err = partition_set_add(set, &topic, partition, (int32_t)item_read_u32(reader));
        }
    }
    partition_set_sort(set);
    return err;
}

static sl_err apply_assignment(struct consumer_groups *groups, struct sl_bytes payload)
{
    struct item_reader reader = item_reader_of(payload);
    uint16_t group_size = item_read_u16(&reader);
    uint16_t member_size = item_read_u16(&reader);
    int32_t epoch = (int32_t)item_read_u32(&reader);
    int32_t previous_epoch = (int32_t)item_read_u32(&reader);
    uint32_t state = item_read_u32(&reader);
    struct sl_bytes name = item_read_bytes(&reader, group_size);
    struct sl_bytes id = item_read_bytes(&reader, member_size);
    if (reader.failed || state > MEMBER_UNRELEASED)
        return SLUICE_E_CORRUPT;
    struct consumer_group *group = consumer_group_get(groups, name);
    struct consumer_member *member = group == NULL ? NULL : consumer_member_get(groups, group, id);
    if (member == NULL)
        return SLUICE_OK; /* gone later */
    member->base.epoch = epoch;
    member->base.previous_epoch = previous_epoch;
    member->base.state = (uint8_t)state;
    sl_err err = read_set(&reader, &member->assigned);
    err = err != SLUICE_OK ? err : read_set(&reader, &member->revoking);
    err = err != SLUICE_OK ? err : read_set(&reader, &member->target);
    return err == SLUICE_OK && !item_read_end(&reader) ? SLUICE_E_CORRUPT : err;
}

sl_err consumer_groups_apply(struct consumer_groups *groups, uint16_t kind, uint8_t version,
                             struct sl_bytes payload)
{
    if (version != CONSUMER_GROUP_ITEM_VERSION)
        return version == 0 ? SLUICE_E_CORRUPT : SLUICE_E_NEWER_FORMAT;
    sl_err err = kind == WAL_ITEM_GROUP          ? apply_group(groups, payload)
                 : kind == WAL_ITEM_GROUP_MEMBER ? apply_member(groups, payload)
                                                 : apply_assignment(groups, payload);
    consumer_groups_clean(groups); /* it is in the log already */
    return err;
}
