/* wal_salvage.c: see wal_salvage.h.
 *
 *   best checkpoint ─► its items
 *   each segment    ─► frames; where one is not whole: the next block that begins a frame of this
 *                      incarnation with a higher LSN
 *
 * In a segment that has another behind it all was durable, and the search goes to its end. In the
 * last one it goes on only while a claim says that the missing LSN was durable. */
#include "wal/wal_salvage.h"

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "wal/wal_scan.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENTS_MAX    (1u << 20)
#define FRAME_BYTES_MAX (1ull << 30)
#define ITEMS_BYTES_MAX (4ull << 30)

struct source_segment {
    uint64_t seq;
    struct sl_file *file; /* NULL: it cannot be opened */
    uint64_t size;
    bool has_header;
    struct wal_segment_header header;
    char path[WAL_PATH_MAX];
};

struct salvage {
    struct sl_os *os;
    const struct wal_salvage_events *events;
    void *arg;
    struct wal_salvage_report *report;
    char from[WAL_PATH_MAX];
    char to[WAL_PATH_MAX];
    uint64_t *numbers; /* of segments; owned */
    size_t number_count;
    sl_err list_err;

    bool has_identity;
    struct wal_file_identity identity;
    bool has_checkpoint;
    struct wal_checkpoint_header checkpoint;
    struct sl_bytes checkpoint_items; /* owned */

    /* where reading is */
    bool has_place;      /* last_lsn means something */
    uint64_t last_lsn;   /* read, or given up */
    uint64_t claimed;    /* every LSN up to it was durable */
    bool has_chain;      /* the frame before was read here */
    uint32_t chain;      /* of it, in the source */
    struct sl_buffer in; /* a frame */
    bool has_unreadable; /* since the last frame that was read … */
    uint64_t unreadable; /* … this is the first position that the disk does not give */

    /* where writing is */
    bool writes; /* else all is only read */
    bool is_open;
    struct sl_file *out; /* while is_open, when it writes */
    uint64_t out_seq, out_first_seq;
    uint64_t out_position;
    uint32_t out_chain;
    int64_t out_time_ms;
    uint32_t out_epoch;
    struct sl_buffer directory, body;
};

static sl_err SL_PRINTF(3, 4) refuse(struct salvage *self, sl_err err, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (self->report->problem[0] == '\0')
        vsnprintf(self->report->problem, sizeof self->report->problem, format, arguments);
    va_end(arguments);
    return err;
}

/* ---- writing ---- */

static sl_err out_write(struct salvage *self, const struct sl_iovec *pieces, size_t count)
{
    sl_err err = SLUICE_OK;
    if (self->writes)
        err = sl_file_pwritev(self->out, pieces, count, self->out_position);
    for (size_t i = 0; i < count; i++)
        self->out_position += pieces[i].size;
    return err == SLUICE_OK ? err : refuse(self, err, "%s cannot be written", self->to);
}

static sl_err segment_end(struct salvage *self)
{
    sl_err err = self->out == NULL ? SLUICE_OK : sl_file_sync(self->out);
    self->out = sl_file_close(self->out);
    self->is_open = false;
    return err == SLUICE_OK ? err : refuse(self, err, "%s cannot be made durable", self->to);
}

/* A new file, whose first frame has the LSN after the last one. */
static sl_err segment_begin(struct salvage *self, uint64_t first_lsn)
{
    char path[WAL_PATH_MAX];
    uint8_t block[WAL_SEGMENT_HEADER] = {0};
    if (self->out_seq == 0) {
        self->out_first_seq = self->has_checkpoint ? self->checkpoint.first_segment : 1;
        self->out_seq = self->out_first_seq - 1;
        self->report->first_lsn = first_lsn;
    }
    const struct wal_segment_header header = {.identity = self->identity,
                                              .seq = ++self->out_seq,
                                              .first_lsn = first_lsn,
                                              .previous_lsn = first_lsn - 1,
                                              .chain = self->out_chain,
                                              .epoch = self->out_epoch,
                                              .created_ms = self->out_time_ms};
    wal_segment_header_encode(&header, block);
    wal_path_segment(path, self->to, self->out_seq);
    uint32_t flags = SL_FILE_READ | SL_FILE_WRITE | SL_FILE_CREATE | SL_FILE_EXCLUSIVE;
    sl_err err = SLUICE_OK;
    if (self->writes)
        err = sl_file_open(self->os, path, flags, &self->out);
    self->is_open = true;
    if (err != SLUICE_OK)
        return refuse(self, err, "%s cannot be made", path);
    self->out_position = 0;
    const struct sl_iovec piece = {block, sizeof block};
    return out_write(self, &piece, 1);
}

