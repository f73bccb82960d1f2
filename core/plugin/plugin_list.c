/* plugin_list.c: what runs, for people and for metrics (plugin_manager.h). */
#include "base/bytes.h"
#include "base/text.h"
#include "plugin/plugin_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const count_keys[] = {
#define COUNT_KEY(name, key, doc) key,
    PLUGIN_COUNT_TABLE(COUNT_KEY)
#undef COUNT_KEY
};
_Static_assert((int)PLUGIN_COUNT_COUNT == (int)STAGE_COUNT_COUNT, "one table seen twice");

const char *plugin_count_key(uint32_t count)
{
    return count < PLUGIN_COUNT_COUNT ? count_keys[count] : "";
}

static const char *state_name(enum instance_state state)
{
    static const char *const names[] = {"starting", "running",  "waiting", "refused",
                                        "draining", "unloaded", "disabled"};
    return names[state];
}

static void add_counts(const struct plugin_instance *instance, struct plugin_info *info)
{
    uint32_t shards = instance->manager->config.set->count;
    for (uint32_t i = 0; i < shards; i++) {
        const struct instance_part *part = &instance->parts[i];
        for (uint32_t k = 0; k < PLUGIN_COUNT_COUNT; k++) {
            info->counts[k] += atomic_load_explicit(&part->counts.values[k], memory_order_relaxed);
        }
    }
    for (uint32_t k = 0; k < SANDBOX_CAUSE_COUNT && k < PLUGIN_CAUSES_MAX; k++) {
        info->cause_names[k] = sandbox_cause_name(k);
        for (uint32_t i = 0; i < shards; i++) {
            info->cause_counts[k] +=
                atomic_load_explicit(&instance->parts[i].causes[k], memory_order_relaxed);
        }
        info->cause_count = k + 1;
    }
}

/* What a task waits for; a worker that rests is a cause of its own. */
static const char *stall_of(const struct instance_part *part, const struct stage_task *task)
{
    const char *stall = stage_task_stall(task);
    bool waits = strcmp(stall, STAGE_STALL_WORKER) == 0;
    return waits && part->host != NULL && worker_host_rests(part->host) ? "waits for its CPU share"
                                                                        : stall;
}

static void add_times(const struct plugin_instance *instance, uint32_t which,
                      struct plugin_times *times)
{
    uint64_t buckets[SL_METRIC_BUCKETS] = {0};
    for (uint32_t i = 0; i < instance->manager->config.set->count; i++) {
        const struct sl_metric_cell *cells = instance->meters[i].times[which];
        for (uint32_t b = 0; b < SL_METRIC_BUCKETS; b++) {
            buckets[b] += sl_metric_get(&cells[b]);
        }
        times->sum += sl_metric_get(&cells[SL_METRIC_BUCKETS]);
    }
    for (uint32_t b = 0; b < SL_METRIC_BUCKETS; b++) {
        times->count += buckets[b];
    }
    times->p50 = sl_metric_quantile_of(buckets, 500);
    times->p99 = sl_metric_quantile_of(buckets, 990);
    times->p999 = sl_metric_quantile_of(buckets, 999);
}

/* Names meet again on other shards. */
static void add_denied(const struct worker_meter *meter, struct plugin_info *info)
{
    for (uint32_t i = 0; i < WORKER_METER_CALLS; i++) {
        const struct worker_denial *denial = &meter->denied[i];
        uint64_t count = atomic_load_explicit(&denial->count, memory_order_acquire);
        uint32_t at = 0;
        while (at < info->denied_count && strcmp(info->denied[at].call, denial->call) != 0) {
            at++;
        }
        if (count == 0 || at == WORKER_METER_CALLS) {
            continue;
        }
        memcpy(info->denied[at].call, denial->call, sizeof(denial->call));
        info->denied[at].count += count;
        info->denied_count = SL_MAX(info->denied_count, at + 1);
    }
}

