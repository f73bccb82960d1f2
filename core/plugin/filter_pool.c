/* filter_pool.c: see filter_pool.h. */
#include "plugin/filter_pool.h"

#include "base/bytes.h"
#include "base/status.h"
#include "plugin/plugin_scan.h"
#include "plugin/worker_host.h"
#include "stage/stage_input.h"

#include <stdio.h>
#include <string.h>

#define MODULE         "processor_lua.so"
#define NAME           "filter"    /* in messages: "filter:1: …" */
#define INPUT_BYTES    (20u << 20) /* the largest record of a frontend, and what describes it */
#define BATCH_BYTES    (16u << 20) /* a batch of more than a record stops growing here */
#define OUTPUT_BYTES   (1u << 20)
#define DEPTH          2u
#define ATTEMPTS_MAX   4u /* of a batch that was interrupted without being to blame */
#define MODULE_MAX     STAGED_MODULE_SIZE_MAX
#define PATH_BYTES_MAX 4096u

struct expression {
    struct sl_link link; /* in pool->expressions; not listed: it ends */
    struct filter_pool *pool;
    struct plugin_version *version; /* referenced */
    struct worker_host *host;       /* NULL: it waits for what all need, or is gone */
    struct sl_list users;
    bool is_loaded;
    bool is_ended; /* and its worker is gone */
    sl_err err;    /* it failed */
    char reason[SANDBOX_TEXT_SIZE_MAX];
    struct sl_task end_task;
    struct stage_counts counts;
    struct worker_meter meter;
    size_t text_size;
    char text[]; /* the expression */
};

struct sluice_filter {
    struct sl_link link; /* in its expression's users */
    struct expression *expression;
    sluice_filter_opened *opened; /* until it was told; or NULL */
    void *opened_arg;
    sluice_filter_judged *judged; /* a batch is under way; or NULL */
    void *judged_arg;
    struct stage_input input;
    struct worker_call call;
    uint32_t attempts;
    char topic[CHANNEL_TOPIC_SIZE_MAX + 1];
    uint8_t passes[SLUICE_FILTER_RECORDS_MAX / 8];
};

static struct filter_pool *of(const struct sluice_filter_host *host)
{
    return host->data;
}

/* ---- an expression's end ---- */

static void maybe_gone(struct expression *expression)
{
    struct filter_pool *pool = expression->pool;
    if (!expression->is_ended || !sl_list_is_empty(&expression->users)) {
        return;
    }
    pool->ending_count--;
    plugin_version_unref(expression->version);
    sl_free(expression);
}

static void host_closed(void *arg)
{
    struct expression *expression = arg;
    expression->is_ended = true;
    maybe_gone(expression);
}

static void run_end(struct sl_task *task)
{
    struct expression *expression = SL_CONTAINER_OF(task, struct expression, end_task);
    if (expression->host == NULL) {
        host_closed(expression);
        return;
    }
    worker_host_close(expression->host, host_closed, expression);
    expression->host = NULL;
}

/* Nobody finds it any more; its worker goes in a turn of its own, as this may be inside of what
 * that one tells. */
static void end(struct expression *expression)
{
    struct filter_pool *pool = expression->pool;
    sl_list_remove(&expression->link);
    pool->expression_count--;
    pool->ending_count++;
    expression->end_task = (struct sl_task){.run = run_end, .priority = SL_PRIORITY_PROCESSING};
    sl_loop_post(pool->config.loop, &expression->end_task);
}

static bool has_ended(const struct expression *expression)
{
    return !sl_link_is_listed(&expression->link);
}

/* ---- what users are told ---- */

static void batch_over(struct sluice_filter *filter)
{
    filter->judged = NULL;
    stage_input_fini(&filter->input); /* what it took is not kept */
    stage_input_begin(&filter->input, 0, SLUICE_FILTER_RECORDS_MAX);
}

