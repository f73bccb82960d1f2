/* cli_manual.c: pages out of the tables: docs/reference/cli.md, and man pages as scdoc(5) reads
 * them (a page for each first word of a command, sluice(1), sluice.yaml(5)). */
#include "cli/cli_table.h"
#include "control/config_option.h"
#include "control/explain.h"

#include <string.h>

/* ---- the tables, by page ---- */

static bool is_of(const struct cli_command *command, const char *word)
{
    size_t size = strcspn(command->name, " ");
    return strlen(word) == size && memcmp(command->name, word, size) == 0;
}

/* The first word of the command into ret_word; false: an earlier command has it too. */
static bool begins_page(size_t index, const struct cli_command *command, char ret_word[32])
{
    const struct cli_table *table;
    snprintf(ret_word, 32, "%.*s", (int)strcspn(command->name, " "), command->name);
    for (size_t i = 0; i < index; i++) {
        if (is_of(cli_command_at(i, &table), ret_word)) {
            return false;
        }
    }
    return cli_is_shown((cli_command_at(index, &table), table));
}

static bool has_common_options(const struct cli_command *command)
{
    return (command->options & CLI_BROKER_OPTIONS & ~CLI_OPTION(HELP) & ~CLI_OPTION(JSON)) != 0;
}

/* What has all common options. */
static const struct cli_command common = {.name = "", .options = CLI_COMMON_OPTIONS};
static const struct cli_table no_table = {.title = NULL};

/* ---- docs/reference/cli.md ---- */

/* In a cell of a table a bar ends it. */
static void cell_write(const char *text, FILE *out)
{
    for (; *text != '\0'; text++) {
        fprintf(out, *text == '|' ? "\\|" : "%c", *text);
    }
}

static void option_row(const struct cli_option_view *view, FILE *out)
{
    char left[96] = "";
    if (view->letter != 0) {
        snprintf(left, sizeof(left), "`-%c`, ", view->letter);
    }
    fprintf(out, "| %s`%s", left, view->name);
    if (view->argument != NULL) {
        fputc(' ', out);
        cell_write(view->argument, out);
    }
    fputs("` | ", out);
    cell_write(view->doc, out);
    fputs(" |\n", out);
}

static void option_rows(const struct cli_table *table, const struct cli_command *command,
                        bool is_common, FILE *out)
{
    struct cli_option_view view;
    bool begun = false;
    for (size_t i = 0; cli_option_at(table, command, i, &view); i++) {
        if (view.is_common != is_common) {
            continue;
        }
        if (!begun) {
            fputs("\n| option | what it does |\n|---|---|\n", out);
            begun = true;
        }
        option_row(&view, out);
    }
}

static void doc_write(const char *doc, FILE *out)
{
    fputs(doc, out);
    fputs(doc[0] != '\0' && doc[strlen(doc) - 1] == '\n' ? "" : "\n", out);
}

static void command_section(const struct cli_table *table, const struct cli_command *command,
                            FILE *out)
{
    fprintf(out, "\n### sluice %s\n\n```\nsluice %s%s%s%s\n```\n\n", command->name, command->name,
            command->arguments[0] != '\0' ? " " : "", command->arguments,
            command->options != 0 ? " [options]" : "");
    doc_write(command->doc, out);
    option_rows(table, command, false, out);
    if (has_common_options(command)) {
        fputs("\nAnd the [common options](#common-options).\n", out);
    }
}

static void aliases_section(FILE *out)
{
    const struct cli_alias *alias;
    fputs("\n## Other names\n\n| name | is |\n|---|---|\n", out);
    for (size_t i = 0; (alias = cli_alias_at(i)) != NULL; i++) {
        fprintf(out, "| `sluice %s` | `sluice %s` |\n", alias->name, alias->of);
    }
}

#define EXIT_MARKDOWN(name, number, text) "| " #number " | " text " |\n"

