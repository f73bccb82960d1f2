/* lua_json: see the header. Objects keep a list of their keys in themselves, under a light userdata
 * that pairs does not show; keys added later follow in the order of their bytes. */
#include "lua_json.h"

#include "json_number.h"
#include "lua_instance.h"
#include "lua_sandbox.h"

#include <lauxlib.h>
#include <stdlib.h> /* strtod */
#include <string.h>

static const char order_key;  /* its address is the key of the key list */
static const char null_value; /* its address is json.null */

/* A number that neither an integer nor a float holds: its digits. */
struct number {
    size_t size;
    char text[];
};

int lua_json_raise(lua_State *L, const struct json_fault *fault)
{
    return luaL_error(L, "json: %s at byte %I", fault->what, (LUAI_UACINT)fault->at);
}

static void push_ref(lua_State *L, int ref)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
}

static bool has_metatable(lua_State *L, int index, int ref)
{
    if (lua_getmetatable(L, index) == 0) {
        return false;
    }
    push_ref(L, ref);
    bool same = lua_rawequal(L, -1, -2) != 0;
    lua_pop(L, 2);
    return same;
}

static void mark(lua_State *L, int ref)
{
    push_ref(L, ref);
    lua_setmetatable(L, -2);
}

/* ---- decode ---- */

static int raise_cursor(lua_State *L, const struct json_cursor *cursor)
{
    return lua_json_raise(L, &cursor->fault);
}

static void push_string(lua_State *L, struct json_cursor *cursor, const struct json_token *token)
{
    if (!token->escaped) {
        lua_pushlstring(L, (const char *)token->data, token->size);
        return;
    }
    struct lua_buffer *scratch = &lua_instance_of(L)->scratch;
    size_t size;
    size_t at;
    scratch->size = 0;
    if (!lua_buffer_reserve(scratch, token->size)) {
        luaL_error(L, "not enough memory");
    }
    if (!json_unescape(token, scratch->data, &size, &at)) {
        json_fail(cursor, token->data + at, "half a surrogate pair");
        raise_cursor(L, cursor);
    }
    lua_pushlstring(L, (const char *)scratch->data, size);
}

static void push_number(lua_State *L, const struct json_token *token)
{
    int64_t integer;
    double real;
    switch (json_number_parse(token, &integer, &real)) {
    case JSON_NUMBER_INTEGER:
        lua_pushinteger(L, integer);
        return;
    case JSON_NUMBER_REAL:
        lua_pushnumber(L, real);
        return;
    default:
        break;
    }
    struct number *number = lua_newuserdatauv(L, sizeof(*number) + token->size, 0);
    number->size = token->size;
    memcpy(number->text, token->data, token->size);
    mark(L, lua_instance_of(L)->refs.number_meta);
}

static void push_value(lua_State *L, struct json_cursor *cursor, uint32_t depth);

/* Takes the opening bracket; true when the container is not empty. */
static bool open_container(lua_State *L, struct json_cursor *cursor, uint8_t close, uint32_t depth)
{
    if (depth >= JSON_DEPTH_MAX) {
        json_fail(cursor, cursor->at, "nested too deeply");
        raise_cursor(L, cursor);
    }
    luaL_checkstack(L, 8, "json");
    cursor->at++;
    if (json_peek(cursor) == close) {
        cursor->at++;
        return false;
    }
    return true;
}

/* Behind a child: true at a comma, false at the closing bracket. */
static bool more_follows(lua_State *L, struct json_cursor *cursor, uint8_t close)
{
    uint8_t c = json_peek(cursor);
    if (c != ',' && c != close) {
        json_fail(cursor, cursor->at,
                  cursor->at >= cursor->end ? "the text ends too early" : "unexpected character");
        raise_cursor(L, cursor);
    }
    cursor->at++;
    return c == ',';
}

