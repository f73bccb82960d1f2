/* test_config.c: layers, precedence, types, refusals and the reload report. */
#include "control/config.h"
#include "control/config_option.h"

#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct config_report report;

static struct sl_bytes bytes_of(const char *text)
{
    return (struct sl_bytes){(const uint8_t *)text, strlen(text)};
}

static struct sl_config *load(const char *text, const struct config_sources *sources)
{
    static const struct config_sources none;
    struct sl_config *config = NULL;
    sl_err err = config_load_text(bytes_of(text), "t.yaml", sources != NULL ? sources : &none,
                                  &report, &config);
    cr_assert_eq(err, SLUICE_OK, "%s", report.problems[0]);
    return config;
}

static void refused(const char *text, sl_err expected, const char *sentence)
{
    static const struct config_sources none;
    struct sl_config *config = NULL;
    sl_err err = config_load_text(bytes_of(text), "t.yaml", &none, &report, &config);
    cr_assert_eq(err, expected, "%s gave %d", text, err);
    cr_assert_null(config);
    cr_assert_not_null(strstr(report.problems[0], sentence), "got: %s", report.problems[0]);
}

static const struct config_origin *origin(const struct sl_config *config, const char *key)
{
    const struct config_option *option = config_option_find(config_section_main(), key);
    cr_assert_not_null(option);
    return &config->origins[option - config_options];
}

/* What `config show` writes and what the admin socket, bundles and plugins get. */
static void shows_not(const struct sl_config *config, const char *secret)
{
    char *written = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&written, &size);
    config_show_write(config, out);
    fclose(out);
    cJSON *all = config_show_json(config);
    char *json = cJSON_PrintUnformatted(all);
    cr_expect_null(strstr(written, secret));
    cr_expect_null(strstr(json, secret));
    cr_expect_not_null(strstr(written, CONFIG_HIDDEN));
    cr_expect_not_null(strstr(json, CONFIG_HIDDEN));
    free(written);
    free(json);
    cJSON_Delete(all);
}

/* "a.b.c" as a map in a map, with a value of which the last word is to be told apart. */
static void nest(const char *prefix, const char *key, char ret_text[256])
{
    size_t used = (size_t)snprintf(ret_text, 256, "%s", prefix);
    uint32_t depth = prefix[0] != '\0' ? 3 : 0;
    for (; *key != '\0'; key++) {
        used += (size_t)snprintf(ret_text + used, 256 - used, *key == '.' ? ": {" : "%c", *key);
        depth += *key == '.';
    }
    used += (size_t)snprintf(ret_text + used, 256 - used, ": hunter-one");
    memset(ret_text + used, '}', depth);
    ret_text[used + depth] = '\0';
}

static void is_hidden(char text[256])
{
    struct config_diff *diff = NULL;
    struct sl_config *one = load(text, NULL);
    memcpy(strstr(text, "one"), "two", 3);
    struct sl_config *two = load(text, NULL);
    shows_not(one, "hunter");
    cr_assert_eq(config_diff_new(one, two, &diff), SLUICE_OK);
    cr_assert_eq(diff->count, 1, "%s", text);
    cr_expect_null(strstr(diff->changes[0].before, "hunter"));
    cr_expect_null(strstr(diff->changes[0].after, "hunter"));
    config_diff_free(diff);
    config_free(one);
    config_free(two);
}

Test(config, a_secret_is_shown_nowhere_and_its_change_is_told)
{
    uint32_t secrets = 0;
    for (uint32_t i = 0; i < config_option_count; i++) {
        char text[256];
        if (config_options[i].is_secret) {
            nest("", config_options[i].key, text);
            is_hidden(text);
            nest("kafka: {listeners: {x: {", strrchr(config_options[i].key, '.') + 1, text);
            is_hidden(text);
            secrets++;
        }
    }
    cr_assert_geq(secrets, 3);
}

Test(config, gives_defaults_for_an_empty_file)
{
    struct sl_config *config = load("", NULL);
    cr_expect_str_eq(config->kafka.listen, "127.0.0.1:9092");
    cr_expect_eq(config->wal.segment_bytes, 64 << 20);
    cr_expect_eq(config->groups.initial_rebalance_delay_ms, 3000);
    cr_expect_str_eq(config->admin.socket, "/var/lib/sluice/sluice.sock");
    cr_expect_eq(config->plugins.enabled.count, SLUICE_FRONTEND_COUNT);
    cr_expect_eq(origin(config, "kafka.listen")->source, CONFIG_SOURCE_DEFAULT);
    config_free(config);
}

