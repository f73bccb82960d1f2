/* dead_letter.c: see dead_letter.h. */
#include "record/dead_letter.h"

#include "base/bytes.h"
#include "record/record_iterator.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct header_view header_of(const char *key, struct sl_bytes value)
{
    return (struct header_view){.key = sl_bytes_of_text(key), .value = value};
}

uint32_t dead_letter_headers(const struct dead_letter_origin *origin,
                             struct dead_letter_texts *texts,
                             struct header_view ret_headers[DEAD_LETTER_HEADERS])
{
    uint32_t count = 0;
    snprintf(texts->partition, sizeof(texts->partition), "%" PRIu32, origin->partition);
    snprintf(texts->offset, sizeof(texts->offset), "%" PRId64, origin->offset);
    snprintf(texts->redrives, sizeof(texts->redrives), "%" PRIu32, origin->redrives);
    ret_headers[count++] = header_of("sluice.reason", origin->reason);
    ret_headers[count++] = header_of("sluice.instance", origin->instance);
    ret_headers[count++] = header_of("sluice.version", origin->version);
    ret_headers[count++] = header_of("sluice.topic", origin->topic);
    ret_headers[count++] = header_of("sluice.partition", sl_bytes_of_text(texts->partition));
    ret_headers[count++] = header_of("sluice.offset", sl_bytes_of_text(texts->offset));
    if (origin->redrives > 0) {
        ret_headers[count++] = header_of("sluice.redrives", sl_bytes_of_text(texts->redrives));
    }
    return count;
}

/* ---- reading ---- */

static bool number_of(struct sl_bytes text, int64_t *ret_value)
{
    int64_t value = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, text.data[i] - '0', &value)) {
            return false;
        }
    }
    *ret_value = value;
    return text.size > 0;
}

enum { HAS_TOPIC = 1, HAS_PARTITION = 2, HAS_OFFSET = 4 };

/* What a header says; the broker writes the row with is_first before the others. */
enum said {
    SAYS_REASON,
    SAYS_INSTANCE,
    SAYS_VERSION,
    SAYS_TOPIC,
    SAYS_PARTITION,
    SAYS_OFFSET,
    SAYS_REDRIVES
};
static const struct word {
    const char *name;
    enum said said;
    bool is_first, of_group;
} words[] = {
    {"sluice.reason", SAYS_REASON, .is_first = true},
    {"sluice.instance", SAYS_INSTANCE, .is_first = false},
    {"sluice.version", SAYS_VERSION, .is_first = false},
    {"sluice.topic", SAYS_TOPIC, .is_first = false},
    {"sluice.partition", SAYS_PARTITION, .is_first = false},
    {"sluice.offset", SAYS_OFFSET, .is_first = false},
    {"sluice.redrives", SAYS_REDRIVES, .is_first = false},
    {"__dlq.errors.topic", SAYS_TOPIC, .is_first = true, .of_group = true},
    {"__dlq.errors.partition", SAYS_PARTITION, .of_group = true},
    {"__dlq.errors.offset", SAYS_OFFSET, .of_group = true},
    {"__dlq.errors.group", SAYS_INSTANCE, .of_group = true},
    {"__dlq.errors.message", SAYS_REASON, .of_group = true},
};

static const struct word *word_of(struct sl_bytes key)
{
    for (size_t i = 0; i < SL_COUNT_OF(words); i++) {
        if (sl_bytes_equal(key, sl_bytes_of_text(words[i].name))) {
            return &words[i];
        }
    }
    return NULL;
}

/* Returns what is known now: HAS_…, or 0. */
static uint32_t take_value(struct dead_letter_origin *origin, enum said said, struct sl_bytes value)
{
    int64_t number = 0;
    bool good = number_of(value, &number);
    switch (said) {
    case SAYS_REASON:
        origin->reason = value;
        return 0;
    case SAYS_INSTANCE:
        origin->instance = value;
        return 0;
    case SAYS_VERSION:
        origin->version = value;
        return 0;
    case SAYS_TOPIC:
        origin->topic = value;
        return HAS_TOPIC;
    case SAYS_PARTITION:
        good = good && number <= INT32_MAX;
        origin->partition = good ? (uint32_t)number : 0;
        return good ? HAS_PARTITION : 0;
    case SAYS_OFFSET:
        origin->offset = good ? number : 0;
        return good ? HAS_OFFSET : 0;
    case SAYS_REDRIVES:
        good = good && number < UINT32_MAX;
        origin->redrives = good ? (uint32_t)number : 0;
        return 0;
    }
    return 0;
}

