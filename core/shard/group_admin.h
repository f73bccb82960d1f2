/* group_admin.h: groups as an administrator sees them: listed over all shards, described, deleted
 * with their offsets.
 *
 * Requests are borrowed until done; answers are copied on the shard that coordinates the group.
 * [loop of home] */
#ifndef SL_SHARD_GROUP_ADMIN_H
#define SL_SHARD_GROUP_ADMIN_H

#include "shard/shard.h"

void group_list_start(struct shard *home, sluice_groups_done *done, void *arg);
void group_describe_start(struct shard *home, struct sluice_text group,
                          sluice_group_info_done *done, void *arg);
void group_delete_start(struct shard *home, struct sluice_text group, sluice_status_done *done,
                        void *arg);
/* As struct sluice_broker's offset_delete. */
void offset_delete_start(struct shard *home, const struct sluice_offset_fetch *request,
                         sluice_statuses_done *done, void *arg);

#endif
