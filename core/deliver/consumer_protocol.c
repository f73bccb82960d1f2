/* consumer_protocol.c: see consumer_protocol.h. */
#include "deliver/consumer_protocol.h"

#include "base/bytes.h"

struct reader {
    struct sl_bytes left;
    sl_err err; /* the first one; from then on everything reads as zero */
};

static struct sl_bytes take(struct reader *reader, size_t size)
{
    if (reader->err != SLUICE_OK || size > reader->left.size) {
        reader->err = reader->err != SLUICE_OK ? reader->err : SLUICE_E_CORRUPT;
        return (struct sl_bytes){0};
    }
    struct sl_bytes taken = {reader->left.data, size};
    reader->left = (struct sl_bytes){reader->left.data + size, reader->left.size - size};
    return taken;
}

static int16_t take_i16(struct reader *reader)
{
    struct sl_bytes raw = take(reader, 2);
    return raw.size == 0 ? 0 : (int16_t)sl_be16_load(raw.data);
}

static int32_t take_i32(struct reader *reader)
{
    struct sl_bytes raw = take(reader, 4);
    return raw.size == 0 ? 0 : (int32_t)sl_be32_load(raw.data);
}

/* data NULL: none. */
static struct sluice_text take_text(struct reader *reader)
{
    int16_t size = take_i16(reader);
    struct sl_bytes raw = take(reader, size < 0 ? 0 : (size_t)size);
    const char *data = raw.data == NULL ? "" : (const char *)raw.data;
    return size < 0 ? (struct sluice_text){NULL, 0} : (struct sluice_text){data, raw.size};
}

/* Of things that take `size` bytes at least. */
static uint32_t take_count(struct reader *reader, size_t size)
{
    int32_t count = take_i32(reader);
    if (count > 0 && (size_t)count > reader->left.size / size)
        reader->err = SLUICE_E_CORRUPT;
    return reader->err != SLUICE_OK || count < 0 ? 0 : (uint32_t)count;
}

static bool skip_user_data(struct reader *reader)
{
    int32_t size = take_i32(reader);
    return size > 0 && take(reader, (size_t)size).size != 0;
}

void consumer_metadata_fini(struct consumer_metadata *metadata)
{
    sl_free(metadata->topics);
    sl_free(metadata->partitions);
    *metadata = (struct consumer_metadata){0};
}

static void take_topics(struct reader *reader, struct consumer_metadata *metadata)
{
    uint32_t count = take_count(reader, 2);
    metadata->topics = sl_alloc_zero(count + 1u, sizeof *metadata->topics);
    if (metadata->topics == NULL)
        reader->err = SLUICE_E_NO_MEMORY;
    for (uint32_t i = 0; i < count && reader->err == SLUICE_OK; i++) {
        metadata->topics[i] = take_text(reader);
        metadata->topic_count++;
    }
}

static void take_partitions(struct reader *reader, struct consumer_metadata *metadata)
{
    uint32_t topics = take_count(reader, 6);
    for (uint32_t t = 0; t < topics && reader->err == SLUICE_OK; t++) {
        struct sluice_text topic = take_text(reader);
        uint32_t count = take_count(reader, 4);
        size_t all = (size_t)metadata->partition_count + count + 1;
        void *grown = reader->err != SLUICE_OK
                          ? NULL
                          : sl_realloc(metadata->partitions, all * sizeof *metadata->partitions);
        if (grown == NULL) {
            reader->err = reader->err != SLUICE_OK ? reader->err : SLUICE_E_NO_MEMORY;
            return;
        }
        metadata->partitions = grown;
        for (uint32_t i = 0; i < count; i++)
            metadata->partitions[metadata->partition_count++] =
                (struct named_partition){topic, (uint32_t)take_i32(reader)};
    }
}

static struct reader begin(struct sl_bytes bytes, struct consumer_metadata *ret_metadata)
{
    struct reader reader = {bytes, SLUICE_OK};
    *ret_metadata = (struct consumer_metadata){0};
    ret_metadata->version = take_i16(&reader);
    if (ret_metadata->version < 0)
        reader.err = SLUICE_E_CORRUPT;
    return reader;
}

sl_err consumer_subscription_read(struct sl_bytes bytes, struct consumer_metadata *ret_metadata)
{
    struct reader reader = begin(bytes, ret_metadata);
    take_topics(&reader, ret_metadata);
    ret_metadata->has_user_data = skip_user_data(&reader);
    if (ret_metadata->version >= 1)
        take_partitions(&reader, ret_metadata);
    if (ret_metadata->version >= 2)
        (void)take_i32(&reader);
    if (ret_metadata->version >= 3)
        ret_metadata->rack = take_text(&reader);
    return reader.err;
}

sl_err consumer_assignment_read(struct sl_bytes bytes, struct consumer_metadata *ret_metadata)
{
    if (bytes.size == 0) { /* it has none yet */
        *ret_metadata = (struct consumer_metadata){0};
        return SLUICE_OK;
    }
    struct reader reader = begin(bytes, ret_metadata);
    take_partitions(&reader, ret_metadata);
    ret_metadata->has_user_data = skip_user_data(&reader);
    return reader.err;
}

/* ---- writing ---- */

static sl_err put_i16(struct sl_buffer *out, uint64_t value)
{
    uint8_t raw[2];
    sl_be16_store(raw, (uint16_t)value);
    return sl_buffer_append(out, raw, sizeof raw);
}

static sl_err put_i32(struct sl_buffer *out, uint64_t value)
{
    uint8_t raw[4];
    sl_be32_store(raw, (uint32_t)value);
    return sl_buffer_append(out, raw, sizeof raw);
}

static bool same_topic(const struct named_partition *a, const struct named_partition *b)
{
    return a->topic.size == b->topic.size &&
           memcmp(a->topic.data, b->topic.data, (size_t)a->topic.size) == 0;
}

static sl_err put_topic(struct sl_buffer *out, const struct named_partition *partitions,
                        uint32_t count)
{
    sl_err err = put_i16(out, partitions[0].topic.size);
    err = err != SLUICE_OK
              ? err
              : sl_buffer_append(out, partitions[0].topic.data, (size_t)partitions[0].topic.size);
    err = err != SLUICE_OK ? err : put_i32(out, count);
    for (uint32_t i = 0; i < count && err == SLUICE_OK; i++)
        err = put_i32(out, partitions[i].partition);
    return err;
}

sl_err consumer_assignment_write(struct sl_buffer *out, int16_t version,
                                 const struct named_partition *partitions, uint32_t count)
{
    uint32_t topics = count != 0;
    for (uint32_t i = 1; i < count; i++)
        topics += !same_topic(&partitions[i - 1], &partitions[i]);
    sl_err err = put_i16(out, (uint16_t)SL_MIN(version, CONSUMER_PROTOCOL_VERSION_MAX));
    err = err != SLUICE_OK ? err : put_i32(out, topics);
    for (uint32_t i = 0; i < count && err == SLUICE_OK;) {
        uint32_t end = i + 1;
        while (end < count && same_topic(&partitions[i], &partitions[end]))
            end++;
        err = put_topic(out, &partitions[i], end - i);
        i = end;
    }
    return err != SLUICE_OK ? err : put_i32(out, (uint32_t)-1); /* no user data */
}
