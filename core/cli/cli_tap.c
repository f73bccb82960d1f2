/* cli_tap.c: tap (a sample of live records) and log (what the broker says). */
#include "base/text.h"
#include "cli/cli_place.h"
#include "cli/cli_record_text.h"
#include "cli/cli_tap_reader.h"
#include "cli/cli_workbench.h"
#include "os/os_interrupt.h"

#include <stdlib.h>
#include <string.h>

#define LOG_POLL_MS     250
#define LEFT_OUT_SAY_MS 5000
#define TAP_FORMAT      "%t[%p]@%o %k %v\\n"

/* ---- tap ---- */

struct tapping {
    struct cli *cli;
    const char *format;
    int64_t left; /* records still wanted */
};

static bool record_write(void *arg, const char *topic, int32_t partition, cJSON *record)
{
    struct tapping *tapping = arg;
    if (tapping->cli->options.json) {
        cJSON_AddStringToObject(record, "topic", topic);
        cJSON_AddNumberToObject(record, "partition", partition);
        cli_json_write(record);
    } else {
        cli_record_format(tapping->format, topic, partition, record);
    }
    return --tapping->left > 0;
}

static void left_out_say(const struct tap *tap)
{
    fprintf(stderr, "tap: %lld records shown, %lld left out%s\n", (long long)tap->shown,
            (long long)tap->left_out,
            tap->left_topics > 0 ? "; more topics match than are looked at" : "");
}

/* Where no topic fits a person is told, and it waits for one. Who wants so many records of topics
 * by their names is a script, which would wait for ever; a pattern is of what may come. */
static int topics_say(struct tap *tap, const struct tapping *tapping)
{
    const struct cli *cli = tapping->cli;
    bool waits = cli->options.count.count == 0;
    for (uint32_t i = 0; i < tap->pattern_count; i++) {
        waits = waits || strpbrk(tap->patterns[i], "*?[") != NULL;
    }
    if (cJSON_GetArraySize(tap->topics) > 0) {
        return CLI_OK;
    }
    cli_complain("no topic fits \"%.100s\"%s%s", tap->patterns[0],
                 tap->pattern_count > 1 ? " or the others" : "",
                 waits ? "; it waits for one (Ctrl-C ends it)" : "");
    if (!waits) {
        cli_next("\"sluice topic list\" shows all; internal ones begin with __");
    }
    return waits ? CLI_OK : CLI_FAILED;
}

/* What no name of a topic can be would wait for ever. */
static bool patterns_check(const struct cli *cli)
{
    for (uint32_t i = 0; i < cli->options.word_count; i++) {
        const char *pattern = cli->options.words[i];
        bool has_set = strchr(pattern, '[') != NULL;
        size_t size = strspn(pattern, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "0123456789._-*?[]!");
        if (pattern[0] == '\0' || (!has_set && pattern[size] != '\0')) {
            cli_complain(
                "no topic can be called \"%.100s\": letters, digits, '.', '_' and '-', and "
                "in a pattern *, ? and [sets]",
                pattern);
            return false;
        }
    }
    return true;
}

static int tap_run(struct tap *tap, struct tapping *tapping, int64_t seconds)
{
    int64_t begun_ms = sl_os_mono_ns(tapping->cli->os) / 1000000;
    int64_t said_ms = begun_ms, said = 0, now_ms = begun_ms;
    int code = CLI_OK;
    while (code == CLI_OK && !sl_interrupted() && tapping->left > 0 && !ferror(stdout) &&
           now_ms - begun_ms < seconds * 1000) {
        code = tap_poll(tap, record_write, tapping);
        fflush(stdout);
        if (code == CLI_OK && now_ms == begun_ms) {
            code = topics_say(tap, tapping);
        }
        now_ms = sl_os_mono_ns(tapping->cli->os) / 1000000;
        if (now_ms - said_ms >= LEFT_OUT_SAY_MS && tap->left_out > said) {
            left_out_say(tap);
            said = tap->left_out;
            said_ms = now_ms;
        }
        if (code == CLI_OK && tapping->left > 0) {
            sl_sleep_unless_interrupted(TAP_POLL_MS);
        }
    }
    return code;
}

static int tap_command(struct cli *cli)
{
    struct tapping tapping = {.cli = cli, .format = cli_value(&cli->options.format, TAP_FORMAT)};
    struct cli_link link;
    struct tap tap;
    int64_t rate = 0, seconds = 0;
    if (!cli_number(cli_own(cli, "--rate"), "--rate", 1, TAP_RATE_MAX, 10, &rate) ||
        !cli_number(cli_own(cli, "--seconds"), "--seconds", 1, INT32_MAX, INT32_MAX, &seconds) ||
        !cli_number(&cli->options.count, "--count", 1, INT64_MAX, INT64_MAX, &tapping.left)) {
        return CLI_USAGE;
    }
    if (strcmp(tapping.format, "help") == 0) {
        cli_record_format_help(stdout);
        return CLI_OK;
    }
    if (!cli_record_format_check(tapping.format) || !patterns_check(cli)) {
        return CLI_USAGE;
    }
    cli->is_stream = true;
    int code = cli_link_open(&link, cli);
    if (code != CLI_OK) {
        return code;
    }
    sl_interrupts_watch();
    tap_init(&tap, &link, cli->options.words, cli->options.word_count, rate);
    code = tap_run(&tap, &tapping, seconds);
    left_out_say(&tap);
    tap_fini(&tap);
    cli_link_close(&link);
    return code;
}

/* ---- log ---- */

