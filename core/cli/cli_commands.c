/* cli_commands.c: the tables of commands, walked, and a command found by its words. */
#include "base/text.h"
#include "cli/cli_table.h"

#include <string.h>

static const struct cli_table *const tables[] = {
#define ADDRESS(name) &cli_##name##_table,
    CLI_TABLES(ADDRESS)
#undef ADDRESS
};

/* A plugin that processes records is a transform to those who come from elsewhere; what others have
 * under another word is found under it. */
static const struct cli_alias aliases[] = {
    {"transform list", "plugin list"},      {"transform new", "plugin new"},
    {"transform try", "plugin try"},        {"transform test", "plugin test"},
    {"transform deploy", "plugin deploy"},  {"transform diff", "plugin diff"},
    {"transform pause", "plugin pause"},    {"transform resume", "plugin resume"},
    {"transform logs", "plugin logs"},      {"transform rollback", "plugin rollback"},
    {"transform delete", "plugin disable"}, {"transform info", "plugin info"},
    {"topic produce", "produce"},           {"topic consume", "consume"},
    {"wal repair", "wal salvage"},          {"debug sandbox", "sandbox explain"},
    {"debug selftest", "selftest"},
};

const struct cli_command *cli_command_at(size_t index, const struct cli_table **ret_table)
{
    for (size_t i = 0; i < SL_COUNT_OF(tables); i++) {
        if (index < tables[i]->count) {
            *ret_table = tables[i];
            return &tables[i]->commands[index];
        }
        index -= tables[i]->count;
    }
    return NULL;
}

const struct cli_alias *cli_alias_at(size_t index)
{
    return index < SL_COUNT_OF(aliases) ? &aliases[index] : NULL;
}

/* How many of the words the name takes, when it is theirs; else 0. */
static int words_of(const char *name, int argc, const char *const *argv)
{
    size_t size = strcspn(name, " ");
    bool two = name[size] == ' ';
    if (argc < 1 || strlen(argv[0]) != size || memcmp(argv[0], name, size) != 0 ||
        (two && (argc < 2 || strcmp(argv[1], name + size + 1) != 0))) {
        return 0;
    }
    return two ? 2 : 1;
}

const struct cli_command *cli_command_find(int argc, const char *const *argv, int *ret_used,
                                           const struct cli_table **ret_table)
{
    const struct cli_command *command;
    const char *of = NULL;
    int used = 0;
    for (size_t i = 0; i < SL_COUNT_OF(aliases) && of == NULL; i++) {
        used = words_of(aliases[i].name, argc, argv);
        of = used > 0 ? aliases[i].of : NULL;
    }
    for (size_t i = 0; (command = cli_command_at(i, ret_table)) != NULL; i++) {
        *ret_used = of == NULL ? words_of(command->name, argc, argv) : used;
        if (of != NULL ? strcmp(command->name, of) == 0 : *ret_used > 0) {
            return command;
        }
    }
    return NULL;
}

const char *cli_command_nearest(const char *text)
{
    const struct cli_command *command;
    const struct cli_table *table;
    const char *known[CLI_COMMANDS_MAX];
    size_t count = 0;
    for (size_t i = 0; (command = cli_command_at(i, &table)) != NULL; i++) {
        if (count < CLI_COMMANDS_MAX && cli_is_shown(table)) {
            known[count++] = command->name;
        }
    }
    for (size_t i = 0; i < SL_COUNT_OF(aliases) && count < CLI_COMMANDS_MAX; i++) {
        known[count++] = aliases[i].name;
    }
    struct sl_bytes typed = {(const uint8_t *)text, strlen(text)};
    return sl_text_nearest(typed, known, count);
}
