/* test_txn_marker.c: markers, byte for byte. */
#include "record/batch_builder.h"
#include "record/batch_validate.h"
#include "record/txn_marker.h"

#include <criterion/criterion.h>
#include <string.h>

Test(txn_marker, is_as_kafka_writes_it)
{
    static const uint8_t record[] = {
        0x20, 0, 0, 0, 0x08, 0, 0, 0, 1, /* length 16, key of 4: version 0, type 1 (commit) */
        0x0c, 0, 0, 0, 0,    0, 9, 0};   /* value of 6: version 0, coordinator epoch 9 */
    const struct txn_marker marker = {.producer_id = 7,
                                      .producer_epoch = 3,
                                      .time_ms = 1700000000000,
                                      .coordinator_epoch = 9,
                                      .commits = true};
    uint8_t bytes[TXN_MARKER_SIZE];
    struct batch_view view;
    struct txn_marker read;
    txn_marker_encode(&marker, bytes);
    cr_assert_eq(batch_view_init(&view, sl_bytes_of(bytes, sizeof(bytes))), SLUICE_OK);
    cr_assert_eq(view.size, TXN_MARKER_SIZE);
    cr_assert_eq(batch_view_check_crc(&view), SLUICE_OK);
    cr_assert_eq(batch_view_attributes(&view), 0x30);
    cr_assert_eq(batch_view_producer_id(&view), 7);
    cr_assert_eq(batch_view_producer_epoch(&view), 3);
    cr_assert_eq(batch_view_base_sequence(&view), -1);
    cr_assert_eq(batch_view_record_count(&view), 1);
    cr_assert_eq(batch_view_last_offset_delta(&view), 0);
    cr_assert_eq(batch_view_max_timestamp(&view), 1700000000000);
    cr_assert_arr_eq(bytes + BATCH_HEADER_SIZE, record, sizeof(record));
    cr_assert_eq(txn_marker_decode(&view, &read), SLUICE_OK);
    cr_assert_eq(read.producer_id, 7);
    cr_assert(read.commits);
    bytes[BATCH_HEADER_SIZE + 8] = 0;
    cr_assert_eq(txn_marker_decode(&view, &read), SLUICE_OK);
    cr_assert_not(read.commits);
    bytes[BATCH_HEADER_SIZE + 8] = 2;
    cr_assert_eq(txn_marker_decode(&view, &read), SLUICE_E_INVALID_RECORD);
}

Test(txn_marker, with_a_delete_horizon_is_read_as_well)
{
    const struct txn_marker marker = {
        .producer_id = 7, .producer_epoch = 3, .time_ms = 1700000000000, .commits = true};
    uint8_t bytes[TXN_MARKER_SIZE];
    struct sl_buffer out, scratch;
    struct batch_builder builder;
    struct batch_view view, made;
    struct record_iterator iterator;
    struct record_view record;
    struct record_fields fields;
    struct header_view header;
    struct txn_marker read;
    txn_marker_encode(&marker, bytes);
    sl_buffer_init(&out, 4096);
    sl_buffer_init(&scratch, 4096);
    cr_assert_eq(batch_view_init(&view, sl_bytes_of(bytes, sizeof(bytes))), SLUICE_OK);
    cr_assert_eq(batch_builder_start_rewrite(&builder, &out, &view), SLUICE_OK);
    builder.header.base_timestamp = 1700086400000;
    builder.header.attributes |= BATCH_DELETE_HORIZON;
    record_iterator_init(&iterator, batch_view_records(&view), 1);
    cr_assert(record_iterator_next(&iterator, &record));
    cr_assert_eq(record_fields_from_view(&fields, &view, &record, &header, 1), SLUICE_OK);
    cr_assert_eq(batch_builder_append_at(&builder, &fields, 0), SLUICE_OK);
    cr_assert_eq(batch_builder_finish(&builder, BATCH_CODEC_NONE, NULL, &scratch, &made),
                 SLUICE_OK);
    cr_assert_gt(made.size, TXN_MARKER_SIZE);
    cr_assert_eq(txn_marker_decode(&made, &read), SLUICE_OK);
    cr_assert(read.commits);
    cr_assert_eq(read.producer_id, 7);
    cr_assert_eq(read.producer_epoch, 3);
    cr_assert_eq(read.time_ms, 1700000000000);
    sl_buffer_fini(&out);
    sl_buffer_fini(&scratch);
}
