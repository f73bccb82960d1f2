/* admin_server.c: lines to requests, requests to handlers, results to lines. */
#include "base/status.h"
#include "base/text.h"
#include "control/admin_request.h"
#include "control/explain.h"
#include "record/codec.h"

#include <stdlib.h>
#include <string.h>

/* clang-format off */
const struct admin_command admin_commands[] = {
    {"help", admin_help, ADMIN_READS, "the commands"},
    {"status", admin_status, ADMIN_READS, "version, uptime, shards, cluster, readiness"},
    {"health", admin_health, ADMIN_READS, "live and ready, with reasons"},
    {"metrics", admin_metrics, ADMIN_READS, "all metrics in Prometheus text format, as \"text\""},
    {"topic.list", admin_topic_list, ADMIN_READS, "all topics"},
    {"topic.create", admin_topic_create, ADMIN_TRIES, "topic, partitions (-1: default), configs {name: value}"},
    {"topic.describe", admin_topic_describe, ADMIN_READS, "topic: partitions, offsets, configuration"},
    {"topic.alter", admin_topic_alter, ADMIN_TRIES,
     "topic, configs? {name: value, or null: the default}, partitions?: more than it has"},
    {"topic.delete", admin_topic_delete, ADMIN_TRIES, "topic"},
    {"topic.trim", admin_topic_trim, ADMIN_TRIES,
     "topic, partition, before: the first offset to keep, or \"end\""},
    {"topic.offsets", admin_topic_offsets, ADMIN_READS,
     "topic, time?, time_to? (ms): where its partitions start and end, and are at these times"},
    {"topic.ends", admin_topic_ends, ADMIN_READS, "topics []: where their partitions end"},
    {"produce", admin_produce, ADMIN_ACTS,
     "topic, partition?, acks? (-1), records [{key, value, headers [{key, value}], partition?, "
     "timestamp?}]; "
     "bytes as key_base64, value_base64"},
    {"consume", admin_consume, ADMIN_READS,
     "topic, partition? (0), offset (number, \"beginning\", \"end\"), max? (500), wait_ms? (0), "
     "bytes_max? (4 MiB)"},
    {"flow", admin_watch, ADMIN_READS,
     "who produces into what, stages and gates, how full things are, what waits"},
    {"log", admin_watch, ADMIN_READS,
     "after? (0), level? (\"debug\"), component?, since_ms?: what the log still holds behind that "
     "line"},
    {"group.list", admin_group_list, ADMIN_READS, "all groups: classic, consumer, share, streams"},
    {"group.describe", admin_group_describe, ADMIN_READS,
     "group: its members, where it stands, its lag in records and in time"},
    {"group.seek", admin_group_seek, ADMIN_TRIES,
     "group, to: start, end, +N, -N, an offset, or @ and milliseconds since 1970; topic?, "
     "partition?, dry_run?: only without members"},
    {"group.delete", admin_group_delete, ADMIN_TRIES,
     "group, confirmed?: with its offsets; only without members"},
    {"plugin.list", admin_plugin_list, ADMIN_READS, "all plugin instances, and filters in Lua of subscriptions"},
    {"plugin.info", admin_plugin_info, ADMIN_READS, "name: one instance"},
    {"plugin.rollback", admin_plugin_rollback, ADMIN_TRIES, "name, to?: a hash or version before; puts it back"},
    {"plugin.logs", admin_plugin_logs, ADMIN_READS,
     "name, after? (0): what the log holds of one instance behind that line"},
    {"plugin.sandbox", admin_plugin_sandbox, ADMIN_READS, "name: what confines one instance"},
    {"plugin.load", admin_plugin_command, ADMIN_TRIES,
     "name: of the file, data or data_base64: what is in it; puts it into plugins.dir and loads "
     "it"},
    {"plugin.reload", admin_plugin_command, ADMIN_TRIES,
     "name, shadow?, max_diff? (100): reads its file again, changed or not"},
    {"plugin.unload", admin_plugin_command, ADMIN_TRIES,
     "name, confirmed?: ends it until the next start; positions stay"},
    {"plugin.enable", admin_plugin_command, ADMIN_TRIES, "name"},
    {"plugin.disable", admin_plugin_command, ADMIN_TRIES, "name, confirmed?: ends it, across restarts"},
    {"plugin.pause", admin_plugin_command, ADMIN_TRIES, "name: it reads nothing, across restarts"},
    {"plugin.resume", admin_plugin_command, ADMIN_TRIES, "name"},
    {"plugin.seek", admin_plugin_command, ADMIN_TRIES,
     "name, to: \"start\", \"end\", +N, -N, an offset, or \"@\" and milliseconds since 1970; topic?, "
     "partition?, confirmed?"},
    {"plugin.forget", admin_plugin_command, ADMIN_TRIES,
     "name, confirmed?: removes what is kept of an instance that is not loaded"},
    {"acl.list", admin_access, ADMIN_READS, "all access rules"},
    {"acl.add", admin_access, ADMIN_TRIES, "principal, operation, resource, host?, deny?: a rule"},
    {"acl.remove", admin_access, ADMIN_TRIES, "principal, operation, resource, host?, deny?: takes it back"},
    {"user.list", admin_access, ADMIN_READS, "who has a password"},
    {"quota.list", admin_access, ADMIN_READS, "all quotas"},
    {"quota.set", admin_access, ADMIN_TRIES,
     "user?, client_id?, ip? (\"\": the default), limits {key: value, 0: none}: changes them"},
    {"user.add", admin_access, ADMIN_TRIES,
     "name, mechanism, iterations, salt, salted_password (base64): a user's SCRAM credential"},
    {"user.remove", admin_access, ADMIN_TRIES, "name: takes its credentials away"},
    {"dlq.stages", admin_dlq, ADMIN_READS,
     "name?: stages with dead letters, their partitions, and what was handed back"},
    {"dlq.redrive", admin_dlq, ADMIN_TRIES,
     "name, to?, partition?, offset?, filters? []: hands dead letters back; dlq.status tells how "
     "far"},
    {"dlq.status", admin_dlq, ADMIN_READS, "the last redrive"},
    {"scrub", admin_storage, ADMIN_ACTS,
     "start? (false: only tell), bytes_per_s? (for this pass): reads what is stored and compares "
     "it "
     "with its checksums"},
    {"backup.begin", admin_storage, ADMIN_ACTS,
     "a consistent cut of all shards, whose files stay until backup.release or the connection "
     "ends"},
    {"backup.release", admin_storage, ADMIN_ACTS, "what: \"log\" or \"all\""},
    {"reload", admin_reload, ADMIN_TRIES,
     "dry_run? (false): reads the configuration again; what became of each key, or would"},
    {"config.show", admin_config_show, ADMIN_READS, "every key with value and origin"},
};
/* clang-format on */
const size_t admin_command_count = SL_COUNT_OF(admin_commands);

