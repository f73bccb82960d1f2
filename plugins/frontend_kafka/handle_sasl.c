/* handle_sasl.c: SaslHandshake and SaslAuthenticate (KIP-43, KIP-152, KIP-368), and who may ask
 * for anything yet.
 *
 *   ApiVersions ─► SaslHandshake ─► SaslAuthenticate … ─► the principal is known: all else
 *                       └─ version 0: frames of the mechanism alone, without Kafka's headers
 *
 * The mechanisms are the broker's (<sluice/security.h>). A login that failed is answered and the
 * connection closed. So is one that was put off (SLUICE_E_BUSY), with an error that clients take
 * for one of the connection: of 33, 34 and 58 alone they make an end of it. In frames of the
 * mechanism alone there is no place for an error: the connection is closed. When its lifetime is
 * over nothing but another login is taken; that may come before, on the live connection, and must
 * be of the same principal. */
#include "kafka_api.h"
#include "kafka_messages.h"
#include "kafka_status.h"

#include <stdio.h>

#define API_VERSIONS      18
#define SASL_HANDSHAKE    17
#define SASL_AUTHENTICATE 36

bool kafka_login_allows(struct kafka_conn *conn, int16_t api_key)
{
    struct kafka_frontend *frontend = conn->frontend;
    if (!conn->needs_login || api_key == SASL_HANDSHAKE || api_key == SASL_AUTHENTICATE) {
        return true;
    }
    if (!conn->logged_in) {
        return api_key == API_VERSIONS;
    }
    return conn->login_until_ms == 0 || frontend->io->now_ms(frontend->io) < conn->login_until_ms;
}

void kafka_login_begin(struct kafka_conn *conn)
{
    const struct sluice_security *security = conn->frontend->security;
    struct sluice_text names[SLUICE_MECHANISMS_MAX];
    conn->needs_login =
        security != NULL && security->mechanisms(security, &conn->context, names) > 0;
}

/* ---- SaslHandshake ---- */

void kafka_handle_sasl_handshake(struct kafka_call *call)
{
    const struct kafka_sasl_handshake_request *request = call->request;
    const struct sluice_security *security = call->conn->frontend->security;
    struct kafka_conn *conn = call->conn;
    struct kafka_sasl_handshake_response response;
    struct sluice_text names[SLUICE_MECHANISMS_MAX];
    struct kafka_bytes views[SLUICE_MECHANISMS_MAX];
    sluice_status status = SLUICE_E_AUTHENTICATION_STATE;

    kafka_sasl_handshake_response_init(&response);
    if (conn->needs_login) {
        uint32_t count = security->mechanisms(security, &conn->context, names);
        for (uint32_t i = 0; i < count; i++) {
            views[i] = kafka_of_text(names[i]);
        }
        response.mechanisms = views;
        response.mechanisms_count = (int32_t)count;
        status = security->auth_start(security, &conn->context,
                                      kafka_to_text_or_empty(request->mechanism));
    }
    conn->login_raw = status == SLUICE_OK && call->version == 0;
    response.error_code = kafka_status_code(status);
    kafka_call_answer(call, &response);
}

/* ---- what a step came to ---- */

static bool is_same_principal(const struct kafka_conn *conn, struct sluice_text principal)
{
    return principal.size == conn->context.principal.size &&
           memcmp(principal.data, conn->context.principal.data, (size_t)principal.size) == 0;
}

/* The peer is who it says. E_AUTHENTICATION: it was somebody else before. */
static sluice_status take_principal(struct kafka_conn *conn,
                                    const struct sluice_auth_result *result)
{
    struct kafka_frontend *frontend = conn->frontend;
    if (result->principal.size >= KAFKA_PRINCIPAL_BYTES ||
        (conn->logged_in && !is_same_principal(conn, result->principal))) {
        return SLUICE_E_AUTHENTICATION;
    }
    memcpy(conn->peer->principal, result->principal.data, (size_t)result->principal.size);
    conn->context.principal = (struct sluice_text){conn->peer->principal, result->principal.size};
    conn->logged_in = true;
    conn->login_raw = false;
    conn->login_until_ms =
        result->lifetime_ms > 0 ? frontend->io->now_ms(frontend->io) + result->lifetime_ms : 0;
    return SLUICE_OK;
}

/* The connection goes when what is queued has gone. */
static void close_after_answer(struct kafka_conn *conn)
{
    if (kafka_conn_is_open(conn)) {
        conn->closing = true;
        conn->frontend->io->conn_close(conn->frontend->io, conn->context.connection);
    }
}

