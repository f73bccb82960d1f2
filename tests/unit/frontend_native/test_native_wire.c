/* test_native_wire.c: numbers, texts, frames, records, credit. */
#include "native_credit.h"
#include "native_wire.h"

#include <criterion/criterion.h>
#include <string.h>

static struct native_reader reading(const void *data, size_t size)
{
    struct native_reader reader;
    native_reader_init(&reader, data, size);
    return reader;
}

Test(wire, numbers_are_little_endian)
{
    static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    struct native_reader reader = reading(bytes, sizeof(bytes));
    cr_expect_eq(native_read_u8(&reader), 1);
    cr_expect_eq(native_read_u16(&reader), 0x0302);
    cr_expect_eq(native_read_u32(&reader), 0x07060504);
    cr_expect_eq(native_read_u64(&reader), 0x0F0E0D0C0B0A0908);
    cr_expect_not(reader.failed);
    cr_expect_eq(native_read_u8(&reader), 0);
    cr_expect(reader.failed);
}

Test(wire, what_follows_a_failure_is_zero)
{
    static const uint8_t bytes[] = {9, 0, 'a', 'b', 'c'};
    struct native_reader reader = reading(bytes, sizeof(bytes));
    cr_expect_eq(native_read_text(&reader).size, 0);
    cr_expect(reader.failed);
    cr_expect_eq(native_read_u8(&reader), 0);
    cr_expect_null(native_read_blob(&reader).data);
}

Test(wire, a_text_is_utf_8_without_nul)
{
    static const struct {
        const char *text;
        size_t size;
        bool ok;
    } cases[] = {
        {"plain", 5, true},         {"\xC3\xA4", 2, true},
        {"\xE2\x82\xAC", 3, true},  {"\xF0\x9F\x98\x80", 4, true},
        {"a\0b", 3, false},         {"\xC0\x80", 2, false},
        {"\xED\xA0\x80", 3, false}, {"\xF4\x90\x80\x80", 4, false},
        {"\xE2\x82", 2, false},     {"\x80", 1, false},
        {"\xFF", 1, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t bytes[16] = {(uint8_t)cases[i].size, 0};
        memcpy(bytes + 2, cases[i].text, cases[i].size);
        struct native_reader reader = reading(bytes, 2 + cases[i].size);
        (void)native_read_text(&reader);
        cr_expect_eq(!reader.failed, cases[i].ok, "case %zu", i);
    }
}

Test(wire, a_null_blob_is_not_an_empty_one)
{
    static const uint8_t bytes[] = {0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0};
    struct native_reader reader = reading(bytes, sizeof(bytes));
    cr_expect_null(native_read_blob(&reader).data);
    struct sluice_bytes empty = native_read_blob(&reader);
    cr_expect(empty.data != NULL && empty.size == 0 && !reader.failed);
}

Test(wire, a_frame_says_its_size)
{
    static const uint8_t small[] = {7, 0, 0, 0};
    static const uint8_t bytes[] = {10, 0, 0, 0, 5, 0, 1, 0, 9, 0, 0, 0, 'h', 'i'};
    struct native_frame frame;
    cr_expect_eq(native_frame_size(bytes, 3), 0);
    cr_expect_eq(native_frame_size(small, 4), 1);
    cr_expect_eq(native_frame_size(bytes, sizeof(bytes)), 14);
    native_frame_read(bytes, &frame);
    cr_expect(frame.kind == NATIVE_PING && frame.flags == 1 && frame.id == 9 &&
              frame.body_size == 2 && frame.body[0] == 'h');
}

static size_t write_record(struct native_writer *writer)
{
    static const struct sluice_header headers[] = {{{"a", 1}, {(const uint8_t *)"x", 1}},
                                                   {{"b", 1}, {NULL, 0}}};
    const struct sluice_record record = {.header_count = 2,
                                         .offset = 5,
                                         .timestamp = 77,
                                         .key = {(const uint8_t *)"key", 3},
                                         .headers = headers};
    native_writer_init(writer, 1000);
    native_record_write(writer, &record, 3);
    cr_assert_not(writer->failed);
    cr_expect_eq(writer->size, native_record_size(&record));
    return writer->size;
}

Test(wire, a_record_is_read_as_it_was_written)
{
    struct native_writer writer;
    struct sluice_record record;
    struct sluice_header headers[2];
    size_t size = write_record(&writer);
    struct native_reader reader = reading(writer.data, size);
    cr_expect_eq(native_records_headers(reader, 1), 2);
    cr_assert_eq(native_records_read(&reader, &record, 1, headers, 2), SLUICE_OK);
    cr_expect(record.offset == 5 && record.timestamp == 77 && record.key.size == 3);
    cr_expect(record.value.data == NULL && headers[1].value.data == NULL);
    cr_expect_eq(headers[0].value.data[0], 'x');
    native_writer_fini(&writer);
}

Test(wire, a_record_that_ends_early_is_refused_wherever_it_ends)
{
    struct native_writer writer;
    struct sluice_record record;
    struct sluice_header headers[2];
    size_t size = write_record(&writer);
    for (size_t cut = 0; cut < size; cut++) {
        struct native_reader reader = reading(writer.data, cut);
        cr_expect_neq(native_records_read(&reader, &record, 1, headers, 2), SLUICE_OK);
    }
    native_writer_fini(&writer);
}

Test(wire, more_headers_than_there_is_room_for_are_refused)
{
    struct native_writer writer;
    struct sluice_record record;
    struct sluice_header headers[1];
    size_t size = write_record(&writer);
    struct native_reader reader = reading(writer.data, size);
    cr_expect_eq(native_records_read(&reader, &record, 1, headers, 1), SLUICE_E_LIMIT);
    native_writer_fini(&writer);
}

Test(wire, a_writer_keeps_to_its_bound)
{
    struct native_writer writer;
    native_writer_init(&writer, 8);
    native_write_u64(&writer, 1);
    cr_expect_not(writer.failed);
    native_write_u8(&writer, 1);
    cr_expect(writer.failed && writer.size == 8);
    native_writer_reset(&writer, 0);
    cr_expect(!writer.failed && writer.capacity == 0);
    native_writer_fini(&writer);
}

Test(credit, is_taken_by_record_and_by_byte)
{
    struct native_credit credit = {2, 100};
    cr_expect(native_credit_take(&credit, 60));
    cr_expect_not(native_credit_take(&credit, 41));
    cr_expect(native_credit_take(&credit, 40));
    cr_expect(credit.records == 0 && credit.bytes == 0 && native_credit_is_out(&credit));
    cr_expect_not(native_credit_take(&credit, 0));
}

Test(credit, stops_at_its_bound)
{
    struct native_credit credit = {0, 0};
    native_credit_add(&credit, UINT64_MAX, NATIVE_CREDIT_MAX - 1);
    cr_expect(credit.records == NATIVE_CREDIT_MAX && credit.bytes == NATIVE_CREDIT_MAX - 1);
    native_credit_add(&credit, 1, 2);
    cr_expect(credit.records == NATIVE_CREDIT_MAX && credit.bytes == NATIVE_CREDIT_MAX);
}
