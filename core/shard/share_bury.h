/* share_bury.h: the dead letters of groups that share streams (KIP-1191): what was rejected, or
 * delivered too often, is written to the topic that its group names, and is done with then.
 *
 *   doomed records ─► read them, where they are to be copied ─► a batch (helper)
 *     the letters' partition lies on this shard: batch and SHARE_STATE in one unit: exactly once
 *     it lies on another one: batch there, durable ─► SHARE_STATE here: at least once
 *
 * A stream's letters go to the partition of its number (modulo their count, as in Kafka), or the
 * next one that lies on its own shard. What cannot be written stays doomed, which fills the window:
 * the group gets nothing new at last, and nothing is lost. All such streams are tried again, after
 * 250 ms first and 8 s at most. [shard's loop] */
#ifndef SL_SHARD_SHARE_BURY_H
#define SL_SHARD_SHARE_BURY_H

#include "shard/shard.h"

#define SHARE_BURIALS_MAX 16u /* of a shard, under way */

/* Begins what can be begun. */
void share_bury_tick(struct shard *shard, int64_t now_ms);
/* When to do so next; INT64_MAX: nothing is doomed. */
int64_t share_bury_due_ms(const struct shard *shard);
/* A configuration has changed: what could not be written is tried at once. */
void share_bury_again(struct shard *shard);
/* What a group may name as its topic. E_INVALID_CONFIG, with a sentence. [any] */
sl_err share_letters_topic_check(const struct broker_settings *broker, struct sl_bytes name,
                                 char ret_reason[CONFIG_REASON_BYTES]) SL_MUST_CHECK;

#endif
