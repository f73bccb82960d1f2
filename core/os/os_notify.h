/* os_notify.h: tells a service manager how this process is (sd_notify(3)): one datagram, no
 * library.
 *
 *   READY=1  RELOADING=1 + MONOTONIC_USEC=…  STOPPING=1  WATCHDOG=1  STATUS=a line for people
 *
 * Without a manager (NOTIFY_SOCKET is not set) nothing is sent. */
#ifndef SL_OS_OS_NOTIFY_H
#define SL_OS_OS_NOTIFY_H

#include "base/base.h"

#define SL_NOTIFY_BYTES_MAX 512u /* of one datagram */

/* Sends `state`, lines of NAME=VALUE, to `address`: a path, or '@' and a name of the abstract
 * space. E_NOT_FOUND: address is NULL or empty, there is no manager. E_IO: it does not listen; a
 * service goes on without. Never waits. [any] */
sl_err sl_notify_send(const char *address, const char *state) SL_MUST_CHECK;
/* How often WATCHDOG=1 is due, in nanoseconds: half of what WATCHDOG_USEC allows; 0 when there is
 * no watchdog, or it is meant for another process (WATCHDOG_PID). Both texts may be NULL. */
int64_t sl_notify_watchdog_ns(const char *watchdog_usec, const char *watchdog_pid);

#endif
