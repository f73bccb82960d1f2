/* delay_book.h: records of a shard that are to be appended to their partition later: which, where
 * they wait, and when it is time.
 *
 *   keep ─► entry ─► kept (durable) ─► due ─► taken ─► removed (appended, durable)
 *             └► dropped                         └► put back
 *
 * They wait as batches in a stream of the shard's own; an entry is one batch, named by the offset
 * of its first record there. It is all in memory; a DELAY item says it in the log and in
 * checkpoints.
 *
 * A DELAY item, little-endian, version 1, 48 bytes: topic id 16 and partition u32 where it is to be
 * appended, number of records u32, offset i64 where it waits, due i64 (milliseconds since 1970),
 * flags u32 (bit 0: it waits no more; others are refused), zero u32.
 *
 * Bounded: DELAYS_MAX entries. One thread. */
#ifndef SL_DELIVER_DELAY_BOOK_H
#define SL_DELIVER_DELAY_BOOK_H

#include "base/list.h"
#include "base/pool.h"
#include "catalog/chain_map.h"
#include "deliver/due_heap.h"
#include "wal/item.h"

#define DELAYS_MAX         1000000u /* of a shard; 128 MiB */
#define DELAY_ITEM_VERSION 1
#define DELAY_ITEM_SIZE    48u

struct delay_entry {
    struct chain_link link;  /* by offset */
    struct sl_link in_order; /* by rising offset; of those that are kept */
    struct due_node node;
    int64_t due_ms; /* wall */
    int64_t offset; /* where it waits; -1: not kept yet */
    struct sl_uuid topic;
    uint32_t partition;
    uint32_t record_count;
};

struct delay_book {
    struct sl_pool pool;
    struct chain_map by_offset;
    struct sl_list in_order;
    struct due_heap due;
    uint64_t record_count; /* of all that wait */
    uint32_t count_max;
    uint64_t refused;
};

sl_err delay_book_init(struct delay_book *book,
                       uint32_t count_max) SL_MUST_CHECK; /* 0: DELAYS_MAX */
void delay_book_fini(struct delay_book *book);
static inline uint32_t delay_book_count(const struct delay_book *book)
{
    return book->by_offset.count;
}

/* An entry that is to be kept or dropped. E_LIMIT, E_NO_MEMORY. */
sl_err delay_book_new(struct delay_book *book, struct delay_entry **ret_entry) SL_MUST_CHECK;
/* Its batch is durable at `offset`, behind all others. topic, partition, due_ms and record_count
 * are set. */
void delay_book_keep(struct delay_book *book, struct delay_entry *entry, int64_t offset);
void delay_book_drop(struct delay_book *book, struct delay_entry *entry); /* not kept */

/* The earliest that is not taken, and of those of one time the one that came first; NULL: none. */
struct delay_entry *delay_book_next(const struct delay_book *book);
void delay_book_take(struct delay_book *book, struct delay_entry *entry);
void delay_book_put_back(struct delay_book *book, struct delay_entry *entry);
void delay_book_remove(struct delay_book *book, struct delay_entry *entry); /* it is freed */
/* Its batch lies at another offset now, behind all others. */
void delay_book_move(struct delay_book *book, struct delay_entry *entry, int64_t offset);
/* The one whose offset is lowest; NULL: none waits. */
struct delay_entry *delay_book_oldest(const struct delay_book *book);

/* ---- items ---- */

void delay_item_encode(const struct delay_entry *entry, int64_t offset, bool is_over,
                       uint8_t ret_payload[DELAY_ITEM_SIZE]);
/* Of the log or a checkpoint, in any order, for as long as delay_book_sort has not run. E_CORRUPT,
 * E_NEWER_FORMAT, E_NO_MEMORY; E_LIMIT. */
sl_err delay_book_apply(struct delay_book *book, uint8_t version,
                        struct sl_bytes payload) SL_MUST_CHECK;
/* All was applied. E_NO_MEMORY. */
sl_err delay_book_sort(struct delay_book *book) SL_MUST_CHECK;
/* DELAY items of at least `count` entries from bucket *at on; *at is where to go on then,
 * UINT32_MAX at the end. Begin with 0. */
typedef sl_err delay_add_fn(void *arg, uint16_t kind, uint8_t version, struct sl_bytes payload);
sl_err delay_book_snapshot(const struct delay_book *book, uint32_t *at, uint32_t count,
                           delay_add_fn *add, void *add_arg) SL_MUST_CHECK;

#endif
