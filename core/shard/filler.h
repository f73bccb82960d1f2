/* filler.h: batches without records, of offsets that no batch has: what a rewritten file needs so
 * that it covers the offsets of those whose place it takes. [helper] */
#ifndef SL_SHARD_FILLER_H
#define SL_SHARD_FILLER_H

#include "extent/extent_writer.h"
#include "record/batch_builder.h"

/* Adds fillers for the offsets [from, end), none when there are none, before the batch `next`,
 * whose producer and times do not matter. epoch_before: of the batch before them, since that of the
 * next would begin too early; below 0: there is none. scratch is overwritten. */
sl_err filler_add(struct extent_writer *writer, struct sl_buffer *scratch,
                  const struct batch_view *next, int32_t epoch_before, int64_t from,
                  int64_t end) SL_MUST_CHECK;

#endif
