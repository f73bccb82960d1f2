/* share_burial.h: dead letters of one stream on their way (share_bury.h): what share_bury.c, which
 * makes them, and share_burial.c, which writes them, share. Private to both. */
#ifndef SL_SHARD_SHARE_BURIAL_H
#define SL_SHARD_SHARE_BURIAL_H

#include "shard/commit.h"
#include "shard/share_bury.h"
#include "shard/share_change.h"
#include "shard/share_letter.h"

struct burial {
    struct shard *shard;
    struct share_stream *stream; /* referenced */
    struct partition *partition; /* the stream's; referenced */
    struct sluice_fetch_entry read;
    struct sluice_context context; /* of the read: empty */
    struct chunk *chunk;           /* holds what was read */
    struct chunk *const *chunks;   /* while the read is answered */
    struct share_letter letters[SHARE_LETTERS_MAX];
    uint32_t letter_count;
    char group[SHARE_GROUP_BYTES_MAX];
    char topic[SHARE_TOPIC_BYTES_MAX + 1u];         /* the stream's */
    char letters_topic[SHARE_TOPIC_BYTES_MAX + 1u]; /* that is made */
    struct sluice_topic_spec spec;
    struct share_letter_page page;
    struct sl_buffer batch;
    struct sl_job job;
    struct shard_call call;
    struct sl_uuid target;
    uint32_t target_number;
    struct commit commit;
    struct commit_batch commit_batch;
    struct wal_item items[2];
    struct sl_buffer state; /* of the item that goes with the batch */
    struct share_change change;
    bool is_written;
    sl_err err;
};

/* ---- share_bury.c ---- */

/* Gives everything back. SLUICE_OK: the stream goes on; else it is tried again later. */
void share_burial_end(struct burial *self, sl_err err);

/* ---- share_burial.c: each ends the burial ---- */

/* The batch goes to the letters' partition, and its records are done with. */
void share_burial_commit(struct burial *self);
/* The records are done with, without letters from here. */
void share_burial_archive(struct burial *self);

#endif
