/* cli_debug.h: what goes into a debug bundle, part by part (cli_debug_parts.c), and the commands
 * (cli_debug.c). Internal. */
#ifndef SL_CLI_CLI_DEBUG_H
#define SL_CLI_CLI_DEBUG_H

#include "cli/cli_bundle.h"
#include "cli/cli_command.h"
#include "cli/cli_redact.h"

#define DEBUG_WAIT_MS     10000 /* for one answer of the broker, or one command on files */
#define DEBUG_TOPICS_MAX  200u  /* that are described */
#define DEBUG_GROUPS_MAX  200u
#define DEBUG_PLUGINS_MAX 100u

/* A bundle that is being made. */
struct debug {
    struct cli *cli;
    struct cli_link link;
    bool is_linked; /* a broker answers */
    char why[256];  /* it does not */
    struct redactor redactor;
    struct bundle bundle;
    char data_dir[1024];   /* "": not known, or none */
    int64_t broker_pid;    /* 0: not known */
    int64_t lines_max;     /* of the log */
    struct sl_buffer text; /* scratch of one part */
};

struct debug_part {
    const char *name; /* of the file, or of its folder for several */
    const char *what;
    void (*collect)(struct debug *debug, const struct debug_part *part);
    const char *arg; /* of collect: an admin command, or words of a command on files */
};
extern const struct debug_part debug_parts[];
extern const size_t debug_part_count;

/* sluice debug connect */
cli_command_fn cli_debug_connect;

#endif
