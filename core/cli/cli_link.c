/* cli_link.c: finds the broker's admin socket, sends a line, reads a line. */
#include "base/status.h"
#include "base/text.h"
#include "cli/cli_context.h"
#include "control/explain.h"

#include <stdlib.h>
#include <string.h>

#define READ_BYTES    65536
#define QUIET_WAIT_MS 500 /* somebody pressed the tab key */
#define PLACES_MAX    3u

extern char **environ;

/* Where the broker may listen, in the order in which they are tried. */
struct places {
    char paths[PLACES_MAX][512];
    uint32_t count;
    char context[CONTEXT_NAME_BYTES]; /* that says so; "": none */
};

static void place_add(struct places *places, const char *path)
{
    snprintf(places->paths[places->count++], sizeof(places->paths[0]), "%s", path);
}

/* With --config or --home the socket is where `serve` with the same flags would put it. */
static int places_from_config(struct cli *cli, const struct config_sources *given,
                              struct places *places)
{
    struct config_sources sources = *given;
    struct config_report report = {.count = 0};
    struct sl_config *config = NULL;
    sources.environment = (const char *const *)environ;
    if (config_load(cli->os, &sources, &report, &config) != SLUICE_OK) {
        if (!cli->is_quiet) {
            config_report_write(&report, stderr);
        }
        return CLI_CONFIG;
    }
    place_add(places, config->admin.socket);
    config_free(config);
    return CLI_OK;
}

/* Where the context says, or where one usually is. */
static int places_from_context(struct cli *cli, struct places *places)
{
    struct cli_context context;
    struct config_sources sources = {.file_count = 0};
    int code = cli_context_chosen(cli, &context);
    snprintf(places->context, sizeof(places->context), "%s", context.name);
    if (code != CLI_OK) {
        return code;
    }
    if (context.socket[0] != '\0') {
        place_add(places, context.socket);
        return CLI_OK;
    }
    if (context.name[0] != '\0') {
        sources.home = context.home[0] != '\0' ? context.home : NULL;
        sources.dev = context.dev;
        if (context.config[0] != '\0') {
            sources.files[sources.file_count++] = context.config;
        }
        return places_from_config(cli, &sources, places);
    }
    place_add(places, "var/sluice.sock");
    place_add(places, "/run/sluice/admin.sock"); /* of the service that a package installs */
    place_add(places, "/var/lib/sluice/sluice.sock");
    return CLI_OK;
}

static int places_find(struct cli *cli, struct places *places)
{
    const struct cli_options *options = &cli->options;
    struct config_sources sources = {.home = cli_value(&options->home, NULL), .dev = options->dev};
    bool is_given = options->home.count > 0 || options->config.count > 0 || options->dev;
    const char *from_environment =
        options->context.count > 0 ? NULL : getenv("SLUICE_ADMIN__SOCKET");
    const char *socket = cli_value(&options->socket, is_given ? NULL : from_environment);
    if (socket != NULL) {
        place_add(places, socket);
        return CLI_OK;
    }
    if (!is_given) {
        return places_from_context(cli, places);
    }
    for (uint32_t i = 0; i < options->config.count && i < CONFIG_FILES_MAX; i++) {
        sources.files[sources.file_count++] = options->config.items[i];
    }
    return places_from_config(cli, &sources, places);
}

int cli_link_open(struct cli_link *link, struct cli *cli)
{
    struct places places = {.count = 0};
    char address[600];
    int code = places_find(cli, &places);
    if (code != CLI_OK) {
        return code;
    }
    *link = (struct cli_link){
        .cli = cli, .descriptor = -1, .wait_ms = cli->is_quiet ? QUIET_WAIT_MS : 0};
    for (uint32_t i = 0; i < places.count; i++) {
        snprintf(address, sizeof(address), "unix:%s", places.paths[i]);
        if (sl_connect(cli->os, address, &link->descriptor) == SLUICE_OK) {
            return CLI_OK;
        }
    }
    if (cli->is_quiet) {
        return CLI_UNREACHABLE;
    }
    bool named = places.context[0] != '\0';
    cli_complain("no broker answers on %s%s%s%s%s%s%s (SLU-%04d)", places.paths[0],
                 places.count > 1 ? ", " : "", places.count > 1 ? places.paths[1] : "",
                 places.count > 2 ? " or " : "", places.count > 2 ? places.paths[2] : "",
                 named ? ", of context " : "", places.context, SLUICE_E_NETWORK);
    cli_explain(cli, SLUICE_E_NETWORK);
    return CLI_UNREACHABLE;
}

