/* cli_demo.c: the command demo: a private broker in a folder of its own, on ports that the system
 * chooses, and a menu of what it can do. The broker ends and the folder goes with the demo, also
 * after Ctrl-C. */
#include "cli/cli_demo.h"
#include "cli/cli_table.h"

#include "cli/cli_workbench.h"
#include "os/os_interrupt.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define POLL_MS  40
#define STOP_MS  10000
#define PAUSE_MS 400 /* between steps, where people look */

/* ---- telling ---- */

void demo_heading(const struct demo *demo, const char *text)
{
    printf("\n%s%s%s\n", cli_bold(demo->cli), text, cli_plain(demo->cli));
}

void demo_say(const struct demo *demo, const char *format, ...)
{
    va_list args;
    (void)demo;
    va_start(args, format);
    fputs("  ", stdout);
    vprintf(format, args);
    putchar('\n');
    va_end(args);
    fflush(stdout);
}

void demo_code(const struct demo *demo, const char *text)
{
    while (*text != '\0') {
        size_t size = strcspn(text, "\n");
        printf("    %s%.*s%s\n", cli_faint(demo->cli), (int)size, text, cli_plain(demo->cli));
        text += size + (text[size] == '\n');
    }
}

void demo_record(const struct demo *demo, const char *topic, const cJSON *record)
{
    char time[CLI_TIME_BYTES];
    const cJSON *header;
    cli_time_text(watch_int(record, "timestamp", -1), time);
    printf("  %s%s[0]@%s  %s%s", cli_faint(demo->cli), topic, watch_text(record, "offset"), time,
           cli_plain(demo->cli));
    if (watch_text(record, "key")[0] != '\0') {
        printf("  key=");
        cli_print_safe(watch_text(record, "key"));
    }
    fputs("  ", stdout);
    cli_print_safe(watch_text(record, "value"));
    cJSON_ArrayForEach(header, cJSON_GetObjectItemCaseSensitive(record, "headers"))
    {
        printf("  %s", cli_faint(demo->cli));
        cli_print_safe(watch_text(header, "key"));
        putchar('=');
        cli_print_safe(watch_text(header, "value"));
        fputs(cli_plain(demo->cli), stdout);
    }
    putchar('\n');
    fflush(stdout);
}

bool demo_expect(struct demo *demo, bool is_so, const char *what)
{
    bool cut = !is_so && sl_interrupted();
    printf("  %s%s%s %s\n", is_so ? cli_green(demo->cli) : cli_red(demo->cli),
           is_so ? "ok:"
           : cut ? "cut short:"
                 : "FAILED:",
           cli_plain(demo->cli), what);
    fflush(stdout);
    demo->failed += !is_so;
    return is_so;
}

/* ---- asking ---- */

cJSON *demo_call(struct demo *demo, const char *command, cJSON *args)
{
    cJSON *reply = NULL;
    int code = cli_call(&demo->link, command, args, &reply);
    cJSON *result =
        code == CLI_OK ? cJSON_DetachItemFromObjectCaseSensitive(reply, "result") : NULL;
    cJSON_Delete(reply);
    return result;
}

int64_t demo_end(struct demo *demo, const char *topic)
{
    const cJSON *row;
    int64_t sum = 0;
    cJSON *args = cJSON_CreateObject();
    cJSON_AddItemToArray(cJSON_AddArrayToObject(args, "topics"), cJSON_CreateString(topic));
    cJSON *result = demo_call(demo, "topic.ends", args);
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(result, "partitions"))
    {
        sum += watch_int(row, "end", 0);
    }
    cJSON_Delete(result);
    return sum;
}

cJSON *demo_records(struct demo *demo, const char *topic, int64_t offset)
{
    char text[24];
    cJSON *args = cJSON_CreateObject();
    snprintf(text, sizeof(text), "%lld", (long long)offset);
    cJSON_AddStringToObject(args, "topic", topic);
    cJSON_AddStringToObject(args, "offset", text);
    cJSON_AddNumberToObject(args, "max", 100);
    cJSON *result = demo_call(demo, "consume", args);
    cJSON *records = cJSON_DetachItemFromObjectCaseSensitive(result, "records");
    cJSON_Delete(result);
    return records;
}

