/* test_channel.c: the host's side of the rings in plain memory, the test plays the worker. */
#include "channel_layout.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const struct channel_geometry geometry = {
    .depth = 4, .input_slot_bytes = 4096, .output_slot_bytes = 4096};

struct peer {
    struct channel channel;
    uint8_t *input;
    uint8_t *output;
    uint32_t answered;
};

static struct peer peer_new(void)
{
    struct peer peer = {.input = calloc(1, channel_input_bytes(&geometry)),
                        .output = calloc(1, channel_output_bytes(&geometry))};

    channel_init(&peer.channel, &geometry, peer.input, peer.output);
    return peer;
}

static void peer_free(struct peer *peer)
{
    channel_fini(&peer->channel);
    free(peer->input);
    free(peer->output);
}

static sluice_status submit(struct peer *peer, uint64_t id, uint32_t first, uint32_t limit)
{
    const struct sandbox_task task = {.id = id,
                                      .topic = sluice_text_of("t"),
                                      .records = {(const uint8_t *)"1234567", 7},
                                      .record_count = first + limit,
                                      .first = first,
                                      .limit = limit};
    bool wake;

    return channel_submit(&peer->channel, &task, &wake);
}

/* Answers the next task with these items. */
static void answer(struct peer *peer, uint64_t id, const void *items, uint32_t size)
{
    const uint32_t slot = peer->answered % geometry.depth;
    const struct channel_result_wire wire = {.magic = CHANNEL_RESULT_MAGIC, .items_size = size};
    const struct channel_descriptor descriptor = {id, (uint32_t)sizeof(wire) + size, 0};
    uint8_t *at = peer->output + CHANNEL_HEAD_BYTES + slot * geometry.output_slot_bytes;

    memcpy(at, &wire, sizeof(wire));
    if (size > 0) {
        memcpy(at + sizeof(wire), items, size);
    }
    memcpy(peer->output + CHANNEL_DESCRIPTORS_AT + slot * sizeof(descriptor), &descriptor,
           sizeof(descriptor));
    atomic_store(&((struct channel_output_head *)(void *)peer->output)->answered, ++peer->answered);
}

Test(channel, holds_as_many_tasks_as_it_is_deep)
{
    struct peer peer = peer_new();
    struct sandbox_result result;

    for (uint64_t i = 0; i < 4; i++) {
        cr_assert_eq(submit(&peer, i, 0, 1), SLUICE_OK);
    }
    cr_assert_eq(submit(&peer, 4, 0, 1), SLUICE_E_BUSY);
    cr_assert_eq(channel_take(&peer.channel, &result), SLUICE_E_WOULD_BLOCK);
    answer(&peer, 0, NULL, 0);
    cr_assert_eq(channel_take(&peer.channel, &result), SLUICE_OK);
    cr_assert_eq(result.task_id, 0);
    cr_assert_eq(submit(&peer, 4, 0, 1), SLUICE_OK);
    peer_free(&peer);
}

Test(channel, refuses_records_larger_than_a_slot)
{
    struct peer peer = peer_new();
    const struct sandbox_task task = {.records = {peer.input, 4096}};
    uint8_t *memory;
    bool wake;

    cr_assert_eq(channel_submit(&peer.channel, &task, &wake), SLUICE_E_LIMIT);
    cr_assert_eq(channel_reserve(&peer.channel, 4096, &memory), SLUICE_E_LIMIT);
    cr_assert_eq(channel_reserve(&peer.channel, 1000, &memory), SLUICE_OK);
    cr_assert(memory > peer.input && memory + 1000 < peer.input + channel_input_bytes(&geometry));
    peer_free(&peer);
}

Test(channel, wakes_a_sleeping_worker_only)
{
    struct peer peer = peer_new();
    const struct sandbox_task task = {.id = 1};
    bool wake = true;

    cr_assert_eq(channel_submit(&peer.channel, &task, &wake), SLUICE_OK);
    cr_assert_not(wake);
    atomic_store(&((struct channel_output_head *)(void *)peer.output)->sleeping, 1u);
    cr_assert_eq(channel_submit(&peer.channel, &task, &wake), SLUICE_OK);
    cr_assert(wake);
    peer_free(&peer);
}

