/* test_os_file.c: files and directories over the system. */
#include "os/os_uv_internal.h"
#include "os_fixture.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct os_fixture *f;

static void open_fixture(void)
{
    f = os_fixture_open();
}

static void close_fixture(void)
{
    os_fixture_close(f);
}

TestSuite(file, .init = open_fixture, .fini = close_fixture);

#define READ_WRITE (SL_FILE_READ | SL_FILE_WRITE)

static struct sl_file *open_new(const char *name)
{
    struct sl_file *file = NULL;
    cr_assert_eq(sl_file_open(f->os, os_fixture_path(f, name), READ_WRITE | SL_FILE_CREATE, &file),
                 SLUICE_OK);
    return file;
}

Test(file, has_the_mode_of_another_and_its_group_where_that_may_be)
{
    char path[1024];
    struct stat as, got;
    struct sl_file *file = open_new("private");
    sl_file_close(file);
    snprintf(path, sizeof(path), "%s", os_fixture_path(f, "private"));
    cr_assert_eq(chmod(path, 0604), 0);
    cr_assert(chown(path, 12345, 12345) == 0 || errno == EPERM); /* who may not keeps his own */
    cr_assert_eq(stat(path, &as), 0);
    file = open_new("copy");
    cr_expect_eq(sl_file_access_as(f->os, file, path), SLUICE_OK);
    cr_expect_eq(sl_file_access_as(f->os, file, "/nowhere"), SLUICE_E_NOT_FOUND);
    sl_file_close(file);
    cr_assert_eq(stat(os_fixture_path(f, "copy"), &got), 0);
    cr_expect_eq(got.st_mode & 0777, 0604);
    cr_expect_eq(got.st_uid, as.st_uid);
    cr_expect_eq(got.st_gid, as.st_gid);
}

Test(file, reads_back_what_many_pieces_wrote_at_a_position)
{
    enum { PIECES = 3000 }; /* more than one call takes */
    struct sl_file *file = open_new("pieces");
    static char bytes[PIECES * 2];
    struct sl_iovec pieces[PIECES + 1];
    for (int i = 0; i < PIECES; i++) {
        bytes[2 * i] = (char)i;
        bytes[2 * i + 1] = (char)(i >> 8);
        pieces[i] = (struct sl_iovec){bytes + 2 * i, 2};
    }
    pieces[PIECES] = (struct sl_iovec){NULL, 0};
    cr_assert_eq(sl_file_pwritev(file, pieces, PIECES + 1, 100), SLUICE_OK);

    static char back[sizeof bytes + 50];
    size_t got = 0;
    cr_assert_eq(sl_file_pread(file, back, sizeof back, 100, &got), SLUICE_OK);
    cr_expect_eq(got, sizeof bytes, "short only at the end of the file");
    cr_expect_eq(memcmp(back, bytes, sizeof bytes), 0);
    cr_assert_eq(sl_file_pread(file, back, 1, 100 + sizeof bytes, &got), SLUICE_OK);
    cr_expect_eq(got, 0);
    sl_file_close(file);
}

Test(file, opens_only_what_its_flags_allow)
{
    struct sl_file *file = NULL;
    const char *path = os_fixture_path(f, "flags");
    cr_expect_eq(sl_file_open(f->os, path, READ_WRITE, &file), SLUICE_E_NOT_FOUND);
    cr_assert_eq(sl_file_open(f->os, path, READ_WRITE | SL_FILE_CREATE | SL_FILE_EXCLUSIVE, &file),
                 SLUICE_OK);
    struct sl_file *kept = file;
    cr_expect_eq(sl_file_open(f->os, path, READ_WRITE | SL_FILE_CREATE | SL_FILE_EXCLUSIVE, &file),
                 SLUICE_E_EXISTS);
    cr_expect_eq(file, kept, "an output is not touched on failure");
    sl_file_close(file);
}

Test(file, does_not_wait_for_the_other_end_of_a_fifo)
{
    struct sl_file *file = NULL;
    const char *path = os_fixture_path(f, "fifo");
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_expect_eq(sl_file_open(f->os, path, SL_FILE_READ, &file), SLUICE_E_IO);
    cr_expect_eq(sl_file_open(f->os, path, SL_FILE_WRITE, &file), SLUICE_E_IO);
    cr_expect_eq(sl_file_open(f->os, path, READ_WRITE, &file), SLUICE_E_IO);
    cr_expect_null(file);
    cr_expect_eq(unlink(path), 0);
}

