/* test_message_set.c: message sets of magic 0 and 1, from batches and back. */
#include "record/batch_validate.h"
#include "record/message_set.h"
#include "record_fixture.h"

#include <criterion/criterion.h>
#include <lz4frame.h>
#include <stdio.h>

enum { RECORDS = 50, EXPANDED_MAX = 4 << 20, EVERYTHING = 1 << 30 };

static struct message_set_memory memory;
static struct sl_buffer batches, set, back, scratch;

static void setup(void)
{
    cr_assert_eq(message_set_memory_init(&memory, EXPANDED_MAX), SLUICE_OK);
    sl_buffer_init(&batches, FIXTURE_BYTES_MAX);
    sl_buffer_init(&set, FIXTURE_BYTES_MAX);
    sl_buffer_init(&back, FIXTURE_BYTES_MAX);
    sl_buffer_init(&scratch, FIXTURE_BYTES_MAX);
}

static void teardown(void)
{
    message_set_memory_fini(&memory);
    sl_buffer_fini(&batches);
    sl_buffer_fini(&set);
    sl_buffer_fini(&back);
    sl_buffer_fini(&scratch);
}

TestSuite(message_set, .init = setup, .fini = teardown);

static sl_err down(int magic, int64_t offset, size_t bytes_max, int64_t *ret_next)
{
    struct message_set_want want = {magic, offset, bytes_max};
    sl_buffer_reset(&set);
    return message_set_from_batches(sl_buffer_bytes(&batches), &want, &memory, &set, ret_next);
}

static sl_err up(struct sl_bytes bytes)
{
    sl_buffer_reset(&back);
    return message_set_to_batch(bytes, &memory, &back);
}

static struct batch_view view_of(const struct sl_buffer *buffer)
{
    struct batch_view view;
    cr_assert_eq(batch_view_init(&view, sl_buffer_bytes(buffer)), SLUICE_OK);
    return view;
}

/* What both batches have alike: keys, values and, but for magic 0, times. */
static void expect_same(const struct batch_view *a, const struct batch_view *b, int magic)
{
    struct record_iterator one, other;
    struct record_view left, right;
    struct sl_bytes left_bytes, right_bytes;
    cr_assert_eq(batch_view_record_count(a), batch_view_record_count(b));
    cr_assert_eq(batch_decompress(a, memory.codecs, EXPANDED_MAX, &scratch, &left_bytes),
                 SLUICE_OK);
    cr_assert_eq(batch_decompress(b, memory.codecs, EXPANDED_MAX, &memory.opened, &right_bytes),
                 SLUICE_OK);
    record_iterator_init(&one, left_bytes, batch_view_record_count(a));
    record_iterator_init(&other, right_bytes, batch_view_record_count(b));
    while (record_iterator_next(&one, &left)) {
        cr_assert(record_iterator_next(&other, &right));
        cr_assert(sl_bytes_equal(left.key, right.key) && left.key_is_null == right.key_is_null);
        cr_assert(sl_bytes_equal(left.value, right.value));
        cr_assert_eq(left.value_is_null, right.value_is_null);
        cr_assert_eq(record_timestamp(b, &right), magic == 0 ? -1 : record_timestamp(a, &left));
    }
}

Test(message_set, goes_down_and_up_again_in_every_magic_and_codec)
{
    for (int magic = 0; magic <= MESSAGE_MAGIC_MAX; magic++) {
        for (int codec = 0; codec <= BATCH_CODEC_LZ4; codec++) {
            int64_t next;
            sl_buffer_reset(&batches);
            struct batch_view batch = fixture_batch(&batches, RECORDS, 1000, codec);
            batch_patch_base_offset(batches.data, 700);
            cr_assert_eq(down(magic, 0, EVERYTHING, &next), SLUICE_OK);
            cr_assert_eq(next, 700 + RECORDS);
            cr_assert_eq(set.data[MESSAGE_MAGIC_AT], magic);
            cr_assert_eq(set.data[MESSAGE_ATTRIBUTES_AT], codec);
            int64_t first = (int64_t)sl_be64_load(set.data);
            cr_assert_eq(first, codec == 0 ? 700 : 700 + RECORDS - 1, "a wrapper has the last");
            cr_assert_eq(up(sl_buffer_bytes(&set)), SLUICE_OK, "magic %d codec %d", magic, codec);
            struct batch_view view = view_of(&back);
            struct batch_limits limits;
            struct batch_verdict verdict;
            batch_limits_init(&limits);
            limits.validate_records = true;
            limits.timestamp_after_ms = BATCH_TIMESTAMP_UNLIMITED;
            cr_assert_eq(
                batch_validate(sl_buffer_bytes(&back), &limits, memory.codecs, &scratch, &verdict),
                SLUICE_OK);
            cr_assert_eq(batch_view_codec(&view), codec);
            expect_same(&batch, &view, magic);
        }
    }
}

