/* plugin_redrive.c: dead letters go back, on all shards (plugin_manager.h). One redrive at a time;
 * on each shard one partition of the dead-letter topic after the other, each by a stage task
 * (stage/stage_redrive.h). It lives on shard 0's loop; what is marked so, on the shard's. */
#include "plugin/plugin_state.h"

#include "base/status.h"
#include "base/text.h"
#include "stage/stage_redrive.h"

#include <stdio.h>
#include <string.h>

#define FILTER_BYTES_MAX 4096u

/* One shard's. */
struct redrive_run {
    struct shard_call call;
    struct plugin_redrive *redrive;
    struct stage_config config;
    struct stage_counts counts;
    struct header_room headers;
    struct instance_part *part; /* of the stage; NULL: to a topic */
    struct topic *topic;
    struct stage_task *task;
    uint32_t next_partition;
    bool is_over;
    sl_err err;
    char text[STAGE_REASON_BYTES];
};

struct plugin_redrive {
    struct plugin_manager *manager;
    char name[TOPIC_NAME_BYTES_MAX + 1u]; /* of the stage, or of the topic with the letters */
    char principal[TOPIC_NAME_BYTES_MAX + 9u];
    char to[TOPIC_NAME_BYTES_MAX + 1u];
    char filters[FILTER_BYTES_MAX]; /* what the order's filter points into */
    int64_t partition;              /* -1: all */
    struct redrive_order order;
    struct redrive_counts counts;
    _Atomic uint64_t total;
    uint32_t pending;
    struct redrive_run runs[];
};

/* ---- on a shard ---- */

static void run_next(struct redrive_run *run);

/* [shard] */
static void task_closed(void *arg)
{
    struct redrive_run *run = arg;
    run->task = NULL;
    run_next(run);
}

/* [shard] */
static void finished(void *arg, sl_err err, const char *text)
{
    struct redrive_run *run = arg;
    if (err != SLUICE_OK) {
        run->is_over = true;
        run->err = err;
        snprintf(run->text, sizeof(run->text), "%s", text);
    }
    stage_task_close(run->task);
}

/* [shard] */
static void run_end(struct redrive_run *run)
{
    if (run->part != NULL && run->part->redrive == run) {
        run->part->redrive = NULL;
    }
    header_room_fini(&run->headers);
    shard_call_reply(&run->call);
}

/* [shard] */
static bool open_partition(struct redrive_run *run, uint32_t number)
{
    struct plugin_redrive *redrive = run->redrive;
    struct shard *shard = run->call.target;
    struct partition *letters = NULL;
    int64_t total = 0;
    sl_err err = partition_open(shard, run->topic, number, &letters);
    err = err != SLUICE_OK
              ? err
              : stage_redrive_open(&run->config, letters, &redrive->order, &redrive->counts,
                                   finished, run, &total, &run->task);
    if (err != SLUICE_OK) {
        run->err = err;
        snprintf(run->text, sizeof(run->text), "%s", sl_status_text(err));
        return false;
    }
    atomic_fetch_add(&redrive->total, (uint64_t)total);
    return true;
}

/* [shard] */
static void run_next(struct redrive_run *run)
{
    struct shard *shard = run->call.target;
    bool of_groups = false;
    run->topic = stage_redrive_letters(shard->catalog, run->redrive->name, &of_groups);
    while (!run->is_over && run->topic != NULL &&
           run->next_partition < run->topic->partition_count) {
        uint32_t number = run->next_partition++;
        bool wanted = run->redrive->partition < 0 || run->redrive->partition == (int64_t)number;
        if (wanted && shard_of_partition(shard->set, run->topic, number) == shard) {
            if (open_partition(run, number)) {
                return; /* goes on when it is closed */
            }
            break;
        }
    }
    run_end(run);
}

/* [shard] */
static struct instance_part *find_part(const struct redrive_run *run)
{
    const struct plugin_redrive *redrive = run->redrive;
    SL_LIST_EACH(&redrive->manager->shards[run->call.target->index].parts, link)
    {
        struct instance_part *part = SL_CONTAINER_OF(link, struct instance_part, link);
        if (strcmp(part->name, redrive->name) == 0 && part->attachment != NULL &&
            part->attachment->is.on != SLUICE_ON_PRODUCE && part->redrive == NULL) {
            return part;
        }
    }
    return NULL;
}

