/* client_fixture.h: a client without a network: the test is its server and its clock. */
#ifndef CLIENT_FIXTURE_H
#define CLIENT_FIXTURE_H

#include "frame_io.h"

#include <sluice/client.h>

#include <criterion/criterion.h>

struct seen {
    uint32_t count; /* of results, messages or events */
    sluice_status status;
    int64_t offset;
    bool duplicate;
    bool delayed;
    char text[64]; /* of the last: its sentence, or its value */
    uint32_t event;
    uint64_t value;
    uint32_t source;
    char log[512]; /* each in a word */
};

extern struct sluice_client *client;
extern int64_t now_ms;
extern struct frame_out server; /* a frame that the test puts together */

/* A client that has not been connected; a test's own options, or NULL. */
void fixture_open(const struct sluice_client_options *options);
/* …that is ready. */
void fixture_ready(const struct sluice_client_options *options);
/* Another connection, until ready; then `pending` has what else the client sent. */
void fixture_reconnect(void);
void fixture_close(void);

/* What the client wants sent, as text of hex; it is sent then. */
const char *fixture_sent(void);
/* The kinds of frames that it wants sent, "16 20"; ret_id of the last. They are sent then. */
const char *fixture_kinds(uint32_t *ret_id);

struct frame_out *from_server(uint16_t kind, uint16_t flags, uint32_t id);
/* Ends the frame and feeds it: all at once, or byte by byte. */
sluice_status feed_server(void);
extern bool feeds_bytes;
void put_text(const char *text);
void put_record(int64_t offset, const char *value);
/* SUBSCRIBED and one SOURCE 7 (topic "orders", partition 2, from offset 0). */
void accept_subscription(uint32_t id, int64_t offset);
/* MESSAGES of source 7 with records of these offsets; the last is -1. */
sluice_status feed_messages(uint32_t id, uint16_t flags, const int64_t *offsets);

sluice_done_fn on_done;
sluice_message_fn on_message;
sluice_subscription_fn on_event;

#endif
