/* supervisor.c: restart with backoff; see the header for the picture. Pure. */
#include <sandbox/supervisor.h>

void supervisor_init(struct supervisor *supervisor, const struct supervisor_policy *policy)
{
    *supervisor = (struct supervisor){.policy = *policy, .state = SUPERVISOR_IDLE};
}

bool supervisor_due(const struct supervisor *supervisor, int64_t now_ms)
{
    return supervisor_due_at(supervisor) <= now_ms;
}

int64_t supervisor_due_at(const struct supervisor *supervisor)
{
    if (supervisor->state == SUPERVISOR_IDLE) {
        return INT64_MIN;
    }
    return supervisor->state == SUPERVISOR_WAITING ? supervisor->start_at_ms : INT64_MAX;
}

static void enter(struct supervisor *supervisor, uint32_t state, int64_t now_ms)
{
    supervisor->state = state;
    supervisor->changed_ms = now_ms;
}

void supervisor_started(struct supervisor *supervisor, int64_t now_ms)
{
    supervisor->start_count++;
    enter(supervisor, SUPERVISOR_STARTING, now_ms);
}

void supervisor_ready(struct supervisor *supervisor, int64_t now_ms)
{
    enter(supervisor, SUPERVISOR_RUNNING, now_ms);
}

static uint32_t backoff_ms(const struct supervisor *supervisor)
{
    const struct supervisor_policy *policy = &supervisor->policy;
    uint64_t pause = policy->backoff_min_ms;

    if (supervisor->deaths <= policy->restarts_at_once) {
        return 0;
    }
    for (uint32_t i = 1 + policy->restarts_at_once;
         i < supervisor->deaths && pause < policy->backoff_max_ms; i++) {
        pause *= 2;
    }
    return pause < policy->backoff_max_ms ? (uint32_t)pause : policy->backoff_max_ms;
}

void supervisor_exited(struct supervisor *supervisor, int64_t now_ms, bool bypass)
{
    const bool stable = supervisor->state == SUPERVISOR_RUNNING &&
                        now_ms - supervisor->changed_ms >= supervisor->policy.stable_ms;

    supervisor->death_count++;
    if (supervisor->state == SUPERVISOR_STOPPED) {
        return;
    }
    if (stable) {
        supervisor->deaths = 0;
    }
    if (bypass) {
        supervisor->start_at_ms = now_ms;
        enter(supervisor, SUPERVISOR_WAITING, now_ms);
        return;
    }
    supervisor->deaths++;
    if (supervisor->policy.deaths_max != 0 && supervisor->deaths >= supervisor->policy.deaths_max) {
        enter(supervisor, SUPERVISOR_STOPPED, now_ms);
        return;
    }
    supervisor->start_at_ms = now_ms + backoff_ms(supervisor);
    enter(supervisor, SUPERVISOR_WAITING, now_ms);
}

void supervisor_reset(struct supervisor *supervisor)
{
    supervisor->deaths = 0;
    supervisor->state = SUPERVISOR_IDLE;
}

void supervisor_stop(struct supervisor *supervisor, int64_t now_ms)
{
    enter(supervisor, SUPERVISOR_STOPPED, now_ms);
}
