/* test_memory.c: who gets memory when there is little of it, and who waits. */
#include "intake_fixture.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUDGET (1u << 20)
#define SCARCE \
    (BUDGET / 2 + 1) /* its chunk is of BUDGET bytes: of BUDGET + SCARCE more than half */

static struct fixture f;

/* ---- steps ---- */

static struct chunk *hoard;
static size_t hoard_bytes;

static void take_on_loop(struct fixture *fixture)
{
    cr_assert_eq(chunk_new(&fixture->cache, hoard_bytes, &hoard), SLUICE_OK);
}

static void give_on_loop(struct fixture *fixture)
{
    (void)fixture;
    hoard = chunk_unref(hoard);
}

static void take(size_t bytes)
{
    hoard_bytes = bytes;
    fixture_on_loop(&f, take_on_loop);
}

static void give(void)
{
    fixture_on_loop(&f, give_on_loop);
}

static uint64_t producing;

static void end_produce_on_loop(struct fixture *fixture)
{
    conn_produce_ended(intake_find(&fixture->intake, producing));
}

static void let_time_pass(struct fixture *fixture)
{
    for (uint32_t i = 0; i < fixture->intake.slot_count; i++) {
        struct conn *conn = fixture->intake.slots[i].conn;
        if (conn != NULL) {
            conn->since_ms -= 60000;
            conn->taken_ms -= 60000;
        }
    }
    intake_tick(&fixture->intake);
}

static bool all_are_closed(struct fixture *fixture)
{
    return fixture->intake.connection_count == 0 && fixture->cache.used_bytes == 0;
}

static bool one_is_left(struct fixture *fixture)
{
    return fixture->intake.connection_count == 1;
}

static bool one_waits_for_memory(struct fixture *fixture)
{
    return fixture->intake.stalled_now[CONN_STALL_MEMORY] == 1;
}

static bool two_wait_for_memory(struct fixture *fixture)
{
    return fixture->intake.stalled_now[CONN_STALL_MEMORY] == 2;
}

static bool one_waits_for_the_log(struct fixture *fixture)
{
    return fixture->intake.stalled_now[CONN_STALL_LOG] == 1;
}

static bool one_waits_for_its_peer(struct fixture *fixture)
{
    return fixture->intake.stalled_now[CONN_STALL_OUTPUT] == 1;
}

static bool one_is_exempt(struct fixture *fixture)
{
    return fixture->intake.exempt != NULL;
}

static bool nobody_waits(struct fixture *fixture)
{
    return fixture->intake.stalled == NULL && fixture->intake.exempt == NULL &&
           fixture->intake.stalled_now[CONN_STALL_MEMORY] == 0;
}

static bool has_taken_a_frame(struct fixture *fixture)
{
    return fixture->fake.frames > 0;
}

/* A connection that has sent a produce request, whose records are not yet durable. */
static int connect_producer(void)
{
    int peer = fixture_connect(&f);
    producing = f.fake.last_token;
    fixture_send_command(peer, 'd');
    cr_assert(fixture_wait(&f, has_taken_a_frame));
    return peer;
}

static const char half[] = {5, 0, 0}; /* of a frame; rest_of_half makes it whole */
static const char rest_of_half[] = {0, 'e', 'h', 'a', 'l', 'f'};

static bool is_answered(int peer)
{
    char back[9];
    return fixture_receive(peer, back, sizeof(back)) && memcmp(back + 5, "half", 4) == 0;
}

static void send_whole(int peer)
{
    fixture_send(peer, half, sizeof(half));
    fixture_send(peer, rest_of_half, sizeof(rest_of_half));
}

static void finish(const int *peers, int count)
{
    for (int i = 0; i < count; i++) {
        close(peers[i]);
    }
    cr_assert(fixture_wait(&f, all_are_closed));
    cr_assert_eq(f.intake.urgent_count, 0);
    fixture_close(&f);
}

/* ---- tests ---- */

Test(memory, while_it_is_scarce_a_producer_waits_for_its_records_and_a_newcomer_does_not,
     .timeout = 60)
{
    fixture_open(&f, BUDGET + SCARCE, 4);
    int producer = connect_producer();
    take(SCARCE);
    fixture_send_command(producer, 'e');
    cr_assert(fixture_wait(&f, one_waits_for_the_log));
    int newcomer = fixture_connect(&f);
    cr_assert(fixture_answers(newcomer));
    cr_assert(fixture_wait(&f, one_waits_for_the_log));
    fixture_on_loop(&f, end_produce_on_loop);
    uint8_t back[5];
    cr_assert(fixture_receive(producer, back, sizeof(back)));
    give();
    finish((int[]){producer, newcomer}, 2);
}

