/* bench_lua.c: what a record costs in a processor: an inline C plugin, and Lua scripts in
 * processor_lua.so.
 *
 * The subject is a batch of 256 records of JSON, 100 bytes or 1 KiB each; the host here takes
 * verdicts and copies what is emitted, nothing else. An item is a record. Run: bench_lua [--json]
 */
#include "bench_host.h"
#include "bench_round.h"

#include <stdio.h>
#include <string.h>

enum { VALUE_BYTES_MAX = 1024 };

static void fill(char *value, size_t value_size)
{
    int size =
        snprintf(value, VALUE_BYTES_MAX,
                 "{\"id\":9007199254740993,\"card\":\"4111 1111 1111 1111\",\"amount\":12.50,"
                 "\"ok\":true,\"pad\":\"");
    memset(value + size, 'x', value_size - (size_t)size - 2);
    memcpy(value + value_size - 2, "\"}", 2);
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

static const struct {
    const char *name, *module, *body;
} kinds[] = {
    {"direct call", NULL, NULL},
    {"c pass", SLUICE_PASS_THROUGH, ""},
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
    static char value[VALUE_BYTES_MAX];
    char name[64];
    snprintf(source, sizeof(source), "return { process = function(record) %s end }",
             kinds[kind].body != NULL ? kinds[kind].body : "");
    snprintf(name, sizeof(name), "%s, %zu B", kinds[kind].name, value_size);
    bool is_lua = kinds[kind].module == NULL && kinds[kind].body != NULL;
    fill(value, value_size);
    struct bench_host *host = bench_host_new(&(struct bench_host_settings){
        .module = is_lua ? SLUICE_PLUGIN_DIR "/processor_lua.so" : kinds[kind].module,
        .processor = &direct,
        .flag = "verdicts", /* of pass_through */
        .source = source,
        .value = {(const uint8_t *)value, value_size},
    });
    const struct bench_case bench = {name, bench_host_run, host, BENCH_HOST_RECORDS,
                                     BENCH_HOST_RECORDS * value_size};
    bench_case_run(&bench, json);
    bench_host_free(host);
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
