/* bench_lua.c: what a record costs in a processor: an inline C plugin, and Lua scripts in
 * processor_lua.so.
 *
 * The subject is a batch of 256 records of JSON, 100 bytes or 1 KiB each; the host here takes
 * verdicts and copies what is emitted, nothing else. An item is a record. Run: bench_lua [--json]
 */
#include "bench_round.h"

#include <dlfcn.h>
#include <sluice/sluice.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORDS = 256, VALUE_BYTES_MAX = 1024, OUTPUT_BYTES = 8192 };

struct subject {
    struct sluice_host host;
    struct sluice_writer writer;
    struct sluice_script script;
    struct sluice_batch batch;
    const struct sluice_processor *processor;
    void *self;
    struct sluice_record records[RECORDS];
    char value[VALUE_BYTES_MAX];
    uint8_t output[OUTPUT_BYTES];
    uint64_t verdicts;
};

static const void *get_extension(const struct sluice_host *host, const char *id)
{
    const struct subject *subject = host->data;
    return strcmp(id, SLUICE_EXT_SCRIPT) == 0 ? &subject->script : NULL;
}

static void log_line(const struct sluice_host *host, int32_t level, struct sluice_text line)
{
    (void)host;
    fprintf(stderr, "%d: %.*s\n", level, (int)line.size, line.data);
}

static struct sluice_text get_config(const struct sluice_host *host, const char *key,
                                     struct sluice_text fallback)
{
    (void)host;
    (void)key;
    return fallback;
}

static struct sluice_text get_config_json(const struct sluice_host *host)
{
    (void)host;
    return sluice_text_of("{}");
}

static void set_error(const struct sluice_host *host, struct sluice_text reason)
{
    log_line(host, SLUICE_LOG_ERROR, reason);
}

static sluice_status take(const struct sluice_writer *writer, uint32_t index)
{
    struct subject *subject = writer->data;
    (void)index;
    subject->verdicts++;
    return SLUICE_OK;
}

static sluice_status take_emit(const struct sluice_writer *writer, uint32_t index,
                               const struct sluice_emit *record)
{
    struct subject *subject = writer->data;
    if (record->value.data != subject->output) {
        memcpy(subject->output, record->value.data, (size_t)record->value.size);
    }
    return take(writer, index);
}

static sluice_status take_reject(const struct sluice_writer *writer, uint32_t index,
                                 struct sluice_text reason)
{
    (void)index;
    log_line(&((struct subject *)writer->data)->host, SLUICE_LOG_ERROR, reason);
    abort();
}

static sluice_status reserve(const struct sluice_writer *writer, uint64_t size,
                             uint8_t **ret_memory)
{
    struct subject *subject = writer->data;
    *ret_memory = subject->output;
    return size <= OUTPUT_BYTES ? SLUICE_OK : SLUICE_E_LIMIT;
}

static void run_batch(void *argument)
{
    struct subject *subject = argument;
    if (subject->processor->process_batch(subject->self, &subject->batch, &subject->writer) !=
        SLUICE_OK) {
        abort();
    }
}

static void fill(struct subject *subject, size_t value_size)
{
    int size =
        snprintf(subject->value, sizeof(subject->value),
                 "{\"id\":9007199254740993,\"card\":\"4111 1111 1111 1111\",\"amount\":12.50,"
                 "\"ok\":true,\"pad\":\"");
    memset(subject->value + size, 'x', value_size - (size_t)size - 2);
    memcpy(subject->value + value_size - 2, "\"}", 2);
    for (int i = 0; i < RECORDS; i++) {
        subject->records[i] = (struct sluice_record){
            .size = sizeof(struct sluice_record),
            .offset = i,
            .timestamp = 1700000000000,
            .value = {(const uint8_t *)subject->value, value_size},
        };
    }
}

/* What a record costs with no plugin at all: a call and a verdict. */
__attribute__((noinline)) static sluice_status direct_record(const struct sluice_record *record,
                                                             uint32_t index,
                                                             const struct sluice_writer *writer)
{
    return record->value.size == 0 ? writer->drop(writer, index) : writer->pass(writer, index);
}

static sluice_status direct_batch(void *self, const struct sluice_batch *batch,
                                  const struct sluice_writer *writer)
{
    sluice_status status = SLUICE_OK;
    (void)self;
    for (uint32_t i = 0; i < batch->record_count && status == SLUICE_OK; i++) {
        status = direct_record(&batch->records[i], i, writer);
    }
    return status;
}

