/* uppercase: a stream processor in C. Reads `words`, writes `words.upper` with ASCII letters
 * raised.
 *
 * The manifest below sits in the file as data, so that the broker knows what to attach before any
 * code of this file runs. The output is written straight into the host's buffer (reserve, then
 * emit). */
#include <sluice/sluice.h>

SLUICE_MANIFEST("{\"id\":\"uppercase\",\"version\":\"1.0.0\",\"kind\":\"processor\",\"on\":\"log\","
                "\"input\":\"words\",\"output\":\"words.upper\"}");

/* The instance: nothing but its host. */
static sluice_status create(const struct sluice_host *host, void **ret_self)
{
    *ret_self = (void *)host;
    return SLUICE_OK;
}

static void destroy(void *self)
{
    (void)self;
}

static void raise_letters(uint8_t *to, struct sluice_bytes from)
{
    for (uint64_t i = 0; i < from.size; i++) {
        uint8_t c = from.data[i];
        to[i] = (c >= 'a' && c <= 'z') ? (uint8_t)(c - 'a' + 'A') : c;
    }
}

static sluice_status process_record(const struct sluice_record *in, uint32_t index,
                                    const struct sluice_writer *writer)
{
    if (in->value.size == 0) {
        return writer->pass(writer, index);
    }
    uint8_t *memory;
    sluice_status status = writer->reserve(writer, in->value.size, &memory);
    if (status != SLUICE_OK) {
        return status;
    }
    raise_letters(memory, in->value);
    struct sluice_emit out = {0};
    out.size = sizeof(out);
    out.partition = SLUICE_PARTITION_AUTO;
    out.timestamp = -1;
    out.key = in->key;
    out.value.data = memory;
    out.value.size = in->value.size;
    out.headers = in->headers;
    out.header_count = in->header_count;
    return writer->emit(writer, index, &out);
}

static sluice_status process_batch(void *self, const struct sluice_batch *batch,
                                   const struct sluice_writer *writer)
{
    (void)self;
    for (uint32_t i = 0; i < batch->record_count; i++) {
        sluice_status status = process_record(sluice_batch_record(batch, i), i, writer);
        if (status != SLUICE_OK) {
            return status;
        }
    }
    return SLUICE_OK;
}

static const struct sluice_processor processor = {
    .size = sizeof(processor),
    .create = create,
    .process_batch = process_batch,
    .destroy = destroy,
};

SLUICE_PLUGIN(.size = sizeof(struct sluice_plugin_descriptor), .magic = SLUICE_PLUGIN_MAGIC,
              .abi_major = SLUICE_ABI_MAJOR, .abi_minor = SLUICE_ABI_MINOR,
              .kind = SLUICE_KIND_PROCESSOR, .id = "uppercase", .version = "1.0.0",
              .entry = &processor);
