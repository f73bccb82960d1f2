/* cli_wal_inspect.c: wal inspect: segments and checkpoint of each shard, and what the next start
 * would do with them. Reads what recovery reads and changes nothing; beside a running broker it
 * says that one runs. */
#include "cli/cli_store.h"
#include "extent/extent_inspect.h"
#include "wal/wal_inspect.h"

#include <string.h>

#define TRIES 3u

static const char *const segment_columns[] = {"segment",  "bytes", "used",      "first_lsn",
                                              "last_lsn", "epoch", "created_ms"};

struct inspection {
    struct cli *cli;
    struct cli_store store;
    bool is_running;
    /* the shard at hand */
    cJSON *segments, *checkpoint;
    uint32_t spares;
    uint32_t extents, extents_broken, orphans;
    char extent_problem[EXTENT_PROBLEM_BYTES];
};

/* ---- events ---- */

static sl_err on_checkpoint(void *arg, const struct wal_checkpoint_header *checkpoint)
{
    struct inspection *inspection = arg;
    cJSON *object = cJSON_CreateObject();
    cli_u64_add(object, "lsn", checkpoint->lsn);
    cli_u64_add(object, "generation", checkpoint->generation);
    cli_u64_add(object, "items", checkpoint->item_count);
    cli_u64_add(object, "bytes", WAL_CHECKPOINT_HEADER + checkpoint->items_size);
    cli_u64_add(object, "first_segment", checkpoint->first_segment);
    cli_u64_add(object, "last_segment", checkpoint->last_segment);
    cli_u64_add(object, "epoch", checkpoint->epoch);
    cli_i64_add(object, "time_ms", checkpoint->time_ms);
    cJSON_Delete(inspection->checkpoint);
    inspection->checkpoint = object;
    return SLUICE_OK;
}

static sl_err on_segment(void *arg, const struct wal_inspect_segment *segment)
{
    struct inspection *inspection = arg;
    cJSON *object = cJSON_CreateObject();
    cli_u64_add(object, "segment", segment->header->seq);
    cli_u64_add(object, "bytes", segment->file_size);
    cli_u64_add(object, "used", segment->end_position);
    cli_u64_add(object, "first_lsn", segment->header->first_lsn);
    cli_u64_add(object, "last_lsn", segment->last_lsn);
    cli_u64_add(object, "epoch", segment->header->epoch);
    cli_i64_add(object, "created_ms", segment->header->created_ms);
    cJSON_AddItemToArray(inspection->segments, object);
    return SLUICE_OK;
}

static void name_seen(void *arg, const char *name, bool is_directory)
{
    struct inspection *inspection = arg;
    const char *dot = strrchr(name, '.');
    inspection->spares += !is_directory && dot != NULL && strcmp(dot, ".spare") == 0;
}

/* ---- extents, as recovery loads them ---- */

static sl_err on_outline(void *arg, const struct extent_outline *outline)
{
    const struct extent_item *item = arg;
    return outline->header.id == item->id && outline->file_size == item->file_size &&
                   outline->footer.trailer.footer_crc == item->footer_crc
               ? SLUICE_OK
               : SLUICE_E_CORRUPT;
}

static void extent_judge(struct inspection *inspection, const char *directory,
                         struct extent_item *item)
{
    static const struct extent_inspect_events events = {on_outline, NULL, NULL, NULL, NULL};
    char path[EXTENT_PATH_MAX];
    struct extent_report report;
    extent_path(path, directory, item->id);
    sl_err err = extent_inspect(inspection->cli->os, path, false, &events, item, &report);
    inspection->extents++;
    if (err == SLUICE_OK || inspection->is_running) {
        return;
    }
    if (inspection->extents_broken++ == 0) {
        snprintf(inspection->extent_problem, sizeof(inspection->extent_problem), "%s",
                 report.problem[0] != '\0' ? report.problem
                                           : "an extent is not the file that the log made live");
    }
}

static void extents_judge(struct inspection *inspection, uint32_t index, const char *shard)
{
    char directory[STORE_PATH_BYTES + 8];
    struct cli_store_log log;
    uint64_t *ids = NULL;
    size_t count = 0;
    snprintf(directory, sizeof(directory), "%s/ext", shard);
    if (strlen(directory) > EXTENT_PATH_MAX - 32) {
        return;
    }
    cli_store_log_read(&inspection->store, index, &log);
    for (uint32_t i = 0; i < log.extent_count && log.known; i++) {
        extent_judge(inspection, directory, &log.extents[i]);
    }
    sl_err err = extent_directory_ids(inspection->cli->os, directory, &ids, &count);
    for (size_t i = 0; i < count && err == SLUICE_OK && log.known; i++) {
        inspection->orphans += cli_store_log_find(&log, ids[i]) == NULL;
    }
    sl_free(ids);
    cli_store_log_free(&log);
}

/* ---- a shard ---- */

