/* test_assignor.c: server-side assignors against cases worked out by hand, and properties of random
 * ones: everything is assigned once, loads are even, nothing moves without need. */
#include "base/bytes.h"
#include "deliver/assignor.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMBERS_MAX 16
#define TOPICS_MAX  8

struct fixture {
    struct assignor_topic topics[TOPICS_MAX];
    struct assignor_member members[MEMBERS_MAX];
    struct partition_set current[MEMBERS_MAX];
    uint32_t subscriptions[MEMBERS_MAX][TOPICS_MAX];
    struct assignor_input input;
};

static void begin(struct fixture *f, const uint32_t *counts, uint32_t topic_count)
{
    *f = (struct fixture){0};
    f->input = (struct assignor_input){f->topics, topic_count, f->members, 0};
    for (uint32_t t = 0; t < topic_count; t++) {
        f->topics[t].id.b[0] = (uint8_t)(t + 1);
        f->topics[t].partition_count = counts[t];
    }
}

/* topics: bits. */
static void add(struct fixture *f, uint32_t topics)
{
    uint32_t m = f->input.member_count++;
    struct assignor_member *member = &f->members[m];
    for (uint32_t t = 0; t < f->input.topic_count; t++) {
        if ((topics >> t & 1) != 0)
            f->subscriptions[m][member->topic_count++] = t;
    }
    member->topics = f->subscriptions[m];
    member->current = &f->current[m];
}

static void run(struct fixture *f, const char *name)
{
    const struct assignor *assignor = assignor_get(sl_bytes_of(name, strlen(name)));
    cr_assert_not_null(assignor);
    cr_assert_eq(assignor->assign(&f->input), SLUICE_OK);
}

/* "1:0,1 2:0" for the topics and partitions of a member. */
static const char *text_of(const struct partition_set *set)
{
    static char text[4096];
    size_t at = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < set->count; i++) {
        const struct partition_entry *entry = &set->entries[i];
        bool is_new = i == 0 || entry->topic.b[0] != set->entries[i - 1].topic.b[0];
        if (is_new)
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%u:", i == 0 ? "" : " ",
                                   entry->topic.b[0]);
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%u", is_new ? "" : ",",
                               entry->partition);
    }
    return text;
}

static void keep(struct fixture *f)
{
    for (uint32_t m = 0; m < f->input.member_count; m++)
        partition_set_take(&f->current[m], &f->members[m].target);
}

static void end(struct fixture *f)
{
    for (uint32_t m = 0; m < MEMBERS_MAX; m++) {
        partition_set_fini(&f->current[m]);
        partition_set_fini(&f->members[m].target);
    }
}

#define EXPECT(f, m, text) cr_assert_str_eq(text_of(&(f).members[m].target), text)
#define HAS(f, m, text)    cr_assert_str_eq(text_of(&(f).current[m]), text)

Test(assignor, of_no_known_name_is_none)
{
    cr_assert_null(assignor_get(sl_bytes_of("sticky", 6)));
    cr_assert_str_eq(assignors[0].name, "uniform");
}

Test(assignor, uniform_gives_each_member_its_share)
{
    struct fixture f;
    begin(&f, (uint32_t[]){3, 2}, 2);
    add(&f, 3);
    add(&f, 3);
    run(&f, "uniform");
    EXPECT(f, 0, "1:0,1,2");
    EXPECT(f, 1, "2:0,1");
    end(&f);
}

Test(assignor, uniform_takes_only_what_a_new_member_needs)
{
    struct fixture f;
    begin(&f, (uint32_t[]){6}, 1);
    add(&f, 1);
    add(&f, 1);
    run(&f, "uniform");
    keep(&f);
    add(&f, 1);
    run(&f, "uniform");
    EXPECT(f, 0, "1:0,1");
    EXPECT(f, 1, "1:3,4");
    EXPECT(f, 2, "1:2,5");
    end(&f);
}

Test(assignor, uniform_leaves_the_extra_partition_with_who_has_it)
{
    struct fixture f;
    begin(&f, (uint32_t[]){5}, 1);
    add(&f, 1);
    add(&f, 1);
    for (uint32_t p = 0; p < 2; p++)
        cr_assert_eq(partition_set_add(&f.current[0], &f.topics[0].id, p, 0), SLUICE_OK);
    for (uint32_t p = 2; p < 5; p++)
        cr_assert_eq(partition_set_add(&f.current[1], &f.topics[0].id, p, 0), SLUICE_OK);
    run(&f, "uniform");
    EXPECT(f, 0, "1:0,1");
    EXPECT(f, 1, "1:2,3,4");
    end(&f);
}

Test(assignor, uniform_gives_back_a_leavers_partitions_to_those_with_fewest)
{
    struct fixture f;
    begin(&f, (uint32_t[]){6}, 1);
    add(&f, 1);
    add(&f, 1);
    add(&f, 1);
    run(&f, "uniform");
    keep(&f);
    f.input.member_count = 2;
    run(&f, "uniform");
    EXPECT(f, 0, "1:0,1,4");
    EXPECT(f, 1, "1:2,3,5");
    end(&f);
}

Test(assignor, uniform_with_more_members_than_partitions_leaves_some_without)
{
    struct fixture f;
    begin(&f, (uint32_t[]){2}, 1);
    for (int i = 0; i < 3; i++)
        add(&f, 1);
    run(&f, "uniform");
    EXPECT(f, 0, "1:0");
    EXPECT(f, 1, "1:1");
    EXPECT(f, 2, "");
    end(&f);
}

