/* broker_link.c: see broker_link.h. */
#include "intake/broker_link.h"

#include "base/ahead.h"
#include "intake/config_mix.h"
#include "intake/conn.h"
#include "intake/conn_tell.h"
#include "intake/topic_listing.h"
#include "shard/epoch_ends.h"
#include "shard/features.h"
#include "shard/fetch.h"
#include "shard/group_admin.h"
#include "shard/groups.h"
#include "shard/log_dirs.h"
#include "shard/offsets.h"
#include "shard/produce.h"
#include "shard/producer_id_call.h"
#include "shard/records_delete.h"
#include "shard/shares.h"
#include "shard/streams_desk.h"
#include "shard/topics.h"
#include "shard/txn_lists.h"
#include "shard/txns.h"

#include <string.h>

#define TEXT_BYTES_MAX (16u << 20)
/* What is fetched of a connection's stream before an answer: a line. */
#define CONN_STREAM_AHEAD 64u

static struct broker_link *of(const struct sluice_broker *broker)
{
    return broker->data;
}

/* ---- cluster ---- */

static const struct broker_address *address_of(const struct broker_facts *facts,
                                               struct sluice_text listener)
{
    for (uint32_t i = 0; i < facts->address_count; i++) {
        struct sluice_text name = sluice_text_of(facts->addresses[i].listener);
        if (sl_bytes_equal(sl_of_text(name), sl_of_text(listener))) {
            return &facts->addresses[i];
        }
    }
    return facts->address_count > 0 ? &facts->addresses[0] : NULL;
}

/* What the peer is told to connect to: its listener's address, or the one that it reached. */
static const struct broker_address *told_to(struct broker_link *link, const struct conn *conn)
{
    struct broker_address *told = &link->told;
    char local[LISTENER_ADDRESS_BYTES];
    uint16_t port = 0;
    told->port = conn->listener->port;
    memcpy(told->host, conn->listener->host, sizeof(told->host));
    if (told->host[0] == '\0') {
        sl_stream_local(conn->stream, local, sizeof(local));
        if (!listener_address_split(local, told->host, &port)) {
            told->host[0] = '\0'; /* a local socket has no address for others */
        }
    }
    return told;
}

static const struct sluice_cluster *on_cluster(const struct sluice_broker *broker,
                                               const struct sluice_context *context)
{
    struct broker_link *link = of(broker);
    const struct conn *conn =
        link->intake == NULL ? NULL : intake_find(link->intake, context->connection);
    const struct broker_address *address = conn != NULL && conn->listener != NULL
                                               ? told_to(link, conn)
                                               : address_of(link->facts, context->listener);
    link->node =
        (struct sluice_node){.size = sizeof(link->node), .id = link->facts->settings->node_id};
    if (address != NULL) {
        link->node.host = sluice_text_of(address->host);
        link->node.port = address->port;
    }
    link->cluster = (struct sluice_cluster){.size = sizeof(link->cluster),
                                            .node_count = 1,
                                            .cluster_id = sluice_text_of(link->facts->cluster_id),
                                            .controller_id = link->node.id,
                                            .nodes = &link->node};
    return &link->cluster;
}

/* ---- topics and configs ---- */

static void on_topics(const struct sluice_broker *broker, const struct sluice_context *context,
                      const struct sluice_topic_ref *topics, uint32_t count, bool auto_create,
                      sluice_topics_done *done, void *arg)
{
    (void)context;
    struct broker_link *link = of(broker);
    bool create = auto_create && link->facts->settings->auto_create_topics;
    topic_listing_start(link->home, link->facts->settings->node_id, topics, count, create, done,
                        arg);
}

static void on_topics_create(const struct sluice_broker *broker,
                             const struct sluice_context *context,
                             const struct sluice_topic_spec *specs, uint32_t count,
                             bool validate_only, sluice_topic_results_done *done, void *arg)
{
    (void)context;
    topics_create_start(of(broker)->home, specs, count, validate_only, false, NULL, done, arg);
}

