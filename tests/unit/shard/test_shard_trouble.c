/* test_shard_trouble.c: storage that fails or fills, gates that are slow, topics that go. */
#include "shard_fixture.h"

#include "record/batch_builder.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define NOW    1700000000000
#define SYNCED 100 /* requests: more than the syncs that succeed */

static struct fixture f;

/* ---- the log fails ---- */

Test(shard_trouble, a_failed_sync_fails_all_that_waits_and_all_that_comes)
{
    for (uint64_t seed = 1; seed < 40; seed++) {
        fixture_open(&f, seed, 1);
        fixture_create_topic(&f, "t", 2, NULL, NULL);
        f.faults.sync_fails_after = 6 + seed % 5;
        fixture_restart(&f, false);
        static struct produced produced[SYNCED];
        static uint8_t bytes[SYNCED][256];
        for (int i = 0; i < SYNCED; i++) {
            size_t size = fixture_batch(bytes[i], 256, 1, NOW, 5, 0, i);
            fixture_produce_start(&f, "t", 0, (struct sluice_bytes){bytes[i], size}, &produced[i]);
            sl_os_sim_step(f.os);
        }
        int fenced = 0;
        int64_t acknowledged = -1;
        for (int i = 0; i < SYNCED; i++) {
            fixture_run_until(&f, &produced[i].done);
            cr_assert(produced[i].done);
            if (produced[i].result.status == SLUICE_OK) {
                cr_assert_eq(fenced, 0, "acknowledged behind a failure");
                acknowledged = produced[i].result.base_offset;
            } else {
                cr_assert_eq(produced[i].result.status, SLUICE_E_FENCED, "%d: %d", i,
                             produced[i].result.status);
                fenced++;
            }
        }
        cr_assert_gt(fenced, 0, "seed %llu", (unsigned long long)seed);
        cr_assert_eq(shard_status(fixture_home(&f)), SLUICE_E_FENCED);
        cr_assert_eq(fixture_produce(&f, "t", 1, 1, NOW).status, SLUICE_E_FENCED);
        static struct fetched fetched;
        fixture_fetch(&f, "t", 0, 0, &fetched); /* what is durable is served still */
        cr_assert_eq(fetched.result.status, SLUICE_OK);
        cr_assert_eq(fetched.next_offset, acknowledged + 1 > 0 ? acknowledged + 1 : -1);
        f.faults.sync_fails_after = 0;
        fixture_restart(&f, false);
        cr_assert_geq(fixture_offset(&f, "t", 0, SLUICE_TIME_LATEST).offset, acknowledged + 1);
        fixture_close(&f);
    }
}

struct commit_answer {
    bool done;
    sluice_status status, entry;
};

static void on_committed(void *arg, sluice_status status, const sluice_status *statuses,
                         uint32_t count)
{
    struct commit_answer *answer = arg;
    answer->status = status;
    answer->entry = count > 0 ? statuses[0] : -1;
    answer->done = true;
}

static struct commit_answer commit_offset(int64_t offset)
{
    struct sluice_offset_commit_entry entry = {.topic = {.name = sluice_text_of("t")},
                                               .leader_epoch = -1,
                                               .offset = offset,
                                               .metadata = sluice_text_of("")};
    struct sluice_offset_commit commit = {
        .size = sizeof(commit), .entry_count = 1, .entries = &entry};
    commit.identity = (struct sluice_group_identity){
        .size = sizeof(commit.identity), .generation = -1, .group = sluice_text_of("g")};
    struct commit_answer answer = {0};
    groups_commit(fixture_home(&f), &commit, on_committed, &answer);
    fixture_run_until(&f, &answer.done);
    cr_assert(answer.done);
    return answer;
}

/* As if what it has in the log were damaged: then it stays there. */
static void keep_in_the_log(const char *topic)
{
    struct topic *found = catalog_by_name(fixture_home(&f)->catalog, sl_bytes_of_text(topic));
    struct partition *partition = NULL;
    cr_assert_eq(partition_open(fixture_home(&f), found, 0, &partition), SLUICE_OK);
    partition->unsealable = true;
}

