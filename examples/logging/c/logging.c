/* logging: stamps a `processed_at` header (milliseconds since the epoch) on every record of
 * `events`, logs one line per batch, and reads `log_level` from its configuration with the fallback
 * "info". */
#define _POSIX_C_SOURCE 200809L
#include <sluice/sluice.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HEADERS_MAX 64u

SLUICE_MANIFEST(
    "{\"id\":\"logging_c\",\"version\":\"1.0.0\",\"kind\":\"processor\",\"on\":\"log\","
    "\"input\":\"events\",\"output\":\"events.logged\","
    "\"config\":{\"type\":\"object\",\"properties\":{\"log_level\":{\"type\":\"string\","
    "\"enum\":[\"debug\",\"info\",\"warn\",\"error\"]}}}}");

struct logging {
    const struct sluice_host *host;
    int32_t level;
};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

/* Position in level_names, or -1. */
static int32_t level_of(struct sluice_text name)
{
    for (int32_t i = 0; i < 4; i++) {
        if (strlen(level_names[i]) == name.size &&
            memcmp(level_names[i], name.data, name.size) == 0) {
            return i;
        }
    }
    return -1;
}

static sluice_status create(const struct sluice_host *host, void **ret_self)
{
    struct logging *self = (struct logging *)calloc(1, sizeof(*self));
    if (self == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    self->host = host;
    *ret_self = self;
    return SLUICE_OK;
}

/* init and reconfigure: takes the level, or refuses and keeps the old one. */
static sluice_status read_config(void *data)
{
    struct logging *self = (struct logging *)data;
    const struct sluice_host *host = self->host;
    int32_t level = level_of(host->get_config(host, "log_level", sluice_text_of("info")));
    if (level < 0) {
        host->set_error(host,
                        sluice_text_of("logging: log_level must be debug, info, warn or error"));
        return SLUICE_E_PLUGIN_CONFIG;
    }
    self->level = level;
    return SLUICE_OK;
}

static sluice_status stamp(const struct sluice_record *in, uint32_t index, struct sluice_bytes now,
                           const struct sluice_writer *writer)
{
    struct sluice_header headers[HEADERS_MAX];
    if (in->header_count >= HEADERS_MAX) {
        return writer->reject(writer, index, sluice_text_of("too many headers to add one"));
    }
    if (in->header_count > 0) {
        memcpy(headers, in->headers, in->header_count * sizeof(headers[0]));
    }
    headers[in->header_count].key = sluice_text_of("processed_at");
    headers[in->header_count].value = now;

    struct sluice_emit out = {0};
    out.size = sizeof(out);
    out.partition = SLUICE_PARTITION_AUTO;
    out.timestamp = -1;
    out.key = in->key;
    out.value = in->value;
    out.headers = headers;
    out.header_count = in->header_count + 1;
    return writer->emit(writer, index, &out);
}

static void log_batch(const struct logging *self, const struct sluice_batch *batch)
{
    char line[160];
    int size = snprintf(line, sizeof(line), "%u records of %.*s-%d", batch->record_count,
                        (int)(batch->topic.size < 100 ? batch->topic.size : 100), batch->topic.data,
                        batch->partition);
    struct sluice_text text = {line, (uint64_t)size};
    self->host->log(self->host, self->level, text);
}

static sluice_status process_batch(void *data, const struct sluice_batch *batch,
                                   const struct sluice_writer *writer)
{
    const struct logging *self = (const struct logging *)data;
    struct timespec clock = {0, 0};
    clock_gettime(CLOCK_REALTIME, &clock);
    char text[24];
    int size = snprintf(text, sizeof(text), "%lld",
                        (long long)clock.tv_sec * 1000 + clock.tv_nsec / 1000000);
    struct sluice_bytes now = {(const uint8_t *)text, (uint64_t)size};

    for (uint32_t i = 0; i < batch->record_count; i++) {
        sluice_status status = stamp(sluice_batch_record(batch, i), i, now, writer);
        if (status != SLUICE_OK) {
            return status;
        }
    }
    log_batch(self, batch);
    return SLUICE_OK;
}

static const struct sluice_processor processor = {
    .size = sizeof(processor),
    .create = create,
    .init = read_config,
    .process_batch = process_batch,
    .reconfigure = read_config,
    .destroy = free,
};

SLUICE_PLUGIN(.size = sizeof(struct sluice_plugin_descriptor), .magic = SLUICE_PLUGIN_MAGIC,
              .abi_major = SLUICE_ABI_MAJOR, .abi_minor = SLUICE_ABI_MINOR,
              .kind = SLUICE_KIND_PROCESSOR, .id = "logging_c", .version = "1.0.0",
              .entry = &processor);
