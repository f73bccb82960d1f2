/* handle_group.c: the classic group protocol: JoinGroup, SyncGroup, Heartbeat, LeaveGroup
 * (KIP-62, KIP-345, KIP-394, KIP-559, KIP-814). Metadata and assignments are opaque bytes. */
#include "kafka_api.h"
#include "kafka_messages.h"
#include "kafka_status.h"

#define MEMBER_ID_SINCE     4 /* version of JoinGroup: a new member gets its id first */
#define NULL_PROTOCOL_SINCE 7 /* version of JoinGroup */
#define SKIP_SINCE          9 /* version of JoinGroup: the leader may be told not to assign */
#define MEMBERS_SINCE       3 /* version of LeaveGroup: several at once */
#define PROTOCOL_SINCE      5 /* version of SyncGroup: the protocol is named (KIP-559) */

/* ---- JoinGroup ---- */

static bool fill_members(struct kafka_call *call, const struct sluice_group_joined *joined,
                         struct kafka_join_group_response *response)
{
    response->members = kafka_call_try_take(call, joined->member_count, sizeof(*response->members));
    if (response->members == NULL) {
        return false;
    }
    response->members_count = (int32_t)joined->member_count;
    for (uint32_t i = 0; i < joined->member_count; i++) {
        struct kafka_join_group_response_member *member = &response->members[i];
        kafka_join_group_response_member_init(member);
        member->member_id = kafka_of_text_or_empty(joined->members[i].id);
        member->group_instance_id = kafka_of_text(joined->members[i].instance);
        member->metadata = kafka_of_bytes(joined->members[i].metadata);
    }
    return true;
}

static void joined_group(void *arg, const struct sluice_group_joined *joined)
{
    struct kafka_call *call = arg;
    struct kafka_join_group_response response;

    kafka_join_group_response_init(&response);
    response.error_code = kafka_status_code(joined->status);
    response.member_id = kafka_of_text_or_empty(joined->member);
    response.protocol_name =
        call->version >= NULL_PROTOCOL_SINCE ? kafka_null() : kafka_bytes("", 0);
    if (joined->status == SLUICE_OK) {
        response.generation_id = joined->generation;
        response.protocol_type = kafka_of_text(joined->protocol_type);
        response.protocol_name = call->version >= NULL_PROTOCOL_SINCE
                                     ? kafka_of_text(joined->protocol)
                                     : kafka_of_text_or_empty(joined->protocol);
        response.leader = kafka_of_text_or_empty(joined->leader);
        response.skip_assignment = call->version >= SKIP_SINCE && joined->skip_assignment;
        if (!fill_members(call, joined, &response)) {
            kafka_call_fail(call, "a join response does not fit", SLUICE_E_LIMIT);
            return;
        }
    }
    kafka_call_answer(call, &response);
}

void kafka_handle_join_group(struct kafka_call *call)
{
    const struct kafka_join_group_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    struct sluice_group_join *join = kafka_call_try_take(call, 1, sizeof(*join));
    struct sluice_group_protocol *protocols =
        kafka_call_try_take(call, request->protocols_count, sizeof(*protocols));

    if (join == NULL || protocols == NULL) {
        kafka_call_fail(call, "a join request does not fit", SLUICE_E_LIMIT);
        return;
    }
    for (int32_t i = 0; i < request->protocols_count; i++) {
        protocols[i].name = kafka_to_text(request->protocols[i].name);
        protocols[i].metadata = kafka_to_bytes(request->protocols[i].metadata);
    }
    *join = (struct sluice_group_join){
        .size = sizeof(*join),
        .session_timeout_ms = request->session_timeout_ms,
        .rebalance_timeout_ms = request->rebalance_timeout_ms,
        .protocol_count = (uint32_t)request->protocols_count,
        .group = kafka_to_text(request->group_id),
        .member = kafka_to_text(request->member_id),
        .instance = kafka_to_text(request->group_instance_id),
        .protocol_type = kafka_to_text(request->protocol_type),
        .protocols = protocols,
        .require_member_id = call->version >= MEMBER_ID_SINCE,
        .supports_skip_assignment = call->version >= SKIP_SINCE,
        .reason = kafka_to_text(request->reason),
    };
    broker->group_join(broker, kafka_call_context(call), join, joined_group, call);
}

/* Groups are not served here (kafka.groups: false): the member may find them elsewhere. */
void kafka_refuse_join_group(struct kafka_call *call)
{
    joined_group(call, &(struct sluice_group_joined){.status = SLUICE_E_COORDINATOR_NOT_AVAILABLE,
                                                     .generation = -1});
}

/* ---- SyncGroup ---- */

static void synced_group(void *arg, const struct sluice_group_synced *synced)
{
    struct kafka_call *call = arg;
    struct kafka_sync_group_response response;

    kafka_sync_group_response_init(&response);
    response.error_code = kafka_status_code(synced->status);
    if (synced->status == SLUICE_OK) {
        response.protocol_type = kafka_of_text(synced->protocol_type);
        response.protocol_name = kafka_of_text(synced->protocol);
        response.assignment = kafka_of_bytes(synced->assignment);
    }
    kafka_call_answer(call, &response);
}

