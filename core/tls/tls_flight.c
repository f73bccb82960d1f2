/* tls_flight.c: see tls_flight.h. */
#include "tls/tls_flight.h"

#include <string.h>

#define HEAD_BYTES         5u
#define RECORD_BYTES_MAX   (HEAD_BYTES + 16384u + 2048u)
#define CONTENT_TYPE_FIRST 20u /* change_cipher_spec */
#define CONTENT_TYPE_LAST  24u /* heartbeat */
#define VERSION_MAJOR      3u

_Static_assert(RECORD_BYTES_MAX <= TLS_FLIGHT_INPUT_BYTES, "a whole record fits");

void tls_flight_fini(struct tls_flight *flight)
{
    sl_free(flight->bytes);
    *flight = (struct tls_flight){0};
}

static sl_err make(struct tls_flight *flight)
{
    if (flight->bytes == NULL) {
        flight->bytes = sl_alloc(TLS_FLIGHT_INPUT_BYTES + TLS_FLIGHT_OUTPUT_BYTES);
    }
    return flight->bytes == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
}

/* ---- the socket's side ---- */

sl_err tls_flight_room(struct tls_flight *flight, uint8_t **ret_room, size_t *ret_size)
{
    if (make(flight) != SLUICE_OK) {
        return SLUICE_E_NO_MEMORY;
    }
    if (flight->input_start > 0) {
        memmove(flight->bytes, flight->bytes + flight->input_start,
                flight->input_end - flight->input_start);
        flight->input_end -= flight->input_start;
        flight->input_whole -= flight->input_start;
        flight->input_start = 0;
    }
    *ret_room = flight->bytes + flight->input_end;
    *ret_size = TLS_FLIGHT_INPUT_BYTES - flight->input_end;
    return SLUICE_OK;
}

/* Of the record that begins there; 0: its head is not all there. What is none has the size of
 * all that is there. */
static size_t record_size(const uint8_t *at, size_t left)
{
    bool is_record = at[0] >= CONTENT_TYPE_FIRST && at[0] <= CONTENT_TYPE_LAST &&
                     (left < 2 || at[1] == VERSION_MAJOR);
    if (!is_record) {
        return left;
    }
    if (left < HEAD_BYTES) {
        return 0;
    }
    size_t size = HEAD_BYTES + ((size_t)at[3] << 8 | at[4]);
    return size <= RECORD_BYTES_MAX ? size : left;
}

void tls_flight_took(struct tls_flight *flight, size_t size)
{
    flight->input_end += size;
    flight->ended = flight->ended || size == 0;
    while (flight->input_whole < flight->input_end) {
        size_t left = flight->input_end - flight->input_whole;
        size_t next = record_size(flight->bytes + flight->input_whole, left);
        if (next == 0 || next > left) {
            break;
        }
        flight->input_whole += next;
    }
    if (flight->ended) {
        flight->input_whole = flight->input_end;
    }
}

bool tls_flight_is_due(const struct tls_flight *flight)
{
    return flight->ended || flight->input_whole > flight->input_start;
}

struct sl_bytes tls_flight_output(const struct tls_flight *flight)
{
    size_t size = flight->output_end - flight->output_start;
    return (struct sl_bytes){
        size == 0 ? NULL : flight->bytes + TLS_FLIGHT_INPUT_BYTES + flight->output_start, size};
}

void tls_flight_sent(struct tls_flight *flight, size_t size)
{
    flight->output_start += size;
    SL_ASSERT(flight->output_start <= flight->output_end);
    if (flight->output_start == flight->output_end) {
        flight->output_start = flight->output_end = 0;
    }
}

void tls_flight_land(struct tls_flight *flight)
{
    flight->input_whole = flight->input_end;
    if (flight->input_start == flight->input_end) {
        sl_free(flight->bytes);
        flight->bytes = NULL;
        flight->input_start = flight->input_whole = flight->input_end = 0;
    }
}

/* ---- the session's side ---- */

sl_err tls_flight_read(struct tls_flight *flight, void *buffer, size_t size, size_t *ret_size)
{
    size_t given = SL_MIN(size, flight->input_whole - flight->input_start);
    if (given == 0 && !flight->ended) {
        return SLUICE_E_WOULD_BLOCK;
    }
    if (given > 0) {
        memcpy(buffer, flight->bytes + flight->input_start, given);
    }
    flight->input_start += given;
    *ret_size = given;
    return SLUICE_OK;
}

void tls_flight_write(struct tls_flight *flight, const void *data, size_t size, size_t *ret_size)
{
    size_t room = flight->bytes == NULL ? 0 : TLS_FLIGHT_OUTPUT_BYTES - flight->output_end;
    *ret_size = SL_MIN(size, room);
    if (*ret_size > 0) {
        memcpy(flight->bytes + TLS_FLIGHT_INPUT_BYTES + flight->output_end, data, *ret_size);
    }
    flight->output_end += *ret_size;
    flight->refused = flight->refused || *ret_size < size;
}
