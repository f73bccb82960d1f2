/* log.c: formatting of lines and the counting of repeated ones.
 *
 * A line is formatted on the caller's stack. Its hash (all but the time) picks one of REPEAT_SLOTS
 * slots; a slot remembers the line that came last, when its window began and how many followed.
 * Slots are guarded by a spin lock held for some hundred nanoseconds; who does not get it within
 * SPIN_MAX tries writes his line without counting, so that a thread that lost its CPU in there
 * stops nobody. */
#include "base/log.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/log_recent.h"
#include "base/status.h"
#include "base/text.h"

#define REPEAT_SLOTS     64u
#define REPEAT_BODY_MAX  384u
#define SPIN_MAX         1000
#define LINE_TAIL_BYTES  8u /* room for the mark of a cut line, its end and a newline */
#define COMPONENT_COLUMN 9

struct slot {
    uint64_t hash;       /* of the line; 0: empty */
    int64_t since_ms;    /* start of the window */
    uint64_t suppressed; /* lines not written since */
    uint32_t level;
    char component[32];
    char message[REPEAT_BODY_MAX]; /* with its fields, as text */
};

struct sl_logger {
    struct sl_log_config config; /* level, format, colour: see below */
    atomic_uint level;
    atomic_uint format;        /* enum sl_log_format, and FORMAT_COLOUR */
    atomic_flag locked;        /* slots */
    struct log_recent *recent; /* owned; NULL: there was no memory for it */
    struct slot slots[REPEAT_SLOTS];
};

#define FORMAT_COLOUR 0x100u

static const struct {
    const char *name;
    const char *colour; /* SGR sequence of a terminal (ECMA-48) */
} level_table[SL_LOG_LEVEL_COUNT] = {
    [SL_LOG_DEBUG] = {"debug", "\033[2m"},
    [SL_LOG_INFO] = {"info", "\033[32m"},
    [SL_LOG_WARN] = {"warn", "\033[33m"},
    [SL_LOG_ERROR] = {"error", "\033[31m"},
};

/* ---- one line ---- */

struct line {
    const char *component;
    const char *message;
    const struct sl_log_field *fields;
    size_t field_count;
    uint64_t repeated; /* 0: a line of its own; else it stands for so many */
    int64_t wall_ms;
    enum sl_log_level level;
};

static void add_err(struct sl_text_out *out, sl_err err)
{
    char name[16];
    sl_status_name(err, name);
    sl_text_add(out, "%s (%s)", name, sl_status_text(err));
}

/* The value as a person reads it, without quotes. */
static void add_value(struct sl_text_out *out, const struct sl_log_field *field)
{
    struct sl_uuid uuid;
    char uuid_text[23];
    switch (field->kind) {
    case SL_LOG_KIND_BYTES:
        sl_text_add_bytes(out, field->bytes);
        break;
    case SL_LOG_KIND_U64:
        sl_text_add(out, "%llu", (unsigned long long)field->number);
        break;
    case SL_LOG_KIND_I64:
        sl_text_add(out, "%lld", (long long)field->number);
        break;
    case SL_LOG_KIND_BOOL:
        sl_text_add(out, "%s", field->number ? "true" : "false");
        break;
    case SL_LOG_KIND_SIZE:
        sl_text_add_size(out, field->number);
        break;
    case SL_LOG_KIND_DURATION:
        sl_text_add_duration(out, (int64_t)field->number);
        break;
    case SL_LOG_KIND_ERR:
        add_err(out, (sl_err)field->number);
        break;
    case SL_LOG_KIND_UUID:
        memcpy(uuid.b, field->bytes.data, sizeof uuid.b);
        sl_uuid_text(&uuid, uuid_text);
        sl_text_add(out, "%s", uuid_text);
        break;
    }
}

