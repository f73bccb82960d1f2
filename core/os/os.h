/* os.h: the seam between Sluice and the system (DESIGN 3).
 *
 * Core names no libuv, pthread or system call; it names sl_os. An instance is a table of
 * operations: over the real system (os_uv.h) or, by seed on one thread, simulated (os_sim.h:
 * virtual clock, disk with unsynced and torn sectors). Everything that core does happens in one
 * of four places:
 *   loop    a thread that runs tasks by priority, timers, readiness callbacks; never blocks
 *   lane    a thread of its own that runs one blocking job after the other (a committer)
 *   helpers a bounded pool of threads for blocking or long jobs (cold reads, compression, spawn)
 *   caller  start-up and command-line code before a loop runs ([blocks] functions)
 * Tasks, jobs and timers are intrusive: posting allocates nothing and cannot fail. */
#ifndef SL_OS_OS_H
#define SL_OS_OS_H

#include "base/base.h"

struct sl_os;
struct sl_file;
struct sl_loop;
struct sl_lane;
struct sl_reader;
struct sl_timer;
struct sl_poll;
struct sl_watch;
struct sl_listener;
struct sl_stream;

void sl_os_free(struct sl_os *os); /* everything made from it is gone before [any] */

/* ---- clocks and randomness ---- */

int64_t sl_os_mono_ns(struct sl_os *os); /* never goes back [any] */
int64_t sl_os_wall_ms(struct sl_os *os); /* milliseconds since the epoch; may jump [any] */
/* cryptographic, simulated: by seed [any] */
void sl_os_random(struct sl_os *os, void *ret_bytes, size_t size);

/* ---- files: all calls but *_cached [blocks]: helpers, lanes or start-up only ---- */

#define SL_FILE_READ      (1u << 0)
#define SL_FILE_WRITE     (1u << 1)
#define SL_FILE_CREATE    (1u << 2) /* make it when missing */
#define SL_FILE_EXCLUSIVE (1u << 3) /* with CREATE: SLUICE_E_EXISTS when it is there */

/* E_NOT_FOUND, E_EXISTS, E_LIMIT, E_IO …; a FIFO is E_IO: nobody waits for its other end. */
sl_err sl_file_open(struct sl_os *os, const char *path, uint32_t flags,
                    struct sl_file **ret_file) SL_MUST_CHECK;
struct sl_file *sl_file_close(struct sl_file *file); /* NULL is fine; returns NULL */
/* Reads up to size bytes; *ret_size < size only at the end of the file. */
sl_err sl_file_pread(struct sl_file *file, void *buffer, size_t size, uint64_t position,
                     size_t *ret_size) SL_MUST_CHECK;
/* The same without ever waiting for the disk: E_WOULD_BLOCK when the bytes are not in memory
 * [loop]. */
sl_err sl_file_pread_cached(struct sl_file *file, void *buffer, size_t size, uint64_t position,
                            size_t *ret_size) SL_MUST_CHECK;
/* Brings the bytes into memory, and has the system go on reading behind them. A hint: a failure is
 * the next read's to tell. [blocks] */
void sl_file_prefetch(struct sl_file *file, uint64_t position, uint64_t size);
/* Asks the disk for the bytes and does not wait: for who reads them soon, and once. Where nothing
 * was ever written there is no disk to ask: the pages are there when it returns, which takes a
 * processor some 0.3 ms a MiB. A hint. [blocks] */
void sl_file_ask(struct sl_file *file, uint64_t position, uint64_t size);
/* The next run of bytes at or behind `position` that may be other than zero: what was only
 * allocated, or never written, is left out where the file system tells (SEEK_DATA); where it does
 * not, all of the file is data. E_NOT_FOUND: none up to the end of the file. */
sl_err sl_file_data_range(struct sl_file *file, uint64_t position, uint64_t *ret_start,
                          uint64_t *ret_end) SL_MUST_CHECK;
