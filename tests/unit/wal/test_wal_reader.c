/* test_wal_reader.c: the window over a segment, read ahead by a thread and not. */
#include "os/os_ops.h"
#include "os/os_uv.h"
#include "wal/wal_scan.h"

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FILE_BYTES (3u * 1024 * 1024 + 1234)

static uint8_t expected[FILE_BYTES];
static struct sl_os *os;
static struct sl_file *file;
static struct wal_reader reader;
static char path[] = "/tmp/test-wal-reader-XXXXXX";

/* Bytes that no read gets, ever; [atomic: the thread reads too]. */
#define BAD_BYTES 512u
static atomic_ullong bad_position = UINT64_MAX;
static atomic_uint bad_reads;
static const struct sl_os_ops *below;
static struct sl_os_ops with_bad;

static bool is_bad(uint64_t position, size_t size)
{
    uint64_t bad = bad_position;
    return bad != UINT64_MAX && position < bad + BAD_BYTES && position + size > bad;
}

static sl_err pread_bad(struct sl_file *read_file, void *buffer, size_t size, uint64_t position,
                        size_t *ret_size)
{
    if (!is_bad(position, size))
        return below->file_pread(read_file, buffer, size, position, ret_size);
    bad_reads++;
    return SLUICE_E_IO;
}

/* What the disk does not give the page cache never has. */
static sl_err pread_cached_bad(struct sl_file *read_file, void *buffer, size_t size,
                               uint64_t position, size_t *ret_size)
{
    return is_bad(position, size)
               ? SLUICE_E_WOULD_BLOCK
               : below->file_pread_cached(read_file, buffer, size, position, ret_size);
}

static void make(void)
{
    int descriptor = mkstemp(path);
    for (size_t i = 0; i < FILE_BYTES; i++)
        expected[i] = (uint8_t)(i * 2654435761u >> 13 | 1); /* no hole anywhere */
    cr_assert_eq(write(descriptor, expected, FILE_BYTES), (ssize_t)FILE_BYTES);
    close(descriptor);
    cr_assert_eq(sl_os_uv_new(1, &os), SLUICE_OK);
    below = os->ops;
    with_bad = *below;
    with_bad.file_pread = pread_bad;
    with_bad.file_pread_cached = pread_cached_bad;
    os->ops = &with_bad;
    cr_assert_eq(sl_file_open(os, path, SL_FILE_READ | SL_FILE_WRITE, &file), SLUICE_OK);
    wal_reader_init(&reader);
    reader.os = os;
    cr_assert_eq(wal_reader_open(&reader, file), SLUICE_OK);
}

static void drop(void)
{
    wal_reader_fini(&reader);
    sl_file_close(file);
    os->ops = below;
    sl_os_free(os);
    unlink(path);
}

TestSuite(wal_reader, .init = make, .fini = drop);

static void expect_bytes(uint64_t position, size_t size)
{
    const uint8_t *bytes = NULL;
    cr_assert_eq(wal_reader_get(&reader, position, size, &bytes), SLUICE_OK);
    cr_assert_arr_eq(bytes, expected + position, size, "[%lu, + %zu)", (unsigned long)position,
                     size);
}

/* Mostly a little further, in steps that end in the same buffer, the next one or beyond; now and
 * then anywhere, or more than a buffer has. */
static void walk(unsigned seed)
{
    uint64_t position = 0;
    for (int i = 0; i < 3000; i++) {
        size_t size = (size_t)(rand_r(&seed) % 30000);
        int kind = rand_r(&seed) % 100;
        if (kind < 4)
            position = (uint64_t)rand_r(&seed) % FILE_BYTES;
        else if (kind < 8)
            size = (size_t)rand_r(&seed) % (3 * WAL_READER_STEP);
        else if (kind < 12)
            position += (uint64_t)rand_r(&seed) % (3 * WAL_READER_STEP);
        reader.step = kind == 20 ? WAL_READER_STEP_SPARSE : WAL_READER_STEP;
        if (position + size > FILE_BYTES)
            position = 0;
        expect_bytes(position, size);
        position += kind % 2 == 0 ? size : 0; /* else the same again, in part */
    }
}

Test(wal_reader, has_the_bytes_of_any_place_whatever_was_read_ahead)
{
    for (unsigned seed = 1; seed <= 20; seed++)
        walk(seed);
    cr_expect_not_null(reader.ahead.thread);
}

Test(wal_reader, reads_all_of_a_file_once_where_it_reads_in_a_row)
{
    for (uint64_t at = 0; at + 20480 <= FILE_BYTES; at += 20480) {
        expect_bytes(at, 128);
        expect_bytes(at + 128, 7000); /* as heads of frames are */
    }
    cr_expect_geq(reader.bytes_read, FILE_BYTES - 20480);
    cr_expect_leq(reader.bytes_read, FILE_BYTES);
}

Test(wal_reader, has_no_bytes_of_any_place)
{
    const uint8_t *bytes = NULL;
    for (uint64_t at = 0; at + 1234 <= FILE_BYTES; at += 1234)
        expect_bytes(at, 1234);
    expect_bytes(FILE_BYTES - 1234, 1234);
    cr_expect_eq(wal_reader_get(&reader, FILE_BYTES, 0, &bytes), SLUICE_OK);
    wal_reader_forget(&reader);
    cr_expect_eq(wal_reader_get(&reader, FILE_BYTES, 0, &bytes), SLUICE_OK);
    expect_bytes(0, 100);
}

