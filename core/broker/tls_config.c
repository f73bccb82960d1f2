/* tls_config.c: see tls_config.h. */
#include "broker/tls_config.h"

#include "base/log.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

/* What is being read, for the sentence that says what is wrong with it. */
struct reading {
    struct listener_tls *tls;
    const char *place;
    char *problem;
    size_t problem_size;
};

#define WRONG(reading, ...) \
    (snprintf((reading)->problem, (reading)->problem_size, __VA_ARGS__), SLUICE_E_CONFIG_VALUE)

/* ---- values ---- */

static sl_err set_text(const struct reading *reading, const char *key, const char *text,
                       char *ret_text, size_t room)
{
    if (strlen(text) >= room) {
        return WRONG(reading, "%s.tls.%s has more than %zu bytes", reading->place, key, room - 1);
    }
    memcpy(ret_text, text, strlen(text) + 1);
    return SLUICE_OK;
}

static sl_err add_protocol(const struct reading *reading, const char *name, size_t size)
{
    bool is_1_2 = size == 7 && memcmp(name, "TLSv1.2", size) == 0;
    bool is_1_3 = size == 7 && memcmp(name, "TLSv1.3", size) == 0;
    reading->tls->tls_1_2 |= is_1_2;
    reading->tls->tls_1_3 |= is_1_3;
    return is_1_2 || is_1_3 ? SLUICE_OK
                            : WRONG(reading, "%s.tls.protocols: \"%.*s\" is not TLSv1.2 or TLSv1.3",
                                    reading->place, (int)SL_MIN(size, (size_t)40), name);
}

static sl_err check_protocols(const struct reading *reading)
{
    return reading->tls->tls_1_2 || reading->tls->tls_1_3
               ? SLUICE_OK
               : WRONG(reading, "%s.tls.protocols is empty; say TLSv1.2, TLSv1.3 or both",
                       reading->place);
}

/* ---- rows of the configuration ---- */

static const struct {
    const char *key;
    size_t from; /* in struct config_tls: const char * */
    size_t to;   /* in struct listener_tls */
    size_t room;
} texts[] = {
#define TEXT(key, from, to)                                                        \
    {                                                                              \
        key, offsetof(struct config_tls, from), offsetof(struct listener_tls, to), \
            sizeof(((struct listener_tls *)0)->to)                                 \
    }
    TEXT("certificate", certificate, certificate),
    TEXT("key", key, key),
    TEXT("key_password", key_password, key_password),
    TEXT("key_password_file", key_password_file, key_password_file),
    TEXT("ca", ca, ca),
    TEXT("crl", crl, crl),
    TEXT("ciphers", ciphers, ciphers),
    TEXT("cipher_suites", cipher_suites, cipher_suites),
    TEXT("principal_mapping_rules", principal_mapping_rules, mapping),
#undef TEXT
};

static char *text_at(struct listener_tls *tls, size_t index)
{
    return (char *)tls + texts[index].to;
}

