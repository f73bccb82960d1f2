/* test_shard_loops.c: shards on loops of their own: what crosses from one to the other. */
#include "shard_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define NOW        1700000000000
#define PARTITIONS 6

static struct fixture f;

/* ---- fetches over several shards ---- */

struct wide {
    int32_t bytes_min, wait_ms;
    bool done;
    uint32_t count;
    int records[PARTITIONS];
    sluice_status status[PARTITIONS];
    bool sends; /* takes the chunks along, as a connection does */
    struct chunk *chunks[PARTITIONS];
    struct chunk *const *tokens;
};

static void on_tokens(void *arg, struct chunk *const *chunks, uint32_t count)
{
    ((struct wide *)arg)->tokens = count > 0 ? chunks : NULL;
}

static void on_wide(void *arg, const struct sluice_fetch_result *results, uint32_t count,
                    int32_t throttle_ms)
{
    struct wide *wide = arg;
    (void)throttle_ms;
    cr_assert(sl_loop_is_current(fixture_home(&f)->loop));
    cr_assert_not(wide->done);
    wide->count = count;
    for (uint32_t i = 0; i < count; i++) {
        wide->status[i] = results[i].status;
        wide->records[i] = 0;
        struct sl_bytes rest = {results[i].records.data, results[i].records.size};
        while (rest.size > 0) {
            struct batch_view view;
            cr_assert_eq(batch_view_init(&view, rest), SLUICE_OK);
            wide->records[i] += batch_view_record_count(&view);
            rest = (struct sl_bytes){rest.data + view.size, rest.size - view.size};
        }
        if (wide->sends && results[i].records_token != 0) {
            wide->chunks[i] = chunk_ref(wide->tokens[results[i].records_token - 1]);
        }
    }
    wide->done = true;
}

static void call_wide(struct fixture *fixture, void *arg)
{
    struct wide *wide = arg;
    struct sluice_fetch_entry entries[PARTITIONS];
    for (int32_t i = 0; i < PARTITIONS; i++) {
        entries[i] = (struct sluice_fetch_entry){.topic = {.name = sluice_text_of("t")},
                                                 .partition = i,
                                                 .leader_epoch = -1,
                                                 .bytes_max = 1 << 20};
    }
    struct sluice_fetch request = {.size = sizeof(request),
                                   .bytes_max = INT32_MAX,
                                   .bytes_min = wide->bytes_min,
                                   .wait_ms = wide->wait_ms,
                                   .entry_count = PARTITIONS,
                                   .entries = entries};
    fetch_start(fixture_home(fixture), &fixture->context, &request, on_tokens, wide, on_wide, wide);
}

static void give_chunks(struct fixture *fixture, void *arg)
{
    struct wide *wide = arg;
    (void)fixture;
    for (int i = 0; i < PARTITIONS; i++) {
        wide->chunks[i] = chunk_unref(wide->chunks[i]);
    }
}

static void steps(int count)
{
    while (count-- > 0) {
        sl_os_sim_step(f.os);
    }
}

static void merges(uint64_t seed, bool cold)
{
    fixture_open_spread(&f, seed, 3);
    f.faults.reads_are_cold = cold;
    fixture_restart(&f, false);
    fixture_create_topic(&f, "t", PARTITIONS, NULL, NULL);
    for (int32_t p = 0; p < PARTITIONS; p++) {
        cr_assert_eq(fixture_produce(&f, "t", p, p + 1, NOW).status, SLUICE_OK);
    }
    struct wide wide = {.sends = true, .bytes_min = 1};
    fixture_at_home(&f, call_wide, &wide);
    fixture_run_until(&f, &wide.done);
    cr_assert_eq(wide.count, PARTITIONS);
    int records = 0;
    for (int p = 0; p < PARTITIONS; p++) {
        cr_assert_eq(wide.status[p], SLUICE_OK);
        cr_assert(wide.records[p] == p + 1 || wide.records[p] == 0, "partition %d: %d", p,
                  wide.records[p]);
        records += wide.records[p];
    }
    cr_assert_gt(records, 0);
    fixture_at_home(&f, give_chunks, &wide);
    steps(20); /* the chunks go home */
    fixture_close(&f);
}

