/* admin_ends.c: topic.ends: where the partitions of several topics end, in one question. For those
 * who look again and again, as tap does. */
#include "control/admin_request.h"

#include <string.h>

#define ENDS_TOPICS_MAX     1000u
#define ENDS_PARTITIONS_MAX 20000u

struct ends {
    struct sluice_topic_ref *topics; /* owned; names borrow from the request */
    uint32_t topic_count;
    struct sluice_offset_query *queries; /* owned */
    uint32_t query_count;
};

static void ends_free(void *state)
{
    struct ends *ends = state;
    sl_free(ends->topics);
    sl_free(ends->queries);
    sl_free(ends);
}

static void ends_found(void *arg, const struct sluice_offset_answer *answers, uint32_t count)
{
    struct admin_request *request = arg;
    const struct ends *ends = request->state;
    request->result = cJSON_CreateObject();
    cJSON *array = cJSON_AddArrayToObject(request->result, "partitions");
    for (uint32_t i = 0; i < count && i < ends->query_count; i++) {
        if (answers[i].status != SLUICE_OK) {
            continue; /* it went meanwhile */
        }
        cJSON *object = cJSON_CreateObject();
        admin_add_text(object, "topic", ends->queries[i].topic.name);
        cJSON_AddNumberToObject(object, "partition", ends->queries[i].partition);
        admin_add_int64(object, "end", answers[i].offset);
        cJSON_AddItemToArray(array, object);
    }
    admin_reply(request);
}

static uint32_t partitions_count(const struct sluice_topic_info *topics, uint32_t count)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += topics[i].status == SLUICE_OK ? topics[i].partition_count : 0;
    }
    return sum;
}

static void topics_found(void *arg, const struct sluice_topic_info *topics, uint32_t count)
{
    struct admin_request *request = arg;
    const struct sluice_broker *broker = admin_broker(request);
    struct ends *ends = request->state;
    uint32_t wanted = partitions_count(topics, count);
    ends->queries = sl_alloc_zero((size_t)wanted + 1, sizeof(*ends->queries));
    if (wanted > ENDS_PARTITIONS_MAX || ends->queries == NULL) {
        admin_fail(request, ends->queries == NULL ? SLUICE_E_NO_MEMORY : SLUICE_E_LIMIT,
                   "at most 20,000 partitions at once");
        return;
    }
    for (uint32_t i = 0; i < count && i < ends->topic_count; i++) {
        for (uint32_t k = 0; topics[i].status == SLUICE_OK && k < topics[i].partition_count; k++) {
            ends->queries[ends->query_count++] =
                (struct sluice_offset_query){.topic = ends->topics[i],
                                             .partition = topics[i].partitions[k].partition,
                                             .leader_epoch = -1,
                                             .timestamp = SLUICE_TIME_LATEST};
        }
    }
    broker->offsets(broker, admin_context(request), SLUICE_ISOLATION_UNCOMMITTED, ends->queries,
                    ends->query_count, ends_found, request);
}

static bool topics_take(const cJSON *list, struct ends *ends)
{
    const cJSON *item;
    uint32_t count = (uint32_t)cJSON_GetArraySize(list);
    ends->topics = sl_alloc_zero((size_t)count + 1, sizeof(*ends->topics));
    if (!cJSON_IsArray(list) || count == 0 || count > ENDS_TOPICS_MAX || ends->topics == NULL) {
        return false;
    }
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsString(item)) {
            return false;
        }
        ends->topics[ends->topic_count++].name = sluice_text_of(item->valuestring);
    }
    return true;
}

void admin_topic_ends(struct admin_request *request)
{
    const struct sluice_broker *broker = admin_broker(request);
    struct ends *ends = sl_alloc_zero(1, sizeof(*ends));
    if (ends == NULL) {
        admin_fail(request, SLUICE_E_NO_MEMORY, "");
        return;
    }
    request->state = ends;
    request->release = ends_free;
    if (!topics_take(cJSON_GetObjectItemCaseSensitive(request->args, "topics"), ends)) {
        admin_fail(request, SLUICE_E_INVALID, "\"topics\" is a list of 1 to 1,000 names");
        return;
    }
    broker->topics(broker, admin_context(request), ends->topics, ends->topic_count, false,
                   topics_found, request);
}
