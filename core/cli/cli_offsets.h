/* cli_offsets.h: places of the language of offsets, looked up in the partitions of a topic.
 * Internal. */
#ifndef SL_CLI_CLI_OFFSETS_H
#define SL_CLI_CLI_OFFSETS_H

#include "cli/cli_command.h"
#include "cli/cli_place.h"

/* Where the partitions of a topic start and end, and what the times of the span are there.
 * *ret_reply is the caller's in any case. */
int cli_bounds_ask(struct cli_link *link, const char *topic, const struct cli_span *span,
                   cJSON **ret_reply);
/* Its partitions. */
const cJSON *cli_bounds_rows(const cJSON *reply);
/* Of one row; `second`: with the time of span.to. */
void cli_bounds_read(const cJSON *row, bool second, struct cli_place_bounds *ret_bounds,
                     int32_t *ret_partition);
/* False: a sentence was written; `option` is what it names. */
bool cli_span_take(struct cli *cli, const char *option, const char *text,
                   struct cli_span *ret_span);
/* As the broker reads it: start, end, +N, -N, N, @milliseconds. */
bool cli_place_ask(struct cli *cli, const char *option, const char *text,
                   char ret_text[CLI_PLACE_TEXT_BYTES]);
/* A place alone. */
bool cli_place_take(struct cli *cli, const char *option, const char *text,
                    struct cli_place *ret_place);

#endif
