/* txn_offsets.c: see txn_offsets.h. A group with its producers, each with its offsets. */
#include "deliver/txn_offsets.h"

#include "base/bytes.h"
#include "base/hash.h"
#include "deliver/offset_item.h"

#include <string.h>

struct pending_offset {
    struct pending_offset *next;
    struct sl_uuid topic;
    uint32_t partition;
    uint32_t size;
    uint8_t item[]; /* as in TXN_OFFSET */
};

struct pending_producer {
    struct pending_producer *next;
    struct pending_offset *first;
    int64_t id;
};

/* There while it has producers. */
struct pending_group {
    struct chain_link by_name;
    struct pending_producer *first;
    struct sl_bytes name; /* the bytes follow the struct */
};

static struct pending_group *group_of(const struct chain_link *link)
{
    return SL_CONTAINER_OF(link, struct pending_group, by_name);
}

static bool name_matches(const struct chain_link *link, const void *key)
{
    return sl_bytes_equal(group_of(link)->name, *(const struct sl_bytes *)key);
}

static uint64_t hash_of(struct sl_bytes name)
{
    return sl_hash64(name.data, name.size);
}

static struct pending_group *group_get(const struct txn_offsets *offsets, struct sl_bytes name)
{
    struct chain_link *link = chain_map_get(&offsets->groups, hash_of(name), name_matches, &name);
    return link == NULL ? NULL : group_of(link);
}

