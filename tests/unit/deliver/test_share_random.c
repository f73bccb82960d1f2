/* test_share_random.c: the window of a group that shares a stream against a model that has a row
 * for each record, by seed, in virtual time, with crashes: after each step both agree on every
 * record, and what the log says comes to what the window would write down whole. Nothing
 * acknowledged is delivered again, nothing is lost, nothing is delivered more often than it may be.
 */
#include "base/bytes.h"
#include "deliver/share_item.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define RECORDS        600
#define OWNERS         4
#define STEPS          1500
#define SEEDS          60
#define DELIVERIES_MAX 4
#define IN_FLIGHT_MAX  80

struct row {
    bool exists; /* the log has a record there */
    uint8_t state;
    uint64_t owner;
    int64_t until_ms;
    uint32_t deliveries;
    uint32_t kept; /* deliveries that survive a crash */
    bool done;     /* acknowledged, durably */
    uint32_t seen; /* deliveries ever, but those that a crash or the owner's end made undone */
};

struct world {
    struct share_window window;
    struct share_rules rules;
    struct row rows[RECORDS];
    int64_t end; /* of the log */
    int64_t log_start;
    int64_t now_ms;
    uint64_t random;
    struct sl_buffer log; /* items, each behind its size */
    size_t item_at;
};

static uint32_t roll(struct world *world, uint32_t sides)
{
    world->random += 0x9e3779b97f4a7c15u;
    uint64_t z = world->random;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ (z >> 31)) % sides);
}

/* ---- the log ---- */

static void item_begin(struct world *world, bool replaces)
{
    const struct share_item item = {
        .group = sl_bytes_of_text("group"), .replaces = replaces, .start = world->window.start};
    uint8_t size[8] = {0};
    if (replaces) {
        sl_buffer_reset(&world->log);
    }
    cr_assert_eq(sl_buffer_append(&world->log, size, sizeof(size)), SLUICE_OK);
    world->item_at = world->log.size;
    cr_assert_eq(share_item_begin(&item, &world->log), SLUICE_OK);
}

static void item_range(void *arg, const struct share_range *range)
{
    struct world *world = arg;
    cr_assert_eq(share_item_add(&world->log, world->item_at, range), SLUICE_OK);
}

static void item_end(struct world *world)
{
    sl_le64_store(world->log.data + world->item_at - 8, world->log.size - world->item_at);
}

static void log_change(struct world *world, int64_t first, int64_t last)
{
    item_begin(world, false);
    share_window_describe(&world->window, first, last, item_range, world);
    item_end(world);
}

static void replay(const struct world *world, struct share_window *ret_window)
{
    share_window_init(ret_window, 0);
    for (size_t at = 0; at < world->log.size;) {
        size_t size = sl_le64_load(world->log.data + at);
        struct share_item item;
        struct sl_bytes payload = {world->log.data + at + 8, size};
        cr_assert_eq(share_item_decode(1, payload, &item), SLUICE_OK);
        if (item.replaces) {
            share_window_reset(ret_window, item.start);
        }
        share_window_raise(ret_window, item.start);
        for (uint32_t i = 0; i < item.range_count; i++) {
            struct share_range range = share_item_range(&item, i);
            cr_assert_eq(share_window_restore(ret_window, &range), SLUICE_OK);
        }
        at += 8 + size;
    }
    share_window_verify(ret_window);
}

/* ---- the model ---- */

static void row_end(struct world *world, struct row *row, bool rejected)
{
    bool is_dead = rejected || row->deliveries >= DELIVERIES_MAX;
    row->state = !is_dead                    ? SHARE_AVAILABLE
                 : world->rules.dead_letters ? SHARE_DOOMED
                                             : SHARE_ARCHIVED;
    row->owner = 0;
    row->kept = row->deliveries;
}

static void row_settle(struct world *world, struct row *row, int8_t type)
{
    cr_assert_eq(row->state, SHARE_ACQUIRED);
    switch (type) {
    case SHARE_ACK_RENEW:
        row->until_ms = world->now_ms + 700;
        break;
    case SHARE_ACK_RELEASE:
    case SHARE_ACK_REJECT:
        row_end(world, row, type == SHARE_ACK_REJECT);
        break;
    default:
        row->state = type == SHARE_ACK_GAP ? SHARE_ARCHIVED : SHARE_ACKNOWLEDGED;
        row->done = type == SHARE_ACK_ACCEPT;
        row->owner = 0;
        break;
    }
}

