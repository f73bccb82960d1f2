/* test_base_bytes.c: buffer, checksum, varints, hashes, uuid text: known answers and bounds. */
#include "base/ahead.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/hash.h"
#include "base/varint.h"

#include <criterion/criterion.h>
#include <stdlib.h>

Test(buffer, never_exceeds_the_bound_it_was_born_with)
{
    struct sl_buffer buffer;
    sl_buffer_init(&buffer, 1000);
    for (int i = 0; i < 10; i++)
        cr_expect_eq(sl_buffer_append(&buffer, (uint8_t[100]){0}, 100), SLUICE_OK);
    cr_expect_eq(sl_buffer_append(&buffer, "x", 1), SLUICE_E_LIMIT);
    cr_expect_eq(sl_buffer_reserve(&buffer, SIZE_MAX), SLUICE_E_LIMIT);
    cr_expect_eq(buffer.size, 1000);
    cr_expect_leq(buffer.capacity, 1000);
    sl_buffer_fini(&buffer);
}

Test(buffer, keeps_its_memory_over_a_reset_up_to_what_may_be_kept)
{
    struct sl_buffer buffer;
    sl_buffer_init(&buffer, 1 << 20);
    cr_assert_eq(sl_buffer_reserve(&buffer, 5000), SLUICE_OK);
    size_t capacity = buffer.capacity;
    sl_buffer_reset(&buffer);
    cr_expect_eq(buffer.capacity, capacity);
    sl_buffer_reset_above(&buffer, 1000);
    cr_expect_eq(buffer.capacity, 0);
    cr_expect_eq(sl_buffer_append(&buffer, NULL, 0), SLUICE_OK);
    sl_buffer_fini(&buffer);
}

/* RFC 3720 appendix B.4, and the check value of the polynomial. */
Test(crc32c, gives_the_published_values)
{
    uint8_t bytes[32] = {0};
    cr_expect_eq(sl_crc32c(NULL, 0), 0);
    cr_expect_eq(sl_crc32c("123456789", 9), 0xe3069283u);
    cr_expect_eq(sl_crc32c(bytes, 32), 0x8a9136aau);
    memset(bytes, 0xff, sizeof bytes);
    cr_expect_eq(sl_crc32c(bytes, 32), 0x62a8ab43u);
    for (uint8_t i = 0; i < 32; i++)
        bytes[i] = i;
    cr_expect_eq(sl_crc32c(bytes, 32), 0x46dd794eu);
}

static uint32_t crc_by_the_bit(const uint8_t *data, size_t size)
{
    uint32_t state = ~0u;
    for (size_t i = 0; i < size; i++) {
        state ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            state = state >> 1 ^ (state & 1 ? 0x82f63b78u : 0);
    }
    return ~state;
}

Test(crc32c, is_the_same_by_the_bit_for_every_size_and_any_split)
{
    uint8_t data[700];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 131 ^ i >> 3);
    for (size_t size = 0; size <= sizeof data; size++) {
        uint32_t expected = crc_by_the_bit(data, size);
        cr_assert_eq(sl_crc32c(data, size), expected, "%zu bytes", size);
        uint32_t first = sl_crc32c(data, size / 3);
        cr_assert_eq(sl_crc32c_extend(first, data + size / 3, size - size / 3), expected);
    }
}

static void expect_varlong(int64_t value)
{
    uint8_t bytes[SL_VARINT64_SIZE_MAX];
    int64_t read = 0;
    size_t size = (size_t)(sl_varlong_write(bytes, value) - bytes);
    cr_assert_eq(size, sl_varlong_size(value));
    cr_assert_eq(sl_varlong_read(bytes, bytes + size, &read), bytes + size);
    cr_assert_eq(read, value);
    for (size_t cut = 0; cut < size; cut++)
        cr_assert_null(sl_varlong_read(bytes, bytes + cut, &read));
}

static void expect_varint(int32_t value)
{
    uint8_t bytes[SL_VARINT32_SIZE_MAX];
    int32_t read = 0;
    size_t size = (size_t)(sl_varint_write(bytes, value) - bytes);
    cr_assert_eq(size, sl_varint_size(value));
    cr_assert_eq(sl_varint_read(bytes, bytes + size, &read), bytes + size);
    cr_assert_eq(read, value);
    for (size_t cut = 0; cut < size; cut++)
        cr_assert_null(sl_varint_read(bytes, bytes + cut, &read));
}

Test(varint, reads_back_what_it_wrote_at_every_power_of_two)
{
    for (int bit = 0; bit < 64; bit++) {
        for (int64_t around = -2; around <= 2; around++) {
            int64_t value = (int64_t)((UINT64_C(1) << bit) + (uint64_t)around);
            expect_varlong(value);
            expect_varlong((int64_t) - (uint64_t)value);
            expect_varint((int32_t)value);
            expect_varint((int32_t) - (uint32_t)value);
        }
    }
}

Test(varint, writes_the_bytes_that_protobuf_documents)
{
    uint8_t bytes[10];
    cr_expect_eq(sl_varint_write(bytes, -1) - bytes, 1);
    cr_expect_eq(bytes[0], 1);
    cr_expect_eq(sl_varint_write(bytes, 150) - bytes, 2);
    cr_expect(bytes[0] == 0xac && bytes[1] == 0x02);
}

Test(varint, refuses_values_wider_than_their_type)
{
    static const uint8_t wide32[] = {0xff, 0xff, 0xff, 0xff, 0x1f};
    static const uint8_t long32[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x00};
    static const uint8_t wide64[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
    uint32_t small = 7;
    uint64_t large = 7;
    cr_expect_null(sl_varint_read_u32(wide32, wide32 + sizeof wide32, &small));
    cr_expect_null(sl_varint_read_u32(long32, long32 + sizeof long32, &small));
    cr_expect_null(sl_varint_read_u64(wide64, wide64 + sizeof wide64, &large));
    cr_expect(small == 7 && large == 7);
}

/* From the tests of Kafka's Java client (UtilsTest.testMurmur2). */
Test(hash, murmur2_is_the_one_of_kafkas_clients)
{
    static const struct {
        const char *text;
        int32_t hash;
    } known[] = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
        {"abc", 479470107},
    };
    for (size_t i = 0; i < SL_COUNT_OF(known); i++)
        cr_expect_eq(sl_murmur2(known[i].text, strlen(known[i].text)), known[i].hash);
    cr_expect_eq(sl_hash_to_positive(-1), INT32_MAX);
    cr_expect_eq(sl_hash_to_positive(INT32_MIN), 0);
}

Test(uuid, is_written_as_kafka_writes_it)
{
    char text[23];
    struct sl_uuid uuid = {0};
    cr_expect(sl_uuid_is_zero(&uuid));
    sl_uuid_text(&uuid, text);
    cr_expect_str_eq(text, "AAAAAAAAAAAAAAAAAAAAAA");
    memset(uuid.b, 0xff, sizeof uuid.b);
    sl_uuid_text(&uuid, text);
    cr_expect_str_eq(text, "_____________________w");
}

Test(memory, refuses_a_product_that_overflows)
{
    cr_expect_null(sl_alloc_zero(SIZE_MAX / 2, 4));
    char *copy = sl_strdup_bytes("abc", 3);
    cr_assert_str_eq(copy, "abc");
    sl_free(copy);
}

Test(ahead, memory_that_is_not_there_is_nothing_to_fetch)
{
    sl_fetch_ahead(NULL, 1000); /* a sanitizer would complain */
    sl_fetch_ahead(&(int){1}, 100000);
}
