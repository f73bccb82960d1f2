/* test_extent_faults.c: every allocation and every file operation fails once.
 *
 * A run writes an extent, adds it, starts again, loads and reads it; the n-th thing that can fail
 * does. The run must end with an error or go on unharmed, and a start without faults must then find
 * the extent exactly when its writer had finished. Allocations are caught by the linker
 * (--wrap), file operations by a table of one's own. */
#include "base/buffer.h"
#include "base/bytes.h"
#include "extent/extent_block.h"
#include "extent/extent_inspect.h"
#include "extent/extent_set.h"
#include "extent/extent_writer.h"
#include "extent_fixture.h"
#include "os/os_ops.h"
#include "os/os_uv.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what fails ---- */

static uint64_t allocations_left; /* 1: the next one fails; 0: none */
static uint64_t operations_left;
static sl_err operation_error;
static const struct sl_os_ops *below;

static bool counts_down(uint64_t *left)
{
    return *left > 0 && --*left == 0;
}

void *__real_sl_alloc(size_t size);
void *__real_sl_alloc_zero(size_t count, size_t size);
void *__real_sl_realloc(void *memory, size_t size);
void *__wrap_sl_alloc(size_t size);
void *__wrap_sl_alloc_zero(size_t count, size_t size);
void *__wrap_sl_realloc(void *memory, size_t size);

void *__wrap_sl_alloc(size_t size)
{
    return counts_down(&allocations_left) ? NULL : __real_sl_alloc(size);
}

void *__wrap_sl_alloc_zero(size_t count, size_t size)
{
    return counts_down(&allocations_left) ? NULL : __real_sl_alloc_zero(count, size);
}

void *__wrap_sl_realloc(void *memory, size_t size)
{
    return counts_down(&allocations_left) ? NULL : __real_sl_realloc(memory, size);
}

/* An operation with its arguments, which fails when its turn has come. */
#define FAILING(name, parameters, ...)                                                     \
    static sl_err fail_##name parameters                                                   \
    {                                                                                      \
        return counts_down(&operations_left) ? operation_error : below->name(__VA_ARGS__); \
    }

/* clang-format off */
FAILING(file_open, (struct sl_os *os, const char *path, uint32_t flags, struct sl_file **ret_file),
        os, path, flags, ret_file)
FAILING(file_pread, (struct sl_file *file, void *buffer, size_t size, uint64_t position,
                     size_t *ret_size), file, buffer, size, position, ret_size)
FAILING(file_pread_cached, (struct sl_file *file, void *buffer, size_t size, uint64_t position,
                            size_t *ret_size), file, buffer, size, position, ret_size)
FAILING(file_pwritev, (struct sl_file *file, const struct sl_iovec *pieces, size_t count,
                       uint64_t position), file, pieces, count, position)
FAILING(file_sync, (struct sl_file *file), file)
FAILING(file_size, (struct sl_file *file, uint64_t *ret_size), file, ret_size)
FAILING(dir_make, (struct sl_os *os, const char *path), os, path)
FAILING(dir_list, (struct sl_os *os, const char *path, sl_dir_entry_fn *entry, void *arg),
        os, path, entry, arg)
FAILING(dir_sync, (struct sl_os *os, const char *path), os, path)
FAILING(path_remove, (struct sl_os *os, const char *path), os, path)
/* clang-format on */

static struct sl_os_ops failing_ops(const struct sl_os_ops *ops)
{
    struct sl_os_ops failing = *ops;
    below = ops;
    failing.file_open = fail_file_open;
    failing.file_pread = fail_file_pread;
    failing.file_pread_cached = fail_file_pread_cached;
    failing.file_pwritev = fail_file_pwritev;
    failing.file_sync = fail_file_sync;
    failing.file_size = fail_file_size;
    failing.dir_make = fail_dir_make;
    failing.dir_list = fail_dir_list;
    failing.dir_sync = fail_dir_sync;
    failing.path_remove = fail_path_remove;
    return failing;
}

/* ---- the run ---- */

struct run {
    char directory[64];
    struct sl_os *os;
    struct sl_loop *loop;
    struct extent_item items[2];
    uint32_t item_count; /* extents whose writer had finished */
};

static sl_err set_new(struct run *run, struct extent_set **ret_set)
{
    const struct extent_set_config config = {
        .os = run->os, .loop = run->loop, .directory = run->directory, .open_files_max = 8};
    return extent_set_new(&config, ret_set);
}

static sl_err extent_write(struct run *run, struct extent_set *set, struct sl_bytes batches)
{
    const struct extent_header header = {.id = extent_set_next_id(set)};
    struct extent_writer *writer;
    struct extent_item item;
    struct sl_file *file;
    sl_err err = extent_writer_new(run->os, extent_set_directory(set), &header, &writer);
    if (err != SLUICE_OK)
        return err;
    for (uint8_t i = 1; i <= 2 && err == SLUICE_OK; i++) {
        struct sl_uuid topic = fixture_topic(i);
        err = extent_writer_stream(writer, &topic, 0);
        if (err == SLUICE_OK)
            err = extent_writer_add(writer, batches);
    }
    if (err == SLUICE_OK)
        err = extent_set_reserve(set, 1);
    if (err == SLUICE_OK)
        err = extent_writer_finish(writer, &item, &file);
    extent_writer_free(writer);
    if (err == SLUICE_OK) {
        extent_set_add(set, &item, file);
        run->items[run->item_count++] = item;
    }
    return err;
}

