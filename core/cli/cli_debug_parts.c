/* cli_debug_parts.c: the parts of a debug bundle, in the order in which they are gathered: first
 * what names topics, groups and secrets, so that what comes later can hide them.
 *
 * What the broker knows is asked over the admin socket, each answer within DEBUG_WAIT_MS; the first
 * that does not come ends that, and the rest is told as missing. What lies in files is read by this
 * program's own commands in a process of their own: damaged files cannot harm the bundle. */
#include "cli/cli_debug.h"

#include "cli/cli_store.h"
#include "cli/cli_table.h"
#include "cli/cli_watch.h"
#include "os/os_child.h"

#include <stdlib.h>
#include <string.h>

#define POLL_MS    20
#define SAMPLE_MS  1000
#define LOG_EACH   500
#define PROC_BYTES 65536u
#define LINE_BYTES (256u * 1024)

/* ---- what goes in ---- */

/* Text as it is, but for what must not be told. */
static void add_text(struct debug *debug, const char *name, const char *what, struct sl_bytes text)
{
    struct sl_buffer out;
    sl_buffer_init(&out, 2 * text.size + LINE_BYTES);
    sl_err err = redactor_text(&debug->redactor, text, &out);
    if (err == SLUICE_OK) {
        bundle_add(&debug->bundle, name, what, sl_buffer_bytes(&out));
    } else {
        bundle_miss(&debug->bundle, name, "there was no memory for it");
    }
    sl_buffer_fini(&out);
}

/* [takes json] */
static void add_json(struct debug *debug, const char *name, const char *what, cJSON *json)
{
    redactor_secrets_hide(&debug->redactor, json);
    redactor_names_find(&debug->redactor, json);
    char *text = redactor_json(&debug->redactor, json) ? cJSON_Print(json) : NULL;
    if (text != NULL) {
        size_t size = strlen(text);
        text[size] = '\n'; /* in place of the NUL */
        bundle_add(&debug->bundle, name, what, (struct sl_bytes){(uint8_t *)text, size + 1});
    } else {
        bundle_miss(&debug->bundle, name, "there was no memory for it");
    }
    free(text);
    cJSON_Delete(json);
}

/* The result, to be deleted; NULL: the broker refused, or answers no more. [takes args] */
static cJSON *ask(struct debug *debug, const char *command, cJSON *args)
{
    cJSON *reply = NULL;
    if (!debug->is_linked) {
        cJSON_Delete(args);
        return NULL;
    }
    int code = cli_ask(&debug->link, command, args, &reply);
    cJSON *result =
        code == CLI_OK ? cJSON_DetachItemFromObjectCaseSensitive(reply, "result") : NULL;
    if (code == CLI_UNREACHABLE) {
        debug->is_linked = false; /* its answer could come when another is waited for */
        snprintf(debug->why, sizeof(debug->why), "the broker did not answer \"%s\" within %d s",
                 command, DEBUG_WAIT_MS / 1000);
        cli_link_close(&debug->link);
    } else if (code != CLI_OK) {
        const char *message;
        (void)cli_reply_error(reply, &message);
        snprintf(debug->why, sizeof(debug->why), "%.200s", message);
    }
    cJSON_Delete(reply);
    return result;
}

static void collect_call(struct debug *debug, const struct debug_part *part)
{
    cJSON *result = ask(debug, part->arg, NULL);
    if (result != NULL) {
        add_json(debug, part->name, part->what, result);
    } else {
        bundle_miss(&debug->bundle, part->name, debug->why);
    }
}

static cJSON *args_of(const char *name, const char *value)
{
    cJSON *args = cJSON_CreateObject();
    cJSON_AddStringToObject(args, name, value);
    return args;
}

/* ---- this program and the machine ---- */

static void collect_version(struct debug *debug, const struct debug_part *part)
{
    add_json(debug, part->name, part->what, cli_version_json());
}

static void append(struct debug *debug, const char *text, size_t size)
{
    sl_err err = sl_buffer_append(&debug->text, text, size);
    (void)err; /* at its bound the rest is left out */
}

/* "==> path <==" and what is in it. */
static void append_file(struct debug *debug, const char *path)
{
    static uint8_t bytes[PROC_BYTES];
    struct sl_file *file = NULL;
    size_t size = 0;
    char head[512];
    sl_err err = sl_file_open(debug->cli->os, path, SL_FILE_READ, &file);
    err = err != SLUICE_OK ? err : sl_file_pread(file, bytes, sizeof(bytes), 0, &size);
    sl_file_close(file);
    int count = snprintf(head, sizeof(head), "==> %.400s <==\n%s", path,
                         err != SLUICE_OK ? "(cannot be read)\n" : "");
    append(debug, head, (size_t)count);
    append(debug, (const char *)bytes, err == SLUICE_OK ? size : 0);
    append(debug, "\n", 1);
}

