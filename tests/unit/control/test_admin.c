/* test_admin.c: the admin protocol on a fake broker: framing, refusals, produce and consume. */
#include "control/admin.h"
#include "control/base64.h"
#include "record/batch_view.h"

#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static char output[1 << 16];
static size_t output_size;
static uint8_t stored[1 << 16]; /* the one partition: batches with offsets */
static size_t stored_size;
static int64_t next_offset;
static bool has_no_memory; /* to answer produce */
static bool finds_no_memory,
    makes_no_memory; /* to answer which topic there is; that one was made */
static bool topic_exists, auto_create = true;
static sluice_health_done *waiting_done;
static void *waiting_arg;
static bool health_waits;

static void fake_topics(const struct sluice_broker *broker, const struct sluice_context *context,
                        const struct sluice_topic_ref *topics, uint32_t count, bool create,
                        sluice_topics_done *done, void *arg)
{
    (void)broker;
    (void)context;
    (void)count;
    (void)create;
    static const struct sluice_partition_info partitions[1] = {{.partition = 0}};
    struct sluice_topic_info info = {.size = sizeof(info)};
    info.name = topics != NULL ? topics->name : sluice_text_of("t");
    info.status = topic_exists ? SLUICE_OK : SLUICE_E_UNKNOWN_TOPIC;
    info.partition_count = topic_exists ? 1 : 0;
    info.partitions = partitions;
    done(arg, &info, finds_no_memory || (topics == NULL && !topic_exists) ? 0 : 1);
}

static void fake_create(const struct sluice_broker *broker, const struct sluice_context *context,
                        const struct sluice_topic_spec *specs, uint32_t count, bool validate_only,
                        sluice_topic_results_done *done, void *arg)
{
    (void)broker;
    (void)context;
    (void)count;
    (void)validate_only;
    struct sluice_topic_result result = {.name = specs->name, .partition_count = 1};
    if (topic_exists) {
        result.status = SLUICE_E_TOPIC_EXISTS;
        result.reason = sluice_text_of("it is there");
    }
    topic_exists = true;
    done(arg, &result, makes_no_memory ? 0 : 1);
}

static void fake_produce(const struct sluice_broker *broker, const struct sluice_context *context,
                         const struct sluice_produce *request, sluice_produce_done *done, void *arg)
{
    (void)broker;
    (void)context;
    struct batch_view view;
    cr_assert_eq(request->entry_count, 1);
    struct sluice_bytes bytes = request->entries[0].batch;
    memcpy(stored + stored_size, bytes.data, bytes.size);
    batch_patch_base_offset(stored + stored_size, next_offset);
    cr_assert_eq(batch_view_init(&view, (struct sl_bytes){stored + stored_size, bytes.size}), 0);
    cr_assert_eq(batch_view_check_crc(&view), SLUICE_OK);
    struct sluice_produce_result result = {.base_offset = next_offset};
    next_offset = batch_view_next_offset(&view);
    stored_size += bytes.size;
    done(arg, has_no_memory ? NULL : &result, has_no_memory ? 0 : 1, 0);
}

static void fake_fetch(const struct sluice_broker *broker, const struct sluice_context *context,
                       const struct sluice_fetch *request, sluice_fetch_done *done, void *arg)
{
    (void)broker;
    (void)context;
    struct sluice_fetch_result result = {.high_watermark = next_offset};
    if (request->entries[0].offset > next_offset) {
        result.status = SLUICE_E_OFFSET_OUT_OF_RANGE;
    }
    result.records = (struct sluice_bytes){stored, stored_size};
    done(arg, &result, 1, 0);
}

static void fake_offsets(const struct sluice_broker *broker, const struct sluice_context *context,
                         int32_t isolation, const struct sluice_offset_query *queries,
                         uint32_t count, sluice_offsets_done *done, void *arg)
{
    (void)broker;
    (void)context;
    (void)isolation;
    struct sluice_offset_answer answers[2] = {{.offset = 0}, {.offset = 0}};
    for (uint32_t i = 0; i < count; i++) {
        answers[i].offset = queries[i].timestamp == SLUICE_TIME_LATEST ? next_offset : 0;
    }
    done(arg, answers, count);
}

