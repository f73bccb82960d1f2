/* broker_link.h: the broker as the frontends of one loop see it: the table of <sluice/broker.h>,
 * filled.
 *
 * Each call goes to the shards through core/shard; nothing of a protocol is here, and nothing is
 * kept beyond what a call needs. One per loop; a second one serves the admin socket. */
#ifndef SL_INTAKE_BROKER_LINK_H
#define SL_INTAKE_BROKER_LINK_H

#include "base/buffer.h"
#include "catalog/feature.h"
#include "intake/flow_book.h"
#include "intake/frontend.h"
#include "intake/listener.h"
#include "shard/produce.h"

/* A listener's address as clients shall use it. */
struct broker_address {
    char listener[FRONTEND_NAME_BYTES];
    char host[LISTENER_HOST_BYTES];
    uint16_t port;
};
#define BROKER_ADDRESSES_MAX 16u

/* What the wiring knows; shared by the links of all loops. */
struct broker_facts {
    const struct broker_settings *settings;
    char cluster_id[23];
    struct broker_address addresses[BROKER_ADDRESSES_MAX];
    uint32_t address_count;
    /* Prometheus text of the whole instance. [any loop] */
    sl_err (*render_metrics)(void *arg, struct sl_buffer *buffer);
    /* False, with lines of text, when not well. what: SLUICE_HEALTH_*. [any loop] */
    bool (*health)(void *arg, int32_t what, struct sl_buffer *text);
    void *arg;
};

struct broker_link {
    struct sluice_broker table;
    struct shard *home;        /* a shard of this loop */
    struct intake *intake;     /* NULL for the admin socket */
    struct flow_book *flow;    /* counts what is produced; NULL: nobody does */
    struct flow_book *readers; /* likewise who fetches */
    const struct broker_facts *facts;
    struct sluice_node node;
    struct broker_address told; /* what the node in the answer has */
    struct sluice_cluster cluster;
    struct sluice_features features;
    struct sluice_feature feature_list[FEATURE_COUNT_MAX];
    struct sl_buffer text;         /* of the answer that is being given */
    struct produce_watch produces; /* of connections of the intake */
};

void broker_link_init(struct broker_link *link, struct shard *home, struct intake *intake,
                      const struct broker_facts *facts);
void broker_link_fini(struct broker_link *link);
/* Ends what waits for a closed connection, on all shards. For intake.cancel. */
void broker_link_cancel(void *arg, uint64_t connection);
/* Whether calls of this loop are under way. For intake.calls_pending. */
bool broker_link_calls_pending(void *arg);

#endif
