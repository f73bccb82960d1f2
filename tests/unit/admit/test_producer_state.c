/* test_producer_state.c: idempotence, one rule a test, and the two phases. */
#include "admit/producer_state.h"

#include <criterion/criterion.h>

static bool no_memory; /* for whoever asks */
void *__real_sl_alloc_zero(size_t count, size_t size);
void *__wrap_sl_alloc_zero(size_t count, size_t size);
void *__wrap_sl_alloc_zero(size_t count, size_t size)
{
    return no_memory ? NULL : __real_sl_alloc_zero(count, size);
}

static struct producer_shard *shard;
static struct producers producers;
static int64_t next_offset;

static void setup(void)
{
    struct producer_limits limits = {.partition_max = 3, .shard_max = 4, .expiry_ms = 1000};
    shard = producer_shard_new(&limits);
    producers_init(&producers, shard);
    next_offset = 0;
}

static void teardown(void)
{
    producers_fini(&producers);
    shard = producer_shard_free(shard);
}

TestSuite(producer_state, .init = setup, .fini = teardown);

static struct producer_batch batch_of(int64_t id, int16_t epoch, int32_t sequence, uint32_t count)
{
    return (struct producer_batch){.producer_id = id,
                                   .producer_epoch = epoch,
                                   .base_sequence = sequence,
                                   .record_count = count};
}

static sl_err check(struct producer_batch batch, struct producer_verdict *ret_verdict)
{
    *ret_verdict = (struct producer_verdict){-1, -1, -1};
    return producers_check(&producers, &batch, ret_verdict);
}

static sl_err error_of(struct producer_batch batch)
{
    struct producer_verdict verdict;
    return check(batch, &verdict);
}

static int32_t kind_of(struct producer_batch batch)
{
    struct producer_verdict verdict;
    cr_assert_eq(check(batch, &verdict), SLUICE_OK);
    return verdict.kind;
}

static void admit(struct producer_batch batch, struct producer_admission *admission)
{
    cr_assert_eq(kind_of(batch), PRODUCER_NEW);
    cr_assert_eq(producers_admit(&producers, &batch, admission, 0), SLUICE_OK);
}

static void commit(struct producer_admission *admission, uint32_t count, int64_t now_ms)
{
    producers_commit(&producers, admission, next_offset, next_offset + count - 1, -1, now_ms);
    next_offset += count;
}

static void append(struct producer_batch batch)
{
    struct producer_admission admission;
    admit(batch, &admission);
    commit(&admission, batch.record_count, 0);
}

Test(producer_state, an_unknown_producer_may_begin_anywhere)
{
    append(batch_of(7, 3, 100, 5));
    cr_assert_eq(kind_of(batch_of(7, 3, 105, 1)), PRODUCER_NEW);
}

Test(producer_state, any_of_the_last_five_batches_is_a_duplicate_with_its_offset)
{
    struct producer_verdict verdict;
    for (int32_t i = 0; i < 6; i++)
        append(batch_of(7, 0, i * 10, 10));
    for (int32_t i = 1; i < 6; i++) {
        cr_assert_eq(check(batch_of(7, 0, i * 10, 10), &verdict), SLUICE_OK);
        cr_assert_eq(verdict.kind, PRODUCER_DUPLICATE);
        cr_assert_eq(verdict.base_offset, i * 10);
    }
    cr_assert_eq(error_of(batch_of(7, 0, 0, 10)), SLUICE_E_OUT_OF_ORDER_SEQUENCE, "the sixth");
    cr_assert_eq(error_of(batch_of(7, 0, 50, 9)), SLUICE_E_OUT_OF_ORDER_SEQUENCE, "not the same");
}

/* Whose offsets do not follow each other are remembered in memory of their own. */
Test(producer_state, durable_batches_are_known_also_when_memory_ends_at_the_commit)
{
    struct producer_admission admission;
    struct producer_batch batch = batch_of(7, 0, 10, 10);
    append(batch_of(7, 0, 0, 10));
    admit(batch, &admission);
    next_offset += 100; /* another's */
    no_memory = true;
    commit(&admission, 10, 0);
    cr_assert_eq(kind_of(batch_of(7, 0, 0, 10)), PRODUCER_DUPLICATE);
    cr_assert_eq(kind_of(batch_of(7, 0, 10, 10)), PRODUCER_DUPLICATE);
    batch = batch_of(7, 0, 20, 10);
    cr_assert_eq(producers_admit(&producers, &batch, &admission, 0), SLUICE_E_NO_MEMORY);
    no_memory = false;
    append(batch_of(7, 0, 20, 10));
}

