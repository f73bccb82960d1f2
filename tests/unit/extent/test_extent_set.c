/* test_extent_set.c: life of the live extents: restart, reads, pins, dropping, ids. */
#include "extent_fixture.h"

#include "base/bytes.h"
#include "extent/extent_block.h"
#include "extent/extent_file.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* Its footer, read from the simulated disk; borrowed from there. */
static struct extent_footer footer_of(struct fixture *fixture, uint64_t id)
{
    size_t size;
    const uint8_t *bytes = fixture_bytes(fixture, id, &size);
    struct extent_trailer trailer;
    struct extent_footer footer;
    cr_assert_not_null(bytes);
    sl_err err = extent_trailer_decode(bytes + size - EXTENT_TRAILER, size, &trailer);
    cr_assert_eq(err, SLUICE_OK);
    err = extent_footer_check(
        &trailer, sl_bytes_of(bytes + trailer.footer_position, (size_t)trailer.footer_size),
        &footer);
    cr_assert_eq(err, SLUICE_OK);
    return footer;
}

static void hold_all(struct fixture *fixture, uint64_t id)
{
    struct extent_footer footer = footer_of(fixture, id);
    for (uint32_t i = 0; i < footer.trailer.block_count; i++) {
        struct extent_block block = extent_footer_block(&footer, i);
        struct wal_place place = fixture_place(id, &block);
        extent_set_hold(fixture->set, &place);
    }
}

static void release_all(struct fixture *fixture, uint64_t id)
{
    struct extent_footer footer = footer_of(fixture, id);
    for (uint32_t i = 0; i < footer.trailer.block_count; i++) {
        struct extent_block block = extent_footer_block(&footer, i);
        struct wal_place place = fixture_place(id, &block);
        extent_set_release(fixture->set, &place);
    }
}

static struct wal_place first_place(struct fixture *fixture, uint64_t id)
{
    struct extent_footer footer = footer_of(fixture, id);
    struct extent_block block = extent_footer_block(&footer, 0);
    return fixture_place(id, &block);
}

static void blocks_check(struct fixture *fixture, uint64_t id)
{
    struct extent_footer footer = footer_of(fixture, id);
    for (uint32_t i = 0; i < footer.trailer.block_count; i++) {
        struct extent_block block = extent_footer_block(&footer, i);
        struct wal_place place = fixture_place(id, &block);
        uint8_t *bytes = malloc(block.size);
        sl_err err = fixture_read(fixture, &place, bytes);
        cr_assert_eq(err, SLUICE_OK, "%d", err);
        err = extent_block_check(&block, sl_bytes_of(bytes, block.size));
        cr_assert_eq(err, SLUICE_OK);
        free(bytes);
    }
}

Test(extent_set, finds_and_reads_after_a_restart_what_was_written)
{
    struct fixture *fixture = fixture_new();
    fixture_start(fixture);
    struct extent_item first = fixture_extent(fixture, 3, 20, 5000);
    struct extent_item second = fixture_extent(fixture, 1, 200, 10000);
    fixture_power_cut(fixture);
    fixture_start(fixture);
    cr_assert_eq(fixture->found_count, 2);
    blocks_check(fixture, first.id);
    blocks_check(fixture, second.id);
    struct extent_set_status status;
    extent_set_status_get(fixture->set, &status);
    cr_assert_eq(status.extent_count, 2);
    cr_assert_eq(status.file_bytes, first.file_size + second.file_size);
    cr_assert_eq(status.pins, 0);
    fixture_free(fixture);
}

Test(extent_set, removes_at_load_the_files_that_no_item_names)
{
    struct fixture *fixture = fixture_new();
    size_t size;
    fixture_start(fixture);
    struct extent_item first = fixture_extent(fixture, 1, 2, 100);
    struct extent_item second = fixture_extent(fixture, 1, 2, 100);
    fixture->item_count = 1; /* the second one's frame was lost */
    fixture_kill(fixture);
    fixture_start(fixture);
    cr_assert_not_null(fixture_bytes(fixture, first.id, &size));
    cr_assert_null(fixture_bytes(fixture, second.id, &size));
    cr_assert_gt(extent_set_next_id(fixture->set), second.id);
    fixture_free(fixture);
}

Test(extent_set, gives_dead_extents_once_and_removes_them_when_they_are_dropped)
{
    struct fixture *fixture = fixture_new();
    uint64_t ids[4];
    size_t size;
    fixture_start(fixture);
    struct extent_item item = fixture_extent(fixture, 2, 5, 1000);
    hold_all(fixture, item.id);
    cr_assert_eq(extent_set_take_dead(fixture->set, ids, 4), 0);
    release_all(fixture, item.id);
    cr_assert_eq(extent_set_take_dead(fixture->set, ids, 4), 1);
    cr_assert_eq(ids[0], item.id);
    cr_assert_eq(extent_set_take_dead(fixture->set, ids, 4), 0);
    extent_set_drop(fixture->set, item.id);
    fixture_settle(fixture);
    cr_assert_null(fixture_bytes(fixture, item.id, &size));
    fixture_free(fixture);
}