Test(shard_loops, a_fetch_merges_what_several_shards_have)
{
    for (uint64_t seed = 1; seed < 20; seed++) {
        merges(seed, false);
    }
}

Test(shard_loops, a_fetch_merges_cold_reads_of_several_shards)
{
    for (uint64_t seed = 1; seed < 20; seed++) {
        merges(seed, true);
    }
}

Test(shard_loops, the_first_shard_with_records_ends_the_wait_on_the_others)
{
    for (uint64_t seed = 1; seed < 20; seed++) {
        fixture_open_spread(&f, seed, 3);
        fixture_create_topic(&f, "t", PARTITIONS, NULL, NULL);
        struct wide wide = {.bytes_min = 1, .wait_ms = 200000};
        fixture_at_home(&f, call_wide, &wide);
        int32_t partition = (int32_t)(seed % PARTITIONS);
        fixture_produce(&f, "t", partition, 2, NOW);
        fixture_run_until(&f, &wide.done);
        cr_assert(wide.done);
        cr_assert_eq(wide.records[partition], 2);
        cr_assert_lt(shard_now_ms(fixture_home(&f)), 100000, "it waited for its time");
        fixture_close(&f);
    }
}

struct cancel_call {
    struct shard_call call;
    uint32_t home; /* whose connection closed */
    bool done;
};
static void cancel_run(struct shard_call *call)
{
    uint32_t home = SL_CONTAINER_OF(call, struct cancel_call, call)->home;
    fetch_cancel(call->target, f.set.shards[home], f.context.connection);
    groups_cancel(call->target, f.set.shards[home], f.context.connection);
    shard_call_reply(call);
}
static void cancel_replied(struct shard_call *call)
{
    SL_CONTAINER_OF(call, struct cancel_call, call)->done = true;
}
static void call_cancel(struct fixture *fixture, void *arg)
{
    struct cancel_call *cancels = arg;
    for (uint32_t i = 0; i < fixture->set.count; i++) {
        cancels[i].call.run = cancel_run;
        cancels[i].call.reply = cancel_replied;
        shard_call_start(&cancels[i].call, fixture->set.shards[i], fixture_home(fixture)->loop,
                         SL_PRIORITY_CONTROL);
    }
}

Test(shard_loops, a_connection_that_closes_at_any_moment_of_a_fetch_harms_nothing)
{
    for (uint64_t seed = 1; seed < 120; seed++) {
        fixture_open_spread(&f, seed, 3);
        f.faults.reads_are_cold = seed % 2 == 0;
        fixture_restart(&f, false);
        fixture_create_topic(&f, "t", PARTITIONS, NULL, NULL);
        if (seed % 3 > 0) {
            fixture_produce(&f, "t", (int32_t)(seed % PARTITIONS), 2, NOW);
        }
        struct wide wide = {.bytes_min = 1, .wait_ms = 200000};
        struct cancel_call cancels[3] = {0};
        fixture_at_home(&f, call_wide, &wide);
        steps((int)(seed % 13));
        fixture_at_home(&f, call_cancel, cancels);
        fixture_run_until(&f, &wide.done);
        cr_assert(wide.done, "seed %llu", (unsigned long long)seed);
        for (int i = 0; i < 3; i++) {
            fixture_run_until(&f, &cancels[i].done);
        }
        fixture_close(&f);
    }
}

Test(shard_loops, an_end_at_any_moment_of_a_fetch_answers_it)
{
    for (uint64_t seed = 1; seed < 120; seed++) {
        fixture_open_spread(&f, seed, 3);
        f.faults.reads_are_cold = seed % 2 == 0;
        fixture_restart(&f, false);
        fixture_create_topic(&f, "t", PARTITIONS, NULL, NULL);
        if (seed % 3 > 0) {
            fixture_produce(&f, "t", (int32_t)(seed % PARTITIONS), 2, NOW);
        }
        struct wide wide = {.bytes_min = 1, .wait_ms = 200000};
        fixture_at_home(&f, call_wide, &wide);
        steps((int)(seed % 13));
        fixture_restart(&f, false); /* asserts that no memory is lent */
        cr_assert(wide.done, "seed %llu", (unsigned long long)seed);
        fixture_close(&f);
    }
}

