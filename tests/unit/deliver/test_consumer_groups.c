/* test_consumer_groups.c: groups of KIP-848 without a broker, in virtual time: what a client sees
 * is in tests/broker/test_consumer_groups.py; here are deadlines, and thousands of random histories
 * in which no partition ever has two owners, everything is assigned in the end, and the state that
 * was written down is the state there is. */
#include "base/bytes.h"
#include "deliver/consumer_groups.h"
#include "deliver/epoch_groups.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOPICS_MAX  4
#define MEMBERS_MAX 6
#define ITEMS_MAX   4096

/* ---- topics ---- */

struct topics {
    uint32_t counts[TOPICS_MAX]; /* 0: it is not there */
    uint64_t version;
};

static void topic_fill(const struct topics *topics, uint32_t index, struct group_topic *ret_topic)
{
    static const char *const names[TOPICS_MAX] = {"t0", "t1", "t2", "t3"};
    *ret_topic = (struct group_topic){.name = sl_bytes_of_text(names[index]),
                                      .partition_count = topics->counts[index]};
    ret_topic->id.b[0] = (uint8_t)(index + 1);
}

static uint64_t version(void *arg)
{
    return ((struct topics *)arg)->version;
}

static bool by_name(void *arg, struct sl_bytes name, struct group_topic *ret_topic)
{
    const struct topics *topics = arg;
    uint32_t index = name.size == 2 ? (uint32_t)(name.data[1] - '0') : TOPICS_MAX;
    if (index >= TOPICS_MAX || topics->counts[index] == 0)
        return false;
    topic_fill(topics, index, ret_topic);
    return true;
}

static bool by_id(void *arg, const struct sl_uuid *id, struct group_topic *ret_topic)
{
    const struct topics *topics = arg;
    uint32_t index = (uint32_t)id->b[0] - 1;
    if (topics->counts[index] == 0)
        return false;
    topic_fill(topics, index, ret_topic);
    return true;
}

static void each(void *arg, void (*visit)(void *visit_arg, const struct group_topic *topic),
                 void *visit_arg)
{
    const struct topics *topics = arg;
    for (uint32_t i = 0; i < TOPICS_MAX; i++) {
        struct group_topic topic;
        topic_fill(topics, i, &topic);
        if (topics->counts[i] != 0)
            visit(visit_arg, &topic);
    }
}

/* ---- a broker's worth of groups ---- */

struct item {
    uint16_t kind;
    size_t size;
    uint8_t *payload;
};

struct fixture {
    struct topics topics;
    struct consumer_groups *groups;
    struct item items[ITEMS_MAX]; /* the log */
    uint32_t item_count;
    int64_t now_ms;
    struct client {
        char id[8];
        int32_t epoch; /* 0: not in the group */
        struct sluice_assigned_partition owned[64];
        uint32_t owned_count;
        struct sluice_assigned_partition assigned[64];
        uint32_t assigned_count;
    } clients[MEMBERS_MAX];
};

static struct consumer_groups *groups_make(struct fixture *f)
{
    const struct consumer_group_config config = {.session_timeout_ms = 1000};
    const struct group_topics topics = {version, by_name, by_id, each, &f->topics};
    const uint64_t seed[2] = {1, 2};
    struct consumer_groups *groups = consumer_groups_new(&config, &topics, NULL, seed);
    cr_assert_not_null(groups);
    return groups;
}

static void begin(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    f->topics = (struct topics){{4, 3, 0, 1}, 1};
    f->groups = groups_make(f);
    for (uint32_t i = 0; i < MEMBERS_MAX; i++)
        snprintf(f->clients[i].id, sizeof f->clients[i].id, "m%u", i);
}

static void end(struct fixture *f)
{
    for (uint32_t i = 0; i < f->item_count; i++)
        free(f->items[i].payload);
    consumer_groups_free(f->groups);
}

static sl_err log_add(void *arg, uint16_t kind, uint8_t item_version, struct sl_bytes payload)
{
    struct fixture *f = arg;
    cr_assert_eq(item_version, CONSUMER_GROUP_ITEM_VERSION);
    cr_assert_lt(f->item_count, ITEMS_MAX);
    struct item *item = &f->items[f->item_count++];
    *item = (struct item){kind, payload.size, malloc(payload.size + 1)};
    memcpy(item->payload, payload.data, payload.size);
    return SLUICE_OK;
}

static void flush(struct fixture *f)
{
    cr_assert_eq(consumer_groups_dirty(f->groups, log_add, f), SLUICE_OK);
    consumer_groups_clean(f->groups);
    cr_assert_not(consumer_groups_is_dirty(f->groups));
}

