/* test_greeting.c: the first words of a client of Kafka's protocol, to brokers that refuse it. */
#include "base/bytes.h"
#include "load/load_greeting.h"

#include <criterion/criterion.h>
#include <string.h>

static struct load_greeting greeting;
static struct load_kafka_wire wire;
static struct kafka_writer answer;
static char text[LOAD_TEXT_BYTES];

static void begin(const struct load_security *security)
{
    cr_assert_eq(load_kafka_wire_init(&wire, "test"), SLUICE_OK);
    kafka_writer_init(&answer, 1 << 20);
    load_greeting_init(&greeting, security);
}

/* The answer to the request that is next: a correlation and a message. */
static sl_err take(int16_t key, int16_t version, const void *message)
{
    static const uint8_t correlation[4] = {0, 0, 0, 1};
    static uint8_t frame[4096];
    cr_assert_eq(load_greeting_write(&greeting, &wire, 1), SLUICE_OK);
    kafka_writer_reset(&answer);
    cr_assert_eq(kafka_api_get(key)->response->encode(message, version, &answer), SLUICE_OK);
    memcpy(frame, correlation, sizeof(correlation));
    memcpy(frame + 4, answer.data, answer.size);
    return load_greeting_read(&greeting, &wire, sl_bytes_of(frame, 4 + answer.size), text);
}

static void end(void)
{
    load_greeting_fini(&greeting);
    load_kafka_wire_fini(&wire);
    kafka_writer_fini(&answer);
}

static void take_versions(void)
{
    struct kafka_api_versions_response versions;
    kafka_api_versions_response_init(&versions);
    cr_assert_eq(take(18, 0, &versions), SLUICE_OK);
}

Test(greeting, without_a_login_it_is_over_when_the_calls_are_known)
{
    begin(NULL);
    cr_expect_not(load_greeting_is_over(&greeting));
    take_versions();
    cr_expect(load_greeting_is_over(&greeting));
    end();
}

Test(greeting, a_token_that_is_refused_is_answered_before_the_refusal_comes)
{
    const struct load_security security = {.token = "abc"};
    struct kafka_sasl_handshake_response handshake;
    struct kafka_sasl_authenticate_response refusal;
    begin(&security);
    take_versions();
    kafka_sasl_handshake_response_init(&handshake);
    cr_assert_eq(take(17, 1, &handshake), SLUICE_OK);
    cr_expect_str_eq(greeting.message, "n,,\001auth=Bearer abc\001\001");
    kafka_sasl_authenticate_response_init(&refusal);
    refusal.auth_bytes = kafka_string("{\"status\":\"invalid_token\"}");
    cr_assert_eq(take(36, 1, &refusal), SLUICE_OK);
    cr_expect_not(load_greeting_is_over(&greeting));
    cr_expect_eq(greeting.size, 1);
    cr_expect_eq(greeting.message[0], '\001');
    refusal.error_code = 58;
    refusal.error_message = kafka_string("the token is too old");
    cr_expect_eq(take(36, 1, &refusal), SLUICE_E_AUTHENTICATION);
    cr_expect_str_eq(text, "the token is too old");
    end();
}

static const char *offered_of(const char *mechanism, struct kafka_bytes *names, int32_t count)
{
    const struct load_security security = {.user = "u", .password = "p", .mechanism = mechanism};
    struct kafka_sasl_handshake_response handshake;
    begin(&security);
    take_versions();
    kafka_sasl_handshake_response_init(&handshake);
    handshake.error_code = 33;
    handshake.mechanisms = names;
    handshake.mechanisms_count = count;
    cr_expect_eq(take(17, 1, &handshake), SLUICE_E_UNSUPPORTED_MECHANISM);
    const char *offered = greeting.offered;
    end();
    return offered;
}

Test(greeting, a_password_is_not_sent_as_it_is_unless_plain_is_named)
{
    struct kafka_bytes names[] = {kafka_string("PLAIN"), kafka_string("GSSAPI")};
    cr_expect_null(offered_of(NULL, names, 2));
    cr_expect_str_eq(text, "the broker does not take SCRAM-SHA-512 here, but: PLAIN GSSAPI");
    cr_expect_str_eq(offered_of("PLAIN", names, 2), "PLAIN");
}
