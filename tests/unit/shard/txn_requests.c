/* txn_requests.c: see txn_requests.h. */
#include "txn_requests.h"

#include <criterion/criterion.h>

static void answered(void *arg, const struct sluice_producer_id *producer)
{
    struct txn_request *request = arg;
    request->status = producer->status;
    request->producer_id = producer->id;
    request->epoch = producer->epoch;
    request->done = true;
}

void txn_request_answered(void *arg, sluice_status status, const sluice_status *statuses,
                          uint32_t count)
{
    struct txn_request *request = arg;
    request->status = status;
    for (uint32_t i = 0; i < count; i++) {
        request->status = request->status != SLUICE_OK ? request->status : statuses[i];
    }
    request->done = true;
}

void txn_request_init(struct txn_request *request)
{
    txns_producer(fixture_home(request->fixture), &request->txn, 60000, answered, request);
}

void txn_request_add(struct txn_request *request)
{
    txns_add(fixture_home(request->fixture), &request->txn, request->partitions, request->count,
             false, txn_request_answered, request);
}

void txn_request_end(struct txn_request *request)
{
    txns_end(fixture_home(request->fixture), &request->txn, request->commits, answered, request);
}

static void run_request(struct sl_task *task)
{
    struct txn_request *request = SL_CONTAINER_OF(task, struct txn_request, task);
    request->run(request);
}

void txn_request_post(struct fixture *fixture, struct txn_request *request, txn_request_fn *run)
{
    request->fixture = fixture;
    request->run = run;
    request->done = false;
    request->task = (struct sl_task){.run = run_request, .priority = SL_PRIORITY_IO};
    sl_loop_post(fixture_home(fixture)->loop, &request->task);
}

/* ---- records ---- */

static void produced(void *arg, const struct sluice_produce_result *results, uint32_t count,
                     int32_t throttle_ms)
{
    struct txn_sending *sending = arg;
    (void)throttle_ms;
    cr_assert_eq(count, 1);
    sending->produced.result = results[0];
    sending->produced.done = true;
}

static void run_sending(struct sl_task *task)
{
    struct txn_sending *sending = SL_CONTAINER_OF(task, struct txn_sending, task);
    produce_start(fixture_home(sending->fixture), NULL, &sending->fixture->context,
                  &sending->produce, produced, sending, NULL);
}

void txn_sending_post(struct fixture *fixture, struct txn_sending *sending, size_t size,
                      const char *topic, int32_t partition, const char *transactional_id,
                      bool is_v2)
{
    sending->fixture = fixture;
    sending->produced = (struct produced){.done = false};
    sending->entry = (struct sluice_produce_entry){.topic = {.name = sluice_text_of(topic)},
                                                   .partition = partition,
                                                   .batch = {sending->bytes, size}};
    sending->produce =
        (struct sluice_produce){.size = sizeof(sending->produce),
                                .acks = -1,
                                .flags = is_v2 ? SLUICE_PRODUCE_TXN_V2 : 0,
                                .entry_count = 1,
                                .entries = &sending->entry,
                                .transactional_id = sluice_text_of(transactional_id)};
    sending->task = (struct sl_task){.run = run_sending, .priority = SL_PRIORITY_IO};
    sl_loop_post(fixture_home(fixture)->loop, &sending->task);
}
