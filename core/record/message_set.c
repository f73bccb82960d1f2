/* message_set.c: message sets to record batches. See message_set.h. */
#include "record/message_set.h"

#include "record/batch_builder.h"

#include <isa-l/crc.h>

enum { NULL_SIZE = -1, NO_CODEC_YET = -1 };

uint32_t message_computed_crc(const uint8_t *data, size_t size)
{
    return crc32_gzip_refl(0, data + MESSAGE_MAGIC_AT, size - MESSAGE_MAGIC_AT);
}

sl_err message_set_memory_init(struct message_set_memory *memory, size_t expanded_bytes_max)
{
    memory->codecs = codec_context_new();
    sl_buffer_init(&memory->opened, expanded_bytes_max);
    sl_buffer_init(&memory->packing, codec_compress_room(expanded_bytes_max));
    return memory->codecs == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
}

void message_set_memory_fini(struct message_set_memory *memory)
{
    codec_context_free(memory->codecs);
    sl_buffer_fini(&memory->opened);
    sl_buffer_fini(&memory->packing);
}

struct message {
    struct sl_bytes key, value;
    int64_t timestamp;
    int magic;
    int codec;
    bool key_is_null, value_is_null;
};

/* Cuts a field off the front of *rest. */
static sl_err field_take(struct sl_bytes *rest, struct sl_bytes *ret_field, bool *ret_null)
{
    if (rest->size < 4)
        return SLUICE_E_CORRUPT_BATCH;
    int32_t size = (int32_t)sl_be32_load(rest->data);
    *rest = sl_bytes_of(rest->data + 4, rest->size - 4);
    if (size < NULL_SIZE || (size > 0 && (size_t)size > rest->size))
        return SLUICE_E_CORRUPT_BATCH;
    *ret_null = size == NULL_SIZE;
    *ret_field = sl_bytes_of(rest->data, size > 0 ? (size_t)size : 0);
    *rest = sl_bytes_of(rest->data + ret_field->size, rest->size - ret_field->size);
    return SLUICE_OK;
}

static sl_err attributes_take(uint8_t attributes, struct message *message)
{
    message->codec = attributes & MESSAGE_CODEC_MASK;
    if (message->magic > 0 && (attributes & MESSAGE_APPEND_TIME) != 0)
        return SLUICE_E_INVALID_TIMESTAMP;
    return message->codec > BATCH_CODEC_LZ4 ? SLUICE_E_UNSUPPORTED_CODEC : SLUICE_OK;
}

/* The `size` bytes at data are one message, by its own word. */
static sl_err message_parse(const uint8_t *data, size_t size, struct message *ret_message)
{
    struct message message = {.timestamp = BATCH_NO_TIMESTAMP};
    if (size < MESSAGE_TIMESTAMP_AT)
        return SLUICE_E_CORRUPT_BATCH;
    if (data[MESSAGE_MAGIC_AT] > MESSAGE_MAGIC_MAX)
        return SLUICE_E_UNSUPPORTED_MAGIC;
    message.magic = data[MESSAGE_MAGIC_AT];
    if (message_computed_crc(data, size) != sl_be32_load(data + MESSAGE_CRC_AT))
        return SLUICE_E_CORRUPT_BATCH;
    size_t at = MESSAGE_TIMESTAMP_AT;
    if (message.magic > 0) {
        if (size < at + 8)
            return SLUICE_E_CORRUPT_BATCH;
        message.timestamp = (int64_t)sl_be64_load(data + at);
        at += 8;
    }
    struct sl_bytes rest = sl_bytes_of(data + at, size - at);
    sl_err err = attributes_take(data[MESSAGE_ATTRIBUTES_AT], &message);
    if (err == SLUICE_OK)
        err = field_take(&rest, &message.key, &message.key_is_null);
    if (err == SLUICE_OK)
        err = field_take(&rest, &message.value, &message.value_is_null);
    if (err == SLUICE_OK && rest.size > 0)
        err = SLUICE_E_CORRUPT_BATCH;
    if (err == SLUICE_OK)
        *ret_message = message;
    return err;
}

