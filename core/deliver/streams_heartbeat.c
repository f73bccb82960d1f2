/* streams_heartbeat.c: the one call of a member of a Streams application (KIP-1071). Order of the
 * checks and sentences as Kafka 4.3 has them.
 *
 *   request ─► may it be? ─► group, member, epoch ─► topology ─► plan ─► its tasks exist?
 *           ─► what changed ─► epoch of the group ─► target ─► a step towards it ─► answer
 *
 * Until what the request says is known to be good nothing of the group changes but what is undone
 * (a new group, a new member). */
#include "catalog/topic_name.h"
#include "deliver/streams_group.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct beat {
    struct streams_groups *groups;
    const struct sluice_streams_heartbeat *request;
    const struct group_caller *client;
    struct streams_answer *answer;
    struct streams_group_config config;
    struct streams_group *group;
    struct streams_member *member;
    struct sl_bytes id;
    struct streams_tasks owned;
    struct sluice_streams_status statuses[6]; /* one of each kind at most */
    uint32_t status_count;
    bool is_new_group, is_new_member;
    bool was_empty; /* the group, before this call */
    bool raise;
};

static sl_err say(struct beat *beat, sl_err err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static sl_err say(struct beat *beat, sl_err err, const char *format, ...)
{
    char text[STREAMS_MESSAGE_BYTES];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    sl_err kept = answer_arena_text(&beat->answer->arena, sl_bytes_of_text(text),
                                    &beat->answer->answer.message);
    return kept != SLUICE_OK ? kept : err;
}

static sl_err tell(struct beat *beat, int32_t code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static sl_err tell(struct beat *beat, int32_t code, const char *format, ...)
{
    char text[STREAMS_MESSAGE_BYTES];
    struct sluice_streams_status *status = &beat->statuses[beat->status_count++];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    status->code = code;
    return answer_arena_text(&beat->answer->arena, sl_bytes_of_text(text), &status->detail);
}

#define TEXT(bytes) (int)SL_MIN((bytes).size, (size_t)200), (const char *)(bytes).data

/* ---- whether the request can be ---- */

static sl_err check_supported(struct beat *beat)
{
    const struct sluice_streams_heartbeat *request = beat->request;
    if (request->instance.data != NULL)
        return say(beat, SLUICE_E_INVALID_REQUEST, "Static membership is not yet supported.");
    if (request->has_offsets)
        return say(beat, SLUICE_E_INVALID_REQUEST, "TaskOffsets are not supported yet.");
    if (request->has_end_offsets)
        return say(beat, SLUICE_E_INVALID_REQUEST, "TaskEndOffsets are not supported yet.");
    if (request->has_warmup_tasks)
        return say(beat, SLUICE_E_INVALID_REQUEST, "WarmupTasks are not supported yet.");
    for (uint32_t i = 0; request->topology != NULL && i < request->topology->subtopology_count;
         i++) {
        if (request->topology->subtopologies[i].pattern_count != 0)
            return say(beat, SLUICE_E_INVALID_REQUEST,
                       "Regular expressions for source topics are not supported yet.");
    }
    return SLUICE_OK;
}

static bool is_kafkas(struct sl_bytes name)
{
    return sl_bytes_equal(name, sl_bytes_of_text("__consumer_offsets")) ||
           sl_bytes_equal(name, sl_bytes_of_text("__transaction_state")) ||
           sl_bytes_equal(name, sl_bytes_of_text("__share_group_state")) ||
           topic_name_is_reserved(name);
}

static sl_err check_name(struct beat *beat, struct sluice_text text)
{
    const char *reason = NULL;
    struct sl_bytes name = sl_of_text(text);
    if (topic_name_check(name, true, &reason) != SLUICE_OK)
        return say(beat, SLUICE_E_STREAMS_TOPOLOGY, "Topic names %.*s are not valid topic names.",
                   TEXT(name));
    return is_kafkas(name)
               ? say(beat, SLUICE_E_STREAMS_TOPOLOGY,
                     "Use of Kafka internal topics %.*s in a Kafka Streams topology is prohibited.",
                     TEXT(name))
               : SLUICE_OK;
}

static sl_err check_names(struct beat *beat)
{
    const struct sluice_streams_topology *topology = beat->request->topology;
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; topology != NULL && i < topology->subtopology_count; i++) {
        const struct sluice_streams_subtopology *sub = &topology->subtopologies[i];
        for (uint32_t t = 0; t < sub->source_count && err == SLUICE_OK; t++)
            err = check_name(beat, sub->sources[t]);
        for (uint32_t t = 0; t < sub->sink_count && err == SLUICE_OK; t++)
            err = check_name(beat, sub->sinks[t]);
        for (uint32_t t = 0; t < sub->repartition_count && err == SLUICE_OK; t++)
            err = check_name(beat, sub->repartitions[t].name);
        for (uint32_t t = 0; t < sub->changelog_count && err == SLUICE_OK; t++)
            err = check_name(beat, sub->changelogs[t].name);
    }
    return err;
}

static sl_err check_topology(struct beat *beat)
{
    const struct sluice_streams_topology *topology = beat->request->topology;
    for (uint32_t i = 0; i < topology->subtopology_count; i++) {
        const struct sluice_streams_subtopology *sub = &topology->subtopologies[i];
        for (uint32_t t = 0; t < sub->changelog_count; t++) {
            struct sl_bytes name = sl_of_text(sub->changelogs[t].name);
            if (sub->changelogs[t].partition_count != 0)
                return say(beat, SLUICE_E_STREAMS_TOPOLOGY,
                           "Changelog topic %.*s must have an undefined partition count, but it "
                           "is set to %d.",
                           TEXT(name), sub->changelogs[t].partition_count);
        }
    }
    return SLUICE_OK;
}

static sl_err check_join(struct beat *beat)
{
    const struct sluice_streams_heartbeat *request = beat->request;
    const struct sluice_streams_assignment *owned = request->owned;
    if (request->rebalance_timeout_ms == -1)
        return say(beat, SLUICE_E_INVALID_REQUEST,
                   "RebalanceTimeoutMs must be provided in first request.");
    if (!request->has_active || owned->active_count != 0)
        return say(beat, SLUICE_E_INVALID_REQUEST, "ActiveTasks must be empty when (re-)joining.");
    if (!request->has_standby || owned->standby_count != 0)
        return say(beat, SLUICE_E_INVALID_REQUEST, "StandbyTasks must be empty when (re-)joining.");
    if (!request->has_warmups)
        return say(beat, SLUICE_E_INVALID_REQUEST, "WarmupTasks must be empty when (re-)joining.");
    if (request->topology == NULL)
        return say(beat, SLUICE_E_INVALID_REQUEST, "Topology must be non-null when (re-)joining.");
    return check_topology(beat);
}

static sl_err check_sizes(struct beat *beat)
{
    const struct sluice_streams_heartbeat *request = beat->request;
    const struct sluice_text texts[] = {request->member,  request->rack,
                                        request->process, request->endpoint.host,
                                        beat->client->id, beat->client->host};
    for (uint32_t i = 0; i < SL_COUNT_OF(texts); i++) {
        if (texts[i].size > CONSUMER_GROUP_INSTANCE_MAX)
            return say(beat, SLUICE_E_INVALID_REQUEST, "An id is longer than %u bytes.",
                       CONSUMER_GROUP_INSTANCE_MAX);
    }
    if (request->tag_count > STREAMS_TAGS_MAX)
        return say(beat, SLUICE_E_INVALID_REQUEST, "A member has more than %u tags.",
                   STREAMS_TAGS_MAX);
    return request->group.size > GROUP_ID_BYTES_MAX
               ? say(beat, SLUICE_E_INVALID_GROUP_ID, "The group id is too long.")
               : SLUICE_OK;
}

static sl_err check_epochs(struct beat *beat)
{
    const struct sluice_streams_heartbeat *request = beat->request;
    bool some = request->has_active || request->has_standby || request->has_warmups;
    bool all = request->has_active && request->has_standby && request->has_warmups;
    if (request->member_epoch == SLUICE_MEMBER_JOINS)
        return check_join(beat);
    if (request->member_epoch == SLUICE_MEMBER_LEAVES_STATIC)
        return say(beat, SLUICE_E_INVALID_REQUEST, "InstanceId can't be null.");
    if (request->member_epoch < SLUICE_MEMBER_LEAVES_STATIC)
        return say(beat, SLUICE_E_INVALID_REQUEST,
                   "MemberEpoch is %d, but must be greater than or equal to -2.",
                   request->member_epoch);
    if (some && !all)
        return say(beat, SLUICE_E_INVALID_REQUEST,
                   "If one task-type is non-null, all must be non-null.");
    if (request->topology != NULL)
        return say(beat, SLUICE_E_INVALID_REQUEST,
                   "Topology can only be provided when (re-)joining.");
    return SLUICE_OK;
}

static sl_err check(struct beat *beat)
{
    const struct sluice_streams_heartbeat *request = beat->request;
    sl_err err = check_names(beat);
    err = err != SLUICE_OK ? err : check_supported(beat);
    if (err != SLUICE_OK)
        return err;
    if (request->member.size == 0 || epoch_text_is_blank(request->member))
        return say(beat, SLUICE_E_INVALID_REQUEST, "MemberId can't be empty.");
    if (request->group.size == 0 || epoch_text_is_blank(request->group))
        return say(beat, SLUICE_E_INVALID_REQUEST, "GroupId can't be empty.");
    if (epoch_text_is_blank(request->rack))
        return say(beat, SLUICE_E_INVALID_REQUEST, "RackId can't be empty.");
    err = check_epochs(beat);
    return err != SLUICE_OK ? err : check_sizes(beat);
}

/* ---- group and member ---- */

static sl_err group_find(struct beat *beat)
{
    struct sl_bytes name = sl_of_text(beat->request->group);
    beat->group = streams_group_get(beat->groups, name);
    beat->was_empty = beat->group == NULL || beat->group->base.member_count == 0;
    if (beat->group != NULL)
        return SLUICE_OK;
    if (beat->request->member_epoch != SLUICE_MEMBER_JOINS)
        return say(beat, SLUICE_E_GROUP_NOT_FOUND, "Streams group %.*s not found.", TEXT(name));
    sl_err err = streams_group_add(beat->groups, name, &beat->group);
    beat->is_new_group = err == SLUICE_OK;
    return err;
}

/* Each partition of the rows that is one of a known subtopology; *ret_known: all were. */
static sl_err tasks_take(const struct beat *beat, const struct sluice_streams_tasks *rows,
                         uint32_t count, struct partition_set *set, bool *ret_known)
{
    const struct streams_topology *topology = beat->group->topology;
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < count && err == SLUICE_OK; i++) {
        int32_t place = topology == NULL
                            ? -1
                            : streams_topology_find(topology, sl_of_text(rows[i].subtopology));
        struct sl_uuid id = streams_task_id((uint32_t)SL_MAX(place, 0));
        *ret_known = *ret_known && (place >= 0 || rows[i].count == 0);
        for (uint32_t p = 0; p < rows[i].count && place >= 0 && err == SLUICE_OK; p++)
            err = partition_set_add(set, &id, (uint32_t)rows[i].partitions[p], 0);
    }
    partition_set_sort(set);
    return err;
}