/* [shard] */
static void run_begin(struct shard_call *call)
{
    struct redrive_run *run = SL_CONTAINER_OF(call, struct redrive_run, call);
    struct plugin_redrive *redrive = run->redrive;
    bool forwards = redrive->order.to.size > 0 || redrive->order.of_groups;
    run->part = forwards ? NULL : find_part(run);
    if (run->part != NULL) {
        run->config = run->part->config;
        run->config.rules.instance = redrive->name;
        run->config.rules.principal = redrive->principal;
        run->part->redrive = run;
    } else if (forwards) {
        run->config.rules = (struct output_rules){.shard = call->target,
                                                  .instance = redrive->name,
                                                  .principal = "User:admin",
                                                  .version = "",
                                                  .any = true};
    } else {
        run->err = SLUICE_E_NOT_FOUND;
        snprintf(run->text, sizeof(run->text), "the stage does not run");
        run_end(run);
        return;
    }
    run->config.shard = call->target;
    run->config.counts = &run->counts;
    run->config.headers = &run->headers;
    run->config.closed = task_closed;
    run->config.closed_arg = run;
    run_next(run);
}

void redrive_run_stop(struct redrive_run *run)
{
    run->is_over = true;
    run->part->redrive = NULL;
    run->part = NULL;
    run->err = SLUICE_E_STOPPING;
    snprintf(run->text, sizeof(run->text),
             "the stage was unloaded, paused or attached anew; what "
             "is done is done: redrive the rest again");
    if (run->task != NULL) {
        stage_task_close(run->task);
    }
}

/* ---- the whole ---- */

static void redrive_answered(struct plugin_redrive *redrive)
{
    struct plugin_manager *manager = redrive->manager;
    if (--redrive->pending == 0) {
        plugin_manager_redrive_status(manager, &manager->redrive_last);
        manager->redrive_last.is_running = false;
        manager->redrive = NULL;
        sl_log(manager->config.logger, SL_LOG_INFO, redrive->name, "redrive ended",
               sl_log_u64("redriven", manager->redrive_last.done),
               sl_log_u64("failed_again", manager->redrive_last.failed),
               sl_log_text("reason", manager->redrive_text));
        sl_free(redrive);
        manager_progress(manager);
    }
}

static void run_replied(struct shard_call *call)
{
    struct redrive_run *run = SL_CONTAINER_OF(call, struct redrive_run, call);
    struct plugin_manager *manager = run->redrive->manager;
    if (run->err != SLUICE_OK && manager->redrive_err == SLUICE_OK) {
        manager->redrive_err = run->err;
        snprintf(manager->redrive_text, sizeof(manager->redrive_text), "%s", run->text);
    }
    redrive_answered(run->redrive);
}

static sl_err take_filters(struct plugin_redrive *redrive, const struct redrive_request *request)
{
    size_t at = 0;
    for (uint32_t i = 0; i < request->filter_count; i++) {
        size_t size = strlen(request->filters[i]);
        if (at + size > sizeof(redrive->filters)) {
            return SLUICE_E_LIMIT;
        }
        memcpy(redrive->filters + at, request->filters[i], size);
        sl_err err = dead_letter_filter_add(&redrive->order.filter,
                                            sl_bytes_of(redrive->filters + at, size));
        if (err != SLUICE_OK) {
            return err;
        }
        at += size;
    }
    return SLUICE_OK;
}

