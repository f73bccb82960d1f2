/* plugin_cost.h: what an instance costs and does, as JSON for `sluice plugin info` and `list`; the
 * keys are those of PLUGIN_COUNT_TABLE, PLUGIN_GAUGE_TABLE and PLUGIN_TIME_TABLE. [loop 0] */
#ifndef SL_BROKER_PLUGIN_COST_H
#define SL_BROKER_PLUGIN_COST_H

#include "plugin/plugin_manager.h"

struct cJSON;

/* times {batch {count, mean_ns, p50_ns, p99_ns, p999_ns} …}, gauges, denied_calls, last_error. */
void plugin_cost_json(const struct plugin_info *info, struct cJSON *object);
/* records_in, records_out, records_rejected, worker_deaths, batch_p99_ns, denied (calls). */
void plugin_cost_short_json(const struct plugin_info *info, struct cJSON *object);
/* How old the next record is; 0: there is none, or its age is not known. [any] */
int64_t plugin_lag_age_ms(const struct plugin_lag *lag, int64_t wall_ms);

#endif
