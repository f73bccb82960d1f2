/* os_ops.h: the table that an implementation of sl_os fills (os_uv over the system, os_sim by
 * seed).
 *
 * Private to core/os. Every object starts with its public base struct, by which os.c finds the
 * table: struct uv_file { struct sl_file base; int descriptor; }; The implementation allocates the
 * object, sets base.os, and gets it back by SL_CONTAINER_OF. os.c checks arguments that are the
 * same for all (asserts) and calls the slot; a slot that is NULL is unsupported: a constructor then
 * answers SLUICE_E_UNSUPPORTED, and no object exists on which another slot could be called. Slots
 * have the contracts (thread, errors, ownership) of the functions of os.h they serve. */
#ifndef SL_OS_OS_OPS_H
#define SL_OS_OS_OPS_H

#include "os/os.h"

struct sl_os_ops {
    const char *name; /* "uv", "sim" */
    void (*os_free)(struct sl_os *os);

    int64_t (*mono_ns)(struct sl_os *os);
    int64_t (*wall_ms)(struct sl_os *os);
    void (*random)(struct sl_os *os, void *ret_bytes, size_t size);

    sl_err (*file_open)(struct sl_os *os, const char *path, uint32_t flags,
                        struct sl_file **ret_file);
    void (*file_close)(struct sl_file *file); /* never NULL */
    sl_err (*file_pread)(struct sl_file *file, void *buffer, size_t size, uint64_t position,
                         size_t *ret_size);
    sl_err (*file_pread_cached)(struct sl_file *file, void *buffer, size_t size, uint64_t position,
                                size_t *ret_size);
    void (*file_prefetch)(struct sl_file *file, uint64_t position, uint64_t size);
    void (*file_ask)(struct sl_file *file, uint64_t position, uint64_t size);
    sl_err (*file_data_range)(struct sl_file *file, uint64_t position, uint64_t *ret_start,
                              uint64_t *ret_end);
    sl_err (*file_pwritev)(struct sl_file *file, const struct sl_iovec *pieces, size_t count,
                           uint64_t position);
    sl_err (*file_sync)(struct sl_file *file);
    sl_err (*file_allocate)(struct sl_file *file, uint64_t size);
    sl_err (*file_fill_zero)(struct sl_file *file, uint64_t size);
    sl_err (*file_truncate)(struct sl_file *file, uint64_t size);
    sl_err (*file_access_as)(struct sl_file *file, const char *path); /* may be NULL */
    sl_err (*file_size)(struct sl_file *file, uint64_t *ret_size);
    sl_err (*file_link_count)(struct sl_file *file, uint64_t *ret_count);
    sl_err (*file_drop_cache)(struct sl_file *file, uint64_t position, uint64_t size);
    sl_err (*file_lock)(struct sl_file *file);

    sl_err (*dir_make)(struct sl_os *os, const char *path);
    sl_err (*dir_list)(struct sl_os *os, const char *path, sl_dir_entry_fn *entry, void *arg);
    sl_err (*dir_sync)(struct sl_os *os, const char *path);
    sl_err (*path_rename)(struct sl_os *os, const char *from, const char *to);
    sl_err (*path_link)(struct sl_os *os, const char *from, const char *to);
    sl_err (*path_remove)(struct sl_os *os, const char *path);
    sl_err (*disk_space)(struct sl_os *os, const char *path, uint64_t *ret_total_bytes,
                         uint64_t *ret_available_bytes);

    sl_err (*loop_new)(struct sl_os *os, const char *name, int32_t cpu, struct sl_loop **ret_loop);
    void (*loop_run)(struct sl_loop *loop);
    sl_err (*loop_start)(struct sl_loop *loop);
    void (*loop_join)(struct sl_loop *loop);
    void (*loop_stop)(struct sl_loop *loop);
    void (*loop_free)(struct sl_loop *loop);
    void (*loop_post)(struct sl_loop *loop, struct sl_task *task); /* task->queued is 1 already */
    int64_t (*loop_now_ns)(struct sl_loop *loop);
    bool (*loop_is_current)(struct sl_loop *loop);
    void (*loop_count_turns)(struct sl_loop *loop, struct sl_metric_cell *turns,
                             struct sl_metric_cell *longest); /* NULL: it does not */

