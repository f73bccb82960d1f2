/* cli_complete.c: what the shells complete. `sluice completion SHELL` writes a few lines of that
 * shell, which ask `sluice __complete -- WORD...` on each tab: the words behind "sluice", the last
 * one being typed. It answers a line a candidate, "WORD\tDESCRIPTION", or ":files" or ":dirs" for
 * paths. All that it knows is the tables; names are asked of the running broker, which has half a
 * second. */
#include "cli/cli_cheat.h"
#include "cli/cli_context.h"
#include "cli/cli_table.h"

#include <string.h>

struct completing {
    struct cli *cli; /* command, and the options that say where the broker is */
    const char *current;
    size_t size; /* of current */
};

static void offer(const struct completing *completing, const char *word, const char *doc)
{
    if (strncmp(word, completing->current, completing->size) == 0) {
        printf("%s\t%.*s\n", word, (int)strcspn(doc, "\n"), doc);
    }
}

/* ---- names ---- */

/* A command of the admin socket, the array in its result, the member in each row. */
struct names {
    const char *word; /* of an argument */
    const char *command, *array, *member;
};
static const struct names names[] = {
    {"TOPIC", "topic.list", "topics", "name"},    {"GROUP", "group.list", "groups", "group"},
    {"PLUGIN", "plugin.list", "plugins", "name"}, {"STAGE", "plugin.list", "plugins", "name"},
    {"USER", "user.list", "users", "name"},
};

static void names_offer(const struct completing *completing, const struct names *kind)
{
    cJSON *reply = NULL;
    const cJSON *row;
    if (cli_call_once(completing->cli, kind->command, NULL, &reply) != CLI_OK) {
        return;
    }
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(cli_result(reply), kind->array))
    {
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(row, kind->member);
        if (cJSON_IsString(name)) {
            offer(completing, name->valuestring, "");
        }
    }
    cJSON_Delete(reply);
}

static bool is_choice(const char *word, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        bool fits = (word[i] >= 'a' && word[i] <= 'z') || (word[i] >= '0' && word[i] <= '9') ||
                    word[i] == '-';
        if (!fits) {
            return false;
        }
    }
    return size > 0;
}

static void context_offer(void *arg, const char *name)
{
    offer(arg, name, "");
}

/* One of the words of "TOPIC", "a|b|c", "DIR|FILE". */
static void word_offer(const struct completing *completing, const char *word, size_t size)
{
    static const char *const folders[] = {"DIR", "NEWDIR"};
    char text[64];
    snprintf(text, sizeof(text), "%.*s", (int)size, word);
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        if (strcmp(text, names[i].word) == 0) {
            names_offer(completing, &names[i]);
            return;
        }
    }
    for (size_t i = 0; i < SL_COUNT_OF(folders); i++) {
        if (strcmp(text, folders[i]) == 0) {
            puts(":dirs");
            return;
        }
    }
    if (strcmp(text, "CONTEXT") == 0) {
        cli_context_each(completing->cli, context_offer, (void *)(uintptr_t)completing);
    } else if (strcmp(text, "SHEET") == 0) {
        for (unsigned i = 0; i < cli_cheat_count; i++) {
            offer(completing, cli_cheats[i].name, "");
        }
    } else if (strncmp(text, "FILE", 4) == 0 || strcmp(text, "CASES") == 0 ||
               strcmp(text, "PATH") == 0) {
        puts(":files");
    } else if (is_choice(word, size)) {
        offer(completing, text, "");
    }
}

/* "[TOPIC...]": without what says how often. */
static void argument_offer(const struct completing *completing, const char *argument, size_t size)
{
    const char *end = argument + size;
    while (argument < end && (*argument == '[' || *argument == '-')) {
        argument++;
    }
    while (end > argument && (end[-1] == ']' || end[-1] == '.')) {
        end--;
    }
    while (argument < end) {
        size_t word = 0;
        while (argument + word < end && argument[word] != '|') {
            word++;
        }
        word_offer(completing, argument, word);
        argument += word + (argument + word < end);
    }
}

/* The one of "TOPIC [VALUE...]" at that place; the last one may be repeated. */
static void positional_offer(const struct completing *completing, uint32_t index)
{
    const char *at = completing->cli->command->arguments;
    size_t size = strcspn(at, " ");
    while (index > 0 && at[size] == ' ') {
        at += size + 1;
        size = strcspn(at, " ");
        index--;
    }
    bool repeats = size > 3 && memmem(at, size, "...", 3) != NULL;
    if (index == 0 || repeats) {
        argument_offer(completing, at, size);
    }
}

