/* test_stream_index.c: where records lie, by offset and by time. */
#include "index/stream_index.h"

#include <criterion/criterion.h>

static struct stream_index stream;

static void setup(void)
{
    stream_index_init(&stream);
}

static void teardown(void)
{
    stream_index_fini(&stream);
}

TestSuite(stream_index, .init = setup, .fini = teardown);

static sl_err add(int64_t base, int64_t last, int64_t time, uint64_t segment, uint64_t position,
                  uint32_t size, int32_t epoch)
{
    const struct stream_batch batch = {.base_offset = base,
                                       .last_offset = last,
                                       .max_timestamp = time,
                                       .place = {segment, position, size},
                                       .leader_epoch = epoch};
    return stream_index_append(&stream, &batch);
}

/* Ten records each, far apart on disk: runs 0-9, 10-19, 20-29 with times 100, 90, 300. */
static void three_runs(void)
{
    cr_assert_eq(add(0, 9, 100, 1, 4096, 500, 1), SLUICE_OK);
    cr_assert_eq(add(10, 19, 90, 2, 4096, 500, 1), SLUICE_OK);
    cr_assert_eq(add(20, 29, 300, 3, 4096, 500, 3), SLUICE_OK);
}

Test(stream_index, an_idle_stream_takes_at_most_120_bytes_and_no_memory)
{
    cr_assert_leq(sizeof(struct stream_index), 120);
    cr_assert_null(stream.runs);
}

Test(stream_index, the_end_is_the_next_offset)
{
    cr_assert_eq(stream_index_end(&stream), 0);
    three_runs();
    cr_assert_eq(stream_index_start(&stream), 0);
    cr_assert_eq(stream_index_end(&stream), 30);
    cr_assert_eq(stream_index_bytes(&stream), 1500);
}

Test(stream_index, an_offset_is_found_in_its_run_or_the_next)
{
    struct stream_run run;
    cr_assert_eq(add(5, 9, 1, 1, 4096, 10, 1), SLUICE_OK);
    cr_assert_eq(add(20, 29, 1, 1, 9000, 10, 1), SLUICE_OK);
    cr_assert(stream_index_find(&stream, 7, &run));
    cr_assert_eq(run.base_offset, 5);
    cr_assert(stream_index_find(&stream, 12, &run));
    cr_assert_eq(run.base_offset, 20, "offsets may have holes");
    cr_assert_not(stream_index_find(&stream, 30, &run));
}

Test(stream_index, batches_that_lie_together_become_one_run)
{
    struct stream_run run;
    cr_assert_eq(add(0, 4, 10, 1, 4096, 100, 1), SLUICE_OK);
    cr_assert_eq(add(5, 9, 30, 1, 4196, 100, 1), SLUICE_OK);
    cr_assert_eq(add(10, 14, 20, 1, 4296, 100, 1), SLUICE_OK);
    cr_assert_eq(stream.count - stream.first, 1);
    cr_assert(stream_index_find(&stream, 7, &run));
    cr_assert_eq(run.place.size, 300);
    cr_assert_eq(run.last_offset, 14);
    cr_assert_eq(run.max_timestamp, 30);
}

Test(stream_index, a_gap_on_disk_a_new_epoch_or_a_long_run_begins_another)
{
    cr_assert_eq(add(0, 4, 10, 1, 4096, 100, 1), SLUICE_OK);
    cr_assert_eq(add(5, 9, 10, 1, 4300, 100, 1), SLUICE_OK);
    cr_assert_eq(add(10, 14, 10, 1, 4400, 100, 2), SLUICE_OK);
    cr_assert_eq(add(15, 19, 10, 1, 4500, STREAM_RUN_BYTES_MAX, 2), SLUICE_OK);
    cr_assert_eq(stream.count - stream.first, 4);
}

Test(stream_index, runs_in_memory_are_small)
{
    uint64_t segment = 7 | WAL_PLACE_MEMORY;
    cr_assert_eq(add(0, 0, 10, segment, 0, STREAM_RUN_MEMORY_BYTES_MAX - 100, 1), SLUICE_OK);
    cr_assert_eq(add(1, 1, 10, segment, STREAM_RUN_MEMORY_BYTES_MAX - 100, 100, 1), SLUICE_OK);
    cr_assert_eq(add(2, 2, 10, segment, STREAM_RUN_MEMORY_BYTES_MAX, 100, 1), SLUICE_OK);
    cr_assert_eq(stream.count - stream.first, 2);
}

