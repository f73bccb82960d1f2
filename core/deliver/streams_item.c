/* streams_item.c: groups of KIP-1071 and their members as items of the log; a payload is input.
 *
 * Payloads (little-endian, version 1):
 *   STREAMS_GROUP   flags u8 (bit 0: gone, bit 1: the topology follows), zero u8, group size u16,
 *                   epoch i32, assignment epoch i32, ready epoch i32, standby count i32, hash of
 *                   its topics u64, group, topology (streams_topology.h)
 *   STREAMS_MEMBER  flags u8 (bit 0: gone, bit 1: what it said of itself follows, bit 2: its tasks
 *                   follow), roles u8 (2: active, standby), group size u16, member size u16, group,
 *                   member; then
 *     of itself     sizes u16 of rack, client id, client host, process, endpoint's host (0xffff:
 *                   none), endpoint's port u16, rebalance timeout i32, topology epoch i32, size of
 *                   tags u32, the five texts, tags (sizes u16 of key and value, key, value, each)
 *     tasks         epoch i32, previous epoch i32, state u8, zero u8 * 3, then what it has, gives
 *                   back and shall have, each for each role: count u32, per task its subtopology's
 *                   place in the topology u32, partition u32, epoch i32
 * What is gone has only the fields up to the texts it is known by. */
#include "catalog/item_codec.h"
#include "deliver/streams_group.h"

#define FLAG_GONE     1u
#define FLAG_TOPOLOGY 2u
#define FLAG_SELF     2u
#define FLAG_TASKS    4u
#define NO_TEXT       0xffffu
#define SELF_TEXTS    5u
#define SETS          3u

/* ---- writing: the first failure stays ---- */

static void put_size(struct item_out *out, struct sl_bytes text)
{
    SL_ASSERT(text.size < NO_TEXT);
    item_put(out, text.data == NULL ? NO_TEXT : text.size, 2);
}

sl_err streams_group_encode(const struct streams_group *group, bool gone, bool with_topology,
                            struct sl_buffer *ret_payload)
{
    struct item_out out = {ret_payload, SLUICE_OK};
    sl_buffer_reset(ret_payload);
    with_topology = with_topology && !gone && group->topology != NULL;
    item_put(&out, gone ? FLAG_GONE : with_topology ? FLAG_TOPOLOGY : 0, 2);
    put_size(&out, group->base.name);
    item_put(&out, (uint32_t)(gone ? 0 : group->base.epoch), 4);
    item_put(&out, (uint32_t)(gone ? 0 : group->base.assignment_epoch), 4);
    item_put(&out, (uint32_t)(gone ? 0 : group->ready_epoch), 4);
    item_put(&out, (uint32_t)(gone ? 0 : group->standby_count), 4);
    item_put(&out, gone ? 0 : group->base.topics_hash, 8);
    item_put_bytes(&out, group->base.name);
    if (with_topology)
        item_put_bytes(&out, group->topology->bytes);
    return out.err;
}

static void put_self(struct item_out *out, const struct streams_member *member)
{
    const struct sl_bytes texts[SELF_TEXTS] = {member->base.rack, member->base.client_id,
                                               member->base.client_host, member->process,
                                               member->host};
    for (uint32_t i = 0; i < SELF_TEXTS; i++)
        put_size(out, texts[i]);
    item_put(out, member->port, 2);
    item_put(out, (uint32_t)member->base.rebalance_timeout_ms, 4);
    item_put(out, (uint32_t)member->topology_epoch, 4);
    item_put(out, member->tags.size, 4);
    for (uint32_t i = 0; i < SELF_TEXTS; i++)
        item_put_bytes(out, texts[i]);
    item_put_bytes(out, member->tags);
}

static void put_tasks(struct item_out *out, const struct streams_member *member)
{
    const struct streams_tasks *sets[SETS] = {&member->assigned, &member->revoking,
                                              &member->target};
    item_put(out, (uint32_t)member->base.epoch, 4);
    item_put(out, (uint32_t)member->base.previous_epoch, 4);
    item_put(out, member->base.state, 4);
    for (uint32_t s = 0; s < SETS; s++) {
        for (uint32_t r = 0; r < STREAMS_ROLES; r++) {
            const struct partition_set *set = &sets[s]->roles[r];
            item_put(out, set->count, 4);
            for (uint32_t i = 0; i < set->count && out->err == SLUICE_OK; i++) {
                item_put(out, streams_task_subtopology(&set->entries[i].topic), 4);
                item_put(out, set->entries[i].partition, 4);
                item_put(out, (uint32_t)set->entries[i].epoch, 4);
            }
        }
    }
}

