/* cli_flow.c: flow show, flow graph: producers, topics, stages and gates, groups, readers, with
 * rates, lags and what waits for what. Rates are of FLOW_WAIT_MS between two looks. */
#include "cli/cli_flow_model.h"

#include <stdlib.h>
#include <string.h>

#define FLOW_DEPTH_MAX 32u
#define FULL_PERCENT   60.0 /* what is fuller is named */

/* ---- show ---- */

static void rate_add(cJSON *row, const char *name, double rate, bool is_bytes)
{
    char text[WATCH_TEXT_BYTES];
    cJSON_AddStringToObject(row, name,
                            rate < 0   ? "-"
                            : is_bytes ? watch_bytes_text(rate, text)
                                       : watch_count_text(rate, text));
}

static void node_add(cJSON *row, const char *name, const char *node)
{
    char text[600];
    size_t kind = 0;
    const char *label = flow_node_name(node, &kind);
    snprintf(text, sizeof(text), "%.*s %.500s", (int)kind, node, label);
    cJSON_AddStringToObject(row, name, text);
}

static void edges_write(const struct cli *cli, const cJSON *edges)
{
    static const char *const columns[] = {"from", "to",  "records/s", "bytes/s",
                                          "lag",  "age", "waits"};
    const cJSON *edge;
    cJSON *rows = cJSON_CreateArray();
    cJSON_ArrayForEach(edge, edges)
    {
        char text[WATCH_TEXT_BYTES];
        cJSON *row = cJSON_CreateObject();
        int64_t lag = watch_int(edge, "lag", -1);
        node_add(row, "from", watch_text(edge, "from"));
        node_add(row, "to", watch_text(edge, "to"));
        rate_add(row, "records/s", flow_rate(edge, "records_per_s"), false);
        rate_add(row, "bytes/s", flow_rate(edge, "bytes_per_s"), true);
        cJSON_AddStringToObject(row, "lag", lag < 0 ? "-" : watch_count_text((double)lag, text));
        cJSON_AddStringToObject(row, "age", watch_age_text(watch_int(edge, "lag_ms", -1), text));
        cJSON_AddStringToObject(row, "waits", watch_text(edge, "stall"));
        cJSON_AddItemToArray(rows, row);
    }
    if (rows->child == NULL) {
        puts("nothing flows: no producer wrote since the start, no stage runs, no group has "
             "offsets, nobody reads");
    } else {
        cli_table_write(cli, rows, columns, SL_COUNT_OF(columns));
    }
    cJSON_Delete(rows);
}

static void pressure_write(const cJSON *model)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(model, "pressure"))
    {
        if (flow_rate(item, "percent") >= FULL_PERCENT) {
            printf("full: %s %lld is used to %.0f %%\n", watch_text(item, "what"),
                   (long long)watch_int(item, "place", 0), flow_rate(item, "percent"));
        }
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(model, "stalls"))
    {
        if (watch_int(item, "now", 0) > 0) {
            printf("waits: %lld %s: %s\n", (long long)watch_int(item, "now", 0),
                   watch_text(item, "what"), watch_text(item, "text"));
        }
    }
    int64_t left_out = watch_int(model, "groups_left_out", 0);
    if (left_out > 0) {
        printf("%lld more groups are not shown\n", (long long)left_out);
    }
}

static int flow_show(struct cli *cli)
{
    cJSON *model = NULL;
    int code = flow_model_take(cli, &model);
    if (code == CLI_OK && cli->options.json) {
        cli_json_write(model);
    } else if (code == CLI_OK) {
        edges_write(cli, cJSON_GetObjectItemCaseSensitive(model, "edges"));
        pressure_write(model);
    }
    cJSON_Delete(model);
    return code;
}

/* ---- graph as text: a tree from what nothing flows into ---- */

struct tree {
    const cJSON *edges;
    uint32_t depth;
    bool last[FLOW_DEPTH_MAX];
    const char *path[FLOW_DEPTH_MAX]; /* nodes above: a cycle ends there */
};

