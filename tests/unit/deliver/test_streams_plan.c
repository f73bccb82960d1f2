/* test_streams_plan.c: what a Streams application comes to with the topics that are there: numbers
 * of tasks and partitions, and what is missing, by Kafka 4.3's rules. */
#include "base/bytes.h"
#include "streams_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct streams_fixture f;
static struct streams_topology *topology;
static struct streams_plan *plan;

static void setup(void)
{
    streams_fixture_init(&f);
}

static void teardown(void)
{
    plan = streams_plan_free(plan);
    topology = streams_topology_free(topology);
    streams_fixture_fini(&f);
}

TestSuite(streams_plan, .init = setup, .fini = teardown);

static sl_err make(const char *const *lines)
{
    plan = streams_plan_free(plan);
    streams_topology_free(topology);
    topology = streams_fixture_topology(&f, lines);
    return streams_plan_new(topology, &f.source, f.message, &plan);
}

static void ready(const char *const *lines)
{
    cr_assert_eq(make(lines), SLUICE_OK, "%s", f.message);
    cr_assert_eq(plan->status, -1, "%s", plan->detail);
}

static void noted(const char *const *lines, int32_t status, const char *detail)
{
    cr_assert_eq(make(lines), SLUICE_OK, "%s", f.message);
    cr_assert_eq(plan->status, status, "%d: %s", plan->status, plan->detail);
    cr_assert_str_eq(plan->detail, detail);
}

static void refused(const char *const *lines, const char *beginning)
{
    cr_assert_eq(make(lines), SLUICE_E_STREAMS_TOPOLOGY);
    cr_assert_eq(strncmp(f.message, beginning, strlen(beginning)), 0, "%s", f.message);
}

/* "name=6 other=2": what is to be made. */
static const char *missing(void)
{
    static char text[1024];
    size_t at = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < plan->missing_count; i++) {
        const struct sluice_streams_topic *topic = &plan->missing[i];
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%.*s=%d", i == 0 ? "" : " ",
                               (int)topic->name.size, topic->name.data, topic->partition_count);
    }
    return text;
}

/* ---- tasks ---- */

Test(streams_plan, a_subtopology_has_a_task_for_each_partition_of_the_largest_topic_it_reads)
{
    streams_fixture_topic(&f, "orders", 6);
    streams_fixture_topic(&f, "users", 4);
    ready(APPLICATION("a reads orders,users", "b reads users"));
    cr_assert_eq(plan->task_counts[0], 6);
    cr_assert_eq(plan->task_counts[1], 4);
    cr_assert_eq(plan->task_count, 10);
}

Test(streams_plan,
     subtopologies_are_in_the_order_of_their_ids_whatever_the_order_they_were_named_in)
{
    streams_fixture_topic(&f, "orders", 6);
    streams_fixture_topic(&f, "users", 4);
    ready(APPLICATION("1 reads users", "0 reads orders"));
    cr_assert_eq(plan->task_counts[0], 6);
    cr_assert_eq(plan->task_counts[1], 4);
}

Test(streams_plan, a_subtopology_that_reads_nothing_is_refused)
{
    streams_fixture_topic(&f, "orders", 6);
    refused(APPLICATION("a reads orders", "b writes orders"),
            "Subtopology does not contain any source topics");
}

Test(streams_plan, an_application_of_more_tasks_than_the_bound_is_refused)
{
    streams_fixture_topic(&f, "large", STREAMS_TASKS_MAX);
    streams_fixture_topic(&f, "small", 1);
    ready(APPLICATION("a reads large"));
    cr_assert_eq(plan->task_count, STREAMS_TASKS_MAX);
    cr_assert_eq(make(APPLICATION("a reads large", "b reads small")), SLUICE_E_LIMIT);
}

/* ---- sources ---- */

Test(streams_plan, sources_that_are_missing_are_named_in_order_each_once_and_three_at_most)
{
    streams_fixture_topic(&f, "orders", 6);
    noted(APPLICATION("a reads orders,one"), SLUICE_STREAMS_MISSING_SOURCE,
          "Source topics one are missing.");
    noted(APPLICATION("a reads e,d,c", "b reads b,a,orders,c"), SLUICE_STREAMS_MISSING_SOURCE,
          "Source topics a, b, c and 2 additional topics are missing.");
    cr_assert_null(plan->task_counts, "how many tasks there are cannot be told");
}

