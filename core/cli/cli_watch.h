/* cli_watch.h: numbers for people, shared by group, flow, tap and top. Internal. */
#ifndef SL_CLI_CLI_WATCH_H
#define SL_CLI_CLI_WATCH_H

#include "cli/cli_command.h"

#define WATCH_TEXT_BYTES 32

/* "850 ms", "3.2 s", "4 min", "2.5 h", "3.1 d"; "-" below 0. */
const char *watch_age_text(int64_t age_ms, char ret_text[WATCH_TEXT_BYTES]);
/* "7", "1.25k", "3.10M", "2.00G". */
const char *watch_count_text(double count, char ret_text[WATCH_TEXT_BYTES]);
/* "7 B", "1.3 KiB", "12.0 MiB". */
const char *watch_bytes_text(double bytes, char ret_text[WATCH_TEXT_BYTES]);
/* A member that is a number or decimal text; `fallback` when it is not there. */
int64_t watch_int(const cJSON *object, const char *name, int64_t fallback);
/* A member that is a text; "" when it is not there. */
const char *watch_text(const cJSON *object, const char *name);

#endif
