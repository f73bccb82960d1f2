/* cli_redact.c: see cli_redact.h. */
#include "cli/cli_redact.h"

#include "base/siphash.h"
#include "control/config_option.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HIDDEN      CONFIG_HIDDEN
#define DEPTH_MAX   64u
#define VALUE_BYTES (1u << 20) /* of one text in JSON */

void redactor_init(struct redactor *redactor, bool hides_names, const uint8_t key[16])
{
    *redactor = (struct redactor){.hides_names = hides_names, .is_sorted = true};
    memcpy(redactor->key, key, sizeof(redactor->key));
}

void redactor_fini(struct redactor *redactor)
{
    for (uint32_t i = 0; i < redactor->name_count; i++) {
        free(redactor->names[i]);
    }
    for (uint32_t i = 0; i < redactor->phrase_count; i++) {
        free(redactor->phrases[i]);
    }
    for (uint32_t i = 0; i < redactor->secret_count; i++) {
        free(redactor->secrets[i]);
    }
    free((void *)redactor->names);
    *redactor = (struct redactor){.hides_names = false};
}

/* ---- names ---- */

/* What names of topics are made of; other bytes part words. */
static bool is_word_byte(char byte)
{
    return isalnum((unsigned char)byte) || byte == '.' || byte == '_' || byte == '-';
}

static bool is_word(const char *name)
{
    while (is_word_byte(*name)) {
        name++;
    }
    return *name == '\0';
}

static bool names_grow(struct redactor *redactor)
{
    uint32_t room = redactor->name_room == 0 ? 256 : 2 * redactor->name_room;
    char **names = realloc((void *)redactor->names, room * sizeof(*names));
    if (names != NULL) {
        redactor->names = names;
        redactor->name_room = room;
    }
    return names != NULL;
}

void redactor_name_add(struct redactor *redactor, const char *name)
{
    if (!redactor->hides_names || name[0] == '\0') {
        return;
    }
    bool word = is_word(name);
    char *copy = strndup(name, REDACT_NAME_BYTES);
    bool fits = word ? redactor->name_count < REDACT_NAMES_MAX &&
                           (redactor->name_count < redactor->name_room || names_grow(redactor))
                     : redactor->phrase_count < REDACT_PHRASES_MAX;
    if (copy == NULL || !fits) {
        free(copy);
        redactor->is_full = true;
    } else if (word) {
        redactor->names[redactor->name_count++] = copy;
        redactor->is_sorted = false;
    } else {
        redactor->phrases[redactor->phrase_count++] = copy;
        redactor->begins[(uint8_t)copy[0]] = true;
    }
}

void redactor_names_find(struct redactor *redactor, const cJSON *json)
{
    static const char *const members[] = {
        "topic", "group", "client", "client_id", "host", "input",     "output",
        "user",  "peer",  "member", "id",        "rack", "principal", "cluster_id",
    };
    const cJSON *item;
    cJSON_ArrayForEach(item, json)
    {
        for (size_t i = 0; item->string != NULL && i < SL_COUNT_OF(members); i++) {
            if (cJSON_IsString(item) && strcmp(item->string, members[i]) == 0) {
                redactor_name_add(redactor, item->valuestring);
            }
        }
        redactor_names_find(redactor, item);
    }
}

