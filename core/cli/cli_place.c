/* cli_place.c: see cli_place.h. */
#include "cli/cli_place.h"

#include "base/text.h"
#include "cli/cli_command.h"

#include <string.h>

#define SPAN_BYTES_MAX 160

static struct sl_bytes bytes_of(const char *text)
{
    return (struct sl_bytes){(const uint8_t *)text, strlen(text)};
}

static bool number_take(const char *text, int64_t *ret_value)
{
    bool digits = text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
    return digits && sl_text_parse_i64(bytes_of(text), ret_value) == SLUICE_OK;
}

/* What follows the @. */
static bool time_take(const char *text, int64_t now_ms, int64_t *ret_wall_ms)
{
    char midnight[32];
    int64_t ago_ns = 0;
    if (number_take(text, ret_wall_ms) || cli_time_parse(text, ret_wall_ms)) {
        return true;
    }
    if (strlen(text) == 10) { /* a date */
        snprintf(midnight, sizeof(midnight), "%sT00:00:00Z", text);
        return cli_time_parse(midnight, ret_wall_ms);
    }
    if (text[0] != '-' || text[1] == '-' ||
        sl_text_parse_duration(bytes_of(text + 1), &ago_ns) != SLUICE_OK || ago_ns < 0) {
        return false;
    }
    *ret_wall_ms = SL_MAX(now_ms - ago_ns / 1000000, INT64_C(0));
    return true;
}

bool cli_place_parse(const char *text, int64_t now_ms, struct cli_place *ret_place)
{
    static const struct {
        const char *word;
        enum cli_place_kind kind;
    } words[] = {{"start", CLI_PLACE_START},
                 {"beginning", CLI_PLACE_START},
                 {"earliest", CLI_PLACE_START},
                 {"end", CLI_PLACE_END},
                 {"latest", CLI_PLACE_END}};
    struct cli_place place = {.kind = CLI_PLACE_OFFSET};
    for (size_t i = 0; i < SL_COUNT_OF(words); i++) {
        if (strcmp(text, words[i].word) == 0) {
            *ret_place = (struct cli_place){.kind = words[i].kind};
            return true;
        }
    }
    bool ok;
    if (text[0] == '@') {
        place.kind = CLI_PLACE_TIME;
        ok = time_take(text + 1, now_ms, &place.value);
    } else if (text[0] == '+' || text[0] == '-') {
        place.kind = text[0] == '+' ? CLI_PLACE_START : CLI_PLACE_END;
        ok = number_take(text + 1, &place.value);
    } else {
        ok = number_take(text, &place.value);
    }
    if (ok) {
        *ret_place = place;
    }
    return ok;
}

/* Behind the colon: a time needs no @ when the one before it is a time. */
static bool second_parse(const char *text, int64_t now_ms, const struct cli_place *first,
                         struct cli_place *ret_place)
{
    char time[SPAN_BYTES_MAX + 1];
    if (first->kind == CLI_PLACE_TIME) {
        snprintf(time, sizeof(time), "@%s", text);
        if (cli_place_parse(time, now_ms, ret_place)) {
            return true;
        }
    }
    return cli_place_parse(text, now_ms, ret_place);
}

bool cli_span_parse(const char *text, int64_t now_ms, struct cli_span *ret_span)
{
    char first[SPAN_BYTES_MAX];
    struct cli_span span = {.has_to = false};
    if (strlen(text) >= SPAN_BYTES_MAX) {
        return false;
    }
    if (cli_place_parse(text, now_ms, &span.from)) {
        *ret_span = span;
        return true;
    }
    for (const char *colon = strchr(text, ':'); colon != NULL; colon = strchr(colon + 1, ':')) {
        span = (struct cli_span){
            .has_to = true, .from.kind = CLI_PLACE_START, .to.kind = CLI_PLACE_END};
        snprintf(first, sizeof(first), "%.*s", (int)(colon - text), text);
        bool ok =
            (first[0] == '\0' && colon[1] != '\0') || cli_place_parse(first, now_ms, &span.from);
        if (ok && (colon[1] == '\0' || second_parse(colon + 1, now_ms, &span.from, &span.to))) {
            *ret_span = span;
            return true;
        }
    }
    return false;
}

void cli_place_text(const struct cli_place *place, char ret_text[CLI_PLACE_TEXT_BYTES])
{
    static const char *const words[] = {[CLI_PLACE_START] = "start", [CLI_PLACE_END] = "end"};
    static const char *const signs[] = {[CLI_PLACE_START] = "+",
                                        [CLI_PLACE_END] = "-",
                                        [CLI_PLACE_OFFSET] = "",
                                        [CLI_PLACE_TIME] = "@"};
    if (place->kind <= CLI_PLACE_END && place->value == 0) {
        snprintf(ret_text, CLI_PLACE_TEXT_BYTES, "%s", words[place->kind]);
    } else {
        snprintf(ret_text, CLI_PLACE_TEXT_BYTES, "%s%lld", signs[place->kind],
                 (long long)place->value);
    }
}

int64_t cli_place_resolve(const struct cli_place *place, const struct cli_place_bounds *bounds)
{
    int64_t count = bounds->end - bounds->start;
    switch (place->kind) {
    case CLI_PLACE_START:
        return bounds->start + SL_MIN(place->value, count);
    case CLI_PLACE_END:
        return bounds->end - SL_MIN(place->value, count);
    case CLI_PLACE_TIME:
        return bounds->at_time < 0 ? bounds->end : SL_MAX(bounds->at_time, bounds->start);
    case CLI_PLACE_OFFSET:
        break;
    }
    return place->value;
}
