/* handle_quotas.c: DescribeClientQuotas and AlterClientQuotas (KIP-546, KIP-612).
 *
 * Quotas are the host's (<sluice/quota.h>), which checks values and names; here is what Kafka's
 * form of an entity can say beyond that, and its filters. */
#include "kafka_api.h"
#include "kafka_messages.h"
#include "kafka_status.h"

#define ENTITY_PARTS  3
#define IP_PART       2
#define MATCH_EXACT   0
#define MATCH_DEFAULT 1
#define MATCH_ANY     2

static const char *const part_names[ENTITY_PARTS] = {"user", "client-id", "ip"};

/* -1: there is no such type. */
static int part_index(struct kafka_bytes type)
{
    for (int i = 0; i < ENTITY_PARTS; i++) {
        if (kafka_bytes_equal(type, kafka_string(part_names[i]))) {
            return i;
        }
    }
    return -1;
}

static struct sluice_text *part_at(struct sluice_quota_entity *entity, int index)
{
    return index == 0 ? &entity->user : index == 1 ? &entity->client_id : &entity->ip;
}

/* ---- DescribeClientQuotas ---- */

static const char *check_component(const struct kafka_describe_client_quotas_request *request,
                                   int32_t index, sluice_status *status)
{
    const struct kafka_describe_client_quotas_request_component *component =
        &request->components[index];

    *status = SLUICE_E_INVALID_REQUEST;
    if (component->entity_type.size == 0) {
        return "An entity type is not named";
    }
    if (part_index(component->entity_type) < 0) {
        *status = SLUICE_E_UNSUPPORTED_VERSION;
        return "Custom entity types are not supported";
    }
    for (int32_t i = 0; i < index; i++) {
        int other = part_index(request->components[i].entity_type);
        if (kafka_bytes_equal(request->components[i].entity_type, component->entity_type)) {
            return "An entity type is named more than once in the filter";
        }
        if ((other == IP_PART) != (part_index(component->entity_type) == IP_PART)) {
            return "An address is named beside a user or a client";
        }
    }
    if (component->match_type < MATCH_EXACT || component->match_type > MATCH_ANY) {
        return "The match type is not known";
    }
    if ((component->match_type == MATCH_EXACT) == kafka_is_null(component->match)) {
        return "A name is given for an exact match, and for nothing else";
    }
    *status = SLUICE_OK;
    return NULL;
}

static bool
component_matches(const struct kafka_describe_client_quotas_request_component *component,
                  struct sluice_text part)
{
    switch (component->match_type) {
    case MATCH_EXACT:
        return part.size > 0 && kafka_bytes_equal(kafka_of_text(part), component->match);
    case MATCH_DEFAULT:
        return part.data != NULL && part.size == 0;
    default:
        return part.data != NULL;
    }
}

static bool entity_matches(const struct kafka_describe_client_quotas_request *request,
                           struct sluice_quota_entity entity)
{
    for (int32_t i = 0; i < request->components_count; i++) {
        struct sluice_text *part = part_at(&entity, part_index(request->components[i].entity_type));
        if (!component_matches(&request->components[i], *part)) {
            return false;
        }
        *part = (struct sluice_text){NULL, 0}; /* what is left has no component */
    }
    return !request->strict ||
           (entity.user.data == NULL && entity.client_id.data == NULL && entity.ip.data == NULL);
}

typedef struct kafka_describe_client_quotas_response_entry described_entry;

static bool fill_entity(struct kafka_call *call, struct sluice_quota_entity entity,
                        described_entry *entry)
{
    entry->entity = kafka_call_try_take(call, ENTITY_PARTS, sizeof(*entry->entity));
    for (int i = 0; entry->entity != NULL && i < ENTITY_PARTS; i++) {
        const struct sluice_text *part = part_at(&entity, i);
        if (part->data != NULL) {
            entry->entity[entry->entity_count++] =
                (struct kafka_describe_client_quotas_response_entity){
                    kafka_string(part_names[i]),
                    part->size > 0 ? kafka_of_text(*part) : kafka_null()};
        }
    }
    return entry->entity != NULL;
}

static bool fill_values(struct kafka_call *call, const struct sluice_quota_entry *from,
                        described_entry *entry)
{
    entry->values = kafka_call_try_take(call, from->value_count, sizeof(*entry->values));
    entry->values_count = entry->values == NULL ? 0 : (int32_t)from->value_count;
    for (int32_t i = 0; i < entry->values_count; i++) {
        entry->values[i] = (struct kafka_describe_client_quotas_response_value){
            kafka_of_text(from->values[i].key), from->values[i].value};
    }
    return entry->values != NULL;
}

