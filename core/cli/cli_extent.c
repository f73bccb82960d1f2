/* cli_extent.c: extent ls, dump and verify: what the files behind the log hold, without changing
 * them.
 *
 * Each word is a data folder, a shard's folder, or one extent file; without words data.dir. The
 * log of the shard says which extents are live; a file that it does not name is an orphan (half
 * written, or dropped), which the next start removes. No lock is taken: live extents never change,
 * so the commands also work beside a running broker. What seems wrong is looked at again in a log
 * that is read again, because an extent may have been dropped meanwhile. */
#include "cli/cli_store.h"
#include "extent/extent_inspect.h"

#include <stdlib.h>
#include <string.h>

#define LS_STREAMS_SHOWN 3u
#define TEXT_BYTES       700u

enum visit_mode { VISIT_LS, VISIT_DUMP, VISIT_VERIFY };

struct extent_visit {
    struct cli *cli;
    enum visit_mode mode;
    struct cli_store store;
    uint32_t shard_index;     /* of the store */
    struct cli_store_log log; /* of that shard */
    struct cli_progress progress;
    cJSON *rows; /* of ls */
    /* the file at hand */
    uint64_t id;
    const char *path;
    const struct extent_item *item; /* NULL: the log does not name it */
    const char *state;
    char problem[EXTENT_PROBLEM_BYTES];
    cJSON *row;
    cJSON *streams;
    /* all files */
    uint32_t sound, orphans, broken;
    uint64_t batches, bytes;
    bool partly; /* a log could not be read */
};

static const char *const ls_columns[] = {"extent",  "shard",   "bytes", "streams",
                                         "created", "records", "state"};

/* ---- events of one file ---- */

static sl_err mismatch(struct extent_visit *visit, const char *what)
{
    snprintf(visit->problem, sizeof(visit->problem), "%s %s; restore it from a backup",
             extent_path_shown(visit->path), what);
    return SLUICE_E_CORRUPT;
}

/* What recovery compares: the name, and the item that made the file live. */
static sl_err outline_check(struct extent_visit *visit, const struct extent_outline *outline)
{
    const struct extent_item *item = visit->item;
    const struct extent_trailer *trailer = &outline->footer.trailer;
    if (outline->header.id != visit->id) {
        return mismatch(visit, "is another extent under this name");
    }
    if (visit->store.catalog != NULL && !visit->store.is_shard &&
        outline->header.shard != visit->store.shards[visit->shard_index]) {
        return mismatch(visit, "belongs to another shard");
    }
    if (item != NULL &&
        (item->file_size != outline->file_size || item->footer_crc != trailer->footer_crc ||
         item->stream_count != trailer->stream_count || item->block_count != trailer->block_count ||
         item->created_ms != outline->header.created_ms)) {
        return mismatch(visit, "is not the file that the log made live");
    }
    return SLUICE_OK;
}

static sl_err on_outline(void *arg, const struct extent_outline *outline)
{
    struct extent_visit *visit = arg;
    char cluster[23];
    if (visit->mode != VISIT_DUMP) {
        cli_u64_add(visit->row, "bytes", outline->file_size);
        cli_u64_add(visit->row, "blocks", outline->footer.trailer.block_count);
        cli_i64_add(visit->row, "created_ms", outline->header.created_ms);
        return outline_check(visit, outline);
    }
    sl_uuid_text(&outline->header.cluster, cluster);
    cJSON *object = cli_event_new("extent");
    cli_u64_add(object, "extent", outline->header.id);
    cJSON_AddStringToObject(object, "path", visit->path);
    cJSON_AddStringToObject(object, "state", visit->state);
    cJSON_AddStringToObject(object, "cluster", cluster);
    cli_u64_add(object, "shard", outline->header.shard);
    cli_u64_add(object, "bytes", outline->file_size);
    cli_u64_add(object, "streams", outline->footer.trailer.stream_count);
    cli_u64_add(object, "blocks", outline->footer.trailer.block_count);
    cli_u64_add(object, "footer_position", outline->footer.trailer.footer_position);
    cli_i64_add(object, "created_ms", outline->header.created_ms);
    cli_event_write(visit->cli, object);
    return outline_check(visit, outline);
}

