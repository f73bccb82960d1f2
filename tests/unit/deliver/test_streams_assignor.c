/* test_streams_assignor.c: who gets which tasks of a Streams application (KIP-1071): by cases
 * worked out by hand, and by properties of random groups. */
#include "base/bytes.h"
#include "deliver/streams_group.h"
#include "streams_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEATS_MAX  24
#define TASKS_MAX  512
#define ROUNDS_MAX 3

static struct streams_fixture f;
static struct streams_groups *groups;
static struct streams_group *group;

static void get_config(void *arg, struct sl_bytes name, struct streams_group_config *ret_config)
{
    (void)arg;
    (void)name;
    *ret_config = (struct streams_group_config){.session_timeout_ms = 45000, .members_max = 100};
}

static void open_group(void)
{
    const struct streams_config_source configs = {get_config, NULL};
    streams_fixture_init(&f);
    groups = streams_groups_new(&f.source, &configs);
    cr_assert_not_null(groups);
    cr_assert_eq(streams_group_add(groups, sl_bytes_of_text("g"), &group), SLUICE_OK);
}

static void close_group(void)
{
    groups = streams_groups_free(groups);
    streams_fixture_fini(&f);
}

TestSuite(streams_assignor, .init = open_group, .fini = close_group);

/* ---- a group ---- */

/* Again after topics changed. */
static void plan_again(void)
{
    struct streams_plan *plan = NULL;
    cr_assert_eq(streams_plan_new(group->topology, &f.source, f.message, &plan), SLUICE_OK, "%s",
                 f.message);
    streams_plan_free(group->plan);
    group->plan = plan;
}

static void run_application(const char *const *lines)
{
    group->topology = streams_fixture_topology(&f, lines);
    plan_again();
}

static struct streams_member *join(const char *id, const char *process)
{
    struct streams_member *member = NULL;
    bool changed = false;
    cr_assert_eq(streams_member_add(groups, group, sl_bytes_of_text(id), &member), SLUICE_OK);
    cr_assert_eq(epoch_text_set(&member->process, sl_bytes_of_text(process), &changed), SLUICE_OK);
    return member;
}

static struct streams_member *member_of(const char *id)
{
    struct streams_member *member = streams_member_get(groups, group, sl_bytes_of_text(id));
    cr_assert_not_null(member, "%s", id);
    return member;
}

static void leave(const char *id)
{
    cr_assert_eq(streams_member_fence(groups, member_of(id)), SLUICE_OK);
}

static void assign(int32_t standby_count)
{
    group->standby_count = standby_count;
    group->base.epoch++;
    cr_assert_eq(streams_group_assign(groups, group), SLUICE_OK);
    cr_assert_eq(group->base.assignment_epoch, group->base.epoch);
}

/* "0:0,1 1:2": subtopologies' places and partitions. */
static size_t write_set(char *text, size_t size, const struct partition_set *set)
{
    size_t at = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < set->count; i++) {
        uint32_t place = streams_task_subtopology(&set->entries[i].topic);
        bool is_new = i == 0 || place != streams_task_subtopology(&set->entries[i - 1].topic);
        if (is_new)
            at += (size_t)snprintf(text + at, size - at, "%s%u:", i == 0 ? "" : " ", place);
        at += (size_t)snprintf(text + at, size - at, "%s%u", is_new ? "" : ",",
                               set->entries[i].partition);
    }
    return at;
}

/* "0:0,1 / 0:2": active / standby. */
static const char *tasks(const char *id)
{
    static char text[4096];
    const struct streams_tasks *target = &member_of(id)->target;
    size_t at = write_set(text, sizeof text, &target->roles[STREAMS_ACTIVE]);
    at += (size_t)snprintf(text + at, sizeof text - at, " / ");
    write_set(text + at, sizeof text - at, &target->roles[STREAMS_STANDBY]);
    return text;
}

#define EXPECT(id, text) cr_assert_str_eq(tasks(id), text)

/* ---- active tasks ---- */

Test(streams_assignor, tasks_are_spread_evenly_over_members)
{
    streams_fixture_topic(&f, "t", 5);
    run_application(APPLICATION("0 reads t"));
    join("a", "p");
    join("b", "q");
    assign(0);
    EXPECT("a", "0:0,2,4 / ");
    EXPECT("b", "0:1,3 / ");
}

Test(streams_assignor, more_members_than_tasks_leave_some_without)
{
    streams_fixture_topic(&f, "t", 2);
    run_application(APPLICATION("0 reads t"));
    join("a", "p");
    join("b", "q");
    join("c", "r");
    assign(2);
    EXPECT("a", "0:0 / ");
    EXPECT("b", "0:1 / ");
    EXPECT("c", " / ");
}

