/* delayed.h: records that are published now and appended later.
 *
 *   produce ─► one unit: the batch into __sluice_delayed, DELAY ─► answered
 *   … time ─► read it ─► one unit: the batch into its partition, DELAY (over) ─► readers
 *
 * So each is appended once, whatever happens, and nobody sees it before. The stream of the shard is
 * one partition of the internal topic __sluice_delayed, which is made with the first such record
 * and has a partition on each shard; its log start follows the oldest record that waits, and one
 * that waits so long that much lies behind it is written anew at the end. Records of a topic that
 * was deleted meanwhile go with it. What cannot be appended (the disk is full) is tried again,
 * after 250 ms first and 8 s at most: it is late, and not lost. [shard's loop] */
#ifndef SL_SHARD_DELAYED_H
#define SL_SHARD_DELAYED_H

#include "deliver/delay_book.h"
#include "os/os.h"

#define DELAYED_TOPIC "__sluice_delayed"

struct partition;
struct shard;
struct delay_round;

struct delayed {
    struct delay_book book;
    struct delay_round *round; /* under way; NULL: none */
    bool raising;              /* the log start of the stream */
    int64_t retry_ms;          /* mono; no round before it */
    int64_t backoff_ms;
    uint64_t appended, dropped; /* records whose time had come; whose topic was gone */
};

/* The stream of the shard, opened; NULL: the topic is not there, or no memory. */
struct partition *delayed_stream(struct shard *shard);
/* Appends what is due. Returns when to look again, mono. */
int64_t delayed_tick(struct shard *shard, int64_t now_ms);
int64_t delayed_due_ms(const struct shard *shard); /* the same, without doing anything */

#endif
