/* stage_redrive.c: see stage_redrive.h. */
#include "stage/stage_redrive.h"

#include "base/status.h"
#include "stage/redrive_marks.h"
#include "stage/stage_task_state.h"

#include <stdio.h>
#include <string.h>

#define REDRIVE_RECORDS_MAX 512u /* of one commit: each may be a mark of its own */

struct stage_redrive {
    struct stage_task *task;
    const struct redrive_order *order;
    struct redrive_counts *counts;
    redrive_finished_fn *finished;
    void *finished_arg;
    struct sl_task told; /* posts `finished` */
    sl_err err;
    char text[STAGE_REASON_BYTES];
    bool is_finished;
    int64_t end; /* of the letters at the start */
    struct redrive_marks marks;
    /* Of the input at hand: */
    char topic[TOPIC_NAME_BYTES_MAX + 1u]; /* where it came from */
    uint32_t partition;
    int64_t letters[REDRIVE_RECORDS_MAX];   /* offsets in the dead-letter topic */
    uint32_t redrives[REDRIVE_RECORDS_MAX]; /* of each, so far */
    /* Of the commit under way: */
    struct redrive_marks coming;
    uint8_t (*payloads)[POSITION_ITEM_BYTES_MAX]; /* owned */
    uint32_t *payload_sizes;                      /* owned */
    uint32_t change_count;
    uint32_t change_capacity;
};

void stage_redrive_free(struct stage_redrive *redrive)
{
    if (redrive != NULL) {
        SL_ASSERT(redrive->told.queued == 0);
        redrive_marks_fini(&redrive->marks);
        redrive_marks_fini(&redrive->coming);
        sl_free(redrive->payloads);
        sl_free(redrive->payload_sizes);
        sl_free(redrive);
    }
}

static void add(_Atomic uint64_t *count, uint64_t n)
{
    atomic_fetch_add_explicit(count, n, memory_order_relaxed);
}

struct topic *stage_redrive_letters(const struct catalog *catalog, const char *name,
                                    bool *ret_of_groups)
{
    char of_stage[TOPIC_NAME_BYTES_MAX + 1u];
    stage_dead_letter_name(name, of_stage);
    struct topic *topic = catalog_by_name(catalog, sl_bytes_of_text(of_stage));
    *ret_of_groups = topic == NULL;
    if (topic == NULL) {
        topic = catalog_by_name(catalog, sl_bytes_of_text(name));
    }
    return topic != NULL && (!*ret_of_groups || topic->settings->takes_letters) ? topic : NULL;
}

/* ---- what the task asks ---- */

bool stage_redrive_forwards(const struct stage_task *task)
{
    return task->redrive->order->to.size > 0 || task->redrive->order->of_groups;
}

int64_t stage_redrive_end(const struct stage_task *task)
{
    return SL_MIN(task->redrive->end, partition_end(task->partition));
}

struct topic *stage_redrive_topic(const struct stage_task *task, uint32_t *ret_partition)
{
    *ret_partition = task->redrive->partition;
    return catalog_by_name(stage_task_shard(task)->catalog, sl_bytes_of_text(task->redrive->topic));
}

sl_err stage_redrive_open_state(struct stage_task *task)
{
    uint32_t number = 0;
    const struct topic *topic = stage_redrive_topic(task, &number);
    const struct shard *shard = stage_task_shard(task);
    if (topic == NULL || shard_of_partition(shard->set, topic, number) != shard) {
        stage_state_close(task); /* a topic of that name which was made anew, and lies elsewhere */
        return SLUICE_OK;
    }
    return stage_state_open(task, &topic->id, number);
}

const uint32_t *stage_redrive_counts(const struct stage_task *task)
{
    return task->redrive != NULL ? task->redrive->redrives : NULL;
}

int64_t stage_redrive_offset(const struct stage_task *task, uint32_t index)
{
    SL_ASSERT(index < task->input.record_count);
    return task->redrive->letters[index];
}

bool stage_redrive_is_stopped(const struct stage_task *task)
{
    return atomic_load_explicit(&task->redrive->order->stop, memory_order_relaxed);
}

