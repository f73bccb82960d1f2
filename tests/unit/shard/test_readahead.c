/* test_readahead.c: who is read ahead of, and how far. */
#include "shard_fixture.h"

#include "extent/extent_set.h"

#include <criterion/criterion.h>

#define NOW        1000000
#define PARTITIONS 40

static struct fixture f;
static struct fetched fetched;

static int64_t fill(int32_t partition, int batches)
{
    int64_t end = 0;
    for (int i = 0; i < batches; i++) {
        struct sluice_produce_result result = fixture_produce(&f, "t", partition, 500, NOW);
        cr_assert_eq(result.status, SLUICE_OK);
        end = result.base_offset + 500;
    }
    return end;
}

static int64_t drain(int32_t partition, int64_t end)
{
    int64_t at = 0;
    while (at < end) {
        fixture_fetch(&f, "t", partition, at, &fetched);
        cr_assert_eq(fetched.result.status, SLUICE_OK);
        cr_assert_gt(fetched.next_offset, at);
        at = fetched.next_offset;
    }
    return at;
}

static const struct readahead *ahead(void)
{
    return &fixture_home(&f)->readahead;
}

static void settle(void)
{
    for (int i = 0; i < 10000 && sl_os_sim_step(f.os); i++) {
    }
    struct extent_set_status status;
    extent_set_status_get(fixture_home(&f)->extents, &status);
    cr_assert_eq(status.pins, 0, "what was read ahead is let go");
}

static void open_filled(bool cold, int32_t partitions, int batches)
{
    fixture_open_small(&f, 21, 1);
    fixture_create_topic(&f, "t", PARTITIONS, NULL, NULL);
    for (int32_t p = 0; p < partitions; p++) {
        cr_assert_eq(fill(p, batches), batches * 500);
    }
    f.faults.reads_are_cold = cold;
    fixture_restart(&f, false);
}

Test(readahead, goes_before_a_reader_that_waits_for_the_disk_once_for_each_byte)
{
    open_filled(true, 1, 100);
    drain(0, 50000);
    uint64_t bytes = ahead()->bytes;
    cr_assert_gt(bytes, 0);
    cr_assert_lt(bytes, fixture_home(&f)->bytes_out * 3 / 2, "%lu", (unsigned long)bytes);
    cr_assert_eq(ahead()->reader_count, 1);
    settle();
    fixture_close(&f);
}

Test(readahead, of_who_looks_once_goes_a_little)
{
    open_filled(true, 1, 200);
    fixture_fetch(&f, "t", 0, 0, &fetched);
    settle();
    cr_assert_gt(ahead()->bytes, 0);
    cr_assert_leq(ahead()->bytes, READAHEAD_START_BYTES + fixture_home(&f)->bytes_out);
    cr_assert_eq(ahead()->job_count, 0);
    fixture_close(&f);
}

Test(readahead, of_many_readers_takes_few_helpers_at_once)
{
    open_filled(true, PARTITIONS, 4);
    for (int32_t p = 0; p < PARTITIONS; p++) {
        fixture_fetch(&f, "t", p, 0, &fetched);
        cr_assert_leq(ahead()->job_count, READAHEAD_JOBS_MAX);
    }
    settle();
    cr_assert_eq(ahead()->job_count, 0);
    fixture_close(&f);
}

Test(readahead, leaves_those_alone_who_find_all_in_memory)
{
    open_filled(false, 1, 100);
    drain(0, 50000);
    cr_assert_eq(ahead()->bytes, 0);
    cr_assert_eq(ahead()->reader_count, 0);
    fixture_close(&f);
}

Test(readahead, of_many_readers_the_idlest_gives_its_place_away)
{
    open_filled(true, PARTITIONS, 4);
    for (int32_t p = 0; p < PARTITIONS; p++) {
        fixture_fetch(&f, "t", p, 0, &fetched);
        settle();
    }
    cr_assert_eq(ahead()->reader_count, READAHEAD_READERS_MAX);
    const struct partition *first =
        partition_find(catalog_by_name(fixture_home(&f)->catalog, sl_bytes_of_text("t")), 0);
    for (uint32_t i = 0; i < READAHEAD_READERS_MAX; i++) {
        cr_assert_neq(ahead()->readers[i].partition, first);
    }
    fixture_close(&f);
}
