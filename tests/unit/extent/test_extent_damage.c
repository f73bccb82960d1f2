/* test_extent_damage.c: flipped bits, cut ends, lies, files that belong elsewhere. */
#include "extent_fixture.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "extent/extent_block.h"
#include "extent/extent_inspect.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct image {
    uint8_t *bytes; /* in the disk */
    size_t size;
    struct extent_footer footer; /* borrows bytes */
    struct extent_item item;
};

static struct image image_of(struct fixture *fixture, const struct extent_item *item)
{
    struct image image = {.item = *item};
    struct extent_trailer trailer;
    image.bytes = fixture_bytes(fixture, item->id, &image.size);
    cr_assert_not_null(image.bytes);
    sl_err err =
        extent_trailer_decode(image.bytes + image.size - EXTENT_TRAILER, image.size, &trailer);
    if (err == SLUICE_OK)
        err = extent_footer_check(
            &trailer,
            sl_bytes_of(image.bytes + trailer.footer_position, (size_t)trailer.footer_size),
            &image.footer);
    cr_assert_eq(err, SLUICE_OK);
    return image;
}

/* An extent of a MiB in blocks of about 16 KiB (the leader epoch cuts them). Nothing is open. */
static struct extent_item mebibyte_write(struct fixture *fixture)
{
    struct sl_buffer batches;
    struct extent_item item;
    struct sl_file *file;
    fixture_start(fixture);
    sl_buffer_init(&batches, 16u << 20);
    struct extent_writer *writer = fixture_writer(fixture, 1);
    sl_err err = SLUICE_OK;
    for (uint8_t topic_number = 1; topic_number <= 4 && err == SLUICE_OK; topic_number++) {
        struct sl_uuid topic = fixture_topic(topic_number);
        sl_buffer_reset(&batches);
        for (int32_t i = 0; i < 64; i++)
            fixture_batch(&batches, i, 0, i / 4, 4000);
        err = extent_writer_stream(writer, &topic, 0);
        if (err == SLUICE_OK)
            err = extent_writer_add(writer, sl_buffer_bytes(&batches));
    }
    if (err == SLUICE_OK)
        err = extent_writer_finish(writer, &item, &file);
    cr_assert_eq(err, SLUICE_OK);
    sl_file_close(file);
    extent_writer_free(writer);
    sl_buffer_fini(&batches);
    fixture_log_extent(fixture, &item);
    fixture_kill(fixture);
    return item;
}

static bool load_refuses(struct fixture *fixture)
{
    memset(fixture->problem, 0, sizeof fixture->problem);
    sl_err err = fixture_open(fixture);
    if (err == SLUICE_OK)
        fixture_kill(fixture);
    else
        cr_assert_neq(strstr(fixture->problem, ".ext"), NULL, "%d: %s", err, fixture->problem);
    return err != SLUICE_OK;
}

Test(extent_damage, every_flipped_bit_around_the_batches_is_refused_at_load)
{
    struct fixture *fixture = fixture_new();
    struct extent_item item = mebibyte_write(fixture);
    struct image image = image_of(fixture, &item);
    for (size_t at = 0; at < image.size; at++) {
        if (at == EXTENT_HEADER)
            at = (size_t)image.footer.trailer.footer_position;
        uint8_t bit = (uint8_t)(1u << (at * 5 % 8));
        image.bytes[at] ^= bit;
        cr_assert(load_refuses(fixture), "byte %zu", at);
        image.bytes[at] ^= bit;
    }
    cr_assert_not(load_refuses(fixture));
    fixture_free(fixture);
}

