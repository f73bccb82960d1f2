/* lua_script: see the header. */
#include "lua_script.h"

#include "lua_instance.h"
#include "lua_json.h"
#include "lua_record.h"
#include "lua_sandbox.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#define LOAD_DEADLINE_MS  1000 /* for the chunk, and for each call of init */
#define GATE_DEADLINE_MS  50
#define STAGE_DEADLINE_MS 5000
#define DEADLINE_MS_MAX   600000
#define EXTRA_OUTPUTS_MAX 64

/* ---- errors ---- */

static void set_reason(struct lua_instance *instance, const char *prefix, const char *text,
                       size_t size)
{
    size_t room = sizeof(instance->reason) - 1;
    size_t used = strlen(prefix);
    used = used < room ? used : room;
    memcpy(instance->reason, prefix, used);
    size = size < room - used ? size : room - used;
    memcpy(instance->reason + used, text, size);
    instance->reason[used + size] = '\0';
}

void lua_script_take_error(struct lua_instance *instance, lua_State *L)
{
    char prefix[sizeof(instance->file) + 2];
    size_t file_size = strlen(instance->file);
    memcpy(prefix, instance->file, file_size);
    memcpy(prefix + file_size, ": ", 3);
    if (instance->deadline.dead) {
        static const char text[] = ": the deadline passed, the script was stopped";
        const char *where = instance->deadline.where;
        set_reason(instance, where[0] != '\0' ? where : instance->file, text, sizeof(text) - 1);
    } else if (lua_type(L, -1) == LUA_TSTRING) {
        size_t size;
        const char *text = lua_tolstring(L, -1, &size);
        bool names_file = size > file_size && memcmp(text, instance->file, file_size) == 0;
        set_reason(instance, names_file ? "" : prefix, text, size);
    } else if (lua_record_is_reject(L, -1)) {
        /* the reason is there already */
    } else {
        static const char text[] = "an error that is not a string: ";
        set_reason(instance, prefix, text, sizeof(text) - 1);
        const char *type = lua_typename(L, lua_type(L, -1));
        size_t used = strlen(instance->reason);
        strncat(instance->reason, type, sizeof(instance->reason) - used - 1);
    }
    lua_pop(L, 1);
}

/* ---- configuration ---- */

/* Gives the table at `to` what the table at `from` has, objects within objects merged; JSON nulls
 * leave what is there. Raises. */
static void merge(lua_State *L, int to, int from, int depth)
{
    if (depth > (int)JSON_DEPTH_MAX) {
        luaL_error(L, "the configuration is nested too deeply");
    }
    luaL_checkstack(L, 8, "config");
    lua_pushnil(L);
    while (lua_next(L, from) != 0) {
        int value = lua_gettop(L);
        bool skip = lua_type(L, value) == LUA_TLIGHTUSERDATA ||
                    lua_type(L, value - 1) == LUA_TLIGHTUSERDATA; /* a null; the order of keys */
        if (!skip && lua_istable(L, value)) {
            lua_pushvalue(L, value - 1);
            bool merges = lua_rawget(L, to) == LUA_TTABLE && lua_rawlen(L, value) == 0;
            if (!merges) {
                lua_pop(L, 1);
                lua_newtable(L);
                lua_pushvalue(L, value - 1);
                lua_pushvalue(L, -2);
                lua_rawset(L, to);
            }
            merge(L, lua_gettop(L), value, depth + 1);
        } else if (!skip) {
            lua_pushvalue(L, value - 1);
            lua_pushvalue(L, value);
            lua_rawset(L, to);
        }
        lua_settop(L, value - 1);
    }
}

/* Makes every table within the table on top read-only, then it itself. */
static void freeze_deep(lua_State *L, int depth)
{
    luaL_checkstack(L, 8, "config");
    if (depth > (int)JSON_DEPTH_MAX) {
        luaL_error(L, "the configuration is nested too deeply");
    }
    int table = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, table) != 0) {
        if (lua_istable(L, -1)) {
            freeze_deep(L, depth + 1);
            lua_pushvalue(L, -2);
            lua_pushvalue(L, -2);
            lua_rawset(L, table); /* an assignment to a field that is there: lua_next allows it */
        }
        lua_pop(L, 1);
    }
    lua_sandbox_freeze(L, "config");
}

