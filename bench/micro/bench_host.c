/* bench_host.c: see bench_host.h. */
#include "bench_host.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const void *get_extension(const struct sluice_host *table, const char *id)
{
    const struct bench_host *host = table->data;
    if (strcmp(id, SLUICE_EXT_RESOURCES) == 0 && host->resources.count > 0) {
        return &host->resources;
    }
    return strcmp(id, SLUICE_EXT_SCRIPT) == 0 ? &host->script : NULL;
}

static void log_line(const struct sluice_host *table, int32_t level, struct sluice_text line)
{
    (void)table;
    fprintf(stderr, "%d: %.*s\n", level, (int)line.size, line.data);
}

static struct sluice_text get_config(const struct sluice_host *table, const char *key,
                                     struct sluice_text fallback)
{
    const struct bench_host *host = table->data;
    bool is_flag = host->flag != NULL && strcmp(host->flag, key) == 0;
    return is_flag ? sluice_text_of("true") : fallback;
}

static struct sluice_text get_config_json(const struct sluice_host *table)
{
    return sluice_text_of(((const struct bench_host *)table->data)->config_json);
}

static void set_error(const struct sluice_host *table, struct sluice_text reason)
{
    log_line(table, SLUICE_LOG_ERROR, reason);
}

static sluice_status take(const struct sluice_writer *writer, uint32_t index)
{
    struct bench_host *host = writer->data;
    (void)index;
    host->verdicts++;
    return SLUICE_OK;
}

static sluice_status take_emit(const struct sluice_writer *writer, uint32_t index,
                               const struct sluice_emit *record)
{
    struct bench_host *host = writer->data;
    if (record->value.data != host->output && record->value.size <= sizeof(host->output)) {
        memcpy(host->output, record->value.data, (size_t)record->value.size);
    }
    return take(writer, index);
}

static sluice_status take_reject(const struct sluice_writer *writer, uint32_t index,
                                 struct sluice_text reason)
{
    (void)index;
    log_line(&((struct bench_host *)writer->data)->host, SLUICE_LOG_ERROR, reason);
    abort();
}

static sluice_status reserve(const struct sluice_writer *writer, uint64_t size,
                             uint8_t **ret_memory)
{
    struct bench_host *host = writer->data;
    *ret_memory = host->output;
    return size <= sizeof(host->output) ? SLUICE_OK : SLUICE_E_LIMIT;
}

void bench_host_run(void *argument)
{
    struct bench_host *host = argument;
    if (host->processor->process_batch(host->self, &host->batch, &host->writer) != SLUICE_OK) {
        abort();
    }
}

static const struct sluice_processor *processor_of(const char *module)
{
    void *library = dlopen(module, RTLD_NOW | RTLD_LOCAL);
    const struct sluice_plugin_descriptor *plugin =
        library != NULL ? dlsym(library, SLUICE_PLUGIN_SYMBOL) : NULL;
    if (plugin == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    return plugin->entry;
}

static void fill_tables(struct bench_host *host, const struct bench_host_settings *settings)
{
    const char *source = settings->source != NULL ? settings->source : "";
    const char *library = settings->library != NULL ? settings->library : "";
    host->host = (struct sluice_host){.size = sizeof(host->host),
                                      .data = host,
                                      .get_extension = get_extension,
                                      .log = log_line,
                                      .get_config = get_config,
                                      .get_config_json = get_config_json,
                                      .set_error = set_error};
    host->writer = (struct sluice_writer){.size = sizeof(host->writer),
                                          .data = host,
                                          .pass = take,
                                          .drop = take,
                                          .emit = take_emit,
                                          .reject = take_reject,
                                          .retry = take_reject,
                                          .reserve = reserve,
                                          .fail = take_reject};
    host->script = (struct sluice_script){.size = sizeof(host->script),
                                          .file = sluice_text_of("bench.lua"),
                                          .source = {(const uint8_t *)source, strlen(source)}};
    host->library = (struct sluice_resource){.size = sizeof(host->library),
                                             .kind = SLUICE_RESOURCE_LIBRARY,
                                             .descriptor = -1,
                                             .name = sluice_text_of(library)};
    host->resources = (struct sluice_resources){sizeof(host->resources), settings->library != NULL,
                                                sizeof(host->library), &host->library};
    host->config_json = settings->config_json != NULL ? settings->config_json : "{}";
    host->flag = settings->flag;
}

static void fill_batch(struct bench_host *host, struct sluice_bytes value)
{
    for (uint32_t i = 0; i < BENCH_HOST_RECORDS; i++) {
        host->records[i] = (struct sluice_record){.size = sizeof(struct sluice_record),
                                                  .offset = i,
                                                  .timestamp = 1700000000000,
                                                  .value = value};
    }
    host->batch = (struct sluice_batch){.size = sizeof(host->batch),
                                        .record_count = BENCH_HOST_RECORDS,
                                        .records = host->records,
                                        .record_stride = sizeof(struct sluice_record),
                                        .topic = sluice_text_of("orders")};
}

struct bench_host *bench_host_new(const struct bench_host_settings *settings)
{
    struct bench_host *host = calloc(1, sizeof(*host));
    if (host == NULL) {
        exit(1);
    }
    fill_tables(host, settings);
    fill_batch(host, settings->value);
    host->processor =
        settings->module != NULL ? processor_of(settings->module) : settings->processor;
    if (host->processor->create(&host->host, &host->self) != SLUICE_OK ||
        (host->processor->init != NULL && host->processor->init(host->self) != SLUICE_OK)) {
        exit(1);
    }
    return host;
}

void bench_host_free(struct bench_host *host)
{
    host->processor->destroy(host->self);
    free(host);
}