bool stage_redrive_is_told(const struct stage_task *task)
{
    return task->redrive != NULL && task->redrive->told.queued != 0;
}

/* ---- the end ---- */

static void tell(struct sl_task *queued)
{
    struct stage_redrive *redrive = SL_CONTAINER_OF(queued, struct stage_redrive, told);
    if (stage_task_ended(redrive->task)) { /* closed meanwhile: nobody asks */
        return;
    }
    redrive->finished(redrive->finished_arg, redrive->err, redrive->text);
}

void stage_redrive_finish(struct stage_task *task, sl_err err, const char *text)
{
    struct stage_redrive *redrive = task->redrive;
    stage_state_release(task);
    task->state = TASK_PAUSED;
    if (redrive->is_finished) {
        return;
    }
    redrive->is_finished = true;
    redrive->err = err;
    snprintf(redrive->text, sizeof(redrive->text), "%s", text);
    redrive->told = (struct sl_task){.run = tell, .priority = SL_PRIORITY_PROCESSING};
    sl_loop_post(stage_task_shard(task)->loop, &redrive->told);
}

/* ---- gathering ---- */

enum taken {
    TAKEN,
    PASSED_OVER,
    NEXT_INPUT, /* it cannot go with those that are there */
    NO_MEMORY,
};

static bool is_chosen(const struct stage_redrive *redrive, int64_t offset,
                      const struct record_view *record, const struct dead_letter *letter)
{
    const struct redrive_order *order = redrive->order;
    return (order->offset < 0 || order->offset == offset) &&
           !redrive_marks_has(&redrive->marks, offset) &&
           dead_letter_matches(&order->filter, record, letter);
}

static bool is_of(const struct stage_redrive *redrive, const struct dead_letter_origin *origin)
{
    return sl_bytes_equal(sl_bytes_of_text(redrive->topic), origin->topic) &&
           redrive->partition == origin->partition;
}

static bool has_home(const struct stage_task *task, const struct dead_letter *letter)
{
    const struct topic *topic =
        letter->whole ? catalog_by_name(stage_task_shard(task)->catalog, letter->origin.topic)
                      : NULL;
    return topic != NULL && !topic->internal && letter->origin.partition < topic->partition_count;
}

/* Whether a letter of a group can go home; counts why not. */
static bool goes_home(const struct stage_task *task, const struct dead_letter *letter)
{
    const struct shard *shard = stage_task_shard(task);
    struct redrive_counts *counts = task->redrive->counts;
    if (!has_home(task, letter)) {
        add(&counts->orphans, 1);
        return false;
    }
    const struct topic *topic = catalog_by_name(shard->catalog, letter->origin.topic);
    if (shard_of_partition(shard->set, topic, letter->origin.partition) != shard) {
        add(&counts->distant, 1);
        return false;
    }
    return true;
}

/* The letters of an input are of one partition, in its order. */
static bool goes_along(const struct stage_task *task, const struct record_view *record,
                       const struct dead_letter *letter, int64_t last)
{
    const struct stage_input *input = &task->input;
    int64_t offset = letter->origin.offset;
    return input->record_count == 0 ||
           (!stage_input_is_full(input) && is_of(task->redrive, &letter->origin) && offset > last &&
            offset - input->base_offset < INT32_MAX &&
            input->bytes.size + record->whole.size <= STAGE_INPUT_BYTES);
}

static void begin_origin(struct stage_task *task, const struct dead_letter_origin *origin)
{
    struct stage_redrive *redrive = task->redrive;
    snprintf(redrive->topic, sizeof(redrive->topic), "%.*s", (int)origin->topic.size,
             (const char *)origin->topic.data);
    redrive->partition = origin->partition;
    stage_task_name_output(task, origin->topic);
}

