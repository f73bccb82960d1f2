/* cli_workbench_dev.c: plugin dev: at each change of the sources builds, tests and gives the plugin
 * to the running broker; one line for each step that is well, all that is known for one that is
 * not.
 *
 * Folders are watched, but what decides is a hash over the sources: a build changes the folder too.
 * On the loop, which a round blocks; ctrl-c ends it after the round. */
#include "cli/cli_plugin.h"
#include "cli/cli_workbench.h"

#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

#define SETTLE_NS        INT64_C(100000000) /* editors write in several steps */
#define SOURCES_MAX      512u
#define SOURCE_BYTES_MAX (8u << 20)

struct dev {
    struct cli *cli;
    struct sl_loop *loop;
    struct sl_timer *timer;
    struct sl_watch *watches[2];
    char folders[2][BENCH_PATH_BYTES]; /* the plugin's, and tests/ in it */
    bool has_c;
    uint8_t hash[PLUGIN_HASH_SIZE]; /* of the sources of the last round */
    uint32_t rounds;
    int code; /* of the last round */
};

/* ---- what changed ---- */

struct gather {
    struct dev *dev;
    const char *folder;
    uint8_t sum[PLUGIN_HASH_SIZE]; /* of hashes: the order of a folder's entries does not count */
    uint32_t count;
    bool has_c;
};

static void add_source(void *arg, const char *name, bool is_directory)
{
    static const char *const ends[] = {".c", ".h", ".lua", ".yaml", ".yml", ".json"};
    struct gather *gather = arg;
    char path[BENCH_PATH_BYTES];
    char text[BENCH_TEXT_BYTES];
    struct sl_bytes bytes;
    bool wanted = false;
    for (size_t i = 0; i < SL_COUNT_OF(ends); i++) {
        wanted = wanted || cli_ends_in(name, ends[i]);
    }
    if (is_directory || !wanted || name[0] == '.' || gather->count == SOURCES_MAX) {
        return;
    }
    gather->count++;
    gather->has_c = gather->has_c || cli_ends_in(name, ".c");
    cli_path_join(gather->folder, name, path);
    if (bench_read(gather->dev->cli->os, path, SOURCE_BYTES_MAX, &bytes, text) == SLUICE_OK) {
        uint8_t named[PLUGIN_HASH_SIZE + 256];
        uint8_t hash[PLUGIN_HASH_SIZE];
        size_t name_size = SL_MIN(strlen(name), sizeof(named) - PLUGIN_HASH_SIZE);
        plugin_hash(bytes, named);
        memcpy(named + PLUGIN_HASH_SIZE, name, name_size);
        plugin_hash(sl_bytes_of(named, PLUGIN_HASH_SIZE + name_size), hash);
        sl_free((void *)(uintptr_t)bytes.data);
        for (size_t i = 0; i < PLUGIN_HASH_SIZE; i++) {
            gather->sum[i] = (uint8_t)(gather->sum[i] + hash[i]);
        }
    }
}

static bool sources_changed(struct dev *dev)
{
    struct gather gather = {.dev = dev};
    for (size_t i = 0; i < SL_COUNT_OF(dev->folders); i++) {
        gather.folder = dev->folders[i];
        if (sl_dir_list(dev->cli->os, gather.folder, add_source, &gather) == SLUICE_OK && i == 0) {
            dev->has_c = gather.has_c; /* tests/ may be missing */
        }
    }
    bool changed = memcmp(gather.sum, dev->hash, sizeof(dev->hash)) != 0;
    memcpy(dev->hash, gather.sum, sizeof(dev->hash));
    return changed;
}

/* ---- a round ---- */

static void step_write(const struct cli *cli, bool ok, const char *step, const char *text)
{
    printf("  %s%s%s  %-7s %s\n", ok ? cli_green(cli) : cli_red(cli), ok ? "ok  " : "FAIL",
           cli_plain(cli), step, text);
    fflush(stdout);
}

static int build(struct dev *dev)
{
    struct cli cli = *dev->cli;
    cli.options.words[0] = dev->folders[0];
    cli.options.word_count = 1;
    if (!dev->has_c) {
        return CLI_OK;
    }
    int code = cli_plugin_build(&cli);
    if (code != CLI_OK) {
        step_write(dev->cli, false, "build", "the version before stays");
    }
    return code;
}

