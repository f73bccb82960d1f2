/* watch_log.c: the admin command log: what the ring of the logger still holds (base/log_recent.h),
 * behind a line, from a level and a time on. */
#include "broker/watch_log.h"
#include "base/log_recent.h"
#include "broker/sluice_state.h"
#include "broker/watch_admin.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

static const char *const level_names[] = {"debug", "info", "warn", "error"};

struct log_wish {
    uint64_t after;
    int64_t since_ms;
    uint32_t level;
    const char *component; /* NULL: all */
};

static const char *text_of(const cJSON *args, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(args, name));
}

static bool wish_take(const cJSON *args, struct log_wish *wish)
{
    const char *level = text_of(args, "level");
    const char *after = text_of(args, "after");
    const char *since = text_of(args, "since_ms");
    enum sl_log_level parsed = SL_LOG_DEBUG;
    if (level != NULL &&
        sl_log_level_parse((struct sl_bytes){(const uint8_t *)level, strlen(level)}, &parsed) !=
            SLUICE_OK) {
        return false;
    }
    *wish = (struct log_wish){.after = after != NULL ? strtoull(after, NULL, 10) : 0,
                              .since_ms = since != NULL ? strtoll(since, NULL, 10) : 0,
                              .level = (uint32_t)parsed,
                              .component = text_of(args, "component")};
    return true;
}

static void line_add(cJSON *lines, const struct log_recent_line *line)
{
    cJSON *item = cJSON_CreateObject();
    admin_add_int64(item, "time_ms", line->wall_ms);
    cJSON_AddStringToObject(item, "level", level_names[line->level & 3u]);
    cJSON_AddStringToObject(item, "component", line->component);
    cJSON_AddStringToObject(item, "text", line->text);
    cJSON_AddItemToArray(lines, item);
}

void watch_log_run(struct sluice *sluice, const cJSON *args, admin_storage_done *done,
                   void *done_arg)
{
    struct log_recent *recent = sl_logger_recent(sluice->logger);
    struct log_recent_line line;
    struct log_wish wish;
    bool lost = false, any_lost = false;
    if (!wish_take(args, &wish)) {
        done(done_arg, SLUICE_E_INVALID, "a level is debug, info, warn or error", NULL);
        return;
    }
    cJSON *result = cJSON_CreateObject();
    cJSON *lines = cJSON_AddArrayToObject(result, "lines");
    uint64_t at = wish.after;
    uint32_t told = 0;
    while (told < WATCH_LOG_LINES_MAX &&
           log_recent_next(recent, wish.component, at, &line, &lost)) {
        at = line.number;
        any_lost = any_lost || lost;
        if (line.level >= wish.level && line.wall_ms >= wish.since_ms) {
            line_add(lines, &line);
            told++;
        }
    }
    admin_add_uint64(result, "next", at);
    cJSON_AddBoolToObject(result, "lost", any_lost && wish.after > 0);
    cJSON_AddBoolToObject(result, "more", told == WATCH_LOG_LINES_MAX);
    done(done_arg, SLUICE_OK, "", result);
}
