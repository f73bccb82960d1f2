/* cli_kafka_probe.h: the two calls with which a Kafka client begins, as bytes: ApiVersions 0 (which
 * calls there are) and Metadata 2 (which brokers there are, and where), for `sluice debug connect`.
 * Pure. [any] */
#ifndef SL_CLI_CLI_KAFKA_PROBE_H
#define SL_CLI_CLI_KAFKA_PROBE_H

#include "base/bytes.h"

#define PROBE_REQUEST_BYTES 64u
#define PROBE_ANSWER_MAX    (1u << 20) /* bytes; a larger one is not of a broker */
#define PROBE_NODES_MAX     64u
#define PROBE_HOST_BYTES    256u
#define PROBE_METADATA      2 /* the version */

struct probe_node {
    int32_t id;
    int32_t port;
    char host[PROBE_HOST_BYTES];
};
struct probe_cluster {
    char id[64]; /* "": it has none */
    struct probe_node nodes[PROBE_NODES_MAX];
    uint32_t node_count;
    uint32_t node_total; /* in the answer */
};

/* The whole request with its size; how many bytes. */
size_t probe_versions_request(int32_t correlation, uint8_t ret_bytes[PROBE_REQUEST_BYTES]);
size_t probe_metadata_request(int32_t correlation, uint8_t ret_bytes[PROBE_REQUEST_BYTES]);

/* Of an answer without its size. False: it is none of that call. */
bool probe_versions_answer(struct sl_bytes answer, int32_t correlation, bool *ret_has_metadata);
bool probe_metadata_answer(struct sl_bytes answer, int32_t correlation,
                           struct probe_cluster *ret_cluster);

#endif