static void collect_host(struct debug *debug, const struct debug_part *part)
{
    static const char *const paths[] = {
        "/etc/os-release",
        "/proc/version",
        "/proc/uptime",
        "/proc/loadavg",
        "/proc/meminfo",
        "/proc/pressure/cpu",
        "/proc/pressure/io",
        "/proc/pressure/memory",
        "/proc/sys/fs/file-nr",
        "/proc/sys/net/core/somaxconn",
        "/proc/sys/vm/max_map_count",
        "/proc/sys/vm/overcommit_memory",
        "/proc/sys/kernel/seccomp/actions_avail",
        "/proc/sys/user/max_user_namespaces",
        "/sys/kernel/security/lsm",
        "/sys/fs/cgroup/cgroup.controllers",
        "/proc/cpuinfo",
    };
    static const char *const of_broker[] = {"limits", "status", "cgroup", "io"};
    char path[64];
    sl_buffer_reset(&debug->text);
    for (size_t i = 0; i < SL_COUNT_OF(of_broker) && debug->broker_pid > 0; i++) {
        snprintf(path, sizeof(path), "/proc/%lld/%s", (long long)debug->broker_pid, of_broker[i]);
        append_file(debug, path);
    }
    for (size_t i = 0; i < SL_COUNT_OF(paths); i++) {
        append_file(debug, paths[i]);
    }
    add_text(debug, part->name, part->what, sl_buffer_bytes(&debug->text));
}

/* ---- configuration ---- */

static void data_dir_take(struct debug *debug, const cJSON *config)
{
    const cJSON *entry = cJSON_GetObjectItemCaseSensitive(config, "data.dir");
    const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "value"));
    bool is_disk = value != NULL && strcmp(value, "none") != 0;
    snprintf(debug->data_dir, sizeof(debug->data_dir), "%s", is_disk ? value : "");
}

/* As it is in force; without a broker as files and environment have it. */
static void collect_config(struct debug *debug, const struct debug_part *part)
{
    struct sl_config *config = NULL;
    cJSON *json = ask(debug, "config.show", NULL);
    const char *what = part->what;
    if (json == NULL && cli_config_load(debug->cli, &config) == CLI_OK) {
        json = config_show_json(config);
        what = "the configuration as sluice serve with these flags would have it";
        config_free(config);
    }
    if (json == NULL) {
        bundle_miss(&debug->bundle, part->name, "neither a broker answers nor do files hold one");
        return;
    }
    data_dir_take(debug, json);
    add_json(debug, part->name, what, json);
}

static void collect_status(struct debug *debug, const struct debug_part *part)
{
    cJSON *status = ask(debug, "status", NULL);
    if (status == NULL) {
        bundle_miss(&debug->bundle, part->name, debug->why);
        return;
    }
    debug->broker_pid = watch_int(status, "pid", 0);
    cJSON *recovery = cJSON_DetachItemFromObjectCaseSensitive(status, "recovery");
    if (recovery != NULL) {
        add_json(debug, "recovery.json", "what the last start found and mended", recovery);
    }
    add_json(debug, part->name, part->what, status);
}

/* ---- topics, groups, plugins ---- */

/* A command that lists what has names, and the one that describes it by its name. */
struct listed {
    const char *list, *rows, *name; /* the array in its answer, and what the name is called there */
    const char *describe, *argument;
    int max; /* of which are described */
};
static const struct listed listed_topics = {"topic.list",     "topics", "name",
                                            "topic.describe", "topic",  DEBUG_TOPICS_MAX};
static const struct listed listed_groups = {"group.list",     "groups", "group",
                                            "group.describe", "group",  DEBUG_GROUPS_MAX};
static const struct listed listed_plugins = {"plugin.list", "plugins", "name",
                                             "plugin.info", "name",    DEBUG_PLUGINS_MAX};

/* {"topics": […], "described": […]}: all of them, and what describes the first ones. */
static cJSON *list_described(struct debug *debug, const struct listed *listed)
{
    const cJSON *row;
    cJSON *result = ask(debug, listed->list, NULL);
    if (result == NULL) {
        return NULL;
    }
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(result, listed->rows);
    cJSON *described = cJSON_AddArrayToObject(result, "described");
    cJSON_ArrayForEach(row, rows)
    {
        const char *name = watch_text(row, listed->name);
        redactor_name_add(&debug->redactor, name);
        if (cJSON_GetArraySize(described) < listed->max) {
            cJSON *one = ask(debug, listed->describe, args_of(listed->argument, name));
            cJSON_AddItemToArray(described, one != NULL ? one : cJSON_CreateNull());
        }
    }
    cJSON_AddNumberToObject(result, "not_described",
                            cJSON_GetArraySize(rows) - cJSON_GetArraySize(described));
    return result;
}

