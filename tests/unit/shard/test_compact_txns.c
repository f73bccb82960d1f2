/* test_compact_txns.c: transactions in a compacted topic: records of aborted ones go, markers go
 * when no batch of theirs is left and their time is over, and a reader of committed records finds
 * the newest committed record of each key and nothing else, whatever happens to the power. */
#include "shard_fixture.h"
#include "txn_requests.h"

#include "extent/extent_set.h"
#include "record/batch_builder.h"
#include "record/txn_marker.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW         INT64_C(1700000000000)
#define IDS         3
#define KEYS_MAX    24
#define TXNS_MAX    1000
#define RECORDS_MAX 20000

enum outcome { OPEN, COMMITTED, ABORTED, UNKNOWN };

struct txn_record {
    int key;
    int txn; /* -1: no record of a client is at this offset */
};

struct txn_client {
    int64_t id;
    int16_t epoch;
    int32_t sequence;
    int txn;  /* open; -1: none */
    int sent; /* records of it */
};

static struct fixture f;
static struct txn_record history[RECORDS_MAX]; /* by offset */
static enum outcome outcomes[TXNS_MAX];
static int txn_count;
static struct txn_client clients[IDS];
static bool is_v2; /* KIP-890: each end bumps the epoch */
static uint64_t seed;
static int64_t steps_left;
static const char *const names[IDS] = {"tx-a", "tx-b", "tx-c"};

static uint32_t draw(uint32_t bound)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % bound;
}

static struct partition *subject(void)
{
    struct partition *partition = NULL;
    struct topic *topic = catalog_by_name(fixture_home(&f)->catalog, sl_bytes_of_text("c"));
    cr_assert_not_null(topic);
    cr_assert_eq(partition_open(fixture_home(&f), topic, 0, &partition), SLUICE_OK);
    return partition;
}

static uint32_t aborted_known(void)
{
    const struct txn_log *log = producers_txns(&subject()->producers);
    return log == NULL ? 0 : log->aborted_count;
}

/* False: the power has gone before it was done. */
static bool run_until(const bool *done)
{
    while (!*done && steps_left > 0 && sl_os_sim_step(f.os)) {
        steps_left--;
    }
    return *done;
}

static void settle(int steps)
{
    for (int i = 0; i < steps && steps_left > 0; i++, steps_left--) {
        sl_os_sim_step(f.os);
    }
}

static int64_t end_offset(void)
{
    return fixture_offset(&f, "c", 0, SLUICE_TIME_LATEST).offset;
}

/* ---- requests, from the home loop ---- */

static bool ask(struct txn_request *call, int id, txn_request_fn *run)
{
    call->txn = (struct sluice_txn){.size = sizeof(call->txn),
                                    .flags = is_v2 ? SLUICE_TXN_V2 : 0,
                                    .epoch = clients[id].epoch,
                                    .producer_id = clients[id].id,
                                    .id = sluice_text_of(names[id])};
    txn_request_post(&f, call, run);
    return run_until(&call->done);
}

static bool init(int id)
{
    static struct txn_request request;
    clients[id] = (struct txn_client){.id = -1, .epoch = -1, .txn = -1};
    do { /* what is open is aborted first */
        if (!ask(&request, id, txn_request_init)) {
            return false;
        }
    } while (request.status == SLUICE_E_CONCURRENT_TRANSACTIONS);
    cr_assert_eq(request.status, SLUICE_OK);
    clients[id] = (struct txn_client){.id = request.producer_id, .epoch = request.epoch, .txn = -1};
    return true;
}

static bool begin(int id)
{
    static const struct sluice_txn_partition partition = {.topic = {.name = {"c", 1}}};
    static struct txn_request request = {.partitions = &partition, .count = 1};
    clients[id].txn = txn_count++;
    clients[id].sent = 0;
    outcomes[clients[id].txn] = ABORTED; /* until its end is asked for */
    if (!is_v2 && !ask(&request, id, txn_request_add)) {
        return false;
    }
    cr_assert(is_v2 || request.status == SLUICE_OK);
    return true;
}

