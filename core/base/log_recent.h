/* log_recent.h: the last lines of a log in memory, for those who ask a running process what one of
 * its parts said. A ring of LOG_RECENT_LINES for all components together; lines are cut. A writer
 * that does not get the lock at once leaves its line out, so that nobody waits. [any] */
#ifndef SL_BASE_LOG_RECENT_H
#define SL_BASE_LOG_RECENT_H

#include "base/log.h"

#define LOG_RECENT_LINES    2048u
#define LOG_RECENT_TEXT_MAX 512u
#define LOG_RECENT_NAME_MAX 72u

struct log_recent;

struct log_recent_line {
    uint64_t number; /* from 1 on, without gaps over all components */
    int64_t wall_ms;
    uint32_t level; /* enum sl_log_level */
    char component[LOG_RECENT_NAME_MAX];
    char text[LOG_RECENT_TEXT_MAX]; /* message and fields */
};

struct log_recent *log_recent_new(void);                       /* NULL: no memory */
struct log_recent *log_recent_free(struct log_recent *recent); /* NULL is fine */
/* recent NULL: nothing. */
void log_recent_add(struct log_recent *recent, int64_t wall_ms, enum sl_log_level level,
                    const char *component, const char *text);
/* The oldest kept line of the component (NULL: of any) behind `number` into *ret_line; false: none.
 * *ret_lost: lines between were overwritten. */
bool log_recent_next(struct log_recent *recent, const char *component, uint64_t number,
                     struct log_recent_line *ret_line, bool *ret_lost);
/* Of a logger; NULL: it keeps none. */
struct log_recent *sl_logger_recent(const struct sl_logger *logger);

#endif
