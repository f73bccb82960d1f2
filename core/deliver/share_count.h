/* share_count.h: what is counted of each group that shares streams, one table: the store counts,
 * the broker publishes (share_metrics.h), docs/share-groups.md explains. Pure data. */
#ifndef SL_DELIVER_SHARE_COUNT_H
#define SL_DELIVER_SHARE_COUNT_H

#include "base/base.h"

/* clang-format off */
#define SHARE_COUNT_TABLE(X)                                                                                          \
    X(ACQUIRED, "sluice_share_acquired_records_total", COUNTER, "records given to members of a share group, again and again included") \
    X(ACCEPTED, "sluice_share_accepted_records_total", COUNTER, "records that members accepted")                      \
    X(RELEASED, "sluice_share_released_records_total", COUNTER, "records that members gave back")                     \
    X(REJECTED, "sluice_share_rejected_records_total", COUNTER, "records that members rejected")                      \
    X(RENEWED,  "sluice_share_renewed_records_total",  COUNTER, "records that members kept for longer")               \
    X(TIMED_OUT, "sluice_share_lock_timeouts_total",   COUNTER, "records whose member did not say what became of them in time") \
    X(ARCHIVED, "sluice_share_archived_records_total", COUNTER, "records rejected, or delivered too often, in a group without dead letters") \
    X(LETTERS,  "sluice_share_dead_letters_total",     COUNTER, "dead letters written")                               \
    X(FAILURES, "sluice_share_dead_letter_failures_total", COUNTER, "times that dead letters of a partition could not be written") \
    X(WAITING,  "sluice_share_dead_letters_waiting",   GAUGE,   "records that wait for their dead letters")           \
    X(IN_FLIGHT, "sluice_share_in_flight_records",     GAUGE,   "records delivered and not done with, and what lies between them") \
    X(LAG,      "sluice_share_lag_records",            GAUGE,   "records that the group is not done with")
/* clang-format on */

enum share_count {
#define SHARE_COUNT_ENUM(id, name, kind, help) SHARE_COUNT_##id,
    SHARE_COUNT_TABLE(SHARE_COUNT_ENUM)
#undef SHARE_COUNT_ENUM
        SHARE_COUNT_COUNT
};

#endif
