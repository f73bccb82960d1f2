/* os_uv_internal.h: the objects of sl_os over libuv and Linux, shared by os_uv*.c only.
 *
 *   os_uv.c           the instance, its table, clocks, errors
 *   os_uv_file.c      files and directories
 *   os_uv_loop.c      loop, queues of tasks, timers
 *   os_uv_wait.c      what a loop waits for: streams, wakes, libuv
 *   os_uv_lane.c      lanes and helpers
 *   os_uv_reader.c    a thread that reads for one that may wait
 *   os_uv_event.c     descriptors of others, directory watch, signals
 *   os_uv_address.c   addresses, connect
 *   os_uv_listener.c  listening sockets
 *   os_uv_stream.c    connected sockets
 *   os_uv_rings.c     those that became rings in shared memory */
#ifndef SL_OS_OS_UV_INTERNAL_H
#define SL_OS_OS_UV_INTERNAL_H

#include "os/os_ops.h"
#include <sluice/shared_ring.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <uv.h>

#define UV_SIGNAL_COUNT 3u

/* Of a stream: what its owner wants to be called for. */
#define OSUV_READABLE 1u
#define OSUV_WRITABLE 2u

/* How long to look before sleeping: a thread that sleeps is back tens of microseconds after it is
 * woken. Only who lately waited for less than this looks at all, and only where there is more than
 * one processor. */
#define OSUV_SPIN_NS 50000
/* Of the wait of a thread that slept at once, so much may be the waking itself, at both ends. Were
 * it counted, some long waits in a row would keep threads asleep that have none any more. */
#define OSUV_WAKE_NS 100000

/* A lane looks longer: its loop may be about to wake, and if both sleep before the other is awake
 * neither finds the other again. It has nothing else to do. */
#define OSUV_LANE_LOOK_NS 200000

struct osuv_spin {
    int64_t limit_ns; /* to look for at most; 0: never */
    int64_t wait_ns;  /* how long waits were, on average, the latest counting most */
};

static inline bool osuv_spin_pays(const struct osuv_spin *spin)
{
    return spin->wait_ns < spin->limit_ns;
}

/* looked: before it slept, if it did. */
static inline void osuv_spin_note(struct osuv_spin *spin, int64_t wait_ns, bool looked)
{
    wait_ns = looked ? wait_ns : SL_MAX(wait_ns - OSUV_WAKE_NS, (int64_t)0);
    spin->wait_ns += (SL_MIN(wait_ns, spin->limit_ns * 2) - spin->wait_ns) / 4;
}

static inline void osuv_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Threads that run jobs in the order of submission; a lane has one, the helpers several. */
struct osuv_workers {
    struct osuv *os;
    pthread_mutex_t mutex; /* all below */
    pthread_cond_t wake;
    struct sl_job *first; /* queue */
    struct sl_job *last;
    atomic_uint queued_count; /* written under the mutex, read anywhere */
    struct osuv_spin spin;    /* of a lane */
    int submit_cpu;           /* of a lane: where its loop was; -1: not known */
    uint32_t together;        /* of a lane: times it was there too */
    pthread_t *threads;       /* owned array of thread_max */
    int nice;                 /* of its threads, above the others' */
    uint32_t thread_max;
    uint32_t thread_count; /* started so far; the rest start when all are busy */
    uint32_t idle_count;   /* waiting for a job */
    bool closing;
    char name[16];
};

struct osuv {
    struct sl_os base;
    cpu_set_t cpus; /* of the process at the start; threads that are not pinned run on these */
    struct osuv_workers helpers;
    struct osuv_workers background; /* for jobs of SL_PRIORITY_BACKGROUND */
    struct osuv_workers computing;  /* for those that only compute */
    bool spins;                     /* there is more than one processor */
    int nowhere;                    /* descriptor of /dev/null; -1: none */
};

struct osuv_file {
    struct sl_file base;
    int descriptor;
};

struct task_list {
    struct sl_task *first;
    struct sl_task *last;
};

