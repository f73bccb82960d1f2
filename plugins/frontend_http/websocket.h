/* websocket.h: RFC 6455 of a server, sans-IO: frames of a client to the bytes that they carry, and
 * bytes to frames of the server; as a codec of the host (<sluice/upgrade.h>).
 *
 * Binary messages carry a stream: where one ends means nothing, so that they may be as long, and in
 * as many fragments, as the client likes; nothing is gathered. Answers to pings (the last one's),
 * and the closing handshake, are the codec's. Memory: the head of a frame and two control frames.
 *
 * What ends a connection, with the code that it is told: 1002 a frame that RFC 6455 forbids, 1003 a
 * text message, its own code a close of the client. */
#ifndef FRONTEND_HTTP_WEBSOCKET_H
#define FRONTEND_HTTP_WEBSOCKET_H

#include <sluice/upgrade.h>
#include <stdbool.h>

#define WEBSOCKET_HEAD_MAX     14u
#define WEBSOCKET_CONTROL_MAX  125u
#define WEBSOCKET_KEY_BYTES    24u /* of Sec-WebSocket-Key: base64 of 16 bytes */
#define WEBSOCKET_ACCEPT_BYTES 28u

struct websocket {
    uint8_t head[WEBSOCKET_HEAD_MAX];
    uint32_t head_size;
    uint32_t mask_at; /* next byte of the mask */
    uint64_t left;    /* of the running frame's payload */
    bool in_payload;
    bool in_message; /* fragments follow */
    uint8_t opcode;
    uint8_t control[WEBSOCKET_CONTROL_MAX]; /* payload of the running control frame */
    uint32_t control_size;
    uint8_t pong[WEBSOCKET_CONTROL_MAX];
    uint32_t pong_size;
    bool pong_due;
    bool ended;         /* nothing more is taken */
    uint16_t end_code;  /* that is told then; 0: none, as the client gave none */
    const char *reason; /* or NULL */
};

void websocket_init(struct websocket *socket);
/* Calls of websocket_codec; see struct sluice_codec. */
sluice_status websocket_decode(void *state, uint8_t *data, uint64_t size, uint64_t *ret_size);
uint64_t websocket_head(void *state, uint64_t size, uint8_t *ret_head);
uint64_t websocket_tail(void *state, int32_t why, uint8_t *ret_tail);

/* Its states are struct websocket of malloc, which it frees. */
extern const struct sluice_codec websocket_codec;

/* Sec-WebSocket-Accept for a key, with its NUL; false: the key is not base64 of 16 bytes. */
bool websocket_accept(const char *key, char ret_accept[WEBSOCKET_ACCEPT_BYTES + 1u]);

#endif
