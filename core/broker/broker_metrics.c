/* broker_metrics.c: see broker_metrics.h. */
#include "broker/broker_metrics.h"

#include "broker/share_metrics.h"
#include "broker/sluice_state.h"
#include "extent/extent_set.h"
#include "intake/conn.h"
#include "shard/recovery.h"

#include <stdio.h>
#include <string.h>

static const struct sl_metric_row rows[BROKER_METRIC_COUNT] = {
#define BROKER_METRIC_ROW(id, text, type, per, sentence) \
    [BROKER_METRIC_##                                    \
        id] = {.name = text, .kind = SL_METRIC_##type, .help = sentence, .divisor = per},
    BROKER_METRIC_TABLE(BROKER_METRIC_ROW)
#undef BROKER_METRIC_ROW
        [BROKER_METRIC_STALLED] = {.name = "sluice_connections_stalled",
                                   .kind = SL_METRIC_GAUGE,
                                   .help = "connections that are not being read now, by cause",
                                   .labels = {"cause"},
                                   .series_max = 8},
    [BROKER_METRIC_STALLS] = {.name = "sluice_connection_stalls_total",
                              .kind = SL_METRIC_COUNTER,
                              .help = "times that reading from a connection stopped, by cause",
                              .labels = {"cause"},
                              .series_max = 8},
    [BROKER_METRIC_TURNS] = {.name = "sluice_loop_turn_seconds",
                             .kind = SL_METRIC_HISTOGRAM,
                             .help = "how long a loop was busy before it looked at its sockets "
                                     "and timers again",
                             .divisor = 1000000000},
    [BROKER_METRIC_TURN_LONGEST] = {.name = "sluice_loop_longest_turn_seconds",
                                    .kind = SL_METRIC_GAUGE,
                                    .help = "the longest of these since the start",
                                    .labels = {"loop"},
                                    .series_max = SHARD_COUNT_MAX,
                                    .divisor = 1000000000},
#define PLUGIN_METRIC_ROW(id, key, sentence)                                                   \
    [BROKER_METRIC_PLUGIN_FIRST + PLUGIN_COUNT_##id] = {.name = "sluice_plugin_" key "_total", \
                                                        .kind = SL_METRIC_COUNTER,             \
                                                        .help = sentence,                      \
                                                        .labels = {"plugin"},                  \
                                                        .series_max = PLUGIN_INSTANCES_MAX},
    PLUGIN_COUNT_TABLE(PLUGIN_METRIC_ROW)
#undef PLUGIN_METRIC_ROW
        [BROKER_METRIC_PLUGIN_DEATHS] = {.name = "sluice_plugin_deaths_total",
                                         .kind = SL_METRIC_COUNTER,
                                         .help = "worker processes that ended unasked, by cause",
                                         .labels = {"plugin", "cause"},
                                         .series_max = 1024},
    [BROKER_METRIC_PLUGIN_DENIED] = {.name = "sluice_plugin_denied_calls_total",
                                     .kind = SL_METRIC_COUNTER,
                                     .help = "system calls that workers were denied, by name",
                                     .labels = {"plugin", "call"},
                                     .series_max = 1024},
#define PLUGIN_GAUGE_ROW(id, key, text, type, per, sentence)                                 \
    [BROKER_METRIC_PLUGIN_GAUGES + PLUGIN_GAUGE_##id] = {.name = text,                       \
                                                         .kind = SL_METRIC_##type,           \
                                                         .help = sentence,                   \
                                                         .labels = {"plugin"},               \
                                                         .series_max = PLUGIN_INSTANCES_MAX, \
                                                         .divisor = per},
    PLUGIN_GAUGE_TABLE(PLUGIN_GAUGE_ROW)
#undef PLUGIN_GAUGE_ROW
#define PLUGIN_TIME_ROW(id, key, text, sentence)                                           \
    [BROKER_METRIC_PLUGIN_TIMES + PLUGIN_TIME_##id] = {.name = text,                       \
                                                       .kind = SL_METRIC_HISTOGRAM,        \
                                                       .help = sentence,                   \
                                                       .labels = {"plugin"},               \
                                                       .series_max = PLUGIN_INSTANCES_MAX, \
                                                       .divisor = 1000000000},
        PLUGIN_TIME_TABLE(PLUGIN_TIME_ROW)
#undef PLUGIN_TIME_ROW
            [BROKER_METRIC_PLUGIN_LAG_TIME] = {.name = "sluice_plugin_lag_seconds",
                                               .kind = SL_METRIC_GAUGE,
                                               .help = "age of the next record that a stage reads; "
                                                       "0: there is none",
                                               .labels = {"plugin", "topic", "partition"},
                                               .series_max = SL_METRIC_SERIES_MAX,
                                               .divisor = 1000},
    [BROKER_METRIC_PLUGIN_OWN_COUNTER] = {.name = "sluice_plugin_counter_total",
                                          .kind = SL_METRIC_COUNTER,
                                          .help = "what a plugin counts itself",
                                          .labels = {"plugin", "metric"},
                                          .series_max = 1024},
    [BROKER_METRIC_PLUGIN_OWN_GAUGE] = {.name = "sluice_plugin_gauge",
                                        .kind = SL_METRIC_GAUGE,
                                        .help = "a value of a plugin's own",
                                        .labels = {"plugin", "metric"},
                                        .series_max = 1024},
    [BROKER_METRIC_PLUGIN_OWN_HISTOGRAM] = {.name = "sluice_plugin_histogram",
                                            .kind = SL_METRIC_HISTOGRAM,
                                            .help = "values that a plugin observes itself",
                                            .labels = {"plugin", "metric"},
                                            .series_max = 128},
    [BROKER_METRIC_PLUGIN_LAG] = {.name = "sluice_plugin_lag_records",
                                  .kind = SL_METRIC_GAUGE,
                                  .help =
                                      "records between a stage's position and the end of its input",
                                  .labels = {"plugin", "topic", "partition"},
                                  .series_max = SL_METRIC_SERIES_MAX},
    [BROKER_METRIC_LISTENER_REFUSED] = {.name = "sluice_listener_refused_total",
                                        .kind = SL_METRIC_COUNTER,
                                        .help = "connections that a listener refused, or closed "
                                                "for being slow, by cause",
                                        .labels = {"listener", "cause"},
                                        .series_max = 64},
    [BROKER_METRIC_SHARED] = {.name = "sluice_shared_memory_connections",
                              .kind = SL_METRIC_GAUGE,
                              .help = "connections over shared memory (shm://)",
                              .labels = {"listener"},
                              .series_max = 8},
    [BROKER_METRIC_SHARED_REFUSED] = {.name = "sluice_shared_memory_refused_total",
                                      .kind = SL_METRIC_COUNTER,
                                      .help = "connections that asked for shared memory and did "
                                              "not get it",
                                      .labels = {"listener"},
                                      .series_max = 8},
    [BROKER_METRIC_QUOTA_THROTTLED] = {.name = "sluice_quota_throttled_total",
                                       .kind = SL_METRIC_COUNTER,
                                       .help = "answers that told a client to wait for its quota",
                                       .labels = {"quota", "principal"},
                                       .series_max = 256},
    [BROKER_METRIC_QUOTA_WAIT] = {.name = "sluice_quota_throttled_seconds_total",
                                  .kind = SL_METRIC_COUNTER,
                                  .help = "time that clients were told to wait for their quota",
                                  .labels = {"quota", "principal"},
                                  .series_max = 256,
                                  .divisor = 1000},
#define SHARE_METRIC_ROW(id, text, type, sentence)                              \
    [BROKER_METRIC_SHARE_FIRST + SHARE_COUNT_##id] = {.name = text,             \
                                                      .kind = SL_METRIC_##type, \
                                                      .help = sentence,         \
                                                      .labels = {"group"},      \
                                                      .series_max = SHARE_METRIC_GROUPS_MAX},
    SHARE_COUNT_TABLE(SHARE_METRIC_ROW)
#undef SHARE_METRIC_ROW
        [BROKER_METRIC_PLUGIN_STALLED] =
            {.name = "sluice_plugin_stalled_partitions",
             .kind = SL_METRIC_GAUGE,
             .help = "partitions whose stage waits for something else than records",
             .labels = {"plugin", "cause"},
             .series_max = 1024},
};

sl_err broker_metrics_new(struct sl_metrics **ret_metrics)
{
    return sl_metrics_new(rows, BROKER_METRIC_COUNT, ret_metrics);
}

static struct sl_metric_cell *by_cause(struct sl_metric_writer *writer, size_t index, int cause)
{
    struct sluice_text name = sluice_text_of(conn_stall_name((enum conn_stall)cause));
    struct sl_bytes values[] = {{(const uint8_t *)name.data, name.size}};
    return sl_metric_series(writer, index, values);
}

sl_err broker_counters_init(struct broker_counters *counters, struct sl_metrics *metrics)
{
    sl_err err = sl_metric_writer_new(metrics, &counters->writer);
    if (err != SLUICE_OK) {
        return err;
    }
    for (size_t i = 0; i < BROKER_METRIC_STALLED; i++) {
        counters->cells[i] = sl_metric_cell(counters->writer, i);
    }
    for (int cause = 1; cause < CONN_STALL_COUNT; cause++) {
        counters->stalled[cause] = by_cause(counters->writer, BROKER_METRIC_STALLED, cause);
        counters->stalls[cause] = by_cause(counters->writer, BROKER_METRIC_STALLS, cause);
    }
    return SLUICE_OK;
}

void broker_counters_watch_loop(struct loop_room *room)
{
    char number[16];
    struct sl_bytes loop[] = {{(const uint8_t *)number, 0}};
    loop[0].size = (size_t)snprintf(number, sizeof(number), "%u", room->index);
    struct sl_metric_writer *writer = room->counters.writer;
    sl_loop_count_turns(room->loop, sl_metric_cell(writer, BROKER_METRIC_TURNS),
                        sl_metric_series(writer, BROKER_METRIC_TURN_LONGEST, loop));
}

void broker_counters_throttled(void *arg, int32_t kind, struct sluice_text principal,
                               int32_t wait_ms)
{
    struct loop_room *room = arg;
    struct sluice_text quota = sluice_text_of(quota_kind_name(kind));
    struct sl_bytes values[] = {{(const uint8_t *)quota.data, quota.size},
                                {(const uint8_t *)principal.data, principal.size}};
    struct sl_metric_writer *writer = room->counters.writer;
    sl_metric_add(sl_metric_series(writer, BROKER_METRIC_QUOTA_THROTTLED, values), 1);
    sl_metric_add(sl_metric_series(writer, BROKER_METRIC_QUOTA_WAIT, values), (uint64_t)wait_ms);
}

/* Sums over the shards of the room. */
static void add_shard(const struct shard *shard, uint64_t sums[BROKER_METRIC_COUNT])
{
    sums[BROKER_METRIC_RECORDS_IN] += shard->records_in;
    sums[BROKER_METRIC_BATCHES_IN] += shard->batches_in;
    sums[BROKER_METRIC_BYTES_IN] += shard->bytes_in;
    sums[BROKER_METRIC_BYTES_OUT] += shard->bytes_out;
    sums[BROKER_METRIC_FETCHES] += shard->fetches;
    sums[BROKER_METRIC_DUPLICATES] += shard->duplicates;
    sums[BROKER_METRIC_DELAYED] += shard->delayed.book.record_count;
    sums[BROKER_METRIC_DELAYED_DONE] += shard->delayed.appended;
    sums[BROKER_METRIC_DELAYED_DROPPED] += shard->delayed.dropped;
    sums[BROKER_METRIC_DELAYED_REFUSED] += shard->delayed.book.refused;
    sums[BROKER_METRIC_MESSAGE_IDS] += message_ids_count(&shard->messages);
    sums[BROKER_METRIC_MESSAGE_IDS_REFUSED] += shard->messages.refused;
    sums[BROKER_METRIC_BYTES_REMOVED] += shard->bytes_removed;
    sums[BROKER_METRIC_RECORDS_REMOVED] += shard->records_removed;
    sums[BROKER_METRIC_PRODUCERS] += producer_shard_count(shard->producers);
    sums[BROKER_METRIC_PRODUCERS_EVICTED] += producer_shard_evicted(shard->producers);
    sums[BROKER_METRIC_OFFSETS] += offset_store_count(shard->offsets);
    if (shard->index == 0) {
        sums[BROKER_METRIC_TOPICS] = catalog_topic_count(shard->catalog);
        sums[BROKER_METRIC_PARTITIONS] = catalog_partition_count(shard->catalog);
    }
}

static void add_groups(const struct shard *shard, uint64_t sums[BROKER_METRIC_COUNT])
{
    struct group_coordinator_status status;
    if (shard->groups == NULL) {
        return;
    }
    group_coordinator_status_get(shard->groups, &status);
    sums[BROKER_METRIC_GROUPS] += status.group_count;
    sums[BROKER_METRIC_GROUP_MEMBERS] += status.member_count;
    sums[BROKER_METRIC_REBALANCES] += status.rebalance_count;
    consumer_groups_status_get(shard->consumers.groups, &status);
    sums[BROKER_METRIC_GROUPS] += status.group_count;
    sums[BROKER_METRIC_GROUP_MEMBERS] += status.member_count;
    sums[BROKER_METRIC_REBALANCES] += status.rebalance_count;
}

static void add_log(const struct shard *shard, uint64_t sums[BROKER_METRIC_COUNT])
{
    struct wal_status status;
    if (shard->log == NULL) {
        return;
    }
    commit_log_status(shard->memory.log, &status);
    sums[BROKER_METRIC_LOG_MEMORY] += status.bytes_used;
    sums[BROKER_METRIC_LOG_MEMORY_MAX] += status.bytes_max;
    sums[BROKER_METRIC_LOG_DROPPED] += shard->memory.dropped_bytes;
    sums[BROKER_METRIC_LOG_DROPPED_RECORDS] += shard->memory.dropped_records;
    if (shard->log == shard->memory.log) {
        sums[BROKER_METRIC_IN_MEMORY] += shard->index == 0;
        return;
    }
    commit_log_status(shard->log, &status);
    sums[BROKER_METRIC_WAL_BYTES] += status.bytes_used;
    sums[BROKER_METRIC_WAL_PENDING] += status.pending_bytes;
    sums[BROKER_METRIC_WAL_FRAMES] += status.frames;
    sums[BROKER_METRIC_WAL_SYNCS] += status.syncs;
    sums[BROKER_METRIC_WAL_SYNC_NS] += status.sync_ns_total;
    sums[BROKER_METRIC_WAL_DISK_FULL] += status.disk_full;
    sums[BROKER_METRIC_WAL_FENCED] += status.fenced;
    sums[BROKER_METRIC_WRITTEN_BODIES] += status.bytes_bodies;
    sums[BROKER_METRIC_WRITTEN_HEADS] += status.bytes_heads;
    sums[BROKER_METRIC_WRITTEN_PADDING] += status.bytes_padding;
    sums[BROKER_METRIC_WRITTEN_CHECKPOINTS] += status.bytes_checkpoints;
    sums[BROKER_METRIC_WRITTEN_ZEROS] += status.bytes_zeros;
}

static void add_extents(const struct shard *shard, uint64_t sums[BROKER_METRIC_COUNT])
{
    struct extent_set_status extents;
    struct seal_status seal;
    if (shard->extents == NULL) {
        return;
    }
    extent_set_status_get(shard->extents, &extents);
    seal_status_get(shard, &seal);
    sums[BROKER_METRIC_EXTENTS] += extents.extent_count;
    sums[BROKER_METRIC_EXTENT_BYTES] += extents.file_bytes;
    sums[BROKER_METRIC_EXTENT_LIVE] += extents.live_bytes;
    sums[BROKER_METRIC_EXTENT_DEAD] +=
        extents.file_bytes - SL_MIN(extents.file_bytes, extents.live_bytes);
    sums[BROKER_METRIC_PROMOTED] += seal.promoted;
    sums[BROKER_METRIC_PROMOTED_BYTES] += seal.bytes_promoted;
    sums[BROKER_METRIC_WRITTEN_EXTENTS] += seal.bytes_written;
    sums[BROKER_METRIC_SEAL_JOBS] += seal.jobs;
    sums[BROKER_METRIC_SEAL_BYTES] += seal.bytes;
    sums[BROKER_METRIC_SEAL_FAILURES] += seal.failures;
    sums[BROKER_METRIC_SEAL_NS] += (uint64_t)seal.elapsed_ns;
    struct rewrite_status rewrite;
    rewrite_status_get(shard, &rewrite);
    sums[BROKER_METRIC_REWRITE_JOBS] += rewrite.jobs;
    sums[BROKER_METRIC_REWRITE_EXTENTS] += rewrite.extents;
    sums[BROKER_METRIC_REWRITE_BYTES] += rewrite.bytes;
    sums[BROKER_METRIC_REWRITE_FREED] += rewrite.bytes_freed;
    sums[BROKER_METRIC_REWRITE_FAILURES] += rewrite.failures;
    struct compact_status compact;
    compact_status_get(shard, &compact);
    sums[BROKER_METRIC_COMPACT_JOBS] += compact.jobs;
    sums[BROKER_METRIC_COMPACT_IN] += compact.bytes_in;
    sums[BROKER_METRIC_COMPACT_OUT] += compact.bytes_out;
    sums[BROKER_METRIC_COMPACT_RECORDS] += compact.records_removed;
    sums[BROKER_METRIC_COMPACT_FAILURES] += compact.failures;
    sums[BROKER_METRIC_COMPACT_NS] += (uint64_t)compact.elapsed_ns;
}

static void add_scrub(const struct shard *shard, uint64_t sums[BROKER_METRIC_COUNT])
{
    struct scrub_status status;
    if (shard->extents == NULL) {
        return;
    }
    scrub_status_get(shard, &status);
    sums[BROKER_METRIC_SCRUB_BYTES] += status.bytes;
    sums[BROKER_METRIC_SCRUB_ERRORS] += status.errors;
    sums[BROKER_METRIC_SCRUB_PASSES] += status.passes;
    sums[BROKER_METRIC_SCRUB_TODO] += status.busy ? status.bytes_total : 0;
    sums[BROKER_METRIC_SCRUB_DONE] += status.busy ? status.bytes_done : 0;
    sums[BROKER_METRIC_SCRUB_ENDED] += shard->index == 0 ? (uint64_t)status.ended_ms : 0;
    sums[BROKER_METRIC_SCRUB_DAMAGED] += scrub_damaged(shard);
}

static void add_recovery(const struct shard *shard, uint64_t sums[BROKER_METRIC_COUNT])
{
    const struct wal_recovery *recovery = &shard->recovery;
    sums[BROKER_METRIC_RECOVERY_NS] += (uint64_t)recovery->elapsed_ns;
    sums[BROKER_METRIC_RECOVERY_SCANNED] += recovery->bytes_scanned;
    sums[BROKER_METRIC_RECOVERY_FRAMES] += recovery->frame_count;
    sums[BROKER_METRIC_RECOVERY_CUT] += recovery->bytes_cut;
    sums[BROKER_METRIC_RECOVERY_REPAIRS] += recovery_repairs(shard);
    sums[BROKER_METRIC_RECOVERY_EXTENTS] += shard->extents_recovered;
}

static void add_intake(const struct loop_room *room, uint64_t sums[BROKER_METRIC_COUNT])
{
    const struct intake *intake = &room->intake;
    sums[BROKER_METRIC_CONNECTIONS] = intake->connection_count;
    sums[BROKER_METRIC_ACCEPTED] = intake->accepted_total;
    sums[BROKER_METRIC_REFUSED] = intake->refused_total;
    sums[BROKER_METRIC_UPGRADED] = intake->upgraded_total;
    sums[BROKER_METRIC_HANDSHAKES] = intake->handshakes_total;
    sums[BROKER_METRIC_HANDSHAKES_FAILED] = intake->handshakes_failed_total;
    sums[BROKER_METRIC_LOGIN_STEPS] = intake->logins.steps_total;
    sums[BROKER_METRIC_LOGINS_RUNNING] = intake->logins.running_count;
    sums[BROKER_METRIC_LOGINS_WAITING] = intake->logins.waiting_count;
    sums[BROKER_METRIC_LOGINS_REFUSED] = intake->logins.refused_total;
    sums[BROKER_METRIC_ALLOWED] = room->guard.allowed_total;
    sums[BROKER_METRIC_DENIED] = room->guard.denied_total;
    sums[BROKER_METRIC_TELEMETRY_TAKEN] = room->telemetry.pushed_total;
    sums[BROKER_METRIC_TELEMETRY_REFUSED] = room->telemetry.refused_total;
    sums[BROKER_METRIC_SOCKET_IN] = intake->bytes_in_total;
    sums[BROKER_METRIC_SOCKET_OUT] = intake->bytes_out_total;
    sums[BROKER_METRIC_MEMORY_USED] = room->cache.used_bytes;
    sums[BROKER_METRIC_MEMORY_BUDGET] = room->cache.budget_bytes;
}

static void add_filters(const struct loop_room *room, uint64_t sums[BROKER_METRIC_COUNT])
{
    struct filter_sums filters;
    filter_pool_sum(&room->filters, &filters);
    sums[BROKER_METRIC_FILTERS] = room->filters.expression_count;
    sums[BROKER_METRIC_FILTERED] = filters.records;
    sums[BROKER_METRIC_FILTERS_PASSED] = filters.passed;
    sums[BROKER_METRIC_FILTERS_RAISED] = filters.raised;
    sums[BROKER_METRIC_FILTERS_FAILED] = room->filters.failed_total;
    sums[BROKER_METRIC_FILTERS_CPU] = filters.cpu_ns;
    sums[BROKER_METRIC_FILTERS_RESTED] = filters.throttled_ns;
    sums[BROKER_METRIC_FILTERS_MEMORY] = filters.memory_bytes;
    sums[BROKER_METRIC_FILTERS_DEATHS] = filters.deaths;
}

static void publish_shared(struct loop_room *room, const struct listener *listener)
{
    struct sl_bytes name = {(const uint8_t *)listener->name, strlen(listener->name)};
    if (listener->is_local) {
        sl_metric_set(sl_metric_series(room->counters.writer, BROKER_METRIC_SHARED, &name),
                      (int64_t)atomic_load_explicit(&listener->shared.count, memory_order_relaxed));
        sl_metric_set(
            sl_metric_series(room->counters.writer, BROKER_METRIC_SHARED_REFUSED, &name),
            (int64_t)atomic_load_explicit(&listener->shared.refused, memory_order_relaxed));
    }
}

/* What all loops together refused; told by one of them. */
static void publish_listeners(struct loop_room *room, const struct listener_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        struct listener *listener = list->listeners[i];
        publish_shared(room, listener);
        for (int cause = 1; cause < LISTENER_REFUSALS; cause++) {
            const char *name = listener_refusal_name((enum listener_refusal)cause);
            struct sl_bytes values[] = {{(const uint8_t *)listener->name, strlen(listener->name)},
                                        {(const uint8_t *)name, strlen(name)}};
            sl_metric_set(
                sl_metric_series(room->counters.writer, BROKER_METRIC_LISTENER_REFUSED, values),
                (int64_t)atomic_load_explicit(&listener->gate.refused[cause],
                                              memory_order_relaxed));
        }
    }
}

