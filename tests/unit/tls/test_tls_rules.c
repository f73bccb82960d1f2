/* test_tls_rules.c: mapping rules against Kafka's own results, and what is refused. */
#include "tls/name_pattern.h"
#include "tls/tls_rules.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define VECTORS SLUICE_SOURCE_DIR "/tests/data/tls/principal_mapping.tsv"

static void check_line(char *line)
{
    char why[TLS_RULES_WHY_BYTES] = "";
    char mapped[TLS_PRINCIPAL_BYTES_MAX + 1u] = "";
    struct tls_rules *rules = NULL;
    char *name = strchr(line, '\t');
    char *expected = name == NULL ? NULL : strchr(name + 1, '\t');
    cr_assert_not_null(expected, "%s", line);
    *name++ = *expected++ = '\0';
    cr_assert_eq(tls_rules_new(line, &rules, why), SLUICE_OK, "%s: %s", line, why);
    sl_err err = tls_rules_apply(rules, name, mapped);
    if (expected[0] == '!' || expected[0] == '\0') { /* an empty name is nobody here */
        cr_expect_eq(err, SLUICE_E_NOT_FOUND, "%s: %s is %s", line, name, mapped);
    } else {
        cr_expect_eq(err, SLUICE_OK, "%s: %s", line, name);
        cr_expect_str_eq(mapped, expected, "%s: %s is %s, not %s", line, name, mapped, expected);
    }
    tls_rules_free(rules);
}

Test(tls_rules, give_what_kafka_gives)
{
    char line[4096];
    uint32_t count = 0;
    FILE *file = fopen(VECTORS, "r");
    cr_assert_not_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] != '#') {
            check_line(line);
            count++;
        }
    }
    fclose(file);
    cr_assert_gt(count, 100);
}

Test(tls_rules, take_the_name_as_it_is_without_rules)
{
    char why[TLS_RULES_WHY_BYTES] = "";
    char mapped[TLS_PRINCIPAL_BYTES_MAX + 1u];
    struct tls_rules *rules = NULL;
    cr_assert_eq(tls_rules_new("", &rules, why), SLUICE_OK);
    cr_assert_eq(tls_rules_apply(rules, "CN=a,O=b", mapped), SLUICE_OK);
    cr_assert_str_eq(mapped, "CN=a,O=b");
    tls_rules_free(rules);
}

Test(tls_rules, refuse_what_they_do_not_know_with_a_reason)
{
    static const struct {
        const char *rules, *why;
    } bad[] = {
        {"CN", "where RULE: or DEFAULT is expected"},
        {"DEFAULTS", "behind a rule"},
        {"RULE:a", "which is not RULE:pattern/replacement/"},
        {"RULE:a/b", "which is not RULE:pattern/replacement/"},
        {"RULE://b/", "which is not RULE:pattern/replacement/"},
        {"RULE:a/b/X", "behind a rule"},
        {"RULE:(a/b/", "a ( without )"},
        {"RULE:a)/b/", "a ) without ("},
        {"RULE:[a/b/", "a [ without ]"},
        {"RULE:[b-a]/b/", "ends before it begins"},
        {"RULE:*/b/", "repeats nothing"},
        {"RULE:a**/b/", "repeats a repetition"},
        {"RULE:a{3,1}/b/", "a { } that is not"},
        {"RULE:(?=a)/b/", "a (? that is not (?:"},
        {"RULE:\\bCN/b/", "a \\ before what it has no meaning for"},
        {"RULE:(a{1000}){1000}/b/", "too long, or repeats too much"},
        {"RULE:a{1023}(?:|b)/b/", "too long, or repeats too much"},
        {"RULE:a.*/$1/", "no group for the replacement"},
    };
    for (size_t i = 0; i < SL_COUNT_OF(bad); i++) {
        char why[TLS_RULES_WHY_BYTES] = "";
        struct tls_rules *rules = NULL;
        cr_expect_eq(tls_rules_new(bad[i].rules, &rules, why), SLUICE_E_CONFIG_VALUE, "%s",
                     bad[i].rules);
        cr_expect_not_null(strstr(why, bad[i].why), "%s: %s", bad[i].rules, why);
    }
}

Test(tls_rules, refuse_names_that_are_or_become_too_long)
{
    char why[TLS_RULES_WHY_BYTES] = "";
    char name[TLS_PRINCIPAL_BYTES_MAX + 2u];
    char mapped[TLS_PRINCIPAL_BYTES_MAX + 1u];
    struct tls_rules *rules = NULL;
    cr_assert_eq(tls_rules_new("RULE:^(b*)$/$1$1/,DEFAULT", &rules, why), SLUICE_OK);
    memset(name, 'a', sizeof(name));
    name[TLS_PRINCIPAL_BYTES_MAX + 1u] = '\0';
    cr_expect_eq(tls_rules_apply(rules, name, mapped), SLUICE_E_NOT_FOUND);
    name[TLS_PRINCIPAL_BYTES_MAX] = '\0';
    cr_expect_eq(tls_rules_apply(rules, name, mapped), SLUICE_OK);
    memset(name, 'b', TLS_PRINCIPAL_BYTES_MAX);
    cr_expect_eq(tls_rules_apply(rules, name, mapped), SLUICE_E_NOT_FOUND);
    tls_rules_free(rules);
}

Test(name_pattern, ends_soon_whatever_the_pattern_is, .timeout = 60)
{
    static const char text[] = "((((a?)*)+)*)*b";
    char why[NAME_PATTERN_WHY_BYTES] = "";
    uint8_t name[NAME_PATTERN_TEXT_MAX];
    struct name_pattern *pattern = NULL;
    struct name_match match;
    memset(name, 'a', sizeof(name));
    cr_assert_eq(
        name_pattern_new((struct sl_bytes){(const uint8_t *)text, strlen(text)}, &pattern, why),
        SLUICE_OK, "%s", why);
    struct sl_bytes bytes = {name, sizeof(name)};
    cr_assert_eq(name_pattern_find(pattern, bytes, 0, true, &match), SLUICE_E_NOT_FOUND);
    cr_assert_eq(name_pattern_find(pattern, bytes, 0, false, &match), SLUICE_E_NOT_FOUND);
    name_pattern_free(pattern);
}