/* ---- SaslAuthenticate ---- */

static void stepped(void *arg, const struct sluice_auth_result *result)
{
    struct kafka_call *call = arg;
    struct kafka_conn *conn = call->conn;
    struct kafka_sasl_authenticate_response response;
    sluice_status status = result->status;

    kafka_sasl_authenticate_response_init(&response);
    if (status == SLUICE_OK && result->complete && kafka_conn_is_open(conn)) {
        status = take_principal(conn, result);
    }
    response.error_code = kafka_status_code(status);
    response.error_message = kafka_null();
    if (status == SLUICE_OK) {
        response.auth_bytes = kafka_of_bytes(result->answer);
        response.session_lifetime_ms = result->complete ? result->lifetime_ms : 0;
    } else if (status == result->status) {
        response.error_message = kafka_of_reason(result->reason);
    } else {
        response.error_message = kafka_string("Cannot change principals during re-authentication");
    }
    kafka_conn_ref(conn);
    kafka_call_answer(call, &response);
    if (status != SLUICE_OK) {
        close_after_answer(conn);
    }
    kafka_conn_unref(conn);
}

void kafka_handle_sasl_authenticate(struct kafka_call *call)
{
    static const struct sluice_auth_result misplaced = {
        .status = SLUICE_E_AUTHENTICATION_STATE,
        .reason = {"SaslAuthenticate without a SaslHandshake before", 47}};
    const struct kafka_sasl_authenticate_request *request = call->request;
    const struct sluice_security *security = call->conn->frontend->security;

    if (!call->conn->needs_login) {
        stepped(call, &misplaced);
        return;
    }
    security->auth_step(security, kafka_call_context(call), kafka_to_bytes(request->auth_bytes),
                        stepped, call);
}

/* ---- frames of the mechanism alone ---- */

static void raw_stepped(void *arg, const struct sluice_auth_result *result)
{
    struct kafka_conn *conn = arg;
    const struct sluice_frontend_host *io = conn->frontend->io;
    uint32_t size = __builtin_bswap32((uint32_t)result->answer.size);
    struct sluice_piece pieces[2] = {{{(const uint8_t *)&size, sizeof(size)}, 0},
                                     {result->answer, 0}};
    sluice_status status = result->status;

    if (kafka_conn_is_open(conn)) {
        if (status == SLUICE_OK && result->complete) {
            status = take_principal(conn, result);
        }
        if (status != SLUICE_OK) {
            kafka_conn_fail(conn, "a login failed", status);
        } else if (io->conn_write(io, conn->context.connection, pieces,
                                  result->answer.size > 0 ? 2 : 1) == SLUICE_OK) {
            conn->login_waits = false;
            io->conn_resume(io, conn->context.connection);
        }
    }
    kafka_conn_unref(conn);
}

void kafka_login_raw(struct kafka_conn *conn, const uint8_t *message, size_t size)
{
    const struct sluice_security *security = conn->frontend->security;
    conn->login_waits = true;
    kafka_conn_ref(conn);
    conn->frontend->io->conn_pause(conn->frontend->io, conn->context.connection);
    security->auth_step(security, &conn->context, (struct sluice_bytes){message, size}, raw_stepped,
                        conn);
}

/* ---- users (KIP-554) ---- */

typedef struct kafka_describe_user_scram_credentials_response_result described_user;
typedef struct kafka_describe_user_scram_credentials_response_credential_info credential_info;

static bool is_user(const described_user *user, struct sluice_text name)
{
    return kafka_bytes_equal(user->user, kafka_of_text_or_empty(name));
}

static described_user *find_user(struct kafka_describe_user_scram_credentials_response *response,
                                 struct sluice_text name)
{
    for (int32_t i = 0; i < response->results_count; i++) {
        if (is_user(&response->results[i], name)) {
            return &response->results[i];
        }
    }
    return NULL;
}

