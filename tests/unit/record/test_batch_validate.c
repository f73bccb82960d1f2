/* test_batch_validate.c: each rule for a batch from a client, broken once. */
#include "record/batch_validate.h"
#include "record_fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { NOW = 1700000000, COUNT = 5 };

static struct batch_limits limits;
static struct batch_verdict verdict;
static struct sl_buffer buffer;
static uint8_t *batch;
static size_t size;

static void use(int codec)
{
    sl_buffer_reset(&buffer);
    struct batch_view view = fixture_batch(&buffer, COUNT, NOW, codec);
    free(batch);
    batch = fixture_copy(&view);
    size = view.size;
}

static void setup(void)
{
    sl_buffer_init(&buffer, FIXTURE_BYTES_MAX);
    batch_limits_init(&limits);
    limits.now_ms = NOW;
    use(BATCH_CODEC_NONE);
}

static void teardown(void)
{
    free(batch);
    sl_buffer_fini(&buffer);
}

TestSuite(batch_validate, .init = setup, .fini = teardown);

static sl_err validate(void)
{
    struct sl_buffer scratch;
    sl_buffer_init(&scratch, FIXTURE_BYTES_MAX);
    struct codec_context *context = codec_context_new();
    sl_err err = batch_validate(sl_bytes_of(batch, size), &limits, context, &scratch, &verdict);
    codec_context_free(context);
    sl_buffer_fini(&scratch);
    return err;
}

static sl_err validate_resealed(void)
{
    fixture_reseal(batch, size);
    return validate();
}

/* Writes another value into the header, with a CRC that fits. */
static sl_err with_u16(size_t at, uint16_t value)
{
    sl_be16_store(batch + at, value);
    return validate_resealed();
}

static sl_err with_u32(size_t at, uint32_t value)
{
    sl_be32_store(batch + at, value);
    return validate_resealed();
}

Test(batch_validate, accepts_every_codec_and_walks_only_what_is_open)
{
    for (int codec = 0; codec < BATCH_CODEC_COUNT; codec++) {
        use(codec);
        cr_expect_eq(validate(), SLUICE_OK, "%s", codec_name(codec));
        cr_expect_eq(verdict.walked, codec == BATCH_CODEC_NONE);
        cr_expect_eq(verdict.max_timestamp, NOW + COUNT - 1);
        cr_expect_eq(verdict.view.size, size);
    }
}

Test(batch_validate, walks_compressed_batches_when_asked)
{
    limits.validate_records = true;
    for (int codec = 1; codec < BATCH_CODEC_COUNT; codec++) {
        use(codec);
        cr_expect_eq(validate(), SLUICE_OK, "%s", codec_name(codec));
        cr_expect(verdict.walked);
        cr_expect(batch_validate_opens(&verdict.view, &limits));
    }
}

Test(batch_validate, refuses_a_second_batch_behind_the_first)
{
    uint8_t *two = malloc(size * 2);
    memcpy(two, batch, size);
    memcpy(two + size, batch, size);
    free(batch);
    batch = two;
    size *= 2;
    cr_expect_eq(validate(), SLUICE_E_INVALID_RECORD);
    cr_expect_null(verdict.view.data);
}

Test(batch_validate, refuses_an_empty_entry_and_one_cut_short)
{
    size--;
    cr_expect_eq(validate(), SLUICE_E_INVALID_RECORD);
    size = 0;
    cr_expect_eq(validate(), SLUICE_E_INVALID_RECORD);
    cr_expect_not(verdict.formed);
}

Test(batch_validate, leaves_out_a_piece_of_a_second_batch)
{
    uint8_t *more = malloc(size * 2);
    memcpy(more, batch, size);
    memcpy(more + size, batch, size);
    free(batch);
    batch = more;
    size_t whole = size;
    for (size = whole; size < whole * 2; size++) {
        cr_expect_eq(validate(), SLUICE_OK);
        cr_expect_eq(verdict.view.size, whole);
    }
    batch[whole + BATCH_LENGTH_AT + 3] = 3;
    batch[whole + BATCH_LENGTH_AT + 2] = 0;
    cr_expect_eq(validate(), SLUICE_E_CORRUPT_BATCH);
}

Test(batch_validate, refuses_offsets_of_the_clients_own)
{
    batch[BATCH_BASE_OFFSET_AT + 7] = 5;
    cr_expect_eq(validate(), SLUICE_E_INVALID_RECORD);
    cr_expect(verdict.formed);
}

Test(batch_validate, tells_counts_below_zero_from_a_broken_batch)
{
    cr_expect_eq(with_u32(BATCH_LAST_OFFSET_DELTA_AT, (uint32_t)-1), SLUICE_E_INVALID_RECORD);
    cr_expect(verdict.formed);
    batch[BATCH_CRC_AT] ^= 1;
    cr_expect_eq(validate(), SLUICE_E_CORRUPT_BATCH);
}