struct osuv_loop {
    struct sl_loop base;
    uv_loop_t uv;
    int epoll;                              /* owned: what it waits for, see os_uv_wait.c */
    int wake;                               /* owned eventfd: ends a wait from another thread */
    int64_t waited_ns;                      /* in all */
    struct osuv_stream *again, *again_last; /* that left something to read, by next */
    struct osuv_stream *gone;               /* freed, by next: a wait that runs may name them */
    uv_signal_t signals[UV_SIGNAL_COUNT];   /* in use when signal_fn is set */
    sl_signal_fn *signal_fn;                /* NULL: no signals are watched */
    void *signal_arg;
    _Atomic(struct sl_task *) posted[SL_PRIORITY_COUNT]; /* stacks that any thread pushes to */
    struct task_list ready[SL_PRIORITY_COUNT];           /* the loop's own, in order */
    atomic_uint sleeping;                                /* 1: a poster must send wake */
    atomic_uint wakers; /* threads that post or end it: it is not freed before they are done */
    atomic_uint stopping;
    _Atomic uintptr_t owner;                /* thread that runs the loop; 0: none */
    uint32_t lane_jobs;                     /* of this loop that lanes have */
    struct osuv_spin spin;                  /* waits for what they post */
    int64_t wait_begin_ns;                  /* of the wait with lane_jobs that runs; 0: none */
    struct osuv_rings *rings;               /* those that are looked at, by next */
    struct osuv_rings *next_rings;          /* of a walk over them: who leaves moves it on */
    struct osuv_spin ring_spin;             /* waits for what peers put into rings */
    int64_t ring_ns;                        /* when one had something last */
    bool ring_slept;                        /* since then */
    bool has_looked;                        /* before it slept */
    int64_t now_ns;                         /* see now_is_known */
    bool now_is_known;                      /* now_ns was read in this turn */
    struct sl_metric_cell *turns, *longest; /* NULL: turns are not counted */
    int64_t turn_ns;                        /* when this turn began, less all waiting before */
    pthread_t thread;                       /* of loop_start */
    int32_t cpu;                            /* -1: not pinned */
    char name[16];
};

struct osuv_stream {
    struct sl_stream base; /* this and what follows is what each event uses: a line of the cache */
    int descriptor;        /* owned */
    uint32_t interest;     /* OSUV_READABLE, OSUV_WRITABLE: what is asked for now */
    bool closing;
    bool has_input; /* the kernel said so, and no read has found the end of it */
    bool insists;   /* a short read does not say that nothing is left: the peer's end may be */
    bool is_again;  /* in the loop's list */
    bool is_local;
    const struct sl_stream_events *events; /* borrowed */
    void *arg;
    struct osuv_rings *rings; /* owned; NULL: bytes go over the socket */
    struct osuv_loop *loop;
    struct osuv_stream *next;
};
_Static_assert(sizeof(struct osuv_stream) <= 64, "a line");

static inline struct osuv_stream *osuv_stream_of(struct sl_stream *stream)
{
    return SL_CONTAINER_OF(stream, struct osuv_stream, base);
}

extern const struct sl_os_ops osuv_ops; /* os_uv.c; constant */

/* errno as an error; what has no row is E_IO. */
sl_err osuv_err(int error_number);
int64_t osuv_mono_ns(void);

static inline struct osuv *osuv_os_of(struct sl_os *os)
{
    return SL_CONTAINER_OF(os, struct osuv, base);
}

static inline struct osuv_loop *osuv_loop_of(struct sl_loop *loop)
{
    return SL_CONTAINER_OF(loop, struct osuv_loop, base);
}

/* Frees a handle's object once libuv lets go of it: handle->data is the object. */
void osuv_free_on_close(uv_handle_t *handle);
/* Undoes pinning for the calling thread and names it. */
void osuv_thread_settle(const struct osuv *os, const char *name);

sl_err osuv_workers_init(struct osuv_workers *workers, struct osuv *os, const char *name,
                         uint32_t thread_max) SL_MUST_CHECK;
void osuv_workers_fini(struct osuv_workers *workers); /* finishes what is queued */
void osuv_workers_submit(struct osuv_workers *workers, struct sl_job *job);

/* A resolved address. */
struct osuv_address {
    struct sockaddr_storage storage;
    socklen_t size;
    int family; /* AF_INET, AF_INET6, AF_UNIX */
};
/* Resolves "host:port", "[v6]:port", "unix:/path" to at most count_max addresses, those of IPv4
 * first. E_INVALID: not of these forms; E_NOT_FOUND: no such host. [blocks for names] */
sl_err osuv_address_resolve(const char *text, struct osuv_address *ret_addresses, size_t count_max,
                            size_t *ret_count) SL_MUST_CHECK;
