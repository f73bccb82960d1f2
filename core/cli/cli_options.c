/* cli_options.c: the options. Those that commands of several groups take are in the table here, and
 * a command's mask says which; those of one group are in that group's table and say their commands.
 */
#include "base/text.h"
#include "cli/cli_table.h"

#include <stddef.h>
#include <string.h>

#define FLAG(member)   .flag = offsetof(struct cli_options, member), .is_flag = true
#define VALUES(member) .values = offsetof(struct cli_options, member)

struct option {
    uint64_t bit;
    char letter; /* 0: none */
    bool is_flag;
    const char *name, *argument, *doc;
    size_t flag, values; /* where in struct cli_options */
};

/* clang-format off */
static const struct option options[] = {
    {CLI_OPTION(KEY), 'k', .name = "--key", .argument = "KEY", VALUES(key), .doc = "key of every record"},
    {CLI_OPTION(HEADER), 'H', .name = "--header", .argument = "NAME=VALUE", VALUES(header), .doc = "header of every record; may be repeated"},
    {CLI_OPTION(PARTITION), 'p', .name = "--partition", .argument = "N", VALUES(partition), .doc = "this partition only"},
    {CLI_OPTION(PARTITIONS), 'p', .name = "--partitions", .argument = "N", VALUES(partitions), .doc = "number of partitions"},
    {CLI_OPTION(TOPIC_CONFIG), 'c', .name = "--topic-config", .argument = "NAME=VALUE", VALUES(topic_config), .doc = "topic setting such as retention.ms=60000; may be repeated"},
    {CLI_OPTION(ACKS), 0, .name = "--acks", .argument = "0|1|-1", VALUES(acks), .doc = "wait for nothing, or (default) until durable"},
    {CLI_OPTION(OFFSET), 'o', .name = "--offset", .argument = "PLACE|FROM:TO", VALUES(offset), .doc = "where to begin, and end: start, end, N, +N, -N, @TIME, @-1h, A:B; default start"},
    {CLI_OPTION(BEFORE), 'b', .name = "--before", .argument = "PLACE", VALUES(before), .doc = "the first offset to keep: N, -N before the end, @TIME, @-1h; end: keep none"},
    {CLI_OPTION(COUNT), 'n', .name = "--count", .argument = "N", VALUES(count), .doc = "stop after N records"},
    {CLI_OPTION(FORMAT), 'f', .name = "--format", .argument = "TEXT|help", VALUES(format), .doc = "how a record is written, such as '%t %p %o %k %v\\n'; help lists the fields; default %v\\n"},
    {CLI_OPTION(FOLLOW), 'F', .name = "--follow", FLAG(follow), .doc = "wait for further records"},
    {CLI_OPTION(NOW), 0, .name = "--now", FLAG(now), .doc = "begin now, and wait for the end"},
    {CLI_OPTION(RATE), 0, .name = "--rate", .argument = "SIZE", VALUES(rate), .doc = "at most so many bytes per second, such as \"50 MiB\""},
    {CLI_OPTION(TOPIC), 't', .name = "--topic", .argument = "TOPIC", VALUES(topic), .doc = "only what belongs to this topic"},
    {CLI_OPTION(LSN), 0, .name = "--lsn", .argument = "FROM[-TO]", VALUES(lsn), .doc = "only frames with these numbers"},
    {CLI_OPTION(OFFSETS), 0, .name = "--offsets", .argument = "FROM[-TO]", VALUES(offsets), .doc = "only batches that hold one of these offsets"},
    {CLI_OPTION(RECORDS), 0, .name = "--records", FLAG(records), .doc = "also the records in each batch"},
    {CLI_OPTION(SEEK_TO), 0, .name = "--to", .argument = "PLACE", VALUES(seek_to), .doc = "where to go on: start, end, N, +N, -N, @TIME, @-1h"},
    {CLI_OPTION(TO_VERSION), 0, .name = "--to", .argument = "HASH|VERSION", VALUES(to_version), .doc = "the version that comes back; default the one before"},
    {CLI_OPTION(SHADOW), 0, .name = "--shadow", .argument = "N", VALUES(shadow), .doc = "records that the new version gets beside the old one first"},
    {CLI_OPTION(MAX_DIFF), 0, .name = "--max-diff", .argument = "PERCENT", VALUES(max_diff), .doc = "refuse it when more of them differ; default 100"},
    {CLI_OPTION(LETTER), 0, .name = "--letter", .argument = "PARTITION:OFFSET", VALUES(letter), .doc = "this dead letter alone, as dlq show writes it"},
    {CLI_OPTION(FILTER), 0, .name = "--filter", .argument = "FIELD=VALUE", VALUES(filter), .doc = "only those; FIELD~VALUE: that contain it; reason, version, topic, partition, key, value, header.NAME; may be repeated"},
    {CLI_OPTION(TOPIC_TO), 0, .name = "--to", .argument = "TOPIC", VALUES(topic_to), .doc = "to this topic instead of the stage"},
    {CLI_OPTION(ALL), 'a', .name = "--all", FLAG(all), .doc = "also those that were handed back"},
    {CLI_OPTION(MECHANISM), 0, .name = "--mechanism", .argument = "NAME", VALUES(mechanism), .doc = "SCRAM-SHA-256 (default) or SCRAM-SHA-512"},
    {CLI_OPTION(DENY), 0, .name = "--deny", FLAG(deny), .doc = "the rule says no; it wins over all that say yes"},
    {CLI_OPTION(HOST), 0, .name = "--host", .argument = "ADDRESS", VALUES(host), .doc = "only from this address"},
    {CLI_OPTION(DRY_RUN), 0, .name = "--dry-run", FLAG(dry_run), .doc = "say what would happen, and change nothing"},
    {CLI_OPTION(YES), 'y', .name = "--yes", FLAG(yes), .doc = "do not ask"},
    {CLI_OPTION(FORCE), 0, .name = "--force", FLAG(force), .doc = "as --yes, for scripts"},
    {CLI_OPTION(RECORD), 0, .name = "--record", .argument = "TOPIC", VALUES(record), .doc = "add what becomes of the last N records of a topic as a test"},
    {CLI_OPTION(LANG), 'l', .name = "--lang", .argument = "c|lua|frontend", VALUES(lang), .doc = "what it is written in; default c"},
    {CLI_OPTION(SAMPLE), 0, .name = "--sample", .argument = "FILE", VALUES(sample), .doc = "records: lines of text, of \"sluice consume --json\", or a file of test cases; for check of a frontend: the bytes that a client sent"},
    {CLI_OPTION(LAST), 0, .name = "--last", .argument = "N", VALUES(last), .doc = "so many of the topic's last records; default 10"},
    {CLI_OPTION(AGAINST), 0, .name = "--against", .argument = "FILE", VALUES(against), .doc = "the version to compare with; default: the one in the running broker"},
    {CLI_OPTION(SEED), 0, .name = "--seed", .argument = "N", VALUES(seed), .doc = "of the random batches; default 1"},
    {CLI_OPTION(BATCHES), 0, .name = "--batches", .argument = "N", VALUES(batches), .doc = "so many random batches; default 200"},
    {CLI_OPTION(OUT), 0, .name = "--out", .argument = "FILE", VALUES(out), .doc = "where the module goes; default NAME.so in its folder"},
    {CLI_OPTION(ONCE), 0, .name = "--once", FLAG(once), .doc = "one round, then end"},
    {CLI_OPTION(RUNNING), 0, .name = "--running", FLAG(running), .doc = "ask the running broker instead of reading files"},
    {CLI_OPTION(JSON), 0, .name = "--json", FLAG(json), .doc = "JSON output"},
    {CLI_OPTION(JSONL), 0, .name = "--jsonl", FLAG(jsonl), .doc = "JSON output, a line a row or record"},
    {CLI_OPTION(COLUMNS), 0, .name = "--columns", .argument = "NAME,...", VALUES(columns), .doc = "these columns of a table; the names are those of --json"},
    {CLI_OPTION(COLOR), 0, .name = "--color", .argument = "auto|always|never", VALUES(colour), .doc = "auto: on a terminal, unless NO_COLOR is set or TERM is dumb"},
    {CLI_OPTION(CONTEXT), 0, .name = "--context", .argument = "CONTEXT", VALUES(context), .doc = "the broker of this context, see sluice context"},
    {CLI_OPTION(SOCKET), 0, .name = "--socket", .argument = "PATH", VALUES(socket), .doc = "admin socket of the broker"},
    {CLI_OPTION(HOME), 0, .name = "--home", .argument = "DIR", VALUES(home), .doc = "as given to sluice serve"},
    {CLI_OPTION(CONFIG), 0, .name = "--config", .argument = "FILE", VALUES(config), .doc = "as given to sluice serve"},
    {CLI_OPTION(SET), 0, .name = "--set", .argument = "KEY=VALUE", VALUES(set), .doc = "as given to sluice serve"},
    {CLI_OPTION(DEV), 0, .name = "--dev", FLAG(dev), .doc = "as given to sluice serve"},
    {CLI_OPTION(HELP), 'h', .name = "--help", FLAG(help), .doc = "this text"},
};
/* clang-format on */

