/* plugin_permission.h: what a plugin may have beside records: words of its manifest and of the
 * operator's configuration. It gets what both say. [any]
 *
 *   "read-only /absolute/path"     a regular file, opened by the host for reading
 *   "network-client host:port"     one TCP connection, made by the host
 *   "library NAME"                 a shared library: an absolute path, or a name without a slash
 *                                  that the system's loader finds; "library *" in a manifest asks
 *                                  for those that the configuration names
 *   "read_config"                  the broker's public configuration (sluice.broker_config/1); its
 *                                  own it always sees
 *   "write_metrics"                metrics of its own (sluice.metrics/1) */
#ifndef SL_PLUGIN_PLUGIN_PERMISSION_H
#define SL_PLUGIN_PLUGIN_PERMISSION_H

#include "base/base.h"

#define PERMISSIONS_MAX         8u
#define PERMISSION_NAME_BYTES   256u
#define PERMISSION_REASON_BYTES 256u

enum permission_kind {
    PERMISSION_FILE = 1,       /* = SANDBOX_RESOURCE_FILE */
    PERMISSION_CONNECTION = 2, /* = SANDBOX_RESOURCE_CONNECTION */
    PERMISSION_LIBRARY = 3,    /* = SANDBOX_RESOURCE_LIBRARY */
    PERMISSION_READ_CONFIG,
    PERMISSION_WRITE_METRICS,
};
struct plugin_permission {
    uint32_t kind;                    /* enum permission_kind */
    char name[PERMISSION_NAME_BYTES]; /* path, host:port or library; empty */
};
struct plugin_permissions {
    struct plugin_permission items[PERMISSIONS_MAX];
    uint32_t count;
};

/* Adds one, each once. E_UNSUPPORTED, E_LIMIT, E_INVALID with a sentence. */
sl_err plugin_permission_add(struct plugin_permissions *permissions, const char *text,
                             char ret_reason[PERMISSION_REASON_BYTES]) SL_MUST_CHECK;
bool plugin_permission_has(const struct plugin_permissions *permissions,
                           const struct plugin_permission *permission);
/* Of what the configuration grants, what the manifest asks for. */
void plugin_permission_both(const struct plugin_permissions *asked,
                            const struct plugin_permissions *granted,
                            struct plugin_permissions *ret_both);
/* "library *": names none by itself. */
bool plugin_permission_is_any(const struct plugin_permission *permission);
/* As it is written. */
void plugin_permission_text(const struct plugin_permission *permission, char *ret_text,
                            size_t size);

#endif
