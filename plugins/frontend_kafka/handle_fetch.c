/* handle_fetch.c: Fetch (KIP-74, KIP-227, KIP-320, KIP-392, KIP-516).
 *
 * Kinds of request: without a session (below version 7, or epoch -1), opening one (epoch 0), and
 * incremental. Full answers carry every partition asked for, incremental ones those that changed.
 * Records are sent from where the broker has them. An error in a partition, or a request without
 * partitions, is answered at once; waiting for bytes is the broker's.
 *
 * last_fetched_epoch (version 12, KIP-595; -1 from most clients) is answered with DivergingEpoch
 * where what was read last is not of this log: topics that are acknowledged before they are synced
 * may lose their end in a power cut. An offset beyond the end is OFFSET_OUT_OF_RANGE, and
 * current_leader_epoch is checked as KIP-320 says (FENCED or UNKNOWN_LEADER_EPOCH). */
#include "kafka_api.h"
#include "kafka_legacy.h"
#include "kafka_messages.h"
#include "kafka_status.h"
#include "kafka_throttle.h"

#define SESSIONS_SINCE 7  /* version */
#define BY_ID_SINCE    13 /* version */

/* What the call needs when the broker answers. */
struct fetch_state {
    struct sluice_fetch_entry *entries; /* names lie in the call */
    uint32_t entry_count;
    int32_t session_id; /* 0: none */
    bool incremental;
};

static int64_t now_ms(const struct kafka_call *call)
{
    const struct sluice_frontend_host *io = call->conn->frontend->io;
    return io->now_ms(io);
}

static struct fetch_sessions *sessions_of(const struct kafka_call *call)
{
    return &call->conn->frontend->sessions;
}

/* ---- the answer ---- */

static bool same_topic(const struct sluice_topic_ref *a, const struct sluice_topic_ref *b)
{
    return a->name.size == b->name.size &&
           (a->name.data == b->name.data || a->name.size == 0 ||
            memcmp(a->name.data, b->name.data, (size_t)a->name.size) == 0) &&
           memcmp(a->id.bytes, b->id.bytes, sizeof(a->id.bytes)) == 0;
}

/* Aborted transactions: null unless the client reads committed records only. */
static bool fill_aborted(struct kafka_call *call, const struct sluice_fetch_result *result,
                         struct kafka_fetch_response_partition *partition)
{
    const struct kafka_fetch_request *request = call->request;

    if (request->isolation_level != SLUICE_ISOLATION_COMMITTED) {
        partition->aborted_transactions_count = -1;
        return true;
    }
    partition->aborted_transactions =
        kafka_call_try_take(call, result->aborted_count, sizeof(*partition->aborted_transactions));
    if (partition->aborted_transactions == NULL) {
        return false;
    }
    partition->aborted_transactions_count = (int32_t)result->aborted_count;
    for (uint32_t i = 0; i < result->aborted_count; i++) {
        partition->aborted_transactions[i] = (struct kafka_fetch_response_aborted_transaction){
            result->aborted[i].producer_id, result->aborted[i].first_offset};
    }
    return true;
}

static bool is_nameless(const struct sluice_topic_ref *topic)
{
    static const struct sluice_uuid none;
    return topic->name.size == 0 && memcmp(&topic->id, &none, sizeof(none)) == 0;
}

/* What is refused before the log is looked at has an empty list of aborted transactions, what is
 * refused there none. */
static void refuse_partition(const struct kafka_call *call, const struct sluice_fetch_entry *entry,
                             sluice_status status, struct kafka_fetch_response_partition *partition)
{
    if (status == SLUICE_E_UNKNOWN_TOPIC && call->version >= BY_ID_SINCE &&
        is_nameless(&entry->topic)) {
        status = SLUICE_E_UNKNOWN_TOPIC_ID;
    }
    bool is_early = status == SLUICE_E_UNKNOWN_TOPIC || status == SLUICE_E_UNKNOWN_TOPIC_ID ||
                    status == SLUICE_E_TOPIC_AUTHORIZATION;
    partition->error_code = kafka_status_code(status);
    partition->aborted_transactions_count = is_early ? 0 : -1;
}

