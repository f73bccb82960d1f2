/* test_commit_log.c: what every log of commit units does, written against its table alone
 * (commit_log.h) and run for each implementation: one that comes later is a row more. */
#include "base/bytes.h"
#include "os/os_sim.h"
#include "wal/memory_log.h"
#include "wal/wal.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_MAX  (1u << 20)
#define UNITS_MAX  512u
#define BODY_BYTES 20000u

struct rig {
    struct sl_sim_disk *disk;
    struct sl_sim_faults faults;
    struct sl_os *os;
    struct sl_loop *loop;
    struct commit_log *log;
    struct rig_unit *units;
    uint32_t unit_count;
    uint32_t ended_count;
    bool is_closed;
    uint8_t body[BODY_BYTES];
};

struct rig_unit {
    struct wal_unit unit;
    struct wal_item item;
    struct sl_iovec pieces[2];
    struct rig *rig;
    uint64_t number;
    uint32_t end_order;
    sl_err err;
    uint32_t again; /* submits so many more, one from the callback of the other */
};

/* ---- implementations ---- */

static sl_err no_state(void *arg SL_UNUSED, bool begins SL_UNUSED, wal_add_fn *add SL_UNUSED,
                       void *add_arg SL_UNUSED, bool *ret_done)
{
    *ret_done = true;
    return SLUICE_OK;
}

static struct commit_log *open_disk(struct rig *rig)
{
    static const struct wal_events events = {.snapshot = no_state}; /* so that segments go */
    const struct wal_config config = {.os = rig->os,
                                      .loop = rig->loop,
                                      .directory = "/data/shard-0",
                                      .limits = {.segment_bytes = 65536,
                                                 .bytes_max = BYTES_MAX,
                                                 .group_bytes_max = 8192,
                                                 .frame_bytes_max = 32768,
                                                 .spare_segments = 1},
                                      .events = &events};
    struct wal_recovery recovery;
    struct wal *wal = NULL;
    sl_err err = wal_open(&config, &recovery, &wal);
    cr_assert_eq(err, SLUICE_OK);
    return wal_commit_log(wal);
}

static struct commit_log *open_memory(struct rig *rig)
{
    const struct memory_log_config config = {
        .os = rig->os, .loop = rig->loop, .bytes_max = BYTES_MAX, .segment_bytes = 65536};
    struct commit_log *log = NULL;
    sl_err err = memory_log_open(&config, &log);
    cr_assert_eq(err, SLUICE_OK);
    return log;
}

/* ---- rig ---- */

static struct rig *rig_new(struct commit_log *(*open)(struct rig *rig))
{
    struct rig *rig = calloc(1, sizeof *rig);
    rig->units = calloc(UNITS_MAX, sizeof *rig->units);
    rig->disk = sl_sim_disk_new(7);
    cr_assert_eq(sl_os_sim_new(3, rig->disk, &rig->faults, &rig->os), SLUICE_OK);
    cr_assert_eq(sl_loop_new(rig->os, "test", -1, &rig->loop), SLUICE_OK);
    for (uint32_t i = 0; i < BODY_BYTES; i++)
        rig->body[i] = (uint8_t)(i * 7 + i / 251);
    rig->log = open(rig);
    return rig;
}

static void rig_free(struct rig *rig)
{
    sl_os_sim_abandon(rig->os);
    commit_log_free(rig->log);
    sl_loop_free(rig->loop);
    sl_os_free(rig->os);
    sl_sim_disk_free(rig->disk);
    free(rig->units);
    free(rig);
}

static void settle(struct rig *rig)
{
    for (uint32_t i = 0; i < 4000 && sl_os_sim_step(rig->os); i++)
        ;
}

static void on_durable(struct wal_unit *unit, sl_err err);

static struct rig_unit *unit_new(struct rig *rig, uint32_t body_size)
{
    cr_assert_lt(rig->unit_count, UNITS_MAX);
    struct rig_unit *self = &rig->units[rig->unit_count++];
    self->rig = rig;
    self->number = rig->unit_count;
    self->pieces[0] = (struct sl_iovec){rig->body, body_size / 3};
    self->pieces[1] = (struct sl_iovec){rig->body + body_size / 3, body_size - body_size / 3};
    self->item = (struct wal_item){.kind = body_size > 0 ? WAL_ITEM_BATCH : WAL_ITEM_OFFSET_COMMIT,
                                   .version = 1,
                                   .payload = sl_bytes_of(&self->number, 8),
                                   .body = self->pieces,
                                   .body_count = body_size > 0 ? 2 : 0,
                                   .body_size = body_size};
    self->unit = (struct wal_unit){.items = &self->item, .item_count = 1, .durable = on_durable};
    return self;
}

static sl_err submit(struct rig_unit *self)
{
    return commit_log_submit(self->rig->log, &self->unit);
}