static void compare(const struct world *world)
{
    share_window_verify(&world->window);
    cr_assert_leq(world->window.in_flight, IN_FLIGHT_MAX);
    for (int64_t i = 0; i < RECORDS; i++) {
        const struct row *row = &world->rows[i];
        if (i < world->window.start) {
            cr_assert(i < world->log_start || share_state_is_final(row->state),
                      "record %d is behind the start and in state %d", (int)i, row->state);
            continue;
        }
        struct share_range run = share_window_run(&world->window, i, i);
        cr_assert_eq(run.state, row->state, "record %d: %d, model %d", (int)i, run.state,
                     row->state);
        bool counts = row->state == SHARE_AVAILABLE || row->state == SHARE_ACQUIRED;
        cr_assert(!counts || run.deliveries == row->deliveries);
        cr_assert(run.state != SHARE_ACQUIRED ||
                  (run.owner == row->owner && run.at_ms == row->until_ms));
    }
}

static void write_range(void *arg, const struct share_range *range)
{
    uint32_t *written = arg;
    for (int64_t i = range->first; i <= range->last; i++) {
        written[i] = range->deliveries * 8u + range->state;
    }
}

/* What the log comes to is what the window would write down. */
static void compare_log(struct world *world)
{
    static uint32_t live[RECORDS], logged[RECORDS];
    struct share_window again;
    memset(live, 0, sizeof(live));
    memset(logged, 0, sizeof(logged));
    replay(world, &again);
    cr_assert_leq(again.start, world->window.start);
    share_window_raise(&again, world->window.start);
    share_window_describe(&world->window, 0, SHARE_NEVER, write_range, live);
    share_window_describe(&again, 0, SHARE_NEVER, write_range, logged);
    for (int64_t i = world->window.start; i < RECORDS; i++) {
        cr_assert_eq(live[i], logged[i], "record %d: %u, in the log %u", (int)i, live[i],
                     logged[i]);
    }
    share_window_fini(&again);
}

/* ---- steps ---- */

static void step_produce(struct world *world)
{
    world->end = SL_MIN(world->end + (int64_t)roll(world, 20), RECORDS);
}

/* Takes one log batch, or a few, from the next offset on. */
static void step_acquire(struct world *world)
{
    uint64_t owner = 1 + roll(world, OWNERS);
    struct share_ask ask = {.owner = owner,
                            .now_ms = world->now_ms,
                            .until_ms = world->now_ms + 300 + (int64_t)roll(world, 400),
                            .deliveries_max = DELIVERIES_MAX,
                            .in_flight_max = IN_FLIGHT_MAX,
                            .records_max = 1 + roll(world, 30)};
    int64_t first = share_window_next(&world->window, world->now_ms, DELIVERIES_MAX, IN_FLIGHT_MAX);
    if (first >= world->end) {
        return;
    }
    int64_t last = SL_MIN(first + (int64_t)roll(world, 25), world->end - 1);
    for (int64_t i = first; i <= last; i++) { /* the log has no record: seen when it is read */
        struct row *row = &world->rows[i];
        if (!row->exists) {
            cr_assert_eq(share_window_skip(&world->window, i, i), SLUICE_OK);
            row->state = row->state == SHARE_AVAILABLE ? SHARE_GAP : row->state;
        }
    }
    struct share_range ranges[8];
    uint32_t count = 0;
    int64_t taken = share_window_acquire(&world->window, &ask, first, last, ranges, 8, &count);
    cr_assert_geq(taken, 0);
    cr_assert_leq(taken, ask.records_max);
    for (uint32_t i = 0; i < count; i++) {
        for (int64_t at = ranges[i].first; at <= ranges[i].last; at++) {
            struct row *row = &world->rows[at];
            cr_assert_eq(row->state, SHARE_AVAILABLE, "only what is available is delivered");
            cr_assert(!row->done, "record %d was acknowledged and comes again", (int)at);
            row->state = SHARE_ACQUIRED;
            row->owner = owner;
            row->until_ms = ask.until_ms;
            row->deliveries++;
            row->seen++;
            cr_assert_eq(row->deliveries, ranges[i].deliveries);
            cr_assert_leq(row->seen, DELIVERIES_MAX);
            taken--;
        }
    }
    cr_assert_eq(taken, 0);
}

static int8_t some_type(struct world *world)
{
    static const int8_t types[] = {1, 1, 1, 1, 1, 2, 2, 3, 4, 0};
    return types[roll(world, sizeof(types))];
}

static bool may_settle(const struct world *world, uint64_t owner, int64_t first, int64_t last)
{
    for (int64_t i = SL_MAX(first, world->window.start); i <= last; i++) {
        const struct row *row = &world->rows[i];
        if (row->state != SHARE_ACQUIRED || row->owner != owner) {
            return false;
        }
    }
    return last >= world->window.start;
}