static void next_start(const struct inspection *inspection, const struct wal_recovery *report,
                       bool is_sound, char ret_text[512])
{
    const char *problem = report->problem[0] != '\0' ? report->problem : inspection->extent_problem;
    if (inspection->is_running) {
        snprintf(ret_text, 512, "nothing: a broker runs on it");
    } else if (!is_sound || inspection->extents_broken > 0) {
        snprintf(ret_text, 512, "refuses: %s", problem);
    } else if (report->segment_count == 0) {
        snprintf(ret_text, 512, "begins an empty log");
    } else if (report->bytes_cut > 0) {
        snprintf(ret_text, 512,
                 "cuts a torn tail of %llu bytes that were never acknowledged, begins epoch %u",
                 (unsigned long long)report->bytes_cut, report->epoch + 1);
    } else if (report->clean) {
        snprintf(ret_text, 512, "goes on in epoch %u after a clean end", report->epoch);
    } else {
        snprintf(ret_text, 512, "begins epoch %u after an unclean end; nothing is cut",
                 report->epoch + 1);
    }
}

static cJSON *shard_describe(struct inspection *inspection, uint32_t index, const char *path,
                             const struct wal_recovery *report, bool is_sound)
{
    char text[512];
    cJSON *object = cJSON_CreateObject();
    bool refuses = !inspection->is_running && (!is_sound || inspection->extents_broken > 0);
    next_start(inspection, report, is_sound, text);
    if (!inspection->store.is_shard) {
        cJSON_AddNumberToObject(object, "shard", inspection->store.shards[index]);
    }
    cJSON_AddStringToObject(object, "path", path);
    cJSON_AddBoolToObject(object, "running", inspection->is_running);
    cJSON_AddBoolToObject(object, "sound", !refuses);
    cJSON_AddStringToObject(object, "next_start", text);
    cli_u64_add(object, "last_lsn", report->last_lsn);
    cli_u64_add(object, "epoch", report->epoch);
    cJSON_AddBoolToObject(object, "clean", report->clean);
    cli_u64_add(object, "frames", report->frame_count);
    cli_u64_add(object, "bytes_scanned", report->bytes_scanned);
    cli_u64_add(object, "torn_tail_bytes", report->bytes_cut);
    cli_u64_add(object, "spares", inspection->spares);
    cli_u64_add(object, "extents", inspection->extents);
    cli_u64_add(object, "extents_broken", inspection->extents_broken);
    cli_u64_add(object, "orphan_extents", inspection->orphans);
    return object;
}

static void shard_write(struct inspection *inspection, cJSON *object)
{
    const struct cli *cli = inspection->cli;
    if (cli_lines_write(cli, inspection->segments)) {
        cJSON_Delete(inspection->checkpoint);
        cJSON_Delete(inspection->segments);
    } else if (cli->options.json) {
        cJSON_AddItemToObject(object, "checkpoint",
                              inspection->checkpoint != NULL ? inspection->checkpoint
                                                             : cJSON_CreateNull());
        cJSON_AddItemToObject(object, "segments", inspection->segments);
        cli_json_write(object);
    } else {
        cli_object_write(cli, object);
        if (inspection->checkpoint != NULL) {
            cJSON *line = inspection->checkpoint;
            fputs("checkpoint        ", stdout);
            cli_event_write(cli, line);
        } else {
            puts("checkpoint         none");
        }
        cli_table_write(cli, inspection->segments, segment_columns, SL_COUNT_OF(segment_columns));
        cJSON_Delete(inspection->segments);
    }
    inspection->checkpoint = inspection->segments = NULL;
    cJSON_Delete(object);
}

static int shard_inspect(struct inspection *inspection, uint32_t index)
{
    static const struct wal_inspect_events events = {on_checkpoint, NULL, NULL, on_segment};
    char path[STORE_PATH_BYTES];
    char log[STORE_PATH_BYTES + 8];
    struct wal_recovery report = {.epoch = 0};
    sl_err err = SLUICE_E_CORRUPT;
    cli_store_shard_path(&inspection->store, index, path);
    snprintf(log, sizeof(log), "%s/wal", path);
    inspection->spares = inspection->extents = 0;
    inspection->extents_broken = inspection->orphans = 0;
    inspection->extent_problem[0] = '\0';
    sl_err listed = sl_dir_list(inspection->cli->os, log, name_seen, inspection);
    for (uint32_t i = 0; i < (inspection->is_running ? TRIES : 1) && err != SLUICE_OK; i++) {
        cJSON_Delete(inspection->segments);
        cJSON_Delete(inspection->checkpoint);
        inspection->segments = cJSON_CreateArray();
        inspection->checkpoint = NULL;
        err = wal_inspect(inspection->cli->os, path, false, &events, inspection, &report);
    }
    if (listed == SLUICE_OK) {
        extents_judge(inspection, index, path);
    }
    cJSON *object = shard_describe(inspection, index, path, &report, err == SLUICE_OK);
    shard_write(inspection, object);
    return inspection->is_running || (err == SLUICE_OK && inspection->extents_broken == 0)
               ? CLI_OK
               : CLI_FAILED;
}

int cli_wal_inspect(struct cli *cli)
{
    struct inspection inspection = {.cli = cli};
    struct sl_file *lock = NULL;
    const char *directory = cli->options.word_count == 1 ? cli->options.words[0] : NULL;
    int code = cli_store_open(&inspection.store, cli, directory);
    inspection.is_running = code == CLI_OK && !cli_store_lock(&inspection.store, &lock);
    uint32_t count = code == CLI_OK ? inspection.store.shard_count : 0;
    for (uint32_t i = 0; i < count; i++) {
        int one = shard_inspect(&inspection, i);
        code = one != CLI_OK ? one : code;
    }
    sl_file_close(lock);
    cli_store_close(&inspection.store);
    return code;
}
