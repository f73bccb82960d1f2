/* authorizer.h: what a principal may do to a topic; the one place that answers it.
 *
 * A plugin instance is the principal "Plugin:<name>" and has capabilities: the topics that it reads
 * and writes are those that manifest and configuration both give, nothing else exists for it.
 * Internal topics (__sluice_…) belong to the broker: no capability reaches them, not even "any".
 * [any] */
#ifndef SL_ADMIT_AUTHORIZER_H
#define SL_ADMIT_AUTHORIZER_H

#include "admit/access_policy.h"

#define AUTHORIZER_REASON_BYTES 256u

/* Where a principal may write. [borrowed] */
struct topic_capability {
    const char *principal;     /* "Plugin:mask" */
    struct sl_bytes own;       /* its output for the record at hand; empty: none */
    const char *const *topics; /* further ones */
    uint32_t topic_count;
    bool any;                    /* all but internal ones (--dev) */
    const struct policy *policy; /* rules that deny take away what is given; NULL: none */
};

/* SLUICE_OK, or E_PERMISSION with a sentence that says who, where and why not. */
sl_err authorizer_write(const struct topic_capability *capability, struct sl_bytes topic,
                        char ret_reason[AUTHORIZER_REASON_BYTES]) SL_MUST_CHECK;

#endif
