/* load_record.h: the values of records that are load: a stamp, then text that nobody compresses to
 * nothing.
 *
 *   0 "sluiceB1"   8 u64 run   16 u32 stream   20 u32 0   24 u64 sequence   32 i64 due, ns
 *
 * little-endian. A stream is what one connection sends, to one partition, numbered from 0; `due` is
 * the monotonic time of the machine at which the record was to be sent. Pure. [any] */
#ifndef SL_LOAD_LOAD_RECORD_H
#define SL_LOAD_LOAD_RECORD_H

#include "base/base.h"

#define LOAD_STAMP_BYTES 40u

struct load_stamp {
    uint64_t run, sequence;
    int64_t due_ns;
    uint32_t stream;
};

/* False: it is no record of this kind. */
bool load_stamp_read(struct sl_bytes value, struct load_stamp *ret_stamp);

/* The value of one connection's next record: the same bytes but for the stamp. */
struct load_maker {
    uint8_t *value; /* owned */
    size_t size;
};
/* size: at least LOAD_STAMP_BYTES. SLUICE_E_NO_MEMORY. */
sl_err load_maker_init(struct load_maker *maker, size_t size, uint64_t run,
                       uint32_t stream) SL_MUST_CHECK;
void load_maker_fini(struct load_maker *maker);
/* Borrowed until the next one. */
struct sl_bytes load_maker_next(struct load_maker *maker, uint64_t sequence, int64_t due_ns);

#endif