Test(streams_assignor, a_group_of_nobody_has_a_target_of_nothing)
{
    streams_fixture_topic(&f, "t", 2);
    run_application(APPLICATION("0 reads t"));
    assign(1);
    join("a", "p");
    leave("a");
    assign(1);
    cr_assert_eq(group->base.member_count, 0);
}

Test(streams_assignor, an_application_without_parts_has_no_tasks)
{
    run_application((const char *const[]){NULL});
    join("a", "p");
    assign(1);
    EXPECT("a", " / ");
}

Test(streams_assignor, nobody_has_tasks_while_topics_are_missing_and_those_that_had_lose_them)
{
    streams_fixture_topic(&f, "t", 2);
    run_application(APPLICATION("0 reads t"));
    join("a", "p");
    assign(0);
    EXPECT("a", "0:0,1 / ");
    streams_fixture_topic(&f, "t", 0);
    plan_again();
    assign(0);
    EXPECT("a", " / ");
    streams_fixture_topic(&f, "t", 2);
    plan_again();
    assign(0);
    EXPECT("a", "0:0,1 / ");
}

Test(streams_assignor, a_process_of_more_members_gets_more)
{
    streams_fixture_topic(&f, "t", 8);
    run_application(APPLICATION("0 reads t"));
    join("a", "large");
    join("b", "large");
    join("c", "large");
    join("d", "small");
    assign(0);
    for (const char *id = "a\0b\0c\0d\0"; id[0] != '\0'; id += 2)
        cr_assert_eq(member_of(id)->target.roles[STREAMS_ACTIVE].count, 2, "%s", id);
}

/* ---- what stays ---- */

Test(streams_assignor, a_new_member_takes_its_share_and_nothing_else_moves)
{
    streams_fixture_topic(&f, "t", 6);
    run_application(APPLICATION("0 reads t"));
    join("a", "p");
    join("b", "q");
    assign(0);
    EXPECT("a", "0:0,2,4 / ");
    EXPECT("b", "0:1,3,5 / ");
    join("c", "r");
    assign(0);
    EXPECT("a", "0:0,2 / ");
    EXPECT("b", "0:1,3 / ");
    EXPECT("c", "0:4,5 / ");
}

Test(streams_assignor, only_tasks_of_one_who_left_move)
{
    streams_fixture_topic(&f, "t", 6);
    run_application(APPLICATION("0 reads t"));
    join("a", "p");
    join("b", "q");
    join("c", "r");
    assign(0);
    EXPECT("b", "0:1,4 / ");
    leave("b");
    assign(0);
    EXPECT("a", "0:0,1,3 / ");
    EXPECT("c", "0:2,4,5 / ");
}

Test(streams_assignor, tasks_of_partitions_that_came_go_where_there_is_room)
{
    streams_fixture_topic(&f, "t", 2);
    run_application(APPLICATION("0 reads t"));
    join("a", "p");
    join("b", "q");
    assign(0);
    streams_fixture_topic(&f, "t", 4);
    plan_again();
    assign(0);
    EXPECT("a", "0:0,2 / ");
    EXPECT("b", "0:1,3 / ");
}

/* ---- standbys ---- */

Test(streams_assignor, only_tasks_with_state_have_standbys_and_those_in_other_processes)
{
    streams_fixture_topic(&f, "t", 2);
    streams_fixture_topic(&f, "store", 2);
    run_application(APPLICATION("0 reads t logs store", "1 reads t"));
    join("a", "p");
    join("b", "p");
    join("c", "q");
    assign(1);
    uint32_t copies = 0;
    for (const char *id = "a\0b\0c\0"; id[0] != '\0'; id += 2) {
        const struct partition_set *standby = &member_of(id)->target.roles[STREAMS_STANDBY];
        for (uint32_t i = 0; i < standby->count; i++) {
            cr_assert_eq(streams_task_subtopology(&standby->entries[i].topic), 0);
            copies++;
        }
    }
    cr_assert_eq(copies, 2);
}

Test(streams_assignor, members_of_one_process_have_no_standbys_of_each_other)
{
    streams_fixture_topic(&f, "t", 4);
    streams_fixture_topic(&f, "store", 4);
    run_application(APPLICATION("0 reads t logs store"));
    join("a", "p");
    join("b", "p");
    assign(1);
    EXPECT("a", "0:0,2 / ");
    EXPECT("b", "0:1,3 / ");
}

Test(streams_assignor, there_are_no_more_standbys_than_other_processes)
{
    streams_fixture_topic(&f, "t", 1);
    streams_fixture_topic(&f, "store", 1);
    run_application(APPLICATION("0 reads t logs store"));
    join("a", "p");
    join("b", "q");
    assign(1000);
    EXPECT("a", "0:0 / ");
    EXPECT("b", " / 0:0");
}

