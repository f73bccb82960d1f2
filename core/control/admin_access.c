/* admin_access.c: acl.list, acl.add, acl.remove, user.…, quota.…: rules, users and quotas are the
 * wiring's. */
#include "control/admin_request.h"

void admin_access(struct admin_request *request)
{
    const struct admin_hooks *hooks = &request->server->config.hooks;
    if (hooks->access == NULL) {
        admin_fail(request, SLUICE_E_UNSUPPORTED, "there are no access rules in this broker");
        return;
    }
    hooks->access(hooks->arg, request->command, request->args, admin_answer, request);
}