Test(extent_damage, every_flipped_bit_in_the_batches_is_seen_by_the_crc_of_its_block)
{
    struct fixture *fixture = fixture_new();
    struct extent_item item = mebibyte_write(fixture);
    struct image image = image_of(fixture, &item);
    size_t checked = EXTENT_HEADER;
    cr_assert_geq(image.size, 1u << 20);
    for (uint32_t i = 0; i < image.footer.trailer.block_count; i++) {
        struct extent_block block = extent_footer_block(&image.footer, i);
        struct sl_bytes bytes = sl_bytes_of(image.bytes + block.position, block.size);
        cr_assert_eq(block.position, checked);
        cr_assert_eq(extent_block_check(&block, bytes), SLUICE_OK);
        for (size_t at = checked; at < checked + block.size; at++) {
            image.bytes[at] ^= (uint8_t)(1u << (at * 5 % 8));
            cr_assert_eq(extent_block_check(&block, bytes), SLUICE_E_CORRUPT, "byte %zu", at);
            image.bytes[at] ^= (uint8_t)(1u << (at * 5 % 8));
        }
        checked += block.size;
    }
    cr_assert_eq(checked, image.footer.trailer.footer_position, "no byte is left out");
    fixture_free(fixture);
}

static sl_err on_damage(void *arg, const struct extent_stream *stream,
                        const struct extent_block *block)
{
    uint64_t *positions = arg;
    (void)stream;
    positions[positions[0] == 0 ? 0 : 1] = block->position;
    return SLUICE_OK;
}

Test(extent_damage, an_inspection_tells_every_damaged_block_and_goes_on)
{
    static const struct extent_inspect_events events = {.damage = on_damage};
    struct fixture *fixture = fixture_new();
    struct extent_item item = mebibyte_write(fixture);
    struct image image = image_of(fixture, &item);
    struct extent_block third = extent_footer_block(&image.footer, 3);
    struct extent_block last = extent_footer_block(&image.footer, item.block_count - 1);
    struct extent_report report;
    uint64_t positions[2] = {0, 0};
    char where[64];
    image.bytes[third.position + 9] ^= 1; /* a length, which no CRC of a batch covers */
    image.bytes[last.position + last.size - 1] ^= 1;
    fixture_start(fixture); /* a start does not read batches */
    cr_assert_eq(extent_inspect(fixture->os, FIXTURE_EXTENTS "/00000000000000000001.ext", true,
                                &events, positions, &report),
                 SLUICE_E_CORRUPT);
    cr_assert_eq(report.damaged_blocks, 2);
    cr_assert_eq(report.batch_count, 4 * 64 - 2 * 4, "those of the sound blocks");
    cr_assert_eq(report.bytes_read, item.bytes);
    cr_assert_eq(positions[0], third.position);
    cr_assert_eq(positions[1], last.position);
    snprintf(where, sizeof where, "at %zu, offsets 12 to 15", (size_t)third.position);
    cr_assert_neq(strstr(report.problem, where), NULL, "%s", report.problem);
    fixture_free(fixture);
}

static sl_err file_resize(struct fixture *fixture, uint64_t size)
{
    struct sl_os *os;
    struct sl_file *file;
    sl_err err = sl_os_sim_new(3, fixture->disk, NULL, &os);
    cr_assert_eq(err, SLUICE_OK);
    err = sl_file_open(os, FIXTURE_EXTENTS "/00000000000000000001.ext", SL_FILE_WRITE, &file);
    if (err == SLUICE_OK) {
        err = sl_file_truncate(file, size);
        sl_file_close(file);
    }
    sl_os_free(os);
    return err;
}

Test(extent_damage, every_cut_of_the_tail_is_refused)
{
    struct fixture *fixture = fixture_new();
    struct extent_item item = mebibyte_write(fixture);
    struct image image = image_of(fixture, &item);
    uint64_t low = image.footer.trailer.footer_position - 8192;
    cr_assert_eq(file_resize(fixture, item.file_size + 1), SLUICE_OK);
    cr_assert(load_refuses(fixture), "one byte more");
    for (uint64_t size = item.file_size - 1; size > low; size--) {
        cr_assert_eq(file_resize(fixture, size), SLUICE_OK);
        cr_assert(load_refuses(fixture), "%zu bytes", (size_t)size);
    }
    for (uint64_t size = 0; size < EXTENT_HEADER + EXTENT_TRAILER; size += 61) {
        cr_assert_eq(file_resize(fixture, size), SLUICE_OK);
        cr_assert(load_refuses(fixture), "%zu bytes", (size_t)size);
    }
    fixture_free(fixture);
}

