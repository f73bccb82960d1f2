/* admin_socket.c: see admin_socket.h. */
#include "broker/admin_socket.h"

#include "base/log_recent.h"
#include "base/status.h"
#include "broker/access_admin.h"
#include "broker/dlq_admin.h"
#include "broker/filter_admin.h"
#include "broker/plugin_admin.h"
#include "broker/plugin_lags.h"
#include "broker/sluice_state.h"
#include "broker/storage_admin.h"
#include "broker/watch_admin.h"
#include "os/os_processors.h"
#include "shard/recovery.h"

#include <cjson/cJSON.h>
#include <stdio.h>

#define READ_BYTES 65536u

struct admin_connection {
    struct admin_socket *admin;
    struct admin_connection *next;
    struct admin_session *session;
    struct sl_stream *stream;
    struct sl_buffer output;
    size_t sent;
    bool waiting; /* for events.writable */
    bool dead;
    struct sl_task free_task;
};

static void connection_free(struct sl_task *task)
{
    struct admin_connection *connection = SL_CONTAINER_OF(task, struct admin_connection, free_task);
    sl_buffer_fini(&connection->output);
    sl_free(connection);
}

static void connection_close(struct admin_connection *connection)
{
    if (connection->dead) {
        return;
    }
    connection->dead = true;
    struct admin_socket *admin = connection->admin;
    struct admin_connection **at = &admin->connections;
    while (*at != connection) {
        at = &(*at)->next;
    }
    *at = connection->next;
    admin->connection_count--;
    connection->stream = sl_stream_free(connection->stream);
    if (connection->session != NULL) {
        admin_session_close(connection->session);
    }
    connection->free_task =
        (struct sl_task){.run = connection_free, .priority = SL_PRIORITY_CONTROL};
    sl_loop_post(admin->sluice->rooms[0].loop, &connection->free_task);
}

static void flush(struct admin_connection *connection)
{
    while (connection->sent < connection->output.size) {
        struct sl_iovec piece = {connection->output.data + connection->sent,
                                 connection->output.size - connection->sent};
        size_t written = 0;
        if (sl_stream_writev(connection->stream, &piece, 1, &written) != SLUICE_OK) {
            connection_close(connection);
            return;
        }
        connection->sent += written;
        if (written < piece.size) {
            connection->waiting = true;
            return;
        }
    }
    connection->sent = 0;
    sl_buffer_reset_above(&connection->output, READ_BYTES);
}

static void on_write(void *arg, void *opaque, const void *bytes, size_t size)
{
    (void)arg;
    struct admin_connection *connection = opaque;
    if (connection->dead) {
        return;
    }
    if (sl_buffer_append(&connection->output, bytes, size) != SLUICE_OK) {
        connection_close(connection);
    } else if (!connection->waiting) {
        flush(connection);
    }
}

static void on_readable(void *arg)
{
    struct admin_connection *connection = arg;
    uint8_t bytes[READ_BYTES];
    size_t size = 0;
    sl_err err = sl_stream_read(connection->stream, bytes, sizeof(bytes), &size);
    if (err == SLUICE_E_WOULD_BLOCK) {
        return;
    }
    if (err != SLUICE_OK || size == 0 ||
        admin_session_input(connection->session, (struct sl_bytes){bytes, size}) != SLUICE_OK) {
        connection_close(connection);
    }
}

static void on_writable(void *arg)
{
    struct admin_connection *connection = arg;
    connection->waiting = false;
    flush(connection);
}

static void on_failed(void *arg, sl_err err)
{
    (void)err;
    connection_close(arg);
}

static const struct sl_stream_events stream_events = {on_readable, on_writable, on_failed};

static void on_accept(void *arg, int descriptor, const char *peer)
{
    (void)peer;
    struct admin_socket *admin = arg;
    struct admin_connection *connection = admin->connection_count < ADMIN_CONNECTIONS_MAX
                                              ? sl_alloc_zero(1, sizeof(*connection))
                                              : NULL;
    if (connection == NULL) {
        sl_descriptor_close(descriptor);
        return;
    }
    connection->admin = admin;
    sl_buffer_init(&connection->output, ADMIN_OUTPUT_BYTES_MAX);
    connection->next = admin->connections;
    admin->connections = connection;
    admin->connection_count++;
    sl_err err = sl_stream_new(admin->sluice->rooms[0].loop, descriptor, &stream_events, connection,
                               &connection->stream);
    err = err != SLUICE_OK ? err
                           : admin_session_open(admin->server, connection, &connection->session);
    if (err != SLUICE_OK) {
        connection_close(connection);
        return;
    }
    sl_stream_read_start(connection->stream);
}

