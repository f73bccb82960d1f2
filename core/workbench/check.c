/* check.c: the file, its manifest, its configurations; check_lives.c, check_batches.c and
 * check_frontend.c have the rest. */
#include "workbench/check.h"

#include "base/bytes.h"
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- rows ---- */

void check_row(struct check *check, const char *name, const char *result, const char *format, ...)
{
    char detail[BENCH_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "group", check->group);
    cJSON_AddStringToObject(row, "check", name);
    cJSON_AddStringToObject(row, "result", result);
    cJSON_AddStringToObject(row, "detail", detail);
    cJSON_AddItemToArray(check->rows, row);
    check->failed += strcmp(result, CHECK_FAILED) == 0;
    check->warnings += strcmp(result, CHECK_WARNING) == 0;
}

void check_begin(struct check *check, const char *name)
{
    if (check->options->progress != NULL) {
        check->options->progress(check->options->arg, check->group, name);
    }
}

/* ---- workers ---- */

static void note_end(struct check *check, const struct probe *probe)
{
    const char *call = probe->end.syscall;
    check->denied_thread =
        check->denied_thread || (probe->end.kind == SANDBOX_CAUSE_DENIED &&
                                 (strncmp(call, "clone", 5) == 0 || strstr(call, "fork") != NULL));
}

sl_err check_start_with(struct check *check, const char *config_json, const char *rehearsal,
                        char ret_text[BENCH_TEXT_BYTES])
{
    const struct bench_settings settings = {.config_json = config_json,
                                            .rehearsal = rehearsal,
                                            .rehearsal_seed = check->options->seed,
                                            .sample = check->options->sample,
                                            .unpaced = true};
    sl_err err =
        bench_plugin_start(&check->plugin, check->bench, &check->file, &settings, ret_text);
    check->running = err == SLUICE_OK;
    if (err != SLUICE_OK) {
        note_end(check, &check->plugin.probe);
    }
    return err;
}

bool check_start(struct check *check, const char *name)
{
    char text[BENCH_TEXT_BYTES];
    if (check->running) {
        return true;
    }
    if (check_start_with(check, check->config_json, NULL, text) != SLUICE_OK) {
        check_row(check, name, CHECK_FAILED, "%s", text);
    }
    return check->running;
}

void check_ended(struct check *check)
{
    note_end(check, &check->plugin.probe);
    bench_plugin_close(&check->plugin);
    check->running = false;
}

/* In order, as a broker ends it. */
static void drain(struct check *check, const char *name)
{
    if (probe_drain(&check->plugin.probe) == SLUICE_OK) {
        check_row(check, name, CHECK_OK, "%s", "");
    } else {
        check_row(check, name, CHECK_FAILED, "%s", check->plugin.probe.end.text);
    }
    check_ended(check);
}

/* ---- configurations ---- */

static cJSON *manifest_json(const struct check *check, const char *path)
{
    struct sl_bytes bytes;
    struct sluice_text text;
    char sentence[BENCH_TEXT_BYTES];
    cJSON *json = NULL;
    if (check->file.script != NULL ||
        bench_read(check->bench->os, path, BENCH_FILE_BYTES_MAX, &bytes, sentence) != SLUICE_OK) {
        return NULL;
    }
    if (staged_manifest((struct sluice_bytes){bytes.data, bytes.size}, &text) == SLUICE_OK) {
        json = cJSON_ParseWithLength(text.data, (size_t)text.size);
    }
    sl_free((void *)(uintptr_t)bytes.data);
    return json;
}

static cJSON *sample_value(const cJSON *property)
{
    const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(property, "type"));
    const cJSON *choice = cJSON_GetObjectItemCaseSensitive(property, "enum");
    const cJSON *least = cJSON_GetObjectItemCaseSensitive(property, "minimum");
    const cJSON *initial = cJSON_GetObjectItemCaseSensitive(property, "default");
    type = type != NULL ? type : "string";
    if (initial != NULL || (cJSON_IsArray(choice) && choice->child != NULL)) {
        return cJSON_Duplicate(initial != NULL ? initial : choice->child, true);
    }
    if (strcmp(type, "integer") == 0 || strcmp(type, "number") == 0) {
        return cJSON_CreateNumber(cJSON_IsNumber(least) ? least->valuedouble : 1);
    }
    return strcmp(type, "boolean") == 0  ? cJSON_CreateTrue()
           : strcmp(type, "object") == 0 ? cJSON_CreateObject()
           : strcmp(type, "array") == 0  ? cJSON_CreateArray()
                                         : cJSON_CreateString("x");
}

