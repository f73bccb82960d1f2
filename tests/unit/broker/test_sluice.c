/* test_sluice.c: the life of a broker that never gets as far as running, and its end in the middle
 * of a command. */
#include "broker/sluice_state.h"
#include "os/os_log.h"
#include "os/os_uv.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SETTINGS 5

struct place {
    struct sl_os *os;
    struct sl_logger *logger;
    char folder[64];
    char settings[SETTINGS][128];
    char problem[SLUICE_PROBLEM_BYTES];
};

static void no_log(void *arg SL_UNUSED, enum sl_log_level level SL_UNUSED,
                   const char *line SL_UNUSED, size_t size SL_UNUSED)
{
}

static void place_make(struct place *place, const char *shards)
{
    memset(place, 0, sizeof(*place));
    snprintf(place->folder, sizeof(place->folder), "/tmp/sluice-broker-XXXXXX");
    cr_assert_not_null(mkdtemp(place->folder));
    snprintf(place->settings[0], 128, "data.dir=%s/data", place->folder);
    snprintf(place->settings[1], 128, "plugins.dir=%s/plugins", place->folder);
    snprintf(place->settings[2], 128, "admin.socket=%s/socket", place->folder);
    snprintf(place->settings[3], 128, "runtime.shards=%s", shards);
    snprintf(place->settings[4], 128, "plugins.enabled=[]");
    cr_assert_eq(sl_os_uv_new(2, &place->os), SLUICE_OK);
    const struct sl_log_config log = {
        .sink = no_log, .wall_ms = sl_os_log_clock, .clock_arg = place->os, .level = SL_LOG_INFO};
    cr_assert_eq(sl_logger_new(&log, &place->logger), SLUICE_OK);
}

static sl_err broker_new_with(struct place *place, const struct sluice_events *events,
                              struct sluice **ret_sluice)
{
    static struct config_report report;
    struct config_sources sources = {.setting_count = SETTINGS};
    struct sl_config *config = NULL;
    for (size_t i = 0; i < SETTINGS; i++) {
        sources.settings[i] = place->settings[i];
    }
    cr_assert_eq(config_load(place->os, &sources, &report, &config), SLUICE_OK, "%s",
                 report.problems[0]);
    return sluice_new(place->os, place->logger, config, events, ret_sluice, place->problem);
}

static sl_err broker_new(struct place *place, struct sluice **ret_sluice)
{
    const struct sluice_events events = {.arg = NULL};
    return broker_new_with(place, &events, ret_sluice);
}

static int remove_one(const char *path, const struct stat *status SL_UNUSED, int kind SL_UNUSED,
                      struct FTW *where SL_UNUSED)
{
    return remove(path);
}

