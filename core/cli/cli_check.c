/* cli_check.c: check ready|lag|disk|plugin: one line and the exit code that Nagios and its kin
 * read: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN. Also what a container's health check calls. */
#include "cli/cli_check.h"

#include "base/text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char *const verdict_names[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};

const char *check_verdict_name(enum check_verdict verdict)
{
    return verdict_names[verdict];
}

int check_say(const struct cli *cli, const char *what, enum check_verdict verdict,
              const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (cli->options.json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "check", what);
        cJSON_AddStringToObject(object, "status", verdict_names[verdict]);
        cJSON_AddStringToObject(object, "text", text);
        cli_json_write(object);
        cJSON_Delete(object);
    } else {
        printf("%s %s - %s\n", what, verdict_names[verdict], text);
    }
    return (int)verdict;
}

static bool thresholds(const struct cli *cli, int64_t warn, int64_t crit, int64_t *ret_warn,
                       int64_t *ret_crit)
{
    return cli_number(cli_own(cli, "--warn"), "--warn", 0, INT64_MAX, warn, ret_warn) &&
           cli_number(cli_own(cli, "--crit"), "--crit", 0, INT64_MAX, crit, ret_crit);
}

static enum check_verdict judge(int64_t value, int64_t warn, int64_t crit)
{
    return value >= crit ? CHECK_CRITICAL : value >= warn ? CHECK_WARNING : CHECK_FINE;
}

/* What the broker answers; NULL: it was said why, and *ret_code is the code. */
static cJSON *ask(struct cli *cli, const char *what, const char *command,
                  enum check_verdict without, int *ret_code)
{
    cJSON *reply = NULL;
    if (cli_call_once(cli, command, NULL, &reply) != CLI_OK) {
        *ret_code = check_say(cli, what, without, "no answer from the broker");
        return NULL;
    }
    cJSON *result = cJSON_Duplicate(cli_result(reply), true);
    cJSON_Delete(reply);
    return result;
}

static int64_t number_of(const cJSON *object, const char *name)
{
    char text[1024];
    return strtoll(cli_member_text(object, name, text), NULL, 10);
}

/* ---- ready ---- */

static int check_ready(struct cli *cli)
{
    int code = 0;
    cJSON *status = ask(cli, "READY", "status", CHECK_CRITICAL, &code);
    if (status == NULL) {
        return code;
    }
    char health[1024], version[1024];
    bool ready = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(status, "ready"));
    cli_member_text(status, "health", health);
    health[strcspn(health, "\n")] = '\0';
    if (ready && health[0] == '\0') {
        code = check_say(cli, "READY", CHECK_FINE, "version %s, up for %lld s",
                         cli_member_text(status, "version", version),
                         (long long)(number_of(status, "uptime_ms") / 1000));
    } else {
        code = check_say(cli, "READY", ready ? CHECK_WARNING : CHECK_CRITICAL, "%s",
                         health[0] != '\0' ? health : "it is not ready");
    }
    cJSON_Delete(status);
    return code;
}

/* ---- disk ---- */

static int check_disk(struct cli *cli)
{
    int code = 0;
    int64_t warn = 0, crit = 0;
    if (!thresholds(cli, 85, 95, &warn, &crit)) {
        return CHECK_UNKNOWN;
    }
    cJSON *status = ask(cli, "DISK", "status", CHECK_UNKNOWN, &code);
    if (status == NULL) {
        return code;
    }
    const cJSON *storage = cJSON_GetObjectItemCaseSensitive(status, "storage");
    char state[1024];
    int64_t used = number_of(storage, "used_percent");
    int64_t damaged = number_of(storage, "damaged_places");
    cli_member_text(storage, "state", state);
    enum check_verdict verdict = damaged > 0 ? CHECK_CRITICAL : judge(used, warn, crit);
    code = check_say(cli, "DISK", verdict,
                     "%lld %% used, storage is %s, %lld damaged places | used=%lld%%;%lld;%lld",
                     (long long)used, state, (long long)damaged, (long long)used, (long long)warn,
                     (long long)crit);
    cJSON_Delete(status);
    return code;
}

/* ---- plugin ---- */