/* Writes all of the pieces, or fails. E_DISK_FULL, E_IO. */
sl_err sl_file_pwritev(struct sl_file *file, const struct sl_iovec *pieces, size_t count,
                       uint64_t position) SL_MUST_CHECK;
/* fdatasync; never retried after an error */
sl_err sl_file_sync(struct sl_file *file) SL_MUST_CHECK;
/* Gives it so many bytes of the disk, zeros, without writing them: syncs of what is written there
 * later cost more than behind sl_file_fill_zero. */
sl_err sl_file_allocate(struct sl_file *file, uint64_t size) SL_MUST_CHECK;
/* preallocates by writing */
sl_err sl_file_fill_zero(struct sl_file *file, uint64_t size) SL_MUST_CHECK;
sl_err sl_file_truncate(struct sl_file *file, uint64_t size) SL_MUST_CHECK;
sl_err sl_file_size(struct sl_file *file, uint64_t *ret_size) SL_MUST_CHECK;
/* Gives it the mode of the file at path, and its owner and group as far as that may be: a group
 * that cannot be its may do nothing then. E_NOT_FOUND, E_PERMISSION, E_UNSUPPORTED: of the
 * simulation. */
sl_err sl_file_access_as(struct sl_os *os, struct sl_file *file, const char *path) SL_MUST_CHECK;
/* how many names it has */
sl_err sl_file_link_count(struct sl_file *file, uint64_t *ret_count) SL_MUST_CHECK;
/* so that reads of [position, + size), and maybe of what is around it, come from the disk; size 0:
 * to the end of the file */
sl_err sl_file_drop_cache(struct sl_file *file, uint64_t position, uint64_t size) SL_MUST_CHECK;
sl_err sl_file_lock(struct sl_file *file) SL_MUST_CHECK; /* exclusive, until close; E_LOCKED */

typedef void sl_dir_entry_fn(void *arg, const char *name, bool is_directory);
sl_err sl_dir_make(struct sl_os *os, const char *path) SL_MUST_CHECK; /* with parents; exists: OK */
sl_err sl_dir_list(struct sl_os *os, const char *path, sl_dir_entry_fn *entry,
                   void *arg) SL_MUST_CHECK;
sl_err sl_dir_sync(struct sl_os *os, const char *path) SL_MUST_CHECK;
/* replaces */
sl_err sl_path_rename(struct sl_os *os, const char *from, const char *to) SL_MUST_CHECK;
/* A second name of the file. E_EXISTS; E_UNSUPPORTED: this file system has none. */
sl_err sl_path_link(struct sl_os *os, const char *from, const char *to) SL_MUST_CHECK;
sl_err sl_path_remove(struct sl_os *os, const char *path) SL_MUST_CHECK; /* a file; E_NOT_FOUND */
/* Bytes of the file system below path: its size and what is available to us. */
sl_err sl_disk_space(struct sl_os *os, const char *path, uint64_t *ret_total_bytes,
                     uint64_t *ret_available_bytes) SL_MUST_CHECK;

/* ---- loops, tasks, timers ---- */

/* A loop takes all that is queued at a higher priority before the next lower one, and starts
 * lower ones at least once a turn, so that nothing starves. */
enum sl_priority {
    SL_PRIORITY_CONTROL,    /* admin, health, membership */
    SL_PRIORITY_IO,         /* produce and fetch */
    SL_PRIORITY_PROCESSING, /* stages, gates */
    SL_PRIORITY_BACKGROUND, /* checkpoints, cleaning */
    SL_PRIORITY_COUNT
};

struct sl_task {
    void (*run)(struct sl_task *task); /* the task may be reused or freed inside */
    struct sl_task *next;              /* os's */
    uint32_t priority;                 /* enum sl_priority */
    uint32_t queued;                   /* os's: 1 while posted and not yet run */
};

/* cpu: index to pin the thread to, or -1. name: copied, shown in thread lists. [any] */
sl_err sl_loop_new(struct sl_os *os, const char *name, int32_t cpu,
                   struct sl_loop **ret_loop) SL_MUST_CHECK;