void cli_link_close(struct cli_link *link)
{
    sl_descriptor_close(link->descriptor);
    free(link->buffer);
}

static bool buffer_grow(struct cli_link *link)
{
    size_t capacity = link->capacity == 0 ? 2 * READ_BYTES : 2 * link->capacity;
    char *buffer = capacity > CLI_LINE_BYTES_MAX ? NULL : realloc(link->buffer, capacity);
    if (buffer == NULL) {
        return false;
    }
    link->buffer = buffer;
    link->capacity = capacity;
    return true;
}

/* Reads until a newline; parses the line. NULL: the connection ended, or no JSON. */
static cJSON *line_read(struct cli_link *link)
{
    size_t searched = 0;
    for (;;) {
        char *newline = searched == link->size
                            ? NULL
                            : memchr(link->buffer + searched, '\n', link->size - searched);
        if (newline != NULL) {
            size_t size = (size_t)(newline - link->buffer);
            cJSON *line = cJSON_ParseWithLength(link->buffer, size);
            link->size -= size + 1;
            memmove(link->buffer, newline + 1, link->size);
            return line;
        }
        searched = link->size;
        size_t got = 0;
        if (link->wait_ms > 0 && !sl_descriptor_wait(link->descriptor, link->wait_ms)) {
            return NULL;
        }
        if (link->capacity - link->size < READ_BYTES && !buffer_grow(link)) {
            return NULL;
        }
        if (sl_descriptor_read(link->descriptor, link->buffer + link->size, READ_BYTES, &got) !=
                SLUICE_OK ||
            got == 0) {
            return NULL;
        }
        link->size += got;
    }
}

static bool request_send(struct cli_link *link, const char *command, cJSON *args)
{
    cJSON *request = cJSON_CreateObject();
    cJSON_AddNumberToObject(request, "id", 1);
    cJSON_AddStringToObject(request, "command", command);
    if (link->cli->options.dry_run) { /* of every request: what only reads does not mind */
        args = args != NULL ? args : cJSON_CreateObject();
        cJSON_DeleteItemFromObjectCaseSensitive(args, "dry_run");
        cJSON_AddTrueToObject(args, "dry_run");
    }
    if (args != NULL) {
        cJSON_AddItemToObject(request, "args", args);
    }
    char *text = cJSON_PrintUnformatted(request);
    cJSON_Delete(request);
    if (text == NULL) {
        return false;
    }
    size_t size = strlen(text);
    text[size] = '\n'; /* in place of the NUL */
    bool sent = sl_descriptor_write(link->descriptor, text, size + 1) == SLUICE_OK;
    free(text);
    return sent;
}

int cli_ask(struct cli_link *link, const char *command, cJSON *args, cJSON **ret_reply)
{
    cJSON *reply = request_send(link, command, args) ? line_read(link) : NULL;
    *ret_reply = reply;
    if (reply == NULL && link->cli->is_quiet) {
        return CLI_UNREACHABLE;
    }
    if (reply == NULL) {
        cli_complain(
            "the broker closed the connection without an answer; its log says why (SLU-%04d)",
            SLUICE_E_NETWORK);
        link->cli->explained = SLUICE_E_NETWORK;
        return CLI_UNREACHABLE;
    }
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(reply, "ok")) ? CLI_OK : CLI_FAILED;
}

/* By the number's block where it says what kind of thing failed, else by what HTTP would say. */
int cli_exit_of(sl_err err)
{
    int http = sl_status_row(err)->http;
    static const struct {
        int from, to, code;
    } blocks[] = {{SLUICE_OK, SLUICE_OK, CLI_OK},
                  {SLUICE_E_BUSY, SLUICE_E_BUSY, CLI_FAILED}, /* something is in its way */
                  {SLUICE_E_AUTHENTICATION_STATE, SLUICE_E_AUTHENTICATION_STATE, CLI_DENIED},
                  {1100, 1199, CLI_IO},
                  {1700, 1799, CLI_FAILED}, /* plugins: the answer is no */
                  {1800, 1899, CLI_CONFIG}};
    for (size_t i = 0; i < SL_COUNT_OF(blocks); i++) {
        if (err >= blocks[i].from && err <= blocks[i].to) {
            return blocks[i].code;
        }
    }
    return http == 401 || http == 403                                 ? CLI_DENIED
           : http == 400 || http == 413 || http == 416 || http == 422 ? CLI_DATA
           : http == 503 || http == 504                               ? CLI_UNREACHABLE
                                                                      : CLI_FAILED;
}