static int name_compare(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static void names_sort(struct redactor *redactor)
{
    if (!redactor->is_sorted && redactor->name_count > 0) {
        qsort((void *)redactor->names, redactor->name_count, sizeof(*redactor->names),
              name_compare);
    }
    redactor->is_sorted = true;
}

static bool is_name(const struct redactor *redactor, const char *text, size_t size)
{
    char wanted[REDACT_NAME_BYTES + 1];
    const char *key = wanted;
    if (size > REDACT_NAME_BYTES || redactor->name_count == 0) {
        return false;
    }
    snprintf(wanted, sizeof(wanted), "%.*s", (int)size, text);
    return bsearch((const void *)&key, (const void *)redactor->names, redactor->name_count,
                   sizeof(*redactor->names), name_compare) != NULL;
}

static sl_err hash_write(const struct redactor *redactor, const char *name, size_t size,
                         struct sl_buffer *out)
{
    char text[16];
    struct sl_hash128 hash = sl_siphash128(redactor->key, name, size);
    snprintf(text, sizeof(text), "x-%012llx",
             (unsigned long long)(hash.low & UINT64_C(0xffffffffffff)));
    return sl_buffer_append(out, text, strlen(text));
}

static bool is_joint(char byte)
{
    return byte == '.' || byte == '_' || byte == '-';
}

/* The longest name that begins at `at` in a word and ends with it or before a joint: of "orders-0"
 * that is "orders". 0: none. */
static size_t name_at(const struct redactor *redactor, const char *at, size_t left)
{
    for (size_t size = left; size > 0; size--) {
        bool ends = size == left || is_joint(at[size]);
        if (ends && is_name(redactor, at, size)) {
            return size;
        }
    }
    return 0;
}

/* Names in one word of the text. */
static sl_err word_write(const struct redactor *redactor, const char *word, size_t size,
                         struct sl_buffer *out)
{
    sl_err err = SLUICE_OK;
    size_t kept = 0; /* bytes that are written */
    for (size_t at = 0; at < size && err == SLUICE_OK;) {
        bool begins = at == 0 || is_joint(word[at - 1]);
        size_t found = begins ? name_at(redactor, word + at, size - at) : 0;
        if (found > 0) {
            err = sl_buffer_append(out, word + kept, at - kept);
            err = err != SLUICE_OK ? err : hash_write(redactor, word + at, found, out);
            at += found;
            kept = at;
        } else {
            at++;
        }
    }
    return err != SLUICE_OK ? err : sl_buffer_append(out, word + kept, size - kept);
}

/* Names that no word can be: wherever their bytes stand. */
static size_t phrase_at(const struct redactor *redactor, const char *at, size_t left)
{
    size_t best = 0;
    for (uint32_t i = 0; redactor->begins[(uint8_t)at[0]] && i < redactor->phrase_count; i++) {
        size_t size = strlen(redactor->phrases[i]);
        if (size > best && size <= left && memcmp(redactor->phrases[i], at, size) == 0) {
            best = size;
        }
    }
    return best;
}

static sl_err names_hide(struct redactor *redactor, struct sl_bytes text, struct sl_buffer *out)
{
    const char *at = (const char *)text.data;
    const char *end = at + text.size;
    sl_err err = SLUICE_OK;
    names_sort(redactor);
    while (at < end && err == SLUICE_OK) {
        size_t size = 0;
        size_t phrase = phrase_at(redactor, at, (size_t)(end - at));
        while (at + size < end && is_word_byte(at[size])) {
            size++;
        }
        if (phrase > size) {
            err = hash_write(redactor, at, phrase, out);
            size = phrase;
        } else if (size > 0) {
            err = word_write(redactor, at, size, out);
        } else {
            size = 1;
            err = sl_buffer_append(out, at, size);
        }
        at += size;
    }
    return err;
}

/* ---- secrets ---- */

bool redactor_is_secret(const char *member)
{
    static const char *const words[] = {"password", "passphrase",  "passwd",    "secret",
                                        "token",    "credential",  "apikey",    "api_key",
                                        "api-key",  "private_key", "access_key"};
    enum config_secrecy secrecy = config_secrecy(member);
    if (secrecy != CONFIG_UNKNOWN) {
        return secrecy == CONFIG_SECRET;
    }
    for (size_t i = 0; i < SL_COUNT_OF(words); i++) {
        if (strcasestr(member, words[i]) != NULL) {
            return true;
        }
    }
    return false;
}

static void secret_keep(struct redactor *redactor, const char *value)
{
    if (strlen(value) < REDACT_SECRET_BYTES_MIN || strcmp(value, HIDDEN) == 0) {
        return;
    }
    char *copy = redactor->secret_count < REDACT_SECRETS_MAX ? strdup(value) : NULL;
    if (copy == NULL) {
        redactor->is_full = true;
        return;
    }
    redactor->secrets[redactor->secret_count++] = copy;
}

/* What no secret is: words that would be missed wherever else they stand, and defaults. */
static bool is_plain(const cJSON *item)
{
    static const char *const words[] = {"", "true", "false", "none", "null", "auto"};
    const char *text = cJSON_GetStringValue(item);
    for (size_t i = 0; text != NULL && i < SL_COUNT_OF(words); i++) {
        if (strcmp(text, words[i]) == 0) {
            return true;
        }
    }
    const char *origin = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "origin"));
    return origin != NULL && strncmp(origin, "default", strlen("default")) == 0;
}

/* All values below it; what says where a value comes from stays. */
static void values_hide(struct redactor *redactor, cJSON *item, uint32_t depth)
{
    cJSON *child;
    if (is_plain(item)) {
        return;
    }
    if (cJSON_IsString(item)) {
        secret_keep(redactor, item->valuestring);
        cJSON_SetValuestring(item, HIDDEN);
    } else if (cJSON_IsNumber(item)) {
        cJSON_SetNumberValue(item, 0);
    }
    for (child = depth < DEPTH_MAX ? item->child : NULL; child != NULL; child = child->next) {
        bool is_about = child->string != NULL && (strcmp(child->string, "origin") == 0 ||
                                                  strcmp(child->string, "change") == 0);
        if (!is_about) {
            values_hide(redactor, child, depth + 1);
        }
    }
}

