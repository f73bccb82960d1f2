/* test_topic_name.c: the rules of topic names. */
#include "base/bytes.h"
#include "catalog/topic_name.h"

#include <criterion/criterion.h>
#include <string.h>

static sl_err check(const char *name)
{
    const char *reason = NULL;
    sl_err err = topic_name_check(sl_bytes_of_text(name), false, &reason);
    cr_assert_eq(err == SLUICE_OK, reason == NULL, "a refusal, and only that, has a sentence");
    return err;
}

Test(topic_name, takes_every_legal_character)
{
    cr_assert_eq(check("orders"), SLUICE_OK);
    cr_assert_eq(check("AZaz09._-"), SLUICE_OK);
    cr_assert_eq(check("..."), SLUICE_OK);
    cr_assert_eq(check("_sluice_x"), SLUICE_OK);
}

Test(topic_name, refuses_what_kafka_refuses)
{
    static const char *const names[] = {"", ".", "..", "a b", "a/b", "ä", "a\n", "a:b", "a,b"};
    for (size_t i = 0; i < SL_COUNT_OF(names); i++)
        cr_assert_eq(check(names[i]), SLUICE_E_INVALID_TOPIC, "%s", names[i]);
}

Test(topic_name, is_at_most_249_characters)
{
    char name[251];
    memset(name, 'x', sizeof name);
    name[249] = '\0';
    cr_assert_eq(check(name), SLUICE_OK);
    name[249] = 'x';
    name[250] = '\0';
    cr_assert_eq(check(name), SLUICE_E_INVALID_TOPIC);
}

Test(topic_name, keeps_the_reserved_space_for_the_broker)
{
    const char *reason;
    struct sl_bytes name = sl_bytes_of_text("__sluice_dlq.mask");
    cr_assert_eq(topic_name_check(name, false, &reason), SLUICE_E_INVALID_TOPIC);
    cr_assert_eq(topic_name_check(name, true, &reason), SLUICE_OK);
}

Test(topic_name, collides_when_only_dot_and_underscore_differ)
{
    cr_assert(topic_name_collides(sl_bytes_of_text("a.b_c"), sl_bytes_of_text("a_b.c")));
    cr_assert_not(topic_name_collides(sl_bytes_of_text("a.b"), sl_bytes_of_text("a.b")));
    cr_assert_not(topic_name_collides(sl_bytes_of_text("a.b"), sl_bytes_of_text("a-b")));
    cr_assert_eq(topic_name_hash(sl_bytes_of_text("a.b")),
                 topic_name_hash(sl_bytes_of_text("a_b")));
}