static int32_t beat(struct fixture *f, uint32_t index, int32_t epoch, bool says, const char *regex)
{
    static const struct sluice_text names[] = {{"t0", 2}, {"t1", 2}, {"t2", 2}};
    struct client *client = &f->clients[index];
    const struct sluice_consumer_heartbeat request = {
        .size = sizeof request,
        .member_epoch = epoch,
        .group = {"g", 1},
        .member = {client->id, strlen(client->id)},
        .regex = {regex, regex == NULL ? 0 : strlen(regex)},
        .assignor = {epoch == 0 ? "range" : NULL, epoch == 0 ? 5 : 0},
        .rebalance_timeout_ms = epoch == 0 ? 5000 : -1,
        .has_topics = epoch == 0,
        .has_owned = says || epoch == 0,
        .needs_member = true,
        .topic_count = epoch == 0 ? 1 + index % 3 : 0,
        .owned_count = epoch > 0 ? client->owned_count : 0,
        .topics = names,
        .owned = client->owned,
    };
    struct consumer_group_answer answer;
    const struct group_caller caller = {{"c", 1}, {"h", 1}, {"p", 1}};
    consumer_group_heartbeat(f->groups, &request, &caller, f->now_ms, &answer);
    if (answer.answer.status == SLUICE_OK) {
        client->epoch = SL_MAX(answer.answer.member_epoch, 0);
        client->assigned_count = answer.answer.has_assignment ? 0 : client->assigned_count;
        for (uint32_t i = 0; i < answer.answer.partition_count; i++) {
            struct sluice_assigned_partition *to = &client->assigned[client->assigned_count++];
            memcpy(to->topic.bytes, answer.assigned->entries[i].topic.b, 16);
            to->partition = (int32_t)answer.assigned->entries[i].partition;
        }
    }
    flush(f);
    return answer.answer.status;
}

static void take(struct client *client)
{
    memcpy(client->owned, client->assigned, sizeof client->owned);
    client->owned_count = client->assigned_count;
}

static void forget(struct client *client)
{
    client->epoch = 0;
    client->owned_count = client->assigned_count = 0;
}

/* ---- what must hold ---- */

static uint32_t owners_of(const struct fixture *f, const struct group_topic *topic, int32_t number)
{
    uint32_t owners = 0;
    for (uint32_t m = 0; m < MEMBERS_MAX; m++) {
        const struct client *client = &f->clients[m];
        bool owns = false;
        for (uint32_t i = 0; i < client->owned_count; i++)
            owns = owns || (client->owned[i].partition == number &&
                            memcmp(client->owned[i].topic.bytes, topic->id.b, 16) == 0);
        for (uint32_t i = 0; i < client->assigned_count; i++)
            owns = owns || (client->assigned[i].partition == number &&
                            memcmp(client->assigned[i].topic.bytes, topic->id.b, 16) == 0);
        owners += owns;
    }
    return owners;
}

/* is_settled: each partition that somebody reads has an owner. */
static void check_owners(const struct fixture *f, bool is_settled)
{
    for (uint32_t t = 0; t < TOPICS_MAX; t++) {
        struct group_topic topic;
        bool is_read = false;
        topic_fill(&f->topics, t, &topic);
        for (uint32_t m = 0; m < MEMBERS_MAX; m++)
            is_read = is_read || (f->clients[m].epoch > 0 && t <= m % 3);
        for (uint32_t p = 0; p < topic.partition_count; p++) {
            uint32_t owners = owners_of(f, &topic, (int32_t)p);
            cr_assert_leq(owners, 1u, "topic %u, partition %u has %u owners", t, p, owners);
            if (is_settled && is_read)
                cr_assert_eq(owners, 1u, "topic %u, partition %u has no owner", t, p);
        }
    }
}

struct copy {
    struct sl_buffer bytes;
};

static sl_err copy_add(void *arg, uint16_t kind, uint8_t item_version, struct sl_bytes payload)
{
    struct copy *copy = arg;
    uint8_t head[3] = {(uint8_t)kind, (uint8_t)(kind >> 8), item_version};
    sl_err err = sl_buffer_append(&copy->bytes, head, sizeof head);
    return err != SLUICE_OK ? err : sl_buffer_append(&copy->bytes, payload.data, payload.size);
}

static void snapshot(struct consumer_groups *groups, struct copy *copy)
{
    struct consumer_groups_walk at = {0};
    bool done = false;
    sl_buffer_init(&copy->bytes, 1u << 20);
    while (!done)
        cr_assert_eq(consumer_groups_snapshot(groups, &at, 1, copy_add, copy, &done), SLUICE_OK);
}

