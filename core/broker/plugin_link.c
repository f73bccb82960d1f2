/* plugin_link.c: see plugin_link.h. */
#include "broker/plugin_link.h"

#include "base/bytes.h"
#include "base/text.h"
#include "broker/broker_metrics.h"
#include "broker/plugin_cost.h"
#include "os/os_program.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

/* ---- settings ---- */

static void take_instance(const struct config_instance *from, struct plugin_instance_config *ret_to)
{
    *ret_to = (struct plugin_instance_config){
        .name = from->name,
        .module = from->module[0] != '\0' ? from->module : NULL,
        .on = from->on == CONFIG_ON_LOG       ? PLUGIN_ON_LOG
              : from->on == CONFIG_ON_PRODUCE ? PLUGIN_ON_PRODUCE
                                              : PLUGIN_ON_UNSET,
        .inputs = from->input.items,
        .input_count = from->input.count,
        .output = from->output[0] != '\0' ? from->output : NULL,
        .outputs = from->outputs.items,
        .output_count = from->outputs.count,
        .config_json = from->config_json,
        .sha256 = from->sha256[0] != '\0' ? from->sha256 : NULL,
        .memory_bytes = from->memory_bytes,
        .deadline_ms = from->deadline_ms,
        .descriptors = from->descriptors,
        .cpu_percent = from->cpu_percent,
        .state_bytes = from->state_bytes,
        .rollback_errors_percent = from->rollback_errors_percent,
        .rollback_grace_ms = from->rollback_grace_ms,
        .shadow_records = from->shadow,
        .shadow_max_diff_percent = from->shadow_max_diff_percent,
        .permissions = from->permissions.items,
        .permission_count = from->permissions.count,
        .observe = from->sandbox == CONFIG_SANDBOX_OBSERVE,
    };
    struct error_rule rule = {0};
    (void)!error_rule_parse(sl_bytes_of_text(from->on_error), &rule); /* checked: config_build */
    ret_to->on_error = rule;
}

/* Where versions are kept; NULL without a disk. */
static const char *kept_dir(const struct sl_config *config, char ret_path[PLUGIN_KEPT_PATH_BYTES])
{
    snprintf(ret_path, PLUGIN_KEPT_PATH_BYTES, "%s/plugins", config->data.dir);
    return config_has_disk(config) ? ret_path : NULL;
}

/* Every key with its value, but of plugins.instances: {"data.dir": "…"}. NULL: no memory. */
static char *public_config(const struct sl_config *config)
{
    cJSON *all = config_show_json(config);
    cJSON *public = cJSON_CreateObject();
    const cJSON *entry;
    cJSON_ArrayForEach(entry, all)
    {
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(entry, "value");
        if (strncmp(entry->string, "plugins.instances", 17) != 0 && cJSON_IsString(value)) {
            cJSON_AddStringToObject(public, entry->string, value->valuestring);
        }
    }
    char *text = cJSON_PrintUnformatted(public);
    cJSON_Delete(all);
    cJSON_Delete(public);
    return text;
}

static bool reads_config(const struct config_instance *instance)
{
    for (uint32_t i = 0; i < instance->permissions.count; i++) {
        if (strcmp(instance->permissions.items[i], "read_config") == 0) {
            return true;
        }
    }
    return false;
}

