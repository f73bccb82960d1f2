/* plugin_shard.c: see plugin_shard.h. */
#include "plugin/plugin_shard.h"

#include "base/bytes.h"
#include "base/status.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

/* ---- attachments ---- */

struct shared_attachment *shared_attachment_new(const struct plugin_attachment *attachment)
{
    struct shared_attachment *self = sl_alloc_zero(1, sizeof(*self));
    if (self != NULL) {
        atomic_init(&self->refs, 1);
        self->is = *attachment;
        for (uint32_t i = 0; i < self->is.output_count; i++) {
            self->grants[i] = self->is.outputs[i];
        }
    }
    return self;
}

struct shared_attachment *shared_attachment_ref(struct shared_attachment *attachment)
{
    atomic_fetch_add_explicit(&attachment->refs, 1, memory_order_relaxed);
    return attachment;
}

struct shared_attachment *shared_attachment_unref(struct shared_attachment *attachment)
{
    if (attachment != NULL &&
        atomic_fetch_sub_explicit(&attachment->refs, 1, memory_order_acq_rel) == 1) {
        sl_free(attachment);
    }
    return NULL;
}

void plugin_shard_init(struct plugin_shard *self, struct shard *shard)
{
    *self = (struct plugin_shard){.shard = shard};
    sl_list_init(&self->parts);
    sl_list_init(&self->stores);
}

void plugin_shard_fini(struct plugin_shard *self)
{
    header_room_fini(&self->headers);
}

void instance_part_init(struct instance_part *part, struct plugin_shard *owner, const char *name)
{
    memset(part, 0, sizeof(*part));
    part->owner = owner;
    sl_link_init(&part->link);
    sl_list_init(&part->tasks);
    snprintf(part->name, sizeof(part->name), "%s", name);
}

static uint64_t records_in(const struct instance_part *part)
{
    return atomic_load_explicit(&part->counts.values[STAGE_COUNT_RECORDS_IN], memory_order_relaxed);
}

void instance_part_lost(struct instance_part *part)
{
    if (!worker_host_died_of_record(part->host) || records_in(part) == part->records_before) {
        uint64_t value = atomic_load_explicit(&part->losses, memory_order_relaxed);
        atomic_store_explicit(&part->losses, value + 1, memory_order_relaxed);
    }
}

/* ---- opening ---- */

static bool has_task(const struct instance_part *part, const struct partition *partition)
{
    SL_LIST_EACH(&part->tasks, link)
    {
        if (stage_task_partition(stage_task_of_link(link)) == partition) {
            return true;
        }
    }
    return false;
}

static bool has_position(const struct instance_part *part, const struct partition *partition)
{
    return position_store_get(part->owner->shard->positions, sl_bytes_of_text(part->name),
                              partition_topic_id(partition), partition->number) >= 0;
}

static void close_task(struct instance_part *part, struct sl_link *link)
{
    part->closing_tasks++;
    stage_task_close(stage_task_of_link(link));
}

static void open_on(struct instance_part *part, struct partition *partition, int64_t from)
{
    struct shard *shard = part->owner->shard;
    if (part->attachment->is.on == SLUICE_ON_PRODUCE) {
        if (partition->gate == NULL) {
            partition->gate = &part->gate.base;
        } else if (partition->gate != &part->gate.base) {
            sl_log(shard->logger, SL_LOG_ERROR, part->name, "another gate stands there already",
                   sl_log_bytes("topic", partition->topic->name));
        }
        return;
    }
    struct stage_task *task = NULL;
    if (has_task(part, partition) || (part->held && has_position(part, partition))) {
        return;
    }
    sl_err err = stage_task_open(&part->config, partition, from, &task);
    if (err != SLUICE_OK) {
        sl_log(shard->logger, SL_LOG_ERROR, part->name, "cannot attach to a partition",
               sl_log_bytes("topic", partition->topic->name),
               sl_log_u64("partition", partition->number), sl_log_err(err));
        return;
    }
    sl_list_push_back(&part->tasks, stage_task_link(task));
    if (part->held) { /* where it will begin is on its way to the log: that is all for now */
        close_task(part, stage_task_link(task));
    }
}

