/* load_asker.h: questions to a broker of Kafka's protocol, one after the other, over a connection
 * of their own; each waits for half a minute at most. [blocks] */
#ifndef SL_LOAD_LOAD_ASKER_H
#define SL_LOAD_LOAD_ASKER_H

#include "load/load_kafka_wire.h"
#include "load/load_link.h"

#define LOAD_ADDRESS_BYTES 300u

struct load_asker {
    struct sl_os *os;
    struct load_kafka_wire wire;
    struct load_link link;
    const char *mechanism; /* of the login; static or of the security; NULL: there is none */
    uint8_t *frame;        /* of the last answer; owned */
    char text[LOAD_TEXT_BYTES];
};

/* All of them: an error has its sentence in asker->text. open: connects and logs in; close is to
 * follow in any case. [borrows security's texts] */
sl_err load_asker_open(struct load_asker *asker, struct sl_os *os, const char *address,
                       const struct load_security *security) SL_MUST_CHECK;
void load_asker_close(struct load_asker *asker);
sl_err load_asker_topic_create(struct load_asker *asker, const char *topic,
                               int32_t partitions) SL_MUST_CHECK;
sl_err load_asker_topic_delete(struct load_asker *asker, const char *topic) SL_MUST_CHECK;
/* How many partitions it has, and in a cluster the "host:port" of the broker that leads them; "" of
 * a broker that is alone. SLUICE_E_UNSUPPORTED: they have several leaders. */
sl_err load_asker_topic_look(struct load_asker *asker, const char *topic, int32_t *ret_count,
                             char ret_leader[LOAD_ADDRESS_BYTES]) SL_MUST_CHECK;
/* Where a partition begins and ends. */
sl_err load_asker_ends(struct load_asker *asker, const char *topic, int32_t partition,
                       int64_t *ret_start, int64_t *ret_end) SL_MUST_CHECK;

#endif
