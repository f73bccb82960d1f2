/* stage_output.h: verdicts of a worker in, record batches for a commit out.
 *
 * One builder per target partition; a batch that grows large is finished and another begun. Where a
 * record may go is decided here, whatever the worker said: topics that are not granted, internal or
 * of another shard make the record a rejected one. Rejected records go to the stage's dead-letter
 * topic with the reason and their origin as headers (dead_letter.h), or where on_error says. One
 * thread; memory is kept between uses. */
#ifndef SL_STAGE_STAGE_OUTPUT_H
#define SL_STAGE_STAGE_OUTPUT_H

#include "catalog/topic_name.h"
#include "shard/commit.h"
#include "stage/stage_count.h"
#include "stage/stage_errors.h"
#include "stage/stage_input.h"

#include <sandbox/channel.h>

#define STAGE_OUTPUT_BATCH_BYTES (512u << 10)
#define STAGE_OUTPUT_TARGETS_MAX 1024u
#define STAGE_REASON_BYTES       256u

/* Where an instance's records may go; the same for all its tasks of a shard. [borrowed] */
struct output_rules {
    struct shard *shard;
    const char *instance;
    const char *principal;     /* "Plugin:<instance>" */
    const char *version;       /* of the plugin, for dead letters */
    bool any;                  /* all but internal topics */
    const char *const *grants; /* topics beside the default output */
    uint32_t grant_count;
    struct error_rule on_error;
};

/* Where changes of the state go (stage_state.h). */
struct output_state {
    struct sl_uuid topic_id; /* of the input */
    int64_t version;         /* state_version of the plugin */
    bool with_version;       /* it is written along */
};

/* The records that the verdicts are about. */
struct output_source {
    const struct batch_view *view; /* as the worker got it */
    const struct topic *topic;
    uint32_t partition;
    struct sl_bytes default_topic;    /* where passed records go; empty: nowhere */
    const struct output_state *state; /* NULL: the records have none */
    bool given_up;                    /* the first record has had all retries of on_error */
    /* Of dead letters that were handed back: how often, by record, before now. NULL: no dead
     * letters. Whatever on_error says, they become dead letters again. */
    const uint32_t *redrives;
};

/* Why the verdicts were not taken to their end. */
enum output_halt {
    OUTPUT_WHOLE,
    OUTPUT_ASKED,   /* the plugin asks for a retry */
    OUTPUT_RETRIES, /* the record failed, on_error: retry */
    OUTPUT_STOPPED, /* on_error: stop */
    OUTPUT_TRIPPED, /* STAGE_FAILURES_ROW failed in a row, and this one would be the next */
};

struct output_target {
    struct partition *partition; /* referenced */
    struct sl_buffer bytes;
    struct batch_builder builder;
    bool open;
};
struct output_batch {
    uint32_t target;
    size_t start;
    size_t size;
};

struct stage_output {
    struct output_target **targets; /* owned, each apart: a builder points into its target */
    uint32_t target_count;
    uint32_t target_capacity;
    uint32_t last_target;
    struct output_batch *batches; /* owned; finished */
    uint32_t batch_count;
    uint32_t batch_capacity;
    struct header_room headers;
    uint64_t written, dropped, rejected, passed;
    uint64_t discarded;    /* on_error: drop */
    uint64_t failed;       /* by the plugin's fault, of rejected and discarded */
    uint32_t row;          /* of those, in a row; kept by a reset */
    enum output_halt halt; /* else the records from halt_offset on come again */
    int64_t halt_offset;
    uint32_t halt_index;
    bool is_cut; /* what becomes of record cut_index was decided here, against the worker's word */
    uint32_t cut_index;
    char reason[STAGE_REASON_BYTES];         /* of the halt, or of the last rejection */
    char last_reason[STAGE_ERROR_BYTES];     /* of the last record that failed; empty: none */
    char missing[TOPIC_NAME_BYTES_MAX + 1u]; /* with E_NOT_FOUND: this topic must be made first */
};

void stage_output_init(struct stage_output *output);
void stage_output_fini(struct stage_output *output);
/* Empty again; memory above a bound goes back. */
void stage_output_reset(struct stage_output *output);

/* All verdicts of the result, in order, and its changes of the state. E_NOT_FOUND: output->missing
 * must be made; E_LIMIT (too many targets), E_NO_MEMORY; E_BUSY: the state of the result counts on
 * record cut_index, which may not go out: the records before it must be processed without it, and
 * it alone, when the changes of a result are left out. On an error the output is as reset. */
sl_err stage_output_take(struct stage_output *output, const struct output_rules *rules,
                         const struct output_source *source,
                         const struct sandbox_result *result) SL_MUST_CHECK;
/* The record, number `index` of the source, goes to the dead-letter topic. Errors as above. */
sl_err stage_output_reject(struct stage_output *output, const struct output_rules *rules,
                           const struct output_source *source, const struct record_view *record,
                           uint32_t index, struct sl_bytes reason) SL_MUST_CHECK;
/* The name of the dead-letter topic of an instance. */
void stage_dead_letter_name(const char *instance, char ret_name[TOPIC_NAME_BYTES_MAX + 1u]);
/* The partition of an internal topic that goes with a partition of the shard. False: none. */
bool stage_output_near(const struct shard *shard, const struct topic *topic, uint32_t wanted,
                       uint32_t *ret_number);
/* stage_deltas.c: the changes of the state. Errors as above. */
sl_err stage_output_deltas(struct stage_output *output, const struct output_rules *rules,
                           const struct output_source *source,
                           const struct sandbox_result *result) SL_MUST_CHECK;
void stage_output_state_key(const struct output_state *state, uint32_t partition,
                            uint8_t *ret_head); /* STAGE_STATE_KEY_HEAD bytes */
/* The name of the state topic of an instance. */
void stage_state_name(const char *instance, char ret_name[TOPIC_NAME_BYTES_MAX + 1u]);
/* Finishes the builders. Afterwards batch_count batches are there. */
sl_err stage_output_finish(struct stage_output *output) SL_MUST_CHECK;
/* Fills batch_count commit batches; their bytes live until the reset. */
void stage_output_batches(struct stage_output *output, struct commit_batch *ret_batches);

/* Where one emitted record may go. *ret_target is a partition of this shard. E_NOT_FOUND (missing),
 * E_PERMISSION, E_UNKNOWN_TOPIC, E_UNSUPPORTED with a sentence in output->reason. */
sl_err stage_output_route(struct stage_output *output, const struct output_rules *rules,
                          const struct output_source *source, struct sl_bytes topic,
                          int32_t partition, const struct record_fields *fields,
                          struct partition **ret_target) SL_MUST_CHECK;
/* Appends to the batch under way for the partition. */
sl_err stage_output_append(struct stage_output *output, struct partition *partition,
                           const struct record_fields *fields) SL_MUST_CHECK;
/* The fields of an emitted record; headers are views into the output's room. */
sl_err stage_output_emit_fields(struct stage_output *output, const struct sandbox_verdict *verdict,
                                int64_t input_timestamp,
                                struct record_fields *ret_fields) SL_MUST_CHECK;

#endif
