/* cli_watch.c: see cli_watch.h. */
#include "cli/cli_watch.h"

#include <stdlib.h>
#include <string.h>

const char *watch_age_text(int64_t age_ms, char ret_text[WATCH_TEXT_BYTES])
{
    static const struct {
        int64_t below_ms;
        double divisor;
        const char *format;
    } forms[] = {{1000, 1, "%.0f ms"},
                 {100 * 1000, 1e3, "%.1f s"},
                 {100 * 60000, 60e3, "%.0f min"},
                 {48 * 3600000LL, 3600e3, "%.1f h"},
                 {INT64_MAX, 86400e3, "%.1f d"}};
    size_t i = 0;
    if (age_ms < 0) {
        snprintf(ret_text, WATCH_TEXT_BYTES, "-");
        return ret_text;
    }
    while (age_ms >= forms[i].below_ms && i + 1 < SL_COUNT_OF(forms)) {
        i++;
    }
    /* The format is one of those above. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(ret_text, WATCH_TEXT_BYTES, forms[i].format, (double)age_ms / forms[i].divisor);
#pragma GCC diagnostic pop
    return ret_text;
}

const char *watch_count_text(double count, char ret_text[WATCH_TEXT_BYTES])
{
    static const char units[] = {'k', 'M', 'G', 'T'};
    size_t i = 0;
    if (count < 1000) {
        snprintf(ret_text, WATCH_TEXT_BYTES, "%.0f", count);
        return ret_text;
    }
    count /= 1000;
    while (count >= 1000 && i + 1 < sizeof(units)) {
        count /= 1000;
        i++;
    }
    snprintf(ret_text, WATCH_TEXT_BYTES, "%.*f%c",
             count < 10    ? 2
             : count < 100 ? 1
                           : 0,
             count, units[i]);
    return ret_text;
}

const char *watch_bytes_text(double bytes, char ret_text[WATCH_TEXT_BYTES])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t i = 0;
    while (bytes >= 1024 && i + 1 < SL_COUNT_OF(units)) {
        bytes /= 1024;
        i++;
    }
    snprintf(ret_text, WATCH_TEXT_BYTES, "%.*f %s", i == 0 || bytes >= 100 ? 0 : 1, bytes,
             units[i]);
    return ret_text;
}

const char *watch_text(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text != NULL ? text : "";
}

int64_t watch_int(const cJSON *object, const char *name, int64_t fallback)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (cJSON_IsString(item)) {
        return strtoll(item->valuestring, NULL, 10);
    }
    return cJSON_IsNumber(item) ? (int64_t)item->valuedouble : fallback;
}
