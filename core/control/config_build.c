/* config_build.c: from the merged tree to struct sl_config, and what must hold between keys. */
#include "base/bytes.h"
#include "catalog/error_rule.h"
#include "control/config_option.h"

#include <string.h>

#define ADMIN_SOCKET_NAME "sluice.sock"
#define SOCKET_PATH_MAX   107 /* sockaddr_un less its NUL */

struct builder {
    struct config_arena *arena;
    struct config_report *report;
    const struct config_node *root;
    struct sl_config *config;
    struct config_origin *origins;
};

/* Parses the node, or the default when it is NULL, into base + offset. */
static sl_err option_build(struct builder *builder, const struct config_option *option,
                           const struct config_node *node, void *base,
                           struct config_origin *ret_origin)
{
    bool dev = builder->config->dev && option->initial_dev != NULL;
    struct config_node initial = {
        .kind = CONFIG_SCALAR,
        .quoted = true,
        .text = dev ? option->initial_dev : option->initial,
        .origin = {.source = dev ? CONFIG_SOURCE_DEV : CONFIG_SOURCE_DEFAULT},
    };
    if (node == NULL || (option->type == CONFIG_TYPE_OBJECT && node->kind == CONFIG_SCALAR)) {
        node = &initial;
    }
    *ret_origin = node->origin;
    char why[CONFIG_WHY_MAX] = "";
    sl_err err =
        config_typed_parse(option, node, builder->arena, (uint8_t *)base + option->offset, why);
    if (err == SLUICE_E_NO_MEMORY) {
        return config_no_memory(builder->report);
    }
    if (err != SLUICE_OK) {
        config_problem(builder->report, err, &node->origin, "%s %s", option->key, why);
    }
    return err;
}

static sl_err instance_build(struct builder *builder, const struct config_node *node,
                             struct config_instance *instance)
{
    struct config_origin origin;
    instance->name = node->key;
    instance->origin = node->origin;
    for (uint32_t i = 0; i < config_instance_option_count; i++) {
        const struct config_option *option = &config_instance_options[i];
        sl_err err =
            option_build(builder, option, config_node_find(node, option->key), instance, &origin);
        if (err != SLUICE_OK) {
            return err;
        }
    }
    return SLUICE_OK;
}

static sl_err instances_build(struct builder *builder, const struct config_node *node)
{
    if (node == NULL || node->child_count == 0) {
        return SLUICE_OK;
    }
    struct config_instance *instances =
        config_arena_get(builder->arena, node->child_count * sizeof(*instances));
    if (instances == NULL) {
        return config_no_memory(builder->report);
    }
    uint32_t count = 0;
    for (const struct config_node *child = node->first; child != NULL; child = child->next) {
        sl_err err = instance_build(builder, child, &instances[count++]);
        if (err != SLUICE_OK) {
            return err;
        }
    }
    builder->config->plugins.instances = instances;
    builder->config->plugins.instance_count = count;
    return SLUICE_OK;
}

static sl_err options_build(struct builder *builder)
{
    for (uint32_t i = 0; i < config_option_count; i++) {
        const struct config_option *option = &config_options[i];
        const struct config_node *node = config_node_find(builder->root, option->key);
        sl_err err;
        if (option->type == CONFIG_TYPE_INSTANCES) {
            err = instances_build(builder, node);
        } else {
            err = option_build(builder, option, node, builder->config, &builder->origins[i]);
        }
        if (err != SLUICE_OK) {
            return err;
        }
    }
    return SLUICE_OK;
}

/* "<folder of path>/<name>"; levels: how many last parts of path are cut. */
static const char *beside(struct config_arena *arena, const char *path, uint32_t levels,
                          const char *name)
{
    size_t size = strlen(path);
    for (uint32_t i = 0; i < levels; i++) {
        while (size > 1 && path[size - 1] == '/') {
            size--;
        }
        while (size > 0 && path[size - 1] != '/') {
            size--;
        }
    }
    while (size > 1 && path[size - 1] == '/') {
        size--;
    }
    bool is_root = size == 1 && path[0] == '/';
    size_t total = size + strlen(name) + 2;
    char *text = config_arena_get(arena, total);
    if (text != NULL) {
        snprintf(text, total, "%.*s%s%s", (int)size, path, size == 0 || is_root ? "" : "/", name);
    }
    return text;
}

