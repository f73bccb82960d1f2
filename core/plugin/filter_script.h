/* filter_script.h: from an expression in Lua to the script that a processor runs. Pure; [any] */
#ifndef SL_PLUGIN_FILTER_SCRIPT_H
#define SL_PLUGIN_FILTER_SCRIPT_H

#include "base/base.h"

#define FILTER_REASON_BYTES 512u

/* The script whose process passes the records for which the expression is true, owned by the
 * caller. Its strings, comments and brackets must end within it, so that it stands between the
 * parentheses of the script as one expression, or does not compile: E_INVALID with a sentence.
 * E_NO_MEMORY. Line 1 of the script is line 1 of the text. */
sl_err filter_script_make(struct sl_bytes text, uint8_t **ret_script, size_t *ret_size,
                          char ret_reason[FILTER_REASON_BYTES]) SL_MUST_CHECK;

#endif
