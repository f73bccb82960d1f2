/* test_offset_classes.c: groups' offsets on every log: the same suite on a disk and without one. */
#include "shard_fixture.h"

#include <criterion/criterion.h>
#include <string.h>

#define NOW INT64_C(1700000000000)

static struct fixture f;

static void commit(const char *group, const char *topic, int32_t partition, int64_t offset)
{
    fixture_commit_offset(&f, group, topic, partition, offset);
}

static struct committed fetch(const char *group)
{
    return fixture_committed(&f, group);
}

/* clang-format off */
#define EACH_BROKER(name)                                                               \
    static void name(void);                                                             \
    Test(offsets_on_disk, name)                                                         \
    {                                                                                   \
        fixture_open(&f, 21, 2);                                                        \
        name();                                                                         \
        fixture_close(&f);                                                              \
    }                                                                                   \
    Test(offsets_without_disk, name)                                                    \
    {                                                                                   \
        fixture_open_without_disk(&f, 21, 2);                                           \
        name();                                                                         \
        fixture_close(&f);                                                              \
    }                                                                                   \
    static void name(void)
/* clang-format on */

EACH_BROKER(what_was_committed_is_fetched)
{
    fixture_create_topic(&f, "t", 2, NULL, NULL);
    cr_assert_eq(fetch("g").count, 0);
    commit("g", "t", 0, 42);
    cr_assert_eq(fetch("g").offset, 42);
    cr_assert_eq(fetch("other").count, 0);
}

EACH_BROKER(the_last_commit_holds_for_each_partition)
{
    fixture_create_topic(&f, "t", 2, NULL, NULL);
    for (int64_t i = 1; i <= 50; i++) {
        commit("g", "t", (int32_t)(i % 2), i);
    }
    commit("g", "t", 0, 7);
    commit("g", "t", 1, 7);
    cr_assert_eq(fetch("g").count, 2);
    cr_assert_eq(fetch("g").offset, 7, "also when it goes back");
}

EACH_BROKER(offsets_of_a_deleted_topic_are_gone)
{
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    fixture_create_topic(&f, "u", 1, NULL, NULL);
    commit("g", "t", 0, 1);
    commit("g", "u", 0, 2);
    fixture_delete_topic(&f, "t");
    cr_assert_eq(fetch("g").count, 1);
    cr_assert_eq(fetch("g").offset, 2);
}

static void expire_all(struct fixture *fixture, void *arg)
{
    (void)arg;
    for (uint32_t i = 0; i < fixture->set.count; i++) {
        groups_expire(fixture->set.shards[i]);
    }
}

EACH_BROKER(offsets_of_a_group_that_is_empty_for_long_expire)
{
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    commit("g", "t", 0, 1);
    fixture_at_home(&f, expire_all, NULL);
    for (int i = 0; i < 100; i++) {
        sl_os_sim_step(f.os);
    }
    cr_assert_eq(fetch("g").count, 1, "not yet");
    f.settings.offset_retention_ms = -60000; /* before now */
    fixture_at_home(&f, expire_all, NULL);
    for (int i = 0; i < 20000 && fetch("g").count > 0; i++) {
        sl_os_sim_step(f.os);
    }
    cr_assert_eq(fetch("g").count, 0);
}

EACH_BROKER(offsets_are_committed_while_the_log_is_full)
{
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    sluice_status status = SLUICE_OK;
    for (int i = 0; i < 20000 && status == SLUICE_OK && f.no_disk; i++) {
        status = fixture_produce(&f, "t", 0, 1000, NOW).status;
    }
    commit("g", "t", 0, 5);
    cr_assert_eq(fetch("g").offset, 5);
}

Test(offsets_on_disk, a_restart_keeps_them)
{
    fixture_open(&f, 22, 2);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    commit("g", "t", 0, 42);
    fixture_restart(&f, true);
    cr_assert_eq(fetch("g").offset, 42);
    fixture_close(&f);
}

Test(offsets_without_disk, a_restart_forgets_them)
{
    fixture_open_without_disk(&f, 22, 2);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    commit("g", "t", 0, 42);
    fixture_restart(&f, false);
    cr_assert_eq(fetch("g").count, 0);
    fixture_close(&f);
}
