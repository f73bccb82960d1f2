/* admin_dlq.c: dlq.stages, dlq.redrive, dlq.status: what asks all shards is the wiring's. */
#include "control/admin_request.h"

void admin_dlq(struct admin_request *request)
{
    const struct admin_hooks *hooks = &request->server->config.hooks;
    if (hooks->dlq == NULL) {
        admin_fail(request, SLUICE_E_UNSUPPORTED, "no plugin host in this broker");
        return;
    }
    hooks->dlq(hooks->arg, request->command, request->args, admin_answer, request);
}
