/* bench_ffi.c: what a call of a library's function costs: directly, by a bare ffi_call, through
 * native_function (values set, called, result taken), and per record in the plugins.
 *
 * The function is zlib's crc32 over nothing and libm's pow, so that the call and not the function
 * is measured; "record …" are batches of 256 records of 100 bytes in processor_ffi.so and
 * processor_lua.so, beside the same function called from a C plugin's loop. An item is a call or a
 * record. Run: bench_ffi [--json] */
#include "bench_host.h"
#include "bench_round.h"
#include "native_function.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLS = 256, VALUE_BYTES = 100 };

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

/* The records' crc32 in a loop of C, as an inline plugin would do it. */
static unsigned long (*checksum)(unsigned long crc, const unsigned char *data, unsigned size);

static void run_directly(void *argument)
{
    struct bench_host *host = argument;
    for (uint32_t i = 0; i < BENCH_HOST_RECORDS; i++) {
        const struct sluice_bytes value = host->records[i].value;
        if (checksum(0, value.data, (unsigned)value.size) == 0 ||
            host->writer.pass(&host->writer, i) != SLUICE_OK) {
            abort();
        }
    }
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
    static char value[2 * VALUE_BYTES];
    snprintf(value, sizeof(value),
             "{\"id\":9007199254740993,\"amount\":12.5,\"ok\":true,\"pad\":\"%-45s\"}", "x");
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct bench_host *host = bench_host_new(
            &(struct bench_host_settings){.module = kinds[i].module,
                                          .library = kinds[i].library,
                                          .config_json = kinds[i].config,
                                          .source = kinds[i].source,
                                          .value = {(const uint8_t *)value, strlen(value)}});
        if (i == 0 && address != NULL) {
            memcpy(&checksum, &address, sizeof(address));
            bench("record crc32 in a loop of C", run_directly, host, BENCH_HOST_RECORDS, json);
        }
        bench(kinds[i].name, bench_host_run, host, BENCH_HOST_RECORDS, json);
        bench_host_free(host);
    }
    return 0;
}
