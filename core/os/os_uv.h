/* os_uv.h: sl_os over libuv and Linux. Internals in os_uv_*.c. */
#ifndef SL_OS_OS_UV_H
#define SL_OS_OS_UV_H

#include "os/os.h"

/* helper_count: threads for blocking jobs, 1 to 64. [any] */
sl_err sl_os_uv_new(uint32_t helper_count, struct sl_os **ret_os) SL_MUST_CHECK;

#endif
