/* <sluice/client.h>: libsluice, the client of Sluice's native protocol (docs/formats/native.md).
 *
 * Two ways to use it, one implementation. A **client** does no input or output: it is fed the bytes
 * that came (sluice_client_feed), says what is to be sent (sluice_client_pending) and when it wants
 * to be woken (sluice_client_deadline), and calls back; it suits any event loop. A **connection**
 * is a client with a socket that blocks. What is asked for is asked of the client in both.
 *
 * Memory: what goes in is copied, what comes out is borrowed until the call says. Threads: a
 * client, its subscriptions and its connection belong to one thread at a time; there are no
 * globals. Callbacks run inside feed, tick, disconnected, free and the calls of a connection, and
 * may call everything of the client but feed, tick, connected, disconnected and free. Everything is
 * bounded: what does not fit is refused with SLUICE_E_WOULD_BLOCK or SLUICE_E_LIMIT and nothing has
 * happened.
 *
 * Errors are those of <sluice/status.h>. SLUICE_E_NETWORK of a request says that its answer was
 * lost with the connection: it may or may not have been carried out. */
#ifndef SLUICE_CLIENT_H
#define SLUICE_CLIENT_H

#include <sluice/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Makes a function visible outside the library, whatever -fvisibility says. */
#define SLUICE_CLIENT_API __attribute__((visibility("default")))

/* One connection's worth of state, without a connection. Opaque. */
struct sluice_client;
/* A subscription of a client. Opaque. */
struct sluice_subscription;
/* A client with a socket. Opaque. */
struct sluice_connection;
/* Records that belong together. Opaque. */
struct sluice_message_batch;

/* -- messages and batches -- */

/* A record with where it is from. Filled by the caller for publishing (begin with
 * sluice_message_of), by the library for a subscriber, whose views last until the callback returns
 * or the next message of the subscription is asked for. */
struct sluice_message {
    uint32_t size;            /* bytes of this struct, set by who fills it */
    int32_t partition;        /* received: its partition; to publish: -1, by the key */
    struct sluice_text topic; /* received: its topic; to publish: where to */
    struct sluice_text id;    /* a name of its own, header sluice-message-id; may be empty */
    int64_t offset;           /* received; not looked at in what is published */
    int64_t timestamp_ms;     /* since 1970; -1: when it arrives at the broker */
    struct sluice_bytes key;
    struct sluice_bytes value;
    uint32_t deliveries;                 /* how often given to anybody, 0: nobody counts */
    uint32_t source;                     /* received: what an acknowledgement names it by */
    uint32_t header_count;               /* of headers, or in header_bytes */
    uint32_t reserved;                   /* 0 */
    const struct sluice_header *headers; /* to publish; NULL in what is received */
    struct sluice_bytes header_bytes;    /* received: read them with sluice_message_header */
};

/* A message to publish, with nothing but a topic and a value; the rest may be set after. [any] */
static inline struct sluice_message sluice_message_of(const char *topic, const void *value,
                                                      uint64_t size)
{
    struct sluice_message message = {0,         -1, {NULL, 0}, {NULL, 0}, 0, -1,   {NULL, 0},
                                     {NULL, 0}, 0,  0,         0,         0, NULL, {NULL, 0}};
    message.size = (uint32_t)sizeof(message);
    message.topic = sluice_text_of(topic);
    message.value.data = (const uint8_t *)value;
    message.value.size = size;
    return message;
}

/* Header `index` of a message, received or not, borrowed as the message is. SLUICE_E_NOT_FOUND:
 * there are fewer. [any] */
SLUICE_CLIENT_API sluice_status sluice_message_header(const struct sluice_message *message,
                                                      uint32_t index,
                                                      struct sluice_header *ret_header);

/* The value of the first header of that name. SLUICE_E_NOT_FOUND. [any] */
SLUICE_CLIENT_API sluice_status sluice_message_find(const struct sluice_message *message,
                                                    const char *name,
                                                    struct sluice_bytes *ret_value);

/* The bytes that a message counts as credit: those of its record. [any] */
SLUICE_CLIENT_API uint64_t sluice_message_size(const struct sluice_message *message);

/* An empty batch. Its messages are kept as the protocol sends them. SLUICE_E_NO_MEMORY. [any] */
SLUICE_CLIENT_API sluice_status sluice_message_batch_new(struct sluice_message_batch **ret_batch);