static sl_err check(struct plugin_manager *manager, const struct redrive_request *request,
                    bool *ret_of_groups, struct sl_text_out *out)
{
    const struct plugin_instance *instance = instance_find(manager, request->name);
    struct catalog *catalog = manager->config.set->shards[0]->catalog;
    if (manager->redrive != NULL || manager->stopping) {
        sl_text_add(out, "a redrive of %s is under way", manager->redrive_last.name);
        return SLUICE_E_BUSY;
    }
    if (stage_redrive_letters(catalog, request->name, ret_of_groups) == NULL) {
        sl_text_add(
            out,
            "%s has no dead letters: it is no stage that has any, nor a topic that is open to "
            "those of groups (errors.deadletterqueue.group.enable)",
            request->name);
        return SLUICE_E_NOT_FOUND;
    }
    if (request->to != NULL) {
        const struct topic *topic = catalog_by_name(catalog, sl_bytes_of_text(request->to));
        if (topic == NULL || topic->internal) {
            sl_text_add(out, "topic %s", request->to);
            return topic == NULL ? SLUICE_E_UNKNOWN_TOPIC : SLUICE_E_PERMISSION;
        }
        return SLUICE_OK;
    }
    if (*ret_of_groups) {
        return SLUICE_OK;
    }
    if (instance == NULL || instance->active == NULL || instance->attachment == NULL) {
        sl_text_add(out, "stage %s does not run; load it, or send them elsewhere with --to",
                    request->name);
        return SLUICE_E_NOT_FOUND;
    }
    enum stage_pause cause = atomic_load(&instance->brake.cause);
    if (cause != STAGE_PAUSE_NONE || instance->paused) {
        sl_text_add(out, "stage %s is paused; resume it first", request->name);
        return SLUICE_E_BUSY;
    }
    return SLUICE_OK;
}

sl_err plugin_manager_redrive(struct plugin_manager *manager, const struct redrive_request *request,
                              char ret_reason[PLUGIN_REASON_BYTES])
{
    struct sl_text_out out = sl_text_out_of(ret_reason, PLUGIN_REASON_BYTES);
    uint32_t count = manager->config.set->count;
    bool of_groups = false;
    sl_err err = check(manager, request, &of_groups, &out);
    if (err != SLUICE_OK) {
        return err;
    }
    struct plugin_redrive *redrive =
        sl_alloc_zero(1, sizeof(*redrive) + count * sizeof(redrive->runs[0]));
    if (redrive == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    redrive->manager = manager;
    redrive->partition = request->partition;
    redrive->order.offset = request->offset;
    snprintf(redrive->name, sizeof(redrive->name), "%s", request->name);
    snprintf(redrive->principal, sizeof(redrive->principal), "Plugin:%s", request->name);
    snprintf(redrive->to, sizeof(redrive->to), "%s", request->to != NULL ? request->to : "");
    redrive->order.to = sl_bytes_of_text(redrive->to);
    redrive->order.of_groups = of_groups;
    err = take_filters(redrive, request);
    if (err != SLUICE_OK) {
        sl_text_add(&out, "%s", "a filter is " DEAD_LETTER_FILTER_HELP);
    }
    if (err != SLUICE_OK || request->dry_run) {
        sl_free(redrive);
        return err;
    }
    manager->redrive = redrive;
    manager->redrive_err = SLUICE_OK;
    manager->redrive_text[0] = '\0';
    manager->redrive_last = (struct redrive_status){.is_running = true, .of_groups = of_groups};
    snprintf(manager->redrive_last.name, sizeof(manager->redrive_last.name), "%s", request->name);
    redrive->pending = count + 1; /* until all are asked */
    for (uint32_t i = 0; i < count; i++) {
        redrive->runs[i].redrive = redrive;
        redrive->runs[i].call.run = run_begin;
        redrive->runs[i].call.reply = run_replied;
        shard_call_start(&redrive->runs[i].call, manager->config.set->shards[i], manager->loop,
                         SL_PRIORITY_CONTROL);
    }
    redrive_answered(redrive);
    return SLUICE_OK;
}

void plugin_manager_redrive_status(const struct plugin_manager *manager,
                                   struct redrive_status *ret_status)
{
    const struct plugin_redrive *redrive = manager->redrive;
    struct redrive_status status = manager->redrive_last;
    if (redrive != NULL) {
        status.total = atomic_load(&redrive->total);
        status.seen = SL_MIN(atomic_load(&redrive->counts.seen), status.total);
        status.done = atomic_load(&redrive->counts.done);
        status.failed = atomic_load(&redrive->counts.failed);
        status.orphans = atomic_load(&redrive->counts.orphans);
        status.distant = atomic_load(&redrive->counts.distant);
        status.bare = atomic_load(&redrive->counts.bare);
    }
    status.err = manager->redrive_err;
    snprintf(status.text, sizeof(status.text), "%s", manager->redrive_text);
    *ret_status = status;
}

void redrive_stop_all(struct plugin_manager *manager)
{
    if (manager->redrive != NULL) {
        atomic_store(&manager->redrive->order.stop, true);
    }
}
