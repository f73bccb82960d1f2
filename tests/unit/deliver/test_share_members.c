/* test_share_members.c: who is in a group that shares streams, without a broker (share_members.h).
 */
#include "deliver/share_members.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define SESSION_MS 45000 /* the default */

static struct share_members members;
static struct share_settings settings;
static int64_t now_ms;

/* Topics are named by a letter and have so many partitions: "c" has 3. */
static bool topic_known(void *arg, struct sl_bytes name, struct sl_uuid *ret_id,
                        uint32_t *ret_partition_count)
{
    (void)arg;
    if (name.size != 1 || name.data[0] == 'z') {
        return false;
    }
    *ret_id = (struct sl_uuid){{name.data[0]}};
    *ret_partition_count = (uint32_t)(name.data[0] - 'a' + 1);
    return true;
}

static void setup(void)
{
    const struct share_catalog catalog = {topic_known, NULL};
    cr_assert_eq(share_members_init(&members, &catalog), SLUICE_OK);
    share_settings_init(&settings);
    now_ms = 1000;
}

static void teardown(void)
{
    share_members_fini(&members);
}

TestSuite(share_members, .init = setup, .fini = teardown);

/* topics: a letter each; NULL: as before. */
static sl_err beat_at(const char *name, int32_t epoch, const char *topics, uint32_t flags,
                      int32_t partition, struct share_member **ret_member)
{
    struct sluice_text texts[8];
    uint32_t count = 0;
    for (; topics != NULL && topics[count] != '\0'; count++) {
        texts[count] = (struct sluice_text){topics + count, 1};
    }
    const struct sluice_share_heartbeat request = {.size = sizeof(request),
                                                   .epoch = epoch,
                                                   .group = sluice_text_of("g"),
                                                   .member = sluice_text_of(name),
                                                   .topics = topics == NULL ? NULL : texts,
                                                   .topic_count = count,
                                                   .flags = flags,
                                                   .partition = partition};
    const struct group_caller client = {sluice_text_of("client"), sluice_text_of("host"),
                                        sluice_text_of("User:a")};
    struct share_told told = {NULL, false};
    sl_err err = share_members_heartbeat(&members, &request, &client, &settings, now_ms, &told);
    *ret_member = told.member;
    return err;
}

static struct share_member *beat(const char *name, int32_t epoch, const char *topics,
                                 uint32_t flags)
{
    struct share_member *member = NULL;
    cr_assert_eq(beat_at(name, epoch, topics, flags, -1, &member), SLUICE_OK, "%s", name);
    return member;
}

static sl_err refused(const char *name, int32_t epoch, const char *topics, uint32_t flags)
{
    struct share_member *member = NULL;
    return beat_at(name, epoch, topics, flags, -1, &member);
}

Test(share_members, one_who_reads_all_takes_nothing_from_those_who_share)
{
    const struct share_member *one = beat("one", 0, "cd", 0);
    const struct share_member *all = beat("all", 0, "d", SLUICE_SHARE_READS_ALL);
    cr_assert_eq(one->place_count, 7);
    cr_assert_eq(all->place_count, 4);
    const struct share_member *two = beat("two", 0, "d", 0);
    cr_assert_eq(one->place_count + two->place_count, 7, "d is shared among two");
    cr_assert_eq(all->place_count, 4);
    cr_assert_eq(beat("all", all->epoch, "cd", 0)->place_count, 7);
    cr_assert_eq(beat("all", all->epoch, NULL, 0)->place_count, 7, "as before");
    cr_assert_eq(beat("all", all->epoch, "", 0)->place_count, 0, "its topics went");
}

Test(share_members, one_who_reads_a_partition_has_it_of_each_topic_that_has_so_many)
{
    struct share_member *member = NULL;
    cr_assert_eq(beat_at("all", 0, "abcz", SLUICE_SHARE_READS_ALL, 1, &member), SLUICE_OK);
    cr_assert_eq(member->place_count, 2);
    cr_assert_eq(member->places[0].topic.b[0], 'b');
    cr_assert_eq(member->places[1].partition, 1);
}

Test(share_members, only_who_reads_all_may_come_without_topics)
{
    cr_assert_eq(refused("one", 0, "", 0), SLUICE_E_INVALID_REQUEST);
    cr_assert_eq(refused("one", 0, NULL, 0), SLUICE_E_INVALID_REQUEST);
    cr_assert_eq(beat("all", 0, "", SLUICE_SHARE_READS_ALL)->place_count, 0);
}

Test(share_members, one_is_alone_until_it_leaves_or_its_session_ends)
{
    const uint32_t alone = SLUICE_SHARE_READS_ALL | SLUICE_SHARE_ALONE;
    const struct share_member *member = beat("first", 0, "a", alone);
    cr_assert_eq(refused("second", 0, "a", 0), SLUICE_E_GROUP_EXCLUSIVE);
    cr_assert_eq(refused("second", 0, "a", alone), SLUICE_E_GROUP_EXCLUSIVE);
    (void)beat("first", 0, "a", alone); /* once more: its answer was lost */
    (void)beat("first", member->epoch, NULL, 0);
    (void)beat("first", -1, NULL, 0);
    (void)beat("second", 0, "a", 0);
    cr_assert_eq(refused("first", 0, "a", alone), SLUICE_E_GROUP_EXCLUSIVE, "others are there");
    now_ms += SESSION_MS;
    share_members_tick(&members, now_ms);
    (void)beat("first", 0, "a", alone);
}

