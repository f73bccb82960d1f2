/* plugin_version.h: one loadable state of an instance: code, script, configuration, limits.
 * Immutable, shared by the shards, counted; the last reference frees it. [any] */
#ifndef SL_PLUGIN_PLUGIN_VERSION_H
#define SL_PLUGIN_PLUGIN_VERSION_H

#include "plugin/manifest.h"

#include <sandbox/sandbox.h>
#include <stdatomic.h>

#define PLUGIN_HASH_SIZE  32u
#define PLUGIN_FILE_BYTES 256u
#define PLUGIN_STAGE_MS   5000u /* deadline of a batch in a stage */
#define PLUGIN_GATE_MS    50u

/* A module's bytes, staged. Shared by versions (all Lua instances run the same module). */
struct plugin_module {
    _Atomic uint32_t refs;
    struct staged_module staged;
    struct manifest manifest; /* id empty: the file has none */
    uint8_t hash[PLUGIN_HASH_SIZE];
};

struct plugin_version {
    _Atomic uint32_t refs;
    struct plugin_module *module; /* referenced */
    char instance[MANIFEST_ID_BYTES];
    char file[PLUGIN_FILE_BYTES];   /* base name, "mask.lua" */
    uint8_t hash[PLUGIN_HASH_SIZE]; /* of the file */
    char hash_text[9];
    uint8_t *script; /* owned; NULL: the module itself is the plugin */
    size_t script_size;
    char *config_json;        /* owned */
    char *broker_config_json; /* owned; NULL: it may not read that */
    struct sandbox_limits limits;
    struct channel_geometry geometry;
    struct plugin_permissions granted; /* by the configuration */
    struct plugin_permissions has;     /* of these, what the manifest asks for */
    bool observe; /* see sandbox_spawn; the configuration allows it in --dev alone */
};

/* Stages the bytes and reads the manifest. E_PLUGIN_LOAD, E_PLUGIN_MANIFEST … with a sentence.
 * [blocks briefly] */
sl_err plugin_module_new(struct sl_bytes bytes, const uint8_t hash[PLUGIN_HASH_SIZE],
                         struct plugin_module **ret_module,
                         char ret_reason[MANIFEST_REASON_BYTES]) SL_MUST_CHECK;
struct plugin_module *plugin_module_ref(struct plugin_module *module);
struct plugin_module *plugin_module_unref(struct plugin_module *module); /* NULL is fine */

/* Zeroed, one reference, with a reference to the module. NULL: no memory. */
struct plugin_version *plugin_version_new(struct plugin_module *module) SL_MUST_CHECK;
struct plugin_version *plugin_version_ref(struct plugin_version *version);
struct plugin_version *plugin_version_unref(struct plugin_version *version); /* NULL is fine */

/* SHA-256. [any] */
void plugin_hash(struct sl_bytes bytes, uint8_t ret_hash[PLUGIN_HASH_SIZE]);
void plugin_hash_text(const uint8_t hash[PLUGIN_HASH_SIZE], char *ret_text, size_t size);

#endif
