/* selftest.h: hostile plugins against the real sandbox of this machine, driven by one table.
 *
 * Each attack runs in a worker of its own, beside a witness (a well-behaved plugin) and a canary (a
 * file, a folder, a listening socket). It holds when the plugin ended or was answered as its row
 * says, the witness still works, and the canary is as it was. Used by `sluice sandbox selftest` and
 * by tests/sandbox. One thread; everything [blocks]. */
#ifndef SANDBOX_SELFTEST_H
#define SANDBOX_SELFTEST_H

#include <sandbox/sandbox.h>

struct selftest; /* the open suite */

struct selftest_options {
    const char *worker_path; /* of sluice-worker */
    const char *directory;   /* of hostile.so and lua/, "…/lib/sluice/selftest" */
    const char *lua_path;    /* of processor_lua.so */
    const char *ffi_path;    /* of processor_ffi.so */
    bool no_listener;        /* as sandbox_options */
};

#define SELFTEST_KILLED   0u /* the worker ended: SANDBOX_CAUSE_*, and the named call */
#define SELFTEST_REJECTED 1u /* the record was rejected, the worker lives */
#define SELFTEST_ANSWERED 2u /* the plugin went on and got nothing by it */
#define SELFTEST_ANY      3u /* any of these: it depends on who is faster */

struct selftest_attack {
    const char *name;     /* what it tries: "call socket", "lua pcall-loop" */
    const char *group;    /* "calls", "loading", "life", "rings", "control", "lua", "ffi" */
    uint32_t how;         /* SELFTEST_* */
    uint32_t cause;       /* SANDBOX_CAUSE_* when it is killed */
    const char *text;     /* part of the cause's or reason's sentence; "" any */
    const char *script;   /* file in lua/; NULL: hostile.so */
    uint32_t timeout_ms;  /* as sandbox_task; 0: patient */
    uint32_t memory_mib;  /* 0: the default */
    uint32_t tasks;       /* in flight; 0: one */
    const char *function; /* signature in library_plain.so, called by processor_ffi; or NULL */
    const char *library;  /* that is named instead; and granted, if it is library_….so */
    bool bytecode;        /* the script is sent as if it were compiled */
};

struct selftest_result {
    const struct selftest_attack *attack;
    bool held;
    char ended[32];                   /* "denied", "deadline", "rejected", "answered" … */
    char text[SANDBOX_TEXT_SIZE_MAX]; /* what happened, one sentence; why it did not hold */
    uint32_t elapsed_ms;
};

uint32_t selftest_count(void);
const struct selftest_attack *selftest_attack(uint32_t index);
/* E_IO, E_UNSUPPORTED, E_PLUGIN_LOAD … with a sentence. */
sluice_status selftest_open(const struct selftest_options *options, struct selftest **ret_selftest,
                            char *text, size_t text_size) SANDBOX_MUST_CHECK;
/* NULL is fine; returns NULL. */
struct selftest *selftest_close(struct selftest *selftest);
/* The walls that stand around the witness: what is in force on this machine. */
const struct sandbox_report *selftest_report(const struct selftest *selftest);
void selftest_run(struct selftest *selftest, uint32_t index, struct selftest_result *ret_result);

#endif
