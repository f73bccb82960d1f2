/* state_map.h: keys and values of one partition in a worker, with the changes of the running batch.
 *
 * Every change is logged with what was there before, so that it can be taken back: those of one
 * record when that is rejected, all of them when the batch fails or was not committed. The changes
 * of a batch as deltas name each key once. Pure memory; one thread. */
#ifndef SANDBOX_WORKER_STATE_MAP_H
#define SANDBOX_WORKER_STATE_MAP_H

#include <sandbox/state_delta.h>

#define STATE_ENTRY_BYTES 64u /* that an entry costs beside its key and value */

struct state_entry {
    struct state_entry *chain; /* in its bucket */
    uint64_t hash;
    uint32_t at; /* in the map's list */
    uint32_t key_size;
    uint32_t value_size;
    uint32_t index; /* of the record that changed it last, when changed */
    bool changed;   /* by the running batch */
    uint8_t *value; /* [owned]; NULL: removed */
    uint8_t key[];
};

/* Before a change. */
struct state_change {
    struct state_entry *entry;
    uint8_t *value; /* [owned]; NULL: there was none */
    uint32_t value_size;
    uint32_t index;        /* of the record */
    uint32_t index_before; /* entry->index */
    bool is_first;         /* of this key in the batch */
};

struct state_map {
    struct state_entry **entries; /* [owned] each and the list */
    uint32_t count;
    uint32_t capacity;
    struct state_entry **buckets; /* [owned] */
    uint32_t bucket_count;        /* a power of two, or 0 */
    uint64_t bytes;               /* of what is there, STATE_ENTRY_BYTES each counted */
    struct state_change *changes; /* [owned] oldest first */
    uint32_t change_count;
    uint32_t change_capacity;
    uint64_t delta_bytes; /* of the changes as deltas */
};

void state_map_clear(struct state_map *map); /* empty, all memory given back */
const struct state_entry *state_map_get(const struct state_map *map, struct sluice_bytes key);
/* The entry at *cursor or behind it, moved past it; NULL: none. */
const struct state_entry *state_map_next(const struct state_map *map, uint64_t *cursor);

/* Sets, or removes (value.data NULL), for record `index`, at least that of the last change.
 * SLUICE_E_LIMIT: it would grow beyond bytes_max; SLUICE_E_BUSY: the deltas would grow beyond
 * delta_bytes_max; SLUICE_E_NO_MEMORY. Nothing changed then. */
sluice_status state_map_change(struct state_map *map, uint32_t index, struct sluice_bytes key,
                               struct sluice_bytes value, uint64_t bytes_max,
                               uint64_t delta_bytes_max);
/* As it was committed: no log, no bound. */
sluice_status state_map_load(struct state_map *map, const struct state_delta *delta);

/* Takes back the changes of record `index`; and_after: and of those after it. False: it is not the
 * last one with changes, nothing is done. */
bool state_map_undo(struct state_map *map, uint32_t index, bool and_after);
void state_map_undo_all(struct state_map *map);
/* The changes stay for good: their log ends. */
void state_map_keep(struct state_map *map);
/* Writes the deltas, delta_bytes of them; returns how many. */
uint32_t state_map_deltas(const struct state_map *map, uint8_t *at);

#endif