static struct pending_producer **producer_at(struct pending_group *group, int64_t id)
{
    struct pending_producer **at = &group->first;
    while (*at != NULL && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

sl_err txn_offsets_init(struct txn_offsets *offsets)
{
    *offsets = (struct txn_offsets){0};
    return chain_map_init(&offsets->groups);
}

static void group_drop_empty(struct txn_offsets *offsets, struct pending_group *group)
{
    if (group->first == NULL) {
        chain_map_remove(&offsets->groups, &group->by_name);
        sl_free(group);
    }
}

static void producer_remove(struct txn_offsets *offsets, struct pending_producer **at)
{
    struct pending_producer *producer = *at;
    *at = producer->next;
    while (producer->first != NULL) {
        struct pending_offset *offset = producer->first;
        producer->first = offset->next;
        sl_free(offset);
        offsets->count--;
    }
    sl_free(producer);
}

static void free_visit(void *arg, struct chain_link *link)
{
    struct pending_group *group = group_of(link);
    while (group->first != NULL)
        producer_remove(arg, &group->first);
    group_drop_empty(arg, group);
}

void txn_offsets_fini(struct txn_offsets *offsets)
{
    if (offsets->groups.buckets != NULL)
        chain_map_each(&offsets->groups, free_visit, offsets);
    chain_map_fini(&offsets->groups);
}

/* ---- applying ---- */

static sl_err group_ensure(struct txn_offsets *offsets, struct sl_bytes name,
                           struct pending_group **ret_group)
{
    struct pending_group *group = group_get(offsets, name);
    if (group == NULL) {
        group = sl_alloc(sizeof *group + name.size);
        if (group == NULL)
            return SLUICE_E_NO_MEMORY;
        uint8_t *bytes = (uint8_t *)(group + 1);
        sl_bytes_copy(bytes, name);
        *group = (struct pending_group){.name = {bytes, name.size}};
        chain_map_put(&offsets->groups, &group->by_name, hash_of(name));
    }
    *ret_group = group;
    return SLUICE_OK;
}

static sl_err producer_ensure(struct pending_group *group, int64_t id,
                              struct pending_producer **ret_producer)
{
    struct pending_producer **at = producer_at(group, id);
    if (*at == NULL) {
        *at = sl_alloc(sizeof **at);
        if (*at == NULL)
            return SLUICE_E_NO_MEMORY;
        **at = (struct pending_producer){.id = id};
    }
    *ret_producer = *at;
    return SLUICE_OK;
}

/* In place of the one of the same partition, else as the last. */
static void offset_put(struct txn_offsets *offsets, struct pending_producer *producer,
                       struct pending_offset *added)
{
    struct pending_offset **at = &producer->first;
    while (*at != NULL &&
           ((*at)->partition != added->partition || !sl_uuid_equal(&(*at)->topic, &added->topic)))
        at = &(*at)->next;
    struct pending_offset *old = *at;
    added->next = old == NULL ? NULL : old->next;
    *at = added;
    offsets->count += old == NULL;
    sl_free(old);
}

static sl_err apply_offset(struct txn_offsets *offsets, struct sl_bytes payload)
{
    struct offset_commit commit;
    struct sl_bytes rest = {payload.data + TXN_OFFSET_HEAD_SIZE,
                            payload.size - TXN_OFFSET_HEAD_SIZE};
    sl_err err = offset_item_commit(rest, &commit);
    if (err != SLUICE_OK)
        return err;
    struct pending_offset *added = sl_alloc(sizeof *added + payload.size);
    struct pending_group *group = NULL;
    struct pending_producer *producer = NULL;
    err = added == NULL ? SLUICE_E_NO_MEMORY : group_ensure(offsets, commit.group, &group);
    if (err == SLUICE_OK)
        err = producer_ensure(group, (int64_t)sl_le64_load(payload.data), &producer);
    if (err != SLUICE_OK) {
        if (group != NULL)
            group_drop_empty(offsets, group);
        sl_free(added);
        return err;
    }
    added->topic = commit.topic;
    added->partition = commit.partition;
    added->size = (uint32_t)payload.size;
    memcpy(added->item, payload.data, payload.size);
    offset_put(offsets, producer, added);
    return SLUICE_OK;
}

static void apply_end(struct txn_offsets *offsets, struct sl_bytes payload)
{
    struct sl_bytes name = {payload.data + TXN_OFFSET_HEAD_SIZE,
                            payload.size - TXN_OFFSET_HEAD_SIZE};
    struct pending_group *group = group_get(offsets, name);
    if (group == NULL)
        return;
    struct pending_producer **at = producer_at(group, (int64_t)sl_le64_load(payload.data));
    if (*at != NULL)
        producer_remove(offsets, at);
    group_drop_empty(offsets, group);
}

sl_err txn_offsets_apply(struct txn_offsets *offsets, uint16_t kind, uint8_t version,
                         struct sl_bytes payload)
{
    if (version > TXN_OFFSET_ITEM_VERSION)
        return SLUICE_E_NEWER_FORMAT;
    if (version == 0 || payload.size <= TXN_OFFSET_HEAD_SIZE ||
        payload.size > TXN_OFFSET_HEAD_SIZE + 2 * UINT16_MAX)
        return SLUICE_E_CORRUPT;
    if (kind == WAL_ITEM_TXN_OFFSET)
        return apply_offset(offsets, payload);
    apply_end(offsets, payload);
    return SLUICE_OK;
}

/* ---- asking ---- */

bool txn_offsets_has_group(const struct txn_offsets *offsets, struct sl_bytes group)
{
    return group_get(offsets, group) != NULL;
}

bool txn_offsets_is_pending(const struct txn_offsets *offsets, struct sl_bytes group,
                            const struct sl_uuid *topic, uint32_t partition)
{
    const struct pending_group *found = group_get(offsets, group);
    const struct pending_producer *producer = found == NULL ? NULL : found->first;
    for (; producer != NULL; producer = producer->next) {
        for (const struct pending_offset *at = producer->first; at != NULL; at = at->next) {
            if (at->partition == partition && sl_uuid_equal(&at->topic, topic))
                return true;
        }
    }
    return false;
}

void txn_offsets_each(const struct txn_offsets *offsets, struct sl_bytes group, int64_t producer_id,
                      void (*visit)(void *arg, struct sl_bytes payload), void *arg)
{
    struct pending_group *found = group_get(offsets, group);
    if (found == NULL)
        return;
    const struct pending_producer *producer = *producer_at(found, producer_id);
    const struct pending_offset *at = producer == NULL ? NULL : producer->first;
    for (; at != NULL; at = at->next) {
        visit(arg,
              (struct sl_bytes){at->item + TXN_OFFSET_HEAD_SIZE, at->size - TXN_OFFSET_HEAD_SIZE});
    }
}

struct snapshot_visit {
    offset_store_add_fn *add;
    void *add_arg;
    sl_err err;
};

static void snapshot_group(void *arg, struct chain_link *link)
{
    struct snapshot_visit *visit = arg;
    const struct pending_producer *producer = group_of(link)->first;
    for (; producer != NULL; producer = producer->next) {
        const struct pending_offset *at = producer->first;
        for (; at != NULL && visit->err == SLUICE_OK; at = at->next) {
            visit->err = visit->add(visit->add_arg, WAL_ITEM_TXN_OFFSET, TXN_OFFSET_ITEM_VERSION,
                                    (struct sl_bytes){at->item, at->size});
        }
    }
}

sl_err txn_offsets_snapshot(const struct txn_offsets *offsets, uint32_t *at, uint32_t count,
                            offset_store_add_fn *add, void *add_arg)
{
    struct snapshot_visit visit = {add, add_arg, SLUICE_OK};
    *at = chain_map_visit(&offsets->groups, *at, count, snapshot_group, &visit);
    return visit.err;
}
