/* test_txn_cuts.c: transactions over three shards while the power goes, by seed: no reader of
 * committed records sees a part of a transaction or a record of one that was not committed, what
 * was acknowledged as committed is there, and so are the offsets that were committed with it. */
#include "base/bytes.h"
#include "shard_fixture.h"
#include "txn_requests.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW        INT64_C(1700000000000)
#define HISTORIES  60
#define CUTS       4
#define PARTITIONS 6
#define IDS        3
#define TXNS_MAX   400
#define GROUP      "g"

/* Not known: all of it may be there, or nothing. */
enum outcome { OPEN, COMMITTED, ABORTED, UNKNOWN };

/* A transaction writes one record into each of its partitions, whose time is its number. */
struct history {
    enum outcome outcomes[TXNS_MAX];
    uint32_t partitions[TXNS_MAX]; /* bits, of acknowledged records */
    int ids[TXNS_MAX];
    int count;
};

struct producer {
    int64_t id;
    int16_t epoch;
    int32_t sequences[PARTITIONS];
};

static struct fixture f;
static struct history history;
static struct producer producers[IDS];
static bool
    is_v2; /* KIP-890: partitions and the group are added by use, each end bumps the epoch */
static uint64_t seed;
static uint64_t seen_whole, not_seen;
static int64_t steps_left;
static void *unfinished; /* what the power left under way */
static const char *const names[IDS] = {"tx-a", "tx-b", "tx-c"};

static uint32_t draw(uint32_t bound)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % bound;
}

/* What if the power went now? The disk as it is then is what the next start finds; what is under
 * way ends on one that nobody looks at any more. */
static void cut_power(void)
{
    struct sl_sim_disk *copy = sl_sim_disk_new(seed);
    sl_sim_disk_copy(copy, f.disk, seed);
    sl_sim_disk_power_cut(copy);
    fixture_stop(&f);
    free(unfinished);
    unfinished = NULL;
    sl_sim_disk_free(f.disk);
    f.disk = copy;
    fixture_start_again(&f, 3);
}

/* False: the power has gone before it was done. */
static bool run_until(const bool *done)
{
    while (!*done && steps_left > 0 && sl_os_sim_step(f.os)) {
        steps_left--;
    }
    return *done;
}

/* ---- requests, each from the home loop ---- */

static void on_status(void *arg, sluice_status status)
{
    txn_request_answered(arg, status, NULL, 0);
}

static void call_group(struct txn_request *call)
{
    txns_add_group(fixture_home(&f), &call->txn, sluice_text_of(GROUP), on_status, call);
}

static void call_offsets(struct txn_request *call)
{
    static struct sluice_offset_commit_entry entry;
    static struct sluice_offset_commit commit;
    entry = (struct sluice_offset_commit_entry){.topic = {.name = sluice_text_of("t")},
                                                .partition = call->id,
                                                .leader_epoch = -1,
                                                .offset = call->offset,
                                                .metadata = sluice_text_of("")};
    commit = (struct sluice_offset_commit){.size = sizeof(commit),
                                           .entry_count = 1,
                                           .identity = {.size = sizeof(commit.identity),
                                                        .generation = -1,
                                                        .group = sluice_text_of(GROUP),
                                                        .member = sluice_text_of("")},
                                           .entries = &entry};
    txns_commit_offsets(fixture_home(&f), &call->txn, &commit, txn_request_answered, call);
}

static bool ask(struct txn_request *call, int id, txn_request_fn *run)
{
    call->txn = (struct sluice_txn){.size = sizeof(call->txn),
                                    .flags = is_v2 ? SLUICE_TXN_V2 : 0,
                                    .epoch = producers[id].epoch,
                                    .producer_id = producers[id].id,
                                    .id = sluice_text_of(names[id])};
    call->id = id;
    txn_request_post(&f, call, run);
    return run_until(&call->done);
}

static bool init(int id)
{
    static struct txn_request request;
    producers[id] = (struct producer){.id = -1, .epoch = -1};
    if (!ask(&request, id, txn_request_init)) {
        return false;
    }
    cr_assert_eq(request.status, SLUICE_OK);
    producers[id] = (struct producer){.id = request.producer_id, .epoch = request.epoch};
    return true;
}

/* ---- records ---- */

static bool send(int id, uint32_t partition, int number)
{
    struct txn_sending *sending = calloc(1, sizeof(*sending));
    struct producer *producer = &producers[id];
    size_t size = fixture_batch(sending->bytes, sizeof(sending->bytes), 1, NOW + number,
                                producer->id, producer->epoch, producer->sequences[partition]);
    struct batch_view view = {sending->bytes, size};
    sl_be16_store(sending->bytes + BATCH_ATTRIBUTES_AT, BATCH_TRANSACTIONAL);
    sl_be32_store(sending->bytes + BATCH_CRC_AT, batch_view_computed_crc(&view));
    txn_sending_post(&f, sending, size, "t", (int32_t)partition, names[id], is_v2);
    if (!run_until(&sending->produced.done)) {
        unfinished = sending;
        return false;
    }
    cr_assert_eq(sending->produced.result.status, SLUICE_OK, "status %d",
                 sending->produced.result.status);
    producer->sequences[partition]++;
    history.partitions[number] |= 1u << partition;
    free(sending);
    return true;
}

