/* wal_scan.c: reads a log directory in the order of its segments and says where it ends.
 *
 *   names ─► newest valid checkpoint ─► segments it names and those after, none missing
 *         ─► frames: CRCs, incarnation, LSN, chain ─► items, in order
 *
 * A segment ends where the header of the next one says (that header was made durable after the
 * frames it counts), the last segment where its frames stop being intact. There the rest is
 * searched for a frame of this incarnation that was written knowing the missing LSN durable: then
 * what is missing was acknowledged, and this is corruption; else a torn tail. How far frames may
 * lie says the segment's mark; without one that holds, all of the file is searched. Bodies are
 * verified where no later header claims them durable, and only those are read past the page cache:
 * what is claimed was synced. */
#include "wal/wal_scan.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AHEAD_BYTES_MAX    (2u << 20)
#define SPARSE_FRAME_BYTES (256u << 10)
#define ASK_BYTES_MAX      (1u << 20)
#define FRAME_MEAN_MAX     (4u << 20) /* one that is larger does not hide how many are small */
#define REPAIR_HINT        "restore the data folder from a backup, or see sluice wal salvage"

struct names {
    uint64_t *segments;
    size_t segment_count;
    uint64_t *spares;
    size_t spare_count;
    bool leftovers;
    sl_err err;
};

/* How far the headers of the last segment were looked at for what they claim. */
struct claims {
    uint64_t position; /* behind the last one */
    uint64_t suspect;  /* from here on nothing says that what is before was durable */
    uint64_t lsn;      /* of the last one */
    uint32_t chain;    /* its CRC */
    bool ended;        /* no frame follows it */
};

struct scan_run {
    const struct wal_scan_config *config;
    struct wal_recovery *recovery;
    struct wal_scan *scan;
    struct names names;
    struct wal_reader reader;
    struct wal_file_identity identity;
    bool has_identity;
    struct sl_bytes checkpoint_items;
    uint64_t claimed; /* every LSN up to it is known to have been durable */
    struct claims claims;
    uint64_t frame_mean; /* bytes, of the last ones */
};

static sl_err SL_PRINTF(3, 4) refuse(struct scan_run *run, sl_err err, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(run->recovery->problem, sizeof run->recovery->problem, format, arguments);
    va_end(arguments);
    return err;
}

/* ---- names ---- */

static sl_err numbers_add(uint64_t **numbers, size_t *count, uint64_t number)
{
    if ((*count & (*count + 1)) == 0) { /* 0, 1, 3, 7 …: full */
        uint64_t *grown = sl_realloc(*numbers, (*count * 2 + 1) * sizeof *grown);
        if (grown == NULL)
            return SLUICE_E_NO_MEMORY;
        *numbers = grown;
    }
    (*numbers)[(*count)++] = number;
    return SLUICE_OK;
}

static void name_seen(void *arg, const char *name, bool is_directory)
{
    struct names *names = arg;
    char *end = NULL;
    if (strcmp(name, "checkpoint.tmp") == 0)
        names->leftovers = true;
    if (is_directory || name[0] < '0' || name[0] > '9' || names->err != SLUICE_OK)
        return;
    uint64_t number = strtoull(name, &end, 10);
    if (strcmp(end, ".seg") == 0 && number > 0 && strlen(name) == 24)
        names->err = numbers_add(&names->segments, &names->segment_count, number);
    else if (strcmp(end, ".spare") == 0)
        names->err = numbers_add(&names->spares, &names->spare_count, number);
}

static int number_compare(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;
    return *left < *right ? -1 : *left > *right;
}

static sl_err names_read(struct scan_run *run)
{
    struct names *names = &run->names;
    sl_err err = sl_dir_list(run->config->os, run->config->directory, name_seen, names);
    if (err == SLUICE_OK)
        err = names->err;
    if (err != SLUICE_OK)
        return refuse(run, err, "%s cannot be listed", run->config->directory);
    if (names->segment_count > 1)
        qsort(names->segments, names->segment_count, sizeof *names->segments, number_compare);
    if (names->spare_count > 1)
        qsort(names->spares, names->spare_count, sizeof *names->spares, number_compare);
    return SLUICE_OK;
}

