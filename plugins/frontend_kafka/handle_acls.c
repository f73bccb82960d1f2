/* handle_acls.c: DescribeAcls, CreateAcls, DeleteAcls (KIP-140, KIP-290), and what Kafka's clients
 * are told about their rights (KIP-430).
 *
 * Rules are the broker's (<sluice/security.h>), whose numbers are Kafka's: here they only change
 * their form. */
#include "kafka_api.h"
#include "kafka_messages.h"
#include "kafka_status.h"

int32_t kafka_operations(const struct kafka_call *call, int32_t resource, struct sluice_text name,
                         uint32_t all)
{
    const struct sluice_security *security = call->conn->frontend->security;
    if (security == NULL) {
        return (int32_t)all;
    }
    return (int32_t)(security->operations(security, kafka_call_context(call), resource, name) &
                     all);
}

bool kafka_may(const struct kafka_call *call, int32_t operation, int32_t resource,
               struct sluice_text name)
{
    const struct sluice_security *security = call->conn->frontend->security;
    return security == NULL ||
           security->authorize(security, kafka_call_context(call), operation, resource, name);
}

/* ---- DescribeAcls ---- */

typedef struct kafka_describe_acls_response_resource described_resource;

static bool is_same_resource(const struct sluice_acl *a, const struct sluice_acl *b)
{
    return a->resource == b->resource && a->pattern == b->pattern && a->name.size == b->name.size &&
           memcmp(a->name.data, b->name.data, (size_t)a->name.size) == 0;
}

/* Those of one resource stand together. */
static bool fill_resources(struct kafka_call *call, const struct sluice_acl *acls, uint32_t count,
                           struct kafka_describe_acls_response *response)
{
    struct kafka_describe_acls_response_acl *rules =
        kafka_call_try_take(call, count, sizeof(*rules));
    response->resources = kafka_call_try_take(call, count, sizeof(described_resource));
    if (rules == NULL || response->resources == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        described_resource *resource = &response->resources[response->resources_count];
        if (i == 0 || !is_same_resource(&acls[i - 1], &acls[i])) {
            kafka_describe_acls_response_resource_init(resource);
            resource->resource_type = (int8_t)acls[i].resource;
            resource->resource_name = kafka_of_text_or_empty(acls[i].name);
            resource->pattern_type = (int8_t)acls[i].pattern;
            resource->acls = &rules[i];
            response->resources_count++;
        } else {
            resource--;
        }
        resource->acls_count++;
        kafka_describe_acls_response_acl_init(&rules[i]);
        rules[i].principal = kafka_of_text_or_empty(acls[i].principal);
        rules[i].host = kafka_of_text_or_empty(acls[i].host);
        rules[i].operation = (int8_t)acls[i].operation;
        rules[i].permission_type = (int8_t)acls[i].permission;
    }
    return true;
}

static const char no_authorizer[] = "No Authorizer is configured on the broker.";

static void described(void *arg, sluice_status status, const struct sluice_acl *acls,
                      uint32_t count)
{
    struct kafka_call *call = arg;
    struct kafka_describe_acls_response response;

    kafka_describe_acls_response_init(&response);
    response.error_code = kafka_status_code(status);
    response.error_message = kafka_null();
    if (status == SLUICE_E_SECURITY_DISABLED) {
        response.error_message = kafka_string(no_authorizer);
    } else if (status == SLUICE_OK && !fill_resources(call, acls, count, &response)) {
        kafka_call_fail(call, "the access rules do not fit into a response", SLUICE_E_LIMIT);
        return;
    }
    kafka_call_answer(call, &response);
}

void kafka_handle_describe_acls(struct kafka_call *call)
{
    const struct kafka_describe_acls_request *request = call->request;
    const struct sluice_security *security = call->conn->frontend->security;
    struct sluice_acl *filter = kafka_call_take(call, 1, sizeof(*filter));

    if (filter == NULL) {
        return;
    }
    *filter = (struct sluice_acl){
        .resource = request->resource_type_filter,
        .pattern = request->pattern_type_filter,
        .operation = request->operation,
        .permission = request->permission_type,
        .name = kafka_to_text(request->resource_name_filter),
        .principal = kafka_to_text(request->principal_filter),
        .host = kafka_to_text(request->host_filter),
    };
    if (security == NULL) {
        described(call, SLUICE_E_SECURITY_DISABLED, NULL, 0);
        return;
    }
    security->acls_describe(security, kafka_call_context(call), filter, described, call);
}

/* ---- CreateAcls ---- */

static void created(void *arg, const struct sluice_acl_result *results, uint32_t count)
{
    struct kafka_call *call = arg;
    const struct kafka_create_acls_request *request = call->request;
    struct kafka_create_acls_response response;
    int32_t wanted = request->creations_count;

    kafka_create_acls_response_init(&response);
    response.results = kafka_call_take(call, wanted, sizeof(*response.results));
    if (response.results == NULL) {
        return;
    }
    response.results_count = wanted;
    for (int32_t i = 0; i < wanted; i++) {
        struct kafka_create_acls_response_result *result = &response.results[i];
        bool known = (uint32_t)i < count;
        kafka_create_acls_response_result_init(result);
        result->error_code = kafka_status_code(known ? results[i].status : SLUICE_E_NO_MEMORY);
        result->error_message = known ? kafka_of_reason(results[i].reason) : kafka_null();
        if (known && results[i].status == SLUICE_E_SECURITY_DISABLED) {
            result->error_message = kafka_string(no_authorizer);
        }
    }
    kafka_call_answer(call, &response);
}

