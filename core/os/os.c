/* os.c: the functions of os.h, handed on to the implementation's table (os_ops.h).
 *
 * What holds for every implementation is checked here, once; there is no state. */
#include "os/os.h"
#include "os/os_ops.h"
#include <sluice/shared_ring.h>

/* Frees through the slot; accepts NULL and returns NULL as every destructor. */
#define FREE(object, slot)                   \
    do {                                     \
        if (object)                          \
            (object)->os->ops->slot(object); \
    } while (0)

void sl_os_free(struct sl_os *os)
{
    if (os)
        os->ops->os_free(os);
}

int64_t sl_os_mono_ns(struct sl_os *os)
{
    return os->ops->mono_ns(os);
}

int64_t sl_os_wall_ms(struct sl_os *os)
{
    return os->ops->wall_ms(os);
}

void sl_os_random(struct sl_os *os, void *ret_bytes, size_t size)
{
    os->ops->random(os, ret_bytes, size);
}

/* ---- files ---- */

sl_err sl_file_open(struct sl_os *os, const char *path, uint32_t flags, struct sl_file **ret_file)
{
    SL_ASSERT(flags & (SL_FILE_READ | SL_FILE_WRITE));
    SL_ASSERT(!(flags & SL_FILE_EXCLUSIVE) || (flags & SL_FILE_CREATE));
    return os->ops->file_open(os, path, flags, ret_file);
}

struct sl_file *sl_file_close(struct sl_file *file)
{
    FREE(file, file_close);
    return NULL;
}

sl_err sl_file_pread(struct sl_file *file, void *buffer, size_t size, uint64_t position,
                     size_t *ret_size)
{
    return file->os->ops->file_pread(file, buffer, size, position, ret_size);
}

sl_err sl_file_pread_cached(struct sl_file *file, void *buffer, size_t size, uint64_t position,
                            size_t *ret_size)
{
    return file->os->ops->file_pread_cached(file, buffer, size, position, ret_size);
}

sl_err sl_file_pwritev(struct sl_file *file, const struct sl_iovec *pieces, size_t count,
                       uint64_t position)
{
    return file->os->ops->file_pwritev(file, pieces, count, position);
}

sl_err sl_file_sync(struct sl_file *file)
{
    return file->os->ops->file_sync(file);
}

sl_err sl_file_allocate(struct sl_file *file, uint64_t size)
{
    return file->os->ops->file_allocate(file, size);
}

sl_err sl_file_fill_zero(struct sl_file *file, uint64_t size)
{
    return file->os->ops->file_fill_zero(file, size);
}

sl_err sl_file_truncate(struct sl_file *file, uint64_t size)
{
    return file->os->ops->file_truncate(file, size);
}

sl_err sl_file_access_as(struct sl_os *os, struct sl_file *file, const char *path)
{
    if (!os->ops->file_access_as)
        return SLUICE_E_UNSUPPORTED;
    return os->ops->file_access_as(file, path);
}

sl_err sl_file_size(struct sl_file *file, uint64_t *ret_size)
{
    return file->os->ops->file_size(file, ret_size);
}

sl_err sl_file_link_count(struct sl_file *file, uint64_t *ret_count)
{
    return file->os->ops->file_link_count(file, ret_count);
}

void sl_file_prefetch(struct sl_file *file, uint64_t position, uint64_t size)
{
    file->os->ops->file_prefetch(file, position, size);
}

void sl_file_ask(struct sl_file *file, uint64_t position, uint64_t size)
{
    file->os->ops->file_ask(file, position, size);
}

sl_err sl_file_data_range(struct sl_file *file, uint64_t position, uint64_t *ret_start,
                          uint64_t *ret_end)
{
    return file->os->ops->file_data_range(file, position, ret_start, ret_end);
}

sl_err sl_file_drop_cache(struct sl_file *file, uint64_t position, uint64_t size)
{
    return file->os->ops->file_drop_cache(file, position, size);
}

sl_err sl_file_lock(struct sl_file *file)
{
    return file->os->ops->file_lock(file);
}

sl_err sl_dir_make(struct sl_os *os, const char *path)
{
    return os->ops->dir_make(os, path);
}

sl_err sl_dir_list(struct sl_os *os, const char *path, sl_dir_entry_fn *entry, void *arg)
{
    return os->ops->dir_list(os, path, entry, arg);
}

sl_err sl_dir_sync(struct sl_os *os, const char *path)
{
    return os->ops->dir_sync(os, path);
}

sl_err sl_path_rename(struct sl_os *os, const char *from, const char *to)
{
    return os->ops->path_rename(os, from, to);
}