/* One transaction, as far as the power allows. */
static bool transact(int id)
{
    static struct txn_request request;
    struct sluice_txn_partition partitions[PARTITIONS];
    int number = history.count++;
    uint32_t wanted = 1 + draw((1u << PARTITIONS) - 1);
    uint32_t count = 0;
    history.ids[number] = id;
    for (int32_t i = 0; i < PARTITIONS; i++) {
        if ((wanted & (1u << i)) != 0) {
            partitions[count++] = (struct sluice_txn_partition){
                .topic = {.name = sluice_text_of("t")}, .partition = i};
        }
    }
    request = (struct txn_request){.partitions = partitions, .count = count, .offset = number};
    if (!is_v2 && !ask(&request, id, txn_request_add)) {
        return false;
    }
    cr_assert_eq(request.status, SLUICE_OK);
    for (uint32_t i = 0; i < count; i++) {
        if (!send(id, (uint32_t)partitions[i].partition, number)) {
            return false;
        }
    }
    if ((!is_v2 && !ask(&request, id, call_group)) || !ask(&request, id, call_offsets)) {
        return false;
    }
    cr_assert_eq(request.status, SLUICE_OK);
    request.commits = draw(3) != 0;
    history.outcomes[number] = UNKNOWN;
    if (!ask(&request, id, txn_request_end)) {
        history.outcomes[number] = request.commits ? UNKNOWN : ABORTED;
        return false;
    }
    cr_assert_eq(request.status, SLUICE_OK);
    history.outcomes[number] = request.commits ? COMMITTED : ABORTED;
    cr_assert_eq(request.epoch, producers[id].epoch + is_v2);
    if (is_v2) {
        producers[id] = (struct producer){.id = request.producer_id, .epoch = request.epoch};
    }
    return true;
}

static void work(void)
{
    bool goes_on = true;
    steps_left = 50 + draw(4000);
    for (int id = 0; id < IDS && goes_on; id++) {
        goes_on = init(id);
    }
    while (goes_on && history.count < TXNS_MAX) {
        int id = (int)draw(IDS);
        goes_on = draw(10) == 0 ? init(id) : transact(id);
    }
}

/* ---- a reader of committed records ---- */

struct reading {
    int32_t partition;
    int64_t offset;
    bool done;
    uint32_t seen[TXNS_MAX]; /* bits, by transaction */
    int64_t stable, end;
};

static bool is_aborted(const struct sluice_fetch_result *result, const struct batch_view *batch,
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
    for (uint32_t i = 0; !marker.commits && i < result->aborted_count; i++) {
        if (result->aborted[i].producer_id == marker.producer_id &&
            result->aborted[i].first_offset <= batch_view_base_offset(batch)) {
            ended[i] = true;
        }
    }
}

/* As clients do it. */
static void on_read(void *arg, const struct sluice_fetch_result *results, uint32_t count,
                    int32_t throttle_ms)
{
    struct reading *reading = arg;
    const struct sluice_fetch_result *result = &results[0];
    bool ended[TXNS_MAX * 2] = {false};
    (void)throttle_ms;
    cr_assert_eq(count, 1);
    cr_assert_eq(result->status, SLUICE_OK);
    cr_assert_lt(result->aborted_count, SL_COUNT_OF(ended));
    reading->stable = result->last_stable_offset;
    reading->end = result->high_watermark;
    struct sl_bytes rest = {result->records.data, (size_t)result->records.size};
    while (rest.size > 0) {
        struct batch_view batch;
        cr_assert_eq(batch_view_init(&batch, rest), SLUICE_OK);
        cr_assert_lt(batch_view_last_offset(&batch), reading->stable);
        if (batch_view_has(&batch, BATCH_CONTROL)) {
            note_marker(result, &batch, ended);
        } else if (!is_aborted(result, &batch, ended)) {
            int64_t number = batch_view_max_timestamp(&batch) - NOW;
            cr_assert((reading->seen[number] & (1u << reading->partition)) == 0, "twice");
            reading->seen[number] |= 1u << reading->partition;
        }
        reading->offset = batch_view_next_offset(&batch);
        rest = (struct sl_bytes){rest.data + batch.size, rest.size - batch.size};
    }
    reading->done = true;
}

static void call_read(struct fixture *fixture, void *arg)
{
    struct reading *reading = arg;
    struct sluice_fetch_entry entry = {.topic = {.name = sluice_text_of("t")},
                                       .partition = reading->partition,
                                       .leader_epoch = -1,
                                       .offset = reading->offset,
                                       .bytes_max = 700};
    struct sluice_fetch request = {.size = sizeof(request),
                                   .bytes_max = INT32_MAX,
                                   .isolation = SLUICE_ISOLATION_COMMITTED,
                                   .entry_count = 1,
                                   .entries = &entry};
    fetch_start(fixture_home(fixture), &fixture->context, &request, NULL, NULL, on_read, reading);
}

