/* cli_top_screen.c: the screen of top, over ncurses: three tables that share the lines, one row of
 * which is chosen; or the records that come into its topic (T); or help.
 *
 * Everything runs on one thread: a key or TOP_TICK_MS, then a look at the broker when its time has
 * come, then the whole screen is drawn into ncurses' memory, which writes what differs. */
#include "cli/cli_tap_reader.h"
#include "cli/cli_top.h"
#include "cli/cli_top_rows.h"
#include "os/os_interrupt.h"

#include <locale.h>
#include <ncurses.h>
#include <stdlib.h>
#include <string.h>

#define TOP_TICK_MS    100
#define TOP_SAMPLES    6u /* rates are of the time that they span */
#define TOP_FILTER_MAX 40u
#define TOP_TAP_LINES  200u
#define TOP_TAP_BYTES  512u
#define TOP_TAP_RATE   20
#define CTRL_L         12 /* draws all of it again */
#define TOP_FRAME      3  /* lines above and below: head, pressure, keys */

enum top_mode { TOP_TABLES, TOP_HELP, TOP_TAP, TOP_FILTERING, TOP_ASKING };

struct top_screen {
    struct cli *cli;
    struct cli_link link;
    int64_t interval_ms, looked_ms;
    cJSON *samples[TOP_SAMPLES]; /* owned; the oldest first */
    uint32_t sample_count;
    cJSON *model; /* owned */
    struct top_rows rows;
    bool has_rows, since_start, quits;
    enum top_sort sort;
    enum top_mode mode;
    size_t chosen;                   /* row, counted over all tables */
    size_t first[TOP_SECTION_COUNT]; /* row of each table that is on top */
    char filter[TOP_FILTER_MAX + 1u];
    char message[200];
    char plugin[TOP_NAME_BYTES]; /* that is asked about; "": the configuration */
    struct tap tap;
    char tap_topic[TOP_NAME_BYTES];
    char (*tap_lines)[TOP_TAP_BYTES]; /* owned ring */
    uint32_t tap_count;
    int code;
};

enum { PAIR_BAD = 1, PAIR_WARN, PAIR_GOOD, PAIR_NAME };

/* ---- looking ---- */

static void rows_drop(struct top_screen *screen)
{
    if (screen->has_rows) {
        top_rows_fini(&screen->rows);
        screen->has_rows = false;
    }
}

static void rows_renew(struct top_screen *screen)
{
    rows_drop(screen);
    screen->has_rows =
        screen->model != NULL &&
        top_rows_make(screen->model, screen->sort, screen->filter, &screen->rows) == SLUICE_OK;
}

static void model_renew(struct top_screen *screen)
{
    if (screen->sample_count == 0) {
        return;
    }
    const cJSON *now = screen->samples[screen->sample_count - 1];
    bool alone = screen->sample_count == 1;
    cJSON_Delete(screen->model);
    screen->model = flow_model_make(screen->since_start || alone ? NULL : screen->samples[0], now);
    rows_renew(screen);
}

static void look(struct top_screen *screen, int64_t now_ms)
{
    cJSON *sample = NULL;
    screen->looked_ms = now_ms;
    screen->code = flow_sample_take(&screen->link, &sample);
    if (screen->code != CLI_OK) {
        screen->quits = true;
        return;
    }
    if (screen->sample_count == TOP_SAMPLES) {
        cJSON_Delete(screen->samples[0]);
        memmove(screen->samples, screen->samples + 1,
                (TOP_SAMPLES - 1) * sizeof(screen->samples[0]));
        screen->sample_count--;
    }
    screen->samples[screen->sample_count++] = sample;
    model_renew(screen);
}

/* ---- drawing ---- */

/* Text into a field of so many columns, cut where it is longer. */
static void field_draw(int line, int column, int width, const char *text)
{
    if (width > 0) {
        mvprintw(line, column, "%-*.*s", width, width, text);
    }
}

