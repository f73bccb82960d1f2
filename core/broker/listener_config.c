/* listener_config.c: see listener_config.h. */
#include "broker/listener_config.h"

#include "base/text.h"
#include "broker/sluice_state.h"
#include "broker/tls_config.h"
#include "intake/conn.h"

#include <cjson/cJSON.h>
#include <sluice/shared_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is being read, for the sentence that says what is wrong with it. */
struct reading {
    struct listener *listener;
    const struct listener_tls *base_tls; /* of kafka.listen, or NULL */
    const char *place;                   /* "kafka.listeners.outside" */
    char *problem;
    size_t problem_size;
};

#define LIFETIME_MS_MAX (365.0 * 24 * 3600 * 1000)
#define NATIVE_UNIX     "native-unix"
#define UNIX_PATH_MAX   107u /* of the system */
#define WRONG(reading, ...) \
    (snprintf((reading)->problem, (reading)->problem_size, __VA_ARGS__), SLUICE_E_CONFIG_VALUE)

void listener_list_drop(struct listener_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        listener_unref(list->listeners[i]);
    }
    list->count = 0;
}

/* ---- members of an object ---- */

static sl_err take_text(const struct reading *reading, const cJSON *value, char *ret_text,
                        size_t room)
{
    const char *text = cJSON_GetStringValue(value);
    if (text == NULL || strlen(text) >= room) {
        return WRONG(reading, "%s.%s must be a text of at most %zu bytes", reading->place,
                     value->string, room - 1);
    }
    memcpy(ret_text, text, strlen(text) + 1);
    return SLUICE_OK;
}

static sl_err take_address(const struct reading *reading, const cJSON *value, bool may_be_auto,
                           char ret_text[LISTENER_ADDRESS_BYTES])
{
    char host[LISTENER_HOST_BYTES];
    uint16_t port = 0;
    sl_err err = take_text(reading, value, ret_text, LISTENER_ADDRESS_BYTES);
    bool is_auto = err == SLUICE_OK && may_be_auto && strcmp(ret_text, LISTENER_AUTO) == 0;
    if (err == SLUICE_OK && !is_auto && !listener_address_split(ret_text, host, &port)) {
        err = WRONG(reading, "%s.%s is \"%.80s\" but must be an address \"host:port\"%s",
                    reading->place, value->string, ret_text, may_be_auto ? " or auto" : "");
    }
    return err;
}

static sl_err take_listen(const struct reading *reading, const cJSON *value)
{
    return take_address(reading, value, false, reading->listener->address);
}

static sl_err take_advertised(const struct reading *reading, const cJSON *value)
{
    return take_address(reading, value, true, reading->listener->advertised);
}

static sl_err take_mechanism(const struct reading *reading, const char *name)
{
    uint32_t number = sasl_mechanism_number(sluice_text_of(name));
    if (number == SASL_NONE) {
        return WRONG(reading,
                     "%s.sasl.mechanisms: \"%.40s\" is not one of PLAIN, SCRAM-SHA-256, "
                     "SCRAM-SHA-512, OAUTHBEARER",
                     reading->place, name);
    }
    reading->listener->sasl.mechanisms |= 1u << number;
    return SLUICE_OK;
}

/* "PLAIN, SCRAM-SHA-256", as --set has it. */
static sl_err take_mechanism_text(const struct reading *reading, const char *text)
{
    sl_err err = SLUICE_OK;
    for (text += strspn(text, ", "); *text != '\0' && err == SLUICE_OK;
         text += strspn(text, ", ")) {
        char name[64];
        size_t size = strcspn(text, ", ");
        snprintf(name, sizeof(name), "%.*s", (int)SL_MIN(size, sizeof(name) - 1), text);
        text += size;
        err = take_mechanism(reading, name);
    }
    return err;
}

/* connections.max.reauth.ms of the listener; what does not say it has that of all. */
static sl_err take_lifetime(const struct reading *reading, const cJSON *value)
{
    const char *text = cJSON_GetStringValue(value); /* as --set has it */
    uint64_t number = 0;
    if (value == NULL) {
        return SLUICE_OK;
    }
    bool is_number = text != NULL ? sl_text_parse_u64(sl_bytes_of_text(text), &number) == SLUICE_OK
                                  : cJSON_IsNumber(value) != 0 && value->valuedouble >= 0;
    double ms = text != NULL ? (double)number : value->valuedouble;
    if (!is_number || ms > LIFETIME_MS_MAX) {
        return WRONG(reading, "%s.sasl.session_lifetime_ms must be a number from 0 to %.0f",
                     reading->place, LIFETIME_MS_MAX);
    }
    reading->listener->sasl.session_lifetime_ms = (int64_t)ms;
    return SLUICE_OK;
}