static void push_array(lua_State *L, struct json_cursor *cursor, uint32_t depth)
{
    lua_newtable(L);
    mark(L, lua_instance_of(L)->refs.array_meta);
    if (!open_container(L, cursor, ']', depth)) {
        return;
    }
    lua_Integer count = 0;
    do {
        push_value(L, cursor, depth + 1);
        lua_rawseti(L, -2, ++count);
    } while (more_follows(L, cursor, ']'));
}

/* Pushes the key at the cursor, which must be new to the object below `order`. */
static void push_key(lua_State *L, struct json_cursor *cursor, int object)
{
    struct json_token token;
    if (json_peek(cursor) != '"') {
        json_fail(cursor, cursor->at,
                  cursor->at >= cursor->end ? "the text ends too early" : "a key is wanted");
        raise_cursor(L, cursor);
    }
    const uint8_t *begin = cursor->at;
    if (!json_take_string(cursor, &token)) {
        raise_cursor(L, cursor);
    }
    push_string(L, cursor, &token);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, object) != LUA_TNIL) {
        json_fail(cursor, begin, "the key occurs twice");
        raise_cursor(L, cursor);
    }
    lua_pop(L, 1);
    if (json_peek(cursor) != ':') {
        json_fail(cursor, cursor->at, "':' is wanted");
        raise_cursor(L, cursor);
    }
    cursor->at++;
}

static void push_object(lua_State *L, struct json_cursor *cursor, uint32_t depth)
{
    lua_newtable(L);
    mark(L, lua_instance_of(L)->refs.object_meta);
    if (!open_container(L, cursor, '}', depth)) {
        return;
    }
    int object = lua_gettop(L);
    lua_newtable(L);
    int order = object + 1;
    lua_Integer count = 0;
    do {
        push_key(L, cursor, object);
        lua_pushvalue(L, -1);
        lua_rawseti(L, order, ++count);
        push_value(L, cursor, depth + 1);
        lua_rawset(L, object);
    } while (more_follows(L, cursor, '}'));
    lua_rawsetp(L, object, &order_key);
}

static void push_word(lua_State *L, struct json_cursor *cursor, uint8_t first)
{
    const char *word = first == 't' ? "true" : first == 'f' ? "false" : "null";
    if (!json_take_word(cursor, word, strlen(word))) {
        raise_cursor(L, cursor);
    }
    if (first == 'n') {
        lua_pushlightuserdata(L, (void *)&null_value);
    } else {
        lua_pushboolean(L, first == 't');
    }
}

static void push_value(lua_State *L, struct json_cursor *cursor, uint32_t depth)
{
    struct json_token token;
    uint8_t c = json_peek(cursor);
    if (c == '"') {
        if (!json_take_string(cursor, &token)) {
            raise_cursor(L, cursor);
        }
        push_string(L, cursor, &token);
    } else if (c == '{') {
        push_object(L, cursor, depth);
    } else if (c == '[') {
        push_array(L, cursor, depth);
    } else if (c == '-' || (uint8_t)(c - '0') < 10) {
        if (!json_take_number(cursor, &token)) {
            raise_cursor(L, cursor);
        }
        push_number(L, &token);
    } else {
        push_word(L, cursor, c);
    }
}

void lua_json_decode(lua_State *L, const uint8_t *text, size_t size)
{
    struct json_cursor cursor;
    json_cursor_init(&cursor, text, size);
    push_value(L, &cursor, 0);
    if (!json_take_end(&cursor)) {
        raise_cursor(L, &cursor);
    }
}

/* ---- encode ---- */

static void put(lua_State *L, struct lua_buffer *out, const void *data, size_t size)
{
    if (!lua_buffer_append(out, data, size)) {
        luaL_error(L, "not enough memory");
    }
}

/* The escape of a byte, or its size 0 when it stands for itself. */
static size_t escape_of(uint8_t c, char *to)
{
    static const char hex[] = "0123456789abcdef";
    static const char special[] = "\"\\\b\f\n\r\t";
    static const char letters[] = "\"\\bfnrt";
    const char *found = c != 0 ? strchr(special, c) : NULL;
    to[0] = '\\';
    if (found != NULL) {
        to[1] = letters[found - special];
        return 2;
    }
    if (c >= 0x20) {
        return 0;
    }
    memcpy(to + 1, "u00", 3);
    to[4] = hex[c >> 4];
    to[5] = hex[c & 15];
    return 6;
}