static void on_durable(struct wal_unit *unit, sl_err err)
{
    struct rig_unit *self = SL_CONTAINER_OF(unit, struct rig_unit, unit);
    cr_assert_eq(self->end_order, 0, "called twice");
    self->err = err;
    self->end_order = ++self->rig->ended_count;
    if (self->again > 0) {
        struct rig_unit *more = unit_new(self->rig, 100);
        more->again = self->again - 1;
        cr_assert_eq(submit(more), SLUICE_OK);
    }
}

static struct rig_unit *commit(struct rig *rig, uint32_t body_size)
{
    struct rig_unit *self = unit_new(rig, body_size);
    cr_assert_eq(submit(self), SLUICE_OK);
    while (self->end_order == 0 && sl_os_sim_step(rig->os))
        ;
    cr_assert_neq(self->end_order, 0);
    cr_assert_eq(self->err, SLUICE_OK);
    return self;
}

static struct wal_status status(const struct rig *rig)
{
    struct wal_status status;
    commit_log_status(rig->log, &status);
    return status;
}

/* Until it is refused; what was refused stays the caller's. */
static sl_err fill(struct rig *rig, uint32_t body_size)
{
    for (;;) {
        struct rig_unit *self = unit_new(rig, body_size);
        sl_err err = submit(self);
        if (err != SLUICE_OK) {
            settle(rig);
            cr_assert_eq(self->end_order, 0, "a unit that was refused is not called");
            rig->unit_count--;
            return err;
        }
        settle(rig);
    }
}

static bool is_live(const struct rig *rig, uint64_t segment)
{
    struct wal_segment_status unused;
    return commit_log_segment_status(rig->log, segment, &unused);
}

/* clang-format off */
#define EACH_LOG(name)                                                                  \
    static void name(struct rig *rig);                                                  \
    Test(commit_log_disk, name)                                                         \
    {                                                                                   \
        struct rig *rig = rig_new(open_disk);                                           \
        name(rig);                                                                      \
        rig_free(rig);                                                                  \
    }                                                                                   \
    Test(commit_log_memory, name)                                                       \
    {                                                                                   \
        struct rig *rig = rig_new(open_memory);                                         \
        name(rig);                                                                      \
        rig_free(rig);                                                                  \
    }                                                                                   \
    static void name(struct rig *rig)
/* clang-format on */

/* ---- what holds for all ---- */

EACH_LOG(callbacks_come_later_in_the_order_of_submission)
{
    for (uint32_t i = 0; i < 60; i++) {
        struct rig_unit *unit = unit_new(rig, i * 40);
        cr_assert_eq(submit(unit), SLUICE_OK);
        cr_assert_eq(unit->end_order, 0, "not from within submit");
        if (i % 3 == 0)
            sl_os_sim_step(rig->os);
    }
    settle(rig);
    for (uint32_t i = 0; i < 60; i++) {
        cr_assert_eq(rig->units[i].end_order, i + 1);
        cr_assert_gt(rig->units[i].unit.lsn, 0);
        cr_assert(i == 0 || rig->units[i].unit.lsn >= rig->units[i - 1].unit.lsn);
        cr_assert(i == 0 || rig->units[i].unit.time_ms >= rig->units[i - 1].unit.time_ms);
    }
}

EACH_LOG(a_callback_may_submit_the_next)
{
    struct rig_unit *unit = unit_new(rig, 100);
    unit->again = 50;
    cr_assert_eq(submit(unit), SLUICE_OK);
    settle(rig);
    cr_assert_eq(rig->ended_count, 51);
}

EACH_LOG(a_body_reads_back_as_its_pieces_were_given)
{
    uint8_t bytes[BODY_BYTES];
    struct rig_unit *units[12];
    for (uint32_t i = 0; i < SL_COUNT_OF(units); i++)
        units[i] = commit(rig, 1 + i * 1500);
    for (uint32_t i = 0; i < SL_COUNT_OF(units); i++) {
        const struct wal_place *place = &units[i]->item.place;
        cr_assert_eq(place->size, 1 + i * 1500);
        cr_assert_eq(commit_log_read_cached(rig->log, place, bytes), SLUICE_OK);
        cr_assert_eq(memcmp(bytes, rig->body, place->size), 0);
        memset(bytes, 0, sizeof bytes);
        cr_assert(commit_log_pin(rig->log, place->segment));
        cr_assert_eq(commit_log_read(rig->log, place, bytes), SLUICE_OK);
        commit_log_unpin(rig->log, place->segment);
        cr_assert_eq(memcmp(bytes, rig->body, place->size), 0);
    }
}