Test(assignor, uniform_of_different_subscriptions_gives_only_what_was_asked_for)
{
    struct fixture f;
    begin(&f, (uint32_t[]){3, 3, 2}, 3);
    add(&f, 1);     /* topic 1 */
    add(&f, 2);     /* topic 2 */
    add(&f, 1 | 4); /* topics 1 and 3 */
    run(&f, "uniform");
    EXPECT(f, 0, "1:0,1,2");
    EXPECT(f, 1, "2:0,1,2");
    EXPECT(f, 2, "3:0,1");
    end(&f);
}

Test(assignor, uniform_moves_partitions_until_different_subscriptions_are_even)
{
    struct fixture f;
    begin(&f, (uint32_t[]){4, 2}, 2);
    add(&f, 1);
    run(&f, "uniform");
    EXPECT(f, 0, "1:0,1,2,3");
    keep(&f);
    add(&f, 1 | 2);
    run(&f, "uniform");
    EXPECT(f, 0, "1:1,2,3");
    EXPECT(f, 1, "1:0 2:0,1");
    end(&f);
}

Test(assignor, range_gives_the_same_numbers_of_each_topic)
{
    struct fixture f;
    begin(&f, (uint32_t[]){3, 3}, 2);
    add(&f, 3);
    add(&f, 3);
    run(&f, "range");
    EXPECT(f, 0, "1:0,1 2:0,1");
    EXPECT(f, 1, "1:2 2:2");
    end(&f);
}

Test(assignor, range_goes_topic_by_topic_over_its_subscribers)
{
    struct fixture f; /* Kafka's example: topics of 3, 3 and 2 partitions */
    begin(&f, (uint32_t[]){3, 3, 2}, 3);
    add(&f, 1 | 2);
    add(&f, 4);
    add(&f, 2 | 4);
    run(&f, "range");
    EXPECT(f, 0, "1:0,1,2 2:0,1");
    EXPECT(f, 1, "3:0");
    EXPECT(f, 2, "2:2 3:1");
    end(&f);
}

Test(assignor, range_keeps_what_is_within_the_share)
{
    struct fixture f; /* Kafka's: a third member comes to topics of 3 and 3 */
    begin(&f, (uint32_t[]){3, 3}, 2);
    add(&f, 3);
    add(&f, 3);
    run(&f, "range");
    keep(&f);
    add(&f, 3);
    run(&f, "range");
    EXPECT(f, 0, "1:0 2:0");
    EXPECT(f, 1, "1:2 2:2");
    EXPECT(f, 2, "1:1 2:1");
    end(&f);
}

Test(assignor, range_gives_new_partitions_to_who_is_below_its_share)
{
    struct fixture f;
    begin(&f, (uint32_t[]){2}, 1);
    add(&f, 1);
    add(&f, 1);
    run(&f, "range");
    keep(&f);
    f.topics[0].partition_count = 5;
    run(&f, "range");
    EXPECT(f, 0, "1:0,2,3");
    EXPECT(f, 1, "1:1,4");
    end(&f);
}

/* ---- random ones ---- */

static void check_all_once(const struct fixture *f)
{
    for (uint32_t t = 0; t < f->input.topic_count; t++) {
        bool is_read = false;
        for (uint32_t m = 0; m < f->input.member_count; m++) {
            for (uint32_t i = 0; i < f->members[m].topic_count; i++)
                is_read = is_read || f->members[m].topics[i] == t;
        }
        for (uint32_t p = 0; p < f->topics[t].partition_count; p++) {
            uint32_t owners = 0;
            for (uint32_t m = 0; m < f->input.member_count; m++)
                owners += partition_set_find(&f->members[m].target, &f->topics[t].id, p) != NULL;
            cr_assert_eq(owners, is_read ? 1u : 0u);
        }
    }
}

static uint32_t total_of(const struct partition_set *sets, uint32_t count, uint32_t *ret_spread)
{
    uint32_t low = UINT32_MAX, high = 0, total = 0;
    for (uint32_t m = 0; m < count; m++) {
        low = SL_MIN(low, sets[m].count);
        high = SL_MAX(high, sets[m].count);
        total += sets[m].count;
    }
    *ret_spread = count == 0 ? 0 : high - low;
    return total;
}

Test(assignor, of_any_group_assigns_everything_once_and_settles)
{
    srandom(848);
    for (int round = 0; round < 2000; round++) {
        struct fixture f;
        uint32_t counts[TOPICS_MAX];
        uint32_t topics = 1 + (uint32_t)random() % TOPICS_MAX;
        bool same = random() % 2 == 0;
        const char *name = random() % 2 == 0 ? "uniform" : "range";
        for (uint32_t t = 0; t < topics; t++)
            counts[t] = 1 + (uint32_t)random() % 12;
        begin(&f, counts, topics);
        for (uint32_t m = 1 + (uint32_t)random() % (MEMBERS_MAX - 2); m > 0; m--)
            add(&f, same ? (1u << topics) - 1 : (uint32_t)random());
        run(&f, name);
        check_all_once(&f);
        keep(&f);
        run(&f, name);
        check_all_once(&f);
        for (uint32_t m = 0; m < f.input.member_count; m++)
            cr_assert(partition_set_equal(&f.current[m], &f.members[m].target, false),
                      "round %d: member %u moved without need", round, m);
        keep(&f);
        add(&f, same ? (1u << topics) - 1 : (uint32_t)random());
        run(&f, name);
        check_all_once(&f);
        if (same && strcmp(name, "uniform") == 0) {
            struct partition_set sets[MEMBERS_MAX];
            uint32_t spread = 0;
            for (uint32_t m = 0; m < f.input.member_count; m++) {
                sets[m] = f.members[m].target;
                cr_assert(m + 1 == f.input.member_count ||
                          partition_set_within(&f.members[m].target, &f.current[m]));
            }
            total_of(sets, f.input.member_count, &spread);
            cr_assert_leq(spread, 1u);
        }
        end(&f);
    }
}
