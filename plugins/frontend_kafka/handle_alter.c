/* handle_alter.c: IncrementalAlterConfigs (KIP-339) and the older AlterConfigs (KIP-133), which
 * sets what it names and takes back all else.
 *
 * Each resource has its own outcome. What cannot be changed is refused by the broker, which says
 * why.
 */
#include "config_answer.h"
#include "kafka_api.h"
#include "kafka_messages.h"
#include "kafka_status.h"

/* Where the outcome of one resource goes, in either answer. */
struct outcome {
    int16_t *error_code;
    struct kafka_bytes *error_message;
};

static void altered(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    struct kafka_call *call = arg;
    struct outcome *outcomes = call->slots;
    bool ok = true;

    for (uint32_t i = 0; i < count; i++) {
        struct sluice_text reason = results[i].reason;
        *outcomes[i].error_code = kafka_status_code(results[i].status);
        if (results[i].status != SLUICE_OK && reason.size == 0) {
            reason = sluice_text_of(kafka_status_text(results[i].status));
        }
        ok = ok && kafka_call_copy(call, kafka_of_reason(reason), outcomes[i].error_message);
    }
    if (!ok) {
        kafka_call_fail(call, "the answer to a change does not fit", SLUICE_E_LIMIT);
        return;
    }
    kafka_call_answer(call, call->response);
}

static void start(struct kafka_call *call, struct sluice_config_alter *alters, int32_t count,
                  bool validate_only)
{
    const struct sluice_broker *broker = kafka_call_broker(call);

    if (count == 0) {
        kafka_call_answer(call, call->response);
        return;
    }
    broker->configs_alter(broker, kafka_call_context(call), alters, (uint32_t)count, validate_only,
                          altered, call);
}

/* ---- IncrementalAlterConfigs ---- */

static bool lay_out_incremental(struct kafka_call *call,
                                const struct kafka_incremental_alter_configs_request_resource *from,
                                struct kafka_incremental_alter_configs_response_resource *answer,
                                struct sluice_config_alter *alter)
{
    struct sluice_config_change *changes =
        kafka_call_try_take(call, from->configs_count, sizeof(*changes));

    if (changes == NULL) {
        return false;
    }
    for (int32_t i = 0; i < from->configs_count; i++) {
        changes[i] = (struct sluice_config_change){.key = kafka_to_text(from->configs[i].name),
                                                   .value = kafka_to_text(from->configs[i].value),
                                                   .operation = from->configs[i].config_operation};
    }
    kafka_incremental_alter_configs_response_resource_init(answer);
    answer->resource_type = from->resource_type;
    answer->resource_name = from->resource_name;
    answer->error_code = KAFKA_NO_ANSWER;
    *alter = (struct sluice_config_alter){.size = sizeof(*alter),
                                          .resource = kafka_config_resource(from->resource_type),
                                          .name = kafka_to_text(from->resource_name),
                                          .change_count = (uint32_t)from->configs_count,
                                          .changes = changes};
    return true;
}

void kafka_handle_incremental_alter_configs(struct kafka_call *call)
{
    const struct kafka_incremental_alter_configs_request *request = call->request;
    int32_t count = request->resources_count;
    struct kafka_incremental_alter_configs_response *response =
        kafka_call_try_take(call, 1, sizeof(*response));
    struct kafka_incremental_alter_configs_response_resource *answers =
        kafka_call_try_take(call, count, sizeof(*answers));
    struct sluice_config_alter *alters = kafka_call_try_take(call, count, sizeof(*alters));
    struct outcome *outcomes = kafka_call_try_take(call, count, sizeof(*outcomes));
    bool ok = response != NULL && answers != NULL && alters != NULL && outcomes != NULL;

    for (int32_t i = 0; ok && i < count; i++) {
        ok = lay_out_incremental(call, &request->resources[i], &answers[i], &alters[i]);
        outcomes[i] = (struct outcome){&answers[i].error_code, &answers[i].error_message};
    }
    if (!ok) {
        kafka_call_fail(call, "a request names too many resources", SLUICE_E_LIMIT);
        return;
    }
    kafka_incremental_alter_configs_response_init(response);
    response->responses = answers;
    response->responses_count = count;
    call->response = response;
    call->slots = outcomes;
    start(call, alters, count, request->validate_only);
}

/* ---- AlterConfigs ---- */

static bool lay_out_replacement(struct kafka_call *call,
                                const struct kafka_alter_configs_request_resource *from,
                                struct kafka_alter_configs_response_resource *answer,
                                struct sluice_config_alter *alter)
{
    struct sluice_config_change *changes =
        kafka_call_try_take(call, from->configs_count, sizeof(*changes));

    if (changes == NULL) {
        return false;
    }
    for (int32_t i = 0; i < from->configs_count; i++) {
        changes[i] = (struct sluice_config_change){
            .key = kafka_to_text(from->configs[i].name),
            .value = kafka_to_text(from->configs[i].value), /* null is refused */
            .operation = SLUICE_CONFIG_SET,
        };
    }
    kafka_alter_configs_response_resource_init(answer);
    answer->resource_type = from->resource_type;
    answer->resource_name = from->resource_name;
    answer->error_code = KAFKA_NO_ANSWER;
    *alter = (struct sluice_config_alter){.size = sizeof(*alter),
                                          .resource = kafka_config_resource(from->resource_type),
                                          .name = kafka_to_text(from->resource_name),
                                          .replace = true,
                                          .change_count = (uint32_t)from->configs_count,
                                          .changes = changes};
    return true;
}

void kafka_handle_alter_configs(struct kafka_call *call)
{
    const struct kafka_alter_configs_request *request = call->request;
    int32_t count = request->resources_count;
    struct kafka_alter_configs_response *response = kafka_call_try_take(call, 1, sizeof(*response));
    struct kafka_alter_configs_response_resource *answers =
        kafka_call_try_take(call, count, sizeof(*answers));
    struct sluice_config_alter *alters = kafka_call_try_take(call, count, sizeof(*alters));
    struct outcome *outcomes = kafka_call_try_take(call, count, sizeof(*outcomes));
    bool ok = response != NULL && answers != NULL && alters != NULL && outcomes != NULL;

    for (int32_t i = 0; ok && i < count; i++) {
        ok = lay_out_replacement(call, &request->resources[i], &answers[i], &alters[i]);
        outcomes[i] = (struct outcome){&answers[i].error_code, &answers[i].error_message};
    }
    if (!ok) {
        kafka_call_fail(call, "a request names too many resources", SLUICE_E_LIMIT);
        return;
    }
    kafka_alter_configs_response_init(response);
    response->responses = answers;
    response->responses_count = count;
    call->response = response;
    call->slots = outcomes;
    start(call, alters, count, request->validate_only);
}
