/* shard_fixture.h: shards over the simulator: one thread, virtual time, a disk that loses power on
 * demand. */
#ifndef TESTS_SHARD_FIXTURE_H
#define TESTS_SHARD_FIXTURE_H

#include "os/os_sim.h"
#include "shard/fetch.h"
#include "shard/groups.h"
#include "shard/offsets.h"
#include "shard/partition.h"
#include "shard/produce.h"
#include "shard/producer_id_call.h"
#include "shard/topics.h"

struct fixture {
    struct sl_sim_disk *disk;
    struct sl_sim_faults faults;
    uint64_t seed;
    struct sl_os *os;
    bool spread;  /* a loop for each shard */
    bool no_disk; /* as data.dir: none */
    uint64_t memory_bytes_max;
    bool allow_refusal; /* a shard may refuse at start */
    struct wal_limits wal;
    struct seal_limits seal;
    uint32_t snapshot_slice; /* set between open and restart; 0: the default */
    struct seal_mutants seal_mutants;
    struct compact_limits compact;
    struct compact_mutants compact_mutants;
    struct rewrite_limits rewrite; /* unless set: once an hour */
    struct sl_loop *loops[4];
    struct chunk_cache caches[4];
    uint32_t loop_count;
    struct broker_settings settings;
    struct shard_set set;
    struct sluice_context context;
};

/* A fresh disk; `shards` shards on one loop, started. */
void fixture_open(struct fixture *fixture, uint64_t seed, uint32_t shards);
/* The same, with a loop for each shard: what crosses shards crosses loops. */
void fixture_open_spread(struct fixture *fixture, uint64_t seed, uint32_t shards);
/* No disk: all is in memory, and a restart begins anew. */
void fixture_open_without_disk(struct fixture *fixture, uint64_t seed, uint32_t shards);
/* The same on a log so small that it goes round quickly: 8 segments of 64 KiB, two of which are
 * sealed at a time. */
void fixture_open_small(struct fixture *fixture, uint64_t seed, uint32_t shards);
/* Runs call(fixture, arg) as a task on the home shard's loop, and returns when it has run. */
void fixture_at_home(struct fixture *fixture, void (*call)(struct fixture *fixture, void *arg),
                     void *arg);
/* Ends in order (or by a power cut) and starts again on the same disk. */
void fixture_restart(struct fixture *fixture, bool power_cut);
void fixture_close(struct fixture *fixture);
/* The two halves of an orderly restart; between them the disk may be changed. */
void fixture_stop(struct fixture *fixture);
void fixture_start_again(struct fixture *fixture, uint32_t shards);
/* Runs what can happen until *flag, or nothing is left. */
void fixture_run_until(struct fixture *fixture, const bool *flag);
struct shard *fixture_home(struct fixture *fixture);

void fixture_create_topic(struct fixture *fixture, const char *name, int32_t partitions,
                          const char *config_key, const char *config_value);

/* With its result. */
sluice_status fixture_try_topic(struct fixture *fixture, const char *name, int32_t partitions,
                                const struct sluice_key_value *configs, uint32_t config_count);

struct deletion {
    const char *name;
    struct sluice_topic_ref ref; /* of the call */
    bool done;
    sluice_status status;
};
void fixture_delete_start(struct fixture *fixture, struct deletion *deletion);
/* … and waits for it. */
void fixture_delete_topic(struct fixture *fixture, const char *name);

struct produced {
    bool done;
    struct sluice_produce_result result;
    int32_t throttle_ms;
};
/* A batch of `count` records with values "v0".. at `timestamp`; producer -1: not idempotent. */
size_t fixture_batch(uint8_t *into, size_t room, int count, int64_t timestamp, int64_t producer,
                     int16_t epoch, int32_t sequence);
void fixture_produce_start(struct fixture *fixture, const char *topic, int32_t partition,
                           struct sluice_bytes batch, struct produced *ret_produced);
/* The same, on terms; NULL: none. */
void fixture_produce_on(struct fixture *fixture, const char *topic, int32_t partition,
                        struct sluice_bytes batch, const struct sluice_produce_terms *terms,
                        struct produced *ret_produced);
struct sluice_produce_result fixture_produce(struct fixture *fixture, const char *topic,
                                             int32_t partition, int count, int64_t timestamp);

struct fetched {
    bool done;
    uint32_t count;
    struct sluice_fetch_result result; /* of the first entry; records copied to bytes */
    uint8_t bytes[65536];
    int64_t first_offset; /* of the batches answered, -1: none */
    int64_t next_offset;
    int records;
};
void fixture_fetch_start(struct fixture *fixture, const char *topic, int32_t partition,
                         int64_t offset, int32_t bytes_min, int32_t wait_ms,
                         struct fetched *ret_fetched);
void fixture_fetch(struct fixture *fixture, const char *topic, int32_t partition, int64_t offset,
                   struct fetched *ret_fetched);
/* Of a client that read a record of this epoch last; partition 0. */
void fixture_fetch_after(struct fixture *fixture, const char *topic, int64_t offset,
                         int32_t last_epoch, struct fetched *ret_fetched);
struct sluice_offset_answer fixture_offset(struct fixture *fixture, const char *topic,
                                           int32_t partition, int64_t timestamp);

/* Commits for a group without members, and waits: SLUICE_OK is asserted. */
void fixture_commit_offset(struct fixture *fixture, const char *group, const char *topic,
                           int32_t partition, int64_t offset);
struct committed {
    bool done;
    sluice_status status;
    uint32_t count;
    int64_t offset; /* of the first; -2: none */
};
/* What a group committed. */
struct committed fixture_committed(struct fixture *fixture, const char *group);

#endif
