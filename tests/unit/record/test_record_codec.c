/* test_record_codec.c: the codecs: round trips, framings, caps, damage. */
#include "record_fixture.h"

#include <criterion/criterion.h>
#include <isa-l/igzip_lib.h>
#include <lz4frame.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <zstd.h>

enum { MIB = 1 << 20, TEXT_SIZE = 300000 };

static struct codec_context *context;
static struct sl_buffer packed, out;
static uint8_t *text;

static void setup(void)
{
    uint64_t random = 42;
    context = codec_context_new();
    sl_buffer_init(&packed, FIXTURE_BYTES_MAX);
    sl_buffer_init(&out, FIXTURE_BYTES_MAX);
    text = malloc(TEXT_SIZE);
    for (size_t i = 0; i < TEXT_SIZE; i++)
        text[i] =
            (uint8_t)((uint8_t) "{\"id\":1234567890}"[i % 17] + fixture_random_below(&random, 2));
}

static void teardown(void)
{
    codec_context_free(context);
    sl_buffer_fini(&packed);
    sl_buffer_fini(&out);
    free(text);
}

TestSuite(codec, .init = setup, .fini = teardown);

static struct sl_bytes pack(int codec, const void *data, size_t size)
{
    sl_buffer_reset(&packed);
    cr_assert_eq(codec_compress(context, codec, sl_bytes_of(data, size), &packed), SLUICE_OK);
    return sl_buffer_bytes(&packed);
}

static sl_err unpack(int codec, struct sl_bytes input, size_t cap_bytes)
{
    sl_buffer_reset(&out);
    return codec_decompress(context, codec, input, cap_bytes, &out);
}

static void expect_text(int codec, struct sl_bytes input, size_t size)
{
    cr_assert_eq(unpack(codec, input, size), SLUICE_OK, "%s of %zu bytes", codec_name(codec), size);
    cr_assert_eq(out.size, size);
    cr_assert_arr_eq(out.data, text, size);
}

Test(codec, gives_back_what_it_was_given_with_a_cap_of_exactly_that)
{
    static const size_t sizes[] = {1, 2, 100, 4095, 32768, 32769, 65536, 65537, 131073, TEXT_SIZE};
    for (int codec = 0; codec < BATCH_CODEC_COUNT; codec++)
        for (size_t i = 0; i < SL_COUNT_OF(sizes); i++)
            expect_text(codec, pack(codec, text, sizes[i]), sizes[i]);
}

Test(codec, appends_and_keeps_what_was_there)
{
    for (int codec = 0; codec < BATCH_CODEC_COUNT; codec++) {
        struct sl_bytes input = pack(codec, text, 1000);
        sl_buffer_reset(&out);
        cr_assert_eq(sl_buffer_append(&out, "head", 4), SLUICE_OK);
        cr_assert_eq(codec_decompress(context, codec, input, 1000, &out), SLUICE_OK);
        cr_assert_eq(out.size, 1004);
        cr_assert_arr_eq(out.data, "head", 4);
    }
}

Test(codec, refuses_one_byte_more_than_the_cap)
{
    for (int codec = 0; codec < BATCH_CODEC_COUNT; codec++) {
        struct sl_bytes input = pack(codec, text, 1000);
        cr_expect_eq(unpack(codec, input, 999), SLUICE_E_EXPANDS_TOO_FAR, "%s", codec_name(codec));
        cr_expect_eq(out.size, 0);
    }
}

static void expect_refused_within(int codec, struct sl_bytes bomb, size_t cap_bytes)
{
    sl_buffer_fini(&out);
    cr_assert_eq(unpack(codec, bomb, cap_bytes), SLUICE_E_EXPANDS_TOO_FAR, "%s", codec_name(codec));
    cr_assert_leq(out.capacity, cap_bytes, "%s took %zu bytes", codec_name(codec), out.capacity);
}

Test(codec, stops_a_bomb_at_the_cap_without_taking_more_memory)
{
    uint8_t *zeros = calloc(1, 64 * MIB);
    for (int codec = BATCH_CODEC_GZIP; codec < BATCH_CODEC_COUNT; codec++) {
        struct sl_bytes bomb = pack(codec, zeros, 64 * MIB);
        cr_expect_lt(bomb.size, 4 * MIB);
        expect_refused_within(codec, bomb, MIB);
    }
    free(zeros);
}

