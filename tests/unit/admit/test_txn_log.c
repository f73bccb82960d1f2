/* test_txn_log.c: what readers learn of aborted transactions. */
#include "admit/txn_log.h"

#include <criterion/criterion.h>

static struct txn_log txns;

static void setup(void)
{
    txn_log_init(&txns);
}

static void teardown(void)
{
    txn_log_fini(&txns);
}

TestSuite(txn_log, .init = setup, .fini = teardown);

static void begin(int64_t producer, int64_t offset)
{
    cr_assert_eq(txn_log_reserve(&txns), SLUICE_OK);
    txn_log_begin(&txns, producer, offset);
}

static void end(int64_t producer, int64_t offset, bool aborts)
{
    cr_assert_eq(txn_log_reserve(&txns), SLUICE_OK);
    cr_assert(txn_log_end(&txns, producer, offset, aborts));
}

Test(txn_log, the_transaction_open_longest_holds_the_stable_offset)
{
    begin(1, 10);
    begin(2, 20);
    begin(1, 30);
    cr_assert_eq(txn_log_first_open(&txns), 10);
    end(1, 40, false);
    cr_assert_eq(txn_log_first_open(&txns), 20);
    end(2, 50, true);
    cr_assert_eq(txn_log_first_open(&txns), INT64_MAX);
    cr_assert_not(txn_log_end(&txns, 2, 60, true), "a marker of nothing");
}

/* trap 24: those that overlap what is read, by first offset. */
Test(txn_log, aborted_transactions_are_listed_where_they_overlap)
{
    struct txn_aborted found[4];
    begin(1, 10);
    begin(2, 20);
    begin(3, 25);
    end(2, 30, true);
    end(3, 35, false);
    end(1, 40, true);
    begin(4, 50);
    end(4, 60, true);
    cr_assert_eq(txn_log_overlap(&txns, 0, 10, found, 4), 0);
    cr_assert_eq(txn_log_overlap(&txns, 0, 11, found, 4), 1);
    cr_assert_eq(found[0].producer_id, 1);
    cr_assert_eq(txn_log_overlap(&txns, 15, 55, found, 4), 3);
    cr_assert_eq(found[0].first_offset, 10);
    cr_assert_eq(found[1].first_offset, 20);
    cr_assert_eq(found[2].first_offset, 50);
    cr_assert_eq(txn_log_overlap(&txns, 31, 50, found, 4), 1, "the second has ended");
    cr_assert_eq(txn_log_overlap(&txns, 61, 99, found, 4), 0);
    cr_assert_eq(txn_log_overlap(&txns, 0, 99, found, 2), 3, "more than there is room for");
}

Test(txn_log, what_ended_below_the_log_start_is_forgotten)
{
    begin(1, 10);
    end(1, 20, true);
    begin(1, 30);
    end(1, 40, true);
    cr_assert_eq(txn_log_drop_below(&txns, 20), 0, "its marker is still there");
    cr_assert_eq(txn_log_drop_below(&txns, 21), 1);
    cr_assert_not(txn_log_is_aborted(&txns, 1, 15));
    cr_assert(txn_log_is_aborted(&txns, 1, 35));
}

Test(txn_log, what_has_no_record_left_is_forgotten_by_its_marker)
{
    static const int64_t gone[] = {5, 20, 60};
    begin(1, 10);
    end(1, 20, true);
    begin(1, 30);
    end(1, 40, true);
    begin(2, 50);
    end(2, 60, true);
    cr_assert_eq(txn_log_forgotten(&txns), 0);
    cr_assert_eq(txn_log_forget(&txns, gone, 3), 2);
    cr_assert_eq(txn_log_forgotten(&txns), 1);
    cr_assert_not(txn_log_is_aborted(&txns, 1, 15));
    cr_assert_not(txn_log_is_aborted(&txns, 2, 55));
    cr_assert_eq(txn_log_find_aborted(&txns, 1, 35)->first_offset, 30);
    cr_assert_eq(txn_log_forget(&txns, gone, 3), 0);
    cr_assert_eq(txn_log_forgotten(&txns), 1, "nothing that was read is old for that");
}

Test(txn_log, what_a_checkpoint_cannot_hold_is_refused)
{
    struct txn_aborted aborted = {.first_offset = 5, .last_offset = 5, .stable_offset = 6};
    cr_assert_eq(txn_log_restore_aborted(&txns, &aborted), SLUICE_E_CORRUPT);
    aborted.last_offset = 9;
    aborted.stable_offset = 11;
    cr_assert_eq(txn_log_restore_aborted(&txns, &aborted), SLUICE_E_CORRUPT);
    aborted.stable_offset = 10;
    cr_assert_eq(txn_log_restore_aborted(&txns, &aborted), SLUICE_OK);
    cr_assert_eq(txn_log_restore_aborted(&txns, &aborted), SLUICE_E_CORRUPT, "twice");
    struct txn_open open = {1, 12};
    cr_assert_eq(txn_log_restore_open(&txns, &open), SLUICE_OK);
    open.first_offset = 11;
    cr_assert_eq(txn_log_restore_open(&txns, &open), SLUICE_E_CORRUPT, "out of order");
}
