/* test_txn_rules.c: what each request may do to a transactional id, and what is kept of it. */
#include "admit/txn_rules.h"
#include "base/bytes.h"

#include <criterion/criterion.h>
#include <string.h>

#define NOW 1000

static struct txn_values now;
static struct txn_who who;

static void setup(void)
{
    const struct txn_who nobody = {-1, -1, false};
    now = (struct txn_values){
        .producer_id = -1, .next_producer_id = -1, .epoch = -1, .last_epoch = -1, .start_ms = -1};
    cr_assert_eq(txn_rules_init(&now, &nobody, 60000, TXN_NO_ID, NOW, &now), SLUICE_E_WOULD_BLOCK);
    cr_assert_eq(txn_rules_init(&now, &nobody, 60000, 7, NOW, &now), SLUICE_OK);
    who = (struct txn_who){now.producer_id, now.epoch, false};
}

TestSuite(txn_rules, .init = setup);

static void open_txn(void)
{
    cr_assert_eq(txn_rules_add(&now, &who, NOW, &now), SLUICE_OK);
}

static sl_err end_txn(bool commits, bool *ret_repeated)
{
    return txn_rules_end(&now, &who, commits, TXN_NO_ID, NOW, &now, ret_repeated);
}

static void decide(bool commits)
{
    bool repeated = true;
    cr_assert_eq(end_txn(commits, &repeated), SLUICE_OK);
    cr_assert_not(repeated);
    txn_rules_complete(&now, NOW, &now);
}

Test(txn_rules, a_transaction_goes_from_empty_over_ongoing_to_complete)
{
    bool repeated;
    cr_assert_eq(now.state, TXN_EMPTY);
    cr_assert_eq(end_txn(true, &repeated), SLUICE_E_INVALID_TXN_STATE);
    open_txn();
    cr_assert_eq(now.state, TXN_ONGOING);
    cr_assert_eq(now.start_ms, NOW);
    cr_assert_eq(end_txn(true, &repeated), SLUICE_OK);
    cr_assert_eq(now.state, TXN_PREPARE_COMMIT);
    cr_assert_eq(txn_rules_add(&now, &who, NOW, &now), SLUICE_E_CONCURRENT_TRANSACTIONS);
    cr_assert_eq(end_txn(true, &repeated), SLUICE_E_CONCURRENT_TRANSACTIONS); /* trap 25 */
    cr_assert_eq(end_txn(false, &repeated), SLUICE_E_INVALID_TXN_STATE);
    txn_rules_complete(&now, NOW, &now);
    cr_assert_eq(now.state, TXN_COMPLETE_COMMIT);
    cr_assert_eq(now.epoch, 0, "version 1 keeps its epoch");
    open_txn();
}

Test(txn_rules, an_answer_that_was_lost_is_given_again)
{
    bool repeated = false;
    open_txn();
    decide(false);
    cr_assert_eq(end_txn(false, &repeated), SLUICE_OK);
    cr_assert(repeated);
    cr_assert_eq(end_txn(true, &repeated), SLUICE_E_INVALID_TXN_STATE);
}

Test(txn_rules, a_producer_that_takes_over_fences_the_one_before)
{
    const struct txn_who nobody = {-1, -1, false};
    open_txn();
    cr_assert_eq(txn_rules_init(&now, &nobody, 60000, TXN_NO_ID, NOW, &now), SLUICE_E_BUSY);
    txn_rules_fence(&now, NOW, &now);
    cr_assert_eq(now.state, TXN_PREPARE_ABORT);
    cr_assert_eq(txn_rules_init(&now, &nobody, 60000, TXN_NO_ID, NOW, &now),
                 SLUICE_E_CONCURRENT_TRANSACTIONS);
    txn_rules_complete(&now, NOW, &now);
    cr_assert_eq(txn_rules_init(&now, &nobody, 60000, TXN_NO_ID, NOW, &now), SLUICE_OK);
    cr_assert_eq(now.producer_id, 7);
    cr_assert_eq(now.epoch, 2);
    cr_assert_eq(txn_rules_add(&now, &who, NOW, &now), SLUICE_E_PRODUCER_FENCED);
    who.producer_id = 8;
    cr_assert_eq(txn_rules_add(&now, &who, NOW, &now), SLUICE_E_INVALID_PRODUCER_ID_MAPPING);
}

Test(txn_rules, a_producer_that_names_its_epoch_gets_the_next_one) /* KIP-360 */
{
    cr_assert_eq(txn_rules_init(&now, &who, 60000, TXN_NO_ID, NOW, &now), SLUICE_OK);
    cr_assert_eq(now.epoch, 1);
    cr_assert_eq(txn_rules_init(&now, &who, 60000, TXN_NO_ID, NOW, &now), SLUICE_OK, "a retry");
    cr_assert_eq(now.epoch, 1);
    who.epoch = 1;
    cr_assert_eq(txn_rules_init(&now, &who, 60000, TXN_NO_ID, NOW, &now), SLUICE_OK);
    who.epoch = 0;
    cr_assert_eq(txn_rules_init(&now, &who, 60000, TXN_NO_ID, NOW, &now), SLUICE_E_PRODUCER_FENCED);
}

