/* cli_output.c: JSON, tables and complaints. */
#include "cli/cli_command.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 16u

/* Of the one command that a process runs. */
static struct {
    char complaint[1024], next[1024];
    uint32_t objects;
} told;

static void SL_PRINTF(3, 0)
    tell(const char *before, char first[1024], const char *format, va_list args)
{
    char text[1024];
    vsnprintf(text, sizeof(text), format, args);
    fprintf(stderr, "%s%s\n", before, text);
    if (first[0] == '\0') {
        memcpy(first, text, sizeof(text));
    }
}

void cli_complain(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tell("sluice: ", told.complaint, format, args);
    va_end(args);
}

void cli_next(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tell("        ", told.next, format, args);
    va_end(args);
}

const char *cli_complained(const char **ret_next)
{
    *ret_next = told.next;
    return told.complaint;
}

uint32_t cli_json_count(void)
{
    return told.objects;
}

/* Days since 1970 to a date, by eras of 400 years (Howard Hinnant, chrono-compatible date
 * algorithms). */
static void date_text(int64_t days, char ret_text[16])
{
    int64_t shifted = days + 719468;
    int64_t era = shifted / 146097;
    int64_t day_of_era = shifted % 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day + 2) / 153; /* from March on */
    int64_t year = year_of_era + era * 400 + (month >= 10);
    snprintf(ret_text, 16, "%04u-%02u-%02u", (uint32_t)(year % 10000),
             (uint32_t)(month < 10 ? month + 3 : month - 9) % 13,
             (uint32_t)(day - (153 * month + 2) / 5 + 1) % 32);
}

void cli_time_text(int64_t wall_ms, char ret_text[CLI_TIME_BYTES])
{
    char date[16];
    int64_t seconds = wall_ms / 1000;
    ret_text[0] = '\0';
    if (wall_ms >= 0) {
        date_text(seconds / 86400, date);
        snprintf(ret_text, CLI_TIME_BYTES, "%.10sT%02u:%02u:%02uZ", date,
                 (uint32_t)(seconds / 3600 % 24), (uint32_t)(seconds / 60 % 60),
                 (uint32_t)(seconds % 60));
    }
}

/* The same algorithm the other way round. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    int64_t shifted = year - (month <= 2);
    int64_t era = shifted / 400;
    int64_t year_of_era = shifted % 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

bool cli_time_parse(const char *text, int64_t *ret_wall_ms)
{
    unsigned year, month, day, hour, minute, second, milli = 0;
    int at = 0;
    size_t size = strspn(text, "0123456789-:T");
    bool is_plain = size == 19 && text[0] != '-' && text[4] == '-' && text[7] == '-' &&
                    text[10] == 'T' && text[13] == ':' && text[16] == ':';
    if (!is_plain || /* sscanf alone would take signs and spaces */
        sscanf(text, "%4u-%2u-%2uT%2u:%2u:%2u%n", &year, &month, &day, &hour, &minute, &second,
               &at) != 6 ||
        at == 0) {
        return false;
    }
    if (text[at] == '.') {
        char digits[4] = "000";
        size_t count = strspn(text + at + 1, "0123456789");
        memcpy(digits, text + at + 1, SL_MIN(count, (size_t)3));
        milli = (unsigned)strtoul(digits, NULL, 10);
        at += 1 + (int)count;
    }
    bool ok = strcmp(text + at, "Z") == 0 && year >= 1970 && month >= 1 && month <= 12 &&
              day >= 1 && day <= 31 && hour < 24 && minute < 60 && second < 60;
    if (ok) {
        int64_t seconds = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
        *ret_wall_ms = seconds * 1000 + milli;
    }
    return ok;
}

void cli_json_write(const cJSON *object)
{
    char *text = cJSON_PrintUnformatted(object);
    if (text != NULL) {
        puts(text);
        told.objects++;
    }
    free(text);
}