bool demo_post(struct demo *demo, const char *topic, const char *key, const char *value)
{
    cJSON *args = cJSON_CreateObject();
    cJSON_AddStringToObject(args, "topic", topic);
    cJSON *record = cJSON_CreateObject();
    cJSON_AddStringToObject(record, "key", key);
    cJSON_AddStringToObject(record, "value", value);
    cJSON_AddNumberToObject(record, "partition", 0);
    cJSON *header = cJSON_CreateObject();
    cJSON_AddStringToObject(header, "key", "source");
    cJSON_AddStringToObject(header, "value", "demo");
    cJSON_AddItemToArray(cJSON_AddArrayToObject(record, "headers"), header);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(args, "records"), record);
    cJSON *result = demo_call(demo, "produce", args);
    cJSON_Delete(result);
    return result != NULL;
}

bool demo_plugin_write(struct demo *demo, const char *name, const char *text)
{
    char from[DEMO_PATH], to[DEMO_PATH], mark[64];
    struct sl_file *file = NULL;
    struct sl_iovec pieces[] = {{(void *)(uintptr_t)text, strlen(text)}, {mark, 0}}; /* only read */
    int64_t now_ms = sl_os_mono_ns(demo->cli->os) / 1000000;
    pieces[1].size = (size_t)snprintf(mark, sizeof(mark), "-- saved %lld\n", (long long)now_ms);
    snprintf(from, sizeof(from), "%s/edited.lua", demo->folder);
    snprintf(to, sizeof(to), "%s/plugins/%s", demo->folder, name);
    sl_err err = sl_file_open(demo->cli->os, from, SL_FILE_WRITE | SL_FILE_CREATE, &file);
    err = err == SLUICE_OK ? sl_file_truncate(file, 0) : err;
    err = err == SLUICE_OK ? sl_file_pwritev(file, pieces, 2, 0) : err;
    sl_file_close(file);
    err = err == SLUICE_OK ? sl_path_rename(demo->cli->os, from, to) : err;
    if (err != SLUICE_OK) {
        cli_complain("%s cannot be written", to);
    }
    return err == SLUICE_OK;
}

cJSON *demo_plugin(struct demo *demo, const char *name)
{
    const cJSON *row;
    cJSON *found = NULL;
    cJSON *result = demo_call(demo, "plugin.list", NULL);
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(result, "plugins"))
    {
        if (found == NULL && strcmp(watch_text(row, "name"), name) == 0) {
            found = cJSON_Duplicate(row, true);
        }
    }
    cJSON_Delete(result);
    return found != NULL ? found : cJSON_CreateObject();
}

bool demo_wait(struct demo *demo, demo_condition *condition, const void *arg)
{
    int64_t end_ms = sl_os_mono_ns(demo->cli->os) / 1000000 + DEMO_WAIT_MS;
    while (!sl_interrupted() && sl_os_mono_ns(demo->cli->os) / 1000000 < end_ms) {
        if (condition(demo, arg)) {
            return true;
        }
        sl_sleep_unless_interrupted(POLL_MS);
    }
    return false;
}

/* ---- the broker ---- */

static bool is_there(struct demo *demo, const void *arg)
{
    char address[DEMO_PATH + 8];
    (void)arg;
    if (!sl_child_is_running(&demo->broker)) {
        return true; /* it ended: asking says so */
    }
    snprintf(address, sizeof(address), "unix:%s", demo->socket);
    int descriptor = -1;
    if (sl_connect(demo->cli->os, address, &descriptor) != SLUICE_OK) {
        return false;
    }
    demo->link = (struct cli_link){.cli = demo->cli, .descriptor = descriptor};
    demo->is_linked = true;
    return true;
}

