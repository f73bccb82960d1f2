/* load_run.c: see load_run.h. */
#include "load/load_run.h"

#include "load/load_worker.h"

#include <stdio.h>
#include <string.h>

#define START_NS 20000000 /* from the word to the first request */

static void run_free(struct load_run *run)
{
    for (uint32_t i = 0; i < run->worker_count; i++) {
        load_worker_free(run->workers[i]);
    }
    sl_free(run);
}

sl_err load_run_new(struct sl_os *os, const struct load_plan *plan, struct load_run **ret_run,
                    char ret_text[LOAD_TEXT_BYTES])
{
    struct load_run *run = sl_alloc_zero(1, sizeof(*run));
    sl_err err = run != NULL ? SLUICE_OK : SLUICE_E_NO_MEMORY;
    SL_ASSERT(plan->senders <= LOAD_THREADS_MAX && plan->receivers <= LOAD_THREADS_MAX);
    if (err != SLUICE_OK) {
        snprintf(ret_text, LOAD_TEXT_BYTES, "out of memory");
        return err;
    }
    run->os = os;
    run->plan = plan;
    atomic_store(&run->sending, plan->senders);
    for (uint32_t i = 0; i < plan->senders + plan->receivers && err == SLUICE_OK; i++) {
        bool receives = i >= plan->senders;
        err = load_worker_new(run, receives, receives ? i - plan->senders : i, &run->workers[i],
                              ret_text);
        run->worker_count += err == SLUICE_OK;
    }
    if (err != SLUICE_OK) {
        run_free(run);
        return err;
    }
    *ret_run = run;
    return SLUICE_OK;
}

/* Of the first that could not greet. */
static sl_err greetings_judge(const struct load_run *run, char ret_text[LOAD_TEXT_BYTES])
{
    for (uint32_t i = 0; i < run->worker_count; i++) {
        const struct load_worker *worker = run->workers[i];
        if (atomic_load(&worker->is_lost)) {
            memcpy(ret_text, worker->text, LOAD_TEXT_BYTES);
            return worker->err;
        }
    }
    return SLUICE_OK;
}

sl_err load_run_start(struct load_run *run, char ret_text[LOAD_TEXT_BYTES])
{
    for (uint32_t i = 0; i < run->worker_count; i++) {
        struct load_worker *worker = run->workers[i];
        sl_loop_post(worker->loop, &worker->task);
        sl_err err = sl_loop_start(worker->loop);
        worker->has_thread = err == SLUICE_OK;
        if (err != SLUICE_OK) {
            load_worker_fail(worker, err);
        }
    }
    while (atomic_load(&run->ready) < run->worker_count) {
        sl_sleep_ms(1);
    }
    sl_err err = greetings_judge(run, ret_text);
    if (err != SLUICE_OK) {
        load_run_stop(run);
        return err;
    }
    atomic_store(&run->start_ns, sl_os_mono_ns(run->os) + START_NS);
    return SLUICE_OK;
}

bool load_run_is_over(const struct load_run *run)
{
    return atomic_load(&run->over) == run->worker_count;
}

uint64_t load_run_done(const struct load_run *run)
{
    uint64_t done = 0;
    for (uint32_t i = 0; i < run->worker_count; i++) {
        const struct load_worker *worker = run->workers[i];
        if (worker->receives || run->plan->receivers == 0) {
            done += atomic_load_explicit(&worker->done, memory_order_relaxed);
        }
    }
    return done;
}

void load_run_stop(struct load_run *run)
{
    atomic_store(&run->stops, true);
}

/* ---- figures ---- */

static void sender_add(const struct load_worker *worker, struct load_figures *figures)
{
    figures->sent += worker->sent;
    figures->answered += worker->answered;
    figures->refused += worker->refused;
    figures->refusal = figures->refusal == SLUICE_OK ? worker->refusal : figures->refusal;
    figures->unsent += worker->unsent;
    figures->unanswered += worker->sent - worker->answered - worker->refused;
    figures->acknowledged[worker->index] = worker->answered;
    load_histogram_merge(&figures->lateness, &worker->lateness);
    if (worker->run->plan->receivers == 0) {
        load_histogram_merge(&figures->latency, &worker->latency);
    }
}

/* How many records of a stream there are to be; false: nobody knows. */
static bool expects(const struct load_plan *plan, const struct load_figures *figures, uint64_t run,
                    uint32_t stream, uint64_t *ret_count)
{
    const uint64_t *counts = plan->senders > 0 ? figures->acknowledged : plan->expected;
    uint32_t count = plan->senders > 0 ? plan->senders : plan->expected_count;
    if (counts == NULL || run != plan->run || stream >= count || figures->reading_cut) {
        return false;
    }
    *ret_count = counts[stream];
    return true;
}

static void receiver_add(const struct load_worker *worker, struct load_figures *figures,
                         uint64_t *came)
{
    const struct load_plan *plan = worker->run->plan;
    figures->received += atomic_load(&worker->done);
    figures->unstamped += worker->unstamped;
    load_histogram_merge(&figures->latency, &worker->latency);
    for (uint32_t i = 0; i < worker->stream_count; i++) {
        const struct load_stream *stream = &worker->streams[i];
        uint64_t expected;
        figures->duplicated += stream->sequence.duplicated;
        figures->reordered += stream->sequence.reordered;
        if (expects(plan, figures, stream->run, stream->stream, &expected)) {
            came[stream->stream] += stream->sequence.came;
        } else {
            figures->lost += load_sequence_gaps(&stream->sequence);
        }
    }
}

/* Streams that are expected are so whole, also those of which nothing came. */
static void losses_add(const struct load_plan *plan, struct load_figures *figures,
                       const uint64_t *came)
{
    uint64_t expected;
    for (uint32_t i = 0; plan->receivers > 0 && i < LOAD_THREADS_MAX; i++) {
        if (expects(plan, figures, plan->run, i, &expected) && expected > came[i]) {
            figures->lost += expected - came[i];
        }
    }
}

void load_run_finish(struct load_run *run, struct load_figures *ret_figures)
{
    uint64_t came[LOAD_THREADS_MAX] = {0};
    memset(ret_figures, 0, sizeof(*ret_figures));
    for (uint32_t i = 0; i < run->worker_count; i++) {
        struct load_worker *worker = run->workers[i];
        if (worker->has_thread) {
            sl_loop_stop(worker->loop);
            sl_loop_join(worker->loop);
        }
        ret_figures->reading_cut |= worker->is_cut;
    }
    for (uint32_t i = 0; i < run->worker_count; i++) {
        struct load_worker *worker = run->workers[i];
        if (worker->receives) {
            receiver_add(worker, ret_figures, came);
        } else {
            sender_add(worker, ret_figures);
        }
        ret_figures->took_ns = SL_MAX(ret_figures->took_ns, worker->last_ns - worker->begun_ns);
        if (ret_figures->err == SLUICE_OK && worker->err != SLUICE_OK) {
            ret_figures->err = worker->err;
        }
        if (ret_figures->text[0] == '\0') {
            memcpy(ret_figures->text, worker->text, LOAD_TEXT_BYTES);
        }
    }
    losses_add(run->plan, ret_figures, came);
    run_free(run);
}