Test(codec, obeys_the_bound_of_the_buffer_as_it_does_the_cap)
{
    for (int codec = 0; codec < BATCH_CODEC_COUNT; codec++) {
        struct sl_buffer small;
        sl_buffer_init(&small, 500);
        struct sl_bytes input = pack(codec, text, 1000);
        cr_expect_eq(codec_decompress(context, codec, input, MIB, &small),
                     SLUICE_E_EXPANDS_TOO_FAR);
        sl_buffer_fini(&small);
    }
}

static void expect_cut_refused(int codec, struct sl_bytes whole, size_t size)
{
    uint8_t *cut = malloc(size + (size == 0));
    memcpy(cut, whole.data, size);
    cr_assert_eq(unpack(codec, sl_bytes_of(cut, size), MIB), SLUICE_E_INVALID_RECORD,
                 "%s: %zu of %zu", codec_name(codec), size, whole.size);
    free(cut);
}

Test(codec, refuses_a_stream_cut_anywhere)
{
    static const int codecs[] = {BATCH_CODEC_GZIP, BATCH_CODEC_LZ4, BATCH_CODEC_ZSTD};
    for (size_t i = 0; i < SL_COUNT_OF(codecs); i++) {
        struct sl_bytes whole = pack(codecs[i], text, 2000);
        for (size_t size = 0; size < whole.size; size++)
            expect_cut_refused(codecs[i], whole, size);
    }
}

/* A cut between two blocks is invisible in this framing: the walk finds it. */
Test(codec, refuses_xerial_snappy_cut_inside_a_block)
{
    struct sl_bytes whole = pack(BATCH_CODEC_SNAPPY, text, 2000);
    for (size_t size = 17; size < whole.size; size++)
        expect_cut_refused(BATCH_CODEC_SNAPPY, whole, size);
}

Test(codec, works_again_after_it_met_damage)
{
    for (int codec = BATCH_CODEC_GZIP; codec < BATCH_CODEC_COUNT; codec++) {
        struct sl_bytes whole = pack(codec, text, 5000);
        cr_expect_eq(unpack(codec, sl_bytes_of(whole.data, whole.size / 2), MIB),
                     SLUICE_E_INVALID_RECORD);
        expect_text(codec, whole, 5000);
    }
}

Test(codec, refuses_what_is_not_a_stream_of_it)
{
    for (int codec = BATCH_CODEC_GZIP; codec < BATCH_CODEC_COUNT; codec++) {
        uint8_t noise[64];
        memset(noise, 0xee, sizeof noise);
        cr_expect_eq(unpack(codec, sl_bytes_of(noise, sizeof noise), MIB), SLUICE_E_INVALID_RECORD);
        cr_expect_eq(unpack(codec, (struct sl_bytes){0}, MIB), SLUICE_E_INVALID_RECORD);
    }
}

Test(codec, does_not_know_the_numbers_5_to_7)
{
    for (int codec = 5; codec < 8; codec++) {
        cr_expect_eq(unpack(codec, sl_bytes_of(text, 10), MIB), SLUICE_E_UNSUPPORTED_CODEC);
        cr_expect_null(codec_name(codec));
    }
}

Test(codec, is_found_by_the_name_that_kafka_gives_it)
{
    int codec = -1;
    cr_expect_eq(codec_by_name("zstd", &codec), SLUICE_OK);
    cr_expect_eq(codec, BATCH_CODEC_ZSTD);
    cr_expect_eq(codec_by_name("brotli", &codec), SLUICE_E_NOT_FOUND);
}

Test(codec, reads_two_streams_one_behind_the_other)
{
    static const int codecs[] = {BATCH_CODEC_GZIP, BATCH_CODEC_SNAPPY, BATCH_CODEC_LZ4,
                                 BATCH_CODEC_ZSTD};
    for (size_t i = 0; i < SL_COUNT_OF(codecs); i++) {
        sl_buffer_reset(&packed);
        for (size_t at = 0; at < 200000; at += 100000)
            cr_assert_eq(
                codec_compress(context, codecs[i], sl_bytes_of(text + at, 100000), &packed),
                SLUICE_OK);
        expect_text(codecs[i], sl_buffer_bytes(&packed), 200000);
    }
}