/* ---- what the wiring knows ---- */

static void add_shards(const struct sluice *sluice, cJSON *object)
{
    cJSON *shards = cJSON_AddArrayToObject(object, "shards");
    for (uint32_t i = 0; i < sluice->shards.count; i++) {
        const struct shard *shard = sluice->shards.shards[i];
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddNumberToObject(entry, "shard", i);
        sl_err status = shard_status(shard);
        cJSON_AddStringToObject(entry, "status",
                                status == SLUICE_OK ? "serving" : sl_status_text(status));
        cJSON_AddNumberToObject(entry, "epoch", shard->recovery.epoch);
        if (status != SLUICE_OK && shard->recovery.problem[0] != '\0') {
            cJSON_AddStringToObject(entry, "problem", shard->recovery.problem);
        }
        cJSON_AddItemToArray(shards, entry);
    }
}

/* What each shard's last start found and mended. */
static void add_recovery(const struct sluice *sluice, cJSON *object)
{
    cJSON *shards = cJSON_AddArrayToObject(object, "recovery");
    for (uint32_t i = 0; i < sluice->shards.count; i++) {
        const struct shard *shard = sluice->shards.shards[i];
        const struct wal_recovery *recovery = &shard->recovery;
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddNumberToObject(entry, "shard", i);
        cJSON_AddBoolToObject(entry, "clean", recovery->clean);
        cJSON_AddNumberToObject(entry, "segments", (double)recovery->segment_count);
        cJSON_AddNumberToObject(entry, "frames", (double)recovery->frame_count);
        cJSON_AddNumberToObject(entry, "items", (double)recovery->item_count);
        cJSON_AddNumberToObject(entry, "last_lsn", (double)recovery->last_lsn);
        cJSON_AddNumberToObject(entry, "bytes_scanned", (double)recovery->bytes_scanned);
        cJSON_AddNumberToObject(entry, "bytes_cut", (double)recovery->bytes_cut);
        cJSON_AddNumberToObject(entry, "repairs", (double)recovery_repairs(shard));
        cJSON_AddNumberToObject(entry, "extents", (double)shard->extents_recovered);
        cJSON_AddNumberToObject(entry, "ms", (double)recovery->elapsed_ns / 1e6);
        cJSON_AddItemToArray(shards, entry);
    }
}

/* Since the start, as /metrics counts it. */
static void add_written(const struct sluice *sluice, cJSON *object)
{
    static const struct {
        const char *name;
        size_t index;
    } table[] = {{"produced_bytes", BROKER_METRIC_BYTES_IN},
                 {"log_body_bytes", BROKER_METRIC_WRITTEN_BODIES},
                 {"log_head_bytes", BROKER_METRIC_WRITTEN_HEADS},
                 {"log_padding_bytes", BROKER_METRIC_WRITTEN_PADDING},
                 {"log_zero_bytes", BROKER_METRIC_WRITTEN_ZEROS},
                 {"checkpoint_bytes", BROKER_METRIC_WRITTEN_CHECKPOINTS},
                 {"extent_bytes", BROKER_METRIC_WRITTEN_EXTENTS},
                 {"promoted_bytes", BROKER_METRIC_PROMOTED_BYTES},
                 {"compacted_bytes", BROKER_METRIC_COMPACT_OUT},
                 {"rewritten_bytes", BROKER_METRIC_REWRITE_BYTES},
                 {"dead_bytes", BROKER_METRIC_EXTENT_DEAD}};
    cJSON *entry = cJSON_AddObjectToObject(object, "written");
    for (size_t i = 0; i < SL_COUNT_OF(table); i++) {
        uint64_t value = sl_metrics_value(sluice->metrics, table[i].index, NULL);
        cJSON_AddNumberToObject(entry, table[i].name, (double)value);
    }
}

static void add_storage(const struct sluice *sluice, cJSON *object)
{
    const struct storage_watch *storage = &sluice->storage;
    cJSON *entry = cJSON_AddObjectToObject(object, "storage");
    char why[160];
    uint32_t damaged = 0;
    for (uint32_t i = 0; i < sluice->shards.count; i++) {
        damaged += scrub_damaged(sluice->shards.shards[i]);
    }
    storage_watch_explain(storage, why);
    cJSON_AddStringToObject(entry, "state", storage_state_name(storage_watch_state(storage)));
    cJSON_AddNumberToObject(entry, "disk_bytes", (double)storage->total);
    cJSON_AddNumberToObject(entry, "available_bytes", (double)storage->available);
    cJSON_AddNumberToObject(entry, "used_percent", (double)storage->permille / 10);
    cJSON_AddNumberToObject(entry, "damaged_places", damaged);
    add_written(sluice, entry);
    if (why[0] != '\0') {
        cJSON_AddStringToObject(entry, "why", why);
    }
}

