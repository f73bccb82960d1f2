/* well_behaved.c: a processor whose records say what it should do with them, for the toy host's
 * tests. */
#include <sluice/sluice.h>
#include <stdlib.h>
#include <string.h>

struct well_behaved {
    const struct sluice_host *host;
    const struct sluice_script *script;
    char greeting[64];
};

static struct well_behaved instance;

static sluice_status read_config(struct well_behaved *self)
{
    const struct sluice_host *host = self->host;
    const struct sluice_text greeting =
        host->get_config(host, "greeting.text", sluice_text_of("none"));

    if (greeting.size >= sizeof(self->greeting)) {
        host->set_error(host, sluice_text_of("greeting.text is too long"));
        return SLUICE_E_PLUGIN_CONFIG;
    }
    memcpy(self->greeting, greeting.data, greeting.size);
    self->greeting[greeting.size] = '\0';
    return SLUICE_OK;
}

static sluice_status create(const struct sluice_host *host, void **ret_self)
{
    instance.host = host;
    instance.script = host->get_extension(host, SLUICE_EXT_SCRIPT);
    *ret_self = &instance;
    return SLUICE_OK;
}

static sluice_status init(void *self)
{
    const struct well_behaved *plugin = self;

    plugin->host->log(plugin->host, SLUICE_LOG_INFO, sluice_text_of("init"));
    return read_config(self);
}

static sluice_status describe(void *self, struct sluice_attachment *ret)
{
    static const struct sluice_text extra[] = {{"audit", 5}, {"alerts", 6}};
    const struct well_behaved *plugin = self;

    ret->on = SLUICE_ON_LOG;
    ret->deadline_ms = 77;
    ret->name = plugin->script != NULL ? plugin->script->file : sluice_text_of("well_behaved");
    ret->input = sluice_text_of("orders");
    ret->output = sluice_text_of("%s.done");
    ret->extra_output_count = 2;
    ret->extra_outputs = extra;
    return SLUICE_OK;
}

static bool is(struct sluice_bytes value, const char *text)
{
    return value.size == strlen(text) && memcmp(value.data, text, value.size) == 0;
}

static sluice_status emit_text(const struct well_behaved *plugin,
                               const struct sluice_writer *writer, uint32_t index,
                               const char *topic, const char *value)
{
    const struct sluice_header header = {
        sluice_text_of("by"), {(const uint8_t *)plugin->greeting, strlen(plugin->greeting)}};
    const struct sluice_emit record = {.size = sizeof(record),
                                       .header_count = 1,
                                       .topic = sluice_text_of(topic),
                                       .partition = SLUICE_PARTITION_AUTO,
                                       .timestamp = -1,
                                       .value = {(const uint8_t *)value, strlen(value)},
                                       .headers = &header};

    return writer->emit(writer, index, &record);
}

static sluice_status emit_reserved(const struct sluice_writer *writer, uint32_t index,
                                   uint64_t size)
{
    struct sluice_emit record = {.size = sizeof(record), .partition = 2, .timestamp = 42};
    uint8_t *memory;
    const sluice_status status = writer->reserve(writer, size, &memory);

    if (status != SLUICE_OK) {
        return status;
    }
    memset(memory, 'R', size);
    record.value = (struct sluice_bytes){memory, size};
    record.key = (struct sluice_bytes){(const uint8_t *)"", 0};
    return writer->emit(writer, index, &record);
}

static sluice_status one(struct well_behaved *plugin, const struct sluice_batch *batch,
                         const struct sluice_writer *writer, uint32_t index)
{
    const struct sluice_record *record = sluice_batch_record(batch, index);

    if (is(record->value, "die")) {
        abort();
    }
    if (is(record->value, "drop")) {
        return writer->drop(writer, index);
    }
    if (is(record->value, "reject")) {
        return writer->reject(writer, index, sluice_text_of("not wanted"));
    }
    if (is(record->value, "retry")) {
        return writer->retry(writer, index, sluice_text_of("later"));
    }
    if (is(record->value, "two")) {
        (void)emit_text(plugin, writer, index, "", "first");
        return emit_text(plugin, writer, index, "audit", "second");
    }
    if (is(record->value, "elsewhere")) {
        return emit_text(plugin, writer, index, "secrets", "x") == SLUICE_E_PERMISSION
                   ? writer->reject(writer, index, sluice_text_of("not granted"))
                   : SLUICE_E_INTERNAL;
    }
    if (is(record->value, "reserved")) {
        return emit_reserved(writer, index, 1000);
    }
    if (is(record->value, "too much")) {
        (void)emit_reserved(writer, index, 1u << 30); /* ignores that it failed */
        return SLUICE_OK;
    }
    if (is(record->value, "fail")) {
        plugin->host->set_error(plugin->host, sluice_text_of("asked to fail"));
        return SLUICE_E_PLUGIN_ERROR;
    }
    if (is(record->value, "offset") && record->offset == 1000 + index && batch->partition == 3 &&
        record->timestamp == 1700000000000 + 10 * (int64_t)index && record->header_count == 1) {
        return emit_text(plugin, writer, index, "", "as expected");
    }
    return SLUICE_OK;
}

static sluice_status process_batch(void *self, const struct sluice_batch *batch,
                                   const struct sluice_writer *writer)
{
    sluice_status status = SLUICE_OK;

    for (uint32_t i = 0; i < batch->record_count && status == SLUICE_OK; i++) {
        status = one(self, batch, writer, i);
    }
    return status;
}

static sluice_status reconfigure(void *self)
{
    return read_config(self);
}

static void destroy(void *self)
{
    const struct well_behaved *plugin = self;

    plugin->host->log(plugin->host, SLUICE_LOG_INFO, sluice_text_of("destroy"));
}

static const struct sluice_processor processor = {
    .size = sizeof(processor),
    .create = create,
    .init = init,
    .describe = describe,
    .process_batch = process_batch,
    .reconfigure = reconfigure,
    .destroy = destroy,
};
SLUICE_PLUGIN(.size = sizeof(struct sluice_plugin_descriptor), .magic = SLUICE_PLUGIN_MAGIC,
              .abi_major = SLUICE_ABI_MAJOR, .abi_minor = SLUICE_ABI_MINOR,
              .kind = SLUICE_KIND_PROCESSOR, .id = "well_behaved", .version = "1.2.3",
              .entry = &processor);
SLUICE_MANIFEST("{\"id\":\"well_behaved\",\"on\":\"log\"}");
