/* cli_flow_model.h: the flow through a broker as one JSON object, made of two samples: what flow,
 * top and their --json show. Internal.
 *
 *   {"seconds":2.0,"uptime_ms":"…","since_start":false,
 *    "edges":[{"from":"producer:shop","to":"topic:orders","records_per_s":…,"bytes_per_s":…|null,
 *              "records":"…","lag":"…"|null,"lag_ms":"…"|null,"stall":""}],
 *    "plugins":[{…as plugin list…,"records_in_per_s","records_out_per_s","lag","lag_ms","stall"}],
 *    "groups":[{"group","type","state","members","lag","lag_ms","records_per_s"|null,"topics":[]}],
 *    "groups_left_out":0,
 *    "pressure":[{"what","place","used","bound","percent"}],
 *    "stalls":[{"what","cause","now","total"}]}
 *
 * Kinds of nodes: producer, gate, topic, stage, group, reader (who fetches, and is no member of a
 * group in it that reads the topic). 64-bit values are strings. */
#ifndef SL_CLI_CLI_FLOW_MODEL_H
#define SL_CLI_CLI_FLOW_MODEL_H

#include "cli/cli_watch.h"

#define FLOW_WAIT_MS 1500 /* between the samples of one look */
#define FLOW_READER_MS \
    65000 /* who has not fetched for so long reads no more: native clients wait for 60 s */
#define FLOW_GROUPS_MAX 64 /* whose offsets are asked for in a sample; those with members first */

/* One look at the broker. CLI_OK, CLI_UNREACHABLE, CLI_FAILED (written). */
int flow_sample_take(struct cli_link *link, cJSON **ret_sample);
/* before NULL: rates since the broker's start; those of groups are null then. */
cJSON *flow_model_make(const cJSON *before, const cJSON *now);
/* The model of FLOW_WAIT_MS from now, of two samples. CLI_OK, CLI_UNREACHABLE, CLI_FAILED
 * (written). [blocks] */
int flow_model_take(struct cli *cli, cJSON **ret_model);
/* A rate; -1 for null. */
double flow_rate(const cJSON *object, const char *name);
/* "stage:mask" to "mask"; *ret_kind_size: of "stage". */
const char *flow_node_name(const char *node, size_t *ret_kind_size);
/* What waits, for people: "the client does not read its answers". */
const char *flow_stall_text(const char *what, const char *cause);

#endif
