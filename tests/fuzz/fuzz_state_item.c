/* fuzz_state_item.c: payloads of catalog, producer, offset, transaction and quota items, as a
 * damaged file could hold them.
 *
 * The first byte is the kind, the second the version, the rest the payload. What is accepted must
 * survive a snapshot: the copy made of it accepts every item. */
#include "admit/message_ids.h"
#include "admit/producer_ids.h"
#include "admit/producer_state.h"
#include "admit/quota_book.h"
#include "admit/txn_store.h"
#include "catalog/catalog.h"
#include "deliver/delay_book.h"
#include "deliver/offset_store.h"
#include "deliver/share_members.h"
#include "deliver/share_store.h"
#include "deliver/streams_groups.h"
#include "deliver/txn_offsets.h"

#include <string.h>

static struct catalog_limits catalog_limits;
static struct producer_limits producer_limits;

static sl_err catalog_add(void *arg, uint16_t kind, uint8_t version, struct sl_bytes payload)
{
    SL_ASSERT(catalog_apply(arg, kind, version, payload) == SLUICE_OK);
    return SLUICE_OK;
}

/* A topic of the payload's id, for what changes one. */
static void topic_make(struct catalog *catalog, struct sl_bytes payload)
{
    const struct sluice_topic_spec spec = {
        .size = sizeof spec, .partition_count = 3, .name = {"fuzz", 4}, .replication_factor = 1};
    struct sl_uuid id;
    struct sl_bytes item;
    if (payload.size < sizeof id.b)
        return;
    memcpy(id.b, payload.data, sizeof id.b);
    if (sl_uuid_is_zero(&id) || catalog_create_encode(&spec, &id, 3, 2, false, &item) != SLUICE_OK)
        return;
    SL_ASSERT(catalog_apply(catalog, WAL_ITEM_TOPIC_CREATE, 1, item) == SLUICE_OK);
    sl_free((void *)(uintptr_t)item.data);
}

static void catalog_try(uint16_t kind, uint8_t version, struct sl_bytes payload)
{
    struct broker_settings broker;
    broker_settings_init(&broker);
    struct catalog *catalog = catalog_new(&catalog_limits, &broker, NULL, NULL);
    struct catalog *copy = catalog_new(&catalog_limits, &broker, NULL, NULL);
    if (kind == WAL_ITEM_TOPIC_GROW || kind == WAL_ITEM_TOPIC_CONFIG)
        topic_make(catalog, payload);
    if (catalog_apply(catalog, kind, version, payload) == SLUICE_OK) {
        SL_ASSERT(catalog_snapshot(catalog, catalog_add, copy) == SLUICE_OK);
        SL_ASSERT(catalog_partition_count(copy) == catalog_partition_count(catalog));
    }
    catalog_free(catalog);
    catalog_free(copy);
}

static sl_err offset_add(void *arg, uint16_t kind, uint8_t version, struct sl_bytes payload)
{
    SL_ASSERT(offset_store_apply(arg, kind, version, payload) == SLUICE_OK);
    return SLUICE_OK;
}

static void offset_try(uint16_t kind, uint8_t version, struct sl_bytes payload)
{
    struct offset_store *store = offset_store_new(0);
    struct offset_store *copy = offset_store_new(0);
    if (offset_store_apply(store, kind, version, payload) == SLUICE_OK) {
        uint32_t at = 0;
        SL_ASSERT(offset_store_snapshot(store, &at, UINT32_MAX, offset_add, copy) == SLUICE_OK);
        SL_ASSERT(offset_store_count(copy) == offset_store_count(store));
    }
    offset_store_free(store);
    offset_store_free(copy);
}

static sl_err producer_add(void *arg, uint16_t kind, uint8_t version, struct sl_bytes payload)
{
    SL_ASSERT(producers_restore(arg, kind, version, payload) == SLUICE_OK);
    return SLUICE_OK;
}

static void producer_try(uint16_t kind, uint8_t version, struct sl_bytes payload)
{
    struct sl_uuid topic = {{1}};
    struct producers producers, copy;
    struct producer_shard *shard = producer_shard_new(&producer_limits);
    struct producer_shard *other = producer_shard_new(&producer_limits);
    producers_init(&producers, shard);
    producers_init(&copy, other);
    if (producers_restore(&producers, kind, version, payload) == SLUICE_OK) {
        SL_ASSERT(producers_snapshot(&producers, &topic, 0, INT64_MAX, producer_add, &copy) ==
                  SLUICE_OK);
        SL_ASSERT(copy.count == producers.count);
    }
    producers_fini(&producers);
    producers_fini(&copy);
    producer_shard_free(shard);
    producer_shard_free(other);
}

static sl_err txn_add(void *arg, uint16_t kind, uint8_t version, struct sl_bytes payload)
{
    SL_ASSERT(kind == WAL_ITEM_TXN && txn_store_apply(arg, version, payload) == SLUICE_OK);
    return SLUICE_OK;
}

