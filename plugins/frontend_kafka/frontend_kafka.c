/* frontend_kafka.c: the module: descriptor, manifest, life of an instance.
 *
 * Kafka's wire protocol at the version ranges of Kafka 4.3, on listeners that the host opens. One
 * instance a loop thread. What happens to a request: kafka_frontend.h. */
#include "kafka_frontend.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

SLUICE_MANIFEST("{\"id\":\"frontend_kafka\",\"version\":\"0.1.0\",\"kind\":\"frontend\","
                "\"config\":{\"type\":\"object\",\"properties\":{"
                "\"listen\":{\"type\":\"string\"},"
                "\"advertised\":{\"type\":\"string\"},"
                "\"request_bytes_max\":{\"type\":\"integer\",\"minimum\":1024},"
                "\"connections_idle_ms\":{\"type\":\"integer\",\"minimum\":0},"
                "\"fetch_session_slots\":{\"type\":\"integer\",\"minimum\":0},"
                "\"groups\":{\"type\":\"boolean\"},"
                "\"legacy\":{\"type\":\"boolean\"}}}}");

/* A number of the configuration; false: it is there and is not one within the bounds. */
static bool config_number(const struct sluice_host *host, const char *key, uint32_t min,
                          uint32_t max, uint32_t *number)
{
    struct sluice_text text = host->get_config(host, key, (struct sluice_text){NULL, 0});
    uint64_t value = 0;
    char reason[128];

    if (text.data == NULL) {
        return true;
    }
    for (uint64_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || value > max) {
            value = UINT64_MAX;
            break;
        }
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    if (text.size == 0 || value < min || value > max) {
        snprintf(reason, sizeof(reason), "%s must be a number from %u to %u", key, min, max);
        host->set_error(host, sluice_text_of(reason));
        return false;
    }
    *number = (uint32_t)value;
    return true;
}

/* A switch of the configuration; false: it is there and is neither on nor off. */
static bool config_switch(const struct sluice_host *host, const char *key, bool *value)
{
    struct sluice_text text = host->get_config(host, key, (struct sluice_text){NULL, 0});
    bool on = text.size == 4 && memcmp(text.data, "true", 4) == 0;
    bool off = text.size == 5 && memcmp(text.data, "false", 5) == 0;
    char reason[128];

    if (text.data != NULL && !on && !off) {
        snprintf(reason, sizeof(reason), "%s must be true or false", key);
        host->set_error(host, sluice_text_of(reason));
        return false;
    }
    *value = text.data == NULL ? *value : on;
    return true;
}

/* Reads the configuration; nothing changes when it is not valid. */
static sluice_status configure(struct kafka_frontend *frontend)
{
    uint32_t request_bytes_max = KAFKA_REQUEST_BYTES_MAX;
    uint32_t slots_max = FETCH_SESSION_SLOTS_MAX;
    uint32_t idle_ms = KAFKA_IDLE_MS;
    bool groups = true;
    bool legacy = false;

    if (!config_number(frontend->host, "request_bytes_max", 1024, 1u << 30, &request_bytes_max) ||
        !config_number(frontend->host, "connections_idle_ms", 0, INT32_MAX, &idle_ms) ||
        !config_number(frontend->host, "fetch_session_slots", 0, 1000000, &slots_max) ||
        !config_switch(frontend->host, "groups", &groups) ||
        !config_switch(frontend->host, "legacy", &legacy)) {
        return SLUICE_E_PLUGIN_CONFIG;
    }
    if (legacy && (frontend->tasks == NULL || frontend->message_sets == NULL)) {
        frontend->host->set_error(frontend->host,
                                  sluice_text_of("legacy: this host converts no message sets"));
        return SLUICE_E_PLUGIN_CONFIG;
    }
    frontend->legacy = legacy;
    frontend->request_bytes_max = request_bytes_max;
    frontend->sessions.slots_max = slots_max;
    frontend->idle_ms = idle_ms;
    frontend->groups = groups;
    return SLUICE_OK;
}

/* Session ids should not be guessed by other clients. */
static uint64_t random_seed(const struct kafka_frontend *frontend)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed)) {
        seed = (uint64_t)(uintptr_t)frontend ^
               ((uint64_t)frontend->io->now_ms(frontend->io) << 32) ^
               (uint64_t)frontend->io->wall_ms(frontend->io);
    }
    return seed;
}

static void destroy(void *self)
{
    kafka_frontend_unref(self);
}

static sluice_status create(const struct sluice_host *host, void **ret_self)
{
    struct kafka_frontend *frontend = calloc(1, sizeof(*frontend));
    sluice_status status;

    if (frontend == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    frontend->refs = 1;
    frontend->host = host;
    frontend->io = host->get_extension(host, SLUICE_EXT_FRONTEND);
    frontend->broker = host->get_extension(host, SLUICE_EXT_BROKER);
    frontend->quota = host->get_extension(host, SLUICE_EXT_QUOTA);
    frontend->telemetry = host->get_extension(host, SLUICE_EXT_TELEMETRY);
    frontend->security = host->get_extension(host, SLUICE_EXT_SECURITY);
    frontend->tasks = host->get_extension(host, SLUICE_EXT_TASK);
    frontend->message_sets = host->get_extension(host, SLUICE_EXT_MESSAGE_SET);
    if (frontend->io == NULL || frontend->broker == NULL ||
        frontend->broker->size < sizeof(*frontend->broker)) {
        host->set_error(host, sluice_text_of("this host offers no broker that a frontend of this "
                                             "version can use"));
        free(frontend);
        return SLUICE_E_UNSUPPORTED;
    }
    fetch_sessions_init(&frontend->sessions, FETCH_SESSION_SLOTS_MAX, random_seed(frontend));
    kafka_writer_init(&frontend->writer, KAFKA_RESPONSE_BYTES_MAX);
    status = configure(frontend);
    if (status != SLUICE_OK) {
        destroy(frontend);
        return status;
    }
    *ret_self = frontend;
    return SLUICE_OK;
}

static sluice_status reconfigure(void *self)
{
    return configure(self);
}

static const struct sluice_frontend frontend_ops = {
    .size = sizeof(frontend_ops),
    .create = create,
    .destroy = destroy,
    .conn_open = kafka_conn_open,
    .conn_input = kafka_conn_input,
    .conn_closed = kafka_conn_closed,
    .tick = kafka_conn_tick,
    .reconfigure = reconfigure,
};

static const char *const required_extensions[] = {SLUICE_EXT_BROKER, SLUICE_EXT_FRONTEND, NULL};

SLUICE_PLUGIN(.size = sizeof(struct sluice_plugin_descriptor), .magic = SLUICE_PLUGIN_MAGIC,
              .abi_major = SLUICE_ABI_MAJOR, .abi_minor = SLUICE_ABI_MINOR,
              .kind = SLUICE_KIND_FRONTEND, .id = "frontend_kafka", .version = "0.1.0",
              .required_extensions = required_extensions, .entry = &frontend_ops);