EACH_LOG(part_of_a_body_reads_as_well)
{
    uint8_t bytes[100];
    struct wal_place place = commit(rig, 5000)->item.place;
    place.position += 1234;
    place.size = sizeof bytes;
    cr_assert_eq(commit_log_read_cached(rig->log, &place, bytes), SLUICE_OK);
    cr_assert_eq(memcmp(bytes, rig->body + 1234, sizeof bytes), 0);
}

EACH_LOG(a_unit_without_a_body_is_told_like_any_other)
{
    struct rig_unit *unit = commit(rig, 0);
    cr_assert_eq(unit->item.place.size, 0);
}

EACH_LOG(a_unit_of_several_items_has_a_place_for_each)
{
    uint8_t bytes[300];
    struct rig_unit *unit = unit_new(rig, 300);
    struct wal_item items[3] = {unit->item, unit_new(rig, 0)->item, unit->item};
    unit->unit.items = items;
    unit->unit.item_count = 3;
    cr_assert_eq(submit(unit), SLUICE_OK);
    settle(rig);
    cr_assert_eq(items[0].place.segment, items[2].place.segment);
    cr_assert_neq(items[0].place.position, items[2].place.position);
    cr_assert_eq(commit_log_read_cached(rig->log, &items[2].place, bytes), SLUICE_OK);
    cr_assert_eq(memcmp(bytes, rig->body, sizeof bytes), 0);
}

EACH_LOG(the_bound_refuses_and_release_makes_room_again)
{
    cr_assert_eq(fill(rig, BODY_BYTES), SLUICE_E_LOG_FULL);
    cr_assert_leq(status(rig).bytes_used, status(rig).bytes_max);
    struct rig_unit *refused = unit_new(rig, BODY_BYTES);
    cr_assert_eq(submit(refused), SLUICE_E_LOG_FULL);
    commit_log_release(rig->log, UINT64_MAX);
    settle(rig);
    cr_assert_eq(submit(refused), SLUICE_OK, "the same unit again");
    settle(rig);
    cr_assert_eq(refused->err, SLUICE_OK);
}

EACH_LOG(a_reserve_is_kept_for_what_must_go_on)
{
    cr_assert_eq(fill(rig, BODY_BYTES), SLUICE_E_LOG_FULL);
    struct rig_unit *offset = unit_new(rig, 0);
    offset->unit.reserve = true;
    cr_assert_eq(submit(offset), SLUICE_OK);
    settle(rig);
    cr_assert_eq(offset->err, SLUICE_OK);
}

EACH_LOG(a_unit_that_can_never_fit_is_refused)
{
    struct rig_unit *unit = unit_new(rig, 100);
    uint8_t *large = calloc(1, BYTES_MAX);
    struct sl_iovec piece = {large, BYTES_MAX};
    unit->item.body = &piece;
    unit->item.body_count = 1;
    unit->item.body_size = BYTES_MAX;
    cr_assert_eq(submit(unit), SLUICE_E_BATCH_TOO_LARGE);
    settle(rig);
    cr_assert_eq(unit->end_order, 0);
    free(large);
}

EACH_LOG(released_segments_are_gone_and_the_later_ones_stay)
{
    struct rig_unit *first = commit(rig, BODY_BYTES);
    while (status(rig).last_segment < first->item.place.segment + 3)
        commit(rig, BODY_BYTES);
    struct rig_unit *last = commit(rig, 100);
    uint8_t bytes[BODY_BYTES];
    commit_log_release(rig->log, first->item.place.segment + 2);
    fill(rig, BODY_BYTES); /* presses */
    settle(rig);
    cr_assert_not(is_live(rig, first->item.place.segment));
    cr_assert_not(commit_log_pin(rig->log, first->item.place.segment));
    cr_assert_eq(commit_log_read_cached(rig->log, &first->item.place, bytes), SLUICE_E_NOT_FOUND);
    cr_assert(is_live(rig, first->item.place.segment + 2));
    cr_assert_eq(commit_log_read_cached(rig->log, &last->item.place, bytes), SLUICE_OK);
    cr_assert_eq(status(rig).first_segment, first->item.place.segment + 2);
}

EACH_LOG(a_pinned_segment_stays_until_it_is_let_go)
{
    uint8_t bytes[BODY_BYTES];
    struct rig_unit *first = commit(rig, BODY_BYTES);
    uint64_t segment = first->item.place.segment;
    while (status(rig).last_segment < segment + 3)
        commit(rig, BODY_BYTES);
    cr_assert(commit_log_pin(rig->log, segment));
    cr_assert(commit_log_pin(rig->log, segment));
    commit_log_release(rig->log, UINT64_MAX);
    fill(rig, BODY_BYTES);
    commit_log_unpin(rig->log, segment);
    settle(rig);
    cr_assert_eq(commit_log_read(rig->log, &first->item.place, bytes), SLUICE_OK);
    cr_assert_eq(memcmp(bytes, rig->body, BODY_BYTES), 0);
    commit_log_unpin(rig->log, segment);
    commit_log_release(rig->log, UINT64_MAX);
    settle(rig);
    cr_assert_not(is_live(rig, segment));
}

