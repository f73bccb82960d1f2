/* cli_top_rows.c: see cli_top_rows.h. */
#include "cli/cli_top_rows.h"

#include <stdlib.h>
#include <string.h>

#define PRESSED_PERCENT 85.0

static const char *const flow_columns[] = {"FROM", "TO",  "REC/S",    "BYTES/S",
                                           "LAG",  "AGE", "WAITS FOR"};
static const char *const plugin_columns[] = {"NAME", "STATE",  "IN/S",   "OUT/S", "P99",
                                             "CPU",  "DEATHS", "DENIED", "AGE",   "WAITS FOR"};
static const char *const group_columns[] = {"GROUP", "TYPE", "STATE", "MEMBERS",
                                            "REC/S", "LAG",  "AGE"};

const char *top_sort_name(enum top_sort sort)
{
    static const char *const names[] = {"rate", "lag", "age", "name"};
    return names[sort];
}

/* Control characters would move the cursor. */
static void cell_set(char cell[TOP_CELL_BYTES], const char *text)
{
    size_t at = 0;
    for (; text[at] != '\0' && at < TOP_CELL_BYTES - 1; at++) {
        unsigned char letter = (unsigned char)text[at];
        cell[at] = letter < 0x20 || letter == 0x7f ? '?' : text[at];
    }
    cell[at] = '\0';
}

static void cell_rate(char cell[TOP_CELL_BYTES], double rate, bool is_bytes)
{
    char text[WATCH_TEXT_BYTES];
    cell_set(cell, rate < 0   ? "-"
                   : is_bytes ? watch_bytes_text(rate, text)
                              : watch_count_text(rate, text));
}

static void cell_age(char cell[TOP_CELL_BYTES], int64_t age_ms)
{
    char text[WATCH_TEXT_BYTES];
    cell_set(cell, watch_age_text(age_ms, text));
}

static void cell_nanoseconds(char cell[TOP_CELL_BYTES], int64_t ns)
{
    static const struct {
        double below, divisor;
        const char *unit;
    } forms[] = {{1e3, 1, "ns"}, {1e6, 1e3, "us"}, {1e9, 1e6, "ms"}, {1e300, 1e9, "s"}};
    size_t i = 0;
    double value = (double)ns;
    while (value >= forms[i].below) {
        i++;
    }
    value /= forms[i].divisor;
    snprintf(cell, TOP_CELL_BYTES, "%.*f %s", value < 10 && i > 0 ? 1 : 0, value, forms[i].unit);
}

/* ---- sections ---- */

static bool row_holds(const struct top_row *row, size_t columns, const char *filter)
{
    bool holds = filter[0] == '\0';
    for (size_t i = 0; i < columns && !holds; i++) {
        holds = strstr(row->cells[i], filter) != NULL;
    }
    return holds;
}

/* Keeps the row that was filled, unless the filter is not in it. */
static void row_keep(struct top_section *section, const char *filter)
{
    const struct top_row *row = &section->rows[section->row_count];
    section->row_count += row_holds(row, section->column_count, filter);
}

static struct top_row *row_next(struct top_section *section)
{
    if (section->row_count == TOP_ROWS_MAX) {
        return NULL;
    }
    struct top_row *row = &section->rows[section->row_count];
    memset(row, 0, sizeof(*row));
    return row;
}

static void node_cell(char cell[TOP_CELL_BYTES], const char *node, struct top_row *row)
{
    char text[TOP_CELL_BYTES];
    size_t kind = 0;
    const char *name = flow_node_name(node, &kind);
    bool is_topic = strncmp(node, "topic:", 6) == 0;
    bool is_plugin = strncmp(node, "stage:", 6) == 0 || strncmp(node, "gate:", 5) == 0;
    bool is_group = strncmp(node, "group:", 6) == 0;
    snprintf(text, sizeof(text), "%s%.56s%s",
             is_plugin  ? "["
             : is_group ? "("
                        : "",
             name,
             is_plugin  ? "]"
             : is_group ? ")"
                        : "");
    cell_set(cell, text);
    if (is_topic && row->topic[0] == '\0') {
        snprintf(row->topic, sizeof(row->topic), "%.255s", name);
    }
    if (is_plugin) {
        snprintf(row->plugin, sizeof(row->plugin), "%.255s", name);
    }
}

static void flow_fill(const cJSON *model, struct top_section *section, const char *filter)
{
    const cJSON *edge;
    cJSON_ArrayForEach(edge, cJSON_GetObjectItemCaseSensitive(model, "edges"))
    {
        struct top_row *row = row_next(section);
        if (row == NULL) {
            return;
        }
        row->rate = flow_rate(edge, "records_per_s");
        row->lag = (double)watch_int(edge, "lag", -1);
        row->age_ms = (double)watch_int(edge, "lag_ms", -1);
        row->stalls = watch_text(edge, "stall")[0] != '\0';
        node_cell(row->cells[0], watch_text(edge, "from"), row);
        node_cell(row->cells[1], watch_text(edge, "to"), row);
        cell_rate(row->cells[2], row->rate, false);
        cell_rate(row->cells[3], flow_rate(edge, "bytes_per_s"), true);
        cell_rate(row->cells[4], row->lag, false);
        cell_age(row->cells[5], watch_int(edge, "lag_ms", -1));
        cell_set(row->cells[6], watch_text(edge, "stall"));
        row_keep(section, filter);
    }
}

