/* plugin_permission.c: see plugin_permission.h. */
#include "plugin/plugin_permission.h"

#include <stdio.h>
#include <string.h>

static const struct {
    uint32_t kind;
    const char *word;
    bool named;
} kinds[] = {
    {PERMISSION_FILE, "read-only", true},
    {PERMISSION_CONNECTION, "network-client", true},
    {PERMISSION_READ_CONFIG, "read_config", false},
    {PERMISSION_WRITE_METRICS, "write_metrics", false},
};

static bool is_path(const char *name)
{
    return name[0] == '/' && strstr(name, "/../") == NULL;
}

/* "host:port" or "[v6]:port"; the resolver judges the host. */
static bool is_address(const char *name)
{
    const char *colon = strrchr(name, ':');
    if (colon == NULL || colon == name || strpbrk(name, "/ \t") != NULL) {
        return false;
    }
    size_t digits = strspn(colon + 1, "0123456789");
    return digits >= 1 && digits <= 5 && colon[1 + digits] == '\0';
}

static sl_err parse(const char *text, struct plugin_permission *ret_permission, char *ret_reason)
{
    size_t size = strcspn(text, " ");
    const char *name = text + size + strspn(text + size, " ");
    for (size_t i = 0; i < SL_COUNT_OF(kinds); i++) {
        if (strlen(kinds[i].word) != size || memcmp(kinds[i].word, text, size) != 0) {
            continue;
        }
        bool good = kinds[i].kind == PERMISSION_FILE         ? is_path(name)
                    : kinds[i].kind == PERMISSION_CONNECTION ? is_address(name)
                                                             : name[0] == '\0';
        if (!good || strlen(name) >= PERMISSION_NAME_BYTES) {
            snprintf(ret_reason, PERMISSION_REASON_BYTES,
                     "the permission \"%.128s\" must be \"read-only /absolute/path\", "
                     "\"network-client host:port\", read_config or write_metrics",
                     text);
            return SLUICE_E_INVALID;
        }
        *ret_permission = (struct plugin_permission){.kind = kinds[i].kind};
        snprintf(ret_permission->name, sizeof(ret_permission->name), "%s", name);
        return SLUICE_OK;
    }
    snprintf(ret_reason, PERMISSION_REASON_BYTES,
             "the permission \"%.64s\" cannot be given by this version", text);
    return SLUICE_E_UNSUPPORTED;
}

bool plugin_permission_has(const struct plugin_permissions *permissions,
                           const struct plugin_permission *permission)
{
    for (uint32_t i = 0; i < permissions->count; i++) {
        if (permissions->items[i].kind == permission->kind &&
            strcmp(permissions->items[i].name, permission->name) == 0) {
            return true;
        }
    }
    return false;
}

sl_err plugin_permission_add(struct plugin_permissions *permissions, const char *text,
                             char ret_reason[PERMISSION_REASON_BYTES])
{
    struct plugin_permission permission;
    sl_err err = parse(text, &permission, ret_reason);
    if (err != SLUICE_OK || plugin_permission_has(permissions, &permission)) {
        return err;
    }
    if (permissions->count == PERMISSIONS_MAX) {
        snprintf(ret_reason, PERMISSION_REASON_BYTES, "more than %u permissions", PERMISSIONS_MAX);
        return SLUICE_E_LIMIT;
    }
    permissions->items[permissions->count++] = permission;
    return SLUICE_OK;
}

void plugin_permission_both(const struct plugin_permissions *a, const struct plugin_permissions *b,
                            struct plugin_permissions *ret_both)
{
    struct plugin_permissions both = {.count = 0};
    for (uint32_t i = 0; i < a->count; i++) {
        if (plugin_permission_has(b, &a->items[i])) {
            both.items[both.count++] = a->items[i];
        }
    }
    *ret_both = both;
}

void plugin_permission_text(const struct plugin_permission *permission, char *ret_text, size_t size)
{
    const char *word = "";
    for (size_t i = 0; i < SL_COUNT_OF(kinds); i++) {
        word = kinds[i].kind == permission->kind ? kinds[i].word : word;
    }
    snprintf(ret_text, size, "%s%s%s", word, permission->name[0] != '\0' ? " " : "",
             permission->name);
}
