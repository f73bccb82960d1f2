/* cli_bench_topic.c: where a bench goes: the listener and the topic. */
#include "cli/cli_bench.h"
#include "cli/cli_offsets.h"
#include "cli/cli_watch.h"
#include "os/os_interrupt.h"

#include "base/status.h"

#include <string.h>

#define LEADER_NS      INT64_C(30000000000)
#define LEADER_LOOK_MS 100

/* ---- our broker ---- */

/* Listeners on all addresses are reached by loopback. */
static void address_take(struct bench_run *bench, const cJSON *row)
{
    const char *address = watch_text(row, "address");
    const char *colon = strrchr(address, ':');
    int host_size = colon != NULL ? (int)(colon - address) : 0;
    bool any_4 = strncmp(address, "0.0.0.0", (size_t)host_size) == 0;
    bool any_6 = strncmp(address, "[::]", (size_t)host_size) == 0;
    snprintf(bench->address, sizeof(bench->address), "%.*s:%lld",
             any_4   ? 9
             : any_6 ? 5
                     : host_size,
             any_4   ? "127.0.0.1"
             : any_6 ? "[::1]"
                     : address,
             (long long)watch_int(row, "port", 0));
}

/* Of those with and without TLS the one that was asked for. */
static bool listener_fits(const struct bench_run *bench, const cJSON *row)
{
    bool is_tls = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(row, "tls"));
    return is_tls == (bench->transport != NULL);
}

static int listener_find(struct bench_run *bench)
{
    const cJSON *row;
    cJSON *reply = NULL;
    uint32_t others = 0;
    const char *wanted = bench->plan->ops->name;
    int code = cli_call(&bench->link, "status", NULL, &reply);
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(cli_result(reply), "frontends"))
    {
        bool is_one = strcmp(watch_text(row, "name"), wanted) == 0 &&
                      watch_int(row, "port", 0) > 0 &&
                      strcmp(watch_text(row, "state"), "listening") == 0;
        if (is_one && bench->address[0] == '\0' && listener_fits(bench, row)) {
            address_take(bench, row);
        }
        others += is_one && !listener_fits(bench, row);
    }
    if (code == CLI_OK && strcmp(watch_text(cli_result(reply), "durability"), "memory") == 0) {
        snprintf(bench->durability, sizeof(bench->durability), "memory");
    }
    cJSON_Delete(reply);
    if (code == CLI_OK && bench->address[0] == '\0' && others > 0) {
        cli_complain(
            bench->transport == NULL
                ? "all listeners of the %s protocol speak TLS here: give --tls and --ca-file FILE"
                : "no listener of the %s protocol speaks TLS here: leave out --tls and what "
                  "goes with it",
            wanted);
        return CLI_UNREACHABLE;
    }
    if (code == CLI_OK && bench->address[0] == '\0') {
        cli_complain("this broker has no listener of the %s protocol; \"sluice status\" shows "
                     "those that it has",
                     wanted);
        return CLI_UNREACHABLE;
    }
    return code;
}

static int own_make(struct bench_run *bench)
{
    cJSON *reply = NULL;
    cJSON *args = cJSON_CreateObject();
    cJSON_AddStringToObject(args, "topic", bench->topic);
    cJSON_AddNumberToObject(args, "partitions", bench->plan->partitions);
    if (bench->level != NULL) {
        cJSON_AddStringToObject(cJSON_AddObjectToObject(args, "configs"), "sluice.durability",
                                bench->level);
    }
    int code = cli_call(&bench->link, "topic.create", args, &reply);
    cJSON_Delete(reply);
    bench->is_made = code == CLI_OK;
    return code;
}

static int topic_look(struct bench_run *bench)
{
    cJSON *reply = NULL;
    cJSON *args = cJSON_CreateObject();
    cJSON_AddStringToObject(args, "topic", bench->topic);
    int code = cli_call(&bench->link, "topic.describe", args, &reply);
    const cJSON *result = cli_result(reply);
    const cJSON *configs = cJSON_GetObjectItemCaseSensitive(result, "configs");
    const char *durability =
        watch_text(cJSON_GetObjectItemCaseSensitive(configs, "sluice.durability"), "value");
    if (bench->durability[0] == '\0') {
        snprintf(bench->durability, sizeof(bench->durability), "%.15s",
                 durability[0] != '\0' ? durability : "fsync");
    }
    bench->plan->partitions = (uint32_t)watch_int(result, "partitions", 0);
    cJSON_Delete(reply);
    return code;
}

static int ours_spans(struct bench_run *bench)
{
    const struct cli_span whole = {.has_to = false};
    struct load_plan *plan = bench->plan;
    struct cli_place_bounds bounds;
    cJSON *reply = NULL;
    const cJSON *row;
    int code = cli_bounds_ask(&bench->link, bench->topic, &whole, &reply);
    plan->span_count = 0;
    cJSON_ArrayForEach(row, cli_bounds_rows(reply))
    {
        if (plan->span_count < LOAD_PARTITIONS_MAX) {
            struct load_span *span = &plan->spans[plan->span_count++];
            cli_bounds_read(row, false, &bounds, &span->partition);
            span->start = bounds.start;
            span->end = bounds.end;
        }
    }
    cJSON_Delete(reply);
    return code;
}

/* ---- by Kafka's protocol ---- */