/* It may be closed inside. */
static void tell_judged(struct sluice_filter *filter, sl_err err, const char *reason)
{
    sluice_filter_judged *judged = filter->judged;
    uint32_t count = err == SLUICE_OK ? filter->input.record_count : 0;
    filter->expression->pool->judged_total += count;
    batch_over(filter);
    judged(filter->judged_arg, err, sluice_text_of(reason), filter->passes, count);
}

static void tell_opened(struct sluice_filter *filter, sl_err err, const char *reason)
{
    sluice_filter_opened *opened = filter->opened;
    filter->opened = NULL;
    opened(filter->opened_arg, err, sluice_text_of(reason));
}

static struct sluice_filter *find_waiting(const struct expression *expression, bool for_load)
{
    SL_LIST_EACH(&expression->users, link)
    {
        struct sluice_filter *filter = SL_CONTAINER_OF(link, struct sluice_filter, link);
        if (filter->opened != NULL || (!for_load && filter->judged != NULL)) {
            return filter;
        }
    }
    return NULL;
}

/* For all who have it; those that do not wait hear of it when they ask. Users may go inside. */
static void fail(struct expression *expression, sl_err err, const char *reason)
{
    struct sluice_filter *filter = NULL;
    if (has_ended(expression)) {
        return;
    }
    expression->err = err;
    expression->pool->failed_total++;
    snprintf(expression->reason, sizeof(expression->reason), "%s",
             reason[0] != '\0' ? reason : sl_status_text(err));
    end(expression);
    while ((filter = find_waiting(expression, false)) != NULL) {
        if (filter->opened != NULL) {
            tell_opened(filter, err, expression->reason);
        } else {
            struct worker_port *port = worker_host_port(expression->host);
            port->cancel(port, &filter->call);
            tell_judged(filter, err, expression->reason);
        }
    }
}

/* ---- its worker ---- */

static void on_ready(void *arg, struct plugin_version *version, const struct sandbox_event *ready)
{
    const struct expression *expression = arg;
    (void)version, (void)ready;
    if (!has_ended(expression)) {
        worker_host_accept(expression->host);
    }
}

static void on_refused(void *arg, struct plugin_version *version, const char *text)
{
    (void)version;
    fail(arg, SLUICE_E_PLUGIN_LOAD, text);
}

static void on_switched(void *arg)
{
    struct expression *expression = arg;
    struct sluice_filter *filter = NULL;
    expression->is_loaded = true;
    while (!has_ended(expression) && (filter = find_waiting(expression, true)) != NULL) {
        tell_opened(filter, SLUICE_OK, "");
    }
}

/* Calls that it had not begun wait for the next one; the others end with the cause. */
static void on_changed(void *arg, bool running, const char *text)
{
    (void)arg, (void)running, (void)text;
}

static void on_reconfigured(void *arg, sl_err err, const char *text, bool took)
{
    (void)arg, (void)err, (void)text, (void)took;
}

/* [takes script] */
static sl_err make_version(struct expression *expression, uint8_t *script, size_t size)
{
    const struct filter_pool *pool = expression->pool;
    struct plugin_version *version = plugin_version_new(pool->module);
    if (version == NULL) {
        sl_free(script);
        return SLUICE_E_NO_MEMORY;
    }
    expression->version = version;
    version->script = script;
    version->script_size = size;
    version->config_json = sl_strdup_bytes("{}", 2);
    snprintf(version->instance, sizeof(version->instance), NAME);
    snprintf(version->file, sizeof(version->file), NAME);
    version->limits.memory_bytes_max = pool->config.limits.memory_bytes;
    version->limits.cpu_percent = pool->config.limits.cpu_percent;
    version->geometry = (struct channel_geometry){
        .depth = DEPTH, .input_slot_bytes = INPUT_BYTES, .output_slot_bytes = OUTPUT_BYTES};
    return version->config_json == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
}