static void widths_make(const struct top_section *section, int widths[TOP_COLUMNS_MAX])
{
    int total = 0;
    for (size_t i = 0; i < section->column_count; i++) {
        size_t width = strlen(section->columns[i]);
        for (size_t k = 0; k < section->row_count; k++) {
            width = SL_MAX(width, strlen(section->rows[k].cells[i]));
        }
        widths[i] = (int)width + 2;
        total += widths[i];
    }
    while (total > COLS) { /* the widest gives way */
        size_t widest = 0;
        for (size_t i = 1; i < section->column_count; i++) {
            widest = widths[i] > widths[widest] ? i : widest;
        }
        if (widths[widest] <= 5) {
            return;
        }
        widths[widest]--;
        total--;
    }
}

static void header_draw(const struct top_section *section, int line, const int *widths,
                        size_t shown)
{
    char count[64];
    int column = 0;
    attron(A_REVERSE);
    field_draw(line, 0, COLS, "");
    for (size_t i = 0; i < section->column_count; i++) {
        field_draw(line, column, SL_MIN(widths[i], COLS - column), section->columns[i]);
        column += widths[i];
    }
    snprintf(count, sizeof(count), "%s %zu of %zu", section->title, shown, section->row_count);
    int size = (int)strlen(count);
    if (column + size < COLS) {
        mvprintw(line, COLS - size, "%s", count);
    }
    attroff(A_REVERSE);
}

static void row_draw(const struct top_section *section, const struct top_row *row, int line,
                     const int *widths, bool chosen)
{
    int column = 0;
    chtype look = row->stalls            ? (chtype)COLOR_PAIR(PAIR_BAD)
                  : row->age_ms >= 60000 ? (chtype)COLOR_PAIR(PAIR_WARN)
                                         : 0;
    look |= chosen ? A_BOLD | A_UNDERLINE : 0;
    attron((int)look);
    for (size_t i = 0; i < section->column_count; i++) {
        /* A gap stays between columns that were cut. */
        field_draw(line, column, SL_MIN(widths[i] - 1, COLS - column), row->cells[i]);
        column += widths[i];
    }
    attroff((int)look);
}

/* How many lines each table gets of those that are there. */
static void lines_share(const struct top_screen *screen, int room, int shares[TOP_SECTION_COUNT])
{
    int left = SL_MAX(room - (int)TOP_SECTION_COUNT, 0), want[TOP_SECTION_COUNT];
    int each = left / (int)TOP_SECTION_COUNT;
    for (size_t i = 0; i < TOP_SECTION_COUNT; i++) {
        want[i] = (int)screen->rows.sections[i].row_count;
        shares[i] = SL_MIN(want[i], each);
    }
    for (size_t i = 0; i < TOP_SECTION_COUNT; i++) {
        left -= shares[i];
    }
    for (size_t i = 0; i < TOP_SECTION_COUNT; i++) {
        int more = SL_MIN(want[i] - shares[i], left);
        shares[i] += more;
        left -= more;
    }
}

/* Scrolls so that the chosen row is seen. */
static void section_scroll(struct top_screen *screen, size_t index, size_t begin, size_t shown)
{
    size_t count = screen->rows.sections[index].row_count;
    size_t *first = &screen->first[index];
    if (screen->chosen >= begin && screen->chosen < begin + count && shown > 0) {
        size_t row = screen->chosen - begin;
        *first = row < *first ? row : row >= *first + shown ? row - shown + 1 : *first;
    }
    *first = count <= shown ? 0 : SL_MIN(*first, count - shown);
}

static void tables_draw(struct top_screen *screen)
{
    int shares[TOP_SECTION_COUNT], widths[TOP_COLUMNS_MAX];
    int line = 2;
    size_t begin = 0;
    lines_share(screen, LINES - TOP_FRAME, shares);
    for (size_t i = 0; i < TOP_SECTION_COUNT && line < LINES - 1; i++) {
        const struct top_section *section = &screen->rows.sections[i];
        size_t shown = (size_t)shares[i];
        section_scroll(screen, i, begin, shown);
        widths_make(section, widths);
        header_draw(section, line++, widths, shown);
        for (size_t k = 0; k < shown; k++) {
            size_t row = screen->first[i] + k;
            row_draw(section, &section->rows[row], line++, widths, begin + row == screen->chosen);
        }
        begin += section->row_count;
    }
}