static sluice_status direct_create(const struct sluice_host *host, void **ret_self)
{
    *ret_self = host->data;
    return SLUICE_OK;
}

static void direct_destroy(void *self)
{
    (void)self;
}

static const struct sluice_processor direct = {.size = sizeof(direct),
                                               .create = direct_create,
                                               .process_batch = direct_batch,
                                               .destroy = direct_destroy};

static const struct sluice_processor *processor_of(const char *module)
{
    if (module == NULL) {
        return &direct;
    }
    void *library = dlopen(module, RTLD_NOW | RTLD_LOCAL);
    const struct sluice_plugin_descriptor *plugin =
        library != NULL ? dlsym(library, SLUICE_PLUGIN_SYMBOL) : NULL;
    if (plugin == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    return plugin->entry;
}

/* module NULL: the direct call. */
static struct subject *subject_new(const char *module, const char *source, size_t value_size)
{
    struct subject *subject = calloc(1, sizeof(*subject));
    if (subject == NULL) {
        exit(1);
    }
    subject->host = (struct sluice_host){.size = sizeof(subject->host),
                                         .data = subject,
                                         .get_extension = get_extension,
                                         .log = log_line,
                                         .get_config = get_config,
                                         .get_config_json = get_config_json,
                                         .set_error = set_error};
    subject->writer = (struct sluice_writer){.size = sizeof(subject->writer),
                                             .data = subject,
                                             .pass = take,
                                             .drop = take,
                                             .emit = take_emit,
                                             .reject = take_reject,
                                             .retry = take_reject,
                                             .reserve = reserve,
                                             .fail = take_reject};
    subject->script = (struct sluice_script){.size = sizeof(subject->script),
                                             .file = sluice_text_of("bench.lua"),
                                             .source = {(const uint8_t *)source, strlen(source)}};
    fill(subject, value_size);
    subject->batch = (struct sluice_batch){.size = sizeof(subject->batch),
                                           .record_count = RECORDS,
                                           .records = subject->records,
                                           .record_stride = sizeof(struct sluice_record),
                                           .topic = sluice_text_of("orders")};
    subject->processor = processor_of(module);
    if (subject->processor->create(&subject->host, &subject->self) != SLUICE_OK ||
        (subject->processor->init != NULL &&
         subject->processor->init(subject->self) != SLUICE_OK)) {
        exit(1);
    }
    return subject;
}

static const struct {
    const char *name, *module, *body;
} kinds[] = {
    {"direct call", NULL, NULL},
    {"c pass", SLUICE_PASS, ""},
    {"c uppercase", SLUICE_UPPERCASE, ""},
    {"lua pass", NULL, "return record"},
    {"lua filter by key", NULL, "if record.key ~= 'x' then return nil end return record"},
    {"lua value set", NULL, "record.value = record.value return record"},
    {"lua header add", NULL, "record.headers['processed_at'] = '1' return record"},
    {"lua json_get", NULL, "record:json_get('card') return record"},
    {"lua json_set", NULL, "record:json_set('amount', 0) return record"},
    {"lua decode, encode", NULL,
     "local d = json.decode(record.value) d.amount = 0 record.value = json.encode(d) return "
     "record"},
};

static void run_kind(size_t kind, size_t value_size, bool json)
{
    static char source[512];
    char name[64];
    snprintf(source, sizeof(source), "return { process = function(record) %s end }",
             kinds[kind].body != NULL ? kinds[kind].body : "");
    snprintf(name, sizeof(name), "%s, %zu B", kinds[kind].name, value_size);
    bool is_lua = kinds[kind].module == NULL && kinds[kind].body != NULL;
    struct subject *subject = subject_new(
        is_lua ? SLUICE_PLUGIN_DIR "/processor_lua.so" : kinds[kind].module, source, value_size);
    const struct bench_case bench = {name, run_batch, subject, RECORDS, RECORDS * value_size};
    bench_case_run(&bench, json);
    subject->processor->destroy(subject->self);
    free(subject);
}

int main(int argc, char **argv)
{
    bool json = bench_wants_json(argc, argv);
    const char *wanted = argc > 1 && argv[argc - 1][0] != '-' ? argv[argc - 1] : "";
    bench_print_head(json);
    static const size_t sizes[] = {100, 1024};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (size_t kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++) {
            if (strstr(kinds[kind].name, wanted) != NULL) {
                run_kind(kind, sizes[i], json);
            }
        }
    }
    return 0;
}
