/* load_histogram.h: times in bounded memory, with 128 steps to each power of two: a value is known
 * to less than 0.8 % from 1 ns to an hour, in 36 KiB (the layout of HdrHistogram, G. Tene). Exact:
 * the number, the smallest and the largest. Pure. [any] */
#ifndef SL_LOAD_LOAD_HISTOGRAM_H
#define SL_LOAD_LOAD_HISTOGRAM_H

#include "base/base.h"

#define LOAD_HISTOGRAM_STEP_BITS 7u
#define LOAD_HISTOGRAM_TOP_BITS  42u /* what is above 2^42 ns is in the last bucket */
#define LOAD_HISTOGRAM_BUCKETS \
    ((LOAD_HISTOGRAM_TOP_BITS - LOAD_HISTOGRAM_STEP_BITS + 1) << LOAD_HISTOGRAM_STEP_BITS)

/* All zero: empty. */
struct load_histogram {
    uint64_t counts[LOAD_HISTOGRAM_BUCKETS];
    uint64_t count;
    uint64_t min, max; /* of what was added */
};

/* What is below 0 counts as 0. */
void load_histogram_add(struct load_histogram *histogram, int64_t value_ns);
void load_histogram_merge(struct load_histogram *histogram, const struct load_histogram *other);
/* The value that so many millionths of all do not exceed, rounded up to the end of its bucket, but
 * never above the largest; 0 when it is empty. */
uint64_t load_histogram_quantile(const struct load_histogram *histogram, uint32_t millionths);
/* How many are at or below a value, as the buckets tell it. */
uint64_t load_histogram_up_to(const struct load_histogram *histogram, uint64_t value_ns);

#endif