struct offsets {
    struct sluice_offset_fetch fetch;
    int64_t committed[PARTITIONS];
    bool done;
};

static void on_offsets(void *arg, sluice_status status, const struct sluice_offset_fetched *fetched,
                       uint32_t count)
{
    struct offsets *offsets = arg;
    cr_assert_eq(status, SLUICE_OK);
    for (uint32_t i = 0; i < count; i++) {
        cr_assert_eq(fetched[i].status, SLUICE_OK, "nothing is pending");
        offsets->committed[fetched[i].partition] = fetched[i].offset;
    }
    offsets->done = true;
}

static void call_offset_fetch(struct fixture *fixture, void *arg)
{
    struct offsets *offsets = arg;
    groups_offsets(fixture_home(fixture), &offsets->fetch, on_offsets, offsets);
}

static void judge(uint64_t which)
{
    static struct reading reading;
    static struct offsets offsets;
    steps_left = INT64_MAX;
    for (int id = 0; id < IDS; id++) {
        cr_assert(init(id), "what was open is aborted, what was decided is done");
    }
    memset(&reading, 0, sizeof(reading));
    for (int32_t partition = 0; partition < PARTITIONS; partition++) {
        int64_t before = -1;
        reading.partition = partition;
        reading.offset = 0;
        do {
            before = reading.offset;
            reading.done = false;
            fixture_at_home(&f, call_read, &reading);
            fixture_run_until(&f, &reading.done);
            cr_assert(reading.done);
        } while (reading.offset > before);
        cr_assert_eq(reading.stable, reading.end, "seed %llu: a transaction hangs",
                     (unsigned long long)which);
    }
    offsets = (struct offsets){.fetch = {.size = sizeof(offsets.fetch),
                                         .group = sluice_text_of(GROUP),
                                         .flags = SLUICE_OFFSET_FETCH_STABLE},
                               .committed = {-1, -1, -1, -1, -1, -1}};
    fixture_at_home(&f, call_offset_fetch, &offsets);
    fixture_run_until(&f, &offsets.done);
    cr_assert(offsets.done);
    int64_t last[IDS] = {-1, -1, -1};
    for (int i = 0; i < history.count; i++) {
        uint32_t sent = history.partitions[i];
        bool is_there = reading.seen[i] != 0;
        cr_assert(!is_there || reading.seen[i] == sent, "seed %llu: half of transaction %d",
                  (unsigned long long)which, i);
        cr_assert(history.outcomes[i] != COMMITTED || is_there, "seed %llu: %d is lost",
                  (unsigned long long)which, i);
        cr_assert((history.outcomes[i] == COMMITTED || history.outcomes[i] == UNKNOWN) || !is_there,
                  "seed %llu: %d was not committed", (unsigned long long)which, i);
        history.outcomes[i] = is_there ? COMMITTED : ABORTED; /* and so it stays */
        seen_whole += is_there;
        not_seen += !is_there;
        last[history.ids[i]] = is_there ? i : last[history.ids[i]];
    }
    for (int id = 0; id < IDS; id++) {
        cr_assert_eq(offsets.committed[id], last[id], "seed %llu: offset %lld instead of %lld",
                     (unsigned long long)which, (long long)offsets.committed[id],
                     (long long)last[id]);
    }
}

static void history_run(uint64_t which)
{
    seed = which;
    is_v2 = which % 4 >= 2;
    memset(&history, 0, sizeof(history));
    if (which % 2 == 0) {
        fixture_open_spread(&f, which, 3);
    } else {
        fixture_open_small(&f, which, 3);
    }
    fixture_create_topic(&f, "t", PARTITIONS, NULL, NULL);
    for (int i = 0; i < CUTS; i++) {
        work();
        cut_power();
        judge(which);
    }
    fixture_restart(&f, false);
    judge(which);
    fixture_close(&f);
}

Test(txn_cuts, no_half_of_a_transaction_is_ever_seen_whenever_the_power_goes, .timeout = 300)
{
    const char *first = getenv("SLUICE_SEED");
    const char *more = getenv("SLUICE_TXN_HISTORIES");
    uint64_t from = first != NULL ? strtoull(first, NULL, 10) : 1;
    uint64_t count = more != NULL ? strtoull(more, NULL, 10) : HISTORIES;
    printf("seed %llu, %llu histories of %d power cuts\n", (unsigned long long)from,
           (unsigned long long)count, CUTS);
    for (uint64_t i = 0; i < count; i++) {
        history_run(from + i);
    }
    printf("%llu transactions were seen whole, %llu not at all\n", (unsigned long long)seen_whole,
           (unsigned long long)not_seen);
    cr_assert_gt(seen_whole, 0);
    cr_assert_gt(not_seen, 0);
}
