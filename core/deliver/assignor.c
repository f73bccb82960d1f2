/* assignor.c: see assignor.h.
 *
 * Partitions of all topics have one number each: those of the first topic, then those of the
 * second. `owner` says for each number which member it goes to. */
#include "deliver/assignor.h"

#include "base/bytes.h"

#include <stdlib.h>

#define NOBODY UINT32_MAX

struct work {
    const struct assignor_input *input;
    uint32_t *first; /* number of each topic's partition 0; one more: the count of all */
    uint32_t *owner; /* of each number */
    uint32_t *load;  /* of each member */
    uint32_t total;
};

static void work_fini(struct work *work)
{
    sl_free(work->first);
    sl_free(work->owner);
    sl_free(work->load);
}

static sl_err work_init(struct work *work, const struct assignor_input *input)
{
    *work = (struct work){.input = input};
    work->first = sl_alloc_zero(input->topic_count + 1u, sizeof *work->first);
    work->load = sl_alloc_zero(input->member_count + 1u, sizeof *work->load);
    if (work->first == NULL || work->load == NULL)
        return SLUICE_E_NO_MEMORY;
    for (uint32_t t = 0; t < input->topic_count; t++) {
        if (input->topics[t].partition_count > ASSIGNOR_PARTITIONS_MAX - work->total)
            return SLUICE_E_LIMIT;
        work->first[t] = work->total;
        work->total += input->topics[t].partition_count;
    }
    work->first[input->topic_count] = work->total;
    work->owner = sl_alloc_zero(work->total + 1u, sizeof *work->owner);
    if (work->owner == NULL)
        return SLUICE_E_NO_MEMORY;
    for (uint32_t p = 0; p < work->total; p++)
        work->owner[p] = NOBODY;
    return SLUICE_OK;
}

static int compare_topic(const void *key, const void *topic)
{
    const struct sl_uuid *id = key;
    return memcmp(id->b, ((const struct assignor_topic *)topic)->id.b, sizeof id->b);
}