Test(producer_state, a_lower_epoch_is_refused)
{
    append(batch_of(7, 3, 0, 1));
    cr_assert_eq(error_of(batch_of(7, 2, 1, 1)), SLUICE_E_INVALID_PRODUCER_EPOCH);
}

Test(producer_state, a_higher_epoch_begins_with_sequence_zero)
{
    append(batch_of(7, 3, 0, 5));
    cr_assert_eq(error_of(batch_of(7, 4, 5, 1)), SLUICE_E_OUT_OF_ORDER_SEQUENCE);
    append(batch_of(7, 4, 0, 1));
    cr_assert_eq(error_of(batch_of(7, 3, 5, 1)), SLUICE_E_INVALID_PRODUCER_EPOCH);
}

Test(producer_state, a_gap_or_a_step_back_is_out_of_order)
{
    append(batch_of(7, 0, 0, 5));
    cr_assert_eq(error_of(batch_of(7, 0, 6, 1)), SLUICE_E_OUT_OF_ORDER_SEQUENCE);
    cr_assert_eq(error_of(batch_of(7, 0, 4, 1)), SLUICE_E_OUT_OF_ORDER_SEQUENCE);
}

Test(producer_state, sequences_wrap_behind_2147483647)
{
    append(batch_of(7, 0, INT32_MAX - 1, 4));
    cr_assert_eq(error_of(batch_of(7, 0, 0, 1)), SLUICE_E_OUT_OF_ORDER_SEQUENCE);
    append(batch_of(7, 0, 2, 1));
    append(batch_of(8, 0, INT32_MAX, 1));
    append(batch_of(8, 0, 0, 1));
}

/* ---- transactions ---- */

static struct producer_batch txn_batch(int64_t id, int16_t epoch, int32_t sequence, uint32_t count)
{
    struct producer_batch batch = batch_of(id, epoch, sequence, count);
    batch.transactional = true;
    return batch;
}

static void mark(int64_t id, int16_t epoch, bool aborts)
{
    struct producer_admission marker;
    cr_assert_eq(producers_admit_marker(&producers, id, epoch, aborts, &marker, 0), SLUICE_OK);
    commit(&marker, 1, 0);
}

Test(producer_state, a_transaction_holds_the_stable_offset_until_its_marker)
{
    append(batch_of(8, 0, 0, 2));
    append(txn_batch(7, 0, 0, 3));
    cr_assert_eq(txn_log_first_open(producers_txns(&producers)), 2);
    append(txn_batch(7, 0, 3, 1));
    cr_assert_eq(txn_log_first_of(producers_txns(&producers), 7), 2);
    cr_assert_eq(error_of(batch_of(7, 0, 4, 1)), SLUICE_E_INVALID_TXN_STATE,
                 "a batch of no transaction meanwhile");
    mark(7, 0, true);
    cr_assert_eq(txn_log_first_open(producers_txns(&producers)), INT64_MAX);
    cr_assert(txn_log_is_aborted(producers_txns(&producers), 7, 2));
    cr_assert(txn_log_is_aborted(producers_txns(&producers), 7, 5));
    cr_assert_not(txn_log_is_aborted(producers_txns(&producers), 7, 1));
    cr_assert_not(txn_log_is_aborted(producers_txns(&producers), 8, 2), "another producer");
    append(batch_of(7, 0, 4, 1));
}

Test(producer_state, a_marker_with_a_later_epoch_fences_and_begins_again_at_zero) /* trap 25 */
{
    append(txn_batch(7, 0, 0, 3));
    mark(7, 1, true);
    cr_assert_eq(error_of(txn_batch(7, 0, 3, 1)), SLUICE_E_INVALID_PRODUCER_EPOCH);
    cr_assert_eq(error_of(txn_batch(7, 1, 3, 1)), SLUICE_E_OUT_OF_ORDER_SEQUENCE);
    append(txn_batch(7, 1, 0, 1));
    struct producer_admission late;
    cr_assert_eq(producers_admit_marker(&producers, 7, 0, true, &late, 0),
                 SLUICE_E_INVALID_PRODUCER_EPOCH);
}