static sl_err take_sasl(const struct reading *reading, const cJSON *value)
{
    const cJSON *mechanisms = cJSON_GetObjectItemCaseSensitive(value, "mechanisms");
    const cJSON *item = NULL;
    sl_err err = SLUICE_OK;
    if (!cJSON_IsArray(mechanisms) && !cJSON_IsString(mechanisms) && !cJSON_IsNull(mechanisms)) {
        return WRONG(reading, "%s.sasl must be {mechanisms: [...]}; an empty list: no login",
                     reading->place);
    }
    err = take_lifetime(reading, cJSON_GetObjectItemCaseSensitive(value, "session_lifetime_ms"));
    if (err != SLUICE_OK) {
        return err;
    }
    reading->listener->sasl.mechanisms = 0;
    if (!cJSON_IsArray(mechanisms)) {
        return cJSON_IsNull(mechanisms) ? SLUICE_OK
                                        : take_mechanism_text(reading, mechanisms->valuestring);
    }
    cJSON_ArrayForEach(item, mechanisms)
    {
        const char *name = cJSON_GetStringValue(item);
        err = err != SLUICE_OK ? err : take_mechanism(reading, name != NULL ? name : "");
    }
    return err;
}

/* What it does not say of TLS is as kafka.listen has it, for who may have that. */
static sl_err take_tls(const struct reading *reading, const cJSON *value)
{
    return tls_config_take_object(reading->listener, value, reading->base_tls, reading->place,
                                  reading->problem, reading->problem_size);
}

static const struct member {
    const char *key;
    sl_err (*take)(const struct reading *reading, const cJSON *value);
} members[] = {
    {"listen", take_listen},
    {"advertised", take_advertised},
    {"sasl", take_sasl},
    {"tls", take_tls},
};

