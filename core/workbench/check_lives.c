/* check_lives.c: lives of one or two instances, in all legal orders, on one thread and on several.
 */
#include "workbench/check.h"

#include <stdio.h>
#include <string.h>

#define WALKS           20u
#define WALKS_THREADS   8u
#define WALK_STEPS      200u
#define WALK_TEXT_BYTES (2 * WALK_STEPS + 1) /* with a thread for each */

/* ---- lives ---- */

static const struct {
    const char *name, *steps;
} lives[] = {
    {"create, destroy", "cq"},
    {"create, init, destroy", "ciq"},
    {"activate, deactivate, destroy", "ciaxq"},
    {"a whole life with an empty batch", "ciabdxq"},
    {"drained and activated again", "ciabdabdxq"},
    {"drained before any batch", "ciadxq"},
    {"reconfigured between batches", "ciabrbrbdxq"},
    {"several lives in one process", "ciabdxqciabdxqciabdxq"},
    {"two instances side by side", "cCiIaAbBdDxXqQ"},
    {"the second outlives the first", "cCiIaAbBdxqBBDXQ"},
};

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u); /* splitmix64, Steele et al. 2014 */
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* A legal step of a life, by its stage: none, created, initialised, active, drained. */
static char walk_step(uint32_t *stage, uint64_t random)
{
    static const char *const steps[] = {"c", "iiq", "aaaq", "bbbbrrdx", "aaxb"};
    const char *choices = steps[*stage];
    char step = choices[random % strlen(choices)];
    if (*stage == 4 && step == 'b') {
        step = 'a'; /* no batch after a drain */
    }
    *stage = step == 'c'   ? 1
             : step == 'i' ? 2
             : step == 'a' ? 3
             : step == 'd' ? 4
             : step == 'x' ? 2
             : step == 'q' ? 0
                           : *stage;
    return step;
}

/* With threads: everything of the first instance on thread 1, of the second on thread 2, but their
 * batches on any. */
static void walk_make(uint64_t *random, bool threads, char ret_steps[WALK_TEXT_BYTES])
{
    uint32_t stages[2] = {0, 0};
    char *at = ret_steps;
    for (uint32_t i = 0; i < WALK_STEPS; i++) {
        uint64_t draw = next_random(random);
        uint32_t which = (draw >> 60) >= 12;
        char step = walk_step(&stages[which], draw & 0xffff);
        if (threads) {
            uint64_t any = (draw >> 32) % (SANDBOX_REHEARSAL_THREADS_MAX + 1);
            *at++ = (char)('0' + (step == 'b' ? any : which + 1));
        }
        step = threads && step == 'b' ? 'p' : step;
        *at++ = which == 1 ? (char)(step - 'a' + 'A') : step;
    }
    *at = '\0';
}

static bool live(struct check *check, const char *name, const char *steps)
{
    char text[BENCH_TEXT_BYTES];
    if (check_start_with(check, check->config_json, steps, text) != SLUICE_OK) {
        check_row(check, name, CHECK_FAILED, "%s (lives: %s)", text, steps);
        return false;
    }
    check_ended(check);
    return true;
}

void check_lives(struct check *check)
{
    uint64_t random = check->options->seed;
    char steps[WALK_TEXT_BYTES];
    check->group = "life";
    for (size_t i = 0; i < SL_COUNT_OF(lives); i++) {
        check_begin(check, lives[i].name);
        if (live(check, lives[i].name, lives[i].steps)) {
            check_row(check, lives[i].name, CHECK_OK, "%s", "");
        }
    }
    check_begin(check, "random legal orders");
    for (uint32_t i = 0; i < WALKS; i++) {
        walk_make(&random, false, steps);
        if (!live(check, "random legal orders", steps)) {
            return;
        }
    }
    check_row(check, "random legal orders", CHECK_OK, "%u of %u steps, two instances", WALKS,
              WALK_STEPS);
}