static bool fill_partition(struct kafka_call *call, const struct sluice_fetch_entry *entry,
                           const struct sluice_fetch_result *result,
                           struct kafka_fetch_response_partition *partition)
{
    kafka_fetch_response_partition_init(partition);
    partition->partition_index = entry->partition;
    partition->high_watermark = -1;
    if (result->status != SLUICE_OK) {
        refuse_partition(call, entry, result->status, partition);
        return true;
    }
    partition->high_watermark = result->high_watermark;
    partition->last_stable_offset = result->last_stable_offset;
    partition->log_start_offset = result->log_start_offset;
    if (result->diverging_epoch > 0) {
        partition->diverging_epoch.epoch = result->diverging_epoch;
        partition->diverging_epoch.end_offset = result->diverging_end_offset;
    }
    partition->records = (struct kafka_records){
        .data = result->records.data,
        .size = (int32_t)result->records.size,
        .token = result->records_token,
    };
    return fill_aborted(call, result, partition);
}

/* Consecutive partitions of one topic share an entry of the response. */
static void add_to_topics(struct kafka_fetch_response *response,
                          const struct sluice_fetch_entry *entry,
                          const struct sluice_fetch_entry *before,
                          struct kafka_fetch_response_partition *partition)
{
    struct kafka_fetch_response_topic *topic;

    if (before != NULL && same_topic(&before->topic, &entry->topic)) {
        response->responses[response->responses_count - 1].partitions_count++;
        return;
    }
    topic = &response->responses[response->responses_count++];
    kafka_fetch_response_topic_init(topic);
    topic->topic = kafka_of_text_or_empty(entry->topic.name);
    topic->topic_id = kafka_of_uuid(entry->topic.id);
    topic->partitions = partition;
    topic->partitions_count = 1;
}

/* Fills in what is to be told; returns how many partitions carry records, or -1. */
static int64_t fill(struct kafka_call *call, const struct sluice_fetch_result *results,
                    struct kafka_fetch_response *response)
{
    const struct fetch_state *state = call->slots;
    struct fetch_session *session = fetch_session_find(sessions_of(call), state->session_id);
    struct kafka_fetch_response_partition *partitions =
        kafka_call_try_take(call, state->entry_count, sizeof(*partitions));
    const struct sluice_fetch_entry *before = NULL;
    uint32_t at = 0;
    int64_t records_count = 0;

    response->responses =
        kafka_call_try_take(call, state->entry_count, sizeof(*response->responses));
    if (partitions == NULL || response->responses == NULL) {
        return -1;
    }
    for (uint32_t i = 0; i < state->entry_count; i++) {
        const struct sluice_fetch_entry *entry = &state->entries[i];
        bool news = session == NULL || fetch_session_note(session, entry, &results[i]);
        if (state->incremental && !news) {
            continue;
        }
        if (!fill_partition(call, entry, &results[i], &partitions[at])) {
            return -1;
        }
        records_count += partitions[at].records.size > 0;
        add_to_topics(response, entry, before, &partitions[at]);
        before = entry;
        at++;
    }
    return records_count;
}

/* Who was sent too much is answered without records, to ask again later; what was not sent was not
 * used. A session that begins with such an answer does not exist, as clients expect (KIP-219). One
 * batch may be more than all windows allow: who has used up nothing gets it, else it would never.
 */
static bool is_throttled(struct kafka_call *call, const struct sluice_fetch_result *results,
                         uint32_t count)
{
    struct fetch_state *state = call->slots;
    int64_t bytes = 0;
    bool is_free;
    int32_t wait_ms;

    for (uint32_t i = 0; i < count; i++) {
        bytes += (int64_t)results[i].records.size;
    }
    is_free = bytes >= kafka_throttle_allowance(call, SLUICE_QUOTA_FETCH) &&
              kafka_throttle_owed(call, SLUICE_QUOTA_FETCH) == 0;
    wait_ms = kafka_throttle_charge(call, SLUICE_QUOTA_FETCH, bytes);
    if (wait_ms == 0 || is_free) {
        return false;
    }
    kafka_throttle_charge(call, SLUICE_QUOTA_FETCH, -bytes);
    call->throttle_ms = wait_ms;
    if (!state->incremental) {
        struct fetch_session *session = fetch_session_find(sessions_of(call), state->session_id);
        if (session != NULL) {
            fetch_session_free(sessions_of(call), session);
        }
        state->session_id = 0;
    }
    return true;
}