/* Frees it; NULL is nothing. Parts of a split live on. [any] */
SLUICE_CLIENT_API void sluice_message_batch_free(struct sluice_message_batch *batch);

/* Adds a copy of a message at the end; its topic and partition are the batch's business when it is
 * published. SLUICE_E_LIMIT: more than 64 MiB. SLUICE_E_INVALID: a header's name above 65,535
 * bytes, or 65,535 headers. SLUICE_E_NO_MEMORY. Nothing is added then. [any] */
SLUICE_CLIENT_API sluice_status sluice_message_batch_add(struct sluice_message_batch *batch,
                                                         const struct sluice_message *message);

/* Messages in it. [any] */
SLUICE_CLIENT_API uint32_t sluice_message_batch_count(const struct sluice_message_batch *batch);

/* Bytes that its records take in a frame. [any] */
SLUICE_CLIENT_API uint64_t sluice_message_batch_bytes(const struct sluice_message_batch *batch);

/* Message `index`, borrowed until the batch is changed or freed. SLUICE_E_NOT_FOUND. To go through
 * all: for (i = 0; sluice_message_batch_get(batch, i, &message) == SLUICE_OK; i++). [any] */
SLUICE_CLIENT_API sluice_status sluice_message_batch_get(const struct sluice_message_batch *batch,
                                                         uint32_t index,
                                                         struct sluice_message *ret_message);

/* Parts of at most `count_max` messages each, in order, without copying: they share the memory,
 * which the last of them frees; so they and the batch must stay on one thread. Frees nothing: the
 * caller frees each part. ret_parts has room for `capacity`. SLUICE_E_LIMIT: it would take more,
 * *ret_count says how many. SLUICE_E_INVALID: count_max is 0. SLUICE_E_NO_MEMORY. [any] */
SLUICE_CLIENT_API sluice_status sluice_message_batch_split(const struct sluice_message_batch *batch,
                                                           uint32_t count_max,
                                                           struct sluice_message_batch **ret_parts,
                                                           uint32_t capacity, uint32_t *ret_count);

/* A new batch with the messages of all, in order; copies. SLUICE_E_LIMIT, SLUICE_E_NO_MEMORY. [any]
 */
SLUICE_CLIENT_API sluice_status
sluice_message_batch_merge(const struct sluice_message_batch *const *batches, uint32_t count,
                           struct sluice_message_batch **ret_batch);

/* -- a client -- */

/* Where a client is. */
#define SLUICE_CLIENT_IDLE     0u /* nothing to do: not begun, or ended for good */
#define SLUICE_CLIENT_WAITING  1u /* lost its connection and waits for the next attempt */
#define SLUICE_CLIENT_GREETING 2u /* connected: HELLO and login are under way */
#define SLUICE_CLIENT_READY    3u /* requests are sent */
#define SLUICE_CLIENT_LEAVING  4u /* the server said GOAWAY */

/* What the transport of a client is to do now. */
#define SLUICE_WANT_NOTHING 0u
#define SLUICE_WANT_CONNECT 1u /* make a connection, then call connected or disconnected */
#define SLUICE_WANT_CLOSE   2u /* close the connection and call disconnected */

/* What a login by SCRAM needs, by size of the hash: 256 or 512 bits. Given by
 * sluice_client_openssl() of <sluice/client_tls.h>, or by the application's own. Slots give false
 * when they fail. */
struct sluice_client_hash {
    uint32_t size;
    uint32_t reserved;
    /* The digest of bytes. */
    bool (*digest)(uint32_t bits, struct sluice_bytes data, uint8_t *ret_digest);
    /* HMAC. */
    bool (*hmac)(uint32_t bits, struct sluice_bytes key, struct sluice_bytes data,
                 uint8_t *ret_mac);
    /* PBKDF2 with HMAC, one block. */
    bool (*stretch)(uint32_t bits, struct sluice_bytes password, struct sluice_bytes salt,
                    uint32_t iterations, uint8_t *ret_key);
    /* Bytes that nobody can guess. */
    bool (*random)(uint8_t *ret_bytes, uint64_t size);
};

/* Told when the state of a client changes: one of SLUICE_CLIENT_…, and why: SLUICE_OK or the error
 * with its sentence. */