static void on_topics_delete(const struct sluice_broker *broker,
                             const struct sluice_context *context,
                             const struct sluice_topic_ref *topics, uint32_t count,
                             bool validate_only, sluice_topic_results_done *done, void *arg)
{
    (void)context;
    topics_delete_start(of(broker)->home, topics, count, validate_only, done, arg);
}

static void on_configs_describe(const struct sluice_broker *broker,
                                const struct sluice_context *context, int32_t resource,
                                struct sluice_text name, sluice_config_done *done, void *arg)
{
    (void)context;
    struct broker_link *link = of(broker);
    config_listing(link->home, link->facts->settings, resource, name, done, arg);
}

static void on_configs_preview(const struct sluice_broker *broker,
                               const struct sluice_context *context,
                               const struct sluice_topic_spec *spec, sluice_config_done *done,
                               void *arg)
{
    (void)context;
    config_preview(of(broker)->facts->settings, spec, done, arg);
}

static void on_configs_alter(const struct sluice_broker *broker,
                             const struct sluice_context *context,
                             const struct sluice_config_alter *alters, uint32_t count,
                             bool validate_only, sluice_topic_results_done *done, void *arg)
{
    (void)context;
    config_mix_alter(of(broker)->home, alters, count, validate_only, done, arg);
}

static void on_partitions_create(const struct sluice_broker *broker,
                                 const struct sluice_context *context,
                                 const struct sluice_topic_growth *growths, uint32_t count,
                                 bool validate_only, sluice_topic_results_done *done, void *arg)
{
    (void)context;
    topics_grow_start(of(broker)->home, growths, count, validate_only, done, arg);
}

/* ---- records ---- */

/* The input chunk that holds all batches of the request, when it comes out of conn_input. */
static struct chunk *holder(const struct conn *conn, const struct sluice_produce *request)
{
    if (conn == NULL || !conn->feeding || conn->input == NULL) {
        return NULL;
    }
    const uint8_t *start = conn->input->data;
    const uint8_t *end = start + conn->input->size;
    for (uint32_t i = 0; i < request->entry_count; i++) {
        struct sluice_bytes batch = request->entries[i].batch;
        if (batch.size > 0 &&
            (batch.data < start || batch.data > end || batch.size > (uint64_t)(end - batch.data))) {
            return NULL;
        }
    }
    return conn->input;
}

/* A produce request counts on its connection while it is under way: that tells a connection which
 * waits for the log from one that its frontend holds back for another reason. */
static void produce_ended(struct produce_watch *watch, uint64_t connection)
{
    struct broker_link *link = SL_CONTAINER_OF(watch, struct broker_link, produces);
    struct conn *conn = intake_find(link->intake, connection);
    if (conn != NULL) {
        conn_produce_ended(conn);
    }
}

/* The answer goes through the connection's stream, and through what its frontend keeps of it. */
static void produce_approaches(struct produce_watch *watch, uint64_t connection, bool is_next)
{
    struct broker_link *link = SL_CONTAINER_OF(watch, struct broker_link, produces);
    const struct conn *conn = intake_find(link->intake, connection);
    if (conn != NULL && is_next) {
        sl_fetch_ahead(conn->state, CONN_STATE_AHEAD);
        sl_fetch_ahead(conn->stream, CONN_STREAM_AHEAD);
    } else if (conn != NULL) {
        sl_fetch_ahead(conn, offsetof(struct conn, close_task));
    }
}

static void on_produce(const struct sluice_broker *broker, const struct sluice_context *context,
                       const struct sluice_produce *request, sluice_produce_done *done, void *arg)
{
    struct broker_link *link = of(broker);
    struct conn *conn =
        link->intake == NULL ? NULL : intake_find(link->intake, context->connection);
    if (link->flow != NULL) {
        flow_book_produce(link->flow, context, request, sl_loop_now_ns(link->home->loop) / 1000000);
    }
    if (conn != NULL) {
        conn_produce_begins(conn);
    }
    produce_start(link->home, holder(conn, request), context, request, done, arg,
                  conn == NULL ? NULL : &link->produces);
}