static sl_err owned_take(struct beat *beat, bool *ret_known)
{
    const struct sluice_streams_assignment *owned = beat->request->owned;
    if (!beat->request->has_active)
        return SLUICE_OK;
    sl_err err = tasks_take(beat, owned->active, owned->active_count,
                            &beat->owned.roles[STREAMS_ACTIVE], ret_known);
    return err != SLUICE_OK ? err
                            : tasks_take(beat, owned->standby, owned->standby_count,
                                         &beat->owned.roles[STREAMS_STANDBY], ret_known);
}

static sl_err check_epoch(struct beat *beat, bool is_known)
{
    const struct streams_member *member = beat->member;
    int32_t epoch = beat->request->member_epoch;
    if (epoch == SLUICE_MEMBER_JOINS || epoch == member->base.epoch)
        return SLUICE_OK;
    bool may_repeat = epoch < member->base.epoch && epoch == member->base.previous_epoch &&
                      is_known && beat->request->has_active;
    for (uint32_t r = 0; r < STREAMS_ROLES; r++)
        may_repeat =
            may_repeat && partition_set_within(&beat->owned.roles[r], &member->assigned.roles[r]);
    return may_repeat
               ? SLUICE_OK
               : say(beat, SLUICE_E_FENCED_MEMBER_EPOCH,
                     "The streams group member has a %s member epoch (%d) than the one "
                     "known by the group coordinator (%d). The member must abandon all its "
                     "partitions and rejoin.",
                     epoch > member->base.epoch ? "greater" : "smaller", epoch, member->base.epoch);
}

