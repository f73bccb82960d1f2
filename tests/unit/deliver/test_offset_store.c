/* test_offset_store.c: committed offsets and their items. */
#include "base/bytes.h"
#include "deliver/offset_store.h"

#include <criterion/criterion.h>

static struct offset_store *store;

static void setup(void)
{
    store = offset_store_new(0);
}

static void teardown(void)
{
    store = offset_store_free(store);
}

TestSuite(offset_store, .init = setup, .fini = teardown);

static struct offset_commit commit_make(const char *group, uint8_t topic, uint32_t partition,
                                        int64_t offset)
{
    return (struct offset_commit){
        .group = sl_bytes_of_text(group),
        .topic = {{topic}},
        .partition = partition,
        .leader_epoch = 3,
        .offset = offset,
        .time_ms = 1000,
        .metadata = sl_bytes_of_text("note"),
    };
}

static void commit(struct offset_store *to, struct offset_commit what)
{
    uint8_t payload[256];
    size_t size = offset_commit_item_size(&what);
    cr_assert_leq(size, sizeof payload);
    cr_assert_eq(offset_store_check(to, &what), SLUICE_OK);
    offset_commit_item_encode(&what, payload);
    cr_assert_eq(offset_store_apply(to, WAL_ITEM_OFFSET_COMMIT, 1, sl_bytes_of(payload, size)),
                 SLUICE_OK);
}

static void forget(struct offset_forget what)
{
    uint8_t payload[256];
    size_t size = offset_forget_item_size(&what);
    offset_forget_item_encode(&what, payload);
    cr_assert_eq(offset_store_apply(store, WAL_ITEM_OFFSET_FORGET, 1, sl_bytes_of(payload, size)),
                 SLUICE_OK);
}

static bool has(const char *group, uint8_t topic, uint32_t partition)
{
    struct offset_commit found;
    struct sl_uuid id = {{topic}};
    return offset_store_get(store, sl_bytes_of_text(group), &id, partition, &found);
}

Test(offset_store, gives_back_what_was_committed_last)
{
    struct offset_commit found;
    struct sl_uuid id = {{1}};
    commit(store, commit_make("g", 1, 2, 10));
    commit(store, commit_make("g", 1, 2, 20));
    cr_assert(offset_store_get(store, sl_bytes_of_text("g"), &id, 2, &found));
    cr_assert_eq(found.offset, 20);
    cr_assert_eq(found.leader_epoch, 3);
    cr_assert_eq(found.time_ms, 1000);
    cr_assert(sl_bytes_equal(found.metadata, sl_bytes_of_text("note")));
    cr_assert_eq(offset_store_count(store), 1);
    cr_assert_not(has("g", 1, 3));
    cr_assert_not(has("h", 1, 2));
    cr_assert_not(has("g", 2, 2));
}

Test(offset_store, forgets_a_partition_a_group_or_a_topic)
{
    commit(store, commit_make("g", 1, 0, 1));
    commit(store, commit_make("g", 1, 1, 1));
    commit(store, commit_make("g", 2, 0, 1));
    commit(store, commit_make("h", 1, 0, 1));
    commit(store, commit_make("h", 2, 0, 1));
    forget((struct offset_forget){.what = OFFSET_FORGET_PARTITION,
                                  .group = sl_bytes_of_text("g"),
                                  .topic = {{1}},
                                  .partition = 1});
    cr_assert_not(has("g", 1, 1));
    cr_assert_eq(offset_store_group_count(store, sl_bytes_of_text("g")), 2);
    forget((struct offset_forget){.what = OFFSET_FORGET_TOPIC, .topic = {{1}}});
    cr_assert_not(has("g", 1, 0));
    cr_assert_not(has("h", 1, 0));
    cr_assert_eq(offset_store_count(store), 2);
    forget((struct offset_forget){.what = OFFSET_FORGET_GROUP, .group = sl_bytes_of_text("g")});
    cr_assert_not(has("g", 2, 0));
    cr_assert(has("h", 2, 0));
    forget((struct offset_forget){.what = OFFSET_FORGET_GROUP, .group = sl_bytes_of_text("g")});
}