Test(extent_damage, zeroed_and_swapped_blocks_are_refused)
{
    struct fixture *fixture = fixture_new();
    struct extent_item item = mebibyte_write(fixture);
    struct image image = image_of(fixture, &item);
    struct extent_block first = extent_footer_block(&image.footer, 0);
    struct extent_block other = extent_footer_block(&image.footer, 16); /* another topic's */
    cr_assert_eq(first.size, other.size);
    cr_assert_eq(first.crc, other.crc, "the same bytes");
    struct extent_block second = extent_footer_block(&image.footer, 1);
    struct sl_bytes bytes = sl_bytes_of(image.bytes + second.position, second.size);
    cr_assert_eq(extent_block_check(&first, bytes), SLUICE_E_CORRUPT);
    memset(image.bytes + first.position, 0, 4096);
    bytes = sl_bytes_of(image.bytes + first.position, first.size);
    cr_assert_eq(extent_block_check(&first, bytes), SLUICE_E_CORRUPT);
    fixture_free(fixture);
}

Test(extent_damage, a_missing_file_is_named)
{
    struct fixture *fixture = fixture_new();
    mebibyte_write(fixture);
    struct sl_os *os;
    sl_err err = sl_os_sim_new(3, fixture->disk, NULL, &os);
    if (err == SLUICE_OK)
        err = sl_path_remove(os, FIXTURE_EXTENTS "/00000000000000000001.ext");
    cr_assert_eq(err, SLUICE_OK);
    sl_os_free(os);
    cr_assert_eq(fixture_open(fixture), SLUICE_E_CORRUPT);
    cr_assert_neq(strstr(fixture->problem, "00000000000000000001.ext is missing"), NULL, "%s",
                  fixture->problem);
    fixture_free(fixture);
}

Test(extent_damage, nothing_is_removed_when_a_load_fails)
{
    struct fixture *fixture = fixture_new();
    size_t size;
    mebibyte_write(fixture);
    fixture_start(fixture);
    fixture_extent(fixture, 1, 1, 10);
    struct extent_item third = fixture_extent(fixture, 1, 1, 10);
    fixture->item_count--;
    fixture_kill(fixture);
    fixture_bytes(fixture, 1, &size)[20] ^= 1;
    cr_assert(load_refuses(fixture));
    cr_assert_not_null(fixture_bytes(fixture, third.id, &size));
    fixture_free(fixture);
}

Test(extent_damage, files_of_others_are_refused)
{
    struct fixture *fixture = fixture_new();
    mebibyte_write(fixture);
    fixture->shard = 1;
    cr_assert_eq(fixture_open(fixture), SLUICE_E_FOREIGN);
    cr_assert_neq(strstr(fixture->problem, "belongs to shard 0, not 1"), NULL, "%s",
                  fixture->problem);
    fixture->shard = 0;
    fixture->cluster.b[15] = 1;
    cr_assert_eq(fixture_open(fixture), SLUICE_E_FOREIGN);
    cr_assert_neq(strstr(fixture->problem, "another cluster"), NULL, "%s", fixture->problem);
    fixture_free(fixture);
}

Test(extent_damage, an_extent_under_the_name_of_another_is_refused)
{
    struct fixture *fixture = fixture_new();
    struct sl_os *os;
    fixture_start(fixture);
    fixture_extent(fixture, 1, 3, 100);
    fixture_extent(fixture, 1, 3, 100); /* the same bytes but for the id */
    fixture_kill(fixture);
    sl_err err = sl_os_sim_new(3, fixture->disk, NULL, &os);
    if (err == SLUICE_OK)
        err = sl_path_rename(os, FIXTURE_EXTENTS "/00000000000000000002.ext",
                             FIXTURE_EXTENTS "/00000000000000000001.ext");
    cr_assert_eq(err, SLUICE_OK);
    sl_os_free(os);
    cr_assert_eq(fixture_open(fixture), SLUICE_E_CORRUPT);
    cr_assert_neq(strstr(fixture->problem, "is extent 2 under another's name"), NULL, "%s",
                  fixture->problem);
    fixture_free(fixture);
}

