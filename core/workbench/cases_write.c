/* cases_write.c: a case out of what happened, as YAML that cases_read.c takes: one record a line,
 * in JSON's notation. */
#include "base/buffer.h"
#include "base/text.h"
#include "control/base64.h"
#include "workbench/cases.h"

#include <stdio.h>
#include <string.h>

static sl_err add_text(struct sl_buffer *out, const char *text)
{
    return sl_buffer_append(out, text, strlen(text));
}

/* Characters that YAML takes for no text although UTF-8 can say them: DEL, C1, BOM, U+FFFE. */
static bool is_yaml(const char *text)
{
    for (const uint8_t *at = (const uint8_t *)text; *at != '\0'; at++) {
        bool c1 = at[0] == 0xc2 && at[1] < 0xa0;
        bool odd =
            at[0] == 0xef && ((at[1] == 0xbf && at[2] >= 0xbe) || (at[1] == 0xbb && at[2] == 0xbf));
        if (*at == 0x7f || c1 || odd) {
            return false;
        }
    }
    return true;
}

/* Members that YAML would not take become base64. */
static void make_plain(cJSON *object, const char *name, struct sl_bytes bytes)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);
    char coded_name[32];
    char *coded = cJSON_IsString(member) && !is_yaml(member->valuestring)
                      ? sl_alloc(base64_size(bytes.size) + 1)
                      : NULL;
    if (coded == NULL) {
        return;
    }
    snprintf(coded_name, sizeof(coded_name), "%s_base64", name);
    base64_encode(bytes, coded);
    cJSON_DeleteItemFromObjectCaseSensitive(object, name);
    cJSON_AddStringToObject(object, coded_name, coded);
    sl_free(coded);
}

static sl_err add_line(struct sl_buffer *out, const char *indent, cJSON *object)
{
    char *text = cJSON_PrintUnformatted(object);
    sl_err err = text != NULL ? add_text(out, indent) : SLUICE_E_NO_MEMORY;
    err = err != SLUICE_OK ? err : add_text(out, text);
    err = err != SLUICE_OK ? err : add_text(out, "\n");
    cJSON_free(text);
    cJSON_Delete(object);
    return err;
}

static cJSON *record_object(const struct bench_record *record, bool with_timestamp)
{
    cJSON *object = case_record_json(record, false);
    make_plain(object, "key", record->key);
    make_plain(object, "value", record->value);
    if (with_timestamp && record->timestamp >= 0) {
        char number[24]; /* a double has room for neither all digits nor their plain form */
        snprintf(number, sizeof(number), "%lld", (long long)record->timestamp);
        cJSON_AddRawToObject(object, "timestamp", number);
    }
    return object;
}

static sl_err write_outputs(struct sl_buffer *out, const struct bench_outcome *outcome)
{
    sl_err err = add_text(out, outcome->output_count > 0 ? "    out:\n" : "    out: []\n");
    for (uint32_t i = 0; i < outcome->output_count && err == SLUICE_OK; i++) {
        const struct bench_output *output = &outcome->outputs[i];
        cJSON *object = record_object(&output->record, false);
        if (output->topic.size > 0) {
            case_add_bytes(object, "topic", output->topic, false);
        }
        if (output->partition >= 0) {
            cJSON_AddNumberToObject(object, "partition", output->partition);
        }
        err = add_line(out, "      - ", object);
    }
    return err;
}

static sl_err write_rejections(struct sl_buffer *out, const struct bench_input *input,
                               const struct bench_outcome *outcome)
{
    sl_err err = outcome->counts[BENCH_REJECTED] > 0 ? add_text(out, "    rejected:\n") : SLUICE_OK;
    for (uint32_t i = 0; i < input->count && err == SLUICE_OK; i++) {
        char reason[BENCH_TEXT_BYTES];
        if (outcome->verdicts[i].fate != BENCH_REJECTED) {
            continue;
        }
        cJSON *object = cJSON_CreateObject();
        cJSON_AddNumberToObject(object, "record", i);
        case_bytes_text(outcome->verdicts[i].reason, false, reason);
        cJSON_AddStringToObject(object, "reason", is_yaml(reason) ? reason : "");
        err = add_line(out, "      - ", object);
    }
    return err;
}

static sl_err write_member(struct sl_buffer *out, const char *head, const char *text)
{
    char quoted[2 * BENCH_TEXT_BYTES];
    struct sl_text_out line = SL_TEXT_OUT(quoted);
    sl_text_add_json(&line, sl_bytes_of(text, strlen(text)));
    sl_err err = add_text(out, head);
    err = err != SLUICE_OK ? err : add_text(out, quoted);
    return err != SLUICE_OK ? err : add_text(out, "\n");
}

sl_err case_write(struct sl_buffer *out, const char *name, const struct bench_input *input,
                  const char *config_json, const struct bench_outcome *outcome)
{
    sl_err err = write_member(out, "  - name: ", name);
    err = err != SLUICE_OK ? err : write_member(out, "    topic: ", input->topic);
    if (config_json != NULL && err == SLUICE_OK) {
        err = add_text(out, "    config: ");
        err = err != SLUICE_OK ? err : add_text(out, config_json);
        err = err != SLUICE_OK ? err : add_text(out, "\n");
    }
    err = err != SLUICE_OK ? err : add_text(out, "    in:\n");
    for (uint32_t i = 0; i < input->count && err == SLUICE_OK; i++) {
        err = add_line(out, "      - ", record_object(&input->records[i], true));
    }
    if (err == SLUICE_OK && outcome->err != SLUICE_OK) {
        return write_member(out, "    error: ", outcome->text);
    }
    err = err != SLUICE_OK ? err : write_outputs(out, outcome);
    return err != SLUICE_OK ? err : write_rejections(out, input, outcome);
}
