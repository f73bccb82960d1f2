/* websocket.c: see websocket.h. */
#include "websocket.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define FIN        0x80u
#define RSV        0x70u
#define OPCODE     0x0fu
#define MASKED     0x80u
#define LENGTH     0x7fu
#define LENGTH_16  126u
#define LENGTH_64  127u
#define MASK_BYTES 4u

#define CODE_NORMAL   1000u
#define CODE_AWAY     1001u
#define CODE_PROTOCOL 1002u
#define CODE_DATA     1003u

enum { OP_MORE = 0, OP_TEXT = 1, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };

void websocket_init(struct websocket *socket)
{
    memset(socket, 0, sizeof(*socket));
}

static void end(struct websocket *socket, uint16_t code, const char *reason)
{
    socket->ended = true;
    socket->end_code = code;
    socket->reason = reason;
}

/* ---- heads ---- */

/* What the first two bytes forbid by themselves. */
struct head_view {
    bool fin, masked, is_control;
    uint8_t rsv, opcode, length;
};

static bool is_unknown(const struct websocket *socket, const struct head_view *head)
{
    (void)socket;
    return (head->opcode > OP_BINARY && head->opcode < OP_CLOSE) || head->opcode > OP_PONG;
}
static bool is_extended(const struct websocket *socket, const struct head_view *head)
{
    (void)socket;
    return head->rsv != 0;
}
static bool is_plain(const struct websocket *socket, const struct head_view *head)
{
    (void)socket;
    return !head->masked;
}
static bool is_long_control(const struct websocket *socket, const struct head_view *head)
{
    (void)socket;
    return head->is_control && (!head->fin || head->length > WEBSOCKET_CONTROL_MAX);
}
static bool is_text(const struct websocket *socket, const struct head_view *head)
{
    (void)socket;
    return head->opcode == OP_TEXT;
}
static bool is_out_of_place(const struct websocket *socket, const struct head_view *head)
{
    return !head->is_control && (head->opcode == OP_MORE) != socket->in_message;
}

static const struct rule {
    bool (*is_broken)(const struct websocket *socket, const struct head_view *head);
    uint16_t code;
    const char *reason;
} rules[] = {
    {is_extended, CODE_PROTOCOL, "no extension was agreed on, reserved bits are 0"},
    {is_unknown, CODE_PROTOCOL, "no such opcode"},
    {is_plain, CODE_PROTOCOL, "a client masks its frames"},
    {is_long_control, CODE_PROTOCOL, "a control frame is whole and has at most 125 bytes"},
    {is_text, CODE_DATA, "binary messages carry the protocol, text is not taken"},
    {is_out_of_place, CODE_PROTOCOL, "fragments of a message follow each other"},
};

static void head_check(struct websocket *socket)
{
    const uint8_t *bytes = socket->head;
    const struct head_view head = {.fin = (bytes[0] & FIN) != 0,
                                   .masked = (bytes[1] & MASKED) != 0,
                                   .is_control = (bytes[0] & OPCODE) >= OP_CLOSE,
                                   .rsv = bytes[0] & RSV,
                                   .opcode = bytes[0] & OPCODE,
                                   .length = bytes[1] & LENGTH};
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (rules[i].is_broken(socket, &head)) {
            end(socket, rules[i].code, rules[i].reason);
            return;
        }
    }
}

static uint32_t length_bytes(uint8_t length)
{
    return length == LENGTH_16 ? 2 : length == LENGTH_64 ? 8 : 0;
}

/* With what is there; 2 until the length is known. */
static uint32_t head_wanted(const struct websocket *socket)
{
    return socket->head_size < 2 ? 2 : 2 + length_bytes(socket->head[1] & LENGTH) + MASK_BYTES;
}