sl_err cli_reply_error(const cJSON *reply, const char **ret_message)
{
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(reply, "error");
    const cJSON *status = cJSON_GetObjectItemCaseSensitive(error, "status");
    const char *message = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(error, "message"));
    *ret_message = message != NULL ? message : "no reason given";
    return cJSON_IsNumber(status) && status->valueint > 0 ? status->valueint : SLUICE_E_INTERNAL;
}

/* What the names in an argument are, and how the broker lists them. */
struct named {
    const char *argument;
    const char *command, *array, *member;
};

/* "topic": "ordres" is not there, but orders is. */
static void nearest_say(struct cli_link *link, const struct named *named, const char *typed)
{
    enum { NAMES_MAX = 1000 };
    cJSON *reply = NULL;
    const cJSON *row;
    const char **known = calloc(NAMES_MAX, sizeof(*known));
    size_t count = 0;
    bool listed = known != NULL && cli_ask(link, named->command, NULL, &reply) == CLI_OK;
    const cJSON *rows =
        listed ? cJSON_GetObjectItemCaseSensitive(cli_result(reply), named->array) : NULL;
    cJSON_ArrayForEach(row, rows)
    {
        const char *name =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, named->member));
        if (name != NULL && count < NAMES_MAX) {
            known[count++] = name;
        }
    }
    const char *best =
        sl_text_nearest((struct sl_bytes){(const uint8_t *)typed, strlen(typed)}, known, count);
    if (best != NULL && strcmp(best, typed) != 0) {
        cli_next("did you mean \"%s\"?", best);
    }
    free(known);
    cJSON_Delete(reply);
}

void cli_explain(struct cli *cli, sl_err err)
{
    if (cli->explained != err) {
        cli_next("%s", explain_find(err)->next);
    }
    cli->explained = err;
}

int cli_call(struct cli_link *link, const char *command, cJSON *args, cJSON **ret_reply)
{
    static const struct named names[] = {{"topic", "topic.list", "topics", "name"},
                                         {"group", "group.list", "groups", "group"},
                                         {"name", "plugin.list", "plugins", "name"}};
    const char *message;
    char typed[SL_COUNT_OF(names)][256] = {"", "", ""};
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) { /* args are gone when the answer comes */
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(args, names[i].argument);
        snprintf(typed[i], sizeof(typed[i]), "%s", cJSON_IsString(name) ? name->valuestring : "");
    }
    int answered = cli_ask(link, command, args, ret_reply);
    if (answered != CLI_FAILED) {
        return answered;
    }
    sl_err err = cli_reply_error(*ret_reply, &message);
    if (link->cli->options.json) {
        cli_json_write(*ret_reply);
        link->cli->is_stream = false; /* the object at its end was this one */
    }
    if (link->cli->is_quiet) {
        return cli_exit_of(err);
    }
    cli_complain("%s failed: %s (SLU-%04d)", command, message, err);
    static const sl_err unknown[SL_COUNT_OF(names)] = {
        SLUICE_E_UNKNOWN_TOPIC, SLUICE_E_GROUP_NOT_FOUND, SLUICE_E_NOT_FOUND};
    bool is_told = strstr(message, "did you mean") != NULL;
    for (size_t i = 0; i < SL_COUNT_OF(names) && !is_told; i++) {
        if (err == unknown[i] && typed[i][0] != '\0') {
            nearest_say(link, &names[i], typed[i]);
        }
    }
    cli_explain(link->cli, err);
    return cli_exit_of(err);
}

int cli_call_once(struct cli *cli, const char *command, cJSON *args, cJSON **ret_reply)
{
    struct cli_link link;
    int code = cli_link_open(&link, cli);
    if (code != CLI_OK) {
        cJSON_Delete(args);
        return code;
    }
    cJSON *reply = NULL;
    code = cli_call(&link, command, args, &reply);
    cli_link_close(&link);
    if (code == CLI_OK) {
        *ret_reply = reply;
    } else {
        cJSON_Delete(reply);
    }
    return code;
}

const cJSON *cli_result(const cJSON *reply)
{
    return cJSON_GetObjectItemCaseSensitive(reply, "result");
}