static sl_err identity_check(struct scan_run *run, const char *path,
                             const struct wal_file_identity *identity)
{
    if (!run->has_identity) {
        run->identity = *identity;
        run->has_identity = true;
    }
    if (!sl_uuid_equal(&run->identity.cluster, &identity->cluster))
        return refuse(run, SLUICE_E_FOREIGN,
                      "%s belongs to another cluster; put back its own files", path);
    if (run->identity.shard != identity->shard)
        return refuse(run, SLUICE_E_FOREIGN, "%s belongs to shard %u, not %u; put it back there",
                      path, identity->shard, run->identity.shard);
    return SLUICE_OK;
}

/* ---- checkpoint ---- */

#define SLOTS 2u

struct slots {
    struct wal_checkpoint_header headers[SLOTS];
    bool found[SLOTS];
};

/* OK with *ret_found false: none, or one that is damaged; the other one may do, and the gap check
 * tells when it does not. */
static sl_err slot_judge(struct scan_run *run, const char *path, sl_err err, bool *ret_found)
{
    *ret_found = err == SLUICE_OK;
    bool is_damaged = err == SLUICE_E_CORRUPT || err == SLUICE_E_IO; /* E_IO: a bad sector */
    run->recovery->checkpoints_damaged += is_damaged;
    if (err == SLUICE_OK || err == SLUICE_E_NOT_FOUND || is_damaged)
        return SLUICE_OK;
    if (err == SLUICE_E_NEWER_FORMAT)
        return refuse(run, err, "%s was written by a newer version of Sluice; start that one",
                      path);
    return refuse(run, err, "%s cannot be read", path);
}

static sl_err slot_peek(struct scan_run *run, struct slots *slots, uint32_t slot)
{
    char path[WAL_PATH_MAX];
    struct wal_checkpoint_header *header = &slots->headers[slot];
    wal_path_checkpoint(path, run->config->directory, slot);
    sl_err err = wal_checkpoint_peek(run->config->os, path, run->config->reread, header);
    err = slot_judge(run, path, err, &slots->found[slot]);
    if (err == SLUICE_OK && slots->found[slot])
        err = identity_check(run, path, &header->identity);
    return err;
}

static sl_err slot_read(struct scan_run *run, struct slots *slots, uint32_t slot)
{
    char path[WAL_PATH_MAX];
    struct wal_scan *scan = run->scan;
    wal_path_checkpoint(path, run->config->directory, slot);
    slots->found[slot] = false; /* it had its turn */
    sl_err err =
        wal_checkpoint_read(run->config->os, path, true /* it was dropped for its header */,
                            &scan->checkpoint, &run->checkpoint_items);
    return slot_judge(run, path, err, &scan->has_checkpoint);
}

/* The newer one that is whole; the items of the other one are not looked at. */
static sl_err slots_read(struct scan_run *run)
{
    struct slots slots = {.found = {false}};
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < SLOTS && err == SLUICE_OK; i++)
        err = slot_peek(run, &slots, i);
    while (err == SLUICE_OK && !run->scan->has_checkpoint && (slots.found[0] || slots.found[1])) {
        bool second = slots.found[1] && (!slots.found[0] ||
                                         slots.headers[1].generation > slots.headers[0].generation);
        err = slot_read(run, &slots, second);
    }
    return err;
}

static sl_err item_hand_on(struct scan_run *run, uint64_t lsn, const struct wal_item_view *item,
                           const struct wal_place *place)
{
    run->recovery->item_count++;
    if (!wal_item_kind_known(item->kind) && (item->flags & WAL_ITEM_MAY_SKIP) == 0)
        return refuse(run, SLUICE_E_NEWER_FORMAT,
                      "LSN %" PRIu64 " holds an item of kind %u that this version does not know; "
                      "start the newer version of Sluice that wrote it",
                      lsn, item->kind);
    const struct wal_scan_events *events = run->config->events;
    return events->item == NULL ? SLUICE_OK
                                : events->item(run->config->events_arg, lsn, item, place);
}

static sl_err checkpoint_apply(struct scan_run *run)
{
    struct wal_item_walk walk;
    struct wal_item_view item;
    const struct wal_place nowhere = {0, 0, 0};
    if (run->config->events->checkpoint != NULL) {
        sl_err err =
            run->config->events->checkpoint(run->config->events_arg, &run->scan->checkpoint);
        if (err != SLUICE_OK)
            return err;
    }
    wal_item_walk_init(&walk, run->checkpoint_items);
    while (wal_item_walk_next(&walk, &item)) {
        sl_err err = item_hand_on(run, run->scan->checkpoint.lsn, &item, &nowhere);
        if (err != SLUICE_OK)
            return err;
    }
    return walk.err;
}

