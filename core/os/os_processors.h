/* os_processors.h: the processors that this process may run on. */
#ifndef SL_OS_OS_PROCESSORS_H
#define SL_OS_OS_PROCESSORS_H

#include "base/base.h"

uint32_t sl_processor_count(void); /* at least 1 [any] */

#endif
