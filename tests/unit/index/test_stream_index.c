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
