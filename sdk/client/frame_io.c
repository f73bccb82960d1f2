/* frame_io.c: see frame_io.h. Numbers are little-endian and put together byte by byte, so that
 * neither alignment nor the machine's own order matter. */
#include "frame_io.h"

#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 4096u

void frame_out_fini(struct frame_out *out)
{
    free(out->data);
    memset(out, 0, sizeof(*out));
}

size_t frame_out_size(const struct frame_out *out)
{
    return out->end - out->begin;
}

void frame_out_drop(struct frame_out *out, size_t size)
{
    out->begin += size < frame_out_size(out) ? size : frame_out_size(out);
    if (out->begin == out->end) {
        out->begin = out->end = 0;
    }
}

/* What was sent makes room before memory does. */
static void move_to_front(struct frame_out *out)
{
    if (out->begin > 0) {
        memmove(out->data, out->data + out->begin, out->end - out->begin);
        out->frame -= out->begin;
        out->end -= out->begin;
        out->begin = 0;
    }
}

static bool grow(struct frame_out *out, size_t size)
{
    size_t capacity = out->capacity < CAPACITY_MIN ? CAPACITY_MIN : out->capacity;
    while (capacity < out->end + size) {
        capacity *= 2;
    }
    uint8_t *data = realloc(out->data, capacity);
    if (data == NULL) {
        return false;
    }
    out->data = data;
    out->capacity = capacity;
    return true;
}

/* Room for `size` bytes at the end, or NULL and an error that sticks. */
static uint8_t *reserve(struct frame_out *out, size_t size)
{
    if (out->status != SLUICE_OK) {
        return NULL;
    }
    if (size > out->max || frame_out_size(out) > out->max - size) {
        out->status = SLUICE_E_WOULD_BLOCK;
        return NULL;
    }
    if (out->capacity - out->end < size) {
        move_to_front(out);
    }
    if (out->capacity - out->end < size && !grow(out, size)) {
        out->status = SLUICE_E_NO_MEMORY;
        return NULL;
    }
    uint8_t *at = out->data + out->end;
    out->end += size;
    return at;
}

static void store(uint8_t *at, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

static void put(struct frame_out *out, uint64_t value, size_t size)
{
    uint8_t *at = reserve(out, size);
    if (at != NULL) {
        store(at, value, size);
    }
}

void frame_begin(struct frame_out *out, uint16_t kind, uint16_t flags, uint32_t id, size_t max)
{
    out->frame = out->end;
    out->status = SLUICE_OK;
    out->max = max;
    frame_put_u32(out, 0);
    frame_put_u16(out, kind);
    frame_put_u16(out, flags);
    frame_put_u32(out, id);
}

void frame_put_u8(struct frame_out *out, uint8_t value)
{
    put(out, value, 1);
}

void frame_put_u16(struct frame_out *out, uint16_t value)
{
    put(out, value, 2);
}

void frame_put_u32(struct frame_out *out, uint32_t value)
{
    put(out, value, 4);
}

void frame_put_u64(struct frame_out *out, uint64_t value)
{
    put(out, value, 8);
}

void frame_put_i32(struct frame_out *out, int32_t value)
{
    put(out, (uint32_t)value, 4);
}

void frame_put_i64(struct frame_out *out, int64_t value)
{
    put(out, (uint64_t)value, 8);
}

void frame_put_zeros(struct frame_out *out, size_t count)
{
    uint8_t *at = reserve(out, count);
    if (at != NULL) {
        memset(at, 0, count);
    }
}

void frame_put_bytes(struct frame_out *out, const void *data, size_t size)
{
    uint8_t *at = size > 0 ? reserve(out, size) : NULL;
    if (at != NULL) {
        memcpy(at, data, size);
    }
}

void frame_put_text(struct frame_out *out, struct sluice_text text)
{
    if (text.size > UINT16_MAX || (text.size > 0 && memchr(text.data, 0, text.size) != NULL)) {
        out->status = out->status != SLUICE_OK ? out->status : SLUICE_E_INVALID;
        return;
    }
    frame_put_u16(out, (uint16_t)text.size);
    frame_put_bytes(out, text.data, (size_t)text.size);
}

void frame_put_blob(struct frame_out *out, struct sluice_bytes blob)
{
    if (blob.data == NULL) {
        frame_put_u32(out, FRAME_NULL_BLOB);
    } else if (blob.size >= FRAME_NULL_BLOB) {
        out->status = out->status != SLUICE_OK ? out->status : SLUICE_E_LIMIT;
    } else {
        frame_put_u32(out, (uint32_t)blob.size);
        frame_put_bytes(out, blob.data, (size_t)blob.size);
    }
}

sluice_status frame_end(struct frame_out *out, size_t frame_max)
{
    sluice_status status = out->status;
    size_t size = out->end - out->frame;
    if (status == SLUICE_OK && (size > frame_max || size - 4 > UINT32_MAX)) {
        status = SLUICE_E_LIMIT;
    }
    if (status != SLUICE_OK) {
        out->end = out->frame;
        out->status = SLUICE_OK;
        return status;
    }
    store(out->data + out->frame, size - 4, 4);
    return SLUICE_OK;
}

struct frame_in frame_in_of(const void *data, size_t size)
{
    const uint8_t *begin = data;
    return (struct frame_in){begin, begin != NULL ? begin + size : NULL, false};
}

size_t frame_left(const struct frame_in *in)
{
    return (size_t)(in->end - in->at);
}

/* The next `size` bytes, or NULL. */
static const uint8_t *take(struct frame_in *in, size_t size)
{
    if (in->failed || frame_left(in) < size) {
        in->failed = true;
        return NULL;
    }
    const uint8_t *at = in->at;
    in->at += size;
    return at;
}

static uint64_t get(struct frame_in *in, size_t size)
{
    const uint8_t *at = take(in, size);
    uint64_t value = 0;
    for (size_t i = 0; at != NULL && i < size; i++) {
        value |= (uint64_t)at[i] << (8 * i);
    }
    return value;
}

uint8_t frame_get_u8(struct frame_in *in)
{
    return (uint8_t)get(in, 1);
}

uint16_t frame_get_u16(struct frame_in *in)
{
    return (uint16_t)get(in, 2);
}

uint32_t frame_get_u32(struct frame_in *in)
{
    return (uint32_t)get(in, 4);
}

uint64_t frame_get_u64(struct frame_in *in)
{
    return get(in, 8);
}

int32_t frame_get_i32(struct frame_in *in)
{
    return (int32_t)get(in, 4);
}

int64_t frame_get_i64(struct frame_in *in)
{
    return (int64_t)get(in, 8);
}

void frame_skip(struct frame_in *in, size_t count)
{
    (void)take(in, count);
}

struct sluice_text frame_get_text(struct frame_in *in)
{
    size_t size = frame_get_u16(in);
    const uint8_t *at = take(in, size);
    return (struct sluice_text){(const char *)at, at != NULL ? size : 0};
}

struct sluice_bytes frame_get_blob(struct frame_in *in)
{
    uint32_t size = frame_get_u32(in);
    const uint8_t *at = size != FRAME_NULL_BLOB ? take(in, size) : NULL;
    return (struct sluice_bytes){at, at != NULL ? size : 0};
}

struct sluice_uuid frame_get_uuid(struct frame_in *in)
{
    struct sluice_uuid id = {{0}};
    const uint8_t *at = take(in, sizeof(id.bytes));
    if (at != NULL) {
        memcpy(id.bytes, at, sizeof(id.bytes));
    }
    return id;
}