/* items: of which the directory and the body consist */
static sl_err frame_write(struct salvage *self, uint64_t lsn, uint32_t items,
                          struct sl_bytes directory, struct sl_bytes body)
{
    static const uint8_t zeros[WAL_BLOCK];
    uint8_t head[WAL_FRAME_HEADER];
    sl_err err = self->is_open ? SLUICE_OK : segment_begin(self, lsn);
    if (err != SLUICE_OK)
        return err;
    struct wal_frame_header header = {
        .frame_size = wal_frame_size(directory.size, body.size),
        .incarnation = self->out_seq,
        .durable_lsn = lsn - 1,
        .chain = self->out_chain,
        .lsn = lsn,
        .body_size = body.size,
        .time_ms = self->out_time_ms,
        .epoch = self->out_epoch,
        .item_count = items,
        .directory_size = (uint32_t)directory.size,
        .directory_crc = sl_crc32c(directory.data, directory.size),
        .body_crc = sl_crc32c(body.data, body.size),
    };
    wal_frame_header_encode(&header, head);
    size_t used = WAL_FRAME_HEADER + directory.size + body.size;
    const struct sl_iovec pieces[] = {
        {head, sizeof head},
        {(void *)(uintptr_t)directory.data, directory.size},
        {(void *)(uintptr_t)body.data, body.size},
        {(void *)(uintptr_t)zeros, (size_t)header.frame_size - used},
    };
    self->out_chain = header.crc;
    return out_write(self, pieces, SL_COUNT_OF(pieces));
}

static sl_err idle_write(struct salvage *self, uint64_t lsn)
{
    uint8_t item[WAL_ITEM_HEADER];
    const uint8_t nothing = 0;
    wal_item_encode(item, WAL_ITEM_IDLE, 1, 0, sl_bytes_of(&nothing, 0), 0);
    return frame_write(self, lsn, 1, sl_bytes_of(item, sizeof item), sl_bytes_of(&nothing, 0));
}

/* The LSNs up to `last` cannot be read. */
static sl_err lose(struct salvage *self, uint64_t last, const char *path, uint64_t position)
{
    char where[WAL_PATH_MAX + 48];
    sl_err err = SLUICE_OK;
    uint64_t first = self->last_lsn + 1;
    snprintf(where, sizeof where, "%s before position %" PRIu64, path, position);
    self->report->has_loss = true;
    self->report->frames_lost += last - self->last_lsn;
    self->has_chain = false;
    self->events->lost(self->arg, first, last, where);
    while (self->last_lsn < last && err == SLUICE_OK)
        err = idle_write(self, ++self->last_lsn);
    return err;
}

/* ---- frames ---- */

/* A frame header of this segment at `position`. A place that cannot be read has none, which is kept
 * in mind: there may have been one. */
static bool header_at(struct salvage *self, const struct source_segment *segment, uint64_t position,
                      struct wal_frame_header *ret_frame)
{
    uint8_t bytes[WAL_FRAME_HEADER];
    size_t got = 0;
    sl_err err = sl_file_pread(segment->file, bytes, sizeof bytes, position, &got);
    if (err == SLUICE_E_IO && !self->has_unreadable) {
        self->has_unreadable = true;
        self->unreadable = position;
    }
    return err == SLUICE_OK && got == sizeof bytes &&
           wal_frame_header_decode(bytes, ret_frame) == SLUICE_OK &&
           ret_frame->incarnation == segment->seq;
}