Test(stream_index, offsets_never_go_back)
{
    three_runs();
    cr_assert_eq(add(29, 30, 1, 3, 9000, 10, 3), SLUICE_E_CORRUPT);
    cr_assert_eq(stream_index_end(&stream), 30);
}

Test(stream_index, a_time_is_found_in_the_first_run_that_reaches_it)
{
    struct stream_run run;
    three_runs();
    cr_assert(stream_index_find_time(&stream, 95, &run));
    cr_assert_eq(run.base_offset, 0);
    cr_assert(stream_index_find_time(&stream, 101, &run));
    cr_assert_eq(run.base_offset, 20, "the run in between is older");
    cr_assert_not(stream_index_find_time(&stream, 301, &run));
    cr_assert(stream_index_find_max_time(&stream, &run));
    cr_assert_eq(run.base_offset, 20);
}

Test(stream_index, an_epoch_ends_where_the_next_higher_begins)
{
    int32_t epoch = 0;
    three_runs();
    cr_assert_eq(stream_index_epoch_end(&stream, 1, &epoch), 20);
    cr_assert_eq(epoch, 1);
    cr_assert_eq(stream_index_epoch_end(&stream, 2, &epoch), 20);
    cr_assert_eq(epoch, 1, "2 was never used");
    cr_assert_eq(stream_index_epoch_end(&stream, 3, &epoch), 30);
    cr_assert_eq(epoch, 3);
    cr_assert_eq(stream_index_epoch_end(&stream, 0, &epoch), 0);
    cr_assert_eq(epoch, -1);
}

Test(stream_index, dropping_moves_the_start_and_forgets_whole_runs)
{
    struct stream_run run;
    three_runs();
    stream_index_drop_below(&stream, 15);
    cr_assert_eq(stream_index_start(&stream), 15);
    cr_assert_eq(stream_index_oldest_segment(&stream), 2);
    cr_assert(stream_index_find_time(&stream, 91, &run));
    cr_assert_eq(run.base_offset, 20, "times are those of what is left");
    stream_index_drop_below(&stream, 1000);
    cr_assert_eq(stream_index_start(&stream), 30, "never beyond the end");
    cr_assert_eq(stream_index_end(&stream), 30);
    cr_assert_eq(stream_index_oldest_segment(&stream), UINT64_MAX);
}

Test(stream_index, many_runs_are_found_after_dropping_and_growing)
{
    struct stream_run run;
    for (int64_t i = 0; i < 1000; i++) {
        cr_assert_eq(add(i * 2, i * 2 + 1, i, 1 + (uint64_t)i / 10, 4096, 1, 1), SLUICE_OK);
        if (i % 100 == 50)
            stream_index_drop_below(&stream, i);
    }
    for (int64_t offset = 950; offset < 2000; offset++) {
        cr_assert(stream_index_find(&stream, offset, &run));
        cr_assert_eq(run.base_offset, offset / 2 * 2);
    }
}

Test(stream_index, a_checkpoint_keeps_the_end_when_nothing_is_left)
{
    struct bounds_item item = {.partition = 0};
    three_runs();
    stream_index_drop_below(&stream, 30);
    stream_index_describe(&stream, &item);
    stream_index_fini(&stream);
    cr_assert_eq(stream_index_restore(&stream, &item), SLUICE_OK);
    cr_assert_eq(stream_index_start(&stream), 30);
    cr_assert_eq(stream_index_end(&stream), 30);
}

Test(stream_index, batches_of_live_segments_come_after_the_checkpoint_that_contains_them)
{
    const struct bounds_item item = {.start_offset = 15, .end_offset = 30};
    struct stream_run run;
    cr_assert_eq(stream_index_restore(&stream, &item), SLUICE_OK);
    three_runs();
    cr_assert_eq(stream_index_start(&stream), 15);
    cr_assert_eq(stream_index_end(&stream), 30);
    cr_assert_eq(stream_index_oldest_segment(&stream), 2, "0-9 lies below the start");
    cr_assert(stream_index_find(&stream, 15, &run));
    cr_assert_eq(run.base_offset, 10);
}

Test(stream_index, bounds_in_a_frame_raise_the_start_and_never_lower_it)
{
    const struct bounds_item later = {.start_offset = 15, .end_offset = 30};
    const struct bounds_item earlier = {.start_offset = 5, .end_offset = 20};
    struct stream_run run;
    three_runs();
    cr_assert_eq(stream_index_restore(&stream, &later), SLUICE_OK);
    cr_assert_eq(stream_index_start(&stream), 15);
    cr_assert(stream_index_find(&stream, 0, &run));
    cr_assert_eq(run.base_offset, 10, "0-9 is dropped");
    cr_assert_eq(stream_index_restore(&stream, &earlier), SLUICE_OK);
    cr_assert_eq(stream_index_start(&stream), 15);
    cr_assert_eq(stream_index_end(&stream), 30);
}

