/* native_filter.c: see native_filter.h. */
#include "native_filter.h"

#include <stdlib.h>
#include <string.h>

enum relation { HAS, HAS_NOT, EQUALS, DIFFERS, BEGINS };

struct native_condition {
    enum relation relation;
    uint32_t name_size;
    uint32_t value_size;
    const char *name; /* behind the conditions */
    const char *value;
};

static int digit_of(char c)
{
    static const char digits[] = "0123456789abcdef";
    char lower = c >= 'A' && c <= 'F' ? (char)(c - 'A' + 'a') : c;
    const char *at = lower == '\0' ? NULL : strchr(digits, lower);
    return at == NULL ? -1 : (int)(at - digits);
}

/* With %XX resolved; bytes written, or -1. */
static int64_t unescape(const char *from, size_t size, char *into)
{
    int64_t used = 0;
    for (size_t i = 0; i < size; i++) {
        char c = from[i];
        if (c == '%') {
            int high = size - i > 2 ? digit_of(from[i + 1]) : -1;
            int low = size - i > 2 ? digit_of(from[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return -1;
            }
            c = (char)(high * 16 + low);
            i += 2;
        }
        into[used++] = c;
    }
    return used;
}

/* How one condition is parted: where the name ends, where the value begins (size: none). */
static enum relation part(const char *text, size_t size, size_t *ret_name_end, size_t *ret_value)
{
    const char *equals = memchr(text, '=', size);
    size_t at = equals == NULL ? size : (size_t)(equals - text);
    *ret_value = equals == NULL ? size : at + 1;
    *ret_name_end = at;
    if (equals == NULL) {
        return text[0] == '!' ? HAS_NOT : HAS;
    }
    if (at > 0 && text[at - 1] == '!') {
        *ret_name_end = at - 1;
        return DIFFERS;
    }
    if (at > 0 && text[at - 1] == '^') {
        *ret_name_end = at - 1;
        return BEGINS;
    }
    return EQUALS;
}

/* Bytes used of `into`, or -1. */
static int64_t take(const char *text, size_t size, char *into, struct native_condition *condition)
{
    size_t name_end = 0;
    size_t value = 0;
    if (size == 0) {
        return -1;
    }
    condition->relation = part(text, size, &name_end, &value);
    size_t name = condition->relation == HAS_NOT ? 1 : 0;
    if (name >= name_end) {
        return -1;
    }
    int64_t name_size = unescape(text + name, name_end - name, into);
    int64_t value_size =
        name_size < 0 ? -1 : unescape(text + value, size - value, into + name_size);
    if (value_size < 0) {
        return -1;
    }
    condition->name = into;
    condition->name_size = (uint32_t)name_size;
    condition->value = into + name_size;
    condition->value_size = (uint32_t)value_size;
    return name_size + value_size;
}

static uint32_t count_conditions(struct sluice_text text)
{
    uint32_t count = 1;
    for (uint64_t i = 0; i < text.size; i++) {
        count += text.data[i] == '&';
    }
    return count;
}

sluice_status native_filter_init(struct native_filter *filter, struct sluice_text text)
{
    uint32_t count = count_conditions(text);
    *filter = (struct native_filter){0, NULL};
    if (text.size == 0) {
        return SLUICE_OK;
    }
    if (count > NATIVE_FILTER_CONDITIONS_MAX || text.size > NATIVE_FILTER_BYTES_MAX) {
        return SLUICE_E_INVALID;
    }
    struct native_condition *conditions = malloc(count * sizeof(*conditions) + (size_t)text.size);
    if (conditions == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    char *into = (char *)(conditions + count);
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        const char *end = memchr(text.data + at, '&', (size_t)text.size - at);
        size_t size = end == NULL ? (size_t)text.size - at : (size_t)(end - text.data) - at;
        int64_t used = take(text.data + at, size, into, &conditions[i]);
        if (used < 0) {
            free(conditions);
            return SLUICE_E_INVALID;
        }
        into += used;
        at += size + 1;
    }
    *filter = (struct native_filter){count, conditions};
    return SLUICE_OK;
}

void native_filter_fini(struct native_filter *filter)
{
    free(filter->conditions);
    *filter = (struct native_filter){0, NULL};
}

static bool value_holds(const struct native_condition *condition, struct sluice_bytes value)
{
    bool is_long_enough = condition->relation == BEGINS ? value.size >= condition->value_size
                                                        : value.size == condition->value_size;
    return is_long_enough && (condition->value_size == 0 ||
                              memcmp(value.data, condition->value, condition->value_size) == 0);
}

static bool holds(const struct native_condition *condition, const struct sluice_record *record)
{
    bool found = false;
    for (uint32_t i = 0; i < record->header_count && !found; i++) {
        const struct sluice_header *header = &record->headers[i];
        bool is_it = header->key.size == condition->name_size &&
                     memcmp(header->key.data, condition->name, condition->name_size) == 0;
        found = is_it && (condition->relation <= HAS_NOT || value_holds(condition, header->value));
    }
    return found != (condition->relation == HAS_NOT || condition->relation == DIFFERS);
}

bool native_filter_passes(const struct native_filter *filter, const struct sluice_record *record)
{
    for (uint32_t i = 0; i < filter->count; i++) {
        if (!holds(&filter->conditions[i], record)) {
            return false;
        }
    }
    return true;
}

/* The number that the first header of that name has; `otherwise` when none has one. */
static int64_t number_of(const struct sluice_record *record, const char *name, int64_t otherwise)
{
    size_t name_size = strlen(name);
    for (uint32_t i = 0; i < record->header_count; i++) {
        const struct sluice_header *header = &record->headers[i];
        uint64_t value = 0;
        if (header->key.size != name_size || memcmp(header->key.data, name, name_size) != 0) {
            continue;
        }
        bool ok = header->value.size > 0 && header->value.size <= 18;
        for (uint64_t k = 0; ok && k < header->value.size; k++) {
            ok = header->value.data[k] >= '0' && header->value.data[k] <= '9';
            value = value * 10 + (uint64_t)(header->value.data[k] - '0');
        }
        return ok ? (int64_t)value : otherwise;
    }
    return otherwise;
}

int64_t native_record_expires(const struct sluice_record *record)
{
    return number_of(record, "sluice-expires", INT64_MAX);
}

int64_t native_record_deliver_at(const struct sluice_record *record)
{
    return number_of(record, "sluice-deliver-at", 0);
}
