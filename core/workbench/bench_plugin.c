/* bench_plugin.c: from a file to a running instance in a worker. */
#include "workbench/bench_plugin.h"

#include "base/bytes.h"
#include "base/status.h"
#include "catalog/topic_name.h"
#include "os/os_program.h"
#include "plugin/plugin_state.h"

#include <stdio.h>
#include <string.h>

#define REHEARSAL_TIMEOUT_MS 60000u /* of all its lives together */

/* ---- the bench ---- */

bool bench_open(struct bench *bench, struct sl_os *os, const char *executable,
                char ret_text[BENCH_TEXT_BYTES])
{
    char worker[SL_PROGRAM_PATH_BYTES];
    const char *slash = executable != NULL ? strrchr(executable, '/') : NULL;
    *bench = (struct bench){.os = os};
    if (slash == NULL) {
        snprintf(ret_text, BENCH_TEXT_BYTES, "the program's own path is not known");
        return false;
    }
    int size = (int)(slash - executable);
    sl_program_worker(executable, worker);
    snprintf(bench->lua_path, sizeof(bench->lua_path),
             "%.*s/../lib/sluice/plugins/processor_lua.so", size, executable);
    const struct sandbox_options options = {.worker_path = worker};
    return sandbox_open(&options, &bench->sandbox, ret_text, BENCH_TEXT_BYTES) == SLUICE_OK;
}

void bench_close(struct bench *bench)
{
    bench->sandbox = sandbox_close(bench->sandbox);
}

/* ---- files ---- */

sl_err bench_read(struct sl_os *os, const char *path, uint64_t size_max, struct sl_bytes *ret_bytes,
                  char ret_text[BENCH_TEXT_BYTES])
{
    struct sl_file *file = NULL;
    uint64_t size = 0;
    size_t got = 0;
    uint8_t *data = NULL;
    sl_err err = sl_file_open(os, path, SL_FILE_READ, &file);
    err = err != SLUICE_OK ? err : sl_file_size(file, &size);
    err = err == SLUICE_OK && size > size_max ? SLUICE_E_LIMIT : err;
    if (err == SLUICE_OK) {
        data = sl_alloc(size + 1);
        err = data == NULL ? SLUICE_E_NO_MEMORY : sl_file_pread(file, data, size, 0, &got);
    }
    sl_file_close(file);
    if (err != SLUICE_OK) {
        sl_free(data);
        snprintf(ret_text, BENCH_TEXT_BYTES, "cannot read %.900s: %s", path,
                 err == SLUICE_E_LIMIT       ? "it is too large"
                 : err == SLUICE_E_NOT_FOUND ? "there is no such file"
                                             : sl_status_text(err));
        return err;
    }
    *ret_bytes = (struct sl_bytes){data, got};
    return SLUICE_OK;
}

static sl_err module_open(struct bench *bench, const char *path, bool keeps,
                          struct bench_file *file, char *ret_text)
{
    struct sl_bytes bytes;
    char reason[MANIFEST_REASON_BYTES] = "";
    uint8_t hash[PLUGIN_HASH_SIZE];
    sl_err err = bench_read(bench->os, path, BENCH_FILE_BYTES_MAX, &bytes, ret_text);
    if (err != SLUICE_OK) {
        return err;
    }
    plugin_hash(bytes, hash);
    if (keeps) {
        memcpy(file->hash, hash, sizeof(hash));
    }
    err = plugin_module_new(bytes, hash, &file->module, reason);
    sl_free((void *)(uintptr_t)bytes.data);
    if (err != SLUICE_OK) {
        snprintf(ret_text, BENCH_TEXT_BYTES, "%s: %s", path,
                 reason[0] != '\0' ? reason : sl_status_text(err));
    }
    return err;
}

static bool ends_in(const char *text, const char *end)
{
    size_t size = strlen(text), end_size = strlen(end);
    return size > end_size && strcmp(text + size - end_size, end) == 0;
}