/* Pushes the defaults of the script (when it is loaded) with the host's configuration over them,
 * frozen. */
static void push_config(lua_State *L)
{
    struct lua_instance *instance = lua_instance_of(L);
    lua_newtable(L);
    int config = lua_gettop(L);
    if (instance->refs.script != LUA_NOREF) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, instance->refs.script);
        lua_pushliteral(L, "config");
        if (lua_rawget(L, -2) == LUA_TTABLE) {
            merge(L, config, lua_gettop(L), 0);
        }
        lua_settop(L, config);
    }
    struct sluice_text text = instance->host->get_config_json(instance->host);
    if (text.size > 0) {
        lua_json_decode(L, (const uint8_t *)text.data, (size_t)text.size);
        luaL_argexpected(L, lua_istable(L, -1), 1, "configuration object");
        merge(L, config, lua_gettop(L), 0);
        lua_settop(L, config);
    }
    freeze_deep(L, 0);
}

/* Pushes {time, before} of the change that is told, frozen; nil: it is the start. */
static void push_change(lua_State *L)
{
    const struct sluice_host *host = lua_instance_of(L)->host;
    const struct sluice_change *change = host->get_extension(host, SLUICE_EXT_CHANGE);
    if (change == NULL || change->time_ms == 0) {
        lua_pushnil(L);
        return;
    }
    lua_createtable(L, 0, 2);
    lua_pushinteger(L, (lua_Integer)change->time_ms);
    lua_setfield(L, -2, "time");
    lua_json_decode(L, (const uint8_t *)change->before_json.data, (size_t)change->before_json.size);
    lua_setfield(L, -2, "before");
    freeze_deep(L, 0);
}

/* Sets the global `config`, calls init(config, change). */
static void apply_config(lua_State *L)
{
    struct lua_instance *instance = lua_instance_of(L);
    push_config(L);
    int config = lua_gettop(L);
    lua_pushvalue(L, config);
    lua_setglobal(L, "config");
    lua_rawgeti(L, LUA_REGISTRYINDEX, instance->refs.script);
    lua_pushliteral(L, "init");
    if (lua_rawget(L, -2) == LUA_TFUNCTION) {
        lua_pushvalue(L, config);
        push_change(L);
        lua_call(L, 2, 0);
    }
    lua_settop(L, config - 1);
}

/* ---- the script's table ---- */

static const struct key {
    const char *name;
    int type;
} keys[] = {
    {"name", LUA_TSTRING},          {"input", LUA_TSTRING},
    {"output", LUA_TSTRING},        {"on", LUA_TSTRING},
    {"outputs", LUA_TTABLE},        {"config", LUA_TTABLE},
    {"init", LUA_TFUNCTION},        {"process", LUA_TFUNCTION},
    {"deadline_ms", LUA_TNUMBER},   {"version", LUA_TSTRING},
    {"description", LUA_TSTRING},   {"on_error", LUA_TSTRING},
    {"state_version", LUA_TNUMBER}, {"state_import", LUA_TTABLE},
};
#define KEY_COUNT (sizeof(keys) / sizeof(keys[0]))

static const struct key *key_of(const char *name)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (strcmp(keys[i].name, name) == 0) {
            return &keys[i];
        }
    }
    return NULL;
}

/* The table is on top. */
static void check_keys(lua_State *L)
{
    int table = lua_gettop(L);
    lua_pushnil(L);
    while (lua_next(L, table) != 0) {
        const struct key *key = lua_type(L, -2) == LUA_TSTRING ? key_of(lua_tostring(L, -2)) : NULL;
        if (key == NULL) {
            luaL_error(L, "the script's table has an unknown key '%s'",
                       luaL_tolstring(L, -2, NULL));
        } else if (lua_type(L, -1) != key->type) {
            luaL_error(L, "'%s' in the script's table must be a %s, not a %s", key->name,
                       lua_typename(L, key->type), luaL_typename(L, -1));
        }
        lua_pop(L, 1);
    }
    lua_getfield(L, table, "process");
    if (lua_isnil(L, -1)) {
        luaL_error(L, "the script's table has no function 'process'");
    }
    lua_pop(L, 1);
}

