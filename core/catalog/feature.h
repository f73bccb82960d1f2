/* feature.h: the features of the cluster (KIP-584): what this broker can do, and what of it is in
 * force, which is a SETTING of kind FEATURE (setting_store.h). [any] */
#ifndef SL_CATALOG_FEATURE_H
#define SL_CATALOG_FEATURE_H

#include "catalog/setting_store.h"

#define FEATURE_COUNT_MAX 8u /* as many fit into a word beside its epoch */
#define FEATURE_LEVEL_MAX 15
#define FEATURE_KEY       "level"
#define FEATURE_SHARE     "share.version"
#define FEATURE_GROUP     "group.version"
#define FEATURE_STREAMS   "streams.version"

struct feature {
    const char *name;
    int16_t min, max; /* levels that this broker can have in force */
    int16_t initial;  /* in force where nobody set it */
};

extern const struct feature feature_table[]; /* by rising name */
extern const uint32_t feature_count;

/* NULL: not known here. */
const struct feature *feature_find(struct sl_bytes name);
/* The level in force. A level that this broker cannot have counts as the nearest one it can. */
int16_t feature_level(const struct setting_store *store, const struct feature *feature);

/* All levels and the revision of the last change, in one word that loops share. */
uint64_t feature_word(const struct setting_store *store);
static inline int16_t feature_word_level(uint64_t word, uint32_t index)
{
    return (int16_t)(word >> (32 + 4 * index) & 15);
}
/* Rises with each change; 1 where there was none. */
static inline int64_t feature_word_epoch(uint64_t word)
{
    return 1 + (int64_t)(word & UINT32_MAX);
}

#endif
