/* cli_cheat.c: sluice cheat: short sheets of commands, without a network. */
#include "cli/cli_cheat.h"

#include "base/text.h"
#include "cli/cli_command.h"

#include <string.h>

#define CHEATS_MAX 64u

/* Its first heading, without the mark. */
static void title_write(const struct cli_cheat *cheat)
{
    const char *title = cheat->text + strspn(cheat->text, "# ");
    printf("%-12s %.*s\n", cheat->name, (int)strcspn(title, "\n"), title);
}

/* Markdown as it is, marks of code left out; on a terminal headings are bold. */
static void sheet_write(const struct cli *cli, const char *text)
{
    while (*text != '\0') {
        size_t size = strcspn(text, "\n");
        bool is_fence = strncmp(text, "```", 3) == 0;
        bool is_heading = cli->colour && text[0] == '#';
        if (!is_fence) {
            printf("%s%.*s%s\n", is_heading ? "\x1b[1m" : "", (int)size, text,
                   is_heading ? "\x1b[0m" : "");
        }
        text += size + (text[size] == '\n');
    }
}

/* Lines of all sheets that hold the word. */
static uint32_t word_search(const char *word)
{
    uint32_t found = 0;
    for (unsigned i = 0; i < cli_cheat_count; i++) {
        const char *text = cli_cheats[i].text;
        while (*text != '\0') {
            char line[512];
            size_t size = strcspn(text, "\n");
            snprintf(line, sizeof(line), "%.*s", (int)size, text);
            if (strncmp(line, "```", 3) != 0 && strcasestr(line, word) != NULL) {
                printf("%-12s %s\n", cli_cheats[i].name, line);
                found++;
            }
            text += size + (text[size] == '\n');
        }
    }
    return found;
}

static int cheat(struct cli *cli)
{
    const char *known[CHEATS_MAX] = {NULL};
    if (cli->options.word_count == 0) {
        for (unsigned i = 0; i < cli_cheat_count; i++) {
            title_write(&cli_cheats[i]);
        }
        return CLI_OK;
    }
    const char *word = cli->options.words[0];
    for (unsigned i = 0; i < cli_cheat_count; i++) {
        known[SL_MIN(i, CHEATS_MAX - 1)] = cli_cheats[i].name;
        if (strcmp(cli_cheats[i].name, word) == 0) {
            sheet_write(cli, cli_cheats[i].text);
            return CLI_OK;
        }
    }
    const char *best = sl_text_nearest((struct sl_bytes){(const uint8_t *)word, strlen(word)},
                                       known, SL_MIN(cli_cheat_count, CHEATS_MAX));
    if (best == NULL && word_search(word) > 0) {
        return CLI_OK;
    }
    cli_complain("there is no sheet \"%.40s\"%s%s%s", word, best != NULL ? "; did you mean \"" : "",
                 best != NULL ? best : "", best != NULL ? "\"?" : "");
    cli_next("\"sluice cheat\" lists them");
    return CLI_FAILED;
}

/* clang-format off */
static const struct cli_command commands[] = {
    {"cheat", cheat, "[SHEET]", 0, 1, CLI_OPTION(HELP),
     "short sheets of commands by theme; without one their names\n\n"
     "A word that is no sheet is looked for in all of them."},
};
/* clang-format on */

const struct cli_table cli_cheat_table = {
    .title = "Help", .commands = commands, .count = SL_COUNT_OF(commands)};