Test(streams_plan, a_source_that_comes_makes_it_ready)
{
    noted(APPLICATION("a reads orders"), SLUICE_STREAMS_MISSING_SOURCE,
          "Source topics orders are missing.");
    streams_fixture_topic(&f, "orders", 2);
    ready(APPLICATION("a reads orders"));
}

/* ---- repartition topics ---- */

Test(streams_plan, a_repartition_topic_has_as_many_partitions_as_the_most_that_its_writer_reads)
{
    streams_fixture_topic(&f, "orders", 6);
    streams_fixture_topic(&f, "users", 4);
    noted(APPLICATION("a reads orders,users writes r", "b keeps r writes s", "c keeps s"),
          SLUICE_STREAMS_MISSING_INTERNAL, "Internal topics are missing: r, s");
    cr_assert_str_eq(missing(), "r=6 s=6", "along the chain");
    cr_assert_eq(plan->task_count, 18);
}

Test(streams_plan, a_chain_is_followed_in_whatever_order_its_parts_are_named)
{
    streams_fixture_topic(&f, "orders", 3);
    make(APPLICATION("a keeps t", "b keeps s writes t", "c keeps r writes s",
                     "d reads orders writes r"));
    cr_assert_str_eq(missing(), "r=3 s=3 t=3");
}

Test(streams_plan, the_number_that_the_application_asks_for_is_kept)
{
    streams_fixture_topic(&f, "orders", 6);
    make(APPLICATION("a reads orders writes r", "b keeps r=2"));
    cr_assert_str_eq(missing(), "r=2");
    cr_assert_eq(plan->task_counts[1], 2);
}

Test(streams_plan, a_repartition_topic_that_is_there_keeps_the_number_it_has)
{
    streams_fixture_topic(&f, "orders", 6);
    streams_fixture_topic(&f, "r", 6);
    ready(APPLICATION("a reads orders writes r", "b keeps r"));
    cr_assert_eq(plan->missing_count, 0);
    streams_fixture_topic(&f, "r", 5);
    noted(APPLICATION("a reads orders writes r", "b keeps r"), SLUICE_STREAMS_WRONG_PARTITIONS,
          "Existing topic r has different number of partitions: expected 6, found 5");
    cr_assert_eq(plan->missing_count, 0);
}

Test(streams_plan, a_loop_of_repartition_topics_is_refused)
{
    streams_fixture_topic(&f, "orders", 6);
    refused(
        APPLICATION("a keeps r writes s", "b keeps s writes r", "c reads orders"),
        "Failed to compute number of partitions for all repartition topics. There may be loops");
    make(APPLICATION("a keeps r=4 writes s", "b keeps s writes r", "c reads orders"));
    cr_assert_str_eq(missing(), "r=4 s=4", "a number in it ends a loop");
}

Test(streams_plan, a_repartition_topic_that_nobody_writes_to_is_refused)
{
    streams_fixture_topic(&f, "orders", 6);
    refused(APPLICATION("a reads orders", "b keeps r"),
            "Failed to compute number of partitions for all repartition topics, because a "
            "repartition source topic is never used as a sink topic.");
}

/* ---- copartitioned topics ---- */

Test(streams_plan, copartitioned_sources_must_have_one_number_of_partitions)
{
    streams_fixture_topic(&f, "orders", 6);
    streams_fixture_topic(&f, "users", 4);
    streams_fixture_topic(&f, "more", 6);
    noted(APPLICATION("a reads users,orders with users,orders"), SLUICE_STREAMS_WRONG_PARTITIONS,
          "Following topics do not have the same number of partitions: [{orders=6, users=4}]");
    ready(APPLICATION("a reads more,orders with more,orders"));
}

