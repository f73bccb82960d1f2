/* test_os_sim.c: the simulated instance: what a power cut keeps, who runs when. */
#include "os/os.h"
#include "os/os_sim.h"

#include <criterion/criterion.h>
#include <string.h>

static struct sl_sim_disk *disk;
static struct sl_os *os;
static uint8_t page[4096];

static void start(const struct sl_sim_faults *faults)
{
    cr_assert_eq(sl_os_sim_new(1, disk, faults, &os), SLUICE_OK);
}

static void setup(void)
{
    disk = sl_sim_disk_new(5);
    start(NULL);
    cr_assert_eq(sl_dir_make(os, "/d"), SLUICE_OK);
    memset(page, 0xaa, sizeof page);
}

static void teardown(void)
{
    sl_os_free(os);
    sl_sim_disk_free(disk);
}

TestSuite(os_sim, .init = setup, .fini = teardown);

static struct sl_file *file_make(const char *path)
{
    struct sl_file *file;
    cr_assert_eq(sl_file_open(os, path, SL_FILE_READ | SL_FILE_WRITE | SL_FILE_CREATE, &file),
                 SLUICE_OK);
    return file;
}

static void file_write(struct sl_file *file, uint8_t byte, uint64_t position)
{
    memset(page, byte, sizeof page);
    const struct sl_iovec piece = {page, sizeof page};
    cr_assert_eq(sl_file_pwritev(file, &piece, 1, position), SLUICE_OK);
}

static void cut(void)
{
    sl_os_free(os);
    sl_sim_disk_power_cut(disk);
    start(NULL);
}

Test(os_sim, a_power_cut_keeps_what_was_synced)
{
    struct sl_file *file = file_make("/d/a");
    file_write(file, 1, 0);
    cr_assert_eq(sl_file_sync(file), SLUICE_OK);
    cr_assert_eq(sl_dir_sync(os, "/d"), SLUICE_OK);
    sl_file_close(file);
    cut();
    size_t size = 0;
    const uint8_t *bytes = sl_sim_disk_bytes(disk, "/d/a", &size);
    cr_assert_not_null(bytes);
    cr_assert_eq(size, sizeof page);
    cr_assert_eq(memcmp(bytes, page, size), 0);
}

Test(os_sim, of_what_was_not_synced_sectors_are_kept_lost_or_torn)
{
    uint32_t kept = 0;
    uint32_t lost = 0;
    uint32_t torn = 0;
    struct sl_file *file = file_make("/d/a");
    file_write(file, 1, 0);
    cr_assert_eq(sl_file_sync(file), SLUICE_OK);
    cr_assert_eq(sl_dir_sync(os, "/d"), SLUICE_OK);
    for (int round = 0; round < 200; round++) {
        file_write(file, 2, 0);
        sl_file_close(file);
        cut();
        size_t size = 0;
        uint8_t *bytes = sl_sim_disk_bytes(disk, "/d/a", &size);
        for (size_t at = 0; at < size; at += 512) {
            kept += bytes[at] == 2 && bytes[at + 511] == 2;
            lost += bytes[at] == 1 && bytes[at + 511] == 1;
            torn += bytes[at] == 2 && bytes[at + 511] == 1;
        }
        file = file_make("/d/a");
        file_write(file, 1, 0);
        cr_assert_eq(sl_file_sync(file), SLUICE_OK);
    }
    sl_file_close(file);
    cr_assert(kept > 100 && lost > 100 && torn > 10, "%u %u %u", kept, lost, torn);
}

