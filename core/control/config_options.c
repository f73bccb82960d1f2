/* config_options.c: every key of Sluice's configuration, once. */
#include "control/config_option.h"

#include <string.h>

#define KIB        INT64_C(1024)
#define MIB        (KIB * 1024)
#define GIB        (MIB * 1024)
#define TIB        (GIB * 1024)
#define SECOND     INT64_C(1000)
#define MINUTE     (60 * SECOND)
#define DAY        (24 * 60 * MINUTE)
#define AT(member) .offset = offsetof(struct sl_config, member)
#define IN(member) .offset = offsetof(struct config_instance, member)

/* clang-format off */
const struct config_option config_options[] = {
    {.key = "kafka.listen", .type = CONFIG_TYPE_ADDRESS, .apply = CONFIG_APPLY_RESTART, AT(kafka.listen),
     .initial = "127.0.0.1:9092",
     .doc = "Address and port for Kafka clients; port 0 takes any free one."},
    {.key = "kafka.advertised", .type = CONFIG_TYPE_ADDRESS, .apply = CONFIG_APPLY_RESTART, AT(kafka.advertised),
     .initial = "", .may_be_empty = true,
     .doc = "Address that Kafka clients are told to connect to; empty: that of kafka.listen."},
    {.key = "kafka.request_bytes_max", .type = CONFIG_TYPE_SIZE, .apply = CONFIG_APPLY_RESTART,
     AT(kafka.request_bytes_max), .initial = "100 MiB", .min = KIB, .max = GIB,
     .doc = "A Kafka request larger than this closes its connection."},
    {.key = "kafka.connections_max", .type = CONFIG_TYPE_INT, .apply = CONFIG_APPLY_RESTART,
     AT(kafka.connections_max), .initial = "1000", .min = 1, .max = 1000000,
     .doc = "Connections on the Kafka port; further ones are closed at once."},
    {.key = "kafka.connections_idle_ms", .type = CONFIG_TYPE_INT, .apply = CONFIG_APPLY_RESTART,
     AT(kafka.connections_idle_ms), .initial = "600000", .min = 0, .max = INT32_MAX,
     .doc = "Milliseconds after which a silent Kafka connection is closed (connections.max.idle.ms); 0: never."},
    {.key = "kafka.fetch_session_slots", .type = CONFIG_TYPE_INT, .apply = CONFIG_APPLY_RESTART,
     AT(kafka.fetch_session_slots), .initial = "1000", .min = 0, .max = 1000000,
     .doc = "Fetch sessions kept on each loop (max.incremental.fetch.session.cache.slots); a client without one fetches in full."},
    {.key = "kafka.sasl.mechanisms", .type = CONFIG_TYPE_LIST, .apply = CONFIG_APPLY_RESTART, AT(kafka.sasl.mechanisms),
     .initial = "", .may_be_empty = true,
     .doc = "How Kafka clients log in: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER; empty: they do not (sasl.enabled.mechanisms)."},
    {.key = "kafka.sasl.session_lifetime", .type = CONFIG_TYPE_DURATION, .apply = CONFIG_APPLY_RESTART,
     AT(kafka.sasl.session_lifetime_ms), .initial = "0 s", .min = 0, .max = 365 * DAY,
     .doc = "How long a login holds before the client has to repeat it on the connection (connections.max.reauth.ms); 0: as long as the connection."},
    {.key = "http.listen", .type = CONFIG_TYPE_ADDRESS, .apply = CONFIG_APPLY_RESTART, AT(http.listen),
     .initial = "127.0.0.1:9292",
     .doc = "Address and port for /metrics, /livez and /readyz."},
    {.key = "data.dir", .type = CONFIG_TYPE_PATH, .apply = CONFIG_APPLY_RESTART, AT(data.dir),
     .initial = "/var/lib/sluice/data", .initial_dev = "var/data",
     .doc = "Folder of all durable data; one broker at a time can use it. none: no disk, everything is in memory and gone after the end (a folder of that name is ./none)."},
    {.key = "memory.bytes_max", .type = CONFIG_TYPE_SIZE, .apply = CONFIG_APPLY_RESTART, AT(memory.bytes_max),
     .initial = "256 MiB", .initial_dev = "64 MiB", .min = 4 * MIB, .max = 16 * TIB,
     .doc = "Bound of the records of topics in memory (sluice.durability=memory, or all with data.dir: none), shared by the shards. At the bound the oldest records go, of topics with a retention.ms or retention.bytes; produce is refused where none has one."},
    {.key = "plugins.dir", .type = CONFIG_TYPE_PATH, .apply = CONFIG_APPLY_RESTART, AT(plugins.dir),
     .initial = "/var/lib/sluice/plugins", .initial_dev = "var/plugins",
     .doc = "Folder that is watched: a .lua or .so file put there is loaded, changed or unloaded with the file."},
    {.key = "plugins.system_dir", .type = CONFIG_TYPE_PATH, .apply = CONFIG_APPLY_RESTART, AT(plugins.system_dir),
     .initial = "", .may_be_empty = true,
     .doc = "Folder of the plugins that come with Sluice; empty: ../lib/sluice/plugins from the program."},
    {.key = "plugins.enabled", .type = CONFIG_TYPE_LIST, .apply = CONFIG_APPLY_RESTART, AT(plugins.enabled),
     .initial = "frontend_kafka,frontend_http", .may_be_empty = true,
     .doc = "Frontends of plugins.system_dir to load; an empty list starts a broker without any port."},
    {.key = "plugins.instances", .type = CONFIG_TYPE_INSTANCES, .apply = CONFIG_APPLY_COMPONENT,
     .initial = "", .may_be_empty = true,
     .doc = "Plugin instances by name: what they are attached to, their configuration and limits."},
    {.key = "plugins.rollback.errors_percent", .type = CONFIG_TYPE_INT, .apply = CONFIG_APPLY_LIVE,
     AT(plugins.rollback.errors_percent), .initial = "10", .min = 0, .max = 100,
     .doc = "A new version of a plugin whose share of failures (rejected and poisoned records, deadlines of gates, workers lost) is so many points above that of the version before goes back to that one; 0: it never does by itself."},
    {.key = "plugins.rollback.errors_min", .type = CONFIG_TYPE_INT, .apply = CONFIG_APPLY_LIVE,
     AT(plugins.rollback.errors_min), .initial = "5", .min = 1, .max = 1000000,
     .doc = "Fewer failures do not count."},
    {.key = "plugins.rollback.grace", .type = CONFIG_TYPE_DURATION, .apply = CONFIG_APPLY_LIVE,
     AT(plugins.rollback.grace_ms), .initial = "30 s", .min = 100, .max = DAY,
     .doc = "How long after it took over a new version is watched so."},
    {.key = "log.level", .type = CONFIG_TYPE_ENUM, .apply = CONFIG_APPLY_LIVE, AT(log.level),
     .initial = "info", .choices = "debug|info|warn|error",
     .doc = "The least severe level that is logged."},
    {.key = "log.format", .type = CONFIG_TYPE_ENUM, .apply = CONFIG_APPLY_LIVE, AT(log.format),
     .initial = "text", .choices = "text|json",
     .doc = "Log lines as text for people or as one JSON object each."},
    {.key = "runtime.shards", .type = CONFIG_TYPE_INT, .apply = CONFIG_APPLY_RESTART, AT(runtime.shards),
     .initial = "0", .min = 0, .max = 64,
     .doc = "Shards, each with a loop and a write-ahead log; 0 chooses by processors; fixed once the data folder exists."},
    {.key = "runtime.affinity", .type = CONFIG_TYPE_STRING, .apply = CONFIG_APPLY_RESTART, AT(runtime.affinity),
     .initial = "auto",
     .doc = "Pinning of shard threads: auto, none, or a list of processors such as 0,2-3."},
    {.key = "core.topics.auto_create", .type = CONFIG_TYPE_BOOL, .apply = CONFIG_APPLY_RESTART,
     AT(core.topics_auto_create), .initial = "false", .initial_dev = "true",
     .doc = "A topic that a client names for the first time is created."},
    {.key = "core.topics.partitions", .type = CONFIG_TYPE_INT, .apply = CONFIG_APPLY_RESTART,
     AT(core.topics_partitions), .initial = "1", .min = 1, .max = 10000,
     .doc = "Partitions of a topic that is created without saying how many."},
    {.key = "core.frame_bytes_max", .type = CONFIG_TYPE_SIZE, .apply = CONFIG_APPLY_RESTART,
     AT(core.frame_bytes_max), .initial = "100 MiB", .min = KIB, .max = GIB,
     .doc = "Largest request that core buffers for any frontend."},
    {.key = "core.memory_bytes_max", .type = CONFIG_TYPE_SIZE, .apply = CONFIG_APPLY_RESTART,
     AT(core.memory_bytes_max), .initial = "256 MiB", .min = MIB, .max = TIB,
     .doc = "Budget for request buffers; when it is used up, sockets are not read until some is free."},
    {.key = "core.decompressed_bytes_max", .type = CONFIG_TYPE_SIZE, .apply = CONFIG_APPLY_RESTART,
     AT(core.decompressed_bytes_max), .initial = "100 MiB", .min = KIB, .max = GIB,
     .doc = "A record batch that expands beyond this is refused."},
    {.key = "wal.segment_bytes", .type = CONFIG_TYPE_SIZE, .apply = CONFIG_APPLY_RESTART, AT(wal.segment_bytes),
     .initial = "64 MiB", .initial_dev = "8 MiB", .min = MIB, .max = GIB,
     .doc = "Size of one file of the write-ahead log."},
    {.key = "wal.bytes_max", .type = CONFIG_TYPE_SIZE, .apply = CONFIG_APPLY_RESTART, AT(wal.bytes_max),
     .initial = "8 GiB", .initial_dev = "1 GiB", .min = 4 * MIB, .max = 64 * TIB,
     .doc = "Bound of one shard's write-ahead log; produce is refused beyond it."},
    {.key = "wal.group_bytes_max", .type = CONFIG_TYPE_SIZE, .apply = CONFIG_APPLY_RESTART, AT(wal.group_bytes_max),
     .initial = "1 MiB", .min = 4 * KIB, .max = 64 * MIB,
     .doc = "A group commit stops growing at this size."},
    {.key = "wal.frame_bytes_max", .type = CONFIG_TYPE_SIZE, .apply = CONFIG_APPLY_RESTART, AT(wal.frame_bytes_max),
     .initial = "16 MiB", .initial_dev = "4 MiB", .min = 64 * KIB, .max = 512 * MIB,
     .doc = "Largest unit that is written whole, and so the largest record batch; below wal.segment_bytes."},
    {.key = "wal.seal_bytes", .type = CONFIG_TYPE_SIZE, .apply = CONFIG_APPLY_RESTART, AT(wal.seal_bytes),
     .initial = "256 MiB", .initial_dev = "64 MiB", .min = MIB, .max = TIB,
     .doc = "When so much of the write-ahead log is full files, their records move into extents; at most half of wal.bytes_max."},
    {.key = "wal.age_max", .type = CONFIG_TYPE_DURATION, .apply = CONFIG_APPLY_RESTART, AT(wal.age_max_ms),
     .initial = "10 min", .min = SECOND, .max = DAY,
     .doc = "Records in the write-ahead log move into extents at this age, however few they are; sooner by a topic's segment.ms."},
    {.key = "security.authorization", .type = CONFIG_TYPE_BOOL, .apply = CONFIG_APPLY_RESTART,
     AT(security.authorization), .initial = "false",
     .doc = "Clients may do what access rules let them (sluice acl, Kafka's CreateAcls), and nothing else; also on where security.acl_file is set."},
    {.key = "security.acl_file", .type = CONFIG_TYPE_PATH, .apply = CONFIG_APPLY_RESTART, AT(security.acl_file),
     .initial = "", .may_be_empty = true,
     .doc = "JSON file with further access rules, read again when it changes; a broker whose file does not parse does not start."},
    {.key = "security.super_users", .type = CONFIG_TYPE_LIST, .apply = CONFIG_APPLY_RESTART, AT(security.super_users),
     .initial = "", .may_be_empty = true,
     .doc = "Principals that may do everything, such as User:admin (super.users)."},
    {.key = "security.allow_if_no_acl", .type = CONFIG_TYPE_BOOL, .apply = CONFIG_APPLY_RESTART,
     AT(security.allow_if_no_acl), .initial = "false",
     .doc = "What no access rule is about is allowed to everybody (allow.everyone.if.no.acl.found)."},
    {.key = "security.failed_login_delay", .type = CONFIG_TYPE_DURATION, .apply = CONFIG_APPLY_RESTART,
     AT(security.failed_login_delay_ms), .initial = "100 ms", .min = 0, .max = 10 * SECOND,
     .doc = "A login that failed is told so late (connection.failed.authentication.delay.ms)."},
    {.key = "security.oauth.jwks_file", .type = CONFIG_TYPE_PATH, .apply = CONFIG_APPLY_RESTART, AT(security.oauth.jwks_file),
     .initial = "", .may_be_empty = true,
     .doc = "JSON web key set that tokens of OAUTHBEARER are checked with."},
    {.key = "security.oauth.key_file", .type = CONFIG_TYPE_PATH, .apply = CONFIG_APPLY_RESTART, AT(security.oauth.key_file),
     .initial = "", .may_be_empty = true,
     .doc = "Public key in PEM form that they are checked with, instead."},
    {.key = "security.oauth.issuer", .type = CONFIG_TYPE_STRING, .apply = CONFIG_APPLY_RESTART, AT(security.oauth.issuer),
     .initial = "", .may_be_empty = true,
     .doc = "The only issuer (iss) whose tokens are taken; empty: any that a key has signed."},
    {.key = "security.oauth.audience", .type = CONFIG_TYPE_STRING, .apply = CONFIG_APPLY_RESTART, AT(security.oauth.audience),
     .initial = "", .may_be_empty = true,
     .doc = "Tokens must be for this audience (aud); empty: any."},
    {.key = "security.oauth.principal_claim", .type = CONFIG_TYPE_STRING, .apply = CONFIG_APPLY_RESTART, AT(security.oauth.principal_claim),
     .initial = "sub",
     .doc = "The claim whose value becomes the principal's name."},
    {.key = "security.oauth.clock_skew", .type = CONFIG_TYPE_DURATION, .apply = CONFIG_APPLY_RESTART, AT(security.oauth.skew_ms),
     .initial = "30 s", .min = 0, .max = 10 * MINUTE,
     .doc = "How far the clock of the issuer may be off."},
    {.key = "groups.initial_rebalance_delay", .type = CONFIG_TYPE_DURATION, .apply = CONFIG_APPLY_RESTART,
     AT(groups.initial_rebalance_delay_ms), .initial = "3 s", .initial_dev = "0 s", .min = 0, .max = 10 * MINUTE,
     .doc = "How long a new consumer group waits for further members before its first assignment."},
    {.key = "groups.session_timeout_min", .type = CONFIG_TYPE_DURATION, .apply = CONFIG_APPLY_RESTART,
     AT(groups.session_timeout_min_ms), .initial = "6 s", .min = 1, .max = DAY,
     .doc = "Shortest session timeout that a group member may ask for."},
    {.key = "groups.session_timeout_max", .type = CONFIG_TYPE_DURATION, .apply = CONFIG_APPLY_RESTART,
     AT(groups.session_timeout_max_ms), .initial = "30 min", .min = 1, .max = DAY,
     .doc = "Longest session timeout that a group member may ask for."},
    {.key = "retention.ms", .type = CONFIG_TYPE_INT, .apply = CONFIG_APPLY_RESTART, AT(retention.ms),
     .initial = "604800000", .min = -1, .max = INT64_MAX,
     .doc = "How many milliseconds records are kept in topics without a retention.ms of their own; -1: for ever."},
    {.key = "retention.bytes", .type = CONFIG_TYPE_INT, .apply = CONFIG_APPLY_RESTART, AT(retention.bytes),
     .initial = "-1", .min = -1, .max = INT64_MAX,
     .doc = "How many bytes of a partition are kept in topics without a retention.bytes of their own; -1: all."},
    {.key = "retention.check_interval", .type = CONFIG_TYPE_DURATION, .apply = CONFIG_APPLY_RESTART,
     AT(retention.check_interval_ms), .initial = "1 min", .min = 1, .max = DAY,
     .doc = "How often records beyond their topic's retention are looked for (Kafka's log.retention.check.interval.ms)."},
    {.key = "compaction.check_interval", .type = CONFIG_TYPE_DURATION, .apply = CONFIG_APPLY_RESTART,
     AT(compaction.check_interval_ms), .initial = "15 s", .min = 1, .max = DAY,
     .doc = "How often partitions worth compacting are looked for (Kafka's log.cleaner.backoff.ms)."},
    {.key = "compaction.buffer_bytes", .type = CONFIG_TYPE_SIZE, .apply = CONFIG_APPLY_RESTART,
     AT(compaction.buffer_bytes), .initial = "128 MiB", .min = 1 << 10, .max = INT64_C(1) << 40,
     .doc = "Memory for the keys of partitions being compacted, 32 bytes a key, shared by the shards; with less a partition is compacted in more steps (Kafka's log.cleaner.dedupe.buffer.size)."},
    {.key = "compaction.min_dirty_percent", .type = CONFIG_TYPE_INT, .apply = CONFIG_APPLY_RESTART,
     AT(compaction.min_dirty_percent), .initial = "50", .min = 0, .max = 100,
     .doc = "Share of bytes not compacted yet from which compaction begins, in topics without a min.cleanable.dirty.ratio of their own."},
    {.key = "compaction.min_lag_ms", .type = CONFIG_TYPE_INT, .apply = CONFIG_APPLY_RESTART,
     AT(compaction.min_lag_ms), .initial = "0", .min = 0, .max = INT64_MAX,
     .doc = "Younger records are not compacted, in topics without a min.compaction.lag.ms of their own."},
    {.key = "compaction.max_lag_ms", .type = CONFIG_TYPE_INT, .apply = CONFIG_APPLY_RESTART,
     AT(compaction.max_lag_ms), .initial = "9223372036854775807", .min = 1, .max = INT64_MAX,
     .doc = "Older records are compacted whatever the share is, in topics without a max.compaction.lag.ms of their own."},
    {.key = "compaction.delete_retention_ms", .type = CONFIG_TYPE_INT, .apply = CONFIG_APPLY_RESTART,
     AT(compaction.delete_retention_ms), .initial = "86400000", .min = 0, .max = INT64_MAX,
     .doc = "How long compaction keeps tombstones, in topics without a delete.retention.ms of their own."},
    {.key = "storage.scrub_bytes_per_s", .type = CONFIG_TYPE_SIZE, .apply = CONFIG_APPLY_LIVE,
     AT(storage.scrub_bytes_per_s), .initial = "16 MiB", .min = 0, .max = TIB,
     .doc = "Bytes per second that the broker reads to compare what is stored with its checksums; 0: it does not."},
    {.key = "storage.scrub_interval", .type = CONFIG_TYPE_DURATION, .apply = CONFIG_APPLY_LIVE,
     AT(storage.scrub_interval_ms), .initial = "7 d", .min = 0, .max = 365 * DAY,
     .doc = "How often all that is stored is read so; 0: only when sluice scrub asks for it."},
    {.key = "storage.erase_max", .type = CONFIG_TYPE_DURATION, .apply = CONFIG_APPLY_RESTART,
     AT(storage.erase_max_ms), .initial = "30 d", .min = SECOND, .max = 3650 * DAY,
     .doc = "How long bytes of deleted records may stay in a file that also holds live ones; then it is rewritten however few they are (before, when half of it is dead)."},
    {.key = "storage.rewrite_bytes_per_s", .type = CONFIG_TYPE_SIZE, .apply = CONFIG_APPLY_RESTART,
     AT(storage.rewrite_bytes_per_s), .initial = "32 MiB", .min = 64 * KIB, .max = TIB,
     .doc = "Bytes per second that a shard writes for that at most."},
    {.key = "node.id", .type = CONFIG_TYPE_INT, .apply = CONFIG_APPLY_RESTART, AT(node.id),
     .initial = "1", .min = 0, .max = INT32_MAX,
     .doc = "Number of this broker as clients see it."},
    {.key = "admin.socket", .type = CONFIG_TYPE_PATH, .apply = CONFIG_APPLY_RESTART, AT(admin.socket),
     .initial = "", .may_be_empty = true,
     .doc = "Unix socket for the command line; empty: sluice.sock beside data.dir (without one, beside plugins.dir); none: no socket."},
};