static void step_settle(struct world *world)
{
    uint64_t owner = 1 + roll(world, OWNERS);
    int64_t first = SL_MAX((int64_t)0, world->window.start - 3) + roll(world, 60);
    int8_t types[12];
    uint32_t length = 1 + roll(world, 12);
    if (roll(world, 3) > 0) { /* mostly something that it holds */
        while (first < RECORDS - 1 && world->rows[first].owner != owner) {
            first++;
        }
    }
    int64_t last = SL_MIN(first + length - 1, RECORDS - 1);
    while (last > first && roll(world, 4) > 0 && !may_settle(world, owner, first, last)) {
        last--;
    }
    bool one = roll(world, 2) == 0;
    for (uint32_t i = 0; i < length; i++) {
        types[i] = i == 0 || !one ? some_type(world) : types[0];
    }
    if (first > last) {
        return;
    }
    const struct share_ack ack = {first, last, types, one ? 1u : (uint32_t)(last - first + 1)};
    sl_err err = share_window_check(&world->window, owner, &ack);
    cr_assert_eq(err == SLUICE_OK, may_settle(world, owner, first, last));
    if (err == SLUICE_OK) {
        int64_t start = SL_MAX(first, world->window.start);
        cr_assert_eq(share_window_acknowledge(&world->window, &ack, &world->rules, world->now_ms,
                                              world->now_ms + 700),
                     SLUICE_OK);
        for (int64_t i = start; i <= last; i++) {
            row_settle(world, &world->rows[i], types[one ? 0 : i - first]);
        }
        log_change(world, first, last);
    }
}

struct changes {
    int64_t first[IN_FLIGHT_MAX];
    int64_t last[IN_FLIGHT_MAX];
    uint32_t count;
};

static void note_change(void *arg, int64_t first, int64_t last)
{
    struct changes *changes = arg;
    changes->first[changes->count] = first;
    changes->last[changes->count++] = last;
}

static void log_changes(struct world *world, const struct changes *changes)
{
    if (changes->count == 0) {
        return;
    }
    item_begin(world, false);
    for (uint32_t i = 0; i < changes->count; i++) {
        share_window_describe(&world->window, changes->first[i], changes->last[i], item_range,
                              world);
    }
    item_end(world);
}

static void step_time(struct world *world)
{
    struct changes changes = {.count = 0};
    world->now_ms += (int64_t)roll(world, 200);
    uint32_t expired =
        share_window_expire(&world->window, &world->rules, world->now_ms, note_change, &changes);
    for (int64_t i = 0; i < RECORDS; i++) {
        struct row *row = &world->rows[i];
        if (row->state == SHARE_ACQUIRED && row->until_ms <= world->now_ms) {
            row_end(world, row, false);
            expired--;
        }
    }
    cr_assert_eq(expired, 0);
    log_changes(world, &changes);
}

static void step_abandon(struct world *world)
{
    struct changes changes = {.count = 0};
    uint64_t owner = 1 + roll(world, OWNERS);
    (void)share_window_abandon(&world->window, owner, note_change, &changes);
    for (int64_t i = 0; i < RECORDS; i++) {
        struct row *row = &world->rows[i];
        if (row->state == SHARE_ACQUIRED && row->owner == owner) {
            row->state = SHARE_AVAILABLE;
            row->owner = 0;
            row->deliveries--;
            row->seen--;
        }
    }
}

static void step_bury(struct world *world)
{
    struct share_range doomed;
    if (!share_window_doomed(&world->window, 0, &doomed)) {
        return;
    }
    doomed.first += roll(world, (uint32_t)(doomed.last - doomed.first + 1));
    cr_assert_eq(share_window_bury(&world->window, doomed.first, doomed.last), SLUICE_OK);
    for (int64_t i = doomed.first; i <= doomed.last; i++) {
        world->rows[i].state = SHARE_ARCHIVED;
    }
    log_change(world, doomed.first, doomed.last);
}

