/* load_sequence.h: which of the numbers 0, 1, 2, … came, how often, and in which order: what is
 * lost, duplicated, out of order. A bit a number in pages, of which a page that is full costs
 * nothing any more. [any] */
#ifndef SL_LOAD_LOAD_SEQUENCE_H
#define SL_LOAD_LOAD_SEQUENCE_H

#include "base/base.h"

#define LOAD_SEQUENCE_MAX \
    (UINT64_C(1) << 32) /* numbers: half a GiB where every second one is lost */

struct load_page;

/* All zero: nothing came. */
struct load_sequence {
    struct load_page **pages; /* owned */
    uint64_t page_count;
    uint64_t first, next; /* the lowest that came, and behind the highest */
    uint64_t came;        /* different ones */
    uint64_t duplicated;  /* came again */
    uint64_t reordered;   /* came for the first time, behind a higher one */
};

/* SLUICE_E_LIMIT: the number is LOAD_SEQUENCE_MAX or more. SLUICE_E_NO_MEMORY. */
sl_err load_sequence_take(struct load_sequence *sequence, uint64_t number) SL_MUST_CHECK;
/* Those between the first and the last that did not come. */
uint64_t load_sequence_gaps(const struct load_sequence *sequence);
void load_sequence_fini(struct load_sequence *sequence);

#endif
