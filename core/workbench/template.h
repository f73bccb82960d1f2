/* template.h: a folder for a new plugin or program, out of the SDK's templates. */
#ifndef SL_WORKBENCH_TEMPLATE_H
#define SL_WORKBENCH_TEMPLATE_H

#include "os/os.h"

#define TEMPLATE_TEXT_BYTES 1024u
#define TEMPLATE_NAME_MAX   48u

struct template_file {
    const char *path; /* below sdk/template */
    struct sl_bytes bytes;
};
extern const struct template_file template_files[];
extern const unsigned template_file_count;

/* Whether a plugin or a program may be called that: a-z, 0-9 and _, a letter first; it becomes a C
 * identifier, a file name and the instance's name. False: a sentence. */
bool template_name_check(const char *name, char ret_text[TEMPLATE_TEXT_BYTES]);

typedef void template_made_fn(void *arg, const char *path);
/* Makes `folder`, named `name`, for kind "plugin" and lang "c", "lua" or "frontend", or for kind
 * "app", a client, and lang "c", "python" or "lua"; `made` gets each file. E_EXISTS:
 * there is something; E_UNSUPPORTED: another lang; each with a sentence. [blocks] */
sl_err template_make(struct sl_os *os, const char *kind, const char *lang, const char *folder,
                     const char *name, template_made_fn *made, void *arg,
                     char ret_text[TEMPLATE_TEXT_BYTES]) SL_MUST_CHECK;

#endif
