/* feature.c: see feature.h. */
#include "catalog/feature.h"

/* A feature whose calls are served gets its row here, in the order of the names. */
const struct feature feature_table[] = {
    {FEATURE_GROUP, 0, 1, 1},         /* KIP-848 */
    {FEATURE_SHARE, 0, 1, 1},         /* KIP-932 */
    {FEATURE_STREAMS, 0, 1, 1},       /* KIP-1071 */
    {"transaction.version", 0, 2, 2}, /* KIP-890 */
};
const uint32_t feature_count = SL_COUNT_OF(feature_table);
_Static_assert(SL_COUNT_OF(feature_table) <= FEATURE_COUNT_MAX, "feature_word is too small");

const struct feature *feature_find(struct sl_bytes name)
{
    for (uint32_t i = 0; i < feature_count; i++) {
        if (sl_bytes_equal(name, sl_bytes_of_text(feature_table[i].name))) {
            return &feature_table[i];
        }
    }
    return NULL;
}

int16_t feature_level(const struct setting_store *store, const struct feature *feature)
{
    const struct setting *setting = setting_store_find(
        store, SETTING_FEATURE, sl_bytes_of_text(feature->name), sl_bytes_of_text(FEATURE_KEY));
    int32_t level = 0;
    if (setting == NULL) {
        return feature->initial;
    }
    for (size_t i = 0; i < setting->value.size && level <= FEATURE_LEVEL_MAX; i++) {
        level = level * 10 + (setting->value.data[i] - '0');
    }
    return (int16_t)SL_MAX(feature->min, SL_MIN(level, (int32_t)feature->max));
}

uint64_t feature_word(const struct setting_store *store)
{
    int64_t epoch = 0;
    uint64_t word = 0;
    for (uint32_t i = 0; i < store->count; i++) {
        if (store->entries[i]->kind == SETTING_FEATURE) {
            epoch = SL_MAX(epoch, store->entries[i]->revision);
        }
    }
    for (uint32_t i = 0; i < feature_count; i++) {
        word |= (uint64_t)feature_level(store, &feature_table[i]) << (32 + 4 * i);
    }
    return word | (uint64_t)SL_MIN(epoch, (int64_t)UINT32_MAX);
}