static void help_draw(void)
{
    static const char *const lines[] = {
        "Up, Down, j, k   choose a row",
        "s                sort by rate, lag, age, name",
        "/                show only rows that hold a text; Escape shows all",
        "R                reload the plugin of the row; of a row without one, the configuration",
        "T                tap the topic of the row: a sample of its records",
        "S                rates of the last seconds, or since the broker's start",
        "q                quit",
        "",
        "FLOW     producers, [stages and gates], topics, (groups), and what flows between them",
        "LAG      records that are not read yet;  AGE: how old the first of them is",
        "P99      time of a batch in a plugin that 99 of 100 stay below",
        "DEATHS   workers that ended unasked;  DENIED: calls that the sandbox refused",
        "Red: it waits, or does not run.  Yellow: more than a minute behind.",
    };
    for (size_t i = 0; i < SL_COUNT_OF(lines) && (int)i + 3 < LINES; i++) {
        field_draw((int)i + 2, 1, COLS - 1, lines[i]);
    }
}

static void tap_draw(const struct top_screen *screen)
{
    uint32_t room = (uint32_t)SL_MAX(LINES - TOP_FRAME - 1, 0);
    uint32_t shown = SL_MIN(SL_MIN(screen->tap_count, room), TOP_TAP_LINES);
    attron(A_REVERSE);
    mvprintw(2, 0, "%-*.*s", COLS, COLS, "");
    mvprintw(2, 0, "%.60s: %lld records shown, %lld left out", screen->tap_topic,
             (long long)screen->tap.shown, (long long)screen->tap.left_out);
    attroff(A_REVERSE);
    for (uint32_t i = 0; i < shown; i++) {
        uint32_t at = (screen->tap_count - shown + i) % TOP_TAP_LINES;
        field_draw(3 + (int)i, 0, COLS, screen->tap_lines[at]);
    }
}

static void foot_draw(const struct top_screen *screen)
{
    char text[320];
    if (screen->mode == TOP_FILTERING) {
        snprintf(text, sizeof(text), "/%s_", screen->filter);
    } else if (screen->mode == TOP_ASKING) {
        snprintf(text, sizeof(text), "reload %s%.200s? y, n",
                 screen->plugin[0] != '\0' ? "plugin " : "the configuration", screen->plugin);
    } else if (screen->message[0] != '\0') {
        snprintf(text, sizeof(text), "%s", screen->message);
    } else if (screen->mode == TOP_TABLES) {
        snprintf(text, sizeof(text),
                 "s sort: %s  / filter%s%s  R reload  T tap  S since start  ? help  q quit",
                 top_sort_name(screen->sort), screen->filter[0] != '\0' ? ": " : "",
                 screen->filter);
    } else {
        snprintf(text, sizeof(text), "any key goes back");
    }
    attron(A_BOLD);
    field_draw(LINES - 1, 0, COLS - 1, text);
    attroff(A_BOLD);
}

static void draw(struct top_screen *screen)
{
    erase();
    if (screen->has_rows) {
        attron(A_BOLD);
        field_draw(0, 0, COLS, screen->rows.head);
        attroff(A_BOLD);
        int look = screen->rows.is_pressed ? COLOR_PAIR(PAIR_BAD) : COLOR_PAIR(PAIR_GOOD);
        attron(look);
        field_draw(1, 0, COLS, screen->rows.pressure);
        attroff(look);
    }
    if (screen->mode == TOP_HELP) {
        help_draw();
    } else if (screen->mode == TOP_TAP) {
        tap_draw(screen);
    } else if (screen->has_rows) {
        tables_draw(screen);
    }
    foot_draw(screen);
    refresh();
}

/* ---- keys ---- */

static size_t row_count(const struct top_screen *screen)
{
    size_t count = 0;
    for (size_t i = 0; screen->has_rows && i < TOP_SECTION_COUNT; i++) {
        count += screen->rows.sections[i].row_count;
    }
    return count;
}

static const struct top_row *row_chosen(const struct top_screen *screen)
{
    size_t begin = 0;
    for (size_t i = 0; screen->has_rows && i < TOP_SECTION_COUNT; i++) {
        const struct top_section *section = &screen->rows.sections[i];
        if (screen->chosen < begin + section->row_count) {
            return &section->rows[screen->chosen - begin];
        }
        begin += section->row_count;
    }
    return NULL;
}

