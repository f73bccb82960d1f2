/* <sluice/filter.h>: judges records by an expression in Lua, in a confined process (extension
 * "sluice.filter/1").
 *
 *   open(text) ─► a worker compiles it ─► opened;   add, add … judge ─► judged: a bit a record
 *
 * Those who open the same text on one loop share a worker. Nothing that the text does can hurt the
 * host: it runs in a sandbox, within limits of time and memory. A record on which it raises does
 * not pass, and is told apart from those that do not fit; where it raises on many, one after the
 * other, takes too long or kills its worker, who had those records judged gets an error, and nobody
 * else. [loop] */
#ifndef SLUICE_FILTER_H
#define SLUICE_FILTER_H

#include <sluice/processor.h>

/* Id of struct sluice_filter_host, for sluice_host.get_extension. */
#define SLUICE_EXT_FILTER "sluice.filter/1"

#define SLUICE_FILTER_TEXT_BYTES_MAX 4096u /* of an expression */
#define SLUICE_FILTER_RECORDS_MAX    4096u /* that are judged at once */

/* One user of an expression, with one batch at a time; the host's. */
struct sluice_filter;

/* It is compiled, or why it is not: a sentence. */
typedef void sluice_filter_opened(void *arg, sluice_status status, struct sluice_text reason);
/* SLUICE_OK: bit i of `passes` (byte i / 8, the lowest first) is set when record i of those that
 * were added passes, and that of `raised` when the expression raised on it, so that it does not.
 * Else why there is no answer; SLUICE_E_LIMIT: the records are too large, others can be judged;
 * after any other status the filter is only to be closed. All is valid until it returns, or until
 * the filter is closed. */
typedef void sluice_filter_judged(void *arg, sluice_status status, struct sluice_text reason,
                                  const uint8_t *passes, const uint8_t *raised, uint32_t count);

/* The calls. Borrowed from the host; lives as long as the instance. */
struct sluice_filter_host {
    uint32_t size;
    uint32_t reserved;
    void *data;
    /* `text` is a Lua expression over `record`, `context` the client for whom it judges: its user,
     * or where nobody logged in its address and client id. `opened` follows, perhaps inside, unless
     * the filter is closed before; NULL: nobody asks. On failure *ret_reason is a sentence, valid
     * until the next call. SLUICE_E_INVALID: it is longer than it may be, or no expression.
     * SLUICE_E_UNSUPPORTED: the operator turned it off. SLUICE_E_LIMIT: as many expressions are
     * open as may be, or the client has half of them. SLUICE_E_NO_MEMORY. */
    sluice_status (*open)(const struct sluice_filter_host *host,
                          const struct sluice_context *context, struct sluice_text text,
                          sluice_filter_opened *opened, void *arg,
                          struct sluice_filter **ret_filter, struct sluice_text *ret_reason);
    /* Copies a record into the batch that is judged next; offsets rise. Not while one is judged.
     * SLUICE_E_LIMIT: the batch is full. SLUICE_E_NO_MEMORY. */
    sluice_status (*add)(const struct sluice_filter_host *host, struct sluice_filter *filter,
                         const struct sluice_record *record);
    /* What was added, which lies in that partition of the topic. SLUICE_OK: `judged` follows, never
     * inside, unless the filter is closed before; no two at once. Else what was added is gone:
     * SLUICE_E_INVALID: nothing was, or it is not open yet. SLUICE_E_NO_MEMORY. */
    sluice_status (*judge)(const struct sluice_filter_host *host, struct sluice_filter *filter,
                           struct sluice_text topic, int32_t partition,
                           sluice_filter_judged *judged, void *arg, struct sluice_text *ret_reason);
    /* Nothing of it follows. [takes filter] */
    void (*close)(const struct sluice_filter_host *host, struct sluice_filter *filter);
};

#endif
