/* offset_store.c: one hash map of offsets, and for each group and each topic the list of its own.
 *
 * So a group's offsets are listed, and a topic's forgotten, without a walk over all. */
#include "deliver/offset_store.h"

#include "base/hash.h"
#include "catalog/chain_map.h"
#include "catalog/item_codec.h"
#include "deliver/offset_item.h"

struct offset_entry;

/* A group, or a topic; there while it has offsets. */
struct offset_owner {
    struct chain_link by_key;
    struct offset_entry *first;
    uint32_t count;
    struct sl_bytes key; /* group name or topic id; the bytes follow the struct */
};

struct offset_siblings {
    struct offset_entry *previous, *next;
};

struct offset_entry {
    struct chain_link by_key;
    struct offset_owner *group;
    struct offset_owner *topic;
    struct offset_siblings of_group;
    struct offset_siblings of_topic;
    struct sl_bytes metadata; /* owned; data NULL: empty */
    int64_t offset;
    int64_t time_ms;
    uint32_t partition;
    int32_t leader_epoch;
};

struct offset_store {
    struct chain_map entries; /* by group, topic, partition */
    struct chain_map groups;
    struct chain_map topics;
    uint32_t offsets_max;
};

struct entry_key {
    struct sl_bytes group;
    struct sl_bytes topic;
    uint32_t partition;
};

static struct offset_entry *entry_of(const struct chain_link *link)
{
    return SL_CONTAINER_OF(link, struct offset_entry, by_key);
}

static struct offset_owner *owner_of(const struct chain_link *link)
{
    return SL_CONTAINER_OF(link, struct offset_owner, by_key);
}

static bool entry_matches(const struct chain_link *link, const void *key)
{
    const struct entry_key *wanted = key;
    const struct offset_entry *entry = entry_of(link);
    return entry->partition == wanted->partition &&
           sl_bytes_equal(entry->topic->key, wanted->topic) &&
           sl_bytes_equal(entry->group->key, wanted->group);
}

static bool owner_matches(const struct chain_link *link, const void *key)
{
    return sl_bytes_equal(owner_of(link)->key, *(const struct sl_bytes *)key);
}

static uint64_t bytes_hash(struct sl_bytes bytes)
{
    return sl_hash64(bytes.data, bytes.size);
}

static uint64_t entry_hash(const struct entry_key *key)
{
    return sl_hash64_mix(bytes_hash(key->group) ^
                         sl_hash64_mix(bytes_hash(key->topic) + key->partition));
}

static struct offset_entry *entry_get(const struct offset_store *store, const struct entry_key *key)
{
    struct chain_link *link = chain_map_get(&store->entries, entry_hash(key), entry_matches, key);
    return link == NULL ? NULL : entry_of(link);
}

static struct offset_owner *owner_get(const struct chain_map *map, struct sl_bytes key)
{
    struct chain_link *link = chain_map_get(map, bytes_hash(key), owner_matches, &key);
    return link == NULL ? NULL : owner_of(link);
}

static sl_err owner_ensure(struct chain_map *map, struct sl_bytes key,
                           struct offset_owner **ret_owner)
{
    struct offset_owner *owner = owner_get(map, key);
    if (owner == NULL) {
        owner = sl_alloc(sizeof *owner + key.size);
        if (owner == NULL)
            return SLUICE_E_NO_MEMORY;
        uint8_t *bytes = (uint8_t *)(owner + 1);
        sl_bytes_copy(bytes, key);
        *owner = (struct offset_owner){.key = sl_bytes_of(bytes, key.size)};
        chain_map_put(map, &owner->by_key, bytes_hash(key));
    }
    *ret_owner = owner;
    return SLUICE_OK;
}

static void owner_drop_empty(struct chain_map *map, struct offset_owner *owner)
{
    if (owner != NULL && owner->count == 0) {
        chain_map_remove(map, &owner->by_key);
        sl_free(owner);
    }
}

/* ---- the two lists ---- */

