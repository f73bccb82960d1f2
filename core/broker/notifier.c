/* notifier.c: see notifier.h. */
#include "broker/notifier.h"

#include "os/os_notify.h"

#include <inttypes.h>
#include <stdio.h>

static void say(const struct notifier *notifier, const char *state)
{
    sl_err err = sl_notify_send(notifier->address, state);
    (void)err; /* nobody listens, or not now: the service goes on */
}

/* A loop that stands still ends the beats, and the manager restarts the service. */
static void beat(void *arg)
{
    struct notifier *notifier = arg;
    if (sluice_is_live(notifier->sluice)) {
        say(notifier, "WATCHDOG=1");
    }
    sl_timer_start(notifier->timer, notifier->watchdog_ns);
}

sl_err notifier_start(struct notifier *notifier, const struct notifier_sources *sources,
                      struct sl_os *os, struct sluice *sluice)
{
    *notifier = (struct notifier){
        .os = os,
        .sluice = sluice,
        .address = sources->address,
        .watchdog_ns = sl_notify_watchdog_ns(sources->watchdog_usec, sources->watchdog_pid)};
    if (notifier->address == NULL || notifier->watchdog_ns == 0) {
        return SLUICE_OK;
    }
    return sl_timer_new(sluice_loop(sluice), beat, notifier, &notifier->timer);
}

void notifier_ready(struct notifier *notifier)
{
    say(notifier, "READY=1\nSTATUS=serving");
    if (notifier->timer != NULL) {
        sl_timer_start(notifier->timer, notifier->watchdog_ns);
    }
}

void notifier_reloading(struct notifier *notifier)
{
    char state[SL_NOTIFY_BYTES_MAX];
    snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRId64 "\nSTATUS=reloading",
             sl_os_mono_ns(notifier->os) / 1000);
    say(notifier, state);
}

void notifier_stopping(struct notifier *notifier)
{
    if (notifier->timer != NULL) {
        notifier->timer = sl_timer_free(notifier->timer);
    }
    say(notifier, "STOPPING=1\nSTATUS=stopping");
}
