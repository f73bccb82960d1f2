/* lua_record: see the header. */
#include "lua_record.h"

#include "lua_instance.h"

#include <lauxlib.h>
#include <string.h>

static const char reject_token; /* its address is what reject throws */

/* ---- finding the struct ---- */

struct lua_record *lua_record_at(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TUSERDATA || lua_rawlen(L, index) != sizeof(struct lua_record)) {
        return NULL;
    }
    struct lua_record *record = lua_touserdata(L, index);
    return record->magic == LUA_RECORD_MAGIC ? record : NULL;
}

struct lua_record *lua_record_check(lua_State *L, int index)
{
    struct lua_record *record = lua_record_at(L, index);
    if (record == NULL) {
        luaL_typeerror(L, index, "record");
        __builtin_unreachable(); /* it raises */
    }
    if (!record->is_live) {
        luaL_error(L, "the record is gone: keep record:copy() instead");
    }
    return record;
}

void lua_record_set(struct lua_record *record, const struct sluice_record *in,
                    const struct sluice_batch *batch)
{
    *record = (struct lua_record){
        .magic = LUA_RECORD_MAGIC,
        .partition = batch->partition,
        .is_input = true,
        .is_live = true,
        .offset = in->offset,
        .timestamp = in->timestamp,
        .key = in->key,
        .value = in->value,
        .headers = in->headers,
        .header_count = in->header_count,
        .topic = batch->topic,
    };
}

void lua_record_clear(struct lua_record *record)
{
    *record = (struct lua_record){.magic = LUA_RECORD_MAGIC, .is_input = true};
}

/* ---- reading ---- */

static int push_bytes(lua_State *L, struct sluice_bytes bytes, bool *cached, int slot)
{
    if (bytes.data == NULL) {
        lua_pushnil(L);
    } else if (*cached) {
        lua_getiuservalue(L, 1, slot);
    } else {
        lua_pushlstring(L, (const char *)bytes.data, (size_t)bytes.size);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, 1, slot);
        *cached = true;
    }
    return 1;
}

static int get_value(lua_State *L, struct lua_record *record)
{
    return push_bytes(L, record->value, &record->value_cached, LUA_RECORD_VALUE);
}

static int get_key(lua_State *L, struct lua_record *record)
{
    return push_bytes(L, record->key, &record->key_cached, LUA_RECORD_KEY);
}

static int get_headers(lua_State *L, struct lua_record *record)
{
    (void)record;
    lua_headers_push_view(L, 1);
    return 1;
}

static int get_timestamp(lua_State *L, struct lua_record *record)
{
    lua_pushinteger(L, record->timestamp);
    return 1;
}

static int get_offset(lua_State *L, struct lua_record *record)
{
    lua_pushinteger(L, record->offset);
    return 1;
}

static int get_partition(lua_State *L, struct lua_record *record)
{
    lua_pushinteger(L, record->partition);
    return 1;
}

static int get_topic(lua_State *L, struct lua_record *record)
{
    lua_pushlstring(L, record->topic.data, (size_t)record->topic.size);
    return 1;
}

/* ---- writing ---- */

/* The new bytes are at stack index 3: text, a number, or nil. */
static void set_bytes(lua_State *L, const char *name, struct sluice_bytes *bytes, bool *cached,
                      int slot)
{
    if (lua_isnil(L, 3)) {
        *bytes = (struct sluice_bytes){NULL, 0};
        return;
    }
    if (lua_type(L, 3) != LUA_TSTRING && lua_type(L, 3) != LUA_TNUMBER) {
        luaL_error(L, "record.%s must be a string or nil, not a %s%s", name, luaL_typename(L, 3),
                   lua_type(L, 3) == LUA_TTABLE ? " (json.encode makes one)" : "");
    }
    size_t size;
    const char *text = lua_tolstring(L, 3, &size);
    lua_setiuservalue(L, 1, slot);
    *bytes = (struct sluice_bytes){(const uint8_t *)text, size};
    *cached = true;
}