Test(file, serves_cached_bytes_without_waiting_or_says_it_would_block)
{
    struct sl_file *file = open_new("cached");
    struct sl_iovec piece = {(void *)"cached", 6};
    cr_assert_eq(sl_file_pwritev(file, &piece, 1, 0), SLUICE_OK);
    char back[6];
    size_t got = 0;
    sl_err err = sl_file_pread_cached(file, back, sizeof back, 0, &got);
    /* Some file systems cannot tell; then the answer must be that it would block. */
    cr_expect(err == SLUICE_E_WOULD_BLOCK || (err == SLUICE_OK && got == 6));
    sl_file_close(file);
}

Test(file, fills_with_zeros_and_keeps_the_size_asked_for)
{
    struct sl_file *file = open_new("zeros");
    uint64_t size = 0;
    cr_assert_eq(sl_file_fill_zero(file, 700001), SLUICE_OK);
    cr_assert_eq(sl_file_size(file, &size), SLUICE_OK);
    cr_expect_eq(size, 700001);
    static uint8_t back[700001];
    size_t got = 0;
    cr_assert_eq(sl_file_pread(file, back, sizeof back, 0, &got), SLUICE_OK);
    cr_assert_eq(got, sizeof back);
    for (size_t i = 0; i < sizeof back; i++)
        cr_assert_eq(back[i], 0);
    cr_assert_eq(sl_file_truncate(file, 5), SLUICE_OK);
    cr_assert_eq(sl_file_size(file, &size), SLUICE_OK);
    cr_expect_eq(size, 5);
    cr_expect_eq(sl_file_sync(file), SLUICE_OK);
    cr_expect_eq(sl_file_drop_cache(file, 0, 0), SLUICE_OK);
    sl_file_close(file);
}

/* How many pages of [position, + size) the page cache has. */
static size_t cached_pages(const char *path, uint64_t position, size_t size)
{
    unsigned char pages[1024] = {0};
    size_t count = 0;
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    void *bytes = mmap(NULL, size, PROT_READ, MAP_SHARED, fileno(file), (off_t)position);
    cr_assert_neq(bytes, MAP_FAILED);
    cr_assert_eq(mincore(bytes, size, pages), 0);
    for (size_t i = 0; i < (size + 4095) / 4096; i++)
        count += pages[i] & 1;
    munmap(bytes, size);
    fclose(file);
    return count;
}

/* Of x86 and ARM: what an entry above the lowest level of their page tables maps. */
Test(file, knows_the_largest_folio_of_each_size_of_pages)
{
    cr_expect_eq(osuv_folio_max(4096), 2u << 20);
    cr_expect_eq(osuv_folio_max(16384), 32u << 20);
    cr_expect_eq(osuv_folio_max(65536), 512u << 20);
    cr_expect_eq(osuv_folio_max(262144), 512u << 20, "bounded");
}

Test(file, names_whole_folios_and_no_more_around_what_is_to_be_dropped)
{
    static const uint64_t page_sizes[] = {4096, 16384, 65536};
    for (size_t i = 0; i < SL_COUNT_OF(page_sizes); i++) {
        uint64_t folio = osuv_folio_max(page_sizes[i]);
        const struct {
            uint64_t position, size, start, length;
        } rows[] = {{0, 1, 0, folio},
                    {0, folio, 0, folio},
                    {folio - 1, 1, 0, folio},
                    {folio - 1, 2, 0, 2 * folio},
                    {folio, 1, folio, folio},
                    {3 * folio + 5, 2 * folio, 3 * folio, 3 * folio},
                    {7 * folio + 5, 0, 7 * folio, 0}};
        for (size_t n = 0; n < SL_COUNT_OF(rows); n++) {
            uint64_t start = 0;
            uint64_t length = 0;
            osuv_folios_of(page_sizes[i], rows[n].position, rows[n].size, &start, &length);
            cr_expect_eq(start, rows[n].start, "pages of %lu, row %zu",
                         (unsigned long)page_sizes[i], n);
            cr_expect_eq(length, rows[n].length, "pages of %lu, row %zu",
                         (unsigned long)page_sizes[i], n);
        }
    }
}

#define MIDDLE       ((3u << 20) + (64u << 10))
#define MIDDLE_BYTES (64u << 10)

