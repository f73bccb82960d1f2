/* cli_workbench_logs.c: plugin logs: the lines that the broker keeps of one instance. */
#include "cli/cli_workbench.h"

#include <stdlib.h>
#include <string.h>

#define FOLLOW_MS 250

static void lines_write(const struct cli *cli, const cJSON *lines)
{
    const cJSON *line;
    cJSON_ArrayForEach(line, lines)
    {
        char text[1024], level[1024], time[CLI_TIME_BYTES];
        if (cli->options.json) {
            cli_json_write(line);
            continue;
        }
        cli_time_text(strtoll(cli_member_text(line, "time_ms", text), NULL, 10), time);
        cli_member_text(line, "level", level);
        bool bad = strcmp(level, "error") == 0;
        printf("%s%s%s %s%-5s%s ", cli_faint(cli), time, cli_plain(cli),
               bad                          ? cli_red(cli)
               : strcmp(level, "warn") == 0 ? cli_yellow(cli)
                                            : cli_green(cli),
               level, cli_plain(cli));
        cli_print_safe(cli_member_text(line, "text", text));
        putchar('\n');
    }
    fflush(stdout);
}

/* What is behind line *next; *ret_count lines. */
static int more_read(struct cli *cli, struct cli_link *link, char next[32], int *ret_count)
{
    cJSON *reply = NULL;
    char text[1024];
    cJSON *args = cJSON_CreateObject();
    cJSON_AddStringToObject(args, "name", cli->options.words[0]);
    cJSON_AddStringToObject(args, "after", next);
    int code = cli_call(link, "plugin.logs", args, &reply);
    if (code == CLI_OK) {
        const cJSON *lines = cJSON_GetObjectItemCaseSensitive(cli_result(reply), "lines");
        if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(cli_result(reply), "lost"))) {
            cli_complain("lines between were not kept");
        }
        lines_write(cli, lines);
        *ret_count = cJSON_GetArraySize(lines);
        snprintf(next, 32, "%.31s", cli_member_text(cli_result(reply), "next", text));
    }
    cJSON_Delete(reply);
    return code;
}

int cli_plugin_logs(struct cli *cli)
{
    struct cli_link link;
    char next[32] = "0";
    int count = 0;
    cli->is_stream = true;
    int code = cli_link_open(&link, cli);
    if (code != CLI_OK) {
        return code;
    }
    code = more_read(cli, &link, next, &count);
    if (code == CLI_OK && count == 0 && !cli->options.follow) {
        cli_complain("nothing is kept of %s; \"sluice plugin list\" names the plugins that run",
                     cli->options.words[0]);
        code = CLI_FAILED;
    }
    while (code == CLI_OK && cli->options.follow) {
        sl_sleep_ms(FOLLOW_MS);
        code = more_read(cli, &link, next, &count);
    }
    cli_link_close(&link);
    return code;
}
