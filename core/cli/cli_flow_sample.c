/* cli_flow_sample.c: one look at the broker: the answer of flow, with the rows of producers and
 * readers of all loops added up, and a description of each group. */
#include "cli/cli_flow_model.h"

#include <stdlib.h>
#include <string.h>

static cJSON *result_take(cJSON *reply)
{
    cJSON *result = cJSON_DetachItemFromObjectCaseSensitive(reply, "result");
    cJSON_Delete(reply);
    return result;
}

static void number_set(cJSON *object, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)value);
    cJSON_ReplaceItemInObjectCaseSensitive(object, name, cJSON_CreateString(text));
}

/* ---- producers and readers ---- */

static cJSON *row_find(const cJSON *rows, const char *client, const char *topic)
{
    cJSON *row;
    cJSON_ArrayForEach(row, rows)
    {
        if (strcmp(watch_text(row, "client"), client) == 0 &&
            strcmp(watch_text(row, "topic"), topic) == 0) {
            return row;
        }
    }
    return NULL;
}

/* Rows of the same client and topic, of several loops, become one. */
static void rows_merge(cJSON *flow, const char *name, const char *const *sums, size_t sum_count)
{
    cJSON *rows = cJSON_DetachItemFromObjectCaseSensitive(flow, name);
    cJSON *merged = cJSON_AddArrayToObject(flow, name);
    while (rows != NULL && rows->child != NULL) {
        cJSON *row = cJSON_DetachItemViaPointer(rows, rows->child);
        cJSON *known = row_find(merged, watch_text(row, "client"), watch_text(row, "topic"));
        if (known == NULL) {
            cJSON_AddItemToArray(merged, row);
            continue;
        }
        for (size_t i = 0; i < sum_count; i++) {
            number_set(known, sums[i], watch_int(known, sums[i], 0) + watch_int(row, sums[i], 0));
        }
        number_set(known, "idle_ms",
                   SL_MIN(watch_int(known, "idle_ms", 0), watch_int(row, "idle_ms", 0)));
        cJSON_Delete(row);
    }
    cJSON_Delete(rows);
}

/* ---- groups ---- */

static int group_add(struct cli_link *link, const char *name, cJSON *groups)
{
    cJSON *reply = NULL;
    cJSON *args = cJSON_CreateObject();
    cJSON_AddStringToObject(args, "group", name);
    int code = cli_ask(link, "group.describe", args, &reply);
    if (code == CLI_OK) {
        cJSON_AddItemToArray(groups, result_take(reply));
        return CLI_OK;
    }
    cJSON_Delete(reply);
    return code == CLI_FAILED ? CLI_OK : code; /* it went meanwhile */
}

/* Those that somebody works in first. */
static int groups_add(struct cli_link *link, const cJSON *list, cJSON *sample)
{
    int asked = 0;
    cJSON *groups = cJSON_AddArrayToObject(sample, "groups");
    for (int round = 0; round < 2; round++) {
        const cJSON *row;
        cJSON_ArrayForEach(row, list)
        {
            const char *state = watch_text(row, "state");
            bool is_empty = strcmp(state, "Empty") == 0 || strcmp(state, "Dead") == 0;
            if (is_empty != (round == 1) || asked == FLOW_GROUPS_MAX) {
                continue;
            }
            asked++;
            int code = group_add(link, watch_text(row, "group"), groups);
            if (code != CLI_OK) {
                return code;
            }
        }
    }
    cJSON_AddNumberToObject(sample, "groups_left_out", SL_MAX(cJSON_GetArraySize(list) - asked, 0));
    return CLI_OK;
}

int flow_sample_take(struct cli_link *link, cJSON **ret_sample)
{
    static const char *const produced[] = {"records", "bytes", "batches"};
    static const char *const read[] = {"requests"};
    cJSON *reply = NULL;
    int code = cli_call(link, "flow", NULL, &reply);
    if (code != CLI_OK) {
        cJSON_Delete(reply);
        return code;
    }
    cJSON *sample = result_take(reply);
    rows_merge(sample, "producers", produced, SL_COUNT_OF(produced));
    rows_merge(sample, "readers", read, SL_COUNT_OF(read));
    reply = NULL;
    code = cli_call(link, "group.list", NULL, &reply);
    if (code == CLI_OK) {
        code =
            groups_add(link, cJSON_GetObjectItemCaseSensitive(cli_result(reply), "groups"), sample);
    }
    cJSON_Delete(reply);
    if (code != CLI_OK) {
        cJSON_Delete(sample);
        return code;
    }
    *ret_sample = sample;
    return CLI_OK;
}
