/* cli_record_text.c: see cli_record_text.h. One table of fields writes, checks and explains. */
#include "cli/cli_record_text.h"

#include "control/base64.h"

#include <stdlib.h>
#include <string.h>

#define WORD_BYTES 256 /* between braces */

struct field_use {
    FILE *out;
    const char *topic;
    int32_t partition;
    const cJSON *record;
    const char *name;        /* of a header; NULL: all */
    const char *modifier;    /* "", "hex", "base64", "iso" */
    const struct field *row; /* the one being written */
};

typedef void field_fn(const struct field_use *use);

struct field {
    char letter;
    const char *type, *doc, *modifiers; /* "|hex|base64|": those that it takes */
    field_fn *write;
    const char *member; /* of the record */
};

/* ---- bytes ---- */

/* Of "key" or "key_base64"; NULL: null. To be freed. */
static uint8_t *bytes_take(const cJSON *object, const char *member, size_t *ret_size)
{
    char name[32];
    snprintf(name, sizeof(name), "%s_base64", member);
    const char *plain = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, member));
    const char *coded = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    const char *text = coded != NULL ? coded : plain;
    uint8_t *bytes = text == NULL ? NULL : malloc(strlen(text) + 1);
    *ret_size = bytes == NULL ? 0 : strlen(text);
    if (bytes != NULL && coded == NULL) {
        memcpy(bytes, text, *ret_size);
    } else if (bytes != NULL && base64_decode(coded, strlen(coded), bytes, ret_size) != SLUICE_OK) {
        *ret_size = 0;
    }
    return bytes;
}

static void bytes_write(const struct field_use *use, const cJSON *object, const char *member)
{
    size_t size = 0;
    uint8_t *bytes = bytes_take(object, member, &size);
    if (strcmp(use->modifier, "hex") == 0) {
        for (size_t i = 0; i < size; i++) {
            fprintf(use->out, "%02x", bytes[i]);
        }
    } else if (strcmp(use->modifier, "base64") == 0 && size > 0) {
        char *coded = malloc(base64_size(size) + 1);
        if (coded != NULL) {
            base64_encode((struct sl_bytes){bytes, size}, coded);
            fputs(coded, use->out);
        }
        free(coded);
    } else {
        fwrite(bytes != NULL ? bytes : (const uint8_t *)"", 1, size, use->out);
    }
    free(bytes);
}

/* ---- fields ---- */

static void topic_write(const struct field_use *use)
{
    fputs(use->topic, use->out);
}

static void partition_write(const struct field_use *use)
{
    fprintf(use->out, "%d", use->partition);
}

static void member_write(const struct field_use *use)
{
    char text[1024];
    fputs(cli_member_text(use->record, use->row->member, text), use->out);
}

static void time_write(const struct field_use *use)
{
    char text[1024], iso[CLI_TIME_BYTES];
    cli_member_text(use->record, "timestamp", text);
    if (strcmp(use->modifier, "iso") != 0) {
        fputs(text, use->out);
        return;
    }
    int64_t wall_ms = strtoll(text, NULL, 10);
    cli_time_text(wall_ms, iso);
    size_t size = strlen(iso);
    if (size > 0) { /* with its milliseconds, in place of the Z */
        fprintf(use->out, "%.*s.%03dZ", (int)size - 1, iso, (int)(wall_ms % 1000));
    }
}

static void payload_write(const struct field_use *use)
{
    bytes_write(use, use->record, use->row->member);
}

/* As kcat: -1 for null. */
static void size_write(const struct field_use *use)
{
    size_t size = 0;
    uint8_t *bytes = bytes_take(use->record, use->row->member, &size);
    fprintf(use->out, "%lld", bytes == NULL ? -1LL : (long long)size);
    free(bytes);
}

static void headers_write(const struct field_use *use)
{
    const cJSON *header;
    const char *comma = "";
    cJSON_ArrayForEach(header, cJSON_GetObjectItemCaseSensitive(use->record, "headers"))
    {
        const char *key = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(header, "key"));
        if (use->name != NULL) { /* the last one of that name */
            continue;
        }
        fputs(comma, use->out);
        fputs(key != NULL ? key : "", use->out);
        fputc('=', use->out);
        bytes_write(use, header, "value");
        comma = ",";
    }
    const cJSON *found = NULL;
    cJSON_ArrayForEach(header, cJSON_GetObjectItemCaseSensitive(use->record, "headers"))
    {
        const char *key = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(header, "key"));
        if (use->name != NULL && key != NULL && strcmp(key, use->name) == 0) {
            found = header;
        }
    }
    if (found != NULL) {
        bytes_write(use, found, "value");
    }
}

static void header_count_write(const struct field_use *use)
{
    fprintf(use->out, "%d",
            cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(use->record, "headers")));
}

#define OF_BYTES "|hex|base64|"

