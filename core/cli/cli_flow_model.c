/* cli_flow_model.c: see cli_flow_model.h: two samples to edges with rates, lags and stalls. */
#include "cli/cli_flow_model.h"

#include <stdlib.h>
#include <string.h>

struct making {
    const cJSON *before, *now;
    cJSON *model;
    cJSON *edges;
    double seconds; /* between the samples, or since the start */
};

double flow_rate(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(item) ? item->valuedouble : -1;
}

const char *flow_node_name(const char *node, size_t *ret_kind_size)
{
    size_t size = strcspn(node, ":");
    *ret_kind_size = size;
    return node[size] == ':' ? node + size + 1 : node;
}

const char *flow_stall_text(const char *what, const char *cause)
{
    static const struct {
        const char *what, *cause, *text;
    } table[] = {
        {"connections", "frontend", "requests before them are still worked on"},
        {"connections", "output", "the client does not read its answers"},
        {"connections", "memory", "the buffers for requests are used up"},
        {"connections", "log", "the write-ahead log is behind"},
        {"log", "disk full", "the disk is full: nothing is taken"},
        {"log", "storage failed", "the storage failed: nothing is taken"},
    };
    for (size_t i = 0; i < SL_COUNT_OF(table); i++) {
        if (strcmp(table[i].what, what) == 0 && strcmp(table[i].cause, cause) == 0) {
            return table[i].text;
        }
    }
    return cause;
}

/* Below 0: a counter began anew, or there is nothing to compare with. */
static double per_second(const struct making *making, const cJSON *now, const cJSON *was,
                         const char *name)
{
    int64_t delta = watch_int(now, name, 0) - (was != NULL ? watch_int(was, name, 0) : 0);
    bool known = making->seconds > 0 && delta >= 0;
    return known ? (double)delta / making->seconds : 0;
}

static const cJSON *find(const cJSON *object, const char *array, const char *name,
                         const char *value)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(object, array))
    {
        if (strcmp(watch_text(item, name), value) == 0) {
            return item;
        }
    }
    return NULL;
}

static void add_int(cJSON *object, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)value);
    if (value < 0) {
        cJSON_AddNullToObject(object, name);
    } else {
        cJSON_AddStringToObject(object, name, text);
    }
}

static void add_rate(cJSON *object, const char *name, double rate)
{
    if (rate < 0) {
        cJSON_AddNullToObject(object, name);
    } else {
        cJSON_AddNumberToObject(object, name, rate);
    }
}

/* ---- edges ---- */

struct edge {
    const char *from_kind, *from, *to_kind, *to;
    double records_per_s, bytes_per_s; /* below 0: not known */
    int64_t records, lag, lag_ms;      /* likewise */
    const char *stall;
};

static void edge_add(const struct making *making, const struct edge *edge)
{
    char text[640];
    cJSON *object = cJSON_CreateObject();
    snprintf(text, sizeof(text), "%s:%.500s", edge->from_kind, edge->from);
    cJSON_AddStringToObject(object, "from", text);
    snprintf(text, sizeof(text), "%s:%.500s", edge->to_kind, edge->to);
    cJSON_AddStringToObject(object, "to", text);
    add_rate(object, "records_per_s", edge->records_per_s);
    add_rate(object, "bytes_per_s", edge->bytes_per_s);
    add_int(object, "records", edge->records);
    add_int(object, "lag", edge->lag);
    add_int(object, "lag_ms", edge->lag_ms);
    cJSON_AddStringToObject(object, "stall", edge->stall);
    cJSON_AddItemToArray(making->edges, object);
}

static const cJSON *producer_before(const struct making *making, const cJSON *row)
{
    const cJSON *was;
    cJSON_ArrayForEach(was, cJSON_GetObjectItemCaseSensitive(making->before, "producers"))
    {
        if (strcmp(watch_text(was, "client"), watch_text(row, "client")) == 0 &&
            strcmp(watch_text(was, "topic"), watch_text(row, "topic")) == 0) {
            return was;
        }
    }
    return NULL;
}

static void producers_add(const struct making *making)
{
    const cJSON *row;
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(making->now, "producers"))
    {
        const cJSON *was = producer_before(making, row);
        const char *client = watch_text(row, "client");
        const char *topic = watch_text(row, "topic");
        edge_add(making, &(struct edge){"producer", client[0] != '\0' ? client : "(others)",
                                        "topic", topic[0] != '\0' ? topic : "(others)",
                                        per_second(making, row, was, "records"),
                                        per_second(making, row, was, "bytes"),
                                        watch_int(row, "records", -1), -1, -1, ""});
    }
}

