/* test_streams_groups.c: heartbeats of members of a Streams application (KIP-1071): what is refused
 * as Kafka 4.3 refuses it, what is bounded, and how tasks go from one member to another. */
#include "base/bytes.h"
#include "deliver/streams_groups.h"
#include "streams_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMBERS_MAX 3u

static struct streams_fixture f;
static struct streams_groups *groups;
static struct streams_answer answer;
static int64_t now_ms;
static int32_t standby_count;

static void get_config(void *arg, struct sl_bytes name, struct streams_group_config *ret_config)
{
    (void)arg;
    (void)name;
    *ret_config = (struct streams_group_config){.session_timeout_ms = 45000,
                                                .heartbeat_interval_ms = 5000,
                                                .standby_count = standby_count,
                                                .members_max = MEMBERS_MAX};
}

static void setup(void)
{
    const struct streams_config_source configs = {get_config, NULL};
    streams_fixture_init(&f);
    streams_fixture_topic(&f, "t", 4);
    groups = streams_groups_new(&f.source, &configs);
    cr_assert_not_null(groups);
    now_ms = 1000;
    standby_count = 0;
}

static void teardown(void)
{
    streams_answer_fini(&answer);
    groups = streams_groups_free(groups);
    streams_fixture_fini(&f);
}

TestSuite(streams_groups, .init = setup, .fini = teardown);

/* ---- requests ---- */

static const struct sluice_streams_assignment nothing;

static struct sluice_streams_heartbeat joining(const char *member, const char *const *lines)
{
    return (struct sluice_streams_heartbeat){.size = sizeof(struct sluice_streams_heartbeat),
                                             .member_epoch = SLUICE_MEMBER_JOINS,
                                             .rebalance_timeout_ms = 60000,
                                             .group = sluice_text_of("g"),
                                             .member = sluice_text_of(member),
                                             .process = sluice_text_of(member),
                                             .topology = streams_fixture_parse(&f, lines),
                                             .owned = &nothing,
                                             .has_active = true,
                                             .has_standby = true,
                                             .has_warmups = true};
}

static struct sluice_streams_heartbeat staying(const char *member, int32_t epoch)
{
    return (struct sluice_streams_heartbeat){.size = sizeof(struct sluice_streams_heartbeat),
                                             .member_epoch = epoch,
                                             .rebalance_timeout_ms = -1,
                                             .group = sluice_text_of("g"),
                                             .member = sluice_text_of(member)};
}

static sluice_status beat(const struct sluice_streams_heartbeat *request)
{
    const struct group_caller client = {sluice_text_of("client"), sluice_text_of("/127.0.0.1"),
                                        sluice_text_of("User:ann")};
    streams_answer_fini(&answer);
    streams_group_heartbeat(groups, request, &client, now_ms, &answer);
    return answer.answer.status;
}

static void refused(const struct sluice_streams_heartbeat *request, sluice_status status,
                    const char *sentence)
{
    cr_assert_eq(beat(request), status, "%d", answer.answer.status);
    const struct sluice_text *said = &answer.answer.message;
    cr_assert(said->size == strlen(sentence) && memcmp(said->data, sentence, said->size) == 0,
              "%.*s", (int)said->size, said->data);
    cr_assert_not(streams_group_exists(groups, sluice_text_of("g")), "what was made is undone");
}

/* ; its epoch. */
static int32_t join(const char *member)
{
    struct sluice_streams_heartbeat request = joining(member, APPLICATION("0 reads t"));
    cr_assert_eq(beat(&request), SLUICE_OK, "%.*s", (int)answer.answer.message.size,
                 answer.answer.message.data);
    return answer.answer.member_epoch;
}

/* "0,2": active tasks of the one subtopology; "=": as before. */
static const char *told(void)
{
    static char text[256];
    const struct sluice_streams_assignment *assignment = answer.answer.assignment;
    size_t at = 0;
    text[0] = '\0';
    if (assignment == NULL)
        return "=";
    for (uint32_t i = 0; i < assignment->active_count; i++) {
        for (uint32_t p = 0; p < assignment->active[i].count; p++)
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%d", at == 0 ? "" : ",",
                                   assignment->active[i].partitions[p]);
    }
    return text;
}

/* With the tasks that it has, of the one subtopology. */
static sluice_status own(const char *member, int32_t epoch, const int32_t *partitions,
                         uint32_t count)
{
    const struct sluice_streams_tasks tasks = {
        .subtopology = sluice_text_of("0"), .count = count, .partitions = partitions};
    const struct sluice_streams_assignment owned = {.active_count = 1, .active = &tasks};
    struct sluice_streams_heartbeat request = staying(member, epoch);
    request.owned = &owned;
    request.has_active = request.has_standby = request.has_warmups = true;
    return beat(&request);
}

