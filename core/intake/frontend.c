/* frontend.c: instances of protocol plugins on a loop, and the host table that they see
 * (frontend.h). */
#include "intake/frontend.h"

#include "base/log.h"
#include "intake/conn.h"
#include "intake/conn_upgrade.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

/* ---- the host table ---- */

static struct frontend *of_host(const struct sluice_host *host)
{
    return host->data;
}

/* Extensions that a frontend may ask for and require. */
static const char *const offered[] = {
    SLUICE_EXT_BROKER,   SLUICE_EXT_FRONTEND,    SLUICE_EXT_RECORDS, SLUICE_EXT_TASK,
    SLUICE_EXT_SECURITY, SLUICE_EXT_MESSAGE_SET, SLUICE_EXT_QUOTA,   SLUICE_EXT_TELEMETRY,
    SLUICE_EXT_UPGRADE,  SLUICE_EXT_FILTER};

static bool is_offered(const char *id)
{
    for (size_t i = 0; i < SL_COUNT_OF(offered); i++) {
        if (strcmp(id, offered[i]) == 0) {
            return true;
        }
    }
    return false;
}

static const void *host_get_extension(const struct sluice_host *host, const char *id)
{
    struct frontend *frontend = of_host(host);
    const struct {
        const char *id;
        const void *table;
    } offers[] = {
        {offered[0], frontend->intake->broker},
        {offered[1], &frontend->frontend_host},
        {offered[2], &frontend->intake->records.host},
        {offered[3], &frontend->tasks.host},
        {offered[4], frontend->intake->security},
        {offered[5], &frontend->intake->message_sets.host},
        {offered[6], frontend->intake->quota},
        {offered[7], frontend->intake->telemetry},
        {offered[8], &frontend->upgrade_host},
        {offered[9], frontend->intake->filters},
    };
    for (size_t i = 0; i < SL_COUNT_OF(offers); i++) {
        if (strcmp(id, offers[i].id) == 0) {
            return offers[i].table;
        }
    }
    return NULL;
}

static void host_log(const struct sluice_host *host, int32_t level, struct sluice_text line)
{
    static const enum sl_log_level levels[] = {SL_LOG_DEBUG, SL_LOG_INFO, SL_LOG_WARN,
                                               SL_LOG_ERROR};
    struct frontend *frontend = of_host(host);
    if (level < SLUICE_LOG_DEBUG || level > SLUICE_LOG_ERROR) {
        level = SLUICE_LOG_INFO;
    }
    char text[512];
    snprintf(text, sizeof(text), "%.*s", (int)SL_MIN(line.size, sizeof(text) - 1), line.data);
    sl_log(frontend->intake->logger, levels[level], frontend->name, text);
}

static const cJSON *find_key(const cJSON *object, const char *key)
{
    const cJSON *whole = cJSON_GetObjectItemCaseSensitive(object, key);
    const char *dot = strchr(key, '.');
    char head[64];
    if (whole != NULL || dot == NULL || (size_t)(dot - key) >= sizeof(head)) {
        return whole;
    }
    memcpy(head, key, (size_t)(dot - key));
    head[dot - key] = '\0';
    return find_key(cJSON_GetObjectItemCaseSensitive(object, head), dot + 1);
}

static struct sluice_text host_get_config(const struct sluice_host *host, const char *key,
                                          struct sluice_text fallback)
{
    struct frontend *frontend = of_host(host);
    cJSON *config = cJSON_Parse(frontend->config_json);
    const cJSON *value = find_key(config, key);
    struct sluice_text text = fallback;
    if (value != NULL) {
        char *printed = cJSON_IsString(value) ? NULL : cJSON_PrintUnformatted(value);
        snprintf(frontend->config_scratch, sizeof(frontend->config_scratch), "%s",
                 printed != NULL ? printed : cJSON_GetStringValue(value));
        cJSON_free(printed);
        text = sluice_text_of(frontend->config_scratch);
    }
    cJSON_Delete(config);
    return text;
}

static struct sluice_text host_get_config_json(const struct sluice_host *host)
{
    return sluice_text_of(of_host(host)->config_json);
}

static void host_set_error(const struct sluice_host *host, struct sluice_text reason)
{
    struct frontend *frontend = of_host(host);
    snprintf(frontend->error, sizeof(frontend->error), "%.*s",
             (int)SL_MIN(reason.size, sizeof(frontend->error) - 1), reason.data);
}

/* Of the first version, which has no conn_drained. */
#define FRONTEND_SIZE_FIRST offsetof(struct sluice_frontend, conn_drained)

/* ---- the connection calls ---- */

static struct conn *find_conn(const struct sluice_frontend_host *host, uint64_t token)
{
    struct frontend *frontend = host->data;
    struct conn *conn = intake_find(frontend->intake, token);
    return conn != NULL && conn->frontend == frontend ? conn : NULL;
}