/* Calls for each name of "a,b". */
static void each_name(const char *names, void (*visit)(void *arg, const char *name), void *arg)
{
    char name[512];
    while (*names != '\0') {
        names += strspn(names, ", ");
        size_t size = strcspn(names, ", ");
        if (size > 0 && size < sizeof(name)) {
            snprintf(name, sizeof(name), "%.*s", (int)size, names);
            visit(arg, name);
        }
        names += size;
    }
}

/* What a stage has before it, all partitions together; topic NULL: of all topics. */
struct stage_lag {
    int64_t lag, lag_ms;
    const char *stall;
    bool known;
};

static struct stage_lag lag_sum(const struct making *making, const char *plugin, const char *topic)
{
    struct stage_lag sum = {.stall = ""};
    const cJSON *row;
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(making->now, "lags"))
    {
        if (strcmp(watch_text(row, "plugin"), plugin) == 0 &&
            (topic == NULL || strcmp(watch_text(row, "topic"), topic) == 0)) {
            const char *stall = watch_text(row, "stall");
            sum.known = true;
            sum.lag += watch_int(row, "lag", 0);
            sum.lag_ms = SL_MAX(sum.lag_ms, watch_int(row, "lag_ms", 0));
            sum.stall = stall[0] != '\0' ? stall : sum.stall;
        }
    }
    return sum;
}

struct plugin_edges {
    const struct making *making;
    const char *name;
    double in, out; /* records per second */
    int count;      /* of topics on that side: a rate belongs to one alone */
};

static void count_name(void *arg, const char *name SL_UNUSED)
{
    ((struct plugin_edges *)arg)->count++;
}

static void input_add(void *arg, const char *topic)
{
    const struct plugin_edges *plugin = arg;
    struct stage_lag lag = lag_sum(plugin->making, plugin->name, topic);
    edge_add(plugin->making,
             &(struct edge){"topic", topic, "stage", plugin->name,
                            plugin->count == 1 ? plugin->in : -1, -1, -1, lag.known ? lag.lag : -1,
                            lag.known ? lag.lag_ms : -1, lag.stall});
}

static void output_add(void *arg, const char *topic)
{
    const struct plugin_edges *plugin = arg;
    edge_add(plugin->making,
             &(struct edge){"stage", plugin->name, "topic", topic,
                            plugin->count == 1 ? plugin->out : -1, -1, -1, -1, -1, ""});
}

static void gate_add(void *arg, const char *topic)
{
    const struct plugin_edges *plugin = arg;
    edge_add(plugin->making,
             &(struct edge){"gate", plugin->name, "topic", topic,
                            plugin->count == 1 ? plugin->in : -1, -1, -1, -1, -1, ""});
}

/* The topics that it really reads, where it has positions: its input may be a pattern. */
static void inputs_text(const struct making *making, const cJSON *plugin, char ret_text[4096])
{
    const cJSON *row;
    size_t at = 0;
    ret_text[0] = '\0';
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(making->now, "lags"))
    {
        const char *topic = watch_text(row, "topic");
        char framed[320];
        snprintf(framed, sizeof(framed), "%.300s,", topic);
        bool mine = strcmp(watch_text(row, "plugin"), watch_text(plugin, "name")) == 0;
        const char *known = strstr(ret_text, framed);
        bool is_new = known == NULL || (known != ret_text && known[-1] != ',');
        if (mine && is_new && at + strlen(framed) < 4096) {
            at += (size_t)snprintf(ret_text + at, 4096 - at, "%s", framed);
        }
    }
    if (ret_text[0] == '\0') {
        snprintf(ret_text, 4096, "%s", watch_text(plugin, "input"));
    }
}

static void plugin_edges_add(const struct making *making, const cJSON *plugin, double in,
                             double out)
{
    char inputs[4096];
    struct plugin_edges edges = {making, watch_text(plugin, "name"), in, out, 0};
    bool is_gate = strcmp(watch_text(plugin, "on"), "produce") == 0;
    bool attached = strcmp(watch_text(plugin, "kind"), "processor") == 0;
    if (!attached) {
        return;
    }
    inputs_text(making, plugin, inputs);
    each_name(inputs, count_name, &edges);
    each_name(inputs, is_gate ? gate_add : input_add, &edges);
    edges.count = 0;
    if (!is_gate) {
        each_name(watch_text(plugin, "output"), count_name, &edges);
        each_name(watch_text(plugin, "output"), output_add, &edges);
    }
}