sl_err plugin_settings_take(const struct sl_config *config, struct plugin_settings_copy *ret_copy)
{
    uint32_t count = config->plugins.instance_count;
    struct plugin_instance_config *instances = sl_alloc_zero(count + 1u, sizeof(*instances));
    if (instances == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    ret_copy->broker_config_json = NULL;
    for (uint32_t i = 0; i < count; i++) {
        take_instance(&config->plugins.instances[i], &instances[i]);
        if (reads_config(&config->plugins.instances[i])) {
            char *json = ret_copy->broker_config_json;
            json = json != NULL ? json : public_config(config);
            instances[i].broker_config_json = ret_copy->broker_config_json = json;
        }
    }
    ret_copy->instances = instances;
    sl_program_worker(config->executable, ret_copy->worker_path);
    ret_copy->settings = (struct plugin_settings){.plugins_dir = config->plugins.dir,
                                                  .makes_no_folder = !config_has_disk(config),
                                                  .system_dir = config->plugins.system_dir,
                                                  .worker_path = ret_copy->worker_path,
                                                  .kept_dir = kept_dir(config, ret_copy->kept_dir),
                                                  .dev = config->dev,
                                                  .instances = instances,
                                                  .instance_count = count,
                                                  .rollback = {
                                                      config->plugins.rollback.errors_percent,
                                                      config->plugins.rollback.errors_min,
                                                      config->plugins.rollback.grace_ms,
                                                  }};
    return SLUICE_OK;
}

void plugin_settings_drop(struct plugin_settings_copy *copy)
{
    cJSON_free(copy->broker_config_json);
    copy->broker_config_json = NULL;
    sl_free(copy->instances);
    copy->instances = NULL;
}

/* ---- lists ---- */

static void add_names(cJSON *object, const struct plugin_info *info)
{
    const char *const members[][2] = {
        {"name", info->name},       {"path", info->path},    {"module", info->module},
        {"version", info->version}, {"hash", info->hash},    {"kind", info->kind},
        {"on", info->on},           {"input", info->input},  {"output", info->output},
        {"state", info->state},     {"reason", info->reason}};
    for (size_t i = 0; i < SL_COUNT_OF(members); i++) {
        cJSON_AddStringToObject(object, members[i][0], members[i][1] != NULL ? members[i][1] : "");
    }
}

static void add_switch(cJSON *object, const struct plugin_info *info)
{
    if (info->switched_ms != 0) {
        cJSON_AddStringToObject(object, "switched_by", info->switched_by);
        admin_add_int64(object, "switched_ms", info->switched_ms);
    }
}

static void add_time(cJSON *object, const char *key, int64_t wall_ms)
{
    char text[40] = "";
    struct sl_text_out out = SL_TEXT_OUT(text);
    sl_text_add_time(&out, wall_ms);
    cJSON_AddStringToObject(object, key, text);
}

/* What ran, newest first; the first one is what runs. */
static void add_versions(cJSON *object, const struct plugin_info *info)
{
    cJSON *array = cJSON_AddArrayToObject(object, "versions");
    if (info->since_ms != 0) {
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddStringToObject(entry, "hash", info->hash);
        cJSON_AddStringToObject(entry, "version", info->version);
        add_time(entry, "since", info->since_ms);
        cJSON_AddItemToArray(array, entry);
    }
    for (uint32_t i = 0; i < info->past_count; i++) {
        const struct plugin_past *past = &info->past[i];
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddStringToObject(entry, "hash", past->hash);
        cJSON_AddStringToObject(entry, "version", past->version);
        add_time(entry, "since", past->since_ms);
        add_time(entry, "until", past->until_ms);
        cJSON_AddStringToObject(entry, "ended", past->why);
        cJSON_AddItemToArray(array, entry);
    }
}

static void list_one(void *arg, const struct plugin_info *info)
{
    cJSON *entry = cJSON_CreateObject();
    add_names(entry, info);
    add_switch(entry, info);
    plugin_cost_short_json(info, entry);
    add_versions(entry, info);
    cJSON_AddItemToArray(arg, entry);
}

void plugin_list_json(struct plugin_manager *manager, struct cJSON *array)
{
    plugin_manager_each(manager, list_one, array);
}

struct search {
    const char *name;
    cJSON *object;
    bool found;
};

static void add_shadow(cJSON *object, const struct plugin_shadow *shadow)
{
    if (shadow->hash == NULL || shadow->hash[0] == '\0') {
        return;
    }
    cJSON *entry = cJSON_AddObjectToObject(object, "shadow");
    cJSON_AddStringToObject(entry, "state", shadow->is_under_way ? "under way" : "ended");
    cJSON_AddStringToObject(entry, "hash", shadow->hash);
    admin_add_uint64(entry, "same", shadow->same);
    admin_add_uint64(entry, "changed", shadow->changed);
    cJSON *diffs = cJSON_AddArrayToObject(entry, "differences");
    for (uint32_t i = 0; i < shadow->diff_count; i++) {
        cJSON_AddItemToArray(diffs, cJSON_CreateString(shadow->diffs[i]));
    }
}

static void describe_one(void *arg, const struct plugin_info *info)
{
    struct search *search = arg;
    if (search->found || strcmp(info->name, search->name) != 0) {
        return;
    }
    search->found = true;
    add_names(search->object, info);
    add_switch(search->object, info);
    cJSON_AddStringToObject(search->object, "on_error",
                            info->on_error != NULL ? info->on_error : "");
    for (uint32_t i = 0; i < PLUGIN_COUNT_COUNT; i++) {
        admin_add_uint64(search->object, plugin_count_key(i), info->counts[i]);
    }
    cJSON *deaths = cJSON_AddObjectToObject(search->object, "deaths_by_cause");
    for (uint32_t i = 0; i < info->cause_count; i++) {
        admin_add_uint64(deaths, info->cause_names[i], info->cause_counts[i]);
    }
    cJSON_AddNumberToObject(search->object, "worker_pid", info->pid);
    admin_add_uint64(search->object, "worker_cpu_ns", info->cpu_ns);
    admin_add_uint64(search->object, "worker_rss_bytes", info->rss_bytes);
    plugin_cost_json(info, search->object);
    add_versions(search->object, info);
    add_shadow(search->object, &info->shadow);
}

sl_err plugin_info_json(struct plugin_manager *manager, const char *name, struct cJSON *object)
{
    struct search search = {.name = name, .object = object};
    plugin_manager_each(manager, describe_one, &search);
    return search.found ? SLUICE_OK : SLUICE_E_NOT_FOUND;
}

/* ---- rollback ---- */

struct rollback_ask {
    bool dry_run;
    struct plugin_manager *manager;
    struct shard *home;
    char name[MANIFEST_ID_BYTES];
    admin_storage_done *done;
    void *done_arg;
};

static void rollback_done(void *arg, sl_err err, const char *text)
{
    struct rollback_ask *ask = arg;
    cJSON *object = err == SLUICE_OK ? cJSON_CreateObject() : NULL;
    if (object != NULL) {
        char said[PLUGIN_WHY_BYTES];
        err = plugin_info_json(ask->manager, ask->name, object);
        const cJSON *hash = cJSON_GetObjectItemCaseSensitive(object, "hash");
        if (ask->dry_run) {
            snprintf(said, sizeof(said), "%.120s", text);
        } else {
            snprintf(said, sizeof(said), "%s runs version %s again", ask->name,
                     hash != NULL ? cJSON_GetStringValue(hash) : "");
        }
        cJSON_AddStringToObject(object, "text", said);
    }
    ask->done(ask->done_arg, err, text, object);
    shard_request_end(ask->home);
    sl_free(ask);
}

void plugin_rollback_json(struct plugin_manager *manager, struct shard *home, const char *name,
                          const char *to, bool dry_run, admin_storage_done *done, void *done_arg)
{
    struct rollback_ask *ask = sl_alloc_zero(1, sizeof(*ask));
    if (ask == NULL) {
        done(done_arg, SLUICE_E_NO_MEMORY, "", NULL);
        return;
    }
    *ask = (struct rollback_ask){
        .manager = manager, .home = home, .done = done, .done_arg = done_arg, .dry_run = dry_run};
    snprintf(ask->name, sizeof(ask->name), "%s", name);
    shard_request_begin(home);
    plugin_manager_rollback(manager, name, to, dry_run, rollback_done, ask);
}

/* ---- metrics ---- */

static struct sl_bytes text_bytes(const char *text)
{
    return (struct sl_bytes){(const uint8_t *)text, strlen(text)};
}

static void publish_lag(void *arg, const struct plugin_lag *lag)
{
    struct plugin_meter *meter = arg;
    char number[16];
    snprintf(number, sizeof(number), "%u", lag->partition);
    struct sl_bytes place[] = {text_bytes(lag->plugin), text_bytes(lag->topic), text_bytes(number)};
    int64_t behind = SL_MAX(lag->end_offset - lag->next_offset, (int64_t)0);
    sl_metric_set(sl_metric_series(meter->writer, BROKER_METRIC_PLUGIN_LAG, place), behind);
    sl_metric_set(sl_metric_series(meter->writer, BROKER_METRIC_PLUGIN_LAG_TIME, place),
                  plugin_lag_age_ms(lag, meter->wall_ms));
    if (lag->stall[0] == '\0' || meter->stall_count == PLUGIN_STALL_CELLS_MAX) {
        return;
    }
    struct sl_bytes cause[] = {text_bytes(lag->plugin), text_bytes(lag->stall)};
    struct sl_metric_cell *cell =
        sl_metric_series(meter->writer, BROKER_METRIC_PLUGIN_STALLED, cause);
    sl_metric_add(cell, 1);
    meter->stalls[meter->stall_count++] = cell;
}

static void publish_own(struct sl_metric_writer *writer, const struct plugin_info *info)
{
    static const size_t rows[] = {
        [SLUICE_METRIC_COUNTER] = BROKER_METRIC_PLUGIN_OWN_COUNTER,
        [SLUICE_METRIC_GAUGE] = BROKER_METRIC_PLUGIN_OWN_GAUGE,
        [SLUICE_METRIC_HISTOGRAM] = BROKER_METRIC_PLUGIN_OWN_HISTOGRAM,
    };
    for (uint32_t i = 0; i < info->own.count; i++) {
        const struct worker_metric_sum *own = &info->own.items[i];
        struct sl_bytes place[] = {text_bytes(info->name), text_bytes(own->name)};
        struct sl_metric_cell *cell = sl_metric_series(writer, rows[own->kind], place);
        sl_metric_set(cell, (int64_t)(own->cells != NULL ? own->cells[0] : own->value));
        for (uint32_t c = 1; own->cells != NULL && c < SANDBOX_METRIC_CELLS; c++) {
            sl_metric_set(&cell[c], (int64_t)own->cells[c]);
        }
    }
}

static void publish_counts(void *arg, const struct plugin_info *info)
{
    struct sl_metric_writer *writer = arg;
    struct sl_bytes name[] = {text_bytes(info->name)};
    if (strcmp(info->state, "awaited") == 0) {
        return; /* nothing to count */
    }
    for (uint32_t i = 0; i < PLUGIN_COUNT_COUNT; i++) {
        struct sl_metric_cell *cell =
            sl_metric_series(writer, BROKER_METRIC_PLUGIN_FIRST + i, name);
        sl_metric_set(cell, (int64_t)info->counts[i]);
    }
    for (uint32_t i = 0; i < info->cause_count; i++) {
        struct sl_bytes cause[] = {text_bytes(info->name), text_bytes(info->cause_names[i])};
        sl_metric_set(sl_metric_series(writer, BROKER_METRIC_PLUGIN_DEATHS, cause),
                      (int64_t)info->cause_counts[i]);
    }
    for (uint32_t i = 0; i < PLUGIN_GAUGE_COUNT; i++) {
        sl_metric_set(sl_metric_series(writer, BROKER_METRIC_PLUGIN_GAUGES + i, name),
                      (int64_t)info->gauges[i]);
    }
    publish_own(writer, info);
    for (uint32_t i = 0; i < info->denied_count; i++) {
        struct sl_bytes call[] = {text_bytes(info->name), text_bytes(info->denied[i].call)};
        sl_metric_set(sl_metric_series(writer, BROKER_METRIC_PLUGIN_DENIED, call),
                      (int64_t)info->denied[i].count);
    }
}

/* The shard's own histograms: this loop's part of the series. */
static void publish_times(void *arg, const char *plugin, const struct worker_meter *from)
{
    struct plugin_meter *meter = arg;
    struct sl_bytes name[] = {text_bytes(plugin)};
    for (uint32_t i = 0; i < PLUGIN_TIME_COUNT; i++) {
        struct sl_metric_cell *to =
            sl_metric_series(meter->writer, BROKER_METRIC_PLUGIN_TIMES + i, name);
        for (uint32_t c = 0; c < WORKER_METER_CELLS; c++) {
            sl_metric_set(&to[c], (int64_t)sl_metric_get(&from->times[i][c]));
        }
    }
}

void plugin_meter_publish_counts(struct plugin_meter *meter, struct plugin_manager *manager)
{
    plugin_manager_each(manager, publish_counts, meter->writer);
}

void plugin_meter_publish_lags(struct plugin_meter *meter, const struct plugin_manager *manager,
                               struct shard *const *shards, uint32_t shard_count)
{
    for (uint32_t i = 0; i < meter->stall_count; i++) {
        sl_metric_set(meter->stalls[i], 0);
    }
    meter->stall_count = 0;
    for (uint32_t i = 0; i < shard_count; i++) {
        plugin_manager_measure(manager, shards[i]->index, false);
        plugin_manager_each_meter(manager, shards[i]->index, publish_times, meter);
        plugin_manager_each_lag(manager, shards[i]->index, publish_lag, meter);
    }
}
