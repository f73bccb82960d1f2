/* extent_state.h: the inside of struct extent_set, shared by extent_set*.c only.
 *
 * All belongs to the loop but `file`, which a helper that holds a pin may set once from NULL. A
 * file is closed only while nothing pins its extent. */
#ifndef SL_EXTENT_EXTENT_STATE_H
#define SL_EXTENT_EXTENT_STATE_H

#include "base/list.h"
#include "extent/extent_file.h"
#include "extent/extent_set.h"
#include "extent/extent_table.h"

#include <stdatomic.h>

#define EXTENT_UPKEEP_MAX 64u /* files that one job closes, and as many that it removes */

struct extent {
    struct extent_item item;
    struct sl_link dead;            /* in set->dead: nothing of it is held, its id was not given */
    struct sl_link open;            /* in set->open, most recently used first */
    _Atomic(struct sl_file *) file; /* NULL: closed */
    uint64_t held;                  /* bytes */
    struct extent *next;            /* spare, or waiting to be removed */
    uint32_t pins;
    int64_t dead_since_ms;
    bool given;    /* by take_dead */
    bool moving;   /* not given by take_dead */
    bool refused;  /* not movable */
    bool replaced; /* not in snapshots */
    bool dropped;  /* goes with its last pin */
};

/* Closes and removes files on a helper, one job at a time. */
struct extent_upkeep {
    struct sl_job job;
    struct extent_set *set;
    bool busy;
    struct sl_file *closed[EXTENT_UPKEEP_MAX];
    uint32_t closed_count;
    struct extent *removed; /* a list, of at most EXTENT_UPKEEP_MAX */
};

struct extent_set {
    struct sl_os *os;
    struct sl_loop *loop;
    struct sl_uuid cluster;
    uint32_t shard;
    uint32_t open_files_max;
    char directory[EXTENT_PATH_MAX];
    struct extent_table table;
    struct extent *spares; /* `reserved` of them */
    uint32_t reserved;
    uint64_t id_max; /* highest that was ever given or seen */
    struct sl_list dead;
    struct sl_list open;
    struct extent *removable; /* dropped, without pins: the next job's */
    uint64_t extent_count;    /* not dropped */
    uint64_t file_bytes;      /* of these */
    uint64_t live_bytes;
    uint64_t removed_files; /* at load */
    uint32_t open_count;    /* in `open` */
    uint32_t pins;
    struct extent_upkeep upkeep;
    bool stopping;
    struct sl_task stopped_task;
    void (*stopped)(void *arg);
    void *stopped_arg;
};

/* The extent that is there and not dropped, or NULL. */
struct extent *extent_set_find(const struct extent_set *set, uint64_t id);
/* Takes a reserved struct and puts it into the table. */
struct extent *extent_set_insert(struct extent_set *set, const struct extent_item *item);
/* Out of the table and all lists, still with its file. */
void extent_set_take_out(struct extent_set *set, struct extent *extent);
/* Its file is open now: most recently used. */
void extent_set_opened(struct extent_set *set, struct extent *extent);
struct extent *extent_free(struct extent *extent); /* closes its file [blocks] */

void extent_upkeep_init(struct extent_set *set);
/* After a simulated power cut a job may have been dropped with files in hand. */
void extent_upkeep_fini(struct extent_set *set);
/* Starts a job when there is something to do and none runs. [loop] */
void extent_upkeep_request(struct extent_set *set);

#endif
