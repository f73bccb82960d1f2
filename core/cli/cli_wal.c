/* cli_wal.c: wal dump and verify: what the write-ahead log on disk says, without changing it.
 *
 * DIR is a data folder (its shard-N are visited in order) or one shard's folder. Beside a running
 * broker its files are pinned meanwhile (cli_store_pin). What it is writing just then may look cut
 * or torn: what seems damaged there is read again a few times before it is believed. */
#include "cli/cli_store.h"
#include "cli/cli_wal_records.h"
#include "index/batch_item.h"
#include "wal/wal_inspect.h"

#include <string.h>

#define TRIES    5u
#define RETRY_MS 200

struct inspection {
    struct cli *cli;
    struct cli_store store;
    bool dump;
    bool is_running;
    /* what is dumped */
    const char *topic;
    int64_t partition; /* -1: all */
    struct cli_range offsets, lsns;
    bool is_filtered; /* only batches, and the frames that hold one */
    cJSON *frame;     /* owned: told with its first item */
    uint32_t shard_index;
    char path[STORE_PATH_BYTES]; /* of the shard at hand */
    struct cli_records records;
    struct cli_progress progress;
};

/* ---- dump ---- */

static bool lsn_is_wanted(const struct inspection *inspection, uint64_t lsn)
{
    return lsn >= (uint64_t)inspection->lsns.first && lsn <= (uint64_t)inspection->lsns.last;
}

static sl_err on_checkpoint(void *arg, const struct wal_checkpoint_header *checkpoint)
{
    const struct inspection *inspection = arg;
    if (inspection->is_filtered) {
        return SLUICE_OK;
    }
    cJSON *object = cli_event_new("checkpoint");
    cli_u64_add(object, "lsn", checkpoint->lsn);
    cli_u64_add(object, "items", checkpoint->item_count);
    cli_u64_add(object, "first_segment", checkpoint->first_segment);
    cli_u64_add(object, "last_segment", checkpoint->last_segment);
    cli_event_write(inspection->cli, object);
    return SLUICE_OK;
}

static void frame_tell(struct inspection *inspection)
{
    if (inspection->frame != NULL) {
        cli_event_write(inspection->cli, inspection->frame);
        inspection->frame = NULL;
    }
}

static sl_err on_frame(void *arg, const struct wal_segment_header *segment, uint64_t position,
                       const struct wal_frame_header *frame)
{
    struct inspection *inspection = arg;
    cJSON_Delete(inspection->frame);
    inspection->frame = NULL;
    if (!lsn_is_wanted(inspection, frame->lsn)) {
        return SLUICE_OK;
    }
    cJSON *object = cli_event_new("frame");
    cli_u64_add(object, "lsn", frame->lsn);
    cli_u64_add(object, "segment", segment->seq);
    cli_u64_add(object, "position", position);
    cli_u64_add(object, "bytes", frame->frame_size);
    cli_u64_add(object, "epoch", frame->epoch);
    cli_u64_add(object, "items", frame->item_count);
    cli_u64_add(object, "durable_lsn", frame->durable_lsn);
    cli_u64_add(object, "time_ms", (uint64_t)frame->time_ms);
    inspection->frame = object;
    if (!inspection->is_filtered) {
        frame_tell(inspection);
    }
    return SLUICE_OK;
}

static bool batch_is_wanted(const struct inspection *inspection, const struct batch_item *item,
                            const char *topic)
{
    return (inspection->topic == NULL || strcmp(topic, inspection->topic) == 0) &&
           (inspection->partition < 0 || item->partition == inspection->partition) &&
           item->last_offset >= inspection->offsets.first &&
           item->base_offset <= inspection->offsets.last;
}

static void batch_add(cJSON *object, const struct batch_item *item, const char *topic)
{
    cJSON_AddStringToObject(object, "topic", topic);
    cJSON_AddNumberToObject(object, "partition", item->partition);
    cli_i64_add(object, "base_offset", item->base_offset);
    cli_i64_add(object, "last_offset", item->last_offset);
    cJSON_AddNumberToObject(object, "records", item->record_count);
    if (item->producer_id >= 0) {
        cli_i64_add(object, "producer_id", item->producer_id);
        cJSON_AddNumberToObject(object, "producer_epoch", item->producer_epoch);
        cJSON_AddNumberToObject(object, "base_sequence", item->base_sequence);
    }
}

static cJSON *item_new(uint64_t lsn, const struct wal_item_view *item,
                       const struct wal_place *place)
{
    cJSON *object = cli_event_new("item");
    cJSON_AddStringToObject(object, "kind", wal_item_kind_name(item->kind));
    cli_u64_add(object, "lsn", lsn);
    cli_u64_add(object, "payload_bytes", item->payload.size);
    cli_u64_add(object, "body_bytes", item->body_size);
    if (place != NULL && place->size > 0) {
        cli_u64_add(object, "body_position", place->position);
    }
    return object;
}

