/* flow_book.h: who hands how much to which topic: records and bytes by client id, on one loop; in a
 * book of its own, who reads which topic.
 *
 * For the picture of the flow, not for accounts: what is counted is what producers hand in, batch
 * by batch, from the batches' headers, before anything is admitted. A batch costs one look-up;
 * memory is taken when a topic is first seen, never for a record.
 *
 * Bounds: FLOW_TOPICS_MAX topics with FLOW_CLIENTS_MAX client ids each. A topic or client that was
 * silent for FLOW_IDLE_MS makes room for a new one, and what it had goes to the row that stands for
 * all others (client "", topic ""), where also those are counted for whom there is no room: a sum
 * over the rows never goes back. [loop] */
#ifndef SL_INTAKE_FLOW_BOOK_H
#define SL_INTAKE_FLOW_BOOK_H

#include "base/map.h"

#include <sluice/broker.h>

#define FLOW_TOPICS_MAX       512u
#define FLOW_CLIENTS_MAX      16u
#define FLOW_CLIENT_BYTES_MAX 63u
#define FLOW_TOPIC_BYTES_MAX  249u
#define FLOW_IDLE_MS          INT64_C(60000)

struct flow_row {
    char client[FLOW_CLIENT_BYTES_MAX + 1u];
    uint64_t records, bytes, batches; /* batches: of who reads, requests */
    int64_t last_ms;                  /* monotonic */
};

struct flow_topic {
    struct sl_map_node node;
    uint8_t key[FLOW_TOPIC_BYTES_MAX + 1u]; /* 'n' and the name, or 'i' and the id */
    uint32_t key_size;
    uint32_t row_count;
    int64_t last_ms;
    struct flow_row rows[FLOW_CLIENTS_MAX];
    struct flow_row others;
};

struct flow_book {
    struct sl_map map;
    struct flow_topic *topics[FLOW_TOPICS_MAX]; /* owned */
    uint32_t topic_count;
    struct flow_topic *last; /* that was counted: mostly it is the next one, too; NULL: none yet */
    uint32_t hand;           /* the topic that is looked at next when there is no room */
    struct flow_row others;  /* of topics without room */
};

void flow_book_init(struct flow_book *book, uint64_t seed);
void flow_book_fini(struct flow_book *book);
/* now_ms: monotonic. */
void flow_book_produce(struct flow_book *book, const struct sluice_context *context,
                       const struct sluice_produce *request, int64_t now_ms);
/* A request counts once for each topic in a row of its entries: what it gives is not known yet. */
void flow_book_fetch(struct flow_book *book, const struct sluice_context *context,
                     const struct sluice_fetch *request, int64_t now_ms);
/* Every row; key is that of the topic, empty for all others; the row's client "" likewise. */
typedef void flow_row_fn(void *arg, struct sl_bytes key, const struct flow_row *row);
void flow_book_each(const struct flow_book *book, flow_row_fn *visit, void *arg);

#endif
