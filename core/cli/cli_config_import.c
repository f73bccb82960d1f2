/* cli_config_import.c: config import: a server.properties of Apache Kafka becomes a sluice.yaml,
 * and every line that does not is named with the reason.
 *
 * The format is that of java.util.Properties without its escapes but "\" at the end of a line. */
#include "base/text.h"
#include "cli/cli_command.h"
#include "workbench/bench_plugin.h"

#include <stdlib.h>
#include <string.h>

#define LINE_BYTES     8192
#define FILE_BYTES_MAX (1u << 20)

enum change { AS_IT_IS, BYTES, MS, SECONDS, MINUTES, HOURS, PERCENT, LISTENER, FIRST_FOLDER };

static const struct known {
    const char *kafka, *key;
    enum change change;
} known[] = {
    {"broker.id", "node.id", AS_IT_IS},
    {"node.id", "node.id", AS_IT_IS},
    {"listeners", "kafka.listen", LISTENER},
    {"advertised.listeners", "kafka.advertised", LISTENER},
    {"log.dirs", "data.dir", FIRST_FOLDER},
    {"log.dir", "data.dir", FIRST_FOLDER},
    {"num.partitions", "core.topics.partitions", AS_IT_IS},
    {"auto.create.topics.enable", "core.topics.auto_create", AS_IT_IS},
    {"socket.request.max.bytes", "kafka.request_bytes_max", BYTES},
    {"max.connections", "kafka.connections_max", AS_IT_IS},
    {"max.connections.per.ip", "kafka.connections_per_address_max", AS_IT_IS},
    {"connections.max.idle.ms", "kafka.connections_idle_ms", AS_IT_IS},
    {"max.incremental.fetch.session.cache.slots", "kafka.fetch_session_slots", AS_IT_IS},
    {"log.retention.ms", "retention.ms", AS_IT_IS},
    {"log.retention.minutes", "retention.ms", MINUTES},
    {"log.retention.hours", "retention.ms", HOURS},
    {"log.retention.bytes", "retention.bytes", AS_IT_IS},
    {"log.retention.check.interval.ms", "retention.check_interval", MS},
    {"log.cleaner.backoff.ms", "compaction.check_interval", MS},
    {"log.cleaner.dedupe.buffer.size", "compaction.buffer_bytes", BYTES},
    {"log.cleaner.min.cleanable.ratio", "compaction.min_dirty_percent", PERCENT},
    {"log.cleaner.min.compaction.lag.ms", "compaction.min_lag_ms", AS_IT_IS},
    {"log.cleaner.max.compaction.lag.ms", "compaction.max_lag_ms", AS_IT_IS},
    {"log.cleaner.delete.retention.ms", "compaction.delete_retention_ms", AS_IT_IS},
    {"group.initial.rebalance.delay.ms", "groups.initial_rebalance_delay", MS},
    {"group.min.session.timeout.ms", "groups.session_timeout_min", MS},
    {"group.max.session.timeout.ms", "groups.session_timeout_max", MS},
    {"group.max.size", "groups.members_max", AS_IT_IS},
    {"group.consumer.session.timeout.ms", "groups.consumer_session_timeout", MS},
    {"group.consumer.heartbeat.interval.ms", "groups.consumer_heartbeat_interval", MS},
    {"group.consumer.min.session.timeout.ms", "groups.consumer_session_timeout_min", MS},
    {"group.consumer.max.session.timeout.ms", "groups.consumer_session_timeout_max", MS},
    {"group.consumer.min.heartbeat.interval.ms", "groups.consumer_heartbeat_interval_min", MS},
    {"group.consumer.max.heartbeat.interval.ms", "groups.consumer_heartbeat_interval_max", MS},
    {"group.share.min.session.timeout.ms", "groups.share_session_timeout_min", MS},
    {"group.share.max.session.timeout.ms", "groups.share_session_timeout_max", MS},
    {"group.share.min.heartbeat.interval.ms", "groups.share_heartbeat_interval_min", MS},
    {"group.share.max.heartbeat.interval.ms", "groups.share_heartbeat_interval_max", MS},
    {"group.streams.min.session.timeout.ms", "groups.streams_session_timeout_min", MS},
    {"group.streams.max.session.timeout.ms", "groups.streams_session_timeout_max", MS},
    {"group.streams.min.heartbeat.interval.ms", "groups.streams_heartbeat_interval_min", MS},
    {"group.streams.max.heartbeat.interval.ms", "groups.streams_heartbeat_interval_max", MS},
    {"offsets.retention.minutes", "groups.offsets_retention", MINUTES},
    {"quota.window.num", "quota.window_count", AS_IT_IS},
    {"quota.window.size.seconds", "quota.window_size", SECONDS},
    {"telemetry.max.bytes", "telemetry.bytes_max", BYTES},
    {"super.users", "security.super_users", AS_IT_IS},
    {"allow.everyone.if.no.acl.found", "security.allow_if_no_acl", AS_IT_IS},
};

