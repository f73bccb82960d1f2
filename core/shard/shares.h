/* shares.h: groups that share streams (KIP-932), on their shards: records are acquired and
 * acknowledged where they lie, members are kept where the group is coordinated.
 *
 *   share_fetch ─► a part on each shard concerned: acknowledge ─► the log
 *                                                 └► acquire ─► read ─► …or wait: for new records,
 *                  locks that end, records that are given back, time
 *
 * The first part that ends asks the others to end too, as a fetch does (fetch.h). Requests are
 * borrowed until done. [loop of home, unless it says otherwise] */
#ifndef SL_SHARD_SHARES_H
#define SL_SHARD_SHARES_H

#include "shard/share_change.h"

#define SHARE_PROTOCOL_TYPE  "share" /* in a list of groups */
#define SHARE_ENTRIES_MAX    10000u
#define SHARE_READ_BYTES_MAX (1u << 20) /* of one partition in one answer; one batch at least */

/* Whether the feature share.version is (KIP-584); else they are refused. [any] */
bool shares_are_in_force(const struct shard_set *set);
/* set_tokens: as in fetch_start. */
void share_fetch_start(struct shard *home, const struct sluice_context *context,
                       const struct sluice_share_fetch *request,
                       void (*set_tokens)(void *arg, struct chunk *const *chunks, uint32_t count),
                       void *set_tokens_arg, sluice_share_fetched_done *done, void *arg);
/* Ends what the connection named by the tag; done follows. [home's loop] */
void share_fetch_cancel_tag(struct shard *home, uint64_t connection, uint64_t tag);
/* Ends what waits on this shard for the connection of home's loop. [shard's loop] */
void share_fetch_cancel(struct shard *shard, const struct shard *home, uint64_t connection);
void share_fetch_finish_all(struct shard *shard); /* [shard's loop] */
/* Locks and sessions that end, requests that waited long enough. Returns the next time.
 * [shard's loop] */
int64_t shares_tick(struct shard *shard, int64_t now_ms);
int64_t shares_due_ms(const struct shard *shard);
/* Whoever waits for the stream looks again. [shard's loop] */
void share_stream_wake(struct share_stream *stream);
/* Its windows go. [shard's loop] */
void shares_topic_deleted(struct shard *shard, const struct sl_uuid *topic);
/* The stream's partition, and the window brought in line with what its log has, at the first use
 * after a start and whenever the log's start has moved. E_UNKNOWN_TOPIC_ID, E_NO_MEMORY. */
sl_err share_stream_settle(struct shard *shard, struct share_stream *stream,
                           const struct share_settings *settings, struct partition **ret_partition,
                           struct share_change *change) SL_MUST_CHECK;
struct share_rules share_rules_of(const struct share_settings *settings);
/* A number that stands for a member, as nobody can choose it. */
uint64_t share_owner_of(const struct shard *shard, struct sluice_text group,
                        struct sluice_text member);

/* A share_topic_fn; arg: the shard. */
share_topic_fn shares_topic_known;
void share_heartbeat_start(struct shard *home, const struct sluice_context *context,
                           const struct sluice_share_heartbeat *request,
                           sluice_share_joined_done *done, void *arg);
void share_describe_start(struct shard *home, struct sluice_text group,
                          sluice_share_group_done *done, void *arg);

/* What administrators ask; all of a group's shards. */
void share_offsets_start(struct shard *home, const struct sluice_offset_fetch *request,
                         sluice_share_offsets_done *done, void *arg);
void share_offsets_alter_start(struct shard *home, struct sluice_text group,
                               const struct sluice_offset_commit_entry *entries, uint32_t count,
                               sluice_statuses_done *done, void *arg);
void share_offsets_delete_start(struct shard *home, struct sluice_text group,
                                const struct sluice_topic_ref *topics, uint32_t count,
                                sluice_statuses_done *done, void *arg);
/* The group, all it did, and its configuration go. */
void share_group_delete_start(struct shard *home, struct sluice_text group,
                              sluice_status_done *done, void *arg);
/* settings: borrowed until done. The group need not be there. */
void share_configure_start(struct shard *home, struct sluice_text group,
                           const struct share_settings *settings, sluice_status_done *done,
                           void *arg);

#endif