static int64_t excess(int64_t oldest_ms, uint64_t bytes_max, uint32_t runs_max)
{
    const struct stream_limits limits = {oldest_ms, bytes_max, runs_max};
    uint32_t count = 0;
    int64_t offset = stream_index_excess(&stream, &limits, &count);
    cr_assert_eq(count > 0, offset > stream_index_start(&stream));
    return offset;
}

Test(stream_index, a_run_is_too_old_when_all_its_records_are_and_only_from_the_front)
{
    three_runs(); /* times 100, 90, 300 */
    cr_assert_eq(excess(INT64_MIN, UINT64_MAX, 9), 0);
    cr_assert_eq(excess(95, UINT64_MAX, 9), 0, "10-19 is old, but behind 0-9, which is not");
    cr_assert_eq(excess(100, UINT64_MAX, 9), 0);
    cr_assert_eq(excess(101, UINT64_MAX, 9), 20);
    cr_assert_eq(excess(INT64_MAX, UINT64_MAX, 9), 30);
    cr_assert_eq(excess(INT64_MAX, UINT64_MAX, 2), 20, "the rest the next time");
}

Test(stream_index, at_least_so_many_bytes_stay_as_are_asked_for)
{
    three_runs(); /* 500 bytes each */
    cr_assert_eq(excess(INT64_MIN, 1500, 9), 0);
    cr_assert_eq(excess(INT64_MIN, 1001, 9), 0);
    cr_assert_eq(excess(INT64_MIN, 1000, 9), 10);
    cr_assert_eq(excess(INT64_MIN, 1, 9), 20);
    cr_assert_eq(excess(INT64_MIN, 0, 9), 30);
    stream_index_drop_below(&stream, 15);
    cr_assert_eq(excess(INT64_MIN, 600, 9), 15);
}

Test(stream_index, records_without_a_time_are_as_old_as_their_writing)
{
    struct stream_run run;
    cr_assert_eq(add(0, 9, stream_time_unknown(100), 1, 4096, 500, 1), SLUICE_OK);
    cr_assert_eq(add(10, 19, -1, 2, 4096, 500, 1), SLUICE_OK);
    cr_assert_eq(excess(100, UINT64_MAX, 9), 0);
    cr_assert_eq(excess(101, UINT64_MAX, 9), 10);
    cr_assert_eq(excess(INT64_MAX, UINT64_MAX, 9), 10, "it is not known when 10-19 was written");
    cr_assert_not(stream_index_find_time(&stream, 0, &run));
}
/* ---- extents ---- */

static struct stream_run block(int64_t base, int64_t last, int64_t time, uint64_t extent)
{
    return (struct stream_run){.base_offset = base,
                               .last_offset = last,
                               .max_timestamp = time,
                               .place = {.segment = WAL_PLACE_EXTENT | extent, .size = 100},
                               .leader_epoch = 1,
                               .verified = true};
}

static void replace(const struct stream_run *blocks, uint32_t count)
{
    cr_assert_eq(stream_index_keep(&stream, count, 0), SLUICE_OK);
    cr_assert_eq(stream_index_replace(&stream, blocks, count), SLUICE_OK);
}

Test(stream_index, an_extent_takes_the_place_of_the_runs_with_its_offsets)
{
    struct stream_run run;
    struct stream_run blocks[] = {block(0, 14, 100, 7), block(15, 19, 90, 7)};
    three_runs();
    replace(blocks, 2);
    cr_assert_eq(stream.count - stream.first, 3);
    cr_assert(stream_index_find(&stream, 12, &run));
    cr_assert_eq(run.place.segment, WAL_PLACE_EXTENT | 7);
    cr_assert_eq(run.last_offset, 14);
    cr_assert(stream_index_find(&stream, 20, &run));
    cr_assert_eq(run.place.segment, 3);
    cr_assert_eq(stream_index_oldest_segment(&stream), 3, "extents are no segments of the log");
    uint32_t count = 0;
    cr_assert_eq(stream_index_unsealed(&stream, &count)->base_offset, 20);
    cr_assert_eq(count, 1);
    cr_assert(stream_index_find_time(&stream, 95, &run));
    cr_assert_eq(run.base_offset, 0);
    cr_assert(stream_index_find_time(&stream, 101, &run));
    cr_assert_eq(run.base_offset, 20);
    cr_assert_eq(stream_index_end(&stream), 30);
    cr_assert_eq(stream_index_start(&stream), 0);
}

