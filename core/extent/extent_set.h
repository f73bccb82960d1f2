/* extent_set.h: the live extents of one shard: which there are, their open files, how much of them
 * is still referred to.
 *
 * Built at recovery from items (of the checkpoint, then of frames), loaded once when all are
 * applied; then changed only after the frame that says so is durable. Everything on the shard's
 * loop, but extent_set_load and the reading of a pinned extent.
 *
 * Bytes that a stream's index refers to are held (extent_set_hold); what is given back by retention
 * or deletion is released; an extent without held bytes is dead: its owner logs EXTENT_DROP and
 * calls extent_set_drop when that is durable; the file goes when the last pin does.
 * At most open_files_max files are open; a read of one that is closed opens it, on a helper. */
#ifndef SL_EXTENT_EXTENT_SET_H
#define SL_EXTENT_EXTENT_SET_H

#include "extent/extent_format.h"
#include "os/os.h"

struct extent_set;

struct extent_set_config {
    struct sl_os *os;
    struct sl_loop *loop;
    const char *directory; /* "…/shard-0"; its ext/ is made when missing [borrows for the call] */
    struct sl_uuid cluster;
    uint32_t shard;
    uint32_t open_files_max; /* at least 1; 256 */
};

sl_err extent_set_new(const struct extent_set_config *config,
                      struct extent_set **ret_set) SL_MUST_CHECK; /* [blocks, before the loop] */
/* `stopped` runs in a task of the loop when no job of the set is under way, and may free it.
 * Before: all pins are gone; from now on only free. [loop] */
void extent_set_stop(struct extent_set *set, void (*stopped)(void *arg), void *arg);
/* Stopped, never used on the loop, or after a simulated power cut. NULL is fine. [blocks] */
struct extent_set *extent_set_free(struct extent_set *set);
const char *extent_set_directory(const struct extent_set *set); /* for the writer; …/ext */

/* ---- recovery ---- */

/* EXTENT or EXTENT_DROP, in order of the log. Of an extent the disk is asked for what the load will
 * read. E_CORRUPT: another extent of an id that is there. The drop of an id that is not there only
 * says that it was given. */
sl_err extent_set_apply(struct extent_set *set, uint16_t kind, uint8_t version,
                        struct sl_bytes payload) SL_MUST_CHECK;
typedef sl_err extent_found_fn(void *arg, const struct extent_item *item,
                               const struct extent_footer *footer);
/* found may hold (extent_set_hold) what it learns of; another result than SLUICE_OK ends the load.
 */
/* When all items are applied: reads header, trailer and footer of each live extent, lowest id
 * first, checks them against the item, calls `found`; then removes files that no item names. A
 * missing file, another size, shard, cluster or CRC is E_CORRUPT (E_FOREIGN, E_NEWER_FORMAT), and
 * ret_problem says which file, where, and what to do; nothing is removed then. [blocks] */
sl_err extent_set_load(struct extent_set *set, extent_found_fn *found, void *arg,
                       char ret_problem[EXTENT_PROBLEM_BYTES]) SL_MUST_CHECK;
/* One EXTENT item for each live extent, and what keeps ids from being given twice: in slices, while
 * the set changes. Those whose ids were given after the begin are left out. */
struct extent_walk {
    uint64_t id; /* the next */
    uint64_t last_id;
};
typedef sl_err extent_add_fn(void *arg, uint16_t kind, uint8_t version, struct sl_bytes payload);
void extent_walk_begin(const struct extent_set *set, struct extent_walk *ret_walk);
/* At most `count`; *ret_done: that was all. */
sl_err extent_walk_next(const struct extent_set *set, struct extent_walk *walk, uint32_t count,
                        extent_add_fn *add, void *add_arg, bool *ret_done) SL_MUST_CHECK;

/* ---- life ---- */

uint64_t extent_set_next_id(struct extent_set *set); /* gives a new one each time */
/* Its frame is durable. [takes file] E_NO_MEMORY: reserve before the frame is submitted. */
sl_err extent_set_reserve(struct extent_set *set, uint32_t count) SL_MUST_CHECK;
void extent_set_add(struct extent_set *set, const struct extent_item *item, struct sl_file *file);
/* Bytes of an index's runs. Places without WAL_PLACE_EXTENT are ignored, so that callers need not
 * look. An extent of which nothing is held is dead, so hold what was added before the next
 * extent_set_take_dead. */
