/* quota_link.h: the table of <sluice/quota.h> for one loop: who the peer of a context is, and what
 * the book of quotas says about it. [loop] */
#ifndef SL_INTAKE_QUOTA_LINK_H
#define SL_INTAKE_QUOTA_LINK_H

#include "admit/quota_book.h"
#include "intake/broker_guard.h"

struct quota_link {
    struct sluice_quota table;
    struct broker_guard *guard;
    struct shard *home;
    struct sl_os *os;
    bool trusted; /* the admin socket: nothing is asked */
    /* Somebody has to wait; NULL: nobody counts that. */
    void (*throttled)(void *arg, int32_t kind, struct sluice_text principal, int32_t wait_ms);
    void *throttled_arg;
};

#define QUOTA_CHANGES_MAX 1000u /* entries of one change */

void quota_link_init(struct quota_link *link, struct broker_guard *guard, struct shard *home,
                     struct sl_os *os, bool trusted);

#endif