/* ---- all options of a command, the shared ones first ---- */

/* "topic trim,topic offsets" names "topic trim". */
static bool list_names(const char *list, const char *name)
{
    size_t size = strlen(name);
    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strcmp(at, "*") == 0 ||
            (strncmp(at, name, size) == 0 && (at[size] == ',' || at[size] == '\0'))) {
            return true;
        }
    }
    return false;
}

bool cli_option_at(const struct cli_table *table, const struct cli_command *command, size_t index,
                   struct cli_option_view *ret_view)
{
    uint64_t mask = command->options | (command->run != NULL ? CLI_OPTION(COLOR) : 0);
    for (size_t i = 0; i < SL_COUNT_OF(options); i++) {
        const struct option *option = &options[i];
        if ((option->bit & mask) != 0 && index-- == 0) {
            *ret_view =
                (struct cli_option_view){.name = option->name,
                                         .argument = option->argument,
                                         .doc = option->doc,
                                         .letter = option->letter,
                                         .shared = i,
                                         .is_common = (option->bit & CLI_COMMON_OPTIONS) != 0};
            return true;
        }
    }
    for (size_t i = 0; i < table->option_count; i++) {
        const struct cli_option *option = &table->options[i];
        if (list_names(option->commands, command->name) && index-- == 0) {
            *ret_view = (struct cli_option_view){.name = option->name,
                                                 .argument = option->argument,
                                                 .doc = option->doc,
                                                 .letter = option->letter,
                                                 .own = option};
            return true;
        }
    }
    return false;
}