void lua_json_encode_string(lua_State *L, const char *text, size_t size, struct lua_buffer *out)
{
    size_t good = json_utf8_check((const uint8_t *)text, size);
    if (good != size) {
        luaL_error(L, "json: a string is not UTF-8 at its byte %I", (LUAI_UACINT)good);
    }
    const uint8_t *at = (const uint8_t *)text;
    const uint8_t *end = at + size;
    const uint8_t *from = at;
    put(L, out, "\"", 1);
    while ((at = json_skip_plain(at, end)) < end) {
        char escape[6];
        size_t escape_size = escape_of(*at, escape);
        if (escape_size > 0) {
            put(L, out, from, (size_t)(at - from));
            put(L, out, escape, escape_size);
            from = at + 1;
        }
        at++;
    }
    put(L, out, from, (size_t)(end - from));
    put(L, out, "\"", 1);
}

static void encode_number(lua_State *L, int index, struct lua_buffer *out)
{
    char text[JSON_NUMBER_BYTES_MAX];
    size_t size = lua_isinteger(L, index) ? json_integer_print(lua_tointeger(L, index), text)
                                          : json_real_print(lua_tonumber(L, index), text);
    if (size == 0) {
        luaL_error(L, "json: a number that is not finite");
    }
    put(L, out, text, size);
}

static void encode_userdata(lua_State *L, int index, struct lua_buffer *out)
{
    if (!has_metatable(L, index, lua_instance_of(L)->refs.number_meta)) {
        luaL_error(L, "json: cannot encode a %s", luaL_typename(L, index));
    }
    const struct number *number = lua_touserdata(L, index);
    put(L, out, number->text, number->size);
}

static lua_Integer count_members(lua_State *L, int object)
{
    lua_Integer count = 0;
    lua_pushnil(L);
    while (lua_next(L, object) != 0) {
        lua_pop(L, 1);
        count++;
    }
    return count;
}

static void encode_array(lua_State *L, int index, struct lua_buffer *out, uint32_t depth)
{
    lua_Integer count = (lua_Integer)lua_rawlen(L, index);
    if (count_members(L, index) > count) {
        luaL_error(L, "json: an array with other keys than 1 to %I", (LUAI_UACINT)count);
    }
    put(L, out, "[", 1);
    for (lua_Integer i = 1; i <= count; i++) {
        if (i > 1) {
            put(L, out, ",", 1);
        }
        if (lua_rawgeti(L, index, i) == LUA_TNIL) {
            luaL_error(L, "json: an array with nothing at %I (use json.null)", (LUAI_UACINT)i);
        }
        lua_json_encode(L, -1, out, depth + 1);
        lua_pop(L, 1);
    }
    put(L, out, "]", 1);
}

static bool is_before(const struct sluice_text *a, const struct sluice_text *b)
{
    size_t size = a->size < b->size ? a->size : b->size;
    int order = memcmp(a->data, b->data, size);
    return order != 0 ? order < 0 : a->size < b->size;
}

/* Moves the text at `root` down to its place in a heap of `count`, greatest on top. */
static void sift_down(struct sluice_text *texts, size_t root, size_t count)
{
    struct sluice_text moving = texts[root];
    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        child += child + 1 < count && is_before(&texts[child], &texts[child + 1]);
        if (!is_before(&moving, &texts[child])) {
            break;
        }
        texts[root] = texts[child];
    }
    texts[root] = moving;
}

/* Heap sort: in place, where qsort would allocate outside the cap and ask the system for its size.
 */
static void sort_texts(struct sluice_text *texts, size_t count)
{
    for (size_t i = count / 2; i > 0; i--) {
        sift_down(texts, i - 1, count);
    }
    for (size_t last = count; last > 1; last--) {
        struct sluice_text greatest = texts[0];
        texts[0] = texts[last - 1];
        texts[last - 1] = greatest;
        sift_down(texts, 0, last - 1);
    }
}

