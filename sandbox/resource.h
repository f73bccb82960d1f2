/* resource.h: files, connections and libraries that the host opens for a worker. Private. */
#ifndef SANDBOX_RESOURCE_H
#define SANDBOX_RESOURCE_H

#include <sandbox/sandbox.h>

/* Opens all or none; -1 for one that the worker's own loader finds. E_IO or
 * E_INVALID with a sentence that names the one that failed.
 * [blocks: a connection up to 2 s, the resolver longer] */
sluice_status resources_open(const struct sandbox_resource *resources, uint32_t count,
                             int *ret_descriptors, char *text, size_t text_size) SANDBOX_MUST_CHECK;
void resources_close(const int *descriptors, uint32_t count);

#endif