Test(extent_damage, a_sound_file_that_is_not_the_one_of_the_item_is_refused)
{
    struct fixture *fixture = fixture_new();
    struct extent_item item = mebibyte_write(fixture);
    struct extent_item others[] = {item, item, item};
    others[0].footer_crc++;
    others[1].created_ms++;
    others[2].stream_count -= 2; /* footers of the same size */
    others[2].block_count += 3;
    for (size_t i = 0; i < SL_COUNT_OF(others); i++) {
        fixture->item_count = 0;
        fixture_log_extent(fixture, &others[i]);
        cr_assert_eq(fixture_open(fixture), SLUICE_E_CORRUPT, "item %zu", i);
        cr_assert_neq(strstr(fixture->problem, "is not that of extent 1"), NULL, "%s",
                      fixture->problem);
    }
    fixture_free(fixture);
}

/* ---- what cannot be read (a bad sector) ---- */

#define EXTENT_1 FIXTURE_EXTENTS "/00000000000000000001.ext"

Test(extent_damage, a_header_footer_or_trailer_that_cannot_be_read_is_refused_by_place)
{
    struct fixture *fixture = fixture_new();
    struct extent_item item = mebibyte_write(fixture);
    struct image image = image_of(fixture, &item);
    const uint64_t places[] = {0, image.footer.trailer.footer_position,
                               image.footer.trailer.footer_position + 700,
                               item.file_size - EXTENT_TRAILER};
    for (size_t i = 0; i < SL_COUNT_OF(places); i++) {
        size_t size = 0;
        uint64_t told = 0;
        sl_sim_disk_spoil(fixture->disk, EXTENT_1, places[i], 64);
        cr_assert_eq(fixture_open(fixture), SLUICE_E_CORRUPT, "place %zu", i);
        const char *name = strstr(fixture->problem, "1.ext: ");
        cr_assert_not_null(name, "%s", fixture->problem);
        int found = sscanf(name, "1.ext: %zu bytes at %lu cannot be read", &size, &told);
        cr_assert_eq(found, 2, "%s", fixture->problem);
        cr_assert(told <= places[i] && places[i] < told + size, "%s", fixture->problem);
        cr_assert_not_null(strstr(fixture->problem, "restore the file"), "%s", fixture->problem);
    }
    sl_sim_disk_spoil(fixture->disk, EXTENT_1, 0, 0);
    cr_assert_not(load_refuses(fixture));
    fixture_free(fixture);
}

Test(extent_damage, a_block_that_cannot_be_read_is_refused_to_its_readers_alone)
{
    static uint8_t bytes[1u << 20];
    struct fixture *fixture = fixture_new();
    struct extent_item item = mebibyte_write(fixture);
    struct image image = image_of(fixture, &item);
    struct extent_block third = extent_footer_block(&image.footer, 3);
    sl_sim_disk_spoil(fixture->disk, EXTENT_1, third.position + third.size / 2, 512);
    fixture_start(fixture);
    for (uint32_t i = 0; i < item.block_count; i++) {
        struct extent_block block = extent_footer_block(&image.footer, i);
        struct wal_place place = fixture_place(item.id, &block);
        sl_err err = fixture_read(fixture, &place, bytes);
        cr_assert_eq(err, i == 3 ? SLUICE_E_IO : SLUICE_OK, "block %u", i);
    }
    fixture_free(fixture);
}

static void header_reseal(uint8_t *header)
{
    sl_le32_store(header + 8, sl_crc32c(header + 12, EXTENT_HEADER_USED - 12));
}

Test(extent_damage, newer_formats_are_told_from_damage)
{
    struct fixture *fixture = fixture_new();
    size_t size;
    mebibyte_write(fixture);
    uint8_t *bytes = fixture_bytes(fixture, 1, &size);
    sl_le16_store(bytes + 12, EXTENT_FORMAT_MAJOR + 1);
    header_reseal(bytes);
    cr_assert_eq(fixture_open(fixture), SLUICE_E_NEWER_FORMAT);
    sl_le16_store(bytes + 12, EXTENT_FORMAT_MAJOR);
    sl_le64_store(bytes + 24, 4); /* an incompatible feature */
    header_reseal(bytes);
    cr_assert_eq(fixture_open(fixture), SLUICE_E_NEWER_FORMAT);
    sl_le64_store(bytes + 24, 0);
    sl_le64_store(bytes + 16, 4); /* a compatible one */
    sl_le16_store(bytes + 14, 9); /* of a later minor */
    header_reseal(bytes);
    cr_assert_not(load_refuses(fixture));
    fixture_free(fixture);
}