static bool end(int id, bool commits)
{
    static struct txn_request request;
    int txn = clients[id].txn;
    request.commits = commits;
    outcomes[txn] = commits ? UNKNOWN : ABORTED;
    if (!ask(&request, id, txn_request_end)) {
        return false;
    }
    cr_assert_eq(request.status, SLUICE_OK);
    outcomes[txn] = commits ? COMMITTED : ABORTED;
    clients[id].txn = -1;
    if (is_v2) {
        clients[id] =
            (struct txn_client){.id = request.producer_id, .epoch = request.epoch, .txn = -1};
    }
    return true;
}

/* ---- records ---- */

static size_t keyed_batch(const struct txn_client *client, const int *keys, int count,
                          uint8_t *into, size_t room)
{
    struct sl_buffer buffer;
    struct batch_builder builder;
    struct batch_header header;
    struct batch_view view;
    sl_buffer_init(&buffer, room);
    batch_header_init(&header);
    header.attributes = BATCH_TRANSACTIONAL;
    header.producer_id = client->id;
    header.producer_epoch = client->epoch;
    header.base_sequence = client->sequence;
    cr_assert_eq(batch_builder_start(&builder, &buffer, &header), SLUICE_OK);
    for (int i = 0; i < count; i++) {
        char key[16];
        int size = snprintf(key, sizeof(key), "k%d", keys[i]);
        struct record_fields record = {.key = {(uint8_t *)key, (size_t)size},
                                       .value = {(const uint8_t *)"value", 5},
                                       .timestamp_ms = NOW + client->txn};
        cr_assert_eq(batch_builder_append(&builder, &record), SLUICE_OK);
    }
    cr_assert_eq(batch_builder_finish(&builder, BATCH_CODEC_NONE, NULL, NULL, &view), SLUICE_OK);
    memcpy(into, view.data, view.size);
    size_t size = view.size;
    sl_buffer_fini(&buffer);
    return size;
}

static bool send(int id, const int *keys, int count)
{
    static struct txn_sending sending;
    struct txn_client *client = &clients[id];
    size_t size = keyed_batch(client, keys, count, sending.bytes, sizeof(sending.bytes));
    txn_sending_post(&f, &sending, size, "c", 0, names[id], is_v2);
    if (!run_until(&sending.produced.done)) {
        return false;
    }
    cr_assert_eq(sending.produced.result.status, SLUICE_OK);
    for (int i = 0; i < count; i++) {
        history[sending.produced.result.base_offset + i] =
            (struct txn_record){.key = keys[i], .txn = client->txn};
    }
    client->sequence += count;
    client->sent += count;
    return true;
}

/* A whole transaction of one record. */
static void transact(int id, int key, bool commits)
{
    cr_assert(begin(id) && send(id, &key, 1) && end(id, commits));
}

/* ---- sealing and compacting ---- */

static bool fill(void)
{
    static uint8_t filler[32768];
    static struct produced produced;
    size_t size = fixture_batch(filler, sizeof(filler), 500, NOW, -1, -1, -1);
    produced.done = false;
    fixture_produce_start(&f, "other", 0, (struct sluice_bytes){filler, size}, &produced);
    return run_until(&produced.done);
}

/* Until all that there is has been compacted. */
static void compact(void)
{
    int64_t wanted = end_offset();
    uint32_t left = 1;
    for (int i = 0; i < 400 && left > 0; i++) {
        cr_assert(fill());
        settle(20);
        (void)stream_index_unsealed(&subject()->index, &left);
    }
    for (int i = 0; i < 3000 && subject()->clean_offset < wanted; i++) {
        settle(20);
    }
    cr_assert_eq(subject()->clean_offset, wanted);
    settle(200);
}

static void wait_until(int64_t wall_ms)
{
    while (shard_wall_ms(fixture_home(&f)) < wall_ms) {
        settle(10);
    }
}

