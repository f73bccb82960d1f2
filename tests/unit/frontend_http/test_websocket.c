/* test_websocket.c: frames of a client in every split, what is refused and how it is told. */
#include "websocket.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_MAX (1u << 18)

/* Frames of a client, one behind the other. */
static uint8_t input[BYTES_MAX];
static size_t input_size;

static void put(const void *bytes, size_t size)
{
    memcpy(input + input_size, bytes, size);
    input_size += size;
}

/* first: FIN, reserved bits and opcode. */
static void put_frame(uint8_t first, const char *payload, size_t size)
{
    static const uint8_t mask[4] = {0x11, 0xa2, 0x00, 0xff};
    uint8_t head[10] = {first, 0x80};
    size_t bytes = size < 126 ? 0 : size < 65536 ? 2 : 8;
    head[1] |= (uint8_t)(bytes == 0 ? size : bytes == 2 ? 126 : 127);
    for (size_t i = 0; i < bytes; i++) {
        head[2 + i] = (uint8_t)(size >> 8 * (bytes - 1 - i));
    }
    put(head, 2 + bytes);
    put(mask, 4);
    for (size_t i = 0; i < size; i++) {
        input[input_size++] = (uint8_t)payload[i] ^ mask[i % 4];
    }
}

/* What a codec made of the input. */
struct outcome {
    uint8_t data[BYTES_MAX];
    size_t size;
    sluice_status status;
    uint8_t said[SLUICE_CODEC_BYTES_MAX]; /* without output */
    uint64_t said_size;
    uint8_t last[SLUICE_CODEC_BYTES_MAX];
    uint64_t last_size;
};
static struct outcome whole, split;

/* Each piece in a block of its own, so that a sanitizer sees any step beyond it. */
static void feed(struct websocket *socket, struct outcome *outcome, const uint8_t *bytes,
                 size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    uint64_t decoded = 0;
    memcpy(copy, bytes, size);
    if (outcome->status == SLUICE_OK) {
        outcome->status = websocket_decode(socket, copy, size, &decoded);
    }
    cr_assert_leq(decoded, size);
    memcpy(outcome->data + outcome->size, copy, decoded);
    outcome->size += decoded;
    free(copy);
}

static void run(struct outcome *outcome, size_t at)
{
    struct websocket socket;
    websocket_init(&socket);
    outcome->size = 0;
    outcome->status = SLUICE_OK;
    feed(&socket, outcome, input, at);
    feed(&socket, outcome, input + at, input_size - at);
    outcome->said_size = websocket_head(&socket, 0, outcome->said);
    outcome->last_size = websocket_tail(&socket, SLUICE_CODEC_AWAY, outcome->last);
}

/* In one piece, and the same in two at every place (every `step`-th). */
static void run_in_every_split(size_t step)
{
    run(&whole, input_size);
    for (size_t at = 0; at < input_size; at += step) {
        run(&split, at);
        cr_assert_eq(split.status, whole.status, "split at %zu", at);
        cr_assert_eq(split.size, whole.size, "split at %zu", at);
        cr_assert_arr_eq(split.data, whole.data, whole.size, "split at %zu", at);
        cr_assert_eq(split.said_size, whole.said_size, "split at %zu", at);
        cr_assert_arr_eq(split.said, whole.said, whole.said_size, "split at %zu", at);
        cr_assert_arr_eq(split.last, whole.last, whole.last_size, "split at %zu", at);
    }
    input_size = 0;
}

static void expect_data(const char *text)
{
    cr_expect_eq(whole.status, SLUICE_OK);
    cr_expect_eq(whole.size, strlen(text));
    cr_expect_arr_eq(whole.data, text, strlen(text));
}

/* The connection ends with the code; what came before was decoded. */
static void expect_end(const char *data, unsigned code)
{
    cr_expect_eq(whole.status, SLUICE_E_CANCELLED);
    cr_expect_eq(whole.size, strlen(data));
    cr_expect_eq(whole.last[0], 0x88);
    if (code == 0) {
        cr_expect_eq(whole.last_size, 2);
    } else {
        cr_expect_eq(whole.last[2] << 8 | whole.last[3], (int)code, "%d",
                     whole.last[2] << 8 | whole.last[3]);
        cr_expect_eq(whole.last[1], whole.last_size - 2);
    }
}

Test(websocket, joins_messages_and_fragments_to_a_stream_in_every_split)
{
    put_frame(0x82, "one ", 4);
    put_frame(0x82, "", 0);
    put_frame(0x02, "two", 3);
    put_frame(0x00, "", 0);
    put_frame(0x89, "ping", 4); /* control frames may stand between fragments */
    put_frame(0x00, " th", 3);
    put_frame(0x8a, "nobody asked", 12);
    put_frame(0x80, "ree and eighteen bytes", 22);
    run_in_every_split(1);
    expect_data("one two three and eighteen bytes");
    cr_expect_eq(whole.said_size, 6);
    cr_expect_arr_eq(whole.said, "\x8a\x04ping", 6);
    cr_expect_arr_eq(whole.last, "\x88\x02\x03\xe9", 4); /* 1001: it was told to go */
}