static size_t from_hex(const char *hex, uint8_t *bytes)
{
    size_t size = strlen(hex) / 2;
    for (size_t i = 0; i < size; i++) {
        unsigned byte;
        sscanf(hex + 2 * i, "%2x", &byte);
        bytes[i] = (uint8_t)byte;
    }
    return size;
}

/* Made by kafka-python 2.0.2: (key, value), (null, "v2"), ("k3", null) at 1000, 1001, 999. */
static const char *const foreign[] = {
    "0000000000000000000000162356c1370000000000036b65790000000576616c7565000000000000000100000010d5"
    "960a780000ffffffff000000027632000000000000000200000010b643ca6a0000000000026b33ffffffff",
    "000000000000000000000059563d81790001ffffffff0000004b1f8b0800e268026b02ff6360800331e5b083e66016"
    "73766a2590622d4bcc294d85ca3202b1c0d5695c150c0cff8100c8632a3382ca3181e4b6399fca82f0b28d412a0096"
    "3001ce5a000000",
    "00000000000000000000001ec94318c5010000000000000003e8000000036b65790000000576616c75650000000000"
    "00000100000018ef17230e010000000000000003e9ffffffff000000027632000000000000000200000018deb4c81a"
    "010000000000000003e7000000026b33ffffffff",
    "000000000000000000000069f69e511101010000000000000000ffffffff000000531f8b0800e268026b02ff636080"
    "03b993ce124719a11ce61720223bb51248b19625e694a64225400a24de8b2bf3c155befc0f0440065399115488"
    "09a4e6de9613527035cf41a2d9c620950090f5929272000000",
};

Test(message_set, reads_what_another_client_wrote)
{
    for (size_t i = 0; i < SL_COUNT_OF(foreign); i++) {
        uint8_t bytes[256];
        size_t size = from_hex(foreign[i], bytes);
        struct record_iterator iterator;
        struct record_view record;
        struct sl_bytes records;
        cr_assert_eq(up(sl_bytes_of(bytes, size)), SLUICE_OK, "vector %zu", i);
        struct batch_view view = view_of(&back);
        cr_assert_eq(batch_view_record_count(&view), 3);
        cr_assert_eq(batch_view_max_timestamp(&view), i < 2 ? -1 : 1001);
        cr_assert_eq(batch_decompress(&view, memory.codecs, EXPANDED_MAX, &scratch, &records),
                     SLUICE_OK);
        record_iterator_init(&iterator, records, 3);
        cr_assert(record_iterator_next(&iterator, &record));
        cr_assert(sl_bytes_equal(record.value, sl_bytes_of_text("value")));
        cr_assert(record_iterator_next(&iterator, &record) && record.key_is_null);
        cr_assert(record_iterator_next(&iterator, &record) && record.value_is_null);
    }
}

/* Every change of a byte is refused or leaves messages that are sound by their own CRC. */
Test(message_set, damage_and_truncation_are_refused)
{
    for (size_t i = 0; i < SL_COUNT_OF(foreign); i++) {
        uint8_t bytes[256];
        size_t size = from_hex(foreign[i], bytes);
        for (size_t at = MESSAGE_SIZE_AT; at < size; at++) {
            bytes[at] ^= 0x41;
            bool is_offset = i % 2 == 0 && up(sl_bytes_of(bytes, size)) == SLUICE_OK;
            cr_assert(is_offset || up(sl_bytes_of(bytes, size)) != SLUICE_OK, "byte %zu", at);
            cr_assert(!is_offset || at > MESSAGE_SIZE_AT + 4, "byte %zu", at);
            bytes[at] ^= 0x41;
        }
        for (size_t cut = 1; cut < size; cut++) {
            bool is_between = up(sl_bytes_of(bytes, cut)) == SLUICE_OK;
            cr_assert(!is_between || i % 2 == 0, "cut at %zu", cut);
        }
        cr_assert_eq(up(sl_bytes_of(bytes, 0)), SLUICE_E_INVALID_RECORD);
        cr_assert_eq(back.size, 0);
    }
}

static void reseal(uint8_t *message, size_t size)
{
    sl_be32_store(message + MESSAGE_CRC_AT, message_computed_crc(message, size));
}