static void open_topic(uint64_t which, int64_t delete_retention_ms)
{
    char text[24];
    seed = which;
    is_v2 = which % 2 == 1;
    txn_count = 0;
    steps_left = INT64_MAX;
    for (int i = 0; i < RECORDS_MAX; i++) {
        history[i].txn = -1;
    }
    fixture_open_small(&f, which, 1);
    f.settings.compaction_check_interval_ms = 10;
    f.settings.cleanup_compact = true;
    f.settings.cleanup_delete = false;
    f.settings.min_dirty_ratio = 0;
    fixture_restart(&f, false);
    fixture_create_topic(&f, "other", 1, "cleanup.policy", "delete");
    snprintf(text, sizeof(text), "%lld", (long long)delete_retention_ms);
    fixture_create_topic(&f, "c", 1, "delete.retention.ms", text);
}

/* ---- a reader of committed records, as clients do it ---- */

struct txn_reading {
    int64_t offset;
    int32_t bytes_max;
    bool done;
    bool seen[RECORDS_MAX];
    int64_t stable, end;
    int records, control, horizons, told;
};

static struct txn_reading reading;

static bool is_passed_over(const struct sluice_fetch_result *result, const struct batch_view *batch,
                           const bool *ended)
{
    for (uint32_t i = 0; i < result->aborted_count; i++) {
        if (!ended[i] && result->aborted[i].producer_id == batch_view_producer_id(batch) &&
            result->aborted[i].first_offset <= batch_view_base_offset(batch)) {
            return true;
        }
    }
    return false;
}

static void note_marker(const struct sluice_fetch_result *result, const struct batch_view *batch,
                        bool *ended)
{
    struct txn_marker marker;
    cr_assert_eq(txn_marker_decode(batch, &marker), SLUICE_OK);
    reading.control++;
    reading.horizons += batch_view_has(batch, BATCH_DELETE_HORIZON);
    for (uint32_t i = 0; !marker.commits && i < result->aborted_count; i++) {
        if (result->aborted[i].producer_id == marker.producer_id &&
            result->aborted[i].first_offset <= batch_view_base_offset(batch)) {
            ended[i] = true;
        }
    }
}

static void note_records(const struct batch_view *batch)
{
    struct record_iterator iterator;
    struct record_view record;
    record_iterator_init(&iterator, batch_view_records(batch), batch_view_record_count(batch));
    while (record_iterator_next(&iterator, &record)) {
        int64_t offset = record_offset(batch, &record);
        cr_assert_not(reading.seen[offset], "twice");
        cr_assert_eq(record_timestamp(batch, &record), NOW + history[offset].txn);
        reading.seen[offset] = true;
        reading.records++;
    }
    cr_assert_eq(record_iterator_finish(&iterator), SLUICE_OK);
}

static void on_read(void *arg, const struct sluice_fetch_result *results, uint32_t count,
                    int32_t throttle_ms)
{
    const struct sluice_fetch_result *result = &results[0];
    bool ended[TXNS_MAX] = {false};
    (void)arg;
    (void)throttle_ms;
    cr_assert_eq(count, 1);
    cr_assert_eq(result->status, SLUICE_OK);
    cr_assert_lt(result->aborted_count, SL_COUNT_OF(ended));
    reading.stable = result->last_stable_offset;
    reading.end = result->high_watermark;
    reading.told += (int)result->aborted_count;
    struct sl_bytes rest = {result->records.data, (size_t)result->records.size};
    while (rest.size > 0) {
        struct batch_view batch;
        cr_assert_eq(batch_view_init(&batch, rest), SLUICE_OK);
        cr_assert_eq(batch_view_check_crc(&batch), SLUICE_OK);
        if (batch_view_has(&batch, BATCH_CONTROL)) {
            note_marker(result, &batch, ended);
        } else if (!is_passed_over(result, &batch, ended)) {
            note_records(&batch);
        }
        reading.offset = batch_view_next_offset(&batch);
        rest = (struct sl_bytes){rest.data + batch.size, rest.size - batch.size};
    }
    reading.done = true;
}

static int32_t isolation; /* of the next reading */

static void call_read(struct fixture *fixture, void *arg)
{
    struct sluice_fetch_entry entry = {.topic = {.name = sluice_text_of("c")},
                                       .leader_epoch = -1,
                                       .offset = reading.offset,
                                       .bytes_max = reading.bytes_max};
    struct sluice_fetch request = {.size = sizeof(request),
                                   .bytes_max = INT32_MAX,
                                   .isolation = isolation,
                                   .entry_count = 1,
                                   .entries = &entry};
    fetch_start(fixture_home(fixture), &fixture->context, &request, NULL, NULL, on_read, arg);
}

