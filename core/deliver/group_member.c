/* group_member.c: members and pending members of a group. */
#include "base/hash.h"
#include "deliver/group_reply.h"

#include <stdio.h>

struct member_key {
    const struct group *group;
    struct sl_bytes id;
};

static struct group_member *member_of(const struct chain_link *link)
{
    return SL_CONTAINER_OF(link, struct group_member, by_id);
}

static bool member_key_matches(const struct chain_link *link, const void *key)
{
    const struct member_key *wanted = key;
    const struct group_member *member = member_of(link);
    return member->group == wanted->group && sl_bytes_equal(member->id, wanted->id);
}

static uint64_t member_hash(const struct group *group, struct sl_bytes id)
{
    return sl_hash64_mix((uint64_t)(uintptr_t)group ^ sl_hash64(id.data, id.size));
}

struct group_member *group_member_get(const struct group_coordinator *coordinator,
                                      const struct group *group, struct sl_bytes id)
{
    struct member_key key = {group, id};
    struct chain_link *link =
        chain_map_get(&coordinator->members, member_hash(group, id), member_key_matches, &key);
    return link == NULL ? NULL : member_of(link);
}

struct group_member *group_member_of_instance(const struct group *group, struct sl_bytes instance)
{
    struct group_member *member = group->first;
    while (member != NULL &&
           (member->instance.data == NULL || !sl_bytes_equal(member->instance, instance)))
        member = member->next;
    return member;
}

sl_err group_member_validate(const struct group_coordinator *coordinator, const struct group *group,
                             struct sl_bytes id, struct sl_bytes instance,
                             struct group_member **ret_member)
{
    struct group_member *member = group_member_get(coordinator, group, id);
    bool its_own = member != NULL && member->instance.data != NULL &&
                   sl_bytes_equal(member->instance, instance);
    if (instance.data != NULL && !its_own) {
        bool taken = group_member_of_instance(group, instance) != NULL;
        return taken ? SLUICE_E_FENCED_INSTANCE_ID : SLUICE_E_UNKNOWN_MEMBER;
    }
    if (member == NULL)
        return SLUICE_E_UNKNOWN_MEMBER;
    *ret_member = member;
    return SLUICE_OK;
}

static void member_free(struct group_member *member)
{
    sl_free((void *)(uintptr_t)member->id.data);
    sl_free((void *)(uintptr_t)member->instance.data);
    sl_free((void *)(uintptr_t)member->client_id.data);
    sl_free((void *)(uintptr_t)member->client_host.data);
    sl_free((void *)(uintptr_t)member->assignment.data);
    sl_free(member->protocols);
    sl_free(member);
}

sl_err group_member_add(struct group_coordinator *coordinator, struct group *group,
                        struct sl_bytes id, struct sl_bytes instance,
                        struct group_member **ret_member)
{
    struct group_member *member = sl_alloc_zero(1, sizeof *member);
    if (member == NULL)
        return SLUICE_E_NO_MEMORY;
    if (group_bytes_set(&member->id, id) != SLUICE_OK ||
        (instance.data != NULL && group_bytes_set(&member->instance, instance) != SLUICE_OK)) {
        member_free(member);
        return SLUICE_E_NO_MEMORY;
    }
    member->group = group;
    member->is_new = true;
    member->deadline_ms = GROUP_NEVER;
    member->previous = group->last;
    *(group->last != NULL ? &group->last->next : &group->first) = member;
    group->last = member;
    group->member_count++;
    if (group->leader == NULL)
        group->leader = member;
    chain_map_put(&coordinator->members, &member->by_id, member_hash(group, id));
    *ret_member = member;
    return SLUICE_OK;
}

static void answers_fail(struct group_coordinator *coordinator, struct group_member *member,
                         sl_err err)
{
    group_reply_join_fail(coordinator, member->join, err, member->id);
    group_reply_sync_fail(coordinator, member->sync, err);
    member->join = NULL;
    member->sync = NULL;
    member->group->awaiting_join_count -= member->awaiting_join;
    member->awaiting_join = false;
    member->awaiting_sync = false;
}

