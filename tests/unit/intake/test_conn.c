/* test_conn.c: a connection between a real socket and a frontend. */
#include "intake_fixture.h"

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUDGET (64u << 20)

static struct fixture f;

static bool all_are_closed(struct fixture *fixture)
{
    return fixture->intake.connection_count == 0 && fixture->fake.opened == fixture->fake.closed &&
           fixture->cache.used_bytes == 0;
}

/* What the loop held when it was last asked, for the test's thread to look at. */
static struct {
    uint64_t used_bytes;
    uint32_t frames;
} seen;

static void note(const struct fixture *fixture)
{
    seen.used_bytes = fixture->cache.used_bytes;
    seen.frames = fixture->fake.frames;
}

static bool is_paused_and_stalled(struct fixture *fixture)
{
    note(fixture);
    return fixture->intake.stalled_now[CONN_STALL_FRONTEND] == 1;
}

static bool is_stalled_by_output(struct fixture *fixture)
{
    note(fixture);
    return fixture->intake.stalled_now[CONN_STALL_OUTPUT] == 1;
}

Test(conn, takes_input_split_at_every_byte, .timeout = 60)
{
    uint8_t bytes[64], back[64];
    size_t size = fixture_frame(bytes, 'e', "first", 5);
    size += fixture_frame(bytes + size, 'e', NULL, 0);
    size += fixture_frame(bytes + size, 'e', "the third one", 13);
    fixture_open(&f, BUDGET, 4);
    int peer = fixture_connect(&f);
    for (size_t split = 0; split <= size; split++) {
        fixture_send(peer, bytes, split);
        usleep(200); /* so that the parts are likely to be read one by one; nothing hangs on it */
        fixture_send(peer, bytes + split, size - split);
        cr_assert(fixture_receive(peer, back, size));
        cr_assert_arr_eq(back, bytes, size);
    }
    close(peer);
    cr_assert(fixture_wait(&f, all_are_closed));
    fixture_close(&f);
}

Test(conn, takes_a_large_request_and_what_follows_it, .timeout = 60)
{
    size_t payload = FIXTURE_REQUEST_BYTES_MAX - 16;
    uint8_t *bytes = malloc(payload + 64), *back = malloc(payload + 64);
    for (size_t i = 0; i < payload + 64; i++) {
        bytes[i] = (uint8_t)(i * 7 + i / 251);
    }
    fixture_open(&f, BUDGET, 4);
    int peer = fixture_connect(&f);
    size_t sizes[] = {65531, 65532, 65536, 200000, payload};
    for (size_t i = 0; i < SL_COUNT_OF(sizes); i++) {
        sl_le32_store(bytes, (uint32_t)sizes[i]);
        bytes[4] = 'e';
        if (fork() == 0) { /* reads while we write */
            fixture_send(peer, bytes, sizes[i] + 4);
            _exit(0);
        }
        cr_assert(fixture_receive(peer, back, sizes[i] + 4));
        cr_assert_arr_eq(back, bytes, sizes[i] + 4);
        cr_assert(fixture_answers(peer));
    }
    close(peer);
    cr_assert(fixture_wait(&f, all_are_closed));
    fixture_close(&f);
    free(bytes);
    free(back);
}

static uint64_t used_bytes_max;
static bool notes_use(struct fixture *fixture)
{
    used_bytes_max = SL_MAX(used_bytes_max, fixture->cache.used_bytes);
    return fixture->fake.inputs > 0;
}

Test(conn, a_small_request_takes_little_memory, .timeout = 60)
{
    uint8_t bytes[16] = {0};
    fixture_open(&f, BUDGET, 4);
    int peer = fixture_connect(&f);
    sl_le32_store(bytes, 100);
    fixture_send(peer, bytes, sizeof(bytes));
    cr_assert(fixture_wait(&f, notes_use));
    cr_assert_leq(used_bytes_max, CONN_INPUT_BYTES_MIN);
    close(peer);
    fixture_close(&f);
}

Test(conn, an_announced_size_claims_memory_only_as_its_bytes_come, .timeout = 60)
{
    uint8_t bytes[1024] = {0};
    fixture_open(&f, BUDGET, 4);
    int peer = fixture_connect(&f);
    sl_le32_store(bytes, FIXTURE_REQUEST_BYTES_MAX - 4);
    fixture_send(peer, bytes, sizeof(bytes));
    cr_assert(fixture_wait(&f, notes_use));
    cr_assert_leq(used_bytes_max, 2 * CONN_INPUT_BYTES);
    close(peer);
    fixture_close(&f);
}

