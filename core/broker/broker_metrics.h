/* broker_metrics.h: the broker's metrics, one table, and their publication from a loop's plain
 * counters.
 *
 * Rooms count in plain members of their structs, on their loop; each beat of a loop (and each
 * scrape, for its own loop) stores them into the loop's cells, which any loop may read. */
#ifndef SL_BROKER_BROKER_METRICS_H
#define SL_BROKER_BROKER_METRICS_H

#include "base/metric.h"
#include "deliver/share_count.h"
#include "plugin/plugin_manager.h"

struct loop_room;

/* clang-format off */
#define BROKER_METRIC_TABLE(X)                                                                                        \
    X(RECORDS_IN,      "sluice_records_in_total",        COUNTER, 0, "records made durable")                          \
    X(BATCHES_IN,      "sluice_batches_in_total",        COUNTER, 0, "record batches made durable")                   \
    X(BYTES_IN,        "sluice_bytes_in_total",          COUNTER, 0, "bytes of record batches made durable")          \
    X(BYTES_OUT,       "sluice_bytes_out_total",         COUNTER, 0, "bytes of record batches given to fetches")      \
    X(FETCHES,         "sluice_fetches_total",           COUNTER, 0, "fetch requests answered, by shard")             \
    X(DUPLICATES,      "sluice_duplicate_batches_total", COUNTER, 0, "batches answered from the producer's memory, or by their message ids")   \
    X(DELAYED,         "sluice_delayed_records", GAUGE, 0, "records that wait for the time to be appended") \
    X(DELAYED_DONE,    "sluice_delayed_records_total", COUNTER, 0, "records that were appended when their time came") \
    X(DELAYED_DROPPED, "sluice_delayed_dropped_total", COUNTER, 0, "records whose topic was deleted, or that were damaged, while they waited") \
    X(DELAYED_REFUSED, "sluice_delayed_refused_total", COUNTER, 0, "batches refused as no more can wait, 1,000,000 a shard at most") \
    X(MESSAGE_IDS,     "sluice_message_ids", GAUGE, 0, "message ids that are remembered, 1,000,000 a shard at most")    \
    X(MESSAGE_IDS_REFUSED, "sluice_message_ids_refused_total", COUNTER, 0, "messages refused as no more ids can be remembered") \
    X(BYTES_REMOVED,   "sluice_removed_bytes_total",     COUNTER, 0, "bytes removed by retention and deletion of records")\
    X(RECORDS_REMOVED, "sluice_removed_records_total",   COUNTER, 0, "offsets removed by retention and deletion of records")\
    X(TOPICS,          "sluice_topics",                  GAUGE,   0, "topics in the catalog")                         \
    X(PARTITIONS,      "sluice_partitions",              GAUGE,   0, "partitions in the catalog")                     \
    X(WAL_BYTES,       "sluice_wal_used_bytes",          GAUGE,   0, "bytes of segments that hold data")              \
    X(WAL_PENDING,     "sluice_wal_pending_bytes",       GAUGE,   0, "bytes that wait for the committer")             \
    X(WAL_FRAMES,      "sluice_wal_frames_total",        COUNTER, 0, "frames written")                                \
    X(WAL_SYNCS,       "sluice_wal_syncs_total",         COUNTER, 0, "times the disk was asked to make data durable") \
    X(WAL_SYNC_NS,     "sluice_wal_sync_seconds_total",  COUNTER, 1000000000, "time spent in those")                  \
    X(WAL_DISK_FULL,   "sluice_wal_disk_full",           GAUGE,   0, "shards that refuse produce as the disk is full")\
    X(WAL_FENCED,      "sluice_wal_fenced",              GAUGE,   0, "shards whose storage failed")                   \
    X(IN_MEMORY,       "sluice_memory_only",             GAUGE,   0, "1: there is no disk (data.dir: none), nothing is left after the end") \
    X(LOG_MEMORY,      "sluice_memory_used_bytes",       GAUGE,   0, "memory that holds records of topics in memory")  \
    X(LOG_MEMORY_MAX,  "sluice_memory_bound_bytes",      GAUGE,   0, "its bound (memory.bytes_max)")                   \
    X(LOG_DROPPED,     "sluice_memory_dropped_bytes_total", COUNTER, 0, "bytes of their records that went before their time, as the bound was reached") \
    X(LOG_DROPPED_RECORDS, "sluice_memory_dropped_records_total", COUNTER, 0, "offsets that went so")                 \
    X(RECOVERY_NS,     "sluice_recovery_seconds",        GAUGE, 1000000000, "time that the last start took to recover") \
    X(RECOVERY_SCANNED,"sluice_recovery_scanned_bytes",  GAUGE,   0, "bytes of the log that it read")                 \
    X(RECOVERY_FRAMES, "sluice_recovery_frames",         GAUGE,   0, "frames that it found")                          \
    X(RECOVERY_CUT,    "sluice_recovery_cut_bytes",      GAUGE,   0, "bytes of torn tails that it cut")               \
    X(RECOVERY_REPAIRS,"sluice_recovery_repairs",        GAUGE,   0, "torn tails, damaged checkpoints and left-over files that it mended") \
    X(RECOVERY_EXTENTS,"sluice_recovery_extents",        GAUGE,   0, "files of sealed records that it loaded")        \
    X(EXTENTS,         "sluice_extents",                 GAUGE,   0, "files of sealed records")                       \
    X(EXTENT_BYTES,    "sluice_extent_file_bytes",       GAUGE,   0, "bytes of these files")                          \
    X(EXTENT_LIVE,     "sluice_extent_live_bytes",       GAUGE,   0, "bytes in them that are still referred to")      \
    X(EXTENT_DEAD,     "sluice_extent_dead_bytes",              GAUGE, 0, "bytes in them that are not, until the file goes or is rewritten")\
    X(REWRITE_JOBS,    "sluice_rewrite_jobs_total",             COUNTER, 0, "times that what lives in files with dead bytes moved to a new one")\
    X(REWRITE_EXTENTS, "sluice_rewrite_extents_total",          COUNTER, 0, "files that went so")\
    X(REWRITE_BYTES,   "sluice_rewrite_written_bytes_total",    COUNTER, 0, "bytes of record batches moved so")\
    X(REWRITE_FREED,   "sluice_rewrite_freed_bytes_total",      COUNTER, 0, "bytes of files given back so")\
    X(REWRITE_FAILURES, "sluice_rewrite_failures_total",         COUNTER, 0, "rewritings that failed and are tried again")\
    X(PROMOTED,        "sluice_seal_promoted_segments_total",   COUNTER, 0, "segments of the log that became extents where they lay")\
    X(PROMOTED_BYTES,  "sluice_seal_promoted_bytes_total",      COUNTER, 0, "bytes of record batches in them")\
    X(WRITTEN_EXTENTS, "sluice_seal_written_bytes_total",       COUNTER, 0, "bytes written to extents by moving records out of the log")\
    X(WRITTEN_BODIES,  "sluice_wal_written_body_bytes_total",   COUNTER, 0, "bytes of record batches and other bodies written to the log")\
    X(WRITTEN_HEADS,   "sluice_wal_written_head_bytes_total",   COUNTER, 0, "bytes of headers and directories written to the log")\
    X(WRITTEN_PADDING, "sluice_wal_written_padding_bytes_total", COUNTER, 0, "bytes that fill frames up to 4 KiB")\
    X(WRITTEN_CHECKPOINTS, "sluice_wal_written_checkpoint_bytes_total", COUNTER, 0, "bytes of checkpoints")\
    X(WRITTEN_ZEROS,   "sluice_wal_written_zero_bytes_total",   COUNTER, 0, "zeros written into segments ahead of their use")\
    X(SEAL_JOBS,       "sluice_seal_jobs_total",         COUNTER, 0, "times that records moved from the log to extents") \
    X(SEAL_BYTES,      "sluice_sealed_bytes_total",      COUNTER, 0, "bytes of record batches moved so")              \
    X(SEAL_FAILURES,   "sluice_seal_failures_total",     COUNTER, 0, "such moves that failed and are tried again")    \
    X(SEAL_NS,         "sluice_seal_seconds_total",      COUNTER, 1000000000, "time that moves took")                 \
    X(COMPACT_JOBS,    "sluice_compaction_jobs_total",   COUNTER, 0, "times that a partition was compacted")           \
    X(COMPACT_IN,      "sluice_compaction_read_bytes_total", COUNTER, 0, "bytes of record batches replaced by it")    \
    X(COMPACT_OUT,     "sluice_compaction_written_bytes_total", COUNTER, 0, "bytes that took their place")            \
    X(COMPACT_RECORDS, "sluice_compaction_removed_records_total", COUNTER, 0, "records removed, as newer ones of their key are there")\
    X(COMPACT_FAILURES,"sluice_compaction_failures_total", COUNTER, 0, "compactions that failed and are tried again") \
    X(COMPACT_NS,      "sluice_compaction_seconds_total", COUNTER, 1000000000, "time that compactions took")          \
    X(STORAGE_STATE,   "sluice_storage_state",           GAUGE,   0, "0: ok, 1: producers are slowed as the disk is nearly full, 2: read-only as it is full") \
    X(DISK_TOTAL,      "sluice_disk_bytes",              GAUGE,   0, "size of the file system of data.dir")           \
    X(DISK_AVAILABLE,  "sluice_disk_available_bytes",    GAUGE,   0, "what of it is available")                       \
    X(SCRUB_BYTES,     "sluice_scrub_read_bytes_total",  COUNTER, 0, "bytes read to compare what is stored with its checksums") \
    X(SCRUB_ERRORS,    "sluice_scrub_errors_total",      COUNTER, 0, "damaged places found so")                       \
    X(SCRUB_PASSES,    "sluice_scrub_passes_total",      COUNTER, 0, "times that a shard was read whole, added up")   \
    X(SCRUB_TODO,      "sluice_scrub_pass_bytes",        GAUGE,   0, "bytes that the present pass reads; 0: none runs") \
    X(SCRUB_DONE,      "sluice_scrub_pass_done_bytes",   GAUGE,   0, "bytes of them that were read")                  \
    X(SCRUB_ENDED,     "sluice_scrub_last_pass_seconds", GAUGE,1000, "when shard 0 was last read whole, in Unix time; 0: never") \
    X(SCRUB_DAMAGED,   "sluice_storage_damaged_places",  GAUGE,   0, "damaged places that are known: records in them are not served") \
    X(PRODUCERS,       "sluice_producers",               GAUGE,   0, "idempotent producers remembered")               \
    X(PRODUCERS_EVICTED,"sluice_producers_evicted_total",COUNTER, 0, "producers forgotten because of the bound")      \
    X(GROUPS,          "sluice_groups",                  GAUGE,   0, "consumer groups with members or state")         \
    X(GROUP_MEMBERS,   "sluice_group_members",           GAUGE,   0, "members of consumer groups")                    \
    X(REBALANCES,      "sluice_group_rebalances_total",  COUNTER, 0, "group generations begun")                       \
    X(OFFSETS,         "sluice_committed_offsets",       GAUGE,   0, "offsets committed by groups")                   \
    X(CONNECTIONS,     "sluice_connections",             GAUGE,   0, "open connections")                              \
    X(ACCEPTED,        "sluice_connections_accepted_total", COUNTER, 0, "connections accepted")                       \
    X(REFUSED,         "sluice_connections_refused_total",  COUNTER, 0, "connections refused at the bound")           \
    X(UPGRADED,        "sluice_connections_upgraded_total", COUNTER, 0, "connections handed from one frontend to another, WebSocket") \
    X(FILTERS,         "sluice_filters",                 GAUGE,   0, "different filters in Lua that subscriptions have, each a worker") \
    X(FILTERED,        "sluice_filter_records_total",    COUNTER, 0, "records judged by filters in Lua")             \
    X(FILTERS_PASSED,  "sluice_filter_passed_records_total", COUNTER, 0, "of them, records that passed")              \
    X(FILTERS_RAISED,  "sluice_filter_errors_total",     COUNTER, 0, "of them, records on which the filter raised, which do not pass") \
    X(FILTERS_FAILED,  "sluice_filter_failures_total",   COUNTER, 0, "filters in Lua that did not compile, or failed so that a subscription ended") \
    X(FILTERS_CPU,     "sluice_filter_cpu_seconds_total", COUNTER, 1000000000, "CPU time of the workers of filters in Lua") \
    X(FILTERS_RESTED,  "sluice_filter_cpu_throttled_seconds_total", COUNTER, 1000000000, "time that their batches waited as a worker had used up its CPU share") \
    X(FILTERS_MEMORY,  "sluice_filter_memory_bytes",     GAUGE,   0, "resident memory of their workers")              \
    X(FILTERS_DEATHS,  "sluice_filter_worker_deaths_total", COUNTER, 0, "workers of theirs that ended unasked")       \
    X(HANDSHAKES,      "sluice_tls_handshakes_total",    COUNTER, 0, "TLS handshakes done")                           \
    X(HANDSHAKES_FAILED, "sluice_tls_handshakes_failed_total", COUNTER, 0, "TLS handshakes that failed, or took too long") \
    X(LOGIN_STEPS,     "sluice_login_steps_total",       COUNTER, 0, "costly steps of logins (TLS handshakes, passwords, tokens) that helper threads took") \
    X(LOGINS_RUNNING,  "sluice_login_steps_running",     GAUGE,   0, "of them those that run, at most security.logins_at_once of a loop") \
    X(LOGINS_WAITING,  "sluice_login_steps_waiting",     GAUGE,   0, "of them those that wait, at most security.logins_waiting_max of a loop") \
    X(LOGINS_REFUSED,  "sluice_login_steps_refused_total", COUNTER, 0, "of them those that were refused, as too many waited") \
    X(ALLOWED,         "sluice_authorizer_allowed_total", COUNTER, 0, "things that clients asked for and might do; counted where access rules are in force") \
    X(DENIED,          "sluice_authorizer_denied_total",  COUNTER, 0, "things that access rules refused them")        \
    X(TELEMETRY_TAKEN,   "sluice_telemetry_pushes_total", COUNTER, 0, "pushes of clients' own metrics that became records, or had nothing to tell") \
    X(TELEMETRY_REFUSED, "sluice_telemetry_pushes_refused_total", COUNTER, 0, "pushes that were too early, too large, not asked for or not readable") \
    X(SOCKET_IN,       "sluice_socket_in_bytes_total",   COUNTER, 0, "bytes read from connections")                   \
    X(SOCKET_OUT,      "sluice_socket_out_bytes_total",  COUNTER, 0, "bytes written to connections")                  \
    X(MEMORY_USED,     "sluice_buffer_used_bytes",       GAUGE,   0, "request and answer buffers in use")             \
    X(MEMORY_BUDGET,   "sluice_buffer_budget_bytes",     GAUGE,   0, "their budget: above it sockets are not read")