sl_err admin_server_new(const struct admin_server_config *config, struct admin_server **ret_server)
{
    SL_ASSERT(config->hooks.write != NULL && config->hooks.wall_ms != NULL);
    struct admin_server *server = sl_alloc_zero(1, sizeof(*server));
    if (server == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    server->config = *config;
    server->codecs = codec_context_new();
    sl_buffer_init(&server->decompressed, config->decompressed_bytes_max);
    if (server->codecs == NULL) {
        sl_free(server);
        return SLUICE_E_NO_MEMORY;
    }
    *ret_server = server;
    return SLUICE_OK;
}

struct admin_server *admin_server_free(struct admin_server *server)
{
    if (server != NULL) {
        SL_ASSERT(server->session_count == 0);
        codec_context_free(server->codecs);
        sl_buffer_fini(&server->decompressed);
        sl_free(server);
    }
    return NULL;
}

sl_err admin_session_open(struct admin_server *server, void *connection,
                          struct admin_session **ret_session)
{
    struct admin_session *session = sl_alloc_zero(1, sizeof(*session));
    if (session == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    session->server = server;
    session->connection = connection;
    sl_buffer_init(&session->line, ADMIN_LINE_BYTES_MAX);
    server->session_count++;
    *ret_session = session;
    return SLUICE_OK;
}

static void session_free_if_done(struct admin_session *session)
{
    if (session->closed && session->pending == 0) {
        session->server->session_count--;
        sl_buffer_fini(&session->line);
        sl_free(session);
    }
}

void admin_session_close(struct admin_session *session)
{
    SL_ASSERT(!session->closed);
    const struct admin_hooks *hooks = &session->server->config.hooks;
    if (hooks->closed != NULL) {
        hooks->closed(hooks->arg, session->connection);
    }
    session->closed = true;
    session->connection = NULL;
    session_free_if_done(session);
}

/* ---- replies ---- */

static void line_write(struct admin_session *session, cJSON *reply)
{
    char *text = reply == NULL ? NULL : cJSON_PrintUnformatted(reply);
    if (text != NULL && !session->closed) {
        const struct admin_hooks *hooks = &session->server->config.hooks;
        size_t size = strlen(text);
        text[size] = '\n'; /* in place of the NUL: one write, one line */
        hooks->write(hooks->arg, session->connection, text, size + 1);
    }
    free(text);
    cJSON_Delete(reply);
}

static void error_add(cJSON *reply, sl_err err, const char *detail, size_t detail_size)
{
    char code[16], message[1024];
    const char *sentence = sl_status_text(err);
    sl_status_name(err, code);
    snprintf(message, sizeof(message), "%s%s%.*s", sentence, detail_size > 0 ? ": " : "",
             (int)SL_MIN(detail_size, (size_t)900), detail_size > 0 ? detail : "");
    cJSON *error = cJSON_AddObjectToObject(reply, "error");
    cJSON_AddStringToObject(error, "code", code);
    cJSON_AddNumberToObject(error, "status", err);
    cJSON_AddStringToObject(error, "message", message);
    cJSON_AddStringToObject(error, "next", explain_find(err)->next);
}

static cJSON *reply_new(const cJSON *message, bool ok)
{
    cJSON *reply = cJSON_CreateObject();
    const cJSON *id = message == NULL ? NULL : cJSON_GetObjectItemCaseSensitive(message, "id");
    if (cJSON_IsNumber(id) || cJSON_IsString(id)) {
        cJSON_AddItemToObject(reply, "id", cJSON_Duplicate(id, false));
    } else {
        cJSON_AddNullToObject(reply, "id");
    }
    cJSON_AddBoolToObject(reply, "ok", ok);
    return reply;
}

/* An error before there is a request. */
static void session_fail(struct admin_session *session, const cJSON *message, sl_err err,
                         const char *detail)
{
    cJSON *reply = reply_new(message, false);
    error_add(reply, err, detail, strlen(detail));
    line_write(session, reply);
}

static void request_free(struct admin_request *request)
{
    struct admin_session *session = request->session;
    if (request->release != NULL) {
        request->release(request->state);
    }
    cJSON_Delete(request->message);
    cJSON_Delete(request->result);
    sl_free(request);
    SL_ASSERT(session->pending > 0);
    session->pending--;
    session_free_if_done(session);
}

static void request_end(struct admin_request *request, cJSON *reply)
{
    if (request->result != NULL) {
        cJSON_AddItemToObject(reply, "result", request->result);
        request->result = NULL;
    }
    line_write(request->session, reply);
    request_free(request);
}

void admin_reply(struct admin_request *request)
{
    if (request->result == NULL) {
        request->result = cJSON_CreateObject();
    }
    if (request->dry_run && !cJSON_HasObjectItem(request->result, "dry_run")) {
        cJSON_AddTrueToObject(request->result, "dry_run");
    }
    request_end(request, reply_new(request->message, true));
}

void admin_fail_text(struct admin_request *request, sl_err err, struct sluice_text detail)
{
    cJSON *reply = reply_new(request->message, false);
    error_add(reply, err, detail.data, detail.size);
    request_end(request, reply);
}

void admin_fail(struct admin_request *request, sl_err err, const char *detail)
{
    admin_fail_text(request, err, sluice_text_of(detail));
}

void admin_answer(void *arg, sl_err err, const char *detail, cJSON *result)
{
    struct admin_request *request = arg;
    request->result = result;
    if (err != SLUICE_OK) {
        admin_fail(request, err, detail);
    } else {
        admin_reply(request);
    }
}

/* ---- requests ---- */

static const struct admin_command *command_find(const char *name)
{
    for (size_t i = 0; i < admin_command_count; i++) {
        if (strcmp(admin_commands[i].name, name) == 0) {
            return &admin_commands[i];
        }
    }
    return NULL;
}

static void unknown_command(struct admin_session *session, const cJSON *message, const char *name)
{
    const char *known[SL_COUNT_OF(admin_commands)];
    char detail[256];
    for (size_t i = 0; i < admin_command_count; i++) {
        known[i] = admin_commands[i].name;
    }
    struct sl_bytes word = {(const uint8_t *)name, strlen(name)};
    const char *best = sl_text_nearest(word, known, admin_command_count);
    snprintf(detail, sizeof(detail), "unknown command \"%.64s\"; %s%s", name,
             best != NULL ? "did you mean " : "\"help\" lists them", best != NULL ? best : "");
    session_fail(session, message, SLUICE_E_UNSUPPORTED, detail);
}

bool admin_is_dry(const cJSON *args)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(args, "dry_run"));
}

