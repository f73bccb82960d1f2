/* cli_wal_salvage.c: wal salvage: what is intact of a damaged data folder into a new one, and a
 * list of what is not.
 *
 * Each shard is read twice. The first pass learns which extents are live; then these are read and
 * checked whole; the second pass writes (or, without NEWDIR, would write). Before all of that the
 * logs of all shards are read for their transactions (cli_salvage_txns.h). What is lost is found
 * from both sides: frames that cannot be read are told by LSN; and of each partition, which offsets
 * between its start and its highest known one are neither in the log nor in an extent. */
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/status.h"
#include "cli/cli_coverage.h"
#include "cli/cli_salvage_txns.h"
#include "cli/cli_store.h"
#include "extent/extent_block.h"
#include "extent/extent_inspect.h"
#include "extent/extent_writer.h"
#include "index/batch_item.h"
#include "wal/wal_inspect.h"
#include "wal/wal_salvage.h"

#include <string.h>

#define META_BYTES 4096u /* sluice.meta: its shard count is at 12, its CRC at 4092 */
#define COPY_BYTES (1u << 20)

struct salvaged_extent {
    struct extent_item item;
    bool broken;  /* its outline: nothing in it can be found */
    bool damaged; /* some of its blocks: the others go into a new file of the same id */
    uint8_t payload[EXTENT_ITEM_SIZE]; /* of the item of the new file */
};

struct salvage {
    struct cli *cli;
    struct cli_store store;
    const char *target; /* NULL: only tells what would be lost */
    bool has_loss;
    uint32_t shard_number;
    /* the shard at hand */
    char from[STORE_PATH_BYTES];
    char to[STORE_PATH_BYTES];
    bool txn_pass; /* before all others */
    bool first_pass;
    struct salvage_txns txns;
    struct wal_salvage_report *report;
    uint32_t shard_index;
    struct salvaged_extent *extents; /* owned; live ones */
    uint32_t extent_count, extent_capacity, broken_count, damaged_count;
    struct coverage coverage;
    sl_err err;
    uint8_t *copy;                /* owned, COPY_BYTES */
    struct cli_progress progress; /* of a shard's extents */
};

static cJSON *shard_event(struct salvage *salvage, const char *kind)
{
    cli_progress_clear(&salvage->progress);
    cJSON *object = cli_event_new(kind);
    cJSON_AddNumberToObject(object, "shard", salvage->shard_number);
    return object;
}

static sl_err fail(struct salvage *salvage, sl_err err)
{
    salvage->err = salvage->err == SLUICE_OK ? err : salvage->err;
    return err;
}

/* ---- items ---- */

static struct salvaged_extent *extent_find(const struct salvage *salvage, uint64_t id)
{
    for (uint32_t i = 0; i < salvage->extent_count; i++) {
        if (salvage->extents[i].item.id == id) {
            return &salvage->extents[i];
        }
    }
    return NULL;
}

static sl_err extent_learn(struct salvage *salvage, const struct wal_item_view *item)
{
    struct salvaged_extent extent = {.broken = false};
    sl_err err = extent_item_decode(item->version, item->payload, &extent.item);
    if (err != SLUICE_OK || extent_find(salvage, extent.item.id) != NULL) {
        return err;
    }
    if (salvage->extent_count == salvage->extent_capacity) {
        uint32_t capacity = SL_MAX(salvage->extent_capacity * 2, 64u);
        struct salvaged_extent *grown = sl_realloc(salvage->extents, capacity * sizeof(*grown));
        if (grown == NULL) {
            return SLUICE_E_NO_MEMORY;
        }
        salvage->extents = grown;
        salvage->extent_capacity = capacity;
    }
    salvage->extents[salvage->extent_count++] = extent;
    return SLUICE_OK;
}

static sl_err extent_unlearn(struct salvage *salvage, const struct wal_item_view *item)
{
    uint64_t id = 0;
    sl_err err = extent_drop_item_decode(item->version, item->payload, &id);
    struct salvaged_extent *extent = err == SLUICE_OK ? extent_find(salvage, id) : NULL;
    if (extent != NULL) {
        *extent = salvage->extents[--salvage->extent_count];
    }
    return err;
}