bool config_has_disk(const struct sl_config *config)
{
    return strcmp(config->data.dir, CONFIG_NO_DISK) != 0;
}

static sl_err derived_build(struct builder *builder)
{
    struct sl_config *config = builder->config;
    if (config->admin.socket[0] == '\0') {
        const char *path = config_has_disk(config) ? config->data.dir : config->plugins.dir;
        config->admin.socket = beside(builder->arena, path, 1, ADMIN_SOCKET_NAME);
    }
    if (config->plugins.system_dir[0] == '\0' && config->executable != NULL) {
        config->plugins.system_dir =
            beside(builder->arena, config->executable, 2, "lib/sluice/plugins");
    } else if (config->plugins.system_dir[0] == '\0') {
        config->plugins.system_dir = "/usr/lib/sluice/plugins";
    }
    bool failed = config->admin.socket == NULL || config->plugins.system_dir == NULL;
    return failed ? config_no_memory(builder->report) : SLUICE_OK;
}

static bool is_affinity(const char *text)
{
    if (strcmp(text, "auto") == 0 || strcmp(text, "none") == 0) {
        return true;
    }
    return strspn(text, "0123456789,-") == strlen(text) && text[0] >= '0' && text[0] <= '9';
}

/* `lesser` must not exceed `greater` less `margin`. */
struct bound {
    const char *lesser, *greater;
    int64_t margin;
};
#define WAL_SEGMENT_HEADER_BYTES (64 * 1024) /* room for header and envelope */
static const struct bound bounds[] = {
    {"wal.frame_bytes_max", "wal.segment_bytes", WAL_SEGMENT_HEADER_BYTES},
    {"wal.group_bytes_max", "wal.segment_bytes", WAL_SEGMENT_HEADER_BYTES},
    {"wal.segment_bytes", "wal.bytes_max", 0},
    {"kafka.request_bytes_max", "core.frame_bytes_max", 0},
    {"core.frame_bytes_max", "core.memory_bytes_max", 0},
    {"groups.session_timeout_min", "groups.session_timeout_max", 0},
    {"groups.consumer_heartbeat_interval", "groups.consumer_session_timeout", 0},
    {"groups.streams_heartbeat_interval", "groups.streams_session_timeout", 0},
    {"groups.consumer_session_timeout_min", "groups.consumer_session_timeout_max", 0},
    {"groups.consumer_heartbeat_interval_min", "groups.consumer_heartbeat_interval_max", 0},
    {"groups.share_session_timeout_min", "groups.share_session_timeout_max", 0},
    {"groups.share_heartbeat_interval_min", "groups.share_heartbeat_interval_max", 0},
    {"groups.streams_session_timeout_min", "groups.streams_session_timeout_max", 0},
    {"groups.streams_heartbeat_interval_min", "groups.streams_heartbeat_interval_max", 0},
};

static void bound_check(struct builder *builder, const struct bound *bound)
{
    const struct config_option *lesser = config_option_find(config_section_main(), bound->lesser);
    const struct config_option *greater = config_option_find(config_section_main(), bound->greater);
    SL_ASSERT(lesser != NULL && greater != NULL);
    int64_t low = *(const int64_t *)config_field(lesser, builder->config);
    int64_t high = *(const int64_t *)config_field(greater, builder->config);
    if (low <= high - bound->margin) {
        return;
    }
    const struct config_origin *low_origin = &builder->origins[lesser - config_options];
    const struct config_origin *high_origin = &builder->origins[greater - config_options];
    char low_text[32], high_text[32], margin[32];
    config_number_text(lesser->type, low, low_text);
    config_number_text(greater->type, high, high_text);
    config_number_text(lesser->type, bound->margin, margin);
    config_problem(builder->report, SLUICE_E_CONFIG_VALUE,
                   high_origin->source > low_origin->source ? high_origin : low_origin,
                   "%s (%s) must %s %s (%s)%s%s; lower the one or raise the other", lesser->key,
                   low_text, bound->margin > 0 ? "stay below" : "not exceed", greater->key,
                   high_text, bound->margin > 0 ? " by at least " : "",
                   bound->margin > 0 ? margin : "");
}

