/* cli_config.c: config check, show, schema, reference; all but `show --running` work without a
 * broker. */
#include "catalog/topic_config.h"
#include "cli/cli_command.h"

#include <string.h>

extern char **environ;

static int report_fail(const struct cli *cli, const struct config_report *report)
{
    if (cli->options.json) {
        cJSON *object = cJSON_CreateObject();
        cJSON *array = cJSON_AddArrayToObject(object, "problems");
        for (uint32_t i = 0; i < report->count && i < CONFIG_PROBLEMS_MAX; i++) {
            cJSON_AddItemToArray(array, cJSON_CreateString(report->problems[i]));
        }
        cJSON_AddBoolToObject(object, "ok", false);
        cli_json_write(object);
        cJSON_Delete(object);
    } else {
        config_report_write(report, stderr);
    }
    return CLI_CONFIG;
}

/* Files are the words of `check`; environment and home do not matter there. */
static int config_check(struct cli *cli)
{
    struct config_sources sources = {.dev = cli->options.dev, .executable = cli->executable};
    struct config_report report = {.count = 0};
    struct sl_config *config = NULL;
    for (uint32_t i = 0; i < cli->options.word_count; i++) {
        sources.files[sources.file_count++] = cli->options.words[i];
    }
    if (config_load(cli->os, &sources, &report, &config) != SLUICE_OK) {
        return report_fail(cli, &report);
    }
    config_free(config);
    puts(cli->options.json ? "{\"ok\":true}" : "valid");
    return CLI_OK;
}

static int running_show(struct cli *cli)
{
    cJSON *reply = NULL;
    const cJSON *key;
    char value[1024], origin[1024];
    int code = cli_call_once(cli, "config.show", NULL, &reply);
    if (code != CLI_OK) {
        return code;
    }
    if (cli->options.json) {
        cli_json_write(cli_result(reply));
        cJSON_Delete(reply);
        return CLI_OK;
    }
    cJSON_ArrayForEach(key, cli_result(reply))
    {
        printf("%s = %s  # %s\n", key->string, cli_member_text(key, "value", value),
               cli_member_text(key, "origin", origin));
    }
    cJSON_Delete(reply);
    return CLI_OK;
}

static int config_show(struct cli *cli)
{
    const struct cli_options *options = &cli->options;
    struct config_sources sources = {.dev = options->dev,
                                     .profile = cli_value(cli_own(cli, "--profile"), NULL),
                                     .home = cli_value(&options->home, NULL),
                                     .environment = (const char *const *)environ,
                                     .executable = cli->executable};
    struct config_report report = {.count = 0};
    struct sl_config *config = NULL;
    if (options->running) {
        return running_show(cli);
    }
    for (uint32_t i = 0; i < options->config.count && i < CONFIG_FILES_MAX; i++) {
        sources.files[sources.file_count++] = options->config.items[i];
    }
    for (uint32_t i = 0; i < options->set.count; i++) {
        sources.settings[sources.setting_count++] = options->set.items[i];
    }
    if (config_load(cli->os, &sources, &report, &config) != SLUICE_OK) {
        return report_fail(cli, &report);
    }
    if (options->json) {
        cJSON *object = config_show_json(config);
        cli_json_write(object);
        cJSON_Delete(object);
    } else {
        config_show_write(config, stdout);
    }
    config_free(config);
    return CLI_OK;
}

static int config_schema(struct cli *cli SL_UNUSED)
{
    config_schema_write(stdout);
    return CLI_OK;
}

static int config_topics(struct cli *cli SL_UNUSED)
{
    topic_config_page_write(stdout);
    return CLI_OK;
}

static int config_reference(struct cli *cli SL_UNUSED)
{
    config_reference_write(stdout);
    return CLI_OK;
}

/* ---- the table ---- */

/* clang-format off */
static const struct cli_command commands[] = {
    {"config check", config_check, "FILE...", 1, CONFIG_FILES_MAX,
     CLI_OPTION(JSON) | CLI_OPTION(HELP) | CLI_OPTION(DEV), "check configuration files"},
    {"config show", config_show, "", 0, 0,
     CLI_BROKER_OPTIONS | CLI_OPTION(SET) | CLI_OPTION(RUNNING),
     "every key with its value and where it was set"},
    {"config explain", cli_config_explain, "KEY", 1, 1, CLI_OPTION(JSON) | CLI_OPTION(HELP),
     "what a key, or all keys of a section, are for: type, range, default, when a change takes effect"},
    {"config init", cli_config_init, "[FILE]", 0, 1, CLI_OPTION(HELP) | CLI_OPTION(FORCE),
     "write a configuration to begin with: a profile, with its reasons"},
    {"config set", cli_config_set, "FILE KEY=VALUE...", 2, 64,
     CLI_TABLE_OPTIONS | CLI_OPTION(DRY_RUN),
     "change values in a configuration file, and nothing else in it\n\n"
     "What the file would say is checked first: where it is wrong the file stays as it is. What changed is told, with when it takes effect."},
    {"config diff", cli_config_diff, "[FILE] FILE", 1, 2, CLI_BROKER_OPTIONS,
     "what a file changes, compared with the running broker or with another file\n\n"
     "Exit codes: 0 nothing, 1 something."},
    {"config import", cli_config_import, "SERVER.PROPERTIES", 1, 1, CLI_OPTION(HELP),
     "a configuration of Apache Kafka as one of Sluice; what has no counterpart is named, with the reason\n\n"
     "Exit codes: 0 everything was taken over, 3 something was not."},
    {"config schema", config_schema, "", 0, 0, CLI_OPTION(JSON) | CLI_OPTION(HELP),
     "JSON Schema of the configuration"},
    {"config reference", config_reference, "", 0, 0, CLI_OPTION(HELP),
     "reference page of the configuration"},
    {"config topics", config_topics, "", 0, 0, CLI_OPTION(HELP),
     "reference page of the configurations of topics"},
};
static const struct cli_option options[] = {
    {.commands = "config show,config init", .name = "--profile",
     .argument = "development|production|high-performance|single-node|edge", .doc = "settings for a kind of use"},
    {.commands = "config show", .name = "--origin", .doc = "with where each value was set, as it is without, too"},
};
/* clang-format on */

const struct cli_table cli_config_table = {.title = "Configuration",
                                           .commands = commands,
                                           .count = SL_COUNT_OF(commands),
                                           .options = options,
                                           .option_count = SL_COUNT_OF(options)};
