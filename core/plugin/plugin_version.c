/* plugin_version.c: see plugin_version.h. */
#include "plugin/plugin_version.h"

#include "base/bytes.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

void plugin_hash(struct sl_bytes bytes, uint8_t ret_hash[PLUGIN_HASH_SIZE])
{
    SHA256(bytes.data, bytes.size, ret_hash);
}

void plugin_hash_text(const uint8_t hash[PLUGIN_HASH_SIZE], char *ret_text, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    size_t i = 0;
    for (; i < 2 * PLUGIN_HASH_SIZE && i + 1 < size; i++) {
        ret_text[i] = digits[(hash[i / 2] >> (i % 2 == 0 ? 4 : 0)) & 15];
    }
    ret_text[i] = '\0';
}

static sl_err read_manifest(struct sluice_bytes bytes, struct manifest *ret_manifest,
                            char ret_reason[MANIFEST_REASON_BYTES])
{
    struct sluice_text text;
    sl_err err = staged_manifest(bytes, &text);
    if (err == SLUICE_E_NOT_FOUND) {
        return SLUICE_OK;
    }
    if (err != SLUICE_OK) {
        snprintf(ret_reason, MANIFEST_REASON_BYTES, "the file's notes cannot be read");
        return err;
    }
    struct sl_bytes json = {(const uint8_t *)text.data, (size_t)text.size};
    return manifest_parse(json, ret_manifest, ret_reason);
}

sl_err plugin_module_new(struct sl_bytes bytes, const uint8_t hash[PLUGIN_HASH_SIZE],
                         struct plugin_module **ret_module, char ret_reason[MANIFEST_REASON_BYTES])
{
    struct plugin_module *module = sl_alloc_zero(1, sizeof(*module));
    if (module == NULL) {
        snprintf(ret_reason, MANIFEST_REASON_BYTES, "out of memory");
        return SLUICE_E_NO_MEMORY;
    }
    struct sluice_bytes input = {bytes.data, bytes.size};
    sl_err err = staged_check(input, ret_reason, MANIFEST_REASON_BYTES);
    err = err != SLUICE_OK ? err : read_manifest(input, &module->manifest, ret_reason);
    if (err == SLUICE_OK) {
        err = staged_module_open(input, &module->staged, ret_reason, MANIFEST_REASON_BYTES);
    }
    if (err != SLUICE_OK) {
        manifest_fini(&module->manifest);
        sl_free(module);
        return err;
    }
    memcpy(module->hash, hash, PLUGIN_HASH_SIZE);
    atomic_init(&module->refs, 1);
    *ret_module = module;
    return SLUICE_OK;
}

struct plugin_module *plugin_module_ref(struct plugin_module *module)
{
    atomic_fetch_add_explicit(&module->refs, 1, memory_order_relaxed);
    return module;
}

struct plugin_module *plugin_module_unref(struct plugin_module *module)
{
    if (module != NULL && atomic_fetch_sub_explicit(&module->refs, 1, memory_order_acq_rel) == 1) {
        staged_module_close(&module->staged);
        manifest_fini(&module->manifest);
        sl_free(module);
    }
    return NULL;
}

struct plugin_version *plugin_version_new(struct plugin_module *module)
{
    struct plugin_version *version = sl_alloc_zero(1, sizeof(*version));
    if (version != NULL) {
        atomic_init(&version->refs, 1);
        version->module = plugin_module_ref(module);
        version->limits = SANDBOX_LIMITS_DEFAULT;
        version->geometry = SANDBOX_GEOMETRY_DEFAULT;
    }
    return version;
}

struct plugin_version *plugin_version_ref(struct plugin_version *version)
{
    atomic_fetch_add_explicit(&version->refs, 1, memory_order_relaxed);
    return version;
}

struct plugin_version *plugin_version_unref(struct plugin_version *version)
{
    if (version != NULL &&
        atomic_fetch_sub_explicit(&version->refs, 1, memory_order_acq_rel) == 1) {
        plugin_module_unref(version->module);
        sl_free(version->script);
        sl_free(version->config_json);
        sl_free(version->broker_config_json);
        sl_free(version);
    }
    return NULL;
}
