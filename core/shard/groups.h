/* groups.h: consumer-group calls on the shard that coordinates the group, and committed offsets in
 * its log.
 *
 * Requests are borrowed until done; answers that cross loops are copied. [loop of home] */
#ifndef SL_SHARD_GROUPS_H
#define SL_SHARD_GROUPS_H

#include "deliver/group_coordinator.h"
#include "shard/shard.h"

void groups_join(struct shard *home, const struct sluice_context *context,
                 const struct sluice_group_join *request, sluice_group_joined_done *done,
                 void *arg);
void groups_sync(struct shard *home, const struct sluice_context *context,
                 const struct sluice_group_sync *request, sluice_group_synced_done *done,
                 void *arg);
void groups_heartbeat(struct shard *home, const struct sluice_group_identity *request,
                      sluice_status_done *done, void *arg);
void groups_leave(struct shard *home, const struct sluice_group_leave *request,
                  sluice_statuses_done *done, void *arg);
void groups_commit(struct shard *home, const struct sluice_offset_commit *request,
                   sluice_statuses_done *done, void *arg);
/* Offsets that a transaction of that producer will commit (txn_settle.h). An outsider may name them
 * whether the group has members or not. */
void groups_commit_txn(struct shard *home, const struct sluice_offset_commit *request,
                       int64_t producer_id, sluice_statuses_done *done, void *arg);
void groups_offsets(struct shard *home, const struct sluice_offset_fetch *request,
                    sluice_offset_fetched_done *done, void *arg);
/* Ends joins and syncs that wait on this shard for the connection of home's loop: another loop may
 * have one with the same token. [shard's loop] */
void groups_cancel(struct shard *shard, const struct shard *home, uint64_t connection);
/* The limits that hold now: a reload may change them. [any] */
void groups_limits(const struct broker_settings *settings, struct group_limits *ret_limits);
/* Forgets offsets of groups that were empty for long. [shard's loop] */
void groups_expire(struct shard *shard);

#endif
