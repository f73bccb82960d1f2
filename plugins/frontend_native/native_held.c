/* native_held.c: see native_held.h. */
#include "native_held.h"

#include "native_frontend.h"

#include <stdlib.h>
#include <string.h>

#define RECORD_OFFSET_AT 4u

struct native_held *native_held_new(struct native_source *source, struct native_writer *writer)
{
    struct native_held *held =
        writer->size == 0 || writer->failed ? NULL : calloc(1, sizeof(*held));
    if (held == NULL) {
        native_writer_fini(writer);
        return NULL;
    }
    *held = (struct native_held){
        .source = source, .until_ms = INT64_MAX, .size = writer->size, .data = writer->data};
    native_source_ref(source);
    return held;
}

void native_held_free(struct native_held *held)
{
    held->freed = held->sending;
    if (held->freed) {
        return;
    }
    native_source_unref(held->source);
    free(held->data);
    free(held);
}

static uint64_t read_number(const uint8_t *at, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        value |= (uint64_t)at[i] << (8 * i);
    }
    return value;
}

int64_t native_held_offset(const struct native_held *held)
{
    return (int64_t)read_number(held->data + held->at + RECORD_OFFSET_AT, 8);
}

static bool has_bit(const uint8_t *bits, uint32_t index)
{
    return (bits[index / 8] >> (index % 8) & 1) != 0;
}

void native_held_keep(struct native_held *held, const uint8_t *passes,
                      struct native_left_out *left_out)
{
    size_t kept = 0;
    uint32_t index = 0;
    for (size_t at = 0; at < held->size; index++) {
        uint8_t *record = held->data + at;
        size_t size = 4 + (size_t)read_number(record, 4);
        if (has_bit(passes, index)) {
            memmove(held->data + kept, record, size);
            kept += size;
        } else if (left_out != NULL) {
            int64_t offset = (int64_t)read_number(record + RECORD_OFFSET_AT, 8);
            struct native_runs *runs =
                has_bit(left_out->raised, index) ? &left_out->failed : &left_out->unfit;
            (void)native_runs_add(runs, offset, offset);
        }
        at += size;
    }
    held->size = kept;
}

static void send_some(struct native_held *held)
{
    struct native_source *source = held->source;
    struct native_sub *sub = source->sub;
    struct native_writer *writer = &sub->conn->frontend->writer;
    uint32_t count = 0;
    uint64_t stalled = 0;
    while (held->at < held->size && !held->freed && !sub->conn->blocked &&
           native_conn_is_open(sub->conn)) {
        uint64_t size = 4 + read_number(held->data + held->at, 4);
        int64_t offset = native_held_offset(held);
        if (!native_credit_take(&sub->credit, size)) {
            stalled = sub->credit.records > 0 ? size : 0;
            break;
        }
        if (count > 0 && writer->size + size > NATIVE_MESSAGES_BYTES) {
            native_messages_send(sub, &count, 0);
        }
        if (count == 0) {
            native_messages_begin(source);
        }
        native_write_bytes(writer, held->data + held->at, (size_t)size);
        count++;
        source->stalled_bytes = 0;
        if (sub->share != NULL) {
            (void)native_runs_add(&source->sent, offset, offset);
        }
        held->at += (size_t)size;
    }
    if (count > 0) {
        native_messages_send(sub, &count, 0);
    }
    if (stalled > 0 && native_conn_is_open(sub->conn)) {
        native_source_stall(source, native_held_offset(held), stalled);
    }
}

bool native_held_send(struct native_held *held)
{
    held->sending = true;
    send_some(held);
    held->sending = false;
    bool is_done = held->freed || held->at == held->size;
    if (held->freed) {
        native_held_free(held);
    }
    return is_done;
}
