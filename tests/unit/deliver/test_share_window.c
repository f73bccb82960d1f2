/* test_share_window.c: one stream × group: what each call does, and what is written down of it. */
#include "base/bytes.h"
#include "deliver/share_item.h"
#include "deliver/share_window.h"

#include <criterion/criterion.h>

#define ANN 11u
#define BOB 22u

static struct share_window window;
static const struct share_rules plain = {.deliveries_max = 3};
static const struct share_rules letters = {.deliveries_max = 3, .dead_letters = true};

static void setup(void)
{
    share_window_init(&window, 100);
}

static void teardown(void)
{
    share_window_verify(&window);
    share_window_fini(&window);
}

TestSuite(share_window, .init = setup, .fini = teardown);

static int64_t acquire_up_to(uint64_t owner, int64_t first, int64_t last, int64_t now_ms,
                             uint32_t records_max)
{
    struct share_range ranges[16];
    uint32_t count = 0;
    const struct share_ask ask = {.owner = owner,
                                  .now_ms = now_ms,
                                  .until_ms = now_ms + 1000,
                                  .deliveries_max = 3,
                                  .in_flight_max = 50,
                                  .records_max = records_max};
    return share_window_acquire(&window, &ask, first, last, ranges, 16, &count);
}

static int64_t acquire(uint64_t owner, int64_t first, int64_t last)
{
    return acquire_up_to(owner, first, last, 0, UINT32_MAX);
}

static sl_err settle_by(uint64_t owner, int64_t first, int64_t last, int8_t type,
                        const struct share_rules *rules)
{
    const struct share_ack ack = {first, last, &type, 1};
    sl_err err = share_window_check(&window, owner, &ack);
    return err != SLUICE_OK ? err : share_window_acknowledge(&window, &ack, rules, 0, 5000);
}

static sl_err settle(int64_t first, int64_t last, int8_t type)
{
    return settle_by(ANN, first, last, type, &plain);
}

static struct share_range at(int64_t offset)
{
    return share_window_run(&window, offset, offset);
}

static void ignore(void *arg, int64_t first, int64_t last)
{
    (void)arg, (void)first, (void)last;
}

static void put_back(void *arg, const struct share_range *range)
{
    cr_assert_eq(share_window_restore(arg, range), SLUICE_OK);
}

static int64_t next_at(int64_t now_ms)
{
    return share_window_next(&window, now_ms, 3, 50);
}

Test(share_window, gives_a_record_to_one_owner_only)
{
    cr_assert_eq(acquire(ANN, 100, 109), 10);
    cr_assert_eq(acquire(BOB, 100, 114), 5, "only what Ann does not hold");
    cr_assert_eq(at(100).owner, ANN);
    cr_assert_eq(at(110).owner, BOB);
    cr_assert_eq(next_at(0), 115);
}

Test(share_window, moves_its_start_over_what_is_done_at_its_front)
{
    acquire(ANN, 100, 109);
    cr_assert_eq(settle(103, 105, SHARE_ACK_ACCEPT), SLUICE_OK);
    cr_assert_eq(window.start, 100);
    cr_assert_eq(settle(100, 102, SHARE_ACK_ACCEPT), SLUICE_OK);
    cr_assert_eq(window.start, 106);
    cr_assert_eq(settle(106, 109, SHARE_ACK_ACCEPT), SLUICE_OK);
    cr_assert_eq(window.start, 110);
    cr_assert_eq(window.count, 0);
}

Test(share_window, delivers_a_released_record_again_and_counts)
{
    acquire(ANN, 100, 101);
    cr_assert_eq(settle(100, 100, SHARE_ACK_RELEASE), SLUICE_OK);
    cr_assert_eq(next_at(0), 100);
    cr_assert_eq(acquire(BOB, 100, 101), 1);
    cr_assert_eq(at(100).deliveries, 2);
    cr_assert_eq(at(101).deliveries, 1);
}

Test(share_window, archives_what_was_delivered_too_often)
{
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(acquire(ANN, 100, 100), 1);
        cr_assert_eq(settle(100, 100, SHARE_ACK_RELEASE), SLUICE_OK);
    }
    cr_assert_eq(window.start, 101);
}

Test(share_window, holds_what_is_to_become_a_dead_letter)
{
    struct share_range doomed;
    acquire(ANN, 100, 104);
    cr_assert_eq(settle_by(ANN, 101, 102, SHARE_ACK_REJECT, &letters), SLUICE_OK);
    cr_assert(share_window_doomed(&window, 100, &doomed));
    cr_assert_eq(doomed.first, 101);
    cr_assert_eq(doomed.last, 102);
    cr_assert_eq(share_window_bury(&window, 101, 101), SLUICE_OK);
    cr_assert_eq(at(101).state, SHARE_ARCHIVED);
    cr_assert_eq(at(102).state, SHARE_DOOMED);
    cr_assert_eq(at(102).reason, SHARE_REJECTED);
}

