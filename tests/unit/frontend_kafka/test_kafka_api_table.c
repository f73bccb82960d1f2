/* test_kafka_api_table.c: the generated API table against Kafka 4.3's version ranges. */
#include "kafka_codec.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define OWN_RANGES  SLUICE_SOURCE_DIR "/tests/data/kafka/api_ranges.tsv"
#define FACTS       "/shared/facts/kafka/versions.tsv"
#define COLUMNS     16
#define COLUMN_4_3  10
#define COLUMN_LAST 12

static char line[1024];
static char *column[COLUMNS];

/* Splits the next line at tabs; false at the end. */
static bool next_row(FILE *file)
{
    char *at = line;

    if (!fgets(line, sizeof line, file)) {
        return false;
    }
    line[strcspn(line, "\n")] = '\0';
    for (int i = 0; i < COLUMNS; i++) {
        column[i] = at ? at : (char *)(uintptr_t) "";
        at = at ? strchr(at, '\t') : NULL;
        if (at) {
            *at++ = '\0';
        }
    }
    return true;
}

static int16_t number(const char *text)
{
    return (int16_t)strtol(text, NULL, 10);
}

static int16_t flexible_from(const char *text)
{
    return strcmp(text, "none") == 0 ? KAFKA_NEVER_FLEXIBLE : number(text);
}

Test(kafka_api_table, holds_the_apis_of_a_first_broker_at_their_ranges)
{
    FILE *file = fopen(OWN_RANGES, "r");
    unsigned rows = 0;

    cr_assert_not_null(file);
    cr_assert(next_row(file)); /* headings */
    while (next_row(file)) {
        const struct kafka_api *api = kafka_api_get(number(column[0]));
        cr_assert_not_null(api, "%s", column[1]);
        cr_assert_str_eq(api->name, column[1]);
        cr_assert_eq(api->version_min, number(column[2]), "%s", column[1]);
        cr_assert_eq(api->version_max, number(column[3]), "%s", column[1]);
        cr_assert_eq(api->advertised_min, number(column[4]), "%s", column[1]);
        cr_assert_eq(api->flexible_from, flexible_from(column[5]), "%s", column[1]);
        rows++;
    }
    fclose(file);
    cr_assert_eq(rows, 17u);
}

Test(kafka_api_table, is_sorted_and_complete)
{
    cr_assert_null(kafka_api_get(-1));
    cr_assert_null(kafka_api_get(4));
    cr_assert_null(kafka_api_get(INT16_MAX));
    for (uint32_t i = 0; i < kafka_apis_count; i++) {
        const struct kafka_api *api = &kafka_apis[i];
        cr_assert_eq(kafka_api_get(api->key), api);
        cr_assert(i == 0 || kafka_apis[i - 1].key < api->key);
        cr_assert(api->advertised_min <= api->version_min && api->version_min <= api->version_max);
    }
}

static FILE *open_facts(void)
{
    FILE *file = fopen(SLUICE_SOURCE_DIR "/.." FACTS, "r");

    return file ? file : fopen(SLUICE_SOURCE_DIR "/../.." FACTS, "r");
}

/* A version that Kafka calls unstable is not advertised, and the codec does not have it. */
static void check_facts_row(const struct kafka_api *api)
{
    const char *range = column[COLUMN_4_3];
    const char *dash = strchr(range, '-');
    int16_t max = number(dash ? dash + 1 : range);
    bool unstable = strstr(column[COLUMN_LAST], "4.3") != NULL;

    cr_assert_str_eq(api->name, column[1]);
    cr_assert_eq(api->version_min, number(range), "%s", api->name);
    cr_assert_eq(api->version_max, max - (unstable ? 1 : 0), "%s", api->name);
    cr_assert_eq(api->flexible_from, flexible_from(column[3]), "%s", api->name);
}

Test(kafka_api_table, equals_the_extracted_ranges_of_kafka)
{
    FILE *file = open_facts();
    unsigned rows = 0;

    if (!file) {
        cr_skip_test("the extracted facts (../shared/facts/kafka/versions.tsv) are not here");
    }
    while (next_row(file)) {
        const struct kafka_api *api = column[0][0] == 'k' ? NULL : kafka_api_get(number(column[0]));
        if (api) {
            check_facts_row(api);
            rows++;
        }
    }
    fclose(file);
    cr_assert_eq(rows, kafka_apis_count);
}