Test(channel, does_not_sleep_when_a_result_came_meanwhile)
{
    struct peer peer = peer_new();

    cr_assert_eq(submit(&peer, 1, 0, 1), SLUICE_OK);
    cr_assert(channel_sleep(&peer.channel));
    answer(&peer, 1, NULL, 0);
    cr_assert_not(channel_sleep(&peer.channel));
    peer_free(&peer);
}

Test(channel, fills_records_without_verdict_with_pass_runs)
{
    struct peer peer = peer_new();
    const struct channel_item items[] = {{SANDBOX_VERDICT_DROP, 12, 16, 0},
                                         {SANDBOX_VERDICT_DROP, 13, 16, 0},
                                         {SANDBOX_VERDICT_DROP, 17, 16, 0}};
    static const uint32_t wanted[][3] = {
        {SANDBOX_VERDICT_PASS, 10, 2}, {SANDBOX_VERDICT_DROP, 12, 1},
        {SANDBOX_VERDICT_DROP, 13, 1}, {SANDBOX_VERDICT_PASS, 14, 3},
        {SANDBOX_VERDICT_DROP, 17, 1}, {SANDBOX_VERDICT_PASS, 18, 2}};
    struct sandbox_result_reader reader;
    struct sandbox_verdict verdict;
    struct sandbox_result result;

    cr_assert_eq(submit(&peer, 1, 10, 10), SLUICE_OK);
    answer(&peer, 1, items, sizeof(items));
    cr_assert_eq(channel_take(&peer.channel, &result), SLUICE_OK);
    sandbox_result_reader_init(&reader, &result);
    for (size_t i = 0; i < 6; i++) {
        cr_assert(sandbox_result_next(&reader, &verdict));
        cr_assert_eq(verdict.kind, wanted[i][0]);
        cr_assert_eq(verdict.index, wanted[i][1]);
        cr_assert_eq(verdict.count, wanted[i][2]);
    }
    cr_assert_not(sandbox_result_next(&reader, &verdict));
    peer_free(&peer);
}

struct bad {
    struct channel_item first;
    struct channel_item second;
};

static void assert_lie(const struct bad *items)
{
    struct peer peer = peer_new();
    struct sandbox_result result;

    cr_assert_eq(submit(&peer, 1, 2, 4), SLUICE_OK);
    answer(&peer, 1, items, sizeof(*items));
    cr_assert_eq(channel_take(&peer.channel, &result), SLUICE_E_PLUGIN_PROTOCOL);
    peer_free(&peer);
}

Test(channel, refuses_verdicts_out_of_order_out_of_range_or_of_unknown_kind)
{
    static const struct bad cases[] = {
        {{SANDBOX_VERDICT_DROP, 3, 16, 0}, {SANDBOX_VERDICT_DROP, 2, 16, 0}},
        {{SANDBOX_VERDICT_DROP, 3, 16, 0}, {SANDBOX_VERDICT_DROP, 3, 16, 0}},
        {{SANDBOX_VERDICT_DROP, 1, 16, 0}, {SANDBOX_VERDICT_DROP, 3, 16, 0}},
        {{SANDBOX_VERDICT_DROP, 2, 16, 0}, {SANDBOX_VERDICT_DROP, 6, 16, 0}},
        {{SANDBOX_VERDICT_DROP, 2, 16, 0}, {SANDBOX_VERDICT_DROP, 0xffffffff, 16, 0}},
        {{SANDBOX_VERDICT_RETRY, 2, 16, 0}, {SANDBOX_VERDICT_DROP, 3, 16, 0}},
        {{SANDBOX_VERDICT_PASS, 2, 16, 0}, {SANDBOX_VERDICT_DROP, 3, 16, 0}},
        {{SANDBOX_VERDICT_DROP, 2, 16, 0}, {9, 3, 16, 0}},
        {{SANDBOX_VERDICT_DROP, 2, 16, 0}, {SANDBOX_VERDICT_DROP, 3, 24, 0}},
        {{SANDBOX_VERDICT_DROP, 2, 16, 0}, {SANDBOX_VERDICT_DROP, 3, 8, 0}},
        {{SANDBOX_VERDICT_DROP, 2, 0, 0}, {SANDBOX_VERDICT_DROP, 3, 16, 0}},
        {{SANDBOX_VERDICT_DROP, 2, 16, 0}, {SANDBOX_VERDICT_REJECT, 3, 16, 1}},
        {{SANDBOX_VERDICT_DROP, 2, 16, 0}, {SANDBOX_VERDICT_EMIT, 3, 16, 0}},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_lie(&cases[i]);
    }
}

