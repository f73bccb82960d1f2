/* <sluice/message_set.h>: Kafka's record formats before batches, to and from batches (extension
 * "sluice.message_set/1").
 *
 * produce takes and fetch gives batches of format 2 alone (broker.h). A frontend whose clients are
 * older lets the host convert: message sets of magic 0 (Kafka before 0.10) and magic 1 (before
 * 0.11), compressed ones too. It takes about 1 ms a MiB, and much more where bytes are compressed
 * again: call it in a task (task.h), where it is allowed. */
#ifndef SLUICE_MESSAGE_SET_H
#define SLUICE_MESSAGE_SET_H

#include <sluice/types.h>

/* Id of struct sluice_message_set_host, for sluice_host.get_extension. */
#define SLUICE_EXT_MESSAGE_SET "sluice.message_set/1"

/* Conversions. Borrowed from the host; lives as long as the instance. What they give is the host's
 * memory, to be given back once with `release`. */
struct sluice_message_set_host {
    uint32_t size;
    uint32_t reserved;
    void *data; /* the host's */
    /* One batch with the messages of `set`, offsets from 0, under the codec of the first that is
     * compressed. SLUICE_E_CORRUPT_BATCH: a lying size, a CRC that does not fit.
     * SLUICE_E_INVALID_RECORD: no message, or compressed ones within compressed ones.
     * SLUICE_E_UNSUPPORTED_MAGIC, SLUICE_E_UNSUPPORTED_CODEC, SLUICE_E_INVALID_TIMESTAMP,
     * SLUICE_E_EXPANDS_TOO_FAR, SLUICE_E_LIMIT, SLUICE_E_NO_MEMORY. [any] [blocks] */
    sluice_status (*to_batch)(const struct sluice_message_set_host *host, struct sluice_bytes set,
                              struct sluice_bytes *ret_batch);
    /* The records from `offset` on of whole batches, as a fetch gives them, in messages of `magic`
     * (0 or 1): until bytes_max are reached, but one message or compressed run in any case. Headers
     * of records, and times in magic 0, are left out, and so are markers of transactions.
     * *ret_next_offset: behind what was looked at, also where no message came of it.
     * SLUICE_E_UNSUPPORTED_CODEC: zstd comes first, which such clients do not know.
     * SLUICE_E_BATCH_TOO_LARGE: a record does not fit. SLUICE_E_CORRUPT_BATCH and others: stored
     * bytes are not what they should be. SLUICE_E_NO_MEMORY. [any] [blocks] */
    sluice_status (*from_batches)(const struct sluice_message_set_host *host,
                                  struct sluice_bytes batches, int32_t magic, int64_t offset,
                                  uint64_t bytes_max, struct sluice_bytes *ret_set,
                                  int64_t *ret_next_offset);
    /* Gives back what a conversion gave; nothing where its data is NULL. [any] */
    void (*release)(const struct sluice_message_set_host *host, struct sluice_bytes bytes);
};

#endif