/* ---- lies under a CRC that holds ---- */

#define LIE_STREAMS 3u
#define LIE_BLOCKS  7u

/* A footer of 3 streams with 2, 1 and 4 blocks, and the bytes that they describe. */
struct lie {
    struct fixture *fixture;
    struct extent_trailer trailer;
    uint8_t footer[LIE_STREAMS * EXTENT_STREAM_ENTRY + LIE_BLOCKS * EXTENT_BLOCK_ENTRY];
    uint8_t *bytes;
    size_t size;
};

static struct lie lie_new(void)
{
    static const int32_t epochs[LIE_STREAMS] = {2, 1, 4};
    struct lie lie = {.fixture = fixture_new()};
    struct sl_buffer batches;
    struct extent_item item;
    struct sl_file *file;
    sl_buffer_init(&batches, 1u << 20);
    fixture_start(lie.fixture);
    struct extent_writer *writer = fixture_writer(lie.fixture, 1);
    sl_err err = SLUICE_OK;
    for (uint8_t i = 0; i < LIE_STREAMS && err == SLUICE_OK; i++) {
        struct sl_uuid topic = fixture_topic(i);
        sl_buffer_reset(&batches);
        for (int32_t epoch = 0; epoch < epochs[i]; epoch++)
            fixture_batch(&batches, 1 + 2 * epoch, 1, epoch, 100);
        err = extent_writer_stream(writer, &topic, 0);
        if (err == SLUICE_OK)
            err = extent_writer_add(writer, sl_buffer_bytes(&batches));
    }
    if (err == SLUICE_OK)
        err = extent_writer_finish(writer, &item, &file);
    cr_assert_eq(err, SLUICE_OK);
    struct extent_footer footer = extent_writer_footer(writer);
    lie.trailer = footer.trailer;
    cr_assert_eq(footer.bytes.size, sizeof lie.footer);
    memcpy(lie.footer, footer.bytes.data, sizeof lie.footer);
    sl_file_close(file);
    extent_writer_free(writer);
    sl_buffer_fini(&batches);
    lie.bytes = fixture_bytes(lie.fixture, 1, &lie.size);
    return lie;
}

/* Whether a reader notices: at load, or when it reads the blocks. */
static bool lie_is_noticed(struct lie *lie)
{
    struct extent_footer footer;
    bool noticed = false;
    lie->trailer.footer_crc = sl_crc32c(lie->footer, sizeof lie->footer);
    sl_err err =
        extent_footer_check(&lie->trailer, sl_bytes_of(lie->footer, sizeof lie->footer), &footer);
    if (err != SLUICE_OK)
        return true;
    for (uint32_t i = 0; i < LIE_BLOCKS; i++) {
        struct extent_block block = extent_footer_block(&footer, i);
        err = extent_block_check(&block, sl_bytes_of(lie->bytes + block.position, block.size));
        noticed = noticed || err != SLUICE_OK;
    }
    return noticed;
}

static void field_lies(struct lie *lie, uint8_t *field, size_t width, const char *what, uint32_t i)
{
    static const uint64_t lies[] = {1, UINT64_MAX, 1u << 31, 1ull << 32, 1ull << 63};
    uint64_t truth = 0;
    memcpy(&truth, field, width);
    for (size_t n = 0; n < SL_COUNT_OF(lies); n++) {
        uint64_t told = truth + lies[n];
        memcpy(field, &told, width);
        if (memcmp(field, &truth, width) != 0)
            cr_assert(lie_is_noticed(lie), "%s of %u: %llx", what, i, (unsigned long long)told);
    }
    memcpy(field, &truth, width);
}