void cli_options_help(const struct cli_table *table, const struct cli_command *command, FILE *out)
{
    char left[96];
    struct cli_option_view view;
    for (size_t i = 0; cli_option_at(table, command, i, &view); i++) {
        char letter[8] = "    ";
        if (view.letter != 0) {
            snprintf(letter, sizeof(letter), "-%c, ", view.letter);
        }
        snprintf(left, sizeof(left), "%s%s %s", letter, view.name,
                 view.argument == NULL ? "" : view.argument);
        fprintf(out, "  %-30s %s\n", left, view.doc);
    }
}

/* ---- parsing ---- */

/* Of the command's options, by "--name", "--name=value" or "-x". */
bool cli_option_find(const struct cli *cli, const char *word, struct cli_option_view *ret_view)
{
    size_t size = strcspn(word, "=");
    for (size_t i = 0; cli_option_at(cli->table, cli->command, i, ret_view); i++) {
        bool by_letter = word[1] != '-' && word[1] == ret_view->letter && ret_view->letter != 0;
        bool by_name = strlen(ret_view->name) == size && memcmp(ret_view->name, word, size) == 0;
        if (by_letter || by_name) {
            return true;
        }
    }
    return false;
}

static bool unknown_option(const struct cli *cli, const char *word)
{
    const char *known[CLI_OPTIONS_MAX];
    struct cli_option_view view;
    size_t count = 0;
    while (count < CLI_OPTIONS_MAX && cli_option_at(cli->table, cli->command, count, &view)) {
        known[count++] = view.name;
    }
    struct sl_bytes typed = {(const uint8_t *)word, strcspn(word, "=")};
    const char *best = sl_text_nearest(typed, known, count);
    cli_complain("%s does not know \"%.100s\"; %s%s%s", cli->command->name, word,
                 best != NULL ? "did you mean " : "nothing is like it", best != NULL ? best : "",
                 best != NULL ? "?" : "");
    return false;
}

static struct cli_values *own_values(struct cli *cli, const struct cli_option *option)
{
    for (uint32_t i = 0; i < cli->own_count; i++) {
        if (cli->own[i].option == option) {
            return &cli->own[i].values;
        }
    }
    SL_ASSERT(cli->own_count < CLI_OWN_MAX);
    cli->own[cli->own_count].option = option;
    return &cli->own[cli->own_count++].values;
}

const struct cli_values *cli_own(const struct cli *cli, const char *name)
{
    static const struct cli_values none = {.count = 0};
    for (uint32_t i = 0; i < cli->own_count; i++) {
        if (strcmp(cli->own[i].option->name, name) == 0) {
            return &cli->own[i].values;
        }
    }
    return &none;
}