Test(os_sim, a_rename_without_a_directory_sync_may_be_lost_but_never_doubled)
{
    uint32_t old_names = 0;
    uint32_t new_names = 0;
    for (int round = 0; round < 100; round++) {
        struct sl_file *file = file_make("/d/old");
        cr_assert_eq(sl_file_sync(file), SLUICE_OK);
        sl_file_close(file);
        cr_assert_eq(sl_dir_sync(os, "/d"), SLUICE_OK);
        cr_assert_eq(sl_path_rename(os, "/d/old", "/d/new"), SLUICE_OK);
        cut();
        size_t size = 0;
        bool is_old = sl_sim_disk_bytes(disk, "/d/old", &size) != NULL;
        bool is_new = sl_sim_disk_bytes(disk, "/d/new", &size) != NULL;
        cr_assert_neq(is_old, is_new);
        old_names += is_old;
        new_names += is_new;
        cr_assert_eq(sl_path_remove(os, is_old ? "/d/old" : "/d/new"), SLUICE_OK);
        cr_assert_eq(sl_dir_sync(os, "/d"), SLUICE_OK);
    }
    cr_assert(old_names > 10 && new_names > 10);
}

Test(os_sim, a_second_name_may_be_lost_without_a_sync_of_its_directory_and_the_first_stays)
{
    uint32_t linked = 0;
    cr_assert_eq(sl_dir_make(os, "/e"), SLUICE_OK);
    for (int round = 0; round < 100; round++) {
        struct sl_file *file = file_make("/d/a");
        file_write(file, 1, 0);
        cr_assert_eq(sl_file_sync(file), SLUICE_OK);
        sl_file_close(file);
        cr_assert_eq(sl_dir_sync(os, "/d"), SLUICE_OK);
        cr_assert_eq(sl_path_link(os, "/d/a", "/e/b"), SLUICE_OK);
        cut();
        size_t size = 0;
        bool is_linked = sl_sim_disk_bytes(disk, "/e/b", &size) != NULL;
        cr_assert_not_null(sl_sim_disk_bytes(disk, "/d/a", &size));
        linked += is_linked;
        cr_assert_eq(sl_file_open(os, "/d/a", SL_FILE_READ, &file), SLUICE_OK);
        uint64_t count = 0;
        cr_assert_eq(sl_file_link_count(file, &count), SLUICE_OK);
        cr_assert_eq(count, 1u + is_linked);
        sl_file_close(file);
        cr_assert_eq(sl_path_rename(os, "/d/a", "/d/c"), SLUICE_OK); /* of this name only */
        cr_assert_eq(sl_sim_disk_bytes(disk, "/e/b", &size) != NULL, is_linked);
        cr_assert_eq(sl_path_remove(os, "/d/c"), SLUICE_OK);
        if (is_linked)
            cr_assert_eq(sl_path_remove(os, "/e/b"), SLUICE_OK);
        cr_assert_eq(sl_dir_sync(os, "/d"), SLUICE_OK);
        cr_assert_eq(sl_dir_sync(os, "/e"), SLUICE_OK);
    }
    cr_assert(linked > 10 && linked < 90);
}

Test(os_sim, after_a_failed_sync_the_cache_shows_what_the_disk_lacks)
{
    const struct sl_sim_faults faults = {.sync_fails_after = 1};
    uint8_t seen = 0;
    size_t got = 0;
    sl_os_free(os);
    start(&faults);
    struct sl_file *file = file_make("/d/a");
    file_write(file, 3, 0);
    cr_assert_eq(sl_file_sync(file), SLUICE_E_IO);
    cr_assert_eq(sl_file_sync(file), SLUICE_OK, "as Linux says the second time");
    cr_assert_eq(sl_file_pread(file, &seen, 1, 0, &got), SLUICE_OK);
    cr_assert_eq(seen, 3);
    cr_assert_eq(sl_file_drop_cache(file, 0, 0), SLUICE_OK);
    cr_assert_eq(sl_file_pread(file, &seen, 1, 0, &got), SLUICE_OK);
    cr_assert_eq(seen, 0);
    sl_file_close(file);
}

static uint8_t first_byte(struct sl_sim_disk *from, const char *path)
{
    size_t size = 0;
    const uint8_t *bytes = sl_sim_disk_bytes(from, path, &size);
    return bytes == NULL || size == 0 ? 0 : bytes[0];
}

