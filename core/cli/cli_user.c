/* cli_user.c: user list, add, remove. The password stays here: what leaves is RFC 5802's
 * SaltedPassword. */
#include "auth/scram.h"
#include "cli/cli_secret.h"
#include "control/base64.h"

#include <string.h>

#define USER_SALT_BYTES 16u
#define USER_ITERATIONS 8192
#define PASSWORD_BYTES  1024

static const char *const user_columns[] = {"name", "mechanism", "iterations"};

static int user_list(struct cli *cli)
{
    return cli_list_show(cli, "user.list", "users", user_columns, SL_COUNT_OF(user_columns));
}

static int user_done(struct cli *cli, const char *command, cJSON *args, const char *done)
{
    cJSON *reply = NULL;
    int code = cli_call_once(cli, command, args, &reply);
    if (code != CLI_OK) {
        return code;
    }
    cli_change_write(cli, cli_result(reply), "%s%s user %s", cli_would(cli), done,
                     cli->options.words[0]);
    cJSON_Delete(reply);
    return CLI_OK;
}

static void add_base64(cJSON *object, const char *name, const uint8_t *bytes, size_t size)
{
    char text[256];
    base64_encode((struct sl_bytes){bytes, size}, text);
    cJSON_AddStringToObject(object, name, text);
}

static int user_add(struct cli *cli)
{
    const char *mechanism = cli_value(&cli->options.mechanism, "SCRAM-SHA-256");
    bool is_512 = strcmp(mechanism, "SCRAM-SHA-512") == 0;
    char password[PASSWORD_BYTES];
    uint8_t salt[USER_SALT_BYTES];
    uint8_t salted[SCRAM_KEY_BYTES_MAX];
    if (!is_512 && strcmp(mechanism, "SCRAM-SHA-256") != 0) {
        cli_complain("--mechanism is SCRAM-SHA-256 or SCRAM-SHA-512; both serve PLAIN too");
        return CLI_USAGE;
    }
    if (!cli_secret_ask("password", password, sizeof(password))) {
        cli_complain("the password is read from standard input, and there was none");
        return CLI_USAGE;
    }
    sl_os_random(cli->os, salt, sizeof(salt));
    sl_err err = scram_salted_password(
        is_512 ? "SHA512" : "SHA256", (struct sl_bytes){(uint8_t *)password, strlen(password)},
        (struct sl_bytes){salt, sizeof(salt)}, USER_ITERATIONS, salted);
    explicit_bzero(password, sizeof(password));
    if (err != SLUICE_OK) {
        cli_complain("the password cannot be hashed");
        return CLI_FAILED;
    }
    cJSON *args = cJSON_CreateObject();
    cJSON_AddStringToObject(args, "name", cli->options.words[0]);
    cJSON_AddStringToObject(args, "mechanism", mechanism);
    cJSON_AddNumberToObject(args, "iterations", USER_ITERATIONS);
    add_base64(args, "salt", salt, sizeof(salt));
    add_base64(args, "salted_password", salted, is_512 ? 64 : 32);
    explicit_bzero(salted, sizeof(salted));
    return user_done(cli, "user.add", args, "set");
}

static int user_remove(struct cli *cli)
{
    int code = cli_confirm(cli, "%s can log in no more", cli->options.words[0]);
    if (code != CLI_OK) {
        return code;
    }
    cJSON *args = cJSON_CreateObject();
    cJSON_AddStringToObject(args, "name", cli->options.words[0]);
    return user_done(cli, "user.remove", args, "removed");
}

/* clang-format off */
static const struct cli_command commands[] = {
    {"user list", user_list, "", 0, 0, CLI_BROKER_OPTIONS, "who has a password"},
    {"user add", user_add, "NAME", 1, 1, CLI_CHANGE_OPTIONS | CLI_OPTION(MECHANISM),
     "give a user a password, or another one\n\n"
     "It is read from standard input, one line; only what SCRAM makes of it is sent and stored."},
    {"user remove", user_remove, "USER", 1, 1, CLI_CHANGE_OPTIONS | CLI_OPTION(YES) | CLI_OPTION(FORCE), "take a user's passwords away"},
};
/* clang-format on */

const struct cli_table cli_user_table = {
    .title = "Security", .commands = commands, .count = SL_COUNT_OF(commands)};
