/* streams_desk.h: groups of Streams applications (KIP-1071), of a shard: calls from any loop. Their
 * state is in the log beside that of consumer groups (consumer_desk.h). */
#ifndef SL_SHARD_STREAMS_DESK_H
#define SL_SHARD_STREAMS_DESK_H

#include "deliver/streams_groups.h"

#include <sluice/broker.h>

struct shard;

/* What holds for a group of this shard, which is `arg`. [loop] */
void streams_desk_config(void *arg, struct sl_bytes group, struct streams_group_config *ret_config);

/* ---- calls [loop of home] ---- */

void streams_heartbeat_start(struct shard *home, const struct sluice_context *context,
                             const struct sluice_streams_heartbeat *request,
                             sluice_streams_heartbeat_done *done, void *arg);
void streams_describe_start(struct shard *home, struct sluice_text group,
                            sluice_streams_group_info_done *done, void *arg);

#endif
