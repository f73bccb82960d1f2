/* filter_pool.c: see filter_pool.h. */
#include "plugin/filter_state.h"

#include "base/bytes.h"
#include "base/status.h"
#include "plugin/plugin_scan.h"

#include <stdio.h>
#include <string.h>

#define MODULE         "processor_lua.so"
#define INPUT_BYTES    (20u << 20) /* the largest record of a frontend, and what describes it */
#define OUTPUT_BYTES   (1u << 20)
#define DEPTH          2u
#define MODULE_MAX     STAGED_MODULE_SIZE_MAX
#define PATH_BYTES_MAX 4096u

static struct filter_pool *of(const struct sluice_filter_host *host)
{
    return host->data;
}

/* ---- an expression's end ---- */

static void maybe_gone(struct filter_expression *expression)
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
    struct filter_expression *expression = arg;
    expression->is_ended = true;
    maybe_gone(expression);
}

static void run_end(struct sl_task *task)
{
    struct filter_expression *expression =
        SL_CONTAINER_OF(task, struct filter_expression, end_task);
    if (expression->host == NULL) {
        host_closed(expression);
        return;
    }
    worker_host_close(expression->host, host_closed, expression);
    expression->host = NULL;
}

/* Nobody finds it any more; its worker goes in a turn of its own, as this may be inside of what
 * that one tells. */
static void end(struct filter_expression *expression)
{
    struct filter_pool *pool = expression->pool;
    filter_watch_end(expression);
    sl_list_remove(&expression->link);
    pool->expression_count--;
    pool->ending_count++;
    expression->end_task = (struct sl_task){.run = run_end, .priority = SL_PRIORITY_PROCESSING};
    sl_loop_post(pool->config.loop, &expression->end_task);
}

static bool has_ended(const struct filter_expression *expression)
{
    return !sl_link_is_listed(&expression->link);
}

/* ---- what users are told ---- */

static void tell_opened(struct sluice_filter *filter, sl_err err, const char *reason)
{
    sluice_filter_opened *opened = filter->opened;
    filter->opened = NULL;
    opened(filter->opened_arg, err, sluice_text_of(reason));
}

/* Who waits for the compiler; NULL: nobody. */
static struct sluice_filter *find_waiting(const struct filter_expression *expression)
{
    SL_LIST_EACH(&expression->users, link)
    {
        struct sluice_filter *filter = SL_CONTAINER_OF(link, struct sluice_filter, link);
        if (filter->opened != NULL) {
            return filter;
        }
    }
    return NULL;
}

/* It did not load. Users may go inside, and it with the last of them. */
static void fail(struct filter_expression *expression, sl_err err, const char *text)
{
    char reason[SANDBOX_TEXT_SIZE_MAX];
    struct sluice_filter *filter = NULL;
    if (has_ended(expression)) {
        return;
    }
    snprintf(reason, sizeof(reason), "%s", text[0] != '\0' ? text : sl_status_text(err));
    expression->pool->failed_total++;
    end(expression);
    while ((filter = find_waiting(expression)) != NULL) {
        tell_opened(filter, err, reason);
    }
}

/* ---- its worker ---- */