    sl_err (*timer_new)(struct sl_loop *loop, sl_timer_fn *fire, void *arg,
                        struct sl_timer **ret_timer);
    void (*timer_start)(struct sl_timer *timer, int64_t delay_ns);
    void (*timer_stop)(struct sl_timer *timer);
    void (*timer_free)(struct sl_timer *timer);

    sl_err (*lane_new)(struct sl_os *os, const char *name, struct sl_lane **ret_lane);
    void (*lane_free)(struct sl_lane *lane);
    void (*lane_submit)(struct sl_lane *lane, struct sl_job *job); /* job->loop is set */
    void (*helpers_submit)(struct sl_os *os, struct sl_job *job);  /* job->loop is set */
    sl_err (*reader_new)(struct sl_os *os, struct sl_reader **ret_reader);
    void (*reader_free)(struct sl_reader *reader);
    void (*reader_submit)(struct sl_reader *reader, struct sl_read *read); /* prepared */
    void (*reader_wait)(struct sl_reader *reader, struct sl_read *read);

    /* The simulator has none of the following. */
    sl_err (*poll_new)(struct sl_loop *loop, int descriptor, sl_poll_fn *readable, void *arg,
                       struct sl_poll **ret_poll);
    void (*poll_free)(struct sl_poll *poll);
    sl_err (*watch_new)(struct sl_loop *loop, const char *path, sl_watch_fn *changed, void *arg,
                        struct sl_watch **ret_watch);
    void (*watch_free)(struct sl_watch *watch);
    sl_err (*signals_watch)(struct sl_loop *loop, sl_signal_fn *raised, void *arg);

    sl_err (*listener_new)(struct sl_loop *loop, const char *address, uint32_t mode,
                           sl_accept_fn *accepted, void *arg, struct sl_listener **ret_listener);
    uint16_t (*listener_port)(const struct sl_listener *listener);
    void (*listener_free)(struct sl_listener *listener);

    sl_err (*stream_new)(struct sl_loop *loop, int descriptor,
                         const struct sl_stream_events *events, void *arg,
                         struct sl_stream **ret_stream); /* NULL slot: os.c closes the descriptor */
    void (*stream_read_start)(struct sl_stream *stream);
    void (*stream_read_stop)(struct sl_stream *stream);
    sl_err (*stream_read)(struct sl_stream *stream, void *buffer, size_t size, size_t *ret_size);
    sl_err (*stream_writev)(struct sl_stream *stream, const struct sl_iovec *pieces, size_t count,
                            size_t *ret_size);
    sl_err (*stream_sendfile)(struct sl_stream *stream, struct sl_file *file, uint64_t position,
                              size_t size, size_t *ret_size);
    void (*stream_local)(const struct sl_stream *stream, char *ret_text, size_t size);
    sl_err (*stream_peer_user)(const struct sl_stream *stream, uint32_t *ret_user);
    sl_err (*stream_share)(struct sl_stream *stream, const struct sl_share *share);
    void (*stream_free)(struct sl_stream *stream);
    sl_err (*connect)(struct sl_os *os, const char *address, int *ret_descriptor);
};

/* The public part of each object; the implementation's struct has it as its first member, `base`.
 */
struct sl_os {
    const struct sl_os_ops *ops;
};
struct sl_file {
    struct sl_os *os;
};
struct sl_loop {
    struct sl_os *os;
};
struct sl_timer {
    struct sl_os *os;
};
struct sl_lane {
    struct sl_os *os;
};
struct sl_reader {
    struct sl_os *os;
};
struct sl_poll {
    struct sl_os *os;
};
struct sl_watch {
    struct sl_os *os;
};
struct sl_listener {
    struct sl_os *os;
};
struct sl_stream {
    struct sl_os *os;
};

/* What a reader does for each read. */
void sl_read_now(struct sl_read *read);

#endif
