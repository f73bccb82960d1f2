/* kafka_random.c: see kafka_random.h. */
#include "kafka_random.h"
#include <criterion/criterion.h>
#include <stdio.h>

#define ELEMENTS_MAX 3
#define BYTES_MAX    200

/* splitmix64 (public domain, Vigna) */
uint64_t kafka_random_next(struct kafka_random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t below(struct kafka_random *random, uint64_t limit)
{
    return kafka_random_next(random) % limit;
}

/* True once in n times; never when counting. */
static bool chance(struct kafka_random *random, uint64_t n)
{
    return !random->counting && below(random, n) == 0;
}

static void *take(struct kafka_random *random, size_t count, size_t size)
{
    void *memory = kafka_arena_take(&random->arena, count, size);

    cr_assert_not_null(memory, "the test's arena is too small");
    return memory;
}

static struct kafka_bytes random_bytes(struct kafka_random *random, bool nullable)
{
    /* Mostly short; sometimes beyond 127, where a compact length takes two bytes. */
    size_t size = below(random, 4) == 0 ? below(random, BYTES_MAX) : below(random, 12);
    uint8_t *data;

    if (nullable && below(random, 4) == 0) {
        return kafka_null();
    }
    data = take(random, size + 1, 1);
    for (size_t i = 0; i < size; i++) {
        data[i] = (uint8_t)kafka_random_next(random);
    }
    return kafka_bytes(data, size);
}

static struct kafka_bytes counted_bytes(struct kafka_random *random, char letter)
{
    char *text = take(random, 24, 1);
    int size = snprintf(text, 24, "%c%u", letter, (unsigned)++random->state);

    return kafka_bytes(text, (size_t)size);
}

static size_t element_size(const struct kafka_schema_field *field)
{
    static const size_t sizes[] = {
        [KAFKA_FIELD_INT8] = 1,
        [KAFKA_FIELD_INT16] = 2,
        [KAFKA_FIELD_INT32] = 4,
        [KAFKA_FIELD_INT64] = 8,
        [KAFKA_FIELD_FLOAT64] = 8,
        [KAFKA_FIELD_BOOL] = sizeof(bool),
        [KAFKA_FIELD_UUID] = sizeof(struct kafka_uuid),
        [KAFKA_FIELD_STRING] = sizeof(struct kafka_bytes),
        [KAFKA_FIELD_BYTES] = sizeof(struct kafka_bytes),
        [KAFKA_FIELD_RECORDS] = sizeof(struct kafka_records),
    };
    return field->of ? field->of->size : sizes[field->type];
}

/* Integers, bool and uuid. */
static void fill_number(struct kafka_random *random, const struct kafka_schema_field *field,
                        uint8_t *place)
{
    for (size_t i = 0; i < element_size(field); i++) {
        place[i] = (uint8_t)kafka_random_next(random);
    }
    if (field->type == KAFKA_FIELD_BOOL) {
        place[0] &= 1;
    }
}

static void count_number(struct kafka_random *random, const struct kafka_schema_field *field,
                         uint8_t *place)
{
    static const int64_t bases[] = {
        [KAFKA_FIELD_INT16] = 1000, [KAFKA_FIELD_INT32] = 100000, [KAFKA_FIELD_INT64] = 10000000000,
        [KAFKA_FIELD_FLOAT64] = 0,  [KAFKA_FIELD_UUID] = 0,
    };
    uint64_t n = ++random->state;
    int64_t value = (int64_t)n + bases[field->type];

    if (field->type == KAFKA_FIELD_UUID) {
        for (size_t i = 0; i < sizeof(struct kafka_uuid); i++) {
            place[i] = (uint8_t)(n + i);
        }
        return;
    }
    if (field->type == KAFKA_FIELD_INT8) {
        value = (int64_t)(n % 100);
    } else if (field->type == KAFKA_FIELD_BOOL) {
        value = (int64_t)(n % 2);
    } else if (field->type == KAFKA_FIELD_FLOAT64) {
        double number = (double)n + 0.5;
        memcpy(place, &number, sizeof(number));
        return;
    }
    memcpy(place, &value, element_size(field)); /* little-endian, as all our hosts */
}

static void fill_value(struct kafka_random *random, const struct kafka_schema_field *field,
                       int16_t version, void *place)
{
    static const char letters[] = {
        [KAFKA_FIELD_STRING] = 's', [KAFKA_FIELD_BYTES] = 'b', [KAFKA_FIELD_RECORDS] = 'r'};
    bool nullable = field->null_from >= 0 && version >= field->null_from && !field->array;
    struct kafka_bytes bytes;

    if (field->of) {
        kafka_random_fill(random, field->of, version, place);
    } else if (field->type < KAFKA_FIELD_STRING) {
        (random->counting ? count_number : fill_number)(random, field, place);
    } else {
        bytes = random->counting ? counted_bytes(random, letters[field->type])
                                 : random_bytes(random, nullable);
        if (field->type == KAFKA_FIELD_RECORDS) {
            *(struct kafka_records *)place =
                (struct kafka_records){.data = bytes.data, .size = bytes.size};
        } else {
            *(struct kafka_bytes *)place = bytes;
        }
    }
}

static void fill_array(struct kafka_random *random, const struct kafka_schema_field *field,
                       int16_t version, uint8_t *message)
{
    bool nullable = field->null_from >= 0 && version >= field->null_from;
    int32_t count = random->counting ? 2 : (int32_t)below(random, ELEMENTS_MAX + 1);
    uint8_t *elements;

    if (nullable && chance(random, 4)) {
        count = -1;
    }
    elements = count > 0 ? take(random, (size_t)count, element_size(field)) : NULL;
    for (int32_t i = 0; i < count; i++) {
        fill_value(random, field, version, elements + (size_t)i * element_size(field));
    }
    memcpy(message + field->offset, &elements, sizeof elements);
    memcpy(message + field->count_offset, &count, sizeof count);
}

static void fill_pointer(struct kafka_random *random, const struct kafka_schema_field *field,
                         int16_t version, uint8_t *message)
{
    void *value = chance(random, 4) ? NULL : take(random, 1, field->of->size);

    if (value) {
        kafka_random_fill(random, field->of, version, value);
    }
    memcpy(message + field->offset, &value, sizeof value);
}

void kafka_random_fill(struct kafka_random *random, const struct kafka_schema_struct *type,
                       int16_t version, void *ret_message)
{
    type->init(ret_message);
    for (uint32_t i = 0; i < type->fields_count; i++) {
        const struct kafka_schema_field *field = &type->fields[i];
        if (version < field->version_min || version > field->version_max) {
            continue;
        }
        /* A tagged field is absent half the time. */
        if (field->tag >= 0 && chance(random, 2)) {
            continue;
        }
        if (field->array) {
            fill_array(random, field, version, ret_message);
        } else if (field->pointer) {
            fill_pointer(random, field, version, ret_message);
        } else {
            fill_value(random, field, version, (uint8_t *)ret_message + field->offset);
        }
    }
}

static bool views_equal(const uint8_t *a, int32_t a_size, const uint8_t *b, int32_t b_size)
{
    return kafka_bytes_equal((struct kafka_bytes){a, a_size}, (struct kafka_bytes){b, b_size});
}

static const char *value_difference(const struct kafka_schema_field *field, const void *a,
                                    const void *b)
{
    const struct kafka_bytes *a_bytes = a;
    const struct kafka_bytes *b_bytes = b;
    bool equal;

    switch (field->type) {
    case KAFKA_FIELD_STRUCT:
        return kafka_difference(field->of, a, b);
    case KAFKA_FIELD_STRING:
    case KAFKA_FIELD_BYTES:
    case KAFKA_FIELD_RECORDS: /* begins as kafka_bytes does */
        equal = views_equal(a_bytes->data, a_bytes->size, b_bytes->data, b_bytes->size);
        break;
    default:
        equal = memcmp(a, b, element_size(field)) == 0;
    }
    return equal ? NULL : field->name;
}

static const char *elements_difference(const struct kafka_schema_field *field, const uint8_t *a,
                                       const uint8_t *b, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        size_t at = (size_t)i * element_size(field);
        const char *name = value_difference(field, a + at, b + at);
        if (name) {
            return name;
        }
    }
    return NULL;
}

static const char *field_difference(const struct kafka_schema_field *field, const uint8_t *a,
                                    const uint8_t *b)
{
    const uint8_t *a_at;
    const uint8_t *b_at;
    int32_t a_count = 1;
    int32_t b_count = 1;

    if (!field->array && !field->pointer) {
        return value_difference(field, a + field->offset, b + field->offset);
    }
    memcpy(&a_at, a + field->offset, sizeof a_at);
    memcpy(&b_at, b + field->offset, sizeof b_at);
    if (field->array) {
        memcpy(&a_count, a + field->count_offset, sizeof a_count);
        memcpy(&b_count, b + field->count_offset, sizeof b_count);
    } else if (!a_at || !b_at) {
        return a_at == b_at ? NULL : field->name;
    }
    return a_count == b_count ? elements_difference(field, a_at, b_at, a_count) : field->name;
}

const char *kafka_difference(const struct kafka_schema_struct *type, const void *a, const void *b)
{
    for (uint32_t i = 0; i < type->fields_count; i++) {
        const char *name = field_difference(&type->fields[i], a, b);
        if (name) {
            return name;
        }
    }
    return NULL;
}
