/* test_manifest.c: the JSON note of a module: what is taken, and one sentence for what is not. */
#include "base/bytes.h"
#include "plugin/manifest.h"

#include <criterion/criterion.h>
#include <sluice/processor.h>
#include <string.h>

static sl_err parse(const char *text, struct manifest *ret_manifest, char *ret_reason)
{
    return manifest_parse(sl_bytes_of_text(text), ret_manifest, ret_reason);
}

Test(manifest, takes_every_key)
{
    struct manifest manifest;
    char reason[MANIFEST_REASON_BYTES] = "";
    cr_assert_eq(
        parse("{\"id\":\"mask\",\"version\":\"1.2.0\",\"kind\":\"processor\",\"on\":\"produce\","
              "\"input\":[\"a\",\"b*\"],\"output\":\"%s.x\",\"outputs\":[\"audit\"],"
              "\"config\":{},\"defaults\":{\"k\":1},\"limits\":{\"memory_bytes\":2097152,"
              "\"deadline_ms\":20,\"descriptors\":32,\"cpu_percent\":5},"
              "\"permissions\":[\"read-only /etc/a.csv\",\"network-client "
              "geo:7000\",\"read_config\"],"
              "\"state_version\":3}",
              &manifest, reason),
        SLUICE_OK, "%s", reason);
    cr_assert_str_eq(manifest.id, "mask");
    cr_assert_eq(manifest.on, SLUICE_ON_PRODUCE);
    cr_assert_eq(manifest.input_count, 2);
    cr_assert_str_eq(manifest.inputs[1], "b*");
    cr_assert_str_eq(manifest.output, "%s.x");
    cr_assert_str_eq(manifest.outputs[0], "audit");
    cr_assert_str_eq(manifest.defaults, "{\"k\":1}");
    cr_assert_eq(manifest.memory_bytes, 2097152);
    cr_assert_eq(manifest.deadline_ms, 20);
    cr_assert_eq(manifest.state_version, 3);
    cr_assert_eq(manifest.cpu_percent, 5);
    cr_assert_eq(manifest.permissions.count, 3);
    cr_assert_eq(manifest.permissions.items[1].kind, PERMISSION_CONNECTION);
    cr_assert_str_eq(manifest.permissions.items[1].name, "geo:7000");
    manifest_fini(&manifest);
}

Test(manifest, says_in_a_sentence_what_is_wrong)
{
    static const struct {
        const char *text;
        const char *word;
    } cases[] = {
        {"", "not a JSON object"},
        {"[]", "not a JSON object"},
        {"{\"id\":\"a\"", "not a JSON object"},
        {"{\"id\":\"a\",\"kind\":\"processor\"} x", "not a JSON object"},
        {"{\"kind\":\"processor\"}", "\"id\" is missing"},
        {"{\"id\":\"a\"}", "\"kind\" is missing"},
        {"{\"id\":\"A b\",\"kind\":\"processor\"}", "\"id\" must be"},
        {"{\"id\":7,\"kind\":\"processor\"}", "\"id\" must be a text"},
        {"{\"id\":\"a\",\"id\":\"b\",\"kind\":\"processor\"}", "\"id\" is there twice"},
        {"{\"id\":\"a\",\"kind\":\"table\"}", "\"kind\" must be"},
        {"{\"id\":\"a\",\"kind\":\"processor\",\"limit\":{}}", "\"limit\" is not a key"},
        {"{\"id\":\"a\",\"kind\":\"processor\",\"limits\":{\"memory\":1}}",
         "\"memory\" is not a limit"},
        {"{\"id\":\"a\",\"kind\":\"processor\",\"limits\":{\"deadline_ms\":1.5}}", "whole number"},
        {"{\"id\":\"a\",\"kind\":\"processor\",\"limits\":{\"deadline_ms\":1e300}}",
         "whole number"},
        {"{\"id\":\"a\",\"kind\":\"processor\",\"input\":\"a*b\"}", "topic \"a*b\""},
        {"{\"id\":\"a\",\"kind\":\"processor\",\"input\":\"__sluice_x\"}", "__sluice_x"},
        {"{\"id\":\"a\",\"kind\":\"processor\",\"output\":\"%s%s\"}", "topic \"%s%s\""},
        {"{\"id\":\"a\",\"kind\":\"processor\",\"permissions\":[\"network-server x:1\"]}",
         "cannot be given"},
        {"{\"id\":\"a\",\"kind\":\"processor\",\"permissions\":[\"network-client x\"]}",
         "must be \"read-only"},
        {"{\"id\":\"a\",\"kind\":\"processor\",\"permissions\":[\"read-only etc/passwd\"]}",
         "must be \"read-only"},
        {"{\"id\":\"a\",\"kind\":\"processor\",\"permissions\":[\"read-only /a/../b\"]}",
         "must be \"read-only"},
        {"{\"id\":\"a\",\"kind\":\"processor\",\"limits\":{\"cpu_percent\":101}}", "whole number"},
        {"{\"id\":\"a\",\"kind\":\"frontend\",\"on\":\"log\"}", "frontend"},
        {"{\"id\":\"a\",\"kind\":\"processor\",\"defaults\":[]}", "\"defaults\" must be an object"},
    };
    for (size_t i = 0; i < SL_COUNT_OF(cases); i++) {
        struct manifest manifest;
        char reason[MANIFEST_REASON_BYTES] = "";
        cr_expect_neq(parse(cases[i].text, &manifest, reason), SLUICE_OK, "%s", cases[i].text);
        cr_expect(strstr(reason, cases[i].word) != NULL, "%s: %s", cases[i].text, reason);
    }
}
