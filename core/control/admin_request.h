/* admin_request.h: what the handlers of admin commands share. Internal to admin_*.c. */
#ifndef SL_CONTROL_ADMIN_REQUEST_H
#define SL_CONTROL_ADMIN_REQUEST_H

#include "base/buffer.h"
#include "control/admin.h"

#include <cjson/cJSON.h>

struct admin_server {
    struct admin_server_config config;
    struct codec_context *codecs;  /* of consume */
    struct sl_buffer decompressed; /* scratch of consume */
    uint32_t session_count;
};

struct admin_session {
    struct admin_server *server;
    void *connection;      /* NULL once closed */
    struct sl_buffer line; /* bytes of the line that is not whole yet */
    uint32_t pending;      /* requests under way; the last one frees a closed session */
    bool closed;
};

/* One command under way. The handler ends it with exactly one admin_reply or admin_fail. */
struct admin_request {
    struct admin_session *session;
    struct admin_server *server;
    cJSON *message;                /* owned: the request */
    const char *command;           /* borrows from message */
    const cJSON *args;             /* in message; an empty object when absent */
    cJSON *result;                 /* owned: what the handler gathers */
    struct sluice_topic_ref topic; /* borrows from message */
    bool dry_run;                  /* all checks, and nothing changes; the reply says so */
    /* Of the handler; released by release(state). */
    void *state;
    void (*release)(void *state);
};

typedef void admin_handler_fn(struct admin_request *request);

/* Whether a command changes something. A request with "dry_run": true is done as it is when the
 * command only reads, is checked without effect by those of ADMIN_TRIES, and refused by the rest:
 * what does not know the word must not act on it. */
enum admin_effect { ADMIN_READS, ADMIN_TRIES, ADMIN_ACTS };

struct admin_command {
    const char *name;
    admin_handler_fn *handle;
    enum admin_effect effect;
    const char *doc; /* one sentence with the arguments */
};
extern const struct admin_command admin_commands[];
extern const size_t admin_command_count;

/* Answers with request->result (an empty object when NULL). [takes request] */
void admin_reply(struct admin_request *request);
/* Answers with an error; the message is the status' sentence, and `detail` behind a colon.
 * request->result goes along when there is one. [takes request] */
void admin_fail(struct admin_request *request, sl_err err, const char *detail);
void admin_fail_text(struct admin_request *request, sl_err err, struct sluice_text detail);
/* One of the two, as a hook ends a command; arg: the request. [takes result] */
admin_storage_done admin_answer;

static inline const struct sluice_broker *admin_broker(const struct admin_request *request)
{
    return request->server->config.broker;
}
static inline const struct sluice_context *admin_context(const struct admin_request *request)
{
    return &request->server->config.context;
}

/* The text of an argument, or NULL. */
const char *admin_arg_text(const struct admin_request *request, const char *name);
/* A whole number from min to max, written as a number or a decimal string; `fallback` when absent.
 * False: it is there and wrong. */
bool admin_arg_int(const struct admin_request *request, const char *name, int64_t min, int64_t max,
                   int64_t fallback, int64_t *ret_value);
/* Decimal text to a number; false: anything else. */
bool admin_int_parse(const char *text, int64_t *ret_value);
/* Takes "topic" into request->topic; false: the request was failed and is gone. */
bool admin_topic_take(struct admin_request *request);

/* A text that is not NUL-terminated. */
void admin_add_text(cJSON *object, const char *key, struct sluice_text text);
/* "key" as a string when it is UTF-8 without NUL, else "key_base64". */
void admin_add_bytes(cJSON *object, const char *key, struct sl_bytes bytes);
/* The bytes of "key" or "key_base64" of the object. *ret_owned is freed by the caller.
 * *ret_is_null: neither is there. E_MALFORMED. */
sl_err admin_get_bytes(const cJSON *object, const char *key, struct sl_bytes *ret_bytes,
                       bool *ret_is_null, uint8_t **ret_owned) SL_MUST_CHECK;
/* Well-formed UTF-8 (RFC 3629) without NUL. */
bool admin_is_text(struct sl_bytes bytes);

admin_handler_fn admin_topic_list, admin_topic_create, admin_topic_describe, admin_topic_delete,
    admin_topic_alter, admin_topic_trim, admin_topic_ends, admin_topic_offsets;
admin_handler_fn admin_group_list, admin_group_describe, admin_group_seek, admin_group_delete;
admin_handler_fn admin_produce, admin_consume, admin_dlq, admin_access, admin_watch;
admin_handler_fn admin_status, admin_health, admin_metrics, admin_plugin_list, admin_plugin_info,
    admin_plugin_sandbox, admin_plugin_logs, admin_plugin_rollback, admin_plugin_command,
    admin_config_show, admin_reload, admin_help, admin_storage;

#endif