static void answer(void *arg, const struct sluice_fetch_result *results, uint32_t count,
                   int32_t throttle_ms)
{
    struct kafka_call *call = arg;
    const struct fetch_state *state = call->slots;
    struct kafka_fetch_response response;
    int64_t records_count = 0;

    kafka_fetch_response_init(&response);
    call->throttle_ms = throttle_ms;
    if (is_throttled(call, results, count)) {
        count = 0;
    }
    response.session_id = state->session_id;
    response.throttle_time_ms = call->throttle_ms;
    if (count > 0 && count == state->entry_count && kafka_conn_is_open(call->conn)) {
        records_count = fill(call, results, &response);
    }
    if (records_count < 0) {
        kafka_call_fail(call, "a fetch response does not fit", SLUICE_E_LIMIT);
        return;
    }
    kafka_call_answer_spliced(call, &response, (uint32_t)records_count);
}

static void refuse(struct kafka_call *call, sluice_status status)
{
    struct kafka_fetch_response response;
    kafka_fetch_response_init(&response);
    response.error_code = kafka_status_code(status);
    kafka_call_answer(call, &response);
}

/* ---- the request ---- */

static int64_t count_partitions(const struct kafka_fetch_request *request)
{
    int64_t count = 0;
    for (int32_t i = 0; i < request->topics_count; i++) {
        count += request->topics[i].partitions_count;
    }
    return count;
}

/* The entries that the request names itself. */
static bool name_entries(struct kafka_call *call, struct fetch_state *state)
{
    const struct kafka_fetch_request *request = call->request;
    int64_t count = count_partitions(request);
    uint32_t at = 0;

    state->entries = kafka_call_try_take(call, count, sizeof(*state->entries));
    if (state->entries == NULL) {
        return false;
    }
    for (int32_t i = 0; i < request->topics_count; i++) {
        const struct kafka_fetch_request_topic *topic = &request->topics[i];
        for (int32_t j = 0; j < topic->partitions_count; j++) {
            const struct kafka_fetch_request_partition *partition = &topic->partitions[j];
            state->entries[at++] = (struct sluice_fetch_entry){
                .topic = {.name = kafka_to_text_or_empty(topic->topic),
                          .id = kafka_to_uuid(topic->topic_id)},
                .partition = partition->partition,
                .leader_epoch = partition->current_leader_epoch,
                .offset = partition->fetch_offset,
                .bytes_max = partition->partition_max_bytes,
                .last_epoch = partition->last_fetched_epoch,
            };
        }
    }
    state->entry_count = at;
    return true;
}

/* The entries that the session holds; names are copied, once a run of equal topics. */
static bool take_entries(struct kafka_call *call, const struct fetch_session *session,
                         struct fetch_state *state)
{
    struct sluice_topic_ref topic = {{NULL, 0}, {{0}}};
    uint32_t at = 0;

    state->entries = kafka_call_try_take(call, session->partition_count, sizeof(*state->entries));
    if (state->entries == NULL) {
        return false;
    }
    for (const struct fetch_partition *p = session->first; p != NULL; p = p->next) {
        struct sluice_topic_ref next = {{p->name, p->name_size}, p->topic_id};
        if (at == 0 || !same_topic(&topic, &next)) {
            struct kafka_bytes copy;
            if (!kafka_call_copy(call, kafka_of_text_or_empty(next.name), &copy)) {
                return false;
            }
            topic = (struct sluice_topic_ref){kafka_to_text_or_empty(copy), p->topic_id};
        }
        state->entries[at++] = (struct sluice_fetch_entry){
            .topic = topic,
            .partition = p->partition,
            .leader_epoch = p->leader_epoch,
            .offset = p->offset,
            .bytes_max = p->bytes_max,
            .last_epoch = p->last_epoch,
        };
    }
    state->entry_count = at;
    return true;
}

static void forget(struct kafka_call *call, struct fetch_session *session)
{
    const struct kafka_fetch_request *request = call->request;
    for (int32_t i = 0; i < request->forgotten_topics_data_count; i++) {
        const struct kafka_fetch_request_forgotten_topic *topic =
            &request->forgotten_topics_data[i];
        const struct sluice_topic_ref ref = {kafka_to_text_or_empty(topic->topic),
                                             kafka_to_uuid(topic->topic_id)};
        for (int32_t j = 0; j < topic->partitions_count; j++) {
            fetch_session_forget(sessions_of(call), session, &ref, topic->partitions[j]);
        }
    }
}

/* Puts the named entries into the session. */
static bool remember(struct kafka_call *call, struct fetch_session *session,
                     const struct fetch_state *state)
{
    for (uint32_t i = 0; i < state->entry_count; i++) {
        if (!fetch_session_set(sessions_of(call), session, &state->entries[i])) {
            fetch_session_free(sessions_of(call), session);
            return false;
        }
    }
    return true;
}

