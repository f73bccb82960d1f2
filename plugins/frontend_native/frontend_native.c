/* frontend_native.c: the module: descriptor, manifest, life of an instance.
 *
 * Sluice's own protocol (docs/formats/native.md) on listeners that the host opens. One instance a
 * loop thread. What happens to a frame: native_frontend.h. */
#include "native_frontend.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

SLUICE_MANIFEST("{\"id\":\"frontend_native\",\"version\":\"0.1.0\",\"kind\":\"frontend\","
                "\"config\":{\"type\":\"object\",\"properties\":{"
                "\"listen\":{\"type\":\"string\"},"
                "\"frame_bytes_max\":{\"type\":\"integer\",\"minimum\":65536},"
                "\"subscriptions_max\":{\"type\":\"integer\",\"minimum\":1},"
                "\"sources_max\":{\"type\":\"integer\",\"minimum\":1},"
                "\"publishes_max\":{\"type\":\"integer\",\"minimum\":1},"
                "\"output_bytes_max\":{\"type\":\"integer\",\"minimum\":4096},"
                "\"keys_max\":{\"type\":\"integer\",\"minimum\":1},"
                "\"heartbeat_ms\":{\"type\":\"integer\",\"minimum\":0}}},"
                "\"defaults\":{\"listen\":\"127.0.0.1:9192\"}}");

/* A number of the configuration. */
struct limit_row {
    const char *key;
    uint32_t min, max, initial;
    size_t at; /* in struct native_limits */
};
static const struct limit_row limit_rows[] = {
    {"frame_bytes_max", 64u << 10, 16u << 20, 8u << 20,
     offsetof(struct native_limits, frame_bytes_max)},
    {"subscriptions_max", 1, 1000000, 10000, offsetof(struct native_limits, subscriptions_max)},
    {"sources_max", 1, 1000000, 10000, offsetof(struct native_limits, sources_max)},
    {"publishes_max", 1, 65536, 256, offsetof(struct native_limits, publishes_max)},
    {"output_bytes_max", 4u << 10, 64u << 20, 256u << 10,
     offsetof(struct native_limits, output_bytes_max)},
    {"keys_max", 1, 10000000, 100000, offsetof(struct native_limits, keys_max)},
    {"heartbeat_ms", 0, INT32_MAX, 60000, offsetof(struct native_limits, heartbeat_ms)},
};

/* UINT64_MAX: no number. */
static uint64_t parse(struct sluice_text text)
{
    uint64_t value = text.size == 0 || text.size > 10 ? UINT64_MAX : 0;
    for (uint64_t i = 0; i < text.size && value != UINT64_MAX; i++) {
        bool is_digit = text.data[i] >= '0' && text.data[i] <= '9';
        value = is_digit ? value * 10 + (uint64_t)(text.data[i] - '0') : UINT64_MAX;
    }
    return value;
}

static bool take_limit(const struct sluice_host *host, const struct limit_row *row,
                       struct native_limits *limits)
{
    struct sluice_text text = host->get_config(host, row->key, (struct sluice_text){NULL, 0});
    uint64_t value = text.data == NULL ? row->initial : parse(text);
    char reason[128];
    if (value < row->min || value > row->max) {
        snprintf(reason, sizeof(reason), "%s must be a number from %u to %u", row->key, row->min,
                 row->max);
        host->set_error(host, sluice_text_of(reason));
        return false;
    }
    *(uint32_t *)(void *)((char *)limits + row->at) = (uint32_t)value;
    return true;
}

/* Nothing changes when the configuration is not valid. */
static sluice_status configure(struct native_frontend *frontend)
{
    struct native_limits limits;
    for (size_t i = 0; i < sizeof(limit_rows) / sizeof(limit_rows[0]); i++) {
        if (!take_limit(frontend->host, &limit_rows[i], &limits)) {
            return SLUICE_E_PLUGIN_CONFIG;
        }
    }
    frontend->limits = limits;
    frontend->writer.size_max = limits.frame_bytes_max;
    return SLUICE_OK;
}

static bool is_offered(const struct native_frontend *frontend)
{
    return frontend->io != NULL && frontend->broker != NULL && frontend->records != NULL &&
           frontend->broker->size >= sizeof(*frontend->broker) &&
           frontend->io->size >= sizeof(*frontend->io);
}

static sluice_status create(const struct sluice_host *host, void **ret_self)
{
    struct native_frontend *frontend = calloc(1, sizeof(*frontend));
    if (frontend == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    frontend->refs = 1;
    frontend->host = host;
    frontend->tick_at_ms = frontend->shares_due_ms = INT64_MAX;
    if (getrandom(&frontend->seed, sizeof(frontend->seed), GRND_NONBLOCK) < 0) {
        frontend->seed = (uint64_t)(uintptr_t)frontend;
    }
    frontend->io = host->get_extension(host, SLUICE_EXT_FRONTEND);
    frontend->broker = host->get_extension(host, SLUICE_EXT_BROKER);
    frontend->records = host->get_extension(host, SLUICE_EXT_RECORDS);
    frontend->security = host->get_extension(host, SLUICE_EXT_SECURITY);
    frontend->quota = host->get_extension(host, SLUICE_EXT_QUOTA);
    frontend->filters = host->get_extension(host, SLUICE_EXT_FILTER);
    native_writer_init(&frontend->writer, 0);
    sluice_status status = SLUICE_E_UNSUPPORTED;
    if (!is_offered(frontend)) {
        host->set_error(host, sluice_text_of("this host offers no broker that a frontend of this "
                                             "version can use"));
    } else {
        status = configure(frontend);
    }
    if (status != SLUICE_OK) {
        native_frontend_unref(frontend);
        return status;
    }
    *ret_self = frontend;
    return SLUICE_OK;
}

static void destroy(void *self)
{
    struct native_frontend *frontend = self;
    frontend->destroyed = true;
    while (frontend->ready != NULL) { /* of connections that are gone */
        struct native_source *source = frontend->ready;
        frontend->ready = source->next_ready;
        native_source_unref(source);
    }
    native_frontend_unref(frontend);
}

static sluice_status reconfigure(void *self)
{
    return configure(self);
}

/* By which other frontends hand it connections: WebSocket's name for it, version included. */
static const char *const protocols[] = {"sluice.native.1", NULL};

static const struct sluice_frontend frontend_ops = {
    .size = sizeof(frontend_ops),
    .create = create,
    .destroy = destroy,
    .conn_open = native_conn_open,
    .conn_input = native_conn_input,
    .conn_closed = native_conn_closed,
    .tick = native_tick,
    .reconfigure = reconfigure,
    .conn_drained = native_conn_drained,
    .conn_told = native_conn_told,
    .conn_leaving = native_conn_leaving,
    .protocols = protocols,
};

static const char *const required_extensions[] = {SLUICE_EXT_BROKER, SLUICE_EXT_FRONTEND,
                                                  SLUICE_EXT_RECORDS, NULL};

SLUICE_PLUGIN(.size = sizeof(struct sluice_plugin_descriptor), .magic = SLUICE_PLUGIN_MAGIC,
              .abi_major = SLUICE_ABI_MAJOR, .abi_minor = SLUICE_ABI_MINOR,
              .kind = SLUICE_KIND_FRONTEND, .id = "frontend_native", .version = "0.1.0",
              .required_extensions = required_extensions, .entry = &frontend_ops);