/* The next message of *set, which moves on. */
static sl_err message_take(struct sl_bytes *set, struct message *ret_message)
{
    if (set->size < MESSAGE_OVERHEAD_SIZE)
        return SLUICE_E_CORRUPT_BATCH;
    int32_t behind = (int32_t)sl_be32_load(set->data + MESSAGE_SIZE_AT);
    if (behind < 0 || (size_t)behind > set->size - MESSAGE_OVERHEAD_SIZE)
        return SLUICE_E_CORRUPT_BATCH;
    size_t size = MESSAGE_OVERHEAD_SIZE + (size_t)behind;
    sl_err err = message_parse(set->data, size, ret_message);
    *set = sl_bytes_of(set->data + size, set->size - size);
    return err;
}

struct converting {
    struct message_set_memory *memory;
    struct batch_builder builder;
    int codec;
};

static sl_err message_put(struct converting *to, const struct message *message)
{
    struct record_fields record = {
        .key = message->key,
        .value = message->value,
        .timestamp_ms = message->timestamp,
        .key_is_null = message->key_is_null,
        .value_is_null = message->value_is_null,
    };
    return batch_builder_append(&to->builder, &record);
}

/* What a wrapper holds, in memory->opened. lz4 of magic 0 is opened from a copy whose header has
 * the checksum that the library wants. */
static sl_err wrapper_open(struct message_set_memory *memory, const struct message *wrapper)
{
    struct sl_bytes value = wrapper->value;
    sl_buffer_reset(&memory->opened);
    if (wrapper->codec == BATCH_CODEC_LZ4 && wrapper->magic == 0) {
        sl_buffer_reset(&memory->packing);
        sl_err err = sl_buffer_append(&memory->packing, value.data, value.size);
        if (err != SLUICE_OK)
            return err;
        lz4_header_seal(memory->packing.data, memory->packing.size, false);
        value = sl_buffer_bytes(&memory->packing);
    }
    return codec_decompress(memory->codecs, wrapper->codec, value, memory->opened.size_max,
                            &memory->opened);
}

static sl_err wrapper_put(struct converting *to, const struct message *wrapper)
{
    if (wrapper->value_is_null)
        return SLUICE_E_INVALID_RECORD;
    sl_err err = wrapper_open(to->memory, wrapper);
    struct sl_bytes inner = sl_buffer_bytes(&to->memory->opened);
    while (err == SLUICE_OK && inner.size > 0) {
        struct message message;
        err = message_take(&inner, &message);
        if (err == SLUICE_OK &&
            (message.codec != BATCH_CODEC_NONE || message.magic != wrapper->magic))
            err = SLUICE_E_INVALID_RECORD;
        if (err == SLUICE_OK)
            err = message_put(to, &message);
    }
    return err;
}

static sl_err set_put(struct converting *to, struct sl_bytes set)
{
    sl_err err = SLUICE_OK;
    while (err == SLUICE_OK && set.size > 0) {
        struct message message;
        err = message_take(&set, &message);
        if (err != SLUICE_OK)
            return err;
        if (message.codec == BATCH_CODEC_NONE) {
            err = message_put(to, &message);
            continue;
        }
        to->codec = to->codec == NO_CODEC_YET ? message.codec : to->codec;
        err = wrapper_put(to, &message);
    }
    return err;
}

sl_err message_set_to_batch(struct sl_bytes set, struct message_set_memory *memory,
                            struct sl_buffer *out)
{
    struct converting to = {.memory = memory, .codec = NO_CODEC_YET};
    struct batch_view view;
    sl_err err = batch_builder_start(&to.builder, out, NULL);
    if (err != SLUICE_OK)
        return err;
    err = set_put(&to, set);
    if (err == SLUICE_OK && to.builder.record_count == 0)
        err = SLUICE_E_INVALID_RECORD;
    if (err == SLUICE_OK)
        err = batch_builder_finish(&to.builder,
                                   to.codec == NO_CODEC_YET ? BATCH_CODEC_NONE : to.codec,
                                   memory->codecs, &memory->packing, &view);
    if (err != SLUICE_OK)
        batch_builder_abandon(&to.builder);
    return err;
}
