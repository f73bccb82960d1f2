/* test_broker_guard.c: requests of which a part is refused, before a broker that is made up. */
#include "admit/acl_file.h"
#include "base/bytes.h"
#include "intake/broker_guard.h"

#include <criterion/criterion.h>
#include <string.h>

#define ENTRIES 3u

static struct broker_link link;
static struct broker_guard guard;
static bool has_no_memory; /* the broker: it answers nothing */

/* What the broker was asked, and what came of it. */
static struct {
    uint32_t count;
    char topics[ENTRIES][16];
    int64_t expected[ENTRIES];
    bool has_terms;
} asked;
static struct {
    bool done;
    uint32_t count;
    struct sluice_produce_result results[ENTRIES];
} answered;

static void produce(const struct sluice_broker *broker, const struct sluice_context *context,
                    const struct sluice_produce *request, sluice_produce_done *done, void *arg)
{
    struct sluice_produce_result results[ENTRIES];
    (void)broker;
    (void)context;
    asked.count = request->entry_count;
    asked.has_terms = request->size >= sizeof(*request) && request->terms != NULL;
    for (uint32_t i = 0; i < request->entry_count; i++) {
        struct sluice_text name = request->entries[i].topic.name;
        memcpy(asked.topics[i], name.data, (size_t)name.size);
        asked.expected[i] = asked.has_terms ? request->terms[i].expected_offset : -1;
        results[i] = (struct sluice_produce_result){.base_offset = 100 + asked.expected[i]};
    }
    done(arg, has_no_memory ? NULL : results, has_no_memory ? 0 : request->entry_count, 0);
}

static void on_done(void *arg, const struct sluice_produce_result *results, uint32_t count,
                    int32_t throttle_ms)
{
    (void)arg;
    (void)throttle_ms;
    answered.done = true;
    answered.count = count;
    for (uint32_t i = 0; i < count; i++) {
        answered.results[i] = results[i];
    }
}

/* A writes to all topics but to "no". */
static void set_up(void)
{
    static const char text[] = "{\"rules\":["
                               "{\"principal\":\"User:A\",\"operation\":\"Write\",\"resource\":"
                               "\"Topic:no\",\"allow\":false},"
                               "{\"principal\":\"User:A\",\"operation\":\"Write\",\"resource\":"
                               "\"Topic:*\",\"allow\":true}]}";
    struct acl_rules rules;
    char why[ACL_FILE_WHY_BYTES];
    struct policy *policy = NULL;
    sl_err err = acl_file_parse(sl_bytes_of_text(text), &rules, why);
    cr_assert_eq(err, SLUICE_OK, "%s", why);
    cr_assert_eq(policy_new(rules.rules, rules.count, NULL, 0, true, false, &policy), SLUICE_OK);
    sl_free(rules.rules);
    memset(&link, 0, sizeof(link));
    memset(&asked, 0, sizeof(asked));
    memset(&answered, 0, sizeof(answered));
    has_no_memory = false;
    link.table.produce = produce;
    broker_guard_init(&guard, &link, policy);
}

static void tear_down(void)
{
    broker_guard_fini(&guard);
}

TestSuite(broker_guard, .init = set_up, .fini = tear_down);

static void ask(const char *const names[ENTRIES], uint32_t size)
{
    struct sluice_produce_entry entries[ENTRIES];
    struct sluice_produce_terms terms[ENTRIES];
    const struct sluice_context context = {.size = sizeof(context),
                                           .principal = sluice_text_of("User:A"),
                                           .client_host = sluice_text_of("10.0.0.1:4711")};
    for (uint32_t i = 0; i < ENTRIES; i++) {
        entries[i] = (struct sluice_produce_entry){.topic.name = sluice_text_of(names[i])};
        terms[i] = (struct sluice_produce_terms){.expected_offset = (int64_t)i + 1};
    }
    const struct sluice_produce request = {
        .size = size, .acks = -1, .entry_count = ENTRIES, .entries = entries, .terms = terms};
    guard.table.produce(&guard.table, &context, &request, on_done, NULL);
    cr_assert(answered.done);
}

Test(broker_guard, what_goes_on_of_a_request_keeps_its_own_terms)
{
    ask((const char *const[]){"a", "no", "b"}, sizeof(struct sluice_produce));
    cr_assert_eq(asked.count, 2);
    cr_assert_str_eq(asked.topics[1], "b");
    cr_assert_eq(asked.expected[0], 1);
    cr_assert_eq(asked.expected[1], 3);
    cr_assert_eq(answered.count, ENTRIES);
    cr_assert_eq(answered.results[0].base_offset, 101);
    cr_assert_eq(answered.results[1].status, SLUICE_E_TOPIC_AUTHORIZATION);
    cr_assert_eq(answered.results[2].base_offset, 103);
}

Test(broker_guard, of_a_request_no_more_is_read_than_its_frontend_knows)
{
    ask((const char *const[]){"a", "no", "b"}, offsetof(struct sluice_produce, transactional_id));
    cr_assert_eq(asked.count, 2);
    cr_assert_not(asked.has_terms);
    cr_assert_eq(answered.count, ENTRIES);
}

Test(broker_guard, what_the_broker_had_no_memory_to_answer_is_not_taken_for_done)
{
    has_no_memory = true;
    ask((const char *const[]){"a", "no", "b"}, sizeof(struct sluice_produce));
    cr_assert_eq(asked.count, 2);
    cr_assert_eq(answered.count, 0);
}

Test(broker_guard, what_is_refused_as_a_whole_is_answered_without_the_broker)
{
    has_no_memory = true;
    ask((const char *const[]){"no", "no", "no"}, sizeof(struct sluice_produce));
    cr_assert_eq(asked.count, 0);
    cr_assert_eq(answered.count, ENTRIES);
    cr_assert_eq(answered.results[2].status, SLUICE_E_TOPIC_AUTHORIZATION);
}