void cli_reference_write(FILE *out)
{
    const struct cli_command *command;
    const struct cli_table *table;
    const char *title = "";
    fputs("# Command line reference\n\n"
          "Made by `sluice manual cli.md` from the tables in core/cli; a test compares the two.\n"
          "Change the tables, not this page. `sluice COMMAND --help` says the same, and so do the\n"
          "man pages.\n\n"
          "Data goes to standard output, talk to standard error. With `--json` a failure is an "
          "object on\n"
          "standard output too, the broker's own or one of the same shape:\n"
          "`{\"ok\":false,\"exit\":69,\"error\":{\"code\":\"SLU-1605\",\"status\":1605,\"message\":"
          "…,\"next\":…}}`.\n\n"
          "## Exit codes\n\n| code | what it says |\n|---|---|\n" CLI_EXIT_TABLE(
              EXIT_MARKDOWN) "\n## Common options\n\nOf every command that talks to a broker. "
                             "Without them its socket\n"
                             "is that of the context in use, else looked for in `var/`, "
                             "`/run/sluice` and `/var/lib/sluice`.\n",
          out);
    option_rows(&no_table, &common, true, out);
    for (size_t i = 0; (command = cli_command_at(i, &table)) != NULL; i++) {
        if (!cli_is_shown(table)) {
            continue;
        }
        if (strcmp(title, table->title) != 0) {
            title = table->title;
            fprintf(out, "\n## %s\n", title);
        }
        command_section(table, command, out);
    }
    aliases_section(out);
}

/* ---- scdoc ---- */

/* Text with what means something to scdoc escaped; paragraphs stay. */
static void sc_write(const char *text, FILE *out)
{
    for (; *text != '\0'; text++) {
        fprintf(out, strchr("_*\\#[]|.-`~<>", *text) != NULL ? "\\%c" : "%c", *text);
    }
}

static void sc_option(const struct cli_option_view *view, FILE *out)
{
    if (view->letter != 0) {
        fprintf(out, "*-%c*, ", view->letter);
    }
    fprintf(out, "*%s*", view->name);
    if (view->argument != NULL) {
        fputs(" _", out);
        sc_write(view->argument, out);
        fputs("_", out);
    }
    fputs("\n\t", out);
    sc_write(view->doc, out);
    fputs("\n\n", out);
}

static void sc_options(const struct cli_table *table, const struct cli_command *command,
                       bool is_common, FILE *out)
{
    struct cli_option_view view;
    for (size_t i = 0; cli_option_at(table, command, i, &view); i++) {
        if (view.is_common == is_common) {
            sc_option(&view, out);
        }
    }
}

static void sc_command(const struct cli_table *table, const struct cli_command *command, FILE *out)
{
    fprintf(out, "## sluice %s %s\n\n", command->name,
            command->arguments); /* a heading has no escapes */
    sc_write(command->doc, out);
    fputs("\n\n", out);
    sc_options(table, command, false, out);
}

static void sc_end(FILE *out)
{
    static const struct {
        int number;
        const char *text;
    } codes[] = {
#define ROW(name, number, text) {number, text},
        CLI_EXIT_TABLE(ROW)
#undef ROW
    };
    fputs("# EXIT STATUS\n\n", out);
    for (size_t i = 0; i < SL_COUNT_OF(codes); i++) {
        fprintf(out, "*%d*\n\t", codes[i].number);
        sc_write(codes[i].text, out);
        fputs("\n\n", out);
    }
}

/* sluice-topic(1) */
static void group_page(const char *word, FILE *out)
{
    const struct cli_command *command;
    const struct cli_table *table;
    const char *comma = "";
    fprintf(out, "sluice-%s(1)\n\n# NAME\n\nsluice-%s - ", word, word);
    for (size_t i = 0; (command = cli_command_at(i, &table)) != NULL; i++) {
        if (is_of(command, word)) {
            fputs(comma, out);
            const char *space = strchr(command->name, ' ');
            char line[512];
            snprintf(line, sizeof(line), "%.*s", (int)strcspn(command->doc, "\n"), command->doc);
            sc_write(space != NULL ? space + 1 : line, out);
            comma = ", ";
        }
    }
    fprintf(out, "\n\n# SYNOPSIS\n\n*sluice %s* ... [options]\n\n# COMMANDS\n\n", word);
    for (size_t i = 0; (command = cli_command_at(i, &table)) != NULL; i++) {
        if (is_of(command, word)) {
            sc_command(table, command, out);
        }
    }
    fputs("# COMMON OPTIONS\n\n", out);
    sc_options(&no_table, &common, true, out);
    sc_end(out);
    fputs("# SEE ALSO\n\n*sluice*(1), *sluice.yaml*(5)\n", out);
}

