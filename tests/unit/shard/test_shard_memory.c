/* test_shard_memory.c: each allocation of a request fails once: a clean answer, the shard goes on
 * or refuses, what was acknowledged outlives a power cut, and nothing is leaked (which the build
 * with sanitizers sees).
 *
 * The allocators of base.h are wrapped by the linker (--wrap); they count while armed. */
#include "shard_fixture.h"

#include <criterion/criterion.h>
#include <string.h>

#define NOW       1700000000000
#define TRIES_MAX 400

static uint32_t countdown; /* 0: not armed */
static bool has_failed;

static bool fails_now(void)
{
    if (countdown == 0 || --countdown > 0) {
        return false;
    }
    has_failed = true;
    return true;
}

void *__real_sl_alloc(size_t size);
void *__wrap_sl_alloc(size_t size);
void *__wrap_sl_alloc(size_t size)
{
    return fails_now() ? NULL : __real_sl_alloc(size);
}
void *__real_sl_alloc_zero(size_t count, size_t size);
void *__wrap_sl_alloc_zero(size_t count, size_t size);
void *__wrap_sl_alloc_zero(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_sl_alloc_zero(count, size);
}
void *__real_sl_realloc(void *memory, size_t size);
void *__wrap_sl_realloc(void *memory, size_t size);
void *__wrap_sl_realloc(void *memory, size_t size)
{
    return fails_now() ? NULL : __real_sl_realloc(memory, size);
}
char *__real_sl_strdup_bytes(const void *data, size_t size);
char *__wrap_sl_strdup_bytes(const void *data, size_t size);
char *__wrap_sl_strdup_bytes(const void *data, size_t size)
{
    return fails_now() ? NULL : __real_sl_strdup_bytes(data, size);
}

static struct fixture f;
static uint8_t batch[512]; /* of an idempotent producer: two records */
static size_t batch_size;

struct outcome {
    bool done;
    uint32_t count;
    sluice_status status;
};

/* A path: starts one request, whose done sets the outcome. */
typedef void path_fn(struct fixture *fixture, void *arg);

static void finish(struct outcome *outcome, uint32_t count, sluice_status status)
{
    cr_assert_not(outcome->done, "answered twice");
    outcome->done = true;
    outcome->count = count;
    outcome->status = count == 0 ? SLUICE_E_NO_MEMORY : status;
}

static void on_produced(void *arg, const struct sluice_produce_result *results, uint32_t count,
                        int32_t throttle_ms)
{
    (void)throttle_ms;
    sluice_status worst = SLUICE_OK;
    for (uint32_t i = 0; i < count; i++) {
        worst = results[i].status != SLUICE_OK ? results[i].status : worst;
    }
    finish(arg, count, worst);
}

static void path_produce(struct fixture *fixture, void *arg)
{
    struct sluice_produce_entry entries[3];
    for (int32_t i = 0; i < 3; i++) {
        entries[i] = (struct sluice_produce_entry){
            .topic = {.name = sluice_text_of("t")}, .partition = i, .batch = {batch, batch_size}};
    }
    struct sluice_produce request = {
        .size = sizeof(request), .acks = -1, .entry_count = 3, .entries = entries};
    produce_start(fixture_home(fixture), NULL, &fixture->context, &request, on_produced, arg, NULL);
}

static void on_fetched(void *arg, const struct sluice_fetch_result *results, uint32_t count,
                       int32_t throttle_ms)
{
    (void)throttle_ms;
    sluice_status worst = SLUICE_OK;
    for (uint32_t i = 0; i < count; i++) {
        worst = results[i].status != SLUICE_OK ? results[i].status : worst;
    }
    finish(arg, count, worst);
}

static void path_fetch(struct fixture *fixture, void *arg)
{
    struct sluice_fetch_entry entries[3];
    for (int32_t i = 0; i < 3; i++) {
        entries[i] = (struct sluice_fetch_entry){.topic = {.name = sluice_text_of("t")},
                                                 .partition = i,
                                                 .leader_epoch = -1,
                                                 .bytes_max = 10000};
    }
    struct sluice_fetch request = {.size = sizeof(request),
                                   .bytes_max = 10000,
                                   .bytes_min = 1,
                                   .wait_ms = 50,
                                   .entry_count = 3,
                                   .entries = entries};
    fetch_start(fixture_home(fixture), &fixture->context, &request, NULL, NULL, on_fetched, arg);
}

static void on_offsets(void *arg, const struct sluice_offset_answer *answers, uint32_t count)
{
    finish(arg, count, count > 0 ? answers[0].status : 0);
}

static void path_offsets(struct fixture *fixture, void *arg)
{
    struct sluice_offset_query query = {.topic = {.name = sluice_text_of("t")},
                                        .partition = 1,
                                        .leader_epoch = -1,
                                        .timestamp = NOW + 1};
    offsets_start(fixture_home(fixture), SLUICE_ISOLATION_UNCOMMITTED, &query, 1, on_offsets, arg);
}

static void on_topics(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    finish(arg, count, count > 0 ? results[0].status : 0);
}

