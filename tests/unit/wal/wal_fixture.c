/* wal_fixture.c: see wal_fixture.h. */
#include "wal_fixture.h"

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sl_err on_apply(void *arg, uint64_t lsn, uint16_t kind, uint8_t version,
                       struct sl_bytes payload, const struct wal_place *place)
{
    struct fixture *fixture = arg;
    (void)version;
    cr_assert_lt(fixture->applied_count, FIXTURE_ITEMS_MAX);
    fixture->applied[fixture->applied_count++] = (struct fixture_item){
        .lsn = lsn, .kind = kind, .place = *place, .number = sl_le64_load(payload.data)};
    return SLUICE_OK;
}

static void on_fenced(void *arg, sl_err cause)
{
    struct fixture *fixture = arg;
    fixture->fenced++;
    cr_assert_eq(cause, SLUICE_E_IO);
}

/* Each slice has the same item. */
static sl_err on_snapshot(void *arg, bool begins, wal_add_fn *add, void *add_arg, bool *ret_done)
{
    struct fixture *fixture = arg;
    fixture->snapshots += begins;
    fixture->slices_left = begins ? fixture->more_slices : fixture->slices_left - 1;
    *ret_done = fixture->slices_left == 0;
    if (fixture->snapshot_number == 0)
        return SLUICE_OK;
    return add(add_arg, WAL_ITEM_STAGE_POSITION, 1, sl_bytes_of(&fixture->snapshot_number, 8));
}

static sl_err on_recovered(void *arg, char ret_problem[WAL_PROBLEM_BYTES])
{
    struct fixture *fixture = arg;
    fixture->recovered_count++;
    if (fixture->recovered_result != SLUICE_OK)
        snprintf(ret_problem, WAL_PROBLEM_BYTES, "the owner refuses");
    return fixture->recovered_result;
}

static void on_sealed(void *arg)
{
    struct fixture *fixture = arg;
    fixture->sealed_count++;
}

static const struct wal_events events = {.apply = on_apply,
                                         .recovered = on_recovered,
                                         .sealed = on_sealed,
                                         .fenced = on_fenced,
                                         .snapshot = on_snapshot};

struct fixture *fixture_new(void)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->disk = sl_sim_disk_new(7);
    fixture->cluster.b[0] = 9;
    fixture->limits = (struct wal_limits){.segment_bytes = FIXTURE_SEGMENT,
                                          .bytes_max = 16 * FIXTURE_SEGMENT,
                                          .group_bytes_max = 8192,
                                          .frame_bytes_max = 32768,
                                          .spare_segments = 1};
    return fixture;
}

static void instance_end(struct fixture *fixture)
{
    sl_os_sim_abandon(fixture->os);
    fixture->wal = wal_free(fixture->wal);
    sl_loop_free(fixture->loop);
    sl_os_free(fixture->os);
    fixture->os = NULL;
}

void fixture_free(struct fixture *fixture)
{
    if (fixture->os != NULL)
        instance_end(fixture);
    sl_sim_disk_free(fixture->disk);
    free(fixture);
}

sl_err fixture_open(struct fixture *fixture)
{
    sl_err err = sl_os_sim_new(3, fixture->disk, &fixture->faults, &fixture->os);
    cr_assert_eq(err, SLUICE_OK);
    err = sl_loop_new(fixture->os, "test", -1, &fixture->loop);
    cr_assert_eq(err, SLUICE_OK);
    const struct wal_config config = {.os = fixture->os,
                                      .loop = fixture->loop,
                                      .directory = FIXTURE_DIRECTORY,
                                      .cluster = fixture->cluster,
                                      .shard = fixture->shard,
                                      .limits = fixture->limits,
                                      .events = &events,
                                      .events_arg = fixture};
    fixture->applied_count = 0;
    fixture->is_closed = false;
    fixture->fenced = 0;
    err = wal_open(&config, &fixture->recovery, &fixture->wal);
    if (err != SLUICE_OK)
        instance_end(fixture);
    return err;
}

void fixture_start(struct fixture *fixture)
{
    sl_err err = fixture_open(fixture);
    cr_assert_eq(err, SLUICE_OK, "%d: %s", err, fixture->recovery.problem);
}

void fixture_settle(struct fixture *fixture)
{
    for (uint32_t i = 0; i < 4000 && sl_os_sim_step(fixture->os); i++)
        ;
}

static void on_closed(void *arg)
{
    struct fixture *fixture = arg;
    fixture->is_closed = true;
}

void fixture_close(struct fixture *fixture)
{
    wal_close(fixture->wal, on_closed, fixture);
    fixture_settle(fixture);
    cr_assert(fixture->is_closed);
    instance_end(fixture);
}