sl_err bench_file_open(struct bench *bench, const char *path, struct bench_file *ret_file,
                       char ret_text[BENCH_TEXT_BYTES])
{
    struct bench_file file = {.script = NULL};
    const char *slash = strrchr(path, '/');
    snprintf(file.name, sizeof(file.name), "%s", slash != NULL ? slash + 1 : path);
    if (!ends_in(path, ".so") && !ends_in(path, ".lua")) {
        snprintf(ret_text, BENCH_TEXT_BYTES,
                 "%s is no plugin by its name: modules end in .so, scripts in .lua", path);
        return SLUICE_E_PLUGIN_LOAD;
    }
    if (ends_in(path, ".so")) {
        sl_err err = module_open(bench, path, true, &file, ret_text);
        if (err == SLUICE_OK) {
            *ret_file = file;
        }
        return err;
    }
    struct sl_bytes script;
    sl_err err = bench_read(bench->os, path, SANDBOX_SCRIPT_SIZE_MAX, &script, ret_text);
    err = err != SLUICE_OK ? err : module_open(bench, bench->lua_path, false, &file, ret_text);
    if (err != SLUICE_OK) {
        return err;
    }
    plugin_hash(script, file.hash);
    file.script = (uint8_t *)(uintptr_t)script.data;
    file.script_size = script.size;
    *ret_file = file;
    return SLUICE_OK;
}

void bench_file_close(struct bench_file *file)
{
    sl_free(file->script);
    file->script = NULL;
    file->module = plugin_module_unref(file->module);
}

const struct manifest *bench_file_manifest(const struct bench_file *file)
{
    static const struct manifest none = {.kind = MANIFEST_PROCESSOR};
    return file->script == NULL ? &file->module->manifest : &none;
}

/* ---- its attachment ---- */

static void text_take(struct sluice_text text, char *ret_text, size_t size)
{
    snprintf(ret_text, size, "%.*s", (int)SL_MIN(text.size, (uint64_t)size - 1),
             text.data != NULL ? text.data : "");
}

/* As a broker does it. A module whose topics only the operator's configuration names gets one. */
static void attach(struct bench_plugin *plugin, const struct bench_file *file,
                   const struct sandbox_event *ready)
{
    static const char *const inputs[] = {"in"};
    const struct plugin_instance_config config = {
        .name = plugin->id, .inputs = inputs, .input_count = 1};
    struct attachment_sources sources = {.instance = plugin->id,
                                         .file = file->name,
                                         .manifest = bench_file_manifest(file),
                                         .described = &ready->ready.attachment,
                                         .dev = true};
    if (plugin_attachment_resolve(&sources, &plugin->attachment, plugin->attached) != SLUICE_OK) {
        char reason[PLUGIN_REASON_BYTES];
        sources.config = &config;
        if (plugin_attachment_resolve(&sources, &plugin->attachment, reason) != SLUICE_OK) {
            plugin->attachment = (struct plugin_attachment){.on = SLUICE_ON_LOG};
        }
    }
    snprintf(plugin->topic, sizeof(plugin->topic), "%s", plugin->attachment.inputs[0]);
    size_t size = strlen(plugin->topic);
    if (size > 0 && plugin->topic[size - 1] == '*') {
        plugin->topic[size - 1] = '\0'; /* some topic of that pattern */
    }
    if (plugin->topic[0] == '\0') {
        snprintf(plugin->topic, sizeof(plugin->topic), "in");
    }
}

void bench_plugin_output(const struct bench_plugin *plugin, const char *input,
                         char ret_topic[BENCH_TOPIC_BYTES])
{
    const char *output = plugin->attachment.output;
    const char *mark = strstr(output, "%s");
    if (plugin->attachment.on == SLUICE_ON_PRODUCE) {
        snprintf(ret_topic, BENCH_TOPIC_BYTES, "%s", input); /* a gate keeps its place */
    } else if (mark == NULL) {
        snprintf(ret_topic, BENCH_TOPIC_BYTES, "%s", output);
    } else {
        snprintf(ret_topic, BENCH_TOPIC_BYTES, "%.*s%s%s", (int)(mark - output), output, input,
                 mark + 2);
    }
}

bool bench_plugin_may_write(const struct bench_plugin *plugin, const char *input,
                            struct sl_bytes topic)
{
    char output[BENCH_TOPIC_BYTES];
    bench_plugin_output(plugin, input, output);
    bool may = sl_bytes_equal(topic, sl_bytes_of_text(output));
    for (uint32_t i = 0; i < plugin->attachment.output_count && !may; i++) {
        may = sl_bytes_equal(topic, sl_bytes_of_text(plugin->attachment.outputs[i]));
    }
    return may;
}

