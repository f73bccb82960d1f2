/* txns.h: the transaction coordinator of a shard (KIP-98, KIP-890).
 *
 * A transactional id belongs to the shard of its hash; what it does is in admit/txn_store.h and
 * txn_rules.h. Requests for one id pass one by one:
 *
 *   frontend's loop ─► coordinator: queue of the id ─► rules ─► TXN item, durable ─► answer
 *                                                        └► decided: markers ─► complete
 *
 * The decision is durable before the first marker is written, and from then on markers are written
 * until each partition and group has its own, also by the next start after a crash: a marker that
 * may have been written before goes only where the transaction is still open, so that it is there
 * once. While a produce request of a transaction is under way it holds a guard, and no decision is
 * taken: nothing of a transaction can follow its marker. The answer to txn_end comes when all
 * markers are durable, or when one could not be written: then it is tried again, and until then
 * requests for that id are refused with E_CONCURRENT_TRANSACTIONS. [loop of home] */
#ifndef SL_SHARD_TXNS_H
#define SL_SHARD_TXNS_H

#include "admit/txn_rules.h"
#include "shard/shard.h"

#define TXN_TIMEOUT_MS_MAX 900000 /* transaction.max.timeout.ms */

void txns_producer(struct shard *home, const struct sluice_txn *txn, int32_t timeout_ms,
                   sluice_producer_id_done *done, void *arg);
void txns_add(struct shard *home, const struct sluice_txn *txn,
              const struct sluice_txn_partition *partitions, uint32_t count, bool verify_only,
              sluice_statuses_done *done, void *arg);
void txns_add_group(struct shard *home, const struct sluice_txn *txn, struct sluice_text group,
                    sluice_status_done *done, void *arg);
void txns_commit_offsets(struct shard *home, const struct sluice_txn *txn,
                         const struct sluice_offset_commit *request, sluice_statuses_done *done,
                         void *arg);
void txns_end(struct shard *home, const struct sluice_txn *txn, bool commits,
              sluice_producer_id_done *done, void *arg);

/* ---- of the shard [shard's loop] ---- */

/* Goes on with what was decided before the start. */
void txns_start(struct shard *shard);
/* Aborts what ran out of time, tries markers again; returns when there is more to do. */
int64_t txns_tick(struct shard *shard, int64_t now_ms);
int64_t txns_due_ms(const struct shard *shard);
/* Forgets ids that were not used for seven days. */
void txns_expire(struct shard *shard);

#endif
