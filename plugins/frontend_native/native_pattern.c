/* native_pattern.c: see native_pattern.h. */
#include "native_pattern.h"

#include <stdlib.h>
#include <string.h>

/* Bytes of the name that begins at `at`, up to a dot or the end. */
static size_t name_size(const char *text, size_t size, size_t at)
{
    const char *dot = memchr(text + at, '.', size - at);
    return dot == NULL ? size - at : (size_t)(dot - text) - at;
}

static bool is_wildcard(const char *name, size_t size)
{
    return size == 1 && (name[0] == '*' || name[0] == '>');
}

/* Dots at odd places are for topics that are meant literally: only a pattern has names. */
static bool check(struct sluice_text text, bool *ret_literal)
{
    const char *at = text.data;
    size_t size = (size_t)text.size;
    bool has_star = memchr(at, '*', size) != NULL || memchr(at, '>', size) != NULL;
    *ret_literal = !has_star;
    for (size_t i = 0; has_star; i++) {
        size_t name = name_size(at, size, i);
        bool is_last = i + name == size;
        bool odd = memchr(at + i, '*', name) != NULL || memchr(at + i, '>', name) != NULL;
        if (name == 0 || (odd && !is_wildcard(at + i, name)) || (at[i] == '>' && !is_last)) {
            return false;
        }
        if (is_last) {
            break;
        }
        i += name;
    }
    return true;
}

sluice_status native_pattern_init(struct native_pattern *pattern, struct sluice_text text)
{
    bool is_literal = false;
    if (text.size == 0 || text.size > NATIVE_PATTERN_BYTES_MAX || !check(text, &is_literal)) {
        return SLUICE_E_INVALID_TOPIC;
    }
    char *copy = malloc((size_t)text.size);
    if (copy == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    memcpy(copy, text.data, (size_t)text.size);
    *pattern = (struct native_pattern){is_literal, (uint16_t)text.size, copy};
    return SLUICE_OK;
}

void native_pattern_fini(struct native_pattern *pattern)
{
    free(pattern->text);
    pattern->text = NULL;
}

bool native_pattern_matches(const struct native_pattern *pattern, struct sluice_text topic)
{
    const char *text = pattern->text;
    size_t size = pattern->size;
    size_t topic_size = (size_t)topic.size;
    size_t i = 0;
    size_t k = 0;
    if (pattern->is_literal) {
        return size == topic_size && memcmp(text, topic.data, size) == 0;
    }
    if (topic_size >= 2 && topic.data[0] == '_' && topic.data[1] == '_') {
        return false;
    }
    for (;;) {
        size_t name = name_size(text, size, i);
        size_t other = name_size(topic.data, topic_size, k);
        if (name == 1 && text[i] == '>') {
            return topic_size > k;
        }
        bool fits = (name == 1 && text[i] == '*')
                        ? other > 0
                        : name == other && memcmp(text + i, topic.data + k, name) == 0;
        i += name;
        k += other;
        if (!fits || i == size || k == topic_size) {
            return fits && i == size && k == topic_size;
        }
        i++; /* both have a dot here, and a name after it */
        k++;
    }
}
