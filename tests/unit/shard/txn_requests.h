/* txn_requests.h: what transactional producers ask of a fixture, each call posted to the loop of
 * the home shard: the caller runs the simulation, which may lose its power before the answer. */
#ifndef TESTS_SHARD_TXN_REQUESTS_H
#define TESTS_SHARD_TXN_REQUESTS_H

#include "shard_fixture.h"

#include "shard/txns.h"

struct txn_request;
typedef void txn_request_fn(struct txn_request *request);

struct txn_request {
    struct fixture *fixture;
    struct sluice_txn txn;
    bool commits;                                  /* of txn_request_end */
    const struct sluice_txn_partition *partitions; /* of txn_request_add */
    uint32_t count;
    int id; /* the caller's, as is the offset */
    int64_t offset;
    bool done; /* what follows was answered */
    sluice_status status;
    int64_t producer_id;
    int16_t epoch;
    txn_request_fn *run;
    struct sl_task task;
};

void txn_request_post(struct fixture *fixture, struct txn_request *request, txn_request_fn *run);
txn_request_fn txn_request_init;
txn_request_fn txn_request_add;
txn_request_fn txn_request_end;
/* The `done` of calls that answer with statuses: the first that is not OK. */
void txn_request_answered(void *arg, sluice_status status, const sluice_status *statuses,
                          uint32_t count);

/* A batch of a transaction, to partition `partition` of a topic. */
struct txn_sending {
    struct fixture *fixture;
    struct sluice_produce_entry entry;
    struct sluice_produce produce;
    struct produced produced;
    uint8_t bytes[4096];
    struct sl_task task;
};

/* The batch is the first `size` of sending->bytes. */
void txn_sending_post(struct fixture *fixture, struct txn_sending *sending, size_t size,
                      const char *topic, int32_t partition, const char *transactional_id,
                      bool is_v2);

#endif
