/* test_sequence.c: what is lost, comes twice, comes late. */
#include "load/load_record.h"
#include "load/load_sequence.h"

#include <criterion/criterion.h>

static struct load_sequence sequence;

static void take(uint64_t number)
{
    cr_assert_eq(load_sequence_take(&sequence, number), SLUICE_OK);
}

static void expect(uint64_t came, uint64_t gaps, uint64_t duplicated, uint64_t reordered)
{
    cr_expect_eq(sequence.came, came);
    cr_expect_eq(load_sequence_gaps(&sequence), gaps);
    cr_expect_eq(sequence.duplicated, duplicated);
    cr_expect_eq(sequence.reordered, reordered);
    load_sequence_fini(&sequence);
}

Test(load_sequence, what_comes_in_order_and_once_is_whole)
{
    for (uint64_t i = 0; i < 100000; i++) {
        take(i);
    }
    expect(100000, 0, 0, 0);
}

Test(load_sequence, a_lost_a_doubled_and_a_late_number_are_told_apart)
{
    for (uint64_t i = 0; i < 70000; i++) {
        if (i != 5 && i != 40000 && i != 50000) {
            take(i);
        }
    }
    take(40000); /* late */
    take(3);     /* again, of a page that is full but for one */
    take(33000); /* again */
    expect(69998, 2, 2, 1);
}

Test(load_sequence, a_number_of_a_page_that_is_full_is_known_again)
{
    for (uint64_t i = 0; i < 2 * 32768; i++) {
        take(i);
    }
    take(7);
    expect(65536, 0, 1, 0);
}

Test(load_sequence, it_may_begin_anywhere_and_is_bounded)
{
    take(1000000);
    take(1000002);
    cr_expect_eq(load_sequence_take(&sequence, LOAD_SEQUENCE_MAX), SLUICE_E_LIMIT);
    expect(2, 1, 0, 0);
}

Test(load_record, a_stamp_is_read_as_it_was_written_and_other_values_have_none)
{
    struct load_maker maker;
    struct load_stamp stamp;
    cr_assert_eq(load_maker_init(&maker, 100, 77, 3), SLUICE_OK);
    struct sl_bytes value = load_maker_next(&maker, 12345, 99);
    cr_assert(load_stamp_read(value, &stamp));
    cr_expect(stamp.run == 77 && stamp.stream == 3 && stamp.sequence == 12345 &&
              stamp.due_ns == 99);
    cr_expect_eq(value.size, 100u);
    maker.value[0] = 'x';
    cr_expect_not(load_stamp_read(value, &stamp));
    cr_expect_not(load_stamp_read((struct sl_bytes){value.data, LOAD_STAMP_BYTES - 1}, &stamp));
    load_maker_fini(&maker);
}
