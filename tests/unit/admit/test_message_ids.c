/* Ids of messages: remembered for a time, across checkpoints, and no more than fit. */
#include "admit/message_ids.h"
#include "base/bytes.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define NOW    INT64_C(1700000000000)
#define WINDOW INT64_C(120000)

static const struct sl_uuid topic = {{1, 2}};
static struct message_ids ids;

static void setup(void)
{
    cr_assert_eq(message_ids_init(&ids, 0), SLUICE_OK);
}

static void teardown(void)
{
    message_ids_fini(&ids);
}

TestSuite(message_ids, .init = setup, .fini = teardown);

static struct message_digest digest_of(const char *id)
{
    struct message_digest digest;
    message_digest_of(&topic, 3, sl_bytes_of_text(id), &digest);
    return digest;
}

struct heard {
    struct message_waiter waiter;
    int count;
    sl_err err;
    struct message_place place;
};

static void hear(struct message_waiter *waiter, sl_err err, const struct message_place *place)
{
    struct heard *heard = SL_CONTAINER_OF(waiter, struct heard, waiter);
    heard->count++;
    heard->err = err;
    heard->place = *place;
}

/* The verdict on an id; entry and place as they were given out. */
struct asked {
    sl_err err;
    enum message_verdict verdict;
    struct message_entry *entry;
    struct message_place place;
};

static struct asked ask_with(const char *id, int64_t now_ms, struct heard *heard)
{
    struct asked asked = {.place = {-7, -7}};
    struct message_digest digest = digest_of(id);
    heard->waiter.done = hear;
    asked.err = message_ids_admit(&ids, &digest, now_ms, &heard->waiter, &asked.verdict,
                                  &asked.entry, &asked.place);
    return asked;
}

static struct asked ask(const char *id, int64_t now_ms)
{
    struct heard nobody = {.count = 0};
    return ask_with(id, now_ms, &nobody);
}

static void remember(const char *id, int64_t offset, int64_t expires_ms)
{
    struct asked asked = ask(id, NOW);
    cr_assert_eq(asked.err, SLUICE_OK);
    cr_assert_eq(asked.verdict, MESSAGE_NEW);
    message_ids_commit(&ids, asked.entry, &(struct message_place){offset, -1}, expires_ms, false);
}

Test(message_ids, an_id_is_known_with_its_offset_until_its_time_is_over)
{
    remember("a", 42, NOW + WINDOW);
    struct asked asked = ask("a", NOW + WINDOW - 1);
    cr_assert_eq(asked.verdict, MESSAGE_KNOWN);
    cr_assert_eq(asked.place.base_offset, 42);
    cr_assert_eq(ask("b", NOW).verdict, MESSAGE_NEW);
    cr_assert_eq(ask("a", NOW + WINDOW).verdict, MESSAGE_NEW);
}

Test(message_ids, the_same_id_in_another_partition_or_topic_is_another_one)
{
    struct message_digest here = digest_of("a");
    struct message_digest there;
    struct sl_uuid other = {{1, 3}};
    message_digest_of(&topic, 4, sl_bytes_of_text("a"), &there);
    cr_assert_neq(memcmp(&here, &there, sizeof(here)), 0);
    message_digest_of(&other, 3, sl_bytes_of_text("a"), &there);
    cr_assert_neq(memcmp(&here, &there, sizeof(here)), 0);
}

Test(message_ids, who_comes_while_the_first_is_under_way_gets_its_answer)
{
    struct heard second = {.count = 0};
    struct heard third = {.count = 0};
    struct asked first = ask("a", NOW);
    cr_assert_eq(ask_with("a", NOW, &second).verdict, MESSAGE_PENDING);
    cr_assert_eq(ask_with("a", NOW + 2 * WINDOW, &third).verdict, MESSAGE_PENDING);
    message_ids_commit(&ids, first.entry, &(struct message_place){7, NOW}, NOW + WINDOW, false);
    cr_assert_eq(second.count, 1);
    cr_assert_eq(third.count, 1);
    cr_assert_eq(third.err, SLUICE_OK);
    cr_assert_eq(third.place.base_offset, 7);
    cr_assert_eq(third.place.append_time_ms, NOW);
}

Test(message_ids, what_was_not_appended_is_not_remembered_and_may_come_again)
{
    struct heard second = {.count = 0};
    struct asked first = ask("a", NOW);
    cr_assert_eq(ask_with("a", NOW, &second).verdict, MESSAGE_PENDING);
    message_ids_abort(&ids, first.entry, SLUICE_E_LOG_FULL);
    cr_assert_eq(second.count, 1);
    cr_assert_eq(second.err, SLUICE_E_LOG_FULL);
    cr_assert_eq(ask("a", NOW).verdict, MESSAGE_NEW);
}

Test(message_ids, one_more_than_fit_is_refused_until_others_are_forgotten)
{
    message_ids_fini(&ids);
    cr_assert_eq(message_ids_init(&ids, 100), SLUICE_OK);
    char id[16];
    for (int i = 0; i < 100; i++) {
        snprintf(id, sizeof(id), "%d", i);
        remember(id, i, NOW + WINDOW + i);
    }
    cr_assert_eq(ask("more", NOW).err, SLUICE_E_LIMIT);
    cr_assert_eq(ids.refused, 1);
    cr_assert_eq(ask("more", NOW + WINDOW).err, SLUICE_OK);
    cr_assert_eq(message_ids_count(&ids), 100);
}

