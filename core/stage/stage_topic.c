/* stage_topic.c: topics that must be there before a stage goes on: its output, those its plugin
 * emits to, the dead letters. They get the input's partition count, so that an output lies with its
 * input. */
#include "stage/stage_task_state.h"

#include "base/status.h"
#include "shard/topics.h"

#include <stdio.h>
#include <string.h>

/* What waited for the topic is done again. */
static void forget_result(struct stage_task *task)
{
    sl_free(task->saved_items);
    task->saved_items = NULL;
    task->condemned = false;
    stage_read_forget(task);
}

static void topic_made(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    struct stage_task *task = arg;
    sl_err err = count == 1 ? results[0].status : SLUICE_E_NO_MEMORY;
    task->state = TASK_IDLE;
    if (stage_task_ended(task)) {
        return;
    }
    if (err != SLUICE_OK && err != SLUICE_E_TOPIC_EXISTS) {
        char reason[TOPIC_NAME_BYTES_MAX + STAGE_REASON_BYTES];
        snprintf(reason, sizeof(reason), "topic %s cannot be made: %s", task->topic_name,
                 sl_status_text(err));
        stage_task_log(task, SL_LOG_WARN, "waits for a topic", reason);
        forget_result(task);
        stage_task_back_off(task, "an output topic cannot be made");
        return;
    }
    const struct catalog *catalog = stage_task_shard(task)->catalog;
    if (catalog_by_name(catalog, sl_bytes_of_text(task->topic_name)) == NULL) {
        forget_result(task); /* another task makes it, and is not done */
        stage_task_back_off(task, "makes a topic");
        return;
    }
    if (task->condemned) {
        stage_call_condemn(task);
    } else if (task->saved_items != NULL) {
        stage_call_take_result(task, &task->saved);
    } else {
        stage_task_step_later(task);
    }
}

void stage_topic_make(struct stage_task *task, const char *name)
{
    static const struct sluice_key_value compacted[] = {{{"cleanup.policy", 14}, {"compact", 7}}};
    struct shard *shard = stage_task_shard(task);
    uint32_t partition = 0;
    const struct topic *origin = stage_task_origin(task, &partition);
    const struct topic *near = origin != NULL ? origin : task->partition->topic;
    bool internal = topic_name_is_reserved(sl_bytes_of_text(name));
    snprintf(task->topic_name, sizeof(task->topic_name), "%s", name);
    uint32_t count = near->partition_count;
    if (internal) { /* a partition on every shard */
        count = SL_MAX(count, shard->set->count);
    }
    bool is_state = strncmp(name, TOPIC_NAME_STATE, sizeof(TOPIC_NAME_STATE) - 1) == 0;
    task->topic_spec = (struct sluice_topic_spec){.size = sizeof(task->topic_spec),
                                                  .partition_count = (int32_t)count,
                                                  .name = sluice_text_of(task->topic_name),
                                                  .replication_factor = 1,
                                                  .configs = compacted,
                                                  .config_count = is_state ? 1 : 0};
    task->state = TASK_TOPIC;
    stage_task_set_stall(task, "makes a topic");
    topics_create_start(shard, &task->topic_spec, 1, false, internal, near, topic_made, task);
}

/* The default output exists. False: it is being made. */
bool stage_topic_have_output(struct stage_task *task)
{
    if (task->output_name[0] == '\0' ||
        catalog_by_name(stage_task_shard(task)->catalog, sl_bytes_of_text(task->output_name)) !=
            NULL) {
        return true;
    }
    stage_topic_make(task, task->output_name);
    return false;
}
