/* load_worker.c: see load_worker.h. */
#include "load/load_worker.h"

#include "base/bytes.h"
#include "base/status.h"

#include <stdio.h>

#define SECOND_NS    INT64_C(1000000000)
#define WAIT_NS      (SECOND_NS / 20) /* at most, between looks whether to stop */
#define ANSWER_NS    (30 * SECOND_NS) /* for the last answers */
#define STOPPED_NS   (3 * SECOND_NS)  /* the same, when somebody is in a hurry */
#define QUIET_NS     (10 * SECOND_NS) /* without a record: there are no more */
#define READS_IN_ROW 16u

static int64_t now_of(const struct load_worker *worker)
{
    return sl_os_mono_ns(worker->run->os);
}

/* ---- what comes ---- */

static void answered(void *arg, uint32_t token, sl_err err, const char *text)
{
    struct load_worker *worker = arg;
    const struct load_sent *sent = &worker->under_way[token];
    worker->free_tokens[worker->free_count++] = token;
    worker->last_ns = worker->seen_ns;
    if (err != SLUICE_OK) {
        if (worker->refused == 0) {
            worker->refusal = err;
            snprintf(worker->text, sizeof(worker->text), "%s",
                     text[0] != '\0' ? text : sl_status_text(err));
        }
        worker->refused += sent->count;
        return;
    }
    load_histogram_add(&worker->latency, worker->seen_ns - sent->from_ns);
    worker->answered += sent->count;
    atomic_store_explicit(&worker->done, worker->answered, memory_order_relaxed);
}

static struct load_stream *stream_of(struct load_worker *worker, const struct load_stamp *stamp)
{
    for (uint32_t i = 0; i < worker->stream_count; i++) {
        struct load_stream *each = &worker->streams[i];
        if (each->run == stamp->run && each->stream == stamp->stream) {
            return each;
        }
    }
    if (worker->stream_count == LOAD_STREAMS_MAX) {
        return NULL;
    }
    struct load_stream *made = &worker->streams[worker->stream_count++];
    *made = (struct load_stream){.run = stamp->run, .stream = stamp->stream};
    return made;
}

static void received(void *arg, struct sl_bytes value)
{
    struct load_worker *worker = arg;
    struct load_stamp stamp;
    uint64_t done = atomic_load_explicit(&worker->done, memory_order_relaxed);
    if (done == worker->wanted) {
        return; /* the rest of what was read at once */
    }
    atomic_store_explicit(&worker->done, done + 1, memory_order_relaxed);
    worker->last_ns = worker->seen_ns;
    struct load_stream *stream = load_stamp_read(value, &stamp) ? stream_of(worker, &stamp) : NULL;
    if (stream == NULL) {
        worker->unstamped++;
        return;
    }
    if (worker->run->plan->senders > 0 && stamp.run == worker->run->plan->run) {
        load_histogram_add(&worker->latency, worker->seen_ns - stamp.due_ns);
    }
    sl_err err = load_sequence_take(&stream->sequence, stamp.sequence);
    worker->err = worker->err == SLUICE_OK ? err : worker->err;
}

/* ---- the connection ---- */

static sl_err flush(struct load_worker *worker, bool *ret_left)
{
    const struct load_peer_ops *ops = worker->peer->ops;
    struct sl_bytes pending = ops->pending(worker->peer);
    while (pending.size > 0) {
        size_t sent = 0;
        sl_err err = load_link_write(&worker->link, pending.data, pending.size, &sent);
        if (err != SLUICE_OK) {
            *ret_left = true;
            return err == SLUICE_E_WOULD_BLOCK ? SLUICE_OK : err;
        }
        ops->sent(worker->peer, sent);
        pending = ops->pending(worker->peer);
    }
    *ret_left = false;
    return SLUICE_OK;
}

static sl_err drain(struct load_worker *worker)
{
    for (uint32_t i = 0; i < READS_IN_ROW; i++) {
        size_t size = 0;
        sl_err err = load_link_read(&worker->link, worker->buffer, LOAD_READ_BYTES, &size);
        if (err != SLUICE_OK) {
            return err == SLUICE_E_WOULD_BLOCK ? SLUICE_OK : err;
        }
        worker->seen_ns = now_of(worker);
        err = worker->peer->ops->feed(worker->peer, sl_bytes_of(worker->buffer, size));
        if (worker->last_ns == worker->seen_ns) {
            worker->last_ns = now_of(worker); /* with the work on what came */
        }
        if (err != SLUICE_OK || size < LOAD_READ_BYTES) {
            return err;
        }
    }
    return SLUICE_OK;
}

