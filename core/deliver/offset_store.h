/* offset_store.h: committed offsets: (group, topic id, partition) → offset, leader epoch, metadata,
 * time.
 *
 * A commit is encoded as an OFFSET_COMMIT item, committed by the caller, applied when durable and
 * then answered. Forgetting goes the same way with OFFSET_FORGET. Nothing changes but through
 * offset_store_apply, which is also what recovery calls.
 *
 * Payloads (little-endian, version 1):
 *   OFFSET_COMMIT  topic 16, partition u32, leader epoch i32, offset i64, commit time i64 (wall
 * ms), group size u16, metadata size u16, group, metadata OFFSET_FORGET  what u8 (1: one partition,
 * 2: the whole group, 3: a topic in all groups), zero u8, group size u16, partition u32, topic 16,
 * group One thread. */
#ifndef SL_DELIVER_OFFSET_STORE_H
#define SL_DELIVER_OFFSET_STORE_H

#include "base/base.h"
#include "wal/item.h"

#define OFFSET_STORE_ITEM_VERSION       1u
#define OFFSET_STORE_METADATA_BYTES_MAX 32767u
#define OFFSET_STORE_GROUP_BYTES_MAX    1024u
#define OFFSET_STORE_RETENTION_MS       604800000 /* 7 days */

struct offset_store;

/* A committed offset. From offset_store_get: views live until the next apply. */
struct offset_commit {
    struct sl_bytes group;
    struct sl_uuid topic;
    uint32_t partition;
    int32_t leader_epoch; /* -1: unknown */
    int64_t offset;
    int64_t time_ms; /* wall time of the commit */
    struct sl_bytes metadata;
};

#define OFFSET_FORGET_PARTITION 1
#define OFFSET_FORGET_GROUP     2
#define OFFSET_FORGET_TOPIC     3
struct offset_forget {
    int32_t what;          /* OFFSET_FORGET_* */
    struct sl_bytes group; /* empty for a topic */
    struct sl_uuid topic;  /* zero for a group */
    uint32_t partition;    /* of OFFSET_FORGET_PARTITION */
};

/* offsets_max 0: 1,000,000. NULL: no memory. */
struct offset_store *offset_store_new(uint32_t offsets_max) SL_MUST_CHECK;
struct offset_store *offset_store_free(struct offset_store *store);

/* Whether the commit would fit: E_LIMIT (the store is full), E_OFFSET_METADATA_TOO_LARGE,
 * E_INVALID_GROUP_ID. */
sl_err offset_store_check(const struct offset_store *store,
                          const struct offset_commit *commit) SL_MUST_CHECK;
size_t offset_commit_item_size(const struct offset_commit *commit); /* [any] */
/* Writes exactly offset_commit_item_size bytes. The commit must fit (offset_store_check). [any] */
void offset_commit_item_encode(const struct offset_commit *commit, uint8_t *ret_payload);
size_t offset_forget_item_size(const struct offset_forget *forget); /* [any] */
void offset_forget_item_encode(const struct offset_forget *forget,
                               uint8_t *ret_payload); /* [any] */

/* Applies an OFFSET_COMMIT or OFFSET_FORGET item. E_CORRUPT, E_NEWER_FORMAT, E_NO_MEMORY. The bound
 * is checked before commits, not here: what is durable is kept. */
sl_err offset_store_apply(struct offset_store *store, uint16_t kind, uint8_t version,
                          struct sl_bytes payload) SL_MUST_CHECK;

/* False: nothing committed. */
bool offset_store_get(const struct offset_store *store, struct sl_bytes group,
                      const struct sl_uuid *topic, uint32_t partition,
                      struct offset_commit *ret_commit);
/* All of a group, in no order. The store must not change meanwhile. */
void offset_store_each(const struct offset_store *store, struct sl_bytes group,
                       void (*visit)(void *arg, const struct offset_commit *commit), void *arg);
/* All groups that have offsets; likewise. */
void offset_store_groups(const struct offset_store *store,
                         void (*visit)(void *arg, struct sl_bytes group), void *arg);
uint32_t offset_store_count(const struct offset_store *store);
uint32_t offset_store_group_count(const struct offset_store *store, struct sl_bytes group);

struct offset_expiry {
    int64_t wall_ms, retention_ms;
    int64_t (*idle_ms)(void *arg, struct sl_bytes group); /* as group_coordinator_idle_ms */
    void (*forget)(void *arg, const struct offset_forget *forget);
    void *arg;
    uint32_t count_max;
    uint32_t count; /* how many there were; 0 before */
};
/* Calls `forget` for each offset that is older than retention_ms while its group has been empty for
 * that long too; the caller commits these and applies them. At most `count_max` a call; returns how
 * many. The store must not change meanwhile. */
uint32_t offset_store_expired(const struct offset_store *store, struct offset_expiry *expiry);

typedef sl_err offset_store_add_fn(void *arg, uint16_t kind, uint8_t version,
                                   struct sl_bytes payload);
/* About `count` offsets as OFFSET_COMMIT items, as they are now, from *at on (begin with 0);
 * UINT32_MAX: that was all. An offset that is there all the time is among them at least once,
 * whatever changes between calls. */
sl_err offset_store_snapshot(const struct offset_store *store, uint32_t *at, uint32_t count,
                             offset_store_add_fn *add, void *add_arg) SL_MUST_CHECK;

#endif