static void set_tokens(void *arg, struct chunk *const *chunks, uint32_t count)
{
    struct broker_link *link = arg;
    intake_set_tokens(link->intake, chunks, count);
}

static void on_fetch(const struct sluice_broker *broker, const struct sluice_context *context,
                     const struct sluice_fetch *request, sluice_fetch_done *done, void *arg)
{
    struct broker_link *link = of(broker);
    if (link->readers != NULL) {
        flow_book_fetch(link->readers, context, request,
                        sl_loop_now_ns(link->home->loop) / 1000000);
    }
    fetch_start(link->home, context, request, link->intake != NULL ? set_tokens : NULL, link, done,
                arg);
}

static void on_fetch_cancel(const struct sluice_broker *broker,
                            const struct sluice_context *context, uint64_t tag)
{
    fetch_cancel_tag(of(broker)->home, context->connection, tag);
    share_fetch_cancel_tag(of(broker)->home, context->connection, tag);
}

static void on_conn_tell(const struct sluice_broker *broker, const struct sluice_context *context,
                         uint32_t loop, uint64_t connection, struct sluice_bytes note,
                         sluice_status_done *done, void *arg)
{
    (void)context;
    conn_tell_start(of(broker)->home, loop, connection, note, done, arg);
}

/* ---- topics as they come and go ---- */

struct seeing {
    sluice_topic_seen_fn *seen;
    void *arg;
};

static void see(void *arg, struct topic *topic)
{
    const struct seeing *seeing = arg;
    struct sluice_topic_seen seen = {.size = sizeof(seen),
                                     .partition_count = topic->partition_count,
                                     .name = text_of_sl(topic->name),
                                     .internal = topic->internal};
    memcpy(seen.id.bytes, &topic->id, sizeof(seen.id.bytes));
    seeing->seen(seeing->arg, &seen);
}

static uint64_t on_topics_seen(const struct sluice_broker *broker, uint64_t known,
                               sluice_topic_seen_fn *seen, void *arg)
{
    const struct catalog *catalog = of(broker)->home->catalog;
    struct seeing seeing = {seen, arg};
    uint64_t version = catalog_version(catalog) + 1; /* 0 is none */
    if (version != known) {
        catalog_each(catalog, see, &seeing);
    }
    return version;
}

static void on_offsets(const struct sluice_broker *broker, const struct sluice_context *context,
                       int32_t isolation, const struct sluice_offset_query *queries, uint32_t count,
                       sluice_offsets_done *done, void *arg)
{
    (void)context;
    offsets_start(of(broker)->home, isolation, queries, count, done, arg);
}

static void on_records_delete(const struct sluice_broker *broker,
                              const struct sluice_context *context,
                              const struct sluice_records_delete *entries, uint32_t count,
                              sluice_records_deleted_done *done, void *arg)
{
    (void)context;
    records_delete_start(of(broker)->home, entries, count, done, arg);
}

static void on_producer_id(const struct sluice_broker *broker, const struct sluice_context *context,
                           int64_t id, int16_t epoch, sluice_producer_id_done *done, void *arg)
{
    (void)context;
    producer_id_start(of(broker)->home, id, epoch, done, arg);
}

/* ---- transactions ---- */

static void on_txn_producer(const struct sluice_broker *broker,
                            const struct sluice_context *context, const struct sluice_txn *txn,
                            int32_t timeout_ms, sluice_producer_id_done *done, void *arg)
{
    (void)context;
    txns_producer(of(broker)->home, txn, timeout_ms, done, arg);
}

