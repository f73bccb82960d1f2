/* plugin_fixed.c: instead of plugin_watch.c, plugin_load.c, plugin_reload.c, plugin_rollback.c,
 * plugin_keep.c, plugin_shadow.c, shadow_run.c and worker_shadow.c in a build without hot reload
 * (SLUICE_HOT_RELOAD=OFF): each instance has one version from the start of the broker to its end.
 * Who asks for another one gets E_UNSUPPORTED with a sentence. On shard 0's loop. */
#include "plugin/plugin_state.h"
#include "plugin/worker_host_state.h"

#define REFUSED \
    "this build does not change plugins while it runs (SLUICE_HOT_RELOAD=OFF); restart the broker"

/* ---- files ---- */

bool manager_follows_files(void)
{
    return false;
}

sl_err manager_watch_files(struct plugin_manager *manager SL_UNUSED)
{
    return SLUICE_OK;
}

/* ---- commands ---- */

void order_load(struct plugin_order *order)
{
    order_end(order, SLUICE_E_UNSUPPORTED, "%s", REFUSED);
}

void order_reload(struct plugin_order *order)
{
    order_end(order, SLUICE_E_UNSUPPORTED, "%s", REFUSED);
}

void plugin_manager_rollback(struct plugin_manager *manager SL_UNUSED, const char *name SL_UNUSED,
                             const char *to SL_UNUSED, bool dry_run SL_UNUSED,
                             plugin_reload_done *done, void *arg)
{
    done(arg, SLUICE_E_UNSUPPORTED, REFUSED);
}

/* ---- configuration ---- */

static void refuse(struct plugin_reload_result *results, uint32_t *count, const char *name,
                   int32_t what)
{
    results[(*count)++] = (struct plugin_reload_result){
        .name = name, .what = what, .err = SLUICE_E_UNSUPPORTED, .text = REFUSED};
}

void plugin_manager_reload(struct plugin_manager *manager, const struct plugin_settings *settings,
                           bool dry_run SL_UNUSED, plugin_reloaded_fn *done, void *arg)
{
    const struct plugin_settings *now = &manager->settings.is;
    uint32_t count = 0;
    struct plugin_reload_result *results =
        sl_alloc_zero(now->instance_count + settings->instance_count + 1u, sizeof(*results));
    if (results == NULL) {
        done(arg, SLUICE_E_NO_MEMORY, NULL, 0);
        return;
    }
    for (uint32_t i = 0; i < now->instance_count; i++) {
        const struct plugin_instance_config *before = &now->instances[i];
        const struct plugin_instance_config *after = plugin_settings_find(settings, before->name);
        if (after == NULL) {
            refuse(results, &count, before->name, PLUGIN_RELOAD_REMOVE);
        } else if (!plugin_instance_same_component(before, after) ||
                   !plugin_instance_same_config(before, after)) {
            refuse(results, &count, before->name, PLUGIN_RELOAD_RESTART);
        }
    }
    for (uint32_t i = 0; i < settings->instance_count; i++) {
        if (plugin_settings_find(now, settings->instances[i].name) == NULL) {
            refuse(results, &count, settings->instances[i].name, PLUGIN_RELOAD_ADD);
        }
    }
    done(arg, count > 0 ? SLUICE_E_UNSUPPORTED : SLUICE_OK, results, count);
    sl_free(results);
}

const struct plugin_instance_config *reload_config(const struct plugin_instance *instance)
{
    return instance->config_name[0] != '\0'
               ? kept_settings_find(&instance->manager->settings, instance->config_name)
               : NULL;
}

