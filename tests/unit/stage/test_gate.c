/* test_gate.c: a gate before the log: kept, rewritten, dropped, refused, fanned out; fail closed.
 */
#include "fake_worker.h"
#include "shard_fixture.h"
#include "stage/gate.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define NOW 1700000000000

struct gate_fixture {
    struct fixture base;
    struct fake_worker worker;
    struct stage_counts counts;
    struct gate gate;
    struct partition *partition;
    bool closed;
};

static void on_closed(void *arg)
{
    *(bool *)arg = true;
}

static void open_all(struct gate_fixture *f, uint64_t seed, fate_fn *fate)
{
    memset(f, 0, sizeof(*f));
    fixture_open(&f->base, seed, 1);
    fixture_create_topic(&f->base, "in", 1, NULL, NULL);
    fixture_create_topic(&f->base, "other", 1, NULL, NULL);
    struct shard *shard = fixture_home(&f->base);
    struct topic *topic = catalog_by_name(shard->catalog, sl_bytes_of_text("in"));
    cr_assert_eq(partition_open(shard, topic, 0, &f->partition), SLUICE_OK);
    fake_worker_init(&f->worker, f->base.loops[0], fate);
    f->gate = (struct gate){
        .port = &f->worker.port,
        .rules = {.shard = shard, .instance = "gate", .version = "1", .any = true},
        .timeout_ms = 50,
        .counts = &f->counts,
        .closed = on_closed,
        .closed_arg = &f->closed,
    };
    gate_init(&f->gate);
    f->partition->gate = &f->gate.base;
}

static void close_all(struct gate_fixture *f)
{
    f->partition->gate = NULL;
    gate_close(&f->gate);
    cr_assert(f->closed);
    fixture_close(&f->base);
}

/* Records of the given numbers, from an idempotent producer. */
static struct sluice_produce_result produce_ids(struct gate_fixture *f, const int *ids, int count,
                                                int32_t sequence)
{
    uint8_t bytes[4096];
    struct sl_buffer buffer;
    struct batch_builder builder;
    struct batch_header header;
    struct batch_view view;
    sl_buffer_init(&buffer, sizeof(bytes));
    batch_header_init(&header);
    header.producer_id = 9;
    header.producer_epoch = 0;
    header.base_sequence = sequence;
    cr_assert_eq(batch_builder_start(&builder, &buffer, &header), SLUICE_OK);
    for (int i = 0; i < count; i++) {
        char value[16];
        int size = snprintf(value, sizeof(value), "%d", ids[i]);
        struct record_fields record = {
            .key_is_null = true, .value = {(uint8_t *)value, (size_t)size}, .timestamp_ms = NOW};
        cr_assert_eq(batch_builder_append(&builder, &record), SLUICE_OK);
    }
    cr_assert_eq(batch_builder_finish(&builder, BATCH_CODEC_NONE, NULL, NULL, &view), SLUICE_OK);
    memcpy(bytes, view.data, view.size);
    struct produced produced;
    fixture_produce_start(&f->base, "in", 0, (struct sluice_bytes){bytes, view.size}, &produced);
    sl_buffer_fini(&buffer);
    fixture_run_until(&f->base, &produced.done);
    cr_assert(produced.done);
    return produced.result;
}

static void expect_values(struct gate_fixture *f, const char *topic, const char *values)
{
    struct fetched fetched;
    struct batch_view view;
    char text[1024] = "";
    fixture_fetch(&f->base, topic, 0, 0, &fetched);
    struct sl_bytes rest = {fetched.bytes, fetched.result.records.size};
    while (rest.size > 0 && batch_view_init(&view, rest) == SLUICE_OK) {
        struct record_iterator iterator;
        struct record_view record;
        record_iterator_init(&iterator, batch_view_records(&view), batch_view_record_count(&view));
        while (record_iterator_next(&iterator, &record)) {
            size_t size = strlen(text);
            snprintf(text + size, sizeof(text) - size, "%s%lld:%.*s", size > 0 ? " " : "",
                     (long long)record_offset(&view, &record), (int)record.value.size,
                     (const char *)record.value.data);
        }
        rest = (struct sl_bytes){rest.data + view.size, rest.size - view.size};
    }
    cr_assert_str_eq(text, values);
}

static enum fate by_number(int id)
{
    return (enum fate)(id % 10);
}

Test(gate, drops_leave_holes_and_changes_stay_in_place)
{
    struct gate_fixture f;
    open_all(&f, 1, by_number);
    const int ids[] = {10 + FATE_PASS, 20 + FATE_DROP, 30 + FATE_CHANGE, 40 + FATE_SPLIT,
                       50 + FATE_PASS};
    struct sluice_produce_result result = produce_ids(&f, ids, 5, 0);
    cr_assert_eq(result.status, SLUICE_OK);
    cr_assert_eq(result.base_offset, 0);
    expect_values(&f, "in", "0:10 2:33! 4:50");
    expect_values(&f, "other", "0:42 1:42");
    const int more[] = {60};
    cr_assert_eq(produce_ids(&f, more, 1, 5).base_offset, 5); /* sequences count the holes */
    close_all(&f);
}

Test(gate, one_rejected_record_refuses_the_batch_with_its_reason)
{
    struct gate_fixture f;
    open_all(&f, 2, by_number);
    const int ids[] = {10, 20 + FATE_REJECT, 30};
    struct sluice_produce_result result = produce_ids(&f, ids, 3, 0);
    cr_assert_eq(result.status, SLUICE_E_PLUGIN_REJECTED);
    expect_values(&f, "in", "");
    const int good[] = {10};
    cr_assert_eq(produce_ids(&f, good, 1, 0).status, SLUICE_OK); /* its sequence was not used up */
    close_all(&f);
}

Test(gate, a_retry_of_a_remembered_batch_never_reaches_it)
{
    struct gate_fixture f;
    open_all(&f, 3, by_number);
    const int ids[] = {10, 20};
    cr_assert_eq(produce_ids(&f, ids, 2, 0).base_offset, 0);
    uint32_t calls = f.worker.calls;
    cr_assert_eq(produce_ids(&f, ids, 2, 0).base_offset, 0);
    cr_assert_eq(f.worker.calls, calls);
    expect_values(&f, "in", "0:10 1:20");
    close_all(&f);
}

Test(gate, without_a_worker_it_fails_closed)
{
    struct gate_fixture f;
    open_all(&f, 4, by_number);
    f.worker.dead = true;
    const int ids[] = {10};
    cr_assert_eq(produce_ids(&f, ids, 1, 0).status, SLUICE_E_BUSY);
    expect_values(&f, "in", "");
    f.worker.dead = false;
    cr_assert_eq(produce_ids(&f, ids, 1, 0).status, SLUICE_OK);
    close_all(&f);
}

Test(gate, a_worker_that_dies_of_a_batch_costs_the_producer_a_retriable_error)
{
    struct gate_fixture f;
    open_all(&f, 5, by_number);
    const int ids[] = {10 + FATE_POISON};
    cr_assert_eq(produce_ids(&f, ids, 1, 0).status, SLUICE_E_PLUGIN_CRASHED);
    expect_values(&f, "in", "");
    close_all(&f);
}
