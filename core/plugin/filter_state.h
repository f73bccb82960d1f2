/* filter_state.h: an expression of a pool, the clients that have it, and one user of it. For the
 * filter_*.c of this room alone; on the pool's loop. */
#ifndef SL_PLUGIN_FILTER_STATE_H
#define SL_PLUGIN_FILTER_STATE_H

#include "plugin/filter_pool.h"
#include "plugin/worker_host.h"
#include "stage/stage_input.h"

/* Who has an expression: what a client may open is counted by it. */
struct filter_client {
    struct sl_link link; /* in its expression's clients; freed with its last user */
    uint32_t user_count;
    char name[FILTER_CLIENT_BYTES];
};

struct filter_expression {
    struct sl_link link; /* in pool->expressions; not listed: it ends */
    struct filter_pool *pool;
    struct plugin_version *version; /* referenced */
    struct worker_host *host;       /* NULL: it waits for what all need, or is gone */
    struct sl_list users;
    struct sl_list clients;
    bool is_loaded;
    bool is_ended; /* and its worker is gone */
    struct sl_task end_task;
    struct filter_sums judged; /* by it */
    int64_t told_ms;           /* monotonic: when the log last told that it raised; 0: never */
    struct stage_counts counts;
    struct worker_meter meter;
    size_t text_size;
    char text[]; /* the expression */
};

struct sluice_filter {
    struct sl_link link; /* in its expression's users */
    struct filter_expression *expression;
    struct filter_client *client;
    sluice_filter_opened *opened; /* until it was told; or NULL */
    void *opened_arg;
    sluice_filter_judged *judged; /* a batch is under way; or NULL */
    void *judged_arg;
    struct stage_input input;
    struct worker_call call;
    uint32_t attempts;
    uint32_t raised_in_a_row; /* records, the last ones that were judged */
    char topic[CHANNEL_TOPIC_SIZE_MAX + 1];
    uint8_t passes[SLUICE_FILTER_RECORDS_MAX / 8];
    uint8_t raised[SLUICE_FILTER_RECORDS_MAX / 8];
};

#define FILTER_NAME "filter" /* in messages: "filter:1: …" */

/* ---- filter_batch.c: of struct sluice_filter_host ---- */

sluice_status filter_batch_add(const struct sluice_filter_host *host, struct sluice_filter *filter,
                               const struct sluice_record *record);
sluice_status filter_batch_judge(const struct sluice_filter_host *host,
                                 struct sluice_filter *filter, struct sluice_text topic,
                                 int32_t partition, sluice_filter_judged *judged, void *arg,
                                 struct sluice_text *ret_reason);

/* ---- filter_client.c ---- */

/* The name by which its expressions are counted: its user, or where nobody logged in its address
 * and client id. */
void filter_client_name(const struct sluice_context *context, char ret_name[FILTER_CLIENT_BYTES]);
/* How many expressions of the pool it has. */
uint32_t filter_client_count(const struct filter_pool *pool, const char *name);
/* Of the expression, with one more user. NULL: no memory. */
struct filter_client *filter_client_join(struct filter_expression *expression, const char *name);
void filter_client_leave(struct filter_client *client);

/* ---- filter_watch.c ---- */

/* What its worker used is kept in the pool's sums; it is about to go. */
void filter_watch_end(const struct filter_expression *expression);

#endif
