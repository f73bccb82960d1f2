/* extent_samples.c: extent_samples DIRECTORY: writes extents with the broker's writer, and says on
 * standard output what was given to it:
 *   extent ID SHARD CREATED
 *   range                    before the first batch of a range
 *   batch TOPIC PARTITION BASE LAST EPOCH TIMESTAMP HEX
 * For tests/formats/test_extent_reader.py, which compares that with what it reads from the files.
 */
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "extent/extent_promote.h"
#include "extent/extent_writer.h"
#include "os/os_uv.h"
#include "record/batch_builder.h"
#include "wal/wal_format.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sample {
    uint64_t id;
    uint32_t stream_count;
    uint32_t batch_count; /* of each stream */
    size_t value_size;    /* of the first batch; grows */
    int32_t epoch_every;  /* batches to a leader epoch */
    int64_t base;
    int64_t hole;         /* offsets left out between batches */
    uint32_t range_every; /* batches to a range; 0: one range */
};

/* One of each shape: the smallest; many streams; several blocks with a batch larger than one;
 * epochs and holes; ranges. */
static const struct sample samples[] = {
    {1, 1, 1, 0, 1, 0, 0, 0},
    {2, 40, 3, 10, 100, 1000, 0, 0},
    {3, 2, 6, 60000, 100, 0, 1, 0},
    {4, 2, 12, 300, 100, 0, 5, 4},
    {1234567890123, 3, 20, 50, 4, 1ll << 40, 17, 0},
};

static const char *directory;
static struct sl_os *os;

static void check(sl_err err, const char *what)
{
    if (err == SLUICE_OK)
        return;
    fprintf(stderr, "%s: error %d\n", what, err);
    exit(1);
}

static void batch_make(struct sl_buffer *out, const struct sample *sample, uint32_t index)
{
    static uint8_t value[1u << 20];
    struct batch_builder builder;
    struct batch_header header;
    struct batch_view batch;
    size_t size = sample->value_size * (index + 1);
    for (size_t i = 0; i < size; i++)
        value[i] = (uint8_t)(i * 7 + index * 31 + i / 256);
    batch_header_init(&header);
    header.base_offset = sample->base + (int64_t)index * (2 + sample->hole);
    header.leader_epoch = (int32_t)index / sample->epoch_every;
    check(batch_builder_start(&builder, out, &header), "batch");
    for (int i = 0; i < 2; i++) {
        const struct record_fields record = {.key_is_null = true,
                                             .value = sl_bytes_of(value, size / 2),
                                             .timestamp_ms =
                                                 1764000000000 + 1000 * (index ^ 1) + i};
        check(batch_builder_append(&builder, &record), "record");
    }
    check(batch_builder_finish(&builder, BATCH_CODEC_NONE, NULL, NULL, &batch), "batch");
}

static void batch_print(const struct sl_uuid *topic, uint32_t partition, struct sl_bytes bytes)
{
    struct batch_view batch;
    check(batch_view_init(&batch, bytes), "batch");
    printf("batch ");
    for (size_t i = 0; i < sizeof topic->b; i++)
        printf("%02x", topic->b[i]);
    printf(" %" PRIu32 " %" PRId64 " %" PRId64 " %" PRId32 " %" PRId64 " ", partition,
           batch_view_base_offset(&batch), batch_view_last_offset(&batch),
           batch_view_leader_epoch(&batch), batch_view_max_timestamp(&batch));
    for (size_t i = 0; i < bytes.size; i++)
        printf("%02x", bytes.data[i]);
    printf("\n");
}

static void sample_write(const struct sample *sample)
{
    const struct extent_header header = {.cluster = {.b = {0xc1, 0x05, 7}},
                                         .shard = 3,
                                         .id = sample->id,
                                         .created_ms = 1764000000000 + (int64_t)sample->id};
    struct extent_writer *writer;
    struct extent_item item;
    struct sl_file *file;
    struct sl_buffer bytes;
    sl_buffer_init(&bytes, 64u << 20);
    check(extent_writer_new(os, directory, &header, &writer), directory);
    printf("extent %" PRIu64 " %" PRIu32 " %" PRId64 "\n", header.id, header.shard,
           header.created_ms);
    for (uint32_t s = 0; s < sample->stream_count; s++) {
        struct sl_uuid topic = {.b = {0xf0, (uint8_t)(200 - s), 1}};
        check(extent_writer_stream(writer, &topic, s % 2), "stream");
        for (uint32_t i = 0; i < sample->batch_count; i++) {
            if (sample->range_every > 0 && i % sample->range_every == 0 && i > 0) {
                extent_writer_range(writer);
                printf("range\n");
            }
            sl_buffer_reset(&bytes);
            batch_make(&bytes, sample, i);
            check(extent_writer_add(writer, sl_buffer_bytes(&bytes)), "batch");
            batch_print(&topic, s % 2, sl_buffer_bytes(&bytes));
        }
    }
    check(extent_writer_finish(writer, &item, &file), "finish");
    sl_file_close(file);
    extent_writer_free(writer);
    sl_buffer_fini(&bytes);
}

