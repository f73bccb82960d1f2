/* native_inbox.c: request and reply.
 *
 *   PUBLISH with sluice-reply-to: _inbox ─► _inbox.LLLLLLLL CCCCCCCCCCCCCCCC SSSSSSSSSSSSSSSS (hex)
 *   REPLY to that ─► conn_tell (loop L, connection C) ─► S is the connection's secret ─► MESSAGES,
 * id 0
 *
 * Answers are not stored: they go from one connection to another, perhaps on another loop. Whoever
 * knows the address may answer; it cannot be guessed, and it is gone with the connection. A
 * requester that does not take its output gets no more of them. */
#include "native_frontend.h"

#include <string.h>
#include <sys/random.h>

#define ANSWER       1u /* flag */
#define PREFIX       "_inbox."
#define PREFIX_BYTES 7u
#define LOOP_DIGITS  8u
#define WORD_DIGITS  16u
#define SECRET_BYTES 8u
#define NOWHERE      (-1)

_Static_assert(NATIVE_INBOX_BYTES == PREFIX_BYTES + LOOP_DIGITS + 2 * WORD_DIGITS, "as written");

static void write_hex(char *into, uint64_t value, uint32_t digits)
{
    static const char letters[] = "0123456789abcdef";
    for (uint32_t i = 0; i < digits; i++) {
        into[i] = letters[value >> (4 * (digits - 1 - i)) & 15];
    }
}

static bool read_hex(const char *from, uint32_t digits, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (uint32_t i = 0; i < digits; i++) {
        bool is_digit = from[i] >= '0' && from[i] <= '9';
        bool is_letter = from[i] >= 'a' && from[i] <= 'f';
        if (!is_digit && !is_letter) {
            return false;
        }
        value = value << 4 | (uint64_t)(is_digit ? from[i] - '0' : from[i] - 'a' + 10);
    }
    *ret_value = value;
    return true;
}

/* ---- the address ---- */

/* False: the system has no random bytes now. */
static bool make_address(struct native_conn *conn)
{
    const struct sluice_frontend_host *io = conn->frontend->io;
    if (conn->inbox[0] != '\0') {
        return true;
    }
    if (getrandom(&conn->inbox_secret, sizeof(conn->inbox_secret), GRND_NONBLOCK) !=
        (ssize_t)sizeof(conn->inbox_secret)) {
        return false;
    }
    memcpy(conn->inbox, PREFIX, PREFIX_BYTES);
    write_hex(conn->inbox + PREFIX_BYTES, io->loop(io), LOOP_DIGITS);
    write_hex(conn->inbox + PREFIX_BYTES + LOOP_DIGITS, conn->context.connection, WORD_DIGITS);
    write_hex(conn->inbox + PREFIX_BYTES + LOOP_DIGITS + WORD_DIGITS, conn->inbox_secret,
              WORD_DIGITS);
    return true;
}

static bool is_text(const void *data, uint64_t size, const char *text)
{
    return size == strlen(text) && memcmp(data, text, (size_t)size) == 0;
}

sluice_status native_inbox_address(struct native_conn *conn, struct sluice_record *record,
                                   struct sluice_header *headers)
{
    for (uint32_t i = 0; i < record->header_count; i++) {
        struct sluice_header *header = &headers[i];
        if (!is_text(header->key.data, header->key.size, "sluice-reply-to") ||
            header->value.data == NULL ||
            !is_text(header->value.data, header->value.size, "_inbox")) {
            continue;
        }
        if (!make_address(conn)) {
            return SLUICE_E_BUSY;
        }
        header->value = (struct sluice_bytes){(const uint8_t *)conn->inbox, NATIVE_INBOX_BYTES};
    }
    return SLUICE_OK;
}

/* ---- REPLY ---- */

