/* os_processors.h: this process, and the processors that it may run on. */
#ifndef SL_OS_OS_PROCESSORS_H
#define SL_OS_OS_PROCESSORS_H

#include "base/base.h"

uint32_t sl_processor_count(void); /* at least 1 [any] */
int64_t sl_process_id(void);       /* by which the system knows it [any] */

#endif