static void read_all(int32_t bytes_max, int32_t at_isolation)
{
    int64_t wanted = end_offset();
    memset(&reading, 0, sizeof(reading));
    reading.bytes_max = bytes_max;
    isolation = at_isolation;
    for (int tries = 0; reading.offset < wanted && tries < 100; tries++) {
        int64_t before = reading.offset;
        reading.done = false;
        fixture_at_home(&f, call_read, &reading);
        fixture_run_until(&f, &reading.done);
        cr_assert(reading.done);
        tries = reading.offset > before ? 0 : tries;
    }
    cr_assert_eq(reading.offset, wanted);
    cr_assert_eq(reading.stable, reading.end, "a transaction hangs");
}

/* What nobody knew is seen, or it was not committed. */
static void take_unknown(void)
{
    bool is_there[TXNS_MAX] = {false};
    for (int i = 0; i < RECORDS_MAX; i++) {
        if (reading.seen[i] && history[i].txn >= 0) {
            is_there[history[i].txn] = true;
        }
    }
    for (int i = 0; i < txn_count; i++) {
        if (outcomes[i] == UNKNOWN) {
            outcomes[i] = is_there[i] ? COMMITTED : ABORTED;
        }
    }
}

/* Returns how many records are not as they should be. Nothing is open. */
static int judge(void)
{
    int64_t newest[KEYS_MAX];
    int wrong = 0;
    read_all(1 << 20, SLUICE_ISOLATION_COMMITTED);
    take_unknown();
    for (int few = 0; few < 2; few++) { /* many batches in an answer, then few */
        memset(newest, -1, sizeof(newest));
        for (int i = 0; i < RECORDS_MAX; i++) {
            bool is_committed = history[i].txn >= 0 && outcomes[history[i].txn] == COMMITTED;
            wrong += reading.seen[i] && !is_committed;
            if (is_committed) {
                newest[history[i].key] = i;
            }
        }
        for (int key = 0; key < KEYS_MAX; key++) {
            wrong += newest[key] >= 0 && !reading.seen[newest[key]];
        }
        read_all(200, SLUICE_ISOLATION_COMMITTED);
    }
    return wrong;
}

/* ---- tests ---- */

Test(compact_txns, records_of_aborted_transactions_go_and_displace_nothing)
{
    open_topic(2, INT64_C(1) << 40);
    cr_assert(init(0) && init(1));
    transact(0, 1, true);
    transact(1, 2, true);
    for (int i = 0; i < 20; i++) {
        transact(0, 1, false);
        transact(0, 3, false);
    }
    transact(1, 4, true);
    compact();
    cr_assert_eq(judge(), 0);
    cr_assert_eq(reading.records, 3);
    read_all(1 << 20, SLUICE_ISOLATION_UNCOMMITTED);
    cr_assert_eq(reading.records, 3, "of those that were aborted none is there");
    fixture_close(&f);
}

static void marker_life(uint64_t which)
{
    open_topic(which, 5000);
    cr_assert(init(0) && init(1));
    for (int i = 0; i < 40; i++) {
        transact(i % 2, i % 4, i % 3 != 0);
    }
    compact();
    cr_assert_eq(judge(), 0);
    cr_assert_geq(reading.control, 40, "their batches were there when it began");
    transact(1, 5, true);
    compact();
    cr_assert_eq(judge(), 0);
    int had_time = reading.horizons;
    cr_assert_gt(had_time, 30, "most have no batch any more: %d", had_time);
    cr_assert_leq(aborted_known(), 2u, "and what was aborted is forgotten: %u", aborted_known());
    int before = reading.control;
    fixture_restart(&f, true);
    cr_assert(init(1));
    transact(1, 5, true);
    compact();
    cr_assert_eq(judge(), 0);
    cr_assert_gt(reading.control, before, "their time is not over");
    fixture_restart(&f, true);
    cr_assert(init(1));
    transact(1, 6, true);
    wait_until(shard_wall_ms(fixture_home(&f)) + 6000);
    transact(1, 7, true);
    compact();
    cr_assert_eq(judge(), 0);
    cr_assert_lt(reading.control, 15, "%d markers are left", reading.control);
    fixture_restart(&f, true);
    cr_assert_eq(judge(), 0);
    cr_assert_lt(reading.control, 15);
    fixture_close(&f);
}