static bool is_ready(struct demo *demo, const void *arg)
{
    (void)arg;
    cJSON *status = demo_call(demo, "status", NULL);
    bool ready = status == NULL || cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(status, "ready"));
    cJSON_Delete(status);
    return ready;
}

static sl_err broker_start(struct demo *demo)
{
    char socket[DEMO_PATH + 16], data[DEMO_PATH], plugins[DEMO_PATH];
    snprintf(socket, sizeof(socket), "admin.socket=%s", demo->socket);
    snprintf(data, sizeof(data), "data.dir=%s/data", demo->folder);
    snprintf(plugins, sizeof(plugins), "plugins.dir=%s/plugins", demo->folder);
    const char *const argv[] = {demo->cli->executable,
                                "serve",
                                "--dev",
                                "--home",
                                demo->folder,
                                "--set",
                                socket,
                                "--set",
                                data,
                                "--set",
                                plugins,
                                "--set",
                                "kafka.listen=127.0.0.1:0",
                                "--set",
                                "http.listen=127.0.0.1:0",
                                "--set",
                                "native.listen=127.0.0.1:0",
                                NULL};
    return sl_child_start(argv, demo->log, &demo->broker);
}

static bool broker_up(struct demo *demo)
{
    sl_err err = demo->cli->executable == NULL ? SLUICE_E_NOT_FOUND : broker_start(demo);
    return err == SLUICE_OK && demo_wait(demo, is_there, NULL) && demo->is_linked &&
           demo_wait(demo, is_ready, NULL);
}

static void link_drop(struct demo *demo)
{
    if (demo->is_linked) {
        cli_link_close(&demo->link);
    }
    demo->is_linked = false;
}

bool demo_crash(struct demo *demo)
{
    link_drop(demo);
    sl_child_kill(&demo->broker);
    return broker_up(demo);
}

int demo_stop(struct demo *demo)
{
    link_drop(demo);
    sl_child_stop(&demo->broker, STOP_MS);
    return demo->broker.code;
}

int demo_open(struct demo *demo)
{
    char plugins[DEMO_PATH];
    sl_err err = sl_scratch_make("sluice-demo", demo->folder);
    if (err == SLUICE_OK) {
        snprintf(demo->socket, sizeof(demo->socket), "%s/sluice.sock", demo->folder);
        snprintf(demo->log, sizeof(demo->log), "%s/log", demo->folder);
        snprintf(plugins, sizeof(plugins), "%s/plugins", demo->folder);
        err = sl_dir_make(demo->cli->os, plugins);
    }
    if (err != SLUICE_OK) {
        cli_complain("no folder can be made in TMPDIR or /tmp");
        return CLI_IO;
    }
    bool there = broker_up(demo);
    if (!there && !sl_interrupted()) {
        cli_complain("the demo's broker did not start");
    }
    return there ? CLI_OK : CLI_FAILED;
}

void demo_close(struct demo *demo)
{
    (void)demo_stop(demo);
    if (demo->folder[0] != '\0') {
        sl_scratch_remove(demo->folder);
    }
}

/* ---- the menu ---- */

static const struct {
    const char *name;
    demo_step *run;
} steps[] = {{"post records", demo_step_post},
             {"poll them, with keys, headers, offsets and times", demo_step_poll},
             {"list the topics", demo_step_topics},
             {"edit a Lua file while records flow", demo_step_edit},
             {"break a plugin, and see the dead letter", demo_step_break}};

static void all_run(struct demo *demo)
{
    for (size_t i = 0; i < SL_COUNT_OF(steps) && !sl_interrupted(); i++) {
        steps[i].run(demo);
        if (!demo->is_auto) {
            sl_sleep_unless_interrupted(PAUSE_MS);
        }
    }
}

