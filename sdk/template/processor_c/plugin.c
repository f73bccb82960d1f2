/* A processor in C. Change the manifest and process_record; the rest can stay.
 *
 * Lifecycle: create -> init -> process_batch* -> destroy, one call at a time. The batch is the unit
 * of a call, the record the unit of error. Input views are valid until process_batch returns. */
#include <sluice/sluice.h>

#include <stdlib.h>
#include <string.h>

SLUICE_MANIFEST(
    "{\"id\":\"my_processor\",\"version\":\"0.1.0\",\"kind\":\"processor\",\"on\":\"log\","
    "\"input\":\"in\",\"output\":\"out\"}");

struct my_processor {
    const struct sluice_host *host;
    struct sluice_text drop_key; /* configuration: records with this key are dropped */
};

static sluice_status create(const struct sluice_host *host, void **ret_self)
{
    struct my_processor *self = (struct my_processor *)calloc(1, sizeof(*self));
    if (self == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    self->host = host;
    *ret_self = self;
    return SLUICE_OK;
}

/* Reads the configuration, at the start and at each change. The view lives until the next change.
 */
static sluice_status configure(void *data)
{
    struct my_processor *self = (struct my_processor *)data;
    self->drop_key = self->host->get_config(self->host, "drop_key", sluice_text_of(""));
    return SLUICE_OK;
}

/* The verdict on one record: pass, drop, emit (any number), reject or retry. */
static sluice_status process_record(const struct my_processor *self,
                                    const struct sluice_record *record, uint32_t index,
                                    const struct sluice_writer *writer)
{
    if (record->value.data == NULL) {
        return writer->reject(writer, index, sluice_text_of("a record without a value"));
    }
    if (self->drop_key.size > 0 && record->key.size == self->drop_key.size &&
        memcmp(record->key.data, self->drop_key.data, record->key.size) == 0) {
        return writer->drop(writer, index);
    }
    return writer->pass(writer, index);
}

static sluice_status process_batch(void *data, const struct sluice_batch *batch,
                                   const struct sluice_writer *writer)
{
    const struct my_processor *self = (const struct my_processor *)data;
    for (uint32_t i = 0; i < batch->record_count; i++) {
        sluice_status status = process_record(self, sluice_batch_record(batch, i), i, writer);
        if (status != SLUICE_OK) {
            return status;
        }
    }
    return SLUICE_OK;
}

static const struct sluice_processor processor = {
    .size = sizeof(processor),
    .create = create,
    .init = configure,
    .process_batch = process_batch,
    .reconfigure = configure,
    .destroy = free,
};

SLUICE_PLUGIN(.size = sizeof(struct sluice_plugin_descriptor), .magic = SLUICE_PLUGIN_MAGIC,
              .abi_major = SLUICE_ABI_MAJOR, .abi_minor = SLUICE_ABI_MINOR,
              .kind = SLUICE_KIND_PROCESSOR, .id = "my_processor", .version = "0.1.0",
              .entry = &processor);