Test(shard_trouble, a_full_log_refuses_records_and_takes_offsets_and_deletions)
{
    fixture_open(&f, 3, 1);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    fixture_create_topic(&f, "u", 1, NULL, NULL);
    keep_in_the_log("t");
    sl_err err = SLUICE_OK;
    int64_t taken = 0;
    for (int i = 0; i < 10000 && err == SLUICE_OK; i++) {
        err = fixture_produce(&f, "t", 0, 2000, NOW).status;
        taken += err == SLUICE_OK ? 2000 : 0;
    }
    cr_assert_eq(err, SLUICE_E_LOG_FULL);
    cr_assert_geq(seal_throttle_ms(fixture_home(&f)), 90, "who writes is told to wait");
    cr_assert_eq(shard_status(fixture_home(&f)), SLUICE_OK);
    for (int64_t i = 0; i < 20; i++) {
        struct commit_answer answer = commit_offset(i);
        cr_assert_eq(answer.status, SLUICE_OK);
        cr_assert_eq(answer.entry, SLUICE_OK);
    }
    cr_assert_eq(fixture_offset(&f, "t", 0, SLUICE_TIME_LATEST).offset, taken);
    cr_assert_eq(fixture_produce(&f, "u", 0, 1, NOW).status, SLUICE_E_LOG_FULL);
    fixture_delete_topic(&f, "t");
    struct sluice_produce_result result = {.status = SLUICE_E_LOG_FULL};
    for (int i = 0; i < 1000 && result.status == SLUICE_E_LOG_FULL; i++) {
        result = fixture_produce(&f, "u", 0, 1, NOW);
        for (int k = 0; k < 50; k++) {
            sl_os_sim_step(f.os);
        }
    }
    cr_assert_eq(result.status, SLUICE_OK, "the deleted topic's space does not come back");
    cr_assert_eq(result.base_offset, 0);
    cr_assert_eq(seal_throttle_ms(fixture_home(&f)), 0);
    fixture_close(&f);
}

/* ---- entries that wait behind others ---- */

static size_t compressed_batch(uint8_t *into, size_t room)
{
    struct sl_buffer buffer, out;
    struct batch_builder builder;
    struct batch_header header;
    struct codec_context *codecs = codec_context_new();
    sl_buffer_init(&buffer, room);
    sl_buffer_init(&out, room);
    batch_header_init(&header);
    cr_assert_eq(batch_builder_start(&builder, &buffer, &header), SLUICE_OK);
    for (int i = 0; i < 50; i++) {
        struct record_fields record = {
            .key_is_null = true, .value = {(const uint8_t *)"aaaaaaaaaa", 10}, .timestamp_ms = NOW};
        cr_assert_eq(batch_builder_append(&builder, &record), SLUICE_OK);
    }
    struct batch_view view;
    cr_assert_eq(batch_builder_finish(&builder, BATCH_CODEC_LZ4, codecs, &out, &view), SLUICE_OK);
    cr_assert_leq(view.size, room);
    memcpy(into, view.data, view.size);
    size_t size = view.size;
    sl_buffer_fini(&buffer);
    sl_buffer_fini(&out);
    codec_context_free(codecs);
    return size;
}

Test(shard_trouble, entries_behind_one_that_is_opened_keep_their_order)
{
    uint8_t packed[4096], plain[256];
    fixture_open(&f, 4, 1);
    fixture_create_topic(&f, "t", 1, "sluice.validate", "records");
    struct produced first, second, third;
    size_t size = compressed_batch(packed, sizeof(packed));
    fixture_produce_start(&f, "t", 0, (struct sluice_bytes){packed, size}, &first);
    size_t small = fixture_batch(plain, sizeof(plain), 1, NOW, -1, -1, -1);
    fixture_produce_start(&f, "t", 0, (struct sluice_bytes){plain, small}, &second);
    fixture_produce_start(&f, "t", 0, (struct sluice_bytes){packed, size}, &third);
    fixture_run_until(&f, &third.done);
    cr_assert(first.done && second.done && third.done);
    cr_assert_eq(first.result.status, SLUICE_OK, "%d", first.result.status);
    cr_assert_eq(first.result.base_offset, 0);
    cr_assert_eq(second.result.base_offset, 50);
    cr_assert_eq(third.result.base_offset, 51);
    fixture_close(&f);
}