/* What the schema requires and no default gives. */
static cJSON *config_sample(const cJSON *manifest)
{
    const cJSON *schema = cJSON_GetObjectItemCaseSensitive(manifest, "config");
    const cJSON *defaults = cJSON_GetObjectItemCaseSensitive(manifest, "defaults");
    const cJSON *properties = cJSON_GetObjectItemCaseSensitive(schema, "properties");
    const cJSON *key;
    cJSON *config = cJSON_CreateObject();
    cJSON_ArrayForEach(key, cJSON_GetObjectItemCaseSensitive(schema, "required"))
    {
        if (cJSON_IsString(key) && !cJSON_HasObjectItem(defaults, key->valuestring)) {
            cJSON_AddItemToObject(
                config, key->valuestring,
                sample_value(cJSON_GetObjectItemCaseSensitive(properties, key->valuestring)));
        }
    }
    return config;
}

/* A start with this configuration may be refused, with a sentence; it must not go wrong. */
static sl_err try_config(struct check *check, const char *name, const cJSON *config,
                         char ret_text[BENCH_TEXT_BYTES])
{
    char *text = cJSON_PrintUnformatted(config);
    check_begin(check, name);
    sl_err err = check_start_with(check, text, NULL, ret_text);
    cJSON_free(text);
    if (err != SLUICE_OK && check->plugin.probe.end.kind != SANDBOX_CAUSE_REFUSED) {
        check_row(check, name, CHECK_FAILED, "%s", ret_text);
    }
    if (check->running) {
        check_ended(check);
    }
    return err;
}

static void check_required(struct check *check, const cJSON *sample)
{
    const cJSON *key;
    char text[BENCH_TEXT_BYTES];
    char name[BENCH_TOPIC_BYTES];
    cJSON_ArrayForEach(key, sample)
    {
        cJSON *less = cJSON_Duplicate(sample, true);
        cJSON_DeleteItemFromObjectCaseSensitive(less, key->string);
        snprintf(name, sizeof(name), "without %.100s", key->string);
        if (try_config(check, name, less, text) == SLUICE_OK) {
            check_row(check, name, CHECK_WARNING,
                      "its schema requires the key, and it starts without it");
        } else if (check->plugin.probe.end.kind == SANDBOX_CAUSE_REFUSED) {
            check_row(check, name, CHECK_OK, "refused: %s", text);
        }
        cJSON_Delete(less);
    }
}

static void check_odd(struct check *check, const cJSON *sample, const cJSON *properties)
{
    static const char *const values[] = {
        "null", "-1", "\"\"", "[1,[2]]", "{\"a\":{}}", "1e308", "\"\xc3\xa4\\u0000\"", "true"};
    const cJSON *property;
    char text[BENCH_TEXT_BYTES];
    uint32_t before = check->failed, tried = 0, refused = 0;
    const char *name = "values of other types";
    cJSON_ArrayForEach(property, properties)
    {
        for (size_t i = 0; i < SL_COUNT_OF(values) && check->failed == before; i++) {
            cJSON *odd = cJSON_Duplicate(sample, true);
            cJSON_DeleteItemFromObjectCaseSensitive(odd, property->string);
            cJSON_AddItemToObject(odd, property->string, cJSON_Parse(values[i]));
            refused += try_config(check, name, odd, text) != SLUICE_OK;
            tried++;
            cJSON_Delete(odd);
        }
    }
    if (check->failed == before && tried > 0) {
        check_row(check, name, CHECK_OK, "%u tried, %u refused", tried, refused);
    }
}

static void check_reconfigure(struct check *check)
{
    static const char *const others[] = {"{}", "{\"sluice_check_unknown\":[1,{\"a\":null}]}"};
    const char *name = "reconfigured, perhaps refused";
    uint32_t refused = 0;
    check_begin(check, name);
    if (!check_start(check, name)) {
        return;
    }
    for (size_t i = 0; i < SL_COUNT_OF(others); i++) {
        struct probe *probe = &check->plugin.probe;
        if (probe_reconfigure(probe, sluice_text_of(others[i])) != SLUICE_OK) {
            check_row(check, name, CHECK_FAILED, "%s", probe->end.text);
            check_ended(check);
            return;
        }
        refused += probe->event.reply.status != SLUICE_OK;
    }
    check_row(check, name, CHECK_OK, "%u of %zu refused; it runs on", refused, SL_COUNT_OF(others));
    drain(check, "ends after that");
}

static void check_configs(struct check *check, const cJSON *manifest)
{
    const cJSON *schema = cJSON_GetObjectItemCaseSensitive(manifest, "config");
    const cJSON *properties = cJSON_GetObjectItemCaseSensitive(schema, "properties");
    cJSON *sample = config_sample(manifest);
    char text[BENCH_TEXT_BYTES];
    check->group = "config";
    check_required(check, sample);
    check_odd(check, sample, properties);
    cJSON_AddNumberToObject(sample, "sluice_check_unknown", 1);
    if (try_config(check, "a key that it does not know", sample, text) == SLUICE_OK ||
        check->plugin.probe.end.kind == SANDBOX_CAUSE_REFUSED) {
        check_row(check, "a key that it does not know", CHECK_OK, "%s", "");
    }
    check_reconfigure(check);
    cJSON_Delete(sample);
}

/* ---- the file ---- */

static bool is_semantic(const char *version)
{
    uint32_t a, b, c;
    return sscanf(version, "%9u.%9u.%9u", &a, &b, &c) == 3;
}

