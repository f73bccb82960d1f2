/* offset_item.c: encoding and decoding of OFFSET_* payloads; a payload is input. */
#include "deliver/offset_item.h"

#include "catalog/item_codec.h"

#define COMMIT_FIXED_SIZE 44u
#define FORGET_FIXED_SIZE 24u

size_t offset_commit_item_size(const struct offset_commit *commit)
{
    return COMMIT_FIXED_SIZE + commit->group.size + commit->metadata.size;
}

void offset_commit_item_encode(const struct offset_commit *commit, uint8_t *ret_payload)
{
    SL_ASSERT(commit->group.size <= OFFSET_STORE_GROUP_BYTES_MAX &&
              commit->metadata.size <= OFFSET_STORE_METADATA_BYTES_MAX);
    uint8_t *at = item_write_uuid(ret_payload, &commit->topic);
    at = item_write_u32(at, commit->partition);
    at = item_write_u32(at, (uint32_t)commit->leader_epoch);
    at = item_write_u64(at, (uint64_t)commit->offset);
    at = item_write_u64(at, (uint64_t)commit->time_ms);
    at = item_write_u16(at, (uint16_t)commit->group.size);
    at = item_write_u16(at, (uint16_t)commit->metadata.size);
    at = item_write_bytes(at, commit->group);
    at = item_write_bytes(at, commit->metadata);
    SL_ASSERT(at == ret_payload + offset_commit_item_size(commit));
}

size_t offset_forget_item_size(const struct offset_forget *forget)
{
    return FORGET_FIXED_SIZE + forget->group.size;
}

void offset_forget_item_encode(const struct offset_forget *forget, uint8_t *ret_payload)
{
    SL_ASSERT(forget->group.size <= OFFSET_STORE_GROUP_BYTES_MAX &&
              forget->what >= OFFSET_FORGET_PARTITION && forget->what <= OFFSET_FORGET_TOPIC);
    uint8_t *at = item_write_u8(ret_payload, (uint8_t)forget->what);
    at = item_write_u8(at, 0);
    at = item_write_u16(at, (uint16_t)forget->group.size);
    at = item_write_u32(at, forget->partition);
    at = item_write_uuid(at, &forget->topic);
    at = item_write_bytes(at, forget->group);
    SL_ASSERT(at == ret_payload + offset_forget_item_size(forget));
}

sl_err offset_item_commit(struct sl_bytes payload, struct offset_commit *ret_commit)
{
    struct item_reader reader = item_reader_of(payload);
    struct offset_commit commit;
    commit.topic = item_read_uuid(&reader);
    commit.partition = item_read_u32(&reader);
    commit.leader_epoch = (int32_t)item_read_u32(&reader);
    commit.offset = (int64_t)item_read_u64(&reader);
    commit.time_ms = (int64_t)item_read_u64(&reader);
    uint16_t group_size = item_read_u16(&reader);
    uint16_t metadata_size = item_read_u16(&reader);
    commit.group = item_read_bytes(&reader, group_size);
    commit.metadata = item_read_bytes(&reader, metadata_size);
    if (!item_read_end(&reader) || group_size > OFFSET_STORE_GROUP_BYTES_MAX ||
        metadata_size > OFFSET_STORE_METADATA_BYTES_MAX)
        return SLUICE_E_CORRUPT;
    *ret_commit = commit;
    return SLUICE_OK;
}

sl_err offset_item_forget(struct sl_bytes payload, struct offset_forget *ret_forget)
{
    struct item_reader reader = item_reader_of(payload);
    struct offset_forget forget;
    forget.what = item_read_u8(&reader);
    (void)item_read_u8(&reader);
    uint16_t group_size = item_read_u16(&reader);
    forget.partition = item_read_u32(&reader);
    forget.topic = item_read_uuid(&reader);
    forget.group = item_read_bytes(&reader, group_size);
    if (!item_read_end(&reader) || forget.what == 0 || group_size > OFFSET_STORE_GROUP_BYTES_MAX)
        return SLUICE_E_CORRUPT;
    if (forget.what > OFFSET_FORGET_TOPIC)
        return SLUICE_E_NEWER_FORMAT;
    *ret_forget = forget;
    return SLUICE_OK;
}
