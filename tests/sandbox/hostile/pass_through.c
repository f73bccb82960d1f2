/* pass_through.c: the least a processor can do, for benchmarks. With "copy": true it emits every
 * record again, with "verdicts": true it looks at each and passes it by name. */
#include <sluice/sluice.h>

static bool copy, verdicts;

static sluice_status create(const struct sluice_host *host, void **ret_self)
{
    copy = host->get_config(host, "copy", sluice_text_of("")).size == 4;
    verdicts = host->get_config(host, "verdicts", sluice_text_of("")).size == 4;
    *ret_self = NULL;
    return SLUICE_OK;
}

static sluice_status pass_each(const struct sluice_batch *batch, const struct sluice_writer *writer)
{
    sluice_status status = SLUICE_OK;

    for (uint32_t i = 0; i < batch->record_count && status == SLUICE_OK; i++) {
        const struct sluice_record *record = sluice_batch_record(batch, i);

        status = record->value.size == 0 ? writer->drop(writer, i) : writer->pass(writer, i);
    }
    return status;
}

static sluice_status process_batch(void *self, const struct sluice_batch *batch,
                                   const struct sluice_writer *writer)
{
    (void)self;
    if (verdicts) {
        return pass_each(batch, writer);
    }
    for (uint32_t i = 0; copy && i < batch->record_count; i++) {
        const struct sluice_record *record = &batch->records[i];
        const struct sluice_emit out = {.size = sizeof(out),
                                        .partition = SLUICE_PARTITION_AUTO,
                                        .timestamp = -1,
                                        .key = record->key,
                                        .value = record->value};
        const sluice_status status = writer->emit(writer, i, &out);

        if (status != SLUICE_OK) {
            return status;
        }
    }
    return SLUICE_OK;
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
              .kind = SLUICE_KIND_PROCESSOR, .id = "pass_through", .version = "1.0.0",
              .entry = &processor);
