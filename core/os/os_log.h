/* os_log.h: what base/log.h needs from the system: standard error and the wall clock. */
#ifndef SL_OS_OS_LOG_H
#define SL_OS_OS_LOG_H

#include "base/log.h"
#include "os/os.h"

/* Writes the line to standard error by one write(2); what cannot be written is lost. arg: unused.
 * [any] */
sl_log_sink_fn sl_os_log_stderr;
/* The wall clock of the struct sl_os that arg is. [any] */
sl_log_clock_fn sl_os_log_clock;
/* Whether standard error is a terminal that wants colours (NO_COLOR is not set). [any] */
bool sl_os_log_is_terminal(void);

#endif
