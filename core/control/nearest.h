/* nearest.h: "did you mean": the candidate with the fewest typing slips. Pure data. */
#ifndef SL_CONTROL_NEAREST_H
#define SL_CONTROL_NEAREST_H

#include "base/base.h"

#define NEAREST_TEXT_MAX 96 /* longer words are not compared */

/* Keeps the best candidate so far. Start with word set and all else zero. */
struct nearest {
    const char *word;
    const char *best; /* NULL: nothing is near */
    uint32_t best_distance;
};

/* Insertions, deletions, replacements and swaps of neighbours between two words (optimal string
 * alignment); UINT32_MAX when one is longer than NEAREST_TEXT_MAX. [any] */
uint32_t nearest_distance(const char *a, const char *b);
/* Offers one candidate [borrows it]. Those farther than a third of the word are not near. [any] */
void nearest_offer(struct nearest *nearest, const char *candidate);

#endif
