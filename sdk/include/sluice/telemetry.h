/* <sluice/telemetry.h>: metrics that clients tell of themselves (extension "sluice.telemetry/1").
 *
 * Kafka's clients can be asked for their metrics (KIP-714): subscriptions, which administrators
 * set, say which clients, which metrics and how often. What a client then pushes (OpenTelemetry's
 * metrics, as OTLP encodes them in protobuf) becomes a record of the topic that telemetry.topic
 * names, where any plugin or consumer finds it. Without such a topic the host does not offer this
 * extension, and a frontend does not offer the calls. [loop] */
#ifndef SLUICE_TELEMETRY_H
#define SLUICE_TELEMETRY_H

#include <sluice/types.h>

/* Id of struct sluice_telemetry, for sluice_host.get_extension. */
#define SLUICE_EXT_TELEMETRY "sluice.telemetry/1"

/* Who tells, beside what the context says of it. */
struct sluice_telemetry_client {
    struct sluice_uuid instance; /* that the client has of itself; zeros in ask: it wants one */
    struct sluice_text software_name;
    struct sluice_text software_version;
};
/* What the client is asked for. */
struct sluice_telemetry_wanted {
    struct sluice_uuid instance;
    int32_t subscription_id; /* comes back with each push */
    int32_t interval_ms;     /* between two pushes */
    int32_t bytes_max;       /* of a push, as it is sent and as it expands */
    uint32_t metric_count;
    const struct sluice_text *metrics; /* prefixes of names; one "*": all; none: nothing */
};
/* Ends `ask`; wanted is NULL with an error. */
typedef void sluice_telemetry_wanted_done(void *arg, sluice_status status,
                                          const struct sluice_telemetry_wanted *wanted);
/* What a client tells. */
struct sluice_telemetry_push {
    uint32_t size;
    int32_t subscription_id;
    int32_t compression; /* as in record batches: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd */
    bool terminating;    /* its last words */
    uint8_t reserved[3];
    struct sluice_bytes metrics; /* empty: it has nothing to tell */
};
/* Ends `push`: the record is durable, or why there is none. */
typedef void sluice_telemetry_push_done(void *arg, sluice_status status);

/* The calls. Borrowed from the host; lives as long as the instance. What is given is borrowed until
 * `done`, which runs exactly once, perhaps before the call returns. No access rule is asked:
 * who may connect may tell. */
struct sluice_telemetry {
    uint32_t size;
    uint32_t reserved;
    void *data;
    /* E_QUOTA_EXCEEDED: the client asks again before its interval is over. */
    void (*ask)(const struct sluice_telemetry *telemetry, const struct sluice_context *context,
                const struct sluice_telemetry_client *client, sluice_telemetry_wanted_done *done,
                void *arg);
    /* E_INVALID_REQUEST: no instance, or one that has ended; E_QUOTA_EXCEEDED: too early, or the
     * topic cannot take it now; E_UNKNOWN_SUBSCRIPTION: it is to ask anew; E_UNSUPPORTED_CODEC;
     * E_TELEMETRY_TOO_LARGE; E_INVALID_RECORD: it cannot be opened, expands too far, or the topic
     * refuses it. */
    void (*push)(const struct sluice_telemetry *telemetry, const struct sluice_context *context,
                 const struct sluice_telemetry_client *client,
                 const struct sluice_telemetry_push *push, sluice_telemetry_push_done *done,
                 void *arg);
};

#endif
