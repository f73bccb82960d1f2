/* cli_config_more.c: config explain, init, set and diff: none but diff needs a broker. */
#include "base/text.h"
#include "cli/cli_command.h"
#include "control/config_edit.h"
#include "control/config_option.h"
#include "control/config_profile.h"

#include <stdlib.h>
#include <string.h>

#define PROFILE_NAMES_BYTES 256

static int no_profile(const char *name)
{
    char names[PROFILE_NAMES_BYTES];
    config_profile_names(names, sizeof(names));
    cli_complain("there is no profile \"%.60s\"; there are %s", name, names);
    return CLI_USAGE;
}

/* ---- explain ---- */

static const char *const apply_texts[] = {
    [CONFIG_APPLY_LIVE] = "at a reload, at once",
    [CONFIG_APPLY_COMPONENT] = "at a reload; what it belongs to is made anew",
    [CONFIG_APPLY_RESTART] = "at the next start",
};

/* "SLUICE_KAFKA__LISTEN" of "kafka.listen". */
static void variable_of(const char *key, char ret_name[CONFIG_PATH_MAX * 2])
{
    size_t at = (size_t)snprintf(ret_name, CONFIG_PATH_MAX * 2, "SLUICE_");
    for (; *key != '\0' && at < CONFIG_PATH_MAX * 2 - 3; key++) {
        if (*key == '.') {
            ret_name[at++] = '_';
        }
        ret_name[at++] = *key == '.'                  ? '_'
                         : *key >= 'a' && *key <= 'z' ? (char)(*key - 'a' + 'A')
                                                      : *key;
    }
    ret_name[at] = '\0';
}

static void range_write(const struct config_option *option)
{
    char low[32], high[32];
    if (option->type == CONFIG_TYPE_INT || option->type == CONFIG_TYPE_SIZE ||
        option->type == CONFIG_TYPE_DURATION) {
        config_number_text(option->type, option->min, low);
        config_number_text(option->type, option->max, high);
        printf("  range        %s to %s\n", low, high);
    } else if (option->choices != NULL) {
        printf("  one of       %s\n", option->choices + (option->choices[0] == '|'));
    }
}

static void option_write(const struct config_option *option, const char *prefix)
{
    char variable[CONFIG_PATH_MAX * 2];
    printf("%s%s\n  %s\n", prefix, option->key, option->doc);
    printf("  type         %s\n", config_type_name(option->type));
    range_write(option);
    printf("  default      %s\n",
           option->initial != NULL && option->initial[0] != '\0' ? option->initial : "(empty)");
    if (option->initial_dev != NULL) {
        printf("  with --dev   %s\n", option->initial_dev);
    }
    printf("  takes effect %s\n", apply_texts[option->apply]);
    if (prefix[0] == '\0') {
        variable_of(option->key, variable);
        printf("  environment  %s\n", variable);
    }
}

static cJSON *option_json(const struct config_option *option, const char *prefix)
{
    char key[CONFIG_PATH_MAX * 2];
    cJSON *object = cJSON_CreateObject();
    snprintf(key, sizeof(key), "%s%s", prefix, option->key);
    cJSON_AddStringToObject(object, "key", key);
    cJSON_AddStringToObject(object, "doc", option->doc);
    cJSON_AddStringToObject(object, "type", config_type_name(option->type));
    cJSON_AddStringToObject(object, "default", option->initial != NULL ? option->initial : "");
    cJSON_AddStringToObject(object, "takes_effect", apply_texts[option->apply]);
    return object;
}

/* The keys that are the word, or below it. */
static uint32_t explain_section(const struct cli *cli, const struct config_section *section,
                                const char *prefix, const char *word, cJSON *array)
{
    size_t size = strlen(word);
    uint32_t found = 0;
    for (uint32_t i = 0; i < section->count; i++) {
        const struct config_option *option = &section->options[i];
        bool below = strncmp(option->key, word, size) == 0 &&
                     (option->key[size] == '.' || option->key[size] == '\0');
        if (!below) {
            continue;
        }
        if (cli->options.json) {
            cJSON_AddItemToArray(array, option_json(option, prefix));
        } else {
            fputs(found > 0 ? "\n" : "", stdout);
            option_write(option, prefix);
        }
        found++;
    }
    return found;
}