static sl_err member_find(struct beat *beat)
{
    bool joins = beat->request->member_epoch == SLUICE_MEMBER_JOINS, is_known = true;
    beat->member = streams_member_get(beat->groups, beat->group, beat->id);
    if (beat->member == NULL && !joins)
        return say(beat, SLUICE_E_UNKNOWN_MEMBER, "Member %.*s is not a member of group %.*s.",
                   TEXT(beat->id), TEXT(beat->group->base.name));
    if (beat->member == NULL && beat->group->base.member_count >= beat->config.members_max)
        return say(beat, SLUICE_E_GROUP_MAX_SIZE,
                   "The streams group has reached its maximum capacity of %u members.",
                   beat->config.members_max);
    sl_err err = owned_take(beat, &is_known);
    if (err == SLUICE_OK && beat->member == NULL) {
        err = streams_member_add(beat->groups, beat->group, beat->id, &beat->member);
        beat->is_new_member = err == SLUICE_OK;
        return err;
    }
    return err != SLUICE_OK ? err : check_epoch(beat, is_known);
}

/* ---- topology and plan ---- */

static sl_err topology_encode(struct beat *beat)
{
    sl_err err = streams_topology_encode(beat->request->topology, &beat->groups->base.scratch);
    if (err == SLUICE_E_STREAMS_TOPOLOGY)
        return say(beat, err,
                   "Two subtopologies have the same id, or a copartition group names a topic that "
                   "the subtopology has not.");
    return err == SLUICE_E_LIMIT ? say(beat, SLUICE_E_INVALID_REQUEST,
                                       "The topology is larger than %u bytes, or a text in it "
                                       "than %u.",
                                       STREAMS_TOPOLOGY_BYTES_MAX, STREAMS_TEXT_BYTES_MAX)
                                 : err;
}