Test(compact_txns, a_marker_goes_when_its_batches_are_gone_and_its_time_is_over)
{
    marker_life(2);
}

Test(compact_txns, a_marker_that_brings_an_epoch_goes_likewise)
{
    marker_life(3);
}

Test(compact_txns, a_producer_goes_on_behind_markers_that_went)
{
    open_topic(5, 0);
    cr_assert(init(0) && init(1));
    for (int round = 0; round < 8; round++) {
        for (int i = 0; i < 6; i++) {
            transact(0, i, i % 2 == 0);
        }
        transact(1, 9, true);
        compact();
        cr_assert_eq(judge(), 0);
        fixture_restart(&f, round % 2 == 0);
        cr_assert_eq(judge(), 0);
    }
    cr_assert_lt(reading.control, 30, "%d of %d", reading.control, txn_count);
    fixture_close(&f);
}

/* ---- the power ---- */

/* The disk as it is now is what the next start finds; what is under way ends on one that nobody
 * looks at any more. */
static void cut_power(void)
{
    struct sl_sim_disk *copy = sl_sim_disk_new(seed);
    sl_sim_disk_copy(copy, f.disk, seed);
    sl_sim_disk_power_cut(copy);
    fixture_stop(&f);
    sl_sim_disk_free(f.disk);
    f.disk = copy;
    fixture_start_again(&f, 1);
}

static bool act(void)
{
    int id = (int)draw(IDS);
    int keys[3];
    if (draw(3) == 0) {
        bool goes_on = fill();
        settle((int)draw(60));
        return goes_on;
    }
    if (clients[id].txn < 0) {
        return draw(10) == 0 ? init(id) : begin(id);
    }
    if (clients[id].sent > 0 && draw(3) == 0) {
        return end(id, draw(2) == 0);
    }
    int count = 1 + (int)draw(3);
    for (int i = 0; i < count; i++) {
        keys[i] = (int)draw(KEYS_MAX);
    }
    return send(id, keys, count);
}

static bool init_all(void)
{
    bool goes_on = true;
    for (int id = 0; id < IDS && goes_on; id++) {
        goes_on = init(id);
    }
    return goes_on;
}

/* Returns how many records were wrong. */
static int one_history(uint64_t which, struct compact_mutants mutants)
{
    int wrong = 0;
    open_topic(which, 0);
    f.compact_mutants = mutants;
    f.compact =
        (struct compact_limits){.round_bytes = 1u << (9 + draw(9)), .round_runs = 1 + draw(20)};
    fixture_restart(&f, false);
    for (int run = 0; run < 4; run++) {
        steps_left = 200 + draw(6000);
        bool goes_on = init_all();
        while (goes_on && steps_left > 0 && txn_count < TXNS_MAX) {
            goes_on = act();
        }
        cut_power();
        steps_left = INT64_MAX;
        cr_assert(init_all(), "what was open is aborted, what was decided is done");
        wrong += judge();
        if (draw(2) == 0) {
            compact();
            wrong += judge();
        }
    }
    fixture_close(&f);
    return wrong;
}

Test(compact_txns, whatever_happens_to_the_power_readers_find_what_was_committed, .timeout = 240)
{
    for (uint64_t which = 1; which <= 40; which++) {
        cr_assert_eq(one_history(which * 1000 + which % 2, (struct compact_mutants){0}), 0,
                     "history %lu", (unsigned long)which);
    }
}

Test(compact_txns, a_marker_that_went_before_its_batches_would_hide_what_was_committed,
     .timeout = 240)
{
    bool is_caught = false;
    for (uint64_t which = 1; which <= 100 && !is_caught; which++) {
        is_caught = one_history(which * 1000 + which % 2,
                                (struct compact_mutants){.marker_early = true}) > 0;
    }
    cr_assert(is_caught);
}
