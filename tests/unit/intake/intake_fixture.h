/* intake_fixture.h: a loop on a thread of its own with an intake and a frontend that does what its
 * input says; the test is the peer on a socket pair.
 *
 * The codec: bytes are xored with FIXTURE_XOR; of the peer 'P' wants to be answered with "p", 'Q'
 * ends; output has an 'H' in front of it, the last is 'E' (ends) or 'A' (away).
 *
 * The fake's protocol: frames of size u32 (little-endian, of what follows), command u8, argument.
 *   e bytes   answers the same frame
 *   w u32     answers with so many bytes, in one call for each 64 KiB
 *   r u32     answers with a chunk that the broker gave, named by token
 *   p         pauses; fixture_resume goes on
 *   z         pauses and resumes within the call, and takes the frame when it is called again
 *   d         has records on their way to the log, until the test says otherwise
 *   u         answers "over" and hands the connection to who speaks "fake.1", with a codec; where
 * it is refused, answers with the status as u32 c         closes; x: fails the call; t: sends to a
 * stale token, answers with the status */
#ifndef TESTS_INTAKE_FIXTURE_H
#define TESTS_INTAKE_FIXTURE_H

#include "intake/conn.h"
#include "os/os_uv.h"

#define FIXTURE_XOR                    0x80u /* nothing of the fake's protocol is 'P' or 'Q' then */
#define FIXTURE_REQUEST_BYTES_MAX      (8u << 20)
#define FIXTURE_DECOMPRESSED_BYTES_MAX (1u << 20)

/* One of perhaps two. */
struct fake_instance {
    struct fake_frontend *frontend;
    const struct sluice_frontend_host *io;
    const struct sluice_upgrade_host *upgrade;
};

struct fake_connection {
    struct fake_instance *instance;
    struct fake_frontend *frontend;
    uint64_t token;
    bool zig; /* the next call takes the frame */
};

struct fake_frontend {
    const struct sluice_frontend_host *io; /* of the first instance */
    uint32_t codecs;                       /* that live */
    bool says_bye;                         /* when it leaves */
    uint32_t opened, closed, created, destroyed, inputs, frames;
    uint32_t in_a_row, most_in_a_row; /* frames of one connection */
    const void *last;                 /* whose frame was the last one */
    uint64_t last_token;
    uint64_t stale_token;
    uint64_t queued;       /* behind the last echo, as it is told */
    sluice_status written; /* of the last conn_write */
    bool refuse_open;
    bool is_secure;    /* its listener has TLS */
    bool ask_too_much; /* wants more than may be wanted */
};

struct fixture {
    struct sl_os *os;
    struct sl_loop *loop;
    struct chunk_cache cache;
    struct intake intake;
    struct frontend *frontend;
    struct fake_frontend fake; /* touched on the loop, or by fixture_on_loop */
    struct sluice_broker broker;
    uint64_t cancelled;
    uint32_t cancels;
    bool calls_pending;
};

void fixture_open(struct fixture *fixture, uint64_t budget_bytes, uint32_t connections_max);
/* Another frontend of the same kind; NULL: no listener. [loop] */
struct frontend *fixture_add_frontend(struct fixture *fixture, struct listener *listener);
void fixture_close(struct fixture *fixture); /* drains, and expects nothing to be left */
/* Runs fn on the loop and waits for its end. */
void fixture_on_loop(struct fixture *fixture, void (*fn)(struct fixture *fixture));
/* A connection; returns the peer's descriptor, which blocks. */
int fixture_connect(struct fixture *fixture);
void fixture_resume(struct fixture *fixture); /* the connection opened last */
/* Looks again and again, up to some seconds, until `holds` is true on the loop. */
bool fixture_wait(struct fixture *fixture, bool (*holds)(struct fixture *fixture));

/* A frame for the fake; returns its size. */
size_t fixture_frame(uint8_t *into, char command, const void *argument, size_t size);
void fixture_send(int peer, const void *bytes, size_t size);
/* Reads exactly so many bytes; false: the connection ended before. */
bool fixture_receive(int peer, void *bytes, size_t size);
void fixture_send_number(int peer, char command, uint32_t number);
void fixture_send_command(int peer, char command);
/* Sends a small frame and expects it back: everything before it has been dealt with. */
bool fixture_answers(int peer);
bool fixture_is_closed(int peer); /* waits for the end, reads what comes before */

#endif
