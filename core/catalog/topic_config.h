/* topic_config.h: Kafka 4.3's topic configs and ours (`sluice.*`), one table.
 *
 * A row: name, rule, default, broker synonym, documentation, and whether it has an effect yet: keys
 * without one are accepted, stored and shown, and their documentation says so. A topic stores only
 * what was set on it; topic_settings is what is in force after the broker's defaults. */
#ifndef SL_CATALOG_TOPIC_CONFIG_H
#define SL_CATALOG_TOPIC_CONFIG_H

#include "catalog/broker_config.h"

#include <stdio.h>

struct topic_config_key {
    const char *name;
    struct config_rule rule;
    const char *default_value; /* NULL: null */
    const char *synonym;       /* the broker's key for the default; NULL: none */
    const char *documentation;
    bool inert; /* stored, without effect in this version */
};

/* A value set on a topic. */
struct topic_override {
    const struct topic_config_key *key;
    char *value; /* NUL-terminated, owned by the topic */
};

#define TOPIC_OVERRIDES_MAX   64u
#define TOPIC_VALUE_BYTES_MAX 1024u

/* When a record is acknowledged and readable (sluice.durability). */
enum topic_durability {
    TOPIC_FSYNC,  /* when it is synced to disk */
    TOPIC_OS,     /* when it is written: the system has it, a power cut may take it */
    TOPIC_MEMORY, /* when it is in memory: it never is on a disk */
};

const char *topic_durability_text(enum topic_durability durability); /* as it is configured [any] */

/* compression.type: a codec by its number in batches, or as the producer did it. */
#define TOPIC_CODEC_PRODUCER (-1)
#define TOPIC_CODEC_COUNT    5 /* none, gzip, snappy, lz4, zstd */

/* What produce, fetch, retention and compaction look at. */
struct topic_settings {
    int32_t message_bytes_max; /* of a batch: E_BATCH_TOO_LARGE */
    int32_t segment_bytes;     /* of a batch: E_SEGMENT_TOO_SMALL; in the log before it is rolled */
    int64_t segment_ms;        /* in the log before it is rolled */
    bool timestamp_log_append; /* LogAppendTime */
    bool compact;              /* records without a key are refused */
    bool remove;               /* cleanup.policy holds delete */
    enum topic_durability durability;
    int32_t codec;                           /* of batches, or TOPIC_CODEC_PRODUCER */
    int32_t codec_levels[TOPIC_CODEC_COUNT]; /* as the codec numbers them */
    int32_t min_insync_replicas;             /* above 1: acks=all cannot be kept */
    bool takes_letters;                      /* errors.deadletterqueue.group.enable */
    bool validate_records;                   /* sluice.validate=records */
    int64_t timestamp_before_max_ms;         /* E_INVALID_TIMESTAMP when older */
    int64_t timestamp_after_max_ms;          /* … when further ahead */
    int64_t dedup_window_ms;                 /* message ids are remembered so long */
    int64_t retention_ms;                    /* -1: for ever */
    int64_t retention_bytes;                 /* -1: no bound */
    int64_t delete_retention_ms;             /* compaction keeps tombstones so long */
    int64_t min_compaction_lag_ms;           /* younger records are not compacted … */
    int64_t max_compaction_lag_ms;           /* … and older ones are, whatever the ratio */
    double min_dirty_ratio; /* share of bytes not compacted yet from which it begins */
};

uint32_t topic_config_count(void);                                      /* [any] */
const struct topic_config_key *topic_config_at(uint32_t index);         /* [any] */
const struct topic_config_key *topic_config_find(struct sl_bytes name); /* NULL: unknown [any] */

void topic_config_page_write(FILE *out); /* docs/reference/topics.md [any] */

/* SLUICE_OK, or SLUICE_E_INVALID_CONFIG with a sentence: unknown key, bad value, a value that is
 * refused in this version (remote.storage.enable=true). [any] */
sl_err topic_config_check(struct sl_bytes name, struct sl_bytes value,
                          char ret_reason[CONFIG_REASON_BYTES]) SL_MUST_CHECK;
/* Overrides must have passed topic_config_check. [any] */
void topic_settings_resolve(const struct topic_override *overrides, uint32_t override_count,
                            const struct broker_settings *broker,
                            struct topic_settings *ret_settings);
/* All keys with value, source and synonym, for DescribeConfigs. The entries borrow the overrides.
 * [any] */
void topic_config_describe(const struct topic_override *overrides, uint32_t override_count,
                           const struct broker_settings *broker,
                           struct config_entries *ret_entries);

#endif
