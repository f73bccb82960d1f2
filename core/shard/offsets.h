/* offsets.h: where is the first record at or after a time; earliest, latest. Times inside a run are
 * found by walking its batches, read on a helper. */
#ifndef SL_SHARD_OFFSETS_H
#define SL_SHARD_OFFSETS_H

#include "shard/partition.h"

/* One done with an answer per query. [loop of home] */
void offsets_start(struct shard *home, int32_t isolation, const struct sluice_offset_query *queries,
                   uint32_t count, sluice_offsets_done *done, void *arg);

#endif
