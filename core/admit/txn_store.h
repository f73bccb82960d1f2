/* txn_store.h: transactional ids of a shard and what each is doing: the durable half of the
 * transaction coordinator (KIP-98, KIP-890).
 *
 * Every change is a TXN item with the whole state of one id, committed by the caller and applied
 * when it is durable; recovery applies the same. What a request may change is in txn_rules.h.
 *
 * TXN payload (little-endian, version 1): producer id i64, next producer id i64 (-1: stays), start
 * i64 and update i64 (wall ms), timeout i32 (ms), epoch i16, last epoch i16 (-1: none), state u8
 * (TXN_*), flags u8 (bit 0: version 2), id size u16, partition count u32, group count u16, zero
 * u16; then the id, the partitions (topic 16, number u32), the groups (size u16, bytes). One
 * thread. */
#ifndef SL_ADMIT_TXN_STORE_H
#define SL_ADMIT_TXN_STORE_H

#include "catalog/chain_map.h"
#include "wal/item.h"

#define TXN_ITEM_VERSION      1u
#define TXN_ID_BYTES_MAX      4096u
#define TXN_PARTITIONS_MAX    10000u /* of one transaction */
#define TXN_GROUPS_MAX        1000u
#define TXN_GROUP_BYTES_MAX   1024u
#define TXN_IDS_MAX           1000000u /* of a shard */
#define TXN_COORDINATOR_EPOCH 0        /* written into markers: there is one coordinator */

/* Numbered as in Kafka's log of transactions. */
enum {
    TXN_EMPTY = 0,
    TXN_ONGOING = 1,
    TXN_PREPARE_COMMIT = 2, /* decided: markers are on their way */
    TXN_PREPARE_ABORT = 3,
    TXN_COMPLETE_COMMIT = 4,
    TXN_COMPLETE_ABORT = 5,
    TXN_DEAD = 6, /* in an item: the id is forgotten */
    TXN_STATE_COUNT
};

struct txn_partition {
    struct sl_uuid topic;
    uint32_t number;
};

/* The state of a transactional id. Views. */
struct txn_values {
    int64_t producer_id;      /* -1: none yet */
    int64_t next_producer_id; /* takes over when the transaction under way has ended; -1: none */
    int64_t start_ms;         /* of the transaction; -1: none is open */
    int64_t update_ms;
    int32_t timeout_ms;
    int16_t epoch;
    int16_t last_epoch; /* before the newest bump, -1: none: a retry is known by it */
    uint8_t state;      /* TXN_* */
    bool is_v2;         /* of the transaction: KIP-890 */
    struct sl_bytes id;
    const struct txn_partition *partitions;
    uint32_t partition_count;
    const struct sl_bytes *groups;
    uint32_t group_count;
};

struct txn_op;

/* One transactional id. `values` is what is durable; its arrays are owned. */
struct txn {
    struct chain_link by_id;
    struct txn_values values;
    uint32_t partition_capacity;
    bool is_durable; /* else it is there for what is under way only */
    /* Of the coordinator's run (shard/txn_op.h): */
    struct txn_op *first_op, *last_op; /* in order; the first is being done */
    uint32_t guard_count;              /* produce requests of the transaction under way */
    bool is_running;                   /* the first op is */
    bool is_pumping;                   /* its queue is being looked at */
    bool is_completing;                /* its markers are being written */
    bool is_expiring;                  /* an op aborts it, as its time is over */
    bool is_stuck;                     /* a marker could not be written and is tried again */
    struct txn *previous_ongoing, *next_ongoing;
    bool is_listed; /* as ongoing */
};

struct txn_store {
    struct chain_map ids;
    struct txn *ongoing; /* those with an open transaction, in no order */
    uint32_t ids_max;
};

sl_err txn_store_init(struct txn_store *store, uint32_t ids_max) SL_MUST_CHECK; /* 0: TXN_IDS_MAX */
void txn_store_fini(struct txn_store *store);
struct txn *txn_store_get(const struct txn_store *store, struct sl_bytes id); /* or NULL */
/* The same, made if need be: not durable. E_LIMIT, E_NO_MEMORY. */
sl_err txn_store_open(struct txn_store *store, struct sl_bytes id,
                      struct txn **ret_txn) SL_MUST_CHECK;
/* When it is not durable and nothing is under way: it goes. */
void txn_store_drop_idle(struct txn_store *store, struct txn *txn);

/* Additions of one change. */
struct txn_additions {
    const struct txn_partition *partitions;
    uint32_t partition_count;
    struct sl_bytes group; /* data NULL: none */
};
size_t txn_item_size(const struct txn_values *values,
                     const struct txn_additions *added); /* [any] */
void txn_item_encode(const struct txn_values *values, const struct txn_additions *added,
                     uint8_t *ret_payload); /* [any] */
/* A TXN item that is durable. E_CORRUPT, E_NEWER_FORMAT, E_NO_MEMORY: nothing changed. */
sl_err txn_store_apply(struct txn_store *store, uint8_t version,
                       struct sl_bytes payload) SL_MUST_CHECK;

bool txn_has_partition(const struct txn *txn, const struct txn_partition *partition);
bool txn_has_group(const struct txn *txn, struct sl_bytes group);
const char *txn_state_name(uint8_t state); /* Kafka's: "Ongoing", … [any] */

typedef sl_err txn_add_fn(void *arg, uint16_t kind, uint8_t version, struct sl_bytes payload);
/* About `count` ids as TXN items from bucket *at on; UINT32_MAX: that was all. */
sl_err txn_store_snapshot(const struct txn_store *store, uint32_t *at, uint32_t count,
                          txn_add_fn *add, void *add_arg) SL_MUST_CHECK;
void txn_store_each(const struct txn_store *store, void (*visit)(void *arg, struct txn *txn),
                    void *arg);

#endif