/* What all need is there. */
static void start(struct expression *expression)
{
    const struct filter_pool *pool = expression->pool;
    struct sl_bytes text = {(const uint8_t *)expression->text, expression->text_size};
    char reason[FILTER_REASON_BYTES] = "";
    uint8_t *script = NULL;
    size_t size = 0;
    struct worker_host_config config = {
        .os = pool->config.os,
        .loop = pool->config.loop,
        .logger = pool->config.logger,
        .sandbox = pool->sandbox,
        .name = NAME,
        .counts = &expression->counts,
        .meter = &expression->meter,
        .events = {.arg = expression,
                   .ready = on_ready,
                   .refused = on_refused,
                   .switched = on_switched,
                   .changed = on_changed,
                   .reconfigured = on_reconfigured},
    };
    sl_err err = filter_script_make(text, &script, &size, reason);
    err = err != SLUICE_OK ? err : make_version(expression, script, size);
    err = err != SLUICE_OK ? err : worker_host_new(&config, &expression->host);
    if (err != SLUICE_OK) {
        fail(expression, err, reason);
    } else {
        worker_host_load(expression->host, expression->version);
    }
}

/* ---- what all need ---- */

/* [helper] */
static void open_work(struct sl_job *job)
{
    struct filter_pool *pool = SL_CONTAINER_OF(job, struct filter_pool, job);
    struct sandbox_options options = {.worker_path = pool->worker_path};
    uint8_t hash[PLUGIN_HASH_SIZE];
    char path[PATH_BYTES_MAX];
    char reason[MANIFEST_REASON_BYTES] = "";
    uint8_t *bytes = NULL;
    size_t size = 0;
    if (pool->sandbox == NULL) {
        pool->opened_err = sandbox_open(&options, &pool->sandbox, pool->opened_reason,
                                        sizeof(pool->opened_reason));
        if (pool->opened_err != SLUICE_OK) {
            pool->sandbox = NULL;
            return;
        }
    }
    snprintf(path, sizeof(path), "%s/" MODULE, pool->system_dir);
    pool->opened_err = plugin_scan_read(pool->config.os, path, MODULE_MAX, &bytes, &size);
    if (pool->opened_err != SLUICE_OK) {
        snprintf(pool->opened_reason, sizeof(pool->opened_reason),
                 MODULE ", which runs filters in Lua, is not in %.200s", pool->system_dir);
        return;
    }
    plugin_hash((struct sl_bytes){bytes, size}, hash);
    pool->opened_err =
        plugin_module_new((struct sl_bytes){bytes, size}, hash, &pool->module, reason);
    sl_free(bytes);
    if (pool->opened_err != SLUICE_OK) {
        pool->module = NULL;
        snprintf(pool->opened_reason, sizeof(pool->opened_reason), "%.400s", reason);
    }
}

static struct expression *find_idle(const struct filter_pool *pool)
{
    SL_LIST_EACH(&pool->expressions, link)
    {
        struct expression *expression = SL_CONTAINER_OF(link, struct expression, link);
        if (expression->host == NULL) {
            return expression;
        }
    }
    return NULL;
}

/* Each that waits has a host afterwards, or has failed. */
static void open_done(struct sl_job *job)
{
    struct filter_pool *pool = SL_CONTAINER_OF(job, struct filter_pool, job);
    struct expression *expression = NULL;
    pool->is_opening = false;
    while ((expression = find_idle(pool)) != NULL) {
        if (pool->module == NULL) {
            fail(expression, pool->opened_err, pool->opened_reason);
        } else {
            start(expression);
        }
    }
}

static void open_all(struct filter_pool *pool)
{
    if (!pool->is_opening) {
        pool->is_opening = true;
        pool->job = (struct sl_job){.work = open_work, .done = open_done};
        pool->job.task.priority = SL_PRIORITY_PROCESSING;
        sl_helpers_submit(pool->config.os, pool->config.loop, &pool->job);
    }
}

/* ---- open, close ---- */

static struct expression *find(const struct filter_pool *pool, struct sluice_text text)
{
    SL_LIST_EACH(&pool->expressions, link)
    {
        struct expression *expression = SL_CONTAINER_OF(link, struct expression, link);
        if (expression->text_size == text.size &&
            memcmp(expression->text, text.data, expression->text_size) == 0) {
            return expression;
        }
    }
    return NULL;
}

