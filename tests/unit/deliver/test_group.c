/* test_group.c: the classic group protocol, one behaviour a test, in virtual time. */
#include "group_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct group_fixture f;

static void setup(void)
{
    group_fixture_init(&f, 0);
}

static void teardown(void)
{
    group_fixture_fini(&f);
}

TestSuite(group, .init = setup, .fini = teardown);

static uint32_t member_count(void)
{
    return group_coordinator_view(f.coordinator, sluice_text_of(f.group)).member_count;
}

Test(group, a_first_member_leads_and_gets_the_list_of_members)
{
    struct group_client a = group_client_make(NULL);
    group_client_enter(&f, &a);
    cr_assert_eq(a.call.answers, 1);
    cr_assert_eq(a.call.status, SLUICE_OK);
    cr_assert_eq(a.call.generation, 1);
    cr_assert_str_eq(a.call.leader, a.call.member);
    cr_assert_str_eq(a.call.protocol, "range");
    cr_assert_eq(a.call.member_count, 1);
    cr_assert_str_eq(a.call.members[0], a.id);
    cr_assert_str_eq(a.call.metadata[0], "topics");
    cr_assert_eq(strncmp(a.id, "test-", 5), 0);
}

Test(group, a_new_dynamic_member_is_told_its_id_first_when_the_client_can)
{
    struct group_client a = group_client_make(NULL);
    a.require_member_id = true;
    group_client_join(&f, &a);
    cr_assert_eq(a.call.status, SLUICE_E_MEMBER_ID_REQUIRED);
    cr_assert_neq(a.call.member[0], '\0');
    cr_assert_eq(member_count(), 0);
    snprintf(a.id, sizeof a.id, "%s", a.call.member);
    group_client_join(&f, &a);
    cr_assert_eq(a.call.status, SLUICE_OK);
    cr_assert_str_eq(a.call.member, a.id);
}

Test(group, a_static_member_needs_no_id_round)
{
    struct group_client a = group_client_make("i1");
    a.require_member_id = true;
    group_client_join(&f, &a);
    cr_assert_eq(a.call.status, SLUICE_OK);
    cr_assert_eq(strncmp(a.call.member, "i1-", 3), 0);
}

Test(group, a_pending_id_expires_with_the_session_timeout)
{
    struct group_client a = group_client_make(NULL);
    a.require_member_id = true;
    group_client_join(&f, &a);
    snprintf(a.id, sizeof a.id, "%s", a.call.member);
    group_fixture_pass(&f, 10000);
    group_client_join(&f, &a);
    cr_assert_eq(a.call.status, SLUICE_E_UNKNOWN_MEMBER);
}

Test(group, an_unknown_member_id_is_refused)
{
    struct group_client a = group_client_make(NULL);
    snprintf(a.id, sizeof a.id, "nobody");
    group_client_join(&f, &a);
    cr_assert_eq(a.call.status, SLUICE_E_UNKNOWN_MEMBER);
    cr_assert_str_eq(a.call.member, "nobody");
    cr_assert_eq(a.call.generation, -1);
}

Test(group, a_group_without_a_name_is_refused)
{
    struct group_client a = group_client_make(NULL);
    f.group = "";
    group_client_join(&f, &a);
    cr_assert_eq(a.call.status, SLUICE_E_INVALID_GROUP_ID);
}

Test(group, session_timeouts_outside_the_limits_are_refused)
{
    struct group_client a = group_client_make(NULL);
    a.session_ms = 5999;
    group_client_join(&f, &a);
    cr_assert_eq(a.call.status, SLUICE_E_INVALID_SESSION_TIMEOUT);
    a.session_ms = 1800001;
    group_client_join(&f, &a);
    cr_assert_eq(a.call.status, SLUICE_E_INVALID_SESSION_TIMEOUT);
}

Test(group, a_member_that_asks_for_no_session_timeout_gets_the_default)
{
    struct group_client a = group_client_make(NULL);
    a.session_ms = 0;
    group_client_enter(&f, &a);
    group_fixture_pass(&f, 29999);
    cr_assert_eq(group_coordinator_view(f.coordinator, sluice_text_of(f.group)).member_count, 1);
    group_fixture_pass(&f, 1);
    cr_assert_eq(group_coordinator_view(f.coordinator, sluice_text_of(f.group)).member_count, 0);
}

