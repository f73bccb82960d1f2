/* share_config.c: see share_config.h. */
#include "deliver/share_config.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define BY_DURATION "by_duration:"

const struct share_config_row share_config_rows[SHARE_CONFIG_COUNT] = {
#define SHARE_CONFIG_ROW(field, name, type, preset, least, most, text) \
    {name, SHARE_CONFIG_##type, preset, least, most, text},
    SHARE_CONFIG_TABLE(SHARE_CONFIG_ROW)
#undef SHARE_CONFIG_ROW
};

void share_settings_init(struct share_settings *settings)
{
    *settings = (struct share_settings){0};
    for (uint32_t i = 0; i < SHARE_CONFIG_COUNT; i++) {
        settings->values[i] = share_config_rows[i].preset;
    }
}

enum share_config_key share_config_find(struct sl_bytes name)
{
    uint32_t key = 0;
    while (key < SHARE_CONFIG_COUNT &&
           !sl_bytes_equal(name, sl_bytes_of_text(share_config_rows[key].name))) {
        key++;
    }
    return (enum share_config_key)key;
}

static bool is_text(struct sl_bytes value, const char *text)
{
    return value.size == strlen(text) &&
           strncasecmp((const char *)value.data, text, value.size) == 0;
}

static bool read_number(struct sl_bytes *text, int64_t *ret_number)
{
    int64_t number = 0;
    size_t digits = 0;
    while (digits < text->size && text->data[digits] >= '0' && text->data[digits] <= '9') {
        if (digits == 12) {
            return false;
        }
        number = number * 10 + (text->data[digits++] - '0');
    }
    text->data += digits;
    text->size -= digits;
    *ret_number = number;
    return digits > 0;
}

/* PnDTnHnMnS, each part once and in order, as java.time.Duration writes it, in whole numbers. */
static bool read_duration(struct sl_bytes text, int64_t *ret_ms)
{
    static const char units[] = "DHMS";
    static const int64_t lengths_ms[] = {86400000, 3600000, 60000, 1000};
    uint32_t next = 0;
    int64_t total = 0;
    if (text.size < 3 || text.data[0] != 'P') {
        return false;
    }
    text = (struct sl_bytes){text.data + 1, text.size - 1};
    while (text.size > 0) {
        int64_t number = 0;
        if (text.data[0] == 'T' && next <= 1) {
            text = (struct sl_bytes){text.data + 1, text.size - 1};
            next = 1;
        }
        if (!read_number(&text, &number) || text.size == 0) {
            return false;
        }
        const char *unit = strchr(units + next, text.data[0]);
        if (unit == NULL || *unit == '\0' || (unit != units && next == 0)) {
            return false;
        }
        total += number * lengths_ms[unit - units];
        next = (uint32_t)(unit - units) + 1;
        text = (struct sl_bytes){text.data + 1, text.size - 1};
    }
    *ret_ms = total;
    return true;
}

static bool parse_reset(struct sl_bytes value, int64_t *ret_value)
{
    size_t head = sizeof(BY_DURATION) - 1;
    if (is_text(value, "latest") || is_text(value, "earliest")) {
        *ret_value = is_text(value, "latest") ? SHARE_RESET_LATEST : SHARE_RESET_EARLIEST;
        return true;
    }
    return value.size > head && memcmp(value.data, BY_DURATION, head) == 0 &&
           read_duration((struct sl_bytes){value.data + head, value.size - head}, ret_value);
}

static bool parse_choice(struct sl_bytes value, const char *no, const char *yes, int64_t *ret_value)
{
    *ret_value = is_text(value, yes);
    return is_text(value, yes) || is_text(value, no);
}

static bool parse(const struct share_config_row *row, struct sl_bytes value, int64_t *ret_value)
{
    switch (row->type) {
    case SHARE_CONFIG_BOOLEAN:
        return parse_choice(value, "false", "true", ret_value);
    case SHARE_CONFIG_ISOLATION:
        return parse_choice(value, "read_uncommitted", "read_committed", ret_value);
    case SHARE_CONFIG_RESET:
        return parse_reset(value, ret_value);
    case SHARE_CONFIG_TOPIC:
        *ret_value = (int64_t)value.size;
        return value.size <= SHARE_TOPIC_BYTES_MAX;
    default:
        return read_number(&value, ret_value) && value.size == 0 && *ret_value >= row->least &&
               *ret_value <= row->most;
    }
}

sl_err share_settings_set(struct share_settings *settings, enum share_config_key key,
                          struct sl_bytes value)
{
    SL_ASSERT(key < SHARE_CONFIG_COUNT);
    int64_t parsed = share_config_rows[key].preset;
    if (value.data != NULL && !parse(&share_config_rows[key], value, &parsed)) {
        return SLUICE_E_INVALID_CONFIG;
    }
    if (key == SHARE_CONFIG_letters_topic && parsed > 0) {
        memcpy(settings->letters_topic, value.data, (size_t)parsed);
    }
    settings->values[key] = parsed;
    settings->set[key] = value.data != NULL;
    return SLUICE_OK;
}

size_t share_settings_text(const struct share_settings *settings, enum share_config_key key,
                           char ret_text[SHARE_CONFIG_VALUE_BYTES_MAX])
{
    int64_t value = settings->values[key];
    int size = 0;
    switch (share_config_rows[key].type) {
    case SHARE_CONFIG_BOOLEAN:
        size = snprintf(ret_text, SHARE_CONFIG_VALUE_BYTES_MAX, "%s", value ? "true" : "false");
        break;
    case SHARE_CONFIG_ISOLATION:
        size =
            snprintf(ret_text, SHARE_CONFIG_VALUE_BYTES_MAX, "read_%scommitted", value ? "" : "un");
        break;
    case SHARE_CONFIG_RESET:
        size = value >= 0 ? snprintf(ret_text, SHARE_CONFIG_VALUE_BYTES_MAX,
                                     BY_DURATION "PT%" PRId64 "S", value / 1000)
                          : snprintf(ret_text, SHARE_CONFIG_VALUE_BYTES_MAX, "%s",
                                     value == SHARE_RESET_LATEST ? "latest" : "earliest");
        break;
    case SHARE_CONFIG_TOPIC:
        size = snprintf(ret_text, SHARE_CONFIG_VALUE_BYTES_MAX, "%.*s", (int)value,
                        settings->letters_topic);
        break;
    default:
        size = snprintf(ret_text, SHARE_CONFIG_VALUE_BYTES_MAX, "%" PRId64, value);
        break;
    }
    return (size_t)size;
}