static void fake_configs(const struct sluice_broker *broker, const struct sluice_context *context,
                         int32_t resource, struct sluice_text name, sluice_config_done *done,
                         void *arg)
{
    (void)broker;
    (void)context;
    (void)resource;
    struct sluice_config_entry entry = {.name = sluice_text_of("retention.ms"),
                                        .value = sluice_text_of("7"),
                                        .source = SLUICE_CONFIG_SOURCE_TOPIC};
    struct sluice_config_result result = {.name = name, .entry_count = 1, .entries = &entry};
    done(arg, &result);
}

static void fake_health(const struct sluice_broker *broker, const struct sluice_context *context,
                        int32_t what, sluice_health_done *done, void *arg)
{
    (void)broker;
    (void)context;
    (void)what;
    if (health_waits) {
        waiting_done = done;
        waiting_arg = arg;
        return;
    }
    struct sluice_health health = {.size = sizeof(health), .ok = true};
    health.text = sluice_text_of("");
    done(arg, &health);
}

static void fake_records_delete(const struct sluice_broker *broker,
                                const struct sluice_context *context,
                                const struct sluice_records_delete *entries, uint32_t count,
                                sluice_records_deleted_done *done, void *arg)
{
    (void)broker;
    (void)context;
    cr_assert_eq(count, 1);
    bool all = entries->before_offset == SLUICE_OFFSET_HIGH_WATERMARK;
    bool ok = topic_exists && entries->before_offset <= 9;
    struct sluice_records_deleted result = {.status = ok ? SLUICE_OK : SLUICE_E_OFFSET_OUT_OF_RANGE,
                                            .log_start_offset = !ok   ? -1
                                                                : all ? 9
                                                                      : entries->before_offset};
    done(arg, &result, 1);
}

static const struct sluice_broker broker = {.size = sizeof(broker),
                                            .topics = fake_topics,
                                            .topics_create = fake_create,
                                            .produce = fake_produce,
                                            .fetch = fake_fetch,
                                            .offsets = fake_offsets,
                                            .configs_describe = fake_configs,
                                            .health = fake_health,
                                            .records_delete = fake_records_delete};

static void fake_write(void *arg, void *connection, const void *bytes, size_t size)
{
    (void)arg;
    cr_assert_eq(connection, (void *)&broker);
    memcpy(output + output_size, bytes, size);
    output_size += size;
    output[output_size] = '\0';
}
static int64_t fake_wall(void *arg)
{
    (void)arg;
    return 1000;
}

static struct admin_server *server;
static struct admin_session *session;

static void open_session(void)
{
    struct admin_server_config config = {
        .broker = &broker, .topics_auto_create = auto_create, .decompressed_bytes_max = 1 << 20};
    config.hooks.write = fake_write;
    config.hooks.wall_ms = fake_wall;
    cr_assert_eq(admin_server_new(&config, &server), SLUICE_OK);
    cr_assert_eq(admin_session_open(server, (void *)(uintptr_t)&broker, &session), SLUICE_OK);
}
static void close_session(void)
{
    admin_session_close(session);
    admin_server_free(server);
}
static const char *ask(const char *line)
{
    output_size = 0;
    output[0] = '\0';
    struct sl_bytes bytes = {(const uint8_t *)line, strlen(line)};
    cr_assert_eq(admin_session_input(session, bytes), SLUICE_OK);
    struct sl_bytes end = {(const uint8_t *)"\n", 1};
    cr_assert_eq(admin_session_input(session, end), SLUICE_OK);
    return output;
}
#define EXPECT(line, part) cr_expect_not_null(strstr(ask(line), part), "%s gave %s", line, output)

Test(admin, answers_what_is_no_request)
{
    open_session();
    EXPECT("nonsense", "\"code\":\"SLU-1011\"");
    EXPECT("[1]", "SLU-1601");
    EXPECT("{\"id\":3,\"command\":\"topic.lst\"}", "did you mean topic.list");
    EXPECT("{\"id\":3,\"command\":\"topic.lst\"}", "\"id\":3");
    EXPECT("{\"command\":\"topic.create\"}", "\\\"topic\\\" is missing");
    EXPECT("{\"command\":\"plugin.list\"}", "SLU-1009");
    EXPECT("{\"command\":\"help\"}", "\"ok\":true");
    cr_expect_str_eq(ask(""), "");
    close_session();
}

Test(admin, takes_lines_in_any_split)
{
    const char *line = "{\"id\":1,\"command\":\"topic.list\"}\r\n{\"id\":2,\"command\":\"help\"}\n";
    open_session();
    output_size = 0;
    for (size_t i = 0; i < strlen(line); i++) {
        struct sl_bytes bytes = {(const uint8_t *)line + i, 1};
        cr_assert_eq(admin_session_input(session, bytes), SLUICE_OK);
    }
    cr_expect_not_null(strstr(output, "{\"id\":1,\"ok\":true,\"result\":{\"topics\":[]}}\n"));
    cr_expect_not_null(strstr(output, "\n{\"id\":2,\"ok\":true"));
    close_session();
}

