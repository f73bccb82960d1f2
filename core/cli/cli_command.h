/* cli_command.h: what the commands share: options, output, the link to the broker. Internal. */
#ifndef SL_CLI_CLI_COMMAND_H
#define SL_CLI_CLI_COMMAND_H

#include "cli/cli.h"
#include "control/config.h"

#include <cjson/cJSON.h>
#include <stdio.h>

#define CLI_WORDS_MAX      256
#define CLI_REPEATS_MAX    64
#define CLI_LINE_BYTES_MAX (256u * 1024 * 1024) /* of a reply */
#define CLI_OWN_MAX        24                   /* own options that one command takes */

/* Values of an option that may be given several times. */
struct cli_values {
    const char *items[CLI_REPEATS_MAX];
    uint32_t count;
};

struct cli_options {
    bool json, jsonl, help, follow, running, is_key_null, now, records, yes, force, dry_run, all,
        once, deny;
    struct cli_values socket, home, config, set, key, header, partition, partitions, offset, count,
        format, acks, topic_config, before, rate, topic, lsn, offsets, to_version, shadow, max_diff,
        seek_to, columns, colour, context, letter, filter, topic_to, host, mechanism;
    struct cli_values record, lang, sample, last, against, seed, batches, out; /* plugin new … */
    bool dev;
    const char *words[CLI_WORDS_MAX]; /* what is no option */
    uint32_t word_count;
};

struct cli {
    struct sl_os *os;
    const char *executable;
    bool colour;    /* stdout is a terminal */
    bool is_stream; /* its output has no end of its own: with --json a failure is its last object */
    bool is_quiet;  /* no complaints, and answers at once or none: completion asks */
    sl_err explained; /* what the person was told of last; 0: nothing */
    struct cli_options options;
    const struct cli_command *command;
    const struct cli_table *table; /* that the command is in */
    struct {
        const struct cli_option *option;
        struct cli_values values; /* a flag that is given has one, "" */
    } own[CLI_OWN_MAX];           /* those of the table's own options that are given */
    uint32_t own_count;
};

typedef int cli_command_fn(struct cli *cli);

#define CLI_OPTION(name) (UINT64_C(1) << CLI_OPT_##name)
enum {
    CLI_OPT_JSON,
    CLI_OPT_HELP,
    CLI_OPT_SOCKET,
    CLI_OPT_HOME,
    CLI_OPT_CONFIG,
    CLI_OPT_SET,
    CLI_OPT_DEV,
    CLI_OPT_KEY,
    CLI_OPT_HEADER,
    CLI_OPT_PARTITION,
    CLI_OPT_PARTITIONS,
    CLI_OPT_OFFSET,
    CLI_OPT_COUNT,
    CLI_OPT_FORMAT,
    CLI_OPT_FOLLOW,
    CLI_OPT_ACKS,
    CLI_OPT_TOPIC_CONFIG,
    CLI_OPT_RUNNING,
    CLI_OPT_BEFORE,
    CLI_OPT_NOW,
    CLI_OPT_RATE,
    CLI_OPT_TOPIC,
    CLI_OPT_LSN,
    CLI_OPT_RECORDS,
    CLI_OPT_OFFSETS,
    CLI_OPT_YES,
    CLI_OPT_FORCE,
    CLI_OPT_DRY_RUN,
    CLI_OPT_SEEK_TO,
    CLI_OPT_TO_VERSION,
    CLI_OPT_SHADOW,
    CLI_OPT_MAX_DIFF,
    CLI_OPT_RECORD,
    CLI_OPT_LANG,
    CLI_OPT_SAMPLE,
    CLI_OPT_LAST,
    CLI_OPT_AGAINST,
    CLI_OPT_SEED,
    CLI_OPT_BATCHES,
    CLI_OPT_OUT,
    CLI_OPT_ONCE,
    CLI_OPT_LETTER,
    CLI_OPT_FILTER,
    CLI_OPT_TOPIC_TO,
    CLI_OPT_ALL,
    CLI_OPT_DENY,
    CLI_OPT_HOST,
    CLI_OPT_MECHANISM,
    CLI_OPT_JSONL,
    CLI_OPT_COLUMNS,
    CLI_OPT_COLOR,
    CLI_OPT_CONTEXT,
};
/* Those of every command that talks to a broker. */
#define CLI_BROKER_OPTIONS                                                            \
    (CLI_OPTION(JSON) | CLI_OPTION(HELP) | CLI_OPTION(SOCKET) | CLI_OPTION(HOME) |    \
     CLI_OPTION(DEV) | CLI_OPTION(CONFIG) | CLI_OPTION(JSONL) | CLI_OPTION(COLUMNS) | \
     CLI_OPTION(CONTEXT))

