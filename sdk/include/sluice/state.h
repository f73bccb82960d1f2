/* <sluice/state.h>: what a stage remembers from batch to batch, exactly once (extension
 * "sluice.state/1").
 *
 * Keys and values are bytes. There is one state for each partition of each input topic of an
 * instance: a record sees what records before it in its partition left. Changes become durable in
 * one step with the outputs of the batch and the position behind it: after a crash of the plugin,
 * of the broker or of the machine, a batch that was not committed runs again on the state from
 * before it. A new version of the plugin goes on with the state.
 *
 * A change belongs to a record of the running batch, as a verdict does: when the record is rejected
 * or comes again, its changes are taken back. The working copy lies in the memory of the plugin's
 * process and counts there; limits.state_bytes bounds it for each partition.
 *
 * For stages alone: a gate that asks for this extension is refused. [process] */
#ifndef SLUICE_STATE_H
#define SLUICE_STATE_H

#include <sluice/plugin.h>

/* Id of the extension; its table is a struct sluice_state. */
#define SLUICE_EXT_STATE             "sluice.state/1"
#define SLUICE_STATE_KEY_BYTES_MAX   1024u        /* of a key, which is at least one byte */
#define SLUICE_STATE_VALUE_BYTES_MAX (256u << 10) /* of a value, which may be empty */

/* The table of the extension. All calls are for a running process_batch alone (else
 * SLUICE_E_INVALID), and each may give
 *   SLUICE_E_WOULD_BLOCK   the state is not here yet, which only the first call in a worker's life
 *                          finds: return it from process_batch; the batch comes again with the
 *                          state, whatever was done with it so far is void
 *   SLUICE_E_UNSUPPORTED   these records have no state: those of a gate
 *   SLUICE_E_NO_MEMORY     the limit of the process is reached; nothing changed */
struct sluice_state {
    uint32_t size;
    uint32_t reserved;
    void *data; /* the host's */
    /* The value of a key; the view lives until the next put or remove, or the end of the batch.
     * SLUICE_E_NOT_FOUND: there is none. [process] */
    sluice_status (*get)(const struct sluice_state *state, struct sluice_bytes key,
                         struct sluice_bytes *ret_value);
    /* Sets it, by copy, for record `index` of the running batch. Indexes rise from change to
     * change. SLUICE_E_LIMIT: the state would grow above limits.state_bytes. SLUICE_E_BUSY: the
     * changes of this batch are full (1 MiB): retry this record and those after it, they come
     * again in a batch of their own. SLUICE_E_INVALID: a key or value is too long, or the record
     * has its verdict behind it. After all of them nothing changed. [process] */
    sluice_status (*put)(const struct sluice_state *state, uint32_t index, struct sluice_bytes key,
                         struct sluice_bytes value);
    /* Forgets a key, for record `index`; one that is not there is fine. Errors as put. [process] */
    sluice_status (*remove)(const struct sluice_state *state, uint32_t index,
                            struct sluice_bytes key);
    /* All keys, in no order that is promised: *cursor is 0 first and then as the call left it.
     * Views as those of get. Keys that are added on the way are seen, too. SLUICE_E_NOT_FOUND:
     * that was all. [process] */
    sluice_status (*next)(const struct sluice_state *state, uint64_t *cursor,
                          struct sluice_bytes *ret_key, struct sluice_bytes *ret_value);
};

#endif