Test(memory, while_there_is_plenty_a_producer_sends_ahead, .timeout = 60)
{
    fixture_open(&f, BUDGET + SCARCE, 4);
    int producer = connect_producer();
    cr_assert(fixture_answers(producer));
    fixture_on_loop(&f, end_produce_on_loop);
    finish(&producer, 1);
}

Test(memory, over_the_budget_one_goes_on_after_the_other, .timeout = 60)
{
    int peers[3];
    fixture_open(&f, BUDGET, 8);
    for (int i = 0; i < 3; i++) {
        peers[i] = fixture_connect(&f);
        cr_assert(fixture_answers(peers[i]));
    }
    take(4 * BUDGET);
    fixture_send(peers[0], half, sizeof(half)); /* it is exempt until its request is whole */
    cr_assert(fixture_wait(&f, one_is_exempt));
    send_whole(peers[1]);
    cr_assert(fixture_wait(&f, one_waits_for_memory));
    send_whole(peers[2]);
    cr_assert(fixture_wait(&f, two_wait_for_memory));
    fixture_send(peers[0], rest_of_half, sizeof(rest_of_half));
    for (int i = 0; i < 3; i++) {
        cr_assert(is_answered(peers[i]), "peer %d", i);
    }
    cr_assert(fixture_wait(&f, nobody_waits));
    give();
    finish(peers, 3);
}

Test(memory, over_the_budget_a_producers_turn_ends_when_its_records_are_durable, .timeout = 60)
{
    fixture_open(&f, BUDGET, 4);
    take(4 * BUDGET);
    int producer = connect_producer();
    int other = fixture_connect(&f);
    send_whole(other);
    cr_assert(fixture_wait(&f, one_waits_for_memory));
    cr_assert(fixture_wait(&f, one_is_exempt));
    fixture_on_loop(&f, end_produce_on_loop);
    cr_assert(is_answered(other));
    give();
    finish((int[]){producer, other}, 2);
}

Test(memory, over_the_budget_a_pause_does_not_keep_others_waiting, .timeout = 60)
{
    uint8_t frames[16];
    fixture_open(&f, BUDGET, 4);
    take(4 * BUDGET);
    int paused = fixture_connect(&f), other = fixture_connect(&f);
    size_t size = fixture_frame(frames, 'p', NULL, 0);
    size += fixture_frame(frames + size, 'e', NULL, 0);
    fixture_send(paused, frames, size);
    cr_assert(fixture_wait(&f, has_taken_a_frame));
    cr_assert(fixture_answers(other));
    give();
    finish((int[]){paused, other}, 2);
}

Test(memory, relief_wakes_all_that_wait, .timeout = 60)
{
    int peers[3];
    fixture_open(&f, BUDGET, 4);
    take(4 * BUDGET);
    for (int i = 0; i < 3; i++) {
        peers[i] = fixture_connect(&f);
    }
    fixture_send(peers[0], half, sizeof(half));
    cr_assert(fixture_wait(&f, one_is_exempt));
    send_whole(peers[1]);
    send_whole(peers[2]);
    cr_assert(fixture_wait(&f, two_wait_for_memory));
    give();
    cr_assert(is_answered(peers[1]) && is_answered(peers[2]));
    fixture_send(peers[0], rest_of_half, sizeof(rest_of_half));
    cr_assert(is_answered(peers[0]));
    finish(peers, 3);
}

Test(memory, a_peer_that_does_not_finish_its_request_is_closed_when_others_need_the_memory,
     .timeout = 60)
{
    fixture_open(&f, BUDGET, 8);
    int silent = fixture_connect(&f), other = fixture_connect(&f);
    take(4 * BUDGET);
    fixture_send(silent, half, sizeof(half));
    cr_assert(fixture_wait(&f, one_is_exempt));
    send_whole(other);
    cr_assert(fixture_wait(&f, one_waits_for_memory));
    fixture_on_loop(&f, let_time_pass);
    cr_assert(fixture_is_closed(silent));
    cr_assert(is_answered(other));
    give();
    finish((int[]){silent, other}, 2);
}

Test(memory, a_peer_that_takes_no_answer_is_closed_when_others_need_the_memory, .timeout = 60)
{
    fixture_open(&f, BUDGET, 8);
    int stuck = fixture_connect(&f), other = fixture_connect(&f);
    fixture_send_number(stuck, 'w', 3 * BUDGET / 2);
    cr_assert(fixture_wait(&f, one_waits_for_its_peer));
    cr_assert(fixture_answers(other)); /* though the budget is used up */
    fixture_on_loop(&f, let_time_pass);
    cr_assert(fixture_wait(&f, one_is_left));
    cr_assert(fixture_answers(other));
    finish((int[]){stuck, other}, 2);
}