/* No reload is under way, ever. */
void reload_ready(struct plugin_instance *instance SL_UNUSED) {}
void reload_refused(struct plugin_instance *instance SL_UNUSED, const char *text SL_UNUSED) {}
bool reload_lost(struct plugin_instance *instance SL_UNUSED,
                 const struct plugin_version *version SL_UNUSED, const char *text SL_UNUSED)
{
    return false;
}
void reload_config_answered(struct plugin_instance *instance SL_UNUSED, sl_err err SL_UNUSED,
                            const char *text SL_UNUSED, bool took SL_UNUSED)
{
}
void reload_load_ended(struct plugin_instance *instance SL_UNUSED, sl_err err SL_UNUSED,
                       const char *text SL_UNUSED)
{
}
void reload_file_taken(struct plugin_manager *manager SL_UNUSED, const char *file SL_UNUSED,
                       bool found SL_UNUSED)
{
}
void reload_instance_gone(struct plugin_instance *instance SL_UNUSED) {}
void reload_begin(struct plugin_manager *manager SL_UNUSED) {}
void reload_stop(struct plugin_manager *manager SL_UNUSED) {}
bool reload_wants(const struct plugin_manager *manager SL_UNUSED,
                  const struct plugin_instance *instance SL_UNUSED)
{
    return false;
}
bool reload_holds_files(const struct plugin_manager *manager SL_UNUSED)
{
    return false;
}

/* ---- versions ---- */

/* Only plugin_manager_rollback makes somebody wait for a load. */
void instance_answer(struct plugin_instance *instance SL_UNUSED, sl_err err SL_UNUSED,
                     const char *text SL_UNUSED)
{
}

void instance_deployed(struct plugin_instance *instance)
{
    instance->active_since_ms = sl_os_wall_ms(instance->manager->config.os);
}

/* There is no version before it that it could go back to. */
void instance_look_at_deploy(struct plugin_instance *instance SL_UNUSED) {}
sl_err manager_watch_deploys(struct plugin_manager *manager SL_UNUSED)
{
    return SLUICE_OK;
}

/* Nor is one kept: what another build kept in the data folder stays as it is. */
void manager_take_kept(struct plugin_manager *manager SL_UNUSED, struct plugin_scan *scan SL_UNUSED)
{
}
void manager_keep(struct plugin_manager *manager SL_UNUSED) {}
void manager_keep_last(struct plugin_manager *manager SL_UNUSED) {}
void manager_kept_fini(struct plugin_manager *manager SL_UNUSED) {}
bool manager_keeps(const struct plugin_manager *manager SL_UNUSED)
{
    return false;
}
void instance_adopt_kept(struct plugin_instance *instance SL_UNUSED) {}
void instance_give_back_kept(struct plugin_instance *instance SL_UNUSED) {}
uint32_t manager_kept_count(const struct plugin_manager *manager SL_UNUSED,
                            const char *name SL_UNUSED)
{
    return 0;
}
void manager_forget_kept(struct plugin_manager *manager SL_UNUSED, const char *name SL_UNUSED) {}
void instance_recall_cancel(struct plugin_instance *instance SL_UNUSED) {}

/* ---- shadow runs ---- */

bool instance_shadow_begin(struct plugin_instance *instance SL_UNUSED)
{
    return false;
}
void instance_shadow_cancel(struct plugin_instance *instance SL_UNUSED) {}
void instance_shadow_say(const struct plugin_instance *instance SL_UNUSED, char *text SL_UNUSED,
                         size_t size SL_UNUSED)
{
}
struct shadow_run *shadow_run_ref(struct shadow_run *run)
{
    return run;
}
struct shadow_run *shadow_run_unref(struct shadow_run *run SL_UNUSED)
{
    return NULL;
}
sl_err worker_host_shadow(struct worker_host *host SL_UNUSED, struct shadow_run *run SL_UNUSED)
{
    return SLUICE_E_UNSUPPORTED;
}
void worker_host_shadow_end(struct worker_host *host SL_UNUSED) {}
void worker_shadow_mirror(struct worker_host *host SL_UNUSED,
                          const struct sandbox_task *task SL_UNUSED)
{
}
void worker_shadow_result(struct worker_host *host SL_UNUSED,
                          const struct sandbox_result *result SL_UNUSED, bool is_new SL_UNUSED)
{
}
void worker_shadow_forget(struct worker_host *host SL_UNUSED) {}
