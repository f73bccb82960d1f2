/* os_map.c: see os_map.h. */
#include "os/os_map.h"

#include "base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct sl_map {
    void *pages; /* where the part's first page is */
    size_t size;
};

static sl_err map_part(struct sl_map *map, int descriptor, uint64_t offset, uint64_t size,
                       struct sl_bytes *ret_bytes)
{
    struct stat facts;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t before = offset % page;
    if (fstat(descriptor, &facts) != 0) {
        return SLUICE_E_IO;
    }
    if (!S_ISREG(facts.st_mode) || size == 0 || offset > (uint64_t)facts.st_size ||
        size > (uint64_t)facts.st_size - offset) {
        return SLUICE_E_INVALID;
    }
    map->size = (size_t)(before + size);
    map->pages =
        mmap(NULL, map->size, PROT_READ, MAP_PRIVATE, descriptor, (off_t)(offset - before));
    if (map->pages == MAP_FAILED) {
        return SLUICE_E_IO;
    }
    *ret_bytes = (struct sl_bytes){(const uint8_t *)map->pages + before, (size_t)size};
    return SLUICE_OK;
}

sl_err sl_map_open(const char *path, uint64_t offset, uint64_t size, struct sl_map **ret_map,
                   struct sl_bytes *ret_bytes)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        return errno == ENOENT ? SLUICE_E_NOT_FOUND : SLUICE_E_IO;
    }
    struct sl_map *map = sl_alloc_zero(1, sizeof(*map));
    sl_err err =
        map == NULL ? SLUICE_E_NO_MEMORY : map_part(map, descriptor, offset, size, ret_bytes);
    close(descriptor);
    if (err != SLUICE_OK) {
        sl_free(map);
        return err;
    }
    *ret_map = map;
    return SLUICE_OK;
}

void sl_map_close(struct sl_map *map)
{
    munmap(map->pages, map->size);
    sl_free(map);
}