static enum taken take_letter(struct stage_task *task, const struct batch_view *batch,
                              const struct record_view *record, int64_t *last)
{
    struct stage_redrive *redrive = task->redrive;
    int64_t offset = record_offset(batch, record);
    struct dead_letter letter;
    struct record_fields fields;
    dead_letter_read(record, &letter);
    if (!is_chosen(redrive, offset, record, &letter)) {
        return PASSED_OVER;
    }
    const struct redrive_order *order = redrive->order;
    if (letter.of_group && letter.is_bare) {
        add(&redrive->counts->bare, 1);
        return PASSED_OVER;
    }
    if (order->to.size > 0) { /* one after the other, wherever they are from */
        letter.origin = (struct dead_letter_origin){.partition = letter.origin.partition,
                                                    .topic = task->partition->topic->name,
                                                    .offset = offset};
    } else if (order->of_groups) { /* those of a partition, in the order of the letters */
        if (!goes_home(task, &letter)) {
            return PASSED_OVER;
        }
        letter.origin.offset = offset;
    } else if (!has_home(task, &letter)) {
        add(&redrive->counts->orphans, 1);
        return PASSED_OVER;
    }
    if (!goes_along(task, record, &letter, *last)) {
        return NEXT_INPUT;
    }
    if (task->input.record_count == 0) {
        begin_origin(task, &letter.origin);
    }
    sl_err err = header_room_fields(task->config->headers, batch, record, 0, &fields);
    fields.header_count = err == SLUICE_OK ? letter.own_headers : 0;
    err = err != SLUICE_OK ? err : stage_input_append(&task->input, letter.origin.offset, &fields);
    if (err != SLUICE_OK) {
        return NO_MEMORY;
    }
    redrive->letters[task->input.record_count] = offset;
    redrive->redrives[task->input.record_count] = letter.origin.redrives;
    task->input.record_count++;
    *last = letter.origin.offset;
    return TAKEN;
}

/* The letters of a batch from next_offset on. False: the input is whole before its end. */
static bool take_batch(struct stage_task *task, const struct batch_view *batch,
                       struct sl_bytes records, int64_t *last, sl_err *ret_err)
{
    struct record_iterator iterator;
    struct record_view record;
    record_iterator_init(&iterator, records, batch_view_record_count(batch));
    while (record_iterator_next(&iterator, &record)) {
        int64_t offset = record_offset(batch, &record);
        if (offset < task->input.next_offset) {
            continue;
        }
        if (offset >= task->redrive->end) {
            return false;
        }
        enum taken taken = take_letter(task, batch, &record, last);
        if (taken == NEXT_INPUT) {
            return false;
        }
        if (taken == NO_MEMORY) {
            *ret_err = SLUICE_E_NO_MEMORY;
            return false;
        }
        task->input.next_offset = offset + 1;
    }
    *ret_err = record_iterator_finish(&iterator);
    task->input.next_offset = batch_view_next_offset(batch);
    return *ret_err == SLUICE_OK;
}

enum gathered stage_redrive_gather(struct stage_task *task)
{
    uint32_t records_max = SL_MIN(task->records_max, REDRIVE_RECORDS_MAX);
    records_max = task->limit != 0 ? SL_MIN(task->limit, records_max) : records_max;
    int64_t before = task->position;
    int64_t last = -1;
    bool more = true;
    stage_input_begin(&task->input, task->position, records_max);
    while (more && task->cursor < task->cut.size) {
        struct batch_view view;
        struct sl_bytes rest = {task->cut.data + task->cursor, task->cut.size - task->cursor};
        struct sl_bytes records;
        sl_err err = SLUICE_OK;
        SL_ASSERT(batch_view_init(&view, rest) == SLUICE_OK); /* partition_cut walked it */
        if (!stage_read_open(task, &view, &records, &err)) {
            return GATHER_LATER;
        }
        more = err == SLUICE_OK && take_batch(task, &view, records, &last, &err);
        if (err != SLUICE_OK) {
            stage_task_back_off(task, "a dead letter cannot be read");
            return GATHER_LATER;
        }
        if (more) {
            task->cursor += view.size;
            task->is_opened = false;
        }
    }
    if (task->input.record_count > 0) {
        return GATHERED;
    }
    if (!more) { /* the end of the redrive lies in this batch */
        task->input.next_offset = task->redrive->end;
    }
    add(&task->redrive->counts->seen, (uint64_t)(task->input.next_offset - before));
    return GATHER_NOTHING;
}