static void on_txn_partitions_add(const struct sluice_broker *broker,
                                  const struct sluice_context *context,
                                  const struct sluice_txn *txn,
                                  const struct sluice_txn_partition *partitions, uint32_t count,
                                  bool verify_only, sluice_statuses_done *done, void *arg)
{
    (void)context;
    txns_add(of(broker)->home, txn, partitions, count, verify_only, done, arg);
}

static void on_txn_group_add(const struct sluice_broker *broker,
                             const struct sluice_context *context, const struct sluice_txn *txn,
                             struct sluice_text group, sluice_status_done *done, void *arg)
{
    (void)context;
    txns_add_group(of(broker)->home, txn, group, done, arg);
}

static void on_txn_offsets_commit(const struct sluice_broker *broker,
                                  const struct sluice_context *context,
                                  const struct sluice_txn *txn,
                                  const struct sluice_offset_commit *request,
                                  sluice_statuses_done *done, void *arg)
{
    (void)context;
    txns_commit_offsets(of(broker)->home, txn, request, done, arg);
}

static void on_txn_end(const struct sluice_broker *broker, const struct sluice_context *context,
                       const struct sluice_txn *txn, bool commit, sluice_producer_id_done *done,
                       void *arg)
{
    (void)context;
    txns_end(of(broker)->home, txn, commit, done, arg);
}

static void on_txns_describe(const struct sluice_broker *broker,
                             const struct sluice_context *context, const struct sluice_text *ids,
                             uint32_t count, sluice_txns_done *done, void *arg)
{
    (void)context;
    txn_lists_describe(of(broker)->home, ids, count, done, arg);
}

static void on_txns_list(const struct sluice_broker *broker, const struct sluice_context *context,
                         struct sluice_text pattern, sluice_txns_done *done, void *arg)
{
    (void)context;
    txn_lists_all(of(broker)->home, pattern, done, arg);
}

static void on_producers_describe(const struct sluice_broker *broker,
                                  const struct sluice_context *context,
                                  const struct sluice_txn_partition *partitions, uint32_t count,
                                  sluice_producers_done *done, void *arg)
{
    (void)context;
    txn_lists_producers(of(broker)->home, partitions, count, done, arg);
}

/* ---- groups ---- */

static void on_group_join(const struct sluice_broker *broker, const struct sluice_context *context,
                          const struct sluice_group_join *request, sluice_group_joined_done *done,
                          void *arg)
{
    groups_join(of(broker)->home, context, request, done, arg);
}

static void on_group_sync(const struct sluice_broker *broker, const struct sluice_context *context,
                          const struct sluice_group_sync *request, sluice_group_synced_done *done,
                          void *arg)
{
    groups_sync(of(broker)->home, context, request, done, arg);
}

static void on_group_heartbeat(const struct sluice_broker *broker,
                               const struct sluice_context *context,
                               const struct sluice_group_identity *request,
                               sluice_status_done *done, void *arg)
{
    (void)context;
    groups_heartbeat(of(broker)->home, request, done, arg);
}

static void on_group_leave(const struct sluice_broker *broker, const struct sluice_context *context,
                           const struct sluice_group_leave *request, sluice_statuses_done *done,
                           void *arg)
{
    (void)context;
    groups_leave(of(broker)->home, request, done, arg);
}

static void on_offset_commit(const struct sluice_broker *broker,
                             const struct sluice_context *context,
                             const struct sluice_offset_commit *request, sluice_statuses_done *done,
                             void *arg)
{
    (void)context;
    groups_commit(of(broker)->home, request, done, arg);
}

static void on_offset_fetch(const struct sluice_broker *broker,
                            const struct sluice_context *context,
                            const struct sluice_offset_fetch *request,
                            sluice_offset_fetched_done *done, void *arg)
{
    (void)context;
    groups_offsets(of(broker)->home, request, done, arg);
}

static void on_groups(const struct sluice_broker *broker, const struct sluice_context *context,
                      sluice_groups_done *done, void *arg)
{
    (void)context;
    group_list_start(of(broker)->home, done, arg);
}