/* sluice(1) */
static void main_page(FILE *out)
{
    const struct cli_command *command;
    const struct cli_table *table;
    char word[32];
    fputs("sluice(1)\n\n# NAME\n\nsluice - a streaming platform whose every edge is a plugin\n\n"
          "# SYNOPSIS\n\n*sluice* _COMMAND_ [arguments]\n\n# DESCRIPTION\n\n"
          "*sluice serve* runs the broker; all other commands ask a running one over its admin\n"
          "socket, or read files. Data goes to standard output, talk to standard error.\n\n"
          "# COMMANDS\n\n",
          out);
    for (size_t i = 0; (command = cli_command_at(i, &table)) != NULL; i++) {
        if (!cli_is_shown(table)) {
            continue;
        }
        fprintf(out, "*sluice %s*\n\t", command->name);
        char line[512];
        snprintf(line, sizeof(line), "%.*s", (int)strcspn(command->doc, "\n"), command->doc);
        sc_write(line, out);
        fputs("\n\n", out);
    }
    sc_end(out);
    fputs("# ENVIRONMENT\n\n*SLUICE\\_A\\_\\_B\\_C*\n\tsets the key a.b\\_c of sluice.yaml(5)\n\n"
          "*NO\\_COLOR*\n\tno colours, as *--color never*\n\n# SEE ALSO\n\n",
          out);
    for (size_t i = 0; (command = cli_command_at(i, &table)) != NULL; i++) {
        if (begins_page(i, command, word)) {
            fprintf(out, "*sluice-%s*(1), ", word);
        }
    }
    fputs("*sluice.yaml*(5), *sluice-plugin*(7), *sluice-lua*(7)\n", out);
}

static void sc_key(const char *prefix, const struct config_option *option, FILE *out)
{
    fputs("*", out);
    sc_write(prefix, out);
    sc_write(option->key, out);
    fprintf(out, "* (%s, default ", config_type_name(option->type));
    sc_write(option->initial[0] != '\0' ? option->initial : "empty", out);
    fputs(")\n\t", out);
    sc_write(option->doc, out);
    fputs("\n\n", out);
}

/* sluice.yaml(5) */
static void config_page(FILE *out)
{
    fputs(
        "sluice.yaml(5)\n\n# NAME\n\nsluice.yaml - configuration of sluice(1)\n\n# DESCRIPTION\n\n"
        "YAML without anchors, aliases and tags, or JSON. The order, later wins: defaults, files\n"
        "in the order of *--config*, the environment (*SLUICE\\_A\\_\\_B\\_C* sets a.b\\_c), the\n"
        "command line (*--set*). *sluice config check* reads a file, *sluice config show* tells\n"
        "each value and where it was set.\n\n# KEYS\n\n",
        out);
    for (uint32_t i = 0; i < config_option_count; i++) {
        sc_key("", &config_options[i], out);
    }
    fputs("# KEYS OF A PLUGIN INSTANCE\n\n", out);
    for (uint32_t i = 0; i < config_instance_option_count; i++) {
        sc_key("plugins.instances.NAME.", &config_instance_options[i], out);
    }
    fputs("# SEE ALSO\n\n*sluice*(1), *sluice-config*(1)\n", out);
}

/* ---- the command ---- */

static void pages_list(void)
{
    const struct cli_command *command;
    const struct cli_table *table;
    char word[32];
    puts("cli.md\ntroubleshooting.md\nsluice.1\nsluice.yaml.5");
    for (size_t i = 0; (command = cli_command_at(i, &table)) != NULL; i++) {
        if (begins_page(i, command, word)) {
            printf("sluice-%s.1\n", word);
        }
    }
}

static bool group_page_find(const char *name)
{
    const struct cli_command *command;
    const struct cli_table *table;
    char word[32], page[64];
    for (size_t i = 0; (command = cli_command_at(i, &table)) != NULL; i++) {
        bool begins = begins_page(i, command, word);
        snprintf(page, sizeof(page), "sluice-%s.1", word);
        if (begins && strcmp(page, name) == 0) {
            group_page(word, stdout);
            return true;
        }
    }
    return false;
}