static void add_cost(const struct plugin_instance *instance, struct plugin_info *info,
                     struct stage_error *error)
{
    for (uint32_t i = 0; i < instance->manager->config.set->count; i++) {
        const struct worker_meter *meter = &instance->meters[i];
        for (uint32_t k = 0; k < PLUGIN_GAUGE_COUNT; k++) {
            info->gauges[k] += worker_meter_get(meter, k);
        }
        add_denied(meter, info);
        worker_metrics_add(&meter->own, &info->own);
        stage_error_newest(&instance->parts[i].counts, error);
    }
    for (uint32_t k = 0; k < PLUGIN_TIME_COUNT; k++) {
        add_times(instance, k, &info->times[k]);
    }
    info->gauges[PLUGIN_GAUGE_VERSIONS] = instance->past_count;
    info->gauges[PLUGIN_GAUGE_LAST_ERROR] = (uint64_t)error->time_ms;
    info->last_error = error->text;
}

struct held_visit {
    const struct instance_part *part;
    plugin_lag_fn *visit;
    void *arg;
};

static int64_t time_of(const struct partition *partition, int64_t offset)
{
    struct stream_run run;
    return stream_index_find(&partition->index, offset, &run) ? run.max_timestamp : -1;
}

/* Of a paused stage there is no task: its positions tell where it is. */
static void visit_held(void *arg, const struct position *position)
{
    const struct held_visit *self = arg;
    const struct shard *shard = self->part->owner->shard;
    const struct topic *topic = catalog_by_id(shard->catalog, &position->topic);
    const struct partition *partition =
        topic != NULL ? partition_find(topic, position->partition) : NULL;
    if (partition != NULL && plugin_attachment_reads(&self->part->attachment->is, topic->name)) {
        self->visit(self->arg,
                    &(struct plugin_lag){.plugin = self->part->name,
                                         .topic = (const char *)topic->name.data,
                                         .partition = position->partition,
                                         .next_offset = position->next_offset,
                                         .end_offset = partition_end(partition),
                                         .time_ms = time_of(partition, position->next_offset),
                                         .stall = "paused"});
    }
}

static void visit_part(const struct instance_part *part, plugin_lag_fn *visit, void *arg)
{
    if (part->held && part->attachment != NULL) {
        struct held_visit held = {part, visit, arg};
        position_store_each(part->owner->shard->positions, sl_bytes_of_text(part->name), visit_held,
                            &held);
        return;
    }
    SL_LIST_EACH(&part->tasks, link)
    {
        const struct stage_task *task = stage_task_of_link(link);
        const struct partition *partition = stage_task_partition(task);
        if (partition->topic == NULL) {
            continue; /* deleted; the task is about to end */
        }
        visit(arg, &(struct plugin_lag){.plugin = part->name,
                                        .topic = (const char *)partition->topic->name.data,
                                        .partition = partition->number,
                                        .next_offset = stage_task_position(task),
                                        .end_offset = partition_end(partition),
                                        .time_ms = stage_task_time_ms(task),
                                        .stall = stall_of(part, task)});
    }
}

void plugin_manager_measure(const struct plugin_manager *manager, uint32_t shard, bool exactly)
{
    const struct plugin_shard *self = &manager->shards[shard];
    if (self->shard == NULL) {
        return;
    }
    SL_ASSERT(sl_loop_is_current(self->shard->loop));
    SL_LIST_EACH(&self->parts, link)
    {
        const struct instance_part *part = SL_CONTAINER_OF(link, struct instance_part, link);
        if (part->host != NULL) {
            worker_host_measure(part->host, exactly);
        }
    }
}

void plugin_manager_each_meter(const struct plugin_manager *manager, uint32_t shard,
                               plugin_meter_fn *visit, void *arg)
{
    const struct plugin_shard *self = &manager->shards[shard];
    if (self->shard == NULL) {
        return;
    }
    SL_ASSERT(sl_loop_is_current(self->shard->loop));
    SL_LIST_EACH(&self->parts, link)
    {
        const struct instance_part *part = SL_CONTAINER_OF(link, struct instance_part, link);
        visit(arg, part->name, part->meter);
    }
}