static int test(struct dev *dev, const char *module)
{
    struct cli_cases cases;
    struct bench bench;
    char path[BENCH_PATH_BYTES];
    char text[64];
    uint32_t failed = 0;
    if (!cli_find_cases(dev->cli, dev->folders[0], path)) {
        step_write(dev->cli, true, "test", "no cases.yaml: nothing is tested");
        return CLI_OK;
    }
    int code = cli_cases_read(dev->cli, path, &cases);
    if (code != CLI_OK) {
        step_write(dev->cli, false, "test", "its cases cannot be read");
        return code;
    }
    code = cli_bench_open(dev->cli, &bench);
    if (code == CLI_OK) {
        code = cli_cases_run(dev->cli, &bench, module, &cases, true, &failed);
        snprintf(text, sizeof(text), "%u of %u passed", cases.file.count - failed,
                 cases.file.count);
        step_write(dev->cli, code == CLI_OK, "test", code == CLI_OK || failed > 0 ? text : "");
        bench_close(&bench);
    }
    cli_cases_free(&cases);
    return code;
}

static int reload(struct dev *dev, const char *module)
{
    struct cli cli = *dev->cli;
    cli.options.words[0] = module;
    cli.options.word_count = 1;
    int code = cli_plugin_load(&cli);
    step_write(dev->cli, code == CLI_OK, "reload",
               code == CLI_OK            ? "the broker runs it"
               : code == CLI_UNREACHABLE ? "no broker runs; built and tested only"
                                         : "the version before runs on");
    return code;
}

static void round_run(struct dev *dev)
{
    char module[BENCH_PATH_BYTES];
    char time[CLI_TIME_BYTES];
    if (!sources_changed(dev) && dev->rounds > 0) {
        return;
    }
    cli_time_text(sl_os_wall_ms(dev->cli->os), time);
    printf("%s%s%s round %u\n", cli_faint(dev->cli), time, cli_plain(dev->cli), ++dev->rounds);
    fflush(stdout);
    dev->code = build(dev);
    if (dev->code == CLI_OK && !cli_find_module(dev->cli, dev->folders[0], module)) {
        dev->code = CLI_FAILED;
    }
    dev->code = dev->code != CLI_OK ? dev->code : test(dev, module);
    dev->code = dev->code != CLI_OK ? dev->code : reload(dev, module);
}

/* ---- the loop ---- */

static void changed(void *arg)
{
    struct dev *dev = arg;
    sl_timer_start(dev->timer, SETTLE_NS);
}

static void settled(void *arg)
{
    round_run(arg);
}

static void interrupted(void *arg, int number)
{
    struct dev *dev = arg;
    (void)number;
    sl_loop_stop(dev->loop);
}

static sl_err watch(struct dev *dev)
{
    sl_err err = sl_loop_new(dev->cli->os, "dev", -1, &dev->loop);
    err = err != SLUICE_OK ? err : sl_timer_new(dev->loop, settled, dev, &dev->timer);
    err = err != SLUICE_OK
              ? err
              : sl_watch_new(dev->loop, dev->folders[0], changed, dev, &dev->watches[0]);
    if (err == SLUICE_OK && cli_is_folder(dev->cli, dev->folders[1])) {
        err = sl_watch_new(dev->loop, dev->folders[1], changed, dev, &dev->watches[1]);
    }
    return err != SLUICE_OK ? err : sl_signals_watch(dev->loop, interrupted, dev);
}

static void unwatch(struct dev *dev)
{
    for (size_t i = 0; i < SL_COUNT_OF(dev->watches); i++) {
        if (dev->watches[i] != NULL) {
            sl_watch_free(dev->watches[i]);
        }
    }
    sl_timer_free(dev->timer);
    if (dev->loop != NULL) {
        sl_loop_free(dev->loop);
    }
}

int cli_plugin_dev(struct cli *cli)
{
    struct dev *dev = calloc(1, sizeof(*dev));
    const char *folder = cli->options.word_count > 0 ? cli->options.words[0] : ".";
    if (dev == NULL || !cli_is_folder(cli, folder)) {
        cli_complain("%s is no folder", folder);
        free(dev);
        return CLI_FAILED;
    }
    dev->cli = cli;
    snprintf(dev->folders[0], sizeof(dev->folders[0]), "%s", folder);
    cli_path_join(folder, "tests", dev->folders[1]);
    if (cli->options.once) {
        round_run(dev);
        int code = dev->code;
        free(dev);
        return code;
    }
    if (watch(dev) != SLUICE_OK) {
        cli_complain("%s cannot be watched", folder);
        unwatch(dev);
        free(dev);
        return CLI_FAILED;
    }
    printf("watching %s; ctrl-c ends\n", folder);
    round_run(dev);
    sl_loop_run(dev->loop);
    unwatch(dev);
    free(dev);
    return CLI_OK;
}
