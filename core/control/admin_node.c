/* admin_node.c: status, health, metrics, plugin.list, plugin.info, config.show. */
#include "control/admin_request.h"

static void cluster_add(cJSON *object, const struct sluice_cluster *cluster)
{
    if (cluster != NULL && !cJSON_HasObjectItem(object, "cluster_id")) {
        admin_add_text(object, "cluster_id", cluster->cluster_id);
    }
    if (cluster != NULL) {
        cJSON_AddNumberToObject(object, "node_id", cluster->controller_id);
    }
}

static void status_health(void *arg, const struct sluice_health *health)
{
    struct admin_request *request = arg;
    cJSON_AddBoolToObject(request->result, "ready", health->ok);
    admin_add_text(request->result, "health", health->text);
    admin_reply(request);
}

void admin_status(struct admin_request *request)
{
    const struct sluice_broker *broker = admin_broker(request);
    const struct admin_hooks *hooks = &request->server->config.hooks;
    request->result = cJSON_CreateObject();
    if (hooks->status != NULL) {
        hooks->status(hooks->arg, request->result);
    }
    cluster_add(request->result, broker->cluster(broker, admin_context(request)));
    broker->health(broker, admin_context(request), SLUICE_HEALTH_READY, status_health, request);
}

static void health_ready(void *arg, const struct sluice_health *health)
{
    struct admin_request *request = arg;
    cJSON_AddBoolToObject(request->result, "ready", health->ok);
    admin_add_text(request->result, "reasons", health->text);
    admin_reply(request);
}

static void health_live(void *arg, const struct sluice_health *health)
{
    struct admin_request *request = arg;
    const struct sluice_broker *broker = admin_broker(request);
    cJSON_AddBoolToObject(request->result, "live", health->ok);
    broker->health(broker, admin_context(request), SLUICE_HEALTH_READY, health_ready, request);
}

void admin_health(struct admin_request *request)
{
    const struct sluice_broker *broker = admin_broker(request);
    request->result = cJSON_CreateObject();
    broker->health(broker, admin_context(request), SLUICE_HEALTH_LIVE, health_live, request);
}

static void metrics_done(void *arg, sluice_status status, struct sluice_text text)
{
    struct admin_request *request = arg;
    if (status != SLUICE_OK) {
        admin_fail(request, status, "");
        return;
    }
    request->result = cJSON_CreateObject();
    admin_add_text(request->result, "text", text);
    admin_reply(request);
}

void admin_metrics(struct admin_request *request)
{
    const struct sluice_broker *broker = admin_broker(request);
    broker->metrics(broker, admin_context(request), metrics_done, request);
}

void admin_plugin_list(struct admin_request *request)
{
    const struct admin_hooks *hooks = &request->server->config.hooks;
    if (hooks->plugin_list == NULL) {
        admin_fail(request, SLUICE_E_UNSUPPORTED, "no plugin host in this broker");
        return;
    }
    hooks->plugin_list(hooks->arg, admin_answer, request);
}

/* The name of a plugin; NULL: the request has failed. */
static const char *plugin_name(struct admin_request *request, bool has_host)
{
    const char *name = admin_arg_text(request, "name");
    if (!has_host) {
        admin_fail(request, SLUICE_E_UNSUPPORTED, "no plugin host in this broker");
        return NULL;
    }
    if (name == NULL) {
        admin_fail(request, SLUICE_E_INVALID, "\"name\" is missing");
    }
    return name;
}

void admin_plugin_info(struct admin_request *request)
{
    const struct admin_hooks *hooks = &request->server->config.hooks;
    const char *name = plugin_name(request, hooks->plugin_info != NULL);
    if (name != NULL) {
        hooks->plugin_info(hooks->arg, name, admin_answer, request);
    }
}

void admin_plugin_rollback(struct admin_request *request)
{
    const struct admin_hooks *hooks = &request->server->config.hooks;
    const char *name = plugin_name(request, hooks->plugin_rollback != NULL);
    if (name != NULL) {
        hooks->plugin_rollback(hooks->arg, name, admin_arg_text(request, "to"), request->dry_run,
                               admin_answer, request);
    }
}

void admin_plugin_logs(struct admin_request *request)
{
    const struct admin_hooks *hooks = &request->server->config.hooks;
    const char *name = plugin_name(request, hooks->plugin_logs != NULL);
    int64_t after = 0;
    if (name == NULL) {
        return;
    }
    if (!admin_arg_int(request, "after", 0, INT64_MAX, 0, &after)) {
        admin_fail(request, SLUICE_E_INVALID, "\"after\" is the number of a line");
        return;
    }
    request->result = cJSON_CreateObject();
    hooks->plugin_logs(hooks->arg, name, (uint64_t)after, request->result);
    admin_reply(request);
}

void admin_plugin_sandbox(struct admin_request *request)
{
    const struct admin_hooks *hooks = &request->server->config.hooks;
    const char *name = plugin_name(request, hooks->plugin_sandbox != NULL);
    if (name == NULL) {
        return;
    }
    cJSON *object = cJSON_CreateObject();
    sl_err err = hooks->plugin_sandbox(hooks->arg, name, object);
    if (err != SLUICE_OK) {
        cJSON_Delete(object);
        object = NULL;
    }
    admin_answer(request, err, name, object);
}

void admin_plugin_command(struct admin_request *request)
{
    const struct admin_hooks *hooks = &request->server->config.hooks;
    const char *name = plugin_name(request, hooks->plugin_command != NULL);
    if (name != NULL) {
        hooks->plugin_command(hooks->arg, request->command, request->args, admin_answer, request);
    }
}

void admin_storage(struct admin_request *request)
{
    const struct admin_hooks *hooks = &request->server->config.hooks;
    if (hooks->storage == NULL || request->session->connection == NULL) {
        admin_fail(request, SLUICE_E_UNSUPPORTED, "no storage in this broker");
        return;
    }
    hooks->storage(hooks->arg, request->session->connection, request->command, request->args,
                   admin_answer, request);
}

void admin_reload(struct admin_request *request)
{
    const struct admin_hooks *hooks = &request->server->config.hooks;
    if (hooks->reload == NULL) {
        admin_fail(request, SLUICE_E_UNSUPPORTED, "no configuration in this broker");
    } else {
        hooks->reload(hooks->arg, request->dry_run, admin_answer, request);
    }
}

void admin_config_show(struct admin_request *request)
{
    const struct admin_hooks *hooks = &request->server->config.hooks;
    if (hooks->config == NULL) {
        admin_fail(request, SLUICE_E_UNSUPPORTED, "no configuration in this broker");
        return;
    }
    request->result = config_show_json(hooks->config(hooks->arg));
    admin_reply(request);
}