/* Sends what is to be sent, waits until something comes or it is `wake_ns`, takes what came. */
static bool pump(struct load_worker *worker, int64_t wake_ns)
{
    bool left = false;
    sl_err err = flush(worker, &left);
    if (err == SLUICE_OK) {
        load_link_wait_ns(&worker->link, left, wake_ns - now_of(worker));
        err = drain(worker);
    }
    if (err != SLUICE_OK && worker->err == SLUICE_OK) {
        worker->err = err;
        snprintf(worker->text, sizeof(worker->text), "the connection ended: %.400s",
                 worker->peer->text[0] != '\0' ? worker->peer->text
                                               : load_link_reason(&worker->link, err));
    }
    return worker->err == SLUICE_OK;
}

static bool stops(const struct load_worker *worker)
{
    return atomic_load_explicit(&worker->run->stops, memory_order_relaxed);
}

/* ---- a sender ---- */

/* When the sender's request of that number is due; the senders take turns. */
static int64_t due_of(const struct load_worker *worker, uint64_t request)
{
    const struct load_plan *plan = worker->run->plan;
    unsigned __int128 number = (unsigned __int128)request * plan->senders + worker->index;
    return worker->begun_ns + (int64_t)(number * plan->batch * (uint64_t)SECOND_NS / plan->rate);
}

static int64_t end_of(const struct load_worker *worker)
{
    int64_t duration_ns = worker->run->plan->duration_ns;
    return duration_ns > 0 ? worker->begun_ns + duration_ns : INT64_MAX;
}

/* One request, if one may go now. False: none may. */
static bool request_send(struct load_worker *worker)
{
    const struct load_plan *plan = worker->run->plan;
    uint32_t under_way = LOAD_REQUESTS_MAX - worker->free_count;
    int64_t now_ns = now_of(worker);
    int64_t due_ns = plan->rate > 0 ? due_of(worker, worker->requests) : now_ns;
    if (worker->sent == worker->share || stops(worker) || worker->free_count == 0 ||
        due_ns > now_ns || now_ns >= end_of(worker) ||
        (plan->rate == 0 && under_way >= LOAD_WINDOW)) {
        return false;
    }
    struct load_request request = {
        .maker = &worker->maker,
        .first_sequence = worker->sent,
        .due_ns = due_ns,
        .count = (uint32_t)SL_MIN(worker->share - worker->sent, (uint64_t)plan->batch),
        .token = worker->free_tokens[worker->free_count - 1],
        .partition = (int32_t)(worker->index % plan->partitions)};
    sl_err err = worker->peer->ops->publish(worker->peer, &request);
    if (err != SLUICE_OK) {
        worker->err = err == SLUICE_E_WOULD_BLOCK ? worker->err : err;
        return false;
    }
    worker->free_count--;
    worker->under_way[request.token] = (struct load_sent){due_ns, request.count};
    worker->sent += request.count;
    worker->requests++;
    if (plan->rate > 0) {
        load_histogram_add(&worker->lateness, now_ns - due_ns);
    }
    return true;
}

static bool is_sending(const struct load_worker *worker)
{
    return worker->sent < worker->share && worker->err == SLUICE_OK && !stops(worker) &&
           now_of(worker) < end_of(worker);
}

/* When there is something to do without an answer. */
static int64_t wake_of(const struct load_worker *worker)
{
    int64_t latest_ns = SL_MIN(now_of(worker) + WAIT_NS, end_of(worker));
    return worker->run->plan->rate > 0 && worker->free_count > 0
               ? SL_MIN(latest_ns, due_of(worker, worker->requests))
               : latest_ns;
}

/* Records that were due and are not sent: the time was over before. */
static uint64_t unsent_of(const struct load_worker *worker)
{
    uint64_t request = worker->requests;
    int64_t until_ns = SL_MIN(now_of(worker), end_of(worker));
    while (worker->run->plan->rate > 0 && worker->share - worker->sent > 0 &&
           due_of(worker, request) < until_ns) {
        request++;
    }
    return SL_MIN((request - worker->requests) * worker->run->plan->batch,
                  worker->share - worker->sent);
}

