/* admin_dlq.c: dlq.stages, dlq.redrive, dlq.status: what asks all shards is the wiring's. */
#include "control/admin_request.h"

static void hook_done(void *arg, sl_err err, const char *detail, cJSON *result)
{
    struct admin_request *request = arg;
    request->result = result;
    if (err != SLUICE_OK) {
        admin_fail(request, err, detail);
    } else {
        admin_reply(request);
    }
}

void admin_dlq(struct admin_request *request)
{
    const struct admin_hooks *hooks = &request->server->config.hooks;
    if (hooks->dlq == NULL) {
        admin_fail(request, SLUICE_E_UNSUPPORTED, "no plugin host in this broker");
        return;
    }
    hooks->dlq(hooks->arg, request->command, request->args, hook_done, request);
}
