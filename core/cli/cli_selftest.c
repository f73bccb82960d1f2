/* cli_selftest.c: the command selftest: what a broker promises, tried on this machine with a
 * private one in a folder of its own: records that outlive kill -9, a plugin, both protocols. */
#include "cli/cli_demo.h"
#include "cli/cli_table.h"
#include "cli/cli_workbench.h"
#include "load/load_run.h"
#include "os/os_interrupt.h"

#include <stdarg.h>
#include <string.h>

#define TEXT_BYTES 600u
#define RECORDS    200 /* that are written and read back */
#define LOAD_COUNT 2000u
#define LOOK_MS    20
#define LOG_LINES  12u
#define LOG_BYTES  65536u

struct trial {
    struct demo demo;
    struct cli cli;          /* ours, that writes no JSON of what the broker refuses */
    char reason[TEXT_BYTES]; /* of the step that fails */
};

static bool fail(struct trial *trial, const char *format, ...) SL_PRINTF(2, 3);
static bool fail(struct trial *trial, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(trial->reason, sizeof(trial->reason), format, arguments);
    va_end(arguments);
    return false;
}

/* ---- steps ---- */

static bool step_start(struct trial *trial)
{
    return demo_open(&trial->demo) == CLI_OK || fail(trial, "it does not come up");
}

static void value_of(int number, char ret_value[64])
{
    snprintf(ret_value, 64, "{\"id\":9007199254740993,\"number\":%d}", number);
}

static bool step_write(struct trial *trial)
{
    char value[64], text[24];
    cJSON *args = cJSON_CreateObject();
    cJSON_AddStringToObject(args, "topic", "kept");
    cJSON *records = cJSON_AddArrayToObject(args, "records");
    for (int i = 0; i < RECORDS; i++) {
        cJSON *record = cJSON_CreateObject();
        value_of(i, value);
        snprintf(text, sizeof(text), "key %d", i);
        cJSON_AddStringToObject(record, "key", text);
        cJSON_AddStringToObject(record, "value", value);
        cJSON_AddNumberToObject(record, "partition", 0);
        cJSON_AddItemToArray(records, record);
    }
    cJSON *result = demo_call(&trial->demo, "produce", args);
    cJSON_Delete(result);
    if (result == NULL) {
        return fail(trial, "the broker refuses them");
    }
    int64_t end = demo_end(&trial->demo, "kept");
    return end == RECORDS ||
           fail(trial, "%d were written, the topic has %lld", RECORDS, (long long)end);
}

static bool step_read(struct trial *trial)
{
    char value[64];
    const cJSON *record;
    for (int64_t at = 0; at < RECORDS;) {
        cJSON *records = demo_records(&trial->demo, "kept", at);
        int count = cJSON_GetArraySize(records);
        cJSON_ArrayForEach(record, records)
        {
            value_of((int)at, value);
            if (watch_int(record, "offset", -1) != at ||
                strcmp(watch_text(record, "value"), value) != 0) {
                (void)fail(trial, "at offset %lld is offset %s, \"%.200s\", not \"%s\"",
                           (long long)at, watch_text(record, "offset"), watch_text(record, "value"),
                           value);
                cJSON_Delete(records);
                return false;
            }
            at++;
        }
        cJSON_Delete(records);
        if (count <= 0) {
            return fail(trial, "after %lld of %d nothing more comes", (long long)at, RECORDS);
        }
    }
    return true;
}

static bool step_kill(struct trial *trial)
{
    return demo_crash(&trial->demo) || fail(trial, "it does not come up again");
}

/* ---- a plugin ---- */

static const char mask[] =
    "return {\n"
    "  name = \"selftest\", input = \"cards\", output = \"cards.masked\",\n"
    "  process = function(record)\n"
    "    record:json_set(\"card\", \"**** \" .. record:json_get(\"card\"):sub(-4))\n"
    "    return record\n"
    "  end,\n"
    "}\n";

static bool is_running(struct demo *demo, const void *arg)
{
    (void)arg;
    cJSON *plugin = demo_plugin(demo, "selftest");
    bool is_so = strcmp(watch_text(plugin, "state"), "running") == 0;
    cJSON_Delete(plugin);
    return is_so;
}

static bool has_masked(struct demo *demo, const void *arg)
{
    (void)arg;
    return demo_end(demo, "cards.masked") > 0;
}

static bool step_plugin(struct trial *trial)
{
    struct demo *demo = &trial->demo;
    if (!demo_plugin_write(demo, "selftest.lua", mask) || !demo_wait(demo, is_running, NULL)) {
        cJSON *plugin = demo_plugin(demo, "selftest");
        (void)fail(trial, "the plugin does not run: %.300s", watch_text(plugin, "reason"));
        cJSON_Delete(plugin);
        return false;
    }
    if (!demo_post(demo, "cards", "anna",
                   "{\"id\":9007199254740993,\"card\":\"4111 1111 1111 1111\"}") ||
        !demo_wait(demo, has_masked, NULL)) {
        return fail(trial, "the record does not come out of it");
    }
    cJSON *records = demo_records(demo, "cards.masked", 0);
    const char *value = watch_text(cJSON_GetArrayItem(records, 0), "value");
    bool is_so = strcmp(value, "{\"id\":9007199254740993,\"card\":\"**** 1111\"}") == 0;
    if (!is_so) {
        (void)fail(trial, "what comes out is %.300s", value);
    }
    cJSON_Delete(records);
    return is_so;
}