static void send_all(struct load_worker *worker)
{
    bool goes_on = true;
    while (goes_on && is_sending(worker)) {
        while (request_send(worker)) {
        }
        goes_on = pump(worker, wake_of(worker));
    }
    worker->unsent = stops(worker) ? 0 : unsent_of(worker);
    int64_t until_ns = now_of(worker) + ANSWER_NS;
    while (goes_on && worker->free_count < LOAD_REQUESTS_MAX && now_of(worker) < until_ns) {
        goes_on = pump(worker, now_of(worker) + WAIT_NS);
        until_ns = stops(worker) ? SL_MIN(until_ns, now_of(worker) + STOPPED_NS) : until_ns;
    }
}

/* ---- a receiver ---- */

static uint64_t answered_by_all(const struct load_run *run)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < run->plan->senders; i++) {
        sum += atomic_load_explicit(&run->workers[i]->done, memory_order_relaxed);
    }
    return sum;
}

static uint64_t received_by_all(const struct load_run *run)
{
    uint64_t sum = 0;
    for (uint32_t i = run->plan->senders; i < run->worker_count; i++) {
        sum += atomic_load_explicit(&run->workers[i]->done, memory_order_relaxed);
    }
    return sum;
}

static bool has_all(const struct load_worker *worker)
{
    const struct load_run *run = worker->run;
    if (worker->wanted != UINT64_MAX) {
        return atomic_load_explicit(&worker->done, memory_order_relaxed) >= worker->wanted;
    }
    return atomic_load_explicit(&run->sending, memory_order_acquire) == 0 &&
           received_by_all(run) >= answered_by_all(run);
}

/* Where there are no senders reading begins with the run, else before it. */
static sl_err spans_take(struct load_worker *worker)
{
    const struct load_plan *plan = worker->run->plan;
    uint64_t wanted = 0;
    for (uint32_t i = worker->index; i < plan->span_count; i += plan->receivers) {
        const struct load_span *span = &plan->spans[i];
        sl_err err = worker->peer->ops->subscribe(worker->peer, span->partition, span->start);
        if (err != SLUICE_OK) {
            return err;
        }
        wanted = span->end < 0 ? UINT64_MAX : wanted + (uint64_t)(span->end - span->start);
    }
    worker->wanted = wanted;
    return SLUICE_OK;
}

static void receive_all(struct load_worker *worker)
{
    const struct load_run *run = worker->run;
    bool reads_only = run->plan->senders == 0;
    worker->last_ns = worker->begun_ns;
    worker->err = reads_only ? spans_take(worker) : worker->err;
    while (!has_all(worker)) {
        int64_t now_ns = now_of(worker);
        bool sending = atomic_load_explicit(&run->sending, memory_order_acquire) > 0;
        bool is_quiet = !sending && now_ns - worker->last_ns > QUIET_NS;
        bool is_cut =
            (reads_only && now_ns >= end_of(worker)) ||
            (stops(worker) && !sending && (reads_only || now_ns - worker->last_ns > SECOND_NS));
        worker->is_cut = reads_only && is_cut;
        if (is_quiet || is_cut || !pump(worker, now_ns + WAIT_NS)) {
            return;
        }
    }
}

/* ---- the thread ---- */

/* Until all are ready and the run begins. */
static bool greet(struct load_worker *worker)
{
    struct load_run *run = worker->run;
    const struct load_peer_ops *ops = worker->peer->ops;
    bool told = false;
    int64_t until_ns = now_of(worker) + QUIET_NS;
    while (atomic_load(&run->start_ns) == 0) {
        if (!pump(worker, now_of(worker) + SECOND_NS / 1000) || stops(worker)) {
            return false;
        }
        if (!told && ops->is_ready(worker->peer)) {
            told = true;
            atomic_fetch_add(&run->ready, 1);
        }
        if (!told && now_of(worker) > until_ns) {
            worker->err = SLUICE_E_TIMEOUT;
            snprintf(worker->text, sizeof(worker->text), "no greeting came");
            return false;
        }
    }
    return true;
}