static void path_create(struct fixture *fixture, void *arg)
{
    static struct sluice_key_value config = {{"retention.ms", 12}, {"1000", 4}};
    static struct sluice_topic_spec spec = {.size = sizeof(spec),
                                            .partition_count = 3,
                                            .name = {"new", 3},
                                            .replication_factor = 1,
                                            .config_count = 1,
                                            .configs = &config};
    topics_create_start(fixture_home(fixture), &spec, 1, false, false, NULL, on_topics, arg);
}

static void path_delete(struct fixture *fixture, void *arg)
{
    static struct sluice_topic_ref ref = {.name = {"u", 1}};
    topics_delete_start(fixture_home(fixture), &ref, 1, false, on_topics, arg);
}

static void on_producer_id(void *arg, const struct sluice_producer_id *id)
{
    finish(arg, 1, id->status);
}

static void path_producer_id(struct fixture *fixture, void *arg)
{
    producer_id_start(fixture_home(fixture), -1, -1, on_producer_id, arg);
}

static void on_joined(void *arg, const struct sluice_group_joined *joined)
{
    finish(arg, 1, joined->status);
}

static void path_join(struct fixture *fixture, void *arg)
{
    static struct sluice_group_protocol protocol = {{"range", 5}, {(const uint8_t *)"m", 1}};
    static struct sluice_group_join join = {.size = sizeof(join),
                                            .session_timeout_ms = 30000,
                                            .rebalance_timeout_ms = 30000,
                                            .protocol_count = 1,
                                            .group = {"g", 1},
                                            .member = {"", 0},
                                            .protocol_type = {"consumer", 8},
                                            .protocols = &protocol};
    groups_join(fixture_home(fixture), &fixture->context, &join, on_joined, arg);
}

static void on_statuses(void *arg, sluice_status status, const sluice_status *statuses,
                        uint32_t count)
{
    finish(arg, 1, status != SLUICE_OK || count == 0 ? status : statuses[0]);
}

static void path_commit(struct fixture *fixture, void *arg)
{
    static struct sluice_offset_commit_entry entry = {
        .topic = {.name = {"t", 1}}, .leader_epoch = -1, .offset = 3, .metadata = {"m", 1}};
    static struct sluice_offset_commit commit = {
        .size = sizeof(commit), .entry_count = 1, .entries = &entry};
    commit.identity = (struct sluice_group_identity){
        .size = sizeof(commit.identity), .generation = -1, .group = sluice_text_of("h")};
    groups_commit(fixture_home(fixture), &commit, on_statuses, arg);
}

static void on_committed_offsets(void *arg, sluice_status status,
                                 const struct sluice_offset_fetched *offsets, uint32_t count)
{
    (void)offsets;
    (void)count;
    finish(arg, 1, status);
}

static void path_committed(struct fixture *fixture, void *arg)
{
    static struct sluice_offset_fetch fetch = {.size = sizeof(fetch), .group = {"before", 6}};
    groups_offsets(fixture_home(fixture), &fetch, on_committed_offsets, arg);
}

static void commit_before(void)
{
    struct sluice_offset_commit_entry entry = {.topic = {.name = sluice_text_of("t")},
                                               .leader_epoch = -1,
                                               .offset = 3,
                                               .metadata = sluice_text_of("m")};
    struct sluice_offset_commit commit = {
        .size = sizeof(commit), .entry_count = 1, .entries = &entry};
    commit.identity = (struct sluice_group_identity){
        .size = sizeof(commit.identity), .generation = -1, .group = sluice_text_of("before")};
    struct outcome outcome = {0};
    groups_commit(fixture_home(&f), &commit, on_statuses, &outcome);
    fixture_run_until(&f, &outcome.done);
    cr_assert_eq(outcome.status, SLUICE_OK);
}

/* ---- what an acknowledged request left, after a power cut ---- */

static void find_produced(void)
{
    for (int32_t i = 0; i < 3; i++) {
        cr_assert_eq(fixture_offset(&f, "t", i, SLUICE_TIME_LATEST).offset, 2);
    }
}

static void find_created(void)
{
    cr_assert_eq(fixture_produce(&f, "new", 2, 1, NOW).status, SLUICE_OK);
}

static void find_deleted(void)
{
    cr_assert_eq(fixture_offset(&f, "u", 0, SLUICE_TIME_LATEST).status, SLUICE_E_UNKNOWN_TOPIC);
}

static void on_found(void *arg, sluice_status status, const struct sluice_offset_fetched *offsets,
                     uint32_t count)
{
    cr_assert_eq(status, SLUICE_OK);
    cr_assert_eq(count, 1);
    cr_assert_eq(offsets[0].offset, 3);
    finish(arg, 1, status);
}

static void find_committed(void)
{
    struct sluice_offset_fetch fetch = {.size = sizeof(fetch), .group = {"h", 1}};
    struct outcome outcome = {0};
    groups_offsets(fixture_home(&f), &fetch, on_found, &outcome);
    fixture_run_until(&f, &outcome.done);
    cr_assert(outcome.done);
}

/* ---- each allocation in turn ---- */