/* Pushes the keys of `object` that are not in the set at `known` (0: none), sorted, as a list. */
static void push_sorted_keys(lua_State *L, int object, int known)
{
    lua_newtable(L); /* anchors the keys */
    int list = lua_gettop(L);
    lua_Integer count = 0;
    lua_pushnil(L);
    while (lua_next(L, object) != 0) {
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TLIGHTUSERDATA && lua_touserdata(L, -1) == &order_key) {
            continue;
        }
        if (lua_type(L, -1) != LUA_TSTRING) {
            luaL_error(L, "json: the key of an object is a %s", luaL_typename(L, -1));
        }
        if (known != 0) {
            lua_pushvalue(L, -1);
            bool is_known = lua_rawget(L, known) != LUA_TNIL;
            lua_pop(L, 1);
            if (is_known) {
                continue;
            }
        }
        lua_pushvalue(L, -1);
        lua_rawseti(L, list, ++count);
    }
    struct sluice_text *texts = lua_newuserdatauv(L, ((size_t)count + 1) * sizeof(*texts), 0);
    for (lua_Integer i = 0; i < count; i++) {
        lua_rawgeti(L, list, i + 1);
        size_t size;
        texts[i].data = lua_tolstring(L, -1, &size);
        texts[i].size = size;
        lua_pop(L, 1);
    }
    sort_texts(texts, (size_t)count);
    lua_createtable(L, (int)(count < 1 << 20 ? count : 0), 0);
    for (lua_Integer i = 0; i < count; i++) {
        lua_pushlstring(L, texts[i].data, (size_t)texts[i].size);
        lua_rawseti(L, -2, i + 1);
    }
    lua_replace(L, list);
    lua_pop(L, 1);
}

