/* cli_wal.c: wal dump and verify: what the write-ahead log on disk says, without changing it.
 *
 * DIR is a data folder (its shard-N are visited in order) or one shard's folder. */
#include "cli/cli_command.h"
#include "wal/wal_inspect.h"

#include <stdlib.h>
#include <string.h>

#define SHARDS_MAX 64
#define PATH_BYTES 4200

extern char **environ;

struct inspection {
    struct cli *cli;
    bool dump;
    uint32_t shards[SHARDS_MAX];
    uint32_t shard_count;
};

static void u64_add(cJSON *object, const char *key, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    cJSON_AddStringToObject(object, key, text);
}

/* An event of the dump as a JSON line, or as text with the same words. [takes object] */
static sl_err event_write(const struct inspection *inspection, cJSON *object)
{
    const cJSON *member;
    char text[1024];
    if (inspection->cli->options.json) {
        cli_json_write(object);
    } else {
        cJSON_ArrayForEach(member, object)
        {
            bool first = member == object->child;
            printf("%s%s%s%s", first ? "" : " ", first ? "" : member->string, first ? "" : "=",
                   cli_member_text(object, member->string, text));
        }
        putchar('\n');
    }
    cJSON_Delete(object);
    return SLUICE_OK;
}

static cJSON *event_new(const char *kind)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "event", kind);
    return object;
}

static sl_err on_checkpoint(void *arg, const struct wal_checkpoint_header *checkpoint)
{
    cJSON *object = event_new("checkpoint");
    u64_add(object, "lsn", checkpoint->lsn);
    u64_add(object, "items", checkpoint->item_count);
    u64_add(object, "first_segment", checkpoint->first_segment);
    u64_add(object, "last_segment", checkpoint->last_segment);
    return event_write(arg, object);
}

static sl_err on_frame(void *arg, const struct wal_segment_header *segment, uint64_t position,
                       const struct wal_frame_header *frame)
{
    cJSON *object = event_new("frame");
    u64_add(object, "lsn", frame->lsn);
    u64_add(object, "segment", segment->seq);
    u64_add(object, "position", position);
    u64_add(object, "bytes", frame->frame_size);
    u64_add(object, "epoch", frame->epoch);
    u64_add(object, "items", frame->item_count);
    u64_add(object, "durable_lsn", frame->durable_lsn);
    u64_add(object, "time_ms", (uint64_t)frame->time_ms);
    return event_write(arg, object);
}

static sl_err on_item(void *arg, uint64_t lsn, const struct wal_item_view *item,
                      const struct wal_place *place)
{
    cJSON *object = event_new("item");
    cJSON_AddStringToObject(object, "kind", wal_item_kind_name(item->kind));
    u64_add(object, "lsn", lsn);
    u64_add(object, "payload_bytes", item->payload.size);
    u64_add(object, "body_bytes", item->body_size);
    if (place != NULL && place->size > 0) {
        u64_add(object, "body_position", place->position);
    }
    return event_write(arg, object);
}

static sl_err on_segment(void *arg, const struct wal_inspect_segment *segment)
{
    cJSON *object = event_new("segment");
    u64_add(object, "segment", segment->header->seq);
    u64_add(object, "bytes", segment->file_size);
    u64_add(object, "end_position", segment->end_position);
    u64_add(object, "last_lsn", segment->last_lsn);
    return event_write(arg, object);
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
    cJSON *object = event_new(err != SLUICE_OK ? "damaged" : "sound");
    cJSON_AddStringToObject(object, "path", path);
    u64_add(object, "segments", report.segment_count);
    u64_add(object, "frames", report.frame_count);
    u64_add(object, "items", report.item_count);
    u64_add(object, "last_lsn", report.last_lsn);
    u64_add(object, "bytes", report.bytes_scanned);
    u64_add(object, "torn_tail_bytes", report.bytes_cut);
    u64_add(object, "bodies_verified", report.bodies_verified);
    cJSON_AddBoolToObject(object, "clean", report.clean);
    (void)event_write(inspection, object);
    return err == SLUICE_OK ? CLI_OK : CLI_FAILED;
}

static void entry_take(void *arg, const char *name, bool is_directory)
{
    struct inspection *inspection = arg;
    char *end = NULL;
    if (!is_directory || strncmp(name, "shard-", 6) != 0 || inspection->shard_count == SHARDS_MAX) {
        return;
    }
    unsigned long number = strtoul(name + 6, &end, 10);
    if (end != name + 6 && *end == '\0' && number < SHARDS_MAX) {
        inspection->shards[inspection->shard_count++] = (uint32_t)number;
    }
}

/* A broker that runs would change what is read. A copy has no lock, or a free one. */
static bool is_in_use(struct cli *cli, const char *directory, struct sl_file **ret_lock)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "%.4000s/lock", directory);
    if (sl_file_open(cli->os, path, SL_FILE_WRITE, ret_lock) != SLUICE_OK) {
        return false;
    }
    return sl_file_lock(*ret_lock) == SLUICE_E_LOCKED;
}

static int shards_inspect(struct inspection *inspection, const char *directory);

/* Holds the lock while it reads. */
static int directory_inspect(struct inspection *inspection, const char *directory)
{
    struct sl_file *lock = NULL;
    int code = CLI_FAILED;
    if (is_in_use(inspection->cli, directory, &lock)) {
        cli_complain("%.200s: a broker runs on it; stop it first, or inspect a copy", directory);
    } else {
        code = shards_inspect(inspection, directory);
    }
    sl_file_close(lock);
    return code;
}

static int shards_inspect(struct inspection *inspection, const char *directory)
{
    char path[PATH_BYTES];
    int code = CLI_OK;
    if (sl_dir_list(inspection->cli->os, directory, entry_take, inspection) != SLUICE_OK) {
        cli_complain("%.200s: the folder cannot be read; name a data folder", directory);
        return CLI_FAILED;
    }
    if (inspection->shard_count == 0) {
        return shard_inspect(inspection, directory);
    }
    for (uint32_t number = 0; number < SHARDS_MAX; number++) { /* in order */
        for (uint32_t i = 0; i < inspection->shard_count; i++) {
            if (inspection->shards[i] != number) {
                continue;
            }
            snprintf(path, sizeof(path), "%.4000s/shard-%u", directory, number);
            int one = shard_inspect(inspection, path);
            code = one != CLI_OK ? one : code;
        }
    }
    return code;
}

/* The folder given, or data.dir as `serve` with the same flags would have it. */
static int run(struct cli *cli, bool dump)
{
    struct inspection inspection = {.cli = cli, .dump = dump};
    struct config_sources sources = {.dev = cli->options.dev,
                                     .home = cli_value(&cli->options.home, NULL),
                                     .environment = (const char *const *)environ};
    struct config_report report = {.count = 0};
    struct sl_config *config = NULL;
    if (cli->options.word_count == 1) {
        return directory_inspect(&inspection, cli->options.words[0]);
    }
    for (uint32_t i = 0; i < cli->options.config.count && i < CONFIG_FILES_MAX; i++) {
        sources.files[sources.file_count++] = cli->options.config.items[i];
    }
    if (config_load(cli->os, &sources, &report, &config) != SLUICE_OK) {
        config_report_write(&report, stderr);
        return CLI_CONFIG;
    }
    int code = directory_inspect(&inspection, config->data.dir);
    config_free(config);
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
