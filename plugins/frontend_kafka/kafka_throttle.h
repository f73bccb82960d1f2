/* kafka_throttle.h: quotas of clients (KIP-13, KIP-124, KIP-219, KIP-599) as <sluice/quota.h> keeps
 * them: what a call uses is charged, the answer tells how long to wait, and then the connection is
 * muted for so long. [loop] */
#ifndef KAFKA_THROTTLE_H
#define KAFKA_THROTTLE_H

#include "kafka_call.h"

/* Charges the principal and client id of the call. Milliseconds to wait. */
int32_t kafka_throttle_charge(const struct kafka_call *call, int32_t kind, int64_t amount);
/* What it would have to wait without using more. */
int32_t kafka_throttle_owed(const struct kafka_call *call, int32_t kind);
/* What it may use at once; INT64_MAX: all. */
int64_t kafka_throttle_allowance(const struct kafka_call *call, int32_t kind);
/* Partitions are made or go. False: it has to wait first, where the version knows the error; older
 * ones are let through and wait afterwards. */
bool kafka_throttle_mutate(struct kafka_call *call, int64_t partitions, int16_t strict_since);
/* How many partitions a topic has; 0: there is none. */
int64_t kafka_throttle_partitions(struct kafka_call *call, const struct sluice_topic_ref *ref);

/* Time between begin and end is worked for the connection; a begin inside another counts nothing.
 * end takes what begin returned. */
bool kafka_throttle_begin(struct kafka_conn *conn);
void kafka_throttle_end(struct kafka_conn *conn, bool begun);
/* The answer is complete: charges the time, and puts the longest wait into the response. */
void kafka_throttle_answer(struct kafka_call *call, const void *response);

#endif
