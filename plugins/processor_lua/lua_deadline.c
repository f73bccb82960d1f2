/* lua_deadline: see the header. */
#include "lua_deadline.h"

#include "lua_instance.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#define TICK_US          5000
#define NS_PER_US        1000
#define NS_PER_MS        1000000
#define NS_PER_S         1000000000
#define LEVELS_LOOKED_AT 8
#define HOOK_EVERY       1 /* instructions: the next one */

/* The process has one timer and one table of deadlines, because a signal handler gets no argument.
 * Slots are written on control threads and read by the handler, one pointer at a time. */
static struct lua_deadline *volatile slots[LUA_DEADLINES_MAX];
static pthread_mutex_t slots_lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_ticking;

static const char kill_token; /* its address is what is thrown */

static int64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * NS_PER_S + time.tv_nsec;
}

/* The innermost line of Lua that runs. */
static void note_place(lua_State *L, struct lua_deadline *deadline)
{
    lua_Debug at;
    for (int level = 0; level < LEVELS_LOOKED_AT && lua_getstack(L, level, &at) != 0; level++) {
        if (lua_getinfo(L, "Sl", &at) != 0 && at.currentline > 0) {
            snprintf(deadline->where, sizeof(deadline->where), "%s:%d", at.short_src,
                     at.currentline);
            return;
        }
    }
}

/* Runs before the next instruction of the coroutine on which the handler set it. A coroutine may
 * keep or inherit the hook beyond its batch; then it takes itself off. */
static void on_hook(lua_State *L, lua_Debug *at)
{
    (void)at;
    struct lua_deadline *deadline = &lua_instance_of(L)->deadline;
    if (!deadline->dead) {
        lua_sethook(L, NULL, 0, 0);
        return;
    }
    lua_deadline_check(deadline, L);
}

static void strike(struct lua_deadline *deadline, int64_t now, int signal)
{
    if (!pthread_equal(deadline->thread, pthread_self())) {
        pthread_kill(deadline->thread, signal);
        return;
    }
    uint32_t index = deadline->record_index;
    deadline->seen_ticks = index == deadline->seen_index ? deadline->seen_ticks + 1 : 0;
    deadline->seen_index = index;
    if (now >= deadline->expires_ns) {
        deadline->dead = 1;
        lua_sethook(deadline->running, on_hook, LUA_MASKCOUNT, HOOK_EVERY);
    }
}

static void on_tick(int signal)
{
    int64_t now = now_ns();
    for (uint32_t i = 0; i < LUA_DEADLINES_MAX; i++) {
        struct lua_deadline *deadline = slots[i];
        if (deadline != NULL && deadline->expires_ns != 0) {
            strike(deadline, now, signal);
        }
    }
}

static bool start_ticking(void)
{
    struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    const struct itimerval every = {{0, TICK_US}, {0, TICK_US}};
    return sigaction(SIGVTALRM, &action, NULL) == 0 && setitimer(ITIMER_VIRTUAL, &every, NULL) == 0;
}

bool lua_deadline_install(struct lua_deadline *deadline)
{
    bool done = false;
    pthread_mutex_lock(&slots_lock);
    is_ticking = is_ticking || start_ticking();
    for (uint32_t i = 0; is_ticking && i < LUA_DEADLINES_MAX && !done; i++) {
        if (slots[i] == NULL) {
            slots[i] = deadline;
            done = true;
        }
    }
    pthread_mutex_unlock(&slots_lock);
    return done;
}

void lua_deadline_remove(struct lua_deadline *deadline)
{
    pthread_mutex_lock(&slots_lock);
    for (uint32_t i = 0; i < LUA_DEADLINES_MAX; i++) {
        if (slots[i] == deadline) {
            slots[i] = NULL;
        }
    }
    pthread_mutex_unlock(&slots_lock);
}

void lua_deadline_begin(struct lua_deadline *deadline, lua_State *L, int64_t allowed_ms)
{
    int64_t now = now_ns();
    deadline->thread = pthread_self();
    deadline->running = L;
    deadline->dead = 0;
    deadline->where[0] = '\0';
    deadline->record_index = 0;
    deadline->seen_index = 0;
    deadline->seen_ticks = 0;
    deadline->allowed_ns = allowed_ms * NS_PER_MS;
    deadline->expires_ns = now + deadline->allowed_ns;
}

void lua_deadline_end(struct lua_deadline *deadline, lua_State *L)
{
    deadline->expires_ns = 0;
    if (deadline->dead) {
        deadline->dead = 0;
        lua_sethook(L, NULL, 0, 0);
    }
}

bool lua_deadline_blames_record(const struct lua_deadline *deadline)
{
    return (int64_t)deadline->seen_ticks * TICK_US * NS_PER_US >= deadline->allowed_ns / 4;
}

void lua_deadline_check(struct lua_deadline *deadline, lua_State *L)
{
    if (deadline->dead) {
        if (deadline->where[0] == '\0') {
            note_place(L, deadline);
        }
        lua_pushlightuserdata(L, (void *)&kill_token);
        lua_error(L);
    }
}