void group_member_sync_received(struct group_member *member)
{
    member->group->owes_sync_count -= member->owes_sync;
    member->owes_sync = false;
    if (member->group->owes_sync_count == 0)
        member->group->sync_deadline_ms = GROUP_NEVER;
}

void group_member_assignment_clear(struct group_member *member)
{
    member->group->size -= member->assignment.size;
    sl_free((void *)(uintptr_t)member->assignment.data);
    member->assignment = (struct sl_bytes){0};
}

void group_member_remove(struct group_coordinator *coordinator, struct group_member *member)
{
    struct group *group = member->group;
    answers_fail(coordinator, member, SLUICE_E_UNKNOWN_MEMBER);
    group_member_sync_received(member);
    group_member_assignment_clear(member);
    group->size -= member->protocols_size;
    *(member->previous != NULL ? &member->previous->next : &group->first) = member->next;
    *(member->next != NULL ? &member->next->previous : &group->last) = member->previous;
    group->member_count--;
    if (group->leader == member)
        group->leader = group->first;
    chain_map_remove(&coordinator->members, &member->by_id);
    member_free(member);
}

sl_err group_member_rename(struct group_coordinator *coordinator, struct group_member *member,
                           struct sl_bytes id)
{
    char *copy = sl_strdup_bytes(id.data, id.size);
    if (copy == NULL)
        return SLUICE_E_NO_MEMORY;
    answers_fail(coordinator, member, SLUICE_E_FENCED_INSTANCE_ID);
    group_member_sync_received(member);
    chain_map_remove(&coordinator->members, &member->by_id);
    sl_free((void *)(uintptr_t)member->id.data);
    member->id = sl_bytes_of(copy, id.size);
    chain_map_put(&coordinator->members, &member->by_id, member_hash(member->group, id));
    return SLUICE_OK;
}

static size_t protocols_size_of(const struct sluice_group_protocol *protocols, uint32_t count)
{
    size_t size = 0;
    for (uint32_t i = 0; i < count; i++)
        size += (size_t)protocols[i].name.size + (size_t)protocols[i].metadata.size;
    return size;
}

static struct sl_bytes placed(uint8_t **at, const void *data, uint64_t size)
{
    struct sl_bytes copy = {*at, (size_t)size};
    sl_bytes_copy(*at, sl_bytes_of(data, (size_t)size));
    *at += size;
    return copy;
}

struct group_protocol *group_protocols_copy(const struct sluice_group_protocol *protocols,
                                            uint32_t count)
{
    size_t size = protocols_size_of(protocols, count);
    struct group_protocol *copy = sl_alloc(count * sizeof *copy + size + 1);
    if (copy == NULL) {
        return NULL;
    }
    uint8_t *at = (uint8_t *)(copy + count);
    for (uint32_t i = 0; i < count; i++) {
        copy[i].name = placed(&at, protocols[i].name.data, protocols[i].name.size);
        copy[i].metadata = placed(&at, protocols[i].metadata.data, protocols[i].metadata.size);
    }
    return copy;
}

sl_err group_member_protocols_set(const struct group_coordinator *coordinator,
                                  struct group_member *member,
                                  const struct sluice_group_protocol *protocols, uint32_t count)
{
    struct group *group = member->group;
    size_t size = protocols_size_of(protocols, count);
    size_t others = group->size - member->protocols_size;
    if (count > GROUP_PROTOCOLS_MAX || size > coordinator->config.member_bytes_max ||
        others + size > coordinator->config.group_bytes_max)
        return SLUICE_E_LIMIT;
    struct group_protocol *copy = group_protocols_copy(protocols, count);
    if (copy == NULL)
        return SLUICE_E_NO_MEMORY;
    sl_free(member->protocols);
    member->protocols = copy;
    member->protocol_count = count;
    member->protocols_size = size;
    group->size = others + size;
    return SLUICE_OK;
}