static void on_group_describe(const struct sluice_broker *broker,
                              const struct sluice_context *context, struct sluice_text group,
                              sluice_group_info_done *done, void *arg)
{
    (void)context;
    group_describe_start(of(broker)->home, group, done, arg);
}

static void on_group_delete(const struct sluice_broker *broker,
                            const struct sluice_context *context, struct sluice_text group,
                            sluice_status_done *done, void *arg)
{
    (void)context;
    group_delete_start(of(broker)->home, group, done, arg);
}

static void on_offset_delete(const struct sluice_broker *broker,
                             const struct sluice_context *context,
                             const struct sluice_offset_fetch *request, sluice_statuses_done *done,
                             void *arg)
{
    (void)context;
    offset_delete_start(of(broker)->home, request, done, arg);
}

/* ---- groups that share streams ---- */

static void on_share_heartbeat(const struct sluice_broker *broker,
                               const struct sluice_context *context,
                               const struct sluice_share_heartbeat *request,
                               sluice_share_joined_done *done, void *arg)
{
    share_heartbeat_start(of(broker)->home, context, request, done, arg);
}

static void on_share_describe(const struct sluice_broker *broker,
                              const struct sluice_context *context, struct sluice_text group,
                              sluice_share_group_done *done, void *arg)
{
    (void)context;
    share_describe_start(of(broker)->home, group, done, arg);
}

static void on_share_fetch(const struct sluice_broker *broker, const struct sluice_context *context,
                           const struct sluice_share_fetch *request,
                           sluice_share_fetched_done *done, void *arg)
{
    struct broker_link *link = of(broker);
    share_fetch_start(link->home, context, request, link->intake != NULL ? set_tokens : NULL, link,
                      done, arg);
}

static void on_share_offsets(const struct sluice_broker *broker,
                             const struct sluice_context *context,
                             const struct sluice_offset_fetch *request,
                             sluice_share_offsets_done *done, void *arg)
{
    (void)context;
    share_offsets_start(of(broker)->home, request, done, arg);
}

static void on_share_offsets_alter(const struct sluice_broker *broker,
                                   const struct sluice_context *context, struct sluice_text group,
                                   const struct sluice_offset_commit_entry *entries, uint32_t count,
                                   sluice_statuses_done *done, void *arg)
{
    (void)context;
    share_offsets_alter_start(of(broker)->home, group, entries, count, done, arg);
}

static void on_share_offsets_delete(const struct sluice_broker *broker,
                                    const struct sluice_context *context, struct sluice_text group,
                                    const struct sluice_topic_ref *topics, uint32_t count,
                                    sluice_statuses_done *done, void *arg)
{
    (void)context;
    share_offsets_delete_start(of(broker)->home, group, topics, count, done, arg);
}

/* ---- the node ---- */

static void on_consumer_heartbeat(const struct sluice_broker *broker,
                                  const struct sluice_context *context,
                                  const struct sluice_consumer_heartbeat *request,
                                  sluice_consumer_heartbeat_done *done, void *arg)
{
    consumer_heartbeat_start(of(broker)->home, context, request, done, arg);
}

static void on_consumer_describe(const struct sluice_broker *broker,
                                 const struct sluice_context *context, struct sluice_text group,
                                 sluice_consumer_group_info_done *done, void *arg)
{
    (void)context;
    consumer_describe_start(of(broker)->home, group, done, arg);
}

static void on_streams_heartbeat(const struct sluice_broker *broker,
                                 const struct sluice_context *context,
                                 const struct sluice_streams_heartbeat *request,
                                 sluice_streams_heartbeat_done *done, void *arg)
{
    streams_heartbeat_start(of(broker)->home, context, request, done, arg);
}

static void on_streams_describe(const struct sluice_broker *broker,
                                const struct sluice_context *context, struct sluice_text group,
                                sluice_streams_group_info_done *done, void *arg)
{
    (void)context;
    streams_describe_start(of(broker)->home, group, done, arg);
}

