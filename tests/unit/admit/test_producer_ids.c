/* test_producer_ids.c: no id is given twice, whatever happens between. */
#include "admit/producer_ids.h"

#include <criterion/criterion.h>

static uint8_t payload[PRODUCER_BLOCK_ITEM_SIZE];

static void lease(struct producer_ids *ids)
{
    cr_assert(producer_ids_lease_begin(ids, payload));
    producer_ids_lease_end(ids, SLUICE_OK);
}

Test(producer_ids, are_given_out_only_below_a_durable_end)
{
    struct producer_ids ids;
    int64_t id = -1;
    producer_ids_init(&ids);
    cr_assert_eq(producer_ids_take(&ids, &id), SLUICE_E_WOULD_BLOCK);
    cr_assert(producer_ids_lease_begin(&ids, payload));
    cr_assert_not(producer_ids_lease_begin(&ids, payload), "one lease at a time");
    cr_assert_eq(producer_ids_take(&ids, &id), SLUICE_E_WOULD_BLOCK, "not durable yet");
    producer_ids_lease_end(&ids, SLUICE_OK);
    for (int64_t i = 0; i < PRODUCER_BLOCK_IDS; i++) {
        cr_assert_eq(producer_ids_take(&ids, &id), SLUICE_OK);
        cr_assert_eq(id, i);
    }
    cr_assert_eq(producer_ids_take(&ids, &id), SLUICE_E_WOULD_BLOCK);
}

Test(producer_ids, a_failed_lease_gives_nothing)
{
    struct producer_ids ids;
    int64_t id;
    producer_ids_init(&ids);
    cr_assert(producer_ids_lease_begin(&ids, payload));
    producer_ids_lease_end(&ids, SLUICE_E_FENCED);
    cr_assert_eq(producer_ids_take(&ids, &id), SLUICE_E_WOULD_BLOCK);
    cr_assert(producer_ids_lease_begin(&ids, payload));
}

Test(producer_ids, go_on_behind_the_durable_end_after_a_restart)
{
    struct producer_ids before, after;
    int64_t id;
    producer_ids_init(&before);
    producer_ids_init(&after);
    lease(&before);
    cr_assert_eq(producer_ids_take(&before, &id), SLUICE_OK);
    producer_ids_snapshot(&before, payload);
    cr_assert_eq(producer_ids_apply(&after, 1, (struct sl_bytes){payload, sizeof payload}),
                 SLUICE_OK);
    lease(&after);
    cr_assert_eq(producer_ids_take(&after, &id), SLUICE_OK);
    cr_assert_eq(id, PRODUCER_BLOCK_IDS);
}

Test(producer_ids, epochs_rise_for_ids_that_were_given_out)
{
    struct producer_ids ids;
    int64_t id;
    int16_t epoch = -1;
    producer_ids_init(&ids);
    lease(&ids);
    cr_assert_eq(producer_ids_take(&ids, &id), SLUICE_OK);
    cr_assert_eq(producer_ids_bump(&ids, id, 4, &epoch), SLUICE_OK);
    cr_assert_eq(epoch, 5);
    cr_assert_eq(producer_ids_bump(&ids, id + 1, 4, &epoch), SLUICE_E_UNKNOWN_PRODUCER_ID);
    cr_assert_eq(producer_ids_bump(&ids, id, INT16_MAX - 1, &epoch),
                 SLUICE_E_INVALID_PRODUCER_EPOCH);
    cr_assert_eq(epoch, 5);
}

Test(producer_ids, refuse_damaged_and_newer_items)
{
    struct producer_ids ids;
    uint8_t wild[8] = {255, 255, 255, 255, 255, 255, 255, 255};
    producer_ids_init(&ids);
    cr_assert_eq(producer_ids_apply(&ids, 1, (struct sl_bytes){wild, 7}), SLUICE_E_CORRUPT);
    cr_assert_eq(producer_ids_apply(&ids, 1, (struct sl_bytes){wild, 8}), SLUICE_E_CORRUPT);
    cr_assert_eq(producer_ids_apply(&ids, 2, (struct sl_bytes){wild, 8}), SLUICE_E_NEWER_FORMAT);
}