void plugin_manager_each_lag(const struct plugin_manager *manager, uint32_t shard,
                             plugin_lag_fn *visit, void *arg)
{
    const struct plugin_shard *self = &manager->shards[shard];
    if (self->shard == NULL) {
        return; /* no plugin can run here */
    }
    SL_ASSERT(sl_loop_is_current(self->shard->loop));
    SL_LIST_EACH(&self->parts, link)
    {
        visit_part(SL_CONTAINER_OF(link, struct instance_part, link), visit, arg);
    }
}

static void show_shadow(const struct plugin_instance *instance, struct plugin_shadow *shadow)
{
    const struct shadow_run *run = instance->shadow.run;
    const struct shadow_result *last = &instance->shadow.last;
    if (run != NULL) {
        *shadow = (struct plugin_shadow){.is_under_way = true,
                                         .hash = instance->agree.coming.version->hash_text,
                                         .same = atomic_load(&run->same),
                                         .changed = atomic_load(&run->changed)};
        return;
    }
    *shadow = (struct plugin_shadow){.hash = last->hash_text,
                                     .same = last->same,
                                     .changed = last->changed,
                                     .diff_count = last->diff_count};
    for (uint32_t i = 0; i < last->diff_count; i++) {
        shadow->diffs[i] = last->diffs[i];
    }
}

static void show(const struct plugin_instance *instance, plugin_info_fn *visit, void *arg)
{
    char path[PLUGIN_REASON_BYTES];
    char input[PLUGIN_TEXT_BYTES] = "";
    const struct plugin_version *version =
        instance->active != NULL ? instance->active : instance->loading;
    const struct plugin_switch *is_switched = manager_switch(instance->manager, instance->name);
    bool shows_paused = instance->paused && instance->state == INSTANCE_RUNNING;
    instance_path(instance, path, sizeof(path));
    struct plugin_info info = {
        .name = instance->name,
        .path = path,
        .module = instance->module_text,
        .version = instance->version_text,
        .hash = version != NULL ? version->hash_text : "",
        .kind = "processor",
        .on = "",
        .input = input,
        .output = "",
        .state = shows_paused ? "paused" : state_name(instance->state),
        .switched_by = is_switched != NULL ? is_switched->who : "",
        .switched_ms = is_switched != NULL ? is_switched->time_ms : 0,
        .reason = instance->reason,
    };
    enum stage_pause pause = atomic_load(&instance->brake.cause);
    char on_error[ERROR_RULE_BYTES] = "";
    info.on_error = on_error;
    if (pause != STAGE_PAUSE_NONE) {
        info.state = "paused";
        info.reason = stage_pause_text(pause);
    }
    if (instance->attachment != NULL) {
        const struct plugin_attachment *is = &instance->attachment->is;
        plugin_attachment_inputs_text(is, input, sizeof(input));
        info.on = is->on == SLUICE_ON_PRODUCE ? "produce" : "log";
        info.output = is->output;
        info.outputs = is->outputs;
        info.output_count = is->output_count;
        info.outputs_any = is->outputs_any;
        info.deadline_ms = is->deadline_ms;
        error_rule_text(&is->on_error, on_error);
    }
    if (version != NULL) {
        info.asked = &version->module->manifest.permissions;
        info.granted = &version->granted;
        info.has = &version->has;
    }
    if (instance->parts[0].host != NULL) {
        info.pid = worker_host_pid(instance->parts[0].host);
        info.cpu_ns = worker_host_cpu_ns(instance->parts[0].host);
        info.report = worker_host_report(instance->parts[0].host);
        info.observed = worker_host_observed(instance->parts[0].host);
        info.rss_bytes = worker_host_rss_bytes(instance->parts[0].host);
    }
    info.since_ms = instance->active != NULL ? instance->active_since_ms : 0;
    instance_past_show(instance, &info);
    show_shadow(instance, &info.shadow);
    add_counts(instance, &info);
    struct stage_error error = {.time_ms = 0};
    add_cost(instance, &info, &error);
    visit(arg, &info);
}

