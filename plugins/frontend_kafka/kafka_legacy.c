/* kafka_legacy.c: see kafka_legacy.h. */
#include "kafka_legacy.h"
#include "kafka_messages.h"

#include <stdlib.h>

/* ---- conversions that wait for their turn ----
 *
 * The host takes so many tasks of an instance at a time; a connection has one conversion at most,
 * so the queue is no longer than there are connections. */

struct kafka_legacy_job {
    struct kafka_frontend *frontend;
    struct kafka_legacy_job *next;
    void (*work)(struct kafka_legacy_job *job); /* on a thread of the host's */
    void (*done)(struct kafka_legacy_job *job, sluice_status status);
};

static void job_work(void *arg)
{
    struct kafka_legacy_job *job = arg;
    job->work(job);
}

static sluice_task_done job_done;

/* SLUICE_E_LIMIT: later. */
static sluice_status job_try(struct kafka_legacy_job *job)
{
    const struct sluice_task_host *tasks = job->frontend->tasks;
    return tasks->submit(tasks, SLUICE_TASK_IO, job_work, job_done, job);
}

static void job_submit(struct kafka_legacy_job *job)
{
    struct kafka_legacy_job **end = &job->frontend->legacy_waiting;
    sluice_status status = job_try(job);

    if (status == SLUICE_E_LIMIT) {
        while (*end != NULL) {
            end = &(*end)->next;
        }
        job->next = NULL;
        *end = job;
    } else if (status != SLUICE_OK) {
        job->done(job, status);
    }
}

static void job_done(void *arg)
{
    struct kafka_legacy_job *job = arg;
    struct kafka_frontend *frontend = job->frontend;
    struct kafka_legacy_job *next = frontend->legacy_waiting;

    frontend->refs++;
    job->done(job, SLUICE_OK);
    while (next != NULL) {
        sluice_status status;
        frontend->legacy_waiting = next->next;
        status = job_try(next);
        if (status == SLUICE_OK) {
            break;
        }
        next->done(next, status); /* the instance ends: so do all that wait */
        next = frontend->legacy_waiting;
    }
    kafka_frontend_unref(frontend);
}

/* ---- Produce ---- */

struct legacy_produce {
    struct kafka_legacy_job job;
    struct kafka_call *call;
    struct sluice_produce_entry *entries; /* in the call */
    uint32_t count;
    struct sluice_bytes *batches; /* likewise; data NULL: none */
    sluice_status *statuses;
};

static void produce_work(struct kafka_legacy_job *job)
{
    struct legacy_produce *produce = (struct legacy_produce *)job;
    const struct sluice_message_set_host *sets = job->frontend->message_sets;

    for (uint32_t i = 0; i < produce->count; i++) {
        produce->statuses[i] =
            sets->to_batch(sets, produce->entries[i].batch, &produce->batches[i]);
    }
}

/* What was converted stays, in order, in front. */
static uint32_t keep_sound(struct legacy_produce *produce)
{
    void **slots = produce->call->slots;
    uint32_t kept = 0;

    for (uint32_t i = 0; i < produce->count; i++) {
        if (produce->statuses[i] != SLUICE_OK) {
            kafka_produce_refuse(produce->call, i, produce->statuses[i]);
            continue;
        }
        produce->entries[i].batch = produce->batches[i];
        produce->entries[kept] = produce->entries[i];
        slots[kept++] = slots[i];
    }
    return kept;
}

/* The call may be gone, and its memory used again, when it was started; the batches are not its. */
static void produce_done(struct kafka_legacy_job *job, sluice_status status)
{
    struct legacy_produce *produce = (struct legacy_produce *)job;
    const struct sluice_message_set_host *sets = job->frontend->message_sets;
    struct kafka_call *call = produce->call;
    uint32_t count = produce->count;
    struct sluice_bytes *batches = malloc((count + 1) * sizeof(*batches));

    if (batches != NULL) {
        memcpy(batches, produce->batches, count * sizeof(*batches));
    }
    if (status == SLUICE_OK && batches != NULL && kafka_conn_is_open(call->conn)) {
        kafka_produce_start(call, produce->entries, keep_sound(produce));
    } else {
        for (uint32_t i = 0; batches == NULL && i < count; i++) {
            sets->release(sets, produce->batches[i]);
        }
        kafka_call_fail(call, "messages cannot be converted",
                        status != SLUICE_OK ? status : SLUICE_E_NO_MEMORY);
    }
    for (uint32_t i = 0; batches != NULL && i < count; i++) {
        sets->release(sets, batches[i]);
    }
    free(batches);
}