Test(producer_state, a_marker_fences_a_producer_that_wrote_nothing)
{
    mark(7, 5, true);
    cr_assert_eq(error_of(txn_batch(7, 4, 0, 1)), SLUICE_E_INVALID_PRODUCER_EPOCH);
    append(txn_batch(7, 5, 0, 1));
}

Test(producer_state, what_is_admitted_before_its_marker_is_counted_with_it)
{
    struct producer_admission data, marker;
    struct producer_batch batch = txn_batch(7, 0, 0, 1);
    admit(batch, &data);
    cr_assert(producers_in_txn(&producers, 7));
    cr_assert_eq(producers_admit_marker(&producers, 7, 1, false, &marker, 0), SLUICE_OK);
    cr_assert_not(producers_in_txn(&producers, 7));
    cr_assert_eq(error_of(txn_batch(7, 0, 1, 1)), SLUICE_E_INVALID_PRODUCER_EPOCH);
    commit(&data, 1, 0);
    commit(&marker, 1, 0);
    cr_assert_eq(txn_log_first_open(producers_txns(&producers)), INT64_MAX);
}

Test(producer_state, an_unknown_producer_of_version_2_begins_with_zero) /* trap 15 */
{
    struct producer_batch batch = txn_batch(7, 0, 5, 1);
    cr_assert_eq(kind_of(batch), PRODUCER_NEW);
    batch.begins_at_zero = true;
    cr_assert_eq(error_of(batch), SLUICE_E_OUT_OF_ORDER_SEQUENCE);
}

Test(producer_state, a_producer_with_an_open_transaction_is_not_forgotten)
{
    append(txn_batch(7, 0, 0, 1));
    append(batch_of(8, 0, 0, 1));
    cr_assert_eq(producer_shard_expire(shard, 100000), 1);
    for (int64_t id = 10; id < 15; id++)
        append(batch_of(id, 0, 0, 1));
    cr_assert(producers_in_txn(&producers, 7));
    mark(7, 0, false);
    cr_assert_eq(producer_shard_expire(shard, 200000), 3);
}

static sl_err restore_any(void *arg, uint16_t kind, uint8_t version, struct sl_bytes payload)
{
    return producers_restore(arg, kind, version, payload);
}

Test(producer_state, transactions_come_back_from_a_checkpoint_and_the_frames_behind_it)
{
    const struct sl_uuid topic = {{1}};
    struct producer_limits limits = {0};
    struct producer_shard *restored = producer_shard_new(&limits);
    struct producers copy;
    producers_init(&copy, restored);
    append(txn_batch(7, 0, 0, 3)); /* 0 to 2 */
    mark(7, 0, true);              /* 3 */
    append(txn_batch(7, 0, 3, 2)); /* 4 and 5 */
    mark(9, 3, true);              /* 6: nothing was open */
    cr_assert_eq(producers_snapshot(&producers, &topic, 0, 7, restore_any, &copy), SLUICE_OK);
    /* Frames that the checkpoint knows of change nothing; those behind it do. */
    struct producer_batch again = txn_batch(7, 0, 0, 3);
    cr_assert_eq(producers_apply(&copy, &again, 0, 2, -1, 5), SLUICE_OK);
    cr_assert_eq(producers_apply_marker(&copy, 7, 0, true, 3, 5), SLUICE_OK);
    cr_assert(producers_in_txn(&copy, 7));
    cr_assert_eq(txn_log_first_open(producers_txns(&copy)), 4);
    cr_assert_eq(producers_txns(&copy)->aborted_count, 1);
    cr_assert_eq(producers_apply_marker(&copy, 7, 1, true, 7, 5), SLUICE_OK);
    cr_assert_eq(producers_txns(&copy)->aborted_count, 2);
    cr_assert(txn_log_is_aborted(producers_txns(&copy), 7, 4));
    struct producer_batch late = txn_batch(9, 2, 0, 1);
    struct producer_verdict verdict;
    cr_assert_eq(producers_check(&copy, &late, &verdict), SLUICE_E_INVALID_PRODUCER_EPOCH);
    producers_fini(&copy);
    producer_shard_free(restored);
}

