/* handle_share.c: ShareFetch and ShareAcknowledge (KIP-932, KIP-1206, KIP-1222).
 *
 * Both go by the member's share session. What is read are the session's partitions, beginning with
 * another one each time so that none starves; acknowledgements are those of the request. A full
 * answer (of epoch 0) tells of every partition, others of those with something to tell. */
#include "kafka_api.h"
#include "kafka_messages.h"
#include "kafka_status.h"

#include <stdlib.h>

#define RENEW_SINCE 2 /* version */

/* What a call needs when the broker answers. */
struct share_state {
    struct sluice_share_fetch fetch;
    struct sluice_share_entry *entries; /* those with acknowledgements first */
    bool is_full;
};

/* A partition of either request. */
struct named {
    struct sluice_uuid topic;
    int32_t partition;
    uint32_t ack_count;
    const void *acks; /* of the codec's type */
};

static struct share_sessions *sessions_of(const struct kafka_call *call)
{
    return &call->conn->frontend->share_sessions;
}

/* ---- sessions ---- */

static sluice_status check_session(const struct share_session *session, int32_t epoch)
{
    if (session == NULL) {
        return SLUICE_E_SHARE_SESSION_NOT_FOUND;
    }
    return session->epoch == epoch || epoch == SHARE_EPOCH_FINAL
               ? SLUICE_OK
               : SLUICE_E_INVALID_SHARE_SESSION_EPOCH;
}

static sluice_status update_session(const struct kafka_call *call, struct share_session *session)
{
    const struct kafka_share_fetch_request *request = call->request;
    for (int32_t t = 0; t < request->topics_count; t++) {
        struct sluice_uuid id = kafka_to_uuid(request->topics[t].topic_id);
        for (int32_t p = 0; p < request->topics[t].partitions_count; p++) {
            if (!share_session_add(session, id, request->topics[t].partitions[p].partition_index)) {
                share_session_free(sessions_of(call), session);
                return SLUICE_E_SHARE_SESSION_NOT_FOUND;
            }
        }
    }
    for (int32_t t = 0; t < request->forgotten_topics_data_count; t++) {
        struct sluice_uuid id = kafka_to_uuid(request->forgotten_topics_data[t].topic_id);
        for (int32_t p = 0; p < request->forgotten_topics_data[t].partitions_count; p++) {
            share_session_forget(session, id, request->forgotten_topics_data[t].partitions[p]);
        }
    }
    return SLUICE_OK;
}

/* ret_session: what is read; NULL: nothing. */
static sluice_status resolve_fetch(struct kafka_call *call, struct share_state *state,
                                   struct share_session **ret_session)
{
    const struct kafka_share_fetch_request *request = call->request;
    struct share_session *session =
        share_session_find(sessions_of(call), state->fetch.group, state->fetch.member);
    int32_t epoch = request->share_session_epoch;

    *ret_session = NULL;
    if (epoch == SHARE_EPOCH_INITIAL) {
        session = share_session_new(sessions_of(call), state->fetch.group, state->fetch.member,
                                    call->conn);
        if (session == NULL) {
            return SLUICE_E_SHARE_SESSION_LIMIT;
        }
        state->is_full = true;
    } else {
        sluice_status status = check_session(session, epoch);
        if (status != SLUICE_OK) {
            return status;
        }
        if (epoch == SHARE_EPOCH_FINAL) {
            share_session_free(sessions_of(call), session);
            state->fetch.flags |= SLUICE_SHARE_LEAVES;
            return SLUICE_OK;
        }
        share_session_advance(session);
    }
    *ret_session = session;
    return update_session(call, session);
}

/* ---- what is asked ---- */

