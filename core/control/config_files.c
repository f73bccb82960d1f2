/* config_files.c: configuration files through sl_os. */
#include "control/config.h"

static sl_err file_read(void *arg, const char *path, void *buffer, size_t size, size_t *ret_size)
{
    struct sl_file *file = NULL;
    sl_err err = sl_file_open(arg, path, SL_FILE_READ, &file);
    if (err == SLUICE_OK) {
        err = sl_file_pread(file, buffer, size, 0, ret_size);
        sl_file_close(file);
    }
    return err;
}

sl_err config_load(struct sl_os *os, const struct config_sources *sources,
                   struct config_report *report, struct sl_config **ret_config)
{
    return config_load_through(file_read, os, sources, report, ret_config);
}
