/* telemetry_book.h: what clients are asked to tell of their metrics, and which of them may tell
 * when (KIP-714).
 *
 *   settings of client metrics ─► subscriptions (compiled again when they change)
 *   a client asks  ─► union of the subscriptions that match it ─► metrics, interval, id
 *   a client pushes ─► may it, now, with this id, codec and size?
 *
 * The rules and their order are those of ClientMetricsManager of Kafka 4.3. A client instance is
 * remembered for three intervals or a minute, whichever is longer; at most
 * TELEMETRY_INSTANCES_MAX are, the one that was heard of longest ago goes first, and whoever is not
 * known is taken for new. The id of a subscription: CRC-32C over "[metric, metric]interval" (in
 * order of bytes; Kafka has the order of a hash table) xor the hash of the client's id, as
 * java.util.UUID gives it.
 * One thread (that of shard 0: a client is the same on every connection). */
#ifndef SL_DELIVER_TELEMETRY_BOOK_H
#define SL_DELIVER_TELEMETRY_BOOK_H

#include "base/buffer.h"
#include "catalog/setting_store.h"

#define TELEMETRY_INSTANCES_MAX 16384u /* as many as Kafka's brokers */
#define TELEMETRY_KEEP_MS       60000
#define TELEMETRY_INTERVAL_MS   300000     /* also where subscriptions say more, as in Kafka */
#define TELEMETRY_METRICS_BYTES (1u << 20) /* names of metrics that one client is asked for */

/* Who asks or pushes; views for the call. */
struct telemetry_client {
    struct sl_uuid instance;
    struct sl_bytes client_id;
    struct sl_bytes software_name;
    struct sl_bytes software_version;
    struct sl_bytes address;
    uint16_t port;
};

struct telemetry_push {
    int32_t subscription_id;
    int32_t codec; /* enum batch_codec's numbers, as the client says */
    bool terminating;
    size_t size;
    size_t size_max;
};

struct telemetry_wanted {
    int32_t subscription_id;
    int32_t interval_ms;
    struct sl_buffer metrics; /* names parted by commas; "*": all. The caller's, initialised */
};

struct telemetry_book;

sl_err telemetry_book_new(uint64_t seed, struct telemetry_book **ret_book) SL_MUST_CHECK;
struct telemetry_book *telemetry_book_free(struct telemetry_book *book);
/* What the client is asked for. E_QUOTA_EXCEEDED: it asks again before its time. E_NO_MEMORY. */
sl_err telemetry_book_ask(struct telemetry_book *book, const struct setting_store *settings,
                          const struct telemetry_client *client, int64_t now_ms,
                          struct telemetry_wanted *wanted) SL_MUST_CHECK;
/* Whether the client may push that now. E_INVALID_REQUEST: it has said that it ends;
 * E_QUOTA_EXCEEDED: too early; E_UNKNOWN_SUBSCRIPTION: it is to ask anew; E_UNSUPPORTED_CODEC;
 * E_TELEMETRY_TOO_LARGE; E_NO_MEMORY. */
sl_err telemetry_book_push(struct telemetry_book *book, const struct setting_store *settings,
                           const struct telemetry_client *client, const struct telemetry_push *push,
                           int64_t now_ms) SL_MUST_CHECK;
/* Client instances that are remembered. */
uint32_t telemetry_book_count(const struct telemetry_book *book);

#endif