static sl_err topology_take(struct beat *beat)
{
    struct streams_group *group = beat->group;
    const struct sluice_streams_topology *told = beat->request->topology;
    if (told == NULL || (group->topology != NULL && group->topology->view.epoch > told->epoch))
        return SLUICE_OK;
    sl_err err = topology_encode(beat);
    if (err != SLUICE_OK)
        return err;
    struct sl_bytes bytes = sl_buffer_bytes(&beat->groups->base.scratch);
    if (group->topology != NULL)
        return sl_bytes_equal(group->topology->bytes, bytes)
                   ? SLUICE_OK
                   : say(beat, SLUICE_E_INVALID_REQUEST, "Topology updates are not supported yet.");
    err = streams_topology_new(bytes, &group->topology);
    group->is_topology_dirty = true;
    epoch_group_mark(&beat->groups->base, &group->base);
    return err;
}

/* Where topics came, went or grew: what the topology comes to now. */
static sl_err plan_refresh(struct beat *beat)
{
    struct streams_group *group = beat->group;
    const struct group_topics *topics = &beat->groups->base.topics;
    uint64_t version = topics->version(topics->arg);
    if (group->plan != NULL && group->base.topics_version == version)
        return SLUICE_OK;
    uint64_t hash = streams_topics_hash(group->topology, topics);
    if (group->plan == NULL || hash != group->base.topics_hash) {
        struct streams_plan *plan = NULL;
        char message[STREAMS_MESSAGE_BYTES] = "";
        sl_err err = streams_plan_new(group->topology, topics, message, &plan);
        if (err == SLUICE_E_STREAMS_TOPOLOGY)
            return say(beat, err, "%s", message);
        if (err == SLUICE_E_LIMIT)
            return say(beat, SLUICE_E_INVALID_REQUEST, "A group has more than %u tasks.",
                       STREAMS_TASKS_MAX);
        if (err != SLUICE_OK)
            return err;
        streams_plan_free(group->plan);
        group->plan = plan;
    }
    beat->raise = beat->raise || hash != group->base.topics_hash;
    group->base.topics_hash = hash;
    group->base.topics_version = version;
    return SLUICE_OK;
}