sl_err streams_member_encode(const struct streams_member *member, bool gone, bool description,
                             bool tasks, struct sl_buffer *ret_payload)
{
    struct item_out out = {ret_payload, SLUICE_OK};
    uint32_t flags = (description ? FLAG_SELF : 0) | (tasks ? FLAG_TASKS : 0);
    sl_buffer_reset(ret_payload);
    item_put(&out, gone ? FLAG_GONE : flags, 1);
    item_put(&out, STREAMS_ROLES, 1);
    put_size(&out, member->base.group->name);
    put_size(&out, member->base.id);
    item_put_bytes(&out, member->base.group->name);
    item_put_bytes(&out, member->base.id);
    if (description && !gone)
        put_self(&out, member);
    if (tasks && !gone)
        put_tasks(&out, member);
    return out.err;
}

sl_err streams_tags_encode(const struct sluice_streams_pair *tags, uint32_t count,
                           struct sl_buffer *ret_block)
{
    struct item_out out = {ret_block, SLUICE_OK};
    sl_buffer_reset(ret_block);
    for (uint32_t i = 0; i < count && out.err == SLUICE_OK; i++) {
        struct sl_bytes key = sl_of_text(tags[i].key), value = sl_of_text(tags[i].value);
        if (SL_MAX(key.size, value.size) > CONSUMER_GROUP_INSTANCE_MAX)
            return SLUICE_E_LIMIT;
        item_put(&out, key.size, 2);
        item_put(&out, value.size, 2);
        item_put_bytes(&out, key);
        item_put_bytes(&out, value);
    }
    return out.err;
}

/* ---- reading ---- */

sl_err streams_tags_decode(struct sl_bytes block, struct answer_arena *arena,
                           const struct sluice_streams_pair **ret_tags, uint32_t *ret_count)
{
    struct item_reader reader = item_reader_of(block);
    struct sluice_streams_pair *tags = answer_arena_take(arena, STREAMS_TAGS_MAX, sizeof *tags);
    sl_err err = tags == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    uint32_t count = 0;
    for (; err == SLUICE_OK && reader.size != 0 && count < STREAMS_TAGS_MAX; count++) {
        uint16_t key_size = item_read_u16(&reader), value_size = item_read_u16(&reader);
        err = answer_arena_text(arena, item_read_bytes(&reader, key_size), &tags[count].key);
        err = err != SLUICE_OK ? err
                               : answer_arena_text(arena, item_read_bytes(&reader, value_size),
                                                   &tags[count].value);
        err = err == SLUICE_OK && reader.failed ? SLUICE_E_CORRUPT : err;
    }
    *ret_tags = tags;
    *ret_count = count;
    return err;
}

static sl_err topology_set(struct streams_group *group, struct sl_bytes bytes)
{
    struct streams_topology *topology = NULL;
    sl_err err = streams_topology_new(bytes, &topology);
    if (err != SLUICE_OK)
        return err;
    streams_topology_free(group->topology);
    group->topology = topology;
    return SLUICE_OK;
}

static sl_err apply_group(struct streams_groups *groups, struct sl_bytes payload)
{
    struct item_reader reader = item_reader_of(payload);
    uint16_t flags = item_read_u16(&reader);
    uint16_t size = item_read_u16(&reader);
    int32_t epoch = (int32_t)item_read_u32(&reader);
    int32_t assignment_epoch = (int32_t)item_read_u32(&reader);
    int32_t ready_epoch = (int32_t)item_read_u32(&reader);
    int32_t standby_count = (int32_t)item_read_u32(&reader);
    uint64_t hash = item_read_u64(&reader);
    struct sl_bytes name = item_read_bytes(&reader, size);
    if (reader.failed || size == 0 || size > GROUP_ID_BYTES_MAX)
        return SLUICE_E_CORRUPT;
    if ((flags & FLAG_TOPOLOGY) == 0 && reader.size != 0)
        return SLUICE_E_CORRUPT;
    struct streams_group *group = streams_group_get(groups, name);
    if ((flags & FLAG_GONE) != 0)
        return group == NULL ? SLUICE_OK : epoch_group_remove(&groups->base, &group->base);
    sl_err err = group == NULL ? streams_group_add(groups, name, &group) : SLUICE_OK;
    if (err == SLUICE_OK && (flags & FLAG_TOPOLOGY) != 0)
        err = topology_set(group, sl_bytes_of(reader.at, reader.size));
    if (err != SLUICE_OK)
        return err;
    group->base.epoch = epoch;
    group->base.assignment_epoch = assignment_epoch;
    group->ready_epoch = ready_epoch;
    group->standby_count = standby_count;
    group->base.topics_hash = hash;
    return SLUICE_OK;
}

