/* lua_work.c: see lua_work.h.
 *
 * A task runs in the host's `done`, not in its `work`: by then it is not under way any more, so
 * that it can always submit its next piece. An error ends it and is logged; no record is blamed. */
#include "lua_work.h"

#include "lua_sandbox.h"
#include "lua_script.h"

#include <lauxlib.h>
#include <string.h>

/* ---- tasks ---- */

/* Protected: argument 1 is the reference. */
static int run_referred(lua_State *L)
{
    int reference = (int)lua_tointeger(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, reference);
    luaL_unref(L, LUA_REGISTRYINDEX, reference);
    lua_call(L, 0, 0);
    return 0;
}

static void work(void *arg)
{
    (void)arg;
}

static void done(void *arg)
{
    struct lua_task *task = arg;
    struct lua_instance *instance = task->instance;
    lua_State *L = instance->L;
    task->is_used = false;
    lua_settop(L, 0);
    lua_deadline_begin(&instance->deadline, L, LUA_TASK_DEADLINE_MS);
    lua_pushcfunction(L, run_referred);
    lua_pushinteger(L, task->reference);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
        lua_script_take_error(instance, L);
        instance->host->log(instance->host, SLUICE_LOG_WARN, sluice_text_of(instance->reason));
    }
    lua_deadline_end(&instance->deadline, L);
    lua_settop(L, 0);
}

static uint32_t priority_at(lua_State *L, int index)
{
    static const char *const names[] = {"control", "io", "processing", "background", NULL};
    return (uint32_t)luaL_checkoption(L, index, "background", names);
}

static struct lua_task *free_task(struct lua_instance *instance)
{
    for (uint32_t i = 0; i < SLUICE_TASKS_MAX; i++) {
        if (!instance->tasks[i].is_used) {
            return &instance->tasks[i];
        }
    }
    return NULL;
}

static int base_task(lua_State *L)
{
    struct lua_instance *instance = lua_instance_of(L);
    const struct sluice_host *host = instance->host;
    const struct sluice_task_host *tasks = host->get_extension(host, SLUICE_EXT_TASK);
    luaL_checktype(L, 1, LUA_TFUNCTION);
    uint32_t priority = priority_at(L, 2);
    if (tasks == NULL) {
        return luaL_error(L, "task: this host has none");
    }
    struct lua_task *task = free_task(instance);
    if (task == NULL) {
        return luaL_error(L, "task: %d are under way", (int)SLUICE_TASKS_MAX);
    }
    lua_settop(L, 1);
    task->instance = instance;
    task->reference = luaL_ref(L, LUA_REGISTRYINDEX);
    sluice_status status = tasks->submit(tasks, priority, work, done, task);
    task->is_used = status == SLUICE_OK;
    if (status != SLUICE_OK) {
        luaL_unref(L, LUA_REGISTRYINDEX, task->reference);
        return luaL_error(L, status == SLUICE_E_LIMIT ? "task: too many are under way"
                                                      : "task: the instance ends");
    }
    return 0;
}

/* ---- metrics ---- */

static const char *const classes[] = {"", "counter", "gauge", "histogram"};

struct metric {
    uint32_t number;
    uint32_t kind;
};

static const struct sluice_metrics *metrics_of(lua_State *L)
{
    const struct sluice_host *host = lua_instance_of(L)->host;
    const struct sluice_metrics *metrics = host->get_extension(host, SLUICE_EXT_METRICS);
    if (metrics == NULL) {
        luaL_error(L, "metrics: this host has none");
    }
    return metrics;
}