/* ---- what is refused ---- */

Test(streams_groups, warm_up_tasks_are_refused)
{
    struct sluice_streams_heartbeat request = joining("a", APPLICATION("0 reads t"));
    request.has_warmup_tasks = true;
    refused(&request, SLUICE_E_INVALID_REQUEST, "WarmupTasks are not supported yet.");
}

Test(streams_groups, static_members_offsets_of_tasks_and_patterns_are_refused)
{
    struct sluice_streams_heartbeat request = joining("a", APPLICATION("0 reads t"));
    request.instance = sluice_text_of("i");
    refused(&request, SLUICE_E_INVALID_REQUEST, "Static membership is not yet supported.");
    request = joining("a", APPLICATION("0 reads t"));
    request.has_offsets = true;
    refused(&request, SLUICE_E_INVALID_REQUEST, "TaskOffsets are not supported yet.");
    request = joining("a", APPLICATION("0 reads t"));
    request.has_end_offsets = true;
    refused(&request, SLUICE_E_INVALID_REQUEST, "TaskEndOffsets are not supported yet.");
    struct sluice_text pattern = sluice_text_of("t.*");
    struct sluice_streams_subtopology sub = {
        .id = sluice_text_of("0"), .pattern_count = 1, .patterns = &pattern};
    const struct sluice_streams_topology topology = {.subtopology_count = 1, .subtopologies = &sub};
    request = joining("a", APPLICATION("0 reads t"));
    request.topology = &topology;
    refused(&request, SLUICE_E_INVALID_REQUEST,
            "Regular expressions for source topics are not supported yet.");
}

Test(streams_groups, who_joins_brings_a_topology_and_no_tasks)
{
    struct sluice_streams_heartbeat request = joining("a", APPLICATION("0 reads t"));
    request.topology = NULL;
    refused(&request, SLUICE_E_INVALID_REQUEST, "Topology must be non-null when (re-)joining.");
    const int32_t partition = 0;
    const struct sluice_streams_tasks tasks = {
        .subtopology = sluice_text_of("0"), .count = 1, .partitions = &partition};
    const struct sluice_streams_assignment owned = {.active_count = 1, .active = &tasks};
    request = joining("a", APPLICATION("0 reads t"));
    request.owned = &owned;
    refused(&request, SLUICE_E_INVALID_REQUEST, "ActiveTasks must be empty when (re-)joining.");
}

Test(streams_groups, a_topology_whose_parts_share_an_id_is_refused)
{
    struct sluice_streams_heartbeat request = joining("a", APPLICATION("0 reads t", "0 reads t"));
    refused(&request, SLUICE_E_STREAMS_TOPOLOGY,
            "Two subtopologies have the same id, or a copartition group names a topic that the "
            "subtopology has not.");
}

Test(streams_groups, topics_of_the_broker_itself_are_refused)
{
    struct sluice_streams_heartbeat request =
        joining("a", APPLICATION("0 reads __consumer_offsets"));
    refused(&request, SLUICE_E_STREAMS_TOPOLOGY,
            "Use of Kafka internal topics __consumer_offsets in a Kafka Streams topology is "
            "prohibited.");
}

/* ---- what is bounded ---- */

Test(streams_groups, a_group_has_as_many_members_as_it_may)
{
    join("a");
    join("b");
    join("c");
    struct sluice_streams_heartbeat request = joining("d", APPLICATION("0 reads t"));
    cr_assert_eq(beat(&request), SLUICE_E_GROUP_MAX_SIZE);
    request = staying("a", SLUICE_MEMBER_LEAVES);
    cr_assert_eq(beat(&request), SLUICE_OK);
    join("d");
}

Test(streams_groups, tags_ids_tasks_and_topologies_are_bounded)
{
    static struct sluice_streams_pair tags[65];
    struct sluice_streams_heartbeat request = joining("a", APPLICATION("0 reads t"));
    request.tags = tags;
    request.tag_count = SL_COUNT_OF(tags);
    request.has_tags = true;
    refused(&request, SLUICE_E_INVALID_REQUEST, "A member has more than 64 tags.");

    static char id[CONSUMER_GROUP_INSTANCE_MAX + 2];
    memset(id, 'x', sizeof id - 1);
    request = joining(id, APPLICATION("0 reads t"));
    cr_assert_eq(beat(&request), SLUICE_E_INVALID_REQUEST);

    streams_fixture_topic(&f, "large", STREAMS_TASKS_MAX);
    request = joining("a", APPLICATION("0 reads large", "1 reads t"));
    refused(&request, SLUICE_E_INVALID_REQUEST, "A group has more than 200000 tasks.");

    static char text[STREAMS_TEXT_BYTES_MAX + 2];
    memset(text, 'x', sizeof text - 1);
    const struct sluice_text sources[] = {sluice_text_of("t")};
    const struct sluice_streams_subtopology sub = {
        .id = sluice_text_of(text), .source_count = 1, .sources = sources};
    const struct sluice_streams_topology topology = {.subtopology_count = 1, .subtopologies = &sub};
    request = joining("a", APPLICATION("0 reads t"));
    request.topology = &topology;
    refused(&request, SLUICE_E_INVALID_REQUEST,
            "The topology is larger than 1048576 bytes, or a text in it than 8192.");
}

