/* plugin_scan.h: one look at plugins.dir, by a helper: names, hashes, and the bytes of what is new.
 *
 * Files are judged by their SHA-256, so that no event, time stamp or inode has to be trusted. Names
 * that begin with a dot or end in ~ are editors'. New bytes are taken only when the same hash was
 * seen by the scan before (a copy under way is not loaded), or `at_once`. Processors that come with
 * Sluice (processor_ffi.so) need not lie in plugins.dir: an instance names them. */
#ifndef SL_PLUGIN_PLUGIN_SCAN_H
#define SL_PLUGIN_PLUGIN_SCAN_H

#include "os/os.h"
#include "plugin/plugin_version.h"

#define SCAN_FILES_MAX 256u

struct kept_item; /* plugin_kept.h */

struct scan_known {
    char name[PLUGIN_FILE_BYTES];
    uint8_t loaded[PLUGIN_HASH_SIZE]; /* acted on, well or not; zero: never */
    uint8_t seen[PLUGIN_HASH_SIZE];   /* by the scan before */
    bool wanted;                      /* taken as it is, whatever was seen before */
};

struct scan_entry {
    char name[PLUGIN_FILE_BYTES];
    uint8_t hash[PLUGIN_HASH_SIZE];
    bool script;  /* *.lua */
    bool shipped; /* of system_dir */
    bool taken;   /* new and stable, or wanted: one of the following is set */
    bool wanted;
    uint8_t *bytes; /* of a script; owned */
    size_t size;
    struct plugin_module *module;       /* of a module; referenced */
    bool first_party;                   /* a frontend that equals the file of system_dir */
    char reason[MANIFEST_REASON_BYTES]; /* why neither */
};

struct plugin_scan {
    struct sl_job job;
    void (*done)(struct plugin_scan *scan); /* [loop] */
    void *arg;
    struct sl_os *os;
    const char *directory;  /* [borrowed] */
    const char *system_dir; /* [borrowed] */
    bool at_once;
    bool want_lua;            /* processor_lua is not there yet */
    struct scan_known *known; /* owned */
    uint32_t known_count;
    /* Modules that instances name, taken from system_dir where the directory has none of the name;
     * owned. */
    char (*shipped)[PLUGIN_FILE_BYTES];
    uint32_t shipped_count;
    const char *kept_dir; /* its index is read as well; NULL: it was, or there is none */
    /* Result: */
    sl_err kept_err;
    struct kept_item *kept; /* owned */
    uint32_t kept_count;
    sl_err err;                 /* of the directory */
    struct scan_entry *entries; /* owned */
    uint32_t entry_count;
    bool unsettled;            /* something changed since the last scan: look again soon */
    struct plugin_module *lua; /* referenced */
    char lua_reason[MANIFEST_REASON_BYTES];
};

/* A file of that name is looked at. [any] */
bool plugin_scan_is_candidate(const char *name);
/* A whole file, into memory that is the caller's. E_LIMIT: it is larger. [helper] */
sl_err plugin_scan_read(struct sl_os *os, const char *path, uint64_t size_max, uint8_t **ret_bytes,
                        size_t *ret_size) SL_MUST_CHECK;
/* [loop]; done follows. */
void plugin_scan_start(struct plugin_scan *scan, struct sl_loop *loop);
bool plugin_scan_wanted(const struct plugin_scan *scan, const char *name); /* the file */
void plugin_scan_free(struct plugin_scan *scan); /* what was not taken out goes */

#endif
