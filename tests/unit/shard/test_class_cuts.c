/* test_class_cuts.c: topics of each durability class side by side, while the power goes, by seed:
 * nothing that was acknowledged is lost of fsync, of os a prefix stays in its order, offsets of
 * memory never go back, and epochs rise. */
#include "shard_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW       INT64_C(1700000000000)
#define CLASSES   3
#define HISTORIES 300
#define CUTS      3
#define SENT_MAX  400
#define AT_ONCE   6

static const char *const names[CLASSES] = {"fsync", "os", "memory"};

/* Batches of one record each, known by their timestamps. */
struct history {
    int64_t sent[SENT_MAX]; /* by offset */
    int32_t count;          /* sent; the log holds a prefix */
    int32_t acknowledged;   /* so many from the start */
    int64_t highest;        /* offset that was acknowledged; in memory never given again */
    int32_t epoch;          /* of the last record seen */
};

static struct fixture f;
static struct history histories[CLASSES];
static uint64_t seed;
static int64_t clock_ms;

static uint32_t draw(uint32_t bound)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % bound;
}

struct flight {
    struct produced produced;
    uint8_t bytes[256];
    int class;
    int64_t timestamp;
};

static void send(struct flight *flight, int class)
{
    *flight = (struct flight){.class = class, .timestamp = ++clock_ms};
    size_t size = fixture_batch(flight->bytes, sizeof(flight->bytes), 1, clock_ms, -1, -1, -1);
    struct history *history = &histories[class];
    if (class != 2) {
        history->sent[history->count++] = clock_ms;
    }
    fixture_produce_start(&f, names[class], 0, (struct sluice_bytes){flight->bytes, size},
                          &flight->produced);
}

static void take(const struct flight *flight)
{
    struct history *history = &histories[flight->class];
    int64_t offset = flight->produced.result.base_offset;
    if (!flight->produced.done || flight->produced.result.status != SLUICE_OK) {
        return;
    }
    if (flight->class == 2) {
        cr_assert_gt(offset, history->highest, "an offset of memory was given again");
    } else {
        cr_assert_eq(history->sent[offset], flight->timestamp, "%s: another record at %lld",
                     names[flight->class], (long long)offset);
        history->acknowledged = SL_MAX(history->acknowledged, (int32_t)offset + 1);
    }
    history->highest = SL_MAX(history->highest, offset);
}

static void work(void)
{
    static struct flight flights[AT_ONCE];
    uint32_t rounds = 1 + draw(8);
    for (uint32_t i = 0; i < rounds && !sl_os_sim_power_is_off(f.os); i++) {
        uint32_t count = 1 + draw(AT_ONCE);
        for (uint32_t k = 0; k < count; k++) {
            send(&flights[k], (int)draw(CLASSES));
        }
        for (uint32_t k = 0; k < count; k++) {
            fixture_run_until(&f, &flights[k].produced.done);
            take(&flights[k]);
        }
    }
    for (uint32_t i = draw(200); i > 0; i--) {
        sl_os_sim_step(f.os); /* time for a sync, or not */
    }
}

/* What is there is a prefix of what was sent; what is gone was never sent. */
static void judge_stored(int class, uint64_t which)
{
    static struct fetched fetched;
    struct history *history = &histories[class];
    int64_t end = fixture_offset(&f, names[class], 0, SLUICE_TIME_LATEST).offset;
    cr_assert_leq(end, history->count, "seed %llu", (unsigned long long)which);
    cr_assert(class != 0 || end >= history->acknowledged, "seed %llu: acknowledged and lost",
              (unsigned long long)which);
    int32_t epoch = 0;
    for (int64_t at = 0; at < end; at = fetched.next_offset) {
        fixture_fetch(&f, names[class], 0, at, &fetched);
        cr_assert_eq(fetched.result.status, SLUICE_OK);
        cr_assert_eq(fetched.first_offset, at);
        struct sl_bytes rest = {fetched.bytes, (size_t)fetched.result.records.size};
        while (rest.size > 0) {
            struct batch_view view;
            cr_assert_eq(batch_view_init(&view, rest), SLUICE_OK);
            int64_t offset = batch_view_base_offset(&view);
            cr_assert_eq(batch_view_max_timestamp(&view), history->sent[offset],
                         "seed %llu, %s: a ghost at %lld", (unsigned long long)which, names[class],
                         (long long)offset);
            cr_assert_geq(batch_view_leader_epoch(&view), epoch, "epochs rise");
            epoch = batch_view_leader_epoch(&view);
            rest = (struct sl_bytes){rest.data + view.size, rest.size - view.size};
        }
    }
    history->count = history->acknowledged = (int32_t)end;
    cr_assert_gt(shard_epoch(fixture_home(&f)), epoch, "a client that read on notices");
}