Test(shard_trouble, a_topic_deleted_while_a_batch_is_opened_answers_all_behind_it)
{
    uint8_t packed[4096], plain[256];
    for (uint64_t seed = 1; seed < 30; seed++) {
        fixture_open(&f, seed, 1);
        fixture_create_topic(&f, "t", 1, "sluice.validate", "records");
        struct produced produced[3];
        size_t size = compressed_batch(packed, sizeof(packed));
        size_t small = fixture_batch(plain, sizeof(plain), 1, NOW, 9, 0, 0);
        fixture_produce_start(&f, "t", 0, (struct sluice_bytes){packed, size}, &produced[0]);
        fixture_produce_start(&f, "t", 0, (struct sluice_bytes){plain, small}, &produced[1]);
        fixture_produce_start(&f, "t", 0, (struct sluice_bytes){plain, small}, &produced[2]);
        fixture_delete_topic(&f, "t");
        for (int i = 0; i < 3; i++) {
            fixture_run_until(&f, &produced[i].done);
            cr_assert(produced[i].done);
            sl_err status = produced[i].result.status;
            cr_assert(status == SLUICE_OK || status == SLUICE_E_UNKNOWN_TOPIC, "%d", status);
        }
        fixture_close(&f);
    }
}

/* ---- gates ---- */

struct slow_gate {
    struct partition_gate base;
    gate_done_fn *done;
    void *arg;
    uint32_t submitted, released;
};

static void gate_submit(struct partition_gate *base, struct partition *partition,
                        struct sl_bytes batch, const struct sluice_context *context,
                        gate_done_fn *done, void *arg)
{
    struct slow_gate *gate = SL_CONTAINER_OF(base, struct slow_gate, base);
    (void)partition;
    (void)context;
    cr_assert_gt(batch.size, 0);
    gate->submitted++;
    gate->done = done;
    gate->arg = arg;
}

static void gate_release(void *arg)
{
    ((struct slow_gate *)arg)->released++;
}

static void gate_answer(struct slow_gate *gate, sl_err err)
{
    struct gate_outcome outcome = {.err = err,
                                   .reason = sluice_text_of("the gate says so"),
                                   .release = gate_release,
                                   .release_arg = gate};
    gate_done_fn *done = gate->done;
    gate->done = NULL;
    done(gate->arg, &outcome);
}

static struct partition *partition_zero(void)
{
    struct topic *topic =
        catalog_by_name(fixture_home(&f)->catalog, sl_of_text(sluice_text_of("t")));
    struct partition *partition = NULL;
    cr_assert_eq(partition_open(fixture_home(&f), topic, 0, &partition), SLUICE_OK);
    return partition;
}

static void gated_open(struct slow_gate *gate, struct produced produced[3])
{
    static uint8_t bytes[3][256];
    fixture_open(&f, 8, 1);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    *gate = (struct slow_gate){.base = {.submit = gate_submit}};
    shard_set_expect_gates(fixture_home(&f)->set);
    partition_zero()->gate = &gate->base;
    for (int i = 0; i < 3; i++) {
        size_t size = fixture_batch(bytes[i], 256, 1, NOW, 9, 0, i);
        fixture_produce_start(&f, "t", 0, (struct sluice_bytes){bytes[i], size}, &produced[i]);
    }
    cr_assert_eq(gate->submitted, 1, "one batch at a time is at the gate");
}

Test(shard_trouble, batches_pass_a_gate_one_by_one_in_order)
{
    struct slow_gate gate;
    struct produced produced[3];
    gated_open(&gate, produced);
    for (int i = 0; i < 3; i++) {
        cr_assert_not_null(gate.done);
        gate_answer(&gate, SLUICE_OK);
    }
    for (int i = 0; i < 3; i++) {
        fixture_run_until(&f, &produced[i].done);
        cr_assert_eq(produced[i].result.status, SLUICE_OK);
        cr_assert_eq(produced[i].result.base_offset, i);
    }
    cr_assert_eq(gate.released, 3);
    fixture_close(&f);
}

