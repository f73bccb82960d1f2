/* kafka_load.c: load through librdkafka, as fast as that client goes; one JSON object out.
 *
 *   kafka_load produce BROKER TOPIC RECORDS SIZE CODEC [key=value…]
 *   kafka_load consume BROKER TOPIC RECORDS SIZE PARTITIONS [key=value…]
 *
 * Values are JSON of realistic content and the given size, out of a fixed pool, sent without a
 * copy; acks=all, linger 5 ms. produce ends when every record is acknowledged, consume when RECORDS
 * came. Both print the sum of the CRCs of all values: equal sums and counts mean nothing was lost
 * or changed. Time is from the first to the last record. key=value: further properties of the
 * client. */
#include "base/crc32c.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { POOL_COUNT = 4096, BATCH_MAX = 10000, PARTITIONS_MAX = 64, STALL_MS = 30000 };

struct load {
    rd_kafka_t *client;
    const char *topic;
    uint64_t record_count;
    size_t size;
    uint64_t failed;
    uint64_t sum;
};

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "kafka_load: %s\n", what);
    exit(1);
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void print_result(const char *what, const struct load *load, uint64_t count, double seconds,
                         double client_cpu_s)
{
    printf("{\"what\":\"%s\",\"records\":%llu,\"failed\":%llu,\"size\":%zu,\"seconds\":%.6f,"
           "\"records_per_s\":%.0f,\"client_cpu_s\":%.6f,\"sum\":\"%016llx\"}\n",
           what, (unsigned long long)count, (unsigned long long)load->failed, load->size, seconds,
           (double)count / seconds, client_cpu_s, (unsigned long long)load->sum);
}

/* ---- the records ---- */

static void fill_value(char *value, size_t size, unsigned number)
{
    static const char *const words[] = {"order", "paid", "shipped", "returned", "Berlin", "Lisbon"};
    uint64_t mix = number * 0x9e3779b97f4a7c15u;
    char text[2048];
    int used = snprintf(text, sizeof(text),
                        "{\"id\":%llu,\"user\":\"u%05u\",\"state\":\"%s\",\"cents\":%u,\"note\":\"",
                        (unsigned long long)(9007199254740993u + number), (unsigned)(mix >> 48),
                        words[mix % SL_COUNT_OF(words)], (unsigned)(mix >> 40) % 100000u);
    while ((size_t)used < size) {
        mix = mix * 6364136223846793005u + 1442695040888963407u;
        used += snprintf(text + used, sizeof(text) - (size_t)used, "%s %x ",
                         words[(mix >> 33) % SL_COUNT_OF(words)], (unsigned)(mix >> 52));
    }
    memcpy(value, text, size);
    memcpy(value + size - 2, "\"}", 2);
}

static char *pool_new(size_t size, uint32_t crcs[POOL_COUNT])
{
    char *pool = malloc(POOL_COUNT * size);
    if (pool == NULL) {
        give_up("no memory");
    }
    for (unsigned i = 0; i < POOL_COUNT; i++) {
        fill_value(pool + i * size, size, i);
        crcs[i] = sl_crc32c(pool + i * size, size);
    }
    return pool;
}

/* ---- the client ---- */

static void set(rd_kafka_conf_t *conf, const char *key, const char *value)
{
    char problem[512];
    if (rd_kafka_conf_set(conf, key, value, problem, sizeof(problem)) != RD_KAFKA_CONF_OK) {
        give_up(problem);
    }
}

static void delivered(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    struct load *load = opaque;
    (void)client;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        load->failed++;
    }
}

static rd_kafka_conf_t *conf_new(const char *broker, char **settings, int count)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", broker);
    set(conf, "broker.address.family", "v4");
    for (int i = 0; i < count; i++) {
        char *equals = strchr(settings[i], '=');
        if (equals == NULL) {
            give_up("a setting is key=value");
        }
        *equals = '\0';
        set(conf, settings[i], equals + 1);
        *equals = '=';
    }
    return conf;
}

static void client_start(struct load *load, rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char problem[512];
    rd_kafka_conf_set_opaque(conf, load);
    load->client = rd_kafka_new(type, conf, problem, sizeof(problem));
    if (load->client == NULL) {
        give_up(problem);
    }
}

