/* bench_ffi.c: what a call of a library's function costs: directly, by a bare ffi_call, through
 * native_function (values set, called, result taken), and per record in the plugins.
 *
 * The function is zlib's crc32 over nothing and libm's pow, so that the call and not the function
 * is measured; "record …" are batches of 256 records of 100 bytes in processor_ffi.so and
 * processor_lua.so, beside the same function called from a C plugin's loop. An item is a call or a
 * record. Run: bench_ffi [--json] */
#include "bench_round.h"
#include "native_function.h"

#include <dlfcn.h>
#include <sluice/sluice.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLS = 256, RECORDS = 256, VALUE_BYTES = 100, OUTPUT_BYTES = 8192 };

typedef double pow_fn(double a, double b);

struct calls {
    pow_fn *volatile address;
    struct native_function function;
    volatile double sink;
};

static void call_directly(void *argument)
{
    struct calls *calls = argument;
    for (int i = 0; i < CALLS; i++) {
        calls->sink = calls->address(1.0, 2.0);
    }
}

static void call_bare(void *argument)
{
    struct calls *calls = argument;
    double a = 1.0;
    double b = 2.0;
    double result;
    void *values[] = {&a, &b};
    for (int i = 0; i < CALLS; i++) {
        ffi_call(&calls->function.cif, calls->function.address, &result, values);
        calls->sink = result;
    }
}

static void call_by_signature(void *argument)
{
    struct calls *calls = argument;
    for (int i = 0; i < CALLS; i++) {
        native_function_set_real(&calls->function, 0, 1.0);
        native_function_set_real(&calls->function, 1, 2.0);
        native_function_call(&calls->function);
        calls->sink = native_function_real(&calls->function);
    }
}

/* ---- plugins ---- */

struct subject {
    struct sluice_host host;
    struct sluice_writer writer;
    struct sluice_script script;
    struct sluice_resource library;
    struct sluice_resources resources;
    struct sluice_batch batch;
    const struct sluice_processor *processor;
    void *self;
    const char *config;
    struct sluice_record records[RECORDS];
    char value[2 * VALUE_BYTES];
    uint8_t output[OUTPUT_BYTES];
    uint64_t verdicts;
};

