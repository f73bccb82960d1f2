/* cli_record_text.h: a record in the format of consume and tap. Internal.
 *
 * The letters are those of kcat and rpk: "%t %p %o %k %v\n"; a word in braces changes how a field
 * is written ("%v{hex}", "%T{iso}"), for %h it is the name of one header. */
#ifndef SL_CLI_CLI_RECORD_TEXT_H
#define SL_CLI_CLI_RECORD_TEXT_H

#include "cli/cli_command.h"

/* "%t %p %o %v\n" to stdout; record: as the broker answers consume. */
void cli_record_format(const char *format, const char *topic, int32_t partition,
                       const cJSON *record);
/* The same, anywhere. */
void cli_record_format_to(FILE *out, const char *format, const char *topic, int32_t partition,
                          const cJSON *record);
/* False: a sentence was written about what no format has. */
bool cli_record_format_check(const char *format);
/* The fields and modifiers, for --format help. */
void cli_record_format_help(FILE *out);

#endif
