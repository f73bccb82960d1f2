/* <sluice/metrics.h>: numbers of a plugin's own, in the broker's metrics and in `sluice plugin
 * info` (extension "sluice.metrics/1", for processors).
 *
 * A plugin names its metrics once, in create, init or activate, and changes them where it works.
 * The broker shows each with the labels `plugin` and `metric`, summed over the workers of the
 * instance: counters as sluice_plugin_counter_total, gauges as sluice_plugin_gauge, histograms as
 * sluice_plugin_histogram. The unit is the plugin's: say it in the name ("queue_bytes"). What
 * counters and histograms counted stays when a worker is started anew; a gauge is that of the
 * worker that runs.
 *
 * They are for people, not for records: what is counted for a batch that comes again is counted
 * again. Changing one costs a store; no call, no lock.
 *
 * Needs the permission write_metrics, in the manifest and in the operator's configuration. */
#ifndef SLUICE_METRICS_H
#define SLUICE_METRICS_H

#include <sluice/plugin.h>

/* Id of struct sluice_metrics, for sluice_host.get_extension. */
#define SLUICE_EXT_METRICS "sluice.metrics/1"

/* Bounds of one instance: metrics, histograms among them, bytes of a name. */
#define SLUICE_METRICS_MAX     32u
#define SLUICE_HISTOGRAMS_MAX  4u
#define SLUICE_METRIC_NAME_MAX 47u

/* Kinds of metrics. */
#define SLUICE_METRIC_COUNTER   1u /* only grows */
#define SLUICE_METRIC_GAUGE     2u /* a value now, may be negative */
#define SLUICE_METRIC_HISTOGRAM 3u /* how often which value: 4 steps for each power of two */

/* Metrics of one instance. Borrowed from the host; lives as long as the instance. */
struct sluice_metrics {
    uint32_t size;
    uint32_t reserved;
    void *data; /* the host's */
    /* Makes a metric, or finds the one of that kind and name: [a-z][a-z0-9_]*. *ret_metric is the
     * number that the calls below take. SLUICE_E_PERMISSION: without write_metrics; the reason is
     * set as set_error would. SLUICE_E_LIMIT: a bound above. SLUICE_E_INVALID: no such kind, or no
     * such name. [control|process] */
    sluice_status (*metric)(const struct sluice_metrics *metrics, uint32_t kind,
                            struct sluice_text name, uint32_t *ret_metric);
    /* Adds to a counter. A number that is none, or of another kind, is ignored, here and below.
     * [control|process] */
    void (*add)(const struct sluice_metrics *metrics, uint32_t metric, uint64_t count);
    void (*set)(const struct sluice_metrics *metrics, uint32_t metric, int64_t value);
    void (*observe)(const struct sluice_metrics *metrics, uint32_t metric, uint64_t value);
};

#endif