Test(admin, refuses_a_line_without_end)
{
    open_session();
    uint8_t *bytes = calloc(1, 1 << 20);
    sl_err err = SLUICE_OK;
    for (int i = 0; i < 17 && err == SLUICE_OK; i++) {
        err = admin_session_input(session, (struct sl_bytes){bytes, 1 << 20});
    }
    cr_expect_eq(err, SLUICE_E_FRAME_TOO_LARGE);
    free(bytes);
    close_session();
}

Test(admin, creates_and_describes_topics)
{
    open_session();
    EXPECT("{\"command\":\"topic.create\",\"args\":{\"topic\":\"t\"}}", "\"partitions\":1");
    EXPECT("{\"command\":\"topic.create\",\"args\":{\"topic\":\"t\"}}", "it is there");
    EXPECT("{\"command\":\"topic.create\",\"args\":{\"topic\":\"t\",\"partitions\":1.5}}",
           "SLU-1304");
    EXPECT("{\"command\":\"topic.create\",\"args\":{\"topic\":\"t\",\"configs\":{\"a\":1}}}",
           "SLU-1306");
    EXPECT("{\"command\":\"topic.describe\",\"args\":{\"topic\":\"t\"}}",
           "\"log_start_offset\":\"0\",\"end_offset\":\"0\"");
    EXPECT("{\"command\":\"topic.describe\",\"args\":{\"topic\":\"t\"}}",
           "\"retention.ms\":{\"value\":\"7\",\"source\":\"topic\"}");
    close_session();
}

Test(admin, trims_a_partition_to_an_offset_or_to_its_end)
{
    topic_exists = true;
    open_session();
    EXPECT(
        "{\"command\":\"topic.trim\",\"args\":{\"topic\":\"t\",\"partition\":0,\"before\":\"5\"}}",
        "\"log_start_offset\":\"5\"");
    EXPECT("{\"command\":\"topic.trim\",\"args\":{\"topic\":\"t\",\"partition\":0,\"before\":"
           "\"end\"}}",
           "\"log_start_offset\":\"9\"");
    EXPECT("{\"command\":\"topic.trim\",\"args\":{\"topic\":\"t\",\"partition\":0,\"before\":10}}",
           "SLU-1307");
    EXPECT(
        "{\"command\":\"topic.trim\",\"args\":{\"topic\":\"t\",\"partition\":0,\"before\":\"-1\"}}",
        "SLU-1002");
    EXPECT("{\"command\":\"topic.trim\",\"args\":{\"topic\":\"t\",\"partition\":0}}", "SLU-1002");
    EXPECT("{\"command\":\"topic.trim\",\"args\":{\"topic\":\"t\",\"before\":1}}", "SLU-1002");
    close_session();
}

Test(admin, gives_back_what_was_produced)
{
    open_session();
    EXPECT("{\"command\":\"produce\",\"args\":{\"topic\":\"t\",\"records\":["
           "{\"key\":\"k\",\"value\":\"9007199254740993\",\"headers\":[{\"key\":\"h\",\"value\":"
           "\"1\"}]},"
           "{\"value_base64\":\"/wA=\",\"timestamp\":\"77\"},{\"key_base64\":\"\"}]}}",
           "\"count\":3,\"ok\":true,\"base_offset\":\"0\"");
    EXPECT("{\"command\":\"consume\",\"args\":{\"topic\":\"t\",\"max\":1}}",
           "\"offset\":\"0\",\"timestamp\":\"1000\",\"key\":\"k\",\"value\":\"9007199254740993\","
           "\"headers\":[{\"key\":\"h\",\"value\":\"1\"}]}],\"partition\":0,\"next_offset\":\"1\"");
    EXPECT("{\"command\":\"consume\",\"args\":{\"topic\":\"t\",\"offset\":1}}",
           "\"timestamp\":\"77\",\"key\":null,\"value_base64\":\"/wA=\"");
    EXPECT("{\"command\":\"consume\",\"args\":{\"topic\":\"t\",\"offset\":\"2\"}}",
           "\"key\":\"\",\"value\":null");
    EXPECT("{\"command\":\"consume\",\"args\":{\"topic\":\"t\",\"offset\":\"end\"}}",
           "\"records\":[],\"partition\":0,\"next_offset\":\"3\",\"high_watermark\":\"3\"");
    EXPECT("{\"command\":\"consume\",\"args\":{\"topic\":\"t\",\"offset\":9}}", "SLU-1307");
    close_session();
}