Test(conn, a_size_beyond_the_limit_closes_it, .timeout = 60)
{
    fixture_open(&f, BUDGET, 4);
    int peer = fixture_connect(&f);
    f.fake.ask_too_much = true;
    fixture_send(peer, "x", 1);
    cr_assert(fixture_is_closed(peer));
    close(peer);
    cr_assert(fixture_wait(&f, all_are_closed));
    fixture_close(&f);
}

Test(conn, a_call_that_fails_closes_it_and_cancels_what_waits, .timeout = 60)
{
    fixture_open(&f, BUDGET, 4);
    int peer = fixture_connect(&f);
    uint64_t token = f.fake.last_token;
    fixture_send_command(peer, 'x');
    cr_assert(fixture_is_closed(peer));
    close(peer);
    cr_assert(fixture_wait(&f, all_are_closed));
    cr_assert_eq(f.cancelled, token);
    cr_assert_eq(f.cancels, 1);
    fixture_close(&f);
}

Test(conn, what_is_queued_is_sent_before_it_closes, .timeout = 60)
{
    static uint8_t bytes[3u << 20];
    fixture_open(&f, BUDGET, 4);
    int peer = fixture_connect(&f);
    fixture_send_number(peer, 'w', sizeof(bytes));
    fixture_send_command(peer, 'c');
    cr_assert(fixture_receive(peer, bytes, sizeof(bytes)));
    cr_assert(fixture_is_closed(peer));
    close(peer);
    cr_assert(fixture_wait(&f, all_are_closed));
    fixture_close(&f);
}

static bool closes(struct fixture *fixture)
{
    return fixture->intake.closing_count == 1;
}

static void let_time_pass(struct fixture *fixture)
{
    for (uint32_t i = 0; i < fixture->intake.slot_count; i++) {
        struct conn *conn = fixture->intake.slots[i].conn;
        if (conn != NULL) {
            conn->since_ms -= 60000;
        }
    }
    intake_tick(&fixture->intake);
}

Test(conn, a_peer_that_does_not_take_the_last_answer_is_dropped, .timeout = 60)
{
    fixture_open(&f, BUDGET, 4);
    int peer = fixture_connect(&f);
    fixture_send_number(peer, 'w', CONN_OUTPUT_HIGH);
    fixture_send_command(peer, 'c');
    cr_assert(fixture_wait(&f, closes));
    fixture_on_loop(&f, let_time_pass);
    cr_assert(fixture_wait(&f, all_are_closed));
    close(peer);
    fixture_close(&f);
}

static bool has_taken_a_frame(struct fixture *fixture)
{
    return fixture->fake.frames > 0;
}

Test(conn, input_waits_while_paused_and_goes_on_after, .timeout = 60)
{
    uint8_t back[5];
    fixture_open(&f, BUDGET, 4);
    int peer = fixture_connect(&f);
    fixture_send_command(peer, 'p');
    fixture_send_command(peer, 'e');
    cr_assert(fixture_wait(&f, has_taken_a_frame));
    cr_assert_eq(recv(peer, back, 1, MSG_DONTWAIT), -1);
    fixture_resume(&f);
    cr_assert(fixture_receive(peer, back, sizeof(back)));
    close(peer);
    fixture_close(&f);
}

Test(conn, a_pause_fills_one_chunk_and_then_stops_reading, .timeout = 60)
{
    static uint8_t frames[4 * CONN_INPUT_BYTES];
    fixture_open(&f, BUDGET, 4);
    int peer = fixture_connect(&f);
    fixture_send_command(peer, 'p');
    size_t size = 0;
    while (size + 5 < sizeof(frames)) {
        size += fixture_frame(frames + size, 'e', NULL, 0);
    }
    if (fork() == 0) {
        fixture_send(peer, frames, size);
        _exit(0);
    }
    cr_assert(fixture_wait(&f, is_paused_and_stalled));
    cr_assert_leq(seen.used_bytes, 2 * CONN_INPUT_BYTES);
    fixture_resume(&f);
    cr_assert(fixture_receive(peer, frames, size));
    cr_assert(fixture_answers(peer));
    close(peer);
    cr_assert(fixture_wait(&f, all_are_closed));
    fixture_close(&f);
}

Test(conn, a_peer_that_goes_away_during_a_pause_is_noticed, .timeout = 60)
{
    fixture_open(&f, BUDGET, 4);
    int peer = fixture_connect(&f);
    fixture_send_command(peer, 'p');
    cr_assert(fixture_wait(&f, notes_use));
    close(peer);
    cr_assert(fixture_wait(&f, all_are_closed));
    cr_assert_eq(f.cancels, 1);
    fixture_close(&f);
}

