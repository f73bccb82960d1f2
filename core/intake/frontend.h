/* frontend.h: protocol plugins in this process, and the loop-side home of their connections.
 *
 * `struct intake` is what one loop has: its connections by token, its frontends, its memory. A
 * frontend is one instance of a module on one loop; the listener is opened once, by the loop of
 * shard 0, and accepted connections go to the loop with the fewest. */
#ifndef SL_INTAKE_FRONTEND_H
#define SL_INTAKE_FRONTEND_H

#include "budget/chunk.h"
#include "intake/conn_stage.h"
#include "intake/frontend_message_set.h"
#include "intake/frontend_records.h"
#include "intake/frontend_tasks.h"
#include "intake/login_desk.h"
#include <sluice/filter.h>
#include <sluice/frontend.h>
#include <sluice/quota.h>
#include <sluice/security.h>
#include <sluice/telemetry.h>
#include <sluice/upgrade.h>

struct conn;
struct intake;
struct listener;
struct sl_logger;

#define FRONTEND_NAME_BYTES  64u
#define FRONTEND_VALUE_BYTES 1024u /* of one value of its configuration */

/* Whether a module has a call or table that came after the first version. */
#define FRONTEND_HAS(ops, member)                                                       \
    ((ops)->size >= offsetof(struct sluice_frontend, member) + sizeof((ops)->member) && \
     (ops)->member != NULL)

struct frontend_config {
    const char *name;         /* of the instance and its listener: "kafka" */
    const char *config_json;  /* object given to the plugin */
    size_t request_bytes_max; /* largest input that a frontend may want at once */
    bool urgent;              /* health and metrics: read also while the memory budget is used up */
    struct listener
        *listener; /* its first one, of which connections handed to it are; NULL: none */
};

struct frontend {
    struct intake *intake;
    const struct sluice_plugin_descriptor *descriptor;
    const struct sluice_frontend *ops;
    void *self;
    struct sluice_host host;
    struct sluice_frontend_host frontend_host;
    struct sluice_upgrade_host upgrade_host;
    struct frontend_tasks tasks;
    struct listener *listener; /* a reference, or NULL */
    struct sl_timer *tick;
    char name[FRONTEND_NAME_BYTES];
    char *config_json;
    char config_scratch[FRONTEND_VALUE_BYTES]; /* the last value given by get_config */
    char error[256];                           /* set_error of the call that runs */
    size_t request_bytes_max;
    bool urgent;
    uint32_t connection_count;
    bool draining;         /* takes no new connections; destroyed when idle */
    struct frontend *next; /* in intake->frontends, or in intake->draining */
};

struct intake_slot {
    struct conn *conn;
    uint32_t generation;
    uint32_t next_free;
};

struct intake {
    struct sl_os *os;
    struct sl_loop *loop;
    uint32_t loop_number; /* index of the loop's first shard */
    struct sl_logger *logger;
    struct chunk_cache *cache;                /* [borrowed] the loop's */
    const struct sluice_broker *broker;       /* [borrowed] the loop's broker table */
    const struct sluice_security *security;   /* [borrowed] likewise; may be NULL */
    const struct sluice_quota *quota;         /* [borrowed] likewise */
    const struct sluice_telemetry *telemetry; /* [borrowed] likewise; NULL: nothing is taken */
    const struct sluice_filter_host *filters; /* [borrowed] likewise; NULL: there are none */
    struct intake_slot *slots;
    uint32_t slot_count; /* connections at most */
    uint32_t first_free;
    uint32_t connection_count;
    struct conn_stage stage;
    struct conn *stalled;        /* waiting for memory, the first first */
    struct conn **stalled_end;   /* where the next one is linked */
    struct conn *exempt;         /* the one that may exceed the budget for its request */
    uint32_t urgent_count;       /* connections of urgent frontends that exceed it */
    struct chunk *const *tokens; /* chunks of the answer whose done is running */
    uint32_t token_count;
    uint8_t *tls_scratch; /* owned; TLS_RECORD_BYTES, once there is a session */
    struct login_desk logins;
    uint64_t handshakes_total, handshakes_failed_total;
    uint64_t accepted_total, refused_total, bytes_in_total, bytes_out_total;
    uint64_t stalls_total[8]; /* by enum conn_stall */
    uint32_t stalled_now[8];
    void (*cancel)(void *arg, uint64_t connection); /* ends what waits for a closed connection */
    void *cancel_arg;
    /* Whether calls to the broker are under way whose done has not run; NULL: never. */
    bool (*calls_pending)(void *arg);
    void *calls_pending_arg;
    struct frontend_records records;
    struct frontend_message_set message_sets;
    uint64_t upgraded_total;    /* connections that went from one frontend to another */
    struct frontend *frontends; /* that take connections, the newest first */
    struct frontend *draining;
    uint32_t closing_count; /* connections that wait for their output to be taken */
};

sl_err intake_init(struct intake *intake, struct sl_os *os, struct sl_loop *loop,
                   struct sl_logger *logger, struct chunk_cache *cache,
                   const struct sluice_broker *broker, uint32_t connections_max,
                   size_t decompressed_bytes_max) SL_MUST_CHECK;
void intake_fini(struct intake *intake); /* all connections are closed before */
/* The last call to the broker that was under way ended: what drained may be destroyed. */
void intake_calls_ended(struct intake *intake);
/* Looks after connections that do not end by themselves; to be called twice a second or so. */
void intake_tick(struct intake *intake);
/* Closes all connections now; what is queued for them is dropped. */
void intake_abort(struct intake *intake);
/* Neither connections nor frontends are left, nor steps of their logins. */
bool intake_is_empty(const struct intake *intake);
/* The chunks that sluice_piece.token 1..count name while a fetch's done runs; NULL, 0 afterwards.
 */
void intake_set_tokens(struct intake *intake, struct chunk *const *chunks, uint32_t count);

sl_err intake_slot_take(struct intake *intake, struct conn *conn,
                        uint64_t *ret_token) SL_MUST_CHECK;
void intake_slot_give(struct intake *intake, uint64_t token);
struct conn *intake_find(struct intake *intake, uint64_t token); /* NULL: gone */

/* Makes the instance of a checked descriptor on this loop. On failure `reason` says why. */
sl_err frontend_new(struct intake *intake, const struct sluice_plugin_descriptor *descriptor,
                    const struct frontend_config *config, struct frontend **ret_frontend,
                    char *reason, size_t reason_size) SL_MUST_CHECK;
/* No new connections; closes those that are there. The instance is destroyed when the last of them
 * is gone and no call to the broker is under way, whose done might be the instance's. */
void frontend_drain(struct frontend *frontend);
void frontend_connection_gone(struct frontend *frontend);
/* Others may hand it connections for that protocol (upgrade.h). */
bool frontend_speaks(const struct frontend *frontend, const char *protocol);
/* Checks size, magic, ABI version, kind, required extensions; reason gets one sentence.
 * E_PLUGIN_ABI. */
sl_err frontend_check(const struct sluice_plugin_descriptor *descriptor, char *reason,
                      size_t reason_size) SL_MUST_CHECK;

#endif