static bool flows_into(const cJSON *edges, const char *node)
{
    const cJSON *edge;
    cJSON_ArrayForEach(edge, edges)
    {
        if (strcmp(watch_text(edge, "to"), node) == 0) {
            return true;
        }
    }
    return false;
}

static void node_write(const char *node)
{
    size_t size = 0;
    const char *name = flow_node_name(node, &size);
    const char *open = node[0] == 's' || node[0] == 'g' ? "[" : "";
    bool is_group = size == 5 && node[1] == 'r';
    printf("%s%s%s", is_group ? "(" : open, name, is_group ? ")" : open[0] != '\0' ? "]" : "");
}

static void edge_text(const cJSON *edge)
{
    char text[WATCH_TEXT_BYTES];
    int64_t lag = watch_int(edge, "lag", -1);
    double rate = flow_rate(edge, "records_per_s");
    const char *stall = watch_text(edge, "stall");
    if (rate >= 0) {
        printf("  %s/s", watch_count_text(rate, text));
    }
    if (lag > 0) {
        printf("  lag %s", watch_count_text((double)lag, text));
        printf(", %s", watch_age_text(watch_int(edge, "lag_ms", -1), text));
    }
    printf("%s%s\n", stall[0] != '\0' ? "  " : "", stall);
}

static void branches_write(struct tree *tree, const char *node);

static void branch_write(struct tree *tree, const cJSON *edge, bool is_last)
{
    const char *to = watch_text(edge, "to");
    bool again = false;
    for (uint32_t i = 0; i < tree->depth; i++) {
        again = again || strcmp(tree->path[i], to) == 0;
    }
    for (uint32_t i = 1; i < tree->depth; i++) {
        fputs(tree->last[i] ? "   " : "│  ", stdout);
    }
    fputs(is_last ? "└─ " : "├─ ", stdout);
    node_write(to);
    edge_text(edge);
    if (!again && tree->depth < FLOW_DEPTH_MAX) {
        tree->last[tree->depth] = is_last;
        branches_write(tree, to);
    }
}

static void branches_write(struct tree *tree, const char *node)
{
    const cJSON *edge;
    uint32_t left = 0;
    cJSON_ArrayForEach(edge, tree->edges)
    {
        left += strcmp(watch_text(edge, "from"), node) == 0;
    }
    tree->path[tree->depth++] = node;
    cJSON_ArrayForEach(edge, tree->edges)
    {
        if (strcmp(watch_text(edge, "from"), node) == 0) {
            branch_write(tree, edge, --left == 0);
        }
    }
    tree->depth--;
}

/* The first edge of a node that begins somewhere: each root once. */
static bool is_first_of(const cJSON *edges, const cJSON *edge)
{
    const cJSON *other = edges->child;
    while (other != edge && strcmp(watch_text(other, "from"), watch_text(edge, "from")) != 0) {
        other = other->next;
    }
    return other == edge;
}

static void tree_write(const cJSON *edges)
{
    const cJSON *edge;
    bool any = false;
    for (int round = 0; round < 2; round++) {
        cJSON_ArrayForEach(edge, edges)
        {
            const char *from = watch_text(edge, "from");
            /* Only a cycle that nothing flows into has no root: its first node will do. */
            bool is_root = round == 0 ? !flows_into(edges, from) : !any;
            if (is_root && is_first_of(edges, edge)) {
                struct tree tree = {.edges = edges};
                any = true;
                node_write(from);
                putchar('\n');
                branches_write(&tree, from);
            }
        }
    }
}

/* ---- graph in dot, for Graphviz ---- */

static void quoted_write(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            putchar('\\');
        }
        putchar(*text);
    }
    putchar('"');
}

