/* key_keeper.h: certificates of listeners and keys of tokens, read again while the broker runs.
 *
 *   something in one of their folders changed, or a reload ─► helper: files, contexts ─► loop 0:
 * what is new is in force ─► every loop has turned: what was before is freed
 *
 * What cannot be read, has expired or does not fit together changes nothing: that is told in the
 * log once, and at each reload that asks. Connections keep the session that they have. [loop 0] */
#ifndef SL_BROKER_KEY_KEEPER_H
#define SL_BROKER_KEY_KEEPER_H

#include "auth/jwt.h"
#include "broker/listener_config.h"

#define KEY_LISTENERS_MAX 32u
#define KEY_FOLDERS_MAX   16u
#define KEY_PATH_BYTES    512u

struct cJSON;
struct key_waiter;

/* What became of one listener's files, or of the keys of tokens. */
struct key_update {
    struct listener *listener; /* a reference; NULL: keys of tokens */
    bool read;                 /* they differ from what was read before, or that had failed */
    bool differ;
    uint64_t hash;
    sl_err err;
    char why[TLS_WHY_BYTES];
    struct tls_context *context; /* the new one, then the old one */
    struct jwt_keys *keys;       /* likewise */
};

struct key_keeper {
    struct sluice *sluice;
    struct sl_watch *watches[KEY_FOLDERS_MAX];
    char folders[KEY_FOLDERS_MAX][KEY_PATH_BYTES];
    uint32_t folder_count;
    char token_path[KEY_PATH_BYTES]; /* empty: no tokens */
    bool token_set;                  /* it is a JWKS file */
    uint64_t token_hash;
    bool token_failed;
    struct key_update updates[KEY_LISTENERS_MAX + 1u]; /* of the run that is under way */
    uint32_t update_count;
    struct sl_job job;
    bool running, again;
    uint32_t pending_rooms;
    struct key_waiter *waiting, *served;
};

/* report: [{"listener", "outcome", "reason"}], owned by the callee; NULL: there is nothing to read,
 * or the broker stops. */
typedef void key_keeper_done(void *arg, struct cJSON *report);

void key_keeper_init(struct key_keeper *keeper, struct sluice *sluice);
/* Looks after the folders of a listener's files; twice is fine. */
void key_keeper_watch(struct key_keeper *keeper, const struct listener *listener);
void key_keeper_start(struct key_keeper *keeper); /* of the keys of tokens */
void key_keeper_stop(struct key_keeper *keeper);
/* Reads all files. done may be NULL; it may come inside. */
void key_keeper_look(struct key_keeper *keeper, key_keeper_done *done, void *arg);

#endif
