/* cli_context.c: see cli_context.h; context add, use, list, show, delete. */
#include "cli/cli_context.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define CONTEXT_FILE_BYTES 8192
#define CONTEXTS_MAX       256u

/* ---- files ---- */

/* $XDG_CONFIG_HOME/sluice/REST. False: there is no home. */
static bool path_make(const char *rest, char ret_path[CONTEXT_PATH_BYTES])
{
    const char *base = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    bool has_base = base != NULL && base[0] == '/';
    if (!has_base && (home == NULL || home[0] == '\0')) {
        return false;
    }
    int size = snprintf(ret_path, CONTEXT_PATH_BYTES, "%s%s/sluice/%s", has_base ? base : home,
                        has_base ? "" : "/.config", rest);
    return size < CONTEXT_PATH_BYTES;
}

static bool context_path(const char *name, char ret_path[CONTEXT_PATH_BYTES])
{
    char rest[CONTEXT_NAME_BYTES + 32];
    snprintf(rest, sizeof(rest), "contexts/%s.json", name);
    return path_make(rest, ret_path);
}

/* NULL: it is not there, or no JSON. */
static cJSON *json_read(struct cli *cli, const char *path)
{
    char text[CONTEXT_FILE_BYTES];
    struct sl_file *file = NULL;
    size_t size = 0;
    if (sl_file_open(cli->os, path, SL_FILE_READ, &file) != SLUICE_OK) {
        return NULL;
    }
    sl_err err = sl_file_pread(file, text, sizeof(text), 0, &size);
    sl_file_close(file);
    return err == SLUICE_OK ? cJSON_ParseWithLength(text, size) : NULL;
}

/* Beside it, then in its place. [takes object] */
static sl_err json_write(struct cli *cli, const char *path, cJSON *object)
{
    char beside[CONTEXT_PATH_BYTES + 8], folder[CONTEXT_PATH_BYTES];
    struct sl_file *file = NULL;
    char *text = cJSON_PrintUnformatted(object);
    cJSON_Delete(object);
    snprintf(beside, sizeof(beside), "%s.new", path);
    snprintf(folder, sizeof(folder), "%s", path);
    *strrchr(folder, '/') = '\0';
    sl_err err = text == NULL ? SLUICE_E_NO_MEMORY : sl_dir_make(cli->os, folder);
    if (err == SLUICE_OK) {
        err = sl_file_open(cli->os, beside, SL_FILE_WRITE | SL_FILE_CREATE, &file);
    }
    if (err == SLUICE_OK) {
        struct sl_iovec piece = {text, strlen(text)};
        err = sl_file_pwritev(file, &piece, 1, 0);
        err = err == SLUICE_OK ? sl_file_truncate(file, strlen(text)) : err;
        err = err == SLUICE_OK ? sl_path_rename(cli->os, beside, path) : err;
    }
    sl_file_close(file);
    free(text);
    return err;
}

static const char *text_of(const cJSON *object, const char *member)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, member));
    return text != NULL ? text : "";
}

/* ---- names ---- */

static bool is_name(const char *name)
{
    size_t size = strlen(name);
    return size > 0 && size < CONTEXT_NAME_BYTES && name[0] != '.' && name[0] != '-' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
               size;
}

struct listing {
    char names[CONTEXTS_MAX][CONTEXT_NAME_BYTES];
    size_t count;
};

static void name_take(void *arg, const char *name, bool is_directory)
{
    struct listing *listing = arg;
    size_t size = strlen(name);
    if (is_directory || size <= 5 || size - 5 >= CONTEXT_NAME_BYTES ||
        strcmp(name + size - 5, ".json") != 0 || listing->count == CONTEXTS_MAX) {
        return;
    }
    snprintf(listing->names[listing->count++], CONTEXT_NAME_BYTES, "%.*s", (int)size - 5, name);
}

static int name_compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void names_list(struct cli *cli, struct listing *ret_listing)
{
    char path[CONTEXT_PATH_BYTES];
    ret_listing->count = 0;
    if (path_make("contexts", path) &&
        sl_dir_list(cli->os, path, name_take, ret_listing) == SLUICE_OK) {
        qsort(ret_listing->names, ret_listing->count, CONTEXT_NAME_BYTES, name_compare);
    }
}

void cli_context_each(struct cli *cli, void (*take)(void *arg, const char *name), void *arg)
{
    struct listing listing;
    names_list(cli, &listing);
    for (size_t i = 0; i < listing.count; i++) {
        take(arg, listing.names[i]);
    }
}

static int unknown_say(struct cli *cli, const char *name)
{
    struct listing listing;
    const char *known[CONTEXTS_MAX];
    names_list(cli, &listing);
    for (size_t i = 0; i < listing.count; i++) {
        known[i] = listing.names[i];
    }
    const char *best = sl_text_nearest((struct sl_bytes){(const uint8_t *)name, strlen(name)},
                                       known, listing.count);
    if (!cli->is_quiet) {
        cli_complain("there is no context \"%.64s\"%s%s%s (SLU-%04d)", name,
                     best != NULL ? "; did you mean \"" : "", best != NULL ? best : "",
                     best != NULL ? "\"?" : "", SLUICE_E_NOT_FOUND);
        cli_next(
            "\"sluice context list\" shows them, \"sluice context add %.64s --home DIR\" makes it",
            name);
        cli->explained = SLUICE_E_NOT_FOUND;
    }
    return CLI_CONFIG;
}

