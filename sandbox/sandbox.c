/* sandbox.c: what all workers of a process share: the compiled filters and the path of the program.
 */
#include <sandbox/sandbox.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker_handle.h"

#define SECCOMP_API_NOTIFY 5u /* libseccomp's level of kernels with user notification */

const char *sandbox_cause_name(uint32_t kind)
{
    static const char *const names[] = {"stopped", "exit",     "crash",  "denied",
                                        "memory",  "deadline", "cpu",    "protocol",
                                        "refused", "setup",    "killed", "task"};

    _Static_assert(sizeof(names) / sizeof(names[0]) == SANDBOX_CAUSE_COUNT,
                   "a name for each cause");
    return kind < SANDBOX_CAUSE_COUNT ? names[kind] : "unknown";
}

sluice_status sandbox_open(const struct sandbox_options *options, struct sandbox **ret_sandbox,
                           char *text, size_t text_size)
{
    struct sandbox *sandbox = calloc(1, sizeof(*sandbox));
    sluice_status status = SLUICE_OK;

    if (sandbox == NULL || (sandbox->worker_path = strdup(options->worker_path)) == NULL) {
        snprintf(text, text_size, "out of memory");
        sandbox_close(sandbox);
        return SLUICE_E_NO_MEMORY;
    }
    if (access(sandbox->worker_path, X_OK) != 0) {
        snprintf(text, text_size, "the worker program %s cannot be run", sandbox->worker_path);
        status = SLUICE_E_IO;
    }
    cgroup_room_open(&sandbox->cgroups, options->no_cgroup ? NULL : "/proc/self");
    sandbox->listener = !options->no_listener && seccomp_api_get() >= SECCOMP_API_NOTIFY;
    for (uint32_t i = 0; i < BOOT_FILTER_COUNT && status == SLUICE_OK; i++) {
        status = policy_compile(i + 1, false, &sandbox->kill_filters[i], text, text_size);
        if (status == SLUICE_OK && sandbox->listener) {
            status = policy_compile(i + 1, true, &sandbox->filters[i], text, text_size);
        }
    }
    if (status != SLUICE_OK) {
        sandbox_close(sandbox);
        return status;
    }
    *ret_sandbox = sandbox;
    return SLUICE_OK;
}

struct sandbox *sandbox_close(struct sandbox *sandbox)
{
    if (sandbox == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < BOOT_FILTER_COUNT; i++) {
        policy_filter_fini(&sandbox->filters[i]);
        policy_filter_fini(&sandbox->kill_filters[i]);
    }
    free(sandbox->worker_path);
    free(sandbox);
    return NULL;
}
