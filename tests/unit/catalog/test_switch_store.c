/* test_switch_store.c: what is kept of switches of plugins, and what payloads are refused. */
#include "base/bytes.h"
#include "catalog/switch_store.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static sl_err put(struct switch_store *store, const char *name, uint32_t flags)
{
    struct plugin_switch is = {.time_ms = 7, .flags = flags, .who = "User:me"};
    uint8_t payload[SWITCH_ITEM_BYTES_MAX];
    snprintf(is.name, sizeof(is.name), "%s", name);
    size_t size = switch_item_encode(&is, payload);
    return switch_store_apply(store, SWITCH_ITEM_VERSION, sl_bytes_of(payload, size));
}

Test(switch_store, remembers_the_last_switch_of_each_name)
{
    struct switch_store store = {0};
    cr_expect_eq(put(&store, "a", SWITCH_DISABLED), SLUICE_OK);
    cr_expect_eq(put(&store, "b", SWITCH_PAUSED), SLUICE_OK);
    cr_expect_eq(put(&store, "a", SWITCH_DISABLED | SWITCH_PAUSED), SLUICE_OK);
    cr_expect_eq(store.count, 2);
    cr_expect_eq(switch_store_find(&store, "a")->flags, SWITCH_DISABLED | SWITCH_PAUSED);
    cr_expect_str_eq(switch_store_find(&store, "b")->who, "User:me");
    cr_expect_eq(switch_store_find(&store, "b")->time_ms, 7);
    switch_store_fini(&store);
}

Test(switch_store, forgets_a_name_of_which_nothing_is_switched)
{
    struct switch_store store = {0};
    cr_expect_eq(put(&store, "a", SWITCH_DISABLED), SLUICE_OK);
    cr_expect_eq(put(&store, "b", SWITCH_PAUSED), SLUICE_OK);
    cr_expect_eq(put(&store, "a", 0), SLUICE_OK);
    cr_expect_eq(put(&store, "c", 0), SLUICE_OK);
    cr_expect_null(switch_store_find(&store, "a"));
    cr_expect_not_null(switch_store_find(&store, "b"));
    cr_expect_eq(store.count, 1);
    switch_store_fini(&store);
}

Test(switch_store, refuses_a_payload_that_is_cut_or_says_what_it_does_not_know)
{
    struct switch_store store = {0};
    struct plugin_switch is = {.flags = SWITCH_PAUSED, .name = "a", .who = "w"};
    uint8_t payload[SWITCH_ITEM_BYTES_MAX];
    size_t size = switch_item_encode(&is, payload);
    for (size_t i = 0; i < size; i++) {
        cr_expect_eq(switch_store_apply(&store, SWITCH_ITEM_VERSION, sl_bytes_of(payload, i)),
                     SLUICE_E_CORRUPT);
    }
    cr_expect_eq(switch_store_apply(&store, 2, sl_bytes_of(payload, size)), SLUICE_E_NEWER_FORMAT);
    payload[8] = 32;
    cr_expect_eq(switch_store_apply(&store, SWITCH_ITEM_VERSION, sl_bytes_of(payload, size)),
                 SLUICE_E_NEWER_FORMAT);
    cr_expect_eq(store.count, 0);
    switch_store_fini(&store);
}

Test(switch_store, takes_no_more_than_its_bound)
{
    struct switch_store store = {0};
    char name[32];
    for (uint32_t i = 0; i < SWITCH_COUNT_MAX; i++) {
        snprintf(name, sizeof(name), "n%u", i);
        cr_assert_eq(put(&store, name, SWITCH_PAUSED), SLUICE_OK);
    }
    cr_expect_not(switch_store_takes(&store, "more"));
    cr_expect(switch_store_takes(&store, "n3"));
    cr_expect_eq(put(&store, "more", SWITCH_PAUSED), SLUICE_E_LIMIT);
    switch_store_fini(&store);
}