/* clang-format on */

enum {
#define BROKER_METRIC_ENUM(name, text, kind, divisor, help) BROKER_METRIC_##name,
    BROKER_METRIC_TABLE(BROKER_METRIC_ENUM)
#undef BROKER_METRIC_ENUM
        BROKER_METRIC_STALLED, /* by cause */
    BROKER_METRIC_STALLS,
    BROKER_METRIC_TURNS,
    BROKER_METRIC_TURN_LONGEST, /* by loop */
    BROKER_METRIC_PLUGIN_FIRST, /* PLUGIN_COUNT_*, by plugin */
    BROKER_METRIC_PLUGIN_LAST = BROKER_METRIC_PLUGIN_FIRST + PLUGIN_COUNT_COUNT - 1,
    BROKER_METRIC_PLUGIN_DEATHS,      /* by plugin, cause */
    BROKER_METRIC_PLUGIN_DENIED,      /* by plugin, call */
    BROKER_METRIC_PLUGIN_OWN_COUNTER, /* by plugin, metric; as the two below */
    BROKER_METRIC_PLUGIN_OWN_GAUGE,
    BROKER_METRIC_PLUGIN_OWN_HISTOGRAM,
    BROKER_METRIC_PLUGIN_GAUGES, /* PLUGIN_GAUGE_*, by plugin */
    BROKER_METRIC_PLUGIN_GAUGES_LAST = BROKER_METRIC_PLUGIN_GAUGES + PLUGIN_GAUGE_COUNT - 1,
    BROKER_METRIC_PLUGIN_TIMES, /* PLUGIN_TIME_*, by plugin */
    BROKER_METRIC_PLUGIN_TIMES_LAST = BROKER_METRIC_PLUGIN_TIMES + PLUGIN_TIME_COUNT - 1,
    BROKER_METRIC_PLUGIN_LAG_TIME,  /* by plugin, topic, partition */
    BROKER_METRIC_PLUGIN_LAG,       /* by plugin, topic, partition */
    BROKER_METRIC_PLUGIN_STALLED,   /* by plugin, cause */
    BROKER_METRIC_LISTENER_REFUSED, /* by listener, cause */
    BROKER_METRIC_SHARED,           /* by listener */
    BROKER_METRIC_SHARED_REFUSED,   /* by listener */
    BROKER_METRIC_QUOTA_THROTTLED,  /* by quota, principal */
    BROKER_METRIC_QUOTA_WAIT,       /* likewise */
    BROKER_METRIC_SHARE_FIRST,      /* SHARE_COUNT_*, by group */
    BROKER_METRIC_SHARE_LAST = BROKER_METRIC_SHARE_FIRST + SHARE_COUNT_COUNT - 1,
    BROKER_METRIC_COUNT
};

struct broker_counters {
    struct sl_metric_writer *writer;
    struct sl_metric_cell *cells[BROKER_METRIC_COUNT];
    struct sl_metric_cell *stalled[8]; /* by enum conn_stall */
    struct sl_metric_cell *stalls[8];
};

sl_err broker_metrics_new(struct sl_metrics **ret_metrics) SL_MUST_CHECK;
sl_err broker_counters_init(struct broker_counters *counters,
                            struct sl_metrics *metrics) SL_MUST_CHECK;
/* The room's loop counts its turns. [before it runs] */
void broker_counters_watch_loop(struct loop_room *room);
/* For quota_link.throttled; arg: the room. */
void broker_counters_throttled(void *arg, int32_t kind, struct sluice_text principal,
                               int32_t wait_ms);
/* Stores what the room's shards and connections have counted. [the room's loop] */
void broker_counters_publish(struct loop_room *room);

#endif
