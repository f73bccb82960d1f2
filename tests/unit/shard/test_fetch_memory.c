/* test_fetch_memory.c: what an answer to fetch takes of the memory budget. */
#include "shard_fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define NOW     1000000
#define BATCHES 24
#define ROOM    16384
#define WAIT_MS 1000000 /* longer than anything here runs */

static struct fixture f;
static uint8_t batches[BATCHES][ROOM];
static struct produced produced[BATCHES];

struct taken {
    bool done;
    size_t chunk_bytes, records_bytes;
    uint8_t *records;
};

static void note_chunks(void *arg, struct chunk *const *chunks, uint32_t count)
{
    struct taken *taken = arg;
    taken->chunk_bytes = count == 1 && chunks[0] != NULL ? chunks[0]->size : taken->chunk_bytes;
}

static void note_records(void *arg, const struct sluice_fetch_result *results, uint32_t count,
                         int32_t throttle_ms)
{
    struct taken *taken = arg;
    (void)throttle_ms;
    cr_assert_eq(count, 1);
    cr_assert_eq(results[0].status, SLUICE_OK);
    taken->records_bytes = results[0].records.size;
    taken->records = malloc(taken->records_bytes + 1);
    memcpy(taken->records, results[0].records.data, taken->records_bytes);
    taken->done = true;
}

static struct taken fetch(int32_t bytes_max, int32_t bytes_min)
{
    struct taken taken = {false, 0, 0, NULL};
    struct sluice_fetch_entry entry = {
        .topic = {.name = sluice_text_of("t")}, .leader_epoch = -1, .bytes_max = bytes_max};
    struct sluice_fetch request = {.size = sizeof(request),
                                   .bytes_max = bytes_max,
                                   .bytes_min = bytes_min,
                                   .wait_ms = WAIT_MS,
                                   .entry_count = 1,
                                   .entries = &entry};
    fetch_start(fixture_home(&f), &f.context, &request, note_chunks, &taken, note_records, &taken);
    fixture_run_until(&f, &taken.done);
    cr_assert(taken.done);
    return taken;
}

/* Batches that lie in few frames, and a budget of which much or little is left. */
static void open_filled(void)
{
    size_t size = 0;
    fixture_open(&f, 1, 1);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    for (int i = 0; i < BATCHES; i++) {
        size = fixture_batch(batches[i], ROOM, 800, NOW, -1, -1, -1);
        fixture_produce_start(&f, "t", 0, (struct sluice_bytes){batches[i], size}, &produced[i]);
    }
    fixture_run_until(&f, &produced[BATCHES - 1].done);
    cr_assert(produced[BATCHES - 1].done);
    cr_assert_gt(size * BATCHES, 2 * (size_t)CHUNK_ANSWER_BYTES_MIN);
}

static void make_scarce(void)
{
    f.caches[0].budget_bytes = 2 * CHUNK_BYTES_MIN; /* less than any answer here */
}

Test(fetch_memory, while_it_is_scarce_an_answer_keeps_no_more_than_its_part_of_what_was_read)
{
    open_filled();
    struct taken plenty = fetch(ROOM, 1);
    cr_assert_gt(plenty.chunk_bytes, 4 * plenty.records_bytes, "a read was of %zu for %zu",
                 plenty.chunk_bytes, plenty.records_bytes);
    make_scarce();
    struct taken scarce = fetch(ROOM, 1);
    cr_assert_leq(scarce.chunk_bytes, 2 * scarce.records_bytes);
    cr_assert_eq(scarce.records_bytes, plenty.records_bytes);
    cr_assert_arr_eq(scarce.records, plenty.records, plenty.records_bytes);
    free(plenty.records);
    free(scarce.records);
    fixture_close(&f);
}

Test(fetch_memory, while_it_is_scarce_an_answer_is_small_and_does_not_wait_for_more)
{
    int32_t all = (int32_t)sizeof(batches);
    open_filled();
    struct taken plenty = fetch(all, 2 * CHUNK_ANSWER_BYTES_MIN);
    cr_assert_geq(plenty.records_bytes, 2 * CHUNK_ANSWER_BYTES_MIN);
    make_scarce();
    int64_t begun_ns = sl_loop_now_ns(f.loops[0]);
    struct taken scarce = fetch(all, 2 * CHUNK_ANSWER_BYTES_MIN);
    cr_assert_leq(scarce.records_bytes, CHUNK_ANSWER_BYTES_MIN);
    cr_assert_gt(scarce.records_bytes, 0);
    cr_assert_lt((sl_loop_now_ns(f.loops[0]) - begun_ns) / 1000000, FETCH_WAIT_MS_MAX / 2);
    free(plenty.records);
    free(scarce.records);
    fixture_close(&f);
}
