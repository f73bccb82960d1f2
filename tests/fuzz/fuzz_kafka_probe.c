/* fuzz_kafka_probe.c: answers of whoever listens where a Kafka broker is looked for. */
#include "cli/cli_kafka_probe.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct probe_cluster cluster;
    bool has_metadata = false;
    struct sl_bytes answer = {data, size};
    (void)probe_versions_answer(answer, 1, &has_metadata);
    if (probe_metadata_answer(answer, 2, &cluster)) {
        SL_ASSERT(cluster.node_count <= PROBE_NODES_MAX &&
                  cluster.node_count <= cluster.node_total);
        for (uint32_t i = 0; i < cluster.node_count; i++) {
            SL_ASSERT(strlen(cluster.nodes[i].host) < PROBE_HOST_BYTES);
        }
    }
    return 0;
}