static sl_err read_self(struct item_reader *reader, struct streams_member *member)
{
    struct sl_bytes *texts[SELF_TEXTS] = {&member->base.rack, &member->base.client_id,
                                          &member->base.client_host, &member->process,
                                          &member->host};
    uint16_t sizes[SELF_TEXTS];
    bool changed = false;
    for (uint32_t i = 0; i < SELF_TEXTS; i++)
        sizes[i] = item_read_u16(reader);
    member->port = item_read_u16(reader);
    member->base.rebalance_timeout_ms = (int32_t)item_read_u32(reader);
    member->topology_epoch = (int32_t)item_read_u32(reader);
    uint32_t tags_size = item_read_u32(reader);
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < SELF_TEXTS && err == SLUICE_OK; i++) {
        if (sizes[i] != NO_TEXT)
            err = epoch_text_set(texts[i], item_read_bytes(reader, sizes[i]), &changed);
    }
    struct sl_bytes tags = item_read_bytes(reader, tags_size);
    if (err == SLUICE_OK && reader->failed)
        return SLUICE_E_CORRUPT;
    return err != SLUICE_OK ? err : epoch_text_set(&member->tags, tags, &changed);
}

static sl_err read_set(struct item_reader *reader, const struct streams_group *group,
                       struct partition_set *set)
{
    uint32_t count = item_read_u32(reader);
    uint32_t places = group->topology == NULL ? 0 : group->topology->view.subtopology_count;
    sl_err err = (uint64_t)count * 12 > reader->size ? SLUICE_E_CORRUPT : SLUICE_OK;
    set->count = 0;
    for (uint32_t i = 0; i < count && err == SLUICE_OK; i++) {
        uint32_t place = item_read_u32(reader);
        uint32_t partition = item_read_u32(reader);
        struct sl_uuid id = streams_task_id(place);
        err = place >= places
                  ? SLUICE_E_CORRUPT
                  : partition_set_add(set, &id, partition, (int32_t)item_read_u32(reader));
    }
    partition_set_sort(set);
    return err;
}

static sl_err read_tasks(struct item_reader *reader, struct streams_member *member)
{
    struct streams_tasks *sets[SETS] = {&member->assigned, &member->revoking, &member->target};
    sl_err err = SLUICE_OK;
    member->base.epoch = (int32_t)item_read_u32(reader);
    member->base.previous_epoch = (int32_t)item_read_u32(reader);
    uint32_t state = item_read_u32(reader);
    if (reader->failed || state > MEMBER_UNRELEASED)
        return SLUICE_E_CORRUPT;
    member->base.state = (uint8_t)state;
    for (uint32_t s = 0; s < SETS; s++) {
        for (uint32_t r = 0; r < STREAMS_ROLES && err == SLUICE_OK; r++)
            err = read_set(reader, streams_group_of(member), &sets[s]->roles[r]);
    }
    return err;
}

static sl_err apply_member(struct streams_groups *groups, struct sl_bytes payload)
{
    struct item_reader reader = item_reader_of(payload);
    uint8_t flags = item_read_u8(&reader);
    uint8_t roles = item_read_u8(&reader);
    uint16_t group_size = item_read_u16(&reader);
    uint16_t member_size = item_read_u16(&reader);
    struct sl_bytes name = item_read_bytes(&reader, group_size);
    struct sl_bytes id = item_read_bytes(&reader, member_size);
    if (reader.failed || group_size == 0 || member_size == 0)
        return SLUICE_E_CORRUPT;
    if (roles != STREAMS_ROLES)
        return SLUICE_E_NEWER_FORMAT;
    struct streams_group *group = streams_group_get(groups, name);
    struct streams_member *member = group == NULL ? NULL : streams_member_get(groups, group, id);
    if ((flags & FLAG_GONE) != 0)
        return member == NULL ? SLUICE_OK : epoch_member_remove(&groups->base, &member->base);
    if (group == NULL)
        return SLUICE_OK; /* deleted later */
    sl_err err = member == NULL ? streams_member_add(groups, group, id, &member) : SLUICE_OK;
    if (err == SLUICE_OK && (flags & FLAG_SELF) != 0)
        err = read_self(&reader, member);
    if (err == SLUICE_OK && (flags & FLAG_TASKS) != 0)
        err = read_tasks(&reader, member);
    return err == SLUICE_OK && !item_read_end(&reader) ? SLUICE_E_CORRUPT : err;
}

sl_err streams_groups_apply(struct streams_groups *groups, uint16_t kind, uint8_t version,
                            struct sl_bytes payload)
{
    if (version != STREAMS_ITEM_VERSION)
        return version == 0 ? SLUICE_E_CORRUPT : SLUICE_E_NEWER_FORMAT;
    sl_err err = kind == WAL_ITEM_STREAMS_GROUP ? apply_group(groups, payload)
                                                : apply_member(groups, payload);
    streams_groups_clean(groups); /* it is in the log already */
    return err;
}