/* ---- commands and options ---- */

/* First words, and second words of the first one where there is one; each once. */
static void commands_offer(const struct completing *completing, const char *first)
{
    const struct cli_command *command;
    const struct cli_table *table;
    const struct cli_alias *alias;
    char seen[CLI_COMMANDS_MAX][32];
    size_t seen_count = 0;
    for (size_t i = 0, j = 0;; i++) {
        command = cli_command_at(i, &table);
        alias = command == NULL ? cli_alias_at(j++) : NULL;
        if (command == NULL && alias == NULL) {
            return;
        }
        if (command != NULL && !cli_is_shown(table)) {
            continue;
        }
        const char *name = command != NULL ? command->name : alias->name;
        const char *doc = command != NULL ? command->doc : "";
        char word[32];
        size_t size = strcspn(name, " ");
        bool two = name[size] == ' ';
        if (first != NULL) {
            if (two && strlen(first) == size && memcmp(first, name, size) == 0) {
                offer(completing, name + size + 1, doc);
            }
            continue;
        }
        snprintf(word, sizeof(word), "%.*s", (int)size, name);
        bool is_new = true;
        for (size_t k = 0; k < seen_count && is_new; k++) {
            is_new = strcmp(seen[k], word) != 0;
        }
        if (is_new && seen_count < CLI_COMMANDS_MAX) {
            memcpy(seen[seen_count++], word, sizeof(word));
            offer(completing, word, !two ? doc : command != NULL ? table->title : "");
        }
    }
}

static void options_offer(const struct completing *completing)
{
    struct cli_option_view view;
    const struct cli *cli = completing->cli;
    for (size_t i = 0; cli_option_at(cli->table, cli->command, i, &view); i++) {
        offer(completing, view.name, view.doc);
    }
}

/* Words behind the command, but the last: options that say where the broker is are taken, words
 * counted. The option whose value is being typed is left in ret_view. */
static bool words_take(struct cli *cli, const char *const *words, uint32_t count,
                       uint32_t *ret_positionals, struct cli_option_view *ret_view)
{
    bool wants_value = false;
    *ret_positionals = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(words[i], "=") == 0) { /* bash makes three words of --home=x */
            continue;
        }
        if (wants_value) {
            wants_value = false;
            if (ret_view->is_common && !cli_option_store(cli, ret_view, words[i])) {
                return false;
            }
        } else if (words[i][0] == '-' && words[i][1] != '\0') {
            wants_value = cli_option_find(cli, words[i], ret_view) && ret_view->argument != NULL &&
                          strchr(words[i], '=') == NULL;
            cli->options.dev = cli->options.dev || strcmp(words[i], "--dev") == 0;
        } else {
            *ret_positionals += 1;
        }
    }
    return wants_value;
}

/* words: those behind "sluice", the last one being typed */
static int complete_words(struct cli *cli, const char *const *words, uint32_t count)
{
    struct cli inner = {.os = cli->os, .executable = cli->executable, .is_quiet = true};
    struct completing completing = {.cli = &inner, .current = words[count - 1]};
    struct cli_option_view view = {.name = NULL};
    uint32_t positionals = 0;
    int used = 0;
    if (strcmp(completing.current, "=") == 0) {
        completing.current = "";
    }
    completing.size = strlen(completing.current);
    inner.command =
        cli_command_find((int)count - 1, (const char *const *)words, &used, &inner.table);
    if (inner.command == NULL) {
        if (count <= 2) {
            commands_offer(&completing, count == 2 ? words[0] : NULL);
        }
        return CLI_OK;
    }
    bool wants_value =
        words_take(&inner, words + used, count - 1 - (uint32_t)used, &positionals, &view);
    if (wants_value) {
        argument_offer(&completing, view.argument, strlen(view.argument));
    } else if (completing.current[0] == '-') {
        options_offer(&completing);
    } else {
        positional_offer(&completing, positionals);
    }
    return CLI_OK;
}

static int complete(struct cli *cli)
{
    return complete_words(cli, cli->options.words, cli->options.word_count);
}

/* clang-format off */
static const struct cli_command commands[] = {
    {"__complete", complete, "WORD...", 1, CLI_WORDS_MAX, 0, "what the shells ask"},
};
/* clang-format on */

const struct cli_table cli_hidden_table = {.commands = commands, .count = SL_COUNT_OF(commands)};