bool cli_option_store(struct cli *cli, const struct cli_option_view *view, const char *value)
{
    struct cli_values *values =
        view->own != NULL ? own_values(cli, view->own)
                          : (void *)((char *)&cli->options + options[view->shared].values);
    if (values->count == CLI_REPEATS_MAX) {
        return false;
    }
    values->items[values->count++] = value;
    return true;
}

/* Takes argv[*at] and, where it wants one, its value. */
static bool option_take(struct cli *cli, const struct cli_option_view *view, int argc, char **argv,
                        int *at)
{
    const char *word = argv[*at];
    bool by_letter = word[1] != '-';
    const char *value = NULL;
    const struct option *shared = &options[view->shared];
    if (view->argument == NULL && (by_letter ? word[2] != '\0' : strchr(word, '=') != NULL)) {
        cli_complain("%s takes no value", view->name);
        return false;
    }
    if (view->argument == NULL && view->own == NULL) {
        *(bool *)((char *)&cli->options + shared->flag) = true;
        return true;
    }
    if (view->argument == NULL) {
        *own_values(cli, view->own) = (struct cli_values){.items = {""}, .count = 1};
        return true;
    }
    if (by_letter && word[2] != '\0') {
        value = word + 2;
    } else if (!by_letter && strchr(word, '=') != NULL) {
        value = strchr(word, '=') + 1;
    } else if (*at + 1 < argc) {
        value = argv[++*at];
    }
    if (value == NULL || !cli_option_store(cli, view, value)) {
        cli_complain("%s %s", view->name,
                     value == NULL ? "needs a value" : "is given more than 64 times");
        return false;
    }
    return true;
}

bool cli_options_parse(struct cli *cli, int argc, char **argv)
{
    bool only_words = false;
    for (int i = 0; i < argc; i++) {
        bool is_option = !only_words && argv[i][0] == '-' && argv[i][1] != '\0';
        if (is_option && strcmp(argv[i], "--") == 0) {
            only_words = true;
            continue;
        }
        if (!is_option) {
            if (cli->options.word_count == CLI_WORDS_MAX) {
                cli_complain("more than %d arguments", CLI_WORDS_MAX);
                return false;
            }
            cli->options.words[cli->options.word_count++] = argv[i];
            continue;
        }
        struct cli_option_view view;
        if (!cli_option_find(cli, argv[i], &view)) {
            return unknown_option(cli, argv[i]);
        }
        if (!option_take(cli, &view, argc, argv, &i)) {
            return false;
        }
    }
    return true;
}

bool cli_rate(const struct cli *cli, uint64_t *ret_bytes_per_s)
{
    const char *text = cli_value(&cli->options.rate, NULL);
    uint64_t value = 0;
    if (text != NULL && (sl_text_parse_size((struct sl_bytes){(const uint8_t *)text, strlen(text)},
                                            &value) != SLUICE_OK ||
                         value == 0)) {
        cli_complain("--rate is \"%.40s\" but must be a size such as \"50 MiB\"", text);
        return false;
    }
    *ret_bytes_per_s = value;
    return true;
}

bool cli_range(const struct cli_values *values, const char *name, struct cli_range *ret_range)
{
    const char *text = cli_value(values, NULL);
    struct cli_range range = {.first = 0, .last = INT64_MAX};
    if (text != NULL) {
        const char *dash = strchr(text, '-');
        size_t size = dash == NULL ? strlen(text) : (size_t)(dash - text);
        struct sl_bytes first = {(const uint8_t *)text, size};
        struct sl_bytes last =
            dash == NULL ? first : (struct sl_bytes){(const uint8_t *)dash + 1, strlen(dash + 1)};
        if (sl_text_parse_i64(first, &range.first) != SLUICE_OK ||
            sl_text_parse_i64(last, &range.last) != SLUICE_OK || range.first < 0 ||
            range.last < range.first) {
            cli_complain("%s is \"%.60s\" but must be a number or a range such as 100-200", name,
                         text);
            return false;
        }
    }
    *ret_range = range;
    return true;
}

bool cli_number(const struct cli_values *values, const char *name, int64_t min, int64_t max,
                int64_t fallback, int64_t *ret_value)
{
    const char *text = cli_value(values, NULL);
    int64_t value = fallback;
    if (text != NULL && (sl_text_parse_i64((struct sl_bytes){(const uint8_t *)text, strlen(text)},
                                           &value) != SLUICE_OK ||
                         value < min || value > max)) {
        cli_complain("%s is \"%.40s\" but must be a whole number from %lld to %lld", name, text,
                     (long long)min, (long long)max);
        return false;
    }
    *ret_value = value;
    return true;
}
