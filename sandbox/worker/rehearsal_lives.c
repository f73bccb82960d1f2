/* rehearsal_lives.c: lives of a module before its real one, for validators
 * (sandbox_spawn.rehearsal).
 *
 * Steps drive two instances, the second by capitals; digits say on which thread. A step without a
 * living instance, or whose slot the module does not have, is skipped; one that fails ends that
 * instance, as the host would. What lives at the end is destroyed. Whatever the module does wrong
 * on the way kills the worker, and the host sees why, and where it was. */
#include "worker.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define ROOM_BYTES (64u << 10) /* of the verdicts of a batch */
#define BOTH_TURNS 20u         /* batches of both instances at once */
#define DIGEST_0   2166136261u /* FNV-1a */

struct life {
    struct worker *worker;
    void *self;
    bool active;
    uint32_t control; /* the thread of its create, and of all but its batches */
    int letter;
    sluice_status status; /* of the step */
    uint32_t digest;      /* of what its batches gave */
    _Alignas(8) uint8_t room[ROOM_BYTES];
};

static const struct sluice_header header = {{"source", 6}, {(const uint8_t *)"check", 5}};
#define RECORD(at, key_text, value_text)                                                         \
    {                                                                                            \
        .size = sizeof(struct sluice_record), .offset = (at), .timestamp = 1700000000000 + (at), \
        .key = {(const uint8_t *)(key_text), sizeof(key_text) - 1},                              \
        .value = {(const uint8_t *)(value_text), sizeof(value_text) - 1},                        \
        .header_count = (at) % 2, .headers = &header                                             \
    }
static const struct sluice_record records[] = {
    RECORD(0, "a", "{\"a\":1,\"card\":\"1234-5678-9999\",\"amount\":7}"),
    RECORD(1, "b", "plain words"),
    RECORD(2, "a", ""),
    RECORD(3, "", "{\"a\":{\"b\":[1,2,3]},\"id\":9007199254740993}"),
};
#define RECORD_COUNT ((uint32_t)(sizeof(records) / sizeof(records[0])))

void rehearsal_note(struct worker *worker, const char *format, ...)
{
    char *where = (char *)worker->output + CHANNEL_HEAD_BYTES;
    va_list args;

    va_start(args, format);
    vsnprintf(where, CHANNEL_REHEARSAL_TEXT_MAX, format, args);
    va_end(args);
}

static void digest_add(struct life *life, const void *data, uint32_t size)
{
    const uint8_t *bytes = data;

    for (uint32_t i = 0; i < size; i++) {
        life->digest = (life->digest ^ bytes[i]) * 16777619u;
    }
}

static sluice_status run_batch(struct life *life, uint32_t count)
{
    const struct channel_task_wire task = {.limit = count};
    const struct sluice_context context = {.size = sizeof(context)};
    const struct sluice_batch batch = {.size = sizeof(batch),
                                       .record_count = count,
                                       .records = records,
                                       .record_stride = sizeof(records[0]),
                                       .topic = {"rehearsal", 9},
                                       .context = &context};
    struct channel_progress progress = {0};
    struct verdict_writer writer;
    sluice_status status;

    memset(life->room, 0, sizeof(life->room));
    verdict_writer_init(&writer, life->worker->boot, life->room, sizeof(life->room), &task,
                        &progress);
    status = life->worker->processor->process_batch(life->self, &batch, &writer.writer);
    digest_add(life, &status, sizeof(status));
    digest_add(life, life->room, writer.used);
    return status;
}

static void end(struct life *life)
{
    const struct sluice_processor *processor = life->worker->processor;

    if (life->self != NULL && life->active && processor->deactivate != NULL) {
        processor->deactivate(life->self);
    }
    if (life->self != NULL) {
        processor->destroy(life->self);
    }
    life->self = NULL;
    life->active = false;
}

static sluice_status create(struct life *life)
{
    void *self = NULL;
    sluice_status status;

    end(life);
    status = life->worker->processor->create(&life->worker->host, &self);
    life->self = status == SLUICE_OK ? self : NULL;
    return status;
}

static sluice_status call(struct life *life, sluice_status (*slot)(void *self))
{
    return slot != NULL ? slot(life->self) : SLUICE_OK;
}