static sl_err check_tasks(struct beat *beat, const struct sluice_streams_tasks *rows,
                          uint32_t count)
{
    const struct streams_group *group = beat->group;
    for (uint32_t i = 0; i < count; i++) {
        struct sl_bytes id = sl_of_text(rows[i].subtopology);
        int32_t place = streams_topology_find(group->topology, id);
        if (place < 0)
            return say(beat, SLUICE_E_INVALID_REQUEST,
                       "Subtopology %.*s does not exist in the topology.", TEXT(id));
        uint32_t tasks = group->plan->task_counts[place];
        for (uint32_t p = 0; p < rows[i].count; p++) {
            if ((uint32_t)rows[i].partitions[p] >= tasks)
                return say(beat, SLUICE_E_INVALID_REQUEST,
                           "Task %d for subtopology %.*s is invalid. Number of tasks for this "
                           "subtopology: %u",
                           rows[i].partitions[p], TEXT(id), tasks);
        }
    }
    return SLUICE_OK;
}

static bool is_ready(const struct streams_group *group)
{
    return group->plan->status < 0;
}

static sl_err check_owned(struct beat *beat)
{
    const struct sluice_streams_assignment *owned = beat->request->owned;
    if (!is_ready(beat->group) || !beat->request->has_active)
        return SLUICE_OK;
    sl_err err = check_tasks(beat, owned->active, owned->active_count);
    return err != SLUICE_OK ? err : check_tasks(beat, owned->standby, owned->standby_count);
}

/* ---- what changed ---- */

static sl_err update_texts(struct beat *beat, bool *changed)
{
    const struct sluice_streams_heartbeat *request = beat->request;
    struct streams_member *member = beat->member;
    const struct {
        struct sl_bytes *text;
        struct sluice_text value;
    } rows[] = {{&member->base.rack, request->rack},
                {&member->process, request->process},
                {&member->host, request->endpoint.host}};
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < SL_COUNT_OF(rows) && err == SLUICE_OK; i++) {
        if (rows[i].value.data != NULL)
            err = epoch_text_set(rows[i].text, sl_of_text(rows[i].value), changed);
    }
    return err;
}

/* Another connection is nothing that others must be given other tasks for. */
static sl_err update_client(struct beat *beat)
{
    struct streams_member *member = beat->member;
    bool changed = false;
    sl_err err = epoch_text_set(&member->base.client_id, sl_of_text(beat->client->id), &changed);
    if (err == SLUICE_OK)
        err = epoch_text_set(&member->base.client_host, sl_of_text(beat->client->host), &changed);
    if (changed)
        epoch_member_mark(&beat->groups->base, &member->base);
    return err;
}

static sl_err update(struct beat *beat)
{
    const struct sluice_streams_heartbeat *request = beat->request;
    struct streams_member *member = beat->member;
    bool changed = beat->is_new_member;
    sl_err err = update_client(beat);
    err = err != SLUICE_OK ? err : update_texts(beat, &changed);
    if (err == SLUICE_OK && request->has_tags) {
        struct sl_buffer *block = &beat->groups->base.scratch;
        err = streams_tags_encode(request->tags, request->tag_count, block);
        if (err == SLUICE_E_LIMIT)
            return say(beat, SLUICE_E_INVALID_REQUEST, "A tag is longer than %u bytes.",
                       CONSUMER_GROUP_INSTANCE_MAX);
        if (err == SLUICE_OK && (block->size != 0 || member->tags.size != 0))
            err = epoch_text_set(&member->tags, sl_buffer_bytes(block), &changed);
    }
    if (request->endpoint.host.data != NULL && member->port != request->endpoint.port) {
        member->port = request->endpoint.port;
        changed = true;
    }
    if (request->rebalance_timeout_ms != -1 &&
        request->rebalance_timeout_ms != member->base.rebalance_timeout_ms) {
        member->base.rebalance_timeout_ms = request->rebalance_timeout_ms;
        changed = true;
    }
    if (request->topology != NULL && request->topology->epoch != member->topology_epoch) {
        member->topology_epoch = request->topology->epoch;
        changed = true;
    }
    if (changed)
        epoch_member_mark(&beat->groups->base, &member->base);
    beat->raise = beat->raise || changed;
    return err;
}

/* ---- epoch and target ---- */

static void raise(struct beat *beat)
{
    struct streams_group *group = beat->group;
    int32_t ready_epoch = is_ready(group) ? group->topology->view.epoch : STREAMS_NO_EPOCH;
    if (!beat->raise && ready_epoch == group->ready_epoch &&
        beat->config.standby_count == group->standby_count)
        return;
    group->ready_epoch = ready_epoch;
    group->standby_count = beat->config.standby_count;
    epoch_group_raise(&beat->groups->base, &group->base);
}

