/* os_uv_reader.c: a thread that reads for one that may wait.
 *
 * One queue in the order of submission, of what nobody is at yet. Who waits reads along while the
 * page cache has what is read, so that two copy out of it where that takes longer than what is done
 * with it. The disk is read by the thread alone, in order: two take 2.5 times as long where the
 * system reads 128 KiB ahead. Both sides look for a moment before they sleep: what takes as long as
 * a copy of 256 KiB is not worth two switches. */
#include "os/os_uv_internal.h"

#define LOOK_NS 50000

struct osuv_reader {
    struct sl_reader base;
    struct osuv *os;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t submitted;
    pthread_cond_t done;
    struct sl_read *first; /* of those that nobody is at */
    struct sl_read *last;
    bool is_cached;              /* the last one was in the page cache */
    atomic_uint submitted_count; /* wraps around */
    atomic_uint done_count;
    bool closing;
};

static struct osuv_reader *reader_of(struct sl_reader *base)
{
    return SL_CONTAINER_OF(base, struct osuv_reader, base);
}

/* Until the count is not `seen` any more, or for a while. */
static void look(const struct osuv_reader *reader, atomic_uint *count, unsigned seen)
{
    int64_t end_ns = reader->os->spins ? osuv_mono_ns() + LOOK_NS : 0;
    while (atomic_load_explicit(count, memory_order_relaxed) == seen && osuv_mono_ns() < end_ns)
        osuv_pause();
}

static struct sl_read *take_first(struct osuv_reader *reader)
{
    struct sl_read *read = reader->first;
    reader->first = read->next;
    return read;
}

static void tell_submitted(struct osuv_reader *reader)
{
    atomic_fetch_add_explicit(&reader->submitted_count, 1, memory_order_relaxed);
    pthread_cond_signal(&reader->submitted);
}

static void end_read(struct osuv_reader *reader, struct sl_read *read)
{
    read->done = true;
    atomic_fetch_add_explicit(&reader->done_count, 1, memory_order_relaxed);
    pthread_cond_signal(&reader->done);
}

/* Whether the page cache had all of it. */
static bool read_cached(struct sl_read *read)
{
    read->err =
        sl_file_pread_cached(read->file, read->buffer, read->size, read->position, &read->got);
    return read->err == SLUICE_OK && read->got == read->size;
}

/* [mutex held, but not while it reads] */
static void read_next(struct osuv_reader *reader)
{
    struct sl_read *read = take_first(reader);
    pthread_mutex_unlock(&reader->mutex);
    bool is_cached = read_cached(read);
    if (!is_cached)
        sl_read_now(read);
    pthread_mutex_lock(&reader->mutex);
    reader->is_cached = is_cached;
    end_read(reader, read);
}

/* What the page cache does not have is the thread's again.
 * [mutex held, but not while it reads] */
static void read_along(struct osuv_reader *reader)
{
    struct sl_read *read = take_first(reader);
    pthread_mutex_unlock(&reader->mutex);
    bool is_cached = read_cached(read);
    pthread_mutex_lock(&reader->mutex);
    if (is_cached) {
        end_read(reader, read);
        return;
    }
    reader->is_cached = false;
    reader->last = reader->first == NULL ? read : reader->last;
    read->next = reader->first;
    reader->first = read;
    tell_submitted(reader);
}

/* Until there is one, or nothing comes any more. [mutex held, but not while it waits] */
static void wait_for_next(struct osuv_reader *reader)
{
    if (reader->first == NULL && !reader->closing) {
        unsigned seen = atomic_load_explicit(&reader->submitted_count, memory_order_relaxed);
        pthread_mutex_unlock(&reader->mutex);
        look(reader, &reader->submitted_count, seen);
        pthread_mutex_lock(&reader->mutex);
    }
    while (reader->first == NULL && !reader->closing)
        pthread_cond_wait(&reader->submitted, &reader->mutex);
}

static void *reader_thread(void *arg)
{
    struct osuv_reader *reader = arg;
    osuv_thread_settle(reader->os, "reader");
    pthread_mutex_lock(&reader->mutex);
    for (wait_for_next(reader); reader->first != NULL; wait_for_next(reader))
        read_next(reader);
    pthread_mutex_unlock(&reader->mutex);
    return NULL;
}

sl_err osuv_reader_make(struct sl_os *os, struct sl_reader **ret_reader)
{
    struct osuv_reader *reader = sl_alloc_zero(1, sizeof *reader);
    if (!reader)
        return SLUICE_E_NO_MEMORY;
    reader->base.os = os;
    reader->os = osuv_os_of(os);
    pthread_mutex_init(&reader->mutex, NULL);
    pthread_cond_init(&reader->submitted, NULL);
    pthread_cond_init(&reader->done, NULL);
    if (pthread_create(&reader->thread, NULL, reader_thread, reader) != 0) {
        sl_free(reader);
        return SLUICE_E_LIMIT;
    }
    *ret_reader = &reader->base;
    return SLUICE_OK;
}

void osuv_reader_destroy(struct sl_reader *base)
{
    struct osuv_reader *reader = reader_of(base);
    pthread_mutex_lock(&reader->mutex);
    reader->closing = true;
    tell_submitted(reader);
    pthread_mutex_unlock(&reader->mutex);
    pthread_join(reader->thread, NULL);
    pthread_cond_destroy(&reader->submitted);
    pthread_cond_destroy(&reader->done);
    pthread_mutex_destroy(&reader->mutex);
    sl_free(reader);
}

void osuv_reader_submit(struct sl_reader *base, struct sl_read *read)
{
    struct osuv_reader *reader = reader_of(base);
    pthread_mutex_lock(&reader->mutex);
    if (reader->first == NULL)
        reader->first = read;
    else
        reader->last->next = read;
    reader->last = read;
    tell_submitted(reader);
    pthread_mutex_unlock(&reader->mutex);
}

/* Until one more is done. [mutex held, but not while it waits] */
static void wait_for_done(struct osuv_reader *reader)
{
    unsigned seen = atomic_load_explicit(&reader->done_count, memory_order_relaxed);
    pthread_mutex_unlock(&reader->mutex);
    look(reader, &reader->done_count, seen);
    pthread_mutex_lock(&reader->mutex);
    if (atomic_load_explicit(&reader->done_count, memory_order_relaxed) == seen)
        pthread_cond_wait(&reader->done, &reader->mutex);
}

void osuv_reader_wait(struct sl_reader *base, struct sl_read *read)
{
    struct osuv_reader *reader = reader_of(base);
    pthread_mutex_lock(&reader->mutex);
    while (!read->done) {
        if (reader->is_cached && reader->first != NULL)
            read_along(reader);
        else
            wait_for_done(reader);
    }
    pthread_mutex_unlock(&reader->mutex);
}