Test(txn_rules, each_end_of_version_2_bumps_the_epoch) /* trap 25, KIP-890 */
{
    bool repeated = false;
    who.is_v2 = true;
    open_txn();
    decide(true);
    cr_assert_eq(now.epoch, 1);
    cr_assert_eq(end_txn(true, &repeated), SLUICE_OK, "a retry names the epoch before");
    cr_assert(repeated);
    cr_assert_eq(end_txn(false, &repeated), SLUICE_E_INVALID_TXN_STATE);
    who.epoch = 1;
    cr_assert_eq(end_txn(true, &repeated), SLUICE_E_INVALID_TXN_STATE, "nothing to commit");
    decide(false);
    cr_assert_eq(now.epoch, 2, "an abort of nothing bumps it too");
}

Test(txn_rules, the_last_epoch_brings_a_new_producer_id)
{
    bool repeated = false;
    const struct txn_who nobody = {-1, -1, false};
    now.epoch = INT16_MAX - 1;
    cr_assert_eq(txn_rules_init(&now, &nobody, 60000, TXN_NO_ID, NOW, &now), SLUICE_E_WOULD_BLOCK);
    cr_assert_eq(txn_rules_init(&now, &nobody, 60000, 9, NOW, &now), SLUICE_OK);
    cr_assert_eq(now.producer_id, 9);
    cr_assert_eq(now.epoch, 0);
    now.epoch = INT16_MAX - 2;
    who = (struct txn_who){9, INT16_MAX - 2, true};
    open_txn();
    cr_assert_eq(end_txn(true, &repeated), SLUICE_E_WOULD_BLOCK);
    cr_assert_eq(txn_rules_end(&now, &who, true, 11, NOW, &now, &repeated), SLUICE_OK);
    cr_assert_eq(now.producer_id, 9, "its markers are the old one's");
    cr_assert_eq(now.epoch, INT16_MAX - 1);
    txn_rules_complete(&now, NOW, &now);
    cr_assert_eq(now.producer_id, 11);
    cr_assert_eq(now.epoch, 0);
}

/* ---- the store ---- */

static sl_err again(void *arg, uint16_t kind, uint8_t version, struct sl_bytes payload)
{
    cr_assert_eq(kind, WAL_ITEM_TXN);
    return txn_store_apply(arg, version, payload);
}

Test(txn_rules, what_is_applied_comes_back_from_a_snapshot)
{
    struct txn_store store, copy;
    const struct txn_partition partitions[] = {{{{1}}, 3}, {{{2}}, 0}};
    uint8_t payload[256];
    uint32_t at = 0;
    cr_assert_eq(txn_store_init(&store, 0), SLUICE_OK);
    cr_assert_eq(txn_store_init(&copy, 0), SLUICE_OK);
    open_txn();
    now.id = sl_bytes_of("tx", 2);
    struct txn_additions added = {partitions, 2, sl_bytes_of("group", 5)};
    size_t size = txn_item_size(&now, &added);
    txn_item_encode(&now, &added, payload);
    for (size_t cut = 0; cut < size; cut++)
        cr_assert_eq(txn_store_apply(&store, 1, sl_bytes_of(payload, cut)), SLUICE_E_CORRUPT);
    cr_assert_eq(txn_store_apply(&store, 2, sl_bytes_of(payload, size)), SLUICE_E_NEWER_FORMAT);
    cr_assert_eq(txn_store_apply(&store, 1, sl_bytes_of(payload, size)), SLUICE_OK);
    cr_assert_eq(txn_store_snapshot(&store, &at, 10, again, &copy), SLUICE_OK);
    const struct txn *txn = txn_store_get(&copy, sl_bytes_of("tx", 2));
    cr_assert_not_null(txn);
    cr_assert_eq(copy.ongoing, txn);
    cr_assert(txn_has_partition(txn, &partitions[0]));
    cr_assert(txn_has_partition(txn, &partitions[1]));
    cr_assert(txn_has_group(txn, sl_bytes_of("group", 5)));
    cr_assert_not(txn_has_group(txn, sl_bytes_of("grou", 4)));
    now.state = TXN_DEAD;
    added = (struct txn_additions){0};
    size = txn_item_size(&now, &added);
    txn_item_encode(&now, &added, payload);
    cr_assert_eq(txn_store_apply(&copy, 1, sl_bytes_of(payload, size)), SLUICE_OK);
    cr_assert_null(txn_store_get(&copy, sl_bytes_of("tx", 2)));
    cr_assert_null(copy.ongoing);
    txn_store_fini(&store);
    txn_store_fini(&copy);
}
