/* host_table.c: the table that a plugin gets as its host. */
#include "worker.h"

#include <string.h>
#include <time.h>

/* The worker's own, stricter limit on log lines; the host has one too and kills floods. */
#define LINES_BURST 100
#define LINES_PER_S 50

static struct worker *of(const struct sluice_host *host)
{
    return host->data;
}

static const void *get_extension(const struct sluice_host *host, const char *id)
{
    struct worker *worker = of(host);

    if (!host_offers(worker, id)) {
        return NULL;
    }
    if (strcmp(id, SLUICE_EXT_RESOURCES) == 0) {
        return &worker->resources;
    }
    if (strcmp(id, SLUICE_EXT_CHANGE) == 0) {
        return &worker->change;
    }
    if (strcmp(id, SLUICE_EXT_TASK) == 0) {
        return &worker->tasks.host;
    }
    if (strcmp(id, SLUICE_EXT_STATE) == 0) {
        worker->state.is_wanted = true;
        return &worker->state.table;
    }
    return strcmp(id, SLUICE_EXT_LIMITS) == 0 ? (const void *)&worker->limits : &worker->script;
}

bool host_offers(const struct worker *worker, const char *extension)
{
    return strcmp(extension, SLUICE_EXT_LIMITS) == 0 ||
           strcmp(extension, SLUICE_EXT_RESOURCES) == 0 ||
           strcmp(extension, SLUICE_EXT_CHANGE) == 0 || strcmp(extension, SLUICE_EXT_TASK) == 0 ||
           strcmp(extension, SLUICE_EXT_STATE) == 0 ||
           (worker->boot->has_script != 0 && strcmp(extension, SLUICE_EXT_SCRIPT) == 0);
}

static bool line_allowed(struct worker *worker)
{
    struct timespec time;
    int64_t now_ms;
    int64_t gained;

    clock_gettime(CLOCK_MONOTONIC, &time);
    now_ms = (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
    gained = (now_ms - worker->log_ms) * LINES_PER_S / 1000;
    if (gained > 0) {
        const int64_t tokens = worker->log_tokens + gained;

        worker->log_tokens = tokens > LINES_BURST ? LINES_BURST : (int32_t)tokens;
        worker->log_ms = now_ms;
    }
    if (worker->log_tokens == 0) {
        worker->log_lost++;
        return false;
    }
    worker->log_tokens--;
    return true;
}

static void log_line(const struct sluice_host *host, int32_t level, struct sluice_text line)
{
    struct worker *worker = of(host);

    if (line_allowed(worker)) {
        link_note(CONTROL_LOG, level, worker->log_lost, line, false);
        worker->log_lost = 0;
    }
}

static struct sluice_text get_config(const struct sluice_host *host, const char *key,
                                     struct sluice_text fallback)
{
    return config_get(&of(host)->config, key, fallback);
}

static struct sluice_text get_config_json(const struct sluice_host *host)
{
    return of(host)->config.json;
}

static void set_error(const struct sluice_host *host, struct sluice_text reason)
{
    struct worker *worker = of(host);

    worker->error_size = reason.size > sizeof(worker->error) ? (uint32_t)sizeof(worker->error)
                                                             : (uint32_t)reason.size;
    if (worker->error_size > 0) {
        memcpy(worker->error, reason.data, worker->error_size);
    }
}

void host_error_clear(struct worker *worker)
{
    worker->error_size = 0;
}

static struct sluice_text span_text(const struct worker *worker, struct boot_span span)
{
    return (struct sluice_text){(const char *)worker->boot + span.at, span.size};
}

static void resources_init(struct worker *worker)
{
    const struct boot_wire *boot = worker->boot;

    for (uint32_t i = 0; i < boot->resource_count; i++) {
        worker->resource_items[i] = (struct sluice_resource){
            .size = sizeof(worker->resource_items[i]),
            .kind = boot->resource_kinds[i],
            .descriptor = boot->resource_descriptors[i],
            .name = span_text(worker, boot->resources[i]),
        };
    }
    worker->resources = (struct sluice_resources){.size = sizeof(worker->resources),
                                                  .count = boot->resource_count,
                                                  .stride = sizeof(worker->resource_items[0]),
                                                  .items = worker->resource_items};
}

void host_tell_change(struct worker *worker, struct sluice_text before_json)
{
    struct timespec time = {0};

    if (before_json.data != NULL) {
        clock_gettime(CLOCK_REALTIME, &time);
    }
    worker->change = (struct sluice_change){
        .size = sizeof(worker->change),
        .time_ms = (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000,
        .before_json = before_json,
    };
}

void host_init(struct worker *worker)
{
    const struct sluice_text source = span_text(worker, worker->boot->script);

    host_tell_change(worker, (struct sluice_text){NULL, 0});
    worker->host = (struct sluice_host){
        .size = sizeof(worker->host),
        .abi_minor = SLUICE_ABI_MINOR,
        .data = worker,
        .get_extension = get_extension,
        .log = log_line,
        .get_config = get_config,
        .get_config_json = get_config_json,
        .set_error = set_error,
    };
    worker->config = (struct config){.json = span_text(worker, worker->boot->config)};
    worker->script = (struct sluice_script){
        .size = sizeof(worker->script),
        .file = span_text(worker, worker->boot->script_name),
        .source = {(const uint8_t *)source.data, source.size},
    };
    worker->limits = (struct sluice_limits){
        .size = sizeof(worker->limits),
        .descriptors = worker->boot->limits.descriptors_max,
        .memory_bytes = worker->boot->limits.memory_bytes_max,
    };
    resources_init(worker);
    tasks_init(worker);
    state_init(worker);
    worker->log_tokens = LINES_BURST;
}
