/* test_worker_config.c: configuration values as a plugin reads them. */
#include "worker/worker.h"

#include <criterion/criterion.h>
#include <string.h>

static void assert_value(const char *json, const char *key, const char *wanted)
{
    struct config config = {.json = sluice_text_of(json)};
    const struct sluice_text value = config_get(&config, key, sluice_text_of("fallback"));

    cr_assert(value.size == strlen(wanted) && memcmp(value.data, wanted, value.size) == 0,
              "%s in %s: %.*s, not %s", key, json, (int)value.size, value.data, wanted);
    config_fini(&config);
}

Test(worker_config, finds_values_of_every_type_as_text)
{
    static const char json[] =
        "{ \"a\" : \"x y\", \"b\":true,\"c\": 9007199254740993 ,\"d\":[1, 2],"
        "\"e\":{\"f\":{\"g\":-1.5e3}},\"h\":null,\"i.j\":\"dotted\",\"k\":\"\"}";

    assert_value(json, "a", "x y");
    assert_value(json, "b", "true");
    assert_value(json, "c", "9007199254740993");
    assert_value(json, "d", "[1, 2]");
    assert_value(json, "e.f.g", "-1.5e3");
    assert_value(json, "e.f", "{\"g\":-1.5e3}");
    assert_value(json, "i.j", "dotted");
    assert_value(json, "k", "");
    assert_value(json, "h", "fallback");
    assert_value(json, "e.x", "fallback");
    assert_value(json, "", "fallback");
}

Test(worker_config, unescapes_strings)
{
    assert_value("{\"a\":\"\\\"q\\\" \\\\ \\n \\u00e9 \\ud83d\\ude00 }\"}", "a",
                 "\"q\" \\ \n \xc3\xa9 \xf0\x9f\x98\x80 }");
}

Test(worker_config, finds_nothing_in_broken_text)
{
    static const char *const broken[] = {"",           "{",         "{\"a",     "{\"a\"",
                                         "{\"a\":",    "[\"a\"]",   "{\"a\" 1", "{\"b\":\"\\",
                                         "{\"b\":[[[", "{,\"a\":1}"};

    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        assert_value(broken[i], "a", "fallback");
    }
}
