/* loader.c: from the staged copy to an active instance, with a sentence for everything that can be
 * wrong. */
#include "worker.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#define TEXT(x)             TEXT_(x)
#define TEXT_(x)            #x
#define MODULE              "/proc/self/fd/" TEXT(WORKER_FD_MODULE)
#define REFUSE(status, ...) link_fail(SANDBOX_CAUSE_REFUSED, status, __VA_ARGS__)

static const char *load_error(void)
{
    const char *text = dlerror();

    if (text == NULL) {
        return "unknown error";
    }
    return strncmp(text, MODULE ": ", sizeof(MODULE) + 1) == 0 ? text + sizeof(MODULE) + 1 : text;
}

static void check_abi(const struct sluice_plugin_descriptor *plugin, bool rehearses)
{
    if (plugin->magic != SLUICE_PLUGIN_MAGIC) {
        REFUSE(SLUICE_E_PLUGIN_ABI, "its symbol " SLUICE_PLUGIN_SYMBOL " is no plugin descriptor");
    }
    if (plugin->abi_major != SLUICE_ABI_MAJOR) {
        REFUSE(SLUICE_E_PLUGIN_ABI, "was built for ABI %u.%u, this host speaks ABI %u.%u",
               plugin->abi_major, plugin->abi_minor, SLUICE_ABI_MAJOR, SLUICE_ABI_MINOR);
    }
    if (plugin->abi_minor > SLUICE_ABI_MINOR) {
        REFUSE(SLUICE_E_PLUGIN_ABI, "was built for ABI %u.%u, this host offers only %u.%u",
               plugin->abi_major, plugin->abi_minor, SLUICE_ABI_MAJOR, SLUICE_ABI_MINOR);
    }
    if (plugin->size < sizeof(*plugin)) {
        REFUSE(SLUICE_E_PLUGIN_ABI, "has a descriptor of %u bytes, ABI %u.%u needs %zu",
               plugin->size, SLUICE_ABI_MAJOR, SLUICE_ABI_MINOR, sizeof(*plugin));
    }
    if (plugin->kind == SLUICE_KIND_FRONTEND && plugin->entry != NULL && rehearses) {
        return;
    }
    if (plugin->kind != SLUICE_KIND_PROCESSOR || plugin->entry == NULL) {
        REFUSE(SLUICE_E_PLUGIN_ABI, "is not a processor (kind %u)", plugin->kind);
    }
}

static void check_extensions(struct worker *worker)
{
    const char *const *required = worker->plugin->required_extensions;

    for (; required != NULL && *required != NULL; required++) {
        if (!host_offers(worker, *required)) {
            REFUSE(SLUICE_E_PLUGIN_ABI, "requires %s, which this host does not offer", *required);
        }
        worker->state.is_wanted |= strcmp(*required, SLUICE_EXT_STATE) == 0;
    }
}

static void check_processor(const struct sluice_processor *processor)
{
    if (processor->size < sizeof(*processor)) {
        REFUSE(SLUICE_E_PLUGIN_ABI, "has a processor table of %u bytes, ABI %u.%u needs %zu",
               processor->size, SLUICE_ABI_MAJOR, SLUICE_ABI_MINOR, sizeof(*processor));
    }
    if (processor->create == NULL || processor->process_batch == NULL ||
        processor->destroy == NULL) {
        REFUSE(SLUICE_E_PLUGIN_ABI, "lacks create, process_batch or destroy");
    }
}

/* Ends the worker if a step of the lifecycle failed. */
static void check_step(const struct worker *worker, sluice_status status, const char *step)
{
    if (status == SLUICE_OK) {
        return;
    }
    if (worker->error_size > 0) {
        REFUSE(status, "%.*s", (int)worker->error_size, worker->error);
    }
    REFUSE(status, "failed in %s with status %d", step, status);
}

