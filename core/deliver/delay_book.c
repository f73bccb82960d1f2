/* delay_book.c: see delay_book.h. */
#include "deliver/delay_book.h"

#include "base/hash.h"
#include "catalog/item_codec.h"

#include <stdlib.h>

#define FLAG_OVER 1u

sl_err delay_book_init(struct delay_book *book, uint32_t count_max)
{
    *book = (struct delay_book){.count_max = count_max != 0 ? count_max : DELAYS_MAX};
    /* A recovery may meet entries that the log ends later on. */
    sl_pool_init(&book->pool, sizeof(struct delay_entry), 2 * (size_t)book->count_max);
    sl_list_init(&book->in_order);
    return chain_map_init(&book->by_offset);
}

static void give(void *arg, struct chain_link *link)
{
    struct delay_book *book = arg;
    sl_pool_give(&book->pool, SL_CONTAINER_OF(link, struct delay_entry, link));
}

/* What is neither kept nor dropped is in the heap alone. */
void delay_book_fini(struct delay_book *book)
{
    for (uint32_t i = 0; i < book->due.count; i++) {
        struct delay_entry *entry = SL_CONTAINER_OF(book->due.nodes[i], struct delay_entry, node);
        if (entry->offset < 0)
            sl_pool_give(&book->pool, entry);
    }
    if (book->by_offset.buckets != NULL)
        chain_map_each(&book->by_offset, give, book);
    chain_map_fini(&book->by_offset);
    due_heap_fini(&book->due);
    sl_pool_fini(&book->pool);
}

static sl_err entry_new(struct delay_book *book, struct delay_entry **ret_entry)
{
    struct delay_entry *entry = sl_pool_take(&book->pool);
    if (entry == NULL)
        return SLUICE_E_NO_MEMORY;
    *entry = (struct delay_entry){.offset = -1};
    sl_link_init(&entry->in_order);
    sl_err err = due_heap_add(&book->due, &entry->node);
    if (err != SLUICE_OK) {
        sl_pool_give(&book->pool, entry);
        return err;
    }
    *ret_entry = entry;
    return SLUICE_OK;
}

sl_err delay_book_new(struct delay_book *book, struct delay_entry **ret_entry)
{
    if (book->pool.count < book->count_max)
        return entry_new(book, ret_entry);
    book->refused++;
    return SLUICE_E_LIMIT;
}

static uint64_t hash_of(int64_t offset)
{
    return sl_hash64_mix((uint64_t)offset);
}

static void enter(struct delay_book *book, struct delay_entry *entry, int64_t offset)
{
    entry->offset = offset;
    entry->node.order = offset;
    chain_map_put(&book->by_offset, &entry->link, hash_of(offset));
}

void delay_book_keep(struct delay_book *book, struct delay_entry *entry, int64_t offset)
{
    SL_ASSERT(entry->offset < 0 && offset >= 0);
    enter(book, entry, offset);
    book->record_count += entry->record_count;
    sl_list_push_back(&book->in_order, &entry->in_order);
    due_heap_move(&book->due, &entry->node, entry->due_ms);
}

void delay_book_drop(struct delay_book *book, struct delay_entry *entry)
{
    SL_ASSERT(entry->offset < 0);
    due_heap_remove(&book->due, &entry->node);
    sl_pool_give(&book->pool, entry);
}

struct delay_entry *delay_book_next(const struct delay_book *book)
{
    if (due_heap_next_ms(&book->due) == DUE_NEVER)
        return NULL;
    return SL_CONTAINER_OF(book->due.nodes[0], struct delay_entry, node);
}

void delay_book_take(struct delay_book *book, struct delay_entry *entry)
{
    due_heap_move(&book->due, &entry->node, DUE_NEVER);
}

void delay_book_put_back(struct delay_book *book, struct delay_entry *entry)
{
    due_heap_move(&book->due, &entry->node, entry->due_ms);
}

void delay_book_remove(struct delay_book *book, struct delay_entry *entry)
{
    SL_ASSERT(entry->offset >= 0);
    book->record_count -= entry->record_count;
    chain_map_remove(&book->by_offset, &entry->link);
    sl_list_remove(&entry->in_order);
    due_heap_remove(&book->due, &entry->node);
    sl_pool_give(&book->pool, entry);
}

void delay_book_move(struct delay_book *book, struct delay_entry *entry, int64_t offset)
{
    SL_ASSERT(entry->offset >= 0 && offset > entry->offset);
    chain_map_remove(&book->by_offset, &entry->link);
    enter(book, entry, offset);
    sl_list_remove(&entry->in_order);
    sl_list_push_back(&book->in_order, &entry->in_order);
}

struct delay_entry *delay_book_oldest(const struct delay_book *book)
{
    if (sl_list_is_empty(&book->in_order))
        return NULL;
    return SL_CONTAINER_OF(book->in_order.head.next, struct delay_entry, in_order);
}

/* ---- items ---- */