/* Where the system has large folios, one write fills few of them. */
Test(file, drops_from_the_cache_what_is_in_the_middle_of_what_was_written_at_once)
{
    static uint8_t bytes[4 << 20];
    memset(bytes, 1, sizeof(bytes)); /* what is in no memory yet is copied page by page */
    struct sl_file *file = open_new("folios");
    struct sl_iovec piece = {bytes, sizeof(bytes)};
    cr_assert_eq(sl_file_pwritev(file, &piece, 1, 0), SLUICE_OK);
    cr_assert_eq(sl_file_sync(file), SLUICE_OK);
    cr_assert_eq(sl_file_drop_cache(file, MIDDLE, MIDDLE_BYTES), SLUICE_OK);
    size_t left = cached_pages(os_fixture_path(f, "folios"), MIDDLE, MIDDLE_BYTES);
    cr_assert_eq(sl_file_drop_cache(file, 0, 0), SLUICE_OK);
    bool is_memory = cached_pages(os_fixture_path(f, "folios"), 0, sizeof(bytes)) > 0;
    sl_file_close(file);
    cr_expect(is_memory || left == 0, "%zu pages are left", left);
}

Test(file, gets_blocks_of_the_disk_without_writing_them)
{
    struct sl_file *file = open_new("allocated");
    uint64_t size = 0;
    cr_assert_eq(sl_file_allocate(file, 70000), SLUICE_OK);
    cr_assert_eq(sl_file_size(file, &size), SLUICE_OK);
    cr_expect_eq(size, 70000);
    uint8_t back[4] = {1, 1, 1, 1};
    size_t got = 0;
    cr_assert_eq(sl_file_pread(file, back, sizeof back, 69996, &got), SLUICE_OK);
    cr_expect(got == 4 && back[0] == 0 && back[3] == 0);
    sl_file_close(file);
}

/* Walks all runs of data; true: `position` is in one of them. */
static bool is_told_as_data(struct sl_file *file, uint64_t position)
{
    uint64_t start = 0, end = 0;
    bool inside = false;
    sl_err err = sl_file_data_range(file, 0, &start, &end);
    while (err == SLUICE_OK) {
        cr_assert_lt(start, end);
        inside = inside || (position >= start && position < end);
        err = sl_file_data_range(file, end, &start, &end);
    }
    cr_assert_eq(err, SLUICE_E_NOT_FOUND);
    return inside;
}

Test(file, tells_all_that_was_written_as_data)
{
    struct sl_file *file = open_new("holes");
    uint64_t start = 0, end = 0;
    cr_assert_eq(sl_file_data_range(file, 0, &start, &end), SLUICE_E_NOT_FOUND);
    cr_assert_eq(sl_file_allocate(file, 8u << 20), SLUICE_OK);
    uint8_t byte = 7;
    struct sl_iovec piece = {&byte, 1};
    cr_assert_eq(sl_file_pwritev(file, &piece, 1, (5u << 20) + 1234), SLUICE_OK);
    cr_expect(is_told_as_data(file, (5u << 20) + 1234));
    cr_assert_eq(sl_file_sync(file), SLUICE_OK);
    cr_expect(is_told_as_data(file, (5u << 20) + 1234));
    cr_assert_eq(sl_file_drop_cache(file, 0, 0), SLUICE_OK);
    cr_expect(is_told_as_data(file, (5u << 20) + 1234));
    cr_assert_eq(sl_file_data_range(file, 8u << 20, &start, &end), SLUICE_E_NOT_FOUND);
    sl_file_close(file);
}

Test(file, is_read_by_a_thread_in_whatever_order_the_reads_are_waited_for)
{
    enum { READS = 64, SIZE = 4096, STRIDE = 29 /* coprime to READS */ };
    static char written[READS * SIZE], got[READS * SIZE];
    static struct sl_read reads[READS];
    struct sl_reader *reader = NULL;
    struct sl_file *file = open_new("read");
    for (size_t i = 0; i < sizeof(written); i++)
        written[i] = (char)(i / 7);
    const struct sl_iovec piece = {written, sizeof(written)};
    cr_assert_eq(sl_file_pwritev(file, &piece, 1, 0), SLUICE_OK);
    cr_assert_eq(sl_reader_new(f->os, &reader), SLUICE_OK);
    for (size_t i = 0; i < READS; i++) {
        reads[i] = (struct sl_read){
            .file = file, .buffer = got + i * SIZE, .size = SIZE, .position = i * SIZE};
        sl_reader_submit(reader, &reads[i]);
    }
    for (size_t i = 1; i < READS; i++) {
        const struct sl_read *read = &reads[i * STRIDE % READS];
        sl_reader_wait(reader, &reads[i * STRIDE % READS]);
        cr_expect_eq(read->err, SLUICE_OK);
        cr_expect_eq(read->got, SIZE);
        cr_expect_eq(memcmp(read->buffer, written + read->position, SIZE), 0);
    }
    sl_reader_free(reader); /* the one that nobody waited for is done all the same */
    cr_expect_eq(memcmp(got, written, sizeof(written)), 0);
    sl_file_close(file);
}

