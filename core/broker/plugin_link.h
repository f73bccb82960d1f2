/* plugin_link.h: between the broker and core/plugin: settings out of the configuration, lists for
 * the admin socket, metrics. On loop 0, but where said otherwise. */
#ifndef SL_BROKER_PLUGIN_LINK_H
#define SL_BROKER_PLUGIN_LINK_H

#include "base/metric.h"
#include "control/admin.h"
#include "control/config.h"
#include "plugin/plugin_manager.h"

struct cJSON;

#define PLUGIN_KEPT_PATH_BYTES 4200u

/* plugin_settings with its instances; borrows the texts of the configuration. */
struct plugin_settings_copy {
    struct plugin_settings settings;
    struct plugin_instance_config *instances; /* owned */
    char *broker_config_json;                 /* owned; of instances that may read it */
    char worker_path[4096];
    char kept_dir[PLUGIN_KEPT_PATH_BYTES];
};
sl_err plugin_settings_take(const struct sl_config *config,
                            struct plugin_settings_copy *ret_copy) SL_MUST_CHECK;
void plugin_settings_drop(struct plugin_settings_copy *copy);

/* For admin_hooks. */
void plugin_list_json(struct plugin_manager *manager, struct cJSON *array);
/* All but where it is on its partitions (plugin_lags.h). E_NOT_FOUND. */
sl_err plugin_info_json(struct plugin_manager *manager, const char *name,
                        struct cJSON *object) SL_MUST_CHECK;

/* plugin_manager_rollback for the admin socket: the result is what plugin_info_json says then. */
void plugin_rollback_json(struct plugin_manager *manager, struct shard *home, const char *name,
                          const char *to, bool dry_run, admin_storage_done *done, void *done_arg);

/* What confines it: layers, limits, permissions, topics (plugin_walls.c). */
sl_err plugin_walls_json(struct plugin_manager *manager, const char *name,
                         struct cJSON *object) SL_MUST_CHECK;

/* One for each loop: its own series, which the metrics sum. */
#define PLUGIN_STALL_CELLS_MAX 256u
struct plugin_meter {
    struct sl_metric_writer *writer;
    int64_t wall_ms;                                       /* now */
    struct sl_metric_cell *stalls[PLUGIN_STALL_CELLS_MAX]; /* that were set at the last look */
    uint32_t stall_count;
};
/* Stores counts and deaths of all instances, on all shards. */
void plugin_meter_publish_counts(struct plugin_meter *meter, struct plugin_manager *manager);
/* Stores lags and stalls of what stages read on these shards. [loop of the shards] */
void plugin_meter_publish_lags(struct plugin_meter *meter, const struct plugin_manager *manager,
                               struct shard *const *shards, uint32_t shard_count);

#endif