Test(extent_damage, a_footer_that_lies_in_any_field_is_refused)
{
    static const struct {
        const char *name;
        size_t at, width;
    } stream_fields[] = {{"first block", 20, 4}, {"block count", 24, 4},   {"base offset", 32, 8},
                         {"last offset", 40, 8}, {"max timestamp", 48, 8}, {"position", 56, 8},
                         {"bytes", 64, 8}},
      block_fields[] = {{"base offset", 0, 8}, {"last offset", 8, 8}, {"max timestamp", 16, 8},
                        {"position", 24, 8},   {"size", 32, 4},       {"leader epoch", 36, 4},
                        {"crc", 40, 4}};
    struct lie lie = lie_new();
    cr_assert_not(lie_is_noticed(&lie));
    for (uint32_t i = 0; i < LIE_STREAMS; i++) {
        for (size_t n = 0; n < SL_COUNT_OF(stream_fields); n++)
            field_lies(&lie, lie.footer + i * EXTENT_STREAM_ENTRY + stream_fields[n].at,
                       stream_fields[n].width, stream_fields[n].name, i);
    }
    for (uint32_t i = 0; i < LIE_BLOCKS; i++) {
        uint8_t *entry = lie.footer + LIE_STREAMS * EXTENT_STREAM_ENTRY + i * EXTENT_BLOCK_ENTRY;
        for (size_t n = 0; n < SL_COUNT_OF(block_fields); n++)
            field_lies(&lie, entry + block_fields[n].at, block_fields[n].width,
                       block_fields[n].name, i);
    }
    cr_assert_not(lie_is_noticed(&lie));
    fixture_free(lie.fixture);
}

Test(extent_damage, a_footer_with_an_impossible_or_repeated_stream_is_refused)
{
    struct lie lie = lie_new();
    uint8_t *first = lie.footer;
    uint8_t *third = lie.footer + 2 * EXTENT_STREAM_ENTRY;
    uint8_t topic[20];
    memcpy(topic, third, sizeof topic);
    memcpy(third, first, sizeof topic);
    cr_assert(lie_is_noticed(&lie), "twice");
    memset(third, 0, sizeof topic);
    cr_assert(lie_is_noticed(&lie), "no topic");
    memcpy(third, topic, sizeof topic);
    sl_le32_store(third + 16, 1u << 31);
    cr_assert(lie_is_noticed(&lie), "partition below zero");
    memcpy(third, topic, sizeof topic);
    cr_assert_not(lie_is_noticed(&lie));
    fixture_free(lie.fixture);
}

Test(extent_damage, a_trailer_that_lies_is_refused)
{
    static const struct {
        const char *name;
        size_t at, width;
    } fields[] = {{"footer position", 24, 8}, {"footer size", 32, 8}, {"stream count", 40, 4},
                  {"block count", 44, 4},     {"footer crc", 48, 4},  {"id", 16, 8}};
    static const uint64_t lies[] = {1, UINT64_MAX, 1u << 31, 1ull << 32, 1ull << 63};
    struct lie lie = lie_new();
    const struct extent_item item = {.id = 1,
                                     .file_size = lie.size,
                                     .bytes = lie.trailer.footer_position - EXTENT_HEADER,
                                     .created_ms = 1764000000000,
                                     .footer_crc = lie.trailer.footer_crc,
                                     .stream_count = LIE_STREAMS,
                                     .block_count = LIE_BLOCKS};
    uint8_t *trailer = lie.bytes + lie.size - EXTENT_TRAILER;
    fixture_log_extent(lie.fixture, &item);
    fixture_kill(lie.fixture);
    cr_assert_not(load_refuses(lie.fixture));
    for (size_t i = 0; i < SL_COUNT_OF(fields) * SL_COUNT_OF(lies); i++) {
        size_t at = fields[i / SL_COUNT_OF(lies)].at;
        size_t width = fields[i / SL_COUNT_OF(lies)].width;
        uint64_t truth = 0;
        memcpy(&truth, trailer + at, width);
        uint64_t told = truth + lies[i % SL_COUNT_OF(lies)];
        memcpy(trailer + at, &told, width);
        sl_le32_store(trailer + 8, sl_crc32c(trailer + 12, EXTENT_TRAILER - 12));
        if (memcmp(trailer + at, &truth, width) != 0)
            cr_assert(load_refuses(lie.fixture), "%s", fields[i / SL_COUNT_OF(lies)].name);
        memcpy(trailer + at, &truth, width);
    }
    fixture_free(lie.fixture);
}
