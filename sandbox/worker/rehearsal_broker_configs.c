/* rehearsal_broker_configs.c: configurations, made up (rehearsal_broker.h). */
#include "rehearsal_broker.h"

static void end_config(struct stage *stage, const struct stage_call *call, void *results,
                       sluice_status status)
{
    static const struct sluice_config_entry entries[] = {{.name = {"cleanup.policy", 14},
                                                          .value = {"delete", 6},
                                                          .source = SLUICE_CONFIG_SOURCE_DEFAULT,
                                                          .type = SLUICE_CONFIG_TYPE_LIST},
                                                         {.name = {"compression.type", 16},
                                                          .source = SLUICE_CONFIG_SOURCE_TOPIC,
                                                          .type = SLUICE_CONFIG_TYPE_STRING}};
    const struct sluice_config_result result = {.status = status,
                                                .resource = SLUICE_RESOURCE_TOPIC,
                                                .name = rehearsal_topic,
                                                .entry_count = status == SLUICE_OK ? 2 : 0,
                                                .entries = entries};

    (void)stage;
    (void)results;
    DONE(sluice_config_done)(call->arg, &result);
}

static const struct rehearsal_kind config_kind = KIND("configs_describe", end_config, 0);

static void end_names(struct stage *stage, const struct stage_call *call, void *results,
                      sluice_status status)
{
    (void)stage;
    (void)results;
    DONE(sluice_names_done)(call->arg, status, &rehearsal_topic, status == SLUICE_OK ? 1 : 0);
}

static const struct rehearsal_kind names_kind = KIND("config_names", end_names, 0);

/* ---- calls ---- */

CALL(configs_describe, int32_t resource, struct sluice_text name, sluice_config_done *done,
     void *arg)
{
    (void)resource;
    stage_read(name.data, name.size);
    ASK(config_kind, 1);
}

CALL(configs_preview, const struct sluice_topic_spec *spec, sluice_config_done *done, void *arg)
{
    stage_read(spec->name.data, spec->name.size);
    ASK(config_kind, 1);
}

CALL(configs_alter, const struct sluice_config_alter *alters, uint32_t count, bool validate_only,
     sluice_topic_results_done *done, void *arg)
{
    (void)validate_only;
    for (uint32_t i = 0; i < count; i++) {
        stage_read(alters[i].name.data, alters[i].name.size);
        for (uint32_t k = 0; k < alters[i].change_count; k++) {
            stage_read(alters[i].changes[k].key.data, alters[i].changes[k].key.size);
            stage_read(alters[i].changes[k].value.data, alters[i].changes[k].value.size);
        }
    }
    ASK(rehearsal_topic_results_kind, count);
}

CALL(config_names, int32_t resource, sluice_names_done *done, void *arg)
{
    (void)resource;
    ASK(names_kind, 1);
}

void rehearsal_configs_init(struct sluice_broker *table)
{
    table->configs_describe = on_configs_describe;
    table->configs_preview = on_configs_preview;
    table->configs_alter = on_configs_alter;
    table->config_names = on_config_names;
}
