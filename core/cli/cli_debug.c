/* cli_debug.c: debug bundle: one archive with what those want to know who are asked for help; the
 * table of the debug commands. */
#include "cli/cli_debug.h"

#include "base/status.h"
#include "base/text.h"
#include "cli/cli_store.h"
#include "cli/cli_watch.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define LINES_MAX      2048 /* that a broker keeps */
#define SIZE_DEFAULT   (32u << 20)
#define SIZE_MIN       (256u << 10)
#define SIZE_MAX_BYTES (512u << 20)
#define FILE_PART      4u /* one file may have a quarter of it */
#define README_BYTES   (64u * 1024)
#define STAMP_BYTES    17u

static const char never[] =
    "Never in it: records, keys, headers, passwords and credentials of users, private keys,\n"
    "access rules, environment variables. Values of settings called password, secret, token or\n"
    "the like are left out, wherever they stand. Look through it before you send it.\n";

/* ---- what is in it ---- */

static cJSON *files_json(const struct bundle *bundle)
{
    cJSON *files = cJSON_CreateArray();
    for (uint32_t i = 0; i < bundle->file_count; i++) {
        const struct bundle_file *file = &bundle->files[i];
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "file", file->name);
        cJSON_AddBoolToObject(row, "in_it", file->is_there);
        cJSON_AddBoolToObject(row, "cut", file->is_cut);
        cJSON_AddNumberToObject(row, "bytes", (double)file->bytes);
        cJSON_AddStringToObject(row, "what", file->what);
        cJSON_AddItemToArray(files, row);
    }
    return files;
}

static void SL_PRINTF(2, 3) readme_say(struct sl_buffer *out, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    sl_err err = sl_buffer_append(out, line, SL_MIN((size_t)size, sizeof(line) - 1));
    (void)err; /* its bound is above what all files need */
}

static void readme_files_say(const struct debug *debug, bool there, struct sl_buffer *out)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < debug->bundle.file_count; i++) {
        const struct bundle_file *file = &debug->bundle.files[i];
        if (file->is_there == there) {
            count++;
            readme_say(out, "  %-28s %10zu bytes%s  %s\n", file->name, file->bytes,
                       file->is_cut ? " (cut)" : "", file->what);
        }
    }
    readme_say(out, "%s", count == 0 ? "  nothing\n" : "");
}

static void readme_add(struct debug *debug)
{
    struct sl_buffer out;
    char time[CLI_TIME_BYTES];
    sl_buffer_init(&out, README_BYTES);
    cli_time_text(debug->bundle.time_s * 1000, time);
    readme_say(&out, "Sluice debug bundle of %s\n\n", time);
    readme_say(&out, "names of topics, groups, clients and hosts: %s\n",
               !debug->redactor.hides_names
                   ? "as they are (sluice debug bundle --redact hides them)"
               : debug->redactor.is_full ? "hidden, but for some beyond the bounds"
                                         : "hidden: x- and a hash under a key of this bundle");
    readme_say(&out, "broker: %s\n\nIn it:\n", debug->is_linked ? "answered" : debug->why);
    readme_files_say(debug, true, &out);
    readme_say(&out, "\nMissing:\n");
    readme_files_say(debug, false, &out);
    readme_say(&out, "\n");
    readme_say(&out, "%s", never);
    bundle_add(&debug->bundle, "README.txt", "what is in it and what is not",
               sl_buffer_bytes(&out));
    sl_buffer_fini(&out);
}

static void answer_write(struct debug *debug, const char *path, uint64_t bytes)
{
    static const char *const columns[] = {"file", "bytes", "what"};
    const struct cli *cli = debug->cli;
    cJSON *files = files_json(&debug->bundle);
    char size[WATCH_TEXT_BYTES];
    if (cli_lines_write(cli, files)) {
        cJSON_Delete(files);
        return;
    }
    if (cli->options.json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "path", path);
        cJSON_AddNumberToObject(object, "bytes", (double)bytes);
        cJSON_AddBoolToObject(object, "broker_answered", debug->is_linked);
        cJSON_AddBoolToObject(object, "names_hidden", debug->redactor.hides_names);
        cJSON_AddItemToObject(object, "files", files);
        cli_json_write(object);
        cJSON_Delete(object);
        return;
    }
    cJSON *there = cJSON_CreateArray();
    for (cJSON *row = files->child, *next; row != NULL; row = next) {
        next = row->next;
        if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(row, "in_it"))) {
            cJSON_AddItemToArray(there, cJSON_DetachItemViaPointer(files, row));
        }
    }
    cli_table_write(cli, there, columns, SL_COUNT_OF(columns));
    for (const cJSON *row = files->child; row != NULL; row = row->next) {
        printf("not in it: %s (%s)\n", watch_text(row, "file"), watch_text(row, "what"));
    }
    printf("%s  %s\n", path, watch_bytes_text((double)bytes, size));
    cJSON_Delete(there);
    cJSON_Delete(files);
}

/* ---- making it ---- */

/* Without a complaint: a broker that is dead is what this is for. */
static void broker_find(struct debug *debug)
{
    struct cli *cli = debug->cli;
    bool was_quiet = cli->is_quiet;
    cli->is_quiet = true;
    debug->is_linked = cli_link_open(&debug->link, cli) == CLI_OK;
    debug->link.wait_ms = DEBUG_WAIT_MS;
    snprintf(debug->why, sizeof(debug->why), "no broker answers");
    if (!debug->is_linked) {
        cli->is_quiet = was_quiet;
        fputs("no broker answers: the bundle has what files and the machine tell\n", stderr);
    }
}