/* A text of the table on top; it lives as long as the table, which the registry holds. */
static struct sluice_text text_field(lua_State *L, const char *name)
{
    struct sluice_text text = {"", 0};
    lua_getfield(L, -1, name);
    if (lua_type(L, -1) == LUA_TSTRING) {
        size_t size;
        text.data = lua_tolstring(L, -1, &size);
        text.size = size;
    }
    lua_pop(L, 1);
    return text;
}

static uint32_t read_on(lua_State *L)
{
    struct sluice_text on = text_field(L, "on");
    if (on.size == 0) {
        return 0;
    }
    if (strcmp(on.data, "log") == 0) {
        return SLUICE_ON_LOG;
    }
    if (strcmp(on.data, "produce") != 0) {
        luaL_error(L, "'on' in the script's table must be \"log\" or \"produce\", not \"%s\"",
                   on.data);
    }
    return SLUICE_ON_PRODUCE;
}

static void read_outputs(lua_State *L, struct lua_instance *instance)
{
    lua_getfield(L, -1, "outputs");
    lua_Integer count = lua_istable(L, -1) ? (lua_Integer)lua_rawlen(L, -1) : 0;
    if (count > EXTRA_OUTPUTS_MAX) {
        luaL_error(L, "'outputs' in the script's table has more than %d topics", EXTRA_OUTPUTS_MAX);
    }
    free(instance->extra_outputs);
    instance->extra_outputs = calloc((size_t)count + 1, sizeof(struct sluice_text));
    if (instance->extra_outputs == NULL) {
        luaL_error(L, "not enough memory");
    }
    for (lua_Integer i = 0; i < count; i++) {
        if (lua_rawgeti(L, -1, i + 1) != LUA_TSTRING) {
            luaL_error(L, "'outputs' in the script's table must be a list of topic names");
        }
        size_t size;
        instance->extra_outputs[i].data = lua_tolstring(L, -1, &size);
        instance->extra_outputs[i].size = size;
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    instance->attachment.extra_outputs = instance->extra_outputs;
    instance->attachment.extra_output_count = (uint32_t)count;
}

/* state_version and state_import, as in a manifest (<sluice/state.h>). */
static void read_state(lua_State *L, struct lua_instance *instance)
{
    lua_getfield(L, -1, "state_version");
    lua_Integer version = luaL_optinteger(L, -1, 0);
    lua_pop(L, 1);
    if (version < 0 || version > INT32_MAX) {
        luaL_error(L, "'state_version' in the script's table must be 0 to %d", INT32_MAX);
    }
    lua_getfield(L, -1, "state_import");
    lua_Integer count = lua_istable(L, -1) ? (lua_Integer)lua_rawlen(L, -1) : 0;
    for (lua_Integer i = 0; i < count && i < (lua_Integer)SLUICE_STATE_IMPORTS_MAX; i++) {
        lua_rawgeti(L, -1, i + 1);
        instance->state_imports[i] = luaL_optinteger(L, -1, -1);
        lua_pop(L, 1);
        if (instance->state_imports[i] < 0 || instance->state_imports[i] > INT32_MAX) {
            count = SLUICE_STATE_IMPORTS_MAX + 1;
        }
    }
    lua_pop(L, 1);
    if (count > (lua_Integer)SLUICE_STATE_IMPORTS_MAX) {
        luaL_error(L,
                   "'state_import' in the script's table must be a list of at most %d "
                   "state_versions",
                   (int)SLUICE_STATE_IMPORTS_MAX);
    }
    instance->attachment.state_version = version;
    instance->attachment.state_import_count = (uint32_t)count;
    instance->attachment.state_imports = instance->state_imports;
}

static void read_attachment(lua_State *L)
{
    struct lua_instance *instance = lua_instance_of(L);
    struct sluice_attachment *attachment = &instance->attachment;
    *attachment = (struct sluice_attachment){.size = sizeof(*attachment)};
    attachment->on = read_on(L);
    attachment->name = text_field(L, "name");
    attachment->input = text_field(L, "input");
    attachment->output = text_field(L, "output");
    attachment->on_error = text_field(L, "on_error"); /* the host knows the words */
    read_outputs(L, instance);
    read_state(L, instance);
    lua_getfield(L, -1, "deadline_ms");
    lua_Integer deadline = luaL_optinteger(L, -1, 0);
    lua_pop(L, 1);
    if (deadline < 0 || deadline > DEADLINE_MS_MAX) {
        luaL_error(L, "'deadline_ms' in the script's table must be 0 to %d", DEADLINE_MS_MAX);
    }
    attachment->deadline_ms = (uint32_t)deadline;
}

/* For a host that gives calls no deadline. */
static int64_t own_deadline_ms(const struct lua_instance *instance)
{
    if (instance->attachment.deadline_ms > 0) {
        return instance->attachment.deadline_ms;
    }
    return instance->attachment.on == SLUICE_ON_PRODUCE ? GATE_DEADLINE_MS : STAGE_DEADLINE_MS;
}

/* ---- load ---- */

/* Protected: argument 1 is the script (light userdata). */
static int load(lua_State *L)
{
    const struct sluice_script *script = lua_touserdata(L, 1);
    struct lua_instance *instance = lua_instance_of(L);
    lua_pushfstring(L, "@%s", instance->file);
    int status = luaL_loadbufferx(L, (const char *)script->source.data, (size_t)script->source.size,
                                  lua_tostring(L, -1), "t");
    if (status != LUA_OK) {
        return lua_error(L);
    }
    push_config(L);
    lua_setglobal(L, "config");
    instance->binding = true;
    lua_call(L, 0, 1);
    instance->binding = false;
    if (!lua_istable(L, -1)) {
        luaL_error(L, "the script returned a %s; it must return a table", luaL_typename(L, -1));
    }
    lua_pushvalue(L, -1);
    instance->refs.script = luaL_ref(L, LUA_REGISTRYINDEX);
    check_keys(L);
    read_attachment(L);
    lua_getfield(L, -1, "process");
    instance->refs.process = luaL_ref(L, LUA_REGISTRYINDEX);
    apply_config(L);
    return 0;
}

static int reconfigure(lua_State *L)
{
    apply_config(L);
    return 0;
}

/* Runs a protected function with one light userdata under the loading deadline. */
static sluice_status run(struct lua_instance *instance, lua_CFunction function,
                         const void *argument)
{
    lua_State *L = instance->L;
    lua_pushcfunction(L, function);
    lua_pushlightuserdata(L, (void *)argument);
    lua_deadline_begin(&instance->deadline, L, LOAD_DEADLINE_MS);
    bool good = lua_pcall(L, 1, 0, 0) == LUA_OK;
    if (!good) {
        lua_script_take_error(instance, L);
    }
    lua_deadline_end(&instance->deadline, L);
    instance->binding = false; /* an error jumps over what load does */
    instance->deadline_ms = own_deadline_ms(instance);
    return good ? SLUICE_OK : SLUICE_E_PLUGIN_LOAD;
}

sluice_status lua_script_load(struct lua_instance *instance, const struct sluice_script *script)
{
    return run(instance, load, script);
}

/* Protected: puts back the configuration that is in the registry. */
static int restore(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &keys);
    lua_setglobal(L, "config");
    return 0;
}

/* Protected: keeps the global `config` in the registry. */
static int keep(lua_State *L)
{
    lua_getglobal(L, "config");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &keys);
    return 0;
}

sluice_status lua_script_reconfigure(struct lua_instance *instance)
{
    if (run(instance, keep, NULL) != SLUICE_OK) {
        return SLUICE_E_PLUGIN_CONFIG;
    }
    if (run(instance, reconfigure, NULL) == SLUICE_OK) {
        return SLUICE_OK;
    }
    char reason[LUA_REASON_BYTES_MAX];
    memcpy(reason, instance->reason, sizeof(reason));
    (void)run(instance, restore, NULL);
    memcpy(instance->reason, reason, sizeof(reason));
    return SLUICE_E_PLUGIN_CONFIG;
}
