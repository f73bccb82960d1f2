/* cli_scrub.c: scrub: whether what is stored was compared with its checksums, and with --now doing
 * so; recovery: what the last start found. Both ask the running broker. */
#include "cli/cli_store.h"

#include <stdlib.h>
#include <string.h>

#define POLL_MS 200

static const char *const finding_columns[] = {"file",      "position",     "bytes",      "topic",
                                              "partition", "first_offset", "last_offset"};
static const char *const recovery_columns[] = {
    "shard",         "clean",     "segments", "frames",  "last_lsn",
    "bytes_scanned", "bytes_cut", "repairs",  "extents", "ms"};

static uint64_t member_u64(const cJSON *object, const char *name)
{
    char text[1024];
    return strtoull(cli_member_text(object, name, text), NULL, 10);
}

static uint64_t shards_sum(const cJSON *result, const char *name)
{
    const cJSON *shard;
    uint64_t sum = 0;
    cJSON_ArrayForEach(shard, cJSON_GetObjectItemCaseSensitive(result, "shards"))
    {
        sum += member_u64(shard, name);
    }
    return sum;
}

/* The least of all shards. */
static uint64_t shards_least(const cJSON *result, const char *name)
{
    const cJSON *shard;
    uint64_t least = UINT64_MAX;
    cJSON_ArrayForEach(shard, cJSON_GetObjectItemCaseSensitive(result, "shards"))
    {
        least = SL_MIN(least, member_u64(shard, name));
    }
    return least == UINT64_MAX ? 0 : least;
}

static bool is_running(const cJSON *result)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(result, "running"));
}

/* ---- output ---- */

static void state_write(const struct cli *cli, const cJSON *result, bool is_damaged)
{
    const char *colour = !cli->colour ? "" : is_damaged ? "\x1b[31m" : "\x1b[32m";
    const char *plain = cli->colour ? "\x1b[0m" : "";
    uint64_t passes = shards_least(result, "passes");
    char when[CLI_TIME_BYTES];
    if (is_running(result)) {
        uint64_t done = shards_sum(result, "bytes_done");
        uint64_t total = shards_sum(result, "bytes");
        printf("running            %.1f of %.1f MiB read, at most %.1f MiB/s\n",
               (double)done / 1048576, (double)total / 1048576,
               (double)shards_sum(result, "bytes_per_s") / 1048576);
    }
    if (passes > 0) {
        cli_time_text((int64_t)shards_least(result, "ended_ms"), when);
        printf("last pass          ended %s, %.1f MiB, damaged places: %llu\n", when,
               (double)shards_sum(result, "last_bytes") / 1048576,
               (unsigned long long)shards_sum(result, "last_errors"));
    } else {
        puts("last pass          none since the broker started");
    }
    uint64_t next_ms = shards_least(result, "next_ms");
    if (!is_running(result)) {
        cli_time_text((int64_t)next_ms, when);
        printf("next pass          %s\n", next_ms == 0 ? "only when asked for" : when);
    }
    printf("state              %s%s%s\n", colour,
           is_damaged    ? "damaged"
           : passes == 0 ? "not known yet"
                         : "sound",
           plain);
}

static void answer_write(const struct cli *cli, const cJSON *result, bool is_damaged)
{
    const cJSON *findings = cJSON_GetObjectItemCaseSensitive(result, "findings");
    if (cli->options.json) {
        cli_json_write(result);
        return;
    }
    state_write(cli, result, is_damaged);
    if (cJSON_GetArraySize(findings) > 0) {
        putchar('\n');
        cli_table_write(cli, findings, finding_columns, SL_COUNT_OF(finding_columns));
        puts("\nRecords at these offsets are not served, all others are. Put the file back from a "
             "backup while the\nbroker is stopped, or see docs/storage/recovery.md (salvage).");
    }
}

/* ---- asking ---- */

static cJSON *args_new(bool start, uint64_t rate)
{
    cJSON *args = cJSON_CreateObject();
    cJSON_AddBoolToObject(args, "start", start);
    if (rate > 0) {
        cli_u64_add(args, "bytes_per_s", rate);
    }
    return args;
}

/* Follows the pass that runs to its end. */
static int pass_follow(struct cli_link *link, cJSON **reply)
{
    struct cli *cli = link->cli;
    struct cli_progress progress;
    int code = CLI_OK;
    cli_progress_begin(&progress, cli, "scrubbing", shards_sum(cli_result(*reply), "bytes"));
    while (code == CLI_OK && is_running(cli_result(*reply))) {
        sl_sleep_ms(POLL_MS);
        cJSON_Delete(*reply);
        code = cli_call(link, "scrub", args_new(false, 0), reply);
        if (code == CLI_OK) {
            cli_progress_set(&progress, shards_sum(cli_result(*reply), "bytes_done"));
        }
    }
    cli_progress_clear(&progress);
    return code;
}

int cli_scrub(struct cli *cli)
{
    struct cli_link link;
    cJSON *reply = NULL;
    uint64_t rate = 0;
    if (!cli_rate(cli, &rate)) {
        return CLI_USAGE;
    }
    int code = cli_link_open(&link, cli);
    if (code != CLI_OK) {
        return code;
    }
    code = cli_call(&link, "scrub", args_new(cli->options.now, rate), &reply);
    if (code == CLI_OK && cli->options.now) {
        code = pass_follow(&link, &reply);
    }
    cli_link_close(&link);
    if (code == CLI_OK) {
        bool is_damaged = member_u64(cli_result(reply), "damaged") > 0;
        answer_write(cli, cli_result(reply), is_damaged);
        code = is_damaged ? CLI_FAILED : CLI_OK;
    }
    cJSON_Delete(reply);
    return code;
}

/* ---- recovery ---- */

int cli_recovery(struct cli *cli)
{
    cJSON *reply = NULL;
    int code = cli_call_once(cli, "status", NULL, &reply);
    if (code != CLI_OK) {
        return code;
    }
    const cJSON *shards = cJSON_GetObjectItemCaseSensitive(cli_result(reply), "recovery");
    if (cli->options.json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddItemReferenceToObject(object, "recovery", (cJSON *)(uintptr_t)shards);
        cli_json_write(object);
        cJSON_Delete(object);
    } else {
        cli_table_write(cli, shards, recovery_columns, SL_COUNT_OF(recovery_columns));
    }
    cJSON_Delete(reply);
    return CLI_OK;
}
