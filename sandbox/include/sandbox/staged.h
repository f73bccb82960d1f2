/* staged.h: the immutable copy of a module from which workers load it, and what its bytes say.
 *
 * A module is never loaded from the plugins directory: a file that is rewritten while it is mapped
 * kills whoever runs it. The bytes are checked (ELF class, machine, every segment and the section
 * table inside the file) and copied into a sealed memfd that all workers of this module share. No
 * code runs here. */
#ifndef SANDBOX_STAGED_H
#define SANDBOX_STAGED_H

#include <sandbox/channel.h>

#define STAGED_MODULE_SIZE_MAX   (64u << 20)
#define STAGED_MANIFEST_SIZE_MAX (64u << 10)

/* Checks that `bytes` is a whole 64-bit shared object for this machine. E_PLUGIN_LOAD with a
 * sentence in `text` (of text_size bytes, NUL-terminated) otherwise. [any] */
sluice_status staged_check(struct sluice_bytes bytes, char *text,
                           size_t text_size) SANDBOX_MUST_CHECK;
/* The manifest in the ELF note, a view into `bytes`; E_NOT_FOUND when there is none, E_PLUGIN_LOAD
 * as above. [any] */
sluice_status staged_manifest(struct sluice_bytes bytes,
                              struct sluice_text *ret_manifest) SANDBOX_MUST_CHECK;

struct staged_module {
    int fd; /* sealed memfd, close-on-exec */
    uint64_t size;
};
/* staged_check, then the copy. Share it between as many spawns as wanted; close it when no more are
 * to come (running workers keep their own reference). [any] [blocks briefly] */
sluice_status staged_module_open(struct sluice_bytes bytes, struct staged_module *ret_module,
                                 char *text, size_t text_size) SANDBOX_MUST_CHECK;
void staged_module_close(struct staged_module *module);

#endif