static bool add_entry(struct kafka_call *call, struct share_state *state, const struct named *named,
                      bool reads, bool may_renew, sluice_status *ret_status)
{
    /* Both requests have the same batches. */
    const struct kafka_share_fetch_request_acknowledgement_batch *from = named->acks;
    struct sluice_share_ack *acks = kafka_call_try_take(call, named->ack_count, sizeof(*acks));
    if (acks == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < named->ack_count; i++) {
        acks[i] =
            (struct sluice_share_ack){.first = from[i].first_offset,
                                      .last = from[i].last_offset,
                                      .types = from[i].acknowledge_types,
                                      .type_count = (uint32_t)from[i].acknowledge_types_count};
        for (uint32_t k = 0; !may_renew && k < acks[i].type_count; k++) {
            if (acks[i].types[k] == SLUICE_SHARE_RENEW) {
                *ret_status = SLUICE_E_INVALID_REQUEST;
            }
        }
    }
    state->entries[state->fetch.entry_count++] =
        (struct sluice_share_entry){.topic = {.name = {"", 0}, .id = named->topic},
                                    .partition = named->partition,
                                    .reads = reads,
                                    .ack_count = named->ack_count,
                                    .acks = acks};
    return true;
}

/* The session's partitions that the request says nothing of, from another one on each time. */
static void add_rest(struct share_state *state, const struct share_session *session)
{
    uint32_t named_count = state->fetch.entry_count;
    uint32_t count = session->partition_count;
    for (uint32_t i = 0; i < count; i++) {
        const struct share_session_partition *at =
            &session->partitions[(i + (uint32_t)session->epoch) % count];
        bool is_named = false;
        for (uint32_t k = 0; k < named_count && !is_named; k++) {
            const struct sluice_share_entry *entry = &state->entries[k];
            is_named = entry->partition == at->partition &&
                       memcmp(entry->topic.id.bytes, at->topic.bytes, sizeof(at->topic.bytes)) == 0;
        }
        if (!is_named) {
            state->entries[state->fetch.entry_count++] =
                (struct sluice_share_entry){.topic = {.name = {"", 0}, .id = at->topic},
                                            .partition = at->partition,
                                            .reads = true};
        }
    }
}

static bool lay_out_fetch(struct kafka_call *call, struct share_state *state,
                          const struct share_session *session, sluice_status *ret_status)
{
    const struct kafka_share_fetch_request *request = call->request;
    bool may_renew = call->version >= RENEW_SINCE && request->is_renew_ack;
    int64_t room = session != NULL ? session->partition_count : 0;
    bool ok = true;

    for (int32_t t = 0; t < request->topics_count; t++) {
        room += request->topics[t].partitions_count;
    }
    state->entries = kafka_call_try_take(call, room, sizeof(*state->entries));
    ok = state->entries != NULL;
    for (int32_t t = 0; ok && t < request->topics_count; t++) {
        const struct kafka_share_fetch_request_topic *topic = &request->topics[t];
        for (int32_t p = 0; ok && p < topic->partitions_count; p++) {
            const struct kafka_share_fetch_request_partition *partition = &topic->partitions[p];
            const struct named named = {kafka_to_uuid(topic->topic_id), partition->partition_index,
                                        (uint32_t)(partition->acknowledgement_batches_count > 0
                                                       ? partition->acknowledgement_batches_count
                                                       : 0),
                                        partition->acknowledgement_batches};
            bool reads =
                session != NULL && share_session_has(session, named.topic, named.partition);
            if (named.ack_count > 0 && request->share_session_epoch == SHARE_EPOCH_INITIAL) {
                *ret_status = SLUICE_E_INVALID_REQUEST;
            }
            if (reads || named.ack_count > 0) {
                ok = add_entry(call, state, &named, reads, may_renew, ret_status);
            }
        }
    }
    if (ok && session != NULL) {
        add_rest(state, session);
    }
    state->fetch.entries = state->entries;
    return ok;
}

/* ---- the answer ---- */

typedef struct kafka_share_fetch_response_partition fetch_partition;

static bool fill_partition(struct kafka_call *call, const struct sluice_share_entry *entry,
                           const struct sluice_share_result *result, fetch_partition *partition)
{
    kafka_share_fetch_response_partition_init(partition);
    partition->partition_index = entry->partition;
    partition->error_code = kafka_status_code(result->status);
    partition->acknowledge_error_code = kafka_status_code(result->ack_status);
    partition->current_leader.leader_id = -1;
    partition->current_leader.leader_epoch = -1;
    partition->records = (struct kafka_records){.data = result->records.data,
                                                .size = (int32_t)result->records.size,
                                                .token = result->records_token};
    partition->acquired_records =
        kafka_call_try_take(call, result->acquired_count, sizeof(*partition->acquired_records));
    if (partition->acquired_records == NULL) {
        return false;
    }
    partition->acquired_records_count = (int32_t)result->acquired_count;
    for (uint32_t i = 0; i < result->acquired_count; i++) {
        partition->acquired_records[i] = (struct kafka_share_fetch_response_acquired_record){
            result->acquired[i].first, result->acquired[i].last,
            (int16_t)result->acquired[i].deliveries};
    }
    return true;
}