/* Pushes the list of an object's keys in order: first as decoded, then the new ones. */
static void push_keys(lua_State *L, int object)
{
    if (lua_rawgetp(L, object, &order_key) != LUA_TTABLE) {
        lua_pop(L, 1);
        push_sorted_keys(L, object, 0);
        return;
    }
    int order = lua_gettop(L);
    lua_Integer length = (lua_Integer)lua_rawlen(L, order);
    lua_newtable(L);
    int list = order + 1;
    lua_newtable(L); /* the set of known keys */
    int known = order + 2;
    lua_Integer count = 0;
    for (lua_Integer i = 1; i <= length; i++) {
        if (lua_rawgeti(L, order, i) == LUA_TSTRING) {
            lua_pushvalue(L, -1);
            lua_pushboolean(L, 1);
            lua_rawset(L, known);
            lua_pushvalue(L, -1);
            if (lua_rawget(L, object) != LUA_TNIL) {
                lua_pushvalue(L, -2);
                lua_rawseti(L, list, ++count);
            }
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
    }
    if (count_members(L, object) != count + 1) { /* one is the order itself */
        push_sorted_keys(L, object, known);
        lua_Integer fresh = (lua_Integer)lua_rawlen(L, -1);
        for (lua_Integer i = 1; i <= fresh; i++) {
            lua_rawgeti(L, -1, i);
            lua_rawseti(L, list, ++count);
        }
    }
    lua_settop(L, list);
    lua_replace(L, order);
}

static void encode_object(lua_State *L, int index, struct lua_buffer *out, uint32_t depth)
{
    push_keys(L, index);
    int keys = lua_gettop(L);
    lua_Integer count = (lua_Integer)lua_rawlen(L, keys);
    put(L, out, "{", 1);
    for (lua_Integer i = 1; i <= count; i++) {
        if (i > 1) {
            put(L, out, ",", 1);
        }
        lua_rawgeti(L, keys, i);
        size_t size;
        const char *key = lua_tolstring(L, -1, &size);
        lua_json_encode_string(L, key, size, out);
        put(L, out, ":", 1);
        lua_rawget(L, index);
        lua_json_encode(L, -1, out, depth + 1);
        lua_pop(L, 1);
    }
    put(L, out, "}", 1);
    lua_pop(L, 1);
}

/* A plain table is an array when it has elements from 1 on and nothing else; {} is an object. */
static bool is_plain_array(lua_State *L, int index)
{
    lua_Integer length = (lua_Integer)lua_rawlen(L, index);
    return length > 0 && count_members(L, index) == length;
}

static void encode_table(lua_State *L, int index, struct lua_buffer *out, uint32_t depth)
{
    const struct lua_refs *refs = &lua_instance_of(L)->refs;
    if (depth >= JSON_DEPTH_MAX) {
        luaL_error(L, "json: nested too deeply, or a table within itself");
    }
    luaL_checkstack(L, 16, "json");
    if (has_metatable(L, index, refs->array_meta)) {
        encode_array(L, index, out, depth);
    } else if (has_metatable(L, index, refs->object_meta) || !is_plain_array(L, index)) {
        encode_object(L, index, out, depth);
    } else {
        encode_array(L, index, out, depth);
    }
}

void lua_json_encode(lua_State *L, int index, struct lua_buffer *out, uint32_t depth)
{
    int at = lua_absindex(L, index);
    size_t size;
    const char *text;
    switch (lua_type(L, at)) {
    case LUA_TSTRING:
        text = lua_tolstring(L, at, &size);
        lua_json_encode_string(L, text, size, out);
        return;
    case LUA_TNUMBER:
        encode_number(L, at, out);
        return;
    case LUA_TBOOLEAN:
        text = lua_toboolean(L, at) ? "true" : "false";
        put(L, out, text, strlen(text));
        return;
    case LUA_TTABLE:
        encode_table(L, at, out, depth);
        return;
    case LUA_TUSERDATA:
        encode_userdata(L, at, out);
        return;
    case LUA_TLIGHTUSERDATA:
        put(L, out, "null", 4);
        return;
    default:
        luaL_error(L, "json: cannot encode a %s", luaL_typename(L, at));
    }
}

/* ---- the library ---- */

static int json_decode(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    lua_json_decode(L, (const uint8_t *)text, size);
    return 1;
}

static int json_encode(lua_State *L)
{
    luaL_checkany(L, 1);
    struct lua_buffer *scratch = &lua_instance_of(L)->scratch;
    scratch->size = 0;
    lua_json_encode(L, 1, scratch, 0);
    lua_pushlstring(L, (const char *)scratch->data, scratch->size);
    return 1;
}

static int mark_table(lua_State *L, int ref)
{
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_newtable(L);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    mark(L, ref);
    return 1;
}

static int json_array(lua_State *L)
{
    return mark_table(L, lua_instance_of(L)->refs.array_meta);
}

static int json_object(lua_State *L)
{
    return mark_table(L, lua_instance_of(L)->refs.object_meta);
}

/* ---- metatables ---- */

static int object_next(lua_State *L)
{
    lua_Integer i = lua_tointeger(L, lua_upvalueindex(3));
    for (;;) {
        i++;
        if (lua_rawgeti(L, lua_upvalueindex(2), i) == LUA_TNIL) {
            return 1;
        }
        lua_pushvalue(L, -1);
        if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) {
            lua_pushinteger(L, i);
            lua_replace(L, lua_upvalueindex(3));
            return 2;
        }
        lua_pop(L, 2); /* removed during the walk */
    }
}

static int object_pairs(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    push_keys(L, 1);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, object_next, 3);
    return 1;
}

static const struct number *check_number(lua_State *L, int index)
{
    return lua_type(L, index) == LUA_TUSERDATA &&
                   has_metatable(L, index, lua_instance_of(L)->refs.number_meta)
               ? lua_touserdata(L, index)
               : NULL;
}

static int number_tostring(lua_State *L)
{
    const struct number *number = check_number(L, 1);
    if (number == NULL) {
        luaL_typeerror(L, 1, "json.number");
        __builtin_unreachable(); /* it raises */
    }
    lua_pushlstring(L, number->text, number->size);
    return 1;
}

