/* catalog.h: topics, their partitions, configs and shards: a state machine fed from the log.
 *
 * Nothing changes but through catalog_apply, with the payload of a TOPIC_* item: after the commit
 * of the unit that holds it, at recovery, and in the copy of every other shard. So all copies are
 * equal.
 *
 *   check spec ─► reserve name ─► encode ─► (caller commits) ─► apply ─► events
 *                      └── on failure: release
 *
 * Payloads (little-endian, version 1):
 *   TOPIC_CREATE  id 16, flags u32 (bit 0: internal), partition count u32, name size u16, config
 * count u16, name, per partition shard u16, per config: key size u16, value size u16, key, value
 *   TOPIC_DELETE  id 16
 *   TOPIC_CONFIG  id 16, config count u16, configs as above; replaces all of them
 *   TOPIC_GROW    id 16, first new partition u32, partition count u32, per new one its shard u16
 * Ids are random and given by the caller; one that is in use is refused. One thread. */
#ifndef SL_CATALOG_CATALOG_H
#define SL_CATALOG_CATALOG_H

#include "catalog/chain_map.h"
#include "catalog/topic_config.h"
#include "catalog/topic_name.h"
#include "wal/item.h"

#define CATALOG_ITEM_VERSION 1u
#define CATALOG_REASON_BYTES CONFIG_REASON_BYTES

struct catalog;

struct topic {
    struct chain_link by_name; /* catalog's */
    struct chain_link by_id;   /* catalog's */
    struct sl_uuid id;
    struct sl_bytes name; /* NUL-terminated */
    uint32_t partition_count;
    uint32_t override_count;
    bool internal;
    uint32_t serial;      /* of its creation, for walks */
    uint16_t *shards;     /* of each partition; owned; NULL: (first_shard + number) mod stride */
    uint16_t first_shard; /* of partition 0 */
    uint16_t stride;      /* partitions of one shard are so many apart; 1 where shards is set */
    struct topic_override *overrides;      /* owned */
    const struct topic_settings *settings; /* in force; the catalog's where nothing is overridden */
    struct topic_settings *own_settings;   /* owned; NULL: nothing ever was */
    void *user;                            /* the owner of the catalog hangs its partitions here */
};

/* Which shard a partition lies on. number < partition_count */
static inline uint16_t topic_shard(const struct topic *topic, uint32_t number)
{
    return (uint16_t)(topic->shards != NULL
                          ? topic->shards[number]
                          : (uint16_t)(((uint32_t)topic->first_shard + number) % topic->stride));
}

struct catalog_limits {
    uint32_t topics_max;           /* 0: 100,000 */
    uint32_t partitions_max;       /* of all topics; 0: 1,000,000 */
    uint32_t topic_partitions_max; /* 0: 10,000 */
};

/* What changed; each may be NULL. `deleted` runs while the topic is still whole. */
struct catalog_events {
    void (*created)(void *arg, struct topic *topic);
    void (*changed)(void *arg, struct topic *topic); /* settings */
    /* There are more partitions; and the stride, too, may be another one. */
    void (*grown)(void *arg, struct topic *topic, uint32_t was_count, uint16_t was_stride);
    void (*deleted)(void *arg, struct topic *topic);
};

/* [borrows broker settings and events: both must outlive it] NULL: no memory. */
struct catalog *catalog_new(const struct catalog_limits *limits,
                            const struct broker_settings *broker,
                            const struct catalog_events *events, void *events_arg) SL_MUST_CHECK;
/* Frees topics without calling `deleted`. NULL is fine; returns NULL. */
struct catalog *catalog_free(struct catalog *catalog);

struct topic *catalog_by_name(const struct catalog *catalog, struct sl_bytes name);   /* or NULL */
struct topic *catalog_by_id(const struct catalog *catalog, const struct sl_uuid *id); /* or NULL */
/* Another one after each topic that came, went or grew: a topic that was looked up lives as long as
 * this stays, or until `deleted` was called for it. */
uint64_t catalog_version(const struct catalog *catalog);
uint32_t catalog_topic_count(const struct catalog *catalog);
uint32_t catalog_partition_count(const struct catalog *catalog);
/* All topics, in no order. The topic handed out may be deleted meanwhile, no other. */
void catalog_each(const struct catalog *catalog, void (*visit)(void *arg, struct topic *topic),
                  void *arg);
/* Settings of all topics after the broker's settings changed; calls `changed`. */
void catalog_refresh(struct catalog *catalog);

