/* fuzz_extent.c: arbitrary bytes as an extent file, read by a start and by the inspector, and as
 * items of frames.
 *
 * Input: a byte of choices, then the file without the zeros between its header (128 bytes) and its
 * batches. CRCs would stop nearly every mutation at the first check, so they are made right where
 * the choices say so: header, trailer with the CRC of the footer, blocks, batches. */
#include "base/bytes.h"
#include "base/crc32c.h"
#include "extent/extent_block.h"
#include "extent/extent_inspect.h"
#include "extent/extent_set.h"
#include "os/os_sim.h"

#include <string.h>

#define INPUT_MAX   (64u * 1024)
#define SEAL_FRAME  (1u << 0) /* header and trailer */
#define SEAL_BLOCKS (1u << 1) /* and blocks and batches */
#define ITEMS       (1u << 2) /* the input is the payload of an item */
#define ENTRY_CRC   40u       /* in a block entry */
#define PATH        "/s/ext/00000000000000000001.ext"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t bytes[EXTENT_HEADER + INPUT_MAX];

static void batches_seal(uint8_t *at, size_t size)
{
    struct batch_view batch;
    while (size >= BATCH_HEADER_SIZE &&
           batch_view_init(&batch, sl_bytes_of(at, size)) == SLUICE_OK) {
        sl_be32_store(at + BATCH_CRC_AT, batch_view_computed_crc(&batch));
        at += batch.size;
        size -= batch.size;
    }
}

static void block_seal(uint8_t *entry, size_t file_size)
{
    uint64_t position = sl_le64_load(entry + 24);
    uint32_t size = sl_le32_load(entry + 32);
    if (position > file_size || size > file_size - position)
        return;
    batches_seal(bytes + position, size);
    sl_le32_store(entry + ENTRY_CRC, sl_crc32c(bytes + position, size));
}

static void file_seal(size_t size, bool seal_blocks)
{
    uint8_t *trailer = bytes + size - EXTENT_TRAILER;
    uint64_t position = sl_le64_load(trailer + 24);
    uint64_t footer = sl_le64_load(trailer + 32);
    uint32_t streams = sl_le32_load(trailer + 40);
    uint32_t blocks = sl_le32_load(trailer + 44);
    if (position <= size && footer <= size - position) {
        bool fits = extent_footer_size(streams, blocks) == footer;
        for (uint32_t i = 0; i < blocks && fits && seal_blocks; i++)
            block_seal(bytes + position + extent_footer_size(streams, i), size);
        sl_le32_store(trailer + 48, sl_crc32c(bytes + position, (size_t)footer));
    }
    sl_le32_store(trailer + 8, sl_crc32c(trailer + 12, EXTENT_TRAILER - 12));
    sl_le32_store(bytes + 8, sl_crc32c(bytes + 12, EXTENT_HEADER_USED - 12));
}

static void file_put(struct sl_os *os, size_t size)
{
    struct sl_file *file;
    const struct sl_iovec piece = {bytes, size};
    sl_err err = sl_dir_make(os, "/s/ext");
    SL_ASSERT(err == SLUICE_OK);
    err = sl_file_open(os, PATH, SL_FILE_WRITE | SL_FILE_CREATE, &file);
    SL_ASSERT(err == SLUICE_OK);
    err = sl_file_pwritev(file, &piece, 1, 0);
    SL_ASSERT(err == SLUICE_OK);
    sl_file_close(file);
}

/* What an item would say of it, if it says anything. */
static struct extent_item item_of(size_t size)
{
    struct extent_item item = {.id = 1, .file_size = size};
    struct extent_trailer trailer;
    if (extent_trailer_decode(bytes + size - EXTENT_TRAILER, size, &trailer) != SLUICE_OK)
        return item;
    item.bytes = trailer.footer_position - EXTENT_HEADER;
    item.created_ms = (int64_t)sl_le64_load(bytes + 64);
    item.footer_crc = trailer.footer_crc;
    item.stream_count = trailer.stream_count;
    item.block_count = trailer.block_count;
    return item;
}

