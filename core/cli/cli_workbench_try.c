/* cli_workbench_try.c: plugin try: records through a version that no broker runs yet, and through
 * the one that it runs, side by side; nothing is written anywhere. */
#include "cli/cli_workbench.h"

#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

#define LAST_DEFAULT 10
#define LAST_MAX     10000
#define SHOWN_MAX    200 /* records without --json */

/* ---- one version ---- */

/* What became of each record, as an array of texts for each. NULL: it does not start. */
static cJSON *fates_of(const struct bench_outcome *outcome, uint32_t count)
{
    cJSON *fates = cJSON_CreateArray();
    uint32_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct bench_verdict *verdict = &outcome->verdicts[i];
        cJSON *fate = cJSON_CreateArray();
        char text[BENCH_TEXT_BYTES];
        char reason[BENCH_TEXT_BYTES];
        for (; at < outcome->output_count && outcome->outputs[at].from == i; at++) {
            const struct bench_output *output = &outcome->outputs[at];
            cJSON *record = case_record_json(&output->record, false);
            char *json = cJSON_PrintUnformatted(record);
            char *line = NULL;
            if (asprintf(&line, "%.*s %s", (int)output->topic.size,
                         output->topic.size > 0 ? (const char *)output->topic.data : "",
                         json != NULL ? json : "") > 0) {
                cJSON_AddItemToArray(fate, cJSON_CreateString(line));
            }
            free(line);
            cJSON_free(json);
            cJSON_Delete(record);
        }
        if (verdict->fate == BENCH_REJECTED || verdict->fate == BENCH_RETRIED) {
            case_bytes_text(verdict->reason, false, reason);
            snprintf(text, sizeof(text), "%s: %.1000s",
                     verdict->fate == BENCH_REJECTED ? "rejected" : "comes again", reason);
            cJSON_AddItemToArray(fate, cJSON_CreateString(text));
        } else if (cJSON_GetArraySize(fate) == 0) {
            cJSON_AddItemToArray(fate, cJSON_CreateString("dropped"));
        }
        cJSON_AddItemToArray(fates, fate);
    }
    return fates;
}

static cJSON *version_run(struct bench *bench, const char *path, const struct cli_sample *sample)
{
    const struct bench_settings settings = {.config_json = NULL};
    struct bench_file file;
    struct bench_plugin plugin;
    struct bench_outcome outcome;
    cJSON *fates = NULL;
    char text[BENCH_TEXT_BYTES];
    if (bench_file_open(bench, path, &file, text) != SLUICE_OK) {
        cli_complain("%s", text);
        return NULL;
    }
    if (bench_plugin_start(&plugin, bench, &file, &settings, text) != SLUICE_OK) {
        cli_complain("%s does not start: %s", path, text);
        bench_file_close(&file);
        return NULL;
    }
    const struct bench_input input = {.records = sample->records,
                                      .count = sample->count,
                                      .topic =
                                          sample->topic[0] != '\0' ? sample->topic : plugin.topic};
    if (bench_run(&plugin, &input, sample->arena, &outcome) != SLUICE_OK) {
        cli_complain("%s: a record is larger than a worker takes", path);
    } else if (outcome.err != SLUICE_OK) {
        cli_complain("%s: %s", path, outcome.text);
    } else {
        fates = fates_of(&outcome, sample->count);
    }
    bench_plugin_close(&plugin);
    bench_file_close(&file);
    return fates;
}

/* ---- the running one ---- */

int cli_running_file(struct cli *cli, const char *path, char ret_path[BENCH_PATH_BYTES],
                     char ret_hash[64])
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    cJSON *reply = NULL;
    const cJSON *plugin;
    ret_path[0] = ret_hash[0] = '\0';
    int code = cli_call_once(cli, "plugin.list", NULL, &reply);
    if (code != CLI_OK) {
        return code;
    }
    cJSON_ArrayForEach(plugin, cJSON_GetObjectItemCaseSensitive(cli_result(reply), "plugins"))
    {
        char text[1024];
        const char *file = strrchr(cli_member_text(plugin, "path", text), '/');
        if (file != NULL && strcmp(file + 1, name) == 0) {
            char hash[1024];
            snprintf(ret_path, BENCH_PATH_BYTES, "%s", text);
            snprintf(ret_hash, 64, "%.63s", cli_member_text(plugin, "hash", hash));
        }
    }
    cJSON_Delete(reply);
    return CLI_OK;
}

/* ---- output ---- */

static void fate_write(const struct cli *cli, const char *mark, const char *colour,
                       const cJSON *fate)
{
    const cJSON *line;
    cJSON_ArrayForEach(line, fate)
    {
        printf("  %s%s ", colour, mark);
        cli_print_safe(line->valuestring);
        printf("%s\n", cli_plain(cli));
    }
}

