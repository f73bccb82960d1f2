/* redrive_marks.h: which dead letters of a partition were handed back.
 *
 * Ranges of offsets, kept as stage positions of the dead-letter topic (deliver/position_store.h):
 * the name "#<first>" holds the offset behind the last. They are committed with what the redrive
 * writes, in one unit, so that a letter is handed back once. A set is changed in a copy, which
 * takes its place when the commit is durable. One thread. */
#ifndef SL_STAGE_REDRIVE_MARKS_H
#define SL_STAGE_REDRIVE_MARKS_H

#include "shard/shard.h"

#define REDRIVE_RANGES_MAX 10000u

struct redrive_range {
    int64_t first;
    int64_t end; /* behind the last */
};
struct redrive_marks {
    struct redrive_range *ranges; /* owned; apart, in order */
    uint32_t count;
    uint32_t capacity;
};

void redrive_marks_fini(struct redrive_marks *marks);
/* What the store says of the partition of a dead-letter topic. E_NO_MEMORY, E_LIMIT. */
sl_err redrive_marks_load(struct redrive_marks *marks, const struct position_store *store,
                          const struct sl_uuid *topic, uint32_t partition) SL_MUST_CHECK;
bool redrive_marks_has(const struct redrive_marks *marks, int64_t offset);
/* Offsets of a range that are not marked. */
int64_t redrive_marks_left(const struct redrive_marks *marks, int64_t first, int64_t end);
/* ret_marks: those of `marks` above `start` and the offsets, which rise. E_NO_MEMORY, E_LIMIT: more
 * than REDRIVE_RANGES_MAX ranges. [ret_marks holds nothing before] */
sl_err redrive_marks_with(const struct redrive_marks *marks, int64_t start, const int64_t *offsets,
                          size_t count, struct redrive_marks *ret_marks) SL_MUST_CHECK;

/* What is to be stored so that `before` becomes `after`: calls `each` with a first offset and the
 * end to store (-1: forget it). */
typedef void redrive_change_fn(void *arg, int64_t first, int64_t end);
void redrive_marks_changes(const struct redrive_marks *before, const struct redrive_marks *after,
                           redrive_change_fn *each, void *arg);
/* The name under which a range is stored; returns its bytes. */
struct sl_bytes redrive_mark_name(int64_t first, char ret_name[24]);

#endif