static sl_err compaction_learn(struct salvage *salvage, const struct wal_item_view *item)
{
    struct compaction_item compaction;
    sl_err err = compaction_item_decode(item->version, item->payload, &compaction);
    if (err != SLUICE_OK) {
        return err;
    }
    struct coverage_stream *stream =
        coverage_stream(&salvage->coverage, &compaction.topic, compaction.partition);
    if (stream == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    stream->compacted = true;
    return SLUICE_OK;
}

/* First pass: names, live extents, and where offsets may be missing. */
static void item_learn(struct salvage *salvage, const struct wal_item_view *item)
{
    sl_err err = SLUICE_OK;
    switch (item->kind) {
    case WAL_ITEM_TOPIC_CREATE:
    case WAL_ITEM_TOPIC_DELETE:
    case WAL_ITEM_TOPIC_CONFIG:
    case WAL_ITEM_TOPIC_GROW:
        err = catalog_apply(salvage->store.catalog, item->kind, item->version, item->payload);
        break;
    case WAL_ITEM_EXTENT:
        err = extent_learn(salvage, item);
        break;
    case WAL_ITEM_EXTENT_DROP:
        err = extent_unlearn(salvage, item);
        break;
    case WAL_ITEM_COMPACTION:
        err = compaction_learn(salvage, item);
        break;
    default:
        break;
    }
    if (err != SLUICE_OK) {
        (void)fail(salvage, err);
    }
}

/* A batch tells by its own CRC whether it is whole, and the item which one it is. */
static bool batch_is_whole(const struct batch_item *item, struct sl_bytes body)
{
    struct batch_view view;
    return extent_batch_check(body, -1, &view) == SLUICE_OK && view.size == body.size &&
           batch_view_base_offset(&view) == item->base_offset &&
           batch_view_last_offset(&view) == item->last_offset;
}

/* Where extents have gaps, what the log still has before the last extent would contradict the
 * index: extents are a prefix of a stream. */
static bool batch_keep(struct salvage *salvage, const struct wal_item_view *item,
                       struct sl_bytes body, bool sure)
{
    struct batch_item batch;
    sl_err err = batch_item_decode(item->version, item->payload, &batch);
    struct coverage_stream *stream =
        err == SLUICE_OK ? coverage_stream(&salvage->coverage, &batch.topic, batch.partition)
                         : NULL;
    if (stream == NULL) {
        (void)fail(salvage, err != SLUICE_OK ? err : SLUICE_E_NO_MEMORY);
        return false;
    }
    stream->end = SL_MAX(stream->end, batch.last_offset + 1);
    if ((!sure && !batch_is_whole(&batch, body)) ||
        (salvage->broken_count + salvage->damaged_count > 0 &&
         batch.last_offset <= stream->extent_last)) {
        return false;
    }
    err = coverage_add(stream, batch.base_offset, batch.last_offset);
    return err == SLUICE_OK || fail(salvage, err) == SLUICE_OK;
}

static bool bounds_keep(struct salvage *salvage, const struct wal_item_view *item)
{
    struct bounds_item bounds;
    sl_err err = bounds_item_decode(item->version, item->payload, &bounds);
    struct coverage_stream *stream =
        err == SLUICE_OK ? coverage_stream(&salvage->coverage, &bounds.topic, bounds.partition)
                         : NULL;
    if (stream == NULL) {
        (void)fail(salvage, err != SLUICE_OK ? err : SLUICE_E_NO_MEMORY);
        return false;
    }
    stream->start = SL_MAX(stream->start, bounds.start_offset);
    stream->end = SL_MAX(stream->end, bounds.end_offset);
    return true;
}

static bool extent_keep(const struct salvage *salvage, struct wal_item_view *item)
{
    struct extent_item extent;
    if (extent_item_decode(item->version, item->payload, &extent) != SLUICE_OK) {
        return false;
    }
    const struct salvaged_extent *known = extent_find(salvage, extent.id);
    if (known != NULL && known->damaged && salvage->target != NULL) {
        item->payload = sl_bytes_of(known->payload, sizeof(known->payload));
    }
    return known == NULL ||
           !known->broken; /* not known: dropped later, then its file may be gone */
}

/* ---- transactions ---- */

static void on_aborted(void *arg, const struct coverage_stream *stream, int64_t producer_id,
                       int64_t first_offset)
{
    struct salvage *salvage = arg;
    char name[STORE_NAME_BYTES];
    cJSON *object = shard_event(salvage, "aborted");
    cJSON_AddStringToObject(object, "topic",
                            cli_store_topic(&salvage->store, &stream->topic, name));
    cli_u64_add(object, "partition", stream->partition);
    cli_i64_add(object, "producer_id", producer_id);
    cli_i64_add(object, "first_offset", first_offset);
    cli_event_write(salvage->cli, object);
}

static sl_err on_add(void *arg, uint64_t lsn, const struct wal_item_view *next,
                     struct sl_bytes body, bool sure, struct wal_salvage_adder *adder)
{
    struct salvage *salvage = arg;
    struct batch_item batch;
    if (salvage->txn_pass || salvage->first_pass || !salvage->txns.has_loss) {
        return SLUICE_OK;
    }
    salvage->txns.checkpoint_lsn = salvage->report->checkpoint_lsn;
    if (next == NULL) {
        return salvage_txns_tail(&salvage->txns, adder);
    }
    sl_err err = batch_item_decode(next->version, next->payload, &batch);
    return err != SLUICE_OK ? err
                            : salvage_txns_before(&salvage->txns, lsn, &batch,
                                                  sure || batch_is_whole(&batch, body), adder);
}

/* False: it is left out. */
static bool txn_item_keep(struct salvage *salvage, uint64_t lsn, const struct wal_item_view *item,
                          bool sure)
{
    struct batch_item batch;
    if (!salvage->txns.has_loss || !sure) {
        return true;
    }
    if (item->kind == WAL_ITEM_BATCH) {
        return batch_item_decode(item->version, item->payload, &batch) != SLUICE_OK ||
               !salvage_txns_refuses(&salvage->txns, &batch);
    }
    bool from_checkpoint = lsn == salvage->report->checkpoint_lsn;
    sl_err err = salvage_txns_item(&salvage->txns, item, from_checkpoint);
    return err == SLUICE_OK || fail(salvage, err) == SLUICE_OK;
}

/* ---- what is kept ---- */

static bool on_keep(void *arg, uint64_t lsn, struct wal_item_view *item, struct sl_bytes body,
                    bool sure)
{
    struct salvage *salvage = arg;
    if (salvage->txn_pass) {
        sl_err err =
            sure ? salvage_txns_learn(&salvage->txns, salvage->shard_index, item) : SLUICE_OK;
        return err == SLUICE_OK || fail(salvage, err) == SLUICE_OK;
    }
    if (salvage->first_pass) {
        item_learn(salvage, item);
        return true;
    }
    if (!txn_item_keep(salvage, lsn, item, sure)) {
        return false;
    }
    switch (item->kind) {
    case WAL_ITEM_BATCH:
        return batch_keep(salvage, item, body, sure);
    case WAL_ITEM_LOG_BOUNDS:
        return bounds_keep(salvage, item);
    case WAL_ITEM_EXTENT:
        return extent_keep(salvage, item);
    case WAL_ITEM_COMPACTION:
        return true; /* says how its extents are to be read, which are kept */
    default:
        return sure;
    }
}

static void on_lost(void *arg, uint64_t first_lsn, uint64_t last_lsn, const char *where)
{
    struct salvage *salvage = arg;
    if (salvage->txn_pass) {
        salvage_txns_lost(&salvage->txns, salvage->shard_index);
    }
    if (salvage->txn_pass || salvage->first_pass) {
        return;
    }
    salvage->txns.losses++;
    cJSON *object = shard_event(salvage, "lost");
    if (first_lsn > 0) {
        cli_u64_add(object, "first_lsn", first_lsn);
        cli_u64_add(object, "last_lsn", last_lsn);
    }
    cJSON_AddStringToObject(object, "where", where);
    cli_event_write(salvage->cli, object);
    salvage->has_loss = true;
}

static const struct wal_salvage_events salvage_events = {
    .keep = on_keep, .lost = on_lost, .add = on_add};

/* ---- extents ---- */

struct extent_check {
    struct salvage *salvage;
    const struct extent_item *item;
    bool fits; /* it is the file of the item */
    bool has_txns;
};

static sl_err check_outline(void *arg, const struct extent_outline *outline)
{
    struct extent_check *check = arg;
    check->fits = outline->header.id == check->item->id &&
                  outline->file_size == check->item->file_size &&
                  outline->footer.trailer.footer_crc == check->item->footer_crc;
    return check->fits ? SLUICE_OK : SLUICE_E_CORRUPT;
}

static sl_err check_stream(void *arg, const struct extent_stream *stream)
{
    struct extent_check *check = arg;
    struct coverage_stream *known =
        coverage_stream(&check->salvage->coverage, &stream->topic, stream->partition);
    if (known == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    known->extent_last = SL_MAX(known->extent_last, stream->last_offset);
    known->end = SL_MAX(known->end, stream->last_offset + 1);
    /* What compaction removed is not lost. */
    return known->compacted ? coverage_add(known, stream->base_offset, stream->last_offset)
                            : SLUICE_OK;
}

static sl_err check_batch(void *arg, const struct extent_stream *stream, uint64_t position,
                          const struct batch_view *batch)
{
    struct extent_check *check = arg;
    (void)position;
    struct coverage_stream *known =
        coverage_stream(&check->salvage->coverage, &stream->topic, stream->partition);
    check->has_txns = check->has_txns || batch_view_has(batch, BATCH_TRANSACTIONAL);
    cli_progress_add(&check->salvage->progress, batch->size);
    return known == NULL
               ? SLUICE_E_NO_MEMORY
               : coverage_add(known, batch_view_base_offset(batch), batch_view_last_offset(batch));
}

/* Reads all of a live extent. Damaged blocks leave gaps; a damaged outline makes it broken. */
static sl_err extent_read(struct salvage *salvage, struct salvaged_extent *extent)
{
    static const struct extent_inspect_events events = {check_outline, check_stream, NULL,
                                                        check_batch, NULL};
    char path[EXTENT_PATH_MAX];
    char directory[STORE_PATH_BYTES + 8];
    struct extent_report report;
    struct extent_check check = {.salvage = salvage, .item = &extent->item};
    snprintf(directory, sizeof(directory), "%s/ext", salvage->from);
    extent_path(path, directory, extent->item.id);
    sl_err err = extent_inspect(salvage->cli->os, path, true, &events, &check, &report);
    bool is_unknown = check.has_txns && salvage->report->front_is_lost;
    if (is_unknown && err != SLUICE_E_NO_MEMORY) {
        check.fits = false; /* what was aborted must not be served */
        snprintf(report.problem, sizeof(report.problem),
                 "%.150s: no checkpoint says which of its transactions were aborted", path);
    } else if (err == SLUICE_OK || err == SLUICE_E_NO_MEMORY || err == SLUICE_E_NEWER_FORMAT) {
        if (err == SLUICE_E_NEWER_FORMAT) {
            cli_complain("%s", report.problem);
        }
        return err;
    }
    extent->broken =
        !check.fits || report.damaged_blocks == 0 || report.damaged_blocks == report.block_count;
    extent->damaged = !extent->broken;
    salvage->broken_count += extent->broken;
    salvage->damaged_count += extent->damaged;
    salvage->has_loss = true;
    cJSON *object = shard_event(salvage, extent->broken ? "lost" : "damaged");
    cli_u64_add(object, "extent", extent->item.id);
    cli_u64_add(object, "bytes", extent->item.bytes);
    cli_u64_add(object, "damaged_blocks", report.damaged_blocks);
    cJSON_AddStringToObject(object, "where",
                            report.problem[0] != '\0' ? report.problem
                                                      : "not the file that the log made live");
    cli_event_write(salvage->cli, object);
    return SLUICE_OK;
}

/* ---- an extent without its damaged blocks ---- */

struct extent_rewrite {
    struct salvage *salvage;
    const char *directory; /* of the new file */
    struct extent_writer *writer;
};

static sl_err rewrite_outline(void *arg, const struct extent_outline *outline)
{
    struct extent_rewrite *rewrite = arg;
    return extent_writer_new(rewrite->salvage->cli->os, rewrite->directory, &outline->header,
                             &rewrite->writer);
}

static sl_err rewrite_stream(void *arg, const struct extent_stream *stream)
{
    struct extent_rewrite *rewrite = arg;
    return extent_writer_stream(rewrite->writer, &stream->topic, stream->partition);
}

static sl_err rewrite_block(void *arg, const struct extent_stream *stream,
                            const struct extent_block *block)
{
    struct extent_rewrite *rewrite = arg;
    (void)stream;
    if (block->begins_range) {
        extent_writer_range(rewrite->writer);
    }
    return SLUICE_OK;
}

static sl_err rewrite_batch(void *arg, const struct extent_stream *stream, uint64_t position,
                            const struct batch_view *batch)
{
    struct extent_rewrite *rewrite = arg;
    (void)stream;
    (void)position;
    return extent_writer_add(rewrite->writer, sl_bytes_of(batch->data, batch->size));
}

static sl_err extent_rewrite(struct salvage *salvage, struct salvaged_extent *extent,
                             const char *from_path, const char *to_directory)
{
    static const struct extent_inspect_events events = {rewrite_outline, rewrite_stream,
                                                        rewrite_block, rewrite_batch, NULL};
    struct extent_rewrite rewrite = {.salvage = salvage, .directory = to_directory};
    struct extent_report report;
    struct extent_item item;
    struct sl_file *file = NULL;
    sl_err err = extent_inspect(salvage->cli->os, from_path, true, &events, &rewrite, &report);
    bool is_read = err == SLUICE_OK || (err == SLUICE_E_CORRUPT && report.damaged_blocks > 0);
    if (is_read && rewrite.writer != NULL) {
        err = extent_writer_finish(rewrite.writer, &item, &file);
    }
    if (err == SLUICE_OK) {
        extent_item_encode(&item, extent->payload);
    } else {
        cli_complain("%.300s cannot be rewritten: %s", from_path, sl_status_text(err));
    }
    sl_file_close(file);
    extent_writer_free(rewrite.writer);
    return err;
}

static sl_err bytes_copy(struct salvage *salvage, struct sl_file *from, struct sl_file *to,
                         uint64_t size)
{
    sl_err err = SLUICE_OK;
    for (uint64_t at = 0; at < size && err == SLUICE_OK;) {
        size_t got = 0;
        err = sl_file_pread(from, salvage->copy, COPY_BYTES, at, &got);
        if (err == SLUICE_OK && got == 0) {
            return SLUICE_E_TRUNCATED;
        }
        const struct sl_iovec piece = {salvage->copy, got};
        err = err != SLUICE_OK ? err : sl_file_pwritev(to, &piece, 1, at);
        cli_progress_add(&salvage->progress, got);
        at += got;
    }
    return err != SLUICE_OK ? err : sl_file_sync(to);
}

static sl_err file_copy(struct salvage *salvage, const char *from_path, const char *to_path)
{
    struct sl_file *from = NULL;
    struct sl_file *to = NULL;
    uint64_t size = 0;
    uint32_t flags = SL_FILE_READ | SL_FILE_WRITE | SL_FILE_CREATE | SL_FILE_EXCLUSIVE;
    sl_err err = sl_file_open(salvage->cli->os, from_path, SL_FILE_READ, &from);
    err = err != SLUICE_OK ? err : sl_file_size(from, &size);
    err = err != SLUICE_OK ? err : sl_file_open(salvage->cli->os, to_path, flags, &to);
    err = err != SLUICE_OK ? err : bytes_copy(salvage, from, to, size);
    sl_file_close(from);
    sl_file_close(to);
    if (err != SLUICE_OK) {
        cli_complain("%.300s cannot be copied to %.300s: %s", from_path, to_path,
                     sl_status_text(err));
    }
    return err;
}

static sl_err extents_copy(struct salvage *salvage)
{
    char from[STORE_PATH_BYTES + 8];
    char to[STORE_PATH_BYTES + 8];
    snprintf(from, sizeof(from), "%s/ext", salvage->from);
    snprintf(to, sizeof(to), "%s/ext", salvage->to);
    sl_err err = sl_dir_make(salvage->cli->os, to);
    for (uint32_t i = 0; i < salvage->extent_count && err == SLUICE_OK; i++) {
        char from_path[EXTENT_PATH_MAX];
        char to_path[EXTENT_PATH_MAX];
        extent_path(from_path, from, salvage->extents[i].item.id);
        extent_path(to_path, to, salvage->extents[i].item.id);
        if (salvage->extents[i].damaged) {
            err = extent_rewrite(salvage, &salvage->extents[i], from_path, to);
        } else if (!salvage->extents[i].broken) {
            err = file_copy(salvage, from_path, to_path);
        }
    }
    err = err != SLUICE_OK ? err : sl_dir_sync(salvage->cli->os, to);
    return err != SLUICE_OK ? err : sl_dir_sync(salvage->cli->os, salvage->to);
}

/* ---- what is lost ---- */

static void on_gap(void *arg, const struct coverage_stream *stream, int64_t first, int64_t last)
{
    struct salvage *salvage = arg;
    char name[STORE_NAME_BYTES];
    cJSON *object = shard_event(salvage, "lost");
    cJSON_AddStringToObject(object, "topic",
                            cli_store_topic(&salvage->store, &stream->topic, name));
    cli_u64_add(object, "partition", stream->partition);
    cli_i64_add(object, "first_offset", first);
    cli_i64_add(object, "last_offset", last);
    cli_event_write(salvage->cli, object);
    salvage->has_loss = true;
}

/* Records of a topic that no log names are not served: it was deleted, or its creation is lost. */
static void unnamed_write(struct salvage *salvage, const struct coverage_stream *stream)
{
    char id[STORE_NAME_BYTES];
    cJSON *object = shard_event(salvage, "unnamed");
    cJSON_AddStringToObject(object, "topic_id",
                            cli_store_topic(&salvage->store, &stream->topic, id));
    cli_u64_add(object, "partition", stream->partition);
    cli_i64_add(object, "end_offset", stream->end);
    cJSON_AddStringToObject(object, "what",
                            "its topic was deleted, or its creation is lost: not served");
    cli_event_write(salvage->cli, object);
}

static void losses_write(struct salvage *salvage)
{
    for (uint32_t i = 0; i < salvage->coverage.capacity; i++) {
        struct coverage_stream *stream = salvage->coverage.streams[i];
        if (stream == NULL) {
            continue;
        }
        if (catalog_by_id(salvage->store.catalog, &stream->topic) != NULL) {
            coverage_gaps(stream, on_gap, salvage);
        } else if (salvage->has_loss && stream->range_count > 0) {
            unnamed_write(salvage, stream);
        }
    }
}

/* ---- a shard ---- */

static void shard_write(struct salvage *salvage, const struct wal_salvage_report *report)
{
    cJSON *object = shard_event(salvage, salvage->target != NULL ? "salvaged" : "salvageable");
    cJSON_AddStringToObject(object, "path", salvage->from);
    cli_u64_add(object, "frames", report->frames_kept);
    cli_u64_add(object, "frames_lost", report->frames_lost);
    cli_u64_add(object, "items_left_out", report->items_left_out);
    cli_u64_add(object, "last_lsn", report->last_lsn);
    cli_u64_add(object, "torn_tail_bytes", report->bytes_cut);
    cli_u64_add(object, "extents", salvage->extent_count - salvage->broken_count);
    cli_u64_add(object, "extents_lost", salvage->broken_count);
    cli_event_write(salvage->cli, object);
}

/* Nobody is told "salvaged" of what would refuse again. */
static sl_err result_check(struct salvage *salvage)
{
    static const struct wal_inspect_events none = {NULL, NULL, NULL, NULL};
    struct wal_recovery recovery;
    sl_err err = wal_inspect(salvage->cli->os, salvage->to, true, &none, NULL, &recovery);
    if (err != SLUICE_OK) {
        cli_complain("the result is not sound: %s", recovery.problem);
    }
    return err;
}

/* Extents are read once, and where there is a new folder copied. */
static void progress_plan(struct salvage *salvage)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < salvage->extent_count; i++) {
        total += salvage->extents[i].item.bytes;
    }
    cli_progress_begin(&salvage->progress, salvage->cli, "salvaging extents",
                       salvage->target != NULL ? total * 2 : total);
}

