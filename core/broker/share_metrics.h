/* share_metrics.h: metrics of groups that share streams (share_count.h), by group. Each beat of a
 * loop looks at some of its groups in turn, and adds what came since it last did: so a group
 * without a series of its own, beyond the bound, is in "other". [the shard's loop] */
#ifndef SL_BROKER_SHARE_METRICS_H
#define SL_BROKER_SHARE_METRICS_H

#include "base/metric.h"
#include "shard/shard.h"

#define SHARE_METRIC_GROUPS_MAX  200u   /* with series of their own */
#define SHARE_METRIC_VISITS      200u   /* groups of a beat … */
#define SHARE_METRIC_STREAMS     2000u  /* … and about so many of their streams */
#define SHARE_METRIC_STREAMS_MAX 10000u /* of one group on a shard: of more there is no lag */

/* first: the index of SHARE_COUNT_ACQUIRED among the broker's metrics. */
void share_metrics_publish(struct shard *shard, struct sl_metric_writer *writer, size_t first);

#endif
