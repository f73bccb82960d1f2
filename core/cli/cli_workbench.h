/* cli_workbench.h: what the commands for those who write plugins share: which file is meant, the
 * bench, records of a topic. Internal. */
#ifndef SL_CLI_CLI_WORKBENCH_H
#define SL_CLI_CLI_WORKBENCH_H

#include "cli/cli_command.h"
#include "workbench/cases.h"

#define CLI_CASES_BYTES_MAX (256u << 10) /* CONFIG_FILE_BYTES_MAX */

/* Colour codes, or "" where nobody looks. */
const char *cli_green(const struct cli *cli);
const char *cli_red(const struct cli *cli);
const char *cli_yellow(const struct cli *cli);
const char *cli_faint(const struct cli *cli);
const char *cli_bold(const struct cli *cli);
const char *cli_plain(const struct cli *cli);
/* Text of a plugin or a record, without what would drive a terminal. */
void cli_print_safe(const char *text);

/* CLI_OK, or a complaint was written. */
int cli_bench_open(struct cli *cli, struct bench *bench);

/* What is there. */
bool cli_is_folder(struct cli *cli, const char *path);
bool cli_is_file(struct cli *cli, const char *path);
bool cli_ends_in(const char *path, const char *end);
/* "DIR/name"; DIR of a path without a slash is ".". */
void cli_path_join(const char *folder, const char *name, char ret_path[BENCH_PATH_BYTES]);
void cli_path_folder(const char *path, char ret_folder[BENCH_PATH_BYTES]);

/* The module of a folder: its only .so, else its only .lua. False: a complaint was written. */
bool cli_find_module(struct cli *cli, const char *folder, char ret_path[BENCH_PATH_BYTES]);
/* The file of cases for a word of the command line: itself, or tests/cases.yaml or cases.yaml
 * beside a plugin or in a folder. False: none is there (nothing was written). */
bool cli_find_cases(struct cli *cli, const char *word, char ret_path[BENCH_PATH_BYTES]);

/* A file of cases in memory. */
struct cli_cases {
    struct config_arena *arena; /* owned */
    struct sl_bytes text;       /* owned */
    struct case_file file;
    char path[BENCH_PATH_BYTES];
};
int cli_cases_read(struct cli *cli, const char *path, struct cli_cases *ret_cases);
void cli_cases_free(struct cli_cases *cases);
/* Runs all cases and writes what came of them; with --json one object. *ret_failed: how many. */
int cli_cases_run(struct cli *cli, const struct bench *bench, const char *plugin_path,
                  const struct cli_cases *cases, bool quiet, uint32_t *ret_failed);

/* Records to try a plugin with. */
struct cli_sample {
    struct config_arena *arena; /* owned */
    struct bench_record *records;
    uint32_t count;
    char topic[BENCH_TOPIC_BYTES]; /* "": not known */
};
/* The last `count` records of a topic, over all partitions by their time. */
int cli_sample_topic(struct cli *cli, const char *topic, uint32_t count,
                     struct cli_sample *ret_sample);
int cli_sample_file(struct cli *cli, const char *path, struct cli_sample *ret_sample);
void cli_sample_free(struct cli_sample *sample);

/* A folder, the first word, out of a template (template.h); each file is written to stdout. */
int cli_template_make(struct cli *cli, const char *kind, const char *lang);

/* The file of the instance that comes of a file of this name, "": none does, and the hash of what
 * runs. CLI_OK, or as cli_call. */
int cli_running_file(struct cli *cli, const char *path, char ret_path[BENCH_PATH_BYTES],
                     char ret_hash[64]);

cli_command_fn cli_plugin_deploy, cli_plugin_diff;
cli_command_fn cli_plugin_new, cli_plugin_build, cli_plugin_check, cli_plugin_test, cli_plugin_try,
    cli_plugin_dev, cli_plugin_logs;

#endif