/* "127.0.0.1:5000", "[::1]:5000", "unix". */
void osuv_address_text(const struct osuv_address *address, char *ret_text, size_t size);
void osuv_socket_no_delay(int descriptor, int family);

/* The slots of the table, by file. */
sl_err osuv_file_open(struct sl_os *os, const char *path, uint32_t flags,
                      struct sl_file **ret_file);
void osuv_file_close(struct sl_file *file);
sl_err osuv_file_pread(struct sl_file *file, void *buffer, size_t size, uint64_t position,
                       size_t *ret_size);
sl_err osuv_file_pread_cached(struct sl_file *file, void *buffer, size_t size, uint64_t position,
                              size_t *ret_size);
sl_err osuv_file_pwritev(struct sl_file *file, const struct sl_iovec *pieces, size_t count,
                         uint64_t position);
sl_err osuv_file_sync(struct sl_file *file);
sl_err osuv_file_fill_zero(struct sl_file *file, uint64_t size);
sl_err osuv_file_truncate(struct sl_file *file, uint64_t size);
sl_err osuv_file_access_as(struct sl_file *file, const char *path);
sl_err osuv_file_allocate(struct sl_file *file, uint64_t size);
sl_err osuv_file_link_count(struct sl_file *file, uint64_t *ret_count);
sl_err osuv_file_size(struct sl_file *file, uint64_t *ret_size);
void osuv_file_prefetch(struct sl_file *file, uint64_t position, uint64_t size);
void osuv_file_ask(struct sl_file *file, uint64_t position, uint64_t size);
sl_err osuv_file_data_range(struct sl_file *file, uint64_t position, uint64_t *ret_start,
                            uint64_t *ret_end);
/* Bytes of the largest folio of the page cache, where pages have so many. [any] */
uint64_t osuv_folio_max(uint64_t page_size);
/* What must be named so that [position, + size) is dropped, in whatever folios it lies; size 0, to
 * the end of the file, stays. [any] */
void osuv_folios_of(uint64_t page_size, uint64_t position, uint64_t size, uint64_t *ret_start,
                    uint64_t *ret_size);
sl_err osuv_file_drop_cache(struct sl_file *file, uint64_t position, uint64_t size);
sl_err osuv_file_lock(struct sl_file *file);
sl_err osuv_dir_make(struct sl_os *os, const char *path);
sl_err osuv_dir_list(struct sl_os *os, const char *path, sl_dir_entry_fn *entry, void *arg);
sl_err osuv_dir_sync(struct sl_os *os, const char *path);
sl_err osuv_path_link(struct sl_os *os, const char *from, const char *to);
sl_err osuv_path_rename(struct sl_os *os, const char *from, const char *to);
sl_err osuv_path_remove(struct sl_os *os, const char *path);
sl_err osuv_disk_space(struct sl_os *os, const char *path, uint64_t *ret_total_bytes,
                       uint64_t *ret_available_bytes);

sl_err osuv_loop_make(struct sl_os *os, const char *name, int32_t cpu, struct sl_loop **ret_loop);
void osuv_loop_run_here(struct sl_loop *loop);
sl_err osuv_loop_start_thread(struct sl_loop *loop);
void osuv_loop_join_thread(struct sl_loop *loop);
void osuv_loop_end(struct sl_loop *loop);
void osuv_loop_destroy(struct sl_loop *loop);
void osuv_loop_post(struct sl_loop *loop, struct sl_task *task);
int64_t osuv_loop_now_ns(struct sl_loop *loop);
bool osuv_loop_is_current(struct sl_loop *loop);
/* What ends a wait of the loop. E_LIMIT. */
sl_err osuv_wait_init(struct osuv_loop *loop) SL_MUST_CHECK;
void osuv_wait_fini(struct osuv_loop *loop); /* libuv's loop is there yet */
/* Waits, or only looks, and calls back for what there is: of some hundred streams, then tasks have
 * their turn. */
void osuv_wait(struct osuv_loop *loop, bool looks);
void osuv_wait_wake(struct osuv_loop *loop); /* [any] */
sl_err osuv_wait_add(struct osuv_stream *stream) SL_MUST_CHECK;
/* Its owner waits for room, or does so no more: its interest has changed. */
void osuv_wait_for_room(struct osuv_stream *stream);
/* It is asked again at the next wait, without an event: it left something. */
void osuv_wait_again(struct osuv_stream *stream);
/* Closes its descriptor; its memory goes before the next wait. */
void osuv_wait_drop(struct osuv_stream *stream);
void osuv_loop_count_turns(struct sl_loop *loop, struct sl_metric_cell *turns,
                           struct sl_metric_cell *longest);