Test(producer_state, senseless_headers_are_refused)
{
    cr_assert_eq(error_of(batch_of(7, 0, -1, 1)), SLUICE_E_INVALID_RECORD);
    cr_assert_eq(error_of(batch_of(7, -1, 0, 1)), SLUICE_E_INVALID_PRODUCER_EPOCH);
    cr_assert_eq(error_of(batch_of(7, 0, 0, 0)), SLUICE_E_INVALID_RECORD);
    cr_assert_eq(error_of(batch_of(-1, 0, 0, 1)), SLUICE_E_INVALID_RECORD);
}

struct waiting {
    struct producer_waiter waiter;
    int answers;
    sl_err err;
    int64_t base_offset;
};

static void waiting_done(struct producer_waiter *waiter, sl_err err, int64_t base_offset,
                         int64_t append_time_ms)
{
    struct waiting *waiting = SL_CONTAINER_OF(waiter, struct waiting, waiter);
    (void)append_time_ms;
    waiting->answers++;
    waiting->err = err;
    waiting->base_offset = base_offset;
}

Test(producer_state, the_next_batch_need_not_wait_for_the_disk)
{
    struct producer_admission first, second;
    admit(batch_of(7, 0, 0, 5), &first);
    cr_assert_eq(error_of(batch_of(7, 0, 6, 1)), SLUICE_E_OUT_OF_ORDER_SEQUENCE);
    admit(batch_of(7, 0, 5, 5), &second);
    commit(&first, 5, 0);
    commit(&second, 5, 0);
    cr_assert_eq(kind_of(batch_of(7, 0, 5, 5)), PRODUCER_DUPLICATE);
}

Test(producer_state, a_duplicate_of_a_batch_under_way_waits_for_it)
{
    struct producer_batch batch = batch_of(7, 0, 0, 5);
    struct producer_admission admission;
    struct waiting waiting = {.waiter.done = waiting_done};
    struct waiting gone = {.waiter.done = waiting_done};
    admit(batch, &admission);
    cr_assert_eq(kind_of(batch), PRODUCER_PENDING);
    producers_wait(&producers, &batch, &waiting.waiter);
    producers_wait(&producers, &batch, &gone.waiter);
    cr_assert(producers_unwait(&producers, &batch, &gone.waiter));
    cr_assert_eq(waiting.answers, 0);
    next_offset = 42;
    commit(&admission, 5, 0);
    cr_assert_eq(waiting.answers, 1);
    cr_assert_eq(waiting.err, SLUICE_OK);
    cr_assert_eq(waiting.base_offset, 42);
    cr_assert_eq(gone.answers, 0);
    cr_assert_not(producers_unwait(&producers, &batch, &waiting.waiter));
}

Test(producer_state, an_aborted_batch_is_new_again)
{
    struct producer_batch batch = batch_of(7, 0, 5, 5);
    struct producer_admission admission;
    struct waiting waiting = {.waiter.done = waiting_done};
    append(batch_of(7, 0, 0, 5));
    admit(batch, &admission);
    producers_wait(&producers, &batch, &waiting.waiter);
    producers_abort(&producers, &admission, SLUICE_E_DISK_FULL);
    cr_assert_eq(waiting.err, SLUICE_E_DISK_FULL);
    cr_assert_eq(kind_of(batch), PRODUCER_NEW);
    cr_assert_eq(kind_of(batch_of(7, 0, 0, 5)), PRODUCER_DUPLICATE);
}

Test(producer_state, a_producer_whose_only_batch_was_aborted_leaves_nothing)
{
    struct producer_admission admission;
    admit(batch_of(7, 0, 5, 5), &admission);
    producers_abort(&producers, &admission, SLUICE_E_FENCED);
    cr_assert_eq(producer_shard_count(shard), 0);
    cr_assert_eq(kind_of(batch_of(7, 0, 99, 1)), PRODUCER_NEW);
}

