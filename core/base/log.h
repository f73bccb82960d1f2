/* log.h: a logger: time, level, component, message and fields, one line each, text or JSON.
 *
 *   sl_log(logger, SL_LOG_INFO, "wal", "segment sealed", sl_log_u64("segment", id),
 *          sl_log_text("path", path));
 *   2026-11-21T11:12:31.123Z info  wal       segment sealed segment=12 path=/var/lib/sluice/…
 *   {"time":"2026-11-21T11:12:31.123Z","level":"info","component":"wal","message":"segment
 * sealed",…}
 *
 * A line goes to the sink in one call. The level is one relaxed load, and the fields of a line
 * below it are not evaluated. Identical lines within a window are counted instead of written; when
 * the window is over, one line says "repeated 41 times". A line is at most SL_LOG_LINE_BYTES_MAX,
 * the rest is cut with "…". Makes no system call: clock and sink are the caller's (sl_os_log_* in
 * os/os_log.h). [any] thread. */
#ifndef SL_BASE_LOG_H
#define SL_BASE_LOG_H

#include "base/base.h"

#include <stdatomic.h>

#define SL_LOG_LINE_BYTES_MAX 4096u
#define SL_LOG_FIELDS_MAX     16u

enum sl_log_level { SL_LOG_DEBUG, SL_LOG_INFO, SL_LOG_WARN, SL_LOG_ERROR, SL_LOG_LEVEL_COUNT };
enum sl_log_format { SL_LOG_FORMAT_TEXT, SL_LOG_FORMAT_JSON };

enum sl_log_kind {
    SL_LOG_KIND_BYTES,
    SL_LOG_KIND_U64,
    SL_LOG_KIND_I64,
    SL_LOG_KIND_BOOL,
    SL_LOG_KIND_SIZE,     /* bytes; as 64MiB in text, a number in JSON */
    SL_LOG_KIND_DURATION, /* ns; as 1.5ms in text, a number in JSON */
    SL_LOG_KIND_ERR,      /* SLU-nnnn and its sentence */
    SL_LOG_KIND_UUID
};

/* Made by the functions below; borrows what it points at for the call. */
struct sl_log_field {
    const char *key;
    enum sl_log_kind kind;
    uint64_t number; /* also i64, bool, err */
    struct sl_bytes bytes;
};

/* line ends in a newline. Called from any thread, possibly several at once; writes it in one go. */
typedef void sl_log_sink_fn(void *arg, enum sl_log_level level, const char *line, size_t size);
typedef int64_t sl_log_clock_fn(void *arg); /* milliseconds since the epoch */

struct sl_log_config {
    sl_log_sink_fn *sink;
    void *sink_arg;
    sl_log_clock_fn *wall_ms;
    void *clock_arg;
    enum sl_log_level level;
    enum sl_log_format format;
    bool colour;               /* of the level in text; for terminals */
    uint32_t repeat_window_ms; /* 0: every line is written */
};

struct sl_logger; /* opaque but for its level, see sl_log_wants */

sl_err sl_logger_new(const struct sl_log_config *config,
                     struct sl_logger **ret_logger) SL_MUST_CHECK;
struct sl_logger *
sl_logger_free(struct sl_logger *logger); /* says what was repeated; NULL is fine */
void sl_logger_set_level(struct sl_logger *logger, enum sl_log_level level); /* [any] */
void sl_logger_set_format(struct sl_logger *logger, enum sl_log_format format, bool colour);
enum sl_log_level sl_logger_level(const struct sl_logger *logger);
/* Writes what was counted and whose window is over; call it about once a second. [any] */
void sl_logger_tick(struct sl_logger *logger);

/* E_NOT_FOUND for another word. */
sl_err sl_log_level_parse(struct sl_bytes text, enum sl_log_level *ret_level) SL_MUST_CHECK;

/* Whether a line of this level is written now; a NULL logger wants nothing. */
bool sl_log_wants(const struct sl_logger *logger, enum sl_log_level level);

/* Use the macro. fields[0] is a filler, so that a line without fields is an array too. */
void sl_log_write(struct sl_logger *logger, enum sl_log_level level, const char *component,
                  const char *message, const struct sl_log_field *fields, size_t count);

/* sl_log(logger, level, "component", "message", fields …): at most SL_LOG_FIELDS_MAX fields. */
#define sl_log(logger, level, component, message, ...)                                      \
    do {                                                                                    \
        if (sl_log_wants((logger), (level)))                                                \
            sl_log_write((logger), (level), (component), (message),                         \
                         (const struct sl_log_field[]){{0}, ##__VA_ARGS__},                 \
                         SL_COUNT_OF(((const struct sl_log_field[]){{0}, ##__VA_ARGS__}))); \
    } while (0)

static inline struct sl_log_field sl_log_bytes(const char *key, struct sl_bytes value)
{
    return (struct sl_log_field){.key = key, .kind = SL_LOG_KIND_BYTES, .bytes = value};
}

static inline struct sl_log_field sl_log_text(const char *key, const char *value)
{
    const char *text = value ? value : "";
    return sl_log_bytes(
        key, (struct sl_bytes){.data = (const uint8_t *)text, .size = __builtin_strlen(text)});
}

static inline struct sl_log_field sl_log_u64(const char *key, uint64_t value)
{
    return (struct sl_log_field){.key = key, .kind = SL_LOG_KIND_U64, .number = value};
}

static inline struct sl_log_field sl_log_i64(const char *key, int64_t value)
{
    return (struct sl_log_field){.key = key, .kind = SL_LOG_KIND_I64, .number = (uint64_t)value};
}

static inline struct sl_log_field sl_log_bool(const char *key, bool value)
{
    return (struct sl_log_field){.key = key, .kind = SL_LOG_KIND_BOOL, .number = value};
}

static inline struct sl_log_field sl_log_size(const char *key, uint64_t bytes)
{
    return (struct sl_log_field){.key = key, .kind = SL_LOG_KIND_SIZE, .number = bytes};
}

static inline struct sl_log_field sl_log_duration(const char *key, int64_t ns)
{
    return (struct sl_log_field){.key = key, .kind = SL_LOG_KIND_DURATION, .number = (uint64_t)ns};
}

static inline struct sl_log_field sl_log_err(sl_err err)
{
    return (struct sl_log_field){
        .key = "error", .kind = SL_LOG_KIND_ERR, .number = (uint64_t)(int64_t)err};
}

static inline struct sl_log_field sl_log_uuid(const char *key, const struct sl_uuid *value)
{
    return (struct sl_log_field){
        .key = key, .kind = SL_LOG_KIND_UUID, .bytes = {value->b, sizeof value->b}};
}

#endif
