/* item.h: directory items, the vocabulary of what a frame states (docs/formats/wal.md).
 *
 * An item is kind u16, version u8, flags u8, payload size u32, body size u32, zero u32 (all
 * little-endian), then the payload, padded to 8 bytes. Bodies follow the directory, in the order of
 * their items. The write-ahead log carries payloads and bodies without looking into them; the room
 * named in the table encodes and applies them. Numbers are never reused. A reader that meets an
 * unknown kind skips it when WAL_ITEM_MAY_SKIP is set and refuses the file otherwise. */
#ifndef SL_WAL_ITEM_H
#define SL_WAL_ITEM_H

#include "base/base.h"

#define WAL_ITEM_MAY_SKIP (1u << 0)

/* clang-format off */
#define WAL_ITEM_TABLE(X)                                                                          \
    X(BATCH,           1, "a record batch of one partition; has a body")      /* index/  */        \
    X(TOPIC_CREATE,    2, "a topic with its id, partitions, configs, shards") /* catalog/ */       \
    X(TOPIC_DELETE,    3, "a topic id that is gone")                          /* catalog/ */       \
    X(TOPIC_CONFIG,    4, "the configs of a topic, replacing the former")     /* catalog/ */       \
    X(OFFSET_COMMIT,   5, "a committed offset of a group")                    /* deliver/ */       \
    X(OFFSET_FORGET,   6, "a group's offsets that are gone")                  /* deliver/ */       \
    X(STAGE_POSITION,  7, "next offset of a stage task")                      /* stage/  */        \
    X(PRODUCER_BLOCK,  8, "end of the leased block of producer ids")          /* admit/  */        \
    X(PRODUCER_STATE,  9, "what is remembered of a producer (checkpoint)")    /* admit/  */        \
    X(LOG_BOUNDS,     10, "start and end offset of a partition")              /* index/  */        \
    X(CLEAN_SHUTDOWN, 11, "nothing was under way")                            /* wal/    */        \
    X(IDLE,           12, "carries the durable LSN forward")                  /* wal/    */        \
    X(EXTENT,         13, "an extent is live: its runs are read there")       /* extent/ */        \
    X(EXTENT_DROP,    14, "an extent holds nothing live any more")            /* extent/ */        \
    X(COMPACTION,     15, "how far a partition was compacted")                /* index/  */        \
    X(TOPIC_GROW,     24, "a topic has more partitions")                      /* catalog/ */       \
    X(PLUGIN_SWITCH,  16, "a plugin instance is disabled or paused")          /* catalog/ */       \
    X(TXN,            29, "a transactional id and its transaction")           /* admit/  */        \
    X(TXN_OPEN,       25, "an open transaction of a partition (checkpoint)")  /* admit/  */        \
    X(TXN_ABORTED,    26, "an aborted transaction of a partition (checkpoint)") /* admit/ */       \
    X(TXN_OFFSET,     27, "an offset that a transaction commits")             /* deliver/ */       \
    X(TXN_OFFSET_END, 28, "a transaction's offsets in a group are settled")   /* deliver/ */       \
    X(SHARE_STATE,    55, "what a group that shares a stream has done with it") /* deliver/ */     \
    X(SHARE_FORGET,   56, "such a group's streams that are gone")             /* deliver/ */       \
    X(SHARE_CONFIG,   57, "such a group's configuration")                     /* deliver/ */       \
    X(SHARE_GROUP,    58, "such a group is there, or is gone")                /* deliver/ */       \
    X(ACL,            40, "who may or may not do something with a resource")  /* catalog/ */       \
    X(CREDENTIAL,     41, "what a user's password is checked against")        /* catalog/ */       \
    X(QUOTA,          42, "how much a user, client or address may use")       /* admit/  */        \
    X(DELAY,           44, "records that are to be appended later")           /* deliver/ */        \
    X(MESSAGE_ID,      43, "the id of a message that was appended")           /* admit/  */        \
    X(SETTING,        60, "level of a feature, config of a group or of client metrics") /* catalog/ */ \
    X(GROUP,           50, "a group whose partitions the broker assigns")     /* deliver/ */       \
    X(GROUP_MEMBER,    51, "a member of such a group")                        /* deliver/ */       \
    X(GROUP_ASSIGNMENT, 52, "what such a member has and shall have")          /* deliver/ */       \
    X(STREAMS_GROUP,   53, "a group of a Streams application, and its topology") /* deliver/ */    \
    X(STREAMS_MEMBER,  54, "a member of such a group, and its tasks")         /* deliver/ */
/* clang-format on */

enum {
#define WAL_ITEM_ENUM(name, number, text) WAL_ITEM_##name = number,
    WAL_ITEM_TABLE(WAL_ITEM_ENUM)
#undef WAL_ITEM_ENUM
};

/* A place whose segment has this bit lies in the extent of the number without it (core/extent). */
#define WAL_PLACE_EXTENT (1ull << 63)
/* Likewise, in a segment of the log in memory (memory_log.h). */
#define WAL_PLACE_MEMORY (1ull << 62)

/* Where a body lies. position is of its first byte in the segment's file. */
struct wal_place {
    uint64_t segment;  /* sequence number = incarnation of the segment, or of an extent */
    uint64_t position; /* bytes */
    uint32_t size;     /* bytes */
} __attribute__((packed, aligned(4)));

#endif
