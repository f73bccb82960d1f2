/* load_histogram.c: see load_histogram.h. */
#include "load/load_histogram.h"

#define STEPS (1u << LOAD_HISTOGRAM_STEP_BITS)

static uint32_t bucket_of(uint64_t value)
{
    if (value < STEPS) {
        return (uint32_t)value;
    }
    uint32_t exponent = 63u - (uint32_t)__builtin_clzll(value);
    if (exponent >= LOAD_HISTOGRAM_TOP_BITS) {
        return LOAD_HISTOGRAM_BUCKETS - 1;
    }
    uint32_t shift = exponent - LOAD_HISTOGRAM_STEP_BITS;
    return ((shift + 1) << LOAD_HISTOGRAM_STEP_BITS) + (uint32_t)((value >> shift) & (STEPS - 1));
}

/* The largest value of a bucket. */
static uint64_t bucket_top(uint32_t bucket)
{
    if (bucket < STEPS) {
        return bucket;
    }
    uint32_t shift = (bucket >> LOAD_HISTOGRAM_STEP_BITS) - 1;
    uint64_t low = (uint64_t)(STEPS + (bucket & (STEPS - 1))) << shift;
    return low + ((UINT64_C(1) << shift) - 1);
}

void load_histogram_add(struct load_histogram *histogram, int64_t value_ns)
{
    uint64_t value = value_ns < 0 ? 0 : (uint64_t)value_ns;
    histogram->counts[bucket_of(value)]++;
    histogram->min = histogram->count == 0 ? value : SL_MIN(histogram->min, value);
    histogram->max = SL_MAX(histogram->max, value);
    histogram->count++;
}

void load_histogram_merge(struct load_histogram *histogram, const struct load_histogram *other)
{
    if (other->count == 0) {
        return;
    }
    for (uint32_t i = 0; i < LOAD_HISTOGRAM_BUCKETS; i++) {
        histogram->counts[i] += other->counts[i];
    }
    histogram->min = histogram->count == 0 ? other->min : SL_MIN(histogram->min, other->min);
    histogram->max = SL_MAX(histogram->max, other->max);
    histogram->count += other->count;
}

uint64_t load_histogram_quantile(const struct load_histogram *histogram, uint32_t millionths)
{
    unsigned __int128 share = (unsigned __int128)histogram->count * millionths;
    uint64_t wanted = SL_MAX((uint64_t)((share + 999999) / 1000000), UINT64_C(1)), seen = 0;
    for (uint32_t i = 0; i < LOAD_HISTOGRAM_BUCKETS; i++) {
        seen += histogram->counts[i];
        if (seen >= wanted) {
            return i + 1 == LOAD_HISTOGRAM_BUCKETS ? histogram->max
                                                   : SL_MIN(bucket_top(i), histogram->max);
        }
    }
    return 0;
}

uint64_t load_histogram_up_to(const struct load_histogram *histogram, uint64_t value_ns)
{
    uint64_t seen = 0;
    for (uint32_t i = 0; i <= bucket_of(value_ns); i++) {
        seen += histogram->counts[i];
    }
    return seen;
}
