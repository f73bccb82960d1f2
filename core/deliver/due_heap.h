/* due_heap.h: a binary heap of things by the time at which they must be looked at.
 *
 * The owner embeds a due_node. A node's due_ms may be earlier than what it stands for, never later:
 * a heartbeat moves its deadline back without touching the heap; the look then finds nothing due
 * and puts it right with due_heap_move. One thread. */
#ifndef SL_DELIVER_DUE_HEAP_H
#define SL_DELIVER_DUE_HEAP_H

#include "base/base.h"

#define DUE_NEVER INT64_MAX

struct due_node {
    int64_t due_ms;
    int64_t order; /* among those of one time, the owner's; lower comes first */
    uint32_t index;
};

struct due_heap {
    struct due_node **nodes; /* owned */
    uint32_t count;
    uint32_t capacity;
};

void due_heap_fini(struct due_heap *heap);
/* With DUE_NEVER. E_NO_MEMORY. */
sl_err due_heap_add(struct due_heap *heap, struct due_node *node) SL_MUST_CHECK;
void due_heap_remove(struct due_heap *heap, struct due_node *node);
void due_heap_move(struct due_heap *heap, struct due_node *node, int64_t due_ms);
/* No later than that. */
void due_heap_by(struct due_heap *heap, struct due_node *node, int64_t due_ms);
int64_t due_heap_next_ms(const struct due_heap *heap); /* DUE_NEVER: nothing is there */

#endif