/* Whether this topic could be made now. -1 stands for the broker's defaults; ret_partition_count is
 * what it comes to. Errors with a sentence: E_INVALID_TOPIC (name rules, collision),
 * E_TOPIC_EXISTS, E_INVALID_PARTITIONS, E_INVALID_REPLICATION_FACTOR, E_INVALID_CONFIG, E_LIMIT. A
 * reserved name passes only when `internal`. */
sl_err catalog_spec_check(const struct catalog *catalog, const struct sluice_topic_spec *spec,
                          bool internal, uint32_t *ret_partition_count,
                          char ret_reason[CATALOG_REASON_BYTES]) SL_MUST_CHECK;
/* Whether a topic can have these, alone and together. E_INVALID_CONFIG with a sentence. */
sl_err catalog_configs_check(const struct catalog *catalog, const struct sluice_key_value *configs,
                             uint32_t count, char ret_reason[CATALOG_REASON_BYTES]) SL_MUST_CHECK;
const struct broker_settings *catalog_broker(const struct catalog *catalog);
/* Keeps name and room while the creation is on its way to the disk: another spec of that name is
 * E_TOPIC_EXISTS meanwhile. Ends with the apply of the TOPIC_CREATE, or with catalog_release. */
sl_err catalog_reserve(struct catalog *catalog, struct sl_bytes name,
                       uint32_t partition_count) SL_MUST_CHECK;
void catalog_release(struct catalog *catalog, struct sl_bytes name); /* unknown name: nothing */

/* Where a new topic's partition is placed: (hash(id) + partition) mod shard_count. [any] */
uint16_t catalog_partition_shard(const struct sl_uuid *id, uint32_t partition,
                                 uint32_t shard_count);
/* Payloads, on the heap: the caller frees ret_payload->data. The spec must have passed the check.
 * Partition p goes to shard (hash(id) + p) mod shard_count. E_NO_MEMORY. [any] */
sl_err catalog_create_encode(const struct sluice_topic_spec *spec, const struct sl_uuid *id,
                             uint32_t partition_count, uint32_t shard_count, bool internal,
                             struct sl_bytes *ret_payload) SL_MUST_CHECK;
sl_err catalog_delete_encode(const struct sl_uuid *id, struct sl_bytes *ret_payload) SL_MUST_CHECK;
/* Whether the topic could have so many partitions: E_INVALID_PARTITIONS, E_LIMIT, with a sentence.
 */
sl_err catalog_grow_check(const struct catalog *catalog, const struct topic *topic, int32_t wanted,
                          char ret_reason[CATALOG_REASON_BYTES]) SL_MUST_CHECK;
sl_err catalog_grow_encode(const struct topic *topic, uint32_t partition_count,
                           uint32_t shard_count, struct sl_bytes *ret_payload) SL_MUST_CHECK;
sl_err catalog_config_encode(const struct sl_uuid *id, const struct sluice_key_value *configs,
                             uint32_t config_count, struct sl_bytes *ret_payload) SL_MUST_CHECK;

/* Applies a TOPIC_* item. A second delete, or a config of a topic that is gone, changes nothing; a
 * repeated create of the same id and name neither. E_CORRUPT: the payload cannot be;
 * E_NEWER_FORMAT: version or a key that this release does not know; E_NO_MEMORY. On an error
 * nothing changed. The limits hold for new specs, not here: what is durable is kept. */
sl_err catalog_apply(struct catalog *catalog, uint16_t kind, uint8_t version,
                     struct sl_bytes payload) SL_MUST_CHECK;

typedef sl_err catalog_add_fn(void *arg, uint16_t kind, uint8_t version, struct sl_bytes payload);
/* All topics as TOPIC_CREATE items, for a checkpoint. Ends at the first error of `add`. */
sl_err catalog_snapshot(const struct catalog *catalog, catalog_add_fn *add,
                        void *add_arg) SL_MUST_CHECK;

/* The same in slices, while the catalog changes: each topic as it is when it is its turn, those
 * created since the begin left out (another one of the same name may be among the items). */
struct catalog_walk {
    uint32_t bucket;
    uint32_t serial;
};
void catalog_walk_begin(const struct catalog *catalog, struct catalog_walk *ret_walk);
/* About `count` topics; *ret_done: that was all. */
sl_err catalog_walk_next(const struct catalog *catalog, struct catalog_walk *walk, uint32_t count,
                         catalog_add_fn *add, void *add_arg, bool *ret_done) SL_MUST_CHECK;

#endif