Test(group, new_limits_hold_from_the_next_join_on)
{
    struct group_client a = group_client_make(NULL);
    struct group_client b = group_client_make(NULL);
    group_client_enter(&f, &a);
    group_coordinator_set_limits(f.coordinator, &(struct group_limits){.session_max_ms = 9999});
    group_client_join(&f, &b);
    cr_assert_eq(b.call.status, SLUICE_E_INVALID_SESSION_TIMEOUT);
    b.session_ms = 6000;
    group_coordinator_set_limits(f.coordinator, &(struct group_limits){.members_max = 1});
    group_client_join(&f, &b);
    cr_assert_eq(b.call.status, SLUICE_E_GROUP_MAX_SIZE);
}

Test(group, a_member_without_a_common_protocol_is_refused)
{
    struct group_client a = group_client_make(NULL);
    struct group_client b = group_client_make(NULL);
    group_client_enter(&f, &a);
    b.protocols = "sticky";
    group_client_join(&f, &b);
    cr_assert_eq(b.call.status, SLUICE_E_INCONSISTENT_GROUP_PROTOCOL);
}

Test(group, a_second_member_waits_until_the_first_joins_again)
{
    struct group_client a = group_client_make(NULL);
    struct group_client b = group_client_make(NULL);
    group_client_enter(&f, &a);
    group_client_join(&f, &b);
    cr_assert_eq(b.call.answers, 0);
    cr_assert_eq(group_client_beat(&f, &a), SLUICE_E_REBALANCE_IN_PROGRESS);
    group_client_join(&f, &a);
    cr_assert_eq(a.call.answers, 1);
    cr_assert_eq(b.call.answers, 1);
    cr_assert_eq(a.call.generation, 2);
    cr_assert_eq(b.call.generation, 2);
    cr_assert_str_eq(b.call.leader, a.id);
    cr_assert_eq(a.call.member_count, 2);
    cr_assert_eq(b.call.member_count, 0);
}

Test(group, the_protocol_with_most_first_votes_is_chosen)
{
    struct group_client a = group_client_make(NULL);
    struct group_client b = group_client_make(NULL);
    struct group_client c = group_client_make(NULL);
    a.protocols = "range,sticky,only-a";
    b.protocols = "sticky,range";
    c.protocols = "sticky,range,only-c";
    group_client_enter(&f, &a);
    group_client_join(&f, &b);
    group_client_join(&f, &c);
    group_client_join(&f, &a);
    cr_assert_str_eq(a.call.protocol, "sticky");
    cr_assert_str_eq(c.call.protocol, "sticky");
}

Test(group, assignments_arrive_as_the_leader_gave_them)
{
    struct group_client a = group_client_make(NULL);
    struct group_client b = group_client_make(NULL);
    group_fixture_stable(&f, &a, &b);
    char expected[64];
    snprintf(expected, sizeof expected, "2-%s", b.id + strlen(b.id) - 12);
    cr_assert_str_eq(b.call.assignment, expected);
    group_client_sync(&f, &b, NULL);
    cr_assert_str_eq(b.call.assignment, expected, "asked again, it is the same");
}

Test(group, a_member_the_leader_left_out_gets_an_empty_assignment)
{
    struct group_client a = group_client_make(NULL);
    group_client_enter(&f, &a);
    group_client_sync(&f, &a, NULL);
    cr_assert_eq(a.call.status, SLUICE_OK);
    cr_assert_str_eq(a.call.assignment, "");
}

Test(group, a_member_that_is_left_out_later_loses_its_former_assignment)
{
    struct group_client a = group_client_make(NULL);
    struct group_client b = group_client_make(NULL);
    group_fixture_stable(&f, &a, &b);
    group_client_join(&f, &a);
    group_client_join(&f, &b);
    a.generation = b.generation = b.call.generation;
    group_client_sync(&f, &b, NULL);
    group_client_sync(&f, &a, NULL);
    cr_assert_eq(b.call.status, SLUICE_OK);
    cr_assert_str_eq(b.call.assignment, "");
    cr_assert_str_eq(a.call.assignment, "");
}