/* ---- protocols ---- */

/* "127.0.0.1:PORT" of a frontend. */
static bool listener_of(struct trial *trial, const char *name, char ret_address[64])
{
    const cJSON *row;
    int64_t port = 0;
    cJSON *status = demo_call(&trial->demo, "status", NULL);
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(status, "frontends"))
    {
        if (strcmp(watch_text(row, "name"), name) == 0 && port == 0) {
            port = watch_int(row, "port", 0);
        }
    }
    cJSON_Delete(status);
    snprintf(ret_address, 64, "127.0.0.1:%lld", (long long)port);
    return port > 0;
}

static bool topic_make(struct trial *trial, const char *topic)
{
    cJSON *args = cJSON_CreateObject();
    cJSON_AddStringToObject(args, "topic", topic);
    cJSON *result = demo_call(&trial->demo, "topic.create", args);
    cJSON_Delete(result);
    return result != NULL;
}

/* Sends and reads at the same time; each record has a number. */
static bool load_run(struct trial *trial, const struct load_peer_ops *ops)
{
    static struct load_plan plan;
    static struct load_figures figures;
    struct load_run *run;
    char address[64];
    if (!listener_of(trial, ops->name, address) || !topic_make(trial, ops->name)) {
        return fail(trial, "there is no listener or no topic");
    }
    plan = (struct load_plan){
        .ops = ops,
        .address = address,
        .target = {.topic = ops->name, .client_id = "sluice-selftest", .acks = -1},
        .run = 1,
        .senders = 1,
        .receivers = 1,
        .partitions = 1,
        .count = LOAD_COUNT,
        .batch = 10,
        .size = 100,
        .span_count = 1,
        .spans = {{0, 0, -1}}};
    if (load_run_new(trial->cli.os, &plan, &run, trial->reason) != SLUICE_OK) {
        return false;
    }
    sl_err err = load_run_start(run, trial->reason);
    while (err == SLUICE_OK && !load_run_is_over(run)) {
        sl_sleep_ms(LOOK_MS);
        if (sl_interrupted()) {
            load_run_stop(run);
        }
    }
    load_run_finish(run, &figures);
    if (err != SLUICE_OK) {
        return false;
    }
    bool is_so = figures.err == SLUICE_OK && figures.received == LOAD_COUNT && figures.lost == 0 &&
                 figures.duplicated == 0 && figures.reordered == 0 && figures.refused == 0;
    return is_so ||
           fail(trial, "of %u records %llu came; lost %llu, twice %llu, out of order %llu%s%.300s",
                LOAD_COUNT, (unsigned long long)figures.received, (unsigned long long)figures.lost,
                (unsigned long long)figures.duplicated, (unsigned long long)figures.reordered,
                figures.text[0] != '\0' ? ": " : "", figures.text);
}

static bool step_kafka(struct trial *trial)
{
    return load_run(trial, &load_kafka_peer);
}

static bool step_native(struct trial *trial)
{
    return load_run(trial, &load_native_peer);
}

static bool step_stop(struct trial *trial)
{
    int64_t code = demo_stop(&trial->demo);
    return code == 0 || fail(trial, "it ends with %lld", (long long)code);
}

static const struct {
    const char *name, *what;
    bool (*run)(struct trial *trial);
    bool is_vital;       /* without it nothing else can be tried */
    const char *feature; /* that the build must have for it; NULL: none */
} steps[] = {
    {"start", "a broker starts in a new folder", step_start, true, NULL},
    {"write", "200 records are written, and synced to the disk", step_write, false, NULL},
    {"read", "they are read as they were written", step_read, false, NULL},
    {"kill", "it is killed (kill -9) and comes up again", step_kill, true, NULL},
    {"read again", "the same records are there, in the same order", step_read, false, NULL},
    {"plugin", "a Lua file is dropped into the folder, and masks a record", step_plugin, false,
     "hot-reload"},
    {"kafka", "Kafka's protocol: 2,000 records once and in order", step_kafka, false,
     "frontend_kafka"},
    {"native", "the native protocol: 2,000 records once and in order", step_native, false,
     "frontend_native"},
    {"stop", "it stops in order", step_stop, false, NULL},
};

/* Of those that this build has. */
static bool is_there(size_t index)
{
    return steps[index].feature == NULL || cli_build_has(steps[index].feature);
}

/* ---- telling ---- */

