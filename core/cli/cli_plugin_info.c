/* cli_plugin_info.c: `sluice plugin list` and `info` for people: what each instance does and costs,
 * in units that are read at a glance. --json gives the numbers as the broker told them. */
#include "cli/cli_plugin.h"

#include <stdlib.h>
#include <string.h>

#define VALUE_BYTES 48u

/* ---- numbers ---- */

static double number_of(const cJSON *object, const char *key)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, key);
    if (cJSON_IsNumber(member)) {
        return member->valuedouble;
    }
    return cJSON_IsString(member) ? strtod(member->valuestring, NULL) : 0;
}

/* "430 ns", "12.5 us", "3.1 ms", "2.0 s" */
static void duration_text(double ns, char ret_text[VALUE_BYTES])
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    size_t unit = 0;
    while (ns >= 1000 && unit + 1 < SL_COUNT_OF(units)) {
        ns /= 1000;
        unit++;
    }
    snprintf(ret_text, VALUE_BYTES, unit == 0 ? "%.0f %s" : "%.1f %s", ns, units[unit]);
}

static void bytes_text(double bytes, char ret_text[VALUE_BYTES])
{
    snprintf(ret_text, VALUE_BYTES, "%.1f MiB", bytes / (1024 * 1024));
}

/* ---- list ---- */

#define NAME_BYTES 60u

/* The text of an expression on one line; longer ones are cut off. */
static void name_shorten(cJSON *row)
{
    char text[NAME_BYTES + 4];
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, "name"));
    if (name == NULL) {
        return;
    }
    snprintf(text, sizeof(text), "%.*s%s", (int)NAME_BYTES, name,
             strlen(name) > NAME_BYTES ? "..." : "");
    for (char *letter = text; *letter != '\0'; letter++) {
        *letter = (unsigned char)*letter < 0x20 || *letter == 0x7f ? ' ' : *letter;
    }
    cJSON_ReplaceItemInObjectCaseSensitive(row, "name", cJSON_CreateString(text));
}

/* What is read at a glance, beside the numbers. */
static void cost_texts_add(cJSON *row)
{
    char text[VALUE_BYTES];
    duration_text(number_of(row, "batch_p99_ns"), text);
    cJSON_AddStringToObject(row, "batch_p99", text);
    snprintf(text, sizeof(text), "%.1f %%", number_of(row, "cpu_share_ppm") / 10000);
    cJSON_AddStringToObject(row, "cpu", text);
    bytes_text(number_of(row, "memory_bytes"), text);
    cJSON_AddStringToObject(row, "memory", text);
}

static void filters_write(const struct cli *cli, const cJSON *filters)
{
    static const char *const columns[] = {
        "name",       "loop",   "clients", "state",     "pid",           "cpu",       "memory",
        "records_in", "passed", "errors",  "batch_p99", "worker_deaths", "last_error"};
    cJSON *row = NULL;
    if (cJSON_GetArraySize(filters) == 0) {
        return;
    }
    cJSON_ArrayForEach(row, filters)
    {
        char text[1024];
        cost_texts_add(row);
        name_shorten(row);
        cJSON_AddStringToObject(row, "passed", cli_member_text(row, "records_out", text));
        cJSON_AddStringToObject(row, "pid", cli_member_text(row, "worker_pid", text));
        cJSON_ReplaceItemInObjectCaseSensitive(
            row, "clients", cJSON_CreateString(cli_member_text(row, "client_count", text)));
    }
    printf("\nfilters in Lua of subscriptions (native.filters.*)\n");
    cli_table_write(cli, filters, columns, SL_COUNT_OF(columns));
}

int cli_plugin_list(struct cli *cli)
{
    static const char *const columns[] = {"name",          "kind",        "on",
                                          "input",         "output",      "state",
                                          "records_in",    "records_out", "records_rejected",
                                          "worker_deaths", "batch_p99",   "cpu",
                                          "memory",        "module"};
    cJSON *reply = NULL;
    int code = cli_call_once(cli, "plugin.list", NULL, &reply);
    if (code != CLI_OK) {
        return code;
    }
    const cJSON *result = cli_result(reply);
    const cJSON *plugins = cJSON_GetObjectItemCaseSensitive(result, "plugins");
    if (cli->options.json) {
        cli_json_write(result);
    } else {
        cJSON *row = NULL;
        cJSON_ArrayForEach(row, plugins)
        {
            cost_texts_add(row);
        }
        cli_table_write(cli, plugins, columns, SL_COUNT_OF(columns));
        filters_write(cli, cJSON_GetObjectItemCaseSensitive(result, "filters"));
    }
    cJSON_Delete(reply);
    return CLI_OK;
}