Test(channel, refuses_an_emit_whose_parts_exceed_it)
{
    static const struct channel_emit cases[] = {
        {.timestamp = 1, .key_size = 0x7fffffff, .value_size = CHANNEL_NULL},
        {.timestamp = 1, .key_size = CHANNEL_NULL, .value_size = 0xfffffffe},
        {.timestamp = 1, .topic_size = 250},
        {.timestamp = 1, .headers_size = 1},
        {.timestamp = 1, .header_count = 1},
        {.timestamp = -2},
        {.timestamp = 1, .partition = -2},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct peer peer = peer_new();
        struct sandbox_result result;
        struct {
            struct channel_item item;
            struct channel_emit emit;
        } items = {{SANDBOX_VERDICT_EMIT, 0, sizeof(items), 0}, cases[i]};

        cr_assert_eq(submit(&peer, 1, 0, 1), SLUICE_OK);
        answer(&peer, 1, &items, sizeof(items));
        cr_assert_eq(channel_take(&peer.channel, &result), SLUICE_E_PLUGIN_PROTOCOL, "case %zu", i);
        peer_free(&peer);
    }
}

Test(channel, counts_wrap)
{
    struct peer peer = peer_new();
    struct sandbox_result result;

    peer.channel.submitted = peer.channel.taken = peer.answered =
        0xfffffffcu; /* multiple of depth */
    for (uint64_t i = 0; i < 8; i++) {
        atomic_store(&((struct channel_output_head *)(void *)peer.output)->answered, peer.answered);
        cr_assert_eq(submit(&peer, i, 0, 1), SLUICE_OK);
        answer(&peer, i, NULL, 0);
        cr_assert_eq(channel_take(&peer.channel, &result), SLUICE_OK);
        cr_assert_eq(result.task_id, i);
    }
    peer_free(&peer);
}

/* What the worker wrote: task, done, index. */
static uint32_t said(struct peer *peer, uint32_t task, uint32_t done, uint32_t index)
{
    struct channel_progress *progress = (void *)(peer->output + CHANNEL_PROGRESS_AT);

    atomic_store(&progress->task, task);
    atomic_store(&progress->done, done);
    progress->plugin.index = index;
    return channel_progress_of_oldest(&peer->channel);
}

Test(channel, takes_the_workers_word_of_where_it_is_only_within_the_task)
{
    struct peer peer = peer_new();
    struct sandbox_result result;

    cr_assert_eq(said(&peer, 0, 0, 0), SANDBOX_PROGRESS_NONE, "no task is in flight");
    cr_assert_eq(submit(&peer, 1, 3, 5), SLUICE_OK);
    cr_assert_eq(submit(&peer, 2, 0, 2), SLUICE_OK);
    cr_assert_eq(said(&peer, 0, CHANNEL_NULL, CHANNEL_NULL), SANDBOX_PROGRESS_NONE);
    cr_assert_eq(said(&peer, 0, CHANNEL_NULL, 0), 3);
    cr_assert_eq(said(&peer, 0, 4, CHANNEL_NULL), 7);
    cr_assert_eq(said(&peer, 0, 1, 4), 7, "the plugin knows better");
    cr_assert_eq(said(&peer, 0, 0, 5), SANDBOX_PROGRESS_NONE);
    cr_assert_eq(said(&peer, 1, 0, 0), SANDBOX_PROGRESS_NONE, "it has answered task 1");
    answer(&peer, 1, NULL, 0);
    cr_assert_eq(channel_take(&peer.channel, &result), SLUICE_OK);
    cr_assert_eq(said(&peer, 1, 1, CHANNEL_NULL), 1);
    peer_free(&peer);
}