/* The last lines of the broker's log, for who has to find out. */
static void log_write(struct trial *trial)
{
    static char text[LOG_BYTES];
    struct sl_file *file = NULL;
    uint64_t size = 0;
    size_t got = 0;
    if (sl_file_open(trial->cli.os, trial->demo.log, SL_FILE_READ, &file) != SLUICE_OK) {
        return;
    }
    sl_err err = sl_file_size(file, &size);
    uint64_t from = size < LOG_BYTES ? 0 : size - LOG_BYTES;
    err = err == SLUICE_OK ? sl_file_pread(file, text, LOG_BYTES - 1, from, &got) : err;
    sl_file_close(file);
    text[err == SLUICE_OK ? got : 0] = '\0';
    char *at = text + strlen(text);
    for (uint32_t lines = 0; at > text; at--) {
        lines += at[-1] == '\n';
        if (lines > LOG_LINES) {
            break;
        }
    }
    fprintf(stderr, "The end of its log:\n%s", at);
}

static void step_write_row(const struct trial *trial, size_t index, bool held, int64_t took_ms)
{
    printf("  %s%-6s%s %6lld ms  %s\n", held ? cli_green(&trial->cli) : cli_red(&trial->cli),
           held ? "ok" : "FAILED", cli_plain(&trial->cli), (long long)took_ms, steps[index].what);
    if (!held) {
        printf("%19s", "");
        cli_print_safe(trial->reason);
        putchar('\n');
    }
    fflush(stdout);
}

static cJSON *step_json(const struct trial *trial, size_t index, bool held, int64_t took_ms)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "step", steps[index].name);
    cJSON_AddBoolToObject(object, "ok", held);
    cJSON_AddNumberToObject(object, "ms", (double)took_ms);
    cJSON_AddStringToObject(object, "text", held ? steps[index].what : trial->reason);
    return object;
}

/* How many failed. */
static uint32_t all_run(struct trial *trial, bool is_json, cJSON *rows)
{
    uint32_t failed = 0;
    for (size_t i = 0; i < SL_COUNT_OF(steps); i++) {
        if (!is_there(i)) {
            if (!is_json) {
                printf("  left out this build has no %s: %s\n", steps[i].feature, steps[i].what);
            }
            continue;
        }
        int64_t from_ns = sl_os_mono_ns(trial->cli.os);
        trial->reason[0] = '\0';
        bool held = steps[i].run(trial);
        int64_t took_ms = (sl_os_mono_ns(trial->cli.os) - from_ns) / 1000000;
        if (sl_interrupted()) {
            return failed;
        }
        failed += !held;
        if (is_json) {
            cJSON_AddItemToArray(rows, step_json(trial, i, held, took_ms));
        } else {
            step_write_row(trial, i, held, took_ms);
        }
        if (!held && steps[i].is_vital) {
            return failed;
        }
    }
    return failed;
}

static int selftest(struct cli *cli)
{
    static struct trial trial;
    cJSON *object = cJSON_CreateObject();
    cJSON *rows = cJSON_AddArrayToObject(object, "steps");
    trial = (struct trial){.cli = *cli};
    trial.cli.options.json = false;
    trial.demo = (struct demo){.cli = &trial.cli, .is_auto = true};
    sl_interrupts_watch();
    int64_t from_ns = sl_os_mono_ns(cli->os);
    uint32_t failed = all_run(&trial, cli->options.json, rows);
    bool cut = sl_interrupted();
    size_t count = 0;
    for (size_t i = 0; i < SL_COUNT_OF(steps); i++) {
        count += is_there(i);
    }
    if (failed > 0 && !cut) {
        log_write(&trial);
    }
    demo_close(&trial.demo);
    double seconds = (double)(sl_os_mono_ns(cli->os) - from_ns) / 1e9;
    if (cli->options.json) {
        cJSON_AddBoolToObject(object, "ok", failed == 0 && !cut);
        cJSON_AddNumberToObject(object, "seconds", seconds);
        cli_json_write(object);
    } else if (cut) {
        puts("cut short; the broker and its folder are gone");
    } else if (failed > 0) {
        printf("%u failed, in %.1f s; the broker and its folder are gone\n", failed, seconds);
    } else {
        printf("all %zu steps held, in %.1f s; the broker and its folder are gone\n", count,
               seconds);
    }
    cJSON_Delete(object);
    return cut ? CLI_PARTLY : failed > 0 ? CLI_FAILED : CLI_OK;
}

/* ---- the table ---- */

/* clang-format off */
static const struct cli_command commands[] = {
    {"selftest", selftest, "", 0, 0, CLI_OPTION(HELP) | CLI_OPTION(JSON),
     "whether a broker works on this machine: a private one, kill -9, a plugin, both protocols\n\n"
     "It runs in a folder in TMPDIR or /tmp, on ports that the system chooses, and leaves nothing. Brokers\n"
     "that run are not touched. Exit code 1: a step failed; the end of that broker's log is on stderr."},
};
/* clang-format on */

const struct cli_table cli_selftest_table = {
    .title = "Broker", .commands = commands, .count = SL_COUNT_OF(commands)};
