/* fuzz_json.c: the JSON of processor_lua on bytes that nobody has looked at.
 *
 * Input: a path, a zero byte, a text. Checked: scanner and decoder agree on what is JSON (the
 * decoder also refuses half surrogates and keys that occur twice); what decodes encodes to text
 * that decodes and encodes to the same bytes; where a path leads, the value there is JSON by
 * itself, and putting another value in its place leaves JSON in which the path leads to that value.
 */
#include "json_find.h"
#include "lua_instance.h"
#include "lua_json.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)    \
    do {                    \
        if (!(condition)) { \
            abort();        \
        }                   \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct lua_instance instance;

/* Protected: argument 1 is a struct sluice_bytes. Returns the encoded text of the decoded value. */
static int recode(lua_State *L)
{
    const struct sluice_bytes *text = lua_touserdata(L, 1);
    lua_json_decode(L, text->data, (size_t)text->size);
    instance.scratch.size = 0;
    lua_json_encode(L, -1, &instance.scratch, 0);
    lua_pushlstring(L, (const char *)instance.scratch.data, instance.scratch.size);
    return 1;
}

static int open_json(lua_State *L)
{
    lua_json_open(L);
    return 0;
}

static void set_up(void)
{
    if (instance.L != NULL) {
        return;
    }
    instance.heap.limit = 256u << 20;
    instance.scratch.heap = &instance.heap;
    instance.L = lua_newstate(lua_heap_alloc, &instance.heap);
    CHECK(instance.L != NULL);
    *(struct lua_instance **)lua_getextraspace(instance.L) = &instance;
    lua_pushcfunction(instance.L, open_json);
    CHECK(lua_pcall(instance.L, 0, 0, 0) == LUA_OK);
}

/* Leaves the result or the error on the stack. */
static bool try_recode(const uint8_t *text, size_t size)
{
    const struct sluice_bytes bytes = {text, size};
    lua_pushcfunction(instance.L, recode);
    lua_pushlightuserdata(instance.L, (void *)&bytes);
    return lua_pcall(instance.L, 1, 1, 0) == LUA_OK;
}

static void check_round_trip(const uint8_t *text, size_t size)
{
    const struct json_path whole = {0};
    struct json_place place;
    struct json_fault fault = {NULL, 0};
    bool scans = json_find(text, size, &whole, &place, &fault);
    CHECK(scans || (fault.what != NULL && fault.at <= size));
    if (!try_recode(text, size)) {
        const char *error = lua_tostring(instance.L, -1);
        CHECK(!scans || strstr(error, "surrogate") != NULL || strstr(error, "twice") != NULL);
        return;
    }
    CHECK(scans);
    size_t first_size;
    const char *first = lua_tolstring(instance.L, -1, &first_size);
    CHECK(json_find((const uint8_t *)first, first_size, &whole, &place, &fault));
    CHECK(try_recode((const uint8_t *)first, first_size));
    size_t second_size;
    const char *second = lua_tolstring(instance.L, -1, &second_size);
    CHECK(first_size == second_size && memcmp(first, second, first_size) == 0);
}

static void check_path(const char *path_text, size_t path_size, const uint8_t *text, size_t size)
{
    static const char marker[] = "[\"marker\"]";
    struct json_path path;
    struct json_place place;
    struct json_fault fault;
    if (!json_path_parse(path_text, path_size, &path, &fault) ||
        !json_find(text, size, &path, &place, &fault)) {
        CHECK(fault.what != NULL);
        return;
    }
    if (place.mismatch || place.matched < path.count) {
        CHECK(place.mismatch || place.append_at <= size);
        return;
    }
    CHECK(place.value_begin < place.value_end && place.value_end <= size);
    const struct json_path whole = {0};
    struct json_place inner;
    CHECK(json_find(text + place.value_begin, place.value_end - place.value_begin, &whole, &inner,
                    &fault));
    size_t tail = size - place.value_end;
    size_t marker_size = sizeof(marker) - 1;
    uint8_t *changed = malloc(size + marker_size);
    CHECK(changed != NULL);
    memcpy(changed, text, place.value_begin);
    memcpy(changed + place.value_begin, marker, marker_size);
    memcpy(changed + place.value_begin + marker_size, text + place.value_end, tail);
    size_t changed_size = place.value_begin + marker_size + tail;
    /* The marker may be one level too deep; nothing else may be wrong with it. */
    bool found = json_find(changed, changed_size, &path, &inner, &fault);
    CHECK(found || strcmp(fault.what, "nested too deeply") == 0);
    CHECK(!found || (inner.value_begin == place.value_begin &&
                     inner.value_end == place.value_begin + marker_size));
    free(changed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    set_up();
    const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
    size_t path_size = zero != NULL ? (size_t)(zero - data) : 0;
    const uint8_t *text = zero != NULL ? zero + 1 : data;
    size_t text_size = size - (size_t)(zero != NULL ? path_size + 1 : 0);
    check_round_trip(text, text_size);
    check_path((const char *)data, path_size, text, text_size);
    lua_settop(instance.L, 0);
    return 0;
}
