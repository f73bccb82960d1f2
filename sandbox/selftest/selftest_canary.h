/* selftest_canary.h: what no attack may touch: a folder with one file, and a listening socket. */
#ifndef SANDBOX_SELFTEST_CANARY_H
#define SANDBOX_SELFTEST_CANARY_H

#include <sandbox/sandbox.h>

struct canary {
    char folder[256];
    char file[288]; /* the secret's path */
    int listener;   /* on the loopback; -1: none could be made */
};

sluice_status canary_open(struct canary *canary, char *text, size_t text_size) SANDBOX_MUST_CHECK;
void canary_close(struct canary *canary);
/* NULL, or what was touched. */
const char *canary_fault(const struct canary *canary);

#endif
