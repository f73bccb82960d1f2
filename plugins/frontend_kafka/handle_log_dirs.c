/* handle_log_dirs.c: DescribeLogDirs (KIP-113, KIP-827, KIP-1066), AlterReplicaLogDirs (KIP-113).
 *
 * There is one data directory. A partition's size is that of its record batches, which lie together
 * with others' in the files there. A replica can only be moved to the directory that it is in. */
#include "kafka_api.h"
#include "kafka_messages.h"
#include "kafka_status.h"
#include "kafka_text.h"

#define LOG_DIR_NOT_FOUND 57

/* ---- DescribeLogDirs ---- */

static bool is_same_topic(const struct sluice_partition_usage *a,
                          const struct sluice_partition_usage *b)
{
    return a->topic.size == b->topic.size &&
           memcmp(a->topic.data, b->topic.data, (size_t)a->topic.size) == 0;
}

/* Those of one topic stand together. */
static bool fill_topics(struct kafka_call *call, const struct sluice_log_dir *dir,
                        struct kafka_describe_log_dirs_response_result *result)
{
    uint32_t count = dir->partition_count;
    struct kafka_describe_log_dirs_response_partition *partitions =
        kafka_call_try_take(call, count, sizeof(*partitions));
    struct kafka_describe_log_dirs_response_topic *topic = NULL;

    result->topics = kafka_call_try_take(call, count, sizeof(*result->topics));
    if (partitions == NULL || result->topics == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct sluice_partition_usage *usage = &dir->partitions[i];
        if (i == 0 || !is_same_topic(&dir->partitions[i - 1], usage)) {
            topic = &result->topics[result->topics_count++];
            kafka_describe_log_dirs_response_topic_init(topic);
            topic->partitions = &partitions[i];
            if (!kafka_call_copy(call, kafka_of_text_or_empty(usage->topic), &topic->name)) {
                return false;
            }
        }
        topic->partitions_count++;
        kafka_describe_log_dirs_response_partition_init(&partitions[i]);
        partitions[i].partition_index = usage->partition;
        partitions[i].partition_size = usage->bytes;
    }
    return true;
}

static bool fill_dirs(struct kafka_call *call, const struct sluice_log_dir *dirs, uint32_t count,
                      struct kafka_describe_log_dirs_response *response)
{
    bool ok;

    response->results = kafka_call_try_take(call, count, sizeof(*response->results));
    ok = response->results != NULL;
    response->results_count = (int32_t)count;
    for (uint32_t i = 0; ok && i < count; i++) {
        struct kafka_describe_log_dirs_response_result *result = &response->results[i];
        kafka_describe_log_dirs_response_result_init(result);
        result->error_code = kafka_status_code(dirs[i].status);
        result->total_bytes = dirs[i].total_bytes;
        result->usable_bytes = dirs[i].usable_bytes;
        ok = kafka_call_copy(call, kafka_of_text_or_empty(dirs[i].path), &result->log_dir) &&
             fill_topics(call, &dirs[i], result);
    }
    return ok;
}

static void dirs_told(void *arg, sluice_status status, const struct sluice_log_dir *dirs,
                      uint32_t count)
{
    struct kafka_call *call = arg;
    struct kafka_describe_log_dirs_response response;

    kafka_describe_log_dirs_response_init(&response);
    response.error_code = kafka_status_code(status);
    if (status == SLUICE_OK && !fill_dirs(call, dirs, count, &response)) {
        kafka_call_fail(call, "the partitions do not fit into an answer", SLUICE_E_LIMIT);
        return;
    }
    kafka_call_answer(call, &response);
}

void kafka_handle_describe_log_dirs(struct kafka_call *call)
{
    const struct kafka_describe_log_dirs_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    struct sluice_partition_ref *refs = NULL;
    int64_t count = 0;
    uint32_t at = 0;

    for (int32_t i = 0; i < request->topics_count; i++) {
        count += request->topics[i].partitions_count;
    }
    if (request->topics_count >= 0) {
        refs = kafka_call_take(call, count + 1, sizeof(*refs));
        if (refs == NULL) {
            return;
        }
    }
    for (int32_t i = 0; i < request->topics_count; i++) {
        for (int32_t j = 0; j < request->topics[i].partitions_count; j++) {
            refs[at++] = (struct sluice_partition_ref){
                .topic = {.name = kafka_to_text(request->topics[i].topic)},
                .partition = request->topics[i].partitions[j]};
        }
    }
    broker->log_dirs(broker, kafka_call_context(call), refs, at, dirs_told, call);
}

/* ---- AlterReplicaLogDirs ---- */

typedef struct kafka_alter_replica_log_dirs_response_partition moved_partition;

/* What is under way: first the directory's name is looked up, then the partitions. */
struct moves {
    struct sluice_partition_ref *refs;
    moved_partition **slots;
    struct kafka_bytes *paths; /* where each is to go */
    uint32_t count;
    struct kafka_bytes own; /* the directory that is there */
};

