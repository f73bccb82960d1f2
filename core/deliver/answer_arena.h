/* answer_arena.h: memory for one nested thing (an answer, a topology) that lives and goes as a
 * whole.
 *
 * Blocks are taken one behind the other out of chunks; nothing is given back before the end. The
 * arena may be moved (struct copy), what it gave stays where it is. One thread at a time. */
#ifndef SL_DELIVER_ANSWER_ARENA_H
#define SL_DELIVER_ANSWER_ARENA_H

#include "base/base.h"
#include "base/bytes.h"

#include <sluice/types.h>

struct answer_chunk;

struct answer_arena {
    struct answer_chunk *chunks; /* owned; the newest first */
    size_t size;                 /* bytes given so far */
};

void answer_arena_fini(struct answer_arena *arena);
/* Zeroed, aligned for anything; never NULL for a count of 0. NULL: no memory. */
void *answer_arena_take(struct answer_arena *arena, size_t count, size_t size) SL_MUST_CHECK;
/* A copy with a NUL behind it. data NULL stays NULL. E_NO_MEMORY. */
sl_err answer_arena_text(struct answer_arena *arena, struct sl_bytes text,
                         struct sluice_text *ret_text) SL_MUST_CHECK;

#endif