Test(extent_set, keeps_a_dropped_file_until_its_last_pin_goes)
{
    struct fixture *fixture = fixture_new();
    uint8_t bytes[4096];
    size_t size;
    fixture_start(fixture);
    struct extent_item item = fixture_extent(fixture, 1, 1, 100);
    struct wal_place place = first_place(fixture, item.id);
    bool pinned = extent_set_pin(fixture->set, item.id);
    cr_assert(pinned);
    extent_set_drop(fixture->set, item.id);
    fixture_settle(fixture);
    pinned = extent_set_pin(fixture->set, item.id);
    cr_assert_not(pinned, "it is gone for everybody else");
    cr_assert_eq(extent_set_read(fixture->set, &place, bytes), SLUICE_OK);
    cr_assert_not_null(fixture_bytes(fixture, item.id, &size));
    extent_set_unpin(fixture->set, item.id);
    fixture_settle(fixture);
    cr_assert_null(fixture_bytes(fixture, item.id, &size));
    cr_assert_eq(extent_set_read_cached(fixture->set, &place, bytes), SLUICE_E_NOT_FOUND);
    fixture_free(fixture);
}

/* Twice as many as files may be open. */
static void start_with_eight(struct fixture *fixture, struct extent_item ret_items[8])
{
    fixture_start(fixture);
    for (uint32_t i = 0; i < 8; i++)
        ret_items[i] = fixture_extent(fixture, 1, 1, 100);
}

Test(extent_set, closes_the_files_unused_for_longest_and_opens_them_when_read)
{
    struct fixture *fixture = fixture_new();
    struct extent_set_status status;
    uint8_t bytes[4096];
    struct extent_item items[8];
    start_with_eight(fixture, items);
    fixture_settle(fixture);
    extent_set_status_get(fixture->set, &status);
    cr_assert_eq(status.open_files, 4);
    struct wal_place place = first_place(fixture, items[0].id);
    cr_assert_eq(extent_set_read_cached(fixture->set, &place, bytes), SLUICE_E_WOULD_BLOCK);
    cr_assert_eq(fixture_read(fixture, &place, bytes), SLUICE_OK);
    cr_assert_eq(extent_set_read_cached(fixture->set, &place, bytes), SLUICE_OK);
    fixture_settle(fixture);
    extent_set_status_get(fixture->set, &status);
    cr_assert_eq(status.open_files, 4);
    place = first_place(fixture, items[4].id);
    cr_assert_eq(extent_set_read_cached(fixture->set, &place, bytes), SLUICE_E_WOULD_BLOCK,
                 "it was unused for longest");
    fixture_free(fixture);
}

Test(extent_set, a_start_leaves_the_files_of_the_youngest_open)
{
    struct fixture *fixture = fixture_new();
    struct extent_set_status status;
    uint8_t bytes[4096];
    struct extent_item items[8];
    start_with_eight(fixture, items);
    fixture_kill(fixture);
    fixture_start(fixture);
    extent_set_status_get(fixture->set, &status);
    cr_assert_eq(status.open_files, 4);
    struct wal_place place = first_place(fixture, items[3].id);
    cr_assert_eq(extent_set_read_cached(fixture->set, &place, bytes), SLUICE_E_WOULD_BLOCK);
    place = first_place(fixture, items[4].id);
    cr_assert_eq(extent_set_read_cached(fixture->set, &place, bytes), SLUICE_OK);
    fixture_free(fixture);
}

Test(extent_set, keeps_the_file_of_a_pinned_extent_open_however_many_there_are)
{
    struct fixture *fixture = fixture_new();
    struct extent_set_status status;
    fixture->open_files_max = 1;
    fixture_start(fixture);
    struct extent_item item = fixture_extent(fixture, 1, 1, 100);
    bool pinned = extent_set_pin(fixture->set, item.id);
    cr_assert(pinned);
    const struct sl_file *file = extent_set_file(fixture->set, item.id);
    cr_assert_not_null(file);
    for (uint32_t i = 0; i < 3; i++)
        fixture_extent(fixture, 1, 1, 100);
    fixture_settle(fixture);
    cr_assert_eq(extent_set_file(fixture->set, item.id), file);
    extent_set_unpin(fixture->set, item.id);
    fixture_settle(fixture);
    extent_set_status_get(fixture->set, &status);
    cr_assert_eq(status.open_files, 1);
    fixture_free(fixture);
}

Test(extent_set, reads_nothing_outside_the_batches)
{
    struct fixture *fixture = fixture_new();
    uint8_t bytes[64];
    fixture_start(fixture);
    struct extent_item item = fixture_extent(fixture, 1, 1, 100);
    const struct wal_place places[] = {
        {item.id | WAL_PLACE_EXTENT, EXTENT_HEADER - 1, 10},
        {item.id | WAL_PLACE_EXTENT, EXTENT_HEADER + item.bytes - 9, 10},
        {item.id | WAL_PLACE_EXTENT, UINT64_MAX - 4, 10},
    };
    for (size_t i = 0; i < SL_COUNT_OF(places); i++) {
        cr_assert_eq(extent_set_read_cached(fixture->set, &places[i], bytes), SLUICE_E_CORRUPT);
        cr_assert_eq(fixture_read(fixture, &places[i], bytes), SLUICE_E_CORRUPT);
    }
    fixture_free(fixture);
}

