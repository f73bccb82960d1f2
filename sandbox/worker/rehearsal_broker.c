/* rehearsal_broker.c: a broker that is made up: it takes every call, and ends it at once, later, or
 * when its connection is gone, with results that a broker may give (<sluice/broker.h>). Here is the
 * way of a call; what each gets is in rehearsal_broker_<area>.c. */
#include "rehearsal_broker.h"

#define RESULTS_MAX 4096u /* of one call; more are not asked for in a rehearsal's 64 KiB */
_Static_assert(offsetof(struct sluice_broker, conn_tell) + sizeof(void (*)(void)) ==
                   sizeof(struct sluice_broker),
               "a new call of the broker: make it up in its area, and name it here");

extern void *__libc_calloc(size_t count, size_t size);
extern void __libc_free(void *memory);

const struct sluice_text rehearsal_topic = {"rehearsed", 9};

sluice_status stage_draw_status(struct stage *stage, bool cancelled)
{
    static const sluice_status failures[] = {
        SLUICE_E_UNKNOWN_TOPIC, SLUICE_E_BUSY,    SLUICE_E_LIMIT,     SLUICE_E_NO_MEMORY,
        SLUICE_E_PERMISSION,    SLUICE_E_INVALID, SLUICE_E_CANCELLED, SLUICE_E_IO};

    if (cancelled) {
        return SLUICE_E_CANCELLED;
    }
    return stage_draw(stage, 3) > 0
               ? SLUICE_OK
               : failures[stage_draw(stage, sizeof(failures) / sizeof(failures[0]))];
}

/* ---- results that several areas have ---- */

static void end_status(struct stage *stage, const struct stage_call *call, void *results,
                       sluice_status status)
{
    (void)stage;
    (void)results;
    DONE(sluice_status_done)(call->arg, status);
}

const struct rehearsal_kind rehearsal_status_kind = KIND("group_heartbeat", end_status, 0);

static void end_statuses(struct stage *stage, const struct stage_call *call, void *results,
                         sluice_status status)
{
    sluice_status *statuses = results;

    for (uint32_t i = 0; i < call->count; i++) {
        statuses[i] = stage_draw_status(stage, status == SLUICE_E_CANCELLED);
    }
    DONE(sluice_statuses_done)(call->arg, status, statuses, call->count);
}

const struct rehearsal_kind rehearsal_statuses_kind =
    KIND("offset_commit", end_statuses, sizeof(sluice_status));

/* ---- the way of a call ---- */

static void end_now(struct stage *stage, const struct stage_call *call, bool cancelled)
{
    const char *before = stage->doing;
    const sluice_status status = stage_draw_status(stage, cancelled);
    void *results = NULL;

    if (call->kind->result_size > 0) {
        results = __libc_calloc(call->count + 1, call->kind->result_size);
    }
    stage_doing(stage, call->kind->done_name);
    call->kind->end(stage, call, results, status);
    stage->doing = before;
    __libc_free(results);
}

void stage_call_end(struct stage *stage, uint32_t index, bool cancelled)
{
    const struct stage_call call = stage->calls[index];

    stage->calls[index] = stage->calls[--stage->call_count];
    end_now(stage, &call, cancelled);
}

void stage_calls_cancel(struct stage *stage, uint64_t connection)
{
    for (uint32_t i = 0; i < stage->call_count;) {
        if (connection == 0 || stage->calls[i].connection == connection) {
            if (connection != 0 && stage_draw(stage, 4) < (stage->early ? 3 : 1)) {
                stage->calls[i++].connection = 0; /* records on their way: it ends later */
                continue;
            }
            stage_call_end(stage, i, true);
            i = 0; /* its done may have called */
        } else {
            i++;
        }
    }
}

static bool is_of_open(const struct stage *stage, struct sluice_text text)
{
    return text.size > 0 && text.data >= stage->open_text &&
           text.data < stage->open_text + sizeof(stage->open_text) && stage->open_text[0] == '?';
}

void stage_ask(const struct sluice_broker *broker, const struct sluice_context *context,
               const struct rehearsal_kind *kind, uint32_t count, void (*done)(void), void *arg)
{
    struct stage *stage = broker->data;
    struct stage_call call = {.kind = kind, .count = count, .done = done, .arg = arg};

    if (!stage_may(stage, kind->name)) {
        return;
    }
    stage->asked++;
    if (context == NULL || done == NULL || count > RESULTS_MAX) {
        stage_fault(stage, "%s is asked without a context or a done, or for %u things", kind->name,
                    count);
        return;
    }
    if (is_of_open(stage, context->client_host) || is_of_open(stage, context->principal)) {
        stage_fault(stage,
                    "%s is asked with a context that conn_open was given: its texts are gone",
                    kind->name);
        return;
    }
    call.connection = context->connection;
    if (stage->call_count == STAGE_CALLS_MAX || stage_draw(stage, 4) == 0) {
        end_now(stage, &call, false); /* before the call returns */
    } else {
        stage->calls[stage->call_count++] = call;
    }
}

/* What is borrowed is read: a pointer that is none dies here. */
void stage_read(const void *data, uint64_t size)
{
    const volatile uint8_t *bytes = data;

    for (uint64_t i = 0; i < size; i++) {
        (void)bytes[i];
    }
}

void stage_read_topic(const struct sluice_topic_ref *topic)
{
    stage_read(topic->name.data, topic->name.size);
}

/* ---- the table ---- */

void stage_broker_init(struct stage *stage)
{
    stage->broker = (struct sluice_broker){.size = sizeof(struct sluice_broker), .data = stage};
    rehearsal_topics_init(&stage->broker);
    rehearsal_configs_init(&stage->broker);
    rehearsal_records_init(&stage->broker);
    rehearsal_groups_init(&stage->broker);
    rehearsal_offsets_init(&stage->broker);
    rehearsal_consumers_init(&stage->broker);
    rehearsal_streams_init(&stage->broker);
    rehearsal_shares_init(&stage->broker);
    rehearsal_txn_init(&stage->broker);
    rehearsal_cluster_init(&stage->broker);
}