static int limit_of(const char *word)
{
    for (uint32_t i = 0; i < LISTENER_LIMITS; i++) {
        if (strcmp(listener_limit_word(i), word) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static sl_err take_limit(const struct reading *reading, const cJSON *value, uint32_t limit)
{
    bool is_buffer = limit == LISTENER_LIMIT_READ_BUFFER;
    double min = is_buffer ? CONN_INPUT_BYTES_MIN : 0;
    double max = is_buffer ? LISTENER_READ_BUFFER_MAX : INT32_MAX;
    const char *text = cJSON_GetStringValue(value); /* as --set has it */
    char *end = NULL;
    double number = text != NULL ? strtod(text, &end) : value->valuedouble;
    bool is_number = text != NULL ? end != text && *end == '\0' : cJSON_IsNumber(value) != 0;
    if (!is_number || !(number >= min && number <= max)) {
        return WRONG(reading, "%s.%s must be a number from %.0f to %.0f", reading->place,
                     value->string, min, max);
    }
    reading->listener->gate.own[limit] = (int64_t)number;
    return SLUICE_OK;
}

/* strict: it has no other members. */
static sl_err take_object(const struct reading *reading, const cJSON *object, bool strict)
{
    const cJSON *value = NULL;
    sl_err err = SLUICE_OK;
    cJSON_ArrayForEach(value, object)
    {
        size_t at = 0;
        while (at < SL_COUNT_OF(members) && strcmp(members[at].key, value->string) != 0) {
            at++;
        }
        int limit = limit_of(value->string);
        if (err == SLUICE_OK && limit >= 0) {
            err = take_limit(reading, value, (uint32_t)limit);
        } else if (err == SLUICE_OK && at < SL_COUNT_OF(members)) {
            err = members[at].take(reading, value);
        } else if (err == SLUICE_OK && strict) {
            err = WRONG(reading,
                        "%s.%.40s: a listener has no such key; it has listen, advertised, tls, "
                        "sasl and limits (max_connections, read_buffer_bytes …)",
                        reading->place, value->string);
        }
    }
    if (err == SLUICE_OK && reading->listener->address[0] == '\0') {
        err = WRONG(reading, "%s.listen is missing; say host:port", reading->place);
    }
    return err;
}

/* ---- listeners ---- */

static struct listener *add(struct listener_list *list, const char *name, const char *frontend)
{
    struct listener *listener =
        list->count < FRONTEND_LISTENERS_MAX ? listener_new(name, frontend) : NULL;
    if (listener != NULL) {
        list->listeners[list->count++] = listener;
    }
    return listener;
}

static struct listener *add_own(struct listener_list *list, const char *frontend,
                                const char *listen)
{
    struct listener *listener = add(list, frontend, frontend);
    if (listener != NULL) {
        snprintf(listener->address, sizeof(listener->address), "%s", listen);
    }
    return listener;
}

/* The names of listeners that have keys of their own. */
static bool is_reserved(const char *name)
{
    static const char *const names[] = {"kafka", "http", "native", NATIVE_UNIX};
    bool found = false;
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        found = found || strcmp(names[i], name) == 0;
    }
    return found;
}

static sl_err add_named(struct sluice *sluice, const cJSON *object, char *ret_problem,
                        size_t problem_size)
{
    struct listener_list *list = &sluice->listeners[0];
    const struct listener *first = list->listeners[0];
    char place[128];
    snprintf(place, sizeof(place), "kafka.listeners.%.64s", object->string);
    struct reading reading = {NULL, first->tls, place, ret_problem, problem_size};
    size_t size = strlen(object->string);
    if (size == 0 || size >= LISTENER_NAME_BYTES ||
        strspn(object->string, "abcdefghijklmnopqrstuvwxyz0123456789_-") != size ||
        is_reserved(object->string)) {
        return WRONG(&reading,
                     "%s: a name has 1 to 63 of a-z, 0-9, _ and -, and is neither kafka "
                     "nor http nor native nor native-unix",
                     place);
    }
    if (list->count == FRONTEND_LISTENERS_MAX) {
        return WRONG(&reading, "kafka.listeners has more than %u members",
                     FRONTEND_LISTENERS_MAX - 1);
    }
    reading.listener = add(list, object->string, "kafka");
    if (reading.listener == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    reading.listener->sasl = first->sasl;
    if (tls_config_copy(reading.listener, first->tls) != SLUICE_OK) {
        return SLUICE_E_NO_MEMORY;
    }
    return cJSON_IsObject(object) ? take_object(&reading, object, true)
                                  : WRONG(&reading, "%s must be a map of keys and values", place);
}

static sl_err take_kafka(struct sluice *sluice, char *ret_problem, size_t problem_size)
{
    const struct sl_config *config = sluice->config;
    struct listener *first = add_own(&sluice->listeners[0], "kafka", config->kafka.listen);
    cJSON *named = cJSON_Parse(config->kafka.listeners_json);
    sl_err err = first == NULL || named == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    if (err == SLUICE_OK) {
        snprintf(first->advertised, sizeof(first->advertised), "%s", config->kafka.advertised);
        first->sasl = sluice->sasl;
        err = tls_config_take(first, &config->kafka.tls, "kafka", ret_problem, problem_size);
        const cJSON *object = NULL;
        cJSON_ArrayForEach(object, named)
        {
            err = err != SLUICE_OK ? err : add_named(sluice, object, ret_problem, problem_size);
        }
    }
    cJSON_Delete(named);
    return err;
}

static sl_err take_http(struct sluice *sluice, char *ret_problem, size_t problem_size)
{
    struct listener *listener = add_own(&sluice->listeners[1], "http", sluice->config->http.listen);
    return listener == NULL ? SLUICE_E_NO_MEMORY
                            : tls_config_take(listener, &sluice->config->http.tls, "http",
                                              ret_problem, problem_size);
}

/* The local socket of the native protocol, if one is wanted. */
static sl_err take_native_unix(struct sluice *sluice, char *ret_problem, size_t problem_size)
{
    static const uint32_t modes[] = {
        [CONFIG_UNIX_OWNER] = 0600, [CONFIG_UNIX_GROUP] = 0660, [CONFIG_UNIX_EVERYBODY] = 0666};
    const struct sl_config *config = sluice->config;
    const char *path = config->native.unix_path;
    if (path[0] == '\0') {
        return SLUICE_OK;
    }
    if (strlen(path) > UNIX_PATH_MAX) {
        snprintf(ret_problem, problem_size,
                 "native.unix has %zu bytes, but the path of a socket has at most %u", strlen(path),
                 UNIX_PATH_MAX);
        return SLUICE_E_CONFIG_VALUE;
    }
    if (!sluice_shared_is_size((uint32_t)config->native.shm.ring_bytes)) {
        snprintf(ret_problem, problem_size,
                 "native.shm.ring_bytes is %lld, but must be a power of two",
                 (long long)config->native.shm.ring_bytes);
        return SLUICE_E_CONFIG_VALUE;
    }
    struct listener *listener = add(&sluice->listeners[2], NATIVE_UNIX, "native");
    if (listener == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    snprintf(listener->address, sizeof(listener->address), "unix:%s", path);
    listener->is_local = true;
    listener->mode = modes[config->native.unix_access];
    listener->names_user = config->native.unix_login == CONFIG_UNIX_LOGIN_PEER;
    if (!listener->names_user) {
        listener->sasl = sluice->sasl;
    }
    listener->gate.own[LISTENER_LIMIT_CONNECTIONS] = config->native.connections_max;
    listener->shared.connections_max = (uint32_t)config->native.shm.connections_max;
    listener->shared.ring_bytes = (uint32_t)config->native.shm.ring_bytes;
    listener->shared.look_ns = config->native.shm.look_us * 1000;
    return SLUICE_OK;
}

/* Who logs in for Kafka does so here. */
static sl_err take_native(struct sluice *sluice, char *ret_problem, size_t problem_size)
{
    const struct sl_config *config = sluice->config;
    struct listener *listener = add_own(&sluice->listeners[2], "native", config->native.listen);
    if (listener == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    listener->sasl = sluice->sasl;
    listener->gate.own[LISTENER_LIMIT_CONNECTIONS] = config->native.connections_max;
    sl_err err =
        tls_config_take(listener, &config->native.tls, "native", ret_problem, problem_size);
    return err != SLUICE_OK ? err : take_native_unix(sluice, ret_problem, problem_size);
}

/* As Kafka tells of them: "SASL_SSL://127.0.0.1:9092,PLAINTEXT://[::1]:9094". */
static void describe(struct sluice *sluice)
{
    static const char *const protocols[2][2] = {{"PLAINTEXT", "SASL_PLAINTEXT"},
                                                {"SSL", "SASL_SSL"}};
    const struct listener_list *list = &sluice->listeners[0];
    char *text = sluice->settings.listeners;
    size_t room = sizeof(sluice->settings.listeners);
    size_t used = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct listener *listener = list->listeners[i];
        char one[LISTENER_ADDRESS_BYTES + 32];
        int size = snprintf(one, sizeof(one), "%s%s://%s", i == 0 ? "" : ",",
                            protocols[listener->tls != NULL][listener->sasl.mechanisms != 0],
                            listener->address);
        if (size > 0 && used + (size_t)size < room) { /* those that fit */
            memcpy(text + used, one, (size_t)size + 1);
            used += (size_t)size;
        }
    }
}

sl_err listener_config_init(struct sluice *sluice, char *ret_problem, size_t problem_size)
{
    sl_err err = take_kafka(sluice, ret_problem, problem_size);
    err = err != SLUICE_OK ? err : take_http(sluice, ret_problem, problem_size);
    err = err != SLUICE_OK ? err : take_native(sluice, ret_problem, problem_size);
    for (size_t i = 0; i < SL_COUNT_OF(sluice->listeners); i++) {
        struct listener_list *list = &sluice->listeners[i];
        for (uint32_t k = 0; k < list->count && err == SLUICE_OK; k++) {
            err = tls_config_load(sluice->os, list->listeners[k], ret_problem, problem_size);
        }
    }
    describe(sluice);
    listener_config_limit(sluice);
    return err;
}

void listener_config_limit(struct sluice *sluice)
{
    const struct sl_config *config = sluice->config;
    const int64_t limits[LISTENER_LIMITS] = {
        [LISTENER_LIMIT_CONNECTIONS] = config->kafka.connections_max,
        [LISTENER_LIMIT_OF_ADDRESS] = config->kafka.connections_per_address_max,
        [LISTENER_LIMIT_READ_BUFFER] = config->kafka.read_buffer_bytes,
        [LISTENER_LIMIT_REQUEST_MS] = config->kafka.request_timeout_ms,
        [LISTENER_LIMIT_ANSWER_MS] = config->kafka.answer_timeout_ms,
        [LISTENER_LIMIT_LOGIN_MS] = config->kafka.login_timeout_ms,
    };
    for (size_t i = 0; i < SL_COUNT_OF(sluice->listeners); i++) {
        const struct listener_list *list = &sluice->listeners[i];
        for (uint32_t k = 0; k < list->count && strcmp(list->listeners[k]->name, "http") != 0;
             k++) {
            listener_gate_limit(&list->listeners[k]->gate, limits);
        }
    }
}

void listener_config_fini(struct sluice *sluice)
{
    for (size_t i = 0; i < SL_COUNT_OF(sluice->listeners); i++) {
        listener_list_drop(&sluice->listeners[i]);
    }
}

void listener_config_take(const struct sluice *sluice, const char *frontend,
                          struct listener_list *ret_list)
{
    ret_list->count = 0;
    for (size_t i = 0; i < SL_COUNT_OF(sluice->listeners); i++) {
        const struct listener_list *list = &sluice->listeners[i];
        for (uint32_t k = 0; k < list->count; k++) {
            if (strcmp(list->listeners[k]->frontend, frontend) == 0) {
                ret_list->listeners[ret_list->count++] = listener_ref(list->listeners[k]);
            }
        }
    }
}

sl_err listener_config_take_instance(const char *frontend, const cJSON *object,
                                     struct listener_list *ret_list, char *ret_problem,
                                     size_t problem_size)
{
    char place[160];
    snprintf(place, sizeof(place), "plugins.instances.frontend_%.64s.config", frontend);
    ret_list->count = 0;
    struct reading reading = {add(ret_list, frontend, frontend), NULL, place, ret_problem,
                              problem_size};
    if (reading.listener == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    sl_err err = take_object(&reading, object, false);
    if (err != SLUICE_OK) {
        listener_list_drop(ret_list);
    }
    return err;
}
