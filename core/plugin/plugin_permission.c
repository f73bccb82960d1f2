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
    {PERMISSION_LIBRARY, "library", true},
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

/* Blanks would make two of one in a list that is written without quotes. */
static bool is_library(const char *name)
{
    return strpbrk(name, " \t") == NULL &&
           (name[0] == '/' ? is_path(name) : name[0] != '\0' && strchr(name, '/') == NULL);
}

static bool is_name(uint32_t kind, const char *name)
{
    switch (kind) {
    case PERMISSION_FILE:
        return is_path(name);
    case PERMISSION_CONNECTION:
        return is_address(name);
    case PERMISSION_LIBRARY:
        return is_library(name);
    default:
        return name[0] == '\0';
    }
}

static sl_err parse(const char *text, struct plugin_permission *ret_permission, char *ret_reason)
{
    size_t size = strcspn(text, " ");
    const char *name = text + size + strspn(text + size, " ");
    for (size_t i = 0; i < SL_COUNT_OF(kinds); i++) {
        if (strlen(kinds[i].word) != size || memcmp(kinds[i].word, text, size) != 0) {
            continue;
        }
        if (!is_name(kinds[i].kind, name) || strlen(name) >= PERMISSION_NAME_BYTES) {
            snprintf(ret_reason, PERMISSION_REASON_BYTES,
                     "the permission \"%.64s\" must be \"read-only /absolute/path\", "
                     "\"network-client host:port\", \"library NAME\" or "
                     "\"library /absolute/path\", read_config or write_metrics",
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

bool plugin_permission_is_any(const struct plugin_permission *permission)
{
    return permission->kind == PERMISSION_LIBRARY && strcmp(permission->name, "*") == 0;
}

bool plugin_permission_has(const struct plugin_permissions *permissions,
                           const struct plugin_permission *permission)
{
    for (uint32_t i = 0; i < permissions->count; i++) {
        const struct plugin_permission *each = &permissions->items[i];
        if (each->kind == permission->kind &&
            (strcmp(each->name, permission->name) == 0 || plugin_permission_is_any(each))) {
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

void plugin_permission_both(const struct plugin_permissions *asked,
                            const struct plugin_permissions *granted,
                            struct plugin_permissions *ret_both)
{
    struct plugin_permissions both = {.count = 0};
    for (uint32_t i = 0; i < granted->count; i++) {
        const struct plugin_permission *each = &granted->items[i];
        if (plugin_permission_has(asked, each) && !plugin_permission_is_any(each)) {
            both.items[both.count++] = *each;
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
