/* share_metrics.c: see share_metrics.h. */
#include "broker/share_metrics.h"

#include "shard/partition.h"

static int64_t lag_of_stream(const struct shard *shard, const struct share_stream *stream)
{
    const struct topic *topic = catalog_by_id(shard->catalog, &stream->topic);
    const struct partition *partition =
        topic == NULL ? NULL : partition_find(topic, stream->partition);
    return partition == NULL ? 0 : share_stream_lag(stream, partition_end(partition));
}

/* Returns how many streams that were. */
static uint32_t measure(const struct shard *shard, struct share_owner_group *group)
{
    uint32_t seen = 0;
    int64_t lag = 0;
    for (const struct sl_link *link = group->streams.head.next;
         link != &group->streams.head && seen <= SHARE_METRIC_STREAMS_MAX; link = link->next) {
        lag += lag_of_stream(shard, SL_CONTAINER_OF(link, struct share_stream, in_group));
        seen++;
    }
    group->counts[SHARE_COUNT_LAG] = seen > SHARE_METRIC_STREAMS_MAX ? 0 : lag;
    return seen;
}

static void tell(struct share_owner_group *group, struct sl_metric_writer *writer, size_t first)
{
    for (uint32_t i = 0; i < SHARE_COUNT_COUNT; i++) {
        int64_t more = group->counts[i] - group->told[i];
        if (more != 0) {
            sl_metric_add(sl_metric_series(writer, first + i, &group->name), (uint64_t)more);
            group->told[i] = group->counts[i];
        }
    }
}

static void tell_gone(struct shard *shard, struct sl_metric_writer *writer, size_t first)
{
    struct sl_link *link;
    while ((link = sl_list_pop_front(&shard->shares.gone)) != NULL) {
        struct share_owner_group *group = SL_CONTAINER_OF(link, struct share_owner_group, in_ring);
        tell(group, writer, first);
        sl_free(group);
    }
}

void share_metrics_publish(struct shard *shard, struct sl_metric_writer *writer, size_t first)
{
    struct share_store *store = &shard->shares;
    uint32_t groups = SL_MIN(store->groups.count, SHARE_METRIC_VISITS);
    uint32_t streams = 0;
    tell_gone(shard, writer, first);
    for (struct sl_link *link; groups > 0 && streams < SHARE_METRIC_STREAMS &&
                               (link = sl_list_pop_front(&store->ring)) != NULL;
         groups--) {
        struct share_owner_group *group = SL_CONTAINER_OF(link, struct share_owner_group, in_ring);
        sl_list_push_back(&store->ring, link);
        streams += 1 + measure(shard, group);
        tell(group, writer, first);
    }
}
