/* test_extent_format.c: encoders and decoders agree, and decoders refuse. */
#include "base/bytes.h"
#include "extent/extent_file.h"
#include "extent/extent_table.h"

#include <criterion/criterion.h>
#include <string.h>

Test(extent_format, a_header_comes_back_as_it_was)
{
    const struct extent_header header = {.cluster = {.b = {1, 2, 3}},
                                         .features_compatible = 5,
                                         .shard = 17,
                                         .id = 1ull << 40,
                                         .created_ms = -3};
    uint8_t bytes[EXTENT_HEADER_USED];
    struct extent_header found;
    extent_header_encode(&header, bytes);
    cr_assert_eq(extent_header_decode(bytes, &found), SLUICE_OK);
    cr_assert(sl_uuid_equal(&found.cluster, &header.cluster));
    cr_assert_eq(found.features_compatible, 5);
    cr_assert_eq(found.shard, 17);
    cr_assert_eq(found.id, 1ull << 40);
    cr_assert_eq(found.created_ms, -3);
}

static const struct extent_item item = {.id = 7,
                                        .file_size = EXTENT_HEADER + (5ull << 32) + 3 * 72 +
                                                     9 * 48 + EXTENT_TRAILER,
                                        .bytes = 5ull << 32,
                                        .created_ms = 99,
                                        .footer_crc = 0xdeadbeef,
                                        .stream_count = 3,
                                        .block_count = 9};

Test(extent_format, an_item_comes_back_as_it_was)
{
    uint8_t bytes[EXTENT_ITEM_SIZE];
    struct extent_item found;
    extent_item_encode(&item, bytes);
    cr_assert_eq(extent_item_decode(1, sl_bytes_of(bytes, sizeof bytes), &found), SLUICE_OK);
    cr_assert_eq(found.id, item.id);
    cr_assert_eq(found.file_size, item.file_size);
    cr_assert_eq(found.bytes, item.bytes);
    cr_assert_eq(found.created_ms, item.created_ms);
    cr_assert_eq(found.footer_crc, item.footer_crc);
    cr_assert_eq(found.stream_count, item.stream_count);
    cr_assert_eq(found.block_count, item.block_count);
}

Test(extent_format, items_that_contradict_themselves_are_refused)
{
    static const struct {
        size_t at, width;
    } fields[] = {{8, 8}, {16, 8}, {36, 4}, {40, 4}};
    uint8_t bytes[EXTENT_ITEM_SIZE];
    struct extent_item found;
    for (size_t i = 0; i < SL_COUNT_OF(fields); i++) {
        for (int change = -1; change <= 1; change += 2) {
            extent_item_encode(&item, bytes);
            uint64_t value = 0;
            memcpy(&value, bytes + fields[i].at, fields[i].width);
            value += (uint64_t)change;
            memcpy(bytes + fields[i].at, &value, fields[i].width);
            cr_assert_eq(extent_item_decode(1, sl_bytes_of(bytes, sizeof bytes), &found),
                         SLUICE_E_CORRUPT, "field %zu", i);
        }
    }
    extent_item_encode(&item, bytes);
    cr_assert_eq(extent_item_decode(1, sl_bytes_of(bytes, 47), &found), SLUICE_E_CORRUPT);
    cr_assert_eq(extent_item_decode(0, sl_bytes_of(bytes, 48), &found), SLUICE_E_CORRUPT);
    cr_assert_eq(extent_item_decode(2, sl_bytes_of(bytes, 48), &found), SLUICE_E_NEWER_FORMAT);
}

