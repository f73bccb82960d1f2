/* broker_guard.c: see broker_guard.h. Which call asks for what is Kafka's KafkaApis; the calls are
 * in broker_guard_<area>.c, what they share in broker_guard_judge.c. */
#include "intake/broker_guard.h"
#include "intake/broker_guard_judge.h"
#include "intake/broker_guard_txn.h"

/* ---- judging ---- */

/* "10.0.0.1:4711" and "[::1]:4711" without the port. */
static struct sl_bytes host_of(struct sluice_text peer)
{
    struct sl_bytes host = {(const uint8_t *)peer.data, (size_t)peer.size};
    size_t colon = host.size;
    while (colon > 0 && host.data[colon - 1] != ':') {
        colon--;
    }
    host.size = colon > 0 ? colon - 1 : host.size;
    if (host.size >= 2 && host.data[0] == '[' && host.data[host.size - 1] == ']') {
        host = (struct sl_bytes){host.data + 1, host.size - 2};
    }
    return host;
}

struct policy_action broker_guard_action(const struct sluice_context *context, int32_t operation,
                                         int32_t resource, struct sluice_text name)
{
    return (struct policy_action){.principal = sl_of_text(context->principal),
                                  .host = host_of(context->client_host),
                                  .operation = operation,
                                  .resource = resource,
                                  .name = sl_of_text(name)};
}

bool broker_guard_allows(struct broker_guard *guard, const struct sluice_context *context,
                         int32_t operation, int32_t resource, struct sluice_text name)
{
    struct policy_action action = broker_guard_action(context, operation, resource, name);
    bool allowed = policy_allows(guard->policy, &action);
    guard->allowed_total += allowed;
    guard->denied_total += !allowed;
    return allowed;
}

/* ---- the table ---- */

/* A call that is new in <sluice/broker.h> is decided about: who may make it (a function in the file
 * of its area, which fills it in; cluster, features, metrics, health, fetch_cancel, topics_seen and
 * conn_tell ask for nothing), and its name is here. */
#define GUARDED_LAST conn_tell
_Static_assert(offsetof(struct sluice_broker, GUARDED_LAST) +
                       sizeof(((struct sluice_broker *)0)->GUARDED_LAST) ==
                   sizeof(struct sluice_broker),
               "broker_guard.c: a new call of the broker; decide who may make it");

void broker_guard_init(struct broker_guard *guard, struct broker_link *link, struct policy *policy)
{
    *guard = (struct broker_guard){
        .inner = &link->table, .home = link->home, .facts = link->facts, .policy = policy};
    guard->table = (struct sluice_broker){
        .size = sizeof(struct sluice_broker),
        .data = link, /* these calls are the link's: they ask for nothing */
        .cluster = link->table.cluster,
        .features = link->table.features,
        .metrics = link->table.metrics,
        .health = link->table.health,
        .fetch_cancel = link->table.fetch_cancel, /* of the caller's own fetches */
        .topics_seen = link->table.topics_seen,   /* as no peer's agent: see its comment */
        .conn_tell = link->table.conn_tell,       /* to who told the caller of itself */
    };
    broker_guard_records_init(&guard->table);
    broker_guard_topics_init(&guard->table);
    broker_guard_configs_init(&guard->table);
    broker_guard_groups_init(&guard->table);
    broker_guard_offsets_init(&guard->table);
    broker_guard_consumers_init(&guard->table);
    broker_guard_shares_init(&guard->table);
    broker_guard_streams_init(&guard->table);
    broker_guard_txn_init(&guard->table);
    broker_guard_cluster_init(&guard->table);
}

void broker_guard_fini(struct broker_guard *guard)
{
    guard->policy = policy_unref(guard->policy);
}

void broker_guard_set_policy(struct broker_guard *guard, struct policy *policy)
{
    policy_unref(guard->policy);
    guard->policy = policy;
}