void fixture_kill(struct fixture *fixture)
{
    instance_end(fixture);
}

void fixture_power_cut(struct fixture *fixture)
{
    instance_end(fixture);
    sl_sim_disk_power_cut(fixture->disk);
}

static uint8_t body_bytes[1u << 20];

static void on_durable(struct wal_unit *wal_unit, sl_err err)
{
    struct fixture_unit *unit = SL_CONTAINER_OF(wal_unit, struct fixture_unit, unit);
    cr_assert_not(unit->ended, "called twice");
    unit->err = err;
    unit->ended = true;
    static uint32_t order;
    unit->end_order = ++order;
}

struct fixture_unit *fixture_unit_new(struct fixture *fixture, uint16_t kind, uint32_t body_size)
{
    cr_assert_lt(fixture->unit_count, FIXTURE_UNITS_MAX);
    struct fixture_unit *unit = &fixture->units[fixture->unit_count++];
    if (body_bytes[1] == 0) {
        for (size_t i = 0; i < sizeof body_bytes; i++)
            body_bytes[i] = (uint8_t)(i * 7 + i / 256);
    }
    unit->number = fixture->unit_count;
    unit->pieces[0] = (struct sl_iovec){body_bytes, body_size / 2};
    unit->pieces[1] = (struct sl_iovec){body_bytes + body_size / 2, body_size - body_size / 2};
    unit->item = (struct wal_item){.kind = kind,
                                   .version = 1,
                                   .payload = sl_bytes_of(&unit->number, 8),
                                   .body = body_size > 0 ? unit->pieces : NULL,
                                   .body_count = body_size > 0 ? 2 : 0,
                                   .body_size = body_size};
    unit->unit = (struct wal_unit){.items = &unit->item, .item_count = 1, .durable = on_durable};
    return unit;
}

sl_err fixture_submit(struct fixture *fixture, struct fixture_unit *unit)
{
    return wal_submit(fixture->wal, &unit->unit);
}

struct fixture_unit *fixture_commit(struct fixture *fixture, uint16_t kind, uint32_t body_size)
{
    struct fixture_unit *unit = fixture_unit_new(fixture, kind, body_size);
    sl_err err = fixture_submit(fixture, unit);
    cr_assert_eq(err, SLUICE_OK, "%d", err);
    while (!unit->ended && sl_os_sim_step(fixture->os))
        ;
    cr_assert(unit->ended);
    cr_assert_eq(unit->err, SLUICE_OK);
    return unit;
}

uint8_t *fixture_bytes(struct fixture *fixture, const char *name, size_t *ret_size)
{
    char path[256];
    snprintf(path, sizeof path, FIXTURE_LOG "/%s", name);
    return sl_sim_disk_bytes(fixture->disk, path, ret_size);
}

bool fixture_applied(const struct fixture *fixture, uint16_t kind, uint64_t number)
{
    for (uint32_t i = 0; i < fixture->applied_count; i++) {
        if (fixture->applied[i].kind == kind && fixture->applied[i].number == number)
            return true;
    }
    return false;
}

static void count_spare(void *arg, const char *name, bool is_directory)
{
    *(uint32_t *)arg += !is_directory && strstr(name, "spare") != NULL;
}

uint32_t fixture_spares(struct fixture *fixture)
{
    uint32_t count = 0;
    cr_assert_eq(sl_dir_list(fixture->os, FIXTURE_LOG, count_spare, &count), SLUICE_OK);
    return count;
}

/* ---- salvage ---- */

static bool keep_sure(void *arg, uint64_t lsn, struct wal_item_view *item, struct sl_bytes body,
                      bool sure)
{
    (void)arg;
    (void)lsn;
    (void)item;
    (void)body;
    return sure;
}

static void take_loss(void *arg, uint64_t first_lsn, uint64_t last_lsn, const char *where)
{
    struct fixture_loss *loss = arg;
    cr_assert_neq(where[0], '\0');
    loss->calls++;
    loss->first_lsn = first_lsn;
    loss->last_lsn = last_lsn;
    snprintf(loss->where, sizeof loss->where, "%s", where);
}

sl_err fixture_salvage(struct sl_os *os, const char *out, struct fixture_loss *ret_loss,
                       struct wal_salvage_report *ret_report)
{
    static const struct wal_salvage_events takes = {.keep = keep_sure, .lost = take_loss};
    *ret_loss = (struct fixture_loss){.calls = 0};
    return wal_salvage(os, FIXTURE_DIRECTORY, out, &takes, ret_loss, ret_report);
}
