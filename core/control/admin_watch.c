/* admin_watch.c: flow, log: what the wiring gathers. */
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

void admin_watch(struct admin_request *request)
{
    const struct admin_hooks *hooks = &request->server->config.hooks;
    if (hooks->watch == NULL) {
        admin_fail(request, SLUICE_E_UNSUPPORTED, "nothing to watch in this broker");
        return;
    }
    hooks->watch(hooks->arg, request->command, request->args, hook_done, request);
}
