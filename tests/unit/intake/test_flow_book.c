/* test_flow_book.c: who hands how much to which topic, within bounds. */
#include "intake/flow_book.h"

#include "record/batch_view.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct flow_book book;
static uint64_t records_sum, rows_seen, others_seen;

static void set_up(void)
{
    flow_book_init(&book, 7);
    records_sum = rows_seen = others_seen = 0;
}

static void tear_down(void)
{
    flow_book_fini(&book);
}

TestSuite(flow_book, .init = set_up, .fini = tear_down);

/* One batch without records in it, whose header tells of `records`. */
static void produce(const char *client, const char *topic, int32_t records, int64_t now_ms)
{
    uint8_t batch[BATCH_HEADER_SIZE] = {0};
    sl_be32_store(batch + BATCH_LENGTH_AT, BATCH_HEADER_SIZE - BATCH_OVERHEAD_SIZE);
    batch[BATCH_MAGIC_AT] = BATCH_MAGIC;
    sl_be32_store(batch + BATCH_RECORD_COUNT_AT, (uint32_t)records);
    const struct sluice_context context = {.size = sizeof(context),
                                           .client_id = sluice_text_of(client)};
    const struct sluice_produce_entry entry = {.topic = {.name = sluice_text_of(topic)},
                                               .batch = {batch, sizeof(batch)}};
    const struct sluice_produce request = {
        .size = sizeof(request), .entry_count = 1, .entries = &entry};
    flow_book_produce(&book, &context, &request, now_ms);
}

static void visit(void *arg, struct sl_bytes key, const struct flow_row *row)
{
    (void)arg;
    records_sum += row->records;
    rows_seen++;
    others_seen += key.size == 0 || row->client[0] == '\0';
}

Test(flow_book, counts_records_by_client_and_topic)
{
    produce("a", "t", 3, 1);
    produce("a", "t", 4, 2);
    produce("b", "t", 5, 3);
    produce("", "u", 6, 3);
    flow_book_each(&book, visit, NULL);
    cr_assert_eq(records_sum, 18);
    cr_assert_eq(rows_seen, 3);
    cr_assert_eq(book.topics[0]->rows[0].records, 7);
    cr_assert_eq(book.topics[0]->rows[0].bytes, 2 * BATCH_HEADER_SIZE);
    cr_assert_str_eq(book.topics[1]->rows[0].client, "-");
}

static void fetch(const char *client, const char *const *topics, uint32_t count, int64_t now_ms)
{
    struct sluice_fetch_entry entries[8];
    const struct sluice_context context = {.size = sizeof(context),
                                           .client_id = sluice_text_of(client)};
    cr_assert_leq(count, 8);
    for (uint32_t i = 0; i < count; i++) {
        entries[i] = (struct sluice_fetch_entry){.topic = {.name = sluice_text_of(topics[i])}};
    }
    const struct sluice_fetch request = {
        .size = sizeof(request), .entry_count = count, .entries = entries};
    flow_book_fetch(&book, &context, &request, now_ms);
}

Test(flow_book, counts_a_fetch_once_for_the_partitions_of_a_topic)
{
    static const char *const topics[] = {"t", "t", "t", "u"};
    fetch("a", topics, 4, 5);
    fetch("a", topics, 2, 9);
    fetch("b", topics + 3, 1, 7);
    flow_book_each(&book, visit, NULL);
    cr_assert_eq(rows_seen, 3);
    cr_assert_eq(book.topics[0]->rows[0].batches, 2);
    cr_assert_eq(book.topics[0]->rows[0].last_ms, 9);
    cr_assert_eq(book.topics[1]->row_count, 2);
    cr_assert_eq(book.topics[1]->rows[1].batches, 1);
}

Test(flow_book, counts_clients_beyond_the_bound_together)
{
    char client[16];
    for (uint32_t i = 0; i < FLOW_CLIENTS_MAX + 5; i++) {
        snprintf(client, sizeof(client), "c%u", i);
        produce(client, "t", 1, 1);
    }
    flow_book_each(&book, visit, NULL);
    cr_assert_eq(rows_seen, FLOW_CLIENTS_MAX + 1);
    cr_assert_eq(others_seen, 1);
    cr_assert_eq(book.topics[0]->others.records, 5);
}

Test(flow_book, gives_the_room_of_who_is_silent_to_others_and_loses_no_count)
{
    char name[16];
    for (uint32_t i = 0; i < FLOW_TOPICS_MAX + 1; i++) {
        snprintf(name, sizeof(name), "t%u", i);
        produce("c", name, 1, 1);
    }
    cr_assert_eq(book.others.records, 1, "nobody is silent yet");
    produce("c", "late", 1, 2 + FLOW_IDLE_MS);
    cr_assert_eq(book.topic_count, FLOW_TOPICS_MAX);
    cr_assert_eq(book.others.records, 2, "the one that went");
    for (uint32_t i = 0; i < FLOW_CLIENTS_MAX + 1; i++) {
        snprintf(name, sizeof(name), "c%u", i);
        produce(name, "late", 1, 3 + 2 * FLOW_IDLE_MS);
    }
    flow_book_each(&book, visit, NULL);
    cr_assert_eq(records_sum, FLOW_TOPICS_MAX + 2 + FLOW_CLIENTS_MAX + 1);
}

/* The topic that was counted last is looked at first. */
Test(flow_book, does_not_take_the_last_topic_for_the_one_in_whose_room_it_is)
{
    for (uint32_t i = 0; i < FLOW_TOPICS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof(name), "t%u", i);
        produce("a", name, 1, 1);
    }
    produce("a", "t0", 1, 2);
    produce("a", "new", 5, 2 + FLOW_IDLE_MS); /* in the room of t0 */
    produce("a", "t0", 1, 3 + FLOW_IDLE_MS);
    produce("a", "new", 5, 4 + FLOW_IDLE_MS);
    cr_assert_eq(book.topics[0]->rows[0].records, 10);
    flow_book_each(&book, visit, NULL);
    cr_assert_eq(records_sum, FLOW_TOPICS_MAX + 2 + 10);
}

Test(flow_book, cuts_long_client_ids)
{
    char client[200];
    memset(client, 'x', sizeof(client) - 1);
    client[sizeof(client) - 1] = '\0';
    produce(client, "t", 1, 1);
    produce(client, "t", 1, 1);
    cr_assert_eq(book.topics[0]->row_count, 1);
    cr_assert_eq(strlen(book.topics[0]->rows[0].client), FLOW_CLIENT_BYTES_MAX);
}