/* The bytes of a frame; those that the disk does not give are zero, and CRCs tell which items they
 * were of. False: the file ends before. */
static bool frame_read(const struct source_segment *segment, uint64_t position, uint8_t *bytes,
                       size_t size)
{
    size_t got = 0;
    sl_err err = sl_file_pread(segment->file, bytes, size, position, &got);
    for (size_t at = 0; err == SLUICE_E_IO && at < size; at += WAL_BLOCK) {
        size_t part = SL_MIN(size - at, (size_t)WAL_BLOCK);
        if (sl_file_pread(segment->file, bytes + at, part, position + at, &got) != SLUICE_OK)
            memset(bytes + at, 0, part);
    }
    return err == SLUICE_E_IO || (err == SLUICE_OK && got == size);
}

/* The whole frame into self->in: header and directory intact, and it may follow what was read. */
static bool frame_at(struct salvage *self, const struct source_segment *segment, uint64_t position,
                     uint64_t declared, struct wal_frame_header *ret_frame,
                     struct sl_bytes *ret_directory)
{
    struct wal_frame_header frame;
    if (!header_at(self, segment, position, &frame) || frame.lsn > declared ||
        (self->has_place && frame.lsn <= self->last_lsn))
        return false;
    bool is_next = self->has_place && frame.lsn == self->last_lsn + 1;
    if (is_next && self->has_chain && frame.chain != self->chain)
        return false;
    if (frame.frame_size > FRAME_BYTES_MAX || frame.frame_size > segment->size - position)
        return false;
    sl_buffer_reset(&self->in);
    size_t size = (size_t)frame.frame_size;
    if (sl_buffer_reserve(&self->in, size) != SLUICE_OK ||
        !frame_read(segment, position, self->in.data, size))
        return false;
    struct sl_bytes directory = sl_bytes_of(self->in.data + WAL_FRAME_HEADER, frame.directory_size);
    if (sl_crc32c(directory.data, directory.size) != frame.directory_crc ||
        !wal_frame_items_agree(&frame, directory))
        return false;
    *ret_frame = frame;
    *ret_directory = directory;
    return true;
}

static sl_err item_add(struct salvage *self, const struct wal_item_view *item, struct sl_bytes body)
{
    size_t size = (size_t)wal_item_size(item->payload.size);
    sl_err err = sl_buffer_reserve(&self->directory, size);
    if (err == SLUICE_OK)
        err = sl_buffer_reserve(&self->body, body.size + 1);
    if (err != SLUICE_OK)
        return err;
    wal_item_encode(self->directory.data + self->directory.size, item->kind, item->version,
                    item->flags, item->payload, item->body_size);
    self->directory.size += size;
    if (body.size > 0)
        memcpy(self->body.data + self->body.size, body.data, body.size);
    self->body.size += body.size;
    return SLUICE_OK;
}

struct wal_salvage_adder {
    struct salvage *self;
    uint32_t count;
};

sl_err wal_salvage_add(struct wal_salvage_adder *adder, uint16_t kind, uint8_t version,
                       struct sl_bytes payload, struct sl_bytes body)
{
    const struct wal_item_view item = {
        .kind = kind, .version = version, .payload = payload, .body_size = (uint32_t)body.size};
    adder->count++;
    return item_add(adder->self, &item, body);
}

static bool item_is_ours(uint16_t kind)
{
    return kind == WAL_ITEM_IDLE || kind == WAL_ITEM_CLEAN_SHUTDOWN;
}

static sl_err kind_check(struct salvage *self, const struct wal_item_view *item, uint64_t lsn)
{
    if (wal_item_kind_known(item->kind) || (item->flags & WAL_ITEM_MAY_SKIP) != 0)
        return SLUICE_OK;
    return refuse(self, SLUICE_E_NEWER_FORMAT,
                  "LSN %" PRIu64 " holds an item of kind %u that this version does not know; use "
                  "the newer version of Sluice that wrote it",
                  lsn, item->kind);
}