/* Names that begin so, and why nothing comes of them. */
static const struct {
    const char *prefix, *why;
} ignored[] = {
    {"process.roles", "one node: there are no roles"},
    {"controller.", "one node: there is no quorum of controllers"},
    {"zookeeper.", "there is no ZooKeeper"},
    {"num.network.threads", "the number of loops follows runtime.shards"},
    {"num.io.threads", "the number of loops follows runtime.shards"},
    {"num.recovery.threads.", "each loop recovers its own shards"},
    {"log.recovery.threads.", "each loop recovers its own shards"},
    {"num.replica", "one node: no replication"},
    {"replica.", "one node: no replication"},
    {"default.replication.factor", "one node: no replication"},
    {"min.insync.replicas", "one node; a record is durable before it is acknowledged"},
    {"transaction.state.log.", "transactions are in the write-ahead log"},
    {"offsets.topic.", "committed offsets are in the write-ahead log"},
    {"share.coordinator.", "what share groups have done is in the write-ahead log"},
    {"group.coordinator.", "groups are in the write-ahead log"},
    {"log.cleaner.", "see compaction.* in docs/reference/configuration.md"},
    {"log.flush.",
     "each record is synced before it is acknowledged (sluice.durability of the topic)"},
    {"log.segment.", "see wal.segment_bytes and, of a topic, segment.bytes"},
    {"ssl.",
     "certificates are PEM files here: kafka.tls.certificate, key, ca (docs/security/tls.md)"},
    {"sasl.", "kafka.sasl.mechanisms; users by \"sluice user\" (docs/security/sasl.md)"},
    {"listener.", "kafka.listeners.NAME (docs/security/listeners.md)"},
    {"inter.broker.", "one node"},
    {"authorizer.", "security.authorization: true (docs/security/acls.md)"},
    {"socket.send.buffer", "left to the kernel"},
    {"socket.receive.buffer", "left to the kernel"},
    {"confluent.", "not of Apache Kafka"},
};

static const struct known *known_find(const char *name)
{
    for (size_t i = 0; i < SL_COUNT_OF(known); i++) {
        if (strcmp(known[i].kafka, name) == 0) {
            return &known[i];
        }
    }
    return NULL;
}

static const char *ignored_why(const char *name)
{
    for (size_t i = 0; i < SL_COUNT_OF(ignored); i++) {
        if (strncmp(name, ignored[i].prefix, strlen(ignored[i].prefix)) == 0) {
            return ignored[i].why;
        }
    }
    return "there is nothing like it here";
}

/* What the file says of all its listeners, wherever in it. */
struct listeners {
    char controllers[LINE_BYTES]; /* names, of the quorum: none of clients */
    char protocols[LINE_BYTES];   /* "NAME:PLAINTEXT,…" */
};

/* The element of a list that is `name`, or begins with it and a colon; NULL: none is. */
static const char *list_find(const char *list, const char *name, size_t size)
{
    for (const char *at = list; *at != '\0'; at += strcspn(at, ",") + (strchr(at, ',') != NULL)) {
        at += strspn(at, " ");
        if (strncmp(at, name, size) == 0 && strchr(":, ", at[size]) != NULL) {
            return at;
        }
    }
    return NULL;
}

/* The only listener that is not a controller's; false: there is none, or more. */
static bool listener_choose(const struct listeners *listeners, const char *value,
                            char ret_text[LINE_BYTES])
{
    uint32_t count = 0;
    while (*value != '\0') {
        value += strspn(value, ", ");
        size_t size = strcspn(value, ", ");
        size_t name_size = strcspn(value, ":");
        if (size > 0 && list_find(listeners->controllers, value, name_size) == NULL) {
            snprintf(ret_text, LINE_BYTES, "%.*s", (int)size, value);
            count++;
        }
        value += size;
    }
    return count == 1;
}

static bool is_in_the_clear(const struct listeners *listeners, const char *listener)
{
    size_t size = strcspn(listener, ":");
    const char *row = list_find(listeners->protocols, listener, size);
    return row != NULL ? strncmp(row + size, ":PLAINTEXT", 10) == 0
                       : strncmp(listener, "PLAINTEXT:", 10) == 0;
}