/* ---- topics ---- */

static bool every_shard_knows(const char *name)
{
    struct sl_bytes bytes = sl_of_text(sluice_text_of(name));
    uint32_t knows = 0;
    for (uint32_t i = 0; i < f.set.count; i++) {
        knows += catalog_by_name(f.set.shards[i]->catalog, bytes) != NULL;
    }
    cr_assert(knows == 0 || knows == f.set.count, "%u of %u shards know it", knows, f.set.count);
    return knows > 0;
}

Test(shard_loops, a_topic_is_on_every_shard_when_its_creation_is_answered_and_on_none_when_deleted)
{
    fixture_open_spread(&f, 5, 4);
    fixture_create_topic(&f, "t", PARTITIONS, NULL, NULL);
    cr_assert(every_shard_knows("t"));
    fixture_produce(&f, "t", 1, 1, NOW);
    fixture_restart(&f, false);
    cr_assert(every_shard_knows("t"));
    fixture_delete_topic(&f, "t");
    cr_assert_not(every_shard_knows("t"));
    fixture_restart(&f, true);
    cr_assert_not(every_shard_knows("t"));
    fixture_close(&f);
}

Test(shard_loops, a_topic_deleted_under_produce_and_fetch_answers_all_of_them)
{
    for (uint64_t seed = 1; seed < 60; seed++) {
        fixture_open_spread(&f, seed, 3);
        fixture_create_topic(&f, "t", PARTITIONS, NULL, NULL);
        struct wide wide = {.bytes_min = 1 << 20, .wait_ms = 100};
        struct deletion deletion = {.name = "t"};
        static struct produced produced[PARTITIONS];
        static uint8_t bytes[PARTITIONS][512];
        fixture_at_home(&f, call_wide, &wide);
        for (int32_t p = 0; p < PARTITIONS; p++) {
            size_t size = fixture_batch(bytes[p], sizeof(bytes[p]), 1, NOW, -1, -1, -1);
            fixture_produce_start(&f, "t", p, (struct sluice_bytes){bytes[p], size}, &produced[p]);
            if ((uint64_t)p == seed % PARTITIONS) {
                fixture_delete_start(&f, &deletion);
            }
            steps((int)(seed % 7));
        }
        fixture_run_until(&f, &deletion.done);
        fixture_run_until(&f, &wide.done);
        cr_assert_eq(deletion.status, SLUICE_OK);
        cr_assert(wide.done);
        for (int p = 0; p < PARTITIONS; p++) {
            fixture_run_until(&f, &produced[p].done);
            cr_assert(produced[p].done);
            cr_assert(produced[p].result.status == SLUICE_OK ||
                      produced[p].result.status == SLUICE_E_UNKNOWN_TOPIC);
        }
        fixture_close(&f);
    }
}

/* ---- groups ---- */

struct member {
    const char *group;
    char id[128];
    char leader[128];
    int32_t generation;
    uint32_t member_count;
    char metadata[2][32];
    char assignment[32];
    sluice_status status;
    sluice_status entry;
    int64_t offset;
    bool done;
};

static void keep(char *into, size_t room, const void *data, size_t size)
{
    snprintf(into, room, "%.*s", (int)size, (const char *)data);
}

static void on_joined(void *arg, const struct sluice_group_joined *joined)
{
    struct member *member = arg;
    cr_assert(sl_loop_is_current(fixture_home(&f)->loop));
    member->status = joined->status;
    member->generation = joined->generation;
    member->member_count = joined->member_count;
    keep(member->id, sizeof(member->id), joined->member.data, joined->member.size);
    keep(member->leader, sizeof(member->leader), joined->leader.data, joined->leader.size);
    for (uint32_t i = 0; i < joined->member_count && i < 2; i++) {
        keep(member->metadata[i], 32, joined->members[i].metadata.data,
             joined->members[i].metadata.size);
    }
    member->done = true;
}

