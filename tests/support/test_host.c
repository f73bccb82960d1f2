/* test_host: see the header. */
#include "test_host.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void *must_calloc(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static char *copy_text(struct sluice_text text)
{
    char *copy = must_calloc(1, (size_t)text.size + 1);
    if (text.size > 0) {
        memcpy(copy, text.data, (size_t)text.size);
    }
    return copy;
}

static struct sluice_bytes copy_bytes(struct sluice_bytes bytes)
{
    if (bytes.data == NULL) {
        return bytes;
    }
    struct sluice_text text = {(const char *)bytes.data, bytes.size};
    return (struct sluice_bytes){(uint8_t *)copy_text(text), bytes.size};
}

static struct test_host *self_of(const struct sluice_host *host)
{
    return host->data;
}

static const void *get_extension(const struct sluice_host *host, const char *id)
{
    struct test_host *self = self_of(host);
    if (strcmp(id, SLUICE_EXT_SCRIPT) == 0 && self->script.size > 0) {
        return &self->script;
    }
    if (strcmp(id, SLUICE_EXT_LIMITS) == 0 && self->limits.memory_bytes > 0) {
        return &self->limits;
    }
    if (strcmp(id, SLUICE_EXT_RESOURCES) == 0 && self->resources.size > 0) {
        return &self->resources;
    }
    return NULL;
}

static void log_line(const struct sluice_host *host, int32_t level, struct sluice_text line)
{
    struct test_host *self = self_of(host);
    if (self->line_count < TEST_HOST_LINES_MAX) {
        self->lines[self->line_count++] = (struct test_line){level, copy_text(line)};
    }
}

static struct sluice_text get_config(const struct sluice_host *host, const char *key,
                                     struct sluice_text fallback)
{
    struct test_host *self = self_of(host);
    for (uint32_t i = 0; i < self->config_count; i++) {
        if (strcmp(self->config[i].key, key) == 0) {
            return sluice_text_of(self->config[i].value);
        }
    }
    return fallback;
}

static struct sluice_text get_config_json(const struct sluice_host *host)
{
    return sluice_text_of(self_of(host)->config_json);
}

static void set_error(const struct sluice_host *host, struct sluice_text reason)
{
    struct test_host *self = self_of(host);
    free(self->error);
    self->error = copy_text(reason);
}

/* ---- writer ---- */

static void violate(struct test_host *self, const char *what)
{
    if (self->violation == NULL) {
        self->violation = what;
    }
}

static void verdict_fini(struct test_verdict *verdict)
{
    for (uint32_t i = 0; i < verdict->header_count; i++) {
        free((void *)verdict->headers[i].key.data);
        free((void *)verdict->headers[i].value.data);
    }
    free(verdict->headers);
    free(verdict->topic);
    free(verdict->reason);
    free((void *)verdict->key.data);
    free((void *)verdict->value.data);
}

static void clear_verdicts(struct test_host *self)
{
    for (uint32_t i = 0; i < self->verdict_count; i++) {
        verdict_fini(&self->verdicts[i]);
    }
    self->verdict_count = 0;
    self->output_bytes = 0;
    free(self->reserved);
    self->reserved = NULL;
}

/* Takes back the emits of a record whose verdict becomes another one. */
static void discard_emits(struct test_host *self, uint32_t index)
{
    while (self->verdict_count > 0 && self->verdicts[self->verdict_count - 1].index == index &&
           self->verdicts[self->verdict_count - 1].kind == TEST_EMIT) {
        verdict_fini(&self->verdicts[--self->verdict_count]);
    }
}

static struct test_verdict *add(const struct sluice_writer *writer, uint32_t index, char kind)
{
    struct test_host *self = writer->data;
    if (kind == TEST_REJECT || kind == TEST_RETRY) {
        discard_emits(self, index);
    }
    if (self->verdict_count > 0) {
        const struct test_verdict *last = &self->verdicts[self->verdict_count - 1];
        if (index < last->index || last->kind == TEST_RETRY) {
            violate(self, "verdicts out of order");
        } else if (index == last->index && (last->kind != TEST_EMIT || kind != TEST_EMIT)) {
            violate(self, "a second verdict on one record");
        }
    }
    if (self->verdict_count == TEST_HOST_VERDICTS_MAX) {
        violate(self, "too many verdicts for the test host");
        return NULL;
    }
    struct test_verdict *verdict = &self->verdicts[self->verdict_count++];
    *verdict = (struct test_verdict){.kind = kind, .index = index};
    return verdict;
}

