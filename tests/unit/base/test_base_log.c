/* test_base_log.c: the form of lines, levels, repeated lines, many threads. */
#include "base/bytes.h"
#include "base/log.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>

static char lines[65536]; /* what the sink got */
static size_t lines_size;
static int64_t now_ms = 951827696789;

static void sink(void *arg, enum sl_log_level level, const char *line, size_t size)
{
    (void)arg;
    (void)level;
    cr_assert_lt(lines_size + size, sizeof lines);
    memcpy(lines + lines_size, line, size);
    lines_size += size;
    lines[lines_size] = '\0';
}

static int64_t clock_of_test(void *arg)
{
    (void)arg;
    return now_ms;
}

static struct sl_logger *logger_of(enum sl_log_format format, bool colour,
                                   uint32_t repeat_window_ms)
{
    struct sl_log_config config = {.sink = sink,
                                   .wall_ms = clock_of_test,
                                   .level = SL_LOG_INFO,
                                   .format = format,
                                   .colour = colour,
                                   .repeat_window_ms = repeat_window_ms};
    struct sl_logger *logger = NULL;
    cr_assert_eq(sl_logger_new(&config, &logger), SLUICE_OK);
    return logger;
}

Test(log, writes_a_line_of_text_with_its_fields)
{
    struct sl_uuid uuid = {{0}};
    struct sl_logger *logger = logger_of(SL_LOG_FORMAT_TEXT, false, 0);
    sl_log(logger, SL_LOG_WARN, "wal", "segment sealed", sl_log_u64("segment", 12),
           sl_log_text("path", "/var/x"), sl_log_text("note", "two words\n"),
           sl_log_size("size", 64 << 20), sl_log_duration("took", 1500000),
           sl_log_err(SLUICE_E_DISK_FULL), sl_log_i64("delta", -1), sl_log_bool("clean", true),
           sl_log_uuid("topic", &uuid));
    cr_expect_str_eq(lines, "2000-02-29T12:34:56.789Z warn  wal       segment sealed segment=12 "
                            "path=/var/x note=\"two words\\u000a\" size=64MiB took=1.5ms "
                            "error=SLU-1101 (the disk is full) delta=-1 clean=true "
                            "topic=AAAAAAAAAAAAAAAAAAAAAA\n");
    sl_logger_free(logger);
}

Test(log, writes_a_line_of_json_with_numbers_as_numbers)
{
    struct sl_logger *logger = logger_of(SL_LOG_FORMAT_JSON, true, 0);
    sl_log(logger, SL_LOG_ERROR, "plugin", "say \"no\"", sl_log_u64("count", 3),
           sl_log_duration("took", 1500000), sl_log_bytes("raw", sl_bytes_of("a\xff", 2)),
           sl_log_bool("clean", false));
    cr_expect_str_eq(lines, "{\"time\":\"2000-02-29T12:34:56.789Z\",\"level\":\"error\","
                            "\"component\":\"plugin\",\"message\":\"say \\\"no\\\"\",\"count\":3,"
                            "\"took\":1500000,\"raw\":\"a\\ufffd\",\"clean\":false}\n");
    sl_logger_free(logger);
}

static sl_err evaluated_field(void)
{
    cr_expect_fail("a field of a line below the level was evaluated");
    return SLUICE_E_INTERNAL;
}

Test(log, changes_its_level_while_it_runs)
{
    enum sl_log_level level;
    struct sl_logger *logger = logger_of(SL_LOG_FORMAT_TEXT, true, 0);
    sl_log(logger, SL_LOG_DEBUG, "x", "hidden", sl_log_err(evaluated_field()));
    sl_log(NULL, SL_LOG_ERROR, "x", "no logger", sl_log_err(evaluated_field()));
    cr_expect_eq(lines_size, 0);
    cr_assert_eq(sl_log_level_parse(sl_bytes_of_text("debug"), &level), SLUICE_OK);
    sl_logger_set_level(logger, level);
    sl_log(logger, SL_LOG_DEBUG, "x", "shown");
    cr_expect_not_null(strstr(lines, "\033[2mdebug\033[0m x"));
    cr_expect_eq(sl_log_level_parse(sl_bytes_of_text("loud"), &level), SLUICE_E_NOT_FOUND);
    sl_logger_free(logger);
}

Test(log, counts_identical_lines_and_tells_how_many_there_were)
{
    struct sl_logger *logger = logger_of(SL_LOG_FORMAT_TEXT, false, 5000);
    for (int i = 0; i < 42; i++, now_ms += 10)
        sl_log(logger, SL_LOG_WARN, "intake", "accept failed", sl_log_u64("port", 9092));
    sl_log(logger, SL_LOG_WARN, "intake", "accept failed", sl_log_u64("port", 9093));
    cr_assert_not_null(strstr(lines, "accept failed port=9092\n"));
    cr_expect_null(strstr(strstr(lines, "port=9092\n") + 1, "port=9092"));
    cr_expect_not_null(strstr(lines, "port=9093\n"), "another line");
    sl_logger_tick(logger);
    cr_expect_null(strstr(lines, "repeated"), "the window is still open");
    now_ms += 5000;
    sl_logger_tick(logger);
    cr_expect_not_null(strstr(lines, "accept failed port=9092 (repeated 41 times)\n"));
    sl_logger_tick(logger);
    cr_expect_null(strstr(strstr(lines, "repeated") + 1, "repeated"), "told once");
    sl_logger_free(logger);
}

Test(log, cuts_a_long_line_and_stays_valid_json)
{
    static char text[8000];
    memset(text, 'x', sizeof text - 1);
    struct sl_logger *logger = logger_of(SL_LOG_FORMAT_TEXT, false, 0);
    sl_log(logger, SL_LOG_INFO, "x", "long", sl_log_text("text", text));
    cr_expect_leq(lines_size, SL_LOG_LINE_BYTES_MAX);
    cr_expect_str_eq(lines + lines_size - 4, "…\n");
    lines_size = 0;
    sl_logger_set_format(logger, SL_LOG_FORMAT_JSON, false);
    sl_log(logger, SL_LOG_INFO, "x", "long", sl_log_text("text", text), sl_log_u64("n", 1));
    cr_expect_not_null(strstr(lines, "\"message\":\"long\",\"n\":1}\n"), "%s", lines);
    sl_logger_free(logger);
}

enum { THREADS = 4, LINES = 2000 };

static _Atomic unsigned counted;

static void counting_sink(void *arg, enum sl_log_level level, const char *line, size_t size)
{
    const char *repeated = strstr(line, "(repeated ");
    unsigned times = 1;
    (void)arg;
    (void)level;
    cr_assert_eq(line[size - 1], '\n');
    if (repeated)
        cr_assert_eq(sscanf(repeated, "(repeated %u times)", &times), 1);
    counted += times;
}

static void *log_many(void *arg)
{
    for (int i = 0; i < LINES; i++)
        sl_log((struct sl_logger *)arg, SL_LOG_INFO, "thread", "working",
               sl_log_i64("step", i % 7));
    return NULL;
}

Test(log, loses_no_line_of_many_threads_out_of_its_count)
{
    struct sl_log_config config = {.sink = counting_sink,
                                   .wall_ms = clock_of_test,
                                   .level = SL_LOG_INFO,
                                   .repeat_window_ms = 60000};
    struct sl_logger *logger = NULL;
    pthread_t threads[THREADS];
    cr_assert_eq(sl_logger_new(&config, &logger), SLUICE_OK);
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, log_many, logger), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    sl_logger_free(logger);
    cr_expect_eq(counted, THREADS * LINES);
}