const struct config_option config_instance_options[] = {
    {.key = "module", .type = CONFIG_TYPE_STRING, .apply = CONFIG_APPLY_COMPONENT, IN(module),
     .initial = "", .may_be_empty = true,
     .doc = "File in plugins.dir, or a processor in plugins.system_dir (processor_ffi); empty: the module whose id is the instance's name."},
    {.key = "on", .type = CONFIG_TYPE_ENUM, .apply = CONFIG_APPLY_COMPONENT, IN(on),
     .initial = "", .choices = "|log|produce", .may_be_empty = true,
     .doc = "log: a stage, after the record is durable; produce: a gate, before it is written."},
    {.key = "input", .type = CONFIG_TYPE_LIST, .apply = CONFIG_APPLY_COMPONENT, IN(input),
     .initial = "", .may_be_empty = true,
     .doc = "Topic or list of topics to read; a trailing * matches any ending."},
    {.key = "output", .type = CONFIG_TYPE_STRING, .apply = CONFIG_APPLY_COMPONENT, IN(output),
     .initial = "", .may_be_empty = true, .doc = "Topic that results go to."},
    {.key = "outputs", .type = CONFIG_TYPE_LIST, .apply = CONFIG_APPLY_COMPONENT, IN(outputs),
     .initial = "", .may_be_empty = true, .doc = "Further topics that it may emit to."},
    {.key = "config", .type = CONFIG_TYPE_OBJECT, .apply = CONFIG_APPLY_LIVE, IN(config_json),
     .initial = "", .may_be_empty = true, .doc = "The plugin's own configuration, given to it as it is."},
    {.key = "sha256", .type = CONFIG_TYPE_STRING, .apply = CONFIG_APPLY_COMPONENT, IN(sha256),
     .initial = "", .may_be_empty = true,
     .doc = "SHA-256 of the module file: lets a frontend that is not first-party run inside the broker."},
    {.key = "limits.memory_bytes", .type = CONFIG_TYPE_SIZE, .apply = CONFIG_APPLY_COMPONENT, IN(memory_bytes),
     .initial = "0", .min = 0, .max = TIB, .doc = "Memory of its worker; 0: 100 MiB. The stricter of this and the manifest holds."},
    {.key = "limits.state_bytes", .type = CONFIG_TYPE_SIZE, .apply = CONFIG_APPLY_RESTART, IN(state_bytes),
     .initial = "0", .min = 0, .max = TIB,
     .doc = "State that it may keep for one partition (sluice.state/1), in the memory of its worker; 0: 16 MiB. The stricter of this and the manifest holds."},
    {.key = "limits.deadline_ms", .type = CONFIG_TYPE_INT, .apply = CONFIG_APPLY_COMPONENT, IN(deadline_ms),
     .initial = "0", .min = 0, .max = DAY, .doc = "Milliseconds that one batch may take; 0: as the manifest says."},
    {.key = "limits.descriptors", .type = CONFIG_TYPE_INT, .apply = CONFIG_APPLY_COMPONENT, IN(descriptors),
     .initial = "0", .min = 0, .max = 65536, .doc = "Open files of its worker; 0: 50. The stricter of this and the manifest holds."},
    {.key = "limits.cpu_percent", .type = CONFIG_TYPE_INT, .apply = CONFIG_APPLY_COMPONENT, IN(cpu_percent),
     .initial = "0", .min = 0, .max = 100,
     .doc = "Share of one processor that its worker may use, after a burst of 1 s; batches wait beyond it; 0: 10. The stricter of this and the manifest holds."},
    {.key = "rollback.errors_percent", .type = CONFIG_TYPE_INT, .apply = CONFIG_APPLY_LIVE, IN(rollback_errors_percent),
     .initial = "-1", .min = -1, .max = 100,
     .doc = "As plugins.rollback.errors_percent, for this instance; -1: as that says."},
    {.key = "rollback.grace_ms", .type = CONFIG_TYPE_INT, .apply = CONFIG_APPLY_LIVE, IN(rollback_grace_ms),
     .initial = "-1", .min = -1, .max = DAY,
     .doc = "As plugins.rollback.grace, in milliseconds, for this instance; -1: as that says."},
    {.key = "shadow", .type = CONFIG_TYPE_INT, .apply = CONFIG_APPLY_LIVE, IN(shadow),
     .initial = "0", .min = 0, .max = 1000000000,
     .doc = "So many records go to a new version beside the old one, for a minute at most, before it takes over; its outputs are compared and discarded; 0: none."},
    {.key = "shadow_max_diff_percent", .type = CONFIG_TYPE_INT, .apply = CONFIG_APPLY_LIVE, IN(shadow_max_diff_percent),
     .initial = "100", .min = 0, .max = 100,
     .doc = "A new version that makes something else of a larger share of them is refused."},
    {.key = "on_error", .type = CONFIG_TYPE_STRING, .apply = CONFIG_APPLY_COMPONENT, IN(on_error),
     .initial = "", .may_be_empty = true,
     .doc = "What becomes of a record that fails: dead-letter (to __sluice_dlq.<name>; a gate refuses it to its producer), drop, retry or retry N (with backoff, then a dead letter), stop; empty: as the manifest says, else dead-letter."},
    {.key = "permissions", .type = CONFIG_TYPE_LIST, .apply = CONFIG_APPLY_COMPONENT, IN(permissions),
     .initial = "", .may_be_empty = true,
     .doc = "What it may have if its manifest asks for it: \"read-only /absolute/path\", \"network-client host:port\", \"library NAME\"; the broker opens the first two, the plugin gets the descriptor; libraries are loaded when its worker starts."},
    {.key = "sandbox", .type = CONFIG_TYPE_ENUM, .apply = CONFIG_APPLY_COMPONENT, IN(sandbox),
     .initial = "enforce", .choices = "enforce|observe",
     .doc = "enforce: a forbidden system call ends the worker; observe: it is logged and fails, with --dev only."},
};
/* clang-format on */

const uint32_t config_option_count = SL_COUNT_OF(config_options);
const uint32_t config_instance_option_count = SL_COUNT_OF(config_instance_options);

const struct config_section *config_section_main(void)
{
    static const struct config_section section = {config_options, SL_COUNT_OF(config_options)};
    return &section;
}

const struct config_section *config_section_instance(void)
{
    static const struct config_section section = {config_instance_options,
                                                  SL_COUNT_OF(config_instance_options)};
    return &section;
}

const struct config_option *config_option_find(const struct config_section *section,
                                               const char *key)
{
    for (uint32_t i = 0; i < section->count; i++) {
        if (strcmp(section->options[i].key, key) == 0) {
            return &section->options[i];
        }
    }
    return NULL;
}

bool config_option_is_section(const struct config_section *section, const char *path)
{
    size_t size = strlen(path);
    for (uint32_t i = 0; i < section->count; i++) {
        if (strncmp(section->options[i].key, path, size) == 0 &&
            section->options[i].key[size] == '.') {
            return true;
        }
    }
    return false;
}