Test(group, a_sync_of_another_generation_or_protocol_is_refused)
{
    struct group_client a = group_client_make(NULL);
    group_client_enter(&f, &a);
    a.generation = 7;
    group_client_sync(&f, &a, NULL);
    cr_assert_eq(a.call.status, SLUICE_E_ILLEGAL_GENERATION);
    struct sluice_group_sync request = {.size = sizeof request,
                                        .generation = 1,
                                        .group = sluice_text_of("g"),
                                        .member = sluice_text_of(a.id),
                                        .protocol_type = sluice_text_of("connect")};
    a.call.answers = 0;
    group_sync(f.coordinator, &request, f.now_ms, group_call_synced, &a.call);
    cr_assert_eq(a.call.status, SLUICE_E_INCONSISTENT_GROUP_PROTOCOL);
    request.protocol_type = sluice_text_of("consumer");
    request.protocol = sluice_text_of("sticky");
    group_sync(f.coordinator, &request, f.now_ms, group_call_synced, &a.call);
    cr_assert_eq(a.call.status, SLUICE_E_INCONSISTENT_GROUP_PROTOCOL);
    cr_assert_eq(a.call.answers, 2);
}

Test(group, a_sync_that_waits_when_a_rebalance_begins_is_told_so)
{
    struct group_client a = group_client_make(NULL);
    struct group_client b = group_client_make(NULL);
    struct group_client c = group_client_make(NULL);
    group_client_enter(&f, &a);
    group_client_join(&f, &b);
    group_client_enter(&f, &a);
    snprintf(b.id, sizeof b.id, "%s", b.call.member);
    b.generation = b.call.generation;
    group_client_sync(&f, &b, NULL);
    cr_assert_eq(b.call.answers, 0);
    group_client_join(&f, &c);
    cr_assert_eq(b.call.answers, 1);
    cr_assert_eq(b.call.status, SLUICE_E_REBALANCE_IN_PROGRESS);
}

Test(group, who_does_not_join_again_within_the_rebalance_timeout_is_left_out)
{
    struct group_client a = group_client_make(NULL);
    struct group_client b = group_client_make(NULL);
    struct group_client c = group_client_make(NULL);
    a.session_ms = b.session_ms = 100000;
    group_fixture_stable(&f, &a, &b);
    group_client_join(&f, &c);
    group_client_join(&f, &a);
    group_fixture_pass(&f, 59999);
    cr_assert_eq(c.call.answers, 0, "the session would allow more, the rebalance timeout decides");
    group_fixture_pass(&f, 1);
    cr_assert_eq(c.call.answers, 1);
    cr_assert_eq(a.call.member_count, 2);
    cr_assert_eq(group_client_beat(&f, &b), SLUICE_E_UNKNOWN_MEMBER);
}

Test(group, a_leader_that_does_not_come_back_is_replaced)
{
    struct group_client a = group_client_make(NULL);
    struct group_client b = group_client_make(NULL);
    struct group_client c = group_client_make(NULL);
    a.session_ms = 100000;
    group_fixture_stable(&f, &a, &b);
    group_client_join(&f, &c);
    group_client_join(&f, &b);
    group_fixture_pass(&f, 60000);
    cr_assert_str_eq(b.call.leader, b.id);
    cr_assert_eq(b.call.member_count, 2);
    cr_assert_str_eq(c.call.leader, b.id);
}

Test(group, a_silent_member_is_removed_after_its_session_and_the_others_rebalance)
{
    struct group_client a = group_client_make(NULL);
    struct group_client b = group_client_make(NULL);
    group_fixture_stable(&f, &a, &b);
    group_fixture_pass(&f, 6000);
    cr_assert_eq(group_client_beat(&f, &a), SLUICE_OK);
    group_fixture_pass(&f, 4000);
    cr_assert_eq(group_client_beat(&f, &b), SLUICE_E_UNKNOWN_MEMBER);
    cr_assert_eq(group_client_beat(&f, &a), SLUICE_E_REBALANCE_IN_PROGRESS);
    group_client_join(&f, &a);
    cr_assert_eq(a.call.generation, 3);
    cr_assert_eq(a.call.member_count, 1);
}

Test(group, a_member_that_waits_for_others_does_not_time_out)
{
    struct group_client a = group_client_make(NULL);
    struct group_client b = group_client_make(NULL);
    struct group_client c = group_client_make(NULL);
    b.session_ms = 100000;
    group_fixture_stable(&f, &a, &b);
    group_client_join(&f, &c);
    group_client_join(&f, &a);
    group_fixture_pass(&f, 59999);
    cr_assert_eq(member_count(), 3);
    cr_assert_eq(a.call.answers, 0);
}