static void txn_try(uint8_t version, struct sl_bytes payload)
{
    struct txn_store store, copy;
    uint32_t at = 0;
    if (txn_store_init(&store, 0) == SLUICE_OK && txn_store_init(&copy, 0) == SLUICE_OK) {
        if (txn_store_apply(&store, version, payload) == SLUICE_OK) {
            SL_ASSERT(txn_store_snapshot(&store, &at, UINT32_MAX, txn_add, &copy) == SLUICE_OK);
            SL_ASSERT(copy.ids.count == store.ids.count);
        }
        txn_store_fini(&copy);
    }
    txn_store_fini(&store);
}

static sl_err txn_offset_add(void *arg, uint16_t kind, uint8_t version, struct sl_bytes payload)
{
    SL_ASSERT(txn_offsets_apply(arg, kind, version, payload) == SLUICE_OK);
    return SLUICE_OK;
}

static void txn_offset_try(uint16_t kind, uint8_t version, struct sl_bytes payload)
{
    struct txn_offsets offsets, copy;
    uint32_t at = 0;
    if (txn_offsets_init(&offsets) == SLUICE_OK && txn_offsets_init(&copy) == SLUICE_OK) {
        if (txn_offsets_apply(&offsets, kind, version, payload) == SLUICE_OK) {
            SL_ASSERT(txn_offsets_snapshot(&offsets, &at, UINT32_MAX, txn_offset_add, &copy) ==
                      SLUICE_OK);
            SL_ASSERT(copy.count == offsets.count);
        }
        txn_offsets_fini(&copy);
    }
    txn_offsets_fini(&offsets);
}

static void quota_add(void *arg, struct chain_link *link)
{
    const struct quota_entry *entry = SL_CONTAINER_OF(link, struct quota_entry, link);
    uint8_t payload[QUOTA_ITEM_BYTES_MAX];
    for (int32_t kind = 1; kind <= SLUICE_QUOTA_KINDS; kind++) {
        if (entry->limits[kind] > 0) {
            size_t size = quota_item_encode(&entry->entity, kind, entry->limits[kind], payload);
            SL_ASSERT(quota_book_apply(arg, QUOTA_ITEM_VERSION, (struct sl_bytes){payload, size}) ==
                      SLUICE_OK);
        }
    }
}

static void quota_try(uint8_t version, struct sl_bytes payload)
{
    static const struct quota_windows windows = {11, 1000};
    static const uint8_t hash_key[16];
    struct quota_book *book = NULL;
    struct quota_book *copy = NULL;
    if (quota_book_new(&windows, hash_key, &book) == SLUICE_OK &&
        quota_book_new(&windows, hash_key, &copy) == SLUICE_OK &&
        quota_book_apply(book, version, payload) == SLUICE_OK) {
        quota_book_visit(book, 0, UINT32_MAX, quota_add, copy);
        SL_ASSERT(quota_book_count(copy) == quota_book_count(book));
    }
    quota_book_free(book);
    quota_book_free(copy);
}

static sl_err share_add(void *arg, uint16_t kind, uint8_t version, struct sl_bytes payload)
{
    return share_store_apply(arg, kind, version, payload);
}

/* What was taken in comes out again as the same. */
static void share_try(uint16_t kind, uint8_t version, struct sl_bytes payload)
{
    struct share_store store, copy;
    if (share_store_init(&store) == SLUICE_OK && share_store_init(&copy) == SLUICE_OK &&
        share_store_apply(&store, kind, version, payload) == SLUICE_OK) {
        for (uint32_t at = 0; at != UINT32_MAX;)
            SL_ASSERT(share_store_snapshot(&store, &at, 8, share_add, &copy) == SLUICE_OK);
        SL_ASSERT(copy.stream_count == store.stream_count);
    }
    share_store_fini(&copy);
    share_store_fini(&store);
}

static void share_group_try(uint8_t version, struct sl_bytes payload)
{
    struct share_members members;
    const struct share_catalog catalog = {0};
    if (share_members_init(&members, &catalog) == SLUICE_OK)
        (void)!share_members_apply(&members, version, payload);
    share_members_fini(&members);
}

static uint64_t no_version(void *arg)
{
    (void)arg;
    return 1;
}

static bool no_topic(void *arg, struct sl_bytes name, struct group_topic *ret_topic)
{
    (void)arg;
    (void)name;
    (void)ret_topic;
    return false;
}

static void no_config(void *arg, struct sl_bytes group, struct streams_group_config *ret_config)
{
    (void)arg;
    (void)group;
    *ret_config = (struct streams_group_config){0};
}

static sl_err streams_add(void *arg, uint16_t kind, uint8_t version, struct sl_bytes payload)
{
    return streams_groups_apply(arg, kind, version, payload);
}

static sl_err delay_add(void *arg, uint16_t kind, uint8_t version, struct sl_bytes payload)
{
    SL_ASSERT(kind == WAL_ITEM_DELAY);
    SL_ASSERT(delay_book_apply(arg, version, payload) == SLUICE_OK);
    return SLUICE_OK;
}