void extent_set_hold(struct extent_set *set, const struct wal_place *place);
/* The same of many places in one extent, which is there. */
void extent_set_hold_bytes(struct extent_set *set, uint64_t id, uint64_t bytes);
void extent_set_release(struct extent_set *set, const struct wal_place *place);
/* Ids of dead extents that were not given by this call before; returns how many. */
uint32_t extent_set_take_dead(struct extent_set *set, uint64_t *ret_ids, uint32_t count_max);
/* EXTENT_DROP is durable: closes and removes the file on a helper, when nothing pins it. A failure
 * to remove is no error: recovery removes it. */
void extent_set_drop(struct extent_set *set, uint64_t id);

/* E_WOULD_BLOCK: not in memory, or the file is not open. E_NOT_FOUND: no such extent. E_CORRUPT:
 * the file is too short. [loop] */
sl_err extent_set_read_cached(struct extent_set *set, const struct wal_place *place,
                              void *ret_bytes) SL_MUST_CHECK;
/* From a helper, while the caller holds a pin on it. A closed file is opened and stays open, so
 * that the next read may be a cached one. Bytes are those of the file: who reads a whole block
 * compares its CRC (extent_block.h). E_CORRUPT: not between header and footer, the file is too
 * short or gone; E_LIMIT, E_IO. [blocks] */
sl_err extent_set_read(struct extent_set *set, const struct wal_place *place,
                       void *ret_bytes) SL_MUST_CHECK;
/* Asks for the bytes of a place, as extent_set_read would read them; a hint, so nothing is told.
 * From a helper, pinned. [blocks] */
void extent_set_prefetch(struct extent_set *set, const struct wal_place *place);
/* False: no such extent. Opens nothing. [loop] */
bool extent_set_pin(struct extent_set *set, uint64_t id) SL_MUST_CHECK;
void extent_set_unpin(struct extent_set *set, uint64_t id);
/* The open file of a pinned extent, for sendfile; NULL when it is not open. [loop] */
struct sl_file *extent_set_file(struct extent_set *set, uint64_t id);

/* ---- moving what lives in an extent into another ---- */

struct extent_view {
    struct extent_item item;
    uint64_t held;         /* live bytes */
    int64_t dead_since_ms; /* wall time; the oldest of its dead bytes are so at least; 0: none is */
    bool movable;          /* not dead, not being moved, not refused */
};
/* The live extent with the lowest id from `id` on. False: none. [loop] */
bool extent_set_next(const struct extent_set *set, uint64_t id, struct extent_view *ret_extent);
/* From now on extent_set_take_dead does not give it. */
void extent_set_move_begin(struct extent_set *set, uint64_t id);
/* Nothing came of it; refused: nor will it (damaged). */
void extent_set_move_end(struct extent_set *set, uint64_t id, bool refused);
/* The frame that drops it and names another is durable: it is in no snapshot any more. When nothing
 * of it is held, extent_set_drop. */
void extent_set_replace(struct extent_set *set, uint64_t id);

struct extent_set_status {
    uint64_t extent_count;
    uint64_t file_bytes;    /* of the files */
    uint64_t live_bytes;    /* held */
    uint64_t removed_files; /* at load, as no item named them */
    uint32_t open_files;
    uint32_t pins;
};
void extent_set_status_get(const struct extent_set *set, struct extent_set_status *ret_status);
/* The items in order of id; stops when `each` returns false. */
void extent_set_each(const struct extent_set *set,
                     bool (*each)(void *arg, const struct extent_item *item, uint64_t live_bytes),
                     void *arg);
/* The live extent with the lowest id that is at least `id`; NULL: none. Borrowed until the set
 * changes. */
const struct extent_item *extent_set_from(const struct extent_set *set, uint64_t id);
uint64_t extent_set_id_max(const struct extent_set *set); /* the highest that was ever given */

#endif