Test(group, who_does_not_sync_within_the_rebalance_timeout_is_removed)
{
    struct group_client a = group_client_make(NULL);
    struct group_client b = group_client_make(NULL);
    a.session_ms = b.session_ms = 300000;
    group_client_enter(&f, &a);
    group_client_join(&f, &b);
    group_client_enter(&f, &a);
    snprintf(b.id, sizeof b.id, "%s", b.call.member);
    b.generation = b.call.generation;
    group_client_sync(&f, &b, NULL);
    group_fixture_pass(&f, 60000);
    cr_assert_eq(b.call.status, SLUICE_E_REBALANCE_IN_PROGRESS);
    cr_assert_eq(group_client_beat(&f, &a), SLUICE_E_UNKNOWN_MEMBER);
    group_client_join(&f, &b);
    cr_assert_eq(b.call.status, SLUICE_OK);
    cr_assert_str_eq(b.call.leader, b.id);
}

Test(group, a_sync_that_was_owed_is_forgiven_when_a_rebalance_begins)
{
    struct group_client a = group_client_make(NULL);
    struct group_client b = group_client_make(NULL);
    a.session_ms = b.session_ms = 300000;
    group_client_enter(&f, &a);
    group_fixture_pass(&f, 50000);
    group_client_join(&f, &b);
    group_fixture_pass(&f, 10000);
    cr_assert_eq(group_client_beat(&f, &a), SLUICE_E_REBALANCE_IN_PROGRESS);
    group_client_join(&f, &a);
    cr_assert_eq(a.call.member_count, 2);
}

Test(group, the_last_one_to_leave_empties_the_group)
{
    struct group_client a = group_client_make(NULL);
    struct group_client b = group_client_make(NULL);
    group_fixture_stable(&f, &a, &b);
    cr_assert_eq(group_coordinator_idle_ms(f.coordinator, sluice_text_of("g"), f.now_ms), -1);
    cr_assert_eq(group_client_leave(&f, &a), SLUICE_OK);
    cr_assert_eq(group_client_beat(&f, &b), SLUICE_E_REBALANCE_IN_PROGRESS);
    cr_assert_eq(group_client_leave(&f, &b), SLUICE_OK);
    cr_assert_eq(group_fixture_state(&f), GROUP_EMPTY);
    cr_assert_eq(group_client_leave(&f, &b), SLUICE_E_UNKNOWN_MEMBER);
    cr_assert_eq(group_coordinator_idle_ms(f.coordinator, sluice_text_of("g"), f.now_ms + 5), 5);
}

Test(group, a_member_can_be_removed_by_its_instance_id)
{
    struct group_client a = group_client_make("i1");
    group_client_enter(&f, &a);
    struct group_client admin = group_client_make("i1");
    cr_assert_eq(group_client_leave(&f, &admin), SLUICE_OK);
    cr_assert_eq(group_fixture_state(&f), GROUP_EMPTY);
    cr_assert_eq(group_client_leave(&f, &admin), SLUICE_E_UNKNOWN_MEMBER);
}

Test(group, a_static_member_comes_back_without_a_rebalance_and_fences_its_former_self)
{
    struct group_client a = group_client_make("i1");
    struct group_client b = group_client_make("i2");
    group_fixture_stable(&f, &a, &b);
    struct group_client again = group_client_make("i2");
    group_client_enter(&f, &again);
    cr_assert_eq(again.call.status, SLUICE_OK);
    cr_assert_eq(again.generation, 2);
    cr_assert_str_neq(again.id, b.id);
    cr_assert_eq(group_fixture_state(&f), GROUP_STABLE);
    group_client_sync(&f, &again, NULL);
    cr_assert_str_eq(again.call.assignment, b.call.assignment, "it keeps its assignment");
    cr_assert_eq(group_client_beat(&f, &b), SLUICE_E_FENCED_INSTANCE_ID);
    cr_assert_eq(group_client_commit(&f, &b), SLUICE_E_FENCED_INSTANCE_ID);
    cr_assert_eq(group_client_leave(&f, &b), SLUICE_E_FENCED_INSTANCE_ID);
    cr_assert_eq(group_client_beat(&f, &a), SLUICE_OK);
}

