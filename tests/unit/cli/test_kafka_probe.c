/* test_kafka_probe.c: what a Kafka client asks first. */
#include "cli/cli_kafka_probe.h"

#include <criterion/criterion.h>
#include <string.h>

Test(kafka_probe, requests_are_as_kafka_has_them)
{
    static const uint8_t versions[] = "\0\0\0\x1e\0\x12\0\0\0\0\0\7\0\x14sluice-debug-connect";
    static const uint8_t metadata[] =
        "\0\0\0\x22\0\3\0\2\0\0\0\x8\0\x14sluice-debug-connect\0\0\0\0";
    uint8_t bytes[PROBE_REQUEST_BYTES];
    cr_assert_eq(probe_versions_request(7, bytes), sizeof(versions) - 1);
    cr_expect_arr_eq(bytes, versions, sizeof(versions) - 1);
    cr_assert_eq(probe_metadata_request(8, bytes), sizeof(metadata) - 1);
    cr_expect_arr_eq(bytes, metadata, sizeof(metadata) - 1);
}

static const uint8_t answer[] =
    "\0\0\0\2\0\0\0\1\0\0\0\5\0\4host\0\0\x23\x84\xff\xff\0\3abc\0\0\0\5\0\0\0\0";

Test(kafka_probe, brokers_and_cluster_are_read)
{
    struct probe_cluster cluster;
    cr_assert(probe_metadata_answer((struct sl_bytes){answer, sizeof(answer) - 1}, 2, &cluster));
    cr_assert_eq(cluster.node_count, 1);
    cr_expect_eq(cluster.nodes[0].id, 5);
    cr_expect_eq(cluster.nodes[0].port, 9092);
    cr_expect_str_eq(cluster.nodes[0].host, "host");
    cr_expect_str_eq(cluster.id, "abc");
}

Test(kafka_probe, an_answer_that_ends_early_or_is_anothers_is_none)
{
    struct probe_cluster cluster;
    for (size_t size = 0; size < sizeof(answer) - 1 - 8; size++) {
        cr_expect(!probe_metadata_answer((struct sl_bytes){answer, size}, 2, &cluster), "%zu",
                  size);
    }
    cr_expect(!probe_metadata_answer((struct sl_bytes){answer, sizeof(answer) - 1}, 3, &cluster));
}
