/* kafka_frame.c: frame prefix and headers. See kafka_frame.h, kafka_codec.h. */
#include "kafka_frame.h"
#include "kafka_messages.h"
#include "kafka_read.h"
#include "kafka_write.h"

int16_t kafka_request_header_version(const struct kafka_api *api, int16_t version)
{
    return version >= api->flexible_from ? 2 : 1;
}

int16_t kafka_response_header_version(const struct kafka_api *api, int16_t version)
{
    return version >= api->flexible_from && api->key != KAFKA_API_VERSIONS_KEY ? 1 : 0;
}

static bool api_has(const struct kafka_api *api, int16_t version)
{
    return api && version >= api->version_min && version <= api->version_max;
}

static bool api_had(const struct kafka_api *api, int16_t version)
{
    return api && version >= api->legacy_min && version < api->version_min;
}

static void skip_tags(struct kafka_reader *reader)
{
    for (uint32_t left = kafka_read_tag_count(reader); left > 0; left--) {
        struct kafka_read_tag tag = kafka_read_tag_begin(reader);
        kafka_read_tag_end(reader, &tag);
    }
}

/* Which version of the header it is follows from its first fields: it is read field by field, as
 * each request has one. */
sluice_status kafka_request_head_decode(const void *frame, size_t size,
                                        struct kafka_request_head *ret_head)
{
    struct kafka_reader reader = kafka_reader(frame, size, NULL);
    const uint8_t *begin = reader.at;
    struct kafka_request_head head = {.client_id = kafka_null()};
    bool is_known;

    head.api_key = kafka_read_int16(&reader);
    head.version = kafka_read_int16(&reader);
    head.correlation_id = kafka_read_int32(&reader);
    head.api = kafka_api_get(head.api_key);
    head.supported = api_has(head.api, head.version);
    head.legacy = !head.supported && api_had(head.api, head.version);
    is_known = head.supported || head.legacy;
    if (reader.status == SLUICE_OK && is_known) {
        head.client_id = kafka_read_string(&reader, false, true);
        if (kafka_request_header_version(head.api, head.version) == 2) {
            skip_tags(&reader);
        }
        head.body_at = (size_t)(reader.at - begin);
    }
    if (reader.status != SLUICE_OK) {
        return reader.status;
    }
    *ret_head = head;
    return SLUICE_OK;
}

sluice_status kafka_response_head_decode(const void *frame, size_t size,
                                         const struct kafka_api *api, int16_t version,
                                         int32_t *ret_correlation_id, size_t *ret_body_at)
{
    struct kafka_response_header header;
    size_t body_at;
    sluice_status status;

    status = kafka_response_header_decode(frame, size, kafka_response_header_version(api, version),
                                          NULL, &header, &body_at);
    if (status != SLUICE_OK) {
        return status;
    }
    *ret_correlation_id = header.correlation_id;
    *ret_body_at = body_at;
    return SLUICE_OK;
}

/* Room for the size, to be filled in by frame_end. */
static sluice_status frame_begin(struct kafka_writer *writer, struct kafka_write_mark *ret_mark)
{
    *ret_mark = kafka_write_begin(writer);
    kafka_write_int32(writer, 0);
    return kafka_write_end(writer, ret_mark);
}

/* Fills in the size, or takes the writer back to where the frame began. */
static sluice_status frame_end(struct kafka_writer *writer, const struct kafka_write_mark *mark,
                               sluice_status status)
{
    size_t size = writer->size - mark->size + writer->spliced_size - mark->spliced_size;
    uint32_t swapped;

    if (status == SLUICE_OK && size > (size_t)INT32_MAX) {
        status = SLUICE_E_FRAME_TOO_LARGE;
    }
    if (status != SLUICE_OK) {
        writer->status = status;
        return kafka_write_end(writer, mark);
    }
    swapped = __builtin_bswap32((uint32_t)(size - KAFKA_FRAME_PREFIX_SIZE));
    memcpy(writer->data + mark->size, &swapped, sizeof swapped);
    return SLUICE_OK;
}

sluice_status kafka_response_encode(struct kafka_writer *writer, const struct kafka_api *api,
                                    int16_t version, int32_t correlation_id, const void *message)
{
    struct kafka_write_mark mark = kafka_write_begin(writer);
    sluice_status status;

    kafka_write_int32(writer, 0);
    kafka_write_int32(writer, correlation_id);
    if (kafka_response_header_version(api, version) == 1) {
        kafka_write_uvarint(writer, 0); /* no tags */
    }
    status = writer->status;
    if (status == SLUICE_OK) {
        status = api->response->encode(message, version, writer);
    }
    return frame_end(writer, &mark, status);
}

sluice_status kafka_request_encode(struct kafka_writer *writer, const struct kafka_api *api,
                                   int16_t version, int32_t correlation_id,
                                   struct kafka_bytes client_id, const void *message)
{
    const struct kafka_request_header header = {api->key, version, correlation_id, client_id};
    struct kafka_write_mark mark;
    sluice_status status;

    status = frame_begin(writer, &mark);
    if (status != SLUICE_OK) {
        return status;
    }
    status =
        kafka_request_header_encode(&header, kafka_request_header_version(api, version), writer);
    if (status == SLUICE_OK) {
        status = api->request->encode(message, version, writer);
    }
    return frame_end(writer, &mark, status);
}