Test(producer_state, what_follows_a_batch_refused_for_now_is_refused_alike_until_that_one_is_back)
{
    struct producer_admission admission;
    append(batch_of(7, 0, 0, 5));
    admit(batch_of(7, 0, 5, 5), &admission);
    producers_abort(&producers, &admission, SLUICE_E_DISK_FULL);
    cr_assert_eq(error_of(batch_of(7, 0, 10, 5)), SLUICE_E_DISK_FULL);
    cr_assert_eq(error_of(batch_of(7, 0, 15, 5)), SLUICE_E_DISK_FULL);
    cr_assert_eq(kind_of(batch_of(7, 0, 0, 5)), PRODUCER_DUPLICATE, "that one is durable");
    append(batch_of(7, 0, 5, 5));
    cr_assert_eq(error_of(batch_of(7, 0, 15, 5)), SLUICE_E_OUT_OF_ORDER_SEQUENCE);
    append(batch_of(7, 0, 10, 5));
}

Test(producer_state, a_producer_that_was_refused_from_its_first_batch_on_keeps_its_order)
{
    struct producer_admission admission;
    admit(batch_of(7, 0, 0, 5), &admission);
    producers_abort(&producers, &admission, SLUICE_E_LOG_FULL);
    cr_assert_eq(error_of(batch_of(7, 0, 5, 5)), SLUICE_E_LOG_FULL, "it may not overtake");
    cr_assert_eq(kind_of(batch_of(7, 1, 0, 5)), PRODUCER_NEW, "a new epoch begins anew");
    append(batch_of(7, 0, 0, 5));
    append(batch_of(7, 0, 5, 5));
    cr_assert_eq(producer_shard_count(shard), 1);
}

Test(producer_state, silent_producers_expire)
{
    struct producer_admission admission;
    struct producer_admission open;
    admit(batch_of(1, 0, 0, 1), &admission);
    commit(&admission, 1, 500);
    admit(batch_of(2, 0, 0, 1), &admission);
    commit(&admission, 1, 900);
    admit(batch_of(3, 0, 0, 1), &open);
    cr_assert_eq(producer_shard_expire(shard, 1499), 0);
    cr_assert_eq(producer_shard_expire(shard, 1500), 1);
    cr_assert_eq(kind_of(batch_of(1, 0, 77, 1)), PRODUCER_NEW);
    cr_assert_eq(kind_of(batch_of(2, 0, 0, 1)), PRODUCER_DUPLICATE);
    cr_assert_eq(producer_shard_expire(shard, 99999), 1, "one has a batch under way");
    commit(&open, 1, 99999);
}

Test(producer_state, at_a_bound_the_one_idle_longest_is_forgotten)
{
    struct producers other;
    for (int64_t id = 1; id <= 3; id++)
        append(batch_of(id, 0, 0, 1));
    append(batch_of(1, 0, 1, 1));
    append(batch_of(4, 0, 0, 1));
    cr_assert_eq(producers.count, 3);
    cr_assert_eq(producer_shard_evicted(shard), 1);
    cr_assert_eq(kind_of(batch_of(2, 0, 50, 1)), PRODUCER_NEW, "2 was silent longest");
    cr_assert_eq(kind_of(batch_of(1, 0, 1, 1)), PRODUCER_DUPLICATE);
    producers_init(&other, shard);
    for (int64_t id = 1; id <= 2; id++) {
        struct producer_batch batch = batch_of(id, 0, 0, 1);
        cr_assert_eq(producers_apply(&other, &batch, 0, 0, -1, 0), SLUICE_OK);
    }
    cr_assert_eq(producer_shard_count(shard), 4, "the bound of the shard holds over partitions");
    producers_fini(&other);
}

Test(producer_state, a_producer_with_a_batch_under_way_is_not_forgotten)
{
    struct producer_admission open[3];
    struct producer_admission more;
    for (int64_t id = 0; id < 3; id++)
        admit(batch_of(id, 0, 0, 1), &open[id]);
    struct producer_batch batch = batch_of(9, 0, 0, 1);
    cr_assert_eq(producers_admit(&producers, &batch, &more, 0), SLUICE_E_BUSY);
    for (int i = 0; i < 3; i++)
        producers_abort(&producers, &open[i], SLUICE_E_FENCED);
}

static sl_err restore(void *arg, uint16_t kind, uint8_t version, struct sl_bytes payload)
{
    struct sl_uuid topic;
    uint32_t partition;
    cr_assert_eq(kind, WAL_ITEM_PRODUCER_STATE);
    cr_assert_eq(producer_state_item_target(kind, version, payload, &topic, &partition), SLUICE_OK);
    cr_assert_eq(topic.b[0], 1);
    cr_assert_eq(partition, 0);
    return producers_restore(arg, kind, version, payload);
}

