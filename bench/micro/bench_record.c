/* bench_record.c: what a record costs: walk, checksum, validate, build, and every codec.
 *
 * The subject is a batch of about 128 KiB, records of 100 bytes of JSON without key, as a busy
 * producer sends. An item is a record; MB/s count uncompressed bytes. Run: bench_record [--json] */
#include "base/crc32c.h"
#include "bench_round.h"
#include "record/batch_builder.h"
#include "record/batch_validate.h"

#include <stdio.h>
#include <stdlib.h>

enum { RECORDS = 1200, VALUE_SIZE = 100, BYTES_MAX = 4 << 20 };

struct subject {
    struct codec_context *context;
    struct sl_buffer plain, packed, out;
    struct batch_view view;
    struct batch_limits limits;
    int codec;
    char values[RECORDS][VALUE_SIZE + 1];
    volatile uint64_t sink; /* keeps the compiler from dropping the work */
};

static void must(sl_err err)
{
    SL_ASSERT(err == SLUICE_OK);
}

static void fill_values(struct subject *subject)
{
    uint64_t random = 88172645463325252u;
    for (int i = 0; i < RECORDS; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        int size = snprintf(subject->values[i], sizeof subject->values[i],
                            "{\"id\":%d,\"user\":\"user-%u\",\"amount\":%u.%02u,\"status\":\"%s\","
                            "\"region\":\"eu-west-%u\",\"ok\":true,\"pad\":\"",
                            i, (unsigned)(random % 5000), (unsigned)(random >> 20 & 1023),
                            (unsigned)(random >> 40 & 63), (random & 64) != 0 ? "paid" : "open",
                            (unsigned)(random >> 50 & 3));
        for (int at = size; at < VALUE_SIZE; at++)
            subject->values[i][at] = at == VALUE_SIZE - 1 ? '}' : at == VALUE_SIZE - 2 ? '"' : 'x';
    }
}

static void build(void *argument)
{
    struct subject *subject = argument;
    struct batch_builder builder;
    sl_buffer_reset(&subject->plain);
    must(batch_builder_start(&builder, &subject->plain, NULL));
    for (int i = 0; i < RECORDS; i++) {
        struct record_fields record = {
            .value = sl_bytes_of(subject->values[i], VALUE_SIZE),
            .timestamp_ms = 1700000000000 + i / 100,
            .key_is_null = true,
        };
        must(batch_builder_append(&builder, &record));
    }
    must(batch_builder_finish(&builder, BATCH_CODEC_NONE, NULL, NULL, &subject->view));
}

static void walk(void *argument)
{
    struct subject *subject = argument;
    struct record_iterator iterator;
    struct record_view record;
    uint64_t sum = 0;
    record_iterator_init(&iterator, batch_view_records(&subject->view), RECORDS);
    while (record_iterator_next(&iterator, &record))
        sum += record.value.size;
    must(record_iterator_finish(&iterator));
    subject->sink = sum;
}

static void check_crc(void *argument)
{
    struct subject *subject = argument;
    must(batch_view_check_crc(&subject->view));
}

static void crc_64(void *argument)
{
    struct subject *subject = argument;
    subject->sink = sl_crc32c(subject->view.data, 64);
}

static void validate(void *argument)
{
    struct subject *subject = argument;
    struct batch_verdict verdict;
    must(batch_validate(sl_bytes_of(subject->view.data, subject->view.size), &subject->limits, NULL,
                        NULL, &verdict));
}

static void rewrite(void *argument)
{
    struct subject *subject = argument;
    struct batch_builder builder;
    struct batch_view view;
    struct record_iterator iterator;
    struct record_view record;
    sl_buffer_reset(&subject->out);
    must(batch_builder_start_rewrite(&builder, &subject->out, &subject->view));
    record_iterator_init(&iterator, batch_view_records(&subject->view), RECORDS);
    while (record_iterator_next(&iterator, &record))
        must(batch_builder_keep(&builder, &record));
    must(batch_builder_finish(&builder, BATCH_CODEC_NONE, NULL, NULL, &view));
}

static void compress(void *argument)
{
    struct subject *subject = argument;
    sl_buffer_reset(&subject->packed);
    must(codec_compress(subject->context, subject->codec, batch_view_records(&subject->view),
                        &subject->packed));
}

static void decompress(void *argument)
{
    struct subject *subject = argument;
    sl_buffer_reset(&subject->out);
    must(codec_decompress(subject->context, subject->codec, sl_buffer_bytes(&subject->packed),
                          BYTES_MAX, &subject->out));
}

static void run(struct subject *subject, bool json, const char *name, bench_fn *fn, size_t items,
                size_t bytes)
{
    struct bench_case bench = {name, fn, subject, items, bytes};
    bench_case_run(&bench, json);
}

static void run_codecs(struct subject *subject, bool json)
{
    char name[64];
    size_t size = batch_view_records(&subject->view).size;
    for (int codec = BATCH_CODEC_GZIP; codec < BATCH_CODEC_COUNT; codec++) {
        subject->codec = codec;
        compress(subject);
        snprintf(name, sizeof name, "compress %s %.1f:1", codec_name(codec),
                 (double)size / (double)subject->packed.size);
        run(subject, json, name, compress, RECORDS, size);
        snprintf(name, sizeof name, "decompress %s", codec_name(codec));
        run(subject, json, name, decompress, RECORDS, size);
    }
}

int main(int argc, char **argv)
{
    bool json = bench_wants_json(argc, argv);
    struct subject *subject = calloc(1, sizeof *subject);
    SL_ASSERT(subject != NULL);
    subject->context = codec_context_new();
    SL_ASSERT(subject->context != NULL);
    sl_buffer_init(&subject->plain, BYTES_MAX);
    sl_buffer_init(&subject->packed, BYTES_MAX);
    sl_buffer_init(&subject->out, BYTES_MAX);
    batch_limits_init(&subject->limits);
    subject->limits.now_ms = 1700000000000;
    fill_values(subject);
    build(subject);
    size_t size = subject->view.size;
    bench_print_head(json);
    run(subject, json, "build", build, RECORDS, size);
    run(subject, json, "walk", walk, RECORDS, size);
    run(subject, json, "rewrite, all kept", rewrite, RECORDS, size);
    run(subject, json, "validate", validate, RECORDS, size);
    run(subject, json, "crc of the batch", check_crc, RECORDS, size);
    run(subject, json, "crc of 64 bytes (call)", crc_64, 1, 64);
    run_codecs(subject, json);
    codec_context_free(subject->context);
    sl_buffer_fini(&subject->plain);
    sl_buffer_fini(&subject->packed);
    sl_buffer_fini(&subject->out);
    free(subject);
    return 0;
}