static const void *get_extension(const struct sluice_host *host, const char *id)
{
    const struct subject *subject = host->data;
    if (strcmp(id, SLUICE_EXT_RESOURCES) == 0) {
        return &subject->resources;
    }
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
    return sluice_text_of(((const struct subject *)host->data)->config);
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
    if (record->value.size <= OUTPUT_BYTES) {
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

static void run_batch(void *argument)
{
    struct subject *subject = argument;
    if (subject->processor->process_batch(subject->self, &subject->batch, &subject->writer) !=
        SLUICE_OK) {
        abort();
    }
}

/* The records' crc32 in a loop of C, as an inline plugin would do it. */
static unsigned long (*checksum)(unsigned long crc, const unsigned char *data, unsigned size);

static void run_directly(void *argument)
{
    struct subject *subject = argument;
    for (uint32_t i = 0; i < RECORDS; i++) {
        const struct sluice_bytes value = subject->records[i].value;
        if (checksum(0, value.data, (unsigned)value.size) == 0 ||
            subject->writer.pass(&subject->writer, i) != SLUICE_OK) {
            abort();
        }
    }
}

static void fill(struct subject *subject)
{
    snprintf(subject->value, sizeof(subject->value),
             "{\"id\":9007199254740993,\"amount\":12.5,\"ok\":true,\"pad\":\"%-45s\"}", "x");
    for (int i = 0; i < RECORDS; i++) {
        subject->records[i] = (struct sluice_record){
            .size = sizeof(struct sluice_record),
            .offset = i,
            .timestamp = 1700000000000,
            .value = {(const uint8_t *)subject->value, strlen(subject->value)},
        };
    }
    subject->batch = (struct sluice_batch){.size = sizeof(subject->batch),
                                           .record_count = RECORDS,
                                           .records = subject->records,
                                           .record_stride = sizeof(struct sluice_record),
                                           .topic = sluice_text_of("orders")};
}

static struct subject *subject_new(const char *module, const char *library, const char *config,
                                   const char *source)
{
    struct subject *subject = calloc(1, sizeof(*subject));
    void *loaded = dlopen(module, RTLD_NOW | RTLD_LOCAL);
    const struct sluice_plugin_descriptor *plugin =
        loaded != NULL ? dlsym(loaded, SLUICE_PLUGIN_SYMBOL) : NULL;
    if (subject == NULL || plugin == NULL) {
        fprintf(stderr, "%s\n", dlerror());
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
                                             .retry = take_reject};
    subject->script = (struct sluice_script){.size = sizeof(subject->script),
                                             .file = sluice_text_of("bench.lua"),
                                             .source = {(const uint8_t *)source, strlen(source)}};
    subject->library = (struct sluice_resource){.size = sizeof(subject->library),
                                                .kind = SLUICE_RESOURCE_LIBRARY,
                                                .descriptor = -1,
                                                .name = sluice_text_of(library)};
    subject->resources = (struct sluice_resources){sizeof(subject->resources), 1,
                                                   sizeof(subject->library), &subject->library};
    subject->config = config;
    fill(subject);
    subject->processor = plugin->entry;
    if (subject->processor->create(&subject->host, &subject->self) != SLUICE_OK ||
        subject->processor->init(subject->self) != SLUICE_OK) {
        exit(1);
    }
    return subject;
}

#define FFI_MODULE SLUICE_PLUGIN_DIR "/processor_ffi.so"
#define LUA_MODULE SLUICE_PLUGIN_DIR "/processor_lua.so"
#define CRC32                                                   \
    "\"library\":\"libz.so.1\",\"signature\":\"u64 crc32(u64, " \
    "bytes32)\",\"arguments\":[{\"constant\":0},\"value\"]"
#define POW                                                   \
    "\"library\":\"libm.so.6\",\"signature\":\"f64 pow(f64, " \
    "f64)\",\"arguments\":[{\"json\":\"amount\"},{\"constant\":1}]"

static const struct {
    const char *name, *module, *library, *config, *source;
} kinds[] = {
    {"record crc32, drop_if", FFI_MODULE, "libz.so.1",
     "{" CRC32 ",\"result\":{\"drop_if\":\"zero\"}}", ""},
    {"record crc32 as header", FFI_MODULE, "libz.so.1",
     "{" CRC32 ",\"result\":{\"header\":\"crc32\"}}", ""},
    {"record pow of a JSON field, drop_if", FFI_MODULE, "libm.so.6",
     "{" POW ",\"result\":{\"drop_if\":\"zero\"}}", ""},
    {"record pow of a JSON field as JSON field", FFI_MODULE, "libm.so.6",
     "{" POW ",\"result\":{\"json\":\"score\"}}", ""},
    {"record lua pass", LUA_MODULE, "libm.so.6", "{}",
     "return { process = function(record) return record end }"},
    {"record lua, one ffi call more", LUA_MODULE, "libm.so.6", "{}",
     "local pow = ffi.bind('libm.so.6', 'f64 pow(f64,f64)') "
     "return { process = function(record) pow(1.0, 2.0) return record end }"},
};

static void bench(const char *name, bench_fn *run, void *subject, size_t count, bool json)
{
    const struct bench_case one = {name, run, subject, count, 0};
    bench_case_run(&one, json);
}

static void bench_calls(bool json)
{
    static struct calls calls;
    static const char text[] = "f64 pow(f64, f64)";
    void *library = dlopen("libm.so.6", RTLD_NOW);
    void *address = library != NULL ? dlsym(library, "pow") : NULL;
    struct native_signature signature;
    struct native_fault fault;
    if (address == NULL || !native_signature_parse(text, sizeof(text) - 1, &signature, &fault) ||
        native_function_init(&calls.function, &signature, address) != NULL) {
        exit(1);
    }
    memcpy((void *)(uintptr_t)&calls.address, &address, sizeof(address));
    bench("call pow directly", call_directly, &calls, CALLS, json);
    bench("call pow by ffi_call", call_bare, &calls, CALLS, json);
    bench("call pow by signature", call_by_signature, &calls, CALLS, json);
}

int main(int argc, char **argv)
{
    const bool json = bench_wants_json(argc, argv);
    void *zlib = dlopen("libz.so.1", RTLD_NOW);
    void *address = zlib != NULL ? dlsym(zlib, "crc32") : NULL;
    bench_print_head(json);
    bench_calls(json);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct subject *subject =
            subject_new(kinds[i].module, kinds[i].library, kinds[i].config, kinds[i].source);
        if (i == 0 && address != NULL) {
            memcpy(&checksum, &address, sizeof(address));
            bench("record crc32 in a loop of C", run_directly, subject, RECORDS, json);
        }
        bench(kinds[i].name, run_batch, subject, RECORDS, json);
        subject->processor->destroy(subject->self);
        free(subject);
    }
    return 0;
}