Test(config, takes_other_defaults_with_dev)
{
    struct config_sources sources = {.dev = true, .executable = "/opt/s/bin/sluice"};
    struct sl_config *config = load("# nothing\n", &sources);
    cr_expect_str_eq(config->data.dir, "var/data");
    cr_expect_str_eq(config->admin.socket, "var/sluice.sock");
    cr_expect_str_eq(config->plugins.system_dir, "/opt/s/lib/sluice/plugins");
    cr_expect(config->core.topics_auto_create);
    cr_expect_eq(config->wal.segment_bytes, 8 << 20);
    cr_expect_eq(origin(config, "data.dir")->source, CONFIG_SOURCE_DEV);
    config_free(config);
}

Test(config, prefers_command_line_to_environment_to_file_to_default)
{
    const char *environment[] = {"SLUICE_LOG__LEVEL=warn", "SLUICE_HTTP__LISTEN=[::1]:1",
                                 "SLUICE_HOME=ignored", "PATH=/bin", NULL};
    struct config_sources sources = {
        .environment = environment, .settings = {"log.level=error"}, .setting_count = 1};
    struct sl_config *config =
        load("log:\n  level: debug\n  format: json\nhttp:\n  listen: a:2\n", &sources);
    char place[CONFIG_ORIGIN_TEXT_MAX];
    cr_expect_eq(config->log.level, CONFIG_LOG_ERROR);
    cr_expect_str_eq(config->http.listen, "[::1]:1");
    cr_expect_eq(config->log.format, CONFIG_LOG_JSON);
    cr_expect_str_eq(config_origin_text(origin(config, "log.level"), place), "--set");
    cr_expect_str_eq(config_origin_text(origin(config, "http.listen"), place),
                     "SLUICE_HTTP__LISTEN");
    cr_expect_str_eq(config_origin_text(origin(config, "log.format"), place), "t.yaml:3:11");
    config_free(config);
}

Test(config, puts_data_and_plugins_below_home)
{
    struct config_sources sources = {.home = "/tmp/h", .dev = true};
    struct sl_config *config = load("data: {dir: /elsewhere}", &sources);
    cr_expect_str_eq(config->data.dir, "/tmp/h/data");
    cr_expect_str_eq(config->plugins.dir, "/tmp/h/plugins");
    cr_expect_str_eq(config->admin.socket, "/tmp/h/sluice.sock");
    config_free(config);
}

Test(config, reads_json_and_keeps_instance_configs_digit_for_digit)
{
    struct sl_config *config = load(
        "{\"plugins\":{\"instances\":{\"mask\":{\"module\":\"mask.lua\",\"input\":[\"a\",\"b*\"],"
        "\"on\":\"log\",\"limits\":{\"memory_bytes\":\"10 MiB\"},"
        "\"config\":{\"id\":9007199254740993,\"s\":\"1\",\"f\":1.50,\"l\":[true,null]}}}}}",
        NULL);
    cr_assert_eq(config->plugins.instance_count, 1);
    const struct config_instance *mask = &config->plugins.instances[0];
    cr_expect_str_eq(mask->name, "mask");
    cr_expect_eq(mask->input.count, 2);
    cr_expect_eq(mask->on, CONFIG_ON_LOG);
    cr_expect_eq(mask->memory_bytes, 10 << 20);
    cr_expect_str_eq(mask->config_json,
                     "{\"id\":9007199254740993,\"s\":\"1\",\"f\":1.50,\"l\":[true,null]}");
    config_free(config);
}

Test(config, sets_one_key_of_an_instance_from_the_command_line)
{
    struct config_sources sources = {.settings = {"plugins.instances.m.config.level=7"},
                                     .setting_count = 1};
    struct sl_config *config =
        load("plugins:\n  instances:\n    m:\n      config:\n        a: x\n", &sources);
    cr_expect_str_eq(config->plugins.instances[0].config_json, "{\"a\":\"x\",\"level\":7}");
    config_free(config);
}

Test(config, allows_a_broker_without_frontends)
{
    struct config_sources sources = {.settings = {"plugins.enabled="}, .setting_count = 1};
    struct sl_config *config = load("", &sources);
    cr_expect_eq(config->plugins.enabled.count, 0);
    config_free(config);
    config = load("plugins: {enabled: []}", NULL);
    cr_expect_eq(config->plugins.enabled.count, 0);
    config_free(config);
}