typedef void sluice_client_state_fn(void *arg, struct sluice_client *client, uint32_t state,
                                    sluice_status why, struct sluice_text text);

/* How a client is made; begin with sluice_client_defaults. Texts end with NUL and are copied. */
struct sluice_client_options {
    uint32_t size;         /* bytes of this struct */
    uint32_t requests_max; /* under way at a time, acknowledgements and replies counted */
    const char *client_id; /* for logs, quotas and metrics of the broker */
    const char *user;      /* NULL: no login, or one with a token */
    const char *password;  /* copied, overwritten with zeros when the client is freed */
    const char *mechanism; /* NULL: the strongest of OAUTHBEARER (with a token) and SCRAM (with a
                            * user, both in printable ASCII) that both sides have; PLAIN must be
                            * named */
    uint64_t pending_bytes_max; /* requests that are not sent yet */
    uint32_t frame_bytes_max;   /* of a frame from the server */
    uint32_t subscriptions_max; /* at a time */
    uint32_t greeting_ms;       /* from connected to ready; then the attempt has failed */
    uint32_t request_ms;        /* until a request has failed with SLUICE_E_TIMEOUT; 0: never */
    uint32_t keepalive_ms;      /* silence after which the server is asked; twice: gone; 0: never */
    uint32_t backoff_min_ms;    /* before the first attempt to connect again; 0: none is made */
    uint32_t backoff_max_ms;    /* it doubles up to this */
    uint32_t look_us;           /* of shm://: a wait looks so long before it sleeps; at most 1 s */
    const struct sluice_client_hash *hash; /* borrowed for the client's life; NULL: no SCRAM */
    sluice_client_state_fn *on_state;      /* or NULL */
    void *arg;                             /* of on_state */
    const char *token; /* for OAUTHBEARER, up to 16 KiB; copied and overwritten as the password */
};

/* The defaults: 1,024 requests, 8 MiB pending, frames of 16 MiB, 1,024 subscriptions, 10 s for a
 * greeting, 30 s for a request, 15 s of silence, attempts after 100 ms to 10 s, 50 us of looking.
 * [any] */
SLUICE_CLIENT_API struct sluice_client_options sluice_client_defaults(void);

/* A client that wants to be connected. [borrows options] SLUICE_E_INVALID: a text or a bound is out
 * of range. SLUICE_E_NO_MEMORY. */
SLUICE_CLIENT_API sluice_status sluice_client_new(const struct sluice_client_options *options,
                                                  struct sluice_client **ret_client);

/* Another token in place of options.token, for the logins that follow: before the server ends the
 * connection of one that has expired. SLUICE_E_INVALID: NULL, or too long. SLUICE_E_NO_MEMORY. */
SLUICE_CLIENT_API sluice_status sluice_client_set_token(struct sluice_client *client,
                                                        const char *token);

/* Ends it: what is under way fails with SLUICE_E_CANCELLED, subscriptions are gone. NULL is
 * nothing. Not from a callback. */
SLUICE_CLIENT_API void sluice_client_free(struct sluice_client *client);

/* Leaves for good: no attempt to connect follows. What is under way fails with SLUICE_E_CANCELLED
 * when the transport has said disconnected. */
SLUICE_CLIENT_API void sluice_client_stop(struct sluice_client *client);

/* SLUICE_CLIENT_… */
SLUICE_CLIENT_API uint32_t sluice_client_state(const struct sluice_client *client);

/* For how many milliseconds the server, whose quota its user has used up, does not read what this
 * client sends, or pushes it nothing, by the time that the client was told last; 0: it does. A
 * server that does not read is not taken for gone. */
#define SLUICE_THROTTLED_INPUT  0u
#define SLUICE_THROTTLED_PUSHES 1u
SLUICE_CLIENT_API int64_t sluice_client_throttled_ms(const struct sluice_client *client,
                                                     uint32_t what);

/* SLUICE_WANT_…; to be asked after each call of the client. */
SLUICE_CLIENT_API uint32_t sluice_client_wants(const struct sluice_client *client);

/* The transport has a connection. `now_ms` here and below: monotonic milliseconds, of any origin.
 */
SLUICE_CLIENT_API void sluice_client_connected(struct sluice_client *client, int64_t now_ms);

/* The transport has lost its connection, or could not make one; `why` is an error. Ephemeral
 * subscriptions and requests that may be repeated wait for the next connection; other requests fail
 * with SLUICE_E_NETWORK. */