Test(message_set, what_a_client_may_not_say_is_refused)
{
    static const struct {
        size_t at;
        uint8_t value;
        sl_err expected;
    } rows[] = {
        {MESSAGE_MAGIC_AT, 2, SLUICE_E_UNSUPPORTED_MAGIC},
        {MESSAGE_ATTRIBUTES_AT, 4, SLUICE_E_UNSUPPORTED_CODEC},
        {MESSAGE_ATTRIBUTES_AT, 7, SLUICE_E_UNSUPPORTED_CODEC},
        {MESSAGE_ATTRIBUTES_AT, 9, SLUICE_E_INVALID_TIMESTAMP},
        {MESSAGE_ATTRIBUTES_AT, 3, SLUICE_E_INVALID_RECORD},
    };
    for (size_t i = 0; i < SL_COUNT_OF(rows); i++) {
        uint8_t bytes[256];
        size_t size = from_hex(foreign[3], bytes);
        bytes[rows[i].at] = rows[i].value;
        reseal(bytes, size);
        cr_assert_eq(up(sl_bytes_of(bytes, size)), rows[i].expected, "row %zu", i);
    }
}

Test(message_set, a_wrapper_in_a_wrapper_or_of_another_magic_is_refused)
{
    for (int inner = 0; inner < 2; inner++) {
        uint8_t bytes[256], wrapper[1024];
        size_t size = from_hex(foreign[inner == 0 ? 1 : 2], bytes);
        size_t head = inner == 0 ? 18 : 18; /* of magic 0 */
        struct sl_buffer packed;
        sl_buffer_init(&packed, 4096);
        cr_assert_eq(
            codec_compress(memory.codecs, BATCH_CODEC_SNAPPY, sl_bytes_of(bytes, size), &packed),
            SLUICE_OK);
        memset(wrapper, 0, sizeof(wrapper));
        size_t total = head + 8 + packed.size;
        sl_be32_store(wrapper + MESSAGE_SIZE_AT, (uint32_t)(total - MESSAGE_OVERHEAD_SIZE));
        wrapper[MESSAGE_ATTRIBUTES_AT] = BATCH_CODEC_SNAPPY;
        sl_be32_store(wrapper + head, UINT32_MAX);
        sl_be32_store(wrapper + head + 4, (uint32_t)packed.size);
        memcpy(wrapper + head + 8, packed.data, packed.size);
        reseal(wrapper, total);
        cr_assert_eq(up(sl_bytes_of(wrapper, total)), SLUICE_E_INVALID_RECORD);
        sl_buffer_fini(&packed);
    }
}

Test(message_set, a_bomb_costs_no_more_than_the_cap)
{
    struct message_set_memory small;
    int64_t next;
    fixture_batch(&batches, 20000, 1000, BATCH_CODEC_GZIP);
    cr_assert_eq(down(1, 0, EVERYTHING, &next), SLUICE_OK);
    cr_assert_eq(message_set_memory_init(&small, 10000), SLUICE_OK);
    sl_buffer_reset(&back);
    cr_assert_eq(message_set_to_batch(sl_buffer_bytes(&set), &small, &back),
                 SLUICE_E_EXPANDS_TOO_FAR);
    struct message_set_want want = {1, 0, EVERYTHING};
    cr_assert_eq(message_set_from_batches(sl_buffer_bytes(&batches), &want, &small, &back, &next),
                 SLUICE_E_EXPANDS_TOO_FAR);
    cr_assert_leq(small.opened.capacity, 10000);
    message_set_memory_fini(&small);
}

/* Offsets of all messages, wrappers opened, as an old client counts them. */
static int32_t offsets_of(int64_t *offsets)
{
    int32_t count = 0;
    for (size_t at = 0; at < set.size;) {
        const uint8_t *message = set.data + at;
        size_t size = MESSAGE_OVERHEAD_SIZE + sl_be32_load(message + MESSAGE_SIZE_AT);
        int64_t outer = (int64_t)sl_be64_load(message);
        int codec = message[MESSAGE_ATTRIBUTES_AT] & MESSAGE_CODEC_MASK;
        int magic = message[MESSAGE_MAGIC_AT];
        at += size;
        if (codec == BATCH_CODEC_NONE) {
            offsets[count++] = outer;
            continue;
        }
        size_t head = MESSAGE_TIMESTAMP_AT + (magic > 0 ? 8u : 0u) + 8;
        struct sl_bytes value = sl_bytes_of(message + head, size - head);
        sl_buffer_reset(&scratch);
        cr_assert_eq(codec_decompress(memory.codecs, codec, value, EXPANDED_MAX, &scratch),
                     SLUICE_OK);
        int64_t last = 0;
        int32_t from = count;
        for (size_t in = 0; in < scratch.size;) {
            last = (int64_t)sl_be64_load(scratch.data + in);
            offsets[count++] = last;
            in += MESSAGE_OVERHEAD_SIZE + sl_be32_load(scratch.data + in + MESSAGE_SIZE_AT);
        }
        for (int32_t i = from; i < count; i++)
            offsets[i] += outer - last; /* 0 in magic 0 */
    }
    return count;
}