Test(extent_format, a_drop_names_an_id_that_can_be)
{
    uint8_t bytes[EXTENT_DROP_ITEM_SIZE];
    uint64_t id = 0;
    extent_drop_item_encode(WAL_PLACE_EXTENT - 1, bytes);
    cr_assert_eq(extent_drop_item_decode(1, sl_bytes_of(bytes, 8), &id), SLUICE_OK);
    cr_assert_eq(id, WAL_PLACE_EXTENT - 1);
    cr_assert_eq(extent_drop_item_decode(1, sl_bytes_of(bytes, 7), &id), SLUICE_E_CORRUPT);
    cr_assert_eq(extent_drop_item_decode(2, sl_bytes_of(bytes, 8), &id), SLUICE_E_NEWER_FORMAT);
    extent_drop_item_encode(WAL_PLACE_EXTENT, bytes);
    cr_assert_eq(extent_drop_item_decode(1, sl_bytes_of(bytes, 8), &id), SLUICE_E_CORRUPT);
    extent_drop_item_encode(0, bytes);
    cr_assert_eq(extent_drop_item_decode(1, sl_bytes_of(bytes, 8), &id), SLUICE_E_CORRUPT);
}

Test(extent_format, names_are_those_of_extents_only)
{
    cr_assert_eq(extent_name_id("00000000000000000012.ext"), 12);
    cr_assert_eq(extent_name_id("09223372036854775807.ext"), WAL_PLACE_EXTENT - 1);
    cr_assert_eq(extent_name_id("09223372036854775808.ext"), 0);
    cr_assert_eq(extent_name_id("99999999999999999999.ext"), 0);
    cr_assert_eq(extent_name_id("00000000000000000000.ext"), 0);
    cr_assert_eq(extent_name_id("12.ext"), 0);
    cr_assert_eq(extent_name_id("00000000000000000012.extra"), 0);
    cr_assert_eq(extent_name_id("0000000000000000001x.ext"), 0);
    cr_assert_eq(extent_name_id(""), 0);
}

/* ---- the table ---- */

Test(extent_table, finds_and_walks_ids_however_far_apart)
{
    static const uint64_t ids[] = {1,
                                   2,
                                   255,
                                   256,
                                   257,
                                   65535,
                                   65536,
                                   1ull << 32,
                                   (1ull << 32) + 1,
                                   1ull << 62,
                                   UINT64_MAX - 1};
    struct extent_table table;
    int entries[SL_COUNT_OF(ids)];
    extent_table_init(&table);
    cr_assert_null(extent_table_find(&table, 1));
    cr_assert_null(extent_table_from(&table, 0));
    cr_assert_eq(extent_table_reserve(&table, SL_COUNT_OF(ids)), SLUICE_OK);
    for (size_t i = SL_COUNT_OF(ids); i-- > 0;)
        extent_table_insert(&table, ids[i], &entries[i]);
    uint64_t next = 0;
    for (size_t i = 0; i < SL_COUNT_OF(ids); i++) {
        cr_assert_eq(extent_table_find(&table, ids[i]), &entries[i]);
        cr_assert_eq(extent_table_from(&table, next), &entries[i]);
        next = ids[i] + 1;
    }
    cr_assert_null(extent_table_from(&table, next));
    cr_assert_null(extent_table_find(&table, 3));
    for (size_t i = 0; i < SL_COUNT_OF(ids); i += 2)
        extent_table_remove(&table, ids[i]);
    for (size_t i = 0; i < SL_COUNT_OF(ids); i++)
        cr_assert_eq(extent_table_find(&table, ids[i]) != NULL, i % 2 == 1);
    for (size_t i = 1; i < SL_COUNT_OF(ids); i += 2)
        extent_table_remove(&table, ids[i]);
    extent_table_fini(&table);
}

Test(extent_table, needs_no_new_nodes_when_ids_come_and_go)
{
    struct extent_table table;
    int entry;
    extent_table_init(&table);
    cr_assert_eq(extent_table_reserve(&table, 3), SLUICE_OK);
    uint32_t spares = table.spare_count;
    for (uint64_t id = 1; id < 5000; id++) {
        extent_table_insert(&table, id, &entry);
        if (id > 1)
            extent_table_remove(&table, id - 1);
    }
    extent_table_remove(&table, 4999);
    cr_assert_eq(table.spare_count, spares);
    extent_table_fini(&table);
}
