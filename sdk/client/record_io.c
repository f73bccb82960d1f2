/* record_io.c: see record_io.h. Records stand in frames as docs/formats/native.md says: size,
 * offset, timestamp, deliveries, number of headers, key, headers, value. */
#include "record_io.h"

#include <string.h>

#define FIXED_BYTES 24u /* size, offset, timestamp, deliveries, number of headers */

static struct sluice_header id_header(struct sluice_text id)
{
    return (struct sluice_header){sluice_text_of(RECORD_ID_HEADER),
                                  {(const uint8_t *)id.data, id.size}};
}

static uint64_t headers_bytes(const struct sluice_header *headers, uint32_t count)
{
    uint64_t size = 0;
    for (uint32_t i = 0; i < count; i++) {
        size += 2 + headers[i].key.size + 4 + headers[i].value.size;
    }
    return size;
}

uint64_t record_bytes(const struct sluice_message *message, struct record_extra extra)
{
    uint64_t size = FIXED_BYTES + 4 + message->key.size + 4 + message->value.size;
    size += headers_bytes(extra.headers, extra.count);
    if (message->headers == NULL) { /* received: its id is among them */
        return size + message->header_bytes.size;
    }
    return size + headers_bytes(message->headers, message->header_count);
}

uint64_t sluice_message_size(const struct sluice_message *message)
{
    const struct sluice_header id = id_header(message->id);
    bool has_id = message->header_bytes.size == 0 && message->id.size > 0;
    return record_bytes(message, (struct record_extra){&id, has_id ? 1 : 0});
}

static void put_headers(struct frame_out *out, const struct sluice_header *headers, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        frame_put_text(out, headers[i].key);
        frame_put_blob(out, headers[i].value);
    }
}

void record_put(struct frame_out *out, const struct sluice_message *message,
                struct record_extra extra)
{
    const struct sluice_header id = id_header(message->id);
    const uint32_t ids = message->header_bytes.size == 0 && message->id.size > 0 ? 1 : 0;
    const bool has_headers = message->headers != NULL || message->header_bytes.size > 0;
    const uint64_t count = (has_headers ? message->header_count : 0ull) + extra.count + ids;
    const size_t at = out->end - out->begin;
    if (count > UINT16_MAX) {
        out->status = out->status != SLUICE_OK ? out->status : SLUICE_E_INVALID;
        return;
    }
    frame_put_u32(out, 0);
    frame_put_i64(out, 0); /* the server's to give */
    frame_put_i64(out, message->timestamp_ms);
    frame_put_u16(out, 0);
    frame_put_u16(out, (uint16_t)count);
    frame_put_blob(out, message->key);
    put_headers(out, &id, ids);
    put_headers(out, extra.headers, extra.count);
    if (message->headers != NULL) {
        put_headers(out, message->headers, message->header_count);
    } else {
        frame_put_bytes(out, message->header_bytes.data, (size_t)message->header_bytes.size);
    }
    frame_put_blob(out, message->value);
    if (out->status == SLUICE_OK) {
        uint8_t *head = out->data + out->begin + at;
        uint32_t size = (uint32_t)(frame_out_size(out) - at - 4);
        for (size_t i = 0; i < 4; i++) {
            head[i] = (uint8_t)(size >> (8 * i));
        }
    }
}

/* Walks the headers, so that nobody needs to check them again; notes the id. */
static void get_headers(struct frame_in *in, struct sluice_message *message)
{
    const uint8_t *begin = in->at;
    for (uint32_t i = 0; i < message->header_count && !in->failed; i++) {
        struct sluice_text name = frame_get_text(in);
        struct sluice_bytes value = frame_get_blob(in);
        if (name.size == sizeof(RECORD_ID_HEADER) - 1 && message->id.data == NULL &&
            memcmp(name.data, RECORD_ID_HEADER, (size_t)name.size) == 0) {
            message->id = (struct sluice_text){(const char *)value.data, value.size};
        }
    }
    message->header_bytes = (struct sluice_bytes){begin, (uint64_t)(in->at - begin)};
}

bool record_get(struct frame_in *in, struct sluice_message *ret_message)
{
    size_t size = frame_get_u32(in);
    if (in->failed || size > frame_left(in)) {
        return false;
    }
    struct frame_in record = frame_in_of(in->at, size);
    frame_skip(in, size);
    struct sluice_message message = {.size = sizeof(message), .partition = -1};
    message.offset = frame_get_i64(&record);
    message.timestamp_ms = frame_get_i64(&record);
    message.deliveries = frame_get_u16(&record);
    message.header_count = frame_get_u16(&record);
    message.key = frame_get_blob(&record);
    get_headers(&record, &message);
    message.value = frame_get_blob(&record);
    if (record.failed) {
        return false;
    }
    *ret_message = message;
    return true;
}

sluice_status sluice_message_header(const struct sluice_message *message, uint32_t index,
                                    struct sluice_header *ret_header)
{
    if (index >= message->header_count) {
        return SLUICE_E_NOT_FOUND;
    }
    if (message->headers != NULL) {
        *ret_header = message->headers[index];
        return SLUICE_OK;
    }
    struct frame_in in =
        frame_in_of(message->header_bytes.data, (size_t)message->header_bytes.size);
    struct sluice_header header = {{NULL, 0}, {NULL, 0}};
    for (uint32_t i = 0; i <= index; i++) {
        header.key = frame_get_text(&in);
        header.value = frame_get_blob(&in);
    }
    if (in.failed) {
        return SLUICE_E_NOT_FOUND;
    }
    *ret_header = header;
    return SLUICE_OK;
}

sluice_status sluice_message_find(const struct sluice_message *message, const char *name,
                                  struct sluice_bytes *ret_value)
{
    const size_t size = strlen(name);
    struct sluice_header header;
    for (uint32_t i = 0; sluice_message_header(message, i, &header) == SLUICE_OK; i++) {
        if (header.key.size == size && memcmp(header.key.data, name, size) == 0) {
            *ret_value = header.value;
            return SLUICE_OK;
        }
    }
    return SLUICE_E_NOT_FOUND;
}