static sl_err passes_run(struct salvage *salvage, struct wal_salvage_report *report)
{
    struct sl_os *os = salvage->cli->os;
    salvage->first_pass = true;
    salvage->report = report;
    sl_err err = wal_salvage(os, salvage->from, NULL, &salvage_events, salvage, report);
    err = err != SLUICE_OK ? err : salvage->err;
    if (err != SLUICE_OK) {
        return err;
    }
    progress_plan(salvage);
    for (uint32_t i = 0; i < salvage->extent_count && err == SLUICE_OK; i++) {
        err = extent_read(salvage, &salvage->extents[i]);
    }
    salvage->first_pass = false;
    bool writes = salvage->target != NULL;
    if (err == SLUICE_OK && writes) {
        err = extents_copy(salvage);
    }
    cli_progress_clear(&salvage->progress);
    if (err == SLUICE_OK) {
        err = salvage_txns_begin(&salvage->txns, salvage->shard_index, &salvage->coverage);
    }
    if (err == SLUICE_OK) {
        err = wal_salvage(os, salvage->from, writes ? salvage->to : NULL, &salvage_events, salvage,
                          report);
        salvage_txns_end(&salvage->txns);
    }
    err = err != SLUICE_OK ? err : salvage->err;
    return err != SLUICE_OK || !writes ? err : result_check(salvage);
}

