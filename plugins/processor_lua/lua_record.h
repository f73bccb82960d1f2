/* lua_record: a record as a script sees it.
 *
 * One userdata stands for the input record and is pointed at the next one; nothing is made per
 * record until the script asks for a field. Copies (record:copy(), emit) own their bytes. The views
 * in the struct are always those that an output would carry: into the input batch, into a buffer of
 * the instance, or into a Lua string or block that the userdata's user values hold.
 *
 * Everything that takes a lua_State may raise, except where said. [process] */
#ifndef LUA_RECORD_H
#define LUA_RECORD_H

#include <lua.h>
#include <sluice/sluice.h>

struct lua_instance;

/* User values of a record. */
#define LUA_RECORD_VALUE        1 /* string of the value, when value_cached */
#define LUA_RECORD_KEY          2 /* string of the key, when key_cached */
#define LUA_RECORD_HEADERS      3 /* block with the headers, when headers_owned */
#define LUA_RECORD_HEADERS_VIEW 4 /* the userdata record.headers */
#define LUA_RECORD_TOPIC        5 /* of a copy: string */
#define LUA_RECORD_OUT_TOPIC    6 /* of an emitted copy: string */
#define LUA_RECORD_USER_VALUES  6

#define LUA_RECORD_MAGIC 0x4352554cu
#define LUA_HEADERS_MAX  1024u  /* of one record, once a script changes them */
#define LUA_PENDING_MAX  10000u /* records emitted for one input record */

struct lua_record {
    uint32_t magic;
    int32_t partition;
    bool is_input; /* the reused one */
    bool is_live;  /* the input's: only while process runs */
    bool changed;
    bool value_cached;
    bool key_cached;
    int64_t offset;
    int64_t timestamp;
    struct sluice_bytes key;
    struct sluice_bytes value;
    const struct sluice_header *headers;
    uint32_t header_count;
    struct sluice_text topic;
    struct sluice_text out_topic; /* empty: the instance's output */
};

/* Makes the metatables, the input record, emit and reject. */
void lua_record_open(lua_State *L);

/* Points the input record at a record of a batch. Does not raise. */
void lua_record_set(struct lua_record *record, const struct sluice_record *in,
                    const struct sluice_batch *batch);
/* Makes it unusable until the next. Does not raise. */
void lua_record_clear(struct lua_record *record);

/* The record at a stack index, or NULL. Does not raise. */
struct lua_record *lua_record_at(lua_State *L, int index);
/* The same, but raises when it is none or when it is not usable now. */
struct lua_record *lua_record_check(lua_State *L, int index);

/* Pushes a copy of the record at the stack index. */
struct lua_record *lua_record_push_copy(lua_State *L, int index);

/* What reject(reason) throws: the reason is in instance->reason. */
bool lua_record_is_reject(lua_State *L, int index);

/* The headers of a record. (lua_headers.c) */
void lua_headers_open(lua_State *L);
void lua_headers_push_view(lua_State *L, int record_index);
/* Gives `to` (a record at to_index) a block of its own with the headers of `from`. */
void lua_headers_copy(lua_State *L, const struct lua_record *from, struct lua_record *to,
                      int to_index);

/* json_get and json_set of a record. (lua_record_json.c) */
int lua_record_json_get(lua_State *L);
int lua_record_json_set(lua_State *L);

#endif
