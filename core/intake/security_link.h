/* security_link.h: the table of <sluice/security.h> for one loop: rules, users, authentication.
 * [loop] */
#ifndef SL_INTAKE_SECURITY_LINK_H
#define SL_INTAKE_SECURITY_LINK_H

#include "intake/broker_guard.h"
#include "intake/sasl_session.h"

struct security_link {
    struct sluice_security table;
    struct broker_guard *guard;
    struct shard *home;
    struct intake *intake; /* NULL for the admin socket */
    bool trusted;          /* the admin socket: nothing is asked */
};

void security_link_init(struct security_link *link, struct broker_guard *guard,
                        struct intake *intake, bool trusted);

#endif