/* Under way, in the window, and where nothing was read yet. */
Test(wal_reader, sees_the_head_of_a_frame_wherever_it_lies)
{
    const uint64_t places[] = {8192, WAL_READER_STEP + 4096, 2 * WAL_READER_STEP, 2u << 20};
    uint8_t bytes[WAL_FRAME_HEADER];
    struct sl_iovec piece = {bytes, sizeof bytes};
    for (uint64_t i = 0; i < 4; i++) {
        struct wal_frame_header header = {
            .frame_size = wal_frame_size(100, 0), .lsn = i + 1, .directory_size = 100};
        wal_frame_header_encode(&header, bytes);
        cr_assert_eq(sl_file_pwritev(file, &piece, 1, places[i]), SLUICE_OK);
    }
    expect_bytes(0, 100);
    for (uint64_t i = 0; i < 4; i++) {
        struct wal_frame_header header = {.lsn = 0};
        cr_expect_eq(wal_reader_peek(&reader, places[i], &header), SLUICE_OK);
        cr_expect_eq(header.lsn, i + 1);
    }
}

Test(wal_reader, sees_what_was_written_since_once_it_has_forgotten)
{
    uint8_t other = 0;
    struct sl_iovec piece = {&other, 1};
    expect_bytes(0, 100);
    for (uint64_t at = 50; at < 2 * WAL_READER_STEP; at += WAL_READER_STEP) {
        cr_assert_eq(sl_file_pwritev(file, &piece, 1, at), SLUICE_OK);
        expected[at] = other;
    }
    wal_reader_forget(&reader);
    expect_bytes(0, 100);
    expect_bytes(WAL_READER_STEP, 100);
}

Test(wal_reader, tells_where_a_file_that_was_cut_under_it_ends)
{
    const uint8_t *bytes = NULL;
    uint64_t end = 2 * WAL_READER_STEP + 1000;
    expect_bytes(0, 100);
    cr_assert_eq(sl_file_truncate(file, end), SLUICE_OK);
    wal_reader_forget(&reader);
    expect_bytes(end - 100, 100);
    cr_expect_eq(wal_reader_get(&reader, end - 100, 101, &bytes), SLUICE_E_TRUNCATED);
    cr_expect_eq(wal_reader_get(&reader, end + WAL_READER_STEP, 1, &bytes), SLUICE_E_TRUNCATED);
}

/* ---- what cannot be read ---- */

static void expect_bad(uint64_t position, size_t size)
{
    const uint8_t *bytes = NULL;
    cr_assert_eq(wal_reader_get(&reader, position, size, &bytes), SLUICE_E_IO, "[%lu, + %zu)",
                 (unsigned long)position, size);
    cr_assert_eq(reader.failed_position, position);
    cr_assert_eq(reader.failed_size, size);
}

/* All of it in a row: only the pieces that have bad bytes are refused, and these are tried twice:
 * with what is around them, and alone. */
static void read_around(uint64_t bad, size_t piece)
{
    bad_position = bad;
    bad_reads = 0;
    uint32_t refused = 0;
    cr_assert_eq(wal_reader_open(&reader, file), SLUICE_OK);
    for (uint64_t at = 0; at + piece <= FILE_BYTES; at += piece) {
        refused += is_bad(at, piece);
        if (is_bad(at, piece))
            expect_bad(at, piece);
        else
            expect_bytes(at, piece);
    }
    cr_assert_geq(refused, 1);
    cr_assert_leq(bad_reads, refused + 2, "%u for %u", (unsigned)bad_reads, refused);
    bad_position = UINT64_MAX;
}

Test(wal_reader, refuses_the_bytes_that_cannot_be_read_and_no_others)
{
    static const uint64_t places[] = {0,
                                      1000,
                                      WAL_READER_STEP - 600,
                                      WAL_READER_STEP - 100, /* in two buffers */
                                      WAL_READER_STEP,
                                      3 * WAL_READER_STEP + 70000,
                                      FILE_BYTES - 10000};
    static const size_t pieces[] = {128, 5000, 65536};
    for (size_t i = 0; i < SL_COUNT_OF(places); i++) {
        for (size_t n = 0; n < SL_COUNT_OF(pieces); n++) {
            reader.step = WAL_READER_STEP;
            read_around(places[i], pieces[n]);
            reader.step = WAL_READER_STEP_SPARSE;
            read_around(places[i], pieces[n]);
        }
    }
}

Test(wal_reader, has_the_bytes_again_once_they_can_be_read)
{
    bad_position = 5000;
    expect_bytes(0, 4096);
    expect_bad(4096, 4096);
    bad_position = UINT64_MAX;
    expect_bytes(4096, 4096);
    expect_bytes(0, WAL_READER_STEP + 10);
}

Test(wal_reader, does_not_see_the_head_of_a_frame_that_cannot_be_read)
{
    struct wal_frame_header header;
    static const uint64_t places[] = {8192, WAL_READER_STEP + 4096, 2u << 20};
    for (size_t i = 0; i < SL_COUNT_OF(places); i++) {
        bad_position = places[i];
        cr_assert_eq(wal_reader_open(&reader, file), SLUICE_OK);
        cr_expect_eq(wal_reader_peek(&reader, places[i], &header), SLUICE_E_IO);
        cr_expect_eq(reader.failed_position, places[i]);
        expect_bytes(0, 100); /* what follows is under way */
        cr_expect_eq(wal_reader_peek(&reader, places[i], &header), SLUICE_E_IO);
    }
}

Test(wal_reader, reads_a_file_ahead_after_one_that_has_bytes_that_cannot_be_read)
{
    bad_position = FILE_BYTES - BAD_BYTES;
    expect_bad(FILE_BYTES - BAD_BYTES, 100);
    bad_position = UINT64_MAX;
    cr_assert_eq(wal_reader_open(&reader, file), SLUICE_OK);
    expect_bytes(0, 100);
    cr_expect_geq(reader.ahead.count, WAL_AHEAD_BUFFERS - 1);
}
