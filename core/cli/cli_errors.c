/* cli_errors.c: sluice errors: what a number means, why it comes about, what to do. */
#include "base/status.h"
#include "cli/cli_command.h"
#include "control/explain.h"

#include <stdlib.h>
#include <string.h>

/* "SLU-1303", "1303" */
static bool is_number(const char *word, int32_t *ret_number)
{
    char *end = NULL;
    const char *digits = strncasecmp(word, "SLU-", 4) == 0 ? word + 4 : word;
    long number = strtol(digits, &end, 10);
    *ret_number = (int32_t)number;
    return digits[0] >= '0' && digits[0] <= '9' && *end == '\0' && number < 10000;
}

static bool is_meant(const struct sluice_status_row *row, const char *word)
{
    int32_t number;
    if (is_number(word, &number)) {
        return row->status == number;
    }
    const struct explain_row *why = explain_find(row->status);
    return strcasestr(row->symbol, word) != NULL || strcasestr(row->text, word) != NULL ||
           strcasestr(why->cause, word) != NULL;
}

static void row_add(cJSON *rows, const struct sluice_status_row *row)
{
    char code[16];
    const struct explain_row *why = explain_find(row->status);
    cJSON *object = cJSON_CreateObject();
    sl_status_name(row->status, code);
    cJSON_AddStringToObject(object, "code", code);
    cJSON_AddStringToObject(object, "symbol", row->symbol);
    cJSON_AddStringToObject(object, "meaning", row->text);
    cJSON_AddStringToObject(object, "cause", why->cause);
    cJSON_AddStringToObject(object, "next", why->next);
    cJSON_AddNumberToObject(object, "kafka", row->kafka);
    cJSON_AddNumberToObject(object, "http", row->http);
    cJSON_AddNumberToObject(object, "grpc", row->grpc);
    cJSON_AddBoolToObject(object, "retriable", row->may_retry);
    cJSON_AddItemToArray(rows, object);
}

/* One is told in full. */
static void row_write(const struct cli *cli, const cJSON *row)
{
    char text[1024], code[1024], again[1024];
    printf("%s%s%s  %s\n", cli->colour ? "\x1b[1m" : "", cli_member_text(row, "code", code),
           cli->colour ? "\x1b[0m" : "", cli_member_text(row, "meaning", text));
    printf("  why         %s\n", cli_member_text(row, "cause", text));
    printf("  what to do  %s\n", cli_member_text(row, "next", text));
    printf("  elsewhere   SLUICE_%s", cli_member_text(row, "symbol", text));
    printf(", Kafka %s", cli_member_text(row, "kafka", text));
    printf(", HTTP %s", cli_member_text(row, "http", text));
    printf(", gRPC %s", cli_member_text(row, "grpc", text));
    printf(", %s\n", strcmp(cli_member_text(row, "retriable", again), "yes") == 0
                         ? "clients may try again"
                         : "trying again does not help");
}

static int errors(struct cli *cli)
{
    static const char *const columns[] = {"code", "kafka", "meaning"};
    size_t count = 0;
    const struct sluice_status_row *all = sluice_status_rows(&count);
    const char *word = cli->options.word_count > 0 ? cli->options.words[0] : "";
    cJSON *rows = cJSON_CreateArray();
    for (size_t i = 0; i < count; i++) {
        if (all[i].status != SLUICE_OK && is_meant(&all[i], word)) {
            row_add(rows, &all[i]);
        }
    }
    int found = cJSON_GetArraySize(rows);
    if (cli->options.json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddItemReferenceToObject(object, "errors", rows);
        cli_rows_write(cli, object, "errors", columns, SL_COUNT_OF(columns));
        cJSON_Delete(object);
    } else if (found == 1 && cli->options.columns.count == 0) {
        row_write(cli, rows->child);
    } else if (found > 0) {
        cli_table_write(cli, rows, columns, SL_COUNT_OF(columns));
    } else {
        cli_complain("no error has the number or the word \"%.60s\"", word);
        cli_next("\"sluice errors\" lists all");
    }
    cJSON_Delete(rows);
    return found > 0 ? CLI_OK : CLI_FAILED;
}

/* clang-format off */
static const struct cli_command commands[] = {
    {"errors", errors, "[CODE|WORD]", 0, 1, CLI_OPTION(JSON) | CLI_OPTION(JSONL) | CLI_OPTION(COLUMNS) | CLI_OPTION(HELP),
     "what an error means, why it comes about, and what to do\n\n"
     "CODE is SLU-1303 or 1303; WORD is looked for in all of them; without either: all."},
};
/* clang-format on */

const struct cli_table cli_errors_table = {
    .title = "Help", .commands = commands, .count = SL_COUNT_OF(commands)};
