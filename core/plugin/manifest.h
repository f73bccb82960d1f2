/* manifest.h: the JSON in a module's ELF note, read without running code
 * (sdk/include/sluice/plugin.h).
 *
 *   {"id":"mask","version":"1.0.0","kind":"processor","on":"log","input":"orders" | ["a","b*"],
 *    "output":"%s.masked","outputs":["audit"],"config":{schema},"defaults":{…},
 *    "limits":{"memory_bytes":…,"cpu_percent":…,"deadline_ms":…,"descriptors":…,"state_bytes":…},
 *    "permissions":["read-only /a/path","network-client host:port"],"state_version":2,
 *    "state_import":[1],"on_error":"dead-letter" | "drop" | "retry" | "retry 5" | "stop"}
 *
 * Hostile input: everything is checked and copied into bounded memory; a fault is one sentence.
 * Unknown keys are refused, so that a misspelt limit is not a limit that does not hold. [any] */
#ifndef SL_PLUGIN_MANIFEST_H
#define SL_PLUGIN_MANIFEST_H

#include "catalog/error_rule.h"
#include "plugin/plugin_permission.h"

#define MANIFEST_BYTES_MAX      (64u << 10)
#define MANIFEST_ID_BYTES       65u /* with NUL */
#define MANIFEST_VERSION_BYTES  65u
#define MANIFEST_TOPIC_BYTES    252u
#define MANIFEST_TOPICS_MAX     16u
#define MANIFEST_DEFAULTS_BYTES (16u << 10)
#define MANIFEST_REASON_BYTES   256u

#define MANIFEST_IMPORTS_MAX 8u

#define MANIFEST_PROCESSOR 1
#define MANIFEST_FRONTEND  2

struct manifest {
    char id[MANIFEST_ID_BYTES];
    char version[MANIFEST_VERSION_BYTES];
    int32_t kind; /* MANIFEST_* */
    int32_t on;   /* SLUICE_ON_*; 0: not said */
    char inputs[MANIFEST_TOPICS_MAX][MANIFEST_TOPIC_BYTES];
    uint32_t input_count;
    char output[MANIFEST_TOPIC_BYTES]; /* empty: not said */
    char outputs[MANIFEST_TOPICS_MAX][MANIFEST_TOPIC_BYTES];
    uint32_t output_count;
    char *defaults;       /* owned: JSON object as text; NULL: none */
    int64_t memory_bytes; /* 0: not said, as the four below */
    int64_t deadline_ms;
    int64_t descriptors;
    int64_t cpu_percent; /* of one processor */
    struct error_rule on_error;
    int64_t state_bytes; /* of the state of one partition */
    int64_t state_version;
    int64_t state_import[MANIFEST_IMPORTS_MAX]; /* state_versions whose state it takes as well */
    uint32_t state_import_count;
    struct plugin_permissions permissions; /* that it asks for */
};

/* E_PLUGIN_MANIFEST with a sentence, E_UNSUPPORTED (a permission that this version cannot give),
 * E_NO_MEMORY. */
sl_err manifest_parse(struct sl_bytes text, struct manifest *ret_manifest,
                      char ret_reason[MANIFEST_REASON_BYTES]) SL_MUST_CHECK;
void manifest_fini(struct manifest *manifest);
/* The rules of the parts, for what a module says of itself in other ways (a Lua script). */
bool manifest_id_is_valid(struct sl_bytes id);
/* A topic name, with one '*' at the end where pattern, with one "%s" where output. Internal topics
 * are refused. */
sl_err manifest_topic_check(struct sl_bytes text, bool pattern, bool output,
                            char ret_reason[MANIFEST_REASON_BYTES]) SL_MUST_CHECK;

#endif