static void step_crash(struct world *world)
{
    struct changes changes = {.count = 0};
    share_window_fini(&world->window);
    replay(world, &world->window);
    share_window_raise(&world->window, world->log_start);
    for (int64_t i = 0; i < RECORDS; i++) {
        struct row *row = &world->rows[i];
        bool was_done = row->state == SHARE_ACKNOWLEDGED || row->state == SHARE_ARCHIVED;
        bool is_kept = was_done || row->state == SHARE_DOOMED;
        row->state = is_kept ? row->state : SHARE_AVAILABLE;
        row->seen -= row->deliveries - row->kept;
        row->deliveries = row->kept;
        row->owner = 0;
        if (i < world->window.start && !was_done) { /* a gap that the log has passed */
            row->state = SHARE_GAP;
        }
    }
    (void)share_window_condemn(&world->window, &world->rules, note_change, &changes);
    for (int64_t i = world->window.start; i < RECORDS; i++) {
        struct row *row = &world->rows[i];
        if (row->state == SHARE_AVAILABLE && row->deliveries >= DELIVERIES_MAX) {
            row_end(world, row, true);
        }
    }
    log_changes(world, &changes);
}

static void step_snapshot(struct world *world)
{
    item_begin(world, true);
    share_window_describe(&world->window, 0, SHARE_NEVER, item_range, world);
    item_end(world);
}

static void step_retention(struct world *world)
{
    int64_t most = SL_MIN(world->end, world->log_start + (int64_t)roll(world, 12));
    world->log_start = SL_MAX(most, world->log_start);
    share_window_raise(&world->window, world->log_start);
    for (int64_t i = 0; i < world->log_start; i++) {
        world->rows[i].state =
            share_state_is_final(world->rows[i].state) ? world->rows[i].state : SHARE_GAP;
        world->rows[i].owner = 0;
    }
}

static void step(struct world *world)
{
    uint32_t dice = roll(world, 1000);
    if (dice < 60) {
        step_produce(world);
    } else if (dice < 330) {
        step_acquire(world);
    } else if (dice < 800) {
        step_settle(world);
    } else if (dice < 880) {
        step_time(world);
    } else if (dice < 910) {
        step_abandon(world);
    } else if (dice < 960) {
        step_bury(world);
    } else if (dice < 975) {
        step_crash(world);
    } else if (dice < 985) {
        step_snapshot(world);
    } else if (dice < 990) {
        step_retention(world);
    }
}

/* Whoever is left takes and accepts what there is: then all is done. */
static void drain(struct world *world)
{
    world->end = RECORDS;
    world->now_ms += 10000;
    struct changes changes = {.count = 0};
    (void)share_window_expire(&world->window, &world->rules, world->now_ms, note_change, &changes);
    for (int guard = 0; world->window.start < RECORDS; guard++) {
        cr_assert_lt(guard, 10 * RECORDS, "record %d is stuck", (int)world->window.start);
        struct share_range doomed, ranges[8];
        uint32_t count = 0;
        while (share_window_doomed(&world->window, 0, &doomed)) {
            cr_assert_eq(share_window_bury(&world->window, doomed.first, doomed.last), SLUICE_OK);
        }
        const struct share_ask ask = {.owner = 9,
                                      .now_ms = world->now_ms,
                                      .until_ms = world->now_ms + 1,
                                      .deliveries_max = DELIVERIES_MAX,
                                      .in_flight_max = IN_FLIGHT_MAX,
                                      .records_max = 100};
        (void)share_window_acquire(&world->window, &ask, 0, RECORDS - 1, ranges, 8, &count);
        for (uint32_t i = 0; i < count; i++) {
            const struct share_ack ack = {ranges[i].first, ranges[i].last, (const int8_t[]){1}, 1};
            for (int64_t at = ranges[i].first; at <= ranges[i].last; at++) {
                cr_assert(!world->rows[at].done, "record %d comes again at the end", (int)at);
            }
            cr_assert_eq(share_window_check(&world->window, 9, &ack), SLUICE_OK);
            cr_assert_eq(share_window_acknowledge(&world->window, &ack, &world->rules, 0, 0),
                         SLUICE_OK);
        }
    }
}

Test(share_random, agrees_with_a_model_whatever_happens)
{
    static struct world world;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        fprintf(stderr, "share_random: seed %llu\n", (unsigned long long)seed);
        memset(&world, 0, sizeof(world));
        world.random = seed;
        world.rules =
            (struct share_rules){.deliveries_max = DELIVERIES_MAX, .dead_letters = seed % 2 == 0};
        share_window_init(&world.window, 0);
        sl_buffer_init(&world.log, 64u << 20);
        for (int64_t i = 0; i < RECORDS; i++) {
            world.rows[i].exists = roll(&world, 10) > 0;
        }
        for (uint32_t i = 0; i < STEPS; i++) {
            step(&world);
            compare(&world);
            if (i % 10 == 0) {
                compare_log(&world);
            }
        }
        drain(&world);
        share_window_fini(&world.window);
        sl_buffer_fini(&world.log);
    }
}