static sl_err checkpoint_read(struct scan_run *run)
{
    sl_err err = slots_read(run);
    if (err != SLUICE_OK || !run->scan->has_checkpoint)
        return err;
    run->recovery->checkpoint_lsn = run->scan->checkpoint.lsn;
    run->claimed = run->scan->checkpoint.end_lsn;
    run->scan->epoch = run->scan->checkpoint.epoch;
    return SLUICE_OK;
}

/* ---- segments ---- */

/* Sorts out what the checkpoint made free, and refuses where a segment is missing. */
static sl_err segments_choose(struct scan_run *run, size_t *ret_first)
{
    const struct wal_scan *scan = run->scan;
    const struct names *names = &run->names;
    uint64_t wanted = scan->has_checkpoint ? scan->checkpoint.first_segment : 1;
    uint64_t last = scan->has_checkpoint ? scan->checkpoint.last_segment : 0;
    size_t first = 0;
    while (first < names->segment_count && names->segments[first] < wanted)
        first++;
    for (size_t i = first; i < names->segment_count; i++, wanted++) {
        if (names->segments[i] != wanted)
            break;
    }
    bool more = wanted - 1 < last;
    if (names->segment_count > first && names->segments[names->segment_count - 1] != wanted - 1)
        more = true;
    *ret_first = first;
    if (!more)
        return SLUICE_OK;
    return refuse(run, SLUICE_E_CORRUPT,
                  "%s: segment %020" PRIu64 ".seg is missing (%s); "
                  "put it back, or " REPAIR_HINT "; nothing was changed",
                  run->config->directory, wanted,
                  run->recovery->checkpoints_damaged > 0
                      ? "a checkpoint cannot be read: it may have made it free"
                      : "or the checkpoint that made it free");
}

/* What the reader was asked for last: nothing says that it was not acknowledged. */
static sl_err refuse_unreadable(struct scan_run *run, uint64_t seq)
{
    return refuse(
        run, SLUICE_E_CORRUPT,
        "%s/%020" PRIu64 ".seg: %zu bytes at position %" PRIu64
        " cannot be read (input/output error, see dmesg); " REPAIR_HINT "; nothing was changed",
        run->config->directory, seq, run->reader.failed_size, run->reader.failed_position);
}

static sl_err segment_header_read(struct scan_run *run, const char *path,
                                  struct wal_scan_segment *segment, uint64_t seq)
{
    const uint8_t *bytes = NULL;
    sl_err err = run->config->every_body ? sl_file_drop_cache(segment->file, 0, 0) : SLUICE_OK;
    run->reader.step = WAL_READER_STEP_SPARSE;
    if (err == SLUICE_OK)
        err = wal_reader_open(&run->reader, segment->file);
    if (err == SLUICE_OK)
        err = wal_reader_get(&run->reader, 0, WAL_HEADER_USED, &bytes);
    if (err == SLUICE_OK)
        err = wal_segment_header_decode(bytes, &segment->header);
    if (err == SLUICE_E_NEWER_FORMAT)
        return refuse(run, err, "%s was written by a newer version of Sluice; start that one",
                      path);
    if (err == SLUICE_E_CORRUPT || err == SLUICE_E_TRUNCATED)
        return refuse(
            run, SLUICE_E_CORRUPT,
            "%s: the header at position 0 is damaged; " REPAIR_HINT "; nothing was changed", path);
    if (err == SLUICE_E_IO && run->reader.failed_size > 0)
        return refuse_unreadable(run, seq);
    if (err != SLUICE_OK)
        return refuse(run, err, "%s cannot be read", path);
    segment->file_size = run->reader.file_size;
    err = identity_check(run, path, &segment->header.identity);
    if (err == SLUICE_OK && segment->header.seq != seq && !run->config->mutants.no_incarnation)
        err = refuse(run, SLUICE_E_CORRUPT,
                     "%s holds segment %" PRIu64 "; it was renamed or overwritten; " REPAIR_HINT
                     "; nothing was changed",
                     path, segment->header.seq);
    return err;
}

static sl_err segment_open(struct scan_run *run, uint64_t seq)
{
    char path[WAL_PATH_MAX];
    struct wal_scan_segment *segment = &run->scan->segments[run->scan->segment_count];
    wal_path_segment(path, run->config->directory, seq);
    uint32_t flags = SL_FILE_READ | (run->config->writable ? SL_FILE_WRITE : 0);
    sl_err err = sl_file_open(run->config->os, path, flags, &segment->file);
    if (err != SLUICE_OK)
        return refuse(run, err, "%s cannot be opened", path);
    run->scan->segment_count++;
    return segment_header_read(run, path, segment, seq);
}