static void call_join(struct fixture *fixture, void *arg)
{
    struct member *member = arg;
    static struct sluice_group_protocol protocol;
    static struct sluice_group_join join[2];
    static uint32_t at;
    protocol = (struct sluice_group_protocol){.name = sluice_text_of("range"),
                                              .metadata = {(const uint8_t *)"subscribes", 10}};
    struct sluice_group_join *request = &join[at++ % 2];
    *request = (struct sluice_group_join){.size = sizeof(*request),
                                          .session_timeout_ms = 30000,
                                          .rebalance_timeout_ms = 30000,
                                          .protocol_count = 1,
                                          .group = sluice_text_of(member->group),
                                          .member = sluice_text_of(member->id),
                                          .protocol_type = sluice_text_of("consumer"),
                                          .protocols = &protocol};
    groups_join(fixture_home(fixture), &fixture->context, request, on_joined, member);
}

static void on_synced(void *arg, const struct sluice_group_synced *synced)
{
    struct member *member = arg;
    member->status = synced->status;
    keep(member->assignment, sizeof(member->assignment), synced->assignment.data,
         synced->assignment.size);
    member->done = true;
}

static void call_sync(struct fixture *fixture, void *arg)
{
    struct member *members = arg;
    static struct sluice_group_assignment assignments[2];
    static struct sluice_group_sync syncs[2];
    for (int i = 0; i < 2; i++) {
        assignments[i] = (struct sluice_group_assignment){
            sluice_text_of(members[i].id), {(const uint8_t *)(i == 0 ? "left" : "right"), 4}};
        members[i].done = false;
    }
    for (int i = 0; i < 2; i++) {
        bool leads = strcmp(members[i].id, members[i].leader) == 0;
        syncs[i] = (struct sluice_group_sync){.size = sizeof(syncs[i]),
                                              .generation = members[i].generation,
                                              .group = sluice_text_of(members[i].group),
                                              .member = sluice_text_of(members[i].id),
                                              .assignment_count = leads ? 2 : 0,
                                              .assignments = assignments};
        groups_sync(fixture_home(fixture), &fixture->context, &syncs[i], on_synced, &members[i]);
    }
}

static void on_committed(void *arg, sluice_status status, const sluice_status *statuses,
                         uint32_t count)
{
    struct member *member = arg;
    member->status = status;
    member->entry = count > 0 ? statuses[0] : -1;
    member->done = true;
}

static void call_commit(struct fixture *fixture, void *arg)
{
    struct member *member = arg;
    static struct sluice_offset_commit commit;
    static struct sluice_offset_commit_entry entry;
    member->done = false;
    entry = (struct sluice_offset_commit_entry){.topic = {.name = sluice_text_of("t")},
                                                .partition = 3,
                                                .leader_epoch = -1,
                                                .offset = member->offset,
                                                .metadata = sluice_text_of("note")};
    commit =
        (struct sluice_offset_commit){.size = sizeof(commit), .entry_count = 1, .entries = &entry};
    commit.identity = (struct sluice_group_identity){.size = sizeof(commit.identity),
                                                     .generation = member->generation,
                                                     .group = sluice_text_of(member->group),
                                                     .member = sluice_text_of(member->id)};
    groups_commit(fixture_home(fixture), &commit, on_committed, member);
}

static void on_fetched(void *arg, sluice_status status, const struct sluice_offset_fetched *offsets,
                       uint32_t count)
{
    struct member *member = arg;
    member->status = status;
    member->offset = -1;
    for (uint32_t i = 0; i < count; i++) {
        cr_assert_eq(offsets[i].topic.size, 1);
        cr_assert_eq(offsets[i].topic.data[0], 't');
        cr_assert_eq(offsets[i].metadata.size, 4);
        cr_assert_arr_eq(offsets[i].metadata.data, "note", 4);
        member->offset = offsets[i].offset;
    }
    member->done = true;
}

static void call_offsets(struct fixture *fixture, void *arg)
{
    struct member *member = arg;
    static struct sluice_offset_fetch fetch;
    member->done = false;
    fetch =
        (struct sluice_offset_fetch){.size = sizeof(fetch), .group = sluice_text_of(member->group)};
    groups_offsets(fixture_home(fixture), &fetch, on_fetched, member);
}

static void finish(struct member *member)
{
    fixture_run_until(&f, &member->done);
    cr_assert(member->done, "group %s", member->group);
    cr_assert_eq(member->status, SLUICE_OK, "group %s: %d", member->group, member->status);
}