Test(memory, within_the_budget_nobody_is_closed_for_being_slow, .timeout = 60)
{
    fixture_open(&f, 8 * BUDGET, 8);
    int silent = fixture_connect(&f), stuck = fixture_connect(&f);
    fixture_send(silent, half, sizeof(half));
    fixture_send_number(stuck, 'w', BUDGET);
    cr_assert(fixture_wait(&f, one_waits_for_its_peer));
    fixture_on_loop(&f, let_time_pass);
    fixture_send(silent, rest_of_half, sizeof(rest_of_half));
    cr_assert(is_answered(silent));
    static uint8_t answer[BUDGET];
    cr_assert(fixture_receive(stuck, answer, sizeof(answer)));
    finish((int[]){silent, stuck}, 2);
}

Test(memory, an_urgent_frontend_is_read_though_it_is_used_up, .timeout = 60)
{
    int peers[3];
    fixture_open(&f, BUDGET, 4);
    take(4 * BUDGET);
    f.frontend->urgent = true;
    for (int i = 0; i < 3; i++) {
        peers[i] = fixture_connect(&f);
        fixture_send(peers[i], half, sizeof(half));
    }
    for (int i = 3; i-- > 0;) {
        fixture_send(peers[i], rest_of_half, sizeof(rest_of_half));
        cr_assert(is_answered(peers[i]));
    }
    cr_assert_eq(f.intake.stalls_total[CONN_STALL_MEMORY], 0);
    give();
    finish(peers, 3);
}

/* ---- the budget itself ---- */

static void answers_leave_half(struct fixture *fixture)
{
    struct chunk_cache *cache = &fixture->cache;
    struct chunk *chunks[64];
    uint32_t count = 0;
    do {
        cr_assert_lt(count, SL_COUNT_OF(chunks));
        size_t size = chunk_cache_answer_bytes(cache);
        cr_assert_eq(chunk_new(cache, size / 2 + 1, &chunks[count++]), SLUICE_OK);
    } while (chunk_cache_answer_bytes(cache) > CHUNK_ANSWER_BYTES_MIN);
    cr_assert_leq(cache->used_bytes, cache->budget_bytes / 2);
    cr_assert_not(chunk_cache_is_scarce(cache));
    while (count > 0) {
        chunk_unref(chunks[--count]);
    }
}

Test(memory, answers_leave_half_of_the_budget_to_requests, .timeout = 60)
{
    fixture_open(&f, 32 * BUDGET, 1);
    fixture_on_loop(&f, answers_leave_half);
    fixture_close(&f);
}

static void cached_and_used_fit(struct fixture *fixture)
{
    struct chunk_cache *cache = &fixture->cache;
    struct chunk *small[16];
    for (uint32_t i = 0; i < SL_COUNT_OF(small); i++) {
        cr_assert_eq(chunk_new(cache, 64u << 10, &small[i]), SLUICE_OK);
    }
    for (uint32_t i = 0; i < SL_COUNT_OF(small); i++) {
        chunk_unref(small[i]);
    }
    cr_assert_gt(cache->cached_bytes, 0);
    struct chunk *large = NULL;
    cr_assert_eq(chunk_new(cache, BUDGET, &large), SLUICE_OK);
    cr_assert_leq(cache->used_bytes + cache->cached_bytes, cache->budget_bytes);
    chunk_unref(large);
    cr_assert_leq(cache->used_bytes + cache->cached_bytes, cache->budget_bytes);
}

Test(memory, what_lies_cached_is_within_the_budget_too, .timeout = 60)
{
    fixture_open(&f, BUDGET, 1);
    fixture_on_loop(&f, cached_and_used_fit);
    fixture_close(&f);
}

static void held_is_a_part(struct fixture *fixture)
{
    struct chunk_cache *cache = &fixture->cache;
    const uint64_t part = cache->budget_bytes / 100 * CHUNK_HELD_PERCENT;
    const uint64_t before = cache->used_bytes;
    cr_assert_eq(chunk_cache_hold(cache, part), SLUICE_OK);
    cr_assert_eq(cache->used_bytes, before + part);
    cr_assert_eq(chunk_cache_hold(cache, 1), SLUICE_E_BUSY);
    cr_assert_eq(cache->used_bytes, before + part);
    chunk_cache_let_go(cache, part);
    cr_assert_eq(cache->used_bytes, before);
    cr_assert_eq(chunk_cache_hold(cache, 1), SLUICE_OK);
    chunk_cache_let_go(cache, 1);
}

Test(memory, what_is_held_for_long_counts_and_is_a_part_of_the_budget_at_most, .timeout = 60)
{
    fixture_open(&f, BUDGET, 1);
    fixture_on_loop(&f, held_is_a_part);
    fixture_close(&f);
}
