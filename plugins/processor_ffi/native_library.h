/* native_library: a shared library that the operator's configuration grants, and its functions.
 *
 * Only what the host's resources list (permission "library NAME") is opened: a name without a slash
 * where the system's loader finds it, an absolute path out of the copy that the host passed. To be
 * called while the plugin loads; later the worker has no call that opens. [control] */
#ifndef NATIVE_LIBRARY_H
#define NATIVE_LIBRARY_H

#include <sluice/sluice.h>

#define NATIVE_LIBRARY_BYTES 256u /* of a name with its NUL */

/* The loader's handle, or NULL with a sentence that says which library, why, and what to write
 * into the configuration. It stays open until the process ends. */
void *native_library_open(const struct sluice_host *host, struct sluice_text name, char *text,
                          size_t text_size);
/* A function's address, or NULL with a sentence. */
void *native_library_function(void *library, const char *library_name, const char *name, char *text,
                              size_t text_size);

#endif