EACH_LOG(nothing_is_released_whose_callback_has_not_run)
{
    struct rig_unit *units[12];
    uint8_t bytes[BODY_BYTES];
    for (uint32_t i = 0; i < SL_COUNT_OF(units); i++) {
        units[i] = unit_new(rig, BODY_BYTES);
        cr_assert_eq(submit(units[i]), SLUICE_OK);
    }
    commit_log_release(rig->log, UINT64_MAX); /* of what was told: nothing */
    settle(rig);
    for (uint32_t i = 0; i < SL_COUNT_OF(units); i++)
        cr_assert_eq(commit_log_read_cached(rig->log, &units[i]->item.place, bytes), SLUICE_OK);
}

EACH_LOG(its_status_says_what_is_there)
{
    struct wal_status before = status(rig);
    cr_assert_eq(before.bytes_max, BYTES_MAX);
    cr_assert_eq(before.pending_units, 0);
    struct rig_unit *unit = unit_new(rig, BODY_BYTES);
    cr_assert_eq(submit(unit), SLUICE_OK);
    cr_assert_eq(status(rig).pending_units, 1);
    cr_assert_geq(status(rig).pending_bytes, BODY_BYTES);
    settle(rig);
    struct wal_status after = status(rig);
    cr_assert_eq(after.pending_units, 0);
    cr_assert_eq(after.pending_bytes, 0);
    cr_assert_geq(after.bytes_used, BODY_BYTES);
    cr_assert_geq(after.durable_lsn, unit->unit.lsn);
    cr_assert_geq(after.last_lsn, after.durable_lsn);
    cr_assert_gt(after.frames, before.frames);
    cr_assert_geq(after.last_segment, unit->item.place.segment);
    cr_assert_gt(after.segment_count, 0);
    cr_assert_geq(after.epoch, 1);
    cr_assert_not(after.fenced);
    struct wal_segment_status segment;
    cr_assert(commit_log_segment_status(rig->log, unit->item.place.segment, &segment));
    cr_assert_geq(segment.bytes, BODY_BYTES);
    cr_assert_gt(segment.created_ms, 0);
}

static void on_closed(void *arg)
{
    ((struct rig *)arg)->is_closed = true;
}

EACH_LOG(close_ends_what_is_pending_and_takes_nothing_more)
{
    struct rig_unit *unit = unit_new(rig, 100);
    cr_assert_eq(submit(unit), SLUICE_OK);
    commit_log_close(rig->log, on_closed, rig);
    cr_assert_not(rig->is_closed, "in a task of its own");
    cr_assert_eq(submit(unit_new(rig, 100)), SLUICE_E_STOPPING);
    settle(rig);
    cr_assert(rig->is_closed);
    cr_assert_eq(unit->err, SLUICE_OK);
    cr_assert_eq(unit->end_order, 1);
}

EACH_LOG(much_more_than_the_bound_goes_through_it)
{
    for (uint32_t i = 0; i < 400; i++) {
        struct rig_unit *unit = commit(rig, 16000);
        commit_log_release(rig->log, unit->item.place.segment);
        rig->unit_count--;
        *unit = (struct rig_unit){0};
        settle(rig);
    }
    cr_assert_leq(status(rig).bytes_used, BYTES_MAX);
}

/* ---- what only the log in memory does ---- */

Test(commit_log_memory, a_body_moves_out_of_a_segment_that_is_released)
{
    struct rig *rig = rig_new(open_memory);
    struct rig_unit *unit = commit(rig, 5000);
    while (status(rig).last_segment == unit->item.place.segment)
        commit(rig, BODY_BYTES);
    struct wal_place moved;
    uint8_t bytes[5000];
    cr_assert_eq(memory_log_move(rig->log, &unit->item.place, &moved), SLUICE_OK);
    cr_assert_neq(moved.segment, unit->item.place.segment);
    commit_log_release(rig->log, status(rig).last_segment);
    cr_assert_not(is_live(rig, unit->item.place.segment));
    cr_assert_eq(commit_log_read_cached(rig->log, &moved, bytes), SLUICE_OK);
    cr_assert_eq(memcmp(bytes, rig->body, sizeof bytes), 0);
    rig_free(rig);
}

Test(commit_log_memory, limits_that_contradict_each_other_are_refused)
{
    struct memory_log_config config = {.bytes_max = 1000};
    struct commit_log *log = NULL;
    cr_assert_eq(memory_log_open(&config, &log), SLUICE_E_INVALID);
    config = (struct memory_log_config){.bytes_max = BYTES_MAX, .segment_bytes = BYTES_MAX};
    cr_assert_eq(memory_log_open(&config, &log), SLUICE_E_INVALID);
}
