/* test_produce_terms.c: what a client wants to hold of a batch: that it comes once by its message
 * id, also over restarts and power cuts, and that it lies at the offset it expects. */
#include "shard_fixture.h"

#include <criterion/criterion.h>
#include <string.h>

#define NOW INT64_C(1700000000000)
#define ANY INT64_C(-1)

static struct fixture f;

static void setup(void)
{
    fixture_open(&f, 11, 2);
    fixture_create_topic(&f, "t", 2, NULL, NULL);
}

static void teardown(void)
{
    fixture_close(&f);
}

TestSuite(produce_terms, .init = setup, .fini = teardown);

static void start(const char *topic, const char *id, int64_t expected, struct produced *produced)
{
    uint8_t bytes[512];
    size_t size = fixture_batch(bytes, sizeof(bytes), 2, NOW, -1, -1, -1);
    const struct sluice_produce_terms terms = {.expected_offset = expected,
                                               .message_id = sluice_text_of(id)};
    fixture_produce_on(&f, topic, 0, (struct sluice_bytes){bytes, size}, &terms, produced);
}

static struct sluice_produce_result send(const char *topic, const char *id, int64_t expected)
{
    struct produced produced;
    start(topic, id, expected, &produced);
    fixture_run_until(&f, &produced.done);
    cr_assert(produced.done);
    return produced.result;
}

static void expect(struct sluice_produce_result result, int64_t offset, bool is_duplicate)
{
    cr_assert_eq(result.status, SLUICE_OK, "status %d", result.status);
    cr_assert_eq(result.base_offset, offset, "offset %lld", (long long)result.base_offset);
    cr_assert_eq(result.is_duplicate, is_duplicate);
}

Test(produce_terms, a_message_that_is_sent_twice_is_there_once_and_answered_alike)
{
    expect(send("t", "a", ANY), 0, false);
    expect(send("t", "b", ANY), 2, false);
    expect(send("t", "a", ANY), 0, true);
    cr_assert_eq(fixture_offset(&f, "t", 0, -1).offset, 4);
}

Test(produce_terms, two_that_are_under_way_at_once_are_one)
{
    struct produced first;
    struct produced second;
    start("t", "a", ANY, &first);
    start("t", "a", ANY, &second);
    cr_assert_not(first.done);
    fixture_run_until(&f, &second.done);
    cr_assert(first.done);
    expect(first.result, 0, false);
    expect(second.result, 0, true);
}

Test(produce_terms, an_id_is_known_after_a_restart_and_after_a_power_cut)
{
    expect(send("t", "a", ANY), 0, false);
    fixture_restart(&f, false);
    expect(send("t", "a", ANY), 0, true);
    expect(send("t", "b", ANY), 2, false);
    fixture_restart(&f, true);
    expect(send("t", "a", ANY), 0, true);
    expect(send("t", "b", ANY), 2, true);
}

Test(produce_terms, an_id_is_forgotten_when_the_window_is_over)
{
    fixture_create_topic(&f, "short", 1, "sluice.dedup.window.ms", "1000");
    expect(send("short", "a", ANY), 0, false);
    expect(send("short", "a", ANY), 0, true);
    for (int64_t until_ms = sl_os_wall_ms(f.os) + 1000; sl_os_wall_ms(f.os) <= until_ms;)
        cr_assert(sl_os_sim_step(f.os));
    expect(send("short", "a", ANY), 2, false);
}

Test(produce_terms, an_id_of_a_topic_without_a_sync_goes_the_way_of_its_records)
{
    fixture_create_topic(&f, "os", 1, "sluice.durability", "os");
    fixture_create_topic(&f, "memory", 1, "sluice.durability", "memory");
    expect(send("os", "a", ANY), 0, false);
    expect(send("memory", "a", ANY), 0, false);
    expect(send("os", "a", ANY), 0, true);
    expect(send("memory", "a", ANY), 0, true);
    fixture_restart(&f, false);
    expect(send("os", "a", ANY), 0, true);
    cr_assert_not(send("memory", "a", ANY).is_duplicate, "its record is gone too");
}

Test(produce_terms, a_batch_is_refused_that_would_not_lie_where_it_is_expected)
{
    expect(send("t", "", 0), 0, false);
    struct produced produced;
    start("t", "", 0, &produced);
    fixture_run_until(&f, &produced.done);
    cr_assert_eq(produced.result.status, SLUICE_E_UNEXPECTED_OFFSET);
    cr_assert_eq(produced.result.base_offset, -1);
    expect(send("t", "", 2), 2, false);
    cr_assert_eq(fixture_offset(&f, "t", 0, -1).offset, 4);
}

Test(produce_terms, of_two_who_expect_the_same_offset_at_once_one_is_refused)
{
    struct produced first;
    struct produced second;
    start("t", "", 0, &first);
    start("t", "", 0, &second);
    fixture_run_until(&f, &first.done);
    fixture_run_until(&f, &second.done);
    expect(first.result, 0, false);
    cr_assert_eq(second.result.status, SLUICE_E_UNEXPECTED_OFFSET);
}

Test(produce_terms, what_was_appended_is_answered_so_again_though_its_offset_is_passed)
{
    expect(send("t", "a", 0), 0, false);
    expect(send("t", "a", 0), 0, true);
    cr_assert_eq(send("t", "b", 0).status, SLUICE_E_UNEXPECTED_OFFSET);
    expect(send("t", "b", 2), 2, false);
}

Test(produce_terms, a_batch_of_a_producer_has_no_message_id)
{
    uint8_t bytes[512];
    struct produced produced;
    size_t size = fixture_batch(bytes, sizeof(bytes), 1, NOW, 7, 0, 0);
    const struct sluice_produce_terms terms = {.expected_offset = ANY,
                                               .message_id = sluice_text_of("a")};
    fixture_produce_on(&f, "t", 0, (struct sluice_bytes){bytes, size}, &terms, &produced);
    fixture_run_until(&f, &produced.done);
    cr_assert_eq(produced.result.status, SLUICE_E_INVALID_REQUEST);
}

Test(produce_terms, an_id_that_is_too_long_is_refused)
{
    char id[SLUICE_MESSAGE_ID_BYTES_MAX + 2];
    memset(id, 'x', sizeof(id));
    id[sizeof(id) - 1] = '\0';
    cr_assert_eq(send("t", id, ANY).status, SLUICE_E_INVALID);
    id[sizeof(id) - 2] = '\0';
    expect(send("t", id, ANY), 0, false);
}
