/* txn_common.h: what the handlers of transactions have in common. [any] */
#ifndef KAFKA_TXN_COMMON_H
#define KAFKA_TXN_COMMON_H

#include "kafka_call.h"
#include "kafka_status.h"

/* Views of the request. */
static inline struct sluice_txn kafka_txn_of(struct kafka_bytes id, int64_t producer_id,
                                             int16_t epoch, bool is_v2)
{
    return (struct sluice_txn){.size = sizeof(struct sluice_txn),
                               .flags = is_v2 ? SLUICE_TXN_V2 : 0,
                               .epoch = epoch,
                               .producer_id = producer_id,
                               .id = kafka_to_text(id)};
}

/* knows_fenced: the version of the request has PRODUCER_FENCED. */
static inline int16_t kafka_txn_status_code(sluice_status status, bool knows_fenced)
{
    return kafka_status_code(status == SLUICE_E_PRODUCER_FENCED && !knows_fenced
                                 ? SLUICE_E_INVALID_PRODUCER_EPOCH
                                 : status);
}

#endif