static void place_free(struct place *place)
{
    sl_logger_free(place->logger);
    sl_os_free(place->os);
    cr_assert_eq(nftw(place->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

Test(sluice, is_freed_without_having_run_and_opens_again, .timeout = 120)
{
    static const char *const shards[] = {"1", "2", "5"};
    for (size_t i = 0; i < SL_COUNT_OF(shards); i++) {
        struct place place;
        place_make(&place, shards[i]);
        for (int round = 0; round < 3; round++) {
            struct sluice *sluice = NULL;
            cr_assert_eq(broker_new(&place, &sluice), SLUICE_OK, "%s", place.problem);
            sluice_free(sluice);
        }
        place_free(&place);
    }
}

Test(sluice, that_cannot_open_a_later_shard_closes_the_others, .timeout = 120)
{
    struct place place;
    struct sluice *sluice = NULL;
    char folder[128], aside[128];
    place_make(&place, "3");
    cr_assert_eq(broker_new(&place, &sluice), SLUICE_OK, "%s", place.problem);
    sluice = sluice_free(sluice);
    snprintf(folder, sizeof(folder), "%s/data/shard-1", place.folder);
    snprintf(aside, sizeof(aside), "%s/aside", place.folder);
    cr_assert_eq(rename(folder, aside), 0);
    cr_assert_eq(symlink("shard-1", folder), 0); /* to itself: it cannot be opened */
    cr_assert_neq(broker_new(&place, &sluice), SLUICE_OK);
    cr_assert_not_null(strstr(place.problem, "shard 1"), "%s", place.problem);
    cr_assert_eq(unlink(folder), 0);
    cr_assert_eq(rename(aside, folder), 0);
    cr_assert_eq(broker_new(&place, &sluice), SLUICE_OK, "%s", place.problem);
    sluice_free(sluice);
    place_free(&place);
}

/* ---- an end in the middle of a command ---- */

/* Commands on a plugin that is not loaded, as there is no processor_lua.so: one after the other,
 * and after the last one so many turns of the loop to the end. */
struct ending {
    struct sluice *sluice;
    const int32_t *kinds;
    uint32_t count;
    uint32_t turns;
    bool is_answered;
    struct sl_task task;
};

static void turn(struct sl_task *task)
{
    struct ending *ending = SL_CONTAINER_OF(task, struct ending, task);
    if (ending->turns-- == 0) {
        sluice_stop(ending->sluice);
    } else {
        sl_loop_post(ending->sluice->rooms[0].loop, task);
    }
}

static void command_next(struct ending *ending);

static void commanded(void *arg, const struct plugin_outcome *outcome)
{
    struct ending *ending = arg;
    (void)outcome;
    if (ending->count > 0) {
        command_next(ending);
    } else {
        ending->is_answered = true;
    }
}

static void command_next(struct ending *ending)
{
    const struct plugin_command command = {
        .kind = *ending->kinds++, .name = "x", .who = "test", .confirmed = true, .partition = -1};
    bool is_last = --ending->count == 0;
    plugin_manager_command(ending->sluice->plugins, &command, commanded, ending);
    if (is_last) {
        ending->task = (struct sl_task){.run = turn, .priority = SL_PRIORITY_CONTROL};
        sl_loop_post(ending->sluice->rooms[0].loop, &ending->task);
    }
}

static void is_ready(void *arg)
{
    command_next(arg);
}

static void end_in(const int32_t *kinds, uint32_t count, uint32_t turns)
{
    struct place place;
    char path[128];
    struct ending ending = {.kinds = kinds, .count = count, .turns = turns};
    const struct sluice_events events = {.ready = is_ready, .arg = &ending};
    place_make(&place, "1");
    snprintf(path, sizeof(path), "%s/plugins", place.folder);
    cr_assert_eq(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/plugins/x.lua", place.folder);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fclose(file);
    cr_assert_eq(broker_new_with(&place, &events, &ending.sluice), SLUICE_OK, "%s", place.problem);
    sluice_run(ending.sluice);
    cr_assert(ending.is_answered, "command %d, %u turns", kinds[count - 1], turns);
    sluice_free(ending.sluice);
    place_free(&place);
}

Test(sluice, ends_in_the_middle_of_any_command_on_a_plugin, .timeout = 60)
{
    static const int32_t of_loaded[] = {PLUGIN_COMMAND_RELOAD,  PLUGIN_COMMAND_UNLOAD,
                                        PLUGIN_COMMAND_DISABLE, PLUGIN_COMMAND_PAUSE,
                                        PLUGIN_COMMAND_SEEK,    PLUGIN_COMMAND_FORGET};
    static const int32_t back[][2] = {{PLUGIN_COMMAND_DISABLE, PLUGIN_COMMAND_ENABLE},
                                      {PLUGIN_COMMAND_PAUSE, PLUGIN_COMMAND_RESUME}};
    for (uint32_t turns = 0; turns < 2; turns++) {
        for (size_t i = 0; i < SL_COUNT_OF(of_loaded); i++) {
            end_in(&of_loaded[i], 1, turns);
        }
        for (size_t i = 0; i < SL_COUNT_OF(back); i++) {
            end_in(back[i], 2, turns);
        }
    }
}
