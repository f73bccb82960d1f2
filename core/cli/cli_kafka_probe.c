/* cli_kafka_probe.c: see cli_kafka_probe.h. Kafka's protocol: big-endian numbers, strings with 16
 * bits of size, -1: null. */
#include "cli/cli_kafka_probe.h"

#include <stdio.h>
#include <string.h>

#define API_VERSIONS 18
#define API_METADATA 3
#define CLIENT       "sluice-debug-connect"

/* ---- writing ---- */

static void put(uint8_t *bytes, size_t *at, uint32_t value, uint32_t size)
{
    while (size-- > 0) {
        bytes[(*at)++] = (uint8_t)(value >> (8 * size));
    }
}

/* Everything up to the body; the size is written by request_end. */
static size_t request_begin(uint8_t *bytes, int16_t api, int16_t version, int32_t correlation)
{
    size_t at = 4;
    put(bytes, &at, (uint32_t)api, 2);
    put(bytes, &at, (uint32_t)version, 2);
    put(bytes, &at, (uint32_t)correlation, 4);
    put(bytes, &at, (uint32_t)strlen(CLIENT), 2);
    memcpy(bytes + at, CLIENT, strlen(CLIENT));
    return at + strlen(CLIENT);
}

static size_t request_end(uint8_t *bytes, size_t size)
{
    size_t at = 0;
    put(bytes, &at, (uint32_t)(size - 4), 4);
    return size;
}

size_t probe_versions_request(int32_t correlation, uint8_t ret_bytes[PROBE_REQUEST_BYTES])
{
    return request_end(ret_bytes, request_begin(ret_bytes, API_VERSIONS, 0, correlation));
}

size_t probe_metadata_request(int32_t correlation, uint8_t ret_bytes[PROBE_REQUEST_BYTES])
{
    size_t at = request_begin(ret_bytes, API_METADATA, PROBE_METADATA, correlation);
    put(ret_bytes, &at, 0, 4); /* of no topic */
    return request_end(ret_bytes, at);
}

/* ---- reading ---- */

/* What is left of an answer; is_bad: it ended too early, or makes no sense. */
struct reading {
    struct sl_bytes left;
    bool is_bad;
};

static int32_t take(struct reading *reading, uint32_t size)
{
    uint32_t value = 0;
    if (reading->is_bad || reading->left.size < size) {
        reading->is_bad = true;
        return 0;
    }
    for (uint32_t i = 0; i < size; i++) {
        value = value << 8 | reading->left.data[i];
    }
    reading->left.data += size;
    reading->left.size -= size;
    return size == 2 ? (int16_t)value : (int32_t)value;
}

/* A string that may be null; cut to fit, without what would drive a terminal. */
static void take_text(struct reading *reading, char *ret_text, size_t room)
{
    int32_t size = take(reading, 2);
    ret_text[0] = '\0';
    if (size < 0 || reading->is_bad) {
        reading->is_bad = reading->is_bad || size < -1;
        return;
    }
    if (reading->left.size < (size_t)size) {
        reading->is_bad = true;
        return;
    }
    size_t kept = SL_MIN((size_t)size, room - 1);
    for (size_t i = 0; i < kept; i++) {
        uint8_t byte = reading->left.data[i];
        ret_text[i] = byte > 0x20 && byte < 0x7f ? (char)byte : '?';
    }
    ret_text[kept] = '\0';
    reading->left.data += size;
    reading->left.size -= (size_t)size;
}

bool probe_versions_answer(struct sl_bytes answer, int32_t correlation, bool *ret_has_metadata)
{
    struct reading reading = {.left = answer};
    bool is_ours = take(&reading, 4) == correlation;
    int32_t error = take(&reading, 2);
    int32_t count = take(&reading, 4);
    bool found = false;
    for (int32_t i = 0; i < count && !reading.is_bad; i++) {
        int32_t api = take(&reading, 2);
        int32_t low = take(&reading, 2);
        int32_t high = take(&reading, 2);
        found = found || (api == API_METADATA && low <= PROBE_METADATA && high >= PROBE_METADATA);
    }
    *ret_has_metadata = found;
    return is_ours && error == 0 && count >= 0 && !reading.is_bad;
}

bool probe_metadata_answer(struct sl_bytes answer, int32_t correlation,
                           struct probe_cluster *ret_cluster)
{
    char rack[PROBE_HOST_BYTES];
    struct reading reading = {.left = answer};
    struct probe_cluster cluster = {.node_count = 0};
    bool is_ours = take(&reading, 4) == correlation;
    int32_t count = take(&reading, 4);
    for (int32_t i = 0; i < count && !reading.is_bad; i++) {
        struct probe_node node = {.id = take(&reading, 4)};
        take_text(&reading, node.host, sizeof(node.host));
        node.port = take(&reading, 4);
        take_text(&reading, rack, sizeof(rack));
        if (cluster.node_count < PROBE_NODES_MAX && !reading.is_bad) {
            cluster.nodes[cluster.node_count++] = node;
        }
    }
    cluster.node_total = (uint32_t)SL_MAX(count, 0);
    take_text(&reading, cluster.id, sizeof(cluster.id));
    *ret_cluster = cluster;
    return is_ours && count >= 0 && !reading.is_bad;
}