static int shard_salvage(struct salvage *salvage, uint32_t index)
{
    struct wal_salvage_report report = {.problem = ""};
    salvage->shard_number = salvage->store.shards[index];
    salvage->shard_index = index;
    cli_store_shard_path(&salvage->store, index, salvage->from);
    snprintf(salvage->to, sizeof(salvage->to), "%.900s/shard-%u",
             salvage->target != NULL ? salvage->target : "", salvage->shard_number);
    salvage->extent_count = salvage->broken_count = salvage->damaged_count = 0;
    salvage->err = SLUICE_OK;
    coverage_init(&salvage->coverage);
    sl_err err = passes_run(salvage, &report);
    if (err == SLUICE_OK) {
        salvage->has_loss = salvage->has_loss || report.has_loss;
        losses_write(salvage);
        shard_write(salvage, &report);
    } else {
        cli_complain("%.300s: %s", salvage->from,
                     report.problem[0] != '\0' ? report.problem : sl_status_text(err));
    }
    coverage_fini(&salvage->coverage);
    return err == SLUICE_OK ? CLI_OK : CLI_FAILED;
}

/* ---- the folder ---- */

/* All logs, for transactions: those of one shard are decided on another. */
static int txns_read(struct salvage *salvage)
{
    salvage->txn_pass = true;
    salvage->txns.has_loss = salvage->has_loss; /* a shard's folder is missing */
    salvage->txns.aborted = on_aborted;
    salvage->txns.arg = salvage;
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < salvage->store.shard_count && err == SLUICE_OK; i++) {
        struct wal_salvage_report report = {.problem = ""};
        salvage->shard_index = i;
        salvage->report = &report;
        cli_store_shard_path(&salvage->store, i, salvage->from);
        err = wal_salvage(salvage->cli->os, salvage->from, NULL, &salvage_events, salvage, &report);
        err = err != SLUICE_OK ? err : salvage->err;
        if (err == SLUICE_OK && report.has_loss) {
            salvage_txns_lost(&salvage->txns, i);
        } else if (err != SLUICE_OK) {
            cli_complain("%.300s: %s", salvage->from,
                         report.problem[0] != '\0' ? report.problem : sl_status_text(err));
        }
    }
    err = err != SLUICE_OK ? err : salvage_txns_decide(&salvage->txns);
    salvage->txn_pass = false;
    salvage->report = NULL;
    return err == SLUICE_OK ? CLI_OK : CLI_FAILED;
}