static sl_err on_item(void *arg, uint64_t lsn, const struct wal_item_view *item,
                      const struct wal_place *place)
{
    struct inspection *inspection = arg;
    struct batch_item batch;
    char topic[STORE_NAME_BYTES] = "";
    bool is_batch = item->kind == WAL_ITEM_BATCH &&
                    batch_item_decode(item->version, item->payload, &batch) == SLUICE_OK;
    if (is_batch) {
        cli_store_topic(&inspection->store, &batch.topic, topic);
    }
    bool is_wanted =
        lsn_is_wanted(inspection, lsn) &&
        (!inspection->is_filtered || (is_batch && batch_is_wanted(inspection, &batch, topic)));
    if (!is_wanted) {
        return SLUICE_OK;
    }
    frame_tell(inspection);
    cJSON *object = item_new(lsn, item, place);
    if (is_batch) {
        batch_add(object, &batch, topic);
    }
    cli_event_write(inspection->cli, object);
    if (is_batch && inspection->cli->options.records) {
        cli_records_write(&inspection->records, inspection->path, place, &inspection->offsets);
    }
    return SLUICE_OK;
}

static sl_err on_segment(void *arg, const struct wal_inspect_segment *segment)
{
    const struct inspection *inspection = arg;
    if (inspection->is_filtered) {
        return SLUICE_OK;
    }
    cJSON *object = cli_event_new("segment");
    cli_u64_add(object, "segment", segment->header->seq);
    cli_u64_add(object, "bytes", segment->file_size);
    cli_u64_add(object, "end_position", segment->end_position);
    cli_u64_add(object, "last_lsn", segment->last_lsn);
    cli_event_write(inspection->cli, object);
    return SLUICE_OK;
}

/* ---- verify ---- */

static sl_err frame_count(void *arg, const struct wal_segment_header *segment, uint64_t position,
                          const struct wal_frame_header *frame)
{
    struct inspection *inspection = arg;
    (void)segment;
    (void)position;
    cli_progress_add(&inspection->progress, frame->frame_size);
    return SLUICE_OK;
}

struct segment_sizes {
    struct inspection *inspection;
    uint64_t bytes;
};

static void segment_size_add(void *arg, const char *name, bool is_directory)
{
    struct segment_sizes *sizes = arg;
    char path[STORE_PATH_BYTES];
    struct sl_file *file = NULL;
    uint64_t size = 0;
    const char *dot = strrchr(name, '.');
    if (is_directory || dot == NULL || strcmp(dot, ".seg") != 0) {
        return;
    }
    snprintf(path, sizeof(path), "%.800s/wal/%.100s", sizes->inspection->path, name);
    if (sl_file_open(sizes->inspection->cli->os, path, SL_FILE_READ, &file) == SLUICE_OK &&
        sl_file_size(file, &size) == SLUICE_OK) {
        sizes->bytes += size;
    }
    sl_file_close(file);
}

static void progress_plan(struct inspection *inspection)
{
    struct segment_sizes sizes = {.inspection = inspection};
    char path[STORE_PATH_BYTES + 8];
    snprintf(path, sizeof(path), "%s/wal", inspection->path);
    if (inspection->dump ||
        sl_dir_list(inspection->cli->os, path, segment_size_add, &sizes) != SLUICE_OK) {
        sizes.bytes = 0;
    }
    cli_progress_begin(&inspection->progress, inspection->cli, "verifying the log", sizes.bytes);
}

/* ---- a shard, a folder ---- */

static const struct wal_inspect_events dump_events = {on_checkpoint, on_frame, on_item, on_segment};
static const struct wal_inspect_events verify_events = {NULL, frame_count, NULL, NULL};

static void verdict_write(const struct inspection *inspection, const struct wal_recovery *report,
                          sl_err err)
{
    cJSON *object = cli_event_new(err != SLUICE_OK ? "damaged" : "sound");
    cJSON_AddStringToObject(object, "path", inspection->path);
    cli_u64_add(object, "segments", report->segment_count);
    cli_u64_add(object, "frames", report->frame_count);
    cli_u64_add(object, "items", report->item_count);
    cli_u64_add(object, "last_lsn", report->last_lsn);
    cli_u64_add(object, "bytes", report->bytes_scanned);
    if (!inspection->is_running) { /* else it is what is being written */
        cli_u64_add(object, "torn_tail_bytes", report->bytes_cut);
    }
    cli_u64_add(object, "bodies_verified", report->bodies_verified);
    cJSON_AddBoolToObject(object, "clean", report->clean);
    if (inspection->is_running) {
        cJSON_AddBoolToObject(object, "running", true);
    }
    cli_event_write(inspection->cli, object);
}

