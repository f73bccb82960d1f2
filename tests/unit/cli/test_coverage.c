/* test_coverage.c: which offsets of a partition are missing, whatever order they were seen in. */
#include "cli/cli_coverage.h"

#include <criterion/criterion.h>

static struct coverage coverage;
static struct coverage_range gaps[8];
static uint32_t gap_count;

static void setup(void)
{
    coverage_init(&coverage);
    gap_count = 0;
}

static void teardown(void)
{
    coverage_fini(&coverage);
}

TestSuite(coverage, .init = setup, .fini = teardown);

static void on_gap(void *arg, const struct coverage_stream *stream, int64_t first, int64_t last)
{
    (void)arg;
    (void)stream;
    gaps[gap_count++] = (struct coverage_range){first, last};
}

static struct coverage_stream *stream_of(uint8_t topic, uint32_t partition)
{
    const struct sl_uuid id = {{topic}};
    struct coverage_stream *stream = coverage_stream(&coverage, &id, partition);
    cr_assert_not_null(stream);
    return stream;
}

static void see(struct coverage_stream *stream, int64_t first, int64_t last)
{
    cr_assert_eq(coverage_add(stream, first, last), SLUICE_OK);
}

Test(coverage, finds_gaps_at_the_start_between_and_at_the_end)
{
    struct coverage_stream *stream = stream_of(1, 0);
    stream->start = 5;
    see(stream, 30, 39);
    see(stream, 10, 19);
    see(stream, 20, 24);
    stream->end = 50;
    coverage_gaps(stream, on_gap, NULL);
    cr_assert_eq(gap_count, 3);
    cr_assert(gaps[0].first == 5 && gaps[0].last == 9);
    cr_assert(gaps[1].first == 25 && gaps[1].last == 29);
    cr_assert(gaps[2].first == 40 && gaps[2].last == 49);
}

Test(coverage, forgives_what_is_seen_twice_or_before_the_start)
{
    struct coverage_stream *stream = stream_of(1, 0);
    stream->start = 15;
    see(stream, 0, 9);
    see(stream, 10, 29);
    see(stream, 12, 20);
    coverage_gaps(stream, on_gap, NULL);
    cr_assert_eq(gap_count, 0);
}

Test(coverage, keeps_many_streams_apart)
{
    for (uint32_t i = 0; i < 1000; i++) {
        see(stream_of((uint8_t)(i % 7), i), i, i);
    }
    cr_assert_eq(coverage.stream_count, 1000);
    for (uint32_t i = 0; i < 1000; i++) {
        cr_assert_eq(stream_of((uint8_t)(i % 7), i)->end, (int64_t)i + 1);
    }
    cr_assert_eq(coverage.stream_count, 1000);
}