Test(conn, a_resume_within_the_call_is_not_lost, .timeout = 60)
{
    fixture_open(&f, BUDGET, 4);
    int peer = fixture_connect(&f);
    fixture_send_command(peer, 'z');
    cr_assert(fixture_answers(peer));
    close(peer);
    fixture_close(&f);
}

/* 100 requests for 1 MiB each arrive in one piece: some are answered, the others wait. */
Test(conn, a_peer_that_does_not_read_is_not_served_without_end, .timeout = 60)
{
    enum { REQUESTS = 100, ANSWER = 1 << 20 };
    static uint8_t answer[ANSWER];
    uint8_t requests[REQUESTS * 9], number[4];
    size_t size = 0;
    fixture_open(&f, BUDGET, 4);
    int peer = fixture_connect(&f);
    sl_le32_store(number, ANSWER);
    for (int i = 0; i < REQUESTS; i++) {
        size += fixture_frame(requests + size, i % 2 == 0 ? 'w' : 'r', number, 4);
    }
    fixture_send(peer, requests, size);
    fixture_send(peer, requests, 9);
    cr_assert(fixture_wait(&f, is_stalled_by_output));
    cr_assert_leq(seen.used_bytes, CONN_OUTPUT_HIGH + 2 * ANSWER + CONN_INPUT_BYTES);
    cr_assert_leq(seen.frames, 8);
    for (int i = 0; i < REQUESTS + 1; i++) {
        cr_assert(fixture_receive(peer, answer, ANSWER), "answer %d", i);
        uint8_t expected = i % 2 == 0 ? 'w' : 'r';
        cr_assert(answer[0] == expected && answer[ANSWER - 1] == expected, "answer %d", i);
    }
    cr_assert(fixture_answers(peer));
    close(peer);
    cr_assert(fixture_wait(&f, all_are_closed));
    fixture_close(&f);
}

Test(conn, a_peer_that_dies_with_answers_queued_gives_everything_back, .timeout = 60)
{
    fixture_open(&f, BUDGET, 4);
    int peer = fixture_connect(&f);
    fixture_send_number(peer, 'w', 3u << 20);
    fixture_send_number(peer, 'r', 3u << 20);
    fixture_send_number(peer, 'w', 1u << 20);
    cr_assert(fixture_wait(&f, is_stalled_by_output));
    close(peer);
    cr_assert(fixture_wait(&f, all_are_closed));
    fixture_close(&f);
}

#define MANY (2 * CONN_STAGE_MAX + 3)

static int many[MANY];

/* One wait of the loop finds all of them readable. */
static void send_to_all(struct fixture *fixture)
{
    uint8_t frame[16];
    (void)fixture;
    for (uint32_t i = 0; i < MANY; i++) {
        fixture_send(many[i], frame, fixture_frame(frame, 'e', &i, sizeof(i)));
    }
}

Test(conn, more_than_a_list_takes_that_send_at_once_are_all_answered, .timeout = 60)
{
    uint8_t frame[16], back[16];
    fixture_open(&f, BUDGET, MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        many[i] = fixture_connect(&f);
    }
    fixture_on_loop(&f, send_to_all);
    for (uint32_t i = 0; i < MANY; i++) {
        size_t size = fixture_frame(frame, 'e', &i, sizeof(i));
        cr_assert(fixture_receive(many[i], back, size));
        cr_assert_arr_eq(back, frame, size);
        close(many[i]);
    }
    cr_assert(fixture_wait(&f, all_are_closed));
    fixture_close(&f);
}

#define REQUESTS 1000u

/* Two that send many at once. */
static void send_many(struct fixture *fixture)
{
    static uint8_t frames[REQUESTS * 16];
    size_t size = 0;
    (void)fixture;
    for (uint32_t i = 0; i < REQUESTS; i++) {
        size += fixture_frame(frames + size, 'e', &i, sizeof(i));
    }
    fixture_send(many[0], frames, size);
    fixture_send(many[1], frames, size);
}

Test(conn, one_that_sends_many_requests_lets_others_have_their_turn, .timeout = 60)
{
    uint8_t frame[16], back[16];
    fixture_open(&f, BUDGET, 2);
    many[0] = fixture_connect(&f);
    many[1] = fixture_connect(&f);
    cr_assert(fixture_answers(many[0]) && fixture_answers(many[1]));
    fixture_on_loop(&f, send_many);
    for (uint32_t i = 0; i < 2 * REQUESTS; i++) {
        uint32_t number = i % REQUESTS;
        size_t size = fixture_frame(frame, 'e', &number, sizeof(number));
        cr_assert(fixture_receive(many[i / REQUESTS], back, size));
        cr_assert_arr_eq(back, frame, size);
    }
    cr_assert_leq(f.fake.most_in_a_row, 2 * CONN_TURN_CALLS);
    close(many[0]);
    close(many[1]);
    cr_assert(fixture_wait(&f, all_are_closed));
    fixture_close(&f);
}