Test(config, refuses_an_unknown_key_with_place_and_the_nearest_one)
{
    refused("log:\n  level: info\nkafka:\n  lisen: a:1\n", SLUICE_E_CONFIG_UNKNOWN_KEY,
            "t.yaml:4:10: unknown key \"kafka.lisen\"; did you mean \"kafka.listen\"?");
    refused("kafak:\n  listen: a:1\n", SLUICE_E_CONFIG_UNKNOWN_KEY, "t.yaml:2:3: unknown key");
    refused("kafka.listen: a:1\n", SLUICE_E_CONFIG_UNKNOWN_KEY, "must be nested");
    refused("plugins: {instances: {m: {modul: x}}}", SLUICE_E_CONFIG_UNKNOWN_KEY,
            "did you mean \"plugins.instances.m.module\"?");
}

Test(config, refuses_kafkas_name_of_a_key_with_its_own)
{
    refused("group: {min: {session: {timeout: {ms: 6000}}}}", SLUICE_E_CONFIG_UNKNOWN_KEY,
            "\"group.min.session.timeout.ms\" is Kafka's name: here it is "
            "\"groups.session_timeout_min\"");
    refused("group.consumer.assignors: range", SLUICE_E_CONFIG_UNKNOWN_KEY,
            "here it is \"groups.assignor\"");
    refused("group: {min: 1, max: 2}", SLUICE_E_CONFIG_UNKNOWN_KEY, "unknown key \"group\"");
}

Test(config, refuses_values_that_cannot_be)
{
    refused("kafka: {listen: 9092}", SLUICE_E_CONFIG_VALUE, "must be an address");
    refused("core: {topics: {auto_create: yes}}", SLUICE_E_CONFIG_VALUE, "must be true or false");
    refused("core: {topics: {partitions: 1e3}}", SLUICE_E_CONFIG_VALUE, "whole number");
    refused("core: {topics: {partitions: 0}}", SLUICE_E_CONFIG_VALUE, "from 1 to 10000");
    refused("wal: {segment_bytes: 64 MB of it}", SLUICE_E_CONFIG_VALUE, "must be a size");
    refused("wal: {segment_bytes: 1}", SLUICE_E_CONFIG_VALUE, "from 1 MiB to 1 GiB");
    refused("groups: {initial_rebalance_delay: 600}", SLUICE_E_CONFIG_VALUE, "must be a duration");
    refused("groups: {initial_rebalance_delay: 99999999999999999999 s}", SLUICE_E_CONFIG_VALUE,
            "duration");
    refused("log: {level: verbose}", SLUICE_E_CONFIG_VALUE, "one of debug info warn error");
    refused("log: {level: [info]}", SLUICE_E_CONFIG_VALUE, "single value");
    refused("log: info", SLUICE_E_CONFIG_VALUE, "is a section");
    refused("plugins: {instances: {Mask: {}}}", SLUICE_E_CONFIG_VALUE, "instance name");
    refused("runtime: {affinity: some}", SLUICE_E_CONFIG_VALUE, "runtime.affinity");
}

Test(config, refuses_bounds_that_contradict_each_other)
{
    refused("wal: {frame_bytes_max: 64 MiB}", SLUICE_E_CONFIG_VALUE,
            "t.yaml:1:24: wal.frame_bytes_max (64 MiB) must stay below wal.segment_bytes (64 MiB)");
    refused("groups: {session_timeout_min: 1 h}", SLUICE_E_CONFIG_VALUE, "must not exceed");
}

Test(config, refuses_yaml_beyond_its_subset)
{
    refused("a: &x 1\nb: *x\n", SLUICE_E_CONFIG_SYNTAX, "t.yaml:1:4: anchors");
    refused("log:\n  level: !!str info\n", SLUICE_E_CONFIG_SYNTAX, "tags");
    refused("log: {level: info}\nlog: {level: warn}\n", SLUICE_E_CONFIG_SYNTAX,
            "t.yaml:2:1: the key \"log\" was given already in line 1");
    refused("<<: {a: 1}", SLUICE_E_CONFIG_SYNTAX, "merge keys");
    refused("log: {}\n---\nlog: {}\n", SLUICE_E_CONFIG_SYNTAX, "second document");
    refused("log: {level: info\n", SLUICE_E_CONFIG_SYNTAX, "not valid YAML");
    refused("[1, 2]", SLUICE_E_CONFIG_SYNTAX, "expected \"section:\"");
    refused("\"a\\0b\": 1", SLUICE_E_CONFIG_SYNTAX, "key");
    refused("{[1]: 2}", SLUICE_E_CONFIG_SYNTAX, "plain word");
    refused("a: [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]", SLUICE_E_CONFIG_SYNTAX, "16 levels");
}