static sl_err on_found(void *arg, const struct extent_item *item,
                       const struct extent_footer *footer)
{
    struct extent_block *last = arg;
    (void)item;
    *last = extent_footer_block(footer, footer->trailer.block_count - 1);
    return SLUICE_OK;
}

static sl_err read_check(struct extent_set *set, uint64_t id, const struct extent_block *block)
{
    static uint8_t bytes[1u << 20];
    const struct wal_place place = fixture_place(id, block);
    bool pinned = extent_set_pin(set, id);
    cr_assert(pinned);
    sl_err err = extent_set_read(set, &place, bytes);
    if (err == SLUICE_OK)
        err = extent_block_check(block, sl_bytes_of(bytes, block->size));
    extent_set_unpin(set, id);
    return err;
}

/* A start: what was finished is applied, loaded and read. */
static sl_err restart(struct run *run)
{
    struct extent_set *set;
    struct extent_block block = {.size = 0};
    uint8_t payload[EXTENT_ITEM_SIZE];
    char problem[EXTENT_PROBLEM_BYTES] = "";
    sl_err err = set_new(run, &set);
    if (err != SLUICE_OK)
        return err;
    for (uint32_t i = 0; i < run->item_count && err == SLUICE_OK; i++) {
        extent_item_encode(&run->items[i], payload);
        err = extent_set_apply(set, WAL_ITEM_EXTENT, EXTENT_ITEM_VERSION,
                               sl_bytes_of(payload, sizeof payload));
    }
    if (err == SLUICE_OK) {
        err = extent_set_load(set, on_found, &block, problem);
        cr_assert(err == SLUICE_OK || problem[0] != '\0');
    }
    if (err == SLUICE_OK && run->item_count > 0)
        err = read_check(set, run->items[run->item_count - 1].id, &block);
    extent_set_free(set);
    return err;
}

static sl_err faulty_part(struct run *run, struct sl_bytes batches)
{
    struct extent_set *set;
    sl_err err = set_new(run, &set);
    if (err != SLUICE_OK)
        return err;
    err = extent_write(run, set, batches);
    if (err == SLUICE_OK)
        err = extent_write(run, set, batches);
    extent_set_free(set);
    return err == SLUICE_OK ? restart(run) : err;
}

static void extents_remove(struct run *run)
{
    run->item_count = 0;
    cr_assert_eq(restart(run), SLUICE_OK);
}

/* The n-th of them fails. Returns whether there was an n-th. */
static bool fault_round(struct run *run, struct sl_bytes batches, uint64_t *left, uint64_t n)
{
    *left = n;
    sl_err err = faulty_part(run, batches);
    bool happened = *left == 0;
    *left = 0;
    cr_assert(err == SLUICE_OK || happened, "%d without a fault", err);
    err = restart(run);
    cr_assert_eq(err, SLUICE_OK, "fault %d: error %d at the next start", (int)n, err);
    extents_remove(run);
    return happened;
}

static void faults_try(uint64_t *left)
{
    struct run run = {.item_count = 0};
    struct sl_buffer batches;
    char path[128];
    sl_buffer_init(&batches, 4u << 20);
    fixture_batches(&batches, 0, 12, 60000);
    snprintf(run.directory, sizeof run.directory, "/tmp/sluice-extent-XXXXXX");
    cr_assert_not_null(mkdtemp(run.directory));
    cr_assert_eq(sl_os_uv_new(1, &run.os), SLUICE_OK);
    cr_assert_eq(sl_loop_new(run.os, "extent", -1, &run.loop), SLUICE_OK);
    const struct sl_os_ops *ops = run.os->ops;
    const struct sl_os_ops failing = failing_ops(ops);
    run.os->ops = &failing;
    uint64_t n = 1;
    while (fault_round(&run, sl_buffer_bytes(&batches), left, n))
        n++;
    cr_assert_gt(n, 10, "%d faults only", (int)n);
    run.os->ops = ops;
    sl_loop_free(run.loop);
    sl_os_free(run.os);
    snprintf(path, sizeof path, "%s/ext", run.directory);
    cr_assert_eq(rmdir(path), 0);
    cr_assert_eq(rmdir(run.directory), 0);
    sl_buffer_fini(&batches);
}

Test(extent_faults, every_allocation_may_fail, .timeout = 120)
{
    faults_try(&allocations_left);
}

Test(extent_faults, every_file_operation_may_fail, .timeout = 120)
{
    static const sl_err errors[] = {SLUICE_E_IO, SLUICE_E_DISK_FULL, SLUICE_E_LIMIT};
    for (size_t i = 0; i < SL_COUNT_OF(errors); i++) {
        operation_error = errors[i];
        faults_try(&operations_left);
    }
}