Test(conn, who_is_closed_while_its_answers_wait_to_be_sent_gets_them_first, .timeout = 60)
{
    const char last[] = {'c', 'x'}; /* closes; fails */
    for (size_t i = 0; i < sizeof(last); i++) {
        uint8_t bytes[64], back[64];
        size_t size = fixture_frame(bytes, 'e', "one", 3);
        size += fixture_frame(bytes + size, 'e', "two", 3);
        size_t end = fixture_frame(bytes + size, last[i], NULL, 0);
        fixture_open(&f, BUDGET, 1);
        int peer = fixture_connect(&f);
        fixture_send(peer, bytes, size + end);
        cr_assert(fixture_receive(peer, back, size));
        cr_assert_arr_eq(back, bytes, size);
        cr_assert(fixture_is_closed(peer));
        close(peer);
        cr_assert(fixture_wait(&f, all_are_closed));
        fixture_close(&f);
    }
}

Test(conn, what_is_sent_at_the_end_of_the_turn_does_not_count_as_not_taken, .timeout = 60)
{
    fixture_open(&f, BUDGET, 1);
    int peer = fixture_connect(&f);
    f.fake.queued = 1;
    cr_assert(fixture_answers(peer));
    cr_assert_eq(f.fake.queued, 0); /* who stops above a bound is told only by conn_drained */
    close(peer);
    fixture_close(&f);
}

/* It sends, goes, and is read and found closed within one turn. */
static void send_and_go(struct fixture *fixture)
{
    send_to_all(fixture);
    for (uint32_t i = 0; i < MANY; i += 2) {
        close(many[i]);
    }
}

Test(conn, one_that_goes_while_others_wait_with_it_disturbs_nobody, .timeout = 60)
{
    uint8_t frame[16], back[16];
    fixture_open(&f, BUDGET, MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        many[i] = fixture_connect(&f);
    }
    fixture_on_loop(&f, send_and_go);
    for (uint32_t i = 1; i < MANY; i += 2) {
        size_t size = fixture_frame(frame, 'e', &i, sizeof(i));
        cr_assert(fixture_receive(many[i], back, size));
        cr_assert_arr_eq(back, frame, size);
        close(many[i]);
    }
    cr_assert(fixture_wait(&f, all_are_closed));
    fixture_close(&f);
}

Test(conn, a_stale_token_does_nothing, .timeout = 60)
{
    uint8_t frame[8], back[8];
    fixture_open(&f, BUDGET, 1);
    int peer = fixture_connect(&f);
    f.fake.stale_token = f.fake.last_token;
    close(peer);
    cr_assert(fixture_wait(&f, all_are_closed));
    peer = fixture_connect(&f); /* in the same slot */
    cr_assert_neq(f.fake.last_token, f.fake.stale_token);
    size_t size = fixture_frame(frame, 't', NULL, 0);
    fixture_send(peer, frame, size);
    cr_assert(fixture_receive(peer, back, size));
    cr_assert_eq(f.fake.written, SLUICE_E_CANCELLED);
    cr_assert(fixture_answers(peer));
    f.fake.stale_token = UINT64_MAX;
    fixture_send(peer, frame, size);
    cr_assert(fixture_receive(peer, back, size));
    close(peer);
    fixture_close(&f);
}

Test(conn, more_connections_than_slots_are_refused_and_counted, .timeout = 60)
{
    int peers[3];
    fixture_open(&f, BUDGET, 3);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 3; i++) {
            peers[i] = fixture_connect(&f);
            cr_assert(fixture_answers(peers[i]));
        }
        int refused = fixture_connect(&f);
        cr_assert(fixture_is_closed(refused));
        close(refused);
        cr_assert_eq(f.intake.refused_total, (uint64_t)round + 1);
        for (int i = 0; i < 3; i++) {
            close(peers[(i + round) % 3]);
        }
        cr_assert(fixture_wait(&f, all_are_closed));
    }
    cr_assert_eq(f.intake.accepted_total, 9);
    fixture_close(&f);
}

Test(conn, one_that_the_frontend_refuses_is_closed, .timeout = 60)
{
    fixture_open(&f, BUDGET, 2);
    f.fake.refuse_open = true;
    int peer = fixture_connect(&f);
    cr_assert(fixture_is_closed(peer));
    close(peer);
    cr_assert(fixture_wait(&f, all_are_closed));
    fixture_close(&f);
}