/* What did not change since the last copy is not copied again. */
Test(os_sim, a_disk_that_is_copied_again_is_what_its_origin_is_then)
{
    struct sl_sim_disk *copy = sl_sim_disk_new(0);
    struct sl_file *a = file_make("/d/a"), *b = file_make("/d/b"), *c = file_make("/d/c");
    file_write(a, 1, 0);
    file_write(b, 2, 0);
    file_write(c, 3, 0);
    cr_assert_eq(sl_file_sync(a), SLUICE_OK);
    cr_assert_eq(sl_dir_sync(os, "/d"), SLUICE_OK);
    sl_sim_disk_copy(copy, disk, 1);
    size_t size = 0;
    sl_sim_disk_bytes(copy, "/d/a", &size)[0] ^= 0xff; /* harmed in the copy */
    file_write(b, 20, 0);                              /* goes on in the origin */
    sl_sim_disk_copy(copy, disk, 1);
    cr_assert_eq(first_byte(copy, "/d/a"), 1);
    cr_assert_eq(first_byte(copy, "/d/b"), 20);
    cr_assert_eq(first_byte(copy, "/d/c"), 3);
    cr_assert_eq(sl_path_remove(os, "/d/c"), SLUICE_OK);
    for (uint64_t seed = 0; seed < 20; seed++) { /* nor does it become durable by being copied */
        sl_sim_disk_copy(copy, disk, seed);
        sl_sim_disk_power_cut(copy);
        uint8_t left = first_byte(copy, "/d/b");
        cr_assert_eq(first_byte(copy, "/d/a"), 1);
        cr_assert(left == 0 || left == 20, "%u", left);
    }
    cr_assert_eq(sl_file_sync(b), SLUICE_OK);
    sl_sim_disk_copy(copy, disk, 1);
    sl_sim_disk_power_cut(copy);
    cr_assert_eq(first_byte(copy, "/d/b"), 20);
    sl_file_close(a);
    sl_file_close(b);
    sl_file_close(c);
    sl_sim_disk_free(copy);
}

Test(os_sim, after_the_cut_every_operation_fails)
{
    const struct sl_sim_faults faults = {.power_cut_after = 2};
    sl_os_free(os);
    start(&faults);
    struct sl_file *file = file_make("/d/a");
    const struct sl_iovec piece = {page, sizeof page};
    cr_assert_eq(sl_file_pwritev(file, &piece, 1, 0), SLUICE_E_POWER_CUT);
    cr_assert(sl_os_sim_power_is_off(os));
    cr_assert_eq(sl_file_sync(file), SLUICE_E_POWER_CUT);
    cr_assert_eq(sl_path_remove(os, "/d/a"), SLUICE_E_POWER_CUT);
    cr_assert_not(sl_os_sim_step(os));
    sl_file_close(file);
}

Test(os_sim, a_disk_has_an_end)
{
    uint64_t total = 0;
    uint64_t available = 0;
    struct sl_file *file = file_make("/d/a");
    sl_sim_disk_set_capacity(disk, 6000);
    file_write(file, 1, 0);
    const struct sl_iovec piece = {page, sizeof page};
    cr_assert_eq(sl_file_pwritev(file, &piece, 1, 4096), SLUICE_E_DISK_FULL);
    cr_assert_eq(sl_file_pwritev(file, &piece, 1, 0), SLUICE_OK, "overwriting needs no room");
    cr_assert_eq(sl_disk_space(os, "/d", &total, &available), SLUICE_OK);
    cr_assert_eq(total, 6000);
    cr_assert_eq(available, 6000 - 4096);
    sl_file_close(file);
}

struct note {
    struct sl_task task;
    struct sl_job job;
    char name;
};

static char order[16];
static size_t order_size;

static void task_run(struct sl_task *task)
{
    order[order_size++] = SL_CONTAINER_OF(task, struct note, task)->name;
}

static void job_work(struct sl_job *job)
{
    order[order_size++] = SL_CONTAINER_OF(job, struct note, job)->name;
}

