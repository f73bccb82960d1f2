/* extent_fixture.h: extents on a simulated disk: batches, files, a set that is opened and killed.
 */
#ifndef EXTENT_FIXTURE_H
#define EXTENT_FIXTURE_H

#include "base/buffer.h"
#include "extent/extent_set.h"
#include "extent/extent_writer.h"
#include "os/os_sim.h"

#define FIXTURE_DIRECTORY "/shard-0"
#define FIXTURE_EXTENTS   FIXTURE_DIRECTORY "/ext"
#define FIXTURE_ITEMS_MAX 64u

struct fixture_item {
    uint16_t kind;
    uint8_t version;
    uint8_t payload[EXTENT_ITEM_SIZE];
    size_t size;
};

struct fixture {
    struct sl_sim_disk *disk; /* NULL: over the real system */
    struct sl_sim_faults faults;
    struct sl_os *os;
    struct sl_loop *loop;
    char directory[128];
    struct sl_uuid cluster;
    uint32_t shard;
    uint32_t open_files_max;
    struct extent_set *set;
    char problem[EXTENT_PROBLEM_BYTES];
    /* what the log would hold: applied by fixture_open */
    struct fixture_item items[FIXTURE_ITEMS_MAX];
    uint32_t item_count;
    uint32_t found_count; /* by the last load */
    bool hold_found;      /* hold all blocks that load finds */
};

struct fixture *fixture_new(void);
void fixture_free(struct fixture *fixture);
/* An instance of the system and a set, items applied, loaded. On failure everything is down. */
sl_err fixture_open(struct fixture *fixture);
void fixture_start(struct fixture *fixture); /* must succeed */
void fixture_kill(struct fixture *fixture);
void fixture_power_cut(struct fixture *fixture);
void fixture_settle(struct fixture *fixture); /* runs all that can run */

/* Appends a batch with `size` bytes of value (or so) of a pattern that depends on the base offset;
 * offsets base … base + delta. */
void fixture_batch(struct sl_buffer *out, int64_t base, int32_t delta, int32_t epoch, size_t size);
/* count batches of 3 offsets each from base on, 1 of epoch 7 per call. */
void fixture_batches(struct sl_buffer *out, int64_t base, uint32_t count, size_t size);
struct sl_uuid fixture_topic(uint8_t number);

struct extent_writer *fixture_writer(struct fixture *fixture, uint64_t id);
/* A whole extent: streams topics 1 … stream_count, each with such batches; logged as an item. */
struct extent_item fixture_extent(struct fixture *fixture, uint32_t stream_count,
                                  uint32_t batch_count, size_t size);
void fixture_log_extent(struct fixture *fixture, const struct extent_item *item);
void fixture_log_drop(struct fixture *fixture, uint64_t id);

/* Reads on a helper with a pin. */
sl_err fixture_read(struct fixture *fixture, const struct wal_place *place, void *ret_bytes);
uint8_t *fixture_bytes(struct fixture *fixture, uint64_t id, size_t *ret_size);
struct wal_place fixture_place(uint64_t id, const struct extent_block *block);

#endif
