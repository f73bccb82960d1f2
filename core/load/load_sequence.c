/* load_sequence.c: see load_sequence.h. */
#include "load/load_sequence.h"

#include <string.h>

#define PAGE_NUMBERS 32768u
#define WORD_BITS    64u

struct load_page {
    uint32_t filled;
    uint64_t words[PAGE_NUMBERS / WORD_BITS];
};

static struct load_page full; /* stands for every page of which all came; only its address counts */

static sl_err pages_grow(struct load_sequence *sequence, uint64_t page)
{
    uint64_t count = SL_MAX(2 * sequence->page_count, page + 1);
    struct load_page **pages = sl_realloc(sequence->pages, (size_t)count * sizeof(*pages));
    if (pages == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    memset(pages + sequence->page_count, 0,
           (size_t)(count - sequence->page_count) * sizeof(*pages));
    sequence->pages = pages;
    sequence->page_count = count;
    return SLUICE_OK;
}

/* Sets the number's bit; *ret_again: it was set. */
static sl_err mark(struct load_sequence *sequence, uint64_t number, bool *ret_again)
{
    uint64_t page = number / PAGE_NUMBERS, bit = number % PAGE_NUMBERS;
    sl_err err = page < sequence->page_count ? SLUICE_OK : pages_grow(sequence, page);
    if (err != SLUICE_OK) {
        return err;
    }
    struct load_page **place = &sequence->pages[page];
    *ret_again = *place == &full;
    if (*ret_again) {
        return SLUICE_OK;
    }
    if (*place == NULL && (*place = sl_alloc_zero(1, sizeof(**place))) == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    uint64_t *word = &(*place)->words[bit / WORD_BITS], mask = UINT64_C(1) << bit % WORD_BITS;
    *ret_again = (*word & mask) != 0;
    *word |= mask;
    (*place)->filled += !*ret_again;
    if ((*place)->filled == PAGE_NUMBERS) {
        sl_free(*place);
        *place = &full;
    }
    return SLUICE_OK;
}

sl_err load_sequence_take(struct load_sequence *sequence, uint64_t number)
{
    bool again = false;
    sl_err err = number < LOAD_SEQUENCE_MAX ? mark(sequence, number, &again) : SLUICE_E_LIMIT;
    if (err != SLUICE_OK) {
        return err;
    }
    sequence->first = sequence->came == 0 ? number : SL_MIN(sequence->first, number);
    sequence->duplicated += again;
    sequence->reordered += !again && number < sequence->next;
    sequence->came += !again;
    sequence->next = SL_MAX(sequence->next, number + 1);
    return SLUICE_OK;
}

uint64_t load_sequence_gaps(const struct load_sequence *sequence)
{
    return sequence->next - sequence->first - sequence->came;
}

void load_sequence_fini(struct load_sequence *sequence)
{
    for (uint64_t i = 0; i < sequence->page_count; i++) {
        if (sequence->pages[i] != &full) {
            sl_free(sequence->pages[i]);
        }
    }
    sl_free(sequence->pages);
    *sequence = (struct load_sequence){.pages = NULL};
}
