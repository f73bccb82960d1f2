/* message_ids.c: see message_ids.h. */
#include "admit/message_ids.h"

#include "base/bytes.h"
#include "catalog/item_codec.h"

#include <openssl/sha.h>
#include <string.h>

#define HAND_BUCKETS     4u    /* looked at with each new id */
#define HAND_BUCKETS_MAX 1024u /* … when there is no room */

sl_err message_ids_init(struct message_ids *ids, uint32_t count_max)
{
    *ids = (struct message_ids){.count_max = count_max != 0 ? count_max : MESSAGE_IDS_MAX};
    sl_pool_init(&ids->pool, sizeof(struct message_entry), ids->count_max);
    return chain_map_init(&ids->by_digest);
}

static void give(void *arg, struct chain_link *link)
{
    struct message_ids *ids = arg;
    sl_pool_give(&ids->pool, SL_CONTAINER_OF(link, struct message_entry, link));
}

void message_ids_fini(struct message_ids *ids)
{
    chain_map_each(&ids->by_digest, give, ids);
    chain_map_fini(&ids->by_digest);
    sl_pool_fini(&ids->pool);
    *ids = (struct message_ids){0};
}

void message_digest_of(const struct sl_uuid *topic, uint32_t partition, struct sl_bytes id,
                       struct message_digest *ret_digest)
{
    uint8_t text[sizeof(*topic) + 4 + MESSAGE_ID_BYTES_MAX];
    uint8_t hash[SHA256_DIGEST_LENGTH];
    SL_ASSERT(id.size <= MESSAGE_ID_BYTES_MAX);
    uint8_t *at = item_write_uuid(text, topic);
    at = item_write_u32(at, partition);
    memcpy(at, id.data, id.size);
    (void)SHA256(text, (size_t)(at - text) + id.size, hash);
    memcpy(ret_digest->bytes, hash, sizeof(ret_digest->bytes));
}

/* A digest is well mixed as it is. */
static uint64_t hash_of(const struct message_digest *digest)
{
    return sl_le64_load(digest->bytes);
}

static bool has_digest(const struct chain_link *link, const void *key)
{
    const struct message_entry *entry = SL_CONTAINER_OF(link, const struct message_entry, link);
    return memcmp(&entry->digest, key, sizeof(entry->digest)) == 0;
}

static struct message_entry *find(const struct message_ids *ids,
                                  const struct message_digest *digest)
{
    struct chain_link *link = chain_map_get(&ids->by_digest, hash_of(digest), has_digest, digest);
    return link == NULL ? NULL : SL_CONTAINER_OF(link, struct message_entry, link);
}

static void forget(struct message_ids *ids, struct message_entry *entry)
{
    chain_map_remove(&ids->by_digest, &entry->link);
    sl_pool_give(&ids->pool, entry);
}

static bool is_over(const struct message_entry *entry, int64_t now_ms)
{
    return entry->expires_ms != 0 && entry->expires_ms <= now_ms;
}

/* Goes over so many buckets, and on from there the next time. */
static void hand_turn(struct message_ids *ids, uint32_t bucket_count, int64_t now_ms)
{
    const struct chain_map *map = &ids->by_digest;
    for (uint32_t i = 0; i < bucket_count; i++) {
        struct chain_link *link = map->buckets[ids->hand++ & (map->bucket_count - 1)];
        for (struct chain_link *next; link != NULL; link = next) {
            struct message_entry *entry = SL_CONTAINER_OF(link, struct message_entry, link);
            next = link->next;
            if (is_over(entry, now_ms))
                forget(ids, entry);
        }
    }
}

static sl_err entry_new(struct message_ids *ids, const struct message_digest *digest,
                        int64_t now_ms, struct message_entry **ret_entry)
{
    bool is_full = ids->pool.count >= ids->count_max;
    hand_turn(ids, is_full ? HAND_BUCKETS_MAX : HAND_BUCKETS, now_ms);
    if (ids->pool.count >= ids->count_max) {
        ids->refused++;
        return SLUICE_E_LIMIT;
    }
    struct message_entry *entry = sl_pool_take(&ids->pool);
    if (entry == NULL)
        return SLUICE_E_NO_MEMORY;
    *entry = (struct message_entry){.digest = *digest};
    chain_map_put(&ids->by_digest, &entry->link, hash_of(digest));
    *ret_entry = entry;
    return SLUICE_OK;
}

