/* cli_secret.c: see cli_secret.h. */
#include "cli/cli_secret.h"

#include "base/status.h"

#include <string.h>

/* Up to its newline; false: there is nothing, or no room for all of it. */
static bool line_end(char *secret, size_t have, size_t room)
{
    secret[have] = '\0';
    size_t size = strcspn(secret, "\r\n");
    bool is_whole = size < have || have + 1 < room;
    secret[size] = '\0';
    return is_whole && size > 0;
}

bool cli_secret_ask(const char *what, char *ret_secret, size_t room)
{
    if (sl_descriptor_is_terminal(0)) {
        fprintf(stderr, "%s (it is shown; pipe it in to hide it): ", what);
    }
    size_t have = 0;
    size_t size = 1;
    while (size > 0 && have + 1 < room && memchr(ret_secret, '\n', have) == NULL) {
        if (sl_descriptor_read(0, ret_secret + have, room - 1 - have, &size) != SLUICE_OK) {
            return false;
        }
        have += size;
    }
    return line_end(ret_secret, have, room);
}

bool cli_secret_file(struct cli *cli, const char *path, const char *what, char *ret_secret,
                     size_t room)
{
    struct sl_file *file = NULL;
    size_t have = 0;
    if (strcmp(path, "-") == 0) {
        if (!cli_secret_ask(what, ret_secret, room)) {
            cli_complain("the %s is read from standard input, and there was none", what);
            return false;
        }
        return true;
    }
    sl_err err = sl_file_open(cli->os, path, SL_FILE_READ, &file);
    if (err == SLUICE_OK) {
        err = sl_file_pread(file, ret_secret, room - 1, 0, &have);
        sl_file_close(file);
    }
    if (err != SLUICE_OK) {
        cli_complain("%s cannot be read: %s", path, sl_status_text(err));
        return false;
    }
    if (!line_end(ret_secret, have, room)) {
        cli_complain("%s has no %s in its first line, or a longer one than %zu bytes", path, what,
                     room - 2);
        return false;
    }
    return true;
}
