/* <sluice/processor.h>: a plugin that sees record batches, as a gate (before the log) or a stage
 * (after).
 *
 * The batch is the unit of a call, the record the unit of error: for every input record the
 * plugin states one verdict (pass, drop, emit any number of records, reject, retry, dead-letter)
 * through the writer; a record without a verdict when process_batch returns SLUICE_OK is passed.
 * A process_batch that returns another status fails the batch as a whole.
 *
 * Lifecycle: create -> init -> activate -> process_batch* -> drain -> deactivate -> destroy, with
 * reconfigure between batches. Every slot but create, process_batch and destroy may be NULL.
 * Calls are serialised per instance. */
#ifndef SLUICE_PROCESSOR_H
#define SLUICE_PROCESSOR_H

#include <sluice/plugin.h>

/* One input record; views are valid until process_batch returns and may be mapped read-only. */
struct sluice_record {
    uint32_t size;
    uint32_t header_count;
    int64_t offset;    /* in the topic; -1 in a gate, before the record has one */
    int64_t timestamp; /* milliseconds since the epoch */
    struct sluice_bytes key;
    struct sluice_bytes value;
    const struct sluice_header *headers;
};

/* Where a plugin is in its batch, for the host to know which record it died of. */
struct sluice_progress {
    volatile uint32_t index; /* of the record that it began last */
};

/* A batch of records of one partition. Record i is at (char *)records + i * record_stride;
 * sluice_batch_record gives it and tells the host. */
struct sluice_batch {
    uint32_t size;
    uint32_t record_count;
    const struct sluice_record *records;
    uint32_t record_stride;
    int32_t partition;
    struct sluice_text topic;
    /* of the producer in a gate; of the instance in a stage */
    const struct sluice_context *context;
    struct sluice_progress *progress; /* NULL: the host does not ask. Only where size covers it */
};

/* The record with that index, which the plugin begins now. A plugin that takes its records one by
 * one through this loses three workers to a record that kills it; one that does not, and gives no
 * verdicts one by one either, some thirteen: the broker must search. Costs one store. */
static inline const struct sluice_record *sluice_batch_record(const struct sluice_batch *batch,
                                                              uint32_t index)
{
    const char *records = (const char *)batch->records;
    if (batch->size >= sizeof(*batch) && batch->progress != NULL) {
        batch->progress->index = index;
    }
    return (const struct sluice_record *)(const void *)(records +
                                                        (size_t)index * batch->record_stride);
}

#define SLUICE_PARTITION_AUTO (-1) /* the host chooses: by key, else as the input record's */

/* One output record. Everything is copied by emit before it returns. */
struct sluice_emit {
    uint32_t size;
    uint32_t header_count;
    /* empty: the instance's output topic (a gate: the input topic, in place) */
    struct sluice_text topic;
    int32_t partition; /* SLUICE_PARTITION_AUTO or a partition of that topic */
    int32_t reserved;
    int64_t timestamp; /* milliseconds; -1: the input record's */
    struct sluice_bytes key;
    struct sluice_bytes value;
    const struct sluice_header *headers;
};

/* Where verdicts go. index is that of an input record of the running batch; verdicts must come in
 * rising order of index, emits of one record one after the other. [process] */
struct sluice_writer {
    uint32_t size;
    uint32_t reserved;
    void *data;
    /* The record goes on unchanged, to the output topic (a gate: stays in place). */
    sluice_status (*pass)(const struct sluice_writer *writer, uint32_t index);
    /* The record ends here. */
    sluice_status (*drop)(const struct sluice_writer *writer, uint32_t index);
    /* The record is replaced by, or fans out to, this record; may be called several times.
     * SLUICE_E_LIMIT: the output budget of the batch is used up. SLUICE_E_PERMISSION: topic not
     * granted. */
    sluice_status (*emit)(const struct sluice_writer *writer, uint32_t index,
                          const struct sluice_emit *record);
    /* The record is refused: a gate's producer gets the reason, a stage's record is dead-lettered.
     * Like retry it takes back what was emitted for the record before. */
    sluice_status (*reject)(const struct sluice_writer *writer, uint32_t index,
                            struct sluice_text reason);
    /* The record, and all after it, come again later. */
    sluice_status (*retry)(const struct sluice_writer *writer, uint32_t index,
                           struct sluice_text reason);
    /* Memory for an output value inside the output buffer, to be filled and then given to emit as
     * value of the next call, which does not copy it again. At most one reservation at a time. */
    sluice_status (*reserve)(const struct sluice_writer *writer, uint64_t size,
                             uint8_t **ret_memory);
    /* As reject, but the fault may be the plugin's: a script's error, a library that failed. Where
     * reject is an answer, this is a failure: it counts as a poison record, and many of them pause
     * the stage or roll a new version back. Only where writer->size covers it. */
    sluice_status (*fail)(const struct sluice_writer *writer, uint32_t index,
                          struct sluice_text reason);
};

/* What a module says of itself once it is initialised, for modules whose manifest is data inside
 * them (a Lua script). Views live as long as the instance. Empty texts: as the manifest or the
 * config says. */
struct sluice_attachment {
    uint32_t size;
    uint32_t on; /* SLUICE_ON_*, 0: unspecified */
    struct sluice_text name;
    struct sluice_text input;  /* topic name, or a pattern with one trailing '*' */
    struct sluice_text output; /* topic name; "%s" is replaced by the input topic */
    uint32_t extra_output_count;
    uint32_t deadline_ms;                    /* 0: the host's default */
    const struct sluice_text *extra_outputs; /* further topics that it may emit to */
    /* Members from here on are there when `size` reaches beyond them. As in a manifest: */
    struct sluice_text on_error; /* "drop", "retry 3" … */
    int64_t state_version;       /* of its state (state.h) … */
    uint32_t state_import_count; /* … and others whose state it takes as well */
    uint32_t reserved;
    const int64_t *state_imports;
};
#define SLUICE_STATE_IMPORTS_MAX 8u /* of state_imports, and of state_import in a manifest */
#define SLUICE_ON_LOG            1u /* stage: after commit */
#define SLUICE_ON_PRODUCE        2u /* gate: before the log */

/* A script given to a processor that interprets one (extension "sluice.script/1"). */
#define SLUICE_EXT_SCRIPT "sluice.script/1"
struct sluice_script {
    uint32_t size;
    uint32_t reserved;
    struct sluice_text file; /* name for messages, "mask.lua" */
    struct sluice_bytes source;
};

/* The entry of a module of SLUICE_KIND_PROCESSOR; constant, shared by all its instances. */
struct sluice_processor {
    uint32_t size;
    uint32_t reserved;
    /* Allocates the instance. No call to the host but log, get_config, get_extension,
     * set_error. [control] */
    sluice_status (*create)(const struct sluice_host *host, void **ret_self);
    /* Reads configuration, compiles, loads; may fail with set_error. [control] */
    sluice_status (*init)(void *self);
    /* Fills *ret with what the module says of its attachment, after init. [control] */
    sluice_status (*describe)(void *self, struct sluice_attachment *ret);
    sluice_status (*activate)(void *self); /* [control] */
    sluice_status (*process_batch)(void *self, const struct sluice_batch *batch,
                                   const struct sluice_writer *writer); /* [process] */
    /* The configuration changed: take it or refuse it (then the old one stays in force).
     * [control] */
    sluice_status (*reconfigure)(void *self);
    sluice_status (*drain)(void *self); /* no batch follows until activate [control] */
    void (*deactivate)(void *self);     /* [control] */
    void (*destroy)(void *self);        /* [control] */
};

#endif
