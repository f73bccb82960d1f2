/* fuzz_wal_frame.c: arbitrary bytes as segment, checkpoint, frame header, directory and index
 * items.
 *
 * The first byte chooses what the rest is. CRCs would stop nearly every mutation at the first
 * check, so that the input is also tried with its CRCs made right (bit 7 of the first byte). */
#include "base/bytes.h"
#include "base/crc32c.h"
#include "index/batch_item.h"
#include "os/os_sim.h"
#include "wal/wal_inspect.h"
#include "wal/wal_scan.h"

#include <string.h>

#define INPUT_MAX (64u * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Makes the CRCs of a header of 128 bytes right. */
static void header_seal(uint8_t *header)
{
    sl_le32_store(header + 8, sl_crc32c(header + 12, 116));
}

static void frame_seal(uint8_t *frame, size_t size)
{
    size_t directory = sl_le32_load(frame + 92);
    if (directory <= size - WAL_FRAME_HEADER)
        sl_le32_store(frame + 104, sl_crc32c(frame + WAL_FRAME_HEADER, directory));
    size_t body = (size_t)SL_MIN(sl_le64_load(frame + 96), (uint64_t)INPUT_MAX);
    if (directory <= size - WAL_FRAME_HEADER && body <= size - WAL_FRAME_HEADER - directory)
        sl_le32_store(frame + 108, sl_crc32c(frame + WAL_FRAME_HEADER + directory, body));
    sl_le32_store(frame + 64, sl_crc32c(frame + 68, 60));
    sl_le32_store(frame + 4, sl_crc32c(frame + 8, 120));
}

static void file_put(struct sl_os *os, const char *path, const uint8_t *bytes, size_t size)
{
    struct sl_file *file;
    const struct sl_iovec piece = {(void *)(uintptr_t)bytes, size};
    sl_err err = sl_file_open(os, path, SL_FILE_WRITE | SL_FILE_CREATE, &file);
    SL_ASSERT(err == SLUICE_OK);
    err = sl_file_pwritev(file, &piece, 1, 0);
    SL_ASSERT(err == SLUICE_OK);
    sl_file_close(file);
}

static sl_err on_item(void *arg, uint64_t lsn, const struct wal_item_view *item,
                      const struct wal_place *place)
{
    struct batch_item batch;
    struct bounds_item bounds;
    uint64_t *sum = arg;
    sl_err err = batch_item_decode(item->version, item->payload, &batch);
    if (err != SLUICE_OK)
        err = bounds_item_decode(item->version, item->payload, &bounds);
    *sum += lsn + place->size + (err == SLUICE_OK) + item->payload.size;
    for (size_t i = 0; i < item->payload.size; i++)
        *sum += item->payload.data[i];
    return SLUICE_OK;
}

static void directory_try(struct sl_bytes segment, struct sl_bytes checkpoint)
{
    static const struct wal_inspect_events events = {.item = on_item};
    struct sl_sim_disk *disk = sl_sim_disk_new(1);
    struct sl_os *os;
    struct wal_recovery report;
    uint64_t sum = 0;
    sl_err err = sl_os_sim_new(1, disk, NULL, &os);
    SL_ASSERT(err == SLUICE_OK);
    err = sl_dir_make(os, "/s/wal");
    SL_ASSERT(err == SLUICE_OK);
    if (segment.size > 0)
        file_put(os, "/s/wal/00000000000000000001.seg", segment.data, segment.size);
    if (checkpoint.size > 0)
        file_put(os, "/s/wal/checkpoint-0", checkpoint.data, checkpoint.size);
    err = wal_inspect(os, "/s", true, &events, &sum, &report);
    SL_ASSERT(err == SLUICE_OK || report.problem[0] != '\0');
    sl_os_free(os);
    sl_sim_disk_free(disk);
}

static void items_try(struct sl_bytes bytes)
{
    struct wal_item_walk walk;
    struct wal_item_view item;
    const struct wal_place nowhere = {0, 0, 0};
    uint64_t sum = 0;
    wal_item_walk_init(&walk, bytes);
    while (wal_item_walk_next(&walk, &item)) {
        sl_err err = on_item(&sum, 1, &item, &nowhere);
        SL_ASSERT(err == SLUICE_OK);
    }
}

/* A segment: header, then frames that begin at blocks. */
static void segment_try(uint8_t *bytes, size_t size, bool seal)
{
    if (seal && size >= WAL_HEADER_USED)
        header_seal(bytes);
    for (size_t at = WAL_BLOCK; seal && at + WAL_FRAME_HEADER <= size; at += WAL_BLOCK)
        frame_seal(bytes + at, size - at);
    directory_try(sl_bytes_of(bytes, size), sl_bytes_of(NULL, 0));
}

static void checkpoint_try(uint8_t *bytes, size_t size, bool seal)
{
    if (seal && size >= WAL_CHECKPOINT_HEADER) {
        sl_le64_store(bytes + 96, size - WAL_CHECKPOINT_HEADER);
        sl_le32_store(bytes + 116,
                      sl_crc32c(bytes + WAL_CHECKPOINT_HEADER, size - WAL_CHECKPOINT_HEADER));
        header_seal(bytes);
    }
    directory_try(sl_bytes_of(NULL, 0), sl_bytes_of(bytes, size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[INPUT_MAX];
    if (size < 1 || size > INPUT_MAX)
        return 0;
    bool seal = (data[0] & 0x80) != 0;
    uint32_t what = data[0] & 3;
    memset(bytes, 0, sizeof bytes);
    memcpy(bytes, data + 1, size - 1);
    if (what == 0)
        segment_try(bytes, size - 1, seal);
    else if (what == 1)
        checkpoint_try(bytes, size - 1, seal);
    else
        items_try(sl_bytes_of(bytes, size - 1));
    return 0;
}
