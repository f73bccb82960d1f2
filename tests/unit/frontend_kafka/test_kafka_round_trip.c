/* test_kafka_round_trip.c: every version of every message, filled at random by its table: what was
 * encoded is what is decoded, encoding is a function of the value alone, and no truncation is taken
 * for a message. */
#include "kafka_random.h"
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdlib.h>

#define SEED             20261121u
#define ROUNDS           24
#define TRUNCATED_ROUNDS 4

static _Alignas(max_align_t) uint8_t fill_memory[4 << 20];
static _Alignas(max_align_t) uint8_t arena_memory[1 << 20];
static _Alignas(max_align_t) uint8_t original[4096];
static _Alignas(max_align_t) uint8_t decoded[4096];

/* One message under test: which, and its encoding. */
struct round {
    const struct kafka_schema *schema;
    int16_t version;
    uint64_t seed;
    struct kafka_writer first;
};

typedef void round_fn(struct round *round);

static void round_start(struct round *round)
{
    struct kafka_random random = {round->seed, false, kafka_arena(fill_memory, sizeof fill_memory)};

    cr_assert_leq(round->schema->root->size, sizeof original);
    kafka_random_fill(&random, round->schema->root, round->version, original);
    kafka_writer_init(&round->first, 1 << 20);
    cr_assert_eq(round->schema->ops->encode(original, round->version, &round->first), SLUICE_OK,
                 "%s v%d seed %" PRIu64, round->schema->name, round->version, round->seed);
}

static sluice_status decode(const struct round *round, const uint8_t *data, size_t size,
                            size_t *ret_consumed)
{
    struct kafka_arena arena = kafka_arena(arena_memory, sizeof arena_memory);

    return round->schema->ops->decode(data, size, round->version, &arena, decoded, ret_consumed);
}

static void check_same_value_and_bytes(struct round *round)
{
    struct kafka_writer second;
    const char *difference;
    size_t consumed = 0;

    cr_assert_eq(decode(round, round->first.data, round->first.size, &consumed), SLUICE_OK,
                 "%s v%d seed %" PRIu64, round->schema->name, round->version, round->seed);
    cr_assert_eq(consumed, round->first.size, "%s v%d seed %" PRIu64, round->schema->name,
                 round->version, round->seed);
    difference = kafka_difference(round->schema->root, original, decoded);
    cr_assert_null(difference, "%s v%d seed %" PRIu64 ": %s differs", round->schema->name,
                   round->version, round->seed, difference);
    kafka_writer_init(&second, 1 << 20);
    cr_assert_eq(round->schema->ops->encode(decoded, round->version, &second), SLUICE_OK);
    cr_assert(second.size == round->first.size &&
                  (second.size == 0 || memcmp(second.data, round->first.data, second.size) == 0),
              "%s v%d seed %" PRIu64, round->schema->name, round->version, round->seed);
    kafka_writer_fini(&second);
}

/* Each in a block of its own size, so that a sanitizer sees a read beyond it. */
static void check_truncations(struct round *round)
{
    for (size_t size = 0; size < round->first.size; size++) {
        uint8_t *cut = malloc(size > 0 ? size : 1);
        size_t consumed = 0;
        cr_assert_not_null(cut);
        if (size > 0) {
            memcpy(cut, round->first.data, size);
        }
        cr_assert_neq(decode(round, cut, size, &consumed), SLUICE_OK,
                      "%s v%d seed %" PRIu64 ": %zu of %zu bytes are taken for a message",
                      round->schema->name, round->version, round->seed, size, round->first.size);
        free(cut);
    }
}

static void for_each_version(unsigned rounds, round_fn *check)
{
    cr_log_info("seed %u", SEED);
    for (uint32_t i = 0; i < kafka_schemas_count; i++) {
        const struct kafka_schema *schema = &kafka_schemas[i];
        for (int16_t version = schema->version_min; version <= schema->version_max; version++) {
            for (unsigned n = 0; n < rounds; n++) {
                struct round round = {
                    schema, version, SEED + i * 100000u + (unsigned)version * 100u + n, {0}};
                round_start(&round);
                check(&round);
                kafka_writer_fini(&round.first);
            }
        }
    }
}

Test(kafka_round_trip, every_version_of_every_message_keeps_its_value_and_its_bytes)
{
    for_each_version(ROUNDS, check_same_value_and_bytes);
}

Test(kafka_round_trip, every_truncation_is_refused)
{
    for_each_version(TRUNCATED_ROUNDS, check_truncations);
}

/* Bit flips: any outcome but an overread (sanitizers) or an endless loop. */
static void check_flips(struct round *round)
{
    struct kafka_random random = {round->seed, false, {0}};
    size_t consumed = 0;

    for (unsigned i = 0; i < 64 && round->first.size > 0; i++) {
        size_t at = kafka_random_next(&random) % round->first.size;
        uint8_t flip = (uint8_t)(kafka_random_next(&random) | 1);
        round->first.data[at] ^= flip;
        (void)decode(round, round->first.data, round->first.size, &consumed);
        round->first.data[at] ^= flip;
    }
}

Test(kafka_round_trip, damaged_bytes_never_lead_outside_of_the_input)
{
    for_each_version(TRUNCATED_ROUNDS, check_flips);
}

Test(kafka_round_trip, versions_outside_of_the_range_are_refused)
{
    struct kafka_writer writer;
    size_t consumed = 0;

    kafka_writer_init(&writer, 1024);
    for (uint32_t i = 0; i < kafka_schemas_count; i++) {
        const struct kafka_schema *schema = &kafka_schemas[i];
        struct round below = {schema, (int16_t)(schema->version_min - 1), 0, {0}};
        struct round above = {schema, (int16_t)(schema->version_max + 1), 0, {0}};
        schema->root->init(original);
        cr_assert_eq(decode(&below, original, 64, &consumed), SLUICE_E_UNSUPPORTED_VERSION);
        cr_assert_eq(decode(&above, original, 64, &consumed), SLUICE_E_UNSUPPORTED_VERSION);
        cr_assert_eq(schema->ops->encode(original, below.version, &writer),
                     SLUICE_E_UNSUPPORTED_VERSION);
        cr_assert_eq(schema->ops->encode(original, above.version, &writer),
                     SLUICE_E_UNSUPPORTED_VERSION);
    }
    cr_assert_eq(writer.size, (size_t)0);
    kafka_writer_fini(&writer);
}