static void check_manifest(struct check *check)
{
    const struct manifest *manifest = bench_file_manifest(&check->file);
    if (check->file.script != NULL) {
        check_row(check, "manifest", CHECK_SKIPPED, "a script says in its table what it is");
    } else if (manifest->id[0] == '\0') {
        check_row(check, "manifest", CHECK_WARNING,
                  "it has none (SLUICE_MANIFEST): its topics and limits must be configured");
    } else {
        check_row(check, "manifest", CHECK_OK, "%s %s", manifest->id, manifest->version);
    }
}

static void check_identity(struct check *check)
{
    const struct manifest *manifest = bench_file_manifest(&check->file);
    const struct bench_plugin *plugin = &check->plugin;
    if (check->file.script == NULL && manifest->id[0] != '\0' &&
        (strcmp(manifest->id, plugin->id) != 0 ||
         strcmp(manifest->version, plugin->version_text) != 0)) {
        check_row(check, "manifest and descriptor agree", CHECK_FAILED,
                  "the manifest says %s %s, the descriptor %s %s", manifest->id, manifest->version,
                  plugin->id, plugin->version_text);
    } else if (!manifest_id_is_valid(sl_bytes_of_text(plugin->id)) ||
               !is_semantic(plugin->version_text)) {
        check_row(check, "id and version", CHECK_FAILED,
                  "\"%s\" \"%s\": an id is [a-z0-9_.-]{1,64}, a version like 1.2.0", plugin->id,
                  plugin->version_text);
    } else {
        check_row(check, "id and version", CHECK_OK, "%s %s", plugin->id, plugin->version_text);
    }
    if (plugin->attached[0] != '\0') {
        check_row(check, "attachment", CHECK_WARNING, "%s", plugin->attached);
    } else {
        char inputs[BENCH_TEXT_BYTES];
        plugin_attachment_inputs_text(&plugin->attachment, inputs, sizeof(inputs));
        check_row(check, "attachment", CHECK_OK, "%s %s%s%s",
                  plugin->attachment.on == SLUICE_ON_PRODUCE ? "gate on" : "stage on", inputs,
                  plugin->attachment.output[0] != '\0' ? " → " : "", plugin->attachment.output);
    }
}

static void check_processor(struct check *check, const char *path)
{
    char text[BENCH_TEXT_BYTES];
    cJSON *manifest = manifest_json(check, path);
    cJSON *sample = config_sample(manifest);
    check->config_json = cJSON_PrintUnformatted(sample);
    cJSON_Delete(sample);
    check->group = "load";
    check_begin(check, "loads");
    if (check_start_with(check, check->config_json, NULL, text) != SLUICE_OK) {
        check_row(check, "loads and becomes active", CHECK_FAILED, "%s", text);
    } else {
        check_row(check, "loads and becomes active", CHECK_OK, "ABI %u", SLUICE_ABI_MAJOR);
        check_identity(check);
        drain(check, "drains and ends");
        check_lives(check);
        check_configs(check, manifest);
        check_batches(check);
        check_threads(check);
    }
    check->group = "threads";
    check_row(
        check, "starts no thread, no process", check->denied_thread ? CHECK_FAILED : CHECK_OK, "%s",
        check->denied_thread ? "it tried to, and was killed: all calls come on one thread" : "");
    cJSON_free(check->config_json);
    cJSON_Delete(manifest);
}

cJSON *check_run(struct bench *bench, const char *path, const struct check_options *options)
{
    struct check check = {
        .bench = bench, .options = options, .rows = cJSON_CreateArray(), .group = "file"};
    char text[BENCH_TEXT_BYTES];
    bool is_frontend = false;
    sl_err err = bench_file_open(bench, path, &check.file, text);
    if (err != SLUICE_OK) {
        check_row(&check, "can be read", CHECK_FAILED, "%s", text);
    } else {
        check_row(&check, "can be read", CHECK_OK, "%s",
                  check.file.script != NULL ? "a Lua script" : "a module for this machine");
        check_manifest(&check);
        is_frontend = bench_file_manifest(&check.file)->kind == MANIFEST_FRONTEND;
        if (is_frontend) {
            cJSON *manifest = manifest_json(&check, path);
            cJSON *sample = config_sample(manifest);
            check.config_json = cJSON_PrintUnformatted(sample);
            check_frontend(&check);
            cJSON_free(check.config_json);
            cJSON_Delete(sample);
            cJSON_Delete(manifest);
        } else {
            check_processor(&check, path);
        }
        bench_file_close(&check.file);
    }
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "plugin", path);
    cJSON_AddStringToObject(object, "kind", is_frontend ? "frontend" : "processor");
    cJSON_AddNumberToObject(object, "seed", (double)options->seed);
    cJSON_AddItemToObject(object, "checks", check.rows);
    cJSON_AddNumberToObject(object, "failed", check.failed);
    cJSON_AddNumberToObject(object, "warnings", check.warnings);
    return object;
}