static int check_plugin(struct cli *cli)
{
    int code = 0;
    uint32_t count = 0, bad = 0, seen = 0;
    const char *wanted = cli->options.word_count > 0 ? cli->options.words[0] : NULL;
    char name[1024], state[1024], first[600] = "";
    const cJSON *plugin;
    cJSON *result = ask(cli, "PLUGIN", "plugin.list", CHECK_UNKNOWN, &code);
    if (result == NULL) {
        return code;
    }
    cJSON_ArrayForEach(plugin, cJSON_GetObjectItemCaseSensitive(result, "plugins"))
    {
        cli_member_text(plugin, "name", name);
        if (wanted != NULL && strcmp(wanted, name) != 0) {
            continue;
        }
        count++;
        seen++;
        cli_member_text(plugin, "state", state);
        if (strcmp(state, "running") != 0 && strcmp(state, "paused") != 0 &&
            strcmp(state, "disabled") != 0) {
            if (bad++ == 0) {
                snprintf(first, sizeof(first), "%.200s is %.200s", name, state);
            }
        }
    }
    cJSON_Delete(result);
    if (wanted != NULL && seen == 0) {
        return check_say(cli, "PLUGIN", CHECK_CRITICAL, "there is no plugin \"%.200s\"", wanted);
    }
    return bad > 0 ? check_say(cli, "PLUGIN", CHECK_CRITICAL, "%u of %u do not run: %s", bad, count,
                               first)
                   : check_say(cli, "PLUGIN", CHECK_FINE, "%u loaded, none failed", count);
}

/* ---- lag ---- */

/* The sum of "lag" of all rows of a described group. */
static int64_t lag_of(const cJSON *node)
{
    const cJSON *child;
    int64_t sum = 0;
    if (cJSON_IsObject(node)) {
        const cJSON *lag = cJSON_GetObjectItemCaseSensitive(node, "lag");
        if (cJSON_IsString(lag) || cJSON_IsNumber(lag)) {
            return SL_MAX(number_of(node, "lag"), 0);
        }
    }
    cJSON_ArrayForEach(child, node)
    {
        sum += cJSON_IsObject(child) || cJSON_IsArray(child) ? lag_of(child) : 0;
    }
    return sum;
}

static int check_lag(struct cli *cli)
{
    int64_t warn = 0, crit = 0;
    cJSON *reply = NULL;
    const char *group = cli->options.words[0];
    if (!thresholds(cli, 1000, 10000, &warn, &crit)) {
        return CHECK_UNKNOWN;
    }
    cJSON *args = cJSON_CreateObject();
    cJSON_AddStringToObject(args, "group", group);
    if (cli_call_once(cli, "group.describe", args, &reply) != CLI_OK) {
        return check_say(cli, "LAG", CHECK_UNKNOWN, "no answer about group %.200s", group);
    }
    int64_t lag = lag_of(cli_result(reply));
    cJSON_Delete(reply);
    return check_say(cli, "LAG", judge(lag, warn, crit),
                     "group %.200s is %lld records behind | lag=%lld;%lld;%lld", group,
                     (long long)lag, (long long)lag, (long long)warn, (long long)crit);
}

/* ---- the table ---- */

#define CHECK_DOC "\n\nExit codes are those of Nagios: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN."

/* clang-format off */
static const struct cli_command commands[] = {
    {"check ready", check_ready, "", 0, 0, CLI_BROKER_OPTIONS, "whether the broker serves" CHECK_DOC},
    {"check disk", check_disk, "", 0, 0, CLI_BROKER_OPTIONS, "how full its disk is" CHECK_DOC},
    {"check plugin", check_plugin, "[PLUGIN]", 0, 1, CLI_BROKER_OPTIONS, "whether plugins run" CHECK_DOC},
    {"check host", cli_check_host, "", 0, 0,
     CLI_OPTION(JSON) | CLI_OPTION(HELP) | CLI_OPTION(HOME) | CLI_OPTION(DEV) | CLI_OPTION(CONFIG) | CLI_OPTION(SET),
     "whether this machine is one for a broker of this configuration\n\n"
     "Limits, processors, clock, memory, the disk of data.dir with a few syncs, what the kernel gives plugins,\n"
     "ports: what was found, and where it is not well why and what to do. No broker is needed." CHECK_DOC},
    {"check lag", check_lag, "GROUP", 1, 1, CLI_BROKER_OPTIONS, "how far a group is behind" CHECK_DOC},
};
static const struct cli_option options[] = {
    {.commands = "check disk,check lag", .name = "--warn", .argument = "N",
     .doc = "WARNING from here on: percent (85), records (1000)"},
    {.commands = "check disk,check lag", .name = "--crit", .argument = "N",
     .doc = "CRITICAL from here on: percent (95), records (10000)"},
};
/* clang-format on */

const struct cli_table cli_check_table = {.title = "Checks",
                                          .commands = commands,
                                          .count = SL_COUNT_OF(commands),
                                          .options = options,
                                          .option_count = SL_COUNT_OF(options)};
