/* client_state.h: what a client consists of; private to the library.
 *
 * client.c: life, time, connections; client_input.c: frames that come; client_requests.c: what is
 * asked for; subscription*.c: subscriptions; client_login.c: logins. All of it runs on the caller's
 * thread. */
#ifndef SLUICE_CLIENT_STATE_H
#define SLUICE_CLIENT_STATE_H

#include "client_login.h"
#include "frame_io.h"

#include <sluice/client.h>

#define CLIENT_RESERVE_BYTES \
    (256u << 10) /* for what must be sent although pending_bytes_max is reached */
#define CLIENT_PART_BYTES (64u << 10) /* of a frame that has not come whole, at first */
#define CLIENT_NEVER      INT64_MAX
#define CLIENT_LEAVE_MS   1000
#define CLIENT_TEXT_MAX   255u

/* Something that was asked for and is not answered. */
struct request {
    struct request
        *next; /* in the order in which they were made; the client's, or a subscription's */
    struct request *previous;
    uint32_t id;      /* 0: an acknowledgement, which its subscription's queue finds */
    uint16_t answer;  /* the frame that answers it */
    bool is_repeated; /* is sent again over the next connection */
    bool wants_reply; /* is done when the answer of a responder is there */
    bool was_sent;
    bool was_published; /* wants_reply: the server has it */
    int64_t deadline_ms;
    sluice_done_fn *done; /* NULL: nobody waits (any more) */
    void *arg;
    uint8_t *held; /* its frame, when it may have to be sent later */
    size_t held_size;
};

/* Who has an id: one of the two. */
struct id_slot {
    uint32_t id; /* 0: free */
    struct request *request;
    struct sluice_subscription *subscription;
};

struct sluice_client {
    struct sluice_client_options options; /* texts are own copies */
    uint32_t state;                       /* SLUICE_CLIENT_… */
    uint32_t want;                        /* SLUICE_WANT_… */
    bool is_stopping;
    bool is_final;  /* no attempt to connect follows */
    uint32_t depth; /* of callbacks: memory of what they close is kept */
    sluice_status why;
    char why_text[CLIENT_TEXT_MAX + 1];

    bool has_time; /* now_ms is the transport's clock */
    int64_t now_ms;
    int64_t state_deadline_ms;   /* of GREETING, WAITING, LEAVING */
    int64_t request_deadline_ms; /* nothing times out before */
    int64_t heard_ms;            /* when bytes came last */
    int64_t muted_until_ms;      /* a quota: the server does not read before */
    int64_t held_until_ms;       /* a quota: the server pushes nothing before */
    int64_t said_ms;             /* when a frame was put last */
    bool is_asked;               /* keepalive: PING is under way */
    uint32_t backoff_ms;
    uint32_t again_ms; /* what GOAWAY asked for */
    uint32_t jitter;   /* state of a generator */

    struct frame_out out;     /* to be sent */
    struct frame_out scratch; /* one request */
    uint8_t *input;           /* of a frame that has not come whole */
    size_t input_size;
    size_t input_capacity;

    uint32_t frame_max; /* the server's, 0 before WELCOME */
    uint32_t heartbeat_ms;
    uint32_t greeting_id;
    struct client_login login;

    struct id_slot *slots;
    uint32_t slot_mask;
    uint32_t last_id;
    struct request *first_request;
    struct request *last_request;
    uint32_t request_count; /* with acknowledgements and zombies */
    size_t held_bytes;
    struct sluice_subscription *subscriptions;
    uint32_t subscription_count;
    uint32_t source_serial;
    bool has_closed; /* a subscription waits for its memory to be freed */
};

/* One frame that came. */
struct frame_view {
    uint16_t kind;
    uint16_t flags;
    uint32_t id;
    struct frame_in body;
};

/* -- client.c -- */

/* The connection cannot go on: it is to be closed. Gives `status`. `is_final`: no other follows. */
sluice_status client_break(struct sluice_client *client, sluice_status status,
                           struct sluice_text text, bool is_final);
void client_ready(struct sluice_client *client);
/* Frees what callbacks closed, unless one runs. */
void client_sweep(struct sluice_client *client);
bool client_is_up(const struct sluice_client *client);
/* Begins a frame that goes out at once, also when requests do not fit. */
void client_begin(struct sluice_client *client, uint16_t kind, uint16_t flags, uint32_t id);
/* Ends it; an error breaks the connection. */
void client_end(struct sluice_client *client);
struct sluice_text client_text(const char *text);

/* -- client_input.c -- */

sluice_status client_take_frame(struct sluice_client *client, const struct frame_view *frame);

/* -- client_requests.c -- */

/* The slot that has the id, or NULL. */
struct id_slot *client_slot(struct sluice_client *client, uint32_t id);
/* A free slot with a new id. There is one while the bounds of both kinds hold. */
struct id_slot *client_slot_take(struct sluice_client *client);
struct sluice_result result_of(sluice_status status);
/* Tells the request's owner; the request stays. */
void request_tell(struct sluice_client *client, struct request *request,
                  const struct sluice_result *result);
/* Tells the owner and frees it. */
void request_finish(struct sluice_client *client, struct request *request,
                    const struct sluice_result *result);
/* Sends what waited for a connection. */
void requests_send(struct sluice_client *client);
/* After a lost connection: `all`, or those that cannot wait for the next one. */
void requests_fail(struct sluice_client *client, sluice_status status, struct sluice_text text,
                   bool all);
void requests_tick(struct sluice_client *client);
/* Deadlines move by so much. */
void requests_shift(struct sluice_client *client, int64_t by_ms);
/* A reply to one of them. */
void requests_take_reply(struct sluice_client *client, const struct sluice_message *message);

/* -- subscription.c -- */

sluice_status subscription_take(struct sluice_subscription *subscription,
                                const struct frame_view *frame);
/* An ERROR with its id. */
void subscription_take_error(struct sluice_subscription *subscription, sluice_status status,
                             struct sluice_text text);
/* Of all: begins them over a new connection; they lost it; they end for good; acknowledgements that
 * time out; frees those that were closed, or all. */
void subscriptions_open(struct sluice_client *client);
void subscriptions_lose(struct sluice_client *client);
void subscriptions_end(struct sluice_client *client, sluice_status status, struct sluice_text text);
void subscriptions_tick(struct sluice_client *client);
void subscriptions_free(struct sluice_client *client, bool all);

#endif