/* All of the head is there: the payload begins. */
static void head_take(struct websocket *socket)
{
    static const uint64_t least[] = {[0] = 0, [2] = LENGTH_16, [8] = 1u << 16};
    uint32_t bytes = length_bytes(socket->head[1] & LENGTH);
    uint64_t length = bytes == 0 ? socket->head[1] & LENGTH : 0;
    for (uint32_t i = 0; i < bytes; i++) {
        length = length << 8 | socket->head[2 + i];
    }
    if (length < least[bytes] || length >> 63 != 0) {
        end(socket, CODE_PROTOCOL, "the length of a frame is not written as it has to be");
        return;
    }
    socket->opcode = socket->head[0] & OPCODE;
    if (socket->opcode < OP_CLOSE) {
        socket->in_message = (socket->head[0] & FIN) == 0;
    }
    memmove(socket->head, socket->head + 2 + bytes, MASK_BYTES);
    socket->mask_at = 0;
    socket->left = length;
    socket->control_size = 0;
    socket->in_payload = true;
}

/* Returns the bytes taken. */
static uint64_t head_feed(struct websocket *socket, const uint8_t *data, uint64_t size)
{
    uint64_t done = 0;
    while (done < size && socket->head_size < head_wanted(socket)) {
        socket->head[socket->head_size++] = data[done++];
        if (socket->head_size == 2) {
            head_check(socket);
            if (socket->ended) {
                return done;
            }
        }
    }
    if (socket->head_size >= 2 && socket->head_size == head_wanted(socket)) {
        head_take(socket);
    }
    return done;
}

/* ---- payloads ---- */

/* Takes the mask from bytes in place; it begins at mask_at. */
static void unmask(struct websocket *socket, uint8_t *data, uint64_t size)
{
    uint8_t mask[8];
    uint64_t wide;
    uint64_t word;
    uint64_t at = 0;
    for (uint32_t i = 0; i < sizeof(mask); i++) {
        mask[i] = socket->head[(socket->mask_at + i) % MASK_BYTES];
    }
    memcpy(&wide, mask, sizeof(wide));
    for (; at + sizeof(word) <= size; at += sizeof(word)) {
        memcpy(&word, data + at, sizeof(word));
        word ^= wide;
        memcpy(data + at, &word, sizeof(word));
    }
    for (; at < size; at++) {
        data[at] ^= mask[at % sizeof(mask)];
    }
    socket->mask_at = (uint32_t)((socket->mask_at + size) % MASK_BYTES);
}

static bool is_close_code(uint16_t code)
{
    return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
           (code >= 3000 && code <= 4999);
}

static void take_close(struct websocket *socket)
{
    uint16_t code =
        socket->control_size < 2 ? 0 : (uint16_t)(socket->control[0] << 8 | socket->control[1]);
    if (socket->control_size == 1 || (code != 0 && !is_close_code(code))) {
        end(socket, CODE_PROTOCOL, "no such code to close with");
    } else {
        end(socket, code, NULL);
    }
}

static void take_ping(struct websocket *socket)
{
    memcpy(socket->pong, socket->control, socket->control_size);
    socket->pong_size = socket->control_size;
    socket->pong_due = true;
}

/* All of the frame is there. */
static void frame_end(struct websocket *socket)
{
    socket->in_payload = false;
    socket->head_size = 0;
    if (socket->opcode == OP_CLOSE) {
        take_close(socket);
    } else if (socket->opcode == OP_PING) {
        take_ping(socket);
    }
}

sluice_status websocket_decode(void *state, uint8_t *data, uint64_t size, uint64_t *ret_size)
{
    struct websocket *socket = state;
    uint64_t in = 0;
    uint64_t out = 0;
    while (!socket->ended && (in < size || (socket->in_payload && socket->left == 0))) {
        if (!socket->in_payload) {
            in += head_feed(socket, data + in, size - in);
            continue;
        }
        uint64_t some = socket->left < size - in ? socket->left : size - in;
        bool is_control = socket->opcode >= OP_CLOSE;
        uint8_t *to = is_control ? socket->control + socket->control_size : data + out;
        memmove(to, data + in, (size_t)some);
        unmask(socket, to, some);
        socket->control_size += is_control ? (uint32_t)some : 0;
        out += is_control ? 0 : some;
        in += some;
        socket->left -= some;
        if (socket->left == 0) {
            frame_end(socket);
        }
    }
    *ret_size = out;
    return socket->ended ? SLUICE_E_CANCELLED : SLUICE_OK;
}