static sl_err segments_open(struct scan_run *run)
{
    size_t first = 0;
    sl_err err = segments_choose(run, &first);
    size_t count = run->names.segment_count - first;
    if (err == SLUICE_OK && count > 0) {
        run->scan->segments = sl_alloc_zero(count, sizeof *run->scan->segments);
        if (run->scan->segments == NULL)
            err = SLUICE_E_NO_MEMORY;
    }
    for (size_t i = first; i < run->names.segment_count && err == SLUICE_OK; i++)
        err = segment_open(run, run->names.segments[i]);
    if (err != SLUICE_OK)
        return err;
    run->scan->stale = run->names.segments;
    run->scan->stale_count = first;
    run->names.segments = NULL;
    return SLUICE_OK;
}

/* ---- frames ---- */

/* Whether the frame follows the one with this LSN and CRC, in this segment. */
static bool frame_follows(const struct scan_run *run, const struct wal_scan_segment *segment,
                          const struct wal_frame_header *frame, uint64_t lsn, uint32_t chain)
{
    const struct wal_mutants *mutants = &run->config->mutants;
    if (frame->lsn != lsn + 1)
        return false;
    if (!mutants->no_incarnation && frame->incarnation != segment->header.seq)
        return false;
    return mutants->no_chain || mutants->no_incarnation || frame->chain == chain;
}

/* Where most frames are large, only their heads are read: each costs the disk as much as the bytes
 * of a frame of SPARSE_FRAME_BYTES in a row. */
static void step_choose(struct scan_run *run, const struct wal_frame_header *frame)
{
    size_t head = WAL_FRAME_HEADER + (size_t)frame->directory_size;
    size_t wanted = (head + head / 4 + WAL_BLOCK - 1) / WAL_BLOCK * WAL_BLOCK;
    bool is_sparse = run->reader.step != WAL_READER_STEP;
    run->frame_mean = (3 * run->frame_mean + SL_MIN(frame->frame_size, FRAME_MEAN_MAX)) / 4;
    is_sparse = run->frame_mean >= SPARSE_FRAME_BYTES / (is_sparse ? 2 : 1);
    run->reader.step = is_sparse ? wanted : WAL_READER_STEP;
}

/* The frames of the last segment as far as their headers were seen: ahead of those that are taken.
 */
static void claims_begin(struct scan_run *run, const struct wal_scan_segment *segment)
{
    run->claims = (struct claims){.position = WAL_SEGMENT_HEADER,
                                  .suspect = WAL_SEGMENT_HEADER,
                                  .lsn = segment->header.previous_lsn,
                                  .chain = segment->header.chain};
}

static void claims_pass(struct scan_run *run, const struct wal_frame_header *frame)
{
    struct claims *claims = &run->claims;
    run->claimed = SL_MAX(run->claimed, frame->durable_lsn);
    if (frame->durable_lsn + 1 == frame->lsn)
        claims->suspect = claims->position;
    claims->lsn = frame->lsn;
    claims->chain = frame->crc;
    claims->position += frame->frame_size;
}

/* From the suspect on no frame says that the one before was durable. What was claimed was synced,
 * so that the page cache holds what the disk does, and what it has of the other frames is asked for
 * anew, with all that is looked at behind them: after a sync that failed the disk may not have
 * them. Claims are true wherever they are read. */
static sl_err claims_end(struct scan_run *run, const struct wal_scan_segment *segment)
{
    uint64_t suspect = run->claims.suspect;
    uint64_t end = SL_MIN(run->claims.position, segment->file_size);
    run->claims.ended = true;
    if (end <= suspect || run->config->reread)
        return SLUICE_OK;
    wal_reader_forget(&run->reader);
    sl_err err = sl_file_drop_cache(segment->file, suspect, end - suspect);
    uint64_t rest = SL_MAX(end, segment->reach) - suspect;
    if (err == SLUICE_OK)
        sl_file_ask(segment->file, suspect, SL_MIN(rest, (uint64_t)ASK_BYTES_MAX));
    return err;
}

