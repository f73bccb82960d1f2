/* bench_pass.c: the least plugin: looks at each record and passes it. */
#include <sluice/sluice.h>

static sluice_status create(const struct sluice_host *host, void **ret_self)
{
    *ret_self = host->data;
    return SLUICE_OK;
}

static sluice_status process_batch(void *self, const struct sluice_batch *batch,
                                   const struct sluice_writer *writer)
{
    sluice_status status = SLUICE_OK;
    (void)self;
    for (uint32_t i = 0; i < batch->record_count && status == SLUICE_OK; i++) {
        const struct sluice_record *record = sluice_batch_record(batch, i);
        status = record->value.size == 0 ? writer->drop(writer, i) : writer->pass(writer, i);
    }
    return status;
}

static void destroy(void *self)
{
    (void)self;
}

static const struct sluice_processor processor = {.size = sizeof(processor),
                                                  .create = create,
                                                  .process_batch = process_batch,
                                                  .destroy = destroy};

SLUICE_PLUGIN(.size = sizeof(struct sluice_plugin_descriptor), .magic = SLUICE_PLUGIN_MAGIC,
              .abi_major = SLUICE_ABI_MAJOR, .abi_minor = SLUICE_ABI_MINOR,
              .kind = SLUICE_KIND_PROCESSOR, .id = "bench_pass", .version = "1.0.0",
              .entry = &processor);