/* Takes over the items that are whole; *ret_count of them. */
static sl_err items_take(struct salvage *self, const struct wal_frame_header *frame,
                         struct sl_bytes directory, bool sure, uint32_t *ret_count)
{
    struct wal_item_walk walk;
    struct wal_item_view item;
    const uint8_t *body_at = directory.data + directory.size;
    struct wal_salvage_adder adder = {.self = self};
    uint32_t count = 0;
    sl_err err = SLUICE_OK;
    sl_buffer_reset(&self->directory);
    sl_buffer_reset(&self->body);
    wal_item_walk_init(&walk, directory);
    while (err == SLUICE_OK && wal_item_walk_next(&walk, &item)) {
        struct sl_bytes body = sl_bytes_of(body_at, item.body_size);
        bool contained = self->has_checkpoint && frame->lsn <= self->checkpoint.lsn &&
                         item.kind != WAL_ITEM_BATCH;
        bool asks = !contained && !item_is_ours(item.kind);
        body_at += item.body_size;
        err = kind_check(self, &item, frame->lsn);
        if (err == SLUICE_OK && item.kind == WAL_ITEM_BATCH && self->events->add != NULL)
            err = self->events->add(self->arg, frame->lsn, &item, body, sure || body.size == 0,
                                    &adder);
        if (err == SLUICE_OK && asks &&
            !self->events->keep(self->arg, frame->lsn, &item, body, sure || body.size == 0)) {
            self->report->items_left_out++;
            self->report->has_loss = self->report->has_loss || !sure;
            continue;
        }
        err = err != SLUICE_OK ? err : item_add(self, &item, body);
        count++;
    }
    *ret_count = count + adder.count;
    return err;
}

static sl_err frame_take(struct salvage *self, const struct source_segment *segment,
                         uint64_t position, const struct wal_frame_header *frame,
                         struct sl_bytes directory)
{
    uint32_t count = 0;
    sl_err err = SLUICE_OK;
    self->out_epoch = frame->epoch;
    if (self->has_place && frame->lsn > self->last_lsn + 1)
        err = lose(self, frame->lsn - 1, segment->path, position);
    self->out_time_ms = SL_MAX(self->out_time_ms, frame->time_ms);
    struct sl_bytes body = sl_bytes_of(directory.data + directory.size, (size_t)frame->body_size);
    bool sure = sl_crc32c(body.data, body.size) == frame->body_crc;
    err = err != SLUICE_OK ? err : items_take(self, frame, directory, sure, &count);
    if (err == SLUICE_OK && count == 0)
        err = idle_write(self, frame->lsn);
    else if (err == SLUICE_OK)
        err = frame_write(self, frame->lsn, count, sl_buffer_bytes(&self->directory),
                          sl_buffer_bytes(&self->body));
    self->report->frames_kept++;
    self->last_lsn = frame->lsn;
    self->has_place = true;
    self->has_unreadable = false;
    self->chain = frame->crc;
    self->has_chain = true;
    self->claimed = SL_MAX(self->claimed, frame->durable_lsn);
    return err;
}

/* ---- segments ---- */

/* What intact frames from `position` on say: the highest durable LSN, and where they end. */
static uint64_t claims_behind(struct salvage *self, const struct source_segment *segment,
                              uint64_t position, uint64_t *ret_end)
{
    struct wal_frame_header frame;
    uint64_t claimed = 0;
    *ret_end = position;
    for (uint64_t at = position; at < segment->size; at += WAL_BLOCK) {
        if (header_at(self, segment, at, &frame) && frame.lsn > self->last_lsn) {
            claimed = SL_MAX(claimed, frame.durable_lsn);
            *ret_end = SL_MIN(at + frame.frame_size, segment->size);
        }
    }
    return claimed;
}

