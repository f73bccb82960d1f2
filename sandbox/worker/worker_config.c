/* worker_config.c: looks up one value in the instance's configuration (JSON, RFC 8259).
 *
 * Values come back as text, numbers exactly as written, so that 64-bit integers survive. The text
 * was checked by the host; a malformed one only makes keys unfindable. */
#include "worker.h"

#include <stdlib.h>
#include <string.h>

struct config_string {
    struct config_string *next;
    char text[];
};

struct cursor {
    const char *at;
    const char *end;
};

static void skip_space(struct cursor *cursor)
{
    while (cursor->at < cursor->end && strchr(" \t\r\n", *cursor->at) != NULL &&
           *cursor->at != '\0') {
        cursor->at++;
    }
}

static bool take(struct cursor *cursor, char wanted)
{
    skip_space(cursor);
    if (cursor->at < cursor->end && *cursor->at == wanted) {
        cursor->at++;
        return true;
    }
    return false;
}

/* After the opening quote: the raw inside of the string; leaves the cursor behind the closing
 * quote. */
static struct sluice_text take_string(struct cursor *cursor)
{
    struct sluice_text raw = {cursor->at, 0};

    while (cursor->at < cursor->end && *cursor->at != '"') {
        cursor->at += *cursor->at == '\\' && cursor->at + 1 < cursor->end ? 2 : 1;
    }
    raw.size = (uint64_t)(cursor->at - raw.data);
    if (cursor->at < cursor->end) {
        cursor->at++;
    }
    return raw;
}

/* Any value as raw text, strings with their quotes. */
static struct sluice_text take_value(struct cursor *cursor)
{
    struct sluice_text raw;
    uint32_t depth = 0;

    skip_space(cursor);
    raw.data = cursor->at;
    while (cursor->at < cursor->end) {
        const char byte = *cursor->at;

        if (depth == 0 && (byte == ',' || byte == '}' || byte == ']')) {
            break;
        }
        cursor->at++;
        if (byte == '"') {
            (void)take_string(cursor);
        } else if (byte == '{' || byte == '[') {
            depth++;
        } else if (byte == '}' || byte == ']') {
            depth--;
        }
    }
    raw.size = (uint64_t)(cursor->at - raw.data);
    while (raw.size > 0 && strchr(" \t\r\n", raw.data[raw.size - 1]) != NULL) {
        raw.size--;
    }
    return raw;
}

/* Finds `key` ("a", "a.b") in the object; a member whose name holds dots is found as well. */
static bool find(struct sluice_text object, const char *key, struct sluice_text *ret_value)
{
    struct cursor cursor = {object.data, object.data + object.size};

    if (!take(&cursor, '{')) {
        return false;
    }
    while (take(&cursor, '"')) {
        const struct sluice_text name = take_string(&cursor);
        struct sluice_text value;

        if (!take(&cursor, ':')) {
            return false;
        }
        value = take_value(&cursor);
        if (strncmp(key, name.data, name.size) == 0) {
            if (key[name.size] == '\0') {
                *ret_value = value;
                return true;
            }
            if (key[name.size] == '.' && find(value, key + name.size + 1, ret_value)) {
                return true;
            }
        }
        if (!take(&cursor, ',')) {
            return false;
        }
    }
    return false;
}

static uint32_t hex4(const char *at, const char *end)
{
    uint32_t value = 0;

    for (int i = 0; i < 4 && at + i < end; i++) {
        const char byte = at[i];
        const uint32_t digit = byte >= '0' && byte <= '9'   ? (uint32_t)(byte - '0')
                               : byte >= 'a' && byte <= 'f' ? (uint32_t)(byte - 'a') + 10
                               : byte >= 'A' && byte <= 'F' ? (uint32_t)(byte - 'A') + 10
                                                            : 0;

        value = value * 16 + digit;
    }
    return value;
}

static char *put_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
        *out++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *out++ = (char)(0xe0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    } else {
        *out++ = (char)(0xf0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 0x3f));
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    }
    return out;
}

/* Six characters of escape make at most three bytes, twelve of a pair four: the text never grows.
 */
static char *put_escape(char *out, struct cursor *cursor)
{
    static const char from[] = "bfnrt";
    static const char to[] = "\b\f\n\r\t";
    const char byte = *cursor->at++;
    const char *known = strchr(from, byte);
    uint32_t code;

    if (byte != 'u') {
        *out++ = known != NULL && byte != '\0' ? to[known - from] : byte;
        return out;
    }
    code = hex4(cursor->at, cursor->end);
    cursor->at += cursor->end - cursor->at < 4 ? cursor->end - cursor->at : 4;
    if (code >= 0xd800 && code < 0xdc00 && cursor->end - cursor->at >= 6 && cursor->at[0] == '\\' &&
        cursor->at[1] == 'u') {
        code = 0x10000 + ((code - 0xd800) << 10) +
               ((hex4(cursor->at + 2, cursor->end) - 0xdc00) & 0x3ff);
        cursor->at += 6;
    }
    return put_utf8(out, code);
}

static struct sluice_text unescape(struct config *config, struct sluice_text raw)
{
    struct cursor cursor = {raw.data, raw.data + raw.size};
    struct config_string *string;
    char *out;

    if (raw.size == 0 || memchr(raw.data, '\\', raw.size) == NULL) {
        return raw;
    }
    string = malloc(sizeof(*string) + raw.size);
    if (string == NULL) {
        return (struct sluice_text){NULL, 0};
    }
    string->next = config->strings;
    config->strings = string;
    out = string->text;
    while (cursor.at < cursor.end) {
        if (*cursor.at == '\\' && cursor.at + 1 < cursor.end) {
            cursor.at++;
            out = put_escape(out, &cursor);
        } else {
            *out++ = *cursor.at++;
        }
    }
    return (struct sluice_text){string->text, (uint64_t)(out - string->text)};
}

struct sluice_text config_get(struct config *config, const char *key, struct sluice_text fallback)
{
    struct sluice_text value;

    if (!find(config->json, key, &value) || value.size == 0 ||
        (value.size == 4 && memcmp(value.data, "null", 4) == 0)) {
        return fallback;
    }
    if (value.data[0] == '"' && value.size >= 2) {
        return unescape(config, (struct sluice_text){value.data + 1, value.size - 2});
    }
    return value;
}

void config_fini(struct config *config)
{
    while (config->strings != NULL) {
        struct config_string *next = config->strings->next;

        free(config->strings);
        config->strings = next;
    }
    free(config->owned);
    config->owned = NULL;
}