/* Goes on through the headers until one claims the LSN or the frames end: mostly one frame. */
static sl_err claims_seek(struct scan_run *run, const struct wal_scan_segment *segment,
                          uint64_t lsn)
{
    struct claims *claims = &run->claims;
    struct wal_frame_header frame;
    while (!claims->ended && run->claimed < lsn) {
        sl_err err = wal_reader_peek(&run->reader, claims->position, &frame);
        bool ends = err == SLUICE_E_CORRUPT || err == SLUICE_E_TRUNCATED;
        if (err != SLUICE_OK && !ends)
            return err;
        if (!ends && frame_follows(run, segment, &frame, claims->lsn, claims->chain))
            claims_pass(run, &frame);
        else if ((err = claims_end(run, segment)) != SLUICE_OK)
            return err;
    }
    return SLUICE_OK;
}

/* With what is between, or that is read twice. */
static void frame_load(struct scan_run *run, uint64_t position,
                       const struct wal_frame_header *frame)
{
    const uint8_t *bytes;
    if (frame->frame_size > AHEAD_BYTES_MAX)
        return;
    sl_err err = wal_reader_get(&run->reader, position, (size_t)frame->frame_size, &bytes);
    (void)err; /* whoever needs the bytes will see */
}

static sl_err frame_items(struct scan_run *run, const struct wal_scan_segment *segment,
                          uint64_t position, const struct wal_frame_header *frame,
                          struct sl_bytes directory)
{
    struct wal_item_walk walk;
    struct wal_item_view item;
    uint64_t at = position + WAL_FRAME_HEADER + frame->directory_size;
    bool contained = frame->lsn <= run->recovery->checkpoint_lsn && !run->config->all_items;
    wal_item_walk_init(&walk, directory);
    while (wal_item_walk_next(&walk, &item)) {
        struct wal_place place = {segment->header.seq, at, item.body_size};
        at += item.body_size;
        run->scan->clean = item.kind == WAL_ITEM_CLEAN_SHUTDOWN;
        if (contained && item.kind != WAL_ITEM_BATCH)
            continue;
        sl_err err = item_hand_on(run, frame->lsn, &item, &place);
        if (err != SLUICE_OK)
            return err;
    }
    return walk.err;
}

static sl_err frame_take(struct scan_run *run, struct wal_scan_segment *segment,
                         const struct wal_frame_header *frame, struct sl_bytes directory)
{
    const struct wal_scan_events *events = run->config->events;
    uint64_t position = segment->end_position;
    sl_err err = SLUICE_OK;
    if (events->frame != NULL)
        err = events->frame(run->config->events_arg, &segment->header, position, frame);
    if (err == SLUICE_OK)
        err = frame_items(run, segment, position, frame, directory);
    if (err != SLUICE_OK)
        return err;
    struct wal_scan *scan = run->scan;
    segment->end_position += frame->frame_size;
    segment->last_lsn = frame->lsn;
    scan->last_lsn = frame->lsn;
    scan->chain = frame->crc;
    scan->epoch = SL_MAX(scan->epoch, frame->epoch);
    scan->time_ms = SL_MAX(scan->time_ms, frame->time_ms);
    if (position == run->claims.position)
        claims_pass(run, frame);
    run->recovery->frame_count++;
    step_choose(run, frame);
    return SLUICE_OK;
}

/* Reads and judges the frame at the segment's end; *ret_intact false: it does not continue the log.
 */
static sl_err frame_next(struct scan_run *run, struct wal_scan_segment *segment, bool *ret_intact)
{
    struct wal_frame_header frame;
    struct sl_bytes directory;
    uint64_t position = segment->end_position;
    *ret_intact = false;
    sl_err err = wal_reader_header(&run->reader, position, &frame);
    if (err == SLUICE_OK &&
        !frame_follows(run, segment, &frame, run->scan->last_lsn, run->scan->chain))
        err = SLUICE_E_CORRUPT;
    if (err == SLUICE_OK && (frame.lsn > run->claimed || run->config->every_body)) {
        frame_load(run, position, &frame);
        run->recovery->bodies_verified++;
        err = wal_reader_body(&run->reader, position, &frame);
    }
    if (err == SLUICE_OK)
        err = wal_reader_frame(&run->reader, position, &frame, &directory);
    if (err == SLUICE_E_CORRUPT || err == SLUICE_E_TRUNCATED)
        return SLUICE_OK;
    if (err != SLUICE_OK || !wal_frame_items_agree(&frame, directory))
        return err;
    *ret_intact = true;
    return frame_take(run, segment, &frame, directory);
}