/* ---- from one member to another ---- */

Test(streams_groups, a_task_is_given_back_before_another_gets_it)
{
    int32_t a = join("a");
    cr_assert_str_eq(told(), "0,1,2,3");
    cr_assert_eq(own("a", a, (int32_t[]){0, 1, 2, 3}, 4), SLUICE_OK);
    int32_t b = join("b");
    cr_assert_str_eq(told(), "", "those that are to come are still with a");
    cr_assert_eq(own("a", a, (int32_t[]){0, 1, 2, 3}, 4), SLUICE_OK);
    cr_assert_str_eq(told(), "0,1");
    cr_assert_eq(answer.answer.member_epoch, a, "at its old epoch until it has given back");
    struct sluice_streams_heartbeat request = staying("b", b);
    cr_assert_eq(beat(&request), SLUICE_OK);
    cr_assert_str_eq(told(), "=");
    cr_assert_eq(own("a", a, (int32_t[]){0, 1}, 2), SLUICE_OK);
    cr_assert_gt(answer.answer.member_epoch, a);
    cr_assert_eq(beat(&request), SLUICE_OK);
    cr_assert_str_eq(told(), "2,3");
}

Test(streams_groups, tasks_of_who_left_or_was_silent_go_to_the_others)
{
    int32_t a = join("a");
    int32_t b = join("b");
    struct sluice_streams_heartbeat request = staying("b", SLUICE_MEMBER_LEAVES);
    cr_assert_eq(beat(&request), SLUICE_OK);
    cr_assert_eq(own("a", a, (int32_t[]){0, 1, 2, 3}, 4), SLUICE_OK);
    a = answer.answer.member_epoch;
    b = join("b");
    cr_assert_eq(own("a", a, (int32_t[]){0, 1}, 2), SLUICE_OK);
    a = answer.answer.member_epoch;
    now_ms += 44999;
    streams_groups_tick(groups, now_ms);
    cr_assert_eq(own("a", a, (int32_t[]){0, 1}, 2), SLUICE_OK);
    cr_assert_str_eq(told(), "=", "b may still come");
    now_ms += 1;
    streams_groups_tick(groups, now_ms);
    request = staying("b", b);
    cr_assert_eq(beat(&request), SLUICE_E_UNKNOWN_MEMBER);
    cr_assert_eq(own("a", a, (int32_t[]){0, 1}, 2), SLUICE_OK);
    cr_assert_str_eq(told(), "0,1,2,3");
}

Test(streams_groups, nobody_has_tasks_while_a_source_is_missing_and_everybody_is_told_why)
{
    struct sluice_streams_heartbeat request = joining("a", APPLICATION("0 reads t,gone"));
    cr_assert_eq(beat(&request), SLUICE_OK);
    int32_t epoch = answer.answer.member_epoch;
    cr_assert_str_eq(told(), "");
    cr_assert_eq(answer.answer.status_count, 1);
    cr_assert_eq(answer.answer.statuses[0].code, SLUICE_STREAMS_MISSING_SOURCE);
    streams_fixture_topic(&f, "gone", 6);
    request = staying("a", epoch);
    cr_assert_eq(beat(&request), SLUICE_OK);
    cr_assert_str_eq(told(), "0,1,2,3,4,5");
    cr_assert_eq(answer.answer.status_count, 0);
}

Test(streams_groups, the_topology_of_a_group_is_that_of_its_first_member)
{
    join("a");
    struct sluice_streams_heartbeat request = joining("b", APPLICATION("0 reads t", "1 reads t"));
    cr_assert_eq(beat(&request), SLUICE_E_INVALID_REQUEST);
    cr_assert_str_eq(answer.answer.message.data, "Topology updates are not supported yet.");
    join("b");
}

Test(streams_groups, who_says_it_has_a_task_that_cannot_be_is_refused)
{
    int32_t a = join("a");
    cr_assert_eq(own("a", a, (int32_t[]){4}, 1), SLUICE_E_INVALID_REQUEST);
    cr_assert_eq(own("a", a + 1, (int32_t[]){0}, 1), SLUICE_E_FENCED_MEMBER_EPOCH);
}