Test(config, refuses_settings_that_are_no_keys)
{
    struct config_sources sources = {.settings = {"log.level"}, .setting_count = 1};
    struct sl_config *config = NULL;
    cr_expect_eq(config_load_text(bytes_of(""), "t", &sources, &report, &config),
                 SLUICE_E_CONFIG_VALUE);
    sources.settings[0] = "..=3";
    cr_expect_eq(config_load_text(bytes_of(""), "t", &sources, &report, &config),
                 SLUICE_E_CONFIG_UNKNOWN_KEY);
    sources.settings[0] = "log=3";
    sources.settings[1] = "log.level=info";
    sources.setting_count = 2;
    cr_expect_eq(config_load_text(bytes_of(""), "t", &sources, &report, &config),
                 SLUICE_E_CONFIG_VALUE);
    const char *environment[] = {"SLUICE_KAFKA__LISEN=a:1", NULL};
    sources = (struct config_sources){.environment = environment};
    cr_expect_eq(config_load_text(bytes_of(""), "t", &sources, &report, &config),
                 SLUICE_E_CONFIG_UNKNOWN_KEY);
    cr_expect_not_null(strstr(report.problems[0], "SLUICE_KAFKA__LISEN: unknown key"));
}

Test(config, reads_the_arguments_of_serve)
{
    struct config_sources sources = {.file_count = 0};
    bool help = false;
    char problem[CONFIG_PROBLEM_TEXT_MAX];
    const char *args[] = {"--config", "a.yaml", "--config=b.yaml", "--dev",
                          "--set",    "a.b=c",  "--home",          "h"};
    cr_assert_eq(config_args(8, (char *const *)args, &sources, &help, problem), SLUICE_OK);
    cr_expect_eq(sources.file_count, 2);
    cr_expect_str_eq(sources.files[1], "b.yaml");
    cr_expect(sources.dev && !help);
    cr_expect_str_eq(sources.settings[0], "a.b=c");
    cr_expect_str_eq(sources.home, "h");
    const char *wrong[] = {"--confg", "--set", "--dev=1"};
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(config_args(1, (char *const *)(wrong + i), &sources, &help, problem),
                     SLUICE_E_INVALID);
    }
}

Test(config, reports_per_key_what_a_reload_does)
{
    struct sl_config *before = load("plugins: {instances: {m: {config: {a: 1}}, gone: {}}}", NULL);
    struct sl_config *after = load("log: {level: debug}\nkafka: {listen: \"a:1\"}\n"
                                   "plugins: {instances: {m: {config: {a: 2}}, new: {}}}",
                                   NULL);
    struct config_diff *diff = NULL;
    cr_assert_eq(config_diff_new(before, after, &diff), SLUICE_OK);
    cr_expect_eq(diff->count, 5);
    cr_expect_eq(diff->restart_count, 1);
    cr_expect_str_eq(diff->changes[0].key, "kafka.listen");
    cr_expect_eq(diff->changes[0].outcome, CONFIG_NEEDS_RESTART);
    cr_expect_str_eq(diff->changes[1].key, "plugins.instances.m.config");
    cr_expect_eq(diff->changes[1].outcome, CONFIG_APPLIED);
    cr_expect_str_eq(diff->changes[1].instance, "m");
    cr_expect_str_eq(diff->changes[2].key, "plugins.instances.gone");
    cr_expect_eq(diff->changes[2].outcome, CONFIG_COMPONENT);
    cr_expect_str_eq(diff->changes[2].origin, "default");
    cr_expect_str_eq(diff->changes[3].origin, "t.yaml:3:49");
    config_diff_free(diff);
    config_free(before);
    config_free(after);
}

Test(config, a_settled_change_says_what_became_of_it_and_is_counted_once)
{
    struct sl_config *before = load("", NULL);
    struct sl_config *after = load("log: {level: debug}\nkafka: {listen: \"a:1\"}\n", NULL);
    struct config_diff *diff = NULL;
    cr_assert_eq(config_diff_new(before, after, &diff), SLUICE_OK);
    struct config_change *change = &diff->changes[0];
    cr_assert_eq(config_change_settle(diff, change, CONFIG_REFUSED, "m: no", 2000000), SLUICE_OK);
    cr_expect_eq(diff->restart_count, 0);
    cr_expect_eq(diff->refused_count, 1);
    cJSON *json = config_diff_json(diff);
    const cJSON *first = cJSON_GetArrayItem(json, 0);
    cr_expect_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(first, "outcome")), "refused");
    cr_expect_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(first, "note")), "m: no");
    cr_expect_eq(cJSON_GetObjectItem(first, "took_us")->valueint, 2000);
    cr_expect_null(cJSON_GetObjectItem(cJSON_GetArrayItem(json, 1), "note"));
    cJSON_Delete(json);
    config_diff_free(diff);
    config_free(before);
    config_free(after);
}

