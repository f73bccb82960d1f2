/* group_reply.c: making, settling and delivering answers. */
#include "deliver/group_reply.h"

static const uint8_t nothing[1];

static struct sluice_group_joined joined_failure(sl_err err, struct sl_bytes member)
{
    return (struct sluice_group_joined){
        .status = err,
        .generation = -1,
        .leader = sluice_text_of(""),
        .member = member.data == NULL ? sluice_text_of("") : text_of_sl(member),
    };
}

static struct sluice_group_synced synced_failure(sl_err err)
{
    return (struct sluice_group_synced){.status = err, .assignment = {nothing, 0}};
}

struct group_reply *group_reply_of_join(struct group_coordinator *coordinator,
                                        sluice_group_joined_done *done, void *arg)
{
    struct group_reply *reply = sl_alloc_zero(1, sizeof *reply);
    if (reply == NULL) {
        struct sluice_group_joined joined =
            joined_failure(SLUICE_E_NO_MEMORY, (struct sl_bytes){0});
        done(arg, &joined);
        return NULL;
    }
    reply->arg = arg;
    reply->is_join = true;
    reply->joined_done = done;
    coordinator->waiting_count++;
    return reply;
}

struct group_reply *group_reply_of_sync(struct group_coordinator *coordinator,
                                        sluice_group_synced_done *done, void *arg)
{
    struct group_reply *reply = sl_alloc_zero(1, sizeof *reply);
    if (reply == NULL) {
        struct sluice_group_synced synced = synced_failure(SLUICE_E_NO_MEMORY);
        done(arg, &synced);
        return NULL;
    }
    reply->arg = arg;
    reply->synced_done = done;
    coordinator->waiting_count++;
    return reply;
}

static void queue(struct group_coordinator *coordinator, struct group_reply *reply)
{
    reply->next = NULL;
    if (coordinator->ready_last != NULL)
        coordinator->ready_last->next = reply;
    else
        coordinator->ready_first = reply;
    coordinator->ready_last = reply;
    coordinator->waiting_count--;
}

/* Copies into the blob behind `at`; keeps null null. */
static struct sl_bytes keep(uint8_t **at, struct sl_bytes bytes)
{
    if (bytes.data == NULL)
        return bytes;
    struct sl_bytes kept = {*at, bytes.size};
    sl_bytes_copy(*at, bytes);
    *at += bytes.size;
    return kept;
}

void group_reply_join_fail(struct group_coordinator *coordinator, struct group_reply *reply,
                           sl_err err, struct sl_bytes member)
{
    if (reply == NULL)
        return;
    SL_ASSERT(reply->is_join);
    if (member.size != 0) {
        uint8_t *at = reply->blob = sl_alloc(member.size);
        member = at == NULL ? (struct sl_bytes){0} : keep(&at, member);
    }
    reply->joined = joined_failure(err, member);
    queue(coordinator, reply);
}

void group_reply_sync_fail(struct group_coordinator *coordinator, struct group_reply *reply,
                           sl_err err)
{
    if (reply == NULL)
        return;
    SL_ASSERT(!reply->is_join);
    reply->synced = synced_failure(err);
    queue(coordinator, reply);
}

static size_t members_size(const struct group *group)
{
    size_t size = 0;
    for (const struct group_member *m = group->first; m != NULL; m = m->next)
        size += sizeof(struct sluice_group_member) + m->id.size + m->instance.size +
                group_member_metadata(m, group->protocol).size;
    return size;
}

static void members_fill(const struct group *group, struct sluice_group_member *members,
                         uint8_t **at)
{
    for (const struct group_member *m = group->first; m != NULL; m = m->next, members++) {
        struct sl_bytes metadata = keep(at, group_member_metadata(m, group->protocol));
        members->id = text_of_sl(keep(at, m->id));
        members->instance = text_of_sl(keep(at, m->instance));
        members->metadata = (struct sluice_bytes){metadata.data, metadata.size};
    }
}

void group_reply_joined(struct group_coordinator *coordinator, struct group_reply *reply,
                        const struct group_member *member, struct sl_bytes leader,
                        bool with_members, bool skip_assignment)
{
    const struct group *group = member->group;
    if (reply == NULL)
        return;
    SL_ASSERT(reply->is_join);
    /* One byte more: the blob of a generation without a name is not NULL. */
    size_t size = 1 + group->protocol_type.size + group->protocol.size + leader.size +
                  member->id.size + (with_members ? members_size(group) : 0);
    reply->blob = sl_alloc(size);
    if (reply->blob == NULL) {
        group_reply_join_fail(coordinator, reply, SLUICE_E_NO_MEMORY, (struct sl_bytes){0});
        return;
    }
    struct sluice_group_member *members = (struct sluice_group_member *)(void *)reply->blob;
    uint8_t *at = reply->blob + (with_members ? group->member_count * sizeof *members : 0);
    if (with_members)
        members_fill(group, members, &at);
    reply->joined = (struct sluice_group_joined){
        .status = SLUICE_OK,
        .generation = group->generation,
        .skip_assignment = skip_assignment,
        .member_count = with_members ? group->member_count : 0,
        .members = with_members ? members : NULL,
    };
    reply->joined.protocol_type = text_of_sl(keep(&at, group->protocol_type));
    reply->joined.protocol = text_of_sl(keep(&at, group->protocol));
    reply->joined.leader = text_of_sl(keep(&at, leader));
    reply->joined.member = text_of_sl(keep(&at, member->id));
    SL_ASSERT(at + 1 == reply->blob + size);
    queue(coordinator, reply);
}

void group_reply_synced(struct group_coordinator *coordinator, struct group_reply *reply,
                        const struct group_member *member)
{
    const struct group *group = member->group;
    if (reply == NULL)
        return;
    SL_ASSERT(!reply->is_join);
    size_t size = 1 + group->protocol_type.size + group->protocol.size + member->assignment.size;
    uint8_t *at = reply->blob = sl_alloc(size);
    if (at == NULL) {
        group_reply_sync_fail(coordinator, reply, SLUICE_E_NO_MEMORY);
        return;
    }
    reply->synced = synced_failure(SLUICE_OK);
    reply->synced.protocol_type = text_of_sl(keep(&at, group->protocol_type));
    reply->synced.protocol = text_of_sl(keep(&at, group->protocol));
    if (member->assignment.data != NULL) {
        struct sl_bytes assignment = keep(&at, member->assignment);
        reply->synced.assignment = (struct sluice_bytes){assignment.data, assignment.size};
    }
    queue(coordinator, reply);
}

void group_reply_deliver(struct group_coordinator *coordinator)
{
    if (coordinator->delivering)
        return;
    coordinator->delivering = true;
    struct group_reply *reply;
    while ((reply = coordinator->ready_first) != NULL) {
        coordinator->ready_first = reply->next;
        if (reply->next == NULL)
            coordinator->ready_last = NULL;
        if (reply->is_join)
            reply->joined_done(reply->arg, &reply->joined);
        else
            reply->synced_done(reply->arg, &reply->synced);
        sl_free(reply->blob);
        sl_free(reply);
    }
    coordinator->delivering = false;
}
