/* test_settings.c: configurations of groups, on both logs. */
#include "shard/settings.h"
#include "shard_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define CHANGES 32

static struct fixture f;

/* A change of one key of one group. */
struct change {
    struct sluice_config_change key;
    struct sluice_config_alter alter;
    bool done;
    sluice_status status;
    char reason[CONFIG_REASON_BYTES];
};

static void on_changed(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    struct change *change = arg;
    cr_assert_eq(count, 1);
    change->status = results[0].status;
    snprintf(change->reason, sizeof(change->reason), "%.*s", (int)results[0].reason.size,
             results[0].reason.data);
    change->done = true;
}

/* value NULL: it goes. */
static void change_start(struct change *change, const char *group, const char *key,
                         const char *value, bool replace)
{
    *change = (struct change){
        .key = {.key = sluice_text_of(key),
                .value = sluice_text_of(value),
                .operation = value != NULL ? SLUICE_CONFIG_SET : SLUICE_CONFIG_DELETE}};
    change->alter = (struct sluice_config_alter){.size = sizeof(change->alter),
                                                 .resource = SLUICE_RESOURCE_GROUP,
                                                 .name = sluice_text_of(group),
                                                 .replace = replace,
                                                 .change_count = 1,
                                                 .changes = &change->key};
    settings_alter_start(fixture_home(&f), &change->alter, 1, false, on_changed, change);
}

struct value {
    const char *key;
    char text[32];
    bool done;
};

static void on_described(void *arg, const struct sluice_config_result *result)
{
    struct value *value = arg;
    cr_assert_eq(result->status, SLUICE_OK);
    for (uint32_t i = 0; i < result->entry_count; i++) {
        struct sluice_text name = result->entries[i].name;
        if (name.size == strlen(value->key) && memcmp(name.data, value->key, name.size) == 0) {
            snprintf(value->text, sizeof(value->text), "%.*s", (int)result->entries[i].value.size,
                     result->entries[i].value.data);
        }
    }
    value->done = true;
}

static const char *value_of(const char *group, const char *key)
{
    static struct value value;
    value = (struct value){.key = key};
    settings_describe_start(fixture_home(&f), SLUICE_RESOURCE_GROUP, sluice_text_of(group),
                            on_described, &value);
    fixture_run_until(&f, &value.done);
    return value.text;
}

/* clang-format off */
#define EACH_BROKER(name)                                                               \
    static void name(void);                                                             \
    Test(settings_on_disk, name)                                                        \
    {                                                                                   \
        fixture_open(&f, 31, 2);                                                        \
        name();                                                                         \
        fixture_close(&f);                                                              \
    }                                                                                   \
    Test(settings_without_disk, name)                                                   \
    {                                                                                   \
        fixture_open_without_disk(&f, 31, 2);                                           \
        name();                                                                         \
        fixture_close(&f);                                                              \
    }                                                                                   \
    static void name(void)
/* clang-format on */

EACH_BROKER(changes_at_once_that_are_right_alone_do_not_make_a_wrong_pair)
{
    struct change heartbeat, session;
    f.settings.consumer_bounds.session_min_ms = 1000;
    change_start(&heartbeat, "g", "consumer.heartbeat.interval.ms", "15000", false);
    change_start(&session, "g", "consumer.session.timeout.ms", "10000", false);
    fixture_run_until(&f, &heartbeat.done);
    fixture_run_until(&f, &session.done);
    cr_assert_eq(heartbeat.status, SLUICE_OK, "%s", heartbeat.reason);
    cr_assert_eq(session.status, SLUICE_E_INVALID_CONFIG);
    cr_assert_str_eq(session.reason, "consumer.session.timeout.ms must be greater than "
                                     "consumer.heartbeat.interval.ms (10000 and 15000)");
    cr_assert_str_eq(value_of("g", "consumer.session.timeout.ms"), "45000");
}

EACH_BROKER(what_replaces_all_keys_takes_away_those_of_a_change_at_the_same_time)
{
    struct change first, second;
    change_start(&first, "g", "consumer.heartbeat.interval.ms", "15000", false);
    change_start(&second, "g", "consumer.session.timeout.ms", "50000", true);
    fixture_run_until(&f, &first.done);
    fixture_run_until(&f, &second.done);
    cr_assert_eq(second.status, SLUICE_OK, "%s", second.reason);
    cr_assert_str_eq(value_of("g", "consumer.heartbeat.interval.ms"), "5000");
    cr_assert_str_eq(value_of("g", "consumer.session.timeout.ms"), "50000");
}

EACH_BROKER(many_changes_at_once_are_made_in_their_order)
{
    static struct change changes[CHANGES];
    static char values[CHANGES][16];
    for (int i = 0; i < CHANGES; i++) {
        /* Each other one is refused, and holds up nobody. */
        snprintf(values[i], sizeof(values[i]), "%d", i % 2 == 0 ? 5000 + i : 1);
        change_start(&changes[i], "g", "consumer.heartbeat.interval.ms", values[i], false);
    }
    for (int i = 0; i < CHANGES; i++) {
        fixture_run_until(&f, &changes[i].done);
        cr_assert_eq(changes[i].status, i % 2 == 0 ? SLUICE_OK : SLUICE_E_INVALID_CONFIG);
    }
    cr_assert_str_eq(value_of("g", "consumer.heartbeat.interval.ms"), values[CHANGES - 2]);
}