/* ---- threads ---- */

/* The contract of <sluice/types.h>: what is [control] comes on the control thread of the instance,
 * batches on any, one call at a time; instances of different shards have different threads. */
static const struct {
    const char *name, *steps;
} handovers[] = {
    {"batches on another thread than create", "1cia2ppb1r2pp1dxq"},
    {"batches on a thread after the other", "1cia2p3p0p1p3p2p1da3p2p1dxq"},
    {"instances with threads of their own", "1cia2CIA1p2P1p2P1dx2DXQ1q"},
    {"instances that share threads for batches", "1cia2CIA3pPpP0pPpP1r2R3pP1dxq3P2DXQ"},
    {"lives after each other on different threads", "1ciapdxq2ciapdxq3ciapdxq0ciapdxq"},
    {"two instances at once", "1cia2CIA&&&&1dxq2DXQ"},
};

/* False: it said so, or this system gives no threads. */
static bool hand_over(struct check *check, const char *name, const char *steps, bool *ret_skip)
{
    char text[BENCH_TEXT_BYTES];
    *ret_skip = false;
    if (check_start_with(check, check->config_json, steps, text) == SLUICE_OK) {
        return true;
    }
    *ret_skip = check->plugin.probe.end.kind == SANDBOX_CAUSE_SETUP;
    check_row(check, name, *ret_skip ? CHECK_SKIPPED : CHECK_FAILED, "%s (seed %llu, steps: %s)",
              text, (unsigned long long)check->options->seed, steps);
    return false;
}

static void check_walks(struct check *check)
{
    static const char name[] = "random legal hand-overs";
    uint64_t random = check->options->seed;
    char steps[WALK_TEXT_BYTES];
    bool skip;
    check_begin(check, name);
    for (uint32_t i = 0; i < WALKS_THREADS; i++) {
        walk_make(&random, true, steps);
        if (!hand_over(check, name, steps, &skip)) {
            return;
        }
        check_ended(check);
    }
    check_row(check, name, CHECK_OK, "%u of %u steps, two instances, 4 threads, seed %llu",
              WALKS_THREADS, WALK_STEPS, (unsigned long long)check->options->seed);
}

/* What the same batches give on one thread, twice, and on several: what a plugin keeps for a thread
 * is not there on the next, which need not kill it. */
static void check_same_results(struct check *check)
{
    static const char name[] = "the same results on every thread";
    static const char *const same[] = {"0ciappppppdxq", "0ciappppppdxq", "1cia2p3p0p1p3p2p1dxq"};
    uint32_t digests[SL_COUNT_OF(same)];
    bool skip;
    check_begin(check, name);
    for (size_t i = 0; i < SL_COUNT_OF(same); i++) {
        if (!hand_over(check, name, same[i], &skip)) {
            return;
        }
        digests[i] = check->plugin.probe.event.ready.rehearsal_digest;
        check_ended(check);
    }
    if (digests[0] != digests[1]) {
        check_row(check, name, CHECK_SKIPPED, "its results differ from run to run on one thread");
    } else if (digests[0] != digests[2]) {
        check_row(check, name, CHECK_FAILED,
                  "the same batches give something else when another thread than that of create "
                  "brings them: does it keep something for each thread? (steps: %s)",
                  same[2]);
    } else {
        check_row(check, name, CHECK_OK, "%s", "");
    }
}

void check_threads(struct check *check)
{
    bool skip = false;
    if (check->running) {
        check_ended(check);
    }
    check->group = "threads";
    for (size_t i = 0; i < SL_COUNT_OF(handovers) && !skip; i++) {
        check_begin(check, handovers[i].name);
        if (hand_over(check, handovers[i].name, handovers[i].steps, &skip)) {
            check_row(check, handovers[i].name, CHECK_OK, "%s", "");
            check_ended(check);
        }
    }
    if (!skip) {
        check_walks(check);
        check_same_results(check);
    }
}