static int shard_inspect(struct inspection *inspection)
{
    struct wal_recovery report;
    struct cli *cli = inspection->cli;
    bool verify = !inspection->dump;
    uint32_t tries = inspection->is_running && verify ? TRIES : 1;
    sl_err err = SLUICE_E_CORRUPT;
    for (uint32_t i = 0; i < tries && err != SLUICE_OK; i++) {
        if (i > 0) {
            sl_sleep_ms(RETRY_MS);
        }
        memset(&report, 0, sizeof(report));
        progress_plan(inspection);
        err = wal_inspect(cli->os, inspection->path, verify, verify ? &verify_events : &dump_events,
                          inspection, &report);
        cli_progress_clear(&inspection->progress);
    }
    cJSON_Delete(inspection->frame);
    inspection->frame = NULL;
    if (err != SLUICE_OK) {
        cli_complain("%s: %s", inspection->path,
                     report.problem[0] != '\0' ? report.problem : "the log cannot be read");
    }
    if (verify || !inspection->is_filtered || err != SLUICE_OK) {
        verdict_write(inspection, &report, err);
    }
    return err == SLUICE_OK ? CLI_OK : CLI_FAILED;
}

/* Shard 0 knows the topics, and its log is read for them first. */
static void names_read(struct inspection *inspection)
{
    struct cli_store_log log;
    if (inspection->dump) {
        cli_store_log_read(&inspection->store, 0, &log);
        cli_store_log_free(&log);
    }
}

static int store_inspect(struct inspection *inspection)
{
    struct sl_file *lock = NULL;
    struct cli_store_pin pin = {.is_held = false};
    int code = CLI_OK;
    inspection->is_running = !cli_store_lock(&inspection->store, &lock);
    if (inspection->is_running) {
        cli_store_pin(&inspection->store, &pin);
    }
    names_read(inspection);
    for (uint32_t i = 0; i < inspection->store.shard_count; i++) {
        cli_store_shard_path(&inspection->store, i, inspection->path);
        inspection->shard_index = i;
        int one = shard_inspect(inspection);
        code = one != CLI_OK ? one : code;
    }
    cli_store_unpin(&pin);
    sl_file_close(lock);
    return code;
}

static bool filters_take(struct inspection *inspection)
{
    const struct cli_options *options = &inspection->cli->options;
    inspection->topic = cli_value(&options->topic, NULL);
    /* With frame numbers alone all of these frames is told. */
    inspection->is_filtered =
        options->topic.count > 0 || options->partition.count > 0 || options->offsets.count > 0;
    return cli_number(&options->partition, "--partition", 0, INT32_MAX, -1,
                      &inspection->partition) &&
           cli_range(&options->offsets, "--offsets", &inspection->offsets) &&
           cli_range(&options->lsn, "--lsn", &inspection->lsns);
}

static int run(struct cli *cli, bool dump)
{
    struct inspection inspection = {.cli = cli, .dump = dump};
    if (!filters_take(&inspection)) {
        return CLI_USAGE;
    }
    cli_records_init(&inspection.records, cli);
    int code = cli_store_open(&inspection.store, cli,
                              cli->options.word_count == 1 ? cli->options.words[0] : NULL);
    code = code != CLI_OK ? code : store_inspect(&inspection);
    cli_store_close(&inspection.store);
    cli_records_fini(&inspection.records);
    return code;
}

static int wal_dump(struct cli *cli)
{
    return run(cli, true);
}
static int wal_verify(struct cli *cli)
{
    return run(cli, false);
}

/* ---- the table ---- */

/* clang-format off */
static const struct cli_command commands[] = {
    {"wal dump", wal_dump, "[DIR]", 0, 1,
     CLI_FILE_OPTIONS | CLI_OPTION(TOPIC) | CLI_OPTION(PARTITION) | CLI_OPTION(OFFSETS) | CLI_OPTION(LSN) |
         CLI_OPTION(RECORDS), "every frame and item of the write-ahead log"},
    {"wal verify", wal_verify, "[DIR]", 0, 1, CLI_FILE_OPTIONS,
     "read and check every byte of it"},
    {"wal inspect", cli_wal_inspect, "[DIR]", 0, 1, CLI_FILE_OPTIONS | CLI_TABLE_OPTIONS,
     "its segments and checkpoint, and what the next start would do"},
    {"wal salvage", cli_wal_salvage, "DIR [NEWDIR]", 1, 2, CLI_OPTION(JSON) | CLI_OPTION(HELP),
     "what a damaged data folder has lost; the rest into a new one"},
};
/* clang-format on */

const struct cli_table cli_wal_table = {
    .title = "Storage", .commands = commands, .count = SL_COUNT_OF(commands)};
