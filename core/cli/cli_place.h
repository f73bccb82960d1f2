/* cli_place.h: the language of offsets, one for consume, tap, seek and trim.
 *
 *   start  end  N  +N (behind the start)  -N (before the end)
 *   @2026-11-21T11:00:00Z  @2026-11-21  @1795258800000 (ms since 1970)  @-1h (before now)
 *   A:B  from A up to, not including, B; :B from the start, A: to the end; @A:B both are times
 *
 * beginning and earliest are start, latest is end, as other tools have them. Pure. [any] */
#ifndef SL_CLI_CLI_PLACE_H
#define SL_CLI_CLI_PLACE_H

#include "base/base.h"

enum cli_place_kind {
    CLI_PLACE_START, /* value: records behind it */
    CLI_PLACE_END,   /* value: records before it */
    CLI_PLACE_OFFSET,
    CLI_PLACE_TIME, /* value: wall clock in ms */
};

struct cli_place {
    enum cli_place_kind kind;
    int64_t value; /* not negative */
};

struct cli_span {
    struct cli_place from, to;
    bool has_to; /* else on and on */
};

#define CLI_PLACE_HELP                                                                             \
    "start, end, an offset, +N behind the start, -N before the end, @2026-11-21T11:00:00Z, @ and " \
    "milliseconds since 1970, or @-1h"
#define CLI_PLACE_TEXT_BYTES 32

/* False: it is no place. now_ms: what @-1h counts from. */
bool cli_place_parse(const char *text, int64_t now_ms, struct cli_place *ret_place);
/* A place, or two with a colon. False: it is neither. */
bool cli_span_parse(const char *text, int64_t now_ms, struct cli_span *ret_span);
/* As the broker reads it: start, end, +N, -N, N, @MS. */
void cli_place_text(const struct cli_place *place, char ret_text[CLI_PLACE_TEXT_BYTES]);

/* Of one partition; at_time: the first offset at or behind the place's time, -1: there is none. */
struct cli_place_bounds {
    int64_t start, end, at_time;
};
/* The offset that is meant, from start to end but for CLI_PLACE_OFFSET, which is as it is. */
int64_t cli_place_resolve(const struct cli_place *place, const struct cli_place_bounds *bounds);

#endif