static sluice_status on_write(const struct sluice_frontend_host *host, uint64_t token,
                              const struct sluice_piece *pieces, uint32_t count)
{
    struct conn *conn = find_conn(host, token);
    return conn == NULL ? SLUICE_E_CANCELLED : conn_write(conn, pieces, count);
}

static void on_close(const struct sluice_frontend_host *host, uint64_t token)
{
    struct conn *conn = find_conn(host, token);
    if (conn != NULL) {
        conn_close(conn);
    }
}

static void on_pause(const struct sluice_frontend_host *host, uint64_t token)
{
    struct conn *conn = find_conn(host, token);
    if (conn != NULL) {
        conn_pause(conn);
    }
}

static void on_resume(const struct sluice_frontend_host *host, uint64_t token)
{
    struct conn *conn = find_conn(host, token);
    if (conn != NULL && conn->pauses > 0) {
        conn_resume(conn);
    }
}

static uint64_t on_queued(const struct sluice_frontend_host *host, uint64_t token)
{
    const struct conn *conn = find_conn(host, token);
    return conn == NULL || conn->unsent != 0 ? 0 : conn->output_bytes; /* goes in this turn */
}

static uint32_t on_loop(const struct sluice_frontend_host *host)
{
    const struct frontend *frontend = host->data;
    return frontend->intake->loop_number;
}

static sluice_status on_hand_over(const struct sluice_upgrade_host *host, uint64_t token,
                                  const char *protocol, const struct sluice_codec *codec,
                                  void *state, struct sluice_bytes answer)
{
    struct frontend *frontend = host->data;
    struct conn *conn = intake_find(frontend->intake, token);
    return conn == NULL || conn->frontend != frontend
               ? SLUICE_E_CANCELLED
               : conn_upgrade_begin(conn, protocol, codec, state, answer);
}

static void tick_fired(void *arg)
{
    struct frontend *frontend = arg;
    if (frontend->ops->tick != NULL) {
        frontend->ops->tick(frontend->self);
    }
}

static void on_set_tick(const struct sluice_frontend_host *host, uint32_t delay_ms)
{
    struct frontend *frontend = host->data;
    sl_timer_start(frontend->tick, (int64_t)delay_ms * 1000000);
}

static int64_t on_now_ms(const struct sluice_frontend_host *host)
{
    struct frontend *frontend = host->data;
    return sl_loop_now_ns(frontend->intake->loop) / 1000000;
}

static int64_t on_wall_ms(const struct sluice_frontend_host *host)
{
    struct frontend *frontend = host->data;
    return sl_os_wall_ms(frontend->intake->os);
}

/* ---- life ---- */

sl_err frontend_check(const struct sluice_plugin_descriptor *descriptor, char *reason,
                      size_t reason_size)
{
    if (descriptor->size < sizeof(*descriptor) || descriptor->magic != SLUICE_PLUGIN_MAGIC) {
        snprintf(reason, reason_size, "it is not a Sluice plugin (descriptor size or magic)");
        return SLUICE_E_PLUGIN_ABI;
    }
    if (descriptor->abi_major != SLUICE_ABI_MAJOR || descriptor->abi_minor > SLUICE_ABI_MINOR) {
        snprintf(reason, reason_size, "it was built for ABI %u.%u, this host offers %u.%u",
                 descriptor->abi_major, descriptor->abi_minor, SLUICE_ABI_MAJOR, SLUICE_ABI_MINOR);
        return SLUICE_E_PLUGIN_ABI;
    }
    const char *const *required = descriptor->required_extensions;
    for (; required != NULL && *required != NULL; required++) {
        if (!is_offered(*required)) {
            snprintf(reason, reason_size,
                     "it requires the extension '%s', which a frontend is not offered", *required);
            return SLUICE_E_PLUGIN_ABI;
        }
    }
    const struct sluice_frontend *ops = descriptor->entry;
    if (descriptor->kind != SLUICE_KIND_FRONTEND || ops == NULL ||
        ops->size < FRONTEND_SIZE_FIRST || ops->create == NULL || ops->destroy == NULL ||
        ops->conn_open == NULL || ops->conn_input == NULL || ops->conn_closed == NULL) {
        snprintf(reason, reason_size,
                 "it is not a frontend, or leaves out a call that every frontend has");
        return SLUICE_E_PLUGIN_ABI;
    }
    return SLUICE_OK;
}