static void stream_describe(const struct extent_visit *visit, cJSON *object,
                            const struct extent_stream *stream)
{
    char text[STORE_NAME_BYTES];
    if (visit->store.catalog != NULL) {
        cJSON_AddStringToObject(object, "topic",
                                cli_store_topic(&visit->store, &stream->topic, text));
    }
    sl_uuid_text(&stream->topic, text);
    cJSON_AddStringToObject(object, "topic_id", text);
    cli_u64_add(object, "partition", stream->partition);
    cli_i64_add(object, "base_offset", stream->base_offset);
    cli_i64_add(object, "last_offset", stream->last_offset);
}

static sl_err on_stream(void *arg, const struct extent_stream *stream)
{
    struct extent_visit *visit = arg;
    if (visit->mode == VISIT_VERIFY) {
        return SLUICE_OK;
    }
    cJSON *object = visit->mode == VISIT_DUMP ? cli_event_new("stream") : cJSON_CreateObject();
    stream_describe(visit, object, stream);
    cli_i64_add(object, "max_timestamp", stream->max_timestamp);
    cli_u64_add(object, "blocks", stream->block_count);
    cli_u64_add(object, "position", stream->position);
    cli_u64_add(object, "bytes", stream->bytes);
    if (visit->mode == VISIT_DUMP) {
        cli_event_write(visit->cli, object);
    } else {
        cJSON_AddItemToArray(visit->streams, object);
    }
    return SLUICE_OK;
}

static sl_err on_block(void *arg, const struct extent_stream *stream,
                       const struct extent_block *block)
{
    struct extent_visit *visit = arg;
    (void)stream;
    if (visit->mode == VISIT_VERIFY) {
        cli_progress_add(&visit->progress, block->size);
    }
    if (visit->mode != VISIT_DUMP) {
        return SLUICE_OK;
    }
    cJSON *object = cli_event_new("block");
    cli_i64_add(object, "base_offset", block->base_offset);
    cli_i64_add(object, "last_offset", block->last_offset);
    cli_i64_add(object, "max_timestamp", block->max_timestamp);
    cli_u64_add(object, "position", block->position);
    cli_u64_add(object, "bytes", block->size);
    cli_i64_add(object, "leader_epoch", block->leader_epoch);
    cli_event_write(visit->cli, object);
    return SLUICE_OK;
}

static sl_err on_batch(void *arg, const struct extent_stream *stream, uint64_t position,
                       const struct batch_view *batch)
{
    struct extent_visit *visit = arg;
    (void)stream;
    if (visit->mode != VISIT_DUMP) {
        return SLUICE_OK;
    }
    cJSON *object = cli_event_new("batch");
    cli_i64_add(object, "base_offset", batch_view_base_offset(batch));
    cli_i64_add(object, "last_offset", batch_view_last_offset(batch));
    cli_u64_add(object, "position", position);
    cli_u64_add(object, "bytes", batch->size);
    cli_event_write(visit->cli, object);
    return SLUICE_OK;
}

static sl_err on_damage(void *arg, const struct extent_stream *stream,
                        const struct extent_block *block)
{
    struct extent_visit *visit = arg;
    cJSON *object = cli_event_new("damage");
    cli_progress_clear(&visit->progress);
    cJSON_AddStringToObject(object, "path", visit->path);
    stream_describe(visit, object, stream);
    cli_i64_add(object, "block_base_offset", block->base_offset);
    cli_i64_add(object, "block_last_offset", block->last_offset);
    cli_u64_add(object, "position", block->position);
    cli_u64_add(object, "bytes", block->size);
    cli_event_write(visit->cli, object);
    return SLUICE_OK;
}

/* ---- one file ---- */

/* Whether what seems wrong is so: an extent may be dropped, and its file removed, meanwhile. */
static bool is_still_live(struct extent_visit *visit)
{
    if (visit->item == NULL) {
        return true;
    }
    struct cli_store_log log;
    cli_store_log_read(&visit->store, visit->shard_index, &log);
    bool live = !log.known || cli_store_log_find(&log, visit->id) != NULL;
    cli_store_log_free(&log);
    return live;
}

static void row_begin(struct extent_visit *visit)
{
    visit->row = cJSON_CreateObject();
    visit->streams = cJSON_CreateArray();
    cli_u64_add(visit->row, "extent", visit->id);
    cJSON_AddStringToObject(visit->row, "path", visit->path);
    if (visit->store.catalog != NULL && !visit->store.is_shard) {
        cJSON_AddNumberToObject(visit->row, "shard", visit->store.shards[visit->shard_index]);
    }
}