Test(producer_state, a_snapshot_and_the_frames_behind_it_restore_the_state)
{
    struct producer_limits limits = {0};
    struct producer_shard *restored = producer_shard_new(&limits);
    struct producers copy;
    struct producer_verdict verdict;
    struct producer_batch last = batch_of(7, 2, 60, 10);
    const struct sl_uuid topic = {{1}};
    producers_init(&copy, restored);
    for (int32_t i = 0; i < 7; i++)
        append(batch_of(7, 2, i * 10, 10));
    cr_assert_eq(producers_snapshot(&producers, &topic, 0, 0, restore, &copy), SLUICE_OK);
    cr_assert_eq(producers_apply(&copy, &last, 60, 69, -1, 5), SLUICE_OK, "told twice");
    struct producer_batch batch = batch_of(7, 2, 20, 10);
    cr_assert_eq(producers_check(&copy, &batch, &verdict), SLUICE_OK);
    cr_assert_eq(verdict.kind, PRODUCER_DUPLICATE);
    cr_assert_eq(verdict.base_offset, 20);
    batch = batch_of(7, 2, 70, 1);
    cr_assert_eq(producers_check(&copy, &batch, &verdict), SLUICE_OK);
    cr_assert_eq(verdict.kind, PRODUCER_NEW);
    producers_fini(&copy);
    producer_shard_free(restored);
}

Test(producer_state, refuses_damaged_and_newer_items)
{
    uint8_t payload[PRODUCER_STATE_ITEM_SIZE + 1] = {0};
    struct sl_bytes whole = {payload, PRODUCER_STATE_ITEM_SIZE};
    struct sl_bytes longer = {payload, PRODUCER_STATE_ITEM_SIZE + 1};
    cr_assert_eq(producers_restore(&producers, WAL_ITEM_PRODUCER_STATE, 1, longer),
                 SLUICE_E_CORRUPT);
    cr_assert_eq(producers_restore(&producers, WAL_ITEM_PRODUCER_STATE, 2, whole),
                 SLUICE_E_NEWER_FORMAT);
    payload[22] = 6;
    cr_assert_eq(producers_restore(&producers, WAL_ITEM_PRODUCER_STATE, 1, whole), SLUICE_E_CORRUPT,
                 "six batches");
    struct sl_bytes txn = {payload, TXN_LOG_ITEM_SIZE};
    memset(payload, 0, sizeof(payload));
    cr_assert_eq(producers_restore(&producers, WAL_ITEM_TXN_OPEN, 1, whole), SLUICE_E_CORRUPT);
    cr_assert_eq(producers_restore(&producers, WAL_ITEM_TXN_OPEN, 2, txn), SLUICE_E_NEWER_FORMAT);
    cr_assert_eq(producers_restore(&producers, WAL_ITEM_TXN_OPEN, 1, txn), SLUICE_E_CORRUPT,
                 "it begins behind the end");
    cr_assert_eq(producers_restore(&producers, WAL_ITEM_TXN_ABORTED, 1, txn), SLUICE_E_CORRUPT);
    cr_assert_eq(producer_shard_count(shard), 0);
}

Test(producer_state, after_a_restore_by_partition_the_one_idle_longest_goes_first)
{
    struct producer_limits limits = {.shard_max = 3};
    struct producer_shard *restored = producer_shard_new(&limits);
    struct producers parts[2];
    const int64_t last_ms[2][2] = {{500, 900}, {100, 700}};
    for (int p = 0; p < 2; p++) {
        producers_init(&parts[p], restored);
        for (int i = 0; i < 2 && (p == 0 || i == 0); i++) {
            struct producer_batch batch = batch_of(10 * p + i, 0, 0, 1);
            cr_assert_eq(producers_apply(&parts[p], &batch, 0, 0, -1, last_ms[p][i]), SLUICE_OK);
        }
    }
    producer_shard_sort(restored);
    struct producer_batch batch = batch_of(11, 0, 0, 1);
    cr_assert_eq(producers_apply(&parts[1], &batch, 1, 1, -1, last_ms[1][1]), SLUICE_OK);
    cr_assert_eq(producer_shard_count(restored), 3);
    cr_assert_eq(parts[0].count, 2, "that of partition 1 was silent longest");
    cr_assert_eq(parts[1].count, 1);
    producers_fini(&parts[0]);
    producers_fini(&parts[1]);
    producer_shard_free(restored);
}

