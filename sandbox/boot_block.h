/* boot_block.h: the sealed memfd with everything a worker must know. Private. */
#ifndef SANDBOX_BOOT_BLOCK_H
#define SANDBOX_BOOT_BLOCK_H

#include <sandbox/sandbox.h>
#include <sys/types.h>

/* Builds the block for a worker that already has its pid. Returns a descriptor or -1 with errno. */
int boot_block_build(const struct sandbox *sandbox, const struct sandbox_spawn *spawn,
                     const int *resources, pid_t pid);

#endif
