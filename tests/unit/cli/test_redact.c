/* test_redact.c: what a debug bundle must not tell. */
#include "cli/cli_redact.h"
#include "control/config_option.h"

#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t key[16] = {1, 2, 3};

/* The text as it goes out; to be freed. */
static char *told(struct redactor *redactor, const char *text)
{
    struct sl_buffer out;
    sl_buffer_init(&out, 4096);
    cr_assert_eq(
        redactor_text(redactor, (struct sl_bytes){(const uint8_t *)text, strlen(text)}, &out),
        SLUICE_OK);
    char *copy = strndup((const char *)out.data, out.size);
    sl_buffer_fini(&out);
    return copy;
}

Test(redact, settings_that_hold_secrets_lose_their_value_and_keep_their_place)
{
    struct redactor redactor;
    redactor_init(&redactor, false, key);
    cJSON *json = cJSON_Parse(
        "{\"kafka.tls.key\":{\"value\":\"/etc/key.pem\",\"origin\":\"file\"},"
        "\"x.db_password\":{\"value\":\"hunter22\",\"origin\":\"a.yaml:3\"},"
        "\"z.token_checks\":{\"value\":\"30 "
        "minutes\",\"origin\":\"default\"},\"secret_mode\":\"false\","
        "\"y.config\":{\"value\":\"{\\\"apiToken\\\":\\\"t0ps3cret\\\",\\\"limit\\\":7}\"}}");
    redactor_secrets_hide(&redactor, json);
    char *text = cJSON_PrintUnformatted(json);
    cr_expect_null(strstr(text, "hunter22"));
    cr_expect_null(strstr(text, "t0ps3cret"));
    cr_expect_not_null(strstr(text, "/etc/key.pem"));
    cr_expect_not_null(strstr(text, "a.yaml:3"));
    cr_expect_not_null(strstr(text, "\\\"limit\\\":7"));
    free(text);
    cJSON_Delete(json);
    text = told(&redactor, "clean: false, after 30 minutes");
    cr_expect_str_eq(text, "clean: false, after 30 minutes");
    free(text);
    text = told(&redactor, "connect to db with hunter22: t0ps3cret refused");
    cr_expect_str_eq(text, "connect to db with (secret): (secret) refused");
    free(text);
    redactor_fini(&redactor);
}

/* What the table knows is not a matter of words: a path to a password is none. */
Test(redact, the_option_table_says_what_is_secret_before_words_do)
{
    uint32_t secrets = 0;
    for (uint32_t i = 0; i < config_option_count; i++) {
        const struct config_option *option = &config_options[i];
        const char *name = strrchr(option->key, '.') + 1;
        cr_expect_eq(redactor_is_secret(option->key), option->is_secret, "%s", option->key);
        cr_expect(!option->is_secret || redactor_is_secret(name), "%s in an object", name);
        secrets += option->is_secret;
    }
    cr_assert_geq(secrets, 3);
    cr_expect_not(redactor_is_secret("key_password_file"));
    cr_expect(redactor_is_secret("database_password"));
}

Test(redact, names_become_the_same_hash_wherever_they_stand)
{
    struct redactor redactor;
    redactor_init(&redactor, true, key);
    redactor_name_add(&redactor, "orders");
    redactor_name_add(&redactor, "my group");
    char *one = told(&redactor, "orders");
    cr_assert_eq(strlen(one), strlen("x-0123456789ab"));
    static const char *const texts[] = {"topic=\"orders\"", "orders-0 is behind", "__dlq.orders",
                                        "orders,orders-4"};
    for (size_t i = 0; i < SL_COUNT_OF(texts); i++) {
        char *text = told(&redactor, texts[i]);
        cr_expect_null(strstr(text, "orders"), "%s", text);
        cr_expect_not_null(strstr(text, one), "%s", text);
        free(text);
    }
    char *text = told(&redactor, "preorders and reorders of \"my group\"");
    cr_expect_not_null(strstr(text, "preorders and reorders of \"x-"), "%s", text);
    cr_expect_null(strstr(text, "my group"));
    free(text);
    free(one);
    redactor_fini(&redactor);
}

Test(redact, another_key_makes_another_hash)
{
    static const uint8_t keys[2][16] = {{1}, {2}};
    char *hashes[2];
    for (size_t i = 0; i < 2; i++) {
        struct redactor redactor;
        redactor_init(&redactor, true, keys[i]);
        redactor_name_add(&redactor, "orders");
        hashes[i] = told(&redactor, "orders");
        redactor_fini(&redactor);
    }
    cr_expect_str_neq(hashes[0], hashes[1]);
    free(hashes[0]);
    free(hashes[1]);
}

Test(redact, members_that_name_things_are_found_at_any_depth_and_numbers_stay)
{
    struct redactor redactor;
    redactor_init(&redactor, true, key);
    cJSON *json =
        cJSON_Parse("{\"groups\":[{\"group\":\"12\",\"members\":[{\"client_id\":\"app\"}],"
                    "\"state\":\"Stable\",\"lag\":\"12\"}]}");
    redactor_names_find(&redactor, json);
    cr_assert(redactor_json(&redactor, json));
    char *text = cJSON_PrintUnformatted(json);
    cr_expect_null(strstr(text, "app"));
    cr_expect_not_null(strstr(text, "\"Stable\""));
    cr_expect_not_null(strstr(text, "\"lag\":\"12\""));
    free(text);
    cJSON_Delete(json);
    redactor_fini(&redactor);
}
