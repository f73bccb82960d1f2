/* config_edit.h: one value of a configuration file is changed; all else stays as somebody wrote it,
 * with comments, order and indentation. */
#ifndef SL_CONTROL_CONFIG_EDIT_H
#define SL_CONTROL_CONFIG_EDIT_H

#include "base/buffer.h"
#include "control/config.h"

/* Puts `value` at the dotted path into a file's text: over the scalar that is there, or as a new
 * line at the head of the section, made where it is missing. A value that begins with a bracket or
 * brace is written as it is (a list or object), others as a scalar. The new text is parsed again
 * and must say so. `name` is the file's, for the report. E_CONFIG_SYNTAX: the text is no
 * configuration; E_CONFIG_VALUE: the place is written in a way that is not edited here (the report
 * says which line); E_NO_MEMORY, E_LIMIT: the text would be too large. [any] */
sl_err config_edit(struct sl_bytes text, const char *name, const char *path, const char *value,
                   struct config_report *report, struct sl_buffer *ret_text) SL_MUST_CHECK;

#endif
