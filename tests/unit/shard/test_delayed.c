/* test_delayed.c: records that are published now and appended later: not before their time, once,
 * in the order of their times, whenever the power goes. */
#include "shard_fixture.h"

#include "shard/delayed.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE INT64_C(60000)

static struct fixture f;

static void setup(void)
{
    fixture_open(&f, 21, 2);
    fixture_create_topic(&f, "t", 2, "retention.ms", "-1");
}

static void teardown(void)
{
    fixture_close(&f);
}

TestSuite(delayed, .init = setup, .fini = teardown);

static int64_t now(void)
{
    return sl_os_wall_ms(f.os);
}

static void until(int64_t wall_ms)
{
    while (now() < wall_ms)
        cr_assert(sl_os_sim_step(f.os));
}

static void start(const char *topic, int32_t partition, int64_t stamp, int count,
                  const struct sluice_produce_terms *terms, struct produced *produced)
{
    static uint8_t bytes[65536];
    size_t size = fixture_batch(bytes, sizeof(bytes), count, stamp, -1, -1, -1);
    fixture_produce_on(&f, topic, partition, (struct sluice_bytes){bytes, size}, terms, produced);
}

static struct sluice_produce_result publish(const char *topic, int64_t stamp, int64_t at_ms)
{
    struct produced produced;
    const struct sluice_produce_terms terms = {.expected_offset = -1, .deliver_at_ms = at_ms};
    start(topic, 0, stamp, 1, &terms, &produced);
    fixture_run_until(&f, &produced.done);
    cr_assert(produced.done);
    return produced.result;
}

static void publish_later(int64_t stamp, int64_t at_ms)
{
    struct sluice_produce_result result = publish("t", stamp, at_ms);
    cr_assert_eq(result.status, SLUICE_OK, "%d", result.status);
    cr_assert(result.is_later);
    cr_assert_eq(result.base_offset, -1);
}

static int64_t end_of(const char *topic)
{
    return fixture_offset(&f, topic, 0, -1).offset;
}

/* The timestamps of a partition's batches, which tell them apart. */
static int stamps_of(const char *topic, int64_t *stamps, int most)
{
    int count = 0;
    int64_t end = end_of(topic);
    for (int64_t at = 0; at < end && count < most;) {
        struct fetched got;
        fixture_fetch(&f, topic, 0, at, &got);
        cr_assert_gt(got.result.records.size, 0, "status %d", got.result.status);
        struct sl_bytes rest = {got.bytes, got.result.records.size};
        while (rest.size > 0 && count < most) {
            struct batch_view view;
            cr_assert_eq(batch_view_init(&view, rest), SLUICE_OK);
            stamps[count++] = batch_view_base_timestamp(&view);
            rest = (struct sl_bytes){rest.data + view.size, rest.size - view.size};
        }
        at = got.next_offset;
    }
    return count;
}

Test(delayed, a_record_is_not_there_before_its_time_and_is_there_then)
{
    int64_t at = now() + MINUTE;
    publish_later(1, at);
    until(at - 5);
    cr_assert_eq(end_of("t"), 0);
    until(at + 1000);
    cr_assert_eq(end_of("t"), 1);
    cr_assert_eq(fixture_home(&f)->delayed.appended + f.set.shards[1]->delayed.appended, 1);
}

Test(delayed, a_time_that_has_passed_is_now)
{
    struct sluice_produce_result result = publish("t", 1, now());
    cr_assert_not(result.is_later);
    cr_assert_eq(result.base_offset, 0);
}

Test(delayed, the_order_is_that_of_the_times_and_then_of_the_publishing)
{
    int64_t at = now() + MINUTE;
    publish_later(30, at + 300);
    publish_later(10, at);
    publish_later(11, at);
    publish_later(12, at);
    publish_later(20, at + 200);
    until(at + 2000);
    int64_t stamps[8];
    cr_assert_eq(stamps_of("t", stamps, 8), 5);
    const int64_t wanted[] = {10, 11, 12, 20, 30};
    cr_assert_arr_eq(stamps, wanted, sizeof(wanted));
}