Test(streams_assignor, who_had_the_standby_of_a_task_takes_it_over)
{
    streams_fixture_topic(&f, "t", 3);
    streams_fixture_topic(&f, "store", 3);
    run_application(APPLICATION("0 reads t logs store"));
    join("a", "p");
    join("b", "q");
    join("c", "r");
    assign(1);
    struct streams_tasks before = {0};
    for (uint32_t r = 0; r < STREAMS_ROLES; r++)
        cr_assert_eq(partition_set_copy(&before.roles[r], &member_of("a")->target.roles[r]),
                     SLUICE_OK);
    const struct partition_entry lost = before.roles[STREAMS_ACTIVE].entries[0];
    streams_tasks_fini(&before);
    const char *heir = NULL;
    for (const char *id = "b\0c\0"; id[0] != '\0'; id += 2) {
        if (partition_set_find(&member_of(id)->target.roles[STREAMS_STANDBY], &lost.topic,
                               lost.partition) != NULL)
            heir = id;
    }
    cr_assert_not_null(heir);
    leave("a");
    assign(1);
    cr_assert_not_null(partition_set_find(&member_of(heir)->target.roles[STREAMS_ACTIVE],
                                          &lost.topic, lost.partition));
}

/* ---- properties ---- */

struct owners {
    uint32_t active, copies;
    struct sl_bytes processes[SEATS_MAX]; /* of all of them */
    uint32_t count;
    int had_active; /* number of a member, before; 0: nobody */
    int has_active;
};

static struct owners owners[TASKS_MAX];
static uint64_t seed;