struct tally {
    uint64_t sum; /* of members, in no order */
    uint32_t count;
};

static void tally_member(void *arg, const struct sluice_consumer_member_info *info,
                         const struct partition_set *assigned, const struct partition_set *target)
{
    struct tally *tally = arg;
    tally->count++;
    tally->sum += (uint64_t)info->id.data[1] * 31 + (uint64_t)(uint32_t)info->epoch * 1009 +
                  info->topic_count * 17;
    for (uint32_t i = 0; i < assigned->count; i++)
        tally->sum += (uint64_t)info->id.data[1] * 7919 * (assigned->entries[i].partition + 1) +
                      assigned->entries[i].topic.b[0] * 65537u +
                      (uint64_t)(uint32_t)assigned->entries[i].epoch * 104729;
    for (uint32_t i = 0; i < target->count; i++)
        tally->sum += (uint64_t)info->id.data[1] * 15485863 * (target->entries[i].partition + 1) +
                      target->entries[i].topic.b[0] * 32452843u;
}

/* The log applied to nothing comes to the same. */
static void restart(struct fixture *f)
{
    struct tally before = {0}, after = {0};
    struct consumer_group_view old = {0}, new = {0};
    struct copy copy;
    consumer_group_members(f->groups, sluice_text_of("g"), tally_member, &before);
    bool was = consumer_group_view_get(f->groups, sluice_text_of("g"), &old);
    int32_t epoch = old.epoch, assigned = old.assignment_epoch;
    snapshot(f->groups, &copy);
    f->groups = consumer_groups_free(f->groups);
    f->groups = groups_make(f);
    for (uint32_t i = 0; i < f->item_count; i++)
        cr_assert_eq(consumer_groups_apply(f->groups, f->items[i].kind, CONSUMER_GROUP_ITEM_VERSION,
                                           sl_bytes_of(f->items[i].payload, f->items[i].size)),
                     SLUICE_OK);
    consumer_groups_start(f->groups, f->now_ms);
    consumer_group_members(f->groups, sluice_text_of("g"), tally_member, &after);
    cr_assert_eq(was, consumer_group_view_get(f->groups, sluice_text_of("g"), &new));
    cr_assert_eq(before.count, after.count);
    cr_assert_eq(before.sum, after.sum);
    cr_assert(!was || (epoch == new.epoch &&assigned == new.assignment_epoch));
    sl_buffer_fini(&copy.bytes);
}

static void settle(struct fixture *f)
{
    for (int round = 0; round < 12; round++) {
        for (uint32_t m = 0; m < MEMBERS_MAX; m++) {
            struct client *client = &f->clients[m];
            if (client->epoch > 0) {
                take(client);
                cr_assert_eq(beat(f, m, client->epoch, true, NULL), SLUICE_OK);
            }
        }
    }
    check_owners(f, true);
}

static void change_topics(struct topics *topics)
{
    uint32_t index = (uint32_t)random() % 3;
    topics->counts[index] = topics->counts[index] == 0 ? 2 : topics->counts[index] + 1;
    if (topics->counts[index] > 6)
        topics->counts[index] = 0;
    topics->version++;
}

static void step(struct fixture *f)
{
    uint32_t m = (uint32_t)random() % MEMBERS_MAX;
    struct client *client = &f->clients[m];
    switch (random() % 9) {
    case 0:
        if (client->epoch == 0)
            cr_assert_eq(beat(f, m, 0, true, NULL), SLUICE_OK);
        break;
    case 1:
        if (client->epoch > 0 && random() % 3 == 0) {
            int32_t status = beat(f, m, SLUICE_MEMBER_LEAVES, false, NULL);
            cr_assert_eq(status, SLUICE_OK);
            forget(client);
        }
        break;
    case 2:
        if (random() % 4 == 0)
            change_topics(&f->topics);
        break;
    case 3:
        if (random() % 4 == 0)
            restart(f);
        break;
    default:
        if (client->epoch == 0)
            break;
        if (random() % 3 != 0)
            take(client);
        cr_assert_eq(beat(f, m, client->epoch, random() % 4 != 0, NULL), SLUICE_OK);
        break;
    }
    f->now_ms += 1;
    check_owners(f, false);
}

Test(consumer_groups, give_no_partition_to_two_in_any_history)
{
    static struct fixture f;
    srandom(848);
    for (int round = 0; round < 150; round++) {
        begin(&f);
        for (int i = 0; i < 120; i++)
            step(&f);
        settle(&f);
        restart(&f);
        settle(&f);
        end(&f);
    }
}