Test(delayed, what_waits_outlives_restarts_and_power_cuts_and_comes_once)
{
    int64_t at = now() + MINUTE;
    publish_later(1, at);
    fixture_restart(&f, false);
    publish_later(2, now() + MINUTE);
    fixture_restart(&f, true);
    until(now() + 2 * MINUTE);
    cr_assert_eq(end_of("t"), 2);
    fixture_restart(&f, true);
    until(now() + 2 * MINUTE);
    cr_assert_eq(end_of("t"), 2);
}

Test(delayed, it_is_published_once_by_its_message_id)
{
    const struct sluice_produce_terms terms = {
        .expected_offset = -1, .message_id = sluice_text_of("a"), .deliver_at_ms = now() + MINUTE};
    for (int i = 0; i < 2; i++) {
        struct produced produced;
        start("t", 0, 1, 1, &terms, &produced);
        fixture_run_until(&f, &produced.done);
        cr_assert_eq(produced.result.status, SLUICE_OK);
        cr_assert(produced.result.is_later);
        cr_assert_eq(produced.result.is_duplicate, i == 1);
    }
    until(now() + 2 * MINUTE);
    cr_assert_eq(end_of("t"), 1);
}

Test(delayed, what_cannot_wait_is_refused)
{
    struct produced produced;
    struct sluice_produce_terms terms = {.expected_offset = 0, .deliver_at_ms = now() + MINUTE};
    start("t", 0, 1, 1, &terms, &produced);
    fixture_run_until(&f, &produced.done);
    cr_assert_eq(produced.result.status, SLUICE_E_INVALID_REQUEST);
    fixture_create_topic(&f, "memory", 1, "sluice.durability", "memory");
    cr_assert_eq(publish("memory", 1, now() + MINUTE).status, SLUICE_E_POLICY);
}

Test(delayed, records_of_a_topic_that_is_deleted_go_with_it)
{
    fixture_create_topic(&f, "gone", 1, NULL, NULL);
    struct sluice_produce_result result = publish("gone", 1, now() + MINUTE);
    cr_assert(result.is_later);
    fixture_delete_topic(&f, "gone");
    fixture_create_topic(&f, "gone", 1, NULL, NULL);
    until(now() + 2 * MINUTE);
    cr_assert_eq(end_of("gone"), 0);
    cr_assert_eq(fixture_home(&f)->delayed.dropped + f.set.shards[1]->delayed.dropped, 1);
}

static struct shard *owner_of(const char *name)
{
    struct topic *topic = catalog_by_name(fixture_home(&f)->catalog, sl_bytes_of_text(name));
    return shard_of_partition(&f.set, topic, 0);
}

Test(delayed, the_stream_that_keeps_them_is_given_back_behind_them)
{
    publish_later(1, now() + MINUTE);
    publish_later(2, now() + MINUTE);
    until(now() + 2 * MINUTE);
    cr_assert_eq(end_of("t"), 2);
    struct partition *stream = delayed_stream(owner_of("t"));
    cr_assert_eq(partition_end(stream), 2);
    cr_assert_eq(partition_start(stream), 2);
}

Test(delayed, one_that_waits_long_is_written_anew_so_that_the_stream_does_not_grow)
{
    int64_t far = now() + 1000 * MINUTE;
    publish_later(99, far);
    for (int i = 0; i < 60; i++) {
        struct produced produced;
        const struct sluice_produce_terms terms = {.expected_offset = -1,
                                                   .deliver_at_ms = now() + 10};
        start("t", 0, 1, 2000, &terms, &produced);
        fixture_run_until(&f, &produced.done);
        cr_assert_eq(produced.result.status, SLUICE_OK);
        until(now() + 500);
    }
    until(now() + 2 * MINUTE);
    struct shard *shard = owner_of("t");
    struct partition *stream = delayed_stream(shard);
    cr_assert_eq(delay_book_count(&shard->delayed.book), 1);
    cr_assert_gt(partition_start(stream), 100000);
    cr_assert_eq(end_of("t"), 120000);
    fixture_restart(&f, true);
    until(far + MINUTE);
    cr_assert_eq(end_of("t"), 120001);
}

