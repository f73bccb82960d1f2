/* subscription_state.h: what a subscription consists of; private to
 * subscription*.c.
 *
 * Credit: `left` is what the server may still send, `used` what the application
 * has taken and has not been given again. Messages of a subscription without a
 * callback wait in chunks, each a MESSAGES frame as it came, so that their
 * memory is bounded by the credit. */
#ifndef SLUICE_CLIENT_SUBSCRIPTION_STATE_H
#define SLUICE_CLIENT_SUBSCRIPTION_STATE_H

#include "client_state.h"

enum subscription_phase {
    PHASE_WAITING, /* for a connection, or for the answer to SUBSCRIBE */
    PHASE_OPEN,
    PHASE_ENDED,   /* by the server; the application is to close it */
    PHASE_CLOSING, /* closed by the application; UNSUBSCRIBED is to come */
    PHASE_CLOSED,  /* memory that is to be freed */
};

struct source {
    uint32_t number; /* the client's: another for each connection */
    uint32_t wire;   /* the server's */
    bool is_current; /* of the present connection */
    int32_t partition;
    struct sluice_uuid topic_id;
    int64_t next; /* the first offset that was not had; -1: not known */
    char *topic;
    size_t topic_size;
};

/* A MESSAGES frame that waits to be taken. */
struct chunk {
    struct chunk *next;
    struct source *source;
    uint32_t count; /* records that are not taken */
    size_t at;      /* the next of them */
    size_t size;
    uint8_t records[];
};

struct sluice_subscription {
    struct sluice_client *client;
    struct sluice_subscription *next;
    uint32_t id;
    enum subscription_phase phase;
    bool was_sent; /* SUBSCRIBE, over the present connection */
    sluice_status why;
    char why_text[CLIENT_TEXT_MAX + 1];
    struct sluice_subscribe options; /* texts are own copies */

    uint64_t left_records, left_bytes;
    uint64_t used_records, used_bytes;
    uint64_t queued_records, queued_bytes;

    struct source **sources;
    uint32_t source_count, source_capacity;
    struct source *last_source; /* a guess for the next lookup */
    struct chunk *first_chunk, *last_chunk;
    struct chunk *held_chunk; /* has the message that was taken last */
    struct request *first_ack, *last_ack;
};

/* -- subscription.c -- */

/* Tells its owner, unless he has closed it. */
void subscription_tell(struct sluice_subscription *subscription, uint32_t event,
                       sluice_status status, struct sluice_text text, uint64_t value);

/* -- subscription_messages.c -- */

/* Adds to what the server may send, and says so over the present connection. */
void subscription_give(struct sluice_subscription *subscription, uint64_t records, uint64_t bytes);
/* The source of the present connection that has this number, or NULL. */
struct source *subscription_source(struct sluice_subscription *subscription, uint32_t number);
/* Messages that wait to be taken go. */
void subscription_drop_queue(struct sluice_subscription *subscription);
sluice_status subscription_take_source(struct sluice_subscription *subscription,
                                       const struct frame_view *frame);
sluice_status subscription_take_records(struct sluice_subscription *subscription,
                                        const struct frame_view *frame);
sluice_status subscription_take_stalled(struct sluice_subscription *subscription,
                                        const struct frame_view *frame);

/* -- subscription_acks.c -- */

sluice_status subscription_take_acked(struct sluice_subscription *subscription,
                                      const struct frame_view *frame);
/* Takes the oldest one that waits for its answer, or NULL. */
struct request *subscription_pop_ack(struct sluice_subscription *subscription);
void subscription_fail_acks(struct sluice_subscription *subscription, sluice_status status);

#endif
