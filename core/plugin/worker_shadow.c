/* worker_shadow.c: the next worker of a host gets copies of the tasks of the current one, as far as
 * it has room and CPU time for them, and what both answer is compared (shadow_run.h). The current
 * one never waits for it. On the host's loop. */
#include "plugin/worker_host_state.h"

#include "base/bytes.h"
#include "base/status.h"

#include <sandbox/state_delta.h>
#include <stdio.h>
#include <string.h>

/* A task that both have, until the second one answers. */
struct shadow_pair {
    uint64_t task_id; /* 0: free */
    char topic[CHANNEL_TOPIC_SIZE_MAX + 1u];
    int32_t partition;
    int64_t base_offset;
    uint32_t record_count;
    bool has; /* the first answer */
    bool has_new;
    struct sandbox_result kept; /* of it */
    uint8_t *items;             /* owned */
};

struct worker_shadow {
    struct shadow_run *run; /* referenced */
    struct shadow_pair pairs[CHANNEL_DEPTH_MAX];
};

static void pair_free(struct shadow_pair *pair)
{
    sl_free(pair->items);
    *pair = (struct shadow_pair){0};
}

/* Their records are compared another time. */
void worker_shadow_forget(struct worker_host *host)
{
    for (uint32_t i = 0; host->shadow != NULL && i < CHANNEL_DEPTH_MAX; i++) {
        struct shadow_pair *pair = &host->shadow->pairs[i];
        if (pair->task_id != 0) {
            atomic_fetch_add_explicit(&host->shadow->run->left, pair->record_count,
                                      memory_order_relaxed);
            pair_free(pair);
        }
    }
}

void worker_host_shadow_end(struct worker_host *host)
{
    worker_shadow_forget(host);
    if (host->shadow != NULL) {
        shadow_run_unref(host->shadow->run);
        sl_free(host->shadow);
        host->shadow = NULL;
    }
}

sl_err worker_host_shadow(struct worker_host *host, struct shadow_run *run)
{
    SL_ASSERT(host->next != NULL && host->next->state == SLOT_OFFERED);
    worker_host_shadow_end(host);
    host->shadow = sl_alloc_zero(1, sizeof(*host->shadow));
    if (host->shadow == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    host->shadow->run = shadow_run_ref(run);
    host->port.state_epoch++;
    return SLUICE_OK;
}

static struct shadow_pair *find_pair(struct worker_shadow *shadow, uint64_t task_id)
{
    for (uint32_t i = 0; i < CHANNEL_DEPTH_MAX; i++) {
        if (shadow->pairs[i].task_id == task_id) {
            return &shadow->pairs[i];
        }
    }
    return NULL;
}

void worker_shadow_mirror(struct worker_host *host, const struct sandbox_task *task)
{
    struct worker_slot *slot = host->next;
    int64_t now = worker_host_now_ms(host);
    if (host->shadow == NULL || slot == NULL || slot->state != SLOT_OFFERED || host->switching ||
        slot->count >= slot->version->geometry.depth ||
        atomic_load_explicit(&host->shadow->run->left, memory_order_relaxed) <= 0 ||
        sandbox_worker_rest_ms(slot->worker, now) > 0) {
        return;
    }
    struct shadow_pair *pair = find_pair(host->shadow, 0);
    struct sandbox_task copy = *task;
    if (copy.state_next != 0) { /* what it makes of the state is never the committed one */
        copy.state_next |= STATE_TOKEN_SHADOW;
    }
    if (copy.state_token > STATE_TOKEN_EMPTY) {
        copy.state_token |= STATE_TOKEN_SHADOW;
    }
    if (pair == NULL || sandbox_worker_submit(slot->worker, &copy, now) != SLUICE_OK) {
        return; /* its end shows by itself */
    }
    slot->running[(slot->first + slot->count) % CHANNEL_DEPTH_MAX] = NULL; /* nobody's call */
    slot->count++;
    *pair = (struct shadow_pair){.task_id = task->id,
                                 .partition = task->partition,
                                 .base_offset = task->base_offset,
                                 .record_count = task->limit};
    snprintf(pair->topic, sizeof(pair->topic), "%.*s", (int)task->topic.size, task->topic.data);
    atomic_fetch_sub_explicit(&host->shadow->run->left, task->limit, memory_order_relaxed);
}

/* The first answer outlives its worker's memory. */
static void keep_result(struct shadow_pair *pair, const struct sandbox_result *result, bool is_new)
{
    pair->items = sl_alloc(SL_MAX(result->items_size, 1u));
    if (pair->items == NULL) {
        pair_free(pair); /* one comparison less */
        return;
    }
    if (result->items_size > 0) {
        memcpy(pair->items, result->items, result->items_size);
    }
    pair->kept = *result;
    pair->kept.items = pair->items;
    pair->kept.error = (struct sluice_text){0};
    pair->has = true;
    pair->has_new = is_new;
}

void worker_shadow_result(struct worker_host *host, const struct sandbox_result *result,
                          bool is_new)
{
    struct shadow_pair *pair =
        host->shadow != NULL ? find_pair(host->shadow, result->task_id) : NULL;
    if (pair == NULL) {
        return;
    }
    if (!pair->has) {
        keep_result(pair, result, is_new);
        return;
    }
    bool is_void = result->state_missing || pair->kept.state_missing;
    if (is_void) { /* compared when both have the state */
        atomic_fetch_add_explicit(&host->shadow->run->left, pair->record_count,
                                  memory_order_relaxed);
    } else if (pair->has_new != is_new) {
        const struct shadow_place place = {pair->topic, pair->partition, pair->base_offset};
        shadow_run_compare(host->shadow->run, &place, is_new ? &pair->kept : result,
                           is_new ? result : &pair->kept);
    }
    pair_free(pair);
}
