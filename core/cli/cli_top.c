/* cli_top.c: the command top: --once and what is not a terminal get the rows as tables, or the
 * model as JSON; a terminal gets the screen (cli_top_screen.c). */
#include "cli/cli_top.h"

#include "cli/cli_top_rows.h"

#include <string.h>

static void section_write(const struct cli *cli, const struct top_section *section)
{
    cJSON *rows = cJSON_CreateArray();
    for (size_t i = 0; i < section->row_count; i++) {
        cJSON *row = cJSON_CreateObject();
        for (size_t k = 0; k < section->column_count; k++) {
            cJSON_AddStringToObject(row, section->columns[k], section->rows[i].cells[k]);
        }
        cJSON_AddItemToArray(rows, row);
    }
    printf("\n%s\n", section->title);
    cli_table_write(cli, rows, section->columns, section->column_count);
    cJSON_Delete(rows);
}

static int once_write(const struct cli *cli, const cJSON *model)
{
    struct top_rows rows;
    if (cli->options.json) {
        cli_json_write(model);
        return CLI_OK;
    }
    if (top_rows_make(model, TOP_SORT_RATE, "", &rows) != SLUICE_OK) {
        cli_complain("out of memory");
        return CLI_FAILED;
    }
    printf("%s\n%s\n", rows.head, rows.pressure);
    for (size_t i = 0; i < TOP_SECTION_COUNT; i++) {
        section_write(cli, &rows.sections[i]);
    }
    top_rows_fini(&rows);
    return CLI_OK;
}

static int once(struct cli *cli)
{
    cJSON *model = NULL;
    int code = flow_model_take(cli, &model);
    if (code == CLI_OK) {
        code = once_write(cli, model);
    }
    cJSON_Delete(model);
    return code;
}

static int top(struct cli *cli)
{
    int64_t interval_ms = 0;
    if (!cli_number(cli_own(cli, "--interval"), "--interval", 200, 60000, 1000, &interval_ms)) {
        return CLI_USAGE;
    }
    bool has_screen = sl_descriptor_is_terminal(0) && sl_descriptor_is_terminal(1);
    return cli->options.once || cli->options.json || !has_screen ? once(cli)
                                                                 : top_screen_run(cli, interval_ms);
}

/* clang-format off */
static const struct cli_option options[] = {
    {"top", "--interval", 0, "MS", "how often it looks; default 1000"},
};
static const struct cli_command commands[] = {
    {"top", top, "", 0, 0, CLI_BROKER_OPTIONS | CLI_OPTION(ONCE),
     "the flow live: rates, lags, plugins, groups, and what waits for what\n\n"
     "Keys: arrows choose a row, s sorts, / filters, R reloads the plugin of the row (or the\n"
     "configuration), T taps its topic, S shows rates since the start, ? helps, q quits.\n"
     "--once, or where it does not write to a terminal: one look as tables, with --json as an object."},
};
/* clang-format on */

const struct cli_table cli_top_table = {.title = "Watching",
                                        .commands = commands,
                                        .count = SL_COUNT_OF(commands),
                                        .options = options,
                                        .option_count = SL_COUNT_OF(options)};