static void place_tell(struct demo *demo)
{
    const cJSON *row;
    cJSON *status = demo_call(demo, "status", NULL);
    demo_heading(demo, "A broker of your own");
    demo_say(demo, "in %s, gone when you leave", demo->folder);
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(status, "frontends"))
    {
        demo_say(demo, "%-6s 127.0.0.1:%lld", watch_text(row, "name"),
                 (long long)watch_int(row, "port", 0));
    }
    demo_say(demo, "watch it from another terminal: sluice top --home %s", demo->folder);
    cJSON_Delete(status);
}

static void menu_write(const struct demo *demo)
{
    putchar('\n');
    for (size_t i = 0; i < SL_COUNT_OF(steps); i++) {
        printf("  %s%zu%s  %s\n", cli_bold(demo->cli), i + 1, cli_plain(demo->cli), steps[i].name);
    }
    printf("  %s%zu%s  quick demo: all of it\n  %s%zu%s  exit\n> ", cli_bold(demo->cli),
           SL_COUNT_OF(steps) + 1, cli_plain(demo->cli), cli_bold(demo->cli),
           SL_COUNT_OF(steps) + 2, cli_plain(demo->cli));
    fflush(stdout);
}

static void menu_run(struct demo *demo)
{
    char line[32];
    for (;;) {
        menu_write(demo);
        if (sl_line_read_unless_interrupted(line, sizeof(line)) != SLUICE_OK) {
            putchar('\n');
            return;
        }
        long number = strtol(line, NULL, 10);
        if (number == (long)SL_COUNT_OF(steps) + 2 || line[0] == 'q') {
            return;
        }
        if (number == (long)SL_COUNT_OF(steps) + 1) {
            all_run(demo);
        } else if (number >= 1 && number <= (long)SL_COUNT_OF(steps)) {
            steps[number - 1].run(demo);
        } else {
            demo_say(demo, "a number from 1 to %zu", SL_COUNT_OF(steps) + 2);
        }
        if (sl_interrupted()) {
            return;
        }
    }
}

static int demo_command(struct cli *cli)
{
    if (!cli_build_has("hot-reload")) {
        cli_complain("the tour changes a plugin while records flow, which this build leaves out "
                     "(SLUICE_HOT_RELOAD=OFF); \"sluice selftest\" tries what it has");
        return CLI_FAILED;
    }
    struct demo demo = {.cli = cli, .is_auto = cli_own_flag(cli, "--auto")};
    if (!demo.is_auto && !sl_descriptor_is_terminal(0)) {
        cli_complain("demo asks what to show; without a terminal say \"sluice demo --auto\"");
        return CLI_USAGE;
    }
    sl_interrupts_watch();
    int code = demo_open(&demo);
    if (code == CLI_OK) {
        place_tell(&demo);
        if (demo.is_auto) {
            all_run(&demo);
        } else {
            menu_run(&demo);
        }
    }
    demo_close(&demo);
    if (code == CLI_OK && demo.is_auto) {
        bool whole = demo.failed == 0 && !sl_interrupted();
        printf("\n%s\n", whole ? "Everything showed its effect. The broker and its folder are gone."
                               : "Not everything showed its effect.");
        code = whole ? CLI_OK : CLI_FAILED;
    }
    return code;
}

/* ---- the table ---- */

/* clang-format off */
static const struct cli_option options[] = {
    {"demo", "--auto", 0, NULL, "ask nothing: show all of it, and fail unless each step shows its effect"},
};
static const struct cli_command commands[] = {
    {"demo", demo_command, "", 0, 0, CLI_OPTION(HELP),
     "a tour in the terminal, with a broker of its own\n\n"
     "It starts a broker in a folder in TMPDIR or /tmp, on ports that the system chooses, and ends and\n"
     "removes it when you leave, also by Ctrl-C: posts records, polls them, lists topics, edits a Lua\n"
     "file while records flow, breaks a plugin and shows the dead letter."},
};
/* clang-format on */

const struct cli_table cli_demo_table = {.title = "Broker",
                                         .commands = commands,
                                         .count = SL_COUNT_OF(commands),
                                         .options = options,
                                         .option_count = SL_COUNT_OF(options)};
