/* processor_ffi: calls a C function of a plain shared library for each record. An ordinary plugin,
 * built against sdk/ and libffi alone.
 *
 * In: a configuration (call_settings.h, docs/plugins/ffi.md), batches. Out: one verdict per record:
 * the record with the function's result in it, or none, or a reason. A record whose arguments do
 * not fit the signature is rejected, not called with. The library is opened while the plugin loads;
 * a crash in the function is a crash of the worker, and the host finds the record that does it.
 *
 * Thread: any, one at a time. */
#include "call_record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

SLUICE_MANIFEST("{\"id\":\"processor_ffi\",\"version\":\"1.0.0\",\"kind\":\"processor\","
                "\"permissions\":[\"library *\"]}");

struct instance {
    const struct sluice_host *host;
    char *config;      /* [owned] what settings view */
    struct call *call; /* [owned] */
    void *address;     /* of the function */
};

static struct call *call_free(struct call *call)
{
    if (call != NULL) {
        call_fini(call);
        free(call);
    }
    return NULL;
}

static void destroy(void *data)
{
    struct instance *self = data;

    call_free(self->call);
    free(self->config);
    free(self);
}

static sluice_status create(const struct sluice_host *host, void **ret_self)
{
    struct instance *self = calloc(1, sizeof(*self));

    if (self == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    self->host = host;
    *ret_self = self;
    return SLUICE_OK;
}

static sluice_status fail(const struct instance *self, sluice_status status, const char *text)
{
    self->host->set_error(self->host, sluice_text_of(text));
    return status;
}

/* A copy: the host's view ends with the next reconfigure. */
static char *copy_config(const struct instance *self, struct sluice_text *ret_json)
{
    const struct sluice_text json = self->host->get_config_json(self->host);
    char *copy = malloc((size_t)json.size + 1);

    if (copy != NULL) {
        memcpy(copy, json.data, (size_t)json.size);
        copy[json.size] = '\0';
        *ret_json = (struct sluice_text){copy, json.size};
    }
    return copy;
}

static sluice_status bind(struct instance *self, char text[CALL_TEXT_BYTES])
{
    const struct call_settings *settings = &self->call->settings;
    char library_name[NATIVE_LIBRARY_BYTES];
    void *library = native_library_open(self->host, settings->library, text, CALL_TEXT_BYTES);

    if (library == NULL) {
        return SLUICE_E_PLUGIN_LOAD;
    }
    memcpy(library_name, settings->library.data, (size_t)settings->library.size);
    library_name[settings->library.size] = '\0';
    self->address = native_library_function(library, library_name, settings->signature.name, text,
                                            CALL_TEXT_BYTES);
    return self->address == NULL ? SLUICE_E_PLUGIN_LOAD : SLUICE_OK;
}

static sluice_status prepare(struct call *call, void *address, char text[CALL_TEXT_BYTES])
{
    const char *fault = native_function_init(&call->function, &call->settings.signature, address);

    if (fault != NULL) {
        snprintf(text, CALL_TEXT_BYTES, "%s", fault);
        return SLUICE_E_PLUGIN_LOAD;
    }
    if (!call_prepare(call)) {
        snprintf(text, CALL_TEXT_BYTES, "%s", call->reason);
        return SLUICE_E_PLUGIN_CONFIG;
    }
    return SLUICE_OK;
}

static sluice_status init(void *data)
{
    struct instance *self = data;
    char text[CALL_TEXT_BYTES] = "";
    struct sluice_text json;
    sluice_status status;

    self->call = calloc(1, sizeof(*self->call));
    self->config = copy_config(self, &json);
    if (self->call == NULL || self->config == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    status = call_settings_read(json, &self->call->settings, text) ? bind(self, text)
                                                                   : SLUICE_E_PLUGIN_CONFIG;
    status = status == SLUICE_OK ? prepare(self->call, self->address, text) : status;
    return status == SLUICE_OK ? status : fail(self, status, text);
}

static bool calls_the_same(const struct call_settings *a, const struct call_settings *b)
{
    return a->library.size == b->library.size &&
           memcmp(a->library.data, b->library.data, (size_t)a->library.size) == 0 &&
           strcmp(a->signature.name, b->signature.name) == 0;
}

/* Arguments, result and signature may change; the function stays, nothing can be opened any more.
 */
static sluice_status reconfigure(void *data)
{
    struct instance *self = data;
    char text[CALL_TEXT_BYTES] = "";
    struct sluice_text json;
    struct call *call = calloc(1, sizeof(*call));
    char *config = copy_config(self, &json);
    sluice_status status = SLUICE_E_PLUGIN_CONFIG;

    if (call == NULL || config == NULL) {
        free(call);
        free(config);
        return SLUICE_E_NO_MEMORY;
    }
    if (call_settings_read(json, &call->settings, text)) {
        if (calls_the_same(&call->settings, &self->call->settings)) {
            status = prepare(call, self->address, text);
        } else {
            snprintf(text, CALL_TEXT_BYTES, "%s",
                     "library and symbol cannot change while the plugin runs: load it again");
        }
    }
    if (status != SLUICE_OK) {
        call_free(call);
        free(config);
        return fail(self, status, text);
    }
    call_free(self->call);
    free(self->config);
    self->call = call;
    self->config = config;
    return SLUICE_OK;
}

static sluice_status emit(const struct sluice_writer *writer, uint32_t index,
                          const struct sluice_emit *out, bool *ret_stop)
{
    static const char too_large[] = "its output is larger than a batch may have";
    static const char full[] = "the output of the batch is full";
    static const char headers[] = "the record has more headers than an output may have";
    const sluice_status status = writer->emit(writer, index, out);

    if (status == SLUICE_E_INVALID) {
        return writer->reject(writer, index, sluice_text_of(headers));
    }
    if (status != SLUICE_E_LIMIT) {
        return status;
    }
    if (index == 0) {
        return writer->reject(writer, index, sluice_text_of(too_large));
    }
    *ret_stop = true;
    return writer->retry(writer, index, sluice_text_of(full));
}

static sluice_status process_batch(void *data, const struct sluice_batch *batch,
                                   const struct sluice_writer *writer)
{
    const struct instance *self = data;
    sluice_status status = SLUICE_OK;
    bool stop = false;

    for (uint32_t i = 0; i < batch->record_count && status == SLUICE_OK && !stop; i++) {
        struct sluice_emit out;

        switch (call_record(self->call, sluice_batch_record(batch, i), &out)) {
        case CALL_PASS:
            status = writer->pass(writer, i);
            break;
        case CALL_DROP:
            status = writer->drop(writer, i);
            break;
        case CALL_EMIT:
            status = emit(writer, i, &out, &stop);
            break;
        default:
            status = writer->reject(writer, i, sluice_text_of(self->call->reason));
            break;
        }
    }
    return status;
}

static const struct sluice_processor processor = {
    .size = sizeof(processor),
    .create = create,
    .init = init,
    .process_batch = process_batch,
    .reconfigure = reconfigure,
    .destroy = destroy,
};

SLUICE_PLUGIN(.size = sizeof(struct sluice_plugin_descriptor), .magic = SLUICE_PLUGIN_MAGIC,
              .abi_major = SLUICE_ABI_MAJOR, .abi_minor = SLUICE_ABI_MINOR,
              .kind = SLUICE_KIND_PROCESSOR, .id = "processor_ffi", .version = "1.0.0",
              .entry = &processor);