Test(stream_index, a_stream_that_lies_in_extents_alone_has_no_segment)
{
    uint32_t count = 1;
    struct stream_run blocks[] = {block(0, 29, 300, 7)};
    three_runs();
    replace(blocks, 1);
    cr_assert_eq(stream_index_oldest_segment(&stream), UINT64_MAX);
    cr_assert_null(stream_index_unsealed(&stream, &count));
    cr_assert_eq(count, 0);
    stream_index_shrink(&stream, 0);
    cr_assert_eq(stream.capacity, 1);
    stream_index_drop_below(&stream, 30);
    stream_index_shrink(&stream, 0);
    cr_assert_null(stream.runs);
}

Test(stream_index, at_recovery_extents_come_before_what_the_log_still_holds)
{
    const struct bounds_item item = {.start_offset = 5, .end_offset = 30};
    struct stream_run first[] = {block(0, 4, 70, 1), block(5, 9, 100, 1)};
    struct stream_run second[] = {block(10, 19, 90, 2)};
    struct stream_run run;
    cr_assert_eq(stream_index_restore(&stream, &item), SLUICE_OK);
    cr_assert_eq(add(10, 19, 90, 2, 4096, 500, 1), SLUICE_OK);
    cr_assert_eq(add(20, 29, 300, 3, 4096, 500, 3), SLUICE_OK);
    cr_assert_eq(stream_index_start(&stream), 5, "what was sealed is not forgotten");
    replace(first, 2);
    replace(second, 1);
    cr_assert_eq(stream.count - stream.first, 3, "0-4 lies below the start");
    cr_assert(stream_index_find(&stream, 5, &run));
    cr_assert_eq(run.place.segment, WAL_PLACE_EXTENT | 1);
    cr_assert(stream_index_find(&stream, 15, &run));
    cr_assert_eq(run.place.segment, WAL_PLACE_EXTENT | 2);
    cr_assert(stream_index_find_max_time(&stream, &run));
    cr_assert_eq(run.base_offset, 20);
}

Test(stream_index, what_was_dropped_meanwhile_does_not_come_back)
{
    struct stream_run run;
    struct stream_run blocks[] = {block(0, 9, 100, 7), block(10, 19, 90, 7)};
    three_runs();
    cr_assert_eq(stream_index_keep(&stream, 2, 0), SLUICE_OK);
    stream_index_drop_below(&stream, 12);
    cr_assert_eq(stream_index_replace(&stream, blocks, 2), SLUICE_OK);
    cr_assert_eq(stream.count - stream.first, 2);
    cr_assert(stream_index_find(&stream, 0, &run));
    cr_assert_eq(run.base_offset, 10);
    stream_index_drop_below(&stream, 25);
    cr_assert_eq(stream_index_replace(&stream, blocks, 2), SLUICE_OK);
    cr_assert_eq(stream.count - stream.first, 1);
}

Test(stream_index, an_extent_that_cuts_a_run_is_refused)
{
    struct stream_run cut[] = {block(0, 14, 100, 7)};
    three_runs();
    cr_assert_eq(stream_index_keep(&stream, 1, 0), SLUICE_OK);
    cr_assert_eq(stream_index_replace(&stream, cut, 1), SLUICE_E_CORRUPT);
    cr_assert_eq(stream.count - stream.first, 3);
}

Test(stream_index, is_not_in_order_while_older_records_than_an_extents_are_in_the_log)
{
    struct stream_run late[] = {block(10, 19, 90, 7)};
    struct stream_run early[] = {block(0, 9, 100, 8)};
    three_runs();
    cr_assert_eq(stream_index_keep(&stream, 1, 0), SLUICE_OK);
    cr_assert_eq(stream_index_replace(&stream, late, 1), SLUICE_OK);
    cr_assert_not(stream_index_is_ordered(&stream));
    cr_assert_eq(stream_index_keep(&stream, 1, 0), SLUICE_OK);
    cr_assert_eq(stream_index_replace(&stream, early, 1), SLUICE_OK);
    cr_assert(stream_index_is_ordered(&stream));
}

