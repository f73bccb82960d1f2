/* extent_table.h: the extents of a shard by id: a tree of nodes with 256 slots, a byte of the id
 * for each of 8 levels.
 *
 * Ids rise, so that neighbours share nodes: 8 bytes an extent where they are dense. What matters:
 * no slot and no node ever moves, and a path stays while its extent is in the table. So a helper
 * may look up an extent that is pinned while the loop adds and removes others: it reads only slots
 * that were written before the pin. Order of ids comes with it. */
#ifndef SL_EXTENT_EXTENT_TABLE_H
#define SL_EXTENT_EXTENT_TABLE_H

#include "base/base.h"

#define EXTENT_TABLE_LEVELS 8u

struct extent_node {
    uint32_t used;   /* slots that are not NULL */
    void *slot[256]; /* nodes, in the last level entries; a spare: slot[0] is the next spare */
};

struct extent_table {
    struct extent_node *root; /* NULL until the first reservation */
    struct extent_node *spares;
    uint32_t spare_count;
};

void extent_table_init(struct extent_table *table);
/* Frees the nodes; the entries are the caller's and must be out. */
void extent_table_fini(struct extent_table *table);
/* So many inserts cannot fail. E_NO_MEMORY. [loop] */
sl_err extent_table_reserve(struct extent_table *table, uint32_t count) SL_MUST_CHECK;
/* The id is not in the table, room is reserved. [loop] */
void extent_table_insert(struct extent_table *table, uint64_t id, void *entry);
/* The id is in the table. [loop] */
void extent_table_remove(struct extent_table *table, uint64_t id);
/* The entry or NULL. [loop; any thread for an id that is in the table from before to after] */
void *extent_table_find(const struct extent_table *table, uint64_t id);
/* The entry with the lowest id that is at least id, or NULL. [loop] */
void *extent_table_from(const struct extent_table *table, uint64_t id);

#endif
