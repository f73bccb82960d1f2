/* kafka_schema.h: the message tables as data: what a tool or test needs to walk any message. The
 * codec itself does not use them; they are a library of their own (kafka_schema). */
#ifndef KAFKA_SCHEMA_H
#define KAFKA_SCHEMA_H

#include "kafka_codec.h"

enum kafka_field_type {
    KAFKA_FIELD_INT8,
    KAFKA_FIELD_INT16,
    KAFKA_FIELD_INT32,
    KAFKA_FIELD_INT64,
    KAFKA_FIELD_FLOAT64,
    KAFKA_FIELD_BOOL,
    KAFKA_FIELD_UUID,
    KAFKA_FIELD_STRING,
    KAFKA_FIELD_BYTES,
    KAFKA_FIELD_RECORDS,
    KAFKA_FIELD_STRUCT,
};

struct kafka_schema_struct;

struct kafka_schema_field {
    const char *name;
    enum kafka_field_type type;
    bool array;   /* the member is a pointer, `<name>_count` stands at count_offset */
    bool pointer; /* a single struct that may be null: the member is a pointer */
    int16_t version_min;
    int16_t version_max;
    int16_t null_from; /* first version in which null is allowed, -1: none */
    int32_t tag;       /* -1: not a tagged field */
    size_t offset;
    size_t count_offset;
    const struct kafka_schema_struct *of; /* type STRUCT only */
};

struct kafka_schema_struct {
    const char *name;
    size_t size;
    kafka_init_fn *init; /* every field to its default */
    const struct kafka_schema_field *fields;
    uint32_t fields_count;
};

struct kafka_schema {
    const char *name;     /* "produce_request" */
    int16_t standard_min; /* of Kafka 4.3; from version_min on with the legacy tier */
    int16_t version_min;
    int16_t version_max;
    int16_t flexible_from;
    const struct kafka_message_ops *ops;
    const struct kafka_schema_struct *root;
};

extern const struct kafka_schema kafka_schemas[];
extern const uint32_t kafka_schemas_count;

#endif
