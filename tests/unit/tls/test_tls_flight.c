/* test_tls_flight.c: whole records in, bounded output, whatever a peer sends. */
#include "tls/tls_flight.h"

#include <criterion/criterion.h>
#include <string.h>

static struct tls_flight flight;
static uint8_t got[TLS_FLIGHT_INPUT_BYTES];

static void give(const void *bytes, size_t size)
{
    uint8_t *room = NULL;
    size_t space = 0;
    cr_assert_eq(tls_flight_room(&flight, &room, &space), SLUICE_OK);
    cr_assert_geq(space, size);
    memcpy(room, bytes, size);
    tls_flight_took(&flight, size);
}

/* How much the session gets now. */
static size_t take(void)
{
    size_t size = 0;
    return tls_flight_read(&flight, got, sizeof(got), &size) == SLUICE_OK ? size : 0;
}

Test(tls_flight, a_record_is_due_when_it_is_whole)
{
    static const uint8_t record[] = {22, 3, 1, 0, 3, 'a', 'b', 'c', 22, 3, 3, 0, 1};
    for (size_t i = 0; i < 7; i++) {
        give(record + i, 1);
        cr_assert_not(tls_flight_is_due(&flight), "after %zu bytes", i + 1);
    }
    cr_assert_eq(take(), 0);
    give(record + 7, sizeof(record) - 7);
    cr_assert(tls_flight_is_due(&flight));
    cr_assert_eq(take(), 8);
    cr_assert_arr_eq(got, record, 8);
    cr_assert_not(tls_flight_is_due(&flight), "of the next there is the head");
    tls_flight_land(&flight);
    cr_assert_eq(take(), 5, "behind the handshake all is input");
    tls_flight_land(&flight);
    cr_assert_null(flight.bytes);
    tls_flight_fini(&flight);
}

Test(tls_flight, what_is_no_record_is_given_at_once)
{
    static const uint8_t long_one[] = {22, 3, 1, 0xff, 0xff, 0};
    give("GET", 3);
    cr_assert_eq(take(), 3);
    give("\x16\x02", 2);
    cr_assert_eq(take(), 2);
    give(long_one, sizeof(long_one));
    cr_assert_eq(take(), sizeof(long_one));
    tls_flight_fini(&flight);
}

Test(tls_flight, the_longest_record_fits_behind_the_rest_of_another)
{
    static uint8_t record[5 + 16384 + 2048] = {23, 3, 3, (16384 + 2048) >> 8, 0};
    for (int i = 0; i < 3; i++) {
        give(record, sizeof(record) - 1);
        cr_assert_not(tls_flight_is_due(&flight));
        give(record + sizeof(record) - 1, 1);
        cr_assert_eq(take(), sizeof(record));
    }
    tls_flight_fini(&flight);
}

Test(tls_flight, the_end_is_due_and_lets_what_is_cut_off_through)
{
    size_t size = 1;
    give("\x16\x03\x01", 3);
    cr_assert_not(tls_flight_is_due(&flight));
    give("", 0);
    cr_assert(tls_flight_is_due(&flight));
    cr_assert_eq(take(), 3);
    cr_assert_eq(tls_flight_read(&flight, got, sizeof(got), &size), SLUICE_OK);
    cr_assert_eq(size, 0);
    tls_flight_fini(&flight);
}

Test(tls_flight, output_beyond_its_room_is_refused_until_it_is_sent)
{
    static uint8_t bytes[TLS_FLIGHT_OUTPUT_BYTES];
    size_t size = 0;
    give("x", 1);
    tls_flight_write(&flight, bytes, sizeof(bytes) - 1, &size);
    cr_assert(size == sizeof(bytes) - 1 && !flight.refused);
    tls_flight_write(&flight, "ab", 2, &size);
    cr_assert(size == 1 && flight.refused);
    tls_flight_sent(&flight, 10);
    cr_assert_eq(tls_flight_output(&flight).size, sizeof(bytes) - 10);
    tls_flight_sent(&flight, sizeof(bytes) - 10);
    cr_assert_eq(tls_flight_output(&flight).size, 0);
    tls_flight_write(&flight, "b", 1, &size);
    cr_assert_eq(size, 1);
    tls_flight_fini(&flight);
}