static void verdict_write(struct extent_visit *visit, const struct extent_report *report)
{
    cJSON *object = cli_event_new(visit->state);
    cli_progress_clear(&visit->progress);
    cli_u64_add(object, "extent", visit->id);
    cJSON_AddStringToObject(object, "path", visit->path);
    cli_u64_add(object, "bytes", report->file_size);
    cli_u64_add(object, "streams", report->stream_count);
    cli_u64_add(object, "blocks", report->block_count);
    cli_u64_add(object, "damaged_blocks", report->damaged_blocks);
    cli_u64_add(object, "batches", report->batch_count);
    if (visit->problem[0] != '\0' && visit->cli->options.json) {
        cJSON_AddStringToObject(object, "problem", visit->problem);
    }
    cli_event_write(visit->cli, object);
}

static void row_end(struct extent_visit *visit)
{
    if (visit->mode == VISIT_LS) {
        cJSON_AddStringToObject(visit->row, "state", visit->state);
        if (visit->problem[0] != '\0') {
            cJSON_AddStringToObject(visit->row, "problem", visit->problem);
        }
        cJSON_AddItemToObject(visit->row, "streams", visit->streams);
        cJSON_AddItemToArray(visit->rows, visit->row);
    } else {
        cJSON_Delete(visit->row);
        cJSON_Delete(visit->streams);
    }
    visit->row = visit->streams = NULL;
}

/* state: what the log says of it */
static void file_visit(struct extent_visit *visit, uint64_t id, const char *path,
                       const struct extent_item *item, const char *state)
{
    static const struct extent_inspect_events events = {on_outline, on_stream, on_block, on_batch,
                                                        on_damage};
    struct extent_report report;
    bool is_orphan = strcmp(state, "orphan") == 0;
    visit->id = id;
    visit->path = path;
    visit->item = item;
    visit->state = state;
    visit->problem[0] = '\0';
    row_begin(visit);
    sl_err err = extent_inspect(visit->cli->os, path, visit->mode != VISIT_LS && !is_orphan,
                                &events, visit, &report);
    if (err != SLUICE_OK && visit->problem[0] == '\0') {
        snprintf(visit->problem, sizeof(visit->problem), "%s", report.problem);
    }
    if (err != SLUICE_OK && !is_orphan && is_still_live(visit)) {
        visit->state = err == SLUICE_E_NOT_FOUND ? "missing" : "damaged";
        cli_progress_clear(&visit->progress);
        cli_complain("%s", visit->problem);
        visit->broken++;
    } else if (err != SLUICE_OK || is_orphan) {
        visit->state = "orphan";
        visit->problem[0] = '\0';
        visit->orphans++;
    } else {
        visit->sound++;
    }
    visit->batches += report.batch_count;
    visit->bytes += report.bytes_read;
    if (visit->mode == VISIT_VERIFY) {
        visit->state = strcmp(visit->state, "live") == 0 || strcmp(visit->state, "unknown") == 0
                           ? "sound"
                           : visit->state;
        verdict_write(visit, &report);
    }
    row_end(visit);
}

/* ---- a shard, a folder ---- */

static void log_open(struct extent_visit *visit, const char *shard_path)
{
    cli_store_log_read(&visit->store, visit->shard_index, &visit->log);
    if (!visit->log.known) {
        cli_complain("%.200s: the log cannot be read, so which extents are live is not known: %s",
                     shard_path, visit->log.report.problem);
        visit->partly = true;
    }
}

static void progress_plan(struct extent_visit *visit)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < visit->log.extent_count; i++) {
        total += visit->log.extents[i].bytes;
    }
    cli_progress_begin(&visit->progress, visit->cli, "verifying extents",
                       visit->mode == VISIT_VERIFY ? total : 0);
}

