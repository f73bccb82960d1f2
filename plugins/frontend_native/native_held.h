/* native_held.h: records that were read and cannot be sent yet, as they will be sent: for want of
 * credit, or since the connection does not take its output. [loop] */
#ifndef FRONTEND_NATIVE_NATIVE_HELD_H
#define FRONTEND_NATIVE_NATIVE_HELD_H

#include "native_runs.h"
#include "native_wire.h"

#include <stdbool.h>

struct native_source;

struct native_held {
    struct native_held *next;     /* the owner's */
    struct native_source *source; /* a reference */
    int64_t until_ms;             /* monotonic: then somebody else may have them; the owner's */
    size_t at;
    size_t size;
    uint8_t *data; /* owned */
    bool sending;
    bool freed; /* while it was being sent: the connection ended */
};

/* Takes what is in the writer, whole records. NULL: nothing, or no memory; then they are gone. */
struct native_held *native_held_new(struct native_source *source, struct native_writer *writer);
void native_held_free(struct native_held *held);
/* Of the first that was not sent. */
int64_t native_held_offset(const struct native_held *held);
/* What a filter left out of what was read. */
struct native_left_out {
    const uint8_t *raised; /* bit i: it raised on record i */
    struct native_runs unfit;
    struct native_runs failed; /* on which it raised */
};
/* Keeps record i when bit i of `passes` is set; the offsets of the others go to `left_out`, unless
 * that is NULL. Before anything is sent. */
void native_held_keep(struct native_held *held, const uint8_t *passes,
                      struct native_left_out *left_out);
/* Sends what it can, and tells when the next one wants more bytes of credit than there are; false:
 * some of it stays. */
bool native_held_send(struct native_held *held);

#endif
