/* cli_plugin_command.c: plugin load, reload, unload, enable, disable, pause, resume, seek, forget:
 * one request to the broker each, which says what it did.
 *
 * What cannot be undone, or lets records past a gate, is answered E_UNCONFIRMED with a sentence; a
 * person at a terminal is asked then, a script says --yes or --force. */
#include "cli/cli_offsets.h"
#include "cli/cli_plugin.h"
#include "cli/cli_watch.h"

#include "base/bytes.h"
#include "control/base64.h"

#include <stdlib.h>
#include <string.h>

#define LOAD_BYTES_MAX (11u * 1024 * 1024) /* fits a line of the admin socket in base64 */

/* ---- asking ---- */

/* The sentence behind the status. */
static bool person_agrees(const char *message)
{
    const char *colon = strstr(message, ": ");
    return cli_is_person() && cli_person_agrees(colon != NULL ? colon + 2 : message);
}

static void moves_write(const struct cli *cli, const cJSON *result)
{
    static const char *const columns[] = {"topic", "partition", "before", "after"};
    const cJSON *moves = cJSON_GetObjectItemCaseSensitive(result, "moves");
    if (cJSON_GetArraySize(moves) > 0) {
        cli_table_write(cli, moves, columns, SL_COUNT_OF(columns));
    }
}

static int success_write(const struct cli *cli, const cJSON *reply)
{
    char text[1024];
    const cJSON *result = cli_result(reply);
    cli_change_write(cli, result, "%s", cli_member_text(result, "text", text));
    if (!cli->options.json) {
        moves_write(cli, result);
    }
    return CLI_OK;
}

static int failure_write(struct cli *cli, const cJSON *reply)
{
    const char *message;
    sl_err err = cli_reply_error(reply, &message);
    bool asks = err == SLUICE_E_UNCONFIRMED;
    if (cli->options.json) {
        cli_json_write(reply);
    }
    cli_complain("%s%s (SLU-%04d)", message,
                 asks ? "; nothing was changed: say --yes if you mean it" : "", err);
    if (asks) {
        cli->explained = err;
    }
    cli_explain(cli, err);
    return !asks ? cli_exit_of(err) : cli_is_person() ? CLI_FAILED : CLI_USAGE;
}

int cli_change(struct cli *cli, const char *command, cJSON *args)
{
    struct cli_link link;
    cJSON *reply = NULL;
    bool confirmed = cli->options.yes || cli->options.force;
    int code = cli_link_open(&link, cli);
    if (code != CLI_OK) {
        cJSON_Delete(args);
        return code;
    }
    cJSON *again = confirmed ? NULL : cJSON_Duplicate(args, true);
    if (confirmed) {
        cJSON_AddTrueToObject(args, "confirmed");
    }
    code = cli_ask(&link, command, args, &reply);
    if (code == CLI_FAILED && again != NULL) {
        const char *message;
        if (cli_reply_error(reply, &message) == SLUICE_E_UNCONFIRMED && person_agrees(message)) {
            cJSON_Delete(reply);
            cJSON_AddTrueToObject(again, "confirmed");
            code = cli_ask(&link, command, again, &reply);
            again = NULL;
        }
    }
    cJSON_Delete(again);
    cli_link_close(&link);
    if (code == CLI_OK) {
        code = success_write(cli, reply);
    } else if (code == CLI_FAILED) {
        code = failure_write(cli, reply);
    }
    cJSON_Delete(reply);
    return code;
}

/* ---- the commands ---- */

/* "plugin pause" is plugin.pause. */
int cli_plugin_command(struct cli *cli)
{
    char command[64];
    cJSON *args = cJSON_CreateObject();
    snprintf(command, sizeof(command), "plugin.%s", strchr(cli->command->name, ' ') + 1);
    cJSON_AddStringToObject(args, "name", cli->options.words[0]);
    return cli_change(cli, command, args);
}

/* An option that is a number into the arguments; none: nothing. */
static bool number_add(cJSON *args, const char *key, const struct cli_values *values,
                       const char *option, int64_t max)
{
    int64_t value = 0;
    if (!cli_number(values, option, 0, max, -1, &value)) {
        return false;
    }
    if (value >= 0) {
        cJSON_AddNumberToObject(args, key, (double)value);
    }
    return true;
}

