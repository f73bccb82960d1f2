/* share_members.c: see share_members.h. */
#include "deliver/share_members.h"

#include "base/bytes.h"
#include "base/hash.h"

#include <string.h>

#define HAS_BEGUN 1u /* of a SHARE_GROUP item */

/* ---- texts ---- */

static sl_err text_set(struct sl_bytes *text, struct sluice_text value)
{
    if (value.size == text->size && text->data != NULL &&
        memcmp(text->data, value.data, text->size) == 0) {
        return SLUICE_OK;
    }
    uint8_t *copy = sl_alloc((size_t)value.size + 1);
    if (copy == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    sl_bytes_copy(copy, (struct sl_bytes){(const uint8_t *)value.data, (size_t)value.size});
    sl_free((void *)(uintptr_t)text->data);
    *text = (struct sl_bytes){copy, (size_t)value.size};
    return SLUICE_OK;
}

static void text_free(struct sl_bytes *text)
{
    sl_free((void *)(uintptr_t)text->data);
    *text = (struct sl_bytes){NULL, 0};
}

/* ---- groups ---- */

static struct share_member_group *group_of(const struct chain_link *link)
{
    return SL_CONTAINER_OF(link, struct share_member_group, by_name);
}

static bool group_matches(const struct chain_link *link, const void *key)
{
    return sl_bytes_equal(group_of(link)->name, *(const struct sl_bytes *)key);
}

static uint64_t group_hash(struct sl_bytes name)
{
    return sl_hash64(name.data, name.size);
}

sl_err share_members_init(struct share_members *members, const struct share_catalog *catalog)
{
    *members = (struct share_members){.due_ms = INT64_MAX, .catalog = *catalog};
    return chain_map_init(&members->groups);
}

struct share_member_group *share_members_group(const struct share_members *members,
                                               struct sl_bytes name)
{
    struct chain_link *link =
        chain_map_get(&members->groups, group_hash(name), group_matches, &name);
    return link == NULL ? NULL : group_of(link);
}

static sl_err group_ensure(struct share_members *members, struct sl_bytes name,
                           struct share_member_group **ret_group)
{
    struct share_member_group *group = share_members_group(members, name);
    if (group == NULL && members->groups.count >= SHARE_GROUPS_MAX) {
        return SLUICE_E_LIMIT;
    }
    if (group == NULL) {
        group = sl_alloc_zero(1, sizeof(*group) + name.size);
        if (group == NULL) {
            return SLUICE_E_NO_MEMORY;
        }
        sl_list_init(&group->members);
        group->name = (struct sl_bytes){(uint8_t *)(group + 1), name.size};
        sl_bytes_copy(group + 1, name);
        chain_map_put(&members->groups, &group->by_name, group_hash(name));
    }
    *ret_group = group;
    return SLUICE_OK;
}

static struct share_member *member_of(struct sl_link *link)
{
    return SL_CONTAINER_OF(link, struct share_member, link);
}

static void member_remove(struct share_member_group *group, struct share_member *member)
{
    share_topics_drop(&group->topics);
    sl_list_remove(&member->link);
    group->member_count--;
    text_free(&member->id);
    text_free(&member->rack);
    text_free(&member->client_id);
    text_free(&member->client_host);
    sl_free(member->topics);
    sl_free(member->places);
    sl_free(member);
}

static void group_drop_empty(struct share_members *members, struct share_member_group *group)
{
    if (group->member_count == 0 && !group->is_durable) {
        chain_map_remove(&members->groups, &group->by_name);
        share_topics_drop(&group->topics);
        sl_free(group);
    }
}

static void free_group(void *arg, struct chain_link *link)
{
    struct share_member_group *group = group_of(link);
    (void)arg;
    while (!sl_list_is_empty(&group->members)) {
        member_remove(group, member_of(group->members.head.next));
    }
    share_topics_drop(&group->topics);
    sl_free(group);
}

void share_members_fini(struct share_members *members)
{
    if (members->groups.buckets != NULL) {
        chain_map_each(&members->groups, free_group, NULL);
    }
    chain_map_fini(&members->groups);
}

static int compare(struct sl_bytes a, struct sl_bytes b)
{
    size_t size = SL_MIN(a.size, b.size);
    int order = size == 0 ? 0 : memcmp(a.data, b.data, size);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

/* By the order of ids; NULL: there is none. *ret_place: before which it would be. */
static struct share_member *member_find(struct share_member_group *group, struct sl_bytes id,
                                        struct sl_link **ret_place)
{
    struct sl_link *link = group->members.head.next;
    while (link != &group->members.head && compare(member_of(link)->id, id) < 0) {
        link = link->next;
    }
    *ret_place = link;
    bool found = link != &group->members.head && sl_bytes_equal(member_of(link)->id, id);
    return found ? member_of(link) : NULL;
}

static sl_err member_add(struct share_member_group *group, struct sluice_text id,
                         struct sl_link *place, struct share_member **ret_member)
{
    if (group->member_count >= SHARE_MEMBERS_MAX) {
        return SLUICE_E_GROUP_MAX_SIZE;
    }
    struct share_member *member = sl_alloc_zero(1, sizeof(*member));
    if (member == NULL || text_set(&member->id, id) != SLUICE_OK) {
        sl_free(member);
        return SLUICE_E_NO_MEMORY;
    }
    sl_link_init(&member->link);
    sl_list_insert_before(place, &member->link);
    group->member_count++;
    *ret_member = member;
    return SLUICE_OK;
}

/* ---- subscriptions ---- */

static bool same_topics(const struct share_member *member, const struct sluice_text *topics,
                        uint32_t count)
{
    bool same = member->topic_count == count && member->topics != NULL;
    for (uint32_t i = 0; same && i < count; i++) {
        same = sl_bytes_equal(member->topics[i], (struct sl_bytes){(const uint8_t *)topics[i].data,
                                                                   (size_t)topics[i].size});
    }
    return same;
}

static sl_err topics_set(struct share_member *member, const struct sluice_text *topics,
                         uint32_t count)
{
    size_t size = (count + 1u) * sizeof(*member->topics);
    for (uint32_t i = 0; i < count; i++) {
        size += (size_t)topics[i].size;
    }
    struct sl_bytes *copies = sl_alloc(size);
    if (copies == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    uint8_t *at = (uint8_t *)(copies + count + 1);
    for (uint32_t i = 0; i < count; i++) {
        copies[i] = (struct sl_bytes){at, (size_t)topics[i].size};
        sl_bytes_copy(at, (struct sl_bytes){(const uint8_t *)topics[i].data, copies[i].size});
        at += copies[i].size;
    }
    sl_free(member->topics);
    member->topics = copies;
    member->topic_count = count;
    return SLUICE_OK;
}

/* ---- who reads what ---- */

static sl_err place_add(struct share_member *member, const struct sl_uuid *topic,
                        uint32_t partition)
{
    if (member->place_count == member->place_capacity) {
        uint32_t capacity = member->place_capacity == 0 ? 8 : member->place_capacity * 2;
        void *grown = sl_realloc(member->places, capacity * sizeof(*member->places));
        if (grown == NULL) {
            return SLUICE_E_NO_MEMORY;
        }
        member->places = grown;
        member->place_capacity = capacity;
    }
    member->places[member->place_count++] =
        (struct share_place){.topic = *topic, .partition = (int32_t)partition};
    return SLUICE_OK;
}

/* In turn to its readers, whose turn it is coming first; *shift goes on behind them. */
static sl_err assign_topic(const struct share_topic *of, const struct share_catalog *catalog,
                           uint32_t *shift)
{
    struct sl_uuid id;
    uint32_t partition_count = 0;
    sl_err err = SLUICE_OK;
    if (!catalog->topic(catalog->arg, of->name, &id, &partition_count)) {
        return SLUICE_OK;
    }
    uint32_t count = SL_MAX(partition_count, of->reader_count);
    for (uint32_t i = 0; i < count && err == SLUICE_OK; i++) {
        uint32_t reader = (*shift % of->reader_count + i) % of->reader_count;
        err = place_add(of->readers[reader], &id, i % partition_count);
    }
    *shift += count;
    return err;
}

/* What is known of all topics that are read. */
static uint64_t hash_topics(const struct share_topics *read, const struct share_catalog *catalog)
{
    uint64_t hash = 0;
    for (uint32_t i = 0; i < read->count; i++) {
        struct sl_bytes name = read->topics[i].name;
        struct sl_uuid id;
        uint32_t partition_count = 0;
        uint64_t known = sl_hash64(name.data, name.size);
        if (catalog->topic(catalog->arg, name, &id, &partition_count)) {
            known ^= sl_hash64(id.b, sizeof(id.b)) + partition_count;
        }
        hash += sl_hash64_mix(known);
    }
    return hash;
}

/* Everybody anew, with the next epoch; who reads all has what it has. */
static sl_err assign(struct share_member_group *group, const struct share_catalog *catalog)
{
    uint32_t shift = 0;
    group->epoch++;
    for (struct sl_link *link = group->members.head.next; link != &group->members.head;
         link = link->next) {
        struct share_member *member = member_of(link);
        member->place_count = member->reads_all ? member->place_count : 0;
        member->is_told = false;
    }
    sl_err err = share_topics_make(&group->topics, &group->members);
    for (uint32_t i = 0; i < group->topics.count && err == SLUICE_OK; i++) {
        err = assign_topic(&group->topics.topics[i], catalog, &shift);
    }
    return err;
}

/* One that reads all: the others are not concerned. */
static sl_err assign_own(struct share_member_group *group, struct share_member *member,
                         const struct share_catalog *catalog)
{
    sl_err err = SLUICE_OK;
    group->epoch++;
    member->place_count = 0;
    for (uint32_t i = 0; i < member->topic_count && err == SLUICE_OK; i++) {
        struct sl_uuid id;
        uint32_t count = 0;
        uint32_t first = member->partition < 0 ? 0 : (uint32_t)member->partition;
        if (!catalog->topic(catalog->arg, member->topics[i], &id, &count)) {
            continue;
        }
        count = member->partition < 0 ? count : SL_MIN(count, first + 1);
        for (uint32_t k = first; k < count && err == SLUICE_OK; k++) {
            err = member->place_count < SHARE_MEMBER_PLACES_MAX ? place_add(member, &id, k)
                                                                : SLUICE_E_LIMIT;
        }
    }
    return err;
}

/* ---- heartbeats ---- */

/* Whether it may come where the others are. */
static sl_err check_alone(struct share_member_group *group, const struct share_member *member,
                          uint32_t flags)
{
    for (struct sl_link *link = group->members.head.next; link != &group->members.head;
         link = link->next) {
        const struct share_member *other = member_of(link);
        if (other != member && (other->is_alone || (flags & SLUICE_SHARE_ALONE) != 0)) {
            return SLUICE_E_GROUP_EXCLUSIVE;
        }
    }
    return SLUICE_OK;
}

static sl_err check(const struct sluice_share_heartbeat *request)
{
    if (request->group.size > SHARE_GROUP_BYTES_MAX) {
        return SLUICE_E_INVALID_GROUP_ID;
    }
    bool joins_nothing = request->epoch == 0 &&
                         (request->topics == NULL || request->topic_count == 0) &&
                         (request->flags & SLUICE_SHARE_READS_ALL) == 0;
    joins_nothing = joins_nothing || (request->rack.data != NULL && request->rack.size == 0);
    bool is_large = request->member.size > SHARE_MEMBER_TEXT_MAX ||
                    request->rack.size > SHARE_MEMBER_TEXT_MAX ||
                    request->topic_count > SHARE_MEMBER_TOPICS_MAX;
    if (request->group.size == 0 || request->member.size == 0 || request->epoch < -1 ||
        joins_nothing || is_large) {
        return SLUICE_E_INVALID_REQUEST;
    }
    return SLUICE_OK;
}

static sl_err leave(struct share_members *members, struct share_member_group *group,
                    struct share_member *member)
{
    if (member == NULL) {
        return SLUICE_E_UNKNOWN_MEMBER;
    }
    bool was_assigned = !member->reads_all;
    member_remove(group, member);
    group->epoch += !was_assigned;
    sl_err err = was_assigned ? assign(group, &members->catalog) : SLUICE_OK;
    group_drop_empty(members, group);
    return err;
}

static sl_err check_epoch(const struct share_member *member, int32_t epoch)
{
    if (member == NULL) {
        return SLUICE_E_UNKNOWN_MEMBER;
    }
    return epoch == member->epoch || epoch == member->former_epoch ? SLUICE_OK
                                                                   : SLUICE_E_FENCED_MEMBER_EPOCH;
}

static sl_err describe(struct share_member_group *group, struct share_member *member,
                       const struct sluice_share_heartbeat *request,
                       const struct group_caller *client, bool *ret_changed)
{
    sl_err err = text_set(&member->client_id, client->id);
    if (request->epoch == 0) {
        share_topics_drop(&group->topics);
        member->reads_all = (request->flags & SLUICE_SHARE_READS_ALL) != 0;
        member->is_alone = (request->flags & SLUICE_SHARE_ALONE) != 0;
        member->partition = member->reads_all ? request->partition : -1;
    }
    err = err != SLUICE_OK ? err : text_set(&member->client_host, client->host);
    if (err == SLUICE_OK && request->rack.data != NULL) {
        err = text_set(&member->rack, request->rack);
    }
    if (err == SLUICE_OK && request->topics != NULL &&
        !same_topics(member, request->topics, request->topic_count)) {
        *ret_changed = true;
        share_topics_drop(&group->topics);
        err = topics_set(member, request->topics, request->topic_count);
    }
    /* It says so when they have other partitions, too. */
    *ret_changed = *ret_changed || (member->reads_all && request->topics != NULL);
    return err;
}

static sl_err beat(struct share_member_group *group, struct share_member *member,
                   const struct sluice_share_heartbeat *request,
                   const struct share_catalog *catalog, bool changed, bool *ret_tells)
{
    sl_err err = member->reads_all ? SLUICE_OK : share_topics_make(&group->topics, &group->members);
    if (member->reads_all) {
        err = changed ? assign_own(group, member, catalog) : SLUICE_OK;
    } else if (err == SLUICE_OK) {
        uint64_t hash = hash_topics(&group->topics, catalog);
        changed = changed || hash != group->topics_hash;
        group->topics_hash = hash;
        err = changed ? assign(group, catalog) : SLUICE_OK;
    }
    *ret_tells = request->epoch == 0 || !member->is_told || request->epoch != group->epoch;
    member->is_told = true;
    if (member->epoch != group->epoch) {
        member->former_epoch = member->epoch;
        member->epoch = group->epoch;
    }
    return err;
}

sl_err share_members_heartbeat(struct share_members *members,
                               const struct sluice_share_heartbeat *request,
                               const struct group_caller *client,
                               const struct share_settings *settings, int64_t now_ms,
                               struct share_told *ret_told)
{
    struct share_member_group *group = NULL;
    struct sl_link *place = NULL;
    const struct sl_bytes name = {(const uint8_t *)request->group.data,
                                  (size_t)request->group.size};
    const struct sl_bytes id = {(const uint8_t *)request->member.data,
                                (size_t)request->member.size};
    sl_err err = check(request);
    if (err == SLUICE_OK && request->epoch != 0 && share_members_group(members, name) == NULL) {
        err = SLUICE_E_GROUP_NOT_FOUND;
    }
    err = err != SLUICE_OK ? err : group_ensure(members, name, &group);
    if (err != SLUICE_OK) {
        return err;
    }
    struct share_member *member = member_find(group, id, &place);
    *ret_told = (struct share_told){NULL, false};
    if (request->epoch == -1) {
        err = leave(members, group, member);
        if (err == SLUICE_E_UNKNOWN_MEMBER) {
            group_drop_empty(members, group);
        }
        return err;
    }
    bool changed = member == NULL;
    err = request->epoch > 0 ? check_epoch(member, request->epoch)
                             : check_alone(group, member, request->flags);
    if (err == SLUICE_OK && member == NULL) {
        err = member_add(group, request->member, place, &member);
    }
    err = err != SLUICE_OK ? err : describe(group, member, request, client, &changed);
    if (err != SLUICE_OK) {
        group_drop_empty(members, group);
        return err;
    }
    member->deadline_ms = now_ms + share_setting(settings, SHARE_CONFIG_session_ms);
    members->due_ms = SL_MIN(members->due_ms, member->deadline_ms);
    ret_told->member = member;
    return beat(group, member, request, &members->catalog, changed, &ret_told->is_due);
}

/* ---- time ---- */

int64_t share_members_due_ms(const struct share_members *members)
{
    return members->due_ms;
}

struct ticking {
    struct share_members *members;
    int64_t now_ms;
    int64_t due_ms;
};

/* The others are told what they read from now on when they are heard of: the hash, which is none
 * of any topics, says that there is something to assign. */
static void tick_group(void *arg, struct chain_link *link)
{
    struct ticking *ticking = arg;
    struct share_member_group *group = group_of(link);
    for (struct sl_link *at = group->members.head.next, *next; at != &group->members.head;
         at = next) {
        struct share_member *member = member_of(at);
        next = at->next;
        if (member->deadline_ms <= ticking->now_ms) {
            member_remove(group, member);
            group->topics_hash = ~group->topics_hash;
        } else {
            ticking->due_ms = SL_MIN(ticking->due_ms, member->deadline_ms);
        }
    }
    group_drop_empty(ticking->members, group);
}

void share_members_tick(struct share_members *members, int64_t now_ms)
{
    struct ticking ticking = {members, now_ms, INT64_MAX};
    if (now_ms >= members->due_ms) {
        chain_map_each(&members->groups, tick_group, &ticking);
        members->due_ms = ticking.due_ms;
    }
}

struct each_visit {
    void (*visit)(void *arg, struct share_member_group *group);
    void *arg;
};

static void visit_group(void *arg, struct chain_link *link)
{
    const struct each_visit *each = arg;
    each->visit(each->arg, group_of(link));
}

void share_members_each(const struct share_members *members,
                        void (*visit)(void *arg, struct share_member_group *group), void *arg)
{
    chain_map_each(&members->groups, visit_group, &(struct each_visit){visit, arg});
}

/* ---- on disk ---- */

size_t share_group_item_encode(struct sl_bytes group, int32_t epoch, bool has_begun,
                               uint8_t ret_payload[SHARE_GROUP_ITEM_SIZE + SHARE_GROUP_BYTES_MAX])
{
    SL_ASSERT(group.size <= SHARE_GROUP_BYTES_MAX);
    ret_payload[0] = epoch < 0 ? 2 : 1;
    ret_payload[1] = has_begun ? HAS_BEGUN : 0;
    sl_le16_store(ret_payload + 2, (uint16_t)group.size);
    sl_le32_store(ret_payload + 4, (uint32_t)SL_MAX(epoch, 0));
    sl_bytes_copy(ret_payload + SHARE_GROUP_ITEM_SIZE, group);
    return SHARE_GROUP_ITEM_SIZE + group.size;
}

sl_err share_members_apply(struct share_members *members, uint8_t version, struct sl_bytes payload)
{
    if (version != SHARE_ITEM_VERSION) {
        return SLUICE_E_NEWER_FORMAT;
    }
    bool fits = payload.size >= SHARE_GROUP_ITEM_SIZE &&
                payload.size == SHARE_GROUP_ITEM_SIZE + sl_le16_load(payload.data + 2) &&
                payload.size <= SHARE_GROUP_ITEM_SIZE + SHARE_GROUP_BYTES_MAX;
    if (!fits || payload.data[0] < 1 || payload.data[0] > 2) {
        return SLUICE_E_CORRUPT;
    }
    struct sl_bytes name = {payload.data + SHARE_GROUP_ITEM_SIZE,
                            payload.size - SHARE_GROUP_ITEM_SIZE};
    struct share_member_group *group = share_members_group(members, name);
    if (payload.data[0] == 2) {
        if (group != NULL) {
            group->is_durable = group->has_begun = false;
            group_drop_empty(members, group);
        }
        return SLUICE_OK;
    }
    sl_err err = group_ensure(members, name, &group);
    if (err == SLUICE_OK) {
        group->is_durable = true;
        group->has_begun = group->has_begun || (payload.data[1] & HAS_BEGUN) != 0;
        group->epoch = SL_MAX(group->epoch, (int32_t)(sl_le32_load(payload.data + 4) & INT32_MAX));
    }
    return err;
}

struct snapshot_visit {
    share_add_fn *add;
    void *add_arg;
    sl_err err;
};

static void snapshot_group(void *arg, struct chain_link *link)
{
    struct snapshot_visit *visit = arg;
    const struct share_member_group *group = group_of(link);
    uint8_t payload[SHARE_GROUP_ITEM_SIZE + SHARE_GROUP_BYTES_MAX];
    if (visit->err == SLUICE_OK && group->is_durable) {
        size_t size = share_group_item_encode(group->name, group->epoch, group->has_begun, payload);
        visit->err = visit->add(visit->add_arg, WAL_ITEM_SHARE_GROUP, SHARE_ITEM_VERSION,
                                (struct sl_bytes){payload, size});
    }
}

sl_err share_members_snapshot(const struct share_members *members, uint32_t *at, uint32_t count,
                              share_add_fn *add, void *add_arg)
{
    struct snapshot_visit visit = {.add = add, .add_arg = add_arg};
    *at = chain_map_visit(&members->groups, *at, count, snapshot_group, &visit);
    return visit.err;
}