/* [takes message] */
static void request_start(struct admin_session *session, cJSON *message)
{
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(message, "command");
    const cJSON *args = cJSON_GetObjectItemCaseSensitive(message, "args");
    const struct admin_command *command =
        cJSON_IsString(name) ? command_find(name->valuestring) : NULL;
    struct admin_request *request = NULL;
    if (!cJSON_IsObject(message) || !cJSON_IsString(name) || (args && !cJSON_IsObject(args))) {
        session_fail(session, message, SLUICE_E_INVALID_REQUEST,
                     "expected {\"id\":…,\"command\":\"…\",\"args\":{…}}");
    } else if (command == NULL) {
        unknown_command(session, message, name->valuestring);
    } else if (admin_is_dry(args) && command->effect == ADMIN_ACTS) {
        session_fail(session, message, SLUICE_E_UNSUPPORTED,
                     "this cannot be tried without doing it; nothing was done");
    } else if (session->pending >= ADMIN_PENDING_MAX) {
        session_fail(session, message, SLUICE_E_LIMIT, "64 requests are under way on this session");
    } else if ((request = sl_alloc_zero(1, sizeof(*request))) == NULL) {
        session_fail(session, message, SLUICE_E_NO_MEMORY, "");
    }
    if (request == NULL) {
        cJSON_Delete(message);
        return;
    }
    *request =
        (struct admin_request){.session = session,
                               .server = session->server,
                               .message = message,
                               .command = name->valuestring,
                               .dry_run = admin_is_dry(args) && command->effect == ADMIN_TRIES,
                               .args = args};
    session->pending++;
    command->handle(request);
}