/* Connects and learns the partitions, so that neither is timed. */
static void warm_up(struct load *load, rd_kafka_topic_t *topic)
{
    for (int tries = 0; tries < 50; tries++) {
        const struct rd_kafka_metadata *metadata = NULL;
        bool found = rd_kafka_metadata(load->client, 0, topic, &metadata, 5000) ==
                         RD_KAFKA_RESP_ERR_NO_ERROR &&
                     metadata->topic_cnt == 1 && metadata->topics[0].partition_cnt > 0;
        if (metadata != NULL) {
            rd_kafka_metadata_destroy(metadata);
        }
        if (found) {
            return;
        }
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    give_up("no metadata of the topic");
}

static void produce_all(struct load *load, rd_kafka_topic_t *topic)
{
    static uint32_t crcs[POOL_COUNT];
    char *pool = pool_new(load->size, crcs);
    for (uint64_t i = 0; i < load->record_count; i++) {
        size_t slot = (size_t)(i % POOL_COUNT);
        while (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, 0, pool + slot * load->size,
                                load->size, NULL, 0, NULL) != 0) {
            if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
                give_up(rd_kafka_err2str(rd_kafka_last_error()));
            }
            rd_kafka_poll(load->client, 1);
        }
        load->sum += crcs[slot];
    }
    if (rd_kafka_flush(load->client, 120000) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        give_up("not everything was acknowledged within two minutes");
    }
    free(pool);
}

static int produce(struct load *load, const char *broker, const char *codec, char **settings,
                   int count)
{
    rd_kafka_conf_t *conf = conf_new(broker, settings, count);
    set(conf, "acks", "all");
    set(conf, "linger.ms", "5");
    set(conf, "compression.codec", codec);
    set(conf, "batch.num.messages", "1000000");
    set(conf, "queue.buffering.max.messages", "1000000");
    set(conf, "queue.buffering.max.kbytes", "1048576");
    set(conf, "delivery.report.only.error", "true");
    rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    client_start(load, RD_KAFKA_PRODUCER, conf);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(load->client, load->topic, NULL);
    warm_up(load, topic);
    double start = now_s(), cpu = cpu_s();
    produce_all(load, topic);
    print_result("produce", load, load->record_count, now_s() - start, cpu_s() - cpu);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(load->client);
    return load->failed == 0 ? 0 : 1;
}

static uint64_t take_batch(struct load *load, rd_kafka_queue_t *queue, rd_kafka_message_t **batch)
{
    ssize_t count = rd_kafka_consume_batch_queue(queue, STALL_MS, batch, BATCH_MAX);
    uint64_t good = 0;
    if (count <= 0) {
        give_up("no record for 30 s");
    }
    for (ssize_t i = 0; i < count; i++) {
        if (batch[i]->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            load->sum += sl_crc32c(batch[i]->payload, batch[i]->len);
            good++;
        }
        rd_kafka_message_destroy(batch[i]);
    }
    return good;
}

static int consume(struct load *load, const char *broker, int partition_count, char **settings,
                   int count)
{
    static rd_kafka_message_t *batch[BATCH_MAX];
    rd_kafka_conf_t *conf = conf_new(broker, settings, count);
    set(conf, "queued.min.messages", "1000000");
    set(conf, "queued.max.messages.kbytes", "524288");
    client_start(load, RD_KAFKA_CONSUMER, conf);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(load->client, load->topic, NULL);
    warm_up(load, topic);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(load->client);
    double cpu = cpu_s(), start = 0;
    for (int i = 0; i < partition_count; i++) {
        if (rd_kafka_consume_start_queue(topic, i, RD_KAFKA_OFFSET_BEGINNING, queue) != 0) {
            give_up(rd_kafka_err2str(rd_kafka_last_error()));
        }
    }
    uint64_t got = 0;
    while (got < load->record_count) {
        got += take_batch(load, queue, batch);
        start = start > 0 ? start : now_s();
    }
    print_result("consume", load, got, now_s() - start, cpu_s() - cpu);
    for (int i = 0; i < partition_count; i++) {
        rd_kafka_consume_stop(topic, i);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(load->client);
    return got == load->record_count ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc < 7) {
        give_up("usage: produce BROKER TOPIC RECORDS SIZE CODEC [key=value…] | "
                "consume BROKER TOPIC RECORDS SIZE PARTITIONS [key=value…]");
    }
    struct load load = {.topic = argv[3],
                        .record_count = strtoull(argv[4], NULL, 10),
                        .size = strtoul(argv[5], NULL, 10)};
    if (load.size < 80 || load.size > 2000) {
        give_up("SIZE is between 80 and 2000");
    }
    if (strcmp(argv[1], "produce") == 0) {
        return produce(&load, argv[2], argv[6], argv + 7, argc - 7);
    }
    int partitions = atoi(argv[6]);
    if (partitions < 1 || partitions > PARTITIONS_MAX) {
        give_up("PARTITIONS is between 1 and 64");
    }
    return consume(&load, argv[2], partitions, argv + 7, argc - 7);
}
