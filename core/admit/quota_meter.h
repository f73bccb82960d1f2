/* quota_meter.h: the arithmetic of quotas, as Kafka's: how much was used, and for how long to wait.
 *
 * A rate is measured over windows: the sum of the last `window_count` of them, the one that runs
 * included, over the time since the first of them began (Kafka's Rate over a SampledStat). Who is
 * above his limit waits until that rate would be the limit, were the windows to stay:
 *
 *   wait = (rate - limit) / limit * time = sum / limit - time
 *
 * Mutations are a bucket of tokens instead (KIP-599): it fills at the limit's rate up to what the
 * windows together allow; one may take more than is in it, and then waits until it has none below
 * zero. Time is given, in milliseconds; the start of windows is a multiple of their size. [any] */
#ifndef SL_ADMIT_QUOTA_METER_H
#define SL_ADMIT_QUOTA_METER_H

#include "base/base.h"

#define QUOTA_WINDOWS_MAX 64u

struct quota_windows {
    uint32_t count;    /* quota.window.num, at least 2 */
    int64_t window_ms; /* quota.window.size.seconds */
};

struct quota_meter {
    int64_t first;                   /* number of the oldest window that is kept */
    int64_t sums[QUOTA_WINDOWS_MAX]; /* by number modulo the count of windows */
    double tokens;                   /* of a bucket */
    int64_t tokens_ms;               /* when they were counted; 0: it is full */
};

/* Counts amount, which may be negative: what was counted is taken back. */
void quota_meter_add(struct quota_meter *meter, const struct quota_windows *windows, int64_t now_ms,
                     int64_t amount);
/* Milliseconds to wait under a limit per second; 0: none. */
int32_t quota_meter_wait_ms(struct quota_meter *meter, const struct quota_windows *windows,
                            int64_t now_ms, double limit);
/* Nothing is in its windows: it is as new. */
bool quota_meter_is_idle(struct quota_meter *meter, const struct quota_windows *windows,
                         int64_t now_ms);
/* The most that a limit lets pass in all windows together. */
int64_t quota_windows_allow(const struct quota_windows *windows, double limit);

void quota_bucket_take(struct quota_meter *meter, const struct quota_windows *windows,
                       int64_t now_ms, double limit, int64_t amount);
int32_t quota_bucket_wait_ms(struct quota_meter *meter, const struct quota_windows *windows,
                             int64_t now_ms, double limit);

#endif