/* Behind the last frame there is a place that cannot be read: whether it had more, and whether that
 * was durable, nothing tells. */
static void may_lose(struct salvage *self, const struct source_segment *segment)
{
    char where[WAL_PATH_MAX + 112];
    snprintf(where, sizeof where,
             "%s at position %" PRIu64 ": it cannot be read, frames may have been there",
             segment->path, self->unreadable);
    self->report->has_loss = true;
    self->events->lost(self->arg, 0, 0, where);
}

/* Whether the search goes on behind a place that begins no frame. */
static bool search_goes_on(struct salvage *self, const struct source_segment *segment,
                           uint64_t position, bool is_last)
{
    uint64_t end = position;
    if (!is_last)
        return true;
    uint64_t claimed = SL_MAX(self->claimed, claims_behind(self, segment, position, &end));
    self->claimed = claimed;
    if (claimed > self->last_lsn)
        return true;
    self->report->bytes_cut = end - position;
    if (self->has_unreadable)
        may_lose(self, segment);
    return false;
}

static sl_err segment_read(struct salvage *self, const struct source_segment *segment,
                           const struct source_segment *next)
{
    bool is_last = next == NULL;
    uint64_t declared = !is_last && next->has_header ? next->header.previous_lsn : UINT64_MAX;
    uint64_t position = WAL_SEGMENT_HEADER;
    sl_err err = SLUICE_OK;
    bool searching = false;
    self->has_unreadable = false;
    if (!self->has_place && segment->has_header) {
        self->last_lsn = segment->header.previous_lsn;
        self->has_place = true;
    }
    while (err == SLUICE_OK && segment->file != NULL && position < segment->size &&
           (!self->has_place || self->last_lsn < declared)) {
        struct wal_frame_header frame;
        struct sl_bytes directory;
        if (frame_at(self, segment, position, declared, &frame, &directory)) {
            err = frame_take(self, segment, position, &frame, directory);
            position += frame.frame_size;
            searching = false;
            continue;
        }
        if (!searching && !search_goes_on(self, segment, position, is_last))
            break;
        searching = true;
        self->has_chain = false;
        position += WAL_BLOCK;
    }
    uint64_t known = is_last ? self->claimed : declared;
    if (err == SLUICE_OK && self->has_place && known != UINT64_MAX && self->last_lsn < known)
        err = lose(self, known, segment->path, position);
    sl_err ended = segment_end(self);
    return err != SLUICE_OK ? err : ended;
}

static sl_err identity_take(struct salvage *self, const char *path,
                            const struct wal_file_identity *identity)
{
    if (!self->has_identity) {
        self->identity = *identity;
        self->has_identity = true;
    }
    if (sl_uuid_equal(&self->identity.cluster, &identity->cluster) &&
        self->identity.shard == identity->shard)
        return SLUICE_OK;
    return refuse(self, SLUICE_E_FOREIGN,
                  "%s belongs to another cluster or shard; put it back there first", path);
}

static sl_err segment_open(struct salvage *self, uint64_t seq, struct source_segment *ret_segment)
{
    uint8_t bytes[WAL_HEADER_USED];
    size_t got = 0;
    struct source_segment *segment = ret_segment;
    memset(segment, 0, sizeof *segment);
    segment->seq = seq;
    wal_path_segment(segment->path, self->from, seq);
    if (sl_file_open(self->os, segment->path, SL_FILE_READ, &segment->file) != SLUICE_OK) {
        segment->file = NULL;
        return SLUICE_OK;
    }
    if (sl_file_size(segment->file, &segment->size) != SLUICE_OK ||
        sl_file_pread(segment->file, bytes, sizeof bytes, 0, &got) != SLUICE_OK ||
        got != sizeof bytes)
        return SLUICE_OK;
    sl_err err = wal_segment_header_decode(bytes, &segment->header);
    if (err == SLUICE_E_NEWER_FORMAT)
        return refuse(self, err, "%s was written by a newer version of Sluice; use that one",
                      segment->path);
    if (err != SLUICE_OK || segment->header.seq != seq)
        return SLUICE_OK;
    segment->has_header = true;
    return identity_take(self, segment->path, &segment->header.identity);
}