/* Replaces the operand at index, if it is a json.number, by the float next to it. */
static void to_float(lua_State *L, int index)
{
    const struct number *number = check_number(L, index);
    if (number != NULL) {
        lua_pushlstring(L, number->text, number->size);
        lua_pushnumber(L, strtod(lua_tostring(L, -1), NULL));
        lua_replace(L, index);
        lua_pop(L, 1);
    }
}

/* An arithmetic or comparison metamethod; upvalue 1: the LUA_OP… code. */
static int number_arithmetic(lua_State *L)
{
    lua_settop(L, 2);
    to_float(L, 1);
    to_float(L, 2);
    luaL_argexpected(L, lua_isnumber(L, 1), 1, "number");
    luaL_argexpected(L, lua_isnumber(L, 2), 2, "number");
    lua_arith(L, (int)lua_tointeger(L, lua_upvalueindex(1)));
    return 1;
}

static int number_compare(lua_State *L)
{
    lua_settop(L, 2);
    to_float(L, 1);
    to_float(L, 2);
    lua_pushboolean(L, lua_compare(L, 1, 2, (int)lua_tointeger(L, lua_upvalueindex(1))));
    return 1;
}

/* Two are equal when their digits are. */
static int number_equal(lua_State *L)
{
    const struct number *a = check_number(L, 1);
    const struct number *b = check_number(L, 2);
    lua_pushboolean(L, a != NULL && b != NULL && a->size == b->size &&
                           memcmp(a->text, b->text, a->size) == 0);
    return 1;
}

static void add_operators(lua_State *L)
{
    static const struct {
        const char *name;
        int operation;
        lua_CFunction function;
    } operators[] = {
        {"__add", LUA_OPADD, number_arithmetic}, {"__sub", LUA_OPSUB, number_arithmetic},
        {"__mul", LUA_OPMUL, number_arithmetic}, {"__div", LUA_OPDIV, number_arithmetic},
        {"__mod", LUA_OPMOD, number_arithmetic}, {"__pow", LUA_OPPOW, number_arithmetic},
        {"__lt", LUA_OPLT, number_compare},      {"__le", LUA_OPLE, number_compare},
    };
    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
        lua_pushinteger(L, operators[i].operation);
        lua_pushcclosure(L, operators[i].function, 1);
        lua_setfield(L, -2, operators[i].name);
    }
}

/* Takes the table on top as a metatable that scripts neither see nor change; its reference. */
static int keep_metatable(lua_State *L, const char *name)
{
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    return luaL_ref(L, LUA_REGISTRYINDEX);
}

static int null_tostring(lua_State *L)
{
    lua_pushliteral(L, "null");
    return 1;
}

static void open_metatables(lua_State *L)
{
    static const struct luaL_Reg object_functions[] = {{"__pairs", object_pairs}, {NULL, NULL}};
    static const struct luaL_Reg number_functions[] = {
        {"__tostring", number_tostring}, {"__eq", number_equal}, {NULL, NULL}};
    static const struct luaL_Reg null_functions[] = {{"__tostring", null_tostring}, {NULL, NULL}};
    struct lua_refs *refs = &lua_instance_of(L)->refs;
    luaL_newlib(L, object_functions);
    refs->object_meta = keep_metatable(L, "json.object");
    lua_newtable(L);
    refs->array_meta = keep_metatable(L, "json.array");
    luaL_newlib(L, number_functions);
    add_operators(L);
    refs->number_meta = keep_metatable(L, "json.number");

    lua_pushlightuserdata(L, (void *)&null_value);
    luaL_newlib(L, null_functions);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

void lua_json_open(lua_State *L)
{
    static const struct luaL_Reg functions[] = {{"decode", json_decode},
                                                {"encode", json_encode},
                                                {"array", json_array},
                                                {"object", json_object},
                                                {NULL, NULL}};
    open_metatables(L);
    luaL_newlib(L, functions);
    lua_pushlightuserdata(L, (void *)&null_value);
    lua_setfield(L, -2, "null");
    lua_sandbox_freeze(L, "json");
    lua_setglobal(L, "json");
}