static int others_say(const struct bench_run *bench, sl_err err)
{
    cli_complain("%s: %s (SLU-%04d)", bench->address, bench->asker.text, err);
    bench_security_hint(bench, err);
    cli_explain(bench->cli, err);
    return cli_exit_of(err);
}

/* Who may not come in is told so here, before anything is made. */
static int asker_open(struct bench_run *bench)
{
    sl_err err = load_asker_open(&bench->asker, bench->cli->os, bench->address, &bench->security);
    bench->is_asked = true;
    bench->security.mechanism = bench->asker.mechanism; /* that it came to */
    return err == SLUICE_OK ? CLI_OK : others_say(bench, err);
}

/* A topic that was just made may have no leader yet. */
static sl_err topic_await(struct bench_run *bench, int32_t *ret_partitions,
                          char ret_leader[LOAD_ADDRESS_BYTES])
{
    int64_t until_ns = sl_os_mono_ns(bench->cli->os) + LEADER_NS;
    sl_err err = load_asker_topic_look(&bench->asker, bench->topic, ret_partitions, ret_leader);
    while (bench->is_made && err != SLUICE_OK && bench->asker.link.descriptor >= 0 &&
           (sl_status_is_retriable(err) || err == SLUICE_E_UNKNOWN_TOPIC) && !sl_interrupted() &&
           sl_os_mono_ns(bench->cli->os) < until_ns) {
        sl_sleep_ms(LEADER_LOOK_MS);
        err = load_asker_topic_look(&bench->asker, bench->topic, ret_partitions, ret_leader);
    }
    return err;
}

static int leader_follow(struct bench_run *bench, const char leader[LOAD_ADDRESS_BYTES])
{
    if (leader[0] == '\0' || strcmp(leader, bench->address) == 0) {
        return CLI_OK;
    }
    load_asker_close(&bench->asker);
    snprintf(bench->address, sizeof(bench->address), "%s", leader);
    return asker_open(bench);
}

static int others_open(struct bench_run *bench)
{
    int32_t partitions = (int32_t)bench->plan->partitions;
    char leader[LOAD_ADDRESS_BYTES];
    int code = asker_open(bench);
    if (code != CLI_OK) {
        return code;
    }
    sl_err err = SLUICE_OK;
    if (bench->is_own) {
        err = load_asker_topic_create(&bench->asker, bench->topic, partitions);
        bench->is_made = err == SLUICE_OK;
    }
    err = err == SLUICE_OK ? topic_await(bench, &partitions, leader) : err;
    bench->plan->partitions = (uint32_t)SL_MAX(partitions, 0);
    return err == SLUICE_OK ? leader_follow(bench, leader) : others_say(bench, err);
}

/* The topic is made and looked at over the admin socket, whoever it is that writes to it. */
static int ours_open(struct bench_run *bench)
{
    int code = cli_link_open(&bench->link, bench->cli);
    bench->is_linked = code == CLI_OK;
    code = code == CLI_OK ? listener_find(bench) : code;
    code = code == CLI_OK && bench->plan->ops == &load_kafka_peer ? asker_open(bench) : code;
    code = code == CLI_OK && bench->is_own ? own_make(bench) : code;
    return code == CLI_OK ? topic_look(bench) : code;
}

static int others_spans(struct bench_run *bench)
{
    struct load_plan *plan = bench->plan;
    plan->span_count = 0;
    for (uint32_t i = 0; i < SL_MIN(plan->partitions, LOAD_PARTITIONS_MAX); i++) {
        struct load_span *span = &plan->spans[plan->span_count++];
        span->partition = (int32_t)i;
        sl_err err =
            load_asker_ends(&bench->asker, bench->topic, span->partition, &span->start, &span->end);
        if (err != SLUICE_OK) {
            return others_say(bench, err);
        }
    }
    return CLI_OK;
}

/* ---- either ---- */

int bench_place_open(struct bench_run *bench)
{
    bool is_ours = bench->address[0] == '\0';
    int code = is_ours ? ours_open(bench) : others_open(bench);
    if (code == CLI_OK &&
        (bench->plan->partitions == 0 || bench->plan->partitions > LOAD_PARTITIONS_MAX)) {
        cli_complain("%s has %u partitions; bench reads 1 to %u", bench->topic,
                     bench->plan->partitions, LOAD_PARTITIONS_MAX);
        code = CLI_USAGE;
    }
    return code;
}

int bench_spans_ask(struct bench_run *bench)
{
    return bench->is_linked ? ours_spans(bench) : others_spans(bench);
}

static void topic_remove(struct bench_run *bench)
{
    cJSON *reply = NULL;
    cJSON *args = cJSON_CreateObject();
    cJSON_AddStringToObject(args, "topic", bench->topic);
    if (cli_call(&bench->link, "topic.delete", args, &reply) != CLI_OK) {
        cli_next("%s is still there: sluice topic delete %s", bench->topic, bench->topic);
    }
    cJSON_Delete(reply);
}

void bench_place_close(struct bench_run *bench)
{
    bool goes = bench->is_made && !cli_own_flag(bench->cli, "--keep");
    if (goes && bench->is_linked) {
        topic_remove(bench);
    } else if (goes && load_asker_topic_delete(&bench->asker, bench->topic) != SLUICE_OK) {
        cli_complain("%s is still there: %s", bench->topic, bench->asker.text);
    }
    if (bench->is_linked) {
        cli_link_close(&bench->link);
    }
    if (bench->is_asked) {
        load_asker_close(&bench->asker);
    }
}