sl_err sl_path_link(struct sl_os *os, const char *from, const char *to)
{
    return os->ops->path_link(os, from, to);
}

sl_err sl_path_remove(struct sl_os *os, const char *path)
{
    return os->ops->path_remove(os, path);
}

sl_err sl_disk_space(struct sl_os *os, const char *path, uint64_t *ret_total_bytes,
                     uint64_t *ret_available_bytes)
{
    return os->ops->disk_space(os, path, ret_total_bytes, ret_available_bytes);
}

/* ---- loops, tasks, timers ---- */

sl_err sl_loop_new(struct sl_os *os, const char *name, int32_t cpu, struct sl_loop **ret_loop)
{
    return os->ops->loop_new(os, name, cpu, ret_loop);
}

void sl_loop_run(struct sl_loop *loop)
{
    loop->os->ops->loop_run(loop);
}

sl_err sl_loop_start(struct sl_loop *loop)
{
    return loop->os->ops->loop_start(loop);
}

void sl_loop_join(struct sl_loop *loop)
{
    loop->os->ops->loop_join(loop);
}

void sl_loop_stop(struct sl_loop *loop)
{
    loop->os->ops->loop_stop(loop);
}

struct sl_loop *sl_loop_free(struct sl_loop *loop)
{
    FREE(loop, loop_free);
    return NULL;
}

void sl_loop_post(struct sl_loop *loop, struct sl_task *task)
{
    SL_ASSERT(task->run != NULL);
    SL_ASSERT(task->priority < SL_PRIORITY_COUNT);
    SL_ASSERT(task->queued == 0);
    task->queued = 1;
    loop->os->ops->loop_post(loop, task);
}

int64_t sl_loop_now_ns(struct sl_loop *loop)
{
    return loop->os->ops->loop_now_ns(loop);
}

void sl_loop_count_turns(struct sl_loop *loop, struct sl_metric_cell *turns,
                         struct sl_metric_cell *longest)
{
    if (loop->os->ops->loop_count_turns != NULL) {
        loop->os->ops->loop_count_turns(loop, turns, longest);
    }
}

bool sl_loop_is_current(struct sl_loop *loop)
{
    return loop->os->ops->loop_is_current(loop);
}

sl_err sl_timer_new(struct sl_loop *loop, sl_timer_fn *fire, void *arg, struct sl_timer **ret_timer)
{
    return loop->os->ops->timer_new(loop, fire, arg, ret_timer);
}

void sl_timer_start(struct sl_timer *timer, int64_t delay_ns)
{
    timer->os->ops->timer_start(timer, SL_MAX(delay_ns, 0));
}

void sl_timer_stop(struct sl_timer *timer)
{
    timer->os->ops->timer_stop(timer);
}

struct sl_timer *sl_timer_free(struct sl_timer *timer)
{
    FREE(timer, timer_free);
    return NULL;
}

/* ---- blocking work ---- */

sl_err sl_lane_new(struct sl_os *os, const char *name, struct sl_lane **ret_lane)
{
    return os->ops->lane_new(os, name, ret_lane);
}

struct sl_lane *sl_lane_free(struct sl_lane *lane)
{
    FREE(lane, lane_free);
    return NULL;
}

static void job_prepare(struct sl_job *job, struct sl_loop *loop)
{
    SL_ASSERT(job->work != NULL && job->done != NULL);
    SL_ASSERT(job->task.priority < SL_PRIORITY_COUNT);
    SL_ASSERT(job->task.queued == 0);
    job->loop = loop;
    job->next = NULL;
}

void sl_lane_submit(struct sl_lane *lane, struct sl_loop *loop, struct sl_job *job)
{
    job_prepare(job, loop);
    lane->os->ops->lane_submit(lane, job);
}

void sl_helpers_submit(struct sl_os *os, struct sl_loop *loop, struct sl_job *job)
{
    job_prepare(job, loop);
    os->ops->helpers_submit(os, job);
}

sl_err sl_reader_new(struct sl_os *os, struct sl_reader **ret_reader)
{
    return os->ops->reader_new(os, ret_reader);
}

struct sl_reader *sl_reader_free(struct sl_reader *reader)
{
    FREE(reader, reader_free);
    return NULL;
}

void sl_reader_submit(struct sl_reader *reader, struct sl_read *read)
{
    read->next = NULL;
    read->done = false;
    reader->os->ops->reader_submit(reader, read);
}

void sl_reader_wait(struct sl_reader *reader, struct sl_read *read)
{
    reader->os->ops->reader_wait(reader, read);
}

