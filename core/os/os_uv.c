/* os_uv.c: the instance of sl_os over libuv and Linux: table, clocks, randomness, errors. */
#include "os/os_uv.h"
#include "os/os_uv_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define HELPERS_MAX        64u
#define BACKGROUND_THREADS 2u
#define BACKGROUND_NICE    5
#define COMPUTING_NICE     10

static const struct {
    int number;
    sl_err err;
} errors[] = {
    {ENOENT, SLUICE_E_NOT_FOUND},
    {ENOTDIR, SLUICE_E_NOT_FOUND},
    {EEXIST, SLUICE_E_EXISTS},
    {EINVAL, SLUICE_E_INVALID},
    {ENAMETOOLONG, SLUICE_E_INVALID},
    {EISDIR, SLUICE_E_INVALID},
    {EBADF, SLUICE_E_INVALID},
    {ENOTSOCK, SLUICE_E_INVALID},
    {ENOSPC, SLUICE_E_DISK_FULL},
    {EDQUOT, SLUICE_E_DISK_FULL},
    {EMFILE, SLUICE_E_LIMIT},
    {ENFILE, SLUICE_E_LIMIT},
    {ENOMEM, SLUICE_E_NO_MEMORY},
    {ENOBUFS, SLUICE_E_NO_MEMORY},
    {EACCES, SLUICE_E_PERMISSION},
    {EPERM, SLUICE_E_PERMISSION},
    {EROFS, SLUICE_E_PERMISSION},
    {EAGAIN, SLUICE_E_WOULD_BLOCK},
    {EADDRINUSE, SLUICE_E_ADDRESS_IN_USE},
    {EADDRNOTAVAIL, SLUICE_E_INVALID},
    {ECONNREFUSED, SLUICE_E_NETWORK},
    {ECONNRESET, SLUICE_E_NETWORK},
    {ECONNABORTED, SLUICE_E_NETWORK},
    {EPIPE, SLUICE_E_NETWORK},
    {ENOTCONN, SLUICE_E_NETWORK},
    {ETIMEDOUT, SLUICE_E_NETWORK},
    {EHOSTUNREACH, SLUICE_E_NETWORK},
    {ENETUNREACH, SLUICE_E_NETWORK},
};

sl_err osuv_err(int error_number)
{
    for (size_t i = 0; i < SL_COUNT_OF(errors); i++) {
        if (errors[i].number == error_number)
            return errors[i].err;
    }
    return SLUICE_E_IO;
}

int64_t osuv_mono_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t mono_ns(struct sl_os *os)
{
    (void)os;
    return osuv_mono_ns();
}

static int64_t wall_ms(struct sl_os *os)
{
    struct timespec now;
    (void)os;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void random_bytes(struct sl_os *os, void *ret_bytes, size_t size)
{
    uint8_t *bytes = ret_bytes;
    (void)os;
    while (size > 0) {
        ssize_t got = getrandom(bytes, size, 0);
        /* The kernel's generator has no other failure; weaker bytes instead are not an answer. */
        SL_ASSERT(got > 0 || (got < 0 && errno == EINTR));
        if (got > 0) {
            bytes += got;
            size -= (size_t)got;
        }
    }
}

void osuv_free_on_close(uv_handle_t *handle)
{
    sl_free(handle->data);
}

void osuv_thread_settle(const struct osuv *os, const char *name)
{
    /* A thread inherits the mask of the one that made it, which may be a pinned loop. Where the
     * mask cannot be set the thread still works, only slower. */
    sigset_t signals;
    (void)pthread_setaffinity_np(pthread_self(), sizeof os->cpus, &os->cpus);
    (void)pthread_setname_np(pthread_self(), name);
    /* The program's own thread takes its signals: whoever sleeps on a lock has better to do, and
     * under ThreadSanitizer would keep one until it wakes. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

static void os_free(struct sl_os *os)
{
    struct osuv *uv = osuv_os_of(os);
    osuv_workers_fini(&uv->helpers);
    osuv_workers_fini(&uv->background);
    osuv_workers_fini(&uv->computing);
    if (uv->nowhere >= 0)
        close(uv->nowhere);
    sl_free(uv);
}

static sl_err init_workers(struct osuv *os, uint32_t helper_count)
{
    const struct {
        struct osuv_workers *workers;
        const char *name;
        uint32_t thread_max;
        int nice;
    } kinds[] = {
        {&os->helpers, "helper", helper_count, 0},
        {&os->background, "background", BACKGROUND_THREADS, BACKGROUND_NICE},
        {&os->computing, "computing", helper_count, COMPUTING_NICE},
    };
    sl_err err = SLUICE_OK;
    size_t made = 0;
    for (; made < SL_COUNT_OF(kinds) && !err; made++) {
        err = osuv_workers_init(kinds[made].workers, os, kinds[made].name, kinds[made].thread_max);
        kinds[made].workers->nice = kinds[made].nice;
    }
    for (size_t i = 0; err && i + 1 < made; i++)
        osuv_workers_fini(kinds[i].workers);
    return err;
}

sl_err sl_os_uv_new(uint32_t helper_count, struct sl_os **ret_os)
{
    if (helper_count < 1 || helper_count > HELPERS_MAX)
        return SLUICE_E_INVALID;
    struct osuv *os = sl_alloc_zero(1, sizeof *os);
    if (!os)
        return SLUICE_E_NO_MEMORY;
    os->base.ops = &osuv_ops;
    if (pthread_getaffinity_np(pthread_self(), sizeof os->cpus, &os->cpus) != 0)
        memset(&os->cpus, 0xff, sizeof os->cpus); /* more CPUs than a cpu_set_t: any of them */
    os->spins = CPU_COUNT(&os->cpus) > 1;
    sl_err err = init_workers(os, helper_count);
    if (err) {
        sl_free(os);
        return err;
    }
    os->nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC); /* without it prefetching takes longer */
    *ret_os = &os->base;
    return SLUICE_OK;
}