static bool fill_entries(struct kafka_call *call, const struct sluice_quota_entry *entries,
                         uint32_t count, struct kafka_describe_client_quotas_response *response)
{
    response->entries = kafka_call_try_take(call, count, sizeof(*response->entries));
    response->entries_count = 0;
    if (response->entries == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        described_entry *entry = &response->entries[response->entries_count];
        if (!entity_matches(call->request, entries[i].entity)) {
            continue;
        }
        kafka_describe_client_quotas_response_entry_init(entry);
        response->entries_count++;
        if (!fill_entity(call, entries[i].entity, entry) ||
            !fill_values(call, &entries[i], entry)) {
            return false;
        }
    }
    return true;
}

static void refuse_description(struct kafka_call *call, sluice_status status, const char *why)
{
    struct kafka_describe_client_quotas_response response;

    kafka_describe_client_quotas_response_init(&response);
    response.error_code = kafka_status_code(status);
    response.error_message = kafka_string(why);
    response.entries_count = -1;
    kafka_call_answer(call, &response);
}

static void described(void *arg, sluice_status status, const struct sluice_quota_entry *entries,
                      uint32_t count)
{
    struct kafka_call *call = arg;
    struct kafka_describe_client_quotas_response response;

    if (status != SLUICE_OK) {
        refuse_description(call, status, kafka_status_text(status));
        return;
    }
    kafka_describe_client_quotas_response_init(&response);
    response.error_message = kafka_null();
    if (!fill_entries(call, entries, count, &response)) {
        kafka_call_fail(call, "the quotas do not fit into a response", SLUICE_E_LIMIT);
        return;
    }
    kafka_call_answer(call, &response);
}

static bool may(const struct kafka_call *call, int32_t operation)
{
    return kafka_may(call, operation, SLUICE_ACL_CLUSTER, sluice_text_of(SLUICE_CLUSTER_NAME));
}

void kafka_handle_describe_client_quotas(struct kafka_call *call)
{
    const struct kafka_describe_client_quotas_request *request = call->request;
    const struct sluice_quota *quota = call->conn->frontend->quota;
    const char *why = NULL;
    sluice_status status = SLUICE_OK;

    if (!may(call, SLUICE_OP_DESCRIBE_CONFIGS)) {
        status = SLUICE_E_CLUSTER_AUTHORIZATION;
        why = kafka_status_text(status);
    } else if (request->components_count > ENTITY_PARTS) {
        status = SLUICE_E_INVALID_REQUEST;
        why = "An entity type is named more than once in the filter";
    }
    for (int32_t i = 0; why == NULL && i < request->components_count; i++) {
        why = check_component(request, i, &status);
    }
    if (status != SLUICE_OK) {
        refuse_description(call, status, why);
    } else if (quota == NULL) {
        described(call, SLUICE_OK, NULL, 0);
    } else {
        quota->describe(quota, kafka_call_context(call), described, call);
    }
}

/* ---- AlterClientQuotas ---- */

typedef struct kafka_alter_client_quotas_request_entry altered_entry;

#define QUOTAS_AT_ONCE_MAX 1000
#define OPS_COMPARED_MAX   16 /* there are fewer kinds of quotas */

/* Entries that go to the host, and where their outcomes go. */
struct alteration {
    struct sluice_quota_entry *entries;
    struct kafka_alter_client_quotas_response_entry **slots;
    uint32_t count;
};

/* NULL: the entity is one, as far as its form goes. */
static const char *take_entity(const altered_entry *entry, struct sluice_quota_entity *ret_entity)
{
    for (int32_t i = 0; i < entry->entity_count; i++) {
        struct kafka_bytes name = entry->entity[i].entity_name;
        int index = part_index(entry->entity[i].entity_type);
        if (index < 0) {
            return "Unhandled client quota entity type";
        }
        struct sluice_text *part = part_at(ret_entity, index);
        if (part->data != NULL) {
            return "An entity type is named more than once";
        }
        if (name.size == 0) {
            return "An empty name is not supported";
        }
        *part = kafka_is_null(name) ? (struct sluice_text){"", 0} : kafka_to_text(name);
    }
    return NULL;
}

static bool take_values(struct kafka_call *call, const altered_entry *from,
                        struct sluice_quota_entry *entry, const char **ret_why)
{
    struct sluice_quota_value *values = kafka_call_try_take(call, from->ops_count, sizeof(*values));

    if (values == NULL) {
        return false;
    }
    for (int32_t i = 0; i < from->ops_count; i++) {
        values[i].key = kafka_to_text_or_empty(from->ops[i].key);
        values[i].value = from->ops[i].remove ? 0 : from->ops[i].value;
        if (!from->ops[i].remove && !(from->ops[i].value > 0)) {
            *ret_why = "A quota must be greater than 0";
        }
        for (int32_t j = 0; j < i && i < OPS_COMPARED_MAX; j++) {
            if (kafka_bytes_equal(from->ops[i].key, from->ops[j].key)) {
                *ret_why = "A quota is changed more than once";
            }
        }
    }
    entry->values = values;
    entry->value_count = (uint32_t)from->ops_count;
    return true;
}