struct path {
    path_fn *start;
    void (*find)(void); /* what it acknowledged; NULL: nothing stays */
    bool wants_records;
};

static void open_and_fill(uint64_t seed, bool wants_records)
{
    if (seed % 2 == 0) {
        fixture_open_spread(&f, seed, 2);
    } else {
        fixture_open(&f, seed, 2);
    }
    fixture_create_topic(&f, "t", 3, NULL, NULL);
    fixture_create_topic(&f, "u", 3, NULL, NULL);
    for (int32_t p = 0; wants_records && p < 3; p++) {
        cr_assert_eq(fixture_produce(&f, "t", p, 3, NOW).status, SLUICE_OK);
    }
    commit_before();
    batch_size = fixture_batch(batch, sizeof(batch), 2, NOW, 7, 0, 0);
}

static bool any_refuses(void)
{
    bool refuses = false;
    for (uint32_t i = 0; i < f.set.count; i++) {
        refuses = refuses || shard_status(f.set.shards[i]) != SLUICE_OK;
    }
    return refuses;
}

static struct outcome run_with_failure(path_fn *start, uint32_t allocation)
{
    struct outcome outcome = {0};
    has_failed = false;
    countdown = allocation;
    fixture_at_home(&f, start, &outcome);
    fixture_run_until(&f, &outcome.done);
    countdown = 0;
    cr_assert(outcome.done, "allocation %u: no answer", allocation);
    return outcome;
}

static void check_outcome(const struct outcome *outcome, uint32_t allocation)
{
    bool clean = outcome->status == SLUICE_OK ||
                 (has_failed && outcome->status == SLUICE_E_NO_MEMORY) ||
                 (any_refuses() && outcome->status == SLUICE_E_FENCED);
    cr_assert(clean, "allocation %u: status %d", allocation, outcome->status);
    cr_assert(has_failed || !any_refuses());
    if (!any_refuses()) {
        struct sluice_produce_result after = fixture_produce(&f, "u", 2, 1, NOW);
        bool deleted = after.status == SLUICE_E_UNKNOWN_TOPIC && outcome->status == SLUICE_OK;
        cr_assert(after.status == SLUICE_OK || deleted, "after allocation %u: %d", allocation,
                  after.status);
    }
}

/* Restarts by a power cut: all that was acknowledged is there. */
static void check_kept(const struct path *path, const struct outcome *outcome)
{
    fixture_restart(&f, true);
    if (path->wants_records) {
        cr_assert_eq(fixture_offset(&f, "t", 0, SLUICE_TIME_LATEST).offset, 3);
    }
    if (path->find != NULL && outcome->status == SLUICE_OK) {
        path->find();
    }
    cr_assert_eq(fixture_produce(&f, "t", 2, 1, NOW).status, SLUICE_OK);
}

static void each_allocation_fails_once(const struct path *path)
{
    uint32_t allocation = 0;
    do {
        allocation++;
        cr_assert_lt(allocation, TRIES_MAX);
        open_and_fill(allocation, path->wants_records);
        struct outcome outcome = run_with_failure(path->start, allocation);
        check_outcome(&outcome, allocation);
        check_kept(path, &outcome);
        fixture_close(&f);
    } while (has_failed);
    cr_assert_gt(allocation, 1, "nothing was allocated: is the wrapper linked?");
}

Test(shard_memory, produce_answers_whichever_allocation_fails, .timeout = 120)
{
    each_allocation_fails_once(&(struct path){path_produce, find_produced, false});
}

Test(shard_memory, fetch_answers_whichever_allocation_fails, .timeout = 120)
{
    each_allocation_fails_once(&(struct path){path_fetch, NULL, true});
}

Test(shard_memory, a_wait_for_records_answers_whichever_allocation_fails, .timeout = 120)
{
    each_allocation_fails_once(&(struct path){path_fetch, NULL, false});
}

Test(shard_memory, offsets_by_time_answer_whichever_allocation_fails, .timeout = 120)
{
    each_allocation_fails_once(&(struct path){path_offsets, NULL, true});
}

Test(shard_memory, topic_creation_answers_whichever_allocation_fails, .timeout = 120)
{
    each_allocation_fails_once(&(struct path){path_create, find_created, false});
}

Test(shard_memory, topic_deletion_answers_whichever_allocation_fails, .timeout = 120)
{
    each_allocation_fails_once(&(struct path){path_delete, find_deleted, false});
}

Test(shard_memory, producer_ids_answer_whichever_allocation_fails, .timeout = 120)
{
    each_allocation_fails_once(&(struct path){path_producer_id, NULL, false});
}

Test(shard_memory, joining_a_group_answers_whichever_allocation_fails, .timeout = 120)
{
    each_allocation_fails_once(&(struct path){path_join, NULL, false});
}

Test(shard_memory, committing_offsets_answers_whichever_allocation_fails, .timeout = 120)
{
    each_allocation_fails_once(&(struct path){path_commit, find_committed, false});
}

Test(shard_memory, committed_offsets_answer_whichever_allocation_fails, .timeout = 120)
{
    each_allocation_fails_once(&(struct path){path_committed, NULL, false});
}
