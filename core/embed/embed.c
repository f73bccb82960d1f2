/* embed.c: see <sluice/embed.h>: the life of a broker in a program that is not ours. */
#include "embed/embed.h"

#include "base/buffer.h"
#include "base/status.h"
#include "os/os_log.h"
#include "os/os_map.h"
#include "os/os_program.h"
#include "os/os_uv.h"

#include <stdio.h>
#include <string.h>

#define HELPER_THREADS    4u
#define REPEAT_WINDOW_MS  5000u
#define METRICS_BYTES_MAX (64u << 20)

static void write_log(void *arg, enum sl_log_level level SL_UNUSED, const char *line, size_t size)
{
    struct sluice_embed *embed = arg;
    embed->log(embed->arg, line, size);
}

/* ---- made and freed ---- */

static sl_err make_logger(struct sluice_embed *embed, const struct sl_config *config)
{
    struct sl_log_config log = {.sink = embed->log != NULL ? write_log : sl_os_log_stderr,
                                .sink_arg = embed,
                                .wall_ms = sl_os_log_clock,
                                .clock_arg = embed->os,
                                .level = (enum sl_log_level)config->log.level,
                                .format = (enum sl_log_format)config->log.format,
                                .repeat_window_ms = REPEAT_WINDOW_MS};
    return sl_logger_new(&log, &embed->logger);
}

/* A program's path in the installation that the library is of, or in the one that is named. */
static void find_program(const char *prefix, char ret_path[SL_PROGRAM_PATH_BYTES])
{
    if (prefix != NULL) {
        snprintf(ret_path, SL_PROGRAM_PATH_BYTES, "%s/bin/sluice", prefix);
    } else {
        sl_program_of_library((const void *)(uintptr_t)sluice_embed_create, ret_path);
    }
}

static sl_err load_config(struct sluice_embed *embed, const struct sluice_embed_config *from,
                          struct sl_config **ret_config, char *ret_problem)
{
    char executable[SL_PROGRAM_PATH_BYTES];
    struct config_sources sources = {.executable = executable};
    find_program(from->prefix, executable);
    if (from->setting_count > SL_COUNT_OF(sources.settings)) {
        return SLUICE_E_LIMIT;
    }
    for (uint32_t i = 0; i < from->setting_count; i++) {
        sources.settings[sources.setting_count++] = from->settings[i];
    }
    if (from->file != NULL) {
        sources.files[sources.file_count++] = from->file;
    }
    sl_err err = config_load(embed->os, &sources, &embed->report, ret_config);
    if (err != SLUICE_OK && embed->report.count > 0) {
        snprintf(ret_problem, SLUICE_EMBED_PROBLEM_BYTES, "%s", embed->report.problems[0]);
    }
    return err;
}

static void stop_now(struct sl_task *task)
{
    struct sluice_embed *embed = SL_CONTAINER_OF(task, struct sluice_embed, stop_task);
    sluice_stop(embed->sluice);
}

/* Its last frontend may be open only when it stops already. */
static void on_ready(void *arg)
{
    struct sluice_embed *embed = arg;
    int starting = EMBED_STARTING;
    bool runs = atomic_compare_exchange_strong(&embed->state, &starting, EMBED_RUNNING);
    if (runs && embed->ready != NULL) {
        embed->ready(embed->arg);
    }
}

static void on_stopping(void *arg)
{
    struct sluice_embed *embed = arg;
    atomic_store(&embed->state, EMBED_STOPPING);
    embed_publish_fail(embed, SLUICE_E_STOPPING);
}

static sl_err open_broker(struct sluice_embed *embed, const struct sluice_embed_config *config,
                          char *ret_problem)
{
    const struct sluice_events events = {.arg = embed, .ready = on_ready, .stopping = on_stopping};
    struct sl_config *loaded = NULL;
    sl_err err = sl_os_uv_new(HELPER_THREADS, &embed->os);
    err = err != SLUICE_OK ? err : load_config(embed, config, &loaded, ret_problem);
    if (err != SLUICE_OK) {
        return err;
    }
    err = make_logger(embed, loaded);
    if (err != SLUICE_OK) {
        config_free(loaded);
        return err;
    }
    return sluice_new(embed->os, embed->logger, loaded, &events, &embed->sluice, ret_problem);
}