sl_err message_ids_admit(struct message_ids *ids, const struct message_digest *digest,
                         int64_t now_ms, struct message_waiter *waiter,
                         enum message_verdict *ret_verdict, struct message_entry **ret_entry,
                         struct message_place *ret_place)
{
    struct message_entry *entry = find(ids, digest);
    if (entry != NULL && is_over(entry, now_ms)) {
        forget(ids, entry);
        entry = NULL;
    }
    if (entry == NULL) {
        *ret_verdict = MESSAGE_NEW;
        return entry_new(ids, digest, now_ms, ret_entry);
    }
    if (entry->expires_ms == 0) {
        waiter->next = entry->waiters;
        entry->waiters = waiter;
        *ret_verdict = MESSAGE_PENDING;
    } else {
        *ret_place = entry->place;
        *ret_verdict = MESSAGE_KNOWN;
    }
    return SLUICE_OK;
}

static void tell(struct message_waiter *waiter, sl_err err, const struct message_place *place)
{
    for (struct message_waiter *next; waiter != NULL; waiter = next) {
        next = waiter->next;
        waiter->done(waiter, err, place);
    }
}

void message_ids_commit(struct message_ids *ids, struct message_entry *entry,
                        const struct message_place *place, int64_t expires_ms, bool in_memory)
{
    (void)ids;
    SL_ASSERT(entry->expires_ms == 0 && expires_ms > 0);
    struct message_waiter *waiters = entry->waiters;
    entry->waiters = NULL;
    entry->place = *place;
    entry->expires_ms = expires_ms;
    entry->in_memory = in_memory;
    tell(waiters, SLUICE_OK, place);
}

void message_ids_abort(struct message_ids *ids, struct message_entry *entry, sl_err err)
{
    const struct message_place nowhere = {-1, -1};
    struct message_waiter *waiters = entry->waiters;
    SL_ASSERT(entry->expires_ms == 0 && err != SLUICE_OK);
    forget(ids, entry);
    tell(waiters, err, &nowhere);
}

/* ---- items ---- */

void message_item_encode(const struct message_digest *digest, const struct message_place *place,
                         int64_t expires_ms, uint8_t ret_payload[MESSAGE_ID_ITEM_SIZE])
{
    memcpy(ret_payload, digest->bytes, sizeof(digest->bytes));
    uint8_t *at = ret_payload + sizeof(digest->bytes);
    at = item_write_u64(at, (uint64_t)place->base_offset);
    at = item_write_u64(at, (uint64_t)place->append_time_ms);
    (void)item_write_u64(at, (uint64_t)expires_ms);
}

sl_err message_ids_apply(struct message_ids *ids, uint8_t version, struct sl_bytes payload,
                         int64_t now_ms)
{
    if (version > MESSAGE_ID_ITEM_VERSION)
        return SLUICE_E_NEWER_FORMAT;
    if (version == 0 || payload.size != MESSAGE_ID_ITEM_SIZE)
        return SLUICE_E_CORRUPT;
    struct message_digest digest;
    memcpy(digest.bytes, payload.data, sizeof(digest.bytes));
    const struct message_place place = {(int64_t)sl_le64_load(payload.data + 16),
                                        (int64_t)sl_le64_load(payload.data + 24)};
    int64_t expires_ms = (int64_t)sl_le64_load(payload.data + 32);
    if (place.base_offset < -1 || place.append_time_ms < -1 || expires_ms <= 0)
        return SLUICE_E_CORRUPT;
    if (expires_ms <= now_ms)
        return SLUICE_OK;
    struct message_entry *entry = find(ids, &digest);
    sl_err err = entry == NULL ? entry_new(ids, &digest, now_ms, &entry) : SLUICE_OK;
    if (err == SLUICE_OK && expires_ms >= entry->expires_ms) {
        entry->place = place;
        entry->expires_ms = expires_ms;
    }
    return err == SLUICE_E_LIMIT ? SLUICE_OK : err; /* the clock went back: it is forgotten */
}

struct snapshot {
    int64_t now_ms;
    message_add_fn *add;
    void *add_arg;
    sl_err err;
};

static void add_entry(void *arg, struct chain_link *link)
{
    struct snapshot *self = arg;
    const struct message_entry *entry = SL_CONTAINER_OF(link, struct message_entry, link);
    uint8_t payload[MESSAGE_ID_ITEM_SIZE];
    bool is_kept = entry->expires_ms != 0 && !entry->in_memory && !is_over(entry, self->now_ms);
    if (self->err == SLUICE_OK && is_kept) {
        message_item_encode(&entry->digest, &entry->place, entry->expires_ms, payload);
        self->err = self->add(self->add_arg, WAL_ITEM_MESSAGE_ID, MESSAGE_ID_ITEM_VERSION,
                              (struct sl_bytes){payload, sizeof(payload)});
    }
}

sl_err message_ids_snapshot(const struct message_ids *ids, uint32_t *at, uint32_t count,
                            int64_t now_ms, message_add_fn *add, void *add_arg)
{
    struct snapshot self = {.now_ms = now_ms, .add = add, .add_arg = add_arg};
    *at = chain_map_visit(&ids->by_digest, *at, count, add_entry, &self);
    return self.err;
}