static int manual(struct cli *cli)
{
    static const struct {
        const char *name;
        void (*write)(FILE *out);
    } pages[] = {{"cli.md", cli_reference_write},
                 {"troubleshooting.md", explain_page_write},
                 {"sluice.1", main_page},
                 {"sluice.yaml.5", config_page}};
    if (cli->options.word_count == 0) {
        pages_list();
        return CLI_OK;
    }
    const char *name = cli->options.words[0];
    for (size_t i = 0; i < SL_COUNT_OF(pages); i++) {
        if (strcmp(name, pages[i].name) == 0) {
            pages[i].write(stdout);
            return CLI_OK;
        }
    }
    if (group_page_find(name)) {
        return CLI_OK;
    }
    cli_complain("there is no page \"%.60s\"; \"sluice manual\" lists them", name);
    return CLI_USAGE;
}

/* ---- completion ---- */

/* clang-format off */
static const struct {
    const char *shell, *script;
} scripts[] = {
    {"bash",
     "# bash completion for sluice; source <(sluice completion bash)\n"
     "_sluice() {\n"
     "    local line word=${COMP_WORDS[COMP_CWORD]}\n"
     "    COMPREPLY=()\n"
     "    while IFS= read -r line; do\n"
     "        case $line in\n"
     "        :files) compopt -o filenames; COMPREPLY+=($(compgen -f -- \"$word\")) ;;\n"
     "        :dirs) compopt -o filenames; COMPREPLY+=($(compgen -d -- \"$word\")) ;;\n"
     "        *) COMPREPLY+=(\"${line%%$'\\t'*}\") ;;\n"
     "        esac\n"
     "    done < <(\"${COMP_WORDS[0]}\" __complete -- \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
     "}\n"
     "complete -F _sluice sluice\n"},
    {"zsh",
     "#compdef sluice\n"
     "# zsh completion for sluice; source <(sluice completion zsh), or as _sluice in a folder of $fpath\n"
     "_sluice() {\n"
     "    local line tab=$'\\t'\n"
     "    local -a found\n"
     "    for line in ${(f)\"$(\"${words[1]}\" __complete -- \"${(@)words[2,CURRENT]}\" 2>/dev/null)\"}; do\n"
     "        case $line in\n"
     "        :files) _files ;;\n"
     "        :dirs) _files -/ ;;\n"
     "        *) found+=(\"${${line%%$tab*}//:/\\\\:}:${line#*$tab}\") ;;\n"
     "        esac\n"
     "    done\n"
     "    (( ${#found} )) && _describe sluice found\n"
     "}\n"
     "if [ \"$funcstack[1]\" = _sluice ]; then _sluice \"$@\"; else compdef _sluice sluice; fi\n"},
    {"fish",
     "# fish completion for sluice; sluice completion fish | source\n"
     "function __sluice_complete\n"
     "    set -l words (commandline -opc)\n"
     "    for line in (command $words[1] __complete -- $words[2..-1] (commandline -ct) 2>/dev/null)\n"
     "        switch $line\n"
     "            case :files\n"
     "                __fish_complete_path (commandline -ct)\n"
     "            case :dirs\n"
     "                __fish_complete_directories (commandline -ct)\n"
     "            case '*'\n"
     "                echo $line\n"
     "        end\n"
     "    end\n"
     "end\n"
     "complete -c sluice -f -a '(__sluice_complete)'\n"},
};
/* clang-format on */

static int completion(struct cli *cli)
{
    for (size_t i = 0; i < SL_COUNT_OF(scripts); i++) {
        if (strcmp(cli->options.words[0], scripts[i].shell) == 0) {
            fputs(scripts[i].script, stdout);
            return CLI_OK;
        }
    }
    cli_complain("completion is for bash, zsh or fish, not \"%.40s\"", cli->options.words[0]);
    return CLI_USAGE;
}

/* clang-format off */
static const struct cli_command commands[] = {
    {"completion", completion, "bash|zsh|fish", 1, 1, CLI_OPTION(HELP),
     "what makes the shell complete commands, options, and the names of the running broker\n\n"
     "For bash: source <(sluice completion bash)\n"},
    {"manual", manual, "[PAGE]", 0, 1, CLI_OPTION(HELP),
     "the sources of the man pages (scdoc) and of docs/reference/cli.md; without PAGE their names"},
};
/* clang-format on */

const struct cli_table cli_manual_table = {
    .title = "Help", .commands = commands, .count = SL_COUNT_OF(commands)};