void delay_item_encode(const struct delay_entry *entry, int64_t offset, bool is_over,
                       uint8_t ret_payload[DELAY_ITEM_SIZE])
{
    uint8_t *at = item_write_uuid(ret_payload, &entry->topic);
    at = item_write_u32(at, entry->partition);
    at = item_write_u32(at, entry->record_count);
    at = item_write_u64(at, (uint64_t)offset);
    at = item_write_u64(at, (uint64_t)entry->due_ms);
    at = item_write_u32(at, is_over ? FLAG_OVER : 0);
    (void)item_write_u32(at, 0);
}

static sl_err item_decode(uint8_t version, struct sl_bytes payload, struct delay_entry *ret_entry,
                          bool *ret_is_over)
{
    if (version > DELAY_ITEM_VERSION)
        return SLUICE_E_NEWER_FORMAT;
    if (version == 0 || payload.size != DELAY_ITEM_SIZE)
        return SLUICE_E_CORRUPT;
    struct item_reader reader = item_reader_of(payload);
    ret_entry->topic = item_read_uuid(&reader);
    ret_entry->partition = item_read_u32(&reader);
    ret_entry->record_count = item_read_u32(&reader);
    ret_entry->offset = (int64_t)item_read_u64(&reader);
    ret_entry->due_ms = (int64_t)item_read_u64(&reader);
    uint32_t flags = item_read_u32(&reader);
    *ret_is_over = (flags & FLAG_OVER) != 0;
    bool is_sound = (flags & ~FLAG_OVER) == 0 && ret_entry->offset >= 0 && ret_entry->due_ms >= 0 &&
                    ret_entry->due_ms < DUE_NEVER && ret_entry->record_count <= INT32_MAX;
    return is_sound ? SLUICE_OK : SLUICE_E_CORRUPT;
}

static bool has_offset(const struct chain_link *link, const void *key)
{
    return SL_CONTAINER_OF(link, const struct delay_entry, link)->offset == *(const int64_t *)key;
}

sl_err delay_book_apply(struct delay_book *book, uint8_t version, struct sl_bytes payload)
{
    struct delay_entry item = {.offset = -1};
    struct delay_entry *entry = NULL;
    bool is_over = false;
    sl_err err = item_decode(version, payload, &item, &is_over);
    if (err != SLUICE_OK)
        return err;
    struct chain_link *link =
        chain_map_get(&book->by_offset, hash_of(item.offset), has_offset, &item.offset);
    if (link != NULL) { /* it waits already, as a checkpoint said */
        entry = SL_CONTAINER_OF(link, struct delay_entry, link);
        if (is_over)
            delay_book_remove(book, entry);
        return SLUICE_OK;
    }
    if (is_over)
        return SLUICE_OK;
    err = entry_new(book, &entry);
    if (err != SLUICE_OK)
        return err;
    entry->topic = item.topic;
    entry->partition = item.partition;
    entry->record_count = item.record_count;
    entry->due_ms = item.due_ms;
    delay_book_keep(book, entry, item.offset);
    return SLUICE_OK;
}

static int by_offset(const void *left, const void *right)
{
    const struct delay_entry *a = *(struct delay_entry *const *)left;
    const struct delay_entry *b = *(struct delay_entry *const *)right;
    return (a->offset > b->offset) - (a->offset < b->offset);
}

sl_err delay_book_sort(struct delay_book *book)
{
    uint32_t count = 0;
    if (sl_list_is_empty(&book->in_order))
        return SLUICE_OK;
    struct delay_entry **all = sl_alloc(book->by_offset.count * sizeof(struct delay_entry *));
    if (all == NULL)
        return SLUICE_E_NO_MEMORY;
    for (struct sl_link *link; (link = sl_list_pop_front(&book->in_order)) != NULL;)
        all[count++] = SL_CONTAINER_OF(link, struct delay_entry, in_order);
    qsort(all, count, sizeof(all[0]), by_offset);
    for (uint32_t i = 0; i < count; i++)
        sl_list_push_back(&book->in_order, &all[i]->in_order);
    sl_free(all);
    return SLUICE_OK;
}

struct snapshot {
    delay_add_fn *add;
    void *add_arg;
    sl_err err;
};

static void add_entry(void *arg, struct chain_link *link)
{
    struct snapshot *self = arg;
    const struct delay_entry *entry = SL_CONTAINER_OF(link, struct delay_entry, link);
    uint8_t payload[DELAY_ITEM_SIZE];
    if (self->err == SLUICE_OK) {
        delay_item_encode(entry, entry->offset, false, payload);
        self->err = self->add(self->add_arg, WAL_ITEM_DELAY, DELAY_ITEM_VERSION,
                              (struct sl_bytes){payload, sizeof(payload)});
    }
}

sl_err delay_book_snapshot(const struct delay_book *book, uint32_t *at, uint32_t count,
                           delay_add_fn *add, void *add_arg)
{
    struct snapshot self = {.add = add, .add_arg = add_arg};
    *at = chain_map_visit(&book->by_offset, *at, count, add_entry, &self);
    return self.err;
}