/* Observe takes the teeth out of the sandbox: never where records are real. */
static void observe_check(struct builder *builder)
{
    const struct sl_config *config = builder->config;
    for (uint32_t i = 0; i < config->plugins.instance_count && !config->dev; i++) {
        const struct config_instance *instance = &config->plugins.instances[i];
        if (instance->sandbox == CONFIG_SANDBOX_OBSERVE) {
            config_problem(builder->report, SLUICE_E_CONFIG_VALUE, &instance->origin,
                           "plugins.instances.%s.sandbox is \"observe\", which is for development: "
                           "run with --dev, or set it to enforce",
                           instance->name);
        }
    }
}

static void on_error_check(struct builder *builder)
{
    const struct sl_config *config = builder->config;
    struct error_rule ignored;
    for (uint32_t i = 0; i < config->plugins.instance_count; i++) {
        const struct config_instance *instance = &config->plugins.instances[i];
        if (error_rule_parse(sl_bytes_of_text(instance->on_error), &ignored) != SLUICE_OK) {
            config_problem(builder->report, SLUICE_E_CONFIG_VALUE, &instance->origin,
                           "plugins.instances.%s.on_error is \"%.60s\" but must "
                           "be " ERROR_RULE_WORDS,
                           instance->name, instance->on_error);
        }
    }
}

static void rules_check(struct builder *builder)
{
    const struct sl_config *config = builder->config;
    for (size_t i = 0; i < SL_COUNT_OF(bounds); i++) {
        bound_check(builder, &bounds[i]);
    }
    observe_check(builder);
    on_error_check(builder);
    if (!is_affinity(config->runtime.affinity)) {
        config_problem(builder->report, SLUICE_E_CONFIG_VALUE, NULL,
                       "runtime.affinity is \"%.60s\" but must be auto, none, or a list of "
                       "processors such as 0,2-3",
                       config->runtime.affinity);
    }
    if (strlen(config->admin.socket) > SOCKET_PATH_MAX) {
        config_problem(builder->report, SLUICE_E_CONFIG_VALUE, NULL,
                       "admin.socket \"%.120s\" is longer than a socket path may be (107); set "
                       "admin.socket to a shorter path",
                       config->admin.socket);
    }
}

sl_err config_build(struct config_arena *arena, const struct config_node *root, bool dev,
                    const char *executable, struct config_report *report,
                    struct sl_config **ret_config)
{
    struct sl_config *config = config_arena_get(arena, sizeof(*config));
    struct config_origin *origins = config_arena_get(arena, config_option_count * sizeof(*origins));
    if (config == NULL || origins == NULL) {
        return config_no_memory(report);
    }
    struct builder builder = {arena, report, root, config, origins};
    config->dev = dev;
    config->root = root;
    config->origins = origins;
    if (executable != NULL &&
        (config->executable = config_arena_text(arena, executable, strlen(executable))) == NULL) {
        return config_no_memory(report);
    }
    sl_err err = options_build(&builder);
    if (err == SLUICE_OK) {
        err = derived_build(&builder);
    }
    if (err != SLUICE_OK) {
        return err;
    }
    rules_check(&builder);
    if (report->count > 0) {
        return report->first;
    }
    config->arena = arena;
    *ret_config = config;
    return SLUICE_OK;
}

struct sl_config *config_free(struct sl_config *config)
{
    if (config != NULL) {
        config_arena_free(config->arena); /* holds the struct too */
    }
    return NULL;
}
