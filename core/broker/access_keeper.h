/* access_keeper.h: the access rules in force: those of the log and of security.acl_file, made into
 * one policy on a helper and given to every loop.
 *
 *   rules changed ─► loop 0: references to all of them ─► helper: policy ─► every loop holds it ─►
 *   who waits is told
 *
 * The file is read again when something in its folder changes; one that does not parse changes
 * nothing, and is told in the log. [loop 0] */
#ifndef SL_BROKER_ACCESS_KEEPER_H
#define SL_BROKER_ACCESS_KEEPER_H

#include "admit/access_policy.h"
#include "admit/acl_file.h"
#include "os/os.h"

struct sluice;
struct access_waiter;

struct access_keeper {
    struct sluice *sluice;
    /* Copies of what needs a restart: a reload frees the configuration while a helper works. */
    char *path; /* of the file; empty: none */
    char **super_users;
    uint32_t super_user_count;
    bool enabled, allow_if_none;
    struct acl_rules file;                  /* rules of the file */
    uint64_t file_hash;                     /* of its text, whether it parsed or not */
    struct policy *policy;                  /* the newest; a reference */
    struct access_waiter *waiting, *served; /* for the next policy; for the one under way */
    uint32_t pending_rooms;
    bool publishing;
    /* The helper that makes a policy: */
    struct sl_job job;
    struct acl **rules;
    uint32_t rule_count;
    struct policy *made;
    sl_err err;
    /* The file: */
    struct sl_watch *watch;
    struct sl_job read_job;
    bool reading, read_again;
    struct acl_rules read;
    uint64_t read_hash;
    sl_err read_err;
    char read_why[ACL_FILE_WHY_BYTES];
};

#define ACCESS_PROBLEM_BYTES 512u
/* Reads the file, so that a broker whose rules cannot be read does not start. [blocks] */
sl_err access_keeper_init(struct access_keeper *keeper, struct sluice *sluice, char *ret_problem,
                          size_t problem_size) SL_MUST_CHECK;
/* The first policy, of the shards' rules. [blocks, before the loops run] */
sl_err access_keeper_open(struct access_keeper *keeper) SL_MUST_CHECK;
void access_keeper_start(struct access_keeper *keeper); /* looks after the file */
void access_keeper_stop(struct access_keeper *keeper);
void access_keeper_fini(struct access_keeper *keeper);
/* The file may have changed. */
void access_keeper_look(struct access_keeper *keeper);
/* For shard.publish_access; arg: the keeper. */
void access_keeper_publish(void *arg, void (*done)(void *done_arg), void *done_arg);

#endif
