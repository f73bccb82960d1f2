/* os_map.h: a part of a file, mapped read-only. For bytes that are only passed on: a file that
 * becomes shorter while it is mapped ends the process at the next read of it. */
#ifndef SL_OS_OS_MAP_H
#define SL_OS_OS_MAP_H

#include "base/bytes.h"

struct sl_map;

/* E_NOT_FOUND, E_IO, E_NO_MEMORY; E_INVALID: the part is empty or not within the file. [any]
 * [blocks] */
sl_err sl_map_open(const char *path, uint64_t offset, uint64_t size, struct sl_map **ret_map,
                   struct sl_bytes *ret_bytes) SL_MUST_CHECK;
void sl_map_close(struct sl_map *map); /* [any] */

#endif