/* ---- without a worker ---- */

/* The partition that they came from, or of the other topic one on this shard: of the record's own
 * number where that lies here. */
static sl_err choose_partition(struct stage_task *task, const struct topic *topic,
                               uint32_t *ret_number)
{
    const struct shard *shard = task->config->shard;
    *ret_number = task->redrive->partition;
    if (task->redrive->order->of_groups && task->redrive->order->to.size == 0) {
        return SLUICE_OK;
    }
    if (!stage_output_near(shard, topic, task->redrive->partition, ret_number)) {
        snprintf(task->output.reason, sizeof(task->output.reason),
                 "topic %.*s has no partition on shard %u, where the letter lies; any topic of %u "
                 "partitions has one on each",
                 (int)topic->name.size, (const char *)topic->name.data, shard->index,
                 shard->set->count);
        return SLUICE_E_UNSUPPORTED;
    }
    return SLUICE_OK;
}

static sl_err forward_all(struct stage_task *task, const struct topic *topic)
{
    const struct stage_config *config = task->config;
    struct output_source source = {.view = &task->input.view,
                                   .topic = task->partition->topic,
                                   .partition = task->redrive->partition};
    uint32_t number = 0;
    struct record_iterator records;
    struct record_view record;
    sl_err err = choose_partition(task, topic, &number);
    if (err != SLUICE_OK) {
        return err;
    }
    record_iterator_init(&records, batch_view_records(&task->input.view),
                         batch_view_record_count(&task->input.view));
    while (err == SLUICE_OK && record_iterator_next(&records, &record)) {
        struct record_fields fields;
        struct partition *target = NULL;
        err = header_room_fields(&task->output.headers, source.view, &record, 0, &fields);
        err = err != SLUICE_OK ? err
                               : stage_output_route(&task->output, &config->rules, &source,
                                                    topic->name, (int32_t)number, &fields, &target);
        err = err != SLUICE_OK ? err : stage_output_append(&task->output, target, &fields);
    }
    return err != SLUICE_OK ? err : stage_output_finish(&task->output);
}

void stage_redrive_forward(struct stage_task *task)
{
    const struct redrive_order *order = task->redrive->order;
    const struct topic *topic =
        catalog_by_name(stage_task_shard(task)->catalog,
                        order->to.size > 0 ? order->to : sl_bytes_of_text(task->redrive->topic));
    sl_err err = topic != NULL ? forward_all(task, topic) : SLUICE_E_UNKNOWN_TOPIC;
    if (err == SLUICE_OK) {
        stage_commit_start(task, task->input.next_offset, task->input.record_count);
        return;
    }
    char reason[STAGE_REASON_BYTES];
    snprintf(reason, sizeof(reason), "%.200s",
             task->output.reason[0] != '\0' ? task->output.reason : sl_status_text(err));
    stage_output_reset(&task->output);
    stage_redrive_finish(task, err, reason);
}

/* ---- the commit ---- */

struct preparing {
    struct stage_task *task;
    sl_err err;
};