static void told(void *arg, sluice_status status)
{
    struct native_call *call = arg;
    struct native_conn *conn = call->conn;
    if ((call->flags & ANSWER) == 0 || !native_conn_is_open(conn)) {
        /* nobody wants to know */
    } else if (status != SLUICE_OK) {
        native_conn_error(conn, call->id, status, (struct sluice_text){NULL, 0});
    } else {
        struct native_writer *writer = native_conn_frame(conn, NATIVE_PUBLISHED, 0, call->id);
        native_write_i32(writer, NOWHERE);
        native_write_i64(writer, NOWHERE);
        native_write_i64(writer, NOWHERE);
        native_conn_send(conn);
    }
    native_call_end(call);
}

/* The note: secret u64, record. */
static void tell(struct native_conn *conn, const struct native_frame *frame,
                 struct sluice_text address, struct sluice_record *record)
{
    struct native_frontend *frontend = conn->frontend;
    struct native_call *call = native_call_new(conn, frame);
    struct native_writer note;
    uint64_t loop = 0;
    uint64_t connection = 0;
    uint64_t secret = 0;
    const char *at = address.data + PREFIX_BYTES;
    bool is_one =
        address.size == NATIVE_INBOX_BYTES && memcmp(address.data, PREFIX, PREFIX_BYTES) == 0 &&
        read_hex(at, LOOP_DIGITS, &loop) && read_hex(at + LOOP_DIGITS, WORD_DIGITS, &connection) &&
        read_hex(at + LOOP_DIGITS + WORD_DIGITS, WORD_DIGITS, &secret);
    if (call == NULL) {
        return;
    }
    if (!is_one) {
        told(call, SLUICE_E_NOT_FOUND);
        return;
    }
    record->offset = NOWHERE;
    record->timestamp =
        record->timestamp < 0 ? frontend->io->wall_ms(frontend->io) : record->timestamp;
    native_writer_init(&note, frontend->limits.frame_bytes_max);
    native_write_u64(&note, secret);
    native_record_write(&note, record, 0);
    if (note.failed) {
        told(call, SLUICE_E_NO_MEMORY);
    } else {
        frontend->broker->conn_tell(frontend->broker, &conn->context, (uint32_t)loop, connection,
                                    (struct sluice_bytes){note.data, note.size}, told, call);
    }
    native_writer_fini(&note);
}

bool native_handle_reply(struct native_conn *conn, const struct native_frame *frame)
{
    struct native_frontend *frontend = conn->frontend;
    struct native_reader reader;
    native_reader_init(&reader, frame->body, frame->body_size);
    struct sluice_text address = native_read_text(&reader);
    sluice_status status =
        reader.failed ? SLUICE_E_MALFORMED : native_read_some(frontend, &reader, 1);
    if (status == SLUICE_E_NO_MEMORY) {
        native_conn_error(conn, frame->id, status, (struct sluice_text){NULL, 0});
    } else if (status != SLUICE_OK) {
        native_conn_goaway(conn, SLUICE_E_MALFORMED, "the REPLY cannot be read");
    } else {
        tell(conn, frame, address, &frontend->read_records[0]);
    }
    native_read_give_back(frontend);
    return true;
}

/* ---- the requester ---- */

sluice_status native_conn_told(void *self, void *data, struct sluice_bytes note)
{
    struct native_conn *conn = data;
    struct native_reader reader;
    (void)self;
    native_reader_init(&reader, note.data, (size_t)note.size);
    uint64_t secret = native_read_u64(&reader);
    if (reader.failed || conn->inbox[0] == '\0' || secret != conn->inbox_secret ||
        !native_conn_is_open(conn)) {
        return SLUICE_E_NOT_FOUND;
    }
    if (conn->blocked) {
        return SLUICE_E_LIMIT;
    }
    struct native_writer *writer = native_conn_frame(conn, NATIVE_MESSAGES, 0, 0);
    native_write_u32(writer, 0);
    native_write_u32(writer, 1);
    native_write_bytes(writer, reader.at, (size_t)(reader.end - reader.at));
    native_conn_send(conn);
    return SLUICE_OK;
}
