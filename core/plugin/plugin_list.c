/* plugin_list.c: what runs, for people and for metrics (plugin_manager.h). */
#include "base/bytes.h"
#include "base/text.h"
#include "plugin/plugin_state.h"

#include <stdio.h>
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

struct held_visit {
    const struct instance_part *part;
    plugin_lag_fn *visit;
    void *arg;
};

/* Of a paused stage there is no task: its positions tell where it is. */
static void visit_held(void *arg, const struct position *position)
{
    const struct held_visit *self = arg;
    const struct shard *shard = self->part->owner->shard;
    const struct topic *topic = catalog_by_id(shard->catalog, &position->topic);
    const struct partition *partition =
        topic != NULL ? partition_find(topic, position->partition) : NULL;
    if (partition != NULL && plugin_attachment_reads(&self->part->attachment->is, topic->name)) {
        self->visit(self->arg, &(struct plugin_lag){.plugin = self->part->name,
                                                    .topic = (const char *)topic->name.data,
                                                    .partition = position->partition,
                                                    .next_offset = position->next_offset,
                                                    .end_offset = partition_end(partition),
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
                                        .stall = stall_of(part, task)});
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
                                         .hash = instance->shadow.coming.version->hash_text,
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
    if (instance->attachment != NULL) {
        const struct plugin_attachment *is = &instance->attachment->is;
        plugin_attachment_inputs_text(is, input, sizeof(input));
        info.on = is->on == SLUICE_ON_PRODUCE ? "produce" : "log";
        info.output = is->output;
        info.outputs = is->outputs;
        info.output_count = is->output_count;
        info.outputs_any = is->outputs_any;
        info.deadline_ms = is->deadline_ms;
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
    visit(arg, &info);
}

static void show_file(const struct plugin_manager *manager, const struct plugin_file *file,
                      plugin_info_fn *visit, void *arg)
{
    char path[PLUGIN_REASON_BYTES];
    char hash[9];
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
                               .state = file->reason[0] == '\0' ? "running" : "refused",
                               .reason = file->reason,
                               .switched_by = ""};
    visit(arg, &info);
}

void plugin_manager_each(struct plugin_manager *manager, plugin_info_fn *visit, void *arg)
{
    SL_LIST_EACH(&manager->instances, link)
    {
        show(SL_CONTAINER_OF(link, struct plugin_instance, link), visit, arg);
    }
    SL_LIST_EACH(&manager->files, link)
    {
        const struct plugin_file *file = SL_CONTAINER_OF(link, struct plugin_file, link);
        if (file->frontend_open || file->reason[0] != '\0') {
            show_file(manager, file, visit, arg);
        }
    }
}
