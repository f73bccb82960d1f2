/* kafka_random.h: fills any message with values valid at a version, by its table and a seed, and
 * compares two. */
#ifndef KAFKA_RANDOM_H
#define KAFKA_RANDOM_H

#include "kafka_schema.h"

struct kafka_random {
    uint64_t state; /* the seed, or 0 when counting */
    bool counting;
    struct kafka_arena arena; /* arrays and bytes of what is filled; tests give it room enough */
};

uint64_t kafka_random_next(struct kafka_random *random);
/* Every field of the version to a random value (null where allowed, sometimes), the others to
 * defaults. */
void kafka_random_fill(struct kafka_random *random, const struct kafka_schema_struct *type,
                       int16_t version, void *ret_message);
/* NULL when all fields are equal, else the name of the first that differs. */
const char *kafka_difference(const struct kafka_schema_struct *type, const void *a, const void *b);

#endif
