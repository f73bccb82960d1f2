/* cli_host_text.h: what Linux says of itself in its files, read out of their text. Pure. [any] */
#ifndef SL_CLI_CLI_HOST_TEXT_H
#define SL_CLI_CLI_HOST_TEXT_H

#include "base/base.h"

#define HOST_WORD_BYTES 64u
#define HOST_LINE_BYTES 512u

/* The soft limit of a row of /proc/self/limits, such as "Max open files"; UINT64_MAX: unlimited. */
bool host_limit_of(const char *text, const char *name, uint64_t *ret_limit);
/* Bytes of a row of /proc/meminfo, such as "MemTotal:". */
bool host_memory_of(const char *text, const char *name, uint64_t *ret_bytes);
/* The chosen one of "always [madvise] never". */
bool host_choice_of(const char *text, char ret_word[HOST_WORD_BYTES]);

struct host_mount {
    char point[HOST_LINE_BYTES];   /* where it is mounted */
    char type[HOST_WORD_BYTES];    /* "ext4" */
    char options[HOST_LINE_BYTES]; /* of the mount and of the file system, "rw,relatime,…"; cut to
                                      fit */
};
/* The mount that a path, absolute and without links, lies on, out of /proc/self/mountinfo. */
bool host_mount_of(const char *text, const char *path, struct host_mount *ret_mount);
/* Whether "nobarrier" is among "rw,nobarrier,…". */
bool host_option_has(const char *options, const char *name);

#endif
