/* extent_table.c: see extent_table.h. */
#include "extent/extent_table.h"

/* The root serves the first level; an insert needs at most the levels below. */
#define NODES_PER_INSERT (EXTENT_TABLE_LEVELS - 1)

void extent_table_init(struct extent_table *table)
{
    *table = (struct extent_table){.root = NULL};
}

void extent_table_fini(struct extent_table *table)
{
    SL_ASSERT(table->root == NULL || table->root->used == 0);
    while (table->spares != NULL) {
        struct extent_node *next = table->spares->slot[0];
        sl_free(table->spares);
        table->spares = next;
    }
    sl_free(table->root);
    extent_table_init(table);
}

static uint32_t slot_of(uint64_t id, uint32_t level)
{
    return (id >> (8 * (EXTENT_TABLE_LEVELS - 1 - level))) & 255;
}

static void spare_put(struct extent_table *table, struct extent_node *node)
{
    node->slot[0] = table->spares;
    table->spares = node;
    table->spare_count++;
}

static struct extent_node *spare_take(struct extent_table *table)
{
    struct extent_node *node = table->spares;
    SL_ASSERT(node != NULL);
    table->spares = node->slot[0];
    table->spare_count--;
    node->slot[0] = NULL;
    return node;
}

sl_err extent_table_reserve(struct extent_table *table, uint32_t count)
{
    if (table->root == NULL)
        table->root = sl_alloc_zero(1, sizeof *table->root);
    if (table->root == NULL)
        return SLUICE_E_NO_MEMORY;
    while (table->spare_count < (uint64_t)count * NODES_PER_INSERT) {
        struct extent_node *node = sl_alloc_zero(1, sizeof *node);
        if (node == NULL)
            return SLUICE_E_NO_MEMORY;
        spare_put(table, node);
    }
    return SLUICE_OK;
}

void extent_table_insert(struct extent_table *table, uint64_t id, void *entry)
{
    struct extent_node *node = table->root;
    for (uint32_t level = 0; level + 1 < EXTENT_TABLE_LEVELS; level++) {
        void **slot = &node->slot[slot_of(id, level)];
        if (*slot == NULL) {
            *slot = spare_take(table);
            node->used++;
        }
        node = *slot;
    }
    void **slot = &node->slot[slot_of(id, EXTENT_TABLE_LEVELS - 1)];
    SL_ASSERT(*slot == NULL && entry != NULL);
    *slot = entry;
    node->used++;
}

void extent_table_remove(struct extent_table *table, uint64_t id)
{
    struct extent_node *path[EXTENT_TABLE_LEVELS];
    path[0] = table->root;
    for (uint32_t level = 0; level + 1 < EXTENT_TABLE_LEVELS; level++)
        path[level + 1] = path[level]->slot[slot_of(id, level)];
    for (uint32_t level = EXTENT_TABLE_LEVELS; level-- > 0;) {
        void **slot = &path[level]->slot[slot_of(id, level)];
        SL_ASSERT(*slot != NULL);
        *slot = NULL;
        if (--path[level]->used > 0 || level == 0)
            return;
        spare_put(table, path[level]);
    }
}

void *extent_table_find(const struct extent_table *table, uint64_t id)
{
    const struct extent_node *node = table->root;
    for (uint32_t level = 0; level + 1 < EXTENT_TABLE_LEVELS && node != NULL; level++)
        node = node->slot[slot_of(id, level)];
    return node == NULL ? NULL : node->slot[slot_of(id, EXTENT_TABLE_LEVELS - 1)];
}

/* The first entry below `node` with an id of at least `id`; bounded: as deep as the levels. */
static void *from_below(const struct extent_node *node, uint64_t id, uint32_t level)
{
    bool is_leaf = level == EXTENT_TABLE_LEVELS - 1;
    for (uint32_t i = slot_of(id, level); i < 256; i++) {
        void *found = node->slot[i];
        if (found != NULL && !is_leaf) /* in a later slot every id is above: begin at its 0 */
            found = from_below(found, i == slot_of(id, level) ? id : 0, level + 1);
        if (found != NULL)
            return found;
    }
    return NULL;
}

void *extent_table_from(const struct extent_table *table, uint64_t id)
{
    return table->root == NULL ? NULL : from_below(table->root, id, 0);
}