static void group_works(const char *group)
{
    struct member members[2] = {{.group = group}, {.group = group}};
    fixture_at_home(&f, call_join, &members[0]);
    finish(&members[0]);
    fixture_at_home(&f, call_join, &members[1]);
    steps(5);
    members[0].done = false;
    fixture_at_home(&f, call_join, &members[0]); /* again, for the rebalance */
    finish(&members[0]);
    finish(&members[1]);
    cr_assert_eq(members[0].generation, members[1].generation);
    cr_assert_eq(members[0].member_count + members[1].member_count, 2);
    cr_assert_str_eq(members[0].leader, members[1].leader);
    struct member *leader = members[0].member_count > 0 ? &members[0] : &members[1];
    cr_assert_str_eq(leader->metadata[0], "subscribes");
    cr_assert_str_eq(leader->metadata[1], "subscribes");
    fixture_at_home(&f, call_sync, members);
    finish(&members[0]);
    finish(&members[1]);
    cr_assert_str_eq(members[0].assignment, "left");
    cr_assert_str_eq(members[1].assignment, "righ");
    members[0].offset = 77;
    fixture_at_home(&f, call_commit, &members[0]);
    finish(&members[0]);
    cr_assert_eq(members[0].entry, SLUICE_OK);
    members[0].offset = 0;
    fixture_at_home(&f, call_offsets, &members[0]);
    finish(&members[0]);
    cr_assert_eq(members[0].offset, 77);
}

Test(shard_loops, a_group_lives_on_whatever_shard_and_its_answers_arrive_whole)
{
    fixture_open_spread(&f, 9, 3);
    fixture_create_topic(&f, "t", PARTITIONS, NULL, NULL);
    bool met[3] = {false};
    for (int i = 0; i < 8; i++) {
        char group[8];
        snprintf(group, sizeof(group), "g%d", i);
        group_works(group);
        met[shard_of_group(&f.set, sluice_text_of(group))->index] = true;
    }
    cr_assert(met[0] && met[1] && met[2]);
    fixture_close(&f);
}

static void close_connection(uint32_t home)
{
    struct cancel_call cancels[3] = {{.home = home}, {.home = home}, {.home = home}};
    fixture_at_home(&f, call_cancel, cancels);
    for (int i = 0; i < 3; i++) {
        fixture_run_until(&f, &cancels[i].done);
    }
}

/* Connections are numbered by each loop for itself. */
Test(shard_loops, a_connection_that_closes_ends_no_wait_of_its_namesake_on_another_loop)
{
    for (int i = 0; i < 8; i++) {
        char group[8];
        snprintf(group, sizeof(group), "g%d", i);
        fixture_open_spread(&f, 9, 3);
        f.settings.group_initial_delay_ms = 100000;
        fixture_restart(&f, false);
        fixture_create_topic(&f, "t", PARTITIONS, NULL, NULL);
        struct member member = {.group = group};
        struct wide wide = {.bytes_min = 1, .wait_ms = 200000};
        fixture_at_home(&f, call_join, &member);
        fixture_at_home(&f, call_wide, &wide);
        close_connection(1);
        cr_assert(!member.done && !wide.done, "ended by the connection of another loop");
        close_connection(0);
        fixture_run_until(&f, &member.done);
        fixture_run_until(&f, &wide.done);
        cr_assert_eq(member.status, SLUICE_E_CANCELLED);
        cr_assert_lt(shard_now_ms(fixture_home(&f)), 100000, "it waited for its time");
        fixture_close(&f);
    }
}

Test(shard_loops, an_end_answers_who_waits_in_a_group)
{
    for (int i = 0; i < 8; i++) {
        char group[8];
        snprintf(group, sizeof(group), "g%d", i);
        fixture_open_spread(&f, 9, 3);
        f.settings.group_initial_delay_ms = 100000;
        fixture_restart(&f, false);
        struct member member = {.group = group};
        fixture_at_home(&f, call_join, &member);
        steps(i);
        fixture_restart(&f, false);
        cr_assert(member.done);
        cr_assert_neq(member.status, SLUICE_OK);
        fixture_close(&f);
    }
}