static void on_metrics(const struct sluice_broker *broker, const struct sluice_context *context,
                       sluice_text_done *done, void *arg)
{
    (void)context;
    struct broker_link *link = of(broker);
    sl_buffer_reset(&link->text);
    sl_err err = link->facts->render_metrics(link->facts->arg, &link->text);
    done(arg, err, text_of_sl(sl_buffer_bytes(&link->text)));
}

static void on_health(const struct sluice_broker *broker, const struct sluice_context *context,
                      int32_t what, sluice_health_done *done, void *arg)
{
    (void)context;
    struct broker_link *link = of(broker);
    sl_buffer_reset(&link->text);
    struct sluice_health health = {.size = sizeof(health)};
    health.ok = link->facts->health(link->facts->arg, what, &link->text);
    health.text = text_of_sl(sl_buffer_bytes(&link->text));
    done(arg, &health);
}

/* ---- the cluster as administrators see it ---- */

static void on_partitions_find(const struct sluice_broker *broker,
                               const struct sluice_context *context, int32_t operation,
                               const struct sluice_partition_ref *partitions, uint32_t count,
                               sluice_statuses_done *done, void *arg)
{
    (void)context;
    (void)operation;
    partitions_find(of(broker)->home, partitions, count, done, arg);
}

static void on_epoch_ends(const struct sluice_broker *broker, const struct sluice_context *context,
                          const struct sluice_epoch_query *queries, uint32_t count,
                          sluice_epoch_ends_done *done, void *arg)
{
    (void)context;
    epoch_ends_start(of(broker)->home, queries, count, done, arg);
}

static void on_log_dirs(const struct sluice_broker *broker, const struct sluice_context *context,
                        const struct sluice_partition_ref *partitions, uint32_t count,
                        sluice_log_dirs_done *done, void *arg)
{
    (void)context;
    log_dirs_start(of(broker)->home, partitions, count, done, arg);
}

static void on_quorum(const struct sluice_broker *broker, const struct sluice_context *context,
                      sluice_quorum_done *done, void *arg)
{
    (void)context;
    quorum_start(of(broker)->home, done, arg);
}

static const struct sluice_features *on_features(const struct sluice_broker *broker,
                                                 const struct sluice_context *context)
{
    (void)context;
    struct broker_link *link = of(broker);
    uint64_t word = features_word(link->home->set);
    for (uint32_t i = 0; i < feature_count; i++) {
        link->feature_list[i] =
            (struct sluice_feature){.name = sluice_text_of(feature_table[i].name),
                                    .min = feature_table[i].min,
                                    .max = feature_table[i].max,
                                    .level = feature_word_level(word, i)};
    }
    link->features = (struct sluice_features){.size = sizeof(link->features),
                                              .count = feature_count,
                                              .epoch = feature_word_epoch(word),
                                              .features = link->feature_list};
    return &link->features;
}

static void on_features_update(const struct sluice_broker *broker,
                               const struct sluice_context *context,
                               const struct sluice_feature_update *updates, uint32_t count,
                               bool validate_only, sluice_text_done *done, void *arg)
{
    (void)context;
    features_update_start(of(broker)->home, updates, count, validate_only, done, arg);
}

static void on_config_names(const struct sluice_broker *broker,
                            const struct sluice_context *context, int32_t resource,
                            sluice_names_done *done, void *arg)
{
    (void)context;
    config_mix_names(of(broker)->home, resource, done, arg);
}