SLUICE_CLIENT_API void sluice_client_disconnected(struct sluice_client *client, sluice_status why,
                                                  int64_t now_ms);

/* Takes bytes that came. An error: the server broke the protocol, or the login failed; the client
 * wants its connection closed. */
SLUICE_CLIENT_API sluice_status sluice_client_feed(struct sluice_client *client, const void *data,
                                                   uint64_t size, int64_t now_ms);

/* The bytes that are to be sent, borrowed until the next call of the client; size 0: none. */
SLUICE_CLIENT_API struct sluice_bytes sluice_client_pending(struct sluice_client *client);

/* So many of the pending bytes were sent. */
SLUICE_CLIENT_API void sluice_client_sent(struct sluice_client *client, uint64_t size);

/* When tick is to be called at the latest; INT64_MAX: never. May change with every call. */
SLUICE_CLIENT_API int64_t sluice_client_deadline(const struct sluice_client *client);

/* Does what is due by now. */
SLUICE_CLIENT_API void sluice_client_tick(struct sluice_client *client, int64_t now_ms);

/* -- requests -- */

/* A topic, borrowed as its result is. */
struct sluice_topic_info {
    struct sluice_text name;
    struct sluice_uuid id;
    int32_t partitions;
    uint32_t reserved;
};

/* An offset of a partition; -1: none, and no timestamp. */
struct sluice_offset_info {
    int32_t partition;
    uint32_t reserved;
    int64_t offset;
    int64_t timestamp_ms;
};

/* What came of a request, borrowed until the callback returns. What the request does not bring is
 * 0, -1 or NULL. */
struct sluice_result {
    uint32_t size;
    sluice_status status;
    bool retriable; /* the same request may succeed later */
    bool duplicate; /* publish: it was there already */
    bool delayed;   /* publish: it is durable, will be appended later, and has no offset yet */
    uint8_t reserved;
    int32_t partition;                        /* publish */
    int64_t offset;                           /* publish: of the first record; delayed: -1 */
    int64_t timestamp_ms;                     /* publish; -1: the records have their own */
    struct sluice_text text;                  /* of an error: one sentence */
    const struct sluice_topic_info *topics;   /* of sluice_client_topics */
    const struct sluice_offset_info *offsets; /* of sluice_client_offsets */
    uint32_t count;                           /* of topics or offsets */
    uint32_t reserved2;
    const struct sluice_message *message; /* of sluice_client_request: the answer */
};

/* Called once for each request that was accepted. */
typedef void sluice_done_fn(void *arg, const struct sluice_result *result);

/* Where the offset of a publish begins to be promised. */
#define SLUICE_LEVEL_ACCEPTED 0u /* answered when taken in: nothing is promised */
#define SLUICE_LEVEL_STORED   1u /* as the topic's durability says */

/* How records are published; begin with sluice_publish_to. */
struct sluice_publish {
    uint32_t size;
    int32_t partition; /* -1: by the key of the first record, or by the id */
    struct sluice_text topic;
    struct sluice_text id;   /* at most 64 bytes; the broker takes records of one id once */
    int64_t expected_offset; /* that the first record must get; -1: any */
    uint32_t level;          /* SLUICE_LEVEL_… */
    uint32_t reserved;
    int64_t deliver_at_ms; /* since 1970: appended then, and seen by nobody before; 0: at once. Not
                              with an expected offset */
};

/* A publish to a topic with the defaults: any partition, stored. [any] */
static inline struct sluice_publish sluice_publish_to(const char *topic)
{
    struct sluice_publish publish = {0, -1, {NULL, 0}, {NULL, 0}, -1, SLUICE_LEVEL_STORED, 0, 0};
    publish.size = (uint32_t)sizeof(publish);
    publish.topic = sluice_text_of(topic);
    return publish;
}

/* All functions below that take `done` and `arg` ask the server for something: they copy what they
 * are given, return at once, and `done` is called when it is answered, has timed out or has failed;
 * `done` may be NULL. While there is no connection they wait for one. Errors of the call itself,
 * with which `done` is not called: SLUICE_E_WOULD_BLOCK: pending_bytes_max or requests_max is
 * reached, come again after an answer. SLUICE_E_LIMIT: it would not fit into a frame.
 * SLUICE_E_INVALID: a text above 65,535 bytes, or an argument that cannot be. SLUICE_E_CANCELLED:
 * the client has stopped. SLUICE_E_NO_MEMORY. */