static int unknown_key(const char *word)
{
    const struct config_section *section = config_section_main();
    const char *known[512];
    size_t count = 0;
    for (uint32_t i = 0; i < section->count && count < SL_COUNT_OF(known); i++) {
        known[count++] = section->options[i].key;
    }
    const char *best =
        sl_text_nearest((struct sl_bytes){(const uint8_t *)word, strlen(word)}, known, count);
    cli_complain("there is no key \"%.100s\"; %s%s%s", word,
                 best != NULL ? "did you mean \"" : "\"sluice serve --help\" lists all",
                 best != NULL ? best : "", best != NULL ? "\"?" : "");
    return CLI_FAILED;
}

int cli_config_explain(struct cli *cli)
{
    static const char instances[] = "plugins.instances.";
    const char *word = cli->options.words[0];
    bool of_instance = strncmp(word, instances, sizeof(instances) - 1) == 0;
    const char *rest = of_instance ? strchr(word + sizeof(instances) - 1, '.') : NULL;
    cJSON *array = cli->options.json ? cJSON_CreateArray() : NULL;
    uint32_t found = rest != NULL ? explain_section(cli, config_section_instance(),
                                                    "plugins.instances.NAME.", rest + 1, array)
                                  : explain_section(cli, config_section_main(), "", word, array);
    if (cli->options.json && found > 0) {
        cli_json_write(array);
    }
    cJSON_Delete(array);
    return found > 0 ? CLI_OK : unknown_key(word);
}

/* ---- init ---- */

int cli_config_init(struct cli *cli)
{
    const char *name = cli_value(cli_own(cli, "--profile"), "development");
    const struct config_profile *profile = config_profile_find(name);
    const char *path = cli->options.word_count > 0 ? cli->options.words[0] : NULL;
    if (profile == NULL) {
        return no_profile(name);
    }
    if (path == NULL) {
        fwrite(profile->text.data, 1, profile->text.size, stdout);
        return CLI_OK;
    }
    const uint32_t flags =
        SL_FILE_WRITE | SL_FILE_CREATE | (cli->options.force ? 0 : SL_FILE_EXCLUSIVE);
    const struct sl_iovec piece = {(void *)(uintptr_t)profile->text.data, profile->text.size};
    struct sl_file *file = NULL;
    sl_err err = sl_file_open(cli->os, path, flags, &file);
    err = err != SLUICE_OK ? err : sl_file_truncate(file, 0);
    err = err != SLUICE_OK ? err : sl_file_pwritev(file, &piece, 1, 0);
    sl_file_close(file);
    if (err != SLUICE_OK) {
        cli_complain("%s cannot be written%s", path,
                     err == SLUICE_E_EXISTS ? ": it is there already; --force writes it anew" : "");
        return CLI_IO;
    }
    fprintf(stderr, "%s: profile %s; \"sluice config check %s\" after each change\n", path, name,
            path);
    return CLI_OK;
}

/* ---- diff ---- */

static int load_one(struct cli *cli, const char *path, struct sl_config **ret_config)
{
    struct config_sources sources = {.executable = cli->executable};
    struct config_report report = {.count = 0};
    sources.files[sources.file_count++] = path;
    if (config_load(cli->os, &sources, &report, ret_config) == SLUICE_OK) {
        return CLI_OK;
    }
    config_report_write(&report, stderr);
    return CLI_CONFIG;
}

static const char *value_in(const cJSON *all, const char *key, char ret_text[1024])
{
    const cJSON *entry = cJSON_GetObjectItemCaseSensitive(all, key);
    return entry != NULL ? cli_member_text(entry, "value", ret_text) : "";
}

static void row_add(cJSON *rows, const char *key, const char *before, const char *after)
{
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "key", key);
    cJSON_AddStringToObject(row, "before", before);
    cJSON_AddStringToObject(row, "after", after);
    cJSON_AddItemToArray(rows, row);
}

static void compare(const cJSON *before, const cJSON *after, cJSON *rows)
{
    const cJSON *entry;
    char was[1024], is[1024];
    cJSON_ArrayForEach(entry, after)
    {
        if (strcmp(value_in(before, entry->string, was), value_in(after, entry->string, is)) != 0) {
            row_add(rows, entry->string, was, is);
        }
    }
    cJSON_ArrayForEach(entry, before)
    {
        if (cJSON_GetObjectItemCaseSensitive(after, entry->string) == NULL) {
            row_add(rows, entry->string, value_in(before, entry->string, was), "");
        }
    }
}

/* What the running broker has, or what the first file says. */
static int diff_before(struct cli *cli, cJSON **ret_all)
{
    struct sl_config *config = NULL;
    cJSON *reply = NULL;
    int code;
    if (cli->options.word_count == 2) {
        code = load_one(cli, cli->options.words[0], &config);
        *ret_all = code == CLI_OK ? config_show_json(config) : NULL;
        config_free(config);
        return code;
    }
    code = cli_call_once(cli, "config.show", NULL, &reply);
    *ret_all = code == CLI_OK ? cJSON_Duplicate(cli_result(reply), true) : NULL;
    cJSON_Delete(reply);
    return code;
}

