/* quota_book.h: all quotas of the broker: what is set, and what everybody used.
 *
 * Which limit holds for a user and a client id, the first that is set (Kafka's
 * DefaultQuotaCallback):
 *
 *   user and client id ─► user, default client id ─► user ─► default user, client id ─► both
 *   default ─► default user ─► client id ─► default client id
 *
 * for each kind by itself. A limit with a client id is of each pair of user and client id, one of a
 * user alone of all clients of the user together, one of a client id alone of all users together;
 * a default is of each that it stands for.
 *
 * Limits change on shard 0's loop alone (from its log); there they may be read without the lock.
 * What is used is counted from all loops, under a spin lock that guards some lookups and sums. The
 * meters are bounded: beyond QUOTA_METERS_MAX those that are idle go, and when none is, the rest
 * share one. [any] */
#ifndef SL_ADMIT_QUOTA_BOOK_H
#define SL_ADMIT_QUOTA_BOOK_H

#include "admit/quota_meter.h"
#include "catalog/quota_entry.h"

#include <stdatomic.h>

#define QUOTA_METERS_MAX 16384u

struct quota_book;

/* hash_key: random. E_NO_MEMORY. */
sl_err quota_book_new(const struct quota_windows *windows, const uint8_t hash_key[16],
                      struct quota_book **ret_book) SL_MUST_CHECK;
struct quota_book *quota_book_free(struct quota_book *book); /* NULL is fine; returns NULL */
/* Other windows: what was used is forgotten. */
void quota_book_set_windows(struct quota_book *book, const struct quota_windows *windows);

/* The payload of a QUOTA item. E_CORRUPT, E_NEWER_FORMAT, E_NO_MEMORY. [loop 0] */
sl_err quota_book_apply(struct quota_book *book, uint8_t version,
                        struct sl_bytes payload) SL_MUST_CHECK;
uint32_t quota_book_count(const struct quota_book *book); /* of entities [loop 0] */
/* As chain_map_visit, over struct quota_entry. [loop 0] */
uint32_t quota_book_visit(const struct quota_book *book, uint32_t bucket, uint32_t count,
                          void (*visit)(void *arg, struct chain_link *link), void *arg);

/* Whether a limit of that kind is set for anybody: else nothing needs to be counted. */
bool quota_book_limits(const struct quota_book *book, int32_t kind);

/* Who uses; of kind CONNECTIONS the ip alone. Texts may be empty. */
struct quota_user {
    struct sl_bytes user, client_id, ip;
};
/* The user used `amount`; negative: it is taken back. Milliseconds that it has to wait. */
int32_t quota_book_charge(struct quota_book *book, const struct quota_user *user, int32_t kind,
                          int64_t amount, int64_t now_ms);
/* The same without using more. */
int32_t quota_book_owed(struct quota_book *book, const struct quota_user *user, int32_t kind,
                        int64_t now_ms);
/* The most in all windows; INT64_MAX: it has no limit. */
int64_t quota_book_allowance(struct quota_book *book, const struct quota_user *user, int32_t kind);

#endif