/* How many partitions carry records, or -1. */
static int64_t fill(struct kafka_call *call, const struct sluice_share_result *results,
                    struct kafka_share_fetch_response *response)
{
    const struct share_state *state = call->slots;
    uint32_t count = state->fetch.entry_count;
    fetch_partition *partitions = kafka_call_try_take(call, count, sizeof(*partitions));
    const struct sluice_share_entry *before = NULL;
    int64_t records_count = 0;
    uint32_t at = 0;

    response->responses = kafka_call_try_take(call, count, sizeof(*response->responses));
    if (partitions == NULL || response->responses == NULL) {
        return -1;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct sluice_share_entry *entry = &state->entries[i];
        bool is_news = state->is_full || entry->ack_count > 0 || results[i].status != SLUICE_OK ||
                       results[i].acquired_count > 0;
        if (!is_news) {
            continue;
        }
        if (!fill_partition(call, entry, &results[i], &partitions[at])) {
            return -1;
        }
        records_count += partitions[at].records.size > 0;
        if (before == NULL || memcmp(before->topic.id.bytes, entry->topic.id.bytes,
                                     sizeof(entry->topic.id.bytes)) != 0) {
            struct kafka_share_fetch_response_topic *topic =
                &response->responses[response->responses_count++];
            kafka_share_fetch_response_topic_init(topic);
            topic->topic_id = kafka_of_uuid(entry->topic.id);
            topic->partitions = &partitions[at];
        }
        response->responses[response->responses_count - 1].partitions_count++;
        before = entry;
        at++;
    }
    return records_count;
}

static void answer_fetch(void *arg, sluice_status status, int32_t lock_ms,
                         const struct sluice_share_result *results, uint32_t count)
{
    struct kafka_call *call = arg;
    const struct share_state *state = call->slots;
    struct kafka_share_fetch_response response;
    int64_t records_count = 0;

    kafka_share_fetch_response_init(&response);
    response.error_code = kafka_status_code(status);
    response.acquisition_lock_timeout_ms = lock_ms;
    if (status == SLUICE_OK && count == state->fetch.entry_count &&
        kafka_conn_is_open(call->conn)) {
        records_count = fill(call, results, &response);
    }
    if (records_count < 0) {
        kafka_call_fail(call, "a share fetch response does not fit", SLUICE_E_LIMIT);
        return;
    }
    kafka_call_answer_spliced(call, &response, (uint32_t)records_count);
}

static void refuse_fetch(struct kafka_call *call, sluice_status status)
{
    struct kafka_share_fetch_response response;
    kafka_share_fetch_response_init(&response);
    response.error_code = kafka_status_code(status);
    kafka_call_answer(call, &response);
}

static bool may_fetch(const struct kafka_call *call, struct sluice_text group)
{
    return kafka_may(call, SLUICE_OP_READ, SLUICE_ACL_GROUP, group);
}

void kafka_handle_share_fetch(struct kafka_call *call)
{
    const struct kafka_share_fetch_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    struct share_state *state = kafka_call_take(call, 1, sizeof(*state));
    struct share_session *session = NULL;
    sluice_status status = SLUICE_OK;

    if (state == NULL) {
        return;
    }
    call->slots = state;
    state->fetch = (struct sluice_share_fetch){
        .size = sizeof(state->fetch),
        .flags = request->share_acquire_mode == 1 ? SLUICE_SHARE_EXACT : 0,
        .group = kafka_to_text_or_empty(request->group_id),
        .member = kafka_to_text_or_empty(request->member_id),
        .bytes_max = request->max_bytes,
        .bytes_min = request->min_bytes,
        .wait_ms = request->max_wait_ms,
        .records_max = request->max_records,
        .batch_records = request->batch_size};
    if (state->fetch.group.size == 0 || state->fetch.member.size == 0 ||
        request->share_acquire_mode < 0 || request->share_acquire_mode > 1) {
        refuse_fetch(call, SLUICE_E_INVALID_REQUEST);
        return;
    }
    if (!may_fetch(call, state->fetch.group)) {
        refuse_fetch(call, SLUICE_E_GROUP_AUTHORIZATION);
        return;
    }
    status = resolve_fetch(call, state, &session);
    if (status == SLUICE_OK && !lay_out_fetch(call, state, session, &status)) {
        kafka_call_fail(call, "a share fetch request names too many partitions", SLUICE_E_LIMIT);
        return;
    }
    if (status != SLUICE_OK) {
        refuse_fetch(call, status);
        return;
    }
    broker->share_fetch(broker, kafka_call_context(call), &state->fetch, answer_fetch, call);
}

