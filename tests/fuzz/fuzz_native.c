/* fuzz_native.c: any bytes as frames of the native protocol, as records, patterns and filters.
 *
 * Nothing is read beyond the end, and what was read as records and is written again is read as the
 * same. */
#include "native_filter.h"
#include "native_pattern.h"
#include "native_wire.h"

#include <stdlib.h>
#include <string.h>

#define RECORDS_MAX 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static bool is_same(struct sluice_bytes a, struct sluice_bytes b)
{
    return (a.data == NULL) == (b.data == NULL) && a.size == b.size &&
           (a.size == 0 || memcmp(a.data, b.data, (size_t)a.size) == 0);
}

/* Headers of the records that a writer wrote are read as they were. */
static void write_again(const struct sluice_record *records, uint32_t count, uint32_t header_count)
{
    struct native_writer writer;
    struct native_reader reader;
    struct sluice_record again[RECORDS_MAX];
    struct sluice_header *headers = calloc(header_count + 1, sizeof(*headers));
    native_writer_init(&writer, 64u << 20);
    for (uint32_t i = 0; i < count; i++) {
        size_t before = writer.size;
        native_record_write(&writer, &records[i], 7);
        must(!writer.failed && writer.size - before == native_record_size(&records[i]));
    }
    native_reader_init(&reader, writer.data, writer.size);
    must(native_records_headers(reader, count) >= header_count);
    must(native_records_read(&reader, again, count, headers, header_count) == SLUICE_OK);
    must(reader.at == reader.end);
    for (uint32_t i = 0; i < count; i++) {
        must(is_same(records[i].key, again[i].key) && is_same(records[i].value, again[i].value));
        must(records[i].header_count == again[i].header_count);
    }
    native_writer_fini(&writer);
    free(headers);
}

static void records(const uint8_t *data, size_t size)
{
    struct native_reader reader;
    struct sluice_record found[RECORDS_MAX];
    native_reader_init(&reader, data, size);
    uint32_t count = native_read_u32(&reader) % RECORDS_MAX;
    uint32_t header_count = native_records_headers(reader, count);
    struct sluice_header *headers = calloc(header_count + 1, sizeof(*headers));
    must(header_count <= size);
    if (native_records_read(&reader, found, count, headers, header_count) == SLUICE_OK) {
        uint32_t used = 0;
        for (uint32_t i = 0; i < count; i++) {
            used += found[i].header_count;
            (void)native_record_expires(&found[i]);
        }
        write_again(found, count, used);
    }
    free(headers);
}

static void frames(const uint8_t *data, size_t size)
{
    while (size > 0) {
        uint64_t frame_size = native_frame_size(data, size);
        struct native_frame frame;
        if (frame_size < NATIVE_HEAD_BYTES || frame_size > size) {
            return;
        }
        native_frame_read(data, &frame);
        must(frame.size == frame_size && frame.body_size == frame_size - NATIVE_HEAD_BYTES);
        records(frame.body, frame.body_size);
        data += frame_size;
        size -= (size_t)frame_size;
    }
}

/* The text before the first NUL, and the one behind it. */
static void patterns(const uint8_t *data, size_t size)
{
    const uint8_t *end = memchr(data, 0, size);
    size_t first = end == NULL ? size : (size_t)(end - data);
    struct sluice_text one = {(const char *)data, first};
    struct sluice_text other = {(const char *)data + first, size - first};
    struct native_pattern pattern;
    struct native_filter filter;
    const struct sluice_header header = {one, {data, size}};
    const struct sluice_record record = {.header_count = 1, .headers = &header};
    if (native_pattern_init(&pattern, one) == SLUICE_OK) {
        must(!pattern.is_literal || native_pattern_matches(&pattern, one));
        (void)native_pattern_matches(&pattern, other);
        native_pattern_fini(&pattern);
    }
    if (native_filter_init(&filter, one) == SLUICE_OK) {
        (void)native_filter_passes(&filter, &record);
        native_filter_fini(&filter);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size + (size == 0)); /* so that a step too far is seen */
    if (size > 0) {
        memcpy(exact, data, size);
    }
    frames(exact, size);
    records(exact, size);
    patterns(exact, size);
    free(exact);
    return 0;
}