static void plugins_add(const struct making *making)
{
    const cJSON *row;
    cJSON *plugins = cJSON_AddArrayToObject(making->model, "plugins");
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(making->now, "plugins"))
    {
        const char *name = watch_text(row, "name");
        const cJSON *was = find(making->before, "plugins", "name", name);
        struct stage_lag lag = lag_sum(making, name, NULL);
        cJSON *plugin = cJSON_Duplicate(row, true);
        double in = per_second(making, row, was, "records_in");
        double out = per_second(making, row, was, "records_out");
        cJSON_DeleteItemFromObjectCaseSensitive(plugin, "versions");
        cJSON_AddNumberToObject(plugin, "records_in_per_s", in);
        cJSON_AddNumberToObject(plugin, "records_out_per_s", out);
        add_int(plugin, "lag", lag.known ? lag.lag : -1);
        add_int(plugin, "lag_ms", lag.known ? lag.lag_ms : -1);
        cJSON_AddStringToObject(plugin, "stall", lag.stall);
        cJSON_AddItemToArray(plugins, plugin);
        plugin_edges_add(making, row, in, out);
    }
}

/* Filters of subscriptions: the same text is a row on each loop. */
static const cJSON *filter_before(const struct making *making, const cJSON *row)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(making->before, "filters"))
    {
        if (watch_int(item, "loop", -1) == watch_int(row, "loop", -1) &&
            strcmp(watch_text(item, "name"), watch_text(row, "name")) == 0) {
            return item;
        }
    }
    return NULL;
}

static void filters_add(const struct making *making)
{
    const cJSON *row;
    cJSON *filters = cJSON_AddArrayToObject(making->model, "filters");
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(making->now, "filters"))
    {
        const cJSON *was = filter_before(making, row);
        cJSON *filter = cJSON_Duplicate(row, true);
        cJSON_AddNumberToObject(filter, "records_in_per_s",
                                per_second(making, row, was, "records_in"));
        cJSON_AddNumberToObject(filter, "records_out_per_s",
                                per_second(making, row, was, "records_out"));
        cJSON_AddItemToArray(filters, filter);
    }
}

/* ---- groups ---- */

struct group_topic {
    int64_t offsets, lag, lag_ms;
};

/* Sums over a topic's partitions. */
static struct group_topic topic_sum(const cJSON *group, const char *topic)
{
    struct group_topic sum = {0, 0, -1};
    const cJSON *row;
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(group, "partitions"))
    {
        if (strcmp(watch_text(row, "topic"), topic) == 0) {
            sum.offsets += SL_MAX(watch_int(row, "offset", 0), INT64_C(0));
            sum.lag += SL_MAX(watch_int(row, "lag", 0), INT64_C(0));
            sum.lag_ms = SL_MAX(sum.lag_ms, watch_int(row, "lag_ms", -1));
        }
    }
    return sum;
}

/* How fast its offsets go on; -1: there is nothing to compare with. */
static double group_rate(const struct making *making, const char *group, const char *topic,
                         int64_t offsets)
{
    const cJSON *was =
        making->before == NULL ? NULL : find(making->before, "groups", "group", group);
    if (was == NULL || find(was, "partitions", "topic", topic) == NULL) {
        return -1;
    }
    int64_t delta = offsets - topic_sum(was, topic).offsets;
    return delta < 0 || making->seconds <= 0 ? 0 : (double)delta / making->seconds;
}

static double group_topics_add(const struct making *making, const cJSON *group, cJSON *topics)
{
    const char *name = watch_text(group, "group");
    const cJSON *row;
    const char *last = "";
    double total = -1;
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(group, "partitions"))
    {
        const char *topic = watch_text(row, "topic");
        if (strcmp(topic, last) == 0) {
            continue; /* they are sorted */
        }
        last = topic;
        struct group_topic sum = topic_sum(group, topic);
        double rate = group_rate(making, name, topic, sum.offsets);
        total = rate < 0 ? total : SL_MAX(total, 0.0) + rate;
        cJSON_AddItemToArray(topics, cJSON_CreateString(topic));
        edge_add(making, &(struct edge){"topic", topic, "group", name, rate, -1, -1, sum.lag,
                                        sum.lag_ms, ""});
    }
    return total;
}

