/* quota_meter.c: see quota_meter.h. */
#include "admit/quota_meter.h"

#include <math.h>

static int64_t number_of(const struct quota_windows *windows, int64_t now_ms)
{
    return now_ms / windows->window_ms;
}

/* Windows that are over leave. */
static void move_on(struct quota_meter *meter, const struct quota_windows *windows, int64_t now_ms)
{
    int64_t first = number_of(windows, now_ms) - (windows->count - 1);
    int64_t gone = first - meter->first;
    if (gone <= 0) {
        return;
    }
    for (int64_t i = 0; i < SL_MIN(gone, (int64_t)windows->count); i++) {
        meter->sums[(uint64_t)(meter->first + i) % windows->count] = 0;
    }
    meter->first = first;
}

void quota_meter_add(struct quota_meter *meter, const struct quota_windows *windows, int64_t now_ms,
                     int64_t amount)
{
    move_on(meter, windows, now_ms);
    meter->sums[(uint64_t)number_of(windows, now_ms) % windows->count] += amount;
}

static double sum_of(const struct quota_meter *meter, const struct quota_windows *windows)
{
    double sum = 0;
    for (uint32_t i = 0; i < windows->count; i++) {
        sum += (double)meter->sums[i];
    }
    return sum;
}

static int32_t to_wait(double wait_ms)
{
    double whole = ceil(wait_ms);
    return whole <= 0 ? 0 : whole >= INT32_MAX ? INT32_MAX : (int32_t)whole;
}

int32_t quota_meter_wait_ms(struct quota_meter *meter, const struct quota_windows *windows,
                            int64_t now_ms, double limit)
{
    move_on(meter, windows, now_ms);
    double elapsed_ms = (double)(now_ms - meter->first * windows->window_ms);
    return to_wait(sum_of(meter, windows) * 1000.0 / limit - elapsed_ms);
}

bool quota_meter_is_idle(struct quota_meter *meter, const struct quota_windows *windows,
                         int64_t now_ms)
{
    move_on(meter, windows, now_ms);
    bool is_full =
        meter->tokens_ms == 0 || now_ms - meter->tokens_ms > windows->count * windows->window_ms;
    return sum_of(meter, windows) == 0 && is_full && meter->tokens >= 0;
}

int64_t quota_windows_allow(const struct quota_windows *windows, double limit)
{
    double allowed = limit * (double)(windows->count - 1) * (double)windows->window_ms / 1000.0;
    return allowed >= 9e18 ? INT64_MAX : SL_MAX((int64_t)allowed, INT64_C(1));
}

/* ---- buckets ---- */

static void fill(struct quota_meter *meter, const struct quota_windows *windows, int64_t now_ms,
                 double limit)
{
    double full = limit * (double)windows->count * (double)windows->window_ms / 1000.0;
    double more = limit * (double)(now_ms - meter->tokens_ms) / 1000.0;
    meter->tokens = meter->tokens_ms == 0 ? full : SL_MIN(full, meter->tokens + SL_MAX(more, 0.0));
    meter->tokens_ms = SL_MAX(now_ms, INT64_C(1));
}

void quota_bucket_take(struct quota_meter *meter, const struct quota_windows *windows,
                       int64_t now_ms, double limit, int64_t amount)
{
    fill(meter, windows, now_ms, limit);
    meter->tokens -= (double)amount;
}

int32_t quota_bucket_wait_ms(struct quota_meter *meter, const struct quota_windows *windows,
                             int64_t now_ms, double limit)
{
    fill(meter, windows, now_ms, limit);
    return meter->tokens >= 0 ? 0 : to_wait(-meter->tokens * 1000.0 / limit);
}
