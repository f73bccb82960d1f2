/* rehearsal.c: lives of a module before its real one, for validators (sandbox_spawn.rehearsal).
 *
 * Steps drive two instances, the second by capitals. A step without a living instance, or whose
 * slot the module does not have, is skipped; one that fails ends that instance, as the host would.
 * What lives at the end is destroyed. Whatever the module does wrong on the way kills the worker,
 * and the host sees why. */
#include "worker.h"

#include <ctype.h>
#include <string.h>

#define ROOM_BYTES 4096u /* of the verdicts on no records */

struct life {
    struct worker *worker;
    void *self;
    bool active;
};

static sluice_status run_batch(const struct life *life)
{
    static _Alignas(8) uint8_t room[ROOM_BYTES];
    const struct channel_task_wire task = {.limit = 0};
    const struct sluice_context context = {.size = sizeof(context)};
    const struct sluice_record none = {.size = sizeof(none)};
    const struct sluice_batch batch = {.size = sizeof(batch),
                                       .records = &none,
                                       .record_stride = sizeof(none),
                                       .topic = {"rehearsal", 9},
                                       .context = &context};
    struct channel_progress progress = {0};
    struct verdict_writer writer;

    verdict_writer_init(&writer, life->worker->boot, room, sizeof(room), &task, &progress);
    return life->worker->processor->process_batch(life->self, &batch, &writer.writer);
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

static sluice_status step(struct life *life, int letter)
{
    const struct sluice_processor *processor = life->worker->processor;
    sluice_status status;

    switch (letter) {
    case 'i':
        return call(life, processor->init);
    case 'a':
        status = call(life, processor->activate);
        life->active = status == SLUICE_OK;
        return status;
    case 'b':
        (void)run_batch(life); /* it may refuse a batch, and lives on */
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

void rehearse(struct worker *worker)
{
    const struct boot_span span = worker->boot->rehearsal;
    const char *steps = (const char *)worker->boot + span.at;
    struct life lives[2] = {{.worker = worker}, {.worker = worker}};

    for (uint32_t i = 0; i < span.size; i++) {
        struct life *life = &lives[isupper((unsigned char)steps[i]) != 0];
        const int letter = tolower((unsigned char)steps[i]);

        host_error_clear(worker);
        if (letter == 'c') {
            (void)create(life);
        } else if (life->self != NULL && step(life, letter) != SLUICE_OK) {
            end(life);
        }
    }
    end(&lives[0]);
    end(&lives[1]);
    tasks_clear(worker);
}