Test(file, is_counted_under_each_of_its_names)
{
    struct sl_file *file = open_new("first");
    uint64_t count = 0;
    cr_assert_eq(sl_file_link_count(file, &count), SLUICE_OK);
    cr_expect_eq(count, 1);
    sl_err err = sl_path_link(f->os, os_fixture_path(f, "first"), os_fixture_path(f, "second"));
    cr_assert_eq(err, SLUICE_OK);
    cr_assert_eq(sl_file_link_count(file, &count), SLUICE_OK);
    cr_expect_eq(count, 2);
    err = sl_path_link(f->os, os_fixture_path(f, "first"), os_fixture_path(f, "second"));
    cr_expect_eq(err, SLUICE_E_EXISTS);
    cr_assert_eq(sl_path_remove(f->os, os_fixture_path(f, "first")), SLUICE_OK);
    cr_assert_eq(sl_file_link_count(file, &count), SLUICE_OK);
    cr_expect_eq(count, 1);
    sl_file_close(file);
}

Test(file, is_locked_by_one_opener_until_it_closes)
{
    struct sl_file *first = open_new("lock"), *second = open_new("lock");
    cr_assert_eq(sl_file_lock(first), SLUICE_OK);
    cr_expect_eq(sl_file_lock(second), SLUICE_E_LOCKED);
    sl_file_close(first);
    cr_expect_eq(sl_file_lock(second), SLUICE_OK);
    sl_file_close(second);
}

Test(file, reports_a_full_disk)
{
    struct sl_file *file = NULL;
    /* The kernel's own full disk. */
    cr_assert_eq(sl_file_open(f->os, "/dev/full", SL_FILE_WRITE, &file), SLUICE_OK);
    struct sl_iovec piece = {(void *)"x", 1};
    cr_expect_eq(sl_file_pwritev(file, &piece, 1, 0), SLUICE_E_DISK_FULL);
    sl_file_close(file);
}

struct seen {
    int files, directories;
};

static void count_entry(void *arg, const char *name, bool is_directory)
{
    struct seen *seen = arg;
    cr_expect(name[0] != '.');
    *(is_directory ? &seen->directories : &seen->files) += 1;
}

Test(directory, is_made_with_parents_listed_and_emptied, .init = open_fixture,
     .fini = close_fixture)
{
    char deep[256];
    struct seen seen = {0};
    snprintf(deep, sizeof deep, "%s/a", f->directory);
    cr_expect_eq(sl_dir_make(f->os, deep), SLUICE_OK);
    cr_expect_eq(sl_dir_make(f->os, deep), SLUICE_OK, "it exists: fine");
    sl_file_close(open_new("one"));
    cr_expect_eq(sl_path_rename(f->os, os_fixture_path(f, "one"), os_fixture_path(f, "two")),
                 SLUICE_OK);
    cr_assert_eq(sl_dir_list(f->os, f->directory, count_entry, &seen), SLUICE_OK);
    cr_expect_eq(seen.files, 1);
    cr_expect_eq(seen.directories, 1);
    cr_expect_eq(sl_dir_sync(f->os, f->directory), SLUICE_OK);
    cr_expect_eq(sl_path_remove(f->os, os_fixture_path(f, "two")), SLUICE_OK);
    cr_expect_eq(sl_path_remove(f->os, os_fixture_path(f, "two")), SLUICE_E_NOT_FOUND);
    cr_expect_eq(sl_dir_make(f->os, "/dev/null/x"), SLUICE_E_EXISTS, "a file is in the way");
    snprintf(deep, sizeof deep, "%s/b/", f->directory);
    cr_expect_eq(sl_dir_make(f->os, deep), SLUICE_OK, "a slash at the end is fine");
}

Test(directory, tells_the_space_of_its_disk, .init = open_fixture, .fini = close_fixture)
{
    uint64_t total = 0, available = 0;
    cr_assert_eq(sl_disk_space(f->os, f->directory, &total, &available), SLUICE_OK);
    cr_expect_gt(total, 0);
    cr_expect_leq(available, total);
}