int cli_config_diff(struct cli *cli)
{
    static const char *const columns[] = {"key", "before", "after"};
    struct sl_config *config = NULL;
    cJSON *before = NULL;
    int code = load_one(cli, cli->options.words[cli->options.word_count - 1], &config);
    code = code == CLI_OK ? diff_before(cli, &before) : code;
    if (code != CLI_OK) {
        config_free(config);
        return code;
    }
    cJSON *after = config_show_json(config);
    cJSON *rows = cJSON_CreateArray();
    compare(before, after, rows);
    int count = cJSON_GetArraySize(rows);
    if (cli_lines_write(cli, rows)) {
        ;
    } else if (cli->options.json) {
        cli_json_write(rows);
    } else if (count > 0) {
        cli_table_write(cli, rows, columns, SL_COUNT_OF(columns));
    }
    cJSON_Delete(rows);
    cJSON_Delete(after);
    cJSON_Delete(before);
    config_free(config);
    return count > 0 ? CLI_FAILED : CLI_OK;
}

/* ---- set ---- */

/* As a configuration by itself: the environment and other files do not matter. */
static cJSON *values_of(struct cli *cli, struct sl_bytes text, const char *path,
                        struct config_report *report)
{
    const struct config_sources sources = {.executable = cli->executable};
    struct sl_config *config = NULL;
    if (config_load_text(text, path, &sources, report, &config) != SLUICE_OK) {
        return NULL;
    }
    cJSON *all = config_show_json(config);
    config_free(config);
    return all;
}

/* All words KEY=VALUE. */
static sl_err edit_all(struct cli *cli, struct sl_buffer *text, struct config_report *report)
{
    const char *path = cli->options.words[0];
    sl_err err = SLUICE_OK;
    for (uint32_t i = 1; i < cli->options.word_count && err == SLUICE_OK; i++) {
        char key[CONFIG_PATH_MAX];
        const char *word = cli->options.words[i];
        size_t size = strcspn(word, "=");
        struct sl_buffer edited;
        sl_buffer_init(&edited, CONFIG_FILE_BYTES_MAX);
        snprintf(key, sizeof(key), "%.*s", (int)SL_MIN(size, sizeof(key) - 1), word);
        err = config_edit(sl_buffer_bytes(text), path, key, word + size + 1, report, &edited);
        if (err == SLUICE_OK) {
            sl_buffer_fini(text);
            *text = edited;
        } else {
            sl_buffer_fini(&edited);
        }
    }
    return err;
}

/* Whole beside it first, with its mode and owner, then over it, so that links stay too; what a
 * crash leaves half is there under the other name. E_EXISTS: something has that name, and is left
 * alone. */
static sl_err overwrite(struct cli *cli, const char *path, struct sl_bytes text)
{
    char beside[4096];
    const struct sl_iovec piece = {(void *)(uintptr_t)text.data, text.size};
    sl_err err = SLUICE_OK;
    if (snprintf(beside, sizeof(beside), "%s.new", path) >= (int)sizeof(beside)) {
        return SLUICE_E_LIMIT;
    }
    const char *const paths[] = {beside, path};
    const uint32_t flags[] = {SL_FILE_WRITE | SL_FILE_CREATE | SL_FILE_EXCLUSIVE, SL_FILE_WRITE};
    for (uint32_t i = 0; i < SL_COUNT_OF(paths) && err == SLUICE_OK; i++) {
        struct sl_file *file = NULL;
        err = sl_file_open(cli->os, paths[i], flags[i], &file);
        if (err == SLUICE_OK && i == 0) { /* there may be secrets in it, and it may stay */
            err = sl_file_access_as(cli->os, file, path);
        }
        err = err != SLUICE_OK ? err : sl_file_pwritev(file, &piece, 1, 0);
        err = err != SLUICE_OK ? err : sl_file_truncate(file, text.size);
        err = err != SLUICE_OK ? err : sl_file_sync(file);
        sl_file_close(file);
    }
    return err != SLUICE_OK ? err : sl_path_remove(cli->os, beside);
}