static void group_link(struct offset_entry *entry)
{
    entry->of_group = (struct offset_siblings){NULL, entry->group->first};
    if (entry->of_group.next != NULL)
        entry->of_group.next->of_group.previous = entry;
    entry->group->first = entry;
    entry->group->count++;
}

static void group_unlink(struct offset_entry *entry)
{
    struct offset_siblings *at = &entry->of_group;
    *(at->previous != NULL ? &at->previous->of_group.next : &entry->group->first) = at->next;
    if (at->next != NULL)
        at->next->of_group.previous = at->previous;
    entry->group->count--;
}

static void topic_link(struct offset_entry *entry)
{
    entry->of_topic = (struct offset_siblings){NULL, entry->topic->first};
    if (entry->of_topic.next != NULL)
        entry->of_topic.next->of_topic.previous = entry;
    entry->topic->first = entry;
    entry->topic->count++;
}

static void topic_unlink(struct offset_entry *entry)
{
    struct offset_siblings *at = &entry->of_topic;
    *(at->previous != NULL ? &at->previous->of_topic.next : &entry->topic->first) = at->next;
    if (at->next != NULL)
        at->next->of_topic.previous = at->previous;
    entry->topic->count--;
}

static void entry_remove(struct offset_store *store, struct offset_entry *entry)
{
    chain_map_remove(&store->entries, &entry->by_key);
    group_unlink(entry);
    topic_unlink(entry);
    owner_drop_empty(&store->groups, entry->group);
    owner_drop_empty(&store->topics, entry->topic);
    sl_free((void *)(uintptr_t)entry->metadata.data);
    sl_free(entry);
}

static sl_err entry_add(struct offset_store *store, const struct entry_key *key,
                        struct offset_entry **ret_entry)
{
    struct offset_owner *group = NULL;
    struct offset_owner *topic = NULL;
    struct offset_entry *entry = sl_alloc_zero(1, sizeof *entry);
    if (entry == NULL || owner_ensure(&store->groups, key->group, &group) != SLUICE_OK ||
        owner_ensure(&store->topics, key->topic, &topic) != SLUICE_OK) {
        owner_drop_empty(&store->groups, group);
        sl_free(entry);
        return SLUICE_E_NO_MEMORY;
    }
    entry->group = group;
    entry->topic = topic;
    entry->partition = key->partition;
    group_link(entry);
    topic_link(entry);
    chain_map_put(&store->entries, &entry->by_key, entry_hash(key));
    *ret_entry = entry;
    return SLUICE_OK;
}

/* ---- birth and end ---- */

struct offset_store *offset_store_new(uint32_t offsets_max)
{
    struct offset_store *store = sl_alloc_zero(1, sizeof *store);
    if (store == NULL)
        return NULL;
    if (chain_map_init(&store->entries) != SLUICE_OK ||
        chain_map_init(&store->groups) != SLUICE_OK ||
        chain_map_init(&store->topics) != SLUICE_OK) {
        chain_map_fini(&store->entries);
        chain_map_fini(&store->groups);
        sl_free(store);
        return NULL;
    }
    store->offsets_max = offsets_max != 0 ? offsets_max : 1000000;
    return store;
}

static void entry_visit_remove(void *arg, struct chain_link *link)
{
    entry_remove(arg, entry_of(link));
}

struct offset_store *offset_store_free(struct offset_store *store)
{
    if (store != NULL) {
        chain_map_each(&store->entries, entry_visit_remove, store);
        SL_ASSERT(store->groups.count == 0 && store->topics.count == 0);
        chain_map_fini(&store->entries);
        chain_map_fini(&store->groups);
        chain_map_fini(&store->topics);
        sl_free(store);
    }
    return NULL;
}

/* ---- commits ---- */

static struct entry_key key_of(struct sl_bytes group, const struct sl_uuid *topic,
                               uint32_t partition)
{
    return (struct entry_key){group, sl_bytes_of(topic->b, sizeof topic->b), partition};
}

