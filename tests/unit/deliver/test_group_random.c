/* test_group_random.c: many clients, by seed, in virtual time; what must hold whatever they do. */
#include "group_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLIENTS 12
#define STEPS   4000
#define SEEDS   40

/* What the leader of a generation gave to whom. */
struct plan {
    int32_t generation;
    uint32_t count;
    char members[CALL_MEMBERS_MAX][300];
};

struct actor {
    struct group_client client;
    bool joining; /* a call is open */
    bool syncing;
    bool settled; /* it has its assignment */
    bool joined;  /* … or is to sync */
    uint64_t opened;
    uint64_t answered;
};

struct world {
    struct group_fixture fixture;
    struct actor actors[CLIENTS];
    struct plan plan;
    uint64_t random;
    uint64_t assigned; /* syncs that succeeded */
};

static uint32_t roll(struct world *world, uint32_t sides)
{
    world->random += 0x9e3779b97f4a7c15u;
    uint64_t z = world->random;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ (z >> 31)) % sides);
}

static void outcome_take(struct actor *actor)
{
    struct group_call *call = &actor->client.call;
    if (call->answers == 0)
        return;
    cr_assert_eq(call->answers, 1, "every call is answered exactly once");
    actor->answered++;
    if (actor->joining && call->status == SLUICE_OK) {
        snprintf(actor->client.id, sizeof actor->client.id, "%s", call->member);
        actor->client.generation = call->generation;
    } else if (call->status == SLUICE_E_MEMBER_ID_REQUIRED) {
        snprintf(actor->client.id, sizeof actor->client.id, "%s", call->member);
    } else if (call->status == SLUICE_E_UNKNOWN_MEMBER ||
               call->status == SLUICE_E_FENCED_INSTANCE_ID) {
        actor->client.id[0] = '\0';
        actor->client.generation = -1;
    }
}

static void assignment_check(struct world *world, const struct actor *actor)
{
    char expected[64] = "";
    for (uint32_t i = 0; i < world->plan.count; i++) {
        if (strcmp(world->plan.members[i], actor->client.id) == 0)
            snprintf(expected, sizeof expected, "%d-%s", world->plan.generation,
                     actor->client.id + strlen(actor->client.id) - 12);
    }
    /* A static member that came back has the assignment of its former self. */
    if (actor->client.instance == NULL)
        cr_assert_str_eq(actor->client.call.assignment, expected);
}

static void actor_settle(struct world *world, struct actor *actor)
{
    struct group_call *call = &actor->client.call;
    if ((!actor->joining && !actor->syncing) || call->answers == 0)
        return;
    outcome_take(actor);
    if (actor->syncing && call->status == SLUICE_OK) {
        assignment_check(world, actor);
        world->assigned++;
    }
    /* A join that succeeded is followed by a sync later: its list of members stays in `call`. */
    actor->joined = actor->joining && call->status == SLUICE_OK;
    actor->settled = actor->syncing && call->status == SLUICE_OK;
    actor->syncing = false;
    actor->joining = false;
}

static void join_step(struct world *world, struct actor *actor)
{
    actor->client.require_member_id = roll(world, 2) == 0;
    if (roll(world, 8) == 0)
        actor->client.metadata = roll(world, 2) == 0 ? "topics" : "others";
    if (roll(world, 10) == 0)
        actor->client.protocols = roll(world, 2) == 0 ? "range" : "sticky,range";
    actor->joining = true;
    actor->opened++;
    group_client_join(&world->fixture, &actor->client);
}

static void sync_step(struct world *world, struct actor *actor)
{
    struct group_call joined = actor->client.call;
    bool leads = joined.status == SLUICE_OK && joined.member_count > 0 &&
                 strcmp(joined.leader, actor->client.id) == 0;
    struct group_view view =
        group_coordinator_view(world->fixture.coordinator, sluice_text_of("g"));
    if (leads && view.state == GROUP_COMPLETING && view.generation == joined.generation &&
        actor->client.generation == joined.generation) {
        if (roll(world, 3) == 0)
            joined.member_count -= 1; /* it leaves one out */
        world->plan.generation = joined.generation;
        world->plan.count = joined.member_count;
        memcpy(world->plan.members, joined.members, sizeof joined.members);
    }
    actor->syncing = true;
    actor->opened++;
    group_client_sync(&world->fixture, &actor->client, leads ? &joined : NULL);
}

/* What a real client would do next. */
static uint32_t sensible(const struct actor *actor)
{
    return actor->settled ? 12 : actor->joined ? 7 : 0;
}

