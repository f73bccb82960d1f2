/* sluice_local.c: records of the program that hosts the broker: each a batch of its own, written
 * where the log takes it from, which is the only copy of its bytes. A call under way holds the end
 * of its loop, as a connection's does. [loop 0] */
#include "broker/sluice_state.h"

#include "base/status.h"
#include "shard/produce.h"

#define PRODUCE_TIMEOUT_MS 30000
#define RECORD_EXTRA       128u /* what a batch of one record has beside key and value, at most */

struct local_call {
    struct sluice *sluice;
    sluice_produce_done *done;
    void *arg;
};

static void produced(void *arg, const struct sluice_produce_result *results, uint32_t count,
                     int32_t throttle_ms)
{
    struct local_call call = *(struct local_call *)arg;
    sl_free(arg);
    call.done(call.arg, results, count, throttle_ms);
    shard_request_end(call.sluice->shards.shards[0]);
}

/* The batch, from the chunk's first byte on. */
static sl_err batch_write(const struct record_fields *record, struct chunk *chunk,
                          struct sluice_bytes *ret_batch)
{
    struct sl_buffer out = {.data = chunk->data, .capacity = chunk->size, .size_max = chunk->size};
    struct batch_builder builder;
    struct batch_view view;
    sl_err err = batch_builder_start(&builder, &out, NULL);
    err = err != SLUICE_OK ? err : batch_builder_append(&builder, record);
    err = err != SLUICE_OK ? err
                           : batch_builder_finish(&builder, BATCH_CODEC_NONE, NULL, NULL, &view);
    SL_ASSERT(out.data == chunk->data); /* it was large enough */
    *ret_batch = (struct sluice_bytes){out.data, out.size};
    return err;
}

static void hand_over(struct sluice *sluice, const struct sluice_local_record *record,
                      struct chunk *chunk, struct sluice_bytes batch, struct local_call *call)
{
    const struct sluice_context context = {.size = sizeof(context),
                                           .principal = sluice_text_of("User:host"),
                                           .listener = sluice_text_of("embed"),
                                           .client_id = sluice_text_of("host"),
                                           .client_host = sluice_text_of("local")};
    const struct sluice_produce_entry entry = {
        .topic.name = record->topic, .partition = record->partition, .batch = batch};
    const struct sluice_produce request = {.size = sizeof(request),
                                           .acks = -1,
                                           .timeout_ms = PRODUCE_TIMEOUT_MS,
                                           .entry_count = 1,
                                           .entries = &entry};
    struct loop_room *room = &sluice->rooms[0];
    shard_request_begin(room->shards[0]);
    flow_book_produce(&room->flow, &context, &request, sl_loop_now_ns(room->loop) / 1000000);
    produce_start(room->shards[0], chunk, &context, &request, produced, call, NULL);
}

sl_err sluice_produce_local(struct sluice *sluice, const struct sluice_local_record *record,
                            sluice_produce_done *done, void *arg)
{
    struct chunk_cache *cache = &sluice->rooms[0].cache;
    struct local_call *call = sl_alloc(sizeof(*call));
    struct chunk *chunk = NULL;
    struct sluice_bytes batch;
    size_t size =
        BATCH_HEADER_SIZE + RECORD_EXTRA + record->fields.key.size + record->fields.value.size;
    sl_err err = call != NULL ? chunk_new(cache, size, &chunk) : SLUICE_E_NO_MEMORY;
    err = err != SLUICE_OK ? err : batch_write(&record->fields, chunk, &batch);
    if (err == SLUICE_OK) {
        if (record->copied != NULL) {
            record->copied(arg);
        }
        *call = (struct local_call){sluice, done, arg};
        hand_over(sluice, record, chunk, batch, call);
    } else {
        sl_free(call);
    }
    chunk_unref(chunk);
    return err;
}