sl_err offset_store_check(const struct offset_store *store, const struct offset_commit *commit)
{
    struct entry_key key = key_of(commit->group, &commit->topic, commit->partition);
    if (commit->group.size > OFFSET_STORE_GROUP_BYTES_MAX)
        return SLUICE_E_INVALID_GROUP_ID;
    if (commit->metadata.size > OFFSET_STORE_METADATA_BYTES_MAX)
        return SLUICE_E_OFFSET_METADATA_TOO_LARGE;
    if (store->entries.count >= store->offsets_max && entry_get(store, &key) == NULL)
        return SLUICE_E_LIMIT;
    return SLUICE_OK;
}

static sl_err commit_apply(struct offset_store *store, struct sl_bytes payload)
{
    struct offset_commit commit;
    sl_err err = offset_item_commit(payload, &commit);
    if (err != SLUICE_OK)
        return err;
    char *metadata = NULL;
    if (commit.metadata.size != 0) {
        metadata = sl_strdup_bytes(commit.metadata.data, commit.metadata.size);
        if (metadata == NULL)
            return SLUICE_E_NO_MEMORY;
    }
    struct entry_key key = key_of(commit.group, &commit.topic, commit.partition);
    struct offset_entry *entry = entry_get(store, &key);
    if (entry == NULL)
        err = entry_add(store, &key, &entry);
    if (err != SLUICE_OK) {
        sl_free(metadata);
        return err;
    }
    sl_free((void *)(uintptr_t)entry->metadata.data);
    entry->metadata = sl_bytes_of(metadata, commit.metadata.size);
    entry->offset = commit.offset;
    entry->time_ms = commit.time_ms;
    entry->leader_epoch = commit.leader_epoch;
    return SLUICE_OK;
}

/* The owner goes with its last entry, so the next one is fetched before. */
static void group_forget(struct offset_store *store, struct sl_bytes key)
{
    struct offset_owner *owner = owner_get(&store->groups, key);
    struct offset_entry *entry = owner == NULL ? NULL : owner->first;
    while (entry != NULL) {
        struct offset_entry *next = entry->of_group.next;
        entry_remove(store, entry);
        entry = next;
    }
}

static void topic_forget(struct offset_store *store, struct sl_bytes key)
{
    struct offset_owner *owner = owner_get(&store->topics, key);
    struct offset_entry *entry = owner == NULL ? NULL : owner->first;
    while (entry != NULL) {
        struct offset_entry *next = entry->of_topic.next;
        entry_remove(store, entry);
        entry = next;
    }
}

static sl_err forget_apply(struct offset_store *store, struct sl_bytes payload)
{
    struct offset_forget forget;
    sl_err err = offset_item_forget(payload, &forget);
    if (err != SLUICE_OK)
        return err;
    struct entry_key key = key_of(forget.group, &forget.topic, forget.partition);
    if (forget.what == OFFSET_FORGET_GROUP) {
        group_forget(store, key.group);
    } else if (forget.what == OFFSET_FORGET_TOPIC) {
        topic_forget(store, key.topic);
    } else {
        struct offset_entry *entry = entry_get(store, &key);
        if (entry != NULL)
            entry_remove(store, entry);
    }
    return SLUICE_OK;
}

sl_err offset_store_apply(struct offset_store *store, uint16_t kind, uint8_t version,
                          struct sl_bytes payload)
{
    SL_ASSERT(kind == WAL_ITEM_OFFSET_COMMIT || kind == WAL_ITEM_OFFSET_FORGET);
    if (version > OFFSET_STORE_ITEM_VERSION)
        return SLUICE_E_NEWER_FORMAT;
    if (version == 0)
        return SLUICE_E_CORRUPT;
    return kind == WAL_ITEM_OFFSET_COMMIT ? commit_apply(store, payload)
                                          : forget_apply(store, payload);
}

/* ---- reads ---- */

static struct offset_commit commit_of(const struct offset_entry *entry)
{
    struct offset_commit commit = {
        .group = entry->group->key,
        .partition = entry->partition,
        .leader_epoch = entry->leader_epoch,
        .offset = entry->offset,
        .time_ms = entry->time_ms,
        .metadata = entry->metadata,
    };
    sl_bytes_copy(commit.topic.b, entry->topic->key);
    return commit;
}