void kafka_legacy_produce(struct kafka_call *call, struct sluice_produce_entry *entries,
                          uint32_t count)
{
    struct legacy_produce *produce = kafka_call_try_take(call, 1, sizeof(*produce));
    struct sluice_bytes *batches = kafka_call_try_take(call, count, sizeof(*batches));
    sluice_status *statuses = kafka_call_try_take(call, count, sizeof(*statuses));

    if (produce == NULL || batches == NULL || statuses == NULL) {
        kafka_call_fail(call, "a produce request names too many partitions", SLUICE_E_LIMIT);
        return;
    }
    *produce = (struct legacy_produce){
        .job = {.frontend = call->conn->frontend, .work = produce_work, .done = produce_done},
        .call = call,
        .entries = entries,
        .count = count,
        .batches = batches,
        .statuses = statuses,
    };
    job_submit(&produce->job);
}

/* ---- Fetch ---- */

#define ROUNDS_MAX 64u /* fetches for one request, where nothing comes of what is there */

struct legacy_part {
    struct sluice_bytes batches; /* [owned] what the broker gave */
    struct sluice_bytes set;     /* the host's */
    int64_t next_offset;
    sluice_status status;
};

struct legacy_fetch {
    struct kafka_legacy_job job;
    struct kafka_call *call;
    struct sluice_fetch fetch;
    struct sluice_fetch_entry *entries; /* in the call */
    sluice_fetch_done *done;
    struct sluice_fetch_result *results; /* [owned], behind this */
    struct legacy_part *parts;           /* likewise */
    int32_t magic;
    int32_t throttle_ms;
    uint32_t rounds;
    size_t bytes; /* counted in the frontend */
    int64_t until_ms;
};

static int64_t now_ms(const struct legacy_fetch *fetch)
{
    const struct sluice_frontend_host *io = fetch->call->conn->frontend->io;
    return io->now_ms(io);
}

static void parts_free(struct legacy_fetch *fetch)
{
    const struct sluice_message_set_host *sets = fetch->job.frontend->message_sets;
    for (uint32_t i = 0; i < fetch->fetch.entry_count; i++) {
        struct legacy_part *part = &fetch->parts[i];
        free((void *)(uintptr_t)part->batches.data);
        if (part->set.data != NULL) {
            sets->release(sets, part->set);
        }
        *part = (struct legacy_part){.next_offset = -1};
    }
    fetch->job.frontend->legacy_bytes -= fetch->bytes;
    fetch->bytes = 0;
}

/* Ends the fetch with the results that are there. */
static void fetch_end(struct legacy_fetch *fetch)
{
    struct kafka_frontend *frontend = fetch->job.frontend;

    frontend->refs++;
    fetch->done(fetch->call, fetch->results, fetch->fetch.entry_count, fetch->throttle_ms);
    parts_free(fetch);
    free(fetch);
    kafka_frontend_unref(frontend);
}

static void fetch_work(struct kafka_legacy_job *job)
{
    struct legacy_fetch *fetch = (struct legacy_fetch *)job;
    const struct sluice_message_set_host *sets = job->frontend->message_sets;

    for (uint32_t i = 0; i < fetch->fetch.entry_count; i++) {
        struct legacy_part *part = &fetch->parts[i];
        const struct sluice_fetch_entry *entry = &fetch->entries[i];
        uint64_t bytes_max = entry->bytes_max > 0 ? (uint64_t)entry->bytes_max : 1;
        if (part->batches.data != NULL) {
            bytes_max = bytes_max < KAFKA_LEGACY_FETCH_BYTES ? bytes_max : KAFKA_LEGACY_FETCH_BYTES;
            part->status = sets->from_batches(sets, part->batches, fetch->magic, entry->offset,
                                              bytes_max, &part->set, &part->next_offset);
        }
    }
}

static void fetch_start(struct legacy_fetch *fetch);

/* Whether there is something to tell; results have what was converted. */
static bool take_sets(struct legacy_fetch *fetch)
{
    bool any = false;
    for (uint32_t i = 0; i < fetch->fetch.entry_count; i++) {
        struct sluice_fetch_result *result = &fetch->results[i];
        const struct legacy_part *part = &fetch->parts[i];
        if (part->batches.data != NULL && result->status == SLUICE_OK) {
            result->status = part->status;
            result->records = part->set;
        }
        any = any || result->status != SLUICE_OK || result->records.size > 0;
    }
    return any;
}

/* Goes on behind markers and what else has no message. False: there was nothing. */
static bool move_on(struct legacy_fetch *fetch)
{
    bool moved = false;
    for (uint32_t i = 0; i < fetch->fetch.entry_count; i++) {
        const struct legacy_part *part = &fetch->parts[i];
        if (part->batches.data != NULL && part->next_offset > fetch->entries[i].offset) {
            fetch->entries[i].offset = part->next_offset;
            moved = true;
        }
    }
    return moved && ++fetch->rounds < ROUNDS_MAX;
}