/* ---- what is sent ---- */

static uint64_t put_control(uint8_t *into, uint8_t opcode, const uint8_t *data, uint32_t size)
{
    into[0] = (uint8_t)(FIN | opcode);
    into[1] = (uint8_t)size;
    memcpy(into + 2, data, size);
    return 2u + size;
}

static uint64_t put_binary(uint8_t *into, uint64_t size)
{
    uint32_t bytes = size < LENGTH_16 ? 0 : size < 1u << 16 ? 2 : 8;
    into[0] = FIN | OP_BINARY;
    into[1] = (uint8_t)(bytes == 0 ? size : bytes == 2 ? LENGTH_16 : LENGTH_64);
    for (uint32_t i = 0; i < bytes; i++) {
        into[2 + i] = (uint8_t)(size >> 8 * (bytes - 1 - i));
    }
    return 2u + bytes;
}

uint64_t websocket_head(void *state, uint64_t size, uint8_t *ret_head)
{
    struct websocket *socket = state;
    uint64_t used = 0;
    if (socket->pong_due) {
        used = put_control(ret_head, OP_PONG, socket->pong, socket->pong_size);
        socket->pong_due = false;
    }
    return size == 0 ? used : used + put_binary(ret_head + used, size);
}

uint64_t websocket_tail(void *state, int32_t why, uint8_t *ret_tail)
{
    const struct websocket *socket = state;
    uint8_t body[WEBSOCKET_CONTROL_MAX];
    uint32_t code = socket->ended              ? socket->end_code
                    : why == SLUICE_CODEC_AWAY ? CODE_AWAY
                                               : CODE_NORMAL;
    const char *reason = socket->reason != NULL ? socket->reason : "";
    size_t size = strlen(reason);
    body[0] = (uint8_t)(code >> 8);
    body[1] = (uint8_t)code;
    memcpy(body + 2, reason, size);
    return put_control(ret_tail, OP_CLOSE, body, code == 0 ? 0 : 2u + (uint32_t)size);
}

const struct sluice_codec websocket_codec = {
    .size = sizeof(websocket_codec),
    .decode = websocket_decode,
    .head = websocket_head,
    .tail = websocket_tail,
    .free = free,
};

/* ---- the handshake ---- */

bool websocket_accept(const char *key, char ret_accept[WEBSOCKET_ACCEPT_BYTES + 1u])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455, 1.3 */
    unsigned char raw[18];
    unsigned char digest[EVP_MAX_MD_SIZE];
    char text[WEBSOCKET_KEY_BYTES + sizeof(guid)];
    /* 16 bytes end in one group of two letters and "==". */
    if (strlen(key) != WEBSOCKET_KEY_BYTES || strcmp(key + WEBSOCKET_KEY_BYTES - 2, "==") != 0 ||
        key[WEBSOCKET_KEY_BYTES - 3] == '=' ||
        EVP_DecodeBlock(raw, (const unsigned char *)key, WEBSOCKET_KEY_BYTES) != sizeof(raw)) {
        return false;
    }
    memcpy(text, key, WEBSOCKET_KEY_BYTES);
    memcpy(text + WEBSOCKET_KEY_BYTES, guid, sizeof(guid));
    unsigned size = 0;
    if (EVP_Digest(text, sizeof(text) - 1, digest, &size, EVP_sha1(), NULL) != 1 || size != 20) {
        return false;
    }
    return EVP_EncodeBlock((unsigned char *)ret_accept, digest, (int)size) ==
           WEBSOCKET_ACCEPT_BYTES;
}