/* Records of topics in memory. */
static void add_memory(const struct sluice *sluice, cJSON *object)
{
    cJSON *entry = cJSON_AddObjectToObject(object, "memory");
    cJSON_AddNumberToObject(entry, "bytes_max", (double)sluice->config->memory.bytes_max);
    cJSON_AddBoolToObject(entry, "everything", !config_has_disk(sluice->config));
}

/* An entry for each listener. */
static void add_frontend(const struct frontend_slot *slot, cJSON *frontends)
{
    bool retires = slot->state == FRONTEND_RETIRING;
    for (uint32_t i = 0; i < slot->listeners.count; i++) {
        const struct frontend_port *port = slot->ports[i];
        const struct listener *listener = slot->listeners.listeners[i];
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddStringToObject(entry, "name", slot->name);
        cJSON_AddStringToObject(entry, "listener", listener->name);
        cJSON_AddStringToObject(entry, "address", listener->address);
        cJSON_AddNumberToObject(entry, "port", port == NULL ? 0 : sl_listener_port(port->socket));
        cJSON_AddBoolToObject(entry, "tls", listener->tls != NULL);
        cJSON_AddStringToObject(entry, "state", retires ? "old version, draining" : "listening");
        cJSON_AddStringToObject(entry, "version", slot->descriptor->version);
        cJSON_AddItemToArray(frontends, entry);
    }
}

static void add_frontends(const struct sluice *sluice, cJSON *object)
{
    cJSON *frontends = cJSON_AddArrayToObject(object, "frontends");
    for (uint32_t i = 0; i < FRONTEND_SET_MAX; i++) {
        const struct frontend_slot *slot = &sluice->frontends.slots[i];
        if (slot->state == FRONTEND_LISTENING || slot->state == FRONTEND_RETIRING) {
            add_frontend(slot, frontends);
        }
    }
}

static void on_status(void *arg, cJSON *object)
{
    const struct admin_socket *admin = arg;
    const struct sluice *sluice = admin->sluice;
    cJSON_AddStringToObject(object, "version", SLUICE_VERSION);
    cJSON_AddNumberToObject(object, "pid", (double)sl_process_id());
    cJSON_AddNumberToObject(object, "uptime_ms",
                            (double)((sl_os_mono_ns(sluice->os) - sluice->started_ns) / 1000000));
    cJSON_AddStringToObject(object, "cluster_id", sluice->facts.cluster_id);
    cJSON_AddStringToObject(object, "data_dir", sluice->config->data.dir);
    cJSON_AddStringToObject(object, "durability",
                            config_has_disk(sluice->config) ? "by topic" : "memory");
    cJSON_AddNumberToObject(object, "loops", sluice->room_count);
    add_storage(sluice, object);
    add_memory(sluice, object);
    add_shards(sluice, object);
    add_recovery(sluice, object);
    add_frontends(sluice, object);
}

static void on_plugin_list(void *arg, admin_storage_done *done, void *done_arg)
{
    plugin_list_gather(((struct admin_socket *)arg)->sluice, done, done_arg);
}

static void on_plugin_info(void *arg, const char *name, admin_storage_done *done, void *done_arg)
{
    plugin_lags_info(((struct admin_socket *)arg)->sluice, name, done, done_arg);
}

static void on_plugin_logs(void *arg, const char *name, uint64_t after, cJSON *object)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    struct log_recent *recent = sl_logger_recent(((struct admin_socket *)arg)->sluice->logger);
    struct log_recent_line line = {.number = after};
    bool lost = false, any_lost = false;
    cJSON *lines = cJSON_AddArrayToObject(object, "lines");
    for (uint32_t i = 0; i < LOG_RECENT_LINES; i++) {
        if (!log_recent_next(recent, name, line.number, &line, &lost)) {
            break;
        }
        any_lost = any_lost || lost;
        cJSON *item = cJSON_CreateObject();
        admin_add_int64(item, "time_ms", line.wall_ms);
        cJSON_AddStringToObject(item, "level", levels[line.level & 3u]);
        cJSON_AddStringToObject(item, "text", line.text);
        cJSON_AddItemToArray(lines, item);
    }
    admin_add_uint64(object, "next", line.number);
    cJSON_AddBoolToObject(object, "lost", any_lost && after > 0);
}

