/* explain.c: the table of causes and next steps, a row for each of SLUICE_STATUS_TABLE; a test sees
 * to that. Written for the person who has the number before them and nothing else. */
#include "control/explain.h"

#include "base/status.h"

#define ROW(suffix, cause, next)     \
    {                                \
        SLUICE_##suffix, cause, next \
    }

/* clang-format off */
static const struct explain_row rows[] = {
    ROW(E_INTERNAL, "Something went wrong that the broker did not foresee.",
        "Read the broker's log around that time; if it comes again, \"sluice status\" and the log make a report."),
    ROW(E_NO_MEMORY, "The process, or a budget within it, had no memory left.",
        "Look at memory with \"sluice status\"; lower limits.* or give the process more."),
    ROW(E_INVALID, "An argument is missing, of the wrong kind or out of its range; the sentence says which.",
        "\"sluice COMMAND --help\" says what each argument may be."),
    ROW(E_WOULD_BLOCK, "The other side was not ready, and the call was not allowed to wait.",
        "Try again in a moment."),
    ROW(E_NOT_FOUND, "What the command names is not there, or not any more.",
        "List what there is (\"sluice topic list\", \"plugin list\", \"group list\", \"user list\") and look for a slip of the keys."),
    ROW(E_EXISTS, "Something of that name is there already.", "Choose another name, or change what is there."),
    ROW(E_LIMIT, "A bound of the configuration is reached; the sentence says which.",
        "Wait and try again, or raise the bound: \"sluice config show\" has all of them."),
    ROW(E_TIMEOUT, "It was not done within the time that it had.",
        "Try again; if it stays so, \"sluice status\" and \"sluice top\" show what is behind."),
    ROW(E_CANCELLED, "The one who asked went away before the answer, or the work was ended.", "Ask again if it is still wanted."),
    ROW(E_UNSUPPORTED, "This version, this configuration or this machine cannot do that; the sentence says what is missing.",
        "docs/STATUS.md lists what works."),
    ROW(E_TRUNCATED, "The input ends in the middle of something: a file cut short, or a connection that closed.",
        "Send or copy it again, whole."),
    ROW(E_MALFORMED, "The input does not keep to its format.", "Check the file or the client that made it; the sentence says where."),
    ROW(E_STOPPING, "The broker is on its way down and takes nothing new.", "Wait for it to start again; clients try again by themselves."),
    ROW(E_BUSY, "Something else is in the way: the same thing is being changed, or is in a state that does not allow it.",
        "The sentence says what is in the way; end that first, or try again in a moment."),
    ROW(E_PERMISSION, "The file, the socket or the operation is not for this user.",
        "Run it as the user of the broker, or look at the rights of what the sentence names."),
    ROW(E_UNCONFIRMED, "It cannot be undone, or it lets records past a gate; nothing was done yet.",
        "Say --yes if it is meant."),
    ROW(E_NOT_RUNNING, "The program that hosts the broker called it before it ran, or after its end.",
        "Wait for the ready callback of sluice_embed_create; a broker that ended is made anew."),

    ROW(E_IO, "A file could not be read or written.", "\"dmesg\" tells whether the disk is failing; look at rights and free space."),
    ROW(E_DISK_FULL, "The disk of data.dir is filled to 95 %; reading, deleting and commits go on.",
        "Make room: \"sluice topic delete\", \"sluice topic trim\", shorter retention, a larger disk. See docs/storage/recovery.md."),
    ROW(E_CORRUPT, "Stored data does not match its checksum: a disk, memory, or somebody wrote into the files.",
        "\"sluice wal inspect\" and \"sluice scrub --now\" say what is lost; docs/storage/recovery.md says how to go on."),
    ROW(E_LOCKED, "Another broker runs on this data directory.", "Stop that one, or give this one a data.dir of its own."),
    ROW(E_NEWER_FORMAT, "A newer version of Sluice wrote this data directory.", "Run that version, or a newer one."),
    ROW(E_FENCED, "Writing to the disk failed, so nothing is acknowledged any more: what was, is safe.",
        "Look at the disk (\"dmesg\"), then restart the broker, which recovers."),
    ROW(E_LOG_FULL, "The write-ahead log is at wal.bytes_max: sealing does not keep up, or the disk is slow.",
        "Clients try again by themselves; \"sluice status\" shows sealing; raise wal.bytes_max if it comes often."),
    ROW(E_POWER_CUT, "A simulated power cut of the test machinery.", "It cannot come from a running broker."),
    ROW(E_FOREIGN, "The file belongs to another cluster or shard: files were copied by hand.",
        "Put back the file that belongs there; move data with \"sluice backup create\" and \"restore\"."),
    ROW(E_MEMORY_FULL, "Topics of durability memory hold as much as they may.", "Raise memory.bytes_max, or shorten their retention."),
    ROW(E_DAMAGED_RECORDS, "A read met records whose checksum does not match.",
        "\"sluice scrub --now\" says which; readers may seek behind them; docs/storage/recovery.md says how to mend."),

    ROW(E_CORRUPT_BATCH, "A batch changed on its way, or the client computed its checksum wrongly.", "Clients try again by themselves; if it stays, look at the network and the client."),
    ROW(E_INVALID_RECORD, "A batch or a record in it does not keep the rules of format 2, or of the topic.",
        "The sentence names the rule; a compacted topic wants keys."),
    ROW(E_BATCH_TOO_LARGE, "The batch is larger than max.message.bytes of the topic.",
        "Send smaller batches, or raise it: \"sluice topic alter TOPIC -c max.message.bytes=N\"."),
    ROW(E_EXPANDS_TOO_FAR, "A compressed batch becomes larger than is allowed when it is opened.", "Send smaller batches."),
    ROW(E_UNSUPPORTED_CODEC, "This build, or this version of the protocol, does not have that compression.", "Use lz4, zstd, gzip or snappy with a client of this decade."),
    ROW(E_INVALID_TIMESTAMP, "The record's time is further from the broker's clock than the topic allows.",
        "Set the producer's clock, or message.timestamp.before.max.ms and after.max.ms of the topic."),
    ROW(E_UNSUPPORTED_MAGIC, "The client sent records of a format before Kafka 0.11.", "Use a newer client, or set kafka.legacy: true. See docs/legacy.md."),
    ROW(E_SEGMENT_TOO_SMALL, "The batch does not fit a segment of the topic.", "Raise segment.bytes of the topic, or send smaller batches."),

    ROW(E_UNKNOWN_TOPIC, "There is no topic of that name, or it has no such partition; clients may only have asked too early.",
        "\"sluice topic list\" shows what there is, \"sluice topic create NAME\" makes one."),
    ROW(E_UNKNOWN_TOPIC_ID, "The topic was deleted, and perhaps made again: its id is another one.", "Clients ask for the new id by themselves."),
    ROW(E_INVALID_TOPIC, "A topic's name is 1 to 249 letters, digits, dots, underscores and dashes; names with __sluice_ are Sluice's own.",
        "Choose such a name."),
    ROW(E_TOPIC_EXISTS, "A topic of that name is there.", "\"sluice topic describe NAME\" shows it, \"sluice topic alter\" changes it."),
    ROW(E_INVALID_PARTITIONS, "Partitions can only be added, within the bounds of the configuration.", "\"sluice topic describe NAME\" says how many there are."),
    ROW(E_INVALID_REPLICATION_FACTOR, "There is one broker, so there is one replica.", "Ask for a replication factor of 1, or of -1."),
    ROW(E_INVALID_CONFIG, "A setting of the topic is not known or its value is not possible; the sentence says which.",
        "docs/reference/topics.md, or \"sluice config topics\", has all of them."),
    ROW(E_OFFSET_OUT_OF_RANGE, "The offset lies before the first record that is kept, or behind the last one.",
        "\"sluice topic offsets TOPIC\" shows the range; a group moves with \"sluice group seek\"."),
    ROW(E_FENCED_LEADER_EPOCH, "The client knows an older state of the partition.", "Clients ask for the new one by themselves."),
    ROW(E_UNKNOWN_LEADER_EPOCH, "The client has a newer leader epoch than this broker.", "It talks to a broker that was put back to older data; restart the client if it does not recover."),
    ROW(E_INCONSISTENT_TOPIC_ID, "The name and the id in a request are of different topics.", "Clients ask again by themselves."),
    ROW(E_TOPIC_DELETION_DISABLED, "The configuration forbids to delete topics.", "Set delete.topic.enable, if deleting is meant to be possible."),
    ROW(E_INVALID_REPLICA_ASSIGNMENT, "A request places replicas where there is no broker.", "Leave the assignment to the broker."),
    ROW(E_TOPIC_AUTHORIZATION, "No rule allows this principal that operation on the topic, or one denies it.",
        "\"sluice acl list\" shows the rules, \"sluice acl add User:NAME Read Topic:NAME\" gives one."),
    ROW(E_POLICY, "A rule of the configuration refuses it.", "The sentence names the rule."),
    ROW(E_MIXED_DURABILITY, "One step would write to a topic in memory and to one on disk.", "Write in two steps, or give both sluice.durability of the same kind."),
    ROW(E_NOT_ENOUGH_REPLICAS, "min.insync.replicas asks for more brokers than there are.", "Set it to 1."),
    ROW(E_UNEXPECTED_OFFSET, "The record was to be written at an offset that another record has by now, or that is not reached yet.",
        "Read what is there, decide again, and publish with the offset that is expected now."),

    ROW(E_OUT_OF_ORDER_SEQUENCE, "Batches of an idempotent producer are missing or came in the wrong order.", "The producer must be made anew; look for lost connections before it."),
    ROW(E_DUPLICATE_SEQUENCE, "The batch was stored already; it is too old to be answered as such.", "Nothing is lost; producers take it as done."),
    ROW(E_INVALID_PRODUCER_EPOCH, "A newer instance of this producer has begun.", "End the old one; two must not share a transactional id."),
    ROW(E_UNKNOWN_PRODUCER_ID, "The producer was silent for so long that its state was dropped.", "Clients begin anew by themselves."),
    ROW(E_INVALID_TXN_STATE, "The transaction is not in a state in which this can be done.", "Abort it and begin another."),
    ROW(E_INVALID_TXN_TIMEOUT, "transaction.timeout.ms of the producer is above the maximum.", "Lower it: \"sluice config show\" has the maximum."),
    ROW(E_INVALID_REQUIRED_ACKS, "acks is something else than 0, 1 or all.", "Use acks=all."),
    ROW(E_PRODUCER_FENCED, "Another producer took over the transactional id.", "End this one; two must not share a transactional id."),
    ROW(E_INVALID_PRODUCER_ID_MAPPING, "The producer id does not belong to this transactional id.", "Make the producer anew."),
    ROW(E_CONCURRENT_TRANSACTIONS, "The transaction before this one is still being completed.", "Clients try again by themselves."),
    ROW(E_TRANSACTION_ABORTABLE, "Something in the transaction failed; the rest is sound.", "Abort the transaction and do it again."),
    ROW(E_TXN_ID_NOT_FOUND, "No transaction of that id is known.", "Look for it with kafka-transactions.sh list; ids expire."),
    ROW(E_TXN_DURABILITY, "A topic of the transaction is not of durability fsync.", "Use topics with sluice.durability=fsync in transactions."),
    ROW(E_UNSTABLE_OFFSET, "A transaction that commits this offset is still open.", "Clients try again by themselves."),
    ROW(E_NOT_ATTEMPTED, "Another part of the request was refused, so this one was not tried.", "Mend the other part; its own error says how."),

    ROW(E_COORDINATOR_NOT_AVAILABLE, "Groups are not ready yet, or storage of the first shard failed.", "Clients try again by themselves; \"sluice status\" shows the shards."),
    ROW(E_NOT_COORDINATOR, "Another node has the group.", "Clients look for it by themselves."),
    ROW(E_COORDINATOR_LOADING, "The broker has just begun and still reads its groups.", "Clients try again by themselves."),
    ROW(E_ILLEGAL_GENERATION, "The member missed a rebalance, mostly for slow processing.", "It joins again by itself; raise max.poll.interval.ms if it comes often."),
    ROW(E_INCONSISTENT_GROUP_PROTOCOL, "Members of one group speak different protocols or assignors.", "Give all members the same group.protocol and assignors; finish rolling them."),
    ROW(E_INVALID_GROUP_ID, "A group wants a name that is not empty.", "Set group.id."),
    ROW(E_UNKNOWN_MEMBER, "The group forgot this member: it was silent for longer than its session.", "It joins again by itself; raise session.timeout.ms if it comes often."),
    ROW(E_INVALID_SESSION_TIMEOUT, "session.timeout.ms lies outside of what the broker allows.", "See groups.session_timeout_min and _max in \"sluice config show\"."),
    ROW(E_REBALANCE_IN_PROGRESS, "The group is dividing its partitions anew.", "Clients join by themselves."),
    ROW(E_MEMBER_ID_REQUIRED, "A new member was told its id and joins a second time with it.", "Clients do that by themselves."),
    ROW(E_FENCED_INSTANCE_ID, "Two clients use the same group.instance.id.", "Give each its own."),
    ROW(E_GROUP_MAX_SIZE, "The group has as many members as groups.members_max allows.", "Raise it, or run fewer members."),
    ROW(E_OFFSET_METADATA_TOO_LARGE, "The text that goes with a committed offset is too long.", "Commit less text."),
    ROW(E_GROUP_NOT_EMPTY, "Members are in the group, so it cannot be deleted or moved.", "Stop them; \"sluice group describe GROUP\" says who they are."),
    ROW(E_GROUP_NOT_FOUND, "There is no group of that name, or it is of another kind.", "\"sluice group list\" shows what there is."),
    ROW(E_STALE_MEMBER_EPOCH, "The member acts on an assignment that has been replaced.", "Clients ask for the new one by themselves."),
    ROW(E_GROUP_SUBSCRIBED, "The group still reads this topic.", "Stop its members first."),
    ROW(E_FENCED_MEMBER_EPOCH, "The member was given up, mostly for being silent too long.", "It joins again by itself."),
    ROW(E_UNRELEASED_INSTANCE_ID, "Another member still has this group.instance.id.", "Wait for its session to end, or give this one its own."),
    ROW(E_UNSUPPORTED_ASSIGNOR, "The broker has no assignor of that name.", "Leave group.remote.assignor empty, or use uniform or range."),
    ROW(E_INVALID_REGEX, "The pattern is no regular expression as RE2 has them.", "Look for look-around and back references, which RE2 does not have."),
    ROW(E_INVALID_RECORD_STATE, "The record is not this member's to acknowledge: its lock ran out, or it was acknowledged before.", "Process faster, or raise the group's record lock duration."),
    ROW(E_SHARE_SESSION_NOT_FOUND, "The share session ended, with a connection or for lack of room.", "Clients open another by themselves."),
    ROW(E_INVALID_SHARE_SESSION_EPOCH, "A request of a share session came twice or was lost.", "Clients open another by themselves."),
    ROW(E_SHARE_SESSION_LIMIT, "There are as many share sessions as may be.", "Close idle share consumers."),
    ROW(E_STREAMS_TOPOLOGY, "The topology of a Kafka Streams application is not possible with the topics that there are.", "The sentence says what; docs/streams-groups.md."),
    ROW(E_GROUP_EXCLUSIVE, "A native subscriber has the queue for itself (or wants it, and others are there).",
        "\"sluice group describe GROUP\" says who is there; wait until they leave, or use another group."),

    ROW(E_UNSUPPORTED_VERSION, "The client asks in a version of the protocol that is not served.", "docs/reference/kafka.md lists the versions; use another client version."),
    ROW(E_INVALID_REQUEST, "The request does not keep to its protocol.", "Look at the client; the sentence says which field."),
    ROW(E_FRAME_TOO_LARGE, "A request is larger than its listener allows, or something that speaks another protocol connected.", "Check the port; raise kafka.request_bytes_max if it is meant."),
    ROW(E_FETCH_SESSION_NOT_FOUND, "The fetch session ended for lack of room or after a restart.", "Clients open another by themselves."),
    ROW(E_INVALID_FETCH_SESSION_EPOCH, "A request of a fetch session came twice or was lost.", "Clients open another by themselves."),
    ROW(E_NETWORK, "The connection could not be made, or broke: nobody listens there, or a network is down.",
        "Is the broker up? \"sluice serve --dev\" starts one; --socket, --home or \"sluice context\" say which one is meant."),
    ROW(E_ADDRESS_IN_USE, "Another program listens on that address and port.", "\"ss -ltnp\" says which; stop it or change the listen key."),
    ROW(E_TOO_MANY_CONNECTIONS, "The listener has as many connections as it may.", "Close some, or raise kafka.connections_max."),
    ROW(E_FETCH_SESSION_TOPIC_ID, "A fetch session began with names of topics and goes on with ids, or the other way round.", "Clients open another by themselves."),
    ROW(E_QUOTA_EXCEEDED, "A quota of changes is used up for now.", "Wait, or look at \"sluice quota list\"."),
    ROW(E_UNKNOWN_SUBSCRIPTION, "The metrics that a client sends are not those that it is asked for any more.", "Clients ask anew by themselves."),
    ROW(E_TELEMETRY_TOO_LARGE, "A client's metrics are more than telemetry.bytes_max.", "Ask for fewer metrics, or raise it."),

    ROW(E_PLUGIN_ABI, "The plugin was built for another ABI than this broker has.", "Build it again with this version's SDK: \"sluice plugin build\"."),
    ROW(E_PLUGIN_MANIFEST, "The manifest in the file is missing or not valid; the sentence says where.", "\"sluice plugin check FILE\" says all of it."),
    ROW(E_PLUGIN_LOAD, "The file could not be loaded: a missing symbol or library, or its start failed.", "\"sluice plugin check FILE\" and \"sluice plugin logs NAME\"; the version before keeps running."),
    ROW(E_PLUGIN_CONFIG, "The plugin does not accept its configuration.", "Its own sentence says why; change plugins.instances.NAME.config."),
    ROW(E_PLUGIN_CRASHED, "The worker of the plugin died; it is started again, and what killed it is set aside.", "\"sluice plugin info NAME\" says how it ended, \"sluice dlq show NAME\" which records did it."),
    ROW(E_PLUGIN_TIMEOUT, "The plugin took longer than its deadline.", "\"sluice plugin info NAME\" shows its times; raise limits.deadline_ms or make it faster."),
    ROW(E_PLUGIN_DENIED, "The plugin made a system call that its sandbox forbids, and was ended.", "\"sluice sandbox explain NAME\" lists what it may do; grant the permission if it is meant."),
    ROW(E_PLUGIN_MEMORY, "The plugin wanted more memory than limits.memory_bytes.", "Raise it for this instance, or keep less."),
    ROW(E_PLUGIN_PROTOCOL, "The worker answered what it was not asked.", "The plugin writes over its own memory: \"sluice plugin check FILE\" under a sanitizer."),
    ROW(E_PLUGIN_REJECTED, "A gate rejected the record; the sentence is the gate's own.", "Send what the gate accepts; \"sluice plugin info NAME\" shows the gate."),
    ROW(E_PLUGIN_ERROR, "The plugin failed on a record.", "\"sluice dlq show NAME\" shows the record and the reason; \"sluice plugin try FILE\" runs it again without a broker."),
    ROW(E_PLUGIN_CYCLE, "Records would go round for ever between these topics.", "Change an input or output, or set allow_cycle with a bound of hops."),
    ROW(E_PLUGIN_NOT_TRUSTED, "A plugin of this kind runs inside the broker, so it must come with Sluice or be pinned.", "Pin its SHA-256 in the configuration if you trust it."),

    ROW(E_CONFIG_SYNTAX, "The file is no YAML or JSON; the sentence has line and column.", "\"sluice config check FILE\"."),
    ROW(E_CONFIG_UNKNOWN_KEY, "No key has that name.", "\"sluice config show\" lists all, docs/reference/configuration.md explains them."),
    ROW(E_CONFIG_VALUE, "The value is not possible for this key.", "The sentence says what is; docs/reference/configuration.md."),

    ROW(E_GROUP_AUTHORIZATION, "No rule allows this principal the group.", "\"sluice acl add User:NAME Read Group:NAME\"."),
    ROW(E_CLUSTER_AUTHORIZATION, "No rule allows this principal what concerns the whole cluster.", "\"sluice acl add User:NAME OPERATION Cluster\"."),
    ROW(E_TRANSACTION_AUTHORIZATION, "No rule allows this principal the transactional id.", "\"sluice acl add User:NAME Write TransactionalId:ID\"."),
    ROW(E_AUTHENTICATION, "Name, password, certificate or token are not accepted.", "\"sluice user list\" shows who has a password; look at clocks for tokens and certificates."),
    ROW(E_UNSUPPORTED_MECHANISM, "The listener does not offer this SASL mechanism.", "Use one of its sasl.mechanisms, or add it."),
    ROW(E_AUTHENTICATION_STATE, "The client sent something before its login was complete, or after it ran out.", "The client must log in first: set its SASL configuration."),
    ROW(E_SECURITY_DISABLED, "There are no access rules, because nothing asks for them.", "Set security.* first. See docs/security."),
    ROW(E_UNKNOWN_RESOURCE, "The user, quota or other entity is not there.", "\"sluice user list\" and \"sluice quota list\" show what there is."),
    ROW(E_DUPLICATE_RESOURCE, "A request names the same thing twice.", "Name it once."),
    ROW(E_UNACCEPTABLE_CREDENTIAL, "The password or its parameters are not accepted.", "SCRAM wants 4,096 to 16,384 iterations and a password that is not empty; libsluice a name and a password in printable ASCII, and a token as RFC 6750 has them."),
    ROW(E_INVALID_FEATURE_LEVEL, "The feature has no such level, or cannot go back to it.", "kafka-features.sh describe lists the levels."),
};
/* clang-format on */