static void dot_node(const char *node)
{
    static const char *const shapes[][2] = {{"producer", "ellipse"}, {"topic", "cylinder"},
                                            {"stage", "box"},        {"gate", "diamond"},
                                            {"group", "ellipse"},    {"reader", "ellipse"}};
    size_t size = 0;
    const char *name = flow_node_name(node, &size);
    const char *shape = "box";
    for (size_t i = 0; i < SL_COUNT_OF(shapes); i++) {
        shape = strncmp(node, shapes[i][0], size) == 0 ? shapes[i][1] : shape;
    }
    printf("  ");
    quoted_write(node);
    printf(" [shape=%s, label=", shape);
    quoted_write(name);
    printf("];\n");
}

static void dot_edge(const cJSON *edge)
{
    char text[WATCH_TEXT_BYTES];
    char label[256] = "";
    const char *stall = watch_text(edge, "stall");
    int64_t lag = watch_int(edge, "lag", -1);
    double rate = flow_rate(edge, "records_per_s");
    size_t at = 0;
    if (rate >= 0) {
        at = (size_t)snprintf(label, sizeof(label), "%s/s", watch_count_text(rate, text));
    }
    if (lag > 0) {
        snprintf(label + at, sizeof(label) - at, "%slag %s", at > 0 ? ", " : "",
                 watch_count_text((double)lag, text));
    }
    printf("  ");
    quoted_write(watch_text(edge, "from"));
    printf(" -> ");
    quoted_write(watch_text(edge, "to"));
    printf(" [label=");
    quoted_write(label);
    if (stall[0] != '\0') {
        printf(", color=red, style=dashed, tooltip=");
        quoted_write(stall);
    }
    printf("];\n");
}

static void dot_write(const cJSON *edges)
{
    const cJSON *edge, *other;
    puts("digraph flow {\n  rankdir=LR;");
    cJSON_ArrayForEach(edge, edges)
    {
        static const char *const ends[] = {"from", "to"};
        for (size_t i = 0; i < SL_COUNT_OF(ends); i++) {
            const char *node = watch_text(edge, ends[i]);
            bool known = i == 1 && strcmp(watch_text(edge, "from"), node) == 0;
            for (other = edges->child; other != edge && !known; other = other->next) {
                known = strcmp(watch_text(other, "from"), node) == 0 ||
                        strcmp(watch_text(other, "to"), node) == 0;
            }
            if (!known) {
                dot_node(node);
            }
        }
        dot_edge(edge);
    }
    puts("}");
}

static int flow_graph(struct cli *cli)
{
    const char *format = cli_value(&cli->options.format, cli->options.json ? "json" : "text");
    cJSON *model = NULL;
    bool is_dot = strcmp(format, "dot") == 0, is_json = strcmp(format, "json") == 0;
    if (!is_dot && !is_json && strcmp(format, "text") != 0) {
        cli_complain("--format is \"%.40s\" but must be text, dot or json", format);
        return CLI_USAGE;
    }
    int code = flow_model_take(cli, &model);
    const cJSON *edges = cJSON_GetObjectItemCaseSensitive(model, "edges");
    if (code == CLI_OK && is_json) {
        cli_json_write(model);
    } else if (code == CLI_OK && is_dot) {
        dot_write(edges);
    } else if (code == CLI_OK) {
        tree_write(edges);
        pressure_write(model);
    }
    cJSON_Delete(model);
    return code;
}

/* clang-format off */
static const struct cli_command commands[] = {
    {"flow show", flow_show, "", 0, 0, CLI_BROKER_OPTIONS,
     "who writes where, stages, groups, readers: rates, lags, and what waits for what\n\n"
     "Rates are those between two looks, 1.5 s apart. Of a group they follow its commits.\n"
     "bytes/s is told of producers; of readers without a group, that they read."},
    {"flow graph", flow_graph, "", 0, 0, CLI_BROKER_OPTIONS | CLI_OPTION(FORMAT),
     "the same as a tree, or for Graphviz: --format text, dot, json"},
};
/* clang-format on */

const struct cli_table cli_flow_table = {
    .title = "Flow", .commands = commands, .count = SL_COUNT_OF(commands)};