static void set_value(lua_State *L, struct lua_record *record)
{
    set_bytes(L, "value", &record->value, &record->value_cached, LUA_RECORD_VALUE);
}

static void set_key(lua_State *L, struct lua_record *record)
{
    set_bytes(L, "key", &record->key, &record->key_cached, LUA_RECORD_KEY);
}

static void set_timestamp(lua_State *L, struct lua_record *record)
{
    int is_integer;
    lua_Integer timestamp = lua_tointegerx(L, 3, &is_integer);
    if (!is_integer || timestamp < 0) {
        luaL_error(L, "record.timestamp must be milliseconds since the epoch");
    }
    record->timestamp = timestamp;
}

/* ---- fields by name ---- */

static const struct field {
    const char *name;
    int (*get)(lua_State *L, struct lua_record *record);
    void (*set)(lua_State *L, struct lua_record *record); /* NULL: read-only */
} fields[] = {
    {"value", get_value, set_value},    {"key", get_key, set_key},
    {"headers", get_headers, NULL},     {"timestamp", get_timestamp, set_timestamp},
    {"offset", get_offset, NULL},       {"topic", get_topic, NULL},
    {"partition", get_partition, NULL},
};
#define FIELD_COUNT (sizeof(fields) / sizeof(fields[0]))

/* Upvalue 1 maps a name to the index of a field, or to a method. */
static int record_index(lua_State *L)
{
    struct lua_record *record = lua_record_check(L, 1);
    lua_settop(L, 2);
    switch (lua_rawget(L, lua_upvalueindex(1))) {
    case LUA_TFUNCTION:
        return 1;
    case LUA_TNUMBER:
        return fields[lua_tointeger(L, -1)].get(L, record);
    default:
        return luaL_error(L, "a record has no such field");
    }
}

static int record_newindex(lua_State *L)
{
    struct lua_record *record = lua_record_check(L, 1);
    lua_pushvalue(L, 2);
    bool is_field = lua_rawget(L, lua_upvalueindex(1)) == LUA_TNUMBER;
    const struct field *field = is_field ? &fields[lua_tointeger(L, -1)] : NULL;
    if (field == NULL) {
        return luaL_error(L, "a record has no such field");
    }
    if (field->set == NULL) {
        return luaL_error(L, "record.%s is read-only%s", field->name,
                          field->get == get_headers ? " (set record.headers[name])" : "");
    }
    lua_settop(L, 3);
    field->set(L, record);
    record->changed = true;
    return 0;
}

/* ---- copies ---- */

/* Gives the copy on top its own string of these bytes, from the source's user value if it is there.
 */
static void copy_bytes(lua_State *L, int from, struct sluice_bytes *bytes, bool cached, int slot)
{
    if (bytes->data == NULL) {
        return;
    }
    if (cached) {
        lua_getiuservalue(L, from, slot);
    } else {
        lua_pushlstring(L, (const char *)bytes->data, (size_t)bytes->size);
    }
    bytes->data = (const uint8_t *)lua_tostring(L, -1);
    lua_setiuservalue(L, -2, slot);
}

struct lua_record *lua_record_push_copy(lua_State *L, int index)
{
    int from = lua_absindex(L, index);
    const struct lua_record *source = lua_record_check(L, from);
    luaL_checkstack(L, 6, "record");
    struct lua_record *copy = lua_newuserdatauv(L, sizeof(*copy), LUA_RECORD_USER_VALUES);
    *copy = (struct lua_record){.magic = LUA_RECORD_MAGIC};
    struct sluice_bytes key = source->key;
    struct sluice_bytes value = source->value;
    copy_bytes(L, from, &key, source->key_cached, LUA_RECORD_KEY);
    copy_bytes(L, from, &value, source->value_cached, LUA_RECORD_VALUE);
    lua_pushlstring(L, source->topic.data, (size_t)source->topic.size);
    copy->topic = (struct sluice_text){lua_tostring(L, -1), source->topic.size};
    lua_setiuservalue(L, -2, LUA_RECORD_TOPIC);
    lua_headers_copy(L, source, copy, lua_gettop(L));
    copy->key = key;
    copy->value = value;
    copy->key_cached = key.data != NULL;
    copy->value_cached = value.data != NULL;
    copy->partition = source->partition;
    copy->offset = source->offset;
    copy->timestamp = source->timestamp;
    copy->changed = true;
    copy->is_live = true;
    lua_rawgeti(L, LUA_REGISTRYINDEX, lua_instance_of(L)->refs.record_meta);
    lua_setmetatable(L, -2);
    return copy;
}

