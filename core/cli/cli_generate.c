/* cli_generate.c: generate prometheus|grafana|systemd|compose|app: files for the programs around a
 * broker. Their metrics are those of the tables below, which a test compares with /metrics. */
#include "cli/cli_workbench.h"

#include <string.h>

/* ---- what is watched ---- */

static const struct rule {
    const char *name, *expression, *after, *severity, *summary;
} rules[] = {
    {"SluiceDown", "up{job=\"sluice\"} == 0", "1m", "critical", "the broker does not answer"},
    {"SluiceFenced", "sluice_wal_fenced > 0", "0m", "critical",
     "storage failed: nothing is accepted until a restart"},
    {"SluiceDamage", "sluice_storage_damaged_places > 0", "0m", "critical",
     "stored records are damaged: sluice scrub names them"},
    {"SluiceDiskFull", "sluice_disk_available_bytes / sluice_disk_bytes < 0.1", "5m", "critical",
     "producers are slowed from 90 % on and refused at 95 %"},
    {"SluiceConnectionsStalled", "sluice_connections_stalled > 0", "10m", "warning",
     "clients are held back; sluice top and sluice flow name the cause"},
    {"SluicePluginLag", "max by (plugin) (sluice_plugin_lag_seconds) > 60", "5m", "warning",
     "a plugin is a minute behind"},
    {"SluicePluginPoison", "increase(sluice_plugin_records_poisoned_total[10m]) > 0", "0m",
     "warning", "records end their plugin's worker: sluice dlq show"},
    {"SluicePluginDenied", "increase(sluice_plugin_denied_calls_total[10m]) > 0", "0m", "warning",
     "a plugin tried what it may not: sluice plugin logs"},
    {"SluicePluginStalled", "sluice_plugin_stalled_partitions > 0", "5m", "warning",
     "partitions of a plugin stand still"},
    {"SluiceLoopBusy", "sluice_loop_longest_turn_seconds > 1", "5m", "warning",
     "a loop was held for more than a second"},
};

static const struct panel {
    const char *title, *expression, *unit;
} panels[] = {
    {"Records in", "sum(rate(sluice_records_in_total[1m]))", "ops"},
    {"Bytes in", "sum(rate(sluice_bytes_in_total[1m]))", "Bps"},
    {"Bytes out", "sum(rate(sluice_bytes_out_total[1m]))", "Bps"},
    {"Connections", "sum(sluice_connections)", "short"},
    {"Connections held back", "sum(sluice_connections_stalled)", "short"},
    {"Mean time of a sync",
     "sum(rate(sluice_wal_sync_seconds_total[1m])) / sum(rate(sluice_wal_syncs_total[1m]))", "s"},
    {"Log in use", "sum(sluice_wal_used_bytes)", "bytes"},
    {"Disk free", "sluice_disk_available_bytes", "bytes"},
    {"Memory for requests", "sum(sluice_buffer_used_bytes)", "bytes"},
    {"Longest turn of a loop", "max(sluice_loop_longest_turn_seconds)", "s"},
    {"Plugins: records in", "sum by (plugin) (rate(sluice_plugin_records_in_total[1m]))", "ops"},
    {"Plugins: lag", "max by (plugin) (sluice_plugin_lag_seconds)", "s"},
    {"Plugins: slowest batches",
     "histogram_quantile(0.99, sum by (plugin, le) (rate(sluice_plugin_batch_seconds_bucket[5m])))",
     "s"},
    {"Plugins: processors", "sum by (plugin) (rate(sluice_plugin_cpu_seconds_total[1m]))", "short"},
    {"Plugins: failures",
     "sum by (plugin) (rate(sluice_plugin_records_rejected_total[5m]) + "
     "rate(sluice_plugin_records_poisoned_total[5m]))",
     "ops"},
    {"Groups", "sum(sluice_groups)", "short"},
};

static int generate_prometheus(struct cli *cli SL_UNUSED)
{
    puts("# Alert rules for Sluice, by sluice generate prometheus. In prometheus.yml:\n"
         "#   rule_files: [sluice.rules.yml]\n"
         "#   scrape_configs: [{job_name: sluice, static_configs: [{targets: "
         "[\"127.0.0.1:9292\"]}]}]\n"
         "groups:\n  - name: sluice\n    rules:");
    for (size_t i = 0; i < SL_COUNT_OF(rules); i++) {
        printf("      - alert: %s\n        expr: %s\n        for: %s\n        labels:\n"
               "          severity: %s\n        annotations:\n          summary: \"%s\"\n",
               rules[i].name, rules[i].expression, rules[i].after, rules[i].severity,
               rules[i].summary);
    }
    return CLI_OK;
}

static cJSON *panel_json(const struct panel *panel, int index)
{
    cJSON *object = cJSON_CreateObject();
    cJSON *place = cJSON_AddObjectToObject(object, "gridPos");
    cJSON *source = cJSON_AddObjectToObject(object, "datasource");
    cJSON *defaults =
        cJSON_AddObjectToObject(cJSON_AddObjectToObject(object, "fieldConfig"), "defaults");
    cJSON *target = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "id", index + 1);
    cJSON_AddStringToObject(object, "type", "timeseries");
    cJSON_AddStringToObject(object, "title", panel->title);
    cJSON_AddNumberToObject(place, "h", 8);
    cJSON_AddNumberToObject(place, "w", 8);
    cJSON_AddNumberToObject(place, "x", index % 3 * 8);
    cJSON_AddNumberToObject(place, "y", index / 3 * 8);
    cJSON_AddStringToObject(source, "type", "prometheus");
    cJSON_AddStringToObject(source, "uid", "${datasource}");
    cJSON_AddStringToObject(defaults, "unit", panel->unit);
    cJSON_AddStringToObject(target, "expr", panel->expression);
    cJSON_AddStringToObject(target, "refId", "A");
    cJSON_AddItemToArray(cJSON_AddArrayToObject(object, "targets"), target);
    return object;
}

