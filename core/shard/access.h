/* access.h: changes of access rules, credentials and quotas, and questions about them, from any
 * loop.
 *
 *   caller's loop ─► shard 0: one unit, all or nothing ─► durable ─► applied ─► in force on all
 *   loops (publish) ─► caller's loop: done
 */
#ifndef SL_SHARD_ACCESS_H
#define SL_SHARD_ACCESS_H

#include "catalog/access_store.h"
#include "shard/shard.h"

#define ACCESS_ITEMS_MAX 10000u /* of one change; as Kafka bounds it */

typedef void access_changed_fn(void *arg, sl_err err);
/* ACL, CREDENTIAL and QUOTA items. [takes items and their payloads, on the heap] */
void access_change_start(struct shard *home, struct wal_item *items, uint32_t count,
                         access_changed_fn *done, void *arg);

/* credential NULL: there is none, or no memory for the question. Borrowed for the call. */
typedef void access_found_fn(void *arg, const struct credential *credential);
/* Looks for a user's credential. [borrows name for the call; at most CREDENTIAL_NAME_BYTES_MAX] */
void access_find_start(struct shard *home, struct sl_bytes name, int32_t mechanism,
                       access_found_fn *done, void *arg);

typedef void access_listed_fn(void *arg, sl_err err, const struct credential *credentials,
                              uint32_t count);
/* All credentials, in no order; without keys and salts. */
void access_list_start(struct shard *home, access_listed_fn *done, void *arg);

/* Copies, of the caller's from now on: sl_free each, and the array. */
typedef void quotas_listed_fn(void *arg, sl_err err, struct quota_entry **entries, uint32_t count);
/* All quotas, in no order. */
void quotas_list_start(struct shard *home, quotas_listed_fn *done, void *arg);

#endif