/* Segments in order, two at a time: the header of the next says where this one ends. */
static sl_err segments_read(struct salvage *self)
{
    struct source_segment pair[2] = {{.seq = 0}, {.seq = 0}};
    size_t first = 0;
    uint64_t wanted = self->has_checkpoint ? self->checkpoint.first_segment : 0;
    while (first < self->number_count && self->numbers[first] < wanted)
        first++;
    sl_err err =
        first < self->number_count ? segment_open(self, self->numbers[first], &pair[0]) : SLUICE_OK;
    for (size_t i = first; i < self->number_count && err == SLUICE_OK; i++) {
        bool is_last = i + 1 == self->number_count;
        struct source_segment *here = &pair[(i - first) & 1];
        struct source_segment *next = &pair[(i - first + 1) & 1];
        if (!is_last)
            err = segment_open(self, self->numbers[i + 1], next);
        if (err == SLUICE_OK)
            err = segment_read(self, here, is_last ? NULL : next);
        here->file = sl_file_close(here->file);
    }
    sl_file_close(pair[0].file);
    sl_file_close(pair[1].file);
    return err;
}

/* ---- names, checkpoints ---- */

static void name_seen(void *arg, const char *name, bool is_directory)
{
    struct salvage *self = arg;
    char *end = NULL;
    uint64_t number = strtoull(name, &end, 10);
    if (is_directory || name[0] < '0' || name[0] > '9' || strcmp(end, ".seg") != 0 || number == 0 ||
        strlen(name) != 24 || self->list_err != SLUICE_OK)
        return;
    if (self->number_count == SEGMENTS_MAX) {
        self->list_err = SLUICE_E_LIMIT;
        return;
    }
    if ((self->number_count & (self->number_count + 1)) == 0) { /* 0, 1, 3, 7 …: full */
        size_t size = (self->number_count * 2 + 1) * sizeof *self->numbers;
        uint64_t *grown = sl_realloc(self->numbers, size);
        if (grown == NULL) {
            self->list_err = SLUICE_E_NO_MEMORY;
            return;
        }
        self->numbers = grown;
    }
    self->numbers[self->number_count++] = number;
}

static int number_compare(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;
    return *left < *right ? -1 : *left > *right;
}

static sl_err names_read(struct salvage *self)
{
    sl_err err = sl_dir_list(self->os, self->from, name_seen, self);
    err = err != SLUICE_OK ? err : self->list_err;
    if (err != SLUICE_OK)
        return refuse(self, err, "%s cannot be listed", self->from);
    if (self->number_count > 1)
        qsort(self->numbers, self->number_count, sizeof *self->numbers, number_compare);
    return SLUICE_OK;
}

static sl_err checkpoint_consider(struct salvage *self, uint64_t slot)
{
    char path[WAL_PATH_MAX];
    struct wal_checkpoint_header header;
    struct sl_bytes items = {NULL, 0};
    wal_path_checkpoint(path, self->from, slot);
    sl_err err = wal_checkpoint_read(self->os, path, false, &header, &items);
    if (err == SLUICE_E_NEWER_FORMAT)
        return refuse(self, err, "%s was written by a newer version of Sluice; use that one", path);
    if (err == SLUICE_E_NO_MEMORY)
        return err;
    if (err != SLUICE_OK)
        return SLUICE_OK;
    err = identity_take(self, path, &header.identity);
    bool better = !self->has_checkpoint || header.generation > self->checkpoint.generation;
    struct sl_bytes unused = better ? self->checkpoint_items : items;
    sl_free((void *)(uintptr_t)unused.data);
    if (better) {
        self->checkpoint = header;
        self->checkpoint_items = items;
        self->has_checkpoint = true;
    }
    return err;
}