Test(message_ids, those_whose_time_is_over_make_room_while_new_ones_come)
{
    message_ids_fini(&ids);
    cr_assert_eq(message_ids_init(&ids, 1000), SLUICE_OK);
    char id[16];
    for (int i = 0; i < 20000; i++) {
        snprintf(id, sizeof(id), "%d", i);
        struct asked asked = ask(id, NOW + i);
        cr_assert_eq(asked.err, SLUICE_OK, "id %d", i);
        message_ids_commit(&ids, asked.entry, &(struct message_place){i, -1}, NOW + i + 300, false);
    }
    cr_assert_lt(message_ids_count(&ids), 1000);
}

/* ---- items ---- */

struct kept {
    uint8_t payloads[64][MESSAGE_ID_ITEM_SIZE];
    uint32_t count;
};

static sl_err keep(void *arg, uint16_t kind, uint8_t version, struct sl_bytes payload)
{
    struct kept *kept = arg;
    cr_assert_eq(kind, WAL_ITEM_MESSAGE_ID);
    cr_assert_eq(version, MESSAGE_ID_ITEM_VERSION);
    cr_assert_eq(payload.size, MESSAGE_ID_ITEM_SIZE);
    memcpy(kept->payloads[kept->count++], payload.data, payload.size);
    return SLUICE_OK;
}

Test(message_ids, a_checkpoint_in_slices_has_each_id_that_is_durable_once)
{
    struct kept kept = {.count = 0};
    char id[16];
    for (int i = 0; i < 40; i++) {
        snprintf(id, sizeof(id), "%d", i);
        remember(id, i, NOW + WINDOW);
    }
    remember("over", 99, NOW + 1);
    (void)ask("under way", NOW);
    message_ids_commit(&ids, ask("in memory", NOW).entry, &(struct message_place){1, -1},
                       NOW + WINDOW, true);
    for (uint32_t at = 0; at != UINT32_MAX;)
        cr_assert_eq(message_ids_snapshot(&ids, &at, 7, NOW + 1, keep, &kept), SLUICE_OK);
    cr_assert_eq(kept.count, 40);

    message_ids_fini(&ids);
    cr_assert_eq(message_ids_init(&ids, 0), SLUICE_OK);
    for (uint32_t i = 0; i < kept.count; i++) {
        struct sl_bytes payload = {kept.payloads[i], MESSAGE_ID_ITEM_SIZE};
        cr_assert_eq(message_ids_apply(&ids, 1, payload, NOW), SLUICE_OK);
    }
    for (int i = 0; i < 40; i++) {
        snprintf(id, sizeof(id), "%d", i);
        struct asked asked = ask(id, NOW);
        cr_assert_eq(asked.verdict, MESSAGE_KNOWN);
        cr_assert_eq(asked.place.base_offset, i);
    }
}

Test(message_ids, of_two_items_with_one_id_the_later_holds)
{
    uint8_t early[MESSAGE_ID_ITEM_SIZE];
    uint8_t late[MESSAGE_ID_ITEM_SIZE];
    struct message_digest digest = digest_of("a");
    message_item_encode(&digest, &(struct message_place){5, -1}, NOW + 10, early);
    message_item_encode(&digest, &(struct message_place){9, NOW}, NOW + 20, late);
    const struct sl_bytes items[] = {{late, sizeof(late)}, {early, sizeof(early)}};
    for (size_t i = 0; i < SL_COUNT_OF(items); i++)
        cr_assert_eq(message_ids_apply(&ids, 1, items[i], NOW), SLUICE_OK);
    struct asked asked = ask("a", NOW);
    cr_assert_eq(asked.verdict, MESSAGE_KNOWN);
    cr_assert_eq(asked.place.base_offset, 9);
    cr_assert_eq(asked.place.append_time_ms, NOW);
}

Test(message_ids, an_item_that_cannot_be_is_refused)
{
    uint8_t payload[MESSAGE_ID_ITEM_SIZE];
    struct message_digest digest = digest_of("a");
    message_item_encode(&digest, &(struct message_place){5, -1}, NOW + 10, payload);
    const struct sl_bytes whole = {payload, sizeof(payload)};
    const struct sl_bytes cut = {payload, sizeof(payload) - 1};
    cr_assert_eq(message_ids_apply(&ids, 2, whole, NOW), SLUICE_E_NEWER_FORMAT);
    cr_assert_eq(message_ids_apply(&ids, 0, whole, NOW), SLUICE_E_CORRUPT);
    cr_assert_eq(message_ids_apply(&ids, 1, cut, NOW), SLUICE_E_CORRUPT);
    message_item_encode(&digest, &(struct message_place){-2, -1}, NOW + 10, payload);
    cr_assert_eq(message_ids_apply(&ids, 1, whole, NOW), SLUICE_E_CORRUPT);
    message_item_encode(&digest, &(struct message_place){5, -1}, 0, payload);
    cr_assert_eq(message_ids_apply(&ids, 1, whole, NOW), SLUICE_E_CORRUPT);
    cr_assert_eq(message_ids_count(&ids), 0);
}