static void actor_step(struct world *world, struct actor *actor)
{
    bool wild = roll(world, 25) == 0;
    uint32_t what = wild || actor->joining || actor->syncing ? roll(world, 20) : sensible(actor);
    sluice_status status = SLUICE_OK;
    if (actor->joining || actor->syncing) {
        if (wild && what < 4)
            group_cancel(world->fixture.coordinator, sluice_text_of("g"), &actor->client.call);
        return;
    }
    if (what < 7) {
        join_step(world, actor);
    } else if (what < 12) {
        sync_step(world, actor);
    } else if (what < 17) {
        status = group_client_beat(&world->fixture, &actor->client);
    } else if (what == 17) {
        status = group_client_leave(&world->fixture, &actor->client);
    } else if (what == 18) {
        status = group_client_commit(&world->fixture, &actor->client);
    } else {
        actor->client.generation += (int32_t)roll(world, 3) - 1;
    }
    if (status == SLUICE_E_UNKNOWN_MEMBER || status == SLUICE_E_FENCED_INSTANCE_ID)
        actor->client.id[0] = '\0';
    if (status != SLUICE_OK)
        actor->settled = false;
}

/* Members of a generation all hold the same protocol and leader, and one of them leads. */
static void generation_check(const struct world *world)
{
    struct group_view view =
        group_coordinator_view(world->fixture.coordinator, sluice_text_of("g"));
    char leader[300];
    int leaders = 0;
    group_text_copy(leader, sizeof leader, view.leader);
    if (view.state == GROUP_EMPTY)
        cr_assert_eq(view.member_count, 0);
    if (view.state == GROUP_COMPLETING || view.state == GROUP_STABLE) {
        cr_assert_gt(view.member_count, 0);
        cr_assert_gt(view.protocol.size, 0);
        cr_assert_gt(view.leader.size, 0);
    }
    for (int i = 0; i < CLIENTS; i++) {
        const struct group_call *call = &world->actors[i].client.call;
        bool current = call->answers == 1 && call->status == SLUICE_OK && call->member[0] != '\0' &&
                       call->generation == view.generation && view.state == GROUP_COMPLETING;
        if (!current)
            continue;
        char protocol[64];
        group_text_copy(protocol, sizeof protocol, view.protocol);
        cr_assert_str_eq(call->protocol, protocol);
        cr_assert_str_eq(call->leader, leader);
        leaders += strcmp(call->leader, call->member) == 0;
    }
    cr_assert_leq(leaders, 1);
}

static void world_run(struct world *world, uint64_t seed)
{
    static const char *const instances[] = {"i1", "i1", "i2"};
    world->random = seed;
    group_fixture_init(&world->fixture, seed % 2 == 0 ? 0 : 3000);
    for (int i = 0; i < CLIENTS; i++) {
        world->actors[i].client = group_client_make(i < 3 ? instances[i] : NULL);
        world->actors[i].client.session_ms = 6000 + 1000 * i;
        world->actors[i].client.rebalance_ms = 5000 * (1 + i % 3);
        world->actors[i].client.skip = i % 2 == 0;
    }
    for (int step = 0; step < STEPS; step++) {
        actor_step(world, &world->actors[roll(world, CLIENTS)]);
        if (roll(world, 4) == 0)
            group_fixture_pass(&world->fixture, roll(world, roll(world, 30) == 0 ? 40000 : 900));
        for (int i = 0; i < CLIENTS; i++)
            actor_settle(world, &world->actors[i]);
        generation_check(world);
    }
    group_fixture_fini(&world->fixture);
    for (int i = 0; i < CLIENTS; i++) {
        actor_settle(world, &world->actors[i]);
        cr_assert_eq(world->actors[i].opened, world->actors[i].answered, "no answer is lost");
    }
    cr_assert_gt(world->assigned, 0, "the run got somewhere");
}

Test(group_random, invariants_hold_for_any_order_of_calls_and_time)
{
    const char *given = getenv("SLUICE_SEED");
    uint64_t first = given != NULL ? strtoull(given, NULL, 10) : 1;
    uint64_t assigned = 0;
    for (uint64_t seed = first; seed < first + SEEDS; seed++) {
        static struct world world;
        memset(&world, 0, sizeof world);
        fprintf(stderr, "group_random: seed %llu\n", (unsigned long long)seed);
        world_run(&world, seed);
        assigned += world.assigned;
    }
    fprintf(stderr, "group_random: %llu assignments\n", (unsigned long long)assigned);
}
