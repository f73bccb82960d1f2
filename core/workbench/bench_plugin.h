/* bench_plugin.h: a plugin file on the workbench: read, staged, and run in a worker of its own,
 * with the walls and limits that a broker would give it. No broker is needed. One thread; what
 * starts a worker or runs a batch [blocks]. */
#ifndef SL_WORKBENCH_BENCH_PLUGIN_H
#define SL_WORKBENCH_BENCH_PLUGIN_H

#include "os/os.h"
#include "plugin/plugin_attachment.h"

#include <sandbox/probe.h>

#define BENCH_TEXT_BYTES     1024u
#define BENCH_PATH_BYTES     4352u
#define BENCH_TOPIC_BYTES    256u
#define BENCH_FILE_BYTES_MAX STAGED_MODULE_SIZE_MAX

/* What every plugin on the bench shares. */
struct bench {
    struct sl_os *os;
    struct sandbox *sandbox;
    char lua_path[BENCH_PATH_BYTES]; /* of processor_lua.so */
};
/* executable: of `sluice`; its worker and its Lua lie beside it. False: a sentence in ret_text. */
bool bench_open(struct bench *bench, struct sl_os *os, const char *executable,
                char ret_text[BENCH_TEXT_BYTES]);
void bench_close(struct bench *bench);

/* A whole file into memory, which sl_free gives back; `size_max` bounds it. E_NOT_FOUND, E_LIMIT …
 * with a sentence. [blocks] */
sl_err bench_read(struct sl_os *os, const char *path, uint64_t size_max, struct sl_bytes *ret_bytes,
                  char ret_text[BENCH_TEXT_BYTES]) SL_MUST_CHECK;

/* A file, read and checked; no code of it has run. */
struct bench_file {
    char name[PLUGIN_FILE_BYTES]; /* base name, "mask.lua" */
    uint8_t hash[PLUGIN_HASH_SIZE];
    struct plugin_module *module; /* referenced; of a script: that which runs it */
    uint8_t *script;              /* owned; NULL: the file is the module */
    size_t script_size;
};
/* E_NOT_FOUND, E_PLUGIN_LOAD, E_PLUGIN_MANIFEST … with a sentence. [blocks] */
sl_err bench_file_open(struct bench *bench, const char *path, struct bench_file *ret_file,
                       char ret_text[BENCH_TEXT_BYTES]) SL_MUST_CHECK;
void bench_file_close(struct bench_file *file);
/* Of the file itself; of a script an empty one. */
const struct manifest *bench_file_manifest(const struct bench_file *file);

struct bench_settings {
    const char *config_json; /* over the module's defaults; NULL: {} */
    const char *rehearsal;   /* sandbox_spawn.rehearsal; NULL: none */
    uint64_t rehearsal_seed;
    struct sl_bytes sample; /* for a frontend's rehearsal; empty: none */
    bool unpaced;           /* no CPU share: validators give it no rest */
    probe_log_fn *log;      /* may be NULL */
    void *log_arg;
};

/* One worker with one instance of the plugin. */
struct bench_plugin {
    const struct bench *bench;
    struct plugin_version *version; /* referenced */
    struct probe probe;
    struct plugin_attachment attachment;
    char attached[BENCH_TEXT_BYTES]; /* why a broker would refuse the attachment; "" */
    char id[MANIFEST_ID_BYTES];      /* of the descriptor, as are the two below */
    char version_text[MANIFEST_VERSION_BYTES];
    char topic[BENCH_TOPIC_BYTES]; /* where records come from unless a case says otherwise */
};
/* Starts it. Errors as probe_open, with a sentence in ret_text; nothing is to be closed then. */
sl_err bench_plugin_start(struct bench_plugin *plugin, const struct bench *bench,
                          const struct bench_file *file, const struct bench_settings *settings,
                          char ret_text[BENCH_TEXT_BYTES]) SL_MUST_CHECK;
void bench_plugin_close(struct bench_plugin *plugin); /* [blocks] NULL probe is fine */
/* Where a record that names no topic goes; "": nowhere. */
void bench_plugin_output(const struct bench_plugin *plugin, const char *input,
                         char ret_topic[BENCH_TOPIC_BYTES]);
/* Whether it may emit there, whoever runs it: its output and those that it names. */
bool bench_plugin_may_write(const struct bench_plugin *plugin, const char *input,
                            struct sl_bytes topic);

#endif
