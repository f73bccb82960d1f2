/* test_histogram.c: percentiles beside exact ones. */
#include "load/load_histogram.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define COUNT 20000u

static struct load_histogram histogram, other;
static uint64_t values[COUNT];

static uint64_t mix = 20261122;

static uint64_t next_random(void)
{
    mix = mix * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return mix >> 20;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Times of every size, from nanoseconds to minutes. */
static void fill(void)
{
    for (uint32_t i = 0; i < COUNT; i++) {
        values[i] = next_random() >> (next_random() % 40 + 4);
        load_histogram_add(i % 2 == 0 ? &histogram : &other, (int64_t)values[i]);
    }
    load_histogram_merge(&histogram, &other);
    qsort(values, COUNT, sizeof(values[0]), compare);
}

Test(load_histogram, a_percentile_is_the_exact_one_to_less_than_a_hundredth)
{
    static const uint32_t millionths[] = {1, 100000, 500000, 900000, 990000, 999000, 999990};
    fill();
    for (size_t i = 0; i < SL_COUNT_OF(millionths); i++) {
        size_t rank = (size_t)(((uint64_t)COUNT * millionths[i] + 999999) / 1000000);
        uint64_t exact = values[rank - 1];
        uint64_t found = load_histogram_quantile(&histogram, millionths[i]);
        cr_expect(found >= exact && found - exact <= exact / 128, "%u: %llu is told as %llu",
                  millionths[i], (unsigned long long)exact, (unsigned long long)found);
    }
}

Test(load_histogram, number_smallest_and_largest_are_exact)
{
    fill();
    cr_expect_eq(histogram.count, COUNT);
    cr_expect_eq(histogram.min, values[0]);
    cr_expect_eq(histogram.max, values[COUNT - 1]);
    cr_expect_eq(load_histogram_quantile(&histogram, 1000000), values[COUNT - 1]);
    cr_expect_eq(load_histogram_up_to(&histogram, values[COUNT - 1]), COUNT);
}

Test(load_histogram, what_is_below_and_beyond_its_range_counts)
{
    cr_expect_eq(load_histogram_quantile(&histogram, 500000), 0u);
    load_histogram_add(&histogram, -5);
    cr_expect_eq(load_histogram_quantile(&histogram, 500000), 0u);
    load_histogram_add(&histogram, INT64_MAX);
    cr_expect_eq(load_histogram_quantile(&histogram, 1000000), (uint64_t)INT64_MAX);
    cr_expect_eq(histogram.count, 2u);
}