/* "PLAINTEXT://:9092,CONTROLLER://:9093" to "0.0.0.0:9092"; false: it is not one address in the
 * clear for clients. */
static bool listener_change(const struct listeners *listeners, const char *value, bool advertised,
                            char ret_text[LINE_BYTES])
{
    char listener[LINE_BYTES];
    if (!listener_choose(listeners, value, listener) || !is_in_the_clear(listeners, listener)) {
        return false;
    }
    const char *address = strstr(listener, "://");
    if (address == NULL) {
        return false;
    }
    address += 3;
    snprintf(ret_text, LINE_BYTES, "%s%s", address[0] == ':' && !advertised ? "0.0.0.0" : "",
             address);
    return address[0] != ':' || !advertised;
}

static bool number_change(const char *value, long long factor, const char *unit,
                          char ret_text[LINE_BYTES])
{
    char *end = NULL;
    long long number = strtoll(value, &end, 10);
    if (end == value || *end != '\0' || number > INT64_MAX / factor || number < -1) {
        return false;
    }
    snprintf(ret_text, LINE_BYTES, "%lld%s", number < 0 ? number : number * factor, unit);
    return true;
}

static bool value_change(const struct listeners *listeners, const struct known *row,
                         const char *value, char ret_text[LINE_BYTES])
{
    char *end = NULL;
    double ratio;
    switch (row->change) {
    case LISTENER:
        return listener_change(listeners, value, strcmp(row->key, "kafka.advertised") == 0,
                               ret_text);
    case FIRST_FOLDER:
        snprintf(ret_text, LINE_BYTES, "%.*s/sluice", (int)strcspn(value, ","), value);
        return value[0] == '/';
    case BYTES:
        return number_change(value, 1, "", ret_text);
    case MS:
        return number_change(value, 1, " ms", ret_text);
    case SECONDS:
        return number_change(value, 1, " s", ret_text);
    case MINUTES:
        return strstr(row->key, "_retention") != NULL ? number_change(value, 1, " min", ret_text)
                                                      : number_change(value, 60000, "", ret_text);
    case HOURS:
        return number_change(value, 3600000, "", ret_text);
    case PERCENT:
        ratio = strtod(value, &end);
        snprintf(ret_text, LINE_BYTES, "%.0f", ratio * 100);
        return end != value && *end == '\0' && ratio >= 0 && ratio <= 1;
    case AS_IT_IS:
        break;
    }
    snprintf(ret_text, LINE_BYTES, "%s", value);
    return value[0] != '\0';
}

struct taken {
    const struct known *row;
    char *value;
};

struct import {
    struct listeners listeners;
    bool says_auto_create;
    struct taken settings[SL_COUNT_OF(known)]; /* at most one of each row; the last one counts */
    uint32_t count;
    uint32_t left_out;
};

static void leave_out(struct import *import, const char *name, const char *why)
{
    fprintf(stderr, "ignored %s: %s\n", name, why);
    import->left_out++;
}

static void put(struct import *import, const struct known *row, const char *text)
{
    struct taken *setting = NULL;
    for (uint32_t i = 0; i < import->count; i++) {
        if (strcmp(import->settings[i].row->key, row->key) == 0) {
            setting = &import->settings[i];
        }
    }
    if (setting == NULL) {
        setting = &import->settings[import->count++];
    }
    free(setting->value);
    *setting = (struct taken){row, strdup(text)};
}

static void take(struct import *import, const char *name, const char *value)
{
    char text[LINE_BYTES];
    const struct known *row = known_find(name);
    if (row == NULL) {
        leave_out(import, name, ignored_why(name));
    } else if (!value_change(&import->listeners, row, value, text)) {
        leave_out(
            import, name,
            row->change == LISTENER
                ? "only one listener in the clear, beside those of controllers, is taken over "
                  "(docs/security/listeners.md)"
                : "its value is not understood");
    } else {
        put(import, row, text);
    }
}

/* ---- YAML ---- */

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct taken *)a)->row->key, ((const struct taken *)b)->row->key);
}

/* How much of `key`, up to behind a dot, the key before has too. */
static size_t same_sections(const char *before, const char *key)
{
    size_t same = 0;
    for (size_t i = 0; key[i] != '\0' && key[i] == before[i]; i++) {
        same = key[i] == '.' ? i + 1 : same;
    }
    return same;
}