static sluice_status writer_pass(const struct sluice_writer *writer, uint32_t index)
{
    return add(writer, index, TEST_PASS) ? SLUICE_OK : SLUICE_E_LIMIT;
}

static sluice_status writer_drop(const struct sluice_writer *writer, uint32_t index)
{
    return add(writer, index, TEST_DROP) ? SLUICE_OK : SLUICE_E_LIMIT;
}

static sluice_status add_reason(const struct sluice_writer *writer, uint32_t index, char kind,
                                struct sluice_text reason)
{
    struct test_verdict *verdict = add(writer, index, kind);
    if (verdict == NULL) {
        return SLUICE_E_LIMIT;
    }
    verdict->reason = copy_text(reason);
    return SLUICE_OK;
}

static sluice_status writer_reject(const struct sluice_writer *writer, uint32_t index,
                                   struct sluice_text reason)
{
    return add_reason(writer, index, TEST_REJECT, reason);
}

static sluice_status writer_retry(const struct sluice_writer *writer, uint32_t index,
                                  struct sluice_text reason)
{
    return add_reason(writer, index, TEST_RETRY, reason);
}

static bool is_granted(const struct test_host *self, struct sluice_text topic)
{
    bool found = topic.size == 0 || self->granted_count == 0;
    for (uint32_t i = 0; i < self->granted_count && !found; i++) {
        found = strlen(self->granted[i]) == topic.size &&
                memcmp(self->granted[i], topic.data, (size_t)topic.size) == 0;
    }
    return found;
}

static sluice_status writer_emit(const struct sluice_writer *writer, uint32_t index,
                                 const struct sluice_emit *record)
{
    struct test_host *self = writer->data;
    if (record->timestamp < -1 || record->partition < SLUICE_PARTITION_AUTO) {
        return SLUICE_E_INVALID;
    }
    if (!is_granted(self, record->topic)) {
        return SLUICE_E_PERMISSION;
    }
    self->output_bytes += record->key.size + record->value.size;
    if (self->output_bytes_max > 0 && self->output_bytes > self->output_bytes_max) {
        return SLUICE_E_LIMIT;
    }
    struct test_verdict *verdict = add(writer, index, TEST_EMIT);
    if (verdict == NULL) {
        return SLUICE_E_LIMIT;
    }
    verdict->topic = copy_text(record->topic);
    verdict->key = copy_bytes(record->key);
    verdict->value = copy_bytes(record->value);
    verdict->timestamp = record->timestamp;
    verdict->headers = must_calloc(record->header_count + 1u, sizeof(verdict->headers[0]));
    for (uint32_t i = 0; i < record->header_count; i++) {
        verdict->headers[i].key.data = copy_text(record->headers[i].key);
        verdict->headers[i].key.size = record->headers[i].key.size;
        verdict->headers[i].value = copy_bytes(record->headers[i].value);
    }
    verdict->header_count = record->header_count;
    return SLUICE_OK;
}

static sluice_status writer_reserve(const struct sluice_writer *writer, uint64_t size,
                                    uint8_t **ret_memory)
{
    struct test_host *self = writer->data;
    free(self->reserved);
    self->reserved = must_calloc(1, (size_t)size + 1);
    *ret_memory = self->reserved;
    return SLUICE_OK;
}

/* ---- public ---- */

void test_host_init(struct test_host *self)
{
    *self = (struct test_host){
        .host = {.size = sizeof(struct sluice_host),
                 .abi_minor = SLUICE_ABI_MINOR,
                 .get_extension = get_extension,
                 .log = log_line,
                 .get_config = get_config,
                 .get_config_json = get_config_json,
                 .set_error = set_error},
        .writer = {.size = sizeof(struct sluice_writer),
                   .pass = writer_pass,
                   .drop = writer_drop,
                   .emit = writer_emit,
                   .reject = writer_reject,
                   .retry = writer_retry,
                   .reserve = writer_reserve,
                   .fail = writer_reject},
        .config_json = "{}",
        .verdicts = must_calloc(TEST_HOST_VERDICTS_MAX, sizeof(struct test_verdict)),
    };
    self->host.data = self;
    self->writer.data = self;
}