static uint32_t draw(uint32_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

static uint32_t index_of(const struct partition_entry *entry)
{
    uint32_t place = streams_task_subtopology(&entry->topic), base = 0;
    cr_assert_lt(place, group->plan->view.subtopology_count);
    cr_assert_lt(entry->partition, group->plan->task_counts[place]);
    for (uint32_t i = 0; i < place; i++)
        base += group->plan->task_counts[i];
    cr_assert_lt(base + entry->partition, TASKS_MAX);
    return base + entry->partition;
}

/* Of "m7". */
static int number_of(struct sl_bytes id)
{
    int number = 0;
    for (size_t i = 1; i < id.size; i++)
        number = 10 * number + (id.data[i] - '0');
    return number;
}

static void take_owner(const struct streams_member *member, const struct partition_entry *entry,
                       uint32_t role)
{
    struct owners *own = &owners[index_of(entry)];
    for (uint32_t i = 0; i < own->count; i++)
        cr_assert_not(sl_bytes_equal(own->processes[i], member->process),
                      "seed %llu: a process has a task twice", (unsigned long long)seed);
    own->processes[own->count++] = member->process;
    own->active += role == STREAMS_ACTIVE;
    own->copies += role == STREAMS_STANDBY;
    if (role == STREAMS_ACTIVE)
        own->has_active = number_of(member->base.id);
}

static uint32_t count_processes(void)
{
    uint32_t count = 0;
    for (struct streams_member *m = streams_member_first(group); m != NULL;
         m = streams_member_next(m)) {
        bool is_new = true;
        for (struct streams_member *o = streams_member_first(group); o != m;
             o = streams_member_next(o))
            is_new = is_new && !sl_bytes_equal(o->process, m->process);
        count += is_new;
    }
    return count;
}

static bool is_stateful(uint32_t task)
{
    uint32_t place = 0;
    for (; task >= group->plan->task_counts[place]; place++)
        task -= group->plan->task_counts[place];
    return group->plan->view.subtopologies[place].changelog_count != 0;
}

/* Each task once, copies as many as there can be, in different processes, and loads that are as
 * even as tasks can be. */
static void check_target(uint64_t history)
{
    uint32_t members = group->base.member_count, all = group->plan->task_count;
    uint32_t processes = count_processes();
    for (uint32_t t = 0; t < all; t++)
        owners[t] = (struct owners){.had_active = owners[t].has_active};
    for (struct streams_member *m = streams_member_first(group); m != NULL;
         m = streams_member_next(m)) {
        cr_assert_leq(m->target.roles[STREAMS_ACTIVE].count, (all + members - 1) / members,
                      "history %llu", (unsigned long long)history);
        for (uint32_t r = 0; r < STREAMS_ROLES; r++) {
            for (uint32_t i = 0; i < m->target.roles[r].count; i++)
                take_owner(m, &m->target.roles[r].entries[i], r);
        }
    }
    for (uint32_t t = 0; t < all && members != 0; t++) {
        uint32_t copies =
            is_stateful(t) ? SL_MIN((uint32_t)group->standby_count, processes - 1) : 0;
        cr_assert_eq(owners[t].active, 1, "history %llu", (unsigned long long)history);
        cr_assert_eq(owners[t].copies, copies, "history %llu", (unsigned long long)history);
    }
}

static uint32_t count_moved(void)
{
    uint32_t moved = 0;
    for (uint32_t t = 0; t < group->plan->task_count; t++)
        moved += owners[t].has_active != owners[t].had_active;
    return moved;
}

/* Makes the target once more. False: something moved. */
static bool stays(void)
{
    static struct streams_tasks before[SEATS_MAX];
    uint32_t at = 0;
    bool same = true;
    for (struct streams_member *m = streams_member_first(group); m != NULL;
         m = streams_member_next(m), at++) {
        for (uint32_t r = 0; r < STREAMS_ROLES; r++)
            cr_assert_eq(partition_set_copy(&before[at].roles[r], &m->target.roles[r]), SLUICE_OK);
    }
    assign(group->standby_count);
    at = 0;
    for (struct streams_member *m = streams_member_first(group); m != NULL;
         m = streams_member_next(m), at++) {
        for (uint32_t r = 0; r < STREAMS_ROLES; r++)
            same = same && partition_set_equal(&before[at].roles[r], &m->target.roles[r], false);
        streams_tasks_fini(&before[at]);
    }
    return same;
}

/* When nothing changes nothing moves; with standbys, as with Kafka's assignor, who got more than a
 * share because no other process could have it may give it back once or twice. */
static void check_settles(uint64_t history)
{
    uint32_t rounds = 0;
    while (!stays())
        cr_assert_lt(++rounds, ROUNDS_MAX, "history %llu", (unsigned long long)history);
    cr_assert(rounds == 0 || group->standby_count > 0, "history %llu", (unsigned long long)history);
}

static void random_application(void)
{
    char lines[3][128];
    const char *list[4] = {NULL};
    uint32_t parts = 1 + draw(3);
    for (uint32_t i = 0; i < parts; i++) {
        char topic[16], store[16];
        uint32_t partitions = 1 + draw(12);
        snprintf(topic, sizeof topic, "t%u", i);
        snprintf(store, sizeof store, "s%u", i);
        streams_fixture_topic(&f, topic, partitions);
        streams_fixture_topic(&f, store, partitions);
        snprintf(lines[i], sizeof lines[i], draw(3) > 0 ? "%u reads %s logs %s" : "%u reads %s", i,
                 topic, store);
        list[i] = lines[i];
    }
    run_application(list);
}

static void random_step(int *next_id)
{
    uint32_t members = group->base.member_count;
    if (members > 1 && draw(3) == 0) {
        struct streams_member *gone = streams_member_first(group);
        for (uint32_t i = draw(members); i > 0; i--)
            gone = streams_member_next(gone);
        cr_assert_eq(streams_member_fence(groups, gone), SLUICE_OK);
    } else if (members < SEATS_MAX) {
        char id[16], process[16];
        snprintf(id, sizeof id, "m%d", (*next_id)++);
        snprintf(process, sizeof process, "p%u", draw(6));
        join(id, process);
    }
}

static void random_history(uint64_t history)
{
    int next_id = 1;
    int32_t standbys = 0;
    seed = history;
    open_group();
    memset(owners, 0, sizeof owners);
    random_application();
    standbys = (int32_t)draw(3);
    for (int step = 0; step < 12; step++) {
        random_step(&next_id);
        assign(standbys);
        check_target(history);
        check_settles(history);
    }
    close_group();
}

Test(streams_assignor_random, gives_each_task_once_never_twice_to_a_process_and_settles)
{
    for (uint64_t history = 1; history <= 400; history++)
        random_history(history);
}

/* Without standbys a member that comes takes a share, and one that goes leaves its own. */
Test(streams_assignor_random, moves_no_more_tasks_than_a_member_that_came_or_went_has)
{
    for (uint64_t history = 1; history <= 400; history++) {
        int next_id = 1;
        seed = history;
        open_group();
        memset(owners, 0, sizeof owners);
        random_application();
        for (int step = 0; step < 12; step++) {
            uint32_t members = group->base.member_count;
            random_step(&next_id);
            assign(0);
            check_target(history);
            uint32_t fewer = SL_MAX(SL_MIN(members, group->base.member_count), 1u);
            uint32_t share = (group->plan->task_count + fewer - 1) / fewer;
            cr_assert_leq(count_moved(), share, "history %llu, step %d",
                          (unsigned long long)history, step);
        }
        close_group();
    }
}