static void record_write(const struct cli *cli, const struct cli_sample *sample, uint32_t index)
{
    cJSON *record = case_record_json(&sample->records[index], false);
    char *json = cJSON_PrintUnformatted(record);
    printf("%s%u%s ", cli_bold(cli), index, cli_plain(cli));
    cli_print_safe(json != NULL ? json : "");
    putchar('\n');
    cJSON_free(json);
    cJSON_Delete(record);
}

static int trial_write(const struct cli *cli, const struct cli_sample *sample, cJSON *fresh,
                       cJSON *old)
{
    cJSON *differs = cJSON_CreateArray();
    int different = 0;
    uint32_t shown = 0;
    for (uint32_t i = 0; i < sample->count; i++) {
        cJSON *now = cJSON_GetArrayItem(fresh, (int)i);
        cJSON *before = old != NULL ? cJSON_GetArrayItem(old, (int)i) : NULL;
        bool same = before != NULL && cJSON_Compare(now, before, true);
        different += before != NULL && !same;
        if (before != NULL && !same && cli->options.json) {
            cJSON *item = cJSON_CreateObject();
            cJSON_AddNumberToObject(item, "record", i);
            cJSON_AddItemToObject(item, "before", cJSON_Duplicate(before, true));
            cJSON_AddItemToObject(item, "now", cJSON_Duplicate(now, true));
            cJSON_AddItemToArray(differs, item);
        }
        if (cli->options.json || same || shown++ >= SHOWN_MAX) {
            continue;
        }
        record_write(cli, sample, i);
        fate_write(cli, "-", cli_red(cli), before);
        fate_write(cli, before != NULL ? "+" : "→", before != NULL ? cli_green(cli) : "", now);
    }
    if (cli->options.json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddNumberToObject(object, "records", sample->count);
        cJSON_AddBoolToObject(object, "compared", old != NULL);
        cJSON_AddNumberToObject(object, "different", different);
        cJSON_AddItemReferenceToObject(object, "now", fresh);
        cJSON_AddItemReferenceToObject(object, "differences", differs);
        cli_json_write(object);
        cJSON_Delete(object);
    } else if (old == NULL) {
        printf("%u records; there is no other version to compare with\n", sample->count);
    } else {
        printf("%s%u records, %d different%s\n", different > 0 ? cli_yellow(cli) : cli_green(cli),
               sample->count, different, cli_plain(cli));
    }
    cJSON_Delete(differs);
    return different > 0 ? CLI_FAILED : CLI_OK;
}

/* ---- the command ---- */

static int sample_take(struct cli *cli, struct cli_sample *ret_sample)
{
    const char *file = cli_value(&cli->options.sample, NULL);
    const char *topic = cli_value(&cli->options.topic, NULL);
    int64_t last = 0;
    if ((file == NULL) == (topic == NULL)) {
        cli_complain("sluice plugin try takes its records from --sample FILE or from --topic TOPIC "
                     "[--last N]");
        return CLI_USAGE;
    }
    if (!cli_number(&cli->options.last, "--last", 1, LAST_MAX, LAST_DEFAULT, &last)) {
        return CLI_USAGE;
    }
    return file != NULL ? cli_sample_file(cli, file, ret_sample)
                        : cli_sample_topic(cli, topic, (uint32_t)last, ret_sample);
}

static int versions_run(struct cli *cli, const char *path, const char *against,
                        const struct cli_sample *sample)
{
    struct bench bench;
    int code = cli_bench_open(cli, &bench);
    if (code != CLI_OK) {
        return code;
    }
    cJSON *fresh = version_run(&bench, path, sample);
    cJSON *old = fresh != NULL && against[0] != '\0' ? version_run(&bench, against, sample) : NULL;
    bool good = fresh != NULL && (against[0] == '\0' || old != NULL);
    code = good ? trial_write(cli, sample, fresh, old) : CLI_FAILED;
    cJSON_Delete(fresh);
    cJSON_Delete(old);
    bench_close(&bench);
    return code;
}

int cli_plugin_try(struct cli *cli)
{
    struct cli_sample sample;
    char path[BENCH_PATH_BYTES];
    char against[BENCH_PATH_BYTES] = "";
    const char *word = cli->options.words[0];
    const char *given = cli_value(&cli->options.against, NULL);
    if (cli_is_folder(cli, word)) {
        if (!cli_find_module(cli, word, path)) {
            return CLI_FAILED;
        }
    } else {
        snprintf(path, sizeof(path), "%s", word);
    }
    int code = sample_take(cli, &sample);
    if (code != CLI_OK) {
        return code;
    }
    if (given != NULL) {
        snprintf(against, sizeof(against), "%s", given);
    } else if (cli->options.topic.count > 0) {
        char hash[64];
        (void)cli_running_file(cli, path, against, hash); /* without one it is tried alone */
    }
    code = versions_run(cli, path, against, &sample);
    cli_sample_free(&sample);
    return code;
}