static sl_err add_to_other(void *arg, uint16_t kind, uint8_t version, struct sl_bytes payload)
{
    return offset_store_apply(arg, kind, version, payload);
}

Test(offset_store, a_snapshot_makes_an_equal_store)
{
    struct offset_store *other = offset_store_new(0);
    struct offset_commit found;
    struct sl_uuid id = {{77}};
    for (uint32_t i = 0; i < 500; i++)
        commit(store, commit_make(i % 2 == 0 ? "even" : "odd", (uint8_t)(i % 100), i, i));
    uint32_t at = 0;
    while (at != UINT32_MAX)
        cr_assert_eq(offset_store_snapshot(store, &at, 10, add_to_other, other), SLUICE_OK);
    cr_assert_eq(offset_store_count(other), 500);
    cr_assert(offset_store_get(other, sl_bytes_of_text("odd"), &id, 177, &found));
    cr_assert_eq(found.offset, 177);
    offset_store_free(other);
}

Test(offset_store, refuses_a_new_offset_at_its_bound_but_keeps_updating)
{
    struct offset_store *small = offset_store_new(1);
    struct offset_commit other = commit_make("g", 1, 1, 1);
    commit(small, commit_make("g", 1, 0, 1));
    cr_assert_eq(offset_store_check(small, &other), SLUICE_E_LIMIT);
    commit(small, commit_make("g", 1, 0, 2));
    offset_store_free(small);
}

static int64_t idle_of(void *arg, struct sl_bytes group)
{
    (void)arg;
    return group.data[0] == 'i' ? 500 : -1;
}

static void count_forget(void *arg, const struct offset_forget *what)
{
    (void)arg;
    cr_assert_eq(what->what, OFFSET_FORGET_PARTITION);
    cr_assert_eq(what->group.data[0], 'i');
}

static uint32_t expired(int64_t wall_ms, int64_t retention_ms, uint32_t count_max)
{
    struct offset_expiry expiry = {.wall_ms = wall_ms,
                                   .retention_ms = retention_ms,
                                   .idle_ms = idle_of,
                                   .forget = count_forget,
                                   .count_max = count_max};
    return offset_store_expired(store, &expiry);
}

Test(offset_store, expires_old_offsets_of_groups_that_are_empty_for_as_long)
{
    struct offset_commit young = commit_make("idle", 1, 1, 1);
    young.time_ms = 1400;
    commit(store, commit_make("idle", 1, 0, 1));
    commit(store, young);
    commit(store, commit_make("busy", 1, 0, 1));
    cr_assert_eq(expired(1600, 500, 10), 1);
    cr_assert_eq(expired(1600, 501, 10), 0);
    cr_assert_eq(expired(9999, 500, 1), 1);
}

Test(offset_store, refuses_damaged_and_newer_items)
{
    uint8_t payload[256] = {0};
    struct offset_commit what = commit_make("g", 1, 0, 1);
    size_t size = offset_commit_item_size(&what);
    offset_commit_item_encode(&what, payload);
    for (size_t cut = 0; cut < size; cut++)
        cr_assert_eq(
            offset_store_apply(store, WAL_ITEM_OFFSET_COMMIT, 1, sl_bytes_of(payload, cut)),
            SLUICE_E_CORRUPT);
    cr_assert_eq(
        offset_store_apply(store, WAL_ITEM_OFFSET_COMMIT, 1, sl_bytes_of(payload, size + 1)),
        SLUICE_E_CORRUPT);
    cr_assert_eq(offset_store_apply(store, WAL_ITEM_OFFSET_COMMIT, 2, sl_bytes_of(payload, size)),
                 SLUICE_E_NEWER_FORMAT);
    cr_assert_eq(offset_store_apply(store, WAL_ITEM_OFFSET_FORGET, 1, sl_bytes_of(payload, 3)),
                 SLUICE_E_CORRUPT);
    cr_assert_eq(offset_store_count(store), 0);
}