/* Publishes a batch to one partition as one unit, with one acknowledgement. With an id it is sent
 * again after a lost connection; without one it fails with SLUICE_E_NETWORK then. */
SLUICE_CLIENT_API sluice_status sluice_client_publish(struct sluice_client *client,
                                                      const struct sluice_publish *publish,
                                                      const struct sluice_message_batch *batch,
                                                      sluice_done_fn *done, void *arg);

/* Publishes one message to its topic and partition. */
SLUICE_CLIENT_API sluice_status sluice_client_send(struct sluice_client *client,
                                                   const struct sluice_message *message,
                                                   sluice_done_fn *done, void *arg);

/* Publishes a message that wants an answer; `done` gets it in result->message, or SLUICE_E_TIMEOUT
 * after timeout_ms. */
SLUICE_CLIENT_API sluice_status sluice_client_request(struct sluice_client *client,
                                                      const struct sluice_message *message,
                                                      uint32_t timeout_ms, sluice_done_fn *done,
                                                      void *arg);

/* Answers a message that wants it; the topic of `answer` is not looked at. SLUICE_E_INVALID: the
 * message has no address of a requester. SLUICE_E_NOT_FOUND in `done`: the requester is gone. */
SLUICE_CLIENT_API sluice_status sluice_client_reply(struct sluice_client *client,
                                                    const struct sluice_message *request,
                                                    const struct sluice_message *answer,
                                                    sluice_done_fn *done, void *arg);

/* Asks for a sign of life. */
SLUICE_CLIENT_API sluice_status sluice_client_ping(struct sluice_client *client,
                                                   sluice_done_fn *done, void *arg);

/* Topics by pattern, NULL: all but internal ones. */
SLUICE_CLIENT_API sluice_status sluice_client_topics(struct sluice_client *client,
                                                     const char *pattern, sluice_done_fn *done,
                                                     void *arg);

/* A setting of a topic: value NULL is the default again. */
struct sluice_topic_setting {
    const char *key;
    const char *value;
};

/* Makes a topic; partitions -1: the broker's default. */
SLUICE_CLIENT_API sluice_status sluice_client_topic_create(
    struct sluice_client *client, const char *topic, int32_t partitions,
    const struct sluice_topic_setting *settings, uint32_t count, sluice_done_fn *done, void *arg);

/* Deletes a topic and its records. */
SLUICE_CLIENT_API sluice_status sluice_client_topic_delete(struct sluice_client *client,
                                                           const char *topic, sluice_done_fn *done,
                                                           void *arg);

/* Changes settings of a topic; others stay. */
SLUICE_CLIENT_API sluice_status sluice_client_topic_configure(
    struct sluice_client *client, const char *topic, const struct sluice_topic_setting *settings,
    uint32_t count, sluice_done_fn *done, void *arg);

/* Times that mean an end, for sluice_client_offsets. */
#define SLUICE_TIME_END       (-1)
#define SLUICE_TIME_BEGINNING (-2)

/* Where a time is in a topic: milliseconds since 1970, or SLUICE_TIME_…; partition -1: in all. */
SLUICE_CLIENT_API sluice_status sluice_client_offsets(struct sluice_client *client,
                                                      const char *topic, int32_t partition,
                                                      int64_t time_ms, sluice_done_fn *done,
                                                      void *arg);

/* Records before an offset go. */
SLUICE_CLIENT_API sluice_status sluice_client_trim(struct sluice_client *client, const char *topic,
                                                   int32_t partition, int64_t offset,
                                                   sluice_done_fn *done, void *arg);

/* A durable subscription is forgotten. */
SLUICE_CLIENT_API sluice_status sluice_client_group_delete(struct sluice_client *client,
                                                           const char *group, sluice_done_fn *done,
                                                           void *arg);

/* -- subscriptions -- */

/* Where a subscription starts. */
#define SLUICE_START_END          0u
#define SLUICE_START_BEGINNING    1u
#define SLUICE_START_OFFSET       2u /* start_value; one topic and a partition */
#define SLUICE_START_TIMESTAMP    3u /* start_value, milliseconds since 1970 */
#define SLUICE_START_LAST_PER_KEY 4u

