/* extent_block.h: the batches in a block: checked one by one by who writes an extent, all together
 * by who reads a block of it. [any] */
#ifndef SL_EXTENT_EXTENT_BLOCK_H
#define SL_EXTENT_EXTENT_BLOCK_H

#include "extent/extent_format.h"
#include "record/batch_view.h"

/* The batch at the start of bytes: it parses, its CRC holds, its offsets are none below zero and
 * all above previous_last. E_CORRUPT. */
sl_err extent_batch_check(struct sl_bytes bytes, int64_t previous_last,
                          struct batch_view *ret_batch) SL_MUST_CHECK;

/* All of a block: its CRC, every batch, and that they are what the entry says. E_CORRUPT. Who only
 * wants to know that the bytes are those written compares sl_crc32c with block->crc. */
sl_err extent_block_check(const struct extent_block *block, struct sl_bytes bytes) SL_MUST_CHECK;

#endif