static sl_err change_room(struct stage_redrive *redrive)
{
    if (redrive->change_count < redrive->change_capacity) {
        return SLUICE_OK;
    }
    uint32_t capacity = SL_MAX(redrive->change_capacity * 2, 16u);
    void *payloads = sl_realloc(redrive->payloads, capacity * sizeof(*redrive->payloads));
    redrive->payloads = payloads != NULL ? payloads : redrive->payloads;
    void *sizes = sl_realloc(redrive->payload_sizes, capacity * sizeof(*redrive->payload_sizes));
    redrive->payload_sizes = sizes != NULL ? sizes : redrive->payload_sizes;
    if (payloads == NULL || sizes == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    redrive->change_capacity = capacity;
    return SLUICE_OK;
}

static void prepare_change(void *arg, int64_t first, int64_t end)
{
    struct preparing *preparing = arg;
    struct stage_redrive *redrive = preparing->task->redrive;
    char name[24];
    preparing->err = preparing->err != SLUICE_OK ? preparing->err : change_room(redrive);
    if (preparing->err != SLUICE_OK) {
        return;
    }
    struct position position = {.name = redrive_mark_name(first, name),
                                .topic = preparing->task->input_id,
                                .partition = preparing->task->partition->number,
                                .next_offset = end};
    uint32_t at = redrive->change_count++;
    redrive->payload_sizes[at] = (uint32_t)position_item_encode(&position, redrive->payloads[at]);
}

sl_err stage_redrive_prepare(struct stage_task *task, uint64_t records)
{
    struct stage_redrive *redrive = task->redrive;
    struct preparing preparing = {task, SLUICE_OK};
    redrive->change_count = 0;
    redrive_marks_fini(&redrive->coming);
    sl_err err = redrive_marks_with(&redrive->marks, partition_start(task->partition),
                                    redrive->letters, (size_t)records, &redrive->coming);
    if (err != SLUICE_OK) {
        return err;
    }
    redrive_marks_changes(&redrive->marks, &redrive->coming, prepare_change, &preparing);
    return preparing.err;
}

uint32_t stage_redrive_item_count(const struct stage_task *task)
{
    return task->redrive->change_count;
}

void stage_redrive_items(const struct stage_task *task, struct wal_item *ret_items)
{
    const struct stage_redrive *redrive = task->redrive;
    for (uint32_t i = 0; i < redrive->change_count; i++) {
        ret_items[i] =
            (struct wal_item){.kind = WAL_ITEM_STAGE_POSITION,
                              .version = POSITION_ITEM_VERSION,
                              .payload = {redrive->payloads[i], redrive->payload_sizes[i]}};
    }
}

sl_err stage_redrive_committed(struct stage_task *task)
{
    struct stage_redrive *redrive = task->redrive;
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < redrive->change_count && err == SLUICE_OK; i++) {
        err = position_store_apply(stage_task_shard(task)->positions, POSITION_ITEM_VERSION,
                                   sl_bytes_of(redrive->payloads[i], redrive->payload_sizes[i]));
    }
    redrive_marks_fini(&redrive->marks);
    redrive->marks = redrive->coming;
    redrive->coming = (struct redrive_marks){0};
    add(&redrive->counts->seen, (uint64_t)(task->next_position - task->position));
    add(&redrive->counts->done, task->commit_records);
    add(&redrive->counts->failed, task->output.rejected);
    return err;
}

/* ---- opening ---- */

sl_err stage_redrive_open(const struct stage_config *config, struct partition *letters,
                          const struct redrive_order *order, struct redrive_counts *counts,
                          redrive_finished_fn *finished, void *finished_arg, int64_t *ret_total,
                          struct stage_task **ret_task)
{
    struct stage_redrive *redrive = sl_alloc_zero(1, sizeof(*redrive));
    struct stage_task *task = NULL;
    if (redrive == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    redrive->order = order;
    redrive->counts = counts;
    redrive->finished = finished;
    redrive->finished_arg = finished_arg;
    redrive->end = partition_end(letters);
    sl_err err = redrive_marks_load(&redrive->marks, config->shard->positions,
                                    partition_topic_id(letters), letters->number);
    err = err != SLUICE_OK ? err : stage_task_new(config, letters, &task);
    if (err != SLUICE_OK) {
        stage_redrive_free(redrive);
        return err;
    }
    task->redrive = redrive;
    redrive->task = task;
    task->position = partition_start(letters);
    if (order->offset >= 0) { /* only that one is read */
        task->position = SL_MIN(SL_MAX(task->position, order->offset), redrive->end);
        redrive->end = SL_MIN(redrive->end, order->offset + 1);
    }
    *ret_total = SL_MAX(redrive->end - task->position, (int64_t)0);
    *ret_task = task;
    stage_task_step_later(task);
    return SLUICE_OK;
}