static void shard_visit(struct extent_visit *visit, uint32_t index)
{
    char shard[STORE_PATH_BYTES];
    char directory[STORE_PATH_BYTES + 8];
    char path[EXTENT_PATH_MAX];
    uint64_t *ids = NULL;
    size_t count = 0;
    visit->shard_index = index;
    cli_store_shard_path(&visit->store, index, shard);
    snprintf(directory, sizeof(directory), "%s/ext", shard);
    if (strlen(directory) > EXTENT_PATH_MAX - 32) {
        cli_complain("%.200s: the name of the folder is too long", directory);
        visit->partly = true;
        return;
    }
    log_open(visit, shard);
    progress_plan(visit);
    sl_err err = extent_directory_ids(visit->cli->os, directory, &ids, &count);
    if (err != SLUICE_OK && err != SLUICE_E_NOT_FOUND) {
        cli_complain("%.200s: the folder cannot be read", directory);
        visit->partly = true;
    }
    for (size_t i = 0; i < count; i++) {
        const struct extent_item *item = cli_store_log_find(&visit->log, ids[i]);
        extent_path(path, directory, ids[i]);
        file_visit(visit, ids[i], path, item,
                   item != NULL       ? "live"
                   : visit->log.known ? "orphan"
                                      : "unknown");
    }
    for (uint32_t i = 0; i < visit->log.extent_count; i++) {
        bool found = false;
        for (size_t j = 0; j < count && !found; j++) {
            found = ids[j] == visit->log.extents[i].id;
        }
        if (!found) { /* also one that was made since the folder was read */
            extent_path(path, directory, visit->log.extents[i].id);
            file_visit(visit, visit->log.extents[i].id, path, &visit->log.extents[i], "live");
        }
    }
    cli_progress_clear(&visit->progress);
    sl_free(ids);
    cli_store_log_free(&visit->log);
}

static int store_visit(struct extent_visit *visit, const char *directory)
{
    int code = cli_store_open(&visit->store, visit->cli, directory);
    /* Names first: shard 0 has them, and holds for all. */
    for (uint32_t i = 0; i < visit->store.shard_count && code == CLI_OK; i++) {
        shard_visit(visit, i);
    }
    cli_store_close(&visit->store);
    return code;
}

static int word_visit(struct extent_visit *visit, const char *word)
{
    const char *slash = strrchr(word, '/');
    uint64_t id = extent_name_id(slash != NULL ? slash + 1 : word);
    if (id == 0 || strlen(word) > EXTENT_PATH_MAX - 32) {
        return store_visit(visit, word);
    }
    memset(&visit->store, 0, sizeof(visit->store));
    cli_progress_begin(&visit->progress, visit->cli, "", 0);
    file_visit(visit, id, word, NULL, "unknown");
    return CLI_OK;
}

/* ---- ls as text ---- */

static void created_text(const cJSON *row, char ret_text[CLI_TIME_BYTES])
{
    char text[1024];
    ret_text[0] = '\0';
    if (cJSON_HasObjectItem(row, "created_ms")) {
        cli_time_text(atoll(cli_member_text(row, "created_ms", text)), ret_text);
    }
}

static void records_text(const cJSON *streams, char ret_text[TEXT_BYTES])
{
    const cJSON *stream;
    size_t at = 0;
    uint32_t shown = 0;
    uint32_t count = (uint32_t)cJSON_GetArraySize(streams);
    ret_text[0] = '\0';
    cJSON_ArrayForEach(stream, streams)
    {
        char topic[1024];
        char partition[1024];
        char base[1024];
        char last[1024];
        const char *member = cJSON_HasObjectItem(stream, "topic") ? "topic" : "topic_id";
        if (shown++ == LS_STREAMS_SHOWN) {
            break;
        }
        int size = snprintf(ret_text + at, TEXT_BYTES - at, "%s%.100s/%.12s %.20s-%.20s",
                            at == 0 ? "" : ", ", cli_member_text(stream, member, topic),
                            cli_member_text(stream, "partition", partition),
                            cli_member_text(stream, "base_offset", base),
                            cli_member_text(stream, "last_offset", last));
        at += (size_t)size;
    }
    if (count > LS_STREAMS_SHOWN) {
        snprintf(ret_text + at, TEXT_BYTES - at, ", and %u more", count - LS_STREAMS_SHOWN);
    }
}

/* The last column is not padded, so that it may have a colour. */
static void state_text(const struct cli *cli, const char *state, char ret_text[48])
{
    const char *colour = strcmp(state, "live") == 0                                       ? "32"
                         : strcmp(state, "damaged") == 0 || strcmp(state, "missing") == 0 ? "31"
                                                                                          : "33";
    if (cli->colour) {
        snprintf(ret_text, 48, "\x1b[%sm%s\x1b[0m", colour, state);
    } else {
        snprintf(ret_text, 48, "%s", state);
    }
}

