/* conn_tell.h: a note from one connection's frontend to another's, over loops
 * (sluice_broker.conn_tell). */
#ifndef SL_INTAKE_CONN_TELL_H
#define SL_INTAKE_CONN_TELL_H

#include "shard/shard.h"
#include <sluice/broker.h>

/* `loop` is the index of the loop's first shard, as sluice_frontend_host.loop tells. [home's loop]
 */
void conn_tell_start(struct shard *home, uint32_t loop, uint64_t connection,
                     struct sluice_bytes note, sluice_status_done *done, void *arg);

#endif
