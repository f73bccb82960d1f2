/* test_sluice.c: the life of a broker that never gets as far as running. */
#include "broker/sluice.h"
#include "os/os_log.h"
#include "os/os_uv.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SETTINGS 4

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
    cr_assert_eq(sl_os_uv_new(2, &place->os), SLUICE_OK);
    const struct sl_log_config log = {
        .sink = no_log, .wall_ms = sl_os_log_clock, .clock_arg = place->os, .level = SL_LOG_INFO};
    cr_assert_eq(sl_logger_new(&log, &place->logger), SLUICE_OK);
}

static sl_err broker_new(struct place *place, struct sluice **ret_sluice)
{
    static struct config_report report;
    const struct sluice_events events = {.arg = NULL};
    struct config_sources sources = {.setting_count = SETTINGS};
    struct sl_config *config = NULL;
    for (size_t i = 0; i < SETTINGS; i++) {
        sources.settings[i] = place->settings[i];
    }
    cr_assert_eq(config_load(place->os, &sources, &report, &config), SLUICE_OK, "%s",
                 report.problems[0]);
    return sluice_new(place->os, place->logger, config, &events, ret_sluice, place->problem);
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
