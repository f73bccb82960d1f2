/* <sluice/quota.h>: how much a user, a client or an address may use (extension "sluice.quota/1").
 *
 * A frontend counts what its peers use; the answer is for how long the peer is to wait, which the
 * frontend tells it where its protocol can, and enforces by not reading from it. Limits are Kafka's
 * client quotas: by user and client id, for each the most specific that is set; what is counted
 * together is what the limit is set for. Nothing is counted while no limit is set. [loop] */
#ifndef SLUICE_QUOTA_H
#define SLUICE_QUOTA_H

#include <sluice/types.h>

/* Id of struct sluice_quota, for sluice_host.get_extension. */
#define SLUICE_EXT_QUOTA "sluice.quota/1"

/* What is limited. */
#define SLUICE_QUOTA_PRODUCE     1 /* producer_byte_rate: bytes per second of requests */
#define SLUICE_QUOTA_FETCH       2 /* consumer_byte_rate: bytes per second of records sent */
#define SLUICE_QUOTA_REQUEST     3 /* request_percentage: nanoseconds of a loop; percent of one */
#define SLUICE_QUOTA_MUTATIONS   4 /* controller_mutation_rate: partitions made or deleted */
#define SLUICE_QUOTA_CONNECTIONS 5 /* connection_creation_rate of an address; the host's own */
#define SLUICE_QUOTA_KINDS       5

/* Whose limits: a text with data NULL is not part of it; an empty one is the default, for all that
 * are not named elsewhere. User, client id, both, or ip alone. */
struct sluice_quota_entity {
    struct sluice_text user;
    struct sluice_text client_id;
    struct sluice_text ip;
};
/* One limit, by the name that Kafka has for it. In a change value 0 takes it away. */
struct sluice_quota_value {
    struct sluice_text key;
    double value;
};
/* All limits of an entity, or those to be changed. */
struct sluice_quota_entry {
    struct sluice_quota_entity entity;
    const struct sluice_quota_value *values;
    uint32_t value_count;
    uint32_t reserved;
};
/* Ends `describe`: all entities, in no order. */
typedef void sluice_quotas_done(void *arg, sluice_status status,
                                const struct sluice_quota_entry *entries, uint32_t count);
/* What became of one entry of a change. */
struct sluice_quota_result {
    sluice_status status;
    uint32_t reserved;
    struct sluice_text reason;
};
/* Ends `alter`: one result for each entry, in order, when all is durable. */
typedef void sluice_quota_results_done(void *arg, const struct sluice_quota_result *results,
                                       uint32_t count);

/* The calls. Borrowed from the host; lives as long as the instance. */
struct sluice_quota {
    uint32_t size;
    uint32_t reserved;
    void *data;
    /* The peer of the context used so much; a negative amount takes back what was counted.
     * Returns the milliseconds that it has to wait; 0: it is within its limit. */
    int32_t (*charge)(const struct sluice_quota *quota, const struct sluice_context *context,
                      int32_t kind, int64_t amount);
    /* The milliseconds that it would have to wait now, when it used nothing more. */
    int32_t (*owed)(const struct sluice_quota *quota, const struct sluice_context *context,
                    int32_t kind);
    /* The most that it may use in all windows together; INT64_MAX: no limit. */
    int64_t (*allowance)(const struct sluice_quota *quota, const struct sluice_context *context,
                         int32_t kind);
    /* A clock for SLUICE_QUOTA_REQUEST, in nanoseconds; 0 while nobody's share is limited. */
    int64_t (*clock_ns)(const struct sluice_quota *quota);
    /* DESCRIBE_CONFIGS and ALTER_CONFIGS of the cluster are asked for: E_CLUSTER_AUTHORIZATION.
     * At most 1000 entries are changed at once; validate_only: nothing is. [borrows all until done]
     */
    void (*describe)(const struct sluice_quota *quota, const struct sluice_context *context,
                     sluice_quotas_done *done, void *arg);
    void (*alter)(const struct sluice_quota *quota, const struct sluice_context *context,
                  const struct sluice_quota_entry *entries, uint32_t count, bool validate_only,
                  sluice_quota_results_done *done, void *arg);
};

#endif
