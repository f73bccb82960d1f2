/* lua_deadline: stops a script that runs too long, at no cost while it does not.
 *
 * A permanent count hook halves the speed of Lua. Instead one process-wide timer (ITIMER_VIRTUAL:
 * it ticks only while the process computes, and needs no system call per batch) raises SIGVTALRM;
 * its handler looks at every armed deadline and, past one, sets a hook on the coroutine that runs
 * at that moment. The hook throws `kill_token`, and from then on `dead` is set: pcall, xpcall and
 * resume pass it on instead of catching it. What no hook can stop (a C function that does not
 * return, such as a hostile pattern) is left to the host, which kills the worker.
 *
 * Needs rt_sigaction and setitimer once, in lua_deadline_install; afterwards only rt_sigreturn and
 * the vDSO clock, and tgkill when several threads run scripts in one process. */
#ifndef LUA_DEADLINE_H
#define LUA_DEADLINE_H

#include <lua.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#define LUA_DEADLINES_MAX 256u /* instances in one process */

struct lua_deadline {
    lua_State *volatile running;    /* the coroutine that runs: where the hook goes */
    volatile int64_t expires_ns;    /* monotonic; 0: not armed */
    volatile sig_atomic_t dead;     /* the deadline struck */
    volatile uint32_t record_index; /* of the batch, set by whoever runs it */
    volatile uint32_t seen_index;   /* as the last tick saw it, */
    volatile uint32_t seen_ticks;   /* and for how many ticks it has been so */
    int64_t allowed_ns;
    pthread_t thread; /* that runs the script */
    char where[96];   /* "mask.lua:12", where it struck */
};

/* Starts the timer and makes a place for one more deadline. False: the system refuses; then only
 * the host's kill bounds the script. Call before the system calls above are taken away. [control]
 */
bool lua_deadline_install(struct lua_deadline *deadline);
void lua_deadline_remove(struct lua_deadline *deadline);

/* Arms for what main thread L runs next; disarms. [process] */
void lua_deadline_begin(struct lua_deadline *deadline, lua_State *L, int64_t allowed_ms);
void lua_deadline_end(struct lua_deadline *deadline, lua_State *L);

/* After it struck: whether the record that ran computed for a quarter of the time or more. Counted
 * in ticks of computing, not by the clock, so that a process that was kept waiting blames nobody.
 */
bool lua_deadline_blames_record(const struct lua_deadline *deadline);

/* Throws the token when the deadline struck. To be called wherever an error could have been caught.
 */
void lua_deadline_check(struct lua_deadline *deadline, lua_State *L);

#endif