/* What happens to a subscription besides messages. */
#define SLUICE_SUBSCRIPTION_OPEN      0u /* the server has accepted it, also after a reconnect */
#define SLUICE_SUBSCRIPTION_CAUGHT_UP 1u /* all there was has been sent */
#define SLUICE_SUBSCRIPTION_STALLED   2u /* the next record needs `value` bytes of credit */
#define SLUICE_SUBSCRIPTION_LOST \
    3u /* the connection is gone; what was unacknowledged is given to others */
#define SLUICE_SUBSCRIPTION_ENDED      4u /* by the server or by a refusal; it is still to be closed */
#define SLUICE_SUBSCRIPTION_ACK_FAILED 5u /* of an acknowledgement without `done` */
#define SLUICE_SUBSCRIPTION_GAP        6u /* records were gone when it went on: `value` of them */

/* Gets a message. */
typedef void sluice_message_fn(void *arg, struct sluice_subscription *subscription,
                               const struct sluice_message *message);

/* Gets SLUICE_SUBSCRIPTION_…, with an error and its sentence where there is one, and a number. */
typedef void sluice_subscription_fn(void *arg, struct sluice_subscription *subscription,
                                    uint32_t event, sluice_status status, struct sluice_text text,
                                    uint64_t value);

/* What to subscribe to; begin with sluice_subscribe_to. */
struct sluice_subscribe {
    uint32_t size;
    int32_t partition;          /* -1: all */
    struct sluice_text pattern; /* a topic, or events.*.signup, or events.> */
    struct sluice_text group;   /* empty: ephemeral; else a durable queue */
    struct sluice_text filter;  /* conditions on headers, joined by &; or lua: and an expression */
    int64_t start_value;        /* of SLUICE_START_OFFSET and …_TIMESTAMP */
    uint32_t start;             /* SLUICE_START_… */
    uint32_t ack_ms; /* until an unacknowledged record is given to another; 0: the group's */
    uint64_t credit_records; /* how many the server may have under way */
    uint64_t credit_bytes;   /* and how many bytes of them */
    bool exclusive;          /* durable: the only subscriber of the group */
    bool committed;          /* only records of transactions that are committed */
    bool manual_credit;      /* sluice_subscription_credit gives it; else at half of it what was
                                used is given again */
    uint8_t reserved[5];
    sluice_message_fn *on_message;    /* NULL: messages wait for sluice_subscription_next */
    sluice_subscription_fn *on_event; /* or NULL */
    void *arg;                        /* of both */
};

/* A subscription from the end with the defaults: credit for 1,000 records and 4 MiB. [any] */
static inline struct sluice_subscribe sluice_subscribe_to(const char *pattern)
{
    struct sluice_subscribe subscribe = {
        0,        -1,    {NULL, 0}, {NULL, 0}, {NULL, 0},       0,    0,    0,   1000u,
        4u << 20, false, false,     false,     {0, 0, 0, 0, 0}, NULL, NULL, NULL};
    subscribe.size = (uint32_t)sizeof(subscribe);
    subscribe.pattern = sluice_text_of(pattern);
    return subscribe;
}

/* Subscribes. The subscription is the client's; it lives until it is closed. Errors as of requests;
 * a refusal by the server is SLUICE_SUBSCRIPTION_ENDED. */
SLUICE_CLIENT_API sluice_status
sluice_client_subscribe(struct sluice_client *client, const struct sluice_subscribe *subscribe,
                        struct sluice_subscription **ret_subscription);

/* Ends it: no callback follows, and it is not to be named again. What a durable one holds
 * unacknowledged is given to others; its group stays. NULL is nothing. */
SLUICE_CLIENT_API void sluice_subscription_close(struct sluice_subscription *subscription);

/* The next message that has come, borrowed until the next call of this function or the close.
 * SLUICE_E_WOULD_BLOCK: none is there. The error with which it ended, when all were taken. */
SLUICE_CLIENT_API sluice_status sluice_subscription_next(struct sluice_subscription *subscription,
                                                         struct sluice_message *ret_message);

/* Whether the server has accepted it over the present connection. */
SLUICE_CLIENT_API bool sluice_subscription_is_open(const struct sluice_subscription *subscription);

/* Lets the server send more. For manual_credit; with the other it adds to what may be under way.
 * SLUICE_E_WOULD_BLOCK: pending_bytes_max. */
