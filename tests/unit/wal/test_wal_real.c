/* test_wal_real.c: the log over the real system: threads, files, timers. */
#include "os/os_uv.h"
#include "wal/wal.h"

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNITS 2000u
#define BODY  700u

struct real {
    struct sl_os *os;
    struct sl_loop *loop;
    struct wal *wal;
    struct wal_unit units[UNITS];
    struct wal_item items[UNITS];
    struct sl_iovec pieces[UNITS];
    uint64_t numbers[UNITS];
    uint8_t body[BODY];
    struct sl_task next;
    uint32_t submitted;
    uint32_t durable;
    uint64_t applied;
    bool in_order;
};

static struct real real;

static sl_err on_apply(void *arg, uint64_t lsn, uint16_t kind, uint8_t version,
                       struct sl_bytes payload, const struct wal_place *place)
{
    (void)arg;
    (void)lsn;
    (void)version;
    if (kind != WAL_ITEM_BATCH)
        return SLUICE_OK;
    real.in_order = real.in_order && sl_le64_load(payload.data) == real.applied;
    real.in_order = real.in_order && place->size == BODY;
    real.applied++;
    return SLUICE_OK;
}

static sl_err on_snapshot(void *arg, bool begins, wal_add_fn *add, void *add_arg, bool *ret_done)
{
    (void)arg;
    (void)begins;
    *ret_done = true;
    return add(add_arg, WAL_ITEM_STAGE_POSITION, 1, sl_bytes_of(&real.durable, 4));
}

static const struct wal_events events = {.apply = on_apply, .snapshot = on_snapshot};

static void real_open(const char *directory)
{
    struct wal_recovery recovery;
    const struct wal_limits limits = {.segment_bytes = 256 * 1024,
                                      .bytes_max = 64 << 20,
                                      .group_bytes_max = 64 * 1024,
                                      .frame_bytes_max = 128 * 1024,
                                      .spare_segments = 2,
                                      .idle_mark_ms = 5};
    cr_assert_eq(sl_os_uv_new(2, &real.os), SLUICE_OK);
    cr_assert_eq(sl_loop_new(real.os, "wal", -1, &real.loop), SLUICE_OK);
    const struct wal_config config = {.os = real.os,
                                      .loop = real.loop,
                                      .directory = directory,
                                      .limits = limits,
                                      .events = &events};
    real.applied = 0;
    real.in_order = true;
    sl_err err = wal_open(&config, &recovery, &real.wal);
    cr_assert_eq(err, SLUICE_OK, "%d: %s", err, recovery.problem);
}

static void on_closed(void *arg)
{
    (void)arg;
    sl_loop_stop(real.loop);
}

static void on_durable(struct wal_unit *unit, sl_err err)
{
    cr_assert_eq(err, SLUICE_OK);
    cr_assert_eq(unit, &real.units[real.durable]);
    real.durable++;
    if (real.durable == UNITS)
        wal_close(real.wal, on_closed, NULL);
}

/* Some units a turn, so that groups of all sizes are formed. */
static void submit_next(struct sl_task *task)
{
    uint32_t end = SL_MIN(real.submitted + 1 + real.submitted % 37, UNITS);
    for (; real.submitted < end; real.submitted++) {
        uint32_t i = real.submitted;
        real.numbers[i] = i;
        real.pieces[i] = (struct sl_iovec){real.body, BODY};
        real.items[i] = (struct wal_item){.kind = WAL_ITEM_BATCH,
                                          .version = 1,
                                          .payload = sl_bytes_of(&real.numbers[i], 8),
                                          .body = &real.pieces[i],
                                          .body_count = 1,
                                          .body_size = BODY};
        real.units[i] =
            (struct wal_unit){.items = &real.items[i], .item_count = 1, .durable = on_durable};
        cr_assert_eq(wal_submit(real.wal, &real.units[i]), SLUICE_OK);
    }
    if (real.submitted < UNITS)
        sl_loop_post(real.loop, task);
}

static void real_close(void)
{
    real.wal = wal_free(real.wal);
    sl_loop_free(real.loop);
    sl_os_free(real.os);
}

Test(wal_real, two_thousand_units_come_back_in_order_after_a_close)
{
    char directory[] = "/tmp/test-wal-XXXXXX";
    cr_assert_not_null(mkdtemp(directory));
    real_open(directory);
    real.next = (struct sl_task){.run = submit_next, .priority = SL_PRIORITY_IO};
    sl_loop_post(real.loop, &real.next);
    sl_loop_run(real.loop);
    cr_assert_eq(real.durable, UNITS);
    real_close();
    real_open(directory);
    cr_assert_eq(real.applied, UNITS);
    cr_assert(real.in_order);
    wal_close(real.wal, on_closed, NULL);
    sl_loop_run(real.loop);
    real_close();
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    cr_assert_eq(system(command), 0);
}
