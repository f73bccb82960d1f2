/* test_partitioner.c: where records go. */
#include "base/bytes.h"
#include "base/hash.h"
#include "route/consistent_hash.h"
#include "route/partitioner.h"

#include <criterion/criterion.h>

static int32_t choose(struct sticky_partitioner *sticky, int32_t partition, const char *key,
                      int32_t partition_count)
{
    int32_t chosen = -2;
    struct partition_request request = {
        .key = key == NULL ? (struct sl_bytes){0} : sl_bytes_of_text(key),
        .size = 100,
        .partition = partition,
        .key_is_null = key == NULL,
    };
    if (partition_choose(sticky, &request, partition_count, &chosen) != SLUICE_OK)
        return -3;
    return chosen;
}

/* toPositive(murmur2) mod count, from the known hashes. */
Test(partitioner, puts_a_key_where_kafkas_clients_do)
{
    cr_expect_eq(partition_by_key(sl_bytes_of_text("21"), 10), (-973932308 & INT32_MAX) % 10);
    cr_expect_eq(partition_by_key(sl_bytes_of_text("foobar"), 6), (-790332482 & INT32_MAX) % 6);
    cr_expect_eq(partition_by_key(sl_bytes_of_text("abc"), 7), 479470107 % 7);
    cr_expect_eq(partition_by_key((struct sl_bytes){0}, 1000), 275646681 % 1000);
}

Test(partitioner, prefers_the_partition_named_to_the_key)
{
    struct sticky_partitioner sticky;
    sticky_partitioner_init(&sticky, 1, 1000);
    cr_expect_eq(choose(&sticky, 3, "abc", 4), 3);
    cr_expect_eq(choose(&sticky, 4, "abc", 4), -3);
    cr_expect_eq(choose(&sticky, -2, "abc", 4), -3);
    cr_expect_eq(choose(&sticky, PARTITION_ANY, "abc", 0), -3);
}

Test(partitioner, takes_an_empty_key_for_a_key)
{
    struct sticky_partitioner sticky;
    sticky_partitioner_init(&sticky, 1, 1000);
    cr_expect_eq(choose(&sticky, PARTITION_ANY, "", 1000), 275646681 % 1000);
    cr_expect_eq(sticky.current, PARTITION_ANY);
}

Test(partitioner, stays_until_a_batch_is_full_and_then_moves)
{
    struct sticky_partitioner sticky;
    sticky_partitioner_init(&sticky, 99, 1000);
    int32_t previous = -1;
    for (int batch = 0; batch < 1000; batch++) {
        int32_t first = choose(&sticky, PARTITION_ANY, NULL, 5);
        cr_assert(first >= 0 && first < 5 && first != previous);
        for (int i = 1; i < 10; i++)
            cr_assert_eq(choose(&sticky, PARTITION_ANY, NULL, 5), first);
        previous = first;
    }
}

Test(partitioner, spreads_keyless_records_evenly)
{
    struct sticky_partitioner sticky;
    int counts[4] = {0};
    sticky_partitioner_init(&sticky, 7, 100);
    for (int i = 0; i < 40000; i++)
        counts[choose(&sticky, PARTITION_ANY, NULL, 4)]++;
    for (int i = 0; i < 4; i++)
        cr_expect(counts[i] > 9000 && counts[i] < 11000, "%d", counts[i]);
}

Test(partitioner, leaves_a_partition_that_is_gone)
{
    struct sticky_partitioner sticky;
    sticky_partitioner_init(&sticky, 7, 1000000);
    sticky.current = 9;
    cr_expect_eq(choose(&sticky, PARTITION_ANY, NULL, 1), 0);
}

Test(consistent_hash, moves_only_into_the_new_bucket)
{
    enum { KEYS = 20000, BUCKETS = 10 };
    int moved = 0;
    for (uint64_t key = 0; key < KEYS; key++) {
        int32_t before = consistent_hash_bucket(sl_hash64_mix(key), BUCKETS);
        int32_t after = consistent_hash_bucket(sl_hash64_mix(key), BUCKETS + 1);
        cr_assert(before >= 0 && before < BUCKETS);
        cr_assert(after == before || after == BUCKETS);
        moved += after != before;
    }
    cr_expect(moved > KEYS / 11 * 8 / 10 && moved < KEYS / 11 * 12 / 10, "%d moved", moved);
}

Test(consistent_hash, never_changes_its_answers)
{
    cr_expect_eq(consistent_hash_bucket(0, 1), 0);
    cr_expect_eq(consistent_hash_bucket(42, 57), 43);
    cr_expect_eq(consistent_hash_bucket(0xdead10cc, 666), 361);
    cr_expect_eq(consistent_hash_key(sl_bytes_of_text("abc"), 1), 0);
}
