/* load_greeting.c: see load_greeting.h. */
#include "load/load_greeting.h"

#include "base/status.h"

#include <stdio.h>
#include <string.h>

static bool has_login(const struct load_greeting *greeting)
{
    return greeting->options.user != NULL || greeting->options.token != NULL;
}

void load_greeting_init(struct load_greeting *greeting, const struct load_security *security)
{
    memset(greeting, 0, sizeof(*greeting));
    if (security == NULL) {
        return;
    }
    greeting->options.user = security->user;
    greeting->options.password = security->password;
    greeting->options.token = security->token;
    greeting->options.mechanism = security->mechanism;
    greeting->options.hash = security->hash;
    if (has_login(greeting)) {
        greeting->mechanism = security->mechanism != NULL ? security->mechanism
                              : security->token != NULL   ? "OAUTHBEARER"
                                                          : "SCRAM-SHA-512";
    }
}

void load_greeting_fini(struct load_greeting *greeting)
{
    explicit_bzero(greeting->message, sizeof(greeting->message));
    explicit_bzero(&greeting->login, sizeof(greeting->login));
}

/* ---- out ---- */

static sl_err versions_write(struct load_greeting *greeting, struct load_kafka_wire *wire,
                             int32_t correlation)
{
    struct kafka_api_versions_request request;
    (void)greeting;
    kafka_api_versions_request_init(&request);
    return load_kafka_write(wire, LOAD_KAFKA_VERSIONS, correlation, &request);
}

static sl_err mechanism_write(struct load_greeting *greeting, struct load_kafka_wire *wire,
                              int32_t correlation)
{
    struct kafka_sasl_handshake_request request;
    kafka_sasl_handshake_request_init(&request);
    request.mechanism = kafka_string(greeting->mechanism);
    return load_kafka_write(wire, LOAD_KAFKA_HANDSHAKE, correlation, &request);
}

static sl_err login_write(struct load_greeting *greeting, struct load_kafka_wire *wire,
                          int32_t correlation)
{
    struct kafka_sasl_authenticate_request request;
    kafka_sasl_authenticate_request_init(&request);
    request.auth_bytes = kafka_bytes(greeting->message, greeting->size);
    return load_kafka_write(wire, LOAD_KAFKA_AUTHENTICATE, correlation, &request);
}

/* ---- in ---- */

/* The mechanism's next message, or the end of the exchange. */
static sl_err login_go_on(struct load_greeting *greeting, struct sluice_bytes challenge,
                          char ret_text[LOAD_TEXT_BYTES])
{
    sl_err err = login_step(&greeting->login, &greeting->options, challenge, greeting->message,
                            &greeting->size);
    if (err != SLUICE_OK) {
        const char *problem = greeting->login.problem;
        snprintf(ret_text, LOAD_TEXT_BYTES, "%.400s",
                 problem != NULL ? problem
                 : greeting->login.step == 3
                     ? "the broker does not prove that it knows the password"
                     : sl_status_text(err));
    }
    return err;
}

static sl_err versions_read(struct load_greeting *greeting, struct load_kafka_wire *wire,
                            struct sl_bytes frame, char ret_text[LOAD_TEXT_BYTES])
{
    struct kafka_api_versions_response answer;
    int32_t correlation;
    sl_err err = load_kafka_read(wire, LOAD_KAFKA_VERSIONS, frame, &correlation, &answer);
    err = err == SLUICE_OK ? load_kafka_error(answer.error_code, ret_text) : err;
    greeting->step = has_login(greeting) ? LOAD_GREETING_MECHANISM : LOAD_GREETING_OVER;
    return err;
}

/* The best that both have into `offered`, all that the broker has into the sentence. */
static void offers_take(struct load_greeting *greeting,
                        const struct kafka_sasl_handshake_response *answer,
                        char ret_text[LOAD_TEXT_BYTES])
{
    size_t at = (size_t)snprintf(ret_text, LOAD_TEXT_BYTES,
                                 "the broker does not take %.40s here, but:", greeting->mechanism);
    for (int32_t i = 0; i < answer->mechanisms_count; i++) {
        const struct kafka_bytes *each = &answer->mechanisms[i];
        const struct sluice_text name = {(const char *)each->data, (uint64_t)SL_MAX(each->size, 0)};
        const char *known = login_mechanism(name, &greeting->options);
        if (known != NULL && login_rank(known) > login_rank(greeting->offered)) {
            greeting->offered = known;
        }
        if (at + name.size + 2 < LOAD_TEXT_BYTES && each->size > 0) {
            at += (size_t)snprintf(ret_text + at, LOAD_TEXT_BYTES - at, " %.*s", each->size,
                                   name.data);
        }
    }
}

