/* plugin_load.c: the commands that bring another version: load puts a file into plugins.dir, reload
 * reads one again (plugin_command.c has the others). On shard 0's loop. */
#include "plugin/plugin_state.h"

#include "base/bytes.h"
#include "base/status.h"

#include <stdio.h>

static sl_err write_all(struct sl_file *file, struct sl_bytes bytes)
{
    struct sl_iovec piece = {(void *)(uintptr_t)bytes.data, bytes.size};
    return bytes.size == 0 ? SLUICE_OK : sl_file_pwritev(file, &piece, 1, 0);
}

/* [helper] Beside its place, synced, then in its place: nobody ever sees half of it. */
static void write_file(struct sl_job *job)
{
    struct plugin_order *order = SL_CONTAINER_OF(job, struct plugin_order, job);
    struct sl_os *os = order->manager->config.os;
    const char *directory = order->manager->settings.is.plugins_dir;
    char path[PLUGIN_REASON_BYTES];
    char beside[PLUGIN_REASON_BYTES];
    struct sl_file *file = NULL;
    struct sl_bytes bytes = order->command.bytes;
    snprintf(path, sizeof(path), "%.600s/%.255s", directory, order->command.name);
    snprintf(beside, sizeof(beside), "%.600s/.%.255s.coming", directory, order->command.name);
    sl_err err = sl_dir_make(os, directory);
    err = err != SLUICE_OK ? err : sl_file_open(os, beside, SL_FILE_WRITE | SL_FILE_CREATE, &file);
    if (err == SLUICE_OK) {
        err = sl_file_truncate(file, 0);
        err = err != SLUICE_OK ? err : write_all(file, bytes);
        err = err != SLUICE_OK ? err : sl_file_sync(file);
        sl_file_close(file);
    }
    err = err != SLUICE_OK ? err : sl_path_rename(os, beside, path);
    order->err = err != SLUICE_OK ? err : sl_dir_sync(os, directory);
}

static void file_written(struct sl_job *job)
{
    struct plugin_order *order = SL_CONTAINER_OF(job, struct plugin_order, job);
    if (order->err != SLUICE_OK) {
        order_end(order, order->err, "%s cannot be written to %s: %s", order->command.name,
                  order->manager->settings.is.plugins_dir, sl_status_text(order->err));
    } else if (order->manager->stopping) {
        order_end(order, SLUICE_E_STOPPING, "it is in its place and loads at the next start");
    } else {
        order_want_file(order, order->command.name);
    }
}

void order_load(struct plugin_order *order)
{
    if (!plugin_scan_is_candidate(order->command.name)) {
        order_end(order, SLUICE_E_INVALID,
                  "\"%.100s\" is no name for a plugin: it ends in .so or .lua, and begins with no "
                  "dot",
                  order->command.name);
        return;
    }
    bool replaces = manager_file(order->manager, order->command.name) != NULL;
    if (order_tried(order,
                    "%s would be %s %s, and loaded (sluice plugin check and plugin test try it)",
                    order->command.name, replaces ? "replaced in" : "put into",
                    order->manager->settings.is.plugins_dir)) {
        return;
    }
    order->loads_all = true;
    order->job = (struct sl_job){.work = write_file, .done = file_written};
    order->job.task.priority = SL_PRIORITY_CONTROL;
    sl_helpers_submit(order->manager->config.os, order->manager->loop, &order->job);
}

void order_reload(struct plugin_order *order)
{
    struct plugin_instance *instance = instance_find(order->manager, order->command.name);
    const struct plugin_file *file = manager_file(order->manager, order->command.name);
    if (instance == NULL && file == NULL) {
        order_end_unknown(order);
        return;
    }
    if (instance != NULL && instance->state == INSTANCE_DISABLED) {
        order_end(order, SLUICE_E_BUSY, "%s is disabled; sluice plugin enable %s loads it",
                  instance->name, instance->name);
        return;
    }
    if (order_tried(order, "%s would be read again and loaded",
                    instance != NULL ? instance->file : file->name)) {
        return;
    }
    order->loads_all = instance == NULL;
    if (instance != NULL) {
        instance->shadow.asked = (struct shadow_wish){order->command.shadow_records,
                                                      order->command.shadow_max_diff_percent};
    }
    order_want_file(order, instance != NULL ? instance->file : file->name);
}
