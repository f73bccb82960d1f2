/* test_snapshot.c: a checkpoint of a whole shard that is taken in slices of one thing, while topics
 * go and come back, records arrive and are removed. */
#include "shard_fixture.h"

#include <criterion/criterion.h>
#include <string.h>

#define PARTITIONS 40

static struct fixture fixture;

static void setup(void)
{
    fixture_open(&fixture, 11, 1);
    fixture.snapshot_slice = 1;
    fixture.wal.checkpoint_chunk_bytes = 1; /* between two slices time passes */
    fixture_create_topic(&fixture, "kept", PARTITIONS, NULL, NULL);
    fixture_create_topic(&fixture, "again", 3, "retention.ms", "5000");
    for (int32_t i = 0; i < PARTITIONS; i++)
        cr_assert_eq(fixture_produce(&fixture, "kept", i, 1, 100).status, SLUICE_OK);
    cr_assert_eq(fixture_produce(&fixture, "again", 0, 5, 100).status, SLUICE_OK);
    fixture_restart(&fixture, false); /* a checkpoint is asked for at each start */
}

static void teardown(void)
{
    fixture_close(&fixture);
}

TestSuite(snapshot, .init = setup, .fini = teardown);

static bool is_under_way(void)
{
    const struct snapshot *snapshot = &fixture_home(&fixture)->snapshot;
    return snapshot->stage > SNAPSHOT_TOPICS && snapshot->stage < SNAPSHOT_STAGE_COUNT;
}

static void into_the_walk(void)
{
    while (!is_under_way())
        cr_assert(sl_os_sim_step(fixture.os));
}

static void to_its_end(void)
{
    while (fixture_home(&fixture)->snapshot.stage < SNAPSHOT_STAGE_COUNT)
        cr_assert(sl_os_sim_step(fixture.os));
    for (int i = 0; i < 200; i++)
        sl_os_sim_step(fixture.os);
}

static struct topic *topic_of(const char *name)
{
    return catalog_by_name(fixture_home(&fixture)->catalog, sl_bytes_of_text(name));
}

Test(snapshot, a_topic_that_goes_and_comes_back_under_its_name_meanwhile_is_the_new_one)
{
    into_the_walk(); /* the old one is among the items */
    fixture_delete_topic(&fixture, "again");
    fixture_create_topic(&fixture, "again", 2, NULL, NULL);
    cr_assert_eq(fixture_produce(&fixture, "again", 1, 3, 200).base_offset, 0);
    struct sl_uuid id = topic_of("again")->id;
    to_its_end();
    fixture_restart(&fixture, true);
    cr_assert_gt(fixture_home(&fixture)->recovery.checkpoint_lsn, 0);
    const struct topic *topic = topic_of("again");
    cr_assert_not_null(topic);
    cr_assert(sl_uuid_equal(&topic->id, &id));
    cr_assert_eq(topic->partition_count, 2);
    cr_assert_eq(fixture_offset(&fixture, "again", 1, -1).offset, 3);
    cr_assert_eq(fixture_offset(&fixture, "again", 0, -1).offset, 0);
}

Test(snapshot, records_that_arrive_meanwhile_are_there_once)
{
    into_the_walk();
    for (int32_t i = PARTITIONS; i-- > 0;)
        cr_assert_eq(fixture_produce(&fixture, "kept", i, 2, 300).base_offset, 1);
    to_its_end();
    fixture_restart(&fixture, true);
    for (int32_t i = 0; i < PARTITIONS; i++) {
        struct fetched got;
        cr_assert_eq(fixture_offset(&fixture, "kept", i, -1).offset, 3);
        fixture_fetch(&fixture, "kept", i, 0, &got);
        cr_assert_eq(got.records, 3);
        cr_assert_eq(got.next_offset, 3);
    }
}

/* The second batch of each producer arrives while the walk is somewhere among them. */
Test(snapshot, producers_that_go_on_meanwhile_are_remembered_once)
{
    uint8_t bytes[512];
    struct produced produced;
    for (int round = 0; round < 2; round++) {
        for (int32_t i = 0; i < PARTITIONS; i++) {
            size_t size = fixture_batch(bytes, sizeof bytes, 1, 400, 7, 0, round);
            produced = (struct produced){.done = false};
            fixture_produce_start(&fixture, "kept", i, (struct sluice_bytes){bytes, size},
                                  &produced);
            fixture_run_until(&fixture, &produced.done);
            cr_assert_eq(produced.result.status, SLUICE_OK);
        }
        if (round == 0) {
            fixture_restart(&fixture, false);
            into_the_walk();
        }
    }
    to_its_end();
    fixture_restart(&fixture, true);
    for (int round = 0; round < 3; round++) {
        for (int32_t i = 0; i < PARTITIONS; i++) {
            size_t size = fixture_batch(bytes, sizeof bytes, 1, 400, 7, 0, round);
            produced = (struct produced){.done = false};
            fixture_produce_start(&fixture, "kept", i, (struct sluice_bytes){bytes, size},
                                  &produced);
            fixture_run_until(&fixture, &produced.done);
            cr_assert_eq(produced.result.status, SLUICE_OK);
            cr_assert_eq(produced.result.base_offset, 1 + round, "sent again, or new");
        }
    }
}
