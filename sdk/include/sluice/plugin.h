/* <sluice/plugin.h>: what every module exports and what every host offers.
 *
 * A module is one shared object that exports one constant, `sluice_plugin`. The host never calls
 * into a module before it has checked the descriptor: same major version, minor not newer than
 * its own, every required extension offered. Anything beyond this header is an extension, asked
 * for by id and revision ("sluice.log/1"); an id never changes, not even when it leaves draft;
 * vendors use reverse-DNS ids.
 *
 * A manifest (JSON: id, version, kind, attachment, config schema, limits) may be embedded with
 * SLUICE_MANIFEST; the host reads it from the file's bytes without running code. */
#ifndef SLUICE_PLUGIN_H
#define SLUICE_PLUGIN_H

#include <sluice/types.h>

/* The ABI of these headers: a host takes modules of its own major version whose minor is not
 * newer than its own. */
#define SLUICE_ABI_MAJOR    1u
#define SLUICE_ABI_MINOR    0u
#define SLUICE_PLUGIN_MAGIC 0x31434c53u /* "SLC1" little-endian */

#define SLUICE_KIND_PROCESSOR 1u /* entry is a struct sluice_processor (processor.h) */
#define SLUICE_KIND_FRONTEND  2u /* entry is a struct sluice_frontend (frontend.h) */

/* Levels of sluice_host.log. */
#define SLUICE_LOG_DEBUG 0
#define SLUICE_LOG_INFO  1
#define SLUICE_LOG_WARN  2
#define SLUICE_LOG_ERROR 3

/* The host as a plugin sees it. One per instance; valid from create until destroy returns. */
struct sluice_host {
    uint32_t size;
    uint32_t abi_minor; /* of the host */
    void *data;         /* the host's; pass it back in every call */

    /* Table of an extension, or NULL when it is not offered. [any] */
    const void *(*get_extension)(const struct sluice_host *host, const char *id);

    /* Logs one line under the instance's name; rate-limited by the host. level is
     * SLUICE_LOG_*. [any] */
    void (*log)(const struct sluice_host *host, int32_t level, struct sluice_text line);

    /* The value of one key of the instance's configuration as text ("true", "42", plain strings),
     * or `fallback` when the key is not set. Dotted keys reach into objects ("log.level"). The
     * view lives until the next reconfigure of this instance. [control|process] */
    struct sluice_text (*get_config)(const struct sluice_host *host, const char *key,
                                     struct sluice_text fallback);

    /* The whole configuration of the instance as a JSON object. [control|process] */
    struct sluice_text (*get_config_json)(const struct sluice_host *host);

    /* States why the call that is now running fails; kept by copy, shown to the operator with the
     * status that the call returns. Name the place ("mask.lua:12: …"). [control|process] */
    void (*set_error)(const struct sluice_host *host, struct sluice_text reason);
};

/* What the process of a confined plugin may use, as the operator and the manifest say (extension
 * "sluice.limits/1"); lives as long as the instance. The system enforces it: a plugin that knows it
 * can stop in good order before. The deadline of a call is in its context. */
#define SLUICE_EXT_LIMITS "sluice.limits/1"
struct sluice_limits {
    uint32_t size;
    uint32_t descriptors;  /* open files */
    uint64_t memory_bytes; /* writable private memory of the whole process */
};

/* Files and connections that the host opened for a confined plugin (extension
 * "sluice.resources/1"), because its manifest asks for them and the operator's configuration grants
 * them; it can open none itself. Always offered, the list may be empty: a plugin that cannot do
 * without one refuses in create. They live as long as the instance; a connection that ends is not
 * opened again before the next start of the worker. Calls on a connection block; the deadline of a
 * batch goes on. */
#define SLUICE_EXT_RESOURCES       "sluice.resources/1"
#define SLUICE_RESOURCE_FILE       1u /* read, pread, lseek, fstat */
#define SLUICE_RESOURCE_CONNECTION 2u /* TCP: read, write, send, recv, poll */
/* A shared library that the plugin may load in create, init and activate, never later: dlopen of
 * "/proc/self/fd/<descriptor>", a copy that nobody changes; where descriptor is -1, dlopen of the
 * name, which the system's loader finds. */
