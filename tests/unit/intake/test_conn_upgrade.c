/* test_conn_upgrade.c: a connection that goes from one frontend to another, behind a codec. */
#include "intake_fixture.h"

#include "base/bytes.h"
#include "intake/listener_tls.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

static struct fixture f;
static struct frontend *heir;
static struct listener *heirs; /* its listener, or NULL */

static void add_heir(struct fixture *fixture)
{
    heir = fixture_add_frontend(fixture, heirs);
}

static void drain_heir(struct fixture *fixture)
{
    (void)fixture;
    frontend_drain(heir);
    heir = NULL;
}

static void drain_giver(struct fixture *fixture)
{
    frontend_drain(fixture->frontend);
    fixture->frontend = NULL;
}

static void start(void)
{
    fixture_open(&f, 1u << 24, 4);
    fixture_on_loop(&f, add_heir);
}

static bool all_are_closed(struct fixture *fixture)
{
    return fixture->intake.connection_count == 0 && fixture->fake.codecs == 0 &&
           fixture->cache.used_bytes == 0 && fixture->frontend->connection_count == 0;
}

static void end(int peer)
{
    close(peer);
    cr_assert(fixture_wait(&f, all_are_closed));
    if (heir != NULL) {
        cr_assert_eq(heir->connection_count, 0);
        fixture_on_loop(&f, drain_heir);
    }
    fixture_close(&f);
}

/* As the codec of the peer writes it. */
static size_t encode(uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        bytes[i] ^= FIXTURE_XOR;
    }
    return size;
}

static void expect(int peer, const char *text)
{
    char got[64] = "";
    cr_assert(fixture_receive(peer, got, strlen(text)), "instead of %s: %s", text, got);
    cr_assert_str_eq(got, text);
}

/* Whole frames behind the codec's 'H'. */
static void expect_frame(int peer, const uint8_t *frame, size_t size)
{
    uint8_t got[64];
    expect(peer, "H");
    cr_assert(fixture_receive(peer, got, size));
    cr_assert_arr_eq(got, frame, size);
}

static int upgraded(void)
{
    int peer = fixture_connect(&f);
    fixture_send_command(peer, 'u');
    expect(peer, "over");
    return peer;
}

Test(conn_upgrade, what_is_behind_the_request_is_the_codecs_in_every_split, .timeout = 60)
{
    uint8_t bytes[64], frame[16];
    size_t size = fixture_frame(bytes, 'u', NULL, 0);
    size_t frame_size = fixture_frame(frame, 'e', "still", 5);
    memcpy(bytes + size, frame, frame_size);
    size += encode(bytes + size, frame_size);
    bytes[size++] = 'P';
    start();
    for (size_t at = 0; at <= size; at++) {
        int peer = fixture_connect(&f);
        fixture_send(peer, bytes, at);
        usleep(200); /* so that the parts are likely to be read one by one; nothing hangs on it */
        fixture_send(peer, bytes + at, size - at);
        expect(peer, "over");
        uint8_t first = 0;
        cr_assert(
            fixture_receive(peer, &first, 1)); /* the answer to P and the frame, in either order */
        cr_assert(first == 'p' || first == 'H');
        close(peer);
    }
    cr_assert(fixture_wait(&f, all_are_closed));
    cr_assert_eq(f.intake.upgraded_total, size + 1);
    end(-1);
}

static void check_owners(struct fixture *fixture)
{
    cr_assert_eq(fixture->frontend->connection_count, 0);
    cr_assert_eq(heir->connection_count, 1);
    cr_assert_eq(fixture->fake.opened, 2);
    cr_assert_eq(fixture->fake.closed, 1);
}

Test(conn_upgrade, the_heir_has_it_and_sees_an_ordinary_connection, .timeout = 60)
{
    uint8_t frame[16], coded[16];
    size_t size = fixture_frame(frame, 'e', "hello", 5);
    start();
    int peer = upgraded();
    fixture_on_loop(&f, check_owners);
    for (int i = 0; i < 3; i++) {
        memcpy(coded, frame, size);
        fixture_send(peer, coded, encode(coded, size));
        expect_frame(peer, frame, size);
    }
    fixture_send(peer, "P", 1);
    expect(peer, "p");
    end(peer);
}

Test(conn_upgrade, output_of_any_size_is_behind_heads, .timeout = 60)
{
    static const uint32_t sizes[] = {1, 1000, 65536, 300000};
    static uint8_t got[300000 + 64];
    start();
    int peer = upgraded();
    for (size_t i = 0; i < SL_COUNT_OF(sizes); i++) {
        uint8_t command[16], number[4];
        uint32_t heads = (sizes[i] + 65535) / 65536;
        sl_le32_store(number, sizes[i]);
        fixture_send(peer, command, encode(command, fixture_frame(command, 'w', number, 4)));
        cr_assert(fixture_receive(peer, got, sizes[i] + heads));
        for (uint32_t at = 0; at < heads; at++) {
            cr_assert_eq(got[at * 65537u], 'H');
        }
        sl_le32_store(number, sizes[i]);
        fixture_send(peer, command, encode(command, fixture_frame(command, 'r', number, 4)));
        cr_assert(fixture_receive(peer, got, sizes[i] + 1));
        cr_assert_eq(got[0], 'H');
        cr_assert_eq(got[sizes[i]], 'r');
    }
    end(peer);
}