/* ---- which one ---- */

/* The member "current" or "previous" of the file that remembers them; "" for none. */
static void remembered(struct cli *cli, const char *which, char ret_name[CONTEXT_NAME_BYTES])
{
    char path[CONTEXT_PATH_BYTES];
    cJSON *object = path_make("context.json", path) ? json_read(cli, path) : NULL;
    snprintf(ret_name, CONTEXT_NAME_BYTES, "%.64s", text_of(object, which));
    cJSON_Delete(object);
}

static sl_err remember(struct cli *cli, const char *current, const char *previous)
{
    char path[CONTEXT_PATH_BYTES];
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "current", current);
    cJSON_AddStringToObject(object, "previous", previous);
    if (!path_make("context.json", path)) {
        cJSON_Delete(object);
        return SLUICE_E_NOT_FOUND;
    }
    return json_write(cli, path, object);
}

static bool context_read(struct cli *cli, const char *name, struct cli_context *ret_context)
{
    char path[CONTEXT_PATH_BYTES];
    cJSON *object = is_name(name) && context_path(name, path) ? json_read(cli, path) : NULL;
    if (object == NULL) {
        return false;
    }
    *ret_context =
        (struct cli_context){.dev = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "dev"))};
    snprintf(ret_context->name, sizeof(ret_context->name), "%s", name);
    snprintf(ret_context->socket, CONTEXT_PATH_BYTES, "%s", text_of(object, "socket"));
    snprintf(ret_context->home, CONTEXT_PATH_BYTES, "%s", text_of(object, "home"));
    snprintf(ret_context->config, CONTEXT_PATH_BYTES, "%s", text_of(object, "config"));
    cJSON_Delete(object);
    return true;
}

int cli_context_chosen(struct cli *cli, struct cli_context *ret_context)
{
    char current[CONTEXT_NAME_BYTES];
    const char *name = cli_value(&cli->options.context, getenv("SLUICE_CONTEXT"));
    *ret_context = (struct cli_context){.name = ""};
    if (name == NULL || name[0] == '\0') {
        remembered(cli, "current", current);
        name = current;
    }
    if (name[0] == '\0' || context_read(cli, name, ret_context)) {
        return CLI_OK;
    }
    return unknown_say(cli, name);
}

/* ---- the commands ---- */

static int failed(struct cli *cli, const char *what, sl_err err)
{
    cli_complain("%s cannot be written below $XDG_CONFIG_HOME or ~/.config (SLU-%04d)", what, err);
    cli_explain(cli, err);
    return CLI_IO;
}

/* As it is found from any folder. */
static void path_add(cJSON *object, const char *member, const struct cli_values *values)
{
    const char *path = cli_value(values, NULL);
    if (path != NULL) {
        char *whole = realpath(path, NULL);
        cJSON_AddStringToObject(object, member, whole != NULL ? whole : path);
        free(whole);
    }
}

static int context_add(struct cli *cli)
{
    const struct cli_options *options = &cli->options;
    const char *name = options->words[0];
    char path[CONTEXT_PATH_BYTES] = "";
    if (!is_name(name)) {
        cli_complain("\"%.64s\" is no name of a context: letters, digits, dots, underscores and "
                     "dashes, at most 64",
                     name);
        return CLI_USAGE;
    }
    if (options->socket.count + options->home.count + options->config.count == 0 && !options->dev) {
        cli_complain("context add needs --socket PATH, --home DIR, --config FILE or --dev");
        return CLI_USAGE;
    }
    cJSON *object = cJSON_CreateObject();
    path_add(object, "socket", &options->socket);
    path_add(object, "home", &options->home);
    path_add(object, "config", &options->config);
    if (options->dev) {
        cJSON_AddTrueToObject(object, "dev");
    }
    sl_err err = SLUICE_E_NOT_FOUND;
    if (context_path(name, path)) {
        err = json_write(cli, path, object);
    } else {
        cJSON_Delete(object);
    }
    if (err != SLUICE_OK) {
        return failed(cli, name, err);
    }
    printf("added %s; \"sluice context use %s\" makes it the one that is meant\n", name, name);
    return CLI_OK;
}

