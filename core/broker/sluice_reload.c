/* sluice_reload.c: a new configuration in force: the plugins take it first; when one refuses,
 * nothing changes anywhere. On loop 0. */
#include "broker/sluice_state.h"

#include "base/status.h"

static void log_changes(struct sluice *sluice, const struct config_diff *diff)
{
    for (uint32_t i = 0; i < diff->count; i++) {
        const struct config_change *change = &diff->changes[i];
        bool applied = change->outcome == CONFIG_APPLIED;
        sl_log(sluice->logger, applied ? SL_LOG_INFO : SL_LOG_WARN, "config",
               applied ? "changed" : "needs a restart; the running value stays",
               sl_log_text("key", change->key), sl_log_text("before", change->before),
               sl_log_text("after", change->after));
    }
    sl_log(sluice->logger, SL_LOG_INFO, "config", "reloaded", sl_log_u64("changed", diff->count),
           sl_log_u64("need_restart", diff->restart_count));
}

struct reload {
    struct sluice *sluice;
    struct config_diff *diff;
    struct sl_config *merged;
};

/* The plugins have taken it, or one refused and nothing changes anywhere. */
static void reload_end(void *arg, sl_err err, const char *text)
{
    struct reload *reload = arg;
    struct sluice *sluice = reload->sluice;
    if (err == SLUICE_OK) {
        sl_logger_set_level(sluice->logger, (enum sl_log_level)reload->merged->log.level);
        sl_logger_set_format(sluice->logger, (enum sl_log_format)reload->merged->log.format, false);
        sluice_settings_take_live(&sluice->settings, reload->merged);
        log_changes(sluice, reload->diff);
        config_free(sluice->config);
        sluice->config = reload->merged;
    } else {
        sl_log(sluice->logger, SL_LOG_ERROR, "config", "not reloaded: nothing was changed",
               sl_log_text("reason", text), sl_log_err(err));
        config_free(reload->merged);
    }
    config_diff_free(reload->diff);
    sl_free(reload);
}

static void reload_plugins(struct sluice *sluice, struct reload *reload)
{
    struct plugin_settings_copy copy;
    sl_err err = plugin_settings_take(reload->merged, &copy);
    if (err != SLUICE_OK || !sluice->plugins_started) {
        reload_end(reload, err, "");
        return;
    }
    plugin_manager_reload(sluice->plugins, &copy.settings, reload_end, reload);
    plugin_settings_drop(&copy);
}

sl_err sluice_reload(struct sluice *sluice, struct sl_config *loaded)
{
    struct reload *reload = sl_alloc_zero(1, sizeof(*reload));
    sl_err err = reload == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    err = err != SLUICE_OK ? err : config_diff_new(sluice->config, loaded, &reload->diff);
    err = err != SLUICE_OK ? err : config_merge_live(sluice->config, loaded, &reload->merged);
    config_free(loaded);
    if (err != SLUICE_OK) {
        if (reload != NULL) {
            config_diff_free(reload->diff);
        }
        sl_free(reload);
        return err;
    }
    reload->sluice = sluice;
    reload_plugins(sluice, reload);
    return SLUICE_OK;
}