bool offset_store_get(const struct offset_store *store, struct sl_bytes group,
                      const struct sl_uuid *topic, uint32_t partition,
                      struct offset_commit *ret_commit)
{
    struct entry_key key = key_of(group, topic, partition);
    const struct offset_entry *entry = entry_get(store, &key);
    if (entry == NULL)
        return false;
    *ret_commit = commit_of(entry);
    return true;
}

void offset_store_each(const struct offset_store *store, struct sl_bytes group,
                       void (*visit)(void *arg, const struct offset_commit *commit), void *arg)
{
    const struct offset_owner *owner = owner_get(&store->groups, group);
    const struct offset_entry *entry = owner == NULL ? NULL : owner->first;
    for (; entry != NULL; entry = entry->of_group.next) {
        struct offset_commit commit = commit_of(entry);
        visit(arg, &commit);
    }
}

struct groups_each {
    void (*visit)(void *arg, struct sl_bytes group);
    void *arg;
};

static void groups_visit(void *arg, struct chain_link *link)
{
    const struct groups_each *each = arg;
    each->visit(each->arg, owner_of(link)->key);
}

void offset_store_groups(const struct offset_store *store,
                         void (*visit)(void *arg, struct sl_bytes group), void *arg)
{
    struct groups_each each = {visit, arg};
    chain_map_each(&store->groups, groups_visit, &each);
}

uint32_t offset_store_count(const struct offset_store *store)
{
    return store->entries.count;
}

uint32_t offset_store_group_count(const struct offset_store *store, struct sl_bytes group)
{
    const struct offset_owner *owner = owner_get(&store->groups, group);
    return owner == NULL ? 0 : owner->count;
}

/* ---- expiry ---- */

static void expiry_visit(void *arg, struct chain_link *link)
{
    struct offset_expiry *expiry = arg;
    const struct offset_owner *group = owner_of(link);
    if (expiry->count >= expiry->count_max ||
        expiry->idle_ms(expiry->arg, group->key) < expiry->retention_ms)
        return;
    const struct offset_entry *entry = group->first;
    for (; entry != NULL && expiry->count < expiry->count_max; entry = entry->of_group.next) {
        if (expiry->wall_ms - entry->time_ms < expiry->retention_ms)
            continue;
        struct offset_forget forget = {
            .what = OFFSET_FORGET_PARTITION, .group = group->key, .partition = entry->partition};
        sl_bytes_copy(forget.topic.b, entry->topic->key);
        expiry->forget(expiry->arg, &forget);
        expiry->count++;
    }
}

uint32_t offset_store_expired(const struct offset_store *store, struct offset_expiry *expiry)
{
    chain_map_each(&store->groups, expiry_visit, expiry);
    return expiry->count;
}

/* ---- checkpoint ---- */

struct snapshot {
    offset_store_add_fn *add;
    void *arg;
    sl_err err;
};

static void snapshot_visit(void *arg, struct chain_link *link)
{
    struct snapshot *snapshot = arg;
    if (snapshot->err != SLUICE_OK)
        return;
    struct offset_commit commit = commit_of(entry_of(link));
    size_t size = offset_commit_item_size(&commit);
    uint8_t *payload = sl_alloc(size);
    if (payload == NULL) {
        snapshot->err = SLUICE_E_NO_MEMORY;
        return;
    }
    offset_commit_item_encode(&commit, payload);
    snapshot->err = snapshot->add(snapshot->arg, WAL_ITEM_OFFSET_COMMIT, OFFSET_STORE_ITEM_VERSION,
                                  sl_bytes_of(payload, size));
    sl_free(payload);
}

sl_err offset_store_snapshot(const struct offset_store *store, uint32_t *at, uint32_t count,
                             offset_store_add_fn *add, void *add_arg)
{
    struct snapshot snapshot = {add, add_arg, SLUICE_OK};
    *at = chain_map_visit(&store->entries, *at, count, snapshot_visit, &snapshot);
    return snapshot.err;
}
