/* handle_topic_pages.c: DescribeTopicPartitions (KIP-966): topics in pages.
 *
 * Topics come in the order of their names, as many partitions as the client takes, 2000 at most;
 * the cursor in an answer says where the next page begins. A page stands for itself: what was made
 * or deleted between two of them is seen or not. Named topics that the client may not describe are
 * at the end of the page that they would be on. */
#include "kafka_api.h"
#include "kafka_messages.h"
#include "kafka_status.h"

#include <stdlib.h>

#define PAGE_PARTITIONS_MAX 2000 /* max.request.partition.size.limit */

typedef struct kafka_describe_topic_partitions_request_cursor request_cursor;
typedef struct kafka_describe_topic_partitions_response_topic page_topic;
typedef struct kafka_describe_topic_partitions_response_partition page_partition;

/* A page that is being filled. */
struct page {
    struct kafka_call *call;
    struct kafka_describe_topic_partitions_response response;
    page_topic *refused;
    int32_t refused_count;
    int32_t remaining; /* partitions */
};

static int compare_texts(struct sluice_text a, struct sluice_text b)
{
    uint64_t size = a.size < b.size ? a.size : b.size;
    int order = size == 0 ? 0 : memcmp(a.data, b.data, (size_t)size);

    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare_refs(const void *a, const void *b)
{
    return compare_texts(((const struct sluice_topic_ref *)a)->name,
                         ((const struct sluice_topic_ref *)b)->name);
}

static int compare_infos(const void *a, const void *b)
{
    return compare_texts(((const struct sluice_topic_info *)a)->name,
                         ((const struct sluice_topic_info *)b)->name);
}

static struct sluice_text cursor_name(const request_cursor *cursor)
{
    return cursor == NULL ? sluice_text_of("") : kafka_to_text_or_empty(cursor->topic_name);
}

static void fill_partition(const struct sluice_partition_info *info, page_partition *partition,
                           int32_t *node)
{
    kafka_describe_topic_partitions_response_partition_init(partition);
    partition->error_code = kafka_status_code(info->status);
    if (info->status == SLUICE_OK && info->leader_id < 0) {
        partition->error_code = KAFKA_LEADER_NOT_AVAILABLE;
    }
    partition->partition_index = info->partition;
    partition->leader_id = info->leader_id;
    partition->leader_epoch = info->leader_epoch;
    partition->eligible_leader_replicas_count = partition->last_known_elr_count = 0;
    *node = info->leader_id;
    if (info->leader_id >= 0) {
        partition->replica_nodes = partition->isr_nodes = node;
        partition->replica_nodes_count = partition->isr_nodes_count = 1;
    }
}

/* The topic's partitions from the cursor on, as many as fit; the rest is the next page's. */
static bool fill_partitions(struct page *page, const struct sluice_topic_info *info,
                            page_topic *topic)
{
    struct kafka_call *call = page->call;
    const struct kafka_describe_topic_partitions_request *request = call->request;
    bool at_cursor =
        request->cursor != NULL && compare_texts(info->name, cursor_name(request->cursor)) == 0;
    int64_t first = at_cursor ? request->cursor->partition_index : 0;
    int64_t left = (int64_t)info->partition_count - first;
    int32_t count = (int32_t)(left < 0 ? 0 : left < page->remaining ? left : page->remaining);
    int32_t *nodes = kafka_call_try_take(call, count, sizeof(*nodes));

    topic->partitions = kafka_call_try_take(call, count, sizeof(*topic->partitions));
    if (nodes == NULL || topic->partitions == NULL) {
        return false;
    }
    topic->partitions_count = count;
    for (int32_t i = 0; i < count; i++) {
        fill_partition(&info->partitions[first + i], &topic->partitions[i], &nodes[i]);
    }
    page->remaining -= count;
    if (count < left) {
        page->response.next_cursor =
            kafka_call_try_take(call, 1, sizeof(*page->response.next_cursor));
        if (page->response.next_cursor == NULL) {
            return false;
        }
        page->response.next_cursor->topic_name = topic->name;
        page->response.next_cursor->partition_index = (int32_t)first + count;
    }
    return true;
}

static bool end_page(struct page *page, const struct sluice_topic_info *info)
{
    page->response.next_cursor =
        kafka_call_try_take(page->call, 1, sizeof(*page->response.next_cursor));
    return page->response.next_cursor != NULL &&
           kafka_call_copy(page->call, kafka_of_text_or_empty(info->name),
                           &page->response.next_cursor->topic_name);
}

/* false: no room. */
static bool add_topic(struct page *page, const struct sluice_topic_info *info)
{
    struct kafka_call *call = page->call;
    page_topic *topic;

    if (info->status == SLUICE_E_TOPIC_AUTHORIZATION) {
        topic = &page->refused[page->refused_count++];
        kafka_describe_topic_partitions_response_topic_init(topic);
        topic->error_code = kafka_status_code(info->status);
        return kafka_call_copy(call, kafka_of_text_or_empty(info->name), &topic->name);
    }
    if (page->remaining == 0) {
        return end_page(page, info);
    }
    topic = &page->response.topics[page->response.topics_count++];
    kafka_describe_topic_partitions_response_topic_init(topic);
    topic->error_code = kafka_status_code(info->status);
    topic->topic_authorized_operations =
        kafka_operations(call, SLUICE_ACL_TOPIC, info->name, KAFKA_TOPIC_OPERATIONS);
    if (!kafka_call_copy(call, kafka_of_text_or_empty(info->name), &topic->name)) {
        return false;
    }
    if (info->status != SLUICE_OK) {
        return true;
    }
    topic->topic_id = kafka_of_uuid(info->id);
    topic->is_internal = info->internal;
    return fill_partitions(page, info, topic);
}

static bool fill_page(struct page *page, const struct sluice_topic_info *infos, uint32_t count)
{
    const struct kafka_describe_topic_partitions_request *request = page->call->request;
    int32_t limit = request->response_partition_limit;

    page->response.topics = kafka_call_try_take(page->call, count, sizeof(page_topic));
    page->refused = kafka_call_try_take(page->call, count, sizeof(page_topic));
    if (page->response.topics == NULL || page->refused == NULL) {
        return false;
    }
    page->remaining = limit < 1 ? 1 : limit < PAGE_PARTITIONS_MAX ? limit : PAGE_PARTITIONS_MAX;
    for (uint32_t i = 0; i < count && page->response.next_cursor == NULL; i++) {
        if (compare_texts(infos[i].name, cursor_name(request->cursor)) >= 0 &&
            !add_topic(page, &infos[i])) {
            return false;
        }
    }
    for (int32_t i = 0; i < page->refused_count; i++) {
        page->response.topics[page->response.topics_count++] = page->refused[i];
    }
    return true;
}

static void listed(void *arg, const struct sluice_topic_info *topics, uint32_t count)
{
    struct kafka_call *call = arg;
    struct page page = {.call = call};
    struct sluice_topic_info *infos = kafka_call_try_take(call, count, sizeof(*infos));
    bool ok = infos != NULL;

    kafka_describe_topic_partitions_response_init(&page.response);
    if (ok && count > 0 && kafka_conn_is_open(call->conn)) {
        memcpy(infos, topics, count * sizeof(*infos));
        qsort(infos, count, sizeof(*infos), compare_infos);
        ok = fill_page(&page, infos, count);
    }
    if (!ok) {
        kafka_call_fail(call, "a page of topics does not fit", SLUICE_E_LIMIT);
        return;
    }
    kafka_call_answer(call, &page.response);
}

/* The names asked for and that of the cursor, which may be gone; each once, in order. */
static uint32_t lay_out(const struct kafka_describe_topic_partitions_request *request,
                        struct sluice_topic_ref *refs)
{
    uint32_t count = 0;
    uint32_t kept = 0;

    for (int32_t i = 0; i < request->topics_count; i++) {
        refs[count++].name = kafka_to_text(request->topics[i].name);
    }
    if (request->cursor != NULL) {
        refs[count++].name = cursor_name(request->cursor);
    }
    qsort(refs, count, sizeof(*refs), compare_refs);
    for (uint32_t i = 0; i < count; i++) {
        if ((i == 0 || compare_refs(&refs[i - 1], &refs[i]) != 0) &&
            compare_texts(refs[i].name, cursor_name(request->cursor)) >= 0) {
            refs[kept++] = refs[i];
        }
    }
    return kept;
}

/* The cursor is not one of ours. */
static void refuse(struct kafka_call *call)
{
    const struct kafka_describe_topic_partitions_request *request = call->request;
    struct kafka_describe_topic_partitions_response response;

    kafka_describe_topic_partitions_response_init(&response);
    response.topics = kafka_call_take(call, request->topics_count, sizeof(*response.topics));
    if (response.topics == NULL) {
        return;
    }
    response.topics_count = request->topics_count;
    for (int32_t i = 0; i < request->topics_count; i++) {
        kafka_describe_topic_partitions_response_topic_init(&response.topics[i]);
        response.topics[i].name = request->topics[i].name;
        response.topics[i].error_code = kafka_status_code(SLUICE_E_INVALID_REQUEST);
    }
    kafka_call_answer(call, &response);
}

void kafka_handle_describe_topic_partitions(struct kafka_call *call)
{
    const struct kafka_describe_topic_partitions_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    struct sluice_topic_ref *refs = NULL;
    uint32_t count = 0;

    if (request->cursor != NULL && request->cursor->partition_index < 0) {
        refuse(call);
        return;
    }
    if (request->topics_count > 0) {
        refs = kafka_call_take(call, (int64_t)request->topics_count + 1, sizeof(*refs));
        if (refs == NULL) {
            return;
        }
        count = lay_out(request, refs);
    }
    broker->topics(broker, kafka_call_context(call), refs, count, false, listed, call);
}