/* ---- ShareAcknowledge ---- */

static bool fill_acknowledged(struct kafka_call *call, const struct sluice_share_result *results,
                              struct kafka_share_acknowledge_response *response)
{
    const struct share_state *state = call->slots;
    const struct kafka_share_acknowledge_request *request = call->request;
    uint32_t at = 0;

    response->responses =
        kafka_call_try_take(call, request->topics_count, sizeof(*response->responses));
    if (response->responses == NULL) {
        return false;
    }
    response->responses_count = request->topics_count;
    for (int32_t t = 0; t < request->topics_count; t++) {
        struct kafka_share_acknowledge_response_topic *topic = &response->responses[t];
        int32_t count = request->topics[t].partitions_count;
        kafka_share_acknowledge_response_topic_init(topic);
        topic->topic_id = request->topics[t].topic_id;
        topic->partitions = kafka_call_try_take(call, count, sizeof(*topic->partitions));
        if (topic->partitions == NULL) {
            return false;
        }
        topic->partitions_count = count;
        for (int32_t p = 0; p < count; p++, at++) {
            struct kafka_share_acknowledge_response_partition *partition = &topic->partitions[p];
            kafka_share_acknowledge_response_partition_init(partition);
            partition->partition_index = state->entries[at].partition;
            partition->error_code = kafka_status_code(results[at].ack_status);
            partition->current_leader.leader_id = -1;
            partition->current_leader.leader_epoch = -1;
        }
    }
    return true;
}

static void answer_acknowledge(void *arg, sluice_status status, int32_t lock_ms,
                               const struct sluice_share_result *results, uint32_t count)
{
    struct kafka_call *call = arg;
    const struct share_state *state = call->slots;
    struct kafka_share_acknowledge_response response;

    kafka_share_acknowledge_response_init(&response);
    response.error_code = kafka_status_code(status);
    response.acquisition_lock_timeout_ms = lock_ms;
    if (status == SLUICE_OK && count == state->fetch.entry_count &&
        !fill_acknowledged(call, results, &response)) {
        kafka_call_fail(call, "a share acknowledge response does not fit", SLUICE_E_LIMIT);
        return;
    }
    kafka_call_answer(call, &response);
}

static void refuse_acknowledge(struct kafka_call *call, sluice_status status)
{
    struct kafka_share_acknowledge_response response;
    kafka_share_acknowledge_response_init(&response);
    response.error_code = kafka_status_code(status);
    kafka_call_answer(call, &response);
}

static sluice_status resolve_acknowledge(struct kafka_call *call, struct share_state *state)
{
    const struct kafka_share_acknowledge_request *request = call->request;
    struct share_session *session =
        share_session_find(sessions_of(call), state->fetch.group, state->fetch.member);
    int32_t epoch = request->share_session_epoch;
    if (epoch == SHARE_EPOCH_INITIAL) {
        return SLUICE_E_INVALID_SHARE_SESSION_EPOCH;
    }
    sluice_status status = check_session(session, epoch);
    if (status == SLUICE_OK && epoch == SHARE_EPOCH_FINAL) {
        share_session_free(sessions_of(call), session);
        state->fetch.flags |= SLUICE_SHARE_LEAVES;
    } else if (status == SLUICE_OK) {
        share_session_advance(session);
    }
    return status;
}