/* Its partitions from `first` on. */
static void attach_topic(struct instance_part *part, struct topic *topic, uint32_t first,
                         int64_t from)
{
    struct shard *shard = part->owner->shard;
    if (topic->internal || !plugin_attachment_reads(&part->attachment->is, topic->name)) {
        return;
    }
    if (part->attachment->is.on != SLUICE_ON_PRODUCE && !shard_topic_is_exact(shard, topic)) {
        sl_log(shard->logger, SL_LOG_ERROR, part->name,
               "not attached: a stage is exactly-once, which needs a topic of another durability",
               sl_log_bytes("topic", topic->name),
               sl_log_text("durability", topic_durability_text(topic->settings->durability)));
        return;
    }
    for (uint32_t i = first; i < topic->partition_count; i++) {
        struct partition *partition = NULL;
        if (shard_of_partition(shard->set, topic, i) == shard &&
            partition_open(shard, topic, i, &partition) == SLUICE_OK) {
            open_on(part, partition, from);
        }
    }
}

static void attach_existing(void *arg, struct topic *topic)
{
    struct instance_part *part = arg;
    attach_topic(part, topic, 0,
                 part->attachment->is.from_beginning ? STAGE_FROM_START : STAGE_FROM_END);
}

static void attach_now(struct instance_part *part);
static void maybe_settled(struct instance_part *part);

static void task_closed(void *arg)
{
    struct instance_part *part = arg;
    SL_ASSERT(part->closing_tasks > 0);
    part->closing_tasks--;
    maybe_settled(part);
}

static void gate_closed(void *arg)
{
    struct instance_part *part = arg;
    part->gate_open = false;
    maybe_settled(part);
}

static void fill_config(struct instance_part *part)
{
    const struct plugin_attachment *is = &part->attachment->is;
    struct shard *shard = part->owner->shard;
    snprintf(part->principal, sizeof(part->principal), "Plugin:%s", part->name);
    struct output_rules rules = {.shard = shard,
                                 .principal = part->principal,
                                 .instance = part->name,
                                 .version = part->version_text,
                                 .any = is->outputs_any,
                                 .grants = part->attachment->grants,
                                 .grant_count = is->output_count,
                                 .on_error = is->on_error};
    part->config = (struct stage_config){.shard = shard,
                                         .port = worker_host_port(part->host),
                                         .rules = rules,
                                         .output = is->output,
                                         .timeout_ms = is->deadline_ms,
                                         .state_version = is->state_version,
                                         .state_import = is->state_import,
                                         .state_import_count = is->state_import_count,
                                         .counts = &part->counts,
                                         .watch = &part->watch,
                                         .headers = &part->owner->headers,
                                         .stores = &part->owner->stores,
                                         .closed = task_closed,
                                         .closed_arg = part};
    if (is->on == SLUICE_ON_PRODUCE) {
        part->gate = (struct gate){.port = part->config.port,
                                   .rules = rules,
                                   .timeout_ms = is->deadline_ms,
                                   .counts = &part->counts,
                                   .closed = gate_closed,
                                   .closed_arg = part};
        gate_init(&part->gate);
        part->gate_open = true;
    }
}

static void attach_now(struct instance_part *part)
{
    struct shard *shard = part->owner->shard;
    shared_attachment_unref(part->attachment);
    part->attachment = part->coming;
    part->coming = NULL;
    fill_config(part);
    if (!sl_link_is_listed(&part->link)) {
        sl_list_push_back(&part->owner->parts, &part->link);
    }
    if (shard->status == SLUICE_OK) {
        catalog_each(shard->catalog, attach_existing, part);
    }
}

/* ---- closing ---- */

static void unhang_gate(struct instance_part *part)
{
    for (struct partition *p = part->owner->shard->partitions; p != NULL; p = p->next) {
        if (p->gate == &part->gate.base) {
            p->gate = NULL;
        }
    }
}

/* One more than its tasks while it runs, so that it settles once. */
static void close_all(struct instance_part *part)
{
    if (part->redrive != NULL) {
        redrive_run_stop(part->redrive);
    }
    part->closing_tasks++;
    SL_LIST_EACH_SAFE(&part->tasks, link)
    {
        close_task(part, link);
    }
    if (part->gate_open && !part->gate.closing) {
        unhang_gate(part);
        gate_close(&part->gate);
    }
    part->closing_tasks--;
}