static int depth_of(const char *key, size_t size)
{
    int depth = 0;
    for (size_t i = 0; i < size; i++) {
        depth += key[i] == '.';
    }
    return depth;
}

/* A number or a truth value: the schema takes no text for them. */
static bool is_plain(const char *value)
{
    size_t sign = value[0] == '-';
    size_t digits = strspn(value + sign, "0123456789");
    return (digits > 0 && value[sign + digits] == '\0') || strcmp(value, "true") == 0 ||
           strcmp(value, "false") == 0;
}

static void value_write(const char *value)
{
    if (is_plain(value)) {
        printf("%s", value);
        return;
    }
    putchar('"');
    for (const char *c = value; *c != '\0'; c++) {
        printf(*c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
    }
    putchar('"');
}

static void setting_write(const struct taken *setting, const char *before)
{
    const char *key = setting->row->key;
    size_t at = same_sections(before, key);
    const char *dot;
    while ((dot = strchr(key + at, '.')) != NULL) {
        printf("%*s%.*s:\n", 2 * depth_of(key, at), "", (int)(dot - key - (ptrdiff_t)at), key + at);
        at = (size_t)(dot - key) + 1;
    }
    printf("%*s%s: ", 2 * depth_of(key, at), "", key + at);
    value_write(setting->value);
    printf(" # %s\n", setting->row->kafka);
}

static void settings_write(struct import *import, const char *path)
{
    printf("# From %s, by sluice config import.\n", path);
    qsort(import->settings, import->count, sizeof(import->settings[0]), by_key);
    for (uint32_t i = 0; i < import->count; i++) {
        setting_write(&import->settings[i], i > 0 ? import->settings[i - 1].row->key : "");
    }
    for (uint32_t i = 0; i < import->count; i++) {
        free(import->settings[i].value);
    }
}

/* ---- the file ---- */

static char *trim(char *text)
{
    text += strspn(text, " \t\f");
    size_t size = strlen(text);
    while (size > 0 && strchr(" \t\f\r\n", text[size - 1]) != NULL) {
        text[--size] = '\0';
    }
    return text;
}

/* What other lines are read by. */
static void note(struct import *import, const char *name, const char *value)
{
    struct listeners *listeners = &import->listeners;
    if (strcmp(name, "controller.listener.names") == 0) {
        snprintf(listeners->controllers, sizeof(listeners->controllers), "%s", value);
    } else if (strcmp(name, "listener.security.protocol.map") == 0) {
        snprintf(listeners->protocols, sizeof(listeners->protocols), "%s", value);
    } else if (strcmp(name, "auto.create.topics.enable") == 0) {
        import->says_auto_create = true;
    }
}

typedef void entry_fn(struct import *import, const char *name, const char *value);

static void line_take(struct import *import, char *line, entry_fn *entry)
{
    char *name = trim(line);
    size_t size = strcspn(name, "=: \t");
    if (name[0] == '\0' || name[0] == '#' || name[0] == '!') {
        return;
    }
    char *value = name + size;
    if (*value != '\0') {
        *value++ = '\0';
        value += strspn(value, "=: \t");
    }
    entry(import, name, value);
}

static void lines_take(struct import *import, struct sl_bytes text, entry_fn *entry)
{
    char line[LINE_BYTES];
    while (text.size > 0) {
        const uint8_t *end = memchr(text.data, '\n', text.size);
        size_t size = end != NULL ? (size_t)(end - text.data) + 1 : text.size;
        snprintf(line, sizeof(line), "%.*s", (int)size, (const char *)text.data);
        line_take(import, line, entry);
        text = (struct sl_bytes){text.data + size, text.size - size};
    }
}

int cli_config_import(struct cli *cli)
{
    static struct import import;
    struct sl_bytes text = {NULL, 0};
    char problem[BENCH_TEXT_BYTES];
    sl_err err = bench_read(cli->os, cli->options.words[0], FILE_BYTES_MAX, &text, problem);
    if (err != SLUICE_OK) {
        cli_complain("%s", problem);
        return CLI_IO;
    }
    lines_take(&import, text, note);
    lines_take(&import, text, take);
    sl_free((void *)(uintptr_t)text.data);
    settings_write(&import, cli->options.words[0]);
    if (!import.says_auto_create) {
        fprintf(stderr,
                "note auto.create.topics.enable: Kafka makes topics by itself where nothing is "
                "said, Sluice does not; core.topics.auto_create: true does\n");
    }
    fprintf(stderr, "%u taken over, %u ignored\n", import.count, import.left_out);
    return import.left_out > 0 ? CLI_PARTLY : CLI_OK;
}