/* clang-format off */
static const struct field fields[] = {
    {'t', "text",    "topic", "", topic_write, ""},
    {'p', "number",  "partition", "", partition_write, ""},
    {'o', "number",  "offset", "", member_write, "offset"},
    {'T', "number",  "time in ms since 1970; %T{iso}: 2026-11-21T11:12:31.007Z", "|iso|", time_write, ""},
    {'k', "bytes",   "key; %k{hex}, %k{base64}", OF_BYTES, payload_write, "key"},
    {'v', "bytes",   "value; %v{hex}, %v{base64}", OF_BYTES, payload_write, "value"},
    {'s', "bytes",   "value, as kcat has it", OF_BYTES, payload_write, "value"},
    {'K', "number",  "size of the key in bytes; -1: null", "", size_write, "key"},
    {'V', "number",  "size of the value in bytes; -1: null", "", size_write, "value"},
    {'S', "number",  "size of the value, as kcat has it", "", size_write, "value"},
    {'h', "bytes",   "headers as NAME=VALUE,...; %h{NAME}: the value of that one; then {hex} or {base64}", OF_BYTES, headers_write, ""},
    {'H', "number",  "how many headers", "", header_count_write, ""},
};
/* clang-format on */

static const struct field *field_find(char letter)
{
    for (size_t i = 0; i < SL_COUNT_OF(fields); i++) {
        if (fields[i].letter == letter) {
            return &fields[i];
        }
    }
    return NULL;
}

static bool is_modifier(const struct field *field, const char *word)
{
    char wanted[WORD_BYTES + 2];
    snprintf(wanted, sizeof(wanted), "|%s|", word);
    return strstr(field->modifiers, wanted) != NULL;
}

/* "{WORD}" at `at`; behind it, or `at` where there is none. */
static const char *word_take(const char *at, char ret_word[WORD_BYTES])
{
    const char *end = *at == '{' ? strchr(at, '}') : NULL;
    ret_word[0] = '\0';
    if (end == NULL || end - at > WORD_BYTES) {
        return at;
    }
    snprintf(ret_word, WORD_BYTES, "%.*s", (int)(end - at - 1), at + 1);
    return end + 1;
}

/* Behind the field's letter and its words. False: a word that it does not take. */
static bool words_take(const struct field *field, const char **at, char name[WORD_BYTES],
                       char modifier[WORD_BYTES])
{
    modifier[0] = name[0] = '\0';
    const char *next = word_take(*at, modifier);
    if (next != *at && field->letter == 'h' && !is_modifier(field, modifier)) {
        memcpy(name, modifier, WORD_BYTES);
        *at = next;
        next = word_take(*at, modifier);
    }
    bool ok = modifier[0] == '\0' || is_modifier(field, modifier);
    *at = next;
    return ok;
}

/* ---- the format ---- */

static const char *escape_write(const char *at, FILE *out)
{
    static const char from[] = "ntr0\\", to[] = "\n\t\r\0\\";
    const char *known = strchr(from, *at);
    if (*at == 'x' && strspn(at + 1, "0123456789abcdefABCDEF") >= 2) {
        char digits[3] = {at[1], at[2], '\0'};
        fputc((int)strtol(digits, NULL, 16), out);
        return at + 3;
    }
    fputc(known != NULL ? to[known - from] : *at, out);
    return at + 1;
}

void cli_record_format_to(FILE *out, const char *format, const char *topic, int32_t partition,
                          const cJSON *record)
{
    char name[WORD_BYTES], modifier[WORD_BYTES];
    for (const char *at = format; *at != '\0';) {
        const struct field *field = *at == '%' ? field_find(at[1]) : NULL;
        if (*at == '\\' && at[1] != '\0') {
            at = escape_write(at + 1, out);
        } else if (field != NULL) {
            at += 2;
            bool ok = words_take(field, &at, name, modifier);
            struct field_use use = {.out = out,
                                    .topic = topic,
                                    .partition = partition,
                                    .record = record,
                                    .name = name[0] != '\0' ? name : NULL,
                                    .modifier = ok ? modifier : "",
                                    .row = field};
            field->write(&use);
        } else {
            at += *at == '%' && at[1] != '\0'; /* "%%" */
            fputc(*at++, out);
        }
    }
}

void cli_record_format(const char *format, const char *topic, int32_t partition,
                       const cJSON *record)
{
    cli_record_format_to(stdout, format, topic, partition, record);
}

bool cli_record_format_check(const char *format)
{
    char name[WORD_BYTES], modifier[WORD_BYTES];
    for (const char *at = format; *at != '\0';) {
        const struct field *field = *at == '%' ? field_find(at[1]) : NULL;
        if (*at == '%' && at[1] != '%' && field == NULL) {
            cli_complain("--format has no field \"%%%.1s\"; \"--format help\" lists all", at + 1);
            return false;
        }
        at += (*at == '%' || *at == '\\') && at[1] != '\0' ? 2 : 1;
        if (field != NULL && !words_take(field, &at, name, modifier)) {
            cli_complain("--format: %%%c takes no {%.40s}; \"--format help\" lists all",
                         field->letter, modifier);
            return false;
        }
    }
    return true;
}

void cli_record_format_help(FILE *out)
{
    fputs("field  type    what it is\n", out);
    for (size_t i = 0; i < SL_COUNT_OF(fields); i++) {
        fprintf(out, "%%%c     %-7s %s\n", fields[i].letter, fields[i].type, fields[i].doc);
    }
    fputs("%%     text    a percent sign\n\\n \\t \\r \\0 \\\\ \\xHH  bytes\n", out);
}