/* Those of every command that writes a table without a broker. */
#define CLI_TABLE_OPTIONS \
    (CLI_OPTION(JSON) | CLI_OPTION(JSONL) | CLI_OPTION(COLUMNS) | CLI_OPTION(HELP))

/* Those of commands that read the files of a data folder. */
#define CLI_FILE_OPTIONS \
    (CLI_OPTION(JSON) | CLI_OPTION(HELP) | CLI_OPTION(HOME) | CLI_OPTION(DEV) | CLI_OPTION(CONFIG))

struct cli_command {
    const char *name;      /* "topic list" */
    cli_command_fn *run;   /* NULL: serve, which is main.c's */
    const char *arguments; /* "TOPIC" */
    uint32_t word_min, word_max;
    uint64_t options; /* CLI_OPTION(…) */
    const char *doc;  /* its first line is in the list of commands, all of it in its --help */
};
/* An option that only the commands of one table take; those that many take are in cli_options.c.
 * Read with cli_own…: {.commands = "top", .name = "--interval", .argument = "MS", .doc = "…"}.
 *
 * The argument's word says what the shells complete: TOPIC, GROUP, PLUGIN, CONTEXT, FILE, DIR, or
 * the words themselves where they are all lower-case ("auto|always|never"). The same holds for the
 * words of `arguments` in struct cli_command. */
struct cli_option {
    const char *commands; /* "topic trim,topic offsets"; "*": every one of the table */
    const char *name;     /* "--interval" */
    char letter;          /* 0: none */
    const char *argument; /* NULL: a flag */
    const char *doc;
};

/* The commands: one table for each group, in the group's own file; CLI_TABLES lists them. */
struct cli_table {
    const char *title; /* heading in the help: "Topics"; NULL: nobody is told of it */
    const struct cli_command *commands;
    size_t count;
    const struct cli_option *options; /* the table's own; may be NULL */
    size_t option_count;
};
/* clang-format off */
#define CLI_TABLES(X) /* in the order of the help */ \
    X(broker) \
    X(demo) \
    X(selftest) \
    X(record) \
    X(topic) \
    X(group) \
    X(flow) \
    X(tap) \
    X(top) \
    X(bench) \
    X(dlq) \
    X(plugin) \
    X(workbench) \
    X(sandbox) \
    X(config) \
    X(check) \
    X(debug) \
    X(generate) \
    X(access) \
    X(user) \
    X(quota) \
    X(backup) \
    X(wal) \
    X(extent) \
    X(context) \
    X(cheat) \
    X(errors) \
    X(manual) \
    X(hidden)
/* clang-format on */
#define CLI_TABLE_DECLARE(name) extern const struct cli_table cli_##name##_table;
CLI_TABLES(CLI_TABLE_DECLARE)

/* ---- options (cli_options.c) ---- */

/* Reads the arguments behind the command's name. False: a sentence was written to stderr. */
bool cli_options_parse(struct cli *cli, int argc, char **argv);
/* The command's options, one a line. */
void cli_options_help(const struct cli_table *table, const struct cli_command *command, FILE *out);
/* Values of an option of the command's own table; count 0: it is not given. */
const struct cli_values *cli_own(const struct cli *cli, const char *name);
static inline bool cli_own_flag(const struct cli *cli, const char *name)
{
    return cli_own(cli, name)->count > 0;
}
static inline const char *cli_value(const struct cli_values *values, const char *fallback)
{
    return values->count == 0 ? fallback : values->items[values->count - 1];
}
/* A whole number of an option; `fallback` when it was not given. False: a sentence was written. */
bool cli_number(const struct cli_values *values, const char *name, int64_t min, int64_t max,
                int64_t fallback, int64_t *ret_value);

/* "7" or "7-9"; without the option all. False: a sentence was written. */
struct cli_range {
    int64_t first, last;
};
bool cli_range(const struct cli_values *values, const char *name, struct cli_range *ret_range);
/* Bytes per second of --rate ("50 MiB"); 0 when it was not given. False: a sentence was written. */
bool cli_rate(const struct cli *cli, uint64_t *ret_bytes_per_s);

/* ---- the link (cli_link.c) ---- */

struct cli_link {
    struct cli *cli;
    int descriptor;
    char *buffer; /* bytes behind the last line */
    size_t size, capacity;
    int32_t wait_ms; /* for an answer; 0: as long as it takes */
};
/* The exit code for an outcome. */
int cli_exit_of(sl_err err);
/* CLI_OK, CLI_UNREACHABLE, CLI_CONFIG; the reason was written to stderr. */
int cli_link_open(struct cli_link *link, struct cli *cli);
void cli_link_close(struct cli_link *link);
/* Sends one request and waits for its reply. [takes args, which may be NULL] *ret_reply is the
 * whole reply, to be deleted by the caller, also when it is an error: then that was written, and
 * the code is that of its status (cli_exit_of). */