SLUICE_CLIENT_API sluice_status sluice_subscription_credit(struct sluice_subscription *subscription,
                                                           uint64_t records, uint64_t bytes);

/* What became of records. */
#define SLUICE_ACK_DONE 0u /* done with it */
#define SLUICE_ACK_AGAIN \
    1u /* give it again, to anybody, not before delay_ms; 0: the group's backoff */
#define SLUICE_ACK_REJECT 2u /* nobody can use it: to the dead letters, or away */
#define SLUICE_ACK_EXTEND 3u /* it needs longer: its time begins anew */
#define SLUICE_ACK_UP_TO  4u /* done with all that is held of its partition, up to it */

/* Acknowledges a message of a durable subscription. With `done` it is answered when durable.
 * SLUICE_E_INVALID_RECORD_STATE: it came over a connection that is gone, and was given to others.
 */
SLUICE_CLIENT_API sluice_status sluice_subscription_ack(struct sluice_subscription *subscription,
                                                        const struct sluice_message *message,
                                                        uint32_t what, uint32_t delay_ms,
                                                        sluice_done_fn *done, void *arg);

/* Offsets from first to last, both of them. */
struct sluice_offset_range {
    int64_t first;
    int64_t last;
};

/* Acknowledges ranges of one source at once; otherwise as sluice_subscription_ack. */
SLUICE_CLIENT_API sluice_status
sluice_subscription_ack_ranges(struct sluice_subscription *subscription, uint32_t source,
                               const struct sluice_offset_range *ranges, uint32_t count,
                               uint32_t what, uint32_t delay_ms, sluice_done_fn *done, void *arg);

/* -- a connection that blocks -- */

/* Makes a stream of bytes of a connected socket: TLS (<sluice/client_tls.h>), or another's own.
 * read and write give bytes, 0 when they would block, or less than 0: the negative of an error. */
struct sluice_transport {
    uint32_t size;
    uint32_t reserved;
    void *data;
    /* [takes fd], not blocking, also when it fails; `host` is the name that is to be verified. */
    sluice_status (*start)(void *data, int fd, const char *host, void **ret_session);
    /* Up to `size` bytes that came; the end of the stream is -SLUICE_E_NETWORK. */
    int64_t (*read)(void *session, void *ret_data, uint64_t size);
    /* Up to `size` bytes on their way. */
    int64_t (*write)(void *session, const void *data, uint64_t size);
    /* Whether read waits until the socket may be written to. */
    bool (*wants_write)(void *session);
    /* Closes the socket too. */
    void (*end)(void *session);
    /* Waits until something came, or (writes) there is room to write, or the deadline (milliseconds
     * of CLOCK_MONOTONIC; INT64_MAX: none) has come, which gives false. NULL: the socket tells. */
    bool (*wait)(void *session, bool writes, int64_t deadline_ms);
    /* Of a session that a loop of the application's waits for (sluice_connection_step). sleep: the
     * socket can be read from when something came, or (writes) there is room to write; false: it is
     * so already. wake: what was read or written to wake is taken. Both NULL: the socket tells. */
    bool (*sleep)(void *session, bool writes);
    void (*wake)(void *session);
};

/* Connects and says HELLO. `address`: tcp://host:port, tls://host:port, unix:/path, shm:///path
 * (shared memory, which a broker gives over its Unix socket at the path). `transport`: for tls,
 * borrowed for the connection's life, else NULL. [borrows options] [blocks], at most timeout_ms
 * (-1: for ever). SLUICE_E_INVALID: no such address, or tls without a transport, or one without
 * tls. sluice_connection_why says more. SLUICE_E_TIMEOUT, SLUICE_E_NETWORK, SLUICE_E_AUTHENTICATION
 * and what else the server says: the first attempt has failed and the connection is not there;
 * later ones are made again, as the client's options say. */
SLUICE_CLIENT_API sluice_status sluice_connection_open(const char *address,
                                                       const struct sluice_client_options *options,
                                                       const struct sluice_transport *transport,
                                                       int32_t timeout_ms,
                                                       struct sluice_connection **ret_connection);

/* Why the last sluice_connection_open of this thread failed: one sentence that names the address,
 * and for SLUICE_E_INVALID the forms that are taken. "" when it did not fail. Borrowed until the
 * next one of the thread. [any] */
