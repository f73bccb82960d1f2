/* frame_file.c: see frame_file.h. The lines come from one tool in one form, so keys are found by
 * text. */
#include "frame_file.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

void frame_file_open(struct frame_file *file, const char *path)
{
    file->file = fopen(path, "r");
    file->line = 0;
    cr_assert_not_null(file->file, "%s is missing", path);
}

void frame_file_close(struct frame_file *file)
{
    fclose(file->file);
}

/* What follows `"key": `, or NULL. */
static const char *value_of(const struct frame_file *file, const char *key)
{
    char wanted[64];
    const char *at;

    snprintf(wanted, sizeof wanted, "\"%s\": ", key);
    at = strstr(file->text, wanted);
    return at ? at + strlen(wanted) : NULL;
}

static long number_of(const struct frame_file *file, const char *key)
{
    const char *value = value_of(file, key);

    return value ? strtol(value, NULL, 10) : 0;
}

static unsigned nibble(char digit)
{
    return (unsigned)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

static size_t unhex(const char *text, uint8_t *data)
{
    size_t size = 0;

    for (; text[0] != '"'; text += 2) {
        cr_assert_lt(size, (size_t)FRAME_SIZE_MAX);
        data[size++] = (uint8_t)(nibble(text[0]) << 4 | nibble(text[1]));
    }
    return size;
}

bool frame_file_next(struct frame_file *file, struct frame *ret_frame)
{
    const char *hex;
    const char *direction;

    if (!fgets(file->text, sizeof file->text, file->file)) {
        return false;
    }
    file->line++;
    hex = value_of(file, "hex");
    direction = value_of(file, "dir");
    cr_assert(hex && hex[0] == '"' && direction, "line %u", file->line);
    ret_frame->response = strncmp(direction, "\"response\"", 10) == 0;
    ret_frame->api_key = (int16_t)number_of(file, "api_key");
    ret_frame->version = (int16_t)number_of(file, "version");
    ret_frame->trailing_size = (size_t)number_of(file, "trailing_bytes");
    ret_frame->size = unhex(hex + 1, ret_frame->data);
    cr_assert_eq(ret_frame->size, (size_t)number_of(file, "len"), "line %u", file->line);
    return true;
}
