/* json_find: where the value at a path lies in JSON text, and where a new one would go.
 *
 * In: bytes that nobody has looked at yet. Out: positions in those bytes; the caller splices. The
 * whole text is read even when the path is found early, so that nothing broken is passed on as
 * whole. A key that is addressed by the path and occurs twice in its object is a fault: consumers
 * disagree on which one counts, and masking one of two would leak the other.
 *
 * Pure: no allocation, no state, no Lua. Any thread. */
#ifndef JSON_FIND_H
#define JSON_FIND_H

#include "json_scan.h"

#define JSON_STEPS_MAX     32u
#define JSON_KEY_BYTES_MAX 256u /* of one key in a path */

/* ---- paths: a.b[0].c, ["a key with a dot"].d ---- */

struct json_step {
    const char *key; /* NULL: an index */
    size_t key_size;
    uint64_t index;
};
struct json_path {
    uint32_t count;
    struct json_step steps[JSON_STEPS_MAX];
};
/* Steps borrow from text. The empty text is the whole value. */
bool json_path_parse(const char *text, size_t size, struct json_path *ret,
                     struct json_fault *ret_fault);

/* Where a path leads. Positions are byte offsets in the text. */
struct json_place {
    uint32_t matched;   /* steps that exist */
    bool mismatch;      /* the step after them does not fit the type of what is there */
    size_t value_begin; /* of the value at the last matched step */
    size_t value_end;
    size_t member_begin; /* of its key, for the last matched step; of itself in an array */
    size_t before_end;   /* end of the value before it, or just behind the opening bracket */
    size_t next_begin;   /* begin of the member behind it, 0: it is the last */
    bool is_first;
    uint64_t child_count; /* members or elements of it, when it is a container that lacks the next
                             step */
    size_t append_at; /* where one more child goes: behind the last one, or behind the bracket */
};
/* False: the text is not JSON, or addresses a key that occurs twice; ret_fault says where. */
bool json_find(const uint8_t *text, size_t size, const struct json_path *path,
               struct json_place *ret, struct json_fault *ret_fault);

#endif