static void parts_collect(struct debug *debug)
{
    struct cli_progress progress;
    cli_progress_begin_count(&progress, debug->cli, "gathering", debug_part_count, "parts");
    for (size_t i = 0; i < debug_part_count; i++) {
        debug_parts[i].collect(debug, &debug_parts[i]);
        cli_progress_add(&progress, 1);
    }
    cli_progress_clear(&progress);
}

static bool size_take(const struct cli *cli, uint64_t *ret_bytes)
{
    const char *text = cli_value(cli_own(cli, "--max-size"), "32 MiB");
    if (sl_text_parse_size((struct sl_bytes){(const uint8_t *)text, strlen(text)}, ret_bytes) !=
            SLUICE_OK ||
        *ret_bytes < SIZE_MIN || *ret_bytes > SIZE_MAX_BYTES) {
        cli_complain("--max-size is \"%.40s\" but must be a size from 256 KiB to 512 MiB", text);
        return false;
    }
    return true;
}

/* "sluice-debug-20261122T133001Z" */
static void stamp_make(int64_t wall_ms, char ret_name[BUNDLE_NAME_BYTES])
{
    char time[CLI_TIME_BYTES];
    char stamp[STAMP_BYTES + 1];
    size_t size = 0;
    cli_time_text(wall_ms, time);
    for (const char *at = time; *at != '\0' && size < STAMP_BYTES; at++) {
        if (*at != '-' && *at != ':') {
            stamp[size++] = *at;
        }
    }
    stamp[size] = '\0';
    snprintf(ret_name, BUNDLE_NAME_BYTES, "sluice-debug-%s", stamp);
}

static int bundle_end(struct debug *debug, const char *path)
{
    uint64_t bytes = 0;
    readme_add(debug);
    sl_err err = bundle_write(&debug->bundle, debug->cli->os, path, &bytes);
    if (err != SLUICE_OK) {
        cli_complain("%.500s cannot be written: %s (SLU-%04d)", path, sl_status_text(err), err);
        cli_next(err == SLUICE_E_EXISTS ? "--out names another file"
                                        : "--out names a file in a folder that you may write to");
        debug->cli->explained = err;
        return CLI_IO;
    }
    answer_write(debug, path, bytes);
    return debug->is_linked ? CLI_OK : CLI_PARTLY;
}

static int debug_bundle(struct cli *cli)
{
    char name[BUNDLE_NAME_BYTES], path[BUNDLE_NAME_BYTES + 16];
    uint8_t key[16];
    uint64_t size = 0;
    int64_t lines = 0;
    int64_t now_ms = sl_os_wall_ms(cli->os);
    if (!size_take(cli, &size) ||
        !cli_number(cli_own(cli, "--lines"), "--lines", 0, LINES_MAX, LINES_MAX, &lines)) {
        return CLI_USAGE;
    }
    struct debug *debug = sl_alloc_zero(1, sizeof(*debug));
    if (debug == NULL) {
        cli_complain("out of memory");
        return CLI_FAILED;
    }
    debug->cli = cli;
    debug->lines_max = lines;
    stamp_make(now_ms, name);
    snprintf(path, sizeof(path), "%s.tar.gz", name);
    sl_os_random(cli->os, key, sizeof(key));
    redactor_init(&debug->redactor, cli_own_flag(cli, "--redact"), key);
    bundle_init(&debug->bundle, name, now_ms / 1000, size, size / FILE_PART);
    sl_buffer_init(&debug->text, size / FILE_PART);
    broker_find(debug);
    parts_collect(debug);
    int code = bundle_end(debug, cli_value(cli_own(cli, "--out"), path));
    if (debug->is_linked) {
        cli_link_close(&debug->link);
    }
    sl_buffer_fini(&debug->text);
    bundle_fini(&debug->bundle);
    redactor_fini(&debug->redactor);
    sl_free(debug);
    return code;
}

/* ---- the table ---- */

/* clang-format off */
static const struct cli_option options[] = {
    {"debug bundle", "--out", 0, "FILE", "where it goes; default sluice-debug-TIME.tar.gz, here"},
    {"debug bundle", "--redact", 0, NULL, "hide the names of topics, groups, clients and hosts"},
    {"debug bundle", "--lines", 0, "N", "so many of the last lines of the log; default 2048, all that the broker keeps"},
    {"debug bundle", "--max-size", 0, "SIZE", "of all files before they are packed; default 32 MiB"},
    {"debug connect", "--timeout", 0, "TIME", "for each answer; default 5s"},
};
static const struct cli_command commands[] = {
    {"debug bundle", debug_bundle, "", 0, 0, CLI_BROKER_OPTIONS,
     "one archive with what is asked for when you ask for help\n\n"
     "Configuration without its secrets, state, metrics, flow, plugins and what they logged, topics and\n"
     "groups, the log, summaries of the files, system and limits; no records. Without a broker it has what\n"
     "files and the machine tell (give the flags of sluice serve). README.txt in it says what is missing.\n\n"
     "Exit codes: 0 all is in it, 3 no broker answered, 74 it cannot be written."},
    {"debug connect", cli_debug_connect, "HOST:PORT", 1, 1, CLI_TABLE_OPTIONS,
     "why a Kafka client does not get through: the address, and those that the broker tells clients\n\n"
     "It connects as a client does, asks which brokers there are, and tries each of the addresses that come\n"
     "back: a client leaves the address that it was given, and goes on with those.\n\n"
     "Exit codes: 0 clients get through from here, 1 they do not, 69 nothing answers."},
};
/* clang-format on */

const struct cli_table cli_debug_table = {.title = "Checks",
                                          .commands = commands,
                                          .count = SL_COUNT_OF(commands),
                                          .options = options,
                                          .option_count = SL_COUNT_OF(options)};
