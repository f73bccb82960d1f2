/* config_load.c: files, environment and command line, each as a layer; then check, merge, build.
 *
 * SLUICE_A__B_C names a.b_c: two underscores are the dot. Variables without them belong to others
 * and are ignored; those with them must be keys. */
#include "control/config_option.h"
#include "control/config_profile.h"

#include <string.h>

#define ENVIRONMENT_PREFIX "SLUICE_"

struct loader {
    config_read_fn *read;
    void *read_arg;
    const struct config_sources *sources;
    struct config_report *report;
    struct config_arena *arena;
    struct config_node *root; /* merged so far */
};

/* Checks a layer and lays it over what is there. */
static sl_err layer_add(struct loader *loader, const struct config_node *layer)
{
    config_layer_check(loader->arena, layer, loader->report);
    sl_err err = config_node_merge(loader->arena, loader->root, layer);
    return err == SLUICE_OK ? SLUICE_OK : config_no_memory(loader->report);
}

static sl_err text_add(struct loader *loader, struct sl_bytes text, const char *name)
{
    struct config_node *layer = NULL;
    sl_err err = config_tree_parse(loader->arena, text, name, loader->report, &layer);
    return err == SLUICE_OK ? layer_add(loader, layer) : err;
}

/* Reads at most one byte more than is allowed; the parser then says so. */
static sl_err file_read(struct loader *loader, const char *path, struct sl_bytes *ret_text)
{
    uint8_t *bytes = config_arena_get(loader->arena, CONFIG_FILE_BYTES_MAX + 1);
    size_t size = 0;
    if (bytes == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    sl_err err = loader->read(loader->read_arg, path, bytes, CONFIG_FILE_BYTES_MAX + 1, &size);
    if (err == SLUICE_OK) {
        *ret_text = (struct sl_bytes){bytes, size};
    }
    return err;
}

static sl_err file_add(struct loader *loader, const char *path)
{
    struct sl_bytes text = {NULL, 0};
    sl_err err = file_read(loader, path, &text);
    if (err == SLUICE_E_NO_MEMORY) {
        return config_no_memory(loader->report);
    }
    if (err != SLUICE_OK) {
        config_problem(loader->report, err, NULL,
                       "%.300s: the configuration file cannot be read (%s); check the path given "
                       "with --config",
                       path, err == SLUICE_E_NOT_FOUND ? "it does not exist" : "SLU-1100");
        return err;
    }
    return text_add(loader, text, path);
}

/* One key and value of environment or command line into a layer. */
static sl_err setting_put(struct loader *loader, struct config_node *layer, const char *path,
                          size_t path_size, const char *value, struct config_origin origin)
{
    char key[CONFIG_PATH_MAX];
    uint32_t dots = 0;
    for (size_t i = 0; i < path_size; i++) {
        bool is_dot = path[i] == '.';
        dots += is_dot;
        if (is_dot && (i == 0 || i + 1 == path_size || path[i + 1] == '.')) {
            path_size = 0;
        }
    }
    if (path_size == 0 || path_size >= sizeof(key) || dots >= CONFIG_DEPTH_MAX - 1) {
        config_problem(loader->report, SLUICE_E_CONFIG_UNKNOWN_KEY, &origin,
                       "this is not a key; write section.key=value");
        return SLUICE_E_CONFIG_UNKNOWN_KEY;
    }
    memcpy(key, path, path_size);
    key[path_size] = '\0';
    struct config_node *node = config_node_new(loader->arena, CONFIG_SCALAR, &origin);
    if (node == NULL ||
        (node->text = config_arena_text(loader->arena, value, strlen(value))) == NULL) {
        return config_no_memory(loader->report);
    }
    sl_err err = config_node_put(loader->arena, layer, key, node);
    if (err == SLUICE_E_CONFIG_VALUE) {
        config_problem(loader->report, err, &origin,
                       "\"%s\" is both a value and a section here; remove one of the two", key);
        return err;
    }
    return err == SLUICE_OK ? SLUICE_OK : config_no_memory(loader->report);
}

/* "A__B_C" to "a.b_c". */
static size_t variable_key(const char *name, size_t size, char ret_key[CONFIG_PATH_MAX])
{
    size_t at = 0;
    for (size_t i = 0; i < size; i++) {
        char c = name[i];
        if (c == '_' && i + 1 < size && name[i + 1] == '_') {
            c = '.';
            i++;
        }
        ret_key[at++] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    ret_key[at] = '\0';
    return at;
}

static sl_err variable_put(struct loader *loader, struct config_node *layer, const char *variable)
{
    char key[CONFIG_PATH_MAX];
    size_t prefix = strlen(ENVIRONMENT_PREFIX);
    size_t size = strcspn(variable, "=");
    if (strncmp(variable, ENVIRONMENT_PREFIX, prefix) != 0 || variable[size] != '=' ||
        size <= prefix || size >= sizeof(key) ||
        memmem(variable + prefix, size - prefix, "__", 2) == NULL) {
        return SLUICE_OK;
    }
    size_t key_size = variable_key(variable + prefix, size - prefix, key);
    struct config_origin origin = {.source = CONFIG_SOURCE_ENVIRONMENT};
    origin.name = config_arena_text(loader->arena, variable, size);
    if (origin.name == NULL) {
        return config_no_memory(loader->report);
    }
    return setting_put(loader, layer, key, key_size, variable + size + 1, origin);
}

static sl_err environment_add(struct loader *loader)
{
    struct config_origin origin = {.source = CONFIG_SOURCE_ENVIRONMENT, .name = "environment"};
    struct config_node *layer = config_node_new(loader->arena, CONFIG_MAP, &origin);
    if (layer == NULL) {
        return config_no_memory(loader->report);
    }
    const char *const *variable = loader->sources->environment;
    for (; variable != NULL && *variable != NULL; variable++) {
        sl_err err = variable_put(loader, layer, *variable);
        if (err != SLUICE_OK) {
            return err;
        }
    }
    return layer_add(loader, layer);
}

/* --home DIR stands for data.dir=DIR/data and plugins.dir=DIR/plugins. */
static sl_err home_put(struct loader *loader, struct config_node *layer)
{
    static const char *const keys[] = {"data.dir", "plugins.dir"};
    static const char *const folders[] = {"data", "plugins"};
    const char *home = loader->sources->home;
    struct config_origin origin = {.source = CONFIG_SOURCE_COMMAND_LINE, .name = "--home"};
    for (size_t i = 0; home != NULL && i < SL_COUNT_OF(keys); i++) {
        size_t size = strlen(home) + strlen(folders[i]) + 2;
        char *path = config_arena_get(loader->arena, size);
        if (path == NULL) {
            return config_no_memory(loader->report);
        }
        bool has_slash = home[0] != '\0' && home[strlen(home) - 1] == '/';
        snprintf(path, size, "%s%s%s", home, has_slash ? "" : "/", folders[i]);
        sl_err err = setting_put(loader, layer, keys[i], strlen(keys[i]), path, origin);
        if (err != SLUICE_OK) {
            return err;
        }
    }
    return SLUICE_OK;
}

static sl_err command_line_add(struct loader *loader)
{
    struct config_origin origin = {.source = CONFIG_SOURCE_COMMAND_LINE, .name = "--set"};
    struct config_node *layer = config_node_new(loader->arena, CONFIG_MAP, &origin);
    if (layer == NULL) {
        return config_no_memory(loader->report);
    }
    sl_err err = home_put(loader, layer);
    for (uint32_t i = 0; err == SLUICE_OK && i < loader->sources->setting_count; i++) {
        const char *setting = loader->sources->settings[i];
        size_t size = strcspn(setting, "=");
        if (setting[size] != '=') {
            config_problem(loader->report, SLUICE_E_CONFIG_VALUE, &origin,
                           "\"%.200s\" has no \"=\"; write --set key=value", setting);
            return SLUICE_E_CONFIG_VALUE;
        }
        err = setting_put(loader, layer, setting, size, setting + size + 1, origin);
    }
    return err == SLUICE_OK ? layer_add(loader, layer) : err;
}

/* A profile is a file that the program brings: below all others. */
static sl_err profile_add(struct loader *loader)
{
    char names[256];
    const char *name = loader->sources->profile;
    const struct config_profile *profile = name != NULL ? config_profile_find(name) : NULL;
    if (name == NULL || profile != NULL) {
        return name == NULL ? SLUICE_OK : text_add(loader, profile->text, name);
    }
    config_profile_names(names, sizeof(names));
    config_problem(loader->report, SLUICE_E_NOT_FOUND, NULL,
                   "there is no profile \"%.60s\"; there are %s", name, names);
    return SLUICE_E_NOT_FOUND;
}

static sl_err layers_read(struct loader *loader, const struct sl_bytes *text, const char *name)
{
    sl_err err = profile_add(loader);
    err = err == SLUICE_OK && text != NULL ? text_add(loader, *text, name) : err;
    for (uint32_t i = 0; err == SLUICE_OK && i < loader->sources->file_count; i++) {
        err = file_add(loader, loader->sources->files[i]);
    }
    if (err == SLUICE_OK) {
        err = environment_add(loader);
    }
    if (err == SLUICE_OK) {
        err = command_line_add(loader);
    }
    if (err == SLUICE_OK && loader->report->count > 0) {
        err = loader->report->first;
    }
    return err;
}

static sl_err load(struct loader *loader, const struct sl_bytes *text, const char *name,
                   struct sl_config **ret_config)
{
    struct config_origin none = {.source = CONFIG_SOURCE_DEFAULT};
    loader->report->count = 0;
    loader->arena = config_arena_new();
    if (loader->arena == NULL) {
        return config_no_memory(loader->report);
    }
    loader->root = config_node_new(loader->arena, CONFIG_MAP, &none);
    sl_err err =
        loader->root == NULL ? config_no_memory(loader->report) : layers_read(loader, text, name);
    if (err == SLUICE_OK) {
        err = config_build(loader->arena, loader->root, loader->sources->dev,
                           loader->sources->executable, loader->report, ret_config);
    }
    if (err != SLUICE_OK) {
        config_arena_free(loader->arena);
    }
    return err;
}

sl_err config_load_through(config_read_fn *read, void *read_arg,
                           const struct config_sources *sources, struct config_report *report,
                           struct sl_config **ret_config)
{
    struct loader loader = {
        .read = read, .read_arg = read_arg, .sources = sources, .report = report};
    return load(&loader, NULL, NULL, ret_config);
}

sl_err config_load_text(struct sl_bytes text, const char *name,
                        const struct config_sources *sources, struct config_report *report,
                        struct sl_config **ret_config)
{
    SL_ASSERT(sources->file_count == 0);
    struct loader loader = {.sources = sources, .report = report};
    return load(&loader, &text, name, ret_config);
}