static sl_err read_whole(struct cli *cli, const char *path, struct sl_buffer *ret_text)
{
    struct sl_file *file = NULL;
    size_t size = 0;
    sl_err err = sl_file_open(cli->os, path, SL_FILE_READ, &file);
    err = err != SLUICE_OK ? err : sl_buffer_reserve(ret_text, CONFIG_FILE_BYTES_MAX);
    err = err != SLUICE_OK ? err
                           : sl_file_pread(file, ret_text->data, CONFIG_FILE_BYTES_MAX, 0, &size);
    sl_file_close(file);
    ret_text->size = size;
    return err;
}

static void set_rows(struct cli *cli, cJSON *rows)
{
    static const char *const columns[] = {"key", "before", "after", "takes_effect"};
    cJSON *row;
    cJSON_ArrayForEach(row, rows)
    {
        const char *key = cJSON_GetObjectItemCaseSensitive(row, "key")->valuestring;
        const struct config_option *option = config_option_find(config_section_main(), key);
        cJSON_AddStringToObject(row, "takes_effect",
                                option != NULL ? apply_texts[option->apply] : "");
    }
    if (cli_lines_write(cli, rows)) {
        return;
    }
    if (cli->options.json) {
        cli_json_write(rows);
    } else if (cJSON_GetArraySize(rows) > 0) {
        cli_table_write(cli, rows, columns, SL_COUNT_OF(columns));
    } else {
        fprintf(stderr, "nothing is other than it was\n");
    }
}

static bool words_are_settings(const struct cli *cli)
{
    for (uint32_t i = 1; i < cli->options.word_count; i++) {
        if (strchr(cli->options.words[i], '=') == NULL) {
            cli_complain("\"%.100s\" is no setting: KEY=VALUE, as kafka.listen=0.0.0.0:9092",
                         cli->options.words[i]);
            return false;
        }
    }
    return true;
}

/* Their values are not shown, so that none seems to be other than it was. */
static void add_secrets(const struct cli *cli, cJSON *rows)
{
    for (uint32_t i = 1; i < cli->options.word_count; i++) {
        char key[CONFIG_PATH_MAX];
        const char *word = cli->options.words[i];
        snprintf(key, sizeof(key), "%.*s", (int)SL_MIN(strcspn(word, "="), sizeof(key) - 1), word);
        const struct config_option *option = config_option_find(config_section_main(), key);
        bool is_told = false;
        const cJSON *row;
        cJSON_ArrayForEach(row, rows)
        {
            const char *told = cJSON_GetObjectItemCaseSensitive(row, "key")->valuestring;
            is_told = is_told || strcmp(told, key) == 0;
        }
        if (option != NULL && option->is_secret && !is_told) {
            row_add(rows, key, CONFIG_HIDDEN, CONFIG_HIDDEN);
        }
    }
}

int cli_config_set(struct cli *cli)
{
    const char *path = cli->options.words[0];
    struct config_report report = {.count = 0}, former = {.count = 0};
    struct sl_buffer text;
    sl_err err = SLUICE_OK;
    int code = CLI_CONFIG;
    if (!words_are_settings(cli)) {
        return CLI_USAGE;
    }
    sl_buffer_init(&text, CONFIG_FILE_BYTES_MAX);
    if (read_whole(cli, path, &text) != SLUICE_OK) {
        cli_complain("%s cannot be read; \"sluice config init %s\" makes one", path, path);
        sl_buffer_fini(&text);
        return CLI_IO;
    }
    cJSON *before = values_of(cli, sl_buffer_bytes(&text), path, &former); /* NULL: it is wrong */
    cJSON *after = edit_all(cli, &text, &report) == SLUICE_OK
                       ? values_of(cli, sl_buffer_bytes(&text), path, &report)
                       : NULL;
    if (after == NULL) {
        config_report_write(&report, stderr);
        fprintf(stderr, "%s is as it was\n", path);
    } else if (!cli->options.dry_run &&
               (err = overwrite(cli, path, sl_buffer_bytes(&text))) != SLUICE_OK) {
        cli_complain("%s cannot be written%s%s%s", path, err == SLUICE_E_EXISTS ? ": " : "",
                     err == SLUICE_E_EXISTS ? path : "",
                     err == SLUICE_E_EXISTS
                         ? ".new is there, perhaps of a change that did not end; move it away"
                         : "");
        code = CLI_IO;
    } else {
        cJSON *rows = cJSON_CreateArray();
        compare(before, after, rows);
        add_secrets(cli, rows);
        set_rows(cli, rows);
        cJSON_Delete(rows);
        code = CLI_OK;
    }
    cJSON_Delete(before);
    cJSON_Delete(after);
    sl_buffer_fini(&text);
    return code;
}