static int new_metric(lua_State *L, uint32_t kind)
{
    const struct sluice_metrics *metrics = metrics_of(L);
    size_t size;
    const char *name = luaL_checklstring(L, 1, &size);
    struct metric *metric = lua_newuserdatauv(L, sizeof(*metric), 0);
    metric->kind = kind;
    sluice_status status =
        metrics->metric(metrics, kind, (struct sluice_text){name, size}, &metric->number);
    if (status == SLUICE_E_PERMISSION) {
        return luaL_error(L,
                          "metrics.%s: the metric %s needs the permission write_metrics: write it "
                          "into the list plugins.instances.NAME.permissions, where NAME is this "
                          "instance",
                          classes[kind], name);
    }
    if (status == SLUICE_E_LIMIT) {
        return luaL_error(L, "metrics.%s: more than %d metrics, or %d histograms", classes[kind],
                          (int)SLUICE_METRICS_MAX, (int)SLUICE_HISTOGRAMS_MAX);
    }
    if (status != SLUICE_OK) {
        return luaL_error(L, "metrics.%s: a name is [a-z][a-z0-9_]*, at most %d bytes",
                          classes[kind], (int)SLUICE_METRIC_NAME_MAX);
    }
    luaL_setmetatable(L, classes[kind]);
    return 1;
}

static int new_counter(lua_State *L)
{
    return new_metric(L, SLUICE_METRIC_COUNTER);
}
static int new_gauge(lua_State *L)
{
    return new_metric(L, SLUICE_METRIC_GAUGE);
}
static int new_histogram(lua_State *L)
{
    return new_metric(L, SLUICE_METRIC_HISTOGRAM);
}

static uint32_t number_at(lua_State *L, uint32_t kind)
{
    const struct metric *metric = luaL_checkudata(L, 1, classes[kind]);
    return metric->number;
}

static uint64_t count_at(lua_State *L, lua_Integer initial)
{
    lua_Integer count = luaL_optinteger(L, 2, initial);
    luaL_argcheck(L, count >= 0, 2, "must not be negative");
    return (uint64_t)count;
}

static int counter_add(lua_State *L)
{
    const struct sluice_metrics *metrics = metrics_of(L);
    metrics->add(metrics, number_at(L, SLUICE_METRIC_COUNTER), count_at(L, 1));
    return 0;
}

static int gauge_set(lua_State *L)
{
    const struct sluice_metrics *metrics = metrics_of(L);
    metrics->set(metrics, number_at(L, SLUICE_METRIC_GAUGE), luaL_checkinteger(L, 2));
    return 0;
}

static int histogram_observe(lua_State *L)
{
    const struct sluice_metrics *metrics = metrics_of(L);
    luaL_checkinteger(L, 2);
    metrics->observe(metrics, number_at(L, SLUICE_METRIC_HISTOGRAM), count_at(L, 0));
    return 0;
}

static void open_class(lua_State *L, uint32_t kind, const char *verb, lua_CFunction function)
{
    luaL_newmetatable(L, classes[kind]);
    lua_newtable(L);
    lua_pushcfunction(L, function);
    lua_setfield(L, -2, verb);
    lua_sandbox_freeze(L, classes[kind]);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

/* ---- the broker's configuration ---- */

static int base_broker_config(lua_State *L)
{
    const struct sluice_host *host = lua_instance_of(L)->host;
    const char *key = luaL_checkstring(L, 1);
    const struct sluice_broker_config *config = host->get_extension(host, SLUICE_EXT_BROKER_CONFIG);
    if (config == NULL) {
        return luaL_error(L,
                          "broker_config needs the permission read_config: write it into the "
                          "list plugins.instances.NAME.permissions, where NAME is this instance");
    }
    struct sluice_text value = config->get(config, key, (struct sluice_text){NULL, 0});
    lua_settop(L, 2);
    if (value.data != NULL) {
        lua_pushlstring(L, value.data, (size_t)value.size);
    }
    return 1;
}

void lua_work_open(lua_State *L)
{
    static const struct luaL_Reg library[] = {
        {"counter", new_counter}, {"gauge", new_gauge}, {"histogram", new_histogram}, {NULL, NULL}};
    open_class(L, SLUICE_METRIC_COUNTER, "add", counter_add);
    open_class(L, SLUICE_METRIC_GAUGE, "set", gauge_set);
    open_class(L, SLUICE_METRIC_HISTOGRAM, "observe", histogram_observe);
    lua_sandbox_add_library(L, "metrics", library);
    lua_pushcfunction(L, base_task);
    lua_setglobal(L, "task");
    lua_pushcfunction(L, base_broker_config);
    lua_setglobal(L, "broker_config");
}