void broker_counters_publish(struct loop_room *room)
{
    uint64_t sums[BROKER_METRIC_COUNT] = {0};
    for (uint32_t i = 0; i < room->shard_count; i++) {
        add_shard(room->shards[i], sums);
        add_groups(room->shards[i], sums);
        add_log(room->shards[i], sums);
        add_extents(room->shards[i], sums);
        add_scrub(room->shards[i], sums);
        add_recovery(room->shards[i], sums);
        share_metrics_publish(room->shards[i], room->counters.writer, BROKER_METRIC_SHARE_FIRST);
    }
    add_intake(room, sums);
    add_filters(room, sums);
    if (room->index == 0) {
        const struct storage_watch *storage = &room->sluice->storage;
        publish_listeners(room, &room->sluice->listeners[0]);
        publish_listeners(room, &room->sluice->listeners[2]); /* native */
        sums[BROKER_METRIC_STORAGE_STATE] = storage_watch_state(storage);
        sums[BROKER_METRIC_DISK_TOTAL] = storage->total;
        sums[BROKER_METRIC_DISK_AVAILABLE] = storage->available;
    }
    for (size_t i = 0; i < BROKER_METRIC_STALLED; i++) {
        sl_metric_set(room->counters.cells[i], (int64_t)sums[i]);
    }
    for (int cause = 1; cause < CONN_STALL_COUNT; cause++) {
        sl_metric_set(room->counters.stalled[cause], room->intake.stalled_now[cause]);
        sl_metric_set(room->counters.stalls[cause], (int64_t)room->intake.stalls_total[cause]);
    }
}