Test(shard_trouble, a_batch_that_came_before_the_first_gate_is_asked_for_again)
{
    struct slow_gate gate = {.base = {.submit = gate_submit}};
    uint8_t bytes[256];
    fixture_open(&f, 8, 1);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    partition_zero()->gate = &gate.base;
    size_t size = fixture_batch(bytes, sizeof(bytes), 1, NOW, 9, 0, 0);
    struct produced produced;
    fixture_produce_start(&f, "t", 0, (struct sluice_bytes){bytes, size}, &produced);
    fixture_run_until(&f, &produced.done);
    cr_assert_eq(produced.result.status, SLUICE_E_BUSY);
    cr_assert_eq(gate.submitted, 0, "it does not pass a gate that cannot be told who sent it");

    shard_set_expect_gates(fixture_home(&f)->set);
    fixture_produce_start(&f, "t", 0, (struct sluice_bytes){bytes, size}, &produced);
    gate_answer(&gate, SLUICE_OK);
    fixture_run_until(&f, &produced.done);
    cr_assert_eq(produced.result.status, SLUICE_OK);
    cr_assert_eq(produced.result.base_offset, 0);
    fixture_close(&f);
}

Test(shard_trouble, a_batch_that_a_gate_refuses_is_new_again_when_retried)
{
    struct slow_gate gate;
    struct produced produced[3];
    gated_open(&gate, produced);
    gate_answer(&gate, SLUICE_E_INVALID_RECORD);
    cr_assert_eq(produced[0].result.status, SLUICE_E_INVALID_RECORD);
    fixture_run_until(&f, &produced[2].done);
    /* Behind a hole in the sequence there is nothing that may pass. */
    while (gate.done != NULL) {
        gate_answer(&gate, SLUICE_OK);
    }
    fixture_run_until(&f, &produced[1].done);
    fixture_run_until(&f, &produced[2].done);
    cr_assert(produced[1].done && produced[2].done);
    cr_assert_eq(gate.released, gate.submitted);
    fixture_close(&f);
}

Test(shard_trouble, a_topic_deleted_while_a_batch_is_at_the_gate_answers_all_behind_it)
{
    struct slow_gate gate;
    struct produced produced[3];
    gated_open(&gate, produced);
    fixture_delete_topic(&f, "t");
    gate_answer(&gate, SLUICE_OK);
    for (int i = 0; i < 3; i++) {
        cr_assert(produced[i].done);
        cr_assert_eq(produced[i].result.status, SLUICE_E_UNKNOWN_TOPIC);
    }
    cr_assert_eq(gate.submitted, 1);
    cr_assert_eq(gate.released, 1);
    fixture_close(&f);
}

/* ---- shard 0 refuses ---- */

Test(shard_trouble, a_log_is_left_alone_while_the_catalog_is_missing)
{
    fixture_open(&f, 21, 2);
    fixture_create_topic(&f, "t", 2, NULL, NULL);
    for (int32_t p = 0; p < 2; p++) {
        for (int i = 0; i < 5; i++) {
            cr_assert_eq(fixture_produce(&f, "t", p, 3, NOW).status, SLUICE_OK);
        }
    }
    fixture_restart(&f, false);
    size_t size = 0;
    char path[64];
    uint8_t *bytes = NULL;
    uint64_t seq = 1;
    for (; bytes == NULL && seq < 50; seq++) { /* its oldest segment */
        snprintf(path, sizeof(path), "data/shard-0/wal/%020llu.seg", (unsigned long long)seq);
        bytes = sl_sim_disk_bytes(f.disk, path, &size);
    }
    cr_assert_not_null(bytes);
    f.allow_refusal = true;
    fixture_stop(&f);
    bytes = sl_sim_disk_bytes(f.disk, path, &size);
    uint8_t *checkpoint = NULL;
    if (bytes != NULL) {
        bytes[8] ^= 0xff;
    }
    checkpoint = sl_sim_disk_bytes(f.disk, "data/shard-0/wal/checkpoint", &size);
    if (checkpoint != NULL) {
        checkpoint[20] ^= 0xff;
    }
    fixture_start_again(&f, 2);
    cr_assert_neq(f.set.shards[0]->status, SLUICE_OK);
    cr_assert_neq(f.set.shards[1]->status, SLUICE_OK);
    fixture_stop(&f);
    bytes = sl_sim_disk_bytes(f.disk, path, &size);
    if (bytes != NULL) {
        bytes[8] ^= 0xff;
    }
    checkpoint = sl_sim_disk_bytes(f.disk, "data/shard-0/wal/checkpoint", &size);
    if (checkpoint != NULL) {
        checkpoint[20] ^= 0xff;
    }
    fixture_start_again(&f, 2);
    for (int32_t p = 0; p < 2; p++) {
        cr_assert_eq(fixture_offset(&f, "t", p, SLUICE_TIME_LATEST).offset, 15);
    }
    fixture_close(&f);
}