#define SLUICE_RESOURCE_LIBRARY 3u
struct sluice_resource {
    uint32_t size;
    uint32_t kind; /* SLUICE_RESOURCE_* */
    int32_t descriptor;
    uint32_t reserved;
    struct sluice_text
        name; /* as granted: "/etc/countries.csv", "geo.example.org:7000", "libm.so.6" */
};
struct sluice_resources {
    uint32_t size;
    uint32_t count;
    uint64_t stride; /* bytes from one item to the next */
    const struct sluice_resource *items;
};

/* The broker's public configuration (extension "sluice.broker_config/1"; NULL, with the reason set
 * as set_error would, without the permission read_config in the manifest and in the operator's
 * configuration). Every key of the broker with the value in force, but nothing of
 * plugins.instances: what other plugins are told is not public. As of the start of the worker. */
#define SLUICE_EXT_BROKER_CONFIG "sluice.broker_config/1"
struct sluice_broker_config {
    uint32_t size;
    uint32_t reserved;
    void *data; /* the host's */
    /* The value of one key as text, as `sluice config show` has it ("data.dir"), or `fallback`.
     * The view lives as long as the instance. [control|process] */
    struct sluice_text (*get)(const struct sluice_broker_config *config, const char *key,
                              struct sluice_text fallback);
    struct sluice_text json; /* all of it: {"data.dir": "…", …} */
};

/* What `reconfigure` is told beside the new configuration, which get_config gives then (extension
 * "sluice.change/1"; always offered by the worker). Outside of reconfigure time_ms is 0 and
 * before_json is empty. */
#define SLUICE_EXT_CHANGE "sluice.change/1"
struct sluice_change {
    uint32_t size;
    uint32_t reserved;
    int64_t time_ms;                /* of the change; milliseconds since 1970 */
    struct sluice_text before_json; /* the configuration before, a JSON object; until the return */
};

/* What a module exports as `sluice_plugin`: constant data, read before any of its code runs. */
struct sluice_plugin_descriptor {
    uint32_t size;  /* sizeof(struct sluice_plugin_descriptor) */
    uint32_t magic; /* SLUICE_PLUGIN_MAGIC */
    uint16_t abi_major;
    uint16_t abi_minor;
    uint32_t kind;                          /* SLUICE_KIND_* */
    const char *id;                         /* "mask", "frontend_kafka": [a-z0-9_.-]{1,64} */
    const char *version;                    /* of the plugin, semantic: "1.2.0" */
    const char *const *required_extensions; /* NULL-terminated, or NULL */
    const void *entry;                      /* by kind */
};

/* The one symbol that a module exports. */
#define SLUICE_PLUGIN_SYMBOL "sluice_plugin"
#define SLUICE_PLUGIN(...)                                             \
    SLUICE_EXPORT const struct sluice_plugin_descriptor sluice_plugin; \
    const struct sluice_plugin_descriptor sluice_plugin = {__VA_ARGS__}

/* ELF note that carries the manifest: owner "Sluice", type 1, descriptor = the JSON text. Keys:
 * id, version, kind ("processor"|"frontend"), on ("log"|"produce"), input (topic name or list),
 * output (topic name), outputs (further topics it may emit to), config (JSON Schema), defaults
 * (object), limits {memory_bytes, cpu_percent, deadline_ms, descriptors, state_bytes}, permissions
 * [..]
 * ("read-only /absolute/path", "network-client host:port", "library NAME"; "library *" asks for
 * those that the configuration names; "read_config", "write_metrics"), state_version and
 * state_import [..] (of its state, see state.h). */
#define SLUICE_MANIFEST_OWNER "Sluice"
#define SLUICE_MANIFEST_TYPE  1u
/* clang-format off */
#define SLUICE_MANIFEST(json)                                                                      \
    struct sluice_manifest_note_ {                                                                 \
        uint32_t owner_size, text_size, type;                                                      \
        char owner[8];                                                                             \
        char text[sizeof(json)];                                                                   \
    };                                                                                             \
    __attribute__((section(".note.sluice.manifest"), used, aligned(4)))                            \
    static const struct sluice_manifest_note_ sluice_manifest_note_ = {                            \
        7, sizeof(json), SLUICE_MANIFEST_TYPE, SLUICE_MANIFEST_OWNER, json}
/* clang-format on */

#endif