static int record_copy(lua_State *L)
{
    lua_record_push_copy(L, 1);
    return 1;
}

/* ---- emit and reject ---- */

/* emit(record), emit(topic, record): keeps a copy until process returns, so that an error takes all
 * back. */
static int base_emit(lua_State *L)
{
    struct lua_instance *instance = lua_instance_of(L);
    bool has_topic = lua_type(L, 1) == LUA_TSTRING;
    int from = has_topic ? 2 : 1;
    lua_settop(L, from);
    if (!instance->record->is_live) {
        return luaL_error(L, "emit works only while process runs");
    }
    if (instance->pending_count == LUA_PENDING_MAX) {
        return luaL_error(L, "more than %d records emitted for one", (int)LUA_PENDING_MAX);
    }
    struct lua_record *copy = lua_record_push_copy(L, from);
    if (has_topic) {
        lua_pushvalue(L, 1);
        copy->out_topic.data = lua_tolstring(L, -1, NULL);
        copy->out_topic.size = lua_rawlen(L, -1);
        lua_setiuservalue(L, -2, LUA_RECORD_OUT_TOPIC);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, instance->refs.pending);
    lua_insert(L, -2);
    lua_rawseti(L, -2, (lua_Integer)instance->pending_count + 1);
    instance->pending_count++;
    return 0;
}

static int base_reject(lua_State *L)
{
    struct lua_instance *instance = lua_instance_of(L);
    size_t size;
    const char *reason = luaL_optlstring(L, 1, "rejected", &size);
    size = size < sizeof(instance->reason) - 1 ? size : sizeof(instance->reason) - 1;
    memcpy(instance->reason, reason, size);
    instance->reason[size] = '\0';
    lua_pushlightuserdata(L, (void *)&reject_token);
    return lua_error(L);
}

bool lua_record_is_reject(lua_State *L, int index)
{
    return lua_islightuserdata(L, index) && lua_touserdata(L, index) == &reject_token;
}

/* ---- set-up ---- */

static void open_metatable(lua_State *L)
{
    static const struct luaL_Reg methods[] = {{"copy", record_copy},
                                              {"json_get", lua_record_json_get},
                                              {"json_set", lua_record_json_set},
                                              {NULL, NULL}};
    static const struct luaL_Reg metamethods[] = {
        {"__index", record_index}, {"__newindex", record_newindex}, {NULL, NULL}};
    lua_newtable(L);
    luaL_newlib(L, methods);
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        lua_pushinteger(L, (lua_Integer)i);
        lua_setfield(L, -2, fields[i].name);
    }
    luaL_setfuncs(L, metamethods, 1);
    lua_pushliteral(L, "record");
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_instance_of(L)->refs.record_meta = luaL_ref(L, LUA_REGISTRYINDEX);
}

void lua_record_open(lua_State *L)
{
    struct lua_instance *instance = lua_instance_of(L);
    lua_headers_open(L);
    open_metatable(L);
    struct lua_record *record = lua_newuserdatauv(L, sizeof(*record), LUA_RECORD_USER_VALUES);
    lua_record_clear(record);
    lua_rawgeti(L, LUA_REGISTRYINDEX, instance->refs.record_meta);
    lua_setmetatable(L, -2);
    instance->refs.record = luaL_ref(L, LUA_REGISTRYINDEX);
    instance->record = record;
    lua_newtable(L);
    instance->refs.pending = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushcfunction(L, base_emit);
    lua_setglobal(L, "emit");
    lua_pushcfunction(L, base_reject);
    lua_setglobal(L, "reject");
}
