/* position_store.c: see position_store.h. */
#include "deliver/position_store.h"

#include "base/bytes.h"
#include "base/map.h"

#include <string.h>

#define POSITIONS_MAX  1000000u
#define KEY_BYTES_MAX  (20u + POSITION_NAME_BYTES_MAX)
#define PAYLOAD_HEADER 32u

struct entry {
    struct sl_map_node node;
    struct position position; /* name points into key */
    uint8_t key[KEY_BYTES_MAX];
};

struct position_store {
    struct sl_map map;
};

/* topic 16, partition u32, name. */
static struct sl_bytes make_key(const struct position *position, uint8_t key[KEY_BYTES_MAX])
{
    SL_ASSERT(position->name.size <= POSITION_NAME_BYTES_MAX);
    memcpy(key, position->topic.b, 16);
    sl_le32_store(key + 16, position->partition);
    memcpy(key + 20, position->name.data, position->name.size);
    return (struct sl_bytes){key, 20 + position->name.size};
}

struct position_store *position_store_new(void)
{
    struct position_store *store = sl_alloc_zero(1, sizeof(*store));
    if (store != NULL) {
        sl_map_init(&store->map, POSITIONS_MAX, 0);
    }
    return store;
}

struct position_store *position_store_free(struct position_store *store)
{
    if (store != NULL) {
        SL_MAP_EACH(&store->map, node)
        {
            sl_map_remove(&store->map, node);
            sl_free(SL_CONTAINER_OF(node, struct entry, node));
        }
        sl_map_fini(&store->map);
        sl_free(store);
    }
    return NULL;
}

size_t position_item_encode(const struct position *position,
                            uint8_t ret_payload[POSITION_ITEM_BYTES_MAX])
{
    SL_ASSERT(position->name.size <= POSITION_NAME_BYTES_MAX);
    memcpy(ret_payload, position->topic.b, 16);
    sl_le64_store(ret_payload + 16, (uint64_t)position->next_offset);
    sl_le32_store(ret_payload + 24, position->partition);
    sl_le16_store(ret_payload + 28, (uint16_t)position->name.size);
    sl_le16_store(ret_payload + 30, 0);
    memcpy(ret_payload + PAYLOAD_HEADER, position->name.data, position->name.size);
    return PAYLOAD_HEADER + position->name.size;
}

static sl_err decode(uint8_t version, struct sl_bytes payload, struct position *ret_position)
{
    if (version != POSITION_ITEM_VERSION) {
        return SLUICE_E_NEWER_FORMAT;
    }
    if (payload.size < PAYLOAD_HEADER) {
        return SLUICE_E_CORRUPT;
    }
    size_t name_size = sl_le16_load(payload.data + 28);
    if (name_size > POSITION_NAME_BYTES_MAX || payload.size != PAYLOAD_HEADER + name_size) {
        return SLUICE_E_CORRUPT;
    }
    memcpy(ret_position->topic.b, payload.data, 16);
    ret_position->next_offset = (int64_t)sl_le64_load(payload.data + 16);
    ret_position->partition = sl_le32_load(payload.data + 24);
    ret_position->name = (struct sl_bytes){payload.data + PAYLOAD_HEADER, name_size};
    return SLUICE_OK;
}

static struct entry *find(const struct position_store *store, const struct position *position)
{
    uint8_t key[KEY_BYTES_MAX];
    struct sl_map_node *node = sl_map_find(&store->map, make_key(position, key));
    return node == NULL ? NULL : SL_CONTAINER_OF(node, struct entry, node);
}

static sl_err add(struct position_store *store, const struct position *position)
{
    struct entry *entry = sl_alloc_zero(1, sizeof(*entry));
    if (entry == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    struct sl_bytes key = make_key(position, entry->key);
    entry->position = *position;
    entry->position.name = (struct sl_bytes){entry->key + 20, position->name.size};
    sl_err err = sl_map_insert(&store->map, &entry->node, key);
    if (err != SLUICE_OK) {
        sl_free(entry);
    }
    return err;
}

sl_err position_store_apply(struct position_store *store, uint8_t version, struct sl_bytes payload)
{
    struct position position;
    sl_err err = decode(version, payload, &position);
    if (err != SLUICE_OK) {
        return err;
    }
    struct entry *entry = find(store, &position);
    if (position.next_offset < 0) {
        if (entry != NULL) {
            sl_map_remove(&store->map, &entry->node);
            sl_free(entry);
        }
        return SLUICE_OK;
    }
    if (entry == NULL) {
        return add(store, &position);
    }
    entry->position.next_offset = position.next_offset;
    return SLUICE_OK;
}

int64_t position_store_get(const struct position_store *store, struct sl_bytes name,
                           const struct sl_uuid *topic, uint32_t partition)
{
    struct position position = {.name = name, .topic = *topic, .partition = partition};
    const struct entry *entry = find(store, &position);
    return entry == NULL ? -1 : entry->position.next_offset;
}

void position_store_each(const struct position_store *store, struct sl_bytes name,
                         position_visit_fn *visit, void *arg)
{
    SL_MAP_EACH(&store->map, node)
    {
        const struct position *position = &SL_CONTAINER_OF(node, struct entry, node)->position;
        if (sl_bytes_equal(position->name, name)) {
            visit(arg, position);
        }
    }
}

void position_store_each_of(const struct position_store *store, const struct sl_uuid *topic,
                            uint32_t partition, position_visit_fn *each, void *arg)
{
    SL_MAP_EACH(&store->map, node)
    {
        const struct entry *entry = SL_CONTAINER_OF(node, struct entry, node);
        if (entry->position.partition == partition &&
            memcmp(entry->position.topic.b, topic->b, sizeof(topic->b)) == 0) {
            each(arg, &entry->position);
        }
    }
}

struct snapshot {
    position_add_fn *add;
    void *arg;
    sl_err err;
};

static void snapshot_visit(void *arg, struct sl_map_node *node)
{
    struct snapshot *snapshot = arg;
    uint8_t payload[POSITION_ITEM_BYTES_MAX];
    const struct entry *entry = SL_CONTAINER_OF(node, struct entry, node);
    if (snapshot->err != SLUICE_OK) {
        return;
    }
    size_t size = position_item_encode(&entry->position, payload);
    snapshot->err = snapshot->add(snapshot->arg, WAL_ITEM_STAGE_POSITION, POSITION_ITEM_VERSION,
                                  (struct sl_bytes){payload, size});
}

sl_err position_store_snapshot(const struct position_store *store, size_t *at, size_t count,
                               position_add_fn *add_item, void *add_arg)
{
    struct snapshot snapshot = {add_item, add_arg, SLUICE_OK};
    *at = sl_map_visit(&store->map, *at, count, snapshot_visit, &snapshot);
    return snapshot.err;
}
