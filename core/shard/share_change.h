/* share_change.h: changes of windows on their way to the log: what ranges of what streams changed
 * is collected while the windows change, encoded after, and submitted as one unit.
 *
 * Windows are changed before the log says so: what is acknowledged counts at once, and whoever
 * acknowledged is answered when it is durable. A crash between takes it back, which delivers the
 * records again. [shard's loop] */
#ifndef SL_SHARD_SHARE_CHANGE_H
#define SL_SHARD_SHARE_CHANGE_H

#include "shard/shard.h"

struct share_change {
    struct wal_unit unit;
    struct shard *shard;
    struct sl_buffer bytes; /* payloads, one behind the other */
    struct wal_item *items; /* owned; payload.data is set at the submit */
    uint32_t item_capacity;
    int64_t *ends; /* owned; first and last of what changed of the stream at hand */
    uint32_t end_count;
    uint32_t end_capacity;
    bool is_whole; /* there was no memory to note it: the whole window is written */
    sl_err err;    /* of encoding; then nothing is submitted */
    void (*done)(struct share_change *change, sl_err err);
};

void share_change_init(struct share_change *change, struct shard *shard);
void share_change_fini(struct share_change *change);
/* A share_changed_fn, for the stream at hand; arg: the change. */
void share_change_note(void *arg, int64_t first, int64_t last);
/* What was noted, of this stream, as it is now; nothing where nothing was. */
void share_change_add(struct share_change *change, const struct share_stream *stream);
/* The whole window. */
void share_change_add_whole(struct share_change *change, const struct share_stream *stream);
/* A payload that was encoded elsewhere. */
void share_change_add_payload(struct share_change *change, uint16_t kind, struct sl_bytes payload);
static inline bool share_change_is_empty(const struct share_change *change)
{
    return change->unit.item_count == 0 && change->err == SLUICE_OK;
}
/* `done` runs once, perhaps at once. */
void share_change_submit(struct share_change *change,
                         void (*done)(struct share_change *change, sl_err err));

#endif
