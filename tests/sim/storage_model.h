/* storage_model.h: what the shards must hold, whatever happens to the power.
 *
 * Topics have names that are never used twice; a partition is a list of batches in the order of
 * submission, each with the offsets it must get, and bytes that follow from its number. Recovery
 * must give back a prefix of the list that holds all that was acknowledged, from a log start that
 * was asked for or that retention may choose; in a compacted topic less of it, but the newest
 * record of each key, and never again what was seen to be gone. Producers' sequences follow from
 * the prefix. Committed offsets and positions of stages are the acknowledged one or one that was
 * submitted later; a position and the outputs submitted with it are there together or not at all.
 */
#ifndef STORAGE_MODEL_H
#define STORAGE_MODEL_H

#include "record/batch_builder.h"
#include "shard/partition.h"

#define MODEL_TOPICS      4u
#define MODEL_PARTITIONS  3u
#define MODEL_BATCHES_MAX 512u  /* of a partition */
#define MODEL_BATCH_MAX   4096u /* bytes of a batch */
#define MODEL_RECORDS_MAX 4u    /* of a batch */
#define MODEL_KEYS        12u   /* of a compacted partition */
#define MODEL_TIME_MS     1700000000000
#define MODEL_GROUPS      3u
#define MODEL_SHARDS_MAX  3u
#define MODEL_UNITS_MAX   512u /* of the stage of one shard */
#define MODEL_OUTPUTS_MAX 2u   /* batches in such a unit */

struct model_batch {
    uint32_t number; /* of the history: never twice */
    uint32_t size;   /* bytes */
    uint32_t crc;    /* of its content */
    uint32_t value_size;
    int64_t base_offset;
    uint32_t count; /* records */
    int32_t epoch;
    int32_t sequence; /* of its first record; -1: not of the partition's producer */
    bool has_message; /* its number is its message id */
    uint8_t gone;     /* bit n: record n was seen to be gone (compaction) */
};

struct model_partition {
    struct model_batch batches[MODEL_BATCHES_MAX];
    uint32_t count;
    uint32_t acked;
    int64_t start;        /* acknowledged log start */
    int64_t start_wanted; /* asked for */
    int64_t producer_id;  /* -1: its batches come from nobody */
};

enum model_topic_state { MODEL_ABSENT, MODEL_CREATING, MODEL_LIVE, MODEL_DELETING };

struct model_topic {
    enum model_topic_state state;
    char name[24];
    uint32_t partition_count;
    bool compacted;
    bool deletes;            /* retention and deletion of records are allowed */
    bool keeps_tombstones;   /* for ever */
    int64_t retention_bytes; /* -1: none */
    struct model_partition partitions[MODEL_PARTITIONS];
};

/* A committed offset of a group, by topic and partition. */
struct model_offset {
    int64_t acked; /* -1: none */
    int64_t last;  /* submitted */
};

struct model_output {
    struct model_topic *topic;
    char name[24]; /* of the topic then */
    uint32_t partition;
    uint32_t index; /* of the batch */
};
/* What a stage committed: position n + 1 with these batches. */
struct model_unit {
    struct model_output outputs[MODEL_OUTPUTS_MAX];
    uint32_t output_count;
};
struct model_stage {
    struct model_unit units[MODEL_UNITS_MAX];
    uint32_t count; /* submitted; the position behind the last */
    uint32_t acked;
};

struct storage_model {
    uint64_t seed;
    uint32_t shard_count;
    uint32_t next_number;
    uint32_t next_topic;
    int64_t next_producer;
    int64_t next_offset; /* that a group will commit */
    struct model_topic topics[MODEL_TOPICS];
    struct model_offset offsets[MODEL_GROUPS][MODEL_TOPICS][MODEL_PARTITIONS];
    struct model_stage stages[MODEL_SHARDS_MAX];
    struct sl_buffer scratch; /* for building and reading batches */
    char fault[256];          /* "": all is well */
    /* Files were damaged: what a shard refuses, or a read tells, is no fault but counted. */
    bool is_damaged;
    uint64_t told;
};

/* What recovery gave back, for model_adopt. */
struct model_found {
    bool topics[MODEL_TOPICS];
    uint32_t counts[MODEL_TOPICS][MODEL_PARTITIONS];
    int64_t starts[MODEL_TOPICS][MODEL_PARTITIONS];
    int64_t offsets[MODEL_GROUPS][MODEL_TOPICS][MODEL_PARTITIONS];
    uint32_t positions[MODEL_SHARDS_MAX];
    uint8_t gone[MODEL_TOPICS][MODEL_PARTITIONS][MODEL_BATCHES_MAX];
};

/* model: of memory that is zero, or of before. */
void model_init(struct storage_model *model, uint64_t seed, uint32_t shard_count);
void model_fini(struct storage_model *model);
void model_fault(struct storage_model *model, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static inline bool model_is_well(const struct storage_model *model)
{
    return model->fault[0] == '\0';
}
void model_topic_reset(struct storage_model *model, struct model_topic *topic);

/* A batch at the end of the list, or NULL: full. Its bytes come to data, of MODEL_BATCH_MAX. */
/* The message id of a batch that has one. */
#define MODEL_MESSAGE_BYTES 12u
void model_message_id(const struct model_batch *batch, uint8_t ret_id[MODEL_MESSAGE_BYTES]);
struct model_batch *model_append(struct storage_model *model, struct model_topic *topic,
                                 uint32_t partition, uint32_t records, uint32_t value_size,
                                 bool of_producer, uint8_t *data);
int64_t model_end(const struct model_partition *partition); /* offset behind the last batch */
/* The bytes are what a reader from `offset` on may see; returns the offset behind them. */
int64_t model_compare(struct storage_model *model, const struct model_topic *topic,
                      struct model_partition *partition, struct sl_bytes bytes, int64_t offset);
uint32_t model_record_key(const struct storage_model *model, const struct model_batch *batch,
                          uint32_t record);
bool model_record_is_tombstone(const struct storage_model *model, const struct model_batch *batch,
                               uint32_t record);
/* Offsets that groups commit are tag modulo 64: none is another's. */
uint32_t model_offset_tag(uint32_t group, uint32_t slot, uint32_t partition);
uint32_t model_slot(const struct storage_model *model, const struct model_topic *topic);
struct sl_bytes model_group(uint32_t group);
/* Names of the stage of a shard, and of what it reads. */
struct sl_bytes model_stage_name(void);
struct sl_uuid model_stage_topic(void);

/* After recovery: what the shards have is what they may have. Nothing changes but the fault. */
void model_judge(struct storage_model *model, const struct shard_set *set,
                 struct model_found *ret_found);
/* The same of one shard; of the others found is what model_judge found before. */
void model_judge_shard(struct storage_model *model, const struct shard_set *set, uint32_t index,
                       struct model_found *found);
/* The same of one partition, of what is in topics[slot]; nothing where there is none. */
void model_judge_partition(struct storage_model *model, const struct shard_set *set, uint32_t slot,
                           uint32_t number, struct model_found *found);
/* What was found is the history from now on. */
void model_adopt(struct storage_model *model, const struct model_found *found);

#endif