sluice_status sluice_embed_create(const struct sluice_embed_config *config,
                                  struct sluice_embed **ret_embed,
                                  char ret_problem[SLUICE_EMBED_PROBLEM_BYTES])
{
    if (config == NULL || config->size < sizeof(*config)) {
        snprintf(ret_problem, SLUICE_EMBED_PROBLEM_BYTES, "config->size is not set");
        return SLUICE_E_INVALID;
    }
    struct sluice_embed *embed = sl_alloc_zero(1, sizeof(*embed));
    ret_problem[0] = '\0';
    if (embed == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    embed->log = config->log;
    embed->ready = config->ready;
    embed->arg = config->arg;
    embed->stop_task = (struct sl_task){.run = stop_now, .priority = SL_PRIORITY_CONTROL};
    embed_publish_init(embed);
    sl_err err = open_broker(embed, config, ret_problem);
    if (err != SLUICE_OK) {
        if (ret_problem[0] == '\0') {
            snprintf(ret_problem, SLUICE_EMBED_PROBLEM_BYTES, "%s", sl_status_text(err));
        }
        sluice_embed_destroy(embed);
        return err;
    }
    *ret_embed = embed;
    return SLUICE_OK;
}

void sluice_embed_destroy(struct sluice_embed *embed)
{
    if (embed == NULL) {
        return;
    }
    sluice_free(embed->sluice);
    sl_logger_free(embed->logger);
    if (embed->os != NULL) {
        sl_os_free(embed->os);
    }
    sl_free(embed);
}

/* ---- run ---- */

sluice_status sluice_embed_run(struct sluice_embed *embed)
{
    int made = EMBED_MADE;
    if (!atomic_compare_exchange_strong(&embed->state, &made, EMBED_STARTING)) {
        return SLUICE_E_INVALID;
    }
    sluice_run(embed->sluice);
    atomic_store(&embed->state, EMBED_ENDED);
    while (atomic_load(&embed->publishers) > 0) {
        /* They saw it run a moment ago, and are a few instructions from their end. */
    }
    embed_publish_fail(embed, SLUICE_E_STOPPING);
    return sluice_is_fenced(embed->sluice) ? SLUICE_E_FENCED : SLUICE_OK;
}

sluice_status sluice_embed_stop(struct sluice_embed *embed)
{
    atomic_fetch_add(&embed->publishers, 1); /* the loop is not freed meanwhile */
    int state = atomic_load(&embed->state);
    bool runs = state != EMBED_MADE && state != EMBED_ENDED;
    if (runs && !atomic_exchange(&embed->stop_posted, true)) {
        sl_loop_post(sluice_loop(embed->sluice), &embed->stop_task);
    }
    atomic_fetch_sub(&embed->publishers, 1);
    return runs ? SLUICE_OK : SLUICE_E_NOT_RUNNING;
}

sluice_status sluice_embed_metrics(struct sluice_embed *embed, sluice_embed_write *give, void *arg)
{
    struct sl_buffer text;
    if (atomic_load(&embed->state) != EMBED_RUNNING) {
        return SLUICE_E_NOT_RUNNING;
    }
    sl_buffer_init(&text, METRICS_BYTES_MAX);
    sl_err err = sluice_metrics(embed->sluice, &text);
    if (err == SLUICE_OK) {
        give(arg, (const char *)text.data, text.size);
    }
    sl_buffer_fini(&text);
    return err;
}

/* ---- files ---- */

static void unmap(void *arg)
{
    sl_map_close(arg);
}

sluice_status sluice_embed_map(const char *path, uint64_t offset, uint64_t size,
                               struct sluice_payload *ret_payload)
{
    struct sl_map *map = NULL;
    struct sl_bytes bytes;
    sl_err err = sl_map_open(path, offset, size, &map, &bytes);
    if (err == SLUICE_OK) {
        *ret_payload = (struct sluice_payload){
            .data = bytes.data, .size = bytes.size, .release = unmap, .release_arg = map};
    }
    return err;
}