static bool on_each(void *arg, const struct extent_item *item, uint64_t live_bytes)
{
    uint64_t *sum = arg;
    *sum = *sum * 10 + item->id + live_bytes;
    return item->id < 3;
}

Test(extent_set, walks_the_live_ones_in_order_until_it_is_told_to_stop)
{
    struct fixture *fixture = fixture_new();
    uint64_t sum = 0;
    fixture_start(fixture);
    for (uint32_t i = 0; i < 4; i++)
        fixture_extent(fixture, 1, 1, 100);
    bool pinned = extent_set_pin(fixture->set, 2);
    cr_assert(pinned);
    extent_set_drop(fixture->set, 2); /* there for its pin only */
    extent_set_each(fixture->set, on_each, &sum);
    cr_assert_eq(sum, 13);
    extent_set_unpin(fixture->set, 2);
    fixture_free(fixture);
}

static sl_err snapshot_add(void *arg, uint16_t kind, uint8_t version, struct sl_bytes payload)
{
    struct fixture *fixture = arg;
    struct fixture_item *item = &fixture->items[fixture->item_count++];
    *item = (struct fixture_item){.kind = kind, .version = version, .size = payload.size};
    memcpy(item->payload, payload.data, payload.size);
    return SLUICE_OK;
}

Test(extent_set, never_gives_an_id_twice_across_a_snapshot)
{
    struct fixture *fixture = fixture_new();
    fixture_start(fixture);
    struct extent_item first = fixture_extent(fixture, 1, 1, 100);
    struct extent_item last = fixture_extent(fixture, 1, 1, 100);
    extent_set_drop(fixture->set, last.id);
    fixture_settle(fixture);
    fixture->item_count = 0;
    struct extent_walk walk;
    bool done = false;
    extent_walk_begin(fixture->set, &walk);
    while (!done)
        cr_assert_eq(extent_walk_next(fixture->set, &walk, 1, snapshot_add, fixture, &done),
                     SLUICE_OK);
    fixture_kill(fixture);
    fixture_start(fixture);
    cr_assert_eq(fixture->found_count, 1);
    cr_assert_gt(extent_set_next_id(fixture->set), last.id);
    blocks_check(fixture, first.id);
    fixture_free(fixture);
}

Test(extent_set, applies_drops_and_refuses_an_id_that_is_there)
{
    struct fixture *fixture = fixture_new();
    fixture_start(fixture);
    struct extent_item item = fixture_extent(fixture, 1, 1, 100);
    fixture_log_drop(fixture, item.id);
    fixture_kill(fixture);
    fixture_start(fixture);
    cr_assert_eq(fixture->found_count, 0);
    fixture_kill(fixture);
    fixture->item_count = 0;
    fixture_log_extent(fixture, &item);
    fixture_log_extent(fixture, &item);
    cr_assert_eq(fixture_open(fixture), SLUICE_E_CORRUPT);
    fixture_free(fixture);
}

Test(extent_set, counts_an_extent_as_dead_that_nobody_holds_after_load)
{
    struct fixture *fixture = fixture_new();
    uint64_t ids[4];
    fixture_start(fixture);
    struct extent_item item = fixture_extent(fixture, 2, 2, 100);
    fixture_kill(fixture);
    fixture->hold_found = true;
    fixture_start(fixture);
    cr_assert_eq(extent_set_take_dead(fixture->set, ids, 4), 0);
    fixture_kill(fixture);
    fixture->hold_found = false;
    fixture_start(fixture);
    cr_assert_eq(extent_set_take_dead(fixture->set, ids, 4), 1);
    cr_assert_eq(ids[0], item.id);
    fixture_free(fixture);
}

static void on_stopped(void *arg)
{
    bool *stopped = arg;
    *stopped = true;
}

Test(extent_set, stops_when_its_jobs_have_ended)
{
    struct fixture *fixture = fixture_new();
    bool stopped = false;
    size_t size;
    fixture_start(fixture);
    struct extent_item item = fixture_extent(fixture, 1, 1, 100);
    extent_set_drop(fixture->set, item.id);
    extent_set_stop(fixture->set, on_stopped, &stopped);
    cr_assert_not(stopped);
    fixture_settle(fixture);
    cr_assert(stopped);
    cr_assert_null(fixture_bytes(fixture, item.id, &size));
    fixture_free(fixture);
}

Test(extent_set, survives_a_power_cut_with_a_job_under_way)
{
    struct fixture *fixture = fixture_new();
    fixture_start(fixture);
    for (uint32_t i = 0; i < 8; i++)
        fixture_extent(fixture, 1, 1, 100);
    extent_set_drop(fixture->set, 3);
    fixture_power_cut(fixture);
    fixture_start(fixture); /* the drop was never logged: extent 3 is alive */
    cr_assert_eq(fixture->found_count, 8);
    fixture_free(fixture);
}
