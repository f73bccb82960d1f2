/* due_heap.c: see due_heap.h. */
#include "deliver/due_heap.h"

void due_heap_fini(struct due_heap *heap)
{
    sl_free(heap->nodes);
    *heap = (struct due_heap){0};
}

static void put(struct due_heap *heap, struct due_node *node, uint32_t index)
{
    heap->nodes[index] = node;
    node->index = index;
}

static bool is_before(const struct due_node *a, const struct due_node *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

static void sift_up(struct due_heap *heap, struct due_node *node)
{
    uint32_t index = node->index;
    while (index > 0 && is_before(node, heap->nodes[(index - 1) / 2])) {
        put(heap, heap->nodes[(index - 1) / 2], index);
        index = (index - 1) / 2;
    }
    put(heap, node, index);
}

static void sift_down(struct due_heap *heap, struct due_node *node)
{
    uint32_t index = node->index;
    for (;;) {
        uint32_t child = index * 2 + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && is_before(heap->nodes[child + 1], heap->nodes[child]))
            child++;
        if (!is_before(heap->nodes[child], node))
            break;
        put(heap, heap->nodes[child], index);
        index = child;
    }
    put(heap, node, index);
}

sl_err due_heap_add(struct due_heap *heap, struct due_node *node)
{
    if (heap->count == heap->capacity) {
        uint32_t capacity = SL_MAX(16u, heap->capacity * 2);
        struct due_node **nodes = sl_realloc(heap->nodes, capacity * sizeof *nodes);
        if (nodes == NULL)
            return SLUICE_E_NO_MEMORY;
        heap->nodes = nodes;
        heap->capacity = capacity;
    }
    node->due_ms = DUE_NEVER;
    put(heap, node, heap->count++);
    return SLUICE_OK;
}

void due_heap_remove(struct due_heap *heap, struct due_node *node)
{
    uint32_t index = node->index;
    SL_ASSERT(index < heap->count && heap->nodes[index] == node);
    struct due_node *moved = heap->nodes[--heap->count];
    if (moved == node)
        return;
    put(heap, moved, index);
    sift_up(heap, moved);
    sift_down(heap, moved);
}

void due_heap_move(struct due_heap *heap, struct due_node *node, int64_t due_ms)
{
    node->due_ms = due_ms;
    sift_up(heap, node);
    sift_down(heap, node);
}

void due_heap_by(struct due_heap *heap, struct due_node *node, int64_t due_ms)
{
    if (due_ms < node->due_ms)
        due_heap_move(heap, node, due_ms);
}

int64_t due_heap_next_ms(const struct due_heap *heap)
{
    return heap->count == 0 ? DUE_NEVER : heap->nodes[0]->due_ms;
}