/* The outcome of one entry repeats its entity. */
static bool lay_out_slot(struct kafka_call *call, const altered_entry *from,
                         struct kafka_alter_client_quotas_response_entry *slot)
{
    kafka_alter_client_quotas_response_entry_init(slot);
    slot->error_message = kafka_null();
    slot->entity = kafka_call_try_take(call, from->entity_count, sizeof(*slot->entity));
    slot->entity_count = slot->entity == NULL ? 0 : from->entity_count;
    for (int32_t i = 0; i < slot->entity_count; i++) {
        slot->entity[i] = (struct kafka_alter_client_quotas_response_entity){
            from->entity[i].entity_type, from->entity[i].entity_name};
    }
    return slot->entity != NULL;
}

static bool lay_out(struct kafka_call *call, const altered_entry *from,
                    struct kafka_alter_client_quotas_response_entry *slot)
{
    struct alteration *alteration = call->slots;
    struct sluice_quota_entry *entry = &alteration->entries[alteration->count];
    bool is_allowed = may(call, SLUICE_OP_ALTER_CONFIGS);
    const char *why = is_allowed ? take_entity(from, &entry->entity)
                                 : kafka_status_text(SLUICE_E_CLUSTER_AUTHORIZATION);

    if (!lay_out_slot(call, from, slot) || !(why != NULL || take_values(call, from, entry, &why))) {
        return false;
    }
    if (why != NULL) {
        slot->error_code = kafka_status_code(is_allowed ? SLUICE_E_INVALID_REQUEST
                                                        : SLUICE_E_CLUSTER_AUTHORIZATION);
        slot->error_message = kafka_string(why);
        *entry = (struct sluice_quota_entry){.value_count = 0};
        return true;
    }
    slot->error_code = KAFKA_NO_ANSWER;
    alteration->slots[alteration->count++] = slot;
    return true;
}

static void altered(void *arg, const struct sluice_quota_result *results, uint32_t count)
{
    struct kafka_call *call = arg;
    const struct alteration *alteration = call->slots;
    bool ok = true;

    for (uint32_t i = 0; i < count && i < alteration->count; i++) {
        struct kafka_alter_client_quotas_response_entry *slot = alteration->slots[i];
        struct sluice_text reason = results[i].reason;
        slot->error_code = kafka_status_code(results[i].status);
        if (results[i].status != SLUICE_OK && reason.size == 0) {
            reason = sluice_text_of(kafka_status_text(results[i].status));
        }
        ok = ok && kafka_call_copy(call, kafka_of_reason(reason), &slot->error_message);
    }
    if (!ok) {
        kafka_call_fail(call, "the answer to a change of quotas does not fit", SLUICE_E_LIMIT);
        return;
    }
    kafka_call_answer(call, call->response);
}

void kafka_handle_alter_client_quotas(struct kafka_call *call)
{
    const struct kafka_alter_client_quotas_request *request = call->request;
    const struct sluice_quota *quota = call->conn->frontend->quota;
    int32_t count = request->entries_count;
    struct kafka_alter_client_quotas_response *response =
        kafka_call_try_take(call, 1, sizeof(*response));
    struct alteration *alteration = kafka_call_try_take(call, 1, sizeof(*alteration));
    bool ok = response != NULL && alteration != NULL && count <= QUOTAS_AT_ONCE_MAX;

    call->response = response;
    call->slots = alteration;
    if (ok) {
        kafka_alter_client_quotas_response_init(response);
        response->entries = kafka_call_try_take(call, count, sizeof(*response->entries));
        response->entries_count = count;
        alteration->entries = kafka_call_try_take(call, count, sizeof(*alteration->entries));
        alteration->slots = kafka_call_try_take(call, count, sizeof(*alteration->slots));
        ok = response->entries != NULL && alteration->entries != NULL && alteration->slots != NULL;
    }
    for (int32_t i = 0; ok && i < count; i++) {
        ok = lay_out(call, &request->entries[i], &response->entries[i]);
    }
    if (!ok) {
        kafka_call_fail(call, "a request changes too many quotas", SLUICE_E_LIMIT);
    } else if (quota == NULL || alteration->count == 0) {
        altered(call, NULL, 0);
    } else {
        quota->alter(quota, kafka_call_context(call), alteration->entries, alteration->count,
                     request->validate_only, altered, call);
    }
}
