/* handle_tokens.c: delegation tokens (KIP-48, KIP-373): there are none, on no listener. */
#include "kafka_api.h"
#include "kafka_messages.h"

#define DELEGATION_TOKEN_AUTH_DISABLED 61
#define NO_TIME                        (-1)

/* "User:alice" in its two parts. */
static void split_principal(const struct kafka_call *call, struct kafka_bytes *ret_type,
                            struct kafka_bytes *ret_name)
{
    struct sluice_text principal = kafka_call_context(call)->principal;
    uint64_t colon = 0;

    while (colon < principal.size && principal.data[colon] != ':') {
        colon++;
    }
    *ret_type = kafka_string("User");
    *ret_name = kafka_of_text_or_empty(principal);
    if (colon < principal.size) {
        *ret_type = kafka_bytes(principal.data, (size_t)colon);
        *ret_name = kafka_bytes(principal.data + colon + 1, (size_t)(principal.size - colon - 1));
    }
}

void kafka_handle_create_delegation_token(struct kafka_call *call)
{
    const struct kafka_create_delegation_token_request *request = call->request;
    struct kafka_create_delegation_token_response response;

    kafka_create_delegation_token_response_init(&response);
    response.error_code = DELEGATION_TOKEN_AUTH_DISABLED;
    split_principal(call, &response.principal_type, &response.principal_name);
    if (call->version >= 3) {
        response.token_requester_principal_type = response.principal_type;
        response.token_requester_principal_name = response.principal_name;
        if (request->owner_principal_name.size > 0) {
            response.principal_type = request->owner_principal_type;
            response.principal_name = request->owner_principal_name;
        }
        if (response.principal_type.size < 0) {
            response.principal_type = kafka_string("");
        }
    }
    response.issue_timestamp_ms = response.expiry_timestamp_ms = response.max_timestamp_ms =
        NO_TIME;
    kafka_call_answer(call, &response);
}

void kafka_handle_renew_delegation_token(struct kafka_call *call)
{
    struct kafka_renew_delegation_token_response response;

    kafka_renew_delegation_token_response_init(&response);
    response.error_code = DELEGATION_TOKEN_AUTH_DISABLED;
    response.expiry_timestamp_ms = NO_TIME;
    kafka_call_answer(call, &response);
}

void kafka_handle_expire_delegation_token(struct kafka_call *call)
{
    struct kafka_expire_delegation_token_response response;

    kafka_expire_delegation_token_response_init(&response);
    response.error_code = DELEGATION_TOKEN_AUTH_DISABLED;
    response.expiry_timestamp_ms = NO_TIME;
    kafka_call_answer(call, &response);
}

void kafka_handle_describe_delegation_token(struct kafka_call *call)
{
    struct kafka_describe_delegation_token_response response;

    kafka_describe_delegation_token_response_init(&response);
    response.error_code = DELEGATION_TOKEN_AUTH_DISABLED;
    kafka_call_answer(call, &response);
}
