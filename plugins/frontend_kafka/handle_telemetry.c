/* handle_telemetry.c: GetTelemetrySubscriptions and PushTelemetry (KIP-714).
 *
 * What is asked for and where a push goes is the host's (<sluice/telemetry.h>); a host that takes
 * none does not offer the calls, and then ApiVersions does not name them: clients do not ask. */
#include "kafka_api.h"
#include "kafka_messages.h"
#include "kafka_status.h"

#include <stdlib.h>

/* In the order in which a client is to try them. */
static int8_t accepted_compressions[] = {4, 3, 1, 2};

/* Of the newest ApiVersions request; what is not known is so to Kafka's brokers. */
static struct sluice_text software(const struct kafka_conn *conn, bool version)
{
    if (conn->software == NULL) {
        return sluice_text_of("unknown");
    }
    struct sluice_text name = sluice_text_of(conn->software);
    return version ? sluice_text_of(conn->software + name.size + 1) : name;
}

static struct sluice_telemetry_client client_of(const struct kafka_call *call,
                                                struct kafka_uuid instance)
{
    return (struct sluice_telemetry_client){
        .instance = kafka_to_uuid(instance),
        .software_name = software(call->conn, false),
        .software_version = software(call->conn, true),
    };
}

static void fill_wanted(struct kafka_call *call, const struct sluice_telemetry_wanted *wanted,
                        struct kafka_get_telemetry_subscriptions_response *response)
{
    response->client_instance_id = kafka_of_uuid(wanted->instance);
    response->subscription_id = wanted->subscription_id;
    response->accepted_compression_types = accepted_compressions;
    response->accepted_compression_types_count =
        (int32_t)(sizeof(accepted_compressions) / sizeof(accepted_compressions[0]));
    response->push_interval_ms = wanted->interval_ms;
    response->telemetry_max_bytes = wanted->bytes_max;
    response->delta_temporality = true;
    response->requested_metrics =
        kafka_call_try_take(call, wanted->metric_count, sizeof(*response->requested_metrics));
    for (uint32_t i = 0; response->requested_metrics != NULL && i < wanted->metric_count; i++) {
        response->requested_metrics[response->requested_metrics_count++] =
            kafka_of_text(wanted->metrics[i]);
    }
}

static void asked(void *arg, sluice_status status, const struct sluice_telemetry_wanted *wanted)
{
    struct kafka_call *call = arg;
    struct kafka_get_telemetry_subscriptions_response response;

    kafka_get_telemetry_subscriptions_response_init(&response);
    response.error_code = kafka_status_code(status);
    if (wanted != NULL) {
        fill_wanted(call, wanted, &response);
        if (response.requested_metrics == NULL && wanted->metric_count > 0) {
            kafka_call_fail(call, "the metrics do not fit into an answer", SLUICE_E_LIMIT);
            return;
        }
    }
    kafka_call_answer(call, &response);
}

void kafka_handle_get_telemetry_subscriptions(struct kafka_call *call)
{
    const struct kafka_get_telemetry_subscriptions_request *request = call->request;
    const struct sluice_telemetry *telemetry = call->conn->frontend->telemetry;
    struct sluice_telemetry_client *client = kafka_call_take(call, 1, sizeof(*client));

    if (client != NULL) {
        *client = client_of(call, request->client_instance_id);
        telemetry->ask(telemetry, kafka_call_context(call), client, asked, call);
    }
}

static void pushed(void *arg, sluice_status status)
{
    struct kafka_push_telemetry_response response;

    kafka_push_telemetry_response_init(&response);
    response.error_code = kafka_status_code(status);
    kafka_call_answer(arg, &response);
}

struct pushing {
    struct sluice_telemetry_client client;
    struct sluice_telemetry_push push;
};

void kafka_handle_push_telemetry(struct kafka_call *call)
{
    const struct kafka_push_telemetry_request *request = call->request;
    const struct sluice_telemetry *telemetry = call->conn->frontend->telemetry;
    struct pushing *pushing = kafka_call_take(call, 1, sizeof(*pushing));

    if (pushing == NULL) {
        return;
    }
    pushing->client = client_of(call, request->client_instance_id);
    pushing->push = (struct sluice_telemetry_push){
        .size = sizeof(pushing->push),
        .subscription_id = request->subscription_id,
        .compression = request->compression_type,
        .terminating = request->terminating,
        .metrics = kafka_to_bytes(request->metrics),
    };
    telemetry->push(telemetry, kafka_call_context(call), &pushing->client, &pushing->push, pushed,
                    call);
}

void kafka_keep_software(struct kafka_conn *conn, struct kafka_bytes name,
                         struct kafka_bytes version)
{
    size_t name_size = (size_t)name.size;
    size_t version_size = (size_t)version.size;
    if (name_size > KAFKA_SOFTWARE_BYTES || version_size > KAFKA_SOFTWARE_BYTES) {
        return; /* cut, it could be another's */
    }
    char *copy = malloc(name_size + version_size + 2);
    if (copy != NULL) {
        memcpy(copy, name.data, name_size);
        copy[name_size] = '\0';
        memcpy(copy + name_size + 1, version.data, version_size);
        copy[name_size + 1 + version_size] = '\0';
        free(conn->software);
        conn->software = copy;
    }
}
