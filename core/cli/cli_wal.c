/* cli_wal.c: wal dump and verify: what the write-ahead log on disk says, without changing it.
 *
 * DIR is a data folder (its shard-N are visited in order) or one shard's folder. */
#include "cli/cli_store.h"
#include "wal/wal_inspect.h"

#include <string.h>

struct inspection {
    struct cli *cli;
    bool dump;
};

static sl_err on_checkpoint(void *arg, const struct wal_checkpoint_header *checkpoint)
{
    cJSON *object = cli_event_new("checkpoint");
    cli_u64_add(object, "lsn", checkpoint->lsn);
    cli_u64_add(object, "items", checkpoint->item_count);
    cli_u64_add(object, "first_segment", checkpoint->first_segment);
    cli_u64_add(object, "last_segment", checkpoint->last_segment);
    cli_event_write(((const struct inspection *)arg)->cli, object);
    return SLUICE_OK;
}

static sl_err on_frame(void *arg, const struct wal_segment_header *segment, uint64_t position,
                       const struct wal_frame_header *frame)
{
    cJSON *object = cli_event_new("frame");
    cli_u64_add(object, "lsn", frame->lsn);
    cli_u64_add(object, "segment", segment->seq);
    cli_u64_add(object, "position", position);
    cli_u64_add(object, "bytes", frame->frame_size);
    cli_u64_add(object, "epoch", frame->epoch);
    cli_u64_add(object, "items", frame->item_count);
    cli_u64_add(object, "durable_lsn", frame->durable_lsn);
    cli_u64_add(object, "time_ms", (uint64_t)frame->time_ms);
    cli_event_write(((const struct inspection *)arg)->cli, object);
    return SLUICE_OK;
}

static sl_err on_item(void *arg, uint64_t lsn, const struct wal_item_view *item,
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
    cli_event_write(((const struct inspection *)arg)->cli, object);
    return SLUICE_OK;
}

static sl_err on_segment(void *arg, const struct wal_inspect_segment *segment)
{
    cJSON *object = cli_event_new("segment");
    cli_u64_add(object, "segment", segment->header->seq);
    cli_u64_add(object, "bytes", segment->file_size);
    cli_u64_add(object, "end_position", segment->end_position);
    cli_u64_add(object, "last_lsn", segment->last_lsn);
    cli_event_write(((const struct inspection *)arg)->cli, object);
    return SLUICE_OK;
}

static const struct wal_inspect_events dump_events = {on_checkpoint, on_frame, on_item, on_segment};
static const struct wal_inspect_events no_events = {NULL, NULL, NULL, NULL};

static int shard_inspect(struct inspection *inspection, const char *path)
{
    struct wal_recovery report;
    struct cli *cli = inspection->cli;
    memset(&report, 0, sizeof(report));
    sl_err err = wal_inspect(cli->os, path, !inspection->dump,
                             inspection->dump ? &dump_events : &no_events, inspection, &report);
    if (err != SLUICE_OK) {
        cli_complain("%s: %s", path,
                     report.problem[0] != '\0' ? report.problem : "the log cannot be read");
    }
    cJSON *object = cli_event_new(err != SLUICE_OK ? "damaged" : "sound");
    cJSON_AddStringToObject(object, "path", path);
    cli_u64_add(object, "segments", report.segment_count);
    cli_u64_add(object, "frames", report.frame_count);
    cli_u64_add(object, "items", report.item_count);
    cli_u64_add(object, "last_lsn", report.last_lsn);
    cli_u64_add(object, "bytes", report.bytes_scanned);
    cli_u64_add(object, "torn_tail_bytes", report.bytes_cut);
    cli_u64_add(object, "bodies_verified", report.bodies_verified);
    cJSON_AddBoolToObject(object, "clean", report.clean);
    cli_event_write(cli, object);
    return err == SLUICE_OK ? CLI_OK : CLI_FAILED;
}

/* A broker that runs would change what is read: its lock is held meanwhile. */
static int store_inspect(struct inspection *inspection, struct cli_store *store)
{
    char path[STORE_PATH_BYTES];
    struct sl_file *lock = NULL;
    int code = CLI_OK;
    if (!cli_store_lock(store, &lock)) {
        cli_complain("%.200s: a broker runs on it; stop it first, or inspect a copy",
                     store->directory);
        sl_file_close(lock);
        return CLI_FAILED;
    }
    for (uint32_t i = 0; i < store->shard_count; i++) {
        cli_store_shard_path(store, i, path);
        int one = shard_inspect(inspection, path);
        code = one != CLI_OK ? one : code;
    }
    sl_file_close(lock);
    return code;
}

static int run(struct cli *cli, bool dump)
{
    struct inspection inspection = {.cli = cli, .dump = dump};
    struct cli_store store;
    int code =
        cli_store_open(&store, cli, cli->options.word_count == 1 ? cli->options.words[0] : NULL);
    code = code != CLI_OK ? code : store_inspect(&inspection, &store);
    cli_store_close(&store);
    return code;
}

int cli_wal_dump(struct cli *cli)
{
    return run(cli, true);
}
int cli_wal_verify(struct cli *cli)
{
    return run(cli, false);
}