void test_host_fini(struct test_host *self)
{
    test_host_stop(self);
    clear_verdicts(self);
    for (uint32_t i = 0; i < self->line_count; i++) {
        free(self->lines[i].text);
    }
    free(self->error);
    free(self->verdicts);
}

void test_host_set(struct test_host *self, const char *key, const char *value)
{
    if (self->config_count == TEST_HOST_KEYS_MAX) {
        abort();
    }
    self->config[self->config_count].key = key;
    self->config[self->config_count++].value = value;
}

void test_host_set_script(struct test_host *self, const char *file, const char *source)
{
    self->script = (struct sluice_script){
        .size = sizeof(struct sluice_script),
        .file = sluice_text_of(file),
        .source = {(const uint8_t *)source, strlen(source)},
    };
}

const struct sluice_plugin_descriptor *test_host_open_module(const char *path)
{
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const struct sluice_plugin_descriptor *descriptor =
        module != NULL ? dlsym(module, SLUICE_PLUGIN_SYMBOL) : NULL;
    if (descriptor == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return NULL;
    }
    if (descriptor->magic != SLUICE_PLUGIN_MAGIC || descriptor->abi_major != SLUICE_ABI_MAJOR ||
        descriptor->size < sizeof(*descriptor) || descriptor->entry == NULL) {
        fprintf(stderr, "%s: not a descriptor of this ABI\n", path);
        return NULL;
    }
    return descriptor;
}

sluice_status test_host_start(struct test_host *self, const struct sluice_processor *processor)
{
    self->processor = processor;
    sluice_status status = processor->create(&self->host, &self->self);
    if (status != SLUICE_OK) {
        self->processor = NULL;
        return status;
    }
    if (processor->init != NULL) {
        status = processor->init(self->self);
    }
    if (status == SLUICE_OK && processor->activate != NULL) {
        status = processor->activate(self->self);
    }
    if (status != SLUICE_OK) {
        processor->destroy(self->self);
        self->processor = NULL;
    }
    return status;
}

void test_host_stop(struct test_host *self)
{
    if (self->processor == NULL) {
        return;
    }
    if (self->processor->deactivate != NULL) {
        self->processor->deactivate(self->self);
    }
    self->processor->destroy(self->self);
    self->processor = NULL;
}

static int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

sluice_status test_host_run(struct test_host *self, const char *topic,
                            const struct sluice_record *records, uint32_t count)
{
    clear_verdicts(self);
    const struct sluice_context context = {
        .size = sizeof(context),
        .principal = sluice_text_of("Plugin:test"),
        .deadline_ms = self->timeout_ms > 0 ? monotonic_ms() + self->timeout_ms : 0,
    };
    const struct sluice_batch batch = {
        .size = sizeof(batch),
        .record_count = count,
        .records = records,
        .record_stride = sizeof(struct sluice_record),
        .partition = 3,
        .topic = sluice_text_of(topic),
        .context = &context,
    };
    return self->processor->process_batch(self->self, &batch, &self->writer);
}

struct sluice_record test_record(const char *key, const char *value, int64_t offset)
{
    struct sluice_text key_text = sluice_text_of(key);
    struct sluice_text value_text = sluice_text_of(value);
    return (struct sluice_record){
        .size = sizeof(struct sluice_record),
        .offset = offset,
        .timestamp = 1000,
        .key = {(const uint8_t *)key_text.data, key_text.size},
        .value = {(const uint8_t *)value_text.data, value_text.size},
    };
}

sluice_status test_host_run_value(struct test_host *self, const char *value)
{
    const struct sluice_record record = test_record(NULL, value, 7);
    return test_host_run(self, "in", &record, 1);
}

const char *test_host_value(const struct test_host *self)
{
    if (self->verdict_count != 1 || self->verdicts[0].kind != TEST_EMIT ||
        self->verdicts[0].value.data == NULL) {
        return "";
    }
    return (const char *)self->verdicts[0].value.data;
}

const char *test_host_kinds(const struct test_host *self)
{
    static char kinds[TEST_HOST_VERDICTS_MAX + 1];
    for (uint32_t i = 0; i < self->verdict_count; i++) {
        kinds[i] = self->verdicts[i].kind;
    }
    kinds[self->verdict_count] = '\0';
    return kinds;
}