static sluice_status step(struct life *life)
{
    const struct sluice_processor *processor = life->worker->processor;
    sluice_status status;

    switch (life->letter) {
    case 'c':
        (void)create(life);
        return SLUICE_OK;
    case 'i':
        return call(life, processor->init);
    case 'a':
        status = call(life, processor->activate);
        life->active = status == SLUICE_OK;
        return status;
    case 'b':
        (void)run_batch(life, 0); /* it may refuse a batch, and lives on */
        return SLUICE_OK;
    case 'p':
        (void)run_batch(life, RECORD_COUNT);
        return SLUICE_OK;
    case 'r':
        (void)call(life, processor->reconfigure);
        return SLUICE_OK;
    case 'd':
        return call(life, processor->drain);
    case 'x':
        life->active = false;
        if (processor->deactivate != NULL) {
            processor->deactivate(life->self);
        }
        return SLUICE_OK;
    default:
        end(life);
        return SLUICE_OK;
    }
}

static const char *slot_name(int letter)
{
    static const struct {
        int letter;
        const char *name;
    } names[] = {{'c', "create"},        {'i', "init"},        {'a', "activate"},
                 {'b', "process_batch"}, {'r', "reconfigure"}, {'d', "drain"},
                 {'p', "process_batch"}, {'x', "deactivate"},  {'q', "destroy"}};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].letter == letter) {
            return names[i].name;
        }
    }
    return "destroy";
}

static void run_step(void *arg)
{
    struct life *life = arg;

    life->status = step(life);
}

static void run_end(void *arg)
{
    end(arg);
}

static void run_turns(void *arg)
{
    struct life *life = arg;

    for (uint32_t i = 0; i < BOTH_TURNS; i++) {
        (void)run_batch(life, RECORD_COUNT);
    }
}

static void step_on(struct life *life, uint32_t at, char letter, uint32_t thread)
{
    life->letter = tolower((unsigned char)letter);
    if (life->self == NULL && life->letter != 'c') {
        return;
    }
    rehearsal_note(life->worker, "step %u (%s of instance %u, on thread %u)", at + 1,
                   slot_name(life->letter), isupper((unsigned char)letter) ? 2u : 1u, thread);
    host_error_clear(life->worker);
    life->control = life->letter == 'c' ? thread : life->control;
    threads_run(life->worker, thread, run_step, life);
    if (life->status != SLUICE_OK) {
        threads_run(life->worker, life->control, run_end, life);
    }
}

static void step_both(struct life lives[2], uint32_t at)
{
    struct worker *worker = lives[0].worker;
    const uint32_t digests[] = {lives[0].digest, lives[1].digest};

    if (!lives[0].active || !lives[1].active) {
        return;
    }
    rehearsal_note(worker, "step %u (process_batch of two instances at once, on threads 1 and 2)",
                   at + 1);
    threads_run_both(worker, run_turns, &lives[0], &lives[1]);
    lives[0].digest = digests[0]; /* the order of the two is nobody's */
    lives[1].digest = digests[1];
}

void rehearse(struct worker *worker)
{
    static struct life lives[2];
    const struct boot_span span = worker->boot->rehearsal;
    const char *steps = (const char *)worker->boot + span.at;
    uint32_t thread = 0;

    for (uint32_t i = 0; i < 2; i++) {
        lives[i].worker = worker;
        lives[i].digest = DIGEST_0;
    }
    for (uint32_t i = 0; i < span.size; i++) {
        if (isdigit((unsigned char)steps[i])) {
            thread = (uint32_t)(steps[i] - '0');
        } else if (steps[i] == '&') {
            step_both(lives, i);
        } else {
            step_on(&lives[isupper((unsigned char)steps[i]) != 0], i, steps[i], thread);
        }
        if (lives[0].self == NULL && lives[1].self == NULL) {
            tasks_clear(worker); /* of those that are gone */
        }
    }
    for (uint32_t i = 0; i < 2; i++) {
        if (lives[i].self != NULL) {
            rehearsal_note(worker, "the destroy of instance %u at the end", i + 1);
            threads_run(worker, lives[i].control, run_end, &lives[i]);
        }
    }
    worker->rehearsal_digest = lives[0].digest ^ (lives[1].digest * 31u);
    threads_end(worker);
    tasks_clear(worker);
    if (span.size > 0) {
        rehearsal_note(worker, "%s", "");
    }
}