static void on_plugin_rollback(void *arg, const char *name, const char *to, bool dry_run,
                               admin_storage_done *done, void *done_arg)
{
    struct sluice *sluice = ((struct admin_socket *)arg)->sluice;
    plugin_rollback_json(sluice->plugins, sluice->shards.shards[0], name, to, dry_run, done,
                         done_arg);
}

static void on_plugin_command(void *arg, const char *command, const cJSON *args,
                              admin_storage_done *done, void *done_arg)
{
    plugin_admin_run(((struct admin_socket *)arg)->sluice, command, args, done, done_arg);
}

static sl_err on_plugin_sandbox(void *arg, const char *name, cJSON *object)
{
    return plugin_walls_json(((struct admin_socket *)arg)->sluice->plugins, name, object);
}

struct reload_asked {
    admin_storage_done *done;
    void *done_arg;
};

static void on_reloaded(void *arg, cJSON *report)
{
    struct reload_asked *asked = arg;
    asked->done(asked->done_arg, SLUICE_OK, "", report);
    sl_free(asked);
}

static void on_reload(void *arg, bool dry_run, admin_storage_done *done, void *done_arg)
{
    struct reload_asked *asked = sl_alloc_zero(1, sizeof(*asked));
    sl_err err = SLUICE_E_NO_MEMORY;
    if (asked != NULL) {
        *asked = (struct reload_asked){done, done_arg};
        err = sluice_reload(((struct admin_socket *)arg)->sluice, dry_run, on_reloaded, asked);
    }
    if (err != SLUICE_OK) {
        sl_free(asked);
        done(done_arg, err, err == SLUICE_E_BUSY ? "a reload is under way" : "", NULL);
    }
}

static const struct sl_config *on_config(void *arg)
{
    return ((struct admin_socket *)arg)->sluice->config;
}

static int64_t on_wall_ms(void *arg)
{
    return sl_os_wall_ms(((struct admin_socket *)arg)->sluice->os);
}

sl_err admin_socket_open(struct admin_socket *admin, struct sluice *sluice)
{
    admin->sluice = sluice;
    broker_link_init(&admin->link, sluice->rooms[0].shards[0], NULL, &sluice->facts);
    admin->link.flow = &sluice->rooms[0].flow;
    security_link_init(&admin->security, &sluice->rooms[0].guard, NULL, true);
    quota_link_init(&admin->quota, &sluice->rooms[0].guard, sluice->shards.shards[0], sluice->os,
                    true);
    admin->context = (struct sluice_context){.size = sizeof(struct sluice_context),
                                             .principal = sluice_text_of("User:admin"),
                                             .listener = sluice_text_of("admin"),
                                             .client_id = sluice_text_of("sluice-cli"),
                                             .client_host = sluice_text_of("local")};
    struct admin_server_config config = {
        .broker = &admin->link.table,
        .context = admin->context,
        .hooks = {.arg = admin,
                  .status = on_status,
                  .plugin_list = on_plugin_list,
                  .plugin_info = on_plugin_info,
                  .plugin_logs = on_plugin_logs,
                  .plugin_rollback = on_plugin_rollback,
                  .plugin_sandbox = on_plugin_sandbox,
                  .plugin_command = on_plugin_command,
                  .dlq = dlq_admin_run,
                  .watch = watch_admin_run,
                  .access = access_admin_run,
                  .storage = storage_admin_run,
                  .closed = storage_admin_closed,
                  .reload = on_reload,
                  .config = on_config,
                  .wall_ms = on_wall_ms,
                  .write = on_write},
        .topics_auto_create = sluice->config->core.topics_auto_create,
        .decompressed_bytes_max = (size_t)sluice->config->core.decompressed_bytes_max,
    };
    sl_err err = admin_server_new(&config, &admin->server);
    if (err != SLUICE_OK) {
        return err;
    }
    char address[FRONTEND_PATH_BYTES];
    if (strcmp(sluice->config->admin.socket, CONFIG_NO_SOCKET) == 0) {
        return SLUICE_OK;
    }
    snprintf(address, sizeof(address), "unix:%s", sluice->config->admin.socket);
    err = sl_listener_new(sluice->rooms[0].loop, address, 0, on_accept, admin, &admin->listener);
    if (err != SLUICE_OK) {
        sl_log(sluice->logger, SL_LOG_ERROR, "admin", "cannot open the admin socket",
               sl_log_text("path", sluice->config->admin.socket), sl_log_err(err));
    }
    return err;
}

void admin_socket_close(struct admin_socket *admin)
{
    admin->listener = sl_listener_free(admin->listener);
    while (admin->connections != NULL) {
        connection_close(admin->connections);
    }
}
