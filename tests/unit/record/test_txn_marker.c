/* test_txn_marker.c: markers, byte for byte. */
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