Test(codec, refuses_garbage_behind_the_stream)
{
    for (int codec = BATCH_CODEC_GZIP; codec < BATCH_CODEC_COUNT; codec++) {
        pack(codec, text, 1000);
        cr_assert_eq(sl_buffer_append(&packed, "garbage", 7), SLUICE_OK);
        cr_expect_eq(unpack(codec, sl_buffer_bytes(&packed), MIB), SLUICE_E_INVALID_RECORD, "%s",
                     codec_name(codec));
    }
}

Test(codec, writes_snappy_in_the_frame_of_the_java_client)
{
    static const uint8_t start[16] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0,
                                      0,    0,   0,   1,   0,   0,   0,   1};
    struct sl_bytes input = pack(BATCH_CODEC_SNAPPY, text, 40000);
    cr_assert_arr_eq(input.data, start, sizeof start);
    size_t first = sl_be32_load(input.data + 16), size = 0;
    cr_assert_eq(snappy_uncompressed_length((const char *)input.data + 20, first, &size),
                 SNAPPY_OK);
    cr_assert_eq(size, 32768);
}

Test(codec, reads_a_raw_snappy_block_as_librdkafka_sends_it)
{
    char raw[4096];
    size_t size = sizeof raw;
    cr_assert_eq(snappy_compress((const char *)text, 2000, raw, &size), SNAPPY_OK);
    expect_text(BATCH_CODEC_SNAPPY, sl_bytes_of(raw, size), 2000);
}

Test(codec, does_not_believe_a_snappy_block_that_claims_the_impossible)
{
    static const uint8_t liar[] = {0x80, 0x80, 0x80, 0x01, 0x00, 'a'}; /* "2 MiB" in two bytes */
    sl_buffer_fini(&out);
    cr_assert_eq(unpack(BATCH_CODEC_SNAPPY, sl_bytes_of(liar, sizeof liar), 64 * MIB),
                 SLUICE_E_INVALID_RECORD);
    cr_assert_eq(out.capacity, 0);
}

Test(codec, reads_lz4_with_linked_blocks_and_checksums)
{
    LZ4F_preferences_t preferences = {
        .frameInfo = {.blockSizeID = LZ4F_max256KB,
                      .blockMode = LZ4F_blockLinked,
                      .contentChecksumFlag = LZ4F_contentChecksumEnabled,
                      .blockChecksumFlag = LZ4F_blockChecksumEnabled}};
    size_t bound = LZ4F_compressFrameBound(TEXT_SIZE, &preferences);
    uint8_t *frame = malloc(bound);
    size_t size = LZ4F_compressFrame(frame, bound, text, TEXT_SIZE, &preferences);
    expect_text(BATCH_CODEC_LZ4, sl_bytes_of(frame, size), TEXT_SIZE);
    frame[size - 1] ^= 1;
    cr_expect_eq(unpack(BATCH_CODEC_LZ4, sl_bytes_of(frame, size), MIB), SLUICE_E_INVALID_RECORD);
    free(frame);
}

/* liblz4 1.9.4 keeps the size that a frame claimed when the frame is given up. */
Test(codec, forgets_the_size_that_a_cut_lz4_frame_claimed)
{
    static const uint8_t frame[] = {0x04, 0x22, 0x4d, 0x18, 0x68, 0x40, 8, 0,   0,   0,   0,
                                    0,    0,    0,    0x70, 8,    0,    0, 128, 'a', 'b', 'c',
                                    'd',  'e',  'f',  'g',  'h',  0,    0, 0,   0};
    cr_assert_eq(unpack(BATCH_CODEC_LZ4, sl_bytes_of(frame, sizeof(frame)), 8), SLUICE_OK);
    cr_assert_eq(unpack(BATCH_CODEC_LZ4, sl_bytes_of(frame, 22), 8), SLUICE_E_INVALID_RECORD);
    expect_text(BATCH_CODEC_LZ4, pack(BATCH_CODEC_LZ4, text, 1000), 1000);
}

