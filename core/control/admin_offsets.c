/* admin_offsets.c: topic.offsets: where the partitions of a topic start and end, and which offset
 * they have at one or two times; all at one moment's asking. */
#include "control/admin_request.h"

#define OFFSETS_TIMES_MAX      2u
#define OFFSETS_PARTITIONS_MAX 10000u

struct offsets {
    struct sluice_topic_ref topic;
    int64_t times[OFFSETS_TIMES_MAX]; /* ms since 1970; asked for even if not told */
    bool is_asked[OFFSETS_TIMES_MAX];
    struct sluice_offset_query *queries; /* owned; start, end and the times of each partition */
    uint32_t query_count;
};

static void offsets_free(void *state)
{
    struct offsets *offsets = state;
    sl_free(offsets->queries);
    sl_free(offsets);
}

static cJSON *partition_make(const struct offsets *offsets, const struct sluice_offset_query *query,
                             const struct sluice_offset_answer *answers)
{
    static const char *const members[OFFSETS_TIMES_MAX] = {"at_time", "at_time_to"};
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "partition", query->partition);
    admin_add_int64(object, "start", answers[0].offset);
    admin_add_int64(object, "end", answers[1].offset);
    for (uint32_t i = 0; i < OFFSETS_TIMES_MAX; i++) {
        bool found = answers[2 + i].status == SLUICE_OK && answers[2 + i].offset >= 0;
        if (offsets->is_asked[i]) {
            admin_add_int64(object, members[i], found ? answers[2 + i].offset : -1);
        }
    }
    return object;
}

static void offsets_found(void *arg, const struct sluice_offset_answer *answers, uint32_t count)
{
    struct admin_request *request = arg;
    const struct offsets *offsets = request->state;
    const uint32_t step = 2 + OFFSETS_TIMES_MAX;
    SL_ASSERT(count == offsets->query_count);
    for (uint32_t i = 0; i < count; i += step) {
        sl_err err = answers[i].status != SLUICE_OK ? answers[i].status : answers[i + 1].status;
        if (err != SLUICE_OK) {
            admin_fail(request, err, admin_arg_text(request, "topic"));
            return;
        }
    }
    request->result = cJSON_CreateObject();
    cJSON *array = cJSON_AddArrayToObject(request->result, "partitions");
    for (uint32_t i = 0; i < count; i += step) {
        cJSON_AddItemToArray(array, partition_make(offsets, &offsets->queries[i], &answers[i]));
    }
    admin_reply(request);
}

static void queries_add(struct offsets *offsets, int32_t partition)
{
    int64_t times[2 + OFFSETS_TIMES_MAX] = {SLUICE_TIME_EARLIEST, SLUICE_TIME_LATEST,
                                            offsets->times[0], offsets->times[1]};
    for (uint32_t i = 0; i < 2 + OFFSETS_TIMES_MAX; i++) {
        offsets->queries[offsets->query_count++] =
            (struct sluice_offset_query){.topic = offsets->topic,
                                         .partition = partition,
                                         .leader_epoch = -1,
                                         .timestamp = times[i]};
    }
}

static void topic_found(void *arg, const struct sluice_topic_info *topics, uint32_t count)
{
    struct admin_request *request = arg;
    const struct sluice_broker *broker = admin_broker(request);
    struct offsets *offsets = request->state;
    SL_ASSERT(count == 1);
    if (topics->status != SLUICE_OK || topics->partition_count > OFFSETS_PARTITIONS_MAX) {
        admin_fail(request, topics->status != SLUICE_OK ? topics->status : SLUICE_E_LIMIT,
                   admin_arg_text(request, "topic"));
        return;
    }
    offsets->queries = sl_alloc_zero((size_t)topics->partition_count * (2 + OFFSETS_TIMES_MAX) + 1,
                                     sizeof(*offsets->queries));
    if (offsets->queries == NULL) {
        admin_fail(request, SLUICE_E_NO_MEMORY, "");
        return;
    }
    for (uint32_t i = 0; i < topics->partition_count; i++) {
        queries_add(offsets, topics->partitions[i].partition);
    }
    broker->offsets(broker, admin_context(request), SLUICE_ISOLATION_UNCOMMITTED, offsets->queries,
                    offsets->query_count, offsets_found, request);
}

void admin_topic_offsets(struct admin_request *request)
{
    static const char *const names[OFFSETS_TIMES_MAX] = {"time", "time_to"};
    const struct sluice_broker *broker = admin_broker(request);
    if (!admin_topic_take(request)) {
        return;
    }
    struct offsets *offsets = sl_alloc_zero(1, sizeof(*offsets));
    request->state = offsets;
    request->release = offsets_free;
    if (offsets == NULL) {
        request->release = NULL;
        admin_fail(request, SLUICE_E_NO_MEMORY, "");
        return;
    }
    offsets->topic = request->topic;
    for (uint32_t i = 0; i < OFFSETS_TIMES_MAX; i++) {
        if (!admin_arg_int(request, names[i], 0, INT64_MAX, 0, &offsets->times[i])) {
            admin_fail(request, SLUICE_E_INVALID, "\"time\" and \"time_to\" are ms since 1970");
            return;
        }
        offsets->is_asked[i] = cJSON_HasObjectItem(request->args, names[i]);
    }
    broker->topics(broker, admin_context(request), &offsets->topic, 1, false, topic_found, request);
}