/* ---- what was a segment of the log ---- */

#define PROMOTED_ID  77u
#define SEGMENT      9u
#define FRAMES       5u
#define FRAME_BYTES  (64u << 10)
#define CREATED_MS   1764000000077
#define SEGMENT_PATH "segment"

static void header_write(uint8_t *to)
{
    const struct wal_segment_header header = {
        .identity = {.cluster = {.b = {0xc1, 0x05, 7}}, .shard = 3},
        .seq = SEGMENT,
        .first_lsn = 100,
        .previous_lsn = 99,
        .created_ms = CREATED_MS};
    wal_segment_header_encode(&header, to);
}

/* A frame with one batch of the stream, and in every second one something else behind it. Returns
 * its size. */
static uint64_t frame_write(uint8_t *to, uint32_t number, struct sl_bytes batch, uint32_t others)
{
    uint32_t items = 88;
    struct wal_frame_header header = {.frame_size = wal_frame_size(items, batch.size + others),
                                      .incarnation = SEGMENT,
                                      .lsn = 100 + number,
                                      .body_size = batch.size + others,
                                      .item_count = 1,
                                      .directory_size = items};
    uint8_t *body = to + WAL_FRAME_HEADER + items;
    memcpy(body, batch.data, batch.size);
    memset(body + batch.size, 0xee, others);
    header.directory_crc = sl_crc32c(to + WAL_FRAME_HEADER, items);
    header.body_crc = sl_crc32c(body, batch.size + others);
    wal_frame_header_encode(&header, to);
    return header.frame_size;
}

static struct extent_piece piece_of(struct sl_bytes bytes, uint64_t frame_position)
{
    struct batch_view batch;
    check(batch_view_init(&batch, bytes), "batch");
    return (struct extent_piece){.base_offset = batch_view_base_offset(&batch),
                                 .last_offset = batch_view_last_offset(&batch),
                                 .max_timestamp = batch_view_max_timestamp(&batch),
                                 .position = frame_position + WAL_FRAME_HEADER + 88,
                                 .size = (uint32_t)bytes.size,
                                 .leader_epoch = batch_view_leader_epoch(&batch)};
}

static void segment_write(const char *path, const void *bytes, size_t size)
{
    struct sl_file *file;
    const struct sl_iovec piece = {(void *)(uintptr_t)bytes, size};
    check(sl_file_open(os, path, SL_FILE_WRITE | SL_FILE_CREATE, &file), path);
    check(sl_file_pwritev(file, &piece, 1, 0), path);
    sl_file_close(file);
}

static void promoted_write(void)
{
    static uint8_t image[WAL_SEGMENT_HEADER + FRAMES * FRAME_BYTES];
    static const struct sample sample = {0, 1, FRAMES, 3000, 2, 500, 0, 0};
    struct sl_uuid topic = {.b = {0xf1, 1}};
    struct extent_piece pieces[FRAMES];
    struct sl_buffer bytes, footer;
    uint64_t at = WAL_SEGMENT_HEADER;
    sl_buffer_init(&bytes, 1u << 20);
    sl_buffer_init(&footer, 1u << 20);
    header_write(image);
    printf("extent %u 3 %" PRId64 "\n", PROMOTED_ID, (int64_t)CREATED_MS);
    for (uint32_t i = 0; i < FRAMES; i++) {
        sl_buffer_reset(&bytes);
        batch_make(&bytes, &sample, i);
        pieces[i] = piece_of(sl_buffer_bytes(&bytes), at);
        batch_print(&topic, 4, sl_buffer_bytes(&bytes));
        at += frame_write(image + at, i, sl_buffer_bytes(&bytes), i % 2 * 1000);
    }
    char path[4096];
    snprintf(path, sizeof path, "%s/" SEGMENT_PATH, directory);
    segment_write(path, image, sizeof image); /* bytes of an earlier life behind the last frame */
    const struct extent_promotion promotion = {.os = os,
                                               .segment_path = path,
                                               .directory = directory,
                                               .segment = SEGMENT,
                                               .end = at,
                                               .id = PROMOTED_ID,
                                               .topic = topic,
                                               .partition = 4};
    struct extent_item item;
    struct extent_footer view;
    struct sl_file *file;
    check(extent_promote(&promotion, pieces, FRAMES, &footer, &item, &file, &view), "promote");
    sl_file_close(file);
    check(sl_path_remove(os, path), path); /* as the log does when it releases the segment */
    sl_buffer_fini(&bytes);
    sl_buffer_fini(&footer);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: extent_samples DIRECTORY\n");
        return 2;
    }
    directory = argv[1];
    check(sl_os_uv_new(1, &os), "start");
    for (size_t i = 0; i < SL_COUNT_OF(samples); i++)
        sample_write(&samples[i]);
    promoted_write();
    sl_os_free(os);
    return 0;
}