static void show_file(const struct plugin_manager *manager, const struct plugin_file *file,
                      plugin_info_fn *visit, void *arg)
{
    char path[PLUGIN_REASON_BYTES];
    char hash[9];
    /* The version before serves on when a new one is refused; the reason is the refusal's. */
    bool is_serving = file->frontend_open || file->reason[0] == '\0';
    plugin_hash_text(file->loaded, hash, sizeof(hash));
    snprintf(path, sizeof(path), "%s/%s", manager->settings.is.plugins_dir, file->name);
    struct plugin_info info = {.name = file->name,
                               .path = path,
                               .module = "",
                               .version = "",
                               .hash = hash,
                               .kind = file->frontend_open ? "frontend" : "",
                               .on = "",
                               .input = "",
                               .output = "",
                               .state = is_serving ? "running" : "refused",
                               .reason = file->reason,
                               .switched_by = "",
                               .last_error = ""};
    visit(arg, &info);
}

static void show_awaited(const struct plugin_manager *manager,
                         const struct plugin_instance_config *config, plugin_info_fn *visit,
                         void *arg)
{
    char reason[PLUGIN_REASON_BYTES];
    char file[PLUGIN_FILE_BYTES];
    char path[PLUGIN_REASON_BYTES];
    if (!manager_awaits(manager, config, reason)) {
        return;
    }
    instance_module_file(config, file);
    snprintf(path, sizeof(path), "%s/%s", manager->settings.is.plugins_dir, file);
    struct plugin_info info = {.name = config->name,
                               .path = path,
                               .module = "",
                               .version = "",
                               .hash = "",
                               .kind = "",
                               .on = "",
                               .input = "",
                               .output = "",
                               .state = "awaited",
                               .reason = reason,
                               .switched_by = "",
                               .last_error = ""};
    visit(arg, &info);
}

/* One of the three. */
struct row {
    const char *name;
    const struct plugin_instance *instance;
    const struct plugin_file *file;
    const struct plugin_instance_config *awaited;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct row *)a)->name, ((const struct row *)b)->name);
}

struct shower {
    const struct plugin_manager *manager;
    plugin_info_fn *visit;
    void *arg;
};
typedef void row_fn(void *arg, const struct row *row);

static void show_row(void *arg, const struct row *row)
{
    const struct shower *self = arg;
    if (row->instance != NULL) {
        show(row->instance, self->visit, self->arg);
    } else if (row->file != NULL) {
        show_file(self->manager, row->file, self->visit, self->arg);
    } else {
        show_awaited(self->manager, row->awaited, self->visit, self->arg);
    }
}

static void each_row(const struct plugin_manager *manager, row_fn *take, void *arg)
{
    SL_LIST_EACH(&manager->instances, link)
    {
        const struct plugin_instance *instance =
            SL_CONTAINER_OF(link, struct plugin_instance, link);
        take(arg, &(struct row){.name = instance->name, .instance = instance});
    }
    SL_LIST_EACH(&manager->files, link)
    {
        const struct plugin_file *file = SL_CONTAINER_OF(link, struct plugin_file, link);
        if (file->frontend_open || file->reason[0] != '\0') {
            take(arg, &(struct row){.name = file->name, .file = file});
        }
    }
    for (uint32_t i = 0; i < manager->settings.is.instance_count; i++) {
        const struct plugin_instance_config *config = &manager->settings.instances[i];
        take(arg, &(struct row){.name = config->name, .awaited = config});
    }
}

struct rows {
    struct row *items; /* NULL: they are only counted */
    size_t count;
};

static void add_row(void *arg, const struct row *row)
{
    struct rows *rows = arg;
    if (rows->items != NULL) {
        rows->items[rows->count] = *row;
    }
    rows->count++;
}

void plugin_manager_each(struct plugin_manager *manager, plugin_info_fn *visit, void *arg)
{
    struct shower shower = {manager, visit, arg};
    struct rows rows = {NULL, 0};
    each_row(manager, add_row, &rows);
    rows.items = sl_alloc_zero(rows.count + 1u, sizeof(*rows.items));
    if (rows.items == NULL) {
        each_row(manager, show_row, &shower); /* without an order rather than not at all */
        return;
    }
    rows.count = 0;
    each_row(manager, add_row, &rows);
    qsort(rows.items, rows.count, sizeof(*rows.items), by_name);
    for (size_t i = 0; i < rows.count; i++) {
        show_row(&shower, &rows.items[i]);
    }
    sl_free(rows.items);
}
