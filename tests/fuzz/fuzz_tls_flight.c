/* fuzz_tls_flight.c: the first byte says how a peer cuts the rest: whatever it sends, there is room
 * for more or something to take, what is taken are its bytes in their order, and at the end all of
 * them. */
#include "tls/tls_flight.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* As a session does, in pieces of its own. Returns how much came. */
static size_t take(struct tls_flight *flight, const uint8_t *expected, size_t piece)
{
    uint8_t got[4096];
    size_t taken = 0;
    size_t size = 0;
    while (tls_flight_read(flight, got, SL_MIN(piece, sizeof(got)), &size) == SLUICE_OK &&
           size > 0) {
        expect(memcmp(got, expected + taken, size) == 0);
        taken += size;
    }
    return taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tls_flight flight = {0};
    size_t sent = 1;
    size_t taken = 1;
    size_t width = size > 0 ? 1 + (size_t)data[0] * 97 : 1;
    while (sent < size) {
        uint8_t *room = NULL;
        size_t space = 0;
        expect(tls_flight_room(&flight, &room, &space) == SLUICE_OK);
        expect(space > 0);
        space = SL_MIN(space, SL_MIN(width, size - sent));
        memcpy(room, data + sent, space);
        tls_flight_took(&flight, space);
        sent += space;
        if (tls_flight_is_due(&flight)) {
            size_t now = take(&flight, data + taken, width);
            expect(now > 0);
            taken += now;
        }
        expect(!tls_flight_is_due(&flight) && taken <= sent);
    }
    tls_flight_took(&flight, 0);
    expect(tls_flight_is_due(&flight));
    taken += size > 0 ? take(&flight, data + taken, width) : 0;
    expect(size == 0 || taken == size);
    tls_flight_land(&flight);
    tls_flight_fini(&flight);
    return 0;
}
