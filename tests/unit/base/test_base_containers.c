/* test_base_containers.c: list, map, pool. */
#include "base/bytes.h"
#include "base/list.h"
#include "base/map.h"
#include "base/pool.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

struct item {
    struct sl_link link;
    struct sl_map_node node;
    uint32_t number;
    char name[24];
};

static uint32_t numbers_of(const struct sl_list *list)
{
    uint32_t digits = 0;
    SL_LIST_EACH(list, link)
    digits = digits * 10 + SL_CONTAINER_OF(link, struct item, link)->number;
    return digits;
}

Test(list, keeps_order_through_pushes_removals_and_moves)
{
    struct sl_list list, other;
    struct item items[6];
    sl_list_init(&list);
    sl_list_init(&other);
    for (uint32_t i = 1; i < 6; i++) {
        items[i].number = i;
        sl_link_init(&items[i].link);
    }
    sl_list_push_back(&list, &items[2].link);
    sl_list_push_back(&list, &items[3].link);
    sl_list_push_front(&list, &items[1].link);
    cr_expect_eq(numbers_of(&list), 123);
    sl_list_push_back(&other, &items[4].link);
    sl_list_push_back(&other, &items[5].link);
    sl_list_append_all(&list, &other);
    cr_expect_eq(numbers_of(&list), 12345);
    cr_expect(sl_list_is_empty(&other));
    sl_list_remove(&items[3].link);
    sl_list_remove(&items[3].link); /* in no list: nothing happens */
    cr_expect_eq(numbers_of(&list), 1245);
    SL_LIST_EACH_SAFE(&list, link)
    {
        if (SL_CONTAINER_OF(link, struct item, link)->number % 2 == 0)
            sl_list_remove(link);
    }
    cr_expect_eq(numbers_of(&list), 15);
    cr_expect_eq(sl_list_pop_front(&list), &items[1].link);
    cr_expect_eq(sl_list_last(&list), &items[5].link);
    cr_expect_null(sl_list_next(&list, &items[5].link));
    sl_list_pop_front(&list);
    cr_expect_null(sl_list_pop_front(&list));
}

enum { ITEMS = 5000 };

static struct item *items_new(void)
{
    struct item *items = calloc(ITEMS, sizeof *items);
    cr_assert_not_null(items);
    for (uint32_t i = 0; i < ITEMS; i++) {
        items[i].number = i;
        snprintf(items[i].name, sizeof items[i].name, "topic-%u", i);
    }
    return items;
}

Test(map, finds_every_name_it_holds_and_no_other)
{
    struct sl_map map;
    struct item *items = items_new();
    sl_map_init(&map, ITEMS, 42);
    for (int i = 0; i < ITEMS; i++)
        cr_assert_eq(sl_map_insert(&map, &items[i].node, sl_bytes_of_text(items[i].name)),
                     SLUICE_OK);
    for (int i = 0; i < ITEMS; i += 2)
        sl_map_remove(&map, &items[i].node);
    for (int i = 0; i < ITEMS; i++) {
        struct sl_map_node *found = sl_map_find(&map, sl_bytes_of_text(items[i].name));
        cr_assert_eq(found, i % 2 ? &items[i].node : NULL, "%s", items[i].name);
    }
    cr_expect_null(sl_map_find(&map, sl_bytes_of_text("")));
    sl_map_fini(&map);
    free(items);
}

Test(map, finds_every_number_it_holds_and_no_other)
{
    struct sl_map map;
    struct item *items = items_new();
    sl_map_init(&map, ITEMS, 0);
    cr_expect_null(sl_map_find_u64(&map, 0));
    for (uint64_t i = 0; i < ITEMS; i++)
        cr_assert_eq(sl_map_insert_u64(&map, &items[i].node, i << 32), SLUICE_OK);
    for (uint64_t i = 0; i < ITEMS; i++) {
        cr_assert_eq(sl_map_find_u64(&map, i << 32), &items[i].node);
        cr_assert_null(sl_map_find_u64(&map, i << 32 | 1));
    }
    sl_map_fini(&map);
    free(items);
}

Test(map, refuses_a_second_of_a_key_and_more_than_its_bound)
{
    struct sl_map map;
    struct item items[4];
    sl_map_init(&map, 2, 0);
    cr_expect_eq(sl_map_insert(&map, &items[0].node, sl_bytes_of_text("a")), SLUICE_OK);
    cr_expect_eq(sl_map_insert(&map, &items[1].node, sl_bytes_of_text("a")), SLUICE_E_EXISTS);
    cr_expect_eq(sl_map_insert(&map, &items[1].node, sl_bytes_of_text("b")), SLUICE_OK);
    cr_expect_eq(sl_map_insert(&map, &items[2].node, sl_bytes_of_text("c")), SLUICE_E_LIMIT);
    sl_map_remove(&map, &items[0].node);
    cr_expect_eq(sl_map_insert(&map, &items[2].node, sl_bytes_of_text("c")), SLUICE_OK);
    sl_map_fini(&map);
}

Test(map, is_walked_once_through_each_node_even_as_they_go)
{
    struct sl_map map;
    struct item *items = items_new();
    uint32_t seen = 0;
    sl_map_init(&map, ITEMS, 7);
    for (uint64_t i = 0; i < ITEMS; i++)
        cr_assert_eq(sl_map_insert_u64(&map, &items[i].node, i), SLUICE_OK);
    SL_MAP_EACH(&map, node)
    {
        struct item *item = SL_CONTAINER_OF(node, struct item, node);
        cr_assert_neq(item->number, ITEMS);
        item->number = ITEMS;
        seen++;
        sl_map_remove(&map, node);
    }
    cr_expect_eq(seen, ITEMS);
    cr_expect_eq(map.count, 0);
    cr_expect_null(sl_map_next(&map, NULL));
    sl_map_fini(&map);
    free(items);
}

Test(pool, gives_distinct_objects_up_to_its_bound_and_takes_them_back)
{
    enum { BOUND = 1000 };
    struct sl_pool pool;
    static uint64_t *objects[BOUND];
    sl_pool_init(&pool, 40, BOUND);
    for (int round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < BOUND; i++) {
            objects[i] = sl_pool_take(&pool);
            cr_assert_not_null(objects[i]);
            cr_assert_eq((uintptr_t)objects[i] % 16, 0);
            for (int word = 0; word < 5; word++)
                objects[i][word] = i;
        }
        cr_expect_null(sl_pool_take(&pool));
        for (uint64_t i = 0; i < BOUND; i++) {
            for (int word = 0; word < 5; word++)
                cr_assert_eq(objects[i][word], i);
            sl_pool_give(&pool, objects[i]);
        }
    }
    sl_pool_give(&pool, NULL);
    sl_pool_fini(&pool);
}