static void job_done(struct sl_job *job)
{
    order[order_size++] = (char)(SL_CONTAINER_OF(job, struct note, job)->name - 'a' + 'A');
}

Test(os_sim, tasks_of_one_priority_keep_their_order)
{
    struct sl_loop *loop;
    struct note notes[3] = {{.name = 'a'}, {.name = 'b'}, {.name = 'c'}};
    order_size = 0;
    cr_assert_eq(sl_loop_new(os, "l", -1, &loop), SLUICE_OK);
    for (int i = 0; i < 3; i++) {
        notes[i].task.run = task_run;
        notes[i].task.priority = SL_PRIORITY_IO;
        sl_loop_post(loop, &notes[i].task);
    }
    while (sl_os_sim_step(os))
        ;
    cr_assert_eq(memcmp(order, "abc", 3), 0);
    sl_loop_free(loop);
}

Test(os_sim, a_lane_does_one_job_after_the_other_and_tells_the_loop)
{
    struct sl_loop *loop;
    struct sl_lane *lane;
    struct note notes[2] = {{.name = 'a'}, {.name = 'b'}};
    order_size = 0;
    cr_assert_eq(sl_loop_new(os, "l", -1, &loop), SLUICE_OK);
    cr_assert_eq(sl_lane_new(os, "lane", &lane), SLUICE_OK);
    for (int i = 0; i < 2; i++) {
        notes[i].job = (struct sl_job){.work = job_work, .done = job_done};
        sl_lane_submit(lane, loop, &notes[i].job);
    }
    while (sl_os_sim_step(os))
        ;
    cr_assert_eq(order_size, 4);
    cr_assert_eq(order[0], 'a');
    cr_assert(memchr(order, 'b', 4) < memchr(order, 'B', 4));
    cr_assert(memchr(order, 'A', 4) < memchr(order, 'B', 4));
    sl_lane_free(lane);
    sl_loop_free(loop);
}

static void timer_fire(void *arg)
{
    int64_t *fired_ns = arg;
    *fired_ns = sl_os_mono_ns(os);
}

Test(os_sim, the_clock_jumps_to_the_next_timer)
{
    struct sl_loop *loop;
    struct sl_timer *timer;
    int64_t fired_ns = 0;
    cr_assert_eq(sl_loop_new(os, "l", -1, &loop), SLUICE_OK);
    cr_assert_eq(sl_timer_new(loop, timer_fire, &fired_ns, &timer), SLUICE_OK);
    int64_t begin_ns = sl_os_mono_ns(os);
    sl_timer_start(timer, 3600000000000);
    cr_assert(sl_os_sim_step(os));
    cr_assert_eq(fired_ns - begin_ns, 3600000000000);
    cr_assert_not(sl_os_sim_step(os));
    sl_timer_free(timer);
    sl_loop_free(loop);
}

Test(os_sim, tells_sectors_of_zeros_as_never_written)
{
    struct sl_file *file = file_make("/d/holes");
    uint64_t start = 0, end = 0;
    cr_assert_eq(sl_file_fill_zero(file, 4000), SLUICE_OK);
    cr_assert_eq(sl_file_data_range(file, 0, &start, &end), SLUICE_E_NOT_FOUND);
    file_write(file, 1, 3999);
    cr_assert_eq(sl_file_data_range(file, 0, &start, &end), SLUICE_OK);
    cr_assert(start == 3584 && end > start);
    cr_assert_eq(sl_file_data_range(file, 3999 + sizeof page, &start, &end), SLUICE_E_NOT_FOUND);
    sl_file_close(file);
}

Test(os_sim, sockets_are_not_simulated)
{
    struct sl_loop *loop;
    struct sl_listener *listener;
    cr_assert_eq(sl_loop_new(os, "l", -1, &loop), SLUICE_OK);
    cr_assert_eq(sl_listener_new(loop, "127.0.0.1:0", 0, NULL, NULL, &listener),
                 SLUICE_E_UNSUPPORTED);
    sl_loop_free(loop);
}
