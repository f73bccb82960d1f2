/* cli_cheat.h: the sheets of docs/cheats, which are part of the program. Internal. */
#ifndef SL_CLI_CLI_CHEAT_H
#define SL_CLI_CLI_CHEAT_H

struct cli_cheat {
    const char *name; /* of the file: "kafka" */
    const char *text; /* Markdown */
};
extern const struct cli_cheat cli_cheats[]; /* ordered by name; made by the build */
extern const unsigned cli_cheat_count;

#endif