static sl_err assign(struct beat *beat)
{
    struct streams_group *group = beat->group;
    int64_t now_ms = beat->groups->base.now_ms;
    if (beat->was_empty && beat->config.initial_delay_ms > 0)
        group->delayed_until_ms = now_ms + beat->config.initial_delay_ms;
    if (now_ms < group->delayed_until_ms)
        return tell(beat, SLUICE_STREAMS_ASSIGNMENT_DELAYED,
                    "Assignment delayed due to the configured initial rebalance delay.");
    if (group->base.assignment_epoch >= group->base.epoch)
        return SLUICE_OK;
    if (group->assigned_at_ms > now_ms - beat->config.assignment_interval_ms)
        return tell(beat, SLUICE_STREAMS_ASSIGNMENT_DELAYED,
                    "Assignment delayed due to the configured assignment interval.");
    return streams_group_assign(beat->groups, group);
}

/* ---- the answer ---- */

static sl_err tell_stale(struct beat *beat)
{
    int32_t epoch = beat->group->topology->view.epoch;
    return beat->member->topology_epoch >= epoch
               ? SLUICE_OK
               : tell(beat, SLUICE_STREAMS_STALE_TOPOLOGY,
                      "The member's topology epoch %d is behind the group's topology epoch %d.",
                      beat->member->topology_epoch, epoch);
}

static sl_err tell_plan(struct beat *beat)
{
    const struct streams_plan *plan = beat->group->plan;
    struct answer_arena *arena = &beat->answer->arena;
    struct sluice_streams_topic *missing =
        answer_arena_take(arena, plan->missing_count, sizeof *missing);
    sl_err err = missing == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    for (uint32_t i = 0; i < plan->missing_count && err == SLUICE_OK; i++)
        err = streams_topic_copy(arena, &plan->missing[i], &missing[i]);
    beat->answer->answer.missing = missing;
    beat->answer->answer.missing_count = plan->missing_count;
    return err != SLUICE_OK || plan->status < 0 ? err
                                                : tell(beat, plan->status, "%s", plan->detail);
}

static sl_err tell_shutdown(struct beat *beat)
{
    struct sl_bytes who = beat->group->shutdown;
    return who.data == NULL ? SLUICE_OK
                            : tell(beat, SLUICE_STREAMS_SHUTDOWN,
                                   "Streams group member %.*s encountered a fatal error and "
                                   "requested a shutdown for the entire application.",
                                   TEXT(who));
}

static sl_err put_tasks(struct beat *beat, bool moved)
{
    struct sluice_streams_heartbeat_answer *answer = &beat->answer->answer;
    struct streams_group *group = beat->group;
    if (beat->request->member_epoch != SLUICE_MEMBER_JOINS && !moved)
        return SLUICE_OK;
    struct sluice_streams_assignment *assignment =
        answer_arena_take(&beat->answer->arena, 1, sizeof *assignment);
    if (assignment == NULL)
        return SLUICE_E_NO_MEMORY;
    answer->assignment = assignment;
    if (beat->member->host.data != NULL && !beat->is_new_group) /* that of a new one is 0 */
        group->endpoint_epoch++;
    return streams_show_tasks(group, &beat->member->assigned, &beat->answer->arena, assignment);
}

static sl_err put_endpoints(struct beat *beat)
{
    struct sluice_streams_heartbeat_answer *answer = &beat->answer->answer;
    answer->endpoint_epoch = beat->group->endpoint_epoch;
    if (beat->group->endpoint_epoch == beat->request->endpoint_epoch)
        return SLUICE_OK;
    answer->has_endpoints = true;
    return streams_show_endpoints(beat->groups, beat->group, &beat->answer->arena,
                                  &answer->endpoints, &answer->endpoint_count);
}

static sl_err put_statuses(struct beat *beat)
{
    struct sluice_streams_status *copy =
        answer_arena_take(&beat->answer->arena, beat->status_count, sizeof *copy);
    if (copy == NULL)
        return SLUICE_E_NO_MEMORY;
    memcpy(copy, beat->statuses, beat->status_count * sizeof *copy);
    beat->answer->answer.statuses = copy;
    beat->answer->answer.status_count = beat->status_count;
    return SLUICE_OK;
}

