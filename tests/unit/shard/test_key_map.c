/* test_key_map.c: the newest offset of each key, in a table that does not grow. */
#include "shard/key_map.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const uint8_t secret[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static struct sl_bytes key_of(uint32_t *number)
{
    return sl_bytes_of((const uint8_t *)number, sizeof(*number));
}

Test(key_map, siphash_gives_what_its_authors_say)
{
    static const uint64_t wanted[][2] = {{0xe6a825ba047f81a3, 0x930255c71472f66d},
                                         {0x44af996bd8c187da, 0x45fc229b11597634}};
    for (size_t size = 0; size < 2; size++) {
        struct sl_hash128 hash = sl_siphash128(secret, "", size);
        cr_assert_eq(hash.low, wanted[size][0], "%zu: %lx", size, (unsigned long)hash.low);
        cr_assert_eq(hash.high, wanted[size][1], "%zu: %lx", size, (unsigned long)hash.high);
    }
}

Test(key_map, the_newest_offset_of_a_key_counts)
{
    struct key_map map;
    uint32_t key = 7, other = 8;
    cr_assert_eq(key_map_init(&map, 100, 1u << 20, secret), SLUICE_OK);
    cr_assert_eq(key_map_get(&map, key_of(&key)), -1);
    cr_assert_eq(key_map_put(&map, key_of(&key), 0), SLUICE_OK);
    cr_assert_eq(key_map_get(&map, key_of(&key)), 0);
    cr_assert_eq(key_map_put(&map, key_of(&key), 9), SLUICE_OK);
    cr_assert_eq(key_map_put(&map, key_of(&key), 5), SLUICE_OK);
    cr_assert_eq(key_map_get(&map, key_of(&key)), 9);
    cr_assert_eq(key_map_get(&map, key_of(&other)), -1);
    key_map_fini(&map);
}

Test(key_map, what_does_not_fit_is_refused_and_what_is_there_stays)
{
    struct key_map map;
    cr_assert_eq(key_map_init(&map, 1u << 30, 32000, secret), SLUICE_OK);
    cr_assert_leq(map.slot_count * KEY_MAP_SLOT_BYTES, 32000 + 2400);
    uint32_t count = 0;
    while (key_map_put(&map, key_of(&count), count) == SLUICE_OK) {
        count++;
    }
    cr_assert_eq(key_map_put(&map, key_of(&count), 1), SLUICE_E_LIMIT);
    cr_assert_geq(count, 900);
    for (uint32_t i = 0; i < count; i++) {
        cr_assert_eq(key_map_get(&map, key_of(&i)), i);
        cr_assert_eq(key_map_put(&map, key_of(&i), 2000), SLUICE_OK, "a key that is there");
    }
    key_map_fini(&map);
}
