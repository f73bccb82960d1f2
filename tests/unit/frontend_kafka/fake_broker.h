/* fake_broker.h: a host and a broker for tests of the Kafka frontend, and a client that talks to
 * it.
 *
 * The broker answers from a few fields at once, or holds a kind of call until the test lets it go.
 * The host is as strict as the contract lets it be: input lies in memory of its own for each
 * conn_input and is scribbled over afterwards, a write after a close or a resume without its pause
 * fails the test. */
#ifndef FAKE_BROKER_H
#define FAKE_BROKER_H

#include "kafka_frame.h"
#include "kafka_messages.h"

#include <sluice/sluice.h>

#define FAKE_HELD_MAX    64
#define FAKE_ENTRIES_MAX 64
#define FAKE_TOPIC       "orders"
#define FAKE_PARTITIONS  3
#define FAKE_NODE        7
#define FAKE_TOKEN       UINT64_C(4711)
#define FAKE_CONNECTION  UINT64_C(99)

enum fake_kind {
    FAKE_TOPICS,
    FAKE_CREATE,
    FAKE_DELETE,
    FAKE_CONFIGS,
    FAKE_PRODUCE,
    FAKE_FETCH,
    FAKE_OFFSETS,
    FAKE_PRODUCER_ID,
    FAKE_JOIN,
    FAKE_SYNC,
    FAKE_HEARTBEAT,
    FAKE_LEAVE,
    FAKE_COMMIT,
    FAKE_OFFSET_FETCH,
    FAKE_RECORDS_DELETE,
    FAKE_TXN_PRODUCER,
    FAKE_TXN_END,
    FAKE_TXN_GROUP,
    FAKE_TXN_PARTITIONS,
    FAKE_TXN_OFFSETS,
    FAKE_KINDS
};

struct fake_held {
    enum fake_kind kind;
    void *done; /* pointer to the done function, held as a pointer to a variable of its type */
    void *arg;
    uint32_t count;
    struct sluice_fetch_entry fetch[FAKE_ENTRIES_MAX];
    struct sluice_topic_ref refs[FAKE_ENTRIES_MAX];
    bool all;
};

struct fake {
    struct sluice_host host;
    struct sluice_frontend_host io;
    struct sluice_broker broker;
    const struct sluice_frontend *ops;
    void *self;
    void *conn;
    const char *config_key; /* one key may be set */
    const char *config_value;

    /* the host */
    uint8_t *input; /* not consumed yet */
    size_t input_size;
    size_t wanted;
    bool feeding;
    const uint8_t *fed; /* what the running conn_input was given */
    size_t fed_size;
    uint8_t *output;
    size_t output_size;
    size_t output_read;
    uint32_t token_pieces; /* pieces written by reference */
    uint32_t input_calls;
    uint32_t pauses;
    uint32_t closes;
    bool gone;
    uint32_t line_count;
    char line[512]; /* the last one logged */
    int64_t now_ms;
    uint32_t tick_ms; /* of the last set_tick; 0: none */

    /* the broker */
    bool hold[FAKE_KINDS];
    struct fake_held held[FAKE_HELD_MAX];
    uint32_t held_count;
    uint32_t calls[FAKE_KINDS];
    sluice_status status; /* of every answer */
    bool any_topic;       /* every topic exists */
    bool answers_nothing; /* as a broker without memory does; of produce */
    int32_t throttle_ms;
    int64_t next_offset;
    bool auto_create; /* of the last topics call */
    bool all_topics;
    bool validate_only;
    bool in_input;                        /* the last produced batch lay inside the input */
    struct sluice_produce produce;        /* the last one, without entries */
    struct sluice_produce_entry produced; /* its first entry; texts are gone */
    char produced_topic[64];
    struct sluice_fetch fetch;
    struct sluice_fetch_entry fetched[FAKE_ENTRIES_MAX];
    char fetched_topics[FAKE_ENTRIES_MAX][64];
    const char *records; /* of every fetched partition; NULL: none */
    int64_t high_watermark;
    int32_t diverging_epoch; /* ends at offset 3 */
    uint32_t record_errors;
    struct sluice_group_join join;
    char client_id[64];
    int32_t timestamps_count;
    int64_t timestamps[FAKE_ENTRIES_MAX];
    struct sluice_records_delete deletion; /* the last one's last entry; texts are gone */
    uint32_t leavers;
    bool offsets_of_all;
};

/* Makes the instance and opens a connection. */
void fake_init(struct fake *fake);
/* With one configuration key set. */
void fake_init_config(struct fake *fake, const char *key, const char *value);
void fake_fini(struct fake *fake);

/* The peer sends bytes. */
void fake_send(struct fake *fake, const void *data, size_t size);
/* … a request of the api's request struct. */
void fake_request(struct fake *fake, int16_t key, int16_t version, int32_t correlation_id,
                  const void *message);
/* The bytes of a request; to be freed. */
uint8_t *fake_encode(int16_t key, int16_t version, int32_t correlation_id, const void *message,
                     size_t *ret_size);
/* The next response: must be there, whole, for that correlation id; decoded into static memory. */
const void *fake_response(struct fake *fake, int16_t key, int16_t version, int32_t correlation_id);
/* Whether all output has been read. */
bool fake_is_quiet(const struct fake *fake);
/* The broker answers the held call number `index` (they move up). */
void fake_release(struct fake *fake, uint32_t index);
/* The connection goes away. */
void fake_hang_up(struct fake *fake);

struct sluice_uuid fake_topic_id(void);

#endif