int cli_call(struct cli_link *link, const char *command, cJSON *args, cJSON **ret_reply);
/* The same, but an error is the caller's to write: CLI_FAILED. */
int cli_ask(struct cli_link *link, const char *command, cJSON *args, cJSON **ret_reply);
/* The status of a reply that is an error; *ret_message its sentence, within the reply. */
sl_err cli_reply_error(const cJSON *reply, const char **ret_message);
/* Opens, calls, closes. *ret_reply only with CLI_OK. */
int cli_call_once(struct cli *cli, const char *command, cJSON *args, cJSON **ret_reply);
/* A command that changes something and may want to be confirmed: asks at a terminal, unless --yes
 * or
 * --force is given; writes the "text" of the result, or what was refused. [takes args] */
int cli_change(struct cli *cli, const char *command, cJSON *args);
/* The result of a change: with --json the object, else the sentence, "nothing was changed" behind
 * it where it was only tried. */
void cli_change_write(const struct cli *cli, const cJSON *result, const char *format, ...)
    SL_PRINTF(3, 4);
/* "" or, where it is only tried, "would have " for the verb behind it. */
static inline const char *cli_would(const struct cli *cli)
{
    return cli->options.dry_run ? "would have " : "";
}
/* The options of every command that changes something by one request. */
#define CLI_CHANGE_OPTIONS (CLI_BROKER_OPTIONS | CLI_OPTION(DRY_RUN))
/* The "result" of a reply. */
const cJSON *cli_result(const cJSON *reply);

/* ---- output (cli_output.c) ---- */

void cli_json_write(const cJSON *object);
/* Rows of objects as an aligned table: `columns` are member names; "NAME" in bold on a terminal.
 * The command takes --columns, and --json and --jsonl beside it. */
void cli_table_write(const struct cli *cli, const cJSON *rows, const char *const *columns,
                     size_t column_count);
/* The member as text into ret_text (numbers, booleans, arrays joined by commas). */
const char *cli_member_text(const cJSON *object, const char *name, char ret_text[1024]);
/* All members of an object, one a line. */
void cli_object_write(const struct cli *cli, const cJSON *object);
/* With --jsonl the rows, one a line; false: it was not given, and nothing was written. */
bool cli_lines_write(const struct cli *cli, const cJSON *rows);
/* The array `member` of the object as a table, with --json the object, with --jsonl its rows. */
void cli_rows_write(const struct cli *cli, const cJSON *object, const char *member,
                    const char *const *columns, size_t column_count);
/* Whether somebody sits there who can be asked. */
bool cli_is_person(void);
/* Asks "QUESTION, go on?". [blocks] */
bool cli_person_agrees(const char *question);
/* Asks a person before something that cannot be undone; where nobody can be asked --yes is wanted.
 * CLI_OK; else a sentence was written. */
int cli_confirm(struct cli *cli, const char *format, ...) SL_PRINTF(2, 3);
/* Calls, then writes the array `member` of the result as a table, or all of it as JSON. */
int cli_list_show(struct cli *cli, const char *command, const char *member,
                  const char *const *columns, size_t column_count);
/* Calls, then writes the result. [takes args] */
int cli_object_show(struct cli *cli, const char *command, cJSON *args);
#define CLI_TIME_BYTES 48
/* Wall time as 2026-11-21T11:12:31Z; "" for what is before 1970. */
void cli_time_text(int64_t wall_ms, char ret_text[CLI_TIME_BYTES]);
/* The way back; a fraction of the second may follow it. False: it is no such time. */
bool cli_time_parse(const char *text, int64_t *ret_wall_ms);
/* What was complained of first and the next step said first, "" for nothing; how many objects went
 * to stdout: for the object of a failure. */
const char *cli_complained(const char **ret_next);
uint32_t cli_json_count(void);
/* "sluice: …\n" on stderr. */
void cli_complain(const char *format, ...) SL_PRINTF(1, 2);
/* A line below it: what to do. */
void cli_next(const char *format, ...) SL_PRINTF(1, 2);
/* The next step that the table of errors has, unless it was just said. */
void cli_explain(struct cli *cli, sl_err err);

/* ---- commands that are not in the file of their table ---- */

cli_command_fn cli_produce, cli_topic_offsets;
cli_command_fn cli_reload;
cli_command_fn cli_config_explain, cli_config_init, cli_config_set, cli_config_diff,
    cli_config_import;
cli_command_fn cli_wal_inspect, cli_wal_salvage;
cli_command_fn cli_backup_restore;
cli_command_fn cli_scrub, cli_recovery;

#endif
