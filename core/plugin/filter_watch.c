/* filter_watch.c: what the expressions of a pool do and cost, for `sluice plugin list`, `top` and
 * /metrics (filter_pool.h). */
#include "plugin/filter_state.h"

#include "base/bytes.h"

/* Of a worker: which sum, from which gauge of its meter. */
static void add_cost(const struct filter_expression *expression, struct filter_sums *sums)
{
    const struct worker_meter *meter = &expression->meter;
    sums->cpu_ns += worker_meter_get(meter, PLUGIN_GAUGE_CPU);
    sums->throttled_ns += worker_meter_get(meter, PLUGIN_GAUGE_THROTTLED);
    sums->deaths += !expression->is_loaded ? 0 : /* one that does not compile is no death */
                        atomic_load_explicit(&expression->counts.values[STAGE_COUNT_DEATHS],
                                             memory_order_relaxed);
}

void filter_watch_end(const struct filter_expression *expression)
{
    if (expression->host != NULL) {
        worker_host_measure(expression->host, false);
    }
    add_cost(expression, &expression->pool->sums);
}

void filter_pool_sum(const struct filter_pool *pool, struct filter_sums *ret_sums)
{
    *ret_sums = pool->sums;
    SL_LIST_EACH(&pool->expressions, link)
    {
        const struct filter_expression *expression =
            SL_CONTAINER_OF(link, struct filter_expression, link);
        if (expression->host != NULL) {
            worker_host_measure(expression->host, false);
        }
        add_cost(expression, ret_sums);
        ret_sums->memory_bytes += worker_meter_get(&expression->meter, PLUGIN_GAUGE_MEMORY);
    }
}

static uint64_t batch_p99_ns(const struct worker_meter *meter)
{
    uint64_t buckets[SL_METRIC_BUCKETS];
    for (uint32_t i = 0; i < SL_METRIC_BUCKETS; i++) {
        buckets[i] = sl_metric_get(&meter->times[PLUGIN_TIME_BATCH][i]);
    }
    return sl_metric_quantile_of(buckets, 990);
}

static void show(struct filter_expression *expression, filter_info_fn *visit, void *arg)
{
    const char *clients[FILTER_CLIENTS_SHOWN];
    struct stage_error error = {.time_ms = 0, .text = ""};
    struct filter_info info = {
        .text = {expression->text, expression->text_size},
        .clients = clients,
        .state = !expression->is_loaded                      ? "starting"
                 : !worker_host_is_running(expression->host) ? "waiting"
                 : worker_host_rests(expression->host)       ? "resting"
                                                             : "running",
        .sums = expression->judged,
        .pid = expression->host != NULL ? worker_host_pid(expression->host) : 0,
        .cpu_share_ppm = worker_meter_get(&expression->meter, PLUGIN_GAUGE_CPU_SHARE),
        .batch_p99_ns = batch_p99_ns(&expression->meter),
    };
    SL_LIST_EACH(&expression->clients, link)
    {
        const struct filter_client *client = SL_CONTAINER_OF(link, struct filter_client, link);
        if (info.client_count < FILTER_CLIENTS_SHOWN) {
            clients[info.client_count] = client->name;
        }
        info.client_count++;
    }
    add_cost(expression, &info.sums);
    info.sums.memory_bytes = worker_meter_get(&expression->meter, PLUGIN_GAUGE_MEMORY);
    stage_error_newest(&expression->counts, &error);
    info.last_error = error.text;
    visit(arg, &info);
}

void filter_pool_each(const struct filter_pool *pool, filter_info_fn *visit, void *arg)
{
    SL_LIST_EACH(&pool->expressions, link)
    {
        struct filter_expression *expression =
            SL_CONTAINER_OF(link, struct filter_expression, link);
        if (expression->host != NULL) {
            worker_host_measure(expression->host, true);
        }
        show(expression, visit, arg);
    }
}
