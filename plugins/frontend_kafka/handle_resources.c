/* handle_resources.c: ListConfigResources (KIP-714, KIP-1142): what can be configured.
 *
 * Version 0 is about client metrics alone. Topics, and groups and client metrics of which something
 * is set, are asked of the broker one kind after the other; brokers and their loggers are the nodes
 * of the cluster. */
#include "kafka_api.h"
#include "kafka_messages.h"
#include "kafka_status.h"

#include <stdio.h>

#define TYPE_TOPIC          2
#define TYPE_BROKER         4
#define TYPE_LOGGER         8
#define TYPE_CLIENT_METRICS 16
#define TYPE_GROUP          32
#define TYPES_SINCE         1 /* version */

typedef struct kafka_list_config_resources_response_resource resource;

/* The kinds that the broker is asked for. */
static const struct {
    uint8_t type;
    int32_t asked;
} kinds[] = {
    {TYPE_TOPIC, SLUICE_RESOURCE_TOPIC},
    {TYPE_GROUP, SLUICE_RESOURCE_GROUP},
    {TYPE_CLIENT_METRICS, SLUICE_RESOURCE_CLIENT_METRICS},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* What one kind gave. */
struct named {
    struct kafka_call *call;
    resource *resources;
    uint32_t count;
    int8_t type;
    sluice_status status;
};

struct resources {
    uint32_t wanted; /* bits: types */
    struct named named[KINDS];
};

static void finish(struct kafka_call *call);

static void names_told(void *arg, sluice_status status, const struct sluice_text *names,
                       uint32_t count)
{
    struct named *named = arg;
    bool ok = true;

    named->status = status;
    named->resources = kafka_call_try_take(named->call, count, sizeof(resource));
    for (uint32_t i = 0; named->resources != NULL && ok && i < count; i++) {
        kafka_list_config_resources_response_resource_init(&named->resources[i]);
        named->resources[i].resource_type = named->type;
        ok = kafka_call_copy(named->call, kafka_of_text_or_empty(names[i]),
                             &named->resources[i].resource_name);
    }
    if (named->resources == NULL || !ok) {
        named->status = SLUICE_E_LIMIT;
    } else {
        named->count = count;
    }
    finish(named->call);
}

/* This node, as a broker and as what logs. */
static bool add_node(struct kafka_call *call, const struct resources *all,
                     struct kafka_list_config_resources_response *response)
{
    static const uint8_t types[] = {TYPE_BROKER, TYPE_LOGGER};
    const struct sluice_broker *broker = kafka_call_broker(call);
    const struct sluice_cluster *cluster = broker->cluster(broker, kafka_call_context(call));
    char id[16];

    for (size_t i = 0; i < sizeof(types); i++) {
        resource *one = &response->config_resources[response->config_resources_count];
        if ((all->wanted & types[i]) == 0 || cluster->node_count == 0) {
            continue;
        }
        snprintf(id, sizeof(id), "%d", (int)cluster->nodes[0].id);
        kafka_list_config_resources_response_resource_init(one);
        one->resource_type = (int8_t)types[i];
        if (!kafka_call_copy(call, kafka_string(id), &one->resource_name)) {
            return false;
        }
        response->config_resources_count++;
    }
    return true;
}

static bool fill(struct kafka_call *call, struct kafka_list_config_resources_response *response)
{
    const struct resources *all = call->slots;
    int64_t count = 2;

    for (size_t i = 0; i < KINDS; i++) {
        count += all->named[i].count;
        response->error_code = response->error_code != 0 ? response->error_code
                                                         : kafka_status_code(all->named[i].status);
    }
    if (response->error_code != 0 || !kafka_conn_is_open(call->conn)) {
        return true;
    }
    response->config_resources = kafka_call_try_take(call, count, sizeof(resource));
    if (response->config_resources == NULL) {
        return false;
    }
    for (size_t i = 0; i < KINDS; i++) {
        for (uint32_t k = 0; k < all->named[i].count; k++) {
            response->config_resources[response->config_resources_count++] =
                all->named[i].resources[k];
        }
    }
    return add_node(call, all, response);
}

static void finish(struct kafka_call *call)
{
    struct kafka_list_config_resources_response response;

    if (--call->pending > 0) {
        return;
    }
    kafka_list_config_resources_response_init(&response);
    if (!fill(call, &response)) {
        kafka_call_fail(call, "the resources do not fit into an answer", SLUICE_E_LIMIT);
        return;
    }
    kafka_call_answer(call, &response);
}

/* Bits of the types; 0: one of them is none. */
static uint32_t wanted_types(const struct kafka_call *call)
{
    const struct kafka_list_config_resources_request *request = call->request;
    const uint32_t all = TYPE_TOPIC | TYPE_BROKER | TYPE_LOGGER | TYPE_CLIENT_METRICS | TYPE_GROUP;
    uint32_t wanted = 0;

    if (call->version < TYPES_SINCE) {
        return TYPE_CLIENT_METRICS;
    }
    for (int32_t i = 0; i < request->resource_types_count; i++) {
        uint32_t type = (uint8_t)request->resource_types[i];
        if ((type & all) == 0 || (type & (type - 1)) != 0) {
            return 0;
        }
        wanted |= type;
    }
    return wanted == 0 ? all : wanted;
}

void kafka_handle_list_config_resources(struct kafka_call *call)
{
    const struct sluice_broker *broker = kafka_call_broker(call);
    struct resources *all = kafka_call_take(call, 1, sizeof(*all));
    struct kafka_list_config_resources_response response;
    bool may = kafka_may(call, SLUICE_OP_DESCRIBE_CONFIGS, SLUICE_ACL_CLUSTER,
                         sluice_text_of(SLUICE_CLUSTER_NAME));

    if (all == NULL) {
        return;
    }
    all->wanted = wanted_types(call);
    if (!may || all->wanted == 0) {
        kafka_list_config_resources_response_init(&response);
        response.error_code =
            kafka_status_code(may ? SLUICE_E_UNSUPPORTED_VERSION : SLUICE_E_CLUSTER_AUTHORIZATION);
        kafka_call_answer(call, &response);
        return;
    }
    call->slots = all;
    call->pending = KINDS + 1; /* one for this loop */
    for (size_t i = 0; i < KINDS; i++) {
        all->named[i] = (struct named){.call = call, .type = (int8_t)kinds[i].type};
        if ((all->wanted & kinds[i].type) == 0) {
            call->pending--;
            continue;
        }
        broker->config_names(broker, kafka_call_context(call), kinds[i].asked, names_told,
                             &all->named[i]);
    }
    finish(call);
}