Test(websocket, takes_lengths_of_all_three_forms)
{
    static char payload[65537];
    static const size_t sizes[] = {125, 126, 127, 65535, 65536, 65537};
    for (size_t i = 0; i < sizeof(payload); i++) {
        payload[i] = (char)(i * 31 + i / 256);
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        put_frame(0x82, payload, sizes[i]);
        put_frame(0x82, "!", 1);
        run_in_every_split(sizes[i] > 1000 ? 6007 : 1);
        cr_expect_eq(whole.size, sizes[i] + 1);
        cr_expect_arr_eq(whole.data, payload, sizes[i]);
        cr_expect_eq(whole.data[sizes[i]], '!');
    }
}

Test(websocket, ends_at_what_the_rfc_forbids_and_delivers_what_came_before)
{
    static const struct {
        const char *bytes;
        size_t size;
        unsigned code;
    } bad[] = {
        {"\x82\x01x", 3, 1002},                             /* not masked */
        {"\xc2\x80", 2, 1002},                              /* a reserved bit */
        {"\x83\x80", 2, 1002},                              /* no such opcode */
        {"\x8b\x80", 2, 1002},                              /* nor such a control one */
        {"\x81\x80", 2, 1003},                              /* text */
        {"\x80\x80", 2, 1002},                              /* a fragment of nothing */
        {"\x89\xfe\0\x7e", 4, 1002},                        /* a long ping */
        {"\x09\x80", 2, 1002},                              /* a fragment of a ping */
        {"\x82\xfe\0\x7d\1\1\1\1", 8, 1002},                /* two bytes for what one holds */
        {"\x82\xff\0\0\0\0\0\0\xff\xff\1\1\1\1", 14, 1002}, /* eight for two */
        {"\x82\xff\x80\0\0\0\0\0\0\0\1\1\1\1", 14, 1002},   /* the highest bit */
        {"\x02\x80\1\1\1\1\x82\x80", 8, 1002},              /* a message in a message */
        {"\x88\x81\0\0\0\0x", 7, 1002},                     /* half a code to close with */
        {"\x88\x82\0\0\0\0\x03\xed", 8, 1002},              /* 1005 is not sent */
        {"\x88\x82\0\0\0\0\x03\xe7", 8, 1002},              /* 999 */
        {"\x88\x80\0\0\0\0", 6, 0},                         /* a close without a code */
        {"\x88\x82\0\0\0\0\x03\xe8", 8, 1000},
        {"\x88\x86\0\0\0\0\x0f\xa0 bye", 12, 4000},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        put_frame(0x82, "before", 6);
        put(bad[i].bytes, bad[i].size);
        put_frame(0x82, "behind", 6);
        run_in_every_split(1);
        expect_end("before", bad[i].code);
    }
}

Test(websocket, answers_the_last_ping_before_what_is_sent_next)
{
    struct websocket socket;
    uint8_t head[SLUICE_CODEC_BYTES_MAX];
    uint64_t decoded = 0;
    websocket_init(&socket);
    put_frame(0x89, "first", 5);
    put_frame(0x89, "second", 6);
    cr_assert_eq(websocket_decode(&socket, input, input_size, &decoded), SLUICE_OK);
    cr_expect_eq(decoded, 0);
    cr_expect_eq(websocket_head(&socket, 300, head), 12);
    cr_expect_arr_eq(head, "\x8a\x06second\x82\x7e\x01\x2c", 12);
    cr_expect_eq(websocket_head(&socket, 0, head), 0);
    cr_expect_eq(websocket_head(&socket, 125, head), 2);
    cr_expect_eq(websocket_head(&socket, 70000, head), 10);
    cr_expect_arr_eq(head, "\x82\x7f\0\0\0\0\0\x01\x11\x70", 10);
    cr_expect_eq(websocket_tail(&socket, SLUICE_CODEC_ENDS, head), 4);
    cr_expect_arr_eq(head, "\x88\x02\x03\xe8", 4);
}

Test(websocket, accepts_keys_of_16_bytes_as_the_rfc_shows)
{
    static const char *const bad[] = {"",
                                      "dGhlIHNhbXBsZSBub25jZQ",
                                      "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
                                      "dGhlIHNhbXBsZSBub25jZQ=!",
                                      "dGhlIHNhbXBsZSBub25jZ===",
                                      "dGhlIHNhbXBsZSBub25jZTE=",
                                      "dGhlIHNhbXBsZSBub25jZTE2",
                                      "dGhlIH!hbXBsZSBub25jZQ=="};
    char accept[WEBSOCKET_ACCEPT_BYTES + 1];
    cr_expect(websocket_accept("dGhlIHNhbXBsZSBub25jZQ==", accept));
    cr_expect_str_eq(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_expect_not(websocket_accept(bad[i], accept), "%s", bad[i]);
    }
}
