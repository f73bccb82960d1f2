/* cli_tap_reader.c: see cli_tap_reader.h. */
#include "cli/cli_tap_reader.h"

#include <stdlib.h>
#include <string.h>

#define LIST_MS     2000 /* topics that are new are seen that late */
#define BYTES_MAX   65536
#define TOPICS_EACH 500 /* in one question */

void tap_init(struct tap *tap, struct cli_link *link, const char *const *patterns,
              uint32_t pattern_count, int64_t rate)
{
    *tap = (struct tap){.link = link, .rate = rate};
    for (uint32_t i = 0; i < pattern_count && i < TAP_PATTERNS_MAX; i++) {
        tap->patterns[tap->pattern_count++] = patterns[i];
    }
}

void tap_fini(struct tap *tap)
{
    for (uint32_t i = 0; i < tap->part_count; i++) {
        free(tap->parts[i].topic);
    }
    free(tap->parts);
    cJSON_Delete(tap->topics);
}

/* ---- patterns ---- */

/* [abc], [a-z], [!abc]; *ret_at is moved behind it. */
static bool set_matches(const char **ret_at, char letter)
{
    const char *at = *ret_at + 1;
    bool negated = *at == '!', found = false;
    at += negated;
    for (bool first = true; *at != '\0' && (first || *at != ']'); first = false) {
        bool is_range = at[1] == '-' && at[2] != '\0' && at[2] != ']';
        found = found || (is_range ? letter >= at[0] && letter <= at[2] : letter == at[0]);
        at += is_range ? 3 : 1;
    }
    *ret_at = *at == ']' ? at + 1 : at;
    return found != negated;
}