void loader_load(struct worker *worker)
{
    void *module = dlopen(MODULE, RTLD_NOW | RTLD_LOCAL);

    if (module == NULL) {
        REFUSE(SLUICE_E_PLUGIN_LOAD, "cannot be loaded: %s", load_error());
    }
    worker->plugin = dlsym(module, SLUICE_PLUGIN_SYMBOL);
    if (worker->plugin == NULL) {
        REFUSE(SLUICE_E_PLUGIN_LOAD,
               "does not export " SLUICE_PLUGIN_SYMBOL ": it is no Sluice plugin");
    }
    check_abi(worker->plugin, worker->boot->rehearsal.size > 0);
    if (worker->plugin->kind == SLUICE_KIND_FRONTEND) {
        rehearse_frontend(worker);
    }
    check_extensions(worker);
    worker->processor = worker->plugin->entry;
    check_processor(worker->processor);
    rehearse(worker);
    host_error_clear(worker);
    check_step(worker, worker->processor->create(&worker->host, &worker->self), "create");
    host_error_clear(worker);
    if (worker->processor->init != NULL) {
        check_step(worker, worker->processor->init(worker->self), "init");
    }
}

void loader_activate(struct worker *worker)
{
    host_error_clear(worker);
    if (worker->processor->activate != NULL) {
        check_step(worker, worker->processor->activate(worker->self), "activate");
    }
}

struct ready_message {
    uint8_t bytes[CONTROL_FROM_SIZE_MAX - sizeof(struct control_head)];
    uint32_t used;
};

static void add_text(struct ready_message *message, uint32_t index, struct sluice_text text)
{
    const uint32_t size = (uint32_t)text.size;

    if (text.size > CONTROL_READY_TEXT_MAX) {
        REFUSE(SLUICE_E_PLUGIN_MANIFEST, "describes itself with a text of more than %u bytes",
               CONTROL_READY_TEXT_MAX);
    }
    memcpy(message->bytes + sizeof(struct control_ready) + index * sizeof(size), &size,
           sizeof(size));
    if (size > 0) {
        memcpy(message->bytes + message->used, text.data, size);
        message->used += size;
    }
}

void loader_ready(struct worker *worker, int listener)
{
    static struct ready_message message;
    struct sluice_attachment attachment = {.size = sizeof(attachment)};
    struct control_ready ready;

    if (worker->processor->describe != NULL) {
        host_error_clear(worker);
        check_step(worker, worker->processor->describe(worker->self, &attachment), "describe");
    }
    if (attachment.state_import_count > SLUICE_STATE_IMPORTS_MAX ||
        attachment.extra_output_count > SANDBOX_OUTPUTS_MAX || attachment.on > SLUICE_ON_PRODUCE) {
        REFUSE(SLUICE_E_PLUGIN_MANIFEST, "describes an attachment that this host does not know");
    }
    ready =
        (struct control_ready){.on = attachment.on,
                               .deadline_ms = attachment.deadline_ms,
                               .text_count = CONTROL_READY_TEXTS + attachment.extra_output_count,
                               .wants_state = worker->state.is_wanted,
                               .rehearsal_digest = worker->rehearsal_digest,
                               .state_version = attachment.state_version,
                               .state_import_count = attachment.state_import_count};
    if (ready.state_import_count > 0) {
        memcpy(ready.state_imports, attachment.state_imports,
               ready.state_import_count * sizeof(ready.state_imports[0]));
    }
    memcpy(message.bytes, &ready, sizeof(ready));
    message.used = (uint32_t)(sizeof(ready) + ready.text_count * sizeof(uint32_t));
    add_text(&message, 0, sluice_text_of(worker->plugin->id));
    add_text(&message, 1, sluice_text_of(worker->plugin->version));
    add_text(&message, 2, attachment.name);
    add_text(&message, 3, attachment.input);
    add_text(&message, 4, attachment.output);
    add_text(&message, 5, attachment.on_error);
    for (uint32_t i = 0; i < attachment.extra_output_count; i++) {
        add_text(&message, CONTROL_READY_TEXTS + i, attachment.extra_outputs[i]);
    }
    link_send(CONTROL_READY, message.bytes, message.used, listener, true);
}
