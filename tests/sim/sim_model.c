/* sim_model.c: see sim_model.h. */
#include "sim_model.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void SL_PRINTF(3, 4)
    fail(struct model *model, enum model_fault fault, const char *format, ...)
{
    if (model->fault != MODEL_FINE)
        return;
    model->fault = fault;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(model->what, sizeof model->what, format, arguments);
    va_end(arguments);
}

void model_reset(struct model *model, uint64_t seed)
{
    model->count = 0;
    model->acked = 0;
    model->acked_before = 0;
    model->released_below = 0;
    model->fault = MODEL_FINE;
    model->next_number = seed * 1000000 + 1;
}

void model_body(uint64_t number, uint8_t *ret_body, uint32_t size)
{
    uint64_t x = number * 0x9e3779b97f4a7c15u + 1;
    for (uint32_t i = 0; i < size; i += 8) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(ret_body + i, &x, SL_MIN(size - i, 8u));
    }
}

struct model_unit *model_add(struct model *model, uint32_t body_size)
{
    if (model->count == MODEL_UNITS_MAX)
        return NULL;
    struct model_unit *unit = &model->units[model->count++];
    *unit = (struct model_unit){.number = model->next_number++, .body_size = body_size};
    return unit;
}

void model_recovery_begin(struct model *model)
{
    model->recovered = 0;
    model->batch_at = 0;
    model->batch_count = 0;
    model->saw_batch = false;
}

static bool is_known(const struct model *model, uint64_t number)
{
    for (uint32_t i = model->batch_at; i < model->count; i++) {
        if (model->units[i].number == number)
            return true;
    }
    return false;
}

/* Units between two BATCHes that come must have none themselves, or lie in released segments. */
static void batch_came(struct model *model, uint64_t number, const struct wal_place *place)
{
    uint32_t at = model->batch_at;
    if (!is_known(model, number)) {
        fail(model, MODEL_GHOST, "batch %" PRIu64 " is not of this history", number);
        return;
    }
    while (at < model->count && model->units[at].number != number) {
        if (model->units[at].body_size > 0 && model->saw_batch)
            fail(model, MODEL_LOST, "the batch of unit %" PRIu64 " is missing",
                 model->units[at].number);
        if (model->units[at].body_size > 0 && at < model->acked &&
            model->units[at].place.segment >= model->released_below)
            fail(model, MODEL_LOST, "the live batch of unit %" PRIu64 " is missing",
                 model->units[at].number);
        at++;
    }
    if (model->units[at].body_size != place->size)
        fail(model, MODEL_WRONG, "batch %" PRIu64 " has another size", number);
    model->units[at].place = *place;
    model->batch_at = at + 1;
    model->saw_batch = true;
}

static void snapshot_came(struct model *model, struct sl_bytes payload)
{
    uint64_t count = sl_le64_load(payload.data);
    uint64_t last = sl_le64_load(payload.data + 8);
    if (count > model->count || (count > 0 && model->units[count - 1].number != last))
        fail(model, MODEL_GHOST, "the checkpoint is of another history");
    else
        model->recovered = (uint32_t)count;
}

static void state_came(struct model *model, uint64_t number)
{
    if (model->recovered >= model->count || model->units[model->recovered].number != number)
        fail(model, MODEL_GHOST, "unit %" PRIu64 " at place %u is not of this history", number,
             model->recovered);
    else
        model->recovered++;
}

sl_err model_apply(struct model *model, uint16_t kind, struct sl_bytes payload,
                   const struct wal_place *place, uint64_t lsn)
{
    (void)lsn;
    if (model->fault != MODEL_FINE)
        return SLUICE_OK;
    if (kind == WAL_ITEM_BATCH)
        batch_came(model, sl_le64_load(payload.data), place);
    else if (kind == WAL_ITEM_LOG_BOUNDS)
        snapshot_came(model, payload);
    else
        state_came(model, sl_le64_load(payload.data));
    return SLUICE_OK;
}

void model_recovery_end(struct model *model, bool may_lose_last)
{
    uint32_t least = may_lose_last ? model->acked_before : model->acked;
    if (model->recovered < least)
        fail(model, MODEL_LOST, "%u units were acknowledged, %u recovered", least,
             model->recovered);
    if (model->batch_at > model->recovered)
        fail(model, MODEL_GHOST, "a batch came without its unit");
    for (uint32_t i = model->batch_at; i < model->recovered; i++) {
        const struct model_unit *unit = &model->units[i];
        if (unit->body_size > 0 && unit->place.segment >= model->released_below)
            fail(model, MODEL_LOST, "the batch of unit %" PRIu64 " is missing", unit->number);
    }
    if (model->fault != MODEL_FINE)
        return;
    model->count = model->recovered;
    model->acked = model->recovered;
    model->acked_before = model->recovered;
}

struct sl_bytes model_snapshot(const struct model *model, uint8_t buffer[16])
{
    sl_le64_store(buffer, model->acked);
    sl_le64_store(buffer + 8, model->acked == 0 ? 0 : model->units[model->acked - 1].number);
    return sl_bytes_of(buffer, 16);
}
