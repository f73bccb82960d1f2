/* records_delete.h: records before an offset go, as a client asks (Kafka's DeleteRecords, KIP-107).
 */
#ifndef SL_SHARD_RECORDS_DELETE_H
#define SL_SHARD_RECORDS_DELETE_H

#include "shard/shard.h"

#define RECORDS_DELETE_MAX 100000u /* partitions of one request; beyond it `done` gets none */

/* Each partition for itself: E_UNKNOWN_TOPIC, E_UNKNOWN_TOPIC_ID; E_INVALID_TOPIC: an internal
 * topic; E_POLICY: its cleanup.policy has no delete; E_OFFSET_OUT_OF_RANGE: below zero or above the
 * high watermark; errors of storage. An offset at or below the log start is answered with the log
 * start. Answered when it is durable. entries are borrowed until done. [loop of home] */
void records_delete_start(struct shard *home, const struct sluice_records_delete *entries,
                          uint32_t count, sluice_records_deleted_done *done, void *arg);

#endif