static void line_write(const struct cli *cli, const cJSON *line)
{
    char time[CLI_TIME_BYTES];
    const char *level = watch_text(line, "level");
    const char *colour = strcmp(level, "error") == 0  ? cli_red(cli)
                         : strcmp(level, "warn") == 0 ? cli_yellow(cli)
                                                      : cli_green(cli);
    cli_time_text(watch_int(line, "time_ms", 0), time);
    printf("%s%s%s %s%-5s%s %-9s ", cli_faint(cli), time, cli_plain(cli), colour, level,
           cli_plain(cli), watch_text(line, "component"));
    cli_print_safe(watch_text(line, "text"));
    putchar('\n');
}

/* What is behind line *next; *ret_more: there is still more. */
static int lines_read(struct cli *cli, struct cli_link *link, cJSON *args, char next[32],
                      bool *ret_more)
{
    cJSON *reply = NULL;
    const cJSON *line;
    cJSON_AddStringToObject(args, "after", next);
    int code = cli_call(link, "log", args, &reply);
    const cJSON *result = cli_result(reply);
    if (code == CLI_OK) {
        if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(result, "lost"))) {
            cli_complain("lines between were not kept");
        }
        cJSON_ArrayForEach(line, cJSON_GetObjectItemCaseSensitive(result, "lines"))
        {
            if (cli->options.json) {
                cli_json_write(line);
            } else {
                line_write(cli, line);
            }
        }
        fflush(stdout);
        snprintf(next, 32, "%.31s", watch_text(result, "next"));
        *ret_more = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(result, "more"));
    }
    cJSON_Delete(reply);
    return code;
}

static cJSON *log_args(const struct cli *cli, const char *since)
{
    cJSON *args = cJSON_CreateObject();
    const char *level = cli_value(cli_own(cli, "--level"), NULL);
    const char *component = cli_value(cli_own(cli, "--component"), NULL);
    if (level != NULL) {
        cJSON_AddStringToObject(args, "level", level);
    }
    if (component != NULL) {
        cJSON_AddStringToObject(args, "component", component);
    }
    if (since[0] != '\0') {
        cJSON_AddStringToObject(args, "since_ms", since);
    }
    return args;
}

/* A time of the language of offsets, also without its @ ("10m" is ago). */
static bool since_take(const struct cli *cli, const char *since, char ret_ms[CLI_PLACE_TEXT_BYTES])
{
    char asked[72];
    struct cli_place place;
    bool is_ago = since[0] >= '0' && since[0] <= '9' && strpbrk(since, "T:") == NULL &&
                  strlen(since) != strlen("2026-11-21");
    snprintf(asked, sizeof(asked), "%s%s%.60s", since[0] == '@' ? "" : "@", is_ago ? "-" : "",
             since);
    if (!cli_place_parse(asked, sl_os_wall_ms(cli->os), &place) || place.kind != CLI_PLACE_TIME) {
        cli_complain("--since is \"%.60s\" but must be a time such as 2026-11-21T11:00:00Z, or "
                     "how long ago: 10m",
                     since);
        return false;
    }
    snprintf(ret_ms, CLI_PLACE_TEXT_BYTES, "%lld", (long long)place.value);
    return true;
}

static int log_command(struct cli *cli)
{
    const char *since = cli_value(cli_own(cli, "--since"), NULL);
    char since_text[CLI_PLACE_TEXT_BYTES] = "", next[32] = "0";
    struct cli_link link;
    bool more = true, follow = cli_own_flag(cli, "--follow");
    if (since != NULL && !since_take(cli, since, since_text)) {
        return CLI_USAGE;
    }
    cli->is_stream = true;
    int code = cli_link_open(&link, cli);
    if (code != CLI_OK) {
        return code;
    }
    sl_interrupts_watch();
    while (code == CLI_OK && (more || follow) && !sl_interrupted() && !ferror(stdout)) {
        code = lines_read(cli, &link, log_args(cli, since_text), next, &more);
        if (code == CLI_OK && !more && follow) {
            sl_sleep_unless_interrupted(LOG_POLL_MS);
        }
    }
    cli_link_close(&link);
    return code;
}

/* ---- the table ---- */

/* clang-format off */
static const struct cli_option options[] = {
    {"tap", "--rate", 0, "N", "at most so many records a second; default 10"},
    {"tap", "--seconds", 0, "N", "end after so long"},
    {"log", "--follow", 'f', NULL, "go on with what comes"},
    {"log", "--level", 0, "debug|info|warn|error", "from this level on"},
    {"log", "--since", 0, "TIME", "from 2026-11-21T11:00:00Z on, or of the last 10m"},
    {"log", "--component", 0, "NAME", "of this part of the broker, or this plugin"},
};
static const struct cli_command commands[] = {
    {"tap", tap_command, "PATTERN...", 1, TAP_PATTERNS_MAX,
     CLI_BROKER_OPTIONS | CLI_OPTION(FORMAT) | CLI_OPTION(COUNT),
     "a sample of the records that come into topics, live\n\n"
     "PATTERN is a topic, or a glob such as 'orders.*'; internal topics only by a pattern that\n"
     "begins with __. Whatever is beyond --rate is left out, newest first, and counted: nothing is\n"
     "slowed down by it. Formats are those of consume. Where no topic fits it says so and waits for\n"
     "one; with --count and plain names it ends with code 1."},
    {"log", log_command, "", 0, 0, CLI_BROKER_OPTIONS,
     "what the broker said: the last lines that it keeps in memory\n\n"
     "It keeps 2,048 lines of all components together, with the level that log.level lets through."},
};
/* clang-format on */

const struct cli_table cli_tap_table = {.title = "Watching",
                                        .commands = commands,
                                        .count = SL_COUNT_OF(commands),
                                        .options = options,
                                        .option_count = SL_COUNT_OF(options)};
