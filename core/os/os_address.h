/* os_address.h: addresses before anybody listens on them: for command-line clients that look at a
 * machine. */
#ifndef SL_OS_OS_ADDRESS_H
#define SL_OS_OS_ADDRESS_H

#include "base/base.h"

/* Whether "host:port" could be listened on now: E_ADDRESS_IN_USE, E_PERMISSION, E_INVALID …
 * [blocks]
 */
sl_err sl_address_try(const char *address) SL_MUST_CHECK;

#endif