/* Runs tasks, timers and readiness until sl_loop_stop; on the calling thread. [blocks] */
void sl_loop_run(struct sl_loop *loop);
/* The same on a thread of its own; sl_loop_join waits for its end. */
sl_err sl_loop_start(struct sl_loop *loop) SL_MUST_CHECK;
void sl_loop_join(struct sl_loop *loop);
void sl_loop_stop(struct sl_loop *loop); /* [any] */
/* after run ended; timers, polls, streams freed before */
struct sl_loop *sl_loop_free(struct sl_loop *loop);
/* [any]; order kept within a priority; a task already queued: assertion */
void sl_loop_post(struct sl_loop *loop, struct sl_task *task);
int64_t sl_loop_now_ns(struct sl_loop *loop);  /* monotonic time at the start of this turn [loop] */
bool sl_loop_is_current(struct sl_loop *loop); /* asserts use it [any] */
struct sl_metric_cell;
/* From now on the loop counts how long it is busy without looking at its sockets and timers: each
 * turn is observed in the histogram `turns`, `longest` is the longest so far. Nanoseconds by the
 * clock: waiting for events is not counted, waiting for a processor is. The cells are the loop's
 * thread's from now on. A simulated loop counts nothing. [borrows both] [before it runs] */
void sl_loop_count_turns(struct sl_loop *loop, struct sl_metric_cell *turns,
                         struct sl_metric_cell *longest);

typedef void sl_timer_fn(void *arg);
sl_err sl_timer_new(struct sl_loop *loop, sl_timer_fn *fire, void *arg,
                    struct sl_timer **ret_timer) SL_MUST_CHECK;
/* once; starts anew when running [loop] */
void sl_timer_start(struct sl_timer *timer, int64_t delay_ns);
void sl_timer_stop(struct sl_timer *timer);             /* [loop] */
struct sl_timer *sl_timer_free(struct sl_timer *timer); /* NULL is fine [loop] */

/* ---- blocking work ---- */

struct sl_job {
    void (*work)(struct sl_job *job); /* on the lane or a helper */
    void (*done)(struct sl_job *job); /* then on the loop that submitted it */
    /* It only computes, for long: on threads that yield to loops, and no read waits behind it. Of
     * helpers' jobs. */
    bool computes;
    struct sl_loop *loop; /* os's */
    struct sl_task task;  /* os's; set task.priority before submitting */
    struct sl_job *next;  /* os's */
};
sl_err sl_lane_new(struct sl_os *os, const char *name, struct sl_lane **ret_lane) SL_MUST_CHECK;
/* waits for what is queued; NULL is fine [blocks] */
struct sl_lane *sl_lane_free(struct sl_lane *lane);
void sl_lane_submit(struct sl_lane *lane, struct sl_loop *loop, struct sl_job *job); /* [loop] */
void sl_helpers_submit(struct sl_os *os, struct sl_loop *loop, struct sl_job *job);  /* [loop] */

/* A thread that reads for one that may wait (start-up, command-line code): begun in the order in
 * which they came, and some, that the page cache has, by who waits; simulated, they are done when
 * somebody waits for them. */
struct sl_read {
    struct sl_file *file; /* borrowed, as is the buffer, until sl_reader_wait returns */
    void *buffer;
    size_t size;
    uint64_t position;
    size_t got; /* less than size only at the end of the file */
    sl_err err;
    struct sl_read *next; /* os's */
    bool done;            /* os's */
};
sl_err sl_reader_new(struct sl_os *os, struct sl_reader **ret_reader) SL_MUST_CHECK;
/* after all that was submitted; NULL is fine [blocks] */
struct sl_reader *sl_reader_free(struct sl_reader *reader);
void sl_reader_submit(struct sl_reader *reader, struct sl_read *read);
void sl_reader_wait(struct sl_reader *reader, struct sl_read *read); /* [blocks] */

/* ---- descriptors of others (pidfd, eventfd), directories, signals ---- */