static void worker_over(struct load_worker *worker)
{
    if (!worker->receives) {
        atomic_fetch_sub_explicit(&worker->run->sending, 1, memory_order_release);
    }
    atomic_fetch_add(&worker->run->over, 1);
}

void load_worker_run(struct load_worker *worker)
{
    struct load_run *run = worker->run;
    sl_thread_waits_exactly();
    if (greet(worker)) {
        worker->begun_ns = atomic_load(&run->start_ns);
        while (now_of(worker) < worker->begun_ns && pump(worker, worker->begun_ns)) {
        }
        if (worker->receives) {
            receive_all(worker);
        } else {
            send_all(worker);
        }
    } else {
        atomic_store(&worker->is_lost, worker->err != SLUICE_OK);
        atomic_fetch_add(&run->ready, 1); /* nobody needs to wait for it */
    }
    worker_over(worker);
}

void load_worker_fail(struct load_worker *worker, sl_err err)
{
    worker->err = err;
    snprintf(worker->text, sizeof(worker->text), "no thread could be started: %s",
             sl_status_text(err));
    atomic_store(&worker->is_lost, true);
    atomic_fetch_add(&worker->run->ready, 1);
    worker_over(worker);
}

/* ---- its life ---- */

static sl_err sender_init(struct load_worker *worker)
{
    const struct load_plan *plan = worker->run->plan;
    uint64_t whole = plan->count / plan->senders, rest = plan->count % plan->senders;
    worker->share =
        plan->count == 0 ? LOAD_SEQUENCE_MAX - 1 : whole + (worker->index < rest ? 1 : 0);
    for (uint32_t i = 0; i < LOAD_REQUESTS_MAX; i++) {
        worker->free_tokens[worker->free_count++] = LOAD_REQUESTS_MAX - 1 - i;
    }
    return load_maker_init(&worker->maker, plan->size, plan->run, worker->index);
}

static void task_run(struct sl_task *task)
{
    load_worker_run(SL_CONTAINER_OF(task, struct load_worker, task));
}

static sl_err worker_open(struct load_worker *worker)
{
    const struct load_plan *plan = worker->run->plan;
    const struct load_events events = {answered, received, worker};
    const struct load_security *security = plan->target.security;
    sl_err err = load_link_open(&worker->link, worker->run->os, plan->address,
                                security != NULL ? security->transport : NULL);
    err = err == SLUICE_OK ? plan->ops->make(worker->run->os, &plan->target, &events, &worker->peer)
                           : err;
    if (err == SLUICE_OK) {
        err = !worker->receives   ? sender_init(worker)
              : plan->senders > 0 ? spans_take(worker)
                                  : SLUICE_OK;
    }
    return err == SLUICE_OK ? sl_loop_new(worker->run->os, "load", -1, &worker->loop) : err;
}

sl_err load_worker_new(struct load_run *run, bool receives, uint32_t index,
                       struct load_worker **ret_worker, char ret_text[LOAD_TEXT_BYTES])
{
    struct load_worker *worker = sl_alloc_zero(1, sizeof(*worker));
    if (worker == NULL) {
        snprintf(ret_text, LOAD_TEXT_BYTES, "out of memory");
        return SLUICE_E_NO_MEMORY;
    }
    worker->run = run;
    worker->receives = receives;
    worker->index = index;
    worker->link.descriptor = -1;
    worker->task.run = task_run;
    sl_err err = worker_open(worker);
    if (err != SLUICE_OK) {
        snprintf(ret_text, LOAD_TEXT_BYTES, "no connection to %.200s: %s", run->plan->address,
                 sl_status_text(err));
        load_worker_free(worker);
        return err;
    }
    *ret_worker = worker;
    return SLUICE_OK;
}

void load_worker_free(struct load_worker *worker)
{
    if (worker == NULL) {
        return;
    }
    if (worker->peer != NULL) {
        worker->peer->ops->free(worker->peer);
    }
    for (uint32_t i = 0; i < worker->stream_count; i++) {
        load_sequence_fini(&worker->streams[i].sequence);
    }
    if (worker->loop != NULL) {
        sl_loop_free(worker->loop);
    }
    load_link_close(&worker->link);
    load_maker_fini(&worker->maker);
    sl_free(worker);
}