static void entry_count(void *arg, const char *name, bool is_directory)
{
    uint32_t *count = arg;
    (void)name;
    (void)is_directory;
    ++*count;
}

static int target_make(const struct salvage *salvage)
{
    uint32_t count = 0;
    size_t size = strlen(salvage->store.directory);
    const char *target = salvage->target;
    if (strlen(target) > EXTENT_PATH_MAX - 64) {
        cli_complain("the name of the new folder is longer than %u bytes", EXTENT_PATH_MAX - 64);
        return CLI_USAGE;
    }
    if (strncmp(target, salvage->store.directory, size) == 0 &&
        (target[size] == '\0' || target[size] == '/')) {
        cli_complain("%s lies in the damaged folder, which stays as it is; name another one",
                     target);
        return CLI_USAGE;
    }
    if (sl_dir_list(salvage->cli->os, target, entry_count, &count) == SLUICE_OK && count > 0) {
        cli_complain("%s is not empty; name a new folder", target);
        return CLI_FAILED;
    }
    if (sl_dir_make(salvage->cli->os, target) != SLUICE_OK) {
        cli_complain("%s cannot be made; see to the permissions of the folder it is to lie in",
                     target);
        return CLI_FAILED;
    }
    return CLI_OK;
}

/* Shards that sluice.meta counts and whose folders are gone. */
static int meta_check(struct salvage *salvage, const char *path)
{
    uint8_t bytes[META_BYTES];
    struct sl_file *file = NULL;
    size_t got = 0;
    sl_err err = sl_file_open(salvage->cli->os, path, SL_FILE_READ, &file);
    err = err != SLUICE_OK ? err : sl_file_pread(file, bytes, sizeof(bytes), 0, &got);
    sl_file_close(file);
    if (err != SLUICE_OK || got != sizeof(bytes) ||
        sl_le32_load(bytes + META_BYTES - 4) != sl_crc32c(bytes, META_BYTES - 4)) {
        cli_complain("%s is missing or damaged; restore it from a backup, then try again", path);
        return CLI_FAILED;
    }
    uint32_t next = 0;
    for (uint32_t number = 0; number < sl_le32_load(bytes + 12); number++) {
        if (next < salvage->store.shard_count && salvage->store.shards[next] == number) {
            next++;
            continue;
        }
        salvage->shard_number = number;
        salvage->has_loss = true;
        cJSON *object = shard_event(salvage, "lost");
        cJSON_AddStringToObject(object, "where", "the shard's folder is missing, with all in it");
        cli_event_write(salvage->cli, object);
    }
    return CLI_OK;
}