static void add_described(struct debug *debug, const struct debug_part *part,
                          const struct listed *listed)
{
    cJSON *described = list_described(debug, listed);
    if (described != NULL) {
        add_json(debug, part->name, part->what, described);
    } else {
        bundle_miss(&debug->bundle, part->name, debug->why);
    }
}

static void collect_topics(struct debug *debug, const struct debug_part *part)
{
    add_described(debug, part, &listed_topics);
}

static void collect_groups(struct debug *debug, const struct debug_part *part)
{
    add_described(debug, part, &listed_groups);
}

/* "2026-11-22T13:30:01Z info component text" */
static void append_line(struct debug *debug, const cJSON *line)
{
    char time[CLI_TIME_BYTES];
    static const char *const members[] = {"level", "component", "text"};
    cli_time_text(watch_int(line, "time_ms", 0), time);
    append(debug, time, strlen(time));
    for (size_t i = 0; i < SL_COUNT_OF(members); i++) {
        const char *text = watch_text(line, members[i]);
        append(debug, " ", text[0] != '\0');
        append(debug, text, strlen(text));
    }
    append(debug, "\n", 1);
}

static void append_lines(struct debug *debug, const cJSON *result)
{
    const cJSON *line;
    cJSON_ArrayForEach(line, cJSON_GetObjectItemCaseSensitive(result, "lines"))
    {
        append_line(debug, line);
    }
}

static void plugin_log_add(struct debug *debug, const char *plugin)
{
    char name[BUNDLE_NAME_BYTES];
    cJSON *lines = ask(debug, "plugin.logs", args_of("name", plugin));
    sl_buffer_reset(&debug->text);
    append_lines(debug, lines);
    snprintf(name, sizeof(name), "plugins/%.40s.log", plugin);
    for (char *at = name + strlen("plugins/"); *at != '\0'; at++) {
        *at = *at == '/' ? '_' : *at;
    }
    if (debug->text.size > 0) {
        add_text(debug, name, "what it logged", sl_buffer_bytes(&debug->text));
    }
    cJSON_Delete(lines);
}

static void collect_plugins(struct debug *debug, const struct debug_part *part)
{
    const cJSON *plugin;
    uint32_t count = 0;
    cJSON *plugins = list_described(debug, &listed_plugins);
    if (plugins == NULL) {
        bundle_miss(&debug->bundle, part->name, debug->why);
        return;
    }
    cJSON *names = cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(plugins, "plugins"), true);
    add_json(debug, part->name, part->what, plugins);
    cJSON_ArrayForEach(plugin, names)
    {
        if (count++ < DEBUG_PLUGINS_MAX) {
            plugin_log_add(debug, watch_text(plugin, "name"));
        }
    }
    cJSON_Delete(names);
}

/* ---- what goes on ---- */

/* Two samples, so that there are rates and not only sums; what waits is in both. */
static void collect_flow(struct debug *debug, const struct debug_part *part)
{
    cJSON *first = ask(debug, "flow", NULL);
    if (first == NULL) {
        bundle_miss(&debug->bundle, part->name, debug->why);
        return;
    }
    sl_sleep_ms(SAMPLE_MS);
    cJSON *second = ask(debug, "flow", NULL);
    cJSON *both = cJSON_CreateObject();
    cJSON_AddItemToObject(both, "first", first);
    cJSON_AddItemToObject(both, "second", second != NULL ? second : cJSON_CreateNull());
    add_json(debug, part->name, part->what, both);
}

static void collect_metrics(struct debug *debug, const struct debug_part *part)
{
    cJSON *result = ask(debug, "metrics", NULL);
    if (result == NULL) {
        bundle_miss(&debug->bundle, part->name, debug->why);
        return;
    }
    const char *text = watch_text(result, "text");
    add_text(debug, part->name, part->what, (struct sl_bytes){(const uint8_t *)text, strlen(text)});
    cJSON_Delete(result);
}

/* The last lines_max of those that the broker keeps. */
static void collect_log(struct debug *debug, const struct debug_part *part)
{
    char next[32] = "0";
    bool more = true;
    cJSON *all = cJSON_CreateArray();
    while (more && debug->is_linked) {
        const cJSON *line;
        cJSON *result = ask(debug, "log", args_of("after", next));
        more = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(result, "more"));
        snprintf(next, sizeof(next), "%.31s", watch_text(result, "next"));
        cJSON_ArrayForEach(line, cJSON_GetObjectItemCaseSensitive(result, "lines"))
        {
            cJSON_AddItemToArray(all, cJSON_Duplicate(line, true));
        }
        cJSON_Delete(result);
    }
    const cJSON *line = all->child;
    sl_buffer_reset(&debug->text);
    for (int64_t left = cJSON_GetArraySize(all); line != NULL; line = line->next, left--) {
        if (left <= debug->lines_max) {
            append_line(debug, line);
        }
    }
    if (all->child != NULL || debug->is_linked) {
        add_text(debug, part->name, part->what, sl_buffer_bytes(&debug->text));
    } else {
        bundle_miss(&debug->bundle, part->name, debug->why);
    }
    cJSON_Delete(all);
}