Test(config, keeps_running_values_that_need_a_restart)
{
    struct sl_config *running = load("log: {format: json}\n"
                                     "plugins: {instances: {m.x: {config: {a: 1}}}}",
                                     NULL);
    struct sl_config *loaded = load("log: {level: debug}\nkafka: {listen: \"a:1\"}\n"
                                    "plugins: {instances: {m.x: {config: {a: 2}, on: log}}}",
                                    NULL);
    struct sl_config *merged = NULL;
    cr_assert_eq(config_merge_live(running, loaded, &merged), SLUICE_OK);
    config_free(running);
    config_free(loaded);
    cr_expect_eq(merged->log.level, CONFIG_LOG_DEBUG);
    cr_expect_eq(merged->log.format, CONFIG_LOG_TEXT);
    cr_expect_str_eq(merged->kafka.listen, "127.0.0.1:9092");
    cr_expect_str_eq(merged->plugins.instances[0].config_json, "{\"a\":2}");
    cr_expect_eq(merged->plugins.instances[0].on, CONFIG_ON_LOG);
    config_free(merged);
}

Test(config, every_default_is_valid_and_written_as_it_is_read)
{
    struct sl_config *config = load("", NULL);
    char text[CONFIG_VALUE_TEXT_MAX];
    for (uint32_t i = 0; i < config_option_count; i++) {
        const struct config_option *option = &config_options[i];
        bool is_number = option->type == CONFIG_TYPE_SIZE || option->type == CONFIG_TYPE_DURATION;
        if (is_number) {
            config_typed_text(option, config_field(option, config), text);
            cr_expect_str_eq(text, option->initial);
        }
        size_t size = strlen(option->doc);
        cr_expect(size > 10 && option->doc[size - 1] == '.', "%s needs a sentence", option->key);
    }
    config_free(config);
}

/* The committed file is what the writer says today. */
static void committed_is_current(const char *path, void (*write)(FILE *out), const char *command)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    write(out);
    fclose(out);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    char *page = calloc(1, size + 2);
    size_t page_size = fread(page, 1, size + 1, file);
    fclose(file);
    cr_expect(page_size == size && memcmp(page, text, size) == 0, "run: %s", command);
    free(page);
    free(text);
}

Test(config, the_committed_reference_and_schema_are_what_the_table_says)
{
    if (SLUICE_FRONTEND_COUNT < 3) {
        cr_skip_test("another default of plugins.enabled: this build leaves frontends out");
    }
    committed_is_current(SLUICE_SOURCE_DIR "/docs/reference/configuration.md",
                         config_reference_write,
                         "sluice config reference > docs/reference/configuration.md");
    committed_is_current(SLUICE_SOURCE_DIR "/conf/sluice.schema.json", config_schema_write,
                         "sluice config schema > conf/sluice.schema.json");
}

static sl_err stdio_read(void *arg, const char *path, void *buffer, size_t size, size_t *ret_size)
{
    (void)arg;
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return SLUICE_E_NOT_FOUND;
    }
    *ret_size = fread(buffer, 1, size, file);
    fclose(file);
    return SLUICE_OK;
}

Test(config, the_shipped_file_says_the_defaults)
{
    struct config_sources sources = {.files = {SLUICE_SOURCE_DIR "/conf/sluice.yaml"},
                                     .file_count = 1};
    struct sl_config *shipped = NULL;
    sl_err err = config_load_through(stdio_read, NULL, &sources, &report, &shipped);
    cr_assert_eq(err, SLUICE_OK, "%s", report.problems[0]);
    struct sl_config *defaults = load("", NULL);
    struct config_diff *diff = NULL;
    cr_assert_eq(config_diff_new(defaults, shipped, &diff), SLUICE_OK);
    cr_expect_eq(diff->count, 0);
    config_diff_free(diff);
    config_free(shipped);
    config_free(defaults);
}

Test(config, names_a_file_that_is_not_there)
{
    struct config_sources sources = {.files = {"/nowhere/a.yaml"}, .file_count = 1};
    struct sl_config *config = NULL;
    cr_expect_eq(config_load_through(stdio_read, NULL, &sources, &report, &config),
                 SLUICE_E_NOT_FOUND);
    cr_expect_not_null(
        strstr(report.problems[0], "/nowhere/a.yaml: the configuration file cannot"));
}