static void host_closed(void *arg)
{
    struct instance_part *part = arg;
    part->host_closed = true;
    maybe_settled(part);
}

static void maybe_settled(struct instance_part *part)
{
    if (part->hold_done != NULL && part->closing_tasks == 0) {
        void (*done)(void *arg) = part->hold_done;
        part->hold_done = NULL;
        done(part->hold_arg);
    }
    if (part->closing_tasks > 0 || part->gate_open) {
        return;
    }
    if (part->leaving) {
        if (part->host_closed) {
            part->leaving = false;
            shared_attachment_unref(part->attachment);
            shared_attachment_unref(part->coming);
            part->attachment = part->coming = NULL;
            part->detached(part->detached_arg);
        }
        return;
    }
    if (part->coming != NULL && sl_list_is_empty(&part->tasks)) {
        attach_now(part);
    }
}

void instance_part_attach(struct instance_part *part, struct shared_attachment *attachment,
                          const char *version_text)
{
    snprintf(part->version_text, sizeof(part->version_text), "%s", version_text);
    stage_watch_reset(&part->watch);
    part->records_before = records_in(part);
    if (part->attachment != NULL &&
        plugin_attachment_equal(&part->attachment->is, &attachment->is)) {
        instance_part_wake(part);
        return;
    }
    shared_attachment_unref(part->coming);
    part->coming = shared_attachment_ref(attachment);
    close_all(part);
    maybe_settled(part);
}

void instance_part_detach(struct instance_part *part, void (*detached)(void *arg), void *arg)
{
    part->leaving = true;
    part->detached = detached;
    part->detached_arg = arg;
    sl_list_remove(&part->link);
    part->closing_tasks++;
    close_all(part);
    if (part->host != NULL) {
        worker_host_close(part->host, host_closed, part);
        part->host = NULL;
        worker_meter_idle(part->meter);
    } else {
        part->host_closed = true;
    }
    part->closing_tasks--;
    maybe_settled(part);
}

void instance_part_hold(struct instance_part *part, bool held, void (*done)(void *arg), void *arg)
{
    SL_ASSERT(part->hold_done == NULL);
    part->held = held;
    part->hold_done = done;
    part->hold_arg = arg;
    bool attached = part->attachment != NULL && sl_link_is_listed(&part->link);
    if (held && part->redrive != NULL) {
        redrive_run_stop(part->redrive);
    }
    if (held && attached) {
        part->closing_tasks++;
        SL_LIST_EACH_SAFE(&part->tasks, link)
        {
            close_task(part, link);
        }
        part->closing_tasks--;
    } else if (attached && part->coming == NULL && !part->leaving &&
               part->owner->shard->status == SLUICE_OK) {
        catalog_each(part->owner->shard->catalog, attach_existing, part);
    }
    maybe_settled(part);
}

void instance_part_wake(struct instance_part *part)
{
    SL_LIST_EACH(&part->tasks, link)
    {
        stage_task_wake(stage_task_of_link(link));
    }
}

/* ---- topics ---- */

void plugin_shard_topic_created(struct plugin_shard *self, struct topic *topic)
{
    plugin_shard_topic_grown(self, topic, 0);
}

void plugin_shard_topic_grown(struct plugin_shard *self, struct topic *topic, uint32_t first)
{
    SL_LIST_EACH(&self->parts, link)
    {
        attach_topic(SL_CONTAINER_OF(link, struct instance_part, link), topic, first,
                     STAGE_FROM_START);
    }
}

void plugin_shard_topic_deleted(struct plugin_shard *self, struct topic *topic)
{
    SL_LIST_EACH(&self->parts, part_link)
    {
        struct instance_part *part = SL_CONTAINER_OF(part_link, struct instance_part, link);
        SL_LIST_EACH_SAFE(&part->tasks, link)
        {
            if (stage_task_partition(stage_task_of_link(link))->topic == topic) {
                close_task(part, link);
            }
        }
    }
}

struct conflict {
    const struct plugin_attachment *attachment;
    const struct plugin_attachment *other;
    bool found;
};

static void look_for_conflict(void *arg, struct topic *topic)
{
    struct conflict *self = arg;
    self->found = self->found ||
                  (!topic->internal && plugin_attachment_reads(self->attachment, topic->name) &&
                   plugin_attachment_reads(self->other, topic->name));
}