static int generate_grafana(struct cli *cli SL_UNUSED)
{
    cJSON *object = cJSON_CreateObject();
    cJSON *variable = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "title", "Sluice");
    cJSON_AddStringToObject(object, "uid", "sluice");
    cJSON_AddNumberToObject(object, "schemaVersion", 36);
    cJSON_AddStringToObject(object, "refresh", "10s");
    cJSON_AddStringToObject(variable, "name", "datasource");
    cJSON_AddStringToObject(variable, "type", "datasource");
    cJSON_AddStringToObject(variable, "query", "prometheus");
    cJSON_AddItemToArray(
        cJSON_AddArrayToObject(cJSON_AddObjectToObject(object, "templating"), "list"), variable);
    cJSON *array = cJSON_AddArrayToObject(object, "panels");
    for (size_t i = 0; i < SL_COUNT_OF(panels); i++) {
        cJSON_AddItemToArray(array, panel_json(&panels[i], (int)i));
    }
    cli_json_write(object);
    cJSON_Delete(object);
    return CLI_OK;
}

/* ---- where it runs ---- */

static int generate_systemd(struct cli *cli)
{
    printf(
        "# A unit for this program where it lies, by sluice generate systemd; packages bring one "
        "that\n"
        "# does more. For a user: ~/.config/systemd/user/sluice.service.\n"
        "[Unit]\nDescription=Sluice\n\n[Service]\nType=notify\n"
        "ExecStart=%s serve --home %%S/sluice\n"
        "ExecReload=%s reload --home %%S/sluice\n"
        "StateDirectory=sluice\nWatchdogSec=30s\nRestart=on-failure\n"
        "RestartPreventExitStatus=64 78\nLimitNOFILE=1048576\nNoNewPrivileges=yes\nDelegate=yes\n\n"
        "[Install]\nWantedBy=default.target\n",
        cli->executable, cli->executable);
    return CLI_OK;
}

static int generate_compose(struct cli *cli SL_UNUSED)
{
    puts("# docker build -f conf/package/Dockerfile -t sluice . && docker compose up\n"
         "services:\n"
         "  sluice:\n"
         "    image: sluice\n"
         "    environment:\n"
         "      SLUICE_KAFKA__ADVERTISED: localhost:9092 # what clients are told to connect to\n"
         "    ports: [\"9092:9092\", \"9292:9292\"]\n"
         "    volumes: [\"sluice:/var/lib/sluice\"]\n"
         "    stop_grace_period: 60s\n"
         "    ulimits: {nofile: 1048576}\n"
         "volumes:\n"
         "  sluice: {}");
    return CLI_OK;
}

/* ---- a program of one's own ---- */

static int generate_app(struct cli *cli)
{
    static const struct {
        const char *lang, *before, *run, *end;
    } langs[] = {{"c", "  make", "./", ""},
                 {"python", "", "python3 ", ".py"},
                 {"lua", "", "lua5.4 ", ".lua"}};
    const char *folder = cli->options.words[0];
    const char *lang = cli_value(cli_own(cli, "--lang"), "c");
    const char *slash = strrchr(folder, '/');
    int code = cli_template_make(cli, "app", lang);
    for (size_t i = 0; i < SL_COUNT_OF(langs) && code == CLI_OK; i++) {
        const char *name = slash != NULL ? slash + 1 : folder;
        if (strcmp(langs[i].lang, lang) == 0) {
            printf("\nNext:\n  cd %s\n%s%s  %s%s%s publish one two three\n  %s%s%s work 3\n",
                   folder, langs[i].before, langs[i].before[0] != '\0' ? "\n" : "", langs[i].run,
                   name, langs[i].end, langs[i].run, name, langs[i].end);
        }
    }
    return code;
}

/* ---- the table ---- */

/* clang-format off */
static const struct cli_option options[] = {
    {"generate app", "--lang", 'l', "c|python|lua", "what it is written in; default c"},
};
static const struct cli_command commands[] = {
    {"generate prometheus", generate_prometheus, "", 0, 0, CLI_OPTION(HELP), "alert rules"},
    {"generate grafana", generate_grafana, "", 0, 0, CLI_OPTION(HELP), "a dashboard"},
    {"generate systemd", generate_systemd, "", 0, 0, CLI_OPTION(HELP), "a unit for this program where it lies"},
    {"generate app", generate_app, "NAME", 1, 1, CLI_OPTION(HELP),
     "a folder with a small program that publishes messages and works on them\n\n"
     "In C with libsluice, in Python or in Lua with its module; it builds and runs as it is."},
    {"generate compose", generate_compose, "", 0, 0, CLI_OPTION(HELP), "a file for docker compose"},
};
/* clang-format on */

const struct cli_table cli_generate_table = {.title = "Files for others",
                                             .commands = commands,
                                             .count = SL_COUNT_OF(commands),
                                             .options = options,
                                             .option_count = SL_COUNT_OF(options)};