static void delay_try(uint8_t version, struct sl_bytes payload)
{
    struct delay_book book;
    struct delay_book copy;
    SL_ASSERT(delay_book_init(&book, 16) == SLUICE_OK && delay_book_init(&copy, 16) == SLUICE_OK);
    (void)!delay_book_apply(&book, version, payload);
    for (uint32_t at = 0; at != UINT32_MAX;)
        SL_ASSERT(delay_book_snapshot(&book, &at, 8, delay_add, &copy) == SLUICE_OK);
    SL_ASSERT(delay_book_count(&copy) == delay_book_count(&book));
    delay_book_fini(&book);
    delay_book_fini(&copy);
}

static sl_err message_add(void *arg, uint16_t kind, uint8_t version, struct sl_bytes payload)
{
    SL_ASSERT(kind == WAL_ITEM_MESSAGE_ID);
    SL_ASSERT(message_ids_apply(arg, version, payload, 0) == SLUICE_OK);
    return SLUICE_OK;
}

/* What is taken in comes out of a checkpoint as it was. */
static void message_try(uint8_t version, struct sl_bytes payload)
{
    struct message_ids ids;
    struct message_ids copy;
    SL_ASSERT(message_ids_init(&ids, 16) == SLUICE_OK);
    SL_ASSERT(message_ids_init(&copy, 16) == SLUICE_OK);
    uint32_t taken = message_ids_apply(&ids, version, payload, 0) == SLUICE_OK;
    SL_ASSERT(message_ids_count(&ids) == taken);
    for (uint32_t at = 0; at != UINT32_MAX;)
        SL_ASSERT(message_ids_snapshot(&ids, &at, 8, 0, message_add, &copy) == SLUICE_OK);
    SL_ASSERT(message_ids_count(&copy) == taken);
    message_ids_fini(&ids);
    message_ids_fini(&copy);
}

/* A group comes out as it was taken in. Members are nothing without it: the first byte says how
 * long its item is. */
static void streams_try(uint8_t version, struct sl_bytes payload)
{
    const struct group_topics topics = {.version = no_version, .by_name = no_topic};
    const struct streams_config_source configs = {no_config, NULL};
    struct streams_groups *groups = streams_groups_new(&topics, &configs);
    struct streams_groups *copy = streams_groups_new(&topics, &configs);
    struct consumer_groups_walk walk = {0};
    if (groups == NULL || copy == NULL || payload.size < 2)
        goto out;
    size_t size = SL_MIN((size_t)sl_le16_load(payload.data), payload.size - 2);
    struct sl_bytes group = {payload.data + 2, size};
    struct sl_bytes member = {payload.data + 2 + size, payload.size - 2 - size};
    (void)!streams_groups_apply(groups, WAL_ITEM_STREAMS_GROUP, version, group);
    (void)!streams_groups_apply(groups, WAL_ITEM_STREAMS_MEMBER, version, member);
    for (bool done = false; !done;)
        SL_ASSERT(streams_groups_snapshot(groups, &walk, 8, streams_add, copy, &done) == SLUICE_OK);
out:
    streams_groups_free(copy);
    streams_groups_free(groups);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct sl_bytes payload = {data + 2, size - 2};
    struct producer_ids ids;
    producer_ids_init(&ids);
    uint16_t kind = data[0];
    if ((kind >= WAL_ITEM_TOPIC_CREATE && kind <= WAL_ITEM_TOPIC_CONFIG) ||
        kind == WAL_ITEM_TOPIC_GROW)
        catalog_try(kind, data[1], payload);
    else if (kind == WAL_ITEM_OFFSET_COMMIT || kind == WAL_ITEM_OFFSET_FORGET)
        offset_try(kind, data[1], payload);
    else if (kind == WAL_ITEM_PRODUCER_STATE || kind == WAL_ITEM_TXN_OPEN ||
             kind == WAL_ITEM_TXN_ABORTED)
        producer_try(kind, data[1], payload);
    else if (kind == WAL_ITEM_DELAY)
        delay_try(data[1], payload);
    else if (kind == WAL_ITEM_MESSAGE_ID)
        message_try(data[1], payload);
    else if (kind == WAL_ITEM_QUOTA)
        quota_try(data[1], payload);
    else if (kind == WAL_ITEM_TXN)
        txn_try(data[1], payload);
    else if (kind == WAL_ITEM_TXN_OFFSET || kind == WAL_ITEM_TXN_OFFSET_END)
        txn_offset_try(kind, data[1], payload);
    else if (kind == WAL_ITEM_STREAMS_GROUP)
        streams_try(data[1], payload);
    else if (kind >= WAL_ITEM_SHARE_STATE && kind <= WAL_ITEM_SHARE_CONFIG)
        share_try(kind, data[1], payload);
    else if (kind == WAL_ITEM_SHARE_GROUP)
        share_group_try(data[1], payload);
    else if (kind == WAL_ITEM_PRODUCER_BLOCK && producer_ids_apply(&ids, data[1], payload) == 0)
        SL_ASSERT(ids.next == ids.end);
    return 0;
}
