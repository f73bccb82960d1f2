/* lua_json_keys: in which order the keys of an object are written and walked; see lua_json_types.h.
 */
#include "lua_json_types.h"

#include <lauxlib.h>
#include <sluice/types.h>
#include <string.h>

lua_Integer lua_json_count_members(lua_State *L, int object)
{
    lua_Integer count = 0;
    lua_pushnil(L);
    while (lua_next(L, object) != 0) {
        lua_pop(L, 1);
        count++;
    }
    return count;
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
        if (lua_type(L, -1) == LUA_TLIGHTUSERDATA && lua_touserdata(L, -1) == &lua_json_order_key) {
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
void lua_json_push_keys(lua_State *L, int object)
{
    if (lua_rawgetp(L, object, &lua_json_order_key) != LUA_TTABLE) {
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
    if (lua_json_count_members(L, object) != count + 1) { /* one is the order itself */
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