sl_err osuv_timer_make(struct sl_loop *loop, sl_timer_fn *fire, void *arg,
                       struct sl_timer **ret_timer);
void osuv_timer_arm(struct sl_timer *timer, int64_t delay_ns);
void osuv_timer_disarm(struct sl_timer *timer);
void osuv_timer_destroy(struct sl_timer *timer);

sl_err osuv_lane_make(struct sl_os *os, const char *name, struct sl_lane **ret_lane);
void osuv_lane_destroy(struct sl_lane *lane);
void osuv_lane_submit(struct sl_lane *lane, struct sl_job *job);
sl_err osuv_reader_make(struct sl_os *os, struct sl_reader **ret_reader);
void osuv_reader_destroy(struct sl_reader *reader);
void osuv_reader_submit(struct sl_reader *reader, struct sl_read *read);
void osuv_reader_wait(struct sl_reader *reader, struct sl_read *read);
void osuv_helpers_submit(struct sl_os *os, struct sl_job *job);

sl_err osuv_poll_make(struct sl_loop *loop, int descriptor, sl_poll_fn *readable, void *arg,
                      struct sl_poll **ret_poll);
void osuv_poll_destroy(struct sl_poll *poll);
sl_err osuv_watch_make(struct sl_loop *loop, const char *path, sl_watch_fn *changed, void *arg,
                       struct sl_watch **ret_watch);
void osuv_watch_destroy(struct sl_watch *watch);
sl_err osuv_signals_watch(struct sl_loop *loop, sl_signal_fn *raised, void *arg);

sl_err osuv_listener_make(struct sl_loop *loop, const char *address, uint32_t mode,
                          sl_accept_fn *accepted, void *arg, struct sl_listener **ret_listener);
uint16_t osuv_listener_port(const struct sl_listener *listener);
void osuv_listener_destroy(struct sl_listener *listener);

sl_err osuv_stream_make(struct sl_loop *loop, int descriptor, const struct sl_stream_events *events,
                        void *arg, struct sl_stream **ret_stream);
void osuv_stream_read_begin(struct sl_stream *stream);
void osuv_stream_read_end(struct sl_stream *stream);
sl_err osuv_stream_read(struct sl_stream *stream, void *buffer, size_t size, size_t *ret_size);
sl_err osuv_stream_writev(struct sl_stream *stream, const struct sl_iovec *pieces, size_t count,
                          size_t *ret_size);
sl_err osuv_stream_sendfile(struct sl_stream *stream, struct sl_file *file, uint64_t position,
                            size_t size, size_t *ret_size);
void osuv_stream_local(const struct sl_stream *stream, char *ret_text, size_t size);
sl_err osuv_stream_peer_user(const struct sl_stream *stream, uint32_t *ret_user);
sl_err osuv_stream_share(struct sl_stream *stream, const struct sl_share *share);
void osuv_stream_destroy(struct sl_stream *stream);
/* Calls back for what events of epoll say, and for what was left; 0: only for that. */
void osuv_stream_tell(struct osuv_stream *stream, uint32_t events);

/* Of a stream with rings, as the slots of streams. */
sl_err osuv_rings_read(struct osuv_rings *rings, void *buffer, size_t size, size_t *ret_size);
sl_err osuv_rings_writev(struct osuv_rings *rings, const struct sl_iovec *pieces, size_t count,
                         size_t *ret_size);
/* The socket has bytes that wake, or its end. */
void osuv_rings_woken(struct osuv_rings *rings);
/* It is looked at from now on: what is wanted of it has changed, or its peer has woken us. */
void osuv_rings_look_at(struct osuv_rings *rings);
void osuv_rings_unmap(struct osuv_rings *rings); /* its memory goes with that of the stream */
/* Calls back for those that have something. False: none had. */
bool osuv_rings_serve(struct osuv_loop *loop);
/* All of them sleep from now on, each until its peer wakes it. False: one has something. */
bool osuv_rings_sleep(struct osuv_loop *loop);
sl_err osuv_connect(struct sl_os *os, const char *address, int *ret_descriptor);

#endif