static sl_err mechanism_read(struct load_greeting *greeting, struct load_kafka_wire *wire,
                             struct sl_bytes frame, char ret_text[LOAD_TEXT_BYTES])
{
    struct kafka_sasl_handshake_response answer;
    int32_t correlation;
    sl_err err = load_kafka_read(wire, LOAD_KAFKA_HANDSHAKE, frame, &correlation, &answer);
    err = err == SLUICE_OK ? load_kafka_error(answer.error_code, ret_text) : err;
    if (err == SLUICE_E_AUTHENTICATION_STATE) {
        snprintf(ret_text, LOAD_TEXT_BYTES, "the broker wants no login here");
    } else if (err == SLUICE_E_UNSUPPORTED_MECHANISM) {
        offers_take(greeting, &answer, ret_text);
    }
    if (err != SLUICE_OK) {
        return err;
    }
    const struct sluice_text name = sluice_text_of(greeting->mechanism);
    greeting->login.mechanism = login_mechanism(name, &greeting->options);
    if (greeting->login.mechanism == NULL) {
        snprintf(ret_text, LOAD_TEXT_BYTES,
                 "%.40s: no such mechanism, or it needs what is not given", greeting->mechanism);
        return SLUICE_E_UNSUPPORTED_MECHANISM;
    }
    greeting->step = LOAD_GREETING_LOGIN;
    return login_go_on(greeting, (struct sluice_bytes){NULL, 0}, ret_text);
}

static sl_err login_read(struct load_greeting *greeting, struct load_kafka_wire *wire,
                         struct sl_bytes frame, char ret_text[LOAD_TEXT_BYTES])
{
    struct kafka_sasl_authenticate_response answer;
    int32_t correlation;
    sl_err err = load_kafka_read(wire, LOAD_KAFKA_AUTHENTICATE, frame, &correlation, &answer);
    err = err == SLUICE_OK ? load_kafka_error(answer.error_code, ret_text) : err;
    if (err != SLUICE_OK) {
        if (answer.error_code != 0 && answer.error_message.size > 0) {
            snprintf(ret_text, LOAD_TEXT_BYTES, "%.*s", (int)SL_MIN(answer.error_message.size, 400),
                     (const char *)answer.error_message.data);
        }
        return err;
    }
    const struct sluice_bytes challenge = {answer.auth_bytes.data,
                                           (uint64_t)SL_MAX(answer.auth_bytes.size, 0)};
    greeting->size = 0;
    if (!greeting->login.is_complete || challenge.size > 0) {
        err = login_go_on(greeting, challenge, ret_text);
    }
    if (err == SLUICE_OK && greeting->login.is_complete && greeting->size == 0) {
        greeting->step = LOAD_GREETING_OVER;
    }
    return err;
}

/* ---- the steps ---- */

static const struct {
    sl_err (*write)(struct load_greeting *, struct load_kafka_wire *, int32_t correlation);
    sl_err (*read)(struct load_greeting *, struct load_kafka_wire *, struct sl_bytes, char *);
} steps[] = {
    [LOAD_GREETING_VERSIONS] = {versions_write, versions_read},
    [LOAD_GREETING_MECHANISM] = {mechanism_write, mechanism_read},
    [LOAD_GREETING_LOGIN] = {login_write, login_read},
};

sl_err load_greeting_write(struct load_greeting *greeting, struct load_kafka_wire *wire,
                           int32_t correlation)
{
    SL_ASSERT(!load_greeting_is_over(greeting));
    return steps[greeting->step].write(greeting, wire, correlation);
}

sl_err load_greeting_read(struct load_greeting *greeting, struct load_kafka_wire *wire,
                          struct sl_bytes frame, char ret_text[LOAD_TEXT_BYTES])
{
    SL_ASSERT(!load_greeting_is_over(greeting));
    return steps[greeting->step].read(greeting, wire, frame, ret_text);
}