static void fetch_converted(struct kafka_legacy_job *job, sluice_status status)
{
    struct legacy_fetch *fetch = (struct legacy_fetch *)job;
    bool is_open = kafka_conn_is_open(fetch->call->conn);

    for (uint32_t i = 0; status != SLUICE_OK && i < fetch->fetch.entry_count; i++) {
        fetch->results[i].status = status;
    }
    if (!take_sets(fetch) && is_open && move_on(fetch)) {
        parts_free(fetch);
        fetch_start(fetch);
        return;
    }
    fetch_end(fetch);
}

/* A copy of the batches, which go when the broker's done returns. */
static void take_batches(struct legacy_fetch *fetch, struct sluice_fetch_result *result,
                         struct legacy_part *part)
{
    size_t size = (size_t)result->records.size;
    uint8_t *copy = malloc(size);

    if (copy == NULL) {
        result->status = SLUICE_E_NO_MEMORY;
        return;
    }
    memcpy(copy, result->records.data, size);
    part->batches = (struct sluice_bytes){copy, size};
    fetch->bytes += size;
    fetch->job.frontend->legacy_bytes += size;
}

static void fetched(void *arg, const struct sluice_fetch_result *results, uint32_t count,
                    int32_t throttle_ms)
{
    struct legacy_fetch *fetch = arg;
    bool any = false;

    memcpy(fetch->results, results, count * sizeof(*results));
    fetch->throttle_ms = throttle_ms;
    for (uint32_t i = 0; i < count; i++) {
        struct sluice_fetch_result *result = &fetch->results[i];
        if (result->status == SLUICE_OK && result->records.size > 0) {
            take_batches(fetch, result, &fetch->parts[i]);
            any = any || fetch->parts[i].batches.data != NULL;
        }
        result->records = (struct sluice_bytes){NULL, 0};
        result->records_token = 0;
        result->aborted = NULL;
        result->aborted_count = 0;
    }
    if (any && kafka_conn_is_open(fetch->call->conn)) {
        job_submit(&fetch->job);
    } else {
        fetch_end(fetch);
    }
}

/* So much as the other fetches of the instance leave. */
static uint32_t bytes_allowed(const struct kafka_frontend *frontend)
{
    size_t used = frontend->legacy_bytes;
    size_t left = used < KAFKA_LEGACY_BYTES_MAX ? (KAFKA_LEGACY_BYTES_MAX - used) / 4 : 0;
    left = left < KAFKA_LEGACY_BYTES_MIN ? KAFKA_LEGACY_BYTES_MIN : left;
    return left < KAFKA_LEGACY_FETCH_BYTES ? (uint32_t)left : KAFKA_LEGACY_FETCH_BYTES;
}

static void fetch_start(struct legacy_fetch *fetch)
{
    const struct sluice_broker *broker = kafka_call_broker(fetch->call);
    int64_t left_ms = fetch->until_ms - now_ms(fetch);
    struct sluice_fetch request = fetch->fetch;
    uint32_t allowed = bytes_allowed(fetch->job.frontend);

    request.wait_ms = left_ms > 0 ? (int32_t)left_ms : 0;
    request.bytes_max =
        (uint32_t)request.bytes_max < allowed ? request.bytes_max : (int32_t)allowed;
    broker->fetch(broker, kafka_call_context(fetch->call), &request, fetched, fetch);
}

void kafka_legacy_fetch(struct kafka_call *call, const struct sluice_fetch *fetch,
                        struct sluice_fetch_entry *entries, sluice_fetch_done *done)
{
    size_t per_entry = sizeof(struct sluice_fetch_result) + sizeof(struct legacy_part);
    struct legacy_fetch *own = calloc(1, sizeof(*own) + fetch->entry_count * per_entry);

    if (own == NULL) {
        kafka_call_fail(call, "no memory for a request", SLUICE_E_NO_MEMORY);
        return;
    }
    own->job = (struct kafka_legacy_job){
        .frontend = call->conn->frontend, .work = fetch_work, .done = fetch_converted};
    own->call = call;
    own->fetch = *fetch;
    own->entries = entries;
    own->done = done;
    own->results = (struct sluice_fetch_result *)(own + 1);
    own->parts = (struct legacy_part *)(own->results + fetch->entry_count);
    own->magic = call->version < 2 ? 0 : 1;
    own->until_ms = now_ms(own) + (fetch->wait_ms > 0 ? fetch->wait_ms : 0);
    own->fetch.bytes_max = fetch->bytes_max > 0 ? fetch->bytes_max : 1;
    fetch_start(own);
}
