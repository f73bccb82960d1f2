/* fake_disk.c: LD_PRELOAD shim: statvfs answers that so many tenths of a percent of the disk are in
 * use as the file named by FAKE_DISK says, read at each call. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>

typedef int statvfs_fn(const char *path, struct statvfs *info);

__attribute__((visibility("default"))) int statvfs(const char *path, struct statvfs *info)
{
    statvfs_fn *real = (statvfs_fn *)dlsym(RTLD_NEXT, "statvfs");
    const char *name = getenv("FAKE_DISK");
    int result = real(path, info);
    FILE *file = name != NULL ? fopen(name, "r") : NULL;
    char text[16] = "";

    if (file != NULL) {
        if (fgets(text, sizeof(text), file) != NULL && result == 0) {
            unsigned long used = strtoul(text, NULL, 10);
            info->f_bavail = info->f_blocks / 1000 * (used > 1000 ? 0 : 1000 - used);
        }
        fclose(file);
    }
    return result;
}