void kafka_handle_sync_group(struct kafka_call *call)
{
    const struct kafka_sync_group_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    struct sluice_group_sync *sync = kafka_call_try_take(call, 1, sizeof(*sync));
    struct sluice_group_assignment *assignments =
        kafka_call_try_take(call, request->assignments_count, sizeof(*assignments));

    if (sync == NULL || assignments == NULL) {
        kafka_call_fail(call, "a sync request does not fit", SLUICE_E_LIMIT);
        return;
    }
    if (call->version >= PROTOCOL_SINCE &&
        (kafka_is_null(request->protocol_type) || kafka_is_null(request->protocol_name))) {
        synced_group(call,
                     &(struct sluice_group_synced){.status = SLUICE_E_INCONSISTENT_GROUP_PROTOCOL});
        return;
    }
    for (int32_t i = 0; i < request->assignments_count; i++) {
        assignments[i].member = kafka_to_text(request->assignments[i].member_id);
        assignments[i].assignment = kafka_to_bytes(request->assignments[i].assignment);
    }
    *sync = (struct sluice_group_sync){
        .size = sizeof(*sync),
        .generation = request->generation_id,
        .group = kafka_to_text(request->group_id),
        .member = kafka_to_text(request->member_id),
        .instance = kafka_to_text(request->group_instance_id),
        .protocol_type = kafka_to_text(request->protocol_type),
        .protocol = kafka_to_text(request->protocol_name),
        .assignment_count = (uint32_t)request->assignments_count,
        .assignments = assignments,
    };
    broker->group_sync(broker, kafka_call_context(call), sync, synced_group, call);
}

/* ---- Heartbeat ---- */

static void heard(void *arg, sluice_status status)
{
    struct kafka_call *call = arg;
    struct kafka_heartbeat_response response;

    kafka_heartbeat_response_init(&response);
    response.error_code = kafka_status_code(status);
    kafka_call_answer(call, &response);
}

void kafka_handle_heartbeat(struct kafka_call *call)
{
    const struct kafka_heartbeat_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    struct sluice_group_identity *identity = kafka_call_take(call, 1, sizeof(*identity));

    if (identity == NULL) {
        return;
    }
    *identity = (struct sluice_group_identity){
        .size = sizeof(*identity),
        .generation = request->generation_id,
        .group = kafka_to_text(request->group_id),
        .member = kafka_to_text(request->member_id),
        .instance = kafka_to_text(request->group_instance_id),
    };
    broker->group_heartbeat(broker, kafka_call_context(call), identity, heard, call);
}

/* ---- LeaveGroup ---- */

static void answer_left(struct kafka_call *call, sluice_status status,
                        const sluice_status *statuses, uint32_t count)
{
    const struct kafka_leave_group_request *request = call->request;
    struct kafka_leave_group_response *response = call->response;

    if (call->version < MEMBERS_SINCE) {
        status = status == SLUICE_OK && count > 0 ? statuses[0] : status;
    } else if (status == SLUICE_OK || status == SLUICE_E_UNKNOWN_MEMBER) {
        status = SLUICE_OK; /* of a group that is not there, too, each has its own */
        for (uint32_t i = 0; i < count; i++) {
            struct kafka_leave_group_response_member *member = &response->members[i];
            kafka_leave_group_response_member_init(member);
            member->member_id = request->members[i].member_id;
            member->group_instance_id = request->members[i].group_instance_id;
            member->error_code = kafka_status_code(statuses[i]);
        }
        response->members_count = (int32_t)count;
    }
    response->error_code = kafka_status_code(status);
    kafka_call_answer(call, response);
}

static void left(void *arg, sluice_status status, const sluice_status *statuses, uint32_t count)
{
    answer_left(arg, status, statuses, count);
}

/* Up to version 2 one member names itself. */
static uint32_t lay_out_leavers(const struct kafka_call *call,
                                struct sluice_group_leave_entry *entries)
{
    const struct kafka_leave_group_request *request = call->request;

    if (call->version < MEMBERS_SINCE) {
        entries[0].member = kafka_to_text(request->member_id);
        return 1;
    }
    for (int32_t i = 0; i < request->members_count; i++) {
        entries[i].member = kafka_to_text(request->members[i].member_id);
        entries[i].instance = kafka_to_text(request->members[i].group_instance_id);
        entries[i].reason = kafka_to_text(request->members[i].reason);
    }
    return (uint32_t)request->members_count;
}

void kafka_handle_leave_group(struct kafka_call *call)
{
    const struct kafka_leave_group_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    int64_t room = (int64_t)request->members_count + 1;
    struct kafka_leave_group_response *response = kafka_call_try_take(call, 1, sizeof(*response));
    struct sluice_group_leave *leave = kafka_call_try_take(call, 1, sizeof(*leave));
    struct sluice_group_leave_entry *entries = kafka_call_try_take(call, room, sizeof(*entries));

    call->response = response;
    if (response == NULL || leave == NULL || entries == NULL) {
        kafka_call_fail(call, "a leave request does not fit", SLUICE_E_LIMIT);
        return;
    }
    kafka_leave_group_response_init(response);
    response->members = kafka_call_take(call, room, sizeof(*response->members));
    if (response->members == NULL) {
        return;
    }
    *leave = (struct sluice_group_leave){
        .size = sizeof(*leave),
        .group = kafka_to_text(request->group_id),
        .entry_count = lay_out_leavers(call, entries),
        .entries = entries,
    };
    broker->group_leave(broker, kafka_call_context(call), leave, left, call);
}
