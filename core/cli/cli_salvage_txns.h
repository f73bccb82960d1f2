/* cli_salvage_txns.h: transactions of a damaged data folder, for `sluice wal salvage`.
 *
 * Where frames of a log are lost, markers of transactions and decisions of their coordinators may
 * be among them. What is salvaged must not let readers wait for ever, nor show them what was
 * aborted. So, where anything is lost in any shard:
 *
 *   offsets missing in a partition whose      each of its open transactions may have ended there:
 *   transactions are open                     an abort marker for each, at the missing offsets
 *   a marker whose batch is damaged           written anew, as its item says
 *   the marker, missing, of a transaction     written anew, where it was
 *   that a checkpoint knows as aborted
 *   open at the end of the log                an abort marker, unless its coordinator has durably
 *                                             decided to commit just this one
 *   a coordinator's open transaction          to be aborted, its producer fenced, as at a timeout
 *   pending offsets that no coordinator       given up
 *   will commit or give up
 *
 * Where nothing is lost, nothing is changed: the next start goes on with what is open. One thread;
 * [blocks]. */
#ifndef SL_CLI_CLI_SALVAGE_TXNS_H
#define SL_CLI_CLI_SALVAGE_TXNS_H

#include "admit/producer_state.h"
#include "admit/txn_store.h"
#include "cli/cli_coverage.h"
#include "deliver/txn_offsets.h"
#include "index/batch_item.h"
#include "wal/wal_salvage.h"

/* What a partition knows of transactions, and where its log is. */
struct salvage_stream {
    struct producers producers;
    int64_t told_end;   /* the checkpoint's state holds below it */
    int64_t seen_end;   /* behind its last batch in the log; -1: there was none yet */
    uint32_t losses;    /* when it had its last batch */
    int64_t *condemned; /* owned: producers whose further markers are left out */
    uint32_t condemned_count;
};

/* A decision of a coordinator, in the folder. */
struct salvage_decision {
    const struct txn *txn;
    bool is_doubtful; /* something of its shard's log is lost: it may be an older one's */
};

struct salvage_txns {
    bool has_loss;            /* somewhere in the folder: else nothing is done */
    struct txn_store *stores; /* owned; of each shard */
    bool *shard_losses;       /* owned; something of its log is lost */
    uint32_t shard_count;
    struct salvage_decision *decisions; /* owned; by producer */
    uint32_t decision_count;
    /* of the shard at hand */
    uint32_t shard; /* its index */
    uint32_t losses;
    uint64_t checkpoint_lsn;
    struct coverage *coverage;
    struct producer_shard *producers;
    struct txn_offsets offsets;
    uint32_t tail_at; /* next stream of the table, then steps behind them */
    /* A transaction that is aborted here; told once. */
    void (*aborted)(void *arg, const struct coverage_stream *stream, int64_t producer_id,
                    int64_t first_offset);
    void *arg;
};

/* E_NO_MEMORY. */
sl_err salvage_txns_init(struct salvage_txns *txns, uint32_t shard_count) SL_MUST_CHECK;
void salvage_txns_fini(struct salvage_txns *txns);

/* All logs are read once before any is written: TXN items, and what is lost. */
sl_err salvage_txns_learn(struct salvage_txns *txns, uint32_t shard,
                          const struct wal_item_view *item) SL_MUST_CHECK;
void salvage_txns_lost(struct salvage_txns *txns, uint32_t shard);
sl_err salvage_txns_decide(struct salvage_txns *txns) SL_MUST_CHECK; /* all were read */

/* A shard's log is written; between begin and end. */
sl_err salvage_txns_begin(struct salvage_txns *txns, uint32_t shard,
                          struct coverage *coverage) SL_MUST_CHECK;
void salvage_txns_end(struct salvage_txns *txns);
/* Any item that is kept but BATCH. from_checkpoint: it is the checkpoint's. */
sl_err salvage_txns_item(struct salvage_txns *txns, const struct wal_item_view *item,
                         bool from_checkpoint) SL_MUST_CHECK;
/* A BATCH item is next: what must stand before it. is_whole: its body is. */
sl_err salvage_txns_before(struct salvage_txns *txns, uint64_t lsn, const struct batch_item *batch,
                           bool is_whole, struct wal_salvage_adder *adder) SL_MUST_CHECK;
/* It must be left out: a marker that may not end what it would. */
bool salvage_txns_refuses(const struct salvage_txns *txns, const struct batch_item *batch);
/* The log ends; until it adds nothing. cli_salvage_tail.c */
sl_err salvage_txns_tail(struct salvage_txns *txns, struct wal_salvage_adder *adder) SL_MUST_CHECK;

/* ---- of both files ---- */

struct salvage_stream *salvage_stream_of(struct salvage_txns *txns, struct coverage_stream *known);
/* A marker at that offset, into the log and the state. */
sl_err salvage_marker_add(struct salvage_stream *stream, const struct coverage_stream *known,
                          int64_t producer_id, bool aborts, int64_t offset,
                          struct wal_salvage_adder *adder) SL_MUST_CHECK;
/* Markers of transactions that are known as aborted, where they are missing in [from, to). */
sl_err salvage_markers_restore(struct salvage_stream *stream, struct coverage_stream *known,
                               int64_t from, int64_t to,
                               struct wal_salvage_adder *adder) SL_MUST_CHECK;

#endif