int cli_plugin_reload(struct cli *cli)
{
    cJSON *args = cJSON_CreateObject();
    cJSON_AddStringToObject(args, "name", cli->options.words[0]);
    if (!number_add(args, "shadow", &cli->options.shadow, "--shadow", 1000000000) ||
        !number_add(args, "max_diff", &cli->options.max_diff, "--max-diff", 100)) {
        cJSON_Delete(args);
        return CLI_USAGE;
    }
    return cli_change(cli, "plugin.reload", args);
}

int cli_plugin_rollback(struct cli *cli)
{
    const char *to = cli_value(&cli->options.to_version, NULL);
    cJSON *args = cJSON_CreateObject();
    cJSON_AddStringToObject(args, "name", cli->options.words[0]);
    if (to != NULL) {
        cJSON_AddStringToObject(args, "to", to);
    }
    return cli_change(cli, "plugin.rollback", args);
}

static bool file_read(struct cli *cli, const char *path, uint8_t **ret_bytes, size_t *ret_size)
{
    struct sl_file *file = NULL;
    uint64_t size = 0;
    size_t got = 0;
    sl_err err = sl_file_open(cli->os, path, SL_FILE_READ, &file);
    if (err != SLUICE_OK) {
        cli_complain("%s cannot be read: %s", path,
                     err == SLUICE_E_NOT_FOUND ? "it does not exist" : "is it yours?");
        return false;
    }
    err = sl_file_size(file, &size);
    uint8_t *bytes = err == SLUICE_OK && size <= LOAD_BYTES_MAX ? malloc(size + 1) : NULL;
    if (bytes != NULL) {
        err = sl_file_pread(file, bytes, size, 0, &got);
    }
    sl_file_close(file);
    if (bytes == NULL || err != SLUICE_OK) {
        cli_complain(size > LOAD_BYTES_MAX
                         ? "%s is larger than 11 MiB: copy it into plugins.dir yourself"
                         : "%s cannot be read",
                     path);
        free(bytes);
        return false;
    }
    *ret_bytes = bytes;
    *ret_size = got;
    return true;
}

int cli_plugin_load(struct cli *cli)
{
    const char *path = cli->options.words[0];
    const char *slash = strrchr(path, '/');
    uint8_t *bytes = NULL;
    size_t size = 0;
    if (!file_read(cli, path, &bytes, &size)) {
        return CLI_IO;
    }
    char *text = malloc(base64_size(size) + 1);
    if (text == NULL) {
        free(bytes);
        cli_complain("out of memory");
        return CLI_FAILED;
    }
    base64_encode(sl_bytes_of(bytes, size), text);
    cJSON *args = cJSON_CreateObject();
    cJSON_AddStringToObject(args, "name", slash != NULL ? slash + 1 : path);
    cJSON_AddStringToObject(args, "data_base64", text);
    free(bytes);
    free(text);
    return cli_change(cli, "plugin.load", args);
}

int cli_plugin_seek(struct cli *cli)
{
    const char *to = cli_value(&cli->options.seek_to, NULL);
    const char *topic = cli_value(&cli->options.topic, NULL);
    int64_t partition = -1;
    char target[CLI_PLACE_TEXT_BYTES];
    if (to == NULL) {
        cli_complain("plugin seek needs --to start, end, +N, -N, an offset, or @ and a time");
        return CLI_USAGE;
    }
    if (!cli_number(&cli->options.partition, "--partition", 0, INT32_MAX, -1, &partition) ||
        !cli_place_ask(cli, "--to", to, target)) {
        return CLI_USAGE;
    }
    cJSON *args = cJSON_CreateObject();
    cJSON_AddStringToObject(args, "name", cli->options.words[0]);
    cJSON_AddStringToObject(args, "to", target);
    if (topic != NULL) {
        cJSON_AddStringToObject(args, "topic", topic);
    }
    if (partition >= 0) {
        cJSON_AddNumberToObject(args, "partition", (double)partition);
    }
    return cli_change(cli, "plugin.seek", args);
}