static sl_err checkpoint_read(struct salvage *self)
{
    sl_err err = checkpoint_consider(self, 0);
    if (err == SLUICE_OK)
        err = checkpoint_consider(self, 1);
    if (err != SLUICE_OK || !self->has_checkpoint)
        return err;
    self->claimed = self->checkpoint.end_lsn;
    self->out_time_ms = self->checkpoint.time_ms;
    self->out_epoch = self->checkpoint.epoch;
    self->report->checkpoint_lsn = self->checkpoint.lsn;
    return SLUICE_OK;
}

/* The checkpoint's items that are kept, behind room for its header, in self->directory. */
static sl_err checkpoint_items(struct salvage *self, struct sl_buffer *items, uint64_t *ret_count)
{
    struct wal_item_walk walk;
    struct wal_item_view item;
    uint64_t count = 0;
    sl_err err = sl_buffer_reserve(items, WAL_CHECKPOINT_HEADER);
    items->size = err == SLUICE_OK ? WAL_CHECKPOINT_HEADER : 0;
    wal_item_walk_init(&walk, self->checkpoint_items);
    while (err == SLUICE_OK && self->has_checkpoint && wal_item_walk_next(&walk, &item)) {
        err = kind_check(self, &item, self->checkpoint.lsn);
        if (err == SLUICE_OK && !self->events->keep(self->arg, self->checkpoint.lsn, &item,
                                                    sl_bytes_of(item.payload.data, 0), true)) {
            self->report->items_left_out++;
            continue;
        }
        size_t size = (size_t)wal_item_size(item.payload.size);
        err = err != SLUICE_OK ? err : sl_buffer_reserve(items, size);
        if (err == SLUICE_OK) {
            wal_item_encode(items->data + items->size, item.kind, item.version, item.flags,
                            item.payload, 0);
            items->size += size;
            count++;
        }
    }
    *ret_count = count;
    return err;
}

static sl_err checkpoint_write(struct salvage *self, struct sl_buffer *items, uint64_t count)
{
    struct wal_checkpoint_header header = self->checkpoint;
    if (!self->has_checkpoint) {
        header.generation = 1;
        header.lsn = self->report->first_lsn - 1;
        header.time_ms = self->out_time_ms;
        header.epoch = self->out_epoch;
    }
    header.identity = self->identity;
    header.first_segment = self->out_first_seq;
    header.last_segment = self->out_seq;
    header.item_count = count;
    header.items_size = items->size - WAL_CHECKPOINT_HEADER;
    header.items_crc = sl_crc32c(items->data + WAL_CHECKPOINT_HEADER, (size_t)header.items_size);
    header.end_lsn = SL_MIN(header.end_lsn, self->last_lsn); /* no further does the new log reach */
    wal_checkpoint_header_encode(&header, items->data);
    if (!self->writes)
        return SLUICE_OK;
    sl_err err =
        wal_checkpoint_write(self->os, self->to, header.generation, sl_buffer_bytes(items));
    return err == SLUICE_OK ? err : refuse(self, err, "%s cannot be written", self->to);
}

/* ---- all of it ---- */

/* What lay before the first segment that is there. */
static void front_judge(struct salvage *self)
{
    size_t first = 0;
    uint64_t wanted = self->has_checkpoint ? self->checkpoint.first_segment : 1;
    while (first < self->number_count && self->numbers[first] < wanted)
        first++;
    if (first < self->number_count && self->numbers[first] > wanted) {
        self->report->has_loss = true;
        self->report->front_is_lost = !self->has_checkpoint;
        self->events->lost(self->arg, 0, 0,
                           self->has_checkpoint
                               ? "segments that the checkpoint names are missing at the beginning"
                               : "no checkpoint can be read; older topics, groups and extents were "
                                 "in it");
    }
}

