/* extent_writer.h: writes one extent file, from its first byte to its sync. On one helper. [blocks]
 *
 *   extent_writer_new ─► (stream, batches…)… ─► extent_writer_finish ─► the item for the frame
 *
 * The file is written under its final name; until a frame says that it is live nobody reads it, and
 * recovery removes what no frame names. What is written is checked on the way: batches that do not
 * parse, whose CRC does not hold or whose offsets do not rise are E_CORRUPT and never become part
 * of an extent. Memory: a buffer of 1 MiB and the footer. */
#ifndef SL_EXTENT_EXTENT_WRITER_H
#define SL_EXTENT_EXTENT_WRITER_H

#include "extent/extent_format.h"
#include "os/os.h"

struct extent_writer;

/* directory: of the extents, "…/shard-0/ext" [borrows for the call]. E_EXISTS: the id was used. */
sl_err extent_writer_new(struct sl_os *os, const char *directory,
                         const struct extent_header *header,
                         struct extent_writer **ret_writer) SL_MUST_CHECK;
/* The batches that follow belong to this stream. A stream that got no batch is not recorded. */
sl_err extent_writer_stream(struct extent_writer *writer, const struct sl_uuid *topic,
                            uint32_t partition) SL_MUST_CHECK;
/* What lies between the batches before and those that follow is in other extents. Nothing happens
 * at the beginning of a stream. */
void extent_writer_range(struct extent_writer *writer);
/* Whole batches, in order. E_CORRUPT, E_DISK_FULL, E_IO, E_LIMIT (footer). After an error only
 * free. */
sl_err extent_writer_add(struct extent_writer *writer, struct sl_bytes batches) SL_MUST_CHECK;
/* Writes footer and trailer, syncs the file and its directory. The file stays open for reading.
 * E_INVALID: no batch was added, or a stream came twice. */
sl_err extent_writer_finish(struct extent_writer *writer, struct extent_item *ret_item,
                            struct sl_file **ret_file) SL_MUST_CHECK;
/* Mutant, for the tests that show what the syncs are for: finish makes nothing durable. */
void extent_writer_skip_sync(struct extent_writer *writer);
/* After finish: its footer, until free. */
struct extent_footer extent_writer_footer(const struct extent_writer *writer);
/* Of a finished file that no frame names: closes and removes it. NULL, at once. */
struct sl_file *extent_file_discard(struct sl_os *os, const char *directory, uint64_t id,
                                    struct sl_file *file);
/* Not finished: removes the file. NULL is fine. */
struct extent_writer *extent_writer_free(struct extent_writer *writer);

#endif
