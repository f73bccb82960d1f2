/* cli_top_rows.h: what top shows, as rows of text, made of the model of the flow: the same for the
 * screen and for --once. Internal. */
#ifndef SL_CLI_CLI_TOP_ROWS_H
#define SL_CLI_CLI_TOP_ROWS_H

#include "cli/cli_flow_model.h"

#define TOP_COLUMNS_MAX 10u
#define TOP_CELL_BYTES  64u
#define TOP_NAME_BYTES  256u
#define TOP_ROWS_MAX    500u /* of a section */

enum top_section_id { TOP_FLOW, TOP_PLUGINS, TOP_GROUPS, TOP_SECTION_COUNT };
enum top_sort { TOP_SORT_RATE, TOP_SORT_LAG, TOP_SORT_AGE, TOP_SORT_NAME, TOP_SORT_COUNT };
const char *top_sort_name(enum top_sort sort);

struct top_row {
    char cells[TOP_COLUMNS_MAX][TOP_CELL_BYTES];
    char plugin[TOP_NAME_BYTES]; /* that R reloads; "": none */
    char topic[TOP_NAME_BYTES];  /* that T taps; "": none */
    double rate, lag, age_ms;    /* below 0: not known */
    bool stalls;                 /* it waits, or does not run */
};

struct top_section {
    const char *title;
    const char *const *columns;
    size_t column_count;
    struct top_row *rows; /* owned */
    size_t row_count;
};

struct top_rows {
    struct top_section sections[TOP_SECTION_COUNT];
    char head[256];     /* rates of all together */
    char pressure[512]; /* how full, and what waits */
    bool is_pressed;    /* something waits or is fuller than 85 % */
};

/* filter: rows whose cells hold it; "" all. E_NO_MEMORY: nothing is there. */
sl_err top_rows_make(const cJSON *model, enum top_sort sort, const char *filter,
                     struct top_rows *ret_rows) SL_MUST_CHECK;
void top_rows_fini(struct top_rows *rows);

#endif