static bool add_user(struct kafka_call *call, const struct sluice_user *user,
                     struct kafka_describe_user_scram_credentials_response *response)
{
    described_user *result = find_user(response, user->name);
    if (result == NULL) {
        result = &response->results[response->results_count++];
        kafka_describe_user_scram_credentials_response_result_init(result);
        result->user = kafka_of_text_or_empty(user->name);
        result->error_code = kafka_status_code(user->status);
        result->error_message =
            user->status == SLUICE_OK
                ? kafka_null()
                : kafka_string("Attempt to describe a user credential that does not exist");
        result->credential_infos = kafka_call_try_take(call, 2, sizeof(credential_info));
    }
    if (result->credential_infos != NULL && user->status == SLUICE_OK &&
        result->credential_infos_count < 2) {
        credential_info *info = &result->credential_infos[result->credential_infos_count++];
        kafka_describe_user_scram_credentials_response_credential_info_init(info);
        info->mechanism = (int8_t)user->mechanism;
        info->iterations = user->iterations;
    }
    return result->credential_infos != NULL;
}

static void users_described(void *arg, sluice_status status, const struct sluice_user *users,
                            uint32_t count)
{
    struct kafka_call *call = arg;
    struct kafka_describe_user_scram_credentials_response response;
    bool ok = true;

    kafka_describe_user_scram_credentials_response_init(&response);
    response.error_code = kafka_status_code(status);
    response.error_message = kafka_null();
    response.results = kafka_call_try_take(call, count, sizeof(described_user));
    for (uint32_t i = 0; response.results != NULL && ok && i < count; i++) {
        ok = add_user(call, &users[i], &response);
    }
    if (response.results == NULL || !ok) {
        kafka_call_fail(call, "the users do not fit into a response", SLUICE_E_LIMIT);
        return;
    }
    kafka_call_answer(call, &response);
}

void kafka_handle_describe_user_scram_credentials(struct kafka_call *call)
{
    const struct kafka_describe_user_scram_credentials_request *request = call->request;
    const struct sluice_security *security = call->conn->frontend->security;
    int32_t count = request->users_count > 0 ? request->users_count : 0;
    struct sluice_text *names = kafka_call_take(call, count, sizeof(*names));

    if (names == NULL) {
        return;
    }
    for (int32_t i = 0; i < count; i++) {
        names[i] = kafka_to_text_or_empty(request->users[i].name);
    }
    if (security == NULL) {
        users_described(call, SLUICE_E_SECURITY_DISABLED, NULL, 0);
        return;
    }
    security->users_describe(security, kafka_call_context(call), names, (uint32_t)count,
                             users_described, call);
}

static void users_altered(void *arg, const struct sluice_user_result *results, uint32_t count)
{
    struct kafka_call *call = arg;
    struct kafka_alter_user_scram_credentials_response response;

    kafka_alter_user_scram_credentials_response_init(&response);
    response.results = kafka_call_take(call, count, sizeof(*response.results));
    if (response.results == NULL) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct kafka_alter_user_scram_credentials_response_result *result =
            &response.results[response.results_count++];
        kafka_alter_user_scram_credentials_response_result_init(result);
        result->user = kafka_of_text_or_empty(results[i].name);
        result->error_code = kafka_status_code(results[i].status);
        result->error_message = kafka_of_reason(results[i].reason);
    }
    kafka_call_answer(call, &response);
}

void kafka_handle_alter_user_scram_credentials(struct kafka_call *call)
{
    const struct kafka_alter_user_scram_credentials_request *request = call->request;
    const struct sluice_security *security = call->conn->frontend->security;
    int64_t room = (int64_t)request->deletions_count + request->upsertions_count;
    struct sluice_user_change *changes = kafka_call_take(call, room, sizeof(*changes));
    uint32_t count = 0;

    if (changes == NULL) {
        return;
    }
    for (int32_t i = 0; i < request->deletions_count; i++) {
        changes[count++] =
            (struct sluice_user_change){.mechanism = request->deletions[i].mechanism,
                                        .name = kafka_to_text_or_empty(request->deletions[i].name)};
    }
    for (int32_t i = 0; i < request->upsertions_count; i++) {
        int32_t iterations = request->upsertions[i].iterations;
        changes[count++] = (struct sluice_user_change){
            .mechanism = request->upsertions[i].mechanism,
            .iterations = iterations > 0 ? iterations : 1, /* too few, and no removal */
            .name = kafka_to_text_or_empty(request->upsertions[i].name),
            .salt = kafka_to_bytes(request->upsertions[i].salt),
            .salted_password = kafka_to_bytes(request->upsertions[i].salted_password)};
    }
    if (security == NULL) {
        users_altered(call, NULL, 0);
        return;
    }
    security->users_alter(security, kafka_call_context(call), changes, count, false, users_altered,
                          call);
}
