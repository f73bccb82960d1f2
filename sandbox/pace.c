/* pace.c: see pace.h. */
#include <sandbox/pace.h>

#define NS_PER_MS      1000000
#define ELAPSED_MS_MAX 3600000 /* keeps the products small; any bucket is full long before */
#define REST_MS_MAX    60000u  /* asked again then; a worker is never put off for longer at once */

void pace_init(struct pace *pace, uint32_t percent, uint32_t burst_ms, int64_t now_ms,
               uint64_t used_ns)
{
    *pace = (struct pace){.percent = percent,
                          .burst_ns = (int64_t)burst_ms * NS_PER_MS,
                          .tokens_ns = (int64_t)burst_ms * NS_PER_MS,
                          .seen_ms = now_ms,
                          .used_ns = used_ns};
}

static void settle(struct pace *pace, int64_t now_ms, uint64_t used_ns)
{
    int64_t elapsed_ms = now_ms - pace->seen_ms;

    if (elapsed_ms > 0) {
        elapsed_ms = elapsed_ms > ELAPSED_MS_MAX ? ELAPSED_MS_MAX : elapsed_ms;
        pace->tokens_ns += elapsed_ms * (NS_PER_MS / 100) * (int64_t)pace->percent;
        pace->seen_ms = now_ms;
    }
    if (pace->tokens_ns > pace->burst_ns) {
        pace->tokens_ns = pace->burst_ns;
    }
    if (used_ns > pace->used_ns) {
        pace->tokens_ns -= (int64_t)(used_ns - pace->used_ns);
        pace->used_ns = used_ns;
    }
}

uint32_t pace_rest_ms(struct pace *pace, int64_t now_ms, uint64_t used_ns)
{
    int64_t per_ms;
    int64_t rest_ms;

    if (pace->percent == 0) {
        return 0;
    }
    settle(pace, now_ms, used_ns);
    if (pace->tokens_ns >= 0) {
        return 0;
    }
    per_ms = (int64_t)pace->percent * (NS_PER_MS / 100);
    rest_ms = (-pace->tokens_ns + per_ms - 1) / per_ms;
    return rest_ms > REST_MS_MAX ? REST_MS_MAX : (uint32_t)rest_ms;
}
