/* admin.h: the admin protocol's server side, without sockets: bytes in, reply lines out.
 *
 * One JSON object a line, UTF-8, over a Unix socket that is always there:
 *   {"id":7,"command":"topic.list","args":{…}}
 *   {"id":7,"ok":true,"result":{…}}
 *   {"id":7,"ok":false,"error":{"code":"SLU-1300","status":1300,"message":"…"},"result":{…}?}
 * "dry_run": true among the arguments of a command that changes something: all checks are made, the
 * result says what would be, and nothing changes; a command that cannot do that refuses.
 * 64-bit values are strings. Requests of a session overlap and are answered as they finish; the id
 * says which is which. The commands are one table (admin_commands); `help` lists it.
 *
 * Bounds: a line of ADMIN_LINE_BYTES_MAX, ADMIN_PENDING_MAX requests under way on a session.
 * Everything runs on the loop of the broker table given. */
#ifndef SL_CONTROL_ADMIN_H
#define SL_CONTROL_ADMIN_H

#include "base/base.h"
#include "control/config.h"

#include <sluice/broker.h>

#define ADMIN_LINE_BYTES_MAX  (16 * 1024 * 1024)
#define ADMIN_PENDING_MAX     64
#define ADMIN_RECORDS_MAX     10000 /* of one produce or consume */
#define ADMIN_FETCH_BYTES_MAX (4 * 1024 * 1024)

struct cJSON;

/* Ends a command of a hook that has a `done`, exactly once. result: [takes], also with an error;
 * may be NULL. */
typedef void admin_storage_done(void *arg, sl_err err, const char *detail, struct cJSON *result);

/* What the wiring knows and the broker table does not say. A slot that is NULL makes its command
 * answer E_UNSUPPORTED. [loop] */
struct admin_hooks {
    void *arg;
    /* Adds members to the object of `status` ("version", "uptime_ms", "shards", …). */
    void (*status)(void *arg, struct cJSON *object);
    /* "plugins": one object per instance: name, module, version, kind, on, input, output, state,
     * reason; "filters": one per filter in Lua of subscriptions and loop. */
    void (*plugin_list)(void *arg, admin_storage_done *done, void *done_arg);
    /* All that is known of one instance, from all shards. name: borrowed for the call. E_NOT_FOUND.
     */
    void (*plugin_info)(void *arg, const char *name, admin_storage_done *done, void *done_arg);
    /* Puts an earlier version back; to: its hash or version, NULL: the one before. Borrowed for the
     * call. The result says what runs then. */
    void (*plugin_rollback)(void *arg, const char *name, const char *to, bool dry_run,
                            admin_storage_done *done, void *done_arg);
    /* The report of a reload, done or only planned. */
    void (*reload)(void *arg, bool dry_run, admin_storage_done *done, void *done_arg);
    /* plugin.load, plugin.pause … (plugin_admin.h). args: borrowed for the call. */
    void (*plugin_command)(void *arg, const char *command, const struct cJSON *args,
                           admin_storage_done *done, void *done_arg);
    /* What the log still holds of it behind line `after`: "lines", "next", "lost". */
    void (*plugin_logs)(void *arg, const char *name, uint64_t after, struct cJSON *object);
    /* What confines it: principal, topics, limits, permissions, layers. E_NOT_FOUND. */
    sl_err (*plugin_sandbox)(void *arg, const char *name, struct cJSON *object);
    /* scrub, backup.begin, backup.release: what asks all shards. args: borrowed for the call. */
    void (*storage)(void *arg, void *connection, const char *command, const struct cJSON *args,
                    admin_storage_done *done, void *done_arg);
    /* dlq.stages, dlq.redrive, dlq.status. args: borrowed for the call. */
    void (*dlq)(void *arg, const char *command, const struct cJSON *args, admin_storage_done *done,
                void *done_arg);
    /* flow, log. args: borrowed for the call. */
    void (*watch)(void *arg, const char *command, const struct cJSON *args,
                  admin_storage_done *done, void *done_arg);
    /* acl.list, acl.add, acl.remove, user.… args: borrowed for the call. */
    void (*access)(void *arg, const char *command, const struct cJSON *args,
                   admin_storage_done *done, void *done_arg);
    void (*closed)(void *arg, void *connection);  /* what it holds is given back; may be NULL */
    const struct sl_config *(*config)(void *arg); /* in force now */
    int64_t (*wall_ms)(void *arg);                /* required */
    /* Queues a copy of the bytes on the connection. Required. */
    void (*write)(void *arg, void *connection, const void *bytes, size_t size);
};

struct admin_server_config {
    const struct sluice_broker *broker; /* [borrows, outlives the server] */
    struct sluice_context context;      /* of all calls; texts borrowed likewise */
    struct admin_hooks hooks;
    bool topics_auto_create;
    size_t decompressed_bytes_max;
};

/* Whether the arguments of a hook say "dry_run": true. */
bool admin_is_dry(const struct cJSON *args);
/* Numbers of 64 bits, as strings: those of JSON have 53. */
void admin_add_int64(struct cJSON *object, const char *key, int64_t value);
void admin_add_uint64(struct cJSON *object, const char *key, uint64_t value);
/* Appends the items of an array, or of none, to another. [takes from] */
void admin_move_all(struct cJSON *to, struct cJSON *from);

struct admin_server;
struct admin_session;

sl_err admin_server_new(const struct admin_server_config *config,
                        struct admin_server **ret_server) SL_MUST_CHECK;
/* All sessions are closed and all broker calls have ended before. NULL is fine. */
struct admin_server *admin_server_free(struct admin_server *server);

/* `connection` is given back to hooks.write until admin_session_close. */
sl_err admin_session_open(struct admin_server *server, void *connection,
                          struct admin_session **ret_session) SL_MUST_CHECK;
/* Bytes from the peer, any split. E_FRAME_TOO_LARGE, E_NO_MEMORY: close the connection (the reason
 * has been written). [borrows bytes] */
sl_err admin_session_input(struct admin_session *session, struct sl_bytes bytes) SL_MUST_CHECK;
/* The peer is gone; what is under way ends into nothing. [takes session] */
void admin_session_close(struct admin_session *session);

#endif