static sl_err refuse_corrupt(struct scan_run *run, const struct wal_scan_segment *segment,
                             uint64_t lsn)
{
    return refuse(run, SLUICE_E_CORRUPT,
                  "%s/%020" PRIu64 ".seg: damage at position %" PRIu64 ": LSN %" PRIu64
                  " was durable and cannot be read; " REPAIR_HINT "; nothing was changed",
                  run->config->directory, segment->header.seq, segment->end_position, lsn);
}

/* What lies behind the last intact frame. */
struct tail {
    uint64_t missing; /* LSN that comes next */
    uint64_t cut_end; /* behind the last frame of this history */
    bool claimed;     /* one of them knew `missing` durable */
};

/* Looks at each block of a run of data that may begin a frame. */
static sl_err tail_look(struct scan_run *run, const struct wal_scan_segment *segment, uint64_t from,
                        uint64_t end, struct tail *tail)
{
    struct wal_frame_header frame;
    run->reader.limit = end;
    for (uint64_t at = from / WAL_BLOCK * WAL_BLOCK; at < end && !tail->claimed; at += WAL_BLOCK) {
        sl_err err = wal_reader_header(&run->reader, at, &frame);
        if (err == SLUICE_E_TRUNCATED)
            break;
        if (err != SLUICE_OK && err != SLUICE_E_CORRUPT)
            return err;
        if (err == SLUICE_E_CORRUPT || frame.lsn < tail->missing ||
            (frame.incarnation != segment->header.seq && !run->config->mutants.no_incarnation))
            continue;
        tail->claimed = frame.durable_lsn >= tail->missing;
        tail->cut_end =
            SL_MAX(tail->cut_end, at + SL_MIN(frame.frame_size, segment->file_size - at));
    }
    return SLUICE_OK;
}

/* Where the search may end, by the segment's mark: the frame that follows the last durable one
 * begins at its reach or before. A mark in the page cache that a failed sync left reaches further
 * than the one on the disk. Who verifies all searches all. */
static uint64_t reach_read(struct scan_run *run, const struct wal_scan_segment *segment)
{
    const struct wal_segment_header *header = &segment->header;
    uint8_t bytes[WAL_REACH_USED];
    struct wal_reach mark;
    size_t got = 0;
    bool has_mark = (header->identity.features_compatible & WAL_SEGMENT_REACH) != 0 &&
                    segment->file_size >= WAL_SEGMENT_HEADER + WAL_BLOCK;
    if (!has_mark || run->config->every_body ||
        sl_file_pread(segment->file, bytes, sizeof bytes, segment->file_size - WAL_BLOCK, &got) !=
            SLUICE_OK ||
        got != sizeof bytes || wal_reach_decode(bytes, &mark) != SLUICE_OK)
        return segment->file_size;
    run->reader.bytes_read += got;
    bool is_its = mark.seq == header->seq && mark.shard == header->identity.shard &&
                  mark.file_size == segment->file_size &&
                  sl_uuid_equal(&mark.cluster, &header->identity.cluster);
    return is_its ? SL_MIN(mark.reach + WAL_BLOCK, segment->file_size) : segment->file_size;
}

/* Searches behind the last intact frame for one that knew the LSN after it durable. What was never
 * written to is not read: what is durable was. */
static sl_err tail_judge(struct scan_run *run, struct wal_scan_segment *segment)
{
    struct tail tail = {run->scan->last_lsn + 1, segment->end_position,
                        run->claimed > run->scan->last_lsn};
    uint64_t start = 0;
    uint64_t end = segment->end_position;
    sl_err err = SLUICE_OK;
    run->reader.step = WAL_READER_STEP;
    while (err == SLUICE_OK && !tail.claimed && end < segment->reach) {
        err = sl_file_data_range(segment->file, end, &start, &end);
        if (err == SLUICE_OK)
            err = tail_look(run, segment, start, SL_MIN(end, segment->reach), &tail);
    }
    if (err != SLUICE_OK && err != SLUICE_E_NOT_FOUND)
        return err;
    if (tail.claimed)
        return refuse_corrupt(run, segment, tail.missing);
    run->recovery->bytes_cut = tail.cut_end - segment->end_position;
    return SLUICE_OK;
}

