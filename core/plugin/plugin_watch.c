/* plugin_watch.c: plugins.dir is looked at again when something changes in it. On shard 0's loop.
 */
#include "plugin/plugin_state.h"

bool manager_follows_files(void)
{
    return true;
}

sl_err manager_watch_files(struct plugin_manager *manager)
{
    return sl_watch_new(manager->loop, manager->settings.is.plugins_dir, manager_files_changed,
                        manager, &manager->watch);
}