Test(codec, writes_lz4_in_independent_blocks)
{
    struct sl_bytes frame = pack(BATCH_CODEC_LZ4, text, 100000);
    cr_expect_eq(sl_le32_load(frame.data), 0x184d2204u);
    cr_expect(frame.data[4] & 0x20, "block independence bit");
    cr_expect_eq(frame.data[5], 0x40, "64 KiB blocks");
}

Test(codec, checks_the_checksum_of_gzip)
{
    struct sl_bytes member = pack(BATCH_CODEC_GZIP, text, 1000);
    packed.data[member.size - 8] ^= 1;
    cr_assert_eq(unpack(BATCH_CODEC_GZIP, member, MIB), SLUICE_E_INVALID_RECORD);
}

/* A zstd frame that does not say its size, as streaming writers make it. */
static struct sl_bytes zstd_stream(const uint8_t *data, size_t size, int window_log)
{
    ZSTD_CCtx *writer = ZSTD_createCCtx();
    cr_assert_not(ZSTD_isError(ZSTD_CCtx_setParameter(writer, ZSTD_c_windowLog, window_log)));
    sl_buffer_reset(&packed);
    cr_assert_eq(sl_buffer_reserve(&packed, ZSTD_compressBound(size)), SLUICE_OK);
    ZSTD_outBuffer to = {.dst = packed.data, .size = packed.capacity};
    ZSTD_inBuffer half = {.src = data, .size = size / 2},
                  rest = {.src = data + size / 2, .size = size - size / 2};
    ZSTD_compressStream2(writer, &to, &half, ZSTD_e_continue);
    cr_assert_eq(ZSTD_compressStream2(writer, &to, &rest, ZSTD_e_end), 0);
    ZSTD_freeCCtx(writer);
    packed.size = to.pos;
    cr_assert_eq(ZSTD_getFrameContentSize(packed.data, packed.size), ZSTD_CONTENTSIZE_UNKNOWN);
    return sl_buffer_bytes(&packed);
}

Test(codec, reads_a_zstd_frame_that_does_not_say_its_size)
{
    expect_text(BATCH_CODEC_ZSTD, zstd_stream(text, TEXT_SIZE, 20), TEXT_SIZE);
}

Test(codec, stops_a_zstd_bomb_that_does_not_say_its_size)
{
    uint8_t *zeros = calloc(1, 64 * MIB);
    expect_refused_within(BATCH_CODEC_ZSTD, zstd_stream(zeros, 64 * MIB, 27), MIB);
    free(zeros);
}

Test(codec, stops_a_bomb_of_many_small_frames)
{
    uint8_t *zeros = calloc(1, 64 * 1024);
    static const int codecs[] = {BATCH_CODEC_GZIP, BATCH_CODEC_LZ4, BATCH_CODEC_ZSTD};
    for (size_t i = 0; i < SL_COUNT_OF(codecs); i++) {
        sl_buffer_reset(&packed);
        for (int frame = 0; frame < 100; frame++)
            cr_assert_eq(codec_compress(context, codecs[i], sl_bytes_of(zeros, 64 * 1024), &packed),
                         SLUICE_OK);
        expect_refused_within(codecs[i], sl_buffer_bytes(&packed), MIB);
    }
    free(zeros);
}

Test(codec, opens_an_emptied_batch_under_any_codec)
{
    struct batch_view view = fixture_batch(&out, 1, 0, BATCH_CODEC_NONE);
    uint8_t *batch = fixture_copy(&view);
    struct sl_bytes records;
    sl_be32_store(batch + BATCH_LENGTH_AT, 49);
    sl_be32_store(batch + BATCH_RECORD_COUNT_AT, 0);
    batch[BATCH_ATTRIBUTES_AT + 1] = BATCH_CODEC_ZSTD;
    cr_assert_eq(batch_view_init(&view, sl_bytes_of(batch, view.size)), SLUICE_OK);
    cr_assert_eq(batch_decompress(&view, context, MIB, &packed, &records), SLUICE_OK);
    cr_assert_eq(records.size, 0);
    free(batch);
}
