/* log_recent.c: see log_recent.h. A spin lock, held for one copy or one search. */
#include "base/log_recent.h"

#include <stdio.h>
#include <string.h>

#define SPIN_MAX 1000

struct log_recent {
    atomic_flag locked;
    uint64_t count; /* lines ever added */
    struct log_recent_line lines[LOG_RECENT_LINES];
};

struct log_recent *log_recent_new(void)
{
    struct log_recent *recent = sl_alloc_zero(1, sizeof(*recent));
    if (recent != NULL) {
        atomic_flag_clear(&recent->locked);
    }
    return recent;
}

struct log_recent *log_recent_free(struct log_recent *recent)
{
    sl_free(recent);
    return NULL;
}

static bool lock(struct log_recent *recent)
{
    for (int i = 0; i < SPIN_MAX; i++) {
        if (!atomic_flag_test_and_set_explicit(&recent->locked, memory_order_acquire)) {
            return true;
        }
        __builtin_ia32_pause();
    }
    return false;
}

static void unlock(struct log_recent *recent)
{
    atomic_flag_clear_explicit(&recent->locked, memory_order_release);
}

void log_recent_add(struct log_recent *recent, int64_t wall_ms, enum sl_log_level level,
                    const char *component, const char *text)
{
    if (recent == NULL || !lock(recent)) {
        return;
    }
    struct log_recent_line *line = &recent->lines[recent->count++ % LOG_RECENT_LINES];
    line->number = recent->count;
    line->wall_ms = wall_ms;
    line->level = (uint32_t)level;
    snprintf(line->component, sizeof(line->component), "%s", component);
    snprintf(line->text, sizeof(line->text), "%s", text);
    unlock(recent);
}

bool log_recent_next(struct log_recent *recent, const char *component, uint64_t number,
                     struct log_recent_line *ret_line, bool *ret_lost)
{
    bool found = false;
    if (recent == NULL || !lock(recent)) {
        return false;
    }
    uint64_t oldest = recent->count > LOG_RECENT_LINES ? recent->count - LOG_RECENT_LINES + 1 : 1;
    *ret_lost = number + 1 < oldest;
    for (uint64_t at = SL_MAX(number + 1, oldest); at <= recent->count && !found; at++) {
        const struct log_recent_line *line = &recent->lines[(at - 1) % LOG_RECENT_LINES];
        found = component == NULL || strcmp(line->component, component) == 0;
        if (found) {
            *ret_line = *line;
        }
    }
    unlock(recent);
    return found;
}