Test(group, a_static_leader_that_comes_back_may_skip_the_assignment)
{
    struct group_client a = group_client_make("i1");
    struct group_client b = group_client_make("i2");
    group_fixture_stable(&f, &a, &b);
    struct group_client again = group_client_make("i1");
    again.skip = true;
    group_client_enter(&f, &again);
    cr_assert(again.call.skip_assignment);
    cr_assert_str_eq(again.call.leader, again.id);
    cr_assert_eq(again.call.member_count, 2);
}

Test(group, an_older_static_leader_that_comes_back_is_made_a_follower)
{
    struct group_client a = group_client_make("i1");
    struct group_client b = group_client_make("i2");
    group_fixture_stable(&f, &a, &b);
    struct group_client again = group_client_make("i1");
    group_client_enter(&f, &again);
    cr_assert_not(again.call.skip_assignment);
    cr_assert_str_eq(again.call.leader, a.id);
    cr_assert_eq(again.call.member_count, 0);
}

Test(group, a_static_member_that_comes_back_while_its_former_self_waits_fences_that_call)
{
    struct group_client a = group_client_make("i1");
    struct group_client b = group_client_make("i2");
    group_client_enter(&f, &a);
    group_client_join(&f, &b);
    struct group_client again = group_client_make("i2");
    group_client_join(&f, &again);
    cr_assert_eq(b.call.answers, 1);
    cr_assert_eq(b.call.status, SLUICE_E_FENCED_INSTANCE_ID);
    group_client_join(&f, &a);
    cr_assert_eq(again.call.status, SLUICE_OK);
    cr_assert_eq(a.call.member_count, 2);
}

Test(group, a_follower_that_joins_again_unchanged_gets_the_generation_as_it_is)
{
    struct group_client a = group_client_make(NULL);
    struct group_client b = group_client_make(NULL);
    group_fixture_stable(&f, &a, &b);
    group_client_join(&f, &b);
    cr_assert_eq(b.call.status, SLUICE_OK);
    cr_assert_eq(b.call.generation, 2);
    cr_assert_eq(group_fixture_state(&f), GROUP_STABLE);
}

Test(group, a_follower_with_another_subscription_starts_a_rebalance)
{
    struct group_client a = group_client_make(NULL);
    struct group_client b = group_client_make(NULL);
    group_fixture_stable(&f, &a, &b);
    b.metadata = "more";
    group_client_join(&f, &b);
    cr_assert_eq(b.call.answers, 0);
    cr_assert_eq(group_client_beat(&f, &a), SLUICE_E_REBALANCE_IN_PROGRESS);
}

Test(group, a_leader_that_joins_again_starts_a_rebalance)
{
    struct group_client a = group_client_make(NULL);
    struct group_client b = group_client_make(NULL);
    group_fixture_stable(&f, &a, &b);
    group_client_join(&f, &a);
    cr_assert_eq(a.call.answers, 0);
    cr_assert_eq(group_fixture_state(&f), GROUP_PREPARING);
}

Test(group, a_join_that_is_sent_again_while_it_waits_answers_the_former_call_too)
{
    struct group_client a = group_client_make(NULL);
    struct group_client b = group_client_make(NULL);
    struct group_client c = group_client_make(NULL);
    group_fixture_stable(&f, &a, &b);
    group_client_join(&f, &c);
    group_client_join(&f, &a);
    struct group_client twin = a;
    group_client_join(&f, &twin);
    cr_assert_eq(a.call.answers, 1);
    cr_assert_eq(a.call.status, SLUICE_E_REBALANCE_IN_PROGRESS);
    group_client_join(&f, &b);
    cr_assert_eq(twin.call.status, SLUICE_OK);
    cr_assert_eq(twin.call.member_count, 3);
}

Test(group, a_lost_connection_does_not_remove_a_member)
{
    struct group_client a = group_client_make(NULL);
    struct group_client b = group_client_make(NULL);
    group_client_enter(&f, &a);
    group_client_join(&f, &b);
    cr_assert_eq(group_cancel(f.coordinator, sluice_text_of("g"), &b.call), 1);
    cr_assert_eq(b.call.status, SLUICE_E_CANCELLED);
    cr_assert_eq(group_cancel(f.coordinator, sluice_text_of("g"), &b.call), 0);
    group_client_join(&f, &a);
    cr_assert_eq(a.call.member_count, 2);
    cr_assert_eq(b.call.answers, 1);
}

