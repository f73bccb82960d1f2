/* Settings by name and key: their items, their order, levels of features. */
#include "catalog/feature.h"

#include <criterion/criterion.h>

static struct setting_store store;

static void set(uint8_t kind, const char *name, const char *key, const char *value)
{
    struct setting setting = {.kind = kind,
                              .revision = store.revision + 1,
                              .name = sl_bytes_of_text(name),
                              .key = sl_bytes_of_text(key)};
    struct sl_bytes payload;
    if (value != NULL) {
        setting.value = sl_bytes_of_text(value);
    }
    cr_assert_eq(setting_item_encode(&setting, &payload), SLUICE_OK);
    cr_assert_eq(setting_store_apply(&store, SETTING_ITEM_VERSION, payload), SLUICE_OK);
    sl_free((void *)(uintptr_t)payload.data);
}

static bool is(uint8_t kind, const char *name, const char *key, const char *value)
{
    const struct setting *found =
        setting_store_find(&store, kind, sl_bytes_of_text(name), sl_bytes_of_text(key));
    return found == NULL ? value == NULL
                         : value != NULL && sl_bytes_equal(found->value, sl_bytes_of_text(value));
}

static void fini(void)
{
    setting_store_fini(&store);
}

TestSuite(setting_store, .fini = fini);

Test(setting_store, the_last_value_of_a_key_counts_until_it_is_gone)
{
    set(SETTING_GROUP, "g", "a", "1");
    set(SETTING_GROUP, "g", "b", "");
    set(SETTING_CLIENT_METRICS, "g", "a", "2");
    set(SETTING_GROUP, "g", "a", "3");
    cr_assert(is(SETTING_GROUP, "g", "a", "3") && is(SETTING_GROUP, "g", "b", ""));
    cr_assert(is(SETTING_CLIENT_METRICS, "g", "a", "2"));
    set(SETTING_GROUP, "g", "a", NULL);
    set(SETTING_GROUP, "g", "a", NULL);
    cr_assert(is(SETTING_GROUP, "g", "a", NULL));
    cr_assert_eq(store.count, 2);
    cr_assert_eq(store.revision, 6);
}

Test(setting_store, settings_of_a_name_stand_together)
{
    const char *names[] = {"b", "ab", "a", "abc"};
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        set(SETTING_GROUP, names[i], "y", "1");
        set(SETTING_GROUP, names[i], "x", "1");
    }
    uint32_t at = setting_store_first(&store, SETTING_GROUP, sl_bytes_of_text("ab"));
    cr_assert_eq(at, 2);
    cr_assert(sl_bytes_equal(store.entries[at]->key, sl_bytes_of_text("x")));
    cr_assert(sl_bytes_equal(store.entries[at + 1]->key, sl_bytes_of_text("y")));
    cr_assert_eq(setting_store_first(&store, SETTING_GROUP, sl_bytes_of_text("zz")), 8);
}

Test(setting_store, refuses_what_is_cut_or_newer)
{
    const struct setting setting = {.kind = SETTING_GROUP,
                                    .name = sl_bytes_of_text("g"),
                                    .key = sl_bytes_of_text("k"),
                                    .value = sl_bytes_of_text("v")};
    struct sl_bytes payload;
    cr_assert_eq(setting_item_encode(&setting, &payload), SLUICE_OK);
    uint8_t *bytes = (uint8_t *)(uintptr_t)payload.data;
    for (size_t size = 0; size < payload.size; size++) {
        cr_assert_eq(setting_store_apply(&store, 1, (struct sl_bytes){bytes, size}),
                     SLUICE_E_CORRUPT);
    }
    cr_assert_eq(setting_store_apply(&store, 2, payload), SLUICE_E_NEWER_FORMAT);
    bytes[0] = 99;
    cr_assert_eq(setting_store_apply(&store, 1, payload), SLUICE_E_NEWER_FORMAT);
    bytes[0] = SETTING_GROUP;
    bytes[1] = 2;
    cr_assert_eq(setting_store_apply(&store, 1, payload), SLUICE_E_NEWER_FORMAT);
    cr_assert_eq(store.count, 0);
    sl_free(bytes);
}

Test(setting_store, levels_of_features_are_those_that_were_set_within_what_can_be)
{
    const struct feature *feature = feature_find(sl_bytes_of_text("transaction.version"));
    uint32_t index = (uint32_t)(feature - feature_table);
    cr_assert_eq(feature_level(&store, feature), 2);
    cr_assert_eq(feature_word_epoch(feature_word(&store)), 1);
    set(SETTING_FEATURE, feature->name, FEATURE_KEY, "1");
    cr_assert_eq(feature_word_level(feature_word(&store), index), 1);
    cr_assert_eq(feature_word_epoch(feature_word(&store)), 2);
    set(SETTING_GROUP, "g", "k", "v");
    set(SETTING_FEATURE, feature->name, FEATURE_KEY, "99");
    cr_assert_eq(feature_level(&store, feature), feature->max);
    cr_assert_eq(feature_word_epoch(feature_word(&store)), 4);
    cr_assert_null(feature_find(sl_bytes_of_text("transaction")));
}
