/* check_frontend.c: a frontend, which no worker hosts for records, runs in one for lives on a
 * broker and clients that are made up (sandbox_spawn.rehearsal): with all walls around it. */
#include "workbench/check.h"

#include <stdio.h>
#include <string.h>

#define LIVES_MAX      64u
#define BATCHES_A_LIFE 25u /* of --batches: 200 give 8 lives of each kind */

static const struct {
    const char *name;
    char letter;
    uint32_t part; /* of the lives: the dearer ones are fewer */
} runs[] = {
    {"connections that open, are cut anywhere and end at any moment", 'l', 1},
    {"memory is refused", 'm', 1},
    {"writes are refused, and their connection ends inside", 'w', 1},
    {"calls to the broker that end after destroy", 'e', 1},
    {"two instances on two threads", 't', 2},
    {"connections leave no memory behind", 'k', 4},
};

static uint32_t lives_of(const struct check *check, size_t run)
{
    uint32_t lives = check->options->batches / BATCHES_A_LIFE / runs[run].part;
    return SL_MAX(SL_MIN(lives, LIVES_MAX), 1u);
}

/* False: it cannot be run at all. */
static bool run_one(struct check *check, size_t run)
{
    char letters[LIVES_MAX + 1] = "";
    char text[BENCH_TEXT_BYTES];
    memset(letters, runs[run].letter, lives_of(check, run));
    check_begin(check, runs[run].name);
    sl_err err = check_start_with(check, check->config_json, letters, text);
    const struct sandbox_cause *end = &check->plugin.probe.end;
    if (err == SLUICE_OK) { /* it is active: a processor */
        check_row(check, "ABI", CHECK_FAILED, "it is no frontend");
        check_ended(check);
        return false;
    }
    if (end->kind == SANDBOX_CAUSE_STOPPED) {
        check_row(check, runs[run].name, CHECK_OK, "%s, seed %llu", text,
                  (unsigned long long)check->options->seed);
        return true;
    }
    bool is_setup = end->kind == SANDBOX_CAUSE_SETUP;
    check_row(check, runs[run].name, is_setup ? CHECK_SKIPPED : CHECK_FAILED, "%s", text);
    return is_setup || (end->status != SLUICE_E_PLUGIN_ABI && end->status != SLUICE_E_PLUGIN_LOAD);
}

void check_frontend(struct check *check)
{
    check->group = "frontend";
    for (size_t i = 0; i < SL_COUNT_OF(runs); i++) {
        if (!run_one(check, i)) {
            return;
        }
    }
    check->group = "threads";
    check_row(check, "starts no thread, no process", check->denied_thread ? CHECK_FAILED : CHECK_OK,
              "%s",
              check->denied_thread ? "it tried to, and was killed: sluice.task/1 has threads" : "");
}