static bool share_literal(const struct plugin_attachment *a, const struct plugin_attachment *b)
{
    for (uint32_t i = 0; i < a->input_count; i++) {
        if (plugin_attachment_reads(b, sl_bytes_of_text(a->inputs[i]))) {
            return true;
        }
    }
    return false;
}

const char *plugin_shard_gate_conflict(const struct plugin_shard *self,
                                       const struct instance_part *part,
                                       const struct plugin_attachment *attachment)
{
    if (attachment->on != SLUICE_ON_PRODUCE) {
        return NULL;
    }
    SL_LIST_EACH(&self->parts, link)
    {
        const struct instance_part *other = SL_CONTAINER_OF(link, struct instance_part, link);
        const struct plugin_attachment *is =
            other->attachment != NULL ? &other->attachment->is : NULL;
        if (other == part || is == NULL || is->on != SLUICE_ON_PRODUCE) {
            continue;
        }
        struct conflict conflict = {.attachment = attachment, .other = is};
        catalog_each(self->shard->catalog, look_for_conflict, &conflict);
        if (conflict.found || share_literal(attachment, is) || share_literal(is, attachment)) {
            return other->name;
        }
    }
    return NULL;
}

/* ---- placement ---- */

struct placement {
    const struct plugin_shard *owner;
    const struct plugin_attachment *attachment;
    char *reason;
    bool misplaced;
};

/* A gate does not promise it. */
static bool check_durability(struct placement *self, const struct topic *topic)
{
    if (self->attachment->on == SLUICE_ON_PRODUCE ||
        shard_topic_is_exact(self->owner->shard, topic)) {
        return true;
    }
    struct sl_text_out out = sl_text_out_of(self->reason, PLUGIN_REASON_BYTES);
    sl_text_add(
        &out,
        "topic %.*s has sluice.durability=%s: a stage is exactly-once, its topics must be fsync",
        (int)topic->name.size, (const char *)topic->name.data,
        topic_durability_text(topic->settings->durability));
    self->misplaced = true;
    return false;
}

static void check_output(struct placement *self, const struct topic *input, const char *name)
{
    const struct shard *shard = self->owner->shard;
    const struct topic *output = catalog_by_name(shard->catalog, sl_bytes_of_text(name));
    if (output == NULL || !check_durability(self, output)) {
        return;
    }
    bool same = shard->set->count == 1 || output->partition_count == input->partition_count;
    for (uint32_t i = 0; same && shard->set->count > 1 && i < output->partition_count; i++) {
        same = topic_shard(output, i) == topic_shard(input, i);
    }
    if (!same) {
        struct sl_text_out out = sl_text_out_of(self->reason, PLUGIN_REASON_BYTES);
        sl_text_add(&out,
                    "topic %s does not lie on the shards of %.*s: delete it, so that it is "
                    "made beside its input",
                    name, (int)input->name.size, (const char *)input->name.data);
        self->misplaced = true;
    }
}

static void check_input(void *arg, struct topic *topic)
{
    struct placement *self = arg;
    if (topic->internal || self->misplaced ||
        !plugin_attachment_reads(self->attachment, topic->name)) {
        return;
    }
    if (!check_durability(self, topic)) {
        return;
    }
    const char *output = self->attachment->output;
    const char *mark = strstr(output, "%s");
    char name[2 * MANIFEST_TOPIC_BYTES];
    if (mark == NULL) {
        snprintf(name, sizeof(name), "%s", output);
    } else {
        snprintf(name, sizeof(name), "%.*s%.*s%s", (int)(mark - output), output,
                 (int)topic->name.size, (const char *)topic->name.data, mark + 2);
    }
    if (name[0] != '\0') {
        check_output(self, topic, name);
    }
    for (uint32_t i = 0; i < self->attachment->output_count && !self->misplaced; i++) {
        check_output(self, topic, self->attachment->outputs[i]);
    }
}

bool plugin_shard_misplaced(const struct plugin_shard *self,
                            const struct plugin_attachment *attachment,
                            char ret_reason[PLUGIN_REASON_BYTES])
{
    struct placement placement = {.owner = self, .attachment = attachment, .reason = ret_reason};
    catalog_each(self->shard->catalog, check_input, &placement);
    return placement.misplaced;
}
