/* os_library.c: see os_library.h. */
#include "os/os_library.h"

#include <dlfcn.h>
#include <stdio.h>

sl_err sl_library_load(const char *path, const char *symbol, const void **ret_symbol, char *reason,
                       size_t reason_size)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        snprintf(reason, reason_size, "%s", dlerror());
        return SLUICE_E_PLUGIN_LOAD;
    }
    const void *found = dlsym(library, symbol);
    if (found == NULL) {
        snprintf(reason, reason_size, "%s does not export '%s'", path, symbol);
        return SLUICE_E_PLUGIN_LOAD;
    }
    *ret_symbol = found;
    return SLUICE_OK;
}