typedef void sl_poll_fn(void *arg); /* the descriptor is readable; level-triggered [loop] */
sl_err sl_poll_new(struct sl_loop *loop, int descriptor, sl_poll_fn *readable, void *arg,
                   struct sl_poll **ret_poll) SL_MUST_CHECK; /* [borrows descriptor] */
/* before its descriptor is closed; NULL is fine [loop] */
struct sl_poll *sl_poll_free(struct sl_poll *poll);

/* Something in the directory changed (close-write, move, delete, attributes, overflow): look
 * at it again. */
typedef void sl_watch_fn(void *arg);
sl_err sl_watch_new(struct sl_loop *loop, const char *path, sl_watch_fn *changed, void *arg,
                    struct sl_watch **ret_watch) SL_MUST_CHECK;
struct sl_watch *sl_watch_free(struct sl_watch *watch);

typedef void sl_signal_fn(void *arg, int signal_number);
/* Calls `raised` on the loop for SIGHUP, SIGINT, SIGTERM; ignores SIGPIPE. Programs only,
 * never libraries. */
sl_err sl_signals_watch(struct sl_loop *loop, sl_signal_fn *raised, void *arg) SL_MUST_CHECK;

/* ---- sockets ---- */

/* Addresses: "host:port", "[v6]:port", "unix:/path". Exclusive: a second listener on it gets
 * E_ADDRESS_IN_USE; the file of a local socket that nobody listens on any more is replaced, and
 * goes with the listener. `mode`: who may connect to a local socket, in the bits of chmod; 0: its
 * owner alone (0600). `accepted` gets a connected descriptor, owned by the callee, which gives it
 * to sl_stream_new on whichever loop shall own it. */
typedef void sl_accept_fn(void *arg, int descriptor, const char *peer);
sl_err sl_listener_new(struct sl_loop *loop, const char *address, uint32_t mode,
                       sl_accept_fn *accepted, void *arg,
                       struct sl_listener **ret_listener) SL_MUST_CHECK;
/* The port that it listens on (for port 0). */
uint16_t sl_listener_port(const struct sl_listener *listener);
struct sl_listener *sl_listener_free(struct sl_listener *listener); /* NULL is fine [loop] */

struct sl_stream_events {
    void (*readable)(void *arg);           /* call sl_stream_read until it would block */
    void (*writable)(void *arg);           /* there is room again after a short write */
    void (*failed)(void *arg, sl_err err); /* the peer reset or the socket broke; free it */
};
/* Nonblocking stream over a connected descriptor (TCP_NODELAY set). [takes descriptor, also on
 * failure] [loop] */
sl_err sl_stream_new(struct sl_loop *loop, int descriptor, const struct sl_stream_events *events,
                     void *arg, struct sl_stream **ret_stream) SL_MUST_CHECK;
void sl_stream_read_start(struct sl_stream *stream); /* events.readable from now on [loop] */
void sl_stream_read_stop(struct sl_stream *stream);  /* TCP's window does the rest [loop] */
/* *ret_size 0: the peer closed its side. E_WOULD_BLOCK, E_NETWORK. [loop] */
sl_err sl_stream_read(struct sl_stream *stream, void *buffer, size_t size,
                      size_t *ret_size) SL_MUST_CHECK;
/* Writes what fits now; *ret_size may be less than all, then events.writable comes once.
 * E_NETWORK. [loop] */
sl_err sl_stream_writev(struct sl_stream *stream, const struct sl_iovec *pieces, size_t count,
                        size_t *ret_size) SL_MUST_CHECK;
/* Sends from a file without copying, as writev does. E_WOULD_BLOCK is *ret_size 0. [loop] */
sl_err sl_stream_sendfile(struct sl_stream *stream, struct sl_file *file, uint64_t position,
                          size_t size, size_t *ret_size) SL_MUST_CHECK;
/* The address that its peer reached, as listeners have theirs ("host:port", "[v6]:port", "unix");
 * cut to fit. [loop] */
