/* superblock.h: what a data directory says of itself, and the lock that keeps a second broker out.
 *
 * File `sluice.meta`, 4096 bytes, little-endian: magic "SLUICEDB", major u16, minor u16, shard
 * count u32, compatible features u64, incompatible features u64, cluster id 16, zero up to 4092,
 * CRC-32C u32 of what is before it. Written once, when the directory is made; `lock` is held while
 * a broker runs. */
#ifndef SL_BROKER_SUPERBLOCK_H
#define SL_BROKER_SUPERBLOCK_H

#include "os/os.h"

#define SUPERBLOCK_SIZE          4096u
#define SUPERBLOCK_MAJOR         1u
#define SUPERBLOCK_MINOR         0u
#define SUPERBLOCK_PROBLEM_BYTES 512u

struct superblock {
    struct sl_uuid cluster;
    uint32_t shard_count;
};

/* Locks the directory (made when missing) and reads its superblock, or writes one with
 * `wanted_shards` and a random cluster id. *ret_lock is held until closed. E_LOCKED,
 * E_NEWER_FORMAT, E_CORRUPT, E_IO …: one sentence in ret_problem. [blocks] */
sl_err superblock_open(struct sl_os *os, const char *directory, uint32_t wanted_shards,
                       struct superblock *ret_superblock, struct sl_file **ret_lock,
                       char ret_problem[SUPERBLOCK_PROBLEM_BYTES]) SL_MUST_CHECK;
/* Bytes to fields; hostile-safe. E_CORRUPT, E_NEWER_FORMAT. [any] */
sl_err superblock_decode(const uint8_t bytes[SUPERBLOCK_SIZE],
                         struct superblock *ret_superblock) SL_MUST_CHECK;
void superblock_encode(const struct superblock *superblock, uint8_t ret_bytes[SUPERBLOCK_SIZE]);

#endif
