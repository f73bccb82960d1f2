/* cases.h: test cases of a plugin: records in, and what must become of them.
 *
 *   plugin: mask.lua            # file, beside this one or given by hand; optional
 *   config: {keep: 4}           # of every case; optional
 *   cases:
 *     - name: masks a card
 *       topic: orders           # optional, as are config, partition
 *       in:
 *         - {key: k, json: {card: "1234-5678"}, headers: {trace: "1"}}
 *         - {value: no JSON}
 *       out:                    # all that comes out, in order; what a line does not name may be
 * anything
 *         - {topic: orders.masked, json: {card: "****-5678"}}
 *       rejected:               # all that are rejected; records count from 0
 *         - {record: 1, reason: part of the reason}
 *       state: {masked: 3}      # before the first record; of a stage
 *       state_after:            # all of it behind the last one; a list where keys or values are
 *         - {key: masked, value: 4}     # no text: key_base64, value_base64, json
 * or instead of out and rejected:  refused: TEXT (it does not start), error: TEXT (the batch
 * fails).
 *
 * YAML or JSON, as the configuration is read (control/config_tree.h): bounded, without anchors and
 * tags; every fault names file, line and column. Pure but for the run itself. */
#ifndef SL_WORKBENCH_CASES_H
#define SL_WORKBENCH_CASES_H

#include "workbench/bench_run.h"

#include <cjson/cJSON.h>

#define CASES_MAX        1024u
#define CASE_RECORDS_MAX 1024u
#define CASE_HEADERS_MAX 64u

/* A record that must come out; only what is set is looked at. */
struct case_output {
    struct bench_record record;
    bool has_key, has_value, has_timestamp, has_partition;
    bool is_json;      /* the value is compared as JSON */
    const char *topic; /* NULL: not looked at */
    int32_t partition;
};
struct case_rejection {
    uint32_t index;
    const char *reason; /* part of it; "" any */
};

/* A key of the state. */
struct case_entry {
    struct sl_bytes key, value; /* with a zero behind */
    bool is_plain;              /* written without quotes: a script's number, true or false */
};

struct test_case {
    const char *name;
    const char *topic;       /* NULL: the plugin's first input */
    const char *config_json; /* NULL: none */
    int32_t partition;
    uint32_t line; /* in the file */
    struct bench_record *records;
    uint32_t record_count;
    struct case_output *outputs;
    uint32_t output_count;
    struct case_rejection *rejections;
    uint32_t rejection_count;
    struct case_rejection retry; /* with has_retry */
    bool has_retry;
    struct case_entry *state;
    uint32_t state_count;
    struct case_entry *state_after;
    uint32_t state_after_count;
    bool has_state_after;
    const char *refused; /* NULL: it must start */
    const char *error;   /* NULL: the batch must succeed */
};

struct case_file {
    const char *plugin; /* NULL: not said */
    struct test_case *cases;
    uint32_t count;
};

/* Errors in the report; all memory is the arena's. */
sl_err case_file_parse(struct config_arena *arena, struct sl_bytes text, const char *name,
                       struct config_report *report, struct case_file *ret_file) SL_MUST_CHECK;

/* Adds one object for each difference to the array: what, expected, actual. */
void case_judge(const struct test_case *expected, const struct bench_outcome *actual,
                const char *topic, cJSON *differences);
/* … and what became of the state. False: no memory. */
bool case_judge_state(const struct test_case *expected, const struct bench_outcome *actual,
                      struct config_arena *arena, bool is_script, cJSON *differences);

/* Starts the plugin, runs the case, judges it: {"case","ok","line","differences":[…],"logs":[…]}.
 * NULL: no memory. [blocks] */
cJSON *case_run(const struct bench *bench, const struct bench_file *file,
                const struct test_case *expected);

/* A record as an object: key, value (or key_base64, value_base64), headers, timestamp. */
cJSON *case_record_json(const struct bench_record *record, bool with_timestamp);
/* The bytes as people read them: text, or "base64:…"; "null". */
void case_bytes_text(struct sl_bytes bytes, bool is_null, char ret_text[BENCH_TEXT_BYTES]);
/* Adds "key" or, where it is no text, "key_base64". */
void case_add_bytes(cJSON *object, const char *key, struct sl_bytes bytes, bool is_null);

/* The text of a case that says what became of the records, as it is appended to a file of cases. */
sl_err case_write(struct sl_buffer *out, const char *name, const struct bench_input *input,
                  const char *config_json, const struct bench_outcome *outcome) SL_MUST_CHECK;

#endif