/* Goes back to the last star only, so that it is done after pattern times topic steps. */
static bool glob_matches(const char *pattern, const char *topic)
{
    const char *star = NULL, *behind_star = NULL;
    while (*topic != '\0') {
        const char *next = pattern + 1;
        if (*pattern == '*') {
            star = pattern++;
            behind_star = topic;
        } else if (*pattern == '[' ? (next = pattern, set_matches(&next, *topic))
                                   : *pattern == '?' || *pattern == *topic) {
            pattern = next;
            topic++;
        } else if (star != NULL) {
            pattern = star + 1;
            topic = ++behind_star;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

bool tap_matches(const char *pattern, const char *topic)
{
    bool internal = strncmp(topic, "__", 2) == 0;
    return (!internal || strncmp(pattern, "__", 2) == 0) && glob_matches(pattern, topic);
}

/* ---- topics and partitions ---- */

static int topics_list(struct tap *tap, int64_t now_ms)
{
    cJSON *reply = NULL;
    const cJSON *topic;
    if (tap->topics != NULL && now_ms - tap->listed_ms < LIST_MS) {
        return CLI_OK;
    }
    int code = cli_call(tap->link, "topic.list", NULL, &reply);
    if (code == CLI_OK) {
        tap->listed_ms = now_ms;
        cJSON_Delete(tap->topics);
        tap->topics = cJSON_CreateArray();
        tap->left_topics = 0;
        cJSON_ArrayForEach(topic, cJSON_GetObjectItemCaseSensitive(cli_result(reply), "topics"))
        {
            const char *name = watch_text(topic, "name");
            bool matches = false;
            for (uint32_t i = 0; i < tap->pattern_count && !matches; i++) {
                matches = tap_matches(tap->patterns[i], name);
            }
            if (matches && cJSON_GetArraySize(tap->topics) < (int)TAP_TOPICS_MAX) {
                cJSON_AddItemToArray(tap->topics, cJSON_CreateString(name));
            } else {
                tap->left_topics += matches;
            }
        }
    }
    cJSON_Delete(reply);
    return code;
}

/* Answers come in the same order each time. */
static struct tap_part *part_find(struct tap *tap, const char *topic, int32_t partition)
{
    for (uint32_t i = 0; i < tap->part_count; i++) {
        uint32_t at = (tap->hint + i) % tap->part_count;
        if (tap->parts[at].partition == partition && strcmp(tap->parts[at].topic, topic) == 0) {
            tap->hint = at + 1;
            return &tap->parts[at];
        }
    }
    return NULL;
}

static void part_update(struct tap *tap, const char *topic, int32_t partition, int64_t end)
{
    struct tap_part *part = part_find(tap, topic, partition);
    if (part == NULL && tap->part_count < TAP_PARTITIONS_MAX) {
        struct tap_part *parts = realloc(tap->parts, (tap->part_count + 1) * sizeof(*tap->parts));
        char *name = strdup(topic);
        tap->parts = parts != NULL ? parts : tap->parts;
        if (parts == NULL || name == NULL) {
            free(name);
            return;
        }
        part = &tap->parts[tap->part_count++];
        *part = (struct tap_part){
            .topic = name, .partition = partition, .at = tap->has_begun ? 0 : end};
    }
    if (part != NULL) {
        part->at = SL_MIN(part->at, end); /* the topic was made anew */
        part->end = end;
        part->is_there = true;
    }
}

static int ends_read(struct tap *tap)
{
    cJSON *reply = NULL;
    const cJSON *row;
    int code = CLI_OK;
    for (uint32_t i = 0; i < tap->part_count; i++) {
        tap->parts[i].is_there = false;
    }
    if (cJSON_GetArraySize(tap->topics) > 0) {
        cJSON *args = cJSON_CreateObject();
        cJSON_AddItemToObject(args, "topics", cJSON_Duplicate(tap->topics, true));
        code = cli_call(tap->link, "topic.ends", args, &reply);
    }
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(cli_result(reply), "partitions"))
    {
        part_update(tap, watch_text(row, "topic"), (int32_t)watch_int(row, "partition", 0),
                    watch_int(row, "end", 0));
    }
    cJSON_Delete(reply);
    tap->has_begun = true;
    return code;
}

/* ---- records ---- */

/* The newest `wanted` of a partition. *ret_more false: no more are wanted at all. */
static int part_read(struct tap *tap, struct tap_part *part, int64_t wanted, tap_record_fn *record,
                     void *arg, bool *ret_more)
{
    char offset[24];
    cJSON *reply = NULL, *row;
    int64_t shown = 0;
    cJSON *args = cJSON_CreateObject();
    snprintf(offset, sizeof(offset), "%lld", (long long)(part->end - wanted));
    cJSON_AddStringToObject(args, "topic", part->topic);
    cJSON_AddNumberToObject(args, "partition", part->partition);
    cJSON_AddStringToObject(args, "offset", offset);
    cJSON_AddNumberToObject(args, "max", (double)wanted);
    cJSON_AddNumberToObject(args, "bytes_max", BYTES_MAX);
    int code = cli_ask(tap->link, "consume", args, &reply);
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(cli_result(reply), "records"))
    {
        if (*ret_more) {
            shown++;
            *ret_more = record(arg, part->topic, part->partition, row);
        }
    }
    cJSON_Delete(reply);
    tap->shown += shown;
    tap->left_out += part->end - part->at - shown;
    tap->tokens -= (double)shown;
    part->at = part->end;
    /* A topic that went meanwhile is no reason to end. */
    return code == CLI_UNREACHABLE ? code : CLI_OK;
}

static int64_t grown(const struct tap *tap)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < tap->part_count; i++) {
        sum += tap->parts[i].is_there ? tap->parts[i].end - tap->parts[i].at : 0;
    }
    return sum;
}

static int parts_read(struct tap *tap, tap_record_fn *record, void *arg)
{
    int64_t left = grown(tap);
    bool more = true;
    for (uint32_t i = 0; i < tap->part_count && more; i++) {
        struct tap_part *part = &tap->parts[i];
        int64_t grew = part->is_there ? part->end - part->at : 0;
        if (grew == 0) {
            continue;
        }
        /* Its share of what may be shown; whole numbers, the rest goes to those behind it. */
        int64_t share = (int64_t)(tap->tokens * (double)grew / (double)left + 0.999);
        int64_t wanted = SL_MIN(SL_MIN(share, grew), (int64_t)tap->tokens);
        left -= grew;
        if (wanted > 0) {
            int code = part_read(tap, part, wanted, record, arg, &more);
            if (code != CLI_OK) {
                return code;
            }
        } else {
            tap->left_out += grew;
            part->at = part->end;
        }
    }
    return CLI_OK;
}

int tap_poll(struct tap *tap, tap_record_fn *record, void *arg)
{
    int64_t now_ms = sl_os_mono_ns(tap->link->cli->os) / 1000000;
    double passed_s = tap->polled_ms == 0 ? 1 : (double)(now_ms - tap->polled_ms) / 1000;
    tap->polled_ms = now_ms;
    tap->tokens = SL_MIN(tap->tokens + passed_s * (double)tap->rate, (double)tap->rate);
    int code = topics_list(tap, now_ms);
    code = code == CLI_OK ? ends_read(tap) : code;
    return code == CLI_OK ? parts_read(tap, record, arg) : code;
}