sl_err tls_config_take(struct listener *listener, const struct config_tls *config,
                       const char *place, char *ret_problem, size_t problem_size)
{
    if (config->certificate[0] == '\0') {
        return SLUICE_OK;
    }
    listener->tls = listener_tls_new();
    if (listener->tls == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    const struct reading reading = {listener->tls, place, ret_problem, problem_size};
    sl_err err = SLUICE_OK;
    for (size_t i = 0; i < SL_COUNT_OF(texts) && err == SLUICE_OK; i++) {
        const char *const *from = (const void *)((const char *)config + texts[i].from);
        if (*from != NULL) {
            err = set_text(&reading, texts[i].key, *from, text_at(listener->tls, i), texts[i].room);
        }
    }
    listener->tls->client_auth = (enum tls_client_auth)config->client_auth;
    listener->tls->handshake_ms = config->handshake_timeout_ms;
    listener->tls->tls_1_2 = listener->tls->tls_1_3 = false;
    for (uint32_t i = 0; i < config->protocols.count && err == SLUICE_OK; i++) {
        const char *name = config->protocols.items[i];
        err = add_protocol(&reading, name, strlen(name));
    }
    return err != SLUICE_OK ? err : check_protocols(&reading);
}

/* ---- an object ---- */

static sl_err take_client_auth(const struct reading *reading, const cJSON *value)
{
    static const char *const words[] = {"none", "requested", "required"};
    const char *text = cJSON_GetStringValue(value);
    for (size_t i = 0; text != NULL && i < SL_COUNT_OF(words); i++) {
        if (strcmp(text, words[i]) == 0) {
            reading->tls->client_auth = (enum tls_client_auth)i;
            return SLUICE_OK;
        }
    }
    return WRONG(reading, "%s.tls.client_auth must be one of none requested required",
                 reading->place);
}

static sl_err take_protocols(const struct reading *reading, const cJSON *value)
{
    const char *text = cJSON_GetStringValue(value);
    const cJSON *item = NULL;
    sl_err err = SLUICE_OK;
    reading->tls->tls_1_2 = reading->tls->tls_1_3 = false;
    for (; text != NULL && *text != '\0' && err == SLUICE_OK; text += strspn(text, ", ")) {
        size_t size = strcspn(text, ", ");
        err = add_protocol(reading, text, size);
        text += size;
    }
    cJSON_ArrayForEach(item, value)
    {
        const char *name = cJSON_GetStringValue(item);
        name = name != NULL ? name : "";
        err = err != SLUICE_OK ? err : add_protocol(reading, name, strlen(name));
    }
    return err != SLUICE_OK ? err : check_protocols(reading);
}

static sl_err take_member(const struct reading *reading, const cJSON *value)
{
    const char *text = cJSON_GetStringValue(value);
    if (strcmp(value->string, "client_auth") == 0) {
        return take_client_auth(reading, value);
    }
    if (strcmp(value->string, "protocols") == 0) {
        return take_protocols(reading, value);
    }
    for (size_t i = 0; i < SL_COUNT_OF(texts); i++) {
        if (strcmp(value->string, texts[i].key) == 0) {
            return text == NULL
                       ? WRONG(reading, "%s.tls.%s must be a text", reading->place, value->string)
                       : set_text(reading, texts[i].key, text, text_at(reading->tls, i),
                                  texts[i].room);
        }
    }
    return WRONG(reading,
                 "%s.tls.%.40s: TLS has no such key here; it has certificate, key, key_password, "
                 "key_password_file, ca, crl, client_auth, protocols, ciphers, cipher_suites, "
                 "principal_mapping_rules",
                 reading->place, value->string);
}

sl_err tls_config_copy(struct listener *listener, const struct listener_tls *base)
{
    struct listener_tls *tls = base == NULL ? NULL : listener_tls_new();
    if (base != NULL && tls == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    if (base != NULL) {
        *tls = *base;
        tls->rules = NULL;
        tls->context = NULL;
    }
    listener_tls_free(listener->tls);
    listener->tls = tls;
    return SLUICE_OK;
}

/* "true", as --set has it, is true too. */
static bool is_word(const cJSON *value, bool yes)
{
    const char *text = cJSON_GetStringValue(value);
    return (yes ? cJSON_IsTrue(value) : cJSON_IsFalse(value)) ||
           (text != NULL && strcmp(text, yes ? "true" : "false") == 0);
}

sl_err tls_config_take_object(struct listener *listener, const cJSON *value,
                              const struct listener_tls *base, const char *place, char *ret_problem,
                              size_t problem_size)
{
    struct reading reading = {NULL, place, ret_problem, problem_size};
    if (is_word(value, false)) {
        listener->tls = listener_tls_free(listener->tls);
        return SLUICE_OK;
    }
    if (!is_word(value, true) && !cJSON_IsObject(value)) {
        return WRONG(&reading, "%s.tls must be true, false or a map of keys and values", place);
    }
    if (base == NULL && is_word(value, true)) {
        return WRONG(&reading, "%s.tls is true, but kafka.tls.certificate is not set", place);
    }
    sl_err err = tls_config_copy(listener, base);
    if (err == SLUICE_OK && listener->tls == NULL) {
        listener->tls = listener_tls_new();
        err = listener->tls == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    }
    reading.tls = listener->tls;
    const cJSON *member = NULL;
    cJSON_ArrayForEach(member, value)
    {
        err = err != SLUICE_OK ? err : take_member(&reading, member);
    }
    if (err == SLUICE_OK && listener->tls->certificate[0] == '\0') {
        err = WRONG(&reading, "%s.tls.certificate is missing", place);
    }
    return err;
}

/* ---- files ---- */

sl_err tls_config_load(struct sl_os *os, struct listener *listener, char *ret_problem,
                       size_t problem_size)
{
    struct listener_tls *tls = listener->tls;
    char why[TLS_WHY_BYTES] = "";
    if (tls == NULL || tls->context != NULL) {
        return SLUICE_OK;
    }
    sl_err err = tls_rules_new(tls->mapping, &tls->rules, why);
    if (err != SLUICE_OK) {
        snprintf(ret_problem, problem_size, "listener %s: tls.principal_mapping_rules %s",
                 listener->name, why);
        return err;
    }
    const struct tls_settings settings = listener_tls_settings(tls);
    struct tls_files files = {0};
    err = tls_files_read(os, &settings, &files, why);
    if (err == SLUICE_OK) {
        tls->files_hash = files.hash;
        err = tls_context_new(&settings, &files, sl_os_wall_ms(os), &tls->context, why);
        tls_files_drop(&files);
    }
    if (err != SLUICE_OK) {
        snprintf(ret_problem, problem_size, "listener %s: tls: %s", listener->name, why);
    }
    return err;
}