Test(batch_validate, refuses_format_1)
{
    batch[BATCH_MAGIC_AT] = 1;
    cr_assert_eq(validate(), SLUICE_E_UNSUPPORTED_MAGIC);
}

Test(batch_validate, refuses_a_wrong_checksum)
{
    batch[size - 1] ^= 1;
    cr_assert_eq(validate(), SLUICE_E_CORRUPT_BATCH);
}

Test(batch_validate, refuses_more_than_max_message_bytes)
{
    limits.batch_bytes_max = size;
    cr_expect_eq(validate(), SLUICE_OK);
    limits.batch_bytes_max = size - 1;
    cr_expect_eq(validate(), SLUICE_E_BATCH_TOO_LARGE);
}

Test(batch_validate, refuses_more_than_a_segment)
{
    limits.segment_bytes_max = size - 1;
    cr_assert_eq(validate(), SLUICE_E_SEGMENT_TOO_SMALL);
}

Test(batch_validate, refuses_a_control_batch)
{
    cr_assert_eq(with_u16(BATCH_ATTRIBUTES_AT, BATCH_CONTROL), SLUICE_E_INVALID_RECORD);
}

Test(batch_validate, refuses_a_delete_horizon)
{
    cr_assert_eq(with_u16(BATCH_ATTRIBUTES_AT, BATCH_DELETE_HORIZON), SLUICE_E_INVALID_RECORD);
}

Test(batch_validate, refuses_a_transaction_without_producer)
{
    cr_assert_eq(with_u16(BATCH_ATTRIBUTES_AT, BATCH_TRANSACTIONAL), SLUICE_E_INVALID_RECORD);
}

Test(batch_validate, refuses_a_producer_without_sequence)
{
    sl_be64_store(batch + BATCH_PRODUCER_ID_AT, 1000);
    cr_expect_eq(validate_resealed(), SLUICE_E_INVALID_RECORD);
    cr_expect_eq(with_u32(BATCH_BASE_SEQUENCE_AT, 0), SLUICE_OK);
}

Test(batch_validate, refuses_a_batch_without_records)
{
    sl_be32_store(batch + BATCH_LENGTH_AT, 49);
    size = BATCH_HEADER_SIZE;
    cr_assert_eq(with_u32(BATCH_RECORD_COUNT_AT, 0), SLUICE_E_INVALID_RECORD);
}

Test(batch_validate, refuses_a_count_that_differs_from_the_last_offset_delta)
{
    cr_assert_eq(with_u32(BATCH_LAST_OFFSET_DELTA_AT, COUNT), SLUICE_E_INVALID_RECORD);
}

Test(batch_validate, refuses_a_count_that_differs_from_the_records)
{
    sl_be32_store(batch + BATCH_LAST_OFFSET_DELTA_AT, COUNT);
    cr_assert_eq(with_u32(BATCH_RECORD_COUNT_AT, COUNT + 1), SLUICE_E_INVALID_RECORD);
}

/* Offset delta of the first record: behind its length, attributes and timestamp delta, a byte each.
 */
Test(batch_validate, refuses_offset_deltas_that_do_not_count_from_0)
{
    batch[BATCH_HEADER_SIZE + 3] = 2;
    cr_assert_eq(validate_resealed(), SLUICE_E_INVALID_RECORD);
}

Test(batch_validate, refuses_a_codec_that_does_not_exist)
{
    cr_assert_eq(with_u16(BATCH_ATTRIBUTES_AT, 5), SLUICE_E_UNSUPPORTED_CODEC);
}

Test(batch_validate, refuses_zstd_where_the_api_version_does_not_know_it)
{
    use(BATCH_CODEC_ZSTD);
    limits.zstd_allowed = false;
    cr_assert_eq(validate(), SLUICE_E_UNSUPPORTED_CODEC);
}

Test(batch_validate, takes_a_claim_of_append_time_only_where_the_producers_time_holds)
{
    cr_expect_eq(with_u16(BATCH_ATTRIBUTES_AT, BATCH_LOG_APPEND_TIME), SLUICE_OK);
    cr_expect_eq(verdict.max_timestamp, batch_view_max_timestamp(&verdict.view));
    limits.append_time = true;
    cr_expect_eq(validate(), SLUICE_E_INVALID_TIMESTAMP);
    cr_expect_eq(verdict.fault_count, COUNT);
}

Test(batch_validate, names_the_records_that_lie_too_far_ahead)
{
    limits.timestamp_after_ms = 2;
    cr_expect_eq(validate(), SLUICE_E_INVALID_TIMESTAMP);
    cr_assert_eq(verdict.fault_count, 2);
    cr_expect_eq(verdict.faults[0].index, 3);
    cr_expect_eq(verdict.faults[0].err, SLUICE_E_INVALID_TIMESTAMP);
    cr_expect_eq(verdict.faults[1].index, 4);
}

Test(batch_validate, names_the_records_that_lie_too_far_back)
{
    limits.now_ms = NOW + 10;
    limits.timestamp_before_ms = 9;
    cr_expect_eq(validate(), SLUICE_E_INVALID_TIMESTAMP);
    cr_assert_eq(verdict.fault_count, 1);
    cr_expect_eq(verdict.faults[0].index, 0);
}

