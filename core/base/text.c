/* text.c: bounded formatting, and parsing by tables of units. */
#include "base/text.h"
#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>

#define NEAREST_BYTES_MAX 64u

struct unit {
    const char *name;
    uint64_t factor;
};

/* ---- out ---- */

struct sl_text_out sl_text_out_of(char *data, size_t capacity)
{
    SL_ASSERT(capacity > 0);
    data[0] = '\0';
    return (struct sl_text_out){.data = data, .capacity = capacity};
}

void sl_text_add(struct sl_text_out *out, const char *format, ...)
{
    size_t room = out->capacity - out->size;
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(out->data + out->size, room, format, args);
    va_end(args);
    SL_ASSERT(wanted >= 0);
    if ((size_t)wanted >= room)
        out->truncated = true;
    out->size += SL_MIN((size_t)wanted, room - 1);
}

void sl_text_add_bytes(struct sl_text_out *out, struct sl_bytes bytes)
{
    size_t room = out->capacity - out->size - 1;
    if (bytes.size > room) {
        bytes.size = room;
        out->truncated = true;
    }
    sl_bytes_copy(out->data + out->size, bytes);
    out->size += bytes.size;
    out->data[out->size] = '\0';
}

/* Size of the UTF-8 sequence at the start (RFC 3629), 0 when it is none. */
static size_t utf8_size(struct sl_bytes text)
{
    static const struct {
        uint8_t first_min, first_max, second_min, second_max;
        size_t size;
    } forms[] = {
        {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
        {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
        {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    const uint8_t *b = text.data;
    for (size_t i = 0; i < SL_COUNT_OF(forms); i++) {
        if (b[0] < forms[i].first_min || b[0] > forms[i].first_max)
            continue;
        if (text.size < forms[i].size || b[1] < forms[i].second_min || b[1] > forms[i].second_max)
            return 0;
        for (size_t k = 2; k < forms[i].size; k++) {
            if ((b[k] & 0xc0) != 0x80)
                return 0;
        }
        return forms[i].size;
    }
    return b[0] < 0x80 ? 1 : 0;
}

void sl_text_add_json(struct sl_text_out *out, struct sl_bytes bytes)
{
    sl_text_add_bytes(out, sl_bytes_of("\"", 1));
    for (size_t i = 0; i < bytes.size;) {
        size_t size = utf8_size(sl_bytes_of(bytes.data + i, bytes.size - i));
        uint8_t c = bytes.data[i];
        if (size == 0)
            sl_text_add(out, "\\ufffd");
        else if (c == '"' || c == '\\')
            sl_text_add(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            sl_text_add(out, "\\u%04x", c);
        else
            sl_text_add_bytes(out, sl_bytes_of(bytes.data + i, size));
        i += SL_MAX(size, 1u);
    }
    sl_text_add_bytes(out, sl_bytes_of("\"", 1));
}

/* The largest unit that leaves at least 1, with up to one decimal. units are in falling order. */
static void add_scaled(struct sl_text_out *out, uint64_t value, const struct unit *units,
                       size_t count)
{
    size_t i = 0;
    while (i + 1 < count && value < units[i].factor)
        i++;
    uint64_t whole = value / units[i].factor;
    uint64_t tenth = value % units[i].factor / SL_MAX(units[i].factor / 10, 1u);
    if (tenth > 0 && units[i].factor > 1)
        sl_text_add(out, "%llu.%llu%s", (unsigned long long)whole,
                    (unsigned long long)SL_MIN(tenth, 9u), units[i].name);
    else
        sl_text_add(out, "%llu%s", (unsigned long long)whole, units[i].name);
}

void sl_text_add_size(struct sl_text_out *out, uint64_t bytes)
{
    static const struct unit units[] = {{"TiB", 1ull << 40},
                                        {"GiB", 1ull << 30},
                                        {"MiB", 1ull << 20},
                                        {"KiB", 1ull << 10},
                                        {"B", 1}};
    add_scaled(out, bytes, units, SL_COUNT_OF(units));
}

void sl_text_add_duration(struct sl_text_out *out, int64_t ns)
{
    static const struct unit units[] = {{"h", 3600000000000}, {"min", 60000000000},
                                        {"s", 1000000000},    {"ms", 1000000},
                                        {"us", 1000},         {"ns", 1}};
    if (ns < 0)
        sl_text_add(out, "-");
    add_scaled(out, ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns, units, SL_COUNT_OF(units));
}

/* Civil date from days since 1970-01-01, proleptic Gregorian (Hinnant, "chrono-compatible low-level
 * date algorithms"): years start in March, so that the leap day is the last of its year. */
void sl_text_add_time(struct sl_text_out *out, int64_t wall_ms)
{
    int64_t ms = ((wall_ms % 86400000) + 86400000) % 86400000;
    int64_t days = (wall_ms - ms) / 86400000 + 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t march_month = (5 * day_of_year + 2) / 153;
    int64_t day = day_of_year - (153 * march_month + 2) / 5 + 1;
    int64_t month = march_month < 10 ? march_month + 3 : march_month - 9;
    int64_t year = year_of_era + era * 400 + (month <= 2);
    sl_text_add(out, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (int)year, (int)month, (int)day,
                (int)(ms / 3600000), (int)(ms / 60000 % 60), (int)(ms / 1000 % 60),
                (int)(ms % 1000));
}

/* ---- in ---- */

/* The digits at the start; *ret_digits of them. E_MALFORMED without any. */
static sl_err parse_digits(struct sl_bytes text, uint64_t *ret_value, size_t *ret_digits)
{
    uint64_t value = 0;
    size_t i = 0;
    for (; i < text.size && text.data[i] >= '0' && text.data[i] <= '9'; i++) {
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text.data[i] - '0'), &value))
            return SLUICE_E_LIMIT;
    }
    if (i == 0)
        return SLUICE_E_MALFORMED;
    *ret_value = value;
    *ret_digits = i;
    return SLUICE_OK;
}

sl_err sl_text_parse_u64(struct sl_bytes text, uint64_t *ret_value)
{
    uint64_t value;
    size_t digits;
    sl_err err = parse_digits(text, &value, &digits);
    if (err)
        return err;
    if (digits != text.size)
        return SLUICE_E_MALFORMED;
    *ret_value = value;
    return SLUICE_OK;
}

sl_err sl_text_parse_i64(struct sl_bytes text, int64_t *ret_value)
{
    bool negative = text.size > 0 && text.data[0] == '-';
    if (negative)
        text = sl_bytes_of(text.data + 1, text.size - 1);
    uint64_t value;
    sl_err err = sl_text_parse_u64(text, &value);
    if (err)
        return err;
    if (value > (uint64_t)INT64_MAX + negative)
        return SLUICE_E_LIMIT;
    *ret_value = negative ? (int64_t)(0 - value) : (int64_t)value;
    return SLUICE_OK;
}

sl_err sl_text_parse_bool(struct sl_bytes text, bool *ret_value)
{
    bool is_true = sl_bytes_equal(text, sl_bytes_of_text("true"));
    if (!is_true && !sl_bytes_equal(text, sl_bytes_of_text("false")))
        return SLUICE_E_MALFORMED;
    *ret_value = is_true;
    return SLUICE_OK;
}

static sl_err parse_with_unit(struct sl_bytes text, const struct unit *units, size_t count,
                              uint64_t *ret_value)
{
    uint64_t value;
    size_t used;
    sl_err err = parse_digits(text, &value, &used);
    if (err)
        return err;
    struct sl_bytes name = sl_bytes_of(text.data + used, text.size - used);
    if (name.size > 1 && name.data[0] == ' ')
        name = sl_bytes_of(name.data + 1, name.size - 1);
    for (size_t i = 0; i < count; i++) {
        if (sl_bytes_equal(name, sl_bytes_of_text(units[i].name)))
            return __builtin_mul_overflow(value, units[i].factor, ret_value) ? SLUICE_E_LIMIT
                                                                             : SLUICE_OK;
    }
    return SLUICE_E_MALFORMED;
}

sl_err sl_text_parse_size(struct sl_bytes text, uint64_t *ret_bytes)
{
    static const struct unit units[] = {{"", 1},
                                        {"B", 1},
                                        {"KiB", 1ull << 10},
                                        {"MiB", 1ull << 20},
                                        {"GiB", 1ull << 30},
                                        {"TiB", 1ull << 40},
                                        {"kB", 1000},
                                        {"MB", 1000000},
                                        {"GB", 1000000000},
                                        {"TB", 1000000000000}};
    uint64_t value;
    sl_err err = parse_with_unit(text, units, SL_COUNT_OF(units), &value);
    if (!err)
        *ret_bytes = value;
    return err;
}

sl_err sl_text_parse_duration(struct sl_bytes text, int64_t *ret_ns)
{
    static const struct unit units[] = {{"", 1000000},        {"ns", 1},
                                        {"us", 1000},         {"ms", 1000000},
                                        {"s", 1000000000},    {"min", 60000000000},
                                        {"h", 3600000000000}, {"d", 86400000000000}};
    uint64_t value;
    sl_err err = parse_with_unit(text, units, SL_COUNT_OF(units), &value);
    if (err)
        return err;
    if (value > INT64_MAX)
        return SLUICE_E_LIMIT;
    *ret_ns = (int64_t)value;
    return SLUICE_OK;
}

/* ---- nearest ---- */

/* Edits from one to the other, two letters that changed places being one (optimal string alignment,
 * of Damerau and Levenshtein); three rows. Both at most NEAREST_BYTES_MAX. */
static size_t distance(struct sl_bytes a, struct sl_bytes b)
{
    size_t rows[3][NEAREST_BYTES_MAX + 1];
    for (size_t j = 0; j <= b.size; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.size; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        const size_t *higher = rows[(i + 1) % 3]; /* two above */
        row[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            size_t replaced = above[j - 1] + (a.data[i - 1] != b.data[j - 1]);
            row[j] = SL_MIN(replaced, SL_MIN(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] && a.data[i - 2] == b.data[j - 1])
                row[j] = SL_MIN(row[j], higher[j - 2] + 1);
        }
    }
    return rows[a.size % 3][b.size];
}

const char *sl_text_nearest(struct sl_bytes word, const char *const *known, size_t count)
{
    const char *best = NULL;
    size_t best_distance = SL_MAX(word.size / 3, 1u) + 1;
    if (word.size > NEAREST_BYTES_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        struct sl_bytes candidate = sl_bytes_of_text(known[i]);
        if (candidate.size > NEAREST_BYTES_MAX)
            continue;
        size_t d = distance(word, candidate);
        if (d < best_distance) {
            best = known[i];
            best_distance = d;
        }
    }
    return best;
}
