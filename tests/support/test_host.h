/* test_host: a host in a few lines, for testing processors without a broker.
 *
 * It plays the host's side of <sluice/processor.h>: a configuration, a script, captured log lines
 * and the captured error, and a writer that collects one list of verdicts per batch. It checks the
 * contract while it does so: verdicts in rising order, no verdict after a final one, topics
 * granted, output bounded. Everything is owned by struct test_host and freed by test_host_fini. One
 * thread. */
#ifndef TEST_HOST_H
#define TEST_HOST_H

#include <sluice/sluice.h>

#define TEST_HOST_KEYS_MAX     16u
#define TEST_HOST_TOPICS_MAX   8u
#define TEST_HOST_VERDICTS_MAX 8192u
#define TEST_HOST_LINES_MAX    64u

#define TEST_PASS   'P'
#define TEST_DROP   'D'
#define TEST_EMIT   'E'
#define TEST_REJECT 'R'
#define TEST_RETRY  'T'

/* One call of the writer. Bytes are copies, NUL-terminated beyond their size for comfort. */
struct test_verdict {
    char kind; /* TEST_* */
    uint32_t index;
    char *topic;  /* of an emit, "" for the instance's output */
    char *reason; /* of a reject or retry, else NULL */
    struct sluice_bytes key;
    struct sluice_bytes value;
    int64_t timestamp;
    uint32_t header_count;
    struct sluice_header *headers;
};

struct test_line {
    int32_t level;
    char *text;
};

struct test_host {
    struct sluice_host host;
    struct sluice_writer writer;
    struct sluice_script script;

    /* Configuration: set before init or reconfigure. Borrowed. */
    const char *config_json;
    struct {
        const char *key, *value;
    } config[TEST_HOST_KEYS_MAX];
    uint32_t config_count;

    uint32_t timeout_ms;               /* of each batch; 0: no deadline */
    struct sluice_limits limits;       /* offered when memory_bytes is set */
    struct sluice_resources resources; /* offered when size is set */

    /* Topics that emit may name; empty: every topic. Borrowed. */
    const char *granted[TEST_HOST_TOPICS_MAX];
    uint32_t granted_count;
    uint64_t output_bytes_max; /* 0: no bound */
    uint64_t output_bytes;

    char *error; /* of the last set_error, or NULL */
    struct test_line lines[TEST_HOST_LINES_MAX];
    uint32_t line_count;

    struct test_verdict *verdicts;
    uint32_t verdict_count;
    const char *violation; /* the first breach of the contract, or NULL */
    uint8_t *reserved;

    const struct sluice_processor *processor;
    void *self;
};

void test_host_init(struct test_host *host);
void test_host_fini(struct test_host *host);

/* One key of get_config. [borrows both] */
void test_host_set(struct test_host *host, const char *key, const char *value);
/* The script that "sluice.script/1" offers. [borrows both] */
void test_host_set_script(struct test_host *host, const char *file, const char *source);

/* dlopens a module, checks its descriptor; NULL with a line on stderr when it is not one. Never
 * closed. */
const struct sluice_plugin_descriptor *test_host_open_module(const char *path);

/* create, init, activate. The instance is destroyed again when one fails. */
sluice_status test_host_start(struct test_host *host, const struct sluice_processor *processor);
/* deactivate, destroy; test_host_fini does it too. */
void test_host_stop(struct test_host *host);

/* Runs one batch of records of topic-partition; verdicts of the batch before are freed. */
sluice_status test_host_run(struct test_host *host, const char *topic,
                            const struct sluice_record *records, uint32_t count);
/* A batch of one record at offset 7, time 1000, with this value (NULL: null) and no key. */
sluice_status test_host_run_value(struct test_host *host, const char *value);

/* A record with these texts (NULL: null). [borrows both] */
struct sluice_record test_record(const char *key, const char *value, int64_t offset);

/* The value of the only verdict's output as text; "" when there is not exactly one emit. */
const char *test_host_value(const struct test_host *host);
/* All verdict kinds in order, "PPD". Valid until the next call. */
const char *test_host_kinds(const struct test_host *host);

#endif
