/* os_program.h: where the parts of an installation lie, as seen from its program. Nothing is
 * compiled in: a tree that is unpacked anywhere works. */
#ifndef SL_OS_OS_PROGRAM_H
#define SL_OS_OS_PROGRAM_H

#include "base/base.h"

#define SL_PROGRAM_PATH_BYTES 4096u

/* The program of workers: "<prefix>/lib/sluice/sluice-worker" of an installation, or
 * "sluice-worker" beside the program as in a build folder, which goes first. The second when none
 * is there, so that the error names it; "" when executable is NULL. [any] */
void sl_program_worker(const char *executable, char ret_path[SL_PROGRAM_PATH_BYTES]);
/* The program of the installation whose library has this symbol: "<prefix>/bin/sluice" for
 * "<prefix>/lib/…"; "" when that cannot be known. [any] */
void sl_program_of_library(const void *symbol, char ret_path[SL_PROGRAM_PATH_BYTES]);

#endif