/* What plugins and filters have in common: rates, time and CPU of their workers. */
static void worker_cells(struct top_row *row, const cJSON *from)
{
    row->rate = flow_rate(from, "records_in_per_s");
    cell_set(row->cells[1], watch_text(from, "state"));
    cell_rate(row->cells[2], row->rate, false);
    cell_rate(row->cells[3], flow_rate(from, "records_out_per_s"), false);
    cell_nanoseconds(row->cells[4], watch_int(from, "batch_p99_ns", 0));
    snprintf(row->cells[5], TOP_CELL_BYTES, "%.1f %%",
             (double)watch_int(from, "cpu_share_ppm", 0) / 10000);
    cell_rate(row->cells[6], (double)watch_int(from, "worker_deaths", 0), false);
}

/* Filters in Lua of subscriptions have a worker each, as plugins do. */
static void filters_fill(const cJSON *model, struct top_section *section, const char *filter)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(model, "filters"))
    {
        struct top_row *row = row_next(section);
        if (row == NULL) {
            return;
        }
        bool rests = strcmp(watch_text(item, "state"), "resting") == 0;
        row->lag = row->age_ms = -1;
        row->stalls = strcmp(watch_text(item, "state"), "running") != 0;
        worker_cells(row, item);
        cell_set(row->cells[0], watch_text(item, "name"));
        cell_rate(row->cells[7], -1, false);
        cell_age(row->cells[8], -1);
        cell_set(row->cells[9], rests ? "waits for its CPU share" : watch_text(item, "last_error"));
        row_keep(section, filter);
    }
}

static void plugins_fill(const cJSON *model, struct top_section *section, const char *filter)
{
    const cJSON *plugin;
    cJSON_ArrayForEach(plugin, cJSON_GetObjectItemCaseSensitive(model, "plugins"))
    {
        struct top_row *row = row_next(section);
        if (row == NULL) {
            return;
        }
        const char *state = watch_text(plugin, "state");
        const char *stall = watch_text(plugin, "stall");
        snprintf(row->plugin, sizeof(row->plugin), "%.255s", watch_text(plugin, "name"));
        snprintf(row->topic, sizeof(row->topic), "%.*s",
                 (int)strcspn(watch_text(plugin, "input"), ", "), watch_text(plugin, "input"));
        row->lag = (double)watch_int(plugin, "lag", -1);
        row->age_ms = (double)watch_int(plugin, "lag_ms", -1);
        row->stalls = stall[0] != '\0' || strcmp(state, "running") != 0;
        worker_cells(row, plugin);
        cell_set(row->cells[0], row->plugin);
        cell_rate(row->cells[7], (double)watch_int(plugin, "denied", 0), false);
        cell_age(row->cells[8], watch_int(plugin, "lag_ms", -1));
        cell_set(row->cells[9], stall[0] != '\0' ? stall : watch_text(plugin, "reason"));
        row_keep(section, filter);
    }
    filters_fill(model, section, filter);
}

static void groups_fill(const cJSON *model, struct top_section *section, const char *filter)
{
    const cJSON *group;
    cJSON_ArrayForEach(group, cJSON_GetObjectItemCaseSensitive(model, "groups"))
    {
        struct top_row *row = row_next(section);
        if (row == NULL) {
            return;
        }
        const cJSON *topics = cJSON_GetObjectItemCaseSensitive(group, "topics");
        const char *topic = cJSON_GetStringValue(cJSON_GetArrayItem(topics, 0));
        snprintf(row->topic, sizeof(row->topic), "%.255s", topic != NULL ? topic : "");
        row->rate = flow_rate(group, "records_per_s");
        row->lag = (double)watch_int(group, "lag", -1);
        row->age_ms = (double)watch_int(group, "lag_ms", -1);
        cell_set(row->cells[0], watch_text(group, "group"));
        cell_set(row->cells[1], watch_text(group, "type"));
        cell_set(row->cells[2], watch_text(group, "state"));
        cell_rate(row->cells[3], (double)watch_int(group, "members", 0), false);
        cell_rate(row->cells[4], row->rate, false);
        cell_rate(row->cells[5], row->lag, false);
        cell_age(row->cells[6], watch_int(group, "lag_ms", -1));
        row_keep(section, filter);
    }
}

/* ---- order ---- */

static int by_name(const void *left, const void *right)
{
    const struct top_row *a = left;
    const struct top_row *b = right;
    int order = strcmp(a->cells[0], b->cells[0]);
    return order != 0 ? order : strcmp(a->cells[1], b->cells[1]);
}

