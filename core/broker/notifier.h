/* notifier.h: what `sluice serve` tells a service manager (os/os_notify.h): ready, reloading,
 * stopping, and twice in each WatchdogSec that all loops turn. Without one it does nothing. All on
 * loop 0. */
#ifndef SL_BROKER_NOTIFIER_H
#define SL_BROKER_NOTIFIER_H

#include "broker/sluice.h"

struct notifier {
    struct sl_os *os;
    const struct sluice *sluice;
    struct sl_timer *timer; /* NULL: no watchdog */
    int64_t watchdog_ns;
    const char *address; /* of the manager; [borrowed] from the environment */
};

/* What the environment says; each may be NULL. [borrowed] while the broker runs. */
struct notifier_sources {
    const char *address;       /* NOTIFY_SOCKET */
    const char *watchdog_usec; /* WATCHDOG_USEC */
    const char *watchdog_pid;  /* WATCHDOG_PID */
};

/* Before the loops run; the timer ends with loop 0. */
sl_err notifier_start(struct notifier *notifier, const struct notifier_sources *sources,
                      struct sl_os *os, struct sluice *sluice) SL_MUST_CHECK;
void notifier_ready(struct notifier *notifier); /* after the start, and after a reload */
void notifier_reloading(struct notifier *notifier);
void notifier_stopping(struct notifier *notifier);

#endif