const struct sl_os_ops osuv_ops = {
    .name = "uv",
    .os_free = os_free,
    .mono_ns = mono_ns,
    .wall_ms = wall_ms,
    .random = random_bytes,
    .file_open = osuv_file_open,
    .file_close = osuv_file_close,
    .file_pread = osuv_file_pread,
    .file_pread_cached = osuv_file_pread_cached,
    .file_pwritev = osuv_file_pwritev,
    .file_sync = osuv_file_sync,
    .file_allocate = osuv_file_allocate,
    .file_fill_zero = osuv_file_fill_zero,
    .file_truncate = osuv_file_truncate,
    .file_access_as = osuv_file_access_as,
    .file_size = osuv_file_size,
    .file_link_count = osuv_file_link_count,
    .file_prefetch = osuv_file_prefetch,
    .file_ask = osuv_file_ask,
    .file_data_range = osuv_file_data_range,
    .file_drop_cache = osuv_file_drop_cache,
    .file_lock = osuv_file_lock,
    .dir_make = osuv_dir_make,
    .dir_list = osuv_dir_list,
    .dir_sync = osuv_dir_sync,
    .path_rename = osuv_path_rename,
    .path_link = osuv_path_link,
    .path_remove = osuv_path_remove,
    .disk_space = osuv_disk_space,
    .loop_new = osuv_loop_make,
    .loop_run = osuv_loop_run_here,
    .loop_start = osuv_loop_start_thread,
    .loop_join = osuv_loop_join_thread,
    .loop_stop = osuv_loop_end,
    .loop_free = osuv_loop_destroy,
    .loop_post = osuv_loop_post,
    .loop_count_turns = osuv_loop_count_turns,
    .loop_now_ns = osuv_loop_now_ns,
    .loop_is_current = osuv_loop_is_current,
    .timer_new = osuv_timer_make,
    .timer_start = osuv_timer_arm,
    .timer_stop = osuv_timer_disarm,
    .timer_free = osuv_timer_destroy,
    .lane_new = osuv_lane_make,
    .lane_free = osuv_lane_destroy,
    .lane_submit = osuv_lane_submit,
    .reader_new = osuv_reader_make,
    .reader_free = osuv_reader_destroy,
    .reader_submit = osuv_reader_submit,
    .reader_wait = osuv_reader_wait,
    .helpers_submit = osuv_helpers_submit,
    .poll_new = osuv_poll_make,
    .poll_free = osuv_poll_destroy,
    .watch_new = osuv_watch_make,
    .watch_free = osuv_watch_destroy,
    .signals_watch = osuv_signals_watch,
    .listener_new = osuv_listener_make,
    .listener_port = osuv_listener_port,
    .listener_free = osuv_listener_destroy,
    .stream_new = osuv_stream_make,
    .stream_read_start = osuv_stream_read_begin,
    .stream_read_stop = osuv_stream_read_end,
    .stream_read = osuv_stream_read,
    .stream_writev = osuv_stream_writev,
    .stream_sendfile = osuv_stream_sendfile,
    .stream_local = osuv_stream_local,
    .stream_peer_user = osuv_stream_peer_user,
    .stream_share = osuv_stream_share,
    .stream_free = osuv_stream_destroy,
    .connect = osuv_connect,
};