Test(batch_validate, judges_a_closed_batch_by_its_max_timestamp)
{
    use(BATCH_CODEC_LZ4);
    limits.timestamp_after_ms = COUNT - 2;
    cr_expect_eq(validate(), SLUICE_E_INVALID_TIMESTAMP);
    cr_expect_eq(verdict.fault_count, 0);
    limits.timestamp_after_ms = COUNT - 1;
    cr_expect_eq(validate(), SLUICE_OK);
}

Test(batch_validate, does_not_mind_timestamps_where_the_log_sets_its_own)
{
    limits.timestamp_after_ms = 0;
    limits.append_time = true;
    cr_assert_eq(validate(), SLUICE_OK);
}

Test(batch_validate, survives_timestamps_at_the_ends_of_time)
{
    sl_be64_store(batch + BATCH_BASE_TIMESTAMP_AT, (uint64_t)INT64_MAX);
    cr_expect_eq(validate_resealed(), SLUICE_E_INVALID_TIMESTAMP);
    sl_be64_store(batch + BATCH_BASE_TIMESTAMP_AT, (uint64_t)INT64_MIN);
    limits.timestamp_before_ms = 1000;
    cr_expect_eq(validate_resealed(), SLUICE_E_INVALID_TIMESTAMP);
}

Test(batch_validate, finds_the_max_timestamp_that_the_header_should_have)
{
    sl_be64_store(batch + BATCH_MAX_TIMESTAMP_AT, 1);
    cr_expect_eq(validate_resealed(), SLUICE_OK);
    cr_expect_eq(verdict.max_timestamp, NOW + COUNT - 1);
}

static void use_keyless(int count, int codec)
{
    struct batch_builder builder;
    struct batch_view view;
    struct sl_buffer scratch;
    struct codec_context *context = codec_context_new();
    sl_buffer_init(&scratch, FIXTURE_BYTES_MAX);
    sl_buffer_reset(&buffer);
    cr_assert_eq(batch_builder_start(&builder, &buffer, NULL), SLUICE_OK);
    for (int i = 0; i < count; i++) {
        struct record_fields record = fixture_record(i == 1 ? "key" : NULL, "value", NOW);
        cr_assert_eq(batch_builder_append(&builder, &record), SLUICE_OK);
    }
    cr_assert_eq(batch_builder_finish(&builder, codec, context, &scratch, &view), SLUICE_OK);
    free(batch);
    batch = fixture_copy(&view);
    size = view.size;
    codec_context_free(context);
    sl_buffer_fini(&scratch);
}

Test(batch_validate, names_the_records_without_key_on_a_compacted_topic)
{
    limits.compacted = true;
    for (int codec = 0; codec < BATCH_CODEC_COUNT; codec++) {
        use_keyless(3, codec);
        cr_expect_eq(validate(), SLUICE_E_INVALID_RECORD);
        cr_assert_eq(verdict.fault_count, 2);
        cr_expect_eq(verdict.faults[0].index, 0);
        cr_expect_eq(verdict.faults[1].index, 2);
    }
}

Test(batch_validate, bounds_the_list_of_refused_records)
{
    limits.compacted = true;
    use_keyless(BATCH_FAULTS_MAX + 100, BATCH_CODEC_NONE);
    cr_expect_eq(validate(), SLUICE_E_INVALID_RECORD);
    cr_expect_eq(verdict.fault_count, BATCH_FAULTS_MAX + 99);
    cr_expect_eq(verdict.faults[BATCH_FAULTS_MAX - 1].index, BATCH_FAULTS_MAX);
}

Test(batch_validate, refuses_a_batch_that_expands_beyond_the_cap)
{
    use(BATCH_CODEC_GZIP);
    limits.validate_records = true;
    limits.expanded_bytes_max = 100;
    cr_assert_eq(validate(), SLUICE_E_EXPANDS_TOO_FAR);
}

Test(batch_validate, takes_holes_from_a_gate_but_not_from_a_client)
{
    struct batch_view view = {.data = batch, .size = size};
    struct batch_builder builder;
    struct record_iterator iterator;
    struct record_view record;
    cr_assert_eq(batch_builder_start_rewrite(&builder, &buffer, &view), SLUICE_OK);
    record_iterator_init(&iterator, batch_view_records(&view), COUNT);
    while (record_iterator_next(&iterator, &record))
        if (record.offset_delta % 2 == 1)
            cr_assert_eq(batch_builder_keep(&builder, &record), SLUICE_OK);
    cr_assert_eq(batch_builder_finish(&builder, BATCH_CODEC_NONE, NULL, NULL, &view), SLUICE_OK);
    free(batch);
    batch = fixture_copy(&view);
    size = view.size;
    cr_expect_eq(validate(), SLUICE_E_INVALID_RECORD);
    limits.allow_holes = true;
    cr_expect_eq(validate(), SLUICE_OK);
}
