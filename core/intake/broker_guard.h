/* broker_guard.h: the broker's calls for who may make them.
 *
 * A table of its own stands before that of broker_link.h: each call is judged by the policy in
 * force on this loop, with the principal and host of its context; what is refused gets the status
 * that Kafka has for it, and never reaches the broker. Where no rules are in force frontends get
 * the plain table, and pay nothing. A topic that the principal may not describe is not there for
 * it: not in lists, and named it is refused before anybody looked whether it exists.
 *
 * The guard knows all calls of the table: one that is new there does not compile here until
 * somebody decided who may make it. [loop] */
#ifndef SL_INTAKE_BROKER_GUARD_H
#define SL_INTAKE_BROKER_GUARD_H

#include "admit/access_policy.h"
#include "intake/broker_link.h"

struct broker_guard {
    struct sluice_broker table; /* data: the link's */
    const struct sluice_broker *inner;
    struct shard *home;
    const struct broker_facts *facts;
    struct policy *policy; /* in force on this loop; a reference */
    uint64_t allowed_total, denied_total;
};

void broker_guard_init(struct broker_guard *guard, struct broker_link *link, struct policy *policy);
void broker_guard_fini(struct broker_guard *guard);
/* From now on these rules hold on this loop. [takes policy] */
void broker_guard_set_policy(struct broker_guard *guard, struct policy *policy);

/* Whether the principal of the context may do it; counted. */
bool broker_guard_allows(struct broker_guard *guard, const struct sluice_context *context,
                         int32_t operation, int32_t resource, struct sluice_text name);
/* The action of a context; views into it. */
struct policy_action broker_guard_action(const struct sluice_context *context, int32_t operation,
                                         int32_t resource, struct sluice_text name);

#endif
