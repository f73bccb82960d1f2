/* consumer_group_heartbeat.c: the one call of a member (KIP-848): it joins, changes, acknowledges,
 * leaves. Order of the checks and sentences as Kafka has them.
 *
 *   request ─► may it be? ─► group ─► member, epoch ─► what changed ─► epoch of the group ─► target
 *           ─► a step towards it ─► answer */
#include "base/hash.h"
#include "deliver/consumer_group.h"

#include <stdarg.h>
#include <stdio.h>

struct beat {
    struct consumer_groups *groups;
    const struct sluice_consumer_heartbeat *request;
    const struct group_caller *client;
    struct consumer_group_answer *answer;
    struct partition_set owned;
    struct consumer_group *group;
    struct consumer_member *member;
    struct sl_bytes id;
    bool is_new_group;
    bool is_new_member;
};

static sl_err say(struct beat *beat, sl_err err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static sl_err say(struct beat *beat, sl_err err, const char *format, ...)
{
    char *text = beat->answer->message;
    va_list list;
    va_start(list, format);
    vsnprintf(text, CONSUMER_GROUP_MESSAGE_BYTES, format, list);
    va_end(list);
    beat->answer->answer.message = (struct sluice_text){text, strlen(text)};
    return err;
}

#define TEXT(bytes) (int)SL_MIN((bytes).size, (size_t)200), (const char *)(bytes).data

/* ---- whether the request can be ---- */

static sl_err check_join(struct beat *beat)
{
    const struct sluice_consumer_heartbeat *request = beat->request;
    if (request->rebalance_timeout_ms == -1)
        return say(beat, SLUICE_E_INVALID_REQUEST,
                   "RebalanceTimeoutMs must be provided in first request.");
    if (!request->has_owned || request->owned_count != 0)
        return say(beat, SLUICE_E_INVALID_REQUEST,
                   "TopicPartitions must be empty when (re-)joining.");
    if (!request->has_topics && request->regex.data == NULL)
        return say(beat, SLUICE_E_INVALID_REQUEST,
                   "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when "
                   "(re-)joining.");
    return SLUICE_OK;
}

static sl_err check_sizes(struct beat *beat)
{
    const struct sluice_consumer_heartbeat *request = beat->request;
    const struct sluice_text texts[] = {request->member, request->instance, request->rack,
                                        beat->client->id, beat->client->host};
    for (uint32_t i = 0; i < SL_COUNT_OF(texts); i++) {
        if (texts[i].size > CONSUMER_GROUP_INSTANCE_MAX)
            return say(beat, SLUICE_E_INVALID_REQUEST, "An id is longer than %u bytes.",
                       CONSUMER_GROUP_INSTANCE_MAX);
    }
    if (request->topic_count > CONSUMER_GROUP_TOPICS_MAX ||
        request->owned_count > CONSUMER_GROUP_OWNED_MAX)
        return say(beat, SLUICE_E_INVALID_REQUEST,
                   "More topics or partitions than a member may have.");
    for (uint32_t i = 0; i < request->topic_count; i++) {
        if (request->topics[i].size > 249)
            return say(beat, SLUICE_E_INVALID_REQUEST, "A topic's name is longer than 249 bytes.");
    }
    return request->group.size > GROUP_ID_BYTES_MAX
               ? say(beat, SLUICE_E_INVALID_GROUP_ID, "The group id is too long.")
               : SLUICE_OK;
}

static sl_err check_assignor(struct beat *beat)
{
    struct sl_bytes name = sl_of_text(beat->request->assignor);
    if (name.data == NULL || assignor_get(name) != NULL)
        return SLUICE_OK;
    return say(beat, SLUICE_E_UNSUPPORTED_ASSIGNOR,
               "ServerAssignor %.*s is not supported. Supported assignors: uniform, range.",
               TEXT(name));
}

static sl_err check(struct beat *beat)
{
    const struct sluice_consumer_heartbeat *request = beat->request;
    int32_t epoch = request->member_epoch;
    if (request->needs_member && epoch_text_is_blank(request->member))
        return say(beat, SLUICE_E_INVALID_REQUEST, "MemberId can't be empty.");
    if (request->group.size == 0 || epoch_text_is_blank(request->group))
        return say(beat, SLUICE_E_INVALID_REQUEST, "GroupId can't be empty.");
    if (epoch_text_is_blank(request->instance))
        return say(beat, SLUICE_E_INVALID_REQUEST, "InstanceId can't be empty.");
    if (epoch_text_is_blank(request->rack))
        return say(beat, SLUICE_E_INVALID_REQUEST, "RackId can't be empty.");
    if (epoch != SLUICE_MEMBER_JOINS && request->member.size == 0)
        return say(beat, SLUICE_E_INVALID_REQUEST, "MemberId can't be empty.");
    if (epoch == SLUICE_MEMBER_LEAVES_STATIC && request->instance.data == NULL)
        return say(beat, SLUICE_E_INVALID_REQUEST, "InstanceId can't be null.");
    if (epoch < SLUICE_MEMBER_LEAVES_STATIC)
        return say(beat, SLUICE_E_INVALID_REQUEST, "MemberEpoch is invalid.");
    sl_err err = epoch == SLUICE_MEMBER_JOINS ? check_join(beat) : SLUICE_OK;
    err = err != SLUICE_OK ? err : check_sizes(beat);
    return err != SLUICE_OK ? err : check_assignor(beat);
}

/* ---- group and member ---- */

static sl_err group_find(struct beat *beat)
{
    struct consumer_groups *groups = beat->groups;
    struct sl_bytes name = sl_of_text(beat->request->group);
    bool joins = beat->request->member_epoch == SLUICE_MEMBER_JOINS;
    beat->group = consumer_group_get(groups, name);
    if (beat->group != NULL)
        return SLUICE_OK;
    if (groups->classic != NULL) {
        struct group_view view = group_coordinator_view(groups->classic, beat->request->group);
        bool has_members = view.member_count != 0 || view.pending_count != 0;
        if (has_members && !joins)
            return say(beat, SLUICE_E_GROUP_NOT_FOUND, "Group %.*s is not a consumer group.",
                       TEXT(name));
        if (has_members) {
            char message[CONSUMER_GROUP_MESSAGE_BYTES] = "";
            sl_err err = consumer_group_upgrade(groups, name, &beat->group, message);
            return err == SLUICE_OK ? err : say(beat, err, "%s", message);
        }
    }
    if (!joins)
        return say(beat, SLUICE_E_GROUP_NOT_FOUND, "Consumer group %.*s not found.", TEXT(name));
    sl_err err = consumer_group_add(groups, name, &beat->group);
    beat->is_new_group = err == SLUICE_OK;
    if (err == SLUICE_OK && groups->classic != NULL)
        (void)group_coordinator_delete(groups->classic, beat->request->group);
    return err;
}

static sl_err check_epoch(struct beat *beat, const struct consumer_member *member)
{
    int32_t epoch = beat->request->member_epoch;
    if (epoch > member->base.epoch)
        return say(beat, SLUICE_E_FENCED_MEMBER_EPOCH,
                   "The consumer group member has a greater member epoch (%d) than the one known "
                   "by the group coordinator (%d). The member must abandon all its partitions and "
                   "rejoin.",
                   epoch, member->base.epoch);
    bool may_repeat = epoch == member->base.previous_epoch && beat->request->has_owned &&
                      partition_set_within(&beat->owned, &member->assigned);
    if (epoch < member->base.epoch && !may_repeat)
        return say(beat, SLUICE_E_FENCED_MEMBER_EPOCH,
                   "The consumer group member has a smaller member epoch (%d) than the one known "
                   "by the group coordinator (%d). The member must abandon all its partitions and "
                   "rejoin.",
                   epoch, member->base.epoch);
    return SLUICE_OK;
}

static sl_err member_make(struct beat *beat)
{
    sl_err err = consumer_member_add(beat->groups, beat->group, beat->id, &beat->member);
    beat->is_new_member = err == SLUICE_OK;
    return err;
}

static sl_err find_dynamic(struct beat *beat)
{
    beat->member = consumer_member_get(beat->groups, beat->group, beat->id);
    if (beat->member != NULL)
        return beat->member->is_classic ? SLUICE_OK : check_epoch(beat, beat->member);
    return beat->request->member_epoch == SLUICE_MEMBER_JOINS
               ? member_make(beat)
               : say(beat, SLUICE_E_UNKNOWN_MEMBER, "Member %.*s is not a member of group %.*s.",
                     TEXT(beat->id), TEXT(beat->group->base.name));
}

static sl_err check_instance(struct beat *beat, const struct consumer_member *known)
{
    struct sl_bytes instance = sl_of_text(beat->request->instance);
    if (known == NULL)
        return say(beat, SLUICE_E_UNKNOWN_MEMBER, "Instance id %.*s is unknown.", TEXT(instance));
    if (!sl_bytes_equal(known->base.id, beat->id))
        return say(beat, SLUICE_E_FENCED_INSTANCE_ID,
                   "Static member %.*s with instance id %.*s was fenced by member %.*s.",
                   TEXT(beat->id), TEXT(instance), TEXT(known->base.id));
    return SLUICE_OK;
}

/* What it had becomes the new one's, at epoch 0. */
static sl_err replace(struct beat *beat, struct consumer_member *known)
{
    sl_err err = sl_bytes_equal(known->base.id, beat->id)
                     ? SLUICE_OK
                     : epoch_member_rename(&beat->groups->base, &known->base, beat->id);
    if (err == SLUICE_OK) {
        known->base.epoch = known->base.previous_epoch = 0;
        beat->member = known;
        epoch_member_mark(&beat->groups->base, &known->base);
        epoch_member_moved(&beat->groups->base, &known->base);
    }
    return err;
}

static sl_err find_static(struct beat *beat)
{
    struct sl_bytes instance = sl_of_text(beat->request->instance);
    struct consumer_member *known = consumer_member_of_instance(beat->group, instance);
    if (beat->request->member_epoch != SLUICE_MEMBER_JOINS) {
        sl_err err = check_instance(beat, known);
        beat->member = known;
        return err != SLUICE_OK || known->is_classic ? err : check_epoch(beat, known);
    }
    if (known == NULL) {
        beat->member = consumer_member_get(beat->groups, beat->group, beat->id);
        return beat->member == NULL ? member_make(beat) : SLUICE_OK;
    }
    if (!known->is_classic && known->base.epoch != SLUICE_MEMBER_LEAVES_STATIC)
        return say(beat, SLUICE_E_UNRELEASED_INSTANCE_ID,
                   "Static member %.*s with instance id %.*s cannot join the group because the "
                   "instance id is owned by %.*s member.",
                   TEXT(beat->id), TEXT(instance), TEXT(known->base.id));
    return replace(beat, known);
}

static void id_make(struct beat *beat)
{
    uint64_t *random = beat->groups->random;
    random[0] += 0x9e3779b97f4a7c15u;
    uint64_t high = sl_hash64_mix(random[0]) ^ sl_hash64_mix(random[1]++);
    uint64_t low = sl_hash64_mix(random[0] ^ high) ^ random[1];
    uint8_t raw[16];
    sl_le64_store(raw, high);
    sl_le64_store(raw + 8, low);
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char *text = beat->answer->member;
    for (uint32_t i = 0; i < 22; i++) { /* as Kafka writes ids: base64, URL-safe, unpadded */
        uint32_t bit = i * 6;
        uint32_t pair = (uint32_t)raw[bit / 8] << 8 | (bit / 8 + 1 < 16 ? raw[bit / 8 + 1] : 0);
        text[i] = digits[pair >> (10 - bit % 8) & 63];
    }
    text[22] = '\0';
    beat->id = sl_bytes_of(text, 22);
}

/* ---- what changed ---- */

/* *ret_reads: what it subscribes to. */
static sl_err update(struct beat *beat, bool *ret_reads)
{
    const struct sluice_consumer_heartbeat *request = beat->request;
    struct consumer_member *member = beat->member;
    const char *reason = "";
    bool changed = beat->is_new_member;
    sl_err err = SLUICE_OK;
    err = epoch_text_set(&member->base.client_id, sl_of_text(beat->client->id), &changed);
    if (err == SLUICE_OK)
        err = epoch_text_set(&member->base.client_host, sl_of_text(beat->client->host), &changed);
    if (err == SLUICE_OK && request->regex.data != NULL)
        err = consumer_pattern_set(beat->groups, member, sl_of_text(request->regex),
                                   sl_of_text(beat->client->principal), ret_reads, &reason);
    if (err == SLUICE_E_INVALID_REGEX)
        return say(beat, err, "SubscribedTopicRegex `%.*s` is not a valid regular expression: %s.",
                   TEXT(sl_of_text(request->regex)), reason);
    if (err == SLUICE_OK && request->has_topics)
        err = name_list_set(&member->topics, request->topics, request->topic_count, ret_reads);
    if (err == SLUICE_OK && request->instance.data != NULL)
        err = epoch_text_set(&member->instance, sl_of_text(request->instance), &changed);
    if (err == SLUICE_OK && request->rack.data != NULL)
        err = epoch_text_set(&member->base.rack, sl_of_text(request->rack), &changed);
    if (err == SLUICE_OK && request->assignor.data != NULL)
        err = epoch_text_set(&member->assignor, sl_of_text(request->assignor), &changed);
    if (request->rebalance_timeout_ms != -1 &&
        request->rebalance_timeout_ms != member->base.rebalance_timeout_ms) {
        member->base.rebalance_timeout_ms = request->rebalance_timeout_ms;
        changed = true;
    }
    if (member->is_classic) { /* it speaks the new protocol now */
        member->is_classic = false;
        member->protocol_count = 0;
        member->session_timeout_ms = 0;
        member->sync_deadline_ms = DUE_NEVER;
        changed = true;
    }
    if (changed || *ret_reads)
        epoch_member_mark(&beat->groups->base, &member->base);
    return err;
}

static sl_err go_on(struct beat *beat)
{
    struct consumer_groups *groups = beat->groups;
    struct consumer_member *member = beat->member;
    const struct sluice_consumer_heartbeat *request = beat->request;
    bool reads_other = beat->is_new_member, moved = false;
    sl_err err = update(beat, &reads_other);
    err = err != SLUICE_OK ? err : consumer_group_look(groups, beat->group, reads_other);
    err = err != SLUICE_OK ? err : consumer_group_assign(groups, beat->group);
    err = err != SLUICE_OK
              ? err
              : consumer_member_reconcile(groups, member, request->has_owned ? &beat->owned : NULL,
                                          reads_other, &moved);
    if (err != SLUICE_OK)
        return err;
    const struct consumer_group_own own = consumer_group_own_of(groups, beat->group);
    member->base.session_deadline_ms = groups->base.now_ms + own.session_timeout_ms;
    epoch_member_schedule(&groups->base, &member->base);
    bool is_full = request->member_epoch == SLUICE_MEMBER_JOINS ||
                   (request->rebalance_timeout_ms != -1 && request->has_owned &&
                    (request->has_topics || request->regex.data != NULL));
    struct sluice_consumer_heartbeat_answer *answer = &beat->answer->answer;
    answer->member = (struct sluice_text){(const char *)member->base.id.data, member->base.id.size};
    answer->member_epoch = member->base.epoch;
    answer->heartbeat_interval_ms = own.heartbeat_interval_ms;
    answer->has_assignment = is_full || moved;
    beat->answer->assigned = &member->assigned;
    answer->partition_count = answer->has_assignment ? member->assigned.count : 0;
    return SLUICE_OK;
}

static sl_err join_or_stay(struct beat *beat)
{
    struct consumer_groups *groups = beat->groups;
    bool is_static = beat->request->instance.data != NULL;
    const char *reason = NULL;
    struct topic_pattern *pattern = NULL;
    struct sl_bytes regex = sl_of_text(beat->request->regex);
    if (regex.size != 0 && topic_pattern_new(regex, &pattern, &reason) == SLUICE_E_INVALID_REGEX)
        return say(beat, SLUICE_E_INVALID_REGEX,
                   "SubscribedTopicRegex `%.*s` is not a valid regular expression: %s.",
                   TEXT(regex), reason);
    topic_pattern_free(pattern);
    sl_err err = group_find(beat);
    if (err != SLUICE_OK)
        return err;
    if (beat->id.size == 0)
        id_make(beat);
    if (beat->group->base.member_count >= groups->config.members_max &&
        consumer_member_get(groups, beat->group, beat->id) == NULL)
        return say(beat, SLUICE_E_GROUP_MAX_SIZE,
                   "The consumer group has reached its maximum capacity of %u members.",
                   groups->config.members_max);
    err = is_static ? find_static(beat) : find_dynamic(beat);
    return err != SLUICE_OK ? err : go_on(beat);
}

/* ---- leaving ---- */

static sl_err leave_for_a_while(struct beat *beat, struct consumer_member *member)
{
    member->base.previous_epoch = member->base.epoch;
    member->base.epoch = SLUICE_MEMBER_LEAVES_STATIC;
    partition_set_fini(&member->revoking);
    member->base.rebalance_deadline_ms = DUE_NEVER;
    epoch_member_moved(&beat->groups->base, &member->base);
    return SLUICE_OK;
}

static sl_err leave(struct beat *beat)
{
    const struct sluice_consumer_heartbeat *request = beat->request;
    struct sl_bytes name = sl_of_text(request->group);
    struct consumer_member *member = NULL;
    sl_err err = SLUICE_OK;
    beat->group = consumer_group_get(beat->groups, name);
    if (beat->group == NULL)
        return say(beat, SLUICE_E_GROUP_NOT_FOUND, "Group %.*s not found.", TEXT(name));
    if (request->instance.data == NULL) {
        member = consumer_member_get(beat->groups, beat->group, beat->id);
        if (member == NULL)
            err = say(beat, SLUICE_E_UNKNOWN_MEMBER, "Member %.*s is not a member of group %.*s.",
                      TEXT(beat->id), TEXT(name));
    } else {
        member = consumer_member_of_instance(beat->group, sl_of_text(request->instance));
        err = check_instance(beat, member);
    }
    if (err == SLUICE_OK)
        err = request->member_epoch == SLUICE_MEMBER_LEAVES_STATIC
                  ? leave_for_a_while(beat, member)
                  : consumer_member_fence(beat->groups, member);
    beat->answer->answer.member = request->member;
    beat->answer->answer.member_epoch = request->member_epoch;
    return err;
}

/* ---- the call ---- */

static sl_err take_owned(struct beat *beat)
{
    const struct sluice_consumer_heartbeat *request = beat->request;
    sl_err err = partition_set_reserve(&beat->owned, request->owned_count);
    for (uint32_t i = 0; i < request->owned_count && err == SLUICE_OK; i++) {
        struct sl_uuid id;
        memcpy(id.b, request->owned[i].topic.bytes, sizeof id.b);
        err = partition_set_add(&beat->owned, &id, (uint32_t)request->owned[i].partition, 0);
    }
    partition_set_sort(&beat->owned);
    return err;
}

/* What was made for a call that failed goes; without memory for that it stays until its session
 * ends. */
static sl_err undo(struct beat *beat, sl_err err)
{
    sl_err undone = SLUICE_OK;
    if (beat->is_new_member)
        undone = epoch_member_remove(&beat->groups->base, &beat->member->base);
    if (undone == SLUICE_OK && beat->is_new_group)
        undone = epoch_group_remove(&beat->groups->base, &beat->group->base);
    return undone != SLUICE_OK ? undone : err;
}

void consumer_group_heartbeat(struct consumer_groups *groups,
                              const struct sluice_consumer_heartbeat *request,
                              const struct group_caller *client, int64_t now_ms,
                              struct consumer_group_answer *ret_answer)
{
    struct beat beat = {.groups = groups,
                        .request = request,
                        .client = client,
                        .answer = ret_answer,
                        .id = sl_of_text(request->member)};
    *ret_answer = (struct consumer_group_answer){.answer.size = sizeof ret_answer->answer};
    groups->base.now_ms = now_ms;
    sl_err err = check(&beat);
    err = err != SLUICE_OK ? err : take_owned(&beat);
    if (err == SLUICE_OK)
        err = request->member_epoch < 0 ? leave(&beat) : join_or_stay(&beat);
    if (err != SLUICE_OK)
        err = undo(&beat, err);
    ret_answer->answer.status = err;
    if (err != SLUICE_OK)
        ret_answer->answer.has_assignment = false;
    partition_set_fini(&beat.owned);
}
