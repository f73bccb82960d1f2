/* The book of records that wait: by time, by offset, across checkpoints, and no more than fit. */
#include "deliver/delay_book.h"

#include <criterion/criterion.h>
#include <string.h>

#define NOW INT64_C(1700000000000)

static struct delay_book book;

static void setup(void)
{
    cr_assert_eq(delay_book_init(&book, 0), SLUICE_OK);
}

static void teardown(void)
{
    delay_book_fini(&book);
}

TestSuite(delay_book, .init = setup, .fini = teardown);

static struct delay_entry *keep(int64_t offset, int64_t due_ms)
{
    struct delay_entry *entry = NULL;
    cr_assert_eq(delay_book_new(&book, &entry), SLUICE_OK);
    entry->topic = (struct sl_uuid){{1, 2, 3}};
    entry->partition = 7;
    entry->due_ms = due_ms;
    entry->record_count = 2;
    delay_book_keep(&book, entry, offset);
    return entry;
}

Test(delay_book, the_earliest_comes_first_and_of_one_time_the_one_that_was_kept_first)
{
    static const int64_t offsets[] = {4, 1, 2, 3, 0};
    keep(0, NOW + 9);
    keep(1, NOW + 5);
    keep(2, NOW + 5);
    keep(3, NOW + 5);
    keep(4, NOW + 1);
    for (size_t i = 0; i < SL_COUNT_OF(offsets); i++) {
        struct delay_entry *next = delay_book_next(&book);
        cr_assert_eq(next->offset, offsets[i]);
        delay_book_remove(&book, next);
    }
    cr_assert_null(delay_book_next(&book));
    cr_assert_eq(book.record_count, 0);
}

Test(delay_book, one_that_is_taken_is_not_given_out_until_it_is_put_back)
{
    struct delay_entry *first = keep(0, NOW);
    struct delay_entry *second = keep(1, NOW + 1);
    delay_book_take(&book, first);
    cr_assert_eq(delay_book_next(&book), second);
    delay_book_put_back(&book, first);
    cr_assert_eq(delay_book_next(&book), first);
}

Test(delay_book, one_that_is_not_kept_yet_is_not_given_out_and_may_be_dropped)
{
    struct delay_entry *entry = NULL;
    cr_assert_eq(delay_book_new(&book, &entry), SLUICE_OK);
    cr_assert_null(delay_book_next(&book));
    cr_assert_eq(delay_book_count(&book), 0);
    delay_book_drop(&book, entry);
    cr_assert_eq(delay_book_new(&book, &entry), SLUICE_OK); /* fini frees it */
}

Test(delay_book, the_oldest_is_the_lowest_offset_also_when_one_was_written_anew)
{
    struct delay_entry *first = keep(0, NOW + 100);
    struct delay_entry *second = keep(5, NOW);
    cr_assert_eq(delay_book_oldest(&book), first);
    delay_book_move(&book, first, 9);
    cr_assert_eq(delay_book_oldest(&book), second);
    delay_book_remove(&book, second);
    cr_assert_eq(delay_book_oldest(&book), first);
    cr_assert_eq(first->offset, 9);
}

Test(delay_book, one_more_than_fit_is_refused)
{
    struct delay_entry *entry = NULL;
    delay_book_fini(&book);
    cr_assert_eq(delay_book_init(&book, 10), SLUICE_OK);
    for (int i = 0; i < 10; i++)
        keep(i, NOW);
    cr_assert_eq(delay_book_new(&book, &entry), SLUICE_E_LIMIT);
    cr_assert_eq(book.refused, 1);
    delay_book_remove(&book, delay_book_next(&book));
    cr_assert_eq(delay_book_new(&book, &entry), SLUICE_OK);
}

/* ---- items ---- */

struct kept {
    uint8_t payloads[64][DELAY_ITEM_SIZE];
    uint32_t count;
};

static sl_err collect(void *arg, uint16_t kind, uint8_t version, struct sl_bytes payload)
{
    struct kept *kept = arg;
    cr_assert_eq(kind, WAL_ITEM_DELAY);
    cr_assert_eq(version, DELAY_ITEM_VERSION);
    cr_assert_eq(payload.size, DELAY_ITEM_SIZE);
    memcpy(kept->payloads[kept->count++], payload.data, payload.size);
    return SLUICE_OK;
}

static void apply(const struct delay_entry *entry, bool is_over)
{
    uint8_t payload[DELAY_ITEM_SIZE];
    delay_item_encode(entry, entry->offset, is_over, payload);
    cr_assert_eq(delay_book_apply(&book, 1, (struct sl_bytes){payload, sizeof(payload)}),
                 SLUICE_OK);
}

Test(delay_book, a_checkpoint_in_slices_brings_all_back_in_order)
{
    struct kept kept = {.count = 0};
    for (int64_t i = 0; i < 40; i++)
        keep(i * 3, NOW + (i * 7) % 40);
    for (uint32_t at = 0; at != UINT32_MAX;)
        cr_assert_eq(delay_book_snapshot(&book, &at, 3, collect, &kept), SLUICE_OK);
    cr_assert_eq(kept.count, 40);
    delay_book_fini(&book);
    setup();
    for (uint32_t i = 0; i < kept.count; i++) {
        struct sl_bytes payload = {kept.payloads[i], DELAY_ITEM_SIZE};
        cr_assert_eq(delay_book_apply(&book, 1, payload), SLUICE_OK);
    }
    cr_assert_eq(delay_book_sort(&book), SLUICE_OK);
    for (int64_t i = 0; i < 40; i++) {
        struct delay_entry *oldest = delay_book_oldest(&book);
        cr_assert_eq(oldest->offset, i * 3);
        cr_assert_eq(oldest->due_ms, NOW + (i * 7) % 40);
        cr_assert_eq(oldest->partition, 7);
        cr_assert_eq(oldest->record_count, 2);
        delay_book_remove(&book, oldest);
    }
}

Test(delay_book, what_the_log_repeats_or_ends_twice_changes_nothing)
{
    const struct delay_entry one = {.offset = 3, .due_ms = NOW, .record_count = 1};
    apply(&one, false);
    apply(&one, false);
    cr_assert_eq(delay_book_count(&book), 1);
    apply(&one, true);
    apply(&one, true);
    cr_assert_eq(delay_book_count(&book), 0);
    cr_assert_eq(delay_book_sort(&book), SLUICE_OK);
}

Test(delay_book, an_item_that_cannot_be_is_refused)
{
    uint8_t payload[DELAY_ITEM_SIZE];
    const struct delay_entry one = {.offset = 3, .due_ms = NOW, .record_count = 1};
    const struct sl_bytes whole = {payload, sizeof(payload)};
    delay_item_encode(&one, 3, false, payload);
    cr_assert_eq(delay_book_apply(&book, 2, whole), SLUICE_E_NEWER_FORMAT);
    cr_assert_eq(delay_book_apply(&book, 0, whole), SLUICE_E_CORRUPT);
    cr_assert_eq(delay_book_apply(&book, 1, (struct sl_bytes){payload, sizeof(payload) - 1}),
                 SLUICE_E_CORRUPT);
    payload[40] = 2; /* flags */
    cr_assert_eq(delay_book_apply(&book, 1, whole), SLUICE_E_CORRUPT);
    delay_item_encode(&one, -1, false, payload);
    cr_assert_eq(delay_book_apply(&book, 1, whole), SLUICE_E_CORRUPT);
    cr_assert_eq(delay_book_count(&book), 0);
}