static sl_err on_found(void *arg, const struct extent_item *item,
                       const struct extent_footer *footer)
{
    struct extent_set *set = arg;
    for (uint32_t i = 0; i < footer->trailer.block_count; i++) {
        struct extent_block block = extent_footer_block(footer, i);
        const struct wal_place place = {item->id | WAL_PLACE_EXTENT, block.position, block.size};
        extent_set_hold(set, &place);
    }
    return SLUICE_OK;
}

static void set_try(struct sl_os *os, size_t size)
{
    const struct extent_item item = item_of(size);
    struct sl_loop *loop;
    struct extent_set *set;
    uint8_t payload[EXTENT_ITEM_SIZE];
    char problem[EXTENT_PROBLEM_BYTES];
    sl_err err = sl_loop_new(os, "fuzz", -1, &loop);
    SL_ASSERT(err == SLUICE_OK);
    struct extent_set_config config = {
        .os = os, .loop = loop, .directory = "/s", .open_files_max = 1};
    memcpy(config.cluster.b, bytes + 32, sizeof config.cluster.b);
    config.shard = sl_le32_load(bytes + 48);
    err = extent_set_new(&config, &set);
    SL_ASSERT(err == SLUICE_OK);
    extent_item_encode(&item, payload);
    err = extent_set_apply(set, WAL_ITEM_EXTENT, 1, sl_bytes_of(payload, sizeof payload));
    if (err == SLUICE_OK) {
        err = extent_set_load(set, on_found, set, problem);
        SL_ASSERT(err == SLUICE_OK || problem[0] != '\0');
        struct extent_set_status status;
        extent_set_status_get(set, &status);
        SL_ASSERT(err != SLUICE_OK || status.live_bytes == item.bytes);
    }
    extent_set_free(set);
    sl_loop_free(loop);
}

static sl_err on_batch(void *arg, const struct extent_stream *stream, uint64_t position,
                       const struct batch_view *batch)
{
    uint64_t *total = arg;
    SL_ASSERT(position >= stream->position && batch_view_check_crc(batch) == SLUICE_OK);
    *total += batch->size;
    return SLUICE_OK;
}

static void inspect_try(struct sl_os *os, size_t size)
{
    static const struct extent_inspect_events events = {.batch = on_batch};
    struct extent_report report;
    uint64_t total = 0;
    sl_err err = extent_inspect(os, PATH, true, &events, &total, &report);
    SL_ASSERT(err == SLUICE_OK || report.problem[0] != '\0');
    if (err == SLUICE_OK)
        SL_ASSERT(total + EXTENT_HEADER + EXTENT_TRAILER +
                      extent_footer_size(report.stream_count, report.block_count) ==
                  size);
}

static void items_try(struct sl_bytes payload)
{
    struct extent_item item;
    uint64_t id;
    if (extent_item_decode(EXTENT_ITEM_VERSION, payload, &item) == SLUICE_OK) {
        uint8_t again[EXTENT_ITEM_SIZE];
        extent_item_encode(&item, again);
        SL_ASSERT(memcmp(again, payload.data, 44) == 0); /* then zeros that are not looked at */
    }
    if (extent_drop_item_decode(EXTENT_DROP_ITEM_VERSION, payload, &id) == SLUICE_OK)
        SL_ASSERT(id > 0 && id < WAL_PLACE_EXTENT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 + EXTENT_DROP_ITEM_SIZE || size > INPUT_MAX)
        return 0;
    uint8_t choices = data[0];
    data++;
    size--;
    if (choices & ITEMS) {
        items_try(sl_bytes_of(data, size));
        return 0;
    }
    size_t head = SL_MIN(size, (size_t)EXTENT_HEADER_USED);
    memset(bytes, 0, sizeof bytes);
    memcpy(bytes, data, head);
    memcpy(bytes + EXTENT_HEADER, data + head, size - head);
    size = EXTENT_HEADER + size - head;
    if (choices & (SEAL_FRAME | SEAL_BLOCKS))
        file_seal(size, (choices & SEAL_BLOCKS) != 0);
    struct sl_sim_disk *disk = sl_sim_disk_new(1);
    struct sl_os *os;
    sl_err err = sl_os_sim_new(1, disk, NULL, &os);
    SL_ASSERT(err == SLUICE_OK);
    file_put(os, size);
    inspect_try(os, size);
    set_try(os, size);
    sl_os_free(os);
    sl_sim_disk_free(disk);
    return 0;
}