void sl_read_now(struct sl_read *read)
{
    read->err = sl_file_pread(read->file, read->buffer, read->size, read->position, &read->got);
}

/* ---- descriptors, directories, signals ---- */

sl_err sl_poll_new(struct sl_loop *loop, int descriptor, sl_poll_fn *readable, void *arg,
                   struct sl_poll **ret_poll)
{
    if (!loop->os->ops->poll_new)
        return SLUICE_E_UNSUPPORTED;
    return loop->os->ops->poll_new(loop, descriptor, readable, arg, ret_poll);
}

struct sl_poll *sl_poll_free(struct sl_poll *poll)
{
    FREE(poll, poll_free);
    return NULL;
}

sl_err sl_watch_new(struct sl_loop *loop, const char *path, sl_watch_fn *changed, void *arg,
                    struct sl_watch **ret_watch)
{
    if (!loop->os->ops->watch_new)
        return SLUICE_E_UNSUPPORTED;
    return loop->os->ops->watch_new(loop, path, changed, arg, ret_watch);
}

struct sl_watch *sl_watch_free(struct sl_watch *watch)
{
    FREE(watch, watch_free);
    return NULL;
}

sl_err sl_signals_watch(struct sl_loop *loop, sl_signal_fn *raised, void *arg)
{
    if (!loop->os->ops->signals_watch)
        return SLUICE_E_UNSUPPORTED;
    return loop->os->ops->signals_watch(loop, raised, arg);
}

/* ---- sockets ---- */

sl_err sl_listener_new(struct sl_loop *loop, const char *address, uint32_t mode,
                       sl_accept_fn *accepted, void *arg, struct sl_listener **ret_listener)
{
    if (!loop->os->ops->listener_new)
        return SLUICE_E_UNSUPPORTED;
    return loop->os->ops->listener_new(loop, address, mode, accepted, arg, ret_listener);
}

uint16_t sl_listener_port(const struct sl_listener *listener)
{
    return listener->os->ops->listener_port(listener);
}

struct sl_listener *sl_listener_free(struct sl_listener *listener)
{
    FREE(listener, listener_free);
    return NULL;
}

sl_err sl_stream_new(struct sl_loop *loop, int descriptor, const struct sl_stream_events *events,
                     void *arg, struct sl_stream **ret_stream)
{
    if (!loop->os->ops->stream_new) {
        sl_descriptor_close(descriptor);
        return SLUICE_E_UNSUPPORTED;
    }
    return loop->os->ops->stream_new(loop, descriptor, events, arg, ret_stream);
}

void sl_stream_read_start(struct sl_stream *stream)
{
    stream->os->ops->stream_read_start(stream);
}

void sl_stream_read_stop(struct sl_stream *stream)
{
    stream->os->ops->stream_read_stop(stream);
}

sl_err sl_stream_read(struct sl_stream *stream, void *buffer, size_t size, size_t *ret_size)
{
    return stream->os->ops->stream_read(stream, buffer, size, ret_size);
}

sl_err sl_stream_writev(struct sl_stream *stream, const struct sl_iovec *pieces, size_t count,
                        size_t *ret_size)
{
    return stream->os->ops->stream_writev(stream, pieces, count, ret_size);
}

sl_err sl_stream_sendfile(struct sl_stream *stream, struct sl_file *file, uint64_t position,
                          size_t size, size_t *ret_size)
{
    SL_ASSERT(file->os == stream->os);
    return stream->os->ops->stream_sendfile(stream, file, position, size, ret_size);
}

void sl_stream_local(const struct sl_stream *stream, char *ret_text, size_t size)
{
    SL_ASSERT(size > 0);
    stream->os->ops->stream_local(stream, ret_text, size);
}

sl_err sl_stream_peer_user(const struct sl_stream *stream, uint32_t *ret_user)
{
    return stream->os->ops->stream_peer_user(stream, ret_user);
}

sl_err sl_stream_share(struct sl_stream *stream, const struct sl_share *share)
{
    SL_ASSERT(sluice_shared_is_size(share->ring_bytes) && share->answer_size > 0);
    return stream->os->ops->stream_share(stream, share);
}

struct sl_stream *sl_stream_free(struct sl_stream *stream)
{
    FREE(stream, stream_free);
    return NULL;
}

sl_err sl_connect(struct sl_os *os, const char *address, int *ret_descriptor)
{
    if (!os->ops->connect)
        return SLUICE_E_UNSUPPORTED;
    return os->ops->connect(os, address, ret_descriptor);
}
