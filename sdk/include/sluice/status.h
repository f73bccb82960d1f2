/* <sluice/status.h>: the one table of outcomes.
 *
 * A row: symbol suffix, number (SLU-nnnn, never reused), Kafka error code, HTTP status, gRPC
 * status, retriable (a client may try again unchanged), sentence. Frontends translate through
 * this table, so that one failure has one number in every protocol, log and metric. */
#ifndef SLUICE_STATUS_H
#define SLUICE_STATUS_H

#include <stdint.h>

/* An outcome: SLUICE_OK (0) or one of SLUICE_E_*; every fallible call returns one. */
typedef int32_t sluice_status;

/* clang-format off */
#define SLUICE_STATUS_TABLE(X)                                                                                  \
    /*suffix                         number kafka http grpc retry sentence */                                   \
    X(OK,                                 0,   0, 200,  0, 0, "done")                                            \
    /* 1000: general */                                                                                         \
    X(E_INTERNAL,                      1000,  -1, 500, 13, 0, "internal error")                                  \
    X(E_NO_MEMORY,                     1001,   7, 503,  8, 1, "out of memory")                                   \
    X(E_INVALID,                       1002,  42, 400,  3, 0, "invalid argument")                                \
    X(E_WOULD_BLOCK,                   1003,   7, 503, 14, 1, "the call would block")                            \
    X(E_NOT_FOUND,                     1004,   3, 404,  5, 0, "not found")                                       \
    X(E_EXISTS,                        1005,  36, 409,  6, 0, "exists already")                                  \
    X(E_LIMIT,                         1006,  44, 429,  8, 1, "a limit is reached")                              \
    X(E_TIMEOUT,                       1007,   7, 504,  4, 1, "the deadline passed")                             \
    X(E_CANCELLED,                     1008,   7, 499,  1, 1, "the caller went away")                            \
    X(E_UNSUPPORTED,                   1009,  35, 501, 12, 0, "not supported by this version")                   \
    X(E_TRUNCATED,                     1010,  42, 400,  3, 0, "the input ends too early")                        \
    X(E_MALFORMED,                     1011,  42, 400,  3, 0, "the input is malformed")                          \
    X(E_STOPPING,                      1012,   8, 503, 14, 1, "the broker is stopping")                          \
    X(E_BUSY,                          1013,   7, 503, 14, 1, "busy, try again")                                 \
    X(E_PERMISSION,                    1014,  31, 403,  7, 0, "not permitted")                                   \
    X(E_UNCONFIRMED,                   1015,  42, 409,  9, 0, "this wants to be confirmed")                      \
    X(E_NOT_RUNNING,                   1016,   8, 503, 14, 1, "the broker is not running")                       \
    /* 1100: system and storage */                                                                              \
    X(E_IO,                            1100,  56, 500, 13, 1, "input/output error")                              \
    X(E_DISK_FULL,                     1101,  56, 507,  8, 1, "the disk is full")                                \
    X(E_CORRUPT,                       1102,  56, 500, 15, 0, "stored data is damaged")                          \
    X(E_LOCKED,                        1103,  56, 409,  9, 0, "the data directory is in use")                    \
    X(E_NEWER_FORMAT,                  1104,  56, 500,  9, 0, "the data directory has a newer format")           \
    X(E_FENCED,                        1105,  56, 503, 14, 1, "storage failed and is fenced")                    \
    X(E_LOG_FULL,                      1106,  56, 507,  8, 1, "the write-ahead log is at its bound")             \
    X(E_POWER_CUT,                     1107,  56, 500, 13, 0, "simulated power cut")                             \
    X(E_FOREIGN,                       1108,  56, 500,  9, 0, "the file belongs to another cluster or shard")    \
    X(E_MEMORY_FULL,                   1109,  56, 507,  8, 1, "the memory for topics is at its bound")           \
    X(E_DAMAGED_RECORDS,               1110,   2, 500, 15, 0, "the stored records are damaged")                  \
    /* 1200: record batches */                                                                                  \
    X(E_CORRUPT_BATCH,                 1200,   2, 400,  3, 1, "the record batch fails its checksum")             \
    X(E_INVALID_RECORD,                1201,  87, 400,  3, 0, "the record batch is not valid")                   \
    X(E_BATCH_TOO_LARGE,               1202,  10, 413,  3, 0, "the record batch is larger than allowed")         \
    X(E_EXPANDS_TOO_FAR,               1203,  10, 413,  3, 0, "the batch expands beyond the cap")                \
    X(E_UNSUPPORTED_CODEC,             1204,  76, 400,  3, 0, "the compression type is not supported here")      \
    X(E_INVALID_TIMESTAMP,             1205,  32, 400,  3, 0, "the timestamp is out of the accepted range")      \
    X(E_UNSUPPORTED_MAGIC,             1206,  87, 400,  3, 0, "only record batches of format 2 are accepted")    \
    X(E_SEGMENT_TOO_SMALL,             1207,  18, 413,  3, 0, "the batch is larger than a segment")              \
    /* 1300: topics and offsets */                                                                              \
    X(E_UNKNOWN_TOPIC,                 1300,   3, 404,  5, 1, "no such topic or partition")                      \
    X(E_UNKNOWN_TOPIC_ID,              1301, 100, 404,  5, 1, "no topic has this id")                            \
    X(E_INVALID_TOPIC,                 1302,  17, 400,  3, 0, "the topic name is not valid")                     \
    X(E_TOPIC_EXISTS,                  1303,  36, 409,  6, 0, "the topic exists already")                        \
    X(E_INVALID_PARTITIONS,            1304,  37, 400,  3, 0, "the number of partitions is not valid")           \
    X(E_INVALID_REPLICATION_FACTOR,    1305,  38, 400,  3, 0, "the replication factor is not valid")             \
    X(E_INVALID_CONFIG,                1306,  40, 400,  3, 0, "the configuration is not valid")                  \
    X(E_OFFSET_OUT_OF_RANGE,           1307,   1, 416, 11, 0, "the offset is out of range")                      \
    X(E_FENCED_LEADER_EPOCH,           1308,  74, 409,  9, 1, "the leader epoch is older than the current one")  \
    X(E_UNKNOWN_LEADER_EPOCH,          1309,  75, 409,  9, 1, "the leader epoch is newer than the current one")  \
    X(E_INCONSISTENT_TOPIC_ID,         1310, 103, 409,  9, 1, "the topic id does not fit the topic")             \
    X(E_TOPIC_DELETION_DISABLED,       1311,  73, 403,  9, 0, "topics cannot be deleted here")                   \
    X(E_INVALID_REPLICA_ASSIGNMENT,    1312,  39, 400,  3, 0, "the replica assignment is not valid")             \
    X(E_TOPIC_AUTHORIZATION,           1313,  29, 403,  7, 0, "not authorized for this topic")                   \
    X(E_POLICY,                        1314,  44, 403,  9, 0, "refused by policy")                               \
    X(E_MIXED_DURABILITY,              1315,  44, 409,  9, 0, "topics in memory and on disk cannot be written to in one step") \
    X(E_NOT_ENOUGH_REPLICAS,           1316,  19, 503, 14, 1, "fewer replicas than min.insync.replicas asks for")\
    /* 1400: producers */                                                                                       \
    X(E_OUT_OF_ORDER_SEQUENCE,         1400,  45, 409,  9, 0, "the sequence number is out of order")             \
    X(E_DUPLICATE_SEQUENCE,            1401,  46, 409,  6, 0, "the sequence number was seen already")            \
    X(E_INVALID_PRODUCER_EPOCH,        1402,  47, 409,  9, 0, "the producer epoch is older than the known one")  \
    X(E_UNKNOWN_PRODUCER_ID,           1403,  59, 404,  5, 0, "the producer id is not known")                    \
    X(E_INVALID_TXN_STATE,             1404,  48, 409,  9, 0, "the transaction state does not allow this")       \
    X(E_INVALID_TXN_TIMEOUT,           1405,  50, 400,  3, 0, "the transaction timeout is not allowed")          \
    X(E_INVALID_REQUIRED_ACKS,         1406,  21, 400,  3, 0, "acks must be -1, 0 or 1")                         \
    X(E_PRODUCER_FENCED,               1407,  90, 409,  9, 0, "a newer producer has this transactional id")      \
    X(E_INVALID_PRODUCER_ID_MAPPING,   1408,  49, 409,  9, 0, "the producer id is not that of the transactional id") \
    X(E_CONCURRENT_TRANSACTIONS,       1409,  51, 409, 14, 1, "the transaction before is still being completed") \
    X(E_TRANSACTION_ABORTABLE,         1410, 120, 409,  9, 0, "the transaction can only be aborted")             \
    X(E_TXN_ID_NOT_FOUND,              1411, 105, 404,  5, 0, "no such transactional id")                        \
    X(E_TXN_DURABILITY,                1412,  44, 409,  9, 0, "transactions want topics that are acknowledged when durable") \
    X(E_UNSTABLE_OFFSET,               1413,  88, 409,  9, 1, "an open transaction commits this offset")         \
    X(E_NOT_ATTEMPTED,                 1414,  55, 409, 10, 0, "not attempted, as another part was refused")      \
    X(E_UNEXPECTED_OFFSET,             1415,  42, 412,  9, 0, "the next offset is not the expected one")         \
    /* 1500: groups */                                                                                          \
    X(E_COORDINATOR_NOT_AVAILABLE,     1500,  15, 503, 14, 1, "the group coordinator is not available")          \
    X(E_NOT_COORDINATOR,               1501,  16, 409,  9, 1, "this node does not coordinate the group")         \
    X(E_COORDINATOR_LOADING,           1502,  14, 503, 14, 1, "the group coordinator is loading")                \
    X(E_ILLEGAL_GENERATION,            1503,  22, 409,  9, 0, "the group generation is not the current one")     \
    X(E_INCONSISTENT_GROUP_PROTOCOL,   1504,  23, 409,  9, 0, "the member's protocols do not fit the group")     \
    X(E_INVALID_GROUP_ID,              1505,  24, 400,  3, 0, "the group id is not valid")                       \
    X(E_UNKNOWN_MEMBER,                1506,  25, 404,  5, 0, "the group does not know this member")             \
    X(E_INVALID_SESSION_TIMEOUT,       1507,  26, 400,  3, 0, "the session timeout is out of range")             \
    X(E_REBALANCE_IN_PROGRESS,         1508,  27, 409,  9, 0, "the group is rebalancing")                        \
    X(E_MEMBER_ID_REQUIRED,            1509,  79, 409,  9, 0, "join again with the member id given")             \
    X(E_FENCED_INSTANCE_ID,            1510,  82, 409,  9, 0, "another member took this instance id")            \
    X(E_GROUP_MAX_SIZE,                1511,  81, 429,  8, 0, "the group has its maximum of members")            \
    X(E_OFFSET_METADATA_TOO_LARGE,     1512,  12, 413,  3, 0, "the offset metadata is too large")                \
    X(E_GROUP_NOT_EMPTY,               1513,  68, 409,  9, 0, "the group still has members")                     \
    X(E_GROUP_NOT_FOUND,               1514,  69, 404,  5, 0, "no such group")                                   \
    X(E_STALE_MEMBER_EPOCH,            1515, 113, 409,  9, 0, "the member epoch is stale")                       \
    X(E_GROUP_SUBSCRIBED,              1516,  86, 409,  9, 0, "the group is subscribed to the topic")            \
    X(E_FENCED_MEMBER_EPOCH,           1517, 110, 409,  9, 0, "the member must give up its partitions and join again") \
    X(E_UNRELEASED_INSTANCE_ID,        1518, 111, 409,  9, 0, "another member has this instance id")            \
    X(E_UNSUPPORTED_ASSIGNOR,          1519, 112, 400,  3, 0, "no such assignor")                               \
    X(E_INVALID_REGEX,                 1520, 128, 400,  3, 0, "the regular expression is not valid")           \
    X(E_INVALID_RECORD_STATE,          1525, 121, 409,  9, 0, "the record is not in a state to be acknowledged so")\
    X(E_SHARE_SESSION_NOT_FOUND,       1526, 122, 404,  5, 1, "the share session is not known")                  \
    X(E_INVALID_SHARE_SESSION_EPOCH,   1527, 123, 409,  9, 1, "the share session epoch is not the expected one") \
    X(E_SHARE_SESSION_LIMIT,           1528, 133, 429,  8, 1, "there are as many share sessions as may be")      \
    X(E_STREAMS_TOPOLOGY,              1529, 130, 400,  3, 0, "the topology of the application is not valid")    \
    X(E_GROUP_EXCLUSIVE,               1530,  81, 409,  9, 1, "a subscriber wants the group, or has it, for itself") \
    /* 1600: protocol */                                                                                        \
    X(E_UNSUPPORTED_VERSION,           1600,  35, 400, 12, 0, "the request version is not supported")            \
    X(E_INVALID_REQUEST,               1601,  42, 400,  3, 0, "the request is not valid")                        \
    X(E_FRAME_TOO_LARGE,               1602,  42, 413,  3, 0, "the request is larger than allowed")              \
    X(E_FETCH_SESSION_NOT_FOUND,       1603,  70, 404,  5, 1, "the fetch session is not known")                  \
    X(E_INVALID_FETCH_SESSION_EPOCH,   1604,  71, 409,  9, 1, "the fetch session epoch is not the expected one") \
    X(E_NETWORK,                       1605,  13, 503, 14, 1, "network error")                                   \
    X(E_ADDRESS_IN_USE,                1606,  13, 500, 14, 0, "the address is in use")                           \
    X(E_TOO_MANY_CONNECTIONS,          1607,  13, 503, 14, 1, "too many connections")                            \
    X(E_FETCH_SESSION_TOPIC_ID,        1608, 106, 409,  9, 1, "the fetch session mixes topic ids and names")     \
    X(E_QUOTA_EXCEEDED,                1609,  89, 429,  8, 1, "the quota of changes is used up; wait and repeat") \
    X(E_UNKNOWN_SUBSCRIPTION,          1610, 117, 409,  9, 1, "this is not what the client is asked for any more") \
    X(E_TELEMETRY_TOO_LARGE,           1611, 118, 413,  3, 0, "the metrics are more than is taken at once")        \
    /* 1700: plugins */                                                                                         \
    X(E_PLUGIN_ABI,                    1700,  -1, 500,  9, 0, "the plugin was built for another ABI")            \
    X(E_PLUGIN_MANIFEST,               1701,  -1, 500,  3, 0, "the plugin's manifest is not valid")              \
    X(E_PLUGIN_LOAD,                   1702,  -1, 500,  9, 0, "the plugin cannot be loaded")                     \
    X(E_PLUGIN_CONFIG,                 1703,  -1, 400,  3, 0, "the plugin refuses its configuration")            \
    X(E_PLUGIN_CRASHED,                1704,   7, 503, 14, 1, "the plugin crashed")                              \
    X(E_PLUGIN_TIMEOUT,                1705,   7, 503,  4, 1, "the plugin missed its deadline")                  \
    X(E_PLUGIN_DENIED,                 1706,   7, 503,  7, 1, "the plugin made a forbidden system call")         \
    X(E_PLUGIN_MEMORY,                 1707,   7, 503,  8, 1, "the plugin exceeded its memory")                  \
    X(E_PLUGIN_PROTOCOL,               1708,   7, 503, 13, 1, "the plugin broke the worker protocol")            \
    X(E_PLUGIN_REJECTED,               1709,  87, 422,  9, 0, "a gate rejected the record")                      \
    X(E_PLUGIN_ERROR,                  1710,  87, 500,  2, 0, "the plugin failed on a record")                   \
    X(E_PLUGIN_CYCLE,                  1711,  -1, 409,  9, 0, "the topics would form a cycle")                   \
    X(E_PLUGIN_NOT_TRUSTED,            1712,  -1, 403,  7, 0, "this kind of plugin must be first-party or pinned by its SHA-256") \
    /* 1800: configuration */                                                                                   \
    X(E_CONFIG_SYNTAX,                 1800,  40, 400,  3, 0, "the configuration file has a syntax error")       \
    X(E_CONFIG_UNKNOWN_KEY,            1801,  40, 400,  3, 0, "unknown configuration key")                       \
    X(E_CONFIG_VALUE,                  1802,  40, 400,  3, 0, "invalid configuration value")                     \
    /* 1900: security */                                                                                         \
    X(E_GROUP_AUTHORIZATION,          1900,  30, 403,  7, 0, "not authorized for this group")                    \
    X(E_CLUSTER_AUTHORIZATION,        1901,  31, 403,  7, 0, "not authorized for the cluster")                   \
    X(E_TRANSACTION_AUTHORIZATION,    1902,  53, 403,  7, 0, "not authorized for this transactional id")         \
    X(E_AUTHENTICATION,               1903,  58, 401, 16, 0, "authentication failed")                            \
    X(E_UNSUPPORTED_MECHANISM,        1904,  33, 400,  3, 0, "the SASL mechanism is not enabled here")           \
    X(E_AUTHENTICATION_STATE,         1905,  34, 400,  9, 0, "a request that has no place in this state of the authentication")\
    X(E_SECURITY_DISABLED,            1906,  54, 409,  9, 0, "security features are disabled")                   \
    X(E_UNKNOWN_RESOURCE,             1907,  91, 404,  5, 0, "no such resource")                                 \
    X(E_DUPLICATE_RESOURCE,           1908,  92, 409,  6, 0, "the request names a resource twice")               \
    X(E_UNACCEPTABLE_CREDENTIAL,      1909,  93, 400,  3, 0, "the credential is not acceptable")                 \
    X(E_INVALID_FEATURE_LEVEL,        1910,  95, 400,  3, 0, "the level of the feature is not possible")
/* clang-format on */

enum {
#define SLUICE_STATUS_ENUM(suffix, number, kafka, http, grpc, retry, text) SLUICE_##suffix = number,
    SLUICE_STATUS_TABLE(SLUICE_STATUS_ENUM)
#undef SLUICE_STATUS_ENUM
};

#endif