void sl_stream_local(const struct sl_stream *stream, char *ret_text, size_t size);
/* The number of the user whose process connected to a local socket, as the kernel says.
 * E_UNSUPPORTED: it is no local socket. [loop] */
sl_err sl_stream_peer_user(const struct sl_stream *stream, uint32_t *ret_user) SL_MUST_CHECK;
/* How a local socket becomes two rings in shared memory (<sluice/shared_ring.h>, the server's
 * side). */
struct sl_share {
    uint32_t ring_bytes; /* of each, a power of two in its bounds */
    /* How long the loop looks at rings before it sleeps, after one had something; 0: it sleeps at
     * once. The longest of its streams counts. */
    int64_t look_ns;
    const void *answer; /* goes over the socket, with the descriptor of the memory */
    size_t answer_size;
};
/* From now on bytes are read from and written to the rings, and the socket says only that the peer
 * is there, and wakes. The memory, which neither side can resize, goes with the stream. What the
 * peer does in it that it may not is E_NETWORK, of read and write. sl_stream_sendfile is
 * E_UNSUPPORTED then. On failure the stream is what it was: E_UNSUPPORTED: no local socket;
 * E_LIMIT, E_NO_MEMORY, E_NETWORK. [loop] */
sl_err sl_stream_share(struct sl_stream *stream, const struct sl_share *share) SL_MUST_CHECK;
struct sl_stream *sl_stream_free(struct sl_stream *stream); /* closes; NULL is fine [loop] */
/* Blocking connect for command-line clients. E_NOT_FOUND: nobody knows the name; E_TIMEOUT: no
 * answer within five seconds for each address of it. [blocks] */
sl_err sl_connect(struct sl_os *os, const char *address, int *ret_descriptor) SL_MUST_CHECK;
/* Blocking whole reads on a descriptor and writes on a socket, for command-line clients; *ret_size
 * 0: end. E_NETWORK: also a peer that is gone. [blocks] */
sl_err sl_descriptor_read(int descriptor, void *buffer, size_t size,
                          size_t *ret_size) SL_MUST_CHECK;
sl_err sl_descriptor_write(int descriptor, const void *buffer, size_t size) SL_MUST_CHECK;
/* Waits until it can be read without waiting; false: that was not so in time. [blocks] */
bool sl_descriptor_wait(int descriptor, int32_t timeout_ms);
/* For command-line clients that measure: a connected socket that never makes them wait. After
 * sl_descriptor_unblock, which every other function here takes amiss, the two calls do what can be
 * done at once: E_WOULD_BLOCK, or *ret_size, of a read 0 at its end; E_NETWORK. [any] */
sl_err sl_descriptor_unblock(int descriptor) SL_MUST_CHECK;
sl_err sl_descriptor_try_read(int descriptor, void *buffer, size_t size,
                              size_t *ret_size) SL_MUST_CHECK;
sl_err sl_descriptor_try_write(int descriptor, const void *buffer, size_t size,
                               size_t *ret_size) SL_MUST_CHECK;
/* Waits until it can be read, or with `writes` written too, or the time is over, to the microsecond
 * where sl_thread_waits_exactly was called. [blocks] */
void sl_descriptor_wait_ns(int descriptor, bool writes, int64_t timeout_ns);
/* The system may put off the end of a thread's waits to save power, by 50 us as a rule: of this
 * thread no more. [any] */
void sl_thread_waits_exactly(void);
void sl_descriptor_close(int descriptor);
/* Whether people look at it: colours, progress. [any] */
void sl_sleep_ms(int64_t ms); /* command-line code and start-up only [blocks] */
bool sl_descriptor_is_terminal(int descriptor);

/* Runs a program, found by PATH, with our standard streams, and waits for its end. argv ends in
 * NULL. *ret_code: its exit code, 128 and the signal's number for one that was killed. E_NOT_FOUND:
 * there is no such program. For command-line clients. [blocks] */
sl_err sl_process_run(const char *const *argv, int *ret_code) SL_MUST_CHECK;

#endif