static void groups_add(const struct making *making)
{
    const cJSON *row;
    cJSON *groups = cJSON_AddArrayToObject(making->model, "groups");
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(making->now, "groups"))
    {
        cJSON *group = cJSON_CreateObject();
        const cJSON *members = cJSON_GetObjectItemCaseSensitive(row, "members");
        cJSON_AddStringToObject(group, "group", watch_text(row, "group"));
        cJSON_AddStringToObject(group, "type", watch_text(row, "type"));
        cJSON_AddStringToObject(group, "state", watch_text(row, "state"));
        cJSON_AddNumberToObject(group, "members", cJSON_GetArraySize(members));
        add_int(group, "lag", watch_int(row, "lag", -1));
        add_int(group, "lag_ms", watch_int(row, "lag_ms", -1));
        cJSON *topics = cJSON_AddArrayToObject(group, "topics");
        add_rate(group, "records_per_s", group_topics_add(making, row, topics));
        cJSON_AddItemToArray(groups, group);
    }
    cJSON_AddNumberToObject(making->model, "groups_left_out",
                            (double)watch_int(making->now, "groups_left_out", 0));
}

/* ---- readers ---- */

static bool has_row(const cJSON *object, const char *array, const char *name, const char *value)
{
    return find(object, array, name, value) != NULL;
}

/* A client id is all that a fetch and a group have in common. */
static bool is_of_group(const struct making *making, const char *client, const char *topic)
{
    const cJSON *group;
    cJSON_ArrayForEach(group, cJSON_GetObjectItemCaseSensitive(making->now, "groups"))
    {
        if (has_row(group, "members", "client_id", client) &&
            has_row(group, "partitions", "topic", topic)) {
            return true;
        }
    }
    return false;
}

static void readers_add(const struct making *making)
{
    const cJSON *row;
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(making->now, "readers"))
    {
        const char *client = watch_text(row, "client");
        const char *topic = watch_text(row, "topic");
        if (watch_int(row, "idle_ms", 0) <= FLOW_READER_MS && !is_of_group(making, client, topic)) {
            edge_add(making, &(struct edge){"topic", topic[0] != '\0' ? topic : "(others)",
                                            "reader", client[0] != '\0' ? client : "(others)", -1,
                                            -1, -1, -1, -1, ""});
        }
    }
}

/* ---- pressure ---- */

static void pressure_add(const struct making *making)
{
    const cJSON *row;
    cJSON *pressure = cJSON_AddArrayToObject(making->model, "pressure");
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(making->now, "pressure"))
    {
        cJSON *copy = cJSON_Duplicate(row, true);
        int64_t bound = watch_int(row, "bound", 0);
        double percent = bound > 0 ? 100.0 * (double)watch_int(row, "used", 0) / (double)bound : 0;
        cJSON_AddNumberToObject(copy, "percent", percent);
        cJSON_AddItemToArray(pressure, copy);
    }
    cJSON *stalls = cJSON_AddArrayToObject(making->model, "stalls");
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(making->now, "stalls"))
    {
        const char *text = flow_stall_text(watch_text(row, "what"), watch_text(row, "cause"));
        cJSON *copy = cJSON_Duplicate(row, true);
        cJSON_AddStringToObject(copy, "text", text);
        cJSON_AddItemToArray(stalls, copy);
    }
}

cJSON *flow_model_make(const cJSON *before, const cJSON *now)
{
    int64_t ms = before != NULL ? watch_int(now, "mono_ms", 0) - watch_int(before, "mono_ms", 0)
                                : watch_int(now, "uptime_ms", 0);
    struct making making = {
        .before = before, .now = now, .model = cJSON_CreateObject(), .seconds = (double)ms / 1000};
    cJSON_AddNumberToObject(making.model, "seconds", making.seconds);
    add_int(making.model, "uptime_ms", watch_int(now, "uptime_ms", 0));
    cJSON_AddBoolToObject(making.model, "since_start", before == NULL);
    making.edges = cJSON_AddArrayToObject(making.model, "edges");
    producers_add(&making);
    plugins_add(&making);
    filters_add(&making);
    groups_add(&making);
    readers_add(&making);
    pressure_add(&making);
    return making.model;
}

int flow_model_take(struct cli *cli, cJSON **ret_model)
{
    struct cli_link link;
    cJSON *before = NULL, *now = NULL;
    int code = cli_link_open(&link, cli);
    if (code != CLI_OK) {
        return code;
    }
    code = flow_sample_take(&link, &before);
    if (code == CLI_OK) {
        sl_sleep_ms(FLOW_WAIT_MS);
        code = flow_sample_take(&link, &now);
    }
    if (code == CLI_OK) {
        *ret_model = flow_model_make(before, now);
    }
    cJSON_Delete(before);
    cJSON_Delete(now);
    cli_link_close(&link);
    return code;
}