static int context_use(struct cli *cli)
{
    char current[CONTEXT_NAME_BYTES], previous[CONTEXT_NAME_BYTES];
    struct cli_context context;
    const char *name = cli->options.words[0];
    remembered(cli, "current", current);
    remembered(cli, "previous", previous);
    if (strcmp(name, "-") == 0) {
        name = previous;
    }
    if (name[0] == '\0') {
        cli_complain("there is no context before this one (SLU-%04d)", SLUICE_E_NOT_FOUND);
        cli->explained = SLUICE_E_NOT_FOUND;
        return CLI_FAILED;
    }
    if (!context_read(cli, name, &context)) {
        (void)unknown_say(cli, name);
        return CLI_FAILED;
    }
    sl_err err = remember(cli, name, strcmp(name, current) == 0 ? previous : current);
    if (err != SLUICE_OK) {
        return failed(cli, name, err);
    }
    printf("%s\n", name);
    return CLI_OK;
}

static cJSON *context_object(const struct cli_context *context, const char *current)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "name", context->name);
    cJSON_AddBoolToObject(object, "current", strcmp(context->name, current) == 0);
    cJSON_AddStringToObject(object, "socket", context->socket);
    cJSON_AddStringToObject(object, "home", context->home);
    cJSON_AddStringToObject(object, "config", context->config);
    cJSON_AddBoolToObject(object, "dev", context->dev);
    return object;
}

static int context_list(struct cli *cli)
{
    static const char *const columns[] = {"name", "current", "socket", "home", "config", "dev"};
    char current[CONTEXT_NAME_BYTES];
    struct listing listing;
    cJSON *object = cJSON_CreateObject();
    cJSON *rows = cJSON_AddArrayToObject(object, "contexts");
    remembered(cli, "current", current);
    names_list(cli, &listing);
    for (size_t i = 0; i < listing.count; i++) {
        struct cli_context context;
        if (context_read(cli, listing.names[i], &context)) {
            cJSON_AddItemToArray(rows, context_object(&context, current));
        }
    }
    cli_rows_write(cli, object, "contexts", columns, SL_COUNT_OF(columns));
    cJSON_Delete(object);
    return CLI_OK;
}

static int context_show(struct cli *cli)
{
    char current[CONTEXT_NAME_BYTES];
    struct cli_context context = {.name = ""};
    remembered(cli, "current", current);
    const char *name = cli->options.word_count > 0 ? cli->options.words[0] : current;
    if (name[0] == '\0') {
        puts("no context is in use: a broker is looked for in var/, /run/sluice and "
             "/var/lib/sluice");
        return CLI_OK;
    }
    if (!context_read(cli, name, &context)) {
        (void)unknown_say(cli, name);
        return CLI_FAILED;
    }
    cJSON *object = context_object(&context, current);
    if (cli->options.json) {
        cli_json_write(object);
    } else {
        cli_object_write(cli, object);
    }
    cJSON_Delete(object);
    return CLI_OK;
}

static int context_delete(struct cli *cli)
{
    char path[CONTEXT_PATH_BYTES], current[CONTEXT_NAME_BYTES], previous[CONTEXT_NAME_BYTES];
    const char *name = cli->options.words[0];
    sl_err err = is_name(name) && context_path(name, path) ? sl_path_remove(cli->os, path)
                                                           : SLUICE_E_NOT_FOUND;
    if (err != SLUICE_OK) {
        (void)unknown_say(cli, name);
        return CLI_FAILED;
    }
    remembered(cli, "current", current);
    remembered(cli, "previous", previous);
    bool was_current = strcmp(name, current) == 0, was_previous = strcmp(name, previous) == 0;
    if (was_current || was_previous) {
        err = remember(cli, was_current ? "" : current, was_previous ? "" : previous);
    }
    if (err != SLUICE_OK) {
        return failed(cli, name, err);
    }
    printf("deleted %s\n", name);
    return CLI_OK;
}

#define PLACE_OPTIONS                                                                \
    (CLI_OPTION(HELP) | CLI_OPTION(SOCKET) | CLI_OPTION(HOME) | CLI_OPTION(CONFIG) | \
     CLI_OPTION(DEV))
#define SHOW_OPTIONS (CLI_OPTION(HELP) | CLI_OPTION(JSON) | CLI_OPTION(JSONL) | CLI_OPTION(COLUMNS))

/* clang-format off */
static const struct cli_command commands[] = {
    {"context add", context_add, "NAME", 1, 1, PLACE_OPTIONS,
     "remember where a broker is: its socket, home or configuration\n\n"
     "Kept in $XDG_CONFIG_HOME/sluice/contexts, else in ~/.config. What is given on the command line, and\n"
     "SLUICE_ADMIN__SOCKET, win over the context; --context NAME or SLUICE_CONTEXT take another for once."},
    {"context use", context_use, "CONTEXT|-", 1, 1, CLI_OPTION(HELP), "talk to that broker from now on; - is the one before"},
    {"context list", context_list, "", 0, 0, SHOW_OPTIONS, "all of them"},
    {"context show", context_show, "[CONTEXT]", 0, 1, SHOW_OPTIONS, "one of them, else the one in use"},
    {"context delete", context_delete, "CONTEXT", 1, 1, CLI_OPTION(HELP), "forget one"},
};
/* clang-format on */

const struct cli_table cli_context_table = {
    .title = "Help", .commands = commands, .count = SL_COUNT_OF(commands)};