Test(admin, refuses_records_that_cannot_be)
{
    open_session();
    topic_exists = true;
    EXPECT("{\"command\":\"produce\",\"args\":{\"topic\":\"t\",\"records\":[]}}", "1 to 10000");
    EXPECT("{\"command\":\"produce\",\"args\":{\"topic\":\"t\",\"records\":[7]}}", "at record 0");
    EXPECT("{\"command\":\"produce\",\"args\":{\"topic\":\"t\",\"records\":[{},{\"value\":7}]}}",
           "at record 1");
    EXPECT("{\"command\":\"produce\",\"args\":{\"topic\":\"t\",\"records\":[{\"value_base64\":"
           "\"a\"}]}}",
           "SLU-1011");
    EXPECT("{\"command\":\"produce\",\"args\":{\"topic\":\"t\",\"partition\":4,\"records\":[{}]}}",
           "SLU-1300");
    EXPECT("{\"command\":\"produce\",\"args\":{\"topic\":\"t\",\"acks\":2,\"records\":[{}]}}",
           "SLU-1406");
    EXPECT("{\"command\":\"consume\",\"args\":{\"topic\":\"t\",\"offset\":\"x\"}}", "SLU-1002");
    EXPECT("{\"command\":\"consume\",\"args\":{\"topic\":\"t\",\"max\":0}}", "SLU-1002");
    close_session();
}

Test(admin, creates_no_topic_where_that_is_off)
{
    auto_create = false;
    open_session();
    EXPECT("{\"command\":\"produce\",\"args\":{\"topic\":\"t\",\"records\":[{}]}}", "SLU-1300");
    close_session();
}

Test(admin, does_not_take_for_produced_what_the_broker_had_no_memory_to_answer)
{
    has_no_memory = true;
    open_session();
    EXPECT("{\"command\":\"produce\",\"args\":{\"topic\":\"t\",\"records\":[{}]}}", "SLU-1001");
    close_session();
}

Test(admin, a_topic_of_which_the_broker_had_no_memory_to_tell_is_no_reason_to_end)
{
    makes_no_memory = true;
    open_session();
    EXPECT("{\"command\":\"produce\",\"args\":{\"topic\":\"t\",\"records\":[{}]}}", "SLU-1001");
    finds_no_memory = true;
    EXPECT("{\"command\":\"produce\",\"args\":{\"topic\":\"t\",\"records\":[{}]}}", "SLU-1001");
    close_session();
}

Test(admin, drops_the_answer_of_a_session_that_closed)
{
    open_session();
    health_waits = true;
    ask("{\"command\":\"health\"}");
    admin_session_close(session);
    health_waits = false;
    struct sluice_health health = {.size = sizeof(health), .ok = true};
    health.text = sluice_text_of("");
    waiting_done(waiting_arg, &health);
    cr_expect_eq(output_size, 0);
    admin_server_free(server);
}

Test(base64, follows_the_vectors_of_rfc_4648)
{
    static const char *const vectors[][2] = {
        {"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
        {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < SL_COUNT_OF(vectors); i++) {
        char text[32];
        uint8_t bytes[32];
        size_t size = 0;
        const char *plain = vectors[i][0];
        base64_encode((struct sl_bytes){(const uint8_t *)plain, strlen(plain)}, text);
        cr_expect_str_eq(text, vectors[i][1]);
        cr_assert_eq(base64_decode(text, strlen(text), bytes, &size), SLUICE_OK);
        cr_expect(size == strlen(plain) && memcmp(bytes, plain, size) == 0);
    }
}

Test(base64, refuses_what_is_not_base64)
{
    static const char *const wrong[] = {
        "Z", "Zg", "Zg=", "Z===", "=AAA", "Zg==Zg==", "Zm9 ", "Zg=v"};
    uint8_t bytes[32];
    size_t size = 0;
    for (size_t i = 0; i < SL_COUNT_OF(wrong); i++) {
        cr_expect_eq(base64_decode(wrong[i], strlen(wrong[i]), bytes, &size), SLUICE_E_MALFORMED,
                     "%s", wrong[i]);
    }
}