/* ---- its worker ---- */

static struct sandbox_spawn spawn_of(const struct bench_plugin *plugin,
                                     const struct bench_settings *settings)
{
    const struct plugin_version *version = plugin->version;
    struct sandbox_limits limits = version->limits;
    const char *rehearsal = settings->rehearsal != NULL ? settings->rehearsal : "";
    const bool has_sample = settings->sample.size > 0;
    /* what it asks for, so that it starts here; a broker asks the operator too */
    const struct plugin_permission writes = {.kind = PERMISSION_WRITE_METRICS};
    const struct plugin_permission reads = {.kind = PERMISSION_READ_CONFIG};
    if (settings->unpaced) {
        limits.cpu_percent = 0;
    }
    if (rehearsal[0] != '\0') {
        limits.load_timeout_ms = REHEARSAL_TIMEOUT_MS;
        limits.rehearsal_threads =
            strpbrk(rehearsal, "0123456789tl") != NULL ? SANDBOX_REHEARSAL_THREADS_MAX : 0;
    }
    return (struct sandbox_spawn){
        .instance = sluice_text_of(version->instance),
        .module = &version->module->staged,
        .config_json = sluice_text_of(version->config_json),
        .script_name = sluice_text_of(version->file),
        .script = {has_sample ? settings->sample.data : version->script,
                   has_sample ? settings->sample.size : version->script_size},
        .write_metrics = plugin_permission_has(&version->module->manifest.permissions, &writes),
        .broker_config_json = plugin_permission_has(&version->module->manifest.permissions, &reads)
                                  ? sluice_text_of("{}")
                                  : (struct sluice_text){NULL, 0},
        .limits = limits,
        .geometry = version->geometry,
        .cpu = -1,
        .outputs_any = true, /* what it emits to is checked as a stage does it */
        .rehearsal = sluice_text_of(rehearsal),
        .rehearsal_seed = settings->rehearsal_seed,
    };
}

/* The instance is named as the file, which a broker would do until the plugin says its name. */
static struct plugin_version *version_of(const struct bench_file *file, const char *config_json)
{
    char name[MANIFEST_ID_BYTES];
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(file->name, "."), file->name);
    const struct plugin_instance_config config = {.name = name, .config_json = config_json};
    return instance_version_new(&(struct version_parts){.module = file->module,
                                                        .script = file->script,
                                                        .script_size = file->script_size,
                                                        .file = file->name,
                                                        .hash = file->hash,
                                                        .instance = name,
                                                        .config = &config});
}

sl_err bench_plugin_start(struct bench_plugin *plugin, const struct bench *bench,
                          const struct bench_file *file, const struct bench_settings *settings,
                          char ret_text[BENCH_TEXT_BYTES])
{
    *plugin = (struct bench_plugin){.bench = bench,
                                    .probe = {.log = settings->log, .log_arg = settings->log_arg}};
    plugin->version = version_of(file, settings->config_json);
    if (plugin->version == NULL) {
        snprintf(ret_text, BENCH_TEXT_BYTES, "its configuration is no JSON object");
        return SLUICE_E_CONFIG_VALUE;
    }
    const struct sandbox_spawn spawn = spawn_of(plugin, settings);
    sl_err err = probe_open(&plugin->probe, bench->sandbox, &spawn);
    if (err != SLUICE_OK) {
        snprintf(ret_text, BENCH_TEXT_BYTES, "%s", plugin->probe.end.text);
        bench_plugin_close(plugin);
        return err;
    }
    const struct sandbox_event *ready = &plugin->probe.event;
    text_take(ready->ready.id, plugin->id, sizeof(plugin->id));
    text_take(ready->ready.version, plugin->version_text, sizeof(plugin->version_text));
    attach(plugin, file, ready);
    return SLUICE_OK;
}

void bench_plugin_close(struct bench_plugin *plugin)
{
    probe_close(&plugin->probe);
    plugin->version = plugin_version_unref(plugin->version);
}
