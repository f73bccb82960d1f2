/* handle_features.c: features of the cluster (KIP-584, KIP-1022): what ApiVersions tells of them,
 * and UpdateFeatures.
 *
 * Supported are the levels that the broker knows; those that begin at 0 are not told below version
 * 4 (KAFKA-17492). In force is one level of each, told where it is not 0. Clients go by what is in
 * force, not by version ranges: transactions of version 2 want transaction.version 2. */
#include "kafka_api.h"
#include "kafka_messages.h"
#include "kafka_status.h"
#include "kafka_text.h"

#define TAGGED_SINCE       3 /* version of ApiVersions */
#define ALL_FEATURES_SINCE 4 /* likewise */
#define KINDS_SINCE        1 /* version of UpdateFeatures: upgrade_type instead of allow_downgrade */
#define NO_RESULTS_SINCE   2 /* likewise: the outcome is one for all */

typedef struct kafka_api_versions_response_supported_feature supported_feature;
typedef struct kafka_api_versions_response_finalized_feature finalized_feature;

bool kafka_features_fill(struct kafka_call *call, struct kafka_api_versions_response *response)
{
    const struct sluice_broker *broker = kafka_call_broker(call);
    const struct sluice_features *all = broker->features(broker, kafka_call_context(call));

    if (call->version < TAGGED_SINCE) {
        return true;
    }
    response->supported_features = kafka_call_try_take(call, all->count, sizeof(supported_feature));
    response->finalized_features = kafka_call_try_take(call, all->count, sizeof(finalized_feature));
    if (response->supported_features == NULL || response->finalized_features == NULL) {
        return false;
    }
    response->finalized_features_epoch = all->epoch;
    for (uint32_t i = 0; i < all->count; i++) {
        const struct sluice_feature *one = &all->features[i];
        struct kafka_bytes name = kafka_of_text(one->name);
        if (one->min > 0 || call->version >= ALL_FEATURES_SINCE) {
            response->supported_features[response->supported_features_count++] =
                (supported_feature){name, one->min, one->max};
        }
        if (one->level != 0) {
            response->finalized_features[response->finalized_features_count++] =
                (finalized_feature){name, one->level, one->level};
        }
    }
    return true;
}

/* ---- UpdateFeatures ---- */

static bool fill_results(struct kafka_call *call, struct kafka_update_features_response *response)
{
    const struct kafka_update_features_request *request = call->request;

    response->results =
        kafka_call_try_take(call, request->feature_updates_count, sizeof(*response->results));
    response->results_count = request->feature_updates_count;
    for (int32_t i = 0; response->results != NULL && i < request->feature_updates_count; i++) {
        kafka_update_features_response_result_init(&response->results[i]);
        response->results[i].feature = request->feature_updates[i].feature;
        response->results[i].error_message = kafka_null();
    }
    return response->results != NULL;
}

static void updated(void *arg, sluice_status status, struct sluice_text reason)
{
    struct kafka_call *call = arg;
    struct kafka_update_features_response response;

    kafka_update_features_response_init(&response);
    response.error_code = kafka_status_code(status);
    response.error_message = kafka_null();
    if (status == SLUICE_OK && call->version < NO_RESULTS_SINCE && !fill_results(call, &response)) {
        kafka_call_fail(call, "the features do not fit into an answer", SLUICE_E_LIMIT);
        return;
    }
    if (status != SLUICE_OK && reason.size > 0) {
        response.error_message =
            kafka_call_format(call,
                              "The update failed for all features since the following feature had "
                              "an error: %.*s",
                              (int)reason.size, reason.data);
    } else if (status != SLUICE_OK) {
        response.error_message = kafka_status_reason(status);
    }
    kafka_call_answer(call, &response);
}

static int32_t kind_of(const struct kafka_call *call,
                       const struct kafka_update_features_request_update *update)
{
    if (call->version >= KINDS_SINCE) {
        return update->upgrade_type;
    }
    return update->allow_downgrade ? SLUICE_FEATURE_SAFE_DOWNGRADE : SLUICE_FEATURE_UPGRADE;
}

void kafka_handle_update_features(struct kafka_call *call)
{
    const struct kafka_update_features_request *request = call->request;
    const struct sluice_broker *broker = kafka_call_broker(call);
    int32_t count = request->feature_updates_count;
    struct sluice_feature_update *updates = kafka_call_take(call, count, sizeof(*updates));

    if (updates == NULL) {
        return;
    }
    for (int32_t i = 0; i < count; i++) {
        updates[i] = (struct sluice_feature_update){
            .name = kafka_to_text(request->feature_updates[i].feature),
            .level = request->feature_updates[i].max_version_level,
            .kind = kind_of(call, &request->feature_updates[i])};
    }
    broker->features_update(broker, kafka_call_context(call), updates, (uint32_t)count,
                            request->validate_only, updated, call);
}