/* The last `count` of these are known with their offsets, and nothing else is. */
static void check_known(const struct producer_batch *batches, const int64_t *offsets,
                        uint32_t total, uint32_t count)
{
    for (uint32_t i = 0; i < total; i++) {
        struct producer_verdict verdict;
        sl_err err = check(batches[i], &verdict);
        if (i + count < total) {
            cr_expect_eq(err, SLUICE_E_OUT_OF_ORDER_SEQUENCE, "batch %u is forgotten", i);
        } else {
            cr_expect_eq(err, SLUICE_OK);
            cr_expect_eq(verdict.kind, PRODUCER_DUPLICATE, "batch %u", i);
            cr_expect_eq(verdict.base_offset, offsets[i], "batch %u", i);
        }
    }
}

#define MANY_BATCHES 9u

static void append_many(uint32_t gap_after, struct producer_batch *ret_batches,
                        int64_t *ret_offsets)
{
    uint32_t sequence = INT32_MAX - 12; /* wraps on the way */
    for (uint32_t i = 0; i < MANY_BATCHES; i++) {
        ret_batches[i] = batch_of(7, 2, (int32_t)(sequence & INT32_MAX), i + 1);
        ret_offsets[i] = next_offset;
        append(ret_batches[i]);
        sequence += i + 1;
        next_offset += i == gap_after ? 3 : 0;
    }
}

Test(producer_state, five_batches_that_follow_each_other_are_told_with_their_offsets)
{
    struct producer_batch batches[MANY_BATCHES];
    int64_t offsets[MANY_BATCHES];
    append_many(UINT32_MAX, batches, offsets);
    check_known(batches, offsets, MANY_BATCHES, PRODUCER_BATCHES_MAX);
}

Test(producer_state, five_batches_with_others_records_between_them_are_too)
{
    for (uint32_t gap = 0; gap < MANY_BATCHES; gap++) {
        struct producer_batch batches[MANY_BATCHES];
        int64_t offsets[MANY_BATCHES];
        append_many(gap, batches, offsets);
        check_known(batches, offsets, MANY_BATCHES, PRODUCER_BATCHES_MAX);
        producers_fini(&producers);
    }
}

struct copies {
    struct producers *to;
    uint32_t count;
};

static sl_err copy_item(void *arg, uint16_t kind, uint8_t version, struct sl_bytes payload)
{
    struct copies *copies = arg;
    cr_assert_eq(kind, WAL_ITEM_PRODUCER_STATE);
    copies->count++;
    return producers_restore(copies->to, kind, version, payload);
}

Test(producer_state, packed_batches_come_back_from_a_checkpoint)
{
    struct producer_batch batches[MANY_BATCHES];
    int64_t offsets[MANY_BATCHES];
    struct sl_uuid topic = {{1}};
    for (uint32_t gap = 6; gap <= MANY_BATCHES; gap += 3) { /* among those that count, or none */
        append_many(gap, batches, offsets);
        struct producer_limits limits = {0};
        struct producer_shard *other = producer_shard_new(&limits);
        struct producers copy;
        struct copies copies = {.to = &copy};
        producers_init(&copy, other);
        cr_assert_eq(producers_snapshot(&producers, &topic, 0, 0, copy_item, &copies), SLUICE_OK);
        cr_assert_eq(copies.count, 1);
        for (uint32_t i = MANY_BATCHES - PRODUCER_BATCHES_MAX; i < MANY_BATCHES; i++) {
            struct producer_verdict verdict;
            cr_assert_eq(producers_check(&copy, &batches[i], &verdict), SLUICE_OK);
            cr_expect_eq(verdict.kind, PRODUCER_DUPLICATE);
            cr_expect_eq(verdict.base_offset, offsets[i], "gap %u batch %u", gap, i);
        }
        producers_fini(&copy);
        producer_shard_free(other);
        producers_fini(&producers);
    }
}