void broker_link_init(struct broker_link *link, struct shard *home, struct intake *intake,
                      const struct broker_facts *facts)
{
    *link = (struct broker_link){
        .home = home,
        .intake = intake,
        .facts = facts,
        .produces = {.ended = produce_ended, .approaches = produce_approaches}};
    sl_buffer_init(&link->text, TEXT_BYTES_MAX);
    link->table = (struct sluice_broker){
        .size = sizeof(struct sluice_broker),
        .data = link,
        .cluster = on_cluster,
        .topics = on_topics,
        .topics_create = on_topics_create,
        .topics_delete = on_topics_delete,
        .configs_describe = on_configs_describe,
        .produce = on_produce,
        .fetch = on_fetch,
        .fetch_cancel = on_fetch_cancel,
        .topics_seen = on_topics_seen,
        .conn_tell = on_conn_tell,
        .offsets = on_offsets,
        .producer_id = on_producer_id,
        .group_join = on_group_join,
        .group_sync = on_group_sync,
        .group_heartbeat = on_group_heartbeat,
        .group_leave = on_group_leave,
        .offset_commit = on_offset_commit,
        .offset_fetch = on_offset_fetch,
        .metrics = on_metrics,
        .health = on_health,
        .records_delete = on_records_delete,
        .configs_preview = on_configs_preview,
        .configs_alter = on_configs_alter,
        .partitions_create = on_partitions_create,
        .txn_producer = on_txn_producer,
        .txn_partitions_add = on_txn_partitions_add,
        .txn_group_add = on_txn_group_add,
        .txn_offsets_commit = on_txn_offsets_commit,
        .txn_end = on_txn_end,
        .txns_describe = on_txns_describe,
        .txns_list = on_txns_list,
        .producers_describe = on_producers_describe,
        .groups = on_groups,
        .group_describe = on_group_describe,
        .group_delete = on_group_delete,
        .offset_delete = on_offset_delete,
        .partitions_find = on_partitions_find,
        .epoch_ends = on_epoch_ends,
        .log_dirs = on_log_dirs,
        .quorum = on_quorum,
        .features = on_features,
        .features_update = on_features_update,
        .config_names = on_config_names,
        .consumer_group_heartbeat = on_consumer_heartbeat,
        .consumer_group_describe = on_consumer_describe,
        .share_heartbeat = on_share_heartbeat,
        .share_describe = on_share_describe,
        .share_fetch = on_share_fetch,
        .share_offsets = on_share_offsets,
        .share_offsets_alter = on_share_offsets_alter,
        .share_offsets_delete = on_share_offsets_delete,
        .streams_group_heartbeat = on_streams_heartbeat,
        .streams_group_describe = on_streams_describe,
    };
}

void broker_link_fini(struct broker_link *link)
{
    sl_buffer_fini(&link->text);
}

/* ---- cancelling ---- */

struct cancel_call {
    struct shard_call call;
    struct shard *home;
    uint64_t connection;
};

static void cancel_run(struct shard_call *call)
{
    const struct cancel_call *cancel = SL_CONTAINER_OF(call, struct cancel_call, call);
    fetch_cancel(call->target, cancel->home, cancel->connection);
    share_fetch_cancel(call->target, cancel->home, cancel->connection);
    groups_cancel(call->target, cancel->home, cancel->connection);
    shard_call_reply(call);
}

static void cancel_replied(struct shard_call *call)
{
    struct cancel_call *cancel = SL_CONTAINER_OF(call, struct cancel_call, call);
    struct shard *home = cancel->home;
    sl_free(cancel);
    shard_request_end(home);
}

bool broker_link_calls_pending(void *arg)
{
    const struct broker_link *link = arg;
    return link->home->requests > 0;
}

void broker_link_cancel(void *arg, uint64_t connection)
{
    struct broker_link *link = arg;
    struct shard_set *set = link->home->set;
    for (uint32_t i = 0; i < set->count; i++) {
        struct cancel_call *cancel = sl_alloc_zero(1, sizeof(*cancel));
        if (cancel == NULL) {
            return; /* what waits ends by its own time */
        }
        shard_request_begin(link->home);
        cancel->home = link->home;
        cancel->connection = connection;
        cancel->call.run = cancel_run;
        cancel->call.reply = cancel_replied;
        shard_call_start(&cancel->call, set->shards[i], link->home->loop, SL_PRIORITY_CONTROL);
    }
}