/* ---- info ---- */

static void heading(const struct cli *cli, const char *text)
{
    printf("\n%s%s%s\n", cli->colour ? "\x1b[1m" : "", text, cli->colour ? "\x1b[0m" : "");
}

static void line(const char *label, const char *value)
{
    if (value[0] != '\0') {
        printf("%-18s %s\n", label, value);
    }
}

static void write_lines(const cJSON *object, const char *const *keys, size_t count)
{
    char text[1024];
    for (size_t i = 0; i < count; i++) {
        line(keys[i], cli_member_text(object, keys[i], text));
    }
}

static void write_records(const struct cli *cli, const cJSON *object)
{
    const cJSON *member;
    char text[1024];
    heading(cli, "records");
    cJSON_ArrayForEach(member, object)
    {
        if (strncmp(member->string, "records_", 8) == 0) {
            printf("  %-16s %12s\n", member->string + 8,
                   cli_member_text(object, member->string, text));
        }
    }
}

static void write_times(const struct cli *cli, const cJSON *object)
{
    static const char *const columns[] = {"mean_ns", "p50_ns", "p99_ns", "p999_ns"};
    static const char *const names[][2] = {
        {"batch", "a batch"}, {"record", "a record"}, {"record_cpu", "CPU of a record"}};
    const cJSON *times = cJSON_GetObjectItemCaseSensitive(object, "times");
    heading(cli, "time");
    printf("  %-16s %12s %10s %10s %10s %10s\n", "", "count", "mean", "p50", "p99", "p999");
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        const cJSON *row = cJSON_GetObjectItemCaseSensitive(times, names[i][0]);
        printf("  %-16s %12.0f", names[i][1], number_of(row, "count"));
        for (size_t k = 0; k < SL_COUNT_OF(columns); k++) {
            char text[VALUE_BYTES];
            duration_text(number_of(row, columns[k]), text);
            printf(" %10s", text);
        }
        putchar('\n');
    }
}

static void of_limit(const char *label, const char *used, double limit, const char *limit_text)
{
    printf("  %-16s %12s%s%s\n", label, used, limit > 0 ? " of " : "", limit > 0 ? limit_text : "");
}

static void write_workers(const struct cli *cli, const cJSON *object)
{
    char used[VALUE_BYTES], limit[VALUE_BYTES];
    heading(cli, "workers");
    snprintf(used, sizeof(used), "%.0f", number_of(object, "workers"));
    of_limit("processes", used, 0, "");
    snprintf(used, sizeof(used), "%.1f %%", number_of(object, "cpu_share_ppm") / 10000);
    snprintf(limit, sizeof(limit), "%.0f %%", number_of(object, "cpu_limit_ppm") / 10000);
    of_limit("CPU now", used, number_of(object, "cpu_limit_ppm"), limit);
    duration_text(number_of(object, "cpu_ns"), used);
    of_limit("CPU so far", used, 0, "");
    duration_text(number_of(object, "cpu_throttled_ns"), used);
    of_limit("throttled", used, 0, "");
    bytes_text(number_of(object, "memory_bytes"), used);
    bytes_text(number_of(object, "memory_limit_bytes"), limit);
    of_limit("memory", used, number_of(object, "memory_limit_bytes"), limit);
    snprintf(used, sizeof(used), "%.0f", number_of(object, "queued_batches"));
    of_limit("batches waiting", used, 0, "");
    snprintf(used, sizeof(used), "%.0f", number_of(object, "running_batches"));
    of_limit("batches running", used, 0, "");
    snprintf(used, sizeof(used), "%.0f", number_of(object, "worker_starts"));
    of_limit("starts", used, 0, "");
}