/* Epoch 0: a new session if there is room for it; the client does without otherwise. */
static void open_session(struct kafka_call *call, struct fetch_state *state)
{
    struct fetch_session *session =
        fetch_session_new(sessions_of(call), call->version >= BY_ID_SINCE, now_ms(call));
    if (session != NULL) {
        int32_t id = session->id;
        state->session_id = remember(call, session, state) ? id : 0;
    }
}

static sluice_status check_session(const struct kafka_call *call,
                                   const struct fetch_session *session)
{
    const struct kafka_fetch_request *request = call->request;
    if (session == NULL) {
        return SLUICE_E_FETCH_SESSION_NOT_FOUND;
    }
    if (session->epoch != request->session_epoch) {
        return SLUICE_E_INVALID_FETCH_SESSION_EPOCH;
    }
    return session->by_id == (call->version >= BY_ID_SINCE) ? SLUICE_OK
                                                            : SLUICE_E_FETCH_SESSION_TOPIC_ID;
}

static sluice_status continue_session(struct kafka_call *call, struct fetch_state *state)
{
    const struct kafka_fetch_request *request = call->request;
    struct fetch_session *session = fetch_session_find(sessions_of(call), request->session_id);
    sluice_status status = check_session(call, session);

    if (status != SLUICE_OK) {
        return status;
    }
    if (!remember(call, session, state)) {
        return SLUICE_E_FETCH_SESSION_NOT_FOUND;
    }
    forget(call, session);
    if (!take_entries(call, session, state)) {
        return SLUICE_E_LIMIT;
    }
    if (session->partition_count == 0) { /* nothing is left: the session ends */
        fetch_session_free(sessions_of(call), session);
        return SLUICE_OK;
    }
    fetch_session_advance(sessions_of(call), session, now_ms(call));
    state->session_id = session->id;
    state->incremental = true;
    return SLUICE_OK;
}

static sluice_status resolve_session(struct kafka_call *call, struct fetch_state *state)
{
    const struct kafka_fetch_request *request = call->request;
    struct fetch_session *old;

    if (call->version < SESSIONS_SINCE) {
        return SLUICE_OK;
    }
    if (request->session_epoch != FETCH_EPOCH_INITIAL &&
        request->session_epoch != FETCH_EPOCH_FINAL) {
        return continue_session(call, state);
    }
    old = request->session_id == 0 ? NULL
                                   : fetch_session_find(sessions_of(call), request->session_id);
    if (old != NULL) {
        fetch_session_free(sessions_of(call), old);
    }
    if (request->session_epoch == FETCH_EPOCH_INITIAL && state->entry_count > 0) {
        open_session(call, state);
    }
    return SLUICE_OK;
}

static void start(struct kafka_call *call, const struct fetch_state *state)
{
    const struct kafka_fetch_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    const int64_t allowance = kafka_throttle_allowance(call, SLUICE_QUOTA_FETCH);
    const struct sluice_fetch fetch = {
        .size = sizeof(fetch),
        .bytes_max = allowance < request->max_bytes ? (int32_t)allowance : request->max_bytes,
        .bytes_min = request->min_bytes,
        .wait_ms = request->max_wait_ms,
        .isolation = request->isolation_level,
        .entry_count = state->entry_count,
        .entries = state->entries,
    };

    if (state->entry_count == 0) {
        answer(call, NULL, 0, 0);
        return;
    }
    if (call->version < KAFKA_LEGACY_FETCH_BELOW) {
        kafka_legacy_fetch(call, &fetch, state->entries, answer);
        return;
    }
    broker->fetch(broker, kafka_call_context(call), &fetch, answer, call);
}

void kafka_handle_fetch(struct kafka_call *call)
{
    struct fetch_state *state = kafka_call_take(call, 1, sizeof(*state));
    sluice_status status;

    if (state == NULL) {
        return;
    }
    call->slots = state;
    if (!name_entries(call, state)) {
        kafka_call_fail(call, "a fetch request names too many partitions", SLUICE_E_LIMIT);
        return;
    }
    status = resolve_session(call, state);
    if (status == SLUICE_E_LIMIT) {
        kafka_call_fail(call, "a fetch session has too many partitions", status);
        return;
    }
    if (status != SLUICE_OK) {
        refuse(call, status);
        return;
    }
    start(call, state);
}