static void choose(struct top_screen *screen, bool down)
{
    size_t count = row_count(screen);
    if (down) {
        screen->chosen = screen->chosen + 1 < count ? screen->chosen + 1 : screen->chosen;
    } else if (screen->chosen > 0) {
        screen->chosen = SL_MIN(screen->chosen - 1, count > 0 ? count - 1 : 0);
    }
}

static void reload(struct top_screen *screen)
{
    cJSON *reply = NULL, *args = NULL;
    const char *why = "";
    bool is_plugin = screen->plugin[0] != '\0';
    if (is_plugin) {
        args = cJSON_CreateObject();
        cJSON_AddStringToObject(args, "name", screen->plugin);
    }
    int code = cli_ask(&screen->link, is_plugin ? "plugin.reload" : "reload", args, &reply);
    if (code == CLI_UNREACHABLE) {
        screen->code = code;
        screen->quits = true;
    } else if (code != CLI_OK) {
        (void)cli_reply_error(reply, &why);
        snprintf(screen->message, sizeof(screen->message), "not reloaded: %.170s", why);
    } else {
        const char *text = watch_text(cli_result(reply), is_plugin ? "text" : "outcome");
        snprintf(screen->message, sizeof(screen->message), "reload: %.170s", text);
    }
    cJSON_Delete(reply);
}

static void ask_reload(struct top_screen *screen)
{
    const struct top_row *row = row_chosen(screen);
    snprintf(screen->plugin, sizeof(screen->plugin), "%s", row != NULL ? row->plugin : "");
    screen->mode = TOP_ASKING;
}

static void tap_begin(struct top_screen *screen)
{
    const struct top_row *row = row_chosen(screen);
    const char *patterns[1] = {screen->tap_topic};
    if (row == NULL || row->topic[0] == '\0') {
        snprintf(screen->message, sizeof(screen->message), "the row has no topic");
        return;
    }
    snprintf(screen->tap_topic, sizeof(screen->tap_topic), "%s", row->topic);
    tap_init(&screen->tap, &screen->link, patterns, 1, TOP_TAP_RATE);
    screen->tap_count = 0;
    screen->mode = TOP_TAP;
}

static bool tap_line(void *arg, const char *topic, int32_t partition, cJSON *record)
{
    struct top_screen *screen = arg;
    const char *value = watch_text(record, "value");
    const char *coded = watch_text(record, "value_base64");
    char *line = screen->tap_lines[screen->tap_count++ % TOP_TAP_LINES];
    (void)topic;
    snprintf(line, TOP_TAP_BYTES, "%d@%s %.60s %.400s", partition, watch_text(record, "offset"),
             watch_text(record, "key"), value[0] != '\0' ? value : coded);
    for (; *line != '\0'; line++) {
        *line = (unsigned char)*line < 0x20 || *line == 0x7f ? '?' : *line;
    }
    return true;
}

static void tap_end(struct top_screen *screen)
{
    tap_fini(&screen->tap);
    screen->mode = TOP_TABLES;
}

static void filter_key(struct top_screen *screen, int key)
{
    size_t size = strlen(screen->filter);
    if (key == '\n' || key == KEY_ENTER) {
        screen->mode = TOP_TABLES;
    } else if (key == 27) {
        screen->filter[0] = '\0';
        screen->mode = TOP_TABLES;
    } else if ((key == KEY_BACKSPACE || key == 127 || key == 8) && size > 0) {
        screen->filter[size - 1] = '\0';
    } else if (key >= 0x20 && key < 0x7f && size < TOP_FILTER_MAX) {
        screen->filter[size] = (char)key;
        screen->filter[size + 1] = '\0';
    }
    rows_renew(screen);
}

