/* test_kafka_vectors.c: every version of every message against bytes that another encoder made from
 * the protocol's published descriptors (tests/data/kafka/vectors.tsv; how the values are chosen:
 * kafka_random.h). */
#include "kafka_random.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define VECTORS SLUICE_SOURCE_DIR "/tests/data/kafka/vectors.tsv"

static char line[16384];
static _Alignas(max_align_t) uint8_t memory[1 << 20];
static _Alignas(max_align_t) uint8_t message[4096];

static const struct kafka_schema *schema_of(const char *name)
{
    for (uint32_t i = 0; i < kafka_schemas_count; i++) {
        if (strcmp(kafka_schemas[i].name, name) == 0) {
            return &kafka_schemas[i];
        }
    }
    cr_assert_fail("no message %s", name);
    return NULL;
}

static void check_vector(const struct kafka_schema *schema, int16_t version, const char *hex)
{
    struct kafka_random random = {0, true, kafka_arena(memory, sizeof memory)};
    struct kafka_writer writer;
    char *text;

    kafka_random_fill(&random, schema->root, version, message);
    kafka_writer_init(&writer, sizeof line / 2);
    cr_assert_eq(schema->ops->encode(message, version, &writer), SLUICE_OK, "%s v%d", schema->name,
                 version);
    text = malloc(2 * writer.size + 1);
    cr_assert_not_null(text);
    text[0] = '\0';
    for (size_t i = 0; i < writer.size; i++) {
        snprintf(text + 2 * i, 3, "%02x", writer.data[i]);
    }
    cr_assert_str_eq(text, hex, "%s v%d", schema->name, version);
    free(text);
    kafka_writer_fini(&writer);
}

Test(kafka_vectors, every_version_is_encoded_as_the_published_descriptors_say)
{
    FILE *file = fopen(VECTORS, "r");
    unsigned wanted = 0;
    unsigned seen = 0;

    cr_assert_not_null(file);
    while (fgets(line, sizeof line, file)) {
        char *version = strchr(line, '\t');
        char *hex = version ? strchr(version + 1, '\t') : NULL;
        cr_assert_not_null(hex);
        *version++ = '\0';
        *hex++ = '\0';
        hex[strcspn(hex, "\n")] = '\0';
        check_vector(schema_of(line), (int16_t)strtol(version, NULL, 10), hex);
        seen++;
    }
    fclose(file);
    for (uint32_t i = 0; i < kafka_schemas_count; i++) {
        wanted += (unsigned)(kafka_schemas[i].version_max - kafka_schemas[i].standard_min + 1);
    }
    cr_assert_eq(seen, wanted);
}