/* Members of an object that are not 0. */
static void write_nonzero(const struct cli *cli, const cJSON *object, const char *key,
                          const char *title)
{
    const cJSON *member, *counts = cJSON_GetObjectItemCaseSensitive(object, key);
    bool any = false;
    cJSON_ArrayForEach(member, counts)
    {
        double count = number_of(counts, member->string);
        if (count > 0) {
            if (!any) {
                heading(cli, title);
            }
            any = true;
            printf("  %-16s %12.0f\n", member->string, count);
        }
    }
}

static void write_tables(const struct cli *cli, const cJSON *object)
{
    static const char *const places[] = {"topic", "partition",   "position",
                                         "lag",   "lag_seconds", "stall"};
    static const char *const served[] = {"version", "state", "address", "connections",
                                         "closes_in_seconds"};
    static const char *const own[] = {"metric", "kind", "value", "sum", "p50", "p99", "p999"};
    static const char *const versions[] = {"hash", "version", "since", "until", "ended"};
    const cJSON *partitions = cJSON_GetObjectItemCaseSensitive(object, "partitions");
    const cJSON *kept = cJSON_GetObjectItemCaseSensitive(object, "versions");
    const cJSON *serving = cJSON_GetObjectItemCaseSensitive(object, "serving"); /* a frontend's */
    const cJSON *metrics = cJSON_GetObjectItemCaseSensitive(object, "metrics");
    if (cJSON_GetArraySize(metrics) > 0) {
        heading(cli, "metrics of its own");
        cli_table_write(cli, metrics, own, SL_COUNT_OF(own));
    }
    if (cJSON_GetArraySize(partitions) > 0) {
        heading(cli, "partitions");
        cli_table_write(cli, partitions, places, SL_COUNT_OF(places));
    }
    if (cJSON_GetArraySize(serving) > 0) {
        heading(cli, "serving");
        cli_table_write(cli, serving, served, SL_COUNT_OF(served));
    }
    if (cJSON_GetArraySize(kept) > 0) {
        heading(cli, "versions");
        cli_table_write(cli, kept, versions, SL_COUNT_OF(versions));
    }
}

static void write_shadow(const struct cli *cli, const cJSON *object)
{
    static const char *const keys[] = {"state", "hash", "same", "changed", "differences"};
    const cJSON *shadow = cJSON_GetObjectItemCaseSensitive(object, "shadow");
    if (shadow != NULL) {
        heading(cli, "shadow run");
        write_lines(shadow, keys, SL_COUNT_OF(keys));
    }
}

static void info_write(const struct cli *cli, const cJSON *object)
{
    static const char *const head[] = {
        "name",        "path",     "module",     "version",    "hash",           "kind",
        "on",          "input",    "output",     "state",      "reason",         "switched_by",
        "switched_ms", "on_error", "worker_pid", "last_error", "last_error_time"};
    write_lines(object, head, SL_COUNT_OF(head));
    write_records(cli, object);
    write_times(cli, object);
    write_workers(cli, object);
    write_nonzero(cli, object, "deaths_by_cause", "deaths of workers, by cause");
    write_nonzero(cli, object, "denied_calls", "denied calls");
    heading(cli, "loads");
    static const char *const loads[] = {"reloads",        "reloads_refused", "rollbacks",
                                        "config_reloads", "retries",         "timeouts",
                                        "kept_versions"};
    for (size_t i = 0; i < SL_COUNT_OF(loads); i++) {
        printf("  %-16s %12.0f\n", loads[i], number_of(object, loads[i]));
    }
    write_tables(cli, object);
    write_shadow(cli, object);
}

int cli_plugin_info(struct cli *cli)
{
    cJSON *args = cJSON_CreateObject();
    cJSON *reply = NULL;
    cJSON_AddStringToObject(args, "name", cli->options.words[0]);
    int code = cli_call_once(cli, "plugin.info", args, &reply);
    if (code != CLI_OK) {
        return code;
    }
    if (cli->options.json) {
        cli_json_write(cli_result(reply));
    } else {
        info_write(cli, cli_result(reply));
    }
    cJSON_Delete(reply);
    return CLI_OK;
}