void kafka_handle_create_acls(struct kafka_call *call)
{
    const struct kafka_create_acls_request *request = call->request;
    const struct sluice_security *security = call->conn->frontend->security;
    struct sluice_acl *acls = kafka_call_take(call, request->creations_count, sizeof(*acls));

    if (acls == NULL) {
        return;
    }
    for (int32_t i = 0; i < request->creations_count; i++) {
        const struct kafka_create_acls_request_creation *creation = &request->creations[i];
        acls[i] = (struct sluice_acl){
            .resource = creation->resource_type,
            .pattern = creation->resource_pattern_type,
            .operation = creation->operation,
            .permission = creation->permission_type,
            .name = kafka_to_text_or_empty(creation->resource_name),
            .principal = kafka_to_text_or_empty(creation->principal),
            .host = kafka_to_text_or_empty(creation->host),
        };
    }
    if (security == NULL) {
        created(call, NULL, 0);
        return;
    }
    security->acls_create(security, kafka_call_context(call), acls,
                          (uint32_t)request->creations_count, false, created, call);
}

/* ---- DeleteAcls ---- */

typedef struct kafka_delete_acls_response_filter_result filter_result;
typedef struct kafka_delete_acls_response_matching_acl matching_acl;

static bool fill_deleted(struct kafka_call *call, const struct sluice_acl_result *result,
                         filter_result *answer)
{
    kafka_delete_acls_response_filter_result_init(answer);
    answer->error_code = kafka_status_code(result->status);
    answer->error_message = result->status == SLUICE_E_SECURITY_DISABLED
                                ? kafka_string(no_authorizer)
                                : kafka_of_reason(result->reason);
    answer->matching_acls = kafka_call_try_take(call, result->acl_count, sizeof(matching_acl));
    if (answer->matching_acls == NULL) {
        return false;
    }
    answer->matching_acls_count = (int32_t)result->acl_count;
    for (uint32_t i = 0; i < result->acl_count; i++) {
        const struct sluice_acl *acl = &result->acls[i];
        matching_acl *match = &answer->matching_acls[i];
        kafka_delete_acls_response_matching_acl_init(match);
        match->error_message = kafka_null();
        match->resource_type = (int8_t)acl->resource;
        match->resource_name = kafka_of_text_or_empty(acl->name);
        match->pattern_type = (int8_t)acl->pattern;
        match->principal = kafka_of_text_or_empty(acl->principal);
        match->host = kafka_of_text_or_empty(acl->host);
        match->operation = (int8_t)acl->operation;
        match->permission_type = (int8_t)acl->permission;
    }
    return true;
}

static void deleted(void *arg, const struct sluice_acl_result *results, uint32_t count)
{
    static const struct sluice_acl_result none = {.status = SLUICE_E_NO_MEMORY};
    struct kafka_call *call = arg;
    const struct kafka_delete_acls_request *request = call->request;
    struct kafka_delete_acls_response response;
    bool ok;

    kafka_delete_acls_response_init(&response);
    response.filter_results =
        kafka_call_try_take(call, request->filters_count, sizeof(filter_result));
    ok = response.filter_results != NULL;
    response.filter_results_count = request->filters_count;
    for (int32_t i = 0; ok && i < request->filters_count; i++) {
        ok = fill_deleted(call, (uint32_t)i < count ? &results[i] : &none,
                          &response.filter_results[i]);
    }
    if (!ok) {
        kafka_call_fail(call, "the deleted access rules do not fit into a response",
                        SLUICE_E_LIMIT);
        return;
    }
    kafka_call_answer(call, &response);
}

void kafka_handle_delete_acls(struct kafka_call *call)
{
    const struct kafka_delete_acls_request *request = call->request;
    const struct sluice_security *security = call->conn->frontend->security;
    struct sluice_acl *filters = kafka_call_take(call, request->filters_count, sizeof(*filters));

    if (filters == NULL) {
        return;
    }
    for (int32_t i = 0; i < request->filters_count; i++) {
        const struct kafka_delete_acls_request_filter *filter = &request->filters[i];
        filters[i] = (struct sluice_acl){
            .resource = filter->resource_type_filter,
            .pattern = filter->pattern_type_filter,
            .operation = filter->operation,
            .permission = filter->permission_type,
            .name = kafka_to_text(filter->resource_name_filter),
            .principal = kafka_to_text(filter->principal_filter),
            .host = kafka_to_text(filter->host_filter),
        };
    }
    if (security == NULL) {
        deleted(call, NULL, 0);
        return;
    }
    security->acls_delete(security, kafka_call_context(call), filters,
                          (uint32_t)request->filters_count, false, deleted, call);
}