Test(conn_upgrade, what_came_before_its_end_is_delivered_and_the_codec_has_the_last_word,
     .timeout = 60)
{
    uint8_t frame[16], coded[17];
    size_t size = fixture_frame(frame, 'e', "last", 4);
    start();
    int peer = upgraded();
    memcpy(coded, frame, size);
    encode(coded, size);
    coded[size] = 'Q';
    fixture_send(peer, coded, size + 1);
    expect_frame(peer, frame, size);
    expect(peer, "E");
    cr_assert(fixture_is_closed(peer));
    close(peer);
    peer = upgraded();
    fixture_send(peer, "Q", 1);
    expect(peer, "E");
    cr_assert(fixture_is_closed(peer));
    end(peer);
}

Test(conn_upgrade, a_frontend_that_goes_says_so_and_the_codec_after_it, .timeout = 60)
{
    start();
    int peer = upgraded(), other = fixture_connect(&f);
    f.fake.says_bye = true;
    fixture_on_loop(&f, drain_heir);
    expect(peer, "HbyeA");
    cr_assert(fixture_is_closed(peer));
    cr_assert(fixture_answers(other));
    close(other);
    end(peer);
}

static bool one_is_destroyed(struct fixture *fixture)
{
    return fixture->fake.destroyed == 1;
}

static void take_over(struct fixture *fixture)
{
    fixture->frontend = heir;
    heir = NULL;
}

Test(conn_upgrade, the_frontend_that_it_came_by_may_go, .timeout = 60)
{
    uint8_t frame[16], coded[16];
    size_t size = fixture_frame(frame, 'e', "hello", 5);
    start();
    int peer = upgraded();
    fixture_on_loop(&f, drain_giver);
    cr_assert(fixture_wait(&f, one_is_destroyed));
    memcpy(coded, frame, size);
    fixture_send(peer, coded, encode(coded, size));
    expect_frame(peer, frame, size);
    fixture_on_loop(&f, take_over);
    end(peer);
}

Test(conn_upgrade, an_heir_that_will_not_ends_it, .timeout = 60)
{
    start();
    int peer = fixture_connect(&f);
    cr_assert(fixture_answers(peer));
    f.fake.refuse_open = true;
    fixture_send_command(peer, 'u');
    expect(peer, "overE");
    cr_assert(fixture_is_closed(peer));
    end(peer);
}

static void refused(int peer, sluice_status status)
{
    uint8_t number[4];
    fixture_send_command(peer, 'u');
    cr_assert(fixture_receive(peer, number, sizeof(number)));
    cr_assert_eq(sl_le32_load(number), (uint32_t)status);
    cr_assert(fixture_answers(peer)); /* it is as it was */
}

static void hide_frontends(struct fixture *fixture)
{
    static struct frontend *hidden;
    struct frontend *shown = fixture->intake.frontends;
    fixture->intake.frontends = hidden;
    hidden = shown;
}

Test(conn_upgrade, is_refused_where_nobody_speaks_the_protocol, .timeout = 60)
{
    start();
    int peer = fixture_connect(&f);
    fixture_on_loop(&f, hide_frontends);
    refused(peer, SLUICE_E_NOT_FOUND);
    fixture_on_loop(&f, hide_frontends);
    end(peer);
}

Test(conn_upgrade, counts_at_the_heirs_listener_and_gives_nobody_more_than_that_would,
     .timeout = 60)
{
    const int64_t limits[LISTENER_LIMITS] = {[LISTENER_LIMIT_CONNECTIONS] = 1};
    heirs = listener_new("heirs", "fake");
    listener_gate_limit(&heirs->gate, limits);
    start();
    int peer = upgraded(), other = fixture_connect(&f);
    cr_assert_eq(heirs->gate.count, 1);
    refused(other, SLUICE_E_TOO_MANY_CONNECTIONS);
    fixture_send(peer, "Q", 1);
    cr_assert(fixture_is_closed(peer));
    close(peer);
    fixture_send_command(other, 'u');
    expect(other, "over");
    close(other);
    cr_assert(fixture_wait(&f, all_are_closed));
    cr_assert_eq(heirs->gate.count, 0);
    heirs->tls = listener_tls_new();
    peer = fixture_connect(&f);
    refused(peer, SLUICE_E_PERMISSION); /* it asks for TLS */
    end(peer);
    listener_unref(heirs);
}