static void ls_write(const struct extent_visit *visit)
{
    cJSON *table = cJSON_CreateArray();
    const cJSON *row;
    cJSON_ArrayForEach(row, visit->rows)
    {
        char text[1024];
        char records[TEXT_BYTES];
        char small[48];
        cJSON *line = cJSON_CreateObject();
        const cJSON *streams = cJSON_GetObjectItemCaseSensitive(row, "streams");
        cJSON_AddStringToObject(line, "extent", cli_member_text(row, "extent", text));
        cJSON_AddStringToObject(line, "shard", cli_member_text(row, "shard", text));
        cJSON_AddStringToObject(line, "bytes", cli_member_text(row, "bytes", text));
        cJSON_AddNumberToObject(line, "streams", cJSON_GetArraySize(streams));
        created_text(row, small);
        cJSON_AddStringToObject(line, "created", small);
        records_text(streams, records);
        cJSON_AddStringToObject(line, "records", records);
        state_text(visit->cli, cli_member_text(row, "state", text), small);
        cJSON_AddStringToObject(line, "state", small);
        cJSON_AddItemToArray(table, line);
    }
    cli_table_write(visit->cli, table, ls_columns, SL_COUNT_OF(ls_columns));
    cJSON_Delete(table);
}

/* ---- the commands ---- */

static void summary_write(const struct extent_visit *visit)
{
    cJSON *object = cli_event_new(visit->broken > 0 ? "damaged" : "sound");
    cJSON_AddBoolToObject(object, "all", true);
    cli_u64_add(object, "sound", visit->sound);
    cli_u64_add(object, "broken", visit->broken);
    cli_u64_add(object, "orphans", visit->orphans);
    cli_u64_add(object, "batches", visit->batches);
    cli_u64_add(object, "bytes", visit->bytes);
    cli_event_write(visit->cli, object);
}

static int run(struct cli *cli, enum visit_mode mode)
{
    struct extent_visit visit = {.cli = cli, .mode = mode, .rows = cJSON_CreateArray()};
    int code = cli->options.word_count == 0 ? store_visit(&visit, NULL) : CLI_OK;
    for (uint32_t i = 0; i < cli->options.word_count && code == CLI_OK; i++) {
        code = word_visit(&visit, cli->options.words[i]);
    }
    if (mode == VISIT_LS && cli->options.json && code == CLI_OK) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddItemReferenceToObject(object, "extents", visit.rows);
        cli_json_write(object);
        cJSON_Delete(object);
    } else if (mode == VISIT_LS && code == CLI_OK) {
        ls_write(&visit);
    } else if (mode == VISIT_VERIFY && code == CLI_OK) {
        summary_write(&visit);
    }
    cJSON_Delete(visit.rows);
    return code != CLI_OK     ? code
           : visit.broken > 0 ? CLI_FAILED
           : visit.partly     ? CLI_PARTLY
                              : CLI_OK;
}

static int extent_ls(struct cli *cli)
{
    return run(cli, VISIT_LS);
}
static int extent_dump(struct cli *cli)
{
    return run(cli, VISIT_DUMP);
}
static int extent_verify(struct cli *cli)
{
    return run(cli, VISIT_VERIFY);
}

/* ---- the table ---- */

/* clang-format off */
static const struct cli_command commands[] = {
    {"extent ls", extent_ls, "[DIR|FILE...]", 0, CLI_WORDS_MAX, CLI_FILE_OPTIONS | CLI_TABLE_OPTIONS,
     "files of sealed records: live or not, and which records"},
    {"extent dump", extent_dump, "[DIR|FILE...]", 0, CLI_WORDS_MAX, CLI_FILE_OPTIONS,
     "their streams, blocks and batches"},
    {"extent verify", extent_verify, "[DIR|FILE...]", 0, CLI_WORDS_MAX, CLI_FILE_OPTIONS,
     "read and check every byte of the live ones"},
};
/* clang-format on */

const struct cli_table cli_extent_table = {
    .title = "Storage", .commands = commands, .count = SL_COUNT_OF(commands)};
