/* shadow_run.h: a new version gets the records of the old one beside it, and what both make of them
 * is compared, record by record; its outputs go nowhere. One run of an instance, shared by its
 * shards: each takes from the records that are left and adds what it found.
 *
 * Compared is what becomes of a record: passed, dropped, rejected or retried with a reason, or what
 * is emitted for it (topic, partition, time, key, value, headers), in order. */
#ifndef SL_PLUGIN_SHADOW_RUN_H
#define SL_PLUGIN_SHADOW_RUN_H

#include "base/base.h"

#include <sandbox/channel.h>
#include <stdatomic.h>

#define SHADOW_DIFFS_MAX  3u
#define SHADOW_TEXT_BYTES 320u

struct shadow_diff {
    _Atomic bool is_written;
    char text[SHADOW_TEXT_BYTES]; /* "orders/0 offset 17: passed → emitted "x"" */
};

/* Counted; any thread. */
struct shadow_run {
    _Atomic uint32_t refs;
    _Atomic int64_t left; /* records that no shard has taken; below 0: whole batches are taken */
    _Atomic uint64_t same;
    _Atomic uint64_t changed;
    _Atomic uint32_t diff_count; /* taken ones of diffs */
    struct shadow_diff diffs[SHADOW_DIFFS_MAX];
};

struct shadow_run *shadow_run_new(int64_t records) SL_MUST_CHECK; /* NULL: no memory */
struct shadow_run *shadow_run_ref(struct shadow_run *run);
struct shadow_run *shadow_run_unref(struct shadow_run *run); /* NULL is fine; returns NULL */

/* Where the compared records are. Texts borrowed for the call. */
struct shadow_place {
    const char *topic;
    int32_t partition;
    int64_t base_offset; /* -1: they have none yet */
};
/* Counts the records of both results of one task, and keeps the first differences. */
void shadow_run_compare(struct shadow_run *run, const struct shadow_place *place,
                        const struct sandbox_result *before, const struct sandbox_result *after);

#endif
