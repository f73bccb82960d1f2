/* plugin_kept.h: copies of plugins' files on the disk, and what is known of each: so that versions
 * that ran can be put back after a start of the broker (docs/formats/plugin_versions.md).
 *
 *   <data>/plugins/index.json        what is kept, newest first
 *   <data>/plugins/<SHA-256>.so      the bytes of a module; .lua: of a script
 *
 * Whatever is read back may be hostile: the index is taken field by field within bounds, and bytes
 * count only when they have the hash that names them. Each hash is kept once, whoever uses it. */
#ifndef SL_PLUGIN_PLUGIN_KEPT_H
#define SL_PLUGIN_PLUGIN_KEPT_H

#include "os/os.h"
#include "plugin/plugin_manager.h"
#include "plugin/plugin_version.h"

#define KEPT_BYTES_MAX       (256u << 20) /* of all copies; the oldest that do not run go */
#define KEPT_VERSIONS_MAX    (PLUGIN_INSTANCES_MAX * (PLUGIN_PAST_MAX + 1u))
#define KEPT_INDEX_BYTES_MAX (4u << 20)

struct kept_version {
    char instance[MANIFEST_ID_BYTES];
    char file[PLUGIN_FILE_BYTES]; /* "mask.lua" */
    uint8_t hash[PLUGIN_HASH_SIZE];
    uint64_t size;
    char version_text[MANIFEST_VERSION_BYTES];
    char why[PLUGIN_WHY_BYTES]; /* it ended */
    int64_t state_version;
    int64_t since_ms; /* wall clock */
    int64_t until_ms;
    bool is_script;
    bool is_active; /* ran last; then until_ms and why say nothing */
    bool failed;    /* a rollback or a death in the switch ended it */
};

struct kept_item {
    struct kept_version is;
    struct plugin_version *version; /* its code; referenced; NULL: on the disk alone */
};

/* E_CORRUPT: no index. What is wrong in one entry leaves out that one. *ret_items is owned by the
 * caller. [any] */
sl_err kept_index_parse(struct sl_bytes text, struct kept_item **ret_items,
                        uint32_t *ret_count) SL_MUST_CHECK;
/* NULL: no memory; freed by sl_free. [any] */
char *kept_index_print(const struct kept_item *items, uint32_t count) SL_MUST_CHECK;
/* Reads the index; none is fine: 0 items. [helper] */
sl_err kept_index_read(struct sl_os *os, const char *directory, struct kept_item **ret_items,
                       uint32_t *ret_count) SL_MUST_CHECK;
/* Makes the folder hold these items and nothing else: copies what has code and is not there, within
 * the bounds, then the index, then removes what nobody names. Sorts the items, those that are kept
 * first: *ret_kept of them. [helper] */
sl_err kept_write(struct sl_os *os, const char *directory, struct kept_item *items, uint32_t count,
                  uint32_t *ret_kept) SL_MUST_CHECK;
/* The bytes of a copy, owned by the caller. E_NOT_FOUND, E_CORRUPT (other bytes). [helper] */
sl_err kept_read(struct sl_os *os, const char *directory, const uint8_t hash[PLUGIN_HASH_SIZE],
                 bool is_script, uint8_t **ret_bytes, size_t *ret_size) SL_MUST_CHECK;

#endif