Test(delayed, without_a_disk_it_waits_in_memory)
{
    fixture_close(&f);
    fixture_open_without_disk(&f, 22, 2);
    fixture_create_topic(&f, "t", 2, "retention.ms", "-1");
    publish_later(1, now() + MINUTE);
    until(now() + 2 * MINUTE);
    cr_assert_eq(end_of("t"), 1);
}

/* ---- whenever the power goes ---- */

#define HISTORIES 200
#define MESSAGES  40

static uint64_t seed;

static uint32_t draw(uint32_t bound)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % bound;
}

struct message {
    struct produced produced;
    int64_t at_ms;
    bool acknowledged; /* before the power went */
    bool is_over;      /* what it is answered later is of a machine that is gone */
};

static struct message messages[MESSAGES];

static void note_acknowledged(void)
{
    for (int i = 0; i < MESSAGES; i++) {
        struct message *message = &messages[i];
        bool is_done = message->produced.done && message->produced.result.status == SLUICE_OK;
        message->acknowledged |= is_done && !message->is_over;
    }
}

/* The disk as it is now is what the next start finds; what is under way ends on one that nobody
 * looks at any more. */
static void cut_power(void)
{
    struct sl_sim_disk *copy = sl_sim_disk_new(seed);
    note_acknowledged();
    sl_sim_disk_copy(copy, f.disk, seed);
    sl_sim_disk_power_cut(copy);
    fixture_stop(&f);
    for (int i = 0; i < MESSAGES; i++)
        messages[i].is_over |= messages[i].at_ms != 0;
    sl_sim_disk_free(f.disk);
    f.disk = copy;
    fixture_start_again(&f, 2);
}

static void cut_somewhere(void)
{
    for (uint32_t left = draw(400); left > 0 && sl_os_sim_step(f.os); left--) {
    }
    if (draw(4) > 0)
        cut_power();
    else
        fixture_restart(&f, false);
}

static void history_run(void)
{
    for (int i = 0; i < MESSAGES; i++) {
        struct message *message = &messages[i];
        message->at_ms = now() + 1 + draw(2000);
        const struct sluice_produce_terms terms = {.expected_offset = -1,
                                                   .deliver_at_ms = message->at_ms};
        start("t", 0, 1000 + i, 1, &terms, &message->produced);
        for (uint32_t left = draw(60); left > 0 && sl_os_sim_step(f.os); left--) {
        }
        if (draw(12) == 0)
            cut_somewhere();
    }
    cut_somewhere();
    note_acknowledged();
}

static void history_judge(uint64_t history)
{
    int64_t stamps[2 * MESSAGES];
    int seen[MESSAGES] = {0};
    int count = stamps_of("t", stamps, 2 * MESSAGES);
    for (int i = 0; i < count; i++)
        seen[stamps[i] - 1000]++;
    for (int i = 0; i < MESSAGES; i++) {
        cr_assert_leq(seen[i], 1, "seed %llu: message %d came %d times",
                      (unsigned long long)history, i, seen[i]);
        cr_assert(seen[i] == 1 || !messages[i].acknowledged, "seed %llu: message %d is lost",
                  (unsigned long long)history, i);
    }
}

Test(delayed, each_comes_once_whenever_the_power_goes)
{
    fixture_close(&f);
    for (uint64_t history = 1; history <= HISTORIES; history++) {
        memset(messages, 0, sizeof(messages));
        seed = history;
        fixture_open_small(&f, history, 2);
        f.snapshot_slice = 1 + draw(3);
        fixture_create_topic(&f, "t", 2, "retention.ms", "-1");
        history_run();
        int64_t last_ms = now(); /* the clock begins anew with each start */
        for (int i = 0; i < MESSAGES; i++)
            last_ms = SL_MAX(last_ms, messages[i].at_ms);
        until(last_ms + MINUTE);
        history_judge(history);
        if (history < HISTORIES)
            fixture_close(&f);
    }
}
