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

static struct sluice_text broker_config_get(const struct sluice_broker_config *config,
                                            const char *key, struct sluice_text fallback)
{
    struct worker *worker = config->data;

    return config_get(&worker->broker_config_text, key, fallback);
}

static const void *broker_config_of(struct worker *worker)
{
    if (worker->boot->has_broker_config == 0) {
        worker->host.set_error(
            &worker->host,
            sluice_text_of("the broker's configuration: it needs the permission read_config, in "
                           "the manifest and in plugins.instances.NAME.permissions"));
        return NULL;
    }
    return &worker->broker_config;
}

static const void *get_extension(const struct sluice_host *host, const char *id)
{
    struct worker *worker = of(host);

    if (!host_offers(worker, id)) {
        return NULL;
    }
    const struct {
        const char *id;
        const void *table;
    } offers[] = {
        {SLUICE_EXT_RESOURCES, &worker->resources},   {SLUICE_EXT_CHANGE, &worker->change},
        {SLUICE_EXT_TASK, &worker->tasks.host},       {SLUICE_EXT_STATE, &worker->state.table},
        {SLUICE_EXT_METRICS, &worker->metrics.table}, {SLUICE_EXT_LIMITS, &worker->limits},
        {SLUICE_EXT_SCRIPT, &worker->script},
    };
    if (strcmp(id, SLUICE_EXT_BROKER_CONFIG) == 0) {
        return broker_config_of(worker);
    }
    worker->state.is_wanted = worker->state.is_wanted || strcmp(id, SLUICE_EXT_STATE) == 0;
    for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++) {
        if (strcmp(id, offers[i].id) == 0) {
            return offers[i].table;
        }
    }
    return NULL;
}

bool host_offers(const struct worker *worker, const char *extension)
{
    static const char *const always[] = {
        SLUICE_EXT_LIMITS, SLUICE_EXT_RESOURCES, SLUICE_EXT_CHANGE,       SLUICE_EXT_TASK,
        SLUICE_EXT_STATE,  SLUICE_EXT_METRICS,   SLUICE_EXT_BROKER_CONFIG};

    for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++) {
        if (strcmp(extension, always[i]) == 0) {
            return true;
        }
    }
    return worker->boot->has_script != 0 && strcmp(extension, SLUICE_EXT_SCRIPT) == 0;
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
    worker->broker_config_text =
        (struct config){.json = span_text(worker, worker->boot->broker_config)};
    worker->broker_config = (struct sluice_broker_config){
        .size = sizeof(worker->broker_config),
        .data = worker,
        .get = broker_config_get,
        .json = worker->broker_config_text.json,
    };
    metrics_init(worker);
    tasks_init(worker);
    state_init(worker);
    worker->log_tokens = LINES_BURST;
}