static void on_ready(void *arg, struct plugin_version *version, const struct sandbox_event *ready)
{
    const struct filter_expression *expression = arg;
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
    struct filter_expression *expression = arg;
    struct sluice_filter *filter = NULL;
    expression->is_loaded = true;
    while (!has_ended(expression) && (filter = find_waiting(expression)) != NULL) {
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
static sl_err make_version(struct filter_expression *expression, uint8_t *script, size_t size)
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
    snprintf(version->instance, sizeof(version->instance), FILTER_NAME);
    snprintf(version->file, sizeof(version->file), FILTER_NAME);
    version->limits.memory_bytes_max = pool->config.limits.memory_bytes;
    version->limits.cpu_percent = pool->config.limits.cpu_percent;
    version->geometry = (struct channel_geometry){
        .depth = DEPTH, .input_slot_bytes = INPUT_BYTES, .output_slot_bytes = OUTPUT_BYTES};
    return version->config_json == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
}

/* What all need is there. */
static void start(struct filter_expression *expression)
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
        .name = FILTER_NAME,
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

static struct filter_expression *find_idle(const struct filter_pool *pool)
{
    SL_LIST_EACH(&pool->expressions, link)
    {
        struct filter_expression *expression =
            SL_CONTAINER_OF(link, struct filter_expression, link);
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
    struct filter_expression *expression = NULL;
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

static struct filter_expression *find(const struct filter_pool *pool, struct sluice_text text)
{
    SL_LIST_EACH(&pool->expressions, link)
    {
        struct filter_expression *expression =
            SL_CONTAINER_OF(link, struct filter_expression, link);
        if (expression->text_size == text.size &&
            memcmp(expression->text, text.data, expression->text_size) == 0) {
            return expression;
        }
    }
    return NULL;
}

static struct filter_expression *expression_new(struct filter_pool *pool, struct sluice_text text)
{
    struct filter_expression *expression =
        sl_alloc_zero(1, sizeof(*expression) + (size_t)text.size + 1);
    if (expression == NULL) {
        return NULL;
    }
    expression->pool = pool;
    expression->text_size = (size_t)text.size;
    memcpy(expression->text, text.data, expression->text_size);
    sl_list_init(&expression->users);
    sl_list_init(&expression->clients);
    sl_link_init(&expression->link);
    sl_list_push_back(&pool->expressions, &expression->link);
    pool->expression_count++;
    return expression;
}

/* Whether there is room for one more; else why not. */
static sl_err check_room(struct filter_pool *pool, const char *client)
{
    const uint32_t max = pool->config.limits.expressions_max;
    const uint32_t client_max = (max + 1) / 2;
    if (pool->expression_count >= max) {
        snprintf(pool->reason, sizeof(pool->reason),
                 "%u different filters in Lua are in use on this loop, as many as "
                 "native.filters.max allows",
                 pool->expression_count);
        return SLUICE_E_LIMIT;
    }
    if (filter_client_count(pool, client) >= client_max) {
        snprintf(pool->reason, sizeof(pool->reason),
                 "%u different filters in Lua of this client (%s) are in use on this loop, half of "
                 "native.filters.max: the others are for other clients",
                 client_max, client);
        return SLUICE_E_LIMIT;
    }
    return SLUICE_OK;
}

static sl_err check(struct filter_pool *pool, struct sluice_text text)
{
    struct sl_bytes bytes = {(const uint8_t *)text.data, (size_t)text.size};
    uint8_t *script = NULL;
    size_t size = 0;
    if (pool->config.limits.expressions_max == 0) {
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
    return err;
}

/* One more user of the expression. NULL: no memory. */
static struct sluice_filter *user_new(struct filter_expression *expression, const char *client)
{
    struct sluice_filter *filter = sl_alloc_zero(1, sizeof(*filter));
    if (filter == NULL) {
        return NULL;
    }
    filter->client = filter_client_join(expression, client);
    if (filter->client == NULL) {
        sl_free(filter);
        return NULL;
    }
    filter->expression = expression;
    stage_input_init(&filter->input);
    stage_input_begin(&filter->input, 0, SLUICE_FILTER_RECORDS_MAX);
    sl_link_init(&filter->link);
    worker_call_init(&filter->call);
    sl_list_push_back(&expression->users, &filter->link);
    return filter;
}

static void begin(struct filter_expression *expression)
{
    struct filter_pool *pool = expression->pool;
    if (!pool->is_opening && pool->module != NULL) {
        start(expression);
    } else {
        open_all(pool);
    }
}

static sl_err open_user(struct filter_pool *pool, const struct sluice_context *context,
                        struct sluice_text text, struct sluice_filter **ret_filter)
{
    char client[FILTER_CLIENT_BYTES];
    sl_err err = check(pool, text);
    struct filter_expression *expression = err == SLUICE_OK ? find(pool, text) : NULL;
    bool is_new = expression == NULL;
    filter_client_name(context, client);
    err = err == SLUICE_OK && is_new ? check_room(pool, client) : err;
    if (err != SLUICE_OK) {
        return err;
    }
    expression = is_new ? expression_new(pool, text) : expression;
    *ret_filter = expression == NULL ? NULL : user_new(expression, client);
    if (*ret_filter == NULL) {
        snprintf(pool->reason, sizeof(pool->reason), "out of memory");
        if (is_new && expression != NULL) {
            end(expression);
        }
        return SLUICE_E_NO_MEMORY;
    }
    return SLUICE_OK;
}

static sluice_status on_open(const struct sluice_filter_host *host,
                             const struct sluice_context *context, struct sluice_text text,
                             sluice_filter_opened *opened, void *arg,
                             struct sluice_filter **ret_filter, struct sluice_text *ret_reason)
{
    struct filter_pool *pool = of(host);
    struct sluice_filter *filter = NULL;
    sl_err err = open_user(pool, context, text, &filter);
    if (err != SLUICE_OK) {
        *ret_reason = sluice_text_of(pool->reason);
        return err;
    }
    filter->opened = opened;
    filter->opened_arg = arg;
    *ret_filter = filter;
    struct filter_expression *expression = filter->expression;
    if (expression->host == NULL) {
        begin(expression); /* or waits for what all need already */
    } else if (expression->is_loaded && opened != NULL) {
        tell_opened(filter, SLUICE_OK, "");
    }
    return SLUICE_OK;
}

static void on_close(const struct sluice_filter_host *host, struct sluice_filter *filter)
{
    struct filter_expression *expression = filter->expression;
    (void)host;
    if (filter->judged != NULL) {
        struct worker_port *port = worker_host_port(expression->host);
        port->cancel(port, &filter->call);
    }
    sl_list_remove(&filter->link);
    filter_client_leave(filter->client);
    stage_input_fini(&filter->input);
    sl_free(filter);
    if (has_ended(expression)) {
        maybe_gone(expression);
    } else if (sl_list_is_empty(&expression->users)) {
        end(expression);
    }
}

/* ---- life ---- */

sl_err filter_pool_init(struct filter_pool *pool, const struct filter_pool_config *config)
{
    *pool = (struct filter_pool){.config = *config};
    pool->host = (struct sluice_filter_host){.size = sizeof(pool->host),
                                             .data = pool,
                                             .open = on_open,
                                             .add = filter_batch_add,
                                             .judge = filter_batch_judge,
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