Test(share_window, what_is_to_become_a_dead_letter_is_so_after_a_crash_too)
{
    struct share_window again;
    struct share_range doomed;
    acquire(ANN, 100, 101);
    cr_assert_eq(settle_by(ANN, 101, 101, SHARE_ACK_REJECT, &letters), SLUICE_OK);
    share_window_init(&again, 100);
    share_window_describe(&window, 100, SHARE_NEVER, put_back, &again);
    cr_assert(share_window_doomed(&again, 100, &doomed));
    cr_assert_eq(doomed.first, 101);
    cr_assert_eq(doomed.reason, SHARE_REJECTED);
    cr_assert_eq(doomed.deliveries, 1);
    share_window_fini(&again);
}

Test(share_window, refuses_what_the_owner_does_not_hold)
{
    acquire(ANN, 100, 104);
    cr_assert_eq(settle_by(BOB, 100, 100, SHARE_ACK_ACCEPT, &plain), SLUICE_E_INVALID_RECORD_STATE);
    cr_assert_eq(settle(104, 105, SHARE_ACK_ACCEPT), SLUICE_E_INVALID_RECORD_STATE);
    cr_assert_eq(settle(100, 100, SHARE_ACK_ACCEPT), SLUICE_OK);
    cr_assert_eq(settle(100, 100, SHARE_ACK_ACCEPT), SLUICE_E_INVALID_RECORD_STATE);
    cr_assert_eq(settle(103, 102, SHARE_ACK_ACCEPT), SLUICE_E_INVALID_REQUEST);
    cr_assert_eq(settle(101, 102, 9), SLUICE_E_INVALID_REQUEST);
    const struct share_ack uneven = {101, 103, (const int8_t[]){1, 1}, 2};
    cr_assert_eq(share_window_check(&window, ANN, &uneven), SLUICE_E_INVALID_REQUEST);
}

Test(share_window, takes_a_type_for_each_offset)
{
    acquire(ANN, 100, 104);
    const int8_t types[] = {SHARE_ACK_ACCEPT, SHARE_ACK_RELEASE, SHARE_ACK_RENEW, SHARE_ACK_REJECT,
                            SHARE_ACK_GAP};
    const struct share_ack ack = {100, 104, types, 5};
    cr_assert_eq(share_window_check(&window, ANN, &ack), SLUICE_OK);
    cr_assert_eq(share_window_acknowledge(&window, &ack, &plain, 0, 5000), SLUICE_OK);
    cr_assert_eq(window.start, 101);
    cr_assert_eq(at(101).state, SHARE_AVAILABLE);
    cr_assert_eq(at(102).at_ms, 5000);
    cr_assert_eq(at(103).state, SHARE_ARCHIVED);
    cr_assert_eq(at(104).state, SHARE_ARCHIVED);
}

Test(share_window, takes_records_back_when_their_lock_ends)
{
    acquire(ANN, 100, 101);
    acquire_up_to(BOB, 102, 103, 500, 10);
    cr_assert_eq(window.due_ms, 1000);
    cr_assert_eq(share_window_expire(&window, &plain, 999, ignore, NULL), 0);
    cr_assert_eq(share_window_expire(&window, &plain, 1000, ignore, NULL), 2);
    cr_assert_eq(window.due_ms, 1500);
    cr_assert_eq(settle(100, 100, SHARE_ACK_ACCEPT), SLUICE_E_INVALID_RECORD_STATE);
    cr_assert_eq(acquire(BOB, 100, 110), 9);
}

Test(share_window, renewed_locks_hold_longer)
{
    acquire(ANN, 100, 101);
    cr_assert_eq(settle(100, 101, SHARE_ACK_RENEW), SLUICE_OK);
    cr_assert_eq(share_window_expire(&window, &plain, 4999, ignore, NULL), 0);
    cr_assert_eq(share_window_expire(&window, &plain, 5000, ignore, NULL), 2);
}

Test(share_window, a_delayed_release_is_available_only_then)
{
    const struct share_rules later = {.deliveries_max = 3, .delay_ms = 200};
    acquire(ANN, 100, 100);
    cr_assert_eq(settle_by(ANN, 100, 100, SHARE_ACK_RELEASE, &later), SLUICE_OK);
    cr_assert_eq(next_at(199), 101);
    cr_assert_eq(window.due_ms, 200);
    cr_assert_eq(next_at(200), 100);
}

Test(share_window, an_owner_that_is_gone_did_not_get_its_records)
{
    acquire(ANN, 100, 104);
    acquire(BOB, 105, 105);
    cr_assert_eq(share_window_abandon(&window, ANN, ignore, NULL), 5);
    cr_assert_eq(at(100).deliveries, 0);
    cr_assert_eq(window.in_flight, 1);
    cr_assert_eq(next_at(0), 100);
}

Test(share_window, does_not_hold_more_than_its_bound)
{
    cr_assert_eq(acquire(ANN, 100, 199), 50);
    cr_assert_eq(next_at(0), SHARE_NEVER);
    cr_assert_eq(settle(120, 120, SHARE_ACK_RELEASE), SLUICE_OK);
    cr_assert_eq(next_at(0), 120, "what was delivered before is no more than there was");
    cr_assert_eq(settle(100, 109, SHARE_ACK_ACCEPT), SLUICE_OK);
    cr_assert_eq(acquire(BOB, 121, 199), 10);
}