Test(share_members, a_refusal_leaves_nothing)
{
    (void)beat("first", 0, "a", SLUICE_SHARE_READS_ALL | SLUICE_SHARE_ALONE);
    cr_assert_eq(refused("second", 0, "a", 0), SLUICE_E_GROUP_EXCLUSIVE);
    const struct share_member_group *group =
        share_members_group(&members, (struct sl_bytes){(const uint8_t *)"g", 1});
    cr_assert_eq(group->member_count, 1);
    (void)beat("first", -1, NULL, 0);
    cr_assert_null(share_members_group(&members, (struct sl_bytes){(const uint8_t *)"g", 1}));
}

Test(share_members, a_topic_is_shared_among_those_who_read_it_in_turn)
{
    const struct share_member *ann = beat("ann", 0, "cd", 0);
    const struct share_member *bob = beat("bob", 0, "dc", 0);
    const struct share_member *eve = beat("eve", 0, "dd", 0);
    cr_assert_eq(ann->place_count, 2 + 2, "0 and 2 of c, 0 and 3 of d");
    cr_assert_eq(bob->place_count, 1 + 1);
    cr_assert_eq(eve->place_count, 1, "a topic that is named twice is read once");
    (void)beat("bob", bob->epoch, "a", 0);
    (void)beat("eve", -1, NULL, 0);
    cr_assert_eq(ann->place_count, 3 + 4);
    cr_assert_eq(bob->place_count, 1);
}

/* ---- what it costs ---- */

#define MANY_MEMBERS 100u
#define MANY_TOPICS  500u /* of each member; in all as many again */

static uint32_t asked; /* topics of the catalog */

static bool topic_counted(void *arg, struct sl_bytes name, struct sl_uuid *ret_id,
                          uint32_t *ret_partition_count)
{
    (void)arg;
    asked++;
    *ret_id = (struct sl_uuid){{name.data[1], name.data[2], name.data[3]}};
    *ret_partition_count = 1;
    return true;
}

static struct share_member *beat_many(uint32_t number, int32_t epoch)
{
    static char names[2 * MANY_TOPICS][8];
    struct sluice_text topics[MANY_TOPICS];
    char id[16];
    struct share_told told = {NULL, false};
    snprintf(id, sizeof(id), "m%03u", number);
    for (uint32_t i = 0; i < MANY_TOPICS; i++) {
        uint32_t topic = (number + i) % (2 * MANY_TOPICS);
        snprintf(names[topic], sizeof(names[topic]), "t%03u", topic);
        topics[i] = sluice_text_of(names[topic]);
    }
    const struct sluice_share_heartbeat request = {.size = sizeof(request),
                                                   .epoch = epoch,
                                                   .group = sluice_text_of("g"),
                                                   .member = sluice_text_of(id),
                                                   .topics = epoch == 0 ? topics : NULL,
                                                   .topic_count = epoch == 0 ? MANY_TOPICS : 0};
    const struct group_caller client = {sluice_text_of("client"), sluice_text_of("host"),
                                        sluice_text_of("User:a")};
    cr_assert_eq(share_members_heartbeat(&members, &request, &client, &settings, now_ms, &told),
                 SLUICE_OK);
    return told.member;
}

/* Each name is looked up once, not compared with all of the others. */
Test(share_members, a_heartbeat_costs_what_is_read_and_not_its_square)
{
    members.catalog.topic = topic_counted;
    const struct share_member *one = NULL;
    for (uint32_t m = 0; m < MANY_MEMBERS; m++) {
        one = beat_many(m, 0);
    }
    const struct share_member_group *group =
        share_members_group(&members, (struct sl_bytes){(const uint8_t *)"g", 1});
    const uint32_t names = MANY_MEMBERS * MANY_TOPICS;
    cr_assert_eq(group->topics.count, MANY_TOPICS + MANY_MEMBERS - 1);
    cr_assert_lt(group->topics.probe_count, 2 * names, "%u", group->topics.probe_count);
    const struct share_topic *made = group->topics.topics;
    asked = 0;
    cr_assert_eq(beat_many(MANY_MEMBERS - 1, one->epoch), one);
    cr_assert_eq(group->topics.topics, made, "not made anew for one who is merely there");
    cr_assert_eq(asked, group->topics.count, "each topic is looked up once");
}

static void apply(int32_t epoch, bool has_begun)
{
    uint8_t payload[SHARE_GROUP_ITEM_SIZE + SHARE_GROUP_BYTES_MAX];
    size_t size = share_group_item_encode((struct sl_bytes){(const uint8_t *)"g", 1}, epoch,
                                          has_begun, payload);
    cr_assert_eq(
        share_members_apply(&members, SHARE_ITEM_VERSION, (struct sl_bytes){payload, size}),
        SLUICE_OK);
}

static sl_err note(void *arg, uint16_t kind, uint8_t version, struct sl_bytes payload)
{
    (void)kind;
    (void)version;
    *(bool *)arg = payload.data[1] == 1;
    return SLUICE_OK;
}

Test(share_members, that_a_group_has_begun_is_kept_until_the_group_is_gone)
{
    const struct sl_bytes name = {(const uint8_t *)"g", 1};
    uint32_t at = 0;
    bool begun = false;
    apply(1, false);
    cr_assert(!share_members_group(&members, name)->has_begun);
    apply(1, true);
    apply(2, false); /* of a member that joined meanwhile */
    cr_assert(share_members_group(&members, name)->has_begun);
    cr_assert_eq(share_members_snapshot(&members, &at, 1000, note, &begun), SLUICE_OK);
    cr_assert(begun, "it is in a checkpoint");
    (void)beat("one", 0, "a", 0);
    apply(-1, false);
    cr_assert(!share_members_group(&members, name)->has_begun);
}