Test(message_set, a_reader_that_goes_on_where_it_was_told_meets_every_record_once)
{
    static int64_t offsets[100000];
    for (int magic = 0; magic <= MESSAGE_MAGIC_MAX; magic++) {
        for (int codec = 0; codec < BATCH_CODEC_LZ4; codec++) {
            int64_t base = 0, at = 5, next, expected = 5;
            sl_buffer_reset(&batches);
            for (int i = 0; i < 4; i++) {
                size_t start = batches.size;
                int count = i == 2 ? 30000 : 20; /* more than a wrapper */
                fixture_batch(&batches, count, 1000, codec);
                batch_patch_base_offset(batches.data + start, base);
                base += count;
            }
            int rounds = 0;
            for (; at < base; at = next, rounds++) {
                cr_assert_eq(down(magic, at, 100000, &next), SLUICE_OK);
                cr_assert_gt(next, at);
                int32_t count = offsets_of(offsets);
                for (int32_t i = 0; i < count; i++)
                    cr_assert_eq(offsets[i], expected++, "magic %d codec %d", magic, codec);
                cr_assert_eq(expected, next);
                cr_assert_lt(set.size, 1300000, "soft: one wrapper or message more");
            }
            cr_assert_gt(rounds, 1);
            cr_assert_eq(expected, base);
        }
    }
}

Test(message_set, markers_are_passed_over_and_zstd_is_refused)
{
    int64_t next;
    fixture_batch(&batches, 3, 1000, BATCH_CODEC_NONE);
    batches.data[BATCH_ATTRIBUTES_AT + 1] |= BATCH_CONTROL;
    cr_assert_eq(down(1, 0, EVERYTHING, &next), SLUICE_OK);
    cr_assert_eq(next, 3);
    cr_assert_eq(set.size, 0);
    size_t start = batches.size;
    fixture_batch(&batches, 2, 1000, BATCH_CODEC_ZSTD);
    batch_patch_base_offset(batches.data + start, 3);
    cr_assert_eq(down(1, 0, EVERYTHING, &next), SLUICE_E_UNSUPPORTED_CODEC);
    sl_buffer_reset(&batches);
    fixture_batch(&batches, 3, 1000, BATCH_CODEC_NONE);
    start = batches.size;
    fixture_batch(&batches, 2, 1000, BATCH_CODEC_ZSTD);
    batch_patch_base_offset(batches.data + start, 3);
    cr_assert_eq(down(1, 0, EVERYTHING, &next), SLUICE_OK, "what can be read comes first");
    cr_assert_eq(next, 3);
}

Test(message_set, append_time_is_told_in_magic_1)
{
    int64_t next;
    for (int codec = 0; codec < 2; codec++) {
        sl_buffer_reset(&batches);
        fixture_batch(&batches, 3, 1000, codec);
        batch_patch_append_time(batches.data, batches.size, 7777);
        cr_assert_eq(down(1, 0, EVERYTHING, &next), SLUICE_OK);
        cr_assert_eq(set.data[MESSAGE_ATTRIBUTES_AT], MESSAGE_APPEND_TIME | codec);
        cr_assert_eq(sl_be64_load(set.data + MESSAGE_TIMESTAMP_AT), 7777);
        cr_assert_eq(down(0, 0, EVERYTHING, &next), SLUICE_OK);
        cr_assert_eq(set.data[MESSAGE_ATTRIBUTES_AT], codec);
    }
}

/* The library's own checksum is met, with and without the size of the content. */
Test(message_set, the_header_checksum_of_lz4_is_right_or_as_old_clients_count_it)
{
    for (int with_size = 0; with_size < 2; with_size++) {
        uint8_t frame[256], copy[256];
        LZ4F_preferences_t preferences = {.frameInfo = {.contentSize = with_size ? 5 : 0}};
        size_t size = LZ4F_compressFrame(frame, sizeof(frame), "hello", 5, &preferences);
        cr_assert(!LZ4F_isError(size));
        memcpy(copy, frame, size);
        size_t at = 6 + (with_size ? 8 : 0);
        copy[at] ^= 0xff;
        lz4_header_seal(copy, size, false);
        cr_assert_eq(memcmp(copy, frame, size), 0);
        lz4_header_seal(copy, size, true);
        cr_assert_neq(copy[at], frame[at]);
        copy[at] = frame[at];
        cr_assert_eq(memcmp(copy, frame, size), 0, "nothing else changes");
    }
    uint8_t of_kafka[] = {0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0}; /* as the Java client begins */
    lz4_header_seal(of_kafka, sizeof(of_kafka), false);
    cr_assert_eq(of_kafka[6], 0x82);
    lz4_header_seal(of_kafka, 6, true); /* too short: left alone */
    cr_assert_eq(of_kafka[6], 0x82);
}
