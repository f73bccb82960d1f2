/* manifest.c: see manifest.h. One table of keys. */
#include "plugin/manifest.h"

#include "base/bytes.h"
#include "catalog/topic_name.h"

#include <cjson/cJSON.h>
#include <sluice/processor.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct reading {
    struct manifest *manifest;
    char *reason;
    sl_err err;
};

static void SL_PRINTF(3, 4) fault(struct reading *reading, sl_err err, const char *format, ...)
{
    if (reading->err != SLUICE_OK) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reading->reason, MANIFEST_REASON_BYTES, format, arguments);
    va_end(arguments);
    reading->err = err;
}

static void refuse(struct reading *reading, const char *key, const char *what)
{
    fault(reading, SLUICE_E_PLUGIN_MANIFEST, "manifest: \"%.32s\" %s", key, what);
}

/* ---- parts ---- */

bool manifest_id_is_valid(struct sl_bytes id)
{
    if (id.size == 0 || id.size >= MANIFEST_ID_BYTES) {
        return false;
    }
    for (size_t i = 0; i < id.size; i++) {
        uint8_t c = id.data[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
                  (c == '.' && i > 0);
        if (!ok) {
            return false;
        }
    }
    return true;
}

static bool is_version(const char *text)
{
    size_t size = strlen(text);
    if (size == 0 || size >= MANIFEST_VERSION_BYTES) {
        return false;
    }
    return strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.+-_") ==
           size;
}

sl_err manifest_topic_check(struct sl_bytes text, bool pattern, bool output,
                            char ret_reason[MANIFEST_REASON_BYTES])
{
    char name[MANIFEST_TOPIC_BYTES];
    if (text.size == 0 || text.size >= sizeof(name)) {
        snprintf(ret_reason, MANIFEST_REASON_BYTES, "a topic name has 1 to 249 characters");
        return SLUICE_E_INVALID_TOPIC;
    }
    size_t size = 0;
    bool marked = false;
    for (size_t i = 0; i < text.size; i++) {
        bool mark = output && !marked && i + 1 < text.size && text.data[i] == '%' &&
                    text.data[i + 1] == 's';
        bool star = pattern && i + 1 == text.size && text.data[i] == '*';
        marked = marked || mark;
        name[size++] = mark || star ? 'x' : (char)text.data[i];
        i += mark ? 1 : 0;
    }
    const char *why = "";
    struct sl_bytes checked = {(const uint8_t *)name, size};
    bool everything = pattern && text.size == 1 && text.data[0] == '*';
    if (!everything && topic_name_check(checked, false, &why) != SLUICE_OK) {
        snprintf(ret_reason, MANIFEST_REASON_BYTES, "topic \"%.*s\": %s",
                 (int)SL_MIN(text.size, 120u), (const char *)text.data, why);
        return SLUICE_E_INVALID_TOPIC;
    }
    return SLUICE_OK;
}

/* ---- values ---- */

static const char *take_text(struct reading *reading, const cJSON *item)
{
    if (!cJSON_IsString(item)) {
        refuse(reading, item->string, "must be a text");
        return NULL;
    }
    return item->valuestring;
}

static void take_topic(struct reading *reading, const char *key, const cJSON *item, bool pattern,
                       bool output, char ret_topic[MANIFEST_TOPIC_BYTES])
{
    char why[MANIFEST_REASON_BYTES];
    if (!cJSON_IsString(item)) {
        refuse(reading, key, "must be a topic name");
    } else if (manifest_topic_check(sl_bytes_of_text(item->valuestring), pattern, output, why) !=
               SLUICE_OK) {
        refuse(reading, key, why);
    } else {
        snprintf(ret_topic, MANIFEST_TOPIC_BYTES, "%s", item->valuestring);
    }
}

static void take_topics(struct reading *reading, const cJSON *item, bool pattern,
                        char (*ret_topics)[MANIFEST_TOPIC_BYTES], uint32_t *ret_count)
{
    const char *key = item->string;
    const cJSON *each = NULL;
    if (!cJSON_IsArray(item)) {
        take_topic(reading, key, item, pattern, false, ret_topics[0]);
        *ret_count = 1;
        return;
    }
    cJSON_ArrayForEach(each, item)
    {
        if (*ret_count == MANIFEST_TOPICS_MAX) {
            refuse(reading, key, "has more than 16 topics");
            return;
        }
        take_topic(reading, key, each, pattern, false, ret_topics[(*ret_count)++]);
    }
}

static bool take_int(struct reading *reading, const cJSON *item, int64_t min, int64_t max,
                     int64_t *ret_value)
{
    bool within = cJSON_IsNumber(item) && item->valuedouble >= (double)min &&
                  item->valuedouble <= (double)max;
    if (!within || item->valuedouble != (double)(int64_t)item->valuedouble) {
        char text[96];
        snprintf(text, sizeof(text), "must be a whole number from %lld to %lld", (long long)min,
                 (long long)max);
        refuse(reading, item->string != NULL ? item->string : "?", text);
        return false;
    }
    *ret_value = (int64_t)item->valuedouble;
    return true;
}

/* ---- keys ---- */

static void take_id(struct reading *reading, const cJSON *item)
{
    const char *text = take_text(reading, item);
    if (text != NULL && !manifest_id_is_valid(sl_bytes_of_text(text))) {
        refuse(reading, "id", "must be 1 to 64 of a-z 0-9 _ . -");
    } else if (text != NULL) {
        snprintf(reading->manifest->id, sizeof(reading->manifest->id), "%s", text);
    }
}

static void take_version(struct reading *reading, const cJSON *item)
{
    const char *text = take_text(reading, item);
    if (text != NULL && !is_version(text)) {
        refuse(reading, "version", "must be a version such as 1.2.0");
    } else if (text != NULL) {
        snprintf(reading->manifest->version, sizeof(reading->manifest->version), "%s", text);
    }
}

static void take_kind(struct reading *reading, const cJSON *item)
{
    const char *text = take_text(reading, item);
    if (text == NULL) {
        return;
    }
    if (strcmp(text, "processor") == 0) {
        reading->manifest->kind = MANIFEST_PROCESSOR;
    } else if (strcmp(text, "frontend") == 0) {
        reading->manifest->kind = MANIFEST_FRONTEND;
    } else {
        refuse(reading, "kind", "must be \"processor\" or \"frontend\"");
    }
}

static void take_on(struct reading *reading, const cJSON *item)
{
    const char *text = take_text(reading, item);
    if (text == NULL) {
        return;
    }
    if (strcmp(text, "log") == 0) {
        reading->manifest->on = SLUICE_ON_LOG;
    } else if (strcmp(text, "produce") == 0) {
        reading->manifest->on = SLUICE_ON_PRODUCE;
    } else {
        refuse(reading, "on", "must be \"log\" or \"produce\"");
    }
}

static void take_input(struct reading *reading, const cJSON *item)
{
    struct manifest *manifest = reading->manifest;
    take_topics(reading, item, true, manifest->inputs, &manifest->input_count);
}

static void take_output(struct reading *reading, const cJSON *item)
{
    take_topic(reading, "output", item, false, true, reading->manifest->output);
}

static void take_outputs(struct reading *reading, const cJSON *item)
{
    struct manifest *manifest = reading->manifest;
    take_topics(reading, item, false, manifest->outputs, &manifest->output_count);
}

static void take_config(struct reading *reading, const cJSON *item)
{
    if (!cJSON_IsObject(item) && !cJSON_IsBool(item)) {
        refuse(reading, "config", "must be a JSON Schema");
    }
}

static void take_defaults(struct reading *reading, const cJSON *item)
{
    if (!cJSON_IsObject(item)) {
        refuse(reading, "defaults", "must be an object");
        return;
    }
    char *text = cJSON_PrintUnformatted(item);
    if (text == NULL) {
        fault(reading, SLUICE_E_NO_MEMORY, "out of memory");
        return;
    }
    if (strlen(text) > MANIFEST_DEFAULTS_BYTES) {
        refuse(reading, "defaults", "is larger than 16 KiB");
    } else if (reading->manifest->defaults == NULL) {
        reading->manifest->defaults = sl_strdup_bytes(text, strlen(text));
    }
    cJSON_free(text);
}

static void take_limits(struct reading *reading, const cJSON *item)
{
    static const struct {
        const char *name;
        size_t at;
        int64_t min, max;
    } limits[] = {
        {"memory_bytes", offsetof(struct manifest, memory_bytes), 1 << 20, (int64_t)1 << 40},
        {"deadline_ms", offsetof(struct manifest, deadline_ms), 1, 600000},
        {"descriptors", offsetof(struct manifest, descriptors), 16, 4096},
        {"cpu_percent", offsetof(struct manifest, cpu_percent), 1, 100},
        {"state_bytes", offsetof(struct manifest, state_bytes), 4096, (int64_t)1 << 40},
    };
    if (!cJSON_IsObject(item)) {
        refuse(reading, "limits", "must be an object");
        return;
    }
    const cJSON *each = NULL;
    cJSON_ArrayForEach(each, item)
    {
        size_t i = 0;
        while (i < SL_COUNT_OF(limits) && strcmp(limits[i].name, each->string) != 0) {
            i++;
        }
        if (i == SL_COUNT_OF(limits)) {
            refuse(
                reading, each->string,
                "is not a limit: memory_bytes, cpu_percent, deadline_ms, descriptors, state_bytes");
            return;
        }
        int64_t value = 0;
        if (take_int(reading, each, limits[i].min, limits[i].max, &value)) {
            memcpy((char *)reading->manifest + limits[i].at, &value, sizeof(value));
        }
    }
}

static void take_permissions(struct reading *reading, const cJSON *item)
{
    if (!cJSON_IsArray(item)) {
        refuse(reading, "permissions", "must be a list");
        return;
    }
    const cJSON *each = NULL;
    cJSON_ArrayForEach(each, item)
    {
        const char *text = cJSON_IsString(each) ? each->valuestring : "";
        char why[PERMISSION_REASON_BYTES];
        sl_err err = plugin_permission_add(&reading->manifest->permissions, text, why);
        if (err != SLUICE_OK) {
            fault(reading, err, "manifest: %.240s", why);
        }
    }
}

static void take_state_import(struct reading *reading, const cJSON *item)
{
    struct manifest *manifest = reading->manifest;
    if (!cJSON_IsArray(item) || cJSON_GetArraySize(item) > (int)MANIFEST_IMPORTS_MAX) {
        refuse(reading, "state_import", "must be a list of at most 8 state_versions");
        return;
    }
    const cJSON *each = NULL;
    cJSON_ArrayForEach(each, item)
    {
        int64_t *next = &manifest->state_import[manifest->state_import_count];
        manifest->state_import_count += take_int(reading, each, 0, INT32_MAX, next);
    }
}

static void take_state_version(struct reading *reading, const cJSON *item)
{
    (void)take_int(reading, item, 0, INT32_MAX, &reading->manifest->state_version);
}

static void take_on_error(struct reading *reading, const cJSON *item)
{
    const char *text = cJSON_IsString(item) ? item->valuestring : "?";
    if (text[0] == '\0' ||
        error_rule_parse(sl_bytes_of_text(text), &reading->manifest->on_error) != SLUICE_OK) {
        refuse(reading, "on_error", "must be " ERROR_RULE_WORDS);
    }
}

static const struct {
    const char *name;
    void (*take)(struct reading *reading, const cJSON *item);
} keys[] = {
    {"id", take_id},
    {"version", take_version},
    {"kind", take_kind},
    {"on", take_on},
    {"input", take_input},
    {"output", take_output},
    {"outputs", take_outputs},
    {"config", take_config},
    {"defaults", take_defaults},
    {"limits", take_limits},
    {"permissions", take_permissions},
    {"state_version", take_state_version},
    {"on_error", take_on_error},
    {"state_import", take_state_import},
};

static void take_key(struct reading *reading, const cJSON *item, uint32_t *seen)
{
    for (size_t i = 0; i < SL_COUNT_OF(keys); i++) {
        if (strcmp(keys[i].name, item->string) != 0) {
            continue;
        }
        if ((*seen & (1u << i)) != 0) {
            refuse(reading, item->string, "is there twice");
            return;
        }
        *seen |= 1u << i;
        keys[i].take(reading, item);
        return;
    }
    refuse(reading, item->string, "is not a key of a manifest");
}

static void check_whole(struct reading *reading)
{
    const struct manifest *manifest = reading->manifest;
    if (manifest->id[0] == '\0') {
        refuse(reading, "id", "is missing");
    }
    if (manifest->kind == 0) {
        refuse(reading, "kind", "is missing: \"processor\" or \"frontend\"");
    }
    if (manifest->kind == MANIFEST_FRONTEND &&
        (manifest->on != 0 || manifest->input_count > 0 || manifest->output[0] != '\0')) {
        refuse(reading, "kind", "is frontend: it has no on, input or output");
    }
}

sl_err manifest_parse(struct sl_bytes text, struct manifest *ret_manifest,
                      char ret_reason[MANIFEST_REASON_BYTES])
{
    struct manifest manifest = {0};
    struct reading reading = {.manifest = &manifest, .reason = ret_reason};
    /* The note may carry the text's NUL. */
    while (text.size > 0 && strchr(" \r\n\t", text.data[text.size - 1]) != NULL) {
        text.size--;
    }
    const char *end = NULL;
    cJSON *root = text.size == 0 || text.size > MANIFEST_BYTES_MAX
                      ? NULL
                      : cJSON_ParseWithLengthOpts((const char *)text.data, text.size, &end, false);
    if (root == NULL || !cJSON_IsObject(root) || end != (const char *)text.data + text.size) {
        fault(&reading, SLUICE_E_PLUGIN_MANIFEST, "manifest: not a JSON object");
    } else {
        uint32_t seen = 0;
        const cJSON *item = NULL;
        cJSON_ArrayForEach(item, root)
        {
            take_key(&reading, item, &seen);
        }
        check_whole(&reading);
    }
    cJSON_Delete(root);
    if (reading.err != SLUICE_OK) {
        manifest_fini(&manifest);
        return reading.err;
    }
    *ret_manifest = manifest;
    return SLUICE_OK;
}

void manifest_fini(struct manifest *manifest)
{
    sl_free(manifest->defaults);
    manifest->defaults = NULL;
}