static const struct explain_row unknown = {
    SLUICE_E_INTERNAL, "A number that this version does not know; a newer one wrote it.",
    "Look it up in the documentation of the version that wrote it."};

static const struct explain_row *row_of(sl_err err)
{
    for (size_t i = 0; i < SL_COUNT_OF(rows); i++) {
        if (rows[i].err == err) {
            return &rows[i];
        }
    }
    return NULL;
}

const struct explain_row *explain_find(sl_err err)
{
    const struct explain_row *row = row_of(err);
    return row != NULL ? row : &unknown;
}

bool explain_is_known(sl_err err)
{
    return row_of(err) != NULL;
}

void explain_page_write(FILE *out)
{
    static const struct {
        int32_t from;
        const char *title;
    } blocks[] = {{1000, "General"},        {1100, "System and storage"},
                  {1200, "Record batches"}, {1300, "Topics"},
                  {1400, "Producers"},      {1500, "Groups"},
                  {1600, "Protocol"},       {1700, "Plugins"},
                  {1800, "Configuration"},  {1900, "Security"}};
    size_t count = 0, block = 0;
    const struct sluice_status_row *all = sluice_status_rows(&count);
    fputs(
        "# Troubleshooting\n\n"
        "Made by `sluice manual troubleshooting.md` from the table of errors; a test compares the\n"
        "two. `sluice errors CODE` says the same of one. Numbers are never used again for\n"
        "something else. *Again*: clients may send the same once more.\n",
        out);
    for (size_t i = 0; i < count; i++) {
        const struct explain_row *row = explain_find(all[i].status);
        if (all[i].status == 0) {
            continue;
        }
        while (block < SL_COUNT_OF(blocks) && all[i].status >= blocks[block].from) {
            fprintf(out, "\n## %s\n", blocks[block++].title);
        }
        fprintf(out, "\n### SLU-%04d: %s\n\n%s\n\n**What to do:** %s\n\n", all[i].status,
                all[i].text, row->cause, row->next);
        fprintf(out, "`SLUICE_%s`, Kafka %d, HTTP %u, gRPC %u%s\n", all[i].symbol, all[i].kafka,
                all[i].http, all[i].grpc, all[i].may_retry ? ", again" : "");
    }
}