static struct expression *expression_new(struct filter_pool *pool, struct sluice_text text)
{
    struct expression *expression = sl_alloc_zero(1, sizeof(*expression) + (size_t)text.size + 1);
    if (expression == NULL) {
        return NULL;
    }
    expression->pool = pool;
    expression->text_size = (size_t)text.size;
    memcpy(expression->text, text.data, expression->text_size);
    sl_list_init(&expression->users);
    sl_link_init(&expression->link);
    sl_list_push_back(&pool->expressions, &expression->link);
    pool->expression_count++;
    return expression;
}

static sl_err check(struct filter_pool *pool, struct sluice_text text)
{
    const uint32_t max = pool->config.limits.expressions_max;
    struct sl_bytes bytes = {(const uint8_t *)text.data, (size_t)text.size};
    uint8_t *script = NULL;
    size_t size = 0;
    if (max == 0) {
        snprintf(pool->reason, sizeof(pool->reason),
                 "filters in Lua are turned off here: native.filters.max is 0");
        return SLUICE_E_UNSUPPORTED;
    }
    if (text.size > SLUICE_FILTER_TEXT_BYTES_MAX) {
        snprintf(pool->reason, sizeof(pool->reason), "a filter in Lua has at most %u bytes",
                 SLUICE_FILTER_TEXT_BYTES_MAX);
        return SLUICE_E_INVALID;
    }
    sl_err err = filter_script_make(bytes, &script, &size, pool->reason);
    sl_free(script);
    if (err == SLUICE_OK && find(pool, text) == NULL && pool->expression_count >= max) {
        snprintf(pool->reason, sizeof(pool->reason),
                 "%u different filters in Lua are in use on this loop, as many as "
                 "native.filters.max allows",
                 pool->expression_count);
        return SLUICE_E_LIMIT;
    }
    return err;
}

static sluice_status on_open(const struct sluice_filter_host *host, struct sluice_text text,
                             sluice_filter_opened *opened, void *arg,
                             struct sluice_filter **ret_filter, struct sluice_text *ret_reason)
{
    struct filter_pool *pool = of(host);
    sl_err err = check(pool, text);
    struct expression *expression = err == SLUICE_OK ? find(pool, text) : NULL;
    bool is_new = err == SLUICE_OK && expression == NULL;
    struct sluice_filter *filter = err == SLUICE_OK ? sl_alloc_zero(1, sizeof(*filter)) : NULL;
    if (is_new && filter != NULL) {
        expression = expression_new(pool, text);
    }
    if (err != SLUICE_OK || filter == NULL || expression == NULL) {
        sl_free(filter);
        *ret_reason = sluice_text_of(err != SLUICE_OK ? pool->reason : "out of memory");
        return err != SLUICE_OK ? err : SLUICE_E_NO_MEMORY;
    }
    filter->expression = expression;
    filter->opened = opened;
    filter->opened_arg = arg;
    stage_input_init(&filter->input);
    stage_input_begin(&filter->input, 0, SLUICE_FILTER_RECORDS_MAX);
    sl_link_init(&filter->link);
    worker_call_init(&filter->call);
    sl_list_push_back(&expression->users, &filter->link);
    *ret_filter = filter;
    if (is_new && !pool->is_opening && pool->module != NULL) {
        start(expression);
    } else if (is_new) {
        open_all(pool);
    } else if (expression->is_loaded && opened != NULL) {
        tell_opened(filter, SLUICE_OK, "");
    }
    return SLUICE_OK;
}

static void on_close(const struct sluice_filter_host *host, struct sluice_filter *filter)
{
    struct expression *expression = filter->expression;
    (void)host;
    if (filter->judged != NULL) {
        struct worker_port *port = worker_host_port(expression->host);
        port->cancel(port, &filter->call);
    }
    sl_list_remove(&filter->link);
    stage_input_fini(&filter->input);
    sl_free(filter);
    if (has_ended(expression)) {
        maybe_gone(expression);
    } else if (sl_list_is_empty(&expression->users)) {
        end(expression);
    }
}

/* ---- a batch ---- */