static void line_take(struct admin_session *session, const uint8_t *line, size_t size)
{
    const char *end = NULL;
    if (size > 0 && line[size - 1] == '\r') {
        size--;
    }
    if (size == 0) {
        return;
    }
    cJSON *message = cJSON_ParseWithLengthOpts((const char *)line, size, &end, false);
    if (message == NULL) {
        session_fail(session, NULL, SLUICE_E_MALFORMED, "the line is not JSON");
        return;
    }
    request_start(session, message);
}

sl_err admin_session_input(struct admin_session *session, struct sl_bytes bytes)
{
    struct admin_session *held = session;
    held->pending++; /* a handler's write may close the connection */
    sl_err err = SLUICE_OK;
    while (bytes.size > 0 && !session->closed && err == SLUICE_OK) {
        const uint8_t *newline = memchr(bytes.data, '\n', bytes.size);
        size_t size = newline == NULL ? bytes.size : (size_t)(newline - bytes.data);
        err = sl_buffer_append(&session->line, bytes.data, size);
        if (err == SLUICE_OK && newline != NULL) {
            line_take(session, session->line.data, session->line.size);
            sl_buffer_reset_above(&session->line, 64 * 1024);
            size++;
        }
        bytes.data += size;
        bytes.size -= size;
    }
    if (err != SLUICE_OK && !session->closed) {
        err = err == SLUICE_E_LIMIT ? SLUICE_E_FRAME_TOO_LARGE : err;
        session_fail(session, NULL, err, "a line holds at most 16 MiB");
    }
    held->pending--;
    session_free_if_done(held);
    return err;
}

void admin_help(struct admin_request *request)
{
    request->result = cJSON_CreateObject();
    for (size_t i = 0; i < admin_command_count; i++) {
        cJSON_AddStringToObject(request->result, admin_commands[i].name, admin_commands[i].doc);
    }
    admin_reply(request);
}