static void table_key(struct top_screen *screen, int key)
{
    screen->message[0] = '\0';
    switch (key) {
    case 'q':
        screen->quits = true;
        break;
    case 's':
        screen->sort = (enum top_sort)((screen->sort + 1) % TOP_SORT_COUNT);
        rows_renew(screen);
        break;
    case 'S':
        screen->since_start = !screen->since_start;
        model_renew(screen);
        break;
    case '/':
        screen->mode = TOP_FILTERING;
        break;
    case 27:
        screen->filter[0] = '\0';
        rows_renew(screen);
        break;
    case 'R':
        ask_reload(screen);
        break;
    case 'T':
        tap_begin(screen);
        break;
    case '?':
    case 'h':
        screen->mode = TOP_HELP;
        break;
    case KEY_UP:
    case 'k':
        choose(screen, false);
        break;
    case KEY_DOWN:
    case 'j':
        choose(screen, true);
        break;
    default:
        break;
    }
}

static void key_take(struct top_screen *screen, int key)
{
    if (key == ERR || key == KEY_RESIZE) {
        return; /* everything is drawn anyway */
    }
    if (key == CTRL_L) {
        clearok(stdscr, TRUE);
        return;
    }
    switch (screen->mode) {
    case TOP_TABLES:
        table_key(screen, key);
        break;
    case TOP_FILTERING:
        filter_key(screen, key);
        break;
    case TOP_ASKING:
        screen->mode = TOP_TABLES;
        if (key == 'y' || key == 'Y') {
            reload(screen);
        }
        break;
    case TOP_TAP:
        tap_end(screen);
        break;
    case TOP_HELP:
        screen->mode = TOP_TABLES;
        break;
    }
}

/* ---- life ---- */

static bool screen_open(SCREEN **ret_terminal)
{
    setlocale(LC_ALL, "");
    *ret_terminal = newterm(NULL, stdout, stdin);
    if (*ret_terminal == NULL) {
        return false;
    }
    set_escdelay(25);
    cbreak();
    noecho();
    keypad(stdscr, TRUE);
    curs_set(0);
    timeout(TOP_TICK_MS);
    if (has_colors() && getenv("NO_COLOR") == NULL) {
        start_color();
        use_default_colors();
        init_pair(PAIR_BAD, COLOR_RED, -1);
        init_pair(PAIR_WARN, COLOR_YELLOW, -1);
        init_pair(PAIR_GOOD, COLOR_GREEN, -1);
        init_pair(PAIR_NAME, COLOR_CYAN, -1);
    }
    return true;
}

static void screen_loop(struct top_screen *screen)
{
    while (!screen->quits && !sl_interrupted()) {
        int64_t now_ms = sl_os_mono_ns(screen->cli->os) / 1000000;
        if (screen->sample_count == 0 || now_ms - screen->looked_ms >= screen->interval_ms) {
            look(screen, now_ms);
        }
        if (screen->mode == TOP_TAP && !screen->quits) {
            screen->code = tap_poll(&screen->tap, tap_line, screen);
            screen->quits = screen->code == CLI_UNREACHABLE;
        }
        draw(screen);
        key_take(screen, getch());
    }
}

int top_screen_run(struct cli *cli, int64_t interval_ms)
{
    SCREEN *terminal = NULL;
    struct top_screen *screen = calloc(1, sizeof(*screen));
    char(*lines)[TOP_TAP_BYTES] = calloc(TOP_TAP_LINES, sizeof(*lines));
    int code = screen == NULL || lines == NULL ? CLI_FAILED : cli_link_open(&screen->link, cli);
    if (code != CLI_OK || screen == NULL) {
        free(screen);
        free(lines);
        return code;
    }
    screen->cli = cli;
    screen->interval_ms = interval_ms;
    screen->tap_lines = lines;
    sl_interrupts_watch();
    if (screen_open(&terminal)) {
        screen_loop(screen);
        endwin();
        delscreen(terminal);
        if (screen->code != CLI_OK) {
            cli_complain("the broker does not answer any more");
        }
    } else {
        cli_complain("this terminal (TERM) is not known to ncurses; \"sluice top --once\" works");
        screen->code = CLI_FAILED;
    }
    code = screen->code;
    rows_drop(screen);
    for (uint32_t i = 0; i < screen->sample_count; i++) {
        cJSON_Delete(screen->samples[i]);
    }
    cJSON_Delete(screen->model);
    if (screen->mode == TOP_TAP) {
        tap_fini(&screen->tap);
    }
    cli_link_close(&screen->link);
    free(lines);
    free(screen);
    return code;
}
