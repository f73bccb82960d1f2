/* admin_access.c: acl.list, acl.add, acl.remove, user.…, quota.…: rules, users and quotas are the
 * wiring's. */
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

void admin_access(struct admin_request *request)
{
    const struct admin_hooks *hooks = &request->server->config.hooks;
    if (hooks->access == NULL) {
        admin_fail(request, SLUICE_E_UNSUPPORTED, "there are no access rules in this broker");
        return;
    }
    hooks->access(hooks->arg, request->command, request->args, hook_done, request);
}