Test(streams_plan, a_repartition_topic_gets_the_number_of_the_source_it_is_copartitioned_with)
{
    streams_fixture_topic(&f, "orders", 6);
    streams_fixture_topic(&f, "users", 2);
    make(APPLICATION("a reads users writes r", "b reads orders keeps r with orders,r"));
    cr_assert_str_eq(missing(), "r=6");
    noted(APPLICATION("a reads users writes r", "b reads orders keeps r=2 with orders,r"),
          SLUICE_STREAMS_WRONG_PARTITIONS,
          "Number of partitions [2] of repartition topic [r] doesn't match number of partitions "
          "[6] of the source topic.");
}

Test(streams_plan, copartitioned_repartition_topics_get_the_number_asked_for_or_the_most)
{
    streams_fixture_topic(&f, "orders", 6);
    streams_fixture_topic(&f, "users", 2);
    make(APPLICATION("a reads orders writes r", "b reads users writes s", "c keeps r,s with r,s"));
    cr_assert_str_eq(missing(), "r=6 s=6");
    make(
        APPLICATION("a reads orders writes r", "b reads users writes s", "c keeps r,s=3 with r,s"));
    cr_assert_str_eq(missing(), "r=3 s=3");
    noted(APPLICATION("a reads orders writes r", "b reads users writes s",
                      "c keeps r=5,s=3 with r,s"),
          SLUICE_STREAMS_WRONG_PARTITIONS,
          "Following topics do not have the same number of partitions: [{r=5, s=3}]");
}

/* ---- changelogs ---- */

Test(streams_plan, a_changelog_has_a_partition_for_each_task)
{
    streams_fixture_topic(&f, "orders", 6);
    streams_fixture_topic(&f, "users", 4);
    noted(APPLICATION("a reads orders,users logs store"), SLUICE_STREAMS_MISSING_INTERNAL,
          "Internal topics are missing: store");
    cr_assert_str_eq(missing(), "store=6");
    streams_fixture_topic(&f, "store", 4);
    noted(APPLICATION("a reads orders,users logs store"), SLUICE_STREAMS_WRONG_PARTITIONS,
          "Existing topic store has different number of partitions: expected 6, found 4");
}

Test(streams_plan, a_source_may_be_its_own_log_and_is_not_made)
{
    streams_fixture_topic(&f, "orders", 6);
    ready(APPLICATION("a reads orders logs orders"));
    cr_assert_eq(plan->missing_count, 0);
    noted(APPLICATION("a reads users logs users"), SLUICE_STREAMS_MISSING_SOURCE,
          "Source topics users are missing.");
}

Test(streams_plan, numbers_that_were_decided_are_shown_in_the_topology)
{
    streams_fixture_topic(&f, "orders", 6);
    make(APPLICATION("a reads orders writes r", "b keeps r logs store"));
    const struct sluice_streams_subtopology *sub = &plan->view.subtopologies[1];
    cr_assert_eq(sub->repartitions[0].partition_count, 6);
    cr_assert_eq(sub->changelogs[0].partition_count, 6);
    cr_assert_eq(topology->view.subtopologies[1].changelogs[0].partition_count, 0,
                 "what the application said stays");
}

/* ---- what changes ---- */

Test(streams_plan, the_hash_of_topics_changes_with_what_the_application_names_and_with_nothing_else)
{
    streams_fixture_topic(&f, "orders", 6);
    streams_fixture_topic(&f, "other", 1);
    make(APPLICATION("a reads orders writes r", "b keeps r logs store"));
    const uint64_t before = streams_topics_hash(topology, &f.source);
    streams_fixture_topic(&f, "other", 2);
    cr_assert_eq(streams_topics_hash(topology, &f.source), before);
    const char *const named[] = {"orders", "r", "store"};
    for (size_t i = 0; i < SL_COUNT_OF(named); i++) {
        uint64_t known = streams_topics_hash(topology, &f.source);
        streams_fixture_topic(&f, named[i], 7);
        cr_assert_neq(streams_topics_hash(topology, &f.source), known, "%s", named[i]);
    }
    uint64_t known = streams_topics_hash(topology, &f.source);
    streams_fixture_topic(&f, "orders", 0);
    streams_fixture_topic(&f, "orders", 7);
    cr_assert_neq(streams_topics_hash(topology, &f.source), known, "a topic that was made again");
}
