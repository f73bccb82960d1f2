/* text.h: text into bounded memory of the caller, and numbers, sizes and durations out of text.
 * [any] */
#ifndef SL_BASE_TEXT_H
#define SL_BASE_TEXT_H

#include "base/base.h"

/* Where text goes: `data` always ends in NUL within capacity; what does not fit is cut and noted.
 */
struct sl_text_out {
    char *data;      /* [borrowed] at least 1 byte */
    size_t capacity; /* bytes of data, the NUL's included */
    size_t size;     /* bytes of text so far, without NUL */
    bool truncated;  /* something did not fit */
};

/* Empty text in `array` (a char array of the caller). */
#define SL_TEXT_OUT(array) sl_text_out_of((array), sizeof(array))
struct sl_text_out sl_text_out_of(char *data, size_t capacity);

void sl_text_add(struct sl_text_out *out, const char *format, ...) SL_PRINTF(2, 3);
void sl_text_add_bytes(struct sl_text_out *out, struct sl_bytes bytes); /* as they are */
/* Between double quotes as a JSON string: quotes, backslashes and control characters escaped, bytes
 * that are not UTF-8 as U+FFFD. */
void sl_text_add_json(struct sl_text_out *out, struct sl_bytes bytes);
void sl_text_add_size(struct sl_text_out *out, uint64_t bytes);  /* "64MiB", "1.5KiB", "17B" */
void sl_text_add_duration(struct sl_text_out *out, int64_t ns);  /* "1.5ms", "10s", "250ns" */
void sl_text_add_time(struct sl_text_out *out, int64_t wall_ms); /* 2026-11-21T11:12:31.123Z */

/* Each reads the whole text and nothing else (no blanks around it): E_MALFORMED when it is
 * something else, E_LIMIT when it does not fit the result. */
sl_err sl_text_parse_u64(struct sl_bytes text, uint64_t *ret_value) SL_MUST_CHECK;
sl_err sl_text_parse_i64(struct sl_bytes text, int64_t *ret_value) SL_MUST_CHECK;
sl_err sl_text_parse_bool(struct sl_bytes text, bool *ret_value) SL_MUST_CHECK; /* true, false */
/* Whole number and unit: B, KiB, MiB, GiB, TiB, kB, MB, GB, TB, or none (bytes); a blank may part
 * them. */
sl_err sl_text_parse_size(struct sl_bytes text, uint64_t *ret_bytes) SL_MUST_CHECK;
/* Whole number and unit: ns, us, ms, s, min, h, d, or none (milliseconds); a blank may part them.
 */
sl_err sl_text_parse_duration(struct sl_bytes text, int64_t *ret_ns) SL_MUST_CHECK;

/* The entry of `known` that a person who typed `word` probably meant (edit distance at most a third
 * of its length, at least 1), or NULL. Words above 64 bytes have none. */
const char *sl_text_nearest(struct sl_bytes word, const char *const *known, size_t count);

#endif
