/* record:json_get(path) and record:json_set(path, value): one field of a JSON value, without
 * decoding the rest. The value is scanned once to its end (json_find.h) and the new text spliced
 * in: all other bytes stay as they were. The result lies in one of two buffers of the instance, in
 * turn, because the other may be what was scanned. */
#include "json_find.h"
#include "lua_instance.h"
#include "lua_json.h"
#include "lua_record.h"

#include <lauxlib.h>
#include <string.h>

static void check_path(lua_State *L, struct json_path *ret)
{
    size_t size;
    const char *text = luaL_checklstring(L, 2, &size);
    struct json_fault fault;
    if (!json_path_parse(text, size, ret, &fault)) {
        luaL_error(L, "path '%s': %s at %I", text, fault.what, (LUAI_UACINT)fault.at + 1);
    }
}

static void find(lua_State *L, const struct lua_record *record, const struct json_path *path,
                 struct json_place *ret)
{
    struct json_fault fault;
    if (!json_find(record->value.data, (size_t)record->value.size, path, ret, &fault)) {
        lua_json_raise(L, &fault);
    }
}

int lua_record_json_get(lua_State *L)
{
    const struct lua_record *record = lua_record_check(L, 1);
    struct json_path path;
    struct json_place place;
    check_path(L, &path);
    if (record->value.data == NULL) {
        lua_pushnil(L);
        return 1;
    }
    find(L, record, &path, &place);
    if (place.mismatch || place.matched < path.count) {
        lua_pushnil(L);
        return 1;
    }
    lua_json_decode(L, record->value.data + place.value_begin, place.value_end - place.value_begin);
    return 1;
}

static void put(lua_State *L, struct lua_buffer *out, const void *data, size_t size)
{
    if (!lua_buffer_append(out, data, size)) {
        luaL_error(L, "not enough memory");
    }
}

/* What is cut out of the value, and what comes in its place. */
struct splice {
    size_t from;
    size_t to;
    const struct lua_buffer *text;
};

/* Cuts the member with the comma that it no longer needs. */
static struct splice plan_removal(lua_State *L, const struct json_path *path,
                                  const struct json_place *place)
{
    if (path->count == 0) {
        luaL_error(L, "json_set: the whole value cannot be removed (set record.value)");
    }
    if (place->next_begin != 0) {
        return (struct splice){place->member_begin, place->next_begin, NULL};
    }
    return (struct splice){place->is_first ? place->member_begin : place->before_end,
                           place->value_end, NULL};
}

/* Opens what the step needs around its child: `"key":`, and before it the object when it is new. */
static void put_step(lua_State *L, const struct json_step *step, bool is_new,
                     struct lua_buffer *out)
{
    if (step->key == NULL) {
        put(L, out, "[", is_new ? 1 : 0);
        return;
    }
    put(L, out, "{", is_new ? 1 : 0);
    lua_json_encode_string(L, step->key, step->key_size, out);
    put(L, out, ":", 1);
}

/* Adds the missing steps and the value behind the last child of the deepest container that is
 * there. */
static struct splice plan_insertion(lua_State *L, const struct json_path *path,
                                    const struct json_place *place, struct lua_buffer *out)
{
    put(L, out, ",", place->child_count > 0 ? 1 : 0);
    for (uint32_t i = place->matched; i < path->count; i++) {
        const struct json_step *step = &path->steps[i];
        uint64_t length = i == place->matched ? place->child_count : 0;
        if (step->key == NULL && step->index != length) {
            luaL_error(L, "json_set: the array has no element %I and cannot grow by more than one",
                       (LUAI_UACINT)step->index);
        }
        put_step(L, step, i > place->matched, out);
    }
    lua_json_encode(L, 3, out, path->count);
    for (uint32_t i = path->count; i > place->matched + 1; i--) {
        put(L, out, path->steps[i - 1].key != NULL ? "}" : "]", 1);
    }
    return (struct splice){place->append_at, place->append_at, out};
}

static void apply(lua_State *L, struct lua_record *record, const struct splice *splice)
{
    struct lua_instance *instance = lua_instance_of(L);
    struct lua_buffer *out = &instance->values[instance->value_turn];
    const uint8_t *old = record->value.data;
    size_t old_size = (size_t)record->value.size;
    size_t text_size = splice->text != NULL ? splice->text->size : 0;
    out->size = 0;
    if (!lua_buffer_reserve(out, old_size + text_size + 1)) {
        luaL_error(L, "not enough memory");
    }
    uint8_t *to = out->data;
    memcpy(to, old, splice->from);
    if (text_size > 0) {
        memcpy(to + splice->from, splice->text->data, text_size);
    }
    memcpy(to + splice->from + text_size, old + splice->to, old_size - splice->to);
    out->size = splice->from + text_size + old_size - splice->to;

    if (record->is_input) {
        record->value = (struct sluice_bytes){out->data, out->size};
        record->value_cached = false;
        instance->value_turn ^= 1;
    } else {
        lua_pushlstring(L, (const char *)out->data, out->size);
        record->value = (struct sluice_bytes){(const uint8_t *)lua_tostring(L, -1), out->size};
        lua_setiuservalue(L, 1, LUA_RECORD_VALUE);
        record->value_cached = true;
    }
    record->changed = true;
}

int lua_record_json_set(lua_State *L)
{
    struct lua_record *record = lua_record_check(L, 1);
    struct json_path path;
    struct json_place place;
    check_path(L, &path);
    lua_settop(L, 3);
    if (record->value.data == NULL) {
        return luaL_error(L, "json_set: the record has no value");
    }
    find(L, record, &path, &place);
    if (place.mismatch) {
        return luaL_error(L, "json_set: '%s' leads into something else at byte %I",
                          lua_tostring(L, 2), (LUAI_UACINT)place.value_begin);
    }
    struct lua_buffer *scratch = &lua_instance_of(L)->scratch;
    scratch->size = 0;
    struct splice splice = {place.value_begin, place.value_end, scratch};
    if (lua_isnil(L, 3)) {
        if (place.matched < path.count) {
            lua_settop(L, 1);
            return 1;
        }
        splice = plan_removal(L, &path, &place);
    } else if (place.matched == path.count) {
        lua_json_encode(L, 3, scratch, path.count);
    } else {
        splice = plan_insertion(L, &path, &place, scratch);
    }
    apply(L, record, &splice);
    lua_settop(L, 1);
    return 1;
}
