/* sim_model.h: what a log must hold, whatever happens to the power.
 *
 * Units have numbers in the order of submission. The model keeps the numbers that may be in the
 * log, in order, and how many of them were acknowledged. Recovery must give back a prefix of that
 * order which holds all that was acknowledged; from then on that prefix is the history. A unit has
 * a state item (its number) and, often, a BATCH item whose body follows from the number. */
#ifndef SIM_MODEL_H
#define SIM_MODEL_H

#include "wal/wal.h"

#define MODEL_UNITS_MAX 4096u
#define MODEL_BODY_MAX  12288u

struct model_unit {
    uint64_t number;
    uint32_t body_size;     /* 0: no BATCH */
    struct wal_place place; /* where it was told to lie, once durable */
};

enum model_fault { MODEL_FINE, MODEL_LOST, MODEL_GHOST, MODEL_WRONG };

struct model {
    struct model_unit units[MODEL_UNITS_MAX];
    uint32_t count;
    uint32_t acked;
    uint32_t acked_before; /* without the last group that was acknowledged */
    uint64_t next_number;
    uint64_t released_below; /* segments that the test said hold nothing live */
    /* Of the recovery under way: */
    uint32_t recovered;
    uint32_t batch_at; /* next unit whose BATCH may come */
    uint64_t batch_count;
    bool saw_batch;
    enum model_fault fault;
    char what[256];
};

/* An empty history; numbers of units follow from the seed. */
void model_reset(struct model *model, uint64_t seed);
/* Bytes of the body of a unit. */
void model_body(uint64_t number, uint8_t *ret_body, uint32_t size);
/* A new unit at the end; NULL when full. */
struct model_unit *model_add(struct model *model, uint32_t body_size);

void model_recovery_begin(struct model *model);
sl_err model_apply(struct model *model, uint16_t kind, struct sl_bytes payload,
                   const struct wal_place *place, uint64_t lsn);
/* After a recovery that succeeded: checks, and takes the prefix as history. `may_lose_last`: the
 * last acknowledged group may look torn. */
void model_recovery_end(struct model *model, bool may_lose_last);
/* The state as of the acknowledged units, as payload of a checkpoint item. */
struct sl_bytes model_snapshot(const struct model *model, uint8_t buffer[16]);

#endif