static struct sl_bytes view_of(struct sluice_bytes bytes)
{
    return (struct sl_bytes){bytes.data, (size_t)bytes.size};
}

static sluice_status on_add(const struct sluice_filter_host *host, struct sluice_filter *filter,
                            const struct sluice_record *record)
{
    struct stage_input *input = &filter->input;
    struct header_room room = {0};
    (void)host;
    bool is_first = input->record_count == 0;
    if (filter->judged != NULL || input->record_count == SLUICE_FILTER_RECORDS_MAX ||
        (!is_first && (input->bytes.size + record->key.size + record->value.size > BATCH_BYTES ||
                       record->offset - input->base_offset > INT32_MAX))) {
        return SLUICE_E_LIMIT;
    }
    sl_err err = header_room_reserve(&room, record->header_count);
    for (uint32_t i = 0; err == SLUICE_OK && i < record->header_count; i++) {
        const struct sluice_header *header = &record->headers[i];
        room.items[i] = (struct header_view){
            .key = {(const uint8_t *)header->key.data, (size_t)header->key.size},
            .value = view_of(header->value),
            .value_is_null = header->value.data == NULL};
    }
    struct record_fields fields = {.key = view_of(record->key),
                                   .value = view_of(record->value),
                                   .headers = room.items,
                                   .header_count = record->header_count,
                                   .timestamp_ms = record->timestamp,
                                   .key_is_null = record->key.data == NULL,
                                   .value_is_null = record->value.data == NULL};
    err = err != SLUICE_OK ? err : stage_input_append(input, record->offset, &fields);
    input->record_count += err == SLUICE_OK;
    header_room_fini(&room);
    return err;
}

static void submit(struct sluice_filter *filter)
{
    struct worker_port *port = worker_host_port(filter->expression->host);
    port->submit(port, &filter->call);
}

static void note_pass(struct sluice_filter *filter, const struct sandbox_verdict *verdict)
{
    for (uint32_t i = verdict->index; i < verdict->index + verdict->count; i++) {
        filter->passes[i / 8] = (uint8_t)(filter->passes[i / 8] | 1u << (i % 8));
    }
}

/* What an expression may not do with a record. */
static void fail_verdict(struct sluice_filter *filter, const struct sandbox_verdict *verdict)
{
    char reason[SANDBOX_TEXT_SIZE_MAX];
    bool has_reason = verdict->reason.size > 0;
    snprintf(reason, sizeof(reason), "%.*s",
             has_reason ? (int)SL_MIN(verdict->reason.size, (uint64_t)sizeof(reason) - 1) : 0,
             has_reason ? verdict->reason.data : "");
    if (verdict->kind == SANDBOX_VERDICT_EMIT) {
        snprintf(reason, sizeof(reason), "a filter changes no records and emits none");
    }
    fail(filter->expression, SLUICE_E_PLUGIN_ERROR, reason);
}

/* The rest of the batch was not judged: it was interrupted. */
static void again(struct sluice_filter *filter, const struct sandbox_verdict *verdict)
{
    struct sandbox_task *task = &filter->call.task;
    uint32_t end_at = task->first + task->limit;
    filter->attempts = verdict->index > task->first ? 0 : filter->attempts + 1;
    if (filter->attempts == ATTEMPTS_MAX) {
        fail_verdict(filter, verdict);
        return;
    }
    task->first = verdict->index;
    task->limit = end_at - verdict->index;
    submit(filter);
}

static void take_result(struct sluice_filter *filter, const struct sandbox_result *result)
{
    struct sandbox_result_reader reader;
    struct sandbox_verdict verdict;
    sandbox_result_reader_init(&reader, result);
    while (sandbox_result_next(&reader, &verdict)) {
        if (verdict.kind == SANDBOX_VERDICT_PASS) {
            note_pass(filter, &verdict);
        } else if (verdict.kind == SANDBOX_VERDICT_RETRY) {
            again(filter, &verdict);
            return;
        } else if (verdict.kind != SANDBOX_VERDICT_DROP) {
            fail_verdict(filter, &verdict);
            return;
        }
    }
    tell_judged(filter, SLUICE_OK, "");
}

