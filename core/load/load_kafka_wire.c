/* load_kafka_wire.c: see load_kafka_wire.h. */
#include "load/load_kafka_wire.h"

#include "base/bytes.h"
#include "base/status.h"

#include <stdio.h>

#define REQUEST_BYTES_MAX (64u << 20)
#define TLS_ALERT         0x15
#define TLS_MAJOR         0x03

static const struct {
    int16_t key, version;
} apis[] = {
    [LOAD_KAFKA_PRODUCE] = {0, 7},       [LOAD_KAFKA_FETCH] = {1, 11},
    [LOAD_KAFKA_OFFSETS] = {2, 3},       [LOAD_KAFKA_METADATA] = {3, 5},
    [LOAD_KAFKA_CREATE] = {19, 4},       [LOAD_KAFKA_DELETE] = {20, 3},
    [LOAD_KAFKA_VERSIONS] = {18, 0},     [LOAD_KAFKA_HANDSHAKE] = {17, 1},
    [LOAD_KAFKA_AUTHENTICATE] = {36, 1},
};

/* ---- frames ---- */

sl_err load_kafka_wire_init(struct load_kafka_wire *wire, const char *client_id)
{
    void *memory = sl_alloc(LOAD_KAFKA_ARENA_BYTES);
    if (memory == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    *wire = (struct load_kafka_wire){.client_id = client_id};
    wire->arena = kafka_arena(memory, LOAD_KAFKA_ARENA_BYTES);
    kafka_writer_init(&wire->writer, REQUEST_BYTES_MAX);
    return SLUICE_OK;
}

void load_kafka_wire_fini(struct load_kafka_wire *wire)
{
    kafka_writer_fini(&wire->writer);
    sl_free(wire->arena.memory);
}

sl_err load_kafka_write(struct load_kafka_wire *wire, enum load_kafka_api api, int32_t correlation,
                        const void *message)
{
    kafka_writer_reset(&wire->writer);
    return kafka_request_encode(&wire->writer, kafka_api_get(apis[api].key), apis[api].version,
                                correlation, kafka_string(wire->client_id), message);
}

sl_err load_kafka_read(struct load_kafka_wire *wire, enum load_kafka_api api, struct sl_bytes frame,
                       int32_t *ret_correlation, void *ret_message)
{
    const struct kafka_api *row = kafka_api_get(apis[api].key);
    size_t body_at = 0, consumed;
    wire->arena.used = 0;
    sl_err err = kafka_response_head_decode(frame.data, frame.size, row, apis[api].version,
                                            ret_correlation, &body_at);
    return err != SLUICE_OK
               ? err
               : row->response->decode(frame.data + body_at, frame.size - body_at,
                                       apis[api].version, &wire->arena, ret_message, &consumed);
}

sl_err load_kafka_error(int16_t code, char ret_text[LOAD_TEXT_BYTES])
{
    size_t count;
    const struct sluice_status_row *rows = sluice_status_rows(&count);
    if (code == 0) {
        return SLUICE_OK;
    }
    for (size_t i = 0; i < count; i++) {
        if (rows[i].kafka == code) {
            snprintf(ret_text, LOAD_TEXT_BYTES, "Kafka's error %d: %s", code, rows[i].text);
            return rows[i].status;
        }
    }
    snprintf(ret_text, LOAD_TEXT_BYTES, "Kafka's error %d", code);
    return SLUICE_E_INTERNAL;
}

bool load_kafka_is_alert(const uint8_t head[4])
{
    return head[0] == TLS_ALERT && head[1] == TLS_MAJOR;
}