/* Bytes that would blur where a text value ends, or reach a terminal as control codes. */
static bool needs_quotes(struct sl_bytes value)
{
    for (size_t i = 0; i < value.size; i++) {
        uint8_t c = value.data[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\')
            return true;
    }
    return value.size == 0;
}

static void add_fields_text(struct sl_text_out *out, const struct line *line)
{
    for (size_t i = 0; i < line->field_count; i++) {
        const struct sl_log_field *field = &line->fields[i];
        sl_text_add(out, " %s=", field->key);
        if (field->kind == SL_LOG_KIND_BYTES && needs_quotes(field->bytes))
            sl_text_add_json(out, field->bytes);
        else
            add_value(out, field);
    }
}

/* A message that carries what came from outside (an operating system's text, a plugin's) stays one
 * line. */
static void add_message(struct sl_text_out *out, const char *message)
{
    for (const char *c = message; *c; c++)
        sl_text_add_bytes(out, (unsigned char)*c < 0x20 || *c == 0x7f ? sl_bytes_of(" ", 1)
                                                                      : sl_bytes_of(c, 1));
}

static void add_line_text(struct sl_text_out *out, const struct line *line, bool colour)
{
    sl_text_add_time(out, line->wall_ms);
    sl_text_add(out, " %s%-5s%s %-*s ", colour ? level_table[line->level].colour : "",
                level_table[line->level].name, colour ? "\033[0m" : "", COMPONENT_COLUMN,
                line->component);
    add_message(out, line->message);
    add_fields_text(out, line);
    if (line->repeated > 0)
        sl_text_add(out, " (repeated %llu times)", (unsigned long long)line->repeated);
}

static bool is_bare_in_json(enum sl_log_kind kind)
{
    return kind == SL_LOG_KIND_U64 || kind == SL_LOG_KIND_I64 || kind == SL_LOG_KIND_BOOL ||
           kind == SL_LOG_KIND_SIZE || kind == SL_LOG_KIND_DURATION;
}

static void add_field_json(struct sl_text_out *out, const struct sl_log_field *field)
{
    char text[128];
    struct sl_text_out value = SL_TEXT_OUT(text);
    struct sl_log_field plain = *field;
    if (field->kind == SL_LOG_KIND_SIZE || field->kind == SL_LOG_KIND_DURATION)
        plain.kind = SL_LOG_KIND_I64;
    sl_text_add_bytes(out, sl_bytes_of(",", 1));
    sl_text_add_json(out, sl_bytes_of_text(field->key));
    sl_text_add_bytes(out, sl_bytes_of(":", 1));
    if (field->kind == SL_LOG_KIND_BYTES) {
        sl_text_add_json(out, field->bytes);
        return;
    }
    add_value(&value, &plain);
    if (is_bare_in_json(field->kind))
        sl_text_add(out, "%s", text);
    else
        sl_text_add_json(out, sl_bytes_of_text(text));
}

/* A field that does not fit is left out whole, so that a cut line is still JSON. */
static void add_line_json(struct sl_text_out *out, const struct line *line)
{
    sl_text_add(out, "{\"time\":\"");
    sl_text_add_time(out, line->wall_ms);
    sl_text_add(out, "\",\"level\":\"%s\",\"component\":", level_table[line->level].name);
    sl_text_add_json(out, sl_bytes_of_text(line->component));
    sl_text_add(out, ",\"message\":");
    struct sl_bytes message = sl_bytes_of_text(line->message);
    message.size = SL_MIN(message.size, out->capacity / 8);
    sl_text_add_json(out, message);
    if (line->repeated > 0)
        sl_text_add(out, ",\"repeated\":%llu", (unsigned long long)line->repeated);
    for (size_t i = 0; i < line->field_count; i++) {
        struct sl_text_out before = *out;
        add_field_json(out, &line->fields[i]);
        if (out->truncated)
            *out = before;
    }
}

static void remember(struct sl_logger *logger, const struct line *line)
{
    char text[LOG_RECENT_TEXT_MAX];
    struct sl_text_out out = SL_TEXT_OUT(text);
    add_message(&out, line->message);
    add_fields_text(&out, line);
    if (line->repeated > 0)
        sl_text_add(&out, " (repeated %llu times)", (unsigned long long)line->repeated);
    log_recent_add(logger->recent, line->wall_ms, line->level, line->component, text);
}

static void emit(struct sl_logger *logger, const struct line *line)
{
    remember(logger, line);
    char text[SL_LOG_LINE_BYTES_MAX];
    struct sl_text_out out = sl_text_out_of(text, sizeof text - LINE_TAIL_BYTES);
    unsigned format = atomic_load_explicit(&logger->format, memory_order_relaxed);
    if ((format & ~FORMAT_COLOUR) == SL_LOG_FORMAT_JSON)
        add_line_json(&out, line);
    else
        add_line_text(&out, line, format & FORMAT_COLOUR);
    bool cut = out.truncated;
    out.capacity = sizeof text; /* opens the room that was kept back */
    if ((format & ~FORMAT_COLOUR) == SL_LOG_FORMAT_JSON)
        sl_text_add(&out, "}\n");
    else
        sl_text_add(&out, "%s\n", cut ? "…" : "");
    logger->config.sink(logger->config.sink_arg, line->level, text, out.size);
}

/* ---- repeated lines ---- */

static bool lock_slots(struct sl_logger *logger)
{
    for (int i = 0; i < SPIN_MAX; i++) {
        if (!atomic_flag_test_and_set_explicit(&logger->locked, memory_order_acquire))
            return true;
        __builtin_ia32_pause();
    }
    return false;
}

static void unlock_slots(struct sl_logger *logger)
{
    atomic_flag_clear_explicit(&logger->locked, memory_order_release);
}

static void emit_repeated(struct sl_logger *logger, const struct slot *slot, int64_t wall_ms)
{
    struct line line = {.component = slot->component,
                        .message = slot->message,
                        .repeated = slot->suppressed,
                        .wall_ms = wall_ms,
                        .level = (enum sl_log_level)slot->level};
    if (slot->suppressed > 0)
        emit(logger, &line);
}

static void slot_fill(struct slot *slot, const struct line *line, uint64_t hash, const char *body)
{
    struct sl_text_out component = SL_TEXT_OUT(slot->component);
    struct sl_text_out message = SL_TEXT_OUT(slot->message);
    sl_text_add(&component, "%s", line->component);
    sl_text_add(&message, "%s", body);
    slot->hash = hash;
    slot->since_ms = line->wall_ms;
    slot->suppressed = 0;
    slot->level = line->level;
}

/* Whether the line is to be written; counts it when not. *ret_ended is a slot whose count must be
 * told. */
static bool count_repeats(struct sl_logger *logger, const struct line *line, struct slot *ret_ended)
{
    char body[SL_LOG_LINE_BYTES_MAX];
    struct sl_text_out out = SL_TEXT_OUT(body);
    add_message(&out, line->message);
    add_fields_text(&out, line);
    uint64_t hash = sl_hash64(body, out.size) ^ sl_hash64_mix(line->level + 1u);
    hash ^= sl_hash64(line->component, strlen(line->component));
    hash |= 1; /* 0 means an empty slot */
    if (!lock_slots(logger))
        return true;
    struct slot *slot = &logger->slots[(hash >> 32) % REPEAT_SLOTS];
    int64_t age_ms = line->wall_ms - slot->since_ms;
    bool in_window = age_ms >= 0 && age_ms < (int64_t)logger->config.repeat_window_ms;
    bool repeats = slot->hash == hash && in_window;
    if (repeats) {
        slot->suppressed++;
    } else {
        *ret_ended = *slot;
        slot_fill(slot, line, hash, body);
    }
    unlock_slots(logger);
    return !repeats;
}

static void flush_slots(struct sl_logger *logger, int64_t wall_ms, int64_t age_ms_min)
{
    for (size_t i = 0; i < REPEAT_SLOTS; i++) {
        struct slot ended = {0};
        if (!lock_slots(logger))
            continue;
        struct slot *slot = &logger->slots[i];
        int64_t age_ms = wall_ms - slot->since_ms;
        if (slot->suppressed > 0 && (age_ms >= age_ms_min || age_ms < 0)) {
            ended = *slot;
            slot->since_ms = wall_ms; /* told; the next of its kind counts in a new window */
            slot->suppressed = 0;
        }
        unlock_slots(logger);
        emit_repeated(logger, &ended, wall_ms);
    }
}

/* ---- the logger ---- */

sl_err sl_logger_new(const struct sl_log_config *config, struct sl_logger **ret_logger)
{
    SL_ASSERT(config->sink && config->wall_ms && config->level < SL_LOG_LEVEL_COUNT);
    struct sl_logger *logger = sl_alloc_zero(1, sizeof *logger);
    if (!logger)
        return SLUICE_E_NO_MEMORY;
    logger->config = *config;
    atomic_flag_clear(&logger->locked);
    logger->recent = log_recent_new();
    sl_logger_set_level(logger, config->level);
    sl_logger_set_format(logger, config->format, config->colour);
    *ret_logger = logger;
    return SLUICE_OK;
}

struct sl_logger *sl_logger_free(struct sl_logger *logger)
{
    if (logger) {
        flush_slots(logger, logger->config.wall_ms(logger->config.clock_arg), 0);
        log_recent_free(logger->recent);
        sl_free(logger);
    }
    return NULL;
}

struct log_recent *sl_logger_recent(const struct sl_logger *logger)
{
    return logger->recent;
}

void sl_logger_set_level(struct sl_logger *logger, enum sl_log_level level)
{
    SL_ASSERT(level < SL_LOG_LEVEL_COUNT);
    atomic_store_explicit(&logger->level, level, memory_order_relaxed);
}

void sl_logger_set_format(struct sl_logger *logger, enum sl_log_format format, bool colour)
{
    unsigned value = (unsigned)format | (colour ? FORMAT_COLOUR : 0);
    atomic_store_explicit(&logger->format, value, memory_order_relaxed);
}

enum sl_log_level sl_logger_level(const struct sl_logger *logger)
{
    return (enum sl_log_level)atomic_load_explicit(&logger->level, memory_order_relaxed);
}

void sl_logger_tick(struct sl_logger *logger)
{
    flush_slots(logger, logger->config.wall_ms(logger->config.clock_arg),
                (int64_t)logger->config.repeat_window_ms);
}

bool sl_log_wants(const struct sl_logger *logger, enum sl_log_level level)
{
    return logger && level >= sl_logger_level(logger);
}

void sl_log_write(struct sl_logger *logger, enum sl_log_level level, const char *component,
                  const char *message, const struct sl_log_field *fields, size_t count)
{
    SL_ASSERT(level < SL_LOG_LEVEL_COUNT && count >= 1 && count <= SL_LOG_FIELDS_MAX + 1);
    struct line line = {.component = component,
                        .message = message,
                        .fields = fields + 1,
                        .field_count = count - 1,
                        .wall_ms = logger->config.wall_ms(logger->config.clock_arg),
                        .level = level};
    struct slot ended = {0};
    if (logger->config.repeat_window_ms > 0 && !count_repeats(logger, &line, &ended))
        return;
    emit_repeated(logger, &ended, line.wall_ms);
    emit(logger, &line);
}

sl_err sl_log_level_parse(struct sl_bytes text, enum sl_log_level *ret_level)
{
    for (size_t i = 0; i < SL_LOG_LEVEL_COUNT; i++) {
        if (sl_bytes_equal(text, sl_bytes_of_text(level_table[i].name))) {
            *ret_level = (enum sl_log_level)i;
            return SLUICE_OK;
        }
    }
    return SLUICE_E_NOT_FOUND;
}