static size_t value_text(const cJSON *item, char *out, size_t room)
{
    int size = 0;
    if (cJSON_IsString(item)) {
        size = snprintf(out, room, "%s", item->valuestring);
    } else if (cJSON_IsNumber(item)) {
        size = snprintf(out, room, "%.15g", item->valuedouble);
    } else if (cJSON_IsBool(item)) {
        size = snprintf(out, room, "%s", cJSON_IsTrue(item) ? "yes" : "no");
    } else if (item != NULL && !cJSON_IsNull(item)) {
        char *text = cJSON_PrintUnformatted(item);
        size = snprintf(out, room, "%s", text != NULL ? text : "");
        free(text);
    } else {
        out[0] = '\0';
    }
    return SL_MIN((size_t)size, room - 1);
}

const char *cli_member_text(const cJSON *object, const char *name, char ret_text[1024])
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);
    const cJSON *item;
    size_t at = 0;
    if (!cJSON_IsArray(member)) {
        value_text(member, ret_text, 1024);
        return ret_text;
    }
    ret_text[0] = '\0';
    cJSON_ArrayForEach(item, member)
    {
        if (at > 0 && at < 1022) {
            ret_text[at++] = ',';
        }
        at += value_text(item, ret_text + at, 1024 - at);
    }
    return ret_text;
}

static void row_write(const size_t *widths, const char *const *cells, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool last = i + 1 == count;
        printf("%-*s%s", last ? 0 : (int)widths[i], cells[i], last ? "\n" : "  ");
    }
}

/* --columns a,b: the names into ret_columns, which point into ret_text. How many there are. */
static size_t columns_chosen(const struct cli *cli, char ret_text[1024],
                             const char *ret_columns[COLUMNS_MAX])
{
    size_t count = 0;
    char *rest = NULL;
    snprintf(ret_text, 1024, "%s", cli_value(&cli->options.columns, ""));
    for (char *name = strtok_r(ret_text, ",", &rest); name != NULL && count < COLUMNS_MAX;
         name = strtok_r(NULL, ",", &rest)) {
        ret_columns[count++] = name;
    }
    return count;
}

/* A column that no row has is a slip. */
static void columns_check(const cJSON *rows, const char *const *columns, size_t count)
{
    const cJSON *first = rows != NULL ? rows->child : NULL;
    const cJSON *member;
    for (size_t i = 0; first != NULL && i < count; i++) {
        if (cJSON_GetObjectItemCaseSensitive(first, columns[i]) == NULL) {
            fprintf(stderr, "sluice: there is no column \"%s\"; there are:", columns[i]);
            cJSON_ArrayForEach(member, first)
            {
                fprintf(stderr, " %s", member->string);
            }
            fputc('\n', stderr);
        }
    }
}

static void table_write(const struct cli *cli, const cJSON *rows, const char *const *columns,
                        size_t column_count)
{
    const char *chosen[COLUMNS_MAX];
    char names[1024];
    size_t chosen_count = columns_chosen(cli, names, chosen);
    if (chosen_count > 0) {
        columns = chosen;
        column_count = chosen_count;
        columns_check(rows, columns, column_count);
    }
    size_t widths[COLUMNS_MAX] = {0};
    char texts[COLUMNS_MAX][1024];
    const char *cells[COLUMNS_MAX];
    const cJSON *row;
    SL_ASSERT(column_count <= COLUMNS_MAX);
    for (size_t i = 0; i < column_count; i++) {
        widths[i] = strlen(columns[i]);
        cells[i] = columns[i];
    }
    cJSON_ArrayForEach(row, rows)
    {
        for (size_t i = 0; i < column_count; i++) {
            size_t size = strlen(cli_member_text(row, columns[i], texts[i]));
            widths[i] = SL_MAX(widths[i], size);
        }
    }
    fputs(cli->colour ? "\x1b[1m" : "", stdout);
    row_write(widths, cells, column_count);
    fputs(cli->colour ? "\x1b[0m" : "", stdout);
    cJSON_ArrayForEach(row, rows)
    {
        for (size_t i = 0; i < column_count; i++) {
            cells[i] = cli_member_text(row, columns[i], texts[i]);
        }
        row_write(widths, cells, column_count);
    }
}