static int compare_index(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static bool subscribes(const struct assignor_member *member, uint32_t topic)
{
    return member->topic_count != 0 && bsearch(&topic, member->topics, member->topic_count,
                                               sizeof topic, compare_index) != NULL;
}

/* The number of a partition that the member has and may keep. */
static bool number_of(const struct work *work, const struct assignor_member *member,
                      const struct partition_entry *entry, uint32_t *ret_number)
{
    const struct assignor_input *input = work->input;
    const struct assignor_topic *topic =
        input->topic_count == 0 ? NULL
                                : bsearch(&entry->topic, input->topics, input->topic_count,
                                          sizeof *topic, compare_topic);
    if (topic == NULL || entry->partition >= topic->partition_count)
        return false;
    uint32_t index = (uint32_t)(topic - input->topics);
    *ret_number = work->first[index] + entry->partition;
    return subscribes(member, index) && work->owner[*ret_number] == NOBODY;
}

static void give(struct work *work, uint32_t number, uint32_t member)
{
    if (work->owner[number] != NOBODY)
        work->load[work->owner[number]]--;
    work->owner[number] = member;
    work->load[member]++;
}

/* The numbers rise with topic and partition, and so the targets are sorted. */
static sl_err fill_targets(const struct work *work)
{
    const struct assignor_input *input = work->input;
    sl_err err = SLUICE_OK;
    for (uint32_t m = 0; m < input->member_count && err == SLUICE_OK; m++)
        err = partition_set_reserve(&input->members[m].target, work->load[m]);
    for (uint32_t t = 0; t < input->topic_count && err == SLUICE_OK; t++) {
        for (uint32_t p = 0; p < input->topics[t].partition_count && err == SLUICE_OK; p++) {
            uint32_t owner = work->owner[work->first[t] + p];
            if (owner != NOBODY)
                err = partition_set_add(&input->members[owner].target, &input->topics[t].id, p, 0);
        }
    }
    return err;
}

/* ---- uniform, all members subscribe to the same topics ---- */

static bool is_homogeneous(const struct assignor_input *input)
{
    const struct assignor_member *first = &input->members[0];
    for (uint32_t m = 1; m < input->member_count; m++) {
        const struct assignor_member *member = &input->members[m];
        if (member->topic_count != first->topic_count ||
            (first->topic_count != 0 && memcmp(member->topics, first->topics,
                                               first->topic_count * sizeof *first->topics) != 0))
            return false;
    }
    return true;
}

/* What a member has stays up to its share; an extra one while there are extras. */
static void keep_share(struct work *work, uint32_t m, uint32_t share, uint32_t *extra)
{
    const struct assignor_member *member = &work->input->members[m];
    for (uint32_t i = 0; member->current != NULL && i < member->current->count; i++) {
        uint32_t number = 0;
        bool has_room = work->load[m] < share || (work->load[m] == share && *extra > 0);
        if (!has_room || !number_of(work, member, &member->current->entries[i], &number))
            continue;
        *extra -= work->load[m] == share;
        give(work, number, m);
    }
}

static void assign_even(struct work *work)
{
    const struct assignor_input *input = work->input;
    uint32_t count = 0, at = 0;
    for (uint32_t i = 0; i < input->members[0].topic_count; i++)
        count += input->topics[input->members[0].topics[i]].partition_count;
    uint32_t share = count / input->member_count;
    uint32_t extra = count % input->member_count;
    for (uint32_t m = 0; m < input->member_count; m++)
        keep_share(work, m, share, &extra);
    for (uint32_t m = 0; m < input->member_count; m++) {
        uint32_t wanted = share;
        if (work->load[m] <= share && extra > 0) {
            wanted++;
            extra--;
        }
        for (; work->load[m] < wanted && at < work->total; at++) {
            if (work->owner[at] == NOBODY)
                give(work, at, m);
        }
    }
}

/* ---- uniform, different subscriptions ---- */

struct ranked_topic {
    uint32_t topic;
    uint32_t partition_count;
    uint32_t subscriber_count;
};

/* Topics whose subscribers have most to do come first; then those with few subscribers. */
static int compare_ranked(const void *a, const void *b)
{
    const struct ranked_topic *x = a, *y = b;
    uint64_t left = (uint64_t)x->partition_count * y->subscriber_count;
    uint64_t right = (uint64_t)y->partition_count * x->subscriber_count;
    if (left != right)
        return left > right ? -1 : 1;
    if (x->subscriber_count != y->subscriber_count)
        return x->subscriber_count < y->subscriber_count ? -1 : 1;
    return (x->topic > y->topic) - (x->topic < y->topic);
}

static uint32_t least_loaded(const struct work *work, uint32_t topic)
{
    uint32_t best = NOBODY;
    for (uint32_t m = 0; m < work->input->member_count; m++) {
        if ((best == NOBODY || work->load[m] < work->load[best]) &&
            subscribes(&work->input->members[m], topic))
            best = m;
    }
    return best;
}

/* Each move makes the sum of the squares of the loads smaller, so this ends. True: it moved one. */
static bool even_out(struct work *work, const struct ranked_topic *ranked)
{
    bool moved = false;
    uint32_t first = work->first[ranked->topic];
    for (uint32_t p = 0; ranked->subscriber_count > 1 && p < ranked->partition_count; p++) {
        uint32_t least = least_loaded(work, ranked->topic);
        uint32_t owner = work->owner[first + p];
        if (work->load[owner] > work->load[least] + 1) {
            give(work, first + p, least);
            moved = true;
        }
    }
    return moved;
}

static sl_err rank(const struct work *work, struct ranked_topic **ret_ranked)
{
    const struct assignor_input *input = work->input;
    struct ranked_topic *ranked = sl_alloc_zero(input->topic_count + 1u, sizeof *ranked);
    if (ranked == NULL)
        return SLUICE_E_NO_MEMORY;
    for (uint32_t t = 0; t < input->topic_count; t++)
        ranked[t] = (struct ranked_topic){t, input->topics[t].partition_count, 0};
    for (uint32_t m = 0; m < input->member_count; m++) {
        for (uint32_t i = 0; i < input->members[m].topic_count; i++)
            ranked[input->members[m].topics[i]].subscriber_count++;
    }
    qsort(ranked, input->topic_count, sizeof *ranked, compare_ranked);
    *ret_ranked = ranked;
    return SLUICE_OK;
}

static sl_err assign_uneven(struct work *work)
{
    const struct assignor_input *input = work->input;
    struct ranked_topic *ranked = NULL;
    sl_err err = rank(work, &ranked);
    if (err != SLUICE_OK)
        return err;
    for (uint32_t m = 0; m < input->member_count; m++) {
        uint32_t no_extra = 0;
        keep_share(work, m, UINT32_MAX, &no_extra);
    }
    for (uint32_t t = 0; t < input->topic_count; t++) {
        for (uint32_t p = 0; p < ranked[t].partition_count && ranked[t].subscriber_count > 0; p++) {
            uint32_t number = work->first[ranked[t].topic] + p;
            if (work->owner[number] == NOBODY)
                give(work, number, least_loaded(work, ranked[t].topic));
        }
    }
    for (bool moved = true; moved;) {
        moved = false;
        for (uint32_t t = 0; t < input->topic_count; t++)
            moved = even_out(work, &ranked[t]) || moved;
    }
    sl_free(ranked);
    return SLUICE_OK;
}

static sl_err assign_uniform(const struct assignor_input *input)
{
    struct work work;
    sl_err err = work_init(&work, input);
    bool is_even = input->member_count != 0 && is_homogeneous(input) &&
                   input->members[0].topic_count == input->topic_count;
    if (err == SLUICE_OK && input->member_count != 0) {
        if (is_even)
            assign_even(&work);
        else
            err = assign_uneven(&work);
    }
    err = err != SLUICE_OK ? err : fill_targets(&work);
    work_fini(&work);
    return err;
}

/* ---- range ---- */

struct range_member {
    uint32_t member;
    uint32_t had; /* of the topic */
    bool has_extra;
};

static uint32_t had_of(const struct work *work, uint32_t m, uint32_t topic)
{
    const struct assignor_member *member = &work->input->members[m];
    uint32_t count = 0;
    for (uint32_t i = 0; member->current != NULL && i < member->current->count; i++) {
        const struct partition_entry *entry = &member->current->entries[i];
        count +=
            entry->partition < work->input->topics[topic].partition_count &&
            memcmp(entry->topic.b, work->input->topics[topic].id.b, sizeof entry->topic.b) == 0;
    }
    return count;
}

/* The lowest `wanted` ones that the member had of the topic. */
static void range_keep(struct work *work, uint32_t m, uint32_t topic, uint32_t wanted)
{
    const struct assignor_member *member = &work->input->members[m];
    uint32_t first = work->first[topic];
    for (uint32_t i = 0; member->current != NULL && i < member->current->count && wanted > 0; i++) {
        uint32_t number = 0;
        if (number_of(work, member, &member->current->entries[i], &number) && number >= first &&
            number < work->first[topic + 1]) {
            give(work, number, m);
            wanted--;
        }
    }
}

static void range_topic(struct work *work, uint32_t topic, struct range_member *members,
                        uint32_t count)
{
    uint32_t partitions = work->input->topics[topic].partition_count;
    uint32_t share = partitions / count, extra = partitions % count;
    uint32_t at = work->first[topic];
    for (uint32_t i = 0; i < count; i++) {
        struct range_member *member = &members[i];
        member->had = had_of(work, member->member, topic);
        member->has_extra = member->had > share && extra > 0;
        extra -= member->has_extra;
        range_keep(work, member->member, topic, share + member->has_extra);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct range_member *member = &members[i];
        uint32_t kept = SL_MIN(member->had, share);
        uint32_t missing = share - kept;
        if (member->has_extra)
            continue;
        if (extra > 0) {
            missing++;
            extra--;
        }
        for (; missing > 0 && at < work->first[topic + 1]; at++) {
            if (work->owner[at] == NOBODY) {
                give(work, at, member->member);
                missing--;
            }
        }
    }
}

static sl_err assign_range(const struct assignor_input *input)
{
    struct work work;
    sl_err err = work_init(&work, input);
    struct range_member *members = sl_alloc_zero(input->member_count + 1u, sizeof *members);
    err = err == SLUICE_OK && members == NULL ? SLUICE_E_NO_MEMORY : err;
    for (uint32_t t = 0; t < input->topic_count && err == SLUICE_OK; t++) {
        uint32_t count = 0;
        for (uint32_t m = 0; m < input->member_count; m++) {
            if (subscribes(&input->members[m], t))
                members[count++] = (struct range_member){.member = m};
        }
        if (count > 0)
            range_topic(&work, t, members, count);
    }
    err = err != SLUICE_OK ? err : fill_targets(&work);
    sl_free(members);
    work_fini(&work);
    return err;
}

/* ---- by name ---- */

const struct assignor assignors[] = {
    {"uniform", assign_uniform},
    {"range", assign_range},
};
const uint32_t assignor_count = SL_COUNT_OF(assignors);

const struct assignor *assignor_get(struct sl_bytes name)
{
    for (uint32_t i = 0; i < assignor_count; i++) {
        if (sl_bytes_equal(name, sl_bytes_of_text(assignors[i].name)))
            return &assignors[i];
    }
    return NULL;
}