static void judge_memory(uint64_t which)
{
    int64_t start = fixture_offset(&f, "memory", 0, SLUICE_TIME_EARLIEST).offset;
    int64_t end = fixture_offset(&f, "memory", 0, SLUICE_TIME_LATEST).offset;
    cr_assert_eq(start, end, "seed %llu", (unsigned long long)which);
    cr_assert_gt(end, histories[2].highest, "seed %llu: offsets go back",
                 (unsigned long long)which);
}

static void history_run(uint64_t which)
{
    seed = which;
    memset(histories, 0, sizeof(histories));
    histories[2].highest = -1;
    clock_ms = NOW;
    fixture_open(&f, which, 1);
    for (int i = 0; i < CLASSES; i++) {
        fixture_create_topic(&f, names[i], 1, "sluice.durability", names[i]);
    }
    for (int i = 0; i < CUTS; i++) {
        f.faults.power_cut_after = 0;
        fixture_restart(&f, true);
        judge_stored(0, which);
        judge_stored(1, which);
        judge_memory(which);
        work();
    }
    fixture_restart(&f, true);
    judge_stored(0, which);
    judge_stored(1, which);
    judge_memory(which);
    fixture_close(&f);
}

Test(class_cuts, each_class_keeps_what_it_promises_whenever_the_power_goes, .timeout = 300)
{
    const char *first = getenv("SLUICE_SEED");
    uint64_t from = first != NULL ? strtoull(first, NULL, 10) : 1;
    printf("seed %llu, %d histories of %d power cuts\n", (unsigned long long)from, HISTORIES, CUTS);
    for (uint64_t i = 0; i < HISTORIES; i++) {
        history_run(from + i);
    }
}

/* The end of an os topic is lost; a reader that saw it is told where (KIP-320). */
Test(class_cuts, a_reader_of_what_was_lost_is_told_where_the_epoch_ends)
{
    static struct fetched fetched;
    int64_t end = 0;
    for (uint64_t which = 1; which < 200; which++) {
        fixture_open(&f, which, 1);
        fixture_create_topic(&f, "t", 1, "sluice.durability", "os");
        for (int i = 0; i < 10; i++) {
            cr_assert_eq(fixture_produce(&f, "t", 0, 1, NOW).status, SLUICE_OK);
        }
        fixture_restart(&f, true);
        end = fixture_offset(&f, "t", 0, SLUICE_TIME_LATEST).offset;
        if (end > 0 && end < 10) {
            break;
        }
        fixture_close(&f);
    }
    cr_assert(end > 0 && end < 10, "no cut took a part");
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(fixture_produce(&f, "t", 0, 1, NOW).status, SLUICE_OK);
    }
    fixture_fetch_after(&f, "t", 10, 1, &fetched);
    cr_assert_eq(fetched.result.status, SLUICE_OK);
    cr_assert_eq(fetched.records, 0);
    cr_assert_eq(fetched.result.diverging_epoch, 1);
    cr_assert_eq(fetched.result.diverging_end_offset, end);
    fixture_fetch_after(&f, "t", end, 1, &fetched);
    cr_assert_eq(fetched.result.diverging_epoch, 0, "up to there it is the same log");
    cr_assert_gt(fetched.records, 0);
    fixture_close(&f);
}
