/* handle_configs.c: DescribeConfigs (KIP-226, KIP-569).
 *
 * A resource is one broker call; all of them are answered together. The broker gives every key;
 * what the request did not name is left out here. The name of a broker resource is its node id; the
 * empty name means the cluster-wide dynamic defaults, of which there are none. */
#include "config_answer.h"
#include "kafka_api.h"
#include "kafka_messages.h"
#include "kafka_status.h"

#include <stdio.h>

int8_t kafka_config_source(int32_t source)
{
    static const int8_t sources[] = {0,
                                     KAFKA_CONFIG_SOURCE_TOPIC,
                                     KAFKA_CONFIG_SOURCE_BROKER,
                                     KAFKA_CONFIG_SOURCE_DEFAULT,
                                     KAFKA_CONFIG_SOURCE_GROUP,
                                     KAFKA_CONFIG_SOURCE_CLIENT_METRICS,
                                     KAFKA_CONFIG_SOURCE_LOGGER};
    return source >= 0 && source < (int32_t)sizeof(sources) ? sources[source] : 0;
}

int32_t kafka_config_resource(int8_t type)
{
    switch (type) {
    case 2:
        return SLUICE_RESOURCE_TOPIC;
    case 4:
        return SLUICE_RESOURCE_BROKER;
    case 8:
        return SLUICE_RESOURCE_BROKER_LOGGER;
    case 16:
        return SLUICE_RESOURCE_CLIENT_METRICS;
    case 32:
        return SLUICE_RESOURCE_GROUP;
    default:
        return 0;
    }
}

int8_t kafka_config_type(int32_t type)
{
    /* boolean, string, int, long, double, list, short, class, password */
    static const int8_t types[] = {0, 1, 2, 3, 5, 6, 7, 4, 8, 9};
    return type >= 0 && type < (int32_t)sizeof(types) ? types[type] : 0;
}

struct sluice_text kafka_config_value(const struct sluice_config_entry *entry)
{
    return entry->sensitive ? (struct sluice_text){NULL, 0} : entry->value;
}

/* One resource of the request. */
struct described {
    struct kafka_call *call;
    const struct kafka_describe_configs_request_resource *resource;
    struct kafka_describe_configs_response_result *answer;
};

static bool is_wanted(const struct kafka_describe_configs_request_resource *resource,
                      struct sluice_text name)
{
    struct kafka_bytes key = kafka_of_text_or_empty(name);
    for (int32_t i = 0; i < resource->configuration_keys_count; i++) {
        if (kafka_bytes_equal(resource->configuration_keys[i], key)) {
            return true;
        }
    }
    return resource->configuration_keys_count <= 0; /* none named: all */
}

/* The value in force first, then what stands behind it. */
static bool fill_synonyms(struct kafka_call *call, const struct sluice_config_entry *entry,
                          struct kafka_describe_configs_response_config *config)
{
    bool has_synonym = entry->synonym.size > 0;
    bool on_topic =
        entry->source == SLUICE_CONFIG_SOURCE_TOPIC || entry->source == SLUICE_CONFIG_SOURCE_GROUP;
    struct kafka_describe_configs_response_synonym *synonym =
        kafka_call_try_take(call, 2, sizeof(*synonym));

    if (synonym == NULL) {
        return false;
    }
    config->synonyms = synonym;
    if (on_topic || !has_synonym) {
        synonym->name = config->name;
        synonym->value = config->value;
        synonym->source = config->config_source;
        synonym++;
    }
    if (has_synonym) {
        synonym->source = on_topic ? KAFKA_CONFIG_SOURCE_DEFAULT : config->config_source;
        if (!kafka_call_copy(call, kafka_of_text(entry->synonym), &synonym->name) ||
            !kafka_call_copy(call, kafka_of_text(entry->synonym_value), &synonym->value)) {
            return false;
        }
        synonym++;
    }
    config->synonyms_count = (int32_t)(synonym - config->synonyms);
    return true;
}

static bool fill_config(struct kafka_call *call, const struct sluice_config_entry *entry,
                        struct kafka_describe_configs_response_config *config)
{
    const struct kafka_describe_configs_request *request = call->request;