Test(consumer_groups, end_the_sessions_of_the_silent)
{
    static struct fixture f;
    begin(&f);
    cr_assert_eq(beat(&f, 0, 0, true, NULL), SLUICE_OK);
    f.now_ms = 500;
    cr_assert_eq(beat(&f, 1, 0, true, NULL), SLUICE_OK);
    cr_assert_leq(consumer_groups_next_deadline_ms(f.groups), 1000);
    consumer_groups_tick(f.groups, 999);
    cr_assert(consumer_group_idle_ms(f.groups, sluice_text_of("g"), 999) < 0);
    consumer_groups_tick(f.groups, 1000);
    flush(&f);
    f.now_ms = 1000;
    cr_assert_eq(beat(&f, 0, f.clients[0].epoch, true, NULL), SLUICE_E_UNKNOWN_MEMBER);
    forget(&f.clients[0]);
    settle(&f);
    struct group_coordinator_status status;
    consumer_groups_status_get(f.groups, &status);
    cr_assert_eq(status.group_count, 1);
    cr_assert_eq(status.member_count, 1);
    cr_assert_eq(status.expired_count, 1);
    cr_assert_eq(status.rebalance_count, 3);
    consumer_groups_tick(f.groups, 5000);
    cr_assert_eq(consumer_group_idle_ms(f.groups, sluice_text_of("g"), 5000), 0);
    cr_assert_eq(consumer_groups_next_deadline_ms(f.groups), INT64_MAX);
    cr_assert_eq(consumer_group_delete(f.groups, sluice_text_of("g")), SLUICE_OK);
    cr_assert_not(consumer_group_exists(f.groups, sluice_text_of("g")));
    end(&f);
}

Test(consumer_groups, put_out_who_keeps_what_it_shall_give_back)
{
    static struct fixture f;
    begin(&f);
    cr_assert_eq(beat(&f, 0, 0, true, NULL), SLUICE_OK);
    take(&f.clients[0]);
    cr_assert_eq(beat(&f, 3, 0, true, NULL), SLUICE_OK);
    for (f.now_ms = 0; f.now_ms < 5000; f.now_ms += 100) {
        consumer_groups_tick(f.groups, f.now_ms);
        cr_assert_eq(beat(&f, 0, f.clients[0].epoch, true, NULL), SLUICE_OK);
        cr_assert_eq(beat(&f, 3, f.clients[3].epoch, true, NULL), SLUICE_OK);
        cr_assert_eq(f.clients[3].assigned_count, 0);
    }
    consumer_groups_tick(f.groups, 5000);
    f.now_ms = 5000;
    cr_assert_eq(beat(&f, 0, f.clients[0].epoch, true, NULL), SLUICE_E_UNKNOWN_MEMBER);
    forget(&f.clients[0]);
    settle(&f);
    cr_assert_eq(f.clients[3].assigned_count, 4);
    end(&f);
}

Test(consumer_groups, read_no_item_that_cannot_be)
{
    static struct fixture f;
    begin(&f);
    cr_assert_eq(beat(&f, 0, 0, true, "t[0-9]"), SLUICE_OK);
    cr_assert_eq(beat(&f, 1, 0, true, NULL), SLUICE_OK);
    for (uint32_t i = 0; i < f.item_count; i++) {
        struct consumer_groups *groups = groups_make(&f);
        uint8_t cut[4096];
        for (size_t size = 0; size < f.items[i].size; size++) {
            memcpy(cut, f.items[i].payload, size);
            sl_err err = consumer_groups_apply(groups, f.items[i].kind, 1, sl_bytes_of(cut, size));
            cr_assert(err == SLUICE_E_CORRUPT || f.items[i].kind != WAL_ITEM_GROUP);
        }
        cr_assert_eq(consumer_groups_apply(groups, f.items[i].kind, 2,
                                           sl_bytes_of(f.items[i].payload, f.items[i].size)),
                     SLUICE_E_NEWER_FORMAT);
        consumer_groups_free(groups);
    }
    end(&f);
}

Test(consumer_groups, members_are_told_an_interval_shorter_than_their_session)
{
    cr_expect_eq(epoch_heartbeat_ms(5000, 45000), 5000);
    cr_expect_eq(epoch_heartbeat_ms(44999, 45000), 44999);
    cr_expect_eq(epoch_heartbeat_ms(45000, 45000), 15000);
    cr_expect_eq(epoch_heartbeat_ms(15000, 6000), 2000);
    cr_expect_eq(epoch_heartbeat_ms(5, 2), 1);
}