/* What the caller has to add behind the last frame. */
static sl_err added_write(struct salvage *self, bool *ret_is_added)
{
    struct wal_salvage_adder adder = {.self = self, .count = 1};
    sl_err err = SLUICE_OK;
    *ret_is_added = false;
    while (err == SLUICE_OK && self->events->add != NULL && adder.count > 0) {
        const struct sl_bytes none = {NULL, 0};
        adder.count = 0;
        sl_buffer_reset(&self->directory);
        sl_buffer_reset(&self->body);
        err = self->events->add(self->arg, self->last_lsn + 1, NULL, none, true, &adder);
        if (err == SLUICE_OK && adder.count > 0) {
            *ret_is_added = true;
            err = frame_write(self, ++self->last_lsn, adder.count,
                              sl_buffer_bytes(&self->directory), sl_buffer_bytes(&self->body));
        }
    }
    return err;
}

/* A start must see an unclean end where something was lost, so that the epoch rises. */
static sl_err tail_write(struct salvage *self)
{
    bool is_added = false;
    if (!self->has_place)
        self->last_lsn = self->checkpoint.lsn;
    sl_err err = added_write(self, &is_added);
    if (err == SLUICE_OK && !is_added && self->out_seq != 0 && !self->report->has_loss)
        return SLUICE_OK;
    if (err == SLUICE_OK && !is_added)
        err = idle_write(self, ++self->last_lsn);
    sl_err ended = segment_end(self);
    return err != SLUICE_OK ? err : ended;
}

static sl_err run(struct salvage *self, struct sl_buffer *items)
{
    uint64_t count = 0;
    sl_err err = names_read(self);
    err = err != SLUICE_OK ? err : checkpoint_read(self);
    if (err == SLUICE_OK && self->writes)
        err = sl_dir_make(self->os, self->to);
    if (err == SLUICE_OK)
        err = checkpoint_items(self, items, &count);
    for (size_t i = 0; i < self->number_count && err == SLUICE_OK && !self->has_identity; i++) {
        struct source_segment segment;
        err = segment_open(self, self->numbers[i], &segment);
        sl_file_close(segment.file);
    }
    if (err == SLUICE_OK && !self->has_identity)
        err = refuse(self, self->number_count == 0 ? SLUICE_E_NOT_FOUND : SLUICE_E_CORRUPT,
                     "%s holds no checkpoint and no segment whose header is intact", self->from);
    if (err != SLUICE_OK)
        return err;
    front_judge(self);
    err = segments_read(self);
    err = err != SLUICE_OK ? err : tail_write(self);
    err = err != SLUICE_OK ? err : checkpoint_write(self, items, count);
    self->report->last_lsn = self->last_lsn;
    return err;
}

sl_err wal_salvage(struct sl_os *os, const char *from, const char *to,
                   const struct wal_salvage_events *events, void *arg,
                   struct wal_salvage_report *ret_report)
{
    memset(ret_report, 0, sizeof *ret_report);
    if (strlen(from) + 64 > WAL_PATH_MAX || (to != NULL && strlen(to) + 64 > WAL_PATH_MAX))
        return SLUICE_E_INVALID;
    struct salvage self = {.os = os, .events = events, .arg = arg, .report = ret_report};
    struct sl_buffer items;
    snprintf(self.from, sizeof self.from, "%s/wal", from);
    self.writes = to != NULL;
    snprintf(self.to, sizeof self.to, "%s/wal", to != NULL ? to : "");
    sl_buffer_init(&self.in, FRAME_BYTES_MAX);
    sl_buffer_init(&self.directory, UINT32_MAX);
    sl_buffer_init(&self.body, FRAME_BYTES_MAX);
    sl_buffer_init(&items, ITEMS_BYTES_MAX);
    sl_err err = run(&self, &items);
    if (err != SLUICE_OK)
        (void)refuse(&self, err, "%s cannot be salvaged", self.from);
    sl_file_close(self.out);
    sl_free(self.numbers);
    sl_free((void *)(uintptr_t)self.checkpoint_items.data);
    sl_buffer_fini(&self.in);
    sl_buffer_fini(&self.directory);
    sl_buffer_fini(&self.body);
    sl_buffer_fini(&items);
    return err;
}