Test(share_window, gives_no_more_than_is_asked_for)
{
    cr_assert_eq(acquire_up_to(ANN, 100, 120, 0, 7), 7);
    cr_assert_eq(next_at(0), 107);
}

Test(share_window, gaps_cost_nothing_and_do_not_stop_the_start)
{
    cr_assert_eq(share_window_skip(&window, 100, 1000000), SLUICE_OK);
    cr_assert_eq(window.start, 1000001);
    acquire(ANN, 1000001, 1000002);
    cr_assert_eq(share_window_skip(&window, 1000001, 9000000), SLUICE_OK);
    cr_assert_eq(at(1000002).state, SHARE_ACQUIRED, "what somebody holds is not a gap");
    cr_assert_eq(window.in_flight, 2);
    cr_assert_eq(next_at(0), 9000001);
    cr_assert_eq(settle(1000001, 1000002, SHARE_ACK_ACCEPT), SLUICE_OK);
    cr_assert_eq(window.start, 9000001);
}

Test(share_window, forgets_what_the_log_has_removed)
{
    acquire(ANN, 100, 109);
    share_window_raise(&window, 105);
    cr_assert_eq(window.start, 105);
    cr_assert_eq(window.acquired, 5);
    cr_assert_eq(settle(100, 109, SHARE_ACK_ACCEPT), SLUICE_OK);
    cr_assert_eq(window.start, 110);
}

Test(share_window, condemns_what_has_no_deliveries_left)
{
    const struct share_range spent = {
        .first = 100, .last = 101, .deliveries = 3, .state = SHARE_AVAILABLE};
    struct share_range doomed;
    cr_assert_eq(share_window_restore(&window, &spent), SLUICE_OK);
    cr_assert_eq(next_at(0), 102);
    cr_assert_eq(share_window_condemn(&window, &letters, ignore, NULL), 2);
    cr_assert(share_window_doomed(&window, 0, &doomed));
    cr_assert_eq(doomed.last, 101);
    cr_assert_eq(doomed.reason, SHARE_DELIVERED_TOO_OFTEN);
}

static void add_range(void *arg, const struct share_range *range)
{
    cr_assert_eq(share_item_add(arg, 0, range), SLUICE_OK);
}

Test(share_window, items_say_what_would_be_if_all_locks_ended)
{
    struct sl_buffer payload;
    sl_buffer_init(&payload, 4096);
    acquire(ANN, 100, 109);
    settle(101, 101, SHARE_ACK_RELEASE);
    acquire(BOB, 101, 101);
    settle(103, 104, SHARE_ACK_ACCEPT);
    const struct share_item item = {.group = sl_bytes_of_text("g"),
                                    .topic = {{7}},
                                    .partition = 2,
                                    .replaces = true,
                                    .start = window.start};
    cr_assert_eq(share_item_begin(&item, &payload), SLUICE_OK);
    share_window_describe(&window, 0, SHARE_NEVER, add_range, &payload);
    struct share_item read;
    cr_assert_eq(share_item_decode(1, sl_buffer_bytes(&payload), &read), SLUICE_OK);
    cr_assert_eq(read.start, 100);
    cr_assert_eq(read.partition, 2);
    cr_assert(read.replaces);
    cr_assert_eq(read.range_count, 2);
    struct share_range first = share_item_range(&read, 0), second = share_item_range(&read, 1);
    cr_assert_eq(first.first, 101);
    cr_assert_eq(first.deliveries, 1);
    cr_assert_eq(second.first, 103);
    cr_assert_eq(second.last, 104);
    cr_assert_eq(second.state, SHARE_ACKNOWLEDGED);
    for (size_t size = 0; size < payload.size; size++) {
        cr_assert_eq(share_item_decode(1, sl_bytes_of(payload.data, size), &read),
                     SLUICE_E_CORRUPT);
    }
    cr_assert_eq(share_item_decode(2, sl_buffer_bytes(&payload), &read), SLUICE_E_NEWER_FORMAT);
    sl_buffer_fini(&payload);
}

Test(share_window, items_that_forget_come_back_as_they_went)
{
    uint8_t payload[64];
    struct share_forget read;
    const struct share_forget forget = {
        .what = SHARE_FORGET_TOPIC, .group = sl_bytes_of_text("group"), .topic = {{9}}};
    share_forget_encode(&forget, payload);
    size_t size = share_forget_size(&forget);
    cr_assert_eq(share_forget_decode(1, sl_bytes_of(payload, size), &read), SLUICE_OK);
    cr_assert(sl_bytes_equal(read.group, forget.group));
    cr_assert_eq(read.topic.b[0], 9);
    cr_assert_eq(share_forget_decode(1, sl_bytes_of(payload, size - 1), &read), SLUICE_E_CORRUPT);
}