/* The header of a segment must go on where the one before ends. */
static bool header_follows(const struct scan_run *run, const struct wal_segment_header *header)
{
    const struct wal_mutants *mutants = &run->config->mutants;
    if (header->previous_lsn != run->scan->last_lsn)
        return false;
    return mutants->no_chain || mutants->no_incarnation || header->chain == run->scan->chain;
}

static sl_err segment_scan(struct scan_run *run, size_t index)
{
    struct wal_scan_segment *segment = &run->scan->segments[index];
    bool is_last = index + 1 == run->scan->segment_count;
    uint64_t declared = is_last ? UINT64_MAX : segment[1].header.previous_lsn;
    if (index == 0) {
        run->scan->last_lsn = segment->header.previous_lsn;
        run->scan->chain = segment->header.chain;
    } else if (!header_follows(run, &segment->header)) {
        return refuse_corrupt(run, segment, segment->header.first_lsn);
    }
    if (!is_last)
        run->claimed = SL_MAX(run->claimed, declared);
    run->scan->epoch = SL_MAX(run->scan->epoch, segment->header.epoch);
    segment->end_position = WAL_SEGMENT_HEADER;
    segment->last_lsn = segment->header.previous_lsn;
    sl_err err = wal_reader_open(&run->reader, segment->file);
    if (err == SLUICE_OK && is_last) {
        segment->reach = reach_read(run, segment);
        run->reader.limit = SL_MIN(segment->reach, segment->file_size);
        claims_begin(run, segment);
    }
    bool intact = true;
    while (err == SLUICE_OK && intact && run->scan->last_lsn < declared) {
        if (is_last)
            err = claims_seek(run, segment, run->scan->last_lsn + 1);
        if (err == SLUICE_OK)
            err = frame_next(run, segment, &intact);
    }
    if (err == SLUICE_OK && !is_last && run->scan->last_lsn != declared)
        err = refuse_corrupt(run, segment, run->scan->last_lsn + 1);
    if (err == SLUICE_OK && is_last)
        err = tail_judge(run, segment);
    if (err == SLUICE_E_IO && run->reader.failed_size > 0)
        err = refuse_unreadable(run, segment->header.seq);
    if (err == SLUICE_OK && run->config->events->segment != NULL)
        err = run->config->events->segment(run->config->events_arg, segment);
    return err;
}

static sl_err scan_all(struct scan_run *run)
{
    sl_err err = names_read(run);
    if (err == SLUICE_OK)
        err = checkpoint_read(run);
    if (err == SLUICE_OK)
        err = segments_open(run);
    if (err == SLUICE_OK && run->scan->has_checkpoint)
        err = checkpoint_apply(run);
    if (run->config->mutants.no_durable_lsn)
        run->claimed = 0;
    for (size_t i = 0; i < run->scan->segment_count && err == SLUICE_OK; i++)
        err = segment_scan(run, i);
    return err;
}

sl_err wal_scan_run(const struct wal_scan_config *config, struct wal_recovery *ret_recovery,
                    struct wal_scan *ret_scan)
{
    struct wal_scan scan = {.epoch = 0};
    struct scan_run run = {.config = config, .recovery = ret_recovery, .scan = &scan};
    wal_reader_init(&run.reader);
    run.reader.os = config->os;
    if (config->identity != NULL) {
        run.identity = *config->identity;
        run.has_identity = true;
    }
    sl_err err = scan_all(&run);
    scan.spares = run.names.spares;
    scan.spare_count = run.names.spare_count;
    scan.leftovers = run.names.leftovers;
    ret_recovery->last_lsn = scan.last_lsn;
    ret_recovery->segment_count = scan.segment_count;
    ret_recovery->bytes_scanned = run.reader.bytes_read;
    ret_recovery->clean = scan.clean;
    sl_free(run.names.segments);
    sl_free((void *)(uintptr_t)run.checkpoint_items.data);
    wal_reader_fini(&run.reader);
    if (err != SLUICE_OK) {
        wal_scan_fini(&scan);
        if (ret_recovery->problem[0] == '\0')
            refuse(&run, err, "%s cannot be read", config->directory);
        return err;
    }
    *ret_scan = scan;
    return SLUICE_OK;
}

void wal_scan_fini(struct wal_scan *scan)
{
    for (size_t i = 0; i < scan->segment_count; i++)
        scan->segments[i].file = sl_file_close(scan->segments[i].file);
    sl_free(scan->segments);
    sl_free(scan->stale);
    sl_free(scan->spares);
    memset(scan, 0, sizeof *scan);
}