SLUICE_CLIENT_API const char *sluice_connection_why(void);

/* Sends what is pending, for at most a second, and closes. NULL is nothing. [blocks] */
SLUICE_CLIENT_API void sluice_connection_close(struct sluice_connection *connection);

/* Its client, for everything that can be asked. Borrowed. */
SLUICE_CLIENT_API struct sluice_client *
sluice_connection_client(struct sluice_connection *connection);

/* Sends, receives and calls back until something came or timeout_ms are over. [blocks]
 * SLUICE_E_TIMEOUT: nothing came. The error that ended the client for good. */
SLUICE_CLIENT_API sluice_status sluice_connection_run(struct sluice_connection *connection,
                                                      int32_t timeout_ms);

/* What a connection on a loop of one's own waits for. */
struct sluice_connection_wants {
    uint32_t size;
    int32_t fd; /* -1: for nothing but the deadline */
    bool reads; /* until it can be read from */
    bool writes;
    int64_t deadline_ms; /* of CLOCK_MONOTONIC; INT64_MAX: none */
};

/* For a loop of one's own, whatever the connection is made of (TCP, TLS, a Unix socket, shared
 * memory): sends, receives and calls back as much as there is, and tells what is waited for then.
 * To be called when that is there, and after whatever was asked of the client. ret_wants->size is
 * set by the caller; `fd` may be another one after each call, and is the connection's: it is
 * polled, and nothing else. A connection that was lost is made anew inside, which waits as long as
 * a connect does (10 s at most), for shm:// also for the server's answer (5 s). SLUICE_OK, or the
 * error that ended the client for good. */
SLUICE_CLIENT_API sluice_status sluice_connection_step(struct sluice_connection *connection,
                                                       struct sluice_connection_wants *ret_wants);

/* Something to wait for: `done` and `arg` of a request are sluice_wait_done and a cleared one of
 * these. Its result's views are lost, but for the text and what is copied here. */
struct sluice_wait {
    bool is_done;
    struct sluice_result result;
    char text[256];                      /* the text of the result, ends with NUL */
    struct sluice_topic_info *topics;    /* copies of the result's, freed by sluice_wait_fini */
    struct sluice_offset_info *offsets;  /* as well */
    struct sluice_message_batch *answer; /* as well: message 0 is the answer to a request */
};

/* A sluice_done_fn that keeps the result in a struct sluice_wait. */
SLUICE_CLIENT_API void sluice_wait_done(void *arg, const struct sluice_result *result);

/* Waits for it. Gives the result's status. A request that is not answered in time must still be
 * waited for, or the connection be closed, before `wait` goes: SLUICE_E_TIMEOUT and is_done is
 * false. [blocks] */
SLUICE_CLIENT_API sluice_status sluice_connection_wait(struct sluice_connection *connection,
                                                       struct sluice_wait *wait,
                                                       int32_t timeout_ms);

/* Frees what it has; it may be used again. */
SLUICE_CLIENT_API void sluice_wait_fini(struct sluice_wait *wait);

/* sluice_client_publish and the wait for its answer. `ret_offset` of the first record, or NULL.
 * Errors as of the request and of its result. [blocks] */
SLUICE_CLIENT_API sluice_status sluice_connection_publish(struct sluice_connection *connection,
                                                          const struct sluice_publish *publish,
                                                          const struct sluice_message_batch *batch,
                                                          int64_t *ret_offset);

/* sluice_client_send and the wait for its answer. [blocks] */
SLUICE_CLIENT_API sluice_status sluice_connection_send(struct sluice_connection *connection,
                                                       const struct sluice_message *message,
                                                       int64_t *ret_offset);

/* The next message of a subscription, borrowed as sluice_subscription_next says. [blocks]
 * SLUICE_E_TIMEOUT: none came in timeout_ms (-1: for ever). The error with which the subscription
 * or the client ended. */
SLUICE_CLIENT_API sluice_status sluice_connection_next(struct sluice_connection *connection,
                                                       struct sluice_subscription *subscription,
                                                       int32_t timeout_ms,
                                                       struct sluice_message *ret_message);

/* The sentence of an error of <sluice/status.h>; "unknown error" for others. Static. [any] */
SLUICE_CLIENT_API const char *sluice_status_text(sluice_status status);

#ifdef __cplusplus
}
#endif

#endif