static void call_done(struct worker_call *call, const struct worker_outcome *outcome)
{
    struct sluice_filter *filter = SL_CONTAINER_OF(call, struct sluice_filter, call);
    const struct sandbox_result *result = outcome->result;
    if (outcome->err == SLUICE_E_LIMIT) {
        tell_judged(filter, SLUICE_E_LIMIT, outcome->text);
    } else if (outcome->err != SLUICE_OK) {
        fail(filter->expression, outcome->err, outcome->text);
    } else if (result->state_missing) {
        fail(filter->expression, SLUICE_E_PLUGIN_ERROR, "a filter has no state");
    } else if (result->status != SLUICE_OK) {
        char reason[SANDBOX_TEXT_SIZE_MAX];
        snprintf(reason, sizeof(reason), "%.*s",
                 (int)SL_MIN(result->error.size, (uint64_t)sizeof(reason) - 1),
                 result->error.size > 0 ? result->error.data : "");
        fail(filter->expression, result->status, reason);
    } else {
        take_result(filter, result);
    }
}

static sluice_status on_judge(const struct sluice_filter_host *host, struct sluice_filter *filter,
                              struct sluice_text topic, int32_t partition,
                              sluice_filter_judged *judged, void *arg,
                              struct sluice_text *ret_reason)
{
    const struct filter_pool *pool = of(host);
    const struct expression *expression = filter->expression;
    struct stage_input *input = &filter->input;
    sl_err err = filter->judged != NULL || input->record_count == 0 ? SLUICE_E_INVALID
                 : expression->err != SLUICE_OK                     ? expression->err
                 : expression->host == NULL                         ? SLUICE_E_INVALID
                                                                    : stage_input_finish(input);
    if (err != SLUICE_OK) {
        *ret_reason = sluice_text_of(expression->err != SLUICE_OK ? expression->reason : "");
        if (filter->judged == NULL) {
            batch_over(filter);
        }
        return err;
    }
    struct sl_bytes records = batch_view_records(&input->view);
    snprintf(filter->topic, sizeof(filter->topic), "%.*s", (int)topic.size, topic.data);
    memset(filter->passes, 0, sizeof(filter->passes));
    filter->judged = judged;
    filter->judged_arg = arg;
    filter->attempts = 0;
    filter->call =
        (struct worker_call){.done = call_done,
                             .task = {.partition = partition,
                                      .timeout_ms = pool->config.limits.timeout_ms,
                                      .topic = sluice_text_of(filter->topic),
                                      .records = {records.data, records.size},
                                      .record_count = input->record_count,
                                      .limit = input->record_count,
                                      .base_offset = batch_view_base_offset(&input->view),
                                      .base_timestamp = batch_view_base_timestamp(&input->view)}};
    worker_call_init(&filter->call);
    submit(filter);
    return SLUICE_OK;
}

/* ---- life ---- */

sl_err filter_pool_init(struct filter_pool *pool, const struct filter_pool_config *config)
{
    *pool = (struct filter_pool){.config = *config};
    pool->host = (struct sluice_filter_host){.size = sizeof(pool->host),
                                             .data = pool,
                                             .open = on_open,
                                             .add = on_add,
                                             .judge = on_judge,
                                             .close = on_close};
    sl_list_init(&pool->expressions);
    pool->system_dir = sl_strdup_bytes(config->system_dir, strlen(config->system_dir));
    pool->worker_path = sl_strdup_bytes(config->worker_path, strlen(config->worker_path));
    return pool->system_dir == NULL || pool->worker_path == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
}

bool filter_pool_is_quiet(const struct filter_pool *pool)
{
    return pool->expression_count == 0 && pool->ending_count == 0 && !pool->is_opening;
}

void filter_pool_fini(struct filter_pool *pool)
{
    SL_ASSERT(filter_pool_is_quiet(pool));
    plugin_module_unref(pool->module);
    sandbox_close(pool->sandbox);
    sl_free(pool->system_dir);
    sl_free(pool->worker_path);
}