static bool lay_out_acknowledge(struct kafka_call *call, struct share_state *state,
                                sluice_status *ret_status)
{
    const struct kafka_share_acknowledge_request *request = call->request;
    bool may_renew = call->version >= RENEW_SINCE && request->is_renew_ack;
    int64_t room = 0;
    bool ok = true;

    for (int32_t t = 0; t < request->topics_count; t++) {
        room += request->topics[t].partitions_count;
    }
    state->entries = kafka_call_try_take(call, room, sizeof(*state->entries));
    ok = state->entries != NULL;
    for (int32_t t = 0; ok && t < request->topics_count; t++) {
        const struct kafka_share_acknowledge_request_topic *topic = &request->topics[t];
        for (int32_t p = 0; ok && p < topic->partitions_count; p++) {
            const struct kafka_share_acknowledge_request_partition *partition =
                &topic->partitions[p];
            const struct named named = {kafka_to_uuid(topic->topic_id), partition->partition_index,
                                        (uint32_t)(partition->acknowledgement_batches_count > 0
                                                       ? partition->acknowledgement_batches_count
                                                       : 0),
                                        partition->acknowledgement_batches};
            ok = add_entry(call, state, &named, false, may_renew, ret_status);
        }
    }
    state->fetch.entries = state->entries;
    return ok;
}

void kafka_handle_share_acknowledge(struct kafka_call *call)
{
    const struct kafka_share_acknowledge_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    struct share_state *state = kafka_call_take(call, 1, sizeof(*state));
    sluice_status status = SLUICE_OK;

    if (state == NULL) {
        return;
    }
    call->slots = state;
    state->fetch =
        (struct sluice_share_fetch){.size = sizeof(state->fetch),
                                    .group = kafka_to_text_or_empty(request->group_id),
                                    .member = kafka_to_text_or_empty(request->member_id)};
    if (state->fetch.group.size == 0 || state->fetch.member.size == 0) {
        refuse_acknowledge(call, SLUICE_E_INVALID_REQUEST);
        return;
    }
    if (!may_fetch(call, state->fetch.group)) {
        refuse_acknowledge(call, SLUICE_E_GROUP_AUTHORIZATION);
        return;
    }
    status = resolve_acknowledge(call, state);
    if (status == SLUICE_OK && !lay_out_acknowledge(call, state, &status)) {
        kafka_call_fail(call, "a share acknowledge request names too much", SLUICE_E_LIMIT);
        return;
    }
    if (status != SLUICE_OK) {
        refuse_acknowledge(call, status);
        return;
    }
    broker->share_fetch(broker, kafka_call_context(call), &state->fetch, answer_acknowledge, call);
}

_Static_assert(sizeof(struct kafka_share_fetch_request_acknowledgement_batch) ==
                   sizeof(struct kafka_share_acknowledge_request_acknowledgement_batch),
               "both requests have the same batches");

/* ---- connections that end ---- */

struct leaving {
    struct sluice_share_fetch fetch;
    struct kafka_frontend *frontend;
    char texts[];
};

static void left(void *arg, sluice_status status, int32_t lock_ms,
                 const struct sluice_share_result *results, uint32_t count)
{
    struct leaving *leaving = arg;
    struct kafka_frontend *frontend = leaving->frontend;
    (void)status;
    (void)lock_ms;
    (void)results;
    (void)count;
    free(leaving);
    kafka_frontend_unref(frontend);
}

void kafka_share_conn_closed(struct kafka_conn *conn)
{
    struct kafka_frontend *frontend = conn->frontend;
    struct share_session *session = share_session_of(&frontend->share_sessions, conn);
    while (session != NULL) {
        size_t size = (size_t)session->group_size + session->member_size;
        struct leaving *leaving = malloc(sizeof(*leaving) + size);
        if (leaving != NULL) { /* else its locks end by themselves */
            memcpy(leaving->texts, session->texts, size);
            leaving->frontend = frontend;
            leaving->fetch = (struct sluice_share_fetch){
                .size = sizeof(leaving->fetch),
                .flags = SLUICE_SHARE_LEAVES,
                .group = {leaving->texts, session->group_size},
                .member = {leaving->texts + session->group_size, session->member_size}};
        }
        share_session_free(&frontend->share_sessions, session);
        if (leaving != NULL) {
            frontend->refs++;
            frontend->broker->share_fetch(frontend->broker, &conn->context, &leaving->fetch, left,
                                          leaving);
        }
        session = share_session_of(&frontend->share_sessions, conn);
    }
}
