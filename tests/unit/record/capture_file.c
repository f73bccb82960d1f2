/* capture_file.c: reads one flat JSON object a line, written by a known tool: no general parser. */
#include "capture_file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static const char *field(const char *line, const char *name)
{
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\": ", name);
    const char *at = strstr(line, quoted);
    cr_assert_not_null(at, "no field %s", name);
    return at + strlen(quoted);
}

static int64_t number(const char *line, const char *name)
{
    return strtoll(field(line, name), NULL, 10);
}

static void text(const char *line, const char *name, char *to, size_t size)
{
    const char *at = field(line, name) + 1;
    snprintf(to, size, "%.*s", (int)strcspn(at, "\""), at);
}

static uint8_t *from_hex(const char *hex, size_t *ret_size)
{
    size_t size = strcspn(hex, "\"") / 2;
    uint8_t *bytes = malloc(size);
    cr_assert_not_null(bytes);
    for (size_t i = 0; i < size; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], 0};
        bytes[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    *ret_size = size;
    return bytes;
}

static void parse(const char *line, struct capture *capture)
{
    text(line, "source", capture->source, sizeof capture->source);
    text(line, "codec", capture->codec, sizeof capture->codec);
    capture->record_count = number(line, "record_count");
    capture->last_offset_delta = number(line, "last_offset_delta");
    capture->base_timestamp = number(line, "base_timestamp");
    capture->max_timestamp = number(line, "max_timestamp");
    capture->producer_id = number(line, "producer_id");
    capture->producer_epoch = number(line, "producer_epoch");
    capture->base_sequence = number(line, "base_sequence");
    capture->crc = (uint32_t)strtoul(field(line, "crc32c") + 1, NULL, 16);
    capture->transactional = *field(line, "transactional") == 't';
    capture->batch = from_hex(field(line, "batch_hex") + 1, &capture->size);
}

void capture_file_open(struct capture_file *file)
{
    FILE *stream = fopen(SLUICE_SOURCE_DIR "/tests/data/record/record_batches.jsonl", "r");
    cr_assert_not_null(stream);
    char *line = NULL;
    size_t room = 0;
    int count = 0;
    for (; getline(&line, &room, stream) > 0; count++) {
        cr_assert_lt(count, CAPTURE_COUNT);
        parse(line, &file->captures[count]);
    }
    cr_assert_eq(count, CAPTURE_COUNT);
    free(line);
    fclose(stream);
}

void capture_file_close(struct capture_file *file)
{
    for (int i = 0; i < CAPTURE_COUNT; i++)
        free(file->captures[i].batch);
}
