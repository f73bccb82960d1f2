/* policy.h: the seccomp filters of a worker, compiled once per process of the host. */
#ifndef SANDBOX_POLICY_H
#define SANDBOX_POLICY_H

#include <sandbox/sandbox.h>

/* A filter as the kernel takes it: an array of struct sock_filter. */
struct policy_filter {
    uint8_t *code; /* [owned] */
    uint32_t size;
};
/* Compiles stage 1 (module loads) or 2 (module runs). `notify`: what is not allowed goes to the
 * listener; else it kills. E_UNSUPPORTED or E_NO_MEMORY with a sentence. [any] */
sluice_status policy_compile(uint32_t stage, bool notify, struct policy_filter *ret_filter,
                             char *text, size_t text_size) SANDBOX_MUST_CHECK;
void policy_filter_fini(struct policy_filter *filter);
/* "socket", or "system call 999" for unknown numbers. [any] */
void policy_call_name(uint32_t arch, int number, char *text, size_t text_size);

#endif
