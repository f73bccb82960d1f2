/* test_native_runs.c: runs of offsets, and of each key the last record. */
#include "native_last.h"
#include "native_runs.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

Test(runs, that_touch_are_one)
{
    struct native_runs runs = {0};
    cr_assert(native_runs_add(&runs, 5, 6));
    cr_assert(native_runs_add(&runs, 1, 2));
    cr_assert(native_runs_add(&runs, 9, 9));
    cr_expect_eq(runs.count, 3);
    cr_assert(native_runs_add(&runs, 3, 4));
    cr_expect(runs.count == 2 && runs.items[0].first == 1 && runs.items[0].last == 6);
    cr_assert(native_runs_add(&runs, 0, 20));
    cr_expect(runs.count == 1 && runs.items[0].first == 0 && runs.items[0].last == 20);
    native_runs_fini(&runs);
}

Test(runs, are_parted_by_what_goes)
{
    struct native_runs runs = {0};
    cr_assert(native_runs_add(&runs, 0, 9));
    native_runs_remove(&runs, 4, 5);
    cr_expect(runs.count == 2 && runs.items[0].last == 3 && runs.items[1].first == 6);
    native_runs_remove(&runs, -5, 100);
    cr_expect_eq(runs.count, 0);
    native_runs_fini(&runs);
}

Test(runs, are_what_a_set_of_offsets_is_whatever_is_done_with_them)
{
    enum { OFFSETS = 64 };
    for (unsigned seed = 1; seed <= 200; seed++) {
        struct native_runs runs = {0};
        bool set[OFFSETS] = {false};
        srand(seed);
        for (int step = 0; step < 100; step++) {
            int first = rand() % OFFSETS;
            int last = first + rand() % (OFFSETS - first);
            bool adds = rand() % 2 == 0;
            if (adds) {
                cr_assert(native_runs_add(&runs, first, last));
            } else {
                native_runs_remove(&runs, first, last);
            }
            for (int i = first; i <= last; i++) {
                set[i] = adds;
            }
            uint32_t at = 0;
            for (int i = 0; i < OFFSETS; i++) {
                while (at < runs.count && runs.items[at].last < i) {
                    at++;
                }
                bool has = at < runs.count && runs.items[at].first <= i;
                cr_assert_eq(has, set[i], "seed %u, step %d, offset %d", seed, step, i);
            }
        }
        native_runs_fini(&runs);
    }
}

static void note(struct native_last *last, const char *key, int64_t offset)
{
    struct sluice_text text = sluice_text_of(key);
    cr_assert_eq(native_last_note(
                     last, (struct sluice_bytes){(const uint8_t *)text.data, text.size}, offset),
                 SLUICE_OK);
}

Test(last, offset_of_each_key_is_found)
{
    struct native_last *last = native_last_new(10, 100);
    note(last, "a", 0);
    note(last, "b", 1);
    note(last, "a", 4);
    note(last, "", 7);
    native_last_found(last);
    cr_expect(native_last_has(last, 1) && native_last_has(last, 4) && native_last_has(last, 7));
    cr_expect(!native_last_has(last, 0) && !native_last_has(last, 5));
    cr_expect(native_last_has(last, 10) && native_last_has(last, 11));
    cr_expect_eq(native_last_next(last, 2), 4);
    cr_expect_eq(native_last_next(last, 8), 10);
    cr_expect_eq(native_last_next(last, 12), 12);
    native_last_free(last);
}

Test(last, keys_are_bounded)
{
    struct native_last *last = native_last_new(1000, 300);
    char key[8];
    for (int i = 0; i < 300; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        note(last, key, i);
    }
    note(last, "k7", 900);
    cr_expect_eq(native_last_note(last, (struct sluice_bytes){(const uint8_t *)"new", 3}, 901),
                 SLUICE_E_LIMIT);
    native_last_found(last);
    cr_expect(native_last_has(last, 900) && !native_last_has(last, 7) &&
              native_last_has(last, 299));
    native_last_free(last);
}
