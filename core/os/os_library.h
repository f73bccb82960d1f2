/* os_library.h: shared objects loaded into this process. For first-party and pinned modules only;
 * a loaded library stays until the process ends, because unloading code under threads cannot be
 * made safe. */
#ifndef SL_OS_OS_LIBRARY_H
#define SL_OS_OS_LIBRARY_H

#include "base/base.h"

/* Loads `path` with all symbols resolved and none exported, and looks up one of them. On failure
 * reason gets the loader's sentence. E_PLUGIN_LOAD. [blocks] */
sl_err sl_library_load(const char *path, const char *symbol, const void **ret_symbol, char *reason,
                       size_t reason_size) SL_MUST_CHECK;

#endif