/* ---- files of the data folder ---- */

/* Runs "sluice WORD WORD --json DIR" into a file. False: it did not end in time. */
static bool child_run(struct debug *debug, const char *words, const char *log)
{
    char first[32], second[32];
    struct sl_child child = {0};
    int64_t end_ns = sl_os_mono_ns(debug->cli->os) + INT64_C(1000000) * DEBUG_WAIT_MS;
    size_t size = strcspn(words, " ");
    snprintf(first, sizeof(first), "%.*s", (int)size, words);
    snprintf(second, sizeof(second), "%s", words + size + 1);
    const char *argv[] = {debug->cli->executable, first, second, "--json", debug->data_dir, NULL};
    if (debug->cli->executable == NULL || sl_child_start(argv, log, &child) != SLUICE_OK) {
        return false;
    }
    while (sl_child_is_running(&child) && sl_os_mono_ns(debug->cli->os) < end_ns) {
        sl_sleep_ms(POLL_MS);
    }
    bool ended = !sl_child_is_running(&child);
    sl_child_stop(&child, 0);
    return ended;
}

static bool file_take(struct debug *debug, const char *path)
{
    struct sl_file *file = NULL;
    uint64_t size = 0;
    size_t got = 0;
    sl_buffer_reset(&debug->text);
    sl_err err = sl_file_open(debug->cli->os, path, SL_FILE_READ, &file);
    err = err != SLUICE_OK ? err : sl_file_size(file, &size);
    size = SL_MIN(size, debug->text.size_max);
    err = err != SLUICE_OK ? err : sl_buffer_reserve(&debug->text, size);
    if (err == SLUICE_OK) {
        err = sl_file_pread(file, debug->text.data, size, 0, &got);
        debug->text.size = err == SLUICE_OK ? got : 0;
    }
    sl_file_close(file);
    return err == SLUICE_OK;
}

static void collect_files(struct debug *debug, const struct debug_part *part)
{
    char folder[SL_SCRATCH_BYTES], log[SL_SCRATCH_BYTES + 16];
    if (debug->data_dir[0] == '\0') {
        bundle_miss(&debug->bundle, part->name, "there is no data folder, or it is not known");
        return;
    }
    if (sl_scratch_make("sluice-debug-", folder) != SLUICE_OK) {
        bundle_miss(&debug->bundle, part->name, "no temporary folder can be made");
        return;
    }
    snprintf(log, sizeof(log), "%s/out", folder);
    bool ended = child_run(debug, part->arg, log);
    if (file_take(debug, log) && debug->text.size > 0) {
        add_text(debug, part->name, ended ? part->what : "cut: it took longer than 10 s",
                 sl_buffer_bytes(&debug->text));
    } else {
        bundle_miss(&debug->bundle, part->name, "the files cannot be read");
    }
    sl_scratch_remove(folder);
}

/* clang-format off */
const struct debug_part debug_parts[] = {
    {"config.json",    "configuration in force, where each value comes from",    collect_config,  NULL},
    {"topics.json",    "topics; of the first 200 offsets and configuration", collect_topics,  NULL},
    {"groups.json",    "groups; of the first 200 members, offsets and lag",              collect_groups,  NULL},
    {"status.json",    "state, storage, shards, frontends",                              collect_status,  NULL},
    {"health.json",    "live and ready, with reasons",                                   collect_call,    "health"},
    {"flow.json",      "who produces, lag, what waits and why; 1 s apart", collect_flow, NULL},
    {"plugins.json",   "plugins: state, times, limits, versions",                        collect_plugins, NULL},
    {"scrub.json",     "what was read and compared, and damage",                         collect_call,    "scrub"},
    {"metrics.prom",   "all metrics, as Prometheus reads them",                          collect_metrics, NULL},
    {"log.txt",        "what the broker said last",                                      collect_log,     NULL},
    {"wal.jsonl",      "the write-ahead log, and what a start would do", collect_files, "wal inspect"},
    {"extents.jsonl",  "files of sealed records",                                        collect_files,   "extent ls"},
    {"versions.json",  "this program: version, commit, libraries",                       collect_version, NULL},
    {"host.txt",       "kernel, memory, pressure; limits of the broker", collect_host,  NULL},
};
/* clang-format on */
const size_t debug_part_count = SL_COUNT_OF(debug_parts);
