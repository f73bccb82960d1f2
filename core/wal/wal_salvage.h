/* wal_salvage.h: writes what is intact of a damaged log into a new one, for `sluice wal salvage`.
 *
 * The source is only read. The result is a log like any other (docs/formats/wal.md): the items of
 * the best checkpoint, and every frame that can be read, under its own LSN. A frame that cannot be
 * read is replaced by an IDLE frame, so that LSNs stay what they were and nothing looks lost that
 * is not. Behind a torn tail, where recovery would cut, this ends too: what was never acknowledged
 * does not come back. The caller may add items. Everything here [blocks]. */
#ifndef SL_WAL_WAL_SALVAGE_H
#define SL_WAL_WAL_SALVAGE_H

#include "wal/wal_format.h"

struct wal_salvage_adder;
/* An item of the caller's own, in the frame at hand; all is copied. body: empty where it has none.
 * E_NO_MEMORY, E_LIMIT. */
sl_err wal_salvage_add(struct wal_salvage_adder *adder, uint16_t kind, uint8_t version,
                       struct sl_bytes payload, struct sl_bytes body) SL_MUST_CHECK;

struct wal_salvage_events {
    /* An item that a start on the result would apply; false: it is left out. The payload may be
     * replaced by another one, which must stay until the next call. body: empty where the item has
     * none. sure: the body's CRC held; else the item itself must tell whether its body is
     * whole. All is borrowed for the call. */
    bool (*keep)(void *arg, uint64_t lsn, struct wal_item_view *item, struct sl_bytes body,
                 bool sure);
    /* Frames that cannot be read. first_lsn 0: it is not known where the gap begins. where: file
     * and position. */
    void (*lost)(void *arg, uint64_t first_lsn, uint64_t last_lsn, const char *where);
    /* NULL: nothing is added. Before each BATCH item: what is to stand before it. next NULL: the
     * log ends; called until it adds nothing, a frame for each time. An error ends all. */
    sl_err (*add)(void *arg, uint64_t lsn, const struct wal_item_view *next, struct sl_bytes body,
                  bool sure, struct wal_salvage_adder *adder);
};

struct wal_salvage_report {
    uint64_t checkpoint_lsn; /* 0: none could be read, or there was none */
    uint64_t first_lsn, last_lsn;
    uint64_t frames_kept;
    uint64_t frames_lost; /* as far as it is known */
    uint64_t items_left_out;
    uint64_t bytes_cut; /* of a torn tail: never acknowledged */
    bool has_loss;
    bool front_is_lost; /* nothing tells of what was before the first segment */
    char problem[WAL_PROBLEM_BYTES];
};

/* from, to: "…/shard-0"; to/wal is made; to NULL: nothing is written, all else is the same.
 * SLUICE_OK: the result is whole and durable. E_NOT_FOUND: there is no log. E_CORRUPT: no file
 * header in it is intact. E_NEWER_FORMAT, E_IO (also when the result cannot be written),
 * E_NO_MEMORY: ret_report->problem says what. */
sl_err wal_salvage(struct sl_os *os, const char *from, const char *to,
                   const struct wal_salvage_events *events, void *arg,
                   struct wal_salvage_report *ret_report) SL_MUST_CHECK;

#endif