Test(group, commits_follow_the_generation)
{
    struct group_client outsider = group_client_make(NULL);
    struct group_client a = group_client_make(NULL);
    struct group_client b = group_client_make(NULL);
    cr_assert_eq(group_client_commit(&f, &outsider), SLUICE_OK, "an empty group takes any");
    group_client_enter(&f, &a);
    cr_assert_eq(group_client_commit(&f, &a), SLUICE_E_REBALANCE_IN_PROGRESS);
    group_client_sync(&f, &a, NULL);
    cr_assert_eq(group_client_commit(&f, &a), SLUICE_OK);
    cr_assert_eq(group_client_commit(&f, &outsider), SLUICE_E_UNKNOWN_MEMBER);
    group_client_join(&f, &b);
    cr_assert_eq(group_client_commit(&f, &a), SLUICE_OK, "before it joins again");
    a.generation = 0;
    cr_assert_eq(group_client_commit(&f, &a), SLUICE_E_ILLEGAL_GENERATION);
    f.group = "other";
    cr_assert_eq(group_client_commit(&f, &a), SLUICE_E_GROUP_NOT_FOUND);
}

Test(group, commit_metadata_over_the_bound_is_refused_for_its_entry_alone)
{
    static char big[4097];
    memset(big, 'x', sizeof big);
    struct sluice_offset_commit_entry entries[2] = {
        {.metadata = {big, 4097}},
        {.metadata = {big, 4096}},
    };
    struct sluice_offset_commit request = {
        .size = sizeof request,
        .entry_count = 2,
        .identity = {.generation = -1, .group = sluice_text_of("g")},
        .entries = entries,
    };
    sluice_status statuses[2];
    cr_assert_eq(group_commit_check(f.coordinator, &request, f.now_ms, statuses), SLUICE_OK);
    cr_assert_eq(statuses[0], SLUICE_E_OFFSET_METADATA_TOO_LARGE);
    cr_assert_eq(statuses[1], SLUICE_OK);
}

Test(group, a_commit_counts_as_a_heartbeat)
{
    struct group_client a = group_client_make(NULL);
    struct group_client b = group_client_make(NULL);
    group_fixture_stable(&f, &a, &b);
    group_fixture_pass(&f, 9000);
    cr_assert_eq(group_client_commit(&f, &a), SLUICE_OK);
    cr_assert_eq(group_client_beat(&f, &b), SLUICE_OK);
    group_fixture_pass(&f, 9000);
    cr_assert_eq(group_client_beat(&f, &a), SLUICE_OK);
}

Test(group_delay, a_new_group_waits_for_more_members_and_longer_while_they_come)
{
    struct group_client members[4];
    group_fixture_init(&f, 3000);
    for (int i = 0; i < 4; i++)
        members[i] = group_client_make(NULL);
    group_client_join(&f, &members[0]);
    group_fixture_pass(&f, 2000);
    group_client_join(&f, &members[1]);
    group_fixture_pass(&f, 1000);
    cr_assert_eq(members[0].call.answers, 0, "someone came: three seconds more");
    group_client_join(&f, &members[2]);
    group_fixture_pass(&f, 3000);
    cr_assert_eq(members[0].call.answers, 0);
    group_fixture_pass(&f, 3000);
    cr_assert_eq(members[0].call.answers, 1);
    cr_assert_eq(members[0].call.generation, 1);
    cr_assert_eq(members[0].call.member_count, 3);
    group_fixture_fini(&f);
}

Test(group_delay, the_initial_delay_ends_with_the_rebalance_timeout)
{
    struct group_client members[8];
    int64_t waited_ms = 0;
    group_fixture_init(&f, 3000);
    for (int i = 0; i < 8; i++) {
        members[i] = group_client_make(NULL);
        members[i].rebalance_ms = 9000;
    }
    for (int i = 0; i < 8 && members[0].call.answers == 0; i++) {
        group_client_join(&f, &members[i]);
        group_fixture_pass(&f, 2000);
        waited_ms += 2000;
    }
    cr_assert_eq(members[0].call.answers, 1);
    cr_assert_leq(waited_ms, 10000);
    group_fixture_fini(&f);
}