static void secrets_hide(struct redactor *redactor, cJSON *json, uint32_t depth);

/* {"config": {"value": "{\"password\":\"…\"}"}} */
static void inner_hide(struct redactor *redactor, cJSON *item, uint32_t depth)
{
    cJSON *inner = item->valuestring[0] == '{' || item->valuestring[0] == '['
                       ? cJSON_Parse(item->valuestring)
                       : NULL;
    if (inner == NULL) {
        return;
    }
    secrets_hide(redactor, inner, depth + 1);
    char *text = cJSON_PrintUnformatted(inner);
    if (text != NULL) {
        cJSON_SetValuestring(item, text);
    }
    free(text);
    cJSON_Delete(inner);
}

static void secrets_hide(struct redactor *redactor, cJSON *json, uint32_t depth)
{
    for (cJSON *item = depth < DEPTH_MAX ? json->child : NULL; item != NULL; item = item->next) {
        if (item->string != NULL && redactor_is_secret(item->string)) {
            values_hide(redactor, item, depth);
        } else if (cJSON_IsString(item)) {
            inner_hide(redactor, item, depth);
        } else {
            secrets_hide(redactor, item, depth + 1);
        }
    }
}

void redactor_secrets_hide(struct redactor *redactor, cJSON *json)
{
    secrets_hide(redactor, json, 0);
}

static size_t secret_at(const struct redactor *redactor, const uint8_t *at, size_t left)
{
    size_t best = 0;
    for (uint32_t i = 0; i < redactor->secret_count; i++) {
        size_t size = strlen(redactor->secrets[i]);
        if (size > best && size <= left && memcmp(at, redactor->secrets[i], size) == 0) {
            best = size;
        }
    }
    return best;
}

static sl_err secrets_leave(const struct redactor *redactor, struct sl_bytes text,
                            struct sl_buffer *out)
{
    sl_err err = SLUICE_OK;
    size_t kept = 0;
    for (size_t at = 0; at < text.size && err == SLUICE_OK && redactor->secret_count > 0;) {
        size_t found = secret_at(redactor, text.data + at, text.size - at);
        if (found > 0) {
            err = sl_buffer_append(out, text.data + kept, at - kept);
            err = err != SLUICE_OK ? err : sl_buffer_append(out, HIDDEN, strlen(HIDDEN));
            kept = at + found;
        }
        at += SL_MAX(found, (size_t)1);
    }
    return err != SLUICE_OK ? err : sl_buffer_append(out, text.data + kept, text.size - kept);
}

/* ---- both ---- */

sl_err redactor_text(struct redactor *redactor, struct sl_bytes text, struct sl_buffer *out)
{
    struct sl_buffer plain;
    if (text.size == 0) {
        return SLUICE_OK;
    }
    if (!redactor->hides_names) {
        return secrets_leave(redactor, text, out);
    }
    sl_buffer_init(&plain, out->size_max);
    sl_err err = secrets_leave(redactor, text, &plain);
    err = err != SLUICE_OK ? err : names_hide(redactor, sl_buffer_bytes(&plain), out);
    sl_buffer_fini(&plain);
    return err;
}

static bool value_redact(struct redactor *redactor, cJSON *item)
{
    struct sl_buffer out;
    size_t size = strlen(item->valuestring);
    if (item->valuestring[strspn(item->valuestring, "0123456789")] == '\0') {
        return true;
    }
    sl_buffer_init(&out, VALUE_BYTES);
    sl_err err =
        redactor_text(redactor, (struct sl_bytes){(const uint8_t *)item->valuestring, size}, &out);
    err = err != SLUICE_OK ? err : sl_buffer_append(&out, "", 1);
    bool ok = err == SLUICE_OK && cJSON_SetValuestring(item, (const char *)out.data) != NULL;
    if (err == SLUICE_E_LIMIT) {
        ok = cJSON_SetValuestring(item, "(too long)") != NULL;
    }
    sl_buffer_fini(&out);
    return ok;
}

bool redactor_json(struct redactor *redactor, cJSON *json)
{
    bool ok = true;
    for (cJSON *item = json->child; item != NULL && ok; item = item->next) {
        ok = cJSON_IsString(item) ? value_redact(redactor, item) : redactor_json(redactor, item);
    }
    return ok;
}