bool group_member_matches(const struct group_member *member,
                          const struct sluice_group_protocol *protocols, uint32_t count)
{
    if (member->protocol_count != count)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const struct sluice_group_protocol *p = &protocols[i];
        if (!sl_bytes_equal(member->protocols[i].name, sl_of_text(p->name)) ||
            !sl_bytes_equal(member->protocols[i].metadata,
                            sl_bytes_of(p->metadata.data, (size_t)p->metadata.size)))
            return false;
    }
    return true;
}

void group_member_touch(struct group_coordinator *coordinator, struct group_member *member,
                        int64_t now_ms)
{
    member->deadline_ms = now_ms + member->session_timeout_ms;
    group_due_by(coordinator, member->group, member->deadline_ms);
}

/* ---- ids ---- */

static uint64_t random_next(struct group_coordinator *coordinator)
{
    coordinator->random[0] += 0x9e3779b97f4a7c15u;
    return sl_hash64_mix(coordinator->random[0]) ^ sl_hash64_mix(coordinator->random[1]++);
}

/* At most `max` bytes, without cutting a UTF-8 character. */
static size_t prefix_size(struct sl_bytes prefix, size_t max)
{
    if (prefix.size <= max)
        return prefix.size;
    while (max > 0 && (prefix.data[max] & 0xc0) == 0x80)
        max--;
    return max;
}

size_t group_member_id_make(struct group_coordinator *coordinator, struct sl_bytes prefix,
                            char ret_id[GROUP_MEMBER_ID_BYTES_MAX])
{
    size_t size = prefix_size(prefix, GROUP_MEMBER_ID_BYTES_MAX - 40u);
    uint64_t high = random_next(coordinator);
    uint64_t low = random_next(coordinator);
    sl_bytes_copy(ret_id, sl_bytes_of(prefix.data, size));
    int text = snprintf(
        ret_id + size, GROUP_MEMBER_ID_BYTES_MAX - size, "-%08x-%04x-4%03x-%04x-%012llx",
        (unsigned)(high >> 32), (unsigned)(high >> 16) & 0xffffu, (unsigned)high & 0xfffu,
        ((unsigned)(low >> 48) & 0x3fffu) | 0x8000u, (unsigned long long)(low & 0xffffffffffffu));
    return size + (size_t)text;
}

/* ---- pending members ---- */

struct group_pending **group_pending_find(struct group *group, struct sl_bytes id)
{
    struct group_pending **at = &group->pending;
    while (*at != NULL && !sl_bytes_equal((*at)->id, id))
        at = &(*at)->next;
    return *at == NULL ? NULL : at;
}

sl_err group_pending_add(struct group_coordinator *coordinator, struct group *group,
                         struct sl_bytes id, int64_t deadline_ms)
{
    if (group->pending_count >= coordinator->config.limits.members_max)
        return SLUICE_E_GROUP_MAX_SIZE;
    struct group_pending *pending = sl_alloc(sizeof *pending + id.size);
    if (pending == NULL)
        return SLUICE_E_NO_MEMORY;
    uint8_t *bytes = (uint8_t *)(pending + 1);
    sl_bytes_copy(bytes, id);
    *pending = (struct group_pending){group->pending, deadline_ms, sl_bytes_of(bytes, id.size)};
    group->pending = pending;
    group->pending_count++;
    group_due_by(coordinator, group, deadline_ms);
    return SLUICE_OK;
}

void group_pending_remove(struct group *group, struct group_pending **at)
{
    struct group_pending *pending = *at;
    *at = pending->next;
    group->pending_count--;
    sl_free(pending);
}

struct sl_bytes group_member_metadata(const struct group_member *member, struct sl_bytes protocol)
{
    for (uint32_t i = 0; i < member->protocol_count; i++) {
        if (sl_bytes_equal(member->protocols[i].name, protocol))
            return member->protocols[i].metadata;
    }
    return sl_bytes_of("", 0);
}