Test(group_bounds, a_full_group_refuses_further_members)
{
    struct group_config config = {.limits = {.members_max = 2}, .seed = {1, 2}};
    f.coordinator = group_coordinator_new(&config, 0);
    f.group = "g";
    struct group_client a = group_client_make(NULL);
    struct group_client b = group_client_make(NULL);
    struct group_client c = group_client_make(NULL);
    group_fixture_stable(&f, &a, &b);
    group_client_join(&f, &c);
    cr_assert_eq(c.call.status, SLUICE_E_GROUP_MAX_SIZE);
    group_fixture_fini(&f);
}

Test(group_bounds, a_member_with_too_much_metadata_is_refused)
{
    struct group_config config = {.member_bytes_max = 10, .seed = {1, 2}};
    f.coordinator = group_coordinator_new(&config, 0);
    f.group = "g";
    struct group_client a = group_client_make(NULL);
    group_client_join(&f, &a);
    cr_assert_eq(a.call.status, SLUICE_E_LIMIT);
    cr_assert_eq(member_count(), 0);
    group_fixture_fini(&f);
}

Test(group_bounds, at_the_bound_of_groups_the_one_empty_longest_makes_room)
{
    struct group_config config = {.groups_max = 2, .seed = {1, 2}};
    f.coordinator = group_coordinator_new(&config, 0);
    struct group_client a = group_client_make(NULL);
    struct group_client b = group_client_make(NULL);
    struct group_client c = group_client_make(NULL);
    f.group = "a";
    group_client_enter(&f, &a);
    f.group = "b";
    group_client_enter(&f, &b);
    f.group = "c";
    group_client_join(&f, &c);
    cr_assert_eq(c.call.status, SLUICE_E_LIMIT);
    f.group = "b";
    cr_assert_eq(group_client_leave(&f, &b), SLUICE_OK);
    f.group = "c";
    group_client_join(&f, &c);
    cr_assert_eq(c.call.status, SLUICE_OK);
    f.group = "b";
    cr_assert_eq(group_fixture_state(&f), GROUP_DEAD);
    group_fixture_fini(&f);
}

struct reentrant {
    struct group_client *client;
    int depth;
    int depth_max;
};

static void sync_at_once(void *arg, const struct sluice_group_joined *joined)
{
    struct reentrant *reentrant = arg;
    reentrant->depth++;
    reentrant->depth_max =
        reentrant->depth > reentrant->depth_max ? reentrant->depth : reentrant->depth_max;
    group_text_copy(reentrant->client->id, sizeof reentrant->client->id, joined->member);
    reentrant->client->generation = joined->generation;
    group_client_sync(&f, reentrant->client, NULL);
    cr_assert_eq(joined->generation, 1, "the answer is still whole");
    reentrant->depth--;
}

Test(group, an_answer_may_lead_to_the_next_call_at_once)
{
    struct group_client a = group_client_make(NULL);
    struct reentrant reentrant = {.client = &a};
    struct sluice_group_protocol protocol = {.name = sluice_text_of("range")};
    struct sluice_group_join request = {.size = sizeof request,
                                        .session_timeout_ms = 10000,
                                        .rebalance_timeout_ms = -1,
                                        .protocol_count = 1,
                                        .group = sluice_text_of("g"),
                                        .protocol_type = sluice_text_of("consumer"),
                                        .protocols = &protocol};
    struct group_caller who = {sluice_text_of("c"), sluice_text_of(""), {"", 0}};
    group_join(f.coordinator, &request, &who, f.now_ms, sync_at_once, &reentrant);
    cr_assert_eq(reentrant.depth_max, 1);
    cr_assert_eq(a.call.answers, 1);
    cr_assert_eq(a.call.status, SLUICE_OK);
    cr_assert_eq(group_fixture_state(&f), GROUP_STABLE);
}

Test(group_end, whoever_waits_when_the_coordinator_goes_is_answered)
{
    struct group_client a = group_client_make(NULL);
    struct group_client b = group_client_make(NULL);
    group_fixture_init(&f, 0);
    group_client_enter(&f, &a);
    group_client_join(&f, &b);
    group_fixture_fini(&f);
    cr_assert_eq(b.call.answers, 1);
    cr_assert_eq(b.call.status, SLUICE_E_STOPPING);
}