Test(stream_index, kept_slots_are_there_when_appending_took_the_others)
{
    struct stream_run blocks[8];
    for (int64_t i = 0; i < 8; i++)
        blocks[i] = block(i, i, i, 7);
    cr_assert_eq(add(0, 7, 7, 1, 4096, 500, 1), SLUICE_OK);
    cr_assert_eq(stream_index_keep(&stream, 8, 2), SLUICE_OK);
    for (int64_t i = 8; i < 50; i++)
        cr_assert_eq(add(i, i, i, 1, (uint64_t)i * 4096, 500, 1), SLUICE_OK);
    cr_assert_eq(stream_index_replace(&stream, blocks, 8), SLUICE_OK);
    for (int64_t i = 0; i < 50; i++) {
        struct stream_run run;
        cr_assert(stream_index_find(&stream, i, &run));
        cr_assert_eq(run.base_offset, i);
        cr_assert_eq(run.time_so_far, i);
    }
}

/* Against a plain list: sealing prefixes, appending, dropping, by seed. */
Test(stream_index, sealing_by_chance_never_loses_an_offset)
{
    uint64_t random = 4711;
    int64_t end = 0, sealed = 0, start = 0;
    for (int step = 0; step < 3000; step++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint32_t draw = (uint32_t)(random >> 33);
        if (draw % 8 < 5) {
            int64_t count = 1 + draw / 8 % 4;
            cr_assert_eq(
                add(end, end + count - 1, end, 1 + (uint64_t)step, 4096, (uint32_t)count, 1),
                SLUICE_OK);
            end += count;
        } else if (draw % 8 < 7 && sealed < end) {
            struct stream_run run;
            struct stream_run blocks[64];
            uint32_t count = 0;
            int64_t at = SL_MAX(sealed, start);
            uint32_t most = 1 + draw / 8 % 20;
            for (uint32_t i = 0; i < most && stream_index_find(&stream, at, &run); i++) {
                for (int64_t o = SL_MAX(run.base_offset, sealed); o <= run.last_offset; o++) {
                    if (count == 64)
                        break;
                    blocks[count++] = block(o, o, o, 1 + (uint64_t)step);
                }
                at = run.last_offset + 1;
            }
            if (count > 0 && count < 64) {
                replace(blocks, count);
                sealed = at;
            }
        } else if (draw % 64 == 7 && end > 0) {
            start = SL_MAX(start, (int64_t)(draw / 64) % end);
            stream_index_drop_below(&stream, start);
        }
        uint64_t bytes = 0;
        int64_t so_far = INT64_MIN;
        for (uint32_t i = stream.first; i < stream.count; i++) {
            bytes += stream.runs[i].place.size;
            so_far = SL_MAX(so_far, stream.runs[i].max_timestamp);
            cr_assert_eq(stream.runs[i].time_so_far, so_far);
        }
        cr_assert_eq(stream_index_bytes(&stream), bytes);
        for (int64_t o = start; o < end; o += 1 + (end - start) / 7) {
            struct stream_run run;
            cr_assert(stream_index_find(&stream, o, &run), "step %d: %ld", step, (long)o);
            cr_assert(run.base_offset <= o && o <= run.last_offset, "step %d: %ld", step, (long)o);
            cr_assert_eq((run.place.segment & WAL_PLACE_EXTENT) != 0, o < sealed);
        }
    }
}

Test(stream_index, what_compaction_left_takes_the_place_of_runs_at_the_log_start_too)
{
    const struct stream_run blocks[] = {{.base_offset = 0, .last_offset = 4, .leader_epoch = 1},
                                        {.base_offset = 20, .last_offset = 29, .leader_epoch = 3}};
    struct stream_run run;
    three_runs();
    stream_index_drop_below(&stream, 12);
    cr_assert_eq(stream_index_reserve(&stream, 2), SLUICE_OK);
    stream_index_swap(&stream, blocks, 2);
    cr_assert(stream_index_find(&stream, 12, &run));
    cr_assert_eq(run.base_offset, 20, "the run of 10 to 19 is replaced by nothing");
    cr_assert_eq(stream_index_start(&stream), 12);
}

Test(stream_index, room_for_what_is_under_way_grows_in_few_steps)
{
    uint32_t moves = 0;
    cr_assert_eq(stream_index_append(&stream, &(struct stream_batch){.last_offset = 0}), SLUICE_OK);
    for (uint32_t count = 1; count <= 1000; count++) {
        uint32_t before = stream.capacity;
        cr_assert_eq(stream_index_reserve(&stream, count), SLUICE_OK);
        moves += stream.capacity != before;
    }
    cr_assert_leq(moves, 20, "%u moves", moves);
    cr_assert_leq(stream.capacity, 1600);
}