static int folder_salvage(struct salvage *salvage)
{
    char from[STORE_PATH_BYTES];
    char to[STORE_PATH_BYTES];
    snprintf(from, sizeof(from), "%.900s/sluice.meta", salvage->store.directory);
    snprintf(to, sizeof(to), "%.900s/sluice.meta", salvage->target != NULL ? salvage->target : "");
    int code = meta_check(salvage, from);
    code = code != CLI_OK || salvage->target == NULL ? code : target_make(salvage);
    code = code != CLI_OK ? code : txns_read(salvage);
    for (uint32_t i = 0; i < salvage->store.shard_count && code == CLI_OK; i++) {
        code = shard_salvage(salvage, i);
    }
    /* Last, so that what is half done is no data folder. */
    if (code == CLI_OK && salvage->target != NULL &&
        (file_copy(salvage, from, to) != SLUICE_OK ||
         sl_dir_sync(salvage->cli->os, salvage->target) != SLUICE_OK)) {
        code = CLI_FAILED;
    }
    return code != CLI_OK ? code : salvage->has_loss ? CLI_PARTLY : CLI_OK;
}

int cli_wal_salvage(struct cli *cli)
{
    struct salvage salvage = {
        .cli = cli,
        .target = cli->options.word_count == 2 ? cli->options.words[1] : NULL,
        .copy = sl_alloc(COPY_BYTES),
    };
    struct sl_file *lock = NULL;
    int code = cli_store_open(&salvage.store, cli, cli->options.words[0]);
    if (code == CLI_OK && salvage.store.is_shard) {
        cli_complain("%.200s: no data folder: it has no shard-0", salvage.store.directory);
        code = CLI_FAILED;
    }
    if (code == CLI_OK && !cli_store_lock(&salvage.store, &lock)) {
        cli_complain("%.200s: a broker runs on it; stop it first", salvage.store.directory);
        code = CLI_FAILED;
    }
    if (code == CLI_OK && salvage.copy == NULL) {
        cli_complain("out of memory");
        code = CLI_FAILED;
    }
    if (code == CLI_OK &&
        salvage_txns_init(&salvage.txns, salvage.store.shard_count) != SLUICE_OK) {
        cli_complain("out of memory");
        code = CLI_FAILED;
    }
    code = code != CLI_OK ? code : folder_salvage(&salvage);
    salvage_txns_fini(&salvage.txns);
    sl_file_close(lock);
    sl_free(salvage.extents);
    sl_free(salvage.copy);
    cli_store_close(&salvage.store);
    return code;
}
