/* cli_reload.c: sluice reload: the broker's report, key by key. */
#include "cli/cli_command.h"

#include <string.h>

static bool is_in_force(const char *outcome)
{
    return strncmp(outcome, "applied", 7) == 0 && strchr(outcome, ',') == NULL;
}

static void change_write(const struct cli *cli, const cJSON *change, bool dry_run)
{
    char key[1024], before[1024], after[1024], outcome[1024], origin[1024], note[1024];
    const cJSON *took = cJSON_GetObjectItemCaseSensitive(change, "took_us");
    cli_member_text(change, "key", key);
    cli_member_text(change, "before", before);
    cli_member_text(change, "after", after);
    cli_member_text(change, "outcome", outcome);
    cli_member_text(change, "origin", origin);
    cli_member_text(change, "note", note);
    bool good = is_in_force(outcome);
    const char *colour = !cli->colour ? "" : good ? "\x1b[32m" : "\x1b[31;1m";
    printf("%s%s%s%s\n", colour, dry_run && good ? "would be " : "", outcome,
           cli->colour ? "\x1b[0m" : "");
    printf("  %s: %s -> %s  (%s)\n", key, before[0] != '\0' ? before : "(empty)",
           after[0] != '\0' ? after : "(empty)", origin);
    if (note[0] != '\0' && cJSON_IsNumber(took)) {
        printf("  %s (%.1f ms)\n", note, took->valuedouble / 1000);
    } else if (note[0] != '\0') {
        printf("  %s\n", note);
    }
}

/* What became of the certificate of a listener, or of the keys of tokens; true: it is a new one. */
static bool keys_write(const cJSON *entry)
{
    char listener[1024], outcome[1024], reason[1024];
    cli_member_text(entry, "listener", listener);
    cli_member_text(entry, "outcome", outcome);
    cli_member_text(entry, "reason", reason);
    if (strcmp(outcome, "unchanged") == 0) {
        return false;
    }
    printf("%s\n  keys of %s%s%s\n", outcome, listener, reason[0] != '\0' ? ": " : "", reason);
    return true;
}

static void report_write(const struct cli *cli, const cJSON *report, const char *outcome)
{
    const cJSON *item;
    bool dry_run = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(report, "dry_run"));
    const cJSON *changes = cJSON_GetObjectItemCaseSensitive(report, "changes");
    const cJSON *took = cJSON_GetObjectItemCaseSensitive(report, "took_us");
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(report, "problems"))
    {
        cli_complain("%s", cJSON_GetStringValue(item));
    }
    cJSON_ArrayForEach(item, changes)
    {
        change_write(cli, item, dry_run);
    }
    const cJSON *keys = cJSON_GetObjectItemCaseSensitive(report, "keys");
    bool renewed = false;
    cJSON_ArrayForEach(item, keys)
    {
        renewed = keys_write(item) || renewed;
    }
    bool done = strcmp(outcome, "done") == 0;
    const char *text = done && cJSON_GetArraySize(changes) == 0 && !renewed ? "no key has changed"
                       : dry_run           ? "nothing was changed: --dry-run"
                       : done              ? "reloaded"
                       : outcome[0] == 'p' ? "partly in force: see above"
                                           : "not reloaded: nothing was changed";
    printf("%s (%.1f ms)\n", text, cJSON_IsNumber(took) ? took->valuedouble / 1000 : 0);
}

int cli_reload(struct cli *cli)
{
    char outcome[1024];
    cJSON *reply = NULL;
    cJSON *args = cJSON_CreateObject();
    cJSON_AddBoolToObject(args, "dry_run", cli->options.dry_run);
    int code = cli_call_once(cli, "reload", args, &reply);
    if (code != CLI_OK) {
        return code;
    }
    const cJSON *report = cli_result(reply);
    cli_member_text(report, "outcome", outcome);
    if (cli->options.json) {
        cli_json_write(report);
    } else {
        report_write(cli, report, outcome);
    }
    code = outcome[0] == 'd' ? CLI_OK : outcome[0] == 'p' ? CLI_PARTLY : CLI_CONFIG;
    cJSON_Delete(reply);
    return code;
}
