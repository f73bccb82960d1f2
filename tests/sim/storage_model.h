/* storage_model.h: what a shard must hold, whatever happens to the power.
 *
 * Topics have names that are never used twice; a partition is a list of batches in the order of
 * submission, each with the offsets it must get, and bytes that follow from its number. Recovery
 * must give back a prefix of the list that holds all that was acknowledged, from a log start that
 * was asked for; that prefix is the history from then on. */
#ifndef STORAGE_MODEL_H
#define STORAGE_MODEL_H

#include "record/batch_builder.h"
#include "shard/partition.h"

#define MODEL_TOPICS      3u
#define MODEL_PARTITIONS  3u
#define MODEL_BATCHES_MAX 1024u /* of a partition */
#define MODEL_BATCH_MAX   6000u /* bytes of a batch */
#define MODEL_TIME_MS     1700000000000

struct model_batch {
    uint32_t number; /* of the history: never twice */
    uint32_t size;   /* bytes */
    uint32_t crc;    /* of its content */
    int64_t base_offset;
    uint32_t count; /* records */
    int32_t epoch;
};

struct model_partition {
    struct model_batch batches[MODEL_BATCHES_MAX];
    uint32_t count;
    uint32_t acked;
    int64_t start;        /* acknowledged log start */
    int64_t start_wanted; /* asked for */
};

enum model_topic_state { MODEL_ABSENT, MODEL_CREATING, MODEL_LIVE, MODEL_DELETING };

struct model_topic {
    enum model_topic_state state;
    char name[24];
    uint32_t partition_count;
    struct model_partition partitions[MODEL_PARTITIONS];
};

struct storage_model {
    uint64_t seed;
    uint32_t next_number;
    uint32_t next_topic;
    struct model_topic topics[MODEL_TOPICS];
    struct sl_buffer scratch; /* for building and reading batches */
    char fault[256];          /* "": all is well */
};

void model_init(struct storage_model *model,
                uint64_t seed); /* of memory that is zero, or of before */
void model_fini(struct storage_model *model);
void model_fault(struct storage_model *model, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A batch at the end of the list, or NULL: full. Its bytes come to data, of MODEL_BATCH_MAX. */
struct model_batch *model_append(struct storage_model *model, struct model_partition *partition,
                                 uint32_t records, uint32_t value_size, uint8_t *data);
int64_t model_end(const struct model_partition *partition); /* offset behind the last batch */
/* The batches in `bytes` are those of the list from the one that holds `offset` on; returns the
 * offset behind them. */
int64_t model_compare(struct storage_model *model, struct model_partition *partition,
                      struct sl_bytes bytes, int64_t offset);
/* After recovery: what the shard has is what it may have; it becomes the history. */
void model_judge(struct storage_model *model, struct shard *shard);

#endif
