/* backup_admin.h: backup.begin and backup.release: a cut of all shards for `sluice backup create`,
 * which copies the files itself (shard/cut.h says what holds).
 *
 *   hold (all) ─► take (all but 0) ─► take (0) ─► resume (all) ─► answer … release
 *
 * One at a time; it belongs to the connection that began it, and ends with it. [loop 0] */
#ifndef SL_BROKER_BACKUP_ADMIN_H
#define SL_BROKER_BACKUP_ADMIN_H

#include "control/admin.h"
#include "shard/shard.h"

struct sluice;

enum backup_state { BACKUP_NONE, BACKUP_BEGINS, BACKUP_HELD, BACKUP_RELEASES };

struct backup_call {
    struct shard_call call;
    struct backup_admin *backup;
    sl_err err;
    bool log_kept;
    struct cut_result result;
};

struct backup_admin {
    struct sluice *sluice;
    enum backup_state state;
    void *connection; /* its owner; NULL: it is gone */
    admin_storage_done *done;
    void *done_arg;
    sl_err err;
    uint32_t failed; /* the shard whose error it is */
    uint32_t pending;
    void (*next)(struct backup_admin *backup); /* when none is pending */
    bool only_log;                             /* of the release */
    struct backup_call calls[SHARD_COUNT_MAX];
};

void backup_admin_begin(struct backup_admin *backup, struct sluice *sluice, void *connection,
                        admin_storage_done *done, void *done_arg);
/* only_log: extents stay until the second release. */
void backup_admin_release(struct backup_admin *backup, void *connection, bool only_log,
                          admin_storage_done *done, void *done_arg);
void backup_admin_closed(struct backup_admin *backup, void *connection);

#endif