static sl_err answer_fill(struct beat *beat, bool moved)
{
    struct sluice_streams_heartbeat_answer *answer = &beat->answer->answer;
    sl_err err = answer_arena_text(&beat->answer->arena, beat->id, &answer->member);
    answer->member_epoch = beat->member->base.epoch;
    answer->heartbeat_interval_ms = beat->config.heartbeat_interval_ms;
    err = err != SLUICE_OK ? err : put_tasks(beat, moved);
    err = err != SLUICE_OK ? err : put_endpoints(beat);
    err = err != SLUICE_OK ? err : tell_plan(beat);
    err = err != SLUICE_OK ? err : tell_shutdown(beat);
    return err != SLUICE_OK ? err : put_statuses(beat);
}

/* ---- joining, staying ---- */

static sl_err shutdown_take(struct beat *beat)
{
    bool changed = false;
    return beat->request->shutdown ? epoch_text_set(&beat->group->shutdown, beat->id, &changed)
                                   : SLUICE_OK;
}

static sl_err go_on(struct beat *beat)
{
    struct streams_groups *groups = beat->groups;
    bool moved = false;
    sl_err err = update(beat);
    err = err != SLUICE_OK ? err : tell_stale(beat);
    if (err != SLUICE_OK)
        return err;
    raise(beat);
    err = assign(beat);
    if (err == SLUICE_OK)
        err = streams_member_reconcile(groups, beat->member,
                                       beat->request->has_active ? &beat->owned : NULL, &moved);
    if (err != SLUICE_OK)
        return err;
    beat->member->base.session_deadline_ms = groups->base.now_ms + beat->config.session_timeout_ms;
    epoch_member_schedule(&groups->base, &beat->member->base);
    err = shutdown_take(beat);
    return err != SLUICE_OK ? err : answer_fill(beat, moved);
}

static sl_err join_or_stay(struct beat *beat)
{
    sl_err err = group_find(beat);
    err = err != SLUICE_OK ? err : member_find(beat);
    err = err != SLUICE_OK ? err : topology_take(beat);
    err = err != SLUICE_OK ? err : plan_refresh(beat);
    err = err != SLUICE_OK ? err : check_owned(beat);
    return err != SLUICE_OK ? err : go_on(beat);
}

/* ---- leaving ---- */

static sl_err leave(struct beat *beat)
{
    struct sl_bytes name = sl_of_text(beat->request->group);
    struct sluice_streams_heartbeat_answer *answer = &beat->answer->answer;
    beat->group = streams_group_get(beat->groups, name);
    if (beat->group == NULL)
        return say(beat, SLUICE_E_GROUP_NOT_FOUND, "Group %.*s not found.", TEXT(name));
    struct streams_member *member = streams_member_get(beat->groups, beat->group, beat->id);
    if (member == NULL)
        return say(beat, SLUICE_E_UNKNOWN_MEMBER, "Member %.*s is not a member of group %.*s.",
                   TEXT(beat->id), TEXT(name));
    sl_err err = shutdown_take(beat);
    err = err != SLUICE_OK ? err : streams_member_fence(beat->groups, member);
    answer->member_epoch = beat->request->member_epoch;
    return err != SLUICE_OK ? err
                            : answer_arena_text(&beat->answer->arena, beat->id, &answer->member);
}

/* ---- the call ---- */

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

void streams_answer_fini(struct streams_answer *answer)
{
    answer_arena_fini(&answer->arena);
    answer->answer = (struct sluice_streams_heartbeat_answer){0};
}

void streams_group_heartbeat(struct streams_groups *groups,
                             const struct sluice_streams_heartbeat *request,
                             const struct group_caller *client, int64_t now_ms,
                             struct streams_answer *ret_answer)
{
    struct beat beat = {.groups = groups,
                        .request = request,
                        .client = client,
                        .answer = ret_answer,
                        .id = sl_of_text(request->member)};
    ret_answer->answer =
        (struct sluice_streams_heartbeat_answer){.size = sizeof ret_answer->answer};
    groups->base.now_ms = now_ms;
    groups->configs.get(groups->configs.arg, sl_of_text(request->group), &beat.config);
    sl_err err = check(&beat);
    if (err == SLUICE_OK)
        err = request->member_epoch < 0 ? leave(&beat) : join_or_stay(&beat);
    if (err != SLUICE_OK)
        err = undo(&beat, err);
    ret_answer->answer.status = err;
    streams_tasks_fini(&beat.owned);
}
