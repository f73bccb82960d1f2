/* test_cheats.c: every line "sluice …" of the sheets is one that the tables take. */
#include "cli/cli_cheat.h"
#include "cli/cli_table.h"

#include <criterion/criterion.h>
#include <string.h>

#define WORDS_MAX 64

/* As a shell splits it, as far as the sheets need it: quotes, and an end at what is not the
 * command's. Words point into text. */
static int words_split(char *text, char *words[WORDS_MAX])
{
    int count = 0;
    char *to = text;
    while (*text != '\0' && count < WORDS_MAX) {
        char quote = '\0';
        text += strspn(text, " ");
        if (*text == '\0' || strchr("<>|#&", *text) != NULL) {
            break;
        }
        words[count++] = to;
        for (; *text != '\0' && (quote != '\0' || *text != ' '); text++) {
            if (quote == '\0' ? *text == '\'' || *text == '"' : *text == quote) {
                quote = quote == '\0' ? *text : '\0';
            } else {
                *to++ = *text;
            }
        }
        text += *text == ' ';
        *to++ = '\0';
    }
    return count;
}

static void line_check(const char *sheet, const char *line)
{
    char text[512];
    char *words[WORDS_MAX];
    struct cli cli = {.executable = NULL};
    int used = 0;
    snprintf(text, sizeof(text), "%s", line + strlen("sluice "));
    int count = words_split(text, words);
    cli.command = cli_command_find(count, (const char *const *)words, &used, &cli.table);
    cr_assert_not_null(cli.command, "%s: %s", sheet, line);
    if (cli.command->run == NULL) {
        return; /* serve: its options are of the configuration */
    }
    cr_expect(cli_options_parse(&cli, count - used, words + used), "%s: %s", sheet, line);
    cr_expect(cli.options.word_count >= cli.command->word_min &&
                  cli.options.word_count <= cli.command->word_max,
              "%s: %s", sheet, line);
}

Test(cheats, every_command_in_them_is_one)
{
    unsigned checked = 0;
    for (unsigned i = 0; i < cli_cheat_count; i++) {
        const char *text = cli_cheats[i].text;
        cr_expect(strncmp(text, "# ", 2) == 0, "%s begins with no heading", cli_cheats[i].name);
        while (*text != '\0') {
            char line[512];
            size_t size = strcspn(text, "\n");
            snprintf(line, sizeof(line), "%.*s", (int)size, text);
            if (strncmp(line, "sluice ", 7) == 0) {
                line_check(cli_cheats[i].name, line);
                checked++;
            }
            text += size + (text[size] == '\n');
        }
    }
    cr_expect_gt(checked, 80);
}
