/* cli_bench_topic.c: where a bench goes: the listener and the topic. */
#include "cli/cli_bench.h"
#include "cli/cli_offsets.h"
#include "cli/cli_watch.h"

#include <string.h>

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

static int listener_find(struct bench_run *bench)
{
    const cJSON *row;
    cJSON *reply = NULL;
    const char *wanted = bench->plan->ops->name;
    int code = cli_call(&bench->link, "status", NULL, &reply);
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(cli_result(reply), "frontends"))
    {
        if (bench->address[0] == '\0' && strcmp(watch_text(row, "name"), wanted) == 0 &&
            watch_int(row, "port", 0) > 0 && strcmp(watch_text(row, "state"), "listening") == 0) {
            address_take(bench, row);
        }
    }
    if (code == CLI_OK && strcmp(watch_text(cli_result(reply), "durability"), "memory") == 0) {
        snprintf(bench->durability, sizeof(bench->durability), "memory");
    }
    cJSON_Delete(reply);
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

static int ours_open(struct bench_run *bench)
{
    int code = cli_link_open(&bench->link, bench->cli);
    bench->is_linked = code == CLI_OK;
    code = code == CLI_OK ? listener_find(bench) : code;
    code = code == CLI_OK && bench->is_own ? own_make(bench) : code;
    return code == CLI_OK ? topic_look(bench) : code;
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

/* ---- another's ---- */

static int others_say(const struct bench_run *bench, sl_err err)
{
    cli_complain("%s: %s (SLU-%04d)", bench->address, bench->asker.text, err);
    cli_explain(bench->cli, err);
    return cli_exit_of(err);
}

static int others_open(struct bench_run *bench)
{
    int32_t partitions = (int32_t)bench->plan->partitions;
    sl_err err = load_kafka_asker_open(&bench->asker, bench->cli->os, bench->address);
    bench->is_asked = true;
    if (err == SLUICE_OK && bench->is_own) {
        err = load_kafka_topic_create(&bench->asker, bench->topic, partitions);
        bench->is_made = err == SLUICE_OK;
    } else if (err == SLUICE_OK) {
        err = load_kafka_topic_partitions(&bench->asker, bench->topic, &partitions);
    }
    bench->plan->partitions = (uint32_t)SL_MAX(partitions, 0);
    return err == SLUICE_OK ? CLI_OK : others_say(bench, err);
}

static int others_spans(struct bench_run *bench)
{
    struct load_plan *plan = bench->plan;
    plan->span_count = 0;
    for (uint32_t i = 0; i < SL_MIN(plan->partitions, LOAD_PARTITIONS_MAX); i++) {
        struct load_span *span = &plan->spans[plan->span_count++];
        span->partition = (int32_t)i;
        sl_err err =
            load_kafka_ends(&bench->asker, bench->topic, span->partition, &span->start, &span->end);
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
    } else if (goes && load_kafka_topic_delete(&bench->asker, bench->topic) != SLUICE_OK) {
        cli_complain("%s is still there: %s", bench->topic, bench->asker.text);
    }
    if (bench->is_linked) {
        cli_link_close(&bench->link);
    }
    if (bench->is_asked) {
        load_kafka_asker_close(&bench->asker);
    }
}
