/* producer_id_call.h: producer ids from shard 0, leased there in durable blocks. */
#ifndef SL_SHARD_PRODUCER_ID_CALL_H
#define SL_SHARD_PRODUCER_ID_CALL_H

#include "shard/shard.h"

/* id < 0: a new one; else the next epoch of (id, epoch). [loop of home] */
void producer_id_start(struct shard *home, int64_t id, int16_t epoch, sluice_producer_id_done *done,
                       void *arg);

#endif