void cli_table_write(const struct cli *cli, const cJSON *rows, const char *const *columns,
                     size_t column_count)
{
    SL_ASSERT((cli->command->options & CLI_TABLE_OPTIONS) == CLI_TABLE_OPTIONS);
    table_write(cli, rows, columns, column_count);
}

static void table_of_array(const struct cli *cli, const cJSON *array)
{
    const char *columns[COLUMNS_MAX];
    const cJSON *member;
    size_t count = 0;
    cJSON_ArrayForEach(member, array->child)
    {
        if (count < COLUMNS_MAX) {
            columns[count++] = member->string;
        }
    }
    printf("\n%s\n", array->string);
    table_write(cli, array, columns, count);
}

static void members_of_object(const cJSON *object)
{
    const cJSON *member;
    char text[1024];
    printf("%-18s", object->string);
    cJSON_ArrayForEach(member, object)
    {
        printf(" %s=%s", member->string, cli_member_text(object, member->string, text));
    }
    putchar('\n');
}

/* A line for each value, one for each object, then a table for each array of objects. */
void cli_object_write(const struct cli *cli, const cJSON *object)
{
    const cJSON *item;
    char text[1024];
    cJSON_ArrayForEach(item, object)
    {
        if (cJSON_IsObject(item)) {
            members_of_object(item);
        } else if (!cJSON_IsObject(item->child)) {
            printf("%-18s %s\n", item->string, cli_member_text(object, item->string, text));
        }
    }
    cJSON_ArrayForEach(item, object)
    {
        if (cJSON_IsArray(item) && cJSON_IsObject(item->child)) {
            table_of_array(cli, item);
        }
    }
}

bool cli_lines_write(const struct cli *cli, const cJSON *rows)
{
    const cJSON *row;
    if (cli->options.jsonl) {
        cJSON_ArrayForEach(row, rows)
        {
            cli_json_write(row);
        }
    }
    return cli->options.jsonl;
}

void cli_rows_write(const struct cli *cli, const cJSON *object, const char *member,
                    const char *const *columns, size_t column_count)
{
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(object, member);
    if (cli_lines_write(cli, rows)) {
        return;
    }
    if (cli->options.json) {
        cli_json_write(object);
    } else {
        cli_table_write(cli, rows, columns, column_count);
    }
}

void cli_change_write(const struct cli *cli, const cJSON *result, const char *format, ...)
{
    va_list args;
    if (cli->options.json) {
        cli_json_write(result);
        return;
    }
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    puts(cli->options.dry_run ? " (nothing was changed: --dry-run)" : "");
}

/* ---- asking ---- */

bool cli_is_person(void)
{
    return sl_descriptor_is_terminal(0) && sl_descriptor_is_terminal(2);
}

bool cli_person_agrees(const char *question)
{
    char line[16] = "";
    size_t size = 0;
    fprintf(stderr, "%s\nGo on? [y/N] ", question);
    fflush(stderr);
    sl_err err = sl_descriptor_read(0, line, sizeof(line), &size);
    return err == SLUICE_OK && size > 0 && (line[0] == 'y' || line[0] == 'Y');
}

int cli_confirm(struct cli *cli, const char *format, ...)
{
    char question[1024];
    va_list args;
    if (cli->options.yes || cli->options.force || cli->options.dry_run) {
        return CLI_OK;
    }
    va_start(args, format);
    vsnprintf(question, sizeof(question), format, args);
    va_end(args);
    if (cli_is_person()) {
        bool agrees = cli_person_agrees(question);
        fputs(agrees ? "" : "nothing was changed\n", stderr);
        return agrees ? CLI_OK : CLI_FAILED;
    }
    cli_complain("%s; nothing was changed: say --yes if you mean it (SLU-%04d)", question,
                 SLUICE_E_UNCONFIRMED);
    cli->explained = SLUICE_E_UNCONFIRMED;
    return CLI_USAGE;
}