static void moves_found(void *arg, sluice_status status, const sluice_status *statuses,
                        uint32_t count)
{
    struct kafka_call *call = arg;
    const struct moves *moves = call->slots;

    for (uint32_t i = 0; i < moves->count; i++) {
        bool is_here = kafka_bytes_equal(moves->paths[i], moves->own);
        sluice_status own = status == SLUICE_OK && i < count ? statuses[i] : status;
        bool wrong_dir = status == SLUICE_OK && !is_here;
        moves->slots[i]->error_code = wrong_dir ? LOG_DIR_NOT_FOUND : kafka_status_code(own);
    }
    kafka_call_answer(call, call->response);
}

static void own_dir_told(void *arg, sluice_status status, const struct sluice_log_dir *dirs,
                         uint32_t count)
{
    struct kafka_call *call = arg;
    const struct sluice_broker *broker;
    struct moves *moves = call->slots;

    if (!kafka_conn_is_open(call->conn)) {
        kafka_call_answer(call, call->response);
        return;
    }
    moves->own = kafka_string("");
    if (status != SLUICE_OK || count == 0 ||
        !kafka_call_copy(call, kafka_of_text_or_empty(dirs[0].path), &moves->own)) {
        moves_found(call, status == SLUICE_OK ? SLUICE_E_NO_MEMORY : status, NULL, 0);
        return;
    }
    broker = kafka_call_broker(call);
    broker->partitions_find(broker, kafka_call_context(call), SLUICE_OP_ALTER, moves->refs,
                            moves->count, moves_found, call);
}

static bool lay_out_dir(struct kafka_call *call,
                        const struct kafka_alter_replica_log_dirs_request_dir *dir,
                        struct kafka_alter_replica_log_dirs_response_result *results,
                        struct moves *moves)
{
    for (int32_t i = 0; i < dir->topics_count; i++) {
        const struct kafka_alter_replica_log_dirs_request_topic *from = &dir->topics[i];
        struct kafka_alter_replica_log_dirs_response_result *to = &results[i];
        kafka_alter_replica_log_dirs_response_result_init(to);
        to->topic_name = from->name;
        to->partitions_count = from->partitions_count;
        to->partitions = kafka_call_try_take(call, from->partitions_count, sizeof(moved_partition));
        if (to->partitions == NULL) {
            return false;
        }
        for (int32_t j = 0; j < from->partitions_count; j++, moves->count++) {
            kafka_alter_replica_log_dirs_response_partition_init(&to->partitions[j]);
            to->partitions[j].partition_index = from->partitions[j];
            moves->slots[moves->count] = &to->partitions[j];
            moves->paths[moves->count] = dir->path;
            moves->refs[moves->count] = (struct sluice_partition_ref){
                .topic = {.name = kafka_to_text(from->name)}, .partition = from->partitions[j]};
        }
    }
    return true;
}

static struct moves *moves_new(struct kafka_call *call,
                               const struct kafka_alter_replica_log_dirs_request *request,
                               int64_t *ret_topic_count)
{
    struct moves *moves = kafka_call_try_take(call, 1, sizeof(*moves));
    int64_t topics = 0;
    int64_t count = 0;

    for (int32_t i = 0; i < request->dirs_count; i++) {
        topics += request->dirs[i].topics_count;
        for (int32_t j = 0; j < request->dirs[i].topics_count; j++) {
            count += request->dirs[i].topics[j].partitions_count;
        }
    }
    if (moves == NULL) {
        return NULL;
    }
    moves->refs = kafka_call_try_take(call, count, sizeof(*moves->refs));
    moves->slots = kafka_call_try_take(call, count, sizeof(*moves->slots));
    moves->paths = kafka_call_try_take(call, count, sizeof(*moves->paths));
    *ret_topic_count = topics;
    return moves->refs == NULL || moves->slots == NULL || moves->paths == NULL ? NULL : moves;
}

void kafka_handle_alter_replica_log_dirs(struct kafka_call *call)
{
    const struct kafka_alter_replica_log_dirs_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    struct kafka_alter_replica_log_dirs_response *response =
        kafka_call_try_take(call, 1, sizeof(*response));
    int64_t topic_count = 0;
    struct moves *moves = moves_new(call, request, &topic_count);
    struct kafka_alter_replica_log_dirs_response_result *results =
        kafka_call_try_take(call, topic_count, sizeof(*results));
    bool ok = response != NULL && moves != NULL && results != NULL;

    if (ok) {
        kafka_alter_replica_log_dirs_response_init(response);
        response->results = results;
        response->results_count = (int32_t)topic_count;
    }
    for (int32_t i = 0; ok && i < request->dirs_count; i++) {
        ok = lay_out_dir(call, &request->dirs[i], results, moves);
        results += request->dirs[i].topics_count;
    }
    if (!ok) {
        kafka_call_fail(call, "a request names too many partitions", SLUICE_E_LIMIT);
        return;
    }
    call->response = response;
    call->slots = moves;
    /* Who may change the cluster may describe it, unless a rule says otherwise. */
    if (!kafka_may(call, SLUICE_OP_ALTER, SLUICE_ACL_CLUSTER,
                   sluice_text_of(SLUICE_CLUSTER_NAME))) {
        moves_found(call, SLUICE_E_CLUSTER_AUTHORIZATION, NULL, 0);
        return;
    }
    broker->log_dirs(broker, kafka_call_context(call), moves->refs, 0, own_dir_told, call);
}