static int falling(double a, double b, const void *left, const void *right)
{
    return a > b ? -1 : a < b ? 1 : by_name(left, right);
}

static int by_rate(const void *left, const void *right)
{
    return falling(((const struct top_row *)left)->rate, ((const struct top_row *)right)->rate,
                   left, right);
}

static int by_lag(const void *left, const void *right)
{
    return falling(((const struct top_row *)left)->lag, ((const struct top_row *)right)->lag, left,
                   right);
}

static int by_age(const void *left, const void *right)
{
    return falling(((const struct top_row *)left)->age_ms, ((const struct top_row *)right)->age_ms,
                   left, right);
}

/* ---- the lines above ---- */

static void head_make(const cJSON *model, struct top_rows *rows)
{
    char records[WATCH_TEXT_BYTES], bytes[WATCH_TEXT_BYTES], age[WATCH_TEXT_BYTES];
    double records_per_s = 0, bytes_per_s = 0;
    const cJSON *edge;
    cJSON_ArrayForEach(edge, cJSON_GetObjectItemCaseSensitive(model, "edges"))
    {
        if (strncmp(watch_text(edge, "from"), "producer:", 9) == 0) {
            records_per_s += SL_MAX(flow_rate(edge, "records_per_s"), 0.0);
            bytes_per_s += SL_MAX(flow_rate(edge, "bytes_per_s"), 0.0);
        }
    }
    snprintf(rows->head, sizeof(rows->head), "up %s  in %s records/s, %s/s  %s",
             watch_age_text(watch_int(model, "uptime_ms", 0), age),
             watch_count_text(records_per_s, records), watch_bytes_text(bytes_per_s, bytes),
             cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(model, "since_start"))
                 ? "since the start"
                 : "of the last seconds");
}

/* The fullest of each kind, then what waits now. */
static void pressure_make(const cJSON *model, struct top_rows *rows)
{
    static const char *const kinds[] = {"log", "buffers", "memory"};
    size_t at = 0;
    const cJSON *item;
    for (size_t i = 0; i < SL_COUNT_OF(kinds); i++) {
        double percent = 0;
        cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(model, "pressure"))
        {
            if (strcmp(watch_text(item, "what"), kinds[i]) == 0) {
                percent = SL_MAX(percent, flow_rate(item, "percent"));
            }
        }
        rows->is_pressed = rows->is_pressed || percent >= PRESSED_PERCENT;
        at += (size_t)snprintf(rows->pressure + at, sizeof(rows->pressure) - at, "%s %.0f %%  ",
                               kinds[i], percent);
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(model, "stalls"))
    {
        if (watch_int(item, "now", 0) > 0 && at < sizeof(rows->pressure) - 1) {
            rows->is_pressed = true;
            int size = snprintf(rows->pressure + at, sizeof(rows->pressure) - at,
                                "waits: %lld %s: %s  ", (long long)watch_int(item, "now", 0),
                                watch_text(item, "what"), watch_text(item, "text"));
            at = SL_MIN(at + (size_t)size, sizeof(rows->pressure) - 1);
        }
    }
}

sl_err top_rows_make(const cJSON *model, enum top_sort sort, const char *filter,
                     struct top_rows *ret_rows)
{
    static const struct {
        const char *title;
        const char *const *columns;
        size_t column_count;
        void (*fill)(const cJSON *model, struct top_section *section, const char *filter);
    } forms[TOP_SECTION_COUNT] = {
        {"FLOW", flow_columns, SL_COUNT_OF(flow_columns), flow_fill},
        {"PLUGINS", plugin_columns, SL_COUNT_OF(plugin_columns), plugins_fill},
        {"GROUPS", group_columns, SL_COUNT_OF(group_columns), groups_fill},
    };
    static int (*const orders[TOP_SORT_COUNT])(const void *, const void *) = {by_rate, by_lag,
                                                                              by_age, by_name};
    struct top_rows rows = {.is_pressed = false};
    for (size_t i = 0; i < TOP_SECTION_COUNT; i++) {
        struct top_section *section = &rows.sections[i];
        *section = (struct top_section){.title = forms[i].title,
                                        .columns = forms[i].columns,
                                        .column_count = forms[i].column_count,
                                        .rows = calloc(TOP_ROWS_MAX, sizeof(struct top_row))};
        if (section->rows == NULL) {
            top_rows_fini(&rows);
            return SLUICE_E_NO_MEMORY;
        }
        forms[i].fill(model, section, filter);
        qsort(section->rows, section->row_count, sizeof(*section->rows), orders[sort]);
    }
    head_make(model, &rows);
    pressure_make(model, &rows);
    *ret_rows = rows;
    return SLUICE_OK;
}

void top_rows_fini(struct top_rows *rows)
{
    for (size_t i = 0; i < TOP_SECTION_COUNT; i++) {
        free(rows->sections[i].rows);
        rows->sections[i].rows = NULL;
    }
}
