/* admin_watch.c: flow, log: what the wiring gathers. */
#include "control/admin_request.h"

void admin_watch(struct admin_request *request)
{
    const struct admin_hooks *hooks = &request->server->config.hooks;
    if (hooks->watch == NULL) {
        admin_fail(request, SLUICE_E_UNSUPPORTED, "nothing to watch in this broker");
        return;
    }
    hooks->watch(hooks->arg, request->command, request->args, admin_answer, request);
}