    kafka_describe_configs_response_config_init(config);
    config->read_only = entry->read_only;
    config->config_source = kafka_config_source(entry->source);
    config->is_default = call->version == 0 && entry->source != SLUICE_CONFIG_SOURCE_TOPIC;
    config->is_sensitive = entry->sensitive;
    config->config_type = kafka_config_type(entry->type);
    config->documentation = kafka_null();
    if (request->include_documentation &&
        !kafka_call_copy(call, kafka_of_text(entry->documentation), &config->documentation)) {
        return false;
    }
    return kafka_call_copy(call, kafka_of_text_or_empty(entry->name), &config->name) &&
           kafka_call_copy(call, kafka_of_text(kafka_config_value(entry)), &config->value) &&
           (!request->include_synonyms || fill_synonyms(call, entry, config));
}

static bool fill_result(struct described *described, const struct sluice_config_result *result)
{
    struct kafka_describe_configs_response_result *answer = described->answer;

    answer->error_code = kafka_status_code(result->status);
    if (!kafka_call_copy(described->call, kafka_of_reason(result->reason),
                         &answer->error_message)) {
        return false;
    }
    answer->configs =
        kafka_call_try_take(described->call, result->entry_count, sizeof(*answer->configs));
    if (answer->configs == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < result->entry_count; i++) {
        if (is_wanted(described->resource, result->entries[i].name) &&
            !fill_config(described->call, &result->entries[i],
                         &answer->configs[answer->configs_count++])) {
            return false;
        }
    }
    return true;
}

static void got_configs(void *arg, const struct sluice_config_result *result)
{
    struct described *described = arg;
    kafka_call_part(described->call, fill_result(described, result));
}

static void refuse(struct described *described, const char *reason)
{
    described->answer->error_code = kafka_status_code(SLUICE_E_INVALID_REQUEST);
    described->answer->error_message = kafka_string(reason);
    kafka_call_part(described->call, true);
}

static void describe_broker(struct described *described)
{
    struct kafka_call *call = described->call;
    const struct sluice_broker *broker = kafka_call_broker(call);
    const struct sluice_cluster *cluster = broker->cluster(broker, kafka_call_context(call));
    struct kafka_bytes name = described->resource->resource_name;
    char own[16] = "";

    if (name.size == 0) {
        kafka_call_part(call, true);
        return;
    }
    if (cluster->node_count > 0) {
        snprintf(own, sizeof(own), "%d", cluster->nodes[0].id);
    }
    if (!kafka_bytes_equal(name, kafka_string(own))) {
        refuse(described, "the name of a broker is its node id");
        return;
    }
    broker->configs_describe(broker, kafka_call_context(call), SLUICE_RESOURCE_BROKER,
                             kafka_to_text(name), got_configs, described);
}

static void describe(struct described *described)
{
    struct kafka_call *call = described->call;
    const struct sluice_broker *broker = kafka_call_broker(call);
    int32_t resource = kafka_config_resource(described->resource->resource_type);

    if (resource == SLUICE_RESOURCE_BROKER) {
        describe_broker(described);
    } else if (resource != 0) {
        broker->configs_describe(broker, kafka_call_context(call), resource,
                                 kafka_to_text(described->resource->resource_name), got_configs,
                                 described);
    } else {
        refuse(described, "there is no such type of resource");
    }
}

void kafka_handle_describe_configs(struct kafka_call *call)
{
    const struct kafka_describe_configs_request *request = call->request;
    int32_t count = request->resources_count;
    struct kafka_describe_configs_response *response =
        kafka_call_try_take(call, 1, sizeof(*response));
    struct described *all = kafka_call_try_take(call, count, sizeof(*all));
    struct kafka_describe_configs_response_result *results =
        kafka_call_try_take(call, count, sizeof(*results));

    if (response == NULL || all == NULL || results == NULL) {
        kafka_call_fail(call, "a request names too many resources", SLUICE_E_LIMIT);
        return;
    }
    kafka_describe_configs_response_init(response);
    response->results = results;
    response->results_count = count;
    call->response = response;
    call->pending = (uint32_t)count + 1; /* one for this loop */
    for (int32_t i = 0; i < count; i++) {
        all[i] = (struct described){call, &request->resources[i], &results[i]};
        kafka_describe_configs_response_result_init(&results[i]);
        results[i].error_message = kafka_null();
        results[i].resource_type = request->resources[i].resource_type;
        results[i].resource_name = request->resources[i].resource_name;
        describe(&all[i]);
    }
    kafka_call_part(call, true);
}
