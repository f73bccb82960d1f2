/* cli_record_text.h: a record in the format of consume and tap. Internal. */
#ifndef SL_CLI_CLI_RECORD_TEXT_H
#define SL_CLI_CLI_RECORD_TEXT_H

#include "cli/cli_command.h"

/* "%t %p %o %v\n" to stdout; record: as the broker answers consume. */
void cli_record_format(const char *format, const char *topic, int32_t partition,
                       const cJSON *record);

#endif