/* The broker's headers are the last ones; those before may have the same names. */
void dead_letter_read(const struct record_view *record, struct dead_letter *ret_letter)
{
    struct header_iterator headers;
    struct header_view header;
    struct dead_letter letter = {.own_headers = 0};
    uint32_t index = 0;
    uint32_t has = 0;
    header_iterator_init(&headers, record);
    while (header_iterator_next(&headers, &header)) {
        const struct word *word = word_of(header.key);
        if (word != NULL && word->is_first) {
            letter = (struct dead_letter){.own_headers = index, .of_group = word->of_group};
            has = 0;
        }
        if (word != NULL && word->of_group == letter.of_group) {
            has |= take_value(&letter.origin, word->said, header.value);
        }
        index++;
    }
    letter.whole = has == (HAS_TOPIC | HAS_PARTITION | HAS_OFFSET);
    letter.is_bare = letter.own_headers == 0 && record->key_is_null && record->value_is_null;
    *ret_letter = letter;
}

/* ---- filters ---- */

static const struct {
    const char *name;
    enum dead_letter_field field;
} fields[] = {{"reason", DEAD_LETTER_REASON}, {"version", DEAD_LETTER_VERSION},
              {"topic", DEAD_LETTER_TOPIC},   {"partition", DEAD_LETTER_PARTITION},
              {"key", DEAD_LETTER_KEY},       {"value", DEAD_LETTER_VALUE}};

static bool take_field(struct dead_letter_term *term, struct sl_bytes name)
{
    static const char prefix[] = "header.";
    for (size_t i = 0; i < SL_COUNT_OF(fields); i++) {
        if (sl_bytes_equal(name, sl_bytes_of_text(fields[i].name))) {
            term->field = fields[i].field;
            return true;
        }
    }
    if (name.size > sizeof(prefix) - 1 && memcmp(name.data, prefix, sizeof(prefix) - 1) == 0) {
        term->field = DEAD_LETTER_HEADER;
        term->header =
            (struct sl_bytes){name.data + sizeof(prefix) - 1, name.size - (sizeof(prefix) - 1)};
        return true;
    }
    return false;
}

sl_err dead_letter_filter_add(struct dead_letter_filter *filter, struct sl_bytes text)
{
    size_t at = 0;
    while (at < text.size && text.data[at] != '=' && text.data[at] != '~') {
        at++;
    }
    struct dead_letter_term term = {.field = DEAD_LETTER_REASON};
    if (at == text.size || !take_field(&term, (struct sl_bytes){text.data, at})) {
        return SLUICE_E_INVALID;
    }
    if (filter->count == DEAD_LETTER_FILTERS_MAX) {
        return SLUICE_E_LIMIT;
    }
    term.contains = text.data[at] == '~';
    term.value = (struct sl_bytes){text.data + at + 1, text.size - at - 1};
    filter->terms[filter->count++] = term;
    return SLUICE_OK;
}

static bool value_matches(const struct dead_letter_term *term, struct sl_bytes value)
{
    if (!term->contains) {
        return sl_bytes_equal(value, term->value);
    }
    return term->value.size == 0 ||
           (value.size >= term->value.size &&
            memmem(value.data, value.size, term->value.data, term->value.size) != NULL);
}

/* Of the record's own headers. */
static bool header_matches(const struct dead_letter_term *term, const struct record_view *record,
                           const struct dead_letter *letter)
{
    struct header_iterator headers;
    struct header_view header;
    uint32_t index = 0;
    header_iterator_init(&headers, record);
    while (index++ < letter->own_headers && header_iterator_next(&headers, &header)) {
        if (sl_bytes_equal(header.key, term->header) && value_matches(term, header.value)) {
            return true;
        }
    }
    return false;
}

static bool term_matches(const struct dead_letter_term *term, const struct record_view *record,
                         const struct dead_letter *letter)
{
    char number[16];
    switch (term->field) {
    case DEAD_LETTER_REASON:
        return value_matches(term, letter->origin.reason);
    case DEAD_LETTER_VERSION:
        return value_matches(term, letter->origin.version);
    case DEAD_LETTER_TOPIC:
        return value_matches(term, letter->origin.topic);
    case DEAD_LETTER_PARTITION:
        snprintf(number, sizeof(number), "%" PRIu32, letter->origin.partition);
        return value_matches(term, sl_bytes_of_text(number));
    case DEAD_LETTER_KEY:
        return !record->key_is_null && value_matches(term, record->key);
    case DEAD_LETTER_VALUE:
        return !record->value_is_null && value_matches(term, record->value);
    default:
        return header_matches(term, record, letter);
    }
}

bool dead_letter_matches(const struct dead_letter_filter *filter, const struct record_view *record,
                         const struct dead_letter *letter)
{
    bool matches = true;
    for (uint32_t i = 0; i < filter->count && matches; i++) {
        matches = term_matches(&filter->terms[i], record, letter);
    }
    return matches;
}
