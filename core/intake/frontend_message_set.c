/* frontend_message_set.c: see frontend_message_set.h. Each conversion has memory of its own: they
 * are few at a time (two tasks of an instance run at once), and old clients the exception. */
#include "intake/frontend_message_set.h"

#include "record/message_set.h"

#include <string.h>

static const struct frontend_message_set *of_host(const struct sluice_message_set_host *host)
{
    return host->data;
}

/* The buffer's memory becomes the caller's. */
static struct sluice_bytes give(struct sl_buffer *buffer)
{
    struct sluice_bytes bytes = {buffer->data, buffer->size};
    *buffer = (struct sl_buffer){.size_max = buffer->size_max};
    return bytes;
}

static sluice_status to_batch(const struct sluice_message_set_host *host, struct sluice_bytes set,
                              struct sluice_bytes *ret_batch)
{
    const struct frontend_message_set *self = of_host(host);
    struct message_set_memory memory;
    struct sl_buffer out;
    sl_err err = message_set_memory_init(&memory, self->expanded_bytes_max);
    sl_buffer_init(&out, codec_compress_room(self->expanded_bytes_max));
    if (err == SLUICE_OK) {
        err = message_set_to_batch(sl_bytes_of(set.data, (size_t)set.size), &memory, &out);
    }
    if (err == SLUICE_OK) {
        *ret_batch = give(&out);
    }
    sl_buffer_fini(&out);
    message_set_memory_fini(&memory);
    return err;
}

static sluice_status from_batches(const struct sluice_message_set_host *host,
                                  struct sluice_bytes batches, int32_t magic, int64_t offset,
                                  uint64_t bytes_max, struct sluice_bytes *ret_set,
                                  int64_t *ret_next_offset)
{
    const struct frontend_message_set *self = of_host(host);
    struct message_set_want want = {magic, offset, (size_t)bytes_max};
    struct message_set_memory memory;
    struct sl_buffer out;
    if (magic < 0 || magic > MESSAGE_MAGIC_MAX) {
        return SLUICE_E_UNSUPPORTED_MAGIC;
    }
    sl_err err = message_set_memory_init(&memory, self->expanded_bytes_max);
    /* One message, or run of them, goes beyond the soft bound. */
    sl_buffer_init(&out, (size_t)bytes_max + codec_compress_room(self->expanded_bytes_max));
    if (err == SLUICE_OK) {
        err = message_set_from_batches(sl_bytes_of(batches.data, (size_t)batches.size), &want,
                                       &memory, &out, ret_next_offset);
    }
    if (err == SLUICE_OK) {
        *ret_set = give(&out);
    }
    sl_buffer_fini(&out);
    message_set_memory_fini(&memory);
    return err;
}

static void release(const struct sluice_message_set_host *host, struct sluice_bytes bytes)
{
    (void)host;
    sl_free((void *)(uintptr_t)bytes.data);
}

void frontend_message_set_init(struct frontend_message_set *sets, size_t expanded_bytes_max)
{
    *sets = (struct frontend_message_set){
        .host = {.size = sizeof(sets->host),
                 .data = sets,
                 .to_batch = to_batch,
                 .from_batches = from_batches,
                 .release = release},
        .expanded_bytes_max = expanded_bytes_max,
    };
}