static void fill_tables(struct frontend *frontend)
{
    frontend->host = (struct sluice_host){
        .size = sizeof(struct sluice_host),
        .abi_minor = SLUICE_ABI_MINOR,
        .data = frontend,
        .get_extension = host_get_extension,
        .log = host_log,
        .get_config = host_get_config,
        .get_config_json = host_get_config_json,
        .set_error = host_set_error,
    };
    frontend->frontend_host = (struct sluice_frontend_host){
        .size = sizeof(struct sluice_frontend_host),
        .data = frontend,
        .conn_write = on_write,
        .conn_close = on_close,
        .conn_pause = on_pause,
        .conn_resume = on_resume,
        .set_tick = on_set_tick,
        .now_ms = on_now_ms,
        .wall_ms = on_wall_ms,
        .conn_queued = on_queued,
        .loop = on_loop,
    };
    frontend->upgrade_host = (struct sluice_upgrade_host){
        .size = sizeof(struct sluice_upgrade_host), .data = frontend, .hand_over = on_hand_over};
}

static void frontend_free(struct frontend *frontend)
{
    sl_timer_free(frontend->tick);
    frontend_tasks_fini(&frontend->tasks);
    listener_unref(frontend->listener);
    sl_free(frontend->config_json);
    sl_free(frontend);
}

bool frontend_speaks(const struct frontend *frontend, const char *protocol)
{
    const struct sluice_frontend *ops = frontend->ops;
    const char *const *at = FRONTEND_HAS(ops, protocols) ? ops->protocols : NULL;
    while (at != NULL && *at != NULL && strcmp(*at, protocol) != 0) {
        at++;
    }
    return at != NULL && *at != NULL;
}

static void destroy_drained(struct intake *intake);

static void tasks_ended(void *arg)
{
    struct frontend *frontend = arg;
    destroy_drained(frontend->intake);
}

sl_err frontend_new(struct intake *intake, const struct sluice_plugin_descriptor *descriptor,
                    const struct frontend_config *config, struct frontend **ret_frontend,
                    char *reason, size_t reason_size)
{
    struct frontend *frontend = sl_alloc_zero(1, sizeof(*frontend));
    if (frontend == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    frontend->intake = intake;
    frontend->descriptor = descriptor;
    frontend->ops = descriptor->entry;
    frontend->request_bytes_max = config->request_bytes_max;
    frontend->urgent = config->urgent;
    frontend->listener = config->listener != NULL ? listener_ref(config->listener) : NULL;
    snprintf(frontend->name, sizeof(frontend->name), "%s", config->name);
    fill_tables(frontend);
    frontend_tasks_init(&frontend->tasks, intake->os, intake->loop, tasks_ended, frontend);
    frontend->config_json = sl_strdup_bytes(config->config_json, strlen(config->config_json));
    sl_err err = frontend->config_json == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    if (err == SLUICE_OK) {
        err = sl_timer_new(intake->loop, tick_fired, frontend, &frontend->tick);
    }
    if (err == SLUICE_OK) {
        err = frontend->ops->create(&frontend->host, &frontend->self);
    }
    if (err != SLUICE_OK) {
        snprintf(reason, reason_size, "%s", frontend->error);
        frontend_free(frontend);
        return err;
    }
    frontend_tasks_open(&frontend->tasks);
    frontend->next = intake->frontends;
    intake->frontends = frontend;
    *ret_frontend = frontend;
    return SLUICE_OK;
}

/* Destroys what has drained and is not called any more. */
static void destroy_drained(struct intake *intake)
{
    struct frontend **at = &intake->draining;
    if (intake->calls_pending != NULL && intake->calls_pending(intake->calls_pending_arg)) {
        return; /* intake_calls_ended looks again */
    }
    while (*at != NULL) {
        struct frontend *frontend = *at;
        if (frontend->connection_count > 0 || frontend_tasks_pending(&frontend->tasks)) {
            at = &frontend->next;
            continue;
        }
        *at = frontend->next;
        frontend->ops->destroy(frontend->self);
        frontend_free(frontend);
    }
}

void intake_calls_ended(struct intake *intake)
{
    destroy_drained(intake);
}

void frontend_drain(struct frontend *frontend)
{
    struct intake *intake = frontend->intake;
    struct frontend **at = &intake->frontends;
    while (*at != frontend) {
        at = &(*at)->next;
    }
    *at = frontend->next;
    frontend->draining = true;
    frontend->next = intake->draining;
    intake->draining = frontend;
    sl_timer_stop(frontend->tick);
    frontend_tasks_close(&frontend->tasks);
    frontend->connection_count++; /* keeps it while the connections go */
    for (uint32_t i = 0; i < intake->slot_count; i++) {
        struct conn *conn = intake->slots[i].conn;
        if (conn != NULL && conn->frontend == frontend) {
            conn_dismiss(conn);
        }
    }
    frontend->connection_count--;
    destroy_drained(intake);
}

void frontend_connection_gone(struct frontend *frontend)
{
    SL_ASSERT(frontend->connection_count > 0);
    frontend->connection_count--;
    if (frontend->draining) {
        destroy_drained(frontend->intake);
    }
}
